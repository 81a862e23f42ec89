"""Displays of curves: scores over code sizes, losses over epochs."""

import numpy as np
from sklearn.utils.validation import check_is_fitted

from ._code_size_curve import MEASURES, code_size_curve
from ._drawing import AUTOENCODER_STYLE, PCA_STYLE, axes_for, method_styles, normalized, pyplot
from ._inputs import check_can, parts

AXIS_NAMES = {
    "fit_time": "seconds to fit",
    "transform_time": "seconds to encode the held-out rows",
}


class CodeSizeCurveDisplay:
    """Scores and times of reducers over code sizes.

    Parameters
    ----------
    curve : :class:`~sklearn.utils.Bunch`
        What `code_size_curve` returned.

    Attributes
    ----------
    axes_ : ndarray of matplotlib Axes
        One for each measure drawn.
    ax_ : matplotlib Axes
        The first of them.
    figure_ : matplotlib Figure
        Their figure.

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
            Whatever the reducers take.
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
        """
        pyplot(cls.__name__)
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
            Axes to draw into: one for each measure, or one that gives its place to all. None
            makes a new figure.
        measures : str or list of str, default=None
            Of "reconstruction_score", "classifier_score", "fit_time", "transform_time". None draws
            the scores, without those that nobody has.
        std_display_style : {"fill_between", "errorbar", None}, default="fill_between"
            How the standard deviation over the folds is drawn.
        curve_kwargs : dict or list of dict, default=None
            Passed to matplotlib's `plot`, for all reducers or for each.

        Returns
        -------
        display : CodeSizeCurveDisplay
        """
        measures = self._checked_measures(measures)
        if std_display_style not in ("fill_between", "errorbar", None):
            raise ValueError(
                "std_display_style must be 'fill_between', 'errorbar' or None; got "
                f"{std_display_style!r}."
            )
        axes = axes_for(type(self).__name__, ax, len(measures))
        named = []
        for one, measure in zip(axes, measures, strict=True):
            self._draw(one, measure, std_display_style, curve_kwargs)
            names = one.get_legend_handles_labels()[1]
            if not set(names) <= set(named):  # once, unless the first has not all of them
                one.legend()
                named = names
        self.axes_, self.ax_, self.figure_ = axes, axes[0], axes[0].figure
        return self

    def _checked_measures(self, measures):
        """Return the measures to draw as a list."""
        there = [name for name in MEASURES if self.curve.get(name) is not None]
        if measures is None:
            scores = [name for name in there if name.endswith("_score")]
            return [name for name in scores if not np.isnan(self.curve[name]).all()] or scores
        measures = [measures] if isinstance(measures, str) else list(measures)
        unknown = [name for name in measures if name not in there]
        if unknown or not measures:
            raise ValueError(f"measures must be among {there}; got {unknown or measures}.")
        return measures

    def _draw(self, ax, measure, std_display_style, curve_kwargs):
        """Draw the curves of one measure."""
        names, sizes = self.curve.estimators, self.curve.n_components
        order = np.argsort(sizes)
        if not isinstance(curve_kwargs, list | tuple):
            curve_kwargs = [curve_kwargs] * len(names)
        for name, values, style, own in zip(
            names,
            self.curve[measure],
            method_styles(names, self.curve.get("kinds")),
            curve_kwargs,
            strict=True,
        ):
            mean, spread = values.mean(axis=1)[order], values.std(axis=1)[order]
            if np.isnan(mean).all():
                continue
            (line,) = ax.plot(
                sizes[order], mean, **{"label": name, **style, **normalized(own, "plot")}
            )
            how = {"color": line.get_color()}
            if std_display_style == "fill_between":
                ax.fill_between(
                    sizes[order], mean - spread, mean + spread, alpha=0.2, linewidth=0, **how
                )
            elif std_display_style == "errorbar":
                ax.errorbar(sizes[order], mean, spread, linestyle="none", capsize=3, **how)
        draw_sizes(ax, np.unique(sizes))
        ax.set_ylabel(self.curve.score_names.get(measure) or AXIS_NAMES[measure])


def draw_sizes(ax, sizes):
    """Set up the axis of the code sizes: doublings are steps of the same length."""
    ticks = []
    for size in sizes:  # those with room for their labels
        if not ticks or size / ticks[-1] >= (sizes[-1] / sizes[0]) ** (1 / 12):
            ticks.append(size)
    ax.set_xscale("log", base=2)
    ax.set_xticks(ticks, ticks)
    ax.minorticks_off()
    ax.set_xlabel("code size")
    ax.grid(alpha=0.3)


class LossCurveDisplay:
    """Training and validation loss over the epochs.

    Parameters
    ----------
    loss_curve : array-like of shape (n_epochs,)
        Training loss of each epoch.
    validation_loss_curve : array-like of shape (n_epochs,), default=None
        Loss of held-out rows after each epoch.
    start_loss : float, default=None
        Loss of the held-out rows before the first epoch.
    best_epoch : int, default=None
        Epoch whose weights were kept, counted from 1; 0 is the start.
    start_name : str, default=None
        What the start is, "PCA" where it is that: its loss is then drawn as a line across.
    loss_name : str, default="loss"
        Name of the loss.

    Attributes
    ----------
    ax_ : matplotlib Axes
        What is drawn into.
    figure_ : matplotlib Figure
        Its figure.

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
            With `loss_curve_`: one of this package, or another that trains by epochs, such as
            `sklearn.neural_network.MLPRegressor`; or a pipeline or search that holds one.
        ax, name, color : optional
            As in `plot`.

        Returns
        -------
        display : LossCurveDisplay

        Raises
        ------
        TypeError
            If the estimator has no `loss_curve_`, like PCA, which has no epochs.
        """
        trained = next((p for p in parts(estimator) if hasattr(p, "loss_curve_")), None)
        if trained is None:
            check_is_fitted(estimator)
            check_can(estimator, "loss_curve_")
        estimator = trained
        loss = getattr(estimator, "loss", "loss")
        start_name = None
        if getattr(estimator, "linear_start_", False):
            is_pca = not hasattr(estimator, "corruption") and loss != "binary_cross_entropy"
            start_name = "PCA" if is_pca else "linear start"
        display = cls(
            estimator.loss_curve_,
            validation_loss_curve=getattr(estimator, "validation_loss_curve_", None),
            start_loss=getattr(estimator, "start_loss_", None),
            best_epoch=getattr(estimator, "best_epoch_", None),
            start_name=start_name,
            loss_name=loss.replace("_", " ") if isinstance(loss, str) else "loss",
        )
        return display.plot(ax, name=name, color=color)

    def plot(self, ax=None, *, name=None, color=None):
        """Draw the losses.

        Parameters
        ----------
        ax : matplotlib Axes, default=None
            Axes to draw into; None makes a new figure.
        name : str, default=None
            Put before the labels, to tell several estimators in one Axes.
        color : matplotlib color, default=None
            Of both curves.

        Returns
        -------
        display : LossCurveDisplay
        """
        (ax,) = axes_for(type(self).__name__, ax)
        color = AUTOENCODER_STYLE["color"] if color is None else color
        of = f"{name}, " if name else ""
        epochs = np.arange(1, len(self.loss_curve) + 1)
        if self.start_name is not None and self.start_loss is not None:
            style = {"color": PCA_STYLE["color"], "linestyle": PCA_STYLE["linestyle"]}
            label = f"{self.start_name}, {f'start of {name}' if name else 'held out'}"
            ax.axhline(self.start_loss, label=label, **style)
        ax.plot(epochs, self.loss_curve, color=color, linestyle=":", label=f"{of}training")
        if self.validation_loss_curve is not None:
            start = np.nan if self.start_loss is None else self.start_loss
            held_out = np.array([start, *self.validation_loss_curve])
            ax.plot(np.arange(len(held_out)), held_out, color=color, label=f"{of}held out")
            if self.best_epoch is not None:
                label = f"{of}best epoch, {self.best_epoch}"
                ax.plot(self.best_epoch, held_out[self.best_epoch], "o", color=color, label=label)
        ax.set_xlabel("epoch")
        ax.set_ylabel(self.loss_name)
        if ax.get_xscale() == "linear":
            ax.xaxis.get_major_locator().set_params(integer=True)
        ax.legend()
        self.ax_, self.figure_ = ax, ax.figure
        return self
