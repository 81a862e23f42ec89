"""Compare the time to a given error with Keras, stock skorch and MLPRegressor.

    python benchmarks/time_to_quality.py --mnist DIR [--rounds 3]

The first table has the time and the mean squared error on test images of several fits. It starts
with the Keras 784-32-784 autoencoder of the tutorials, 20 epochs of batches of 200, if Keras is
installed. The next rows change that network step by step to the defaults of this package.

The second table compares the default fit with stock skorch and MLPRegressor of the same layer
widths. These train epoch by epoch until they reach the same held-out R², or for at most `LIMIT`
times as long. Scoring is not counted.
"""

import argparse
import itertools
import os
import statistics
import time
import warnings

import numpy as np
import torch
from _data import add_mnist_argument, load_bundled, load_mnist
from sklearn.exceptions import ConvergenceWarning
from sklearn.metrics import r2_score
from sklearn.model_selection import train_test_split
from sklearn.neural_network import MLPRegressor
from skorch import NeuralNetRegressor
from torch import nn

from sklearn_ae import AutoencoderTransformer

LIMIT = 4

TEXTBOOK = {
    "init": "random",
    "hidden_layer_sizes": (),
    "code_activation": "relu",
    "output_activation": "logistic",
    "learning_rate": 1e-3,
    "schedule": "constant",
    "batch_size": 200,
    "max_epochs": 20,
    "early_stopping": False,
}
ONE_CYCLE = {**TEXTBOOK, "schedule": "one_cycle", "learning_rate": 0.008, "max_epochs": 5}
LADDER = {
    "784-32-784 by its recipe": TEXTBOOK,
    "one_cycle to 0.008, 5 epochs": ONE_CYCLE,
    "linear start, 256 hidden, 1 epoch": {"max_epochs": 1, "hidden_layer_sizes": (256,)},
    "the same with clip=True": {"max_epochs": 1, "hidden_layer_sizes": (256,), "clip": True},
    "defaults, 1 epoch": {"max_epochs": 1},
    "the same in batches of 100": {"max_epochs": 1, "batch_size": 100},
    "the same in batches of 400": {"max_epochs": 1, "batch_size": 400},
    "the same without held-out rows": {"max_epochs": 1, "early_stopping": False},
    "the same from random weights": {"max_epochs": 1, "init": "random"},
    "defaults": {},
}


def keras_seconds_and_error(X_train, X_test):
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    from keras import Sequential, layers, optimizers

    code, output = layers.Dense(32, activation="relu"), layers.Dense(784, activation="sigmoid")
    model = Sequential([code, output])
    model.compile(optimizers.Adam(1e-3), "mean_squared_error")
    start = time.perf_counter()
    model.fit(X_train, X_train, batch_size=200, epochs=20, verbose=0)
    seconds = time.perf_counter() - start
    return seconds, float(np.square(model.predict(X_test, verbose=0) - X_test).mean())


def our_seconds_and_error(X_train, X_test, params, seed):
    start = time.perf_counter()
    autoencoder = AutoencoderTransformer(32, random_state=seed, **params).fit(X_train)
    return time.perf_counter() - start, -autoencoder.score_samples(X_test).mean()


def ladder_table(X_train, X_test, n_rounds):
    contenders = {
        name: lambda seed, params=params: our_seconds_and_error(X_train, X_test, params, seed)
        for name, params in LADDER.items()
    }
    try:
        import keras  # noqa: F401

        keras_name = "Keras 784-32-784, 20 epochs"
        contenders = {
            keras_name: lambda _: keras_seconds_and_error(X_train, X_test),
            **contenders,
        }
    except ImportError:
        keras_name = next(iter(LADDER))
    found = {name: [] for name in contenders}
    for seed in range(n_rounds):
        for name, run in contenders.items():
            found[name].append(run(seed))
    medians = {name: np.median(values, axis=0) for name, values in found.items()}
    print(f"\nMNIST, 32 codes, medians of {n_rounds} rounds")
    print(f"{'':36}{'seconds':>9}{'test error':>12}{'first ÷ this':>14}")
    for name, (seconds, error) in medians.items():
        print(f"{name:36}{seconds:9.2f}{error:12.5f}{medians[keras_name][0] / seconds:14.1f}")


