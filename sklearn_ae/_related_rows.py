"""Signs that held-out rows are not new: near copies of other rows, series, windows of a series.

They are looked for in a sample, with features scaled to unit variance: time and memory do not grow
with the number of rows.
"""

import warnings

import numpy as np
import torch
from sklearn.metrics.pairwise import euclidean_distances

MAX_ROWS = 1000  # in the sample, each with the row that follows it
MAX_ROWS_FOR_DISTANCES = 500  # between all of which distances are measured
MAX_ENTRIES = 2**22  # so that wide rows are fewer
MIN_ROWS = 50  # of fewer, distances tell nothing
MAX_COLUMNS = 1000  # that distances are measured on, spread evenly

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

# Of rows with such a sign. By chance every third has one, on a curve; of n rows up to 2.7 / sqrt(n)
# more: four standard deviations of n / 2 draws, as two neighbours often share a gap.
LARGEST_SHARE = 0.4
CHANCE = 1 / 3

ROUNDING = 1e-6  # of a feature's standard deviation: nearer rows are equal, and one group anyway


def warn_of_related_rows(rows, held_out=None):
    """Warn if held-out rows look as if they were not new.

    Parameters
    ----------
    rows : Rows
    held_out : Rows or None
        None if they are to be some of `rows`.
    """
    found = find_related_rows(rows) if held_out is None else find_copied_rows(rows, held_out)
    if found is not None:
        warnings.warn(
            f"{found} The network may then be worse than PCA on new rows while it seems to be "
            f"better. Pass {name_remedy(rows, held_out)}.",
            stacklevel=7,  # where fit was called
        )


def name_remedy(rows, held_out):
    """Return what to pass to `fit` instead of rows of which some are held out, or of `held_out`."""
    groups, others = "groups, which says what rows belong together", "X_val, rows of other things"
    if held_out is not None:
        return f"another {others}"
    is_paired = rows.targets is not rows
    return groups if is_paired else f"{groups}, or {others}"


