"""The detector: its score is made of what it says, and its threshold keeps its word."""

import io
import pickle

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from matplotlib import pyplot as plt
from numpy.testing import assert_allclose, assert_array_equal
from scipy import sparse
from sklearn.base import clone
from sklearn.covariance import LedoitWolf
from sklearn.datasets import load_breast_cancer, load_digits
from sklearn.decomposition import PCA
from sklearn.ensemble import IsolationForest
from sklearn.exceptions import NotFittedError
from sklearn.metrics import roc_auc_score
from sklearn.model_selection import GridSearchCV, StratifiedKFold
from sklearn.neighbors import NearestNeighbors
from sklearn.utils.estimator_checks import parametrize_with_checks
from zoo import draw_fewer

from sklearn_ae import AutoencoderDetector
from sklearn_ae._normal_scores import NormalScores
from sklearn_ae.export import to_onnx
from sklearn_ae.inspection import AnomalyDisplay

FRAME, Y = load_breast_cancer(return_X_y=True, as_frame=True)
BENIGN, MALIGNANT = FRAME[Y == 1].to_numpy(), FRAME[Y == 0].to_numpy()
PARAMS = {"max_epochs": 5, "random_state": 0}


@pytest.fixture(scope="module")
def fitted():
    return AutoencoderDetector(random_state=0).fit(BENIGN[:250])


@parametrize_with_checks([AutoencoderDetector(max_epochs=2, random_state=0)])
def test_scikit_learn_checks(estimator, check):
    check(estimator)


# --------------------------------------------------------------------------------- score


def test_the_score_before_training_is_made_of_closed_forms():
    rng = np.random.RandomState(0)
    X, new = np.split(rng.normal(size=(300, 8)) @ rng.normal(size=(8, 8)), [200])
    params = {"max_epochs": 0, "random_state": 0}
    detector = AutoencoderDetector(4, **params).fit(X)
    assert detector.autoencoder_.init_ == "linear"  # no correction helps on these rows
    scores = NormalScores(X)
    u, v = scores.transform(X), scores.transform(new)
    pca = PCA(4).fit(u)

    def measure(rows):
        codes = pca.transform(rows)
        residuals = rows - pca.inverse_transform(codes)
        pairs = zip(spreads, (codes, residuals), strict=True)
        return np.sqrt(sum(spread.mahalanobis(part) for spread, part in pairs))

    spreads = (
        LedoitWolf().fit(pca.transform(u)),
        LedoitWolf().fit(u - pca.inverse_transform(pca.transform(u))),
    )
    near = NearestNeighbors(n_neighbors=5).fit(u)
    unit = near.kneighbors()[0].mean(axis=1).std()
    distances = near.kneighbors(v)[0].mean(axis=1)
    expected = measure(v) / measure(u).std() + 2 * distances / unit
    assert_allclose(-detector.score_samples(new), expected, rtol=1e-4)


def test_without_shrinkage_both_distances_are_that_of_mahalanobis():
    u = np.random.RandomState(0).normal(size=(5000, 4)) @ np.diag([1, 2, 3, 4])
    pca = PCA(2).fit(u)
    codes = pca.transform(u)
    residuals = u - pca.inverse_transform(codes)
    parts = ((codes, np.cov(codes.T)), (residuals, np.cov(residuals.T)))
    found = sum(np.einsum("ij,jk,ik->i", a, np.linalg.pinv(c), a) for a, c in parts)
    centred = u - u.mean(axis=0)
    precision = np.linalg.inv(np.cov(u.T))
    assert_allclose(found, np.einsum("ij,jk,ik->i", centred, precision, centred), rtol=1e-6)


def test_it_is_ahead_of_an_isolation_forest_on_digits():
    X, y = load_digits(return_X_y=True)
    known, new, others = X[y == 1][:120], X[y == 1][120:], X[y != 1]
    rows, is_other = np.vstack([new, others]), np.r_[np.zeros(len(new)), np.ones(len(others))]
    ours, forest = (
        roc_auc_score(is_other, -detector.fit(known).score_samples(rows))
        for detector in (AutoencoderDetector(random_state=0), IsolationForest(random_state=0))
    )
    assert ours > 0.97
    assert ours > forest


