"""The autoencoder."""

from math import inf
from numbers import Real

from ._base import ONE_LAYER_FROM, BaseAutoencoder, Defaults, warn_of_pairs
from ._compat import Interval, StrOptions, fit_context
from ._rows import make_rows
from ._targets import add_targets, encode_targets
from ._task import Mask


class AutoencoderTransformer(BaseAutoencoder):
    """Autoencoder that starts as PCA.

    An autoencoder [1]_ encodes each row of X as a code of `n_components` numbers, from which it
    reconstructs the row. This one is the sum of a linear path and a nonlinear correction::

        input   u = (x - mean_) / scale_
        code    z = scale_ (W u + f(u))
        output  û = V z / scale_ + g(z / scale_),   x̂ = scale_ û + mean_

    W and V start as the PCA of X; f and g are networks: dense, convolutional or custom. Before the
    first gradient step, `transform` equals that of `sklearn.decomposition.PCA`. What goes beyond
    PCA is kept only if its loss on new rows is clearly lower. See :doc:`/user_guide/idea`.

    Parameters
    ----------
    n_components : int, float or None, default=None
        Number of code units. A float in (0, 1) selects the fewest components with which the
        linear start explains that share of the variance, as in PCA; with ``ordered=True`` the
        fewest with which the autoencoder keeps that share of it on the rows that are held out.
        None is min(32, n_features). May exceed n_features.

    ordered : bool, default=False
        Whether the code is ordered as that of PCA is: its first k numbers are a code of size k, for
        every k [6]_. `truncated` returns the autoencoder with that code size, and
        `inverse_transform` takes the first k columns of codes. The numbers are uncorrelated on X.
        Held-out rows judge by the mean loss over the sizes 1, 2, 4, … and `n_components`; at none
        of these may it be more than 0.001 worse than PCA, in variances of X. Reconstructions are a
        little worse than those of a fit for one size. See :doc:`/user_guide/ordered`, also for the
        values of "auto".

    hidden_layer_sizes : array-like of int, int or "auto", default="auto"
        Widths of the hidden layers of the encoder; the decoder mirrors them. ``()`` for none.
        "auto" is (512, 256) for fewer than 8 code units, else (512,). For tables of at most 1,000
        features, and with the linear path, it is (128,) for up to 600 rows; for up to 2,000 it is
        (128, 64) for fewer than 8 code units, else (256,).

    activation : {"relu", "gelu", "silu", "tanh", "logistic", "identity"}, default="silu"
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
        How the weights start. "linear": the linear path is PCA, and f and g are zero. "auto": the
        same, or, if that is better, with a correction in closed form: the last layer of g is the
        ridge regression of what the linear path leaves, u - V z, on the random hidden units of g
        [5]_. It is for dense decoders and tables that are cross-fitted (`validation_fraction`), and
        for larger ones if nothing is trained (``max_epochs=0``). It is kept if rows that are new to
        it show by the test of `early_stopping` that it helps, and no epoch is better. With
        ``early_stopping=False`` there is no such test and no correction, unless nothing is trained.
        After training, "auto" solves the last layer of a dense decoder again, and keeps the result
        if it is the best on rows that are held out. If code or output are not linear, "auto" is
        "random", and "linear" is an error. For "binary_cross_entropy" the linear path computes
        logits, and "auto" starts at slope · (x̂ - ½), with the slope that minimises the
        cross-entropy. "random": a textbook autoencoder without linear path, with the initialisation
        of He et al. [2]_ or Glorot and Bengio [3]_, depending on the activation.

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

    masking_rate : float or "auto", default="auto"
        Share of the entries of a row that training replaces by the means of their columns, drawn
        anew in every batch [9]_. Whole rows should still be returned, and only whole rows judge the
        network. Classifiers read such a code better, and reconstructions are a little worse. "auto"
        is 0.1 for tables of up to 2,000 rows and 1,000 features if there is a linear path, the
        layers are dense, and the code is neither ordered nor keeps y; 0 otherwise. Where values
        of X are missing, entries are hidden in place of this.

    learning_rate : float, default=0.008
        Learning rate at the peak of the schedule.

    schedule : {"one_cycle", "cosine", "constant"}, default="one_cycle"
        Learning rate schedule over the steps of `max_epochs`. "one_cycle" rises and falls along
        cosines [4]_; "cosine" only falls. Use "constant" if a skorch callback sets the
        learning rate.

    target_weight : float, default=0.0
        With 0, y is ignored, as in PCA. Otherwise the code also keeps y: the decoder returns y
        beside X, from a code that sees X alone [7]_, and what is minimised is the loss of X plus
        `target_weight` times that of y. With 1 all targets together weigh as much as all
        features. Classes become one column each; numbers are standardised. Rows without a label
        count for X alone. The start is principal covariates regression [8]_. See
        :doc:`/user_guide/targets`.

    weight_decay : float or "auto", default="auto"
        L2 penalty of the optimizer. With the linear path it applies to f and g only, and so
        shrinks the network towards its linear path. "auto" is 0.3 / n_samples with the linear
        path and 0 without it.

    batch_size : int or "auto", default="auto"
        Rows per training step, at most: the batches of an epoch are about equally large. "auto" is
        n_samples / 100, but at least 64 and at most 400, and more only if an epoch would otherwise
        have more than 1,200 steps.

    max_epochs : int or "auto", default="auto"
        Passes over the training rows. "auto" allows at most 1,200 steps; with the small networks of
        `hidden_layer_sizes` 400 for up to 600 rows, and 800 for up to 2,000. It is that number
        divided by the number of batches in n_samples, but at least 1 and at most 200. 0 keeps the
        untrained start.

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
        and epoch 0 is the previous model. Parameters that shape the network may not change.

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
        Determines the held-out rows, the order of the rows and the initial weights. With an
        int the start is that of ``PCA(n_components, random_state=random_state)``.

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
        held out; of the training rows if none are. With cross-fitting each row is reconstructed by
        a network that has not seen it. It is never negative: where more numbers would keep less on
        these rows, the decoder uses only as many as keep most. The sum is `score` of these rows, or
        0 where that is negative. Only with ``ordered=True``.

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
        Loss on the held-out rows after each epoch. With cross-fitting these are all rows.

    start_loss_ : float or None
        Loss on these rows before the first epoch: that of PCA if `init_` is "linear".

    best_loss_ : float or None
        Loss of the kept weights on these rows, or on the training rows if none are held out. Lower
        than that of any epoch if the last layer was solved after training.

    See Also
    --------
    sklearn.decomposition.PCA : The linear start.
    sklearn.neural_network.MLPRegressor : Can fit an autoencoder, but does not return its code.

    Notes
    -----
    PCA is computed from all rows, or from a random sample of 100,000 rows if there are more.
    With more than 1,000 features, or fewer than ten rows per feature, these rows are needed as
    one dense array. It has at most 67 million entries: of a larger sample, only evenly spaced
    rows are used. With an int `n_components` a sparse table is never made dense: PCA is computed
    from products with its stored entries.

    Training computes in float32. X is centred and scaled before the cast, in float64 if X is
    float64 or has integers of 32 bits or more. The global random generators of NumPy and torch
    are neither read nor advanced.

    References
    ----------
    .. [1] Hinton and Salakhutdinov, "Reducing the dimensionality of data with neural
       networks", Science 313, 2006.
    .. [2] He et al., "Delving deep into rectifiers", ICCV 2015.
    .. [3] Glorot and Bengio, "Understanding the difficulty of training deep feedforward
       neural networks", AISTATS 2010.
    .. [4] Smith and Topin, "Super-convergence: very fast training of neural networks using
       large learning rates", 2018.
    .. [5] Schmidt, Kraaijveld and Duin, "Feedforward neural networks with random weights",
       ICPR 1992.
    .. [6] Rippel, Gelbart and Adams, "Learning ordered representations with nested dropout",
       ICML 2014.
    .. [7] Le, Patterson and White, "Supervised autoencoders: improving generalization performance
       with unsupervised regularizers", NeurIPS 2018.
    .. [8] De Jong and Kiers, "Principal covariates regression: Part I. Theory", Chemometrics and
       Intelligent Laboratory Systems 14, 1992.
    .. [9] Vincent et al., "Extracting and composing robust features with denoising autoencoders",
       ICML 2008.

    Examples
    --------
    >>> from sklearn.datasets import load_digits
    >>> from sklearn.decomposition import PCA
    >>> from sklearn.model_selection import train_test_split
    >>> from sklearn_ae import AutoencoderTransformer
    >>> X_train, X_test = train_test_split(load_digits().data, random_state=0)
    >>> autoencoder = AutoencoderTransformer(8, random_state=0).fit(X_train)
    >>> autoencoder.transform(X_test).shape
    (450, 8)
    >>> pca = PCA(8).fit(X_train)
    >>> error = ((X_test - pca.inverse_transform(pca.transform(X_test))) ** 2).mean()
    >>> bool(-autoencoder.score_samples(X_test).mean() < 0.6 * error)
    True
    """

    _defaults = (
        Defaults(600, 400, ((inf, (128,)),), 0.5, 0.1, cross_fits=True),
        Defaults(
            2000, 800, ((ONE_LAYER_FROM, (128, 64)), (inf, (256,))), 0.5, 0.1, cross_fits=True
        ),
        Defaults(inf, 1200, ((ONE_LAYER_FROM, (512, 256)), (inf, (512,)))),
    )

    _parameter_constraints: dict = {
        **BaseAutoencoder._parameter_constraints,
        "masking_rate": [StrOptions({"auto"}), Interval(Real, 0, 1, closed="left")],
        "target_weight": [Interval(Real, 0, None, closed="left")],
    }

    def __init__(
        self,
        n_components=None,
        *,
        ordered=False,
        hidden_layer_sizes="auto",
        activation="silu",
        code_activation="identity",
        output_activation="identity",
        conv_filters=(),
        image_shape=None,
        encoder=None,
        decoder=None,
        init="auto",
        loss="squared_error",
        optimizer="adam",
        learning_rate=0.008,
        linear_weight="auto",
        masking_rate="auto",
        target_weight=0.0,
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
        self.masking_rate = masking_rate
        self.target_weight = target_weight
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

    @fit_context(prefer_skip_nested_validation=True)
    def fit(self, X, y=None, *, groups=None, X_val=None, y_val=None):
        """Fit the autoencoder to X, and with `target_weight` to y.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
            At least two rows. NaN is a missing value: see :doc:`/user_guide/missing`. Arrays keep
            their dtype, bytes of images for example, and are cast batch by batch. A `numpy.memmap`,
            or an array of h5py or zarr, is read in batches and never as a whole. CSR is the best
            sparse format; only batches are ever dense. With scikit-learn's array API dispatch
            tensors are accepted, too.
        y : array-like of shape (n_samples,) or (n_samples, n_targets), default=None
            Ignored if `target_weight` is 0. Otherwise class labels of any kind, numbers, several
            columns of numbers, or indicators of several labels. NaN and None are no label, and so
            is -1 where there are at least two other classes.
        groups : array-like of shape (n_samples,), default=None
            Label of the group of each row: the subject, the series. A group is never both
            trained on and held out.
        X_val : {array-like, sparse matrix} of shape (n_validation_samples, n_features), \
                default=None
            At least two rows to hold out, new ones of the same kind. All rows of X are then
            trained on, and `groups` has no effect.
        y_val : array-like of shape (n_validation_samples,) or (n_validation_samples, n_targets), \
                default=None
            Labels of the rows to hold out, which `target_weight` needs beside X_val.

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
            only, if X_val is not like X, if groups has not one label for each row, if all rows
            are of one group, or if y has no label that `target_weight` could use. The estimator is
            then as it was before.
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
        if not self.target_weight:
            warn_of_pairs(X, y)
        return self._fit(X, y, groups, X_val, y_val)

    def _read_targets(self, table, y, y_val, reset):
        if not self.target_weight:
            return
        if y is None:
            raise ValueError(
                f"target_weight={self.target_weight} needs y, the labels or numbers that the code "
                "shall keep. Pass y, or set target_weight=0."
            )
        if not reset and "_target_units_" not in vars(self):
            raise ValueError(
                "The last fit had no targets. Fit with warm_start=False, or set target_weight=0."
            )
        classes = None if reset else self.classes_
        table.labels = encode_targets(y, len(table), classes)
        table.names["classes_"] = table.labels.classes
        if table.held_out is None:
            return
        if y_val is None:
            raise ValueError("X_val needs y_val, the labels of its rows, if target_weight is set.")
        found = encode_targets(y_val, len(table.held_out), table.labels.classes, "y_val")
        table.held_out_labels = found

    def _list_defaults(self, table):
        return [d.leave_whole() for d in self._defaults] if table.n_targets else self._defaults

    def _make_task(self, table, plan, model, seed):
        task = super()._make_task(table, plan, model, seed)
        if plan.masking_rate and not task.draws:
            task = Mask(task.rows, task.units, plan.masking_rate)
        if table.labels is None:
            return task
        units = None if model is None else self._target_units_
        task, table.names["_target_units_"] = add_targets(task, table, self.target_weight, units)
        return task


class ScoresAutoencoder(AutoencoderTransformer):
    """An autoencoder of normal scores, for estimators that hide it.

    Ranks hide that rows are near copies: what tells is the rows that the scores are of.
    """

    def fit_scores(self, X, scores, **arguments):
        """Fit to the normal scores of rows of X, with the arguments of `fit`."""
        self.originals = X
        try:
            return self.fit(scores, **arguments)
        finally:
            del self.originals

    def _make_table(self, X, rows, ranks, names, X_clean):
        table = super()._make_table(X, rows, ranks, names, X_clean)
        table.originals = make_rows(self.originals, rows.device, self._public_name)
        return table
