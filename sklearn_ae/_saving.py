"""A fitted network as numbers and arrays, from which it is made again.

That is what pickle, joblib, cloudpickle and skops save: no objects of torch or skorch, nothing
of a device, and nothing that only training needs.
"""

import hashlib

import numpy as np
import torch
from skorch.history import History

from ._networks import Architecture, LinearPath, make_autoencoder

FORMAT = 1  # of what `saved_network` returns; a later one still reads the earlier


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
    weights = arrays(net.module_.state_dict())
    return {
        "format": FORMAT,
        "architecture": {**vars(architecture), "linear_path": None if path is None else vars(path)},
        "weights": weights,
        "digest": digest(weights),
        "generator": arrays(net.iterator_train__generator.get_state()),
        "optimizer": arrays(net.optimizer_.state_dict()["state"]) if with_optimizer else {},
        "history": [without_batches(row) for row in net.history],
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
        If the weights are not those that were saved, or fit no such network.
    """
    if saved["format"] > FORMAT:
        raise ValueError("It was saved by a later release of sklearn_ae. Load it with that.")
    if digest(saved["weights"]) != saved["digest"]:
        raise ValueError("The weights in the file are not those that were saved: it is damaged.")
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
    net.history_ = History({**row, "batches": []} for row in saved["history"])
    net.best_epoch_, net.start_loss_ = saved["best_epoch"], saved["start_loss"]


def without_batches(row):
    """Return an epoch of a history without its batches."""
    return {name: value for name, value in row.items() if name != "batches"}


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


def digest(weights):
    """Return the SHA-256 of named arrays, in hexadecimal."""
    found = hashlib.sha256()
    for name, array in sorted(weights.items()):
        found.update(f"{name} {array.dtype.str} {array.shape} ".encode())
        found.update(np.ascontiguousarray(array))
    return found.hexdigest()
