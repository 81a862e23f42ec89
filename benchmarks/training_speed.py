"""Compare the times of an epoch, the default fit and transform with plain torch and its wrappers.

    python benchmarks/training_speed.py --mnist DIR

All contenders have the same network, batch size and number of epochs. Every round runs all of them
in turn in one process; the table has medians over the rounds. The time of an epoch is that of the
whole fit, including preparation, divided by the number of epochs.
"""

import argparse
import itertools
import statistics
import time
import warnings

import numpy as np
import torch
import torch.nn.functional as F
from _data import add_mnist_argument, load_bundled, load_mnist
from sklearn.decomposition import PCA
from sklearn.exceptions import ConvergenceWarning
from sklearn.neural_network import MLPRegressor
from skorch import NeuralNetRegressor
from torch import nn

from sklearn_ae import AutoencoderTransformer

LEARNING_RATE = 1e-3


def network(widths):
    """Return the textbook autoencoder in plain torch: ReLU except at the output."""
    widths = [*widths, *widths[-2::-1]]
    layers = []
    for n_in, n_out in itertools.pairwise(widths):
        layers += [nn.Linear(n_in, n_out), nn.ReLU()]
    return nn.Sequential(*layers[:-1])


def hand_written(X, widths, batch_size, n_epochs):
    X = torch.as_tensor(X)
    module = network(widths)
    optimizer = torch.optim.Adam(module.parameters(), lr=LEARNING_RATE, fused=True)
    for _ in range(n_epochs):
        order = torch.randperm(len(X))
        for i in range(0, len(X), batch_size):
            batch = X[order[i : i + batch_size]]
            optimizer.zero_grad()
            F.mse_loss(module(batch), batch).backward()
            optimizer.step()


def ours(X, widths, batch_size, n_epochs, schedule="constant"):
    AutoencoderTransformer(
        widths[-1],
        hidden_layer_sizes=widths[1:-1],
        activation="relu",
        code_activation="relu",
        init="random",
        learning_rate=LEARNING_RATE,
        schedule=schedule,
        batch_size=batch_size,
        max_epochs=n_epochs,
        early_stopping=False,
    ).fit(X)


def ours_one_cycle(*args):
    ours(*args, schedule="one_cycle")


def stock_skorch(X, widths, batch_size, n_epochs):
    NeuralNetRegressor(
        network(widths),
        optimizer=torch.optim.Adam,
        optimizer__fused=True,
        lr=LEARNING_RATE,
        batch_size=batch_size,
        max_epochs=n_epochs,
        iterator_train__shuffle=True,
        train_split=None,
        verbose=0,
    ).fit(X, X)


def mlp_regressor(X, widths, batch_size, n_epochs):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        MLPRegressor(
            hidden_layer_sizes=[*widths[1:], *widths[-2:0:-1]],
            learning_rate_init=LEARNING_RATE,
            batch_size=batch_size,
            max_iter=n_epochs,
            tol=0,
            n_iter_no_change=n_epochs,
        ).fit(X, X)


def keras(X, widths, batch_size, n_epochs):
    from keras import Sequential, layers, optimizers

    units = [*widths[1:], *widths[-2::-1]]
    dense = [layers.Dense(n, activation="relu") for n in units[:-1]]
    model = Sequential([layers.Input(widths[:1]), *dense, layers.Dense(units[-1])])
    model.compile(optimizers.Adam(LEARNING_RATE), "mean_squared_error")
    model.fit(X, X, batch_size=batch_size, epochs=n_epochs, verbose=0)


def contenders():
    found = [hand_written, ours, ours_one_cycle, stock_skorch, mlp_regressor]
    try:
        import keras  # noqa: F401
    except ImportError:
        return found
    return [*found, globals()["keras"]]


def seconds(function, *args):
    start = time.perf_counter()
    function(*args)
    return time.perf_counter() - start


def rounds(functions, n_rounds):
    """Return the median time of each function, called in turn `n_rounds` times."""
    times = {name: [] for name in functions}
    for _ in range(n_rounds):
        for name, function in functions.items():
            times[name].append(seconds(function))
    return {name: statistics.median(values) for name, values in times.items()}


def epoch_table(title, X, widths, batch_size, n_epochs, n_rounds):
    functions = {f.__name__: lambda f=f: f(X, widths, batch_size, n_epochs) for f in contenders()}
    times = rounds(functions, n_rounds)
    print(f"\n{title}, batches of {batch_size}, {n_epochs} epochs, {n_rounds} rounds")
    print(f"{'':16}{'s an epoch':>12}{'÷ hand-written':>16}{'÷ ours':>9}")
    for name, value in times.items():
        print(
            f"{name:16}{value / n_epochs:12.4f}{value / times['hand_written']:16.2f}"
            f"{value / times['ours']:9.2f}"
        )


def default_fit_table(X_train, X_test, n_rounds):
    scores = []

    def default_fit():
        autoencoder = AutoencoderTransformer(32, random_state=len(scores)).fit(X_train)
        scores.append(-autoencoder.score_samples(X_test).mean())

    functions = {
        "hand-written epoch": lambda: hand_written(X_train, [784, 32], 200, 1),
        "default fit": default_fit,
    }
    times = rounds(functions, n_rounds)
    epochs = times["default fit"] / times["hand-written epoch"]
    print(f"\nMNIST, 32 codes, defaults: test mean squared errors {np.round(scores, 5)}")
    print(f"fit and test in {epochs:.1f} hand-written epochs of 784-32-784")


def transform_table(X, n_rounds):
    pca = PCA(32, random_state=0).fit(X[:5000])
    print(f"\ntransform of {X.shape[0]} x {X.shape[1]}, medians of {n_rounds} rounds")
    print(f"{'':30}{'÷ one torch forward':>20}{'operations a second ÷ PCA':>28}")
    for title, params in {
        "784-512-32 with linear path": {},
        "784-32 with linear path": {"hidden_layer_sizes": ()},
        "784-32 textbook": {"hidden_layer_sizes": (), "init": "random"},
    }.items():
        autoencoder = AutoencoderTransformer(32, max_epochs=1, **params).fit(X[:5000])
        u = torch.as_tensor((X - autoencoder.mean_) / np.float32(autoencoder.scale_))

        def forward(encoder=autoencoder.encoder_, u=u):
            with torch.no_grad():
                encoder(u)

        functions = {
            "forward": forward,
            "transform": lambda a=autoencoder: a.transform(X),
            "pca": lambda: pca.transform(X),
        }
        times = rounds(functions, n_rounds)
        weights = [p.numel() for p in autoencoder.encoder_.parameters() if p.ndim == 2]
        work = sum(weights) / pca.components_.size
        print(
            f"{title:30}{times['transform'] / times['forward']:20.2f}"
            f"{work * times['pca'] / times['transform']:28.2f}"
        )


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    add_mnist_argument(parser)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--epochs", type=int, default=5)
    args = parser.parse_args()
    X_train, _, X_test, _ = load_mnist(args.mnist)
    digits = (load_bundled("digits")[0] / 16).astype(np.float32)
    epoch_table("digits 64-32-8-32-64", digits, [64, 32, 8], 32, 4 * args.epochs, args.rounds)
    epoch_table("MNIST 784-32-784", X_train, [784, 32], 200, args.epochs, args.rounds)
    default_fit_table(X_train, X_test, args.rounds)
    transform_table(X_train, 2 * args.rounds + 1)


if __name__ == "__main__":
    main()
