"""What is saved is loaded as it was, anywhere, or not at all."""

import copy
import importlib
import io
import pickle
import re
import sys
from functools import partial
from pathlib import Path

import cloudpickle
import joblib
import numpy as np
import pytest
import skops.io
import torch
from numpy.testing import assert_allclose, assert_array_equal
from scipy import sparse
from sklearn import config_context
from sklearn.datasets import load_digits
from sklearn.decomposition import PCA
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from skorch.callbacks import EpochTimer, LRScheduler
from zoo import ESTIMATORS, HAS_CUSTOM_CODE, Perceptron, make_estimator

from sklearn_ae import AutoencoderTransformer, DenoisingAutoencoder

X = load_digits().data[:300] / 16
KWARGS = {"max_epochs": 2, "random_state": 0}
TRUSTED = ["sklearn_ae._autoencoder.AutoencoderTransformer"]


def make_saved(name):
    """Return an estimator of the zoo, or one whose parameters are saved in other ways."""
    further = {
        "share of variance": ("clipped", {"n_components": 0.9}),
        "sgd": ("linear start", {"optimizer": "sgd"}),
        "only the start": ("linear start", {"max_epochs": 0}),
        "random state": ("linear start", {"random_state": np.random.RandomState(0)}),
        "partial": ("denoising", {"decoder": partial(Perceptron, width=8)}),
    }
    name, params = further.get(name, (name, {}))
    return make_estimator(name, **{"n_components": 8, "max_epochs": 2, **params})


CUSTOM = [*sorted(HAS_CUSTOM_CODE), "partial"]
PLAIN = [name for name in ESTIMATORS if name not in CUSTOM]
PLAIN += ["share of variance", "sgd", "only the start", "random state"]


def by_joblib(estimator):
    file = io.BytesIO()
    joblib.dump(estimator, file)
    file.seek(0)
    return joblib.load(file)


def by_skops(estimator):
    data = skops.io.dumps(estimator)
    name = f"{type(estimator).__module__}.{type(estimator).__name__}"
    assert skops.io.get_untrusted_types(data=data) == [name]
    return skops.io.loads(data, trusted=[name])


WAYS = {
    "pickle": lambda estimator: pickle.loads(pickle.dumps(estimator)),
    "joblib": by_joblib,
    "cloudpickle": lambda estimator: pickle.loads(cloudpickle.dumps(estimator)),
    "deepcopy": copy.deepcopy,
    "skops": by_skops,
}


def without_address(estimator):
    return re.sub("at 0x[0-9A-F]+", "", str(estimator))


def assert_same(loaded, original, rows):
    assert without_address(loaded) == without_address(original)
    assert vars(loaded).keys() == vars(original).keys()
    for method in ("transform", "reconstruct", "score_samples", "score"):
        assert_array_equal(getattr(loaded, method)(rows), getattr(original, method)(rows))
    codes = original.transform(rows)
    assert_array_equal(loaded.inverse_transform(codes), original.inverse_transform(codes))
    for name in ("loss_curve_", "validation_loss_curve_", "best_epoch_", "n_iter_", "mean_"):
        assert_array_equal(getattr(loaded, name), getattr(original, name))
    histories = (estimator.net_.history for estimator in (loaded, original))
    losses = [[epoch["train_loss"] for epoch in history] for history in histories]
    assert losses[0] == losses[1]


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("name", PLAIN)
def test_loaded_equals_original(name, way):
    original = make_saved(name).fit(X)
    assert_same(WAYS[way](original), original, X)


@pytest.mark.parametrize("way", ["pickle", "joblib", "cloudpickle", "deepcopy"])
@pytest.mark.parametrize("name", CUSTOM)
def test_loaded_custom_networks_equal_the_original(name, way):
    original = make_saved(name).fit(X)
    assert_same(WAYS[way](original), original, X)


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("name", PLAIN)
def test_unfitted_estimators(name, way):
    original = make_saved(name)
    loaded = WAYS[way](original)
    assert without_address(loaded) == without_address(original)
    assert not hasattr(loaded, "net_")


@pytest.mark.parametrize("way", ["pickle", "skops"])
def test_sparse_and_tensor_fits(way):
    few = sparse.csr_array(np.where(X > 0.95, X, 0))
    original = AutoencoderTransformer(4, **KWARGS).fit(few)
    assert_same(WAYS[way](original), original, few)
    rows = torch.tensor(X)
    with config_context(array_api_dispatch=True):
        original = AutoencoderTransformer(4, **KWARGS).fit(rows)
        loaded = WAYS[way](original)
        assert torch.equal(loaded.transform(rows), original.transform(rows))
        assert torch.equal(loaded.mean_, original.mean_)


