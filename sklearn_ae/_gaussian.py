"""Missing values: conditional means under a Gaussian, fitted to rows with missing entries."""

import torch
from torch import nn

MAX_ROWS = 5_000  # for the Gaussian, spread evenly over X
MAX_DENSE = 128  # features: of more, the covariance is a product of few factors plus noise

# Where nothing is trained, rows are filled once, and a full covariance may take longer. It fills
# much better: on MNIST the error is 0.75 of that by few factors.
MAX_DENSE_UNTRAINED, MAX_ROWS_UNTRAINED = 1000, 5_000
MAX_FACTORS, ROWS_A_FACTOR = 30, 10

# Ridge of the covariance, in mean variances: it keeps the covariance regular where few rows have
# both entries of a pair of features.
RIDGE = 0.01

MAX_ITERATIONS = 30
SMALLEST_EIGENVALUE = 1e-6  # of the first estimate of the covariance, in largest eigenvalues
SMALLEST_SPREAD = 1e-12  # of the largest entry of a feature
SMALLEST_CHANGE = 1e-3  # of the covariance, relative, at which the iterations end
PART_ENTRIES = 2**23  # of the systems of equations that are solved at once
ROWS_AT_ONCE = 256  # with about as many missing entries


class FillMissing(nn.Module):
    """Fills NaN in standardised rows with their conditional means, given the observed entries.

    The rows, each feature divided by its own spread, are taken for draws of a Gaussian with
    covariance F F' + noise · I. What is filled in therefore does not depend on the units of other
    features. Rows without NaN stay as they are, to the bit.

    Parameters
    ----------
    n_features, n_factors : int

    Attributes
    ----------
    spreads : tensor of shape (n_features,)
        Standard deviations of the observed entries; 1 where these are equal.
    mean : tensor of shape (n_features,)
        In units of the spreads, as all that follows.
    factors : tensor of shape (n_features, n_factors)
        F.
    noise : tensor of shape ()
    growth : tensor of shape ()
        Of conditional standard deviations: the covariance is an estimate, and new rows are farther
        from what it expects than those that it was found by.
    """

    def __init__(self, n_features, n_factors):
        super().__init__()
        self.register_buffer("spreads", torch.ones(n_features, dtype=torch.float64))
        self.register_buffer("mean", torch.zeros(n_features, dtype=torch.float64))
        self.register_buffer("factors", torch.zeros(n_features, n_factors, dtype=torch.float64))
        self.register_buffer("noise", torch.ones((), dtype=torch.float64))
        self.register_buffer("growth", torch.ones((), dtype=torch.float64))

    @torch.no_grad()
    def forward(self, rows):
        """Return rows (..., n, n_features) without NaN."""
        flat = rows.as_subclass(torch.Tensor).flatten(0, -2)
        is_missing = flat.isnan()
        index = is_missing.any(dim=1).nonzero().squeeze(1)
        if not len(index):
            return rows
        filled, precision = flat.clone(), self._invert()
        for part in index.split(self._count_rows_at_once()):
            is_observed = ~is_missing[part]
            u = flat[part].double() / self.spreads - self.mean
            if precision is not None:
                means = fill_rows(u, is_observed, precision)[0]
            else:
                means = self.infer_codes(u.masked_fill(~is_observed, 0.0), is_observed)[0]
                means = means @ self.factors.T
            means = ((means + self.mean) * self.spreads).to(flat)
            # Observed entries are not computed back from u: they keep their bits.
            filled[part] = torch.where(is_observed, flat[part], means)
        return filled.view(rows.shape)

    def _invert(self):
        """Return the inverse of a covariance of full rank, or None: few factors are solved by row.

        It is inverted once for all rows.
        """
        n_features, n_factors = self.factors.shape
        return torch.linalg.inv(self.make_correlations()) if n_factors == n_features else None

    def _count_rows_at_once(self):
        return max(1, PART_ENTRIES // self.factors.shape[1] ** 2)

    @torch.no_grad()
    def describe_missing(self, rows, generator=None):
        """Return the conditional standard deviations of the missing entries of rows, and draws.

        Parameters
        ----------
        rows : tensor of shape (n, n_features)
            Standardised, with NaN.
        generator : torch.Generator, default=None
            Draws from the conditional distribution; None for no draws.

        Returns
        -------
        deviations : tensor of shape (n, n_features), float64
            0 where an entry is observed.
        draws : tensor of the same shape
            Draws minus conditional means; zeros without a generator.
        """
        is_missing, precision = rows.isnan(), self._invert()
        deviations, draws = rows.new_zeros(2, *rows.shape, dtype=torch.float64)
        index = is_missing.any(dim=1).nonzero().squeeze(1)
        for part in index.split(self._count_rows_at_once()):
            u, is_observed = rows[part].double() / self.spreads - self.mean, ~is_missing[part]
            if precision is not None:
                _, entries, _, cholesky = fill_rows(u, is_observed, precision)
                # (n, n_most): features that pad have the identity, and are observed
                variances = torch.cholesky_inverse(cholesky).diagonal(dim1=1, dim2=2)
                noise = draw_like(variances, generator).unsqueeze(2)
                # L' x = noise has the covariance of the inverse of L L'
                drawn = torch.linalg.solve_triangular(cholesky.mT, noise, upper=True).squeeze(2)
                variances = torch.zeros_like(u).scatter(1, entries, variances)
                drawn = torch.zeros_like(u).scatter(1, entries, drawn)
            else:
                _, cholesky = self.infer_codes(u.masked_fill(~is_observed, 0.0), is_observed)
                spread = self.noise * torch.cholesky_inverse(cholesky).flatten(1)
                variances = spread @ multiply_pairs(self.factors).T + self.noise
                noise = draw_like(u.new_empty(len(u), self.factors.shape[1], 1), generator)
                codes = torch.linalg.solve_triangular(cholesky.mT, noise, upper=True)
                drawn = self.noise.sqrt() * (codes.squeeze(2) @ self.factors.T)
                drawn += self.noise.sqrt() * draw_like(u, generator)
            hidden = ~is_observed * self.spreads * self.growth
            deviations[part], draws[part] = variances.sqrt() * hidden, drawn * hidden
        return deviations, draws

    def infer_codes(self, centred, is_observed):
        """Return the mean code of each row given its observed entries, and Cholesky factors.

        Parameters
        ----------
        centred : tensor of shape (n, n_features)
            Zero where no entry is observed.
        is_observed : tensor of bool of the same shape

        Returns
        -------
        codes : tensor of shape (n, n_factors)
        cholesky : tensor of shape (n, n_factors, n_factors)
            Factors of noise · I + F' F over the observed features of each row: the covariance of
            the code is noise times the inverse.
        """
        n_factors = self.factors.shape[1]
        # (n, n_features) @ (n_features, n_factors²): one product makes the systems of all rows
        systems = is_observed.double() @ multiply_pairs(self.factors)
        systems = systems.view(-1, n_factors, n_factors)
        systems.diagonal(dim1=1, dim2=2).add_(self.noise)
        cholesky = torch.linalg.cholesky(systems)
        targets = (centred @ self.factors).unsqueeze(-1)
        return torch.cholesky_solve(targets, cholesky).squeeze(-1), cholesky

    def make_correlations(self):
        """Return the covariance in units of the spreads, a tensor (n_features, n_features)."""
        correlations = self.factors @ self.factors.T
        correlations.diagonal().add_(self.noise)
        return correlations

    def make_covariance(self):
        """Return the covariance of standardised rows, a tensor (n_features, n_features)."""
        return self.spreads.unsqueeze(1) * self.make_correlations() * self.spreads


def draw_like(tensor, generator):
    """Return standard normal draws in the shape of a tensor; zeros without a generator."""
    if generator is None:
        return torch.zeros_like(tensor)
    return torch.randn(tensor.shape, dtype=tensor.dtype, generator=generator).to(tensor.device)


def multiply_pairs(rows):
    """Return the products of all pairs of entries of each row: (n, k) becomes (n, k²)."""
    return torch.einsum("ni,nk->nik", rows, rows).flatten(1)


@torch.no_grad()
def fit_fill(rows, max_dense=MAX_DENSE):
    """Return the `FillMissing` of standardised rows, by expectation maximisation.

    The covariance of few features is a full one [1]_, that of more has few factors and noise, as in
    probabilistic PCA [2]_.

    Parameters
    ----------
    rows : tensor of shape (n_samples, n_features)
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
    rows = rows.double()
    spreads = measure_spreads(rows)
    rows = rows / spreads
    # Where a sample of X has no value of a feature, its mean is that of X, which is u = 0.
    mean = rows.nanmean(dim=0).nan_to_num(nan=0.0)
    if rows.shape[1] > max_dense:
        fill = estimate_factors(rows - mean)
    else:
        shift, covariance = estimate_covariance(rows - mean)
        variance, vectors = torch.linalg.eigh(covariance)
        # The smallest eigenvalue becomes the noise, and what is above it n_features factors.
        noise = variance[0].clamp(min=RIDGE * float(variance.mean()) / 2 or 1.0)
        fill = FillMissing(len(mean), len(mean))
        fill.mean.copy_(shift)
        fill.factors.copy_(vectors * (variance - noise).clamp(min=0).sqrt())
        fill.noise.copy_(noise)
    fill.mean += mean
    fill.spreads.copy_(spreads)
    # the variance of a prediction by least squares, for so many observed rows and coefficients
    n_rows = max(2.0, float((~rows.isnan()).sum(dim=0).double().mean()))
    n_coefficients = min(fill.factors.shape[1], n_rows / 2)
    fill.growth.fill_(((n_rows + n_coefficients) / (n_rows - n_coefficients)) ** 0.5)
    return fill


def measure_spreads(rows):
    """Return the standard deviation of the observed entries of each feature, 1 where it is 0."""
    centred = rows - rows.nanmean(dim=0)
    spreads = centred.square().nanmean(dim=0).sqrt().nan_to_num(nan=0.0)
    # of equal entries there is only rounding left
    is_constant = spreads <= SMALLEST_SPREAD * rows.abs().nan_to_num(nan=0.0).amax(dim=0)
    return torch.where(is_constant, 1.0, spreads)


def estimate_covariance(rows):
    """Return mean and covariance of rows (n, n_features) with NaN, by expectation maximisation."""
    n_rows, n_features = rows.shape
    known, is_observed = rows.nan_to_num(nan=0.0), ~rows.isnan()
    # It begins with the covariance of each pair of features in the rows that have both. Such an
    # estimate may have eigenvalues of zero or less, which are raised.
    counts = (is_observed.double().T @ is_observed.double()).clamp(min=1)
    variance, vectors = torch.linalg.eigh(known.T @ known / counts)
    variance = variance.clamp(min=SMALLEST_EIGENVALUE * float(variance[-1]))
    mean, covariance = rows.new_zeros(n_features), add_ridge((vectors * variance) @ vectors.T)
    n_at_once = max(1, min(ROWS_AT_ONCE, PART_ENTRIES // n_features**2))
    # Rows of a part are padded to the one with most holes: sorted rows need little padding.
    parts = (~is_observed).sum(dim=1).argsort().split(n_at_once)
    for _ in range(MAX_ITERATIONS):
        precision, total, products = torch.linalg.inv(covariance), 0.0, 0.0
        for part in parts:
            filled, entries, are_missing, cholesky = fill_rows(
                rows[part] - mean, is_observed[part], precision
            )
            # Means vary less than the values that are missing: the expected products of a row
            # also have the conditional covariance of its missing entries.
            spread = torch.cholesky_inverse(cholesky) * are_missing
            pairs = entries.unsqueeze(2) * n_features + entries.unsqueeze(1)
            spread = torch.bincount(pairs.flatten(), spread.flatten(), minlength=n_features**2)
            total += filled.sum(dim=0)
            products += filled.T @ filled + spread.view_as(covariance)
        step = total / n_rows
        found = add_ridge(products / n_rows - torch.outer(step, step))
        change = torch.linalg.norm(found - covariance)
        mean, covariance = mean + step, found
        if change < SMALLEST_CHANGE * torch.linalg.norm(covariance):
            break
    return mean, covariance


def add_ridge(covariance):
    """Return a covariance with more variance in all directions."""
    ridge = RIDGE * float(covariance.diagonal().mean()) or 1.0
    return covariance + ridge * torch.eye(len(covariance), dtype=torch.float64)


def fill_rows(rows, is_observed, precision):
    """Return centred rows filled with conditional means, and the systems that were solved.

    The conditional covariance of the missing entries of a row is the inverse of a part of the
    inverse covariance. Rows are padded to the largest number of missing entries among them.

    Returns
    -------
    filled : tensor of shape (n_rows, n_features)
    entries : tensor of int of shape (n_rows, n_most)
        The features that are missing in each row, padded with observed features.
    are_missing : tensor of bool of shape (n_rows, n_most, n_most)
        Whether both are missing.
    cholesky : tensor of shape (n_rows, n_most, n_most)
        Factors of the inverse conditional covariances; of the identity for features that pad.
    """
    n_most = int((~is_observed).sum(dim=1).max())
    # A stable sort of False and True puts the missing features of each row first.
    entries = is_observed.long().argsort(dim=1, stable=True)[:, :n_most]
    is_missing = ~is_observed.gather(1, entries)
    are_missing = is_missing.unsqueeze(2) & is_missing.unsqueeze(1)  # (n_rows, n_most, n_most)
    systems = precision[entries.unsqueeze(2), entries.unsqueeze(1)] * are_missing
    # The identity for features that pad, so that every system can be factorised.
    systems.diagonal(dim1=1, dim2=2).add_((~is_missing).double())
    cholesky = torch.linalg.cholesky(systems)
    known = rows.masked_fill(~is_observed, 0.0)
    targets = -(known @ precision).gather(1, entries) * is_missing
    means = torch.cholesky_solve(targets.unsqueeze(2), cholesky).squeeze(2)
    return known.scatter_add(1, entries, means), entries, are_missing, cholesky


def estimate_factors(rows):
    """Return the `FillMissing` of few factors for rows (n, n_features) with NaN.

    Expectation maximisation for probabilistic PCA; each feature's factors are a ridge regression
    on the codes of the rows where it is observed.
    """
    n_rows, n_features = rows.shape
    known, is_observed = rows.nan_to_num(nan=0.0), ~rows.isnan()
    n_factors = max(1, min(MAX_FACTORS, n_rows // ROWS_A_FACTOR, n_features // 2))
    variance = float(known.square().sum() / is_observed.sum()) or 1.0
    fill = FillMissing(n_features, n_factors)
    fill.noise.fill_(variance)
    # The first factors are the principal components of rows whose missing entries are means.
    _, singular, vectors = torch.linalg.svd(known, full_matrices=False)
    fill.factors.copy_(vectors[:n_factors].T * (singular[:n_factors] / n_rows**0.5))
    ridge = RIDGE * n_rows * torch.eye(n_factors, dtype=torch.float64)
    for _ in range(MAX_ITERATIONS // 2):
        squares = targets = left = shift = 0.0
        for part in torch.arange(n_rows).split(max(1, PART_ENTRIES // n_factors**2)):
            observed = is_observed[part].double()
            centred = (known[part] - fill.mean) * observed
            codes, cholesky = fill.infer_codes(centred, is_observed[part])
            spread = fill.noise * torch.cholesky_inverse(cholesky).flatten(1)  # (n, n_factors²)
            squares += observed.T @ (multiply_pairs(codes) + spread)
            targets += centred.T @ codes
            errors = (centred - codes @ fill.factors.T) * observed
            # An error has two parts: that of the mean code, and the spread of the code about it.
            of_spread = (spread @ multiply_pairs(fill.factors).T) * observed
            left += errors.square().sum() + of_spread.sum()
            shift += errors.sum(dim=0)
        # (n_features, n_factors, n_factors): features are observed in different rows
        systems = squares.view(n_features, n_factors, n_factors) + ridge
        fill.factors.copy_(torch.linalg.solve(systems, targets))
        fill.noise.fill_(max(float(left / is_observed.sum()), RIDGE * variance))
        fill.mean += shift / is_observed.sum(dim=0).clamp(min=1)
    return fill
