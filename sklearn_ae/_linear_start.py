"""The closed-form linear autoencoder that training starts from."""

import math
from dataclasses import dataclass, replace

import numpy as np
import torch
from scipy.linalg import eigh
from scipy.optimize import minimize_scalar
from sklearn.decomposition import PCA
from sklearn.linear_model import Ridge
from sklearn.utils import check_random_state
from sklearn.utils.extmath import svd_flip

from ._rows import PART_ENTRIES, SparseRows

MAX_ROWS = 100_000  # of which the start is computed, drawn at random where X has more
MAX_ENTRIES = 2**26  # of these rows, where all have to be in memory, dense, at once

# As in scikit-learn's PCA: what is narrow and long enough is solved by its covariance.
MAX_FEATURES_FOR_COVARIANCE = 1_000
ROWS_A_FEATURE_FOR_COVARIANCE = 10

# Few rows are corrupted several times over, until they make this many a feature: the
# regression then averages over the corruption instead of learning one draw of it.
CORRUPTED_ROWS_A_FEATURE = 50
MAX_CORRUPTED_ENTRIES = 2**24  # of all draws together, beyond the first

# Ridge penalty of the regression, in mean variances of a corrupted feature: as much as one row
# holds. It draws towards leaving rows as they are, that is towards PCA.
PENALTY = 1.0

