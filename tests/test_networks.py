"""Coders in the estimators: dense, convolutional and custom ones."""

import copy
import functools
import math
import pickle

import joblib
import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from numpy.testing import assert_allclose, assert_array_equal
from sklearn.base import clone
from sklearn.decomposition import PCA
from sklearn.model_selection import GridSearchCV, cross_val_score
from skorch.callbacks import Callback
from test_losses import REFERENCES
from torch import nn
from zoo import Perceptron, draw_fewer

from sklearn_ae import AutoencoderTransformer, DenoisingAutoencoder
from sklearn_ae._networks import measure_row_width

ACTIVATIONS = {
    "relu": nn.ReLU(),
    "gelu": nn.GELU(),
    "silu": nn.SiLU(),
    "tanh": nn.Tanh(),
    "logistic": nn.Sigmoid(),
    "identity": nn.Identity(),
}

# Parameters of networks for rows of 36 features and codes of three components.
ARCHITECTURES = {
    "dense": {"hidden_layer_sizes": (8,)},
    "no hidden layer": {"hidden_layer_sizes": ()},
    "convolutional": {
        "hidden_layer_sizes": (),
        "conv_filters": (4, 2),
        "image_shape": (1, 6, 6),
        "activation": "silu",
    },
    "convolutional and dense": {
        "hidden_layer_sizes": (8,),
        "conv_filters": (4,),
        "image_shape": (4, 3, 3),
        "activation": "silu",
    },
    "custom": {"encoder": Perceptron, "decoder": Perceptron},
    "custom encoder": {"hidden_layer_sizes": (8,), "encoder": Perceptron},
    "custom decoder": {"hidden_layer_sizes": (8,), "decoder": Perceptron},
}


def generator():
    return torch.Generator().manual_seed(0)


def make_rows(n_features, n_samples=50):
    """Return correlated rows in [0, 1]."""
    rng = np.random.RandomState(0)
    X = rng.normal(size=(n_samples, 3)) @ rng.normal(size=(3, n_features))
    return ((X - X.min()) / (X.max() - X.min())).astype(np.float32)


def fit_untrained(n_features, n_components=3, **params):
    """Return an autoencoder without any training."""
    autoencoder = AutoencoderTransformer(n_components, max_epochs=0, random_state=0, **params)
    return autoencoder.fit(make_rows(n_features))


@pytest.fixture(params=ARCHITECTURES)
def any_architecture(request):
    return ARCHITECTURES[request.param]


@pytest.mark.parametrize("activation", sorted(ACTIVATIONS))
@pytest.mark.parametrize("hidden", [[], [5], [7, 5]])
def test_plain_autoencoder_mirrors_its_widths(activation, hidden):
    params = {"init": "random", "hidden_layer_sizes": hidden, "activation": activation}
    module = fit_untrained(9, **params).net_.module_
    layers = [layer for layer in module.modules() if isinstance(layer, nn.Linear)]
    widths = [9, *hidden, 3, *hidden[::-1], 9]
    assert [layer.in_features for layer in layers] == widths[:-1]
    assert [layer.out_features for layer in layers] == widths[1:]
    assert all(layer.weight.dtype == torch.float32 for layer in layers)


@pytest.mark.parametrize("activation", sorted(ACTIVATIONS))
def test_a_dense_autoencoder_is_that_of_plain_torch(activation):
    params = {"init": "random", "hidden_layer_sizes": (7, 5), "activation": activation}
    module = fit_untrained(9, **params).net_.module_
    layers = [layer for layer in module.modules() if isinstance(layer, nn.Linear)]
    u = expected = torch.randn(20, 9, generator=generator())
    for number, layer in enumerate(layers):
        expected = layer(expected)
        if number not in (2, 5):  # code and output
            expected = ACTIVATIONS[activation](expected)
    torch.testing.assert_close(module(u), expected)


