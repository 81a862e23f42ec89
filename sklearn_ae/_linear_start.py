"""The closed-form linear autoencoder that training starts from."""

from dataclasses import dataclass, replace

import numpy as np
from scipy.optimize import minimize_scalar
from sklearn.decomposition import PCA
from sklearn.linear_model import Ridge
from sklearn.utils import check_random_state

MAX_ROWS = 100_000  # of which the start is computed, drawn at random where X has more

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


def linear_start(X, mean, scale, n_components, random_state, corrupt=None, logits=False):
    """Return the best linear autoencoder for the rows of X: PCA, or reduced-rank regression.

    Without corruption it is PCA. With one it maps corrupted rows to clean ones: the
    regression followed by the PCA of what it predicts, which is the best linear map of that
    rank [1]_.

    Parameters
    ----------
    X : ndarray of shape (n_samples, n_features)
        With more than `MAX_ROWS` rows a random sample of that many is used.
    mean : ndarray of shape (n_features,)
    scale : float
        The start is for u = (X - mean) / scale; subtracting the mean here and not in
        `PCA` keeps its precision where X has a large offset.
    n_components : int or float
        Number of codes, or the share in (0, 1) that they are to explain of the variance
        that all together explain. Codes beyond what `PCA` can give, min(n_samples,
        n_features), start at zero.
    random_state : int or RandomState
        For the sample and the randomised solver of `PCA`.
    corrupt : callable or None, default=None
        Returns a corrupted copy of an array of rows u.
    logits : bool, default=False
        Whether outputs are to be logits of X, in [0, 1], instead of û.

    Returns
    -------
    start : LinearStart

    References
    ----------
    .. [1] Izenman, "Reduced-rank regression for the multivariate linear model", Journal of
       Multivariate Analysis 5, 1975.
    """
    if len(X) > MAX_ROWS:
        rng = check_random_state(random_state)
        X = X[np.sort(rng.choice(len(X), MAX_ROWS, replace=False))]
    U = (X - mean) / scale
    restoration = None if corrupt is None else Restoration(U, corrupt)
    n_fitted = min(n_components, *U.shape)
    with np.errstate(divide="ignore", invalid="ignore"):  # the variance ratios of a constant X
        pca = PCA(n_fitted, random_state=random_state)
        pca.fit(U if restoration is None else restoration.scores)
    code_rms = float(np.sqrt(pca.explained_variance_.mean()))
    if code_rms < np.finfo(np.float32).eps:  # nothing varies, or nothing can be restored
        code_rms = 1.0
    n_idle = max(0, n_components - len(pca.components_))
    components = np.pad(pca.components_, ((0, n_idle), (0, 0)))
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
    rows = U[:: -(-len(U) // MAX_ROWS_FOR_SLOPE)]
    return with_logits(start, rows, rows if corrupt is None else corrupt(rows), mean, scale)


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
        self.basis = PCA().fit(U).components_ if wide else np.eye(n_features, dtype=U.dtype)
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
