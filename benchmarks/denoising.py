"""Compare the denoising autoencoder with linear and kernel methods on corrupted rows.

    python benchmarks/denoising.py --mnist DIR                  # the published tables
    python benchmarks/denoising.py --mnist DIR --rows 2000 --set learning_rate=0.002

All methods are fitted to the same training rows and restore the same corrupted test rows, with
64 code units on MNIST and 16 on the digits. PCA and KernelPCA use the parameters, from a grid, that
are best *on the test rows*. The hand-written network trains for the same time as ours. The last
tables show the accuracy of classifiers on the codes of corrupted images, and the time of an epoch.
"""

import argparse
import itertools
import statistics
import time

import numpy as np
import torch
import torch.nn.functional as F
from _data import add_mnist_argument, add_set_argument, load_bundled, load_mnist
from sklearn.decomposition import PCA, KernelPCA
from sklearn.linear_model import LogisticRegression, Ridge
from sklearn.metrics import mean_squared_error
from sklearn.model_selection import train_test_split
from sklearn.neighbors import KNeighborsClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from skorch.callbacks import EpochTimer
from torch import nn

from sklearn_ae import AutoencoderTransformer, DenoisingAutoencoder
from sklearn_ae.corruption import corrupt
from sklearn_ae.metrics import peak_signal_noise_ratio

MNIST_CORRUPTIONS = {
    "Gaussian 0.5, clipped": ("gaussian", 0.5, (0, 1)),
    "masking 0.5": ("masking", 0.5, None),
    "salt and pepper 0.3": ("salt_and_pepper", 0.3, None),
}
DIGITS_CORRUPTIONS = {"Gaussian 0.3": ("gaussian", 0.3, None)}
N_KERNEL_ROWS = 10_000
N_ROWS_TO_CLASSIFY = 10_000


# --------------------------------------------------------- the methods: X_train, X_noisy → restored


def best(restored_by, X_test):
    """Return the (name, restored) pair with the smallest error."""
    return min(restored_by, key=lambda pair: mean_squared_error(X_test, pair[1]))


def restore_by_pca(X_train, X_noisy):
    pca = PCA(min(256, X_train.shape[1]), random_state=0).fit(X_train)
    codes = pca.transform(X_noisy)
    for size in (2, 4, 8, 12, 16, 24, 32, 48, 64, 96, 128, 256):
        if size <= pca.n_components_:
            restored = codes[:, :size] @ pca.components_[:size] + pca.mean_
            yield f"PCA, best size: {size}", restored


def restore_by_wiener(X_train, X_train_noisy, X_noisy):
    """Shrink each component by its share of signal, given the measured variance of the noise."""
    pca = PCA(random_state=0).fit(X_train)
    noise = np.var(X_train_noisy - X_train, axis=0).mean()
    shrunk = pca.explained_variance_ / (pca.explained_variance_ + noise)
    codes = (X_noisy - X_train_noisy.mean(axis=0)) @ pca.components_.T
    return (codes * shrunk) @ pca.components_ + pca.mean_


def restore_by_least_squares(X_train, X_train_noisy, X_noisy):
    for share in (0.001, 0.01, 0.1, 1):
        ridge = Ridge(share * X_train_noisy.var() * len(X_train)).fit(X_train_noisy, X_train)
        yield f"least squares of clean on corrupted, ridge {share}", ridge.predict(X_noisy)


def restore_by_kernel_pca(X_train, X_test, X_noisy, n_kernel_rows):
    """Choose the best parameters of a grid on 2,000 rows, and fit them to more rows.

    Fitting to corrupted rows, as in scikit-learn's example, was worse in all cases that were tried.
    """
    X_fit = X_train.astype(float)
    rows = np.random.RandomState(0).permutation(len(X_train))
    gamma = 1 / (X_train.shape[1] * X_train.var())  # "scale" in scikit-learn's SVC

    def restored(width, size, alpha, n_rows):
        kernel_pca = KernelPCA(
            min(size, n_rows - 1, len(rows) - 1),
            kernel="rbf",
            gamma=width * gamma,
            alpha=alpha,
            fit_inverse_transform=True,
            eigen_solver="randomized",
            random_state=0,
        ).fit(X_fit[rows[:n_rows]])
        return kernel_pca.inverse_transform(kernel_pca.transform(X_noisy))

    grid = itertools.product((0.03, 0.1, 0.2), (64, 256), (0.001, 0.01, 0.1))
    cells = [(cell, restored(*cell, n_rows=2000)) for cell in grid]
    cell, _ = best(cells, X_test)
    n_rows = min(n_kernel_rows, len(rows))
    width, size, alpha = cell
    name = f"KernelPCA, {n_rows} rows, gamma {width * gamma:.2g}, {size}, alpha {alpha}"
    return name, restored(*cell, n_rows=n_rows)


