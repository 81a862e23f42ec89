"""Compare sparse and dense products in the first layer: times of fit and transform.

    python benchmarks/sparse_rows.py [--rounds 3]

Fits one epoch from random weights, with 16 code units and batches of 200. The two kinds of product
take turns.
"""

import argparse
import time

import numpy as np
from scipy import sparse

from sklearn_ae import AutoencoderTransformer, _rows

TABLES = (
    (20_000, 1_000, 0.1),
    (20_000, 2_000, 0.01),
    (20_000, 2_000, 0.05),
    (5_000, 20_000, 0.005),
)


def fit_and_transform_seconds(X, max_density):
    _rows.MAX_DENSITY = max_density
    autoencoder = AutoencoderTransformer(
        16, linear_start=False, max_epochs=1, batch_size=200, early_stopping=False, random_state=0
    )
    start = time.perf_counter()
    autoencoder.fit(X)
    fitted = time.perf_counter()
    autoencoder.transform(X)
    return fitted - start, time.perf_counter() - fitted


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


if __name__ == "__main__":
    main()
