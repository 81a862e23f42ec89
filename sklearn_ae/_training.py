"""Training: the loop over the epochs, the skorch net, and the schedules of the learning rate."""

import copy
import math
import sys
from contextlib import nullcontext
from dataclasses import dataclass, field, replace
from itertools import chain

import numpy as np
import torch
from sklearn.utils import check_array
from skorch import NeuralNet
from skorch.callbacks import Callback, EarlyStopping, EpochTimer, PrintLog
from skorch.history import History
from torch.utils.data import Dataset
from tqdm import tqdm

from ._batches import Rowset
from ._isolation import isolate_torch, seed_torch

BATCH_HOOKS = ("on_batch_begin", "on_batch_end", "on_grad_computed")

STEPS_AT_ONCE = 2**12  # steps whose learning rates are computed together


@dataclass
class Training:
    """What a training leaves behind for the next one, and for the fitted attributes.

    Attributes
    ----------
    history : list of dict
        Losses and times of all epochs, a `skorch.history.History` or its rows.
    generator : torch.Generator
        For the order of the rows.
    moments : dict
        State of the optimizer, by parameters; empty if the next training begins anew.
    best_epoch : int
        Epoch whose weights were kept, counted as in the history; 0 is the start.
    start_loss : float or None
        Mean loss of the rows that judge before the first epoch.
    diverged : bool
        Whether the last epoch had no finite loss.
    net : AutoencoderNet or None
        That has trained the model; None if it has trained several as one, or was not saved.
    sums : dict
        Over all rows that were measured so far, by names: what the chunks of a stream add to.
    """

    history: list
    generator: torch.Generator
    moments: dict = field(default_factory=dict)
    best_epoch: int = 0
    start_loss: float | None = None
    diverged: bool = False
    net: NeuralNet | None = None
    sums: dict = field(default_factory=dict)

    def copy(self):
        """Return a copy that can go on while this one stays as it is."""
        generator = torch.Generator()
        generator.set_state(self.generator.get_state())
        moments = copy.deepcopy(self.moments)
        return replace(
            self,
            history=list(self.history),
            generator=generator,
            moments=moments,
            net=None,
            sums=dict(self.sums),
        )

    def find_net(self, model, plan):
        """Return the skorch net of a model; it is made when it is first asked for."""
        if self.net is None:
            self.net = make_net(model, plan, self)
        return self.net

    def list_results(self, objective, solved_loss):
        """Return the fitted attributes that come of training, by name, in units of X.

        Parameters
        ----------
        objective : ReconstructionLoss or NegativeBound
        solved_loss : float or None
            Of the weights that are kept, if their last layer was solved after training.
        """
        convert, start, validation = objective.convert_loss, None, None
        training = [convert(row["train_loss"]) for row in self.history]
        if self.start_loss is not None:
            # a chunk of rows, which none have judged, has no such loss
            judged = [row["valid_loss"] for row in self.history if "valid_loss" in row]
            start, validation = convert(self.start_loss), list(map(convert, judged))
        best = [start, *(validation or training)][self.best_epoch]
        return {
            "loss_curve_": training,
            "validation_loss_curve_": validation,
            "start_loss_": start,
            "n_iter_": len(training),
            "best_epoch_": self.best_epoch,
            "best_loss_": best if solved_loss is None else convert(solved_loss),
        }


