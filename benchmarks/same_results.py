"""Digests of what a fixed set of fits gives: weights, codes, reconstructions, scores, losses.

    python benchmarks/same_results.py > before.txt    # then change the code
    python benchmarks/same_results.py | diff before.txt -

A change that is to leave all results as they are must leave every line as it is. The digests
are those of one machine and one set of versions: others round differently.
"""

import copy
import hashlib
import os
import pickle
import subprocess
import sys
import tempfile
from functools import partial
from pathlib import Path

import numpy as np
import torch
from scipy import sparse
from sklearn.datasets import load_digits
from torch import distributed, nn

from sklearn_ae import (
    AutoencoderImputer,
    AutoencoderTransformer,
    DenoisingAutoencoder,
    VariationalAutoencoder,
)

N_RANKS = 2
DIGITS = load_digits().data
FEW = DIGITS[:300]
HOLES = np.where(np.random.RandomState(0).random_sample(FEW.shape) < 0.1, np.nan, FEW)
COARSE = FEW.reshape(-1, 4, 2, 4, 2).mean(axis=(2, 4)).reshape(-1, 16)
GROUPS = np.arange(len(FEW)) // 3


class Perceptron(nn.Sequential):
    """A custom network, with dropout and batch normalisation."""

    def __init__(self, n_in, n_out):
        hidden = nn.Linear(n_in, 16), nn.BatchNorm1d(16), nn.ReLU(), nn.Dropout(0.1)
        super().__init__(*hidden, nn.Linear(16, n_out))


def invert_pixels(batch, generator):
    """Corrupt half of the rows by a function."""
    chosen = torch.rand(len(batch), 1, generator=generator) < 0.5
    return torch.where(chosen, 16 - batch, batch)


SHORT = {"max_epochs": 3, "random_state": 0}
SMALL = {**SHORT, "hidden_layer_sizes": (32,)}
CONVOLUTIONS = {"conv_filters": (4, 8), "image_shape": (1, 8, -1)}
CUSTOM = {"encoder": Perceptron, "decoder": Perceptron}
PLAIN, DENOISING = AutoencoderTransformer, DenoisingAutoencoder
VARIATIONAL = VariationalAutoencoder
ESTIMATORS = {
    "defaults, 3 epochs": PLAIN(8, **SHORT),
    "denoising, 3 epochs": DENOISING(8, corruption_level=4.0, **SHORT),
    "no linear start": PLAIN(8, init="random", **SMALL),
    "no training": PLAIN(8, max_epochs=0, random_state=0),
    "share of the variance": PLAIN(0.6, **SMALL),
    "more components than features": PLAIN(70, **SMALL),
    "convolutional": PLAIN(8, **CONVOLUTIONS, **SMALL),
    "convolutional, no linear start": PLAIN(8, init="random", **CONVOLUTIONS, **SMALL),
    "custom": PLAIN(8, **CUSTOM, **SMALL),
    "custom encoder, no linear start": PLAIN(8, encoder=Perceptron, init="random", **SMALL),
    "clip": PLAIN(8, clip=True, **SMALL),
    "absolute error, cosine, sgd": PLAIN(
        8, loss="absolute_error", schedule="cosine", optimizer="sgd", learning_rate=0.05, **SMALL
    ),
    "huber, constant, adamw, no early stopping": PLAIN(
        8, loss="huber", schedule="constant", optimizer="adamw", early_stopping=False, **SMALL
    ),
    "squashed": PLAIN(8, code_activation="tanh", output_activation="relu", **SMALL),
    "bfloat16": PLAIN(8, precision="bfloat16", **SMALL),
    "weight decay, batch size": PLAIN(8, weight_decay=0.1, batch_size=50, **SMALL),
    "denoising, masking": DENOISING(8, corruption="masking", corruption_level=0.3, **SMALL),
    "denoising, salt and pepper, range": DENOISING(
        8, corruption="salt_and_pepper", corruption_level=0.2, corruption_range=(1, 15), **SMALL
    ),
    "denoising, function": DENOISING(8, corruption=invert_pixels, clip=True, **SMALL),
    "denoising, convolutional": DENOISING(8, corruption_level=4.0, **CONVOLUTIONS, **SMALL),
    "denoising, custom": DENOISING(8, corruption_level=4.0, **CUSTOM, **SMALL),
    "denoising, no linear start": DENOISING(8, init="random", **SMALL),
}
LOGITS = {
    "cross-entropy": PLAIN(8, loss="binary_cross_entropy", **SMALL),
    "cross-entropy, no linear start": PLAIN(
        8, loss="binary_cross_entropy", init="random", output_activation="logistic", **SMALL
    ),
    "denoising, cross-entropy": DENOISING(
        8, loss="binary_cross_entropy", corruption_level=0.3, corruption_range=(0, 1), **SMALL
    ),
}


