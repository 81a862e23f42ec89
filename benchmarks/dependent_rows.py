"""Compare the autoencoder with PCA on new rows, where the rows of the fit depend on each other.

    python benchmarks/dependent_rows.py                                  # two minutes
    python benchmarks/dependent_rows.py --mnist DIR [--tables SCRIPT]    # the checks of MNIST, too

The first table has R² on new rows minus PCA's, one column per seed, and whether `fit` warned. "with
groups": `fit` is told which rows belong together.

The second part has the time to find equal rows, as a share of a fit of MNIST, and the number of
sets on which `fit` warns of related rows though there are none. They are scikit-learn's bundled
sets, MNIST, and what the function `tables` of SCRIPT yields: pairs of a name and an array.
"""

import argparse
import importlib.util
import time
import warnings
from pathlib import Path

import numpy as np
from _data import BUNDLED, add_mnist_argument, load_bundled, load_mnist
from sklearn.datasets import load_breast_cancer
from sklearn.model_selection import train_test_split
from sklearn.neighbors import NearestNeighbors
from sklearn.preprocessing import StandardScaler

from sklearn_ae import AutoencoderTransformer
from sklearn_ae._related_rows import find_related_rows
from sklearn_ae._rows import make_rows
from sklearn_ae._split import label_copies

N_COMPONENTS = 8
N_MINORITY = 30


def make_repeated(rng):
    """Return 100 rows, each 12 times, groups of them, and new rows."""
    X = np.tile(rng.normal(size=(100, 30)), (12, 1))
    return X, np.tile(np.arange(100), 12), rng.normal(size=(400, 30))


def make_readings(rng, noise):
    """Return 20 noisy readings of each of 60 subjects, and readings of others."""

    def read(n_subjects, n_readings):
        subjects = np.repeat(rng.normal(size=(n_subjects, 30)), n_readings, axis=0)
        return subjects + noise * rng.normal(size=subjects.shape)

    return read(60, 20), np.repeat(np.arange(60), 20), read(400, 1)


def make_oversampled(rng, how):
    """Return a table with as many malignant tumours as benign ones, most of them made up."""
    X, y = load_breast_cancer(return_X_y=True)
    X, new, y, _ = train_test_split(X, y, random_state=rng.integers(2**31), stratify=y)
    scaler = StandardScaler().fit(X)
    X, new = scaler.transform(X), scaler.transform(new)
    majority, minority = X[y == 1], X[y == 0][:N_MINORITY]
    source = rng.integers(N_MINORITY, size=len(majority) - N_MINORITY)
    made = minority[source]
    if how == "jittered":
        made = made + 0.05 * rng.normal(size=made.shape)
    if how == "interpolated":  # as SMOTE does
        nearest = NearestNeighbors(n_neighbors=6).fit(minority).kneighbors(made)[1]
        other = minority[nearest[np.arange(len(made)), rng.integers(1, 6, size=len(made))]]
        made = made + rng.uniform(size=(len(made), 1)) * (other - made)
    n_own = len(majority) + N_MINORITY
    groups = np.r_[np.arange(n_own), len(majority) + source]
    if how == "interpolated":  # between them are rows that belong to both: all are one group
        groups = np.minimum(groups, len(majority))
    return np.concatenate([majority, minority, made]), groups, new


def make_windows(rng, block=60):
    """Return all windows of a series, blocks of them as groups, and windows of another series."""

    def draw():
        series = rng.normal(size=1030)
        for i in range(1, len(series)):
            series[i] += 0.9 * series[i - 1]
        return np.lib.stride_tricks.sliding_window_view(series, 30)

    X = draw()
    return X, np.arange(len(X)) // block, draw()


CASES = {
    "each row 12 times": make_repeated,
    "readings, noise 0.01": lambda rng: make_readings(rng, 0.01),
    "readings, noise 0.1": lambda rng: make_readings(rng, 0.1),
    "minority copied": lambda rng: make_oversampled(rng, "copied"),
    "minority jittered": lambda rng: make_oversampled(rng, "jittered"),
    "minority interpolated": lambda rng: make_oversampled(rng, "interpolated"),
    "windows of a series": make_windows,
}


def compare(make, seed, has_groups):
    """Return R² on new rows minus PCA's, and whether `fit` warned."""
    X, groups, new = make(np.random.default_rng(seed))
    autoencoder = AutoencoderTransformer(N_COMPONENTS, random_state=seed)
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        autoencoder.fit(X, groups=groups if has_groups else None)
    pca = AutoencoderTransformer(N_COMPONENTS, init="linear", max_epochs=0).fit(X)
    return autoencoder.score(new) - pca.score(new), any("not new" in str(w.message) for w in caught)


def print_gains(n_seeds):
    print("R² on new rows - PCA's")
    print(f"{'':24}{'':14}{'seeds':<{9 * n_seeds}}{'warnings':>10}")
    for name, make in CASES.items():
        for has_groups in (False, True):
            results = [compare(make, seed, has_groups) for seed in range(n_seeds)]
            gains = "".join(f"{gain:<+9.3f}" for gain, _ in results)
            n_warned = sum(warned for _, warned in results)
            how = "with groups" if has_groups else "without"
            print(f"{name:24}{how:14}{gains}{n_warned:>5} of {n_seeds}", flush=True)


def print_cost(X, n_rounds=3):
    """Print the time to find equal rows, and that of a fit."""
    start = time.perf_counter()
    AutoencoderTransformer(16, random_state=0).fit(X)
    fit = time.perf_counter() - start
    seconds = []
    for _ in range(n_rounds):
        start = time.perf_counter()
        label_copies([make_rows(X)])
        seconds.append(time.perf_counter() - start)
    equal = np.median(seconds)
    print(f"\n{len(X):,} x {X.shape[1]}: equal rows {equal:.2f} s, a fit {fit:.1f} s, ", end="")
    print(f"a share of {equal / fit:.3f}", flush=True)


def load_tables(script):
    """Yield what the function `tables` of a script yields."""
    spec = importlib.util.spec_from_file_location(script.stem, script)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    yield from module.tables()


def print_false_warnings(mnist, script):
    tables = [(name, load_bundled(name)[0]) for name in BUNDLED]
    tables += [("MNIST", mnist), ("a tenth of MNIST", mnist[::10])]
    tables += [] if script is None else list(load_tables(script))
    found = [(name, find_related_rows(make_rows(np.asarray(X)))) for name, X in tables]
    found = [(name, what) for name, what in found if what is not None]
    print(f"\nwarnings on {len(found)} of {len(tables)} sets")
    for name, what in found:
        print(f"{name}: {what}")


def main():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    add_mnist_argument(parser)
    parser.add_argument("--tables", type=Path, metavar="SCRIPT", help="more sets for the checks")
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--skip-gains", action="store_true", help="no table of gains")
    args = parser.parse_args()
    if not args.skip_gains:
        print_gains(args.seeds)
    if args.mnist is not None:
        X = load_mnist(args.mnist)[0]
        print_false_warnings(X, args.tables)
        print_cost(X)


if __name__ == "__main__":
    main()
