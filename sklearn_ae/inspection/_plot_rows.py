"""Displays of rows, as images or lines: reconstructions, interpolations and traversals."""

from numbers import Integral

import numpy as np
from scipy.sparse import issparse
from sklearn.utils import check_consistent_length

from .._compat import count_rows, select_rows
from .._images import check_image_shape
from ._drawing import (
    choose_method_styles,
    choose_step_styles,
    draw_images,
    draw_lines,
    prepare_axes,
)
from ._inputs import check_has_attribute, choose_image_shape, name_reducers

TILE_WIDTH = 0.75  # of an image, in inches


class ReconstructionDisplay:
    """Rows of X and their reconstructions by one or several reducers.

    They are drawn as images, or as lines over the features. Lines share one axis of values: if
    the features have different units, standardise X beforehand.

    Parameters
    ----------
    rows : dict of str to array-like of shape (n_samples, n_features)
        Rows to draw by name, from top to bottom. The first are the originals, whose range is
        that of the colour map.
    image_shape : sequence of int, default=None
        (height, width) or (channels, height, width) of the images that the rows hold in C
        order, with one channel or three. None draws lines.

    Attributes
    ----------
    ax_ : matplotlib Axes
        Axes with the images or lines.
    figure_ : matplotlib Figure
        Figure of `ax_`.

    Examples
    --------
    >>> import matplotlib.pyplot as plt
    >>> from sklearn.datasets import load_digits
    >>> from sklearn.decomposition import PCA
    >>> from sklearn_ae.inspection import ReconstructionDisplay
    >>> X = load_digits().data
    >>> ReconstructionDisplay.from_estimators(PCA(8).fit(X), X, image_shape=(8, 8))
    <...>
    >>> plt.show()
    """

    def __init__(self, rows, *, image_shape=None):
        self.rows = rows
        self.image_shape = image_shape

    @classmethod
    def from_estimators(
        cls, estimators, X, *, X_noisy=None, n_samples=8, image_shape=None, ax=None, cmap="gray"
    ):
        """Reconstruct the first rows of X and draw them.

        Parameters
        ----------
        estimators : fitted transformer, list of them or dict of str to fitted transformer
            They need `inverse_transform`.
        X : {array-like, data frame, sparse matrix} of shape (n_samples, n_features)
            Rows to reconstruct.
        X_noisy : {array-like, data frame, sparse matrix} of shape (n_samples, n_features), \
                default=None
            Corrupted rows that the reducers reconstruct instead of X. They are drawn as well.
        n_samples : int, default=8
            Number of rows to draw.
        image_shape : sequence of int, default=None
            As in the constructor; None takes that of the first estimator with an `image_shape`.
        ax, cmap : optional
            As in `plot`.

        Returns
        -------
        display : ReconstructionDisplay

        Raises
        ------
        TypeError
            If an estimator has no `inverse_transform`.
        ValueError
            If `n_samples` is not an int of at least 1, X and `X_noisy` have different numbers
            of rows, an estimator is named "original" or "noisy", or `image_shape` does not fit
            the features.
        """
        reducers = name_invertible_reducers(estimators)
        taken = sorted({"original", "noisy"} & reducers.keys())
        if taken:
            raise ValueError(
                "Estimators must not be named 'original' or 'noisy', the names of X and X_noisy; "
                f"got {taken}."
            )
        check_consistent_length(X, X_noisy)
        if not (isinstance(n_samples, Integral) and n_samples >= 1):
            raise ValueError(f"n_samples must be an int of at least 1; got {n_samples!r}.")
        first = slice(0, n_samples)
        X_in = select_rows(X if X_noisy is None else X_noisy, first)
        rows = {"original": to_dense_array(select_rows(X, first))}
        if X_noisy is not None:
            rows["noisy"] = to_dense_array(X_in)
        for name, reducer in reducers.items():
            rows[name] = to_dense_array(reducer.inverse_transform(reducer.transform(X_in)))
        image_shape = choose_image_shape(image_shape, reducers.values())
        return cls(rows, image_shape=image_shape).plot(ax, cmap=cmap)

    @classmethod
    def from_estimator(
        cls, estimator, X, *, X_noisy=None, n_samples=8, image_shape=None, ax=None, cmap="gray"
    ):
        """Reconstruct the first rows of X with one estimator and draw them.

        Parameters
        ----------
        estimator : fitted transformer
            It needs `inverse_transform`.
        X, X_noisy, n_samples, image_shape, ax, cmap : optional
            As in `from_estimators`.

        Returns
        -------
        display : ReconstructionDisplay
        """
        return cls.from_estimators(
            [estimator],
            X,
            X_noisy=X_noisy,
            n_samples=n_samples,
            image_shape=image_shape,
            ax=ax,
            cmap=cmap,
        )

    def plot(self, ax=None, *, cmap="gray"):
        """Draw the rows.

        Parameters
        ----------
        ax : matplotlib Axes, default=None
            Axes to draw into; None makes a new figure.
        cmap : str or matplotlib Colormap, default="gray"
            For images of one channel. "gray" draws the lowest value of the originals black
            and the highest white.

        Returns
        -------
        display : ReconstructionDisplay
        """
        names = list(self.rows)
        grid = np.stack([np.asarray(rows) for rows in self.rows.values()])
        styles = {"original": {"color": "black"}, "noisy": {"color": "0.75"}}
        methods = [name for name in names if name not in styles]
        for name, style in zip(methods, choose_method_styles(methods), strict=True):
            styles[name] = {**style, "marker": ""}
        self.ax_ = draw_rows(
            type(self).__name__,
            ax,
            grid,
            self.image_shape,
            names,
            limits=compute_value_range(grid[0]),
            cmap=cmap,
            line_styles=[styles[name] for name in names],
            lines_by="row",
        )
        self.figure_ = self.ax_.figure
        return self