@given(st.integers(0, 1000))
@draw_fewer(0.05)
def test_units_of_columns_do_not_matter(seed):
    units = 10.0 ** np.random.RandomState(seed).uniform(-6, 6, size=BENIGN.shape[1])
    detector = AutoencoderDetector(max_epochs=0, random_state=0)
    plain = clone(detector).fit(BENIGN[:100])
    scaled = clone(detector).fit(BENIGN[:100] * units)
    assert_allclose(
        scaled.score_samples(MALIGNANT * units), plain.score_samples(MALIGNANT), rtol=1e-6
    )
    assert_array_equal(scaled.predict(MALIGNANT * units), plain.predict(MALIGNANT))


def test_scores_go_on_beyond_the_training_rows(fitted):
    rows = np.repeat(BENIGN[:1], 4, axis=0)
    rows[:, 3] = BENIGN[:250, 3].max() * np.array([1, 2, 4, 8])
    assert (np.diff(fitted.score_samples(rows)) < 0).all()


def test_columns_that_say_nothing_or_the_same_twice():
    X = np.column_stack([BENIGN[:150, :5], np.ones(150), BENIGN[:150, :5]])
    detector = AutoencoderDetector(**PARAMS).fit(X)
    assert np.isfinite(detector.score_samples(X)).all()
    assert_allclose(detector.reconstruct(X)[:, 5], 1)
    with pytest.raises(ValueError, match="no column that varies"):
        detector.fit(np.ones((20, 3)))
    assert detector.n_features_in_ == 11  # as it was before


# ----------------------------------------------------------------------------- threshold


@pytest.mark.slow
@pytest.mark.parametrize("n_rows", [50, 200, 1000])
@pytest.mark.parametrize("contamination", [0.05, 0.2])
def test_new_rows_of_the_same_kind_raise_as_many_alarms_as_asked_for(n_rows, contamination):
    rng = np.random.RandomState(n_rows)
    mixing, shares = rng.normal(size=(3, 12)), []
    for seed in range(8 if n_rows < 1000 else 3):
        latent = rng.normal(size=(n_rows + 4000, 3))
        rows = np.tanh(latent @ mixing) + 0.3 * rng.normal(size=(len(latent), 12))
        params = {"contamination": contamination, "random_state": seed, "max_epochs": 20}
        detector = AutoencoderDetector(**params)
        shares.append((detector.fit(rows[:n_rows]).predict(rows[n_rows:]) == -1).mean())
    # the quantile of few rows varies: standard deviation of a mean of quantiles, times three
    error = 3 * (contamination * (1 - contamination) / n_rows / len(shares)) ** 0.5
    assert np.mean(shares) == pytest.approx(contamination, abs=0.01 + error)


def test_p_values_are_shares_of_held_out_rows(fitted):
    rows = np.vstack([BENIGN[250:], MALIGNANT])
    p_values, scores = fitted.compute_p_values(rows), fitted.score_samples(rows)
    held_out = fitted.held_out_scores_
    assert len(held_out) == 250
    expected = [(1 + (held_out <= score).sum()) / 251 for score in scores]
    assert_allclose(p_values, expected)
    assert np.median(p_values[: len(BENIGN) - 250]) > 0.3


def test_training_rows_are_judged_as_if_they_were_new(fitted):
    assert_allclose(np.sort(fitted.score_samples(BENIGN[:250])), fitted.held_out_scores_)
    share = (fitted.predict(BENIGN[:250]) == -1).mean()
    assert share == pytest.approx(0.05, abs=0.01)


@pytest.mark.parametrize("contamination", [0.01, 0.3])
def test_contamination_moves_the_threshold_and_nothing_else(fitted, contamination):
    other = clone(fitted).set_params(contamination=contamination).fit(BENIGN[:250])
    assert_array_equal(other.score_samples(MALIGNANT), fitted.score_samples(MALIGNANT))
    assert (other.offset_ < fitted.offset_) == (contamination < 0.05)


