"""Objectives: what is minimised in training, and by which rows are judged.

An objective takes the `Output` of a network and targets, tensors of shapes (..., n_copies * n,
n_outputs) and (..., n, n_outputs).
"""

import math

import numpy as np
import torch
import torch.nn.functional as F
from torch import nn

LEAST_SHARE = 1e-6  # of entries with a target: none may have one

# Of a likelihood, in mean variances of the features: where columns depend on each other exactly,
# the density has no upper bound. Rounding errors of float32, squared, are smaller.
LEAST_NOISE = 1e-12

# name: (elementwise loss, power of the scale of X that its value carries)
LOSSES = {
    "squared_error": (F.mse_loss, 2),
    "absolute_error": (F.l1_loss, 1),
    "huber": (F.huber_loss, 2),
    "binary_cross_entropy": (F.binary_cross_entropy_with_logits, 0),
}


class ReconstructionLoss(nn.Module):
    """How far reconstructions are from their targets u.

    With `clips` the output is compared after clipping to the range of X. The gradient passes
    straight through the clipping [1]_: an output beyond a bound on which its target lies has no
    error, and any other is drawn back. Logits need no clipping.

    Parameters
    ----------
    name : {"squared_error", "absolute_error", "huber", "binary_cross_entropy"}
        The loss of one entry. "huber" is quadratic up to an error of 1 and linear beyond. For
        "binary_cross_entropy" the output is a logit, and is compared with X.
    units : Units
    clips : bool, default=False

    References
    ----------
    .. [1] Bengio, Leonard and Courville, "Estimating or propagating gradients through stochastic
       neurons for conditional computation", arXiv:1308.3432, 2013.
    """

    n_measures = 1  # of each row

    def __init__(self, name, units, clips=False):
        super().__init__()
        self.name, self.units = name, units
        is_clipped = clips and name != "binary_cross_entropy"
        self.register_buffer("bounds", units.standardize_range() if is_clipped else None)
        # Where u is X itself, as it is without a linear path, targets need no pass over the batch.
        self.has_shifted_targets = name == "binary_cross_entropy" and bool(units.mean.any())

    def forward(self, output, target):
        """Return the mean over all entries, a scalar tensor."""
        return self.compare(output.restored, target)

    def compare(self, restored, target):
        """Return the mean over all entries of a tensor of reconstructions, a scalar tensor."""
        target = self.make_target(restored, repeat_rows(target, restored))
        return LOSSES[self.name][0](restored, target)

    def compute_row_losses(self, restored, target):
        """Return the mean over each row, (..., n)."""
        return self.average_rows(self.compute_entry_losses(restored, target), target)

    def compute_entry_losses(self, restored, target):
        """Return the loss of each entry, (..., n, n_outputs)."""
        return LOSSES[self.name][0](restored, self.make_target(restored, target), reduction="none")

    @torch.no_grad()
    def make_target(self, restored, target):
        """Return what to compare reconstructions with.

        For logits that is X. For outputs that are clipped it is the target plus what clipping
        takes off the output, so that their difference is that of the clipped output.
        """
        if self.has_shifted_targets:
            return self.units.restore_targets(target)
        if self.bounds is None:
            return target
        low, high = self.bounds
        # No gradient flows through the target, so that of the output is as if nothing clipped it.
        return (restored - restored.clamp(low, high)).add_(target)

    def show_targets(self, target):
        """Return targets u as X where outputs are logits of it, and as they are otherwise."""
        return self.units.restore_targets(target) if self.units.has_logits else target

    def measure_squares(self, output, target):
        """Return the mean squared error of each row that is restored from an output, (..., n)."""
        restored = output.restored
        if self.units.has_logits:
            restored = restored.sigmoid()
        elif self.bounds is not None:
            restored = restored.clamp(self.bounds[0], self.bounds[1])
        target = self.show_targets(target)
        return self.average_rows(F.mse_loss(restored, target, reduction="none"), target)

    def average_rows(self, errors, target):
        """Return the mean of the errors of entries over each row."""
        return errors.mean(dim=-1)

    def measure_rows(self, output, target):
        """Return all that `combine` needs of each row, (n_measures, ..., n)."""
        return self.compute_row_losses(output.restored, target).unsqueeze(0)

    def combine(self, measures):
        """Return the loss of each row from `measure_rows`, an array (n_measures, ..., n)."""
        return measures[0]

    def fit_noise(self, measures, add_up):
        """Return the log-variance of the noise that suits rows best, and `measures` with it.

        There is no noise but in a likelihood.

        Parameters
        ----------
        measures : ndarray of shape (n_measures, ..., n_rows)
        add_up : callable (name, sums) -> sums
            Adds the sums of other rows that the noise shall suit, too.
        """
        return None, measures

    def convert_loss(self, loss):
        """Return a loss of u in units of X."""
        return self.units.scale ** LOSSES[self.name][1] * loss


