"""What counts as evidence: which rows are new to a network, and the test that decides."""

import copy
import itertools
import math
import warnings
from dataclasses import dataclass

import numpy as np
import torch
from scipy import stats
from sklearn.model_selection import GroupKFold
from sklearn.utils import check_array
from torch.utils.data import Dataset, Subset

from ._random import draw_seed
from ._related_rows import warn_of_related_rows

# A trained epoch replaces the start where a paired one-sided t-test on rows that are new to the
# network finds it better at this level. It is strict because the best of many epochs on few rows
# looks good by luck.
SIGNIFICANCE = 0.001

N_FOLDS = 3
MIN_GROUPS_FOR_FOLDS = 2 * N_FOLDS  # with fewer, no test finds anything at this level

# An ordered code takes long to train, and the mean over its sizes is less noisy: one fold of five
# judges, with a single network beside that of all rows, if it has so many groups.
N_LARGE_FOLDS = 5
MIN_GROUPS_OF_LARGE_FOLD = 200

HELD_OUT = 0.1  # of the rows, where there are no folds

# How much the mean loss may rise at one size of an ordered code, in units of the loss: variances of
# standardised rows. Whole codes of PCA may have no loss at all.
MAX_RISE = 0.001
RISE_PENALTY = 1e6  # puts epochs whose loss rises by more behind all others

# What to do where no row can be held out.
REMEDY = "Pass X_val, rows to hold out, or set early_stopping=False, which keeps the last epoch."


@dataclass(frozen=True)
class HoldOut:
    """Rows that are held out of training, which skorch takes for its `train_split`.

    Attributes
    ----------
    train : ndarray of int or None
        Indices of the rows to train on; None for all.
    valid : ndarray of int or Dataset
        Indices of the held-out rows, or these themselves.
    labelings : list of ndarray of shape (n_held_out,)
        One array of group labels per way of grouping the held-out rows.
    """

    train: np.ndarray | None
    valid: np.ndarray | Dataset
    labelings: list

    def get_train(self, dataset):
        """Return the indices of the rows of a dataset to train on."""
        return np.arange(len(dataset)) if self.train is None else self.train

    def __call__(self, dataset, y=None):
        """Return the datasets to train on and to judge by."""
        if isinstance(self.valid, Dataset):
            return dataset, self.valid
        return Subset(dataset, self.train), Subset(dataset, self.valid)


@dataclass(frozen=True)
class CrossFit:
    """Folds of the rows: a network that trains without a fold is judged by it.

    Attributes
    ----------
    train, valid : list of ndarray of int
        For each fold the rows that its network trains on, and those that judge it: the rows of
        the fold that are not equal to any of the former.
    labelings : list of ndarray of shape (n_valid,)
        One array of group labels per way of grouping the rows that judge, in the order of X.
    models : list of Model
        The untrained network of each fold.
    input_offsets, offsets : tensors of shapes (n_folds, n_features) and (n_folds, n_outputs)
        The mean of each fold's training rows, and of their targets, standardised.
    """

    train: list
    valid: list
    labelings: list
    models: list = ()
    input_offsets: torch.Tensor | None = None
    offsets: torch.Tensor | None = None


