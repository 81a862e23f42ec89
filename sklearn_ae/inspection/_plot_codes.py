"""Display of codes as a scatter plot."""

from itertools import compress

import numpy as np
from sklearn.utils import check_array, check_consistent_length

from .._compat import count_rows
from ._drawing import (
    check_axes,
    expand_aliases,
    find_labelled,
    make_scratch_axes,
    place_legend,
    prepare_axes,
)
from ._inputs import (
    check_components,
    check_fitted,
    check_has_attribute,
    count_codes,
    get_target_name,
    holds_classes,
    split_missing,
)

# Colours of Petroff, which colour-blind readers can distinguish. Markers differ as well, for
# prints without colour.
CLASS_COLORS = [
    *("#3f90da", "#ffa90e", "#bd1f01", "#717581", "#832db6"),
    *("#a96b59", "#e76300", "#b9ac70", "#1b1b1b", "#92dadd"),
]
CLASS_MARKERS = "os^Dv<>PXp"
MISSING_COLOR = "#b5b5b5"
# Beside missing labels no class is grey.
CLASS_COLORS_BESIDE_MISSING = [
    *(color for color in CLASS_COLORS if color != "#717581"),
    "#009e73",
]
COLOR_MAPPING = {"cmap", "norm", "vmin", "vmax"}
# Keywords of `scatter` that may hold a value for each point.
PER_POINT = {"s", "c", "color", "facecolor", "edgecolor", "linewidth", "alpha"}


