"""The last layer of the decoder's correction in closed form: a ridge regression.

Of the nonlinear part g of a dense decoder the hidden layers keep their weights, which are random
at the start and learnt after training. The last layer is the ridge regression of what the linear
path leaves, u - V z, on the hidden units.
"""

from contextlib import contextmanager

import numpy as np
import torch
from scipy.linalg import eigh

from ._evidence import CrossFit
from ._random import draw_generator

# Candidates, in units of the mean variance of a hidden unit: what one row adds to its sum.
PENALTIES = np.logspace(-3, 6, 19)

# Weights and biases of the first hidden layer are drawn from a range so many times as wide as
# otherwise: the units then bend where the codes are.
SPREAD = 2.0

MAX_ROWS = 100_000  # for the regression, spread evenly over X
PART_ROWS = 4096  # in memory at once


class HiddenRidge:
    """The ridge regression of residuals on hidden units, for any penalty.

    Parameters
    ----------
    parts : iterable of (hidden, residual)
        Arrays of shapes (n, n_hidden) and (n, n_features), float64.
    """

    def __init__(self, parts):
        n_rows, sums = 0, [0.0] * 5
        for hidden, residual in parts:
            n_rows += len(hidden)
            found = hidden.sum(0), residual.sum(0), hidden.T @ hidden, hidden.T @ residual
            sums = [s + x for s, x in zip(sums, [*found, np.square(residual).sum()], strict=True)]
        hidden_sum, residual_sum, products, targets, self.total = sums
        self.n_rows = n_rows
        self.hidden_mean, self.residual_mean = hidden_sum / n_rows, residual_sum / n_rows
        products = products - np.outer(hidden_sum, self.hidden_mean)
        targets = targets - np.outer(hidden_sum, self.residual_mean)
        variance, self.vectors = eigh(products, overwrite_a=True, driver="evd")
        self.variance = np.maximum(variance, 0)
        self.unit = self.variance.mean() / n_rows or 1.0
        self.targets = self.vectors.T @ targets

    def solve(self, penalty):
        """Return weight (n_features, n_hidden) and bias (n_features,)."""
        shrunk = self.targets / (self.variance + penalty * self.unit)[:, None]
        weight = (self.vectors @ shrunk).T
        return weight, self.residual_mean - weight @ self.hidden_mean

    def measure_errors(self, hidden, residual):
        """Return the squared error of other rows, a sum, for each penalty."""
        scores = (hidden - self.hidden_mean) @ self.vectors
        rest = residual - self.residual_mean
        return np.array(
            [
                np.square(rest - (scores / (self.variance + p * self.unit)) @ self.targets).sum()
                for p in PENALTIES
            ]
        )

    def validate(self):
        """Return the generalised cross-validation error [1]_, a mean, for each penalty.

        References
        ----------
        .. [1] Golub, Heath and Wahba, "Generalized cross-validation as a method for choosing a
           good ridge parameter", Technometrics 21, 1979.
        """
        explained = np.square(self.targets).sum(axis=1)
        total = self.total - self.n_rows * np.square(self.residual_mean).sum()
        inverse = 1 / (self.variance + self.unit * PENALTIES[:, None])
        left = total - (inverse * (2 - self.variance * inverse)) @ explained
        n_free = self.n_rows - 1 - (self.variance * inverse).sum(axis=1)
        n_free[n_free < 0.5] = np.nan  # as many units as rows fit anything
        return np.nan_to_num(left.clip(0) * self.n_rows / n_free**2, nan=np.inf)


def get_last_layer(network):
    """Return the last layer of the correction of a network's decoder, which is linear."""
    return network.decoder[1].correction[-1]


@torch.no_grad()
def spread_hidden_units(model, random_state):
    """Draw the first hidden layer of the correction from a wider range."""
    first = model.decoder[1].correction[0]
    first.weight.mul_(SPREAD)
    first.bias.uniform_(-SPREAD, SPREAD, generator=draw_generator(random_state))


@torch.no_grad()
def solve_last_layer(model, data, corrupt, split, ranks):
    """Solve the last layer of the correction of a model, and of the models of its folds.

    All other weights stay: random ones at the start, learnt ones after training.

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
    solution = ranks.agree_on(lambda: solve_model(model, data, corrupt, split))
    if solution is None:
        return False
    set_correction(model, *solution)
    return True


@torch.no_grad()
def solve_model(model, data, corrupt, split):
    """Return weight and bias of the last layer of a single model, or None for no correction."""
    index = torch.arange(len(data)) if split is None else torch.from_numpy(split.get_train(data))
    index = index.sort().values  # files are read from front to back
    index = index[:: -(-len(index) // MAX_ROWS)].to(data.rows.home)
    pairs = (pair_rows(model, data[part], corrupt) for part in index.split(PART_ROWS))
    ridge = HiddenRidge(read_units(model, *pair) for pair in pairs)
    errors = ridge.validate()
    if not errors.min() < ridge.total / ridge.n_rows:
        return None
    return ridge.solve(PENALTIES[errors.argmin()])


def solve_folds(model, data, corrupt, split):
    """Solve the last layers of all folds, and of all rows, with one common penalty."""
    pair = pair_rows(model, data[:], corrupt)
    members = zip(split.models, split.offsets.to(pair[0].device), split.train, strict=True)
    ridges, errors, error = [], 0.0, 0.0
    for (fold, offset, train), valid in zip(members, split.valid, strict=True):
        ridge = HiddenRidge([read_units(fold, *(rows[train] - offset for rows in pair))])
        hidden, residual = read_units(fold, *(rows[valid] - offset for rows in pair))
        errors = errors + ridge.measure_errors(hidden, residual)
        error += np.square(residual).sum()
        ridges.append(ridge)
    if not errors.min() < error:
        return False
    ridges.append(HiddenRidge([read_units(model, *pair)]))
    for own, ridge in zip([*split.models, model], ridges, strict=True):
        set_correction(own, *ridge.solve(PENALTIES[errors.argmin()]))
    return True


def pair_rows(model, u, corrupt):
    """Return standardised rows and what the network sees of them, where its weights are."""
    u = u.as_subclass(torch.Tensor).to(model.encoder[0].linear.weight.device)
    return u, u if corrupt is None else torch.from_numpy(corrupt(u.cpu().numpy())).to(u)


def read_units(model, targets, inputs):
    """Return the hidden units of standardised rows, and what the linear path leaves of targets.

    Returns
    -------
    hidden, residual : ndarrays of shapes (n_rows, n_hidden) and (n_rows, n_features), float64
    """
    decoder = model.decoder[1]
    codes = model.encoder[0](inputs)
    hidden = decoder.correction[:-1](codes)
    return hidden.double().cpu().numpy(), (targets - decoder.linear(codes)).double().cpu().numpy()


def set_correction(model, weight, bias):
    """Set weight (n_features, n_hidden) and bias of the last layer of a model's correction."""
    layer = get_last_layer(model)
    layer.weight.copy_(torch.from_numpy(weight))
    layer.bias.copy_(torch.from_numpy(bias))


@contextmanager
def remove_for_now(layers):
    """Set the last layers of corrections to zero in the block."""
    parameters = [parameter for layer in layers for parameter in layer.parameters()]
    kept = [parameter.detach().clone() for parameter in parameters]
    zero_parameters(layers)
    try:
        yield
    finally:
        with torch.no_grad():
            for parameter, value in zip(parameters, kept, strict=True):
                parameter.copy_(value)


@torch.no_grad()
def zero_parameters(layers):
    """Set all parameters of layers to zero."""
    for layer in layers:
        for parameter in layer.parameters():
            parameter.zero_()
