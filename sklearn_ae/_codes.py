"""The code: what stands between encoder and decoder. There are three kinds.

A code is the first layer of the decoder. It says how many values the encoder returns and the
decoder takes, what is decoded in training, what the loss adds for it, by which sizes a network is
judged, and what is left to do after training. `make_end` returns the last layer of the encoder.
"""

import math
from numbers import Integral

import numpy as np
import torch
import torch.nn.functional as F
from torch import nn

from ._compat import warn_user
from ._gaussian import FillMissing

# In training an ordered code is decoded so many times. This share of the times it is whole, else
# cut at a size from a distribution that is even in the logarithm of the size plus `SMALL_SIZES`.
COPIES = 2
SHARE_WHOLE = 0.4
SMALL_SIZES = 2

# Up to so many rows times sizes, every size of an ordered code gets its own last layer of the
# decoder; beyond that, and up to so many weights, powers of two do.
MAX_SOLVED_ROWS = 100_000
MAX_SOLVED_WEIGHTS = 2**24

MAX_ROWS_FOR_COVARIANCE = 100_000

# Components with a smaller share of their variance left are taken for sums of those before them.
SMALLEST_SHARE = 1e-6

# Rows of the draws of a Gaussian code outside of training.
TABLE_ROWS = 1024


def list_solved_sizes(code, n_components, n_samples, n_weights):
    """Return the sizes of an ordered code that have a last layer of their own; none for others.

    Parameters
    ----------
    code : str
        A name in `CODES`.
    n_components, n_samples : int
    n_weights : int
        Of one last layer.
    """
    if not CODES[code].is_ordered:
        return []
    sizes = list_powers(n_components)
    if n_components * n_samples <= MAX_SOLVED_ROWS:
        sizes = [*range(1, n_components + 1)]
    return sizes if len(sizes) * n_weights <= MAX_SOLVED_WEIGHTS else []


def list_powers(n_components):
    """Return the powers of two that are smaller than a code size, and the size."""
    return [2**i for i in range((n_components - 1).bit_length())] + [n_components]


class PlainCode(nn.Module):
    """A code whose components mean something only together.

    Parameters
    ----------
    n_components : int
    scale : float
        The unit of codes: the decoder sees codes divided by it.
    n_trained : int
        Components that the layers compute. Only an ordered code may use fewer of them.
    tells : bool
        Whether the decoder is told which components are given. Only an ordered code tells.
    mixes : bool
        Whether components may be changed by a matrix. Only an ordered code does so.

    Attributes
    ----------
    sizes : list of int or None
        The code sizes by which a network is judged; None for the whole code.
    """

    values_per_component = 1  # that the encoder returns
    inputs_if_told = 1  # per component, that a decoder takes which is told what is given
    is_ordered = False
    draws = False  # whether training draws random numbers
    min_batch_size = 64
    decay = 0.3  # of the weights, divided by the number of rows

    def __init__(self, n_components, scale, n_trained, tells, mixes):
        super().__init__()
        self.n_components = n_components
        self.n_trained = n_trained
        self.scale = scale
        self.sizes = [None]

    @staticmethod
    def adapt_defaults(defaults):
        """Return the defaults of an estimator for this kind of code."""
        return defaults

    def make_end(self):
        """Return the last layer of the encoder."""
        return nn.Identity() if self.scale == 1 else Scale(self.scale)

    def forward(self, codes):
        """Map codes (..., n, n_components) to what the decoder takes, of the same shape."""
        return codes if self.scale == 1 else codes * (1 / self.scale)

    def measure(self, codes):
        """Return what the loss needs of the codes: divergence by rows and noise, or None."""
        return None, None

    def set_noise(self, log_noise):
        """Set the logarithm of the variance of the decoder's noise, if there is one."""

    def finish(self, trial):
        """Do what is left to do after training, and return fitted attributes, by name.

        Parameters
        ----------
        trial : Trial
            Has the chosen weights.
        """
        return {}

    def make_fill(self, linear):
        """Return the `FillMissing` that suits a decoder's linear path, if the code has a density.

        Parameters
        ----------
        linear : torch.nn.Module or None
        """

    def widen(self, codes, u, linear):
        """Return codes of filled rows as they are, or wider if they are distributions.

        Parameters
        ----------
        codes : tensor of shape (n, n_values)
        u : tensor of shape (n, n_features)
            The rows, with NaN.
        linear : torch.nn.Module or None
            The decoder's linear path to rows.
        """
        return codes

    def truncate(self, n_components):
        """Return this code with fewer components, or raise a ValueError if it has no order."""
        raise ValueError(
            "The code is not ordered, and its first components mean nothing without the others. "
            "Fit with ordered=True."
        )


