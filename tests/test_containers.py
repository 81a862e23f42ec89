"""Every container is taken, named and refused as scikit-learn's PCA does it."""

import array
import collections
import decimal
import itertools
import warnings

import array_api_strict
import dask
import dask.array as da
import dask.dataframe as dd
import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest
import torch
from numpy.testing import assert_allclose, assert_array_equal
from scipy import sparse
from sklearn import config_context
from sklearn.base import clone
from sklearn.decomposition import PCA
from sklearn.utils import check_array

from sklearn_ae import AutoencoderTransformer

N_ROWS, NAMES = 60, list("abcd")
rng = np.random.RandomState(0)
NUMBERS = np.round(50 + rng.normal(size=(N_ROWS, 4)) * [18, 11, 6, 3])
NUMBERS[NUMBERS < 45] = 0
IS_LARGE = NUMBERS > 50
WITH_NAN = np.where(NUMBERS > 90, np.nan, NUMBERS)
FRAME = pd.DataFrame(NUMBERS, columns=NAMES)
FLAGS = pd.DataFrame(IS_LARGE, columns=NAMES)
FILES = itertools.count()  # of memory maps


class HasArray:
    """What only NumPy's protocol makes an array."""

    def __init__(self, X):
        self.X = X

    def __array__(self, dtype=None, copy=None):
        return self.X if dtype is None else self.X.astype(dtype)


class HasShape(HasArray):
    """An array in memory, of a library of its own, that has no rows to index."""

    def __init__(self, X):
        super().__init__(X)
        self.shape, self.dtype, self.ndim = X.shape, X.dtype, X.ndim

    def __len__(self):
        return len(self.X)


class OnDisk(HasShape):
    """An array of h5py or zarr."""

    def __getitem__(self, index):
        return self.X[index]


class BackedSparse:
    """A sparse table in a file of AnnData: it has no `ndim` and is no array for NumPy."""

    def __init__(self, X):
        self.X, self.shape, self.dtype, self.format = X, X.shape, X.dtype, X.format

    def __getitem__(self, index):
        return self.X[index]


class HasInterface:
    def __init__(self, X):
        self.X, self.__array_interface__ = X, X.__array_interface__


class HasStream:
    def __init__(self, X):
        self.X = X

    def __arrow_c_stream__(self, requested_schema=None):
        return self.X.__arrow_c_stream__()


class Sequence:
    def __init__(self, X):
        self.X = X

    def __len__(self):
        return len(self.X)

    def __getitem__(self, index):
        return self.X[index]


class HasColumns:
    """What has names as a frame has, and nothing else of one."""

    columns = NAMES


class ArrayView(np.ndarray):
    """A layer of a view of AnnData."""


class SparseCSRView(sparse.csr_matrix):
    """The same of sparse ones."""


class Frame(pd.DataFrame):
    pass


def read_only(X):
    X = X.copy()
    X.flags.writeable = False
    return X


def read_only_csr(X):
    X = sparse.csr_array(X)
    for part in (X.data, X.indices, X.indptr):
        part.flags.writeable = False
    return X


def with_long_indices(X):
    X.indices, X.indptr = X.indices.astype(np.int64), X.indptr.astype(np.int64)
    return X


@pytest.fixture(scope="module", autouse=True)
def folder(tmp_path_factory):
    """Where memory maps are."""
    global FOLDER
    FOLDER = tmp_path_factory.mktemp("maps")


def memory_map(X):
    mapped = np.memmap(FOLDER / str(next(FILES)), X.dtype, "w+", shape=X.shape)
    mapped[:] = X
    return mapped


def with_missing(frame, dtype):
    frame = frame.astype(dtype)
    frame.iloc[0, 0] = pd.NA
    return frame


def select_rows(X):
    """Return the rows of a Dask array at a mask: it has to be computed for their number."""
    return X[da.from_array(np.arange(N_ROWS) % 3 > 0, chunks=X.chunks[0])]


def chunk(X):
    return da.from_array(X, chunks=(20, *X.shape[1:]))


def partition(frame):
    return dd.from_pandas(frame, npartitions=2)


def table(*columns):
    return pa.table(dict(zip("ab", columns, strict=True)))


