"""Targets beside X: labels or numbers that the code shall keep, too."""

from dataclasses import dataclass

import numpy as np
import torch
from sklearn.utils import check_array
from sklearn.utils.multiclass import type_of_target

from ._linear import regress_targets
from ._task import Reconstruct

MAX_ROWS = 20_000  # with a label, from which those of other rows are predicted
UNLABELLED = -1  # scikit-learn's label of rows without a class


@dataclass(frozen=True)
class Targets:
    """What y is, and how it becomes columns.

    Attributes
    ----------
    values : ndarray of shape (n_samples, n_targets), float64
        One column for each class, or each number; NaN in rows without a label.
    classes : ndarray of shape (n_classes,) or None
        None for numbers.
    """

    values: np.ndarray
    classes: np.ndarray | None

    @property
    def strata(self):
        """The class of each row, -1 without one; None for numbers."""
        if self.classes is None:
            return None
        return np.where(np.isnan(self.values[:, 0]), UNLABELLED, self.values.argmax(axis=1))


def encode_targets(y, n_samples, classes=None, name="y"):
    """Return the `Targets` of y.

    Parameters
    ----------
    y : array-like of shape (n_samples,) or (n_samples, n_targets)
        Class labels of any kind, or numbers, as `type_of_target` tells them apart. NaN, None, and
        -1 beside at least two other classes, are no label.
    n_samples : int
    classes : ndarray, default=None
        Those of an earlier fit, which y must not leave.
    name : str, default="y"
        For error messages.

    Raises
    ------
    ValueError
        If y has another length than X, no label or a single one, or labels that are not known.
    """
    is_missing = find_missing(y)
    y = np.asarray(y)
    if y.shape[:1] != (n_samples,) or y.ndim > 2 or y.size == 0:
        raise ValueError(
            f"{name} must have one label, or one row of targets, for each of the {n_samples} rows; "
            f"got an array of shape {y.shape}."
        )
    if y.ndim == 2 and y.shape[1] == 1:
        y, is_missing = y[:, 0], is_missing[:, 0]
    if y.ndim == 2:
        values = check_array(y, dtype=np.float64, ensure_all_finite="allow-nan", input_name=name)
        return Targets(check_labelled(values, name), None)
    known = y[~is_missing]
    if not len(known):
        raise ValueError(f"{name} has no label at all. Pass target_weight=0 to fit without one.")
    # an array of objects may hold labels of one type
    known = np.array(known.tolist()) if known.dtype == object else known
    if classes is None and type_of_target(known) == "continuous":
        values = np.full((n_samples, 1), np.nan)
        values[~is_missing, 0] = known
        return Targets(check_labelled(values, name), None)
    found = np.unique(known)
    if found.dtype.kind in "if" and UNLABELLED in found and len(found) > 2:
        is_missing[~is_missing] = known == UNLABELLED
        found, known = found[found != UNLABELLED], known[known != UNLABELLED]
    classes = found if classes is None else classes
    unknown = np.setdiff1d(found, classes)
    if len(unknown):
        raise ValueError(
            f"{name} has the labels {unknown.tolist()}, which are not among those of the first "
            f"fit: {classes.tolist()}."
        )
    values = np.full((n_samples, len(classes)), np.nan)
    values[~is_missing] = known[:, None] == classes
    return Targets(values if len(classes) > 1 else check_labelled(values, name), classes)


def check_labelled(values, name):
    """Return columns of targets, or raise a ValueError if none of them varies."""
    is_known = ~np.isnan(values).any(axis=1)
    if not is_known.any() or not np.ptp(values[is_known], axis=0).any():
        raise ValueError(
            f"{name} has a single value, which no code needs to keep. Pass target_weight=0 to fit "
            "without it."
        )
    return values


def find_missing(y):
    """Tell which entries of y are NaN, None or another placeholder of a missing value."""
    # series and data frames know their own placeholders
    if hasattr(y, "isna"):
        return np.asarray(y.isna())
    y = np.asarray(y)
    if y.dtype.kind == "f":
        return np.isnan(y)
    if y.dtype != object:
        return np.zeros(y.shape, dtype=bool)
    return np.frompyfunc(lambda label: label is None or label != label, 1, 1)(y).astype(bool)


def find_target_units(targets, total_variance, weight):
    """Return mean and factor of each column of `Targets`, an array of shape (2, n_targets).

    Numbers are standardised, one column a class is not. All columns together have `weight` times
    the variance of all features together.

    Parameters
    ----------
    targets : Targets
    total_variance : float
        Sum of the variances of the standardised features.
    weight : float
    """
    mean, deviation = np.nanmean(targets.values, axis=0), np.nanstd(targets.values, axis=0)
    if targets.classes is None:
        factor = np.divide(1.0, deviation, where=deviation > 0, out=np.zeros_like(deviation))
        total = (deviation > 0).sum()
    else:
        factor, total = np.ones_like(deviation), np.square(deviation).sum()
    return np.stack([mean, factor * np.sqrt(weight * total_variance / total)])


