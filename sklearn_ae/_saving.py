"""Fitted estimators as numbers, text and arrays, from which they are made again.

That is what pickle, joblib, cloudpickle and skops save: no objects of torch or skorch, nothing
that depends on a device, and nothing that only training needs.
"""

import pickle
import sys

import numpy as np
import torch

from ._callbacks import SavedObject, change_callbacks, strip_callback
from ._gaussian import FillMissing
from ._model import Model
from ._networks import Architecture, make_coders
from ._plan import Plan, resolve_device
from ._training import Training
from ._units import Units

FORMAT = 4  # of the state that is saved
DEVICE = "torch.device"  # marks a device that is saved as text

# Packages of objects that are saved with the estimator as they are: a script's own ones, those
# that need no import, and those that the estimator needs anyway.
KEPT_PACKAGES = ("__main__", "builtins", "numpy", "torch", __package__)


def pack_state(state, with_optimizer):
    """Return the state of an estimator, its attributes by name, for saving.

    Factories of networks are in it as they are: the way of saving decides whether it takes them.

    Parameters
    ----------
    state : dict
    with_optimizer : bool
        Whether to include the moments of the optimizer, which take twice the size of the weights.
    """
    net_params = change_callbacks(state["net_params"], strip_callback)
    packed = {**state, "net_params": net_params, "_format_": FORMAT}
    if isinstance(state["device"], torch.device):
        packed["device"] = DEVICE, str(state["device"])
    if "_model_" not in state:
        return packed
    plan, model, training = state["_plan_"], state["_model_"], state["_training_"]
    packed["_plan_"] = {
        **vars(plan),
        "architecture": vars(plan.architecture),
        "net_params": change_callbacks(plan.net_params, strip_callback),
    }
    # Only pairs of rows have two units. For others one object must be loaded in both places: that
    # `input_units is units` is what tells them from pairs.
    all_units = dict.fromkeys([model.units, model.input_units])
    packed["_model_"] = {
        "architecture": vars(model.architecture),
        "units": [convert_to_arrays(units.get_state()) for units in all_units],
        "weights": convert_to_arrays(model.state_dict()),
        "row_width": model.row_width,
        "estimator_name": model.estimator_name,
    }
    packed["_training_"] = {
        "history": [pack_epoch(epoch) for epoch in training.history],
        "generator": convert_to_arrays(training.generator.get_state()),
        "moments": convert_to_arrays(training.moments if with_optimizer else {}),
        "best_epoch": training.best_epoch,
        "start_loss": training.start_loss,
        "sums": training.sums,
    }
    kind = state["_array_kind_"]
    packed["_array_kind_"] = convert_to_arrays(kind), isinstance(kind, torch.Tensor)
    return packed


def pack_epoch(epoch):
    """Return an epoch of a history for saving."""
    # The batches are many, and nothing reads them once the epoch is over. A name that is the same
    # object in all epochs is written to a pickle once.
    return {sys.intern(name): [] if name == "batches" else epoch[name] for name in epoch}


def unpack_state(packed):
    """Return the state that `pack_state` was given, with the model on this machine's device.

    Raises
    ------
    ValueError
        If the format is that of another release, or if the weights do not fit the network.
    """
    if packed.get("_format_") != FORMAT:
        raise ValueError(
            "The file was saved by another release of sklearn_ae, in a format that this one cannot "
            "read. Load it with that release."
        )
    state = {name: value for name, value in packed.items() if name != "_format_"}
    if isinstance(state["device"], tuple) and state["device"][:1] == (DEVICE,):
        state["device"] = torch.device(state["device"][1])
    if "_model_" not in state:
        return state
    # The device of the fit may be missing on this machine, or have been set to a wrong value.
    try:
        device = resolve_device(state["device"], "estimator")
    except ValueError:
        device = "cpu"
    state["_model_"] = unpack_model(state["_model_"]).to(device)
    architecture = Architecture(**state["_plan_"]["architecture"])
    state["_plan_"] = Plan(**{**state["_plan_"], "architecture": architecture})
    training, generator = state["_training_"], torch.Generator()
    generator.set_state(convert_to_tensors(training["generator"]))
    moments = convert_to_tensors(training["moments"])
    known = {name: training[name] for name in ("history", "best_epoch", "start_loss")}
    sums = training.get("sums", {})
    state["_training_"] = Training(generator=generator, moments=moments, sums=sums, **known)
    kind, is_tensor = state["_array_kind_"]
    state["_array_kind_"] = convert_to_tensors(kind) if is_tensor else kind
    return state


def unpack_model(packed):
    """Return the model of a packed state, or raise a ValueError if its weights do not fit."""
    architecture = Architecture(**packed["architecture"])
    all_units = [Units(**convert_to_tensors(units)) for units in packed["units"]]
    units, input_units = all_units[0], all_units[-1]
    encoder, decoder = make_coders(architecture, units.scale)
    n_factors = architecture.n_fill_factors
    fill = FillMissing(architecture.n_features, n_factors) if n_factors else None
    width, name = packed["row_width"], packed["estimator_name"]
    model = Model(architecture, units, input_units, encoder, decoder, width, name, fill)
    try:
        model.load_state_dict(convert_to_tensors(packed["weights"]))
    except RuntimeError as error:
        raise ValueError(
            "The networks that encoder and decoder return are not those that were saved."
        ) from error
    return model.eval()


def convert_to_arrays(tree):
    """Return a tensor, or a dict of tensors, as NumPy arrays; other values as they are."""
    if isinstance(tree, dict):
        return {name: convert_to_arrays(value) for name, value in tree.items()}
    return tree.detach().cpu().numpy() if isinstance(tree, torch.Tensor) else tree


def convert_to_tensors(tree):
    """Return what `convert_to_arrays` was given, as tensors that own their memory."""
    if isinstance(tree, dict):
        return {name: convert_to_tensors(value) for name, value in tree.items()}
    # Arrays that are mapped from a file, or belong to the estimator that is copied, must not be
    # written to, as an optimizer writes to its moments.
    return torch.from_numpy(tree.copy()) if isinstance(tree, np.ndarray) else tree


def wrap_objects(state):
    """Return the state of a fitted estimator with what only training needs as `SavedObject`s.

    These are callbacks, and an optimizer or a corruption from the user's libraries.
    """
    if "_model_" not in state:
        return state
    return {**wrap_training(state), "_plan_": wrap_training(state["_plan_"])}


def wrap_training(params):
    """Return parameters, or the choices of a plan, with what only training needs wrapped."""
    names = params.keys() & {"optimizer", "corruption"}
    wrapped = {name: wrap_object(params[name]) for name in names}
    return {**params, **wrapped, "net_params": change_callbacks(params["net_params"], wrap_object)}


def wrap_object(value):
    """Return a `SavedObject` for an object of a user's library; other values as they are."""
    kind = value if hasattr(value, "__qualname__") else type(value)
    try:
        if kind.__module__.split(".")[0] in KEPT_PACKAGES:
            return value
        return SavedObject(pickle.dumps(value), f"{kind.__module__}.{kind.__qualname__}")
    except Exception:
        # Functions built into an extension have no module. Other objects only cloudpickle can
        # pickle, and it is then cloudpickle that saves the estimator.
        return value
