"""Signs that held-out rows are not new: near copies of other rows, series, windows of a series.

They are looked for in a sample, with features scaled to unit variance: time and memory do not grow
with the number of rows. Rows with missing values are compared on the columns that both have.
"""

import math

import numpy as np
import torch
from scipy.spatial.distance import pdist
from scipy.stats import rankdata
from sklearn.metrics.pairwise import euclidean_distances, nan_euclidean_distances

MAX_ROWS = 1000  # in the sample, each with the row that follows it
MAX_ROWS_FOR_DISTANCES = 500  # between all of which distances are measured
MAX_ENTRIES = 2**22  # so that wide rows are fewer
MIN_ROWS = 50  # of fewer, distances tell nothing
MAX_COLUMNS = 1000  # that distances are measured on, spread evenly
MIN_SHARED = 3  # columns that two rows both have: in fewer, many rows are near by chance
MIN_OBSERVED = 0.5  # of the entries of rows that have any: of fewer, distances tell nothing
MAX_CHANCE = 0.05  # that two values of a column are equal, if rows with holes can be copies

# A row has near copies if, of its neighbours in order of distance, one is so many times as far away
# as the one before. Independent rows hardly ever have such a gap, unless they lie on a curve.
GAP = 4  # in one dimension every third of independent rows has it
MAX_NEIGHBOURS = 50

# A row is a window of a series if, moved by some columns, it is so many times nearer to another row
# than if the columns are in a random order.
NEARER_IN_ORDER = 4
MAX_LAG = 16
MIN_WINDOW_COLUMNS = 4
MAX_WINDOW_COLUMNS = 256
MAX_WINDOWS = 64
MIN_VALUES = 20  # of a column: windows of fewer may be equal by chance

LARGEST_SHARE = 0.4  # of many rows with such a sign; of few rows chance explains more

# Equal rows are repeats, and no copies, if chance explains this share of the pairs of them. In 25
# tables of answers, counts and categories it explains 0.4 to 4.5 times as many as there are; in
# draws with replacement from 36 tables of measurements at most 0.2 times, but for two of counts
# that repeat themselves.
EXPLAINED = 0.3
MIN_REPEATS = 10  # times that each row comes, on average, if columns with few values are the cause
MAX_SHARE_OF_ONE = 0.1  # of the rows, that are equal to each other
MAX_COMPARED = 2**27  # entries of pairs of rows
MAX_DIFFERENT = 4  # columns in which two rows are nearly equal: those of two questions, as one-hot
MAX_PAIRS = 20_000  # of such rows

ROUNDING = 1e-6  # of a feature's standard deviation: nearer rows are equal, and one group anyway


def describe_related_rows(table, held_out=None):
    """Return a warning if held-out rows look as if they were not new, or None.

    Parameters
    ----------
    table : Table
    held_out : Rows or None
        None if they are to be some of the rows of the table.
    """
    groups, others = "groups, which says what rows belong together", "X_val, rows of other things"
    if held_out is None:
        # X_val has no X_clean, so that pairs cannot be held out by it
        remedy = f"{groups}, or {others}" if table.may_hold_out else groups
        found = find_related_rows(table.originals or table.rows)
    else:
        remedy, found = f"another {others}", find_copied_rows(table.rows, held_out)
    if found is None:
        return None
    return (
        f"{found} The network may then be worse than PCA on new rows while it seems to be better. "
        f"Pass {remedy}."
    )


