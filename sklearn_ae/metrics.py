"""Scores of reconstructions, for every transformer that can be inverted.

A scorer is a callable ``(estimator, X, y=None) -> float``, the higher the better, to be used as
`scoring` in `sklearn.model_selection.GridSearchCV` and `cross_validate`. The scorers of this
module call only `transform` and `inverse_transform`. They can therefore compare PCA, KernelPCA
with ``fit_inverse_transform=True``, NMF, autoencoders and pipelines of them, without labels.
"""

from dataclasses import dataclass

import numpy as np
import torch
from scipy.sparse import issparse
from sklearn.base import is_outlier_detector
from sklearn.metrics import mean_squared_error, r2_score
from sklearn.pipeline import Pipeline
from sklearn.utils import check_array

from ._base import BaseAutoencoder
from ._rows import RunningMoments, convert_like, convert_to_tensor, is_array_api
from .corruption import _check_corruption, corrupt

__all__ = [
    "RestorationScorer",
    "find_active_units",
    "log_likelihood",
    "peak_signal_noise_ratio",
    "reconstruction_neg_mean_squared_error",
    "reconstruction_r2",
]

_METRICS = ["neg_mean_squared_error", "r2"]

# Between these limits a sum of squares neither underflows nor overflows in float64.
_SMALLEST, _LARGEST = 1e-100, 1e100


