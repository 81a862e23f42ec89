"""Tables of every kind are read as the array of the same numbers is, and so are their moments."""

import mmap
from functools import reduce
from operator import add
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from numpy.testing import assert_allclose, assert_array_equal
from scipy import sparse
from sklearn.metrics import r2_score
from zoo import draw_fewer

from sklearn_ae import AutoencoderTransformer, DenoisingAutoencoder
from sklearn_ae._rows import RunningMoments, make_rows

N_ROWS, N_FEATURES = 120, 6
NUMBERS = np.random.RandomState(0).randint(0, 100, size=(N_ROWS, N_FEATURES))
NUMBERS[NUMBERS < 30] = 0


class Sliced:
    """What a table of h5py or zarr has: it is read where it is sliced, and counts what is read."""

    def __init__(self, X):
        self.X, self.shape, self.dtype, self.ndim = X, X.shape, X.dtype, X.ndim
        self.most = 0

    def __getitem__(self, index):
        if not isinstance(index, slice):
            assert (np.diff(index) > 0).all()  # as h5py asks for
        rows = self.X[index]
        self.most = max(self.most, len(rows))
        return rows

    def __array__(self, *args, **kwargs):
        raise AssertionError("The whole table was read.")


def mapped(X, path, mode="r"):
    X.tofile(path / "X")
    return np.memmap(path / "X", dtype=X.dtype, mode=mode, shape=X.shape)


TABLES = {
    "float64": lambda X, path: X.astype(np.float64),
    "float32": lambda X, path: X.astype(np.float32),
    "float16": lambda X, path: X.astype(np.float16),
    "uint8": lambda X, path: X.astype(np.uint8),
    "int8": lambda X, path: X.astype(np.int8),
    "uint16": lambda X, path: X.astype(np.uint16),
    "int64": lambda X, path: X.astype(np.int64),
    "Fortran order": lambda X, path: np.asfortranarray(X.astype(np.uint8)),
    "backwards": lambda X, path: X[::-1].astype(np.float32)[::-1],
    "big-endian": lambda X, path: X.astype(">f4"),
    "long double": lambda X, path: X.astype(np.longdouble),
    "memory map": lambda X, path: mapped(X.astype(np.float32), path),
    "mapped bytes": lambda X, path: mapped(X.astype(np.uint8), path),
    "every other row of a map": lambda X, path: mapped(np.repeat(X, 2, axis=0), path)[::2],
    "end of a map": lambda X, path: mapped(np.tile(X, (500, 1)), path)[-N_ROWS:],
    "some columns of a map": lambda X, path: mapped(np.tile(X, 3), path)[:, 6:12],
    "transposed map": lambda X, path: mapped(X.T.copy(), path).T,
    "big-endian map": lambda X, path: mapped(X.astype(">f8"), path),
    "map from an offset": lambda X, path: np.memmap(
        mapped(np.tile(X, (500, 1)), path).filename, X.dtype, "r", X.nbytes * 400, X.shape
    ),
    "sliced": lambda X, path: Sliced(X.astype(np.float32)),
    "CSR": lambda X, path: sparse.csr_array(X.astype(np.float64)),
    "CSC": lambda X, path: sparse.csc_matrix(X.astype(np.float32)),
    "COO of int": lambda X, path: sparse.coo_array(X),
}


@pytest.mark.parametrize("kind", TABLES)
def test_fit_does_not_depend_on_the_kind_of_table(kind, tmp_path):
    X = TABLES[kind](NUMBERS, tmp_path)
    params = {"hidden_layer_sizes": (8,), "max_epochs": 3, "random_state": 0}
    reference = AutoencoderTransformer(2, **params).fit(NUMBERS.astype(np.float64))
    fitted = AutoencoderTransformer(2, **params).fit(X)
    as_float = np.asarray(NUMBERS, dtype=np.float64)
    for method in ("transform", "reconstruct", "score_samples", "score"):
        expected = getattr(reference, method)(as_float)
        got = getattr(fitted, method)(X)
        assert_allclose(got, expected, rtol=1e-4, atol=1e-3)  # float32, of numbers up to 100
    assert fitted.score(as_float) == pytest.approx(fitted.score(X), abs=1e-5)


