"""Checks and look-ups for what users pass: reducers, their names and parameters, and targets."""

from collections import Counter
from collections.abc import Mapping
from numbers import Integral

import numpy as np
from sklearn.exceptions import NotFittedError
from sklearn.pipeline import Pipeline
from sklearn.utils.validation import check_is_fitted, has_fit_parameter

from .._compat import count_rows, select_rows
from .._images import check_image_shape


def name_reducers(estimators):
    """Return a dict of reducers by name, from one reducer, a list or a dict of them.

    Names in a dict may have any type and are converted to str. Reducers of a list are named
    after their classes, pipelines after the class of their last step. A name that occurs
    several times in a list is numbered: "PCA 1", "PCA 2".
    """
    if isinstance(estimators, Mapping):
        reducers = convert_names(estimators)
    else:
        several = list(estimators) if isinstance(estimators, list | tuple) else [estimators]
        names = [get_class_name(reducer) for reducer in several]
        total, seen, reducers = Counter(names), Counter(), {}
        for name, reducer in zip(names, several, strict=True):
            seen[name] += 1
            reducers[f"{name} {seen[name]}" if total[name] > 1 else name] = reducer
    if not reducers:
        raise ValueError("estimators must hold at least one estimator.")
    for reducer in reducers.values():
        check_has_attribute(reducer, "transform")
    return reducers


def convert_names(named):
    """Return a dict with its keys converted to str; raise a ValueError if two become equal."""
    names = [str(name) for name in named]
    repeated = [name for name, n in Counter(names).items() if n > 1]
    if repeated:
        raise ValueError(
            f"Names must differ when they are converted to str; {repeated} occur more than once "
            f"in {list(named)}."
        )
    return dict(zip(names, named.values(), strict=True))


def get_class_name(estimator):
    """Return the name of an estimator's class, or of the class of a pipeline's last step."""
    if isinstance(estimator, Pipeline):
        steps = list(iterate_parts(estimator))[1:]
        return next((get_class_name(step) for step in steps), "Pipeline")
    return type(estimator).__name__


def check_has_attribute(estimator, name):
    """Raise a TypeError if an estimator lacks a method or attribute, or is a class."""
    # A class has the method as well, so it must be told from an instance.
    if isinstance(estimator, type) or not hasattr(estimator, name):
        raise TypeError(f"Expected an estimator with {name}; got {estimator!r}.")


def check_fitted(reducers, X, min_rows=1):
    """Check that the reducers are fitted and can take X, before they are given all of it.

    Raises
    ------
    NotFittedError
        If a reducer is not fitted.
    ValueError
        If X has fewer rows than `min_rows`, or another number of features than a reducer expects.
    """
    if count_rows(X) < min_rows:
        raise ValueError(f"X must have {min_rows} or more rows; got {count_rows(X)}.")
    n_features = count_features(X)
    for reducer in reducers:
        check_takes_row(reducer, X)
        n_expected = getattr(reducer, "n_features_in_", None)
        if None not in (n_features, n_expected) and n_features != n_expected:
            raise ValueError(
                f"X has {n_features} features, but {get_class_name(reducer)} is expecting "
                f"{n_expected} features as input."
            )


def check_takes_row(reducer, X):
    """Raise a NotFittedError if a reducer is not fitted, unless it can transform all the same."""
    if not hasattr(reducer, "__sklearn_tags__"):  # check_is_fitted takes no other estimators
        return
    try:
        check_is_fitted(reducer)
    except NotFittedError as error:
        # scikit-learn cannot tell it from a reducer that has nothing to learn: one row can.
        try:
            reducer.transform(select_rows(X, slice(0, 1)))
        except Exception:
            raise error from None


def count_features(X):
    """Return the number of columns of X, or None if X is not a table, such as a list of texts."""
    shape = X.shape if hasattr(X, "shape") else np.shape(X)
    return shape[1] if len(shape) == 2 else None


def is_int(value):
    """Return whether a value is an integer; booleans are not."""
    return isinstance(value, Integral) and not isinstance(value, bool)


def check_int(name, value, at_least):
    """Raise a ValueError if a parameter is not an int of at least so much."""
    if not (is_int(value) and value >= at_least):
        raise ValueError(f"{name} must be an int of at least {at_least}; got {value!r}.")


def check_components(components, n_components, n_wanted=None):
    """Return indices of components of the code as a list of int, or raise a ValueError.

    Parameters
    ----------
    components : int or sequence of int
        Indices that the user asks for. Booleans, floats and negative numbers are refused.
    n_components : int or None
        Code size; None if it is not known yet.
    n_wanted : int, default=None
        How many indices there must be; None for one or more.
    """
    is_sequence = np.iterable(components) and not isinstance(components, str | Mapping)
    indices = list(components) if is_sequence else [components]
    upper = np.inf if n_components is None else n_components
    is_right = all(is_int(k) and 0 <= k < upper for k in indices)
    if is_right and len(indices) == (n_wanted or max(len(indices), 1)):
        return [int(k) for k in indices]
    allowed = "of at least 0" if n_components is None else f"from 0 to {n_components - 1}"
    if n_wanted:
        expected = f"be two integers {allowed}"
    else:
        expected = f"hold integers {allowed}, at least one"
    raise ValueError(
        f"components must {expected}; got {components!r}. They are indices, neither booleans nor "
        "floats" + (f", and the code size is {n_components}." if n_components else ".")
    )