def train(trial, plan, follower, net=None, training=None):
    """Train the network of a trial, and load the weights to keep.

    Parameters
    ----------
    trial : Trial
    plan : Plan
    follower : Callback
        Is told of the epochs before the callbacks of the net.
    net : AutoencoderNet, default=None
        That of the training that goes on; None for a new one.
    training : Training, default=None
        What goes on.

    Returns
    -------
    training : Training
    attributes : dict
        Fitted attributes that the code of the network adds, by name.
    """
    if net is None:
        net = make_net(trial.network, plan)
    else:
        net = net.pass_on(trial.network, plan, training)
    # of several ranks only the first prints, and writes files
    callbacks = trial.all_ranks.select_callbacks(net.callbacks_)
    net.callbacks_ = [("estimator_callbacks", follower), *callbacks]
    for _, callback in callbacks:
        if isinstance(callback, EpochBar | EpochLog):
            callback.convert = trial.objective.convert_loss
    for group in net.optimizer_.param_groups:  # torch's schedulers need it to go on
        group.setdefault("initial_lr", group["lr"])
    # dropout, cuts and draws of codes take numbers from torch's global generators
    with nullcontext() if trial.seed is None else seed_torch(trial.seed, plan.device):
        net.notify("on_train_begin", X=trial.batches.dataset, y=None)
        try:
            trial.begin()
            diverged = plan.max_epochs > 0 and run_epochs(trial, plan, net)
            is_complete = not diverged and trial.interrupt is None
            attributes = trial.decide(len(net.history), is_complete)
        finally:
            trial.close()
        if have_hooks(net.callbacks_, "on_train_end"):
            # EarlyStopping(load_best=True) loads weights of its own
            kept = copy.deepcopy(net.module_.state_dict())
            net.notify("on_train_end", X=trial.batches.dataset, y=None)
            net.module_.load_state_dict(kept)
    # the next fit begins anew; after a divergence the moments may not be finite
    if diverged or not plan.is_chunk:
        net.optimizer_.state.clear()
    # a net of several networks that trained as one is not that of the model
    is_alone = net.module_ is trial.models[-1]
    # the code of the model may have been cut
    net.module_, net.callbacks_ = trial.model, callbacks
    training = Training(
        history=net.history,
        generator=trial.generator,
        moments=net.optimizer_.state_dict()["state"],
        best_epoch=trial.best_epoch,
        start_loss=trial.start_loss,
        diverged=diverged,
        net=net if is_alone else None,
        sums=trial.sums,
    )
    return training, attributes


def explain_interrupt(error, training):
    """Return a KeyboardInterrupt with a note, which its traceback shows, on what was kept."""
    error.add_note(
        f"The estimator is fitted all the same: of {len(training.history)} epochs it has kept "
        f"epoch {training.best_epoch}, the best so far."
    )
    return error


def run_epochs(trial, plan, net):
    """Train for `max_epochs` epochs, or until early stopping, a callback or Ctrl-C ends it.

    After a KeyboardInterrupt, which becomes the trial's, the history has the epochs that were
    finished. It is raised at once if none was, of a chunk of
    rows, or if other processes train, too.

    Returns
    -------
    diverged : bool
        Whether the last epoch has no finite loss.
    """
    batches, ranks = trial.batches, trial.ranks
    valid = None if trial.held_out is None else trial.held_out.dataset
    # batch hooks cost a synchronisation with the device, so they are called only if needed
    is_watched = have_hooks(net.callbacks_, *BATCH_HOOKS)
    forward = ranks.wrap_forward(trial.network)
    # with a constant schedule the optimizer, or a callback, has the rate
    rates = None
    if plan.schedule != "constant":
        n_steps = plan.max_epochs * len(batches)
        rates = compute_learning_rates(plan.schedule, plan.learning_rate, n_steps)
    net.stop_, n_stalled, n_before = False, 0, len(net.history)
    n_finished, diverged = n_before, False
    try:
        for epoch in range(n_before + 1, n_before + plan.max_epochs + 1):
            net.notify("on_epoch_begin", dataset_train=batches.dataset, dataset_valid=valid)
            train_loss, last_batch = run_epoch(trial, plan, net, forward, rates, is_watched)
            losses = judge_epoch(trial, net, is_watched)
            # the loss of a batch is that before its step: the last step may have diverged unseen
            after = trial.measure_rows([last_batch], trial.network)
            found = [train_loss, after] if losses is None else [train_loss, after, losses]
            diverged = ranks.is_any(not all(np.isfinite(values).all() for values in found))
            if not diverged:
                n_stalled = 0 if trial.keep(epoch, losses) > plan.tol else n_stalled + 1
            n_finished = epoch
            net.notify("on_epoch_end", dataset_train=batches.dataset, dataset_valid=valid)
            if diverged or ranks.is_any(net.stop_) or n_stalled >= plan.n_iter_no_change:
                break
    except KeyboardInterrupt as error:
        n_finished = max(n_finished, trial.best_epoch)
        if n_finished == n_before or plan.is_chunk or trial.all_ranks.count > 1:
            raise
        trial.interrupt = error
        net.history_ = History(net.history[:n_finished])
    return diverged