a, b = NUMBERS[:, 0], NUMBERS[:, 1]
CONTAINERS = {
    # of Python
    "list": lambda: NUMBERS.tolist(),
    "tuple": lambda: tuple(map(tuple, NUMBERS)),
    "list of arrays": lambda: list(NUMBERS),
    "list of ints": lambda: NUMBERS.astype(int).tolist(),
    "list of bools": lambda: IS_LARGE.tolist(),
    "list of numeric text": lambda: NUMBERS.astype(str).tolist(),
    "list of words": lambda: [["x", "y"]] * N_ROWS,
    "list of None": lambda: [[None, 1.0], *NUMBERS[:, :2].tolist()],
    "list of Decimal": lambda: [[decimal.Decimal(x) for x in row] for row in NUMBERS],
    "list of dicts": lambda: [{"a": 1, "b": 2}] * N_ROWS,
    "list of series": lambda: [row for _, row in FRAME.iterrows()],
    "list of array.array": lambda: [array.array("d", row) for row in NUMBERS],
    "list of tensors": lambda: list(torch.tensor(NUMBERS)),
    "lists of many lengths": lambda: [[1, 2], [3]] * 20,
    "deque": lambda: collections.deque(NUMBERS.tolist()),
    "UserList": lambda: collections.UserList(NUMBERS.tolist()),
    "sequence": lambda: Sequence(NUMBERS),
    "memoryview": lambda: memoryview(NUMBERS),
    "array.array": lambda: array.array("d", a),
    "range": lambda: range(N_ROWS),
    "generator": lambda: (row for row in NUMBERS),
    "set": lambda: {1, 2},
    "dict": lambda: dict(zip(NAMES, NUMBERS.T, strict=True)),
    "empty list": list,
    "list of empty lists": lambda: [[], []],
    "text": lambda: "text",
    "None": lambda: None,
    "number": lambda: 3.0,
    # of NumPy
    **{
        f"array, {dtype}": lambda dtype=dtype: NUMBERS.astype(dtype)
        for dtype in [
            *("int8", "int16", "int32", "int64", "uint8", "uint16", "uint32", "uint64"),
            *("float16", "float32", "float64", "longdouble", ">f4", ">f8", ">i2", "complex128"),
            *("object", "U8", "S8", "datetime64[s]", "timedelta64[s]"),
        ]
    },
    "array, bool": lambda: IS_LARGE,
    "array, StringDType": lambda: NUMBERS.astype(str).astype(np.dtypes.StringDType()),
    "array, words": lambda: np.array([["x", "y"]] * N_ROWS),
    "array, objects that are text": lambda: NUMBERS.astype(str).astype(object),
    "array, objects that are words": lambda: np.array([["x", 2]] * N_ROWS, dtype=object),
    "array, objects that are None": lambda: np.where(NUMBERS > 90, None, NUMBERS.astype(object)),
    "array, objects that are NA": lambda: np.where(NUMBERS > 90, pd.NA, NUMBERS.astype(object)),
    "array, void": lambda: np.zeros((N_ROWS, 3), dtype="V4"),
    "structured": lambda: FRAME.to_records(index=False).view(np.ndarray),
    "records": lambda: FRAME.to_records(index=False),
    "matrix": lambda: NUMBERS.view(np.matrix),
    "masked, without": lambda: np.ma.array(NUMBERS),
    "masked": lambda: np.ma.array(NUMBERS, mask=IS_LARGE),
    "subclass": lambda: NUMBERS.view(ArrayView),
    "subclass, read-only": lambda: read_only(NUMBERS).view(ArrayView),
    "read-only": lambda: read_only(NUMBERS),
    "Fortran": lambda: np.asfortranarray(NUMBERS),
    "backwards": lambda: NUMBERS[::-1, ::-1],
    "every other row": lambda: NUMBERS[::2],
    "NaN": lambda: WITH_NAN,
    "NaN, float16": lambda: WITH_NAN.astype(np.float16),
    "NaN, long double": lambda: WITH_NAN.astype(np.longdouble),
    "infinity": lambda: np.where(NUMBERS > 90, np.inf, NUMBERS),
    "no dimension": lambda: np.array(1.0),
    "one dimension": lambda: a,
    "three dimensions": lambda: NUMBERS[None],
    "no rows": lambda: NUMBERS[:0],
    "no columns": lambda: NUMBERS[:, :0],
    "one column": lambda: NUMBERS[:, :1],
    "map": lambda: memory_map(NUMBERS),
    "map, every other row": lambda: memory_map(NUMBERS)[::2],
    "map, subclass": lambda: memory_map(NUMBERS).view(ArrayView),
    "map, bytes": lambda: memory_map(NUMBERS.astype(np.uint8)),
    "map, bool": lambda: memory_map(IS_LARGE),
    "map, text": lambda: memory_map(NUMBERS.astype("U8")),
    "map, complex": lambda: memory_map(NUMBERS.astype(complex)),
    "map, one dimension": lambda: memory_map(NUMBERS)[:, 0],
    "map, no rows": lambda: memory_map(NUMBERS)[:0],
    # by protocols
    "__array__": lambda: HasArray(NUMBERS),
    "__array__, NaN": lambda: HasArray(WITH_NAN),
    "__array__, shape": lambda: HasShape(NUMBERS),
    "__array__, shape, text": lambda: HasShape(NUMBERS.astype(str)),
    "__array__, shape, objects": lambda: HasShape(NUMBERS.astype(object)),
    "__array__, shape, one dimension": lambda: HasShape(a),
    "__array_interface__": lambda: HasInterface(NUMBERS),
    "__arrow_c_stream__": lambda: HasStream(pa.Table.from_pandas(FRAME)),
    "columns": HasColumns,
    "object": object,
    # on disk
    "on disk": lambda: OnDisk(NUMBERS),
    "on disk, bytes": lambda: OnDisk(NUMBERS.astype(np.uint8)),
    "on disk, big-endian": lambda: OnDisk(NUMBERS.astype(">f4")),
    "on disk, text": lambda: OnDisk(NUMBERS.astype("S8")),
    "on disk, words": lambda: OnDisk(np.array([["x", "y"]] * N_ROWS)),
    "on disk, objects": lambda: OnDisk(NUMBERS.astype(object)),
    "on disk, complex": lambda: OnDisk(NUMBERS.astype(complex)),
    "on disk, structured": lambda: OnDisk(FRAME.to_records(index=False).view(np.ndarray)),
    "on disk, NaN": lambda: OnDisk(WITH_NAN),
    "on disk, one dimension": lambda: OnDisk(a),
    "on disk, three dimensions": lambda: OnDisk(NUMBERS[None]),
    "on disk, no rows": lambda: OnDisk(NUMBERS[:0]),
    # of SciPy
    **{
        f"{kind}, {dtype}": lambda kind=kind, dtype=dtype: getattr(sparse, kind)(
            NUMBERS.astype(dtype)
        )
        for kind, dtype in itertools.product(
            [f"{x}_{y}" for x in ("csr", "csc", "coo", "bsr", "dia") for y in ("array", "matrix")]
            + ["dok_array", "lil_array", "dok_matrix", "lil_matrix"],
            ["float64", "uint8"],
        )
    },
    "csr_array, bool": lambda: sparse.csr_array(IS_LARGE),
    "csr_array, complex": lambda: sparse.csr_array(NUMBERS.astype(complex)),
    "csr_array, NaN": lambda: sparse.csr_array(WITH_NAN),
    "dok_array, NaN": lambda: sparse.dok_array(WITH_NAN),
    "csr_array, 64-bit indices": lambda: with_long_indices(sparse.csr_array(NUMBERS)),
    "csc_array, 64-bit indices": lambda: with_long_indices(sparse.csc_array(NUMBERS)),
    "csr_array, read-only": lambda: read_only_csr(NUMBERS),
    "csr_array, no rows": lambda: sparse.csr_array(NUMBERS[:0]),
    "csr_matrix, subclass": lambda: SparseCSRView(NUMBERS),
    "coo_array, one dimension": lambda: sparse.coo_array(a),
    "coo_array, three dimensions": lambda: sparse.coo_array(NUMBERS[None]),
    "list of csr_array": lambda: [sparse.csr_array(NUMBERS)],
    # of pandas
    **{
        f"pandas, {dtype}": lambda dtype=dtype: FRAME.astype(dtype)
        for dtype in [
            *("float64", "float32", "uint8", "int64", "object", "str", "string", "complex128"),
            *("Int64", "UInt8", "Float32", "Float64", "category", "datetime64[s]"),
            *("double[pyarrow]", "float[pyarrow]", "uint8[pyarrow]", "string[pyarrow]"),
        ]
    },
    "pandas, bool": lambda: FLAGS,
    "pandas, boolean": lambda: FLAGS.astype("boolean"),
    "pandas, bool[pyarrow]": lambda: FLAGS.astype("bool[pyarrow]"),
    "pandas, decimals": lambda: FRAME.astype(pd.ArrowDtype(pa.decimal128(10, 2))),
    "pandas, mixed": lambda: FRAME.assign(a=a.astype(int), b=b > 50, c=a.astype(np.uint8)),
    "pandas, mixed nullable": lambda: FRAME.assign(
        a=pd.array(a, dtype="Int64"), b=pd.array(b > 50, dtype="boolean")
    ),
    "pandas, Int64 and text": lambda: FRAME.assign(a=pd.array(a, dtype="Int64"), b=b.astype(str)),
    **{
        f"pandas, NA in {dtype}": lambda dtype=dtype: with_missing(FRAME, dtype)
        for dtype in ("Int64", "Float32", "Float64", "double[pyarrow]", "uint8[pyarrow]")
    },
    "pandas, NA in boolean": lambda: with_missing(FLAGS, "boolean"),
    "pandas, None": lambda: FRAME.astype(object).mask(FRAME > 90, None),
    "pandas, words": lambda: FRAME.assign(a="x"),
    "pandas, times": lambda: FRAME.assign(a=a.astype("datetime64[s]")),
    "pandas, times with zone": lambda: FRAME.assign(a=pd.to_datetime(a, utc=True)),
    "pandas, intervals": lambda: FRAME.assign(a=pd.interval_range(0, N_ROWS)),
    "pandas, one category": lambda: FRAME.assign(a=pd.Categorical(a)),
    "pandas, categories of text": lambda: FRAME.assign(a=pd.Categorical(a.astype(str))),
    "pandas, categories of words": lambda: FRAME.assign(a=pd.Categorical(["x"] * N_ROWS)),
    "pandas, categories of times": lambda: FRAME.assign(a=pd.Categorical(pd.to_datetime(a))),
    "pandas, missing category": lambda: FRAME.assign(a=pd.Categorical([None, *a[1:]])),
    "pandas, sparse": lambda: FRAME.astype(pd.SparseDtype(float, 0)),
    "pandas, sparse of int": lambda: FRAME.astype(int).astype(pd.SparseDtype(int, 0)),
    "pandas, a sparse column": lambda: FRAME.assign(a=pd.arrays.SparseArray(a)),
    "pandas, a name twice": lambda: FRAME.set_axis(list("aabc"), axis=1),
    "pandas, categories by a name twice": lambda: FRAME.set_axis(list("aabc"), axis=1).astype(
        "category"
    ),
    "pandas, names of two levels": lambda: FRAME.set_axis(
        pd.MultiIndex.from_product([["x", "y"], [1, 2]]), axis=1
    ),
    "pandas, numbers as names": lambda: FRAME.set_axis(range(4), axis=1),
    "pandas, numbers and text as names": lambda: FRAME.set_axis(["a", 1, "b", 2], axis=1),
    "pandas, attributes as names": lambda: FRAME.set_axis(
        ["dtype", "dtypes", "columns", "shape"], axis=1
    ),
    "pandas, more attributes as names": lambda: FRAME.set_axis(
        ["iloc", "kind", "categories", "ndim"], axis=1
    ),
    "pandas, no rows": lambda: FRAME[:0],
    "pandas, no columns": lambda: FRAME[[]],
    "pandas, one column": lambda: FRAME[["a"]],
    "pandas, subclass": lambda: Frame(FRAME),
    "pandas, index": lambda: FRAME.set_axis(range(100, 100 + N_ROWS)),
    "series": lambda: FRAME["a"],
    "series, Int64": lambda: FRAME["a"].astype("Int64"),
    "series, category": lambda: FRAME["a"].astype("category"),
    "index": lambda: pd.Index(a),
    "pandas.array": lambda: pd.array(a, dtype="Int64"),
    "categorical": lambda: pd.Categorical(a),
    "groups": lambda: FRAME.groupby("a"),
    # of polars
    "polars": lambda: pl.DataFrame(NUMBERS, schema=NAMES),
    "polars, bytes": lambda: pl.DataFrame(NUMBERS.astype(np.uint8), schema=NAMES),
    "polars, float32": lambda: pl.DataFrame(NUMBERS.astype(np.float32), schema=NAMES),
    "polars, bool": lambda: pl.DataFrame(IS_LARGE, schema=NAMES),
    "polars, mixed": lambda: pl.DataFrame({"a": a.astype(int), "b": b > 50, "c": a}),
    "polars, null": lambda: pl.DataFrame({"a": [None, *a[1:]], "b": b}),
    "polars, decimals": lambda: pl.DataFrame(NUMBERS, schema=NAMES).cast(pl.Decimal(10, 2)),
    "polars, text": lambda: pl.DataFrame(NUMBERS.astype(str), schema=NAMES),
    "polars, words": lambda: pl.DataFrame({"a": ["x"] * N_ROWS, "b": b}),
    "polars, lists": lambda: pl.DataFrame({"a": [[1.0, 2.0]] * N_ROWS}),
    "polars, one column": lambda: pl.DataFrame({"a": a}),
    "polars, no rows": lambda: pl.DataFrame(NUMBERS, schema=NAMES)[:0],
    "polars, no columns": pl.DataFrame,
    "polars, lazy": lambda: pl.LazyFrame(NUMBERS, schema=NAMES),
    "polars, series": lambda: pl.Series(a),
    # of pyarrow
    "Table": lambda: pa.Table.from_pandas(FRAME),
    "Table, chunked": lambda: pa.concat_tables([pa.Table.from_pandas(FRAME)] * 2),
    "Table, bytes": lambda: pa.Table.from_pandas(FRAME.astype(np.uint8)),
    "Table, float32": lambda: pa.Table.from_pandas(FRAME.astype(np.float32)),
    "Table, bool": lambda: pa.Table.from_pandas(FLAGS),
    "Table, mixed": lambda: table(a.astype(int), b > 50),
    "Table, null": lambda: table([None, *a[1:]], b),
    "Table, null in bool": lambda: table([None, *(a[1:] > 50).tolist()], b > 50),
    "Table, dictionary": lambda: table(pa.array(a).dictionary_encode(), b),
    "Table, decimals": lambda: pa.Table.from_pandas(FRAME).cast(
        pa.schema([(name, pa.decimal128(20, 2)) for name in NAMES])
    ),
    "Table, times": lambda: table(a.astype("datetime64[s]"), b),
    "Table, text": lambda: table(a.astype(str), b.astype(str)),
    "Table, words": lambda: table(["x"] * N_ROWS, b),
    "Table, lists": lambda: pa.table({"a": [[1.0, 2.0]] * N_ROWS}),
    "Table, a name twice": lambda: pa.Table.from_arrays([pa.array(x) for x in (a, b)], ["a", "a"]),
    "Table, one column": lambda: pa.table({"a": a}),
    "Table, no rows": lambda: pa.Table.from_pandas(FRAME)[:0],
    "Table, no columns": lambda: pa.table({}),
    "RecordBatch": lambda: pa.RecordBatch.from_pandas(FRAME),
    "RecordBatch, bytes": lambda: pa.RecordBatch.from_pandas(FRAME.astype(np.uint8)),
    "RecordBatch, no rows": lambda: pa.RecordBatch.from_pandas(FRAME)[:0],
    "RecordBatchReader": lambda: pa.Table.from_pandas(FRAME).to_reader(),
    "pyarrow.Array": lambda: pa.array(a),
    "ChunkedArray": lambda: pa.chunked_array([a, b]),
    "pyarrow.Tensor": lambda: pa.Tensor.from_numpy(NUMBERS),
    # of Dask
    "dask": lambda: chunk(NUMBERS),
    "dask, chunks of columns": lambda: da.from_array(NUMBERS, chunks=(20, 2)),
    "dask, bytes": lambda: chunk(NUMBERS.astype(np.uint8)),
    "dask, NaN": lambda: chunk(WITH_NAN),
    "dask, objects": lambda: chunk(NUMBERS.astype(object)),
    "dask, one dimension": lambda: chunk(a),
    "dask, unknown length": lambda: select_rows(chunk(NUMBERS)),
    "dask, unknown length, bytes": lambda: select_rows(chunk(NUMBERS.astype(np.uint8))),
    "dask, unknown length, bool": lambda: select_rows(chunk(IS_LARGE)),
    "dask, unknown length, NaN": lambda: select_rows(chunk(WITH_NAN)),
    "dask, unknown length, objects": lambda: select_rows(chunk(NUMBERS.astype(object))),
    "dask, unknown length, text": lambda: select_rows(chunk(NUMBERS.astype(str))),
    "dask, unknown length, complex": lambda: select_rows(chunk(NUMBERS.astype(complex))),
    "dask, unknown length, one dimension": lambda: select_rows(chunk(a)),
    "dask, unknown length, no rows": lambda: chunk(NUMBERS)[chunk(a) < 0],
    "dask, of a frame": lambda: partition(FRAME).to_dask_array(),
    "dask, of a selection": lambda: (lambda frame: frame[frame.a > 50])(partition(FRAME)).values,
    "dask frame": lambda: partition(FRAME),
    "dask frame, bytes": lambda: partition(FRAME.astype(np.uint8)),
    "dask frame, Int64": lambda: partition(FRAME.astype("Int64")),
    "dask frame, mixed": lambda: partition(FRAME.assign(a=a.astype(int), b=b > 50)),
    "dask frame, a category": lambda: partition(FRAME.assign(a=pd.Categorical(a))),
    "dask frame, words": lambda: partition(FRAME.assign(a="x")),
    "dask frame, selection": lambda: (lambda frame: frame[frame.a > 50])(partition(FRAME)),
    "dask series": lambda: partition(FRAME)["a"],
    "dask series, category": lambda: partition(FRAME.astype("category"))["a"],
    "delayed": lambda: dask.delayed(NUMBERS),
    # of torch and others with NumPy's interface
    "tensor": lambda: torch.tensor(NUMBERS),
    "tensor, float32": lambda: torch.tensor(NUMBERS).float(),
    "tensor, bytes": lambda: torch.tensor(NUMBERS.astype(np.uint8)),
    "tensor, bool": lambda: torch.tensor(IS_LARGE),
    "tensor, bfloat16": lambda: torch.tensor(NUMBERS).bfloat16(),
    "tensor, complex": lambda: torch.tensor(NUMBERS.astype(complex)),
    "tensor, NaN": lambda: torch.tensor(WITH_NAN),
    "tensor, sparse": lambda: torch.tensor(NUMBERS).to_sparse(),
    "tensor, transposed": lambda: torch.tensor(NUMBERS.T.copy()).T,
    "tensor, one dimension": lambda: torch.tensor(a),
    "tensor, no rows": lambda: torch.tensor(NUMBERS)[:0],
    "strict": lambda: array_api_strict.asarray(NUMBERS),
    "strict, float32": lambda: array_api_strict.asarray(NUMBERS.astype(np.float32)),
    "strict, bytes": lambda: array_api_strict.asarray(NUMBERS.astype(np.uint8)),
    "strict, complex": lambda: array_api_strict.asarray(NUMBERS.astype(complex)),
    "strict, NaN": lambda: array_api_strict.asarray(WITH_NAN),
    "strict, one dimension": lambda: array_api_strict.asarray(a),
}
WITH_DISPATCH = [
    *("list", "array, float64", "pandas, float64", "pandas, mixed", "polars", "Table", "tensor"),
    *("RecordBatch", "csr_array, float64", "tensor, float32", "tensor, NaN", "tensor, no rows"),
    *("tensor, one dimension", "tensor, transposed", "strict", "strict, float32"),
    *("strict, complex", "strict, NaN", "strict, one dimension"),
]


