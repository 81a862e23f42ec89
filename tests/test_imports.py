"""Imports point one way and cost what the dependencies cost; functions and classes stay small."""

import ast
import functools
from pathlib import Path

import pytest
from zoo import run_python

import sklearn_ae

PACKAGE = Path(sklearn_ae.__file__).parent
NOXFILE = Path(__file__).parents[1] / "noxfile.py"

# A module, or a folder, imports only from the levels before its own.
LEVELS = {
    "sklearn_ae": [
        {
            "_callbacks",
            "_compat",
            "_gaussian",
            "_images",
            "_isolation",
            "_losses",
            "_normal_scores",
            "_ranks",
        },
        {"_related_rows", "_ridge", "_task"},
        {"_batches", "_codes", "_extrapolation", "_sparse", "_split"},
        {"_networks", "_rows", "_training", "_units"},
        {"_linear", "_model", "_plan", "corruption"},
        {"_likelihood", "_saving", "_stacked", "_start", "_targets"},
        {"_trials"},
        {"_base"},
        {"_autoencoder", "_denoising", "_variational", "export"},
        {"_detector", "_imputer", "metrics"},
        {"dask", "inspection"},
        {"__init__"},
    ],
    "inspection": [
        {"_cutting", "_drawing", "_inputs"},
        {"_code_size_curve"},
        {"_plot_anomalies", "_plot_codes", "_plot_curves", "_plot_rows"},
        {"__init__"},
    ],
}
OTHERS = ("dask", "matplotlib", "numpy", "pandas", "scipy", "skorch", "sklearn", "torch", "tqdm")


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


def is_private(name):
    return name.startswith("_") and not name.endswith("__")


def private_imports(tree):
    """Return what a module imports by a private name from other libraries."""
    found = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom) and not node.level:
            names = [*node.module.split("."), *(alias.name for alias in node.names)]
            if names[0] in OTHERS and any(map(is_private, names)):
                found.add(ast.unparse(node))
        elif isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
            found |= {name for name in names if any(map(is_private, name.split(".")))}
    return found


@functools.cache
def own_private_names():
    """Return the private names that the package itself defines: functions, attributes, fields."""
    found = {"_make", "_replace"}  # of named tuples, part of their public interface
    for path in PACKAGE.rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.FunctionDef | ast.ClassDef):
                found.add(node.name)
            elif isinstance(node, ast.Name | ast.Attribute) and isinstance(node.ctx, ast.Store):
                found.add(node.id if isinstance(node, ast.Name) else node.attr)
            elif isinstance(node, ast.Constant) and isinstance(node.value, str):
                found.add(node.value)  # fitted attributes are set by name
    return found


@pytest.mark.parametrize("path", sorted(PACKAGE.rglob("*.py")), ids=lambda path: path.stem)
def test_private_names_of_other_libraries_are_in_one_place(path):
    tree = ast.parse(path.read_text())
    used = {node.attr for node in ast.walk(tree) if isinstance(node, ast.Attribute)}
    used = {name for name in used if is_private(name)} - own_private_names()
    if path.stem == "_compat":
        assert private_imports(tree)
        assert used
    else:
        assert not private_imports(tree)
        assert not used


def run(code, *options):
    return run_python(*options, "-W", "error", "-c", code).strip()


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
def test_without_docstrings_the_error_says_why():
    printed = """
try:
    import sklearn_ae
except ImportError as error:
    print(error)
"""
    found = run(printed, "-OO")
    # a later skorch may do without docstrings
    assert found == "" or "Run python -O in place of python -OO" in found


def count_code_lines(node):
    """Return the number of lines of a module, class or function without its docstrings."""
    lines = set()
    for part in ast.walk(node):
        if hasattr(part, "lineno"):
            lines.update(range(part.lineno, part.end_lineno + 1))
    for part in ast.walk(node):
        if isinstance(part, ast.Module | ast.ClassDef | ast.FunctionDef) and ast.get_docstring(
            part
        ):
            lines -= set(range(part.body[0].lineno, part.body[0].end_lineno + 1))
    return len(lines)


def count_statements(node):
    """Return the number of statements in a function; a call over many lines is one."""
    return sum(isinstance(part, ast.stmt) for part in ast.walk(node)) - 1


def is_init_of_estimator(node):
    """Tell whether a function is an `__init__` that only assigns its parameters.

    Those of the estimators have one line for each of 30 parameters and one for its assignment.
    """
    parameters = [*node.args.args, *node.args.kwonlyargs]
    assigned = [f"self.{parameter.arg} = {parameter.arg}" for parameter in parameters[1:]]
    return node.name == "__init__" and [ast.unparse(line) for line in node.body] == assigned


def test_the_base_is_small():
    assert count_code_lines(ast.parse((PACKAGE / "_base.py").read_text())) <= 420


@pytest.mark.parametrize("path", sorted(PACKAGE.rglob("*.py")), ids=lambda path: path.stem)
def test_functions_and_classes_are_small(path):
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.FunctionDef) and not is_init_of_estimator(node):
            assert count_statements(node) <= 45, node.name
        elif isinstance(node, ast.ClassDef):
            methods = [part for part in node.body if isinstance(part, ast.FunctionDef)]
            assert len(methods) <= 34, node.name
            assert count_code_lines(node) <= 300, node.name


def test_mutated_modules_and_their_tests_exist():
    assignments = [x for x in ast.parse(NOXFILE.read_text()).body if isinstance(x, ast.Assign)]
    (mutated,) = (x.value for x in assignments if ast.unparse(x.targets[0]) == "MUTATED")
    for module, tests in ast.literal_eval(mutated).items():
        assert (PACKAGE / f"{module}.py").is_file()
        for name in tests:
            assert (Path(__file__).parent / f"test_{name}.py").is_file()


def test_public_names():
    assert sklearn_ae.__all__ == [
        "AutoencoderDetector",
        "AutoencoderImputer",
        "AutoencoderTransformer",
        "DenoisingAutoencoder",
        "VariationalAutoencoder",
    ]
    assert run("from sklearn_ae import *; print(DenoisingAutoencoder.__name__)") == (
        "DenoisingAutoencoder"
    )