def run_epoch(trial, plan, net, forward, rates, is_watched):
    """Make a step with each batch, and record the mean loss.

    Parameters
    ----------
    trial : Trial
    plan : Plan
    net : AutoencoderNet
    forward : callable
        Returns the `Output` of the network for the inputs of a batch.
    rates : iterator of float or None
        Learning rates of the steps.
    is_watched : bool
        Whether a callback has hooks for batches.

    Returns
    -------
    train_loss : float
    last_batch : Batch
    """
    batches, objective, optimizer = trial.batches, trial.objective, net.optimizer_
    parameters = list(trial.network.parameters())
    trial.network.train()
    # A sum in place, brought to the host once: the tensors that a new sum in each step would leave
    # between those of the step would keep the allocator from using their memory again.
    total = torch.zeros((), device=plan.device)
    for batch in batches:
        if is_watched:
            net.notify("on_batch_begin", batch=batch[:2], training=True)
        if rates is not None:
            rate = next(rates)
            for group in optimizer.param_groups:
                group["lr"] = rate
        # as optimizer.zero_grad(), in a tenth of its time
        for parameter in parameters:
            parameter.grad = None
        if plan.precision == "float32":
            output = forward(batch.inputs)
        else:
            with torch.autocast(torch.device(plan.device).type, torch.bfloat16):
                output = forward(batch.inputs)
            output = output.float()
        loss = weighted = objective(output, batch.targets)
        # the linear path alone should stay a good model, so that its code stays near PCA's
        if plan.linear_weight:
            weighted = loss + plan.linear_weight * objective.compare(output.linear, batch.targets)
        # the weight is the share of this rank, or the number of networks, whose losses add up
        weighted.backward(batch.weight)
        if is_watched:
            named = list(net.get_all_learnable_params())
            net.notify("on_grad_computed", named_parameters=named, batch=batch[:2], training=True)
        optimizer.step()
        if batch.n_own:
            total.add_(loss.detach(), alpha=batch.n_own)
        if is_watched:
            net.end_batch("train", batch, loss, output.restored)
    total = trial.ranks.sum(total)
    trial.ranks.copy_buffers(trial.model)
    train_loss = float(total) / len(batches.index)
    net.record("train", train_loss, len(batches.index), is_watched)
    return train_loss, batch


def judge_epoch(trial, net, is_watched):
    """Record the mean loss of the rows that judge, and return the losses; None if none judge."""
    if trial.held_out is None:
        return None
    if is_watched:
        trial.network.eval()
        for batch in trial.held_out:
            net.notify("on_batch_begin", batch=batch[:2], training=False)
            with torch.no_grad():
                output = trial.network.compute_output(batch.inputs)
                loss = trial.objective(output, batch.targets)
            net.end_batch("valid", batch, loss, output.restored)
    losses = trial.judge()
    net.record("valid", float(losses.mean()), losses.shape[-1], is_watched)
    return losses


