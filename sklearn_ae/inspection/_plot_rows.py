"""Displays of rows of X, as images or as lines: reconstructions, walks and traversals."""

from numbers import Integral

import numpy as np
from scipy.sparse import issparse
from sklearn.utils import _safe_indexing, check_consistent_length
from sklearn.utils.validation import _num_samples

from ._drawing import (
    axes_for,
    checked_image_shape,
    draw_images,
    draw_lines,
    method_styles,
    step_styles,
)
from ._inputs import check_can, image_shape_of, named_reducers

TILE = 0.75  # inches


class ReconstructionDisplay:
    """Rows of X above what reducers make of them.

    Lines share an axis of values: of columns with different units, show standardised ones.

    Parameters
    ----------
    rows : dict of str to array-like of shape (n_samples, n_features)
        What is drawn, by name, from top to bottom; the first are the originals.
    image_shape : sequence of int, default=None
        (height, width) or (channels, height, width) of the images that rows hold in C order,
        with one channel or three; None draws lines.

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
        estimators : fitted transformer, list or dict of them by name
            With `inverse_transform`.
        X : {array-like, data frame, sparse matrix} of shape (n_samples, n_features)
            Rows to reconstruct.
        X_noisy : {array-like, data frame, sparse matrix} of shape (n_samples, n_features), \
                default=None
            What the reducers are given in place of X, to restore X.
        n_samples : int, default=8
            Rows to draw, from the first on.
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
            If n_samples is not an int of at least 1.
        """
        reducers = invertible(estimators)
        taken = sorted({"original", "noisy"} & reducers.keys())
        if taken:
            raise ValueError(f"The names 'original' and 'noisy' are those of X; got {taken}.")
        check_consistent_length(X, X_noisy)
        if not (isinstance(n_samples, Integral) and n_samples >= 1):
            raise ValueError(f"n_samples must be an int of at least 1; got {n_samples!r}.")
        first = slice(0, n_samples)
        X_in = _safe_indexing(X if X_noisy is None else X_noisy, first)
        rows = {"original": as_array(_safe_indexing(X, first))}
        if X_noisy is not None:
            rows["noisy"] = as_array(X_in)
        for name, reducer in reducers.items():
            rows[name] = as_array(reducer.inverse_transform(reducer.transform(X_in)))
        image_shape = image_shape_of(reducers.values(), image_shape)
        return cls(rows, image_shape=image_shape).plot(ax, cmap=cmap)

    @classmethod
    def from_estimator(
        cls, estimator, X, *, X_noisy=None, n_samples=8, image_shape=None, ax=None, cmap="gray"
    ):
        """Reconstruct the first rows of X by one estimator and draw them.

        Parameters
        ----------
        estimator : fitted transformer
            With `inverse_transform`.
        X, X_noisy, n_samples, image_shape, ax, cmap : optional
            As in `from_estimators`.

        Returns
        -------
        display : ReconstructionDisplay
        """
        how = {"n_samples": n_samples, "image_shape": image_shape, "ax": ax, "cmap": cmap}
        return cls.from_estimators([estimator], X, X_noisy=X_noisy, **how)

    def plot(self, ax=None, *, cmap="gray"):
        """Draw the rows.

        Parameters
        ----------
        ax : matplotlib Axes, default=None
            Axes to draw into; None makes a new figure.
        cmap : str or matplotlib Colormap, default="gray"
            For images of one channel. "gray" has the lowest value of the originals black
            and the highest white.

        Returns
        -------
        display : ReconstructionDisplay
        """
        names, grid = list(self.rows), np.stack([np.asarray(r) for r in self.rows.values()])
        looks = {"original": {"color": "black"}, "noisy": {"color": "0.75"}}
        methods = [name for name in names if name not in looks]
        for name, style in zip(methods, method_styles(methods), strict=True):
            looks[name] = {**style, "marker": ""}
        self.ax_ = draw_rows(
            type(self).__name__,
            ax,
            grid,
            self.image_shape,
            names,
            limits=value_range(grid[0]),
            cmap=cmap,
            line_styles=[looks[name] for name in names],
            lines_by="row",
        )
        self.figure_ = self.ax_.figure
        return self


