"""Display of codes as points in the plane."""

import numpy as np
from sklearn.utils import check_array, check_consistent_length, column_or_1d
from sklearn.utils.multiclass import type_of_target

from ._drawing import axes_for
from ._reducers import check_can

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
    figure_ : matplotlib Figure
    colorbar_ : matplotlib Colorbar or None

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
        cls, estimator, X, y=None, *, components=(0, 1), ax=None, legend="auto", **scatter_kwargs
    ):
        """Encode X and draw its codes.

        Parameters
        ----------
        estimator : fitted transformer
        X : array-like of shape (n_samples, n_features)
        y : array-like of shape (n_samples,), default=None
            Classes or values to colour by. A series gives its name to the legend.
        components : sequence of two int, default=(0, 1)
            Which numbers of the code are drawn.
        ax, legend, **scatter_kwargs
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
        first, second = components
        if max(first, second) >= codes.shape[1]:
            raise ValueError(
                f"components={components!r} are not in codes of {codes.shape[1]} numbers."
            )
        names = [f"code {first}", f"code {second}"]
        display = cls(
            codes[:, [first, second]],
            y=y,
            code_names=names,
            target_name=getattr(y, "name", None),
        )
        return display.plot(ax, legend=legend, **scatter_kwargs)

    def plot(self, ax=None, *, legend="auto", **scatter_kwargs):
        """Draw the codes.

        Parameters
        ----------
        ax : matplotlib Axes, default=None
            Axes to draw into; None makes a new figure.
        legend : {"auto", True, False}, default="auto"
            True takes y for classes, a colour and a marker each, False for values, with a
            colour bar. "auto" takes it for classes unless it is continuous or has more than
            20 values.
        **scatter_kwargs : dict
            Passed to matplotlib's `scatter`.

        Returns
        -------
        display : CodeScatterDisplay
        """
        (ax,) = axes_for(type(self).__name__, ax)
        codes, self.colorbar_ = np.asarray(self.codes), None
        how = {"s": 16, "alpha": 0.8, "linewidths": 0, **scatter_kwargs}
        if self.y is None:
            ax.scatter(*codes.T, **{"color": CLASS_COLORS[0], **how})
        else:
            y = column_or_1d(self.y)
            check_consistent_length(codes, y)
            if legend is True or (legend == "auto" and holds_classes(y)):
                draw_classes(ax, codes, y, self.target_name, how)
            else:
                points = ax.scatter(*codes.T, c=y, **{"cmap": "viridis", **how})
                self.colorbar_ = ax.figure.colorbar(points, ax=ax, label=self.target_name)
        ax.set_xlabel(self.code_names[0])
        ax.set_ylabel(self.code_names[1])
        self.ax_, self.figure_ = ax, ax.figure
        return self


def holds_classes(y):
    """Tell whether y is better seen as classes than as values."""
    return type_of_target(y) in ("binary", "multiclass") and (
        y.dtype.kind not in "iuf" or len(np.unique(y)) <= 20
    )


def draw_classes(ax, codes, y, title, how):
    """Draw the points of each class in its colour and marker."""
    for i, label in enumerate(np.unique(y)):
        look = {
            "color": CLASS_COLORS[i % len(CLASS_COLORS)],
            "marker": CLASS_MARKERS[(i + i // len(CLASS_COLORS)) % len(CLASS_MARKERS)],
        }
        ax.scatter(*codes[y == label].T, **{**look, "label": str(label), **how})
    ax.legend(
        title=title, loc="center left", bbox_to_anchor=(1, 0.5), frameon=False, markerscale=1.5
    )