# Fits of few rows, which are cross-fitted unless something forbids that.
ORDERED = {"ordered": True, **SHORT}
FEW_ROWS = {
    "cross-fitted": (PLAIN(8, **SHORT), FEW, {}),
    "cross-fitted, groups": (PLAIN(8, **SHORT), FEW, {"groups": GROUPS}),
    "cross-fitted, no hidden layer": (PLAIN(8, hidden_layer_sizes=(), **SHORT), FEW, {}),
    "cross-fitted, start alone": (PLAIN(8, max_epochs=0, random_state=0), FEW, {}),
    "cross-fitted, linear": (PLAIN(8, init="linear", **SHORT), FEW, {}),
    "cross-fitted, convolutional": (PLAIN(8, **CONVOLUTIONS, **SMALL), FEW, {}),
    "cross-fitted, custom": (PLAIN(8, **CUSTOM, **SMALL), FEW, {}),
    "cross-fitted, cross-entropy": (PLAIN(8, loss="binary_cross_entropy", **SMALL), FEW / 16, {}),
    "cross-fitted, sparse": (PLAIN(8, **SHORT), sparse.csr_array(np.where(FEW > 13, FEW, 0)), {}),
    "cross-fitted, rmsprop": (PLAIN(8, optimizer=torch.optim.RMSprop, **SHORT), FEW, {}),
    "rows held out by the user": (PLAIN(8, **SHORT), FEW, {"X_val": DIGITS[300:500]}),
    "denoising, cross-fitted": (DENOISING(8, corruption_level=4.0, **SHORT), FEW, {}),
    "ordered, cross-fitted": (PLAIN(8, **ORDERED), FEW, {}),
    "ordered, held out": (PLAIN(8, validation_fraction=0.2, **ORDERED), FEW, {}),
    "ordered, nothing held out": (PLAIN(8, early_stopping=False, **ORDERED), FEW, {}),
    "ordered, share": (PLAIN(0.6, **ORDERED), FEW, {}),
    "ordered, squashed": (PLAIN(8, code_activation="tanh", **ORDERED), FEW, {}),
    "ordered, custom": (PLAIN(8, **CUSTOM, **ORDERED), FEW, {}),
    "ordered, denoising": (DENOISING(8, **ORDERED), FEW, {}),
    "variational": (VARIATIONAL(8, **SHORT), FEW, {}),
    "variational, start alone": (VARIATIONAL(8, max_epochs=0, random_state=0), FEW, {}),
    "variational, held out": (VARIATIONAL(8, validation_fraction=0.2, beta=2, **SMALL), FEW, {}),
    "variational, nothing held out": (VARIATIONAL(8, early_stopping=False, **SMALL), FEW, {}),
    "variational, random": (VARIATIONAL(8, init="random", **SMALL), FEW, {}),
    "variational, bits": (VARIATIONAL(8, loss="binary_cross_entropy", **SMALL), FEW / 16, {}),
    "missing": (PLAIN(8, **SHORT), HOLES, {}),
    "missing, clip": (PLAIN(8, clip=True, validation_fraction=0.2, **SMALL), HOLES, {}),
    "missing, nothing held out": (PLAIN(8, early_stopping=False, **SMALL), HOLES, {}),
    "missing, denoising": (DENOISING(8, corruption_level=4.0, **SMALL), HOLES, {}),
    "missing, variational": (VARIATIONAL(8, **SMALL), HOLES, {}),
    "missing, ordered": (PLAIN(8, **ORDERED), HOLES, {}),
    "imputer": (AutoencoderImputer(**SHORT), HOLES, {}),
    "imputer, start alone": (AutoencoderImputer(max_epochs=0, random_state=0), HOLES, {}),
    "pairs": (DENOISING(8, **SMALL), COARSE, {"X_clean": FEW}),
    "pairs, of one width": (DENOISING(8, **SMALL), FEW + 1, {"X_clean": FEW}),
    "pairs, noise": (DENOISING(8, corruption="gaussian", **SMALL), COARSE, {"X_clean": FEW}),
    "pairs, ordered": (DENOISING(8, **ORDERED), COARSE, {"X_clean": FEW}),
}


def results(estimator, X):
    """Yield the arrays that a fitted estimator gives; weights in an order that no name changes."""
    if isinstance(estimator, AutoencoderImputer):
        yield estimator.transform(X)
        estimator = estimator.autoencoder_
    modules = estimator.encoder_, estimator.decoder_
    state = [value.numpy() for module in modules for value in module.state_dict().values()]
    yield from sorted(state, key=lambda value: (value.shape, value.tobytes()))
    codes = estimator.transform(X)
    yield from (codes, estimator.inverse_transform(codes), estimator.reconstruct(X))
    if estimator.decoder_(torch.zeros(1, codes.shape[1])).shape[1] == X.shape[1]:
        yield from (estimator.score_samples(X), np.array(estimator.score(X)))
    yield from (np.array(estimator.mean_), np.array(estimator.scale_))
    names = "loss_curve_", "validation_loss_curve_", "start_loss_", "best_loss_", "best_epoch_"
    for name in (*names, "explained_variance_ratio_", "noise_variance_"):
        value = getattr(estimator, name, None)
        yield np.array(np.nan if value is None else value, dtype=float)
    if isinstance(estimator, VariationalAutoencoder):
        yield from (*estimator.posterior(X), estimator.sample(9, random_state=0))


