"""Training: its batches, its steps and the epoch that is kept."""

import inspect
import pickle
import signal

import numpy as np
import pytest
import skorch.callbacks
import torch
from numpy.testing import assert_allclose, assert_array_equal
from sklearn.exceptions import ConvergenceWarning
from test_losses import REFERENCES
from torch.optim.lr_scheduler import CosineAnnealingLR, OneCycleLR
from zoo import BY_HAND, quick, train_by_hand

from sklearn_ae import AutoencoderTransformer, DenoisingAutoencoder
from sklearn_ae._task import fetch_ahead
from sklearn_ae._training import compute_learning_rates

# ------------------------------------------------------------------ rows and batches


class Recorder(skorch.callbacks.Callback):
    """Keeps the rows that training is given, and the inputs of all batches by epochs."""

    def on_train_begin(self, net, X, **kwargs):
        self.rows, self.epochs = X, []

    def on_epoch_begin(self, net, **kwargs):
        self.epochs.append({True: [], False: []})

    def on_batch_begin(self, net, batch, training, **kwargs):
        self.epochs[-1][training].append(batch[0])

    def list_batches(self, training):
        """Return the batches of each epoch, of training or of judging."""
        return [batches[training] for batches in self.epochs]


def record(X, X_val=None, **params):
    """Return an estimator that was fitted to X, and what a `Recorder` has kept of it."""
    recorder = Recorder()
    fitted = quick(1, net_params={"callbacks": [recorder]}, **params).fit(X, X_val=X_val)
    return fitted, recorder


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_rows_are_standardised_in_their_own_dtype(X, dtype):
    X = (X + 1e3).astype(dtype)
    fitted, recorder = record(X, early_stopping=False)
    expected = ((X - fitted.mean_) / dtype(fitted.scale_)).astype(np.float32)
    rows = recorder.rows
    assert rows[:].dtype == torch.float32
    assert_array_equal(rows[:], expected)
    assert_array_equal(rows[torch.tensor([3, 1, 1])], rows[:][[3, 1, 1]])


def test_read_only_rows_are_neither_copied_nor_warned_about(X):
    read_only = X.view()
    read_only.flags.writeable = False
    _, recorder = record(read_only, early_stopping=False)
    before = recorder.rows[:].clone()
    X[7] += 1
    is_changed = (recorder.rows[:] != before).any(dim=1)
    assert_array_equal(is_changed.nonzero(), [[7]])


def test_a_pass_holds_each_row_once():
    X, X_val = np.random.RandomState(0).normal(size=(2, 50, 1))
    fitted, recorder = record(X, X_val, batch_size=16, max_epochs=3, masking_rate=0)
    epochs = {}
    for training in (True, False):
        batches = recorder.list_batches(training)
        assert [[len(batch) for batch in epoch] for epoch in batches] == [[13, 13, 12, 12]] * 3
        rows = [torch.cat(epoch).double().numpy() for epoch in batches]
        epochs[training] = [u * fitted.scale_ + fitted.mean_ for u in rows]
    rounding = {"rtol": 1e-5, "atol": 1e-6}
    for one_pass in epochs[True]:
        assert_allclose(np.sort(one_pass, axis=0), np.sort(X, axis=0), **rounding)
    assert not np.allclose(epochs[True][0], epochs[True][1])
    for one_pass in epochs[False]:
        assert_allclose(one_pass, X_val, **rounding)


# Few enough entries to be kept for the next epoch, or so many that they are drawn again.
@pytest.mark.parametrize("shape", [(50, 4), (2**14, 2**10 + 1)])
def test_rows_that_judge_have_one_corruption(shape):
    X_val = np.random.default_rng(0).standard_normal(shape, dtype=np.float32)
    X = np.random.default_rng(1).standard_normal((30, shape[1]), dtype=np.float32)
    params = {"estimator": DenoisingAutoencoder, "corruption": "gaussian", "corruption_level": 1.0}
    params |= {"hidden_layer_sizes": (), "batch_size": 1000, "max_epochs": 2}
    fitted, recorder = record(X, X_val, **params)
    epochs = recorder.list_batches(training=False)
    are_kept = all(batch is again for batch, again in zip(*epochs, strict=True))
    assert are_kept == (shape == (50, 4))
    first, second = map(torch.cat, epochs)
    assert torch.equal(first, second)
    noise = first.numpy() * fitted.scale_ + fitted.mean_ - X_val
    assert noise.std() == pytest.approx(1, abs=0.3)