@pytest.mark.parametrize(
    ("code_activation", "output_activation", "low", "high"),
    [("relu", "logistic", 0, 1), ("logistic", "tanh", -1, 1), ("tanh", "relu", 0, np.inf)],
)
def test_code_and_output_activations(
    any_architecture, code_activation, output_activation, low, high
):
    activations = {"code_activation": code_activation, "output_activation": output_activation}
    fitted = fit_untrained(36, **{**any_architecture, **activations})
    u = 10 * torch.randn(50, 36, generator=generator())
    code, output = fitted.encoder_(u), fitted.net_.module_(u)
    layers = fitted.encoder_.correction
    torch.testing.assert_close(code, ACTIVATIONS[code_activation](layers[:-1](u)))
    assert low <= output.min() < output.max() <= high


# Estimators whose linear starts have different biases, those of encoder and decoder.
STARTS = {
    (False, False): AutoencoderTransformer(3, init="linear", random_state=0),
    (True, False): DenoisingAutoencoder(3, init="linear", corruption="masking", random_state=0),
    (False, True): AutoencoderTransformer(3, loss="binary_cross_entropy", random_state=0),
    (True, True): DenoisingAutoencoder(
        3, corruption="masking", loss="binary_cross_entropy", random_state=0
    ),
}


@pytest.mark.parametrize("has_biases", STARTS)
def test_residual_autoencoder_starts_linear(any_architecture, has_biases):
    fitted = clone(STARTS[has_biases]).set_params(max_epochs=0, **any_architecture)
    fitted.fit(make_rows(36))
    encoding, decoding = fitted.encoder_.linear, fitted.decoder_.linear
    assert (encoding.bias is not None, decoding.bias is not None) == has_biases
    u = torch.randn(20, 36, generator=generator())
    z = u @ encoding.weight.T + (encoding.bias if has_biases[0] else 0)
    codes = fitted.encoder_(u)
    torch.testing.assert_close(codes, fitted.scale_ * z)
    output = z @ decoding.weight.T + (decoding.bias if has_biases[1] else 0)
    torch.testing.assert_close(fitted.decoder_(codes), output)


class Watcher(Callback):
    """Keeps the parameters from before training."""

    def on_train_begin(self, net, **kwargs):
        self.before = copy.deepcopy(dict(net.module_.named_parameters()))


@pytest.mark.parametrize("has_biases", STARTS)
def test_every_weight_of_the_residual_autoencoder_learns(any_architecture, has_biases):
    watcher = Watcher()
    fitted = clone(STARTS[has_biases]).set_params(
        learning_rate=0.1,
        schedule="constant",
        early_stopping=False,
        batch_size=50,
        max_epochs=3,  # in the first step the zero layers are in the way of those before them
        net_params={"callbacks": [watcher]},
        **any_architecture,
    )
    fitted.fit(make_rows(36))
    after = dict(fitted.net_.module_.named_parameters())
    assert after.keys() == watcher.before.keys()
    trained = {name for name, weights in after.items() if weights.requires_grad}
    # a custom network has a copy beside it, which stays
    assert trained == {name for name in after if ".start." not in name}
    for name, weights in after.items():
        assert torch.equal(weights, watcher.before[name]) == (name not in trained)


@pytest.mark.parametrize(("activation", "variance"), [("relu", 2 / 300), ("tanh", 2 / 500)])
def test_initial_variance_is_he_or_glorot(activation, variance):
    params = {"init": "random", "hidden_layer_sizes": (200,), "activation": activation}
    layer = fit_untrained(300, **params).encoder_.correction[0]
    assert layer.weight.var().item() == pytest.approx(variance, rel=0.05)
    assert not layer.bias.any()


def test_initialisation_leaves_the_global_generator_alone(any_architecture):
    torch.manual_seed(0)
    state = torch.get_rng_state()
    fits = [fit_untrained(36, init="random", **any_architecture) for _ in range(2)]
    assert torch.equal(torch.get_rng_state(), state)
    for weights, again in zip(*(fit.net_.module_.parameters() for fit in fits), strict=True):
        assert torch.equal(weights, again)


