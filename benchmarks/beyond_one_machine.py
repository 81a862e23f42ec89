"""Measure a Dask cluster of two workers, and one fit by two ranks, on this machine.

    python benchmarks/beyond_one_machine.py [--mnist DIR] [--rounds 3] [--only search rows ranks]

search: 24 fits on 5,000 rows of 64 features, with joblib's loky and with Dask; once more with Dask
while a worker is killed half way.

rows: 5,000,000 x 100 numbers from Parquet to Parquet, in one process and on two workers of one
thread each.

ranks: MNIST with one rank and with two ranks over gloo, of one thread each. Prints the difference
of the weights, the seconds per epoch, and the bytes sent per step.
"""

import argparse
import os
import pickle
import signal
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path

import numpy as np
import torch
from _data import add_mnist_argument, load_mnist
from joblib import parallel_config
from sklearn.model_selection import GridSearchCV, KFold
from skorch.callbacks import Callback, EpochTimer

from sklearn_ae import AutoencoderTransformer

GRID = {"n_components": [2, 3, 4, 6, 8, 12, 16, 24]}
N_FILES, ROWS_A_FILE, N_FEATURES = 50, 100_000, 100
NETWORKS = {
    "default": {},
    "784-1000-500-250-30": {"n_components": 30, "hidden_layer_sizes": (1000, 500, 250)},
}


# --------------------------------------------------------------------------------- searches


# Dask makes glibc return freed memory at once, although the next step needs it again: prevent it
KEEP_MEMORY = {"MALLOC_TRIM_THRESHOLD_": "134217728", "MALLOC_MMAP_THRESHOLD_": "33554432"}


def new_client(n_workers=2):
    from dask.distributed import Client, LocalCluster

    os.environ.update(KEEP_MEMORY)
    cluster = LocalCluster(n_workers=n_workers, threads_per_worker=1, dashboard_address=":0")
    return Client(cluster)


def table():
    rng = np.random.default_rng(0)
    X = np.tanh(rng.normal(size=(5000, 8)) @ rng.normal(size=(8, 64)))
    return (X + 0.1 * rng.normal(size=X.shape)).astype(np.float32)


def searched(X, splits, backend, scatter=None):
    search = GridSearchCV(AutoencoderTransformer(random_state=0), GRID, cv=splits, n_jobs=2)
    options = {} if scatter is None else {"scatter": scatter}
    start = time.perf_counter()
    with parallel_config(backend, **options):
        search.fit(X)
    return time.perf_counter() - start, search.best_params_


def kill_one(client, delay):
    time.sleep(delay)
    os.kill(next(iter(client.run(os.getpid).values())), signal.SIGKILL)


def searches(args):
    X = table()
    splits = list(KFold(3).split(X))
    scatter = [X, *(rows for split in splits for rows in split)]
    searched(X, splits, "loky")  # warm up: start the processes and import torch
    print(f"{'round':>5}{'loky, s':>10}{'Dask, s':>10}{'ratio':>8}")
    ratios = []
    with new_client() as client:
        client.amm.stop()  # every worker keeps its copy of the scattered arrays
        searched(X, splits, "dask", scatter)
        for i in range(args.rounds):
            local, best = searched(X, splits, "loky")
            cluster, found = searched(X, splits, "dask", scatter)
            assert found == best
            ratios.append(cluster / local)
            print(f"{i:5}{local:10.1f}{cluster:10.1f}{ratios[-1]:8.2f}", flush=True)
        print(f"median {statistics.median(ratios):.2f}")
        killer = threading.Thread(target=kill_one, args=(client, cluster / 2))
        killer.start()
        killed, found = searched(X, splits, "dask", scatter)
        killer.join()
        print(f"a worker killed after {cluster / 2:.1f} s: {killed:.1f} s, {found}, was {best}")


# ------------------------------------------------------------------------------------- rows


def write_rows(folder):
    import pandas as pd

    rng = np.random.default_rng(0)
    mixing = rng.normal(size=(8, N_FEATURES)).astype(np.float32)
    folder.mkdir()
    for i in range(N_FILES):
        X = np.tanh(rng.normal(size=(ROWS_A_FILE, 8)).astype(np.float32) @ mixing)
        frame = pd.DataFrame(X, columns=[f"x{j}" for j in range(N_FEATURES)])
        frame.to_parquet(folder / f"part-{i:03}.parquet", index=False)
    return frame


def in_one_process(autoencoder, source, target):
    import pandas as pd

    target.mkdir()
    start = time.perf_counter()
    for path in sorted(source.glob("*.parquet")):
        autoencoder.transform(pd.read_parquet(path)).to_parquet(target / path.name, index=False)
    return time.perf_counter() - start


def on_workers(autoencoder, source, target):
    import dask.dataframe as dd

    from sklearn_ae.dask import map_rows

    start = time.perf_counter()
    map_rows(autoencoder, dd.read_parquet(source)).to_parquet(target)
    return time.perf_counter() - start


def peak_memory():
    import resource

    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20


