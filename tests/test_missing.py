"""Missing values: filled with conditional means, counted nowhere, and imputed."""

import copy
import pickle

import numpy as np
import pandas as pd
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from numpy.testing import assert_allclose, assert_array_equal
from scipy import sparse
from scipy.stats import multivariate_normal, norm
from sklearn.base import clone
from sklearn.datasets import load_breast_cancer, load_iris
from sklearn.decomposition import PCA
from sklearn.experimental import enable_iterative_imputer  # noqa: F401
from sklearn.impute import IterativeImputer, KNNImputer, SimpleImputer
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import r2_score
from sklearn.model_selection import train_test_split
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import MinMaxScaler, StandardScaler
from sklearn.utils.estimator_checks import parametrize_with_checks
from torch import nn
from zoo import draw_fewer

from sklearn_ae import (
    AutoencoderImputer,
    AutoencoderTransformer,
    DenoisingAutoencoder,
    VariationalAutoencoder,
)
from sklearn_ae._normal_scores import NormalScores
from sklearn_ae.inspection import code_size_curve
from sklearn_ae.metrics import log_likelihood

TABLE = StandardScaler().fit_transform(load_breast_cancer().data)
WHOLE, WHOLE_TEST = train_test_split(TABLE, random_state=0, train_size=300)
QUICK_IMPUTER = {"max_epochs": 0, "random_state": 0}
QUICK = {"hidden_layer_sizes": (32,), "max_epochs": 8, "random_state": 0}
CLASSES = [AutoencoderTransformer, DenoisingAutoencoder, VariationalAutoencoder]


def punch_holes(rows, share, seed=0):
    """Return a copy of rows with a share of NaN."""
    holes = np.random.RandomState(seed).random_sample(rows.shape) < share
    return np.where(holes, np.nan, rows)


X, X_TEST = punch_holes(WHOLE, 0.2), punch_holes(WHOLE_TEST, 0.2, 1)
IS_MISSING = np.isnan(X_TEST)


def measure_error(filled, whole=WHOLE_TEST, is_missing=IS_MISSING):
    """Return the root mean squared error of the entries that were missing."""
    return np.sqrt(np.square(filled - whole)[is_missing].mean())


def start(n_components, estimator=AutoencoderTransformer):
    """Return an autoencoder that stays at its linear start."""
    return estimator(n_components, init="linear", max_epochs=0, random_state=0)


def fill(X, rows):
    """Return rows as an autoencoder fills them that is fitted to X and leaves nothing out."""
    restored = start(X.shape[1]).fit(X).reconstruct(rows)
    return np.where(np.isnan(rows), restored, rows)


def read_covariance(density):
    """Return the covariance of the Gaussian that the start of a density is."""
    decoder, size = copy.deepcopy(density.decoder_).double(), density.n_components_
    codes = torch.cat([torch.eye(size), torch.zeros(1, size)]).double()
    rows = decoder(codes).detach().numpy()
    factors = density.scale_ * (rows[:-1] - rows[-1])  # (n_components, n_features)
    return factors.T @ factors + density.noise_variance_ * np.eye(factors.shape[1])


def fit_gaussian(X):
    """Return mean and covariance by which missing values are filled: two starts show them."""
    n_features = X.shape[1]
    density = start(n_features - 1, VariationalAutoencoder).fit(X)
    return fill(X, np.full((1, n_features), np.nan))[0], read_covariance(density)


def compute_conditional_means(rows, mean, covariance):
    """Return rows whose missing entries are expected given the others, row by row."""
    filled = rows.copy()
    for row in filled:
        o, m = ~np.isnan(row), np.isnan(row)
        weights = np.linalg.solve(covariance[np.ix_(o, o)], row[o] - mean[o])
        row[m] = mean[m] + covariance[np.ix_(m, o)] @ weights
    return filled


def draw_factors(n_factors, noise, seed=0, shape=(300, 140)):
    """Return rows of so many factors and noise, of more columns than get a full covariance."""
    rng = np.random.RandomState(seed)
    rows = rng.standard_normal((shape[0], n_factors)) @ rng.standard_normal((n_factors, shape[1]))
    return rows + noise * rng.standard_normal(shape)


# ------------------------------------------------------------------------ conditional means


@pytest.mark.parametrize("whole", [WHOLE, draw_factors(5, 0.5)], ids=["full", "few factors"])
def test_filled_entries_are_conditional_means(whole):
    holes = punch_holes(whole, 0.2)
    expected = compute_conditional_means(holes, *fit_gaussian(holes))
    assert_allclose(fill(holes, holes), expected, atol=1e-5)  # by networks in float32