class ObservedLoss(ReconstructionLoss):
    """The loss of targets that may be NaN, where there is no error."""

    def compare(self, restored, target):
        """Return the mean over all entries that have a target, a scalar tensor."""
        target = repeat_rows(target, restored)
        # The share, and not a sum over a selection: selecting would wait for a GPU in each step.
        observed = (~target.isnan()).float().mean().clamp(min=LEAST_SHARE)
        return self.compute_entry_losses(restored, target).mean() / observed

    def compute_entry_losses(self, restored, target):
        """Return the loss of each entry, 0 where there is no target."""
        # Zero is any number: NaN would turn the gradient into NaN, although its loss is masked.
        losses = super().compute_entry_losses(restored, target.nan_to_num(nan=0.0))
        return losses.masked_fill(target.isnan(), 0.0)

    def average_rows(self, errors, target):
        """Return the mean of the errors of entries over each row, where there is a target."""
        is_missing = target.isnan()
        total = errors.masked_fill(is_missing, 0.0).sum(dim=-1)
        return total / (~is_missing).sum(dim=-1).clamp(min=1)


class TargetLoss(nn.Module):
    """The loss of rows, plus the squared error of targets that stand behind them.

    Their scale is their weight. Rows without targets, which are NaN, count for themselves alone.

    Parameters
    ----------
    error : ReconstructionLoss
    n_targets : int
    """

    n_measures = 1

    def __init__(self, error, n_targets):
        super().__init__()
        self.error, self.units, self.n_targets = error, error.units, n_targets

    def forward(self, output, target):
        """Return the mean over all rows, a scalar tensor."""
        return self.compare(output.restored, target)

    def compare(self, restored, target):
        """Return the mean over all rows of a tensor of reconstructions, a scalar tensor."""
        rows, labels = self.split(restored)
        known_rows, known = self.split(target)
        return self.error.compare(rows, known_rows) + self.measure_labels(labels, known).mean()

    def split(self, values):
        """Return the part of rows, and that of targets."""
        return values.tensor_split([-self.n_targets], dim=-1)

    def measure_labels(self, found, known):
        """Return the squared error of the targets of each row, by features, (..., n)."""
        known = repeat_rows(known, found)
        squares = (found - known.nan_to_num(nan=0.0)).square().masked_fill(known.isnan(), 0.0)
        return squares.sum(dim=-1) / len(self.units.feature_mean)

    def measure_rows(self, output, target):
        """Return the loss of each row, (1, ..., n)."""
        rows, labels = self.split(output.restored)
        known_rows, known = self.split(target)
        losses = self.error.compute_row_losses(rows, known_rows)
        return (losses + self.measure_labels(labels, known)).unsqueeze(0)

    def combine(self, measures):
        """Return the loss of each row from `measure_rows`."""
        return measures[0]

    def fit_noise(self, measures, add_up):
        """Return None, as there is no noise, and `measures`."""
        return None, measures

    def show_targets(self, target):
        """Return what rows are compared with in R², which has no targets."""
        return self.error.show_targets(self.split(target)[0])

    def measure_squares(self, output, target):
        """Return the mean squared error of each row without its targets, (..., n)."""
        rows = output._replace(restored=self.split(output.restored)[0])
        return self.error.measure_squares(rows, self.split(target)[0])

    def convert_loss(self, loss):
        """Return a loss of u in units of X."""
        return self.error.convert_loss(loss)


