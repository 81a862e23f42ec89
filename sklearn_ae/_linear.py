"""The closed form from which training starts: PCA, or reduced-rank regression."""

import math
import operator
from dataclasses import dataclass, replace
from functools import reduce

import numpy as np
import torch
from scipy.linalg import eigh, lstsq
from scipy.optimize import minimize_scalar
from scipy.special import expit
from sklearn.decomposition import PCA
from sklearn.linear_model import Ridge, RidgeCV
from sklearn.utils import check_random_state
from sklearn.utils.extmath import svd_flip
from sklearn.utils.sparsefuncs import mean_variance_axis

from ._losses import LEAST_NOISE
from ._ridge import PART_ROWS, PENALTIES, HiddenRidge, Sums
from ._rows import PART_ENTRIES, SparseRows

MAX_ROWS = 100_000  # for the start, drawn at random where X has more
MAX_ENTRIES = 2**26  # of dense rows that are in memory at once

# As in scikit-learn's PCA: tables that are narrow and long enough are solved by the covariance.
MAX_FEATURES_FOR_COVARIANCE, ROWS_A_FEATURE_FOR_COVARIANCE = 1_000, 10

# A share of the variance needs all components of a sparse table. Up to so many features they come
# from the covariance; wider tables, or those with fewer rows than features, are made dense.
MAX_FEATURES_FOR_SHARE = 2**12

SMALLEST_DIRECTION = 1e-6  # of the rows, in their largest singular value, that predicts targets
ROWS_A_FEATURE_FOR_TARGETS = 10  # so that the regression of targets needs no penalty

# Few rows are corrupted several times over, until there are this many rows per feature: the
# regression then averages over the corruption instead of fitting a single draw of it.
CORRUPTED_ROWS_A_FEATURE = 50
MAX_CORRUPTED_ENTRIES = 2**24  # of all draws together, beyond the first

# Ridge penalty of the regression, in mean variances of a corrupted feature: as much as one row
# adds to the covariance. It draws the regression towards the identity, for which the start is PCA.
PENALTY = 1.0

# If components leave a smaller share of the variance, all are computed by a singular value
# decomposition: those of the covariance have too few digits.
CANCELLATION = 1e-6

LARGEST_SPREAD = 1e12  # of columns whose covariance is computed in float32

MAX_ROWS_FOR_SLOPE = 1_000  # spread evenly over the rows of the start
MAX_SPARSE_ENTRIES_FOR_SLOPE = 2**22  # where the table is sparse: of dense rows, made for this
MIN_DENSE_ROWS = 64  # of a sparse table, however many features it has
MAX_SLOPE = 100.0


@dataclass(frozen=True)
class LinearStart:
    """The matrices of a linear autoencoder z = W u + b, û = V z + c.

    Attributes
    ----------
    encoder : ndarray of shape (n_components, n_features)
        W.
    bias : ndarray of shape (n_components,) or None
        b; None for zero.
    decoder : ndarray of shape (n_features, n_components)
        V.
    decoder_bias : ndarray of shape (n_features,) or None
        c; None for zero.
    code_rms : float
        Root mean square of the codes.
    noise : float or None
        Variance of the noise of a probabilistic start, whose encoder also has the log-variances of
        the codes; None for other starts.
    """

    encoder: np.ndarray
    bias: np.ndarray | None
    decoder: np.ndarray
    decoder_bias: np.ndarray | None
    code_rms: float
    noise: float | None = None


def compute_pca_start(sample, n_components, random_state):
    """Return the start of PCA, for the rows of a `Sample`.

    Parameters
    ----------
    sample : Sample
    n_components : int or float
        Number of components, or the share in (0, 1) of the variance that they shall explain.
        Components beyond what `PCA` can give, min(n_samples, n_features), start at zero.
    random_state : int or RandomState
        For the randomised solver of `PCA`.

    Returns
    -------
    start : LinearStart
    """
    components, variance = sample.compute_components(n_components, random_state)
    components, code_rms = pad_components(components, variance, n_components)
    return LinearStart(components, None, components.T, None, code_rms)


