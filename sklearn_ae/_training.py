"""Training: the skorch net, its loop, and the schedules of the learning rate."""

import copy
import math
import warnings
from contextlib import nullcontext
from itertools import chain

import numpy as np
import torch
from sklearn.exceptions import ConvergenceWarning
from sklearn.utils import check_array
from skorch import NeuralNet
from skorch.callbacks import Callback, EarlyStopping, EpochTimer, PrintLog
from torch.utils.data import Dataset, Subset
from tqdm import tqdm

from ._batches import Batch, Batches, FixedBatches, StandardizedRows
from ._correction import get_solved_layers, set_to_zero
from ._evidence import CrossFit, KeptEpoch
from ._folds import CrossFitTrial
from ._isolation import isolate_torch
from ._judging import (
    compute_validation_losses,
    fit_noise_to_training_rows,
    judge_start,
    measure_rows,
    solve_after_training,
)
from ._losses import NegativeBound, ReconstructionLoss
from ._networks import LINEAR_PATH
from ._ordering import use_best_sizes
from ._random import seed_torch
from ._rows import make_rows

BATCH_HOOKS = ("on_batch_begin", "on_batch_end", "on_grad_computed")

STEPS_AT_ONCE = 2**12  # steps whose learning rates are computed together

SCHEDULES = ("one_cycle", "cosine", "constant")

# name: (class, options)
OPTIMIZERS = {
    "adam": (torch.optim.Adam, {"fused": True}),
    "adamw": (torch.optim.AdamW, {"fused": True}),
    "sgd": (torch.optim.SGD, {"fused": True, "momentum": 0.9, "nesterov": True}),
}
LINEAR_PATH_WITHOUT_DECAY = {"param_groups": [(LINEAR_PATH, {"weight_decay": 0.0})]}


def make_net(plan, model, generator, corruption, options):
    """Return an initialised skorch net that trains a model.

    Parameters
    ----------
    plan : Plan
    model : Model
    generator : torch.Generator
        On the CPU, for the order of the rows and the seed of their corruption.
    corruption : callable (batch, generator) -> batch, or None
        For standardised rows.
    options : dict
        Parameters of `AutoencoderNet` that are not in the plan, or replace those of the plan.
    """
    optimizer, _ = OPTIMIZERS.get(plan.optimizer, (plan.optimizer, {}))
    drawing = {"generator": generator, "corruption": corruption}
    params = {
        "module": model,
        "criterion": ReconstructionLoss if plan.beta is None else NegativeBound,
        **{f"criterion__{name}": v for name, v in list_loss_options(plan, model.units).items()},
        "optimizer": optimizer,
        **{f"optimizer__{name}": value for name, value in plan.optimizer_options.items()},
        "batch_size": plan.batch_size,
        **{f"iterator_train__{name}": value for name, value in drawing.items()},
        **{f"iterator_valid__{name}": value for name, value in drawing.items()},
        "n_iter_no_change": plan.n_iter_no_change,
        "tol": plan.tol,
        "precision": plan.precision,
        "verbose": plan.verbose,
        "schedule": plan.schedule,
        "lr": plan.learning_rate,
        "linear_weight": plan.linear_weight,
        "max_epochs": plan.max_epochs,
        "device": plan.device,
        **options,
        **(plan.net_params or {}),
    }
    net = AutoencoderNet(**params).initialize()
    # skorch keeps the module that it was given beside the one that it trains
    net.module = type(model)
    return net


def change_net(net, plan, corruption, options):
    """Let a net go on training by another plan; its optimizer and batch size stay."""
    net.set_params(precision=plan.precision, linear_weight=plan.linear_weight, **options)
    net.iterator_train__corruption = corruption
    loss = net.criterion(**list_loss_options(plan, net.module_.units))
    net.criterion_ = loss.to(net.device)


def list_loss_options(plan, units):
    """Return the arguments of the loss of a plan."""
    own = {"clips": plan.clip} if plan.beta is None else {"beta": plan.beta}
    return {"name": plan.loss, "units": units, "skips_missing": plan.missing_rate > 0, **own}


