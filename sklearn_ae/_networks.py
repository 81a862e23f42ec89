"""The networks: dense, convolutional and custom coders, each with an optional linear path.

With the linear path an autoencoder computes, for a standardised row u of shape (n_features,),

    code    z = scale · (W u + b + f(u))               (n_components,)
    output  û = V (z / scale) + c + g(z / scale)       (n_outputs,)

f and g are networks that return zero before training: the untrained autoencoder is linear. PCA
needs no b; only outputs that are logits need a c. `scale` puts codes into the units of X, as
PCA has them. The parts have names: `linear` is W or V, `correction` is f or g.
"""

import copy
import itertools
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from weakref import WeakValueDictionary

import torch
import torch.nn.functional as F
from torch import nn

from ._codes import CODES, Scale, change_child, change_copy
from ._extrapolation import LinearExtrapolation
from ._isolation import draw_torch_seed, seed_torch
from ._sparse import RowLinear

ACTIVATIONS = {
    "relu": nn.ReLU,
    "gelu": nn.GELU,
    "silu": nn.SiLU,
    "tanh": nn.Tanh,
    "logistic": nn.Sigmoid,
    "identity": nn.Identity,
}

DROPOUTS = nn.Dropout, nn.Dropout1d, nn.Dropout2d, nn.Dropout3d, nn.AlphaDropout

# Of the inputs of custom networks beside a linear path: torch draws small weights, with which
# activations hardly bend.
CUSTOM_FACTOR = 2.0

OUTPUT_RANGES = {"logistic": (0, 1), "tanh": (-1, 1), "relu": (0, math.inf)}

# Weights and biases of the first hidden layer are drawn from a range so many times as wide as
# otherwise: the units then bend where the codes are.
SPREAD = 2.0

# Modules, parameters and buffers of the networks that factories returned, by address. No two
# networks may share one.
IN_USE = WeakValueDictionary()


