"""The start is PCA: `sklearn.decomposition.PCA` is the reference throughout."""

from contextlib import contextmanager
from inspect import signature

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from numpy.testing import assert_allclose, assert_array_equal
from scipy import sparse
from scipy.sparse.linalg import eigsh
from sklearn.decomposition import PCA

from sklearn_ae import AutoencoderTransformer, DenoisingAutoencoder

LARGEST_SAMPLE = 100_000  # rows of X that the start is computed from, as the documentation says


def untrained(n_components, estimator=AutoencoderTransformer, **params):
    """Return an autoencoder that stays at its start."""
    init = "auto" if "loss" in params else "linear"
    params = {"init": init, "max_epochs": 0, "random_state": 0, **params}
    return estimator(n_components, **params)


def read_components(fitted):
    """Return the components, (n_components, n_features), by which a start without bias encodes.

    They are weights of the network, in float32.
    """
    codes = fitted.encoder_(torch.eye(fitted.n_features_in_))
    return codes.detach().numpy().astype(np.float64).T / fitted.scale_


@given(
    n_samples=st.integers(3, 60),
    n_features=st.integers(2, 12),
    size=st.floats(0, 1),
    magnitude=st.sampled_from([1e-6, 1.0, 1e6]),
    dtype=st.sampled_from([np.float32, np.float64]),
    seed=st.integers(0, 1000),
)
def test_start_is_pca(n_samples, n_features, size, magnitude, dtype, seed):
    rng = np.random.RandomState(seed)
    spread = np.linspace(1, 3, n_features)  # distinct variances, hence distinct components
    X = (magnitude * rng.normal(size=(n_samples, n_features)) * spread).astype(dtype)
    n_components = 1 + int(size * (min(n_samples, n_features) - 1))
    pca = PCA(n_components).fit(X.astype(np.float64))
    autoencoder = untrained(n_components).fit(X)
    codes = pca.transform(X)
    # where n_samples <= n_features PCA's last component has no variance and any direction
    used = pca.explained_variance_ > 1e-6 * pca.explained_variance_[0]
    scale = np.abs(X - X.mean(axis=0)).max()
    assert np.abs(autoencoder.transform(X) - codes)[:, used].max() < 1e-3 * scale
    error = autoencoder.reconstruct(X) - pca.inverse_transform(codes)
    assert np.abs(error).max() < 1e-3 * scale


def test_start_agrees_with_pca_to_rounding_on_digits(digits):
    X_train, X_test = digits
    pca = PCA(16).fit(X_train)
    autoencoder = untrained(16).fit(X_train)
    codes = pca.transform(X_test)
    # float32 has 7 digits; pixels go up to 16, codes up to 40
    np.testing.assert_allclose(autoencoder.transform(X_test), codes, atol=1e-4)
    np.testing.assert_allclose(
        autoencoder.inverse_transform(codes), pca.inverse_transform(codes), atol=1e-4
    )
    assert (autoencoder.n_iter_, autoencoder.best_epoch_) == (0, 0)
    assert autoencoder.loss_curve_ == []


@pytest.mark.parametrize("share", [0.5, 0.9, 0.99])
def test_float_n_components_is_as_in_pca(digits, share):
    X_train, _ = digits
    autoencoder = untrained(share).fit(X_train)
    assert autoencoder.n_components_ == PCA(share).fit(X_train).n_components_
    textbook = untrained(share, init="random").fit(X_train)
    assert textbook.n_components_ == autoencoder.n_components_


def test_randomised_solver_takes_the_same_seed():
    X = np.random.RandomState(0).normal(size=(600, 600))
    pca = PCA(3, random_state=7).fit(X)
    autoencoder = AutoencoderTransformer(3, max_epochs=0, random_state=7).fit(X)
    np.testing.assert_allclose(autoencoder.transform(X), pca.transform(X), atol=1e-3)


def test_offset_does_not_matter(X):
    autoencoder = untrained(3).fit(X)
    moved = untrained(3).fit(X + 1e8)
    # X + 1e8 itself is rounded to 1.5e-8
    np.testing.assert_allclose(moved.transform(X + 1e8), autoencoder.transform(X), atol=1e-5)
    np.testing.assert_allclose(moved.score(X + 1e8), autoencoder.score(X), atol=1e-6)


