"""One fit by several processes: what the ranks of torch.distributed share, and agree on.

A rank takes part in every batch with rows of its own, so that together they do what one process
does with the whole batch. Gradients are averaged by torch's `DistributedDataParallel`, while the
backward pass still runs.
"""

import io
import math
import pickle

import numpy as np
import torch
from torch import distributed
from torch.nn.parallel import DistributedDataParallel


class OneProcess:
    """A fit by this process alone."""

    number, count = 0, 1

    def forward(self, module):
        """Return what computes a module's output, through which gradients of all ranks come."""
        return module.__call__

    def agreed(self, make):
        """Return what `make` returns on the first rank, or raise what it raises there."""
        return make()

    def share(self, index):
        """Return the part of the indices of rows that is this rank's."""
        return index

    def taken(self, batch):
        """Return the part of a batch to train on.

        Where no row is this rank's own, it is some that are not: not all networks take none.
        """
        return batch

    def n_own(self, n_rows):
        """Return how many rows of a batch of n_rows are this rank's own."""
        return n_rows

    def weight(self, n_rows):
        """Return the weight of the loss in a batch of n_rows, a tensor, or None for 1."""

    def gathered(self, values):
        """Return the array of which each rank has its share."""
        return values

    def summed(self, value):
        """Return the sum over all ranks of a tensor."""
        return value

    def any(self, is_true):
        """Tell whether it is true on any rank."""
        return is_true

    def check_same(self, what, make):
        """Raise a ValueError on all ranks if what `make` returns differs between them."""

    def share_buffers(self, module):
        """Give all ranks what a module of the first has beside its parameters."""

    def share_state(self, net):
        """Let the nets of all ranks go on from where that of the first is."""


ONE_PROCESS = OneProcess()


class AllRanks(OneProcess):
    """A fit by all processes of torch.distributed's default group.

    Parameters
    ----------
    device : str
        Of the fit: where what the ranks exchange is.
    has_custom_networks : bool
        They may have parameters that take no part in a step.
    """

    def __init__(self, device, has_custom_networks):
        self.device = device
        self.has_custom_networks = has_custom_networks
        self.number, self.count = distributed.get_rank(), distributed.get_world_size()

    def forward(self, module):
        if not any(p.requires_grad for p in module.parameters()):
            return super().forward(module)
        unused = {"find_unused_parameters": self.has_custom_networks}
        return DistributedDataParallel(module, **unused).__call__

    def agreed(self, make):
        made, own_error = [None, None], None
        if self.number == 0:
            try:
                made = [make(), None]
            except Exception as error:  # the others would wait for what never comes
                made, own_error = [None, as_sent(error)], error
        distributed.broadcast_object_list(made, device=torch.device(self.device))
        value, error = made
        if error is not None:
            raise own_error or error
        return value

    def share(self, index):
        # by their order in X: of a file a rank then reads much the same part all the time
        mine = index.argsort()[slice(*self._ends(len(index)))]
        return index[mine.sort().values]

    def taken(self, batch):
        share = self.share(batch)
        return batch[:2] if len(share) == 0 and self.has_custom_networks else share

    def n_own(self, n_rows):
        first, end = self._ends(n_rows)
        return end - first

    def _ends(self, n_rows):
        """Return where this rank's share of rows begins and ends."""
        # in pairs where there may be batch normalisation, which cannot train on a single row
        unit = 2 if self.has_custom_networks else 1
        n_units, left_over = divmod(n_rows, unit)
        return tuple(
            left_over * (number > 0) + unit * math.ceil(n_units * number / self.count)
            for number in (self.number, self.number + 1)
        )

    def weight(self, n_rows):
        return torch.full((), self.n_own(n_rows) * self.count / n_rows, device=self.device)

    def gathered(self, values):
        found = [None] * self.count
        distributed.all_gather_object(found, values)
        return np.concatenate(found)

    def summed(self, value):
        distributed.all_reduce(value)
        return value

    def any(self, is_true):
        return bool(self.summed(torch.tensor(float(is_true), device=self.device)))

    def check_same(self, what, make):
        found = [None] * self.count
        distributed.all_gather_object(found, make())
        if any(other != found[0] for other in found):
            raise ValueError(f"data_parallel=True needs {what} on all ranks; got {found}.")

    def share_buffers(self, module):
        for buffer in module.buffers():
            distributed.broadcast(buffer, src=0)

    def share_state(self, net):
        for tensor in net.module_.state_dict().values():
            sent = tensor.contiguous()
            distributed.broadcast(sent, src=0)
            tensor.copy_(sent)
        optimizer, generator = net.optimizer_, net.iterator_train__generator
        training = {"history_": net.history, "best_epoch_": net.best_epoch_}
        state = generator.get_state(), optimizer.state_dict(), training
        file = io.BytesIO(self.agreed(lambda: saved(state)))
        drawn, moments, training = torch.load(file, map_location="cpu", weights_only=False)
        generator.set_state(drawn)
        optimizer.load_state_dict(moments)
        vars(net).update(training)


def saved(state):
    """Return the bytes of nested containers with tensors in them."""
    file = io.BytesIO()
    torch.save(state, file)
    return file.getvalue()


def as_sent(error):
    """Return an error that can be sent to other processes, itself if it can."""
    try:
        return pickle.loads(pickle.dumps(error))
    except Exception:
        return RuntimeError(repr(error))