class NegativeBound(nn.Module):
    """Minus the bound of the log-likelihood of rows, by features [1]_.

    In training the noise has the variance that suits the batch best, its mean squared error [2]_:
    it need not be learnt. Elsewhere it is that of the decoder.

    Parameters
    ----------
    error : ReconstructionLoss
        Of "squared_error" for Gaussian noise, "binary_cross_entropy" for bits.
    beta : float
        Weight of the divergence of the code's distribution from its prior.

    References
    ----------
    .. [1] Kingma and Welling, "Auto-encoding variational Bayes", ICLR 2014.
    .. [2] Rybkin, Daniilidis and Levine, "Simple and effective VAE training with calibrated
       decoders", ICML 2021.
    """

    n_measures = 4

    def __init__(self, error, beta):
        super().__init__()
        self.error, self.units, self.beta = error, error.units, beta

    def forward(self, output, target):
        """Return the mean over all entries, a scalar tensor."""
        error, divergence, *_ = self.measure_rows(output, target)  # (..., n) each
        if not self.units.has_logits:
            # One noise for each network, of all rows of its batch: (...,).
            mean_error = error.mean(dim=-1) + LEAST_NOISE
            error = compute_gaussian_loss(mean_error, mean_error.log())
        return error.mean() + self.beta * divergence.mean()

    def measure_rows(self, output, target):
        """Return error, divergence, log-variance of the noise and observed share of each row.

        Error and divergence are means over the features.
        """
        error = self.error.compute_row_losses(output.restored, target)  # (..., n)
        divergence = output.divergence / target.shape[-1]
        log_noise = output.log_noise.unsqueeze(-1).expand_as(error)
        share = (~target.isnan()).to(error).mean(dim=-1).expand_as(error)
        # The noise is that of a network, but goes with each row as the others do: (4, ..., n).
        return torch.stack([error, divergence, log_noise, share])

    def combine(self, measures):
        """Return the loss of each row from `measure_rows`."""
        error, divergence, log_noise, _ = measures
        if not self.units.has_logits:
            error = compute_gaussian_loss(error, log_noise)
        return error + self.beta * divergence

    def fit_noise(self, measures, add_up):
        """Return the log-variance of the noise that suits rows best, and `measures` with it."""
        error, divergence, log_noise, share = measures
        if not self.units.has_logits:
            total, count = add_up("errors", np.array([(error * share).sum(), share.sum()]))
            log_noise = np.full_like(
                error, np.log(max(total / max(count, LEAST_SHARE), LEAST_NOISE))
            )
        return log_noise.flat[0], np.stack([error, divergence, log_noise, share])

    def convert_loss(self, loss):
        """Return a loss of u as minus the bound of a row of X, in nats."""
        # The density of x is that of u, divided by the scale for each feature; bits have no units.
        change = 0.0 if self.units.has_logits else math.log(self.units.scale)
        return len(self.units.feature_mean) * (loss + change)


def make_objective(plan, units, has_holes):
    """Return the objective of a plan.

    Parameters
    ----------
    plan : Plan
    units : Units
    has_holes : bool
        Whether targets may be NaN.
    """
    kind = ObservedLoss if has_holes else ReconstructionLoss
    if plan.beta is None:
        error, n_targets = kind(plan.loss, units, plan.clip), plan.architecture.n_targets
        return TargetLoss(error, n_targets) if n_targets else error
    return NegativeBound(kind(plan.loss, units), plan.beta)


def repeat_rows(target, restored):
    """Return targets as often as there are reconstructions of each, as whole batches in turn."""
    n_copies = restored.shape[-2] // target.shape[-2]
    return target if n_copies == 1 else torch.cat([target] * n_copies, dim=-2)


def compute_gaussian_loss(squared_error, log_noise):
    """Return minus the log-density of a number with Gaussian noise."""
    inverse = torch.exp(-log_noise) if isinstance(log_noise, torch.Tensor) else np.exp(-log_noise)
    return (math.log(2 * math.pi) + log_noise + squared_error * inverse) / 2
