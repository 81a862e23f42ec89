"""Whatever ends a fit, and wherever: the estimator and the process are as they were before."""

import functools
import io
import pickle
import sys
from contextlib import contextmanager, redirect_stdout
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.base import clone

import sklearn_ae
from sklearn_ae import AutoencoderTransformer, DenoisingAutoencoder

PACKAGE = str(Path(sklearn_ae.__file__).parent)
X = np.random.RandomState(0).normal(size=(60, 6))
PARAMS = {"hidden_layer_sizes": (4,), "max_epochs": 2, "random_state": 0}

ESTIMATORS = {
    "defaults": AutoencoderTransformer(2, **PARAMS),
    "warm start": AutoencoderTransformer(2, warm_start=True, verbose=2, **PARAMS),
    "custom": AutoencoderTransformer(2, encoder=torch.nn.Linear, **PARAMS),
    "denoising": DenoisingAutoencoder(2, clip=True, **PARAMS),
    "logits": AutoencoderTransformer(2, loss="binary_cross_entropy", **PARAMS),
}


@contextmanager
def watched(number=None, error=KeyboardInterrupt):
    """Count the calls of functions of the package; let that of a number raise an error.

    Generator expressions are not counted: Python also enters one to close it when it is dropped,
    and there it ignores an error.
    """
    calls = []

    def tracer(frame, event, arg):
        code = frame.f_code
        if code.co_filename.startswith(PACKAGE) and code.co_name != "<genexpr>":
            calls.append(code.co_name)
            if len(calls) == number:
                raise error

    before = sys.gettrace()
    sys.settrace(tracer)
    try:
        yield calls
    finally:
        sys.settrace(before)


def process_state():
    """Return what a fit must leave as it is."""
    return (
        torch.get_num_threads(),
        torch.get_default_dtype(),
        torch.is_grad_enabled(),
        torch.get_rng_state().tolist(),
        np.random.get_state()[1].tolist(),  # noqa: NPY002
        torch.is_autocast_enabled("cpu"),
    )


def estimator_state(estimator):
    """Return all that an estimator holds, saved, and its net's callbacks."""
    callbacks = [name for name, _ in estimator.net_.callbacks_] if "net_" in vars(estimator) else []
    return pickle.dumps(estimator), callbacks


def unit(rows):
    return (rows - rows.min()) / (rows.max() - rows.min())


@functools.cache
def saved(name, is_fitted):
    estimator = clone(ESTIMATORS[name])
    with redirect_stdout(io.StringIO()):
        return pickle.dumps(estimator.fit(unit(X)) if is_fitted else estimator)


@functools.cache
def n_calls(name, method, is_fitted):
    estimator = pickle.loads(saved(name, is_fitted))
    with watched() as calls, redirect_stdout(io.StringIO()):
        getattr(estimator, method)(unit(X[::-1] * 2))
    return len(calls)


@pytest.mark.parametrize("is_fitted", [False, True], ids=["unfitted", "fitted"])
@pytest.mark.parametrize("method", ["fit", "partial_fit"])
@pytest.mark.parametrize("name", ESTIMATORS)
@settings(max_examples=30, deadline=None)
@given(share=st.floats(0, 1), error=st.sampled_from([KeyboardInterrupt, MemoryError]))
def test_error_in_any_call_leaves_everything_as_it_was(name, method, is_fitted, share, error):
    number = 1 + int(share * (n_calls(name, method, is_fitted) - 1))
    estimator = pickle.loads(saved(name, is_fitted))
    before, process = estimator_state(estimator), process_state()
    with redirect_stdout(io.StringIO()), watched(number, error), pytest.raises(error):
        getattr(estimator, method)(unit(X[::-1] * 2))
    assert process_state() == process
    assert estimator_state(estimator) == before
