"""The density of a variational autoencoder: bounds of its logarithm, and samples."""

import copy
import math
from functools import partial
from numbers import Integral

import numpy as np
import torch
import torch.nn.functional as F
from sklearn.utils import check_random_state
from sklearn.utils.validation import check_is_fitted

from ._isolation import isolate_torch
from ._model import check_results, make_result, run_network
from ._rows import convert_like, make_rows

MIN_DRAWS = 16  # of the code of each row, over which a bound is averaged


class LikelihoodMixin:
    """What a fitted variational autoencoder does as a density of rows."""

    @property
    def noise_variance_(self):
        """Variance of the noise of each feature, or None if features are bits."""
        model = self._get_fitted("_model_")
        if model.units.has_logits:
            return None
        return float(model.code.log_noise.exp()) * model.units.scale**2

    @isolate_torch()
    def score_samples(self, X, *, n_importance_samples=None):
        """Return a lower bound of the log-likelihood of each row.

        For the start it is the log-likelihood itself. The same rows have the same scores in
        every call.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
        n_importance_samples : int, default=None
            Draws of the code per row, which make the bound tighter. None is the parameter of the
            estimator.

        Returns
        -------
        scores : ndarray of shape (n_samples,), float64
            In nats, as `PCA.score_samples`: densities in units of X, or probabilities of bits. NaN
            for a row without any value.

        Raises
        ------
        ValueError
            If `n_importance_samples` is not a positive integer.
        """
        if n_importance_samples is None:
            n_importance_samples = self.n_importance_samples
        check_count("n_importance_samples", n_importance_samples)
        bounds, X = self._compute_bounds(X, n_importance_samples)
        return convert_like(bounds, X)

    @isolate_torch()
    def score(self, X, y=None):
        """Return the mean of `score_samples`, as `PCA.score` does.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
        y : object, default=None
            Ignored; here for scikit-learn's convention.

        Returns
        -------
        score : float
            In nats per row, over the rows that have any value.
        """
        bounds, _ = self._compute_bounds(X, self.n_importance_samples)
        return float(bounds.nanmean())

    def _compute_bounds(self, X, n_importance_samples):
        """Return bounds of the log-likelihood of each row, a tensor, and the checked X."""
        X, rows = self._check_rows(X, "score_samples")
        likelihood = Likelihood(self._model_, n_importance_samples)
        bounds = make_result(X, torch.float64, len(rows))
        return self._model_.map_rows(likelihood.compute_bounds, rows, bounds), X

    @isolate_torch()
    def posterior(self, X):
        """Return the distribution of the code of each row, a diagonal Gaussian.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)

        Returns
        -------
        mean, standard_deviation : ndarray of shape (n_samples, n_components), float32
            The mean is what `transform` returns.
        """
        X, rows = self._check_rows(X, "posterior")
        codes = make_result(X, torch.float32, len(rows), 2 * self.n_components_)
        encode = self._model_.encode_distribution
        mean, log_variance = self._model_.map_rows(encode, rows, codes).chunk(2, dim=1)
        deviation = (log_variance / 2).exp()
        return tuple(convert_like(part.contiguous(), X) for part in (mean, deviation))

    @isolate_torch()
    def sample(self, n_samples=1, random_state=None, *, add_noise=True):
        """Draw rows from the density.

        Parameters
        ----------
        n_samples : int, default=1
        random_state : int, RandomState instance or None, default=None
            Pass an int for the same rows in every call.
        add_noise : bool, default=True
            Whether to add the noise of the decoder. Without it the rows are the means to which
            codes are decoded: smoother pictures, but no sample of the density.

        Returns
        -------
        X : ndarray of shape (n_samples, n_features)
            Of the kind of the X in `fit`, but never a data frame, also after `set_output`. In units
            of the X in `fit`; bits for "binary_cross_entropy", or their probabilities
            without noise.

        Raises
        ------
        NotFittedError
            If the estimator is not fitted.
        ValueError
            If `n_samples` is not a positive integer.
        """
        check_is_fitted(self)
        check_count("n_samples", n_samples)
        model, random_state = self._model_, check_random_state(random_state)
        units, shape = model.units, (n_samples, len(model.units.mean))
        codes = random_state.standard_normal((n_samples, model.architecture.n_components))
        codes = make_rows(codes.astype(np.float32), model.get_device())
        rows = torch.empty(shape, dtype=model.get_dtype())
        model.map_rows(partial(model.decode, clip=self.clip), codes, rows)
        if add_noise and units.has_logits:
            rows = (torch.from_numpy(random_state.random_sample(shape)) < rows).to(rows)
        elif add_noise:
            deviation = float(model.code.log_noise.exp().sqrt()) * units.scale
            rows += (deviation * torch.from_numpy(random_state.standard_normal(shape))).to(rows)
            # Noise may carry values beyond the range to which their means were clipped.
            rows = rows.clamp(units.low.cpu(), units.high.cpu()) if self.clip else rows
        return convert_like(rows, self._array_kind_)


