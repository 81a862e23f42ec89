"""The networks: dense coders, each with an optional linear path beside it.

With the linear path an autoencoder computes, for a standardised row u,

    code    z = scale · (W u + b + f(u))
    output  û = V (z / scale) + g(z / scale)

f and g are dense networks whose last layer starts at zero, so that the untrained
autoencoder is the linear one; where that is PCA there is no b. `scale` puts the code into
the units of X, as PCA has it.
"""

import torch
from torch import nn

ACTIVATIONS = {
    "relu": nn.ReLU,
    "gelu": nn.GELU,
    "silu": nn.SiLU,
    "tanh": nn.Tanh,
    "logistic": nn.Sigmoid,
    "identity": nn.Identity,
}


class Autoencoder(nn.Module):
    """An encoder and a decoder, one after the other."""

    def __init__(self, encoder, decoder):
        super().__init__()
        self.encoder = encoder
        self.decoder = decoder

    def forward(self, u):
        """Map standardised rows (n, n_features) to their reconstruction, same shape."""
        return self.decoder(self.encoder(u))


class Residual(nn.Module):
    """A linear path plus a nonlinear correction that starts at zero."""

    def __init__(self, linear, correction):
        super().__init__()
        self.linear = linear
        self.correction = correction
        nn.init.zeros_(correction[-1].weight)

    def forward(self, x):
        """Map (n, n_in) to (n, n_out)."""
        return self.linear(x) + self.correction(x)


class Scale(nn.Module):
    """Multiplication by a constant."""

    def __init__(self, factor):
        super().__init__()
        self.factor = factor

    def forward(self, x):
        """Multiply x, of any shape."""
        return x * self.factor


def linear(weight, bias=None):
    """Return a layer that starts at `weight`, an array (n_out, n_in), and `bias`, (n_out,)."""
    n_out, n_in = weight.shape
    has_bias = bias is not None
    layer = nn.utils.skip_init(nn.Linear, n_in, n_out, bias=has_bias, dtype=torch.float32)
    with torch.no_grad():
        layer.weight.copy_(torch.as_tensor(weight))
        if has_bias:
            layer.bias.copy_(torch.as_tensor(bias))
    return layer


def dense(widths, activation, output_activation, generator):
    """Return dense layers from widths[0] to widths[-1], activations in between.

    Weights start as He et al. (2015) draw them for the activations that cut off the
    negative side and as Glorot and Bengio (2010) do for the others; biases start at
    zero. The draws come from `generator`, never from torch's global one.
    """
    layers = []
    activations = [activation] * (len(widths) - 2) + [output_activation]
    for n_in, n_out, name in zip(widths[:-1], widths[1:], activations, strict=True):
        layer = nn.utils.skip_init(nn.Linear, n_in, n_out, dtype=torch.float32)
        if name in ("relu", "gelu", "silu"):
            nn.init.kaiming_uniform_(layer.weight, nonlinearity="relu", generator=generator)
        else:
            nn.init.xavier_uniform_(layer.weight, generator=generator)
        nn.init.zeros_(layer.bias)
        layers.append(layer)
        if name != "identity":
            layers.append(ACTIVATIONS[name]())
    return nn.Sequential(*layers)


def plain_autoencoder(widths, activation, code_activation, output_activation, generator):
    """Return the textbook autoencoder.

    Parameters
    ----------
    widths : list of int
        n_features, the hidden layers of the encoder, n_components. The decoder mirrors them.
    activation, code_activation, output_activation : str
        Names in `ACTIVATIONS`: of the hidden layers, the code and the output.
    generator : torch.Generator
    """
    return Autoencoder(
        dense(widths, activation, code_activation, generator),
        dense(widths[::-1], activation, output_activation, generator),
    )


def residual_autoencoder(widths, activation, start, scale, generator):
    """Return the autoencoder that starts as the linear one given by `start`.

    Parameters
    ----------
    widths, activation, generator
        As in `plain_autoencoder`.
    start : LinearStart
        With W, `encoder`, (n_components, n_features), b, `bias`, (n_components,) or None,
        V, `decoder`, (n_features, n_components), and the size of the codes, `code_rms`.
    scale : float
        What the rows were divided by; the code is multiplied by it.
    """
    f = dense(widths, activation, "identity", generator)
    g = dense(widths[::-1], activation, "identity", generator)
    with torch.no_grad():  # weights are drawn for inputs of unit variance, which u has
        g[0].weight.div_(start.code_rms)
    return Autoencoder(
        nn.Sequential(Residual(linear(start.encoder, start.bias), f), Scale(scale)),
        nn.Sequential(Scale(1 / scale), Residual(linear(start.decoder), g)),
    )
