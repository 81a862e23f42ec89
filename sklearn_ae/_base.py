"""What every autoencoder of the package shares: validate, start, train, encode, decode, score."""

import copy
import math
import warnings
from abc import ABCMeta, abstractmethod
from contextlib import contextmanager, nullcontext
from functools import partial
from inspect import signature
from numbers import Integral, Real

import numpy as np
import torch
from sklearn.base import (
    BaseEstimator,
    ClassNamePrefixFeaturesOutMixin,
    TransformerMixin,
    _fit_context,
)
from sklearn.callback import CallbackSupportMixin
from sklearn.exceptions import UndefinedMetricWarning
from sklearn.utils import check_array, check_random_state, gen_batches
from sklearn.utils._array_api import check_same_namespace, get_namespace
from sklearn.utils._param_validation import (
    Interval,
    InvalidParameterError,
    Options,
    RealNotInt,
    StrOptions,
)
from sklearn.utils.validation import check_is_fitted, validate_data
from skorch.callbacks import Checkpoint, PrintLog, ProgressBar, TrainEndCheckpoint
from skorch.dataset import ValidSplit
from skorch.utils import noop
from torch import distributed

from ._linear_start import linear_start
from ._losses import LOSSES, ReconstructionLoss
from ._networks import (
    ACTIVATIONS,
    LINEAR_PATH,
    Architecture,
    LinearPath,
    make_autoencoder,
    pooled_sizes,
    seeded,
    widest,
)
from ._ranks import ONE_PROCESS, AllRanks
from ._rows import (
    StandardizedRows,
    Statistics,
    as_tensor,
    is_numeric,
    is_sliced,
    like_array,
    rows_of,
    statistics,
    with_numbers,
)
from ._saving import (
    arrays,
    restore_training,
    restored_module,
    saved_network,
    sealed,
    tensors,
    unsealed,
    without_training_state,
)
from ._sparse_batch import padded
from ._training import SCHEDULES, AutoencoderNet, EpochBar, EpochTasks
from .corruption import check_image_shape

OPTIMIZERS = {
    "adam": (torch.optim.Adam, {"fused": True}),
    "adamw": (torch.optim.AdamW, {"fused": True}),
    "sgd": (torch.optim.SGD, {"fused": True, "momentum": 0.9, "nesterov": True}),
}

# Entries of the largest array that inference makes beside its result.
CHUNK_ENTRIES = 2**21
ROW_MULTIPLE = 64

OUT_OF_MEMORY = (
    "The memory of the device does not suffice. Use a smaller batch_size, smaller layers, or "
    "device='cpu'."
)

# What a key of net_params would override: the parameter to use instead.
OWN_NET_PARAMS = {
    "module": "encoder",
    "criterion": "loss",
    "optimizer": "optimizer",
    "lr": "learning_rate",
    "schedule": "schedule",
    "max_epochs": "max_epochs",
    "batch_size": "batch_size",
    "iterator_train": "batch_size",
    "iterator_valid": "batch_size",
    "train_split": "validation_fraction",
    "n_iter_no_change": "n_iter_no_change",
    "tol": "tol",
    "keep_start": "linear_start",
    "precision": "precision",
    "warm_start": "warm_start",
    "device": "device",
    "verbose": "verbose",
}


