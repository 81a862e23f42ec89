"""Displays of rows, as images or lines: reconstructions, interpolations and traversals."""

from numbers import Real

import numpy as np
from scipy.sparse import issparse
from sklearn.utils import check_consistent_length

from .._compat import count_rows, select_rows
from .._images import check_image_shape
from ._drawing import (
    check_axes,
    check_cmap,
    choose_method_styles,
    choose_step_styles,
    draw_images,
    draw_lines,
    prepare_axes,
)
from ._inputs import (
    check_components,
    check_fitted,
    check_has_attribute,
    check_int,
    choose_image_shape,
    convert_names,
    count_codes,
    count_features,
    get_class_name,
    is_int,
    name_reducers,
)

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
        order, with one channel or three. (channels, 1, length) is that of signals, with any
        number of channels, which are drawn as lines. None draws lines as well.
    kinds : dict of str to str, default=None
        Class names of the reducers, by the names in `rows`, so that lines of the same method
        have the same colour in all Displays. None tells methods by their names.

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

    def __init__(self, rows, *, image_shape=None, kinds=None):
        self.rows = rows
        self.image_shape = image_shape
        self.kinds = kinds

    @classmethod
    def from_estimators(
        cls,
        estimators,
        X,
        *,
        X_noisy=None,
        n_samples=8,
        image_shape=None,
        kind="auto",
        ax=None,
        cmap="gray",
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
            As in the constructor; None takes that of the first estimator with an `image_shape`
            that fits X.
        kind, ax, cmap : optional
            As in `plot`. ``kind="lines"`` draws lines whatever the `image_shape` is.

        Returns
        -------
        display : ReconstructionDisplay

        Raises
        ------
        TypeError
            If an estimator has no `inverse_transform`, or `ax` is no Axes.
        NotFittedError
            If an estimator is not fitted.
        ValueError
            If `n_samples` is not an int of at least 1, X and `X_noisy` have different shapes, X
            has another number of features than an estimator expects or returns, estimators have
            equal names or one is named "original" or "noisy", or `image_shape` does not fit the
            features.

        Notes
        -----
        All of these are raised before anything is computed, but that an estimator returns rows
        with other columns.
        """
        reducers = name_invertible_reducers(estimators)
        taken = sorted({"original", "noisy"} & reducers.keys())
        if taken:
            raise ValueError(
                "Estimators must not be named 'original' or 'noisy', the names of X and X_noisy; "
                f"got {taken}."
            )
        check_consistent_length(X, X_noisy)
        if X_noisy is not None:
            check_equal_columns("X_noisy has", count_features(X_noisy), count_features(X))
        check_int("n_samples", n_samples, at_least=1)
        image_shape = check_request(
            cls.__name__, reducers.values(), X, image_shape=image_shape, kind=kind, ax=ax, cmap=cmap
        )
        if X_noisy is not None:
            check_fitted(reducers.values(), X_noisy)
        first = slice(0, n_samples)
        X_in = select_rows(X if X_noisy is None else X_noisy, first)
        rows = {"original": to_dense_array(select_rows(X, first))}
        if X_noisy is not None:
            rows["noisy"] = to_dense_array(X_in)
        for name, reducer in reducers.items():
            rows[name] = to_dense_array(reducer.inverse_transform(reducer.transform(X_in)))
            n_columns = rows[name].shape[1]
            check_equal_columns(f"{name} returns rows of", n_columns, count_features(X))
        kinds = {name: get_class_name(reducer) for name, reducer in reducers.items()}
        display = cls(rows, image_shape=image_shape, kinds=kinds)
        return display.plot(ax, kind=kind, cmap=cmap)

    @classmethod
    def from_estimator(
        cls,
        estimator,
        X,
        *,
        X_noisy=None,
        n_samples=8,
        image_shape=None,
        kind="auto",
        ax=None,
        cmap="gray",
    ):
        """Reconstruct the first rows of X with one estimator and draw them.

        Parameters
        ----------
        estimator : fitted transformer
            It needs `inverse_transform`.
        X, X_noisy, n_samples, image_shape, kind, ax, cmap : optional
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
            kind=kind,
            ax=ax,
            cmap=cmap,
        )

    def plot(self, ax=None, *, kind="auto", cmap="gray"):
        """Draw the rows.

        Parameters
        ----------
        ax : matplotlib Axes, default=None
            Axes to draw into; None makes a new figure.
        kind : {"auto", "images", "lines"}, default="auto"
            Whether to draw images or lines. "auto" draws images if there is an `image_shape` with
            a height above 1.
        cmap : str or matplotlib Colormap, default="gray"
            For images of one channel. "gray" draws the lowest value of the originals black
            and the highest white.

        Returns
        -------
        display : ReconstructionDisplay
        """
        rows_by_name = convert_names(self.rows)
        names = list(rows_by_name)
        grid = np.stack([np.asarray(rows) for rows in rows_by_name.values()])
        styles = {"original": {"color": "black"}, "noisy": {"color": "0.75"}}
        methods = [name for name in names if name not in styles]
        kinds = convert_names(self.kinds or {})
        kinds = [kinds.get(name, name) for name in methods]
        for name, style in zip(methods, choose_method_styles(methods, kinds), strict=True):
            styles[name] = {**style, "marker": ""}
        self.ax_ = draw_rows(
            type(self).__name__,
            ax,
            grid,
            self.image_shape,
            names,
            kind=kind,
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
    def from_estimators(
        cls, estimators, X, *, n_steps=9, image_shape=None, kind="auto", ax=None, cmap="gray"
    ):
        """Interpolate between the codes of two rows in equal steps, decode and draw the result.

        Parameters
        ----------
        estimators : fitted transformer, list of them or dict of str to fitted transformer
            They need `inverse_transform`.
        X : {array-like, data frame, sparse matrix} of shape (2, n_features)
            Row to start from and row to end at.
        n_steps : int, default=9
            Number of decoded rows, including both ends; at least 2.
        image_shape, kind, ax, cmap : optional
            As in `ReconstructionDisplay`.

        Returns
        -------
        display : InterpolationDisplay

        Raises
        ------
        TypeError
            If an estimator has no `inverse_transform`, or `ax` is no Axes.
        NotFittedError
            If an estimator is not fitted.
        ValueError
            If X does not have exactly two rows or has another number of features than an
            estimator expects, estimators have equal names, `n_steps` is not an int of at least
            2, or `image_shape` does not fit the features.

        Notes
        -----
        All of these are raised before anything is computed.
        """
        reducers = name_invertible_reducers(estimators)
        if count_rows(X) != 2:
            raise ValueError(f"X must have exactly two rows; got {count_rows(X)}.")
        check_int("n_steps", n_steps, at_least=2)
        image_shape = check_request(
            cls.__name__, reducers.values(), X, image_shape=image_shape, kind=kind, ax=ax, cmap=cmap
        )
        walks = {}
        for name, reducer in reducers.items():
            start, end = to_dense_array(reducer.transform(X))
            codes = np.linspace(start, end, n_steps)
            walks[name] = to_dense_array(reducer.inverse_transform(codes))
        display = cls(walks, image_shape=image_shape, limits=compute_value_range(X))
        return display.plot(ax, kind=kind, cmap=cmap)

    @classmethod
    def from_estimator(
        cls, estimator, X, *, n_steps=9, image_shape=None, kind="auto", ax=None, cmap="gray"
    ):
        """Interpolate between the codes of two rows with one estimator and draw the result.

        Parameters
        ----------
        estimator : fitted transformer
            It needs `inverse_transform`.
        X, n_steps, image_shape, kind, ax, cmap : optional
            As in `from_estimators`.

        Returns
        -------
        display : InterpolationDisplay
        """
        return cls.from_estimators(
            [estimator], X, n_steps=n_steps, image_shape=image_shape, kind=kind, ax=ax, cmap=cmap
        )

    def plot(self, ax=None, *, kind="auto", cmap="gray"):
        """Draw the decoded rows: a row of images, or a panel of lines, for each reducer.

        Parameters
        ----------
        ax : matplotlib Axes, default=None
            Axes to draw into; None makes a new figure.
        kind : {"auto", "images", "lines"}, default="auto"
            Whether to draw images or lines. "auto" draws images if there is an `image_shape` with
            a height above 1.
        cmap : str or matplotlib Colormap, default="gray"
            For images of one channel.

        Returns
        -------
        display : InterpolationDisplay
        """
        walks = convert_names(self.walks)
        grid = np.stack([np.asarray(walk) for walk in walks.values()])
        shares = np.linspace(0, 1, grid.shape[1])
        self.ax_ = draw_rows(
            type(self).__name__,
            ax,
            grid,
            self.image_shape,
            list(walks),
            ["start", *(f"{share:.0%}" for share in shares[1:-1]), "end"],
            kind=kind,
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
        kind="auto",
        ax=None,
        cmap="gray",
    ):
        """Vary each component of the code by itself, decode and draw the result.

        Parameters
        ----------
        estimator : fitted transformer
            It needs `inverse_transform`.
        X : {array-like, data frame, sparse matrix} of shape (n_samples, n_features)
            Rows whose codes determine the centre and the standard deviations; at least two.
        row : int, default=None
            Index of the row of X whose code is the centre; None takes the mean of the codes.
        components : int or sequence of int, default=None
            Indices of the components to vary, in the order of drawing; None takes the first ten.
            Booleans and floats are refused: there are no masks.
        width : float, default=2.0
            Largest distance from the centre, to either side, in standard deviations of the
            component over X.
        n_steps : int, default=7
            Number of decoded rows for each component, at least 2.
        image_shape, kind, ax, cmap : optional
            As in `ReconstructionDisplay`.

        Returns
        -------
        display : CodeTraversalDisplay

        Raises
        ------
        TypeError
            If the estimator has no `inverse_transform`, or `ax` is no Axes.
        NotFittedError
            If the estimator is not fitted.
        ValueError
            If X has no such row or another number of features than the estimator expects, the
            codes have no such components, `width` is not a positive number, `n_steps` is not an
            int of at least 2, or `image_shape` does not fit the features.

        Notes
        -----
        All of these are raised before anything is computed. Only the range of `components` is
        checked after `transform` if the estimator has no `get_feature_names_out`.
        """
        components = check_traversal(estimator, X, row, components, width, n_steps)
        image_shape = check_request(
            cls.__name__,
            [estimator],
            X,
            image_shape=image_shape,
            kind=kind,
            ax=ax,
            cmap=cmap,
            min_rows=2,
        )
        codes = to_dense_array(estimator.transform(X))
        components = range(min(codes.shape[1], 10)) if components is None else components
        components = check_components(components, codes.shape[1])
        steps = np.linspace(-width, width, n_steps)
        varied = vary_components(codes, components, steps, row)
        # Decode all of them in one call.
        decoded = to_dense_array(estimator.inverse_transform(varied.reshape(-1, codes.shape[1])))
        display = cls(
            decoded.reshape(len(components), n_steps, -1),
            steps=steps,
            code_names=[f"code {k}" for k in components],
            image_shape=image_shape,
            limits=compute_value_range(X),
        )
        return display.plot(ax, kind=kind, cmap=cmap)

    def plot(self, ax=None, *, kind="auto", cmap="gray"):
        """Draw the decoded rows: a row of images, or a panel of lines, for each component.

        Parameters
        ----------
        ax : matplotlib Axes, default=None
            Axes to draw into; None makes a new figure.
        kind : {"auto", "images", "lines"}, default="auto"
            Whether to draw images or lines. "auto" draws images if there is an `image_shape` with
            a height above 1.
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
            [str(name) for name in code_names],
            [f"{step:+.1f} sd" if step else "centre" for step in self.steps],
            kind=kind,
            limits=self.limits,
            cmap=cmap,
        )
        self.figure_ = self.ax_.figure
        return self


def check_equal_columns(what, n_columns, n_features):
    """Raise a ValueError if rows that are drawn beside those of X have other columns."""
    if n_columns != n_features:
        raise ValueError(
            f"Rows are drawn beside those of X, which has {n_features} columns, but {what} "
            f"{n_columns}. Draw pairs with other columns by yourself."
        )


def name_invertible_reducers(estimators):
    """Return a dict of reducers by name; raise a TypeError for one without an inverse."""
    reducers = name_reducers(estimators)
    for reducer in reducers.values():
        check_has_attribute(reducer, "inverse_transform")
    return reducers


def check_request(display_name, reducers, X, *, image_shape, kind, ax, cmap, min_rows=1):
    """Check what all Displays of rows are asked for, and return the image shape or None.

    The parameters are those of `ReconstructionDisplay.from_estimators`.
    """
    check_axes(display_name, ax)
    check_cmap(cmap)
    n_features = count_features(X)
    image_shape = choose_image_shape(image_shape, reducers, n_features)
    choose_layout(kind, image_shape, n_features)
    check_fitted(reducers, X, min_rows)
    return image_shape


def choose_layout(kind, image_shape, n_features=None):
    """Return how to draw rows, "images", "signals" or "features", and the shape of each.

    Signals and features are drawn as lines. Their shape is (channels, 1, length).

    Raises
    ------
    ValueError
        If `kind` is unknown, or `image_shape` does not fit the features or cannot be drawn.
    """
    if kind not in ("auto", "images", "lines"):
        raise ValueError(f"kind must be 'auto', 'images' or 'lines'; got {kind!r}.")
    if image_shape is None:
        if kind == "images":
            raise ValueError("kind='images' needs an image_shape, such as (height, width).")
        return "features", (1, 1, n_features)
    shape = check_image_shape(image_shape, n_features, may_omit_channels=True)
    is_signal = shape[1] == 1 and shape[2] > 1
    if kind == "lines" or (kind == "auto" and is_signal):
        return ("signals", shape) if is_signal else ("features", (1, 1, n_features))
    if shape[0] not in (1, 3):
        raise ValueError(
            f"image_shape={image_shape!r} has {shape[0]} channels; pictures can be drawn of 1 or "
            "3. Channels come first: (channels, height, width). kind='lines' draws lines instead, "
            "of any number of channels."
        )
    return "images", shape


def check_traversal(estimator, X, row, components, width, n_steps):
    """Return the components as a list of int, or None, or raise an error for a wrong parameter."""
    check_has_attribute(estimator, "inverse_transform")
    check_int("n_steps", n_steps, at_least=2)
    check_width(width)
    check_row(row, count_rows(X))
    return None if components is None else check_components(components, count_codes(estimator))


def vary_components(codes, components, steps, row):
    """Return codes of which one component at a time is varied.

    Parameters
    ----------
    codes : ndarray of shape (n_samples, n_codes)
    components : list of int
    steps : ndarray of shape (n_steps,)
        What is added to a component, in standard deviations of it.
    row : int or None
        Row of the codes from which the steps are counted; None for their mean.

    Returns
    -------
    varied : ndarray of shape (n_components, n_steps, n_codes)
    """
    std = codes.std(axis=0, dtype=np.float64)  # the squares may overflow in float32
    centre = codes.mean(axis=0) if row is None else codes[row]
    varied = np.tile(centre, (len(components), len(steps), 1))
    for codes_of_component, k in zip(varied, components, strict=True):
        codes_of_component[:, k] += steps * std[k]
    return varied


def check_width(width):
    """Raise a ValueError if `width` is not a positive finite number."""
    if isinstance(width, bool) or not (isinstance(width, Real) and 0 < width < np.inf):
        raise ValueError(f"width must be a positive number of standard deviations; got {width!r}.")


def check_row(row, n_rows):
    """Raise a ValueError if `row` is neither None nor the index of a row of X."""
    if row is not None and not (is_int(row) and 0 <= row < n_rows):
        raise ValueError(
            f"row must be the index of a row of X, an int from 0 to {n_rows - 1}; got {row!r}."
        )


def to_dense_array(X):
    """Convert rows to a dense NumPy array."""
    return X.toarray() if issparse(X) else np.asarray(X)


def compute_value_range(X):
    """Return the lowest and the highest value of X."""
    X = to_dense_array(X)
    return np.nanmin(X), np.nanmax(X)  # estimators take missing values


def draw_rows(
    display_name,
    ax,
    grid,
    image_shape,
    row_names,
    column_names=None,
    *,
    kind="auto",
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
    kind : {"auto", "images", "lines"}, default="auto"
        Whether to draw images or lines; "auto" draws signals, of height 1, as lines.
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
    layout, shape = choose_layout(kind, image_shape, grid.shape[-1])
    n_rows, n_columns = grid.shape[:2]
    if layout == "images":
        height = n_rows * TILE_WIDTH * shape[1] / shape[2]
        # 1.6 and 0.4 inches are for the labels.
        (ax,) = prepare_axes(display_name, ax, size=(n_columns * TILE_WIDTH + 1.6, height + 0.4))
        if column_names:
            column_names = keep_outer_and_middle(column_names)
        draw_images(ax, grid, shape, row_names, column_names, limits=limits, cmap=cmap)
        return ax
    if lines_by == "row":
        panels, panel_names = grid.swapaxes(0, 1), [f"row {j}" for j in range(n_columns)]
        line_names = row_names
    else:
        panels, panel_names, line_names = grid, row_names, column_names
    (ax,) = prepare_axes(
        display_name, ax, size=(1.4 * len(panels) + 2.4, max(3, 0.9 * shape[0] + 0.8))
    )
    line_styles = line_styles or choose_step_styles(n_columns)
    draw_lines(ax, panels, panel_names, line_names, line_styles, n_channels=shape[0])
    is_signal = layout == "signals"
    ax.set_xlabel("position in the signal" if is_signal else "features, in the order of X")
    ax.set_ylabel("value" if shape[0] == 1 else "channel")
    return ax


def keep_outer_and_middle(names):
    """Blank all labels but the first, the last and, of an odd number, the middle one.

    All labels would overlap where images are narrow.
    """
    n = len(names)
    kept = {0, n - 1} | ({n // 2} if n % 2 else set())
    return [name if j in kept else "" for j, name in enumerate(names)]
