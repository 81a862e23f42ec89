"""A fit depends on its input and seed alone, and leaves nothing behind."""

import functools
import hashlib
import threading
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from joblib import Parallel, delayed
from numpy.testing import assert_allclose, assert_array_equal
from sklearn.datasets import load_digits
from sklearn.model_selection import GridSearchCV
from zoo import TAKES_ANY_NUMBERS, draw_fewer, get_weights, make_estimator, one_thread, run_python

from sklearn_ae import AutoencoderTransformer

X = load_digits().data[:200]
PARAMS = {"n_components": 4, "max_epochs": 3}


def fit(name, seed, **params):
    return make_estimator(name, random_state=seed, **PARAMS, **params).fit(X)


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


@pytest.mark.slow
def test_two_processes_find_the_same():
    found = run_python("-c", FIT_AND_PRINT, "1")
    torch.manual_seed(2)
    with one_thread():
        codes = fit("linear start", 0).transform(X)
    assert found == hashlib.sha256(codes.tobytes()).hexdigest() + "\n"


@pytest.mark.parametrize("name", TAKES_ANY_NUMBERS)
def test_fits_in_threads_equal_fits_in_a_row(name):
    in_a_row = [get_weights(fit(name, seed)) for seed in range(4)]
    at_once = Parallel(n_jobs=4, backend="threading")(delayed(fit)(name, seed) for seed in range(4))
    for expected, estimator in zip(in_a_row, at_once, strict=True):
        assert_array_equal(get_weights(estimator), expected)


@pytest.mark.slow
def test_fits_in_worker_processes_equal_fits_in_a_row():
    def found_by(n_jobs):
        estimator = make_estimator("linear start", **PARAMS)
        search = GridSearchCV(estimator, {"n_components": [2, 4]}, cv=3, n_jobs=n_jobs)
        search.fit(X)
        splits = [search.cv_results_[f"split{i}_test_score"] for i in range(3)]
        return np.array(splits), get_weights(search.best_estimator_)

    with one_thread():  # as many as a worker has
        for found, expected in zip(found_by(n_jobs=2), found_by(n_jobs=1), strict=True):
            assert_array_equal(found, expected)


@pytest.mark.parametrize("name", TAKES_ANY_NUMBERS)
@pytest.mark.parametrize("verbose", [1, 2])
def test_what_is_shown_changes_nothing(name, verbose, capsys):
    assert_array_equal(get_weights(fit(name, 0, verbose=verbose)), get_weights(fit(name, 0)))
    assert "".join(capsys.readouterr())


@pytest.mark.parametrize("name", TAKES_ANY_NUMBERS)
def test_transform_from_many_threads(name):
    estimator = fit(name, 0)
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
    return fit("linear start", 0)


@draw_fewer(1 / 5)
@given(st.permutations(range(len(X))))
def test_order_of_the_rows_in_transform_does_not_matter(order):
    estimator = default()
    assert_array_equal(estimator.transform(X[order]), estimator.transform(X)[order])


@draw_fewer(1 / 5)
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

for i in range(60):
    estimators[i % 2].fit(X).score(X)
    if i == 9:
        before = state()
after = state()
print(after[0] - before[0], after[1] - before[1], after[2] - before[2])
"""


@pytest.mark.slow
@pytest.mark.skipif(not Path("/proc/self/statm").exists(), reason="Linux counts these there")
def test_60_fits_leave_memory_files_and_threads_as_they_are():
    megabytes, files, threads = map(float, run_python("-c", GROWTH).split())
    assert megabytes <= 6
    assert files == 0
    assert threads <= 0
