import numpy as np
import pytest
import torch
from torch import nn

from sklearn_ae._linear_start import LinearStart
from sklearn_ae._networks import ACTIVATIONS, dense, plain_autoencoder, residual_autoencoder


def generator():
    return torch.Generator().manual_seed(0)


@pytest.mark.parametrize("activation", sorted(ACTIVATIONS))
@pytest.mark.parametrize("hidden", [[], [5], [7, 5]])
def test_plain_autoencoder_mirrors_its_widths(activation, hidden):
    module = plain_autoencoder([9, *hidden, 3], activation, "identity", "identity", generator())
    layers = [layer for layer in module.modules() if isinstance(layer, nn.Linear)]
    widths = [9, *hidden, 3, *hidden[::-1], 9]
    assert [layer.in_features for layer in layers] == widths[:-1]
    assert [layer.out_features for layer in layers] == widths[1:]
    assert all(layer.weight.dtype == torch.float32 for layer in layers)


@pytest.mark.parametrize(
    ("code_activation", "output_activation", "low", "high"),
    [("relu", "logistic", 0, 1), ("logistic", "tanh", -1, 1), ("tanh", "relu", 0, np.inf)],
)
def test_code_and_output_activations(code_activation, output_activation, low, high):
    module = plain_autoencoder([6, 8, 3], "relu", code_activation, output_activation, generator())
    u = 10 * torch.randn(50, 6, generator=generator())
    code, output = module.encoder(u), module(u)
    reference = ACTIVATIONS[code_activation]()
    linear = module.encoder[:-1](u)
    torch.testing.assert_close(code, reference(linear))
    assert output.min() >= low
    assert output.max() <= high


@pytest.mark.parametrize("bias", [None, np.array([1.0, -2.0, 0.5])], ids=["no bias", "bias"])
def test_residual_autoencoder_starts_linear(bias):
    rng = np.random.RandomState(0)
    start = LinearStart(rng.normal(size=(3, 6)), bias, rng.normal(size=(6, 3)), code_rms=2.0)
    module = residual_autoencoder([6, 8, 3], "silu", start, 5.0, generator())
    u = rng.normal(size=(20, 6)).astype(np.float32)
    codes = module.encoder(torch.as_tensor(u)).detach().numpy()
    output = module(torch.as_tensor(u)).detach().numpy()
    expected = u @ start.encoder.T + (0 if bias is None else bias)
    np.testing.assert_allclose(codes, 5 * expected, rtol=1e-4, atol=1e-4)
    np.testing.assert_allclose(output, expected @ start.decoder.T, rtol=1e-3, atol=1e-4)


@pytest.mark.parametrize("bias", [None, np.array([1.0, -2.0, 0.5])], ids=["no bias", "bias"])
def test_every_weight_of_the_residual_autoencoder_learns(bias):
    rng = np.random.RandomState(0)
    start = LinearStart(rng.normal(size=(3, 6)), bias, rng.normal(size=(6, 3)), code_rms=2.0)
    module = residual_autoencoder([6, 8, 3], "silu", start, 1.0, generator())
    optimizer = torch.optim.Adam(module.parameters(), lr=0.1)
    before = [parameter.detach().clone() for parameter in module.parameters()]
    u = torch.randn(50, 6, generator=generator())
    for _ in range(3):  # in the first step the zero layers are in the way of those before them
        optimizer.zero_grad()
        (module(u) - u).square().mean().backward()
        optimizer.step()
    for old, new in zip(before, module.parameters(), strict=True):
        assert not torch.equal(old, new)


@pytest.mark.parametrize(("activation", "variance"), [("relu", 2 / 300), ("tanh", 2 / 500)])
def test_initial_variance_is_he_or_glorot(activation, variance):
    layer = dense([300, 200, 2], activation, "identity", generator())[0]
    assert layer.weight.var().item() == pytest.approx(variance, rel=0.05)
    assert not layer.bias.any()


def test_initialisation_leaves_the_global_generator_alone():
    torch.manual_seed(0)
    state = torch.get_rng_state()
    dense([5, 4, 3], "relu", "identity", generator())
    assert torch.equal(torch.get_rng_state(), state)
