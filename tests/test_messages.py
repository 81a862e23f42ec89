"""Messages suit the estimator, and the method, at which they are shown."""

import pickle
import warnings

import numpy as np
import pandas as pd
import pytest
from sklearn.base import clone
from sklearn.datasets import load_wine
from sklearn.model_selection import train_test_split
from sklearn.preprocessing import StandardScaler

from sklearn_ae import AutoencoderImputer, AutoencoderTransformer, DenoisingAutoencoder

rng = np.random.RandomState(0)
X = rng.normal(size=(60, 4))
HOLES = np.where(rng.uniform(size=X.shape) < 0.1, np.nan, X)
QUICK = {"hidden_layer_sizes": (4,), "max_epochs": 1, "random_state": 0}
TEXT = pd.DataFrame({"size": [1.0, 2.0, 3.0], "colour": ["red", "green", "red"]})

WRONG = {
    "device": ({"device": "nowhere"}, X, {}),
    "width": ({"hidden_layer_sizes": (0,)}, X, {}),
    "one row": ({}, X[:1], {}),
    "infinite": ({}, np.full((5, 4), np.inf), {}),
    "text": ({}, TEXT, {}),
    "labels": ({}, X[:, :3], {"groups": [0, 1]}),
    "one group": ({}, X[:, :3], {"groups": np.zeros(60)}),
}


@pytest.mark.parametrize("name", WRONG)
def test_errors_of_the_imputer_are_its_own_and_leave_it_as_it_was(name):
    params, rows, others = WRONG[name]
    imputer = AutoencoderImputer(**QUICK).fit(HOLES)
    imputer.set_params(**params)
    before = pickle.dumps(imputer)
    with pytest.raises((ValueError, TypeError)) as caught:
        imputer.fit(rows, **others)
    assert pickle.dumps(imputer) == before
    message = "\n".join([str(caught.value), *getattr(caught.value, "__notes__", [])])
    assert "HiddenEntries" not in message
    assert name != "text" or "column colour" in message
    assert imputer.n_features_in_ == 4


def test_a_failed_first_fit_leaves_nothing():
    imputer = AutoencoderImputer(**QUICK)
    with pytest.raises(ValueError, match=r"new\. Pass X_val, rows to hold out"):
        imputer.fit(X, groups=np.zeros(60))
    assert vars(imputer) == vars(clone(imputer))


def test_the_imputer_takes_the_groups_that_its_warning_asks_for():
    rows = np.repeat(rng.normal(size=(60, 8)), 20, axis=0) + 0.01 * rng.normal(size=(1200, 8))
    rows[rng.uniform(size=rows.shape) < 0.02] = np.nan
    with pytest.warns(UserWarning, match="Pass groups, which says what rows belong together"):
        AutoencoderImputer(**QUICK).fit(rows)
    AutoencoderImputer(**QUICK).fit(rows, groups=np.repeat(np.arange(60), 20))


def test_errors_of_chunks_do_not_advise_another_parameter_of_fit():
    autoencoder = AutoencoderTransformer(2, **QUICK).partial_fit(X)
    denoising = DenoisingAutoencoder(2, **QUICK).partial_fit(X)
    calls = [
        lambda: autoencoder.partial_fit(HOLES),
        lambda: clone(autoencoder).partial_fit(X).set_params(activation="tanh").partial_fit(X),
        lambda: denoising.partial_fit(X, X_clean=X),
    ]
    for call in calls:
        with pytest.raises(ValueError, match="train a clone") as caught:
            call()
        assert "warm_start" not in str(caught.value)
    warm = AutoencoderTransformer(2, warm_start=True, **QUICK).fit(X)
    with pytest.raises(ValueError, match="warm_start=False"):
        warm.fit(HOLES)


def test_errors_of_pairs_and_codes_with_nan_advise_no_other_estimator():
    pairs = DenoisingAutoencoder(2, **QUICK).fit(X, X_clean=X[:, ::-1].copy())
    calls = [
        lambda: pairs.transform(HOLES),
        lambda: pairs.reconstruct(HOLES),
        lambda: pairs.score(HOLES),
        lambda: pairs.score_samples(HOLES, X_clean=X),
        lambda: pairs.inverse_transform(np.full((3, 2), np.nan)),
        lambda: clone(pairs).fit(HOLES, X_clean=X),
    ]
    for call in calls:
        with warnings.catch_warnings(), pytest.raises(ValueError, match="NaN") as caught:
            call()
        assert "HistGradientBoosting" not in str(caught.value)


MISSING = [np.nan, None, pd.NaT, np.datetime64("NaT"), pd.NA]


