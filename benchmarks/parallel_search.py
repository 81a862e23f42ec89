"""Compare the time of a grid search in two processes with that in one process.

    python benchmarks/parallel_search.py [--rounds 3]

The search makes 20 default fits, for four code sizes and five folds, on 5,000 rows of 64 features.
"""

import argparse
import statistics
import time

import numpy as np
from sklearn.model_selection import GridSearchCV

from sklearn_ae import AutoencoderTransformer


def seconds(X, n_jobs):
    search = GridSearchCV(
        AutoencoderTransformer(random_state=0), {"n_components": [2, 4, 8, 16]}, n_jobs=n_jobs
    )
    start = time.perf_counter()
    search.fit(X)
    return time.perf_counter() - start


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=3)
    args = parser.parse_args()
    rng = np.random.default_rng(0)
    X = np.tanh(rng.normal(size=(5000, 8)) @ rng.normal(size=(8, 64)))
    X = (X + 0.1 * rng.normal(size=X.shape)).astype(np.float32)
    ratios = []
    print(f"{'round':>5}{'1 process, s':>15}{'2 processes, s':>16}{'ratio':>8}")
    for i in range(args.rounds):
        one, two = seconds(X, 1), seconds(X, 2)
        ratios.append(one / two)
        print(f"{i:5}{one:15.1f}{two:16.1f}{ratios[-1]:8.2f}", flush=True)
    print(f"median {statistics.median(ratios):.2f}")


if __name__ == "__main__":
    main()