def test_more_codes_than_pca_can_give(X):
    overcomplete = untrained(15).fit(X)
    codes = overcomplete.transform(X)
    assert codes.shape == (60, 15)
    np.testing.assert_array_equal(codes[:, 10:], 0)
    np.testing.assert_allclose(overcomplete.reconstruct(X), X, atol=1e-4)
    few_rows = untrained(8).fit(X[:5])
    np.testing.assert_allclose(few_rows.reconstruct(X[:5]), X[:5], atol=1e-4)


def test_order_of_features_does_not_matter(X):
    order = np.random.RandomState(1).permutation(X.shape[1])
    straight = untrained(3).fit(X).reconstruct(X)
    permuted = untrained(3).fit(X[:, order]).reconstruct(X[:, order])
    np.testing.assert_allclose(permuted, straight[:, order], atol=1e-5)


def test_wider_code_is_no_worse(digits):
    X_train, X_test = digits
    scores = [untrained(size).fit(X_train).score(X_test) for size in (1, 2, 4, 8, 16, 32, 64)]
    assert np.all(np.diff(scores) > 0)
    assert scores[-1] == pytest.approx(1, abs=1e-6)


def draw_sample(n_samples, seed):
    """Return the indices of the rows from which the start of many rows is computed."""
    index = np.random.RandomState(seed).choice(n_samples, LARGEST_SAMPLE, replace=False)
    return np.sort(index)


def test_large_X_is_sampled():
    rng = np.random.RandomState(0)
    X = rng.normal(size=(2 * LARGEST_SAMPLE, 3)) * [3, 2, 1]
    found = read_components(untrained(2, early_stopping=False).fit(X))
    assert_allclose(found, PCA(2).fit(X[draw_sample(len(X), 0)]).components_, atol=1e-6)
    assert not np.allclose(found, PCA(2).fit(X).components_, atol=1e-4)


def test_constant_X_has_a_start():
    X = np.full((20, 4), 7.0)
    autoencoder = untrained(2).fit(X)
    assert autoencoder.scale_ == 1
    np.testing.assert_array_equal(autoencoder.reconstruct(X), X)


def add_noise(rows, generator):
    return rows + torch.randn(rows.shape, generator=generator)


def keep_means(rows, generator):
    return rows.mean(dim=1, keepdim=True).expand(rows.shape).clone()


def replace_all(rows, generator):
    return 0 * rows + torch.linspace(1, 2, rows.shape[1])


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize(
    "corrupt",
    [lambda rows, generator: rows.clone(), add_noise, keep_means, replace_all],
    ids=["none", "noise", "one number a row", "nothing left"],
)
@pytest.mark.parametrize(
    "X",
    [
        np.random.RandomState(0).normal(size=(50, 1)),
        np.random.RandomState(0).normal(size=(2, 5)),
        np.random.RandomState(0).normal(size=(5, 300)),
        np.random.RandomState(0).normal(size=(500, 3)) @ np.ones((3, 200)),
        np.repeat(np.random.RandomState(0).normal(size=(300, 20)), 15, axis=1),
        np.c_[np.random.RandomState(0).normal(size=(50, 3)), np.zeros((50, 2))],
    ],
    ids=["one feature", "two rows", "wide", "low rank", "features thrice", "constant features"],
)
def test_regression_copes_with_any_rank(X, corrupt, dtype):
    """Finite, and no worse than the mean of the rows; a warning would fail the test."""
    X = X.astype(dtype)
    start = untrained(2, DenoisingAutoencoder, corruption=corrupt).fit(X)
    damaged = corrupt(torch.as_tensor(X).float(), torch.Generator().manual_seed(0)).numpy()
    assert start.transform(damaged).shape == (len(X), 2)
    errors = (start.reconstruct(damaged.astype(dtype)) - X).astype(np.float64)
    assert np.square(errors).mean() <= 1.001 * X.var(axis=0, dtype=np.float64).mean()


# ---------------------------------------------------------------------------- sparse tables