@pytest.mark.parametrize("way", ["pickle", "joblib", "cloudpickle"])
def test_pipelines_and_searches(way):
    pipeline = make_pipeline(StandardScaler(), AutoencoderTransformer(4, **KWARGS))
    search = GridSearchCV(
        pipeline, {"autoencodertransformer__n_components": [2, 3]}, cv=2, error_score="raise"
    ).fit(X)
    loaded = WAYS[way](search)
    assert_array_equal(loaded.transform(X), search.transform(X))
    assert_array_equal(loaded.best_estimator_[:-1].transform(X), StandardScaler().fit_transform(X))


def test_pipelines_in_skops():
    pipeline = make_pipeline(PCA(8), AutoencoderTransformer(4, **KWARGS)).fit(X)
    data = skops.io.dumps(pipeline)
    assert skops.io.get_untrusted_types(data=data) == TRUSTED
    assert_array_equal(skops.io.loads(data, trusted=TRUSTED).transform(X), pipeline.transform(X))


def types_in(value):
    """Return the types of what a state holds."""
    found = {type(value)}
    if isinstance(value, dict):
        found = found.union(*map(types_in, value.values()))
    elif isinstance(value, list | tuple):
        found = found.union(*map(types_in, value))
    return found


@pytest.mark.parametrize("name", PLAIN)
def test_state_is_of_numbers_text_and_arrays(name):
    state = make_saved(name).fit(X).__getstate__()
    allowed = {int, float, str, bool, type(None), dict, list, tuple, np.ndarray}
    assert types_in(state) <= allowed | {np.random.RandomState, np.float64}


@pytest.mark.parametrize(
    ("name", "n_epochs"), [*((name, 2) for name in [*PLAIN, *CUSTOM]), ("denoising", 200)]
)
def test_file_is_as_large_as_the_weights(name, n_epochs):
    estimator = make_saved(name)
    estimator.set_params(max_epochs=n_epochs, early_stopping=False).fit(X)
    n_weights = sum(weights.numel() for weights in estimator.net_.module_.state_dict().values())
    for data in (cloudpickle.dumps(estimator), pickle.dumps(estimator)):
        assert len(data) <= 1.1 * 4 * n_weights + 20_000


@pytest.mark.parametrize("warm_start", [False, True])
def test_training_goes_on_where_it_was_saved(warm_start):
    original = DenoisingAutoencoder(4, hidden_layer_sizes=(16,), warm_start=warm_start, **KWARGS)
    original.partial_fit(X).partial_fit(X)
    loaded = pickle.loads(pickle.dumps(original))
    moments = loaded.net_.optimizer_.state_dict()["state"]
    assert bool(moments) == warm_start
    original.partial_fit(X)
    loaded.partial_fit(X)
    assert loaded.n_iter_ == 3
    if warm_start:
        assert_array_equal(loaded.transform(X), original.transform(X))
    assert loaded.net_.batch_size == original.net_.batch_size
    groups = [net.optimizer_.state_dict()["param_groups"] for net in (loaded.net_, original.net_)]
    assert groups[0] == groups[1]


def test_callbacks_are_saved_as_before_training():
    callbacks = [("rate", LRScheduler("StepLR", step_size=1)), EpochTimer]
    how = {"schedule": "constant", "net_params": {"callbacks": callbacks}}
    original = AutoencoderTransformer(4, **how, **KWARGS).fit(X)
    assert hasattr(callbacks[0][1], "lr_scheduler_")
    data = pickle.dumps(original)
    n_weights = sum(weights.numel() for weights in original.net_.module_.state_dict().values())
    assert len(data) <= 1.1 * 4 * n_weights + 20_000
    assert b"torch" not in data
    loaded = pickle.loads(data)
    assert_array_equal(loaded.transform(X), original.transform(X))
    name, saved = loaded.net_params["callbacks"][0]
    assert (name, saved.policy, hasattr(saved, "lr_scheduler_")) == ("rate", "StepLR", False)
    loaded.partial_fit(X)
    assert hasattr(callbacks[0][1], "lr_scheduler_")  # a user's own object is left as it is


LIBRARY = """
from skorch.callbacks import Callback

class Logger(Callback):
    def __init__(self, project):
        self.project = project
"""


