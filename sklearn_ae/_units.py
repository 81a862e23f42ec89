"""The units of X and those of the networks. Nothing else knows mean and scale."""

import copy

import numpy as np
import torch
from torch import nn

from ._sparse import SparseBatch

# In units of the scale: a mean so large costs float32 products two of their seven digits.
MAX_OFFSET = 100

LARGEST = float(np.finfo(np.float32).max)


class Units(nn.Module):
    """The map from rows x to network inputs u = (x - mean) / scale, and back.

    `scale` is one number for all features: the squared error of u then ranks reconstructions as
    that of x does. The tensors are non-persistent buffers: they move to a device with the
    networks, but are not in `state_dict`. `get_state` returns them.

    Parameters
    ----------
    feature_mean, low, high : tensors of shape (n_features,)
        Mean, lowest and highest value of each feature, in the dtype that X is computed with.
    spread : float
        Square root of the mean variance of the features, or 1 where nothing varies.
    standardizes : bool
        False for networks that take X itself: u is x then.
    has_logits : bool
        Whether outputs are logits of X in [0, 1], in place of û.

    Attributes
    ----------
    mean : tensor of shape (n_features,)
    scale : float
    """

    def __init__(self, feature_mean, low, high, spread, standardizes=True, has_logits=False):
        super().__init__()
        self.spread, self.standardizes, self.has_logits = spread, standardizes, has_logits
        mean = feature_mean if standardizes else torch.zeros_like(feature_mean)
        self.scale = spread if standardizes else 1.0
        tensors = {"feature_mean": feature_mean, "mean": mean, "low": low, "high": high}
        # in float32, as the targets to which `restore_targets` adds it in each step
        tensors["offset"] = (mean / self.scale).float()
        for name, tensor in tensors.items():
            self.register_buffer(name, tensor, persistent=False)

    @classmethod
    def from_moments(cls, moments, dtype, standardizes=True, has_logits=False):
        """Return the units that suit rows of some `Moments`, read in a dtype of torch."""
        mean, spread = moments.mean.to(dtype), float(moments.variance.mean().sqrt()) or 1.0
        return cls(mean, moments.low, moments.high, spread, standardizes, has_logits)

    def get_state(self):
        """Return keyword arguments of the constructor that make equal units."""
        names = ("feature_mean", "low", "high", "spread", "standardizes", "has_logits")
        return {name: getattr(self, name) for name in names}

    def is_near_zero(self):
        """Tell whether means are small enough for accurate float32 products of uncentred rows."""
        return float(self.feature_mean.abs().max()) <= MAX_OFFSET * self.spread

    def check_range(self, n_entries, has_linear_path):
        """Raise a ValueError if float32 cannot hold the codes of so many entries of X."""
        # the norm of all of X, centred: no code is larger
        if not self.spread * n_entries**0.5 < LARGEST:
            problem = "are too large"
        elif has_linear_path and not 1 / self.spread < LARGEST:
            problem = "vary by too little"
        else:
            return
        raise ValueError(
            f"The values of X {problem} for codes in float32. Scale X, e.g. with StandardScaler."
        )

    def widen_range(self, moments):
        """Take the lowest and highest values of further rows into account."""
        self.low = torch.minimum(self.low, moments.low.to(self.low))
        self.high = torch.maximum(self.high, moments.high.to(self.high))

    def move_origin(self, offset):
        """Return units of the same scale whose mean is where these have u = offset."""
        # deep, because a shallow copy of a module shares the dictionary of its buffers
        moved = copy.deepcopy(self)
        moved.mean = self.mean + self.scale * offset.to(self.mean)
        moved.offset = (moved.mean / self.scale).float()
        return moved

    # ------------------------------------------------------------------ from X to u

    def standardize(self, rows):
        """Return rows (n, n_features) as u, in their dtype."""
        return rows.sub(self.mean.to(rows.device)).div_(self.scale)

    def make_inputs(self, rows):
        """Return rows (n, n_features) as a network takes them: u in float32.

        Centring and scaling come before the cast, so that large offsets cost no digits.
        """
        u = self.standardize(rows).float()
        is_raw = isinstance(rows, SparseBatch) and rows.units is None
        return SparseBatch.wrap(u, rows.X, self) if is_raw else u

    def standardize_batch(self, batch):
        """Return a float32 batch of X as u, computed in float32."""
        return (batch - self.mean.to(batch)) / self.scale

    def standardize_values(self, values):
        """Return a value, or one for each feature, as u: a float64 NumPy array."""
        # where the mean itself overflows, `check_range` says so later
        with np.errstate(invalid="ignore"):
            return (np.asarray(values, dtype=np.float64) - self.mean.cpu().numpy()) / self.scale

    def standardize_length(self, length):
        """Return a distance in units of X, such as a standard deviation, in units of u."""
        return length / self.scale

    def standardize_range(self):
        """Return the lowest and highest value of each feature as u, (2, n_features), float32."""
        return ((torch.stack([self.low, self.high]) - self.mean) / self.scale).float()

    # ------------------------------------------------------------------ from u to X

    def restore(self, outputs, clip=False):
        """Return the outputs of a decoder as rows of X, in the dtype of X.

        With `clip` no value leaves the range that its feature had in training.
        """
        if self.has_logits:
            rows = outputs.sigmoid().to(self.mean.dtype)
        else:
            # cast first: in float32 a large mean would cost digits
            rows = outputs.to(self.mean.dtype).mul_(self.scale).add_(self.mean.to(outputs.device))
        return rows.clamp(self.low.to(rows.device), self.high.to(rows.device)) if clip else rows

    def restore_batch(self, u):
        """Return a batch of u as float32 rows of X."""
        return (u * self.scale + self.mean.to(u)).float()

    def restore_targets(self, u):
        """Return targets u as X, for losses of logits; offsets are added before scaling."""
        return (u + self.offset).mul_(self.scale)

    def restore_array(self, u):
        """Return a NumPy array of u as rows of X, in its dtype."""
        return u * self.scale + self.mean.cpu().numpy()

    def make_logits(self, decoder, slope):
        """Return weight and bias of the map from codes to the logits slope · (x̂ - ½).

        Parameters
        ----------
        decoder : ndarray of shape (n_features, n_components)
            Maps codes to û.
        slope : float
        """
        return slope * self.scale * decoder, slope * (self.mean.cpu().numpy() - 0.5)

    # --------------------------------------- products of u, where only those of X are cheap

    def multiply(self, multiply_X, weight):
        """Return u @ weight, given a function that returns X @ weight."""
        # (X - mean) @ weight without a dense X - mean: (n_rows, n_out) less a row (n_out,)
        return multiply_X(weight).sub_(self.mean.to(weight) @ weight).div_(self.scale)

    def multiply_transposed(self, multiply_X, gradient):
        """Return u.T @ gradient, given a function that returns X.T @ gradient."""
        gradient = gradient / self.scale
        # less the outer product of the mean (n_features,) and the sum over the rows (n_out,)
        return multiply_X(gradient).addr_(self.mean.to(gradient), gradient.sum(dim=0), alpha=-1)
