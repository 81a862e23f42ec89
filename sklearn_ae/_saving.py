"""Fitted estimators as numbers, text and arrays, from which they are made again.

That is what pickle, joblib, cloudpickle and skops save: no objects of torch or skorch, nothing
that depends on a device, and nothing that only training needs.
"""

import copy
import zlib
from contextlib import contextmanager
from dataclasses import replace
from functools import partial
from numbers import Number

import numpy as np
import torch
from skorch.history import History

from ._callbacks import SavedObject, strip_training_state
from ._isolation import isolate_torch
from ._missing import FillMissing
from ._model import OUT_OF_MEMORY, Model, is_out_of_memory
from ._networks import Architecture, LinearPath, make_coders
from ._plan import Plan, resolve_device
from ._rows import convert_to_tensor
from ._units import Units

FORMAT = 2  # of the state that is saved
DEVICE = "torch.device"  # marks a device that is saved as text


def pack_state(state, with_optimizer):
    """Return the state of an estimator, its attributes by name, for saving.

    Parameters
    ----------
    state : dict
    with_optimizer : bool
        Whether to include the moments of the optimizer.
    """
    state = {**state, "net_params": strip_training_state(state["net_params"])}
    state.pop("_shares_weights_", None)  # not with what is loaded
    if isinstance(state["device"], torch.device):
        state["device"] = DEVICE, str(state["device"])
    if "_model_" in state:
        net, kind = state["_net_"], state["_array_kind_"]
        state["_net_"] = net if isinstance(net, dict) else pack_training(net, with_optimizer)
        plan = vars(state["_plan_"])
        state["_plan_"] = {**plan, "net_params": strip_training_state(plan["net_params"])}
        state["_model_"] = pack_model(state["_model_"])
        state["_array_kind_"] = convert_to_arrays(kind), isinstance(kind, torch.Tensor)
    return seal_state(state)


def unpack_state(saved):
    """Return the state that `pack_state` was given, with the model on this machine's device.

    Of the net there are only the numbers from which it is made when it is needed.
    """
    state = unseal_state(saved)
    if state["device"] and state["device"][0] == DEVICE:
        state["device"] = torch.device(state["device"][1])
    if "_model_" in state:
        state["_plan_"] = Plan(**state["_plan_"])
        state["_model_"] = unpack_model(state["_model_"]).to(find_device(state["device"]))
        kind, is_tensor = state["_array_kind_"]
        state["_array_kind_"] = convert_to_tensors(kind) if is_tensor else kind
    return state


def find_device(device):
    """Return the device to load to: the CPU where the device of the fit is missing."""
    try:
        return resolve_device(device, "estimator")
    except ValueError:
        return "cpu"


def pack_model(model):
    """Return a model as a dict of numbers, text and arrays.

    Factories of networks are in it as they are: the way of saving decides whether it takes them.
    """
    path = model.architecture.linear_path
    path = None if path is None else vars(path)
    return {
        "architecture": {**vars(model.architecture), "linear_path": path},
        "units": convert_to_arrays(model.units.get_state()),
        "input_units": pack_input_units(model),
        "weights": convert_to_arrays(model.state_dict()),
        "row_width": model.row_width,
        "estimator_name": model.estimator_name,
    }


def pack_input_units(model):
    """Return the state of the units of what a model encodes, or None for those of its outputs."""
    is_same = model.input_units is model.units
    return None if is_same else convert_to_arrays(model.input_units.get_state())