def test_widest_part_of_a_network():
    module = fit_untrained(36, **ARCHITECTURES["dense"]).net_.module_
    assert measure_row_width(module, 36, generator()) == 36
    module = fit_untrained(36, **ARCHITECTURES["convolutional"]).net_.module_
    assert measure_row_width(module, 36, generator()) == 4 * 36
    gru = nn.Sequential(nn.Unflatten(1, (9, 4)), nn.GRU(4, 32, batch_first=True))
    assert measure_row_width(gru, 36, generator()) == 9 * 32
    normed = nn.utils.parametrizations.weight_norm(nn.Linear(36, 300))  # its weight is no row
    assert measure_row_width(normed, 36, generator()) == 300


# ----------------------------------------------------------------------- convolutional coders


@draw_fewer(1 / 2)
@given(
    shape=st.tuples(st.sampled_from([1, 3, 4]), st.integers(2, 15), st.integers(2, 15)),
    filters=st.lists(st.integers(1, 4), min_size=1, max_size=4),
    hidden=st.lists(st.integers(1, 5), max_size=2),
)
def test_decoder_mirrors_the_convolutions(shape, filters, hidden):
    filters = filters[: math.ceil(math.log2(max(shape[1:])))]
    sizes = [tuple(math.ceil(side / 2**n) for side in shape[1:]) for n in range(len(filters) + 1)]
    params = {"conv_filters": filters, "image_shape": shape, "hidden_layer_sizes": hidden}
    fitted = fit_untrained(math.prod(shape), init="random", **params)
    channels = [shape[0], *filters]
    images = torch.randn(5, math.prod(shape), generator=generator())
    seen = shapes_of(fitted.encoder_.correction, images, nn.MaxPool2d)
    assert seen == [(5, n, *size) for n, size in zip(filters, sizes[1:], strict=True)]
    seen = shapes_of(fitted.decoder_.correction, fitted.encoder_(images), nn.Conv2d)
    expected = zip(channels[:-1], sizes[:-1], strict=True)
    assert seen == [(5, n, *size) for n, size in expected][::-1]
    assert fitted.net_.module_(images).shape == images.shape


def shapes_of(module, inputs, kind):
    """Return the shapes of what the parts of one kind return."""
    shapes = []
    for part in module:
        inputs = part(inputs)
        if isinstance(part, kind):
            shapes.append(tuple(inputs.shape))
    return shapes


def test_a_convolutional_encoder_is_that_of_plain_torch():
    coder = fit_untrained(36, init="random", **ARCHITECTURES["convolutional"]).encoder_
    layers = [layer for layer in coder.modules() if hasattr(layer, "weight")]
    assert len(layers) == 3
    images = torch.randn(7, 1, 6, 6, generator=generator())
    expected = images
    for layer in layers[:-1]:
        expected = nn.functional.conv2d(expected, layer.weight, layer.bias, padding=1)
        expected = nn.functional.max_pool2d(nn.functional.silu(expected), 2, ceil_mode=True)
    expected = layers[-1](expected.flatten(1))
    torch.testing.assert_close(coder(images.flatten(1)), expected)


def test_upsampling_repeats_pixels_and_crops():
    params = {"conv_filters": [2], "image_shape": (1, 3, 5), "hidden_layer_sizes": ()}
    decoder = fit_untrained(15, 2, init="random", **params).decoder_
    upsample = next(part for part in decoder.modules() if isinstance(part, nn.Upsample))
    image = torch.arange(6.0).reshape(1, 1, 2, 3)
    repeated = image.repeat_interleave(2, dim=2).repeat_interleave(2, dim=3)
    assert torch.equal(upsample(image), repeated[:, :, :3, :5])


CONVOLUTIONAL = {"conv_filters": (4, 3), "image_shape": (1, 8, 8), "hidden_layer_sizes": (16,)}


@pytest.mark.slow
@pytest.mark.parametrize(
    ("estimator", "loss", "init"),
    [
        *((AutoencoderTransformer, loss, "auto") for loss in REFERENCES),
        (AutoencoderTransformer, "squared_error", "random"),
        (DenoisingAutoencoder, "squared_error", "auto"),
    ],
)
def test_convolutional_networks_learn_with_every_loss(digits, estimator, loss, init):
    X = digits[0] / 16
    # PCA is not left for an improvement that could be chance
    how = {"init": init, "max_epochs": 20 if init == "auto" else 5}
    params = {**CONVOLUTIONAL, "conv_filters": (8, 8), "learning_rate": 0.008, "random_state": 0}
    params["validation_fraction"] = 0.1  # quicker than cross-fitting
    autoencoder = estimator(8, loss=loss, **how, **params).fit(X)
    assert autoencoder.best_epoch_ > 0
    assert autoencoder.best_loss_ < autoencoder.start_loss_
    assert autoencoder.transform(X).shape == (len(X), 8)


