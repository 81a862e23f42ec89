"""Whatever ends a fit, and wherever: the estimator and the process are as they were before.

Only Ctrl-C after an epoch keeps what was learnt, as it would be kept at the end.
"""

import copy
import functools
import io
import pickle
import sys
from contextlib import contextmanager, redirect_stdout
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from numpy.testing import assert_array_equal
from sklearn.base import clone
from sklearn.exceptions import ConvergenceWarning
from skorch.callbacks import Callback
from test_losses import REFERENCES
from zoo import ESTIMATORS, draw_fewer, make_estimator, scale_to_unit_interval

import sklearn_ae
from sklearn_ae import AutoencoderTransformer, DenoisingAutoencoder

PACKAGE = str(Path(sklearn_ae.__file__).parent)
X = np.random.RandomState(0).normal(size=(60, 6))
PARAMS = {"hidden_layer_sizes": (4,), "max_epochs": 2, "random_state": 0}

TINY = {"n_components": 2, "hidden_layer_sizes": (4,), "max_epochs": 2}
INTERRUPTED = {
    **{name: make_estimator(name, **TINY) for name in ESTIMATORS},
    "warm start": make_estimator("linear start", warm_start=True, verbose=2, **TINY),
    "random state": make_estimator(
        "linear start", random_state=np.random.RandomState(0), validation_fraction=0.2, **TINY
    ),
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
    net = getattr(estimator, "net_", None)
    return pickle.dumps(estimator), net and [name for name, _ in net.callbacks_]


@functools.cache
def saved(name, is_fitted):
    estimator = clone(INTERRUPTED[name])
    with redirect_stdout(io.StringIO()):
        return pickle.dumps(estimator.fit(scale_to_unit_interval(X)) if is_fitted else estimator)


@functools.cache
def n_calls(name, method, is_fitted):
    estimator = pickle.loads(saved(name, is_fitted))
    with watched() as calls, redirect_stdout(io.StringIO()):
        getattr(estimator, method)(scale_to_unit_interval(X[::-1] * 2))
    return len(calls)


@pytest.mark.parametrize("is_fitted", [False, True], ids=["unfitted", "fitted"])
@pytest.mark.parametrize("method", ["fit", "partial_fit"])
@pytest.mark.parametrize("name", INTERRUPTED)
@draw_fewer(1 / 10)
@given(share=st.floats(0, 1), error=st.sampled_from([KeyboardInterrupt, MemoryError]))
def test_error_in_any_call_leaves_everything_as_it_was_or_keeps_an_epoch(
    name, method, is_fitted, share, error
):
    number = 1 + int(share * (n_calls(name, method, is_fitted) - 1))
    estimator = pickle.loads(saved(name, is_fitted))
    before, process = estimator_state(pickle.loads(saved(name, is_fitted))), process_state()
    with redirect_stdout(io.StringIO()), watched(number, error), pytest.raises(error) as caught:
        getattr(estimator, method)(scale_to_unit_interval(X[::-1] * 2))
    assert process_state() == process
    if "fitted all the same" not in "".join(getattr(caught.value, "__notes__", [])):
        assert estimator_state(estimator) == before
        return
    # Ctrl-C after an epoch of several: what is kept is a whole estimator
    assert (method, error) == ("fit", KeyboardInterrupt)
    assert 0 <= estimator.best_epoch_ <= estimator.n_iter_ == len(estimator.loss_curve_)
    assert estimator.best_epoch_ or not is_fitted
    estimator.transform(scale_to_unit_interval(X))
    pickle.loads(pickle.dumps(estimator))


class Interrupt(Callback):
    """Raises a KeyboardInterrupt in an epoch, at its beginning, in a batch or at its end."""

    def __init__(self, epoch, hook):
        self.epoch, self.hook = epoch, hook

    def stop(self, net, hook):
        if hook == self.hook and len(net.history) == self.epoch:
            self.epoch = None  # once
            raise KeyboardInterrupt

    def on_epoch_begin(self, net, **kwargs):
        self.stop(net, "begin")

    def on_batch_end(self, net, training, **kwargs):
        self.stop(net, "batch")

    def on_epoch_end(self, net, **kwargs):
        self.stop(net, "end")


CURVE = np.random.RandomState(0).uniform(-2, 2, size=(400, 1))
CURVED = np.hstack([np.sin(CURVE), np.cos(CURVE), CURVE**2]) @ np.random.RandomState(1).normal(
    size=(3, 6)
)
LONG = {"max_epochs": 20, "validation_fraction": 0.2, "random_state": 0}


@pytest.mark.parametrize("early_stopping", [False, True])
@pytest.mark.parametrize("hook", ["begin", "batch", "end"])
def test_ctrl_c_keeps_the_best_epoch_so_far(hook, early_stopping):
    callbacks = {"net_params": {"callbacks": [Interrupt(11, hook)]}}
    interrupted = AutoencoderTransformer(1, early_stopping=early_stopping, **callbacks, **LONG)
    with pytest.raises(KeyboardInterrupt) as caught:
        interrupted.fit(CURVED)
    n_epochs = 10 + (hook == "end")
    assert interrupted.n_iter_ == n_epochs
    assert f"of {n_epochs} epochs" in caught.value.__notes__[0]
    assert 0 < interrupted.best_epoch_ <= n_epochs
    start = AutoencoderTransformer(1, init="linear", **LONG | {"max_epochs": 0}).fit(CURVED)
    assert interrupted.score(CURVED) > start.score(CURVED)
    assert len(interrupted.loss_curve_) == n_epochs
    if early_stopping:
        assert interrupted.best_loss_ == min(interrupted.validation_loss_curve_)
    interrupted.set_params(net_params=None).partial_fit(CURVED)


def test_ctrl_c_before_a_better_epoch_leaves_a_fitted_estimator_as_it_was():
    fitted = AutoencoderTransformer(2, **LONG).fit(X)
    before = fitted.transform(X)
    for epoch, hook in ((1, "batch"), (3, "batch")):
        fitted.set_params(net_params={"callbacks": [Interrupt(epoch, hook)]})
        with pytest.raises(KeyboardInterrupt) as caught:
            fitted.fit(X[::-1] * 2)  # noise, on which no epoch is better than PCA
        assert not hasattr(caught.value, "__notes__")
        assert_array_equal(fitted.transform(X), before)
    unfitted = AutoencoderTransformer(2, net_params={"callbacks": [Interrupt(1, "batch")]}, **LONG)
    with pytest.raises(KeyboardInterrupt):
        unfitted.fit(X)
    assert not hasattr(unfitted, "n_iter_")


# ------------------------------------------------------------- errors in what the user wrote


class UsersError(Exception):
    pass


class Fuse:
    """Counts its calls, and raises its error at the one of a number."""

    def __init__(self):
        self.n_calls, self.number, self.error = 0, None, UsersError()

    def __call__(self):
        self.n_calls += 1
        if self.n_calls == self.number:
            raise self.error


def callback(hook):
    def make(fuse):
        kind = type("Failing", (Callback,), {hook: lambda *args, **kwargs: fuse()})
        return AutoencoderTransformer(2, net_params={"callbacks": [kind()]}, **PARAMS)

    return make


def corruption(fuse):
    def corrupt(batch, generator):
        fuse()
        return batch

    return DenoisingAutoencoder(2, corruption=corrupt, **PARAMS)


def factory(fuse):
    def make(*widths):
        fuse()
        return torch.nn.Linear(*widths)

    return AutoencoderTransformer(2, encoder=make, **PARAMS)


def forward(fuse):
    class Linear(torch.nn.Linear):
        def forward(self, rows):
            fuse()
            return super().forward(rows)

    return AutoencoderTransformer(2, decoder=Linear, **PARAMS)


HOOKS = ["initialize", *(name for name in dir(Callback) if name.startswith("on_"))]
USERS_CODE = {
    **{hook: callback(hook) for hook in HOOKS},
    "corruption": corruption,
    "factory": factory,
    "forward": forward,
}
PATHS = [  # what is called, whether on a fitted estimator, and whose code it does not run
    ("fit", False, ()),
    ("fit", True, ()),
    ("partial_fit", False, ()),
    ("partial_fit", True, ("initialize", "factory")),
]


@pytest.mark.parametrize(
    ("code", "method", "is_fitted"),
    [(code, *path) for *path, unused in PATHS for code in USERS_CODE if code not in unused],
)
@draw_fewer(1 / 16)
@given(share=st.floats(0, 1))
def test_error_in_what_the_user_wrote_comes_out_as_it_is(code, method, is_fitted, share):
    def prepared():
        fuse = Fuse()
        estimator = USERS_CODE[code](fuse)
        if is_fitted:
            estimator.fit(X)
        fuse.n_calls = 0
        return estimator, fuse

    estimator, fuse = prepared()
    getattr(estimator, method)(X[::-1] * 2)
    n_calls = fuse.n_calls
    assert n_calls

    estimator, fuse = prepared()
    codes = estimator.transform(X) if is_fitted else None
    attributes, process = dict(vars(estimator)), process_state()
    fuse.n_calls, fuse.number = 0, 1 + int(share * (n_calls - 1))
    with pytest.raises(UsersError) as caught:
        getattr(estimator, method)(X[::-1] * 2)
    assert caught.value is fuse.error
    assert process_state() == process
    assert vars(estimator).keys() == attributes.keys()
    assert all(vars(estimator)[name] is value for name, value in attributes.items())
    if is_fitted:
        assert_array_equal(estimator.transform(X), codes)


# --------------------------------------------------------------------------------- divergence


class Poison(Callback):
    """Makes the weights infinite in an epoch; holds those from before each one up to it."""

    def __init__(self, epoch):
        self.epoch = epoch
        self.weights = []

    def on_epoch_begin(self, net, **kwargs):
        if len(net.history) <= self.epoch:
            self.weights.append(copy.deepcopy(net.module_.state_dict()))
        if len(net.history) == self.epoch:
            with torch.no_grad():
                for parameter in net.module_.parameters():
                    parameter.fill_(torch.inf)


@pytest.mark.parametrize("estimator", [AutoencoderTransformer, DenoisingAutoencoder])
@pytest.mark.parametrize("early_stopping", [False, True])
@pytest.mark.parametrize("epoch", [1, 2, 4])
@pytest.mark.parametrize("loss", REFERENCES)  # of each loss there is one
def test_divergence_in_any_epoch_and_loss(loss, epoch, early_stopping, estimator):
    poison, process = Poison(epoch), process_state()
    params = {**PARAMS, "max_epochs": 4, "loss": loss, "early_stopping": early_stopping}
    diverging = estimator(2, net_params={"callbacks": [poison]}, **params)
    with pytest.warns(ConvergenceWarning, match=rf"in epoch {epoch};.*learning_rate"):
        diverging.fit(scale_to_unit_interval(X))
    assert process_state() == process
    assert diverging.n_iter_ == epoch
    assert diverging.best_epoch_ in (range(epoch) if early_stopping else [epoch - 1])
    kept = diverging.net_.module_.state_dict()
    for name, weights in poison.weights[diverging.best_epoch_].items():
        if "extrapolation" not in name:  # the range of the rows is found after training
            assert_array_equal(kept[name], weights)
    diverging.partial_fit(scale_to_unit_interval(X))  # training goes on, without another warning
    assert np.isfinite(diverging.loss_curve_[-1])


# ------------------------------------------------------------------------ memory and modes


@pytest.mark.parametrize("encoder", [None, lambda *widths: Insatiable(*widths)])
def test_too_little_memory(encoder):
    widths = (2**44,) if encoder is None else (4,)
    fitted = AutoencoderTransformer(2, **PARAMS).fit(X)
    before = fitted.transform(X)
    fitted.set_params(encoder=encoder, hidden_layer_sizes=widths)
    with pytest.raises(MemoryError, match="Out of memory"):
        fitted.fit(X)
    assert_array_equal(fitted.transform(X), before)


class Insatiable(torch.nn.Linear):
    """Wants more memory than there is, in training."""

    def forward(self, rows):
        if self.training:
            torch.empty(2**46)
        return super().forward(rows)


def test_random_state_is_as_before_a_fit_that_failed():
    class Failure(Callback):
        def on_epoch_end(self, net, **kwargs):
            raise KeyError("mine")

    random_state = np.random.RandomState(0)
    autoencoder = AutoencoderTransformer(2, **PARAMS | {"random_state": random_state})
    expected = AutoencoderTransformer(2, **PARAMS | {"random_state": copy.copy(random_state)})
    with pytest.raises(KeyError):
        autoencoder.set_params(net_params={"callbacks": [Failure()]}).fit(X)
    autoencoder.set_params(net_params=None).fit(X)
    assert_array_equal(autoencoder.transform(X), expected.fit(X).transform(X))


@pytest.mark.parametrize("mode", [torch.no_grad, torch.inference_mode])
def test_fit_where_gradients_are_off(mode):
    expected = AutoencoderTransformer(2, **PARAMS).fit(X).partial_fit(X).transform(X)
    with mode():
        autoencoder = AutoencoderTransformer(2, **PARAMS).fit(X)
        assert not torch.is_grad_enabled()
    assert_array_equal(autoencoder.partial_fit(X).transform(X), expected)
