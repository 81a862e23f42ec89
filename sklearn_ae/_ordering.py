"""After the training of an ordered code: what each size keeps, and numbers without correlation."""

import warnings

import numpy as np
import torch

from ._judging import list_training_rows
from ._networks import Bottleneck, Mix

MAX_ROWS_FOR_COVARIANCE = 100_000

# Numbers with a smaller share of their variance left are taken for sums of those before them.
SMALLEST_SHARE = 1e-6


def find_layer(network, kind):
    """Return the layer of a kind in a network, or None."""
    return next((layer for layer in network.modules() if isinstance(layer, kind)), None)


@torch.no_grad()
def use_best_sizes(net, trial):
    """Measure every size of an ordered code on new rows, and use the best of those up to each.

    A code of size k is decoded from the first j <= k numbers that keep most of the variance.

    Parameters
    ----------
    net : AutoencoderNet
    trial : HoldOutTrial or CrossFitTrial

    Returns
    -------
    explained : ndarray of shape (n_components,)
        What each number adds to the share of the variance that is kept. Never negative.
    """
    bottleneck = find_layer(net.module_.decoder, Bottleneck)
    sizes = np.arange(1, net.module_.architecture.n_components + 1)
    bottleneck.set_used(sizes)
    r2 = measure_sizes(net, trial, sizes)
    best = np.maximum.accumulate(r2)
    n_used = np.maximum.accumulate(np.where(r2 == best, sizes, 1))
    bottleneck.set_used(n_used)
    return np.diff(best.clip(0), prepend=0.0)


def measure_sizes(net, trial, sizes):
    """Return R² of the reconstruction, weighted by variance, for code sizes.

    Rows are reconstructed as they are, without corruption, as `score` does.
    """
    batches = trial.held_out
    if batches is None:
        batches = list_training_rows(net, trial)
    loss = net.criterion_.measure_squares
    trial.network.eval()
    parts = []
    for batch in batches:
        inputs = net.module_.fill_missing(batches.rows.take_uncorrupted(batch))
        outputs = trial.network.reconstruct_sizes(inputs, sizes)
        parts.append(torch.stack([loss(output, batch.targets) for output in outputs]))
    rows = torch.cat(parts, dim=-1).double().cpu().numpy()
    errors = [batches.arrange(row).sum() for row in rows]
    variance = batches.compute_variance(net.criterion_.show_targets)
    return 1 - np.array(errors) / (variance or 1.0)


def choose_size(explained, share, stacklevel=2):
    """Return the smallest code size that keeps a share of the variance, or warn and return all."""
    kept = np.cumsum(explained)
    n_smaller = np.searchsorted(kept, share)
    if n_smaller == len(kept):
        warnings.warn(
            f"n_components={share} is the share of the variance that the autoencoder shall keep, "
            f"but its {len(kept)} numbers keep {kept[-1]:.3f}. All of them are used.",
            stacklevel=stacklevel,  # where fit was called
        )
    return int(min(n_smaller + 1, len(kept)))


@torch.no_grad()
def decorrelate_codes(model, rows):
    """Change the numbers of an ordered code so that they are uncorrelated, without loss.

    From each number the linear regression on those before it is subtracted, and the decoder adds
    it again [1]_. It is computed from at most 100,000 rows, spread evenly. The first k numbers
    still hold what they held. Squashed codes stay as they are: differences would leave their range.

    Parameters
    ----------
    model : Model
    rows : Rows
        Of the training.

    References
    ----------
    .. [1] Golub and Van Loan, "Matrix computations", 4th edition, 2013, section 4.1: the unit
       lower triangular factor L of the covariance L D L'.
    """
    mix, unmix = find_layer(model.encoder, Mix), find_layer(model.decoder, Bottleneck).mix
    if mix is None:
        return
    triangle = np.eye(len(unmix.matrix))
    part = slice(0, model.architecture.n_components)
    triangle[part, part] = factor_unit_triangle(compute_code_covariance(model, rows))
    mix.set_product(np.linalg.inv(triangle), mix.matrix)
    unmix.set_product(unmix.matrix, triangle)


def compute_code_covariance(model, rows):
    """Return the covariance of the codes of rows, times their number."""
    step = -(-len(rows) // MAX_ROWS_FOR_COVARIANCE)
    count, total, products = 0, 0.0, 0.0
    for _, block in model.read_parts(rows):
        codes = model.encode(block[::step]).double().cpu().numpy()
        count += len(codes)
        total = total + codes.sum(axis=0)
        products = products + codes.T @ codes
    return products - np.outer(total, total) / count


def factor_unit_triangle(covariance):
    """Return the unit lower triangular factor L of a covariance L D L', which may be singular."""
    rest, triangle = covariance.copy(), np.eye(len(covariance))
    for i, variance in enumerate(np.diag(covariance)):
        if rest[i, i] > SMALLEST_SHARE * variance:
            triangle[:, i] = rest[:, i] / rest[i, i]
            rest = rest - rest[i, i] * np.outer(triangle[:, i], triangle[:, i])
        triangle[:i, i] = 0
    return triangle
