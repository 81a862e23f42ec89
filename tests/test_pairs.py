"""Pairs: rows that are damaged already, and what they should become."""

import pickle

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from scipy import sparse
from sklearn.datasets import load_digits
from sklearn.linear_model import Ridge
from sklearn.metrics import r2_score
from sklearn.model_selection import train_test_split

from sklearn_ae import AutoencoderTransformer, DenoisingAutoencoder

CLEAN = load_digits().data / 16
GHOSTS = CLEAN + 0.8 * np.roll(CLEAN, 8, axis=1)
GHOSTS += 0.1 * np.random.RandomState(0).standard_normal(CLEAN.shape)
X, X_TEST, Y, Y_TEST = train_test_split(GHOSTS, CLEAN, random_state=0, train_size=800)
QUICK = {"hidden_layer_sizes": (32,), "max_epochs": 10, "random_state": 0}


def measure_error(fitted):
    return np.square(fitted.reconstruct(X_TEST) - Y_TEST).mean()


@pytest.fixture(scope="module")
def fitted():
    return DenoisingAutoencoder(32, **QUICK).fit(X, X_clean=Y)


def test_the_start_is_the_regression_on_the_pairs():
    start = DenoisingAutoencoder(64, init="linear", max_epochs=0).fit(X, X_clean=Y)
    expected = Ridge(1e-3).fit(X, Y).predict(X_TEST)
    assert_allclose(start.reconstruct(X_TEST), expected, atol=0.06)
    assert measure_error(start) < 1.05 * np.square(expected - Y_TEST).mean()


def test_training_restores_better_than_the_start(fitted):
    start = DenoisingAutoencoder(16, init="linear", max_epochs=0).fit(X, X_clean=Y)
    trained = DenoisingAutoencoder(16, max_epochs=60, random_state=0).fit(X, X_clean=Y)
    assert measure_error(trained) < 0.95 * measure_error(start)
    unpaired = DenoisingAutoencoder(32, **QUICK).fit(X)
    assert measure_error(fitted) < 0.2 * measure_error(unpaired)


def test_units_and_scores_are_those_of_the_clean_rows(fitted):
    assert_allclose(fitted.mean_, Y.mean(axis=0))
    expected = r2_score(Y_TEST, fitted.reconstruct(X_TEST), multioutput="variance_weighted")
    assert fitted.score(X_TEST, X_clean=Y_TEST) == pytest.approx(expected)
    assert fitted.score(X_TEST) != pytest.approx(expected)
    # losses are those of the restoration
    assert fitted.best_loss_ == pytest.approx(measure_error(fitted), rel=0.3)


def test_pairs_of_equal_rows_teach_the_identity():
    same = DenoisingAutoencoder(64, init="linear", max_epochs=0).fit(X, X_clean=X)
    assert_allclose(same.reconstruct(X_TEST), X_TEST, atol=1e-3)


@pytest.mark.parametrize(
    "params",
    [
        {"init": "random"},
        {"init": "random", "early_stopping": False},
        {"ordered": True},
        {"loss": "absolute_error"},
        {"conv_filters": (4,), "image_shape": (1, 8, 8)},
        {"n_components": 0.9},
        {"validation_fraction": 0.2},
    ],
    ids=str,
)
def test_networks_of_all_kinds(params):
    model = DenoisingAutoencoder(**{"n_components": 16, **QUICK, **params}).fit(X, X_clean=Y)
    assert np.isfinite(model.reconstruct(X_TEST)).all()
    if params.get("init") != "random":
        assert measure_error(model) < 0.3 * np.square(X_TEST - Y_TEST).mean()


def test_containers(fitted):
    codes = fitted.transform(X_TEST)
    as_sparse = DenoisingAutoencoder(32, **QUICK).fit(sparse.csr_array(X), X_clean=Y)
    assert_allclose(as_sparse.transform(X_TEST), codes, rtol=1e-3, atol=1e-3)
    as_lists = DenoisingAutoencoder(32, **QUICK).fit(X.tolist(), X_clean=Y.tolist())
    assert_array_equal(as_lists.transform(X_TEST), codes)
    assert_array_equal(pickle.loads(pickle.dumps(fitted)).transform(X_TEST), codes)


def test_groups_of_pairs_are_not_split():
    groups = np.arange(len(X)) // 100
    assert DenoisingAutoencoder(8, **QUICK).fit(X, X_clean=Y, groups=groups).n_iter_ > 0


def test_a_warm_start_goes_on_with_pairs():
    model = DenoisingAutoencoder(32, warm_start=True, **QUICK).fit(X, X_clean=Y)
    before = measure_error(model)
    assert measure_error(model.fit(X, X_clean=Y)) < 1.05 * before


def test_errors():
    model = DenoisingAutoencoder(4, **QUICK)
    with pytest.raises(ValueError, match="X_clean must have the shape of X"):
        model.fit(X, X_clean=Y[:-1])
    with pytest.raises(ValueError, match="X_clean must have the shape of X"):
        model.fit(X, X_clean=Y[:, :5])
    with pytest.raises(ValueError, match="X_val cannot be used with X_clean"):
        model.fit(X, X_clean=Y, X_val=X_TEST)
    holes = np.where(X > 1.5, np.nan, X)
    for pair in ((holes, Y), (X, np.where(Y > 0.9, np.nan, Y))):
        with pytest.raises(ValueError, match="pairs must have no missing values"):
            model.fit(pair[0], X_clean=pair[1])
    with pytest.raises(TypeError, match="X_clean"):
        AutoencoderTransformer(4, **QUICK).fit(X, X_clean=Y)
    with pytest.warns(UserWarning, match="X_clean"):
        model.fit(X, Y)
