"""From rows to batches: in a new order and with a fresh corruption in each epoch."""

import math
from typing import NamedTuple

import numpy as np
import torch
from torch.utils.data import Dataset

from ._isolation import draw_torch_seed

# One row in so many of a training batch stays clean. A corruption may move rows far away from
# clean ones; a network that has seen both gives clean rows the codes of their corrupted copies.
CLEAN_ROWS = 10

MAX_KEPT_ENTRIES = 2**24  # of corrupted validation rows

PART_ROWS = 1024  # that are scored at once, of those that are in memory


class Batch(NamedTuple):
    """Rows of one training step, or of one step of scoring.

    Attributes
    ----------
    inputs, targets : tensors of shapes (n_rows, n_features) and (n_rows, n_outputs)
        What the networks see and should return; the same tensor where nothing is changed.
    n_own : int
        Number of rows that only this rank counts.
    weight : tensor or None
        Weight of the loss of these rows among those of the other ranks; None for 1.
    """

    inputs: torch.Tensor
    targets: torch.Tensor
    n_own: int
    weight: torch.Tensor | None = None


class Rowset(Dataset):
    """Standardised rows of a task, which skorch's callbacks are given as a dataset.

    Parameters
    ----------
    task : Reconstruct
    index : tensor of int64
        The rows that are meant.
    """

    def __init__(self, task, index):
        self.task, self.index = task, index

    def __len__(self):
        return len(self.index)

    def __getitem__(self, index):
        """Return the inputs at a slice or an index tensor."""
        inputs, _ = self.task.read(self.index[index])
        return inputs

    def read_parts(self):
        """Yield what the networks see of the rows, part by part; the same in every call."""
        generator = torch.Generator(self.task.device).manual_seed(0)
        for part in self.index.split(PART_ROWS):
            inputs, targets = self.task.read(part)
            seen, _ = self.task.draw(inputs, targets, generator)
            yield seen