@pytest.mark.parametrize("loss", ["squared_error", "absolute_error"])
def test_the_imputer_fills_conditional_means_or_medians_of_a_copula(loss):
    scores = NormalScores(X)
    u, v = scores.transform(X), scores.transform(X_TEST)
    mean, covariance = fit_gaussian(u)
    # a covariance of so many columns, from so many observed rows
    n_rows, n_columns = (~np.isnan(X)).sum(axis=0).mean(), X.shape[1]
    growth = ((n_rows + n_columns) / (n_rows - n_columns)) ** 0.5
    expected = X_TEST.copy()
    for row, of_scores in zip(expected, v, strict=True):
        o, m = ~np.isnan(row), np.isnan(row)
        weights = np.linalg.solve(covariance[np.ix_(o, o)], covariance[np.ix_(o, m)])
        means = mean[m] + (of_scores[o] - mean[o]) @ weights
        spread = np.sqrt(np.diag(covariance[np.ix_(m, m)] - covariance[np.ix_(m, o)] @ weights))
        for j, center, deviation in zip(np.flatnonzero(m), means, spread, strict=True):
            # quantiles of the conditional distribution, evenly spaced
            shares = (np.arange(2000) + 0.5) / 2000 if loss == "squared_error" else 0.5
            drawn = scores.restore_column(j, center + growth * deviation * norm.ppf(shares))
            row[j] = np.mean(drawn)
    imputer = AutoencoderImputer(loss=loss, max_epochs=0).fit(X)
    # 15 nodes stand for the distribution, whose quantiles jump between the values seen
    errors = np.abs(imputer.transform(X_TEST) - expected)[IS_MISSING]
    assert errors.mean() < 0.02
    assert errors.max() < 0.2


def test_rows_without_holes_stay_as_they_are():
    fitted = AutoencoderTransformer(5, **QUICK).fit(X)
    u = torch.as_tensor((WHOLE - fitted.mean_) / fitted.scale_).float()
    codes = fitted.encoder_(u).detach()
    assert_allclose(fitted.transform(WHOLE), codes, rtol=1e-5, atol=1e-6)


MEAN = np.array([1.0, -2.0, 0.5])
COVARIANCE = np.array([[2.0, 1.2, 0.3], [1.2, 1.5, -0.4], [0.3, -0.4, 1.0]])


def test_expectation_maximisation_finds_the_covariance():
    rows = np.random.RandomState(0).multivariate_normal(MEAN, COVARIANCE, size=20_000)
    mean, covariance = fit_gaussian(punch_holes(rows, 0.3))
    # it is found from 5,000 of the rows
    assert_allclose(covariance, COVARIANCE, atol=0.12)
    assert_allclose(mean, MEAN, atol=0.08)


def maximise_likelihood(rows, n_iterations=200):
    """Return mean and covariance of rows with holes by expectation maximisation, in NumPy."""
    mean, covariance = np.nanmean(rows, axis=0), np.diag(np.nanvar(rows, axis=0))
    for _ in range(n_iterations):
        filled = compute_conditional_means(rows, mean, covariance)
        spread = np.zeros_like(covariance)
        for is_missing in np.isnan(rows):
            o, m = np.flatnonzero(~is_missing), np.flatnonzero(is_missing)
            explained = np.linalg.solve(covariance[np.ix_(o, o)], covariance[np.ix_(o, m)])
            spread[np.ix_(m, m)] += covariance[np.ix_(m, m)] - covariance[np.ix_(m, o)] @ explained
        mean = filled.mean(axis=0)
        covariance = np.cov(filled.T, bias=True) + spread / len(rows)
    return mean, covariance


def test_expectation_maximisation_ends_where_that_of_the_textbook_does():
    rows = np.random.RandomState(1).multivariate_normal(MEAN, COVARIANCE, size=300)
    holes = punch_holes(rows, 0.2)
    mean, covariance = fit_gaussian(holes)
    expected_mean, expected = maximise_likelihood(holes)
    ridge = 0.01 * np.nanvar(holes, axis=0).mean() * np.eye(3)  # against collinear columns
    assert_allclose(covariance, expected + ridge, atol=0.02)
    assert_allclose(mean, expected_mean, atol=0.005)


def test_wide_rows_are_filled_by_few_factors():
    whole = draw_factors(5, 1.0)
    holes, is_missing = punch_holes(whole, 0.2), np.isnan(punch_holes(whole, 0.2))
    thin, full = fill(holes, holes), AutoencoderImputer().fit_transform(holes)
    by_thin, by_full, by_means = (
        measure_error(filled, whole, is_missing) for filled in (thin, full, np.zeros_like(whole))
    )
    assert by_thin < 1.15 * by_full
    assert by_full < 0.6 * by_means


