"""What all autoencoders share: the story of a fit, and the public methods."""

import copyreg
from abc import ABCMeta
from functools import partial
from numbers import Integral

import torch
from sklearn.base import BaseEstimator

from ._batches import standardize_rows
from ._callbacks import wrap_objects
from ._compat import CallbackSupportMixin, fit_context, open_callback_context
from ._correction import solve_last_layer
from ._evidence import check_groups, make_split
from ._inference import InferenceMixin
from ._isolation import isolate_torch
from ._missing import make_corruption
from ._ordering import choose_size, decorrelate_codes
from ._plan import CONSTRAINTS, make_plan
from ._random import draw_generator, make_random_state
from ._ranks import join_ranks, make_ranks
from ._rows import (
    PairedRows,
    check_clean,
    check_for_empty_columns,
    check_table,
    convert_like,
    make_rows,
    read_held_out,
    warn_of_pairs,
)
from ._saving import pack_state, restore_on_error, unpack_state, unpack_training
from ._start import make_array_corruption, start_folds, start_model, warn_of_few_rows
from ._training import EpochTasks, change_net, make_net


class BaseAutoencoder(InferenceMixin, CallbackSupportMixin, BaseEstimator, metaclass=ABCMeta):
    """Base class of the autoencoders; see `AutoencoderTransformer` for the parameters.

    A subclass assigns its parameters in `__init__` and says by `_defaults` what "auto" means.
    """

    # Where scikit-learn's HTML representation of the estimator links to.
    _doc_link_module = "sklearn_ae"
    _doc_link_template = (
        "https://sklearn-ae.readthedocs.io/en/latest/generated/"
        "{estimator_module}.{estimator_name}.html"
    )

    _parameter_constraints: dict = CONSTRAINTS
    _fixed_params: dict = {}  # parameters of other estimators that have one value here

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

        Warns
        -----
        UserWarning
            If held-out rows look like copies of others, or like parts of a series.
        """
        warn_of_pairs(X, y)
        return self._fit(X, y, groups, X_val)

    def _fit(self, X, y, groups, X_val, X_clean=None):
        """Fit to X, or to pairs of a damaged X and clean rows."""
        continues = self.warm_start and self._is_fitted()
        with restore_on_error(self, trains_on=continues):
            table = self._read_table(X, reset=not continues, X_clean=X_clean)
            X, rows, moments, plan, ranks = table
            groups = None if groups is None else check_groups(groups, len(rows))
            held_out = None if X_val is None else read_held_out(self, X_val, plan, ranks)
            random_state = ranks.agree_on(lambda: make_random_state(self.random_state))
            if continues:
                plan = self._plan_ = self._continue_with(plan, moments)
            else:
                self._make_model(X, rows, plan, moments, random_state, ranks)
            split = self._make_split(rows, held_out, groups, random_state, ranks)
            how = {"keep_start": continues or plan.has_linear_path, "train_split": split}
            if plan.solves_last_layer:
                model = self._model_
                how_corrupted = plan, model.input_units, random_state, model.fill
                corrupt = make_array_corruption(*how_corrupted)
                data = standardize_rows(rows, model)
                solve = partial(solve_last_layer, model, data, corrupt, split, ranks)
                how |= {"has_correction": plan.has_correction, "solve_last_layer": solve}
            self._net_ = self._make_net(plan, draw_generator(random_state), how)
            join_ranks(self._net_, ranks)
            self._train(rows, X, y, 0 if continues else 7)
            self.init_ = None if continues else self.init_
            self._net_.set_params(train_split=None, solve_last_layer=None)  # they hold rows
            self._net_.optimizer_.state.clear()
        return self

    @fit_context(prefer_skip_nested_validation=True)
    def partial_fit(self, X, y=None):
        """Train one epoch on a chunk of rows, at a constant learning rate.

        The first call determines `mean_`, `scale_` and the linear start from its chunk,
        which should therefore be a large and random one. Later calls go on with the optimizer,
        the batch size and the net_params of the first. No rows are held out. With
        `schedule="constant"` the learning rate is `learning_rate`, otherwise a tenth of it: the
        peak of a schedule is too high for the end of training.

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
        return self._partial_fit(X, y)

    def _partial_fit(self, X, y, X_clean=None):
        """Train one epoch on rows or pairs."""
        first = not self._is_fitted()
        with restore_on_error(self, trains_on=not first):
            table = self._read_table(X, reset=first, is_chunk=True, X_clean=X_clean)
            X, rows, moments, plan, ranks = table
            lr = plan.learning_rate if plan.schedule == "constant" else plan.learning_rate / 10
            how = {"schedule": "constant", "lr": lr, "max_epochs": 1}
            how |= {"keep_start": False, "has_correction": False, "train_split": None}
            if first:
                random_state = ranks.agree_on(lambda: make_random_state(self.random_state))
                self._make_model(X, rows, plan, moments, random_state, ranks)
                self._net_ = self._make_net(plan, draw_generator(random_state), how)
                warn_of_few_rows(plan, self.n_components_)
            else:
                plan = self._plan_ = self._continue_with(plan, moments).keep_net(self._plan_)
                corruption = make_corruption(plan, self._model_.input_units, self._model_.fill)
                change_net(self.net_, plan, corruption, how)
            join_ranks(self._net_, ranks)
            self._train(rows, X, y, 7 if first else 0)
        return self

    def _read_table(self, X, reset, is_chunk=False, X_clean=None):
        """Return X, its rows and their moments, the plan, and the processes that fit together."""
        X = check_table(self, X, reset, min_rows=2 if reset else 1)
        params = {**self._fixed_params, **self.get_params(deep=False)}
        clean = None if X_clean is None else check_clean(X_clean, X, self)
        n_outputs = None if clean is None else clean.shape[1]
        name = type(self).__name__
        plan = make_plan(name, params, self._defaults, *X.shape, is_chunk, n_outputs)
        ranks = make_ranks(plan)
        rows = make_rows(X, plan.device, name)
        if clean is not None:
            rows = PairedRows(rows, make_rows(clean, plan.device, name))
        ranks.check_same("the same X", rows.compute_fingerprint)
        moments = ranks.agree_on(rows.compute_moments)
        if reset:
            check_for_empty_columns(self, moments)
        plan = plan.note_missing(moments)
        self._check_values(rows, moments, plan)
        return X, rows, moments, plan, ranks

    def _check_values(self, rows, moments, plan):
        """Raise a ValueError if the values of X contradict the plan."""
        plan.check_range(float(moments.low.min()), float(moments.high.max()))

    def _make_model(self, X, rows, plan, moments, random_state, ranks):
        """Set the untrained model: the start where there is a linear path, else random weights."""
        units = input_units = plan.make_units(moments, rows.targets.dtype)
        if rows.targets is not rows:
            input_units = plan.make_units(moments.inputs, rows.dtype)
        seed = get_pca_seed(self, random_state)
        self._model_ = start_model(
            rows, plan, units, input_units, seed, random_state, ranks, type(self).__name__
        )
        self._plan_ = plan
        self._array_kind_ = convert_like(torch.empty(0, device="cpu"), X)
        self.n_components_ = self._model_.architecture.n_components
        self.init_ = "linear" if plan.has_linear_path else "random"

    def _continue_with(self, plan, moments):
        """Return the plan that continues the fitted model, whose range new rows may widen."""
        plan = plan.continue_from(self._plan_, getattr(self, "linear_weight", "auto"))
        if plan.missing_rate and self._model_.fill is None:
            raise ValueError(
                "X has missing values, and the X of the first fit had none, by which they could be "
                "filled. Fit with warm_start=False."
            )
        self._model_.units.widen_range(moments)
        self._model_.input_units.widen_range(moments.inputs)
        return plan

    def _make_split(self, rows, held_out, groups, random_state, ranks):
        """Return what says which rows judge the training, or None if none do."""
        model, plan, seed = self._model_, self._plan_, get_pca_seed(self, random_state)
        data, held_out = (
            table if table is None else standardize_rows(table, model) for table in (rows, held_out)
        )
        start = partial(start_folds, model, rows, plan, seed, random_state)
        return make_split(data, held_out, groups, plan, random_state, ranks, start)

    def _make_net(self, plan, generator, options):
        """Return a skorch net that trains the model."""
        corruption = make_corruption(plan, self._model_.input_units, self._model_.fill)
        return make_net(plan, self._model_, generator, corruption, options)

    def _train(self, rows, X, y, stacklevel):
        """Train on rows, report to scikit-learn's callbacks, and set the fitted attributes.

        With a `stacklevel` for warnings the size of an ordered code is chosen, too.
        """
        net = self._net_
        context = open_callback_context(self, net.max_epochs)
        context.call_on_fit_task_begin(estimator=self, X=X, y=y)
        net.callbacks_.insert(0, ("estimator_callbacks", EpochTasks(self, context, X, y)))
        try:
            with net.seed_networks():
                net.partial_fit(standardize_rows(rows, self._model_))
        finally:
            del net.callbacks_[0]
        vars(self).pop("explained_variance_ratio_", None)  # of an earlier fit
        vars(self).update(net.list_results())
        if net.has_correction:
            self.init_ = "auto"
        if self._plan_.ordered:
            decorrelate_codes(self._model_, rows)
            net.iterator_train__ranks.copy_buffers(self._model_)
            if stacklevel and self._plan_.n_components < 1:
                self._cut_code(stacklevel)
        context.call_on_fit_task_end(
            estimator=self, X=X, y=y, reconstruction_attributes=net.copy_for_inference
        )

    def _cut_code(self, stacklevel):
        """Keep the first numbers of an ordered code, as many as keep the share asked for."""
        share = self._plan_.n_components
        self.n_components_ = choose_size(self.explained_variance_ratio_, share, stacklevel)
        self.explained_variance_ratio_ = self.explained_variance_ratio_[: self.n_components_]
        self._model_ = self._model_.truncate(self.n_components_)
        vars(self._net_).update(module_=self._model_)

    @property
    @isolate_torch()
    def net_(self):
        """The skorch net; of a loaded estimator it is made when it is first asked for."""
        net = self._get_fitted("_net_")
        if isinstance(net, dict):
            self._plan_ = self._plan_.make_importable(self.net_params)
            device = str(self._model_.get_device())
            how = {"device": device, "keep_start": False, "train_split": None}
            saved, net = net, self._make_net(self._plan_, torch.Generator(), how)
            unpack_training(net, saved)
            self._net_ = net
        return net

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


def get_pca_seed(estimator, random_state):
    """Return what seeds the PCA of the start; an int does so as it would seed PCA itself."""
    seed = estimator.random_state
    return seed if isinstance(seed, Integral) else random_state