def unpack_model(packed):
    """Return the model that `pack_model` was given.

    Raises
    ------
    ValueError
        If the weights do not fit the network.
    """
    path = packed["architecture"]["linear_path"]
    path = None if path is None else LinearPath(**path)
    architecture = Architecture(**{**packed["architecture"], "linear_path": path})
    units = Units(**convert_to_tensors(packed["units"]))
    own = packed["input_units"]
    input_units = units if own is None else Units(**convert_to_tensors(own))
    encoder, decoder = make_coders(architecture, units)
    rest = packed["row_width"], packed["estimator_name"]
    n_factors = architecture.n_fill_factors
    fill = FillMissing(architecture.n_features, n_factors) if n_factors else None
    model = Model(architecture, units, input_units, encoder, decoder, *rest, fill)
    try:
        model.load_state_dict(convert_to_tensors(packed["weights"], copy=False))
    except RuntimeError as error:
        raise ValueError(
            "The networks that encoder and decoder return are not those that were saved."
        ) from error
    return model.eval()


def pack_training(net, with_optimizer):
    """Return the state from which training continues, as a dict of numbers, text and arrays.

    Parameters
    ----------
    net : AutoencoderNet
    with_optimizer : bool
        Whether to include the moments of the optimizer, which take twice the size of the weights.
    """
    moments = net.optimizer_.state_dict()["state"] if with_optimizer else {}
    return {
        "generator": convert_to_arrays(net.iterator_train__generator.get_state()),
        "optimizer": convert_to_arrays(moments),
        "history": pack_history(net.history),
        "best_epoch": net.best_epoch_,
        "start_loss": net.start_loss_,
    }


def unpack_training(net, packed):
    """Set the training state of a new net from a packed one."""
    net.iterator_train__generator.set_state(convert_to_tensors(packed["generator"]))
    state = net.optimizer_.state_dict()
    state["state"] = convert_to_tensors(packed["optimizer"])
    net.optimizer_.load_state_dict(state)
    net.history_ = History(unpack_history(packed["history"]))
    net.best_epoch_, net.start_loss_ = packed["best_epoch"], packed["start_loss"]


def pack_history(history):
    """Convert a history to one list per name, with None for epochs that lack it."""
    names = {name: None for row in history for name in row if name != "batches"}
    return {name: [row.get(name) for row in history] for name in names}


def unpack_history(columns):
    """Yield the epochs that `pack_history` was given, without their batches."""
    for values in zip(*columns.values(), strict=True):
        row = {name: v for name, v in zip(columns, values, strict=True) if v is not None}
        yield {**row, "batches": []}


def convert_to_arrays(tree):
    """Return a tensor, or a dict of tensors, as NumPy arrays; other values as they are."""
    if isinstance(tree, dict):
        return {name: convert_to_arrays(value) for name, value in tree.items()}
    return tree.detach().cpu().numpy() if isinstance(tree, torch.Tensor) else tree


def convert_to_tensors(tree, copy=True):
    """Return the tensors that `convert_to_arrays` was given; with `copy` they own their memory."""
    if isinstance(tree, dict):
        return {name: convert_to_tensors(value, copy) for name, value in tree.items()}
    if not isinstance(tree, np.ndarray):
        return tree
    return torch.from_numpy(tree.copy()) if copy else convert_to_tensor(tree)


def seal_state(state):
    """Return the state of an estimator with its format and checksum."""
    return {**state, "_format_": FORMAT, "_checksum_": compute_checksum(state)}


def unseal_state(state):
    """Return the state that `seal_state` was given.

    Raises
    ------
    ValueError
        If the checksum does not match, or if the format is that of another release.
    """
    state = dict(state)
    if state.pop("_format_", 0) != FORMAT:
        raise ValueError(
            "The file was saved by another release of sklearn_ae, in a format that this one cannot "
            "read. Load it with that release."
        )
    if state.pop("_checksum_", None) != compute_checksum(state):
        raise ValueError("The file is damaged: its checksum does not match.")
    return state


def compute_checksum(state):
    """Return the CRC-32 of the numbers, text and arrays in nested containers.

    It finds damage, not fraud, and takes less than half the time of a cryptographic digest. Random
    states and objects of this package are included. Classes, functions and other objects that
    may be parameters are not: the code behind a name may change.
    """
    checksum = 0
    for piece in iterate_bytes(state):
        checksum = zlib.crc32(piece, checksum)
    return checksum


