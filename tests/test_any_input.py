"""Whatever comes in: a finite result of the promised shape and dtype, or an error that says why."""

import itertools
import warnings

import numpy as np
import pandas as pd
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st
from matplotlib import pyplot as plt
from scipy import sparse
from sklearn.base import clone
from sklearn.exceptions import ConvergenceWarning, FitFailedWarning, UndefinedMetricWarning
from zoo import ESTIMATORS, draw_fewer, make_estimator

from sklearn_ae.inspection import (
    CodeScatterDisplay,
    CodeSizeCurveDisplay,
    CodeTraversalDisplay,
    InterpolationDisplay,
    LossCurveDisplay,
    ReconstructionDisplay,
)

TINY = {"hidden_layer_sizes": (4,), "max_epochs": 2}
FITTED = {
    **{name: make_estimator(name, n_components=2, **TINY) for name in ESTIMATORS},
    "one code": make_estimator("cross-entropy", n_components=1, **TINY),
    "all codes": make_estimator("clipped", early_stopping=False, **TINY),
    "many codes": make_estimator("linear start", n_components=20, **TINY),
    "share of variance": make_estimator("linear start", n_components=0.5, **TINY),
}
DTYPES = [
    *("bool", "int8", "int16", "int32", "int64", "uint8", "uint16", "uint32", "uint64"),
    *("float16", "float32", "float64", "longdouble", "object", ">f4", ">i8", "complex128", "U8"),
]
VALUES = {
    "normal": lambda X: X,
    "constant": lambda X: np.full_like(X, 3.0),
    "a constant column": lambda X: np.where(np.arange(X.shape[1]) == 0, 7.0, X),
    "duplicated rows": lambda X: X[np.zeros(len(X), dtype=int)],
    "zero": lambda X: 0 * X,
    "large": lambda X: 1e30 * X,
    "small": lambda X: 1e-30 * X,
    "at the end of float32": lambda X: 3e38 * np.tanh(X),
    "at the end of float64": lambda X: 1e308 * np.tanh(X),
    "an offset": lambda X: X + 1e8,
    "denormal": lambda X: 1e-310 * X,
    "denormal in float32": lambda X: 1e-40 * X,
    "units apart": lambda X: X * np.logspace(-12, 12, X.shape[1]),
    "one row far away": lambda X: np.where(np.arange(len(X))[:, None] == 0, 1e12, X),
    "nan": lambda X: np.where(X > 1, np.nan, X),
    "infinity": lambda X: np.where(X > 1, np.inf, X),
    "unit": lambda X: (np.tanh(X) + 1) / 2,
}


@pytest.fixture(scope="module", autouse=True)
def folder(tmp_path_factory):
    """Where memory maps are."""
    global FOLDER
    FOLDER = tmp_path_factory.mktemp("maps")


NUMBERS = itertools.count()  # of the maps


def read_only(X):
    X = X.copy()
    X.flags.writeable = False
    return X


def with_missing(X):
    frame = pd.DataFrame(X).convert_dtypes()
    frame.iloc[0, 0] = pd.NA
    return frame


def with_missing_category(X):
    kinds = pd.Categorical([None, *range(1, len(X))])
    return pd.DataFrame(X).assign(kind=kinds, whole=1)


def memory_map(X):
    path = FOLDER / str(next(NUMBERS))
    mapped = np.memmap(path, X.dtype, "w+", shape=X.shape)
    mapped[:] = X
    return mapped


CONTAINERS = {
    "C": np.ascontiguousarray,
    "Fortran": np.asfortranarray,
    "strided": lambda X: np.repeat(np.repeat(X, 2, axis=0), 2, axis=1)[::2, ::2],
    "backwards": lambda X: X[::-1, ::-1],
    "read-only": read_only,
    "memory map": memory_map,
    "list": lambda X: X.tolist(),
    "one-dimensional": lambda X: X.ravel(),
    "three-dimensional": lambda X: X[None],
    "pandas": pd.DataFrame,
    "pandas, nullable": lambda X: pd.DataFrame(X).convert_dtypes(),
    "pandas, missing": with_missing,
    "pandas, categorical": lambda X: pd.DataFrame(X).assign(kind=pd.Categorical(["a"] * len(X))),
    "pandas, numeric categories": lambda X: pd.DataFrame(X).astype("category"),
    "pandas, missing category": with_missing_category,
    "polars": pl.DataFrame,
    "CSR": sparse.csr_array,
    "CSC": sparse.csc_matrix,
    "COO": sparse.coo_array,
}

tables = st.fixed_dictionaries(
    {
        "n_rows": st.sampled_from([1, 2, 3, 7, 30]),
        "n_features": st.sampled_from([1, 2, 5]),
        "dtype": st.sampled_from(DTYPES),
        "values": st.sampled_from(list(VALUES)),
        "container": st.sampled_from(list(CONTAINERS)),
    }
)


