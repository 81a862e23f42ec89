"""The networks: dense, convolutional and custom coders, each with an optional linear path.

With the linear path an autoencoder computes, for a standardised row u,

    code    z = scale · (W u + b + f(u))
    output  û = V (z / scale) + c + g(z / scale)

f and g are networks that start at zero, so that the untrained autoencoder is the linear
one. Where that is PCA there is no b; there is a c only where the output is a logit. `scale`
puts the code into the units of X, as PCA has it.
"""

import itertools
import math
from collections.abc import Callable
from contextlib import contextmanager
from dataclasses import dataclass
from threading import RLock
from weakref import WeakSet

import torch
from torch import nn

from ._sparse_batch import RowLinear

ACTIVATIONS = {
    "relu": nn.ReLU,
    "gelu": nn.GELU,
    "silu": nn.SiLU,
    "tanh": nn.Tanh,
    "logistic": nn.Sigmoid,
    "identity": nn.Identity,
}

MADE = WeakSet()  # networks that factories returned: each is for one fit
GLOBAL_GENERATORS = RLock()

# The parameters of the linear path in the module of `residual_autoencoder`, encoder.0.linear and
# decoder.1.linear, by a pattern of `fnmatch`.
LINEAR_PATH = "[ed][ne]coder.[01].linear.*"


@dataclass(frozen=True)
class LinearPath:
    """What is to be known of a linear path before its weights.

    Attributes
    ----------
    scale : float
        What the rows were divided by; the code is multiplied by it.
    code_rms : float
        Size of the codes that it starts with, before they are multiplied.
    has_bias, has_decoder_bias : bool
    """

    scale: float
    code_rms: float
    has_bias: bool
    has_decoder_bias: bool


@dataclass(frozen=True)
class Architecture:
    """What encoder and decoder are made of; the decoder mirrors the encoder.

    Attributes
    ----------
    n_features, n_components : int
    hidden_layer_sizes : list of int
        Widths of the dense layers between rows, or the last convolution, and code.
    activation : str
        Of the hidden layers and convolutions, a name in `ACTIVATIONS`.
    conv_filters : list of int
        Of the convolutional blocks in front of the dense layers.
    image_shape : (int, int, int) or None
        Channels, height and width of a row.
    encoder, decoder : callable (n_in, n_out) -> torch.nn.Module, or None
        Factories of networks that take the place of the above.
    code_activation, output_activation : str
        Of a network without linear path.
    linear_path : LinearPath or None
    multiplies_sparsely : bool
        Whether the first layers take sparse rows as such.
    """

    n_features: int
    n_components: int
    hidden_layer_sizes: list
    activation: str
    conv_filters: list
    image_shape: tuple | None
    encoder: Callable | None
    decoder: Callable | None
    code_activation: str
    output_activation: str
    linear_path: LinearPath | None
    multiplies_sparsely: bool

    def make_encoder(self, code_activation, generator):
        """Return a network from rows (n, n_features) to codes (n, n_components)."""
        if self.encoder is not None:
            size = self.n_features, self.n_components
            module = made_by("encoder", self.encoder, *size, generator)
            return nn.Sequential(Scale(1.0), module, *activated(code_activation))
        convolutions, n_dense = [], self.n_features
        if self.conv_filters:
            sizes = pooled_sizes(self.image_shape, len(self.conv_filters))
            channels = [self.image_shape[0], *self.conv_filters]
            convolutions = [nn.Unflatten(1, self.image_shape)]
            for n_in, n_out in itertools.pairwise(channels):
                convolutions += [
                    convolution(n_in, n_out, self.activation, generator),
                    *activated(self.activation),
                    nn.MaxPool2d(2, ceil_mode=True),
                ]
            convolutions.append(nn.Flatten())
            n_dense = channels[-1] * math.prod(sizes[-1])
        widths = [n_dense, *self.hidden_layer_sizes, self.n_components]
        layers = dense(widths, self.activation, code_activation, generator)
        return nn.Sequential(*convolutions, *layers)

    def make_decoder(self, output_activation, generator):
        """Return a network from codes (n, n_components) to rows (n, n_features)."""
        if self.decoder is not None:
            size = self.n_components, self.n_features
            module = made_by("decoder", self.decoder, *size, generator)
            return nn.Sequential(Scale(1.0), module, *activated(output_activation))
        widths = [self.n_components, *self.hidden_layer_sizes[::-1]]
        if not self.conv_filters:
            return dense([*widths, self.n_features], self.activation, output_activation, generator)
        sizes = pooled_sizes(self.image_shape, len(self.conv_filters))[::-1]
        channels = [self.image_shape[0], *self.conv_filters][::-1]
        activations = [self.activation] * (len(channels) - 2) + [output_activation]
        smallest = (channels[0], *sizes[0])
        layers = [
            *dense([*widths, math.prod(smallest)], self.activation, self.activation, generator),
            nn.Unflatten(1, smallest),
        ]
        for i, activation in enumerate(activations):
            layers += [
                nn.Upsample(sizes[i + 1]),
                convolution(channels[i], channels[i + 1], activation, generator),
                *activated(activation),
            ]
        return nn.Sequential(*layers, nn.Flatten())


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
    """A linear path plus a nonlinear correction."""

    def __init__(self, linear, correction):
        super().__init__()
        self.linear = linear
        self.correction = correction

    def forward(self, x):
        """Map (n, n_in) to (n, n_out)."""
        return self.linear(x) + self.correction(x)