@pytest.mark.parametrize("kind", TABLES)
@draw_fewer(1 / 5)
@given(st.lists(st.integers(0, N_ROWS - 1), min_size=1), st.integers(0, 100), st.integers(1, 20))
def test_rows_are_read_as_they_are(tmp_path_factory, kind, index, start, length):
    path = tmp_path_factory.mktemp("rows")
    X = TABLES[kind](NUMBERS, path)
    rows = make_rows(X.tocsr() if sparse.issparse(X) else X)
    assert rows.shape == NUMBERS.shape
    assert_array_equal(rows.read(torch.tensor(index)), NUMBERS[index])
    assert_array_equal(rows.read(slice(start, start + length)), NUMBERS[start : start + length])


@pytest.mark.parametrize("dtype", [np.uint8, np.int16, np.float16, np.float32])
def test_small_dtypes_are_computed_with_in_float32(dtype):
    fitted = AutoencoderTransformer(2, max_epochs=0).fit(NUMBERS.astype(dtype))
    assert fitted.mean_.dtype == np.float32
    assert fitted.reconstruct(NUMBERS.astype(dtype)).dtype == np.float32


@pytest.mark.parametrize("dtype", [np.int64, np.float64])
def test_wide_dtypes_are_computed_with_in_float64(dtype):
    X = NUMBERS.astype(dtype)
    moved = X + 10**9  # beyond float32, whose numbers are 64 apart there
    fitted, other = (AutoencoderTransformer(2, max_epochs=0).fit(Z) for Z in (X, moved))
    assert_allclose(other.transform(moved), fitted.transform(X), atol=1e-4)
    assert other.reconstruct(moved).dtype == np.float64


# ------------------------------------------------------------------------------ statistics


def compute_moments(X, restored, n_blocks=1):
    """Return the moments of rows and their reconstruction, read in blocks."""
    sums = RunningMoments()
    blocks = np.array_split(X, n_blocks), np.array_split(restored, n_blocks)
    for block, result in zip(*blocks, strict=True):
        if len(block):
            sums.add(torch.as_tensor(block), torch.as_tensor(result))
    return sums.compute()


@st.composite
def pairs(draw):
    """Return rows and their reconstruction, some columns constant, some far from zero."""
    rng = np.random.default_rng(draw(st.integers(0, 1000)))
    shape = draw(st.tuples(st.integers(2, 60), st.integers(1, 6)))
    X = rng.normal(size=shape) * draw(st.sampled_from([1e-3, 1.0, 1e3]))
    X = X + draw(st.sampled_from([0.0, 1e6])) * rng.integers(0, 2, size=shape[1])
    X[:, rng.random(shape[1]) < 0.2] = 7.0
    return X, X + 0.1 * X.std() * rng.normal(size=shape)


@given(pairs(), st.floats(0, 1), st.integers(1, 5), st.integers(1, 5))
def test_moments_are_those_of_numpy_in_any_partition(pair, missing, n_blocks, n_tables):
    X, restored = pair
    holes = np.random.default_rng(0).random(X.shape) < missing
    for table in (X, np.where(holes, np.nan, X)):
        parts = (np.array_split(rows, n_tables) for rows in (table, restored))
        tables = zip(*parts, strict=True)
        merged = reduce(add, [compute_moments(*part, n_blocks) for part in tables if len(part[0])])
        for found in (compute_moments(table, restored, n_blocks), merged):
            check_moments(found, table, restored)