def test_hidden_entries_are_filled_too():
    seen = []

    def note_rows(batch, generator):
        seen.append(batch.clone())
        return batch

    numbers = np.random.RandomState(0).randint(0, 100, size=(400, 20)).astype(float)
    holes = punch_holes(numbers, 0.3)
    DenoisingAutoencoder(2, corruption=note_rows, **QUICK).fit(holes)
    assert all(rows.isfinite().all() for rows in seen)
    first, *trained = seen  # two rows come first, by which the callable is tried
    assert len(first) == 2
    entries = torch.cat(trained).flatten()
    # what was missing, and as large a share of the rest
    are_filled = (entries - entries.round()).abs() > 1e-3
    assert are_filled.double().mean() == pytest.approx(0.3 + 0.7 * 0.3, abs=0.02)


# ------------------------------------------------------------------------- statistics, losses


def test_mean_and_scale_are_those_of_the_observed_entries():
    fitted = start(2).fit(X)
    assert_allclose(fitted.mean_, np.nanmean(X, axis=0), atol=1e-12)
    assert fitted.scale_ == pytest.approx(np.nanvar(X, axis=0).mean() ** 0.5)
    clipped = AutoencoderTransformer(30, clip=True, max_epochs=0).fit(X)
    for factor, bound in ((-100, np.nanmin(X, axis=0)), (100, np.nanmax(X, axis=0))):
        assert_array_equal(clipped.reconstruct(np.full((1, 30), factor))[0], bound)


class ConstantRow(nn.Module):
    """A decoder that returns the same row for every code, at first one of ones."""

    def __init__(self, n_in, n_out):
        super().__init__()
        self.row = nn.Parameter(torch.ones(n_out))

    def forward(self, codes):
        return self.row.expand(len(codes), -1).clone()


@pytest.mark.parametrize(("loss", "power"), [("squared_error", 2), ("absolute_error", 1)])
def test_losses_count_what_is_there(loss, power):
    rate = 0.1
    params = {"init": "random", "decoder": ConstantRow, "optimizer": torch.optim.SGD, "loss": loss}
    params |= {"schedule": "constant", "learning_rate": rate, "batch_size": 300, "max_epochs": 1}
    fitted = AutoencoderTransformer(2, early_stopping=False, **params).fit(X)
    u, is_observed = (X - fitted.mean_) / fitted.scale_, ~np.isnan(X)
    expected = np.nanmean(np.abs(u - 1) ** power) * fitted.scale_**power
    assert fitted.loss_curve_ == pytest.approx([expected], rel=1e-5)
    # so do gradients
    slopes = 2 * (1 - u) if power == 2 else np.sign(1 - u)
    row = 1 - rate * np.nansum(slopes, axis=0) / is_observed.sum()
    restored = fitted.mean_ + fitted.scale_ * row
    assert_allclose(fitted.reconstruct(X[:1])[0], restored, rtol=1e-5, atol=1e-6)
    # rows that judge have their own means; one without any value has no loss
    held_out = np.r_[X_TEST, np.full((1, 30), np.nan)]
    fitted = AutoencoderTransformer(2, **params).fit(X, X_val=held_out)
    errors = np.abs((X_TEST - fitted.mean_) / fitted.scale_ - 1) ** power
    expected = np.nanmean(errors, axis=1).sum() / len(held_out) * fitted.scale_**power
    assert fitted.start_loss_ == pytest.approx(expected, rel=1e-5)


# -------------------------------------------------------------------------------- estimators


@pytest.mark.parametrize("cls", CLASSES)
@pytest.mark.parametrize("params", [{}, {"init": "random"}, {"max_epochs": 0}], ids=str)
def test_every_method_takes_missing_values(cls, params):
    fitted = cls(5, **{**QUICK, **params}).fit(X, X_val=X_TEST)
    codes = fitted.transform(X_TEST)
    assert codes.shape == (len(X_TEST), 5)
    restored = fitted.reconstruct(X_TEST)
    assert_allclose(restored, fitted.inverse_transform(codes), rtol=1e-5, atol=1e-6)
    scores = fitted.score_samples(X_TEST)
    assert np.isfinite(scores).all()
    if cls is not VariationalAutoencoder:
        expected = -np.nanmean((X_TEST - restored) ** 2, axis=1)
        assert_allclose(scores, expected, rtol=1e-6)
        errors = np.nansum((X_TEST - restored) ** 2)
        spread = np.nansum((X_TEST - np.nanmean(X_TEST, axis=0)) ** 2)
        assert fitted.score(X_TEST) == pytest.approx(1 - errors / spread, abs=1e-6)
    loaded = pickle.loads(pickle.dumps(fitted))
    assert_array_equal(loaded.transform(X_TEST), codes)
    assert np.isfinite(fitted.partial_fit(X).score(X_TEST))


