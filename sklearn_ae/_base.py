"""What all autoencoders share: the story of a fit, and the public methods."""

import copy
import copyreg
import math
import warnings
from abc import ABCMeta
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import partial
from numbers import Integral

import numpy as np
import torch
from sklearn.base import BaseEstimator, ClassNamePrefixFeaturesOutMixin, TransformerMixin, clone
from sklearn.exceptions import ConvergenceWarning, UndefinedMetricWarning
from sklearn.utils.validation import check_is_fitted

from ._compat import (
    CallbackSupportMixin,
    check_same_namespace,
    fit_context,
    open_callback_context,
    warn_user,
)
from ._isolation import isolate_torch, make_random_state
from ._model import OUT_OF_MEMORY, is_out_of_memory, make_result
from ._plan import (
    CONSTRAINTS,
    OptionsMixin,
    check_for_empty_columns,
    make_plan,
    resolve_device,
    warn_of_few_rows,
    warn_of_units,
)
from ._ranks import make_ranks
from ._rows import (
    Table,
    check_codes,
    check_groups,
    check_table,
    convert_like,
    is_sliced_on_disk,
    make_rows,
)
from ._saving import pack_state, unpack_state, wrap_objects
from ._start import find_fill, start_model
from ._task import Corrupt, HideEntries, Reconstruct
from ._training import EpochTasks, explain_interrupt, train
from ._trials import make_trial
from ._units import Units

CODE_KINDS = {False: "plain", True: "ordered"}  # by the parameter `ordered`

FEATURE_NAMES = ("n_features_in_", "feature_names_in_")  # what scikit-learn sets as it reads X