def reconstruction_r2(estimator, X, y=None):  # noqa: ARG001
    """Return R², the share of the variance of X that its reconstruction explains.

    Parameters
    ----------
    estimator : fitted transformer
        It needs `transform` and `inverse_transform`.
    X : {array-like, sparse matrix} of shape (n_samples, n_features)
        Rows to reconstruct. A sparse matrix is converted to a dense array. Where an entry is NaN
        there is no error, as in `score` of the autoencoders.
    y : object, default=None
        Ignored. Present for API consistency by convention.

    Returns
    -------
    score : float
        `sklearn.metrics.r2_score` with ``multioutput="variance_weighted"``; at most 1. For a
        PCA fitted on X it is the explained variance ratio. Errors are measured in the units of
        X, also if the estimator is a pipeline that scales. If the features have different
        units, those with the largest variance dominate the score: standardise X beforehand.

    Raises
    ------
    ValueError
        If X has infinite entries or no value, if its reconstruction is not finite where X has
        values, or if their shapes differ.

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
    return _compare(X, estimator, X, "r2")


def reconstruction_neg_mean_squared_error(estimator, X, y=None):  # noqa: ARG001
    """Return minus the mean squared error of the reconstruction, over all entries of X.

    Parameters
    ----------
    estimator : fitted transformer
        It needs `transform` and `inverse_transform`.
    X : {array-like, sparse matrix} of shape (n_samples, n_features)
        Rows to reconstruct. A sparse matrix is converted to a dense array. Where an entry is NaN
        there is no error, as in `score` of the autoencoders.
    y : object, default=None
        Ignored. Present for API consistency by convention.

    Returns
    -------
    score : float
        At most 0, in squared units of X.

    Raises
    ------
    ValueError
        If X has infinite entries or no value, if its reconstruction is not finite where X has
        values, or if their shapes differ.
    """
    return _compare(X, estimator, X, "neg_mean_squared_error")


def log_likelihood(estimator, X, y=None):  # noqa: ARG001
    """Return the mean log-likelihood of the rows of X, or a lower bound of it.

    It is the mean of the estimator's `score_samples`. PCA, FactorAnalysis, GaussianMixture and
    KernelDensity have the log-likelihood itself, `VariationalAutoencoder` a bound.

    Parameters
    ----------
    estimator : fitted density
        It needs a `score_samples` that returns log-densities. In a pipeline these are densities of
        the rows that the last step sees: compare pipelines of the same scaler only.
    X : {array-like, sparse matrix} of shape (n_samples, n_features)
        Rows to score.
    y : object, default=None
        Ignored. Present for API consistency by convention.

    Returns
    -------
    score : float
        In nats per row, over those with any value; the higher, the better.

    Raises
    ------
    TypeError
        If the estimator has no likelihood: `score_samples` of the other autoencoders is a
        reconstruction error.

    Examples
    --------
    >>> from sklearn.datasets import load_digits
    >>> from sklearn.decomposition import PCA
    >>> from sklearn.model_selection import GridSearchCV
    >>> from sklearn_ae.metrics import log_likelihood
    >>> grid = {"n_components": [2, 8, 32]}
    >>> search = GridSearchCV(PCA(), grid, scoring=log_likelihood).fit(load_digits().data)
    >>> search.best_params_
    {'n_components': 32}
    """
    last = estimator[-1] if isinstance(estimator, Pipeline) else estimator
    # Outlier detectors and the other autoencoders have scores of the same name that are no
    # log-densities.
    has_errors = isinstance(last, BaseAutoencoder) and not hasattr(last, "posterior")
    if has_errors or is_outlier_detector(last) or not hasattr(last, "score_samples"):
        raise TypeError(
            f"{type(last).__name__} has no likelihood. Use VariationalAutoencoder, PCA, "
            "GaussianMixture or KernelDensity."
        )
    scores = np.asarray(_to_dense_array(estimator.score_samples(X)))
    # a row without any value has no score
    return float(np.nanmean(scores)) if not np.isnan(scores).all() else float("nan")


def find_active_units(estimator, X, threshold=0.01):
    """Return which dimensions of the code of a variational autoencoder are in use.

    A dimension is active if its mean varies from row to row [1]_. Means of a collapsed dimension
    are all near that of the prior, zero, and the decoder ignores it.

    Parameters
    ----------
    estimator : fitted transformer
        Such as `VariationalAutoencoder`. Codes of other transformers have no prior to which the
        threshold relates.
    X : {array-like, sparse matrix} of shape (n_samples, n_features)
    threshold : float, default=0.01
        Smallest variance of a mean over the rows. That of the prior is 1.

    Returns
    -------
    is_active : ndarray of bool of shape (n_components,)

    References
    ----------
    .. [1] Burda, Grosse and Salakhutdinov, "Importance weighted autoencoders", ICLR 2016.

    Examples
    --------
    >>> from sklearn.datasets import load_digits
    >>> from sklearn_ae import VariationalAutoencoder
    >>> from sklearn_ae.metrics import find_active_units
    >>> X = load_digits().data
    >>> autoencoder = VariationalAutoencoder(8, max_epochs=5, random_state=0).fit(X)
    >>> int(find_active_units(autoencoder, X).sum())
    8
    """
    # (n_samples, n_components)
    codes = np.asarray(_to_dense_array(estimator.transform(X)))
    return codes.var(axis=0) > threshold


@dataclass(frozen=True)
class RestorationScorer:
    """Scorer of how well an estimator restores X from a corrupted X.

    It corrupts X, restores it with `transform` and `inverse_transform`, and compares the result
    with X. A search can thus choose the code size and the corruption level without labels.

    Parameters
    ----------
    corruption : {"gaussian", "masking", "salt_and_pepper"} or callable, default="gaussian"
        Corruption of X before it is scored, as in `DenoisingAutoencoder`. Choose the one you
        expect in the data to restore; the estimator may have been trained with another.
    corruption_level : float, default=0.5
        Standard deviation of the noise in units of X ("gaussian"), or share of the entries that
        are replaced. Ignored if `corruption` is a callable.
    corruption_range : (float, float) or None, default=None
        Lowest and highest value of the corrupted X, to which it is clipped. NMF rejects
        negative numbers and needs a lowest value of 0. None does not clip.
    metric : {"r2", "neg_mean_squared_error"}, default="r2"
        The score: R² as in `reconstruction_r2`, or minus the mean squared error as in
        `reconstruction_neg_mean_squared_error`.
    random_state : int, RandomState instance or None, default=0
        Determines the corruption. With an int, all estimators are scored on the same
        corrupted X.

    Raises
    ------
    ValueError
        If a parameter is outside its range.

    See Also
    --------
    reconstruction_r2 : The score without corruption.
    sklearn_ae.corruption.corrupt : Corrupts X.

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
        _check_corruption(self.corruption, self.corruption_level, self.corruption_range)
        if self.metric not in _METRICS:
            raise ValueError(f"metric must be one of {_METRICS}; got {self.metric!r}.")

    def __call__(self, estimator, X, y=None):
        """Return the score of a fitted estimator on X.

        Parameters
        ----------
        estimator : fitted transformer
            It needs `transform` and `inverse_transform`.
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
            Clean rows.
        y : object, default=None
            Ignored. Present for API consistency by convention.

        Returns
        -------
        score : float
            The higher, the better.
        """
        rows = _to_dense_array(X)
        X_corrupted = corrupt(
            rows, self.corruption, self.corruption_level, self.corruption_range, self.random_state
        )
        return _compare(X, estimator, _match_container(X_corrupted, X), self.metric)


