"""All choices of a fit, made once from the parameters and the shape of X, or the error."""

import math
from contextlib import contextmanager
from dataclasses import dataclass, fields, replace
from difflib import get_close_matches
from inspect import signature
from numbers import Integral, Real
from types import SimpleNamespace

import numpy as np
import torch

from ._callbacks import MissingObject, check_callbacks, check_importable, list_callbacks
from ._codes import CODES, list_solved_sizes
from ._compat import (
    Interval,
    InvalidParameterError,
    Options,
    RealNotInt,
    StrOptions,
    warn_user,
)
from ._images import check_image_shape
from ._losses import LOSSES
from ._networks import ACTIVATIONS, OUTPUT_RANGES, Architecture, compute_pooled_sizes

HELD_OUT = 0.1  # of the rows, where there are no folds

MAX_FEATURES_FOR_FOLDS = 1_000  # several networks of more would take too long

# At the linear start the encoder's gradient is a rounding error. Adam divides gradients by their
# size, and would make steps of full length of these errors, unless eps is larger. Gradients of a
# mean over the features are inversely proportional to their number.
SMALL_GRADIENT = 1e-3

SCHEDULES = ("one_cycle", "cosine", "constant")

# name: (class, options)
OPTIMIZERS = {
    "adam": (torch.optim.Adam, {"fused": True}),
    "adamw": (torch.optim.AdamW, {"fused": True}),
    "sgd": (torch.optim.SGD, {"fused": True, "momentum": 0.9, "nesterov": True}),
}

DOMINANT = 0.99  # share of the variance: a code is of such a column alone
# Rows of a first chunk for each component, for means and principal components worth keeping.
ROWS_A_COMPONENT = 10
OTHER_UNIT = 2.0  # X_val is in other units where its distances differ by more than this factor

ROUNDING = 1e-6  # beyond the range of an output, in X

AUTO, COUNT = StrOptions({"auto"}), Interval(Integral, 1, None, closed="left")
POSITIVE, NOT_NEGATIVE = (Interval(Real, 0, None, closed=side) for side in ("neither", "left"))

# What scikit-learn checks of each parameter before anything else.
CONSTRAINTS = {
    "n_components": [COUNT, Interval(RealNotInt, 0, 1, closed="neither"), None],
    "hidden_layer_sizes": [AUTO, "array-like", COUNT],
    "activation": [StrOptions(set(ACTIVATIONS))],
    "code_activation": [StrOptions(set(ACTIVATIONS))],
    "output_activation": [StrOptions({"identity", "logistic", "tanh", "relu"})],
    "conv_filters": ["array-like", COUNT],
    "image_shape": ["array-like", None],
    "encoder": [callable, None],
    "decoder": [callable, None],
    "init": [StrOptions({"auto", "linear", "random"})],
    "loss": [StrOptions(set(LOSSES))],
    "optimizer": [StrOptions(set(OPTIMIZERS)), callable],
    "linear_weight": [AUTO, NOT_NEGATIVE],
    "learning_rate": [POSITIVE],
    "schedule": [StrOptions(set(SCHEDULES))],
    "weight_decay": [AUTO, NOT_NEGATIVE],
    "batch_size": [AUTO, COUNT],
    "max_epochs": [AUTO, Interval(Integral, 0, None, closed="left")],
    "ordered": ["boolean"],
    "early_stopping": ["boolean"],
    "validation_fraction": [AUTO, Interval(Real, 0, 1, closed="neither")],
    "n_iter_no_change": [COUNT],
    "tol": [NOT_NEGATIVE],
    "clip": ["boolean"],
    "warm_start": ["boolean"],
    "device": [str, torch.device],
    "precision": [StrOptions({"float32", "bfloat16"})],
    "data_parallel": ["boolean"],
    "random_state": ["random_state"],
    "verbose": [Options(Integral, {0, 1, 2})],
    "net_params": [dict, None],
}

# What other libraries call options.
ALIASES = {
    "mse": "squared_error",
    "mean_squared_error": "squared_error",
    "mae": "absolute_error",
    "l1": "absolute_error",
    "l2": "squared_error",
    "bce": "binary_cross_entropy",
    "binary_crossentropy": "binary_cross_entropy",
    "log_loss": "binary_cross_entropy",
    "sigmoid": "logistic",
    "swish": "silu",
    "linear": "identity",
    "none": "identity",
    "onecycle": "one_cycle",
}