@contextmanager
def watch_dense_rows():
    """Yield a list of the shapes of the sparse tables that the block makes dense."""
    shapes = []
    make_dense = sparse.csr_array.toarray

    def note_shape(table, *args, **kwargs):
        shapes.append(table.shape)
        return make_dense(table, *args, **kwargs)

    with pytest.MonkeyPatch.context() as patch:
        for kind in (sparse.csr_array, sparse.csr_matrix, sparse.csc_array, sparse.csc_matrix):
            patch.setattr(kind, "toarray", note_shape)
        yield shapes


def fit_sparse(X, n_components, **params):
    """Return the start of a sparse table; it fails where the table would be made dense."""
    with watch_dense_rows() as shapes:
        fitted = untrained(n_components, early_stopping=False, **params).fit(X)
    # products may be dense, and so are batches, of which one may have all of few rows
    if X.shape[0] != X.shape[1] and X.shape[0] > 64:
        assert X.shape not in shapes
    return fitted


def draw_sparse(shape, density=0.05, seed=0, dtype=np.float64):
    """Return a sparse table whose components differ in their variance."""
    X = sparse.random_array(shape, density=density, format="csr", rng=seed)
    return sparse.csr_array(X * np.geomspace(1, 0.1, shape[1])).astype(dtype)


SHAPES = [(400, 900), (900, 400), (60, 900), (900, 60), (3000, 140), (130, 130), (5, 40)]


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("dtype", [np.float64, np.float32])
def test_sparse_start_is_that_of_scikit_learns_sparse_pca(shape, dtype):
    X = draw_sparse(shape, dtype=dtype)
    for n_components in {1, min(4, min(shape) - 1), min(20, min(shape) - 1), min(shape) - 1}:
        pca = PCA(n_components, svd_solver="arpack", random_state=0).fit(X.astype(np.float64))
        fitted = fit_sparse(X, n_components)
        found = read_components(fitted)
        scale = pca.explained_variance_[0] ** 0.5
        scores = X @ (found - pca.components_).T  # of what has no variance any will do
        used = pca.explained_variance_ > 1e-3 * pca.explained_variance_[0]
        # weights are float32; so are the products of which the components of float32 rows come
        atol = (1e-6 if dtype == np.float64 else 2e-3) * scale
        assert_allclose(scores[:, used], 0, atol=atol)
        assert_allclose(found @ found.T, np.eye(n_components), atol=1e-4)
        decoder = fitted.decoder_(fitted.scale_ * torch.eye(n_components)).detach()
        assert_allclose(decoder, found, rtol=1e-6, atol=1e-7)


@pytest.mark.parametrize("shape", SHAPES)
def test_codes_of_sparse_rows_are_those_of_the_exact_pca_of_dense_ones(shape):
    X = draw_sparse(shape)
    n_components = min(6, min(shape) - 1)
    fitted, reference = (untrained(n_components).fit(table) for table in (X, X.toarray()))
    exact = PCA(n_components, svd_solver="full").fit_transform(X.toarray())
    assert_allclose(fitted.transform(X), exact, atol=1e-5)
    # dense tables of some shapes are solved by random projections
    assert fitted.score(X) > reference.score(X.toarray()) - 1e-5


@pytest.mark.parametrize("shape", [(900, 60), (3000, 140), (130, 130), (5, 40)])
def test_sparse_start_is_that_of_dense_rows(shape):
    X = draw_sparse(shape)
    n_components = min(6, min(shape) - 1)
    fitted, reference = (untrained(n_components).fit(table) for table in (X, X.toarray()))
    for method in ("transform", "reconstruct"):
        found, expected = getattr(fitted, method)(X), getattr(reference, method)(X.toarray())
        assert_allclose(found, expected, atol=1e-5)


def test_sparse_start_of_any_dtype_and_index():
    counts = sparse.csr_array(np.random.RandomState(0).poisson(0.1, size=(500, 300)))
    reference = read_components(fit_sparse(counts.astype(np.float64), 5))
    wide = counts.astype(np.float64)
    wide.indices, wide.indptr = wide.indices.astype(np.int64), wide.indptr.astype(np.int64)
    tables = (counts, counts.astype(np.uint8), counts.astype(np.float32), wide)
    for table in (*tables, sparse.csr_matrix(counts.astype(np.float64))):
        assert_allclose(read_components(fit_sparse(table, 5)), reference, atol=1e-3)
    marks = counts.astype(bool)
    expected = read_components(fit_sparse(marks.astype(np.float64), 5))
    assert_allclose(read_components(fit_sparse(marks, 5)), expected, atol=1e-3)


