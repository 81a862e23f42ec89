"""Fitted estimators on Dask arrays and data frames, block by block."""

import dask
import dask.array as da
import numpy as np
import torch
from dask.dataframe import DataFrame
from sklearn.utils.validation import check_is_fitted

from ._compat import make_sample_partition
from ._isolation import isolate_torch
from ._rows import RunningMoments

__all__ = ["map_rows", "reconstruction_r2"]

_METHODS = ("transform", "inverse_transform", "reconstruct", "score_samples")


def map_rows(estimator, X, method="transform", meta=None):
    """Return the result of a method of a fitted estimator for the rows of X, lazily.

    Nothing is computed until the result is. Each worker then gets the estimator once, and holds
    only the blocks that it works on.

    Parameters
    ----------
    estimator : fitted estimator
        An autoencoder, or a `Pipeline` that ends with one. Other transformers that take numbers
        and return dense arrays or frames also work.
    X : dask.array.Array or dask.dataframe.DataFrame of shape (n_samples, n_features)
        An array is cut along its rows only; the lengths of its blocks need not be known.
    method : {"transform", "inverse_transform", "reconstruct", "score_samples"}, \
default="transform"
    meta : ndarray or pandas.DataFrame of shape (0, n_columns), default=None
        An empty result, which tells Dask its type and columns. None calls the method with a row of
        ones to find out; a pipeline that encodes categories, for example, may refuse that.

    Returns
    -------
    result : dask.array.Array or dask.dataframe.DataFrame
        It has a block for each block of X. Where X is a data frame and the method returns one, as
        `transform` does after `set_output(transform="pandas")`, it is a frame with the index
        of X and the columns of `get_feature_names_out`, else an array.

    Raises
    ------
    ImportError
        On import of `sklearn_ae.dask` without the packages of the extra ``dask``.
    NotFittedError
        If the estimator is not fitted.
    TypeError
        If X is not a collection of Dask's, or the estimator has no such method.
    ValueError
        If `method` is unknown, X has another number of features than in `fit`, or the method
        refuses a row of ones and there is no `meta`.

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
    if method not in _METHODS:
        raise ValueError(f"method must be one of {list(_METHODS)}; got {method!r}.")
    check_is_fitted(estimator)
    if not hasattr(estimator, method):
        raise TypeError(f"{estimator!r} has no method {method!r}.")
    _check_collection(X)
    is_frame = isinstance(X, DataFrame)
    if meta is None:
        row = make_sample_partition(X)[:1] if is_frame else np.ones((1, X.shape[1]), X.dtype)
        # Ones suit more methods than the numbers, texts and dates that Dask makes up.
        if is_frame:
            row = type(row)(np.ones(row.shape), index=row.index, columns=row.columns)
        try:
            meta = getattr(estimator, method)(row)[:0]
        except Exception as error:
            raise ValueError(
                f"To find out what {method} returns, it was called with a row of ones, and raised "
                f"{error!r}. If this is right, pass an empty array or frame like it as meta."
            ) from error
    # As a task of its own the estimator is sent once to each worker, not with every block.
    shipped = dask.delayed(estimator)
    if is_frame:
        return X.map_partitions(_call_method, shipped, method, meta, meta=meta)
    X, meta = X.rechunk({1: -1}), np.asarray(meta)
    # (n_rows,) for scores, else (n_rows, n_columns)
    dropped, chunks = (1, None) if meta.ndim == 1 else (None, (X.chunks[0], meta.shape[1:]))
    return X.map_blocks(
        _call_method, shipped, method, meta, meta=meta, drop_axis=dropped, chunks=chunks
    )


def reconstruction_r2(estimator, X):
    """Return the share of the variance of X that its reconstruction keeps, R², lazily.

    It is `score` of an autoencoder, and `sklearn_ae.metrics.reconstruction_r2` of any
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
        A float when computed; nan for fewer than two rows.

    Raises
    ------
    NotFittedError
        If the estimator is not fitted.
    TypeError
        If X is not a collection of Dask's.

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
    _check_collection(X)
    shipped = dask.delayed(estimator)
    blocks = (X if isinstance(X, DataFrame) else X.rechunk({1: -1})).to_delayed()
    found = [dask.delayed(_compute_moments)(block, shipped) for block in np.ravel(blocks)]
    return dask.delayed(_compute_r2)(found)


def _check_collection(X):
    """Raise a TypeError if X is neither an array nor a data frame of Dask's."""
    if not isinstance(X, da.Array | DataFrame):
        raise TypeError(f"X must be a Dask array or a Dask data frame; got {type(X)}.")


def _call_method(rows, estimator, method, empty):
    """Call a method with the rows of a block, unless there are none."""
    # scikit-learn refuses tables without rows. Dask has such blocks after a selection of rows.
    if not len(rows):
        return empty
    result = getattr(estimator, method)(rows)
    return np.asarray(result) if isinstance(empty, np.ndarray) else result


@isolate_torch()
def _compute_moments(rows, estimator):
    """Return the `Moments` of a block and its reconstruction, or None for an empty one."""
    if not len(rows):
        return None
    restored = estimator.inverse_transform(estimator.transform(rows))
    sums = RunningMoments()
    # Copies, since Dask's workers hold read-only blocks, of which torch warns.
    sums.add(torch.from_numpy(np.array(rows, float)), torch.from_numpy(np.array(restored, float)))
    return sums.compute()


@isolate_torch()
def _compute_r2(found):
    """Return R² from the moments of all blocks."""
    found = [moments for moments in found if moments is not None]
    return sum(found[1:], start=found[0]).compute_r2() if found else float("nan")