def find_related_rows(rows):
    """Return a sentence on how rows depend on each other, or None if nothing shows that."""
    sample = read_sample(rows)
    if sample is None:
        return None
    first, following, positions = sample
    step = -(-len(first) // MAX_ROWS_FOR_DISTANCES)
    few, next_few, at = first[::step], following[::step], positions[::step]
    signs = (
        (measure_near_copies(few, few), "have near copies"),
        (measure_order(few, next_few, at), "are nearer to the next row than to any other"),
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
    if min(len(first), len(new)) < MIN_ROWS:
        return None
    first, new = standardize_columns(first, new)
    share = measure_near_copies(new, first)
    # where many rows of X are equal to others, new ones may be, too
    equal, usual = find_equal(new, first), find_equal(first, first).mean()
    share = max(share, measure_share(equal, usual))
    if not share:
        return None
    return (
        f"Rows of X_val are not new, it seems: {share:.0%} of a sample of them are equal to rows "
        "of X, or near copies."
    )


def read_few(rows):
    """Return evenly spaced rows, at most `MAX_ROWS_FOR_DISTANCES`, as a float64 array."""
    n_fit = max(MIN_ROWS, min(MAX_ROWS_FOR_DISTANCES, MAX_ENTRIES // rows.shape[1]))
    index = torch.arange(0, len(rows), -(-len(rows) // n_fit))
    return fill_means(rows.read(index.to(rows.home)).double().cpu().numpy())


def fill_means(rows):
    """Return rows whose missing values have the means of their columns."""
    if not np.isnan(rows).any():
        return rows
    counts = np.maximum((~np.isnan(rows)).sum(axis=0), 1)
    return np.where(np.isnan(rows), np.nansum(rows, axis=0) / counts, rows)


def read_sample(rows):
    """Return rows of a sample, those that follow them, and their positions; None for few rows.

    They are arrays (n, n_features), by features of unit variance, and (n,).
    """
    n_rows, n_features = rows.shape
    if n_rows < MIN_ROWS:
        return None
    n_fit = max(MIN_ROWS, MAX_ENTRIES // n_features)
    n_sample = min(MAX_ROWS, n_fit, n_rows - 1)
    positions = np.linspace(0, n_rows - 2, n_sample).astype(np.int64)
    first, following = (
        fill_means(rows.read(torch.from_numpy(index).to(rows.home)).double().cpu().numpy())
        for index in (positions, positions + 1)
    )
    return *standardize_columns(first, following), positions


def standardize_columns(rows, others):
    """Return rows and others, both by mean and standard deviation of the columns of `rows`."""
    mean, deviation = rows.mean(axis=0), rows.std(axis=0)
    deviation[deviation == 0] = 1
    return (rows - mean) / deviation, (others - mean) / deviation


def measure_share(found, usual=0.0):
    """Return the mean of booleans, or 0 if it is not beyond chance and what is usual."""
    share = found.mean()
    largest = max(LARGEST_SHARE, CHANCE + 2.7 * len(found) ** -0.5)
    return share if share > usual + largest else 0.0


def measure_near_copies(rows, others):
    """Return the share of different rows with a gap behind their nearest neighbours in others."""
    rows = np.unique(rows, axis=0)  # equal ones have the same neighbours
    distances = compute_distances(rows, others)
    distances[are_equal(distances, rows)] = np.inf
    n_nearest = min(MAX_NEIGHBOURS, len(others) // 4)
    nearest = np.sort(np.partition(distances, n_nearest, axis=1)[:, : n_nearest + 1], axis=1)
    has_gap = (nearest[:, 1:] > GAP * nearest[:, :-1]) & np.isfinite(nearest[:, 1:])
    return measure_share(has_gap.any(axis=1))


def measure_order(first, following, positions):
    """Return the share of rows that are nearer to the next one than to any other in the sample."""
    distances = compute_distances(first, first)
    distances[np.abs(positions[:, None] - positions) < 2] = np.inf
    distances[are_equal(distances, first)] = np.inf
    columns = choose_columns(first)
    steps = np.sqrt(np.square(first[:, columns] - following[:, columns]).sum(axis=1))
    # where all distances are the same, they differ by rounding
    is_nearest = (1 + ROUNDING) * steps < distances.min(axis=1)
    return measure_share(~are_equal(steps, first) & is_nearest)


def measure_windows(first, following):
    """Return the share of rows that have a near copy if they are moved by some columns."""
    n_values = [len(np.unique(column)) for column in first[:, :MAX_WINDOW_COLUMNS].T]
    if min(n_values) < MIN_VALUES:
        return 0.0
    few = first[:: -(-len(first) // MAX_WINDOWS), :MAX_WINDOW_COLUMNS]
    others = np.concatenate([first, following])[:, :MAX_WINDOW_COLUMNS]
    n_columns = few.shape[1]
    order = np.random.RandomState(0).permutation(n_columns)
    is_itself = are_equal(euclidean_distances(few, others), few)  # smooth rows fit themselves
    largest = 0.0
    for lag in range(1, min(MAX_LAG, n_columns // MIN_WINDOW_COLUMNS) + 1):
        moved, kept = np.arange(lag, n_columns), np.arange(n_columns - lag)
        in_order = euclidean_distances(few[:, moved], others[:, kept])
        shuffled = euclidean_distances(few[:, order[moved]], others[:, order[kept]])
        in_order[is_itself] = shuffled[is_itself] = np.inf
        is_window = NEARER_IN_ORDER * in_order.min(axis=1) < shuffled.min(axis=1)
        largest = max(largest, measure_share(is_window))
    return largest


def find_equal(rows, others):
    """Tell which rows are equal to one of others, or to another of themselves."""
    n_own = int(rows is others)
    return are_equal(compute_distances(rows, others), rows).sum(axis=1) > n_own


def are_equal(distances, rows):
    """Tell which distances between rows are zero but for rounding."""
    return distances <= ROUNDING * rows.shape[1] ** 0.5


def compute_distances(rows, others):
    """Return the Euclidean distances between rows and others, on a choice of columns."""
    columns = choose_columns(rows)
    return euclidean_distances(rows[:, columns], others[:, columns])


def choose_columns(rows):
    """Return a slice of evenly spaced columns, at most `MAX_COLUMNS`."""
    return slice(None, None, -(-rows.shape[1] // MAX_COLUMNS))