def add_targets(task, table, weight, target_units=None):
    """Return a task with the labels of a table beside its rows, and the units of the labels.

    Parameters
    ----------
    task : Reconstruct
    table : Table
    weight : float
        Of all targets together.
    target_units : ndarray of shape (2, n_targets), default=None
        Those of the fit that is continued.

    Returns
    -------
    task : Predict
    target_units : ndarray of shape (2, n_targets)
    """
    if target_units is None:
        length = task.units.standardize_length
        total = length(length(float(table.moments.variance.sum())))
        target_units = find_target_units(table.labels, total, weight)
    mean, factor = target_units
    values = (table.labels.values - mean) * factor
    labels = torch.from_numpy(values).float().to(task.device)
    filled = labels
    if np.isnan(values).any():
        filled = labels.where(~labels.isnan(), predict_targets(task, values).to(labels))
    held_out = table.held_out_labels
    if held_out is not None:
        held_out = torch.from_numpy((held_out.values - mean) * factor).float().to(task.device)
    return Predict(task, labels, filled, held_out), target_units


def predict_targets(task, values):
    """Return what a regression predicts for all rows of a task, from those that have targets.

    Parameters
    ----------
    task : Reconstruct
    values : ndarray of shape (n_samples, n_targets)
        With NaN where there is no target.
    """
    known = np.flatnonzero(~np.isnan(values).any(axis=1))
    if not len(known):
        return torch.zeros(values.shape)
    known = known[:: -(-len(known) // MAX_ROWS)]

    def read(index):
        u, _ = task.read(index)
        return task.fill_missing(u.as_subclass(torch.Tensor)).double().cpu()

    rows = read(torch.from_numpy(known).to(task.rows.home)).numpy()
    weight, bias = map(torch.from_numpy, regress_targets(rows, values[known]))
    return torch.cat([read(part) @ weight.T + bias for part in task.rows.cut_parts()])


class Predict(Reconstruct):
    """Another task, with targets beside the row that should be returned.

    Parameters
    ----------
    task : Reconstruct
    labels : tensor of shape (n_samples, n_targets), float32
        Centred and scaled; NaN where there is no label.
    filled : tensor of the same shape, default=None
        With predictions for NaN, for closed forms. None where `labels` has none.
    held_out : tensor of shape (n_held_out, n_targets), default=None
        Those of rows that the user holds out.
    """

    def __init__(self, task, labels, filled=None, held_out=None):
        vars(self).update(vars(task))
        self.task, self.labels, self.held_out = task, labels, held_out
        self.filled = labels if filled is None else filled
        self.has_holes, self.restores = task.has_holes, False
        self.n_targets = labels.shape[1]

    def _join(self, targets, labels, index):
        """Return targets of X with the labels at an index beside them."""
        labels = labels[index if isinstance(index, slice) else index.to(labels.device)]
        return torch.cat([targets.as_subclass(torch.Tensor), labels.to(targets)], dim=-1)

    def read(self, index):
        """Return inputs and targets at a slice or an index tensor, standardised, in float32."""
        inputs, targets = self.task.read(index)
        return inputs, self._join(targets, self.labels, index)

    def draw(self, inputs, targets, generator, n_clean=0):
        """Return what the networks see of standardised rows, and what they should return."""
        rows, labels = targets.tensor_split([-self.n_targets], dim=-1)
        seen, rows = self.task.draw(inputs, rows, generator, n_clean)
        return seen, torch.cat([rows, labels], dim=-1)

    def draw_filled(self, index, generator):
        """Return what the networks see of rows at an index, and all that they should return."""
        seen, targets = self.task.draw_filled(index, generator)
        return seen, self._join(targets, self.filled, index)

    def fill_missing(self, u):
        return self.task.fill_missing(u)

    def show(self, inputs, targets):
        """Return what the networks see of rows as they are, without corruption."""
        return self.task.show(inputs, targets[..., : -self.n_targets])

    def compute_offsets(self, members):
        """Return the means of inputs and of targets over the members of folds, standardised."""
        input_offsets, offsets = self.task.compute_offsets(members)
        means = torch.stack([self.labels[index].double().nanmean(dim=0) for index in members])
        # a fold may have no label
        return input_offsets, torch.cat([offsets, means.nan_to_num(nan=0.0).to(offsets)], dim=1)

    def take_rows(self, rows):
        """Return this task for rows that the user holds out."""
        return Predict(self.task.take_rows(rows), self.held_out)

    def leave_as_is(self):
        """Return this task without what is drawn, as far as rows have no missing values."""
        return Predict(self.task.leave_as_is(), self.labels, self.filled)

    @property
    def judged(self):
        """The task by which networks are judged."""
        return Predict(self.task.judged, self.labels, self.filled, self.held_out)

    def move_origin(self, input_offset, offset):
        """Return this task in units whose means are where these have u = offset."""
        moved = self.task.move_origin(input_offset, offset[: -self.n_targets])
        change = offset[-self.n_targets :].to(self.labels)
        return Predict(moved, self.labels - change, self.filled - change)
