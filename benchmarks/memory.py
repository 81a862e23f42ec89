"""Measure peak memory and time of fits on tables that are large, of bytes, or sparse.

    python benchmarks/memory.py --mnist DIR [--gigabytes 8] [--folder FOLDER]

Every fit runs in its own process. The printed memory is its peak resident memory, including pages
of mapped files, minus the memory before X was created or opened. A small fit runs first, because
the first fit of a process imports parts of torch.
"""

import argparse
import re
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
from _data import add_mnist_argument, load_mnist
from scipy import sparse

from sklearn_ae import AutoencoderTransformer

N_FEATURES = 512
CHUNK = 100_000


def resident():
    """Return the peak resident memory of this process so far, in MB."""
    status = Path("/proc/self/status").read_text()
    return int(re.search(r"VmHWM:\s+(\d+) kB", status)[1]) / 1024


def write_table(path, gigabytes):
    """Write rows of rank 16 plus noise to a file; return the number of rows."""
    rng = np.random.default_rng(0)
    mixing = rng.normal(size=(16, N_FEATURES)).astype(np.float32)
    n_chunks = int(gigabytes * 1e9) // (4 * N_FEATURES * CHUNK)
    with path.open("wb") as file:
        for _ in range(n_chunks):
            codes = rng.standard_normal((CHUNK, 16), dtype=np.float32)
            noise = rng.standard_normal((CHUNK, N_FEATURES), dtype=np.float32)
            (np.tanh(codes) @ mixing + 0.1 * noise).tofile(file)
    return n_chunks * CHUNK


def memory_map(path):
    return np.memmap(path, dtype=np.float32, mode="r").reshape(-1, N_FEATURES)


def mnist(folder, dtype):
    """Return MNIST's training images in a dtype, values 0 to 255."""
    path = Path(folder) / f"mnist-{dtype}.npy"
    return np.load(path)


def sparse_table():
    """Return 100,000 rows of 20,000 features, of which 0.5 % are not zero."""
    rng = np.random.default_rng(0)
    n_rows, n_features, n_entries = 100_000, 20_000, 100
    columns = (n_features * rng.random((n_rows, n_entries)) ** 3).astype(np.int32)
    values = rng.random((n_rows, n_entries), dtype=np.float32)
    rows = np.arange(0, n_rows * n_entries + 1, n_entries)
    X = sparse.csr_array((values.ravel(), columns.ravel(), rows), shape=(n_rows, n_features))
    X.sum_duplicates()
    return X


CASES = {
    "memory map, 8 GB of float32": (lambda args: memory_map(args[0]), {"n_components": 16}),
    "MNIST, float32": (lambda args: mnist(args[0], "float32"), {}),
    "MNIST, uint8": (lambda args: mnist(args[0], "uint8"), {}),
    "sparse, 100,000 x 20,000": (lambda _: sparse_table(), {"n_components": 64}),
}


def measure(case, *args):
    """Fit in this process; print its peak memory in MB, the seconds and R²."""
    make, params = CASES[case]
    AutoencoderTransformer(2, max_epochs=1).fit(np.random.default_rng(0).random((100, 4)))
    before, start = resident(), time.perf_counter()
    X = make(args)
    autoencoder = AutoencoderTransformer(random_state=0, **params).fit(X)
    print(resident() - before, time.perf_counter() - start, autoencoder.score(X[:10_000]))


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    add_mnist_argument(parser)
    parser.add_argument("--gigabytes", type=float, default=8)
    parser.add_argument("--folder", type=Path, help="folder for tables; default: a temporary one")
    parser.add_argument("--measure", nargs="+", help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.measure:
        measure(*args.measure)
        return
    with tempfile.TemporaryDirectory(dir=args.folder) as folder:
        folder = Path(folder)
        print(f"{write_table(folder / 'table', args.gigabytes):,} x {N_FEATURES} rows are mapped")
        bytes_ = np.round(255 * load_mnist(args.mnist)[0]).astype(np.uint8)
        for dtype in ("uint8", "float32"):
            np.save(folder / f"mnist-{dtype}.npy", bytes_.astype(dtype))
        print(f"{'':30}{'peak, MB':>10}{'seconds':>10}{'R²':>10}")
        for case in CASES:
            where = folder / "table" if case.startswith("memory map") else folder
            command = [sys.executable, __file__, "--measure", case, str(where)]
            out = subprocess.run(command, capture_output=True, text=True, check=True).stdout
            peak, seconds, score = map(float, out.split())
            print(f"{case:30}{peak:10.0f}{seconds:10.1f}{score:10.4f}", flush=True)


if __name__ == "__main__":
    main()
