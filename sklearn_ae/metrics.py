"""Scores of reconstructions, for every transformer that can be inverted.

A scorer is a callable ``(estimator, X, y=None) -> float``, the higher the better, to be used as
`scoring` in `sklearn.model_selection.GridSearchCV` and `cross_validate`. Those here call only
`transform` and `inverse_transform`, and so compare PCA, KernelPCA with
``fit_inverse_transform=True``, NMF, autoencoders and pipelines of them. None needs labels.
"""

from dataclasses import dataclass

import numpy as np
import torch
from scipy.sparse import issparse
from sklearn.metrics import mean_squared_error, r2_score
from sklearn.utils import check_array

from ._rows import as_tensor, is_array_api, like_array
from .corruption import check_corruption, corrupt

__all__ = [
    "RestorationScorer",
    "peak_signal_noise_ratio",
    "reconstruction_neg_mean_squared_error",
    "reconstruction_r2",
]


SMALLEST, LARGEST = 1e-100, 1e100  # whose squares, summed, float64 holds


def reconstruction_r2(estimator, X, y=None):  # noqa: ARG001
    """Return the share of the variance of X that its reconstruction keeps, R².

    Parameters
    ----------
    estimator : fitted transformer
        With `transform` and `inverse_transform`.
    X : {array-like, sparse matrix} of shape (n_samples, n_features)
        What is sparse is made dense, as its reconstruction is.
    y : object, default=None
        Ignored; here for scikit-learn's convention.

    Returns
    -------
    score : float
        `sklearn.metrics.r2_score` with ``multioutput="variance_weighted"``; for a PCA of X
        the explained variance ratio. It is in the units of X, also for a pipeline that scales:
        where features have different units, that of the largest numbers decides, unless X is
        standardised.

    Examples
    --------
    >>> from sklearn.datasets import load_digits
    >>> from sklearn.decomposition import PCA
    >>> from sklearn.model_selection import GridSearchCV
    >>> from sklearn_ae.metrics import reconstruction_r2
    >>> grid = {"n_components": [2, 4, 8]}
    >>> search = GridSearchCV(PCA(), grid, scoring=reconstruction_r2).fit(load_digits().data)
    >>> search.best_params_
    {'n_components': 8}
    """
    return r2(X, reconstructed(estimator, X))


def reconstruction_neg_mean_squared_error(estimator, X, y=None):  # noqa: ARG001
    """Return minus the mean squared error of the reconstruction of X, over all entries.

    Parameters
    ----------
    estimator : fitted transformer
        With `transform` and `inverse_transform`.
    X : {array-like, sparse matrix} of shape (n_samples, n_features)
        What is sparse is made dense, as its reconstruction is.
    y : object, default=None
        Ignored; here for scikit-learn's convention.

    Returns
    -------
    score : float
        In squared units of X.
    """
    return neg_mean_squared_error(X, reconstructed(estimator, X))


@dataclass(frozen=True)
class RestorationScorer:
    """Scorer of how well an estimator restores X from a corrupted X.

    It corrupts X, restores it by `inverse_transform` of `transform`, and compares with X. So
    code size and corruption level can be searched without labels.

    Parameters
    ----------
    corruption : {"gaussian", "masking", "salt_and_pepper"} or callable, default="gaussian"
        As in `DenoisingAutoencoder`, as are the next two: what the data that are to be
        restored will have gone through, whatever the estimator was trained with.
    corruption_level : float, default=0.5
        Standard deviation in units of X, or share of the entries; ignored with a callable.
    corruption_range : (float, float) or None, default=None
        Lowest and highest value of the corrupted X. For NMF, which takes no negative
        numbers, it has to start at 0.
    metric : {"r2", "neg_mean_squared_error"}, default="r2"
        What is returned: R² as in `reconstruction_r2`, or minus the mean squared error.
    random_state : int, RandomState instance or None, default=0
        Determines the corruption; with an int every estimator meets the same.

    Raises
    ------
    ValueError
        If a parameter is outside its range.

    Examples
    --------
    >>> from sklearn.datasets import load_digits
    >>> from sklearn.decomposition import PCA
    >>> from sklearn.model_selection import GridSearchCV
    >>> from sklearn_ae.metrics import RestorationScorer
    >>> X = load_digits().data / 16
    >>> restoration = RestorationScorer("gaussian", 0.3)
    >>> search = GridSearchCV(PCA(), {"n_components": [4, 16, 64]}, scoring=restoration).fit(X)
    >>> search.best_params_
    {'n_components': 16}
    """

    corruption: object = "gaussian"
    corruption_level: float = 0.5
    corruption_range: tuple | None = None
    metric: str = "r2"
    random_state: object = 0

    def __post_init__(self):
        check_corruption(self.corruption, self.corruption_level, self.corruption_range)
        if not isinstance(self.metric, str) or self.metric not in METRICS:
            raise ValueError(f"metric must be one of {sorted(METRICS)}; got {self.metric!r}.")

    def __call__(self, estimator, X, y=None):
        """Return the score of a fitted estimator on X."""
        how = {
            "corruption": self.corruption,
            "corruption_level": self.corruption_level,
            "corruption_range": self.corruption_range,
            "random_state": self.random_state,
        }
        X_corrupted = in_the_frame_of(X, corrupt(dense(X), **how))
        return METRICS[self.metric](X, reconstructed(estimator, X_corrupted))