# ------------------------------------------------------------- the reference: plain torch


def test_training_is_that_of_a_plain_torch_loop(X):
    autoencoder = quick(max_epochs=0, **BY_HAND)
    module = pickle.loads(pickle.dumps(autoencoder.fit(X).net_.module_))
    u = torch.as_tensor((X - X.mean(axis=0)) / np.sqrt(X.var(axis=0).mean()), dtype=torch.float32)
    losses = train_by_hand(module, u, u) * X.var(axis=0).mean()
    autoencoder.set_params(max_epochs=10).fit(X)
    assert_allclose(autoencoder.loss_curve_, losses, rtol=1e-4)


@pytest.mark.parametrize("schedule", ["one_cycle", "cosine"])
@pytest.mark.parametrize("n_steps", [1, 2, 7, 100, 5000])
def test_schedules_are_those_of_torch(schedule, n_steps):
    optimizer = torch.optim.SGD([torch.zeros(1)], lr=0.02)
    if schedule == "one_cycle":
        reference = OneCycleLR(optimizer, 0.02, n_steps, pct_start=0.15, cycle_momentum=False)
    else:
        reference = CosineAnnealingLR(optimizer, n_steps)
    expected = []
    for _ in range(n_steps):
        expected.append(optimizer.param_groups[0]["lr"])
        optimizer.step()
        reference.step()
    rates = list(compute_learning_rates(schedule, 0.02, n_steps))
    assert len(rates) == n_steps
    assert 0.02 / 2 <= max(rates) <= 0.02
    assert min(rates) > 0
    if n_steps >= 100:  # ours are taken in the middle of each step, torch's at its ends
        assert_allclose(rates, expected, atol=0.02 * 11 / n_steps)


@pytest.mark.parametrize("schedule", ["one_cycle", "cosine", "constant"])
def test_schedule_is_followed(X, schedule):
    rates = []

    class Recorder(skorch.callbacks.Callback):
        def on_batch_end(self, net, training=False, **kwargs):
            if training:
                rates.append(net.optimizer_.param_groups[0]["lr"])

    params = {"schedule": schedule, "learning_rate": 0.02, "batch_size": 6}
    quick(net_params={"callbacks": [Recorder()]}, **params).fit(X)
    expected = (
        [0.02] * 45 if schedule == "constant" else [*compute_learning_rates(schedule, 0.02, 45)]
    )
    assert rates == expected


def test_learning_rate_by_a_skorch_callback(X):
    halving = skorch.callbacks.LRScheduler("StepLR", step_size=1, gamma=0.5)
    autoencoder = quick(
        schedule="constant", learning_rate=0.01, net_params={"callbacks": [halving]}
    ).fit(X)
    assert autoencoder.net_.optimizer_.param_groups[0]["lr"] == pytest.approx(0.01 / 2**5)


@pytest.mark.parametrize("loss", sorted(REFERENCES.keys() - {"binary_cross_entropy"}))
@pytest.mark.parametrize("optimizer", ["adam", "adamw", "sgd", torch.optim.RMSprop])
def test_every_loss_is_lowered_by_every_optimizer(X, loss, optimizer):
    autoencoder = quick(
        loss=loss,
        optimizer=optimizer,
        init="random",
        max_epochs=60,
        early_stopping=False,
    ).fit(X)
    assert autoencoder.loss_curve_[-1] < 0.8 * autoencoder.loss_curve_[0]


