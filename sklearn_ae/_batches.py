"""From rows to batches: standardised, in a new order and with a fresh corruption in each epoch."""

import itertools
import math
from typing import NamedTuple

import torch
from torch.utils.data import Dataset, Subset

from ._ranks import ONE_PROCESS

# One row in so many of a training batch stays clean. A corruption may move rows far away from
# clean ones; a network that has seen both gives clean rows the codes of their corrupted copies.
CLEAN_ROWS = 10

MAX_KEPT_ENTRIES = 2**24  # of corrupted validation rows


class StandardizedRows(Dataset):
    """Rows, standardised and cast to float32 as they are read.

    Parameters
    ----------
    rows : Rows
    units : Units
    """

    def __init__(self, rows, units):
        self.rows = rows
        self.units = units
        self.device = rows.device

    def __len__(self):
        return len(self.rows)

    def __getitem__(self, index):
        """Return the standardised rows at `index`, a slice or an index tensor."""
        return self.units.make_inputs(self.rows.read(index))

    def split(self, rows):
        """Return the inputs and the targets in standardised rows: the same, unless in pairs."""
        return rows, rows

    def take_uncorrupted(self, batch):
        """Return what the network would see of a `Batch` without corruption."""
        return batch.targets

    def read_ahead(self, batches):
        """Yield the standardised rows at each of several index tensors.

        On a GPU the next batch is copied while the current one is computed with.
        """
        if self.device.type != "cuda" or self.rows.home.type == "cuda":
            yield from map(self.__getitem__, batches)
            return
        copying = torch.cuda.Stream(self.device)
        for rows, copied in fetch_ahead(self._copy(batch, copying) for batch in batches):
            computing = torch.cuda.current_stream(self.device)
            computing.wait_event(copied)
            rows.record_stream(computing)
            yield rows

    def _copy(self, batch, stream):
        """Return the standardised rows at an index tensor and the event of their arrival."""
        with torch.cuda.stream(stream):
            return self[batch], stream.record_event()


class StandardizedPairs(StandardizedRows):
    """Damaged and clean rows, each standardised, side by side.

    Parameters
    ----------
    pairs : PairedRows
    input_units, units : Units
        Of damaged and of clean rows.
    """

    def __init__(self, pairs, input_units, units):
        super().__init__(pairs, input_units)
        self.clean = StandardizedRows(pairs.clean, units)

    def __getitem__(self, index):
        """Return the standardised rows at `index`, (..., n, n_features + n_outputs)."""
        of_clean = index if isinstance(index, slice) else index.to(self.clean.rows.home)
        return torch.cat([super().__getitem__(index), self.clean[of_clean]], dim=-1)

    def split(self, rows):
        """Return the damaged and the clean part of rows that lie side by side."""
        return rows.tensor_split([self.rows.shape[1]], dim=-1)

    def take_uncorrupted(self, batch):
        """Return the damaged rows of a `Batch`, with the corruption if there is any."""
        return batch.inputs


def standardize_rows(rows, model):
    """Return the dataset of `Rows` in the units of a model."""
    if rows.targets is rows:
        return StandardizedRows(rows, model.units)
    return StandardizedPairs(rows, model.input_units, model.units)


def fetch_ahead(items):
    """Yield items of an iterable, each after the next one has been fetched."""
    for item, _ in itertools.pairwise(itertools.chain(items, [None])):
        yield item


class Batch(NamedTuple):
    """Rows of one training step, or of one step of scoring.

    Attributes
    ----------
    inputs, targets : tensors of shapes (n_rows, n_features) and (n_rows, n_outputs)
        Damaged and clean rows, standardised; the same tensor where nothing is damaged.
    n_own : int
        Number of rows that only this rank counts.
    weight : tensor or None
        Weight of the loss of these rows among those of the other ranks; None for 1.
    """

    inputs: torch.Tensor
    targets: torch.Tensor
    n_own: int
    weight: torch.Tensor | None = None


