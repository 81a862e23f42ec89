"""What is asked of a reducer: a name, a parameter for its code size, an inverse."""

from collections import Counter
from collections.abc import Mapping


def named_reducers(estimators):
    """Return a dict of reducers by name, from one, a list or a dict of them.

    Those of a list are named after their classes, numbered where a name repeats.
    """
    if isinstance(estimators, Mapping):
        reducers = dict(estimators)
    else:
        reducers = {}
        several = list(estimators) if isinstance(estimators, list | tuple) else [estimators]
        total, seen = Counter(type(reducer).__name__ for reducer in several), Counter()
        for reducer in several:
            name = type(reducer).__name__
            seen[name] += 1
            reducers[f"{name} {seen[name]}" if total[name] > 1 else name] = reducer
    if not reducers:
        raise ValueError("estimators must hold at least one estimator.")
    for reducer in reducers.values():
        check_can(reducer, "transform")
    return reducers


def check_can(estimator, name):
    """Refuse an estimator without a method or attribute."""
    if isinstance(estimator, type) or not hasattr(estimator, name):
        raise TypeError(f"An estimator with {name} is needed; {estimator!r} has none.")


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
    raise ValueError(
        f"{name} has {', '.join(candidates) or 'no'} {param or 'n_components'} among its "
        "parameters. Say which sets its code size: param_name='...', or a dict of them by "
        "the names of the estimators."
    )
