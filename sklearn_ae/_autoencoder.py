"""The autoencoder."""

from ._base import BaseAutoencoder

# From here on a second hidden layer still reconstructs better, but its codes are read worse.
N_COMPONENTS_FOR_ONE_LAYER = 8


class AutoencoderTransformer(BaseAutoencoder):
    """An autoencoder that starts where PCA ends.

    An autoencoder [1]_ encodes rows in a few numbers and decodes them again. Its network is a
    linear path that starts as the PCA of X plus a nonlinear correction that starts at zero.
    With ``u = (X - mean_) / scale_`` it computes::

        code    z = scale_ (W u + f(u))
        output  û = V z / scale_ + g(z / scale_)

    where f and g are networks: dense, convolutional or your own. Before the first step
    `transform` and `inverse_transform` are those of `sklearn.decomposition.PCA`; training
    improves on them, and what it ends with replaces the start only if that is clearly better
    on rows held out. On data too small to learn from the result is exactly PCA.

    Parameters
    ----------
    n_components : int, float or None, default=None
        Size of the code. A float in (0, 1) asks for the fewest components with which the
        linear start explains that share of the variance, as in PCA. None is
        min(32, n_features). May exceed n_features.

    hidden_layer_sizes : array-like of int, int or "auto", default="auto"
        Widths of the hidden layers of the encoder; the decoder mirrors them. ``()`` for
        none. "auto" is (512, 256) where the code has fewer than 8 numbers, else (512,).

    activation : {"relu", "gelu", "silu", "tanh", "logistic", "identity"}, default="silu"
        Activation of the hidden layers.

    code_activation : {"identity", "relu", "gelu", "silu", "tanh", "logistic"}, \
            default="identity"
        Activation of the code.

    output_activation : {"identity", "logistic", "tanh", "relu"}, default="identity"
        Activation of the output. With another than "identity" the network sees and
        returns X itself: nothing is centred or scaled, and X should be in its range. For
        "binary_cross_entropy" "logistic" is the same as "identity".

    conv_filters : array-like of int or int, default=()
        Filters of convolutional blocks in front of the dense layers. A block is a convolution
        of 3 by 3 pixels, the activation and a maximum over 2 by 2 pixels, which halves height
        and width, rounded up. The decoder mirrors the blocks: nearest-neighbour upsampling to
        the size before, then a convolution. ``()`` for none.

    image_shape : array-like of three int or None, default=None
        Channels, height and width of the image that a row of X holds in C order; needed with
        `conv_filters`, and taken by the Displays of `sklearn_ae.inspection`. One of them may be
        -1 and is then inferred, as in `numpy.reshape`: ``(1, 1, -1)`` is for signals.

    encoder : callable or None, default=None
        Factory of a custom network in place of the encoder's hidden layers and convolutions:
        ``encoder(n_features, n_components)`` returns a new `torch.nn.Module` that maps float32
        tensors (n, n_features) to (n, n_components). A module class will do, a module will
        not. It gets u and is f; what it returns is multiplied by a trained factor for each
        code unit that starts at zero. Without the linear path it is the encoder, up to
        `code_activation`. To pickle the estimator, the factory has to be importable. Fits
        with custom networks run one at a time in threads: they draw from torch's global
        generator, which is seeded for them and put back.

    decoder : callable or None, default=None
        The same for the decoder, g: ``decoder(n_components, n_features)``. It gets codes
        divided by their size in the start, without the linear path the codes themselves. For
        "binary_cross_entropy" it returns logits.

    linear_start : {"auto", True, False}, default="auto"
        Whether the network has the linear path. "auto": where the code and the output are
        linear; for "binary_cross_entropy" it leads to logits, slope · (x̂ - ½) with the slope
        that suits X best. True: the same, but an error where the start is not x̂ itself.
        False: the textbook autoencoder with the initialisation of He et al. [2]_ or
        Glorot and Bengio [3]_, whichever suits the activation.

    loss : {"squared_error", "absolute_error", "huber", "binary_cross_entropy"}, \
            default="squared_error"
        What is minimised. "huber" is quadratic for errors up to `scale_` and linear
        beyond. "binary_cross_entropy" needs X in [0, 1]; the decoder then returns logits
        and `inverse_transform` probabilities.

    optimizer : {"adam", "adamw", "sgd"} or torch.optim.Optimizer subclass, default="adam"
        "sgd" has a Nesterov momentum of 0.9.

    learning_rate : float, default=0.008
        Peak of the schedule.

    schedule : {"one_cycle", "cosine", "constant"}, default="one_cycle"
        Of the learning rate over the steps of `max_epochs`. "one_cycle" rises and falls
        along cosines [4]_. To set the rate by a callback of skorch's, use "constant".

    weight_decay : float or "auto", default="auto"
        L2 penalty of the optimizer on f and g; it draws them towards zero, that is the
        network towards the linear path, which has none. "auto" is 0.3 / n_samples with
        the linear path and 0 without.

    batch_size : int or "auto", default="auto"
        Rows a step. "auto" is n_samples / 100, at least 64 and at most 200, and more only
        where an epoch would have more than 1,200 steps.

    max_epochs : int or "auto", default="auto"
        Passes over the training rows. "auto" makes at most 1,200 steps: 1,200 divided by
        the number of batches in n_samples, at least 1 and at most 200. 0 leaves the start
        untrained.

    early_stopping : bool, default=True
        Hold out `validation_fraction` of the rows, stop after `n_iter_no_change` epochs
        without improvement and end with the best epoch. With the linear start, epoch 0
        is what it ends with unless the best later epoch has a lower loss on the held-out
        rows by a paired one-sided t-test at the level of 0.001. Without early stopping the
        last epoch is kept, with no comparison.

    validation_fraction : float, default=0.1
        Share of the rows held out for early stopping.

    n_iter_no_change : int, default=30
        Epochs without an improvement of at least `tol` after which training stops.

    tol : float, default=0.0001
        Improvement that counts, in the loss of ``X / scale_``.

    clip : bool, default=False
        Clip what `inverse_transform` and `reconstruct` return to the range that each
        feature had in `fit`, or in all calls of `partial_fit`. Training then counts no error
        that clipping takes away, and learns the others better: worth setting wherever many
        values are at a bound, as the pixels of a drawing are. "binary_cross_entropy" has its
        bounds anyway.

    warm_start : bool, default=False
        Continue from the last `fit`: weights, `n_components_`, `mean_` and `scale_` stay,
        and epoch 0 is what the estimator was before. Parameters that shape the network may
        not change.

    device : str, default="auto"
        A torch device. "auto" is CUDA where present, else the CPU.

    precision : {"float32", "bfloat16"}, default="float32"
        Of the products and convolutions in training. "bfloat16" is faster on GPUs and CPUs that
        compute in it, and slower elsewhere. The start, the losses of held-out rows and all that
        the fitted estimator returns are computed in float32.

    data_parallel : bool, default=False
        Whether all processes of `torch.distributed`'s default group fit together, each with its
        share of every batch. All are given the whole of X and end with the same weights; where
        nothing is drawn in training, those are one process's up to rounding. See
        :doc:`/user_guide/beyond_one_machine`.

    random_state : int, RandomState instance or None, default=None
        Determines the split, the order of the rows and the initial weights. With an int
        the start is that of ``PCA(n_components, random_state=random_state)``.

    verbose : {0, 1, 2}, default=0
        1: a progress bar over epochs. 2: a line an epoch.

    net_params : dict or None, default=None
        Further parameters of `skorch.NeuralNet`, such as ``{"callbacks": [...]}`` or
        ``{"optimizer__betas": (0.9, 0.99)}``.

    Attributes
    ----------
    n_components_ : int
        Size of the code.

    n_features_in_ : int
        Number of features seen during `fit`.

    feature_names_in_ : ndarray of shape (n_features,)
        Names of the features, where X has names that are all strings.

    mean_ : ndarray of shape (n_features,)
        Mean of each feature; zeros where the network sees X itself.

    scale_ : float
        Square root of the mean variance of the features; 1 where the network sees X itself.

    net_ : skorch.NeuralNet
        The trained net.

    encoder_ : torch.nn.Module
        Maps u of shape (n, n_features) to z of shape (n, n_components).

    decoder_ : torch.nn.Module
        Maps z to û.

    linear_start_ : bool
        Whether epoch 0 is the linear start; False in the textbook network and after a warm start.

    n_iter_ : int
        Number of epochs run.

    best_epoch_ : int
        The epoch whose weights were kept; 0 is the start.

    loss_curve_ : list of float
        Training loss of each epoch, in units of X (for "squared_error": squared units).

    validation_loss_curve_ : list of float or None
        Loss of the held-out rows after each epoch.

    start_loss_ : float or None
        Loss of the held-out rows before the first epoch: for the linear start, PCA's.

    best_loss_ : float or None
        Held-out loss of the epoch that was kept; training loss without held-out rows.

    See Also
    --------
    sklearn.decomposition.PCA : The linear start.
    sklearn.neural_network.MLPRegressor : Fits an autoencoder without access to its code.

    Notes
    -----
    PCA is computed from all rows up to 100,000, from a random sample of that many beyond. With more
    than 1,000 features, or fewer than ten rows for each, at most 67 million entries of these
    are used, dense, evenly over the rows; for larger sparse tables PCA's sparse solver uses all
    100,000 if `n_components` is an int. Training computes in float32, after centring and scaling
    in float64 where X is of float64 or of integers of 32 bits and more; neither NumPy's nor torch's
    global random generator is read or advanced.

    References
    ----------
    .. [1] Hinton and Salakhutdinov, "Reducing the dimensionality of data with neural
       networks", Science 313, 2006.
    .. [2] He et al., "Delving deep into rectifiers", ICCV 2015.
    .. [3] Glorot and Bengio, "Understanding the difficulty of training deep feedforward
       neural networks", AISTATS 2010.
    .. [4] Smith and Topin, "Super-convergence: very fast training of neural networks using
       large learning rates", 2018.

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

    def __init__(
        self,
        n_components=None,
        *,
        hidden_layer_sizes="auto",
        activation="silu",
        code_activation="identity",
        output_activation="identity",
        conv_filters=(),
        image_shape=None,
        encoder=None,
        decoder=None,
        linear_start="auto",
        loss="squared_error",
        optimizer="adam",
        learning_rate=0.008,
        schedule="one_cycle",
        weight_decay="auto",
        batch_size="auto",
        max_epochs="auto",
        early_stopping=True,
        validation_fraction=0.1,
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
        super().__init__(
            n_components,
            hidden_layer_sizes=hidden_layer_sizes,
            activation=activation,
            code_activation=code_activation,
            output_activation=output_activation,
            conv_filters=conv_filters,
            image_shape=image_shape,
            encoder=encoder,
            decoder=decoder,
            linear_start=linear_start,
            loss=loss,
            optimizer=optimizer,
            learning_rate=learning_rate,
            schedule=schedule,
            weight_decay=weight_decay,
            batch_size=batch_size,
            max_epochs=max_epochs,
            early_stopping=early_stopping,
            validation_fraction=validation_fraction,
            n_iter_no_change=n_iter_no_change,
            tol=tol,
            clip=clip,
            warm_start=warm_start,
            device=device,
            precision=precision,
            data_parallel=data_parallel,
            random_state=random_state,
            verbose=verbose,
            net_params=net_params,
        )

    def _automatic_widths(self, n_components):
        return [512, 256] if n_components < N_COMPONENTS_FOR_ONE_LAYER else [512]
