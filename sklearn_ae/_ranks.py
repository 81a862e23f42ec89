"""One fit by several processes: what the ranks of torch.distributed share, and agree on.

Every rank computes with its own rows of every batch; together they do what one process does with
the whole batch. torch's `DistributedDataParallel` averages the gradients during the backward pass.
"""

import copy
import io
import pickle
from dataclasses import replace

import numpy as np
import torch
from skorch.callbacks import Checkpoint, PrintLog, ProgressBar, TrainEndCheckpoint
from skorch.utils import noop
from torch import distributed, nn
from torch.nn.parallel import DistributedDataParallel


class OneProcess:
    """A fit by this process alone."""

    number, count = 0, 1

    @property
    def alone(self):
        """The process that fits the networks of folds: this one, without the others."""
        return self

    def wrap_forward(self, network):
        """Return the function that computes a network's `Output`, with gradients of all ranks."""
        return network.compute_output

    def agree_on(self, make):
        """Return what `make` returns on the first rank, or raise what it raises there."""
        return make()

    def select_share(self, index):
        """Return this rank's share of the indices of rows."""
        return index

    def select_batch(self, batch):
        """Return this rank's share of the indices in a batch, on which it trains.

        If this rank owns no row of the batch, return rows of other ranks: custom networks may fail
        on an empty batch.
        """
        return batch

    def count_own(self, n_rows):
        """Return how many rows of a batch of n_rows are this rank's own."""
        return n_rows

    def compute_weight(self, n_rows):
        """Return the weight of this rank's loss in a batch of n_rows, a tensor, or None for 1."""

    def gather(self, values):
        """Return one array of the shares that the ranks have."""
        return values

    def sum(self, value):
        """Return the sum over all ranks of a tensor."""
        return value

    def is_any(self, condition):
        """Tell whether a condition holds on any rank."""
        return condition

    def check_same(self, what, make):
        """Raise a ValueError on all ranks if what `make` returns differs between them."""

    def copy_buffers(self, module):
        """Copy the buffers of the first rank's module to all ranks."""

    def share_training(self, model, training):
        """Return the `Training` of the first rank, or None, and copy its model's weights to all."""
        return training

    def select_callbacks(self, callbacks):
        """Return callbacks of which only the first rank has those that print and write files."""
        return callbacks


ONE_PROCESS = OneProcess()


class AllRanks(OneProcess):
    """A fit by all processes of torch.distributed's default group, the methods as in `OneProcess`.

    Parameters
    ----------
    device : str
        The device of the fit, on which the ranks exchange tensors.
    has_custom_networks : bool
        Whether there are any: they may have parameters that a step does not use.
    """

    def __init__(self, device, has_custom_networks):
        self.device, self.has_custom_networks = device, has_custom_networks
        self.number, self.count = distributed.get_rank(), distributed.get_world_size()

    @property
    def alone(self):
        return ONE_PROCESS

    def wrap_forward(self, network):
        # DistributedDataParallel raises an error if there is nothing to train
        if not any(p.requires_grad for p in network.parameters()):
            return super().wrap_forward(network)
        step = OutputOf(network)
        return DistributedDataParallel(step, find_unused_parameters=self.has_custom_networks)

    def agree_on(self, make):
        made, own_error = [None, None], None
        if self.number == 0:
            try:
                made[0] = make()
            except Exception as error:
                # sent instead of raised at once: the other ranks would wait for ever
                made[1], own_error = make_sendable(error), error
        distributed.broadcast_object_list(made, device=torch.device(self.device))
        if made[1] is not None:
            # on the first rank the error itself, with its traceback
            raise own_error or made[1]
        return made[0]

    def select_share(self, index):
        # in the order of X: a rank then reads much the same part of a file in all epochs
        first, end = self._ends(len(index))
        mine = index.argsort()[first:end]
        return index[mine.sort().values]

    def select_batch(self, batch):
        share = self.select_share(batch)
        return batch[:2] if len(share) == 0 and self.has_custom_networks else share

    def count_own(self, n_rows):
        first, end = self._ends(n_rows)
        return end - first

    def _ends(self, n_rows):
        """Return where this rank's share of n_rows begins and ends."""
        # in pairs, because batch normalisation cannot train on a single row
        unit = 2 if self.has_custom_networks else 1
        n_units, left_over = divmod(n_rows, unit)
        # an odd row goes to the first rank; -(-a // b) rounds up
        numbers = self.number, self.number + 1
        return [left_over * (i > 0) + unit * -(-n_units * i // self.count) for i in numbers]

    def compute_weight(self, n_rows):
        # the mean over the ranks of (own / n_rows · count) · (own mean) is the mean over all rows
        return torch.full((), self.count_own(n_rows) * self.count / n_rows, device=self.device)

    def gather(self, values):
        found = [None] * self.count
        distributed.all_gather_object(found, values)
        return np.concatenate(found)

    def sum(self, value):
        distributed.all_reduce(value)
        return value

    def is_any(self, condition):
        return bool(self.sum(torch.tensor(float(condition), device=self.device)))

    def check_same(self, what, make):
        found = [None] * self.count
        distributed.all_gather_object(found, make())
        if any(other != found[0] for other in found):
            raise ValueError(f"data_parallel=True needs {what} on all ranks; got {found}.")

    def copy_buffers(self, module):
        for buffer in module.buffers():
            distributed.broadcast(buffer, src=0)

    def share_training(self, model, training):
        for tensor in model.state_dict().values():
            # torch sends contiguous tensors only, and not all weights are
            sent = tensor.contiguous()
            distributed.broadcast(sent, src=0)
            tensor.copy_(sent)
        if training is None:
            return None
        found = training.generator.get_state(), training.moments, training.history
        file = io.BytesIO()
        torch.save((*found, training.best_epoch), file)
        # a plain pickle of tensors on a GPU would be loaded to the GPU of the first rank
        sent = io.BytesIO(self.agree_on(file.getvalue))
        drawn, moments, history, best = torch.load(sent, map_location="cpu", weights_only=False)
        training.generator.set_state(drawn)
        return replace(training, moments=moments, history=history, best_epoch=best)

    def select_callbacks(self, callbacks):
        if self.number == 0:
            return callbacks
        writing = Checkpoint | TrainEndCheckpoint | PrintLog | ProgressBar
        silent = []
        for name, callback in callbacks:
            if isinstance(callback, writing) or getattr(callback, "writes_output", False):
                continue
            if "sink" in vars(callback):
                # a copy, because the callback may be the user's own object
                callback = copy.copy(callback)
                callback.sink = noop
            silent.append((name, callback))
        return silent


class OutputOf(nn.Module):
    """The training pass of a network as a module of its own, for `DistributedDataParallel`."""

    def __init__(self, network):
        super().__init__()
        self.network = network

    def forward(self, u):
        """Return the `Output` for standardised rows (n, n_features)."""
        return self.network.compute_output(u)


def make_sendable(error):
    """Return an error that can be pickled: itself, or else a RuntimeError with its text."""
    try:
        return pickle.loads(pickle.dumps(error))
    except Exception:
        return RuntimeError(repr(error))


def make_ranks(data_parallel, device, has_custom_networks):
    """Return the processes that fit together.

    Raises
    ------
    ValueError
        If there should be several and torch.distributed is not initialised.
    """
    if not data_parallel:
        return ONE_PROCESS
    if not (distributed.is_available() and distributed.is_initialized()):
        raise ValueError(
            "data_parallel=True needs initialised torch.distributed processes: start the script "
            "with torchrun and call torch.distributed.init_process_group() before fit."
        )
    return AllRanks(device, has_custom_networks)
