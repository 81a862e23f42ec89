"""Ordered codes: cut anywhere, uncorrelated, and measured on new rows."""

import pickle
import warnings
from contextlib import contextmanager

import numpy as np
import pytest
import torch
from hypothesis import example, given
from hypothesis import strategies as st
from numpy.testing import assert_allclose, assert_array_equal
from scipy import sparse
from scipy.linalg import ldl
from scipy.optimize import minimize_scalar
from sklearn.base import clone
from sklearn.datasets import load_digits
from sklearn.decomposition import PCA
from sklearn.exceptions import NotFittedError
from sklearn.linear_model import Ridge
from sklearn.metrics import r2_score
from sklearn.model_selection import train_test_split
from torch import nn
from torch.nn.modules.module import register_module_forward_pre_hook

from sklearn_ae import AutoencoderTransformer, DenoisingAutoencoder
from sklearn_ae._codes import factor_unit_triangle

X, X_TEST = train_test_split(load_digits().data, random_state=0, train_size=700)
X_VAL, X_NEW = X_TEST[:500], X_TEST[500:]
QUICK = {"hidden_layer_sizes": (64,), "max_epochs": 10, "random_state": 0}


@pytest.fixture(scope="module")
def ordered():
    return AutoencoderTransformer(6, ordered=True, **QUICK).fit(X, X_val=X_VAL)


def standardize(fitted, rows):
    """Return rows of X as the networks see them."""
    return torch.from_numpy((rows - fitted.mean_) / fitted.scale_).float()


def run_and_watch(layer, network, inputs):
    """Return what a layer takes and returns while a network is given its inputs, and the result."""
    seen = []
    watch = layer.register_forward_hook(lambda _, inputs, output: seen.extend((*inputs, output)))
    with torch.no_grad():
        result = network(inputs)
    watch.remove()
    taken, returned = seen
    return taken, returned, result


# What changes the networks, and the rows that they take
KINDS = {
    "one number": {"n_components": 1},
    "more numbers than features": {"n_components": 70},
    "squashed code": {"code_activation": "tanh"},
    "random": {"init": "random"},
    "logits": {"loss": "binary_cross_entropy"},
    "no hidden layers": {"hidden_layer_sizes": ()},
    "convolutions": {"conv_filters": (4,), "image_shape": (1, 8, 8)},
    "custom networks": {"encoder": nn.Linear, "decoder": nn.Linear},
    "start": {"max_epochs": 0},
    "clip": {"clip": True},
}


