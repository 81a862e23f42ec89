"""The denoising autoencoder."""

from numbers import Real

import numpy as np
import torch
from sklearn.utils._param_validation import Interval, StrOptions

from ._base import BaseAutoencoder
from ._rows import as_tensor
from .corruption import applied, check_corruption, standardized


class DenoisingAutoencoder(BaseAutoencoder):
    """An autoencoder that restores X from a corrupted X, starting at the best linear map.

    `reconstruct` restores rows, `transform` gives codes that noise has little hold on [1]_. The
    network is that of `AutoencoderTransformer`; before the first step it is the
    reduced-rank regression [2]_ of clean rows on corrupted ones: for Gaussian noise PCA
    with each component shrunk by its share of signal, as a Wiener filter does.

    Parameters
    ----------
    n_components : int, float or None, default=None
        Size of the code. A float in (0, 1) asks for the fewest components with which the
        linear start explains that share of the variance that it can restore with all of
        them. None is min(32, n_features). May exceed n_features.

    corruption : {"gaussian", "masking", "salt_and_pepper"} or callable, default="gaussian"
        What nine in ten rows of a training batch go through, anew in each batch; the tenth
        stays clean, so that clean rows have the codes of corrupted ones. "gaussian" adds normal
        noise;
        "masking" sets entries to the mean of their feature; "salt_and_pepper" sets entries to
        the lowest or the highest value of X, evenly. A callable takes a float32 tensor of rows
        in units of X and a `torch.Generator`, both on `device`, and returns a corrupted
        tensor of the same shape, dtype and device; it is also called once on two rows before
        training, to see that. Ready-made ones are in `sklearn_ae.corruption`. Unlike the
        built-in ones, a callable sees what float32 leaves of an X with a large offset.

    corruption_level : float, default=0.5
        For "gaussian" the standard deviation of the noise, in units of X; for "masking"
        and "salt_and_pepper" the share of entries, in [0, 1]. Ignored with a callable.

    corruption_range : (float, float) or None, default=None
        Lowest and highest value of corrupted rows, which are clipped to it: (0, 1) for
        pictures with values in [0, 1].

    hidden_layer_sizes : array-like of int, int or "auto", default="auto"
        Widths of the hidden layers of the encoder; the decoder mirrors them. ``()`` for
        none. "auto" is (1024,).

    activation : {"relu", "gelu", "silu", "tanh", "logistic", "identity"}, default="relu"
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
        False: the textbook autoencoder with the initialisation of He et al. [3]_ or
        Glorot and Bengio [4]_, whichever suits the activation.

    loss : {"squared_error", "absolute_error", "huber", "binary_cross_entropy"}, \
            default="squared_error"
        What is minimised. "huber" is quadratic for errors up to `scale_` and linear
        beyond. "binary_cross_entropy" needs X in [0, 1]; the decoder then returns logits
        and `inverse_transform` probabilities.

    optimizer : {"adam", "adamw", "sgd"} or torch.optim.Optimizer subclass, default="adam"
        "sgd" has a Nesterov momentum of 0.9.

    learning_rate : float, default=0.002
        Peak of the schedule.

    schedule : {"one_cycle", "cosine", "constant"}, default="one_cycle"
        Of the learning rate over the steps of `max_epochs`. "one_cycle" rises and falls
        along cosines [5]_. To set the rate by a callback of skorch's, use "constant".

    weight_decay : float or "auto", default="auto"
        L2 penalty of the optimizer on f and g; it draws them towards zero, that is the
        network towards the linear path, which has none. "auto" is 0.3 / n_samples with
        the linear path and 0 without.

    batch_size : int or "auto", default="auto"
        Rows a step. "auto" is n_samples / 100, at least 64 and at most 200, and more only
        where an epoch would have more than 3,600 steps.

    max_epochs : int or "auto", default="auto"
        Passes over the training rows. "auto" makes at most 3,600 steps: 3,600 divided by
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
        not change; the corruption may.

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
        Determines the split, the order of the rows, the corruption and the initial weights.

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
        Loss of the held-out rows, corrupted once for all epochs, after each epoch.

    start_loss_ : float or None
        Loss of the held-out rows before the first epoch.

    best_loss_ : float or None
        Held-out loss of the epoch that was kept; training loss without held-out rows.

    See Also
    --------
    AutoencoderTransformer : The same without corruption.
    sklearn_ae.corruption : Corruptions, and a function that corrupts an array.
    sklearn_ae.metrics.RestorationScorer : Scores how well corrupted rows are restored.

    Notes
    -----
    What rows are restored to and compared with in training are the rows of X themselves, which
    should therefore be clean. `score` and `score_samples` are about the rows they get: of
    clean rows they tell what the code keeps of them, not how well noise is removed.

    The linear start is computed from one corrupted draw of all rows up to 100,000, from a
    random sample of that many beyond, and from at most 67 million entries of them; fewer rows than
    50 a feature are drawn several times, up to 16 million entries in all.

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

    Examples
    --------
    >>> from sklearn.datasets import load_digits
    >>> from sklearn.model_selection import train_test_split
    >>> from sklearn_ae import DenoisingAutoencoder
    >>> from sklearn_ae.corruption import corrupt
    >>> X_train, X_test = train_test_split(load_digits().data / 16, random_state=0)
    >>> X_noisy = corrupt(X_test, "gaussian", 0.3, random_state=0)
    >>> autoencoder = DenoisingAutoencoder(16, corruption_level=0.3, random_state=0)
    >>> X_restored = autoencoder.fit(X_train).reconstruct(X_noisy)
    >>> before, after = ((X_noisy - X_test) ** 2).mean(), ((X_restored - X_test) ** 2).mean()
    >>> bool(after < 0.3 * before)
    True
    """

    _max_steps = 3600

    _parameter_constraints: dict = {
        **BaseAutoencoder._parameter_constraints,
        "corruption": [StrOptions({"gaussian", "masking", "salt_and_pepper"}), callable],
        "corruption_level": [Interval(Real, 0, None, closed="left")],
        "corruption_range": ["array-like", None],
    }

    def __init__(
        self,
        n_components=None,
        *,
        corruption="gaussian",
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
        linear_start="auto",
        loss="squared_error",
        optimizer="adam",
        learning_rate=0.002,
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
        self.corruption = corruption
        self.corruption_level = corruption_level
        self.corruption_range = corruption_range

    def _automatic_widths(self, n_components):
        return [1024]

    def _check_parameters(self):
        super()._check_parameters()
        check_corruption(self.corruption, self.corruption_level, self.corruption_range)

    def _check_training_rows(self, X, ranks, reset):
        X, rows, seen = super()._check_training_rows(X, ranks, reset)
        if callable(self.corruption):  # shows on two rows what would end a fit in its first batch
            if max(seen.high.max(), -seen.low.min()) > np.finfo(np.float32).max:
                raise ValueError(
                    "The values of X are too large for a callable corruption, which works on "
                    "float32. Scale X, e.g. with StandardScaler."
                )
            batch = rows.read(slice(0, 2)).to(torch.float32, copy=True)
            applied(self.corruption, batch, torch.Generator(batch.device))
        return X, rows, seen

    def _corruption(self):
        if self.corruption == "gaussian" and self.corruption_level > 1e12 * self.scale_:
            raise ValueError(
                f"corruption_level={self.corruption_level!r} drowns X, whose features "
                f"have a standard deviation of {self.scale_:.3g}; it is in units of X."
            )
        seen, mean = self._seen_, as_tensor(self.mean_).cpu().numpy()
        return standardized(
            self.corruption,
            self.corruption_level,
            self.corruption_range,
            (seen.mean.numpy(), float(seen.low.min()), float(seen.high.max())),
            mean,
            self.scale_,
        )
