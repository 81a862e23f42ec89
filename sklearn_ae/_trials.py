"""Who is trained, who judges, and which weights are kept.

A trial has the batches of a training, judges the start and every epoch by rows that are new to the
network, proposes the last layer in closed form, and decides which weights stay.

- `Trial` judges nothing: the last epoch is kept.
- `HoldOut` judges one network by rows that are held out.
- `CrossFit` trains a network for each fold, which its other rows judge, and beside them the network
  of all rows, which is kept.
"""

import copy
import math

import numpy as np
import torch

from ._batches import (
    PART_ROWS,
    Batches,
    FixedBatches,
    FoldBatches,
    LeftOutBatches,
    compute_variance,
)
from ._extrapolation import set_boxes
from ._isolation import draw_generator, draw_torch_seed
from ._losses import make_objective
from ._ridge import MAX_ROWS, set_solutions, solve_folds, solve_model
from ._ridge import PART_ROWS as RIDGE_ROWS
from ._split import are_clearly_lower, have_risen, make_split
from ._stacked import Networks
from ._start import start_folds

MAX_MEASURED_ROWS = 10_000  # spread evenly over X, where no rows are held out

RISE_PENALTY = 1e6  # puts epochs whose loss rises at some code size behind all others

# Optimizers that treat every weight by itself: networks in one tensor train as each would alone.
ELEMENTWISE = torch.optim.Adam, torch.optim.AdamW, torch.optim.SGD