@pytest.mark.parametrize("cls", [AutoencoderTransformer, DenoisingAutoencoder])
@pytest.mark.parametrize("kind", KINDS)
def test_every_kind_is_cut_bit_for_bit(cls, kind):
    params = {"n_components": 5, **QUICK, "max_epochs": 2, **KINDS[kind]}
    fitted = cls(ordered=True, **params).fit(X / 16)
    codes = fitted.transform(X_NEW / 16)
    n_components = fitted.n_components_
    assert fitted.explained_variance_ratio_.shape == (n_components,)
    assert (fitted.explained_variance_ratio_ >= 0).all()
    for k in {1, (n_components + 1) // 2, n_components}:
        cut = fitted.truncated(k)
        assert_array_equal(cut.transform(X_NEW / 16), codes[:, :k])
        rows = cut.inverse_transform(codes[:, :k])
        assert_array_equal(rows, fitted.inverse_transform(codes[:, :k]))
        assert_array_equal(rows, cut.reconstruct(X_NEW / 16))


def test_sparse_rows_are_cut_like_dense_ones():
    table = sparse.random(400, 30, density=0.1, random_state=0, format="csr")
    fitted = AutoencoderTransformer(4, ordered=True, **QUICK).fit(table)
    codes = fitted.transform(table)
    assert_array_equal(fitted.truncated(2).transform(table), codes[:, :2])
    assert_allclose(fitted.transform(table.toarray()), codes, atol=1e-5)


# ----------------------------------------------------------------- shares of the variance


def test_shares_are_those_of_the_rows_held_out(ordered):
    shares = ordered.explained_variance_ratio_
    assert ordered.best_epoch_ > 0
    for k in range(1, 7):
        expected = ordered.truncated(k).score(X_VAL)
        assert shares[:k].sum() == pytest.approx(expected, abs=1e-5)
    assert_array_equal(ordered.truncated(3).explained_variance_ratio_, shares[:3])


def test_shares_of_pca_are_those_of_pca():
    fitted = AutoencoderTransformer(6, ordered=True, max_epochs=0, init="linear").fit(
        X, X_val=X_VAL
    )
    pca = PCA(6).fit(X)
    codes = pca.transform(X_VAL)
    kept = [
        r2_score(
            X_VAL,
            codes[:, :k] @ pca.components_[:k] + pca.mean_,
            multioutput="variance_weighted",
        )
        for k in range(1, 7)
    ]
    assert_allclose(fitted.explained_variance_ratio_.cumsum(), kept, atol=1e-5)
    assert_allclose(fitted.transform(X_VAL), codes, atol=1e-3)


def test_cross_fitted_shares_are_close_to_those_of_new_rows():
    fitted = AutoencoderTransformer(6, ordered=True, **QUICK).fit(X)
    assert fitted.best_epoch_ > 0
    kept = [fitted.truncated(k).score(X_NEW) for k in range(1, 7)]
    assert_allclose(fitted.explained_variance_ratio_.cumsum(), kept, atol=0.03)


def test_shares_without_rows_held_out_are_those_of_the_training_rows():
    fitted = AutoencoderTransformer(4, ordered=True, early_stopping=False, **QUICK).fit(X)
    assert fitted.explained_variance_ratio_.sum() == pytest.approx(fitted.score(X), abs=1e-5)
    fitted.partial_fit(X[:300])
    # those of all rows so far
    expected = pytest.approx(fitted.score(np.vstack([X, X[:300]])), abs=3e-3)
    assert fitted.explained_variance_ratio_.sum() == expected


def test_numbers_that_lose_on_new_rows_are_not_used():
    rng = np.random.RandomState(0)
    noise = rng.normal(size=(30, 40))
    fitted = AutoencoderTransformer(20, ordered=True, max_epochs=0).fit(
        noise, X_val=rng.normal(size=(30, 40)) + 10 * (np.arange(40) == 0)
    )
    shares = fitted.explained_variance_ratio_
    assert (shares >= 0).all()
    assert (np.diff([fitted.truncated(k).score(noise) for k in range(1, 21)]) >= -1e-6).all()


@pytest.mark.parametrize("share", [0.5, 0.7])
def test_share_of_the_variance_selects_the_size(share):
    fitted = AutoencoderTransformer(share, ordered=True, **QUICK).fit(X, X_val=X_VAL)
    size = fitted.n_components_
    assert fitted.transform(X).shape == (len(X), size)
    assert fitted.score(X_VAL) >= share - 1e-5 > fitted.truncated(size - 1).score(X_VAL) - 2e-5
    kept = PCA().fit(X).explained_variance_ratio_.cumsum()
    assert size <= np.searchsorted(kept, share) + 1
    loaded = pickle.loads(pickle.dumps(fitted))
    assert_array_equal(loaded.transform(X_VAL), fitted.transform(X_VAL))


def test_further_training_keeps_the_size_that_a_share_has_chosen():
    fitted = AutoencoderTransformer(0.7, ordered=True, warm_start=True, **QUICK).fit(X)
    size = fitted.n_components_
    flat = X @ np.diag([1.0, *[0.0] * (X.shape[1] - 1)])  # of which one number keeps all
    assert fitted.fit(flat).n_components_ == size
    streamed = AutoencoderTransformer(0.7, ordered=True, **QUICK).partial_fit(X)
    size = streamed.n_components_
    assert streamed.partial_fit(flat).transform(X).shape == (len(X), size)


def test_few_rows_take_more_numbers_than_pca_sees():
    few = load_digits().data[:60]
    fitted = AutoencoderTransformer(0.7, ordered=True, **QUICK).fit(few)
    assert fitted.explained_variance_ratio_.sum() >= 0.7
    assert fitted.n_components_ > 1.25 * PCA(0.7).fit(few).n_components_


def test_warning_of_a_share_that_is_not_reached_is_where_fit_was_called():
    noise = np.random.RandomState(0).standard_normal((40, 30))
    with pytest.warns(UserWarning, match="n_components=0.9 is the share") as warned:
        fitted = AutoencoderTransformer(0.9, ordered=True, **QUICK).fit(noise)
    assert warned[0].filename == __file__
    kept = fitted.explained_variance_ratio_.sum()
    assert kept < 0.9
    said = f"its {fitted.n_components_} components keep {kept:.3f}. All of them are used"
    assert said in str(warned[0].message)


def test_shares_of_cross_fitted_codes_are_near_those_of_new_rows():
    # three folds, and one fold of five
    for rows in (X[:300], np.concatenate([X, X_TEST[:310]])):
        params = QUICK | {"hidden_layer_sizes": (16,), "max_epochs": 2}
        fitted = AutoencoderTransformer(8, ordered=True, **params).fit(rows)
        kept = [fitted.truncated(k).score(rows) for k in (1, 4, 8)]
        assert_allclose(fitted.explained_variance_ratio_.cumsum()[[0, 3, 7]], kept, atol=0.12)


def test_a_refit_without_order_forgets_the_shares():
    fitted = AutoencoderTransformer(4, ordered=True, **QUICK).fit(X)
    codes = fitted.transform(X)
    fitted.set_params(ordered=False)
    fitted.inverse_transform(codes[:, :2])  # what counts is what was fitted
    fitted.fit(X)
    assert not hasattr(fitted, "explained_variance_ratio_")
    with pytest.raises(ValueError, match="expecting codes with 4"):
        fitted.set_params(ordered=True).inverse_transform(codes[:, :2])


# -------------------------------------------------------------------------- correlation


@pytest.mark.parametrize("cls", [AutoencoderTransformer, DenoisingAutoencoder])
def test_numbers_are_uncorrelated_on_the_training_rows(cls):
    fitted = cls(6, ordered=True, **QUICK).fit(X)
    assert_allclose(np.corrcoef(fitted.transform(X).T), np.eye(6), atol=1e-5)


@given(st.integers(1, 6), st.integers(1, 6), st.integers(0, 2**31))
@example(3, 2, 22054)
def test_unit_triangle_makes_a_covariance_diagonal(n_numbers, rank, seed):
    factors = np.random.RandomState(seed).normal(size=(n_numbers, min(rank, n_numbers)))
    covariance = factors @ factors.T
    triangle = factor_unit_triangle(covariance)
    assert_array_equal(triangle, np.tril(triangle))
    assert_array_equal(np.diag(triangle), 1)
    inverse = np.linalg.inv(triangle)
    rest = inverse @ covariance @ inverse.T
    scale = np.abs(inverse) @ np.abs(covariance) @ np.abs(inverse).T
    # Nothing is divided by a variance of which less than 1e-6 is left: a correlation of up to the
    # root of that may stay.
    assert (np.abs(rest - np.diag(np.diag(rest))) <= 1e-3 * scale).all()


def test_unit_triangle_of_a_positive_definite_covariance_is_that_of_scipy():
    covariance = np.cov(X[:, 20:25].T) + np.eye(5)
    expected, _, order = ldl(covariance + np.diag([1e3, 400, 200, 100, 0]), lower=True)
    assert_array_equal(order, np.arange(5))
    found = factor_unit_triangle(covariance + np.diag([1e3, 400, 200, 100, 0]))
    assert_allclose(found, expected, atol=1e-12)


def test_making_numbers_uncorrelated_loses_nothing(ordered):
    u = standardize(ordered, X)
    encoder, decoder = ordered.encoder_, ordered.decoder_
    _, linear, _ = run_and_watch(encoder.linear, encoder, u)
    _, correction, codes = run_and_watch(encoder.correction, encoder, u)
    computed = ordered.scale_ * (linear + correction).double().numpy()
    mix, *_ = np.linalg.lstsq(computed, codes.double().numpy(), rcond=None)
    assert_allclose(computed @ mix, codes, atol=1e-3)
    assert_allclose(mix, np.triu(mix), atol=1e-5)  # of each number those before it are subtracted
    assert_allclose(np.diag(mix), 1, atol=1e-5)
    assert np.abs(mix - np.eye(6)).max() > 1e-3
    taken, *_ = run_and_watch(decoder.linear, decoder, codes)
    assert_allclose(ordered.scale_ * taken[:, :6], computed, atol=1e-3)


# --------------------------------------------------------------------------- truncated


def test_errors(ordered):
    with pytest.raises(NotFittedError):
        AutoencoderTransformer(ordered=True).truncated(1)
    for size in (0, 7, -1, 2.0, True, None):
        with pytest.raises(ValueError, match="n_components must be an int from 1 to 6"):
            ordered.truncated(size)
    with pytest.raises(ValueError, match="from 1 to 3"):
        ordered.truncated(3).truncated(4)
    for n_columns in (0, 7):
        with pytest.raises(ValueError, match=r"7 columns|0 feature\(s\)"):
            ordered.inverse_transform(np.zeros((2, n_columns)))
    plain = AutoencoderTransformer(3, **QUICK).fit(X)
    assert not hasattr(plain, "explained_variance_ratio_")
    with pytest.raises(ValueError, match="not ordered"):
        plain.truncated(2)
    with pytest.raises(ValueError, match="expecting codes with 3 components"):
        plain.inverse_transform(np.zeros((2, 2)))


def test_truncated_is_an_estimator_of_its_own(ordered):
    cut = ordered.truncated(2)
    assert cut.n_components == cut.n_components_ == 2
    assert cut.get_feature_names_out().tolist() == [f"autoencodertransformer{i}" for i in range(2)]
    unfitted = clone(cut)
    assert unfitted.n_components == 2
    with pytest.raises(NotFittedError):
        unfitted.transform(X)
    loaded = pickle.loads(pickle.dumps(cut))
    assert_array_equal(loaded.transform(X), cut.transform(X))
    assert_array_equal(loaded.reconstruct(X), cut.reconstruct(X))
    assert_array_equal(cut.truncated(1).transform(X), ordered.transform(X)[:, :1])
    for own, other in zip(cut.encoder_.parameters(), ordered.encoder_.parameters(), strict=True):
        assert own is other


def test_training_one_leaves_the_other_as_it_is():
    fitted = AutoencoderTransformer(4, ordered=True, warm_start=True, **QUICK).fit(X)
    cut = fitted.truncated(2)
    codes, cut_codes = fitted.transform(X), cut.transform(X)
    cut.partial_fit(X)
    assert not np.allclose(cut.transform(X), cut_codes)
    assert_array_equal(fitted.transform(X), codes)
    cut = fitted.truncated(2)
    fitted.fit(X)
    assert_array_equal(cut.transform(X), cut_codes)
    cut.fit(X)
    assert cut.n_components_ == 2
    assert cut.explained_variance_ratio_.shape == (2,)


# ------------------------------------------------------------------------ the bottleneck


@pytest.mark.parametrize("factory", [None, nn.Linear])
def test_decoder_sees_only_the_numbers_that_are_given(factory):
    fitted = AutoencoderTransformer(
        4, ordered=True, decoder=factory, init="linear", max_epochs=0, random_state=0
    ).fit(X)
    codes = torch.from_numpy(fitted.transform(X_NEW))
    for k in range(1, 5):
        taken, *_ = run_and_watch(fitted.decoder_.linear, fitted.decoder_, codes[:, :k])
        assert_allclose(fitted.scale_ * taken[:, :k], codes[:, :k], rtol=1e-5, atol=1e-3)
        assert_array_equal(taken[:, k:4], 0)
        assert taken.shape[1] == (4 if factory else 8)
        if not factory:  # a decoder of ours is told how many they are
            assert_array_equal(taken[:, 4:], (torch.arange(4) < k).expand(len(codes), 4))


@contextmanager
def watch_training():
    """Give a list that takes linear layers and what they are given in training."""
    seen = []

    def note_inputs(layer, inputs):
        if layer.training and isinstance(layer, nn.Linear):
            seen.append((layer, inputs[0].detach()))

    watch = register_module_forward_pre_hook(note_inputs)
    try:
        yield seen
    finally:
        watch.remove()


def test_sizes_of_a_batch_are_those_of_the_distribution():
    how = {**QUICK, "max_epochs": 1, "batch_size": 100, "early_stopping": False}
    with watch_training() as seen:
        fitted = AutoencoderTransformer(8, ordered=True, **how).fit(X[:200])
    batches = [inputs for layer, inputs in seen if layer is fitted.decoder_.linear]
    assert len(batches) == 2
    for told in (inputs[:, 8:] for inputs in batches):
        sizes = told.sum(dim=-1)
        assert_array_equal(told, (torch.arange(8) < sizes[:, None]).float())
        assert len(sizes) > 100
        assert len(sizes) % 100 == 0  # each row comes several times
        counts = torch.bincount(sizes.long(), minlength=9)[1:]
        assert (counts > 0).all()
        assert (counts[:-1].diff() <= 1).all()  # the larger, the rarer, beside the whole code
        assert counts[-1] > counts[:-1].max()


# --------------------------------------------------------------------- solved last layers


def measure_distance_from_ridge(inputs, targets, predicted):
    """Return how far predictions are from those of the nearest of all ridge regressions."""
    unit = np.square(inputs - inputs.mean(axis=0)).mean()

    def measure_errors(log_penalty):
        ridge = Ridge(10**log_penalty * unit, solver="svd").fit(inputs, targets)
        return np.abs(ridge.predict(inputs) - predicted)

    nearest = minimize_scalar(
        lambda log_penalty: measure_errors(log_penalty).mean(),
        bounds=(-5, 8),
        options={"xatol": 1e-6},
    )
    return measure_errors(nearest.x).max()


@pytest.mark.parametrize("max_epochs", [0, 10])
def test_each_size_has_the_ridge_regression_on_its_own_hidden_units(max_epochs):
    params = {**QUICK, "max_epochs": max_epochs}
    fitted = AutoencoderTransformer(6, ordered=True, **params).fit(X)
    decoder, u = fitted.decoder_, standardize(fitted, X)
    codes = torch.from_numpy(fitted.transform(X))
    hidden_layers = nn.Sequential(*list(decoder.correction)[:-1])
    for k in range(1, 7):
        given_codes, linear, decoded = run_and_watch(decoder.linear, decoder, codes[:, :k])
        with torch.no_grad():
            hidden = hidden_layers(given_codes)
        inputs = np.hstack([hidden, given_codes]).astype(float)
        residual, change = (rows.double().numpy() for rows in (u - linear, decoded - linear))
        assert np.abs(change).max() > 0.1
        assert measure_distance_from_ridge(inputs, residual, change) < 1e-3


def test_solving_each_size_reconstructs_better(ordered):
    trained = pickle.loads(pickle.dumps(ordered))
    trained.decoder_.solved.weight.zero_()
    trained.decoder_.solved.bias.zero_()
    for k in (1, 2, 4, 6):
        assert ordered.truncated(k).score(X_NEW) > trained.truncated(k).score(X_NEW)


def test_large_tables_have_layers_for_the_powers_of_two():
    rows = load_digits().data  # with 56 numbers each they have more than 100,000
    fitted = AutoencoderTransformer(56, ordered=True, **{**QUICK, "max_epochs": 0}).fit(rows)
    solved = fitted.decoder_.solved
    assert solved.sizes == [1, 2, 4, 8, 16, 32, 56]
    with torch.no_grad():
        taken = torch.randn(2, solved.weight.shape[-1])
        changes = [solved(taken, torch.tensor(size)) for size in range(1, 57)]
    for size, change in enumerate(changes, start=1):
        assert bool(change.any()) == (size in solved.sizes)


def test_without_rows_to_judge_by_no_layer_is_solved():
    fitted = AutoencoderTransformer(4, ordered=True, early_stopping=False, **QUICK).fit(X)
    assert not hasattr(fitted.decoder_, "solved")


def test_training_on_drops_layers_that_no_longer_fit(ordered):
    going_on = pickle.loads(pickle.dumps(ordered))
    assert going_on.decoder_.solved.weight.any()
    going_on.partial_fit(X)
    assert not going_on.decoder_.solved.weight.any()


# ----------------------------------------------------------------------------- evidence


def test_pca_stays_where_nothing_is_to_be_found():
    noise = np.random.RandomState(0).normal(size=(300, 8))
    fitted = AutoencoderTransformer(4, ordered=True, random_state=0).fit(noise)
    assert fitted.best_epoch_ == 0
    assert_allclose(fitted.transform(noise), PCA(4).fit_transform(noise), atol=1e-4)


def test_no_size_is_worse_than_pca():
    params = {"hidden_layer_sizes": (64,), "max_epochs": 40, "random_state": 0}
    fitted = AutoencoderTransformer(16, ordered=True, **params).fit(X)
    assert fitted.best_epoch_ > 0
    pca = PCA(16, random_state=0).fit(X)
    codes = pca.transform(X_NEW)
    for k in (1, 2, 4, 8, 16):
        rows = codes[:, :k] @ pca.components_[:k] + pca.mean_
        linear = r2_score(X_NEW, rows, multioutput="variance_weighted")
        assert fitted.truncated(k).score(X_NEW) > linear


def test_a_cut_code_is_saved_without_what_only_larger_codes_need():
    X = np.random.RandomState(0).normal(size=(300, 64))
    ordered = AutoencoderTransformer(16, ordered=True, max_epochs=2, random_state=0).fit(X)
    cut = ordered.truncated(3)
    assert len(pickle.dumps(cut)) < 0.6 * len(pickle.dumps(ordered))
    loaded = pickle.loads(pickle.dumps(cut))
    assert_array_equal(
        loaded.reconstruct(X), ordered.inverse_transform(ordered.transform(X)[:, :3])
    )
    assert loaded.partial_fit(X).transform(X).shape == (300, 3)


def test_the_decoder_of_an_ordered_code_can_be_traced():
    X = np.random.RandomState(0).normal(size=(100, 10))
    fitted = AutoencoderTransformer(3, ordered=True, max_epochs=2, random_state=0).fit(X)
    codes = torch.from_numpy(fitted.transform(X))
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "`torch.jit", DeprecationWarning)
        traced = torch.jit.trace(fitted.decoder_, codes[:2])
    assert_array_equal(traced(codes).detach(), fitted.decoder_(codes).detach())