def compute_regression_start(inputs, targets, corrupt, n_components, random_state):
    """Return the start of reduced-rank regression: of clean rows on damaged ones.

    It is the regression followed by the PCA of its predictions, the best linear map of that
    rank [1]_.

    Parameters
    ----------
    inputs, targets : Sample
        What the networks see, and what they should return; the same object unless rows are pairs.
    corrupt : callable or None
        Returns a corrupted copy of a tensor of inputs.
    n_components, random_state
        As in `compute_pca_start`.

    Returns
    -------
    start : LinearStart

    References
    ----------
    .. [1] Izenman, "Reduced-rank regression for the multivariate linear model", Journal of
       Multivariate Analysis 5, 1975.
    """
    clean, damaged = read_pair(inputs, targets, inputs.choose_index())
    (n_samples, n_outputs), n_features = clean.shape, damaged.shape[1]
    basis, is_wide = np.eye(n_outputs, dtype=clean.numpy().dtype), n_samples < n_outputs
    if is_wide:
        # Rows span fewer dimensions than they have columns, and their restoration does, too: the
        # regression is solved for coordinates in a basis of that span, (n_basis, n_outputs).
        basis, _ = compute_components(clean.numpy().copy(), n_outputs, random_state=0)
    if corrupt is not None:
        n_enough = -(-CORRUPTED_ROWS_A_FEATURE * n_features // n_samples)
        n_draws = max(1, min(n_enough, MAX_CORRUPTED_ENTRIES // damaged.numel()))
        if n_draws > 1:  # (n_draws * n_samples, n_outputs) and (n_draws * n_samples, n_features)
            clean, damaged = clean.repeat(n_draws, 1), damaged.repeat(n_draws, 1)
        damaged = corrupt(damaged)
    clean, damaged = clean.numpy(), damaged.numpy()
    scatter = float(damaged.var(axis=0).mean())
    # Where only rounding errors of the rows are left, they must not set the penalty.
    if scatter <= (10 * np.finfo(np.float32).eps) ** 2 * np.square(damaged).mean():
        scatter = 1.0
    # The penalty draws the regression towards the identity, where that is a map of these features.
    has_identity = n_features == n_outputs
    changes = clean - damaged if has_identity else clean
    changes = changes @ basis.T if is_wide else changes  # (n_draws * n_samples, n_basis)
    penalty = choose_penalty(damaged, changes) if corrupt is None else PENALTY
    # If features are linearly dependent, the solver needs at least this much, in its precision.
    share = max(penalty / n_samples, 10 * n_features * np.finfo(clean.dtype).eps)
    regression = Ridge(share * scatter * len(clean), solver="cholesky").fit(damaged, changes)
    # (n_basis, n_features) and (n_basis,), also where scikit-learn has squeezed a single output
    weight = np.atleast_2d(regression.coef_) + (basis if has_identity else 0)
    bias = np.atleast_1d(regression.intercept_)
    restored = damaged @ weight.T + bias
    components, variance = compute_components(restored, n_components, random_state)
    components, code_rms = pad_components(components, variance, n_components)
    decoder = (components @ basis).T  # (n_outputs, n_components)
    return LinearStart(components @ weight, components @ bias, decoder, None, code_rms)


def compute_covariates_start(sample, labels, n_components, random_state):
    """Return the start of principal covariates regression [1]_: the code keeps targets, too.

    It is the PCA of the rows with their targets beside them, as the rows predict these.

    Parameters
    ----------
    sample : Sample
    labels : ndarray of shape (n_rows, n_targets)
        Of all rows of the table; NaN where there is none.
    n_components, random_state
        As in `compute_pca_start`.

    Returns
    -------
    start : LinearStart

    References
    ----------
    .. [1] De Jong and Kiers, "Principal covariates regression: Part I. Theory", Chemometrics and
       Intelligent Laboratory Systems 14, 1992.
    """
    index = sample.choose_index()
    # in float64: the regression of targets has no ridge that would hide rounding
    rows = sample.read_rows(index).double().numpy()
    weight, bias = regress_targets(rows, labels[index])  # (n_targets, n_features), (n_targets,)
    both = np.hstack([rows, rows @ weight.T + bias])
    components, variance = compute_components(both, n_components, random_state)
    components, code_rms = pad_components(components, variance, n_components)
    of_rows, of_targets = np.split(components, [rows.shape[1]], axis=1)
    encoder = of_rows + of_targets @ weight
    return LinearStart(encoder, of_targets @ bias, components.T, None, code_rms)


def regress_targets(rows, labels):
    """Return weight and bias of the regression of targets on rows, from those that have them.

    It is that of least squares if there are `ROWS_A_FEATURE_FOR_TARGETS`. With fewer rows it is a
    ridge regression, whose penalty is chosen by leave-one-out cross-validation.
    """
    is_known = ~np.isnan(labels).any(axis=1)
    if is_known.sum() < 2:
        return np.zeros((labels.shape[1], rows.shape[1])), np.zeros(labels.shape[1])
    rows, labels = rows[is_known], labels[is_known]
    offset, mean = rows.mean(axis=0), labels.mean(axis=0)
    if len(rows) >= ROWS_A_FEATURE_FOR_TARGETS * rows.shape[1]:
        # columns that are sums of others but for rounding would have enormous weights
        weight = lstsq(rows - offset, labels - mean, cond=SMALLEST_DIRECTION)[0].T
    else:
        penalties = PENALTIES * max(rows.var(axis=0).mean(), np.finfo(np.float32).tiny)
        regression = RidgeCV(penalties, fit_intercept=False).fit(rows - offset, labels - mean)
        weight = np.atleast_2d(regression.coef_)
    return weight, mean - weight @ offset


def pad_components(components, variance, n_components):
    """Return components, followed by zeros if too few, and the root mean square of the codes."""
    code_rms = math.sqrt(variance.mean())
    # Codes of constant rows, or of rows that cannot be restored, do not vary.
    code_rms = 1.0 if code_rms < np.finfo(np.float32).eps else code_rms
    return np.pad(components, ((0, max(0, n_components - len(components))), (0, 0))), code_rms


def compute_probabilistic_start(sample, n_components, random_state, beta):
    """Return the best linear variational autoencoder of a `Sample`: probabilistic PCA [1]_, [2]_.

    Its distributions of codes are the true ones. Codes that do not lower the objective have the
    distribution of the prior, and the decoder ignores them.

    Returns
    -------
    start : LinearStart

    References
    ----------
    .. [1] Tipping and Bishop, "Probabilistic principal component analysis", Journal of the Royal
       Statistical Society B 61, 1999.
    .. [2] Lucas et al., "Don't blame the ELBO! A linear VAE perspective on posterior collapse",
       NeurIPS 2019.
    """
    components, variance = sample.compute_components(n_components, random_state)
    n_codes = max(n_components, len(components))
    if sample.units.has_logits:
        start, log_variance = make_bernoulli_start(sample, components, variance)
    else:
        total, n_found = sample.compute_variance(), len(components)
        left = max(0.0, total - variance.sum())
        if left < CANCELLATION * total and sample.has_all_digits:
            rows = sample.read_rows(sample.choose_index()).numpy()
            components, variances = compute_components(rows, rows.shape[1], random_state, "full")
            components, variance = components[:n_found], variances[:n_found]
            left = variances[n_found:].sum()
        n_active, noise = find_noise(variance, left, min(sample.shape), beta)
        components, variance = components[:n_active], variance[:n_active, None]
        gain = np.sqrt(variance - beta * noise)
        encoder, decoder = gain / variance * components, (gain * components).T
        start = LinearStart(encoder, None, decoder, None, 1.0, noise)
        log_variance = np.log(beta * noise / variance[:, 0])
    # Other codes have the prior's mean and log-variance, 0. The encoder gives all means, and after
    # them all log-variances, which are its biases: (2 * n_codes, n_features) and (2 * n_codes,).
    n_more = n_codes - len(log_variance)
    encoder = np.pad(start.encoder, ((0, n_more + n_codes), (0, 0)))
    bias = np.pad(log_variance, (n_codes, n_more))
    decoder = np.pad(start.decoder, ((0, 0), (0, n_more)))  # (n_features, n_codes)
    return replace(start, encoder=encoder, bias=bias, decoder=decoder)


def find_noise(variance, left, n_directions, beta):
    """Return the number of active codes and the noise variance of the best linear model.

    Parameters
    ----------
    variance : ndarray of shape (n_components,)
        Of the principal components, descending.
    left : float
        Sum of the variances of the other directions.
    n_directions : int
        Directions in which the rows can vary; as `PCA` counts them.
    beta : float

    Returns
    -------
    n_active : int
    noise : float
        For ``beta=1`` the mean variance of the other directions. In general it balances them and
        what the distributions of the codes add. At least `LEAST_NOISE` mean variances.
    """
    left = left + np.append(np.cumsum(variance[::-1])[::-1], 0.0)
    total = left[0]
    least = LEAST_NOISE * max(total / n_directions, 1e-12)
    for n_active in range(min(len(variance), n_directions - 1), 0, -1):
        n_free = n_directions - beta * n_active
        # no component is dropped because those that are left leave nothing
        noise = max(left[n_active] / n_free, least) if n_free > 0 else np.inf
        if beta * noise < variance[n_active - 1]:
            return n_active, float(noise)
    return 0, float(max(total / n_directions, least))


def make_bernoulli_start(sample, components, variance):
    """Return the start of a variational autoencoder of bits, and log-variances of its codes.

    It is PCA with logits. The variances of the codes are those of the Laplace approximation at the
    mean, on average over the rows.
    """
    n_active = int((variance > LEAST_NOISE).sum())
    deviation = np.sqrt(variance[:n_active, None])  # (n_active, 1)
    encoder, decoder = components[:n_active] / deviation, (deviation * components[:n_active]).T
    rows = sample.read_rows(sample.choose_few()).numpy()
    start = LinearStart(encoder, None, decoder, None, 1.0)
    start = convert_to_logits(start, rows, rows, sample.units)
    logits = rows @ encoder.T @ start.decoder.T + start.decoder_bias  # (n_rows, n_features)
    # The second derivative of the cross-entropy of a bit by its logit is p (1 - p).
    curvature = (expit(logits) * expit(-logits)).mean(axis=0) @ np.square(start.decoder)
    return start, -np.log1p(curvature)


class Sample:
    """The rows from which the start is computed: all of an index, or a random sample of them.

    Parameters
    ----------
    rows : Rows
    units : Units
    random_state : int or RandomState
    index : ndarray of int, default=None
        None for all rows.
    n_columns : int, default=None
        Of the widest table that is read together with this one; None for its own.
    """

    def __init__(self, rows, units, random_state, index=None, n_columns=None):
        self.rows, self.units = rows, units
        self.is_sparse = isinstance(rows, SparseRows)
        self.has_all_digits = not self.is_sparse  # where variances nearly vanish
        self.index = np.arange(len(rows)) if index is None else index
        if len(self.index) > MAX_ROWS:
            rng = check_random_state(random_state)
            self.index = np.sort(rng.choice(self.index, MAX_ROWS, replace=False))
        self.shape = len(self.index), rows.shape[1]
        self.n_columns = n_columns or rows.shape[1]

    def move_to(self, rows, units):
        """Return the sample of the same rows of another table, in its units."""
        return Sample(rows, units, None, self.index, self.n_columns)

    def compute_components(self, n_components, random_state):
        """Return the principal components, an array, and their variances.

        A sparse table is never made dense if the number of components is given.
        """
        n_samples, n_features = self.shape
        is_narrow, is_near = n_features <= MAX_FEATURES_FOR_COVARIANCE, self.units.is_near_zero()
        # A share needs all components: long tables near zero give them without being made dense.
        has_share = is_near and n_features <= min(n_samples, MAX_FEATURES_FOR_SHARE)
        if not self.is_sparse or (n_components < 1 and not has_share):
            if is_narrow and n_samples >= ROWS_A_FEATURE_FOR_COVARIANCE * n_features:
                return compute_eigenvectors(self.compute_covariance(), n_components)
            rows = self.read_rows(self.choose_index()).numpy()
            return compute_components(rows, n_components, random_state)
        # Few features are solved by their covariance, more by ARPACK, which needs only products
        # with the table. A covariance, and float32, have too few digits for large means.
        # Nor does float32 hold the squares of large numbers.
        X = self.read_sparse()
        if not is_near or self.units.spread > LARGEST_SPREAD:
            X = X.astype(np.float64, copy=False)
        by_covariance = is_near and (is_narrow or n_components < 1)
        if n_components >= 1:  # one more than n_samples - 1 would have no variance
            n_components = min(n_components, n_samples - 1, n_features - (not by_covariance))
        if not by_covariance:
            # ARPACK has an error for rows that are all equal, but for rounding.
            mean, variance = mean_variance_axis(X.astype(np.float64, copy=False), axis=0)
            if (variance <= np.square(np.finfo(X.dtype).eps * mean)).all():
                return np.eye(n_components, n_features), np.zeros(n_components)
        solver = "covariance_eigh" if by_covariance else "arpack"
        components, variance = compute_components(X, n_components, random_state, solver)
        return components, self.standardize_variance(variance)

    def compute_variance(self):
        """Return the sum of the variances of the standardised features."""
        n_samples = self.shape[0]
        if self.is_sparse:
            _, variance = mean_variance_axis(self.read_sparse().astype(np.float64), axis=0)
            total = float(self.standardize_variance(variance).sum())
            return total * n_samples / (n_samples - 1)
        parts = (part.double() for part in self.read_parts(self.index))
        sums = sum(torch.stack([u.sum(dim=0), u.square().sum(dim=0)]) for u in parts)
        total, squares = sums  # (n_features,) each
        return float((squares - total.square() / n_samples).sum()) / (n_samples - 1)

    def standardize_variance(self, variance):
        """Return variances of features of X, or of directions, as those of u."""
        return self.units.standardize_length(self.units.standardize_length(variance))

    def read_sparse(self):
        """Return the rows of a sparse table, not standardised; all rows without a copy."""
        X = self.rows.X
        return X if len(self.index) == len(self.rows) else X[self.index]

    def compute_covariance(self):
        """Return the covariance of the features, computed in constant memory."""
        n_samples, products, total = self.shape[0], 0, 0
        for part in self.read_parts(self.index):
            # Products in the dtype of X are fast; their sum over many parts needs more digits.
            products += (part.T @ part).double()
            total += part.sum(dim=0, dtype=torch.float64)
        covariance = (products - torch.outer(total, total) / n_samples) / (n_samples - 1)
        return covariance.cpu().numpy()

    def choose_index(self, max_rows=MAX_ROWS):
        """Return the index of all rows, or of `max_rows` spread evenly over them.

        There are fewer where so many would have more than `MAX_ENTRIES` entries.
        """
        min_rows = MIN_DENSE_ROWS if self.is_sparse else MAX_ROWS_FOR_SLOPE
        max_rows = min(max_rows, max(min_rows, MAX_ENTRIES // self.n_columns))
        return self.index[:: -(-len(self.index) // max_rows)]

    def choose_few(self):
        """Return the index of as many rows as the slope of logits needs."""
        n_fitting = max(MIN_DENSE_ROWS, MAX_SPARSE_ENTRIES_FOR_SLOPE // self.n_columns)
        max_rows = min(MAX_ROWS_FOR_SLOPE, n_fitting) if self.is_sparse else MAX_ROWS_FOR_SLOPE
        return self.choose_index(max_rows)

    def read_rows(self, index):
        """Return the standardised rows at an index, an array, as a tensor on the CPU."""
        # Filled part by part: joining a list of parts would hold all rows twice.
        rows, n_filled = torch.empty(len(index), self.shape[1], dtype=self.rows.dtype), 0
        for part in self.read_parts(index):
            rows[n_filled : n_filled + len(part)] = part
            n_filled += len(part)
        return rows

    def read_parts(self, index):
        """Yield the rows at an index, standardised in their dtype, part by part."""
        n_rows = max(1, PART_ENTRIES // self.shape[1])
        for part in torch.from_numpy(index).to(self.rows.home).split(n_rows):
            yield self.units.standardize(self.rows.read(part))


class FilledSample(Sample):
    """Rows whose missing values are filled.

    Parameters
    ----------
    fill : FillMissing
    rows, units, random_state, index, n_columns
        As in `Sample`.
    """

    def __init__(self, fill, rows, units, random_state, index=None, n_columns=None):
        super().__init__(rows, units, random_state, index, n_columns)
        # The covariance is an estimate with a ridge: the digits of single rows would add nothing.
        self.fill, self.has_all_digits = fill, False

    def compute_components(self, n_components, random_state):
        return compute_eigenvectors(self.compute_covariance(), n_components)

    def compute_variance(self):
        return float(np.trace(self.compute_covariance()))

    def compute_covariance(self):
        """Return the covariance by which all rows are filled; of some of them that of these."""
        if len(self.index) == len(self.rows):
            return self.fill.make_covariance().cpu().numpy()
        return super().compute_covariance()

    def read_parts(self, index):
        yield from map(self.fill, super().read_parts(index))


def compute_eigenvectors(covariance, n_components):
    """Return the principal components of a covariance and their variances, as PCA has them."""
    n_features = len(covariance)
    n_largest = min(n_components, n_features) if n_components >= 1 else n_features
    largest = n_features - n_largest, n_features - 1
    variance, vectors = eigh(covariance, subset_by_index=largest, overwrite_a=True)
    variance, components = np.maximum(variance[::-1], 0), vectors[:, ::-1].T
    if n_components < 1:
        explained = np.cumsum(variance) / (variance.sum() or 1.0)
        n_largest = np.searchsorted(explained, n_components, side="right") + 1
    # Eigenvectors have arbitrary signs; scikit-learn's rule makes codes equal to those of PCA.
    _, components = svd_flip(None, components[:n_largest], u_based_decision=False)
    return components, variance[:n_largest]


def compute_components(X, n_components, random_state, solver="auto"):
    """Return principal components and their variances by PCA, which may overwrite a dense X."""
    n_components = min(n_components, min(X.shape))
    pca = PCA(n_components, copy=False, svd_solver=solver, random_state=random_state)
    with np.errstate(divide="ignore", invalid="ignore"):  # the variance ratios of a constant X
        pca.fit(X)
    return pca.components_, pca.explained_variance_


def convert_to_logits(start, targets, inputs, units):
    """Return the start whose outputs are logits, slope · (x̂ - ½).

    Where the linear autoencoder gives ½ they give even odds. The slope minimises the
    cross-entropy of the rows, which is a convex function of it.
    """
    codes = inputs @ start.encoder.T + (0 if start.bias is None else start.bias)
    margin = units.restore_array(codes @ start.decoder.T) - 0.5
    X = units.restore_array(targets)

    def compute_cross_entropy(slope):
        return (np.logaddexp(0, slope * margin) - slope * margin * X).mean()

    slope = minimize_scalar(compute_cross_entropy, bounds=(0, MAX_SLOPE), method="bounded").x
    decoder, bias = units.make_logits(start.decoder, slope)
    return replace(start, decoder=decoder, decoder_bias=bias)


def read_pair(inputs, targets, index):
    """Return the standardised targets and inputs of two samples; one tensor if they are one."""
    rows = targets.read_rows(index)
    return rows, rows if inputs is targets else inputs.read_rows(index)


def choose_penalty(inputs, targets):
    """Return the ridge penalty for pairs, of which there is one draw: by cross-validation.

    It is in mean variances of an input. Where there are more features than rows, which would take
    long, it is that for corrupted rows.
    """
    if inputs.shape[0] <= inputs.shape[1]:
        return PENALTY
    inputs, targets = (torch.from_numpy(rows).split(PART_ROWS) for rows in (inputs, targets))
    pairs = zip(inputs, targets, strict=True)
    sums = reduce(operator.add, (Sums.of_rows(u, v) for u, v in pairs))
    return float(PENALTIES[HiddenRidge(sums).validate().argmin()])
