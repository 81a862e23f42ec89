"""What the Displays share: matplotlib on demand, one look for a method, rows as images or lines."""

import math
import re
from itertools import cycle

import numpy as np

# Okabe and Ito's colours, for colour-blind readers, and a marker and dash each for grey prints.
PCA_STYLE = {"color": "#7f7f7f", "marker": "s", "linestyle": "--"}
AUTOENCODER_STYLE = {"color": "#1f4e9c", "marker": "o", "linestyle": "-"}
OTHER_STYLES = [
    {"color": "#e69f00", "marker": "^", "linestyle": "-."},
    {"color": "#009e73", "marker": "D", "linestyle": ":"},
    {"color": "#d55e00", "marker": "v", "linestyle": (0, (5, 1, 1, 1, 1, 1))},
    {"color": "#56b4e9", "marker": "P", "linestyle": (0, (3, 1))},
    {"color": "#cc79a7", "marker": "X", "linestyle": (0, (1, 1))},
]
STYLES_BY_NAME = {
    r"\bPCA\b": PCA_STYLE,
    "autoencoder": AUTOENCODER_STYLE,
    "KernelPCA": OTHER_STYLES[0],
    "NMF": OTHER_STYLES[1],
    "textbook": OTHER_STYLES[2],
}
LARGEST = 14, 10  # inches of a figure


def pyplot(user):
    """Return matplotlib.pyplot."""
    try:
        from matplotlib import pyplot as plt
    except ImportError as error:
        raise ImportError(
            f'{user} draws with matplotlib. Install it with: pip install "sklearn-ae[plot]"'
        ) from error
    return plt


def method_styles(names, kinds=None):
    """Return a line style for each method, the same for the same method in all pictures.

    Methods are known by their names, or else by their kinds, names of classes.
    """
    styles = [None] * len(names)
    for texts in (names, kinds or names):
        for i, text in enumerate(texts):
            known = (look for key, look in STYLES_BY_NAME.items() if re.search(key, text, re.I))
            style = next(known, None)
            if styles[i] is None and style not in styles:
                styles[i] = style
    others = cycle([style for style in OTHER_STYLES if style not in styles])
    return [next(others) if style is None else style for style in styles]


def normalized(kwargs, kind):
    """Return keywords for matplotlib's plot or scatter with their aliases spelt out."""
    from matplotlib import cbook
    from matplotlib.collections import PathCollection
    from matplotlib.lines import Line2D

    kwargs = dict(kwargs or {})
    if kind == "plot":
        return cbook.normalize_kwargs(kwargs, Line2D)
    return cbook.normalize_kwargs(kwargs, PathCollection)


def axes_for(user, ax, n_axes=1, size=(4.5, 3.6)):
    """Return n Axes in a row, of a new figure, of those given, or inside the one given."""
    plt = pyplot(user)
    if ax is None:
        size = np.minimum((n_axes * size[0], size[1]), LARGEST)
        return plt.subplots(1, n_axes, squeeze=False, figsize=size, layout="constrained")[1][0]
    axes = np.atleast_1d(np.asarray(ax, dtype=object)).ravel()
    if len(axes) == n_axes:
        return axes
    if len(axes) > 1:
        raise ValueError(f"{user} draws into {n_axes} Axes; got {len(axes)}.")
    place = axes[0].get_subplotspec()
    if place is None or not axes[0].axison:
        raise ValueError(
            f"{user} divides only fresh Axes of a grid of subplots; pass {n_axes} Axes instead."
        )
    axes[0].set_axis_off()
    return place.subgridspec(1, n_axes).subplots(squeeze=False)[0]


def place_legend(ax, **kwargs):
    """Draw the legend beside the Axes where the figure's layout makes room, else inside."""
    n_names = len(ax.get_legend_handles_labels()[1])
    columns = {"ncols": math.ceil(n_names / 20)}
    if ax.figure.get_layout_engine() is not None:
        columns |= {"loc": "center left", "bbox_to_anchor": (1, 0.5), "frameon": False}
    ax.legend(**columns, **kwargs)


def checked_image_shape(image_shape, n_features):
    """Return (channels, height, width) of an image with so many values, or None."""
    if image_shape is None:
        return None
    shape = tuple(image_shape)
    if len(shape) == 2:
        shape = (1, *shape)
    if len(shape) == 3 and sum(side == -1 for side in shape) == 1:
        side = n_features // -math.prod(shape)
        shape = tuple(side if n == -1 else n for n in shape)
    if len(shape) != 3 or shape[0] not in (1, 3) or math.prod(shape) != n_features:
        raise ValueError(
            "image_shape must be (height, width) or (channels, height, width), channels first and "
            f"one or three, and multiply to the number of features, {n_features}; got "
            f"{image_shape!r}."
        )
    return shape


def draw_images(ax, grid, image_shape, row_names, column_names=None, *, limits=None, cmap="gray"):
    """Draw a grid of rows of X, an array (n_rows, n_columns, n_features), as images."""
    low, high = (grid.min(), grid.max()) if limits is None else limits
    images = grid.reshape(*grid.shape[:2], *image_shape)
    if image_shape[0] == 3:
        images = ((np.moveaxis(images, 2, -1) - low) / (high - low or 1)).clip(0, 1)
    else:
        images = images[:, :, 0]
    for i, j in np.ndindex(*grid.shape[:2]):
        place = (j + 0.03, j + 0.97, i + 0.97, i + 0.03)
        ax.imshow(images[i, j], extent=place, cmap=cmap, vmin=low, vmax=high)
    n_rows, n_columns = grid.shape[:2]
    ax.set(xlim=(0, n_columns), ylim=(n_rows, 0), aspect=image_shape[1] / image_shape[2])
    ax.set_xticks(np.arange(n_columns) + 0.5, column_names or [""] * n_columns)
    ax.set_yticks(np.arange(n_rows) + 0.5, row_names)
    ax.tick_params(length=0)
    ax.spines[:].set_visible(False)


def draw_lines(ax, panels, panel_names, line_names, styles):
    """Draw panels beside each other, an array (n_panels, n_lines, n_features), lines over features.

    All share the axis of the values.
    """
    n_panels, _, n_features = panels.shape
    places = np.linspace(0.06, 0.94, n_features) if n_features > 1 else np.array([0.5])
    for j, lines in enumerate(panels):
        for line, name, style in zip(lines, line_names, styles, strict=True):
            ax.plot(j + places, line, label=None if j else name, **style)
    for j in range(1, n_panels):
        ax.axvline(j, color="0.85", linewidth=0.8)
    ax.set_xlim(0, n_panels)
    ax.set_xticks(np.arange(n_panels) + 0.5, panel_names)
    ax.tick_params(axis="x", length=0)
    ax.set_xlabel("features, in the order of X")
    ax.set_ylabel("value")
    place_legend(ax)


def step_styles(n_steps):
    """Return line styles from dark to light, for lines in an order."""
    from matplotlib import colormaps

    colors = colormaps["viridis"](np.linspace(0, 0.9, n_steps))
    return [{"color": color, "linewidth": 1.5} for color in colors]