def check_moments(found, X, restored):
    """Compare the moments of rows with those that NumPy finds of the entries that are there."""
    is_observed = ~np.isnan(X)
    assert found.n_rows == len(X)
    assert found.observed_share == pytest.approx(is_observed.mean())
    assert_array_equal(found.counts, is_observed.sum(axis=0))
    atol = 1e-12 * np.nanmax(np.abs(X), initial=0.0)
    for i in np.flatnonzero(is_observed.any(axis=0)):
        column, errors = (rows[is_observed[:, i], i] for rows in (X, X - restored))
        assert_allclose(found.mean[i], column.mean(), atol=atol)
        assert_allclose(found.variance[i], column.var(), atol=1e12 * atol**2)
        assert found.low[i] == column.min()
        assert found.high[i] == column.max()
        assert_allclose(found.error[i], np.square(errors).sum(), rtol=1e-9)


@given(pairs(), st.integers(1, 4))
def test_r2_is_that_of_scikit_learn(pair, n_blocks):
    X, restored = pair
    X = X - X.mean(axis=0)  # scikit-learn's own variance of large numbers is less exact
    X[:, np.ptp(X, axis=0) < 1e-6] = 0  # constant
    restored = np.where(np.ptp(X, axis=0) > 0, restored - restored.mean(axis=0), X)
    expected = r2_score(X, restored, multioutput="variance_weighted")
    found = compute_moments(X, restored, n_blocks).compute_r2()
    assert_allclose(found, expected, rtol=1e-6, atol=1e-9)


def test_r2_where_it_is_special():
    constant = np.ones((4, 2))
    assert compute_moments(constant, constant).compute_r2() == 1.0
    assert compute_moments(constant, constant + np.array([0, 1])).compute_r2() == 0.5
    assert np.isnan(compute_moments(constant[:1], constant[:1]).compute_r2())


@pytest.mark.parametrize("bad", [np.inf, -np.inf])
def test_sums_that_are_not_finite_are_noticed(bad):
    sums = RunningMoments()
    for number in (1.0, np.nan):  # which is a missing value
        sums.add(torch.tensor([[1.0, number]]))
        assert sums.is_finite()
    sums.add(torch.tensor([[1.0, bad]]))
    assert not sums.is_finite()


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("offset", [0, 1e3])
@pytest.mark.parametrize("n_samples", [2, 7, 400_000])  # the last ones in several parts
def test_statistics(n_samples, offset, dtype):
    X = np.random.RandomState(n_samples).normal(size=(n_samples, 3)) * [1, 10, 100]
    X = (X + offset).astype(dtype)
    seen = make_rows(X).compute_moments()
    precise = X.astype(np.float64)
    assert seen.low.numpy().dtype == dtype
    assert_allclose(seen.mean, precise.mean(axis=0), rtol=1e-6, atol=1e-5)
    assert_allclose(seen.variance, precise.var(axis=0), rtol=1e-5)
    assert_array_equal(seen.low, X.min(axis=0))
    assert_array_equal(seen.high, X.max(axis=0))


@pytest.mark.parametrize("convert", [np.asarray, sparse.csr_array])
def test_statistics_of_rows_with_holes(convert):
    X = np.where(np.random.RandomState(0).random_sample(NUMBERS.shape) < 0.2, np.nan, NUMBERS)
    check_moments(make_rows(convert(X)).compute_moments(), X, X)


def test_statistics_of_sparse_rows_are_those_of_dense_ones():
    dense = make_rows(NUMBERS.astype(np.float64)).compute_moments()
    few = make_rows(sparse.csr_array(NUMBERS)).compute_moments()
    assert few.n_rows == dense.n_rows
    for name in ("counts", "mean", "variance", "low", "high"):
        assert_allclose(getattr(few, name), getattr(dense, name), rtol=1e-12)


