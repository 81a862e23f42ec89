"""A fit depends on its input and seed alone, and leaves nothing behind."""

import functools
import hashlib
import subprocess
import sys
import threading
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from joblib import Parallel, delayed
from numpy.testing import assert_allclose, assert_array_equal
from sklearn.base import clone
from sklearn.datasets import load_digits
from sklearn.model_selection import GridSearchCV
from threadpoolctl import threadpool_limits

from sklearn_ae import AutoencoderTransformer, DenoisingAutoencoder

X = load_digits().data[:200]
PARAMS = {"hidden_layer_sizes": (16,), "max_epochs": 3}
KINDS = {
    "defaults": AutoencoderTransformer(4, **PARAMS),
    "custom": AutoencoderTransformer(4, encoder=torch.nn.Linear, **PARAMS),
    "denoising": DenoisingAutoencoder(4, **PARAMS),
}


def weights(estimator):
    state = estimator.net_.module_.state_dict()
    return np.concatenate([tensor.numpy().ravel() for tensor in state.values()])


def fitted(kind, seed, **params):
    return clone(KINDS[kind]).set_params(random_state=seed, **params).fit(X)


@contextmanager
def one_thread():
    n_threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        with threadpool_limits(1):
            yield
    finally:
        torch.set_num_threads(n_threads)


FIT_AND_PRINT = """
import hashlib, sys
import numpy as np, torch
from sklearn.datasets import load_digits
from sklearn_ae import AutoencoderTransformer

torch.set_num_threads(1)
torch.manual_seed(int(sys.argv[1]))
np.random.seed(int(sys.argv[1]))
X = load_digits().data[:200]
estimator = AutoencoderTransformer(4, hidden_layer_sizes=(16,), max_epochs=3, random_state=0)
print(hashlib.sha256(estimator.fit_transform(X).tobytes()).hexdigest())
"""


def test_two_processes_find_the_same():
    found = {
        subprocess.run(
            [sys.executable, "-c", FIT_AND_PRINT, seed], capture_output=True, text=True, check=True
        ).stdout
        for seed in ("1", "2")
    }
    with one_thread():
        codes = fitted("defaults", 0).transform(X)
    assert found == {hashlib.sha256(codes.tobytes()).hexdigest() + "\n"}


@pytest.mark.parametrize("kind", KINDS)
def test_fits_in_threads_equal_fits_in_a_row(kind):
    in_a_row = [weights(fitted(kind, seed)) for seed in range(4)]
    at_once = Parallel(n_jobs=4, backend="threading")(
        delayed(fitted)(kind, seed) for seed in range(4)
    )
    for expected, estimator in zip(in_a_row, at_once, strict=True):
        assert_array_equal(weights(estimator), expected)


def test_fits_in_worker_processes_equal_fits_in_a_row():
    def found_by(n_jobs):
        estimator = clone(KINDS["defaults"]).set_params(random_state=0)
        search = GridSearchCV(estimator, {"n_components": [2, 4]}, cv=3, n_jobs=n_jobs)
        search.fit(X)
        splits = [search.cv_results_[f"split{i}_test_score"] for i in range(3)]
        return np.array(splits), weights(search.best_estimator_)

    with one_thread():  # as many as a worker has
        for found, expected in zip(found_by(n_jobs=2), found_by(n_jobs=1), strict=True):
            assert_array_equal(found, expected)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("verbose", [1, 2])
def test_what_is_shown_changes_nothing(kind, verbose, capsys):
    assert_array_equal(weights(fitted(kind, 0, verbose=verbose)), weights(fitted(kind, 0)))
    assert "".join(capsys.readouterr())


@pytest.mark.parametrize("kind", KINDS)
def test_transform_from_many_threads(kind):
    estimator = fitted(kind, 0)
    expected, found = estimator.reconstruct(X), {}

    def reconstruct(number):
        found[number] = [estimator.reconstruct(X) for _ in range(5)]

    threads = [threading.Thread(target=reconstruct, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(found) == 8
    for results in found.values():
        for result in results:
            assert_array_equal(result, expected)


@functools.cache
def default():
    return fitted("defaults", 0)


@settings(max_examples=10, deadline=None)
@given(st.permutations(range(len(X))))
def test_order_of_the_rows_in_transform_does_not_matter(order):
    estimator = default()
    assert_array_equal(estimator.transform(X[order]), estimator.transform(X)[order])


@settings(max_examples=10, deadline=None)
@given(st.permutations(range(64)))
def test_order_of_the_features_does_not_matter_for_the_start(order):
    params = {"max_epochs": 0, "random_state": 0}
    codes = AutoencoderTransformer(4, **params).fit_transform(X)
    permuted = AutoencoderTransformer(4, **params).fit_transform(X[:, order])
    assert_allclose(np.abs(permuted), np.abs(codes), atol=1e-3)  # signs depend on the order


GROWTH = """
import gc, os, resource, threading
import numpy as np
from pathlib import Path
from sklearn_ae import AutoencoderTransformer, DenoisingAutoencoder

X = np.random.default_rng(0).random((200, 30), dtype=np.float32)
estimators = [
    AutoencoderTransformer(4, max_epochs=2, hidden_layer_sizes=(64,)),
    DenoisingAutoencoder(4, max_epochs=2, hidden_layer_sizes=(64,)),
]

def state():
    gc.collect()
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    files = len(os.listdir("/proc/self/fd"))
    return pages * resource.getpagesize() / 2**20, files, len(os.listdir("/proc/self/task"))

for i in range(300):
    estimators[i % 2].fit(X).score(X)
    if i == 9:
        before = state()
after = state()
print(after[0] - before[0], after[1] - before[1], after[2] - before[2])
"""


@pytest.mark.skipif(not Path("/proc/self/statm").exists(), reason="Linux counts these there")
def test_300_fits_leave_memory_files_and_threads_as_they_are():
    command = [sys.executable, "-c", GROWTH]
    result = subprocess.run(command, capture_output=True, text=True, check=True)
    megabytes, files, threads = map(float, result.stdout.split())
    assert megabytes <= 30
    assert files == 0
    assert threads <= 0
