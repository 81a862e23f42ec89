"""Ridge regression, and the last layer of a decoder's correction, which is one.

Of the nonlinear part g of a dense decoder the hidden layers keep their weights, which are random
at the start and learnt after training. The last layer is the ridge regression of what the linear
path leaves, u - V z, on the hidden units. The decoder of an ordered code has several last layers,
each for one code size, all of the same hidden units and of the code.
"""

import math
import operator
from functools import cached_property, reduce
from typing import NamedTuple

import numpy as np
import torch

# Candidates, in units of the mean variance of a hidden unit: what one row adds to its sum.
PENALTIES = np.logspace(-3, 6, 19)

MAX_ROWS = 100_000  # for the regression, spread evenly over X
PART_ROWS = 4096  # in memory at once


class Sums(NamedTuple):
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
        # Centring subtracts large sums from each other, for which float32 has too few digits.
        hidden, residual = hidden.cpu().double(), residual.cpu().double()
        products, targets, squares = hidden.T @ hidden, hidden.T @ residual, residual.square().sum()
        return cls(len(hidden), hidden.sum(0), residual.sum(0), products, targets, squares)

    def __add__(self, other):
        return Sums._make(map(operator.add, self, other))

    def subtract(self, hidden, residual):
        """Return the sums of the same rows after hidden units and residuals were subtracted."""
        # The products of differences follow from the sums: the rows need not be read again.
        n, rest = self.n_rows, self.residual - self.n_rows * residual
        change = torch.outer(self.hidden, hidden)  # (n_hidden, n_hidden)
        products = self.products - change - change.T + n * torch.outer(hidden, hidden)
        targets = self.targets - torch.outer(self.hidden, residual) - torch.outer(hidden, rest)
        squares = self.squares - residual @ (self.residual + rest)
        return Sums(n, self.hidden - n * hidden, rest, products, targets, squares)


class HiddenRidge:
    """The ridge regression of residuals on hidden units, for any penalty.

    Parameters
    ----------
    sums : Sums
    """

    def __init__(self, sums):
        self.hidden, self.residual = sums.hidden / sums.n_rows, sums.residual / sums.n_rows
        # The intercept is not penalised, so both sides are centred.
        self.sums = sums.subtract(self.hidden, self.residual)
        self.unit = float(self.sums.products.trace()) / len(self.sums.products) / sums.n_rows or 1.0

    def solve(self, penalty):
        """Return weight (n_features, n_hidden) and bias (n_features,)."""
        diagonal = torch.eye(len(self.sums.products), dtype=torch.float64)
        penalized = self.sums.products + penalty * self.unit * diagonal
        weight = torch.linalg.solve(penalized, self.sums.targets).T
        return weight, self.residual - weight @ self.hidden

    @cached_property
    def spectrum(self):
        """Variances of the principal directions of hidden units, the directions, and their targets.

        The last part is the inverse of the penalised variances, (n_penalties, n_hidden).
        """
        # One decomposition gives the errors of all penalties.
        variance, vectors = torch.linalg.eigh(self.sums.products)
        variance = variance.clamp(min=0)
        inverse = 1 / (variance + self.unit * torch.from_numpy(PENALTIES)[:, None])
        return variance, vectors, vectors.T @ self.sums.targets, inverse

    def measure_errors(self, sums):
        """Return the squared error of other rows, a sum, for each penalty."""
        _, vectors, targets, inverse = self.spectrum
        sums = sums.subtract(self.hidden, self.residual)
        # |y - W h|² = |y|² - 2 y'W h + |W h|², each a sum over rows: (n_penalties,)
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
        # As many hidden units as rows fit anything: such an error says nothing of new rows.
        return errors.where(n_free > 0.5, math.inf)


# ------------------------------------------------------------------------- of a decoder