def make_split(data, held_out, groups, plan, random_state, ranks, start_folds):
    """Return what says which rows judge a training, or None if none do.

    Parameters
    ----------
    data : StandardizedRows
    held_out : StandardizedRows or None
        Rows that the user holds out.
    groups : ndarray of shape (n_samples,) or None
        Labels of rows that belong together, as `check_groups` returns them.
    plan : Plan
    random_state : RandomState
    ranks : OneProcess or AllRanks
    start_folds : callable
        Returns the untrained models of folds, and the means of their rows and targets, given the
        rows that each trains on.

    Returns
    -------
    split : HoldOut, CrossFit or None

    Raises
    ------
    ValueError
        If no row can be held out that is new.
    """
    if not plan.early_stopping:
        return None
    judging = (data if held_out is None else held_out).rows
    new = equal = np.arange(len(judging))
    if plan.max_epochs > 0 or plan.has_correction:  # if not, nothing is decided
        equal = ranks.agree_on(lambda: find_equal_rows(judging))
        if held_out is not None:
            new = ranks.agree_on(lambda: find_rows_not_in(judging, data.rows))
        if len(new) == 0:
            warn_of_copies("X_val", "rows of X", stacklevel=6)
        elif groups is None or held_out is not None:
            warn_of_related_rows(data.rows, held_out and held_out.rows)
    if held_out is not None:
        new = new if len(new) else np.arange(len(judging))
        return HoldOut(None, Subset(held_out, new), [equal[new]])
    split = split_rows(equal, groups, plan.validation_fraction, random_state, plan.ordered)
    if isinstance(split, CrossFit):
        models, *offsets = start_folds(split.train)
        split = CrossFit(split.train, split.valid, split.labelings, models, *offsets)
    return split


def check_groups(groups, n_samples):
    """Return groups as an integer label for each row, numbered from 0.

    Raises
    ------
    ValueError
        If there is not one label for each row, or if labels cannot be compared.
    """
    shape = np.shape(groups)
    if shape not in ((n_samples,), (n_samples, 1)):
        raise ValueError(
            "groups must have one label for each row of X: an array of shape "
            f"({n_samples},). Got one of shape {shape}."
        )
    groups = check_array(groups, ensure_2d=False, dtype=None, input_name="groups")
    try:
        return np.unique(groups.ravel(), return_inverse=True)[1]
    except TypeError as error:
        raise ValueError(f"groups must hold labels of one type, int or str: {error}.") from error


def find_equal_rows(rows):
    """Return a label for each of some `Rows`, the same for rows that are equal.

    Labels count from 0 in the order of the rows. One pass over the rows, which keeps a number of
    64 bits for each.
    """
    _, first, labels = np.unique(rows.compute_hashes(), return_index=True, return_inverse=True)
    numbers = np.empty(len(first), dtype=np.int64)
    numbers[np.argsort(first)] = np.arange(len(first))
    return numbers[labels]


def find_rows_not_in(rows, others):
    """Return the indices of `Rows` that are not equal to any of others."""
    return np.flatnonzero(~np.isin(rows.compute_hashes(), others.compute_hashes()))


def split_rows(equal, groups, share, random_state, ordered=False):
    """Return the rows to train on and those to judge by.

    Parameters
    ----------
    equal : ndarray of shape (n_samples,)
        Labels of equal rows, as `find_equal_rows` returns them.
    groups : ndarray of shape (n_samples,) or None
        Labels of the user's groups, none of which is split.
    share : float or None
        Of the rows, to hold out. None makes folds where there are enough groups for them, and
        holds out a tenth otherwise.
    random_state : RandomState
    ordered : bool, default=False
        Whether the networks have an ordered code.

    Returns
    -------
    split : HoldOut or CrossFit

    Raises
    ------
    ValueError
        If no row can be held out that is new.
    """
    if groups is None and not equal.any():  # only one kind of row, which no test can judge by
        equal = np.arange(len(equal))
    labelings = [equal] if groups is None else [groups, equal]
    labels = labelings[0]
    n_groups = labels.max() + 1
    if n_groups < 2:
        what = "X has a single row" if groups is None else "groups puts all rows into one group"
        raise ValueError(f"{what}, so that no rows can be held out that are new. {REMEDY}")
    is_cross_fit = share is None and n_groups >= MIN_GROUPS_FOR_FOLDS
    if is_cross_fit:
        held_out = make_folds(labels, random_state, ordered)
        train = [np.setdiff1d(np.arange(len(labels)), fold) for fold in held_out]
    else:
        share = HELD_OUT if share is None else share
        held_out, train = ([rows] for rows in draw_groups(labels, share, random_state))
    valid = [keep_new_rows(equal, *pair) for pair in zip(held_out, train, strict=True)]
    if not all(map(len, valid)):
        warn_of_copies("groups", "rows of other groups", stacklevel=7)
        valid = held_out
    if is_cross_fit:
        judging = np.sort(np.concatenate(valid))
        return CrossFit(train, valid, [labels[judging] for labels in labelings])
    return HoldOut(train[0], valid[0], [labels[valid[0]] for labels in labelings])


