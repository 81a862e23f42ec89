"""Scorers, held against scikit-learn's own metrics."""

import pickle

import numpy as np
import pandas as pd
import polars as pl
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from scipy import sparse
from sklearn import config_context
from sklearn.decomposition import NMF, PCA, KernelPCA
from sklearn.metrics import mean_squared_error, r2_score
from sklearn.model_selection import GridSearchCV, cross_validate
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import MinMaxScaler, StandardScaler
from zoo import QUICK

from sklearn_ae import AutoencoderTransformer, DenoisingAutoencoder
from sklearn_ae.corruption import Downscale, corrupt
from sklearn_ae.metrics import (
    RestorationScorer,
    peak_signal_noise_ratio,
    reconstruction_neg_mean_squared_error,
    reconstruction_r2,
)

ESTIMATORS = [
    PCA(4),
    KernelPCA(4, kernel="rbf", gamma=0.05, fit_inverse_transform=True),
    NMF(4, init="nndsvda", max_iter=2000),
    AutoencoderTransformer(4, **QUICK),
    DenoisingAutoencoder(4, corruption_level=0.2, **QUICK),
    make_pipeline(StandardScaler(), PCA(4)),
    make_pipeline(MinMaxScaler(), DenoisingAutoencoder(4, **QUICK)),
]
RESTORATION = RestorationScorer("gaussian", 0.2, (0, 1))


@pytest.mark.parametrize("estimator", ESTIMATORS, ids=lambda estimator: str(estimator)[:30])
def test_scorers_are_scikit_learns_metrics(estimator, unit_X):
    X, X_test = unit_X[:40], unit_X[40:]
    estimator.fit(X)
    restored = estimator.inverse_transform(estimator.transform(X_test))
    r2 = r2_score(X_test, restored, multioutput="variance_weighted")
    assert reconstruction_r2(estimator, X_test) == pytest.approx(r2, rel=1e-6)
    error = mean_squared_error(X_test, restored)
    assert reconstruction_neg_mean_squared_error(estimator, X_test) == pytest.approx(-error)
    noisy = corrupt(X_test, "gaussian", 0.2, (0, 1), random_state=0)
    restored = estimator.inverse_transform(estimator.transform(noisy))
    r2 = r2_score(X_test, restored, multioutput="variance_weighted")
    assert RESTORATION(estimator, X_test) == pytest.approx(r2, rel=1e-6)
    error = mean_squared_error(X_test, restored)
    minus_error = RestorationScorer("gaussian", 0.2, (0, 1), "neg_mean_squared_error")
    assert minus_error(estimator, X_test) == pytest.approx(-error)


@pytest.mark.parametrize("estimator", ESTIMATORS, ids=lambda estimator: str(estimator)[:30])
def test_cross_validation_without_labels(estimator, unit_X):
    scoring = {"r2": reconstruction_r2, "restoration": RESTORATION}
    results = cross_validate(estimator, unit_X, scoring=scoring, cv=2, error_score="raise")
    assert np.isfinite(results["test_r2"]).all()
    assert (results["test_restoration"] < results["test_r2"]).all()


def test_r2_is_the_score_of_an_autoencoder_and_what_pca_explains(X):
    autoencoder = AutoencoderTransformer(3, **QUICK).fit(X)
    assert reconstruction_r2(autoencoder, X) == pytest.approx(autoencoder.score(X), abs=1e-6)
    pca = PCA(3).fit(X)
    assert reconstruction_r2(pca, X) == pytest.approx(pca.explained_variance_ratio_.sum())


@pytest.mark.slow
def test_code_size_and_corruption_level_are_searched_without_labels(digits):
    X = digits[0][:300] / 16
    grid = {"n_components": [4, 16], "corruption_level": [0.0, 0.3]}
    search = GridSearchCV(
        DenoisingAutoencoder(max_epochs=0, random_state=0),
        grid,
        scoring=RestorationScorer("gaussian", 0.3),
        cv=3,
        n_jobs=2,
    ).fit(X)
    assert search.best_params_ == {"n_components": 16, "corruption_level": 0.3}


