"""Reconstruction losses, as means over all entries and as means over each row."""

import torch
import torch.nn.functional as F
from torch import nn

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

    References
    ----------
    .. [1] Bengio, Leonard and Courville, "Estimating or propagating gradients through stochastic
       neurons for conditional computation", arXiv:1308.3432, 2013.
    """

    def __init__(self, name, units, clips=False):
        super().__init__()
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
        return LOSSES[self.name][0](output, self.make_target(output, target))

    def compute_row_losses(self, output, target):
        """Return the mean over each row, the last dimension of `output`."""
        target = self.make_target(output, target)
        return LOSSES[self.name][0](output, target, reduction="none").mean(dim=-1)

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
        return F.mse_loss(output, self.show_targets(target), reduction="none").mean(dim=-1)

    def get_unit(self):
        """Return the factor from a loss of u to a loss of X."""
        return self.units.scale ** LOSSES[self.name][1]