class Batches:
    """Training batches, in a new order and with fresh draws in each epoch.

    They are cut from memory at once, where `DataLoader` collects them row by row.

    Parameters
    ----------
    task : Reconstruct
    index : ndarray of int or None
        The rows to read; None for all.
    batch_size : int
    generator : torch.Generator
        On the CPU, for the order of the rows and the seed of what the task draws.
    ranks : OneProcess or AllRanks
        The processes that share each batch.
    """

    def __init__(self, task, index, batch_size, generator, ranks):
        self.task, self.batch_size = task, batch_size
        self.generator, self.ranks = generator, ranks
        index = torch.arange(len(task)) if index is None else torch.as_tensor(index)
        # Beside the rows, so that selecting a batch copies nothing between devices.
        self.index = index.to(task.rows.home)
        self.noise = None
        if task.draws:
            # Ranks share the order of the rows, but draw for rows of their own.
            self.seed = draw_torch_seed(generator) + ranks.number
            self.noise = torch.Generator(task.device).manual_seed(self.seed)

    @property
    def dataset(self):
        """The rows, as skorch's callbacks are given them."""
        return Rowset(self.task, self.index)

    def __len__(self):
        return len(self.cut(self.index))

    def cut(self, index):
        """Return the indices of each batch, cut along the last dimension of `index`.

        Batches are about equally large: a last one of few rows would make as large a step as the
        others. None has a single row, unless all have: batch normalisation, which custom networks
        may have, cannot train on one row.
        """
        n_batches = math.ceil(index.shape[-1] / self.batch_size)
        if self.batch_size > 1:
            n_batches = max(1, min(n_batches, index.shape[-1] // 2))
        return index.tensor_split(n_batches, dim=-1)

    def __iter__(self):
        order = torch.randperm(len(self.index), generator=self.generator)
        batches = self.cut(self.index[order.to(self.index.device)])
        own = map(self.ranks.select_batch, batches)
        for batch, (inputs, targets) in zip(batches, self.task.read_ahead(own), strict=True):
            inputs, targets = self.draw(inputs, targets)
            n_own, weight = self.ranks.count_own(len(batch)), self.ranks.compute_weight(len(batch))
            yield Batch(inputs, targets, n_own, weight)

    def draw(self, inputs, targets):
        """Return what the networks see of rows in training, and their targets."""
        return self.task.draw(inputs, targets, self.noise, inputs.shape[-2] // CLEAN_ROWS)

    def read_targets(self):
        """Yield the targets of this rank's rows, each once."""
        for batch in self:
            yield batch.targets

    def sum_targets(self, convert):
        """Return sums over the rows from which `compute_variance` is computed, (4, n_outputs).

        `convert` is applied to the targets first.
        """
        sums = 0.0
        for targets in self.read_targets():
            targets = convert(targets).double()  # (n, n_outputs)
            n_rows = torch.full_like(targets[0], len(targets))
            count = (~targets.isnan()).sum(0).double()  # of the entries that are not missing
            total, squares = targets.nansum(0), targets.square().nansum(0)
            # One tensor, (4, n_outputs), which the ranks add up at once.
            sums += torch.stack([n_rows, count, total, squares])
        return self.ranks.sum(sums).cpu().numpy()


class FixedBatches(Batches):
    """Validation batches: the same order and draws in all epochs, so that losses compare.

    A rank has the same share of the rows in all epochs. What is drawn is kept if it has at most
    `MAX_KEPT_ENTRIES`, and drawn again from the same seed otherwise.
    """

    def __init__(self, task, index, batch_size, generator, ranks):
        super().__init__(task, index, batch_size, generator, ranks)
        self.index = self.ranks.select_share(self.index)
        self.kept = None
        if task.draws and len(self.index) * task.rows.shape[1] <= MAX_KEPT_ENTRIES:
            self.kept = list(self)

    def __iter__(self):
        if self.kept is not None:
            yield from self.kept
            return
        if self.noise is not None:
            self.noise.manual_seed(self.seed)
        # Of few rows a rank may have none.
        batches = self.cut(self.index) if len(self.index) else ()
        for inputs, targets in self.task.read_ahead(batches):
            # None stays clean: judged is how well corrupted rows are restored.
            inputs, targets = self.task.draw(inputs, targets, self.noise)
            yield Batch(inputs, targets, len(targets))

    def arrange(self, losses):
        """Return the losses of this rank's rows, an array, with those of the other ranks."""
        return self.ranks.gather(losses)


class FoldBatches(Batches):
    """Training batches of several networks, tensors of shape (n_networks, n_rows, n_features).

    Each network has as many rows in an epoch as X has: its training rows, some of them repeated.

    Parameters
    ----------
    task, batch_size, generator, ranks
        As in `Batches`.
    members : list of ndarray
        The indices of the rows of each network.
    """

    def __init__(self, task, batch_size, generator, members, ranks):
        super().__init__(task, None, batch_size, generator, ranks)
        self.inputs, self.targets = task.read_all()
        self.members = list(map(torch.as_tensor, members))
        self.weight = torch.tensor(float(len(members)), device=self.inputs.device)

    def __iter__(self):
        order = torch.stack([self.draw_order(rows) for rows in self.members])  # (n_networks, n)
        for index in self.cut(order.to(self.inputs.device)):
            inputs, targets = self.task.select(self.inputs, self.targets, index)
            inputs, targets = self.draw(inputs, targets)
            # A weight of n_networks makes the mean of their losses a sum: each network has the
            # gradient that it would have alone.
            yield Batch(inputs, targets, index.shape[1], self.weight)

    def draw_order(self, rows):
        """Return as many of a network's rows as X has, each before any comes again."""
        n_passes = -(-len(self.index) // len(rows))
        passes = [torch.randperm(len(rows), generator=self.generator) for _ in range(n_passes)]
        return rows[torch.cat(passes)[: len(self.index)]]


class LeftOutBatches(Batches):
    """The rows that judge each fold's network, which has not seen them; the same in all epochs.

    Parameters
    ----------
    task, generator, ranks
        As in `Batches`.
    folds : list of ndarray
        The indices of the rows of each fold.
    """

    def __init__(self, task, generator, folds, ranks):
        super().__init__(task, None, PART_ROWS, generator, ranks)
        inputs, targets = task.read_all()
        self.inputs, self.targets = task.draw(inputs, targets, self.noise)
        self.is_judging = np.isin(np.arange(len(task)), np.concatenate(folds))
        # A shorter fold has its first rows again; the last network, of all rows, has any.
        padded = [np.resize(fold, max(map(len, folds))) for fold in folds]
        self.folds = torch.from_numpy(np.stack([*padded, padded[0]]))  # (n_networks, n_most)

    def __iter__(self):
        for index in self.cut(self.folds.to(self.targets.device)):
            inputs, targets = self.task.select(self.inputs, self.targets, index)
            yield Batch(inputs, targets, index.shape[1])

    def read_targets(self):
        """Yield the targets of the rows that judge."""
        yield self.targets[torch.from_numpy(self.is_judging).to(self.targets.device)]

    def arrange(self, losses):
        """Return the losses (n_networks, n_most) of the folds' rows in the order of X."""
        arranged = np.full(len(self.index), np.nan)
        arranged[self.folds[:-1].numpy()] = losses[:-1]
        return arranged[self.is_judging]


def compute_variance(sums):
    """Return the squared distance of targets from their mean, a sum over the rows.

    Distances are means over the features.

    Parameters
    ----------
    sums : ndarray of shape (4, n_outputs)
        As `Batches.sum_targets` returns them.
    """
    n_rows, count, total, squares = sums
    variance = (squares - np.square(total) / np.maximum(count, 1)).mean()
    return float(variance * n_rows.mean() / max(count.mean(), 1))