class EpochTasks(Callback):
    """Tells scikit-learn's callbacks of each epoch, and stops if one of them asks for it.

    Parameters
    ----------
    estimator : estimator
    context : sklearn.callback.CallbackContext
        The context of the estimator's fit.
    X, y : object
        Handed to the callbacks.
    """

    def __init__(self, estimator, context, X, y):
        self.estimator = estimator
        self.context = context
        self.data = {"X": X, "y": y}

    def on_epoch_begin(self, net, **kwargs):
        """Begin the task of this epoch."""
        self.task = self.context.subcontext(task_name="epoch")
        self.task.call_on_fit_task_begin(estimator=self.estimator, **self.data)

    def on_epoch_end(self, net, **kwargs):
        """End the task of this epoch."""
        net.stop_ |= self.task.call_on_fit_task_end(
            estimator=self.estimator,
            **self.data,
            reconstruction_attributes=net.copy_for_inference,
        )


class EpochBar(Callback):
    """A progress bar over the epochs."""

    writes_output = True

    def on_train_begin(self, net, **kwargs):
        """Draw the empty bar."""
        self.bar_ = tqdm(total=net.max_epochs, unit="epoch")

    def on_epoch_end(self, net, **kwargs):
        """Move the bar on and show the losses."""
        losses = {name: net.history[-1].get(name) for name in ("train_loss", "valid_loss")}
        self.bar_.set_postfix({k: f"{v:.4g}" for k, v in losses.items() if v is not None})
        self.bar_.update()

    def on_train_end(self, net, **kwargs):
        """Leave the bar where training stopped."""
        self.bar_.close()
        del self.bar_


class HoldOutTrial:
    """What a net trains and is judged by: its module, and the rows that are held out.

    Attributes
    ----------
    network : torch.nn.Module
    batches : Batches
        Of the rows to train on.
    held_out : FixedBatches or None
    """

    measure_training_rows = None  # the held-out rows judge the network itself

    def __init__(self, net, X):
        train, valid = net.get_split_datasets(X)
        self.network = net.module_
        self.batches = net.get_iterator(train, training=True)
        self.held_out = None if valid is None else net.get_iterator(valid)

    def list_models(self):
        """Return the models, that of the estimator last."""
        return [self.network]

    def list_solved_layers(self):
        """Return the layers of the decoder that are solved in closed form."""
        return [get_solved_layers(self.network)]

    def close(self):
        """Leave the net as it is."""


