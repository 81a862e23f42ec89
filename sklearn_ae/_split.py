"""Who is new to whom: copies, groups and folds; and the test on rows that are new."""

import itertools
import math
import warnings
from dataclasses import dataclass

import numpy as np
from scipy import stats
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components
from sklearn.model_selection import GroupKFold, StratifiedGroupKFold

from ._compat import warn_user
from ._isolation import draw_seed
from ._related_rows import are_repeats, describe_related_rows

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

# How much the mean loss may rise at one size of an ordered code, in units of the loss: variances of
# standardised rows. Whole codes of PCA may have no loss at all.
MAX_RISE = 0.001


@dataclass(frozen=True)
class Split:
    """Which rows train and which judge.

    Attributes
    ----------
    train : list of (ndarray of int or None)
        For each network that is judged the rows that it trains on; None for all.
    valid : list of ndarray of int
        For each of them the rows that judge it, all new to it: rows of X, or of those that the
        user holds out.
    labelings : list of ndarray of shape (n_valid,)
        One array of group labels per way of grouping the rows that judge, in the order of X.
    is_cross_fit : bool
        Whether the networks are those of folds, beside which one of all rows is trained.
    """

    train: list
    valid: list
    labelings: list
    is_cross_fit: bool


def make_split(table, plan, random_state):
    """Return what says which rows judge a training, or None if none do.

    Parameters
    ----------
    table : Table
    plan : Plan
    random_state : RandomState

    Returns
    -------
    split : Split or None

    Raises
    ------
    ValueError
        If no row can be held out that is new.
    """
    if not plan.early_stopping:
        return None
    held_out, ranks = table.held_out, table.ranks
    judging = table.parts if held_out is None else [held_out]
    new = equal = np.arange(len(judging[0]))
    # without training nothing is decided, so that no pass over the rows is needed
    if plan.max_epochs > 0 or plan.corrects_start:
        equal = ranks.agree_on(lambda: label_copies(judging))
        if held_out is not None:
            new = ranks.agree_on(lambda: find_new_rows(held_out, table.rows))
        if len(new) == 0:
            warn_of_copies("X_val", "rows of X")
        elif table.groups is None or held_out is not None:
            warning = describe_related_rows(table, held_out)
            if warning is not None:
                warn_user(warning)
    if held_out is not None:
        new = new if len(new) else np.arange(len(held_out))
        return Split([None], [new], [equal[new]], is_cross_fit=False)
    return split_rows(equal, table, plan, random_state)


def label_copies(parts):
    """Return a label for each sample, the same for samples that are copies of one another.

    Labels count from 0 in the order of the samples. Rows that are equal by chance are no copies:
    see `are_repeats`.

    Parameters
    ----------
    parts : list of Rows
        What a sample consists of: rows, or damaged rows and clean ones. Pairs are copies if one of
        their parts is. If that connected most pairs, only the damaged rows count.
    """
    found = []
    for rows in parts:
        labels = label_equal(rows.compute_hashes())
        found.append(np.arange(len(rows)) if are_repeats(rows, labels) else labels)
    if len(found) == 1:
        return found[0]
    damaged, clean = found
    n = len(damaged)
    # a graph of all different rows in which each pair is an edge: its parts are the groups
    edges = coo_array((np.ones(n), (damaged, n + clean)), shape=(2 * n, 2 * n))
    labels = connected_components(edges, directed=False)[1][damaged]
    return labels if 2 * np.bincount(labels).max() <= n else damaged


def label_equal(hashes):
    """Return a label for each row, the same where hashes are equal, from 0 in the order of rows."""
    _, first, labels = np.unique(hashes, return_index=True, return_inverse=True)
    # hashes differ from process to process; numbers in the order of the rows do not
    return np.argsort(np.argsort(first))[labels]


def find_new_rows(rows, others):
    """Return the indices of `Rows` that are not copies of any of others."""
    hashes = others.compute_hashes()
    if are_repeats(others, label_equal(hashes)):
        return np.arange(len(rows))
    return np.flatnonzero(~np.isin(rows.compute_hashes(), hashes))