@pytest.mark.parametrize("library", [pd, pl], ids=["pandas", "polars"])
def test_data_frames_keep_their_names(library, X):
    names = [f"feature {i}" for i in range(X.shape[1])]
    frame = library.DataFrame(X, columns=names) if library is pd else pl.DataFrame(X, schema=names)
    estimator = make_pipeline(StandardScaler(), PCA(3)).fit(frame)  # warns of missing names
    on_array = make_pipeline(StandardScaler(), PCA(3)).fit(X)
    for scorer in (reconstruction_r2, RestorationScorer()):
        assert scorer(estimator, frame) == pytest.approx(scorer(on_array, X))


def test_frames_without_names_and_global_output_settings(X):
    """No scorer gives names to what has none; a warning would fail the test."""
    pca = PCA(3).fit(X)
    frame = pd.DataFrame(X)
    assert RestorationScorer()(PCA(3).fit(frame), frame) == pytest.approx(
        RestorationScorer()(pca, X)
    )
    with config_context(transform_output="pandas"):
        assert RestorationScorer()(pca, X) == RestorationScorer()(pca, X)


def test_all_meet_the_same_corruption_unless_asked_otherwise(X):
    pca = PCA(3).fit(X)
    assert RestorationScorer()(pca, X) == RestorationScorer()(pca, X)
    assert RestorationScorer(random_state=1)(pca, X) != RestorationScorer()(pca, X)
    fresh = RestorationScorer(random_state=None)
    assert fresh(pca, X) != fresh(pca, X)


def test_without_corruption_restoration_is_reconstruction(X):
    pca = PCA(3).fit(X)
    assert RestorationScorer(corruption_level=0)(pca, X) == reconstruction_r2(pca, X)


def test_a_callable_corruption_and_the_pickle_of_a_scorer(digits):
    X = digits[0][:100]
    scorer = RestorationScorer(Downscale((1, 8, 8), 2))
    pca = PCA(8).fit(X)
    again = pickle.loads(pickle.dumps(scorer))
    assert again == scorer
    assert again(pca, X) == scorer(pca, X) < reconstruction_r2(pca, X)


@pytest.mark.parametrize(
    ("how", "message"),
    [
        ({"corruption_level": -1}, "standard deviation"),
        ({"corruption": "masking", "corruption_level": 2}, "share, 0 to 1"),
        ({"corruption_range": (1, 0)}, "low < high"),
        ({"metric": ["r2"]}, "metric must be one of"),
        ({"metric": "psnr"}, r"metric must be one of \['neg_mean_squared_error', 'r2'\]"),
    ],
)
def test_scorer_of_impossible_parameters(how, message):
    with pytest.raises(ValueError, match=message):
        RestorationScorer(**how)


def test_an_inverse_of_another_shape_is_an_error(X):
    class Narrowing(PCA):
        def inverse_transform(self, X):
            return X

    with pytest.raises(ValueError, match=r"same shape; got \(60, 10\) and \(60, 2\)"):
        reconstruction_r2(Narrowing(2).fit(X), X)


# ------------------------------------------------------------------ peak signal to noise


@given(
    seed=st.integers(0, 1000),
    level=st.floats(1e-3, 10),
    data_range=st.sampled_from([None, 1.0, 255.0]),
)
def test_peak_signal_noise_ratio_is_its_formula(seed, level, data_range):
    rng = np.random.RandomState(seed)
    X = rng.uniform(size=(5, 7))
    noisy = X + level * rng.normal(size=X.shape)
    peak = np.ptp(X) if data_range is None else data_range
    expected = 20 * np.log10(peak / np.sqrt(np.mean((X - noisy) ** 2)))
    ratio = peak_signal_noise_ratio(X, noisy, data_range=data_range)
    assert ratio == pytest.approx(expected)


