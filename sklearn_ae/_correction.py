"""The last layer of the decoder's correction in closed form: a ridge regression.

Of the nonlinear part g of a dense decoder the hidden layers keep their weights, which are random
at the start and learnt after training. The last layer is the ridge regression of what the linear
path leaves, u - V z, on the hidden units. The decoder of an ordered code has several last layers,
each for one code size, all of the same hidden units and of the code.
"""

import math
import operator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property, reduce

import numpy as np
import torch

from ._evidence import CrossFit
from ._random import draw_generator

# Candidates, in units of the mean variance of a hidden unit: what one row adds to its sum.
PENALTIES = np.logspace(-3, 6, 19)

# Weights and biases of the first hidden layer are drawn from a range so many times as wide as
# otherwise: the units then bend where the codes are.
SPREAD = 2.0

MAX_ROWS = 100_000  # for the regression, spread evenly over X
PART_ROWS = 4096  # in memory at once


@dataclass(frozen=True)
class Sums:
    """What a regression needs of hidden units and residuals, float64 tensors.

    Attributes
    ----------
    n_rows : int
    hidden, residual : tensors of shapes (n_hidden,) and (n_features,)
        Sums over rows.
    products, targets : tensors of shapes (n_hidden, n_hidden) and (n_hidden, n_features)
        Of hidden units with themselves, and with residuals.
    squares : tensor of shape ()
        Of residuals.
    """

    n_rows: int
    hidden: torch.Tensor
    residual: torch.Tensor
    products: torch.Tensor
    targets: torch.Tensor
    squares: torch.Tensor

    @classmethod
    def of_rows(cls, hidden, residual):
        """Return the sums of rows: tensors of shapes (n, n_hidden) and (n, n_features)."""
        products = hidden.T @ hidden, hidden.T @ residual
        return cls(len(hidden), hidden.sum(0), residual.sum(0), *products, residual.square().sum())

    def __add__(self, other):
        pairs = zip(vars(self).values(), vars(other).values(), strict=True)
        return Sums(*(a + b for a, b in pairs))

    def subtract(self, hidden, residual):
        """Return the sums of the same rows after hidden units and residuals were subtracted."""
        n, outer = self.n_rows, torch.outer
        change = outer(self.hidden, hidden)
        rest = self.residual - n * residual
        return Sums(
            n_rows=n,
            hidden=self.hidden - n * hidden,
            residual=rest,
            products=self.products - change - change.T + n * outer(hidden, hidden),
            targets=self.targets - outer(self.hidden, residual) - outer(hidden, rest),
            squares=self.squares - residual @ (self.residual + rest),
        )


class HiddenRidge:
    """The ridge regression of residuals on hidden units, for any penalty.

    Parameters
    ----------
    sums : Sums
    """

    def __init__(self, sums):
        self.means = sums.hidden / sums.n_rows, sums.residual / sums.n_rows
        self.sums = sums.subtract(*self.means)
        self.unit = float(self.sums.products.trace()) / len(self.sums.products) / sums.n_rows or 1.0

    def solve(self, penalty):
        """Return weight (n_features, n_hidden) and bias (n_features,)."""
        diagonal = torch.eye(len(self.sums.products), dtype=torch.float64)
        penalized = self.sums.products + penalty * self.unit * diagonal
        weight = torch.linalg.solve(penalized, self.sums.targets).T
        hidden, residual = self.means
        return weight, residual - weight @ hidden

    @cached_property
    def spectrum(self):
        """The variances of the principal directions of hidden units, these, and their targets.

        The last one is the inverse of the variances with each penalty.
        """
        variance, vectors = torch.linalg.eigh(self.sums.products)
        variance = variance.clamp(min=0)
        inverse = 1 / (variance + self.unit * torch.from_numpy(PENALTIES)[:, None])
        return variance, vectors, vectors.T @ self.sums.targets, inverse

    def measure_errors(self, sums):
        """Return the squared error of other rows, a sum, for each penalty."""
        _, vectors, targets, inverse = self.spectrum
        sums = sums.subtract(*self.means)
        products = (vectors.T @ sums.products @ vectors) * (targets @ targets.T)
        gains = inverse @ (targets * (vectors.T @ sums.targets)).sum(1)
        return sums.squares - 2 * gains + ((inverse @ products) * inverse).sum(1)

    def validate(self):
        """Return the generalised cross-validation error [1]_, a mean, for each penalty.

        References
        ----------
        .. [1] Golub, Heath and Wahba, "Generalized cross-validation as a method for choosing a
           good ridge parameter", Technometrics 21, 1979.
        """
        variance, _, targets, inverse = self.spectrum
        n_rows, explained = self.sums.n_rows, targets.square().sum(1)
        left = self.sums.squares - (inverse * (2 - variance * inverse)) @ explained
        n_free = n_rows - 1 - (variance * inverse).sum(1)
        errors = left.clamp(min=0) * n_rows / n_free.square()
        return errors.where(n_free > 0.5, math.inf)  # as many units as rows fit anything


