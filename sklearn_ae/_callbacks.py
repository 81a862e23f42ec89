"""What only training needs of a user's libraries, such as skorch callbacks: checked and saved."""

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
    callbacks = name_callbacks(net_params)
    names = {*callbacks, *DEFAULT_CALLBACKS[int(verbose)]}
    for key, value in net_params.items():
        _, *parts = key.split("__") if key.startswith("callbacks__") else ("",)
        if parts and parts[0] not in names:
            raise ValueError(
                f"net_params may not set {key!r}: there is no callback of that name, only "
                f"{sorted(names)}."
            )
        if len(parts) == 1 and value is not None:  # it replaces the callback of that name
            callbacks[parts[0]] = value
    for callback in callbacks.values():
        check_callback(callback, schedule)


def name_callbacks(net_params):
    """Return the list of callbacks in net_params as a dict by their names, as skorch has them."""
    callbacks = net_params.get("callbacks")
    named = {}
    for callback in callbacks if isinstance(callbacks, list | tuple) else ():
        name, callback = callback if isinstance(callback, tuple) else (None, callback)
        named[name or get_class(callback).__name__] = callback
    return named


def list_callbacks(net_params):
    """Return the callbacks in net_params, objects or classes."""
    return list(name_callbacks(net_params).values()) if isinstance(net_params, dict) else []


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


def get_class(value):
    """Return the class of an object, or a class itself."""
    return value if isinstance(value, type) else type(value)


def check_importable(params):
    """Raise an ImportError if a parameter could not be imported when the estimator was loaded."""
    for name, value in params.items():
        if isinstance(value, MissingObject):
            raise ImportError(
                f"{value.name}, in the parameter {name!r}, cannot be imported. Install its package "
                "before the estimator is loaded, or set another value."
            )


def strip_training_state(net_params):
    """Return `net_params` with the callbacks as they were before training.

    In training skorch's callbacks get attributes whose names end in "_", an optimizer for example.
    """
    if not isinstance(net_params, dict) or not isinstance(
        net_params.get("callbacks"), list | tuple
    ):
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


def wrap_objects(state):
    """Return the state of a fitted estimator with what only training needs as `SavedObject`s.

    These are callbacks, and an optimizer or a corruption from the user's libraries.
    """
    if "_model_" not in state:
        return state
    wrapped = wrap_training(state)
    return {**wrapped, "_plan_": wrap_training(wrapped["_plan_"])}


def wrap_training(params):
    """Return parameters, or the choices of a plan, with what only training needs wrapped."""
    net_params, corruption = params["net_params"], params.get("corruption")
    if isinstance(net_params, dict) and isinstance(net_params.get("callbacks"), list | tuple):
        callbacks = [wrap_object(callback) for callback in net_params["callbacks"]]
        net_params = {**net_params, "callbacks": callbacks}
    wrapped = {"net_params": net_params, "optimizer": wrap_object(params["optimizer"])}
    if corruption is not None:
        wrapped["corruption"] = wrap_object(corruption)
    return {**params, **wrapped}


def wrap_object(value):
    """Return a `SavedObject` for an object of a library; a tuple with its parts wrapped.

    What the user has defined in a script is saved with the estimator as it is, and so are values
    that need no import.
    """
    if isinstance(value, tuple):
        return tuple(map(wrap_object, value))
    kind = get_class(value) if not hasattr(value, "__qualname__") else value
    module = getattr(kind, "__module__", None) or "__main__"
    if isinstance(value, SavedObject) or module in ("__main__", "builtins"):
        return value
    if module.split(".")[0] in ("numpy", "torch", __package__):
        return value
    try:
        return SavedObject(pickle.dumps(value), f"{module}.{kind.__qualname__}")
    except (
        Exception
    ):  # only cloudpickle can pickle it, and cloudpickle is then saving the estimator
        return value


class SavedObject:
    """An object inside a pickle, which loads even if the package of the object is missing."""

    def __init__(self, data, name):
        self.data, self.name = data, name

    def __reduce__(self):
        return load_object, (self.data, self.name)


class MissingObject(SavedObject):
    """An object that could not be loaded, because its package is missing here."""

    def __repr__(self):
        return f"<{self.name}, which could not be imported>"

    def __call__(self, *args, **kwargs):
        """Stand for a class or a function, for checks of parameters."""
        raise ImportError(f"{self.name} cannot be imported.")


def load_object(data, name):
    """Return the object that was pickled, or a `MissingObject` in its place."""
    try:
        return pickle.loads(data)
    except (ImportError, AttributeError):
        return MissingObject(data, name)