class Batches:
    """Training batches, in a new order and with a fresh corruption in each epoch.

    They are cut from memory at once, where `DataLoader` collects them row by row.

    Parameters
    ----------
    dataset : StandardizedRows or Subset of it
    batch_size : int
    generator : torch.Generator
        On the CPU, for the order of the rows and the seed of their corruption.
    corruption : callable (batch, generator) -> batch, or None
        For standardised rows.
    ranks : OneProcess or AllRanks
        The processes that share each batch.
    """

    def __init__(self, dataset, batch_size, generator, corruption=None, ranks=ONE_PROCESS):
        self.dataset = dataset
        if isinstance(dataset, Subset):
            self.rows, index = dataset.dataset, torch.as_tensor(dataset.indices)
        else:
            self.rows, index = dataset, torch.arange(len(dataset), device="cpu")
        self.index = index.to(self.rows.rows.home)
        self.batch_size = batch_size
        self.generator = generator
        self.corruption = corruption
        self.ranks = ranks
        if corruption is not None:
            self.seed = int(torch.randint(2**31, (), generator=generator)) + ranks.number
            self.noise = torch.Generator(self.rows.device).manual_seed(self.seed)

    def __len__(self):
        return len(self.cut(self.index))

    def cut(self, index):
        """Return the indices of each batch, cut along the last dimension of `index`.

        Batches are about equally large: a last one of few rows would make as large a step as the
        others. None has a single row, unless all have: batch normalisation, which custom networks
        may have, cannot train on one row.
        """
        n_rows = index.shape[-1]
        n_batches = math.ceil(n_rows / self.batch_size)
        if self.batch_size > 1:
            n_batches = max(1, min(n_batches, n_rows // 2))
        return index.tensor_split(n_batches, dim=-1)

    def __iter__(self):
        order = torch.randperm(len(self.index), generator=self.generator)
        batches = self.cut(self.index[order.to(self.index.device)])
        own = map(self.ranks.select_batch, batches)
        for batch, rows in zip(batches, self.rows.read_ahead(own), strict=True):
            inputs, targets = self.make_pair(rows)
            n_rows = len(batch)
            share = self.ranks.count_own(n_rows), self.ranks.compute_weight(n_rows)
            yield Batch(inputs, targets, *share)

    def make_pair(self, rows):
        """Return what the network sees of rows, and its targets."""
        inputs, targets = self.rows.split(rows)
        inputs = inputs if self.corruption is None else self.corrupt_most(inputs)
        return inputs, self.choose_targets(inputs, targets)

    def choose_targets(self, inputs, rows):
        """Return rows, or only the entries of them that were hidden in the inputs."""
        if not getattr(self.corruption, "scores_hidden", False):
            return rows
        return rows.masked_fill(inputs == rows, math.nan)

    def corrupt_most(self, rows):
        """Return a copy of rows, (..., n, n_features), of which all but the first are corrupted."""
        clean, rest = rows.tensor_split([rows.shape[-2] // CLEAN_ROWS], dim=-2)
        corrupted = self.corruption(rest.reshape(-1, rest.shape[-1]), self.noise)
        fill = getattr(self.corruption, "fill_missing", None)
        clean = clean if fill is None else fill(clean)
        return torch.cat([clean, corrupted.view(rest.shape)], dim=-2)

    def read_targets(self):
        """Yield the targets of this rank's rows, each once."""
        for batch in self:
            yield batch.targets

    def compute_variance(self, convert):
        """Return the squared distance of the targets from their mean, a sum over the rows.

        Distances are means over the features, and `convert` is applied to the targets first.
        """
        sums = 0
        for targets in self.read_targets():
            targets = convert(targets).double()
            n_rows = torch.full_like(targets[0], len(targets))
            count = (~targets.isnan()).sum(0).double()  # of the entries that are not missing
            new = n_rows, count, targets.nansum(0), targets.square().nansum(0)
            sums = sums + torch.stack(new)
        n_rows, count, total, squares = self.ranks.sum(sums)
        variance = (squares - total.square() / count.clamp(min=1)).mean()
        return float(variance * n_rows.mean() / count.mean().clamp(min=1))


class FixedBatches(Batches):
    """Validation batches: the same order and corruption in all epochs, so that losses compare.

    A rank has the same share of the rows in all epochs. Corrupted rows are kept if they have at
    most `MAX_KEPT_ENTRIES`, and drawn again from the same seed otherwise.
    """

    def __init__(self, *args, **kwargs):
        super().__init__(*args, **kwargs)
        self.index = self.ranks.select_share(self.index)
        self.kept = None
        n_entries = len(self.index) * self.rows.rows.shape[1]
        if self.corruption is not None and n_entries <= MAX_KEPT_ENTRIES:
            self.kept = [batch.inputs for batch in self]

    def __iter__(self):
        if self.corruption is not None:
            self.noise.manual_seed(self.seed)
        batches = self.cut(self.index) if len(self.index) else ()
        for i, rows in enumerate(self.rows.read_ahead(batches)):
            inputs, targets = self.rows.split(rows)
            inputs = self._corrupt(i, inputs)
            yield Batch(inputs, self.choose_targets(inputs, targets), len(targets))

    def _corrupt(self, i, rows):
        """Return what the network sees of the rows of the batch with number i."""
        if self.corruption is None:
            return rows
        return self.corruption(rows, self.noise) if self.kept is None else self.kept[i]

    def arrange(self, losses):
        """Return the losses of this rank's rows, an array, with those of the other ranks."""
        return self.ranks.gather(losses)