def make_autoencoder(n_components=1):
    """Return an autoencoder that is not trained: it starts as PCA does."""
    return AutoencoderTransformer(n_components, max_epochs=0, random_state=0)


def call(method, *args):
    """Return the result or the error of a call, and its warnings."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        try:
            result = method(*args)
        except Exception as error:
            result = error
    return result, {str(warning.message) for warning in caught}


def to_numpy(result):
    return np.from_dlpack(result) if hasattr(result, "__dlpack__") else np.asarray(result)


def to_plain(X):
    """Return the numbers of a container that PCA takes, as scikit-learn reads them."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        X = check_array(X, accept_sparse="csr", dtype=float, ensure_all_finite="allow-nan")
    return X.toarray() if sparse.issparse(X) else X


def assert_same_outcome(estimator, found, pca, expected):
    """Check that both calls of a method failed alike or returned nearly the same."""
    (found, found_warnings), (expected, expected_warnings) = found, expected
    if isinstance(expected, Exception):
        assert type(found) is type(expected)
        name = type(estimator).__name__
        texts = [str(found).replace(name, "PCA"), str(expected)]
        assert len({text.split("\n")[0][:30] for text in texts}) == 1
        return
    if isinstance(found, Exception):
        raise found
    assert found_warnings == expected_warnings
    assert type(found) is type(expected)
    found, expected = to_numpy(found), to_numpy(expected)
    assert_allclose(found, expected, rtol=1e-3, atol=1e-3 * np.abs(expected).max())


