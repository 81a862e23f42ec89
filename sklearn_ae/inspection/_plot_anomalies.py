"""Display of the rows that a detector finds strangest, and of the reason."""

import numpy as np

from .._compat import count_rows, select_rows
from ._drawing import check_axes, prepare_axes
from ._inputs import check_fitted, check_has_attribute, check_int

WIDTH, HEIGHT = 4.6, 2.8  # of a panel, in inches
BAR_COLOR, FAINT = "#d55e00", "#7f7f7f"


class AnomalyDisplay:
    """Bar charts of what makes rows strange, by columns, beside what was expected.

    Parameters
    ----------
    rows : array-like of shape (n_rows, n_features)
        The strange rows.
    expected : array-like of shape (n_rows, n_features)
        What was expected in place of them.
    contributions : array-like of shape (n_rows, n_features)
        What each column adds to how strange a row is.
    row_names : sequence of str
        Titles of the rows.
    feature_names : sequence of str
        Names of the columns.

    Attributes
    ----------
    axes_ : ndarray of matplotlib Axes
        One for each row.
    figure_ : matplotlib Figure

    See Also
    --------
    ReconstructionDisplay : Draws pictures and their reconstructions.

    Examples
    --------
    >>> import matplotlib.pyplot as plt
    >>> from sklearn.datasets import load_wine
    >>> from sklearn_ae import AutoencoderDetector
    >>> from sklearn_ae.inspection import AnomalyDisplay
    >>> X, y = load_wine(return_X_y=True, as_frame=True)
    >>> detector = AutoencoderDetector(random_state=0).fit(X[y == 0])
    >>> AnomalyDisplay.from_estimator(detector, X[y == 1], n_rows=2)
    <...>
    >>> plt.show()
    """

    def __init__(self, rows, expected, contributions, *, row_names, feature_names):
        self.rows = rows
        self.expected = expected
        self.contributions = contributions
        self.row_names = row_names
        self.feature_names = feature_names

    @classmethod
    def from_estimator(cls, estimator, X, *, n_rows=3, n_columns=5, ax=None):
        """Find the strangest rows of X and draw why they are.

        Parameters
        ----------
        estimator : AutoencoderDetector
            A fitted detector.
        X : array-like of shape (n_samples, n_features)
        n_rows : int, default=3
            Number of rows to draw, the strangest first.
        n_columns, ax : optional
            As in `plot`.

        Returns
        -------
        display : AnomalyDisplay

        Raises
        ------
        TypeError
            If the estimator has no `explain`, or `ax` is no Axes.
        NotFittedError
            If the estimator is not fitted.
        ValueError
            If X has other columns than in `fit`, or a number is below 1.
        """
        check_has_attribute(estimator, "explain")
        check_int("n_rows", n_rows, at_least=1)
        check_int("n_columns", n_columns, at_least=1)
        check_fitted([estimator], X)
        check_axes(cls.__name__, ax, min(n_rows, count_rows(X)))
        scores = estimator.score_samples(X)
        # rows without any value have no score, and come last
        strangest = np.argsort(np.where(np.isnan(scores), np.inf, scores))[:n_rows]
        index = getattr(X, "index", np.arange(len(scores)))
        chosen = select_rows(X, strangest)
        p_values = estimator.compute_p_values(chosen)
        names = [f"row {index[i]}: p = {p:.2g}" for i, p in zip(strangest, p_values, strict=True)]
        names_of_columns = [f"x{j}" for j in range(estimator.n_features_in_)]
        return cls(
            np.asarray(chosen.toarray() if hasattr(chosen, "toarray") else chosen, float),
            estimator.reconstruct(chosen),
            estimator.explain(chosen),
            row_names=names,
            feature_names=getattr(estimator, "feature_names_in_", names_of_columns),
        ).plot(ax, n_columns=n_columns)

    def plot(self, ax=None, *, n_columns=5):
        """Draw the columns that add most to each row.

        Parameters
        ----------
        ax : array-like of matplotlib Axes, default=None
            One for each row; None makes a new figure.
        n_columns : int, default=5
            Number of columns to draw for each row.

        Returns
        -------
        display : AnomalyDisplay
        """
        contributions = np.asarray(self.contributions)
        n_rows = len(contributions)
        axes = prepare_axes(type(self).__name__, ax, n_rows, size=(WIDTH, HEIGHT))
        for number, panel in enumerate(axes):
            added = contributions[number]
            shown = np.argsort(-added)[:n_columns]
            panel.barh(np.arange(len(shown)), added[shown], color=BAR_COLOR)
            labels = [
                f"{self.feature_names[j]}\n{self.rows[number][j]:.4g}, "
                f"expected {self.expected[number][j]:.4g}"
                for j in shown
            ]
            panel.set_yticks(np.arange(len(shown)), labels, fontsize="small")
            panel.invert_yaxis()
            panel.set_title(self.row_names[number], fontsize="medium")
            panel.set_xlabel("adds to strangeness")
            panel.grid(axis="x", alpha=0.3)
        self.axes_, self.figure_ = axes, axes[0].figure
        return self
