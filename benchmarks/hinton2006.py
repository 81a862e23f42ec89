"""Encode MNIST with 30 code units, as Hinton and Salakhutdinov do (Science 313, 2006).

    python benchmarks/hinton2006.py --mnist DIR                   # about 10 minutes on 2 cores
    python benchmarks/hinton2006.py --mnist DIR --set max_epochs=13 --set activation=relu

The paper reports the squared error of the test images, summed over the 784 pixels and averaged
over the 10,000 images. It is 3.00 for a 784-1000-500-250-30 autoencoder that is pretrained layer
by layer, and 13.87 for PCA.
"""

import argparse
import time

import numpy as np
from _data import add_mnist_argument, add_set_argument, load_mnist
from sklearn.decomposition import PCA

from sklearn_ae import AutoencoderTransformer

BEST = {
    "hidden_layer_sizes": (1000, 500, 250),
    "clip": True,
    "optimizer": "adamw",
    "weight_decay": 1.0,
    "learning_rate": 0.003,
    "batch_size": 250,
    "max_epochs": 50,
    "early_stopping": False,
}


def squared_error(reducer, X):
    """Return the squared error, summed over the features and averaged over the rows."""
    restored = reducer.inverse_transform(reducer.transform(X))
    return float(np.square(X - restored).sum(axis=1, dtype=np.float64).mean())


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    add_mnist_argument(parser)
    add_set_argument(parser)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--verbose", type=int, default=1, help="1: bar; 2: one line per epoch")
    args = parser.parse_args()
    X_train, _, X_test, _ = load_mnist(args.mnist)
    params = {**BEST, **dict(args.set)}
    print("ours:", params, flush=True)
    ours = AutoencoderTransformer(30, random_state=args.seed, verbose=args.verbose, **params)
    print(f"{'':28}{'training':>10}{'test':>10}{'seconds':>10}")
    print(f"{'paper, PCA':28}{'':10}{13.87:10.2f}")
    print(f"{'paper, 784-1000-500-250-30':28}{'':10}{3.00:10.2f}")
    for name, reducer in {"PCA": PCA(30, random_state=0), "ours": ours}.items():
        start = time.perf_counter()
        reducer.fit(X_train)
        seconds = time.perf_counter() - start
        errors = squared_error(reducer, X_train[:10_000]), squared_error(reducer, X_test)
        print(f"{name:28}{errors[0]:10.3f}{errors[1]:10.3f}{seconds:10.0f}", flush=True)


if __name__ == "__main__":
    main()