def test_optimizer_that_computes_the_loss_itself(X):
    with pytest.raises(ValueError, match=r"LBFGS cannot be used.*'adam'"):
        quick(optimizer=torch.optim.LBFGS).fit(X)


def test_weight_decay_draws_the_network_to_the_linear_path(digits):
    X_train, _ = digits
    untrained = quick(init="linear", max_epochs=0).fit(X_train)
    how = {"max_epochs": 30, "early_stopping": False, "optimizer": "adamw", "masking_rate": 0}
    trained = quick(weight_decay=30.0, **how).fit(X_train)
    correction = trained.encoder_.correction(torch.randn(20, 64)).abs().max().item()
    assert correction < 1e-3
    # the linear path itself is not drawn to zero
    assert trained.score(X_train) > 0.95 * untrained.score(X_train)


# ------------------------------------------------------------------------ the kept epoch


def test_best_epoch_has_the_lowest_validation_loss(digits):
    X_train, _ = digits
    autoencoder = quick(max_epochs=20, init="linear").fit(X_train)
    curve = autoencoder.validation_loss_curve_
    assert len(curve) == len(autoencoder.loss_curve_) == autoencoder.n_iter_
    assert autoencoder.best_loss_ == min(curve) < autoencoder.start_loss_
    assert autoencoder.best_epoch_ == 1 + int(np.argmin(curve))


def test_noise_leaves_the_start(X):
    noise = np.random.RandomState(0).normal(size=(80, 10))
    autoencoder = quick(max_epochs=50).fit(noise)
    untrained = quick(max_epochs=0).fit(noise)
    assert autoencoder.n_iter_ > 0
    assert autoencoder.best_epoch_ == 0
    assert autoencoder.best_loss_ == autoencoder.start_loss_
    assert_array_equal(autoencoder.transform(X), untrained.transform(X))


def test_textbook_network_never_returns_untrained(X):
    # of a start without information nothing is gained by going back to it
    assert quick(init="random", max_epochs=1).fit(X[:10]).best_epoch_ == 1


def test_stops_without_improvement():
    noise = np.random.RandomState(0).normal(size=(80, 10))
    autoencoder = quick(max_epochs=500, n_iter_no_change=3, tol=0.5).fit(noise)
    assert autoencoder.n_iter_ == 4
    patient = quick(max_epochs=30, n_iter_no_change=40).fit(noise)
    assert patient.n_iter_ == 30


def test_no_rows_are_held_out_without_early_stopping(X):
    autoencoder = quick(early_stopping=False, n_iter_no_change=2).fit(X)
    assert autoencoder.validation_loss_curve_ is None
    assert autoencoder.start_loss_ is None
    assert autoencoder.n_iter_ == autoencoder.best_epoch_ == 5
    assert autoencoder.best_loss_ == autoencoder.loss_curve_[-1]


# ------------------------------------------------------------------ divergence, interrupts


@pytest.mark.parametrize("early_stopping", [True, False])
def test_divergence_keeps_the_last_good_weights(X, early_stopping):
    diverging = quick(
        optimizer="sgd", learning_rate=1e6, schedule="constant", early_stopping=early_stopping
    )
    with pytest.warns(ConvergenceWarning, match=r"epoch \d.*learning_rate"):
        diverging.fit(X)
    assert np.isfinite(diverging.transform(X)).all()
    assert diverging.n_iter_ < 5
    if early_stopping:
        assert diverging.best_epoch_ == 0
        assert_array_equal(diverging.transform(X), quick(max_epochs=0).fit(X).transform(X))


class Poison(skorch.callbacks.Callback):
    def on_epoch_begin(self, net, **kwargs):
        if len(net.history) == 4:
            torch.nn.init.constant_(net.module_.decoder.linear.weight, np.nan)


