"""Display of codes as points in the plane."""

from numbers import Integral

import numpy as np
from sklearn.utils import check_array, check_consistent_length, column_or_1d

from ._drawing import axes_for, normalized, place_legend
from ._inputs import check_can, holds_classes

# Petroff's colours, made to be told apart by colour-blind readers; a marker each for grey prints.
CLASS_COLORS = [
    *("#3f90da", "#ffa90e", "#bd1f01", "#717581", "#832db6"),
    *("#a96b59", "#e76300", "#b9ac70", "#1b1b1b", "#92dadd"),
]
CLASS_MARKERS = "os^Dv<>PXp"


class CodeScatterDisplay:
    """Codes of two numbers as points, coloured by class or value.

    Parameters
    ----------
    codes : array-like of shape (n_samples, 2)
        The two numbers of each code.
    y : array-like of shape (n_samples,), default=None
        Classes or values.
    code_names : sequence of two str, default=("code 0", "code 1")
        Names of the axes.
    target_name : str, default=None
        What y is.

    Attributes
    ----------
    ax_ : matplotlib Axes
        What is drawn into.
    figure_ : matplotlib Figure
        Its figure.
    colorbar_ : matplotlib Colorbar or None
        That of values; None for classes.

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
        """Encode X and draw its codes.

        Parameters
        ----------
        estimator : fitted transformer
            With codes of two numbers or more.
        X : array-like of shape (n_samples, n_features)
            Rows to encode.
        y : array-like of shape (n_samples,), default=None
            Classes or values to colour by. A series gives its name to the legend.
        components : sequence of two int, default=(0, 1)
            Which numbers of the code are drawn.
        ax, kind, legend, **scatter_kwargs : optional
            As in `plot`.

        Returns
        -------
        display : CodeScatterDisplay

        Raises
        ------
        ValueError
            If codes have no such components.
        """
        check_can(estimator, "transform")
        codes = check_array(estimator.transform(X), accept_sparse=False)
        numbers = range(codes.shape[1])
        if len(components) != 2 or not all(
            isinstance(i, Integral) and i in numbers for i in components
        ):
            raise ValueError(
                f"components={components!r} are not two in codes of {codes.shape[1]} numbers."
            )
        first, second = components
        names = [f"code {first}", f"code {second}"]
        display = cls(
            codes[:, [first, second]],
            y=y,
            code_names=names,
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
            Whether y holds classes, a colour and a marker each, or values along a colour map.
            "auto" takes for values what is fractional or has more than 20 different numbers.
        legend : bool, default=True
            Whether there is a legend, or a colour bar.
        **scatter_kwargs : dict
            Passed to matplotlib's `scatter`.

        Returns
        -------
        display : CodeScatterDisplay
        """
        if kind not in ("auto", "classes", "values"):
            raise ValueError(f"kind must be 'auto', 'classes' or 'values'; got {kind!r}.")
        (ax,) = axes_for(type(self).__name__, ax)
        codes, self.colorbar_ = np.asarray(self.codes), None
        if codes.ndim != 2 or codes.shape[1] != 2:
            raise ValueError(f"codes must be of shape (n_samples, 2); got {codes.shape}.")
        how = {"s": 16, "alpha": 0.8, "linewidth": 0, **normalized(scatter_kwargs, "scatter")}
        if self.y is None:
            ax.scatter(*codes.T, **{"color": CLASS_COLORS[0], **how})
        else:
            y = column_or_1d(self.y)
            check_consistent_length(codes, y)
            if kind == "classes" or (kind == "auto" and holds_classes(y)):
                draw_classes(ax, codes, y, how)
                if legend:
                    place_legend(ax, title=self.target_name, markerscale=1.5)
            else:
                points = ax.scatter(*codes.T, c=y.astype(float), **{"cmap": "viridis", **how})
                if legend:
                    self.colorbar_ = ax.figure.colorbar(points, ax=ax, label=self.target_name)
        ax.set_xlabel(self.code_names[0])
        ax.set_ylabel(self.code_names[1])
        self.ax_, self.figure_ = ax, ax.figure
        return self


def draw_classes(ax, codes, y, how):
    """Draw the points of each class in its colour and marker."""
    for i, label in enumerate(np.unique(y)):
        look = {
            "color": CLASS_COLORS[i % len(CLASS_COLORS)],
            "marker": CLASS_MARKERS[(i + i // len(CLASS_COLORS)) % len(CLASS_MARKERS)],
        }
        ax.scatter(*codes[y == label].T, **{**look, "label": str(label), **how})
