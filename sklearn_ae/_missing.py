"""Missing values: conditional means under a Gaussian that is fitted to rows with holes."""

import math

import torch
from torch import nn

from .corruption import _make_plan_corruption

MAX_ROWS = 20_000  # for the Gaussian, spread evenly over X
MAX_DENSE = 128  # features: of more, the covariance is a product of few factors plus noise

# Where nothing is trained, rows are filled once, and a full covariance may take longer. It fills
# much better: on MNIST the error is 0.75 of that by 50 factors.
MAX_DENSE_UNTRAINED = 1000
MAX_ROWS_UNTRAINED = 5_000
MAX_FACTORS = 50
ROWS_A_FACTOR = 10

# Ridge of the covariance, in mean variances: what holds it up where few pairs are observed.
RIDGE = 0.01

MAX_ITERATIONS = 30
SMALLEST_EIGENVALUE = 1e-6  # of the first estimate of the covariance, in largest eigenvalues
SMALLEST_CHANGE = 1e-3  # of the covariance, relative, at which the iterations end
PART_ENTRIES = 2**23  # of the systems of equations that are solved at once
ROWS_AT_ONCE = 256  # with about as many missing entries


class FillMissing(nn.Module):
    """Fills NaN in standardised rows with their conditional means, given the observed entries.

    The rows are taken for draws of a Gaussian with covariance F F' + noise · I. Rows without NaN
    stay as they are, to the bit.

    Parameters
    ----------
    n_features, n_factors : int

    Attributes
    ----------
    mean : tensor of shape (n_features,)
    factors : tensor of shape (n_features, n_factors)
        F.
    noise : tensor of shape ()
    """

    def __init__(self, n_features, n_factors):
        super().__init__()
        self.register_buffer("mean", torch.zeros(n_features, dtype=torch.float64))
        self.register_buffer("factors", torch.zeros(n_features, n_factors, dtype=torch.float64))
        self.register_buffer("noise", torch.ones((), dtype=torch.float64))

    @torch.no_grad()
    def forward(self, rows):
        """Return rows (..., n, n_features) without NaN."""
        flat = rows.as_subclass(torch.Tensor).flatten(0, -2)
        is_missing = flat.isnan()
        index = is_missing.any(dim=1).nonzero().squeeze(1)
        if not len(index):
            return rows
        filled = flat.clone()
        precision = self.compute_precision()
        n_rows = max(1, PART_ENTRIES // self.factors.shape[1] ** 2)
        for part in index.split(n_rows):
            means = self.compute_means(flat[part], is_missing[part], precision)
            filled[part] = means.to(flat)
        return filled.view(rows.shape)

    def compute_precision(self):
        """Return the inverse covariance of a Gaussian of full rank, or None for few factors."""
        if self.factors.shape[0] > self.factors.shape[1]:
            return None
        return torch.linalg.inv(self.make_covariance())

    def compute_means(self, rows, is_missing, precision):
        """Return rows (n, n_features) whose missing entries have their conditional means."""
        if precision is not None:
            filled, *_ = fill_rows(rows.double() - self.mean, ~is_missing, precision)
            return torch.where(is_missing, filled + self.mean, rows.double())
        centred = (rows.double() - self.mean).masked_fill(is_missing, 0.0)
        cholesky = self.factorize(~is_missing)
        codes = torch.cholesky_solve((centred @ self.factors).unsqueeze(-1), cholesky).squeeze(-1)
        means = codes @ self.factors.T + self.mean
        return torch.where(is_missing, means, rows.double())

    def factorize(self, is_observed):
        """Return Cholesky factors of noise · I + F' F over the observed features of each row."""
        n_factors = self.factors.shape[1]
        products = torch.einsum("ji,jk->jik", self.factors, self.factors).flatten(1)
        systems = (is_observed.double() @ products).view(-1, n_factors, n_factors)
        systems.diagonal(dim1=1, dim2=2).add_(self.noise)
        return torch.linalg.cholesky(systems)

    def make_covariance(self):
        """Return the covariance of the Gaussian, a tensor (n_features, n_features)."""
        covariance = self.factors @ self.factors.T
        covariance.diagonal().add_(self.noise)
        return covariance


class HideAndFill:
    """A corruption for rows with missing values: hides more entries, and fills all that miss.

    Parameters
    ----------
    fill : FillMissing
    rate : float
        Share of the entries to hide: as many as are missing in X.
    corruption : callable (batch, generator) -> batch, or None
        What else happens to rows that are filled.
    scores_hidden : bool, default=False
        Whether only the entries that it hides have targets.
    """

    def __init__(self, fill, rate, corruption=None, scores_hidden=False):
        self.fill_missing = fill
        self.scores_hidden = scores_hidden
        self.rate = rate
        self.corruption = corruption

    def __call__(self, batch, generator):
        """Return a copy of standardised rows (n, n_features) without NaN."""
        draws = torch.rand(batch.shape, generator=generator, device=batch.device)
        filled = self.fill_missing(batch.masked_fill(draws < self.rate, math.nan))
        return filled if self.corruption is None else self.corruption(filled, generator)


def make_corruption(plan, units, fill):
    """Return the corruption of standardised rows by a plan, or None.

    Parameters
    ----------
    plan : Plan
    units : Units
    fill : FillMissing or None
    """
    corruption = _make_plan_corruption(plan, units)
    if fill is None:
        return corruption
    return HideAndFill(fill, plan.missing_rate, corruption, plan.scores_hidden)


@torch.no_grad()
def fit_fill(rows, max_dense=MAX_DENSE):
    """Return the `FillMissing` that suits standardised rows, by expectation maximisation.

    The covariance of few features is a full one [1]_, that of more has few factors and noise, as in
    probabilistic PCA [2]_.

    Parameters
    ----------
    rows : ndarray of shape (n_samples, n_features)
        With NaN.
    max_dense : int, default=MAX_DENSE
        Features up to which the covariance is a full one.

    References
    ----------
    .. [1] Dempster, Laird and Rubin, "Maximum likelihood from incomplete data via the EM
       algorithm", Journal of the Royal Statistical Society B 39, 1977.
    .. [2] Ilin and Raiko, "Practical approaches to principal component analysis in the presence of
       missing values", JMLR 11, 2010.
    """
    rows = torch.from_numpy(rows).double()
    mean = rows.nanmean(dim=0).nan_to_num(nan=0.0)  # of X, where these rows have no value
    centred = rows - mean
    if rows.shape[1] <= max_dense:
        shift, covariance = estimate_covariance(centred)
        variance, vectors = torch.linalg.eigh(covariance)
        noise = variance[0].clamp(min=RIDGE * float(variance.mean()) / 2 or 1.0)
        factors = vectors * (variance - noise).clamp(min=0).sqrt()
    else:
        shift, factors, noise = estimate_factors(centred)
    fill = FillMissing(*factors.shape)
    fill.mean.copy_(mean + shift)
    fill.factors.copy_(factors)
    fill.noise.copy_(noise)
    return fill


def estimate_covariance(rows):
    """Return mean and covariance of rows (n, n_features) with NaN, by expectation maximisation."""
    n_rows, n_features = rows.shape
    is_observed = ~rows.isnan()
    mean = torch.zeros(n_features, dtype=torch.float64)
    covariance = add_ridge(estimate_from_pairs(rows))
    n_at_once = max(1, min(ROWS_AT_ONCE, PART_ENTRIES // n_features**2))
    parts = (~is_observed).sum(dim=1).argsort().split(n_at_once)  # little padding in each
    for _ in range(MAX_ITERATIONS):
        precision = torch.linalg.inv(covariance)
        total, products = torch.zeros_like(mean), torch.zeros_like(covariance)
        for part in parts:
            filled, spread = expect_rows(rows[part] - mean, is_observed[part], precision)
            total += filled.sum(dim=0)
            products += filled.T @ filled + spread
        step = total / n_rows
        found = add_ridge(products / n_rows - torch.outer(step, step))
        mean, change = mean + step, torch.linalg.norm(found - covariance)
        covariance = found
        if change < SMALLEST_CHANGE * torch.linalg.norm(covariance):
            break
    return mean, covariance


def estimate_from_pairs(rows):
    """Return the covariance of centred rows with NaN, each entry from the rows that have both.

    Eigenvalues of zero or less, which such an estimate may have, are raised.
    """
    known, is_observed = rows.nan_to_num(nan=0.0), (~rows.isnan()).double()
    counts = (is_observed.T @ is_observed).clamp(min=1)
    variance, vectors = torch.linalg.eigh(known.T @ known / counts)
    return (vectors * variance.clamp(min=SMALLEST_EIGENVALUE * float(variance[-1]))) @ vectors.T


def add_ridge(covariance):
    """Return a covariance with more variance in all directions."""
    ridge = RIDGE * float(covariance.diagonal().mean()) or 1.0
    return covariance + ridge * torch.eye(len(covariance), dtype=torch.float64)


def expect_rows(rows, is_observed, precision):
    """Return centred rows filled with conditional means, and the sum of conditional covariances."""
    filled, entries, are_missing, cholesky = fill_rows(rows, is_observed, precision)
    spread = torch.zeros_like(precision).flatten()
    pairs = entries.unsqueeze(2) * len(precision) + entries.unsqueeze(1)
    of_rows = torch.cholesky_inverse(cholesky) * are_missing
    spread.index_add_(0, pairs.flatten(), of_rows.flatten())
    return filled, spread.view_as(precision)


def fill_rows(rows, is_observed, precision):
    """Return centred rows filled with conditional means, and the systems that were solved.

    The conditional covariance of the missing entries of a row is the inverse of a part of the
    inverse covariance. Rows are padded to the largest number of missing entries among them.

    Returns
    -------
    filled : tensor of shape (n_rows, n_features)
    entries : tensor of int of shape (n_rows, n_most)
        The features that are missing in each row, and others in place of none.
    are_missing : tensor of bool of shape (n_rows, n_most, n_most)
        Whether both are missing.
    cholesky : tensor of shape (n_rows, n_most, n_most)
        Factors of the parts; of the identity where nothing is missing.
    """
    n_most = int((~is_observed).sum(dim=1).max())
    entries = is_observed.long().argsort(dim=1, stable=True)[:, :n_most]
    is_missing = ~is_observed.gather(1, entries)
    are_missing = is_missing.unsqueeze(2) & is_missing.unsqueeze(1)
    systems = precision[entries.unsqueeze(2), entries.unsqueeze(1)] * are_missing
    systems.diagonal(dim1=1, dim2=2).add_((~is_missing).double())
    cholesky = torch.linalg.cholesky(systems)
    known = rows.masked_fill(~is_observed, 0.0)
    targets = -(known @ precision).gather(1, entries) * is_missing
    means = torch.cholesky_solve(targets.unsqueeze(2), cholesky).squeeze(2)
    return known.scatter_add(1, entries, means), entries, are_missing, cholesky


def estimate_factors(rows):
    """Return mean, factors and noise of rows (n, n_features) with NaN.

    Expectation maximisation for probabilistic PCA; each feature's factors are a ridge regression
    on the codes of the rows where it is observed.
    """
    n_rows, n_features = rows.shape
    is_observed = ~rows.isnan()
    n_factors = max(1, min(MAX_FACTORS, n_rows // ROWS_A_FACTOR, n_features // 2))
    known = rows.nan_to_num(nan=0.0)
    variance = float(known.square().sum() / is_observed.sum()) or 1.0
    fill = FillMissing(n_features, n_factors)
    _, singular, vectors = torch.linalg.svd(known, full_matrices=False)
    scale = singular[:n_factors] / n_rows**0.5
    fill.factors.copy_(vectors[:n_factors].T * scale)
    fill.noise.fill_(variance)
    counts = is_observed.sum(dim=0).clamp(min=1)
    parts = torch.arange(n_rows).split(max(1, PART_ENTRIES // n_factors**2))
    ridge = RIDGE * n_rows * torch.eye(n_factors, dtype=torch.float64)
    for _ in range(MAX_ITERATIONS // 2):
        squares = torch.zeros(n_features, n_factors**2, dtype=torch.float64)
        targets = torch.zeros_like(fill.factors)
        left, shift = 0.0, torch.zeros_like(fill.mean)
        products = torch.einsum("ji,jk->jik", fill.factors, fill.factors).flatten(1)
        for part in parts:
            observed = is_observed[part].double()
            centred = (known[part] - fill.mean) * observed
            cholesky = fill.factorize(is_observed[part])
            projected = (centred @ fill.factors).unsqueeze(-1)
            codes = torch.cholesky_solve(projected, cholesky).squeeze(-1)
            spread = fill.noise * torch.cholesky_inverse(cholesky).flatten(1)
            moments = torch.einsum("ni,nk->nik", codes, codes).flatten(1) + spread
            squares += observed.T @ moments
            targets += centred.T @ codes
            errors = (centred - codes @ fill.factors.T) * observed
            left += errors.square().sum() + ((spread @ products.T) * observed).sum()
            shift += errors.sum(dim=0)
        systems = squares.view(n_features, n_factors, n_factors) + ridge
        fill.factors.copy_(torch.linalg.solve(systems, targets))
        fill.noise.fill_(max(float(left / is_observed.sum()), RIDGE * variance))
        fill.mean += shift / counts
    return fill.mean, fill.factors, fill.noise