@pytest.mark.parametrize(
    "params",
    [CONVOLUTIONAL, {"encoder": Perceptron}, {"encoder": Perceptron, "decoder": Perceptron}],
    ids=["convolutional", "custom encoder", "custom"],
)
def test_starts_as_pca(digits, params):
    X, X_test = digits
    pca = PCA(6, random_state=0).fit(X)
    params = {"init": "linear", "max_epochs": 0, "random_state": 0, **params}
    autoencoder = AutoencoderTransformer(6, **params).fit(X)
    assert_allclose(autoencoder.transform(X_test), pca.transform(X_test), rtol=1e-3, atol=1e-3)
    assert_allclose(
        autoencoder.reconstruct(X_test),
        pca.inverse_transform(pca.transform(X_test)),
        rtol=1e-3,
        atol=1e-3,
    )


def test_convolutions_find_what_lies_side_by_side():
    # the images hold one bright pixel: dense layers see 100 features without an order
    rng = np.random.RandomState(0)
    X = np.eye(100)[rng.randint(100, size=600)]
    # they are equal: no row is new, and nothing can be held out
    params = {"hidden_layer_sizes": (), "max_epochs": 60, "random_state": 0, "learning_rate": 0.01}
    params["early_stopping"] = False
    images = {"conv_filters": (8, 8), "image_shape": (1, 10, 10)}
    dense, convolutional = (
        AutoencoderTransformer(8, **params, **how).fit(X).score(X) for how in ({}, images)
    )
    assert convolutional > dense + 0.1


@pytest.mark.parametrize(
    "image_shape",
    [(1, 8, -1), (-1, 8, 8), (1, -1, 8), [1, 8, 8], np.array([1, 8, 8])],
    ids=str,
)
def test_one_side_of_the_image_is_inferred(digits, image_shape):
    params = {**CONVOLUTIONAL, "max_epochs": 1, "random_state": 0, "validation_fraction": 0.1}
    expected = AutoencoderTransformer(3, **params).fit(digits[0]).transform(digits[1])
    params["image_shape"] = image_shape
    autoencoder = AutoencoderTransformer(3, warm_start=True, **params).fit(digits[0])
    assert_array_equal(autoencoder.transform(digits[1]), expected)
    autoencoder.set_params(image_shape=(1, 8, 8)).fit(digits[0])  # is no other network


@pytest.mark.parametrize(
    ("params", "message"),
    [
        ({"image_shape": None}, r"conv_filters=\(4, 3\) needs image_shape=.*width = 64"),
        ({"image_shape": (1, 8, 9)}, r"\(1, 8, 9\) does not multiply to.*n_features=64"),
        ({"image_shape": (3, -1, 8)}, r"\(3, -1, 8\) does not multiply to.*n_features=64"),
        ({"image_shape": (1, 8, 9), "conv_filters": ()}, "does not multiply"),
        ({"image_shape": (8, 8)}, r"must be three ints of at least 1.* got \(8, 8\)"),
        ({"image_shape": (-1, -1, 8)}, "must be three ints of at least 1"),
        ({"image_shape": (1, 8.0, 8)}, "must be three ints of at least 1"),
        ({"image_shape": (0, 8, 8)}, "must be three ints of at least 1"),
        ({"conv_filters": (2, 2, 2, 2)}, r"4 blocks.* 3 make one pixel of an image of 8 by 8"),
    ],
)
@pytest.mark.parametrize("method", ["fit", "partial_fit"])
def test_images_that_are_none(digits, params, message, method):
    autoencoder = AutoencoderTransformer(3, **{**CONVOLUTIONAL, **params})
    with pytest.raises(ValueError, match=message):
        getattr(autoencoder, method)(digits[0])
    assert not hasattr(autoencoder, "net_")


