"""The variational autoencoder."""

from math import inf
from numbers import Integral, Real

from ._base import ONE_LAYER_FROM, BaseAutoencoder, Defaults
from ._compat import Interval, StrOptions
from ._likelihood import LikelihoodMixin

# Parameters of the other autoencoders that have one value here.
LACKING = {
    "ordered": False,
    "code": "gaussian",
    "code_activation": "identity",
    "output_activation": "identity",
    "linear_weight": 0.0,
    "masking_rate": 0.0,
}


class VariationalAutoencoder(LikelihoodMixin, BaseAutoencoder):
    """Variational autoencoder that starts as probabilistic PCA.

    A variational autoencoder [1]_ is a density of rows. A row is made of a code that is drawn from
    the standard normal distribution, decoded, and covered with noise. The encoder returns mean and
    variance of the codes from which a given row may come. It computes::

        input   u = (x - mean_) / scale_
        code    z ~ N(m, diag(s²)),   m = W u + f(u),   log s² = b + h(u)
        output  û = V z + g(z),   x̂ = scale_ û + mean_,   x ~ N(x̂, noise_variance_)

    W and V are matrices, b is a vector; f and h are one network, g is another. Before the first
    gradient step this is probabilistic PCA [2]_, the optimal linear variational autoencoder [3]_,
    with the true distribution of the codes: `score_samples` equals that of
    `sklearn.decomposition.PCA`, and no unit has collapsed. What goes beyond, the trained network,
    is kept only if its likelihood of rows that are new to it is clearly higher.

    Parameters
    ----------
    n_components : int, float or None, default=None
        Number of code units. A float in (0, 1) selects the fewest components with which PCA
        explains that share of the variance. None is min(32, n_features). May exceed n_features:
        as in PCA the start has fewer than min(n_samples, n_features) active codes, and the
        distribution of the others is the prior until training uses them.

    beta : float, default=1.0
        Weight of the divergence of the code's distribution from the prior [4]_. With 1 the
        objective is the bound of the log-likelihood. Larger values make smoother codes of fewer
        active units, smaller ones sharper reconstructions; `score` is the bound in any case.

    n_importance_samples : int, default=1
        Draws of the code per row in `score_samples` and `score` [5]_. More draws make the bound
        tighter, and take as many times longer from 16 draws on. It has no effect on `fit`.

    hidden_layer_sizes : array-like of int, int or "auto", default="auto"
        Widths of the hidden layers of the encoder; the decoder mirrors them. ``()`` for none.
        "auto" is (512, 256) for fewer than 8 code units, else (512,). For tables of at most 1,000
        features, and with the linear path, it is (128,) for up to 600 rows; for up to 2,000 it is
        (128, 64) for fewer than 8 code units, else (256,).

    activation : {"relu", "gelu", "silu", "tanh", "logistic", "identity"}, default="silu"
        Activation of the hidden layers.

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
        encoder: ``encoder(n_features, 2 * n_components)`` returns a new `torch.nn.Module` that maps
        float32 tensors of shape (n, n_features) to (n, 2 n_components). Pass a class or a
        function, not a module instance; the factory returns a new network each time, with no
        part that another network has. The network receives u and plays the part of f: each
        of its outputs is multiplied by a trainable factor that starts at zero. Without the
        linear path the network is the whole encoder, and returns means and log-variances. To pickle
        the estimator, the factory must be importable. In threads, fits with custom networks
        run one at a time: they draw from torch's global generators, which are seeded for the
        fit and restored afterwards.

    decoder : callable or None, default=None
        Factory of a custom network for the decoder, g: ``decoder(n_components, n_features)``,
        as for `encoder`. The network receives codes of unit variance. For
        "binary_cross_entropy" it returns logits.

    init : {"auto", "linear", "random"}, default="auto"
        How the weights start. "linear": probabilistic PCA. "auto": the same, or, if that is
        better, with a correction in closed form: the last layer of g is the ridge regression of
        what the linear path leaves, u - V z, on the random hidden units of g, for codes that are
        drawn. When it is computed and when it is kept is as in `AutoencoderTransformer`. For
        "binary_cross_entropy" the linear path computes logits, slope · (x̂ - ½), with the slope
        that minimises the cross-entropy, and the variances of the codes are those of the Laplace
        approximation. "random": the textbook variational autoencoder without linear path.

    loss : {"squared_error", "binary_cross_entropy"}, default="squared_error"
        The noise of the decoder. "squared_error": Gaussian with the same variance for all features,
        `noise_variance_`. "binary_cross_entropy": features are bits, or probabilities of bits,
        in [0, 1].

    optimizer : {"adam", "adamw", "sgd"} or torch.optim.Optimizer subclass, default="adam"
        Optimizer. "sgd" uses Nesterov momentum of 0.9. With the linear path, ``eps`` of "adam"
        and "adamw" is 0.001 / n_features.

    learning_rate : float, default=0.004
        Learning rate at the peak of the schedule.

    schedule : {"one_cycle", "cosine", "constant"}, default="one_cycle"
        Learning rate schedule over the steps of `max_epochs`. "one_cycle" rises and falls along
        cosines [6]_; "cosine" only falls. Use "constant" if a skorch callback sets the
        learning rate.

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
        row is judged by a network that has not seen it. Without a linear path, with fewer
        than six groups, with `warm_start`, with callbacks in `net_params`, with custom
        networks and `data_parallel`, and if `fit` is given `X_val`, "auto" does not cross-fit.

    n_iter_no_change : int, default=30
        Stop after this many epochs without an improvement of at least `tol`.

    tol : float, default=0.0001
        Smallest decrease that counts as an improvement, in nats per feature.

    clip : bool, default=False
        Clip the results of `inverse_transform`, `reconstruct` and `sample` to the range of each
        feature in `fit`. It has no effect on training and likelihood.

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
        Determines the held-out rows, the order of the rows, the draws of the codes and the initial
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

    noise_variance_ : float or None
        Variance of the Gaussian noise of each feature, in squared units of X, as in PCA. In
        closed form: the mean squared error of rows that are held out, each with a code that is
        drawn. None for "binary_cross_entropy". At least 1e-12 of the mean variance of the features.

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
        Maps u of shape (n, n_features) to means and log-variances of the codes, side by side in
        shape (n, 2 n_components).

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
        Training loss of each epoch: minus the bound of a row in nats, as `score` has it, with the
        divergence weighted by `beta`. With cross-fitting it is the mean over the networks.

    validation_loss_curve_ : list of float or None
        Loss on the held-out rows after each epoch. With cross-fitting these are all rows.

    start_loss_ : float or None
        Loss on these rows before the first epoch: that of probabilistic PCA if `init_` is "linear".

    best_loss_ : float or None
        Loss of the kept weights on these rows, or on the training rows if none are held out. Lower
        than that of any epoch if the last layer was solved after training.

    See Also
    --------
    AutoencoderTransformer : Reconstructs better; its code has no distribution.
    sklearn.decomposition.PCA : The linear start, whose `score_samples` is the log-likelihood.
    sklearn.mixture.GaussianMixture : A density with several centres.
    sklearn.neighbors.KernelDensity : A density without parameters, for few features.
    sklearn_ae.metrics.log_likelihood : The score as a scorer, for all of these.
    sklearn_ae.metrics.find_active_units : Tells which numbers of the code are in use.

    Notes
    -----
    Training maximises the bound with one draw of the code per row and step. The noise has the
    variance that suits each batch best; afterwards, and for each epoch that is judged, that of the
    rows that are held out. It is at least 1e-12 of the mean variance of the features: where columns
    depend on each other exactly, the likelihood grows with every digit that the noise is smaller.
    For fewer rows than features the noise of the start is, as in `PCA`, averaged over as many
    directions as there are rows. PCA is computed as in `AutoencoderTransformer`. In threads, fits
    run one at a time: they draw from torch's global generators, which are restored afterwards.

    References
    ----------
    .. [1] Kingma and Welling, "Auto-encoding variational Bayes", ICLR 2014.
    .. [2] Tipping and Bishop, "Probabilistic principal component analysis", Journal of the Royal
       Statistical Society B 61, 1999.
    .. [3] Lucas et al., "Don't blame the ELBO! A linear VAE perspective on posterior collapse",
       NeurIPS 2019.
    .. [4] Higgins et al., "beta-VAE: learning basic visual concepts with a constrained variational
       framework", ICLR 2017.
    .. [5] Burda, Grosse and Salakhutdinov, "Importance weighted autoencoders", ICLR 2016.
    .. [6] Smith and Topin, "Super-convergence: very fast training of neural networks using
       large learning rates", 2018.

    Examples
    --------
    >>> from sklearn.datasets import load_digits
    >>> from sklearn.decomposition import PCA
    >>> from sklearn.model_selection import train_test_split
    >>> from sklearn_ae import VariationalAutoencoder
    >>> X_train, X_test = train_test_split(load_digits().data, random_state=0)
    >>> autoencoder = VariationalAutoencoder(8, random_state=0).fit(X_train)
    >>> bool(autoencoder.score(X_test) > PCA(8).fit(X_train).score(X_test) + 10)
    True
    >>> autoencoder.sample(5, random_state=0).shape
    (5, 64)
    """

    _defaults = (
        Defaults(600, 800, ((inf, (128,)),), cross_fits=True),
        Defaults(2000, 1200, ((ONE_LAYER_FROM, (128, 64)), (inf, (256,))), cross_fits=True),
        Defaults(inf, 1200, ((ONE_LAYER_FROM, (512, 256)), (inf, (512,)))),
    )

    _parameter_constraints: dict = {
        **{
            name: value
            for name, value in BaseAutoencoder._parameter_constraints.items()
            if name not in LACKING
        },
        "beta": [Interval(Real, 0, None, closed="neither")],
        "n_importance_samples": [Interval(Integral, 1, None, closed="left")],
        "loss": [StrOptions({"squared_error", "binary_cross_entropy"})],
    }

    def __init__(
        self,
        n_components=None,
        *,
        beta=1.0,
        n_importance_samples=1,
        hidden_layer_sizes="auto",
        activation="silu",
        conv_filters=(),
        image_shape=None,
        encoder=None,
        decoder=None,
        init="auto",
        loss="squared_error",
        optimizer="adam",
        learning_rate=0.004,
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
        self.beta = beta
        self.n_importance_samples = n_importance_samples
        self.hidden_layer_sizes = hidden_layer_sizes
        self.activation = activation
        self.conv_filters = conv_filters
        self.image_shape = image_shape
        self.encoder = encoder
        self.decoder = decoder
        self.init = init
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

    def _get_settings(self):
        return {**LACKING, **self.get_params(deep=False)}