class EpochTasks(Callback):
    """Tells scikit-learn's callbacks of each epoch, and stops if one of them asks for it.

    Parameters
    ----------
    estimator : estimator
    context : sklearn.callback.CallbackContext
        The context of the estimator's fit.
    X, y : object
        Handed to the callbacks.
    copy_fitted : callable
        Returns the attributes of an estimator with a copy of the present weights, by name.
    """

    def __init__(self, estimator, context, X, y, copy_fitted):
        self.estimator = estimator
        self.context = context
        self.X, self.y = X, y
        self.copy_fitted = copy_fitted

    def on_epoch_begin(self, net, **kwargs):
        """Begin the task of this epoch."""
        self.task = self.context.subcontext(task_name="epoch")
        self.task.call_on_fit_task_begin(estimator=self.estimator, X=self.X, y=self.y)

    def on_epoch_end(self, net, **kwargs):
        """End the task of this epoch."""
        net.stop_ |= self.task.call_on_fit_task_end(
            estimator=self.estimator,
            X=self.X,
            y=self.y,
            reconstruction_attributes=self.copy_fitted,
        )


class EpochLog(PrintLog):
    """One line for each epoch: losses as `loss_curve_` has them, and colours on a terminal only.

    Attributes
    ----------
    convert : callable
        Returns a loss of standardised rows in units of X.
    """

    convert = float

    def format_row(self, row, key, color):
        """Return an entry of the line as text."""
        if key.endswith("_loss"):
            row = {**row, key: self.convert(row[key])}
        if not sys.stdout.isatty():
            row = {**row, f"{key}_best": False}  # it is the best that has a colour
        return super().format_row(row, key, color)


class EpochBar(Callback):
    """A progress bar over the epochs, with the losses as `loss_curve_` has them."""

    writes_output = True
    convert = float

    def on_train_begin(self, net, **kwargs):
        """Draw the empty bar."""
        self.bar_ = tqdm(total=net.max_epochs, unit="epoch")

    def on_epoch_end(self, net, **kwargs):
        """Move the bar on and show the losses."""
        row = net.history[-1]
        losses = {name: row[name] for name in ("train_loss", "valid_loss") if name in row}
        self.bar_.set_postfix({k: f"{self.convert(v):.4g}" for k, v in losses.items()})
        self.bar_.update()

    def on_train_end(self, net, **kwargs):
        """Leave the bar where training stopped."""
        self.bar_.close()
        del self.bar_


