"""The imputer: an autoencoder that is trained on hidden entries only."""

from numbers import Real

import numpy as np
import torch
from sklearn.base import BaseEstimator, TransformerMixin
from sklearn.impute import MissingIndicator
from sklearn.utils import check_array, check_random_state
from sklearn.utils.metaestimators import available_if
from sklearn.utils.validation import check_is_fitted, validate_data

from ._autoencoder import AutoencoderTransformer, ScoresAutoencoder
from ._compat import StrOptions, check_feature_names_in, fit_context
from ._isolation import isolate_torch
from ._normal_scores import NormalScores
from ._plan import OptionsMixin
from ._rows import explain_errors
from ._start import fills_better_untrained, find_fill
from ._task import Impute

FLOATS = (np.float64, np.float32)  # dtypes that stay as they are; others become the first

HIDDEN_RATE = 0.1  # of the entries, to train where none is missing

NETWORK_PARAMETERS = (
    *("hidden_layer_sizes", "activation", "loss", "optimizer", "learning_rate", "schedule"),
    *("weight_decay", "batch_size", "max_epochs", "early_stopping", "validation_fraction"),
    *("n_iter_no_change", "tol", "device", "random_state", "verbose"),
)


def has_indicator(imputer):
    """Tell whether an imputer says which entries were missing, or raise an AttributeError."""
    if not imputer.add_indicator:
        raise AttributeError("inverse_transform needs add_indicator=True.")
    return True


class HiddenEntriesAutoencoder(ScoresAutoencoder):
    """An autoencoder whose loss counts the entries that were hidden from it, and no others."""

    _public_name = "AutoencoderImputer"  # in messages

    def _make_task(self, table, plan, model, seed):
        units = self._make_units(table.rows, table.moments, plan)
        fill = find_fill(table, units, seed, is_untrained=plan.max_epochs == 0)
        # As many entries are hidden in training as are missing; a complete table needs some, too.
        rate = 1 - table.moments.observed_share or HIDDEN_RATE
        return Impute(table.rows, units, rate, fill)

    @isolate_torch()
    def describe_missing(self, X, generator):
        """Return conditional standard deviations of the missing entries of X, and draws."""
        model = self._model_
        u = model.units.make_inputs(torch.from_numpy(X).to(model.get_device()))
        deviations, draws = model.fill.describe_missing(u.as_subclass(torch.Tensor), generator)
        # the network has made the errors smaller, by as much as held-out rows say
        share = self.best_loss_ / self.start_loss_ if self.best_epoch_ and self.start_loss_ else 1.0
        unit = model.units.scale * (share**0.5 if self.loss == "squared_error" else share)
        return unit * deviations.cpu().numpy(), unit * draws.cpu().numpy()


