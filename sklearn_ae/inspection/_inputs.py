"""Checks and look-ups for what users pass: reducers, their names and parameters, and targets."""

from collections import Counter
from collections.abc import Mapping

import numpy as np
from sklearn.pipeline import Pipeline
from sklearn.utils.multiclass import type_of_target


def name_reducers(estimators):
    """Return a dict of reducers by name, from one reducer, a list or a dict of them.

    Reducers of a list are named after their classes, pipelines after the class of their last
    step. A name that occurs several times is numbered: "PCA 1", "PCA 2".
    """
    if isinstance(estimators, Mapping):
        reducers = dict(estimators)
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


def choose_image_shape(image_shape, reducers):
    """Return `image_shape` if it is given, else that of the first reducer that has one."""
    if image_shape is not None:
        return image_shape
    shapes = (getattr(part, "image_shape", None) for r in reducers for part in iterate_parts(r))
    return next((shape for shape in shapes if shape), None)


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


def holds_classes(y):
    """Return whether y holds classes: strings, booleans, or at most 20 whole numbers."""
    y = np.asarray(y)
    # type_of_target warns of NaN before it rejects them; the error is enough.
    with np.errstate(invalid="ignore"):
        kind = type_of_target(y, input_name="y")
    return kind in ("binary", "multiclass") and (
        y.dtype.kind not in "iuf" or len(np.unique(y)) <= 20
    )
