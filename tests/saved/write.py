"""Write estimators as this release saves them, for the tests of the later ones.

    python tests/saved/write.py

A release adds its files here; they are never written again.
"""

import pickle
import zipfile
from pathlib import Path

import numpy as np
import skops.io
from sklearn.datasets import load_digits

from sklearn_ae import AutoencoderTransformer, DenoisingAutoencoder, __version__

KWARGS = {"hidden_layer_sizes": (8,), "max_epochs": 3, "random_state": 0}
ESTIMATORS = {
    "linear start": AutoencoderTransformer(2, clip=True, **KWARGS),
    "convolutional": AutoencoderTransformer(
        2, conv_filters=(4,), image_shape=(1, 8, 8), init="random", **KWARGS
    ),
    "denoising": DenoisingAutoencoder(2, corruption="masking", warm_start=True, **KWARGS),
}


def main():
    X = load_digits().data[:200] / 16
    folder = Path(__file__).parent
    for name, estimator in ESTIMATORS.items():
        path = folder / f"{name} {__version__}"
        estimator.fit(X).partial_fit(X)
        Path(f"{path}.pickle").write_bytes(pickle.dumps(estimator, protocol=4))
        skops.io.dump(estimator, f"{path}.skops", compression=zipfile.ZIP_DEFLATED)
        np.savez_compressed(
            f"{path}.npz",
            X=X[:20],
            codes=estimator.transform(X[:20]),
            restored=estimator.reconstruct(X[:20]),
        )


if __name__ == "__main__":
    main()