class CodeScatterDisplay:
    """Scatter plot of two components of the code, coloured by class or value.

    Parameters
    ----------
    codes : array-like of shape (n_samples, 2)
        Two components of the code of each row.
    y : array-like of shape (n_samples,), default=None
        Classes or values to colour by. Missing ones, such as None, NaN, NaT and pandas.NA, are
        drawn grey behind the others and named "missing" in the legend.
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
            Classes or values to colour by; they may be missing. The name of a Series, or of the
            only column of a data frame, becomes `target_name`.
        components : sequence of two int, default=(0, 1)
            Indices of the components to draw, along the x axis and along the y axis. Booleans
            and floats are refused.
        ax, kind, legend, **scatter_kwargs : optional
            As in `plot`.

        Returns
        -------
        display : CodeScatterDisplay

        Raises
        ------
        TypeError
            If the estimator has no `transform`, or `ax` is no Axes.
        NotFittedError
            If the estimator is not fitted.
        ValueError
            If X has another number of features than the estimator expects, the codes have no
            such components, X and y have different lengths, or `plot` raises it.

        Notes
        -----
        All of these are raised before X is encoded. Only the range of `components` is checked
        afterwards if the estimator has no `get_feature_names_out`.
        """
        check_has_attribute(estimator, "transform")
        check_axes(cls.__name__, ax)
        components = check_components(components, count_codes(estimator), n_wanted=2)
        # Rehearse with zeros: what is wrong with y or the keywords is said before the work.
        rehearsal = cls(np.zeros((count_rows(X), 2)), y=y)
        rehearsal.plot(make_scratch_axes(), kind=kind, legend=legend, **scatter_kwargs)
        check_fitted([estimator], X)
        codes = check_array(estimator.transform(X), accept_sparse=False)
        first, second = check_components(components, codes.shape[1], n_wanted=2)
        display = cls(
            codes[:, [first, second]],
            y=y,
            code_names=[f"code {first}", f"code {second}"],
            target_name=get_target_name(y),
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
            Passed to matplotlib's `scatter`. They replace what the Display chooses: `c` or
            `color` the colours, also those of y, and `marker` the markers. One colour leaves
            missing labels grey; a value for each row, also of `s` or `alpha`, applies to all.
            With classes, `cmap` is where their colours are taken from, and `label` comes before
            their names in the legend.

        Returns
        -------
        display : CodeScatterDisplay

        Raises
        ------
        ValueError
            If `kind` is unknown, if it is "values" and y does not hold numbers, or if `codes`
            and `y` do not have the documented shapes.
        """
        if kind not in ("auto", "classes", "values"):
            raise ValueError(f"kind must be 'auto', 'classes' or 'values'; got {kind!r}.")
        codes, self.colorbar_ = np.asarray(self.codes), None
        if codes.ndim != 2 or codes.shape[1] != 2:
            raise ValueError(f"codes must be of shape (n_samples, 2); got {codes.shape}.")
        style = choose_style(scatter_kwargs, len(codes))
        if self.y is None:
            (ax,) = prepare_axes(type(self).__name__, ax)
            draw_points(ax, codes, {"color": CLASS_COLORS[0]}, style)
        else:
            labels, missing = split_missing(self.y)
            check_consistent_length(codes, missing)
            kind, labels = resolve_kind(kind, labels)
            (ax,) = prepare_axes(type(self).__name__, ax)
            values = draw_labelled(ax, codes, labels, missing, style, kind)
            draw_missing(ax, codes, missing, style)
            if legend and values is not None:
                self.colorbar_ = ax.figure.colorbar(values, ax=ax, label=self.target_name)
        if legend and find_labelled(ax)[0]:
            if self.colorbar_ is None:
                place_legend(ax, title=self.target_name, markerscale=1.5)
            else:
                place_legend(ax, side="above", markerscale=1.5)
        ax.set_xlabel(str(self.code_names[0]))
        ax.set_ylabel(str(self.code_names[1]))
        self.ax_, self.figure_ = ax, ax.figure
        return self


def choose_style(scatter_kwargs, n_points):
    """Return keyword arguments of `scatter`: our defaults, overridden by those of the user."""
    from matplotlib.markers import MarkerStyle

    kwargs = expand_aliases(scatter_kwargs, "scatter")
    kwargs = {key: value for key, value in kwargs.items() if value is not None}
    if {"c", "color"} <= kwargs.keys():
        raise ValueError("Pass either c or color; got both.")
    # Points without a face consist of their edge only.
    has_edge = bool({"edgecolor", "facecolor"} & kwargs.keys())
    has_edge |= not MarkerStyle(kwargs.get("marker", "o")).is_filled()
    style = {"s": 16, "alpha": 0.8, "linewidth": 1 if has_edge else 0, **kwargs}
    if is_per_point(kwargs.get("c"), n_points) and "norm" not in kwargs:
        numbers = np.asarray(kwargs["c"])
        if numbers.ndim == 1 and numbers.dtype.kind in "biuf" and np.isfinite(numbers).any():
            # One range for the points of all classes, which are drawn one class at a time.
            finite = numbers[np.isfinite(numbers)]
            style = {"vmin": finite.min(), "vmax": finite.max(), **style}
    return style


def is_per_point(value, n_points):
    """Return whether the value of a keyword of `scatter` holds one value for each point."""
    is_sequence = np.iterable(value) and not isinstance(value, str)
    return is_sequence and len(value) == n_points


def select_points(style, chosen):
    """Return the style of some points: of what is given for each point, only theirs."""
    return {
        key: list(compress(value, chosen))
        if key in PER_POINT and is_per_point(value, len(chosen))
        else value
        for key, value in style.items()
    }


def draw_points(ax, codes, defaults, style):
    """Draw points with `style`, and with those `defaults` that it does not replace."""
    replaced = {"c", "color", "cmap"} if {"c", "color"} & style.keys() else set()
    defaults = {key: value for key, value in defaults.items() if key not in replaced}
    return ax.scatter(*codes.T, **{**defaults, **style})


def resolve_kind(kind, labels):
    """Return "classes" or "values", and the labels, which are floats if they are values."""
    if kind == "classes" or (kind == "auto" and holds_classes(labels)):
        return "classes", labels
    try:
        return "values", labels.astype(float)
    except (TypeError, ValueError):
        raise ValueError(
            f"kind='values' needs numbers in y; got labels such as {labels[0]!r}."
        ) from None


def draw_labelled(ax, codes, labels, missing, style, kind):
    """Draw the points whose labels are not missing; return those to explain by a colour bar."""
    codes, style = codes[~missing], select_points(style, ~missing)
    if kind == "classes":
        draw_classes(ax, codes, labels, style, missing.any())
        return None
    if len(labels) == 0:
        return None
    face = style.pop("facecolor", None)  # matplotlib's scatter ignores it beside c
    is_hollow = isinstance(face, str) and face == "none"
    if face is not None and not is_hollow:
        style.setdefault("color", face)
    points = draw_points(ax, codes, {"c": labels, "cmap": "viridis"}, style)
    if is_hollow:
        points.set_facecolor("none")
    return None if {"c", "color"} & style.keys() else points


def draw_classes(ax, codes, labels, style, beside_missing):
    """Draw the points of each class in its own colour and marker, unless `style` sets them."""
    prefix = f"{style['label']}, " if "label" in style else ""
    try:
        classes = np.unique(labels)
    except TypeError:  # labels that have no order, such as members of an Enum
        labels = labels.astype(str)
        classes = np.unique(labels)
    colors = CLASS_COLORS_BESIDE_MISSING if beside_missing else CLASS_COLORS
    if "cmap" in style and "c" not in style:
        style = dict(style)
        colors = sample_colors(style.pop("cmap"), len(classes))
    for i, label in enumerate(classes):
        class_style = {
            "color": colors[i % len(colors)],
            # When the colours start again, each meets another marker.
            "marker": CLASS_MARKERS[(i % len(colors) + i // len(colors)) % len(CLASS_MARKERS)],
        }
        own = select_points(style, labels == label)
        own["label"] = prefix + name_class(label)
        draw_points(ax, codes[labels == label], class_style, own)


def name_class(label):
    """Return the name of a class; whole numbers are written as such where NaN made them floats."""
    is_whole = isinstance(label, np.floating) and float(label).is_integer()
    return str(int(label) if is_whole else label)


def sample_colors(cmap, n_colors):
    """Return the colours of a qualitative colour map, or equidistant ones of another."""
    from matplotlib import colormaps

    cmap = colormaps.get_cmap(cmap)
    return cmap(np.arange(n_colors) % cmap.N if cmap.N < 256 else np.linspace(0, 1, n_colors))


def draw_missing(ax, codes, missing, style):
    """Draw the points without a label, grey and behind the others, if there are any."""
    if not missing.any():
        return
    prefix = f"{style['label']}, " if "label" in style else ""
    # One colour for all is that of the labelled points.
    single = {key for key in ("c", "color") if not is_per_point(style.get(key), len(missing))}
    unused = single | (COLOR_MAPPING if "c" in single else set())
    own = select_points({k: v for k, v in style.items() if k not in unused}, missing)
    own |= {"label": f"{prefix}missing", "zorder": own.get("zorder", 1) - 0.5}
    draw_points(ax, codes[missing], {"color": MISSING_COLOR}, own)
