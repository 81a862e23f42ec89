"""
=====================================
Denoising digits with three methods
=====================================

PCA, kernel PCA and the denoising autoencoder restore scikit-learn's digits from Gaussian noise of
0.3, where pixels are in [0, 1]. All three are fitted to the same clean images. scikit-learn has a
similar example, "Image denoising using kernel PCA".
"""

# %%
# Tuning PCA and kernel PCA
# -------------------------
# The best number of components for PCA and kernel PCA depends on the noise. A grid search finds it
# without labels: the scorer corrupts held-out images, restores them and compares them with the
# originals.
import matplotlib.pyplot as plt
from sklearn.datasets import load_digits
from sklearn.decomposition import PCA, KernelPCA
from sklearn.metrics import mean_squared_error
from sklearn.model_selection import GridSearchCV, train_test_split

from sklearn_ae import DenoisingAutoencoder
from sklearn_ae.corruption import corrupt
from sklearn_ae.inspection import ReconstructionDisplay
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
# Errors of the restored images
# -----------------------------
# The autoencoder halves the error of PCA. Its linear start shrinks each component according to its
# share of noise, and training on new noise in each batch teaches it what digits look like.
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
# From top to bottom: the clean images, the noisy images, and the restoration by each method.
labels = {name: f"{name}\nerror {errors[name]:.4f}" for name in fitted}
display = ReconstructionDisplay(
    {
        "original": X_test[:10],
        f"noisy\nerror {errors['noisy']:.4f}": X_noisy[:10],
        **{labels[name]: restored[name][:10] for name in fitted},
    },
    image_shape=(8, 8),
).plot(cmap="gray_r")
plt.show()