def get_last_layer(network):
    """Return the last layer of the correction of a network's decoder, which is linear."""
    return network.decoder[1].correction[-1]


def get_solved_layers(network):
    """Return what is solved: the last layer, or the `SolvedLayers` of an ordered code."""
    return getattr(network.decoder[1], "solved", network.decoder[1].correction[-1])


@torch.no_grad()
def spread_hidden_units(model, random_state):
    """Draw the first hidden layer of the correction from a wider range."""
    first = model.decoder[1].correction[0]
    first.weight.mul_(SPREAD)
    first.bias.uniform_(-SPREAD, SPREAD, generator=draw_generator(random_state))


@torch.no_grad()
def solve_last_layer(model, data, corrupt, split, ranks):
    """Solve the last layer of the correction of a model, and of the models of its folds.

    All other weights stay: random ones at the start, learnt ones after training. For an ordered
    code a layer is solved for each of several sizes.

    The penalty is that with the lowest error on rows that are left out: those of the folds, or
    by generalised cross-validation. No correction is a candidate.

    Parameters
    ----------
    model : Model
    data : StandardizedRows
    corrupt : callable or None
        Returns a corrupted copy of an array of standardised rows.
    split : HoldOut, CrossFit or None
    ranks : OneProcess or AllRanks

    Returns
    -------
    is_solved : bool
        False if no correction has the lowest error; the layers are then left as they are.
    """
    if isinstance(split, CrossFit):  # every rank needs the networks of the folds
        return solve_folds(model, data, corrupt, split)
    solutions = ranks.agree_on(lambda: solve_model(model, data, corrupt, split))
    return set_solutions(model, solutions)