def peak_signal_noise_ratio(X_true, X_restored, *, data_range=None):
    """Return the peak signal-to-noise ratio in decibels, over all entries.

    It is 10 log10(data_range² / mean squared error), scikit-image's measure of that name.

    Parameters
    ----------
    X_true, X_restored : array-like of the same shape
        Rows of numbers, or pictures of any shape.
    data_range : float, default=None
        Highest minus lowest possible value. None takes that of `X_true`.

    Returns
    -------
    ratio : float
        The higher, the closer; infinite for equal arrays.

    Raises
    ------
    ValueError
        If the shapes differ or the range is not positive and finite.

    Examples
    --------
    >>> from sklearn_ae.metrics import peak_signal_noise_ratio
    >>> peak_signal_noise_ratio([[0.0, 1.0]], [[0.1, 0.9]])
    20.0
    """
    X_true, X_restored = (
        check_array(X, dtype=np.float64, ensure_2d=False, allow_nd=True)
        for X in (X_true, X_restored)
    )
    check_same_shape(X_true, X_restored)
    if data_range is None:
        data_range = float(X_true.max()) - float(X_true.min())
    if not 0 < data_range < np.inf:
        raise ValueError(
            f"data_range must be positive and finite; got {data_range:g}. Of constant data it has "
            "to be given."
        )
    # squares of very large or small numbers are not numbers of float64
    error = np.square(X_true / data_range - X_restored / data_range).mean()
    return float(-10 * np.log10(error)) if error else float("inf")


def reconstructed(estimator, X):
    """Return what is left of X after encoding and decoding."""
    return estimator.inverse_transform(estimator.transform(X))


def in_the_frame_of(X, array):
    """Return an array as a data frame with the names of X, or as an array of its library."""
    if is_array_api(X):
        return like_array(torch.from_numpy(array), X)
    library = type(X).__module__.split(".")[0]
    if library == "pandas":
        return type(X)(array, index=X.index, columns=X.columns)
    return type(X)(array, schema=X.columns) if library == "polars" else array


def r2(X, X_restored):
    X, X_restored = as_arrays(X, X_restored)
    unit = np.abs(X).max()
    if not SMALLEST < unit < LARGEST and unit > 0:
        X, X_restored = X / unit, X_restored / unit
    return float(r2_score(X, X_restored, multioutput="variance_weighted"))


def neg_mean_squared_error(X, X_restored):
    return -float(mean_squared_error(*as_arrays(X, X_restored)))


def as_arrays(X_true, X_restored):
    """Return both as float64 arrays of one shape."""
    X_true, X_restored = (check_array(dense(X), dtype=np.float64) for X in (X_true, X_restored))
    check_same_shape(X_true, X_restored)
    return X_true, X_restored


def dense(X):
    """Return X as a NumPy array if it is sparse or of another array library."""
    if issparse(X):
        return X.toarray()
    return as_tensor(X).cpu().numpy() if is_array_api(X) else X


def check_same_shape(X_true, X_restored):
    if X_true.shape != X_restored.shape:
        raise ValueError(
            f"Both arrays must have the same shape; got {X_true.shape} and {X_restored.shape}."
        )


METRICS = {"r2": r2, "neg_mean_squared_error": neg_mean_squared_error}