class BaseAutoencoder(
    ClassNamePrefixFeaturesOutMixin,
    CallbackSupportMixin,
    TransformerMixin,
    BaseEstimator,
    metaclass=ABCMeta,
):
    """Base class of the autoencoders; see `AutoencoderTransformer` for the parameters."""

    _max_steps = 1200  # of the optimizer, with automatic batch size and epochs

    # Where scikit-learn's HTML representation of the estimator links to.
    _doc_link_module = "sklearn_ae"
    _doc_link_template = (
        "https://sklearn-ae.readthedocs.io/en/latest/generated/"
        "{estimator_module}.{estimator_name}.html"
    )

    _parameter_constraints: dict = {
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
        "linear_start": ["boolean", StrOptions({"auto"})],
        "loss": [StrOptions(set(LOSSES))],
        "optimizer": [StrOptions(set(OPTIMIZERS)), callable],
        "learning_rate": [Interval(Real, 0, None, closed="neither")],
        "schedule": [StrOptions(set(SCHEDULES))],
        "weight_decay": [StrOptions({"auto"}), Interval(Real, 0, None, closed="left")],
        "batch_size": [StrOptions({"auto"}), Interval(Integral, 1, None, closed="left")],
        "max_epochs": [StrOptions({"auto"}), Interval(Integral, 0, None, closed="left")],
        "early_stopping": ["boolean"],
        "validation_fraction": [Interval(Real, 0, 1, closed="neither")],
        "n_iter_no_change": [Interval(Integral, 1, None, closed="left")],
        "tol": [Interval(Real, 0, None, closed="left")],
        "clip": ["boolean"],
        "warm_start": ["boolean"],
        "device": [str],
        "precision": [StrOptions({"float32", "bfloat16"})],
        "data_parallel": ["boolean"],
        "random_state": ["random_state"],
        "verbose": [Options(Integral, {0, 1, 2})],
        "net_params": [dict, None],
    }

    @abstractmethod
    def __init__(
        self,
        n_components,
        *,
        hidden_layer_sizes,
        activation,
        code_activation,
        output_activation,
        conv_filters,
        image_shape,
        encoder,
        decoder,
        linear_start,
        loss,
        optimizer,
        learning_rate,
        schedule,
        weight_decay,
        batch_size,
        max_epochs,
        early_stopping,
        validation_fraction,
        n_iter_no_change,
        tol,
        clip,
        warm_start,
        device,
        precision,
        data_parallel,
        random_state,
        verbose,
        net_params,
    ):
        self.n_components = n_components
        self.hidden_layer_sizes = hidden_layer_sizes
        self.activation = activation
        self.code_activation = code_activation
        self.output_activation = output_activation
        self.conv_filters = conv_filters
        self.image_shape = image_shape
        self.encoder = encoder
        self.decoder = decoder
        self.linear_start = linear_start
        self.loss = loss
        self.optimizer = optimizer
        self.learning_rate = learning_rate
        self.schedule = schedule
        self.weight_decay = weight_decay
        self.batch_size = batch_size
        self.max_epochs = max_epochs
        self.early_stopping = early_stopping
        self.validation_fraction = validation_fraction
        self.n_iter_no_change = n_iter_no_change
        self.tol = tol
        self.clip = clip
        self.warm_start = warm_start
        self.device = device
        self.precision = precision
        self.data_parallel = data_parallel
        self.random_state = random_state
        self.verbose = verbose
        self.net_params = net_params

    # ------------------------------------------------------------------ training

    @_fit_context(prefer_skip_nested_validation=True)
    def fit(self, X, y=None):
        """Fit the autoencoder to X.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
            At least two rows of finite numbers. Arrays keep the dtype that they have, bytes of
            images for example, and are cast batch by batch. Of a `numpy.memmap`, or an array of
            h5py or zarr, only batches are ever read. CSR is the best sparse format; only batches
            are ever dense. With scikit-learn's array API dispatch tensors are taken, too.
        y : object, default=None
            Ignored; here for scikit-learn's convention.

        Returns
        -------
        self : object
            The fitted estimator.

        Raises
        ------
        ValueError
            If a parameter is outside its range, if parameters contradict each other or
            X, if a custom network returns another shape than it should, or if X is not an
            array of finite numbers with two rows or more. The estimator is then as it was
            before.
        TypeError
            If a factory returns no `torch.nn.Module`.
        MemoryError
            If the memory of the device does not suffice.
        """
        warm = self.warm_start and hasattr(self, "net_")
        with as_before_on_error(self, trains_on=warm):
            ranks = self._ranks()
            X, rows, seen = self._check_training_rows(X, ranks, reset=not warm)
            random_state = ranks.agreed(lambda: own_random_state(self.random_state))
            if warm:
                module, keep_start = self._continue(seen), True
            else:
                module, keep_start = self._build(X, rows, seen, random_state, ranks)
            self.linear_start_ = keep_start and not warm
            split = None
            if self.early_stopping:
                split = ValidSplit(self.validation_fraction, random_state=new_seed(random_state))
            self.net_ = self._make_net(
                module,
                len(rows),
                random_state,
                ranks,
                keep_start=keep_start,
                train_split=split,
                schedule=self.schedule,
                lr=self.learning_rate,
                max_epochs=self._n_epochs(len(rows)),
                device=self._torch_device(),
            )
            self._train(rows, X, y)
            self.net_.optimizer_.state.clear()
        return self

    @_fit_context(prefer_skip_nested_validation=True)
    def partial_fit(self, X, y=None):
        """Train one epoch on a chunk of rows, at a constant learning rate.

        The first call determines `mean_`, `scale_` and the linear start from its chunk,
        which should therefore be a large and random one. No rows are held out. With
        `schedule="constant"` the learning rate is `learning_rate`, else a tenth of that:
        what the peak of a schedule can be is too much to end with.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
            At least two rows in the first call.
        y : object, default=None
            Ignored; here for scikit-learn's convention.

        Returns
        -------
        self : object
            The fitted estimator.

        Raises
        ------
        ValueError
            As in `fit`.
        """
        first = not hasattr(self, "net_")
        with as_before_on_error(self, trains_on=not first):
            ranks = self._ranks()
            X, rows, seen = self._check_training_rows(X, ranks, reset=first)
            lr = self.learning_rate if self.schedule == "constant" else self.learning_rate / 10
            how = {"schedule": "constant", "lr": lr, "max_epochs": 1, "keep_start": False}
            if first:
                random_state = ranks.agreed(lambda: own_random_state(self.random_state))
                module, self.linear_start_ = self._build(X, rows, seen, random_state, ranks)
                how |= {"train_split": None, "device": self._torch_device()}
                self.net_ = self._make_net(module, len(rows), random_state, ranks, **how)
            else:
                self._continue(seen)
                self.net_.set_params(train_split=None, precision=self.precision, **how)
                self.net_.iterator_train__corruption = self._corruption()
                take_part(self.net_, ranks)
            self._train(rows, X, y)
        return self

    def _build(self, X, rows, seen, random_state, ranks):
        """Set the statistics of X; return the untrained module and whether it is a start."""
        linear = self._has_linear_path()
        self._n_samples_, n_features = rows.shape
        self._network_parameters_ = self._network_parameters()
        self._seen_ = seen
        if not seen.scale * math.sqrt(math.prod(rows.shape)) < float(np.finfo(np.float32).max):
            raise ValueError(
                "The values of X are too large for codes in float32. Scale X, e.g. with "
                "StandardScaler."
            )
        if linear and not 1 / seen.scale < float(np.finfo(np.float32).max):
            raise ValueError(
                "The values of X vary by too little for codes in float32. Scale X, e.g. with "
                "StandardScaler."
            )
        as_it_is = not (linear or self._is_centred())
        mean = torch.zeros_like(seen.mean) if as_it_is else seen.mean
        self.mean_ = like_array(mean, X)
        self.scale_ = 1.0 if as_it_is else seen.scale
        n_components = min(32, n_features) if self.n_components is None else self.n_components
        if linear or n_components < 1:
            seed = self.random_state if isinstance(self.random_state, Integral) else random_state
            standardized = StandardizedRows(rows, self.mean_, self.scale_)
            corrupt = self._corrupt_array(random_state)
            how = seed, corrupt, self._has_logits()
            start, drawn = ranks.agreed(
                lambda: (linear_start(standardized, n_components, *how), random_state)
            )
            random_state.set_state(drawn.get_state())  # the start may draw on the first rank
            n_components = len(start.encoder)
        self.n_components_ = int(n_components)
        path = None
        if linear:
            biases = start.bias is not None, start.decoder_bias is not None
            path = LinearPath(self.scale_, start.code_rms, *biases)
        sparse = self.encoder is None and rows.multiply_best_as_sparse and seen.is_near_zero
        self._architecture_ = self._architecture(n_features, path, sparse)
        generator = torch.Generator().manual_seed(new_seed(random_state))
        module = make_autoencoder(self._architecture_, generator, start if linear else None)
        if self.max_epochs != 0 and not any(p.requires_grad for p in module.parameters()):
            raise ValueError("Nothing in the networks of encoder and decoder can be trained.")
        self._row_width_ = widest(module, n_features, generator)
        return module, linear

    def _architecture(self, n_features, linear_path, multiplies_sparsely):
        return Architecture(
            n_features=n_features,
            n_components=self.n_components_,
            hidden_layer_sizes=self._hidden_widths(self.n_components_),
            activation=self.activation,
            conv_filters=self._widths("conv_filters"),
            image_shape=self._checked_image_shape(n_features),
            encoder=self.encoder,
            decoder=self.decoder,
            code_activation=self.code_activation,
            output_activation=self._last_activation(),
            linear_path=linear_path,
            multiplies_sparsely=multiplies_sparsely,
        )

    def _continue(self, seen):
        """Return the module to train on, after checks; what X adds to the range is noted."""
        changed = [
            name
            for name, value in self._network_parameters().items()
            if value != self._network_parameters_[name]
        ]
        if changed:
            raise ValueError(
                f"The network of the last fit cannot be trained further with another {changed[0]}. "
                "Set it back, or fit with warm_start=False."
            )
        self._seen_ = self._seen_.widened(seen)
        return self.net_.module_

    def _range(self):
        """Return what reconstructions are clipped to, lowest and highest values, or None."""
        return torch.stack([self._seen_.low, self._seen_.high]) if self.clip else None

    def _corruption(self):
        """Return what corrupts batches of standardised rows, or None: for subclasses."""

    def _ranks(self):
        """Return the processes that train together."""
        if not self.data_parallel:
            return ONE_PROCESS
        if not (distributed.is_available() and distributed.is_initialized()):
            raise ValueError(
                "data_parallel=True needs processes that torch.distributed has introduced to each "
                "other: start the script with torchrun and call "
                "torch.distributed.init_process_group() before fit."
            )
        return AllRanks(self._torch_device(), bool(self.encoder or self.decoder))

    def _corrupt_array(self, random_state):
        """Return what corrupts an array of standardised rows, or None."""
        corruption = self._corruption()
        if corruption is None:
            return None
        device = self._torch_device()
        generator = torch.Generator(device).manual_seed(new_seed(random_state))
        return partial(corrupted_array, corruption, generator)

    def _make_net(self, module, n_samples, random_state, ranks, **how):
        """Return an initialised skorch net around a module; `how` says how it trains."""
        optimizer, options = self._optimizer(n_samples)
        drawing = {
            "generator": torch.Generator().manual_seed(new_seed(random_state)),
            "corruption": self._corruption(),
        }
        params = {
            "module": module,
            "criterion": ReconstructionLoss,
            "criterion__name": self.loss,
            "optimizer": optimizer,
            **{f"optimizer__{name}": value for name, value in options.items()},
            "batch_size": self._n_batch_rows(n_samples),
            **{f"iterator_train__{name}": value for name, value in drawing.items()},
            **{f"iterator_valid__{name}": value for name, value in drawing.items()},
            "n_iter_no_change": self.n_iter_no_change,
            "tol": self.tol,
            "precision": self.precision,
            "verbose": int(self.verbose),
            **how,
            **(self.net_params or {}),
        }
        net = AutoencoderNet(**params).initialize()
        take_part(net, ranks)
        net.module = type(module)  # skorch keeps what it was given; a pickle would hold it twice
        return net

    def _optimizer(self, n_samples):
        """Return the optimizer's class and its options beside the learning rate."""
        optimizer, options = OPTIMIZERS.get(self.optimizer, (self.optimizer, {}))
        if "weight_decay" not in signature(optimizer).parameters:
            return optimizer, options
        weight_decay = self.weight_decay
        if weight_decay == "auto":
            weight_decay = 0.3 / n_samples if self._has_linear_path() else 0.0
        options = {**options, "weight_decay": weight_decay}
        if self._has_linear_path():  # it draws towards the linear path, not towards zero
            options["param_groups"] = [(LINEAR_PATH, {"weight_decay": 0.0})]
        return optimizer, options

    def _train(self, rows, X, y):
        """Train `net_` on the rows of X, with scikit-learn's callbacks, and set what came of it."""
        net = self.net_
        standardized = StandardizedRows(rows, self.mean_, self.scale_)
        net.criterion_.compare_with(standardized.mean.cpu(), self.scale_, self._range())
        net.criterion_.to(net.device)
        context = self._init_callback_context(max_subtasks=net.max_epochs)
        context.call_on_fit_task_begin(estimator=self, X=X, y=y)
        net.callbacks_.insert(0, ("estimator_callbacks", EpochTasks(self, context, X, y)))
        try:
            with self._own_torch_draws():
                net.partial_fit(standardized)
        finally:
            del net.callbacks_[0]

        unit = net.criterion_.unit(self.scale_)
        held_out = net.start_loss_ is not None
        self.loss_curve_ = [unit * loss for loss in net.losses("train_loss")]
        self.validation_loss_curve_ = (
            [unit * loss for loss in net.losses("valid_loss")] if held_out else None
        )
        self.start_loss_ = unit * net.start_loss_ if held_out else None
        self.n_iter_ = len(self.loss_curve_)
        self.best_epoch_ = net.best_epoch_
        losses = [self.start_loss_, *(self.validation_loss_curve_ or self.loss_curve_)]
        self.best_loss_ = losses[self.best_epoch_]
        context.call_on_fit_task_end(
            estimator=self, X=X, y=y, reconstruction_attributes=lambda: {"net_": net.snapshot()}
        )

    def _own_torch_draws(self):
        """Return a context in which what custom networks draw, for dropout, is reproducible."""
        if self.encoder is None and self.decoder is None:
            return nullcontext()
        net = self.net_
        rank = net.iterator_train__ranks.number
        return seeded(net.iterator_train__generator, net.device, rank)

    # ----------------------------------------------------------------- inference

    @property
    def encoder_(self):
        """The network that maps standardised rows u to codes z."""
        return self._fitted_module().encoder

    @property
    def decoder_(self):
        """The network that maps codes z to standardised rows û."""
        return self._fitted_module().decoder

    def transform(self, X):
        """Encode X.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)

        Returns
        -------
        codes : ndarray of shape (n_samples, n_components), float32
            With array API dispatch an array of the library and on the device of X; so are what
            the other methods return.
        """
        X, rows = self._check_rows(X, "transform")
        codes = self._results(X, len(rows), self.n_components_, dtype=torch.float32)
        for part, _, u in self._standardized_parts(rows):
            codes[part] = self._encode(u)
        return like_array(codes, X)

    def inverse_transform(self, X):
        """Decode codes.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_components)
            Codes, as `transform` returns them.

        Returns
        -------
        X_original : ndarray of shape (n_samples, n_features)
            float64 where `fit` saw float64, or integers of 32 bits and more, else float32.
        """
        check_is_fitted(self)
        check_same_namespace(X, self, attribute="mean_", method="inverse_transform")
        xp, _ = get_namespace(X)
        with too_large_as_value_error():
            codes = check_array(X, dtype=xp.float32, input_name="X", estimator=self)
        if codes.shape[1] != self.n_components_:
            raise ValueError(
                f"X has {codes.shape[1]} columns, but inverse_transform of "
                f"{type(self).__name__} is expecting codes with {self.n_components_} components, "
                "as transform returns them."
            )
        rows = rows_of(codes, self.net_.device)
        decoded = self._results(codes, len(rows), self.n_features_in_)
        for part in self._parts(len(rows)):
            decoded[part] = self._decode(rows.read(part))
        return like_array(decoded, codes)

    def reconstruct(self, X):
        """Encode and decode X.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)

        Returns
        -------
        X_reconstructed : ndarray of shape (n_samples, n_features)
            float64 where `fit` saw float64, or integers of 32 bits and more, else float32.
        """
        X, rows = self._check_rows(X, "reconstruct")
        decoded = self._results(X, *rows.shape)
        for part, _, u in self._standardized_parts(rows):
            decoded[part] = self._decode(self._encode(u))
        return like_array(decoded, X)

    def score_samples(self, X):
        """Return minus the mean squared reconstruction error of each row.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)

        Returns
        -------
        scores : ndarray of shape (n_samples,), float64
            In squared units of X; the lower, the less a row is like those in `fit`.
        """
        X, rows = self._check_rows(X, "score_samples")
        scores = self._results(X, len(rows), dtype=torch.float64)
        for part, originals, u in self._standardized_parts(rows):
            # the square of a large number can be too large for float32
            errors = originals - self._decode(self._encode(u)).double()
            scores[part] = -errors.square_().mean(dim=1)
        return like_array(scores, X)

    def score(self, X, y=None):
        """Return the share of the variance of X that its reconstruction keeps, R².

        It is `sklearn.metrics.r2_score(X, reconstruct(X), multioutput="variance_weighted")`,
        computed in constant memory. For a PCA of the training data it is the explained
        variance ratio.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
        y : object, default=None
            Ignored; here for scikit-learn's convention.

        Returns
        -------
        score : float
            At most 1; nan with a warning for a single row.
        """
        _, rows = self._check_rows(X, "score")
        if len(rows) < 2:
            warnings.warn(
                "R² is not defined for fewer than two samples.",
                UndefinedMetricWarning,
                stacklevel=2,
            )
            return float("nan")
        seen = statistics(rows, type(self).__name__)
        error = torch.zeros_like(seen.variance)
        for _, originals, u in self._standardized_parts(rows):
            errors = originals - self._decode(self._encode(u)).double()
            error += errors.square_().sum(dim=0).cpu()
        varies = (seen.high > seen.low) & (seen.variance > 0)  # what varies by little underflows
        if not varies.any():
            return float((error == 0).double().mean())
        spread = len(rows) * seen.variance[varies].sum()
        return float(1 - error[varies].sum() / spread)

    def _results(self, X, *shape, dtype=None):
        """Return an empty tensor for what is computed of X, by default in the dtype of X itself."""
        device = X.device if isinstance(X, torch.Tensor) else "cpu"
        return torch.empty(shape, dtype=dtype or self._seen_.mean.dtype, device=device)

    def _standardized_parts(self, rows):
        """Yield slices of rows, each with its rows and these standardised, seen to be finite."""
        standardized = StandardizedRows(rows, self.mean_, self.scale_)
        for part in self._parts(len(rows)):
            originals = rows.read(part)
            u = standardized.inputs(originals)
            if not is_finite_sum(u):
                name = type(self).__name__
                rows.check_finite(part, name)
                rows_of(u).check_finite(slice(None), name)
            yield part, originals, u

    def _parts(self, n_samples):
        """Return slices over the rows, small enough that what they pass through stays in cache."""
        n_rows = CHUNK_ENTRIES // self._row_width_
        return gen_batches(n_samples, max(n_rows - n_rows % ROW_MULTIPLE, ROW_MULTIPLE))

    def _encode(self, u):
        """Return the codes of standardised rows, seen to be finite."""
        return checked_results(forward(self.encoder_, u), "codes")

    def _decode(self, z):
        """Return decoded rows, seen to be finite, in units of X and the dtype that `fit` saw."""
        seen = self._seen_
        decoded = forward(self.decoder_, z)
        if self.net_.criterion_.name == "binary_cross_entropy":
            decoded = decoded.sigmoid().to(seen.mean.dtype)
        else:
            mean = as_tensor(self.mean_).to(decoded.device)
            decoded = decoded.to(mean.dtype).mul_(self.scale_).add_(mean)
        if self.clip:
            decoded.clamp_(seen.low.to(decoded.device), seen.high.to(decoded.device))
        return checked_results(decoded, "reconstructions")

    # -------------------------------------------------------------------- saving

    def __getstate__(self):
        """Return parameters and fitted attributes, the network as arrays: what is saved."""
        state = dict(super().__getstate__())
        state["net_params"] = without_training_state(self.net_params)
        if "net_" in state:
            state["net_"] = saved_network(self.net_, self._architecture_, self.warm_start)
            state["mean_"], state["_seen_"] = arrays(self.mean_), arrays(vars(self._seen_))
            state["_mean_is_tensor_"] = isinstance(self.mean_, torch.Tensor)
            del state["_architecture_"]
        return sealed(state)

    def __setstate__(self, state):
        """Set what was saved, and make the network again, on this machine's device.

        Raises
        ------
        ValueError
            If the file is damaged, or was saved by a later release.
        """
        # parameters that came after the release that saved it have their defaults
        defaults = {name: p.default for name, p in signature(type(self)).parameters.items()}
        state = defaults | unsealed(state)
        saved = state.pop("net_", None)
        if saved is None:
            super().__setstate__(state)
            return
        module, state["_architecture_"] = restored_module(saved)
        super().__setstate__(state)
        self._seen_ = Statistics(**tensors(self._seen_))
        if vars(self).pop("_mean_is_tensor_"):
            self.mean_ = tensors(self.mean_)
        self.net_ = self._make_net(
            module,
            self._n_samples_,
            np.random.RandomState(0),
            ONE_PROCESS,
            criterion__name=saved["loss"],
            batch_size=saved["batch_size"],
            schedule=self.schedule,
            lr=self.learning_rate,
            max_epochs=1,
            keep_start=False,
            train_split=None,
            device=self._device_here(),
        )
        restore_training(self.net_, saved)

    def _device_here(self):
        """Return the device to load to: a machine without the one of the fit has a CPU."""
        try:
            return self._torch_device()
        except ValueError:
            return "cpu"

    # ---------------------------------------------- parameters and their checks

    def _check_training_rows(self, X, ranks, reset):
        """Return X, its rows and their statistics, after all checks that need no training."""
        self._check_parameters()
        X = self._check_table(X, reset, ensure_min_samples=2 if reset else 1)
        rows = rows_of(X, self._torch_device())
        ranks.check_same("the same X", rows.fingerprint)
        self._checked_image_shape(rows.shape[1])
        seen = ranks.agreed(lambda: statistics(rows, type(self).__name__))
        low, high = float(seen.low.min()), float(seen.high.max())
        if self._has_logits() and (low < 0 or high > 1):
            raise ValueError(
                f"loss='binary_cross_entropy' needs X in [0, 1]; got values from {low:g} to "
                f"{high:g}. Scale X, e.g. with MinMaxScaler, or use another loss."
            )
        return X, rows, seen

    def _check_rows(self, X, method):
        """Return X and its rows to encode; that they are finite is checked part by part."""
        check_is_fitted(self)
        X = self._check_table(X, reset=False)
        if not is_sliced(X):
            check_same_namespace(X, self, attribute="mean_", method=method)
        return X, rows_of(X, self.net_.device)

    def _check_table(self, X, reset, **checks):
        """Return X as a table that `rows_of` takes, not yet seen to be finite."""
        X = with_numbers(X)
        is_sliced_only = is_sliced(X)
        # one that is only sliced is not read: what stands for its shape takes no memory
        table = np.broadcast_to(np.zeros((), X.dtype), X.shape) if is_sliced_only else X
        with too_large_as_value_error():
            table = validate_data(
                self,
                table,
                accept_sparse="csr",
                dtype="numeric" if is_numeric(X) else [np.float64, np.float32],
                ensure_all_finite=False,
                reset=reset,
                **checks,
            )
        return X if is_sliced_only else table

    def _check_parameters(self):
        """Check what `_parameter_constraints` cannot say."""
        name = type(self).__name__
        self._hidden_widths(n_components=1)
        self._widths("conv_filters")
        self._check_factories()
        self._torch_device()
        self._has_linear_path()
        if not isinstance(self.optimizer, str) and not is_optimizer_class(self.optimizer):
            raise InvalidParameterError(
                f"The 'optimizer' parameter of {name} must be a str among {set(OPTIMIZERS)} or a "
                f"subclass of torch.optim.Optimizer. Got {self.optimizer!r} instead."
            )
        if self.precision == "bfloat16" and not computes_in_bfloat16(self._torch_device()):
            raise ValueError(
                f"precision='bfloat16' cannot be used on device={self.device!r}, which does not "
                "compute in it. Use 'float32'."
            )
        optimizer, options = self._optimizer(n_samples=1)
        if "weight_decay" not in options and self.weight_decay not in ("auto", 0):
            raise ValueError(
                f"{optimizer.__name__} takes no weight_decay. Leave it at 'auto', or set 0."
            )
        closure = signature(optimizer.step).parameters.get("closure")
        if self.data_parallel and closure is not None and closure.default is closure.empty:
            raise ValueError(
                f"data_parallel=True cannot be used with {optimizer.__name__}, whose steps depend "
                "on the value of the loss. Use another optimizer."
            )
        for key in self.net_params or {}:
            if not isinstance(key, str):
                raise InvalidParameterError(
                    f"The keys of net_params of {name} must be str. Got {key!r} instead."
                )
            part = key.split("__")[0]
            if part in OWN_NET_PARAMS and not key.startswith("optimizer__"):
                raise ValueError(
                    f"net_params may not set {key!r}: use the parameter {OWN_NET_PARAMS[part]!r} "
                    f"of {name}."
                )

    def _hidden_widths(self, n_components):
        """Resolve `hidden_layer_sizes`."""
        if isinstance(self.hidden_layer_sizes, str) and self.hidden_layer_sizes == "auto":
            return self._automatic_widths(n_components)
        return self._widths("hidden_layer_sizes")

    @abstractmethod
    def _automatic_widths(self, n_components):
        """Return the widths of the hidden layers that suit a code size: for subclasses."""

    def _widths(self, name):
        """Return `hidden_layer_sizes` or `conv_filters` as a list of int."""
        sizes = getattr(self, name)
        widths = [sizes] if isinstance(sizes, Integral) else list(sizes)
        if not all(isinstance(width, Integral) and width >= 1 for width in widths):
            raise InvalidParameterError(
                f"The {name!r} parameter of {type(self).__name__} must be an int or a "
                f"sequence of ints, all at least 1. Got {sizes!r} instead."
            )
        return [int(width) for width in widths]

    def _checked_image_shape(self, n_features):
        """Return `image_shape` for rows of n_features, or None where there is none."""
        n_blocks = len(self._widths("conv_filters"))
        if self.image_shape is None:
            if n_blocks and None in (self.encoder, self.decoder):
                raise ValueError(
                    f"conv_filters={self.conv_filters!r} needs image_shape=(channels, height, "
                    f"width) with channels · height · width = {n_features}, the number of features."
                )
            return None
        shape = list(self.image_shape)
        open_sides = [i for i, n in enumerate(shape) if isinstance(n, Integral) and n == -1]
        if len(open_sides) == 1:  # as in numpy.reshape
            shape[open_sides[0]] = 1
        try:
            shape = list(check_image_shape(shape))
        except ValueError as error:
            raise ValueError(
                "image_shape must be three ints of at least 1, (channels, height, width), of which "
                f"one may be -1, e.g. (3, 32, 32); got {self.image_shape!r}."
            ) from error
        for side in open_sides:
            shape[side] = max(n_features // math.prod(shape), 1)
        if math.prod(shape) != n_features:
            raise ValueError(
                f"image_shape={self.image_shape!r} does not multiply to the number of features, "
                f"n_features={n_features}."
            )
        pooled_sizes(shape, n_blocks)
        return tuple(shape)

    def _check_factories(self):
        """Refuse modules where their factories are expected."""
        for name in ("encoder", "decoder"):
            factory = getattr(self, name)
            if isinstance(factory, torch.nn.Module):
                raise InvalidParameterError(
                    f"The {name!r} parameter of {type(self).__name__} must be a factory, a "
                    "callable that returns a new torch.nn.Module, or None; got a module, whose "
                    f"weights all copies of the estimator would share. Pass its class, a function "
                    f"or functools.partial. Got {factory!r} instead."
                )

    def _torch_device(self):
        """Return the device to train on as a torch device string."""
        if self.device == "auto":
            return "cuda" if torch.cuda.is_available() else "cpu"
        try:
            device = torch.device(self.device)
        except RuntimeError as error:
            raise InvalidParameterError(
                f"The 'device' parameter of {type(self).__name__} must be 'auto' or a torch device "
                f"string. Got {self.device!r} instead."
            ) from error
        try:
            torch.zeros(1, device=device).item()  # the kind of error depends on the build
        except (AssertionError, NotImplementedError, RuntimeError) as error:
            raise ValueError(
                f"device={self.device!r} cannot be used on this machine ({error}). "
                "Use device='auto' or 'cpu'."
            ) from error
        return self.device

    def _has_linear_path(self):
        """Resolve `linear_start`."""
        activations = {
            "code_activation": self.code_activation,
            "output_activation": self._last_activation(),
        }
        obstacles = [f"{name}={a!r}" for name, a in activations.items() if a != "identity"]
        squashed = [*obstacles, "loss='binary_cross_entropy'"] if self._has_logits() else obstacles
        if self.linear_start != "auto" and self.linear_start and squashed:
            raise ValueError(
                "linear_start=True needs the code and the output to be linear and the loss in "
                f"units of X; got {', '.join(squashed)}. Use linear_start='auto' or False."
            )
        return bool(self.linear_start) and not obstacles

    def _network_parameters(self):
        """Return what determines the network and what its output means."""
        return {
            "n_components": self.n_components,
            "hidden_layer_sizes": [self._hidden_widths(n) for n in (1, np.inf)],
            "activation": self.activation,
            "conv_filters": self._widths("conv_filters"),
            "image_shape": self._checked_image_shape(self.n_features_in_),
            "encoder": self.encoder,
            "decoder": self.decoder,
            "code_activation": self.code_activation,
            "output_activation": self._last_activation(),
            "linear_start": self._has_linear_path(),
            "loss": self._has_logits(),
        }

    def _is_centred(self):
        """Tell whether a textbook network sees X centred and scaled, or X itself.

        A squashing output is in units of X: it means what the user says it means.
        """
        return self.output_activation == "identity" and not self._has_logits()

    def _has_logits(self):
        """Tell whether the decoder returns logits."""
        return self.loss == "binary_cross_entropy"

    def _last_activation(self):
        """Return the activation after the decoder's last layer."""
        if not self._has_logits():
            return self.output_activation
        if self.output_activation not in ("identity", "logistic"):
            raise ValueError(
                "loss='binary_cross_entropy' takes the decoder's output for a logit and applies "
                f"the logistic function itself; got output_activation={self.output_activation!r}. "
                "Use 'identity' or 'logistic'."
            )
        return "identity"

    def _n_batch_rows(self, n_samples):
        """Resolve `batch_size`."""
        if self.batch_size == "auto":
            return max(64, min(n_samples // 100, 200), math.ceil(n_samples / self._max_steps))
        return self.batch_size

    def _n_epochs(self, n_samples):
        """Resolve `max_epochs`."""
        if self.max_epochs == "auto":
            n_batches = math.ceil(n_samples / self._n_batch_rows(n_samples))
            return int(np.clip(self._max_steps // n_batches, 1, 200))
        return self.max_epochs

    def _fitted_module(self):
        if "net_" not in vars(self):
            raise AttributeError(f"This {type(self).__name__} is not fitted yet.")
        return self.net_.module_

    @property
    def _n_features_out(self):
        return self.n_components_

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.transformer_tags.preserves_dtype = ["float32"]
        tags.input_tags.sparse = True
        tags.array_api_support = True
        return tags


@torch.no_grad()
def forward(module, rows):
    """Return module(rows), with zero rows added for the while up to a multiple of 64.

    Libraries of linear algebra choose their order of summation by the shapes, so that a
    row's last digits would depend on how many others it is passed with.
    """
    n_rows = len(rows)
    n_missing = -n_rows % ROW_MULTIPLE
    try:
        return module(padded(rows, n_missing) if n_missing else rows)[:n_rows]
    except RuntimeError as error:
        if is_out_of_memory(error):
            raise MemoryError(OUT_OF_MEMORY) from error
        raise


def is_out_of_memory(error):
    """Tell whether an error is torch's for want of memory; on a CPU that is no class of its own."""
    return isinstance(error, torch.OutOfMemoryError) or (
        isinstance(error, RuntimeError) and "DefaultCPUAllocator" in str(error)
    )


@contextmanager
def too_large_as_value_error():
    """Let a number that no float holds be a ValueError, without NumPy's warnings."""
    try:
        with np.errstate(over="ignore", invalid="ignore"):
            yield
    except OverflowError as error:
        raise ValueError(f"X has a number that is too large for a float ({error}).") from error


def is_finite_sum(values):
    """Tell whether the sum is finite: all values are then, but these can be where it is not."""
    return bool(values.sum().isfinite())


def checked_results(values, what):
    """Return what a network made of rows, or raise a ValueError if that is not finite."""
    if is_finite_sum(values) or values.isfinite().all():
        return values
    raise ValueError(
        f"The {what} of X are not finite: X has values too far from those in fit for float32."
    )


def corrupted_array(corruption, generator, rows):
    """Return a corrupted copy of an array, part by part."""
    corrupted = np.empty_like(rows)
    for part in gen_batches(len(rows), max(1, CHUNK_ENTRIES // rows.shape[1])):
        batch = as_tensor(rows[part], generator.device).float()
        corrupted[part] = corruption(batch, generator).cpu().numpy()
    return corrupted


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


def take_part(net, ranks):
    """Make a net train as one of the ranks, of which the first prints and writes."""
    net.iterator_train__ranks = net.iterator_valid__ranks = ranks
    ranks.share_state(net)
    if ranks.number:
        net.callbacks_ = [(name, quiet(c)) for name, c in net.callbacks_ if not reports(c)]


def reports(callback):
    """Tell whether a callback writes files or to the screen."""
    reporting = Checkpoint | TrainEndCheckpoint | PrintLog | ProgressBar | EpochBar
    return isinstance(callback, reporting)


def quiet(callback):
    """Return a callback, or a copy of it that does not print."""
    if not hasattr(callback, "sink"):
        return callback
    callback = copy.copy(callback)
    callback.sink = noop
    return callback


def own_random_state(random_state):
    """Return a RandomState that is never NumPy's global one."""
    return np.random.RandomState() if random_state is None else check_random_state(random_state)


def new_seed(random_state):
    """Draw a seed."""
    return int(random_state.randint(np.iinfo(np.int32).max))


@contextmanager
def as_before_on_error(estimator, trains_on):
    """Give the estimator its earlier fitted state back if the block raises.

    `trains_on` says whether the block trains the network that is there, or a new one.
    """
    before = {name: value for name, value in vars(estimator).items() if name.endswith("_")}
    checkpoint = before["net_"].checkpoint() if trains_on else None
    generator = estimator.random_state
    drawn = generator.get_state() if isinstance(generator, np.random.RandomState) else None
    try:
        with torch.inference_mode(False), torch.enable_grad():
            yield
    except BaseException as error:
        if drawn is not None:
            generator.set_state(drawn)
        for name in [name for name in vars(estimator) if name.endswith("_")]:
            delattr(estimator, name)
        vars(estimator).update(before)
        if trains_on:
            before["net_"].restore(checkpoint)
        if is_out_of_memory(error):
            raise MemoryError(OUT_OF_MEMORY) from error
        raise