def test_auto_is_one_in_twenty(fitted):
    other = clone(fitted).set_params(contamination=0.05).fit(BENIGN[:250])
    assert other.offset_ == fitted.offset_


def test_few_rows_have_a_threshold_beyond_the_strangest_of_them():
    detector = AutoencoderDetector(contamination=0.001, **PARAMS).fit(BENIGN[:50])
    assert detector.offset_ < detector.held_out_scores_[0]
    assert (detector.predict(BENIGN[:50]) == 1).all()


def test_groups_are_not_on_both_sides():
    # ten readings of each of 20 things: with the others of its group each row is near
    rng = np.random.RandomState(0)
    things = rng.normal(size=(20, 6))
    groups = np.repeat(np.arange(20), 10)
    rows = things[groups] + 0.01 * rng.normal(size=(200, 6))
    apart = AutoencoderDetector(**PARAMS).fit(rows, groups=groups)
    new = rng.normal(size=(500, 6))
    assert (apart.predict(new) == -1).mean() < 0.3
    with pytest.raises(ValueError, match="one label for each of the 200 rows"):
        apart.fit(rows, groups=groups[:5])


def test_anomalies_among_the_training_rows_are_left_out():
    dirty = np.vstack([BENIGN[:225], MALIGNANT[:25]])
    plain = AutoencoderDetector(**PARAMS).fit(dirty)
    cleaned = AutoencoderDetector(support_fraction=0.9, **PARAMS).fit(dirty)
    assert len(cleaned.held_out_scores_) == 225
    found = [(d.predict(MALIGNANT[25:]) == -1).mean() for d in (plain, cleaned)]
    assert found[1] > found[0]


# ------------------------------------------------------------------------------- reasons


@pytest.mark.parametrize("rows", [BENIGN[250:], MALIGNANT, BENIGN[:20]])
def test_columns_sum_to_the_score(fitted, rows):
    contributions = fitted.explain(rows)
    assert contributions.shape == rows.shape
    assert (contributions >= 0).all()
    assert_allclose(contributions.sum(axis=1), -fitted.score_samples(rows))


@pytest.mark.parametrize("column", [0, 7, 29])
def test_the_column_that_was_changed_is_the_reason(fitted, column):
    rows = BENIGN[250:].copy()
    rows[:, column] = 2 * BENIGN[:250, column].max()
    assert (fitted.explain(rows).argmax(axis=1) == column).mean() > 0.9


def test_what_was_expected_is_in_units_of_X(fitted):
    expected = fitted.reconstruct(BENIGN[250:])
    low, high = BENIGN[:250].min(axis=0), BENIGN[:250].max(axis=0)
    assert ((low <= expected) & (expected <= high)).all()
    left = np.square(BENIGN[250:] - expected).mean(axis=0)
    assert (left < BENIGN[250:].var(axis=0)).mean() > 0.9


def test_display_draws_the_strangest_rows(fitted):
    frame = pd.DataFrame(MALIGNANT, columns=FRAME.columns)
    detector = AutoencoderDetector(**PARAMS).fit(FRAME[Y == 1])
    display = AnomalyDisplay.from_estimator(detector, frame, n_rows=2, n_columns=4)
    assert len(display.axes_) == 2
    strangest = detector.score_samples(frame).argmin()
    assert display.axes_[0].get_title().startswith(f"row {strangest}: p = ")
    column = detector.explain(frame.iloc[[strangest]])[0].argmax()
    label = display.axes_[0].get_yticklabels()[0].get_text()
    assert label.startswith(frame.columns[column])
    assert "expected" in label
    bars = [bar.get_width() for bar in display.axes_[0].patches]
    assert len(bars) == 4
    assert bars == sorted(bars, reverse=True)
    plt.close("all")
    with pytest.raises(TypeError, match="explain"):
        AnomalyDisplay.from_estimator(IsolationForest(), frame)
    with pytest.raises(NotFittedError):
        AnomalyDisplay.from_estimator(AutoencoderDetector(), frame)
    with pytest.raises(ValueError, match="n_rows"):
        AnomalyDisplay.from_estimator(detector, frame, n_rows=0)


