"""Reconstruction losses, as means over all entries and as means over each row."""

import math

import numpy as np
import torch
import torch.nn.functional as F
from torch import nn

LEAST_SHARE = 1e-6  # of entries with a target: none may have one
LEAST_ERROR = 1e-20  # squared, of standardised rows: a logarithm needs more than zero

# name: (elementwise loss, power of the scale of X that its value carries)
LOSSES = {
    "squared_error": (F.mse_loss, 2),
    "absolute_error": (F.l1_loss, 1),
    "huber": (F.huber_loss, 2),
    "binary_cross_entropy": (F.binary_cross_entropy_with_logits, 0),
}


class ReconstructionLoss(nn.Module):
    """How far a network's output is from its target u.

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
    skips_missing : bool, default=False
        Whether targets may be NaN, where there is no error.

    References
    ----------
    .. [1] Bengio, Leonard and Courville, "Estimating or propagating gradients through stochastic
       neurons for conditional computation", arXiv:1308.3432, 2013.
    """

    n_measures = 1  # of each row

    def __init__(self, name, units, clips=False, skips_missing=False):
        super().__init__()
        self.skips_missing = skips_missing
        self.name = name
        self.units = units
        is_clipped = clips and name != "binary_cross_entropy"
        self.register_buffer("bounds", units.standardize_range() if is_clipped else None)
        self.has_shifted_targets = name == "binary_cross_entropy" and bool(units.mean.any())

    def forward(self, output, target):
        """Return the mean over all entries, a scalar tensor.

        Each target may have several outputs, which follow each other as whole batches.
        """
        n_copies = output.shape[-2] // target.shape[-2]
        if n_copies > 1:
            target = torch.cat([target] * n_copies, dim=-2)
        if self.skips_missing:
            observed = (~target.isnan()).float().mean().clamp(min=LEAST_SHARE)
            return self.compute_entry_losses(output, target).mean() / observed
        return LOSSES[self.name][0](output, self.make_target(output, target))

    def compute_row_losses(self, output, target):
        """Return the mean over each row, the last dimension of `output`."""
        return average_rows(self.compute_entry_losses(output, target), target, self.skips_missing)

    def compute_entry_losses(self, output, target):
        """Return the loss of each entry, 0 where there is no target."""
        compared = self.make_target(output, target)
        if not self.skips_missing:
            return LOSSES[self.name][0](output, compared, reduction="none")
        losses = LOSSES[self.name][0](output, compared.nan_to_num(nan=0.0), reduction="none")
        return losses.masked_fill(target.isnan(), 0.0)

    @torch.no_grad()
    def make_target(self, output, target):
        """Return what to compare the output with.

        For logits that is X. For outputs that are clipped it is the target plus what clipping
        takes off the output, so that their difference is that of the clipped output.
        """
        if self.has_shifted_targets:
            return self.units.restore_targets(target)
        if self.bounds is None:
            return target
        return (output - output.clamp(*self.bounds)).add_(target)

    def show_targets(self, target):
        """Return targets u as X where outputs are logits of it, and as they are otherwise."""
        return self.units.restore_targets(target) if self.units.has_logits else target

    def measure_squares(self, output, target):
        """Return the mean squared error of each row that is restored from an output."""
        if self.units.has_logits:
            output = output.sigmoid()
        elif self.bounds is not None:
            output = output.clamp(*self.bounds)
        errors = F.mse_loss(output, self.show_targets(target), reduction="none")
        if self.skips_missing:
            errors = errors.masked_fill(target.isnan(), 0.0)
        return average_rows(errors, target, self.skips_missing)

    def measure_rows(self, output, target):
        """Return all that `combine` needs of each row, (n_measures, ..., n_rows)."""
        return self.compute_row_losses(output, target).unsqueeze(0)

    def combine(self, measures):
        """Return the loss of each row from `measure_rows`, an array (n_measures, n_rows)."""
        return measures[0]

    def convert_loss(self, loss):
        """Return a loss of u in units of X."""
        return self.units.scale ** LOSSES[self.name][1] * loss


class NegativeBound(ReconstructionLoss):
    """Minus the bound of the log-likelihood of rows, by features [1]_.

    In training the noise has the variance that suits the batch best, its mean squared error [2]_:
    it need not be learnt. Elsewhere it is that of the decoder.

    Parameters
    ----------
    name, units
        As in `ReconstructionLoss`: "squared_error" for Gaussian noise, "binary_cross_entropy" for
        bits.
    beta : float
        Weight of the divergence of the code's distribution from its prior.

    References
    ----------
    .. [1] Kingma and Welling, "Auto-encoding variational Bayes", ICLR 2014.
    .. [2] Rybkin, Daniilidis and Levine, "Simple and effective VAE training with calibrated
       decoders", ICML 2021.
    """

    n_measures = 3

    def __init__(self, name, units, beta, skips_missing=False):
        super().__init__(name, units, skips_missing=skips_missing)
        self.beta = beta

    def forward(self, output, target):
        """Return the mean over all entries, a scalar tensor."""
        error, divergence, _ = self.measure_rows(output, target)
        if not self.units.has_logits:
            mean_error = error.mean(dim=-1) + LEAST_ERROR
            error = compute_gaussian_loss(mean_error, mean_error.log())
        return error.mean() + self.beta * divergence.mean()

    def compute_row_losses(self, output, target):
        """Return the loss of each row."""
        return self.combine(self.measure_rows(output, target))

    def measure_rows(self, output, target):
        """Return error, divergence and log-variance of the noise of each row, by features."""
        n_features = target.shape[-1]
        n_components = (output.shape[-1] - n_features - 1) // 2
        sizes = n_features, n_components, n_components, 1
        output, mean, log_variance, log_noise = output.split(sizes, dim=-1)
        error = super().compute_row_losses(output, target)
        divergence = compute_divergence(mean, log_variance) / n_features
        return torch.stack([error, divergence, log_noise.squeeze(-1)])

    def combine(self, measures):
        """Return the loss of each row from `measure_rows`."""
        error, divergence, log_noise = measures
        if not self.units.has_logits:
            error = compute_gaussian_loss(error, log_noise)
        return error + self.beta * divergence

    def fit_noise(self, measures):
        """Return the log-variance of the noise that suits rows best, and `measures` with it."""
        error, divergence, log_noise = measures
        if not self.units.has_logits:
            log_noise = np.full_like(error, np.log(error.mean() + LEAST_ERROR))
        return log_noise.flat[0], np.stack([error, divergence, log_noise])

    def convert_loss(self, loss):
        """Return a loss of u as minus the bound of a row of X, in nats."""
        n_features = len(self.units.feature_mean)
        change = 0.0 if self.units.has_logits else math.log(self.units.scale)
        return n_features * (loss + change)


def average_rows(losses, target, skips_missing):
    """Return the mean over each row, of the entries that have a target."""
    if not skips_missing:
        return losses.mean(dim=-1)
    return losses.sum(dim=-1) / (~target.isnan()).sum(dim=-1).clamp(min=1)


def compute_gaussian_loss(squared_error, log_noise):
    """Return minus the log-density of a number with Gaussian noise."""
    inverse = torch.exp(-log_noise) if isinstance(log_noise, torch.Tensor) else np.exp(-log_noise)
    return (math.log(2 * math.pi) + log_noise + squared_error * inverse) / 2


def compute_divergence(mean, log_variance):
    """Return the divergence of normal distributions from the standard one, (..., n_rows)."""
    spread = log_variance.exp() - log_variance
    return (mean.square() + spread).sum(dim=-1) / 2 - mean.shape[-1] / 2
