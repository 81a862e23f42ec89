"""One fit by several processes: what the ranks of torch.distributed share, and agree on.

Every rank computes with its own rows of every batch; together they do what one process does with
the whole batch. torch's `DistributedDataParallel` averages the gradients during the backward pass.
"""

import copy
import io
import math
import pickle

import numpy as np
import torch
from skorch.callbacks import Checkpoint, PrintLog, ProgressBar, TrainEndCheckpoint
from skorch.utils import noop
from torch import distributed
from torch.nn.parallel import DistributedDataParallel


class OneProcess:
    """A fit by this process alone."""

    number, count = 0, 1

    def wrap_forward(self, module):
        """Return the function that computes a module's output, with gradients of all ranks."""
        return module.__call__

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

    def copy_state(self, net):
        """Copy weights, optimizer, generator and history of the first rank's net to all ranks."""


ONE_PROCESS = OneProcess()


class AllRanks(OneProcess):
    """A fit by all processes of torch.distributed's default group.

    Parameters
    ----------
    device : str
        The device of the fit, on which the ranks exchange tensors.
    has_custom_networks : bool
        Whether there are any: they may have parameters that a step does not use.
    """

    def __init__(self, device, has_custom_networks):
        self.device = device
        self.has_custom_networks = has_custom_networks
        self.number, self.count = distributed.get_rank(), distributed.get_world_size()

    def wrap_forward(self, module):
        if not any(p.requires_grad for p in module.parameters()):
            return super().wrap_forward(module)
        unused = {"find_unused_parameters": self.has_custom_networks}
        return DistributedDataParallel(module, **unused).__call__

    def agree_on(self, make):
        made, own_error = [None, None], None
        if self.number == 0:
            try:
                made = [make(), None]
            except Exception as error:  # the others would wait for ever
                made, own_error = [None, make_sendable(error)], error
        distributed.broadcast_object_list(made, device=torch.device(self.device))
        value, error = made
        if error is not None:
            raise own_error or error
        return value

    def select_share(self, index):
        # in the order of X: a rank then reads much the same part of a file in all epochs
        mine = index.argsort()[slice(*self._ends(len(index)))]
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
        return tuple(
            left_over * (number > 0) + unit * math.ceil(n_units * number / self.count)
            for number in (self.number, self.number + 1)
        )

    def compute_weight(self, n_rows):
        return torch.full(
            (),
            self.count_own(n_rows) * self.count / n_rows,
            dtype=torch.float32,
            device=self.device,
        )

    def gather(self, values):
        found = [None] * self.count
        distributed.all_gather_object(found, values)
        return np.concatenate(found)

    def sum(self, value):
        distributed.all_reduce(value)
        return value

    def is_any(self, condition):
        return bool(
            self.sum(torch.tensor(float(condition), dtype=torch.float32, device=self.device))
        )

    def check_same(self, what, make):
        found = [None] * self.count
        distributed.all_gather_object(found, make())
        if any(other != found[0] for other in found):
            raise ValueError(f"data_parallel=True needs {what} on all ranks; got {found}.")

    def copy_buffers(self, module):
        for buffer in module.buffers():
            distributed.broadcast(buffer, src=0)

    def copy_state(self, net):
        for tensor in net.module_.state_dict().values():
            sent = tensor.contiguous()
            distributed.broadcast(sent, src=0)
            tensor.copy_(sent)
        optimizer, generator = net.optimizer_, net.iterator_train__generator
        training = {"history_": net.history, "best_epoch_": net.best_epoch_}
        state = generator.get_state(), optimizer.state_dict(), training
        file = io.BytesIO(self.agree_on(lambda: save_to_bytes(state)))
        drawn, moments, training = torch.load(file, map_location="cpu", weights_only=False)
        generator.set_state(drawn)
        optimizer.load_state_dict(moments)
        vars(net).update(training)


def save_to_bytes(state):
    """Return the bytes of nested containers with tensors in them."""
    file = io.BytesIO()
    torch.save(state, file)
    return file.getvalue()


def make_sendable(error):
    """Return an error that can be pickled: itself, or else a RuntimeError with its text."""
    try:
        return pickle.loads(pickle.dumps(error))
    except Exception:
        return RuntimeError(repr(error))


def make_ranks(plan):
    """Return the processes that fit together by a plan.

    Raises
    ------
    ValueError
        If there should be several and torch.distributed is not initialised.
    """
    if not plan.data_parallel:
        return ONE_PROCESS
    if not (distributed.is_available() and distributed.is_initialized()):
        raise ValueError(
            "data_parallel=True needs initialised torch.distributed processes: start the script "
            "with torchrun and call torch.distributed.init_process_group() before fit."
        )
    return AllRanks(plan.device, bool(plan.encoder or plan.decoder))


def join_ranks(net, ranks):
    """Make a net train as one of the ranks; only the first prints and writes files."""
    net.iterator_train__ranks = net.iterator_valid__ranks = ranks
    ranks.copy_state(net)
    if ranks.number:
        kept = [(name, c) for name, c in net.callbacks_ if not writes_output(c)]
        net.callbacks_ = [(name, silence(c)) for name, c in kept]


def writes_output(callback):
    """Tell whether a callback writes files or to the screen."""
    writing = Checkpoint | TrainEndCheckpoint | PrintLog | ProgressBar
    return isinstance(callback, writing) or getattr(callback, "writes_output", False)


def silence(callback):
    """Return a callback, or a copy of it that does not print."""
    if not hasattr(callback, "sink"):
        return callback
    callback = copy.copy(callback)
    callback.sink = noop
    return callback