# From this code size on, a second hidden layer still lowers the reconstruction error, but
# classifiers are less accurate on its codes.
ONE_LAYER_FROM = 8


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
    masking_rate : float
        Share of the entries that are replaced by their means in training.
    cross_fits : bool
        Whether a share held out would prove too little.
    always_corrects : bool
        Whether the start is proposed with the decoder's last layer in closed form for any number of
        rows, and not only where `cross_fits`: with many rows features that are learnt are
        better than random ones.
    """

    max_rows: float
    max_steps: int
    hidden_layer_sizes: tuple
    linear_weight: float = 0.0
    masking_rate: float = 0.0
    cross_fits: bool = False
    always_corrects: bool = False

    def widen(self, min_width, share_of_steps):
        """Return defaults for networks that do the work of many.

        Their first layer is wide for any code size, and their second half as wide. Large tables
        need fewer steps. No entries are masked: fewer components are noise enough.
        """
        (_, (width, *_)), *_ = self.hidden_layer_sizes
        width = max(width, min_width)
        n_steps = self.max_steps if self.cross_fits else share_of_steps * self.max_steps
        widths = ((math.inf, (width, width // 2)),)
        return replace(
            self.leave_whole(),
            max_steps=int(n_steps),
            hidden_layer_sizes=widths,
            linear_weight=min(self.linear_weight, 0.1),
        )

    def leave_whole(self):
        """Return defaults without masking, for networks whose task keeps codes useful by itself."""
        return replace(self, masking_rate=0.0)


class BaseAutoencoder(
    OptionsMixin,
    CallbackSupportMixin,
    ClassNamePrefixFeaturesOutMixin,
    TransformerMixin,
    BaseEstimator,
    metaclass=ABCMeta,
):
    """Base class of the autoencoders; see `AutoencoderTransformer` for the parameters.

    A subclass assigns its parameters in `__init__`, says by `_list_defaults` what "auto" means and
    by `_get_settings` which parameters it lacks, and may make another task.
    """

    # Where scikit-learn's HTML representation of the estimator links to.
    _doc_link_module = "sklearn_ae"
    _doc_link_template = (
        "https://sklearn-ae.readthedocs.io/en/latest/generated/"
        "{estimator_module}.{estimator_name}.html"
    )

    _parameter_constraints: dict = CONSTRAINTS

    # ------------------------------------------------------------------ training

    @fit_context(prefer_skip_nested_validation=True)
    def fit(self, X, y=None, *, groups=None, X_val=None):
        """Fit the autoencoder to X.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
            At least two rows. NaN is a missing value: see :doc:`/user_guide/missing`. Arrays keep
            their dtype, bytes of images for example, and are cast batch by batch. A `numpy.memmap`,
            or an array of h5py or zarr, is read in batches and never as a whole. CSR is the best
            sparse format; only batches are ever dense. With scikit-learn's array API dispatch
            tensors are accepted, too.
        y : object, default=None
            Ignored; here for scikit-learn's convention.
        groups : array-like of shape (n_samples,), default=None
            Label of the group of each row: the subject, the series. A group is never both
            trained on and held out.
        X_val : {array-like, sparse matrix} of shape (n_validation_samples, n_features), \
                default=None
            At least two rows to hold out, new ones of the same kind. All rows of X are then
            trained on, and `groups` has no effect.

        Returns
        -------
        self : object
            The fitted estimator.

        Raises
        ------
        ValueError
            If a parameter is outside its range, if parameters contradict each other or
            X, if a custom network returns another shape than it should, if X is not an
            array of numbers with two rows or more, if it has infinite numbers or a column of NaN
            only, if X_val is not like X, if groups has not one label for each row, or if all rows
            are of one group. The estimator is then as it was before.
        TypeError
            If a factory does not return a `torch.nn.Module`.
        ImportError
            If a loaded estimator trains with an object whose package is missing.
        MemoryError
            If the device has too little memory.
        KeyboardInterrupt
            After Ctrl-C. The estimator then holds the best epoch so far, judged as always, and a
            note of the error says so; before the end of the first epoch, or if it was fitted before
            and has no better epoch, it is as it was.

        Warns
        -----
        UserWarning
            If held-out rows look like copies of others, or like parts of a series.
        """
        warn_of_pairs(X, y)
        return self._fit(X, y, groups, X_val)

    def _fit(self, X, y, groups=None, X_val=None, y_val=None, X_clean=None, is_chunk=False):
        """Fit to X, or to pairs of a damaged X and clean rows, or train on a chunk of them."""
        with undo_on_error(self.random_state), isolate_torch():
            goes_on = self._is_fitted() and (is_chunk or self.warm_start)
            table = self._read_table(X, not goes_on, groups, X_val, X_clean)
            if is_chunk and goes_on and not table.moments.observed_share:
                return self  # nothing to learn from
            self._read_targets(table, y, y_val, not goes_on)
            plan = make_plan(self, table, self._plan_ if goes_on else None, is_chunk)
            random_state = table.ranks.agree_on(lambda: make_random_state(self.random_state))
            # an int seeds the PCA of the start as it would seed PCA itself
            seed = self.random_state if isinstance(self.random_state, Integral) else random_state
            # what is trained is a copy: an error leaves the estimator as it was
            model = copy.deepcopy(self._model_) if goes_on else None
            task = self._make_task(table, plan, model, seed)
            if model is None:
                warn_of_units(table, plan)
                name = self._public_name
                model = start_model(task, plan, seed, random_state, table.ranks, name)
            if is_chunk and not goes_on:
                warn_of_few_rows(plan, model.architecture.n_components)
            net, training = None, None
            if goes_on and is_chunk:
                net, training = self.net_, self._training_.copy()
            training = table.ranks.share_training(model, training)
            trial = make_trial(model, task, plan, table, seed, random_state, training)
            with self._follow_epochs(table, y, plan, trial) as follower:
                training, found = train(trial, plan, follower, net, training)
            found["init_"] = trial.name_start() if not goes_on else self.init_ if is_chunk else None
            fitted = self._list_results(table, plan, trial, training, found)
            if trial.interrupt is not None and not training.best_epoch and self._is_fitted():
                raise trial.interrupt
        # all at once and last: nothing that could raise an error comes after it
        self.__dict__ = fitted
        if trial.interrupt is not None:
            raise explain_interrupt(trial.interrupt, training)
        return self

    @fit_context(prefer_skip_nested_validation=True)
    def partial_fit(self, X, y=None):
        """Train one epoch on a chunk of rows, at a constant learning rate.

        The first call determines `mean_`, `scale_` and the linear start from its chunk,
        which should therefore be a large and random one. Later calls go on with the optimizer,
        the batch size and the net_params of the first. No rows are held out. With
        `schedule="constant"` the learning rate is `learning_rate`, otherwise a tenth of it: the
        peak of a schedule is too high for the end of training. What is a statistic of rows, such
        as `noise_variance_`, is that of all chunks; a later chunk without any value changes
        nothing.

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
        warn_of_pairs(X, y)
        return self._fit(X, y, is_chunk=True)

    def _read_table(self, X, reset, groups=None, X_val=None, X_clean=None):
        """Return the `Table` of what `fit` is given; the estimator stays as it is."""
        # scikit-learn sets number and names of features at what it is given
        stand_in = object.__new__(type(self))
        vars(stand_in).update(vars(self))
        name = self._public_name
        X = check_table(stand_in, X, reset, min_rows=2 if reset else 1)
        if X_val is not None and not self.early_stopping:
            raise ValueError(
                "X_val is held out for early stopping, and early_stopping is False. Set "
                "early_stopping=True, or pass no X_val."
            )
        # rows are read on the device of the fit
        device = resolve_device(self.device, name)
        settings = self._get_settings()
        has_custom_networks = bool(settings["encoder"] or settings["decoder"])
        ranks = make_ranks(settings["data_parallel"], device, has_custom_networks)
        names = {n: vars(stand_in)[n] for n in FEATURE_NAMES if n in vars(stand_in)}
        table = self._make_table(X, make_rows(X, device, name), ranks, names, X_clean)
        ranks.check_same("the same X", table.compute_fingerprint)
        if groups is not None:
            table.groups = check_groups(groups, len(table))
        if X_val is not None:
            table.held_out = read_held_out(stand_in, X_val, device)
            ranks.check_same("the same X_val", table.held_out.compute_fingerprint)
        if reset:
            check_for_empty_columns(table)
        return table

    # ------------------------------------------------- what an estimator may say of itself

    @property
    def _public_name(self):
        """The name of the class by which the user knows this estimator."""
        return type(self).__name__

    def _make_table(self, X, rows, ranks, names, X_clean):
        """Return the `Table` of checked rows."""
        return Table(X, rows, ranks, names)

    def _read_targets(self, table, y, y_val, reset):
        """Add what the code of each row should keep, too, to a table."""

    def _get_settings(self):
        """Return the parameters that a plan needs, and the values of those that are lacking."""
        params = self.get_params(deep=False)
        return {"beta": None, "masking_rate": 0.0, "code": CODE_KINDS[self.ordered], **params}

    def _list_defaults(self, table):
        """Return the `Defaults` for a table, by ascending numbers of rows."""
        return self._defaults

    def _choose_corruption(self):
        """Return what makes the corruption of training rows, given their units, or None."""

    def _make_task(self, table, plan, model, seed):
        """Return what is learnt from a table.

        Parameters
        ----------
        table : Table
        plan : Plan
        model : Model or None
            That is trained further; None for a new one.
        seed : int or RandomState
            For the sample of rows by which missing values are filled.
        """
        make_corruption = self._choose_corruption()
        if model is None:
            units, fill = self._make_units(table.rows, table.moments, plan), None
        else:
            units, fill = model.units, model.fill
            units.widen_range(table.moments)
        # as many entries are hidden in training as are missing
        rate = 1 - table.moments.observed_share
        if rate and model is None:
            fill = find_fill(table, units, seed)
        if fill is not None:
            return HideEntries(table.rows, units, rate, fill, make_corruption)
        if rate:
            raise ValueError(
                "X has missing values, and the X of the first fit had none, by which they could be "
                f"filled. {plan.way_out}"
            )
        kind = Corrupt if make_corruption else Reconstruct
        return kind(table.rows, units, make_corruption)

    def _make_units(self, rows, moments, plan):
        """Return new units for some `Rows` and their `Moments`."""
        return Units.from_moments(moments, rows.dtype, plan.standardizes, plan.has_logits)

    # ----------------------------------------------------------------- the end of a fit

    @contextmanager
    def _follow_epochs(self, table, y, plan, trial):
        """Yield a skorch callback that tells scikit-learn's callbacks of the epochs."""
        context = open_callback_context(self, plan.max_epochs)
        context.call_on_fit_task_begin(estimator=self, X=table.X, y=y)

        def copy_fitted():
            # an estimator as if training had ended here, for callbacks that ask for one
            return self._list_fitted(table, plan, copy.deepcopy(trial.model))

        yield EpochTasks(self, context, table.X, y, copy_fitted)
        # an error in a callback, too, leaves the estimator as it was
        context.call_on_fit_task_end(
            estimator=self, X=table.X, y=y, reconstruction_attributes=copy_fitted
        )

    def _list_fitted(self, table, plan, model):
        """Return the fitted attributes of a model, by name."""
        return {
            **table.names,
            "_plan_": plan,
            "_model_": model,
            "_array_kind_": convert_like(torch.empty(0), table.X),
            "n_components_": model.architecture.n_components,
        }

    def _list_results(self, table, plan, trial, training, found):
        """Return all attributes of the estimator after a fit: those of an earlier one go."""
        if training.diverged:
            warn_diverged(len(training.history), training.best_epoch)
        results = training.list_results(trial.objective, trial.solved_loss)
        fitted = self._list_fitted(table, plan, trial.model) | results | found
        others = {name: value for name, value in vars(self).items() if not name.endswith("_")}
        return {**others, **fitted, "_training_": training}

    # ------------------------------------------------------------- the fitted estimator

    def _is_fitted(self):
        """Tell whether there is a fitted model."""
        return "_model_" in vars(self)

    def _get_fitted(self, name):
        """Return a private attribute, or raise an AttributeError if the estimator is not fitted."""
        if not self._is_fitted():
            raise AttributeError(f"This {type(self).__name__} is not fitted yet.")
        return vars(self)[name]

    @property
    @isolate_torch()
    def net_(self):
        """The skorch net; it is made when it is asked for if there is none that trained."""
        training, model = self._get_fitted("_training_"), self._model_
        # a loaded estimator may be on another device than that of the fit
        plan = replace(self._plan_, device=str(model.get_device()))
        return training.net or training.find_net(model, plan.make_importable(self.net_params))

    @property
    def encoder_(self):
        """The network that maps standardised rows u to codes z."""
        return self._get_fitted("_model_").encoder

    @property
    def decoder_(self):
        """The network that maps codes z to standardised rows û."""
        return self._get_fitted("_model_").decoder

    @property
    def mean_(self):
        """Mean of each feature, or zeros where the network sees X itself."""
        return convert_like(self._get_fitted("_model_").units.mean, self._array_kind_)

    @property
    def scale_(self):
        """Square root of the mean variance, or 1 where the network sees X itself."""
        return self._get_fitted("_model_").units.scale

    @property
    def _n_features_out(self):
        return self.n_components_

    @isolate_torch()
    def truncated(self, n_components):
        """Return a fitted autoencoder whose code is the first numbers of this one.

        It shares the weights, until one of the two is trained further. `clone` of it is not fitted
        and has that `n_components`.

        Parameters
        ----------
        n_components : int
            At least 1 and at most `n_components_`.

        Returns
        -------
        estimator : object
            Its `transform(X)` is ``transform(X)[:, :n_components]`` of this estimator. Its curves
            and losses are those of this one.

        Raises
        ------
        NotFittedError
            If this estimator is not fitted.
        ValueError
            If the code is not ordered, or has not so many numbers.

        Examples
        --------
        >>> from sklearn.datasets import load_iris
        >>> from sklearn_ae import AutoencoderTransformer
        >>> X, _ = load_iris(return_X_y=True)
        >>> ordered = AutoencoderTransformer(3, ordered=True, random_state=0).fit(X)
        >>> ordered.truncated(2).transform(X).shape
        (150, 2)
        """
        check_is_fitted(self)
        model = self._model_.truncate(n_components)
        n_components = model.architecture.n_components
        architecture = replace(self._plan_.architecture, n_components=n_components)
        fitted = {name: value for name, value in vars(self).items() if name.endswith("_")}
        fitted |= {
            "_plan_": replace(self._plan_, architecture=architecture),
            "_model_": model,
            "_training_": self._training_.copy(),
            "n_components_": n_components,
            "explained_variance_ratio_": self.explained_variance_ratio_[:n_components],
        }
        other = clone(self).set_params(n_components=n_components)
        vars(other).update(fitted)
        return other

    @isolate_torch()
    def transform(self, X):
        """Encode X.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)

        Returns
        -------
        codes : ndarray of shape (n_samples, n_components), float32
            With array API dispatch an array of the library and on the device of X, as are the
            results of all methods.
        """
        X, rows = self._check_rows(X, "transform")
        codes = make_result(X, torch.float32, len(rows), self.n_components_)
        return convert_like(self._model_.map_rows(self._model_.encode, rows, codes), X)

    @isolate_torch()
    def inverse_transform(self, X):
        """Decode codes.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_components)
            Codes, as `transform` returns them; of an ordered code also only the first columns.

        Returns
        -------
        X_original : ndarray of shape (n_samples, n_features)
            float64 where `fit` saw float64, or integers of 32 bits and more, else float32.
        """
        check_is_fitted(self)
        check_same_namespace(X, self, attribute="mean_", method="inverse_transform")
        codes = check_codes(self, X, self._model_.code.is_ordered)
        rows = self._model_.make_rows(codes)
        decode = partial(self._model_.decode, clip=self.clip)
        decoded = make_result(
            codes, self._model_.get_dtype(), len(rows), self._model_.architecture.n_outputs
        )
        return convert_like(self._model_.map_rows(decode, rows, decoded), codes)

    @isolate_torch()
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
        reconstruct = partial(self._model_.reconstruct, clip=self.clip)
        shape = len(rows), self._model_.architecture.n_outputs
        decoded = make_result(X, self._model_.get_dtype(), *shape)
        return convert_like(self._model_.map_rows(reconstruct, rows, decoded), X)

    @isolate_torch()
    def score_samples(self, X):
        """Return minus the mean squared reconstruction error of each row.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)

        Returns
        -------
        scores : ndarray of shape (n_samples,), float64
            In squared units of X; the lower, the less a row is like those in `fit`. NaN for a row
            without any value.
        """
        X, rows = self._check_rows(X, "score_samples")
        compute_scores = partial(self._model_.compute_scores, clip=self.clip)
        scores = make_result(X, torch.float64, len(rows))
        return convert_like(self._model_.map_rows(compute_scores, rows, scores), X)

    @isolate_torch()
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
                stacklevel=3,
            )
            return float("nan")
        return self._model_.compute_r2(rows, self.clip)

    def _check_rows(self, X, method):
        """Return X and its rows to encode, which are checked for finiteness part by part."""
        check_is_fitted(self)
        X = check_table(self, X, reset=False)
        if not is_sliced_on_disk(X):
            check_same_namespace(X, self, attribute="mean_", method=method)
        return X, self._model_.make_rows(X)

    # -------------------------------------------------------------------- saving

    def __getstate__(self):
        """Return parameters and fitted attributes for saving, the networks as arrays."""
        return pack_state(super().__getstate__(), self.warm_start)

    def __reduce_ex__(self, protocol):
        """Pickle the state so that it loads without the packages of skorch callbacks.

        skops, which shall load no pickle, saves the state itself.
        """
        return copyreg.__newobj__, (type(self),), wrap_objects(self.__getstate__())

    @isolate_torch()
    def __setstate__(self, state):
        """Set what was saved; the model is made again on this machine's device.

        Raises
        ------
        ValueError
            If the file is damaged, or in the format of another release.
        """
        super().__setstate__(unpack_state(state))

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.transformer_tags.preserves_dtype = ["float32"]
        tags.input_tags.sparse = True
        tags.input_tags.allow_nan = True
        tags.array_api_support = True
        return tags


