"""Moments: what NumPy and scikit-learn compute, from any partition of the rows."""

from functools import reduce
from operator import add

import numpy as np
import torch
from hypothesis import given
from hypothesis import strategies as st
from numpy.testing import assert_allclose, assert_array_equal
from sklearn.metrics import r2_score

from sklearn_ae._moments import RunningMoments


def moments_of(X, restored, n_blocks=1):
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


@given(pairs(), st.integers(1, 5), st.integers(1, 5))
def test_moments_are_those_of_numpy_in_any_partition(pair, n_blocks, n_tables):
    X, restored = pair
    tables = zip(np.array_split(X, n_tables), np.array_split(restored, n_tables), strict=True)
    merged = reduce(add, [moments_of(*table, n_blocks) for table in tables if len(table[0])])
    atol = 1e-12 * np.abs(X).max() ** 2
    for found in (moments_of(X, restored, n_blocks), merged):
        assert found.n_rows == len(X)
        assert_allclose(found.mean, X.mean(axis=0), atol=1e-12 * np.abs(X).max())
        assert_allclose(found.variance, X.var(axis=0), atol=atol)
        assert_array_equal(found.low, X.min(axis=0))
        assert_array_equal(found.high, X.max(axis=0))
        assert_allclose(found.error, np.square(X - restored).sum(axis=0), rtol=1e-9)


@given(pairs(), st.integers(1, 4))
def test_r2_is_that_of_scikit_learn(pair, n_blocks):
    X, restored = pair
    X = X - X.mean(axis=0)  # scikit-learn's own variance of large numbers is less exact
    X[:, np.ptp(X, axis=0) < 1e-6] = 0  # constant
    restored = np.where(np.ptp(X, axis=0) > 0, restored - restored.mean(axis=0), X)
    expected = r2_score(X, restored, multioutput="variance_weighted")
    assert_allclose(moments_of(X, restored, n_blocks).compute_r2(), expected, rtol=1e-6, atol=1e-9)


def test_r2_where_it_is_special():
    constant = np.ones((4, 2))
    assert moments_of(constant, constant).compute_r2() == 1.0
    assert moments_of(constant, constant + np.array([0, 1])).compute_r2() == 0.5
    assert np.isnan(moments_of(constant[:1], constant[:1]).compute_r2())


def test_sums_that_are_not_finite_are_noticed():
    sums = RunningMoments()
    sums.add(torch.ones(3, 2))
    assert sums.is_finite()
    sums.add(torch.tensor([[1.0, torch.nan]]))
    assert not sums.is_finite()
