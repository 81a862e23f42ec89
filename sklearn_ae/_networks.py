"""The networks: dense, convolutional and custom coders, each with an optional linear path.

With the linear path an autoencoder computes, for a standardised row u of shape (n_features,),

    code    z = scale · (W u + b + f(u))               (n_components,)
    output  û = V (z / scale) + c + g(z / scale)       (n_features,)

f and g are networks that return zero before training: the untrained autoencoder is linear. PCA
needs no b; only outputs that are logits need a c. `scale` puts codes into the units of X, as
PCA has them.

The code is ordered if there is a `Bottleneck` at the entrance of the decoder.

The encoder of a variational autoencoder returns mean and log-variance of the code, in units of its
prior and not of X, and a `Sampler` at the entrance of the decoder draws the code.
"""

import itertools
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import reduce
from weakref import WeakValueDictionary

import torch
import torch.nn.functional as F
from torch import nn

from ._random import seed_torch
from ._sparse_batch import RowLinear
from ._units import ScaleCodes, UnscaleCodes

ACTIVATIONS = {
    "relu": nn.ReLU,
    "gelu": nn.GELU,
    "silu": nn.SiLU,
    "tanh": nn.Tanh,
    "logistic": nn.Sigmoid,
    "identity": nn.Identity,
}

OUTPUT_RANGES = {"logistic": (0, 1), "tanh": (-1, 1), "relu": (0, math.inf)}

# In training an ordered code is decoded so many times. This share of the times it is whole, else
# cut at a size from a distribution that is even in the logarithm of the size plus `SMALL_SIZES`.
COPIES = 3
SHARE_WHOLE = 0.4
SMALL_SIZES = 2

# Rows of the draws of a `Sampler` outside of training.
TABLE_ROWS = 1024

# Modules, parameters and buffers of the networks that factories returned, by address. No two
# networks may share one.
IN_USE = WeakValueDictionary()

# A pattern of `fnmatch` for the names of the linear path's parameters in a model whose coders
# are made by `make_residual_coders`: encoder.0.linear and decoder.1.linear.
LINEAR_PATH = "[ed][ne]coder.[01].linear.*"


@dataclass(frozen=True)
class LinearPath:
    """The shape of a linear path, without its weights.

    Attributes
    ----------
    code_rms : float
        Root mean square of the codes W u + b at the start.
    has_bias, has_decoder_bias : bool
        Whether there is a b, and a c.
    """

    code_rms: float
    has_bias: bool
    has_decoder_bias: bool


