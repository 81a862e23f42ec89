"""One fit by several processes: what the ranks of torch.distributed share, and agree on.

A rank takes part in every batch with rows of its own, so that together they do what one process
does with the whole batch. Gradients are averaged by torch's `DistributedDataParallel`, while the
backward pass still runs.
"""

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

    def weight(self, n_rows, n_all):
        """Return the weight of a loss over n_rows of n_all rows, a tensor, or None for 1."""

    def gathered(self, values):
        """Return the array of which each rank has its share."""
        return values

    def summed(self, value):
        """Return the sum over all ranks of a tensor."""
        return value

    def any(self, is_true):
        """Tell whether it is true on any rank."""
        return is_true


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
        unused = {"find_unused_parameters": self.has_custom_networks}
        return DistributedDataParallel(module, **unused).__call__

    def agreed(self, make):
        made = [None, None]
        if self.number == 0:
            try:
                made = [make(), None]
            except Exception as error:  # the others would wait for what never comes
                made = [None, error]
        distributed.broadcast_object_list(made, device=torch.device(self.device))
        value, error = made
        if error is not None:
            raise error
        return value

    def share(self, index):
        # in the order of X: of a file a rank then reads much the same part all the time
        return index.sort().values.tensor_split(self.count)[self.number]

    def weight(self, n_rows, n_all):
        return torch.tensor(n_rows * self.count / n_all, device=self.device)

    def gathered(self, values):
        found = [None] * self.count
        distributed.all_gather_object(found, values)
        return np.concatenate(found)

    def summed(self, value):
        distributed.all_reduce(value)
        return value

    def any(self, is_true):
        return bool(self.summed(torch.tensor(float(is_true), device=self.device)))
