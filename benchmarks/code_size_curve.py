"""Compare the wall time of `code_size_curve` in two processes with that of a plain loop.

python benchmarks/code_size_curve.py [--rounds 3]

PCA and the autoencoder on the digits, with six code sizes and five folds. The loop fits both for
each size in this process, where torch uses all cores for each; `code_size_curve` fits PCA once in
each fold and cuts it. The two take turns in going first.
"""

import argparse
from time import perf_counter

import numpy as np
from sklearn.base import clone
from sklearn.datasets import load_digits
from sklearn.decomposition import PCA
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import StratifiedKFold
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from sklearn_ae import AutoencoderTransformer
from sklearn_ae.inspection import code_size_curve
from sklearn_ae.metrics import reconstruction_r2

CODE_SIZES = [2, 4, 8, 16, 32, 64]
REDUCERS = {"PCA": PCA(random_state=0), "autoencoder": AutoencoderTransformer(random_state=0)}


def in_a_loop(X, y):
    """Return R² and accuracy by reducer, code size and fold, computed in a loop."""
    folds = list(StratifiedKFold(5).split(X, y))
    scores = np.empty((2, len(REDUCERS), len(CODE_SIZES), len(folds)))
    for i, reducer in enumerate(REDUCERS.values()):
        for j, size in enumerate(CODE_SIZES):
            for k, (train, test) in enumerate(folds):
                fitted = clone(reducer).set_params(n_components=size).fit(X[train])
                classifier = make_pipeline(StandardScaler(), LogisticRegression(max_iter=1000))
                classifier.fit(fitted.transform(X[train]), y[train])
                scores[0, i, j, k] = reconstruction_r2(fitted, X[test])
                scores[1, i, j, k] = classifier.score(fitted.transform(X[test]), y[test])
    return scores


def in_one_call(X, y):
    """Return R² and accuracy, computed by `code_size_curve`."""
    curve = code_size_curve(REDUCERS, X, y, n_components=CODE_SIZES, cv=5, n_jobs=2)
    return np.stack([curve.reconstruction_score, curve.classifier_score])


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=3)
    X, y = load_digits(return_X_y=True)
    ways = {"loop": in_a_loop, "code_size_curve": in_one_call}
    seconds = {name: [] for name in ways}
    print(f"{'round':>5}{'loop, s':>10}{'code_size_curve, s':>20}{'ratio':>8}", flush=True)
    for number in range(parser.parse_args().rounds):
        scores = {}
        for name in list(ways)[:: -1 if number % 2 else 1]:
            start = perf_counter()
            scores[name] = ways[name](X, y)
            seconds[name].append(perf_counter() - start)
        loop, call = (times[-1] for times in seconds.values())
        print(f"{number:5}{loop:10.1f}{call:20.1f}{loop / call:8.2f}", flush=True)
    ratios = np.divide(*seconds.values())
    print(f"median ratio {np.median(ratios):.2f}; mean scores, loop and call:")
    for name, values in scores.items():
        print(f"{name:16}" + " ".join(f"{v:.4f}" for v in values.mean(axis=(2, 3)).ravel()))


if __name__ == "__main__":
    main()
