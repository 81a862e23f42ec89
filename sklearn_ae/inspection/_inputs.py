"""What is asked of reducers and targets: names, a code-size parameter, an inverse, classes."""

from collections import Counter
from collections.abc import Mapping

import numpy as np
from sklearn.pipeline import Pipeline
from sklearn.utils.multiclass import type_of_target


def named_reducers(estimators):
    """Return a dict of reducers by name, from one, a list or a dict of them.

    Those of a list are named after their classes, pipelines after their last step, and numbered
    where a name repeats.
    """
    if isinstance(estimators, Mapping):
        reducers = dict(estimators)
    else:
        several = list(estimators) if isinstance(estimators, list | tuple) else [estimators]
        names = [class_name(reducer) for reducer in several]
        total, seen, reducers = Counter(names), Counter(), {}
        for name, reducer in zip(names, several, strict=True):
            seen[name] += 1
            reducers[f"{name} {seen[name]}" if total[name] > 1 else name] = reducer
    if not reducers:
        raise ValueError("estimators must hold at least one estimator.")
    for reducer in reducers.values():
        check_can(reducer, "transform")
    return reducers


def class_name(estimator):
    """Return the name of an estimator's class, of a pipeline's that of its last step."""
    if isinstance(estimator, Pipeline):
        return next((class_name(step) for step in list(parts(estimator))[1:]), "Pipeline")
    return type(estimator).__name__


def check_can(estimator, name):
    """Refuse an estimator without a method or attribute."""
    if isinstance(estimator, type) or not hasattr(estimator, name):
        raise TypeError(f"An estimator with {name} is needed; {estimator!r} has none.")


def parts(estimator):
    """Yield an estimator, the best of a search in it, and the steps of a pipeline, last first."""
    yield estimator
    if hasattr(estimator, "best_estimator_"):
        yield from parts(estimator.best_estimator_)
    if isinstance(estimator, Pipeline):
        for _, step in reversed(estimator.steps):
            if step not in (None, "passthrough"):
                yield from parts(step)


def image_shape_of(reducers, image_shape):
    """Return an image shape: that given, else that of the first reducer that has one."""
    shapes = (getattr(part, "image_shape", None) for r in reducers for part in parts(r))
    return image_shape if image_shape is not None else next((s for s in shapes if s), None)


def size_parameter(reducer, name, param_name=None):
    """Return the parameter that sets a reducer's code size.

    It is what `param_name` says, a str or a dict by the names of reducers; else `n_components`,
    of the reducer or of the one step that has it.
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
    found = f"several: {', '.join(candidates)}" if candidates else f"no {param or 'n_components'}"
    raise ValueError(
        f"Of the parameters of {name} one has to set its code size; it has {found}. Say which: "
        "param_name='...', or a dict of them by the names of the estimators."
    )


def holds_classes(y):
    """Tell whether y holds classes rather than values: words, or at most 20 whole numbers."""
    y = np.asarray(y)
    with np.errstate(invalid="ignore"):  # scikit-learn casts what is missing
        kind = type_of_target(y, input_name="y")
    return kind in ("binary", "multiclass") and (
        y.dtype.kind not in "iuf" or len(np.unique(y)) <= 20
    )