class AutoencoderNet(NeuralNet):
    """A skorch net that owns a network, its optimizer, callbacks and history.

    `train` trains it, at the speed of a hand-written loop: the losses of an epoch are summed on the
    device and brought to the host once, and batch hooks are called only if a callback has them.
    Ctrl-C is not swallowed.

    Parameters
    ----------
    precision : {"float32", "bfloat16"}
        Of the products and convolutions of training steps.
    *args, **kwargs
        Those of `NeuralNet`.
    """

    def __init__(self, *args, precision="float32", **kwargs):
        self.precision = precision
        super().__init__(*args, **kwargs)

    def get_default_callbacks(self):
        """Return the callbacks for `verbose`."""
        by_verbose = (
            [],
            [("epoch_bar", EpochBar())],
            [("epoch_timer", EpochTimer()), ("print_log", EpochLog())],
        )
        return by_verbose[self.verbose]

    def get_params_for_optimizer(self, prefix, named_parameters):
        """Return the arguments of the optimizer: no weight decay on the linear path.

        Decay should shrink the network towards that path, not to zero. Groups of the user replace
        these.
        """
        (groups,), options = super().get_params_for_optimizer(prefix, named_parameters)
        path = set(map(id, self.module_.list_linear_path()))
        if len(groups) == 1 and path and "weight_decay" in options:
            own, others = [], []
            for parameter in groups[0]["params"]:
                (own if id(parameter) in path else others).append(parameter)
            groups = [{"params": own, "weight_decay": 0.0}, {"params": others}]
        return ([group for group in groups if group["params"]],), options

    def notify(self, method_name, **cb_kwargs):
        """Call a hook of all callbacks; skorch's EarlyStopping stops by a KeyboardInterrupt."""
        getattr(self, method_name)(self, **cb_kwargs)
        for _, callback in self.callbacks_:
            try:
                getattr(callback, method_name)(self, **cb_kwargs)
            except KeyboardInterrupt:
                if not isinstance(callback, EarlyStopping):
                    raise
                self.stop_ = True

    def record(self, prefix, loss, n_rows, is_watched):
        """Write the loss of a pass into the history, as skorch's callbacks look for it."""
        name = f"{prefix}_loss"
        lowest = min((row[name] for row in self.history if name in row), default=math.inf)
        self.history.record(f"{name}_best", loss < lowest)
        self.history.record(name, loss)
        # without hooks for batches, the epoch is recorded as one batch
        if not is_watched:
            self.history.new_batch()
            self._record_batch(prefix, loss, n_rows)

    def end_batch(self, prefix, batch, loss, restored):
        """Record the loss of a batch, and tell callbacks of it."""
        # an ordered code has several reconstructions of each row: (n_copies * n, n_outputs)
        y_pred = restored[..., : batch.targets.shape[-2], :]
        self._record_batch(prefix, loss.item(), len(batch.inputs))
        training = prefix == "train"
        self.notify("on_batch_end", batch=batch[:2], training=training, loss=loss, y_pred=y_pred)

    def _record_batch(self, prefix, loss, n_rows):
        self.history.record_batch(f"{prefix}_loss", loss)
        self.history.record_batch(f"{prefix}_batch_size", n_rows)

    def pass_on(self, network, plan, training):
        """Return a net with these callbacks that goes on training, with another network.

        Parameters
        ----------
        network : torch.nn.Module
        plan : Plan
        training : Training
            What it goes on from.
        """
        net = object.__new__(type(self))
        vars(net).update(vars(self))
        net.module_, net.callbacks_ = network, list(self.callbacks_)
        net.lr, net.max_epochs, net.precision = plan.learning_rate, plan.max_epochs, plan.precision
        net.initialize_optimizer()
        net.take_over(training)
        return net

    def take_over(self, training):
        """Set history and optimizer to what a training has left."""
        state = self.optimizer_.state_dict()
        state["state"] = training.moments
        self.optimizer_.load_state_dict(state)
        self.history_ = History(training.history)

    # --------------------------------------------------- what works on the net of an estimator

    def initialize(self):
        """Refuse to forget the training: of the module the net keeps only the class."""
        if isinstance(self.module, type):
            refuse("initialize", "fit")
        return super().initialize()

    def fit(self, X, y=None, **fit_params):
        """Refuse to train by the net alone, which lacks start, split and units."""
        refuse("fit", "fit")

    def partial_fit(self, X, y=None, classes=None, **fit_params):
        """Refuse to train by the net alone."""
        refuse("partial_fit", "partial_fit")

    def fit_loop(self, X, y=None, epochs=None, **fit_params):
        """Refuse to train by the net alone."""
        refuse("fit_loop", "fit")

    def validation_step(self, batch, **fit_params):
        """Refuse to judge by the net alone, which lacks the units of X."""
        refuse("validation_step", "score_samples")

    def evaluation_step(self, batch, training=False):
        """Refuse to compute by the net alone, which lacks the units of X."""
        refuse("evaluation_step", "reconstruct")

    def trim_for_prediction(self):
        """Refuse to forget what training needs: estimators are saved without it."""
        raise TypeError("Save the estimator, which leaves out what only training needs.")

    def infer(self, x, **fit_params):
        """Return the reconstruction of rows, both in units of X, with its gradient.

        Parameters
        ----------
        x : tensor or array of shape (n_rows, n_features)
        """
        model, has_gradient = self.module_, torch.is_grad_enabled()
        with isolate_torch(), torch.set_grad_enabled(has_gradient):
            u = model.input_units.make_inputs(torch.as_tensor(x).to(self.device))
            # `restore` works in place
            return model.units.restore(model(model.fill_missing(u)).clone())

    def forward_iter(self, X, training=False, device="cpu"):
        """Yield the reconstruction of X part by part, in units of X.

        For the training datasets, which skorch's callbacks pass, the outputs are standardised.
        """
        if isinstance(X, Rowset):
            with torch.no_grad():
                yield from (self.module_.eval()(inputs).to(device) for inputs in X.read_parts())
            return
        if isinstance(X, Dataset):
            refuse("take other datasets", "reconstruct")
        X = check_array(X, accept_sparse="csr", dtype=[np.float64, np.float32])
        model, n_features = self.module_, self.module_.architecture.n_features
        if X.shape[1] != n_features:
            raise ValueError(f"X has {X.shape[1]} features, but net_ expects {n_features}.")
        for _, rows in model.read_parts(model.make_rows(X)):
            model.train(training)
            try:
                with isolate_torch(), torch.set_grad_enabled(training):
                    output = self.infer(rows) if training else model.reconstruct(rows)
            finally:
                model.eval()
            yield output.to(device)


