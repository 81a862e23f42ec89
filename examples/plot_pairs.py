"""
======================================
Learning from damaged and clean copies
======================================

A corruption that can be written down is added in training, as `plot_denoise_digits.py` does. Often
it cannot be, but there are pairs: a scan and its original, a cheap sensor beside a good one.
`DenoisingAutoencoder.fit` takes them as `X` and `X_clean`.
"""

# %%
# Digits with ghosts
# ------------------
# Each row of pixels comes again one row lower, at 80 % of its brightness, and there is noise. No
# ready-made corruption does that. 1,347 pairs are for training.
import matplotlib.pyplot as plt
import numpy as np
from sklearn.datasets import load_digits
from sklearn.linear_model import Ridge
from sklearn.model_selection import train_test_split

from sklearn_ae import DenoisingAutoencoder

clean = load_digits().data / 16
rng = np.random.default_rng(0)
ghosts = clean + 0.8 * np.roll(clean, 8, axis=1) + 0.1 * rng.normal(size=clean.shape)

# %%
# Fewer columns than the clean rows have
# --------------------------------------
# The clean rows may have other columns than the damaged ones. Here a damaged digit is the mean of
# each block of 2 by 2 pixels: 16 numbers, from which 64 are to be restored.
coarse = clean.reshape(-1, 4, 2, 4, 2).mean(axis=(2, 4)).reshape(-1, 16)

# %%
# Restoring both
# --------------
# Ridge regression of the clean rows on the damaged ones is what the autoencoder has to beat. It is
# also what it starts with, limited by the size of the code.
restored = {}
print(f"{'squared error':16}{'ridge':>10}{'start':>10}{'trained':>10}")
for name, damaged in (("ghosts", ghosts), ("coarse", coarse)):
    X_train, X_test, clean_train, clean_test = train_test_split(damaged, clean, random_state=0)
    autoencoder = DenoisingAutoencoder(32, random_state=0).fit(X_train, X_clean=clean_train)
    start = DenoisingAutoencoder(32, init="linear", max_epochs=0).fit(X_train, X_clean=clean_train)
    results = {
        "ridge": Ridge(1e-3).fit(X_train, clean_train).predict(X_test),
        "start": start.reconstruct(X_test),
        "trained": autoencoder.reconstruct(X_test),
    }
    errors = [np.square(rows - clean_test).mean() for rows in results.values()]
    print(f"{name:16}" + "".join(f"{error:10.5f}" for error in errors), flush=True)
    restored[name] = X_test, results["ridge"], results["trained"], clean_test

# %%
# The restored digits
# -------------------
# The network gains where the damage is more than a linear map can undo: most in the coarse
# pictures, where strokes are sharper than in those of ridge regression. Where the damage is nearly
# linear, as that of the ghosts is, the gain is small.
figure, axes = plt.subplots(8, 10, figsize=(7.5, 6.6), layout="constrained")
titles = [
    f"{name}: {part}" for name in restored for part in ("damaged", "ridge", "network", "clean")
]
rows_of_axes = [rows[:10] for parts in restored.values() for rows in parts]
for row, rows, title in zip(axes, rows_of_axes, titles, strict=True):
    side = 8 if rows.shape[1] == 64 else 4
    for ax, picture in zip(row, rows, strict=True):
        ax.imshow(picture.reshape(side, side), cmap="gray_r", vmin=0, vmax=1)
        ax.set(xticks=[], yticks=[])
    row[0].set_ylabel(title, rotation=0, ha="right", va="center")
plt.show()