# -------------------------------------------------------------------------- kinds of rows


def test_missing_values():
    rng = np.random.RandomState(0)
    X = np.where(rng.uniform(size=BENIGN.shape) < 0.1, np.nan, BENIGN)
    detector = AutoencoderDetector(**PARAMS).fit(X[:250])
    strange = np.where(rng.uniform(size=MALIGNANT.shape) < 0.1, np.nan, MALIGNANT)
    rows = np.vstack([X[250:], strange])
    is_strange = np.r_[np.zeros(len(X) - 250), np.ones(len(strange))]
    assert roc_auc_score(is_strange, -detector.score_samples(rows)) > 0.9
    empty = np.full((1, 30), np.nan)
    assert np.isnan(detector.score_samples(empty)).all()
    assert np.isnan(detector.compute_p_values(empty)).all()
    assert detector.predict(empty) == 1
    # fewer observed entries are no reason to be less strange
    half = rows.copy()
    half[:, ::2] = np.nan
    ratio = np.median(detector.score_samples(half) / detector.score_samples(rows))
    assert 0.75 < ratio < 1.1
    X[:, 2] = np.nan
    with pytest.raises(ValueError, match="no value at all in column 2"):
        detector.fit(X)


def test_a_column_with_a_single_value_is_no_trouble():
    X = BENIGN[:60].copy()
    X[1:, 4] = np.nan
    X[2, 4] = 2 * X[0, 4]
    assert np.isfinite(AutoencoderDetector(**PARAMS).fit(X).held_out_scores_).all()


def test_it_is_not_exported():
    with pytest.raises(TypeError, match="AutoencoderDetector"):
        to_onnx(AutoencoderDetector(**PARAMS).fit(BENIGN[:60]), io.BytesIO())


def test_sparse_rows_and_data_frames_are_as_arrays(fitted):
    rows = sparse.csr_array(BENIGN[:250])
    assert_allclose(
        clone(fitted).fit(rows).score_samples(sparse.csr_array(MALIGNANT)),
        fitted.score_samples(MALIGNANT),
    )
    frame = pd.DataFrame(BENIGN[:250], columns=FRAME.columns)
    named = clone(fitted).fit(frame)
    assert_array_equal(named.feature_names_in_, FRAME.columns)
    assert named.offset_ == fitted.offset_


def test_images():
    X = load_digits().data[:200]
    params = {"conv_filters": (4,), "image_shape": (1, 8, 8), **PARAMS}
    detector = AutoencoderDetector(**params).fit(X)
    assert np.isfinite(detector.score_samples(X)).all()
    assert_allclose(detector.explain(X).sum(axis=1), -detector.score_samples(X))


def test_many_rows_have_a_tenth_held_out_if_the_network_learns():
    rng = np.random.RandomState(0)
    angle = rng.uniform(-3, 3, size=(2500, 1))
    rows = np.hstack([np.sin(angle), np.cos(angle), angle**2 / 5, np.sin(2 * angle)])
    rows += 0.05 * rng.normal(size=rows.shape)
    detector = AutoencoderDetector(1, random_state=0, max_epochs=20).fit(rows)
    assert detector.autoencoder_.best_epoch_ > 0
    assert len(detector.held_out_scores_) == 250
    assert np.isfinite(detector.score_samples(rows)).all()


def test_saved_and_loaded(fitted):
    loaded = pickle.loads(pickle.dumps(fitted))
    assert_array_equal(loaded.score_samples(MALIGNANT), fitted.score_samples(MALIGNANT))
    assert loaded.offset_ == fitted.offset_


def test_in_a_search():
    X = np.vstack([BENIGN[:150], MALIGNANT[:15]])
    y = np.r_[np.ones(150), -np.ones(15)]
    folds = StratifiedKFold(2, shuffle=True, random_state=0)
    search = GridSearchCV(
        AutoencoderDetector(**PARAMS), {"n_components": [0.5, 2]}, scoring="roc_auc", cv=folds
    )
    assert search.fit(X, y).best_score_ > 0.7
