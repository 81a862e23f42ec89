"""Display of codes as a scatter plot."""

from numbers import Integral

import numpy as np
from sklearn.utils import check_array, check_consistent_length, column_or_1d

from ._drawing import expand_aliases, place_legend, prepare_axes
from ._inputs import check_has_attribute, holds_classes

# Colours of Petroff, which colour-blind readers can distinguish. Markers differ as well, for
# prints without colour.
CLASS_COLORS = [
    *("#3f90da", "#ffa90e", "#bd1f01", "#717581", "#832db6"),
    *("#a96b59", "#e76300", "#b9ac70", "#1b1b1b", "#92dadd"),
]
CLASS_MARKERS = "os^Dv<>PXp"


class CodeScatterDisplay:
    """Scatter plot of two components of the code, coloured by class or value.

    Parameters
    ----------
    codes : array-like of shape (n_samples, 2)
        Two components of the code of each row.
    y : array-like of shape (n_samples,), default=None
        Classes or values to colour by.
    code_names : sequence of two str, default=("code 0", "code 1")
        Labels of the axes.
    target_name : str, default=None
        Title of the legend, or label of the colour bar.

    Attributes
    ----------
    ax_ : matplotlib Axes
        Axes with the scatter plot.
    figure_ : matplotlib Figure
        Figure of `ax_`.
    colorbar_ : matplotlib Colorbar or None
        Colour bar of values; None for classes and without a legend.

    Examples
    --------
    >>> import matplotlib.pyplot as plt
    >>> from sklearn.datasets import load_iris
    >>> from sklearn.decomposition import PCA
    >>> from sklearn_ae.inspection import CodeScatterDisplay
    >>> X, y = load_iris(return_X_y=True)
    >>> CodeScatterDisplay.from_estimator(PCA(2).fit(X), X, y)
    <...>
    >>> plt.show()
    """

    def __init__(self, codes, *, y=None, code_names=("code 0", "code 1"), target_name=None):
        self.codes = codes
        self.y = y
        self.code_names = code_names
        self.target_name = target_name

    @classmethod
    def from_estimator(
        cls,
        estimator,
        X,
        y=None,
        *,
        components=(0, 1),
        ax=None,
        kind="auto",
        legend=True,
        **scatter_kwargs,
    ):
        """Encode X and draw two components of the codes.

        Parameters
        ----------
        estimator : fitted transformer
            Its codes must have at least two components.
        X : array-like of shape (n_samples, n_features)
            Rows to encode.
        y : array-like of shape (n_samples,), default=None
            Classes or values to colour by. The name of a pandas Series becomes `target_name`.
        components : sequence of two int, default=(0, 1)
            Indices of the components to draw, along the x axis and along the y axis.
        ax, kind, legend, **scatter_kwargs : optional
            As in `plot`.

        Returns
        -------
        display : CodeScatterDisplay

        Raises
        ------
        TypeError
            If the estimator has no `transform`.
        ValueError
            If the codes have no such components, or X and y have different lengths.
        """
        check_has_attribute(estimator, "transform")
        codes = check_array(estimator.transform(X), accept_sparse=False)
        check_two_components(components, codes.shape[1])
        first, second = components
        display = cls(
            codes[:, [first, second]],
            y=y,
            code_names=[f"code {first}", f"code {second}"],
            target_name=getattr(y, "name", None),
        )
        return display.plot(ax, kind=kind, legend=legend, **scatter_kwargs)

    def plot(self, ax=None, *, kind="auto", legend=True, **scatter_kwargs):
        """Draw the codes.

        Parameters
        ----------
        ax : matplotlib Axes, default=None
            Axes to draw into; None makes a new figure.
        kind : {"auto", "classes", "values"}, default="auto"
            Whether y holds classes, which have a colour and a marker each, or values, which are
            coloured along a colour map. "auto" means values if y has fractions or more than 20
            different numbers, and classes otherwise.
        legend : bool, default=True
            Whether to draw the legend of the classes, or the colour bar of the values.
        **scatter_kwargs : dict
            Passed to matplotlib's `scatter`.

        Returns
        -------
        display : CodeScatterDisplay

        Raises
        ------
        ValueError
            If `kind` is unknown, or `codes` and `y` do not have the documented shapes.
        """
        if kind not in ("auto", "classes", "values"):
            raise ValueError(f"kind must be 'auto', 'classes' or 'values'; got {kind!r}.")
        (ax,) = prepare_axes(type(self).__name__, ax)
        codes, self.colorbar_ = np.asarray(self.codes), None
        if codes.ndim != 2 or codes.shape[1] != 2:
            raise ValueError(f"codes must be of shape (n_samples, 2); got {codes.shape}.")
        scatter_kwargs = expand_aliases(scatter_kwargs, "scatter")
        style = {"s": 16, "alpha": 0.8, "linewidth": 0, **scatter_kwargs}
        if self.y is None:
            ax.scatter(*codes.T, **{"color": CLASS_COLORS[0], **style})
        else:
            y = column_or_1d(self.y)
            check_consistent_length(codes, y)
            if kind == "classes" or (kind == "auto" and holds_classes(y)):
                draw_classes(ax, codes, y, style)
                if legend:
                    place_legend(ax, title=self.target_name, markerscale=1.5)
            else:
                points = ax.scatter(*codes.T, c=y.astype(float), **{"cmap": "viridis", **style})
                if legend:
                    self.colorbar_ = ax.figure.colorbar(points, ax=ax, label=self.target_name)
        ax.set_xlabel(self.code_names[0])
        ax.set_ylabel(self.code_names[1])
        self.ax_, self.figure_ = ax, ax.figure
        return self


def check_two_components(components, n_components):
    """Raise a ValueError if these are not two indices of components of the code."""
    if len(components) != 2 or not all(
        isinstance(k, Integral) and k in range(n_components) for k in components
    ):
        raise ValueError(
            f"components must be two integers from 0 to {n_components - 1}; got {components!r}."
        )


def draw_classes(ax, codes, y, style):
    """Draw the points of each class in its own colour and marker, unless `style` sets them."""
    for i, label in enumerate(np.unique(y)):
        class_style = {
            "color": CLASS_COLORS[i % len(CLASS_COLORS)],
            # When the colours start again, each meets another marker.
            "marker": CLASS_MARKERS[(i + i // len(CLASS_COLORS)) % len(CLASS_MARKERS)],
            "label": str(label),
        }
        ax.scatter(*codes[y == label].T, **{**class_style, **style})