def compare_with_pca(make, estimator):
    """Compare fit, transform and names with those of PCA."""
    pca = PCA(1)
    for method in ("fit_transform", "transform"):
        expected, found = (call(getattr(e, method), make()) for e in (pca, estimator))
        if "NaN" in str(expected[0]):  # which PCA refuses, but not the autoencoder
            X = make()
            is_foreign = hasattr(X, "__dlpack__") and not isinstance(X, np.ndarray)
            codes = clone(estimator).fit_transform(to_plain(to_numpy(X) if is_foreign else X))
            assert_allclose(to_numpy(found[0]), codes, rtol=1e-3, atol=1e-3 * np.abs(codes).max())
            return
        assert_same_outcome(estimator, found, pca, expected)
        if isinstance(expected[0], Exception):
            return
    # PCA does not count those of __array_interface__
    assert estimator.n_features_in_ == getattr(pca, "n_features_in_", 4)
    names = [getattr(e, "feature_names_in_", None) for e in (estimator, pca)]
    assert_array_equal(*names)


@pytest.mark.parametrize("name", CONTAINERS)
def test_containers_are_taken_and_refused_as_by_pca(name):
    compare_with_pca(CONTAINERS[name], make_autoencoder())


@pytest.mark.parametrize("name", WITH_DISPATCH)
def test_containers_are_taken_and_refused_as_by_pca_with_dispatch(name):
    with config_context(array_api_dispatch=True):
        compare_with_pca(CONTAINERS[name], make_autoencoder())


