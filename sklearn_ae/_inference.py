"""The fitted autoencoder: its attributes, and the methods that need no training."""

import warnings
from functools import partial
from numbers import Integral

import torch
from sklearn.base import ClassNamePrefixFeaturesOutMixin, TransformerMixin, clone
from sklearn.exceptions import UndefinedMetricWarning
from sklearn.utils.validation import check_is_fitted

from ._compat import check_same_namespace
from ._isolation import isolate_torch
from ._model import make_result
from ._rows import check_codes, check_table, convert_like, is_sliced_on_disk, make_rows
from ._saving import share_weights


class InferenceMixin(ClassNamePrefixFeaturesOutMixin, TransformerMixin):
    """What a fitted autoencoder does; `BaseAutoencoder` fits it."""

    def _is_fitted(self):
        """Tell whether there is a fitted model."""
        return "_model_" in vars(self)

    def _get_fitted(self, name):
        """Return a private attribute, or raise an AttributeError if the estimator is not fitted."""
        if not self._is_fitted():
            raise AttributeError(f"This {type(self).__name__} is not fitted yet.")
        return vars(self)[name]

    @property
    def encoder_(self):
        """The network that maps standardised rows u to codes z."""
        return self._get_fitted("_model_").encoder

    @property
    def decoder_(self):
        """The network that maps codes z to standardised rows û."""
        return self._get_fitted("_model_").decoder

    @property
    def mean_(self):
        """Mean of each feature, or zeros where the network sees X itself."""
        return convert_like(self._get_fitted("_model_").units.mean, self._array_kind_)

    @property
    def scale_(self):
        """Square root of the mean variance, or 1 where the network sees X itself."""
        return self._get_fitted("_model_").units.scale

    @property
    def _n_features_out(self):
        return self.n_components_

    @isolate_torch()
    def truncated(self, n_components):
        """Return a fitted autoencoder whose code is the first numbers of this one.

        It shares the weights, until one of the two is trained further. `clone` of it is not fitted
        and has that `n_components`.

        Parameters
        ----------
        n_components : int
            At least 1 and at most `n_components_`.

        Returns
        -------
        estimator : object
            Its `transform(X)` is ``transform(X)[:, :n_components]`` of this estimator. Its curves
            and losses are those of this one.

        Raises
        ------
        NotFittedError
            If this estimator is not fitted.
        ValueError
            If the code is not ordered, or has not so many numbers.

        Examples
        --------
        >>> from sklearn.datasets import load_iris
        >>> from sklearn_ae import AutoencoderTransformer
        >>> X, _ = load_iris(return_X_y=True)
        >>> ordered = AutoencoderTransformer(3, ordered=True, random_state=0).fit(X)
        >>> ordered.truncated(2).transform(X).shape
        (150, 2)
        """
        check_is_fitted(self)
        if self._model_.architecture.n_ordered is None:
            raise ValueError(
                "The code is not ordered, and its first numbers mean nothing without the others. "
                "Fit with ordered=True."
            )
        is_int = isinstance(n_components, Integral) and not isinstance(n_components, bool)
        if not (is_int and 1 <= n_components <= self.n_components_):
            raise ValueError(
                f"n_components must be an int from 1 to {self.n_components_}, the size of this "
                f"code; got {n_components!r}."
            )
        n_components = int(n_components)
        other = clone(self).set_params(n_components=n_components)
        vars(other).update(share_weights(self, n_components))
        return other

    @isolate_torch()
    def transform(self, X):
        """Encode X.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)

        Returns
        -------
        codes : ndarray of shape (n_samples, n_components), float32
            With array API dispatch an array of the library and on the device of X, as are the
            results of all methods.
        """
        X, rows = self._check_rows(X, "transform")
        codes = make_result(X, torch.float32, len(rows), self.n_components_)
        return convert_like(self._model_.map_rows(self._model_.encode, rows, codes), X)

    @isolate_torch()
    def inverse_transform(self, X):
        """Decode codes.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_components)
            Codes, as `transform` returns them; of an ordered code also only the first columns.

        Returns
        -------
        X_original : ndarray of shape (n_samples, n_features)
            float64 where `fit` saw float64, or integers of 32 bits and more, else float32.
        """
        check_is_fitted(self)
        check_same_namespace(X, self, attribute="mean_", method="inverse_transform")
        codes = check_codes(self, X)
        rows = make_rows(codes, self._model_.get_device())
        decode = partial(self._model_.decode, clip=self.clip)
        decoded = make_result(
            codes, self._model_.get_dtype(), len(rows), self._model_.architecture.n_outputs
        )
        return convert_like(self._model_.map_rows(decode, rows, decoded), codes)

    @isolate_torch()
    def reconstruct(self, X):
        """Encode and decode X.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)

        Returns
        -------
        X_reconstructed : ndarray of shape (n_samples, n_features)
            float64 where `fit` saw float64, or integers of 32 bits and more, else float32.
        """
        X, rows = self._check_rows(X, "reconstruct")
        reconstruct = partial(self._model_.reconstruct, clip=self.clip)
        shape = len(rows), self._model_.architecture.n_outputs
        decoded = make_result(X, self._model_.get_dtype(), *shape)
        return convert_like(self._model_.map_rows(reconstruct, rows, decoded), X)

    @isolate_torch()
    def score_samples(self, X):
        """Return minus the mean squared reconstruction error of each row.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)

        Returns
        -------
        scores : ndarray of shape (n_samples,), float64
            In squared units of X; the lower, the less a row is like those in `fit`.
        """
        X, rows = self._check_rows(X, "score_samples")
        compute_scores = partial(self._model_.compute_scores, clip=self.clip)
        scores = make_result(X, torch.float64, len(rows))
        return convert_like(self._model_.map_rows(compute_scores, rows, scores), X)

    @isolate_torch()
    def score(self, X, y=None):
        """Return the share of the variance of X that its reconstruction keeps, R².

        It is `sklearn.metrics.r2_score(X, reconstruct(X), multioutput="variance_weighted")`,
        computed in constant memory. For a PCA of the training data it is the explained
        variance ratio.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
        y : object, default=None
            Ignored; here for scikit-learn's convention.

        Returns
        -------
        score : float
            At most 1; nan with a warning for a single row.
        """
        _, rows = self._check_rows(X, "score")
        if len(rows) < 2:
            warnings.warn(
                "R² is not defined for fewer than two samples.",
                UndefinedMetricWarning,
                stacklevel=3,
            )
            return float("nan")
        return self._model_.compute_r2(rows, self.clip)

    # -------------------------------------------------------------- checks of tables

    def _check_rows(self, X, method):
        """Return X and its rows to encode, which are checked for finiteness part by part."""
        check_is_fitted(self)
        X = check_table(self, X, reset=False)
        if not is_sliced_on_disk(X):
            check_same_namespace(X, self, attribute="mean_", method=method)
        return X, make_rows(X, self._model_.get_device(), type(self).__name__)