# ---------------------------------------------------------------------------- custom networks


CUSTOM = {"encoder": Perceptron, "decoder": Perceptron}


@pytest.mark.parametrize("estimator", [AutoencoderTransformer, DenoisingAutoencoder])
@pytest.mark.parametrize("init", ["linear", "random"])
def test_custom_networks(digits, estimator, init):
    X = digits[0] / 16
    params = {"init": init, "max_epochs": 20, "validation_fraction": 0.1, "random_state": 0}
    autoencoder = estimator(8, **params, **CUSTOM).fit(X)
    assert autoencoder.best_loss_ < autoencoder.start_loss_
    codes, restored = autoencoder.transform(X), autoencoder.reconstruct(X)
    for other in (clone(autoencoder).fit(X), pickle.loads(pickle.dumps(autoencoder))):
        assert_array_equal(other.transform(X), codes)
        assert_array_equal(other.reconstruct(X), restored)
    coders = autoencoder.encoder_, autoencoder.decoder_
    assert all((coder.linear is not None) == (init == "linear") for coder in coders)
    # beside a linear path the networks start at zero, and have learnt to add something
    u = torch.as_tensor((X - autoencoder.mean_) / autoencoder.scale_, dtype=torch.float32)
    for coder, rows in zip(coders, (u, torch.as_tensor(codes)), strict=True):
        assert coder.correction(rows).any()


@pytest.mark.parametrize("method", ["fit", "partial_fit"])
def test_custom_networks_leave_the_global_generators_alone(digits, method):
    states = []
    for seed in range(2):
        torch.manual_seed(seed)
        before = torch.get_rng_state()
        autoencoder = AutoencoderTransformer(3, max_epochs=2, random_state=0, **CUSTOM)
        getattr(getattr(autoencoder, method)(digits[0]), method)(digits[0])
        assert torch.equal(torch.get_rng_state(), before)
        states.append(autoencoder.transform(digits[1]))
    assert_array_equal(*states)


def test_without_training_a_custom_network_is_ready_to_infer(digits):
    autoencoder = AutoencoderTransformer(
        3, max_epochs=0, init="random", random_state=0, **CUSTOM
    ).fit(digits[0])
    assert_array_equal(autoencoder.transform(digits[1]), autoencoder.transform(digits[1]))


def test_code_and_output_activation_follow_a_custom_network(digits):
    autoencoder = AutoencoderTransformer(
        3, code_activation="relu", output_activation="logistic", max_epochs=2, **CUSTOM
    ).fit(digits[0] / 16)
    assert autoencoder.transform(digits[1] / 16).min() == 0
    reconstruction = autoencoder.reconstruct(digits[1] / 16)
    assert 0 < reconstruction.min() < reconstruction.max() < 1


@pytest.mark.slow
def test_a_search_over_factories(digits):
    factories = [Perceptron, functools.partial(Perceptron, width=32), nn.Linear, None]
    search = GridSearchCV(
        AutoencoderTransformer(4, max_epochs=2, random_state=0),
        {"encoder": factories},
        cv=2,
        n_jobs=2,
    ).fit(digits[0])
    scores = search.cv_results_["mean_test_score"]
    for factory, score in zip(factories, scores, strict=True):
        alone = clone(search.estimator).set_params(encoder=factory)
        assert score == pytest.approx(cross_val_score(alone, digits[0], cv=2).mean(), abs=1e-5)
    again = pickle.loads(pickle.dumps(search))
    assert_array_equal(again.transform(digits[1]), search.transform(digits[1]))


class Pair(nn.Linear):
    """A network of two outputs, one too many."""

    def forward(self, x):
        return super().forward(x), x


class Auxiliary(Pair):
    """A network of two outputs in training alone."""

    def forward(self, x):
        outputs = super().forward(x)
        return outputs if self.training else outputs[0]


class Turned(nn.Linear):
    def forward(self, x):
        return super().forward(x).T


SHARED = {"encoder": nn.Linear(64, 3), "decoder": nn.Linear(3, 64)}


