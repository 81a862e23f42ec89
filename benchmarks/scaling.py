"""Measure how fit time, transform time and peak memory grow with rows, features and code units.

    python benchmarks/scaling.py [--plot FILE]

Compares the default fit, PCA, and MLPRegressor with the same layer widths, batch size and number of
epochs. X is the tanh of a float32 table of rank 8, plus noise. Every measurement runs in its own
process, after a small fit. Memory is the peak resident memory, minus that before the fit, with X.
"""

import argparse
import ctypes
import json
import re
import subprocess
import sys
import time
import warnings
from pathlib import Path

import numpy as np
from sklearn.decomposition import PCA
from sklearn.exceptions import ConvergenceWarning
from sklearn.neural_network import MLPRegressor

from sklearn_ae import AutoencoderTransformer

# (rows, features, code units): one of them grows, the others are constant
SWEEPS = {
    "rows": [(n, 100, 16) for n in (1000, 10_000, 62_500, 125_000, 250_000, 500_000, 1_000_000)],
    "features": [(10_000, n, 8) for n in (10, 100, 1000, 10_000)],
    "codes": [(10_000, 1000, n) for n in (2, 8, 32, 128, 512)],
}
STYLES = {
    "ours": {"color": "#0b4fa8", "marker": "o"},
    "PCA": {"color": "#7f7f7f", "marker": "s", "linestyle": "--"},
    "MLPRegressor": {"color": "#d55e00", "marker": "^", "linestyle": ":"},
}


def table(n_rows, n_features):
    rng = np.random.default_rng(0)
    mixing = rng.standard_normal((8, n_features), dtype=np.float32)
    X = np.tanh(rng.standard_normal((n_rows, 8), dtype=np.float32) @ mixing)
    for part in range(0, n_rows, 10_000):
        X[part : part + 10_000] += 0.1 * rng.standard_normal(
            X[part : part + 10_000].shape, dtype=np.float32
        )
    return X


def peak_memory():
    """Return the peak resident memory of this process, in MB."""
    return int(re.search(r"VmHWM:\s+(\d+)", Path("/proc/self/status").read_text())[1]) / 1024


def forget_peak():
    """Reset the peak resident memory of this process; return the resident memory, in MB.

    Freed memory that the allocator has kept is returned to the system first.
    """
    ctypes.CDLL(None).malloc_trim(0)
    Path("/proc/self/clear_refs").write_text("5")
    return int(re.search(r"VmRSS:\s+(\d+)", Path("/proc/self/status").read_text())[1]) / 1024


def estimator(name, n_components, plan):
    if name == "ours":
        return AutoencoderTransformer(n_components, random_state=0)
    if name == "PCA":
        return PCA(n_components, random_state=0)
    return MLPRegressor(
        hidden_layer_sizes=plan["widths"],
        batch_size=plan["batch_size"],
        max_iter=plan["n_epochs"],
        n_iter_no_change=plan["n_epochs"],
        tol=0,
        random_state=0,
    )


def measure(name, size, plan):
    n_rows, n_features, n_components = size
    AutoencoderTransformer(2, max_epochs=1).fit(np.random.default_rng(0).random((100, 4)))
    X = table(n_rows, n_features)
    before = forget_peak()
    reducer = estimator(name, n_components, plan)
    start = time.perf_counter()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        reducer.fit(*([X, X] if name == "MLPRegressor" else [X]))
    found = {"fit": time.perf_counter() - start, "memory": peak_memory() - before}
    if name != "MLPRegressor":
        start = time.perf_counter()
        reducer.transform(X)
        found["transform"] = time.perf_counter() - start
    if name == "ours":
        hidden = reducer._automatic_widths(n_components)
        found["plan"] = {
            "widths": [*hidden, n_components, *hidden[::-1]],
            "batch_size": reducer.net_.batch_size,
            "n_epochs": reducer.n_iter_,
        }
    print(json.dumps(found))


def measured(name, size, plan):
    command = [sys.executable, __file__, "--measure", json.dumps([name, size, plan])]
    return json.loads(subprocess.run(command, capture_output=True, text=True, check=True).stdout)


def draw(results, path):
    import matplotlib as mpl

    mpl.use("Agg")
    import matplotlib.pyplot as plt

    quantities = {"fit": "fit, seconds", "memory": "peak memory without X, MB"}
    figure, axes = plt.subplots(2, 3, figsize=(10, 6), layout="constrained", sharey="row")
    for column, (sweep, sizes) in enumerate(SWEEPS.items()):
        fixed = [f"{n:,} {w}" for n, w in zip(sizes[0], SWEEPS, strict=True) if w != sweep]
        axes[0, column].set_title(", ".join(fixed), fontsize="medium")
        for row, quantity in enumerate(quantities):
            ax = axes[row, column]
            for name, style in STYLES.items():
                grown = [size[column] for size in sizes]
                values = [max(results[name, size][quantity], 1e-3) for size in sizes]
                ax.loglog(grown, values, label=name, **style)
            ax.grid(alpha=0.3)
        axes[1, column].set_xlabel(sweep)
    for ax, label in zip(axes[:, 0], quantities.values(), strict=True):
        ax.set_ylabel(label)
    axes[0, 0].legend()
    figure.savefig(path, dpi=120)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--plot", type=Path, metavar="FILE", help="draw the table")
    parser.add_argument("--measure", type=json.loads, help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.measure:
        measure(*args.measure)
        return
    results = {}
    print(f"{'':28}{'fit, seconds':^26}{'transform, s':^18}{'peak memory, MB':^26}")
    heads = ["ours", "PCA", "MLP", "ours", "PCA", "ours", "PCA", "MLP"]
    print(f"{'rows':>10}{'features':>10}{'codes':>7} " + "".join(f"{h:>9}" for h in heads))
    for sizes in SWEEPS.values():
        print()
        for size in sizes:
            plan = None
            for name in STYLES:
                if (name, size) not in results:
                    results[name, size] = measured(name, size, plan)
                plan = results["ours", size]["plan"]
            ours, pca, mlp = (results[name, size] for name in STYLES)
            cells = [
                *(f"{r['fit']:9.2f}" for r in (ours, pca, mlp)),
                *(f"{r['transform']:9.3f}" for r in (ours, pca)),
                *(f"{r['memory']:9.0f}" for r in (ours, pca, mlp)),
            ]
            print(f"{size[0]:10,}{size[1]:10,}{size[2]:7} " + "".join(cells), flush=True)
    if args.plot:
        draw(results, args.plot)


if __name__ == "__main__":
    main()