class InterpolationDisplay:
    """What lies between two rows of X: decoded codes on the straight line between theirs.

    Parameters
    ----------
    walks : dict of str to array-like of shape (n_steps, n_features)
        Decoded walks by the name of the reducer.
    image_shape : sequence of int, default=None
        As in `ReconstructionDisplay`.
    limits : (float, float), default=None
        Values that are black and white in images. None is the range of what is drawn.

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
        """Walk from one row to another in equal steps of the code and draw what is decoded.

        Parameters
        ----------
        estimators : fitted transformer, list or dict of them by name
            With `inverse_transform`.
        X : {array-like, data frame, sparse matrix} of shape (2, n_features)
            The row to start from and the row to end at.
        n_steps : int, default=9
            Rows decoded, those at both ends included; at least 2.
        image_shape, ax, cmap : optional
            As in `ReconstructionDisplay`.

        Returns
        -------
        display : InterpolationDisplay

        Raises
        ------
        ValueError
            If X has not two rows, or `n_steps` is less than 2.
        TypeError
            If an estimator has no `inverse_transform`.
        ValueError
            If n_samples is not an int of at least 1.
        """
        reducers = invertible(estimators)
        if _num_samples(X) != 2:
            raise ValueError(f"A walk is between two rows; X has {_num_samples(X)}.")
        check_steps(n_steps)
        walks = {}
        for name, reducer in reducers.items():
            start, end = as_array(reducer.transform(X))
            walks[name] = as_array(reducer.inverse_transform(np.linspace(start, end, n_steps)))
        image_shape = image_shape_of(reducers.values(), image_shape)
        display = cls(walks, image_shape=image_shape, limits=value_range(X))
        return display.plot(ax, cmap=cmap)

    @classmethod
    def from_estimator(cls, estimator, X, *, n_steps=9, image_shape=None, ax=None, cmap="gray"):
        """Walk from one row to another by the code of one estimator.

        Parameters
        ----------
        estimator : fitted transformer
            With `inverse_transform`.
        X, n_steps, image_shape, ax, cmap : optional
            As in `from_estimators`.

        Returns
        -------
        display : InterpolationDisplay
        """
        how = {"n_steps": n_steps, "image_shape": image_shape, "ax": ax, "cmap": cmap}
        return cls.from_estimators([estimator], X, **how)

    def plot(self, ax=None, *, cmap="gray"):
        """Draw the walks.

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
    """What each number of the code does: rows decoded while it alone moves.

    Parameters
    ----------
    decoded : array-like of shape (n_components, n_steps, n_features)
        Decoded rows.
    steps : array-like of shape (n_steps,)
        Where each number of the code was, in its standard deviations from the centre.
    code_names : list of str, default=None
        Names of the numbers of the code; None counts them.
    image_shape : sequence of int, default=None
        As in `ReconstructionDisplay`.
    limits : (float, float), default=None
        Values that are black and white in images. None is the range of what is drawn.

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
        """Move each number of the code by itself and draw what is decoded.

        Parameters
        ----------
        estimator : fitted transformer
            With `inverse_transform`.
        X : {array-like, data frame, sparse matrix} of shape (n_samples, n_features)
            Rows whose codes tell the centre and how far a number of the code goes.
        row : int, default=None
            Row of X whose code is the centre; None is the mean code.
        components : sequence of int, default=None
            Which numbers of the code to move; None takes the first ten.
        width : float, default=2.0
            How far to go to either side, in standard deviations of that number over X.
        n_steps : int, default=7
            Rows decoded for each number.
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
            If X has no such row, codes no such components, or `n_steps` is less than 2.
        """
        check_can(estimator, "inverse_transform")
        check_steps(n_steps)
        codes = as_array(estimator.transform(X))
        if row is not None and not 0 <= row < len(codes):
            raise ValueError(f"row={row!r} is not among the {len(codes)} rows of X.")
        spread = codes.std(axis=0, dtype=np.float64)  # squares can be too large for float32
        centre = codes.mean(axis=0) if row is None else codes[row]
        components = checked_components(components, codes.shape[1])
        steps = np.linspace(-width, width, n_steps)
        moved = np.tile(centre, (len(components), n_steps, 1))
        for unit, k in zip(moved, components, strict=True):
            unit[:, k] += steps * spread[k]
        decoded = as_array(estimator.inverse_transform(moved.reshape(-1, codes.shape[1])))
        display = cls(
            decoded.reshape(len(components), n_steps, -1),
            steps=steps,
            code_names=[f"code {k}" for k in components],
            image_shape=image_shape_of([estimator], image_shape),
            limits=value_range(X),
        )
        return display.plot(ax, cmap=cmap)

    def plot(self, ax=None, *, cmap="gray"):
        """Draw the decoded rows.

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
        decoded = np.asarray(self.decoded)
        self.ax_ = draw_rows(
            type(self).__name__,
            ax,
            decoded,
            self.image_shape,
            [f"code {k}" for k in range(len(decoded))]
            if self.code_names is None
            else list(self.code_names),
            [f"{step:+.1f} sd" if step else "centre" for step in self.steps],
            limits=self.limits,
            cmap=cmap,
        )
        self.figure_ = self.ax_.figure
        return self


