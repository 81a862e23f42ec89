"""Pairs: rows that are damaged already, and what they should become."""

import pickle

import numpy as np
import onnxruntime
import pytest
import torch
from numpy.testing import assert_allclose, assert_array_equal
from scipy import sparse
from sklearn import config_context
from sklearn.datasets import load_digits
from sklearn.linear_model import Ridge
from sklearn.metrics import r2_score
from sklearn.model_selection import GridSearchCV, train_test_split
from skorch.callbacks import Callback

from sklearn_ae import AutoencoderTransformer, DenoisingAutoencoder
from sklearn_ae.export import to_onnx

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


def colour(rows):
    """Return three channels of grey rows: other columns than those of X."""
    return np.concatenate([rows, 1 - rows, rows**2], axis=1)


@pytest.fixture(scope="module")
def coloured():
    return DenoisingAutoencoder(32, clip=True, **QUICK).fit(X, X_clean=colour(Y))


def test_clean_rows_may_have_other_columns(coloured):
    restored = coloured.reconstruct(X_TEST)
    expected = colour(Y_TEST)
    assert restored.shape == expected.shape
    assert_allclose(coloured.inverse_transform(coloured.transform(X_TEST)), restored)
    assert_allclose(coloured.mean_, colour(Y).mean(axis=0))
    assert restored.min() >= 0
    assert restored.max() <= 1
    assert np.square(restored - expected).mean() < 0.2 * expected.var(axis=0).mean()
    r2 = r2_score(expected, restored, multioutput="variance_weighted")
    assert coloured.score(X_TEST, X_clean=expected) == pytest.approx(r2)
    scores = -np.square(restored - expected).mean(axis=1)
    assert_allclose(coloured.score_samples(X_TEST, X_clean=expected), scores)
    for method in ("score", "score_samples"):
        with pytest.raises(ValueError, match=f"{method} needs X_clean"):
            getattr(coloured, method)(X_TEST)


def test_the_start_with_other_columns_is_the_regression():
    start = DenoisingAutoencoder(64, init="linear", max_epochs=0).fit(X, X_clean=colour(Y))
    regression = Ridge(1.0).fit(X, colour(Y))
    assert_allclose(start.reconstruct(X_TEST), regression.predict(X_TEST), atol=0.08)
    fewer = DenoisingAutoencoder(8, init="linear", max_epochs=0).fit(X, X_clean=Y[:, 16:32])
    assert fewer.reconstruct(X_TEST).shape == (len(X_TEST), 16)
    assert fewer.score(X_TEST, X_clean=Y_TEST[:, 16:32]) > 0.8


@pytest.mark.parametrize(
    "params",
    [
        {"init": "random"},
        {"ordered": True},
        {"conv_filters": (4,), "image_shape": (1, 8, 8)},
        {"loss": "binary_cross_entropy"},
        {"output_activation": "logistic"},
        {"n_components": 0.9},
        {"validation_fraction": 0.2},
        {"corruption": "masking", "corruption_level": 0.1},
    ],
    ids=str,
)
def test_networks_of_all_kinds_with_other_columns(params):
    given = X.clip(0, 1) if "output_activation" in params else X
    model = DenoisingAutoencoder(**{"n_components": 16, **QUICK, **params})
    model.fit(given, X_clean=colour(Y))
    error = np.square(model.reconstruct(X_TEST) - colour(Y_TEST)).mean()
    has_start = not {"init", "output_activation"} & params.keys()  # others begin at chance
    assert error < (0.5 if has_start else 1.0) * colour(Y_TEST).var(axis=0).mean()


def test_images_whose_channels_do_not_fit():
    model = DenoisingAutoencoder(4, conv_filters=(4,), image_shape=(1, 8, 8), **QUICK)
    with pytest.raises(ValueError, match="no whole number of channels"):
        model.fit(X, X_clean=Y[:, :50])


def test_pairs_are_corrupted_only_if_asked(fitted):
    none = DenoisingAutoencoder(32, corruption_level=9.0, **QUICK).fit(X, X_clean=Y)
    assert_array_equal(none.transform(X_TEST), fitted.transform(X_TEST))
    asked = DenoisingAutoencoder(32, corruption="gaussian", **QUICK).fit(X, X_clean=Y)
    noisy = X_TEST + np.random.RandomState(1).normal(0, 0.5, X_TEST.shape)
    errors = [np.square(model.reconstruct(noisy) - Y_TEST).mean() for model in (asked, fitted)]
    assert errors[0] < 0.8 * errors[1]


def test_chunks_of_pairs(coloured):
    model = DenoisingAutoencoder(16, **QUICK)
    for part in np.array_split(np.arange(800), 2):
        model.partial_fit(X[part], X_clean=colour(Y[part]))
    assert model.score(X_TEST, X_clean=colour(Y_TEST)) > 0.5
    with pytest.raises(ValueError, match="number of columns of X_clean"):
        model.partial_fit(X, X_clean=Y)