class AutoencoderImputer(OptionsMixin, TransformerMixin, BaseEstimator):
    """Imputation by an autoencoder that starts at the conditional mean.

    Each column is mapped to its normal scores, the normal quantiles of its ranks: a Gaussian copula
    [2]_. A missing entry is at first filled with its mean given the observed entries of its row,
    under a Gaussian of the scores that expectation maximisation finds [1]_. What is filled in
    depends neither on units nor on skew, and is within the range of the column. An autoencoder with
    a code of full size then corrects the scores. It is trained on rows of which further entries are
    hidden, as many as are missing, and is kept only if it is clearly better on hidden entries of
    rows that are new to it.

    Parameters
    ----------
    missing_values : int, float or np.nan, default=np.nan
        The placeholder of missing values. NaN of data frames are missing in any case.

    sample_posterior : bool, default=False
        Whether to fill missing entries with draws from their conditional distribution in place of
        its means: for multiple imputation. Each call of `transform` draws anew.

    loss : {"squared_error", "absolute_error"}, default="squared_error"
        What should be small on average: missing entries are filled with conditional means, or with
        medians.

    hidden_layer_sizes : array-like of int, int or "auto", default="auto"
        As in `AutoencoderTransformer`, as are the parameters that are not described here.

    activation : {"relu", "gelu", "silu", "tanh", "logistic", "identity"}, default="silu"
        Activation of the hidden layers.

    optimizer : {"adam", "adamw", "sgd"} or torch.optim.Optimizer subclass, default="adam"
        Optimizer.

    learning_rate : float, default=0.004
        Learning rate at the peak of the schedule.

    schedule : {"one_cycle", "cosine", "constant"}, default="one_cycle"
        Learning rate schedule.

    weight_decay : float or "auto", default="auto"
        L2 penalty of the optimizer.

    batch_size : int or "auto", default="auto"
        Rows per training step, at most.

    max_epochs : int or "auto", default="auto"
        Passes over the rows. 0 keeps the conditional means. "auto" is 0 for 129 to 1,000 features:
        the covariance is then a full one, which imputes better than a network that starts at few
        factors. It is computed from at most 5,000 rows.

    early_stopping : bool, default=True
        Whether rows that are new to the network decide. Without it the network is always used.

    validation_fraction : float or "auto", default="auto"
        Share of the rows to hold out.

    n_iter_no_change : int, default=30
        Stop after this many epochs without an improvement of at least `tol`.

    tol : float, default=0.0001
        Smallest decrease that counts as an improvement.

    add_indicator : bool, default=False
        Append the columns of a :class:`~sklearn.impute.MissingIndicator` to the output.

    keep_empty_features : bool, default=False
        Whether to keep features that are missing in all rows of `fit`, filled with 0.

    device : str or torch.device, default="auto"
        Torch device.

    random_state : int, RandomState instance or None, default=None
        Determines the hidden entries, the held-out rows, their order, the initial weights and the
        draws of `sample_posterior`.

    verbose : {0, 1, 2}, default=0
        1: a progress bar over the epochs. 2: one line per epoch.

    Attributes
    ----------
    autoencoder_ : AutoencoderTransformer or None
        The autoencoder of the normal scores of features that are not empty; None if all are.

    indicator_ : MissingIndicator or None
        None if `add_indicator` is False.

    n_features_in_ : int
        Number of features seen during `fit`.

    feature_names_in_ : ndarray of shape (n_features,)
        Names of the features. Defined only if all feature names of X are strings.

    See Also
    --------
    sklearn.impute.KNNImputer : By the mean of the nearest neighbours.
    sklearn.impute.IterativeImputer : By a regression of each feature on the others, in turn.

    Notes
    -----
    Imputed values are conditional means: they vary less than the values that are missing. For
    standard errors of what is computed from them, fit it to five imputations with
    `sample_posterior` and pool the results by Rubin's rules [3]_. Columns of few levels are filled
    with means between levels; round them where levels are needed.

    References
    ----------
    .. [1] Dempster, Laird and Rubin, "Maximum likelihood from incomplete data via the EM
       algorithm", Journal of the Royal Statistical Society B 39, 1977.
    .. [2] Zhao and Udell, "Missing value imputation for mixed data via Gaussian copula", KDD 2020.
    .. [3] Rubin, "Multiple imputation for nonresponse in surveys", Wiley, 1987.

    Examples
    --------
    >>> import numpy as np
    >>> from sklearn.datasets import load_iris
    >>> from sklearn_ae import AutoencoderImputer
    >>> X = load_iris().data
    >>> X_missing = X.copy()
    >>> X_missing[::5, 2] = np.nan
    >>> X_filled = AutoencoderImputer(random_state=0).fit_transform(X_missing)
    >>> bool(np.abs(X_filled - X).max() < 1.2)
    True
    """

    _parameter_constraints: dict = {
        **{
            name: AutoencoderTransformer._parameter_constraints[name] for name in NETWORK_PARAMETERS
        },
        "missing_values": [Real],  # NaN, too
        "loss": [StrOptions({"squared_error", "absolute_error"})],
        "sample_posterior": ["boolean"],
        "add_indicator": ["boolean"],
        "keep_empty_features": ["boolean"],
    }

    def __init__(
        self,
        *,
        missing_values=np.nan,
        sample_posterior=False,
        loss="squared_error",
        hidden_layer_sizes="auto",
        activation="silu",
        optimizer="adam",
        learning_rate=0.004,
        schedule="one_cycle",
        weight_decay="auto",
        batch_size="auto",
        max_epochs="auto",
        early_stopping=True,
        validation_fraction="auto",
        n_iter_no_change=30,
        tol=1e-4,
        add_indicator=False,
        keep_empty_features=False,
        device="auto",
        random_state=None,
        verbose=0,
    ):
        self.missing_values = missing_values
        self.sample_posterior = sample_posterior
        self.loss = loss
        self.hidden_layer_sizes = hidden_layer_sizes
        self.activation = activation
        self.optimizer = optimizer
        self.learning_rate = learning_rate
        self.schedule = schedule
        self.weight_decay = weight_decay
        self.batch_size = batch_size
        self.max_epochs = max_epochs
        self.early_stopping = early_stopping
        self.validation_fraction = validation_fraction
        self.n_iter_no_change = n_iter_no_change
        self.tol = tol
        self.add_indicator = add_indicator
        self.keep_empty_features = keep_empty_features
        self.device = device
        self.random_state = random_state
        self.verbose = verbose

    @fit_context(prefer_skip_nested_validation=True)
    def fit(self, X, y=None, *, groups=None, X_val=None):
        """Fit the imputer to X.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
            At least two rows.
        y : object, default=None
            Ignored; here for scikit-learn's convention.
        groups : array-like of shape (n_samples,), default=None
            Label of the group of each row: the subject, the series. A group is never both
            trained on and held out.
        X_val : array-like of shape (n_val, n_features), default=None
            Rows to hold out, in place of a share of X.

        Returns
        -------
        self : object
            The fitted imputer.

        Raises
        ------
        ValueError
            If a parameter is outside its range, if X has infinite numbers, or if groups has not one
            label for each row. The imputer is then as it was before.

        Warns
        -----
        UserWarning
            If held-out rows look like copies of others, or like parts of a series.
        """
        # scikit-learn sets number and names of features at what it is given
        stand_in = object.__new__(type(self))
        vars(stand_in).update(vars(self))
        X = stand_in._mark_missing(X, reset=True)
        is_empty, autoencoder, scores = np.isnan(X).all(axis=0), None, None
        n_components = int((~is_empty).sum())
        # New rows may miss features that have been complete here.
        indicator = MissingIndicator(error_on_new=False).fit(X) if self.add_indicator else None
        if n_components:
            params = {name: getattr(self, name) for name in NETWORK_PARAMETERS}
            if self.max_epochs == "auto" and fills_better_untrained(n_components):
                params["max_epochs"] = 0
            # A code of full size, and no correction: epoch 0 reconstructs the conditional means.
            autoencoder = HiddenEntriesAutoencoder(n_components, init="linear", **params)
            scores = NormalScores(X[:, ~is_empty])
            if X_val is not None:
                X_val = scores.transform(stand_in._mark_missing(X_val, reset=False)[:, ~is_empty])
            known = X[:, ~is_empty]
            autoencoder.fit_scores(known, scores.transform(known), groups=groups, X_val=X_val)
        fitted = {
            "indicator_": indicator,
            "autoencoder_": autoencoder,
            "random_state_": check_random_state(self.random_state),
            "_is_empty": is_empty,
            "_scores": scores,
        }
        # All at once and last: an error leaves the imputer as it was.
        self.__dict__ = {**vars(stand_in), **fitted}
        return self

    def transform(self, X):
        """Fill the missing entries of X.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)

        Returns
        -------
        X_filled : ndarray of shape (n_samples, n_features_out)
            X, as float32 if it is, else float64. Entries that are not missing are as they were.
            Features that were empty in `fit` are left out, unless `keep_empty_features` is True.
        """
        check_is_fitted(self)
        X = self._mark_missing(X, reset=False)
        restored, known = np.zeros_like(X), ~self._is_empty
        if np.isnan(X[:, known]).any():
            restored[:, known] = self._fill(X[:, known])
        # The network changes observed entries, too, as any autoencoder: only missing ones are its.
        filled = np.where(np.isnan(X), restored, X)
        filled = filled if self.keep_empty_features else filled[:, known]
        if self.indicator_ is None:
            return filled
        return np.hstack([filled, self.indicator_.transform(X).astype(X.dtype)])

    def _fill(self, X):
        """Return rows whose missing entries are filled, without empty features."""
        u, filled = self._scores.transform(X), X.copy()
        # (n, n_known) of scores
        means, generator = np.asarray(self.autoencoder_.reconstruct(u)), None
        if self.sample_posterior:
            generator = torch.Generator().manual_seed(self.random_state_.randint(2**31))
        deviations, draws = self.autoencoder_.describe_missing(u, generator)
        for j, missing in enumerate(np.isnan(X).T):
            mean = means[missing, j]
            if self.sample_posterior or self.loss == "absolute_error":
                filled[missing, j] = self._scores.restore_column(j, mean + draws[missing, j])
            else:
                spread = deviations[missing, j]
                filled[missing, j] = self._scores.average_column(j, mean, spread)
        return filled

    @available_if(has_indicator)
    def inverse_transform(self, X):
        """Put the missing values back.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features_out)
            As `transform` returns it.

        Returns
        -------
        X_original : ndarray of shape (n_samples, n_features)
            With `missing_values` where the indicator says so, and in features left out.

        Raises
        ------
        AttributeError
            If `add_indicator` is False, so that nothing says what was missing.
        """
        check_is_fitted(self)
        X = check_array(X, dtype=FLOATS, ensure_all_finite="allow-nan")
        kept, marked = ~self._is_empty | self.keep_empty_features, self.indicator_.features_
        n_kept = int(kept.sum())
        n_expected = n_kept + len(marked)
        if X.shape[1] != n_expected:
            raise ValueError(f"X has {X.shape[1]} features, but {n_expected} are expected.")
        original = np.full((len(X), len(kept)), self.missing_values, dtype=X.dtype)
        original[:, kept] = X[:, :n_kept]
        # Behind the features, X has a mark for each one that was missing in some row of fit.
        marks = X[:, n_kept:].astype(bool)
        original[:, marked] = np.where(marks, self.missing_values, original[:, marked])
        return original

    def get_feature_names_out(self, input_features=None):
        """Return the names of the columns that `transform` returns.

        Parameters
        ----------
        input_features : array-like of str, default=None
            Names of the features; None for those in `fit`.

        Returns
        -------
        names : ndarray of str
        """
        check_is_fitted(self)
        names = check_feature_names_in(self, input_features)
        kept = names[~self._is_empty | self.keep_empty_features]
        if self.indicator_ is None:
            return kept
        return np.concatenate([kept, self.indicator_.get_feature_names_out(names)])

    def _mark_missing(self, X, reset):
        """Return X as an array of floats with NaN where it is missing."""
        how = {"dtype": FLOATS, "ensure_all_finite": "allow-nan", "ensure_min_samples": 1 + reset}
        with explain_errors(X, np.shape(X) if isinstance(X, np.ndarray) else ()):
            X = validate_data(self, X, reset=reset, copy=True, **how)
        # In the copy: the caller's array keeps its placeholders.
        if not np.isnan(self.missing_values):
            X[self.missing_values == X] = np.nan
        return X

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.input_tags.allow_nan = True
        tags.transformer_tags.preserves_dtype = ["float64", "float32"]
        return tags
