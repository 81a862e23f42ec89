"""What is learnt: a task turns rows into what the networks see and what they should return.

There is one kind of task for each kind of training:

- `Reconstruct`: return the row that is seen.
- `Corrupt`: return the row of which a corrupted copy is seen.
- `Restore`: return the clean row of a pair, of which the damaged one is seen.
- `HideEntries`: return the observed entries, some of which are hidden, of rows with missing values.

A target that is NaN carries no loss.
"""

import copy
import itertools
import math

import torch

CORRUPTED_PART_ENTRIES = 2**21  # of rows that are corrupted at once, outside of training


class Reconstruct:
    """Return the row that is seen. The base class of all tasks.

    Parameters
    ----------
    rows : Rows
        What the networks see.
    units : Units
        Of these rows, and of what they should become.
    make_corruption : callable (units) -> corruption, default=None
        Makes the corruption of training rows; None for none.

    Attributes
    ----------
    targets : Rows
        What the rows should become; the same object unless rows are pairs.
    input_units : Units
        Of what the networks see.
    fill : FillMissing or None
        Fills missing values; it has `n_fill_factors` factors.
    has_holes : bool
        Whether targets may be NaN.
    draws : bool
        Whether what the networks see is drawn, and differs from epoch to epoch.
    restores : bool
        Whether the best linear start is a regression of the targets on what is seen.
    corruption : callable (rows, generator) -> rows, or None
        For standardised rows.
    """

    has_holes = False
    fill, n_fill_factors = None, 0
    labels = None  # targets beside the rows

    def __init__(self, rows, units, make_corruption=None):
        self.rows = self.targets = rows
        self.units = self.input_units = units
        self.device = rows.device
        self.draws = self.restores = make_corruption is not None
        self.make_corruption = make_corruption
        self.corruption = make_corruption(units) if make_corruption else None

    def __len__(self):
        return len(self.rows)

    def read(self, index):
        """Return inputs and targets at a slice or an index tensor, standardised, in float32."""
        u = self.input_units.make_inputs(self.rows.read(index))
        return u, u

    def read_all(self):
        """Return inputs and targets of all rows, as plain tensors."""
        inputs, targets = self.read(slice(0, len(self)))
        # batches of sparse rows cannot be indexed as such
        plain = inputs.as_subclass(torch.Tensor)
        return plain, plain if targets is inputs else targets.as_subclass(torch.Tensor)

    def select(self, inputs, targets, index):
        """Return inputs and targets at an index tensor; one tensor if they are one."""
        selected = inputs[index]
        return selected, selected if targets is inputs else targets[index]

    def draw(self, inputs, targets, generator, n_clean=0):
        """Return what the networks see of standardised rows, and what they should return.

        Parameters
        ----------
        inputs, targets : tensors of shapes (..., n, n_features) and (..., n, n_outputs)
            As `read` returns them.
        generator : torch.Generator
        n_clean : int, default=0
            Rows that stay as they are, the first ones.
        """
        return inputs, targets

    def draw_filled(self, index, generator):
        """Return what the networks see of rows at an index, and all that they should return.

        Targets that are missing are filled: closed forms need whole rows.
        """
        # where inputs and targets are one tensor, they stay one until the inputs are corrupted
        inputs, targets = self.read(index)
        filled = self.fill_missing(inputs.as_subclass(torch.Tensor))
        targets = filled if targets is inputs else targets
        if not self.draws:
            return filled, targets
        return self.corrupt_by_parts(filled, generator), targets

    def corrupt_by_parts(self, inputs, generator):
        """Return a corrupted copy of rows (n, n_features), in their dtype and on their device."""
        # a corruption may need several times the memory of what it corrupts
        n_rows = max(1, CORRUPTED_PART_ENTRIES // inputs.shape[1])
        corrupted = torch.empty_like(inputs)
        for part, copied in zip(inputs.split(n_rows), corrupted.split(n_rows), strict=True):
            copied.copy_(self.corrupt(part.to(generator.device, torch.float32), generator))
        return corrupted

    def corrupt(self, inputs, generator):
        """Return a corrupted copy of rows (n, n_features)."""
        return self.corruption(inputs, generator)

    def fill_missing(self, u):
        """Return standardised rows without NaN."""
        return u

    def show(self, inputs, targets):
        """Return what the networks see of rows as they are, without corruption."""
        return self.fill_missing(targets)

    def sample_targets(self, inputs):
        """Return the `Sample` of the targets of a sample of inputs."""
        return inputs

    def compute_offsets(self, members):
        """Return the means of inputs and of targets over the members of folds, standardised.

        Parameters
        ----------
        members : list of ndarray of int
            The indices of the rows of each fold.

        Returns
        -------
        input_offsets, offsets : tensors of shapes (n_folds, n_features), (n_folds, n_outputs)
            In float64; zeros where the networks see X itself.
        """
        offsets = compute_means(self.rows, self.units, members)
        return offsets, offsets

    def take_rows(self, rows):
        """Return this task for other rows, which are their own targets."""
        other = copy.copy(self)
        other.rows = other.targets = rows
        return other

    def leave_as_is(self):
        """Return this task without what is drawn, as far as rows have no missing values."""
        return Reconstruct(self.rows, self.units)

    @property
    def judged(self):
        """The task by which networks are judged: with what is drawn, if that is in the task."""
        return self

    def move_origin(self, input_offset, offset):
        """Return this task in units whose means are where these have u = offset.

        Parameters
        ----------
        input_offset, offset : tensors of shapes (n_features,) and (n_outputs,)
        """
        # the corruption is made anew: what it fills in is in the units of what it corrupts
        moved = copy.copy(self)
        moved.units = self.units.move_origin(offset)
        moved.input_units = moved.units
        if self.input_units is not self.units:
            moved.input_units = self.input_units.move_origin(input_offset)
        if self.make_corruption:
            moved.corruption = self.make_corruption(moved.input_units)
        return moved

    def read_ahead(self, batches):
        """Yield inputs and targets at each of several index tensors.

        On a GPU the next batch is copied while the current one is computed with.
        """
        if self.device.type != "cuda" or self.rows.home.type == "cuda":
            yield from map(self.read, batches)
            return
        copying = torch.cuda.Stream(self.device)
        for pair, copied in fetch_ahead(self._copy(batch, copying) for batch in batches):
            computing = torch.cuda.current_stream(self.device)
            computing.wait_event(copied)
            for tensor in pair:
                tensor.record_stream(computing)
            yield pair

    def _copy(self, batch, stream):
        """Return inputs and targets at an index tensor, and the event of their arrival."""
        with torch.cuda.stream(stream):
            return self.read(batch), stream.record_event()


class Mask(Reconstruct):
    """Return the row of which some entries are replaced by their mean, in training only.

    What judges, and what the closed forms are fitted to, are whole rows: the noise is there for
    codes that change little where rows do [1]_.

    Parameters
    ----------
    rows, units
        As in `Reconstruct`; the units standardise.
    rate : float
        Share of the entries to replace.

    References
    ----------
    .. [1] Vincent et al., "Extracting and composing robust features with denoising autoencoders",
       ICML 2008.
    """

    def __init__(self, rows, units, rate):
        super().__init__(rows, units)
        self.rate, self.draws = rate, True

    def draw(self, inputs, targets, generator, n_clean=0):
        """Return rows of which entries are replaced but for the first rows, and the targets."""
        is_hidden = torch.rand(inputs.shape, generator=generator, device=inputs.device) < self.rate
        is_hidden[..., :n_clean, :] = False
        return inputs.masked_fill(is_hidden, 0.0), targets

    def draw_filled(self, index, generator):
        """Return the rows at an index twice: what is seen, and what should be returned."""
        return self.read(index)

    @property
    def judged(self):
        return self.leave_as_is()


class Corrupt(Reconstruct):
    """Return the row of which a corrupted copy is seen."""

    def draw(self, inputs, targets, generator, n_clean=0):
        """Return rows that are corrupted but for the first, and the targets."""
        if not self.draws:
            return inputs, targets
        clean, rest = inputs.tensor_split([n_clean], dim=-2)
        # a corruption takes two dimensions: (n_networks * n_rest, n_features)
        corrupted = self.corrupt(rest.reshape(-1, rest.shape[-1]), generator).view(rest.shape)
        return torch.cat([clean, corrupted], dim=-2), targets


class Restore(Corrupt):
    """Return the clean row of a pair, of which the damaged one is seen, or a corruption of it.

    Parameters
    ----------
    rows, targets : Rows
        Damaged and clean rows.
    input_units, units : Units
        Of damaged, and of clean rows.
    make_corruption : callable (units) -> corruption, default=None
        Makes the corruption of damaged rows; None for none.
    """

    def __init__(self, rows, targets, input_units, units, make_corruption=None):
        super().__init__(rows, input_units, make_corruption)
        self.targets, self.units = targets, units
        self.restores = True

    def read(self, index):
        """Return inputs and targets at a slice or an index tensor, standardised, in float32."""
        # the two tables may be on different devices
        of_targets = index if isinstance(index, slice) else index.to(self.targets.home)
        inputs = self.input_units.make_inputs(self.rows.read(index))
        return inputs, self.units.make_inputs(self.targets.read(of_targets))

    def sample_targets(self, inputs):
        return inputs.move_to(self.targets, self.units)

    def compute_offsets(self, members):
        input_offsets = compute_means(self.rows, self.input_units, members)
        return input_offsets, compute_means(self.targets, self.units, members)

    def show(self, inputs, targets):
        """Return the damaged rows."""
        return inputs

    def leave_as_is(self):
        """Return this task without corruption."""
        return Restore(self.rows, self.targets, self.input_units, self.units)


class HideEntries(Reconstruct):
    """Return the observed entries, some of which are hidden, of rows with missing values.

    What is hidden and what is missing is filled with its mean given the rest of the row, under a
    Gaussian that expectation maximisation finds.

    Parameters
    ----------
    rows, units
        As in `Reconstruct`.
    rate : float
        Share of the entries to hide.
    fill : FillMissing
    make_corruption : callable (units) -> corruption, default=None
        Makes what else happens to rows that are filled; None for nothing.
    """

    has_holes = True

    def __init__(self, rows, units, rate, fill, make_corruption=None):
        super().__init__(rows, units, make_corruption)
        self.draws = True
        self.rate = rate
        self.fill, self.n_fill_factors = fill, fill.factors.shape[1]

    def fill_missing(self, u):
        return self.fill(u)

    def hide(self, inputs, generator):
        """Return a copy of rows (n, n_features) without NaN, and which entries were hidden."""
        # (n, n_features): entries that are missing already may be drawn, too
        is_hidden = torch.rand(inputs.shape, generator=generator, device=inputs.device) < self.rate
        filled = self.fill(inputs.masked_fill(is_hidden, math.nan))
        if self.corruption is not None:
            filled = self.corruption(filled, generator)
        return filled, is_hidden

    def corrupt(self, inputs, generator):
        """Return a copy of rows (n, n_features) of which entries were hidden and filled."""
        filled, _ = self.hide(inputs, generator)
        return filled

    def draw(self, inputs, targets, generator, n_clean=0):
        """Return rows of which entries are hidden and filled, but for the first, and targets."""
        clean, rest = inputs.tensor_split([n_clean], dim=-2)
        filled, is_hidden = self.hide(rest.reshape(-1, rest.shape[-1]), generator)
        # rows that stay as they are have nothing hidden, but their holes are filled
        seen = torch.cat([self.fill(clean), filled.view(rest.shape)], dim=-2)
        hidden = torch.cat([torch.zeros_like(clean).bool(), is_hidden.view(rest.shape)], dim=-2)
        return seen, self.choose_targets(targets, hidden)

    def choose_targets(self, targets, is_hidden):
        """Return the targets that count: all that are observed."""
        return targets

    def leave_as_is(self):
        """Return this task: as many entries are hidden as are missing in new rows."""
        return self


class Impute(HideEntries):
    """Return the entries that are hidden, and no others."""

    def choose_targets(self, targets, is_hidden):
        """Return the targets that count, NaN elsewhere: those of entries that were hidden."""
        return targets.masked_fill(~is_hidden, math.nan)


def compute_means(rows, units, members):
    """Return the means of some `Rows` over the members of each fold, standardised, float64."""
    if not units.standardizes:
        return torch.zeros(len(members), rows.shape[1], dtype=torch.float64)
    u = units.standardize(rows.read(slice(0, len(rows)))).cpu()
    return torch.stack([u[index].double().nanmean(dim=0).nan_to_num(nan=0.0) for index in members])


def fetch_ahead(items):
    """Yield items of an iterable, each after the next one has been fetched."""
    for item, _ in itertools.pairwise(itertools.chain(items, [None])):
        yield item