def test_the_start_is_pca_of_the_covariance():
    fitted = start(3).fit(X)
    _, covariance = fit_gaussian(X)
    _, vectors = np.linalg.eigh(covariance)
    weights = fitted.encoder_(torch.eye(30)).detach().numpy().T / fitted.scale_
    assert_allclose(np.abs(weights @ vectors[:, :-4:-1]), np.eye(3), atol=1e-5)
    # and near that of the whole rows
    whole = PCA(3).fit(WHOLE).components_
    assert np.linalg.svd(whole @ weights.T)[1].min() > 0.97


def test_codes_depend_little_on_what_is_missing():
    fitted = AutoencoderTransformer(5, random_state=0).fit(X)
    whole, holes = fitted.transform(WHOLE_TEST), fitted.transform(X_TEST)
    assert r2_score(whole, holes, multioutput="variance_weighted") > 0.95
    by_means = fitted.transform(np.where(IS_MISSING, fitted.mean_, WHOLE_TEST))
    assert np.abs(whole - holes).mean() < 0.6 * np.abs(whole - by_means).mean()


def test_not_worse_than_pca_of_filled_rows():
    fill = SimpleImputer().fit(X)
    pca = PCA(5).fit(fill.transform(X))
    rows = fill.transform(X_TEST)
    restored = pca.inverse_transform(pca.transform(rows))
    kept = 1 - np.nansum((X_TEST - restored) ** 2) / np.nansum(X_TEST**2)
    assert AutoencoderTransformer(5, random_state=0).fit(X).score(X_TEST) > kept


@pytest.mark.parametrize("kind", [sparse.csr_array, lambda rows: rows.astype(np.float32)])
def test_containers(kind):
    fitted = AutoencoderTransformer(4, **QUICK).fit(kind(X))
    assert fitted.score(kind(X_TEST)) == pytest.approx(
        AutoencoderTransformer(4, **QUICK).fit(X).score(X_TEST), abs=0.02
    )


def test_memory_maps(tmp_path):
    mapped = np.memmap(tmp_path / "rows", dtype=float, mode="w+", shape=X.shape)
    mapped[:] = X
    from_file = AutoencoderTransformer(4, **QUICK).fit(mapped)
    assert_allclose(
        from_file.transform(mapped), AutoencoderTransformer(4, **QUICK).fit_transform(X)
    )


def test_ordered_codes_with_holes():
    ordered = AutoencoderTransformer(4, ordered=True, **QUICK).fit(X, X_val=X_TEST)
    assert (ordered.explained_variance_ratio_ >= 0).all()
    kept = ordered.explained_variance_ratio_.sum()
    assert kept == pytest.approx(ordered.score(X_TEST), abs=0.02)


def test_the_start_of_a_density_has_the_likelihood_of_the_covariance():
    fitted = start(29, VariationalAutoencoder).fit(X)
    density = multivariate_normal(fitted.mean_, read_covariance(fitted))
    assert_allclose(fitted.score_samples(WHOLE_TEST), density.logpdf(WHOLE_TEST), rtol=1e-6)


def test_bits_with_holes():
    bits = punch_holes((WHOLE > 0).astype(float), 0.2)
    fitted = VariationalAutoencoder(3, loss="binary_cross_entropy", **QUICK).fit(bits)
    assert np.isfinite(fitted.score(bits))
    assert AutoencoderTransformer(3, loss="binary_cross_entropy", **QUICK).fit(bits).score(bits) > 0


@pytest.mark.parametrize("n_components", [1, 5, 30])
def test_the_start_knows_of_observed_entries_alone(n_components):
    fitted = start(n_components, VariationalAutoencoder).fit(WHOLE)
    mean, covariance = fitted.mean_, read_covariance(fitted)
    rows = np.vstack([X_TEST[:40], punch_holes(WHOLE_TEST[:20], 0.9)])
    rows[0, 1:] = np.nan
    expected = [
        multivariate_normal(mean[o], covariance[np.ix_(o, o)]).logpdf(row[o])
        for row in rows
        for o in [~np.isnan(row)]
    ]
    # biases of the networks are in float32
    assert_allclose(fitted.score_samples(rows), expected, rtol=1e-6, atol=3e-5)
    # the posterior of a code, whose covariance with the rows is the decoder's
    size = fitted.n_components_
    decoder = copy.deepcopy(fitted.decoder_).double()
    codes = torch.cat([torch.eye(size), torch.zeros(1, size)]).double()
    decoded = fitted.scale_ * decoder(codes).detach().numpy()
    factors = decoded[:-1] - decoded[-1]  # (n_components, n_features)
    found_mean, found_deviation = fitted.posterior(rows)
    for number, row in enumerate(rows):
        o = ~np.isnan(row)
        weights = np.linalg.solve(covariance[np.ix_(o, o)], factors[:, o].T).T
        assert_allclose(found_mean[number], weights @ (row[o] - mean[o]), atol=2e-4)
        variance = 1 - (weights * factors[:, o]).sum(axis=1)
        assert_allclose(found_deviation[number], np.sqrt(variance), rtol=1e-3, atol=1e-4)
    empty = np.full((1, 30), np.nan)
    assert_allclose(fitted.posterior(empty)[1], 1, atol=1e-6)


