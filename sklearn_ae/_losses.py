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
    """How far an output is from its target.

    Parameters
    ----------
    name : {"squared_error", "absolute_error", "huber", "binary_cross_entropy"}
        The loss of one entry. "huber" is quadratic up to an error of 1 and linear
        beyond. For "binary_cross_entropy" the output is a logit.
    """

    def __init__(self, name):
        super().__init__()
        self.name = name
        self.register_buffer("mean", None)
        self.register_buffer("bounds", None)

    def compare_with(self, mean, scale, clip_to=None):
        """Say what targets are and where outputs are clipped before they are compared.

        The gradient is that of the clipped output, passed straight through the clipping [1]_:
        an output beyond a bound that its target lies on is no error, any other is drawn back.

        Parameters
        ----------
        mean : tensor of shape (n_features,)
        scale : float
            Targets are (X - mean) / scale, and so are outputs that are no logits.
        clip_to : tensor of shape (2, n_features) or None, default=None
            Lowest and highest value of each feature of X; None for any. Logits are not clipped.

        References
        ----------
        .. [1] Bengio, Leonard and Courville, "Estimating or propagating gradients through
           stochastic neurons for conditional computation", arXiv:1308.3432, 2013.
        """
        has_other_targets = self.name == "binary_cross_entropy" and bool(mean.any())
        self.mean = (mean / scale).float() if has_other_targets else None
        self.scale = scale
        self.bounds = None if clip_to is None else ((clip_to - mean) / scale).float()

    def forward(self, output, target):
        """Return the mean over all entries, a scalar tensor."""
        return LOSSES[self.name][0](output, self.comparable(output, target))

    def rows(self, output, target):
        """Return the mean over each row, a tensor of shape (n_rows,)."""
        target = self.comparable(output, target)
        return LOSSES[self.name][0](output, target, reduction="none").mean(dim=1)

    @torch.no_grad()
    def comparable(self, output, target):
        """Return what to compare the output with.

        For logits that is X; for outputs that are to be clipped the target plus what clipping
        takes off.
        """
        if self.mean is not None:
            return (target + self.mean).mul_(self.scale)
        if self.bounds is None or self.name == "binary_cross_entropy":
            return target
        return (output - output.clamp(*self.bounds)).add_(target)

    def unit(self, scale):
        """Return what turns a loss of data divided by `scale` into a loss of the data."""
        return scale ** LOSSES[self.name][1]
