"""Errors of rows restored by what pairs of damaged and clean rows teach, against ridge regression.

    python benchmarks/pairs.py [--seeds 2] [--set max_epochs=0]

The digits are damaged in two ways: by a ghost and noise, and by means of 2 by 2 pixels. Patches of
scikit-learn's sample pictures are coloured, by pairs of grey and coloured patches and, as in
examples/plot_colourise.py, by a corruption that makes coloured patches grey.
"""

import argparse

import numpy as np
from _data import add_set_argument
from sklearn.datasets import load_digits, load_sample_images
from sklearn.feature_extraction.image import extract_patches_2d, reconstruct_from_patches_2d
from sklearn.linear_model import Ridge
from sklearn.model_selection import train_test_split

from sklearn_ae import DenoisingAutoencoder
from sklearn_ae.corruption import Grayscale, corrupt

SHAPE = (3, 8, 8)


def restore_digits(params):
    """Print the error of restored digits divided by that of ridge regression."""
    clean = load_digits().data / 16
    noise = 0.1 * np.random.default_rng(0).normal(size=clean.shape)
    damages = {
        "ghosts": clean + 0.8 * np.roll(clean, 8, axis=1) + noise,
        "coarse": clean.reshape(-1, 4, 2, 4, 2).mean(axis=(2, 4)).reshape(-1, 16),
    }
    names = "digits", "codes", "ridge", "start ÷", "trained ÷", "noise added ÷"
    print("{:10}{:>6}{:>10}{:>10}{:>10}{:>15}".format(*names))
    for name, X in damages.items():
        train, test, clean_train, clean_test = train_test_split(X, clean, random_state=0)
        ridge = Ridge(1e-3).fit(train, clean_train).predict(test)
        of_ridge = np.square(ridge - clean_test).mean()
        for n_components in (16, 32, 64):
            ratios = []
            for options in ({"max_epochs": 0}, {}, {"corruption": "gaussian"}):
                options = {"corruption_level": 0.1, "random_state": 0, **options, **params}
                model = DenoisingAutoencoder(n_components, **options)
                restored = model.fit(train, X_clean=clean_train).reconstruct(test)
                ratios.append(np.square(restored - clean_test).mean() / of_ridge)
            values = "{:10.3f}{:10.3f}{:15.3f}".format(*ratios)
            print(f"{name:10}{n_components:6}{of_ridge:10.5f}{values}", flush=True)


def cut_patches(picture, max_patches=None):
    """Return patches of a picture as rows (channel, height, width)."""
    patches = extract_patches_2d(picture, SHAPE[1:], max_patches=max_patches, random_state=0)
    return patches.transpose(0, 3, 1, 2).reshape(len(patches), -1)


def measure_picture(rows, picture):
    """Return the mean squared error of overlapping patches, put together, against a picture."""
    patches = rows.reshape(-1, *SHAPE).transpose(0, 2, 3, 1)
    return np.square(reconstruct_from_patches_2d(patches, picture.shape) - picture).mean()


def colour_pictures(n_seeds, params):
    """Print the error of coloured halves of pictures, by pairs and by a corruption."""
    ratios = []
    print(f"\n{'pictures':10}{'seed':>6}{'corruption':>12}{'pairs':>10}{'ratio':>8}")
    for seed in range(n_seeds):
        for name, picture in zip(("china", "flower"), load_sample_images().images, strict=True):
            left, right = np.array_split(picture[::2, ::2] / np.float32(255), 2, axis=1)
            train, test = cut_patches(left, 10_000), cut_patches(right)
            grey_train, grey_test = (corrupt(rows, Grayscale(SHAPE)) for rows in (train, test))
            options = {"clip": True, "max_epochs": 12, "random_state": seed, **params}
            by_corruption = DenoisingAutoencoder(64, corruption=Grayscale(SHAPE), **options)
            by_pairs = DenoisingAutoencoder(64, **options)
            errors = [
                measure_picture(by_corruption.fit(train).reconstruct(grey_test), right),
                measure_picture(
                    by_pairs.fit(grey_train[:, :64], X_clean=train).reconstruct(grey_test[:, :64]),
                    right,
                ),
            ]
            ratios.append(errors[1] / errors[0])
            values = "{:12.5f}{:10.5f}".format(*errors)
            print(f"{name:10}{seed:6}{values}{ratios[-1]:8.3f}", flush=True)
    print(f"mean ratio {np.mean(ratios):.3f}")


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seeds", type=int, default=2)
    add_set_argument(parser)
    args = parser.parse_args()
    restore_digits(dict(args.set))
    colour_pictures(args.seeds, dict(args.set))


if __name__ == "__main__":
    main()
