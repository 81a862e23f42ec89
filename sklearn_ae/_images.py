"""Shapes of the images that rows hold."""

import math
from collections.abc import Mapping, Set
from numbers import Integral

import numpy as np


def check_image_shape(image_shape, n_features=None, *, may_omit_channels=False):
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

    Returns
    -------
    image_shape : (int, int, int)
    """
    has_order = np.iterable(image_shape) and not isinstance(image_shape, Mapping | Set | bytes)
    shape = list(image_shape) if has_order else []
    if may_omit_channels and len(shape) == 2:
        shape = [1, *shape]
    # True is an Integral, but the side of no image.
    are_ints = all(isinstance(side, Integral) and not isinstance(side, bool) for side in shape)
    has_unknown = are_ints and n_features is not None and shape.count(-1) == 1
    known = [side for side in shape if side != -1] if has_unknown else shape
    if len(shape) != 3 or not are_ints or min(known) < 1:
        either = "(height, width) or " if may_omit_channels else ""
        product = "" if n_features is None else f", with one -1 at most and product {n_features}"
        raise ValueError(
            f"image_shape must be three ints of at least 1, {either}(channels, height, width)"
            f"{product}, e.g. (3, 32, 32); got {image_shape!r}."
        )
    if has_unknown:
        # Where the known sides do not divide the features, the product differs in the next line.
        shape[shape.index(-1)] = max(n_features // math.prod(known), 1)
    if n_features is not None and math.prod(shape) != n_features:
        raise ValueError(
            f"image_shape={image_shape!r} does not multiply to the number of features, "
            f"n_features={n_features}."
        )
    first, height, last = shape
    # A height of one is that of a signal, (channels, 1, length), whose length may be small.
    if last in (1, 3, 4) and first not in (1, 3, 4) and height != 1:
        raise ValueError(
            f"image_shape={image_shape!r} looks like (height, width, channels). Channels come "
            f"first here: ({last}, {first}, {height}). Transpose the images before they become "
            "rows: images.transpose(0, 3, 1, 2).reshape(len(images), -1)."
        )
    return tuple(int(side) for side in shape)
