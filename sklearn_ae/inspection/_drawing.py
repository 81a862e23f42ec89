"""What the Displays share: matplotlib on demand, one look for a method, rows as images or lines."""

import math
from itertools import count

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


def pyplot(user):
    """Return matplotlib.pyplot."""
    try:
        from matplotlib import pyplot as plt
    except ImportError as error:
        raise ImportError(
            f'{user} draws with matplotlib. Install it with: pip install "sklearn-ae[plot]"'
        ) from error
    return plt


def method_styles(names):
    """Return a line style for each method: PCA is grey, an autoencoder blue, in all pictures."""
    styles, others = [], count()
    for name in names:
        if name == "PCA":
            style = PCA_STYLE
        elif "autoencoder" in name.lower() and AUTOENCODER_STYLE not in styles:
            style = AUTOENCODER_STYLE
        else:
            style = OTHER_STYLES[next(others) % len(OTHER_STYLES)]
        styles.append(style)
    return styles


def axes_for(user, ax, n_axes=1, size=(4.5, 3.6)):
    """Return n Axes in a row, of a new figure, of those given, or inside the one given."""
    plt = pyplot(user)
    if ax is None:
        width, height = size
        _, axes = plt.subplots(
            1, n_axes, squeeze=False, figsize=(n_axes * width, height), layout="constrained"
        )
        return axes[0]
    axes = np.atleast_1d(np.asarray(ax, dtype=object)).ravel()
    if len(axes) == n_axes:
        return axes
    if len(axes) > 1:
        raise ValueError(f"{user} draws into {n_axes} Axes; got {len(axes)}.")
    axes[0].set_axis_off()
    inside = axes[0].get_subplotspec().subgridspec(1, n_axes)
    return inside.subplots(squeeze=False)[0]


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
            "image_shape must be (height, width) or (channels, height, width) with one channel or "
            f"three, and multiply to the number of features, {n_features}; got {image_shape!r}."
        )
    return shape


def image_shape_of(reducers, image_shape):
    """Return an image shape: that given, else that of the first reducer that has one."""
    shapes = (getattr(reducer, "image_shape", None) for reducer in reducers)
    return image_shape if image_shape is not None else next((s for s in shapes if s), None)


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
    ax.legend(loc="center left", bbox_to_anchor=(1, 0.5), frameon=False)


def step_styles(n_steps):
    """Return line styles from dark to light, for lines in an order."""
    from matplotlib import colormaps

    colors = colormaps["viridis"](np.linspace(0, 0.9, n_steps))
    return [{"color": color, "linewidth": 1.5} for color in colors]
