"""skorch callbacks and other objects of a user's libraries that only training needs.

They are checked before training, and saved so that the rest loads without their packages.
"""

import copy
import pickle

from skorch.callbacks import LRScheduler

DEFAULT_CALLBACKS = {0: (), 1: ("epoch_bar",), 2: ("epoch_timer", "print_log")}  # by verbose


def check_callbacks(net_params, schedule, verbose):
    """Refuse callbacks that could not be loaded, or would have no effect.

    Raises
    ------
    ImportError
        If the package of a callback is missing.
    ValueError
        If there are no callbacks where they should be, or none of a name; or if a callback sets
        the learning rate beside a schedule that sets it in every step.
    """
    net_params = net_params or {}
    given = net_params.get("callbacks")
    if not (given is None or given == "disable" or isinstance(given, list | tuple)):
        raise ValueError(f"net_params['callbacks'] must be a list of callbacks; got {given!r}.")
    callbacks = {}
    for callback in get_callbacks(net_params):
        name, callback = callback if isinstance(callback, tuple) else (None, callback)
        callbacks[name or get_class(callback).__name__] = callback  # as skorch names it
    names = {*callbacks, *DEFAULT_CALLBACKS[int(verbose)]}
    for key, value in net_params.items():
        # skorch reads "callbacks__NAME__PARAMETER" as the value of a callback's parameter, and
        # "callbacks__NAME" as the callback that replaces the one of that name.
        prefix, *path = key.split("__")
        if prefix != "callbacks" or not path:
            continue
        if path[0] not in names:
            raise ValueError(
                f"net_params may not set {key!r}: there is no callback of that name, only "
                f"{sorted(names)}."
            )
        if len(path) == 1 and value is not None:
            callbacks[path[0]] = value
    for callback in callbacks.values():
        check_callback(callback, schedule)


def check_callback(callback, schedule):
    """Refuse what is not a callback, or sets the learning rate beside a schedule of ours."""
    check_importable({"net_params": callback})
    kind = get_class(callback)
    if not hasattr(kind, "on_train_begin"):
        raise ValueError(f"net_params['callbacks'] must hold skorch callbacks; got {callback!r}.")
    if issubclass(kind, LRScheduler) and schedule != "constant":
        raise ValueError(
            f"The callback {kind.__name__} in net_params would have no effect: "
            f"schedule={schedule!r} sets the learning rate in every step. Use "
            "schedule='constant'."
        )


def get_callbacks(net_params):
    """Return the list of callbacks in `net_params`, as it was given; empty if there is none."""
    # Parameters that were set after the fit are not checked, and may be of any type.
    callbacks = net_params.get("callbacks") if isinstance(net_params, dict) else None
    return callbacks if isinstance(callbacks, list | tuple) else []


def list_callbacks(net_params):
    """Return the callbacks in `net_params`, objects or classes, without their names."""
    return [c[-1] if isinstance(c, tuple) else c for c in get_callbacks(net_params)]


def change_callbacks(net_params, change):
    """Return `net_params` with `change(callback)` in place of each callback; names stay."""
    callbacks = get_callbacks(net_params)
    if not callbacks:
        return net_params
    changed = [(*c[:-1], change(c[-1])) if isinstance(c, tuple) else change(c) for c in callbacks]
    return {**net_params, "callbacks": changed}


def strip_callback(callback):
    """Return a callback as it was before training."""
    if isinstance(callback, type) or not hasattr(callback, "__dict__"):
        return callback
    bare = copy.copy(callback)
    # In training skorch's callbacks get attributes whose names end in "_". Some of them hold what
    # cannot be pickled, or is large: an optimizer for example.
    bare.__dict__ = {name: value for name, value in vars(bare).items() if not name.endswith("_")}
    return bare


def get_class(value):
    """Return the class of an object; a class is returned as it is."""
    return value if isinstance(value, type) else type(value)


def check_importable(params):
    """Raise an ImportError if a parameter could not be imported when the estimator was loaded."""
    for name, value in params.items():
        if isinstance(value, MissingObject):
            raise ImportError(
                f"{value.name}, in the parameter {name!r}, cannot be imported. Install its package "
                "before the estimator is loaded, or set another value."
            )


class SavedObject:
    """A pickled object, which loads as a `MissingObject` where its package is missing."""

    def __init__(self, data, name):
        self.data, self.name = data, name

    def __reduce__(self):
        return load_object, (self.data, self.name)


class MissingObject(SavedObject):
    """Stands for an object that could not be loaded, because its package is missing here."""

    def __repr__(self):
        return f"<{self.name}, which could not be imported>"

    # A missing corruption or network factory must pass the checks of parameters, which want a
    # callable: the estimator can still be used, and the error names the package when it is trained.
    def __call__(self, *args, **kwargs):
        """Raise an ImportError."""
        raise ImportError(f"{self.name} cannot be imported.")


def load_object(data, name):
    """Return the object that was pickled, or a `MissingObject` in its place."""
    try:
        return pickle.loads(data)
    except (ImportError, AttributeError):
        return MissingObject(data, name)