def warn_of_copies(where, others, stacklevel):
    """Warn that all rows to judge by are copies of others; `stacklevel` is that of the caller."""
    warnings.warn(
        f"The rows held out by {where} are equal to {others}, so that none of them is new. The "
        "network may be worse than PCA on new rows while it seems to be better.",
        stacklevel=stacklevel + 1,
    )


def make_folds(labels, random_state, ordered):
    """Return the indices of the rows of each fold that judges; no group is split.

    These are three folds of about equal size or, for an ordered code, one fold of five if enough
    groups are in it.
    """
    n_groups = labels.max() + 1
    is_large = ordered and n_groups >= N_LARGE_FOLDS * MIN_GROUPS_OF_LARGE_FOLD
    drawn = random_state.permutation(n_groups)[labels]
    folds = GroupKFold(N_LARGE_FOLDS if is_large else N_FOLDS).split(labels, groups=drawn)
    return [valid for _, valid in itertools.islice(folds, 1 if is_large else None)]


def draw_groups(labels, share, random_state):
    """Return the indices of whole groups with about a share of all rows, and those of the rest.

    At least one group is drawn. If every row is a group, the draw is that of `ShuffleSplit`.
    """
    sizes = np.bincount(labels)
    n_wanted = min(math.ceil(share * len(labels)), len(labels) - 1)
    order = np.random.RandomState(draw_seed(random_state)).permutation(len(sizes))
    fits = sizes[order] <= n_wanted
    if not fits.any():
        fits = order == sizes.argmin()
    order = np.concatenate([order[fits], order[~fits]])
    n_drawn = np.searchsorted(np.cumsum(sizes[order[: fits.sum()]]), n_wanted, side="right")
    rows = np.argsort(np.argsort(order)[labels], kind="stable")
    n_rows = sizes[order[: max(n_drawn, 1)]].sum()
    return rows[:n_rows], rows[n_rows:]


def keep_new_rows(equal, held_out, train):
    """Return the indices of held-out rows that are not equal to any row to train on."""
    known = np.zeros(equal.max() + 1, dtype=bool)
    known[equal[train]] = True
    return held_out[~known[equal[held_out]]]