class InterpolationDisplay:
    """Decoded codes along the straight line between the codes of two rows of X.

    Parameters
    ----------
    walks : dict of str to array-like of shape (n_steps, n_features)
        Decoded codes, from the first row to the second, by the name of the reducer.
    image_shape : sequence of int, default=None
        As in `ReconstructionDisplay`.
    limits : (float, float), default=None
        Values that are drawn black and white in images. None takes the range of all values.

    Attributes
    ----------
    ax_ : matplotlib Axes
        Axes with the images or lines.
    figure_ : matplotlib Figure
        Figure of `ax_`.

    Examples
    --------
    >>> import matplotlib.pyplot as plt
    >>> from sklearn.datasets import load_digits
    >>> from sklearn.decomposition import PCA
    >>> from sklearn_ae.inspection import InterpolationDisplay
    >>> X = load_digits().data
    >>> InterpolationDisplay.from_estimator(PCA(8).fit(X), X[[0, 1]], image_shape=(8, 8))
    <...>
    >>> plt.show()
    """

    def __init__(self, walks, *, image_shape=None, limits=None):
        self.walks = walks
        self.image_shape = image_shape
        self.limits = limits

    @classmethod
    def from_estimators(cls, estimators, X, *, n_steps=9, image_shape=None, ax=None, cmap="gray"):
        """Interpolate between the codes of two rows in equal steps, decode and draw the result.

        Parameters
        ----------
        estimators : fitted transformer, list of them or dict of str to fitted transformer
            They need `inverse_transform`.
        X : {array-like, data frame, sparse matrix} of shape (2, n_features)
            Row to start from and row to end at.
        n_steps : int, default=9
            Number of decoded rows, including both ends; at least 2.
        image_shape, ax, cmap : optional
            As in `ReconstructionDisplay`.

        Returns
        -------
        display : InterpolationDisplay

        Raises
        ------
        TypeError
            If an estimator has no `inverse_transform`.
        ValueError
            If X does not have exactly two rows, `n_steps` is not an int of at least 2, or
            `image_shape` does not fit the features.
        """
        reducers = name_invertible_reducers(estimators)
        if count_rows(X) != 2:
            raise ValueError(f"X must have exactly two rows; got {count_rows(X)}.")
        check_n_steps(n_steps)
        walks = {}
        for name, reducer in reducers.items():
            start, end = to_dense_array(reducer.transform(X))
            codes = np.linspace(start, end, n_steps)
            walks[name] = to_dense_array(reducer.inverse_transform(codes))
        image_shape = choose_image_shape(image_shape, reducers.values())
        display = cls(walks, image_shape=image_shape, limits=compute_value_range(X))
        return display.plot(ax, cmap=cmap)

    @classmethod
    def from_estimator(cls, estimator, X, *, n_steps=9, image_shape=None, ax=None, cmap="gray"):
        """Interpolate between the codes of two rows with one estimator and draw the result.

        Parameters
        ----------
        estimator : fitted transformer
            It needs `inverse_transform`.
        X, n_steps, image_shape, ax, cmap : optional
            As in `from_estimators`.

        Returns
        -------
        display : InterpolationDisplay
        """
        return cls.from_estimators(
            [estimator], X, n_steps=n_steps, image_shape=image_shape, ax=ax, cmap=cmap
        )

    def plot(self, ax=None, *, cmap="gray"):
        """Draw the decoded rows: a row of images, or a panel of lines, for each reducer.

        Parameters
        ----------
        ax : matplotlib Axes, default=None
            Axes to draw into; None makes a new figure.
        cmap : str or matplotlib Colormap, default="gray"
            For images of one channel.

        Returns
        -------
        display : InterpolationDisplay
        """
        grid = np.stack([np.asarray(walk) for walk in self.walks.values()])
        shares = np.linspace(0, 1, grid.shape[1])
        self.ax_ = draw_rows(
            type(self).__name__,
            ax,
            grid,
            self.image_shape,
            list(self.walks),
            ["start", *(f"{share:.0%}" for share in shares[1:-1]), "end"],
            limits=self.limits,
            cmap=cmap,
        )
        self.figure_ = self.ax_.figure
        return self


