import numpy as np
import pytest
import torch
from sklearn.metrics import log_loss, mean_absolute_error, mean_squared_error
from zoo import make_units

from sklearn_ae._losses import LOSSES, ReconstructionLoss

UNITS = make_units(np.zeros(5))
OUTPUT = np.random.RandomState(0).normal(size=(20, 5))
TARGET = np.random.RandomState(1).uniform(size=(20, 5))


def of(name):
    return ReconstructionLoss(name, UNITS)(torch.as_tensor(OUTPUT), torch.as_tensor(TARGET)).item()


def test_against_scikit_learn():
    assert of("squared_error") == pytest.approx(mean_squared_error(TARGET, OUTPUT))
    assert of("absolute_error") == pytest.approx(mean_absolute_error(TARGET, OUTPUT))
    # the expected log loss of a label that is 1 with probability TARGET
    probability = 1 / (1 + np.exp(-OUTPUT.ravel()))
    expected = log_loss(
        np.repeat([1, 0], TARGET.size),
        np.tile(probability, 2),
        sample_weight=np.concatenate([TARGET.ravel(), 1 - TARGET.ravel()]),
    )
    assert of("binary_cross_entropy") == pytest.approx(expected)


def test_huber_is_quadratic_then_linear():
    loss = ReconstructionLoss("huber", UNITS)
    error = torch.tensor([[0.5], [1.0], [3.0]])
    torch.testing.assert_close(
        loss.compute_row_losses(error, torch.zeros(3, 1)), torch.tensor([0.125, 0.5, 2.5])
    )


@pytest.mark.parametrize("name", sorted(LOSSES))
def test_rows_average_to_the_loss(name):
    loss = ReconstructionLoss(name, UNITS)
    rows = loss.compute_row_losses(torch.as_tensor(OUTPUT), torch.as_tensor(TARGET))
    assert rows.shape == (20,)
    assert rows.mean().item() == pytest.approx(of(name))


@pytest.mark.parametrize("name", ["squared_error", "absolute_error"])
def test_unit_undoes_scaling(name):
    loss = ReconstructionLoss(name, make_units(np.zeros(5), 3.0))
    scaled = loss(torch.as_tensor(OUTPUT / 3), torch.as_tensor(TARGET / 3)).item()
    assert loss.get_unit() * scaled == pytest.approx(of(name))


@pytest.mark.parametrize("name", ["squared_error", "absolute_error", "huber"])
def test_clipped_outputs_are_compared(name):
    output = torch.tensor(OUTPUT, requires_grad=True)
    target = torch.as_tensor(TARGET)
    units = make_units(np.zeros(5), bounds=(0.2, 0.8))
    free = ReconstructionLoss(name, units)
    clipping = ReconstructionLoss(name, units, clips=True)
    clipped = output.detach().clamp(0.2, 0.8).requires_grad_()
    torch.testing.assert_close(clipping(output, target), free(clipped, target))
    torch.testing.assert_close(
        clipping.compute_row_losses(output, target), free.compute_row_losses(clipped, target)
    )
    # the gradient is that of the clipped output, wherever the output is
    clipping(output, target).backward()
    free(clipped, target).backward()
    torch.testing.assert_close(output.grad, clipped.grad)


def test_logits_are_compared_with_X():
    mean = TARGET.mean(axis=0)
    loss = ReconstructionLoss("binary_cross_entropy", make_units(mean, 0.3), clips=True)
    standardised = torch.as_tensor((TARGET - mean) / 0.3)
    assert loss(torch.as_tensor(OUTPUT), standardised).item() == pytest.approx(
        of("binary_cross_entropy"), rel=1e-6
    )