@pytest.mark.parametrize("label", MISSING, ids=str)
def test_missing_labels_of_groups_are_refused(label):
    labels = [pd.Timestamp("2020-01-01"), pd.Timestamp("2020-01-02"), label] * 20
    kinds = [labels, pd.Series(labels, dtype=object)]
    if label is not pd.NA:
        kinds += [pd.Series(pd.to_datetime(pd.Series(labels))), pd.to_datetime(labels).to_numpy()]
    for groups in kinds:
        with pytest.raises((ValueError, TypeError), match=r"NaT|NaN|missing|NA"):
            AutoencoderTransformer(2, **QUICK).fit(X, groups=groups)
    dates = pd.to_datetime(["2020-01-01", "2020-01-02", "2020-01-03"] * 20)
    AutoencoderTransformer(2, **QUICK).fit(X, groups=dates)


@pytest.mark.parametrize("shape", [(15, 4, 4), (15, 1, 4, 4)])
def test_images_that_are_no_rows(shape):
    for estimator in (AutoencoderTransformer(2, **QUICK), AutoencoderImputer(**QUICK)):
        with pytest.raises(ValueError, match="dim") as caught:
            estimator.fit(np.zeros(shape))
        (note,) = caught.value.__notes__
        assert "reshape(len(X), -1)" in note
        assert "image_shape" in note


@pytest.mark.parametrize(
    ("params", "meant"),
    [
        ({"loss": "mse"}, "loss='squared_error'"),
        ({"activation": "sigmoid"}, "activation='logistic'"),
        ({"activation": "Relu"}, "activation='relu'"),
        ({"schedule": "onecycle"}, "schedule='one_cycle'"),
    ],
)
def test_an_option_of_another_library_gets_the_one_here(params, meant):
    estimators = [AutoencoderTransformer(2, **params)]
    if "loss" not in params:
        estimators.append(AutoencoderImputer(**params))
    for estimator in estimators:
        with pytest.raises(ValueError, match="must be a str") as caught:
            estimator.fit(X)
        assert caught.value.__notes__ == [f"Did you mean {meant}?"]
    with pytest.raises(ValueError, match="must be a str") as caught:
        AutoencoderTransformer(2, activation="nothing like it").fit(X)
    assert not hasattr(caught.value, "__notes__")


@pytest.mark.parametrize("column", ["text", "dates", "mixed"])
def test_columns_that_are_no_numbers_are_named(column):
    values = {
        "text": ["red", "green"] * 30,
        "dates": pd.date_range("2020-01-01", periods=60),
        "mixed": [1, "two"] * 30,
    }
    frame = pd.DataFrame(X, columns=list("abcd")).assign(**{column: values[column]})
    for estimator in (AutoencoderTransformer(2, **QUICK), AutoencoderImputer(**QUICK)):
        with pytest.raises((TypeError, ValueError)) as caught:
            estimator.fit(frame)
        assert f"column {column}." in caught.value.__notes__[0]
        assert "OneHotEncoder" in caught.value.__notes__[0]


def test_printed_losses_are_those_of_the_curve_and_have_no_colours_in_a_file(capsys):
    autoencoder = AutoencoderTransformer(2, verbose=2, **QUICK | {"max_epochs": 2}).fit(1000 * X)
    printed = capsys.readouterr().out
    assert "\x1b" not in printed
    for loss in autoencoder.loss_curve_ + autoencoder.validation_loss_curve_:
        assert f"{loss:.4f}" in printed


def test_labels_of_pairs_in_another_order_are_warned_of():
    frame = pd.DataFrame(X, columns=list("abcd"))
    pairs = DenoisingAutoencoder(2, **QUICK)
    pairs.fit(frame, X_clean=frame + 1)
    pairs.fit(frame, X_clean=frame.set_axis(list("efgh"), axis=1))
    with pytest.warns(UserWarning, match="same labels of rows in another order") as caught:
        pairs.fit(frame, X_clean=frame[::-1])
    assert caught[0].filename == __file__
    with pytest.warns(UserWarning, match="same labels of columns in another order"):
        pairs.partial_fit(frame, X_clean=frame[list("dcba")])


def test_a_column_with_nearly_all_of_the_variance_is_named():
    X = load_wine(as_frame=True).data
    expected = r"^Column proline has 99\.\d+ % of the variance.*StandardScaler"
    with pytest.warns(UserWarning, match=expected):
        AutoencoderTransformer(2, **QUICK).fit(X)
    AutoencoderTransformer(2, **QUICK).fit(StandardScaler().fit_transform(X))  # without a warning


@pytest.mark.parametrize("which", ["X", "X_val"])
def test_one_table_that_is_not_scaled_is_warned_of(which):
    raw, raw_val = train_test_split(load_wine().data[:, :12], random_state=0)
    scaler = StandardScaler().fit(raw)
    X, X_val = scaler.transform(raw), scaler.transform(raw_val)
    AutoencoderTransformer(2, **QUICK).fit(X, X_val=X_val)  # without a warning
    X, X_val = (raw, X_val) if which == "X" else (X, raw_val)
    with pytest.warns(UserWarning, match="distances of X_val .* lack a step"):
        AutoencoderTransformer(2, **QUICK).fit(X, X_val=X_val)
