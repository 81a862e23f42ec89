"""Imports point one way, and importing the package costs what its dependencies cost."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

import sklearn_ae

PACKAGE = Path(sklearn_ae.__file__).parent

# A module imports only from the levels before its own.
LEVELS = [
    {"_losses", "_networks", "_linear_start", "corruption"},
    {"_training", "metrics", "inspection"},
    {"_base"},
    {"_autoencoder", "_denoising"},
    {"__init__"},
]


def own_imports(path):
    """Return the names of the package's modules that a file imports."""
    found = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.ImportFrom) and node.level == 1:
            names = [node.module] if node.module else [alias.name for alias in node.names]
            found.update(name.split(".")[0] for name in names)
        elif isinstance(node, ast.ImportFrom | ast.Import):
            modules = [getattr(node, "module", None), *(alias.name for alias in node.names)]
            assert not any(str(name).split(".")[0] == "sklearn_ae" for name in modules)
    return found


@pytest.mark.parametrize("path", sorted(PACKAGE.glob("*.py")), ids=lambda path: path.stem)
def test_imports_point_one_way(path):
    levels = [level for level, names in enumerate(LEVELS) if path.stem in names]
    assert len(levels) == 1, "a module of no level"
    assert own_imports(path) <= set().union(*LEVELS[: levels[0]])


def run(code):
    result = subprocess.run(
        [sys.executable, "-W", "error", "-c", code], capture_output=True, text=True, check=True
    )
    return result.stdout.strip()


def test_import_brings_nothing_that_the_dependencies_do_not():
    dependencies = "import torch, skorch, sklearn"
    new = run(
        f"import sys; {dependencies}; before = set(sys.modules); import sklearn_ae; "
        "print(*sorted(set(sys.modules) - before))"
    ).split()
    heavy = {"matplotlib", "pandas", "polars", "pyarrow", "IPython"}
    assert "sklearn_ae._base" in new
    assert not heavy & set(new)


def test_public_names():
    assert sklearn_ae.__all__ == ["AutoencoderTransformer", "DenoisingAutoencoder"]
    assert run("from sklearn_ae import *; print(DenoisingAutoencoder.__name__)") == (
        "DenoisingAutoencoder"
    )
