"""
====================================
New digits from a variational code
====================================

A variational autoencoder is a density: rows can be drawn from it. This example draws digits, looks
whether they are new, compares them with those that PCA draws, and walks over a code of two numbers.
"""

# %%
# Samples, and the training rows that are nearest to them
# -------------------------------------------------------
# `sample` draws a code from the normal distribution and decodes it. With ``add_noise=False`` the
# rows are the means of the density: the noise of each pixel, whose variance is `noise_variance_`,
# is left out. PCA is a density, too, probabilistic PCA, from which the autoencoder starts: with
# ``init="linear", max_epochs=0`` it stays there.
import matplotlib.pyplot as plt
import numpy as np
from sklearn.datasets import load_digits
from sklearn.model_selection import train_test_split
from sklearn.neighbors import NearestNeighbors

from sklearn_ae import VariationalAutoencoder

X_train, X_test = train_test_split(load_digits().data, random_state=0)
model = VariationalAutoencoder(16, max_epochs=100, random_state=0).fit(X_train)
pca = VariationalAutoencoder(16, init="linear", max_epochs=0).fit(X_train)

samples = model.sample(12, random_state=0, add_noise=False)
samples_of_pca = pca.sample(12, random_state=0, add_noise=False)
neighbours = NearestNeighbors(n_neighbors=1).fit(X_train)
distances, nearest = neighbours.kneighbors(samples)


def draw_pictures(ax, rows, title):
    """Draw the rows of a table as pictures of 8 by 8 pixels, side by side."""
    frame = np.full((len(rows), 10, 9), 0.0)
    frame[:, 1:9, :8] = rows.reshape(-1, 8, 8)
    ax.imshow(np.hstack(frame), cmap="gray_r", vmin=0, vmax=16)
    ax.set_title(title, loc="left", fontsize=10)
    ax.axis("off")


figure, axes = plt.subplots(3, 1, figsize=(9, 3.6), layout="constrained")
draw_pictures(axes[0], samples, "samples")
draw_pictures(axes[1], X_train[nearest[:, 0]], "nearest training rows")
draw_pictures(axes[2], samples_of_pca, "samples of PCA")
plt.show()

# %%
# Most samples can be read, but not all: between the digits there are codes of no digit. They are
# not copies: they are farther from the nearest training row than test rows are.
of_test, _ = neighbours.kneighbors(X_test)
print(f"median distance to the nearest training row: samples {np.median(distances):.1f}, ", end="")
print(f"test rows {np.median(of_test):.1f}")

# %%
# The likelihood of test rows says by how much the density is better than PCA, in nats per row:
print(f"PCA {pca.score(X_test):.1f}, variational autoencoder {model.score(X_test):.1f}")

# %%
# A walk over two numbers
# -----------------------
# The quantiles of the normal distribution cut the plane of a code of two numbers into cells that
# are equally likely. Each picture is the digit that is decoded at the middle of its cell.
from scipy.stats import norm

flat = VariationalAutoencoder(2, max_epochs=100, random_state=0).fit(X_train)
steps = norm.ppf((np.arange(12) + 0.5) / 12)
codes = np.stack(np.meshgrid(steps, steps[::-1]), axis=-1).reshape(-1, 2)
pictures = flat.inverse_transform(codes).reshape(12, 12, 8, 8)

figure, ax = plt.subplots(figsize=(5, 5), layout="constrained")
ax.imshow(pictures.transpose(0, 2, 1, 3).reshape(96, 96), cmap="gray_r", vmin=0, vmax=16)
ax.set(xlabel="first number", ylabel="second number", xticks=[], yticks=[])
plt.show()