class CodeTraversalDisplay:
    """Decoded rows while one component of the code varies and the others stay fixed.

    Parameters
    ----------
    decoded : array-like of shape (n_components, n_steps, n_features)
        Decoded rows, for each component that varies.
    steps : array-like of shape (n_steps,)
        Distances of the component from the centre, in its standard deviations.
    code_names : list of str, default=None
        Names of the components that vary; None numbers them from 0.
    image_shape : sequence of int, default=None
        As in `ReconstructionDisplay`.
    limits : (float, float), default=None
        Values that are drawn black and white in images. None takes the range of all values.

    Attributes
    ----------
    ax_ : matplotlib Axes
        Axes with the images or lines.
    figure_ : matplotlib Figure
        Figure of `ax_`.

    Examples
    --------
    >>> import matplotlib.pyplot as plt
    >>> from sklearn.datasets import load_digits
    >>> from sklearn.decomposition import PCA
    >>> from sklearn_ae.inspection import CodeTraversalDisplay
    >>> X = load_digits().data
    >>> CodeTraversalDisplay.from_estimator(PCA(4).fit(X), X, image_shape=(8, 8))
    <...>
    >>> plt.show()
    """

    def __init__(self, decoded, *, steps, code_names=None, image_shape=None, limits=None):
        self.decoded = decoded
        self.steps = steps
        self.code_names = code_names
        self.image_shape = image_shape
        self.limits = limits

    @classmethod
    def from_estimator(
        cls,
        estimator,
        X,
        *,
        row=None,
        components=None,
        width=2.0,
        n_steps=7,
        image_shape=None,
        ax=None,
        cmap="gray",
    ):
        """Vary each component of the code by itself, decode and draw the result.

        Parameters
        ----------
        estimator : fitted transformer
            It needs `inverse_transform`.
        X : {array-like, data frame, sparse matrix} of shape (n_samples, n_features)
            Rows whose codes determine the centre and the standard deviations.
        row : int, default=None
            Index of the row of X whose code is the centre; None takes the mean of the codes.
        components : sequence of int, default=None
            Indices of the components to vary; None takes the first ten.
        width : float, default=2.0
            Largest distance from the centre, to either side, in standard deviations of the
            component over X.
        n_steps : int, default=7
            Number of decoded rows for each component, at least 2.
        image_shape, ax, cmap : optional
            As in `ReconstructionDisplay`.

        Returns
        -------
        display : CodeTraversalDisplay

        Raises
        ------
        TypeError
            If the estimator has no `inverse_transform`.
        ValueError
            If X has no such row, the codes have no such components, `n_steps` is not an int of
            at least 2, or `image_shape` does not fit the features.
        """
        check_has_attribute(estimator, "inverse_transform")
        check_n_steps(n_steps)
        codes = to_dense_array(estimator.transform(X))
        if row is not None and not 0 <= row < len(codes):
            raise ValueError(
                f"row must be the index of a row of X, from 0 to {len(codes) - 1}; got {row!r}."
            )
        std = codes.std(axis=0, dtype=np.float64)  # the squares may overflow in float32
        centre = codes.mean(axis=0) if row is None else codes[row]
        components = choose_components(components, codes.shape[1])
        steps = np.linspace(-width, width, n_steps)
        varied = np.tile(centre, (len(components), n_steps, 1))
        for codes_of_component, k in zip(varied, components, strict=True):
            codes_of_component[:, k] += steps * std[k]
        # Decode all of them in one call.
        decoded = to_dense_array(estimator.inverse_transform(varied.reshape(-1, codes.shape[1])))
        display = cls(
            decoded.reshape(len(components), n_steps, -1),
            steps=steps,
            code_names=[f"code {k}" for k in components],
            image_shape=choose_image_shape(image_shape, [estimator]),
            limits=compute_value_range(X),
        )
        return display.plot(ax, cmap=cmap)

    def plot(self, ax=None, *, cmap="gray"):
        """Draw the decoded rows: a row of images, or a panel of lines, for each component.

        Parameters
        ----------
        ax : matplotlib Axes, default=None
            Axes to draw into; None makes a new figure.
        cmap : str or matplotlib Colormap, default="gray"
            For images of one channel.

        Returns
        -------
        display : CodeTraversalDisplay
        """
        decoded, code_names = np.asarray(self.decoded), self.code_names
        if code_names is None:
            code_names = [f"code {k}" for k in range(len(decoded))]
        self.ax_ = draw_rows(
            type(self).__name__,
            ax,
            decoded,
            self.image_shape,
            list(code_names),
            [f"{step:+.1f} sd" if step else "centre" for step in self.steps],
            limits=self.limits,
            cmap=cmap,
        )
        self.figure_ = self.ax_.figure
        return self


