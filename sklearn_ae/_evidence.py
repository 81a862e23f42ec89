"""What counts as evidence: the rows that are held out, and the test that decides what is kept."""

import copy
import math

from scipy import stats
from skorch.dataset import ValidSplit

# A trained epoch replaces the start where a paired one-sided t-test on the validation rows
# finds it better at this level. It is strict because the best of many epochs on few rows looks
# good by luck.
SIGNIFICANCE = 0.001


def make_split(plan, seed):
    """Return the splitter that holds out validation rows, or None without early stopping."""
    return ValidSplit(plan.validation_fraction, random_state=seed) if plan.early_stopping else None


class KeptEpoch:
    """The weights to end with: those of the best epoch on the validation rows, or the last.

    Parameters
    ----------
    module : torch.nn.Module
        In the state before training.
    start_epoch : int
        The epoch of an earlier training that left this state; 0 for none.
    start_losses : ndarray of shape (n_validation_rows,) or None
        The loss of each validation row at the start, to which training returns if no later
        epoch is clearly better; None where the start is no candidate.
    """

    def __init__(self, module, start_epoch, start_losses=None):
        self.module = module
        self.start_epoch = self.epoch = start_epoch
        self.start_losses = start_losses
        self.start = self.weights = copy.deepcopy(module.state_dict())
        self.losses, self.loss = None, math.inf

    def update(self, epoch, losses):
        """Take the module's weights if they are the best so far; return the gain in loss.

        Without validation losses every epoch counts as better than the one before.
        """
        loss = self.loss if losses is None else losses.mean()
        gain = math.inf if losses is None else self.loss - loss
        if gain > 0:
            self.weights = copy.deepcopy(self.module.state_dict())
            self.epoch, self.losses, self.loss = epoch, losses, loss
        return gain

    def restore(self):
        """Put the chosen weights into the module and return their epoch."""
        if self.start_losses is not None and not (
            self.losses is not None and are_clearly_lower(self.losses, self.start_losses)
        ):
            self.epoch, self.weights = self.start_epoch, self.start
        self.module.load_state_dict(self.weights)
        return self.epoch


def are_clearly_lower(losses, others):
    """Tell whether `losses` are lower than `others`, row by row, beyond chance.

    Parameters
    ----------
    losses, others : ndarray of shape (n_rows,)

    Returns
    -------
    bool
        The outcome of a paired one-sided t-test at the level `SIGNIFICANCE`.
    """
    gain = others - losses
    if len(gain) < 2:
        return False
    error = gain.std(ddof=1) / math.sqrt(len(gain))
    return bool(gain.mean() > stats.t.isf(SIGNIFICANCE, len(gain) - 1) * error)