@pytest.mark.parametrize("shape", [(20, 400), (400, 20), (300, 400), (30, 1), (2, 3)])
def test_more_codes_than_a_sparse_table_has_components(shape):
    X = draw_sparse(shape, 0.3)
    size = min(shape[0] - 1, shape[1])
    fitted = fit_sparse(X, size + 5)
    assert fitted.transform(X).shape == (shape[0], size + 5)
    found = read_components(fitted)
    assert_array_equal(found[size:], 0)
    centred = X - np.asarray(X.mean(axis=0))
    assert_allclose(centred @ found.T @ found, centred, atol=1e-6)  # of weights in float32


DEGENERATE = {
    "empty": sparse.csr_array((300, 200)),
    "empty, wide": sparse.csr_array((200, 300)),
    "constant": sparse.csr_array(np.full((300, 200), 0.1)),
    "one entry": sparse.csr_array(([1.0], ([3], [4])), shape=(300, 200)),
    "one column": sparse.csr_array(np.eye(300, 200) * (np.arange(200) == 7)),
    "equal variances": sparse.eye_array(300, format="csr"),
    "low rank": sparse.kron(draw_sparse((3, 4), 0.9), np.ones((100, 50)), format="csr"),
}


@pytest.mark.parametrize("dtype", [np.float64, np.float32])
@pytest.mark.parametrize("name", DEGENERATE)
@pytest.mark.parametrize("n_components", [1, 10, 190, 250])
def test_degenerate_sparse_tables(name, n_components, dtype):
    X = sparse.csr_array(DEGENERATE[name].astype(dtype))
    found, again = (read_components(fit_sparse(X, n_components)) for _ in range(2))
    assert np.isfinite(found).all()
    centred = (X - np.asarray(X.mean(axis=0))).astype(float)
    variances = np.square(centred @ found.T).sum(axis=0)
    rounding = 1e-9 * float(np.square(X.toarray()).sum())  # of float32 rows
    if "rng" in signature(eigsh).parameters:
        assert_array_equal(found, again)
    else:  # before SciPy 1.17 ARPACK draws what has no variance from a state that it keeps
        used = variances > rounding
        assert_allclose(found[used], again[used], atol=1e-6)
    kept = variances.sum()
    exact = np.square(np.linalg.svd(centred, compute_uv=False))[:n_components].sum()
    assert kept == pytest.approx(exact, rel=1e-4, abs=max(1e-8, rounding))


@pytest.mark.parametrize("magnitude", [1e-20, 1e-6, 1e6])
def test_magnitude_of_a_sparse_table_does_not_matter(magnitude):
    X = draw_sparse((300, 400))
    expected, found = (fit_sparse(table, 4) for table in (X, magnitude * X))
    assert_allclose(read_components(found), read_components(expected), atol=1e-6)
    # nor does it in training, where hidden units take codes of unit size
    params = {"max_epochs": 2, "hidden_layer_sizes": (8,)}
    expected, found = (fit_sparse(table, 4, **params) for table in (X, magnitude * X))
    codes = found.transform(magnitude * X) / magnitude
    assert_allclose(codes, expected.transform(X), rtol=1e-3, atol=1e-4)
    assert found.loss_curve_ == pytest.approx(
        [magnitude**2 * loss for loss in expected.loss_curve_], rel=1e-4, abs=0
    )


@pytest.mark.parametrize("dtype", [np.float64, np.float32])
def test_one_column_far_from_zero(dtype):
    X = draw_sparse((300, 400)).toarray()
    X[:, 0] = 4096 + np.random.RandomState(0).normal(size=300).round(2)
    X = X.astype(dtype)
    expected = PCA(4).fit(X.astype(np.float64)).components_
    found = read_components(fit_sparse(sparse.csr_array(X), 4))
    assert_allclose(found, expected, atol=1e-5)


