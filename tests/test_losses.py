"""The losses of rows, compared with scikit-learn and NumPy."""

import numpy as np
import pytest
import torch
from numpy.testing import assert_array_equal
from scipy.special import expit
from sklearn.metrics import log_loss, mean_absolute_error, mean_squared_error
from zoo import make_units

from sklearn_ae._losses import LOSSES, ObservedLoss, ReconstructionLoss
from sklearn_ae._model import Output

UNITS = make_units(np.zeros(5))
OUTPUT = np.random.RandomState(0).normal(size=(20, 5))
TARGET = np.random.RandomState(1).uniform(size=(20, 5))


def compute_loss(loss, output, target):
    """Return the mean loss of an array or a tensor of outputs, a scalar tensor."""
    return loss(Output(torch.as_tensor(output)), torch.as_tensor(target))


def of(name):
    """Return the loss of a name for the rows of this file."""
    return compute_loss(ReconstructionLoss(name, UNITS), OUTPUT, TARGET).item()


def compute_huber_loss(output, target):
    """Return the mean of what is quadratic up to an error of 1 and linear beyond."""
    error = np.abs(output - target)
    return np.where(error <= 1, error**2 / 2, error - 1 / 2).mean()


def compute_log_loss(output, target):
    """Return the expected log loss of labels that are 1 with the target as probability."""
    return log_loss(
        np.repeat([1, 0], target.size),
        np.tile(expit(output.ravel()), 2),
        sample_weight=np.concatenate([target.ravel(), 1 - target.ravel()]),
    )


# name: function (output, target) -> mean loss, with scikit-learn or NumPy
REFERENCES = {
    "squared_error": mean_squared_error,
    "absolute_error": mean_absolute_error,
    "huber": compute_huber_loss,
    "binary_cross_entropy": compute_log_loss,
}


def test_every_loss_has_a_reference():
    assert REFERENCES.keys() == LOSSES.keys()


@pytest.mark.parametrize("name", REFERENCES)
def test_against_references(name):
    errors = np.abs(OUTPUT - TARGET)
    assert errors.min() < 1 < errors.max()
    assert of(name) == pytest.approx(REFERENCES[name](OUTPUT, TARGET))


@pytest.mark.parametrize("name", sorted(LOSSES))
def test_rows_average_to_the_loss(name):
    loss = ReconstructionLoss(name, UNITS)
    rows = loss.compute_row_losses(torch.as_tensor(OUTPUT), torch.as_tensor(TARGET))
    assert rows.shape == (20,)
    assert rows.mean().item() == pytest.approx(of(name))


@pytest.mark.parametrize("name", sorted(LOSSES.keys() - {"binary_cross_entropy"}))
def test_unit_undoes_scaling(name):
    scale = 1e4  # so that all errors are small: the powers are those of small errors
    target = torch.as_tensor(TARGET)
    error = torch.as_tensor(OUTPUT - TARGET) / scale
    unscaled = compute_loss(ReconstructionLoss(name, UNITS), target + error, target).item()
    loss = ReconstructionLoss(name, make_units(np.zeros(5), scale))
    scaled = compute_loss(loss, (target + error) / scale, target / scale).item()
    assert loss.convert_loss(scaled) == pytest.approx(unscaled)


def test_logits_have_no_unit():
    assert ReconstructionLoss("binary_cross_entropy", UNITS).convert_loss(0.5) == 0.5
    scaled = ReconstructionLoss("binary_cross_entropy", make_units(np.zeros(5), 3.0))
    assert scaled.convert_loss(0.5) == 0.5


@pytest.mark.parametrize("name", sorted(LOSSES.keys() - {"binary_cross_entropy"}))
def test_clipped_outputs_are_compared(name):
    output = torch.tensor(OUTPUT, requires_grad=True)
    target = torch.as_tensor(TARGET)
    units = make_units(np.zeros(5), bounds=(0.2, 0.8))
    free = ReconstructionLoss(name, units)
    clipping = ReconstructionLoss(name, units, clips=True)
    clipped = output.detach().clamp(0.2, 0.8).requires_grad_()
    clipping_loss, expected = (
        compute_loss(loss, rows, target) for loss, rows in ((clipping, output), (free, clipped))
    )
    torch.testing.assert_close(clipping_loss, expected)
    torch.testing.assert_close(
        clipping.compute_row_losses(output, target), free.compute_row_losses(clipped, target)
    )
    # the gradient is that of the clipped output, wherever the output is
    clipping_loss.backward()
    expected.backward()
    torch.testing.assert_close(output.grad, clipped.grad)


def test_logits_are_compared_with_X():
    mean = TARGET.mean(axis=0)
    loss = ReconstructionLoss("binary_cross_entropy", make_units(mean, 0.3), clips=True)
    standardised = compute_loss(loss, OUTPUT, (TARGET - mean) / 0.3).item()
    assert standardised == pytest.approx(of("binary_cross_entropy"), rel=1e-6)


@pytest.mark.parametrize("name", sorted(LOSSES.keys() - {"binary_cross_entropy"}))
def test_missing_targets_carry_no_loss(name):
    is_missing = np.random.RandomState(2).uniform(size=TARGET.shape) < 0.3
    target, kept = np.where(is_missing, np.nan, TARGET), ~is_missing
    loss = ObservedLoss(name, UNITS)
    output = torch.tensor(OUTPUT, requires_grad=True)
    mean = compute_loss(loss, output, target)
    expected = REFERENCES[name](OUTPUT[kept], TARGET[kept])
    assert mean.item() == pytest.approx(expected, rel=1e-6)  # the observed share is in float32
    mean.backward()
    assert_array_equal(output.grad.numpy() == 0, is_missing)
    rows = loss.compute_row_losses(output, torch.as_tensor(target)).tolist()
    pairs = zip(OUTPUT, TARGET, kept, strict=True)
    assert rows == pytest.approx([REFERENCES[name](z[k], t[k]) for z, t, k in pairs])
