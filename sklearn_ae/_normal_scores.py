"""Normal scores: each column in terms of the standard normal distribution, by its own ranks."""

import numpy as np
from scipy.special import ndtr, ndtri

MAX_KNOTS = 1_000  # of a column: quantiles of many values say as much as the values

# Nodes and weights of the mean over a standard normal distribution.
NODES, WEIGHTS = np.polynomial.hermite_e.hermegauss(15)
WEIGHTS = WEIGHTS / WEIGHTS.sum()


class NormalScores:
    """The map of columns to the standard normal distribution, and back [1]_.

    A value is mapped to the normal quantile of its rank, and equal values to that of their mean
    rank. Between the values seen it is interpolated. Beyond them scores go on in proportion to the
    standard deviation of the column, so that no two distances are equal. The way back ends at the
    lowest and the highest value seen. Missing values stay missing.

    Parameters
    ----------
    X : ndarray of shape (n_samples, n_features)
        Each column has a value.

    Attributes
    ----------
    values, scores : lists of n_features ndarrays
        The distinct values of each column, or quantiles of many, and their normal scores.
    shares, quantiles : lists of n_features ndarrays
        The empirical distribution as a line through points: a value that is frequent has two.
    deviations : ndarray of shape (n_features,)
        Standard deviations, 1 where a column is constant.

    References
    ----------
    .. [1] Liu, Lafferty and Wasserman, "The nonparanormal: semiparametric estimation of high
       dimensional undirected graphs", JMLR 10, 2009.
    """

    def __init__(self, X):
        columns = [np.sort(column[~np.isnan(column)]) for column in np.asarray(X, np.float64).T]
        self.deviations = np.array([column.std() or 1.0 for column in columns])
        self.values, self.scores, self.shares, self.quantiles = [], [], [], []
        for column in columns:
            values, first, counts = np.unique(column, return_index=True, return_counts=True)
            if len(values) > MAX_KNOTS:
                kept = np.linspace(0, len(values) - 1, MAX_KNOTS).round().astype(int)
                values, first, counts = values[kept], first[kept], counts[kept]
            n_values = len(column)
            self.values.append(values)
            self.scores.append(ndtri((first + counts / 2) / n_values))
            ends = np.stack([first + 0.5, first + counts - 0.5], axis=1) / n_values
            self.shares.append(ends.ravel())
            self.quantiles.append(values.repeat(2))

    def transform(self, X):
        """Return the normal scores of rows, (n_samples, n_features), float64."""
        X = np.asarray(X, np.float64)
        scores = np.empty(X.shape)
        for j, (values, known) in enumerate(zip(self.values, self.scores, strict=True)):
            column = X[:, j]
            beyond = column - column.clip(values[0], values[-1])
            scores[:, j] = np.interp(column, values, known) + beyond / self.deviations[j]
        return scores

    def inverse_transform(self, scores):
        """Return the values of scores, (n_samples, n_features), within the range seen."""
        columns = [self.restore_column(j, column) for j, column in enumerate(scores.T)]
        return np.stack(columns, axis=1)

    def restore_column(self, j, scores):
        """Return the values of column j that have these scores, an array of any shape."""
        return np.interp(ndtr(scores), self.shares[j], self.quantiles[j])

    def average_column(self, j, mean, deviation):
        """Return the mean values of column j where scores have normal distributions, (n,).

        Parameters
        ----------
        j : int
        mean, deviation : ndarrays of shape (n,)
        """
        nodes = mean[:, None] + deviation[:, None] * NODES  # (n, n_nodes)
        return self.restore_column(j, nodes) @ WEIGHTS
