"""Inference, scores, parameters and their errors."""

import pickle
import tracemalloc
import warnings

import joblib
import numpy as np
import pandas as pd
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from numpy.testing import assert_allclose, assert_array_equal
from sklearn.decomposition import PCA
from sklearn.exceptions import NotFittedError, UndefinedMetricWarning
from sklearn.metrics import r2_score
from sklearn.preprocessing import MinMaxScaler
from sklearn.utils._param_validation import InvalidParameterError
from skorch.callbacks import Callback
from zoo import ESTIMATORS, get_weights, make_estimator, quick

from sklearn_ae import AutoencoderTransformer, DenoisingAutoencoder


@pytest.fixture(params=ESTIMATORS)
def fitted(request, unit_X):
    return make_estimator(request.param, n_components=3).fit(unit_X)


# ----------------------------------------------------------------------------- inference


def test_formula_of_the_documentation(fitted, unit_X):
    u = torch.as_tensor((unit_X - fitted.mean_) / fitted.scale_, dtype=torch.float32)
    with torch.no_grad():
        z = fitted.encoder_(u)[:, : fitted.n_components_]  # variances may follow the means
        output = fitted.decoder_(z)
    if fitted.loss == "binary_cross_entropy":
        expected = output.double().sigmoid().numpy()
    else:
        expected = output.double().numpy() * fitted.scale_ + fitted.mean_
    if fitted.clip:
        expected = np.clip(expected, unit_X.min(axis=0), unit_X.max(axis=0))
    codes = fitted.transform(unit_X)
    assert_allclose(codes, z, rtol=1e-5, atol=1e-6)
    assert_allclose(fitted.inverse_transform(codes), expected, rtol=1e-5, atol=1e-6)
    assert_allclose(fitted.reconstruct(unit_X), expected, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("fit_dtype", [np.float32, np.float64])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_dtypes(X, fit_dtype, dtype):
    autoencoder = quick().fit(X.astype(fit_dtype))
    codes = autoencoder.transform(X.astype(dtype))
    assert codes.dtype == np.float32
    assert autoencoder.mean_.dtype == fit_dtype
    assert autoencoder.inverse_transform(codes).dtype == fit_dtype
    assert autoencoder.inverse_transform(codes.astype(dtype)).dtype == fit_dtype
    assert autoencoder.reconstruct(X.astype(dtype)).dtype == fit_dtype
    assert autoencoder.score_samples(X.astype(dtype)).dtype == np.float64


def test_float64_offset_survives_reconstruction(X):
    # in float32 numbers around 1e8 are 8 apart
    autoencoder = quick(10).fit(X + 1e8)
    assert np.abs(autoencoder.reconstruct(X + 1e8) - (X + 1e8)).max() < 0.5


@pytest.fixture(scope="module")
def wide(digits):
    """An autoencoder with so many hidden units that a part of the rows has a few dozen of them."""
    params = {"init": "random", "max_epochs": 0, "random_state": 0}
    return AutoencoderTransformer(3, hidden_layer_sizes=(2**15,), **params).fit(digits[0])


@pytest.mark.parametrize("n_rows", [1, 63, 64, 65, 700])
def test_parts_do_not_show(wide, digits, n_rows):
    X = digits[0][:n_rows]
    n_parts = []
    counting = wide.encoder_.register_forward_hook(lambda *args: n_parts.append(1))
    codes = wide.transform(X)
    counting.remove()
    assert (len(n_parts) > 1) == (n_rows > 64)
    with torch.no_grad():  # all rows at once
        u = torch.as_tensor((X - wide.mean_) / wide.scale_, dtype=torch.float32)
        z = wide.encoder_(u)
        restored = wide.decoder_(z).numpy() * wide.scale_ + wide.mean_
    rounding = {"rtol": 1e-5, "atol": 1e-4}  # float32; pixels up to 16
    assert_allclose(codes, z, **rounding)
    assert_allclose(wide.inverse_transform(codes), restored, **rounding)
    assert_allclose(wide.reconstruct(X), restored, **rounding)
    assert_allclose(wide.score_samples(X), -np.mean((X - restored) ** 2, axis=1), rtol=1e-4)
    if n_rows > 1:
        expected = r2_score(X, restored, multioutput="variance_weighted")
        assert_allclose(wide.score(X), expected, rtol=1e-6)


def test_a_row_has_the_same_code_in_any_company(digits):
    autoencoder = quick().fit(digits[0])
    X = digits[1][:50]
    together = autoencoder.transform(X)
    rounding = {"rtol": 1e-5, "atol": 1e-4}  # float32; pixels up to 16
    alone = np.vstack([autoencoder.transform(row[None]) for row in X])
    assert_allclose(alone, together, **rounding)
    assert_allclose(autoencoder.transform(X[::-1])[::-1], together, **rounding)


@pytest.mark.parametrize("bad", [np.inf, -np.inf])
@pytest.mark.parametrize("method", ["transform", "reconstruct", "score", "score_samples"])
@pytest.mark.parametrize("activation", ["relu", "tanh"])
def test_values_that_are_not_finite_are_found_in_any_part(digits, bad, method, activation):
    autoencoder = quick(init="random", activation=activation, max_epochs=1).fit(digits[0])
    X = digits[1].copy()
    X[-1, 3] = bad
    with pytest.raises(ValueError, match="Input X contains infinity"):
        getattr(autoencoder, method)(X)


def test_finite_values_that_overflow_a_sum_are_fine():
    X = np.random.RandomState(0).uniform(0.5, 1, size=(200, 4)).astype(np.float32) * 1e37
    autoencoder = quick(2, max_epochs=0, output_activation="relu").fit(X)  # not scaled
    assert np.isfinite(autoencoder.transform(X)).all()
    with pytest.raises(ValueError, match=r"infinity or a value too large for dtype..float32"):
        autoencoder.transform(X.astype(np.float64) * 100)


def test_clip(X):
    autoencoder = quick(clip=True).fit(X)
    far = 100 * autoencoder.transform(X)
    decoded = autoencoder.inverse_transform(far)
    assert (decoded >= X.min(axis=0)).all()
    assert (decoded <= X.max(axis=0)).all()
    free = autoencoder.set_params(clip=False).inverse_transform(far)
    assert_array_equal(np.clip(free, X.min(axis=0), X.max(axis=0)), decoded)


def test_training_makes_use_of_clipping(digits):
    X, X_test = digits
    params = {"hidden_layer_sizes": (128,), "max_epochs": 30, "random_state": 0}
    params["masking_rate"] = 0
    knows, is_clipped = (
        AutoencoderTransformer(8, clip=clip, **params).fit(X) for clip in (True, False)
    )
    # by 0.005 without the last layer that is solved afterwards, which knows nothing of clipping
    assert knows.score(X_test) > is_clipped.set_params(clip=True).score(X_test) + 0.003
    # what training reports is the loss of what is returned
    assert_allclose(knows.loss_curve_[-1], -knows.score_samples(X).mean(), rtol=0.1)


@pytest.mark.parametrize("offset", [0, 1e8])
def test_clipping_in_training_does_not_see_an_offset(X, offset):
    near = quick(clip=True).fit(X)
    far = quick(clip=True).fit(X + offset)
    assert_allclose(far.reconstruct(X + offset) - offset, near.reconstruct(X), atol=1e-3)


def test_wrong_number_of_codes(X):
    with pytest.raises(ValueError, match=r"X has 2 columns.*expecting codes with 3 components"):
        quick().fit(X).inverse_transform(np.zeros((4, 2)))


# -------------------------------------------------------------------------------- scores


@given(
    X=hnp.arrays(
        np.float64,
        st.tuples(st.integers(2, 70), st.just(3)),
        elements=st.floats(-1e3, 1e3, allow_subnormal=False).map(lambda v: round(v, 3)),
    )
)
def test_score_is_r2_score(X):
    autoencoder = test_score_is_r2_score.autoencoder
    expected = r2_score(X, autoencoder.reconstruct(X), multioutput="variance_weighted")
    assert_allclose(autoencoder.score(X), expected, rtol=1e-6, atol=1e-6)


test_score_is_r2_score.autoencoder = quick(2).fit(
    np.random.RandomState(0).normal(size=(50, 3)) * [500, 200, 100]
)


def test_score_of_one_row_is_undefined(X):
    autoencoder = quick().fit(X)
    with pytest.warns(UndefinedMetricWarning, match="fewer than two"):
        assert np.isnan(autoencoder.score(X[:1]))


def test_score_samples_is_minus_the_mean_squared_error(fitted, unit_X):
    if hasattr(fitted, "beta"):
        return  # a likelihood, in test_variational
    expected = -np.mean((unit_X - fitted.reconstruct(unit_X)) ** 2, axis=1)
    assert_allclose(fitted.score_samples(unit_X), expected, rtol=1e-6)


def test_losses_are_in_units_of_X(X):
    still = {"learning_rate": 1e-9, "early_stopping": False, "max_epochs": 1, "masking_rate": 0}
    autoencoder = quick(**still).fit(X)
    assert_allclose(-autoencoder.score_samples(X).mean(), autoencoder.loss_curve_[0], rtol=1e-4)
    tenfold = quick(**still).fit(10 * X)
    assert_allclose(tenfold.loss_curve_[0], 100 * autoencoder.loss_curve_[0], rtol=1e-4)


# --------------------------------------------------------------------- textbook networks


def test_squashed_output_is_in_units_of_X(unit_X):
    autoencoder = quick(output_activation="logistic", max_epochs=300, early_stopping=False)
    autoencoder.fit(unit_X)
    assert autoencoder.scale_ == 1
    assert not autoencoder.mean_.any()
    assert autoencoder.score(unit_X) > 0.5
    reconstruction = autoencoder.reconstruct(unit_X)
    assert reconstruction.min() >= 0
    assert reconstruction.max() <= 1


@pytest.mark.parametrize("output_activation", ["identity", "logistic"])
def test_binary_cross_entropy(unit_X, output_activation):
    autoencoder = quick(
        loss="binary_cross_entropy",
        output_activation=output_activation,
        max_epochs=300,
        early_stopping=False,
    ).fit(unit_X)
    decoded = autoencoder.inverse_transform(autoencoder.transform(unit_X))
    assert decoded.min() >= 0
    assert decoded.max() <= 1
    assert autoencoder.score(unit_X) > 0.5
    cross_entropy = -(unit_X * np.log(decoded) + (1 - unit_X) * np.log1p(-decoded)).mean()
    assert cross_entropy < autoencoder.loss_curve_[0]
    assert_allclose(cross_entropy, autoencoder.loss_curve_[-1], rtol=0.05)


@pytest.mark.parametrize(
    ("params", "has_linear_path"),
    [
        ({}, True),
        ({"init": "linear", "loss": "huber"}, True),
        ({"loss": "absolute_error"}, True),
        ({"init": "random"}, False),
        ({"code_activation": "relu"}, False),
        ({"output_activation": "tanh"}, False),
        ({"loss": "binary_cross_entropy"}, True),
        ({"loss": "binary_cross_entropy", "output_activation": "logistic"}, True),
        ({"loss": "binary_cross_entropy", "code_activation": "relu"}, False),
        ({"loss": "binary_cross_entropy", "init": "random"}, False),
    ],
)
def test_init(unit_X, params, has_linear_path):
    autoencoder = quick(max_epochs=0, **params).fit(unit_X)
    names = [name for name, _ in autoencoder.net_.module_.named_parameters()]
    assert any("linear" in name for name in names) is has_linear_path


# ---------------------------------------------------------------------------- automatics


@pytest.mark.parametrize(
    ("n_samples", "n_batch_rows", "n_epochs"),
    [
        (2, 64, 200),
        (500, 64, 50),
        (1000, 64, 50),
        (10_000, 100, 12),
        (60_000, 400, 8),
        (10**6, 834, 1),
    ],
)
def test_automatic_batch_size_and_epochs(n_samples, n_batch_rows, n_epochs):
    class Stop(Callback):
        def on_train_begin(self, net, **kwargs):
            found.append((net.batch_size, net.max_epochs))
            raise KeyboardInterrupt  # as only the plan of the training is looked at

    found = []
    X = np.random.RandomState(0).randint(256, size=(n_samples, 5), dtype=np.uint8)
    params = {"early_stopping": False, "net_params": {"callbacks": [Stop()]}}
    with pytest.raises(KeyboardInterrupt):
        AutoencoderTransformer(2, **params).fit(X)
    assert found == [(n_batch_rows, n_epochs)]


def test_automatic_n_components(X, digits):
    assert quick(None, max_epochs=0).fit(X).n_components_ == 10
    assert quick(None, max_epochs=0).fit(digits[0]).n_components_ == 32


@pytest.mark.parametrize(
    ("estimator", "n_samples", "n_components", "widths"),
    [
        (AutoencoderTransformer, 600, 7, [128]),
        (AutoencoderTransformer, 601, 7, [128, 64]),
        (AutoencoderTransformer, 2000, 8, [256]),
        (AutoencoderTransformer, 2001, 7, [512, 256]),
        (AutoencoderTransformer, 2001, 8, [512]),
        (DenoisingAutoencoder, 600, 2, [256]),
        (DenoisingAutoencoder, 601, 2, [1024]),
    ],
)
def test_automatic_hidden_layers(estimator, n_samples, n_components, widths):
    X = np.random.RandomState(0).normal(size=(n_samples, 10))
    layers = estimator(n_components, max_epochs=0).fit(X).encoder_.correction
    found = [layer.out_features for layer in layers if isinstance(layer, torch.nn.Linear)]
    assert found == [*widths, n_components]


@pytest.mark.parametrize(("n_samples", "weight"), [(600, 0.5), (2000, 0.5), (2001, 0.0)])
def test_automatic_weight_of_the_linear_path(n_samples, weight):
    X = np.random.RandomState(0).normal(size=(n_samples, 10))
    params = {"init": "linear", "max_epochs": 1, "early_stopping": False}
    fits = [quick(2, linear_weight=w, **params).fit(X) for w in ("auto", weight, 2 * weight + 0.1)]
    automatic, explicit, other = map(get_weights, fits)
    assert_array_equal(automatic, explicit)
    assert not np.array_equal(automatic, other)


def test_hidden_layer_sizes_as_int_or_array(X):
    for sizes in (7, [7], np.array([7])):
        autoencoder = quick(hidden_layer_sizes=sizes).fit(X)
        assert autoencoder.encoder_.correction[0].out_features == 7


# ------------------------------------------------------------------------- random states


def test_same_seed_same_result(X):
    one, other = quick().fit(X), quick().fit(X)
    assert_array_equal(one.transform(X), other.transform(X))
    assert one.loss_curve_ == other.loss_curve_
    assert quick(random_state=1).fit(X).loss_curve_ != one.loss_curve_
    generator = np.random.RandomState(0)
    first = quick(random_state=generator).fit(X).loss_curve_
    assert quick(random_state=generator).fit(X).loss_curve_ != first
    assert quick(random_state=np.random.RandomState(0)).fit(X).loss_curve_ == first


@pytest.mark.parametrize("random_state", [0, None])
def test_global_generators_are_left_alone(X, random_state):
    autoencoder = quick(random_state=random_state)
    np.random.seed(0)  # noqa: NPY002
    torch.manual_seed(0)
    before = np.random.get_state()[1].copy(), torch.get_rng_state()  # noqa: NPY002
    curves = [autoencoder.fit(X).loss_curve_]
    autoencoder.partial_fit(X).transform(X)
    assert_array_equal(np.random.get_state()[1], before[0])  # noqa: NPY002
    assert torch.equal(torch.get_rng_state(), before[1])
    curves.append(autoencoder.fit(X).loss_curve_)
    assert (curves[0] == curves[1]) is (random_state == 0)


# ----------------------------------------------------------------------------- bad input


def test_not_fitted(X):
    autoencoder = quick()
    for method in ("transform", "inverse_transform", "reconstruct", "score", "score_samples"):
        with pytest.raises(NotFittedError):
            getattr(autoencoder, method)(X)
    with pytest.raises(NotFittedError):
        autoencoder.get_feature_names_out()
    assert not hasattr(autoencoder, "encoder_")
    assert not hasattr(autoencoder, "decoder_")


OUT_OF_RANGE = {
    "n_components": [0, -1, 1.5, 0.0, "two"],
    "ordered": ["yes", 1, None],
    "hidden_layer_sizes": [0, (0,), (-3,), (2.5,), ("a",), "abc", None],
    "activation": ["sigmoid", None],
    "code_activation": ["softmax"],
    "output_activation": ["gelu"],
    "conv_filters": [0, (0,), (2.5,), "abc", None],
    "image_shape": [3, "abc"],
    "encoder": [torch.nn.Linear(2, 2), "Linear"],
    "decoder": [torch.nn.Linear(2, 2), "Linear"],
    "init": ["yes", None, True],
    "linear_weight": [-1, "a", None],
    "masking_rate": [-0.1, 1, "a", None],
    "target_weight": [-1, "a", None],
    "loss": ["mse"],
    "optimizer": [
        "lbfgs",
        dict,
        torch.nn.Linear,
        torch.optim.Optimizer,
        lambda parameters: parameters,
    ],
    "learning_rate": [0, -1],
    "schedule": ["cyclic"],
    "weight_decay": [-1, "none"],
    "batch_size": [0, 2.5, "all"],
    "max_epochs": [-1, 2.5, None],
    "early_stopping": ["no"],
    "validation_fraction": [0, 1, 2, "a"],
    "n_iter_no_change": [0, 1.5],
    "tol": [-1],
    "clip": ["no"],
    "warm_start": ["no"],
    "device": [0, "nowhere"],
    "precision": ["float16", 32, None],
    "data_parallel": ["yes", 2, None],
    "random_state": ["seed"],
    "verbose": [-1, 3, "a"],
    "net_params": [[], "verbose"],
}


@pytest.mark.parametrize(
    ("name", "value"), [(name, value) for name, values in OUT_OF_RANGE.items() for value in values]
)
@pytest.mark.parametrize("method", ["fit", "partial_fit"])
def test_parameter_out_of_range(X, name, value, method):
    with pytest.raises(InvalidParameterError, match=f"The '{name}' parameter of Autoencoder"):
        getattr(quick().set_params(**{name: value}), method)(X)


def test_every_parameter_has_a_bad_value_in_the_test():
    assert set(OUT_OF_RANGE) == set(AutoencoderTransformer().get_params())


@pytest.mark.parametrize(
    ("params", "message"),
    [
        ({"init": "linear", "code_activation": "relu"}, "code_activation='relu'.*'auto'"),
        ({"init": "linear", "output_activation": "tanh"}, "output_activation='tanh'"),
        ({"init": "linear", "loss": "binary_cross_entropy"}, "binary_cross_entropy.*'random'"),
        ({"loss": "binary_cross_entropy", "output_activation": "tanh"}, "logit.*'identity'"),
        ({"net_params": {"lr": 1}}, "net_params .*may not set 'lr'.*'learning_rate'"),
        ({"net_params": {"max_epochs": 1}}, "'max_epochs'"),
        ({"net_params": {"criterion__name": "huber"}}, "'criterion__name'.*'loss'"),
        ({"net_params": {"iterator_train": list}}, "'iterator_train'.*batch_size"),
        ({"validation_fraction": 0.999}, "leaves none to train on"),
    ],
)
def test_contradictions(unit_X, params, message):
    with pytest.raises(ValueError, match=message):
        quick(**params).fit(unit_X)


def test_device_that_is_not_there(X):
    with pytest.raises(ValueError, match=r"device='cuda:99' cannot be used.*'cpu'"):
        quick(device="cuda:99").fit(X)


def test_unknown_net_param(X):
    with pytest.raises(ValueError, match=r"may not set 'callback'. It may set 'callbacks'"):
        quick(net_params={"callback": []}).fit(X)


@pytest.mark.parametrize(
    ("bad_X", "message"),
    [
        ([[1.0, np.nan], [0, np.nan], [1, np.nan]], "no value at all in column 1"),
        ([[1.0, np.inf], [0, 1], [1, 1]], "Input X contains infinity"),
        ([["a", "b"], ["c", "d"]], "could not convert string to float"),
        (np.empty((0, 3)), r"Found array with 0 sample\(s\)"),
        (np.empty((3, 0)), r"Found array with 0 feature\(s\)"),
        ([[1.0, 2.0]], "1 sample.*minimum of 2 is required"),
        ([1.0, 2.0, 3.0], "Expected 2D array"),
        (np.zeros((2, 2, 2)), "Found array with dim 3"),
        (np.array([[1j, 2], [3, 4]]), "Complex data not supported"),
    ],
)
@pytest.mark.parametrize("method", ["fit", "partial_fit"])
def test_bad_X(bad_X, message, method):
    with pytest.raises(ValueError, match=message):
        getattr(quick(), method)(bad_X)


@pytest.mark.parametrize("method", ["fit", "partial_fit"])
def test_binary_cross_entropy_needs_the_unit_interval(X, method):
    with pytest.raises(ValueError, match=r"needs X in \[0, 1\]; got values from .*MinMaxScaler"):
        getattr(quick(loss="binary_cross_entropy"), method)(X)


def test_other_number_of_features(X):
    autoencoder = quick().fit(X)
    for method in ("transform", "reconstruct", "score", "score_samples", "partial_fit"):
        with pytest.raises(ValueError, match=r"X has 4 features, but .* expecting 10 features"):
            getattr(autoencoder, method)(X[:, :4])


FURTHER_GOOD = {
    "n_components": 2,
    "hidden_layer_sizes": (5, 4),
    "activation": "tanh",
    "code_activation": "relu",
    "output_activation": "logistic",
    "init": "random",
    "loss": "binary_cross_entropy",
    "optimizer": "sgd",
}


@pytest.mark.parametrize(
    ("name", "value"),
    [*((name, values[0]) for name, values in OUT_OF_RANGE.items()), *FURTHER_GOOD.items()],
)
def test_failed_fit_leaves_the_earlier_state(X, name, value):
    autoencoder = quick().fit(X)
    codes, reconstruction = autoencoder.transform(X), autoencoder.reconstruct(X)
    with pytest.raises(ValueError, match=r"."):
        autoencoder.set_params(**{name: value}).fit(np.full((30, 4), np.nan))
    assert autoencoder.n_features_in_ == 10
    if name != "clip":  # which is of inference, too
        assert_array_equal(autoencoder.transform(X), codes)
        assert_array_equal(autoencoder.reconstruct(X), reconstruction)
        assert_array_equal(autoencoder.inverse_transform(codes), reconstruction)


@pytest.mark.parametrize(("name", "value"), list(FURTHER_GOOD.items())[:-1])
@pytest.mark.parametrize("method", ["fit", "partial_fit"])
def test_a_network_is_not_trained_further_as_another(unit_X, name, value, method):
    autoencoder = quick(warm_start=True).fit(unit_X)
    scores = autoencoder.score_samples(unit_X)
    message = r"cannot be trained further with another|the linear path"
    with pytest.raises(ValueError, match=message):
        getattr(autoencoder.set_params(**{name: value}), method)(unit_X)
    assert_array_equal(autoencoder.score_samples(unit_X), scores)
    # what says how to train may change
    autoencoder.set_params(**{name: quick().get_params()[name]})
    autoencoder.set_params(loss="huber", optimizer="sgd", learning_rate=1e-3, batch_size=7)
    getattr(autoencoder, method)(unit_X)


def test_clip_follows_what_was_seen(X):
    autoencoder = quick(5, clip=True).partial_fit(X).partial_fit(100 * X)
    assert np.abs(autoencoder.reconstruct(100 * X)).max() > np.abs(X).max()
    far = np.vstack([X, 100 * X, 1e6 * X, -1e6 * X])
    restored = autoencoder.inverse_transform(autoencoder.transform(far))
    assert_array_equal(restored.max(axis=0), np.maximum(X, 100 * X).max(axis=0))
    assert_array_equal(restored.min(axis=0), np.minimum(X, 100 * X).min(axis=0))


@pytest.mark.parametrize("scale", [1e-30, 1e-10, 1e10, 1e30])
def test_scale_of_X_does_not_matter(X, scale):
    plain, scaled = quick().fit(X), quick().fit(scale * X)
    assert_allclose(scaled.score(scale * X), plain.score(X), rtol=1e-3)
    assert_allclose(scaled.transform(scale * X) / scale, plain.transform(X), rtol=0.02, atol=0.02)


@pytest.mark.parametrize("scale", [1e40, 1e200])
def test_too_large_for_float32(X, scale):
    with pytest.raises(ValueError, match=r"too large for codes in float32.*StandardScaler"):
        quick().fit(scale * X)


def test_infinities_of_both_signs(X):
    autoencoder = quick().fit(X)
    X = X.copy()
    X[:2, 0] = np.inf, -np.inf
    for method in (autoencoder.score, autoencoder.transform, autoencoder.fit):
        with pytest.raises(ValueError, match=r"Input X contains infinity"):
            method(X)


def test_read_only_codes_and_memory_mapped_estimators(X, tmp_path):
    autoencoder = quick().fit(X)
    codes = autoencoder.transform(X)
    codes.flags.writeable = False
    reconstruction = autoencoder.inverse_transform(codes)
    joblib.dump(autoencoder, tmp_path / "autoencoder")
    mapped = joblib.load(tmp_path / "autoencoder", mmap_mode="r")
    assert_array_equal(mapped.transform(X), codes)
    assert_array_equal(mapped.inverse_transform(codes), reconstruction)


def test_weight_decay_of_an_optimizer_without(X):
    with pytest.raises(ValueError, match=r"Rprop takes no weight_decay"):
        quick(optimizer=torch.optim.Rprop, weight_decay=0.1).fit(X)


def test_a_linear_start_needs_linear_codes(X):
    with pytest.raises(ValueError, match=r"init='linear' needs"):
        quick(init="linear", code_activation="relu").fit(X)
    assert quick(init="random", code_activation="relu").fit(X).best_epoch_ > 0


@pytest.mark.parametrize("method", ["score", "score_samples"])
def test_memory_does_not_grow_with_the_rows(method):
    X = np.random.RandomState(0).normal(size=(80_000, 30)).astype(np.float32)
    # layers so wide that 40,000 rows are many parts
    autoencoder = quick(init="random", hidden_layer_sizes=(512,), max_epochs=0).fit(X[:1000])
    peaks = []
    for n_rows in (40_000, 80_000):
        tracemalloc.start()
        getattr(autoencoder, method)(X[:n_rows])
        peaks.append(tracemalloc.get_traced_memory()[1])
        tracemalloc.stop()
    result = 40_000 * 8 if method == "score_samples" else 0
    assert peaks[1] - peaks[0] < result + 100_000  # the added rows alone are 4,800,000 bytes


# -------------------------------------------------------------- warm_start and partial_fit


def test_warm_start_continues(digits):
    X_train, _ = digits
    autoencoder = quick(warm_start=True, max_epochs=10).fit(X_train)
    first = autoencoder.score(X_train)
    mean, scale, codes = autoencoder.mean_, autoencoder.scale_, autoencoder.transform(X_train)
    autoencoder.set_params(max_epochs=0).fit(X_train)
    assert_array_equal(autoencoder.transform(X_train), codes)
    autoencoder.set_params(max_epochs=40).fit(X_train)
    assert autoencoder.score(X_train) > first
    assert autoencoder.start_loss_ < quick(max_epochs=10).fit(X_train).start_loss_
    assert_array_equal(autoencoder.mean_, mean)
    assert autoencoder.scale_ == scale
    with pytest.raises(ValueError, match="X has 3 features"):
        autoencoder.fit(X_train[:, :3])


def test_partial_fit_learns_from_chunks(digits):
    X_train, X_test = digits
    autoencoder = quick(8, hidden_layer_sizes=(64,))
    chunks = np.array_split(X_train, 4)
    start = quick(8, max_epochs=0).fit(chunks[0]).score(X_test)
    for n_passes in range(1, 11):
        for i, chunk in enumerate(chunks):
            assert autoencoder.partial_fit(chunk) is autoencoder
            assert autoencoder.n_iter_ == len(autoencoder.loss_curve_) == 4 * (n_passes - 1) + i + 1
    assert autoencoder.best_epoch_ == 40
    assert autoencoder.best_loss_ == autoencoder.loss_curve_[-1]
    assert autoencoder.score(X_test) > start + 0.05
    assert_allclose(autoencoder.mean_, chunks[0].mean(axis=0))
    # a single row is no start but can be learned from
    autoencoder.partial_fit(X_train[:1])


def test_partial_fit_after_fit(digits):
    X_train, _ = digits
    autoencoder = quick(8, init="linear").fit(X_train)
    fitted = autoencoder.score(X_train)
    autoencoder.partial_fit(X_train)
    assert autoencoder.n_iter_ == 6
    assert autoencoder.validation_loss_curve_ is None
    assert autoencoder.score(X_train) > fitted - 0.02


def test_fit_forgets_partial_fit(X):
    autoencoder = quick().partial_fit(10 * X).fit(X)
    assert_array_equal(autoencoder.transform(X), quick().fit(X).transform(X))
    assert autoencoder.n_iter_ == 5


def test_no_warning_leaks(X):
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        quick().fit(X).partial_fit(X).reconstruct(X)
    assert not caught


# ---------------------------------------------------------------------- at the ends of numbers


@pytest.mark.parametrize("method", ["fit", "transform", "inverse_transform"])
def test_numbers_that_no_float_holds(X, method):
    rows = np.full((5, 3 if method == "inverse_transform" else 10), 10**400, dtype=object)
    with pytest.raises(ValueError, match="too large for a float"):
        getattr(quick().fit(X), method)(rows)


def test_codes_beyond_float32(X):
    with pytest.raises(ValueError, match="infinity"):  # and no warning
        quick().fit(X).inverse_transform([[1e39, -1e39, 0]])


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_variation_below_float32(X, dtype):
    rows = (1e-40 * X).astype(dtype)
    with pytest.raises(ValueError, match="vary by too little"):
        quick().fit(rows)
    textbook = quick(init="random").fit(rows)
    assert np.isfinite(textbook.reconstruct(rows)).all()


def test_numeric_categories(X):
    frame = pd.DataFrame({"kind": pd.Categorical([3, 1, 2, 3, 1]), "whole": range(5)})
    expected = quick(1).fit(frame.astype(float))
    assert_array_equal(quick(1).fit(frame).transform(frame), expected.transform(frame))
    frame.loc[0, "kind"] = None
    assert_array_equal(expected.transform(frame), expected.transform(frame.astype(float)))


def test_tensors_that_want_gradients(X):
    tensor = torch.tensor(X, requires_grad=True)
    fitted = quick().fit(tensor)
    assert_array_equal(fitted.transform(tensor), quick().fit(X).transform(X))


def test_keys_of_net_params(X):
    with pytest.raises(InvalidParameterError, match="keys of net_params"):
        quick(net_params={1: 2}).fit(X)


def test_share_of_variance_without_a_linear_start(X):
    fitted = quick(0.8, init="random").fit(X)
    assert fitted.n_components_ == PCA(0.8).fit(X).n_components_


# ------------------------------------------------------------------ X against the parameters


@pytest.mark.parametrize("method", ["fit", "partial_fit"])
@pytest.mark.parametrize("estimator", [AutoencoderTransformer, DenoisingAutoencoder])
@pytest.mark.parametrize(
    ("activation", "low", "high", "bounds"),
    [
        ("logistic", 0.0, 255.0, "from 0 to 1"),
        ("logistic", -0.1, 0.9, "from 0 to 1"),
        ("tanh", -1.0, 1.01, "from -1 to 1"),
        ("relu", -0.001, 5.0, "from 0 to inf"),
    ],
)
def test_an_output_that_cannot_reach_X_is_refused(estimator, activation, low, high, bounds, method):
    X = np.random.RandomState(0).uniform(size=(40, 5))
    X = (X - X.min()) / (X.max() - X.min())
    params = {"output_activation": activation, "max_epochs": 1, "hidden_layer_sizes": (4,)}
    fitted = getattr(estimator(2, **params), method)(X)
    codes = fitted.transform(X)
    with pytest.raises(ValueError, match=f"returns values {bounds}, but X has values from {low:g}"):
        getattr(fitted, method)(low + (high - low) * X)
    assert_array_equal(fitted.transform(X), codes)


@pytest.mark.parametrize(
    "params",
    [
        {"output_activation": "logistic"},
        {"output_activation": "tanh"},
        {"loss": "binary_cross_entropy"},
    ],
)
def test_scaled_numbers_may_be_beyond_a_bound_by_rounding(params):
    X = np.random.RandomState(3).uniform(size=(50, 4)).astype(np.float64)
    X = MinMaxScaler().fit_transform(X * [1, 3, 0.7, 11] - 5)
    X[0, 0] = np.nextafter(1, 2)  # as the scaler's numbers can be
    assert np.isfinite(quick(2, max_epochs=1, **params).fit(X).score(X))


@pytest.mark.parametrize(("n_channels", "length"), [(1, 40), (2, 20), (8, 5), (5, 3)])
def test_signals_of_any_number_of_channels(n_channels, length):
    X = np.random.RandomState(0).normal(size=(50, n_channels * length))
    for image_shape in ((n_channels, 1, length), (n_channels, 1, -1)):
        fitted = quick(2, conv_filters=(4,), image_shape=image_shape, max_epochs=1).fit(X)
        assert fitted.reconstruct(X).shape == X.shape


def test_a_first_chunk_of_few_rows_is_warned_of(digits):
    with pytest.warns(UserWarning, match=r"has 20 rows.*at least 40 rows") as caught:
        autoencoder = quick(4).partial_fit(digits[0][:20])
    assert caught[0].filename == __file__
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        autoencoder.partial_fit(digits[0][:5])  # not the first
        quick(4).partial_fit(digits[0][:40])
        quick(4).fit(digits[0][:20])


@pytest.mark.parametrize("estimator", [AutoencoderTransformer, DenoisingAutoencoder])
@pytest.mark.parametrize("method", ["fit", "partial_fit", "fit_transform"])
def test_a_y_with_the_shape_of_X_is_warned_of(X, estimator, method):
    autoencoder = estimator(2, hidden_layer_sizes=(4,), max_epochs=1, random_state=0)
    with pytest.warns(UserWarning, match="y has the shape of X and is ignored"):
        getattr(autoencoder, method)(X, X)
    with pytest.warns(UserWarning, match="y has the shape of X and is ignored"):
        getattr(autoencoder, method)(X, X.tolist())
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        for y in (None, X[:, 0], X[:, :2], list(range(len(X))), ["a"] * len(X)):
            getattr(autoencoder, method)(X, y)
        getattr(estimator(1, max_epochs=1), method)(X[:, :1], X[:, :1])  # a column of targets


def test_device_as_torch_has_it(X):
    fitted = quick(device=torch.device("cpu")).fit(X)
    assert_array_equal(fitted.transform(X), quick(device="cpu").fit(X).transform(X))
    assert fitted.get_params()["device"] == torch.device("cpu")
    assert pickle.loads(pickle.dumps(fitted)).device == torch.device("cpu")