class CheckedPCA(PCA):
    """PCA that checks codes; in scikit-learn it does so since 1.8."""

    def inverse_transform(self, X):
        codes = check_array(X, input_name="X", dtype=[np.float64, np.float32])
        return super().inverse_transform(codes)


@pytest.mark.parametrize("name", CONTAINERS)
def test_containers_of_codes_are_taken_and_refused_as_by_pca(name):
    pca, estimator = (e.fit(NUMBERS) for e in (CheckedPCA(4), make_autoencoder(4)))
    expected, found = (call(e.inverse_transform, CONTAINERS[name]()) for e in (pca, estimator))
    if "matmul" not in str(expected[0]):  # is what PCA says of another number of codes
        assert_same_outcome(estimator, found, pca, expected)


@pytest.mark.parametrize("name", CONTAINERS)
def test_every_method_takes_or_refuses_what_fit_does(name):
    fitted = make_autoencoder(1)
    make = CONTAINERS[name]
    result, _ = call(fitted.fit, make())
    if isinstance(result, Exception):
        fitted.fit(NUMBERS)
        for method in ("partial_fit", "reconstruct", "score_samples", "score"):
            error, _ = call(getattr(fitted, method), make())
            assert isinstance(error, type(result))
        return
    X = to_plain(make())
    for method in ("reconstruct", "score_samples", "score"):
        found, expected = (call(getattr(fitted, method), Z)[0] for Z in (make(), X))
        assert_allclose(found, expected, rtol=1e-5, atol=1e-4)
    call(fitted.partial_fit, make())
    assert fitted.n_iter_ == 1


