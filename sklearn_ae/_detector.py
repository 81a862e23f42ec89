"""The detector: how strange a row is, measured in the spread that rows have."""

from dataclasses import dataclass
from numbers import Integral, Real

import numpy as np
from scipy import sparse
from sklearn.base import BaseEstimator, OutlierMixin
from sklearn.covariance import LedoitWolf
from sklearn.decomposition import PCA
from sklearn.model_selection import GroupKFold, KFold
from sklearn.neighbors import NearestNeighbors
from sklearn.utils import check_random_state
from sklearn.utils.validation import check_is_fitted, validate_data

from ._autoencoder import AutoencoderTransformer, ScoresAutoencoder
from ._compat import Interval, StrOptions, fit_context
from ._normal_scores import NormalScores
from ._plan import OptionsMixin

AUTO_CONTAMINATION = 0.05
NEIGHBOUR_WEIGHT = 2.0  # of the distance from neighbours, where that from the centre has 1
MAX_NEIGHBOURS_OF = 500  # rows among which neighbours are searched, drawn from more
ROUNDING = 1e-6  # of normal scores, so that units do not matter in the last digit either
MIN_ROWS = 4
N_FOLDS = 15  # for a code in closed form
TAIL = 0.2  # of the held-out scores: how fast they go on beyond the largest

NETWORK_PARAMETERS = (
    *("hidden_layer_sizes", "activation", "conv_filters", "image_shape", "loss", "optimizer"),
    *("learning_rate", "weight_decay", "batch_size", "max_epochs", "device", "random_state"),
    "verbose",
)


class FoldedAutoencoder(ScoresAutoencoder):
    """An autoencoder that also tells what its folds' networks make of rows that are new to them."""

    _public_name = "AutoencoderDetector"  # in messages

    def _follow_epochs(self, table, y, plan, trial):
        trial.keeps_folds = True
        return super()._follow_epochs(table, y, plan, trial)

    def _list_results(self, table, plan, trial, training, found):
        return super()._list_results(table, plan, trial, training, found) | {
            "folds": trial.list_folds()
        }


@dataclass
class Spread:
    """Codes and residuals of rows by their spread: squared Mahalanobis distances [1]_.

    Parameters
    ----------
    code, residual : LedoitWolf
        Fitted to those of training rows; covariances are shrunk where rows are few.
    """

    code: LedoitWolf
    residual: LedoitWolf

    @classmethod
    def of_rows(cls, codes, residuals):
        """Return the spread of training rows."""
        return cls(LedoitWolf().fit(codes), LedoitWolf().fit(residuals))

    def measure(self, codes, residuals):
        """Return the square root of the sum of both squared distances, (n,)."""
        squares = self.code.mahalanobis(codes) + self.residual.mahalanobis(residuals)
        return np.sqrt(np.maximum(squares, 0))


