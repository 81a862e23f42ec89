"""Mean, variance and range of rows, and the error of their reconstruction, read once."""

import math
from dataclasses import dataclass

import torch


@dataclass(frozen=True)
class Moments:
    """Statistics of a set of rows, by feature. The sum of two is that of all their rows.

    Attributes
    ----------
    n_rows : int or tensor of shape (n_features,)
        By features where entries are missing: only those that are there count.
    mean, variance : tensors of shape (n_features,), float64
    low, high : tensors of shape (n_features,)
        Lowest and highest value, in the dtype of the rows.
    error : tensor of shape (n_features,), float64
        Sum over the rows of the squared error of their reconstruction; zero where there is none.
    """

    n_rows: int | torch.Tensor
    mean: torch.Tensor
    variance: torch.Tensor
    low: torch.Tensor
    high: torch.Tensor
    error: torch.Tensor

    @property
    def inputs(self):
        """The moments of what the networks see: these, or those of damaged rows."""
        return self

    def __add__(self, other):
        """Return the moments of the rows of both [1]_.

        References
        ----------
        .. [1] Chan, Golub and LeVeque, "Algorithms for computing the sample variance: analysis
           and recommendations", The American Statistician 37, 1983.
        """
        n_rows = self.n_rows + other.n_rows
        share = other.n_rows / n_rows
        step = other.mean - self.mean
        within = (1 - share) * self.variance + share * other.variance
        return Moments(
            n_rows,
            self.mean + share * step,
            within + share * (1 - share) * step.square(),
            torch.minimum(self.low, other.low),
            torch.maximum(self.high, other.high),
            self.error + other.error,
        )

    def compute_r2(self):
        """Return R² of the reconstruction, weighted by variance, as scikit-learn's `r2_score`.

        It is nan for fewer than two rows. Constant features do not count, unless all are.
        """
        if isinstance(self.n_rows, int) and self.n_rows < 2:
            return float("nan")
        # the variance of numbers that differ by very little is zero in float64
        varies = (self.high > self.low) & (self.variance > 0)
        if not varies.any():
            return float((self.error == 0).double().mean())
        spread = (self.n_rows * self.variance)[varies].sum()
        return float(1 - self.error[varies].sum() / spread)


@dataclass(frozen=True)
class PairMoments(Moments):
    """Statistics of clean rows, with those of the damaged ones.

    Attributes
    ----------
    damaged : Moments
    """

    damaged: Moments

    @property
    def inputs(self):
        return self.damaged


class RunningMoments:
    """Sums from which the `Moments` of a table are computed, block by block.

    The mean of the first block is subtracted before anything is squared: of numbers that are
    large compared with their variance nothing would be left otherwise.
    """

    def __init__(self):
        self.n_rows = 0

    def add(self, rows, restored=None):
        """Add rows of shape (n, n_features) and, if there is one, their reconstruction."""
        if not self.n_rows:
            self.shift = rows.mean(dim=0, dtype=torch.float64)
            self.total, self.squares, self.error = self.shift.new_zeros(3, *self.shift.shape)
            self.low, self.high = rows.aminmax(dim=0)
        low, high = rows.aminmax(dim=0)
        self.low, self.high = torch.minimum(self.low, low), torch.maximum(self.high, high)
        centred = rows - self.shift
        self.total += centred.sum(dim=0)
        self.squares += centred.square_().sum(dim=0)
        if restored is not None:
            # in float64, because the square of a large number can be too large for float32
            self.error += (rows - restored.double()).square_().sum(dim=0)
        self.n_rows += len(rows)

    def is_finite(self):
        """Tell whether the sum of all rows so far is finite."""
        return bool(self.total.isfinite().all())

    def compute(self):
        """Return the `Moments` of all rows so far, on the CPU."""
        offset = self.total / self.n_rows
        variance = (self.squares / self.n_rows - offset**2).clamp_(min=0)
        found = self.shift + offset, variance, self.low, self.high, self.error
        return Moments(self.n_rows, *(values.cpu() for values in found))


class ObservedMoments(RunningMoments):
    """Sums of the entries that are not NaN."""

    def add(self, rows, restored=None):
        """Add rows of shape (n, n_features) and, if there is one, their reconstruction."""
        rows = rows.double()
        is_missing = rows.isnan()
        if not isinstance(self.n_rows, torch.Tensor):
            self.shift = rows.nanmean(dim=0).nan_to_num(nan=0.0)
            self.n_rows, self.total, self.squares, self.error = self.shift.new_zeros(
                4, *self.shift.shape
            )
            self.low = torch.full_like(self.shift, math.inf)
            self.high = -self.low
        self.low = torch.minimum(self.low, rows.masked_fill(is_missing, math.inf).amin(dim=0))
        self.high = torch.maximum(self.high, rows.masked_fill(is_missing, -math.inf).amax(dim=0))
        centred = (rows - self.shift).masked_fill(is_missing, 0.0)
        self.total += centred.sum(dim=0)
        self.squares += centred.square_().sum(dim=0)
        if restored is not None:
            errors = rows - restored.double()
            self.error += errors.masked_fill(is_missing, 0.0).square_().sum(dim=0)
        self.n_rows += (~is_missing).sum(dim=0)

    def compute(self):
        """Return the `Moments` of all entries so far, on the CPU."""
        counts = self.n_rows.clamp(min=1)
        offset = self.total / counts
        variance = (self.squares / counts - offset**2).clamp_(min=0)
        found = self.n_rows, self.shift + offset, variance, self.low, self.high, self.error
        return Moments(*(values.cpu() for values in found))