def test_the_warning_tells_what_is_kept(digits):
    noise = np.random.RandomState(0).normal(size=(80, 10))
    with pytest.warns(ConvergenceWarning, match=r"in epoch 4; the weights from before training"):
        autoencoder = quick(net_params={"callbacks": [Poison()]}).fit(noise)
    assert autoencoder.best_epoch_ == 0
    with pytest.warns(ConvergenceWarning, match=r"in epoch 4; the weights of epoch 3 are kept"):
        autoencoder = quick(init="linear", net_params={"callbacks": [Poison()]}).fit(digits[0])
    assert autoencoder.best_epoch_ == 3


def test_a_diverged_partial_fit_keeps_the_epoch_that_was():
    noise = np.random.RandomState(0).normal(size=(80, 10))
    autoencoder = quick().fit(noise)
    codes = autoencoder.transform(noise)
    assert autoencoder.best_epoch_ == 0
    autoencoder.set_params(learning_rate=1e30)
    with pytest.warns(ConvergenceWarning, match=r"in epoch 6; the weights from before training"):
        autoencoder.partial_fit(noise)
    assert autoencoder.best_epoch_ == 0
    assert_array_equal(autoencoder.transform(noise), codes)
    autoencoder.set_params(learning_rate=1e-3).partial_fit(noise)  # without another warning
    assert autoencoder.best_epoch_ == 7


class Interrupt(skorch.callbacks.Callback):
    def __init__(self, how, hook="on_epoch_end"):
        setattr(self, hook, self.interrupt)
        self.how = how

    def interrupt(self, net, **kwargs):
        if self.how == "signal":
            # a shell's background jobs, tests among them, start with Ctrl-C ignored
            before = signal.signal(signal.SIGINT, signal.default_int_handler)
            try:
                signal.raise_signal(signal.SIGINT)
            finally:
                signal.signal(signal.SIGINT, before)
        raise KeyboardInterrupt if self.how == "raise" else RuntimeError("from a callback")


@pytest.mark.parametrize("how", ["signal", "raise", "error"])
def test_interrupts_and_errors_come_out(X, how):
    error = RuntimeError if how == "error" else KeyboardInterrupt
    # after an epoch, Ctrl-C keeps it: see test_interruption.py
    interrupted = quick(net_params={"callbacks": [Interrupt(how, "on_epoch_begin")]})
    with pytest.raises(error):
        interrupted.fit(X)
    assert not hasattr(interrupted, "net_")
    assert not [name for name in vars(interrupted) if name.endswith("_")]


@pytest.mark.parametrize("method", ["fit", "partial_fit"])
@pytest.mark.parametrize("warm_start", [False, True])
@pytest.mark.parametrize("hook", ["on_train_begin", "on_epoch_begin", "on_train_end"])
def test_fitted_state_survives_an_interrupt(X, method, warm_start, hook):
    autoencoder = quick(warm_start=warm_start).fit(X)
    before = pickle.dumps(autoencoder)
    codes = autoencoder.transform(X)
    names = [name for name in vars(autoencoder) if name.endswith("_") and name[0] != "_"]
    state = {name: np.array(getattr(autoencoder, name)) for name in names}
    net, callbacks = autoencoder.net_, autoencoder.net_.callbacks_
    autoencoder.net_params = {"callbacks": [Interrupt("raise", hook)]}
    if method == "partial_fit":
        callbacks.append(("interrupt", Interrupt("raise", hook)))
    with pytest.raises(KeyboardInterrupt):
        getattr(autoencoder, method)(X[::-1] * 2)
    assert_array_equal(autoencoder.transform(X), codes)
    for name, value in state.items():
        assert_array_equal(getattr(autoencoder, name), value)
    assert autoencoder.net_ is net
    assert len(net.history) == autoencoder.n_iter_ == 5
    assert pickle.loads(before).n_iter_ == 5


# --------------------------------------------------------------------- skorch's callbacks


