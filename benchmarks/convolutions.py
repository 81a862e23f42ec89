"""Measure the time of an epoch of convolutional networks, and compare them with dense ones.

    python benchmarks/convolutions.py --mnist DIR

The first table compares the time of an epoch with that of a hand-written torch loop over the same
network. All run in turn in one process; the numbers are medians over the rounds (--rounds 0 skips
this table).

The second table trains dense and convolutional networks with the linear path for the same time.
The number of epochs is estimated from two shorter fits, and the learning rate falls to zero at
the end of the last epoch.
"""

import argparse
import statistics
import time

import torch
import torch.nn.functional as F
from _data import add_mnist_argument, load_mnist
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from torch import nn

from sklearn_ae import AutoencoderTransformer

FILTERS, IMAGE_SHAPE, N_COMPONENTS, BATCH_SIZE = (16, 8, 8), (1, 28, 28), 128, 200

NETWORKS = {
    "dense 512-256": {"hidden_layer_sizes": (512, 256)},
    "convolutional 16-8-8": {"conv_filters": (16, 8, 8), "hidden_layer_sizes": ()},
    "convolutional 16-8-8, 256": {"conv_filters": (16, 8, 8), "hidden_layer_sizes": (256,)},
}


def hand_written_network():
    return nn.Sequential(
        nn.Unflatten(1, IMAGE_SHAPE),
        *(nn.Conv2d(1, 16, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2, ceil_mode=True)),
        *(nn.Conv2d(16, 8, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2, ceil_mode=True)),
        *(nn.Conv2d(8, 8, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2, ceil_mode=True)),
        *(nn.Flatten(), nn.Linear(128, N_COMPONENTS)),
        *(nn.Linear(N_COMPONENTS, 128), nn.ReLU(), nn.Unflatten(1, (8, 4, 4))),
        *(nn.Upsample(7), nn.Conv2d(8, 8, 3, padding=1), nn.ReLU()),
        *(nn.Upsample(14), nn.Conv2d(8, 16, 3, padding=1), nn.ReLU()),
        *(nn.Upsample(28), nn.Conv2d(16, 1, 3, padding=1), nn.Flatten()),
    )


def hand_written(X, memory_format=torch.contiguous_format):
    """Train one epoch in plain torch."""
    X = torch.as_tensor(X)
    module = hand_written_network().to(memory_format=memory_format)
    optimizer = torch.optim.Adam(module.parameters(), fused=True)
    order = torch.randperm(len(X))
    for i in range(0, len(X), BATCH_SIZE):
        batch = X[order[i : i + BATCH_SIZE]]
        optimizer.zero_grad()
        F.binary_cross_entropy_with_logits(module(batch), batch).backward()
        optimizer.step()


def hand_written_channels_last(X):
    hand_written(X, torch.channels_last)


def ours(X, **params):
    textbook = {"activation": "relu", "init": "random", "loss": "binary_cross_entropy"}
    AutoencoderTransformer(
        N_COMPONENTS,
        conv_filters=FILTERS,
        image_shape=IMAGE_SHAPE,
        hidden_layer_sizes=(),
        batch_size=BATCH_SIZE,
        max_epochs=1,
        early_stopping=False,
        **{**textbook, **params},
    ).fit(X)


def ours_with_the_linear_path(X):
    ours(X, init="linear", loss="squared_error")


def seconds(function, *args):
    start = time.perf_counter()
    function(*args)
    return time.perf_counter() - start


def epoch_table(X, n_rounds):
    contenders = [hand_written, hand_written_channels_last, ours, ours_with_the_linear_path]
    times = [[seconds(contender, X) for contender in contenders] for _ in range(n_rounds)]
    medians = [statistics.median(column) for column in zip(*times, strict=True)]
    print(f"MNIST, filters {FILTERS}, batches of {BATCH_SIZE}, an epoch, {n_rounds} rounds")
    print(f"{'':28}{'seconds':>9}{'÷ hand-written':>16}{'÷ channels last':>17}")
    for contender, median in zip(contenders, medians, strict=True):
        ratios = median / medians[0], median / medians[1]
        print(f"{contender.__name__:28}{median:9.2f}{ratios[0]:16.2f}{ratios[1]:17.2f}")


def equal_time_table(X_train, y_train, X_test, y_test, budget, n_components):
    print(f"\nMNIST, {n_components} codes, {budget:.0f} seconds each, on test images")
    print(f"{'':28}{'epochs':>8}{'seconds':>9}{'squared error':>15}{'accuracy':>10}")
    for name, params in NETWORKS.items():
        autoencoder = AutoencoderTransformer(
            n_components, image_shape=IMAGE_SHAPE, random_state=0, **params
        )
        short, longer = (seconds(autoencoder.set_params(max_epochs=n).fit, X_train) for n in (1, 3))
        n_epochs = 1 + max(0, round(2 * (budget - short) / (longer - short)))
        autoencoder.set_params(max_epochs=n_epochs, n_iter_no_change=n_epochs)
        spent = seconds(autoencoder.fit, X_train)
        error = -autoencoder.score_samples(X_test).mean()
        classifier = make_pipeline(StandardScaler(), LogisticRegression(max_iter=1000))
        classifier.fit(autoencoder.transform(X_train[:10_000]), y_train[:10_000])
        accuracy = classifier.score(autoencoder.transform(X_test), y_test)
        print(f"{name:28}{n_epochs:8}{spent:9.0f}{error:15.5f}{accuracy:10.3f}", flush=True)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    add_mnist_argument(parser)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=float, default=100.0)
    args = parser.parse_args()
    X_train, y_train, X_test, y_test = load_mnist(args.mnist)
    if args.rounds:
        epoch_table(X_train, args.rounds)
    equal_time_table(X_train, y_train, X_test, y_test, args.seconds, n_components=32)


if __name__ == "__main__":
    main()
