"""Training: the skorch net, its in-memory batches, and the choice of the epoch to keep."""

import copy
import math
import warnings
from contextlib import nullcontext
from itertools import chain

import numpy as np
import torch
from scipy import stats
from sklearn.exceptions import ConvergenceWarning
from skorch import NeuralNet
from skorch.callbacks import Callback, EarlyStopping, EpochTimer, PrintLog
from torch.utils.data import Subset

from ._ranks import ONE_PROCESS

BATCH_HOOKS = ("on_batch_begin", "on_batch_end", "on_grad_computed")

# A trained epoch replaces the start where a paired one-sided t-test on the validation rows
# finds it better at this level: the best of many epochs on few rows looks good by luck.
SIGNIFICANCE = 0.001

# One row in so many of a training batch stays clean, so that clean rows, which a corruption may
# have moved away from all that a network saw, have the codes of their corrupted copies.
CLEAN_ROWS = 10

MAX_KEPT_ENTRIES = 2**24  # of corrupted validation rows

STEPS_AT_ONCE = 2**12  # whose learning rates are computed together

SCHEDULES = ("one_cycle", "cosine", "constant")


class Batches:
    """Batches cut from memory at once, in a new order and with a fresh corruption each pass.

    Cutting them is what `DataLoader` does row by row.

    Parameters
    ----------
    dataset : StandardizedRows or Subset of it
    batch_size : int
    generator : torch.Generator
        On the CPU, for the order of the rows and the seed of their corruption.
    corruption : callable (batch, generator) -> batch, or None
        Of standardised rows.
    ranks : OneProcess or AllRanks
        Who takes part in each batch.

    Attributes
    ----------
    n_own : int
        Of the batch that was yielded last, the rows that no other rank has.
    weight : tensor or None
        Of its loss, among those of the other ranks.

    Yields
    ------
    inputs, targets : tensors of shape (n_rows, n_features)
        Corrupted and clean rows; the same tensor where nothing is corrupted.
    """

    def __init__(self, dataset, batch_size, generator, corruption=None, ranks=ONE_PROCESS):
        self.dataset = dataset
        if isinstance(dataset, Subset):
            self.rows, index = dataset.dataset, torch.as_tensor(dataset.indices)
        else:
            self.rows, index = dataset, torch.arange(len(dataset))
        self.index = index.to(self.rows.rows.home)
        self.batch_size = batch_size
        self.generator = generator
        self.corruption = corruption
        self.ranks = ranks
        if corruption is not None:
            self.seed = int(torch.randint(2**31, (), generator=generator)) + ranks.number
            self.noise = torch.Generator(self.rows.device).manual_seed(self.seed)

    def __len__(self):
        return len(self.cut(self.index))

    def cut(self, index):
        """Return the indices of each batch.

        A single row that is left over goes with the batch before: batch normalisation, which
        custom networks may have, cannot train on one.
        """
        batches = index.split(self.batch_size)
        if self.batch_size > 1 and len(batches) > 1 and len(batches[-1]) == 1:
            batches = *batches[:-2], torch.cat(batches[-2:])
        return batches

    def __iter__(self):
        order = torch.randperm(len(self.index), generator=self.generator)
        batches = self.cut(self.index[order.to(self.index.device)])
        taken = map(self.ranks.taken, batches)
        for batch, targets in zip(batches, self.rows.read_ahead(taken), strict=True):
            self.n_own, self.weight = self.ranks.n_own(len(batch)), self.ranks.weight(len(batch))
            yield targets if self.corruption is None else self.partly_corrupted(targets), targets

    def partly_corrupted(self, rows):
        """Return a copy of rows of which all but the first few are corrupted."""
        clean, rest = rows.tensor_split([len(rows) // CLEAN_ROWS])
        return torch.cat([clean, self.corruption(rest, self.noise)])


class FixedBatches(Batches):
    """Batches in the order of X, with one corruption for all passes, so that they compare.

    A rank has its share of the rows in all of them.
    What is corrupted is kept if it has at most `MAX_KEPT_ENTRIES`, else drawn again from its seed.
    """

    def __init__(self, *args, **kwargs):
        super().__init__(*args, **kwargs)
        self.index = self.ranks.share(self.index)
        self.kept = None
        n_entries = len(self.index) * self.rows.rows.shape[1]
        if self.corruption is not None and n_entries <= MAX_KEPT_ENTRIES:
            self.kept = [inputs for inputs, _ in self]

    def __iter__(self):
        if self.corruption is not None:
            self.noise.manual_seed(self.seed)
        batches = self.cut(self.index) if len(self.index) else ()
        for i, targets in enumerate(self.rows.read_ahead(batches)):
            if self.corruption is None:
                yield targets, targets
            elif self.kept is None:
                yield self.corruption(targets, self.noise), targets
            else:
                yield self.kept[i], targets


class KeptEpoch:
    """The weights to end with: those of the best epoch on the validation rows, or the last.

    Parameters
    ----------
    module : torch.nn.Module
        In the state before training.
    start_epoch : int
        The epoch of an earlier training that this is the state of; 0 for none.
    start_losses : ndarray of shape (n_validation_rows,) or None
        The loss of each validation row at the start, to which training returns if no later
        epoch is clearly better; None where the start is no candidate.
    """

    def __init__(self, module, start_epoch, start_losses=None):
        self.module = module
        self.start_epoch = self.epoch = start_epoch
        self.start_losses = start_losses
        self.start = self.weights = copy.deepcopy(module.state_dict())
        self.losses, self.loss = None, math.inf

    def update(self, epoch, losses):
        """Take the module's weights if they are the best so far; return the gain in loss.

        Without `losses` of the validation rows every epoch is better than the one before.
        """
        loss = self.loss if losses is None else losses.mean()
        gain = math.inf if losses is None else self.loss - loss
        if gain > 0:
            self.weights = copy.deepcopy(self.module.state_dict())
            self.epoch, self.losses, self.loss = epoch, losses, loss
        return gain

    def restore(self):
        """Put the chosen weights into the module and return their epoch."""
        if self.start_losses is not None and not (
            self.losses is not None and clearly_lower(self.losses, self.start_losses)
        ):
            self.epoch, self.weights = self.start_epoch, self.start
        self.module.load_state_dict(self.weights)
        return self.epoch


def clearly_lower(losses, others):
    """Tell whether `losses` are lower than `others`, row by row, beyond chance.

    Parameters
    ----------
    losses, others : ndarray of shape (n_rows,)

    Returns
    -------
    bool
        The outcome of a paired one-sided t-test at the level `SIGNIFICANCE`.
    """
    gain = others - losses
    if len(gain) < 2:
        return False
    error = gain.std(ddof=1) / math.sqrt(len(gain))
    return bool(gain.mean() > stats.t.isf(SIGNIFICANCE, len(gain) - 1) * error)


class EpochTasks(Callback):
    """Tells scikit-learn's callbacks of each epoch, and stops if one of them asks to.

    Parameters
    ----------
    estimator : estimator
    context : sklearn.callback.CallbackContext
        Of the estimator's fit.
    X, y : object
        What the estimator is fitted to, handed to the callbacks.
    """

    def __init__(self, estimator, context, X, y):
        self.estimator = estimator
        self.context = context
        self.data = {"X": X, "y": y}

    def on_epoch_begin(self, net, **kwargs):
        """Open the task of this epoch."""
        self.task = self.context.subcontext(task_name="epoch")
        self.task.call_on_fit_task_begin(estimator=self.estimator, **self.data)

    def on_epoch_end(self, net, **kwargs):
        """Close it."""
        net.stop_ |= self.task.call_on_fit_task_end(
            estimator=self.estimator,
            **self.data,
            reconstruction_attributes=lambda: {"net_": net.snapshot()},
        )


class EpochBar(Callback):
    """A progress bar over the epochs."""

    def on_train_begin(self, net, **kwargs):
        """Draw the empty bar."""
        from tqdm import tqdm  # comes with skorch

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


class AutoencoderNet(NeuralNet):
    """A skorch net that trains on rows in memory at the speed of a hand-written loop.

    What differs from `skorch.NeuralNet`: the losses of a pass are summed on the device and
    brought to the host once; batch hooks are called only where a callback has them; the
    weights to end with are chosen and kept in memory; Ctrl-C is not swallowed.

    Parameters
    ----------
    schedule : {"one_cycle", "cosine", "constant"}
        Of the learning rate, over the steps of all epochs.
    keep_start : bool
        Whether the weights before the first epoch are a candidate to end with.
    n_iter_no_change : int
        Stop after this many epochs whose validation loss is not `tol` below the best.
    tol : float
        In units of the loss of standardised rows.
    precision : {"float32", "bfloat16"}
        Of the products and convolutions of training steps. Losses of held-out rows are always
        computed in float32, so that epochs compare with the start.
    **kwargs
        Those of `NeuralNet`.

    Attributes
    ----------
    best_epoch_ : int
        Whose weights the module has, counted as in `history`; 0 for none.
    start_loss_ : float or None
        Mean loss of the validation rows before the first epoch.
    """

    best_epoch_, start_loss_ = 0, None  # before training

    def __init__(
        self,
        *args,
        schedule,
        keep_start,
        n_iter_no_change,
        tol,
        precision,
        iterator_train=Batches,
        iterator_valid=FixedBatches,
        **kwargs,
    ):
        self.schedule = schedule
        self.keep_start = keep_start
        self.n_iter_no_change = n_iter_no_change
        self.tol = tol
        self.precision = precision
        super().__init__(
            *args, iterator_train=iterator_train, iterator_valid=iterator_valid, **kwargs
        )

    def get_default_callbacks(self):
        """Return the callbacks that `verbose` asks for."""
        if self.verbose == 0:
            return []
        if self.verbose == 1:
            return [("epoch_bar", EpochBar())]
        return [("epoch_timer", EpochTimer()), ("print_log", PrintLog())]

    def notify(self, method_name, **cb_kwargs):
        """Call a hook of all callbacks; skorch's EarlyStopping asks to stop by an interrupt."""
        getattr(self, method_name)(self, **cb_kwargs)
        for _, callback in self.callbacks_:
            try:
                getattr(callback, method_name)(self, **cb_kwargs)
            except KeyboardInterrupt:
                if not isinstance(callback, EarlyStopping):
                    raise
                self.stop_ = True

    def partial_fit(self, X, y=None, classes=None, **fit_params):
        """Train for `max_epochs` more epochs, or until something asks to stop."""
        if not self.initialized_:
            self.initialize()
        for group in self.optimizer_.param_groups:  # of which a scheduler of torch's goes on
            group.setdefault("initial_lr", group["lr"])
        self.notify("on_train_begin", X=X, y=y)
        self.fit_loop(X, y)
        kept = copy.deepcopy(self.module_.state_dict())
        self.notify("on_train_end", X=X, y=y)
        self.module_.load_state_dict(kept)  # EarlyStopping(load_best=True) loads its own
        return self

    def fit_loop(self, X, y=None, epochs=None, **fit_params):
        """Train and end with the weights to keep."""
        epochs = self.max_epochs if epochs is None else epochs
        train, valid = self.get_split_datasets(X)
        batches = self.get_iterator(train, training=True)
        held_out = None if valid is None else self.get_iterator(valid)
        self.watched_ = self._has_batch_hooks()
        self.parameters_ = list(self.module_.parameters())
        self.rates_ = None  # the optimizer's own, or a callback's
        if self.schedule != "constant":
            self.rates_ = learning_rates(self.schedule, self.lr, epochs * len(batches))
        self.stop_ = False
        start_losses = None if valid is None else self._validation_losses(held_out)
        kept = KeptEpoch(self.module_, self.best_epoch_, start_losses if self.keep_start else None)
        self.forward_, self.weight_ = batches.ranks.forward(self.module_), None
        try:
            diverged = self._run_epochs(epochs, batches, held_out, kept)
        finally:
            del self.rates_, self.parameters_, self.forward_, self.weight_
        self.best_epoch_ = kept.restore()
        self.start_loss_ = None if valid is None else float(start_losses.mean())
        if diverged:
            self.optimizer_.state.clear()  # moments that are not finite
            warn_diverged(len(self.history), self.best_epoch_)
        return self

    def _run_epochs(self, epochs, batches, held_out, kept):
        """Run up to `epochs` epochs; return whether the last one diverged."""
        data = {"dataset_train": batches.dataset, "dataset_valid": held_out and held_out.dataset}
        ranks, n_stalled = batches.ranks, 0
        for epoch in range(len(self.history) + 1, len(self.history) + epochs + 1):
            self.notify("on_epoch_begin", **data)
            last_batch = self._training_pass(batches)
            losses = None if held_out is None else self._validation_pass(held_out)
            after = self._row_losses([last_batch], len(last_batch[0]))
            diverged = ranks.any(not self._is_finite(after, losses))
            if not diverged:
                n_stalled = 0 if kept.update(epoch, losses) > self.tol else n_stalled + 1
            self.notify("on_epoch_end", **data)
            if diverged or ranks.any(self.stop_) or n_stalled >= self.n_iter_no_change:
                return diverged
        return False

    def _training_pass(self, batches):
        self._set_training(True)
        # summed in place: what a step leaves behind would keep the allocator from reusing the rest
        total = torch.zeros((), device=self.device)
        for batch in batches:
            self.weight_ = batches.weight
            loss = self._watched(self.train_step, batch, "train").detach()
            if batches.n_own:
                total.add_(loss, alpha=batches.n_own)
        total = batches.ranks.summed(total)
        batches.ranks.share_buffers(self.module_)
        self._record("train", float(total) / len(batches.index), len(batches.index))
        return batch

    def _validation_pass(self, batches):
        if self.watched_:
            self._set_training(False)
            for batch in batches:
                self._watched(self.validation_step, batch, "valid")
        losses = self._validation_losses(batches)
        self._record("valid", float(losses.mean()), len(losses))
        return losses

    def _validation_losses(self, batches):
        """Return the losses of all held-out rows, of which each rank computes its share."""
        losses = self._row_losses(batches, len(batches.index))
        return batches.ranks.gathered(losses)

    def _watched(self, step_fn, batch, prefix):
        """Make a step and return its loss, with skorch's batch hooks where one listens."""
        if not self.watched_:
            return step_fn(batch)["loss"]
        training = prefix == "train"
        self.notify("on_batch_begin", batch=batch, training=training)
        step = step_fn(batch)
        self._record_batch(prefix, step["loss"].item(), len(batch[0]))
        self.notify("on_batch_end", batch=batch, training=training, **step)
        return step["loss"]

    def train_step(self, batch, **fit_params):
        """Make one optimizer step at the rate of the schedule; return loss and output."""
        step = {}

        def closure():
            for parameter in self.parameters_:  # what optimizer.zero_grad() does, at a tenth
                parameter.grad = None
            with self._autocast():
                output = self.forward_(batch[0])
            loss = self.criterion_(output.float(), batch[1])
            loss.backward(self.weight_)
            step.setdefault("loss", loss)
            step.setdefault("y_pred", output)
            if self.watched_:
                named_parameters = list(self.get_all_learnable_params())
                self.notify(
                    "on_grad_computed",
                    named_parameters=named_parameters,
                    batch=batch,
                    training=True,
                )
            return loss

        if self.rates_ is not None:
            rate = next(self.rates_)
            for group in self.optimizer_.param_groups:
                group["lr"] = rate
        self.optimizer_.step(closure)
        return step

    def _autocast(self):
        """Return the context of the forward pass of a training step."""
        if self.precision == "float32":
            return nullcontext()
        return torch.autocast(torch.device(self.device).type, torch.bfloat16)

    @torch.no_grad()
    def _row_losses(self, batches, n_rows):
        """Return the loss of each of n_rows rows, in order, as a float64 array."""
        self._set_training(False)
        losses = torch.empty(n_rows, device=self.device)
        n_done = 0
        for inputs, targets in batches:
            part = losses[n_done : n_done + len(targets)]
            part.copy_(self.criterion_.rows(self.module_(inputs), targets))
            n_done += len(targets)
        return losses.double().cpu().numpy()

    def losses(self, name):
        """Return "train_loss" or "valid_loss" of the epochs that have it."""
        return [row[name] for row in self.history.to_list() if name in row]

    def checkpoint(self):
        """Return what training changes, for `restore`."""
        return {
            "attributes": dict(vars(self)),
            "weights": copy.deepcopy(self.module_.state_dict()),
            "optimizer": copy.deepcopy(self.optimizer_.state_dict()),
            "generator": self.iterator_train__generator.get_state(),
            "n_epochs": len(self.history),
        }

    def restore(self, checkpoint):
        """Be again as when the checkpoint was made."""
        vars(self).clear()
        vars(self).update(checkpoint["attributes"])
        self.module_.load_state_dict(checkpoint["weights"])
        self.module_.eval()
        self.optimizer_.load_state_dict(checkpoint["optimizer"])
        self.iterator_train__generator.set_state(checkpoint["generator"])
        del self.history[checkpoint["n_epochs"] :]

    def snapshot(self):
        """Return a net for inference that keeps the weights of now."""
        net = object.__new__(type(self))
        vars(net).update(vars(self), module_=copy.deepcopy(self.module_))
        return net

    def _record(self, prefix, loss, n_rows):
        """Write the loss of a pass into the history, as skorch's callbacks look for it."""
        name = f"{prefix}_loss"
        self.history.record(f"{name}_best", loss < min(self.losses(name), default=math.inf))
        self.history.record(name, loss)
        if not self.watched_:  # a pass stands for one batch
            self.history.new_batch()
            self._record_batch(prefix, loss, n_rows)

    def _record_batch(self, prefix, loss, n_rows):
        self.history.record_batch(f"{prefix}_loss", loss)
        self.history.record_batch(f"{prefix}_batch_size", n_rows)

    def _is_finite(self, *losses):
        """Tell whether an epoch was: its mean training loss and the losses after it."""
        return math.isfinite(self.history[-1]["train_loss"]) and all(
            np.isfinite(values).all() for values in losses if values is not None
        )

    def _has_batch_hooks(self):
        return any(
            getattr(type(callback), hook) is not getattr(Callback, hook)
            for _, callback in self.callbacks_
            for hook in BATCH_HOOKS
        )


def learning_rates(schedule, peak, n_steps):
    """Return an iterator over the learning rate of each step.

    Many are computed at once, because a step of torch's schedulers costs a tenth of one of a
    small network's.

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

    def rates_from(first):
        steps = np.arange(first, min(first + STEPS_AT_ONCE, n_steps))
        progress = (steps + 0.5) / n_steps
        falling = (1 + np.cos(np.pi * (progress - rise) / (1 - rise))) / 2
        if rise:
            rising = 1 / 25 + (1 - 1 / 25) * (1 - np.cos(np.pi * progress / rise)) / 2
            falling = np.where(progress < rise, rising, falling)
        return (peak * falling).tolist()

    return chain.from_iterable(map(rates_from, range(0, n_steps, STEPS_AT_ONCE)))


def warn_diverged(epoch, kept_epoch):
    """Warn that the loss of an epoch is not finite."""
    kept = f"of epoch {kept_epoch}" if kept_epoch else "from before training"
    warnings.warn(
        f"The loss stopped being finite in epoch {epoch}; the weights {kept} are kept. "
        "Try a lower learning_rate, or scale X, e.g. with StandardScaler.",
        ConvergenceWarning,
        stacklevel=2,
    )