def digest(estimator, X):
    """Return a digest of the results of a fitted estimator, and of those of its pickled copy."""
    found = hashlib.sha256()
    arrays = list(results(estimator, X))
    for array in arrays:
        found.update(f"{array.dtype} {array.shape}".encode() + array.tobytes())
    copied = results(pickle.loads(pickle.dumps(estimator)), X)
    assert all(map(partial(np.array_equal, equal_nan=True), arrays, copied))
    return found.hexdigest()[:16]


def fits(folder):
    """Yield a name, a fitted estimator and rows for each fit of the set."""
    for name, estimator in ESTIMATORS.items():
        yield name, copy.deepcopy(estimator).fit(DIGITS), DIGITS
    for name, estimator in LOGITS.items():
        yield name, copy.deepcopy(estimator).fit(DIGITS / 16), DIGITS / 16
    for name in ("defaults, 3 epochs", "denoising, function", "clip"):
        for what, X in tables(folder).items():
            yield f"{name}; {what}", copy.deepcopy(ESTIMATORS[name]).fit(X), X
    for name in ("clip", "custom", "convolutional", "denoising, masking"):
        again = copy.deepcopy(ESTIMATORS[name]).set_params(warm_start=True).fit(DIGITS)
        yield f"{name}; warm start", again.fit(DIGITS * 1.1), DIGITS
        streamed = copy.deepcopy(ESTIMATORS[name])
        for rows in np.array_split(DIGITS, 3):
            streamed.partial_fit(rows)
        yield f"{name}; partial_fit", streamed, DIGITS
        loaded = pickle.loads(pickle.dumps(again)).set_params(random_state=1)
        yield f"{name}; warm start of a loaded one", loaded.fit(DIGITS), DIGITS
        loaded = pickle.loads(pickle.dumps(streamed)).partial_fit(DIGITS)
        yield f"{name}; partial_fit of a loaded one", loaded, DIGITS
    for name, (estimator, X, arguments) in FEW_ROWS.items():
        fitted = copy.deepcopy(estimator).fit(X, **arguments)
        yield name, fitted, X
        if name.startswith("ordered, c"):
            yield f"{name}; truncated", fitted.truncated(3), X
        if isinstance(fitted, AutoencoderImputer):
            continue
        again = pickle.loads(pickle.dumps(fitted.set_params(warm_start=True)))
        clean = {"X_clean": FEW} if "X_clean" in arguments else {}
        yield f"{name}; warm start", again.fit(X, **clean), X
        yield f"{name}; partial_fit", fitted.partial_fit(X, **clean), X
    state = np.random.RandomState(3)
    drawing = copy.deepcopy(ESTIMATORS["denoising, masking"]).set_params(random_state=state)
    yield "random state", drawing.fit(DIGITS), DIGITS
    yield "random state, drawn on", drawing.fit(DIGITS), DIGITS


def tables(folder):
    """Return the digits in containers and dtypes of all kinds."""
    mapped = np.memmap(Path(folder, "digits"), dtype=np.float32, mode="w+", shape=DIGITS.shape)
    mapped[:] = DIGITS
    mapped.flush()
    rare = np.where(DIGITS > 13, DIGITS, 0)
    return {
        "float32": DIGITS.astype(np.float32),
        "bytes": DIGITS.astype(np.uint8),
        "int64": DIGITS.astype(np.int64),
        "far from zero": DIGITS + 1e6,
        "memory map": mapped,
        "every second row of a memory map": mapped[::2],
        "sparse": sparse.csr_array(rare),
        "sparse, float32": sparse.csr_matrix(rare.astype(np.float32)),
    }


def fit_on_ranks(rank, folder):
    """Fit on one of several processes; the first prints."""
    torch.set_num_threads(1)
    store = distributed.FileStore(str(Path(folder, "store")), N_RANKS)
    distributed.init_process_group("gloo", store=store, rank=rank, world_size=N_RANKS)
    for name in ("clip", "custom", "denoising, masking"):
        estimator = copy.deepcopy(ESTIMATORS[name]).set_params(data_parallel=True).fit(DIGITS)
        if rank == 0:
            print(f"{digest(estimator, DIGITS)}  {name}; {N_RANKS} ranks", flush=True)
    distributed.destroy_process_group()


def main():
    torch.set_num_threads(1)
    with tempfile.TemporaryDirectory() as folder:
        if len(sys.argv) == 3:
            fit_on_ranks(int(sys.argv[1]), sys.argv[2])
            return
        for name, estimator, X in fits(folder):
            print(f"{digest(estimator, X)}  {name}", flush=True)
        ranks = [
            subprocess.Popen([sys.executable, __file__, str(rank), folder], env=os.environ)
            for rank in range(N_RANKS)
        ]
        assert [rank.wait() for rank in ranks] == [0] * N_RANKS


if __name__ == "__main__":
    main()
