"""After a fork there is a result: OpenMP's threads do not survive it."""

import os
import pickle

import numpy as np
import pytest
from zoo import run_python

from sklearn_ae import AutoencoderTransformer

pytestmark = pytest.mark.slow

SERVE = """
import multiprocessing, pickle, sys
import numpy as np
import torch

torch.set_num_threads(2)
X = np.random.default_rng(0).normal(size=(3000, 200)).astype(np.float32)
with open(sys.argv[1], "rb") as file:
    estimator = pickle.load(file)
expected = estimator.transform(X)


def work(method):
    if method == "fit":
        return estimator.set_params(max_epochs=1).fit(X).transform(X)
    if method == "partial_fit":
        return estimator.partial_fit(X).transform(X)
    return getattr(estimator, method)(X)


methods = ["transform", "reconstruct", "score", "fit", "partial_fit"]
for how in ("cold", "warm"):
    if how == "warm":  # OpenMP has started its threads
        torch.randn(1000, 1000) @ torch.randn(1000, 1000)
    with multiprocessing.get_context("fork").Pool(2) as pool:
        found = dict(zip(methods, pool.map_async(work, methods, chunksize=1).get(timeout=60)))
    assert np.allclose(found["transform"], expected, rtol=1e-4, atol=1e-4)
    assert found["reconstruct"].shape == X.shape
    assert found["fit"].shape == found["partial_fit"].shape == expected.shape
    assert torch.get_num_threads() == 2
print("done")
"""

SEARCH = """
import numpy as np
import torch
from joblib import parallel_backend
from sklearn.model_selection import GridSearchCV
from sklearn_ae import AutoencoderTransformer

X = np.random.default_rng(0).normal(size=(300, 20))
AutoencoderTransformer(2, max_epochs=2).fit(X).transform(X)
torch.randn(1000, 1000) @ torch.randn(1000, 1000)
search = GridSearchCV(AutoencoderTransformer(max_epochs=2), {"n_components": [2, 3]}, cv=2)
with parallel_backend("multiprocessing", n_jobs=2):
    print(search.fit(X).best_params_)
"""


@pytest.fixture(scope="module")
def saved(tmp_path_factory):
    path = tmp_path_factory.mktemp("saved") / "estimator.pickle"
    X = np.random.default_rng(0).normal(size=(300, 200)).astype(np.float32)
    path.write_bytes(pickle.dumps(AutoencoderTransformer(4, max_epochs=1).fit(X)))
    return path


def test_workers_of_a_preloaded_server_answer(saved):
    env = {**os.environ, "OMP_NUM_THREADS": "2"}
    assert run_python("-c", SERVE, str(saved), env=env, timeout=120) == "done\n"


def test_searches_in_forked_processes():
    assert "n_components" in run_python("-c", SEARCH, timeout=120)


AFTER_A_FIT = """
import multiprocessing
import numpy as np
import torch
from sklearn_ae import AutoencoderTransformer

torch.set_num_threads(2)
X = np.random.default_rng(0).normal(size=(3000, 200)).astype(np.float32)
fitted = AutoencoderTransformer(4, max_epochs=1, random_state=0, warm_start=True).fit(X)
torch.randn(1000, 1000) @ torch.randn(1000, 1000)


def work(method):
    return getattr(fitted, method)(X).transform(X).shape


with multiprocessing.get_context("fork").Pool(2) as pool:
    found = pool.map_async(work, ["fit", "partial_fit"], chunksize=1).get(timeout=60)
assert found == [(3000, 4)] * 2
print("done")
"""

IN_ANOTHER_THREAD = """
import multiprocessing, threading
import numpy as np
import torch
from sklearn_ae import AutoencoderTransformer

X = np.random.default_rng(0).normal(size=(60, 5))
inside, leave = threading.Event(), threading.Event()


def hold(n_in, n_out):  # torch has other settings meanwhile, and its generators are in use
    inside.set()
    leave.wait(60)
    return torch.nn.Linear(n_in, n_out)


def fit():
    torch.set_default_dtype(torch.float64)
    AutoencoderTransformer(2, max_epochs=0, encoder=hold).fit(X)


def work(_):
    AutoencoderTransformer(2, max_epochs=1, encoder=torch.nn.Linear).fit(X)
    return str(torch.get_default_dtype())


thread = threading.Thread(target=fit)
thread.start()
assert inside.wait(60)
assert torch.get_default_dtype() == torch.float32
with multiprocessing.get_context("fork").Pool(1) as pool:
    found = pool.map_async(work, [0]).get(timeout=60)
leave.set()
thread.join()
assert found == ["torch.float64"], found
assert torch.get_default_dtype() == torch.float64
print("done")
"""


@pytest.mark.parametrize("script", [AFTER_A_FIT, IN_ANOTHER_THREAD], ids=["fit", "thread"])
def test_training_in_a_forked_process(script):
    env = {**os.environ, "OMP_NUM_THREADS": "2"}
    assert run_python("-c", script, env=env, timeout=120) == "done\n"
