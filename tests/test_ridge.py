"""Ridge regression, and the last layer of a decoder, which is one."""

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from numpy.testing import assert_allclose, assert_array_equal
from sklearn.decomposition import PCA
from sklearn.linear_model import Ridge, RidgeCV
from zoo import draw_fewer

from sklearn_ae import AutoencoderTransformer, DenoisingAutoencoder
from sklearn_ae._ridge import PENALTIES, HiddenRidge, Sums

SMALL = {"hidden_layer_sizes": (32,), "random_state": 0}


def draw_curved_rows(n_rows, n_features=10, seed=0):
    """Return rows near a curved surface, which no linear decoder reaches."""
    rng = np.random.RandomState(seed)
    Z = rng.normal(size=(n_rows, 2))
    bent = np.tanh(Z @ rng.normal(size=(2, n_features))) ** 2
    return Z @ rng.normal(size=(2, n_features)) + 2 * bent + 0.05 * rng.normal(size=bent.shape)


def draw_regression(n_rows, n_hidden, seed):
    rng = np.random.RandomState(seed)
    hidden = rng.normal(size=(n_rows, n_hidden)) + rng.normal(size=n_hidden)
    return hidden, hidden @ rng.normal(size=(n_hidden, 3)) + rng.normal(size=(n_rows, 3)) + 1


def sum_rows(hidden, targets):
    return Sums.of_rows(torch.from_numpy(hidden), torch.from_numpy(targets))


@draw_fewer(1 / 3)
@given(st.integers(5, 60), st.integers(1, 40), st.integers(0, 1000), st.integers(0, 18))
def test_weights_are_those_of_ridge(n_rows, n_hidden, seed, which):
    hidden, targets = draw_regression(n_rows, n_hidden, seed)
    first, rest = (sum_rows(hidden[part], targets[part]) for part in (slice(3), slice(3, None)))
    ridge = HiddenRidge(first + rest)
    weight, bias = ridge.solve(PENALTIES[which])
    unit = np.square(hidden - hidden.mean(axis=0)).sum() / n_rows / n_hidden
    expected = Ridge(PENALTIES[which] * unit, solver="svd").fit(hidden, targets)
    assert_allclose(weight, expected.coef_, rtol=1e-5, atol=1e-7)
    assert_allclose(bias, expected.intercept_, rtol=1e-5, atol=1e-6)
    errors = ridge.measure_errors(first)
    left = targets[:3] - expected.predict(hidden[:3])
    assert_allclose(errors[which], np.square(left).sum(), rtol=1e-5, atol=1e-7)


def test_generalised_cross_validation_is_as_defined():
    hidden, targets = draw_regression(50, 8, seed=0)
    ridge = HiddenRidge(sum_rows(hidden, targets))
    centred = hidden - hidden.mean(axis=0)
    for penalty, error in zip(PENALTIES, ridge.validate(), strict=True):
        alpha = penalty * ridge.unit
        hat = centred @ np.linalg.solve(centred.T @ centred + alpha * np.eye(8), centred.T)
        left = targets - targets.mean(axis=0)
        left = left - hat @ left
        expected = 50 * np.square(left).sum() / (50 - 1 - np.trace(hat)) ** 2
        assert float(error) == pytest.approx(expected)
    # where rows are many, it chooses about as leave-one-out does
    chosen = RidgeCV(PENALTIES * ridge.unit).fit(hidden, targets).alpha_ / ridge.unit
    best = PENALTIES[ridge.validate().argmin()]
    assert best / 10 < chosen < best * 10


def get_last_layer(fitted):
    """Return the last layer of the decoder of a fitted autoencoder."""
    return fitted.decoder_.correction[-1]


def measure_distance_from_ridge(fitted, X):
    """Return how far a last layer is from the nearest of scikit-learn's ridge regressions.

    They predict what all but the last layer leaves of the rows from what this layer takes.
    """
    last, seen = get_last_layer(fitted), []
    watch = last.register_forward_hook(lambda _, inputs, output: seen.append((*inputs, output)))
    u = torch.from_numpy((X - fitted.mean_) / fitted.scale_).float()
    with torch.no_grad():
        decoded = fitted.decoder_(fitted.encoder_(u))
    watch.remove()
    ((hidden, correction),) = seen
    hidden, residual = hidden.numpy(), (u - (decoded - correction)).numpy()
    weight = last.weight.detach().numpy()
    alphas = PENALTIES * np.square(hidden - hidden.mean(axis=0)).mean()
    regressions = (Ridge(alpha, solver="svd").fit(hidden, residual) for alpha in alphas)
    return min(np.abs(regression.coef_ - weight).max() for regression in regressions)


@pytest.mark.parametrize("estimator", [AutoencoderTransformer, DenoisingAutoencoder])
def test_the_last_layer_is_the_ridge_of_what_the_linear_path_leaves(estimator):
    X = draw_curved_rows(300)
    corrected = estimator(2, max_epochs=0, **SMALL).fit(X)
    linear = estimator(2, init="linear", max_epochs=0, **SMALL).fit(X)
    assert (corrected.init_, linear.init_) == ("auto", "linear")
    assert_array_equal(corrected.transform(X), linear.transform(X))
    assert corrected.score(X) > linear.score(X) + 0.02
    assert corrected.start_loss_ < linear.start_loss_
    if estimator is AutoencoderTransformer:
        assert measure_distance_from_ridge(corrected, X) < 1e-3