class Likelihood:
    """Computes bounds of the log-likelihood of rows, in nats, by importance sampling [1]_.

    All rows have the same draws: the bound of a row does not depend on the rows beside it, but for
    rounding.

    Parameters
    ----------
    model : Model
    n_importance_samples : int
        Draws that one bound is made of.

    References
    ----------
    .. [1] Burda, Grosse and Salakhutdinov, "Importance weighted autoencoders", ICLR 2016.
    """

    def __init__(self, model, n_importance_samples):
        # float32 has too few digits for rows that nearly lie in a plane.
        self.dtype = torch.float32 if model.units.has_logits else torch.float64
        self.model, self.n_samples = copy.deepcopy(model).to(self.dtype), n_importance_samples
        self.model.fill = model.fill  # which computes in float64
        n_draws = max(1, MIN_DRAWS // n_importance_samples) * n_importance_samples
        # The same in every call, and in mirrored pairs, whose mean is that of the prior.
        rng, n_components = np.random.RandomState(0), model.architecture.n_components
        half = torch.from_numpy(rng.standard_normal((-(-n_draws // 2), n_components)))
        draws = torch.stack([half, -half], dim=1).flatten(0, 1)[:n_draws]
        self.draws = draws.to(model.get_device(), self.dtype)  # (n_draws, n_components)

    def compute_bounds(self, rows):
        """Return a bound for each of some rows of X, (n,), float64."""
        u = self.model.units.standardize(rows.to(self.dtype))
        filled = self.model.complete_inputs(u, rows)
        codes = run_network(self.model.encoder, filled)
        mean, log_variance = check_results(codes, "codes").chunk(2, dim=-1)
        factors = self.model.code.make_factors(codes, u, self.model.path_to_rows)
        if factors is None:
            factors = torch.diag_embed((log_variance / 2).exp())
        # One draw at a time: all of them together would need n_draws times the memory.
        weights = torch.stack([self.weigh_draw(u, mean, factors, draw) for draw in self.draws])
        # (n_draws, n) becomes (n_bounds, n_samples, n): the mean of several bounds is one, too.
        weights = weights.double().unflatten(0, (-1, self.n_samples))
        bounds = (weights.logsumexp(dim=1) - math.log(self.n_samples)).mean(dim=0)
        # a row without any value has a density of 1, which says nothing of it
        return check_results(bounds, "scores").masked_fill(u.isnan().all(dim=1), math.nan)

    def weigh_draw(self, u, mean, factors, draw):
        """Return the logarithm of p(x, z) / q(z | x) of each row for one draw of z.

        Only observed entries of a row count: u has NaN elsewhere. The codes have covariances
        F F', with triangular factors F.
        """
        codes = mean + factors @ draw
        # log p(z) / q(z | x): the normalising constants of the two Gaussians cancel out.
        log_determinant = factors.diagonal(dim1=1, dim2=2).abs().log().sum(dim=-1)
        log_ratio = (draw.square() - codes.square()).sum(dim=-1) / 2 + log_determinant
        outputs, units = run_network(self.model.decoder, codes), self.model.units
        if units.has_logits:
            targets = units.restore_targets(u)
            known = targets.nan_to_num(nan=0.0)
            losses = F.binary_cross_entropy_with_logits(outputs, known, reduction="none")
            return log_ratio - losses.masked_fill(targets.isnan(), 0.0).sum(dim=-1)
        log_noise = self.model.code.log_noise
        squares = (u - outputs).square().nansum(dim=-1) * torch.exp(-log_noise)
        # The density is one of X: each feature that is observed also has the Jacobian of u.
        per_feature = math.log(2 * math.pi) + log_noise + 2 * math.log(units.scale)
        return log_ratio - (squares + (~u.isnan()).sum(dim=-1) * per_feature) / 2


def check_count(name, value):
    """Raise a ValueError if a parameter of a name is not a positive integer."""
    if not isinstance(value, Integral) or value < 1:
        raise ValueError(f"{name} must be a positive integer; got {value!r}.")