def made(n_rows, n_features, dtype, values, container):
    """Return a table, or None where NumPy, pandas, polars or SciPy have no such thing."""
    rows = np.random.RandomState(0).normal(size=(n_rows, n_features))
    with np.errstate(all="ignore"), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            return CONTAINERS[container](VALUES[values](rows).astype(dtype))
        except (
            TypeError,
            ValueError,
            OverflowError,
            NotImplementedError,  # pandas has no categories of float16
            pl.exceptions.PolarsError,
        ):
            return None


def check(result, shape, dtype):
    assert isinstance(result, np.ndarray)
    assert result.shape == shape
    assert result.dtype == dtype
    assert np.isfinite(result).all()


def check_message(error):
    """Hold an error against what is promised: it says what is wrong, in more than a word."""
    assert len(str(error)) > 20


def use(estimator, X):
    """Call every public method of an estimator and hold the results against what is promised."""
    estimator.fit(X)
    n_rows = X.shape[0] if hasattr(X, "shape") else len(X)
    n_features, n_codes = estimator.n_features_in_, estimator.n_components_
    wide = estimator.mean_.dtype
    codes = estimator.transform(X)
    check(codes, (n_rows, n_codes), np.float32)
    check(estimator.inverse_transform(codes), (n_rows, n_features), wide)
    check(estimator.reconstruct(X), (n_rows, n_features), wide)
    has_value = pd.DataFrame(X).notna().any(axis=1).to_numpy()
    scores = estimator.score_samples(X)
    check(scores[has_value], (has_value.sum(),), np.float64)
    assert np.isnan(scores[~has_value]).all()
    score = estimator.score(X)
    assert np.isfinite(score)
    assert score <= 1 or hasattr(estimator, "beta")  # R², not a likelihood
    check(clone(estimator).fit_transform(X), (n_rows, n_codes), np.float32)
    estimator.partial_fit(X)
    check(estimator.transform(X), (n_rows, n_codes), np.float32)
    assert len(estimator.get_feature_names_out()) == n_codes


@pytest.mark.filterwarnings("error", "ignore:Column")
@pytest.mark.parametrize("name", FITTED)
@draw_fewer(1 / 3)
@given(table=tables)
def test_estimators(name, table):
    X = made(**table)
    if X is None:
        return
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        warnings.simplefilter("ignore", UndefinedMetricWarning)
        try:
            use(clone(FITTED[name]), X)
        except (ValueError, TypeError) as error:
            check_message(error)


@pytest.mark.filterwarnings("error", "ignore:Column")
@pytest.mark.parametrize(
    "name", ["linear start", "all codes", "textbook", "one code", "denoising", "convolutional"]
)
@draw_fewer(1 / 3)
@given(
    fitted_to=st.sampled_from(["normal", "unit", "constant", "small", "large"]),
    values=st.sampled_from(sorted(set(VALUES) - {"nan", "infinity"})),
    dtype=st.sampled_from(["float32", "float64"]),
)
def test_other_rows_than_those_in_fit(name, fitted_to, values, dtype):
    rows = made(30, 5, dtype, fitted_to, "C")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        try:
            estimator = clone(FITTED[name]).fit(rows)
        except ValueError:
            return
    others = made(7, 5, dtype, values, "C")
    codes = made(7, estimator.n_components_, dtype, values, "C")
    calls = [("inverse_transform", codes)]
    calls += [(method, others) for method in ("transform", "reconstruct", "score_samples", "score")]
    for method, X in calls:
        try:
            assert np.isfinite(getattr(estimator, method)(X)).all()
        except ValueError as error:
            check_message(error)


@pytest.mark.parametrize("name", ["linear start", "denoising"])
@draw_fewer(1 / 8)
@given(table=tables)
def test_displays(name, table):
    X = made(**table)
    if X is None:
        return
    with warnings.catch_warnings():
        for expected in (ConvergenceWarning, FitFailedWarning, UndefinedMetricWarning):
            warnings.simplefilter("ignore", expected)
        try:
            estimator = clone(FITTED[name]).fit(X)
        except (ValueError, TypeError):
            return
        for draw in (
            lambda: LossCurveDisplay.from_estimator(estimator),
            lambda: ReconstructionDisplay.from_estimator(estimator, X),
            lambda: ReconstructionDisplay.from_estimators([estimator], X, X_noisy=X),
            lambda: CodeSizeCurveDisplay.from_estimators(estimator, X, n_components=[1], cv=2),
            lambda: CodeScatterDisplay.from_estimator(estimator, X),
            lambda: InterpolationDisplay.from_estimator(estimator, X),
            lambda: CodeTraversalDisplay.from_estimator(estimator, X),
        ):
            try:
                draw().figure_.canvas.draw()
            except (ValueError, TypeError) as error:
                check_message(error)
            finally:
                plt.close("all")