def test_wide_sparse_tables_and_their_random_state():
    X = draw_sparse((400, 1900))
    expected = PCA(4, svd_solver="arpack", random_state=3).fit(X).components_
    states = [np.random.RandomState(3) for _ in range(2)]
    for state in (3, *states):
        found = read_components(fit_sparse(X, 4, random_state=state))
        assert_allclose(found, expected, atol=1e-6)
    first, second = (state.randint(2**31) for state in states)
    assert first == second != np.random.RandomState(3).randint(2**31)


def test_large_sparse_X_is_sampled():
    X = draw_sparse((LARGEST_SAMPLE + 50_000, 20))
    found = read_components(fit_sparse(X, 3))
    sample = X[draw_sample(X.shape[0], 0)]
    exact, of_all = (PCA(3, svd_solver="arpack", random_state=0).fit(t) for t in (sample, X))
    assert_allclose(found, exact.components_, atol=1e-6)
    assert not np.allclose(found, of_all.components_, atol=1e-4)


@pytest.mark.parametrize("shape", [(900, 60), (500, 400)])
@pytest.mark.parametrize("share", [0.3, 0.9])
def test_share_of_the_variance_of_a_sparse_table(shape, share):
    X = draw_sparse(shape, 0.04)
    expected = PCA(share).fit(X.toarray())
    assert_allclose(read_components(fit_sparse(X, share)), expected.components_, atol=1e-6)


def test_share_of_the_variance_of_a_wide_sparse_table():
    X = draw_sparse((60, 900), 0.04)
    fitted = untrained(0.9).fit(X)
    assert fitted.n_components_ == PCA(0.9).fit(X.toarray()).n_components_


def test_slope_of_sparse_logits_needs_few_rows():
    X = draw_sparse((850, 5000), 0.01)
    with watch_dense_rows() as shapes:
        untrained(3, loss="binary_cross_entropy", early_stopping=False).fit(X / X.max())
    n_entries = sum(n_rows * n_columns for n_rows, n_columns in shapes if n_columns == 5000)
    assert 0 < n_entries < 2**22


# ---------------------------------------------------------------------------------- logits


def cross_entropy(X, logits):
    return (np.logaddexp(0, logits) - X * logits).mean()


def logits_of(autoencoder, X):
    probability = autoencoder.reconstruct(X).astype(np.float64)
    return np.log(probability) - np.log1p(-probability)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_logits_start_as_a_multiple_of_pca(digits, dtype):
    X = (digits[0] / 16).astype(dtype)
    pca = PCA(8, random_state=0).fit(X)
    codes = pca.transform(X)
    autoencoder = untrained(8, loss="binary_cross_entropy").fit(X)
    np.testing.assert_allclose(autoencoder.transform(X), codes, atol=1e-4)
    margin = pca.inverse_transform(codes) - 0.5
    logits = logits_of(autoencoder, X)
    slope = float((logits * margin).sum() / (margin**2).sum())
    assert slope > 1
    np.testing.assert_allclose(logits, slope * margin, atol=2e-3)
    # no other slope is better
    least = cross_entropy(X, slope * margin)
    for factor in (0.9, 1.1):
        assert least < cross_entropy(X, factor * slope * margin)
    assert autoencoder.reconstruct(X).dtype == dtype


def test_logits_of_restored_rows_start_better_than_those_of_pca(digits):
    X, X_test = (images / 16 for images in digits)
    noisy = X_test + 0.5 * np.random.RandomState(0).normal(size=X_test.shape)
    params = {"loss": "binary_cross_entropy", "max_epochs": 0, "random_state": 0}
    denoising = DenoisingAutoencoder(16, corruption_level=0.5, **params).fit(X)
    plain = AutoencoderTransformer(16, **params).fit(X)
    restored, kept = (cross_entropy(X_test, logits_of(a, noisy)) for a in (denoising, plain))
    assert restored < 0.9 * kept


@pytest.mark.parametrize("values", [[0, 1], [0.5, 0.5], [1, 1]])
def test_logits_of_what_is_sure_are_finite(values):
    X = np.tile(values, (10, 3))
    X = np.concatenate([X, X[:, ::-1]])
    autoencoder = untrained(6, loss="binary_cross_entropy").fit(X)
    assert autoencoder.decoder_(torch.from_numpy(autoencoder.transform(X))).isfinite().all()
    np.testing.assert_allclose(autoencoder.reconstruct(X), X, atol=1e-6)