def count_codes(estimator):
    """Return the code size of a fitted estimator, or None if it does not tell."""
    try:
        return len(estimator.get_feature_names_out())
    except (AttributeError, TypeError, ValueError):
        return None


def iterate_parts(estimator):
    """Yield an estimator and, recursively, the estimators it contains.

    These are the best estimator of a fitted search, and the steps of a pipeline, last first.
    """
    yield estimator
    if hasattr(estimator, "best_estimator_"):
        yield from iterate_parts(estimator.best_estimator_)
    if isinstance(estimator, Pipeline):
        for _, step in reversed(estimator.steps):
            if step not in (None, "passthrough"):
                yield from iterate_parts(step)


def choose_image_shape(image_shape, reducers, n_features):
    """Return `image_shape` if it is given, else that of the first reducer that has one.

    Shapes of reducers that do not fit n_features are passed over: that of the last step of a
    pipeline may belong to the output of an earlier step.
    """
    if image_shape is not None:
        return image_shape
    for part in (part for reducer in reducers for part in iterate_parts(reducer)):
        shape = getattr(part, "image_shape", None)
        if shape is not None and fits_features(shape, n_features):
            return shape
    return None


def fits_features(image_shape, n_features):
    """Return whether an image shape is valid and multiplies to the number of features."""
    try:
        check_image_shape(image_shape, n_features)
    except ValueError:
        return False
    return True


def find_size_parameter(reducer, name, param_name=None):
    """Return the name of the parameter that sets a reducer's code size.

    `param_name` tells it, as a str or as a dict from names of reducers to str. Otherwise it is
    `n_components` of the reducer itself, or of its only step that has this parameter.
    """
    params = reducer.get_params()
    param = param_name.get(name) if isinstance(param_name, Mapping) else param_name
    if param is not None:
        candidates = [param] if param in params else []
    elif "n_components" in params:
        candidates = ["n_components"]
    else:
        candidates = sorted(key for key in params if key.endswith("__n_components"))
    if len(candidates) == 1:
        return candidates[0]
    if candidates:
        found = f"several candidates: {', '.join(candidates)}"
    else:
        found = f"no parameter {param or 'n_components'!r}"
    raise ValueError(
        f"Cannot tell which parameter sets the code size of {name}; it has {found}. Pass its "
        "name as param_name, or a dict from names of estimators to names of parameters."
    )


def list_group_parameters(reducer):
    """Return the names by which the `fit` of a reducer, or of its steps, takes groups."""
    if isinstance(reducer, Pipeline):
        return [
            f"{step}__{name}"
            for step, part in reducer.steps
            for name in list_group_parameters(part)
        ]
    takes_groups = hasattr(reducer, "fit") and has_fit_parameter(reducer, "groups")
    return ["groups"] if takes_groups else []


def holds_classes(labels):
    """Return whether labels are classes: no numbers, or at most 20 different whole numbers."""
    labels = np.asarray(labels)
    if labels.dtype.kind not in "iuf":
        return True
    different = np.unique(labels)
    return len(different) <= 20 and bool((different == np.round(different)).all())


def split_missing(y):
    """Separate the labels in y from its missing entries.

    Missing are None, NaN, NaT and pandas.NA, the nulls of polars and pyarrow, and what is
    masked in a masked array.

    Parameters
    ----------
    y : array-like of shape (n_samples,) or (n_samples, 1)
        Classes or values, in a container of any library.

    Returns
    -------
    labels : ndarray of shape (n_labelled,)
        The labels that are not missing.
    missing : bool ndarray of shape (n_samples,)
        Whether the label of a row is missing.
    """
    column = get_column(y)
    if column.ndim == 2 and column.shape[1] == 1:
        column = column[:, 0]
    if column.ndim != 1:
        raise ValueError(f"y must be of shape (n_samples,); got {column.shape}.")
    missing = np.ma.getmaskarray(column).copy()
    column = np.asarray(column)
    if column.dtype.kind in "OT":
        missing |= np.fromiter(map(is_missing, column), bool, len(column))
        labels = np.array(column[~missing].tolist())  # of the type that all labels have
    else:
        missing |= column != column  # NaN and NaT
        labels = column[~missing]
    if labels.ndim != 1 or (labels.dtype.kind == "f" and np.isinf(labels).any()):
        raise ValueError("y must hold one label for each row, and no infinite ones.")
    return labels, missing


def get_column(y):
    """Convert y to an array, in which missing entries can still be told from text."""
    if isinstance(y, np.ma.MaskedArray):
        return y
    names = get_column_names(y)
    if names is not None and len(names) == 1:
        y = y[names[0]]
    for method in ("to_list", "to_pylist"):  # of pandas and polars; of pyarrow
        if hasattr(y, method):
            y = getattr(y, method)()
    # NumPy would convert a NaN among text to the text "nan".
    return np.array(y, dtype=object) if isinstance(y, list | tuple) else np.asarray(y)


def is_missing(value):
    """Return whether a value is None or does not equal itself, as NaN and NaT."""
    try:
        return value is None or not value == value  # noqa: SIM201
    except TypeError:  # the truth value of pandas.NA is undefined
        return True


def get_column_names(y):
    """Return the column names of a data frame of pandas, polars or pyarrow; None for others."""
    return getattr(y, "column_names", getattr(y, "columns", None))


def get_target_name(y):
    """Return the name of a Series, or of the only column of a data frame, as str; else None."""
    names = get_column_names(y)
    name = getattr(y, "name", None) if names is None else names[0]
    return None if name is None else str(name)