@contextmanager
def undo_on_error(random_state):
    """Restore a user's RandomState if the block raises, and name a lack of memory."""
    drawn = random_state.get_state() if isinstance(random_state, np.random.RandomState) else None
    try:
        yield
    except BaseException as error:
        if drawn is not None:
            random_state.set_state(drawn)
        if is_out_of_memory(error):
            raise MemoryError(OUT_OF_MEMORY) from error
        raise


def read_held_out(estimator, X_val, device):
    """Return the rows that the user holds out, which must be like those of X."""
    try:
        X_val = check_table(estimator, X_val, reset=False, min_rows=2)
    except ValueError as error:
        raise ValueError(f"X_val must have rows like those of X. {error}") from error
    return make_rows(X_val, device, type(estimator).__name__)


def warn_of_pairs(X, y):
    """Warn of a y that is shaped like X, as clean rows in Keras's ``fit(noisy, clean)`` are."""
    if y is None or isinstance(y, str):
        return
    # of containers of any library, without converting them
    shapes = [np.shape(t) if isinstance(t, list) else getattr(t, "shape", None) for t in (X, y)]
    are_equal = shapes[0] is not None and tuple(shapes[0]) == tuple(shapes[1] or ())
    if are_equal and len(shapes[0]) == 2 and shapes[0][1] > 1:
        warn_user(
            "y has the shape of X and is ignored: rows of X are not restored to rows of y. "
            "Pass clean rows as DenoisingAutoencoder().fit(X, X_clean=...)."
        )


def warn_diverged(epoch, kept_epoch):
    """Warn that the loss of an epoch is not finite."""
    kept = f"of epoch {kept_epoch}" if kept_epoch else "from before training"
    warn_user(
        f"The loss stopped being finite in epoch {epoch}; the weights {kept} are kept. "
        "Try a lower learning_rate, or scale X, e.g. with StandardScaler.",
        ConvergenceWarning,
    )
