"""Displays of curves: scores over code sizes, and losses over epochs."""

import numpy as np
from sklearn.utils.validation import check_is_fitted

from .._variational import VariationalAutoencoder
from ._code_size_curve import MEASURES, code_size_curve
from ._drawing import (
    AUTOENCODER_STYLE,
    PCA_STYLE,
    check_axes,
    choose_method_styles,
    expand_curve_kwargs,
    find_labelled,
    prepare_axes,
)
from ._inputs import check_has_attribute, iterate_parts, name_reducers

TIME_LABELS = {
    "fit_time": "seconds to fit",
    "transform_time": "seconds to encode the held-out rows",
}


class CodeSizeCurveDisplay:
    """Curves of the scores and times of reducers over code sizes.

    Parameters
    ----------
    curve : :class:`~sklearn.utils.Bunch`
        Result of `code_size_curve`.

    Attributes
    ----------
    axes_ : ndarray of matplotlib Axes
        One for each measure drawn.
    ax_ : matplotlib Axes
        The first of `axes_`.
    figure_ : matplotlib Figure
        Figure of `axes_`.

    See Also
    --------
    code_size_curve : Computes the curves.

    Examples
    --------
    >>> import matplotlib.pyplot as plt
    >>> from sklearn.datasets import load_iris
    >>> from sklearn.decomposition import PCA, TruncatedSVD
    >>> from sklearn_ae.inspection import CodeSizeCurveDisplay
    >>> X, y = load_iris(return_X_y=True)
    >>> reducers = [PCA(), TruncatedSVD()]
    >>> CodeSizeCurveDisplay.from_estimators(reducers, X, y, n_components=[1, 2, 3])
    <...>
    >>> plt.show()
    """

    def __init__(self, curve):
        self.curve = curve

    @classmethod
    def from_estimators(
        cls,
        estimators,
        X,
        y=None,
        *,
        n_components,
        cv=None,
        groups=None,
        scoring=None,
        classifier=None,
        classifier_scoring=None,
        param_name=None,
        n_jobs=None,
        verbose=0,
        ax=None,
        measures=None,
        std_display_style="fill_between",
        curve_kwargs=None,
    ):
        """Cross-validate reducers over code sizes and draw the curves.

        Parameters
        ----------
        estimators : estimator, list of estimators or dict of str to estimator
            Reducers, fitted or not: they are cloned.
        X : {array-like, data frame, sparse matrix} of shape (n_samples, n_features)
            Rows to reduce, of any type that all reducers accept.
        y : array-like of shape (n_samples,), default=None
            Target of the classifier.
        n_components : array-like of int
            Code sizes.
        cv, groups, scoring, classifier, classifier_scoring, param_name, n_jobs, verbose : optional
            As in `code_size_curve`.
        ax, measures, std_display_style, curve_kwargs : optional
            As in `plot`.

        Returns
        -------
        display : CodeSizeCurveDisplay

        Raises
        ------
        ValueError
            If `code_size_curve` or `plot` raises it.
        TypeError
            If an estimator has no `transform`, or `ax` holds something else than Axes.
        ImportError
            If matplotlib is not installed.

        Notes
        -----
        All of these are raised before the first fit, unless every fit fails.
        """
        measures = check_drawing(
            cls.__name__, estimators, y, ax, measures, std_display_style, curve_kwargs
        )
        curve = code_size_curve(
            estimators,
            X,
            y,
            n_components=n_components,
            cv=cv,
            groups=groups,
            scoring=scoring,
            classifier=classifier,
            classifier_scoring=classifier_scoring,
            param_name=param_name,
            n_jobs=n_jobs,
            verbose=verbose,
        )
        return cls(curve).plot(
            ax, measures=measures, std_display_style=std_display_style, curve_kwargs=curve_kwargs
        )

    def plot(self, ax=None, *, measures=None, std_display_style="fill_between", curve_kwargs=None):
        """Draw the curves.

        Parameters
        ----------
        ax : matplotlib Axes or array of them, default=None
            Axes to draw into: one for each measure, or a single one of a grid of subplots,
            which is divided. None makes a new figure.
        measures : str or list of str, default=None
            Among "reconstruction_score", "classifier_score", "fit_time" and "transform_time".
            None draws the scores that at least one reducer has.
        std_display_style : {"fill_between", "errorbar", None}, default="fill_between"
            How to draw the standard deviation over the folds; None leaves it out.
        curve_kwargs : dict or list of dict, default=None
            Keyword arguments of matplotlib's `plot`: one dict for all reducers, or one for each.
            They replace the colours, markers and labels that the Display chooses.

        Returns
        -------
        display : CodeSizeCurveDisplay

        Raises
        ------
        ValueError
            If `measures` or `std_display_style` is unknown, `ax` holds the wrong number of
            Axes, or `curve_kwargs` the wrong number of dicts.
        TypeError
            If `ax` holds something else than Axes.
        """
        available = [name for name in MEASURES if self.curve.get(name) is not None]
        not_nan = [name for name in available if not np.isnan(self.curve[name]).all()]
        measures = choose_measures(measures, available, not_nan)
        check_std_style(std_display_style)
        check_axes(type(self).__name__, ax, len(measures))
        curve_kwargs = expand_curve_kwargs(curve_kwargs, len(self.curve.estimators))
        axes = prepare_axes(type(self).__name__, ax, len(measures))
        explained = set()
        for measure_ax, measure in zip(axes, measures, strict=True):
            self._draw_measure(measure_ax, measure, std_display_style, curve_kwargs)
            artists, labels = find_labelled(measure_ax)
            # One legend is enough, unless a later Axes has curves that it does not name.
            if not set(labels) <= explained:
                measure_ax.legend(artists, labels)
                explained = set(labels)
        self.axes_, self.ax_, self.figure_ = axes, axes[0], axes[0].figure
        return self

    def _draw_measure(self, ax, measure, std_display_style, curve_kwargs):
        """Draw the curves of all reducers for one measure."""
        names, sizes = list(map(str, self.curve.estimators)), self.curve.n_components
        order = np.argsort(sizes)
        styles = choose_method_styles(names, self.curve.get("kinds"))
        for name, values, style, kwargs in zip(
            names, self.curve[measure], styles, curve_kwargs, strict=True
        ):
            mean, std = values.mean(axis=1)[order], values.std(axis=1)[order]
            if np.isnan(mean).all():
                continue
            line_kwargs = {"label": name, **style, **kwargs}
            (line,) = ax.plot(sizes[order], mean, **line_kwargs)
            draw_std(ax, sizes[order], mean, std, std_display_style, line.get_color())
        format_size_axis(ax, np.unique(sizes))
        ax.set_ylabel(self.curve.score_names.get(measure) or TIME_LABELS[measure])


