"""All choices of a fit, made once from the parameters and the shape of X, or the error."""

import math
from collections.abc import Callable
from dataclasses import dataclass, replace
from inspect import signature
from numbers import Integral, Real
from types import SimpleNamespace

import numpy as np
import torch

from ._callbacks import MissingObject, check_callbacks, check_importable, list_callbacks
from ._compat import Interval, InvalidParameterError, Options, RealNotInt, StrOptions
from ._evidence import HELD_OUT
from ._images import check_image_shape
from ._losses import LOSSES
from ._missing import MAX_DENSE, MAX_DENSE_UNTRAINED, MAX_ROWS, MAX_ROWS_UNTRAINED
from ._networks import (
    ACTIVATIONS,
    OUTPUT_RANGES,
    Architecture,
    compute_pooled_sizes,
    list_powers,
)
from ._training import LINEAR_PATH_WITHOUT_DECAY, OPTIMIZERS, SCHEDULES
from ._units import Units
from .corruption import _check_corruption

HIDDEN_RATE = 0.1  # of the entries, to train an imputer where none is missing

MAX_FEATURES_FOR_FOLDS = 1_000  # several networks of more would take too long

# From this code size on, a second hidden layer still lowers the reconstruction error, but
# classifiers are less accurate on its codes.
ONE_LAYER_FROM = 8

# At the linear start the encoder's gradient is a rounding error. Adam divides gradients by their
# size, and would make steps of full length of these errors, unless eps is larger. Gradients of a
# mean over the features are inversely proportional to their number.
SMALL_GRADIENT = 1e-3

# Of an ordered code, whose sizes leave little of the noise of small batches and of overfitting.
ORDERED_WIDTH = 256  # at least
ORDERED_SHARE_OF_STEPS = 0.75
ORDERED_MIN_BATCH = 256
ORDERED_DECAY = 0.1

# Of the last layers of an ordered code: the rows for which each size has one, and all weights.
MAX_SOLVED_ROWS = 100_000
MAX_SOLVED_WEIGHTS = 2**24

ROUNDING = 1e-6  # beyond the range of an output, in X

# What scikit-learn checks of each parameter before anything else.
CONSTRAINTS = {
    "n_components": [
        Interval(Integral, 1, None, closed="left"),
        Interval(RealNotInt, 0, 1, closed="neither"),
        None,
    ],
    "hidden_layer_sizes": [
        StrOptions({"auto"}),
        "array-like",
        Interval(Integral, 1, None, closed="left"),
    ],
    "activation": [StrOptions(set(ACTIVATIONS))],
    "code_activation": [StrOptions(set(ACTIVATIONS))],
    "output_activation": [StrOptions({"identity", "logistic", "tanh", "relu"})],
    "conv_filters": ["array-like", Interval(Integral, 1, None, closed="left")],
    "image_shape": ["array-like", None],
    "encoder": [callable, None],
    "decoder": [callable, None],
    "init": [StrOptions({"auto", "linear", "random"})],
    "loss": [StrOptions(set(LOSSES))],
    "optimizer": [StrOptions(set(OPTIMIZERS)), callable],
    "linear_weight": [StrOptions({"auto"}), Interval(Real, 0, None, closed="left")],
    "learning_rate": [Interval(Real, 0, None, closed="neither")],
    "schedule": [StrOptions(set(SCHEDULES))],
    "weight_decay": [StrOptions({"auto"}), Interval(Real, 0, None, closed="left")],
    "batch_size": [StrOptions({"auto"}), Interval(Integral, 1, None, closed="left")],
    "max_epochs": [StrOptions({"auto"}), Interval(Integral, 0, None, closed="left")],
    "ordered": ["boolean"],
    "early_stopping": ["boolean"],
    "validation_fraction": [StrOptions({"auto"}), Interval(Real, 0, 1, closed="neither")],
    "n_iter_no_change": [Interval(Integral, 1, None, closed="left")],
    "tol": [Interval(Real, 0, None, closed="left")],
    "clip": ["boolean"],
    "warm_start": ["boolean"],
    "device": [str, torch.device],
    "precision": [StrOptions({"float32", "bfloat16"})],
    "data_parallel": ["boolean"],
    "random_state": ["random_state"],
    "verbose": [Options(Integral, {0, 1, 2})],
    "net_params": [dict, None],
}

