"""skorch callbacks of the user, in net_params: checked before training, and saved."""

import copy
import pickle

from skorch.callbacks import LRScheduler


def list_callbacks(net_params):
    """Return the callbacks in net_params, objects or classes, without their names."""
    callbacks = (net_params or {}).get("callbacks")
    callbacks = callbacks if isinstance(callbacks, list | tuple) else ()
    return [c[-1] if isinstance(c, tuple) and c else c for c in callbacks]


def get_class(callback):
    """Return the class of a callback, which may be a class itself."""
    return callback if isinstance(callback, type) else type(callback)


def check_callbacks(net_params, schedule):
    """Refuse callbacks that could not be loaded, or would have no effect.

    Raises
    ------
    ImportError
        If the package of a callback is missing.
    ValueError
        If a callback sets the learning rate beside a schedule that sets it in every step.
    """
    for callback in list_callbacks(net_params):
        if isinstance(callback, MissingCallback):
            raise ImportError(
                f"The callback {callback.name} in net_params cannot be imported. Install its "
                "package before the estimator is loaded, or set other net_params."
            )
        kind = get_class(callback)
        if issubclass(kind, LRScheduler) and schedule != "constant":
            raise ValueError(
                f"The callback {kind.__name__} in net_params would have no effect: "
                f"schedule={schedule!r} sets the learning rate in every step. Use "
                "schedule='constant'."
            )


def strip_training_state(net_params):
    """Return `net_params` with the callbacks as they were before training.

    In training skorch's callbacks get attributes whose names end in "_", an optimizer for example.
    """
    if not net_params or not isinstance(net_params.get("callbacks"), list | tuple):
        return net_params
    return {**net_params, "callbacks": [strip_callback(c) for c in net_params["callbacks"]]}


def strip_callback(callback):
    """Return a callback, or a pair of its name and it, without the attributes of training."""
    if isinstance(callback, tuple):
        return *callback[:-1], strip_callback(callback[-1])
    if isinstance(callback, type) or not hasattr(callback, "__dict__"):
        return callback
    bare = copy.copy(callback)
    for name in [name for name in vars(callback) if name.endswith("_")]:
        delattr(bare, name)
    return bare


def wrap_callbacks(state):
    """Return a state in which callbacks of libraries are `SavedCallback`s."""
    net_params = state["net_params"]
    if "_model_" not in state or not net_params or "callbacks" not in net_params:
        return state
    callbacks = net_params["callbacks"]
    if isinstance(callbacks, list | tuple):
        callbacks = [wrap_callback(callback) for callback in callbacks]
    return {**state, "net_params": {**net_params, "callbacks": callbacks}}


def wrap_callback(callback):
    """Return a `SavedCallback` for a callback of a library, or for a pair of its name and it.

    Those that the user has defined in a script are saved with the estimator as they are.
    """
    if isinstance(callback, tuple):
        return *callback[:-1], wrap_callback(callback[-1])
    kind = get_class(callback)
    if isinstance(callback, MissingCallback) or kind.__module__ == "__main__":
        return callback
    try:
        return SavedCallback(pickle.dumps(callback), f"{kind.__module__}.{kind.__qualname__}")
    except Exception:  # only cloudpickle can pickle it, and is then saving the estimator
        return callback


class SavedCallback:
    """A callback inside of a pickle, which loads without the package of the callback."""

    def __init__(self, data, name):
        self.data, self.name = data, name

    def __reduce__(self):
        return load_callback, (self.data, self.name)


class MissingCallback(SavedCallback):
    """A callback that could not be loaded, because its package is missing here."""

    def __repr__(self):
        return f"<{self.name}, which could not be imported>"


def load_callback(data, name):
    """Return the callback that was pickled, or a `MissingCallback` in its place."""
    try:
        return pickle.loads(data)
    except (ImportError, AttributeError):
        return MissingCallback(data, name)
