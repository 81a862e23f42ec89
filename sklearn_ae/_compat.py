"""Every private name of other libraries that the package uses, each with what it is for.

Nothing private is imported anywhere else (`tests/test_imports.py`), so that a new release of a
dependency can break this file only. What older releases of scikit-learn and Python lack is here,
too.
"""

# Most of what is imported here is for other modules.
# ruff: noqa: F401

import contextlib
import inspect
import os
import sys
import warnings
from pathlib import Path

import torch
from scipy.sparse import get_index_dtype
from sklearn.base import _fit_context as fit_context  # checks parameters by their constraints
from sklearn.utils import _safe_indexing as select_rows  # of arrays, data frames, sparse matrices

# Array API dispatch of scikit-learn, for arrays of other libraries.
from sklearn.utils._array_api import get_namespace, get_namespace_and_device
from sklearn.utils._param_validation import (  # the constraints, and their error
    HasMethods,
    Interval,
    InvalidParameterError,
    Options,
    RealNotInt,
    StrOptions,
    validate_params,
)
from sklearn.utils.validation import _check_feature_names_in as check_feature_names_in
from sklearn.utils.validation import _num_samples as count_rows  # of any container

try:
    from sklearn.callback import CallbackSupportMixin  # the method `set_callbacks`
except ImportError:  # scikit-learn < 1.9

    class NoCallbacks:
        """Stands in for the context of a fit, or of an epoch, that nothing follows."""

        def subcontext(self, **task):
            """Return the context of an epoch."""
            return self

        def call_on_fit_task_begin(self, **task):
            """Call nothing."""

        def call_on_fit_task_end(self, **task):
            """Return that training goes on."""
            return False

    class CallbackSupportMixin:
        """Stands in for the mixin that came with the callbacks; has no `set_callbacks`."""

        def _init_callback_context(self, max_subtasks):
            return NoCallbacks()


try:
    from sklearn.utils._array_api import move_to
except ImportError:  # scikit-learn < 1.8

    def move_to(tensor, *, xp, device):
        """Return a tensor as an array of the namespace `xp` on a device."""
        is_torch = xp.__name__.endswith("torch")
        return xp.asarray(tensor if is_torch else tensor.cpu().numpy(), device=device)


try:
    from sklearn.utils._array_api import check_same_namespace
except ImportError:  # scikit-learn < 1.9

    def locate(array):
        """Return the name of an array's namespace, and its device."""
        xp, _, device = get_namespace_and_device(array)
        is_numpy = xp is get_namespace()[0]  # whose arrays have a device, and sparse ones none
        return xp.__name__, "cpu" if is_numpy else device

    def check_same_namespace(X, estimator, *, attribute, method):
        """Raise ValueError if X is of another library or device than a fitted attribute."""
        fitted, given = locate(getattr(estimator, attribute)), locate(X)
        if fitted != given:
            raise ValueError(
                f"Inputs passed to {type(estimator).__name__}.{method}() must use the same "
                "namespace and the same device as those passed to fit(). "
                f"fit() got {fitted}, {method}() got {given}."
            )


# Makes operations on a subclass of Tensor return plain tensors, without its overhead.
disabled_torch_function = torch._C._disabled_torch_function_impl


def get_mmap(mapped):
    """Return the `mmap.mmap` behind a `numpy.memmap`, or None: NumPy has no public way to it."""
    return mapped._mmap


def open_callback_context(estimator, n_epochs):
    """Return the context by which scikit-learn's callbacks follow a fit of so many epochs.

    scikit-learn documents the method for estimators of others, underscore and all.
    """
    return estimator._init_callback_context(max_subtasks=n_epochs)


def make_sample_partition(frame):
    """Return a small pandas or polars frame with the columns and dtypes of a Dask data frame."""
    return frame._meta_nonempty


def shorten_indices(X):
    """Store the indices of a CSR array in 32 bits if they fit, and return the array.

    Before 1.9, scikit-learn's `incr_mean_variance_axis` takes no others.
    """
    dtype = get_index_dtype(maxval=max((*X.shape, X.nnz)))
    X.indices, X.indptr = (x.astype(dtype, copy=False) for x in (X.indices, X.indptr))
    return X


# Files whose lines a warning should not point at: they stand between the user and who warns. Those
# of torch and contextlib do so in decorated methods.
_PASSED_OVER = (
    *(
        f"{Path(sys.modules[name].__file__).parent}{os.sep}"
        for name in (__package__, "sklearn", "torch")
    ),
    contextlib.__file__,
)


def warn_user(message, category=UserWarning):
    """Warn at the line of the user, the first outside of this package and its dependencies.

    `warnings.warn` has `skip_file_prefixes` for this from Python 3.12 on.
    """
    frame, level = inspect.currentframe().f_back, 2
    while frame.f_back and frame.f_code.co_filename.startswith(_PASSED_OVER):
        frame, level = frame.f_back, level + 1
    warnings.warn(message, category, stacklevel=level)