class AutoencoderNet(NeuralNet):
    """A skorch net that trains on rows in memory at the speed of a hand-written loop.

    It differs from `skorch.NeuralNet` in these points. The losses of an epoch are summed on the
    device and brought to the host once. Batch hooks are called only if a callback has them. The
    best weights are kept in memory and loaded at the end. Ctrl-C is not swallowed.

    Parameters
    ----------
    schedule : {"one_cycle", "cosine", "constant"}
        Of the learning rate, over the steps of all epochs.
    keep_start : bool
        Whether training may end with the weights from before the first epoch.
    has_correction : bool, default=False
        Whether to solve the last layer at the start, too. That is undone, and this becomes False,
        if held-out rows do not show that it helps.
    solve_last_layer : callable or None, default=None
        Solves the last layer of the decoder's correction, and returns whether it has. After the
        last epoch the result is kept if it is the best on held-out rows.
    n_iter_no_change : int
        Stop after this many epochs whose validation loss is not `tol` below the best.
    tol : float
        In units of the loss of standardised rows.
    linear_weight : float, default=0.0
        Weight of the loss of the linear path alone, which is added to the loss.
    precision : {"float32", "bfloat16"}
        Of the products and convolutions of training steps. Losses of held-out rows are always
        computed in float32, so that epochs compare with the start.
    **kwargs
        Those of `NeuralNet`.

    Attributes
    ----------
    best_epoch_ : int
        The epoch whose weights the module has, counted as in `history`; 0 for none.
    start_loss_ : float or None
        Mean loss of the validation rows before the first epoch.
    solved_loss_ : float or None
        Their loss after the last layer was solved, if the module has these weights.
    explained_variance_ratio_ : ndarray of shape (n_components,) or None
        What each number of an ordered code adds to the share of the variance that is kept.
    """

    best_epoch_, start_loss_, solved_loss_ = 0, None, None  # before training
    explained_variance_ratio_ = None

    def __init__(
        self,
        *args,
        schedule,
        keep_start,
        n_iter_no_change,
        tol,
        precision,
        has_correction=False,
        solve_last_layer=None,
        linear_weight=0.0,
        iterator_train=Batches,
        iterator_valid=FixedBatches,
        **kwargs,
    ):
        self.schedule = schedule
        self.keep_start = keep_start
        self.has_correction = has_correction
        self.solve_last_layer = solve_last_layer
        self.linear_weight = linear_weight
        self.n_iter_no_change = n_iter_no_change
        self.tol = tol
        self.precision = precision
        super().__init__(
            *args, iterator_train=iterator_train, iterator_valid=iterator_valid, **kwargs
        )

    def get_default_callbacks(self):
        """Return the callbacks for `verbose`."""
        if self.verbose == 0:
            return []
        if self.verbose == 1:
            return [("epoch_bar", EpochBar())]
        return [("epoch_timer", EpochTimer()), ("print_log", PrintLog())]

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

    def initialize(self):
        """Refuse to forget the training: of the module the net keeps only the class."""
        if isinstance(self.module, type):
            refuse("initialize", "fit")
        return super().initialize()

    def fit(self, X, y=None, **fit_params):
        """Refuse to train by the net alone, which lacks start, split and units."""
        refuse("fit", "fit")

    def trim_for_prediction(self):
        """Refuse to forget what training needs: estimators are saved without it."""
        raise TypeError("Save the estimator, which leaves out what only training needs.")

    def partial_fit(self, X, y=None, classes=None, **fit_params):
        """Train for `max_epochs` more epochs, or until a callback or early stopping ends it."""
        if not isinstance(X, StandardizedRows):
            refuse("partial_fit", "partial_fit")
        if not self.initialized_:
            self.initialize()
        for group in self.optimizer_.param_groups:  # torch's schedulers need it to go on
            group.setdefault("initial_lr", group["lr"])
        self.notify("on_train_begin", X=X, y=y)
        self.fit_loop(X, y)
        if not have_hooks(self.callbacks_, "on_train_end"):
            return self
        kept = copy.deepcopy(self.module_.state_dict())
        self.notify("on_train_end", X=X, y=y)
        self.module_.load_state_dict(kept)  # EarlyStopping(load_best=True) loads its own
        return self

    def fit_loop(self, X, y=None, epochs=None, **fit_params):
        """Train, then load the weights to keep."""
        if not isinstance(X, StandardizedRows):
            refuse("fit_loop", "fit")
        epochs = self.max_epochs if epochs is None else epochs
        trial = (CrossFitTrial if isinstance(self.train_split, CrossFit) else HoldOutTrial)(self, X)
        try:
            self._run_trial(trial, epochs)
            if self.module_.architecture.n_ordered:
                self.explained_variance_ratio_ = use_best_sizes(self, trial)
        finally:
            trial.close()
            for name in ("trial_", "parameters_", "rates_", "forward_"):
                vars(self).pop(name, None)
        return self

    def _run_trial(self, trial, epochs):
        """Train the networks of a trial, and load the weights to keep."""
        batches, held_out = trial.batches, trial.held_out
        self.watched_ = have_hooks(self.callbacks_, *BATCH_HOOKS)
        self.trial_ = trial
        self.parameters_ = list(trial.network.parameters())
        self.rates_ = None  # for "constant": the optimizer or a callback has the rate
        if self.schedule != "constant":
            self.rates_ = compute_learning_rates(self.schedule, self.lr, epochs * len(batches))
        self.stop_, self.solved_loss_ = False, None
        if self.has_correction:
            trial.network.eval()
            self.has_correction = self.solve_last_layer()
        start_losses, linear = (None, None) if held_out is None else judge_start(self, trial)
        self.start_loss_ = None if held_out is None else float(start_losses.mean())
        if not epochs:  # the start is kept, and no copy of its weights is needed
            return
        start_losses, linear = (start_losses, linear) if self.keep_start else (None, None)
        labelings = getattr(self.train_split, "labelings", ())
        measure = trial.measure_training_rows
        # those of folds are needed after training to measure an ordered code
        models = trial.list_models()[0 if self.module_.architecture.n_ordered else -1 :]
        kept = KeptEpoch(models, self.best_epoch_, start_losses, linear, labelings, measure)
        if self.has_correction or self.module_.architecture.solved_sizes:
            # a candidate: training learns better features without it
            set_to_zero(trial.list_solved_layers())
        self.forward_ = batches.ranks.wrap_forward(trial.network)
        diverged = self._run_epochs(epochs, batches, held_out, kept)
        is_solved = not diverged and solve_after_training(self, trial, kept)
        self.best_epoch_ = kept.restore()
        if held_out is None and self.module_.architecture.is_variational:
            fit_noise_to_training_rows(self, trial)
        self.solved_loss_ = kept.loss if is_solved and self.best_epoch_ > 0 else None
        if diverged:
            self.optimizer_.state.clear()  # its moments are not finite
            warn_diverged(len(self.history), self.best_epoch_)

    def _run_epochs(self, epochs, batches, held_out, kept):
        """Run up to `epochs` epochs; return whether the last one diverged."""
        data = {"dataset_train": batches.dataset, "dataset_valid": held_out and held_out.dataset}
        ranks, n_stalled = batches.ranks, 0
        for epoch in range(len(self.history) + 1, len(self.history) + epochs + 1):
            self.notify("on_epoch_begin", **data)
            last_batch = self._train_epoch(batches)
            losses = None if held_out is None else self._validate_epoch(held_out)
            after = measure_rows(self, [last_batch])
            train_loss = self.history[-1]["train_loss"]
            diverged = ranks.is_any(not are_finite(train_loss, after, losses))
            if not diverged:
                n_stalled = 0 if kept.update(epoch, losses) > self.tol else n_stalled + 1
            self.notify("on_epoch_end", **data)
            if diverged or ranks.is_any(self.stop_) or n_stalled >= self.n_iter_no_change:
                return diverged
        return False

    def _train_epoch(self, batches):
        """Make a step with each batch, record the mean loss, and return the last batch."""
        self.trial_.network.train()
        # A sum in place: the tensors that a new sum in each step would leave between those of
        # the step would keep the allocator from using their memory again.
        total = torch.zeros((), dtype=torch.float32, device=self.device)
        for batch in batches:
            loss = self._run_step(self.train_step, batch, "train").detach()
            if batch.n_own:
                total.add_(loss, alpha=batch.n_own)
        total = batches.ranks.sum(total)
        batches.ranks.copy_buffers(self.module_)
        self._record("train", float(total) / len(batches.index), len(batches.index))
        return batch

    def _validate_epoch(self, batches):
        """Record the mean validation loss and return the loss of each row."""
        if self.watched_:
            self.module_.eval()
            for batch in batches:
                self._run_step(self.validation_step, batch, "valid")
        losses = compute_validation_losses(self, batches, fits_noise=True)
        self._record("valid", float(losses.mean()), losses.shape[-1])
        return losses

    def _run_step(self, step_fn, batch, prefix):
        """Make a step and return its loss; call skorch's batch hooks if a callback has them."""
        if not self.watched_:
            return step_fn(batch)["loss"]
        training = prefix == "train"
        pair = batch[:2]  # inputs and targets, as skorch's callbacks expect
        self.notify("on_batch_begin", batch=pair, training=training)
        step = step_fn(batch)
        self._record_batch(prefix, step["loss"].item(), len(batch[0]))
        self.notify("on_batch_end", batch=pair, training=training, **step)
        return step["loss"]

    def train_step(self, batch, **fit_params):
        """Make one optimizer step with a `Batch`; return loss and output."""
        step = {}

        def closure():
            for parameter in self.parameters_:  # as optimizer.zero_grad(), in a tenth of its time
                parameter.grad = None
            with cast_products(self.device, self.precision):
                output, linear = compute_outputs(self, batch.inputs)
            loss = total = self.criterion_(output.float(), batch.targets)
            if linear is not None:
                total = loss + self.linear_weight * self.criterion_(linear.float(), batch.targets)
            total.backward(batch.weight)
            step.setdefault("loss", loss)
            n_rows, n_features = batch.targets.shape[-2:]
            step.setdefault("y_pred", output[..., :n_rows, :n_features])
            if self.watched_:
                named_parameters = list(self.get_all_learnable_params())
                self.notify(
                    "on_grad_computed",
                    named_parameters=named_parameters,
                    batch=batch[:2],
                    training=True,
                )
            return total

        if self.rates_ is not None:
            rate = next(self.rates_)
            for group in self.optimizer_.param_groups:
                group["lr"] = rate
        self.optimizer_.step(closure)
        return step

    @torch.no_grad()
    def validation_step(self, batch, **fit_params):
        """Return loss and output of a `Batch`."""
        if not isinstance(batch, Batch):
            refuse("validation_step", "score_samples")
        self.module_.eval()
        sizes = self.module_.architecture.list_sizes()[-1:]
        (output,) = self.module_.reconstruct_sizes(batch.inputs, sizes)
        y_pred = output[..., : batch.targets.shape[-1]]
        return {"loss": self.criterion_(output, batch.targets), "y_pred": y_pred}

    def evaluation_step(self, batch, training=False):
        """Return the output for a `Batch`, standardised rows."""
        if not isinstance(batch, Batch):
            refuse("evaluation_step", "reconstruct")
        self.module_.train(training)
        with torch.set_grad_enabled(training):
            return self.module_(batch.inputs)

    def infer(self, x, **fit_params):
        """Return the reconstruction of rows, both in units of X, with its gradient.

        Parameters
        ----------
        x : tensor or array of shape (n_rows, n_features)
        """
        units, has_gradient = self.module_.units, torch.is_grad_enabled()
        with isolate_torch(), torch.set_grad_enabled(has_gradient):
            rows = torch.as_tensor(x).to(self.device)
            output = self.module_(self.module_.make_inputs(rows))
            return units.restore(output.clone())  # `restore` works in place

    def forward_iter(self, X, training=False, device="cpu"):
        """Yield the reconstruction of X part by part, in units of X.

        For the training datasets, which skorch's callbacks pass, the outputs are standardised.
        """
        if isinstance(X, StandardizedRows | Subset):
            yield from super().forward_iter(X, training, device)
            return
        if isinstance(X, Dataset):
            refuse("take other datasets", "reconstruct")
        X = check_array(X, accept_sparse="csr", dtype=[np.float64, np.float32])
        model, n_features = self.module_, self.module_.architecture.n_features
        if X.shape[1] != n_features:
            raise ValueError(f"X has {X.shape[1]} features, but net_ expects {n_features}.")
        for _, rows in model.read_parts(make_rows(X, self.device)):
            model.train(training)
            try:
                with isolate_torch(), torch.set_grad_enabled(training):
                    output = self.infer(rows) if training else model.reconstruct(rows)
            finally:
                model.eval()
            yield output.to(device)

    def get_losses(self, name):
        """Return "train_loss" or "valid_loss" of the epochs that have it."""
        return [row[name] for row in self.history.to_list() if name in row]

    def list_results(self):
        """Return the fitted attributes of an estimator that come of training, in units of X."""
        convert, held_out = self.criterion_.convert_loss, self.start_loss_ is not None
        training = list(map(convert, self.get_losses("train_loss")))
        validation = list(map(convert, self.get_losses("valid_loss"))) if held_out else None
        start = convert(self.start_loss_) if held_out else None
        best = [start, *(validation or training)][self.best_epoch_]
        if self.solved_loss_ is not None:
            best = convert(self.solved_loss_)
        ordering = {}
        if self.explained_variance_ratio_ is not None:
            ordering["explained_variance_ratio_"] = self.explained_variance_ratio_
        return {
            **ordering,
            "loss_curve_": training,
            "validation_loss_curve_": validation,
            "start_loss_": start,
            "n_iter_": len(training),
            "best_epoch_": self.best_epoch_,
            "best_loss_": best,
        }

    def seed_networks(self):
        """Return a context that seeds what networks draw in training: cuts of codes, dropout."""
        architecture = self.module_.architecture
        draws = architecture.n_ordered or architecture.is_variational
        if not (draws or architecture.encoder or architecture.decoder):
            return nullcontext()
        ranks = self.iterator_train__ranks
        return seed_torch(self.iterator_train__generator, self.device, ranks.number)

    def make_checkpoint(self):
        """Return all that training changes, for `restore`."""
        return {
            "attributes": dict(vars(self)),
            "weights": copy.deepcopy(self.module_.state_dict()),
            "optimizer": copy.deepcopy(self.optimizer_.state_dict()),
            "generator": self.iterator_train__generator.get_state(),
            "n_epochs": len(self.history),
        }

    def restore(self, checkpoint):
        """Undo all training since the checkpoint was made."""
        vars(self).clear()
        vars(self).update(checkpoint["attributes"])
        self.module_.load_state_dict(checkpoint["weights"])
        self.module_.eval()
        self.optimizer_.load_state_dict(checkpoint["optimizer"])
        self.iterator_train__generator.set_state(checkpoint["generator"])
        del self.history[checkpoint["n_epochs"] :]

    def copy_for_inference(self):
        """Return a copy of the model, with its present weights, and a net around it.

        They are attributes for an estimator, by name.
        """
        net = object.__new__(type(self))
        model = copy.deepcopy(self.module_)
        vars(net).update(vars(self), module_=model)
        return {"_model_": model, "_net_": net}

    def _record(self, prefix, loss, n_rows):
        """Write the loss of a pass into the history, as skorch's callbacks look for it."""
        name = f"{prefix}_loss"
        self.history.record(f"{name}_best", loss < min(self.get_losses(name), default=math.inf))
        self.history.record(name, loss)
        if not self.watched_:  # the epoch is recorded as one batch
            self.history.new_batch()
            self._record_batch(prefix, loss, n_rows)

    def _record_batch(self, prefix, loss, n_rows):
        self.history.record_batch(f"{prefix}_loss", loss)
        self.history.record_batch(f"{prefix}_batch_size", n_rows)