def predict_measures(reducers, y):
    """Return the measures that `code_size_curve` will compute, and those not NaN everywhere."""
    available = [name for name in MEASURES if name != "classifier_score" or y is not None]
    has_inverse = any(hasattr(reducer, "inverse_transform") for reducer in reducers.values())
    return available, [name for name in available if name != "reconstruction_score" or has_inverse]


def choose_measures(measures, available, not_nan):
    """Return the measures to draw as a list.

    Parameters
    ----------
    measures : str, list of str or None
        Measures that the user asks for. None takes the scores.
    available : list of str
        Measures of the curve.
    not_nan : list of str
        Those of them that are not NaN everywhere.

    Raises
    ------
    ValueError
        If `measures` is empty or has others than those of the curve.
    """
    if measures is None:
        scores = [name for name in available if name.endswith("_score")]
        return [name for name in scores if name in not_nan] or scores
    measures = [measures] if isinstance(measures, str) else list(measures)
    unknown = [name for name in measures if name not in available]
    if unknown or not measures:
        raise ValueError(f"measures must be among {available}; got {unknown or measures}.")
    return measures


def check_drawing(display_name, estimators, y, ax, measures, std_display_style, curve_kwargs):
    """Return the measures for `plot`, or raise an error if the curves cannot be drawn as asked."""
    reducers = name_reducers(estimators)
    expected = choose_measures(measures, *predict_measures(reducers, y))
    check_axes(display_name, ax, len(expected))
    check_std_style(std_display_style)
    expand_curve_kwargs(curve_kwargs, len(reducers))
    # each of several Axes is for one of the expected measures
    return expected if np.size(ax) > 1 else measures


def check_std_style(std_display_style):
    """Raise a ValueError if there is no such way to draw standard deviations."""
    if std_display_style not in ("fill_between", "errorbar", None):
        raise ValueError(
            "std_display_style must be 'fill_between', 'errorbar' or None; got "
            f"{std_display_style!r}."
        )


def draw_std(ax, x, mean, std, std_display_style, color):
    """Draw the standard deviation around a curve as a band or as error bars, or not at all."""
    if std_display_style == "fill_between":
        ax.fill_between(x, mean - std, mean + std, alpha=0.2, linewidth=0, color=color)
    elif std_display_style == "errorbar":
        ax.errorbar(x, mean, std, linestyle="none", capsize=3, color=color)


def format_size_axis(ax, sizes):
    """Format the x axis for code sizes: logarithmic, with ticks at some of the sizes."""
    ticks = []
    for size in sizes:
        # Leave out ticks whose labels would overlap: at most some twelve fit.
        if not ticks or size / ticks[-1] >= (sizes[-1] / sizes[0]) ** (1 / 12):
            ticks.append(size)
    ax.set_xscale("log", base=2)
    ax.set_xticks(ticks, ticks)
    ax.minorticks_off()
    ax.set_xlabel("code size")
    ax.grid(alpha=0.3)


def name_loss(estimator):
    """Return what the losses of an estimator are, for an axis."""
    if isinstance(estimator, VariationalAutoencoder):
        return "minus bound of the log-likelihood (nats)"
    loss = getattr(estimator, "loss", "loss")
    return loss.replace("_", " ") if isinstance(loss, str) else "loss"


