"""What a user has told torch reaches into no fit, and is left as it was."""

import io
import pickle
from contextlib import ExitStack, contextmanager
from functools import cache, partial
from threading import Barrier, Thread

import numpy as np
import pytest
import torch
from dask.array import from_array
from hypothesis import given
from hypothesis import strategies as st
from numpy.testing import assert_array_equal
from sklearn.datasets import load_digits
from zoo import CORRUPTIONS, ESTIMATORS, draw_fewer, make_estimator, one_thread

from sklearn_ae import AutoencoderTransformer
from sklearn_ae.corruption import Downscale, Grayscale, corrupt
from sklearn_ae.dask import reconstruction_r2
from sklearn_ae.export import to_onnx

# torch 2.9 for CUDA warns of `set_float32_matmul_precision`, as users call it
pytestmark = pytest.mark.filterwarnings("ignore:Please use the new API settings to control TF32")

X = load_digits().data[:80, :48] / 16
FEW = {"max_epochs": 2, "hidden_layer_sizes": (8,)}


@contextmanager
def setting(read, change, value):
    before = read()
    change(value)
    try:
        yield
    finally:
        change(before)


@contextmanager
def deterministic_algorithms():
    torch.use_deterministic_algorithms(True)
    try:
        yield
    finally:
        torch.use_deterministic_algorithms(False)


STATES = {
    "default dtype": lambda: setting(
        torch.get_default_dtype, torch.set_default_dtype, torch.float64
    ),
    "half as default dtype": lambda: setting(
        torch.get_default_dtype, torch.set_default_dtype, torch.float16
    ),
    "products in bfloat16": lambda: setting(
        lambda: "highest", torch.set_float32_matmul_precision, "medium"
    ),
    "products in bfloat16, as torch 2.9 has it": lambda: setting(
        partial(getattr, torch.backends.mkldnn.matmul, "fp32_precision"),
        partial(setattr, torch.backends.mkldnn.matmul, "fp32_precision"),
        "bf16",
    ),
    "all products in tf32": lambda: setting(
        partial(getattr, torch.backends, "fp32_precision"),
        partial(setattr, torch.backends, "fp32_precision"),
        "tf32",
    ),
    "default device": lambda: torch.device("meta"),
    "set default device": lambda: setting(
        torch.get_default_device, torch.set_default_device, "meta"
    ),
    "autocast": lambda: torch.autocast("cpu", torch.bfloat16),
    "no grad": torch.no_grad,
    "inference mode": torch.inference_mode,
    "deterministic algorithms": deterministic_algorithms,
}
ALTERNATIVES = (
    ("default dtype", "half as default dtype"),
    ("default device", "set default device"),
)
states = st.sets(st.sampled_from(sorted(STATES)), min_size=1).filter(
    lambda names: not any(names.issuperset(both) for both in ALTERNATIVES)
)


def read_state():
    return (
        torch.get_default_dtype(),
        torch.backends.fp32_precision,
        torch.backends.mkldnn.matmul.fp32_precision,
        torch.backends.cuda.matmul.fp32_precision,
        torch.get_default_device(),
        torch.is_autocast_enabled("cpu"),
        torch.is_grad_enabled(),
        torch.is_inference_mode_enabled(),
        torch.are_deterministic_algorithms_enabled(),
        torch.get_num_threads(),
        torch.get_rng_state().tolist(),
    )


@contextmanager
def ambient(names):
    """Set states, and check that the block leaves them as they are."""
    with ExitStack() as stack:
        for name in sorted(names):
            stack.enter_context(STATES[name]())
        before = read_state()
        yield
        assert read_state() == before


@cache
def saved(name):
    return pickle.dumps(make_estimator(name, 3, **FEW).fit(X))


def results(estimator):
    codes = estimator.transform(X)
    scores = estimator.score_samples(X), np.array(estimator.score(X))
    return [codes, estimator.inverse_transform(codes), estimator.reconstruct(X), *scores]


def export(name):
    file = io.BytesIO()
    to_onnx(pickle.loads(saved(name)), file, "reconstruct")  # which holds both other parts
    return np.frombuffer(file.getvalue(), np.uint8)