def test_peak_signal_noise_ratio_at_its_ends():
    X = np.eye(3)
    assert peak_signal_noise_ratio(X, X) == np.inf
    assert peak_signal_noise_ratio(X, 1 - X) == pytest.approx(0)
    pictures = np.random.RandomState(0).uniform(size=(2, 4, 5, 3))
    expected = peak_signal_noise_ratio(pictures.reshape(2, -1), pictures.reshape(2, -1) + 0.1)
    assert peak_signal_noise_ratio(pictures, pictures + 0.1) == pytest.approx(expected)
    with pytest.raises(ValueError, match="data_range must be positive and finite; got 0"):
        peak_signal_noise_ratio(np.ones((2, 2)), X[:2, :2])
    with pytest.raises(ValueError, match="data_range must be positive and finite; got -1"):
        peak_signal_noise_ratio(X, X, data_range=-1)
    with pytest.raises(ValueError, match="same shape"):
        peak_signal_noise_ratio(X, X[:2])


@pytest.mark.parametrize(
    "scorer",
    [reconstruction_r2, reconstruction_neg_mean_squared_error, RestorationScorer("masking", 0.2)],
)
def test_sparse_rows_score_as_dense_ones(scorer):
    X = sparse.random_array((60, 10), density=0.3, rng=0, format="csr")
    autoencoder = AutoencoderTransformer(3, max_epochs=0).fit(X)
    assert scorer(autoencoder, X) == pytest.approx(scorer(autoencoder, X.toarray()), rel=1e-6)


@pytest.mark.parametrize(
    "score", [reconstruction_r2, reconstruction_neg_mean_squared_error, RestorationScorer()]
)
def test_scores_of_tensors_are_those_of_arrays(digits, score):
    X = digits[0][:100]
    params = {"max_epochs": 1, "random_state": 0}
    expected = score(AutoencoderTransformer(4, **params).fit(X), X)
    tensor = torch.tensor(X)
    with config_context(array_api_dispatch=True):
        fitted = AutoencoderTransformer(4, **params).fit(tensor)
        assert score(fitted, tensor) == pytest.approx(expected, rel=1e-5)


@pytest.mark.parametrize("unit", [1e-300, 1e-170, 1e170, 1e300])
def test_units_in_which_squares_are_no_numbers(X, unit):
    assert peak_signal_noise_ratio(unit * X, unit * X + unit) == pytest.approx(
        peak_signal_noise_ratio(X, X + 1)
    )

    class Shrinking:
        def transform(self, X):
            return 0.9 * X

        def inverse_transform(self, X):
            return X

    assert reconstruction_r2(Shrinking(), unit * X) == pytest.approx(
        reconstruction_r2(Shrinking(), X)
    )


def test_peak_signal_noise_ratio_of_an_endless_range():
    with pytest.raises(ValueError, match="positive and finite; got inf"):
        peak_signal_noise_ratio([[-1.7e308, 1.7e308]], [[0.0, 0.0]])


# ---------------------------------------------------------------------- missing values


def test_scores_of_rows_with_missing_values_are_those_of_the_estimators():
    rng = np.random.RandomState(0)
    X = rng.normal(size=(200, 3)) @ rng.normal(size=(3, 8))
    X[rng.uniform(size=X.shape) < 0.1] = np.nan
    autoencoder = AutoencoderTransformer(3, **QUICK).fit(X)
    assert reconstruction_r2(autoencoder, X) == pytest.approx(autoencoder.score(X))
    errors = np.square(X - autoencoder.reconstruct(X))
    error = reconstruction_neg_mean_squared_error(autoencoder, X)
    assert error == pytest.approx(-np.nanmean(errors))
    for corruption in ("gaussian", "masking", "salt_and_pepper"):
        assert np.array_equal(np.isnan(corrupt(X, corruption, 0.2)), np.isnan(X))
        restored = RestorationScorer(corruption, 0.2)(autoencoder, X)
        assert restored < autoencoder.score(X)
    with pytest.raises(ValueError, match="NaN"):
        reconstruction_r2(PCA(2).fit(np.nan_to_num(X)), X)
    with pytest.raises(ValueError, match="X has no value"):
        reconstruction_r2(autoencoder, np.full((3, 8), np.nan))