def network(widths):
    """Return the default network in plain torch: SiLU, but linear code and output."""
    n_features, *hidden, n_components = widths
    encoder = [n_features, *hidden, n_components]
    layers = []
    for sizes in (encoder, encoder[::-1]):
        for n_in, n_out in itertools.pairwise(sizes):
            layers += [nn.Linear(n_in, n_out), nn.SiLU()]
        layers.pop()
    return nn.Sequential(*layers)


def skorch_epochs(X, widths, batch_size):
    """Train a stock skorch net; yield a function that reconstructs after each epoch."""
    net = NeuralNetRegressor(
        network(widths),
        optimizer=torch.optim.Adam,
        lr=1e-3,
        batch_size=batch_size,
        max_epochs=1,
        iterator_train__shuffle=True,
        train_split=None,
        verbose=0,
    )
    while True:
        net.partial_fit(X, X)
        yield net.predict


def mlp_epochs(X, widths, batch_size):
    """Train an MLPRegressor; yield a function that reconstructs after each epoch."""
    hidden = [*widths[1:], *widths[-2:0:-1]]
    mlp = MLPRegressor(
        hidden_layer_sizes=hidden, batch_size=batch_size, max_iter=1, warm_start=True
    )
    while True:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ConvergenceWarning)
            mlp.fit(X, X)
        yield mlp.predict


def seconds_to(score, epochs, X_test, limit):
    """Return the seconds until held-out R² is `score`, at most `limit`, and the best R²."""
    seconds, best = 0.0, -np.inf
    while best < score and seconds < limit:
        start = time.perf_counter()
        predict = next(epochs)
        seconds += time.perf_counter() - start
        best = max(best, r2_score(X_test, predict(X_test), multioutput="variance_weighted"))
    return seconds, best


def peers_table(title, X_train, X_test, n_components, n_rounds):
    mean = X_train.mean(axis=0)  # ours centres and scales by itself
    scale = np.sqrt(X_train.var(axis=0).mean())
    u_train, u_test = ((X - mean) / scale for X in (X_train, X_test))
    print(f"\n{title}, {n_components} codes, {n_rounds} rounds")
    print(f"{'':16}{'R²':>8}{'seconds':>10}{'ours ÷ it':>12}")
    rows = {"ours": [], "stock skorch": [], "MLPRegressor": []}
    for seed in range(n_rounds):
        start = time.perf_counter()
        autoencoder = AutoencoderTransformer(n_components, random_state=seed).fit(X_train)
        ours = time.perf_counter() - start
        score = autoencoder.score(X_test)
        rows["ours"].append((score, ours, 1.0))
        hidden = autoencoder._model_.architecture.hidden_layer_sizes
        widths = [X_train.shape[1], *hidden, n_components]
        batch_size = autoencoder.net_.batch_size
        for name, epochs in (("stock skorch", skorch_epochs), ("MLPRegressor", mlp_epochs)):
            trained = epochs(u_train, widths, batch_size)
            seconds, best = seconds_to(score, trained, u_test, LIMIT * ours)
            rows[name].append((best, seconds, ours / seconds))
    for name, values in rows.items():
        best, seconds, ratio = (statistics.median(column) for column in zip(*values, strict=True))
        reached = sum(value[0] >= rows["ours"][i][0] for i, value in enumerate(values))
        note = "" if name == "ours" else f"   reached in {reached} of {n_rounds}"
        print(f"{name:16}{best:8.4f}{seconds:10.2f}{ratio:12.2f}{note}")


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    add_mnist_argument(parser)
    parser.add_argument("--rounds", type=int, default=3)
    args = parser.parse_args()
    X_train, _, X_test, _ = load_mnist(args.mnist)
    AutoencoderTransformer(2, max_epochs=1).fit(X_train[:100])  # warm up torch's imports
    ladder_table(X_train, X_test, args.rounds)
    digits = train_test_split(load_bundled("digits")[0].astype(np.float32), random_state=0)
    peers_table("digits", *digits, 8, args.rounds)
    peers_table("MNIST", X_train, X_test, 32, args.rounds)


if __name__ == "__main__":
    main()