class Scale(nn.Module):
    """Multiplication by a constant; also a copy, for networks that work in place."""

    def __init__(self, factor):
        super().__init__()
        self.factor = factor

    def forward(self, x):
        """Multiply x, of any shape."""
        return x * self.factor


class Gain(nn.Module):
    """Multiplication of each output by a trained factor that starts at zero [1]_.

    References
    ----------
    .. [1] Bachlechner et al., "ReZero is all you need: fast convergence at large depth",
       UAI 2021.
    """

    def __init__(self, n_out):
        super().__init__()
        self.weight = nn.Parameter(torch.zeros(n_out, dtype=torch.float32))

    def forward(self, x):
        """Multiply x, of shape (n, n_out)."""
        return x * self.weight


def linear(n_in, n_out, has_bias):
    """Return a linear layer that returns zeros."""
    layer = nn.utils.skip_init(nn.Linear, n_in, n_out, bias=has_bias, dtype=torch.float32)
    for parameter in layer.parameters():
        nn.init.zeros_(parameter)
    return layer


@torch.no_grad()
def set_weights(layer, weight, bias):
    """Set a layer's weight to an array (n_out, n_in) and its bias to one (n_out,) or None."""
    layer.weight.copy_(torch.as_tensor(weight))
    if bias is not None:
        layer.bias.copy_(torch.as_tensor(bias))


def dense(widths, activation, output_activation, generator):
    """Return dense layers from widths[0] to widths[-1], activations in between."""
    layers = []
    activations = [activation] * (len(widths) - 2) + [output_activation]
    for (n_in, n_out), name in zip(itertools.pairwise(widths), activations, strict=True):
        layer = nn.utils.skip_init(nn.Linear, n_in, n_out, dtype=torch.float32)
        layers += [drawn(layer, name, generator), *activated(name)]
    return nn.Sequential(*layers)


def convolution(n_in, n_out, activation, generator):
    """Return a 3-by-3 convolution that keeps the size of its images (n, n_in, height, width).

    Its weights, and so all images after it, have their channels last in memory, which halves
    the time of a step on a CPU.
    """
    layer = nn.utils.skip_init(nn.Conv2d, n_in, n_out, 3, padding=1, dtype=torch.float32)
    return drawn(layer, activation, generator).to(memory_format=torch.channels_last)