def are_repeats(rows, labels):
    """Tell whether equal rows are equal by chance, because their columns have few values.

    Answers to questions, categories and counts repeat themselves: new rows are mostly equal to
    known ones, and are as new as others. Copies of one row have no such reason to be equal.

    Chance makes not only equal pairs, but also pairs that differ in one column. If two rows have
    the same value in this column with a probability q, there is one equal pair for (1 - q) / q of
    these; likewise for a few columns, as those of one-hot categories differ together. Each set of
    columns gives an estimate of the number of equal pairs, too small a one if the columns depend on
    the others. The largest counts.

    Parameters
    ----------
    rows : Rows
    labels : ndarray of int of shape (n_rows,)
        The same where rows are equal.
    """
    counts, n_features = np.bincount(labels).astype(float), rows.shape[1]
    kept = np.arange(len(labels))
    if MAX_SHARE_OF_ONE < counts.max() / len(labels) < 1 - MAX_SHARE_OF_ONE:
        # one answer that most give, such as none, has more equal pairs than columns can explain
        kept = kept[labels != counts.argmax()]
        counts = np.bincount(labels[kept]).astype(float)
        counts = counts[counts > 0]
    n_rows = len(kept)
    n_equal = (counts * (counts - 1)).sum() / 2  # pairs
    if not n_equal or n_features == 1:
        # a single column has no others by which chance could be told from copies
        return n_rows >= MIN_REPEATS * len(counts)
    n_sample = min(n_rows, MAX_ROWS, max(MIN_ROWS, math.isqrt(MAX_COMPARED // n_features)))
    index = kept[np.sort(np.random.RandomState(0).choice(n_rows, n_sample, replace=False))]
    values = rows.read(torch.from_numpy(index).to(rows.home)).double().cpu().numpy()
    # (n_sample, n_features)
    values = fill_with_largest(values)
    # the condensed matrix of the numbers of columns that differ
    n_different = np.rint(pdist(values, "hamming") * n_features)
    near = np.flatnonzero((n_different > 0) & (n_different <= MAX_DIFFERENT))
    if not len(near):
        return False
    first, second = (side[near] for side in np.triu_indices(n_sample, 1))
    if n_rows >= MIN_REPEATS * len(counts):
        # columns that depend on each other explain little; but copies come seldom so often, and
        # rows that were measured are far apart, or have many values in a column
        has_near = len(np.union1d(first, second)) > n_sample / 2
        n_values = max(len(np.unique(column)) for column in values.T)
        if has_near and n_values <= len(np.unique(labels[index])) / 2:
            return True
    step = -(-len(near) // MAX_PAIRS)
    first, second = first[::step], second[::step]
    odds = np.array([compute_odds(column) for column in values.T])
    differs = values[first] != values[second]  # (n_few, n_features)
    explained = np.where(differs, odds, 1.0).prod(axis=1)
    _, sets = np.unique(np.packbits(differs, axis=1), axis=0, return_inverse=True)
    n_explained = np.bincount(sets.ravel(), explained).max() * len(near) / len(first)
    # of the pairs in the sample, as many as of all
    return n_explained / len(n_different) >= EXPLAINED * n_equal / (n_rows * (n_rows - 1) / 2)


def compute_odds(column):
    """Return the odds, at most 1, that two of a column's values are equal."""
    _, counts = np.unique(column, return_counts=True)
    n_equal = (counts * (counts - 1)).sum()
    return min(1.0, n_equal / max(len(column) * (len(column) - 1) - n_equal, 1))


def compute_chance(rows):
    """Return the mean odds, over the columns, that two observed values are equal."""
    return np.mean([compute_odds(column[~np.isnan(column)]) for column in rows.T])


def find_related_rows(rows):
    """Return a sentence on how rows depend on each other, or None if nothing shows that."""
    n_rows, n_features = rows.shape
    if n_rows < MIN_ROWS:
        return None
    n_sample = min(MAX_ROWS, max(MIN_ROWS, MAX_ENTRIES // n_features), n_rows - 1)
    positions = np.linspace(0, n_rows - 2, n_sample).astype(np.int64)
    # each with the row after it, because a series shows there: both of shape (n_sample, n_features)
    first, following = read_known(rows, positions), read_known(rows, positions + 1)
    is_known = ~(np.isnan(first).all(axis=1) | np.isnan(following).all(axis=1))
    first, following, positions = first[is_known], following[is_known], positions[is_known]
    if len(first) < MIN_ROWS - 1 or (~np.isnan(first)).mean() < MIN_OBSERVED:
        return None
    first, following = standardize_columns(first, following)
    step = -(-len(first) // MAX_ROWS_FOR_DISTANCES)
    few, next_few = drop_constant_columns(first[::step], following[::step])
    at = positions[::step]
    # in ranks, too: a column with a long tail hides the others
    orders = (few, next_few), standardize_columns(*rank_columns(few, next_few))
    signs = (
        (measure_near_copies(few, few), "have near copies"),
        (
            max(measure_order(*order, at) for order in orders),
            "are nearer to the next row than to any other",
        ),
        (measure_windows(first, following), "are near copies of others if moved by some columns"),
    )
    share, sign = max(signs)
    if not share:
        return None
    return (
        f"Rows held out of X are not new, it seems: {share:.0%} of a sample of its rows {sign}, as "
        "repeated readings of one thing or parts of a series do."
    )


def find_copied_rows(rows, held_out):
    """Return a sentence on how many held-out rows are copies of others, or None if few are."""
    first, new = read_few(rows), read_few(held_out)
    if min(len(first), len(new)) < MIN_ROWS or (~np.isnan(new)).mean() < MIN_OBSERVED:
        return None
    first, new = drop_constant_columns(*standardize_columns(first, new))
    is_equal = is_zero(compute_distances(new, first), new).any(axis=1)
    # where many rows of X are equal to others than themselves, new ones may be, too
    n_equal = is_zero(compute_distances(first, first), first).sum(axis=1)
    share = max(measure_near_copies(new, first), measure_share(is_equal, (n_equal > 1).mean()))
    if not share:
        return None
    return (
        f"Rows of X_val are not new, it seems: {share:.0%} of a sample of them are equal to rows "
        "of X, or near copies."
    )


def read_few(rows):
    """Return evenly spaced rows, at most `MAX_ROWS_FOR_DISTANCES`, as a float64 array."""
    n_fit = max(MIN_ROWS, min(MAX_ROWS_FOR_DISTANCES, MAX_ENTRIES // rows.shape[1]))
    values = read_known(rows, np.arange(0, len(rows), -(-len(rows) // n_fit)))
    return values[~np.isnan(values).all(axis=1)]


def read_known(rows, index):
    """Return the rows at an index, an array, as a float64 array with NaN for missing values."""
    return rows.read(torch.from_numpy(index).to(rows.home)).double().cpu().numpy()


def standardize_columns(rows, others):
    """Return rows and others, both by mean and standard deviation of the columns of `rows`."""
    # a column without any value has a count of 1, and stays without any
    counts = np.maximum((~np.isnan(rows)).sum(axis=0), 1)
    mean = np.nansum(rows, axis=0) / counts
    deviation = np.sqrt(np.nansum(np.square(rows - mean), axis=0) / counts)
    deviation[deviation == 0] = 1
    return (rows - mean) / deviation, (others - mean) / deviation


def drop_constant_columns(rows, others):
    """Return both without the columns in which all values are equal, unless all columns are such.

    That rows share such a column says nothing.
    """
    both = np.concatenate([rows, others])
    varies = (both > np.fmin.reduce(both)).any(axis=0)
    return (rows[:, varies], others[:, varies]) if varies.any() else (rows, others)


def rank_columns(rows, others):
    """Return rows and others with the ranks of their values in each column, on some columns."""
    columns = choose_columns(rows)
    both = np.concatenate([rows[:, columns], others[:, columns]])
    ranks = rankdata(both, axis=0, nan_policy="omit")
    return ranks[: len(rows)], ranks[len(rows) :]


def measure_share(found, usual=0.0):
    """Return the mean of booleans, or 0 if it is not beyond chance and what is usual."""
    # By chance every third row has a sign, on a curve; of n rows up to 2.7 / sqrt(n) more: four
    # standard deviations of n / 2 draws, as two neighbours often share a gap.
    by_chance = 1 / 3 + 2.7 * len(found) ** -0.5
    return found.mean() if found.mean() > usual + max(LARGEST_SHARE, by_chance) else 0.0


def measure_near_copies(rows, others):
    """Return the share of different rows with a gap behind their nearest neighbours in others."""
    # equal rows have the same neighbours: they would count several times
    _, index = np.unique(fill_with_largest(rows), axis=0, return_index=True)
    rows = rows[index]
    if has_holes(rows, others) and compute_chance(rows) > MAX_CHANCE:
        return 0.0  # few of the shared values differ, and rows are near by chance
    # (n_different, n_others)
    distances = compute_distances(rows, others)
    distances[are_equal(distances, rows, others)] = np.inf
    n_nearest = min(MAX_NEIGHBOURS, len(others) // 4)
    nearest = np.sort(np.partition(distances, n_nearest, axis=1)[:, : n_nearest + 1], axis=1)
    has_gap = (nearest[:, 1:] > GAP * nearest[:, :-1]) & np.isfinite(nearest[:, 1:])
    return measure_share(has_gap.any(axis=1))


def measure_order(first, following, positions):
    """Return the share of rows that are nearer to the next one than to any other in the sample."""
    distances = compute_distances(first, first)
    distances[np.abs(positions[:, None] - positions) < 2] = np.inf
    distances[are_equal(distances, first, first)] = np.inf
    # in the same columns as the distances
    squares = np.square(first - following)[:, choose_columns(first)]
    n_shared, n_columns = (~np.isnan(squares)).sum(axis=1), squares.shape[1]
    steps = np.sqrt(np.nansum(squares, axis=1) * n_columns / np.maximum(n_shared, 1))  # (n_rows,)
    steps[n_shared < min(MIN_SHARED, n_columns)] = np.inf
    # where all distances are the same, they differ by rounding
    is_nearest = (1 + ROUNDING) * steps < distances.min(axis=1)
    return measure_share(~is_zero(steps, first) & is_nearest)


def measure_windows(first, following):
    """Return the share of rows that have a near copy if they are moved by some columns."""
    first, following = first[:, :MAX_WINDOW_COLUMNS], following[:, :MAX_WINDOW_COLUMNS]
    if min(len(np.unique(column)) for column in first.T) < MIN_VALUES:
        return 0.0
    few, others = first[:: -(-len(first) // MAX_WINDOWS)], np.concatenate([first, following])
    n_columns, largest = few.shape[1], 0.0
    order = np.random.RandomState(0).permutation(n_columns)
    # smooth rows fit themselves when they are moved
    is_itself = is_zero(compute_distances(few, others), few)
    for lag in range(1, min(MAX_LAG, n_columns // MIN_WINDOW_COLUMNS) + 1):
        moved, kept = np.arange(lag, n_columns), np.arange(n_columns - lag)
        in_order = compute_distances(few[:, moved], others[:, kept])
        shuffled = compute_distances(few[:, order[moved]], others[:, order[kept]])
        in_order[is_itself] = shuffled[is_itself] = np.inf
        nearest, by_chance = in_order.min(axis=1), shuffled.min(axis=1)
        is_window = (NEARER_IN_ORDER * nearest < by_chance) & np.isfinite(by_chance)
        largest = max(largest, measure_share(is_window))
    return largest


def is_zero(distances, rows):
    """Tell which distances from rows are zero but for rounding."""
    return distances <= ROUNDING * rows.shape[1] ** 0.5


def are_equal(distances, rows, others):
    """Tell which rows and others at some distances are equal, and lack the same values.

    Equal rows with other holes are copies, and no group. But where values repeat themselves, rows
    may agree by chance on what both have: there all of them count as equal.
    """
    found = is_zero(distances, rows)
    if not has_holes(rows, others):
        return found
    if compute_chance(rows) > MAX_CHANCE:
        return found
    known, others_known = ((~np.isnan(part)).astype(float) for part in (rows, others))
    n_shared = known @ others_known.T
    n_known, n_others_known = known.sum(axis=1), others_known.sum(axis=1)
    return found & (n_shared == n_known[:, None]) & (n_shared == n_others_known)


def compute_distances(rows, others):
    """Return the Euclidean distances between rows and others, on a choice of columns.

    Distances of rows with missing values are those in the columns that both have, times the square
    root of how many times as many columns there are; infinite if they share too few.
    """
    columns = choose_columns(rows)
    rows, others = rows[:, columns], others[:, columns]
    if not has_holes(rows, others):
        return euclidean_distances(rows, others)
    n_shared = (~np.isnan(rows)).astype(float) @ (~np.isnan(others)).T
    is_comparable = n_shared >= min(MIN_SHARED, rows.shape[1])
    return np.where(is_comparable, nan_euclidean_distances(rows, others), np.inf)


def has_holes(rows, others):
    """Tell whether a value of any row is missing."""
    return np.isnan(rows).any() or np.isnan(others).any()


def fill_with_largest(values):
    """Return values with a number for those missing, so that these are equal to each other."""
    return np.where(np.isnan(values), np.finfo(float).max, values)


def choose_columns(rows):
    """Return a slice of evenly spaced columns, at most `MAX_COLUMNS`."""
    return slice(None, None, -(-rows.shape[1] // MAX_COLUMNS))
