"""Units: from X to u and back."""

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from numpy.testing import assert_allclose, assert_array_equal
from zoo import make_units

from sklearn_ae import AutoencoderTransformer
from sklearn_ae._rows import RunningMoments
from sklearn_ae._units import Units


def units_of(X, **options):
    sums = RunningMoments()
    sums.add(torch.as_tensor(X))
    return Units.from_moments(sums.compute(), torch.as_tensor(X).dtype, **options)


def draw_table(shape, offset, scale, seed):
    return offset + scale * np.random.default_rng(seed).normal(size=shape)


tables = st.builds(
    draw_table,
    st.tuples(st.integers(2, 40), st.integers(1, 8)),
    st.sampled_from([0.0, 1.0, -1e6]),
    st.sampled_from([1e-3, 1.0, 1e4]),
    st.integers(0, 1000),
)


@given(tables, st.sampled_from([np.float32, np.float64]))
def test_u_is_centred_with_unit_mean_variance_and_comes_back(X, dtype):
    X = X.astype(dtype)
    units = units_of(X)
    u = units.standardize(torch.as_tensor(X))
    assert u.numpy().dtype == dtype
    precision = np.finfo(dtype).eps * np.abs(X).max() / units.scale
    assert_allclose(u.mean(dim=0), 0, atol=10 * precision)
    assert_allclose(u.double().square().mean(), 1, rtol=1e-4, atol=10 * precision)
    restored = units.restore(units.make_inputs(torch.as_tensor(X)))
    assert restored.numpy().dtype == dtype
    rounding = 4 * np.finfo(dtype).eps * np.abs(X).max()
    assert_allclose(restored, X, atol=1e-5 * units.scale + rounding)


@given(tables)
def test_ways_to_u_agree(X):
    units = units_of(X)
    expected = (X - X.mean(axis=0)) / np.sqrt(X.var(axis=0).mean())
    precision = 1e-6 * (1 + np.abs(X).max() / units.scale)  # of the batch, which is float32
    batch = torch.as_tensor(X).float()
    assert_allclose(units.standardize(torch.as_tensor(X)), expected, atol=1e-9 + precision * 1e-6)
    assert_allclose(units.standardize_values(X), expected, atol=1e-9 + precision * 1e-6)
    assert_allclose(units.standardize_batch(batch), expected, atol=precision)
    restored = units.restore_batch(units.standardize_batch(batch))
    assert_allclose(restored, batch, atol=1e-6 * float(batch.abs().max()))
    assert_allclose(units.restore_array(expected), X, rtol=1e-9, atol=1e-9)


@given(tables, st.integers(1, 3))
def test_products_of_u_from_those_of_X(X, n_out):
    units = units_of(X)
    X = torch.as_tensor(X)
    u = units.standardize(X)
    weight = torch.linspace(-1, 1, X.shape[1] * n_out, dtype=X.dtype).reshape(-1, n_out)
    gradient = torch.linspace(-1, 2, len(X) * n_out, dtype=X.dtype).reshape(-1, n_out)
    atol = 1e-12 * (1 + float(X.abs().max()) / units.scale) * len(X) * X.shape[1]
    assert_allclose(units.multiply(lambda w: X @ w, weight), u @ weight, atol=atol)
    found = units.multiply_transposed(lambda g: X.T @ g, gradient)
    assert_allclose(found, u.T @ gradient, atol=atol)


def test_clipped_rows_stay_in_the_range():
    units = make_units(np.zeros(3), 2.0, bounds=(-1.0, 0.5))
    rows = units.restore(torch.tensor([[-3.0, 0.1, 3.0]]), clip=True)
    assert_allclose(rows, [[-1, 0.2, 0.5]], rtol=1e-6)
    assert_allclose(units.standardize_range(), [[-0.5] * 3, [0.25] * 3])


def test_logits_are_restored_as_probabilities():
    units = make_units(np.full(2, 0.5), 0.2, has_logits=True)
    assert_allclose(units.restore(torch.tensor([[0.0, 100.0]])), [[0.5, 1.0]])
    assert_allclose(units.restore_targets(torch.tensor([[0.0, 1.0]])), [[0.5, 0.7]], rtol=1e-6)
    weight, bias = units.make_logits(np.array([[1.0], [2.0]]), slope=3.0)
    codes = np.array([0.4])
    x_restored = units.restore_array(np.array([[1.0], [2.0]]) @ codes)
    assert_allclose(weight @ codes + bias, 3.0 * (x_restored - 0.5))


def test_networks_that_take_X_itself():
    units = make_units(np.array([3.0, -1.0]), 2.0, standardizes=False)
    assert units.scale == 1.0
    assert_array_equal(units.mean, 0)
    assert_array_equal(units.feature_mean, [3, -1])
    rows = torch.tensor([[1.0, 2.0]], dtype=torch.float64)
    assert torch.equal(units.standardize(rows), rows)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_state_makes_equal_units(dtype):
    units = make_units(np.array([3.0, -1.0], dtype), 2.0, has_logits=True)
    again = Units(**units.get_state())
    assert again.get_state().keys() == units.get_state().keys()
    for name, value in units.named_buffers():
        assert torch.equal(getattr(again, name), value)
    assert not units.state_dict()  # weights of networks are saved without it


@pytest.mark.parametrize("init", ["linear", "random"])
def test_codes_have_the_units_of_X_where_they_start_as_those_of_pca(digits, init):
    X = digits[0]
    params = {"init": init, "hidden_layer_sizes": (8,), "max_epochs": 2, "random_state": 0}
    fitted, larger = (AutoencoderTransformer(4, **params).fit(c * X) for c in (1, 1024))
    factor = 1024 if init == "linear" else 1
    assert_allclose(larger.transform(1024 * X), factor * fitted.transform(X), rtol=1e-6)
    assert_allclose(larger.reconstruct(1024 * X), 1024 * fitted.reconstruct(X), rtol=1e-6)
    assert_allclose(larger.loss_curve_, 1024**2 * np.array(fitted.loss_curve_))
