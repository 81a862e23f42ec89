"""Compare sparse rows with dense ones, and the start of sparse tables with scikit-learn's PCA.

    python benchmarks/sparse_rows.py [--rounds 3]

The first table is for products in the first layer: one epoch from random weights, with 16 code
units and batches of 200. The second is for the start alone, against `PCA(svd_solver="arpack")` on
the same table: time, and peak of the memory that NumPy allocates. What is compared takes turns.
"""

import argparse
import time
import tracemalloc

import numpy as np
from scipy import sparse
from sklearn.decomposition import PCA

from sklearn_ae import AutoencoderTransformer, _rows
from sklearn_ae._start import compute_start
from sklearn_ae._units import Units

TABLES = (
    (20_000, 1_000, 0.1),
    (20_000, 2_000, 0.01),
    (20_000, 2_000, 0.05),
    (5_000, 20_000, 0.005),
)


START_TABLES = (
    (3_000, 20_000, 0.003),
    (200, 20_000, 0.01),
    (50_000, 300, 0.02),
    (50_000, 1_000, 0.1),
)


def fit_and_transform_seconds(X, max_density):
    _rows.MAX_DENSITY = max_density
    autoencoder = AutoencoderTransformer(
        16, init="random", max_epochs=1, batch_size=200, early_stopping=False, random_state=0
    )
    start = time.perf_counter()
    autoencoder.fit(X)
    fitted = time.perf_counter()
    autoencoder.transform(X)
    return fitted - start, time.perf_counter() - fitted


def measure(function):
    """Return the seconds that a function takes, and the peak of its memory in MB."""
    start = time.perf_counter()
    function()
    seconds = time.perf_counter() - start
    tracemalloc.start()
    function()
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    return np.array([seconds, peak / 2**20])


def compare_start(X, n_rounds):
    """Return time and memory of PCA, and those of the start as multiples of them: medians."""
    rows = _rows.make_rows(X)
    units = Units.from_moments(rows.compute_moments(), rows.dtype)
    of_pca, ratios = [], []
    for _ in range(n_rounds):
        of_pca.append(measure(lambda: PCA(16, svd_solver="arpack", random_state=0).fit(X)))
        ratios.append(measure(lambda: compute_start(rows, units, 16, 0)) / of_pca[-1])
    return *np.median(of_pca, axis=0), *np.median(ratios, axis=0)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=3)
    args = parser.parse_args()
    print("time with dense products ÷ with sparse ones, medians")
    print(f"{'rows':>8}{'features':>10}{'stored':>8}{'fit':>7}{'transform':>11}")
    for n_rows, n_features, density in TABLES:
        X = sparse.random_array(
            (n_rows, n_features), density=density, format="csr", dtype=np.float32, rng=0
        )
        ratios = []
        for _ in range(args.rounds):
            as_dense, as_sparse = (fit_and_transform_seconds(X, share) for share in (-1.0, 1.0))
            ratios.append(np.divide(as_dense, as_sparse))
        fit, transform = np.median(ratios, axis=0)
        print(f"{n_rows:8,}{n_features:10,}{density:8.1%}{fit:7.2f}{transform:11.2f}", flush=True)
    print("\nthe start ÷ PCA, medians")
    print(f"{'rows':>8}{'features':>10}{'stored':>8}{'PCA':>12}{'time':>14}{'memory':>8}")
    for n_rows, n_features, density in START_TABLES:
        X = sparse.random_array((n_rows, n_features), density=density, format="csr", rng=0)
        seconds, peak, time_ratio, memory_ratio = compare_start(X, args.rounds)
        print(
            f"{n_rows:8,}{n_features:10,}{density:8.1%}{seconds:8.2f} s {peak:6.1f} MB"
            f"{time_ratio:8.2f}{memory_ratio:8.2f}",
            flush=True,
        )


if __name__ == "__main__":
    main()
