"""Corruptions: what a denoising autoencoder learns to undo.

A corruption is any callable ``(batch, generator) -> batch`` on float32 tensors of shape
(n_rows, n_features) in units of X. It returns a new tensor of the same shape, dtype and
device, and draws random numbers from `generator` only, a `torch.Generator` on the device of
the batch. The corruptions of this module are small objects that can be pickled and printed.
"""

from dataclasses import dataclass
from functools import partial
from numbers import Integral, Real
from typing import NamedTuple

import numpy as np
import torch
import torch.nn.functional as F
from sklearn import config_context
from sklearn.utils import check_array, check_random_state

from ._images import check_image_shape
from ._isolation import draw_generator, isolate_torch
from ._units import Units

__all__ = ["Downscale", "GaussianNoise", "Grayscale", "Masking", "SaltAndPepper", "corrupt"]

# Share of red, green and blue in the brightness of a pixel, ITU-R BT.601.
LUMA = (0.299, 0.587, 0.114)


@dataclass(frozen=True)
class GaussianNoise:
    """Add normal noise to every entry.

    Parameters
    ----------
    std : float
        Standard deviation of the noise, in units of the batch.
    """

    std: float

    def __post_init__(self):
        _check_level("gaussian", self.std, "std")

    def __call__(self, batch, generator):
        """Return the batch with fresh noise."""
        return torch.empty_like(batch).normal_(std=self.std, generator=generator).add_(batch)


@dataclass(frozen=True)
class Masking:
    """Replace a random share of the entries, as the first denoising autoencoders did [1]_.

    Parameters
    ----------
    share : float
        Probability in [0, 1] with which each entry is replaced.
    fill : float or array-like of shape (n_features,), default=0.0
        The value in place of a replaced entry. `DenoisingAutoencoder` takes the feature's mean.

    References
    ----------
    .. [1] Vincent et al., "Stacked denoising autoencoders", JMLR 11, 2010.
    """

    share: float
    fill: float | np.ndarray = 0.0

    def __post_init__(self):
        _check_level("masking", self.share, "share")

    def __call__(self, batch, generator):
        """Return the batch with freshly chosen entries replaced."""
        chosen = _draw_uniform(batch, generator) < self.share
        return torch.where(chosen, _match_batch(batch, self.fill), batch)


@dataclass(frozen=True)
class SaltAndPepper:
    """Set a random share of the entries to the lowest or the highest value, evenly.

    Parameters
    ----------
    share : float
        Probability in [0, 1] with which each entry is replaced.
    low, high : float or array-like of shape (n_features,), default=0.0, 1.0
        The values in place of replaced entries. `DenoisingAutoencoder` takes the lowest and the
        highest value of X.
    """

    share: float
    low: float | np.ndarray = 0.0
    high: float | np.ndarray = 1.0

    def __post_init__(self):
        _check_level("salt_and_pepper", self.share, "share")

    def __call__(self, batch, generator):
        """Return the batch with freshly chosen entries replaced."""
        # One draw decides both, so that no entry becomes low and high at once.
        draw = _draw_uniform(batch, generator)
        salted = torch.where(draw >= 1 - self.share / 2, _match_batch(batch, self.high), batch)
        return torch.where(draw < self.share / 2, _match_batch(batch, self.low), salted)


@dataclass(frozen=True)
class Grayscale:
    """Turn colour images grey: every channel becomes the brightness (ITU-R BT.601).

    Parameters
    ----------
    image_shape : tuple of int
        (channels, height, width) of a row in C order, with 3 channels: red, green, blue.

    Raises
    ------
    ValueError
        If there are not three channels; when called, if a row does not have
        channels x height x width features.
    """

    image_shape: tuple

    def __post_init__(self):
        # A frozen dataclass has no other way to set an attribute; a list becomes a tuple, which has
        # a hash.
        object.__setattr__(self, "image_shape", check_image_shape(self.image_shape))
        if self.image_shape[0] != len(LUMA):
            raise ValueError(
                f"Grayscale needs images of 3 channels, red, green and blue; got image_shape="
                f"{self.image_shape!r}. It is (channels, height, width), e.g. (3, 32, 32)."
            )

    @isolate_torch()
    def __call__(self, batch, generator=None):
        """Return the images in grey."""
        # (n_rows, 3, height, width)
        images = _view_as_images(batch, self)
        # (n_rows, height, width)
        brightness = torch.tensordot(images, batch.new_tensor(LUMA), dims=([1], [0]))
        return brightness.unsqueeze(1).expand_as(images).reshape(batch.shape)


