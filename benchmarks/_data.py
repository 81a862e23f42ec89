"""The data sets and the command-line arguments of the benchmarks."""

import ast
import gzip
from pathlib import Path

import numpy as np
from sklearn import datasets

BUNDLED = {
    "digits": datasets.load_digits,
    "breast cancer": datasets.load_breast_cancer,
    "wine": datasets.load_wine,
    "iris": datasets.load_iris,
    "diabetes": datasets.load_diabetes,
}


def add_mnist_argument(parser):
    parser.add_argument(
        "--mnist",
        type=Path,
        metavar="DIR",
        help="folder with MNIST's four IDX files, gzip-compressed; default: fetch_openml",
    )


def add_set_argument(parser):
    parser.add_argument(
        "--set",
        type=assignment,
        action="append",
        default=[],
        metavar="PARAMETER=VALUE",
        help="set a parameter of the autoencoder; may be repeated",
    )


def assignment(text):
    name, value = text.split("=")
    try:
        return name, ast.literal_eval(value)
    except ValueError:
        return name, value


def load_bundled(name):
    return BUNDLED[name](return_X_y=True)


def load_mnist(folder=None):
    """Return 60,000 training and 10,000 test images in [0, 1] with their labels."""
    if folder is None:
        X, y = datasets.fetch_openml("mnist_784", return_X_y=True, as_frame=False)
        X, y = X.astype(np.float32) / 255, y.astype(int)
        return X[:60_000], y[:60_000], X[60_000:], y[60_000:]
    images = [read_idx(folder / f"{part}-images-idx3-ubyte.gz", 16) for part in ("train", "t10k")]
    labels = [read_idx(folder / f"{part}-labels-idx1-ubyte.gz", 8) for part in ("train", "t10k")]
    X_train, X_test = (image.reshape(-1, 784).astype(np.float32) / 255 for image in images)
    return X_train, labels[0].astype(int), X_test, labels[1].astype(int)


def read_idx(path, header):
    return np.frombuffer(gzip.decompress(path.read_bytes()), dtype=np.uint8, offset=header)