def restore_by_hand(X_train, X_noisy, corruption, n_components, seconds, seed):
    """Train a dense denoising autoencoder in plain torch for the given number of seconds."""
    torch.manual_seed(seed)
    n_features = X_train.shape[1]
    module = nn.Sequential(
        nn.Linear(n_features, 512),
        nn.ReLU(),
        nn.Linear(512, n_components),
        nn.Linear(n_components, 512),
        nn.ReLU(),
        nn.Linear(512, n_features),
    )
    optimizer = torch.optim.Adam(module.parameters(), lr=1e-3, fused=True)
    X = torch.as_tensor(X_train, dtype=torch.float32)
    means = X.mean(dim=0)
    start = time.perf_counter()
    while time.perf_counter() - start < seconds:
        for batch in torch.randperm(len(X)).split(128):
            clean = X[batch]
            optimizer.zero_grad()
            F.mse_loss(module(corrupted_batch(clean, means, *corruption)), clean).backward()
            optimizer.step()
            if time.perf_counter() - start > seconds:
                break
    with torch.no_grad():
        return module(torch.as_tensor(X_noisy, dtype=torch.float32)).numpy()


def corrupted_batch(clean, means, kind, level, corruption_range):
    if kind == "gaussian":
        noisy = clean + level * torch.randn_like(clean)
        return noisy if corruption_range is None else noisy.clamp(*corruption_range)
    draw = torch.rand_like(clean)
    if kind == "masking":
        return torch.where(draw < level, means, clean)
    return torch.where(draw < level / 2, 0.0, torch.where(draw > 1 - level / 2, 1.0, clean))


# ------------------------------------------------------------------------------------ tables


def ours(n_components, corruption, seed, params):
    kind, level, corruption_range = corruption
    return DenoisingAutoencoder(
        n_components,
        corruption=kind,
        corruption_level=level,
        corruption_range=corruption_range,
        random_state=seed,
        **params,
    )


def restoration_table(X_train, X_test, name, corruption, n_components, args):
    X_noisy = corrupt(X_test, *corruption, random_state=1)
    X_train_noisy = corrupt(X_train, *corruption, random_state=2)

    def row(method, restored, seconds=""):
        error = mean_squared_error(X_test, restored)
        ratio = peak_signal_noise_ratio(X_test, restored, data_range=1)
        print(f"{method:55}{error:9.5f}{ratio:8.2f} {seconds}", flush=True)

    print(f"{f'{len(X_train)} rows, {name}':55}{'error':>9}{'PSNR':>8}  seconds")
    row("corrupted", X_noisy)
    if "rivals" not in args.skip:
        row(*best(restore_by_pca(X_train, X_noisy), X_test))
        row("Wiener-shrunk PCA", restore_by_wiener(X_train, X_train_noisy, X_noisy))
        row(*best(restore_by_least_squares(X_train, X_train_noisy, X_noisy), X_test))
        row(*restore_by_kernel_pca(X_train, X_test, X_noisy, args.kernel_rows))
    start = ours(n_components, corruption, 0, {**args.set, "max_epochs": 0}).fit(X_train)
    row(f"ours, untrained, {n_components} codes", start.reconstruct(X_noisy))
    for seed in range(args.seeds):
        begin = time.perf_counter()
        fitted = ours(n_components, corruption, seed, args.set).fit(X_train)
        seconds = time.perf_counter() - begin
        label = f"ours, {n_components} codes, seed {seed}, epoch {fitted.best_epoch_}"
        row(label, fitted.reconstruct(X_noisy), f"{seconds:8.1f}")
        if "rivals" not in args.skip:
            label = f"hand-written network, {n_components} codes, seed {seed}, in that time"
            row(label, restore_by_hand(X_train, X_noisy, corruption, n_components, seconds, seed))
    print(flush=True)


