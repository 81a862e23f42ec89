"""Fits by the ranks of a group, for test_data_parallel.py; that starts it.

torchrun --standalone --nproc-per-node 2 tests/fit_on_ranks.py FOLDER
"""

import copy
import os
import pickle
import sys
from datetime import timedelta
from pathlib import Path

import numpy as np
import torch
from scipy import sparse
from sklearn.datasets import load_digits
from skorch.callbacks import Callback, Checkpoint
from torch import distributed, nn

from sklearn_ae import AutoencoderTransformer, DenoisingAutoencoder

X = load_digits().data[:301] / 16
GROUPS, HELD_OUT = np.arange(301) // 20, load_digits().data[301:400] / 16
SPARSE = sparse.csr_array(np.where(X > 0.9, X, 0))
# More rows than those among which copies are looked for, and than the start is computed from.
LONG, LONGER = (np.random.default_rng(0).normal(size=(n, 4)) for n in (20_000, 110_000))
PARAMS = {"max_epochs": 3, "random_state": 0, "hidden_layer_sizes": (16,)}
# The last epoch is kept. At PCA the gradients of the encoder are rounding errors, which Adam still
# makes larger than sgd does. Nothing is masked: each rank draws anew what is.
TRAINED = {"early_stopping": False, "optimizer": "sgd", "learning_rate": 0.1, **PARAMS}
TRAINED["masking_rate"] = 0.0


class Perceptron(nn.Module):
    """Has a layer that takes no part."""

    def __init__(self, n_in, n_out):
        super().__init__()
        self.layers = nn.Sequential(nn.Linear(n_in, 16), nn.Tanh(), nn.Linear(16, n_out))
        self.unused = nn.Linear(2, 2)

    def forward(self, rows):
        return self.layers(rows)


class Normalised(nn.Sequential):
    """Has statistics that every rank takes of its own rows, and draws."""

    def __init__(self, n_in, n_out):
        layers = nn.Linear(n_in, 16), nn.BatchNorm1d(16), nn.Dropout(0.1), nn.Linear(16, n_out)
        super().__init__(*layers)


class Frozen(Perceptron):
    """Cannot be trained."""

    def __init__(self, n_in, n_out):
        super().__init__(n_in, n_out)
        self.requires_grad_(False)


class Unalike(nn.Linear):
    """Has weights that every process draws for itself."""

    def __init__(self, n_in, n_out):
        super().__init__(n_in, n_out)
        weight = np.random.default_rng().normal(size=(n_out, n_in))
        self.weight.data = torch.tensor(weight, dtype=torch.float32)


def convolutional(estimator, **params):
    shape = {"conv_filters": (4, 2), "image_shape": (1, 8, 8)}
    return estimator(4, **shape, **{**PARAMS, **params})


CASES = {
    "defaults": AutoencoderTransformer(4, **PARAMS),
    "cross-fitted": AutoencoderTransformer(4, **TRAINED | {"early_stopping": True}),
    "a share held out": AutoencoderTransformer(
        4, validation_fraction=0.1, **TRAINED | {"early_stopping": True}
    ),
    "textbook": AutoencoderTransformer(4, init="random", early_stopping=False, **PARAMS),
    "share of variance": AutoencoderTransformer(0.8, clip=True, batch_size=32, **TRAINED),
    "cross-entropy": AutoencoderTransformer(4, loss="binary_cross_entropy", **PARAMS),
    "convolutional": convolutional(AutoencoderTransformer, init="random"),
    "custom": AutoencoderTransformer(
        4, encoder=Perceptron, decoder=Perceptron, validation_fraction=0.1, **PARAMS
    ),
    "custom, 3 rows left over": AutoencoderTransformer(
        4, encoder=Perceptron, batch_size=149, **TRAINED
    ),
    "draws": AutoencoderTransformer(
        4, encoder=Normalised, batch_size=3, early_stopping=False, **PARAMS
    ),
    "single rows": AutoencoderTransformer(2, batch_size=1, **{**PARAMS, "max_epochs": 1}),
    "stops early": AutoencoderTransformer(4, tol=1, n_iter_no_change=2, **PARAMS),
    "no seed": AutoencoderTransformer(4, **{**PARAMS, "random_state": None}),
    "denoising": DenoisingAutoencoder(4, **PARAMS),
    "denoising, convolutional": convolutional(DenoisingAutoencoder, corruption="masking"),
}