class LossCurveDisplay:
    """Curves of training and validation loss over the epochs.

    Parameters
    ----------
    loss_curve : array-like of shape (n_epochs,)
        Training loss of each epoch.
    validation_loss_curve : array-like of shape (n_epochs,), default=None
        Loss of held-out rows after each epoch.
    start_loss : float, default=None
        Loss of the held-out rows before the first epoch.
    best_epoch : int, default=None
        Epoch whose weights were kept, counted from 1; 0 means those before the first epoch.
    start_name : str, default=None
        Name of the model before the first epoch, such as "PCA". If it is given, its loss is
        drawn as a horizontal line.
    loss_name : str, default="loss"
        Label of the y axis.

    Attributes
    ----------
    ax_ : matplotlib Axes
        Axes with the curves.
    figure_ : matplotlib Figure
        Figure of `ax_`.

    Examples
    --------
    >>> import matplotlib.pyplot as plt
    >>> from sklearn.datasets import load_digits
    >>> from sklearn_ae import AutoencoderTransformer
    >>> from sklearn_ae.inspection import LossCurveDisplay
    >>> autoencoder = AutoencoderTransformer(8, max_epochs=20).fit(load_digits().data)
    >>> LossCurveDisplay.from_estimator(autoencoder)
    <...>
    >>> plt.show()
    """

    def __init__(
        self,
        loss_curve,
        *,
        validation_loss_curve=None,
        start_loss=None,
        best_epoch=None,
        start_name=None,
        loss_name="loss",
    ):
        self.loss_curve = loss_curve
        self.validation_loss_curve = validation_loss_curve
        self.start_loss = start_loss
        self.best_epoch = best_epoch
        self.start_name = start_name
        self.loss_name = loss_name

    @classmethod
    def from_estimator(cls, estimator, *, ax=None, name=None, color=None):
        """Draw the losses of a fitted estimator.

        Parameters
        ----------
        estimator : fitted estimator
            It must have `loss_curve_`. The estimators of this package have it, and so have
            others that are trained in epochs, such as `sklearn.neural_network.MLPRegressor`.
            It may be inside a pipeline or a search.
        ax, name, color : optional
            As in `plot`.

        Returns
        -------
        display : LossCurveDisplay

        Raises
        ------
        NotFittedError
            If the estimator is not fitted.
        TypeError
            If the estimator has no `loss_curve_`, like PCA, which has no epochs.
        """
        trained = next((p for p in iterate_parts(estimator) if hasattr(p, "loss_curve_")), None)
        if trained is None:
            check_is_fitted(estimator)
            check_has_attribute(estimator, "loss_curve_")
        estimator = trained
        loss = getattr(estimator, "loss", "loss")
        start_name = None
        init = getattr(estimator, "init_", None)
        if init == "auto":
            start_name = "closed form"
        elif init == "linear":
            is_pca = not hasattr(estimator, "corruption") and loss != "binary_cross_entropy"
            start_name = "PCA" if is_pca else "linear start"
        display = cls(
            estimator.loss_curve_,
            validation_loss_curve=getattr(estimator, "validation_loss_curve_", None),
            start_loss=getattr(estimator, "start_loss_", None),
            best_epoch=getattr(estimator, "best_epoch_", None),
            start_name=start_name,
            loss_name=name_loss(estimator),
        )
        return display.plot(ax, name=name, color=color)

    def plot(self, ax=None, *, name=None, color=None):
        """Draw the losses.

        Parameters
        ----------
        ax : matplotlib Axes, default=None
            Axes to draw into; None makes a new figure.
        name : object, default=None
            Prefix of the labels, converted to str, to distinguish several estimators in one Axes.
        color : matplotlib color, default=None
            Colour of both curves.

        Returns
        -------
        display : LossCurveDisplay
        """
        (ax,) = prepare_axes(type(self).__name__, ax)
        color = AUTOENCODER_STYLE["color"] if color is None else color
        name = "" if name is None else str(name)
        prefix = f"{name}, " if name else ""
        epochs = np.arange(1, len(self.loss_curve) + 1)
        if self.start_name is not None and self.start_loss is not None:
            style = {"color": PCA_STYLE["color"], "linestyle": PCA_STYLE["linestyle"]}
            label = f"{self.start_name}, {f'start of {name}' if name else 'held out'}"
            ax.axhline(self.start_loss, label=label, **style)
        ax.plot(epochs, self.loss_curve, color=color, linestyle=":", label=f"{prefix}training")
        if self.validation_loss_curve is not None:
            # Index 0 is the loss before the first epoch, so that indices are epochs.
            start = np.nan if self.start_loss is None else self.start_loss
            held_out = np.array([start, *self.validation_loss_curve])
            ax.plot(np.arange(len(held_out)), held_out, color=color, label=f"{prefix}held out")
            if self.best_epoch is not None:
                label = f"{prefix}best epoch, {self.best_epoch}"
                ax.plot(self.best_epoch, held_out[self.best_epoch], "o", color=color, label=label)
        ax.set_xlabel("epoch")
        ax.set_ylabel(self.loss_name)
        if ax.get_xscale() == "linear":  # locators of other scales have no `integer`
            ax.xaxis.get_major_locator().set_params(integer=True)
        ax.legend(*find_labelled(ax))
        self.ax_, self.figure_ = ax, ax.figure
        return self