# ------------------------------------------------------------------------------------ names


@pytest.mark.parametrize("name", ["Table", "RecordBatch", "polars", "dask frame"])
@pytest.mark.parametrize("output", ["default", "pandas", "polars"])
def test_results_are_put_into_the_containers_that_pca_puts_them_into(name, output):
    frames = [
        e.set_output(transform=output).fit(CONTAINERS[name]()).transform(CONTAINERS[name]())
        for e in (PCA(1), make_autoencoder())
    ]
    assert type(frames[0]) is type(frames[1])
    if output != "default":
        assert list(frames[1].columns) == ["autoencodertransformer0"]
        assert_allclose(frames[1].to_numpy(), frames[0].to_numpy(), rtol=1e-3, atol=1e-2)


@pytest.mark.parametrize("name", ["Table", "polars", "pandas, float64"])
@pytest.mark.parametrize("other", ["pandas, one column", "array, float64", "RecordBatch", "Table"])
def test_names_are_checked_as_by_pca(name, other):
    pca, estimator = (e.fit(CONTAINERS[name]()) for e in (PCA(1), make_autoencoder()))
    expected, found = (call(e.transform, CONTAINERS[other]()) for e in (pca, estimator))
    expected = expected[0], {text.replace("PCA", "AutoencoderTransformer") for text in expected[1]}
    assert_same_outcome(estimator, found, pca, expected)