@pytest.mark.parametrize("name", ["encoder", "decoder"])
@pytest.mark.parametrize(
    ("factory", "error", "message"),
    [
        (lambda n_in, n_out: nn.Linear(n_in, n_out + 1), ValueError, r", {n_out}\) .*but returned"),
        (lambda n_in, n_out: nn.Flatten(0), ValueError, r"should return .* returned \("),
        (lambda n_in, n_out: nn.Linear(n_in, 1), ValueError, r"should return .* returned \("),
        (Pair, ValueError, "returned tuple"),
        (Auxiliary, ValueError, "returned tuple"),
        (Turned, ValueError, r"should return .* returned \("),
        (lambda n_in, n_out: "network", TypeError, "must return a torch.nn.Module; got 'network'"),
        (nn.Linear(64, 3), ValueError, "must be a factory.*got a module"),
        (nn.Linear(64, 3), TypeError, "must be a factory.*got a module"),
        (3, ValueError, "must be a callable or None"),
    ],
)
@pytest.mark.parametrize("method", ["fit", "partial_fit"])
def test_factories_that_do_not_keep_their_promise(digits, name, factory, error, message, method):
    n_out = {"encoder": 3, "decoder": 64}[name]
    autoencoder = AutoencoderTransformer(3, **{name: factory})
    with pytest.raises(error, match=message.format(n_out=n_out)) as caught:
        getattr(autoencoder, method)(digits[0])
    assert name in str(caught.value)
    assert not hasattr(autoencoder, "net_")


@pytest.mark.parametrize(
    ("factory", "error"),
    [
        (lambda n_in, n_out: nn.Linear(5, n_out), RuntimeError),
        (lambda n_in: nn.Linear(n_in, 3), TypeError),
    ],
)
def test_an_error_in_a_custom_network_is_the_users_own(digits, factory, error):
    with pytest.raises(error) as caught:
        AutoencoderTransformer(3, encoder=factory).fit(digits[0])
    assert "encoder=" in caught.value.__notes__[0]


@pytest.mark.parametrize("name", ["encoder", "decoder"])
def test_a_module_that_is_in_use_is_refused(digits, name):
    autoencoder = AutoencoderTransformer(
        3, max_epochs=1, random_state=0, **{name: lambda n_in, n_out: SHARED[name]}
    ).fit(digits[0])
    codes = autoencoder.transform(digits[1])
    with pytest.raises(ValueError, match="must return a new network each time"):
        clone(autoencoder).fit(digits[0])
    assert_array_equal(autoencoder.transform(digits[1]), codes)


def make_layer_on(weight):
    layer = nn.Linear(64, 8)
    layer.weight = weight if isinstance(weight, nn.Parameter) else nn.Parameter(weight)
    return layer


@pytest.mark.parametrize(
    ("shared", "make_layer", "part"),
    [
        (nn.Linear(64, 8), lambda layer: layer, "the module '0'"),
        (nn.Linear(64, 8), lambda layer: nn.Sequential(nn.Sequential(layer)), "the module '0.0.0'"),
        (nn.Linear(64, 8), lambda layer: make_layer_on(layer.weight), "the tensor '0.weight'"),
        (torch.zeros(8, 64), make_layer_on, "the tensor '0.weight'"),
        (torch.zeros(8, 64), lambda matrix: make_layer_on(matrix[:]), "the tensor '0.weight'"),
        (
            nn.BatchNorm1d(8),
            lambda layer: nn.Sequential(nn.Linear(64, 8), layer),
            "the module '0.1'",
        ),
    ],
)
def test_a_part_that_two_networks_share_is_refused(digits, shared, make_layer, part):
    def encoder(n_in, n_out):
        return nn.Sequential(make_layer(shared), nn.Linear(8, n_out))

    def copying(n_in, n_out):  # the remedy
        return copy.deepcopy(encoder(n_in, n_out))

    for _ in range(2):
        AutoencoderTransformer(3, encoder=copying, max_epochs=1).fit(digits[0])
    first = AutoencoderTransformer(3, encoder=encoder, max_epochs=1).fit(digits[0])
    codes = first.transform(digits[1])
    with pytest.raises(ValueError, match=rf"{part} is part of another.*copy\.deepcopy") as caught:
        AutoencoderTransformer(3, encoder=encoder, max_epochs=1).fit(digits[0])
    assert "encoder=" in str(caught.value)
    assert_array_equal(first.transform(digits[1]), codes)


