"""The model before training: at the best that can be computed without a gradient step."""

import copy
import math
from dataclasses import replace
from functools import partial

from ._gaussian import MAX_DENSE, MAX_DENSE_UNTRAINED, MAX_ROWS, MAX_ROWS_UNTRAINED, fit_fill
from ._isolation import draw_generator
from ._linear import (
    FilledSample,
    Sample,
    compute_covariates_start,
    compute_pca_start,
    compute_probabilistic_start,
    compute_regression_start,
    convert_to_logits,
    read_pair,
)
from ._model import make_model

# An ordered code that shall keep a share of the variance begins with so many times the components
# that PCA needs, and some more: new rows need more of them than those that PCA has seen.
NUMBERS_TO_SPARE = 1.25
MORE_NUMBERS_TO_SPARE = 8


def find_fill(table, units, seed, is_untrained=False):
    """Return the `FillMissing` for a table, which the first rank computes.

    Parameters
    ----------
    table : Table
    units : Units
    seed : int or RandomState
        For the sample of rows.
    is_untrained : bool, default=False
        Whether nothing is trained, so that the covariance may take longer.
    """
    sample = Sample(table.rows, units, seed)
    max_rows, max_dense = MAX_ROWS, MAX_DENSE
    if is_untrained and sample.shape[1] > MAX_DENSE:
        max_rows, max_dense = MAX_ROWS_UNTRAINED, MAX_DENSE_UNTRAINED
    few = sample.choose_index(max_rows)
    fill = table.ranks.agree_on(lambda: fit_fill(sample.read_rows(few), max_dense))
    return fill.to(table.rows.device)


def fills_better_untrained(n_features):
    """Tell whether a full covariance fills better than a network that starts at few factors."""
    return MAX_DENSE < n_features <= MAX_DENSE_UNTRAINED


def start_model(task, plan, seed, random_state, ranks, estimator_name):
    """Return the model of a plan before training.

    With a linear path it is the best linear autoencoder, which the first rank computes; without
    one its weights are random.

    Parameters
    ----------
    task : Reconstruct
    plan : Plan
    seed : int or RandomState
        For the sample of rows and the solver of PCA.
    random_state : RandomState
        For the corruption and the weights.
    ranks : OneProcess or AllRanks
    estimator_name : str

    Raises
    ------
    ValueError
        If X is out of the range of float32, or if the networks have nothing to train.
    """
    architecture, start = plan.architecture, None
    # float32 must hold the codes of all rows
    for units in (task.units, task.input_units):
        units.check_range(math.prod(task.rows.shape), architecture.has_linear_path)
    if architecture.has_linear_path or architecture.n_components < 1:
        start, drawn = ranks.agree_on(
            lambda: (compute_enough(task, plan, seed, random_state), random_state)
        )
        # the first rank may have drawn from it
        random_state.set_state(drawn.get_state())
        n_components = start.decoder.shape[1]
        architecture = replace(architecture, n_components=n_components, n_trained=n_components)
    # products with X itself lose digits where its means are large
    multiplies_sparsely = task.rows.multiply_best_as_sparse and task.input_units.is_near_zero()
    if architecture.has_linear_path:
        architecture = replace(
            architecture,
            has_bias=start.bias is not None,
            has_decoder_bias=start.decoder_bias is not None,
            code_rms=start.code_rms,
        )
    else:
        # without a linear path it has told the number of components, and no more
        start = None
    architecture = replace(
        architecture,
        multiplies_sparsely=multiplies_sparsely and architecture.encoder is None,
        solved_sizes=plan.list_solved_sizes(architecture),
        n_fill_factors=task.n_fill_factors,
    )
    generator = draw_generator(random_state)
    model = make_model(
        architecture, task.units, task.input_units, generator, start, estimator_name, task.fill
    )
    if plan.corrects_start:
        model.decoder.spread_hidden_units(draw_generator(random_state))
    if plan.max_epochs and not model.can_train():
        raise ValueError("Nothing in the networks of encoder and decoder can be trained.")
    return model.to(plan.device)