class KeptEpoch:
    """The weights to end with: those of the best epoch on rows that are new to it, or the last.

    Parameters
    ----------
    modules : list of torch.nn.Module
        In the state before training.
    start_epoch : int
        The epoch of an earlier training that left this state; 0 for none.
    start_losses : ndarray of shape (n_sizes, n_rows) or None
        The loss of each new row, by code sizes, at the start, to which training returns if no
        later epoch is better; None where the start is no candidate.
    linear_losses : ndarray of shape (n_sizes, n_rows) or None
        Those of the start without its correction, PCA: a later epoch must be clearly better, and
        at no size of an ordered code may its mean be higher. None for the start's.
    labelings : list of ndarray of shape (n_rows,)
        One array of group labels per way of grouping these rows.
    measure : callable or None
        Returns the mean loss of the last module on its own training rows, where the losses are
        those of other networks: it must be lower than at the start, too.
    """

    def __init__(
        self,
        modules,
        start_epoch,
        start_losses=None,
        linear_losses=None,
        labelings=(),
        measure=None,
    ):
        self.modules = modules
        self.start_epoch = self.epoch = start_epoch
        self.start_losses = start_losses
        self.linear_losses = start_losses if linear_losses is None else linear_losses
        self.labelings = labelings
        self.measure = measure
        self.start = self.weights = list(map(copy_weights, modules))
        self.losses, self.loss = None, math.inf
        self.lowest = math.inf

    def update(self, epoch, losses):
        """Take the modules' weights if they are the best so far; return the gain in mean loss.

        Without losses every epoch counts as better than the one before. An epoch with higher
        losses than PCA at some size of an ordered code is the best only of such epochs.
        """
        loss = self.loss if losses is None else losses.mean() + self._measure_rise(losses)
        if losses is None or loss < self.loss:
            self.weights = list(map(copy_weights, self.modules))
            self.epoch, self.losses, self.loss = epoch, losses, loss
        if losses is None:
            return math.inf
        gain = self.lowest - losses.mean()
        self.lowest = min(self.lowest, losses.mean())
        return gain

    def _measure_rise(self, losses):
        """Return the penalty of losses that are higher than those of PCA at some code size."""
        is_allowed = self.linear_losses is None or not have_risen(losses, self.linear_losses)
        return 0.0 if is_allowed else RISE_PENALTY

    def restore(self):
        """Put the chosen weights into the modules and return their epoch."""
        if self.start_losses is not None and not self._is_better():
            self.epoch, self.weights = self.start_epoch, self.start
        for module, weights in zip(self.modules, self.weights, strict=True):
            module.load_state_dict(weights)
        return self.epoch

    def _is_better(self):
        """Tell whether the best epoch is clearly better than the start."""
        if self.losses is None or self._measure_rise(self.losses):
            return False
        if self.losses.mean() >= self.start_losses.mean():
            return False
        if not are_clearly_lower(self.losses, self.linear_losses, self.labelings):
            return False
        if self.measure is None:
            return True
        before, after = map(self._measure_weights, (self.start, self.weights))
        return after < before

    def _measure_weights(self, weights):
        """Return the mean loss of the last module with some weights on its training rows."""
        self.modules[-1].load_state_dict(weights[-1])
        return self.measure()


def copy_weights(module):
    """Return a copy of a module's state; of tensors that are views only what they show."""
    return {
        name: value.clone() if isinstance(value, torch.Tensor) else copy.deepcopy(value)
        for name, value in module.state_dict().items()
    }


def are_clearly_lower(losses, others, labelings=()):
    """Tell whether `losses` are lower than `others`, beyond chance.

    Parameters
    ----------
    losses, others : ndarray of shape (n_rows,) or (n_sizes, n_rows)
        By rows, or by code sizes and rows.
    labelings : list of ndarray of shape (n_rows,), default=()
        Labels of groups of rows, counted from 0. The mean over a group is one observation.

    Returns
    -------
    bool
        Whether the mean gain of the rows is positive, and a paired one-sided t-test at the level
        `SIGNIFICANCE` finds it so by each of the labelings, or by rows if there are none. With
        several sizes that is the gain averaged over them.
    """
    gain = np.atleast_2d(others - losses).mean(axis=0)
    by_groups = [average_groups(gain, labels) for labels in labelings] or [gain]
    return bool(gain.mean() > 0) and all(map(is_clearly_positive, by_groups))


def have_risen(losses, others):
    """Tell whether the mean of losses is higher than that of others at one of several sizes."""
    rise = np.atleast_2d(losses - others).mean(axis=1)
    return len(rise) > 1 and bool(rise.max() > MAX_RISE)


def average_groups(values, labels):
    """Return the mean of the values of each group."""
    sizes = np.bincount(labels)
    return np.bincount(labels, weights=values)[sizes > 0] / sizes[sizes > 0]


def is_clearly_positive(values):
    """Tell whether a one-sided t-test finds the mean of values above zero."""
    if len(values) < 2:
        return False
    error = values.std(ddof=1) / math.sqrt(len(values))
    return bool(values.mean() > stats.t.isf(SIGNIFICANCE, len(values) - 1) * error)