def test_encoder_and_decoder_share_nothing(digits):
    made = []

    def encoder(n_in, n_out):
        made.append(nn.Linear(n_in, n_out))
        return made[-1]

    def decoder(n_in, n_out):
        layer = nn.Linear(n_in, n_out)
        layer.weight = nn.Parameter(made[-1].weight.t())
        return layer

    with pytest.raises(ValueError, match="the tensor 'weight' is part of another"):
        AutoencoderTransformer(3, encoder=encoder, decoder=decoder).fit(digits[0])


def test_addresses_of_networks_that_are_gone_are_free(digits):
    for _ in range(20):
        AutoencoderTransformer(3, encoder=nn.Linear, max_epochs=0).fit(digits[0])


def make_layers(*last):
    """Return a factory of two layers, and what follows them."""

    def factory(n_in, n_out):
        ends = [end(n_out) if end is nn.BatchNorm1d else end() for end in last]
        return nn.Sequential(nn.Linear(n_in, 64), nn.SiLU(), nn.Linear(64, n_out), *ends)

    return factory


class Skipping(nn.Module):
    """A layer, with two layers beside it."""

    def __init__(self, n_in, n_out):
        super().__init__()
        self.skip, self.layers = nn.Linear(n_in, n_out), make_layers()(n_in, n_out)

    def forward(self, x):
        return self.skip(x) + self.layers(x)


def transposed(n_in, n_out):
    side = int(n_out**0.5) // 2
    layers = [nn.Linear(n_in, 16 * side**2), nn.SiLU(), nn.Unflatten(1, (16, side, side))]
    return nn.Sequential(*layers, nn.ConvTranspose2d(16, 1, 2, stride=2), nn.Flatten())


@pytest.mark.parametrize(
    ("encoder", "decoder", "share"),  # of what layers of the package gain
    [
        (make_layers(), make_layers(), 0.6),
        (make_layers(nn.Tanh), make_layers(nn.Tanh), 0.6),
        (make_layers(nn.BatchNorm1d), make_layers(nn.BatchNorm1d), 0.6),
        (make_layers(nn.Dropout), make_layers(nn.Dropout), 0.2),
        (Skipping, Skipping, 0.6),
        (make_layers(), transposed, 0.6),
    ],
    ids=["linear", "tanh", "batch normalisation", "dropout", "residual", "transposed"],
)
def test_custom_networks_start_at_pca_and_learn(digits, encoder, decoder, share):
    X, X_new = digits
    params = {"encoder": encoder, "decoder": decoder, "random_state": 0}
    pca = PCA(4).fit(X)
    start = AutoencoderTransformer(4, max_epochs=0, **params).fit(X)
    codes = pca.transform(X_new)
    assert_allclose(np.abs(start.transform(X_new)), np.abs(codes), atol=1e-3)
    found = AutoencoderTransformer(4, **params).fit(X).score(X_new)
    built_in = AutoencoderTransformer(4, hidden_layer_sizes=64, random_state=0).fit(X).score(X_new)
    assert found - start.score(X_new) > share * (built_in - start.score(X_new)) > 0.02


def frozen(n_in, n_out):
    return nn.Linear(n_in, n_out).requires_grad_(False)


def test_networks_with_nothing_to_train(digits):
    params = {"encoder": frozen, "decoder": frozen, "random_state": 0}
    with pytest.raises(ValueError, match="encoder and decoder can be trained"):
        AutoencoderTransformer(3, init="random", **params).fit(digits[0])
    AutoencoderTransformer(3, init="random", max_epochs=0, **params).fit(digits[0])
    AutoencoderTransformer(3, max_epochs=1, **params).fit(digits[0])  # has the linear path


def in_place(n_in, n_out):
    return nn.Sequential(nn.ReLU(inplace=True), nn.Linear(n_in, n_out))


def not_in_place(n_in, n_out):
    return nn.Sequential(nn.ReLU(), nn.Linear(n_in, n_out))


