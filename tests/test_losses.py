import numpy as np
import pytest
import torch
from sklearn.metrics import log_loss, mean_absolute_error, mean_squared_error

from sklearn_ae._losses import LOSSES, ReconstructionLoss

OUTPUT = np.random.RandomState(0).normal(size=(20, 5))
TARGET = np.random.RandomState(1).uniform(size=(20, 5))


def of(name):
    return ReconstructionLoss(name)(torch.as_tensor(OUTPUT), torch.as_tensor(TARGET)).item()


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
    loss = ReconstructionLoss("huber")
    error = torch.tensor([[0.5], [1.0], [3.0]])
    torch.testing.assert_close(loss.rows(error, torch.zeros(3, 1)), torch.tensor([0.125, 0.5, 2.5]))


@pytest.mark.parametrize("name", sorted(LOSSES))
def test_rows_average_to_the_loss(name):
    loss = ReconstructionLoss(name)
    rows = loss.rows(torch.as_tensor(OUTPUT), torch.as_tensor(TARGET))
    assert rows.shape == (20,)
    assert rows.mean().item() == pytest.approx(of(name))


@pytest.mark.parametrize("name", ["squared_error", "absolute_error"])
def test_unit_undoes_scaling(name):
    loss = ReconstructionLoss(name)
    scaled = loss(torch.as_tensor(OUTPUT / 3), torch.as_tensor(TARGET / 3)).item()
    assert loss.unit(3) * scaled == pytest.approx(of(name))


@pytest.mark.parametrize("name", ["squared_error", "absolute_error", "huber"])
def test_clipped_outputs_are_compared(name):
    output = torch.tensor(OUTPUT, requires_grad=True)
    target = torch.as_tensor(TARGET)
    bounds = torch.stack([target.min(dim=0).values, target.max(dim=0).values]).float()
    free, clipping = ReconstructionLoss(name), ReconstructionLoss(name)
    clipping.compare_with(torch.zeros(5), 1.0, bounds)
    clipped = output.detach().clamp(*bounds).requires_grad_()
    torch.testing.assert_close(clipping(output, target), free(clipped, target))
    torch.testing.assert_close(clipping.rows(output, target), free.rows(clipped, target))
    # the gradient is that of the clipped output, wherever the output is
    clipping(output, target).backward()
    free(clipped, target).backward()
    torch.testing.assert_close(output.grad, clipped.grad)
    clipping.compare_with(torch.zeros(5), 1.0)
    torch.testing.assert_close(clipping(output, target), free(output, target))


def test_logits_are_compared_with_X():
    loss = ReconstructionLoss("binary_cross_entropy")
    mean = TARGET.mean(axis=0)
    loss.compare_with(torch.as_tensor(mean), 0.3, torch.tensor([[0.0] * 5, [1.0] * 5]))
    standardised = torch.as_tensor((TARGET - mean) / 0.3)
    assert loss(torch.as_tensor(OUTPUT), standardised).item() == pytest.approx(
        of("binary_cross_entropy"), rel=1e-6
    )