@torch.no_grad()
def solve_model(model, data, corrupt, split):
    """Return weight and bias of each layer of a single model, or None for no correction."""
    index = torch.arange(len(data)) if split is None else torch.from_numpy(split.get_train(data))
    index = index.sort().values  # files are read from front to back
    parts = index[:: -(-len(index) // MAX_ROWS)].to(data.rows.home).split(PART_ROWS)
    sums = sum_units(model, (pair_rows(model, data, part, corrupt) for part in parts))
    ridges, judged = list(map(HiddenRidge, sums)), list_judged(model)
    errors = torch.stack([ridges[i].validate() for i in judged])
    without = torch.stack([sums[i].squares / sums[i].n_rows for i in judged])
    return solve_all(ridges, choose_penalties(model, errors, without))


def solve_folds(model, data, corrupt, split):
    """Solve the layers of all folds, and of all rows, with common penalties."""
    pair = pair_rows(model, data, slice(None), corrupt)
    found, judged, errors, without = [], list_judged(model), 0.0, 0.0
    offsets = split.offsets.to(pair[0]), split.input_offsets.to(pair[0])
    for fold, *of_fold, rows, others in zip(
        split.models, *offsets, split.train, split.valid, strict=True
    ):
        centred = [u - offset for u, offset in zip(pair, of_fold, strict=True)]
        train, left_out = (sum_units(fold, [[u[part] for u in centred]]) for part in (rows, others))
        ridges = list(map(HiddenRidge, train))
        errors += torch.stack([ridges[i].measure_errors(left_out[i]) for i in judged])
        without += torch.stack([left_out[i].squares for i in judged])
        found.append(ridges)
    found.append(list(map(HiddenRidge, sum_units(model, [pair]))))
    penalties = choose_penalties(model, errors, without)
    for network, ridges in zip([*split.models, model], found, strict=True):
        is_solved = set_solutions(network, solve_all(ridges, penalties))
    return is_solved


def list_judged(model):
    """Return the numbers of the layers for the sizes by which a network is judged."""
    solved, judged = model.architecture.solved_sizes, model.architecture.list_sizes()
    return [i for i, size in enumerate(solved) if size in judged] if solved else [0]


def choose_penalties(model, errors, without):
    """Return the penalty with the lowest error for each layer, or None for no correction.

    A layer for a size in between has the penalty of the next size that is judged.

    Parameters
    ----------
    model : Model
    errors : tensor of shape (n_judged, n_penalties)
        Of rows that are left out.
    without : tensor of shape (n_judged,)
        The same without a correction.
    """
    lowest, best = errors.min(dim=1)
    chosen = [
        PENALTIES[i] if helps else None for i, helps in zip(best, lowest < without, strict=True)
    ]
    chosen.append(None)  # for the sizes from which the code was cut
    n_layers = max(1, len(model.architecture.solved_sizes))
    return [chosen[i] for i in np.searchsorted(list_judged(model), range(n_layers))]


def solve_all(ridges, penalties):
    """Return weight and bias of each regression, or None where there is no penalty."""
    pairs = zip(ridges, penalties, strict=True)
    return [None if penalty is None else ridge.solve(penalty) for ridge, penalty in pairs]


def pair_rows(model, data, index, corrupt):
    """Return the targets of a dataset at an index, and what the network sees of these rows.

    Both are standardised, and where the weights of the network are.
    """
    u = data[index].as_subclass(torch.Tensor).to(model.encoder[0].linear.weight.device)
    inputs, targets = data.split(model.fill_missing(u))
    if corrupt is not None:
        inputs = torch.from_numpy(corrupt(inputs.cpu().numpy())).to(u)
    return targets, inputs


def sum_units(model, pairs):
    """Return the sums that the regression of each layer needs.

    Parameters
    ----------
    model : Model
    pairs : iterable of (targets, inputs)
        Tensors of standardised rows.

    Returns
    -------
    list of Sums
    """
    of_pairs = [[Sums.of_rows(*units) for units in read_units(model, *pair)] for pair in pairs]
    return [reduce(operator.add, parts) for parts in zip(*of_pairs, strict=True)]


def read_units(model, targets, inputs):
    """Yield, for each layer, hidden units of standardised rows, and what the linear path leaves.

    Parameters
    ----------
    model : Model
    targets, inputs : tensors of shape (n_rows, n_features)

    Yields
    ------
    hidden, residual : tensors of shapes (n_rows, n_hidden) and (n_rows, n_features), float64
    """
    enter, decoder = model.decoder
    codes = model.encoder(inputs)
    for size in model.architecture.solved_sizes or [None]:
        entered = enter(codes[:, :size])
        hidden, residual = decoder.correction[:-1](entered), targets - decoder.linear(entered)
        if size is not None:
            hidden = torch.cat([hidden, entered], dim=-1)  # V, too, is not the best for each size
        yield hidden.cpu().double(), residual.cpu().double()


def set_solutions(model, solutions):
    """Set the solved layers of a model; return whether any is solved.

    Parameters
    ----------
    model : Model
    solutions : list of (weight, bias) or None
        Tensors of shapes (n_features, n_hidden) and (n_features,), one pair for each layer.
    """
    layers, last = get_solved_layers(model), get_last_layer(model)
    for number, solution in enumerate(solutions):
        if solution is None:
            continue
        weight, bias = (values.to(last.weight) for values in solution)
        if layers is last:
            last.weight.copy_(weight)
            last.bias.copy_(bias)
        else:
            layers.weight[number] = weight
            layers.weight[number][:, : last.in_features] -= last.weight
            layers.bias[number] = bias - last.bias
    return any(solution is not None for solution in solutions)


@contextmanager
def remove_for_now(layers):
    """Set the weights and biases of layers to zero in the block."""
    kept = [(layer.weight.detach().clone(), layer.bias.detach().clone()) for layer in layers]
    set_to_zero(layers)
    try:
        yield
    finally:
        with torch.no_grad():
            for layer, (weight, bias) in zip(layers, kept, strict=True):
                layer.weight.copy_(weight)
                layer.bias.copy_(bias)


@torch.no_grad()
def set_to_zero(layers):
    """Set the weights and biases of layers to zero."""
    for layer in layers:
        layer.weight.zero_()
        layer.bias.zero_()