# -------------------------------------------------------------------------- more than PCA takes


MORE = {
    "tensor that needs a gradient": lambda: torch.tensor(NUMBERS, requires_grad=True),
    "parameter": lambda: torch.nn.Parameter(torch.tensor(NUMBERS)),
    "unknown number of columns": lambda: chunk(NUMBERS)[:, da.from_array(np.ones(4, dtype=bool))],
    "sparse blocks": lambda: chunk(NUMBERS).map_blocks(sparse.csr_array),
    "blocks of sparse matrices": lambda: chunk(NUMBERS).map_blocks(sparse.csr_matrix),
    "sparse on disk": lambda: BackedSparse(sparse.csr_matrix(NUMBERS)),
    "sparse on disk, by columns": lambda: BackedSparse(sparse.csc_matrix(NUMBERS)),
}


@pytest.mark.parametrize("name", MORE)
def test_what_pca_refuses_is_taken_as_its_array(name):
    with pytest.raises((ValueError, RuntimeError)):
        PCA(1).fit(MORE[name]()).transform(MORE[name]())
    estimator, expected = AutoencoderTransformer(1, max_epochs=1, random_state=0), NUMBERS
    codes = estimator.fit(MORE[name]()).transform(MORE[name]())
    assert_allclose(codes, estimator.fit(expected).transform(expected), rtol=1e-5, atol=1e-4)