@pytest.mark.parametrize("way", ["pickle", "joblib", "cloudpickle", "deepcopy"])
@pytest.mark.parametrize("is_pair", [False, True])
def test_what_was_fitted_loads_without_the_package_of_a_callback(
    way, is_pair, tmp_path, monkeypatch
):
    (tmp_path / "some_logging_library.py").write_text(LIBRARY)
    monkeypatch.syspath_prepend(tmp_path)
    logger = importlib.import_module("some_logging_library").Logger("mine")
    callbacks = [("log", logger) if is_pair else logger, EpochTimer]
    original = AutoencoderTransformer(4, net_params={"callbacks": callbacks}, **KWARGS).fit(X)
    with_library = WAYS[way](original)
    first = with_library.net_params["callbacks"][0]
    assert (first[1] if is_pair else first).project == "mine"
    data = pickle.dumps(original)

    monkeypatch.undo()
    sys.modules.pop("some_logging_library")
    loaded = WAYS[way](pickle.loads(data)) if way != "skops" else pickle.loads(data)
    assert_array_equal(loaded.transform(X), original.transform(X))
    assert "some_logging_library.Logger" in repr(loaded.net_params)
    for method in ("fit", "partial_fit"):
        with pytest.raises(ImportError, match=r"some_logging_library\.Logger"):
            getattr(loaded, method)(X)
    loaded.set_params(net_params=None).partial_fit(X)

    # and where the library is there again, so is the callback
    monkeypatch.syspath_prepend(tmp_path)
    again = pickle.loads(pickle.dumps(pickle.loads(data)))
    assert again.partial_fit(X).n_iter_ == original.n_iter_ + 1


TRAINING_LIBRARY = """
import torch

class Slow(torch.optim.SGD):
    pass

def blur(batch, generator):
    return batch * 0.5
"""


@pytest.mark.parametrize("way", ["pickle", "joblib"])
def test_what_was_fitted_loads_without_the_packages_of_training(way, tmp_path, monkeypatch):
    (tmp_path / "some_training_library.py").write_text(TRAINING_LIBRARY)
    monkeypatch.syspath_prepend(tmp_path)
    library = importlib.import_module("some_training_library")
    how = {"optimizer": library.Slow, "learning_rate": 0.01, **KWARGS}
    original = DenoisingAutoencoder(4, corruption=library.blur, **how).fit(X)
    assert WAYS[way](original).partial_fit(X).optimizer is library.Slow
    data = pickle.dumps(original)
    monkeypatch.undo()
    sys.modules.pop("some_training_library")
    loaded = WAYS[way](pickle.loads(data))
    assert_array_equal(loaded.transform(X), original.transform(X))
    for method in ("fit", "partial_fit"):
        with pytest.raises(ImportError, match=r"some_training_library\.(Slow|blur)"):
            getattr(loaded, method)(X)
    loaded.set_params(optimizer="adam", corruption="masking").fit(X)


def test_a_loaded_net_is_that_of_the_fit_whatever_net_params_are_set():
    original = AutoencoderTransformer(4, **KWARGS).fit(X)
    expected = original.net_.predict(X)
    for net_params in ({"learning_rate": 1}, {"callbacks": 5}, {1: 2}, "text", [1], (2,)):
        loaded = pickle.loads(pickle.dumps(original.set_params(net_params=net_params)))
        assert_array_equal(loaded.net_.predict(X), expected)


def test_a_net_that_went_on_is_saved_as_it_is():
    original = AutoencoderTransformer(4, **KWARGS).partial_fit(X)
    original.set_params(optimizer="sgd", batch_size=7, warm_start=True).partial_fit(X)
    loaded = pickle.loads(pickle.dumps(original))
    assert_array_equal(loaded.partial_fit(X).transform(X), original.partial_fit(X).transform(X))


@pytest.mark.parametrize(
    "params",
    [
        {"init": "linear", "output_activation": "tanh"},
        {"optimizer": "rmsprop"},
        {"net_params": {"learning_rate": 1}},
        {"verbose": "no"},
        {"n_components": -1, "hidden_layer_sizes": "many"},
        {"device": "nowhere"},
        {"image_shape": 3, "conv_filters": (4,)},
        {"random_state": "seed", "batch_size": 0, "max_epochs": None},
    ],
)
@pytest.mark.parametrize("way", ["pickle", "skops"])
def test_wrong_parameters_that_were_set_later_do_not_block_loading(way, params):
    original = AutoencoderTransformer(4, **KWARGS).fit(X)
    codes = original.transform(X)
    loaded = WAYS[way](original.set_params(**params))
    assert_array_equal(loaded.transform(X), codes)
    with pytest.raises((ValueError, TypeError)):
        loaded.fit(X)
    assert_array_equal(loaded.transform(X), codes)