def test_the_last_layer_is_solved_again_after_training():
    rows = draw_curved_rows(2700)
    X, held_out, new = rows[:2100], rows[2100:2300], rows[2300:]
    solved, trained = (
        AutoencoderTransformer(2, init=init, max_epochs=5, **SMALL).fit(X, X_val=held_out)
        for init in ("auto", "linear")
    )
    # the same training, of which only the last layer is another one
    assert solved.loss_curve_ == trained.loss_curve_
    assert_array_equal(solved.transform(new), trained.transform(new))
    assert measure_distance_from_ridge(solved, X) < 1e-3 < measure_distance_from_ridge(trained, X)
    assert solved.score(new) > trained.score(new)
    assert solved.best_loss_ < trained.best_loss_ == min(trained.validation_loss_curve_)
    # but for the few rows held out that are outside of the training rows' box
    loss = -solved.score_samples(held_out).mean()
    assert_allclose(solved.best_loss_, loss, rtol=2e-3)
    # later training reports its own loss
    solved.partial_fit(X)
    assert solved.best_loss_ == solved.loss_curve_[-1]


@pytest.mark.parametrize(("size_of_outliers", "is_left"), [(1, False), (30, True)])
def test_a_solved_layer_that_is_worse_on_held_out_rows_is_left(size_of_outliers, is_left):
    # the regression follows outliers, which hardly count in the absolute error
    rng = np.random.RandomState(1)
    X = draw_curved_rows(2300)
    X[:46] += size_of_outliers * rng.normal(size=(46, X.shape[1]))
    X = rng.permutation(X)
    solved, trained = (
        AutoencoderTransformer(2, init=init, loss="absolute_error", max_epochs=5, **SMALL).fit(X)
        for init in ("auto", "linear")
    )
    assert solved.best_epoch_ == trained.best_epoch_ > 0
    assert (solved.best_loss_ == min(solved.validation_loss_curve_)) == is_left
    assert np.array_equal(solved.reconstruct(X), trained.reconstruct(X)) == is_left


def test_with_a_linear_start_the_network_is_pca():
    X = draw_curved_rows(200)
    linear = AutoencoderTransformer(2, init="linear", max_epochs=0, random_state=0).fit(X)
    pca = PCA(2, random_state=0).fit(X)
    assert_allclose(linear.transform(X), pca.transform(X), atol=1e-4)
    assert_allclose(linear.reconstruct(X), pca.inverse_transform(pca.transform(X)), atol=1e-4)


@draw_fewer(1 / 10)
@given(st.integers(0, 1000))
def test_independent_noise_has_no_correction(seed):
    X = np.random.RandomState(seed).normal(size=(80, 6))
    fitted = AutoencoderTransformer(2, max_epochs=0, **SMALL).fit(X)
    assert fitted.init_ == "linear"
    assert not get_last_layer(fitted).weight.any()


def test_repeated_rows_do_not_speak_for_a_correction():
    rng = np.random.RandomState(0)
    X, new = rng.normal(size=(100, 30)), rng.normal(size=(400, 30))
    fitted = AutoencoderTransformer(8, max_epochs=0, random_state=0).fit(np.tile(X, (12, 1)))
    linear = AutoencoderTransformer(8, init="linear", max_epochs=0).fit(X)
    assert fitted.score(new) >= linear.score(new) - 0.005


@pytest.mark.parametrize(
    "params",
    [
        {"hidden_layer_sizes": ()},
        {"conv_filters": (4,), "image_shape": (1, 2, 5)},
        {"decoder": torch.nn.Linear},
        {"loss": "binary_cross_entropy"},
    ],
    ids=lambda params: next(iter(params)),
)
def test_other_decoders_start_linear(params):
    X = draw_curved_rows(100)
    X = (X - X.min()) / (X.max() - X.min())
    fitted = AutoencoderTransformer(2, max_epochs=0, **SMALL | params).fit(X)
    assert fitted.init_ == "linear"


def test_large_tables_have_a_correction_only_if_nothing_is_trained():
    X = draw_curved_rows(2001)
    assert AutoencoderTransformer(2, max_epochs=0, **SMALL).fit(X).init_ == "auto"
    assert AutoencoderTransformer(2, max_epochs=1, **SMALL).fit(X).init_ == "linear"


def test_the_correction_is_kept_where_training_is_no_better():
    X = draw_curved_rows(150)
    trained = AutoencoderTransformer(2, max_epochs=1, learning_rate=1e-6, **SMALL).fit(X)
    untrained = AutoencoderTransformer(2, max_epochs=0, **SMALL).fit(X)
    assert trained.best_epoch_ == 0
    assert trained.init_ == "auto"
    assert_array_equal(trained.reconstruct(X), untrained.reconstruct(X))


def test_later_chunks_keep_the_correction():
    X = draw_curved_rows(300)
    autoencoder = AutoencoderTransformer(2, max_epochs=0, **SMALL).fit(X)
    assert autoencoder.init_ == "auto"
    before = get_last_layer(autoencoder).weight.detach().clone()
    assert before.any()
    autoencoder.set_params(max_epochs="auto", learning_rate=1e-6).partial_fit(X)
    assert_allclose(get_last_layer(autoencoder).weight.detach(), before, atol=1e-4)
