"""A fitted network as numbers and arrays, from which it is made again.

That is what pickle, joblib, cloudpickle and skops save: no objects of torch or skorch, nothing
of a device, and nothing that only training needs.
"""

import copy
import hashlib
from functools import partial
from numbers import Number

import numpy as np
import torch
from skorch.history import History

from ._networks import Architecture, LinearPath, make_autoencoder

FORMAT = 1  # of the state that is saved; later releases still read the earlier ones


def saved_network(net, architecture, with_optimizer):
    """Return a net of skorch as a dict of numbers, text and arrays.

    Parameters
    ----------
    net : AutoencoderNet
    architecture : Architecture
        Of its module; factories of networks are saved by whoever saves the dict.
    with_optimizer : bool
        Whether the moments of the optimizer are wanted, twice the weights.

    Returns
    -------
    saved : dict
    """
    path = architecture.linear_path
    return {
        "architecture": {**vars(architecture), "linear_path": None if path is None else vars(path)},
        "weights": arrays(net.module_.state_dict()),
        "generator": arrays(net.iterator_train__generator.get_state()),
        "optimizer": arrays(net.optimizer_.state_dict()["state"]) if with_optimizer else {},
        "history": columns(net.history),
        "best_epoch": net.best_epoch_,
        "start_loss": net.start_loss_,
        "batch_size": net.batch_size,
        "loss": net.criterion_.name,
    }


def restored_module(saved):
    """Return the module of a saved network and its `Architecture`.

    Raises
    ------
    ValueError
        If its weights fit no such network.
    """
    path = saved["architecture"]["linear_path"]
    path = None if path is None else LinearPath(**path)
    architecture = Architecture(**{**saved["architecture"], "linear_path": path})
    module = make_autoencoder(architecture, torch.Generator().manual_seed(0))
    try:
        module.load_state_dict(tensors(saved["weights"]))
    except RuntimeError as error:
        raise ValueError(
            "The networks that encoder and decoder return are not those that were saved."
        ) from error
    return module.eval(), architecture


def restore_training(net, saved):
    """Give a new net what training goes on with."""
    net.iterator_train__generator.set_state(tensors(saved["generator"]))
    groups = net.optimizer_.state_dict()["param_groups"]
    net.optimizer_.load_state_dict({"state": tensors(saved["optimizer"]), "param_groups": groups})
    net.history_ = History(rows(saved["history"]))
    net.best_epoch_, net.start_loss_ = saved["best_epoch"], saved["start_loss"]


def columns(history):
    """Return what a history has of its epochs, a list for each name, with None where it has not."""
    names = {name: None for row in history for name in row if name != "batches"}
    return {name: [row.get(name) for row in history] for name in names}


def rows(columns):
    """Return the epochs that `columns` was given, without their batches."""
    for values in zip(*columns.values(), strict=True):
        row = {name: v for name, v in zip(columns, values, strict=True) if v is not None}
        yield {**row, "batches": []}


def arrays(tree):
    """Return a tensor, or a dict with tensors in it, with NumPy arrays in their place."""
    if isinstance(tree, dict):
        return {name: arrays(value) for name, value in tree.items()}
    return tree.detach().cpu().numpy() if isinstance(tree, torch.Tensor) else tree


def tensors(tree):
    """Return what `arrays` was given."""
    if isinstance(tree, dict):
        return {name: tensors(value) for name, value in tree.items()}
    return torch.from_numpy(tree.copy()) if isinstance(tree, np.ndarray) else tree


def without_training_state(net_params):
    """Return `net_params` with the callbacks as before training.

    What skorch's callbacks get in training, an optimizer for example, has names that end in "_".
    """
    if not net_params or not isinstance(net_params.get("callbacks"), list | tuple):
        return net_params
    return {**net_params, "callbacks": [as_before_training(c) for c in net_params["callbacks"]]}


def as_before_training(callback):
    """Return a callback, or a pair of its name and it, without what it got in training."""
    if isinstance(callback, tuple):
        return *callback[:-1], as_before_training(callback[-1])
    if isinstance(callback, type) or not hasattr(callback, "__dict__"):
        return callback
    bare = copy.copy(callback)
    for name in [name for name in vars(callback) if name.endswith("_")]:
        delattr(bare, name)
    return bare


def sealed(state):
    """Return the state of an estimator with what tells whether it is whole."""
    return {**state, "_format_": FORMAT, "_digest_": digest(state)}


def unsealed(state):
    """Return what `sealed` was given.

    Raises
    ------
    ValueError
        If it is not whole, or was saved by a later release.
    """
    state = dict(state)
    if state.pop("_format_", 0) > FORMAT:
        raise ValueError("It was saved by a later release of sklearn_ae. Load it with that.")
    if state.pop("_digest_", None) != digest(state):
        raise ValueError("What is in the file is not what was saved: it is damaged.")
    return state


def digest(state):
    """Return the SHA-256 of what is in nested containers, in hexadecimal.

    Counted are numbers, text and arrays, also those in random states and in objects of this
    package. Classes, functions and other objects, as a parameter may be, are not: what stands
    behind a name may change.
    """
    found = hashlib.sha256()
    for piece in pieces(state):
        found.update(piece)
    return found.hexdigest()


def pieces(tree):
    """Yield the bytes of what `digest` counts, and of the structure that it is in."""
    if isinstance(tree, dict):
        yield f"dict {len(tree)} ".encode()
        for name in sorted(tree, key=str):
            yield f"{name} ".encode()
            yield from pieces(tree[name])
    elif isinstance(tree, list | tuple):
        yield f"list {len(tree)} ".encode()
        for value in tree:
            yield from pieces(value)
    elif isinstance(tree, np.ndarray) and tree.dtype.hasobject:
        yield from pieces(tree.tolist())
    elif isinstance(tree, np.ndarray):
        yield f"{tree.dtype.str} {tree.shape} ".encode()
        yield np.ascontiguousarray(tree)
    elif tree is None or isinstance(tree, str | bool | Number | np.generic):
        yield f"{tree} ".encode()
    elif isinstance(tree, np.random.RandomState):
        yield from pieces(tree.get_state())
    elif isinstance(tree, partial):
        yield from pieces([tree.args, tree.keywords])
    elif type(tree).__module__.startswith(f"{__package__}."):
        yield from pieces(vars(tree))