def test_saved_and_truncated_models_of_pairs(tmp_path, coloured):
    restored = coloured.reconstruct(X_TEST)
    loaded = pickle.loads(pickle.dumps(coloured))
    assert_array_equal(loaded.reconstruct(X_TEST), restored)
    to_onnx(coloured, tmp_path / "colour.onnx", "reconstruct")
    session = onnxruntime.InferenceSession(tmp_path / "colour.onnx")
    (by_onnx,) = session.run(None, {"X": X_TEST})
    assert_allclose(by_onnx, restored, atol=1e-5)


def test_groups_of_pairs_are_not_split():
    groups = np.arange(len(X)) // 100
    assert DenoisingAutoencoder(8, **QUICK).fit(X, X_clean=Y, groups=groups).n_iter_ > 0
    with pytest.raises(ValueError, match="group"):
        DenoisingAutoencoder(8, **QUICK).fit(X, X_clean=Y, groups=np.zeros(len(X)))


class NotePairs(Callback):
    """Keeps the damaged and the clean rows, of one number each, that train or judge a network."""

    def on_train_begin(self, net, **kwargs):
        self.damaged, self.clean = {True: set(), False: set()}, {True: set(), False: set()}

    def on_batch_begin(self, net, batch, training, **kwargs):
        for numbers, rows in zip((self.damaged, self.clean), batch, strict=True):
            numbers[training].update(rows.flatten().tolist())


NUMBERS = np.arange(48)
THREES = NUMBERS // 3
KINDS_OF_PAIRS = {
    "copies of clean rows": (NUMBERS, THREES),
    "copies of damaged rows": (THREES, NUMBERS),
    # of four pairs the first two have one damaged row, as the last two; the middle ones one clean
    "connected copies": (NUMBERS // 2, 3 * (NUMBERS // 4) + (NUMBERS % 4 + 1) // 2),
    "blank clean rows": (THREES, np.where(NUMBERS < 46, 0, NUMBERS)),
}


@pytest.mark.parametrize("kind", KINDS_OF_PAIRS)
@pytest.mark.parametrize("seed", range(5))
def test_copies_of_a_row_are_never_both_trained_on_and_held_out(kind, seed):
    damaged, clean = (rows.astype(float)[:, None] for rows in KINDS_OF_PAIRS[kind])
    note = NotePairs()
    params = {**QUICK, "max_epochs": 1, "random_state": seed, "net_params": {"callbacks": [note]}}
    DenoisingAutoencoder(1, **params).fit(damaged, X_clean=clean)
    assert note.damaged[False]
    assert note.damaged[True].isdisjoint(note.damaged[False])
    assert len(note.damaged[True] | note.damaged[False]) == len(np.unique(damaged))
    if kind != "blank clean rows":  # which would connect most pairs
        assert note.clean[True].isdisjoint(note.clean[False])
        assert len(note.clean[True] | note.clean[False]) == len(np.unique(clean))


@pytest.mark.parametrize("convert", [sparse.csr_array, torch.tensor, np.ndarray.tolist])
def test_containers_of_pairs_are_scored(fitted, convert):
    pair = convert(X_TEST), convert(Y_TEST)
    expected = fitted.score(X_TEST, X_clean=Y_TEST)
    assert fitted.score(pair[0], X_clean=pair[1]) == pytest.approx(expected, rel=1e-5)


def test_memory_maps_of_pairs(tmp_path, coloured):
    paths = tmp_path / "damaged.npy", tmp_path / "clean.npy"
    for path, rows in zip(paths, (X, colour(Y)), strict=True):
        np.save(path, rows)
    damaged, clean = (np.load(path, mmap_mode="r") for path in paths)
    model = DenoisingAutoencoder(32, clip=True, **QUICK).fit(damaged, X_clean=clean)
    assert_array_equal(model.transform(X_TEST), coloured.transform(X_TEST))


def test_clean_rows_are_routed_through_a_search():
    with config_context(enable_metadata_routing=True):
        model = DenoisingAutoencoder(8, **QUICK)
        model.set_fit_request(X_clean=True).set_score_request(X_clean=True)
        search = GridSearchCV(model, {"n_components": [2, 16]}, cv=2)
        search.fit(X, X_clean=Y)
    assert search.best_params_ == {"n_components": 16}
    assert search.best_score_ > 0.5


def test_pairs_stay_pairs():
    model = DenoisingAutoencoder(8, warm_start=True, **QUICK).fit(X, X_clean=Y)
    for go_on in (model.fit, model.partial_fit):
        with pytest.raises(ValueError, match="pairs stay pairs"):
            go_on(X)
    with pytest.raises(ValueError, match="X_clean has 5 columns, but rows are restored to 64"):
        model.score_samples(X, X_clean=Y[:, :5])


def test_a_warm_start_goes_on_with_pairs():
    model = DenoisingAutoencoder(32, warm_start=True, **QUICK).fit(X, X_clean=Y)
    before = measure_error(model)
    assert measure_error(model.fit(X, X_clean=Y)) < 1.05 * before


def test_errors():
    model = DenoisingAutoencoder(4, **QUICK)
    with pytest.raises(ValueError, match="X_clean must have one row for each of the 800 rows"):
        model.fit(X, X_clean=Y[:-1])
    with pytest.raises(ValueError, match="X_clean contains infinity"):
        model.fit(X, X_clean=np.where(Y > 0.9, np.inf, Y))
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