def drawn(layer, activation, generator):
    """Return a layer whose weights are drawn for the activation that follows it.

    As He et al. (2015) do for the activations that cut off the negative side and as Glorot
    and Bengio (2010) do for the others; biases start at zero. The draws come from
    `generator`, never from torch's global one.
    """
    if activation in ("relu", "gelu", "silu"):
        nn.init.kaiming_uniform_(layer.weight, nonlinearity="relu", generator=generator)
    else:
        nn.init.xavier_uniform_(layer.weight, generator=generator)
    nn.init.zeros_(layer.bias)
    return layer


def activated(activation):
    """Return the layers that an activation takes: one, or none for "identity"."""
    return [] if activation == "identity" else [ACTIVATIONS[activation]()]


def pooled_sizes(image_shape, n_blocks):
    """Return height and width before the first block and after each, halved and rounded up.

    Raises
    ------
    ValueError
        If a block would pool what is one pixel already.
    """
    channels, height, width = image_shape
    sizes = [(height, width)]
    for _ in range(n_blocks):
        if sizes[-1] == (1, 1):
            raise ValueError(
                f"conv_filters has {n_blocks} blocks, each of which halves height and width, but "
                f"{len(sizes) - 1} make one pixel of an image of {height} by {width} "
                f"(n_features={channels * height * width}). Use fewer filters."
            )
        sizes.append(tuple(-(-size // 2) for size in sizes[-1]))
    return sizes


def made_by(name, factory, n_in, n_out, generator):
    """Return factory(n_in, n_out), a network that was seen to map (n, n_in) to (n, n_out).

    Its weights are drawn from torch's global generator, which is seeded from `generator` and
    put back after.

    Parameters
    ----------
    name : {"encoder", "decoder"}
        For messages.
    factory : callable
    n_in, n_out : int
    generator : torch.Generator

    Raises
    ------
    TypeError
        If what the factory returns is no module.
    ValueError
        If the module is not a new one, or if what it returns is no float32 tensor (n, n_out).
    """
    call = f"{name}={factory!r}, called with ({n_in}, {n_out}),"
    with seeded(generator), torch.no_grad():
        try:
            module = factory(n_in, n_out)
            if isinstance(module, nn.Module):
                check_network(call, module.float(), n_in, n_out)
        except Exception as error:
            error.add_note(f"It came from {call} or from the network that it returned.")
            raise
    if not isinstance(module, nn.Module):
        raise TypeError(f"{call} must return a torch.nn.Module; got {module!r}.")
    if module in MADE:
        raise ValueError(f"{call} must return a new network each time; got one that was in use.")
    MADE.add(module)
    return module


def check_network(call, module, n_in, n_out):
    """Raise a ValueError if a module does not map (n, n_in) to (n, n_out); it stays as it is."""
    n_rows = 3 if n_out != 3 else 4  # what is transposed, too, is to be seen
    rows = torch.randn(n_rows, n_in, dtype=torch.float32)
    outputs = [module.eval()(rows.clone())]
    state = {name: value.clone() for name, value in module.state_dict().items()}
    outputs.append(module.train()(rows.clone()))
    module.load_state_dict(state)
    for output in outputs:
        is_tensor = isinstance(output, torch.Tensor)
        got = f"{tuple(output.shape)} of {output.dtype}" if is_tensor else type(output).__name__
        if got != f"{(n_rows, n_out)} of {torch.float32}":
            raise ValueError(
                f"{call} must return a network from (n, {n_in}) to (n, {n_out}). For rows of "
                f"shape ({n_rows}, {n_in}) it was expected to return a tensor of shape "
                f"({n_rows}, {n_out}) of {torch.float32}, but returned {got}."
            )


@contextmanager
def seeded(generator, device="cpu", rank=0):
    """Let what draws from torch's global generators draw as `generator` says, and not for long.

    On every rank it draws otherwise. They are everybody's: one thread at a time has them.
    """
    device = torch.device(device)
    on_cuda = device.type == "cuda"
    seed = int(torch.randint(2**31, (), generator=generator)) + rank
    with GLOBAL_GENERATORS, torch.random.fork_rng([device] if on_cuda else []):
        torch.default_generator.manual_seed(seed)
        if on_cuda:
            with torch.cuda.device(device):
                torch.cuda.manual_seed(seed)
        yield


@torch.no_grad()
def widest(module, n_features, generator):
    """Return how many numbers a row becomes where it becomes most, in any part of a module."""
    n_rows = 3
    sizes = [n_features]

    def note_size(*part_inputs_output):
        outputs = part_inputs_output[-1]
        for output in outputs if isinstance(outputs, tuple) else (outputs,):
            if isinstance(output, torch.Tensor) and output.shape[:1] == (n_rows,):
                sizes.append(output.numel() // n_rows)

    parts = [part for part in module.modules() if not isinstance(part, torch.jit.ScriptModule)]
    hooks = [part.register_forward_hook(note_size) for part in parts]
    try:
        with seeded(generator):
            module.eval()(torch.zeros(n_rows, n_features, dtype=torch.float32))
    finally:
        for hook in hooks:
            hook.remove()
    return max(sizes)


def make_autoencoder(architecture, generator, start=None):
    """Return the autoencoder of an architecture.

    Parameters
    ----------
    architecture : Architecture
    generator : torch.Generator
    start : LinearStart or None, default=None
        Where its linear path starts, which is zero without it. With W, `encoder`,
        (n_components, n_features), b, `bias`, (n_components,) or None, V, `decoder`,
        (n_features, n_components), and c, `decoder_bias`, (n_features,) or None.
    """
    if architecture.linear_path is None:
        module = Autoencoder(
            architecture.make_encoder(architecture.code_activation, generator),
            architecture.make_decoder(architecture.output_activation, generator),
        )
    else:
        module = residual_autoencoder(architecture, generator)
        if start is not None:
            set_weights(module.encoder[0].linear, start.encoder, start.bias)
            set_weights(module.decoder[1].linear, start.decoder, start.decoder_bias)
    if architecture.multiplies_sparsely:
        multiply_sparsely(module.encoder)
    return module


def residual_autoencoder(architecture, generator):
    """Return an autoencoder whose encoder and decoder are zero, with a linear path each."""
    path = architecture.linear_path
    n_features, n_components = architecture.n_features, architecture.n_components
    f = architecture.make_encoder("identity", generator)
    g = architecture.make_decoder("identity", generator)
    if architecture.encoder is None:
        start_at_zero(f)
    else:
        f.append(Gain(n_components))
    # weights are drawn for inputs of unit variance, which u has and z / scale has not
    if architecture.decoder is None:
        start_at_zero(g)
        with torch.no_grad():
            g[0].weight.div_(path.code_rms)
    else:
        g[0].factor = 1 / path.code_rms
        g.append(Gain(n_features))
    encoding = linear(n_features, n_components, path.has_bias)
    decoding = linear(n_components, n_features, path.has_decoder_bias)
    return Autoencoder(
        nn.Sequential(Residual(encoding, f), Scale(path.scale)),
        nn.Sequential(Scale(1 / path.scale), Residual(decoding, g)),
    )


def start_at_zero(network):
    """Let a network return zeros: its last layer's weights become zero."""
    *_, last = (layer for layer in network if hasattr(layer, "weight"))
    nn.init.zeros_(last.weight)


def multiply_sparsely(network):
    """Let the linear layers that an encoder begins with multiply sparse rows as such."""
    layers = list(network.named_children())
    for name, layer in layers if isinstance(network, Residual) else layers[:1]:
        if isinstance(layer, nn.Linear):
            setattr(network, name, RowLinear(layer))
        elif isinstance(layer, nn.Sequential | Residual):
            multiply_sparsely(layer)
