"""Fitted estimators on Dask arrays and data frames, a block at a time."""

import dask
import dask.array as da
import numpy as np
from dask.dataframe import DataFrame
from sklearn.utils.validation import check_is_fitted

__all__ = ["map_rows", "reconstruction_r2"]

METHODS = ("transform", "inverse_transform", "reconstruct", "score_samples")


def map_rows(estimator, X, method="transform", meta=None):
    """Return what a method of a fitted estimator makes of the rows of X, lazily.

    Nothing is computed before the result is; then a worker holds the blocks that it works on,
    and gets the estimator once.

    Parameters
    ----------
    estimator : fitted estimator
        An autoencoder, or a `Pipeline` that ends with one; other transformers of numbers that
        return dense arrays or frames serve as well.
    X : dask.array.Array or dask.dataframe.DataFrame of shape (n_samples, n_features)
        An array is cut along its rows only; how long its blocks are need not be known.
    method : {"transform", "inverse_transform", "reconstruct", "score_samples"}, \
default="transform"
    meta : ndarray or pandas.DataFrame of shape (0, n_columns), default=None
        What a result without rows is, in Dask's terms. None finds out by calling the method with
        a row of ones, which a pipeline that encodes categories, for example, may refuse.

    Returns
    -------
    result : dask.array.Array or dask.dataframe.DataFrame
        With a block for each of X. Where X is a data frame and the method returns one, as
        `transform` does after `set_output(transform="pandas")`, it is a frame with the index
        of X and the columns of `get_feature_names_out`, else an array.

    Raises
    ------
    ImportError
        On import of `sklearn_ae.dask` without the packages of the extra ``dask``.
    NotFittedError
        If the estimator is not fitted.
    TypeError
        If X is no collection of Dask's, or the estimator has no such method.
    ValueError
        If there is no such method, X has another number of features than in `fit`, or a row of
        ones is refused and there is no `meta`.

    Examples
    --------
    >>> import dask.array as da
    >>> from sklearn.datasets import load_digits
    >>> from sklearn_ae import AutoencoderTransformer
    >>> from sklearn_ae.dask import map_rows
    >>> X = load_digits().data
    >>> autoencoder = AutoencoderTransformer(8, max_epochs=1, random_state=0).fit(X)
    >>> codes = map_rows(autoencoder, da.from_array(X, chunks=(500, 64)))
    >>> codes
    dask.array<..., shape=(1797, 8), dtype=float32, chunksize=(500, 8), chunktype=numpy.ndarray>
    >>> codes.compute().shape
    (1797, 8)
    """
    if method not in METHODS:
        raise ValueError(f"method must be one of {list(METHODS)}; got {method!r}.")
    check_is_fitted(estimator)
    if not hasattr(estimator, method):
        raise TypeError(f"{estimator!r} has no method {method!r}.")
    check_collection(X)
    shipped = dask.delayed(estimator)  # by itself: once to a worker, not with every block
    if meta is None:
        meta = result_without_rows(estimator, X, method)
    if isinstance(X, DataFrame):
        return X.map_partitions(result, shipped, method, meta, meta=meta)
    X = X.rechunk({1: -1})
    shape = {"drop_axis": 1} if meta.ndim == 1 else {"chunks": (X.chunks[0], meta.shape[1:])}
    return X.map_blocks(result, shipped, method, meta, meta=meta, **shape)


def reconstruction_r2(estimator, X):
    """Return the share of the variance of X that its reconstruction keeps, R², lazily.

    What `score` of an autoencoder returns, and `sklearn_ae.metrics.reconstruction_r2` for any
    transformer.

    Parameters
    ----------
    estimator : fitted estimator
        With `transform` and `inverse_transform`.
    X : dask.array.Array or dask.dataframe.DataFrame of shape (n_samples, n_features)
        It is read once.

    Returns
    -------
    score : dask.delayed.Delayed
        Of a float; nan for fewer than two rows.

    Raises
    ------
    NotFittedError
        If the estimator is not fitted.
    TypeError
        If X is no collection of Dask's.

    Examples
    --------
    >>> import dask.array as da
    >>> from sklearn.datasets import load_digits
    >>> from sklearn.decomposition import PCA
    >>> from sklearn_ae.dask import reconstruction_r2
    >>> X = da.from_array(load_digits().data, chunks=(500, 64))
    >>> round(reconstruction_r2(PCA(8).fit(X), X).compute(), 3)
    0.674
    """
    check_is_fitted(estimator)
    check_collection(X)
    shipped = dask.delayed(estimator)
    blocks = (X if isinstance(X, DataFrame) else X.rechunk({1: -1})).to_delayed()
    parts = [dask.delayed(moments)(block, shipped) for block in np.ravel(blocks)]
    return dask.delayed(share_of_variance)(parts)


def check_collection(X):
    """Raise a TypeError if X is neither an array nor a data frame of Dask's."""
    if not isinstance(X, da.Array | DataFrame):
        raise TypeError(f"X must be an array or a data frame of Dask's; got {type(X)}.")


def result_without_rows(estimator, X, method):
    """Return what a method makes of no rows, an array if X is one."""
    if isinstance(X, DataFrame):
        frame = X._meta_nonempty[:1]
        row = type(frame)(np.ones(frame.shape), index=frame.index, columns=frame.columns)
    else:
        row = np.ones((1, X.shape[1]), X.dtype)
    try:
        made = getattr(estimator, method)(row)
    except Exception as error:
        raise ValueError(
            f"{method} of a row of ones, to find out what it returns, has raised {error!r}. If "
            "that is right, say by `meta` what a result without rows is: an empty array or frame."
        ) from error
    return (made if isinstance(X, DataFrame) else np.asarray(made))[:0]


def result(rows, estimator, method, empty):
    """Call a method with the rows of a block, of which there may be none."""
    if not len(rows):
        return empty
    made = getattr(estimator, method)(rows)
    return np.asarray(made) if isinstance(empty, np.ndarray) else made


def moments(rows, estimator):
    """Return of the features of a block what R² takes, and the number of its rows."""
    if not len(rows):
        return None
    restored = np.asarray(estimator.inverse_transform(estimator.transform(rows)), float)
    rows = np.asarray(rows, float)
    return {
        "n": len(rows),
        "mean": rows.mean(axis=0),
        "low": rows.min(axis=0),
        "high": rows.max(axis=0),
        "spread": len(rows) * rows.var(axis=0),
        "error": np.square(rows - restored).sum(axis=0),
    }


def share_of_variance(parts):
    """Return R² of the moments of all blocks."""
    parts = [part for part in parts if part is not None]
    if sum(part["n"] for part in parts) < 2:
        return float("nan")
    n, mean, low, high, spread, error = (
        np.array([part[name] for part in parts])
        for name in ("n", "mean", "low", "high", "spread", "error")
    )
    deviation = mean - np.average(mean, axis=0, weights=n)
    spread = spread.sum(axis=0) + n @ deviation**2  # within the blocks and between them
    varies = (high.max(axis=0) > low.min(axis=0)) & (spread > 0)
    if not varies.any():
        return float(np.mean(error.sum(axis=0) == 0))
    return float(1 - error.sum(axis=0)[varies].sum() / spread[varies].sum())
