"""Drawing functions that the Displays share. matplotlib is imported only when they are called."""

import math
import re
from collections.abc import Mapping
from itertools import cycle

import numpy as np

# Colours of Okabe and Ito, which colour-blind readers can distinguish. Markers and dashes differ
# as well, for prints without colour.
PCA_STYLE = {"color": "#7f7f7f", "marker": "s", "linestyle": "--"}
AUTOENCODER_STYLE = {"color": "#1f4e9c", "marker": "o", "linestyle": "-"}
OTHER_STYLES = [
    {"color": "#e69f00", "marker": "^", "linestyle": "-."},
    {"color": "#009e73", "marker": "D", "linestyle": ":"},
    {"color": "#d55e00", "marker": "v", "linestyle": (0, (5, 1, 1, 1, 1, 1))},
    {"color": "#56b4e9", "marker": "P", "linestyle": (0, (3, 1))},
    {"color": "#cc79a7", "marker": "X", "linestyle": (0, (1, 1))},
]
STYLES_BY_PATTERN = {  # regular expression for the name of a method or class -> its style
    r"\bPCA\b": PCA_STYLE,
    "autoencoder": AUTOENCODER_STYLE,
    "KernelPCA": OTHER_STYLES[0],
    "NMF": OTHER_STYLES[1],
    "textbook": OTHER_STYLES[2],
}
MAX_FIGURE_SIZE = 14, 10  # width and height in inches
# Labels that matplotlib sets itself, for artists without one.
AUTOMATIC_LABEL = re.compile(r"_child\d+|_nolegend_|")


def import_pyplot(display_name):
    """Return matplotlib.pyplot; if it is missing, raise an ImportError that names the extra."""
    try:
        from matplotlib import pyplot as plt
    except ImportError as error:
        raise ImportError(
            f'{display_name} draws with matplotlib. Install it with: pip install "sklearn-ae[plot]"'
        ) from error
    return plt


def choose_method_styles(names, kinds=None):
    """Return a line style for each method, the same one for the same method in all figures.

    A method is recognised by its name or, if that says nothing, by its kind, the name of its
    class. Unknown methods get the remaining styles in turn.
    """
    names, kinds = [str(name) for name in names], kinds or names
    styles = [None] * len(names)
    for texts in (names, map(str, kinds)):
        for i, text in enumerate(texts):
            matches = (
                style
                for pattern, style in STYLES_BY_PATTERN.items()
                if re.search(pattern, text, re.I)
            )
            style = next(matches, None)
            if styles[i] is None and style not in styles:
                styles[i] = style
    others = cycle([style for style in OTHER_STYLES if style not in styles])
    return [next(others) if style is None else style for style in styles]


def expand_aliases(kwargs, kind):
    """Replace aliases, such as `lw`, in keyword arguments of matplotlib's `plot` or `scatter`.

    matplotlib rejects a property that is passed under two names, so user arguments can only
    override our defaults under the full names.
    """
    from matplotlib import cbook
    from matplotlib.collections import PathCollection
    from matplotlib.lines import Line2D

    artist = Line2D if kind == "plot" else PathCollection
    return cbook.normalize_kwargs(dict(kwargs or {}), artist)


def expand_curve_kwargs(curve_kwargs, n_curves):
    """Return keyword arguments of matplotlib's `plot` for each curve, under their full names.

    Raises
    ------
    ValueError
        If there are dicts for another number of curves.
    TypeError
        If they are no dicts.
    AttributeError
        If matplotlib does not know a property.
    """
    several = isinstance(curve_kwargs, list | tuple)
    by_curve = list(curve_kwargs) if several else [curve_kwargs] * n_curves
    if len(by_curve) != n_curves:
        raise ValueError(
            f"curve_kwargs must be a dict, or hold one for each of {n_curves} reducers; got "
            f"{len(by_curve)}."
        )
    if not all(kwargs is None or isinstance(kwargs, Mapping) for kwargs in by_curve):
        raise TypeError(f"curve_kwargs must be a dict or a list of dicts; got {curve_kwargs!r}.")
    by_curve = [expand_aliases(kwargs, "plot") for kwargs in by_curve]
    scratch = make_scratch_axes()
    for kwargs in by_curve:
        scratch.plot([], [], **kwargs)
    return by_curve


def make_scratch_axes():
    """Return Axes that are never shown, to try on them whether something can be drawn."""
    from matplotlib.figure import Figure

    return Figure().subplots()


def check_cmap(cmap):
    """Raise a ValueError or a TypeError if this is neither a Colormap nor the name of one."""
    from matplotlib import colormaps

    colormaps.get_cmap(cmap)