@dataclass(frozen=True)
class Architecture:
    """The layers of encoder and decoder; the decoder mirrors the encoder.

    Attributes
    ----------
    n_features, n_outputs : int
        Columns of what is encoded, and of what the decoder returns.
    n_components : int or float
        Columns of the codes; before the start also a share of the variance, from which the start
        finds their number.
    n_trained : int
        Components that the layers compute: those of an ordered code in training, of which the code
        may be the first.
    code : {"plain", "ordered", "gaussian"}
        The kind of code, a name in `CODES`.
    hidden_layer_sizes : sequence of (float, sequence of int)
        Widths of the dense layers between rows, or the last convolution, and code: for codes
        smaller than a limit, by ascending limits.
    activation : str
        Activation of the hidden layers and convolutions, a name in `ACTIVATIONS`.
    conv_filters : sequence of int
        Filters of the convolutional blocks in front of the dense layers.
    image_shape : (int, int, int) or None
        Channels, height and width of a row.
    encoder, decoder : callable (n_in, n_out) -> torch.nn.Module, or None
        Factories of networks to use in place of dense layers and convolutions.
    code_activation, output_activation : str
        Activations of code and output in a network without linear path.
    has_linear_path : bool
    has_bias, has_decoder_bias : bool, default=False
        Whether the linear path has a b, and a c.
    code_rms : float, default=1.0
        Root mean square of the codes W u + b at the start.
    multiplies_sparsely : bool, default=False
        Whether the first layers compute sparse products for sparse rows.
    solved_sizes : sequence of int, default=()
        Code sizes for which a last layer of the decoder may be solved.
    n_fill_factors : int, default=0
        Factors of the Gaussian by which missing values are filled; 0 if there are none.
    n_targets : int, default=0
        Columns that the decoder returns behind those of rows: labels, or numbers.
    has_box : bool, default=False
        Whether the range of the rows in training is known, beyond which the linear start goes on.
    """

    n_features: int
    n_outputs: int
    n_components: int | float
    n_trained: int
    code: str
    hidden_layer_sizes: Sequence
    activation: str
    conv_filters: Sequence
    image_shape: tuple | None
    encoder: Callable | None
    decoder: Callable | None
    code_activation: str
    output_activation: str
    has_linear_path: bool
    has_bias: bool = False
    has_decoder_bias: bool = False
    code_rms: float = 1.0
    multiplies_sparsely: bool = False
    solved_sizes: Sequence = ()
    n_fill_factors: int = 0
    n_targets: int = 0
    has_box: bool = False

    @property
    def widths(self):
        """Widths of the dense hidden layers of the encoder."""
        return next(list(w) for limit, w in self.hidden_layer_sizes if self.n_trained < limit)

    @property
    def is_custom(self):
        """Whether a network comes from a factory."""
        return self.encoder is not None or self.decoder is not None

    @property
    def stacks(self):
        """Whether all layers are linear or act element by element, so that networks stack."""
        return not self.is_custom and not self.conv_filters

    @property
    def encoder_width(self):
        """Values that the encoder's layers return for a row."""
        return self.n_trained * CODES[self.code].values_per_component

    @property
    def decoder_width(self):
        """Values that the first layer of the decoder takes for a row."""
        is_told = self.decoder is None
        return self.n_trained * (CODES[self.code].inputs_if_told if is_told else 1)

    def make_encoder(self, code_activation, generator):
        """Return a network from rows (n, n_features) to codes (n, encoder_width)."""
        if self.encoder is not None:
            sizes = self.n_features, self.encoder_width
            return call_factory("encoder", self.encoder, sizes, code_activation, generator)
        convolutions, n_dense = [], self.n_features
        if self.conv_filters:
            pooled = compute_pooled_sizes(self.image_shape, len(self.conv_filters))
            channels = [self.image_shape[0], *self.conv_filters]
            convolutions = [nn.Unflatten(1, self.image_shape)]
            for n_in, n_out in itertools.pairwise(channels):
                # (n, n_out, height / 2, width / 2), rounded up
                convolutions += [
                    *make_convolution(n_in, n_out, self.activation, generator),
                    nn.MaxPool2d(2, ceil_mode=True),
                ]
            convolutions.append(nn.Flatten())
            n_dense = channels[-1] * math.prod(pooled[-1])
        widths = [n_dense, *self.widths, self.encoder_width]
        dense = make_dense_layers(widths, self.activation, code_activation, generator)
        return nn.Sequential(*convolutions, *dense) if convolutions else dense

    def make_decoder(self, output_activation, generator):
        """Return a network from codes (n, decoder_width) to rows (n, n_outputs)."""
        if self.decoder is not None:
            sizes = self.decoder_width, self.n_outputs
            return call_factory("decoder", self.decoder, sizes, output_activation, generator)
        widths = [self.decoder_width, *self.widths[::-1]]
        if not self.conv_filters:
            widths.append(self.n_outputs + self.n_targets)
            return make_dense_layers(widths, self.activation, output_activation, generator)
        pooled = compute_pooled_sizes(self.image_shape, len(self.conv_filters))[::-1]
        _, height, width = self.image_shape
        channels = [*self.conv_filters[::-1], self.n_outputs // (height * width)]
        # the smallest images: (n, channels[0], height, width)
        smallest = (channels[0], *pooled[0])
        widths.append(math.prod(smallest))
        dense = make_dense_layers(widths, self.activation, self.activation, generator)
        layers = [*dense, nn.Unflatten(1, smallest)]
        for number, (n_in, n_out) in enumerate(itertools.pairwise(channels), 1):
            activation = output_activation if number == len(self.conv_filters) else self.activation
            # (n, n_out, *pooled[number])
            layers.append(nn.Upsample(pooled[number]))
            layers += make_convolution(n_in, n_out, activation, generator)
        return nn.Sequential(*layers, nn.Flatten())


class Encoder(nn.Module):
    """Maps standardised rows u to codes z.

    Parameters
    ----------
    linear : torch.nn.Module or None
        W u + b; None without a linear path.
    correction : torch.nn.Module
        f.
    end : torch.nn.Module
        What the code adds at the end.
    extrapolation : LinearExtrapolation or None, default=None
        For rows far from those of training; None without a linear path.
    """

    def __init__(self, linear, correction, end, extrapolation=None):
        super().__init__()
        self.linear = linear
        self.correction = correction
        self.end = end
        self.extrapolation = extrapolation

    def forward(self, u):
        """Map (..., n, n_features) to (..., n, n_components), or to what the code needs."""
        codes = self.compute_inside(u)
        if self.extrapolation is not None:
            codes = self.extrapolation(u, codes, self.compute_inside)
        return self.end(codes)

    def compute_inside(self, u):
        """Return (..., n, encoder_width) for rows like those of training."""
        codes = self.correction(u)
        return codes if self.linear is None else self.linear(u) + codes


class Decoder(nn.Module):
    """Maps codes z to standardised rows û, or to logits.

    Parameters
    ----------
    code : PlainCode
        What comes first.
    linear : torch.nn.Module or None
        V z + c; None without a linear path.
    correction : torch.nn.Module
        g.
    extrapolation : LinearExtrapolation or None, default=None
        For codes far from those of training; None without a linear path.

    Attributes
    ----------
    n_targets : int
        Columns behind those of rows, which only training needs.
    """

    n_targets = 0

    def __init__(self, code, linear, correction, extrapolation=None):
        super().__init__()
        self.code = code
        self.linear = linear
        self.correction = correction
        self.extrapolation = extrapolation

    @property
    def solved_layer(self):
        """The layer that a ridge regression solves; it has a weight and a bias."""
        return self.correction.last

    def forward(self, codes):
        """Map (..., n, n_components) to (..., n, n_outputs)."""
        z = self.code(codes)
        restored, _ = self.decode(z)
        if self.extrapolation is not None:
            restored = self.extrapolation(z, restored, lambda inside: self.decode(inside)[0])
        return restored[..., : -self.n_targets] if self.n_targets else restored

    def decode(self, z):
        """Return rows for what the code gives, and those of the linear path alone or None."""
        if self.linear is None:
            return self.correction(z), None
        linear, correction = self.linear(z), self.correction(z)
        # images, and rows of custom networks, have no targets: these are linear in the code then
        n_more = linear.shape[-1] - correction.shape[-1]
        correction = F.pad(correction, (0, n_more)) if n_more else correction
        return linear + correction, linear

    def truncate(self, code, n_solved):
        """Return this decoder with a truncated code and its first solved layers."""
        return change_child(self, "code", code)

    @torch.no_grad()
    def spread_hidden_units(self, generator):
        """Draw the first hidden layer of the correction from a wider range."""
        first = self.correction[0]
        first.weight.mul_(SPREAD)
        first.bias.uniform_(-SPREAD, SPREAD, generator=generator)

    def read_units(self, codes):
        """Yield, for each layer that is solved, its inputs and the rows of the linear path.

        Parameters
        ----------
        codes : tensor of shape (n, n_components)

        Yields
        ------
        hidden : tensor of shape (n, n_inputs)
        linear : tensor of shape (n, n_outputs)
        """
        z = self.code(codes)
        yield self.correction.compute_hidden(z), self.linear(z)

    @torch.no_grad()
    def forget_solution(self, is_solved=True):
        """Set the layer that a ridge regression has solved to zero, if it is solved."""
        if is_solved:
            self.solved_layer.weight.zero_()
            self.solved_layer.bias.zero_()

    @torch.no_grad()
    def set_solution(self, number, weight, bias):
        """Set the solved layer of a number to (n_outputs, n_inputs) and (n_outputs,)."""
        self.solved_layer.weight.copy_(weight)
        self.solved_layer.bias.copy_(bias)


class SizedDecoder(Decoder):
    """The decoder of an ordered code, with layers that are solved for the size of the code.

    Parameters
    ----------
    code, linear, correction, extrapolation
        As in `Decoder`.
    solved : SolvedLayers
    """

    def __init__(self, code, linear, correction, extrapolation, solved):
        super().__init__(code, linear, correction, extrapolation)
        self.solved = solved

    @property
    def solved_layer(self):
        return self.solved

    def truncate(self, code, n_solved):
        return change_child(super().truncate(code, n_solved), "solved", self.solved.keep(n_solved))

    def decode(self, z):
        """Return rows for what the code gives. In inference all rows have codes of one size."""
        # a trace is of rows, and would keep the answer for no rows
        if self.training or not (torch.jit.is_tracing() or z.shape[-2]):
            return super().decode(z)
        # the second half tells of each component whether it is given: (n_trained,)
        is_given = z[..., z.shape[-1] // 2 :].flatten(0, -2)[0]
        hidden, linear = self.correction.compute_hidden(z), self.linear(z)
        change = self.solved(torch.cat([hidden, z], dim=-1), is_given.sum().long())
        return linear + self.correction.last(hidden) + change, linear

    def forget_solution(self, is_solved=True):
        """Set the solved layers to zero: they do not fit hidden layers that are trained."""
        super().forget_solution()

    def read_units(self, codes):
        for size in self.solved.sizes:
            z = self.code(codes[..., :size])
            hidden = self.correction.compute_hidden(z)
            # V, too, is not the best for each size: what it takes is among the inputs,
            # (n, n_hidden + 2 n_trained)
            yield torch.cat([hidden, z], dim=-1), self.linear(z)

    @torch.no_grad()
    def set_solution(self, number, weight, bias):
        # what is solved is added to the layer that is trained
        last = self.correction.last
        self.solved.weight[number] = weight
        self.solved.weight[number][:, : last.in_features] -= last.weight
        self.solved.bias[number] = bias - last.bias


class SolvedLayers(nn.Module):
    """What solving its last layers in closed form adds to a trained decoder, by code sizes.

    The layers are linear in the hidden units and in what the decoder is given. They fit the hidden
    layers for which they were solved, and no others. Those that are not solved are zeros.

    Parameters
    ----------
    sizes : list of int
        Ascending.
    n_components : int
        The largest size of a code.
    n_inputs, n_outputs : int

    Attributes
    ----------
    weight : tensor of shape (n_sizes, n_outputs, n_inputs)
    bias : tensor of shape (n_sizes, n_outputs)
    """

    stacked_buffers = ("weight", "bias")

    def __init__(self, sizes, n_components, n_inputs, n_outputs):
        super().__init__()
        self.sizes = sizes
        self.register_buffer("weight", torch.zeros(len(sizes), n_outputs, n_inputs))
        self.register_buffer("bias", torch.zeros(len(sizes), n_outputs))
        # (n_components + 1, n_sizes)
        is_size = torch.arange(n_components + 1).unsqueeze(-1) == torch.tensor(sizes)
        self.register_buffer("is_size", is_size, persistent=False)

    def keep(self, n_sizes):
        """Return the layers of the first sizes, which share their tensors with these."""
        copy = change_copy(self, sizes=self.sizes[:n_sizes])
        copy._buffers = {
            "weight": self.weight[:n_sizes],
            "bias": self.bias[:n_sizes],
            "is_size": self.is_size[:, :n_sizes],
        }
        return copy

    def forward(self, x, size):
        """Map (..., n, n_inputs) to (..., n, n_outputs).

        Parameters
        ----------
        x : tensor
        size : tensor of int64, a single number
            The code size of all rows.
        """
        # without a condition on the size, so that it can be exported
        number = self.is_size[size].long().argmax().reshape(1)
        weight = self.weight.index_select(-3, number).squeeze(-3)
        change = x @ weight.mT + self.bias.index_select(-2, number)
        return change * self.is_size[size].any()


class DenseLayers(nn.Sequential):
    """Dense layers, of which the last linear one has the name `last`."""

    def compute_hidden(self, x):
        """Return what the last layer takes, if no activation follows it."""
        for layer in list(self)[:-1]:
            x = layer(x)
        return x


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
        # only likelihoods are computed in float64
        weight = self.weight + self.rest if x.dtype == torch.float64 else self.weight
        return F.linear(x, weight, self.bias)


class Change(nn.Module):
    """What training has changed in a network: its output minus that of a copy that stays.

    That is zero at first, and all weights of the network have a gradient.

    Parameters
    ----------
    network : torch.nn.Module
    """

    def __init__(self, network):
        super().__init__()
        self.network, self.start = network, copy.deepcopy(network).requires_grad_(False)
        # batch normalisation takes the same batches here, but what is dropped would differ
        for layer in self.start.modules():
            if isinstance(layer, DROPOUTS):
                layer.p = 0.0

    def forward(self, x):
        """Map x, of shape (n, n_in), to (n, n_out)."""
        start = self.start(x.clone())  # networks may work in place
        return self.network(x) - start


def make_zero_linear(n_in, n_out, has_bias, kind=nn.Linear):
    """Return a linear layer whose weights are zero."""
    layer = nn.utils.skip_init(kind, n_in, n_out, bias=has_bias)
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
    layers = DenseLayers()
    n_last = len(widths) - 2
    for number, (n_in, n_out) in enumerate(itertools.pairwise(widths)):
        name = output_activation if number == n_last else activation
        layer = draw_weights(nn.utils.skip_init(nn.Linear, n_in, n_out), name, generator)
        layers.add_module("last" if number == n_last else f"dense{number}", layer)
        for following in make_activation(name):
            layers.add_module(f"activation{number}", following)
    return layers


def make_convolution(n_in, n_out, activation, generator):
    """Return a 3-by-3 convolution that keeps the size of its images, and its activation, a list.

    Its weights, and thereby all later images, have their channels last in memory, which halves
    the time of a step on a CPU.
    """
    layer = nn.utils.skip_init(nn.Conv2d, n_in, n_out, 3, padding=1)
    layer = draw_weights(layer, activation, generator).to(memory_format=torch.channels_last)
    return [layer, *make_activation(activation)]


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


def call_factory(name, factory, sizes, activation, generator):
    """Return a network around factory(n_in, n_out), which must map (n, n_in) to (n, n_out).

    Its weights are drawn from torch's global generator, which is seeded from `generator` for
    this and restored afterwards.

    Parameters
    ----------
    name : {"encoder", "decoder"}
        For messages.
    factory : callable
    sizes : (int, int)
        n_in and n_out.
    activation : str
        That follows the network.
    generator : torch.Generator or None
        None for any seed.

    Returns
    -------
    network : torch.nn.Sequential
        A `Scale` by 1, the module, and the activation.

    Raises
    ------
    TypeError
        If the factory does not return a module.
    ValueError
        If the module is not a new one, or if it does not return a float32 tensor (n, n_out).
    """
    call = f"{name}={factory!r}, called with {sizes},"
    generator = torch.Generator().manual_seed(0) if generator is None else generator
    with seed_torch(draw_torch_seed(generator)), torch.no_grad():
        try:
            module = factory(*sizes)
            if isinstance(module, nn.Module):
                claim_parts(call, module.float())
                check_network(call, module, *sizes)
        except Exception as error:
            error.add_note(f"The error came from {call} or from the network that it returned.")
            raise
    if not isinstance(module, nn.Module):
        raise TypeError(f"{call} must return a torch.nn.Module; got {module!r}.")
    return nn.Sequential(Scale(1.0), module, *make_activation(activation))


def claim_parts(call, network):
    """Register the parts of a new network, or raise a ValueError if another network has one."""
    parts = {"the network itself": network}
    for name, module in network.named_modules():
        # networks may share an activation without parameters, unless it draws random numbers
        is_activation = type(module).__module__ == "torch.nn.modules.activation"
        has_tensors = any(True for _ in [*module.parameters(), *module.buffers()])
        is_shared = is_activation and not has_tensors and not isinstance(module, nn.RReLU)
        if name and not is_shared:
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


def get_address(part):
    """Return a key that identifies a module, or the memory of a tensor."""
    has_memory = not isinstance(part, nn.Module) and not nn.parameter.is_lazy(part)
    if not has_memory or part.layout != torch.strided or not part.numel():
        return "object", id(part)
    return "memory", part.untyped_storage().data_ptr()


def check_network(call, module, n_in, n_out):
    """Raise a ValueError if a module does not map (n, n_in) to (n, n_out); it stays unchanged."""
    # another number of rows than n_out, so that transposed outputs are found
    n_rows = 3 if n_out != 3 else 4
    rows = torch.randn(n_rows, n_in)
    outputs = [module.eval()(rows.clone())]
    # in training, batch normalisation counts these rows
    state = {name: value.clone() for name, value in module.state_dict().items()}
    outputs.append(module.train()(rows.clone()))
    module.load_state_dict(state)
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
        with seed_torch(draw_torch_seed(generator)):
            module.eval()(torch.zeros(n_rows, n_features))
    finally:
        for hook in hooks:
            hook.remove()
    return max(sizes)


def make_coders(architecture, scale, generator=None):
    """Return the encoder and the decoder of an architecture, whose linear path is zero.

    Parameters
    ----------
    architecture : Architecture
    scale : float
        Of the units of X, which codes of a linear path have.
    generator : torch.Generator or None, default=None
        Draws the weights. Without it they are undefined, for state that is loaded.
    """
    code = CODES[architecture.code](
        architecture.n_components,
        scale if architecture.has_linear_path else 1.0,
        architecture.n_trained,
        tells=architecture.decoder is None,
        # squashed codes have a range, which a mix of them would leave
        mixes=architecture.code_activation == "identity",
    )
    if architecture.has_linear_path:
        encoder, decoder = make_residual_coders(architecture, code, generator)
    else:
        f = architecture.make_encoder(architecture.code_activation, generator)
        g = architecture.make_decoder(architecture.output_activation, generator)
        encoder, decoder = Encoder(None, f, code.make_end()), Decoder(code, None, g)
    decoder.n_targets = architecture.n_targets
    if architecture.multiplies_sparsely:
        use_sparse_products(encoder)
    return encoder, decoder


def make_residual_coders(architecture, code, generator):
    """Return an encoder and a decoder with a linear path each, both of which return zeros."""
    n_trained, n_outputs = architecture.n_trained, architecture.n_outputs
    n_decoded_to = n_outputs + architecture.n_targets
    n_encoded, n_decoded = architecture.encoder_width, architecture.decoder_width
    f = architecture.make_encoder("identity", generator)
    g = architecture.make_decoder("identity", generator)
    if architecture.encoder is None:
        zero_last_layer(f)
    else:
        f[0].factor, f[1] = CUSTOM_FACTOR, Change(f[1])
    # weights are drawn for inputs of unit variance, as u has; z / scale has that of code_rms²
    if architecture.decoder is None:
        zero_last_layer(g)
        with torch.no_grad():
            # what the decoder is told beside the components has no weight at first
            g[0].weight[:, n_trained:] = 0
            g[0].weight.mul_(math.sqrt(n_decoded / n_trained) / architecture.code_rms)
    else:
        g[0].factor, g[1] = CUSTOM_FACTOR / architecture.code_rms, Change(g[1])
    # float32 is too coarse for the density of rows that nearly lie in a plane
    kind = PreciseLinear if architecture.code == "gaussian" else nn.Linear
    paths, extrapolations = [], []
    for n_in, n_out, has_bias, fades in (
        (architecture.n_features, n_encoded, architecture.has_bias, False),
        (n_decoded, n_decoded_to, architecture.has_decoder_bias, True),
    ):
        path, start = (make_zero_linear(n_in, n_out, has_bias, kind) for _ in range(2))
        paths.append(path)
        extrapolations.append(LinearExtrapolation(start, n_in, fades, architecture.has_box))
    encoder = Encoder(paths[0], f, code.make_end(), extrapolations[0])
    if not architecture.solved_sizes:
        return encoder, Decoder(code, paths[1], g, extrapolations[1])
    n_inputs = g.last.in_features + n_decoded
    sizes, n_trained = architecture.solved_sizes, architecture.n_trained
    solved = SolvedLayers(sizes, n_trained, n_inputs, n_decoded_to)
    return encoder, SizedDecoder(code, paths[1], g, extrapolations[1], solved)


def set_start(encoder, decoder, start):
    """Set the linear path of an encoder and a decoder, and the noise, to a `LinearStart`."""
    weight = torch.as_tensor(start.decoder)  # (n_outputs, n_components)
    weight = F.pad(weight, (0, decoder.linear.in_features - weight.shape[1]))
    for layer in (encoder.linear, encoder.extrapolation.start):
        set_weights(layer, start.encoder, start.bias)
    for layer in (decoder.linear, decoder.extrapolation.start):
        set_weights(layer, weight, start.decoder_bias)
    if start.noise is not None:
        decoder.code.log_noise.fill_(math.log(start.noise))


def zero_last_layer(network):
    """Set the weights of a network's last layer to zero."""
    *_, last = (layer for layer in network if isinstance(layer, nn.Linear | nn.Conv2d))
    nn.init.zeros_(last.weight)


def use_sparse_products(encoder):
    """Replace the linear layers that see an encoder's input by layers with sparse products."""
    if isinstance(encoder.linear, nn.Linear):
        encoder.linear = RowLinear(encoder.linear)
    name, first = next(encoder.correction.named_children())
    if isinstance(first, nn.Linear):
        setattr(encoder.correction, name, RowLinear(first))
