"""Plans: every choice of a fit is made from the parameters and the shape of X, and made once."""

import numpy as np
import pytest
from numpy.testing import assert_array_equal
from sklearn.base import clone
from torch import nn
from zoo import ESTIMATORS, make_estimator, quick

from sklearn_ae import AutoencoderTransformer, DenoisingAutoencoder, VariationalAutoencoder


def list_widths(network):
    """Return the widths of the hidden layers of a dense network."""
    layers = [layer for layer in network if isinstance(layer, nn.Linear)]
    return [layer.out_features for layer in layers[:-1]]


def make_table(n_samples, n_features=12):
    """Return random rows in [0, 1]."""
    return np.random.RandomState(0).uniform(size=(n_samples, n_features))


@pytest.mark.parametrize(
    "estimator",
    [
        AutoencoderTransformer(),
        AutoencoderTransformer(init="random", loss="huber"),
        AutoencoderTransformer(loss="binary_cross_entropy", optimizer="sgd"),
        AutoencoderTransformer(ordered=True),
        DenoisingAutoencoder(corruption="masking"),
        VariationalAutoencoder(),
    ],
    ids=str,
)
def test_automatic_values_can_be_given(estimator):
    X = make_table(650)
    # With folds several networks would train as one, and the net would be made afterwards.
    params = {"validation_fraction": 0.1, "n_iter_no_change": 1, "random_state": 0}
    automatic = clone(estimator).set_params(**params).fit(X)
    assert automatic.n_components is None
    net, widths = automatic.net_, list_widths(automatic.encoder_.correction)
    assert widths
    given = {
        "n_components": automatic.n_components_,
        "hidden_layer_sizes": widths,
        "batch_size": net.batch_size,
        "max_epochs": net.max_epochs,
        "weight_decay": net.optimizer_.param_groups[-1]["weight_decay"],  # others have none
    }
    assert "auto" not in given.values()
    explicit = clone(automatic).set_params(**given).fit(X)
    assert explicit.loss_curve_ == automatic.loss_curve_
    assert_array_equal(explicit.transform(X), automatic.transform(X))


CONVOLUTIONAL = {"conv_filters": (2,), "image_shape": (1, 3, 4)}
# What is changed: parameters of the first fit, and others that it cannot go on with.
CHANGES = {
    "n_components": ({}, {"n_components": 4}),
    "ordered": ({}, {"ordered": True}),
    "hidden_layer_sizes": ({}, {"hidden_layer_sizes": (7,)}),
    "activation": ({}, {"activation": "tanh"}),
    "conv_filters": (CONVOLUTIONAL, {"conv_filters": (3,)}),
    "image_shape": (CONVOLUTIONAL, {"image_shape": (1, 4, 3)}),
    "encoder": ({}, {"encoder": nn.Linear}),
    "decoder": ({}, {"decoder": nn.Linear}),
    "code_activation": ({"init": "random"}, {"code_activation": "tanh"}),
    "output_activation": (
        {"init": "random", "output_activation": "relu"},
        {"output_activation": "logistic"},
    ),
    "init": ({}, {"init": "random"}),
    "loss": ({}, {"loss": "binary_cross_entropy"}),
}


@pytest.mark.parametrize("method", ["fit", "partial_fit"])
@pytest.mark.parametrize("name", CHANGES)
def test_what_a_network_is_made_of_must_stay(name, method):
    before, after = CHANGES[name]
    X = make_table(60)
    fitted = quick(3, warm_start=True, max_epochs=1, **before).fit(X)
    with pytest.raises(ValueError, match=f"with another {name}"):
        getattr(fitted.set_params(**after), method)(X)
    getattr(fitted.set_params(**{name: quick(3, **before).get_params()[name]}), method)(X)


@pytest.mark.parametrize("method", ["fit", "partial_fit"])
def test_number_of_clean_columns_must_stay(method):
    X = make_table(60)
    fitted = quick(3, estimator=DenoisingAutoencoder, warm_start=True, max_epochs=1)
    fitted.fit(X, X_clean=X)
    with pytest.raises(ValueError, match="with another number of columns of X_clean"):
        getattr(fitted, method)(X, X_clean=X[:, :5])


def test_how_a_network_is_trained_may_change():
    fitted = AutoencoderTransformer(3, warm_start=True, max_epochs=1, random_state=0)
    fitted.fit(make_table(650))
    widths = list_widths(fitted.encoder_.correction)
    fitted.set_params(max_epochs=2, loss="huber", batch_size=16, learning_rate=1e-3)
    fitted.fit(make_table(50))  # for which other widths would be chosen
    assert list_widths(fitted.encoder_.correction) == widths
    assert len(fitted.loss_curve_) == 2
    assert fitted.net_.batch_size == 16


@pytest.mark.parametrize(
    ("estimator", "n_components", "widths"),
    [
        (AutoencoderTransformer(), 7, [512, 256]),
        (AutoencoderTransformer(), 8, [512]),
        (DenoisingAutoencoder(), 2, [1024]),
        (AutoencoderTransformer(hidden_layer_sizes=5), 9, [5]),
        (AutoencoderTransformer(hidden_layer_sizes=()), 1, []),
    ],
)
def test_widths_follow_the_code_size_that_the_start_finds(estimator, n_components, widths):
    # The columns have the same variance: of fewer than ten a share of 0.9 needs every one.
    X = np.random.RandomState(0).normal(size=(2001, n_components))
    X = np.linalg.qr(X - X.mean(axis=0))[0]
    fitted = estimator.set_params(n_components=0.9, max_epochs=0, random_state=0).fit(X)
    assert fitted.n_components_ == n_components
    assert list_widths(fitted.encoder_.correction) == widths
    assert list_widths(fitted.decoder_.correction) == widths[::-1]


@pytest.mark.parametrize("name", ESTIMATORS)
def test_inference_reads_no_parameters_but_its_own(name, unit_X):
    fitted = make_estimator(name, 3, max_epochs=1).fit(unit_X)
    methods = fitted.transform, fitted.reconstruct, fitted.score_samples, fitted.score
    expected = [method(unit_X) for method in methods]
    decoded = fitted.inverse_transform(expected[0])
    for parameter in fitted.get_params().keys() - {"clip", "n_importance_samples"}:
        setattr(fitted, parameter, object())  # of which nothing could be made
    for method, result in zip(methods, expected, strict=True):
        assert_array_equal(method(unit_X), result)
    assert_array_equal(fitted.inverse_transform(expected[0]), decoded)


@pytest.mark.parametrize("method", ["fit", "partial_fit"])
def test_each_factory_is_called_once(method, unit_X):
    calls = []

    def make(n_in, n_out):
        calls.append((n_in, n_out))
        return nn.Linear(n_in, n_out)

    fitted = getattr(quick(3, encoder=make, decoder=make, warm_start=True), method)(unit_X)
    fitted.transform(unit_X)
    fitted.score(unit_X)
    getattr(fitted, method)(unit_X)  # goes on with the same networks
    assert calls == [(10, 3), (3, 10)]
