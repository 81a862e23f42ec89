"""What several test files share: estimators, a custom network, helpers.

An estimator that is added to `ESTIMATORS` goes through scikit-learn's checks, any kind of input,
the formula of inference, saving, the export to ONNX, sparse rows, threads and interrupted fits.
"""

import os
import signal
import subprocess
import sys
from contextlib import contextmanager

import numpy as np
import torch
from hypothesis import settings
from sklearn.base import clone
from threadpoolctl import threadpool_limits
from torch import nn

from sklearn_ae import AutoencoderTransformer, DenoisingAutoencoder, VariationalAutoencoder
from sklearn_ae._rows import make_rows
from sklearn_ae._task import Reconstruct
from sklearn_ae._units import Units


class Perceptron(nn.Sequential):
    """A custom network, with layers that behave differently in training.

    It is a class and no function, whose address would be in the names of the tests.
    """

    def __init__(self, n_in, n_out, width=64):
        hidden = nn.Linear(n_in, width), nn.BatchNorm1d(width), nn.ReLU(), nn.Dropout(0.05)
        super().__init__(*hidden, nn.Linear(width, n_out))


QUICK = {"hidden_layer_sizes": (16,), "max_epochs": 5, "random_state": 0}
CONVOLUTIONAL = {"conv_filters": (4,), "image_shape": (1, 1, -1), **QUICK}  # any number of features
CUSTOM = {"encoder": Perceptron, "decoder": Perceptron, **QUICK}

ESTIMATORS = {
    "linear start": AutoencoderTransformer(**QUICK),
    "textbook": AutoencoderTransformer(init="random", early_stopping=False, **QUICK),
    "no hidden layer": AutoencoderTransformer(**QUICK | {"hidden_layer_sizes": ()}),
    "squashed": AutoencoderTransformer(
        code_activation="relu", output_activation="logistic", **QUICK
    ),
    "clipped": AutoencoderTransformer(clip=True, **QUICK),
    "cross-entropy": AutoencoderTransformer(loss="binary_cross_entropy", **QUICK),
    "variational": VariationalAutoencoder(**QUICK),
    "convolutional": AutoencoderTransformer(**CONVOLUTIONAL),
    "custom": AutoencoderTransformer(**CUSTOM),
    "denoising": DenoisingAutoencoder(**QUICK),
    "variational bits": VariationalAutoencoder(loss="binary_cross_entropy", init="random", **QUICK),
    "denoising, convolutional": DenoisingAutoencoder(
        corruption="masking", init="random", clip=True, **CONVOLUTIONAL
    ),
    "denoising, custom decoder": DenoisingAutoencoder(init="random", decoder=Perceptron, **QUICK),
}
# What takes no other numbers than those in [0, 1], and what holds code that a user wrote.
NEEDS_UNIT_INTERVAL = {"cross-entropy", "squashed", "variational bits"}
HAS_CUSTOM_CODE = {"custom", "denoising, custom decoder"}
TAKES_ANY_NUMBERS = [name for name in ESTIMATORS if name not in NEEDS_UNIT_INTERVAL]

CORRUPTIONS = "gaussian", "masking", "salt_and_pepper"  # all that have a name


def make_estimator(name, n_components=None, **params):
    """Return an unfitted estimator of the zoo, with parameters of its own."""
    return clone(ESTIMATORS[name]).set_params(n_components=n_components, **params)


def quick(n_components=3, *, estimator=AutoencoderTransformer, **params):
    """Return a small autoencoder of few epochs."""
    return estimator(n_components, **{**QUICK, **params})


def scale_to_unit_interval(X):
    """Return X moved and scaled into [0, 1]."""
    return (X - X.min()) / (X.max() - X.min())


def get_weights(estimator):
    """Return all weights of a fitted estimator in one array."""
    state = estimator.net_.module_.state_dict()
    return np.concatenate([weights.cpu().numpy().ravel() for weights in state.values()])


def make_units(mean, scale=1.0, bounds=(0.0, 1.0), **options):
    """Return units of a mean per feature, an array, and a scale; all features have one range."""
    mean = torch.as_tensor(mean)
    low, high = (torch.full_like(mean, bound) for bound in bounds)
    return Units(mean, low, high, scale, **options)


def standardize(X, mean, scale=1.0):
    """Return the task of the standardised rows of a table."""
    return Reconstruct(make_rows(X), make_units(mean, scale))


def train_by_hand(module, inputs, targets):
    """Train with Adam for ten steps of all rows, as plain torch does, and return their losses."""
    optimizer = torch.optim.Adam(module.parameters(), lr=0.01)
    losses = []
    for _ in range(10):
        optimizer.zero_grad()
        loss = nn.functional.mse_loss(module(inputs), targets)
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    return np.array(losses)


# The same training by an estimator, for tables of so few rows that they are one batch.
BY_HAND = {
    "init": "random",
    "early_stopping": False,
    "schedule": "constant",
    "learning_rate": 0.01,
    "weight_decay": 0.0,
    "batch_size": 64,
    "activation": "tanh",
}


def draw_fewer(share):
    """Return settings with a share of the profile's examples, where a single one is dear."""
    return settings(max_examples=max(1, round(share * settings().max_examples)))


@contextmanager
def one_thread():
    """Let torch and linear algebra use one thread, as workers do: results are equal to the bit."""
    n_threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        with threadpool_limits(1):
            yield
    finally:
        torch.set_num_threads(n_threads)


def run_python(*arguments, timeout=300, **how):
    """Return what a process of Python prints; it fails where the process does, or takes too long.

    Its children end with it: one that hangs would hold the pipes open, and us with them.
    """
    process = subprocess.Popen(
        [sys.executable, *arguments],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
        **how,
    )
    try:
        printed, errors = process.communicate(timeout=timeout)
    except BaseException:
        os.killpg(process.pid, signal.SIGKILL)
        process.communicate()
        raise
    assert process.returncode == 0, errors
    return printed