def check_axes(display_name, ax, n_axes=1):
    """Return the Axes in `ax` as a flat array, or None for None; raise if they do not fit.

    Raises
    ------
    ImportError
        If matplotlib is not installed.
    TypeError
        If `ax` holds something else than Axes.
    ValueError
        If `ax` neither holds `n_axes` Axes nor a single one that can be divided.
    """
    import_pyplot(display_name)
    if ax is None:
        return None
    from matplotlib.axes import Axes

    axes = np.atleast_1d(np.asarray(ax, dtype=object)).ravel()
    if not all(isinstance(one, Axes) for one in axes):
        raise TypeError(f"{display_name} draws into matplotlib Axes; got ax={ax!r}.")
    if len(axes) == n_axes:
        return axes
    if len(axes) != 1:
        raise ValueError(f"{display_name} draws into {n_axes} Axes; got {len(axes)}.")
    # Axes that prepare_axes has divided before are switched off.
    if axes[0].get_subplotspec() is None or not axes[0].axison:
        raise ValueError(
            f"{display_name} can divide a single Axes only if it belongs to a grid of subplots and "
            f"is still unused; pass {n_axes} Axes instead."
        )
    return axes


def prepare_axes(display_name, ax, n_axes=1, size=(4.5, 3.6)):
    """Return an array of `n_axes` Axes, side by side.

    If `ax` is None they are those of a new figure, with `size` in inches for each. Otherwise
    they are the Axes in `ax` or, if `ax` is a single one, new Axes that divide its place.
    """
    axes = check_axes(display_name, ax, n_axes)
    if axes is None:
        plt = import_pyplot(display_name)
        size = np.minimum((n_axes * size[0], size[1]), MAX_FIGURE_SIZE)
        return plt.subplots(1, n_axes, squeeze=False, figsize=size, layout="constrained")[1][0]
    if len(axes) == n_axes:
        return axes
    axes[0].set_axis_off()
    return axes[0].get_subplotspec().subgridspec(1, n_axes).subplots(squeeze=False)[0]


def find_labelled(ax):
    """Return what has a label in Axes, such as lines and collections, and the labels.

    `Axes.get_legend_handles_labels` by itself leaves out labels that begin with an underscore.
    """
    drawn = [*ax.lines, *ax.collections]
    artists = [one for one in drawn if not AUTOMATIC_LABEL.fullmatch(str(one.get_label()))]
    artists += [one for one in ax.get_legend_handles_labels()[0] if one not in artists]
    return artists, [artist.get_label() for artist in artists]


def place_legend(ax, side="right", **kwargs):
    """Draw the legend beside the Axes if the figure has a layout engine, else inside.

    `side` is "right" or, where a colour bar is to the right, "above".

    Without a layout engine nothing makes room for it, and it would cover the next Axes.
    """
    artists, labels = find_labelled(ax)
    placement = {"ncols": math.ceil(len(labels) / 20)}
    if ax.figure.get_layout_engine() is not None:
        loc, anchor = ("center left", (1, 0.5)) if side == "right" else ("lower left", (0, 1))
        placement |= {"loc": loc, "bbox_to_anchor": anchor, "frameon": False}
    ax.legend(artists, labels, **placement, **kwargs)


def draw_images(ax, grid, image_shape, row_names, column_names=None, *, limits=None, cmap="gray"):
    """Draw rows of X as a grid of images.

    Parameters
    ----------
    ax : matplotlib Axes
        Axes to draw into.
    grid : ndarray of shape (n_rows, n_columns, n_features)
        A row of X for each place in the grid.
    image_shape : tuple of int
        (channels, height, width).
    row_names, column_names : list of str
        Labels of the grid; without `column_names` the columns have none.
    limits : (float, float), default=None
        Values that are drawn black and white. None takes the range of `grid`.
    cmap : str or matplotlib Colormap, default="gray"
        For images of one channel.
    """
    low, high = (grid.min(), grid.max()) if limits is None else limits
    images = grid.reshape(*grid.shape[:2], *image_shape)
    if image_shape[0] == 3:
        # imshow takes the channels last, and ignores vmin and vmax for colour images.
        images = ((np.moveaxis(images, 2, -1) - low) / (high - low or 1)).clip(0, 1)
    else:
        images = images[:, :, 0]
    for i, j in np.ndindex(*grid.shape[:2]):
        extent = (j + 0.03, j + 0.97, i + 0.97, i + 0.03)  # a small gap between the images
        ax.imshow(images[i, j], extent=extent, cmap=cmap, vmin=low, vmax=high)
    n_rows, n_columns = grid.shape[:2]
    ax.set(xlim=(0, n_columns), ylim=(n_rows, 0), aspect=image_shape[1] / image_shape[2])
    ax.set_xticks(np.arange(n_columns) + 0.5, column_names or [""] * n_columns)
    ax.set_yticks(np.arange(n_rows) + 0.5, row_names)
    ax.tick_params(length=0)
    ax.spines[:].set_visible(False)