def iterate_bytes(tree):
    """Yield the bytes that `compute_checksum` counts, and those of the structure around them."""
    if isinstance(tree, dict):
        yield f"dict {len(tree)} ".encode()
        for name in sorted(tree, key=str):
            yield f"{name} ".encode()
            yield from iterate_bytes(tree[name])
    elif isinstance(tree, list | tuple):
        yield f"list {len(tree)} ".encode()
        for value in tree:
            yield from iterate_bytes(value)
    elif isinstance(tree, np.ndarray) and tree.dtype.hasobject:
        yield from iterate_bytes(tree.tolist())
    elif isinstance(tree, np.ndarray):
        yield f"{tree.dtype.str} {tree.shape} ".encode()
        yield np.ascontiguousarray(tree)
    elif tree is None or isinstance(tree, str | bool | Number | np.generic):
        yield f"{tree} ".encode()
    elif isinstance(tree, np.random.RandomState):
        yield from iterate_bytes(tree.get_state())
    elif isinstance(tree, partial):
        yield from iterate_bytes([tree.args, tree.keywords])
    elif isinstance(tree, SavedObject):  # an object may be missing here
        return
    elif type(tree).__module__.startswith(f"{__package__}."):
        yield from iterate_bytes(vars(tree))


@contextmanager
def restore_on_error(estimator, trains_on):
    """Run the block in torch's default state, and restore the estimator if it raises.

    Parameters
    ----------
    estimator : BaseAutoencoder
    trains_on : bool
        Whether the block trains the model of the estimator, or makes a new one.
    """
    with isolate_torch():
        own_weights(estimator)
        checkpoint = make_checkpoint(estimator) if trains_on else None
    before = {name: value for name, value in vars(estimator).items() if name.endswith("_")}
    generator = estimator.random_state
    drawn = generator.get_state() if isinstance(generator, np.random.RandomState) else None
    try:
        with isolate_torch():
            yield
    except BaseException as error:
        if drawn is not None:
            generator.set_state(drawn)
        for name in [name for name in vars(estimator) if name.endswith("_")]:
            delattr(estimator, name)
        vars(estimator).update(before)
        if trains_on:
            with isolate_torch():
                restore_checkpoint(estimator, checkpoint)
        if is_out_of_memory(error):
            raise MemoryError(OUT_OF_MEMORY) from error
        raise


def share_weights(estimator, n_components):
    """Return the fitted attributes of an ordered estimator for one with a smaller code.

    From now on both own their weights only after `own_weights`.
    """
    estimator._shares_weights_ = True
    state = {name: value for name, value in vars(estimator).items() if name.endswith("_")}
    net = state["_net_"]
    return {
        **state,
        "_model_": estimator._model_.truncate(n_components),
        "_net_": net if isinstance(net, dict) else pack_training(net, with_optimizer=True),
        "_plan_": replace(estimator._plan_, n_components=n_components),
        "n_components_": n_components,
        "explained_variance_ratio_": estimator.explained_variance_ratio_[:n_components],
    }


def own_weights(estimator):
    """Give an estimator a copy of its weights before it is trained, if others share them."""
    if vars(estimator).pop("_shares_weights_", False):
        net = estimator._net_
        if not isinstance(net, dict):
            estimator._net_ = pack_training(net, with_optimizer=True)
        estimator._model_ = copy.deepcopy(estimator._model_)


def make_checkpoint(estimator):
    """Return what training changes in the net and the units of a fitted estimator."""
    units = estimator.net_.module_.units
    return {"net": estimator.net_.make_checkpoint(), "range": (units.low, units.high)}


def restore_checkpoint(estimator, checkpoint):
    """Undo what training has changed since the checkpoint was made."""
    estimator.net_.restore(checkpoint["net"])
    units = estimator.net_.module_.units
    units.low, units.high = checkpoint["range"]
