"""
==============================
Colour for a grey picture
==============================

A denoising autoencoder that restores coloured patches from grey ones can colour a picture. Here it
is trained on the left half of each of scikit-learn's two sample pictures, and colours the right
half.
"""

# %%
# Patches of the left half
# ------------------------
# A row holds a patch of 8 x 8 pixels in the order (channel, height, width). Training needs no
# labels: `Grayscale` turns coloured patches into grey ones, batch by batch.
import matplotlib.pyplot as plt
import numpy as np
from sklearn.datasets import load_sample_images
from sklearn.feature_extraction.image import extract_patches_2d, reconstruct_from_patches_2d

from sklearn_ae import DenoisingAutoencoder
from sklearn_ae.corruption import Grayscale, corrupt
from sklearn_ae.metrics import peak_signal_noise_ratio

shape = (3, 8, 8)


def to_rows(picture, max_patches=None):
    patches = extract_patches_2d(picture, shape[1:], max_patches=max_patches, random_state=0)
    return patches.transpose(0, 3, 1, 2).reshape(len(patches), -1)


def to_picture(rows, size):
    """Put overlapping patches together again, averaged where they overlap."""
    patches = rows.reshape(-1, *shape).transpose(0, 2, 3, 1)
    return reconstruct_from_patches_2d(patches, size)


# %%
# Colouring the right half
# ------------------------
# Brightness alone distinguishes the flower from the leaves, and the network uses that: its colours
# are stronger than those of its linear start, and too strong at the edge of the flower, where the
# linear start has the smaller error. In a sky that is paler on the right than on the left,
# brightness is not enough and the colour is a guess. There the grey picture is closer to the
# original than the coloured one.
halves = []
print(f"{'PSNR in dB':12}{'grey':>8}{'linear':>8}{'coloured':>10}")
for name, picture in zip(("china", "flower"), load_sample_images().images, strict=True):
    small = picture[::2, ::2] / np.float32(255)
    left, right = np.array_split(small, 2, axis=1)
    X_train, X_test = to_rows(left, 10_000), to_rows(right)
    X_grey = corrupt(X_test, Grayscale(shape))
    colouriser = DenoisingAutoencoder(64, corruption=Grayscale(shape), clip=True, random_state=0)
    start = colouriser.set_params(max_epochs=0).fit(X_train)
    linear = to_picture(start.reconstruct(X_grey), right.shape)
    colouriser.set_params(max_epochs=12).fit(X_train)
    coloured = to_picture(colouriser.reconstruct(X_grey), right.shape)
    halves.append([to_picture(X_grey, right.shape), coloured, right])
    ratios = [
        peak_signal_noise_ratio(right, half, data_range=1)
        for half in (halves[-1][0], linear, coloured)
    ]
    print("{:12}{:8.1f}{:8.1f}{:10.1f}".format(name, *ratios), flush=True)

# %%
figure, axes = plt.subplots(2, 3, figsize=(7.5, 6.9), layout="constrained")
for row, pictures in zip(axes, halves, strict=True):
    for ax, picture in zip(row, pictures, strict=True):
        ax.imshow(picture.clip(0, 1))
        ax.set_axis_off()
for ax, title in zip(axes[0], ("input", "result", "truth"), strict=True):
    ax.set_title(title)
plt.show()