@dataclass(frozen=True)
class Downscale:
    """Lower the resolution of images: every block of pixels becomes its mean.

    The image keeps its size, so that the lost detail can be restored pixel by pixel.

    Parameters
    ----------
    image_shape : tuple of int
        (channels, height, width) of a row in C order.
    factor : int
        Height and width of a block. Divides the height and the width.

    Raises
    ------
    ValueError
        If the factor does not divide height and width; when called, if a row does not have
        channels x height x width features.
    """

    image_shape: tuple
    factor: int

    def __post_init__(self):
        object.__setattr__(self, "image_shape", check_image_shape(self.image_shape))
        _, height, width = self.image_shape
        if not (isinstance(self.factor, Integral) and self.factor >= 1):
            raise ValueError(f"factor must be an int of at least 1; got {self.factor!r}.")
        if height % self.factor or width % self.factor:
            dividing = [n for n in range(1, height + 1) if height % n == width % n == 0]
            raise ValueError(
                f"factor={self.factor} does not divide the height {height} and the width {width} "
                f"of image_shape={self.image_shape!r}; {dividing} do."
            )

    @isolate_torch()
    def __call__(self, batch, generator=None):
        """Return the images in blocks."""
        # (n_rows, channels, height / factor, width / factor)
        blocks = F.avg_pool2d(_view_as_images(batch, self), int(self.factor))
        # `F.interpolate` is no way back: 1 / factor is rounded, and some pixels get the mean of the
        # block beside theirs.
        images = blocks.repeat_interleave(self.factor, dim=2).repeat_interleave(self.factor, dim=3)
        return images.reshape(batch.shape)


class _Level(NamedTuple):
    """What `corruption_level` means for a named corruption; `level_meaning` is for messages."""

    highest_level: float
    level_meaning: str


_CORRUPTIONS = {
    "gaussian": _Level(np.inf, "standard deviation, at least 0"),
    "masking": _Level(1, "share, 0 to 1"),
    "salt_and_pepper": _Level(1, "share, 0 to 1"),
}


def _make_corruption(corruption, level, corruption_range, units):
    """Return a corruption of standardised rows that does to u what the described one does to x.

    Parameters
    ----------
    corruption : a name in `_CORRUPTIONS` or callable
    level : float
        Ignored with a callable.
    corruption_range : (float, float) or None
        In units of x.
    units : Units

    Returns
    -------
    corruption : callable (batch, generator) -> batch
    """
    # The named corruptions are affine in x, and so act on u directly: x itself, which may have a
    # large offset, is never cast to float32.
    standardize = units.standardize_values
    if callable(corruption):
        made = partial(_corrupt_restored, corruption, units)
    elif corruption == "gaussian":
        made = GaussianNoise(units.standardize_length(level))
    elif corruption == "masking":
        made = Masking(level, standardize(units.feature_mean.cpu().numpy()))
    else:
        low, high = float(units.low.min()), float(units.high.max())
        made = SaltAndPepper(level, standardize(low), standardize(high))
    if corruption_range is not None:
        low, high = corruption_range
        made = partial(_corrupt_and_clip, made, standardize(low), standardize(high))
    return made


@torch.no_grad()
def _corrupt_restored(corruption, units, batch, generator):
    """Return a standardised batch to which a user's corruption is done in units of X."""
    corrupted = _call_corruption(corruption, units.restore_batch(batch), generator)
    return units.standardize_batch(corrupted.to(batch.dtype))


def _corrupt_and_clip(corruption, low, high, batch, generator):
    """Return the corrupted batch, clipped to a range: two numbers, or two for each feature."""
    low, high = _match_batch(batch, low), _match_batch(batch, high)
    return torch.clamp(corruption(batch, generator), low, high)


@isolate_torch()
def corrupt(
    X, corruption="gaussian", corruption_level=0.5, corruption_range=None, random_state=None
):
    """Corrupt an array as `DenoisingAutoencoder` corrupts its batches.

    Parameters
    ----------
    X : array-like of shape (n_samples, n_features)
        Finite numbers. "masking" fills in the means of these rows, "salt_and_pepper" their lowest
        and highest value.
    corruption : {"gaussian", "masking", "salt_and_pepper"} or callable, default="gaussian"
        As in `DenoisingAutoencoder`, as are the next two.
    corruption_level : float, default=0.5
        Standard deviation in units of X, or share of the entries; ignored with a callable.
    corruption_range : (float, float) or None, default=None
        Lowest and highest value of the result.
    random_state : int, RandomState instance or None, default=None
        Seeds the random numbers.

    Returns
    -------
    X_corrupted : ndarray of shape (n_samples, n_features)
        A new array, float32 if X is, else float64. Entries that are NaN stay so.

    Raises
    ------
    ValueError
        If a parameter is outside its range, if a callable does not return a finite tensor
        of the shape, dtype and device of its batch, or if the result is too large for its dtype.

    Examples
    --------
    >>> from sklearn.datasets import load_digits
    >>> from sklearn_ae.corruption import corrupt
    >>> X = load_digits().data / 16
    >>> noisy = corrupt(X, "gaussian", 0.3, corruption_range=(0, 1), random_state=0)
    >>> noisy.shape == X.shape, float(noisy.min()), float(noisy.max())
    (True, 0.0, 1.0)
    """
    _check_corruption(corruption, corruption_level, corruption_range)
    with config_context(assume_finite=False):
        X = check_array(X, dtype=[np.float64, np.float32], ensure_all_finite="allow-nan")
    is_missing = np.isnan(X)
    generator = draw_generator(check_random_state(random_state))
    # A user's corruption may change its batch, but not X.
    # The sum of large numbers can overflow; the result of "masking" is then refused below.
    with np.errstate(over="ignore"):
        total = X.sum(axis=0, dtype=np.float64, where=~is_missing)
        mean = total / np.maximum((~is_missing).sum(axis=0), 1)
    filled = np.where(is_missing, mean.astype(X.dtype), X)
    # in C order, as draws are in that of the memory
    rows = torch.from_numpy(np.ascontiguousarray(filled))
    mean = torch.from_numpy(mean)
    low, high = rows.aminmax(dim=0)
    units = Units(mean, low, high, spread=1.0, standardizes=False)
    act = _make_corruption(corruption, corruption_level, corruption_range, units)
    corrupted = act(rows, generator).numpy()
    if not np.isfinite(corrupted).all():
        raise ValueError(
            f"The corrupted X has numbers that are too large for {X.dtype}. Scale X, or use "
            "another corruption_level or corruption_range."
        )
    corrupted[is_missing] = np.nan
    return corrupted


