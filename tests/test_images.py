"""The one check of `image_shape`."""

import numpy as np
import pytest

from sklearn_ae._images import check_image_shape


@pytest.mark.parametrize(
    ("image_shape", "n_features", "options", "expected"),
    [
        ((3, 4, 5), None, {}, (3, 4, 5)),
        ([3, 4, 5], 60, {}, (3, 4, 5)),
        (np.array([1, 8, 8]), 64, {}, (1, 8, 8)),
        ((1, 8, -1), 64, {}, (1, 8, 8)),
        ((-1, 8, 8), 192, {}, (3, 8, 8)),
        ((8, 8), 64, {"may_omit_channels": True}, (1, 8, 8)),
        ((8, -1), 64, {"may_omit_channels": True}, (1, 8, 8)),
        ((2, 1, 4), 8, {}, (2, 1, 4)),  # a signal of two channels
        ((5, 1, -1), 15, {}, (5, 1, 3)),
        ((3, 8, 4), 96, {}, (3, 8, 4)),
        ((8, 4, 5), 160, {}, (8, 4, 5)),
        ((3, 2, 2), 12, {"n_channels": (1, 3)}, (3, 2, 2)),
    ],
)
def test_shapes_that_are_right(image_shape, n_features, options, expected):
    found = check_image_shape(image_shape, n_features, **options)
    assert found == expected
    assert all(type(side) is int for side in found)


@pytest.mark.parametrize(
    ("image_shape", "n_features", "options", "message"),
    [
        (8, 64, {}, "must be three ints"),
        ((8, 8), 64, {}, "must be three ints"),
        (8.0, 64, {}, "must be three ints"),
        (np.int64(8), 64, {}, "must be three ints"),
        ("1x8x8", 64, {}, "must be three ints"),
        (b"888", None, {}, "must be three ints"),
        ({1: 0, 8: 0}, 8, {"may_omit_channels": True}, "must be three ints"),
        ({1, 8}, 8, {"may_omit_channels": True}, "must be three ints"),
        ((True, 8, 8), 64, {}, "must be three ints"),
        ((1, np.True_, 64), 64, {}, "must be three ints"),
        (np.array([1.0, 8.0, 8.0]), 64, {}, "must be three ints"),
        ((1, 8, 8, 1), 64, {}, "must be three ints"),
        ((1, 8.0, 8), 64, {}, "must be three ints"),
        ((1, 0, 8), 64, {}, "must be three ints"),
        ((1, -1, -1), 64, {}, "with one -1 at most and product 64"),
        ((1, -1, 8), None, {}, r"must be three ints of at least 1, \(channels"),
        ((1, 8, 9), 64, {}, "does not multiply to the number of features, n_features=64"),
        ((1, -1, 9), 64, {}, "does not multiply"),
        ((1, -1, 100), 64, {}, "does not multiply"),
        ((8, 9), 64, {"may_omit_channels": True}, "does not multiply"),
        (8, 64, {"may_omit_channels": True}, r"\(height, width\) or \(channels"),
        ((28, 28, 1), 784, {}, r"looks like \(height, width, channels\).*here: \(1, 28, 28\)"),
        ((32, 32, 3), None, {}, r"Channels come first here: \(3, 32, 32\)"),
        ((32, -1, 4), 32 * 24 * 4, {}, r"Channels come first here: \(4, 32, 24\)"),
        ((2, 4, 8), 64, {"n_channels": (1, 3)}, "has 2 channels.*1 or 3.*Channels come first"),
    ],
)
def test_shapes_that_are_wrong(image_shape, n_features, options, message):
    with pytest.raises(ValueError, match=message):
        check_image_shape(image_shape, n_features, **options)
