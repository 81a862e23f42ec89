"""Shapes of the images that rows hold."""

import math
from collections.abc import Mapping, Set
from numbers import Integral

import numpy as np


def check_image_shape(image_shape, n_features=None, *, may_omit_channels=False, n_channels=None):
    """Return an image shape as three ints, or raise a ValueError that says what would be right.

    Parameters
    ----------
    image_shape : sequence of int
        (channels, height, width). Where `n_features` is known, one side may be -1 and is then
        inferred, as in `numpy.reshape`.
    n_features : int, default=None
        What the sides must multiply to; None for anything.
    may_omit_channels : bool, default=False
        Whether (height, width) is accepted, and means one channel.
    n_channels : tuple of int, default=None
        The numbers of channels that are allowed; None for any.

    Returns
    -------
    image_shape : (int, int, int)
    """
    has_order = np.iterable(image_shape) and not isinstance(image_shape, Mapping | Set | bytes)
    shape = list(image_shape) if has_order else []
    if any(isinstance(side, bool) for side in shape):  # True is an int, but no side
        shape = []
    if may_omit_channels and len(shape) == 2:
        shape = [1, *shape]
    unknown = [i for i, side in enumerate(shape) if isinstance(side, Integral) and side == -1]
    if n_features is not None and len(unknown) == 1:
        shape[unknown[0]] = 1
    if len(shape) != 3 or not all(isinstance(side, Integral) and side >= 1 for side in shape):
        either = "(height, width) or " if may_omit_channels else ""
        product = "" if n_features is None else f", with one -1 at most and product {n_features}"
        raise ValueError(
            f"image_shape must be three ints of at least 1, {either}(channels, height, width)"
            f"{product}, e.g. (3, 32, 32); got {image_shape!r}."
        )
    if n_features is not None:
        for side in unknown:
            shape[side] = max(n_features // math.prod(shape), 1)
        if math.prod(shape) != n_features:
            raise ValueError(
                f"image_shape={image_shape!r} does not multiply to the number of features, "
                f"n_features={n_features}."
            )
    first, height, last = shape
    # a height of one is that of a signal: (channels, 1, length)
    if last in (1, 3, 4) and first not in (1, 3, 4) and height != 1:
        raise ValueError(
            f"image_shape={image_shape!r} looks like (height, width, channels). Channels come "
            f"first here: ({last}, {first}, {height}). Transpose the images before they become "
            "rows: images.transpose(0, 3, 1, 2).reshape(len(images), -1)."
        )
    if n_channels is not None and shape[0] not in n_channels:
        raise ValueError(
            f"image_shape={image_shape!r} has {shape[0]} channels; pictures can be drawn of "
            f"{' or '.join(map(str, n_channels))}. Channels come first: (channels, height, width)."
        )
    return tuple(int(side) for side in shape)
