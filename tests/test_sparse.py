"""A batch of sparse rows is a dense tensor that linear layers multiply faster."""

import pickle

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from numpy.testing import assert_allclose, assert_array_equal
from scipy import sparse
from torch import nn
from torch.nn import functional
from zoo import ESTIMATORS, QUICK, make_estimator, make_units

from sklearn_ae import AutoencoderTransformer
from sklearn_ae._rows import make_rows
from sklearn_ae._sparse import RowLinear, SparseBatch


def batch_of(X):
    """Return all rows of a sparse table as networks see them."""
    mean = np.asarray(X.mean(axis=0), dtype=np.float32).ravel()
    return make_units(mean, 0.5).make_inputs(make_rows(X).read(slice(0, X.shape[0])))


def multiplied(layer, rows):
    """Return a layer's output for rows, and the gradients that it leaves."""
    layer.zero_grad()
    output = layer(rows)
    (output * torch.arange(output.numel()).reshape(output.shape)).sum().backward()
    return [output.detach(), *(parameter.grad.clone() for parameter in layer.parameters())]


@given(
    st.tuples(st.integers(1, 9), st.integers(1, 30), st.integers(1, 5)),
    st.floats(0, 1),
    st.booleans(),
    st.sampled_from([np.float32, np.float64]),
    st.integers(0, 100),
)
def test_linear_layers_are_those_of_dense_rows(sizes, density, has_bias, dtype, seed):
    n_rows, n_features, n_out = sizes
    X = sparse.random_array((n_rows, n_features), density=density, format="csr", rng=seed)
    rows = batch_of(X.astype(dtype))
    torch.manual_seed(seed)
    linear = nn.Linear(n_features, n_out, bias=has_bias)
    dense = torch.tensor(rows.numpy())
    expected, of_weight, *of_bias = multiplied(linear, dense)
    assert isinstance(rows, SparseBatch)
    for given_rows in (rows, dense):
        found = multiplied(RowLinear(linear), given_rows)
        for got, reference in zip(found, (expected, of_weight.T, *of_bias), strict=True):
            assert type(got) is torch.Tensor
            assert_allclose(got, reference, rtol=1e-4, atol=1e-4)  # float32 sums of <= 45 terms


def test_products_are_sparse_where_they_should_be(monkeypatch):
    products = []
    embedding_bag = functional.embedding_bag  # of torch, which the others do not need

    def note_product(*args, **kwargs):
        products.append(args)
        return embedding_bag(*args, **kwargs)

    monkeypatch.setattr(functional, "embedding_bag", note_product)
    few = sparse.random_array((100, 20), density=0.1, format="csr", rng=0, dtype=np.float32)
    many = sparse.random_array((100, 20), density=0.5, format="csr", rng=0, dtype=np.float32)
    for X, is_sparse in ((few, True), (many, False), (few.toarray(), False)):
        products.clear()
        autoencoder = AutoencoderTransformer(2, validation_fraction=0.1, **QUICK).fit(X)
        assert bool(products) == is_sparse
        products.clear()
        autoencoder.transform(X)
        assert bool(products) == is_sparse


def test_other_operations_are_those_of_dense_tensors():
    rows = batch_of(sparse.random_array((5, 4), density=0.3, format="csr", rng=0))
    dense = torch.tensor(rows.numpy())
    for operation in (lambda u: u + 1, lambda u: u[1:], torch.relu, nn.Linear(4, 2)):
        assert type(operation(rows)) is torch.Tensor
        assert operation(rows).shape == operation(dense).shape
    assert_array_equal(rows * 2, dense * 2)


def test_code_of_a_row_does_not_depend_on_the_others():
    X = sparse.random_array((150, 40), density=0.1, format="csr", rng=0, dtype=np.float32)
    autoencoder = AutoencoderTransformer(3, **QUICK).fit(X)
    codes = autoencoder.transform(X)
    for part in (slice(0, 1), slice(10, 77), slice(149, 150)):
        # products of other shapes are summed in another order
        assert_allclose(autoencoder.transform(X[part]), codes[part], rtol=1e-4, atol=1e-6)


def test_products_are_those_of_float32_under_autocast():
    X = sparse.random_array((50, 400), density=0.1, format="csr", rng=0, dtype=np.float32)
    layer = RowLinear(nn.Linear(400, 5))
    expected = multiplied(layer, batch_of(X))
    with torch.autocast("cpu", torch.bfloat16):
        found = multiplied(layer, batch_of(X))
    for got, reference in zip(found, expected, strict=True):
        assert_array_equal(got, reference)