# The parameter of the estimator to use instead of a key of net_params.
OWN_NET_PARAMS = {
    "module": "encoder",
    "criterion": "loss",
    "optimizer": "optimizer",
    "optimizer__lr": "learning_rate",
    "optimizer__weight_decay": "weight_decay",
    "lr": "learning_rate",
    "schedule": "schedule",
    "max_epochs": "max_epochs",
    "batch_size": "batch_size",
    "train_split": "validation_fraction",
    "n_iter_no_change": "n_iter_no_change",
    "tol": "tol",
    "keep_start": "init",
    "precision": "precision",
    "warm_start": "warm_start",
    "device": "device",
    "verbose": "verbose",
}

# Why other parameters of skorch's NeuralNet are refused, and what to do instead.
UNUSED_NET_PARAMS = {
    "dataset": "it would have no effect, because the rows of X are read otherwise",
    "iterator_train": "it would have no effect, because batches are cut otherwise; use batch_size",
    "iterator_valid": "it would have no effect, because batches are cut otherwise; use batch_size",
    "predict_nonlinearity": "it would have no effect; transform what reconstruct returns",
    "use_caching": "it would have no effect; set it for a callback, as in EpochScoring",
    "torch_load_kwargs": "it would have no effect; save and load the estimator",
    "compile": "it is not supported, because compiled networks cannot be copied; compile encoder_ "
    "and decoder_ after fit",
}

# Parameters that are copied into the plan unchanged.
UNCHANGED = (
    *("ordered", "activation", "encoder", "decoder", "code_activation"),
    *("loss", "clip", "optimizer", "learning_rate", "schedule", "precision"),
    *("early_stopping", "n_iter_no_change", "tol"),
    *("data_parallel", "verbose", "net_params"),
)

# Choices that must stay when a network is trained further.
NETWORK_CHOICES = (
    "is_paired",
    "n_outputs",
    "n_components",
    "ordered",
    "hidden_layer_sizes",
    "activation",
    "conv_filters",
    "image_shape",
    "encoder",
    "decoder",
    "code_activation",
    "output_activation",
    "has_linear_path",
    "has_logits",
)
# What users know these choices by, in messages.
PARAMETERS = {
    "has_linear_path": "init",
    "has_logits": "loss",
    "is_paired": "kind of rows: pairs stay pairs, and others have no X_clean",
    "n_outputs": "number of columns of X_clean",
}


@dataclass(frozen=True)
class Defaults:
    """What "auto" means for an estimator.

    Attributes
    ----------
    max_rows : float
        Of the tables that these values are for.
    max_steps : int
        Of the optimizer, with automatic batch size and epochs.
    hidden_layer_sizes : tuple of (float, tuple of int)
        Widths for codes smaller than a limit, by ascending limits.
    linear_weight : float
    cross_fits : bool
        Whether a share held out would prove too little.
    """

    max_rows: float
    max_steps: int
    hidden_layer_sizes: tuple
    linear_weight: float = 0.0
    cross_fits: bool = False

    def adapt_to_order(self):
        """Return the defaults for an ordered code: one network does the work of many.

        Its first layer is wide for any size, and its second as wide. Large tables need fewer
        steps, each of which decodes every row several times.
        """
        (_, (width, *_)), *_ = self.hidden_layer_sizes
        width = max(width, ORDERED_WIDTH)
        n_steps = self.max_steps if self.cross_fits else ORDERED_SHARE_OF_STEPS * self.max_steps
        return replace(
            self, max_steps=int(n_steps), hidden_layer_sizes=((math.inf, (width, width)),)
        )