class Trial:
    """One network that is trained on all rows and judged by none: the last epoch is kept.

    Parameters
    ----------
    model : Model
        In the state before training, on the device of the plan.
    task : Reconstruct
    plan : Plan
    generator : torch.Generator
        On the CPU, for the order of the rows and all that is drawn in training.
    ranks : OneProcess or AllRanks
    ridge_generator : torch.Generator, default=None
        For the corruption of rows to which the last layer is fitted.
    start_epoch : int, default=0
        The epoch of an earlier training that left the weights of the model; 0 for none.
    sums : dict, default=None
        Over the rows of earlier chunks; None if there were none.

    Attributes
    ----------
    models : list of Model
        The networks that judge, and last the one that is kept.
    network : torch.nn.Module
        What is trained: the model, or all of them as one.
    batches : Batches
        Of the rows to train on.
    held_out : FixedBatches, LeftOutBatches or None
        Of the rows that judge.
    objective : ReconstructionLoss or NegativeBound
    seed : int or None
        Of torch's global generators, for what networks draw in training; None if they do not.
    has_correction : bool
        Whether the start has the last layer in closed form.
    start_loss : float or None
        Mean loss of the rows that judge, before training.
    best_epoch : int
        Epoch of the weights that are kept; 0 is the start.
    solved_loss : float or None
        Mean loss after the last layer was solved, if these weights are kept.
    interrupt : KeyboardInterrupt or None
        What has ended the training.
    """

    held_out = start_losses = linear_losses = start_loss = solved_loss = interrupt = None
    has_correction = False
    keeps_folds = False  # whether networks that judge are still needed after training

    def __init__(
        self,
        model,
        task,
        plan,
        generator,
        ranks,
        ridge_generator=None,
        start_epoch=0,
        sums=None,
    ):
        self.model = self.network = model
        self.models = [model]
        self.task, self.plan = task, plan
        self.generator, self.ridge_generator = generator, ridge_generator
        # in the units of the rows that the decoder returns
        self.objective = make_objective(plan, model.units, task.has_holes).to(plan.device)
        self.seed = None
        if model.code.draws or model.architecture.is_custom:
            self.seed = draw_torch_seed(generator) + ranks.number
        self.batches = self._make_batches(ranks)
        # folds are trained by every rank alone
        self.all_ranks, self.ranks = ranks, self.batches.ranks
        self.start_epoch = self.best_epoch = start_epoch
        self.sums = sums or {}
        # of the best epoch: losses of rows, their mean with a penalty, and the lowest mean
        self.losses, self.loss, self.lowest = None, math.inf, math.inf

    def _make_batches(self, ranks):
        """Return the batches to train on."""
        return Batches(self.task, None, self.plan.batch_size, self.generator, ranks)

    # ---------------------------------------------------------------------------- judging

    def judge(self):
        """Return the losses of the rows that judge, for the present weights.

        The noise of a likelihood becomes that of these rows.

        Returns
        -------
        losses : ndarray of shape (n_sizes, n_rows), float64, or None
            By code sizes: the whole code, or those by which an ordered one is judged. None if no
            rows judge.
        """
        if self.held_out is None:
            return None
        return self._judge_with_noise(self.held_out, self.network)

    def _judge_with_noise(self, batches, network, add_up=lambda name, sums: sums):  # noqa: ARG005
        """Return the losses of all rows of batches, with the noise that suits them.

        What `add_up` adds to sums over these rows is of others, which the noise suits, too.
        """
        losses = []
        for measures in self._arrange_measures(batches, network):
            log_noise, measures = self.objective.fit_noise(measures, add_up)
            # a single network of several is judged for itself, and its noise is that of the folds
            for model in self.models if network is self.network else ():
                model.code.set_noise(log_noise)
            losses.append(self.objective.combine(measures))
        return np.stack(losses)

    def _judge_start(self):
        """Return the losses of the rows that judge, with the noise of the start."""
        measures = self._arrange_measures(self.held_out, self.network)
        return np.stack(list(map(self.objective.combine, measures)))

    def _arrange_measures(self, batches, network):
        """Yield what the loss needs of all rows, (n_measures, n_rows), by code sizes.

        Each rank computes its share of the rows.
        """
        for measures in self.measure_rows(batches, network):
            yield np.stack(list(map(batches.arrange, measures)))

    @torch.no_grad()
    def measure_rows(self, batches, network):
        """Return what the loss needs of each row of batches, float64.

        Returns
        -------
        measures : ndarray of shape (n_sizes, n_measures, n_rows)
            For several networks of shape (n_sizes, n_measures, n_networks, n_rows).
        """
        network.eval()
        sizes, measures = self.model.code.sizes, []
        for batch in batches:
            outputs = network.compute_outputs(batch.inputs, sizes)
            of_batch = [self.objective.measure_rows(output, batch.targets) for output in outputs]
            # (n_sizes, n_measures, ..., n)
            measures.append(torch.stack(of_batch))
        # a rank may have no batch
        if not measures:
            return np.empty((len(sizes), self.objective.n_measures, 0))
        return torch.cat(measures, dim=-1).double().cpu().numpy()

    # -------------------------------------------------------------------------- the start

    def name_start(self):
        """Return how the weights of the start were found, as the parameter `init` names it."""
        if self.has_correction:
            return "auto"
        return "linear" if self.plan.architecture.has_linear_path else "random"

    def begin(self):
        """Judge the start, with its last layer in closed form if the plan proposes that."""
        self.has_correction = self.plan.corrects_start and self.solve()
        if self.held_out is not None:
            if self.has_correction:
                self._judge_correction()
            else:
                self.start_losses = self.linear_losses = self._judge_start()
            self.start_loss = float(self.start_losses.mean())
        # without training the start is kept, and no copy of its weights is needed
        if not self.plan.max_epochs:
            return
        # an ordered code is measured by the networks of the folds after training
        keeps_folds = self.keeps_folds or self.model.code.is_ordered
        self.kept_models = self.models if keeps_folds else self.models[-1:]
        self.start_weights = self.weights = list(map(copy_weights, self.kept_models))
        # training learns better features without the last layer in closed form
        for model in self.models:
            model.decoder.forget_solution(self.has_correction)

    def _judge_correction(self):
        """Judge the start without and with its last layers in closed form, and keep the better."""
        decoders = [model.decoder for model in self.models]
        solved = list(map(copy_weights, decoders))
        for decoder in decoders:
            decoder.forget_solution()
        linear = list(map(copy_weights, decoders))
        self.linear_losses = self._judge_start()
        load_weights(decoders, solved)
        self.start_losses = self.judge()
        if not self._is_improved(self.start_losses):
            self.has_correction = False
            self.start_losses = self.linear_losses
            load_weights(decoders, linear)

    def solve(self):
        """Solve the last layer of the decoder in closed form; return whether that helps."""
        self.network.eval()
        solutions = self.ranks.agree_on(lambda: solve_model(self.model, self._read_pairs()))
        return set_solutions(self.model.decoder, solutions)

    def _read_pairs(self):
        """Yield inputs and targets of the training rows, part by part."""
        # files are read from front to back
        index = self.batches.index.sort().values
        index = index[:: -(-len(index) // MAX_ROWS)]
        for part in index.split(RIDGE_ROWS):
            yield self.task.draw_filled(part, self.ridge_generator)

    # --------------------------------------------------------------------------- the best

    def keep(self, epoch, losses):
        """Keep the present weights if they are the best so far; return the gain in mean loss.

        Without losses every epoch counts as better than the one before. An epoch with higher
        losses than PCA at some size of an ordered code is the best only of such epochs.
        """
        loss = self.loss if losses is None else losses.mean() + self._measure_rise(losses)
        if losses is None or loss < self.loss:
            weights = list(map(copy_weights, self.kept_models))
            # at once: Ctrl-C may come in any line
            self.weights, self.best_epoch, self.losses, self.loss = weights, epoch, losses, loss
        if losses is None:
            return math.inf
        gain = self.lowest - losses.mean()
        self.lowest = min(self.lowest, losses.mean())
        return gain

    def _measure_rise(self, losses):
        """Return the penalty of losses that are higher than those of PCA at some code size."""
        is_allowed = not self.plan.keeps_start or not have_risen(losses, self.linear_losses)
        return 0.0 if is_allowed else RISE_PENALTY

    def decide(self, n_epochs, is_complete):
        """Load the weights to keep, and return fitted attributes that the code adds.

        Parameters
        ----------
        n_epochs : int
            Epochs that were run.
        is_complete : bool
            Whether the last of them had a finite loss, and nothing has interrupted the training.
        """
        if self.plan.max_epochs:
            is_solved = is_complete and self._solve_after_training(n_epochs)
            may_return = self.held_out is not None and self.plan.keeps_start
            if may_return and not self._is_better():
                self.best_epoch, self.weights = self.start_epoch, self.start_weights
            load_weights(self.kept_models, self.weights)
            if is_solved and self.best_epoch > 0:
                self.solved_loss = float(self.loss)
        found = self.model.code.finish(self)
        set_boxes(self.model, self.task, self.ranks)
        self.ranks.copy_buffers(self.model)
        return found

    def _solve_after_training(self, n_epochs):
        """Solve the last layer after the last epoch; return whether that is the best so far."""
        if self.held_out is None or not self.plan.solves_last_layer or not self.solve():
            return False
        losses = self.judge()
        self.keep(n_epochs, losses)
        return self.losses is losses

    def _is_better(self):
        """Tell whether the best epoch is clearly better than the start."""
        if self.losses is None or self.losses.mean() >= self.start_losses.mean():
            return False
        return self._is_improved(self.losses)

    def _is_improved(self, losses):
        """Tell whether losses are lower than those of PCA, beyond chance, and at no size higher."""
        is_lower = are_clearly_lower(losses, self.linear_losses, self.split.labelings)
        return is_lower and not have_risen(losses, self.linear_losses)

    # ------------------------------------------------------------------------ after training

    def fit_noise(self):
        """Set the noise of a likelihood to that of training rows, and of earlier chunks."""
        self._judge_with_noise(self._list_training_rows(), self.network, self.add_up)

    def add_up(self, name, sums):
        """Return the sums of a name over these rows and those of earlier chunks, and keep them.

        Of a code that was truncated since, what belongs to the rest is left out.
        """
        if name in self.sums:
            sums = sums + self.sums[name][tuple(map(slice, sums.shape))]
        self.sums[name] = sums
        return sums

    @torch.no_grad()
    def measure_sizes(self, sizes):
        """Return R² of the reconstruction of new rows, weighted by variance, for code sizes.

        Rows are reconstructed as they are, without corruption, as `score` does. Without rows that
        judge, they are training rows.
        """
        batches = self._list_training_rows() if self.held_out is None else self.held_out
        self.network.eval()
        parts = []
        for batch in batches:
            inputs = self.task.show(batch.inputs, batch.targets)
            outputs = self.network.compute_outputs(inputs, sizes)
            squares = [self.objective.measure_squares(output, batch.targets) for output in outputs]
            # (n_sizes, ..., n)
            parts.append(torch.stack(squares))
        rows = torch.cat(parts, dim=-1).double().cpu().numpy()
        errors = np.array([batches.arrange(row).sum() for row in rows])
        # where rows come in chunks, R² is that of all so far
        targets = self.add_up("targets", batches.sum_targets(self.objective.show_targets))
        return 1 - self.add_up("errors by size", errors) / (compute_variance(targets) or 1.0)

    def _list_training_rows(self):
        """Return batches of training rows to measure a network by, as they are."""
        index = self.batches.index[:: -(-len(self.batches.index) // MAX_MEASURED_ROWS)].cpu()
        how = self.plan.batch_size, self.generator, self.ranks
        return FixedBatches(self.task.leave_as_is(), index, *how)

    def list_folds(self):
        """Return what codes rows, and the rows that it trained on and that are new to it, by folds.

        Returns
        -------
        folds : list of (callable, ndarray of int or None, ndarray of int)
            The callable returns, for rows of X, a function that codes rows: the signature of what
            would be fitted to them. Coding returns codes (n, n_components) and residuals
            (n, n_features), float64 arrays.
        """
        return []

    def close(self):
        """Leave the model as one that needs no trial."""


class HoldOut(Trial):
    """One network, judged by rows that are held out.

    Parameters
    ----------
    split : Split
    judging : Reconstruct
        The task of the rows that judge: the same, or that of rows which the user holds out.
    model, task, plan, generator, ranks, ridge_generator
        As in `Trial`.
    """

    def __init__(self, split, judging, model, task, plan, generator, ranks, ridge_generator=None):
        self.split = split
        super().__init__(model, task, plan, generator, ranks, ridge_generator)
        rows = split.valid[0]
        self.held_out = FixedBatches(judging, rows, plan.batch_size, generator, ranks)

    def list_folds(self):
        code = make_coder(self.model, 0.0, 0.0)
        return [(lambda _: code, self.split.train[0], self.split.valid[0])]

    def _make_batches(self, ranks):
        index = self.split.train[0]
        return Batches(self.task, index, self.plan.batch_size, self.generator, ranks)


class CrossFit(Trial):
    """A network for each fold, judged by the rows of the fold, beside the network of all rows.

    Every network makes the same steps on rows of its own.

    Parameters
    ----------
    split : Split
    folds : (list of Model, tensor of shape (n_folds, n_features), tensor (n_folds, n_outputs))
        The untrained network of each fold, and the means of the rows that it trains on and of
        their targets, standardised.
    model, task, plan, generator, ranks, ridge_generator
        As in `Trial`.
    """

    def __init__(self, split, folds, model, task, plan, generator, ranks, ridge_generator=None):
        self.split = split
        super().__init__(model, task, plan, generator, ranks, ridge_generator)
        models, *offsets = folds
        self.models = [*(fold.to(plan.device) for fold in models), model]
        # the network of all rows keeps its origin: (n_networks, n_features or n_outputs)
        self.input_offsets, self.offsets = (
            torch.cat([of_folds, torch.zeros_like(of_folds[:1])]).to(plan.device)
            for of_folds in offsets
        )
        as_one = model.architecture.stacks and plan.optimizer_class in ELEMENTWISE
        self.network = Networks(self.models, self.input_offsets, self.offsets, as_one)
        self.held_out = LeftOutBatches(task.judged, generator, split.valid, self.ranks)

    def _make_batches(self, ranks):
        # every rank trains the networks of all folds by itself
        members = [*self.split.train, np.arange(len(self.task))]
        return FoldBatches(self.task, self.plan.batch_size, self.generator, members, ranks.alone)

    def solve(self):
        """Solve the last layers of all networks, with the penalties that suit the rows left out."""
        self.network.eval()
        inputs, targets = self.task.draw_filled(slice(None), self.ridge_generator)

        train, left_out = [], []
        pairs = zip(self.split.train, self.split.valid, strict=True)
        for number, (rows, others) in enumerate(pairs):
            centred = inputs - self.input_offsets[number], targets - self.offsets[number]
            train.append([u[rows] for u in centred])
            left_out.append([u[others] for u in centred])
        # each network has its rows about its own origin
        solutions = solve_folds(self.models, [*train, (inputs, targets)], left_out)
        pairs = zip(self.models, solutions, strict=True)
        return [set_solutions(model.decoder, solution) for model, solution in pairs][-1]

    def _is_better(self):
        """Tell whether the best epoch is clearly better, and so is its network of all rows.

        The losses are those of other networks: on its own training rows it must be better, too.
        """
        if not super()._is_better():
            return False
        before, after = map(self._measure_weights, (self.start_weights, self.weights))
        return after < before

    def _measure_weights(self, weights):
        """Return the mean loss of the network of all rows with some weights on these rows."""
        self.model.load_state_dict(weights[-1])
        batches = FixedBatches(self.task.judged, None, PART_ROWS, self.generator, self.ranks)
        return self._judge_with_noise(batches, self.model).mean()

    def list_folds(self):
        coders = map(make_coder, self.models, self.input_offsets, self.offsets)
        pairs = zip(coders, self.split.train, self.split.valid, strict=False)
        return [(lambda _, code=code: code, *rows) for code, *rows in pairs]

    def close(self):
        """Let the network of all rows own its weights again."""
        self.network.release()


def make_trial(model, task, plan, table, seed, random_state, training=None):
    """Return the trial of a fit, or of a chunk of rows.

    Parameters
    ----------
    model : Model
    task : Reconstruct
    plan : Plan
    table : Table
    seed : int or RandomState
        For the PCA of folds.
    random_state : RandomState
    training : Training, default=None
        That a chunk goes on from; None for a new one.
    """
    ranks = table.ranks
    if training is not None:
        earlier = training.best_epoch, training.sums
        return Trial(model, task, plan, training.generator, ranks, None, *earlier)
    split, folds = make_split(table, plan, random_state), None
    if split is not None and split.is_cross_fit:
        folds = start_folds(model, task, plan, seed, random_state, split.train)
    ridge_generator = None
    if plan.solves_last_layer and task.draws:
        ridge_generator = draw_generator(random_state, plan.device)
    generator = draw_generator(random_state)
    if split is None:
        return Trial(model, task, plan, generator, ranks, ridge_generator)
    if folds is None:
        judging = task if table.held_out is None else task.take_rows(table.held_out)
        judging = judging.judged
        return HoldOut(split, judging, model, task, plan, generator, ranks, ridge_generator)
    return CrossFit(split, folds, model, task, plan, generator, ranks, ridge_generator)


def make_coder(model, input_offset, offset):
    """Return a function that returns codes and residuals of an array of rows of X.

    Parameters
    ----------
    model : Model
    input_offset, offset : tensors of shape (n_features,) or float
        The origin of the model: see `Networks`.
    """

    @torch.no_grad()
    def code(X):
        model.eval()
        u = model.units.make_inputs(torch.from_numpy(X).to(model.get_device()))
        codes = model.compute_codes(u - input_offset)
        left = u - model.decoder(codes) - offset
        return codes.double().cpu().numpy(), model.units.scale * left.double().cpu().numpy()

    return code


def copy_weights(module):
    """Return a copy of a module's state; of tensors that are views only what they show."""
    return {
        name: value.clone() if isinstance(value, torch.Tensor) else copy.deepcopy(value)
        for name, value in module.state_dict().items()
    }


def load_weights(modules, weights):
    """Put weights into the modules of which they were copied."""
    for module, state in zip(modules, weights, strict=True):
        module.load_state_dict(state)