class AutoencoderDetector(OptionsMixin, OutlierMixin, BaseEstimator):
    """Anomaly detection by codes, residuals and neighbours, with a threshold for new rows.

    Each column is first mapped to its normal scores, so that units do not matter. An
    `AutoencoderTransformer` then encodes the rows. How strange a row is, is the sum of two
    distances: that of code and residual from those of training rows, each in its spread [1]_, and
    the mean distance from the nearest training rows. Where training proves nothing, the first is
    the Mahalanobis distance of the normal scores, with covariances that are shrunk [2]_.

    The threshold is a quantile of the scores of rows that were held out: one new row of the same
    kind in ``1 / contamination`` raises an alarm [3]_. Scikit-learn's detectors count alarms among
    the training rows.

    Parameters
    ----------
    n_components : int or float, default=0.6
        Size of the code. A float in (0, 1) is the share of the variance of the normal scores that
        PCA shall explain with it.

    contamination : "auto" or float in (0, 0.5], default="auto"
        Share of new rows of the same kind that raise an alarm. "auto" is 0.05.

    n_neighbors : int, default=5
        Number of training rows whose distances are averaged.

    support_fraction : float in (0, 1], default=1.0
        Share of the training rows that are kept. Below 1 the strangest rows of a first fit are left
        out of a second one. If up to a tenth of the training rows may be anomalies, set it to 0.8,
        and `n_neighbors` to 20.

    hidden_layer_sizes : int or array-like of int or "auto", default="auto"
        Widths of the encoder's hidden layers; those of the decoder are the reverse. This and the
        parameters below are those of `AutoencoderTransformer`.

    activation : {"relu", "gelu", "silu", "tanh", "logistic", "identity"}, default="silu"
        Activation of the hidden layers.

    conv_filters, image_shape : optional
        Convolutional layers, for rows that are pictures.

    loss : {"squared_error", "absolute_error", "huber", "binary_cross_entropy"}, \
            default="squared_error"
        Loss to minimise, of normal scores; these are not in [0, 1], as the last one needs.

    optimizer : {"adam", "adamw", "sgd"} or torch.optim.Optimizer subclass, default="adam"
        Optimizer.

    learning_rate, weight_decay, batch_size, max_epochs, device : optional
        Of the training.

    random_state : int, RandomState instance or None, default=None
        Seeds the training, the folds and the choice of neighbours. Use an int for reproducible
        results.

    verbose : {0, 1, 2}, default=0
        1: a progress bar over the epochs. 2: one line per epoch.

    Attributes
    ----------
    autoencoder_ : AutoencoderTransformer
        Fitted to normal scores of the columns that vary.
    offset_ : float
        The threshold: rows with a lower score are anomalies.
    held_out_scores_ : ndarray of shape (n_held_out,)
        Scores of training rows by what was fitted to others, in ascending order. After training on
        more than 2,000 rows these are a tenth of them.
    n_features_in_ : int
    feature_names_in_ : ndarray of shape (n_features,)
        Defined only if X has feature names that are all strings.

    See Also
    --------
    sklearn.ensemble.IsolationForest : Needs no distances; finds extreme values of single columns.
    sklearn.neighbors.LocalOutlierFactor : By the density around each row.
    sklearn.covariance.EllipticEnvelope : By a robust Mahalanobis distance.

    Notes
    -----
    A column with a single value says nothing and is left out. Missing values are filled
    by the autoencoder; rows in which many are missing raise about as many alarms as others, or
    fewer. A row that was in `fit` has the score that it had when it was held out.

    References
    ----------
    .. [1] Mahalanobis, "On the generalized distance in statistics", 1936.
    .. [2] Ledoit and Wolf, "A well-conditioned estimator for large-dimensional covariance
       matrices", Journal of Multivariate Analysis 88, 2004.
    .. [3] Vovk, "Cross-conformal predictors", Annals of Mathematics and Artificial Intelligence 74,
       2015.

    Examples
    --------
    >>> from sklearn.datasets import load_breast_cancer
    >>> from sklearn_ae import AutoencoderDetector
    >>> X, y = load_breast_cancer(return_X_y=True)
    >>> benign, malignant = X[y == 1], X[y == 0]
    >>> detector = AutoencoderDetector(random_state=0).fit(benign)
    >>> bool((detector.predict(malignant) == -1).mean() > 0.7)
    True
    """

    _parameter_constraints: dict = {
        **{
            name: AutoencoderTransformer._parameter_constraints[name] for name in NETWORK_PARAMETERS
        },
        "n_components": AutoencoderTransformer._parameter_constraints["n_components"],
        "contamination": [StrOptions({"auto"}), Interval(Real, 0, 0.5, closed="right")],
        "n_neighbors": [Interval(Integral, 1, None, closed="left")],
        "support_fraction": [Interval(Real, 0, 1, closed="right")],
    }

    def __init__(
        self,
        n_components=0.6,
        *,
        contamination="auto",
        n_neighbors=5,
        support_fraction=1.0,
        hidden_layer_sizes="auto",
        activation="silu",
        conv_filters=(),
        image_shape=None,
        loss="squared_error",
        optimizer="adam",
        learning_rate=0.008,
        weight_decay="auto",
        batch_size="auto",
        max_epochs="auto",
        device="auto",
        random_state=None,
        verbose=0,
    ):
        self.n_components = n_components
        self.contamination = contamination
        self.n_neighbors = n_neighbors
        self.support_fraction = support_fraction
        self.hidden_layer_sizes = hidden_layer_sizes
        self.activation = activation
        self.conv_filters = conv_filters
        self.image_shape = image_shape
        self.loss = loss
        self.optimizer = optimizer
        self.learning_rate = learning_rate
        self.weight_decay = weight_decay
        self.batch_size = batch_size
        self.max_epochs = max_epochs
        self.device = device
        self.random_state = random_state
        self.verbose = verbose

    @fit_context(prefer_skip_nested_validation=True)
    def fit(self, X, y=None, *, groups=None):
        """Fit the detector to rows of the kind that is normal.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
            At least four rows. NaN is a missing value. Sparse rows are made dense.
        y : object, default=None
            Ignored; here for scikit-learn's convention.
        groups : array-like of shape (n_samples,), default=None
            Label of the group of each row. Rows of a group are never both trained on and used for
            the threshold.

        Returns
        -------
        self : object
            The fitted detector.

        Raises
        ------
        ValueError
            If a parameter is outside its range, if X has infinite numbers, no column that varies or
            a column without any value, or if groups has not one label for each row. The detector is
            then as it was before.
        """
        # scikit-learn sets number and names of features at what it is given
        stand_in = object.__new__(type(self))
        vars(stand_in).update(vars(self))
        X = stand_in._read(X, reset=True)
        groups = None if groups is None else np.asarray(groups)
        if groups is not None and groups.shape != (len(X),):
            raise ValueError(
                f"groups must have one label for each of the {len(X)} rows; got {groups.shape}."
            )
        seed = check_random_state(self.random_state).randint(2**31)
        stand_in._fit_to(X, groups, seed)
        n_kept = int(np.ceil(self.support_fraction * len(X)))
        if n_kept < len(X):
            kept = np.sort(np.argsort(-stand_in._measure(X), kind="stable")[-n_kept:])
            stand_in._fit_to(X[kept], None if groups is None else groups[kept], seed)
        # all at once and last: an error leaves the detector as it was
        self.__dict__ = vars(stand_in)
        return self

    def _fit_to(self, X, groups, seed):
        """Fit network, distances and threshold to rows."""
        lowest, highest = np.fmin.reduce(X), np.fmax.reduce(X)
        if np.isnan(lowest).any():
            raise ValueError(
                "X has no value at all in column "
                f"{', '.join(map(str, np.flatnonzero(np.isnan(lowest))[:10]))}. Leave such columns "
                "out."
            )
        varies = lowest < highest
        if not varies.any():
            raise ValueError("X has no column that varies: all rows are equal.")
        if np.size(self.conv_filters):
            varies[:] = True  # a picture has all of its pixels
        self._varies, self._constants, X = varies, lowest, X[:, varies]
        self._scores = NormalScores(X)
        u = measure(self._scores, X)
        n_components = self.n_components
        if isinstance(n_components, Integral):
            n_components = min(n_components, *u.shape)
        params = {name: getattr(self, name) for name in NETWORK_PARAMETERS}
        network = FoldedAutoencoder(n_components, **params | {"random_state": seed})
        network.fit_scores(X, u, groups=groups)
        folds = vars(network).pop("folds")
        self.autoencoder_ = network
        u = self._fill(u)
        codes, residuals = self._code(u)
        # (n_components, n_varying)
        centred = codes - codes.mean(axis=0)
        self._regression = np.linalg.lstsq(u - u.mean(axis=0), centred, rcond=None)[0].T
        self._spread = Spread.of_rows(codes, residuals)
        # each distance in units of its spread among training rows, of which each has others near it
        chosen = np.arange(len(u))
        if len(u) > MAX_NEIGHBOURS_OF:
            chosen = np.random.RandomState(seed).choice(len(u), MAX_NEIGHBOURS_OF, replace=False)
        self._neighbours = u[np.sort(chosen)]
        far = self._spread.measure(codes, residuals)
        near, _ = find_near(self._neighbours, None, self.n_neighbors, are_same=True)
        self._units = far.std() or 1.0, near.mean(axis=1).std() or 1.0
        # (n,): NaN for rows that were not held out
        held_out = self._measure_held_out(X, groups, folds, seed)
        self._held_out = held_out[np.sort(chosen)]
        self.held_out_scores_ = np.sort(-held_out[~np.isnan(held_out)])
        self.offset_ = -find_threshold(-self.held_out_scores_[::-1], self._get_contamination())

    def _get_contamination(self):
        return AUTO_CONTAMINATION if self.contamination == "auto" else self.contamination

    def _measure_held_out(self, X, groups, folds, seed):
        """Return how strange each row is to what was fitted to others; NaN where none was.

        A code in closed form is computed anew for each of fifteen folds; of networks there are as
        many as the training has judged.
        """
        network, strange = self.autoencoder_, np.full(len(X), np.nan)
        if network.best_epoch_ == 0 and network.init_ == "linear":
            folds = [(self._fit_pca, *rows) for rows in split_rows(len(X), groups, seed)]
        for fit, train, valid in folds:
            # quantiles, too, are those of rows that were trained on: a new row may be beyond them
            seen = X[train]
            seen[0] = np.where(np.isnan(seen).all(axis=0), np.nanmedian(X, axis=0), seen[0])
            scores = NormalScores(seen)
            # a column may be constant in a fold, and would have no unit there
            scores.deviations = self._scores.deviations
            known, new = (self._fill(measure(scores, X[rows])) for rows in (train, valid))
            code = fit(known)
            spread = Spread.of_rows(*code(known))
            # as many as new rows will be compared with, if there are so many
            few = np.linspace(0, len(known) - 1, min(len(known), MAX_NEIGHBOURS_OF)).astype(int)
            near, _ = find_near(known[few], new, self.n_neighbors)
            strange[valid] = self._add_up(spread.measure(*code(new)), near, X[valid])
        return strange

    def _fit_pca(self, u):
        """Return what codes rows as PCA does, which is fitted to normal scores."""
        pca = PCA(min(self.autoencoder_.n_components_, *u.shape)).fit(u)

        def code(rows):
            codes = pca.transform(rows)
            return codes, clean(rows - pca.inverse_transform(codes))

        return code

    # ---------------------------------------------------------------------------- distances

    def _read(self, X, reset=False):
        """Return X as a dense float64 array."""
        X = validate_data(
            self,
            X,
            reset=reset,
            accept_sparse="csr",
            dtype=np.float64,
            ensure_all_finite="allow-nan",
            ensure_min_samples=MIN_ROWS if reset else 1,
        )
        return X.toarray() if sparse.issparse(X) else X

    def _fill(self, u):
        """Return normal scores without NaN: missing ones are reconstructed from the rest."""
        missing = np.isnan(u)
        if not missing.any():
            return u
        is_empty, filled = missing.all(axis=1), np.zeros_like(u)
        if not is_empty.all():
            filled[~is_empty] = self.autoencoder_.reconstruct(u[~is_empty])
        return np.where(missing, filled, u)

    def _code(self, u):
        """Return codes (n, n_components) and residuals (n, n_varying) of whole normal scores."""
        codes = np.asarray(self.autoencoder_.transform(u), np.float64)
        return codes, clean(u - np.asarray(self.autoencoder_.inverse_transform(codes)))

    def _add_up(self, far, near, X):
        """Return how strange rows of X are, by both of their distances, (n,)."""
        strange = far / self._units[0] + NEIGHBOUR_WEIGHT * near.mean(axis=1) / self._units[1]
        return np.where(np.isnan(X).all(axis=1), np.nan, strange)

    def _measure(self, X):
        """Return how strange rows are; those of `fit` as when they were held out."""
        X = X[:, self._varies]
        u = self._fill(measure(self._scores, X))
        near, index = find_near(self._neighbours, u, self.n_neighbors)
        strange = self._add_up(self._spread.measure(*self._code(u)), near, X)
        held_out = self._held_out[index[:, 0]]
        # distances of equal rows are zero but for rounding, which the root enlarges
        equal = np.flatnonzero((near[:, 0] < ROUNDING**0.5) & ~np.isnan(held_out + strange))
        steps = np.abs(u[equal] - self._neighbours[index[equal, 0]]).max(axis=1)
        equal = equal[steps < 2 * ROUNDING]
        strange[equal] = held_out[equal]
        return strange

    # ------------------------------------------------------------------- the fitted detector

    def score_samples(self, X):
        """Return minus how strange each row is.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)

        Returns
        -------
        scores : ndarray of shape (n_samples,), float64
            The lower, the stranger; at most 0. NaN for a row without any value.
        """
        check_is_fitted(self)
        return -self._measure(self._read(X))

    def decision_function(self, X):
        """Return the scores above the threshold: negative ones are anomalies.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)

        Returns
        -------
        scores : ndarray of shape (n_samples,), float64
            ``score_samples(X) - offset_``.
        """
        return self.score_samples(X) - self.offset_

    def predict(self, X):
        """Return -1 for anomalies and 1 for other rows.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)

        Returns
        -------
        labels : ndarray of shape (n_samples,), int
            1 for a row without any value, too: nothing says that it is strange.
        """
        return np.where(self.decision_function(X) < 0, -1, 1)

    def compute_p_values(self, X):
        """Return the share of held-out rows that are at least as strange as each row.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)

        Returns
        -------
        p_values : ndarray of shape (n_samples,), float64
            Each row is counted among the held-out ones, so that none is 0. Of new rows of the same
            kind, a share of about p has a value of at most p. NaN for a row without any value.
        """
        scores = self.score_samples(X)
        n_stranger = np.searchsorted(self.held_out_scores_, scores, side="right")
        p_values = (1 + n_stranger) / (1 + len(self.held_out_scores_))
        return np.where(np.isnan(scores), np.nan, p_values)

    def reconstruct(self, X):
        """Return what was expected in place of each row: its reconstruction, in units of X.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)

        Returns
        -------
        X_expected : ndarray of shape (n_samples, n_features), float64
            Within the range of the training rows.
        """
        check_is_fitted(self)
        X = self._read(X)
        u = self._fill(measure(self._scores, X[:, self._varies]))
        expected = np.tile(self._constants, (len(X), 1))
        expected[:, self._varies] = self._scores.inverse_transform(u - self._code(u)[1])
        return expected

    def explain(self, X):
        """Return what each column adds to how strange each row is.

        A squared distance is divided among the columns by the products that it sums. The code's is
        divided by the linear regression of the code on the columns.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)

        Returns
        -------
        contributions : ndarray of shape (n_samples, n_features), float64
            None is negative, and those of a row sum to ``-score_samples(X)``. NaN for a row without
            any value.
        """
        check_is_fitted(self)
        X = self._read(X)
        strange, rows = self._measure(X), X[:, self._varies]
        u = self._fill(measure(self._scores, rows))
        codes, residuals = self._code(u)
        of_code, of_residual = self._spread.code, self._spread.residual
        # (n, n_varying) of squares
        back = (codes - of_code.location_) @ of_code.precision_ @ self._regression
        left = residuals - of_residual.location_
        code = share_out(u * back, of_code.mahalanobis(codes))
        residual = share_out(left * (left @ of_residual.precision_), of_residual.mahalanobis(left))
        far = share_out(code + residual, self._spread.measure(codes, residuals))
        distances, index = find_near(self._neighbours, u, self.n_neighbors)
        # (n, n_neighbors, n_varying)
        steps = np.square(u[:, None] - self._neighbours[index])
        near = sum(share_out(steps[:, j], distances[:, j]) for j in range(index.shape[1]))
        near *= NEIGHBOUR_WEIGHT / self._units[1] / index.shape[1]
        contributions = np.zeros(X.shape)
        contributions[:, self._varies] = share_out(far / self._units[0] + near, strange)
        return contributions

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.input_tags.allow_nan = True
        tags.input_tags.sparse = True
        return tags