@dataclass(frozen=True)
class Plan:
    """All choices of a fit.

    Attributes
    ----------
    n_samples, n_features : int
    n_outputs : int
        Columns of what the decoder returns: those of X, or of the clean rows of pairs.
    is_paired : bool
        Whether rows are pairs of a damaged and a clean one.
    n_components : int or float
        A float is a share of the variance, for which the start finds the number.
    hidden_layer_sizes : tuple of (float, tuple of int)
        As in `Defaults`; a single pair where the user has set the widths.
    has_automatic_widths : bool
    has_linear_path : bool
    has_correction : bool
        Whether the start has the correction in closed form.
    solves_last_layer : bool
        Whether the decoder's last layer can be solved in closed form, at the start and after
        training.
    has_logits : bool
        Whether the decoder returns logits of X.
    standardizes : bool
        Whether the networks see X centred and scaled, or X itself. A squashing output has
        a fixed range, so its network works in units of X.
    optimizer : str or subclass of torch.optim.Optimizer
    optimizer_options : dict
        Beside the learning rate.
    max_epochs, batch_size : int
    validation_fraction : float or None
        None for cross-fitting.
    device : str
    corruption : tuple (corruption, level, range) or None
    beta : float or None
        Weight of the divergence of a variational autoencoder; None for other autoencoders.
    missing_rate : float
        Share of the entries of X that are missing.
    scores_hidden : bool
        Whether the loss counts only entries that were hidden from the network.
    and the parameters of the estimators of the same names
    """

    n_samples: int
    n_features: int
    n_outputs: int
    is_paired: bool
    n_components: int | float
    ordered: bool
    hidden_layer_sizes: tuple
    has_automatic_widths: bool
    activation: str
    conv_filters: tuple
    image_shape: tuple | None
    encoder: Callable | None
    decoder: Callable | None
    code_activation: str
    output_activation: str
    has_linear_path: bool
    has_correction: bool
    solves_last_layer: bool
    has_logits: bool
    standardizes: bool
    loss: str
    clip: bool
    optimizer: str | type
    optimizer_options: dict
    learning_rate: float
    linear_weight: float
    schedule: str
    batch_size: int
    max_epochs: int
    early_stopping: bool
    validation_fraction: float | None
    n_iter_no_change: int
    tol: float
    precision: str
    device: str
    data_parallel: bool
    verbose: int
    net_params: dict | None
    corruption: tuple | None
    beta: float | None = None
    missing_rate: float = 0.0
    scores_hidden: bool = False

    def make_architecture(self, n_components, linear_path, multiplies_sparsely, n_fill_factors=0):
        """Return the architecture for a code size that is known by now.

        Parameters
        ----------
        n_components : int
        linear_path : LinearPath or None
        multiplies_sparsely : bool
        n_fill_factors : int, default=0
        """
        widths = next(w for limit, w in self.hidden_layer_sizes if n_components < limit)
        return Architecture(
            n_features=self.n_features,
            n_outputs=self.n_outputs,
            n_components=n_components,
            n_ordered=n_components if self.ordered else None,
            hidden_layer_sizes=list(widths),
            activation=self.activation,
            conv_filters=list(self.conv_filters),
            image_shape=self.image_shape,
            encoder=self.encoder,
            decoder=self.decoder,
            code_activation=self.code_activation,
            output_activation=self.output_activation,
            linear_path=linear_path,
            multiplies_sparsely=multiplies_sparsely,
            solved_sizes=self.list_solved_sizes(n_components, max(widths, default=0)),
            is_variational=self.beta is not None,
            n_fill_factors=n_fill_factors,
        )

    def list_solved_sizes(self, n_components, n_hidden):
        """Return the sizes of an ordered code for which a last layer of the decoder is solved."""
        is_judged = self.early_stopping or self.max_epochs == 0
        if not (self.ordered and self.solves_last_layer and is_judged):
            return []
        sizes = list_powers(n_components)
        if n_components * self.n_samples <= MAX_SOLVED_ROWS:
            sizes = [*range(1, n_components + 1)]
        return sizes if len(sizes) * n_hidden * self.n_outputs <= MAX_SOLVED_WEIGHTS else []

    def note_missing(self, moments):
        """Return this plan with the share of missing entries of rows of some `Moments`."""
        if isinstance(moments.n_rows, int):
            return replace(self, missing_rate=HIDDEN_RATE) if self.scores_hidden else self
        share = float(moments.n_rows.mean()) / self.n_samples
        return replace(self, missing_rate=1 - share)

    def choose_fill_limits(self):
        """Return how many rows and features the covariance that fills holes may have."""
        if not self.scores_hidden or self.max_epochs or self.n_features <= MAX_DENSE:
            return MAX_ROWS, MAX_DENSE
        return MAX_ROWS_UNTRAINED, MAX_DENSE_UNTRAINED

    def make_units(self, moments, dtype):
        """Return the units for rows of some `Moments`, read in a dtype of torch."""
        options = {"standardizes": self.standardizes, "has_logits": self.has_logits}
        return Units.from_moments(moments, dtype, **options)

    def check_range(self, low, high):
        """Raise a ValueError if the network cannot return X, with values from low to high."""
        activation = "logistic" if self.has_logits else self.output_activation
        least, most = OUTPUT_RANGES.get(activation, (-math.inf, math.inf))
        # scaled numbers may be beyond a bound by rounding, as MinMaxScaler's are
        if low >= least - ROUNDING and high <= most + ROUNDING:
            return
        if self.has_logits:
            raise ValueError(
                f"loss='binary_cross_entropy' needs X in [0, 1]; got values from {low!r} to "
                f"{high!r}. Scale X, e.g. with MinMaxScaler, or use another loss."
            )
        raise ValueError(
            f"output_activation={self.output_activation!r} returns values from {least} to "
            f"{most}, but X has values from {low!r} to {high!r}. Scale X, e.g. with "
            "MinMaxScaler, or use output_activation='identity'."
        )

    def make_importable(self, net_params):
        """Return this plan, with other net_params if those of the fit could not be imported.

        Raises
        ------
        ImportError
            If these or the optimizer could not be imported either.
        """
        plan = self
        if any(isinstance(c, MissingObject) for c in list_callbacks(self.net_params)):
            plan = replace(self, net_params=net_params)
        for callback in list_callbacks(plan.net_params):
            check_importable({"net_params": callback})
        check_importable({"optimizer": plan.optimizer})
        return plan

    def continue_from(self, earlier, linear_weight):
        """Return this plan for a start at the earlier network.

        The earlier weight of the linear path stays if the new one is "auto".

        Raises
        ------
        ValueError
            If this plan cannot train the network of the earlier one further.
        """
        self.check_continues(earlier)
        weight = earlier.linear_weight if linear_weight == "auto" else self.linear_weight
        return replace(self, linear_weight=weight, has_correction=False)

    def keep_net(self, earlier):
        """Return this plan with the choices of an earlier one that its net keeps."""
        names = ("optimizer", "optimizer_options", "batch_size", "verbose", "net_params")
        return replace(self, **{name: getattr(earlier, name) for name in names})

    def check_continues(self, earlier):
        """Raise a ValueError if this plan cannot train the network of an earlier one further."""
        # automatic widths depend on the number of rows; those of the earlier fit stay
        are_automatic = self.has_automatic_widths and earlier.has_automatic_widths
        for name in NETWORK_CHOICES:
            if name == "hidden_layer_sizes" and are_automatic:
                continue
            if getattr(self, name) != getattr(earlier, name):
                raise ValueError(
                    "The network of the last fit cannot be trained further with another "
                    f"{PARAMETERS.get(name, name)}. Set it back, or fit with warm_start=False."
                )


