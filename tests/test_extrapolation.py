"""Beyond the rows of training an autoencoder goes on as its linear start does."""

import functools
import io
import pickle

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.testing import assert_allclose, assert_array_equal
from sklearn.base import clone
from sklearn.datasets import load_breast_cancer, load_diabetes, load_wine
from sklearn.metrics import r2_score
from sklearn.model_selection import train_test_split
from sklearn.preprocessing import StandardScaler
from torch import nn
from zoo import draw_fewer

from sklearn_ae import AutoencoderTransformer, DenoisingAutoencoder, VariationalAutoencoder
from sklearn_ae.export import to_onnx

QUICK = {"random_state": 0, "max_epochs": 30, "hidden_layer_sizes": 32, "tol": 0.0}
KINDS = {
    "default": AutoencoderTransformer(2, **QUICK),
    "ordered": AutoencoderTransformer(3, ordered=True, **QUICK),
    "custom": AutoencoderTransformer(2, decoder=nn.Linear, **QUICK),
    "denoising": DenoisingAutoencoder(2, **QUICK),
    "variational": VariationalAutoencoder(2, **QUICK),
}


@functools.cache
def make_curve():
    """Return rows near a curve, on which networks are much better than PCA."""
    rng = np.random.RandomState(0)
    t = rng.uniform(-1, 1, size=(600, 1))
    curve = np.hstack([t, t**2, np.sin(3 * t), np.cos(3 * t), t**3])
    return curve + 0.02 * rng.normal(size=curve.shape)


@functools.cache
def fit(name):
    """Return a trained estimator, and its linear start."""
    trained = clone(KINDS[name]).fit(make_curve())
    start = clone(KINDS[name]).set_params(max_epochs=0, init="linear").fit(make_curve())
    return trained, start


def measure_error(estimator, X):
    return np.sqrt(np.square(X - estimator.reconstruct(X)).sum(axis=1))


def move(row, column, t):
    rows = make_curve()[row : row + 1].repeat(2, axis=0)
    rows[:, column] += t, 2 * t
    return rows


@pytest.mark.parametrize("name", KINDS)
@draw_fewer(1 / 2)
@given(
    row=st.integers(0, 599),
    column=st.integers(0, 4),
    t=st.floats(1e2, 1e5),
    sign=st.sampled_from([-1, 1]),
)
def test_errors_grow_as_those_of_the_start(name, row, column, t, sign):
    rows = move(row, column, sign * t)
    near, far = measure_error(fit(name)[0], rows)
    expected_near, expected_far = measure_error(fit(name)[1], rows)
    # what the network does at the border of its box stays, and is as large as the rows
    assert far - near <= expected_far - expected_near + 1e-3 * t
    assert far <= expected_far + 10


@pytest.mark.parametrize("name", KINDS)
def test_training_rows_are_as_without_wild_rows_beside_them(name):
    X, trained = make_curve(), fit(name)[0]
    both = np.vstack([X, move(0, 2, 1e4)])
    assert_allclose(trained.transform(both)[:600], trained.transform(X), atol=1e-6)
    assert_allclose(trained.reconstruct(both)[:600], trained.reconstruct(X), atol=1e-6)


def test_codes_far_from_others_are_decoded_by_the_start():
    trained, start = fit("default")
    codes = 100 * np.array([[1, 1], [-1, 2], [3, 0]], dtype=np.float32)
    expected = start.inverse_transform(codes)
    assert_allclose(trained.inverse_transform(codes), expected, rtol=1e-5, atol=1e-4)


@pytest.mark.parametrize("name", KINDS)
def test_saved_estimators_do_the_same(name):
    trained, rows = fit(name)[0], move(7, 1, 50.0)
    loaded = pickle.loads(pickle.dumps(trained))
    assert_array_equal(loaded.reconstruct(rows), trained.reconstruct(rows))


@pytest.mark.parametrize("name", ["default", "ordered", "variational"])
def test_exported_models_do_the_same(name):
    onnxruntime = pytest.importorskip("onnxruntime")
    trained, file = fit(name)[0], io.BytesIO()
    to_onnx(trained, file, part="reconstruct")
    session = onnxruntime.InferenceSession(file.getvalue())
    rows = np.vstack([make_curve()[:5], move(7, 1, 50.0), move(9, 0, -300.0)])
    (found,) = session.run(None, {session.get_inputs()[0].name: rows})
    assert_allclose(found, trained.reconstruct(rows), rtol=1e-4, atol=1e-4)


def test_later_chunks_widen_the_box():
    X = make_curve()
    estimator = AutoencoderTransformer(2, random_state=0, hidden_layer_sizes=16)
    for _ in range(10):
        estimator.partial_fit(X)
    before = estimator.transform(3 * X)
    estimator.set_params(learning_rate=1e-12, schedule="constant").partial_fit(3 * X)
    # the weights are the same but for rounding, the codes of what is now inside are not
    assert_allclose(estimator.transform(X), estimator.transform(X), atol=1e-5)
    assert np.abs(estimator.transform(3 * X) - before).max() > 1e-3


@pytest.mark.slow
@pytest.mark.parametrize("load", [load_wine, load_breast_cancer, load_diabetes])
def test_a_few_wild_values_leave_it_as_good_as_its_start(load):
    X, X_new = train_test_split(StandardScaler().fit_transform(load().data), random_state=0)
    rows = np.arange(max(1, len(X_new) // 100))
    X_new[rows, rows] = 30
    trained = AutoencoderTransformer(2, random_state=0).fit(X)
    start = AutoencoderTransformer(2, random_state=0, max_epochs=0, init="linear").fit(X)
    new, old = (
        r2_score(X_new, e.reconstruct(X_new), multioutput="variance_weighted")
        for e in (trained, start)
    )
    assert new >= old - 0.02