def split_rows(n_rows, groups, seed):
    """Return the rows to train on and those held out of each of up to fifteen folds."""
    if groups is None:
        folds = KFold(min(N_FOLDS, n_rows), shuffle=True, random_state=seed)
        return list(folds.split(np.empty(n_rows)))
    n_folds = min(N_FOLDS, len(np.unique(groups)))
    return list(GroupKFold(n_folds).split(np.empty(n_rows), groups=groups))


def measure(scores, X):
    """Return the normal scores of rows, rounded."""
    return np.round(scores.transform(X) / ROUNDING) * ROUNDING


def clean(residuals):
    """Return residuals of normal scores without what float32 rounds."""
    residuals[np.abs(residuals) < 10 * ROUNDING] = 0
    return residuals


def find_near(known, rows, n_neighbors, are_same=False):
    """Return distances of the nearest known rows, ascending, and their indices, (n, n_neighbors).

    If `are_same`, the rows are the known ones, and none is its own neighbour.
    """
    n_neighbors = min(n_neighbors, len(known) - are_same)
    found = NearestNeighbors(n_neighbors=n_neighbors).fit(known)
    return found.kneighbors() if are_same else found.kneighbors(rows)


def share_out(parts, totals):
    """Return totals (n,) divided among columns in proportion to positive parts (n, n_columns)."""
    parts = np.maximum(parts, 0)
    sums = parts.sum(axis=1, keepdims=True)
    shares = np.divide(parts, sums, out=np.full(parts.shape, 1 / parts.shape[1]), where=sums > 0)
    return shares * np.asarray(totals)[:, None]


def find_threshold(strange, contamination):
    """Return the value that a share of new rows exceeds, given those of held-out rows, ascending.

    Where rows are too few for such a quantile [1]_, values are taken to go on exponentially.

    References
    ----------
    .. [1] Angelopoulos and Bates, "Conformal prediction: a gentle introduction", Foundations and
       Trends in Machine Learning 16, 2023.
    """
    n_rows, expected = len(strange), contamination * (len(strange) + 1)
    if expected >= 1:
        return np.quantile(strange, 1 - contamination, method="weibull")
    tail = strange[-max(2, round(TAIL * n_rows)) :]
    return strange[-1] + (tail - tail[0]).mean() * np.log(1 / expected)