def make_plan(
    estimator_name, params, defaults, n_samples, n_features, is_chunk=False, n_outputs=None
):
    """Return the plan of a fit.

    Parameters
    ----------
    estimator_name : str
        For messages.
    params : dict
        Parameters of the estimator, already checked against their constraints.
    defaults : tuple of Defaults
        By ascending `max_rows`.
    n_samples, n_features : int
    is_chunk : bool, default=False
        Whether the rows are a chunk of more.
    n_outputs : int, default=None
        Columns of the clean rows of pairs; None if rows are no pairs.

    Raises
    ------
    InvalidParameterError
        If a parameter is outside its range.
    ValueError
        If parameters contradict each other, the shape of X or this machine.
    """
    p = SimpleNamespace(**params)
    is_paired, n_outputs = n_outputs is not None, n_outputs or n_features
    check_objects(p, estimator_name)
    conv_filters = resolve_widths(p.conv_filters, "conv_filters", estimator_name)
    has_logits = p.loss == "binary_cross_entropy"
    output_activation = resolve_output_activation(p)
    has_linear_path = resolve_linear_path(p, output_activation)
    defaults = choose_defaults(p, defaults, n_samples, n_features, has_linear_path and not is_chunk)
    batch_size = resolve_batch_size(p, n_samples, defaults.max_steps)
    return Plan(
        **{name: params[name] for name in UNCHANGED},
        n_samples=n_samples,
        n_features=n_features,
        n_outputs=n_outputs,
        is_paired=is_paired,
        n_components=min(32, n_features) if p.n_components is None else p.n_components,
        hidden_layer_sizes=resolve_hidden_layers(p, defaults, estimator_name),
        has_automatic_widths=isinstance(p.hidden_layer_sizes, str),
        conv_filters=conv_filters,
        image_shape=resolve_image_shape(p, len(conv_filters), n_features, n_outputs),
        output_activation=output_activation,
        has_linear_path=has_linear_path,
        has_correction=has_linear_path and resolve_correction(p, defaults, is_paired),
        solves_last_layer=has_linear_path and can_solve_last_layer(p),
        has_logits=has_logits,
        standardizes=has_linear_path or (p.output_activation == "identity" and not has_logits),
        optimizer_options=resolve_options(p, n_samples, n_outputs, has_linear_path, estimator_name),
        linear_weight=resolve_linear_weight(p, defaults, has_linear_path),
        batch_size=batch_size,
        max_epochs=resolve_epochs(p, n_samples, n_features, batch_size, defaults.max_steps),
        validation_fraction=resolve_validation_fraction(p, defaults, n_samples),
        device=choose_device(p, estimator_name),
        corruption=resolve_corruption(p, is_paired),
        beta=getattr(p, "beta", None),
        scores_hidden=getattr(p, "scores_hidden", False),
    )