def _check_corruption(corruption, level, corruption_range):
    """Raise a ValueError that says what would be right, if a parameter is wrong."""
    names = tuple(_CORRUPTIONS)
    if not callable(corruption):
        if not (isinstance(corruption, str) and corruption in names):
            raise ValueError(
                f"corruption must be one of {names} or a callable (batch, generator) -> batch; "
                f"got {corruption!r}."
            )
        _check_level(corruption, level, "corruption_level")
    if corruption_range is None:
        return
    bounds = np.asarray(corruption_range, dtype=object)
    is_pair = bounds.shape == (2,) and all(isinstance(bound, Real) for bound in bounds)
    low, high = bounds.astype(float) if is_pair else (np.inf, -np.inf)
    # A network computes in float32, and the range must hold one of its numbers. NaN fails, too.
    largest = np.finfo(np.float32).max
    if not (low < high and low <= largest and high >= -largest):
        raise ValueError(
            "corruption_range must be None or a pair (low, high) of numbers with low < high, with "
            f"float32 numbers between them, e.g. (0, 1); got {corruption_range!r}."
        )


def _check_level(corruption, level, name):
    """Raise a ValueError if a level is not in the range of a named corruption."""
    named = _CORRUPTIONS[corruption]
    if not (isinstance(level, Real) and 0 <= level <= named.highest_level and np.isfinite(level)):
        raise ValueError(
            f"{name} must be a {named.level_meaning}, for corruption={corruption!r}; got {level!r}."
        )


def _view_as_images(batch, corruption):
    """Return a view of the rows as images, (n_rows, channels, height, width)."""
    shape = corruption.image_shape
    if batch.shape[1] != np.prod(shape):
        raise ValueError(
            f"{corruption} is for rows of {' x '.join(map(str, shape))} = {np.prod(shape)} "
            f"features, but X has {batch.shape[1]}."
        )
    return batch.unflatten(1, shape)


def _call_corruption(corruption, batch, generator):
    """Return corruption(batch, generator), or raise a ValueError that names it if that is wrong."""
    name = getattr(corruption, "__qualname__", None) or repr(corruption)
    # Noted before the call, in which the corruption may change its batch.
    before = tuple(batch.shape), batch.dtype, batch.device
    corrupted = corruption(batch, generator)
    if not isinstance(corrupted, torch.Tensor):
        raise ValueError(
            f"The corruption {name} must return a torch tensor; got a {type(corrupted).__name__}."
        )
    after = tuple(corrupted.shape), corrupted.dtype, corrupted.device
    for what, expected, got in zip(("shape", "dtype", "device"), before, after, strict=True):
        if got != expected:
            raise ValueError(
                f"The corruption {name} must return a batch with the {what} of its input, "
                f"{expected}; got {got}."
            )
    # The sum costs less than a look at every entry, but it overflows where the entries are large.
    if not torch.isfinite(corrupted.sum()) and not torch.isfinite(corrupted).all():
        raise ValueError(f"The corruption {name} returned values that are not finite.")
    return corrupted


def _draw_uniform(batch, generator):
    """Return fresh numbers in [0, 1), shaped like the batch."""
    return torch.rand(batch.shape, dtype=torch.float32, generator=generator, device=batch.device)


def _match_batch(batch, value):
    """Return a number, or one per feature, as a tensor with dtype and device of the batch."""
    values = torch.as_tensor(value, dtype=batch.dtype, device=batch.device)
    if values.shape not in ((), (1,), batch.shape[1:]):
        raise ValueError(
            f"A corruption fills in one number or one for each of {batch.shape[1]} features; got "
            f"values of shape {tuple(values.shape)}."
        )
    return values