def name_invertible_reducers(estimators):
    """Return a dict of reducers by name; raise a TypeError for one without an inverse."""
    reducers = name_reducers(estimators)
    for reducer in reducers.values():
        check_has_attribute(reducer, "inverse_transform")
    return reducers


def check_n_steps(n_steps):
    """Raise a ValueError if `n_steps` is not an int of at least 2, one for each end."""
    if not (isinstance(n_steps, Integral) and n_steps >= 2):
        raise ValueError(f"n_steps must be an int of at least 2; got {n_steps!r}.")


def choose_components(components, n_components):
    """Return the indices of the components to vary, by default the first ten."""
    if components is None:
        return range(min(n_components, 10))
    indices = np.atleast_1d(components)
    if indices.size == 0 or not set(indices) <= set(range(n_components)):
        raise ValueError(
            f"components must hold integers from 0 to {n_components - 1}, at least one; got "
            f"{components!r}."
        )
    return indices


def to_dense_array(X):
    """Convert rows to a dense NumPy array."""
    return X.toarray() if issparse(X) else np.asarray(X)


def compute_value_range(X):
    """Return the lowest and the highest value of X."""
    X = to_dense_array(X)
    return X.min(), X.max()


def draw_rows(
    display_name,
    ax,
    grid,
    image_shape,
    row_names,
    column_names=None,
    *,
    limits=None,
    cmap="gray",
    line_styles=None,
    lines_by="column",
):
    """Draw rows of X as images or as lines, and return the Axes.

    Parameters
    ----------
    display_name : str
        Name of the Display, for error messages.
    ax : matplotlib Axes or None
        Axes to draw into; None makes a new figure.
    grid : ndarray of shape (n_rows, n_columns, n_features)
        Rows of X in the order in which they are drawn as images.
    image_shape : sequence of int or None
        (height, width) or (channels, height, width); None draws lines.
    row_names, column_names : list of str
        Labels of the grid.
    limits, cmap : optional
        As in `draw_images`; lines ignore them.
    line_styles : list of dict, default=None
        Keyword arguments of matplotlib's `plot` for each line; None colours the lines from dark
        to light.
    lines_by : {"column", "row"}, default="column"
        "column" draws a panel for each row of the grid, with a line for each column. "row" draws
        a panel for each column, with a line for each row.

    Returns
    -------
    ax : matplotlib Axes
        Axes with the images or lines.
    """
    if image_shape is not None:
        image_shape = check_image_shape(
            image_shape, grid.shape[-1], may_omit_channels=True, n_channels=(1, 3)
        )
    n_rows, n_columns = grid.shape[:2]
    if image_shape:
        height = n_rows * TILE_WIDTH * image_shape[1] / image_shape[2]
        # 1.6 and 0.4 inches are for the labels.
        (ax,) = prepare_axes(display_name, ax, size=(n_columns * TILE_WIDTH + 1.6, height + 0.4))
        if column_names:
            column_names = keep_outer_and_middle(column_names)
        draw_images(ax, grid, image_shape, row_names, column_names, limits=limits, cmap=cmap)
        return ax
    if lines_by == "row":
        panels, panel_names = grid.swapaxes(0, 1), [f"row {j}" for j in range(n_columns)]
        line_names = row_names
    else:
        panels, panel_names, line_names = grid, row_names, column_names
    (ax,) = prepare_axes(display_name, ax, size=(1.4 * len(panels) + 2.4, 3))
    line_styles = line_styles or choose_step_styles(n_columns)
    draw_lines(ax, panels, panel_names, line_names, line_styles)
    return ax


def keep_outer_and_middle(names):
    """Blank all labels but the first, the last and, of an odd number, the middle one.

    All labels would overlap where images are narrow.
    """
    n = len(names)
    kept = {0, n - 1} | ({n // 2} if n % 2 else set())
    return [name if j in kept else "" for j, name in enumerate(names)]