@pytest.mark.parametrize("share", [0.3, 0.6, 0.9])
def test_posteriors_cover_the_codes_of_whole_rows(share):
    fitted = VariationalAutoencoder(3, **QUICK).fit(WHOLE)
    mean, deviation = fitted.posterior(punch_holes(WHOLE_TEST, share))
    assert (np.abs(fitted.transform(WHOLE_TEST) - mean) < 2 * deviation).mean() > 0.9


def test_a_likelihood_of_few_entries_is_that_of_the_margin():
    fitted = start(29, VariationalAutoencoder).fit(X)
    mean, covariance = fit_gaussian(X)
    one = np.full((1, 30), np.nan)
    one[0, 3] = 0.5
    variance = covariance[3, 3]
    exact = -((0.5 - mean[3]) ** 2 / variance + np.log(2 * np.pi * variance)) / 2
    assert fitted.score_samples(one)[0] < exact + 1e-6
    assert fitted.score_samples(one, n_importance_samples=5000)[0] < exact + 0.5


def test_searches_and_pipelines():
    curve = code_size_curve(
        [VariationalAutoencoder(**QUICK)], X, n_components=[2], cv=2, scoring=log_likelihood
    )
    assert np.isfinite(curve.reconstruction_score).all()
    y = load_breast_cancer().target
    train, test, y_train, y_test = train_test_split(punch_holes(TABLE, 0.3), y, random_state=0)
    steps = AutoencoderTransformer(5, random_state=0), StandardScaler(), LogisticRegression()
    assert make_pipeline(*steps).fit(train, y_train).score(test, y_test) > 0.9


def test_a_row_is_filled_by_the_same_numbers_in_any_company():
    fitted = AutoencoderTransformer(5, **QUICK).fit(X)
    alone = np.concatenate([fitted.transform(row[None]) for row in X_TEST])
    # products with other numbers of rows are rounded in another way
    assert_allclose(alone, fitted.transform(X_TEST), rtol=1e-5, atol=1e-5)


def test_a_callable_corruption_gets_rows_that_are_filled():
    seen = []

    def add_one(batch, generator):
        seen.append(bool(batch.isnan().any()))
        return batch + 1

    holes = np.r_[np.full((1, X.shape[1]), np.nan), X]
    DenoisingAutoencoder(2, corruption=add_one, **QUICK).fit(holes)
    assert not any(seen)


@pytest.mark.parametrize("estimator", [AutoencoderTransformer, VariationalAutoencoder])
def test_later_rows_may_have_no_value_in_a_column(estimator):
    later = X_TEST.copy()
    later[:, 3] = np.nan
    fitted = estimator(2, **QUICK).fit(X, X_val=later)
    fitted.partial_fit(later)
    assert np.isfinite(fitted.transform(later)).all()
    assert np.isfinite(fitted.score(later))


def test_errors_about_missing_values():
    empty = np.c_[X, np.full((len(X), 1), np.nan)]
    with pytest.raises(ValueError, match="no value at all in column 30"):
        AutoencoderTransformer(2, **QUICK).fit(empty)
    named = pd.DataFrame(empty, columns=[f"c{i}" for i in range(30)] + ["height"])
    with pytest.raises(ValueError, match="no value at all in column height"):
        AutoencoderTransformer(2, **QUICK).fit(named)
    endless = X.copy()
    endless[3, 4] = np.inf
    with pytest.raises(ValueError, match="infinity"):
        AutoencoderTransformer(2, **QUICK).fit(endless)
    whole = AutoencoderTransformer(2, **QUICK).fit(WHOLE)
    with pytest.raises(ValueError, match="the X of the first fit had none"):
        whole.partial_fit(X)
    with pytest.raises(ValueError, match=r"X_val .*It has no value at all"):
        AutoencoderTransformer(2, **QUICK).fit(X, X_val=np.full_like(X_TEST, np.nan))
    with pytest.raises(ValueError, match="It has missing values, and X has none"):
        AutoencoderTransformer(2, **QUICK).fit(WHOLE, X_val=X_TEST)
    holes = AutoencoderTransformer(2, **QUICK).fit(X)
    with pytest.raises(ValueError, match="infinity"):
        holes.transform(endless)