def test_offsets_are_taken_off_before_the_cast_to_float32():
    rng = np.random.default_rng(0)
    X = sparse.random_array((400, 12), density=0.05, rng=rng).toarray()
    X[:, 0] = 1e8 + rng.normal(size=400)
    fitted, reference = (
        AutoencoderTransformer(2, max_epochs=0).fit(table) for table in (sparse.csr_array(X), X)
    )
    assert_allclose(fitted.transform(sparse.csr_array(X)), reference.transform(X), atol=1e-5)


def test_formats_of_the_same_entries():
    X = sparse.random_array((100, 20), density=0.1, format="csr", rng=0)
    wide = sparse.csr_array(X)
    wide.indices, wide.indptr = wide.indices.astype(np.int64), wide.indptr.astype(np.int64)
    in_parts = sparse.csr_array(
        (np.repeat(X.data / 2, 2), np.repeat(X.indices, 2), 2 * X.indptr), shape=X.shape
    )
    backwards = X.data[::-1], X.indices[::-1], X.nnz - X.indptr[::-1]  # indices not in order
    unsorted = sparse.csr_array(backwards, shape=X.shape)
    read_only = X.copy()
    for part in (read_only.data, read_only.indices, read_only.indptr):
        part.flags.writeable = False
    reference = AutoencoderTransformer(3, **QUICK).fit(X)
    for table in (sparse.csr_matrix(X), X.tocsc(), wide, in_parts, read_only):
        fitted = AutoencoderTransformer(3, **QUICK).fit(table)
        assert fitted.scale_ == pytest.approx(reference.scale_)
        assert_allclose(fitted.transform(table), reference.transform(X), rtol=1e-4, atol=1e-5)
    assert_allclose(
        reference.transform(unsorted), reference.transform(X)[::-1], rtol=1e-4, atol=1e-5
    )
    assert in_parts.nnz == 2 * X.nnz  # the user's matrix is left as it is
    empty = AutoencoderTransformer(3, **QUICK).fit(sparse.csr_array((100, 20)))
    assert_array_equal(empty.transform(X[:1]).shape, (1, 3))


@pytest.mark.parametrize("name", ESTIMATORS)
def test_every_estimator_makes_of_sparse_rows_what_it_makes_of_dense_ones(name):
    X = sparse.random_array((150, 40), density=0.1, format="csr", rng=0, dtype=np.float32)
    fitted, reference = (
        make_estimator(name, n_components=3).fit(table) for table in (X, X.toarray())
    )
    for method in ("transform", "reconstruct", "score_samples"):
        found, expected = getattr(fitted, method)(X), getattr(reference, method)(X.toarray())
        assert_allclose(found, expected, atol=1e-3)


@pytest.mark.parametrize("n_components", [2, 8])
def test_rounding_errors_stay_small_from_the_first_step_on(digits, n_components):
    # the encoder's gradients at PCA are nothing else
    params = {"max_epochs": 1, "early_stopping": False, "random_state": 0}
    X = digits[0].astype(np.float32)
    sparsely, densely = (
        AutoencoderTransformer(n_components, **params).fit_transform(table)
        for table in (sparse.csr_array(X), X)
    )
    assert np.abs(sparsely - densely).max() < 1e-3 * densely.std()


@pytest.mark.parametrize("optimizer", ["adam", "adamw", "sgd"])
def test_training_is_that_on_dense_rows(optimizer):
    X = sparse.random_array((150, 40), density=0.1, format="csr", rng=0, dtype=np.float32)
    fitted, reference = (
        AutoencoderTransformer(3, optimizer=optimizer, **QUICK).fit(table)
        for table in (X, X.toarray())
    )
    assert_allclose(fitted.loss_curve_, reference.loss_curve_, rtol=1e-3)
    assert_allclose(fitted.transform(X), reference.transform(X.toarray()), atol=1e-3)
    assert_array_equal(pickle.loads(pickle.dumps(fitted)).transform(X), fitted.transform(X))
    for table in (X, X.toarray(), X.tocsc()):
        fitted.partial_fit(table)
    fitted.set_params(warm_start=True).fit(X.toarray())
    assert np.isfinite(fitted.loss_curve_).all()