@dataclass(frozen=True)
class Architecture:
    """The layers of encoder and decoder; the decoder mirrors the encoder.

    Attributes
    ----------
    n_features, n_outputs, n_components : int
        Columns of what is encoded, of what the decoder returns, and of the codes.
    n_ordered : int or None
        How many numbers an ordered code had in training, of which the code is the first; None if
        the code is not ordered.
    hidden_layer_sizes : list of int
        Widths of the dense layers between rows, or the last convolution, and code.
    activation : str
        Activation of the hidden layers and convolutions, a name in `ACTIVATIONS`.
    conv_filters : list of int
        Filters of the convolutional blocks in front of the dense layers.
    image_shape : (int, int, int) or None
        Channels, height and width of a row.
    encoder, decoder : callable (n_in, n_out) -> torch.nn.Module, or None
        Factories of networks to use in place of dense layers and convolutions.
    code_activation, output_activation : str
        Activations of code and output in a network without linear path.
    linear_path : LinearPath or None
    multiplies_sparsely : bool
        Whether the first layers compute sparse products for sparse rows.
    solved_sizes : sequence of int, default=()
        The sizes of an ordered code for which a last layer of the decoder may be solved.
    is_variational : bool, default=False
        Whether the encoder returns a distribution of the code.
    n_fill_factors : int, default=0
        Factors of the Gaussian by which missing values are filled; 0 if there are none.
    """

    n_features: int
    n_outputs: int
    n_components: int
    n_ordered: int | None
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
    solved_sizes: Sequence = ()
    is_variational: bool = False
    n_fill_factors: int = 0

    @property
    def code_width(self):
        """Numbers of the code that the layers compute."""
        return self.n_ordered or self.n_components

    @property
    def encoder_width(self):
        """Numbers that the encoder returns: codes, or their means and log-variances."""
        return self.code_width * (2 if self.is_variational else 1)

    @property
    def decoder_width(self):
        """Numbers that the first layer of the decoder takes: codes, and which of them are given."""
        is_told = self.n_ordered is not None and self.decoder is None
        return self.code_width * (2 if is_told else 1)

    def list_sizes(self):
        """Return the code sizes by which a network is judged: the powers of two, and the last."""
        return [self.encoder_width] if self.n_ordered is None else list_powers(self.n_components)

    def make_encoder(self, code_activation, generator):
        """Return a network from rows (n, n_features) to codes (n, encoder_width)."""
        if self.encoder is not None:
            size = self.n_features, self.encoder_width
            module = call_factory("encoder", self.encoder, *size, generator)
            return nn.Sequential(Scale(1.0), module, *make_activation(code_activation))
        convolutions, n_dense = [], self.n_features
        if self.conv_filters:
            sizes = compute_pooled_sizes(self.image_shape, len(self.conv_filters))
            channels = [self.image_shape[0], *self.conv_filters]
            convolutions = [nn.Unflatten(1, self.image_shape)]
            for n_in, n_out in itertools.pairwise(channels):
                convolutions += [
                    make_convolution(n_in, n_out, self.activation, generator),
                    *make_activation(self.activation),
                    nn.MaxPool2d(2, ceil_mode=True),
                ]
            convolutions.append(nn.Flatten())
            n_dense = channels[-1] * math.prod(sizes[-1])
        widths = [n_dense, *self.hidden_layer_sizes, self.encoder_width]
        layers = make_dense_layers(widths, self.activation, code_activation, generator)
        return nn.Sequential(*convolutions, *layers)

    def make_decoder(self, output_activation, generator):
        """Return a network from codes (n, decoder_width) to rows (n, n_outputs)."""
        if self.decoder is not None:
            size = self.decoder_width, self.n_outputs
            module = call_factory("decoder", self.decoder, *size, generator)
            return nn.Sequential(Scale(1.0), module, *make_activation(output_activation))
        widths = [self.decoder_width, *self.hidden_layer_sizes[::-1]]
        if not self.conv_filters:
            widths = [*widths, self.n_outputs]
            return make_dense_layers(widths, self.activation, output_activation, generator)
        sizes = compute_pooled_sizes(self.image_shape, len(self.conv_filters))[::-1]
        _, height, width = self.image_shape
        channels = [*self.conv_filters[::-1], self.n_outputs // (height * width)]
        activations = [self.activation] * (len(channels) - 2) + [output_activation]
        smallest = (channels[0], *sizes[0])
        widths = [*widths, math.prod(smallest)]
        layers = [
            *make_dense_layers(widths, self.activation, self.activation, generator),
            nn.Unflatten(1, smallest),
        ]
        for i, activation in enumerate(activations):
            layers += [
                nn.Upsample(sizes[i + 1]),
                make_convolution(channels[i], channels[i + 1], activation, generator),
                *make_activation(activation),
            ]
        return nn.Sequential(*layers, nn.Flatten())


def list_powers(n_components):
    """Return the powers of two that are smaller than a code size, and the size."""
    return [2**i for i in range((n_components - 1).bit_length())] + [n_components]


class Residual(nn.Module):
    """A linear path plus a nonlinear correction."""

    def __init__(self, linear, correction):
        super().__init__()
        self.linear = linear
        self.correction = correction

    def forward(self, x):
        """Map (n, n_in) to (n, n_out)."""
        return self.linear(x) + self.correction(x)


class SizedResidual(Residual):
    """The decoder of an ordered code, with layers that are solved for the size of the code.

    Parameters
    ----------
    linear, correction
        As in `Residual`.
    solved : SolvedLayers
    """

    def __init__(self, linear, correction, solved):
        super().__init__(linear, correction)
        self.solved = solved

    def forward(self, x):
        """Map (n, n_in) to (n, n_out). In inference all rows have codes of the same size."""
        if self.training or not x.shape[-2]:
            return super().forward(x)
        is_given = x[..., x.shape[-1] // 2 :].flatten(0, -2)[0]
        *layers, last = self.correction
        hidden = reduce(lambda values, layer: layer(values), layers, x)
        change = self.solved(torch.cat([hidden, x], dim=-1), is_given.sum().long())
        return self.linear(x) + last(hidden) + change


class SolvedLayers(nn.Module):
    """What solving its last layers in closed form adds to a trained decoder, by code sizes.

    The layers are linear in the hidden units and in what the decoder is given. They fit the hidden
    layers for which they were solved, and no others. Those that are not solved are zeros.

    Parameters
    ----------
    sizes : list of int
        Ascending.
    n_inputs, n_features : int

    Attributes
    ----------
    weight : tensor of shape (n_sizes, n_features, n_inputs)
    bias : tensor of shape (n_sizes, n_features)
    """

    stacked_buffers = ("weight", "bias")

    def __init__(self, sizes, n_inputs, n_features):
        super().__init__()
        self.sizes = sizes
        shape = len(sizes), n_features
        self.register_buffer("weight", torch.zeros(*shape, n_inputs, dtype=torch.float32))
        self.register_buffer("bias", torch.zeros(shape, dtype=torch.float32))
        is_size = torch.arange(sizes[-1] + 1).unsqueeze(-1) == torch.tensor(sizes)
        self.register_buffer("is_size", is_size, persistent=False)

    def forward(self, x, size):
        """Map (..., n, n_inputs) to (..., n, n_features).

        Parameters
        ----------
        x : tensor
        size : tensor of int64, a single number
            The code size of all rows.
        """
        number = self.is_size[size].long().argmax().reshape(1)
        weight = self.weight.index_select(-3, number).squeeze(-3)
        change = x @ weight.mT + self.bias.index_select(-2, number)
        return change * self.is_size[size].any()


def decode_sizes(network, u, sizes):
    """Yield the outputs of a network's encoder and decoder for the first numbers of the code."""
    codes = network.encoder(u)
    for size in sizes:
        yield network.decoder(codes[..., :size])


def decode_by_parts(decoder, codes):
    """Return the outputs of a decoder with a linear path, and those of this path alone."""
    enter, residual = decoder
    z = enter(codes)
    linear = residual.linear(z)
    return linear + residual.correction(z), linear


class Mix(nn.Module):
    """A matrix, at first the identity, that is set and not trained.

    Parameters
    ----------
    n_components : int
    """

    def __init__(self, n_components):
        super().__init__()
        self.register_buffer("matrix", torch.eye(n_components, dtype=torch.float32))

    def forward(self, codes):
        """Map (..., n_components) to the same shape."""
        return codes @ self.matrix.T

    @torch.no_grad()
    def set_product(self, *factors):
        """Set the matrix to the product of two, arrays or tensors, computed in float64."""
        first, second = (torch.as_tensor(factor).double().cpu() for factor in factors)
        self.matrix.copy_(first @ second)


class KeepFirst(nn.Module):
    """The first numbers of a code, as many as `n_components`."""

    def __init__(self, n_components):
        super().__init__()
        self.n_components = n_components

    def forward(self, codes):
        """Map (n, n_ordered) to (n, n_components)."""
        return codes[..., : self.n_components]


class Bottleneck(nn.Module):
    """What orders a code: the decoder never knows more than its first numbers.

    In training each row comes several times, cut at random sizes or whole: nested dropout [1]_,
    with several sizes in each step as in matryoshka representations [2]_.

    Otherwise a code is cut where it ends. A decoder of ours is told where that is.

    Parameters
    ----------
    n_components : int
    tells : bool
        Whether each number is followed, in a second half, by a 1 if it is given and a 0 if not.

    Attributes
    ----------
    mix : Mix
        Undoes that of the encoder.
    n_used : tensor of int64 of shape (n_components,)
        For each size the numbers that are used: fewer, where these are better on new rows.

    References
    ----------
    .. [1] Rippel, Gelbart and Adams, "Learning ordered representations with nested dropout",
       ICML 2014.
    .. [2] Kusupati et al., "Matryoshka representation learning", NeurIPS 2022.
    """

    def __init__(self, n_components, tells):
        super().__init__()
        self.n_components = n_components
        self.tells = tells
        self.mix = Mix(n_components)
        numbers = torch.arange(n_components)
        self.register_buffer("numbers", numbers, persistent=False)
        self.register_buffer("n_used", numbers + 1)

    def forward(self, codes):
        """Map (..., n, n_given) to (..., n, n_components); in training to several times n rows."""
        n_given = codes.shape[-1]
        codes = self.mix(F.pad(codes, (0, self.n_components - n_given)))
        if self.training:
            sizes = self.draw_sizes(codes, n_given)
            codes = torch.cat([codes] * COPIES, dim=-2)
        else:
            sizes = self.n_used[n_given - 1]
        is_given = (self.numbers < sizes.unsqueeze(-1)).to(codes)
        codes = codes * is_given
        return torch.cat([codes, is_given.expand_as(codes)], dim=-1) if self.tells else codes

    def draw_sizes(self, codes, n_given):
        """Return the sizes at which copies of codes (..., n, n_given) are cut.

        Rows are in a random order and have the quantiles of the sizes in turn, so that every batch
        has its share of each size, and every row a smaller and a larger one.
        """
        n_cuts = COPIES * codes.shape[-2]
        rows = torch.arange(n_cuts, device=codes.device, dtype=torch.float32)
        quantiles = (rows + torch.rand(1, device=codes.device, dtype=torch.float32)) / n_cuts
        spread = math.log(1 + n_given / SMALL_SIZES) / (1 - SHARE_WHOLE)
        sizes = (quantiles * spread).expm1().mul(SMALL_SIZES).long() + 1
        return sizes.clamp(1, n_given)

    @torch.no_grad()
    def set_used(self, n_used):
        """Set the numbers that are used for the first sizes, an array of int."""
        self.n_used[: len(n_used)] = torch.as_tensor(n_used)


class Sampler(nn.Module):
    """The bottleneck of a variational autoencoder: draws a code from its distribution [1]_.

    In training every row has a draw of its own. Otherwise the draws come from a table, so that
    losses of the same rows compare.

    Parameters
    ----------
    n_components : int

    References
    ----------
    .. [1] Kingma and Welling, "Auto-encoding variational Bayes", ICLR 2014.
    """

    def __init__(self, n_components):
        super().__init__()
        self.n_components = n_components
        generator = torch.Generator("cpu").manual_seed(0)
        half = torch.randn(TABLE_ROWS // 2, n_components, generator=generator, dtype=torch.float32)
        table = torch.stack([half, -half], dim=1).flatten(0, 1)
        self.register_buffer("table", table, persistent=False)

    def forward(self, codes):
        """Map means and log-variances (..., 2 n_components) to draws; codes stay as they are."""
        if codes.shape[-1] == self.n_components:
            return codes
        mean, log_variance = codes.chunk(2, dim=-1)
        return torch.addcmul(mean, (log_variance / 2).exp(), self.draw(mean))

    def draw(self, mean):
        """Return numbers of a standard normal distribution in the shape of means."""
        if self.training:
            return torch.randn_like(mean)
        index = torch.arange(mean.shape[-2], device=mean.device) % TABLE_ROWS
        return self.table[index].to(mean)


class LimitSpread(nn.Module):
    """Keeps the variance of a code from exceeding that of the prior, 1.

    No row makes its code less certain than knowing nothing; a network that is wrong on a row far
    from all others would, by any factor.

    Parameters
    ----------
    n_components : int
    """

    def __init__(self, n_components):
        super().__init__()
        largest = torch.tensor([math.inf] * n_components + [0.0] * n_components)
        self.register_buffer("largest", largest.float(), persistent=False)

    def forward(self, codes):
        """Map means and log-variances (..., 2 n_components) to the same shape."""
        return codes.clamp(max=self.largest)


class VariationalDecoder(nn.Sequential):
    """The decoder of a variational autoencoder.

    Of a distribution of codes it returns all that the bound of the likelihood needs: the
    reconstruction of a draw, mean and log-variance, and the log-variance of the noise.

    Parameters
    ----------
    layers : iterable of torch.nn.Module
        The first one is a `Sampler`.

    Attributes
    ----------
    log_noise : tensor of shape ()
        Logarithm of the variance of the noise in u. It is set in closed form and not trained.
    """

    stacked_buffers = ("log_noise",)

    def __init__(self, *layers):
        super().__init__(*layers)
        self.register_buffer("log_noise", torch.zeros((), dtype=torch.float64))

    def forward(self, codes):
        """Map (..., n, n_components) to rows, or distributions of codes to more than that."""
        output = super().forward(codes)
        if codes.shape[-1] == self[0].n_components:
            return output
        log_noise = self.log_noise[..., None, None].expand(*codes.shape[:-1], 1)
        return torch.cat([output, codes, log_noise.to(output)], dim=-1)


class PreciseLinear(nn.Linear):
    """A linear layer that also has the digits of its weights that float32 rounds off.

    They count where float64 is computed in: the density of rows that nearly lie in a plane needs
    them.
    """

    def __init__(self, n_in, n_out, bias=True, device=None, dtype=None):
        super().__init__(n_in, n_out, bias=bias, device=device, dtype=dtype)
        self.register_buffer("rest", torch.zeros_like(self.weight, requires_grad=False))

    def forward(self, x):
        """Map (n, n_in) to (n, n_out)."""
        weight = self.weight + self.rest if x.dtype == torch.float64 else self.weight
        return F.linear(x, weight, self.bias)


class Scale(nn.Module):
    """Multiplication by a constant. It copies, so that networks which work in place do no harm."""

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


def make_zero_linear(n_in, n_out, has_bias, kind=nn.Linear):
    """Return a linear layer whose weights are zero."""
    layer = nn.utils.skip_init(kind, n_in, n_out, bias=has_bias, dtype=torch.float32)
    for tensor in (*layer.parameters(), *layer.buffers()):
        nn.init.zeros_(tensor)
    return layer


@torch.no_grad()
def set_weights(layer, weight, bias):
    """Set a layer's weight to an array (n_out, n_in) and its bias to one (n_out,) or None."""
    weight = torch.as_tensor(weight)
    layer.weight.copy_(weight.T if isinstance(layer, RowLinear) else weight)
    if isinstance(layer, PreciseLinear):
        layer.rest.copy_(weight - layer.weight)
    if bias is not None:
        layer.bias.copy_(torch.as_tensor(bias))


def make_dense_layers(widths, activation, output_activation, generator):
    """Return dense layers from widths[0] to widths[-1], with activations after each."""
    layers = []
    activations = [activation] * (len(widths) - 2) + [output_activation]
    for (n_in, n_out), name in zip(itertools.pairwise(widths), activations, strict=True):
        layer = nn.utils.skip_init(nn.Linear, n_in, n_out, dtype=torch.float32)
        layers += [draw_weights(layer, name, generator), *make_activation(name)]
    return nn.Sequential(*layers)


def make_convolution(n_in, n_out, activation, generator):
    """Return a 3-by-3 convolution that keeps the size of its images (n, n_in, height, width).

    Its weights, and thereby all later images, have their channels last in memory, which halves
    the time of a step on a CPU.
    """
    layer = nn.utils.skip_init(nn.Conv2d, n_in, n_out, 3, padding=1, dtype=torch.float32)
    return draw_weights(layer, activation, generator).to(memory_format=torch.channels_last)


def draw_weights(layer, activation, generator):
    """Return a layer after drawing its weights for the activation that follows it.

    They are drawn as He et al. (2015) do for activations that cut off the negative side, and as
    Glorot and Bengio (2010) do for the others; biases start at zero. The draws come from
    `generator`, never from torch's global one. Without a generator the weights stay undefined,
    to be loaded.
    """
    if generator is None:
        return layer
    if activation in ("relu", "gelu", "silu"):
        nn.init.kaiming_uniform_(layer.weight, nonlinearity="relu", generator=generator)
    else:
        nn.init.xavier_uniform_(layer.weight, generator=generator)
    nn.init.zeros_(layer.bias)
    return layer


def make_activation(activation):
    """Return a list with the layer of an activation, empty for "identity"."""
    return [] if activation == "identity" else [ACTIVATIONS[activation]()]


def compute_pooled_sizes(image_shape, n_blocks):
    """Return height and width before the first block and after each, halved and rounded up.

    Raises
    ------
    ValueError
        If a block would pool an image of a single pixel.
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


def call_factory(name, factory, n_in, n_out, generator):
    """Return factory(n_in, n_out) after a check that it maps (n, n_in) to (n, n_out).

    Its weights are drawn from torch's global generator, which is seeded from `generator` for
    this and restored afterwards.

    Parameters
    ----------
    name : {"encoder", "decoder"}
        For messages.
    factory : callable
    n_in, n_out : int
    generator : torch.Generator or None
        None for any seed.

    Raises
    ------
    TypeError
        If the factory does not return a module.
    ValueError
        If the module is not a new one, or if it does not return a float32 tensor (n, n_out).
    """
    call = f"{name}={factory!r}, called with ({n_in}, {n_out}),"
    generator = torch.Generator().manual_seed(0) if generator is None else generator
    with seed_torch(generator), torch.no_grad():
        try:
            module = factory(n_in, n_out)
            if isinstance(module, nn.Module):
                claim_parts(call, module.float())
                check_network(call, module, n_in, n_out)
        except Exception as error:
            error.add_note(f"The error came from {call} or from the network that it returned.")
            raise
    if not isinstance(module, nn.Module):
        raise TypeError(f"{call} must return a torch.nn.Module; got {module!r}.")
    return module


def claim_parts(call, network):
    """Register the parts of a new network, or raise a ValueError if another network has one."""
    parts = {"the network itself": network}
    for name, module in network.named_modules():
        if name and not is_stateless(module):
            parts[f"the module {name!r}"] = module
    tensors = {**dict(network.named_parameters()), **dict(network.named_buffers())}
    parts |= {f"the tensor {name!r}": tensor for name, tensor in tensors.items()}
    addresses = {name: get_address(part) for name, part in parts.items()}
    for name, address in addresses.items():
        # a tensor that was moved to a device since has left its address to others
        if address in IN_USE and get_address(IN_USE[address]) == address:
            raise ValueError(
                f"{call} must return a new network each time, but {name} is part of another one, "
                "and would be trained with both. Make it inside the factory, or return a copy: "
                "copy.deepcopy(network)."
            )
    IN_USE.update((addresses[name], part) for name, part in parts.items())


def is_stateless(module):
    """Tell whether networks may share a module: an activation of torch without parameters."""
    is_activation = type(module).__module__ == "torch.nn.modules.activation"
    has_tensors = any(True for _ in [*module.parameters(), *module.buffers()])
    return is_activation and not has_tensors and not isinstance(module, nn.RReLU)  # which draws


def get_address(part):
    """Return a key that identifies a module, or the memory of a tensor."""
    has_memory = not isinstance(part, nn.Module) and not nn.parameter.is_lazy(part)
    if not has_memory or part.layout != torch.strided or not part.numel():
        return "object", id(part)
    return "memory", part.untyped_storage().data_ptr()


def check_network(call, module, n_in, n_out):
    """Raise a ValueError if a module does not map (n, n_in) to (n, n_out); it stays unchanged."""
    n_rows = 3 if n_out != 3 else 4  # differs from n_out, so that transposed outputs are found
    rows = torch.randn(n_rows, n_in, dtype=torch.float32)
    outputs = [module.eval()(rows.clone())]
    state = {name: value.clone() for name, value in module.state_dict().items()}
    outputs.append(module.train()(rows.clone()))
    module.load_state_dict(state)  # batch normalisation has counted these rows
    for output in outputs:
        is_tensor = isinstance(output, torch.Tensor)
        got = f"{tuple(output.shape)} of {output.dtype}" if is_tensor else type(output).__name__
        if got != f"{(n_rows, n_out)} of {torch.float32}":
            raise ValueError(
                f"{call} must return a network from (n, {n_in}) to (n, {n_out}). For rows of "
                f"shape ({n_rows}, {n_in}) it should return a tensor of shape "
                f"({n_rows}, {n_out}) of {torch.float32}, but returned {got}."
            )


@torch.no_grad()
def measure_row_width(module, n_features, generator):
    """Return the largest number of values per row in any layer's output."""
    n_rows = 3
    sizes = [n_features]

    def note_size(*layer_inputs_output):
        outputs = layer_inputs_output[-1]
        for output in outputs if isinstance(outputs, tuple) else (outputs,):
            if isinstance(output, torch.Tensor) and output.shape[:1] == (n_rows,):
                sizes.append(output.numel() // n_rows)

    # scripted modules take no hooks
    layers = [layer for layer in module.modules() if not isinstance(layer, torch.jit.ScriptModule)]
    hooks = [layer.register_forward_hook(note_size) for layer in layers]
    try:
        with seed_torch(generator):
            module.eval()(torch.zeros(n_rows, n_features, dtype=torch.float32))
    finally:
        for hook in hooks:
            hook.remove()
    return max(sizes)


def make_coders(architecture, units, generator=None, start=None):
    """Return the encoder and the decoder of an architecture.

    Parameters
    ----------
    architecture : Architecture
    units : Units
    generator : torch.Generator or None, default=None
        Draws the weights. Without it they are undefined, for state that is loaded.
    start : LinearStart or None, default=None
        Weights of the linear path. Without it they are zero.
    """
    if architecture.linear_path is None:
        encoder = architecture.make_encoder(architecture.code_activation, generator)
        decoder = architecture.make_decoder(architecture.output_activation, generator)
        if architecture.is_variational:
            encoder.append(LimitSpread(architecture.n_components))
            decoder = VariationalDecoder(Sampler(architecture.n_components), *decoder)
    else:
        encoder, decoder = make_residual_coders(architecture, units, generator)
        if start is not None:
            set_start(encoder, decoder, start)
    if architecture.n_ordered is not None:
        add_bottleneck(encoder, decoder, architecture)
    if architecture.multiplies_sparsely:
        use_sparse_products(encoder)
    return encoder, decoder


def set_start(encoder, decoder, start):
    """Set the linear path of an encoder and a decoder to a `LinearStart`."""
    set_weights(encoder[0].linear, start.encoder, start.bias)
    layer = decoder[1].linear
    weight = torch.as_tensor(start.decoder)
    set_weights(layer, F.pad(weight, (0, layer.in_features - weight.shape[1])), start.decoder_bias)
    if start.noise is not None:
        decoder.log_noise.fill_(math.log(start.noise))


def add_bottleneck(encoder, decoder, architecture):
    """Make the code of an encoder and a decoder ordered."""
    n_components = architecture.n_ordered
    bottleneck = Bottleneck(n_components, tells=architecture.decoder is None)
    if architecture.linear_path is None:
        decoder.insert(0, bottleneck)
    else:
        decoder[0] = nn.Sequential(decoder[0], bottleneck)
    if architecture.code_activation == "identity":  # others have a range, which a mix would leave
        encoder.append(Mix(n_components))
    if architecture.n_components < n_components:
        encoder.append(KeepFirst(architecture.n_components))


def make_residual_coders(architecture, units, generator):
    """Return an encoder and a decoder with a linear path each, both of which return zeros."""
    path = architecture.linear_path
    n_outputs, n_components = architecture.n_outputs, architecture.code_width
    f = architecture.make_encoder("identity", generator)
    g = architecture.make_decoder("identity", generator)
    if architecture.encoder is None:
        zero_last_layer(f)
    else:
        f.append(Gain(architecture.encoder_width))
    # weights are drawn for inputs of unit variance, as u has; z / scale has that of code_rms²
    if architecture.decoder is None:
        zero_last_layer(g)
        with torch.no_grad():
            # what a decoder of an ordered code is told beside the numbers has no weight at first
            g[0].weight[:, n_components:] = 0
            g[0].weight.mul_(math.sqrt(architecture.decoder_width / n_components) / path.code_rms)
    else:
        g[0].factor = 1 / path.code_rms
        g.append(Gain(n_outputs))
    kind = PreciseLinear if architecture.is_variational else nn.Linear
    sizes = architecture.n_features, architecture.encoder_width
    encoding = make_zero_linear(*sizes, path.has_bias, kind)
    sizes = architecture.decoder_width, n_outputs
    decoding = make_zero_linear(*sizes, path.has_decoder_bias, kind)
    decoder = Residual(decoding, g)
    if architecture.solved_sizes:
        n_inputs = g[-1].in_features + architecture.decoder_width
        solved = SolvedLayers(architecture.solved_sizes, n_inputs, n_outputs)
        decoder = SizedResidual(decoding, g, solved)
    encoder = Residual(encoding, f)
    if architecture.is_variational:  # codes are in units of their prior
        sampler = Sampler(n_components)
        return nn.Sequential(encoder, LimitSpread(n_components)), VariationalDecoder(
            sampler, decoder
        )
    return (
        nn.Sequential(encoder, ScaleCodes(units)),
        nn.Sequential(UnscaleCodes(units), decoder),
    )


def zero_last_layer(network):
    """Set the weights of a network's last layer to zero."""
    *_, last = (layer for layer in network if hasattr(layer, "weight"))
    nn.init.zeros_(last.weight)


def use_sparse_products(network):
    """Replace the linear layers that see an encoder's input by layers with sparse products."""
    layers = list(network.named_children())
    for name, layer in layers if isinstance(network, Residual) else layers[:1]:
        if isinstance(layer, nn.Linear):
            setattr(network, name, RowLinear(layer))
        elif isinstance(layer, nn.Sequential | Residual):
            use_sparse_products(layer)
