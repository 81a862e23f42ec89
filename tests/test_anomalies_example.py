"""The detector of the gallery is one to copy: it follows scikit-learn's convention."""

import ast
import sys
import types
from pathlib import Path

import numpy as np
import pytest
from sklearn.mixture import GaussianMixture
from sklearn.utils.estimator_checks import parametrize_with_checks
from zoo import quick

EXAMPLE = Path(__file__).parents[1] / "examples" / "plot_anomalies.py"


def import_definitions(path):
    """Return an example as a module of its imports and classes; its other lines do not run."""
    tree = ast.parse(path.read_text())
    kinds = ast.Import, ast.ImportFrom, ast.ClassDef
    tree.body = [node for node in tree.body if isinstance(node, kinds)]
    module = sys.modules[path.stem] = types.ModuleType(path.stem)  # for pickle
    exec(compile(tree, path, "exec"), vars(module))
    return module


example = import_definitions(EXAMPLE)
Detector, PCAError = example.ReconstructionOutlierDetector, example.PCAError

COUNTS_TRAINING_ROWS = "the share of outliers is that of new rows, not of the rows of fit"


def list_expected_failures(detector):
    """Return the checks that count outliers among the rows of `fit`."""
    if detector.cv is None:
        return {}
    names = "check_outliers_train", "check_outliers_fit_predict"
    return dict.fromkeys(names, COUNTS_TRAINING_ROWS)


@parametrize_with_checks(
    [
        Detector(quick(1, max_epochs=1), cv=None),
        Detector(PCAError(1), cv=None),
        Detector(quick(1, max_epochs=1), cv=2),
        Detector(PCAError(1), cv=3),
    ],
    expected_failed_checks=list_expected_failures,
)
def test_scikit_learn_checks(estimator, check):
    check(estimator)


@pytest.fixture
def rows():
    """Few training rows of many features, and many new ones."""
    rng = np.random.default_rng(0)
    return rng.normal(size=(200, 60)), rng.normal(size=(5000, 60))


def compute_alarm_rate(detector, rows):
    train, new = rows
    return (detector.fit(train).predict(new) == -1).mean()


@pytest.mark.parametrize("contamination", [0.05, 0.2])
def test_thresholds_of_held_out_rows_hold_on_new_rows(rows, contamination):
    held_out, seen = (
        compute_alarm_rate(Detector(PCAError(30), contamination=contamination, cv=cv), rows)
        for cv in (10, None)
    )
    assert abs(held_out - contamination) < 0.04
    assert seen > 2 * contamination


def test_any_estimator_with_scores_can_be_thresholded(rows):
    detector = Detector(GaussianMixture(random_state=0), cv=None)
    assert compute_alarm_rate(detector, (rows[1], rows[1])) == 0.05


@pytest.fixture
def few_rows(rows):
    """Some of these rows and features, for networks."""
    return tuple(X[:60, :20] for X in rows)


def test_scores_are_the_wrapped_estimators(few_rows):
    train, new = few_rows
    detector = Detector(quick(2), cv=2).fit(train)
    scores = quick(2).fit(train).score_samples(new)
    np.testing.assert_array_equal(detector.score_samples(new), scores)
    np.testing.assert_array_equal(detector.decision_function(new), scores - detector.offset_)


def test_missing_values_pass_to_an_autoencoder(few_rows):
    holes = np.arange(20) == np.arange(60)[:, np.newaxis] % 40
    train, new = (np.where(holes, np.nan, X) for X in few_rows)
    decisions = Detector(quick(2), cv=2).fit(train).decision_function(new)
    assert np.isfinite(decisions).all()