def test_users_skorch_callbacks(digits, tmp_path):
    X_train, _ = digits
    seen = []

    class Recorder(skorch.callbacks.Callback):
        def on_train_begin(self, net, **kwargs):
            seen.append("train begin")

        def on_grad_computed(self, net, named_parameters, **kwargs):
            seen.append(max(p.grad.abs().max().item() for _, p in named_parameters))

        def on_train_end(self, net, **kwargs):
            seen.append("train end")

    callbacks = [
        Recorder(),
        ("stop", skorch.callbacks.EarlyStopping(patience=2, threshold=0.9)),
        skorch.callbacks.Checkpoint(dirname=tmp_path, monitor="valid_loss_best"),
        skorch.callbacks.GradientNormClipping(1.0),
        skorch.callbacks.EpochTimer(),
    ]
    autoencoder = quick(max_epochs=50, net_params={"callbacks": callbacks}).fit(X_train)
    assert autoencoder.n_iter_ == 3
    assert (tmp_path / "params.pt").exists()
    assert "dur" in autoencoder.net_.history[-1]
    assert seen[0] == "train begin"
    assert seen[-1] == "train end"
    assert len(seen) == 2 + 3 * 19
    assert np.all(np.isfinite(seen[1:-1]))
    assert len(autoencoder.net_.history[0, "batches", :, "train_loss"]) == 19


@pytest.mark.parametrize("watched", [False, True])
@pytest.mark.parametrize(
    "make",
    [
        lambda d: skorch.callbacks.Checkpoint(dirname=d),
        lambda d: skorch.callbacks.Checkpoint(dirname=d, load_best=True),
        lambda d: skorch.callbacks.TrainEndCheckpoint(dirname=d),
        lambda d: skorch.callbacks.EarlyStopping(patience=2, load_best=True),
        lambda d: skorch.callbacks.EpochTimer(),
        lambda d: skorch.callbacks.PrintLog(sink=lambda line: None),
        lambda d: skorch.callbacks.PassthroughScoring("train_loss", on_train=True),
        lambda d: skorch.callbacks.EpochScoring(lambda net, X, y: 1.0, use_caching=False),
        lambda d: skorch.callbacks.Freezer("decoder*"),
    ],
)
def test_each_skorch_callback_alone(X, tmp_path, make, watched):
    callbacks = [make(tmp_path), *([skorch.callbacks.GradientNormClipping(9.0)] if watched else [])]
    autoencoder = quick(net_params={"callbacks": callbacks}).fit(X)
    best = [autoencoder.start_loss_, *autoencoder.validation_loss_curve_][autoencoder.best_epoch_]
    assert autoencoder.best_loss_ == best


def test_load_best_of_early_stopping_does_not_replace_the_start(X):
    noise = np.random.RandomState(0).normal(size=(80, 10))
    stopping = skorch.callbacks.EarlyStopping(patience=9, load_best=True)
    autoencoder = quick(net_params={"callbacks": [stopping]}).fit(noise)
    assert autoencoder.best_epoch_ == 0
    untrained = quick(max_epochs=0).fit(noise)
    assert_array_equal(autoencoder.transform(X), untrained.transform(X))


def test_batch_hooks_change_nothing(X):
    class Idle(skorch.callbacks.Callback):
        def on_batch_begin(self, net, **kwargs):
            pass

    plain = quick(validation_fraction=0.1).fit(X)
    watched = quick(net_params={"callbacks": [Idle()]}).fit(X)
    assert watched.loss_curve_ == plain.loss_curve_
    assert watched.validation_loss_curve_ == plain.validation_loss_curve_
    assert_array_equal(watched.transform(X), plain.transform(X))


SCHEDULER = skorch.callbacks.LRScheduler("StepLR", step_size=1)