def draw_lines(ax, panels, panel_names, line_names, styles, n_channels=1):
    """Draw rows of X as lines over the features, in panels side by side.

    The panels are stretches of one Axes and so share the axis of values. Signals of several
    channels are drawn in bands, one channel above the other.

    Parameters
    ----------
    ax : matplotlib Axes
        Axes to draw into.
    panels : ndarray of shape (n_panels, n_lines, n_features)
        A row of X for each line.
    panel_names, line_names : list of str
        Labels of the panels, and of the lines in the legend.
    styles : list of dict
        Keyword arguments of matplotlib's `plot` for each line.
    n_channels : int, default=1
        Number of channels that a row holds, one after the other.
    """
    channels = panels.reshape(*panels.shape[:2], n_channels, -1)
    n_panels, _, _, length = channels.shape
    # Panel j spans [j, j + 1] of the x axis, with a margin at either side.
    offsets = np.linspace(0.06, 0.94, length) if length > 1 else np.array([0.5])
    bands = [ax.transData] if n_channels == 1 else divide_into_bands(ax, channels)
    for j, lines in enumerate(channels):
        for line, name, style in zip(lines, line_names, styles, strict=True):
            for k, (values, band) in enumerate(zip(line, bands, strict=True)):
                label = None if j or k else name
                ax.plot(j + offsets, values, label=label, transform=band, **style)
    for j in range(1, n_panels):
        ax.axvline(j, color="0.85", linewidth=0.8)
    ax.set_xlim(0, n_panels)
    ax.set_xticks(np.arange(n_panels) + 0.5, panel_names)
    ax.tick_params(axis="x", length=0)
    place_legend(ax)


def divide_into_bands(ax, channels):
    """Divide Axes into a band for each channel, the first on top, with ticks of its own values.

    Channels may have different units, so each band has the scale of its channel.

    Parameters
    ----------
    ax : matplotlib Axes
        Axes to divide.
    channels : ndarray of shape (n_panels, n_lines, n_channels, length)
        All values to be drawn.

    Returns
    -------
    bands : list of matplotlib Transform
        For each channel, the transform from its values to its band.
    """
    from matplotlib.ticker import MaxNLocator, ScalarFormatter
    from matplotlib.transforms import Affine2D

    n_channels = channels.shape[2]
    centres = np.arange(n_channels)[::-1] + 0.5
    bands, ticks, labels = [], [], []
    lows, highs = np.nanmin(channels, axis=(0, 1, 3)), np.nanmax(channels, axis=(0, 1, 3))
    for low, high, centre in zip(lows.tolist(), highs.tolist(), centres, strict=True):
        scale = 0.84 / (high - low or 1)  # of the height 1 of a band
        middle = (low + high) / 2
        bands.append(Affine2D().translate(0, -middle).scale(1, scale).translate(0, centre))
        values = [v for v in MaxNLocator(3).tick_values(low, high) if low <= v <= high]
        ticks += [(v - middle) * scale + centre for v in values]
        labels += [ScalarFormatter.fix_minus(f"{v:g}") for v in values]
    for border in range(1, n_channels):
        ax.axhline(border, color="0.85", linewidth=0.8)
    ax.set_ylim(0, n_channels)
    ax.set_yticks(ticks, labels, fontsize="small")
    label_channels(ax, centres, 12 + 7 * max(map(len, labels), default=0))
    return [band + ax.transData for band in bands]


def label_channels(ax, centres, distance):
    """Write the numbers of the channels beside their bands, `distance` points from the Axes."""
    # As minor ticks, which the layout of the figure makes room for.
    ax.set_yticks(centres, range(len(centres)), minor=True)
    ax.yaxis.remove_overlapping_locs = False  # a value may have its tick at the same place
    ax.tick_params(axis="y", which="minor", length=0, pad=distance)


def choose_step_styles(n_steps):
    """Return `n_steps` line styles with colours from dark to light, for ordered lines."""
    from matplotlib import colormaps

    colors = colormaps["viridis"](np.linspace(0, 0.9, n_steps))
    return [{"color": color, "linewidth": 1.5} for color in colors]