def compute_outputs(net, inputs):
    """Return the outputs of a training step, and those of the linear path if they have a weight."""
    network = net.trial_.network
    network.returns_linear = net.linear_weight > 0
    try:
        outputs = net.forward_(inputs)
        return outputs if network.returns_linear else (outputs, None)
    finally:
        network.returns_linear = False


def have_hooks(callbacks, *hooks):
    """Tell whether any of skorch's named callbacks has any of these hooks."""
    return any(
        getattr(getattr(callback, hook), "__func__", None) is not getattr(Callback, hook)
        for _, callback in callbacks
        for hook in hooks
    )


def are_finite(*losses):
    """Tell whether all losses, numbers, arrays or None, are finite."""
    return all(np.isfinite(values).all() for values in losses if values is not None)


def cast_products(device, precision):
    """Return the context for the forward pass of a training step."""
    if precision == "float32":
        return nullcontext()
    return torch.autocast(torch.device(device).type, torch.bfloat16)


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
    rise = 0.15 if schedule == "one_cycle" else 0.0

    def compute_from(first):
        steps = np.arange(first, min(first + STEPS_AT_ONCE, n_steps))
        progress = (steps + 0.5) / n_steps
        falling = (1 + np.cos(np.pi * (progress - rise) / (1 - rise))) / 2
        if rise:
            rising = 1 / 25 + (1 - 1 / 25) * (1 - np.cos(np.pi * progress / rise)) / 2
            falling = np.where(progress < rise, rising, falling)
        return (peak * falling).tolist()

    return chain.from_iterable(map(compute_from, range(0, n_steps, STEPS_AT_ONCE)))


def warn_diverged(epoch, kept_epoch):
    """Warn that the loss of an epoch is not finite."""
    kept = f"of epoch {kept_epoch}" if kept_epoch else "from before training"
    warnings.warn(
        f"The loss stopped being finite in epoch {epoch}; the weights {kept} are kept. "
        "Try a lower learning_rate, or scale X, e.g. with StandardScaler.",
        ConvergenceWarning,
        stacklevel=2,
    )