def check_objects(p, estimator_name):
    """Refuse objects that are missing, and those that are not what they should be."""
    check_importable(vars(p))
    check_factories(p, estimator_name)
    check_net_params(p, estimator_name)


def check_factories(p, estimator_name):
    """Refuse modules where their factories are expected."""
    for name in ("encoder", "decoder"):
        factory = getattr(p, name)
        if isinstance(factory, torch.nn.Module):
            raise InvalidParameterError(
                f"The {name!r} parameter of {estimator_name} must be a factory, a "
                "callable that returns a new torch.nn.Module, or None; got a module, whose "
                f"weights all copies of the estimator would share. Pass its class, a function "
                f"or functools.partial. Got {factory!r} instead."
            )


def check_net_params(p, estimator_name):
    """Refuse keys of net_params that would have no effect, or that a parameter stands for."""
    for key in p.net_params or {}:
        if not isinstance(key, str):
            raise InvalidParameterError(
                f"The keys of net_params of {estimator_name} must be str. Got {key!r} instead."
            )
        part = key.split("__")[0]
        own = OWN_NET_PARAMS.get(key if part == "optimizer" else part)
        if own is not None:
            raise ValueError(
                f"net_params may not set {key!r}: use the parameter {own!r} of {estimator_name}."
            )
        if part not in ("optimizer", "callbacks"):
            why = UNUSED_NET_PARAMS.get(part, "skorch's NeuralNet has no such parameter")
            raise ValueError(
                f"net_params may not set {key!r}: {why}. It may set 'callbacks', 'callbacks__...' "
                "and 'optimizer__...'."
            )
    check_callbacks(p.net_params, p.schedule, p.verbose)