@pytest.mark.parametrize(
    ("net_params", "message"),
    [
        ({"optimizer__lr": 1e-9}, "Use the parameter 'learning_rate'"),
        ({"optimizer__weight_decay": 1}, "Use the parameter 'weight_decay'"),
        ({"optimizer__learning_rate": 1}, "Adam has no option 'learning_rate'.*'betas'"),
        ({"callbacks": [SCHEDULER]}, "LRScheduler.*no effect.*Use schedule='constant'"),
        ({"callbacks": [("rate", SCHEDULER)]}, "LRScheduler.*no effect"),
        ({"callbacks": (skorch.callbacks.LRScheduler,)}, "LRScheduler.*no effect"),
        ({"compile__mode": "default"}, "may not set 'compile__mode'.*It may set 'callbacks'"),
        ({"iterator_train__shuffle": True}, "may not set.*Use the parameter 'batch_size'"),
        ({"optimizer__params": []}, "Adam has no option 'params'"),
        ({"optimizer__param_groups": []}, "sets the learning rate of all groups"),
        ({"callbacks": SCHEDULER}, "must be a list of callbacks"),
        ({"callbacks": True}, "must be a list of callbacks"),
        ({"callbacks": [5]}, "must hold skorch callbacks; got 5"),
        ({"callbacks__print_log": None}, "there is no callback of that name, only"),
        ({"callbacks__print_log__sink": print}, "there is no callback of that name, only"),
        ({"gradient_clip": 1}, "may not set 'gradient_clip'.*'callbacks'"),
    ],
)
@pytest.mark.parametrize("method", ["fit", "partial_fit"])
def test_settings_without_effect_are_errors_before_training(X, net_params, message, method):
    with pytest.raises(ValueError, match=message):
        getattr(quick(net_params=net_params), method)(X)


@pytest.mark.parametrize("name", sorted(inspect.signature(skorch.NeuralNet).parameters))
def test_net_params_take_callbacks_and_options_of_the_optimizer_only(X, name):
    if name == "callbacks":
        return
    with pytest.raises(ValueError, match=rf"net_params .* may not set '{name}'.*'callbacks'"):
        quick(net_params={name: None}).fit(X)


def test_a_scheduler_sets_a_constant_rate(X):
    how = {"schedule": "constant", "early_stopping": False}
    plain = quick(**how).fit(X)
    stopped = skorch.callbacks.LRScheduler("StepLR", step_size=1, gamma=1e-9)
    scheduled = quick(net_params={"callbacks": [stopped]}, **how).fit(X)
    assert scheduled.loss_curve_[0] == plain.loss_curve_[0]
    assert scheduled.loss_curve_[-1] != plain.loss_curve_[-1]


def test_optimizer_options_by_net_params(X):
    autoencoder = quick(net_params={"optimizer__betas": (0.5, 0.6)}).fit(X)
    assert autoencoder.net_.optimizer_.param_groups[0]["betas"] == (0.5, 0.6)


# --------------------------------------------------------------------------------- verbose


def test_verbose(X, capsys):
    quick().fit(X)
    assert capsys.readouterr() == ("", "")
    quick(verbose=1).fit(X)
    captured = capsys.readouterr()
    assert captured.out == ""
    assert "5/5" in captured.err
    assert "valid_loss" in captured.err
    quick(verbose=2).fit(X)
    lines = capsys.readouterr().out.splitlines()
    assert "valid_loss" in lines[0]
    assert len(lines) == 2 + 5


# ------------------------------------------------------------------------- mixed precision


def test_training_in_bfloat16_is_close_and_all_else_is_float32(digits):
    X_train, X_test = digits
    fits = {
        precision: AutoencoderTransformer(8, max_epochs=10, precision=precision, random_state=0)
        for precision in ("float32", "bfloat16")
    }
    scores = [fit.fit(X_train).score(X_test) for fit in fits.values()]
    assert scores[1] == pytest.approx(scores[0], abs=0.02)
    assert scores[1] != scores[0]
    reduced = fits["bfloat16"]
    assert reduced.transform(X_test).dtype == np.float32
    assert {p.dtype for p in reduced.net_.module_.parameters()} == {torch.float32}
    assert reduced.start_loss_ == fits["float32"].start_loss_


