"""Every private name of other libraries that the package uses, each with what it is for.

Nothing private is imported anywhere else (`tests/test_imports.py`), so that a new release of a
dependency can break this file only.
"""

import torch
from sklearn.base import _fit_context as fit_context  # checks parameters by their constraints
from sklearn.utils import _safe_indexing as select_rows  # of arrays, data frames, sparse matrices
from sklearn.utils._array_api import (  # arrays of other libraries, scikit-learn's dispatch
    check_same_namespace,
    get_namespace,
    get_namespace_and_device,
    move_to,
)
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

__all__ = [
    "HasMethods",
    "Interval",
    "InvalidParameterError",
    "Options",
    "RealNotInt",
    "StrOptions",
    "check_feature_names_in",
    "check_same_namespace",
    "count_rows",
    "disabled_torch_function",
    "fit_context",
    "get_mmap",
    "get_namespace",
    "get_namespace_and_device",
    "make_sample_partition",
    "move_to",
    "open_callback_context",
    "select_rows",
    "validate_params",
]

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