def rows(args):
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        frame = write_rows(folder / "in")
        autoencoder = AutoencoderTransformer(16, random_state=0, max_epochs=5).fit(frame)
        autoencoder.set_output(transform="pandas")
        n_rows, n_threads = N_FILES * ROWS_A_FILE, torch.get_num_threads()
        print(f"{n_rows} rows, rows a second; one process of 1 and of {n_threads} threads")
        print(f"{'round':>5}{'1 thread':>12}{'all threads':>13}{'2 workers':>12}{'ratios':>14}")
        with new_client() as client:
            on_workers(autoencoder, folder / "in", folder / "warm up")
            for i in range(args.rounds):
                torch.set_num_threads(1)
                one = in_one_process(autoencoder, folder / "in", folder / f"one {i}")
                torch.set_num_threads(n_threads)
                every = in_one_process(autoencoder, folder / "in", folder / f"all {i}")
                two = on_workers(autoencoder, folder / "in", folder / f"two {i}")
                print(
                    f"{i:5}{n_rows / one:12.0f}{n_rows / every:13.0f}{n_rows / two:12.0f}"
                    f"{one / two:7.2f}{every / two:7.2f}",
                    flush=True,
                )
            peaks = client.run(peak_memory).values()
            print("peak memory of the workers, GiB:", *(f"{peak:.2f}" for peak in peaks))


# ------------------------------------------------------------------------------------ ranks


class Traffic(Callback):
    """Record the bytes that pass through the loopback interface in each epoch."""

    def on_train_begin(self, net, **kwargs):
        self.n_bytes = []

    def on_epoch_begin(self, net, **kwargs):
        self.before = loopback_bytes()

    def on_epoch_end(self, net, **kwargs):
        self.n_bytes.append(loopback_bytes() - self.before)


def loopback_bytes():
    lines = Path("/proc/net/dev").read_text().splitlines()
    (line,) = (line for line in lines if line.strip().startswith("lo:"))
    return int(line.split()[1])


def fit_as_a_rank(args):
    """Fit as one of the ranks; rank 0 writes the result."""
    from torch import distributed

    distributed.init_process_group("gloo")
    X = load_mnist(args.mnist)[0]
    traffic = Traffic()
    estimator = AutoencoderTransformer(
        data_parallel=True,
        max_epochs=args.epochs,
        early_stopping=False,
        random_state=0,
        net_params={"callbacks": [EpochTimer(), traffic], "optimizer__eps": args.eps},
        **NETWORKS[args.network],
    ).fit(X)
    state = estimator.net_.module_.state_dict()
    result = {
        "weights": {name: weights.cpu().numpy() for name, weights in state.items()},
        "n_weights": sum(p.numel() for p in estimator.net_.module_.parameters()),
        "seconds": statistics.median(estimator.net_.history[:, "dur"]),
        "n_steps": int(np.ceil(len(X) / estimator.net_.batch_size)),
        "n_bytes": statistics.median(traffic.n_bytes),
    }
    if distributed.get_rank() == 0:
        args.result.write_bytes(pickle.dumps(result))
    distributed.destroy_process_group()


def by_ranks(args, n_ranks, network, n_epochs, eps=1e-8):
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "result"
        command = [sys.executable, "-m", "torch.distributed.run", "--standalone"]
        command += ["--nproc-per-node", str(n_ranks), __file__, "--network", network]
        command += ["--epochs", str(n_epochs), "--eps", str(eps), "--result", str(path)]
        command += [] if args.mnist is None else ["--mnist", str(args.mnist)]
        subprocess.run(command, check=True, env={**os.environ, "OMP_NUM_THREADS": "1"})
        return pickle.loads(path.read_bytes())


def difference(args, network, eps):
    """Return the largest difference of weights after an epoch, in units of the largest weight."""
    alone, together = (by_ranks(args, n, network, 1, eps)["weights"] for n in (1, 2))
    largest = max(np.abs(weights).max() for weights in alone.values())
    return max(np.abs(w - together[name]).max() for name, w in alone.items()) / largest


def ranks(args):
    for network in NETWORKS:
        print(f"{network}: largest difference ÷ largest weight after an epoch, by Adam's eps")
        for eps in (1e-8, 1e-6):
            print(f"  {eps:.0e}: {difference(args, network, eps):.1e}", flush=True)
        found = [[by_ranks(args, n, network, 2) for n in (1, 2)] for _ in range(args.rounds)]
        seconds = ([fit["seconds"] for fit in fits] for fits in zip(*found, strict=True))
        one, two = map(statistics.median, seconds)
        print(f"  seconds per epoch: one rank {one:.2f}, two ranks {two:.2f}")
        together = found[0][1]
        measured = together["n_bytes"] / together["n_steps"] / 2
        reckoned = 4 * together["n_weights"]
        print(f"  bytes per step and rank: {measured:.0f}, computed {reckoned}", flush=True)


PARTS = {"search": searches, "rows": rows, "ranks": ranks}


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    add_mnist_argument(parser)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--only", nargs="+", choices=PARTS, default=list(PARTS))
    parser.add_argument("--network", help=argparse.SUPPRESS)  # set for the processes of the ranks
    parser.add_argument("--epochs", type=int, help=argparse.SUPPRESS)
    parser.add_argument("--eps", type=float, help=argparse.SUPPRESS)
    parser.add_argument("--result", type=Path, help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.network:
        fit_as_a_rank(args)
        return
    for part in args.only:
        PARTS[part](args)


if __name__ == "__main__":
    main()
