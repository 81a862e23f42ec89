"""The denoising autoencoder."""

from dataclasses import replace
from functools import partial
from math import inf
from numbers import Real

import torch
from sklearn.utils.validation import check_is_fitted

from ._base import BaseAutoencoder, Defaults, warn_of_pairs
from ._compat import Interval, StrOptions, fit_context, warn_user
from ._isolation import isolate_torch
from ._rows import PairTable, RunningMoments, check_clean, convert_like, make_rows
from ._task import Restore
from .corruption import _CORRUPTIONS, _call_corruption, _check_corruption, _make_corruption

LARGEST_NOISE = 1e12  # in standard deviations of X, of which float32 would keep nothing


class PairsMixin:
    """Fit and score of an autoencoder that takes pairs of damaged and clean rows."""

    @fit_context(prefer_skip_nested_validation=True)
    def fit(self, X, y=None, *, groups=None, X_val=None, X_clean=None):
        """Fit the autoencoder to clean rows, or to pairs of damaged and clean ones.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
            Clean rows, which are corrupted in training; with `X_clean` the damaged rows. Otherwise
            as in `AutoencoderTransformer.fit`.
        y : object, default=None
            Ignored; here for scikit-learn's convention.
        groups : array-like of shape (n_samples,), default=None
            Label of the group of each row: the subject, the series. A group is never both
            trained on and held out.
        X_val : {array-like, sparse matrix} of shape (n_validation_samples, n_features), \
                default=None
            At least two clean rows to hold out. All rows of X are then trained on, and `groups`
            has no effect. Not for pairs.
        X_clean : {array-like, sparse matrix} of shape (n_samples, n_outputs), default=None
            What each row of X should become: it may have other columns than X, as a grey picture
            and its colours do. `inverse_transform` and `reconstruct` then return rows like those of
            X_clean, and `mean_` and `scale_` are theirs. The start is the reduced-rank regression
            of X_clean on X. No corruption is added, unless `corruption` names one.

        Returns
        -------
        self : object
            The fitted estimator.

        Raises
        ------
        ValueError
            As in `AutoencoderTransformer.fit`, or if X_clean has not one row for each row of X.

        Warns
        -----
        UserWarning
            As in `AutoencoderTransformer.fit`, or if data frames X and X_clean have the same labels
            in another order.
        """
        warn_of_pairs(X, y)
        if X_clean is not None and X_val is not None:
            raise ValueError(
                "X_val cannot be used with X_clean: held-out rows would need clean rows of their "
                "own. Pass all pairs as X and X_clean, of which some are held out."
            )
        warn_of_order(X, X_clean)
        return self._fit(X, y, groups, X_val, X_clean=X_clean)

    @fit_context(prefer_skip_nested_validation=True)
    def partial_fit(self, X, y=None, *, X_clean=None):
        """Train one epoch on a chunk of rows or pairs, at a constant learning rate.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
            As in `AutoencoderTransformer.partial_fit`; with `X_clean` the damaged rows.
        y : object, default=None
            Ignored; here for scikit-learn's convention.
        X_clean : {array-like, sparse matrix} of shape (n_samples, n_outputs), default=None
            What each row of X should become, as in `fit`.

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
        warn_of_order(X, X_clean)
        return self._fit(X, y, X_clean=X_clean, is_chunk=True)

    @isolate_torch()
    def score(self, X, y=None, *, X_clean=None):
        """Return R² of the reconstruction of X, or how well X is restored.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
        y : object, default=None
            Ignored; here for scikit-learn's convention.
        X_clean : {array-like, sparse matrix} of shape (n_samples, n_outputs), default=None
            What each row of X should become. None compares with X itself.

        Returns
        -------
        score : float
            `sklearn.metrics.r2_score` with ``multioutput="variance_weighted"``; at most 1.

        Raises
        ------
        ValueError
            If X_clean is None and reconstructions have other columns than X.
        """
        if X_clean is None:
            self._check_columns("score")
            return super().score(X)
        # R² of all rows is no mean of the R² of parts, so sums are added up.
        sums = RunningMoments()
        for clean, restored in self._restore_pairs(X, X_clean, "score"):
            sums.add(clean, restored)
        return sums.compute().compute_r2()

    @isolate_torch()
    def score_samples(self, X, *, X_clean=None):
        """Return minus the mean squared error of each row that is restored.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
        X_clean : {array-like, sparse matrix} of shape (n_samples, n_outputs), default=None
            What each row of X should become. None compares with X itself.

        Returns
        -------
        scores : ndarray of shape (n_samples,), float64
            In squared units of X, or of X_clean.

        Raises
        ------
        ValueError
            If X_clean is None and reconstructions have other columns than X.
        """
        if X_clean is None:
            self._check_columns("score_samples")
            return super().score_samples(X)
        parts = self._restore_pairs(X, X_clean, "score_samples")
        # float64: the square of a large number can be too large for float32.
        errors = [(clean - restored.double()).square().mean(dim=1) for clean, restored in parts]
        return convert_like(-torch.cat(errors), X)

    def _check_columns(self, method):
        """Raise a ValueError if reconstructions cannot be compared with X."""
        check_is_fitted(self)
        n_outputs = self._model_.architecture.n_outputs
        if n_outputs != self.n_features_in_:
            raise ValueError(
                f"{method} needs X_clean: rows of {self.n_features_in_} features are restored to "
                f"rows of {n_outputs} columns, which X does not have."
            )

    def _restore_pairs(self, X, X_clean, method):
        """Yield the clean rows of pairs and the restored ones, part by part."""
        X, rows = self._check_rows(X, method)
        clean = make_rows(check_clean(X_clean, X, self), rows.device, type(self).__name__)
        n_outputs = self._model_.architecture.n_outputs
        if clean.shape[1] != n_outputs:
            raise ValueError(
                f"X_clean has {clean.shape[1]} columns, but rows are restored to {n_outputs}."
            )
        # A pass before the first part: NaN in one of the tables gets the message that `fit` has.
        check_pairs(rows.compute_moments(), clean.compute_moments())
        for part, block in self._model_.read_parts(rows):
            yield clean.read(part), self._model_.reconstruct(block, self.clip)


class DenoisingAutoencoder(PairsMixin, BaseAutoencoder):
    """Autoencoder trained to restore rows from corrupted copies of them.

    `reconstruct` restores corrupted rows, and `transform` returns codes that change little
    under noise [1]_. The network is that of `AutoencoderTransformer`, but it starts at the
    best linear restoration: the reduced-rank regression [2]_ of clean rows on corrupted rows.
    For Gaussian noise this is PCA with each component shrunk by its share of signal, as in a
    Wiener filter.

    Parameters
    ----------
    n_components : int, float or None, default=None
        Number of code units. A float in (0, 1) selects the fewest components with which the
        linear start explains that share of the variance that it can restore with all
        components; with ``ordered=True`` the fewest with which the autoencoder keeps that share of
        the variance of rows that are held out. None is min(32, n_features). May exceed n_features.

    ordered : bool, default=False
        Whether the code is ordered as that of PCA is: its first k numbers are a code of size k, for
        every k. `truncated` returns the autoencoder with that code size, and `inverse_transform`
        takes the first k columns of codes. In training each row is decoded from its whole code and
        from its first numbers, as many as are drawn [7]_. After training the numbers are made
        uncorrelated on X, without loss, if `code_activation` is "identity". Held-out rows judge by
        the mean loss over the sizes 1, 2, 4, … and `n_components`; at none of these may it be more
        than 0.001 worse than PCA, in variances of X. Reconstructions are a little worse than
        those of a fit for one size. A custom decoder is not told how many numbers are given.
        The other values of "auto" are those of an ordered `AutoencoderTransformer`.

    corruption : {"auto", "gaussian", "masking", "salt_and_pepper"} or callable, default="auto"
        Corruption of the training rows, drawn anew in each batch. One row in ten of a batch
        stays clean, so that clean rows and their corrupted copies get similar codes. "auto" is
        "gaussian", and none where `fit` is given pairs. "gaussian" adds normal noise; "masking"
        sets entries to the mean of their feature; "salt_and_pepper" sets entries to the lowest or
        the highest value of X with equal probability. A callable takes a float32 tensor of rows in
        units of X and a `torch.Generator`, both on `device`. It returns a corrupted tensor of the
        same shape, dtype and device. Before training, `fit` calls it once on two rows to check
        this. `sklearn_ae.corruption` has ready-made callables. Unlike the built-in corruptions, a
        callable receives X rounded to float32, which loses precision if X has a large offset.

    corruption_level : float, default=0.5
        For "gaussian" the standard deviation of the noise, in units of X; for "masking"
        and "salt_and_pepper" the share of entries, in [0, 1]. Ignored with a callable.

    corruption_range : (float, float) or None, default=None
        Lowest and highest value to which corrupted rows are clipped: (0, 1) for images with
        values in [0, 1].

    hidden_layer_sizes : array-like of int, int or "auto", default="auto"
        Widths of the hidden layers of the encoder; the decoder mirrors them. ``()`` for none.
        "auto" is (1024,), or (256,) for tables of at most 600 rows and 1,000 features.

    activation : {"relu", "gelu", "silu", "tanh", "logistic", "identity"}, default="relu"
        Activation of the hidden layers.

    code_activation : {"identity", "relu", "gelu", "silu", "tanh", "logistic"}, \
            default="identity"
        Activation of the code.

    output_activation : {"identity", "logistic", "tanh", "relu"}, default="identity"
        Activation of the output. Unless it is "identity", the network receives and returns X
        itself: X is neither centred nor scaled, and must lie in the range of the activation.
        For "binary_cross_entropy", "logistic" is the same as "identity".

    conv_filters : array-like of int or int, default=()
        Filters of the convolutional blocks, which come before the dense layers. A block is a
        3 by 3 convolution, the activation and 2 by 2 max pooling, which halves height and
        width, rounding up. The decoder mirrors the blocks: nearest-neighbour upsampling to
        the previous size, then a convolution. ``()`` for none.

    image_shape : array-like of three int or None, default=None
        Channels, height and width of the image that each row of X holds in C order. Required
        with `conv_filters`; also used by the Displays of `sklearn_ae.inspection`. One of the
        three may be -1 and is then inferred, as in `numpy.reshape`. Signals have a height of
        one: ``(channels, 1, length)``. Channels last is an error.

    encoder : callable or None, default=None
        Factory of a custom network that replaces the hidden layers and convolutions of the
        encoder: ``encoder(n_features, n_components)`` returns a new `torch.nn.Module` that maps
        float32 tensors of shape (n, n_features) to (n, n_components). Pass a class or a
        function, not a module instance; the factory returns a new network each time, with no
        part that another network has. The network receives u and plays the part of f: each
        of its outputs is multiplied by a trainable factor that starts at zero. Without the
        linear path the network is the whole encoder, followed by `code_activation`. To pickle
        the estimator, the factory must be importable. In threads, fits with custom networks
        run one at a time: they draw from torch's global generators, which are seeded for the
        fit and restored afterwards.

    decoder : callable or None, default=None
        Factory of a custom network for the decoder, g: ``decoder(n_components, n_features)``,
        as for `encoder`. The network receives the codes divided by their root mean square at
        the start, or the codes themselves without the linear path. For "binary_cross_entropy"
        it returns logits.

    init : {"auto", "linear", "random"}, default="auto"
        How the weights start. "linear": the linear path is the best linear map, and f and g are
        zero. "auto": the same, or, if that is better, with a correction in closed form: the last
        layer of g is the ridge regression of what the linear path leaves, u - V z, on the random
        hidden units of g [6]_. It is for dense decoders and tables that are cross-fitted
        (`validation_fraction`), and for larger ones if nothing is trained (``max_epochs=0``). It is
        kept if rows that are new to it show by the test of `early_stopping` that it helps, and no
        epoch is better. With ``early_stopping=False`` there is no such test and no correction,
        unless nothing is trained. After training, "auto" solves the last layer of a dense decoder
        again, and keeps the result if it is the best on rows that are held out. If code or output
        are not linear, "auto" is "random", and "linear" is an error. For "binary_cross_entropy" the
        linear path computes logits, and "auto" starts at slope · (x̂ - ½), with the slope that
        minimises the cross-entropy. "random": a textbook autoencoder without linear path, with the
        initialisation of He et al. [3]_ or Glorot and Bengio [4]_, depending on the activation.

    loss : {"squared_error", "absolute_error", "huber", "binary_cross_entropy"}, \
            default="squared_error"
        Loss to minimise. "huber" is quadratic for errors up to `scale_` and linear beyond.
        "binary_cross_entropy" needs X in [0, 1]; the decoder then returns logits and
        `inverse_transform` returns probabilities.

    optimizer : {"adam", "adamw", "sgd"} or torch.optim.Optimizer subclass, default="adam"
        Optimizer. "sgd" uses Nesterov momentum of 0.9. With the linear path, ``eps`` of "adam"
        and "adamw" is 0.001 / n_features.

    linear_weight : float or "auto", default="auto"
        Weight of the loss of the linear path alone, V z, which training adds to the loss. It keeps
        the code readable for linear models, and reconstructions are a little worse. Without a
        linear path it has no effect. "auto" is 0.5 in `AutoencoderTransformer` for tables of up to
        2,000 rows and 1,000 features (0.1 if the code is ordered), and 0 otherwise.

    learning_rate : float, default=0.002
        Learning rate at the peak of the schedule.

    schedule : {"one_cycle", "cosine", "constant"}, default="one_cycle"
        Learning rate schedule over the steps of `max_epochs`. "one_cycle" rises and falls along
        cosines [5]_; "cosine" only falls. Use "constant" if a skorch callback sets the
        learning rate.

    weight_decay : float or "auto", default="auto"
        L2 penalty of the optimizer. With the linear path it applies to f and g only, and so
        shrinks the network towards its linear path. "auto" is 0.3 / n_samples with the linear
        path and 0 without it.

    batch_size : int or "auto", default="auto"
        Rows per training step, at most: the batches of an epoch are about equally large. "auto" is
        n_samples / 100, but at least 64 and at most 400, and more only if an epoch would otherwise
        have more than 3,600 steps.

    max_epochs : int or "auto", default="auto"
        Passes over the training rows. "auto" allows at most 3,600 steps, or 1,200 for tables of at
        most 600 rows and 1,000 features. It is that number divided by the number of batches in
        n_samples, but at least 1 and at most 200. 0 keeps the untrained start.

    early_stopping : bool, default=True
        Stop after `n_iter_no_change` epochs without improvement on rows that are new to the
        network, and keep the weights of the best epoch. With the linear start, the best epoch
        replaces epoch 0 only if its loss on these rows is lower than that of the linear start by a
        paired one-sided t-test at the level of 0.001, and lower than that of epoch 0. Equal rows
        are together, and count as one; so do those of a group, if `fit` is given `groups`. Without
        early stopping the weights of the last epoch are kept, and are not compared with the start.

    validation_fraction : float or "auto", default="auto"
        Share of the rows to hold out for early stopping. "auto" cross-fits where rows are few, and
        holds out a tenth otherwise. Few are 6 to 2,000 rows of at most 1,000 features; in
        `DenoisingAutoencoder` up to 600. Cross-fitting trains three networks, each without a third
        of the rows, side by side with the network of all rows, which is the one that is kept: every
        row is judged by a network that has not seen it. For an ordered code and at least 1,000
        rows, one network trains without a fifth, which judges. Without a linear path, with fewer
        than six groups, with `warm_start`, with callbacks in `net_params`, with custom
        networks and `data_parallel`, and if `fit` is given `X_val`, "auto" does not cross-fit.

    n_iter_no_change : int, default=30
        Stop after this many epochs without an improvement of at least `tol`.

    tol : float, default=0.0001
        Smallest decrease that counts as an improvement, in the loss of ``X / scale_``.

    clip : bool, default=False
        Clip the results of `inverse_transform` and `reconstruct` to the range of each feature
        in `fit`, or in all calls of `partial_fit`. Training then ignores errors that clipping
        removes, and reduces the other errors further. Useful if many values are at a bound, as
        the background pixels of drawings are. Reconstructions with "binary_cross_entropy" are
        in [0, 1] in any case.

    warm_start : bool, default=False
        Continue from the last `fit`: weights, `n_components_`, `mean_` and `scale_` are kept,
        and epoch 0 is the previous model. Parameters that shape the network may not change;
        the corruption may.

    device : str or torch.device, default="auto"
        Torch device. "auto" is CUDA if available, else the CPU.

    precision : {"float32", "bfloat16"}, default="float32"
        Precision of the matrix products and convolutions in training steps. "bfloat16" is
        faster on GPUs and CPUs that support it, and slower elsewhere. The start, the losses on
        held-out rows and all results of the fitted estimator are computed in float32.

    data_parallel : bool, default=False
        Experimental, until it has run on two GPUs. Whether all processes of
        `torch.distributed`'s default group fit one model together, each on its share of every
        batch. Each process passes the whole of X, and all end with the same weights. These
        equal the weights of a single process up to rounding, unless training draws random
        numbers within a batch, as for dropout. See :doc:`/user_guide/beyond_one_machine`.

    random_state : int, RandomState instance or None, default=None
        Determines the held-out rows, the order of the rows, the corruption and the initial
        weights.

    verbose : {0, 1, 2}, default=0
        1: a progress bar over the epochs. 2: one line per epoch.

    net_params : dict or None, default=None
        Callbacks of skorch and options of the optimizer: ``{"callbacks": [...]}`` and
        ``{"optimizer__betas": (0.9, 0.99)}``. Other parameters of `skorch.NeuralNet`, which would
        have no effect, are errors.

    Attributes
    ----------
    n_components_ : int
        Number of code units, the size of the code.

    explained_variance_ratio_ : ndarray of shape (n_components,)
        What each number of an ordered code adds to the share of the variance of the rows that are
        held out, as they are, without corruption; of the training rows if none are. With
        cross-fitting each row is reconstructed by a network that has not seen it. It is never
        negative: where more numbers would keep less on these rows, the decoder uses only as many
        as keep most. The sum is `score` of these rows, or 0 where that is negative. Only with
        ``ordered=True``.

    n_features_in_ : int
        Number of features seen during `fit`.

    feature_names_in_ : ndarray of shape (n_features,)
        Names of the features. Defined only if all feature names of X are strings.

    mean_ : ndarray of shape (n_features,)
        Mean of each feature; zeros if the network receives X itself.

    scale_ : float
        Square root of the mean variance of the features; 1 if the network receives X itself.

    net_ : skorch.NeuralNet
        The trained skorch net. :doc:`/user_guide/skorch` lists what works on it.

    encoder_ : torch.nn.Module
        Maps u of shape (n, n_features) to z of shape (n, n_components).

    decoder_ : torch.nn.Module
        Maps z to û.

    init_ : {"auto", "linear", "random"} or None
        How the weights of epoch 0 were found: "auto" if the decoder has its correction in closed
        form. None after a warm start.

    n_iter_ : int
        Number of epochs run.

    best_epoch_ : int
        Epoch whose weights were kept; 0 is the start.

    loss_curve_ : list of float
        Training loss of each epoch, in units of X (for "squared_error": squared units). With
        cross-fitting it is the mean over the networks.

    validation_loss_curve_ : list of float or None
        Loss on the held-out rows after each epoch. With cross-fitting these are all rows. They
        are corrupted once, for all epochs.

    start_loss_ : float or None
        Loss on these rows before the first epoch.

    best_loss_ : float or None
        Loss of the kept weights on these rows, or on the training rows if none are held out. Lower
        than that of any epoch if the last layer was solved after training.

    See Also
    --------
    AutoencoderTransformer : The same network without corruption.
    sklearn_ae.corruption : Corruptions, and a function that corrupts an array.
    sklearn_ae.metrics.RestorationScorer : Scores how well corrupted rows are restored.

    Notes
    -----
    The rows of X are the training targets, so they should be clean. `score` and
    `score_samples` compare reconstructions with the rows that they are given. For clean rows
    they measure how much the code keeps, not how well noise is removed.

    The linear start is computed from all rows, or from a random sample of 100,000 rows if there
    are more, and from at most 67 million of their entries. The sample is corrupted once, or
    several times if it has fewer than 50 rows per feature, up to 16 million entries in all.

    References
    ----------
    .. [1] Vincent et al., "Stacked denoising autoencoders: learning useful representations in
       a deep network with a local denoising criterion", JMLR 11, 2010.
    .. [2] Izenman, "Reduced-rank regression for the multivariate linear model", Journal of
       Multivariate Analysis 5, 1975.
    .. [3] He et al., "Delving deep into rectifiers", ICCV 2015.
    .. [4] Glorot and Bengio, "Understanding the difficulty of training deep feedforward
       neural networks", AISTATS 2010.
    .. [5] Smith and Topin, "Super-convergence: very fast training of neural networks using
       large learning rates", 2018.
    .. [6] Schmidt, Kraaijveld and Duin, "Feedforward neural networks with random weights",
       ICPR 1992.
    .. [7] Rippel, Gelbart and Adams, "Learning ordered representations with nested dropout",
       ICML 2014.

    Examples
    --------
    >>> from sklearn.datasets import load_digits
    >>> from sklearn.model_selection import train_test_split
    >>> from sklearn_ae import DenoisingAutoencoder
    >>> from sklearn_ae.corruption import corrupt
    >>> X_train, X_test = train_test_split(load_digits().data / 16, random_state=0)
    >>> X_noisy = corrupt(X_test, "gaussian", 0.3, random_state=0)
    >>> autoencoder = DenoisingAutoencoder(16, corruption_level=0.3, max_epochs=20, random_state=0)
    >>> X_restored = autoencoder.fit(X_train).reconstruct(X_noisy)
    >>> before, after = ((X_noisy - X_test) ** 2).mean(), ((X_restored - X_test) ** 2).mean()
    >>> bool(after < 0.3 * before)
    True
    """

    _defaults = (
        Defaults(600, 1200, ((inf, (256,)),), cross_fits=True),
        Defaults(inf, 3600, ((inf, (1024,)),)),
    )

    _parameter_constraints: dict = {
        **BaseAutoencoder._parameter_constraints,
        # Which levels and ranges suit which corruption is for `_check_corruption` to say.
        "corruption": [StrOptions({"auto", *_CORRUPTIONS}), callable],
        "corruption_level": [Interval(Real, 0, None, closed="left")],
        "corruption_range": ["array-like", None],
    }

    def __init__(
        self,
        n_components=None,
        *,
        ordered=False,
        corruption="auto",
        corruption_level=0.5,
        corruption_range=None,
        hidden_layer_sizes="auto",
        activation="relu",
        code_activation="identity",
        output_activation="identity",
        conv_filters=(),
        image_shape=None,
        encoder=None,
        decoder=None,
        init="auto",
        loss="squared_error",
        optimizer="adam",
        learning_rate=0.002,
        linear_weight="auto",
        schedule="one_cycle",
        weight_decay="auto",
        batch_size="auto",
        max_epochs="auto",
        early_stopping=True,
        validation_fraction="auto",
        n_iter_no_change=30,
        tol=1e-4,
        clip=False,
        warm_start=False,
        device="auto",
        precision="float32",
        data_parallel=False,
        random_state=None,
        verbose=0,
        net_params=None,
    ):
        self.n_components = n_components
        self.ordered = ordered
        self.corruption = corruption
        self.corruption_level = corruption_level
        self.corruption_range = corruption_range
        self.hidden_layer_sizes = hidden_layer_sizes
        self.activation = activation
        self.code_activation = code_activation
        self.output_activation = output_activation
        self.conv_filters = conv_filters
        self.image_shape = image_shape
        self.encoder = encoder
        self.decoder = decoder
        self.init = init
        self.loss = loss
        self.optimizer = optimizer
        self.learning_rate = learning_rate
        self.linear_weight = linear_weight
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

    def _make_table(self, X, rows, ranks, names, X_clean):
        if X_clean is None:
            return super()._make_table(X, rows, ranks, names, X_clean)
        # Clean rows may have other columns and another dtype: they have units of their own, too.
        clean = make_rows(check_clean(X_clean, X, self), rows.device, rows.estimator_name)
        return PairTable(X, rows, ranks, names, clean)

    def _list_defaults(self, table):
        if not isinstance(table, PairTable):
            return self._defaults
        # Each row is damaged once and for all, and a trained network may not beat the regression.
        return [replace(values, always_corrects=True) for values in self._defaults]

    def _choose_corruption(self):
        # Its units come last, and later: those of folds and of warm starts differ.
        kind = "gaussian" if self.corruption == "auto" else self.corruption
        return partial(_make_corruption, kind, self.corruption_level, self.corruption_range)

    def _make_task(self, table, plan, model, seed):
        make_corruption, is_paired = self._choose_corruption(), isinstance(table, PairTable)
        kind, level, bounds = make_corruption.args
        _check_corruption(kind, level, bounds)
        if is_paired and self.corruption == "auto":
            make_corruption = None  # pairs are damaged already
        else:
            spread = self._make_units(table.rows, table.moments, plan).scale
            try_corruption(kind, level, table.rows, table.moments, spread)
        # Only a model of pairs has units of its own for what it is given.
        if model is not None and is_paired != (model.input_units is not model.units):
            raise ValueError(
                "The network of the last fit cannot be trained further with another kind of rows: "
                f"pairs stay pairs, and others have no X_clean. {plan.way_out}"
            )
        if not is_paired:
            return super()._make_task(table, plan, model, seed)
        check_pairs(table.moments, table.target_moments)
        check_channels(plan.architecture)
        if model is None:
            units = self._make_units(table.targets, table.target_moments, plan)
            input_units = self._make_units(table.rows, table.moments, plan)
        else:
            # Means and scale stay those of the weights; `clip` shall know the range of all rows.
            units, input_units = model.units, model.input_units
            units.widen_range(table.target_moments)
            input_units.widen_range(table.moments)
        return Restore(table.rows, table.targets, input_units, units, make_corruption)


def warn_of_order(X, X_clean):
    """Warn if two data frames have the same labels of rows, or columns, in another order."""
    for what, name in (("rows", "index"), ("columns", "columns")):
        labels = [getattr(frame, name, None) for frame in (X, X_clean)]
        # a list has a method `index`, and lists of columns are those of polars
        if any(label is None or callable(label) for label in labels):
            continue
        first, second = map(list, labels)
        if first != second and len(first) == len(second) and set(first) == set(second):
            warn_user(
                f"X and X_clean have the same labels of {what} in another order. Pairs are made by "
                "position: bring them into one order, as with X_clean.loc[X.index, X.columns]."
            )


def check_channels(architecture):
    """Raise a ValueError if clean rows are no images of the size of damaged ones."""
    if architecture.conv_filters and architecture.decoder is None:
        _, height, width = architecture.image_shape
        # Convolutions keep height and width: only the number of channels may differ.
        if architecture.n_outputs % (height * width):
            raise ValueError(
                f"image_shape={architecture.image_shape!r} means images of {height} x {width} "
                f"pixels, and the {architecture.n_outputs} columns of X_clean are no whole number "
                "of channels of that size."
            )


def check_pairs(moments, clean_moments):
    """Raise a ValueError if damaged or clean rows have missing values, by their `Moments`."""
    if min(moments.observed_share, clean_moments.observed_share) < 1:
        raise ValueError("X and X_clean contain NaN: pairs must have no missing values.")


def try_corruption(corruption, level, rows, moments, spread):
    """Raise a ValueError if a corruption does not suit rows of some `Moments`, and spread."""
    if corruption == "gaussian" and level > LARGEST_NOISE * spread:
        raise ValueError(
            f"corruption_level={level!r} is too large for X, whose features "
            f"have a standard deviation of {spread:.3g}; it is in units of X."
        )
    if not callable(corruption):
        return
    if max(moments.high.max(), -moments.low.min()) > torch.finfo(torch.float32).max:
        raise ValueError(
            "The values of X are too large for a callable corruption, which works on "
            "float32. Scale X, e.g. with StandardScaler."
        )
    # Two rows show what would end the fit in its first batch.
    batch = rows.read(slice(0, 2)).as_subclass(torch.Tensor)
    # The means stand in for missing values, which training fills.
    batch = torch.where(batch.isnan(), moments.mean.to(batch), batch).float()
    _call_corruption(corruption, batch, torch.Generator(batch.device))