class OrderedCode(PlainCode):
    """A code whose first k components are a code of size k, for every k.

    In training each row comes several times, cut at random sizes or whole: nested dropout [1]_,
    with several sizes in each step as in matryoshka representations [2]_. Otherwise a code is cut
    where it ends. A decoder of ours is told where that is: each component is followed, in a second
    half, by a 1 if it is given and a 0 if not.

    Attributes
    ----------
    matrix : tensor of shape (n_trained, n_trained)
        Undoes that of the encoder.
    n_used : tensor of int64 of shape (n_trained,)
        For each size the components that are used: fewer, where these are better on new rows.

    References
    ----------
    .. [1] Rippel, Gelbart and Adams, "Learning ordered representations with nested dropout",
       ICML 2014.
    .. [2] Kusupati et al., "Matryoshka representation learning", NeurIPS 2022.
    """

    inputs_if_told = 2
    is_ordered = True
    draws = True
    # Averaging over code sizes already regularises, so an ordered code uses larger batches and
    # less decay. One network does the work of many: it is wide, but trained for fewer steps where
    # rows are many, as each step decodes every row several times.
    min_batch_size = 256
    decay = 0.1
    min_width = 256
    share_of_steps = 0.75

    def __init__(self, n_components, scale, n_trained, tells, mixes):
        super().__init__(n_components, scale, n_trained, tells, mixes)
        self.tells = tells
        self.mixes = mixes
        self.sizes = list_powers(n_components)
        components = torch.arange(n_trained)
        self.register_buffer("matrix", torch.eye(n_trained))
        self.register_buffer("components", components, persistent=False)
        self.register_buffer("n_used", components + 1)

    @classmethod
    def adapt_defaults(cls, defaults):
        """Return the defaults of an estimator for this kind of code."""
        return defaults.widen(cls.min_width, cls.share_of_steps)

    def make_end(self):
        """Return the last layer of the encoder."""
        return OrderedEnd(self.n_components, self.scale, self.n_trained, self.mixes)

    def truncate(self, n_components):
        """Return this code with fewer components, and the same buffers.

        Raises
        ------
        ValueError
            If it has not so many.
        """
        is_int = isinstance(n_components, Integral) and not isinstance(n_components, bool)
        if not (is_int and 1 <= n_components <= self.n_components):
            raise ValueError(
                f"n_components must be an int from 1 to {self.n_components}, the size of this "
                f"code; got {n_components!r}."
            )
        n_components = int(n_components)
        return change_copy(self, n_components=n_components, sizes=list_powers(n_components))

    def forward(self, codes):
        """Map (..., n, n_given) to (..., n, n_inputs); in training to several times n rows."""
        n_given = codes.shape[-1]
        if self.scale != 1:
            codes = codes * (1 / self.scale)
        # (..., n, n_trained): what is not given is zero
        codes = F.pad(codes, (0, self.n_trained - n_given)) @ self.matrix.T
        if self.training:
            sizes = self.draw_sizes(codes, n_given)
            codes = torch.cat([codes] * COPIES, dim=-2)
        else:
            sizes = self.n_used[n_given - 1]
        # (COPIES * n, n_trained) in training, else (n_trained,)
        is_given = (self.components < sizes.unsqueeze(-1)).to(codes)
        codes = codes * is_given
        # (..., n, 2 n_trained) if the decoder is told
        return torch.cat([codes, is_given.expand_as(codes)], dim=-1) if self.tells else codes

    def draw_sizes(self, codes, n_given):
        """Return the sizes at which copies of codes (..., n, n_given) are cut, (COPIES * n,).

        Rows are in a random order and have the quantiles of the sizes in turn, so that every batch
        has its share of each size, and every row a smaller and a larger one.
        """
        n_cuts = COPIES * codes.shape[-2]
        rows = torch.arange(n_cuts, device=codes.device).float()
        quantiles = (rows + torch.rand(1, device=codes.device)) / n_cuts
        # the inverse of the distribution; the largest quantiles are beyond n_given, and stay whole
        spread = math.log(1 + n_given / SMALL_SIZES) / (1 - SHARE_WHOLE)
        sizes = (quantiles * spread).expm1().mul(SMALL_SIZES).long() + 1
        return sizes.clamp(1, n_given)

    @torch.no_grad()
    def finish(self, trial):
        """Use the best size up to each, decorrelate the components, and cut the code if asked to.

        A code of size k is decoded from the first j <= k components that keep most of the variance
        of new rows. What each component adds is never negative.
        """
        # every size is measured as it is, before any is replaced by a smaller one
        sizes = torch.arange(1, self.n_components + 1)
        self.n_used[: self.n_components] = sizes
        r2 = trial.measure_sizes(sizes.tolist())
        # (n_components,): the best R² up to each size, and the last size that has it
        best = np.maximum.accumulate(r2)
        n_used = np.maximum.accumulate(np.where(r2 == best, sizes, 1))
        self.n_used[: self.n_components] = torch.from_numpy(n_used)
        if self.mixes:
            self._decorrelate(trial)
        explained = np.diff(best.clip(0), prepend=0.0)
        if trial.plan.cuts_code:
            share = trial.plan.architecture.n_components
            explained = explained[: choose_size(explained, share)]
            trial.model = trial.model.truncate(len(explained))
        return {"explained_variance_ratio_": explained}

    def _decorrelate(self, trial):
        """Change the components so that they are uncorrelated, without loss.

        From each component the linear regression on those before it is subtracted, and the decoder
        adds it again [1]_. The first k components still hold what they held.

        References
        ----------
        .. [1] Golub and Van Loan, "Matrix computations", 4th edition, 2013, section 4.1: the unit
           lower triangular factor L of the covariance L D L'.
        """
        # components that were cut off keep their place in the matrices
        triangle = np.eye(self.n_trained)
        part = slice(0, self.n_components)
        covariance = compute_code_covariance(trial.model, trial.task.rows)
        covariance = trial.add_up("covariance", covariance)
        triangle[part, part] = factor_unit_triangle(covariance)
        inverse = np.linalg.inv(triangle)
        # that of the components as they become
        trial.sums["covariance"] = inverse[part, part] @ covariance @ inverse[part, part].T
        encoder_matrix = trial.model.encoder.end.matrix
        set_product(encoder_matrix, inverse, encoder_matrix)
        set_product(self.matrix, self.matrix, triangle)


