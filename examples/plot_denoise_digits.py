"""
==================================
Digits out of noise, three ways
==================================

scikit-learn's digits under Gaussian noise of 0.3 (pixels go from 0 to 1), restored by PCA,
by kernel PCA and by the denoising autoencoder: the counterpart of scikit-learn's own example
"Image denoising using kernel PCA". All three are fitted to the same clean images.
"""

# %%
# Rivals at their best
# --------------------
# How much PCA and kernel PCA should keep depends on the noise. A grid search finds it without
# labels: the scorer corrupts images that were held out, restores them and compares.
from pathlib import Path

import matplotlib.pyplot as plt
from sklearn.datasets import load_digits
from sklearn.decomposition import PCA, KernelPCA
from sklearn.metrics import mean_squared_error
from sklearn.model_selection import GridSearchCV, train_test_split

from sklearn_ae import DenoisingAutoencoder
from sklearn_ae.corruption import corrupt
from sklearn_ae.metrics import RestorationScorer, peak_signal_noise_ratio

X_train, X_test = train_test_split(load_digits().data / 16, random_state=0)
noise = {"corruption": "gaussian", "corruption_level": 0.3}
X_noisy = corrupt(X_test, **noise, random_state=0)


def best(estimator, grid):
    search = GridSearchCV(estimator, grid, scoring=RestorationScorer(**noise), cv=3, n_jobs=2)
    search.fit(X_train)
    print(f"{type(estimator).__name__}: {search.best_params_}", flush=True)
    return search.best_estimator_


kernel_pca = KernelPCA(kernel="rbf", fit_inverse_transform=True, random_state=0)
kernel_grid = {"n_components": [16, 64], "gamma": [0.005, 0.01, 0.02], "alpha": [0.1, 0.3, 1]}
fitted = {
    "PCA": best(PCA(random_state=0), {"n_components": [4, 8, 12, 16, 24, 32]}),
    "KernelPCA": best(kernel_pca, kernel_grid),
    "DenoisingAutoencoder": DenoisingAutoencoder(16, **noise, random_state=0).fit(X_train),
}

# %%
# What is left of the noise
# -------------------------
# The autoencoder halves the error of PCA. It knows from its linear start how far to
# trust each component, and learns from fresh noise in each batch what digits look like.
restored = {"noisy": X_noisy}
for name, estimator in fitted.items():
    restored[name] = estimator.inverse_transform(estimator.transform(X_noisy))
print(f"\n{'':22}{'squared error':>14}{'PSNR':>8}")
errors = {name: mean_squared_error(X_test, images) for name, images in restored.items()}
for name, images in restored.items():
    ratio = peak_signal_noise_ratio(X_test, images, data_range=1)
    print(f"{name:22}{errors[name]:14.4f}{ratio:8.1f}")

# %%
# The first images of the test set
# --------------------------------
restored["clean"] = X_test
n_images = 12
figure, axes = plt.subplots(len(restored), n_images, figsize=(9, 4), layout="constrained")
for row, (name, images) in zip(axes, restored.items(), strict=True):
    for ax, image in zip(row, images, strict=False):
        ax.imshow(image.reshape(8, 8), cmap="gray_r", vmin=0, vmax=1)
        ax.set_xticks([])
        ax.set_yticks([])
    label = name.replace("Denoising", "Denoising\n")
    error = f"\nerror {errors[name]:.4f}" if name in errors else ""
    row[0].set_ylabel(label + error, rotation=0, ha="right", va="center")
path = Path("denoise_digits.png").resolve()
figure.savefig(path, dpi=150)
print(f"\nThe images are drawn in {path}")