ACTIONS = {
    "fit": lambda name: results(make_estimator(name, 3, **FEW).fit(X)),
    "partial_fit": lambda name: results(make_estimator(name, 3, **FEW).partial_fit(X)),
    "load": lambda name: results(pickle.loads(saved(name))),
    "go on": lambda name: results(pickle.loads(saved(name)).partial_fit(X)),
    "net": lambda name: [pickle.loads(saved(name)).net_.predict(X)],
    "dask": lambda name: [
        reconstruction_r2(pickle.loads(saved(name)), from_array(X, chunks=40)).compute(
            scheduler="synchronous"
        )
    ],
}


@cache
def expected(action, name):
    return action(name)


@pytest.mark.parametrize("action", ACTIONS)
@pytest.mark.parametrize("name", ESTIMATORS)
@draw_fewer(1 / 12)
@given(names=states)
def test_the_bits_are_those_without_it(action, name, names):
    with one_thread():
        saved(name)
        wanted = expected(ACTIONS[action], name)
        with ambient(names):
            found = ACTIONS[action](name)
        for got, reference in zip(found, wanted, strict=True):
            assert_array_equal(got, reference)


IMAGES = (3, 4, 4)
OBJECTS = Grayscale(IMAGES), Downscale(IMAGES, 2)


@pytest.mark.parametrize("corruption", [*CORRUPTIONS, *OBJECTS], ids=repr)
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@given(names=states)
def test_corruptions_are_those_without_it(corruption, dtype, names):
    how = {"corruption": corruption, "corruption_level": 0.3, "random_state": 0}
    wanted = corrupt(X.astype(dtype), **how)
    with ambient(names):
        assert_array_equal(corrupt(X.astype(dtype), **how), wanted)
        if callable(corruption):
            batch = torch.from_numpy(X.astype(np.float32))
            assert_array_equal(corruption(batch).numpy(), wanted)


@pytest.mark.slow
@pytest.mark.parametrize("left_out", zip(*ALTERNATIVES, strict=True), ids=" and ".join)
def test_exported_models_are_those_without_it(left_out):
    wanted = expected(export, "clipped")  # seconds each time: all states at once
    with ambient(STATES.keys() - set(left_out)):
        found = export("clipped")
    assert_array_equal(found, wanted)


def call_inside(act):
    """Call a function from within the package, where torch has its default state."""

    def corruption(batch, generator):
        act()
        return batch

    corrupt(X, corruption)


def test_threads_inside_at_once_leave_the_default_dtype_as_it_was():
    """The first to enter is not the last to leave."""
    entered, left = Barrier(2, timeout=30), Barrier(2, timeout=30)
    seen = []

    def stay_longer():
        entered.wait()
        left.wait()
        seen.append(torch.get_default_dtype())

    def leave_first():
        seen.append(torch.get_default_dtype())
        thread.start()
        entered.wait()

    with STATES["default dtype"]():
        thread = Thread(target=call_inside, args=(stay_longer,))
        call_inside(leave_first)
        left.wait()
        thread.join()
        assert seen == [torch.float32] * 2
        assert torch.get_default_dtype() == torch.float64


def test_the_state_comes_back_after_an_error():
    names = {"default dtype", "set default device", "autocast", "inference mode"}
    with ambient(names), pytest.raises(ValueError, match="NaN"):
        AutoencoderTransformer(2).fit(np.full((5, 3), np.nan))


@pytest.mark.parametrize("state", ["inference mode", "no grad", "autocast"])
def test_training_goes_on_after_an_error_in_it(state):
    estimator, reference = (pickle.loads(saved("clipped")) for _ in range(2))
    with ambient({state}), pytest.raises(ValueError, match="X has missing values"):
        estimator.partial_fit(np.where(X[0] == X, np.nan, X))
    assert_array_equal(estimator.partial_fit(X).transform(X), reference.partial_fit(X).transform(X))


def test_settings_that_the_user_changes_meanwhile_stay():
    with STATES["default dtype"]():
        call_inside(partial(torch.set_default_dtype, torch.float16))
        assert torch.get_default_dtype() == torch.float16