def make_net(network, plan, training=None):
    """Return an initialised skorch net around a network.

    Parameters
    ----------
    network : torch.nn.Module
        A `Model`, or several as one.
    plan : Plan
    training : Training, default=None
        What it goes on from; None for a net that begins.
    """
    options = {f"optimizer__{name}": value for name, value in plan.optimizer_options.items()}
    net = AutoencoderNet(
        module=network,
        criterion=torch.nn.MSELoss,  # the trial has the objective
        optimizer=plan.optimizer_class,
        lr=plan.learning_rate,
        batch_size=plan.batch_size,
        max_epochs=plan.max_epochs,
        precision=plan.precision,
        device=plan.device,
        verbose=plan.verbose,
        train_split=None,
        **{**options, **(plan.net_params or {})},
    ).initialize()
    # skorch keeps the module that it was given beside the one that it trains; a class is enough
    net.module = type(network)
    if training is not None:
        net.take_over(training)
    return net


def have_hooks(callbacks, *hooks):
    """Tell whether any of skorch's named callbacks has any of these hooks."""
    return any(
        getattr(getattr(callback, hook), "__func__", None) is not getattr(Callback, hook)
        for _, callback in callbacks
        for hook in hooks
    )


def refuse(what, method):
    """Raise a TypeError for what a net cannot do by itself."""
    raise TypeError(f"net_ does not {what} by itself. Call {method} of the estimator.")


def compute_learning_rates(schedule, peak, n_steps):
    """Return an iterator over the learning rate of each step.

    Many are computed at once: a step of torch's schedulers takes a tenth of the time of a
    training step of a small network.

    Parameters
    ----------
    schedule : {"one_cycle", "cosine"}
        "one_cycle" rises from a 25th of the peak along a cosine for 15 % of the steps and
        falls to zero along another for the rest, as torch's `OneCycleLR` does; "cosine"
        only falls, as `CosineAnnealingLR` does.
    peak : float
    n_steps : int

    Returns
    -------
    rates : iterator of float
    """
    # as a share of the steps
    rise = 0.15 if schedule == "one_cycle" else 0.0

    def compute_from(first):
        # in the middle of each step, so that neither the first nor the last one is lost
        steps = np.arange(first, min(first + STEPS_AT_ONCE, n_steps))
        progress = (steps + 0.5) / n_steps
        falling = (1 + np.cos(np.pi * (progress - rise) / (1 - rise))) / 2
        if rise:
            rising = 1 / 25 + (1 - 1 / 25) * (1 - np.cos(np.pi * progress / rise)) / 2
            falling = np.where(progress < rise, rising, falling)
        return (peak * falling).tolist()

    return chain.from_iterable(map(compute_from, range(0, n_steps, STEPS_AT_ONCE)))
