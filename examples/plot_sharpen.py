"""
==============================
Sharpening a coarse picture
==============================

A denoising autoencoder that restores patches from the means of their blocks of 4 x 4 pixels can
sharpen a picture. The blocks have a sixteenth of the numbers. Here it is trained on the left half
of each of scikit-learn's two sample pictures, and sharpens the right half.
"""

# %%
# Patches of the left half
# ------------------------
# A row holds a patch of 8 x 8 pixels in the order (channel, height, width). `Downscale` makes the
# coarse patches from the fine ones: every pixel of a block becomes the mean of the block.
import matplotlib.pyplot as plt
import numpy as np
from numpy.lib.stride_tricks import sliding_window_view
from sklearn.datasets import load_sample_images
from sklearn.feature_extraction.image import extract_patches_2d

from sklearn_ae import DenoisingAutoencoder
from sklearn_ae.corruption import Downscale, corrupt
from sklearn_ae.metrics import peak_signal_noise_ratio

factor, shape = 4, (3, 8, 8)


def random_rows(picture, n_rows):
    patches = extract_patches_2d(picture, shape[1:], max_patches=n_rows, random_state=0)
    return patches.transpose(0, 3, 1, 2).reshape(n_rows, -1)


def to_rows(picture):
    """Cut a picture into patches that overlap by whole blocks."""
    windows = sliding_window_view(picture, shape[1:], axis=(0, 1))[::factor, ::factor]
    return windows.reshape(-1, np.prod(shape)), windows.shape[:2]


def to_picture(rows, grid):
    """Put overlapping patches together again, averaged where they overlap."""
    height, width = (factor * (n - 1) + side for n, side in zip(grid, shape[1:], strict=True))
    total, count = np.zeros((height, width, 3)), np.zeros((height, width, 1))
    for place, row in zip(np.ndindex(*grid), rows, strict=True):
        top, left = (factor * i for i in place)
        here = np.s_[top : top + shape[1], left : left + shape[2]]
        total[here] += row.reshape(shape).transpose(1, 2, 0)
        count[here] += 1
    return total / count


# %%
# Sharpening the right half
# -------------------------
# Little can be learned beyond the best linear map, at which the autoencoder starts; the default
# parameters would return just that map. More rows, a lower learning rate and no weight decay give a
# better result: edges are straighter than with the linear map. Details finer than a block, such as
# the leaves of a tree, cannot be restored.
halves = []
print(f"{'PSNR in dB':12}{'coarse':>8}{'linear':>8}{'sharpened':>11}")
for name, picture in zip(("china", "flower"), load_sample_images().images, strict=True):
    left, right = np.array_split(picture / np.float32(255), 2, axis=1)
    X_train = random_rows(left, 20_000)
    X_test, grid = to_rows(right)
    X_coarse = corrupt(X_test, Downscale(shape, factor))
    sharpener = DenoisingAutoencoder(
        64,
        corruption=Downscale(shape, factor),
        learning_rate=0.001,
        weight_decay=0.0,
        clip=True,
        random_state=0,
    )
    start = sharpener.set_params(max_epochs=0).fit(X_train)
    linear = to_picture(start.reconstruct(X_coarse), grid)
    sharpener.set_params(max_epochs=12).fit(X_train)
    sharpened = to_picture(sharpener.reconstruct(X_coarse), grid)
    truth = to_picture(X_test, grid)
    halves.append([to_picture(X_coarse, grid), sharpened, truth])
    ratios = [
        peak_signal_noise_ratio(truth, half, data_range=1)
        for half in (halves[-1][0], linear, sharpened)
    ]
    print("{:12}{:8.1f}{:8.1f}{:11.1f}".format(name, *ratios), flush=True)

# %%
# Two details: the pavilion above the lake, and the edge of the flower.
details = np.s_[180:340, :130], np.s_[100:260, 0:130]
figure, axes = plt.subplots(2, 3, figsize=(8, 7.4), layout="constrained")
for row, pictures, detail in zip(axes, halves, details, strict=True):
    for ax, picture in zip(row, pictures, strict=True):
        ax.imshow(picture[detail].clip(0, 1))
        ax.set_axis_off()
for ax, title in zip(axes[0], ("input", "result", "truth"), strict=True):
    ax.set_title(title)
plt.show()
