"""Imports point one way, and importing the package costs what its dependencies cost."""

import ast
from pathlib import Path

import pytest
from zoo import run_python

import sklearn_ae

PACKAGE = Path(sklearn_ae.__file__).parent

# A module, or a folder, imports only from the levels before its own.
LEVELS = {
    "sklearn_ae": [
        {"_losses", "_ranks", "_sparse_batch", "corruption"},
        {"_networks", "_rows"},
        {"_linear_start", "_saving", "_training", "metrics"},
        {"_base", "inspection"},
        {"_autoencoder", "_denoising", "dask", "export"},
        {"__init__"},
    ],
    "inspection": [
        {"_inputs", "_drawing"},
        {"_code_size_curve"},
        {"_plot_codes", "_plot_curves", "_plot_rows"},
        {"__init__"},
    ],
}


def own_imports(path):
    """Return (dots, module) for what a file imports from the package."""
    found = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.ImportFrom) and node.level:
            names = [node.module] if node.module else [alias.name for alias in node.names]
            found.update((node.level, name.split(".")[0]) for name in names)
        elif isinstance(node, ast.ImportFrom | ast.Import):
            modules = [getattr(node, "module", None), *(alias.name for alias in node.names)]
            assert not any(str(name).split(".")[0] == "sklearn_ae" for name in modules)
    return found


def before(folder, name):
    """Return the modules of the levels before that of one."""
    (level,) = (i for i, names in enumerate(LEVELS[folder]) if name in names)
    return set().union(*LEVELS[folder][:level])


@pytest.mark.parametrize("path", sorted(PACKAGE.rglob("*.py")), ids=lambda path: path.stem)
def test_imports_point_one_way(path):
    allowed = {(1, name) for name in before(path.parent.name, path.stem)}
    if path.parent != PACKAGE:
        allowed |= {(2, name) for name in before("sklearn_ae", path.parent.name)}
    assert own_imports(path) <= allowed


def run(code):
    return run_python("-W", "error", "-c", code).strip()


@pytest.mark.slow
def test_import_brings_nothing_that_the_dependencies_do_not():
    dependencies = "import torch, skorch, sklearn"
    new = run(
        f"import sys; {dependencies}; before = set(sys.modules); import sklearn_ae; "
        "print(*sorted(set(sys.modules) - before))"
    ).split()
    heavy = {"matplotlib", "pandas", "polars", "pyarrow", "IPython", "dask", "accelerate", "onnx"}
    assert "sklearn_ae._base" in new
    assert not heavy & set(new)


@pytest.mark.slow
def test_public_names():
    assert sklearn_ae.__all__ == ["AutoencoderTransformer", "DenoisingAutoencoder"]
    assert run("from sklearn_ae import *; print(DenoisingAutoencoder.__name__)") == (
        "DenoisingAutoencoder"
    )
