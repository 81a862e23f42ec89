"""Write estimators as this release saves them, for the tests of the later ones.

    python tests/saved/write.py

A release adds its files here; later ones do not write them again.
"""

import pickle
import zipfile
from pathlib import Path

import numpy as np
import skops.io
from sklearn.datasets import load_digits

from sklearn_ae import (
    AutoencoderTransformer,
    DenoisingAutoencoder,
    VariationalAutoencoder,
    __version__,
)

KWARGS = {"hidden_layer_sizes": (8,), "max_epochs": 3, "random_state": 0}
ESTIMATORS = {
    "linear start": AutoencoderTransformer(2, clip=True, **KWARGS),
    "convolutional": AutoencoderTransformer(
        2, conv_filters=(4,), image_shape=(1, 8, 8), init="random", **KWARGS
    ),
    "denoising": DenoisingAutoencoder(2, corruption="masking", warm_start=True, **KWARGS),
    "ordered": AutoencoderTransformer(3, ordered=True, **KWARGS),
    "variational": VariationalAutoencoder(2, **KWARGS),
    "missing": AutoencoderTransformer(2, **KWARGS),
    "pairs": DenoisingAutoencoder(2, **KWARGS),
}


def make_tables(name):
    """Return X, and X_clean as a keyword argument for pairs."""
    digits = load_digits().data[:200] / 16
    if name == "missing":
        is_missing = np.random.default_rng(0).random(digits.shape) < 0.1
        return np.where(is_missing, np.nan, digits), {}
    if name == "pairs":
        coarse = digits.reshape(-1, 4, 2, 4, 2).mean(axis=(2, 4))
        return coarse.reshape(len(digits), 16), {"X_clean": digits}
    return digits, {}


def main():
    folder = Path(__file__).parent
    for name, estimator in ESTIMATORS.items():
        path = folder / f"{name} {__version__}"
        X, clean = make_tables(name)
        estimator.fit(X, **clean).partial_fit(X, **clean)
        Path(f"{path}.pickle").write_bytes(pickle.dumps(estimator, protocol=4))
        skops.io.dump(estimator, f"{path}.skops", compression=zipfile.ZIP_DEFLATED)
        np.savez_compressed(
            f"{path}.npz",
            X=X[:20],
            **{key: rows[:20] for key, rows in clean.items()},
            codes=estimator.transform(X[:20]),
            restored=estimator.reconstruct(X[:20]),
        )


if __name__ == "__main__":
    main()