class OrderedEnd(nn.Module):
    """The last layer of the encoder of an ordered code: the first of its components.

    Attributes
    ----------
    matrix : tensor of shape (n_trained, n_trained)
        At first the identity; it is set after training, so that components are uncorrelated.
        Squashed codes have none: it would move them out of their range.
    """

    def __init__(self, n_components, scale, n_trained, mixes):
        super().__init__()
        self.n_components = n_components
        self.scale = scale
        self.register_buffer("matrix", torch.eye(n_trained) if mixes else None)

    def truncate(self, n_components):
        """Return this layer with fewer components, and the same matrix."""
        return change_copy(self, n_components=n_components)

    def forward(self, codes):
        """Map (..., n, n_trained) to (..., n, n_components)."""
        if self.scale != 1:
            codes = codes * self.scale
        if self.matrix is not None:
            codes = codes @ self.matrix.T
        return codes[..., : self.n_components]


class GaussianCode(PlainCode):
    """The code of a variational autoencoder: a Gaussian by rows, of which one is drawn [1]_.

    Codes are in units of the prior, and not of X. In training every row has a draw of its own.
    Otherwise the draws come from a table, so that losses of the same rows compare.

    Attributes
    ----------
    log_noise : tensor of shape ()
        Logarithm of the variance of the decoder's noise in u. It is set in closed form and not
        trained. Several networks that train as one have one each.

    References
    ----------
    .. [1] Kingma and Welling, "Auto-encoding variational Bayes", ICLR 2014.
    """

    values_per_component = 2  # mean and log-variance
    draws = True
    stacked_buffers = ("log_noise",)

    def __init__(self, n_components, scale, n_trained, tells, mixes):
        super().__init__(n_components, 1.0, n_trained, tells, mixes)
        self.register_buffer("log_noise", torch.zeros((), dtype=torch.float64))
        generator = torch.Generator().manual_seed(0)
        half = torch.randn(TABLE_ROWS // 2, n_components, generator=generator)
        # (TABLE_ROWS, n_components): in mirrored pairs, so that their mean is zero
        table = torch.stack([half, -half], dim=1).flatten(0, 1)
        self.register_buffer("table", table, persistent=False)

    def make_end(self):
        """Return the last layer of the encoder."""
        return LimitSpread(self.n_components)

    def forward(self, codes):
        """Map means and log-variances (..., 2 n_components) to draws; codes stay as they are."""
        if codes.shape[-1] == self.n_components:
            return codes
        mean, log_variance = codes.chunk(2, dim=-1)
        if self.training:
            draws = torch.randn_like(mean)
        else:
            index = torch.arange(mean.shape[-2], device=mean.device) % TABLE_ROWS
            draws = self.table[index].to(mean)
        return torch.addcmul(mean, (log_variance / 2).exp(), draws)

    def set_noise(self, log_noise):
        """Set the logarithm of the variance of the decoder's noise."""
        self.log_noise.fill_(log_noise)

    def measure(self, codes):
        """Return the divergence of each row's distribution from the prior (..., n), and noise."""
        mean, log_variance = codes.float().chunk(2, dim=-1)
        spread = log_variance.exp() - log_variance
        # Kullback and Leibler's, of independent Gaussians from the standard one
        divergence = (mean.square() + spread).sum(dim=-1) / 2 - mean.shape[-1] / 2
        return divergence, self.log_noise.float()

    def make_fill(self, linear):
        """Return the `FillMissing` of probabilistic PCA; None without a linear path to rows."""
        if linear is None:
            return None
        # (n_features, n_components): with the digits that float32 has rounded off
        weight = linear.weight.double() + linear.rest.double()
        fill = FillMissing(*weight.shape).to(weight.device)
        fill.factors, fill.noise = weight.detach(), self.log_noise.double().exp()
        if linear.bias is not None:
            fill.mean = linear.bias.detach().double()
        return fill

    def widen(self, codes, u, linear):
        """Return distributions that know of the observed entries alone.

        Their variances grow as those of probabilistic PCA, the start, do: exactly before training.
        """
        factors = self.make_factors(codes, u, linear)
        if factors is None:
            return codes
        mean, _ = codes.chunk(2, dim=-1)
        return torch.cat([mean, factors.square().sum(dim=-1).log().clamp(max=0)], dim=-1)

    def make_factors(self, codes, u, linear):
        """Return factors F of the covariances F F' of the codes of rows with missing entries.

        Codes are uncorrelated given whole rows; given some of the entries they are not.

        Parameters
        ----------
        codes, u, linear
            As in `widen`.

        Returns
        -------
        factors : tensor of shape (n, n_components, n_components), or None
            None if no entry is missing, or without a linear path.
        """
        is_missing, fill = u.isnan(), self.make_fill(linear)
        if fill is None or not is_missing.any():
            return None
        # the covariance of the code is noise times the inverse of L L'; the last row is a whole one
        is_observed = torch.cat([~is_missing, torch.ones_like(is_missing[:1])])
        _, cholesky = fill.infer_codes(torch.zeros_like(u[:1]).double(), is_observed)
        unit = torch.eye(self.n_components, dtype=torch.float64, device=u.device)
        factors = torch.linalg.solve_triangular(cholesky.mT, unit, upper=True)
        whole = factors[-1].square().sum(dim=-1)
        _, log_variance = codes.chunk(2, dim=-1)
        # training has changed the variance given whole rows by so much
        change = (log_variance.double().exp() / whole).sqrt()
        return (change.unsqueeze(-1) * factors[:-1]).to(codes)

    def finish(self, trial):
        """Set the noise to that of the training rows where no rows have judged an epoch."""
        if trial.held_out is None and trial.plan.max_epochs:
            trial.fit_noise()
        else:
            # a chunk that comes later counts as one among these rows
            n_rows = len(trial.task) if trial.held_out is None else trial.start_losses.shape[-1]
            trial.add_up("errors", np.array([float(self.log_noise.exp()), 1.0]) * n_rows)
        return {}


class LimitSpread(nn.Module):
    """Keeps the variance of a code from exceeding that of the prior, 1.

    No row makes its code less certain than knowing nothing; a network that is wrong on a row far
    from all others would, by any factor.

    Parameters
    ----------
    n_components : int
    """

    def __init__(self, n_components):
        super().__init__()
        largest = torch.tensor([math.inf] * n_components + [0.0] * n_components)
        self.register_buffer("largest", largest, persistent=False)

    def forward(self, codes):
        """Map means and log-variances (..., 2 n_components) to the same shape."""
        return codes.clamp(max=self.largest)


class Scale(nn.Module):
    """Multiplication by a constant. It copies, so that networks which work in place do no harm."""

    def __init__(self, factor):
        super().__init__()
        self.factor = factor

    def forward(self, x):
        """Multiply x, of any shape."""
        return x * self.factor


CODES = {"plain": PlainCode, "ordered": OrderedCode, "gaussian": GaussianCode}


def change_copy(module, **attributes):
    """Return a copy of a module that shares all tensors, with other attributes."""
    # `copy.copy` would do the same by way of the module's own way of pickling
    copy = object.__new__(type(module))
    vars(copy).update(vars(module), **attributes)
    return copy


def change_child(module, name, child):
    """Return a copy of a module that shares all tensors, with another child of a name."""
    copy = change_copy(module)
    copy._modules = {**module._modules, name: child}
    return copy


@torch.no_grad()
def set_product(matrix, first, second):
    """Set a matrix to the product of two, arrays or tensors, computed in float64."""
    first, second = (torch.as_tensor(factor).double().cpu() for factor in (first, second))
    matrix.copy_(first @ second)


def choose_size(explained, share):
    """Return the smallest code size that keeps a share of the variance, or warn and return all."""
    kept = np.cumsum(explained)
    n_smaller = np.searchsorted(kept, share)
    if n_smaller == len(kept):
        warn_user(
            f"n_components={share} is the share of the variance that the autoencoder shall keep, "
            f"but its {len(kept)} components keep {kept[-1]:.3f}. All of them are used."
        )
    return int(min(n_smaller + 1, len(kept)))


def compute_code_covariance(model, rows):
    """Return the covariance of the codes of at most 100,000 rows, times their number."""
    step = -(-len(rows) // MAX_ROWS_FOR_COVARIANCE)
    count, total, products = 0, 0.0, 0.0
    for _, block in model.read_parts(rows):
        # (n, n_components)
        codes = model.encode(block[::step]).double().cpu().numpy()
        count += len(codes)
        total = total + codes.sum(axis=0)
        products = products + codes.T @ codes
    return products - np.outer(total, total) / count


def factor_unit_triangle(covariance):
    """Return the unit lower triangular factor L of a covariance L D L', which may be singular."""
    # Gaussian elimination, which leaves out what has no variance of its own
    rest, triangle = covariance.copy(), np.eye(len(covariance))
    for i, variance in enumerate(np.diag(covariance)):
        if rest[i, i] > SMALLEST_SHARE * variance:
            triangle[:, i] = rest[:, i] / rest[i, i]
            rest = rest - rest[i, i] * np.outer(triangle[:, i], triangle[:, i])
        triangle[:i, i] = 0
    return triangle