def test_statistics_of_large_sparse_numbers():
    shape = 400_000, 6  # in several parts
    X = sparse.random(*shape, density=0.5, rng=0, format="csr", dtype=np.float32)
    X *= np.float32(1e30)
    found = make_rows(X).compute_moments()
    assert_allclose(found.mean, X.toarray().mean(axis=0, dtype=float), rtol=1e-6)
    # sums of so many numbers
    assert_allclose(found.variance, X.toarray().var(axis=0, dtype=float), rtol=1e-10)


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize("kind", ["float64", "memory map", "sliced", "CSR"])
@pytest.mark.parametrize("row", [0, N_ROWS - 1])
def test_what_is_not_finite_is_found_in_every_part(monkeypatch, tmp_path, kind, bad, row):
    # many parts of a table that is small enough to be fitted so often
    monkeypatch.setattr("sklearn_ae._rows.PART_ENTRIES", 10 * N_FEATURES)
    numbers = NUMBERS.astype(np.float32)
    fitted = AutoencoderTransformer(2, init="linear", max_epochs=0).fit(numbers)
    before = fitted.transform(numbers)
    numbers[row, 3] = bad
    X = TABLES[kind](numbers, tmp_path)
    # the others take missing values
    for method in (
        ("partial_fit",) if np.isnan(bad) else ("fit", "partial_fit", "transform", "score")
    ):
        with pytest.raises(ValueError, match=r"X (contains (NaN|infinity)|has missing values)"):
            getattr(fitted, method)(X)
    assert_array_equal(fitted.transform(NUMBERS.astype(np.float32)), before)
    if np.isnan(bad):
        assert_allclose(fitted.fit(X).mean_, np.nanmean(numbers, axis=0), rtol=1e-5)
        assert fitted.scale_ == pytest.approx(np.nanvar(numbers, axis=0).mean() ** 0.5)


# ----------------------------------------------------------- files that are mapped or sliced


def test_sliced_tables_are_never_read_whole():
    X = Sliced(np.random.default_rng(0).random((20_000, 500), dtype=np.float32))
    fitted = AutoencoderTransformer(2, hidden_layer_sizes=(8,), max_epochs=1).fit(X)
    assert fitted.transform(X).shape == (20_000, 2)
    assert fitted.score(X) > 0
    assert X.most <= 5_000
    with pytest.raises(ValueError, match="expecting 500 features"):
        fitted.transform(Sliced(X.X[:, :3]))
    with pytest.raises(ValueError, match="Expected 2D array"):
        fitted.transform(Sliced(X.X[0]))


def private_pages():
    pages = Path("/proc/self/statm").read_text().split()
    return int(pages[1]) - int(pages[2])


@pytest.mark.skipif(not Path("/proc/self/statm").exists(), reason="Linux counts pages there")
def test_maps_are_not_copied(tmp_path):
    params = {"hidden_layer_sizes": (8,), "max_epochs": 1}
    AutoencoderTransformer(2, **params).fit(NUMBERS)  # what the first fit of a process takes
    X = mapped(np.random.default_rng(0).random((800_000, 50), dtype=np.float32), tmp_path)
    before = private_pages()
    AutoencoderTransformer(2, **params).fit(X).score(X)
    # the allocator keeps some of what batches took
    assert (private_pages() - before) * mmap.PAGESIZE < 0.75 * X.nbytes


@pytest.mark.parametrize("mode", ["r+", "c"])
def test_what_was_written_to_a_map_is_read(tmp_path, mode):
    X = mapped(NUMBERS.astype(np.float64), tmp_path, mode)
    X[:, 0] += 1
    written = NUMBERS.astype(np.float64)
    written[:, 0] += 1
    fitted = AutoencoderTransformer(2, hidden_layer_sizes=(8,), max_epochs=1).fit(X)
    assert_allclose(fitted.mean_, written.mean(axis=0))
    assert_array_equal(X, written)


def test_map_of_a_file_that_is_gone_is_read(tmp_path):
    X = mapped(NUMBERS.astype(np.float64), tmp_path)
    (tmp_path / "X").unlink()
    assert_allclose(AutoencoderTransformer(2, max_epochs=0).fit(X).mean_, NUMBERS.mean(axis=0))


def test_map_of_a_file_that_was_replaced_is_read(tmp_path):
    X = mapped(NUMBERS, tmp_path)
    (NUMBERS + 1).tofile(tmp_path / "other")
    (tmp_path / "other").replace(tmp_path / "X")
    assert_array_equal(make_rows(X).read(slice(0, N_ROWS)), NUMBERS)


