"""A batch of sparse rows is a dense tensor that linear layers multiply faster."""

import pickle

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.testing import assert_allclose, assert_array_equal
from scipy import sparse
from torch import nn

from sklearn_ae import AutoencoderTransformer
from sklearn_ae import _sparse_batch as module
from sklearn_ae._rows import StandardizedRows, rows_of
from sklearn_ae._sparse_batch import RowLinear, SparseBatch, padded

PARAMS = {"hidden_layer_sizes": (16,), "max_epochs": 3, "random_state": 0}


def batch_of(X):
    mean = np.asarray(X.mean(axis=0), dtype=np.float32).ravel()
    return StandardizedRows(rows_of(X), mean, 0.5)[: X.shape[0]]


def multiplied(layer, rows):
    """Return a layer's output for rows, and the gradients that it leaves."""
    layer.zero_grad()
    output = layer(rows)
    (output * torch.arange(output.numel()).reshape(output.shape)).sum().backward()
    return [output.detach(), *(parameter.grad.clone() for parameter in layer.parameters())]


@settings(max_examples=50, deadline=None)
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
    weighted_sums = module.weighted_sums
    monkeypatch.setattr(
        module, "weighted_sums", lambda rows, X: products.append(X) or weighted_sums(rows, X)
    )
    few = sparse.random_array((100, 20), density=0.1, format="csr", rng=0, dtype=np.float32)
    many = sparse.random_array((100, 20), density=0.5, format="csr", rng=0, dtype=np.float32)
    for X, is_sparse in ((few, True), (many, False), (few.toarray(), False)):
        products.clear()
        autoencoder = AutoencoderTransformer(2, **PARAMS).fit(X)
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


def test_padded_rows_are_the_rows_and_more():
    rows = batch_of(sparse.random_array((5, 4), density=0.3, format="csr", rng=0))
    more = padded(rows, 3)
    assert more.shape == more.X.shape == (8, 4)
    assert_array_equal(more[:5], rows[:])
    assert_array_equal(more.X[:5].toarray(), rows.X.toarray())
    assert type(padded(rows[:], 3)) is torch.Tensor


def test_code_of_a_row_does_not_depend_on_the_others():
    X = sparse.random_array((150, 40), density=0.1, format="csr", rng=0, dtype=np.float32)
    autoencoder = AutoencoderTransformer(3, **PARAMS).fit(X)
    codes = autoencoder.transform(X)
    for part in (slice(0, 1), slice(10, 77), slice(149, 150)):
        assert_array_equal(autoencoder.transform(X[part]), codes[part])


@pytest.mark.parametrize("optimizer", ["adam", "adamw", "sgd"])
def test_training_is_that_on_dense_rows(optimizer):
    X = sparse.random_array((150, 40), density=0.1, format="csr", rng=0, dtype=np.float32)
    fitted, reference = (
        AutoencoderTransformer(3, optimizer=optimizer, **PARAMS).fit(table)
        for table in (X, X.toarray())
    )
    assert_allclose(fitted.loss_curve_, reference.loss_curve_, rtol=1e-4)
    assert_allclose(fitted.transform(X), reference.transform(X.toarray()), atol=1e-3)
    assert_array_equal(pickle.loads(pickle.dumps(fitted)).transform(X), fitted.transform(X))
    fitted.partial_fit(X).partial_fit(X.toarray())
    assert np.isfinite(fitted.loss_curve_).all()