def test_partial_fit_takes_another_precision(X):
    autoencoder = quick().partial_fit(X).set_params(precision="bfloat16").partial_fit(X)
    assert autoencoder.net_.precision == "bfloat16"


def test_epoch_leaves_nothing_behind(X):
    """The mean loss is the same as from the losses of all steps, which are not kept."""
    autoencoder = quick(batch_size=16, early_stopping=False, max_epochs=1)
    kept = []

    class Keep(skorch.callbacks.Callback):
        def on_batch_end(self, net, batch, training, loss, **kwargs):
            kept.append((loss.item(), len(batch[0])))

    autoencoder.set_params(net_params={"callbacks": [Keep()]}).fit(X)
    losses, sizes = np.transpose(kept)
    mean = np.average(losses, weights=sizes) * autoencoder.scale_**2
    assert autoencoder.loss_curve_[0] == pytest.approx(mean, rel=1e-5)


# --------------------------------------------------------------------------------- devices


class Fuse(skorch.callbacks.Callback):
    """Raises an error at one of the next training steps, before the optimizer's."""

    def __init__(self):
        self.n_left, self.error = 0, None

    def on_grad_computed(self, net, **kwargs):
        self.n_left -= 1
        if self.n_left == 0:
            raise self.error


def test_exhausted_device_memory_is_a_clear_error(X):
    def exhausted(*args):
        raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 20.00 GiB.")

    fuse = Fuse()
    fuse.error = torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 20.00 GiB.")
    autoencoder = quick(net_params={"callbacks": [fuse]}).fit(X)
    codes = autoencoder.transform(X)
    for method in ("fit", "partial_fit"):
        fuse.n_left = 1
        with pytest.raises(MemoryError, match=r"Out of memory.*batch_size"):
            getattr(autoencoder, method)(X)
    assert_array_equal(autoencoder.transform(X), codes)
    autoencoder.decoder_.register_forward_pre_hook(exhausted)
    with pytest.raises(MemoryError, match=r"Out of memory.*batch_size"):
        autoencoder.inverse_transform(codes)
    autoencoder.encoder_.register_forward_pre_hook(exhausted)
    for method in ("transform", "reconstruct", "score", "score_samples"):
        with pytest.raises(MemoryError, match=r"Out of memory.*batch_size"):
            getattr(autoencoder, method)(X)


@pytest.mark.parametrize("estimator", [AutoencoderTransformer, DenoisingAutoencoder])
def test_partial_fit_after_a_failed_one_goes_on_as_if_it_had_not_been(X, estimator):
    fuse = Fuse()
    params = {"batch_size": 32, "net_params": {"callbacks": [fuse]}, "estimator": estimator}
    autoencoder, reference = (quick(**params).partial_fit(X) for _ in range(2))
    fuse.n_left, fuse.error = 2, RuntimeError("enough")
    with pytest.raises(RuntimeError, match="enough"):
        autoencoder.set_params(learning_rate=0.1, schedule="constant").partial_fit(X)
    assert fuse.n_left == 0
    autoencoder.set_params(learning_rate=reference.learning_rate, schedule=reference.schedule)
    for fitted in (autoencoder, reference):
        fitted.partial_fit(X)
    assert_array_equal(autoencoder.transform(X), reference.transform(X))
    assert autoencoder.loss_curve_ == reference.loss_curve_


def test_missing_device_is_a_clear_error_and_keeps_the_fit(X):
    autoencoder = quick().fit(X)
    codes = autoencoder.transform(X)
    missing = "cuda" if not torch.cuda.is_available() else "cuda:99"
    with pytest.raises(ValueError, match="cannot be used on this machine"):
        autoencoder.set_params(device=missing).fit(X)
    assert_array_equal(autoencoder.transform(X), codes)


def test_rows_for_a_gpu_are_taken_fetch_ahead():
    taken = []
    for item in fetch_ahead(taken.append(i) or i for i in range(5)):
        assert taken == list(range(min(item + 2, 5)))
    assert list(fetch_ahead([])) == []