def test_truncated_map_is_refused(tmp_path):
    numbers = np.arange(4 * mmap.PAGESIZE, dtype=np.float64).reshape(-1, 4)
    fitted = AutoencoderTransformer(2, init="linear", max_epochs=0).fit(numbers)
    codes = fitted.transform(numbers)
    X = mapped(numbers, tmp_path)
    with (tmp_path / "X").open("r+b") as file:
        file.truncate(mmap.PAGESIZE)
    for method in ("fit", "partial_fit", "transform", "score"):
        with pytest.raises(ValueError, match=r"memory map of .*X, which has been truncated"):
            getattr(fitted, method)(X)
    assert_array_equal(fitted.transform(numbers), codes)


# ------------------------------------------------------------------------------------ sparse


def test_sparse_rows_are_restored():
    X = sparse.csr_array(NUMBERS / 100)
    params = {"hidden_layer_sizes": (8,), "max_epochs": 3, "random_state": 0}
    few, dense = (
        DenoisingAutoencoder(3, corruption="masking", corruption_level=0.2, **params).fit(Z)
        for Z in (X, X.toarray())
    )
    assert_allclose(few.reconstruct(X), dense.reconstruct(X.toarray()), atol=1e-4)


def test_partial_fit_takes_sparse_chunks():
    X = sparse.csr_array(NUMBERS)
    autoencoder = AutoencoderTransformer(3, hidden_layer_sizes=(8,), random_state=0)
    for _ in range(3):
        autoencoder.partial_fit(X[:60]).partial_fit(X[60:])
    assert autoencoder.score(X) > 0.5


@pytest.mark.parametrize("convert", [np.array, torch.tensor, sparse.csr_array])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_rows_of_the_user_are_left_as_they_are(dtype, convert):
    X = convert(NUMBERS.astype(dtype))
    fitted = AutoencoderTransformer(2, hidden_layer_sizes=(8,), max_epochs=1)
    fitted.fit(X).partial_fit(X)
    for method in ("transform", "reconstruct", "score_samples", "score"):
        getattr(fitted, method)(X)
    assert_array_equal(X.toarray() if sparse.issparse(X) else X, NUMBERS)


def test_columns_that_are_not_numbers_are_named():
    frame = pd.DataFrame({"mass": [1.0, 2.0], "sex": ["f", "m"], "text": ["1", "2"], "n": [1, 2]})
    numbers = frame[["mass", "n"]]
    for fit in (
        lambda: AutoencoderTransformer(1).fit(frame),
        lambda: AutoencoderTransformer(1).partial_fit(frame),
        lambda: DenoisingAutoencoder(1).fit(numbers, X_clean=frame),
    ):
        with pytest.raises(ValueError, match="could not convert string to float") as caught:
            fit()
        (note,) = caught.value.__notes__
        assert note == (
            "Not numbers: column sex. Encode categories with OneHotEncoder, dates as numbers, or "
            "leave such columns out."
        )


def test_series_is_refused_as_by_scikit_learn():
    with pytest.raises(ValueError, match="Expected a 2-dimensional container"):
        AutoencoderTransformer(1).fit(pd.Series(np.arange(10.0)))


@pytest.mark.parametrize("dtype", [np.uint8, np.float32, np.float64])
def test_data_frames_are_taken_as_their_arrays_are(dtype):
    X = NUMBERS.astype(dtype)
    params = {"hidden_layer_sizes": (8,), "max_epochs": 1, "random_state": 0}
    table = pd.DataFrame(X).add_prefix("x")
    array = AutoencoderTransformer(2, **params).fit(X)
    frame = AutoencoderTransformer(2, **params).fit(table)
    assert frame.mean_.dtype == array.mean_.dtype
    assert_array_equal(frame.transform(table), array.transform(X))
    assert_array_equal(frame.reconstruct(table), array.reconstruct(X))
