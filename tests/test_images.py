"""Shapes of images, wherever one is given: to corruptions, to networks and to pictures."""

import numpy as np
import pytest
from sklearn.decomposition import PCA
from torch import nn

from sklearn_ae import AutoencoderTransformer
from sklearn_ae.corruption import Downscale
from sklearn_ae.inspection import ReconstructionDisplay


def make_rows(n_features):
    return np.random.RandomState(0).uniform(size=(6, n_features))


def fit_network(image_shape, n_features):
    """Return a convolutional autoencoder and the rows that it was fitted to."""
    autoencoder = AutoencoderTransformer(
        1, conv_filters=(2,), image_shape=image_shape, hidden_layer_sizes=(), max_epochs=0
    )
    X = make_rows(n_features)
    return autoencoder.fit(X), X


def draw(image_shape, n_features):
    """Return the display of rows as pictures."""
    X = make_rows(n_features)
    return ReconstructionDisplay.from_estimators(PCA(1).fit(X), X, image_shape=image_shape)


@pytest.mark.parametrize(
    ("image_shape", "expected"),
    [
        ((3, 4, 5), (3, 4, 5)),
        ([3, 4, 5], (3, 4, 5)),
        (np.array([1, 8, 8]), (1, 8, 8)),
        ((2, 1, 4), (2, 1, 4)),  # a signal of two channels
        ((5, 1, 3), (5, 1, 3)),
        ((3, 8, 4), (3, 8, 4)),
        ((8, 4, 5), (8, 4, 5)),
    ],
    ids=str,
)
def test_corruptions_keep_shapes_as_three_ints(image_shape, expected):
    found = Downscale(image_shape, 1).image_shape
    assert found == expected
    assert all(type(side) is int for side in found)


@pytest.mark.parametrize(
    ("image_shape", "n_features", "expected"),
    [
        ([3, 4, 5], 60, (3, 4, 5)),
        (np.array([1, 8, 8]), 64, (1, 8, 8)),
        ((1, 8, -1), 64, (1, 8, 8)),
        ((-1, 8, 8), 192, (3, 8, 8)),
        ((2, 1, 4), 8, (2, 1, 4)),
        ((5, 1, -1), 15, (5, 1, 3)),
        ((3, 8, 4), 96, (3, 8, 4)),
        ((8, 4, 5), 160, (8, 4, 5)),
    ],
    ids=str,
)
def test_networks_see_images_of_the_shape(image_shape, n_features, expected):
    autoencoder, X = fit_network(image_shape, n_features)
    layers = autoencoder.encoder_.modules()
    convolution = next(layer for layer in layers if isinstance(layer, nn.Conv2d))
    seen = []
    convolution.register_forward_pre_hook(lambda _, inputs: seen.append(inputs[0].shape[1:]))
    autoencoder.transform(X)
    assert seen == [expected]


@pytest.mark.parametrize(
    ("image_shape", "n_features", "expected"),
    [
        ((8, 8), 64, (8, 8)),
        ((8, -1), 64, (8, 8)),
        ((1, 8, 8), 64, (8, 8)),
        ((3, 2, 2), 12, (2, 2, 3)),  # as Matplotlib has colours
    ],
    ids=str,
)
def test_pictures_may_omit_the_channel(image_shape, n_features, expected):
    display = draw(image_shape, n_features)
    assert {image.get_array().shape for image in display.ax_.images} == {expected}


@pytest.mark.parametrize(
    ("image_shape", "message"),
    [
        (8, "must be three ints"),
        ((8, 8), "must be three ints"),
        (8.0, "must be three ints"),
        (np.int64(8), "must be three ints"),
        ("1x8x8", "must be three ints"),
        (b"888", "must be three ints"),
        ({1: 0, 8: 0, 9: 0}, "must be three ints"),
        ({1, 8, 9}, "must be three ints"),
        ((True, 8, 8), "must be three ints"),
        ((1, np.True_, 64), "must be three ints"),
        (np.array([1.0, 8.0, 8.0]), "must be three ints"),
        ((1, 8, 8, 1), "must be three ints"),
        ((1, 8.0, 8), "must be three ints"),
        ((1, 0, 8), "must be three ints"),
        ((1, -1, 8), r"must be three ints of at least 1, \(channels"),
        ((32, 32, 3), r"Channels come first here: \(3, 32, 32\)"),
    ],
    ids=str,
)
def test_shapes_that_are_wrong_for_any_rows(image_shape, message):
    with pytest.raises(ValueError, match=message):
        Downscale(image_shape, 1)


@pytest.mark.parametrize(
    ("image_shape", "n_features", "message"),
    [
        ((1, -1, -1), 64, "with one -1 at most and product 64"),
        ((1, -2, -1), 64, "must be three ints"),
        ((1, 0, -1), 64, "must be three ints"),
        ((1, True, -1), 64, "must be three ints"),
        ((1, 8, 9), 64, "does not multiply to the number of features, n_features=64"),
        ((1, -1, 9), 64, "does not multiply"),
        ((1, -1, 100), 64, "does not multiply"),
        ((28, 28, 1), 784, r"looks like \(height, width, channels\).*here: \(1, 28, 28\)"),
        ((32, -1, 4), 32 * 24 * 4, r"Channels come first here: \(4, 32, 24\)"),
    ],
    ids=str,
)
def test_shapes_that_are_wrong_for_the_rows_of_a_network(image_shape, n_features, message):
    with pytest.raises(ValueError, match=message):
        fit_network(image_shape, n_features)


@pytest.mark.parametrize(
    ("image_shape", "n_features", "message"),
    [
        (8, 64, r"\(height, width\) or \(channels"),
        ({1: 0, 8: 0}, 8, "must be three ints"),
        ({1, 8}, 8, "must be three ints"),
        ((8, 9), 64, "does not multiply"),
        ((2, 4, 8), 64, "has 2 channels.*1 or 3.*Channels come first"),
    ],
    ids=str,
)
def test_shapes_that_are_wrong_for_pictures(image_shape, n_features, message):
    with pytest.raises(ValueError, match=message):
        draw(image_shape, n_features)
