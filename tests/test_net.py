"""`net_`: what users of skorch do with a fitted net."""

import pickle

import numpy as np
import pandas as pd
import pytest
import torch
from numpy.testing import assert_allclose, assert_array_equal
from scipy import sparse
from sklearn import config_context
from skorch.callbacks import EpochScoring
from skorch.dataset import Dataset
from zoo import ESTIMATORS, make_estimator, quick, scale_to_unit_interval


@pytest.fixture(params=ESTIMATORS)
def fitted(request, X):
    return make_estimator(request.param, 3, max_epochs=1).fit(scale_to_unit_interval(X))


def test_predictions_are_reconstructions_in_units_of_X(fitted, X):
    X = scale_to_unit_interval(X)
    expected = fitted.set_params(clip=False).reconstruct(X)
    net = fitted.net_
    for rows in (X, X.tolist(), pd.DataFrame(X), sparse.csr_array(X), torch.tensor(X)):
        assert_allclose(net.predict(rows), expected, rtol=1e-5, atol=1e-6)
    assert_array_equal(net.predict_proba(X), net.predict(X))
    assert_allclose(net.forward(X), expected, rtol=1e-5, atol=1e-6)
    assert_allclose(torch.cat(list(net.forward_iter(X))), expected, rtol=1e-5, atol=1e-6)
    assert not fitted.net_.module_.training


def test_a_loaded_net_predicts(fitted, X):
    X = scale_to_unit_interval(X)
    loaded = pickle.loads(pickle.dumps(fitted))
    assert_array_equal(loaded.net_.predict(X), fitted.net_.predict(X))


def test_inference_has_a_gradient(X):
    net = quick().fit(X).net_
    rows = torch.tensor(X, requires_grad=True)
    restored = net.infer(rows)
    restored.sum().backward()
    assert restored.dtype == torch.float64
    assert rows.grad.abs().sum() > 0
    with torch.no_grad():
        assert not net.infer(rows).requires_grad


@pytest.mark.parametrize("method", ["fit", "partial_fit"])
def test_a_net_does_not_train_by_itself(X, method):
    fitted = quick().fit(X)
    codes = fitted.transform(X)
    with pytest.raises(TypeError, match=r"Call (partial_)?fit of the estimator"):
        getattr(fitted.net_, method)(X)
    assert_array_equal(fitted.transform(X), codes)


@pytest.mark.parametrize(
    "use",
    [
        lambda net, X: net.initialize(),
        lambda net, X: net.fit_loop(X),
        lambda net, X: net.validation_step((X, X)),
        lambda net, X: net.evaluation_step((X, X)),
        lambda net, X: net.trim_for_prediction(),
        lambda net, X: net.predict(Dataset(X)),
    ],
)
def test_what_a_net_cannot_do_says_what_to_call(X, use):
    fitted = quick().fit(X)
    codes = fitted.transform(X)
    with pytest.raises(TypeError, match="the estimator"):
        use(fitted.net_, X)
    assert_array_equal(fitted.transform(X), codes)


def test_training_mode_is_for_the_call_only(X):
    fitted = make_estimator("custom", 3).fit(X)
    codes = fitted.transform(X)
    fitted.net_.forward(X, training=True)
    assert_array_equal(fitted.transform(X), codes)


def test_nan_is_named_even_if_scikit_learn_does_not_look(X):
    fitted, X = quick().fit(X), X.copy()
    X[3, 2] = np.nan
    with config_context(assume_finite=True):
        assert_array_equal(fitted.net_.predict(X), fitted.reconstruct(X))


def test_another_number_of_features(X):
    with pytest.raises(ValueError, match="X has 9 features, but net_ expects 10"):
        quick().fit(X).net_.predict(X[:, :9])


def test_weights_history_and_parameters(X, tmp_path):
    fitted, other = quick().fit(X), quick(random_state=1).fit(X)
    fitted.net_.save_params(f_params=tmp_path / "weights.pt")
    other.net_.load_params(f_params=tmp_path / "weights.pt")
    assert_array_equal(other.transform(X), fitted.transform(X))
    assert len(fitted.net_.history) == fitted.n_iter_


def test_scores_of_callbacks_see_the_rows_of_training(X):
    def mean_square(net, dataset, y=None):
        return float(np.square(net.predict(dataset)).mean())

    scoring = EpochScoring(mean_square, name="size", use_caching=False)
    fitted = quick(net_params={"callbacks": [scoring]}).fit(X)
    sizes = fitted.net_.history[:, "size"]
    assert np.all(np.array(sizes) < 2)  # outputs are standardised, as the dataset is