def resolve_widths(sizes, name, estimator_name):
    """Return `hidden_layer_sizes` or `conv_filters` as a tuple of int."""
    widths = [sizes] if isinstance(sizes, Integral) else list(sizes)
    if not all(isinstance(width, Integral) and width >= 1 for width in widths):
        raise InvalidParameterError(
            f"The {name!r} parameter of {estimator_name} must be an int or a "
            f"sequence of ints, all at least 1. Got {sizes!r} instead."
        )
    return tuple(int(width) for width in widths)


def resolve_hidden_layers(p, defaults, estimator_name):
    """Return the widths of the hidden layers by code sizes."""
    if isinstance(p.hidden_layer_sizes, str):  # "auto"
        return defaults.hidden_layer_sizes
    widths = resolve_widths(p.hidden_layer_sizes, "hidden_layer_sizes", estimator_name)
    return ((math.inf, widths),)


def resolve_image_shape(p, n_blocks, n_features, n_outputs):
    """Return `image_shape` for rows of n_features, or None where there is none.

    Those of n_outputs may have another number of channels.
    """
    if p.image_shape is None:
        if n_blocks and None in (p.encoder, p.decoder):
            raise ValueError(
                f"conv_filters={p.conv_filters!r} needs image_shape=(channels, height, "
                f"width) with channels · height · width = {n_features}, the number of features."
            )
        return None
    image_shape = check_image_shape(p.image_shape, n_features)
    compute_pooled_sizes(image_shape, n_blocks)
    _, height, width = image_shape
    if n_blocks and p.decoder is None and n_outputs % (height * width):
        raise ValueError(
            f"image_shape={p.image_shape!r} means images of {height} x {width} pixels, and the "
            f"{n_outputs} columns of X_clean are no whole number of channels of that size."
        )
    return image_shape


def resolve_output_activation(p):
    """Return the activation after the decoder's last layer."""
    if p.loss != "binary_cross_entropy":
        return p.output_activation
    if p.output_activation not in ("identity", "logistic"):
        raise ValueError(
            "loss='binary_cross_entropy' takes the decoder's output for a logit and applies "
            f"the logistic function itself; got output_activation={p.output_activation!r}. "
            "Use 'identity' or 'logistic'."
        )
    return "identity"


def resolve_linear_path(p, output_activation):
    """Return whether the network has the linear path."""
    activations = {"code_activation": p.code_activation, "output_activation": output_activation}
    obstacles = [f"{name}={a!r}" for name, a in activations.items() if a != "identity"]
    has_logits = p.loss == "binary_cross_entropy"
    squashed = [*obstacles, "loss='binary_cross_entropy'"] if has_logits else obstacles
    if p.init == "linear" and squashed:
        raise ValueError(
            "init='linear' needs the code and the output to be linear and the loss in "
            f"units of X; got {', '.join(squashed)}. Use init='auto' or 'random'."
        )
    return p.init != "random" and not obstacles


def resolve_correction(p, defaults, is_paired):
    """Return whether to start with the correction, where there is a linear path."""
    # With many rows, features that are learnt are better than random ones. Pairs are an exception:
    # each row is damaged once and for all, and a trained network may not beat the regression.
    helps = p.max_epochs == 0 or (p.early_stopping and (defaults.cross_fits or is_paired))
    return helps and can_solve_last_layer(p)