@pytest.mark.parametrize("estimator", [AutoencoderTransformer, DenoisingAutoencoder])
@pytest.mark.parametrize("init", ["linear", "random"])
def test_networks_that_work_in_place_leave_the_rows_alone(digits, estimator, init):
    params = {"init": init, "max_epochs": 3, "random_state": 0}
    X = digits[1].astype(np.float32)[:64]
    results = []
    for factory in (in_place, not_in_place):
        autoencoder = estimator(3, encoder=factory, decoder=factory, **params).fit(digits[0])
        codes = autoencoder.transform(X)
        kept = codes.copy()
        results.append(autoencoder.inverse_transform(codes))
        assert_array_equal(codes, kept)
    assert_array_equal(*results)


@pytest.mark.parametrize("n_samples", [2, 65, 129])
def test_batch_normalisation_never_gets_a_single_row(digits, n_samples):
    autoencoder = AutoencoderTransformer(
        2, early_stopping=False, max_epochs=2, random_state=0, **CUSTOM
    ).fit(digits[0][:n_samples])
    assert autoencoder.n_iter_ == 2


def test_weights_are_float32_whatever_the_default(digits):
    results = []
    for dtype in (torch.float32, torch.float64):
        torch.set_default_dtype(dtype)
        try:
            for params in ({}, CUSTOM, CONVOLUTIONAL):
                autoencoder = AutoencoderTransformer(3, max_epochs=1, random_state=0, **params)
                results.append(autoencoder.fit(digits[0]).transform(digits[1]))
        finally:
            torch.set_default_dtype(torch.float32)
    assert_array_equal(results[0], results[3])
    assert {codes.dtype for codes in results} == {np.dtype(np.float32)}


def test_custom_networks_in_threads_are_those_alone(digits):
    torch.manual_seed(0)
    before = torch.get_rng_state()
    autoencoder = AutoencoderTransformer(3, max_epochs=3, random_state=0, **CUSTOM)
    alone = clone(autoencoder).fit(digits[0]).transform(digits[1])
    fits = [joblib.delayed(clone(autoencoder).fit)(digits[0]) for _ in range(4)]
    for fitted in joblib.Parallel(2, backend="threading")(fits):
        assert_array_equal(fitted.transform(digits[1]), alone)
    assert torch.equal(torch.get_rng_state(), before)


class Noisy(nn.Linear):
    """A network that draws in inference, too."""

    def forward(self, x):
        return super().forward(x + torch.randn_like(x))


def test_fit_with_a_network_that_always_draws_leaves_the_generator_alone(digits):
    before = torch.get_rng_state()
    AutoencoderTransformer(3, max_epochs=1, encoder=Noisy).fit(digits[0])
    assert torch.equal(torch.get_rng_state(), before)


@pytest.mark.parametrize("method", ["fit", "partial_fit"])
def test_an_interrupted_fit_leaves_custom_networks_ready_to_infer(digits, method):
    class Interrupts(Callback):
        def on_batch_end(self, net, **kwargs):
            raise KeyboardInterrupt

    autoencoder = AutoencoderTransformer(
        3, max_epochs=1, warm_start=True, init="random", random_state=0, **CUSTOM
    ).fit(digits[0])
    codes = autoencoder.transform(digits[1])
    autoencoder.net_.callbacks_.append(("interrupts", Interrupts()))
    autoencoder.set_params(net_params={"callbacks": [Interrupts()]})
    with pytest.raises(KeyboardInterrupt):
        getattr(autoencoder, method)(digits[0])
    assert_array_equal(autoencoder.transform(digits[1]), codes)


@pytest.mark.parametrize("method", ["fit", "partial_fit"])
def test_another_network_is_not_trained_further(digits, method):
    autoencoder = AutoencoderTransformer(3, max_epochs=1, warm_start=True, random_state=0)
    autoencoder.fit(digits[0])
    for params in (CONVOLUTIONAL, {"encoder": nn.Linear}, {"decoder": nn.Linear}):
        changed = clone(autoencoder).fit(digits[0]).set_params(**params)
        with pytest.raises(ValueError, match="trained further with another"):
            getattr(changed, method)(digits[0])