# What parameters of skorch's NeuralNet are called here, where the name differs.
OWN_NAMES = {
    "module": "encoder",
    "criterion": "loss",
    "lr": "learning_rate",
    "optimizer__lr": "learning_rate",
    "optimizer__weight_decay": "weight_decay",
    "iterator_train": "batch_size",
    "iterator_valid": "batch_size",
    "train_split": "validation_fraction",
}


# What users know the fields of an architecture by, where the name differs.
KNOWN_AS = {
    "n_outputs": "number of columns of X_clean",
    "n_targets": "number of targets",
    "code": "ordered",
    "has_linear_path": "init",
}


@dataclass(frozen=True)
class Plan:
    """All choices of a fit.

    Attributes
    ----------
    architecture : Architecture
        Of the networks. Its number of components may be a share of the variance; what else only
        the start finds has its defaults.
    n_samples : int
    has_automatic_widths : bool
        Whether the widths of the hidden layers are not those of the user.
    corrects_start : bool
        Whether the start is proposed with the decoder's last layer in closed form, too.
    solves_last_layer : bool
        Whether this layer is solved again after training.
    solves_sizes : bool
        Whether each size of an ordered code may have such a layer.
    keeps_start : bool
        Whether training may end with the weights from before the first epoch.
    is_first : bool
        Whether the networks are new.
    is_chunk : bool
        Whether the rows are a chunk of more.
    standardizes : bool
        Whether the networks see X centred and scaled, or X itself. A squashing output has
        a fixed range, so its network works in units of X.
    optimizer_options : dict
        Beside the learning rate.
    cross_fits : bool
        Whether folds judge, where there are enough groups for them.
    beta : float or None
        Weight of the divergence of a variational autoencoder; None for other autoencoders.
    and the parameters of the estimators of the same names
    """

    architecture: Architecture
    n_samples: int
    has_automatic_widths: bool
    corrects_start: bool
    solves_last_layer: bool
    solves_sizes: bool
    keeps_start: bool
    is_first: bool
    is_chunk: bool
    standardizes: bool
    loss: str
    clip: bool
    beta: float | None
    optimizer: str | type
    optimizer_options: dict
    learning_rate: float
    linear_weight: float
    masking_rate: float
    schedule: str
    batch_size: int
    max_epochs: int
    early_stopping: bool
    validation_fraction: float
    cross_fits: bool
    n_iter_no_change: int
    tol: float
    precision: str
    device: str
    verbose: int
    net_params: dict | None

    @property
    def has_logits(self):
        """Whether the decoder returns logits of X."""
        return self.loss == "binary_cross_entropy"

    @property
    def optimizer_class(self):
        """The class of the optimizer."""
        return find_optimizer(self.optimizer)[0]

    @property
    def way_out(self):
        """What to do, as an error says it, where a model cannot be trained further."""
        if self.is_chunk:
            return "For a new model train a clone of the estimator."
        return "For a new model fit with warm_start=False."

    @property
    def has_large_folds(self):
        """Whether one large fold may judge in place of several."""
        return CODES[self.architecture.code].is_ordered

    @property
    def cuts_code(self):
        """Whether the code is cut to a share of the variance after training."""
        return self.is_first and self.has_large_folds and self.architecture.n_components < 1

    def list_solved_sizes(self, architecture):
        """Return the sizes of an ordered code for which a last layer of the decoder is solved.

        Parameters
        ----------
        architecture : Architecture
            With the number of components that the start has found.
        """
        if not self.solves_sizes:
            return []
        n_weights = max(architecture.widths, default=0) * architecture.n_outputs
        n_components = architecture.n_components
        return list_solved_sizes(architecture.code, n_components, self.n_samples, n_weights)

    def check_range(self, moments):
        """Raise a ValueError if the network cannot return rows with some `Moments`."""
        low, high = float(moments.low.min()), float(moments.high.max())
        output_activation = self.architecture.output_activation
        activation = "logistic" if self.has_logits else output_activation
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
            f"output_activation={output_activation!r} returns values from {least} to "
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
        """Return this plan for networks that have been trained by an earlier one.

        The earlier weight of the linear path stays if the new one is "auto".

        Raises
        ------
        ValueError
            If this plan cannot train these networks further.
        """
        # a truncated code has layers for the components that were cut off, too
        before = earlier.architecture
        now = replace(self.architecture, n_trained=before.n_trained)
        if self.has_automatic_widths and earlier.has_automatic_widths:
            # they depend on the number of rows; those of the earlier fit stay
            now = replace(now, hidden_layer_sizes=before.hidden_layer_sizes)
        names = [field.name for field in fields(now)]
        changed = [name for name in names if getattr(now, name) != getattr(before, name)]
        if self.has_logits != earlier.has_logits:
            changed.append("loss")
        if changed:
            raise ValueError(
                "The network of the last fit cannot be trained further with another "
                f"{KNOWN_AS.get(changed[0], changed[0])}. Set it back. {self.way_out}"
            )
        weight = earlier.linear_weight if linear_weight == "auto" else self.linear_weight
        return replace(self, linear_weight=weight, corrects_start=False, keeps_start=True)

    def take_chunk(self, earlier):
        """Return this plan for one epoch on a chunk of rows, which none judge.

        It keeps the optimizer, the batch size and the net_params of an earlier chunk, if there is
        one. The peak of a schedule is too high a learning rate for the end of training.
        """
        is_constant = self.schedule == "constant"
        # the optimizer goes on from its moments, which belong to its options
        kept = self if earlier is None else earlier
        return replace(
            self,
            corrects_start=False,
            solves_last_layer=False,
            keeps_start=False,
            early_stopping=False,
            max_epochs=1,
            learning_rate=self.learning_rate / (1 if is_constant else 10),
            schedule="constant",
            optimizer=kept.optimizer,
            optimizer_options=kept.optimizer_options,
            batch_size=kept.batch_size,
            verbose=kept.verbose,
            net_params=kept.net_params,
        )