# ----------------------------------------------------- models that have seen no missing values


@pytest.mark.parametrize(
    "make",
    [
        lambda: AutoencoderTransformer(5, **QUICK),
        lambda: AutoencoderTransformer(5, init="random", **{**QUICK, "max_epochs": 100}),
        lambda: AutoencoderTransformer(5, ordered=True, **QUICK),
        lambda: DenoisingAutoencoder(5, **QUICK),
        lambda: VariationalAutoencoder(5, **QUICK),
        lambda: VariationalAutoencoder(5, loss="binary_cross_entropy", **QUICK),
    ],
)
def test_they_fill_by_reconstruction(make):
    whole = MinMaxScaler().fit_transform(WHOLE)
    holes = np.where(np.isnan(X), np.nan, whole)
    model = make().fit(whole)
    codes = model.transform(holes)
    filled_with_means = model.transform(np.where(np.isnan(holes), whole.mean(axis=0), holes))
    expected = model.transform(whole)
    assert np.square(codes - expected).mean() < np.square(filled_with_means - expected).mean()
    has_holes = np.isnan(holes).any(axis=1)
    rounding = {"rtol": 1e-4, "atol": 1e-6}  # of products with other numbers of rows
    assert_allclose(codes[~has_holes], expected[~has_holes], **rounding)
    assert_allclose(model.transform(holes[:3]), codes[:3], **rounding)  # whatever is beside it
    assert np.isfinite(model.score_samples(holes)).all()
    assert np.isfinite(model.score(holes))


def test_they_fill_a_linear_code_as_iterated_pca_does():
    model = AutoencoderTransformer(2, init="linear", max_epochs=0).fit(WHOLE)
    holes = WHOLE[:50].copy()
    holes[:, 3] = np.nan
    pca, known = PCA(2).fit(WHOLE), np.arange(WHOLE.shape[1]) != 3
    filled = np.where(known, holes, WHOLE.mean(axis=0))
    for _ in range(2):
        filled = np.where(known, holes, pca.inverse_transform(pca.transform(filled)))
    assert_allclose(model.transform(holes), pca.transform(filled), atol=1e-5)
    restored = model.reconstruct(holes)
    errors = np.square(restored - WHOLE[:50])[:, known].mean(axis=1)
    assert_allclose(model.score_samples(holes), -errors, rtol=1e-6)


# ------------------------------------------------------------------------------- the imputer


def test_wide_tables_are_imputed_by_a_full_covariance_alone():
    # pairs of columns, more of them than a covariance of few factors can hold
    whole = np.random.RandomState(0).standard_normal((400, 70)).repeat(2, axis=1)
    whole += 0.3 * np.random.RandomState(1).standard_normal(whole.shape)
    holes = punch_holes(whole, 0.2)
    imputer = AutoencoderImputer(random_state=0).fit(holes)
    assert imputer.autoencoder_.n_iter_ == 0
    filled = imputer.transform(holes)
    assert_array_equal(filled, AutoencoderImputer(max_epochs=0).fit_transform(holes))
    few_factors = fill(holes, holes)
    errors = [measure_error(rows, whole, np.isnan(holes)) for rows in (filled, few_factors)]
    assert errors[0] < 0.85 * errors[1]
    # a network starts at few factors
    trained = AutoencoderImputer(max_epochs=1, learning_rate=1e-9, random_state=0)
    found = trained.fit_transform(holes)[np.isnan(holes)]
    assert np.corrcoef(found, few_factors[np.isnan(holes)])[0, 1] > 0.98


def test_the_imputer_is_judged_by_hidden_entries_only():
    noise = np.random.RandomState(0).standard_normal((500, 20))  # which nothing predicts
    params = {"max_epochs": 1, "learning_rate": 1e-9, "random_state": 0}
    for whole, expected in ((noise, 1.0), (np.c_[noise, np.full(noise.shape, 3.0)], 0.5)):
        autoencoder = AutoencoderImputer(**params).fit(punch_holes(whole, 0.3)).autoencoder_
        # what is not hidden has no error, nor have constant columns, which are filled exactly
        for loss in (autoencoder.start_loss_, *autoencoder.loss_curve_):
            assert loss == pytest.approx(expected, rel=0.1)


@parametrize_with_checks([AutoencoderImputer(max_epochs=1, random_state=0)])
def test_scikit_learn_checks(estimator, check):
    check(estimator)