def accuracy_table(mnist, args):
    """Print how accurate classifiers of clean codes are on the codes of corrupted images."""
    X_train, y_train, X_test, y_test = mnist
    labelled = np.random.RandomState(0).permutation(len(X_train))[:N_ROWS_TO_CLASSIFY]
    print(f"{'accuracy on codes of corrupted images':55}{'PCA':>8}{'ours':>8}")
    for name, corruption in MNIST_CORRUPTIONS.items():
        X_noisy = corrupt(X_test, *corruption, random_state=1)
        reducers = [PCA(64, random_state=0), ours(64, corruption, 0, args.set)]
        codes = [
            (reducer.transform(X_train[labelled]), reducer.transform(X_noisy))
            for reducer in (reducer.fit(X_train) for reducer in reducers)
        ]
        for classifier in (LogisticRegression(max_iter=1000), KNeighborsClassifier()):
            pipeline = make_pipeline(StandardScaler(), classifier)
            scores = [
                pipeline.fit(clean, y_train[labelled]).score(noisy, y_test)
                for clean, noisy in codes
            ]
            print(f"{name + ', ' + type(classifier).__name__:55}{scores[0]:8.3f}{scores[1]:8.3f}")
    print(flush=True)


def cost_table(X_train, params, n_rounds):
    """Print the time of an epoch with corruption ÷ that of the same network without corruption."""
    contenders = {
        "no corruption": AutoencoderTransformer,
        "Gaussian": DenoisingAutoencoder,
        "Gaussian, clipped": lambda *a, **k: DenoisingAutoencoder(*a, corruption_range=(0, 1), **k),
        "masking": lambda *a, **k: DenoisingAutoencoder(*a, corruption="masking", **k),
        "salt and pepper": lambda *a, **k: DenoisingAutoencoder(
            *a, corruption="salt_and_pepper", **k
        ),
    }
    reference = DenoisingAutoencoder(64).set_params(**params)
    same = {
        name: getattr(reference, name)
        for name in ("hidden_layer_sizes", "activation", "batch_size", "learning_rate")
    }
    times = {name: [] for name in contenders}
    for _ in range(n_rounds):
        for name, make in contenders.items():
            timer = {"callbacks": [("timer", EpochTimer())]}
            fitted = make(64, **same, max_epochs=3, early_stopping=False, net_params=timer)
            times[name] += fitted.fit(X_train).net_.history[1:, "dur"]
    unit = statistics.median(times["no corruption"])
    print(f"{'time of an epoch ÷ the same without corruption':55}{'median of ' + str(n_rounds)}")
    for name, seconds in times.items():
        print(f"{name:55}{statistics.median(seconds) / unit:9.2f}", flush=True)


def main():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    add_mnist_argument(parser)
    add_set_argument(parser)
    parser.add_argument("--rows", type=int, nargs="+", default=[60_000, 2_000])
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--kernel-rows", type=int, default=N_KERNEL_ROWS)
    parser.add_argument("--rounds", type=int, default=5, help="rounds of the table of times")
    parser.add_argument(
        "--skip", nargs="*", default=[], choices=["digits", "MNIST", "rivals", "accuracy", "cost"]
    )
    args = parser.parse_args()
    args.set = dict(args.set)
    print(f"{args.set or 'defaults'}\n")
    if "digits" not in args.skip:
        X, _ = load_bundled("digits")
        for seed in range(args.seeds):
            X_train, X_test = train_test_split(X / 16, random_state=seed)
            for name, corruption in DIGITS_CORRUPTIONS.items():
                restoration_table(X_train, X_test, f"digits {seed}, {name}", corruption, 16, args)
    if {"MNIST", "accuracy", "cost"} <= set(args.skip):
        return
    mnist = load_mnist(args.mnist)
    if "MNIST" not in args.skip:
        for n_rows, (name, corruption) in itertools.product(args.rows, MNIST_CORRUPTIONS.items()):
            X_train = mnist[0][:n_rows]
            restoration_table(X_train, mnist[2], f"MNIST, {name}", corruption, 64, args)
    if "accuracy" not in args.skip:
        accuracy_table(mnist, args)
    if "cost" not in args.skip:
        cost_table(mnist[0], args.set, args.rounds)


if __name__ == "__main__":
    main()