def test_parameters_that_were_set_later_do_not_change_what_was_fitted():
    original = AutoencoderTransformer(4, loss="binary_cross_entropy", **KWARGS).fit(X)
    original.set_params(n_components=7, hidden_layer_sizes=(3,), loss="squared_error")
    loaded = pickle.loads(pickle.dumps(original))
    assert loaded.n_components == 7
    assert_array_equal(loaded.reconstruct(X), original.reconstruct(X))


def test_what_was_fitted_on_a_missing_device_is_loaded_to_the_cpu():
    original = AutoencoderTransformer(4, **KWARGS).fit(X)
    original.device = "meta"  # of it torch.zeros(1).item() raises, as of one that is not there
    loaded = pickle.loads(pickle.dumps(original))
    assert loaded.net_.device == "cpu"
    assert_array_equal(loaded.transform(X), original.transform(X))


# ------------------------------------------------------------------------- damaged files


@pytest.mark.parametrize("share", [0.0, 0.1, 0.5, 0.9, 0.999])
def test_file_that_was_cut_short(share):
    estimator = AutoencoderTransformer(4, **KWARGS).fit(X)
    for dump, load in ((pickle.dumps, pickle.loads), (skops.io.dumps, skops.io.loads)):
        data = dump(estimator)
        trusted = {"trusted": TRUSTED} if load is skops.io.loads else {}
        with pytest.raises(Exception, match=r".+"):
            load(data[: int(share * len(data))], **trusted)


def test_later_format():
    state = AutoencoderTransformer(4, **KWARGS).fit(X).__getstate__()
    state["_format_"] = 1000
    with pytest.raises(ValueError, match="another release"):
        AutoencoderTransformer().__setstate__(state)


NETWORK_LIBRARY = """
import torch

def make_network(n_in, n_out, width={width}):
    return torch.nn.Sequential(torch.nn.Linear(n_in, width), torch.nn.Linear(width, n_out))
"""


def import_network(folder, width):
    """Write a module of a library into a folder, and import it anew."""
    (folder / "some_network_library.py").write_text(NETWORK_LIBRARY.format(width=width))
    sys.modules.pop("some_network_library", None)
    importlib.invalidate_caches()
    return importlib.import_module("some_network_library").make_network


def test_factories_that_changed(tmp_path, monkeypatch):
    monkeypatch.syspath_prepend(tmp_path)
    # Python would take the bytecode of a file of the same size and second.
    monkeypatch.setattr(sys, "dont_write_bytecode", True)
    encoder = import_network(tmp_path, 8)
    original = AutoencoderTransformer(4, encoder=encoder, **KWARGS).fit(X)
    data = pickle.dumps(original)
    import_network(tmp_path, 8)
    assert_array_equal(pickle.loads(data).transform(X), original.transform(X))
    import_network(tmp_path, 9)
    with pytest.raises(ValueError, match="not those that were saved"):
        pickle.loads(data)
    sys.modules.pop("some_network_library")


# -------------------------------------------------------------------- earlier releases

SAVED = sorted((Path(__file__).parent / "saved").glob("*.npz"))


def test_every_release_saved_something():
    assert len(SAVED) >= 7


@pytest.mark.parametrize("path", SAVED, ids=lambda path: path.stem)
def test_what_earlier_releases_saved_is_loaded(path):
    expected = np.load(path)
    from_pickle = pickle.loads(path.with_name(f"{path.stem}.pickle").read_bytes())
    from_skops = skops.io.load(
        path.with_name(f"{path.stem}.skops"),
        trusted=[f"{type(from_pickle).__module__}.{type(from_pickle).__name__}"],
    )
    for loaded in (from_pickle, from_skops):
        rows = expected["X"]
        assert_allclose(loaded.transform(rows), expected["codes"], rtol=1e-4, atol=1e-5)
        assert_allclose(loaded.reconstruct(rows), expected["restored"], rtol=1e-4, atol=1e-5)
        clean = {"X_clean": expected["X_clean"]} if "X_clean" in expected else {}
        loaded.partial_fit(rows, **clean)
        assert loaded.n_iter_ == len(loaded.loss_curve_) > 1