def make_plan(estimator, table, earlier=None, is_chunk=False):
    """Return the plan of a fit.

    Parameters
    ----------
    estimator : BaseAutoencoder
        Its parameters are already checked against their constraints.
    table : Table
    earlier : Plan, default=None
        That of the fit that is continued; None for a new model.
    is_chunk : bool, default=False
        Whether the rows are a chunk of more.

    Raises
    ------
    InvalidParameterError
        If a parameter is outside its range.
    ValueError
        If parameters contradict each other, the values of X or this machine.
    """
    name, p = estimator._public_name, SimpleNamespace(**estimator._get_settings())
    (n_samples, n_features), code = table.rows.shape, CODES[p.code]
    n_outputs = table.targets.shape[1]
    check_importable(vars(p))
    check_net_params(p, name)
    has_logits, output_activation = p.loss == "binary_cross_entropy", p.output_activation
    if has_logits:
        if output_activation not in ("identity", "logistic"):
            raise ValueError(
                "loss='binary_cross_entropy' takes the decoder's output for a logit and applies "
                f"the logistic function itself; got output_activation={output_activation!r}. "
                "Use 'identity' or 'logistic'."
            )
        output_activation = "identity"
    has_linear_path = resolve_linear_path(p, output_activation)
    # defaults for few rows are for networks with a linear path, whose start training must beat
    *small, defaults = estimator._list_defaults(table)
    if has_linear_path and not is_chunk and n_features <= MAX_FEATURES_FOR_FOLDS:
        fitting = [values for values in small if n_samples <= values.max_rows]
        defaults = fitting[0] if fitting else defaults
    defaults = code.adapt_defaults(defaults)
    if table.n_targets and (has_logits or not has_linear_path):
        raise ValueError(
            "target_weight needs the linear path and a loss in units of X; got "
            f"init={p.init!r}, loss={p.loss!r}, code_activation={p.code_activation!r} and "
            f"output_activation={p.output_activation!r}. Leave these at their defaults, or set "
            "target_weight=0."
        )
    shape = n_features, n_outputs, table.n_targets
    kind = has_linear_path, output_activation
    architecture = make_architecture(p, defaults, shape, kind, name)
    batch_size, max_epochs = p.batch_size, p.max_epochs
    if batch_size == "auto":
        fewest = max(code.min_batch_size, math.ceil(n_samples / defaults.max_steps))
        batch_size = max(fewest, min(n_samples // 100, 400))
    if max_epochs == "auto":
        n_batches = math.ceil(n_samples / batch_size)
        max_epochs = int(np.clip(defaults.max_steps // n_batches, 1, 200))
    # the last layer of the decoder has a closed form if it is linear and errors are squared ones
    solves = has_linear_path and p.init == "auto" and not has_logits
    solves = solves and p.decoder is None and np.size(p.conv_filters) == 0
    solves = solves and np.size(p.hidden_layer_sizes) > 0
    # with many rows, features that are learnt are better than random ones
    may_correct = p.early_stopping and (defaults.cross_fits or defaults.always_corrects)
    masks = has_linear_path and architecture.stacks
    masking_rate = defaults.masking_rate if masks else 0.0
    linear_weight = defaults.linear_weight if p.linear_weight == "auto" else p.linear_weight
    plan = Plan(
        architecture=architecture,
        n_samples=n_samples,
        has_automatic_widths=isinstance(p.hidden_layer_sizes, str),
        corrects_start=solves and (p.max_epochs == 0 or may_correct),
        solves_last_layer=solves,
        solves_sizes=solves and (p.early_stopping or p.max_epochs == 0),
        keeps_start=has_linear_path,
        is_first=earlier is None,
        is_chunk=is_chunk,
        standardizes=has_linear_path or (p.output_activation == "identity" and not has_logits),
        loss=p.loss,
        clip=p.clip,
        beta=p.beta,
        optimizer=p.optimizer,
        optimizer_options=resolve_options(p, n_samples, architecture, code.decay, name),
        learning_rate=p.learning_rate,
        linear_weight=linear_weight if has_linear_path else 0.0,
        masking_rate=masking_rate if p.masking_rate == "auto" else p.masking_rate,
        schedule=p.schedule,
        batch_size=batch_size,
        max_epochs=max_epochs,
        early_stopping=p.early_stopping,
        validation_fraction=resolve_validation_fraction(p, n_samples),
        cross_fits=defaults.cross_fits and can_cross_fit(p, code),
        n_iter_no_change=p.n_iter_no_change,
        tol=p.tol,
        precision=p.precision,
        device=str(table.rows.device),
        verbose=p.verbose,
        net_params=p.net_params,
    )
    if p.precision == "bfloat16" and not computes_in_bfloat16(table.rows.device):
        raise ValueError(
            f"precision='bfloat16' cannot be used on device={plan.device!r}, which does not "
            "compute in it. Use 'float32'."
        )
    plan.check_range(table.target_moments)
    if table.held_out is not None:
        check_held_out(plan, table)
    if earlier is not None:
        plan = plan.continue_from(earlier, p.linear_weight)
    return plan.take_chunk(earlier) if is_chunk else plan


@contextmanager
def suggest_options(params, constraints):
    """At an InvalidParameterError of the block, note the option that the user may have meant.

    Parameters
    ----------
    params : dict
        The parameters of an estimator.
    constraints : dict
        Its `_parameter_constraints`.
    """
    try:
        yield
    except InvalidParameterError as error:
        for name, value in params.items():
            named = [c for c in constraints.get(name, ()) if isinstance(c, StrOptions)]
            options = set().union(*(constraint.options for constraint in named))
            if isinstance(value, str) and options and value not in options:
                known = {option: option for option in options}
                known |= {alias: option for alias, option in ALIASES.items() if option in options}
                for found in get_close_matches(value.lower(), known, 1):
                    error.add_note(f"Did you mean {name}={known[found]!r}?")
        raise


class OptionsMixin:
    """Of an estimator: an error of a parameter names the option that the user may have meant."""

    def _validate_params(self):
        with suggest_options(self.get_params(deep=False), self._parameter_constraints):
            super()._validate_params()


def check_held_out(plan, table):
    """Raise a ValueError if the rows that the user holds out are not like those of X."""
    what = "X_val must have rows like those of X. "
    moments = table.ranks.agree_on(table.held_out.compute_moments)
    if moments.observed_share == 0:
        raise ValueError(f"{what}It has no value at all.")
    if moments.observed_share < 1 and table.moments.observed_share == 1:
        raise ValueError(f"{what}It has missing values, and X has none.")
    try:
        plan.check_range(moments)
    except ValueError as error:
        raise ValueError(f"{what}{error}") from error
    variance, varies = table.moments.variance, table.moments.variance > 0
    squares = moments.variance + (moments.mean - table.moments.mean).square()
    ratios = torch.maximum(squares / variance, variance / squares)[varies]
    times = float(ratios.median().sqrt()) if len(ratios) else 1.0
    if times > OTHER_UNIT:
        warn_user(
            "In half of the columns or more, the distances of X_val from the mean of X differ from "
            f"those of X by a factor of {times:.2g} or more. Does one of the two lack a step, such "
            "as scaling? A Pipeline transforms X alone: transform X_val by the steps before the "
            "autoencoder."
        )


def check_for_empty_columns(table):
    """Raise a ValueError if every entry of a column is NaN."""
    empty = (table.moments.counts == 0).nonzero().flatten().tolist()
    if empty:
        names = table.names.get("feature_names_in_", range(len(table.moments.counts)))
        listed = ", ".join(str(names[i]) for i in empty[:10]) + (", …" if len(empty) > 10 else "")
        raise ValueError(
            f"X has no value at all in column {listed}, in which every entry is NaN. "
            "Leave such columns out."
        )


def warn_of_units(table, plan):
    """Warn if one of several columns has nearly all of the variance, as its unit may have it."""
    variance = table.moments.variance
    largest = int(variance.argmax())
    share = float(variance[largest] / variance.sum().clamp(min=torch.finfo().tiny))
    if plan.standardizes and share > DOMINANT and (variance > 0).sum() > 2:
        column = table.names.get("feature_names_in_", range(len(variance)))[largest]
        warn_user(
            f"Column {column} has {100 * share:.2f} % of the variance of X. The autoencoder keeps "
            "little of the other columns, as PCA does, and its R² tells of this one alone. If "
            "columns have different units, put a StandardScaler before it."
        )


def warn_of_few_rows(plan, n_components):
    """Warn if a first chunk is too small for what `partial_fit` takes from it for good."""
    n_enough = ROWS_A_COMPONENT * n_components
    if plan.n_samples < n_enough and plan.standardizes:
        has_linear_path = plan.architecture.has_linear_path
        start = "mean_, scale_ and the start" if has_linear_path else "mean_ and scale_"
        warn_user(
            f"The first chunk of partial_fit has {plan.n_samples} rows. {start} are computed from "
            f"it once and for all: pass at least {n_enough} rows, ten for each component, drawn at "
            "random."
        )


def make_architecture(p, defaults, shape, kind, estimator_name):
    """Return the `Architecture` that parameters ask for, or raise an error.

    Parameters
    ----------
    p : SimpleNamespace
        Parameters of the estimator.
    defaults : Defaults
    shape : (int, int, int)
        Columns of rows, of what they should become, and of targets beside that.
    kind : (bool, str)
        Whether there is a linear path, and the activation of the output.
    estimator_name : str
    """
    (n_features, n_outputs, n_targets), (has_linear_path, output_activation) = shape, kind
    for name, factory in (("encoder", p.encoder), ("decoder", p.decoder)):
        if isinstance(factory, torch.nn.Module):
            raise InvalidParameterError(
                f"The {name!r} parameter of {estimator_name} must be a factory, a "
                "callable that returns a new torch.nn.Module, or None; got a module, whose "
                f"weights all copies of the estimator would share. Pass its class, a function "
                f"or functools.partial. Got {factory!r} instead."
            )
    widths, image_shape = defaults.hidden_layer_sizes, p.image_shape
    if not isinstance(p.hidden_layer_sizes, str):  # "auto"
        own = check_widths(p.hidden_layer_sizes, "hidden_layer_sizes", estimator_name)
        widths = ((math.inf, own),)
    conv_filters = check_widths(p.conv_filters, "conv_filters", estimator_name)
    if image_shape is not None:
        image_shape = check_image_shape(image_shape, n_features)
        compute_pooled_sizes(image_shape, len(conv_filters))
    elif conv_filters and None in (p.encoder, p.decoder):
        raise ValueError(
            f"conv_filters={p.conv_filters!r} needs image_shape=(channels, height, "
            f"width) with channels · height · width = {n_features}, the number of features."
        )
    n_components = min(32, n_features) if p.n_components is None else p.n_components
    return Architecture(
        n_features=n_features,
        n_outputs=n_outputs,
        n_targets=n_targets,
        n_components=n_components,
        n_trained=n_components,
        code=p.code,
        hidden_layer_sizes=widths,
        activation=p.activation,
        conv_filters=conv_filters,
        image_shape=image_shape,
        encoder=p.encoder,
        decoder=p.decoder,
        code_activation=p.code_activation,
        output_activation=output_activation,
        has_linear_path=has_linear_path,
    )


def check_widths(sizes, name, estimator_name):
    """Return `hidden_layer_sizes` or `conv_filters` as a tuple of int."""
    widths = [sizes] if isinstance(sizes, Integral) else list(sizes)
    if not all(isinstance(width, Integral) and width >= 1 for width in widths):
        raise InvalidParameterError(
            f"The {name!r} parameter of {estimator_name} must be an int or a "
            f"sequence of ints, all at least 1. Got {sizes!r} instead."
        )
    return tuple(int(width) for width in widths)


def check_net_params(p, estimator_name):
    """Refuse keys of net_params that would have no effect, or that a parameter stands for."""
    for key in p.net_params or {}:
        if not isinstance(key, str):
            raise InvalidParameterError(
                f"The keys of net_params of {estimator_name} must be str. Got {key!r} instead."
            )
        part, _, rest = key.partition("__")
        own = OWN_NAMES.get(key, OWN_NAMES.get(part, part))
        if part in ("optimizer", "callbacks") and own == part and (rest or part == "callbacks"):
            continue
        instead = f"Use the parameter {own!r}. " if own in vars(p) else ""
        raise ValueError(
            f"net_params of {estimator_name} may not set {key!r}. {instead}It may set 'callbacks', "
            "'callbacks__...' and 'optimizer__...'; other parameters of skorch's NeuralNet would "
            "have no effect."
        )
    check_callbacks(p.net_params, p.schedule, p.verbose)


def resolve_linear_path(p, output_activation):
    """Return whether the network has the linear path."""
    activations = {"code_activation": p.code_activation, "output_activation": output_activation}
    obstacles = [f"{name}={a!r}" for name, a in activations.items() if a != "identity"]
    # a start in units of X is no start for logits, unless it is converted
    squashed = obstacles + [f"loss={p.loss!r}"] * (p.loss == "binary_cross_entropy")
    if p.init == "linear" and squashed:
        raise ValueError(
            "init='linear' needs the code and the output to be linear and the loss in "
            f"units of X; got {', '.join(squashed)}. Use init='auto' or 'random'."
        )
    return p.init != "random" and not obstacles


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


def find_optimizer(optimizer):
    """Return the class of an optimizer, given by name or as a class, and its options here."""
    return OPTIMIZERS.get(optimizer, (optimizer, {}))


def resolve_options(p, n_samples, architecture, decay, estimator_name):
    """Return the optimizer's options beside the learning rate."""
    optimizer, options = find_optimizer(p.optimizer)
    base = torch.optim.Optimizer
    if not (isinstance(optimizer, type) and issubclass(optimizer, base) and optimizer is not base):
        raise InvalidParameterError(
            f"The 'optimizer' parameter of {estimator_name} must be a str among "
            f"{set(OPTIMIZERS)} or a subclass of torch.optim.Optimizer. Got {p.optimizer!r} "
            "instead."
        )
    # an optimizer whose step cannot do without a closure computes the loss itself
    closure = signature(optimizer.step).parameters.get("closure")
    if closure is not None and closure.default is closure.empty:
        raise ValueError(
            f"optimizer={optimizer.__name__} cannot be used: it computes the loss several times in "
            "each step. Use 'adam' or another optimizer that needs the gradient only."
        )
    check_optimizer_options(p.net_params, optimizer, p.schedule == "constant")
    if "weight_decay" not in signature(optimizer).parameters:
        if p.weight_decay not in ("auto", 0):
            raise ValueError(
                f"{optimizer.__name__} takes no weight_decay. Leave it at 'auto', or set 0."
            )
        return options
    automatic = decay / n_samples if architecture.has_linear_path else 0.0
    options = {
        **options,
        "weight_decay": automatic if p.weight_decay == "auto" else p.weight_decay,
    }
    if architecture.has_linear_path and p.optimizer in ("adam", "adamw"):
        options["eps"] = SMALL_GRADIENT / architecture.n_outputs
    return options


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


def resolve_validation_fraction(p, n_samples):
    """Return the share of rows to hold out where there are no folds."""
    if p.validation_fraction == "auto":
        return HELD_OUT
    if p.early_stopping and round(p.validation_fraction * n_samples) >= n_samples:
        raise ValueError(
            f"validation_fraction={p.validation_fraction} of {n_samples} rows leaves none to "
            "train on. Use a smaller one, or early_stopping=False."
        )
    return p.validation_fraction


def can_cross_fit(p, code):
    """Tell whether parameters and the kind of code allow folds to judge."""
    # callbacks see one network, and the next fit of a warm start goes on with one
    has_one_network = p.warm_start or list_callbacks(p.net_params)
    # each rank would draw its own numbers within such networks
    draws = code.draws or p.encoder is not None or p.decoder is not None
    is_free = p.validation_fraction == "auto" and not has_one_network
    return is_free and not (p.data_parallel and draws)


def computes_in_bfloat16(device):
    """Tell whether torch has mixed precision in bfloat16 on a device."""
    if device.type == "cuda":
        with torch.cuda.device(device):
            return torch.cuda.is_bf16_supported(including_emulation=False)
    return torch.amp.is_autocast_available(device.type)