def peak_signal_noise_ratio(X_true, X_restored, *, data_range=None):
    """Return the peak signal-to-noise ratio, over all entries.

    It is 10 log10(data_range² / mean squared error), as
    `skimage.metrics.peak_signal_noise_ratio` computes it.

    Parameters
    ----------
    X_true, X_restored : array-like of the same shape
        Original and restored values: rows of a table or pictures, with any number of
        dimensions.
    data_range : float, default=None
        Highest minus lowest possible value. None takes the range of `X_true`.

    Returns
    -------
    ratio : float
        In decibels. The higher, the closer; infinite for equal arrays.

    Raises
    ------
    ValueError
        If the shapes differ, an entry is NaN or infinite, or the range is not positive and
        finite.

    Examples
    --------
    >>> from sklearn_ae.metrics import peak_signal_noise_ratio
    >>> peak_signal_noise_ratio([[0.0, 1.0]], [[0.1, 0.9]])
    20.0
    """
    X_true, X_restored = _check_arrays(X_true, X_restored)
    if data_range is None:
        data_range = float(X_true.max()) - float(X_true.min())
    if not 0 < data_range < np.inf:
        raise ValueError(
            f"data_range must be positive and finite; got {data_range:g}. If X_true is constant, "
            "pass data_range."
        )
    # Divide before squaring: squares of very large or small numbers overflow or underflow.
    error = np.square(X_true / data_range - X_restored / data_range).mean()
    return float(-10 * np.log10(error)) if error else float("inf")


def _compare(X, estimator, X_given, metric):
    """Return a score of how close to X an estimator's reconstruction of `X_given` is."""
    X_restored = estimator.inverse_transform(estimator.transform(X_given))
    X, X_restored = _check_arrays(X, X_restored, ensure_all_finite="allow-nan")
    is_missing = np.isnan(X)
    if not np.isfinite(X_restored[~is_missing]).all():
        raise ValueError("The reconstruction has NaN or infinite entries where X has values.")
    if is_missing.all():
        raise ValueError("X has no value: every entry is NaN.")
    if metric == "neg_mean_squared_error":
        return -float(mean_squared_error(X[~is_missing], X_restored[~is_missing]))
    largest = np.nanmax(np.abs(X))
    # R² does not depend on the unit of X, but the squares it is computed from may overflow.
    if not _SMALLEST < largest < _LARGEST and largest > 0:
        X, X_restored = X / largest, X_restored / largest
    if is_missing.any():
        sums = RunningMoments()
        sums.add(torch.from_numpy(X), torch.from_numpy(X_restored))
        return sums.compute().compute_r2()
    return float(r2_score(X, X_restored, multioutput="variance_weighted"))


def _match_container(array, X):
    """Convert a NumPy array to the type of X.

    A data frame keeps the column names, and in pandas the index, of X: transformers fitted on
    named columns warn of arrays without names.
    """
    if is_array_api(X):
        return convert_like(torch.from_numpy(array), X)
    # Known by its name, so that neither library needs to be there.
    library = type(X).__module__.split(".")[0]
    if library == "pandas":
        return type(X)(array, index=X.index, columns=X.columns)
    return type(X)(array, schema=X.columns) if library == "polars" else array


def _check_arrays(X_true, X_restored, ensure_all_finite=True):
    """Convert both to dense float64 arrays; raise a ValueError if their shapes differ."""
    how = {"dtype": np.float64, "ensure_2d": False, "allow_nd": True}
    X_true, X_restored = (
        check_array(_to_dense_array(X), ensure_all_finite=ensure_all_finite, **how)
        for X in (X_true, X_restored)
    )
    if X_true.shape != X_restored.shape:
        raise ValueError(
            f"Both arrays must have the same shape; got {X_true.shape} and {X_restored.shape}."
        )
    return X_true, X_restored


def _to_dense_array(X):
    """Convert X to a NumPy array if it is sparse or of another array library."""
    if issparse(X):
        return X.toarray()
    return convert_to_tensor(X).cpu().numpy() if is_array_api(X) else X