@pytest.fixture(scope="module")
def imputer():
    return AutoencoderImputer(random_state=0).fit(X)


def test_only_missing_entries_change(imputer):
    filled = imputer.transform(X_TEST)
    assert_array_equal(filled[~IS_MISSING], X_TEST[~IS_MISSING])
    assert np.isfinite(filled).all()
    assert measure_error(filled) < measure_error(KNNImputer().fit(X).transform(X_TEST))
    assert measure_error(filled) < 1.02 * measure_error(
        IterativeImputer(random_state=0, max_iter=100).fit(X).transform(X_TEST)
    )
    assert_array_equal(imputer.transform(WHOLE_TEST), WHOLE_TEST)
    assert imputer.transform(X_TEST.astype(np.float32)).dtype == np.float32


def test_it_learns_what_is_not_linear():
    rng = np.random.RandomState(0)
    angle = rng.uniform(0, 2 * np.pi, 600)
    circle = np.c_[np.cos(angle), np.sin(angle), np.cos(2 * angle), np.sin(2 * angle)]
    holes = punch_holes(circle, 0.15)
    missing = np.isnan(holes)

    def measure(imputer):
        return np.square(imputer.fit_transform(holes) - circle)[missing].mean()

    trained = AutoencoderImputer(max_epochs=200, random_state=0)
    assert measure(trained) < 0.8 * measure(AutoencoderImputer(max_epochs=0))


def test_rows_without_any_value_are_filled(imputer):
    nothing = np.full((1, 30), np.nan)
    assert_allclose(imputer.transform(nothing)[0], np.nanmean(X, axis=0), atol=0.3)


def test_parameters_of_imputers():
    coded = np.where(np.isnan(X), -999, X)
    coded_imputer = AutoencoderImputer(missing_values=-999, max_epochs=0, add_indicator=True)
    filled = coded_imputer.fit_transform(coded)
    assert filled.shape == (len(X), 60)
    assert_array_equal(filled[:, 30:], np.isnan(X))
    assert_array_equal(coded_imputer.inverse_transform(filled), coded)
    expected = AutoencoderImputer(max_epochs=0).fit_transform(X)
    assert_allclose(filled[:, :30], expected)
    with pytest.raises(AttributeError, match="inverse_transform"):
        AutoencoderImputer(max_epochs=0).fit(X).inverse_transform(expected)


@pytest.mark.parametrize("keeps", [False, True])
def test_empty_features(keeps):
    empty = X.copy()
    empty[:, [2, 5]] = np.nan
    params = {"keep_empty_features": keeps, "max_epochs": 0}
    filled = AutoencoderImputer(**params).fit_transform(empty)
    expected = KNNImputer(keep_empty_features=keeps).fit_transform(empty)
    assert filled.shape == expected.shape
    if keeps:
        assert not filled[:, [2, 5]].any()
    nothing = AutoencoderImputer(**params).fit_transform(np.full((4, 3), np.nan))
    assert nothing.shape == (4, 3 if keeps else 0)


def test_names_and_output_as_pandas():
    frame = load_iris(as_frame=True).data
    frame.iloc[::7, 1] = np.nan
    imputer = AutoencoderImputer(max_epochs=0, add_indicator=True).set_output(transform="pandas")
    filled = imputer.fit_transform(frame)
    assert [*filled.columns] == [*frame.columns, "missingindicator_sepal width (cm)"]
    assert (filled.index == frame.index).all()
    assert [*clone(imputer).set_params(add_indicator=False).fit(frame).get_feature_names_out()] == [
        *frame.columns
    ]


def test_values_stay_in_the_range_that_was_seen(imputer):
    low, high = np.nanmin(X, axis=0), np.nanmax(X, axis=0)
    filled = imputer.transform(X_TEST)
    assert ((low <= filled) & (filled <= high))[IS_MISSING].all()
    constant = np.column_stack([X, np.where(np.arange(len(X)) % 3, 7.0, np.nan)])
    assert (AutoencoderImputer(**QUICK_IMPUTER).fit_transform(constant)[:, -1] == 7).all()


@given(st.integers(0, 1000))
@draw_fewer(0.05)
def test_units_and_skew_of_columns_do_not_matter(seed):
    rng = np.random.RandomState(seed)
    units = 10.0 ** rng.uniform(-6, 6, size=X.shape[1])
    plain = AutoencoderImputer(**QUICK_IMPUTER).fit(X).transform(X_TEST)
    scaled = AutoencoderImputer(**QUICK_IMPUTER).fit(X * units).transform(X_TEST * units)
    assert_allclose(scaled / units, plain, atol=1e-6 * np.nanstd(X))
    # medians are also those of any monotone unit
    params = {"loss": "absolute_error", **QUICK_IMPUTER}
    expected = np.exp(AutoencoderImputer(**params).fit(X).transform(X))
    found = AutoencoderImputer(**params).fit(np.exp(X)).transform(np.exp(X))
    errors = np.abs(np.log(found) - np.log(expected))
    assert np.median(errors[np.isnan(X)]) < 0.05