def compute_enough(task, plan, seed, random_state):
    """Return the linear start with as many components as the plan asks for.

    An ordered code that shall keep a share of the variance of new rows begins with more components
    than PCA needs for this share of the rows that it sees, and is cut after training.
    """
    generator = draw_start_generator(task, plan, random_state)
    compute = partial(compute_start, task, plan, None, seed=seed, generator=generator)
    start = compute(plan.architecture.n_components)
    n_found, n_most = start.decoder.shape[1], min(task.targets.shape)
    if not plan.cuts_code or n_found >= n_most:
        return start
    n_enough = math.ceil(NUMBERS_TO_SPARE * n_found) + MORE_NUMBERS_TO_SPARE
    return compute(min(n_most, n_enough))


def compute_start(task, plan, index, n_components, seed, generator):
    """Return the best linear autoencoder for the rows of a task at an index.

    Parameters
    ----------
    task : Reconstruct
    plan : Plan
    index : ndarray of int or None
        None for all rows.
    n_components : int or float
        Number of components, or the share in (0, 1) of the variance that they shall explain.
    seed : int or RandomState
    generator : torch.Generator or None
        For the corruption; None where the start sees no corrupted rows.

    Returns
    -------
    start : LinearStart
    """
    n_columns = max(task.rows.shape[1], task.targets.shape[1])
    how = task.rows, task.input_units, seed, index, n_columns
    inputs = Sample(*how) if task.fill is None else FilledSample(task.fill, *how)
    if plan.beta is not None:
        return compute_probabilistic_start(inputs, n_components, seed, plan.beta)
    targets = task.sample_targets(inputs)
    corrupt = None if generator is None else partial(task.corrupt_by_parts, generator=generator)
    if task.labels is not None:
        labels = task.labels.cpu().double().numpy()
        start = compute_covariates_start(inputs, labels, n_components, seed)
    elif task.restores:
        start = compute_regression_start(inputs, targets, corrupt, n_components, seed)
    else:
        start = compute_pca_start(inputs, n_components, seed)
    if not task.units.has_logits:
        return start
    # the slope of the logits is found on few of the rows, corrupted as all others are
    few, seen = read_pair(inputs, targets, inputs.choose_few())
    seen = seen if corrupt is None else corrupt(seen)
    return convert_to_logits(start, few.numpy(), seen.numpy(), task.units)


def draw_start_generator(task, plan, random_state):
    """Return the generator of the corruption that the start sees, or None if it sees none."""
    return draw_generator(random_state, plan.device) if task.draws and task.restores else None


def start_folds(model, task, plan, seed, random_state, members):
    """Return the untrained models of some folds, and the means of the rows that they train on.

    Parameters
    ----------
    model : Model
        That of all rows, untrained. The folds have its random weights, and starts of their own.
    task, plan, seed, random_state
        As in `start_model`.
    members : list of ndarray of int
        The indices of the rows that each model trains on.

    Returns
    -------
    models : list of Model
    input_offsets, offsets : tensors of shapes (n_folds, n_features), (n_folds, n_outputs), float32
        Of rows and of their targets, standardised; zeros where the networks see X itself.
    """
    # the same random weights for all: what differs is what the folds have seen
    models = [copy.deepcopy(model) for _ in members]
    input_offsets, offsets = task.compute_offsets(members)
    if model.architecture.has_linear_path:
        n_components = model.architecture.n_components
        pairs = zip(models, members, input_offsets, offsets, strict=True)
        for fold, index, input_offset, offset in pairs:
            moved = task.move_origin(input_offset, offset)
            generator = draw_start_generator(task, plan, random_state)
            start = compute_start(moved, plan, index, n_components, seed, generator)
            fold.set_start(start)
    return models, input_offsets.float(), offsets.float()