def can_solve_last_layer(p):
    """Return whether the decoder's last layer has a closed form, where there is a linear path."""
    has_hidden_units = np.size(p.hidden_layer_sizes) > 0
    is_dense = p.decoder is None and np.size(p.conv_filters) == 0 and has_hidden_units
    has_mean_squares = p.loss != "binary_cross_entropy"
    return p.init == "auto" and is_dense and has_mean_squares


def choose_defaults(p, defaults, n_samples, n_features, can_be_small):
    """Return the `Defaults` for a table.

    Those for few rows are for networks with a linear path, whose start training must beat.
    """
    found = defaults[-1]
    if can_be_small and n_features <= MAX_FEATURES_FOR_FOLDS:
        found = next(values for values in defaults if n_samples <= values.max_rows)
    return found.adapt_to_order() if p.ordered else found


def resolve_linear_weight(p, defaults, has_linear_path):
    """Return the weight of the linear path's own loss; 0 where there is no such path."""
    if not has_linear_path:
        return 0.0
    return defaults.linear_weight if p.linear_weight == "auto" else p.linear_weight


def choose_device(p, estimator_name):
    """Return the device to train on, or raise an error if it lacks the precision."""
    device = resolve_device(p.device, estimator_name)
    if p.precision == "bfloat16" and not computes_in_bfloat16(device):
        raise ValueError(
            f"precision='bfloat16' cannot be used on device={device!r}, which does not "
            "compute in it. Use 'float32'."
        )
    return device


def resolve_device(device, estimator_name):
    """Return the device to train on as a torch device string."""
    device = str(device)
    if device == "auto":
        return "cuda" if torch.cuda.is_available() else "cpu"
    try:
        torch.device(device)
    except RuntimeError as error:
        raise InvalidParameterError(
            f"The 'device' parameter of {estimator_name} must be 'auto' or a torch device "
            f"string. Got {device!r} instead."
        ) from error
    try:
        torch.zeros(1, device=device).item()  # the kind of error depends on the build
    except (AssertionError, NotImplementedError, RuntimeError) as error:
        raise ValueError(
            f"device={device!r} cannot be used on this machine ({error}). "
            "Use device='auto' or 'cpu'."
        ) from error
    return device


def resolve_options(p, n_samples, n_outputs, has_linear_path, estimator_name):
    """Return the optimizer's options beside the learning rate."""
    if not isinstance(p.optimizer, str) and not is_optimizer_class(p.optimizer):
        raise InvalidParameterError(
            f"The 'optimizer' parameter of {estimator_name} must be a str among "
            f"{set(OPTIMIZERS)} or a subclass of torch.optim.Optimizer. Got {p.optimizer!r} "
            "instead."
        )
    optimizer, options = OPTIMIZERS.get(p.optimizer, (p.optimizer, {}))
    if p.data_parallel and needs_closure(optimizer):
        raise ValueError(
            f"data_parallel=True cannot be used with {optimizer.__name__}, whose steps depend "
            "on the value of the loss. Use another optimizer."
        )
    check_optimizer_options(p.net_params, optimizer, p.schedule == "constant")
    if "weight_decay" not in signature(optimizer).parameters:
        if p.weight_decay not in ("auto", 0):
            raise ValueError(
                f"{optimizer.__name__} takes no weight_decay. Leave it at 'auto', or set 0."
            )
        return options
    weight_decay = p.weight_decay
    if weight_decay == "auto":
        factor = ORDERED_DECAY if p.ordered else 0.3
        weight_decay = factor / n_samples if has_linear_path else 0.0
    options = {**options, "weight_decay": weight_decay}
    if not has_linear_path:
        return options
    if p.optimizer in ("adam", "adamw"):
        options["eps"] = SMALL_GRADIENT / n_outputs
    # no decay on the linear path: it should shrink the network towards that path, not to zero
    return {**options, **LINEAR_PATH_WITHOUT_DECAY}


