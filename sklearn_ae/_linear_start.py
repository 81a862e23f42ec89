"""The closed-form linear autoencoder that training starts from."""

from dataclasses import dataclass

import numpy as np
from sklearn.decomposition import PCA
from sklearn.utils import check_random_state

MAX_ROWS = 100_000  # of which the start is computed, drawn at random where X has more


@dataclass(frozen=True)
class LinearStart:
    """The matrices of a linear autoencoder z = W u, û = V z.

    Attributes
    ----------
    encoder : ndarray of shape (n_components, n_features)
        W.
    decoder : ndarray of shape (n_features, n_components)
        V.
    code_rms : float
        Root of the mean square of the codes that are in use.
    """

    encoder: np.ndarray
    decoder: np.ndarray
    code_rms: float


def linear_start(X, mean, scale, n_components, random_state):
    """Return the best linear autoencoder for the rows of X: PCA.

    Parameters
    ----------
    X : ndarray of shape (n_samples, n_features)
        With more than `MAX_ROWS` rows a random sample of that many is used.
    mean : ndarray of shape (n_features,)
    scale : float
        The start is for u = (X - mean) / scale; subtracting the mean here and not in
        `PCA` keeps its precision where X has a large offset.
    n_components : int or float
        Number of codes, or the share of the variance in (0, 1) that they are to explain.
        Codes beyond what `PCA` can give, min(n_samples, n_features), start at zero.
    random_state : int or RandomState
        For the sample and the randomised solver of `PCA`.

    Returns
    -------
    start : LinearStart
    """
    n_samples, n_features = X.shape
    if n_samples > MAX_ROWS:
        rng = check_random_state(random_state)
        X = X[np.sort(rng.choice(n_samples, MAX_ROWS, replace=False))]
    n_fitted = min(n_components, *X.shape)
    with np.errstate(divide="ignore", invalid="ignore"):  # the variance ratios of a constant X
        pca = PCA(n_fitted, random_state=random_state).fit((X - mean) / scale)
    components = pca.components_
    code_rms = float(np.sqrt(pca.explained_variance_.mean())) or 1.0
    if n_components > len(components):
        idle = np.zeros((n_components - len(components), n_features), components.dtype)
        components = np.concatenate([components, idle])
    return LinearStart(components, components.T, code_rms)