MAX_ROWS_FOR_SLOPE = 1_000  # evenly over those that the start is computed of
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
        Root of the mean square of the codes that are in use.
    """

    encoder: np.ndarray
    bias: np.ndarray | None
    decoder: np.ndarray
    decoder_bias: np.ndarray | None
    code_rms: float


def linear_start(rows, n_components, random_state, corrupt=None, logits=False):
    """Return the best linear autoencoder for the rows of a table: PCA, or reduced-rank regression.

    Without corruption it is PCA. With one it maps corrupted rows to clean ones: the
    regression followed by the PCA of what it predicts, which is the best linear map of that
    rank [1]_.

    Parameters
    ----------
    rows : StandardizedRows of shape (n_samples, n_features)
        Of more than `MAX_ROWS` rows a random sample of that many is used, and fewer where
        `MAX_ENTRIES` is less.
    n_components : int or float
        Number of codes, or the share in (0, 1) that they are to explain of the variance
        that all together explain. Codes beyond what `PCA` can give, min(n_samples,
        n_features), start at zero.
    random_state : int or RandomState
        For the sample and the randomised solver of `PCA`.
    corrupt : callable or None, default=None
        Returns a corrupted copy of an array of standardised rows.
    logits : bool, default=False
        Whether outputs are to be logits of X, in [0, 1], instead of standardised rows.

    Returns
    -------
    start : LinearStart

    References
    ----------
    .. [1] Izenman, "Reduced-rank regression for the multivariate linear model", Journal of
       Multivariate Analysis 5, 1975.
    """
    sample = Sample(rows, random_state)
    restoration = None
    if corrupt is None:
        components, variance = sample.principal_components(n_components, random_state)
    else:
        restoration = Restoration(sample.array(), corrupt)
        components, variance = principal_components(restoration.scores, n_components, random_state)
    code_rms = math.sqrt(variance.mean())
    if code_rms < np.finfo(np.float32).eps:  # nothing varies, or nothing can be restored
        code_rms = 1.0
    components = np.pad(components, ((0, max(0, n_components - len(components))), (0, 0)))
    if restoration is None:
        start = LinearStart(components, None, components.T, None, code_rms)
    else:
        start = LinearStart(
            components @ restoration.weight,
            components @ restoration.bias,
            (components @ restoration.basis).T,
            None,
            code_rms,
        )
    if not logits:
        return start
    few = sample.array(MAX_ROWS_FOR_SLOPE)
    mean = rows.mean.cpu().numpy()
    return with_logits(start, few, few if corrupt is None else corrupt(few), mean, rows.scale)


class Sample:
    """The rows that the start is computed of: all, or a random sample of them.

    Parameters
    ----------
    rows : StandardizedRows
    random_state : int or RandomState
    """

    def __init__(self, rows, random_state):
        self.rows = rows
        self.index = np.arange(len(rows))
        if len(rows) > MAX_ROWS:
            rng = check_random_state(random_state)
            self.index = np.sort(rng.choice(len(rows), MAX_ROWS, replace=False))
        self.shape = len(self.index), rows.rows.shape[1]

    def principal_components(self, n_components, random_state):
        """Return the principal components, an array, and their variances."""
        n_samples, n_features = self.shape
        if (
            n_features <= MAX_FEATURES_FOR_COVARIANCE
            and n_samples >= ROWS_A_FEATURE_FOR_COVARIANCE * n_features
        ):
            return eigenvectors(self.covariance(), n_components)
        is_sparse = isinstance(self.rows.rows, SparseRows)
        is_large = n_samples * n_features > MAX_ENTRIES
        if is_sparse and is_large and 1 <= n_components < min(self.shape):
            pca = PCA(n_components, svd_solver="arpack", random_state=random_state)
            pca.fit(self.rows.rows.X[self.index])
            return pca.components_, pca.explained_variance_ / self.rows.scale**2
        return principal_components(self.array(), n_components, random_state)

    def covariance(self):
        """Return the covariance of the features, computed in constant memory."""
        products, total = 0, 0
        for part in self.parts(self.index):
            products += (part.T @ part).double()
            total += part.sum(dim=0, dtype=torch.float64)
        n_samples, _ = self.shape
        covariance = (products - torch.outer(total, total) / n_samples) / (n_samples - 1)
        return covariance.cpu().numpy()

    def array(self, max_rows=MAX_ROWS):
        """Return the rows as an array, or `max_rows` or `MAX_ENTRIES` evenly over them."""
        _, n_features = self.shape
        max_rows = min(max_rows, max(MAX_ROWS_FOR_SLOPE, MAX_ENTRIES // n_features))
        index = self.index[:: -(-len(self.index) // max_rows)]
        array = torch.empty(len(index), n_features, dtype=self.rows.rows.dtype)
        n_filled = 0
        for part in self.parts(index):
            array[n_filled : n_filled + len(part)] = part
            n_filled += len(part)
        return array.numpy()

    def parts(self, index):
        """Yield the rows at an index, standardised in their dtype, in parts."""
        n_rows = max(1, PART_ENTRIES // self.shape[1])
        for part in torch.from_numpy(index).to(self.rows.rows.home).split(n_rows):
            yield self.rows.standardized(self.rows.rows.read(part))


def eigenvectors(covariance, n_components):
    """Return principal components and their variances, as PCA has them, of a covariance."""
    n_features = len(covariance)
    n_largest = min(n_components, n_features) if n_components >= 1 else n_features
    largest = n_features - n_largest, n_features - 1
    variance, vectors = eigh(covariance, subset_by_index=largest, overwrite_a=True)
    variance, components = np.maximum(variance[::-1], 0), vectors[:, ::-1].T
    if n_components < 1:
        explained = np.cumsum(variance) / (variance.sum() or 1.0)
        n_largest = np.searchsorted(explained, n_components, side="right") + 1
    _, components = svd_flip(None, components[:n_largest], u_based_decision=False)
    return components, variance[:n_largest]


def principal_components(X, n_components, random_state):
    """Return principal components and their variances by PCA, which may overwrite X."""
    pca = PCA(min(n_components, *X.shape), copy=False, random_state=random_state)
    with np.errstate(divide="ignore", invalid="ignore"):  # the variance ratios of a constant X
        pca.fit(X)
    return pca.components_, pca.explained_variance_


def with_logits(start, targets, inputs, mean, scale):
    """Return the start whose outputs are logits, slope · (x̂ - ½).

    It gives even odds where the linear autoencoder gives ½. The slope is the one number that
    makes the cross-entropy of the rows least; as a function of it, that is convex.
    """
    codes = inputs @ start.encoder.T + (0 if start.bias is None else start.bias)
    margin = codes @ start.decoder.T * scale + mean - 0.5
    X = targets * scale + mean

    def cross_entropy(slope):
        return (np.logaddexp(0, slope * margin) - slope * margin * X).mean()

    slope = minimize_scalar(cross_entropy, bounds=(0, MAX_SLOPE), method="bounded").x
    return replace(start, decoder=slope * scale * start.decoder, decoder_bias=slope * (mean - 0.5))


class Restoration:
    """The regression of clean rows on corrupted copies of them, in an orthonormal basis.

    Parameters
    ----------
    U : ndarray of shape (n_samples, n_features)
    corrupt : callable
        Returns a corrupted copy of an array of rows.

    Attributes
    ----------
    basis : ndarray of shape (n_basis, n_features)
        Of the features, or where these are more than the rows, of what the rows span.
    weight : ndarray of shape (n_basis, n_features)
    bias : ndarray of shape (n_basis,)
        weight @ u + bias are the coordinates of the row that is restored from u.
    scores : ndarray of shape (n_draws * n_samples, n_basis)
        Those of corrupted copies of the rows of U.
    """

    def __init__(self, U, corrupt):
        n_samples, n_features = U.shape
        wide = n_samples < n_features
        self.basis = np.eye(n_features, dtype=U.dtype)
        if wide:
            self.basis, _ = principal_components(U.copy(), n_features, random_state=0)
        n_draws = min(
            -(-CORRUPTED_ROWS_A_FEATURE * n_features // n_samples), MAX_CORRUPTED_ENTRIES // U.size
        )
        clean = np.tile(U, (n_draws, 1)) if n_draws > 1 else U
        corrupted = corrupt(clean)
        variance = float(corrupted.var(axis=0).mean())
        if variance <= (10 * np.finfo(np.float32).eps) ** 2 * np.square(corrupted).mean():
            variance = 1.0  # nothing is left of U but rounding
        # the solver needs a penalty too, in its precision, where features are made equal
        share = max(PENALTY / n_samples, 10 * n_features * np.finfo(U.dtype).eps)
        regression = Ridge(share * variance * len(clean), solver="cholesky")
        changes = clean - corrupted
        regression.fit(corrupted, changes @ self.basis.T if wide else changes)
        self.weight = self.basis + np.atleast_2d(regression.coef_)
        self.bias = np.atleast_1d(regression.intercept_)
        self.scores = corrupted @ self.weight.T + self.bias