class Table:
    """Rows that can only be sliced, and that tell which were read."""

    def __init__(self, rows):
        self.rows, self.shape, self.dtype, self.ndim = rows, rows.shape, rows.dtype, rows.ndim
        self.read = set()

    def __len__(self):
        return len(self.rows)

    def __getitem__(self, index):
        self.read.update(np.atleast_1d(np.arange(len(self.rows))[index]).tolist())
        return self.rows[index]


def fit_longer(**params):
    """Return an autoencoder of a sample that its start draws, and the rows that were read."""
    table = Table(LONGER)
    how = TRAINED | {"batch_size": 2000, "random_state": np.random.RandomState(0)}
    return AutoencoderTransformer(2, **how, **params).fit(table), table.read


class Death(Callback):
    """The end of a process in the middle of an epoch."""

    def on_grad_computed(self, net, **kwargs):
        if len(net.history) == 3 and distributed.get_rank() == 1:
            os._exit(1)


def fit_cases():
    """Return the fitted estimators."""
    fitted = {
        name: copy.deepcopy(estimator).set_params(data_parallel=True, verbose=2).fit(X)
        for name, estimator in CASES.items()
    }
    together = {"data_parallel": True, **PARAMS}
    fitted["sparse"] = AutoencoderTransformer(4, data_parallel=True, **TRAINED).fit(SPARSE)
    chunks = DenoisingAutoencoder(4, verbose=2, **together).partial_fit(X[:200])
    fitted["chunks"] = pickle.loads(pickle.dumps(chunks)).partial_fit(X[200:])
    judged = AutoencoderTransformer(4, data_parallel=True, **TRAINED | {"early_stopping": True})
    fitted["groups"] = copy.deepcopy(judged).fit(X, groups=GROUPS)
    fitted["held out"] = judged.fit(X, X_val=HELD_OUT)
    frozen = {"encoder": Frozen, "decoder": Frozen, "max_epochs": 0}
    fitted["frozen"] = AutoencoderTransformer(4, **together | frozen).fit(X)
    unalike = {"encoder": Unalike, "init": "random", "max_epochs": 0}
    fitted["unalike"] = AutoencoderTransformer(4, **together | unalike).fit(X)
    alone = {"random_state": distributed.get_rank(), "warm_start": True}
    fitted["continued"] = AutoencoderTransformer(4, **PARAMS | alone).fit(X).partial_fit(X)
    fitted["continued"].set_params(data_parallel=True).partial_fit(X).partial_fit(X)
    return fitted


def rows_read(early_stopping):
    """Return the rows of a table that this rank read in a fit."""
    table = Table(LONG)  # every rank reads the sample that tells whether to warn
    how = {"early_stopping": early_stopping, "validation_fraction": 0.1, "data_parallel": True}
    AutoencoderTransformer(2, **how, **PARAMS).fit(table)
    return table.read


def error_of(X, arguments=None, **params):
    """Return what a fit raises."""
    try:
        autoencoder = AutoencoderTransformer(4, data_parallel=True, **params, **PARAMS)
        autoencoder.fit(X, **arguments or {})
    except Exception as error:
        return repr(error)


def main():
    """Write what this rank has found."""
    folder = Path(sys.argv[1])
    distributed.init_process_group("gloo", timeout=timedelta(seconds=120))
    torch.manual_seed(distributed.get_rank())  # what ranks do not share
    result = {
        "fitted": fit_cases(),
        "read": {early_stopping: rows_read(early_stopping) for early_stopping in (False, True)},
        "errors": [
            error_of(np.full_like(X, np.nan)),
            error_of(X, encoder=lambda *widths: 1 / 0),
            error_of(X[distributed.get_rank() :][:100]),
            error_of(X, {"X_val": HELD_OUT[distributed.get_rank() :][:50]}),
        ],
    }
    result["fitted"]["longer"], result["read of longer"] = fit_longer(data_parallel=True)
    path = folder / f"rank {distributed.get_rank()}.pickle"
    path.write_bytes(pickle.dumps(result))
    if "dies" in sys.argv:
        callbacks = [Checkpoint(monitor=None, dirname=folder), Death()]
        how = {"net_params": {"callbacks": callbacks}, "early_stopping": False}
        try:
            AutoencoderTransformer(4, data_parallel=True, **how, **PARAMS).fit(X)
        except RuntimeError as error:
            (folder / "survivor.txt").write_text(str(error))
            raise
    distributed.destroy_process_group()


if __name__ == "__main__":
    import fit_on_ranks  # the classes in pickles are this module's

    fit_on_ranks.main()