def check_optimizer_options(net_params, optimizer, has_own_rates):
    """Refuse options in net_params that the optimizer does not take."""
    options = signature(optimizer).parameters
    takes_any = any(option.kind is option.VAR_KEYWORD for option in options.values())
    for key in net_params or {}:
        name = key.removeprefix("optimizer__")
        if not key.startswith("optimizer__") or (name == "param_groups" and has_own_rates):
            continue
        if name == "param_groups":
            raise ValueError(
                f"net_params may not set {key!r} beside a schedule that sets the learning rate of "
                "all groups. Use schedule='constant'."
            )
        if name == "params" or not (takes_any or name in options):
            raise ValueError(
                f"net_params may not set {key!r}: {optimizer.__name__} has no option {name!r}. It "
                f"has {sorted(options.keys() - {'params', 'lr', 'weight_decay'})}."
            )


def resolve_corruption(p, is_paired):
    """Return corruption, level and range, or None where rows stay as they are."""
    if not hasattr(p, "corruption"):
        return None
    is_automatic = isinstance(p.corruption, str) and p.corruption == "auto"
    kind = "gaussian" if is_automatic else p.corruption
    corruption = kind, p.corruption_level, p.corruption_range
    _check_corruption(*corruption)
    return None if is_automatic and is_paired else corruption


def resolve_batch_size(p, n_samples, max_steps):
    """Return the number of rows in a batch."""
    if p.batch_size == "auto":
        least = ORDERED_MIN_BATCH if p.ordered else 64
        return max(least, min(n_samples // 100, 400), math.ceil(n_samples / max_steps))
    return p.batch_size


def resolve_validation_fraction(p, defaults, n_samples):
    """Return the share of rows to hold out, or None for cross-fitting."""
    if p.validation_fraction != "auto":
        if p.early_stopping and round(p.validation_fraction * n_samples) >= n_samples:
            raise ValueError(
                f"validation_fraction={p.validation_fraction} of {n_samples} rows leaves none to "
                "train on. Use a smaller one, or early_stopping=False."
            )
        return p.validation_fraction
    # callbacks see one network, the next fit of a warm start goes on with one, and an optimizer
    # that steps by the value of the loss would mix them
    has_one_network = p.warm_start or list_callbacks(p.net_params) or needs_closure(p.optimizer)
    # each rank would draw its own numbers within such networks
    draws = p.encoder is not None or p.decoder is not None or p.ordered or hasattr(p, "beta")
    draws_alone = p.data_parallel and draws
    return None if defaults.cross_fits and not (has_one_network or draws_alone) else HELD_OUT


def needs_closure(optimizer):
    """Tell whether the steps of an optimizer depend on the value of the loss."""
    optimizer, _ = OPTIMIZERS.get(optimizer, (optimizer, {}))
    closure = signature(optimizer.step).parameters.get("closure")
    return closure is not None and closure.default is closure.empty


def resolve_epochs(p, n_samples, n_features, batch_size, max_steps):
    """Return the number of epochs."""
    if p.max_epochs == "auto":
        is_imputer = getattr(p, "scores_hidden", False)
        if is_imputer and MAX_DENSE < n_features <= MAX_DENSE_UNTRAINED:
            return 0  # a full covariance is better than a network that starts at few factors
        return int(np.clip(max_steps // math.ceil(n_samples / batch_size), 1, 200))
    return p.max_epochs


def computes_in_bfloat16(device):
    """Tell whether torch has mixed precision in bfloat16 on a device."""
    device = torch.device(device)
    if device.type == "cuda":
        with torch.cuda.device(device):
            return torch.cuda.is_bf16_supported(including_emulation=False)
    return torch.amp.is_autocast_available(device.type)


def is_optimizer_class(value):
    """Tell whether a value is a proper subclass of torch's Optimizer."""
    base = torch.optim.Optimizer
    return isinstance(value, type) and issubclass(value, base) and value is not base