@torch.no_grad()
def solve_model(model, pairs):
    """Return weight and bias of the layers of a single model that a correction helps.

    Penalties are those with the lowest error by generalised cross-validation.

    Parameters
    ----------
    model : Model
        In inference mode.
    pairs : iterable of (inputs, targets)
        Standardised rows to learn from, tensors of shapes (n, n_features) and (n, n_outputs).

    Returns
    -------
    solutions : dict of int to (weight, bias)
        By the index of the layer, tensors of shapes (n_outputs, n_inputs) and (n_outputs,).
    """
    sums, judged = sum_units(model, pairs), list_judged(model)
    ridges = list(map(HiddenRidge, sums))
    errors = torch.stack([ridges[i].validate() for i in judged])
    without = torch.stack([sums[i].squares / sums[i].n_rows for i in judged])
    return solve_layers(ridges, choose_penalties(errors, without, judged, len(ridges)))


@torch.no_grad()
def solve_folds(models, train, left_out):
    """Return weight and bias of the layers of each model, with the same penalties for all.

    Penalties are those with the lowest error on the rows that are left out.

    Parameters
    ----------
    models : list of Model
        Those of the folds, and that of all rows.
    train, left_out : list of (inputs, targets)
        For each model the rows to learn from, and for each but the last those that judge it.

    Returns
    -------
    list of dict of int to (weight, bias)
    """
    judged, errors, without = list_judged(models[-1]), 0.0, 0.0
    by_model = [
        list(map(HiddenRidge, sum_units(model, [pair])))
        for model, pair in zip(models, train, strict=True)
    ]
    for fold, ridges, others in zip(models[:-1], by_model[:-1], left_out, strict=True):
        sums = sum_units(fold, [others])
        errors += torch.stack([ridges[i].measure_errors(sums[i]) for i in judged])
        without += torch.stack([sums[i].squares for i in judged])
    # The network of all rows has none left out: it takes the penalties that suit the folds.
    penalties = choose_penalties(errors, without, judged, len(by_model[-1]))
    return [solve_layers(ridges, penalties) for ridges in by_model]


def list_judged(model):
    """Return the indices of the solved layers for the code sizes by which a network is judged."""
    sizes = model.architecture.solved_sizes or [None]  # None is the whole code
    return [i for i, size in enumerate(sizes) if size in model.code.sizes]


def choose_penalties(errors, without, judged, n_layers):
    """Return the penalty with the lowest error for each layer, infinity for no correction.

    A layer for a size in between has the penalty of the next size that is judged.

    Parameters
    ----------
    errors : tensor of shape (n_judged, n_penalties)
        Of rows that are left out.
    without : tensor of shape (n_judged,)
        The same without a correction.
    judged : list of int
        The indices of the layers that are judged.
    n_layers : int
    """
    lowest, best = errors.min(dim=1)
    chosen = np.where((lowest < without).numpy(), PENALTIES[best.numpy()], math.inf)
    # Layers behind the last one that is judged are for sizes from which the code was cut.
    return np.append(chosen, math.inf)[np.searchsorted(judged, range(n_layers))]


def solve_layers(ridges, penalties):
    """Return weight and bias, by the index of the layer, where the penalty is finite."""
    pairs = enumerate(zip(ridges, penalties, strict=True))
    return {i: ridge.solve(penalty) for i, (ridge, penalty) in pairs if penalty < math.inf}


def sum_units(model, pairs):
    """Return the `Sums` that the regression of each layer needs.

    Its inputs are hidden units, its targets what the linear path leaves of the rows.
    """
    parts = []
    for inputs, targets in pairs:
        units = model.decoder.read_units(model.encoder(inputs))
        parts.append([Sums.of_rows(hidden, targets - linear) for hidden, linear in units])
    return [reduce(operator.add, of_layer) for of_layer in zip(*parts, strict=True)]


@torch.no_grad()
def set_solutions(decoder, solutions):
    """Set the solved layers of a decoder; return whether any is solved."""
    for number, (weight, bias) in solutions.items():
        like = decoder.solved_layer.weight
        decoder.set_solution(number, weight.to(like), bias.to(like))
    return bool(solutions)