def split_rows(equal, table, plan, random_state):
    """Return the rows to train on and those to judge by.

    Parameters
    ----------
    equal : ndarray of shape (n_samples,)
        Labels of copies, as `label_copies` returns them.
    table : Table
        Has the labels of the user's groups, none of which is split, and classes, of which all
        folds have about the same shares.
    plan : Plan
        Asks for folds, where there are enough groups for them, or for a share of the rows.
    random_state : RandomState

    Returns
    -------
    split : Split

    Raises
    ------
    ValueError
        If no row can be held out that is new.
    """
    groups = table.groups
    if groups is None and not equal.any():  # only one kind of row, which no test can judge by
        equal = np.arange(len(equal))
    labelings = [equal] if groups is None else [groups, equal]
    labels = labelings[0]
    n_groups = labels.max() + 1
    if n_groups < 2:
        what = "X has a single row" if groups is None else "groups puts all rows into one group"
        remedy = "Pass X_val, rows to hold out, or set" if table.may_hold_out else "Set"
        raise ValueError(
            f"{what}, so that no rows can be held out that are new. {remedy} early_stopping=False, "
            "which keeps the last epoch."
        )
    is_cross_fit = plan.cross_fits and n_groups >= MIN_GROUPS_FOR_FOLDS
    if is_cross_fit:
        has_large = plan.has_large_folds and n_groups >= N_LARGE_FOLDS * MIN_GROUPS_OF_LARGE_FOLD
        drawn = random_state.permutation(n_groups)[labels]
        folds = cut_folds(drawn, N_LARGE_FOLDS if has_large else N_FOLDS, table.strata)
        pairs = list(itertools.islice(folds, 1 if has_large else None))
    else:
        pairs = [draw_groups(labels, plan.validation_fraction, random_state)]
    # equal rows may be in several groups of the user: those that a network trains on judge nothing
    valid = [rows[~np.isin(equal[rows], equal[train])] for train, rows in pairs]
    if not all(map(len, valid)):
        warn_of_copies("groups", "rows of other groups")
        valid = [rows for _, rows in pairs]
    train = [rows for rows, _ in pairs]
    judging = np.sort(np.concatenate(valid)) if is_cross_fit else valid[0]
    return Split(train, valid, [labels[judging] for labels in labelings], is_cross_fit)


def cut_folds(labels, n_folds, strata):
    """Return an iterator over the rows to train on and to judge by, a pair for each fold."""
    if strata is None or np.bincount(strata - strata.min()).max() < n_folds:
        return GroupKFold(n_folds).split(labels, groups=labels)
    with warnings.catch_warnings():
        # classes of fewer rows than folds are in as many folds as they can be
        warnings.filterwarnings("ignore", "The least populated class")
        return iter(list(StratifiedGroupKFold(n_folds).split(labels, strata, labels)))


def warn_of_copies(where, others):
    """Warn that all rows to judge by are copies of others."""
    warn_user(
        f"The rows held out by {where} are equal to {others}, so that none of them is new. The "
        "network may be worse than PCA on new rows while it seems to be better."
    )


def draw_groups(labels, share, random_state):
    """Return the rows to train on, and those of drawn groups, about a share of all: indices.

    At least one group is drawn. If every row is a group, the draw is that of `ShuffleSplit`.
    """
    sizes = np.bincount(labels)
    n_wanted = min(math.ceil(share * len(labels)), len(labels) - 1)
    order = np.random.RandomState(draw_seed(random_state)).permutation(len(sizes))
    fits = sizes[order] <= n_wanted
    fits = fits if fits.any() else order == sizes.argmin()
    # groups larger than what is wanted come last: as many others are drawn as fit in
    order = np.concatenate([order[fits], order[~fits]])
    n_drawn = np.searchsorted(np.cumsum(sizes[order[: fits.sum()]]), n_wanted, side="right")
    rows = np.argsort(np.argsort(order)[labels], kind="stable")
    n_rows = sizes[order[: max(n_drawn, 1)]].sum()
    return rows[n_rows:], rows[:n_rows]


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
    gain = np.atleast_2d(others - losses).mean(axis=0)  # (n_rows,)
    is_lower = bool(gain.mean() > 0)
    for labels in labelings or [np.arange(len(gain))]:
        sizes = np.bincount(labels)
        # (n_groups,): a label of rows that do not judge is that of no group here
        means = np.bincount(labels, weights=gain)[sizes > 0] / sizes[sizes > 0]
        # one observation has no deviation, and is no evidence
        error = means.std(ddof=1) / math.sqrt(len(means)) if len(means) > 1 else math.inf
        is_lower &= bool(means.mean() > stats.t.isf(SIGNIFICANCE, len(means) - 1) * error)
    return is_lower


def have_risen(losses, others):
    """Tell whether the mean of losses is higher than that of others at one of several sizes."""
    rise = np.atleast_2d(losses - others).mean(axis=1)
    return len(rise) > 1 and bool(rise.max() > MAX_RISE)