def invertible(estimators):
    """Return a dict of reducers by name, all with an inverse."""
    reducers = named_reducers(estimators)
    for reducer in reducers.values():
        check_can(reducer, "inverse_transform")
    return reducers


def check_steps(n_steps):
    """Refuse a walk that goes nowhere."""
    if not (isinstance(n_steps, Integral) and n_steps >= 2):
        raise ValueError(f"n_steps must be an int of at least 2; got {n_steps!r}.")


def checked_components(components, n_components):
    """Return which numbers of the code are asked for, at most ten where it is not said."""
    if components is None:
        return range(min(n_components, 10))
    components = np.atleast_1d(components)
    if components.size == 0 or not set(components) <= set(range(n_components)):
        raise ValueError(f"components={components!r} are not in codes of {n_components} numbers.")
    return components


def as_array(X):
    """Return rows as an array."""
    return X.toarray() if issparse(X) else np.asarray(X)


def value_range(X):
    """Return the lowest and the highest value of X."""
    X = as_array(X)
    return X.min(), X.max()


def draw_rows(
    user,
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
    """Draw rows of X, an array (n_rows, n_columns, n_features), and return the Axes.

    As images they are tiles in that order. As lines there is a panel for each row with a line
    for each column, or the other way round.
    """
    image_shape = checked_image_shape(image_shape, grid.shape[-1])
    n_rows, n_columns = grid.shape[:2]
    if image_shape:
        height = n_rows * TILE * image_shape[1] / image_shape[2]
        (ax,) = axes_for(user, ax, size=(n_columns * TILE + 1.6, height + 0.4))
        if column_names:  # there may be little room: the ends, and the middle if it is a column
            shown = {0, n_columns - 1} | ({n_columns // 2} if n_columns % 2 else set())
            column_names = [n if j in shown else "" for j, n in enumerate(column_names)]
        draw_images(ax, grid, image_shape, row_names, column_names, limits=limits, cmap=cmap)
        return ax
    if lines_by == "row":
        panels, panel_names = grid.swapaxes(0, 1), [f"row {j}" for j in range(n_columns)]
        line_names = row_names
    else:
        panels, panel_names, line_names = grid, row_names, column_names
    (ax,) = axes_for(user, ax, size=(1.4 * len(panels) + 2.4, 3))
    draw_lines(ax, panels, panel_names, line_names, line_styles or step_styles(n_columns))
    return ax