def test_lengths_of_dask_are_not_set_in_the_array_that_is_passed():
    X = select_rows(chunk(NUMBERS))
    make_autoencoder().fit(X).transform(X)
    assert np.isnan(X.shape[0])


@pytest.mark.parametrize("kind", ["on disk", "dask", "dask, unknown length"])
def test_arrays_that_are_not_tables_are_shown_in_part(kind):
    with pytest.raises(ValueError, match="Expected 2D array, got 1D array") as caught:
        make_autoencoder().fit(CONTAINERS[f"{kind}, one dimension"]())
    assert f"array=[{a[0]:.0f}. " in str(caught.value) or kind == "dask, unknown length"


@pytest.mark.parametrize("name", ["tensor, complex", "strict, complex"])
def test_complex_arrays_of_other_libraries_are_refused(name):
    for method in ("fit", "transform"):
        with (
            config_context(array_api_dispatch=True),
            pytest.raises(ValueError, match="Complex data not supported"),
        ):
            getattr(make_autoencoder().fit(NUMBERS), method)(CONTAINERS[name]())


@pytest.mark.parametrize("method", ["transform", "inverse_transform", "reconstruct", "score"])
def test_arrays_of_another_library_than_in_fit_are_refused(method):
    with config_context(array_api_dispatch=True):
        estimator = make_autoencoder(4).fit(torch.tensor(NUMBERS))
        for name in ("strict", "csr_array, float64"):
            with pytest.raises(ValueError, match="the same namespace and the same device"):
                getattr(estimator, method)(CONTAINERS[name]())
        getattr(estimator.fit(NUMBERS), method)(NUMBERS)
        if method != "inverse_transform":  # which takes no sparse codes
            getattr(estimator, method)(sparse.csr_array(NUMBERS))  # are NumPy's, too


@pytest.mark.parametrize("name", ["tensor, sparse"])
def test_sparse_tensors_are_taken_with_dispatch(name):
    X = CONTAINERS[name]()
    with config_context(array_api_dispatch=True):
        estimator = make_autoencoder(4).fit(torch.tensor(NUMBERS))
        assert_allclose(estimator.transform(X), estimator.transform(X.to_dense()))
        assert_allclose(estimator.inverse_transform(X), estimator.inverse_transform(X.to_dense()))


@pytest.mark.parametrize(
    "name",
    [
        *("array, uint8", "map, bytes", "on disk, bytes", "csr_array, uint8", "tensor, bytes"),
        *("pandas, uint8", "pandas, float32", "dask, bytes", "dask, unknown length, bytes"),
    ],
)
def test_small_dtypes_are_kept(name):
    assert make_autoencoder().fit(CONTAINERS[name]()).mean_.dtype == np.float32


# -------------------------------------------------------------------------- what is not finite


@pytest.mark.parametrize("skip", [False, True])
@pytest.mark.parametrize("bad", [np.nan, np.inf])
@pytest.mark.parametrize(
    "convert", [np.asarray, np.ndarray.tolist, OnDisk, memory_map, sparse.csr_array, chunk]
)
def test_what_is_not_finite_is_named_although_it_is_assumed_to_be(convert, bad, skip):
    numbers = NUMBERS.copy()
    numbers[7, 2] = bad
    estimator = make_autoencoder().fit(NUMBERS)
    settings = {"assume_finite": True, "skip_parameter_validation": skip}
    of_fitted = "transform", "reconstruct", "score", "score_samples"
    if np.isnan(bad):  # which these methods, and fit, take for missing values
        for method in of_fitted:
            expected = getattr(estimator, method)(numbers)
            assert_allclose(getattr(estimator, method)(convert(numbers)), expected, rtol=1e-4)
    for method in ("partial_fit",) if np.isnan(bad) else (*of_fitted, "fit", "partial_fit"):
        with (
            config_context(**settings),
            pytest.raises(ValueError, match=r"X (contains (NaN|infinity)|has missing values)"),
        ):
            getattr(estimator, method)(convert(numbers))