@pytest.mark.parametrize("column", [0, 11])
def test_a_wild_value_does_no_harm_to_other_columns(column):
    def measure(rows):
        filled = AutoencoderImputer(**QUICK_IMPUTER).fit(rows).transform(X_TEST)
        others = np.arange(X.shape[1]) != column
        return np.square(filled - WHOLE_TEST)[:, others][IS_MISSING[:, others]].mean()

    wild = X.copy()
    wild[np.flatnonzero(~np.isnan(X[:, column]))[0], column] = 1e4
    assert measure(wild) < 1.05 * measure(X)


def test_draws_have_the_conditional_distribution():
    rng = np.random.RandomState(0)
    first = rng.normal(size=4000)
    second = 0.8 * first + 0.6 * rng.normal(size=4000)
    whole = np.column_stack([first, second, rng.normal(size=4000)])
    holes = whole.copy()
    holes[::2, 1] = np.nan
    imputer = AutoencoderImputer(sample_posterior=True, max_epochs=0, random_state=0).fit(holes)
    drawn = imputer.transform(holes)
    assert not np.array_equal(drawn, imputer.transform(holes))
    left = (drawn - 0.8 * whole[:, [0]])[::2, 1]
    assert left.std() == pytest.approx(0.6, abs=0.03)
    assert np.corrcoef(drawn[::2, :2].T)[0, 1] == pytest.approx(0.8, abs=0.03)
    repeated = clone(imputer).fit(holes).transform(holes)
    assert_array_equal(repeated, drawn)


@pytest.mark.parametrize("n_features", [6, 40])
def test_nine_of_ten_hidden_values_are_in_their_intervals(n_features):
    whole = draw_factors(3, 1.0, shape=(600, n_features))
    holes = punch_holes(whole, 0.2)
    imputer = AutoencoderImputer(sample_posterior=True, max_epochs=0, random_state=0).fit(holes)
    draws = np.stack([imputer.transform(holes) for _ in range(60)])
    low, high = np.quantile(draws, [0.05, 0.95], axis=0)
    is_inside = (low <= whole) & (whole <= high)
    assert is_inside[np.isnan(holes)].mean() == pytest.approx(0.9, abs=0.04)


def test_rows_to_judge_by_may_be_given():
    imputer = AutoencoderImputer(random_state=0, max_epochs=3)
    assert imputer.fit(X, X_val=X_TEST).autoencoder_.n_iter_ == 3
    with pytest.raises(ValueError, match="30 features"):
        imputer.fit(X, X_val=X_TEST[:, :5])


def test_fitted_on_whole_rows_it_fills_others():
    imputer = AutoencoderImputer(max_epochs=0).fit(WHOLE)
    assert measure_error(imputer.transform(X_TEST)) < 0.5


def test_bad_parameters():
    with pytest.raises(ValueError, match="'add_indicator' parameter"):
        AutoencoderImputer(add_indicator="yes").fit(X)
    with pytest.raises(ValueError, match="'missing_values' parameter"):
        AutoencoderImputer(missing_values="none").fit(X)


@pytest.mark.parametrize("has_holes", [False, True])
@pytest.mark.parametrize("estimator", CLASSES)
def test_a_row_without_any_value_has_no_score(estimator, has_holes):
    autoencoder = start(4, estimator).fit(X if has_holes else WHOLE)
    rows = np.vstack([X_TEST[:5], np.full((2, X.shape[1]), np.nan)])
    scores = autoencoder.score_samples(rows)
    assert_array_equal(np.isnan(scores), [False] * 5 + [True] * 2)
    assert_allclose(scores[:5], autoencoder.score_samples(rows[:5]))
    assert autoencoder.score(rows) == pytest.approx(autoencoder.score(rows[:5]))
    assert np.isnan(autoencoder.score(rows[5:]))


def test_likelihoods_are_means_over_rows_with_any_value():
    autoencoder = start(4, VariationalAutoencoder).fit(X)
    rows = np.vstack([X_TEST[:5], np.full((2, X.shape[1]), np.nan)])
    assert log_likelihood(autoencoder, rows) == pytest.approx(autoencoder.score(rows))
    assert np.isnan(log_likelihood(autoencoder, rows[5:]))
