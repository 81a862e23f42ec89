"""Compare reconstruction and classification accuracy of the autoencoder and PCA on six data sets.

    python benchmarks/against_pca.py --mnist DIR                      # the published tables
    python benchmarks/against_pca.py --mnist DIR --set learning_rate=0.005 --set n_iter_no_change=10

The defaults of `AutoencoderTransformer` were chosen with this script. Each `--set` replaces one
default, and the summary lines show its effect on both tables. Features of different units are
standardised. Digits have values from 0 to 16, and MNIST from 0 to 1.
"""

import argparse
import time

import numpy as np
from _data import BUNDLED, add_mnist_argument, add_set_argument, load_bundled, load_mnist
from joblib import Parallel, delayed
from sklearn.decomposition import PCA
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import train_test_split
from sklearn.neighbors import KNeighborsClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from sklearn_ae import AutoencoderTransformer

CODE_SIZES = (2, 4, 8, 16, 32)
N_MNIST_ROWS_TO_CLASSIFY = 10_000


def pca_r2(X_train, X_test, n_components):
    pca = PCA(n_components, random_state=0).fit(X_train)
    error = X_test - pca.inverse_transform(pca.transform(X_test))
    return 1 - np.square(error).sum() / np.square(X_test - X_test.mean(axis=0)).sum()


def reconstruction(data, n_components, seed, params):
    """Return held-out R² of PCA, ours and the textbook network, then our best epoch and seconds."""
    X_train, _, X_test, _ = data(seed)
    start = time.perf_counter()
    ours = AutoencoderTransformer(n_components, random_state=seed, **params).fit(X_train)
    elapsed = time.perf_counter() - start
    textbook = AutoencoderTransformer(
        n_components, random_state=seed, **{**params, "init": "random"}
    ).fit(X_train)
    return (
        pca_r2(X_train, X_test, n_components),
        ours.score(X_test),
        textbook.score(X_test),
        ours.best_epoch_,
        elapsed,
    )


def accuracies(data, n_components, seed, params):
    """Return test accuracies of PCA and ours: logistic regression, then nearest neighbours."""
    X_train, y_train, X_test, y_test = data(seed)
    if len(X_train) > N_MNIST_ROWS_TO_CLASSIFY:
        rows = np.random.RandomState(seed).permutation(len(X_train))[:N_MNIST_ROWS_TO_CLASSIFY]
        X_train, y_train = X_train[rows], y_train[rows]
    result = []
    for classifier in (LogisticRegression(max_iter=1000), KNeighborsClassifier()):
        for reducer in (
            PCA(n_components, random_state=seed),
            AutoencoderTransformer(n_components, random_state=seed, **params),
        ):
            pipeline = make_pipeline(reducer, StandardScaler(), classifier).fit(X_train, y_train)
            result.append(pipeline.score(X_test, y_test))
    return tuple(result)


def splits_of(name, mnist_folder):
    """Return a function of the seed that splits the data set."""
    if name == "MNIST":
        mnist = load_mnist(mnist_folder)
        return lambda _seed: mnist
    X, y = load_bundled(name)

    def split(seed):
        X_train, X_test, y_train, y_test = train_test_split(X, y, random_state=seed)
        if name != "digits":  # all features of the digits have the same unit
            scaler = StandardScaler().fit(X_train)
            X_train, X_test = scaler.transform(X_train), scaler.transform(X_test)
        return X_train, y_train, X_test, y_test

    return split


def cells(names, data, code_sizes, n_seeds):
    return [
        (name, size, seed)
        for name in names
        for size in code_sizes
        if size < data[name](0)[0].shape[1]
        for seed in range(n_seeds)
    ]


def run(function, table, data, params, n_jobs):
    return Parallel(n_jobs=n_jobs)(
        delayed(function)(data[name], size, seed, params) for name, size, seed in table
    )


def print_by_size(table, results, header, row):
    print(header)
    for name, size in dict.fromkeys((name, size) for name, size, _ in table):
        values = [r for cell, r in zip(table, results, strict=True) if cell[:2] == (name, size)]
        print(f"{name:14}{size:4} {row(np.array(values))}", flush=True)


def reconstruction_table(data, n_seeds, params, n_jobs):
    table = cells(data, data, CODE_SIZES, n_seeds)
    results = run(reconstruction, table, data, params, n_jobs)
    print_by_size(
        table,
        results,
        f"{'R², held out':18} {'PCA':>7}{'ours':>8}{'least gain':>12}{'textbook':>10}"
        f"{'best epochs':>20}{'seconds':>9}",
        lambda v: (
            f"{v[:, 0].mean():7.3f}{v[:, 1].mean():8.3f}{(v[:, 1] - v[:, 0]).min():+12.4f}"
            f"{v[:, 2].mean():10.3f}{v[:, 3].astype(int).tolist()!s:>20}{v[:, 4].mean():9.1f}"
        ),
    )
    gains = np.array([ours - pca for pca, ours, *_ in results])
    textbook = np.array([t - pca for pca, _, t, *_ in results])
    print(f"ours ≥ PCA - 0.001 in {np.sum(gains >= -0.001)} of {len(gains)} cells, ", end="")
    print(f"least gain {gains.min():+.4f}, mean gain {gains.mean():+.4f}; ", end="")
    print(f"textbook ≥ PCA - 0.001 in {np.sum(textbook >= -0.001)}\n")


def accuracy_table(data, n_seeds, params, n_jobs):
    names = [name for name in data if name != "diabetes"]
    table = cells(names, data, CODE_SIZES[:-1], n_seeds)
    results = run(accuracies, table, data, params, n_jobs)
    print_by_size(
        table,
        results,
        f"{'test accuracy':18} {'PCA':>7}{'ours':>8} (logistic regression)"
        f"{'PCA':>7}{'ours':>8} (neighbours)",
        lambda v: (
            f"{v[:, 0].mean():7.3f}{v[:, 1].mean():8.3f}{'':22}"
            f"{v[:, 2].mean():7.3f}{v[:, 3].mean():8.3f}"
        ),
    )
    gain = np.array(results)[:, 1::2] - np.array(results)[:, ::2]
    regression, neighbours = gain.mean(axis=0)
    print("mean of ours - PCA: ", end="")
    print(f"logistic regression {regression:+.4f}, neighbours {neighbours:+.4f}\n")


def main():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    add_mnist_argument(parser)
    parser.add_argument("--data", nargs="+", default=[*BUNDLED, "MNIST"], metavar="NAME")
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--jobs", type=int, default=1)
    parser.add_argument("--skip", nargs="*", default=[], choices=["reconstruction", "accuracy"])
    add_set_argument(parser)
    args = parser.parse_args()
    params = dict(args.set)
    data = {name: splits_of(name, args.mnist) for name in args.data}
    print(f"{args.seeds} seeds, {params or 'defaults'}\n")
    if "reconstruction" not in args.skip:
        reconstruction_table(data, args.seeds, params, args.jobs)
    if "accuracy" not in args.skip:
        accuracy_table(data, args.seeds, params, args.jobs)


if __name__ == "__main__":
    main()
