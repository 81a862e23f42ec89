"""How networks in training are judged: the losses of rows, for the noise that suits them."""

import numpy as np
import torch
from torch.utils.data import Subset

from ._batches import FixedBatches
from ._correction import remove_for_now, set_to_zero
from ._evidence import are_clearly_lower, have_risen

MAX_ROWS = 10_000  # to measure by, spread evenly over X, where no rows are held out


def compute_validation_losses(net, batches, network=None, fits_noise=False):
    """Return the losses of all rows of batches, of which each rank computes its share.

    Parameters
    ----------
    batches : FixedBatches
    network : Model, default=None
        None for those of the trial.
    fits_noise : bool, default=False
        Whether the noise of a variational autoencoder is that of these rows. The networks of
        the trial take it over.

    Returns
    -------
    losses : ndarray of shape (n_sizes, n_rows), float64
        By code sizes: the whole code, or those by which an ordered one is judged.
    """
    losses = []
    for measures in measure_rows(net, batches, network):
        measures = np.stack(list(map(batches.arrange, measures)))
        if fits_noise and net.module_.architecture.is_variational:
            log_noise, measures = net.criterion_.fit_noise(measures)
            if network is None:
                set_noise(net.trial_, log_noise)
        losses.append(net.criterion_.combine(measures))
    return np.stack(losses)


@torch.no_grad()
def measure_rows(net, batches, network=None):
    """Return what the loss needs of each row of batches, float64.

    Returns
    -------
    measures : ndarray of shape (n_sizes, n_measures, n_rows)
        For several networks of shape (n_sizes, n_measures, n_networks, n_rows).
    """
    network = net.trial_.network if network is None else network
    network.eval()
    sizes = net.module_.architecture.list_sizes()
    measure, measures = net.criterion_.measure_rows, []
    for batch in batches:
        outputs = network.reconstruct_sizes(batch.inputs, sizes)
        measures.append(torch.stack([measure(output, batch.targets) for output in outputs]))
    if not measures:  # a rank may have no batch
        return np.empty((len(sizes), net.criterion_.n_measures, 0))
    return torch.cat(measures, dim=-1).double().cpu().numpy()


def judge_start(net, trial):
    """Return the losses of held-out rows at the start, and without its correction.

    The correction stays only if it helps.
    """
    if not net.has_correction:
        losses = compute_validation_losses(net, trial.held_out)
        return losses, losses
    layers, noises = trial.list_solved_layers(), copy_noises(trial)
    with remove_for_now(layers):
        linear = compute_validation_losses(net, trial.held_out)
    losses = compute_validation_losses(net, trial.held_out, fits_noise=True)
    is_better = are_clearly_lower(losses, linear, net.train_split.labelings)
    if is_better and not have_risen(losses, linear):
        return losses, linear
    net.has_correction = False
    set_to_zero(layers)
    restore_noises(trial, noises)
    return linear, linear


def list_noises(trial):
    """Return the log-variances of the noise of a trial's variational autoencoders."""
    decoders = (model.decoder for model in trial.list_models())
    return [decoder.log_noise for decoder in decoders if hasattr(decoder, "log_noise")]


def copy_noises(trial):
    """Return copies of the log-variances of the noise."""
    return [noise.clone() for noise in list_noises(trial)]


def restore_noises(trial, noises):
    """Set the log-variances of the noise to copies."""
    for noise, kept in zip(list_noises(trial), noises, strict=True):
        noise.copy_(kept)


def set_noise(trial, log_noise):
    """Set the log-variance of the noise of all networks."""
    for noise in list_noises(trial):
        noise.fill_(log_noise)


def fit_noise_to_training_rows(net, trial):
    """Set the noise of a variational autoencoder where no rows are held out."""
    compute_validation_losses(net, list_training_rows(net, trial), fits_noise=True)


def solve_after_training(net, trial, kept):
    """Solve the last layer after the last epoch; return whether the result is the best so far."""
    if net.solve_last_layer is None or trial.held_out is None or not net.solve_last_layer():
        return False
    losses = compute_validation_losses(net, trial.held_out, fits_noise=True)
    kept.update(len(net.history), losses)
    return kept.losses is losses


def list_training_rows(net, trial):
    """Return batches of training rows to measure a network by, corrupted by nothing but holes."""
    training = trial.batches
    index = training.index[:: -(-len(training.index) // MAX_ROWS)].cpu()
    corruption = training.corruption if hasattr(training.corruption, "fill_missing") else None
    how = net.batch_size, training.generator, corruption, training.ranks
    return FixedBatches(Subset(training.rows, index), *how)
