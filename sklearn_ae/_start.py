"""The closed form from which training starts: PCA, or reduced-rank regression."""

import copy
import math
import operator
import warnings
from dataclasses import dataclass, replace
from functools import partial, reduce
from inspect import signature

import numpy as np
import torch
from scipy.linalg import eigh, svd
from scipy.optimize import minimize_scalar
from scipy.sparse import csr_array
from scipy.sparse.linalg import LinearOperator, eigsh
from scipy.special import expit
from sklearn.decomposition import PCA
from sklearn.linear_model import Ridge
from sklearn.utils import check_random_state, gen_batches
from sklearn.utils.extmath import svd_flip
from sklearn.utils.sparsefuncs import mean_variance_axis

from ._correction import PART_ROWS, PENALTIES, HiddenRidge, Sums, spread_hidden_units
from ._missing import fit_fill, make_corruption
from ._model import make_model
from ._networks import LinearPath, set_start
from ._random import draw_generator
from ._rows import PART_ENTRIES, SparseRows, convert_to_tensor

MAX_ROWS = 100_000  # for the start, drawn at random where X has more
MAX_ENTRIES = 2**26  # of dense rows that are in memory at once

# As in scikit-learn's PCA: tables that are narrow and long enough are solved by the covariance.
MAX_FEATURES_FOR_COVARIANCE = 1_000
ROWS_A_FEATURE_FOR_COVARIANCE = 10

# Sparse tables of so few rows or features are solved by all products of these, larger ones by
# ARPACK, as `PCA(svd_solver="arpack")` does.
MAX_SIDE_FOR_PRODUCTS = 2**7
PRODUCT_ENTRIES = 2**15  # of the arrays that are made for these products

# A share of the variance needs all eigenvalues of a sparse table: their time grows with the cube of
# the smaller side, and beyond this density dense products are faster.
MAX_SIDE_FOR_SHARE = 2**12
MAX_DENSITY_FOR_SHARE = 0.05

# Few rows are corrupted several times over, until there are this many rows per feature: the
# regression then averages over the corruption instead of fitting a single draw of it.
CORRUPTED_ROWS_A_FEATURE = 50
MAX_CORRUPTED_ENTRIES = 2**24  # of all draws together, beyond the first

# Ridge penalty of the regression, in mean variances of a corrupted feature: as much as one row
# adds to the covariance. It draws the regression towards the identity, for which the start is PCA.
PENALTY = 1.0

# An ordered code that shall keep a share of the variance begins with so many times the numbers that
# PCA needs, and some more: with few rows new ones take more numbers than those that PCA has seen.
NUMBERS_TO_SPARE = 1.25
MORE_NUMBERS_TO_SPARE = 8

# Rows of a first chunk for each component, for means and principal components worth keeping.
ROWS_A_COMPONENT = 10

# If components leave a smaller share of the variance, all are computed by a singular value
# decomposition: those of the covariance have too few digits.
CANCELLATION = 1e-6

LEAST_NOISE = 1e-14  # of a probabilistic start, in mean variances of the features

MAX_ROWS_FOR_SLOPE = 1_000  # spread evenly over the rows of the start
MAX_SPARSE_ENTRIES_FOR_SLOPE = 2**22  # where the table is sparse: of dense rows, made for this
MIN_DENSE_ROWS = 64  # of a sparse table, however many features it has
CORRUPTED_PART_ENTRIES = 2**21  # of rows that are corrupted at once
MAX_SLOPE = 100.0


@dataclass(frozen=True)
class LinearStart:
    """The matrices of a linear autoencoder z = W u + b, û = V z + c.

    Attributes
    ----------
    encoder : ndarray of shape (n_components, n_features)
        W.
    bias : ndarray of shape (n_components,) or None
        b; None for zero.
    decoder : ndarray of shape (n_features, n_components)
        V.
    decoder_bias : ndarray of shape (n_features,) or None
        c; None for zero.
    code_rms : float
        Root mean square of the codes.
    noise : float or None
        Variance of the noise of a probabilistic start, whose encoder also has the log-variances of
        the codes; None for other starts.
    """

    encoder: np.ndarray
    bias: np.ndarray | None
    decoder: np.ndarray
    decoder_bias: np.ndarray | None
    code_rms: float
    noise: float | None = None


def start_model(rows, plan, units, input_units, seed, random_state, ranks, estimator_name):
    """Return the model of a plan before training.

    With a linear path it is the best linear autoencoder, which the first rank computes; without
    one its weights are random.

    Parameters
    ----------
    rows : Rows
    plan : Plan
    units, input_units : Units
        Of the targets, and of what the networks see; the same unless rows are pairs.
    seed : int or RandomState
        For the sample of rows and the solver of PCA.
    random_state : RandomState
        For the corruption and the weights.
    ranks : OneProcess or AllRanks
    estimator_name : str

    Raises
    ------
    ValueError
        If X is out of the range of float32, or if the networks have nothing to train.
    """
    for each in (units, input_units):
        each.check_range(math.prod(rows.shape), plan.has_linear_path)
    n_components, start, path, fill = plan.n_components, None, None, None
    if plan.missing_rate:
        sample = Sample(rows, units, seed)
        max_rows, max_dense = plan.choose_fill_limits()
        few = sample.choose_index(max_rows)
        fill = ranks.agree_on(lambda: fit_fill(sample.read_array(few), max_dense)).to(rows.device)
    if plan.has_linear_path or n_components < 1:
        corrupt = make_start_corruption(plan, input_units, random_state, fill)
        how = {"random_state": seed, "corrupt": corrupt, "beta": plan.beta, "fill": fill}
        compute = partial(compute_start, rows, units, input_units=input_units, **how)
        start, drawn = ranks.agree_on(
            lambda: (compute_enough(compute, plan, min(rows.targets.shape)), random_state)
        )
        random_state.set_state(drawn.get_state())  # the first rank may have drawn from it
        n_components = start.decoder.shape[1]
    if plan.has_linear_path:
        path = LinearPath(start.code_rms, start.bias is not None, start.decoder_bias is not None)
    is_sparse = rows.multiply_best_as_sparse and input_units.is_near_zero() and plan.encoder is None
    n_factors = 0 if fill is None else fill.factors.shape[1]
    architecture = plan.make_architecture(int(n_components), path, is_sparse, n_factors)
    start = start if plan.has_linear_path else None
    generator = draw_generator(random_state)
    model = make_model(architecture, units, input_units, generator, start, estimator_name, fill)
    if plan.has_correction:
        spread_hidden_units(model, random_state)
    if plan.max_epochs and not model.can_train():
        raise ValueError("Nothing in the networks of encoder and decoder can be trained.")
    return model


def compute_enough(compute, plan, n_most):
    """Return the start for a plan, given a function of the number of components that computes it.

    An ordered code that shall keep a share of the variance of new rows begins with more numbers
    than PCA needs for this share of the rows that it sees, and is cut after training.
    """
    start = compute(plan.n_components)
    n_found = start.decoder.shape[1]
    if not plan.ordered or plan.n_components >= 1 or n_found >= n_most:
        return start
    return compute(min(n_most, math.ceil(NUMBERS_TO_SPARE * n_found) + MORE_NUMBERS_TO_SPARE))


def start_folds(model, rows, plan, seed, random_state, members):
    """Return the untrained models of some folds, and the means of the rows that they train on.

    Parameters
    ----------
    model : Model
        That of all rows, untrained. The folds have its random weights, and starts of their own.
    rows : Rows
    plan : Plan
    seed, random_state
        As in `start_model`.
    members : list of ndarray of int
        The indices of the rows that each model trains on.

    Returns
    -------
    models : list of Model
    input_offsets, offsets : tensors of shapes (n_folds, n_features), (n_folds, n_outputs), float32
        Of rows and of their targets, standardised; zeros where the networks see X itself.
    """
    models = [copy.deepcopy(model) for _ in members]
    means = [compute_means(rows.targets, model.units, members, plan)]
    if rows.targets is not rows:
        means.append(compute_means(rows, model.input_units, members, plan))
    for fold, index, *of_fold in zip(models, members, *means, strict=True):
        if plan.has_linear_path:
            units = model.units.move_origin(of_fold[0])
            input_units = model.input_units.move_origin(of_fold[-1])
            corrupt = make_start_corruption(plan, input_units, random_state, model.fill)
            how = {"corrupt": corrupt, "index": index, "beta": plan.beta, "fill": model.fill}
            how |= {"input_units": input_units}
            start = compute_start(rows, units, model.architecture.n_components, seed, **how)
            set_start(fold.encoder, fold.decoder, start)
    return models, means[-1].float(), means[0].float()


def compute_means(rows, units, members, plan):
    """Return the means of some `Rows` over the members of each fold, standardised, float64."""
    if not plan.standardizes:
        return torch.zeros(len(members), rows.shape[1], dtype=torch.float64)
    u = units.standardize(rows.read(slice(0, len(rows)))).cpu()
    return torch.stack([u[index].double().nanmean(dim=0).nan_to_num(nan=0.0) for index in members])


def make_start_corruption(plan, units, random_state, fill):
    """Return a function that corrupts an array for the start, or None where the start is PCA."""
    if plan.corruption is None:
        return None
    return make_array_corruption(plan, units, random_state, fill)


def make_array_corruption(plan, units, random_state, fill=None):
    """Return a function that corrupts an array of standardised rows by a plan, or None."""
    corruption = make_corruption(plan, units, fill)
    if corruption is None:
        return None
    return partial(corrupt_array, corruption, draw_generator(random_state, plan.device))


def compute_start(
    rows,
    units,
    n_components,
    random_state,
    corrupt=None,
    index=None,
    beta=None,
    fill=None,
    input_units=None,
):
    """Return the best linear autoencoder of the rows of a table.

    Without corruption it is PCA. With one, or of pairs, it maps damaged rows to clean ones: the
    regression followed by the PCA of its predictions, which is the best linear map of that
    rank [1]_. If the units have logits, the outputs are logits of X.

    Parameters
    ----------
    rows : Rows of shape (n_samples, n_features)
        Of more than `MAX_ROWS` rows a random sample of that many is used, and fewer where
        `MAX_ENTRIES` is less.
    units : Units
        Of the targets.
    n_components : int or float
        Number of codes, or the share in (0, 1) of the variance of all components that they
        shall explain. Codes beyond what `PCA` can give, min(n_samples, n_features), start at
        zero.
    random_state : int or RandomState
        For the sample and the randomised solver of `PCA`.
    corrupt : callable or None, default=None
        Returns a corrupted copy of an array of standardised rows.
    index : ndarray of int, default=None
        Of the rows to compute it from; None for all.
    beta : float, default=None
        Weight of the divergence of a variational autoencoder: the start is then probabilistic
        PCA. None for other autoencoders.
    fill : FillMissing, default=None
        Of rows with missing values.
    input_units : Units, default=None
        Of what the networks see; None for `units`. Pairs have their own.

    Returns
    -------
    start : LinearStart

    References
    ----------
    .. [1] Izenman, "Reduced-rank regression for the multivariate linear model", Journal of
       Multivariate Analysis 5, 1975.
    """
    sample = inputs = Sample(rows, input_units or units, random_state, index, fill)
    if beta is not None:
        return compute_probabilistic_start(sample, n_components, random_state, beta)
    restoration = None
    if rows.targets is not rows:
        sample = inputs.make_targets(units)
    if corrupt is None and sample is inputs:
        components, variance = sample.compute_components(n_components, random_state)
    else:
        restoration = Restoration(*read_pairs(sample, inputs, inputs.choose_index()), corrupt)
        components, variance = compute_components(restoration.scores, n_components, random_state)
    code_rms = math.sqrt(variance.mean())
    if code_rms < np.finfo(np.float32).eps:  # constant rows, or rows that cannot be restored
        code_rms = 1.0
    components = np.pad(components, ((0, max(0, n_components - len(components))), (0, 0)))
    if restoration is None:
        start = LinearStart(components, None, components.T, None, code_rms)
    else:
        start = LinearStart(
            components @ restoration.weight,
            components @ restoration.bias,
            (components @ restoration.basis).T,
            None,
            code_rms,
        )
    if not units.has_logits:
        return start
    few, seen = read_pairs(sample, inputs, inputs.choose_few())
    return convert_to_logits(start, few, seen if corrupt is None else corrupt(seen), units)


def compute_probabilistic_start(sample, n_components, random_state, beta):
    """Return the best linear variational autoencoder of a `Sample`: probabilistic PCA [1]_, [2]_.

    Its distributions of codes are the true ones. Codes that do not lower the objective have the
    distribution of the prior, and the decoder ignores them.

    Returns
    -------
    start : LinearStart

    References
    ----------
    .. [1] Tipping and Bishop, "Probabilistic principal component analysis", Journal of the Royal
       Statistical Society B 61, 1999.
    .. [2] Lucas et al., "Don't blame the ELBO! A linear VAE perspective on posterior collapse",
       NeurIPS 2019.
    """
    components, variance = sample.compute_components(n_components, random_state)
    n_codes = max(n_components, len(components))
    if sample.units.has_logits:
        return make_bernoulli_start(sample, components, variance, n_codes)
    total = sample.compute_variance()
    left = max(0.0, total - variance.sum())
    if left < CANCELLATION * total and not sample.is_sparse and sample.fill is None:
        pca = PCA(svd_solver="full", copy=False).fit(sample.read_array())
        n_found, variances = len(components), pca.explained_variance_
        components, variance = pca.components_[:n_found], variances[:n_found]
        left = variances[n_found:].sum()
    n_active, noise = find_noise(variance, left, min(sample.shape), beta)
    components, variance = components[:n_active], variance[:n_active, None]
    gain = np.sqrt(variance - beta * noise)
    encoder, log_variance = np.zeros((2 * n_codes, sample.shape[1])), np.zeros(n_codes)
    encoder[:n_active] = gain / variance * components
    log_variance[:n_active] = np.log(beta * noise / variance[:, 0])
    decoder = np.zeros((sample.shape[1], n_codes))
    decoder[:, :n_active] = (gain * components).T
    bias = np.append(np.zeros(n_codes), log_variance)
    return LinearStart(encoder, bias, decoder, None, 1.0, noise)


def find_noise(variance, left, n_directions, beta):
    """Return the number of active codes and the noise variance of the best linear model.

    Parameters
    ----------
    variance : ndarray of shape (n_components,)
        Of the principal components, descending.
    left : float
        Sum of the variances of the other directions.
    n_directions : int
        Directions in which the rows can vary; as `PCA` counts them.
    beta : float

    Returns
    -------
    n_active : int
    noise : float
        For ``beta=1`` the mean variance of the other directions. In general it balances them and
        what the distributions of the codes add.
    """
    left = left + np.append(np.cumsum(variance[::-1])[::-1], 0.0)
    total = left[0]
    least = LEAST_NOISE * max(total / n_directions, 1e-12)
    for n_active in range(min(len(variance), n_directions - 1), 0, -1):
        n_free = n_directions - beta * n_active
        noise = left[n_active] / n_free if n_free > 0 else np.inf
        if least < noise and beta * noise < variance[n_active - 1]:
            return n_active, float(noise)
    return 0, float(max(total / n_directions, least))


def make_bernoulli_start(sample, components, variance, n_codes):
    """Return the start of a variational autoencoder of bits: PCA with logits.

    The variances of the codes are those of the Laplace approximation at the mean, on average over
    the rows.
    """
    n_active = int((variance > LEAST_NOISE).sum())
    deviation = np.sqrt(variance[:n_active, None])
    encoder, decoder = components[:n_active] / deviation, (deviation * components[:n_active]).T
    rows = sample.read_array(sample.choose_few())
    path = LinearStart(encoder, None, decoder, None, 1.0)
    path = convert_to_logits(path, rows, rows, sample.units)
    logits = rows @ encoder.T @ path.decoder.T + path.decoder_bias
    curvature = (expit(logits) * expit(-logits)).mean(axis=0) @ np.square(path.decoder)
    n_more = n_codes - n_active
    bias = np.concatenate([np.zeros(n_codes), -np.log1p(curvature), np.zeros(n_more)])
    encoder = np.pad(encoder, ((0, n_more + n_codes), (0, 0)))
    return replace(
        path, encoder=encoder, bias=bias, decoder=np.pad(path.decoder, ((0, 0), (0, n_more)))
    )


class Sample:
    """The rows from which the start is computed: all of an index, or a random sample of them.

    Parameters
    ----------
    rows : Rows
    units : Units
    random_state : int or RandomState
    index : ndarray of int, default=None
        None for all rows.
    fill : FillMissing, default=None
        Fills missing values in the rows that are read.
    """

    def __init__(self, rows, units, random_state, index=None, fill=None):
        self.rows = rows
        self.fill = fill
        self.units = units
        self.is_sparse = isinstance(rows, SparseRows)
        self.index = np.arange(len(rows)) if index is None else index
        if len(self.index) > MAX_ROWS:
            rng = check_random_state(random_state)
            self.index = np.sort(rng.choice(self.index, MAX_ROWS, replace=False))
        self.shape = len(self.index), rows.shape[1]
        self.n_columns = max(rows.shape[1], rows.targets.shape[1])

    def make_targets(self, units):
        """Return the sample of what these rows should become, in some units."""
        other = copy.copy(self)
        other.rows, other.units = self.rows.targets, units
        other.shape = len(self.index), other.rows.shape[1]
        return other

    def compute_components(self, n_components, random_state):
        """Return the principal components, an array, and their variances.

        A sparse table is never made dense if the number of components is given.
        """
        n_samples, n_features = self.shape
        if self.fill is not None:
            return compute_eigenvectors(self.compute_filled_covariance(), n_components)
        if self.is_sparse and (n_components >= 1 or self.has_sparse_share()):
            return compute_sparse_components(
                self.read_sparse(), self.units, n_components, random_state
            )
        if (
            n_features <= MAX_FEATURES_FOR_COVARIANCE
            and n_samples >= ROWS_A_FEATURE_FOR_COVARIANCE * n_features
        ):
            return compute_eigenvectors(self.compute_covariance(), n_components)
        return compute_components(self.read_array(), n_components, random_state)

    def compute_variance(self):
        """Return the sum of the variances of the standardised features."""
        if self.fill is not None:
            return float(np.trace(self.compute_filled_covariance()))
        if self.is_sparse:
            _, variance = mean_variance_axis(self.read_sparse().astype(np.float64), axis=0)
            variance = self.units.standardize_length(self.units.standardize_length(variance))
            return float(variance.sum()) * self.shape[0] / (self.shape[0] - 1)
        sums = 0.0
        for part in self.read_parts(self.index):
            part = part.double()
            sums = sums + torch.stack([part.sum(dim=0), part.square().sum(dim=0)])
        total, squares = sums
        variance = squares - total.square() / self.shape[0]
        return float(variance.sum()) / (self.shape[0] - 1)

    def has_sparse_share(self):
        """Tell whether all variances of a sparse table are best computed from sparse products."""
        X = self.rows.X
        is_small = min(self.shape) <= MAX_SIDE_FOR_SHARE
        return is_small and X.nnz <= MAX_DENSITY_FOR_SHARE * math.prod(X.shape)

    def read_sparse(self):
        """Return the rows of a sparse table, not standardised; all rows without a copy."""
        X = self.rows.X
        return X if len(self.index) == len(self.rows) else X[self.index]

    def compute_filled_covariance(self):
        """Return the covariance of rows with missing values: that by which all rows are filled.

        Of some rows only it is that of these rows, filled.
        """
        if len(self.index) == len(self.rows):
            return self.fill.make_covariance().cpu().numpy()
        return self.compute_covariance()

    def compute_covariance(self):
        """Return the covariance of the features, computed in constant memory."""
        products, total = 0, 0
        for part in self.read_parts(self.index):
            products += (part.T @ part).double()
            total += part.sum(dim=0, dtype=torch.float64)
        n_samples, _ = self.shape
        covariance = (products - torch.outer(total, total) / n_samples) / (n_samples - 1)
        return covariance.cpu().numpy()

    def choose_index(self, max_rows=MAX_ROWS):
        """Return the index of all rows, or of `max_rows` spread evenly over them.

        There are fewer where so many would have more than `MAX_ENTRIES` entries.
        """
        min_rows = MIN_DENSE_ROWS if self.is_sparse else MAX_ROWS_FOR_SLOPE
        max_rows = min(max_rows, max(min_rows, MAX_ENTRIES // self.n_columns))
        return self.index[:: -(-len(self.index) // max_rows)]

    def choose_few(self):
        """Return the index of as many rows as the slope of logits needs."""
        max_rows = MAX_ROWS_FOR_SLOPE
        if self.is_sparse:
            fit = MAX_SPARSE_ENTRIES_FOR_SLOPE // self.n_columns
            max_rows = min(max_rows, max(MIN_DENSE_ROWS, fit))
        return self.choose_index(max_rows)

    def read_array(self, index=None):
        """Return the standardised rows at an index as an array, those of `choose_index` if None."""
        index = self.choose_index() if index is None else index
        array = torch.empty(len(index), self.shape[1], dtype=self.rows.dtype)
        n_filled = 0
        for part in self.read_parts(index):
            array[n_filled : n_filled + len(part)] = part
            n_filled += len(part)
        return array.numpy()

    def read_parts(self, index):
        """Yield the rows at an index, standardised in their dtype, part by part."""
        n_rows = max(1, PART_ENTRIES // self.shape[1])
        for part in torch.from_numpy(index).to(self.rows.home).split(n_rows):
            u = self.units.standardize(self.rows.read(part))
            yield u if self.fill is None else self.fill(u)


def compute_eigenvectors(covariance, n_components):
    """Return the principal components of a covariance and their variances, as PCA has them."""
    n_features = len(covariance)
    n_largest = min(n_components, n_features) if n_components >= 1 else n_features
    largest = n_features - n_largest, n_features - 1
    variance, vectors = eigh(covariance, subset_by_index=largest, overwrite_a=True)
    variance, components = np.maximum(variance[::-1], 0), vectors[:, ::-1].T
    if n_components < 1:
        explained = np.cumsum(variance) / (variance.sum() or 1.0)
        n_largest = np.searchsorted(explained, n_components, side="right") + 1
    _, components = svd_flip(None, components[:n_largest], u_based_decision=False)
    return components, variance[:n_largest]


class SparseTable:
    """The products of a sparse table's standardised rows u, from those of its entries.

    Parameters
    ----------
    X : scipy.sparse.csr_array or csr_matrix of shape (n_samples, n_features)
    units : Units
    dtype : type
        To compute in.

    Attributes
    ----------
    is_wide : bool
        Whether there are fewer rows than features.
    side : int
        The smaller of n_samples and n_features.
    """

    def __init__(self, X, units, dtype):
        entries = X.data.astype(dtype, copy=False), X.indices, X.indptr
        self.X = csr_array(entries, shape=X.shape)  # shares memory with X where it can
        self.centre, _ = mean_variance_axis(self.X, axis=0)  # of these rows, a sample perhaps
        self.units = units
        self.dtype = dtype
        self.shape = n_samples, n_features = X.shape
        self.is_wide = n_samples < n_features
        self.side = min(X.shape)

    def multiply(self, V):
        """Return u @ V for V of shape (n_features,) or (n_features, n)."""
        return self.units.standardize_length(self.X @ V - self.centre @ V)

    def multiply_transposed(self, V):
        """Return u.T @ V for V of shape (n_samples,) or (n_samples, n)."""
        centred = self.X.T @ V - np.multiply.outer(self.centre, V.sum(axis=0))
        return self.units.standardize_length(centred)

    def multiply_products(self, V):
        """Return C @ V, where C is u @ u.T or u.T @ u, the smaller, divided by n_samples - 1."""
        first, second = self.multiply, self.multiply_transposed
        if self.is_wide:
            first, second = second, first
        return second(first(V)) / (self.shape[0] - 1)

    def compute_products(self):
        """Return C as an array, made from few columns at a time."""
        C = np.eye(self.side, dtype=self.dtype)
        for part in gen_batches(self.side, max(1, PRODUCT_ENTRIES // max(self.shape))):
            C[:, part] = self.multiply_products(C[:, part])
        return C


def compute_sparse_components(X, units, n_components, random_state):
    """Return the principal components of a sparse table and their variances, as PCA has them.

    There are at most n_samples - 1 of them: one more would have no variance.
    """
    n_samples, n_features = X.shape
    if n_components >= 1:
        n_components = min(n_components, n_features, n_samples - 1)
    # ARPACK would need a basis of that many vectors
    n_basis = 2 * n_components if n_components >= 1 else math.inf
    if min(X.shape) <= max(MAX_SIDE_FOR_PRODUCTS, n_basis):
        table = SparseTable(X, units, np.float64)
        components, variance = compute_eigenvectors(table.compute_products(), n_components)
    else:
        # in float32 the difference to a large mean would have too few digits
        table = SparseTable(X, units, X.dtype if units.is_near_zero() else np.float64)
        components, variance = iterate_eigenvectors(table, n_components, random_state)
    if table.is_wide:  # the eigenvectors are those of u @ u.T
        basis = table.multiply_transposed(components.T)
        basis, singular, _ = svd(basis, full_matrices=False, overwrite_a=True)
        components, variance = basis.T, singular**2 / (n_samples - 1)
    _, components = svd_flip(None, components, u_based_decision=False)
    return components, variance


def iterate_eigenvectors(table, n_components, random_state):
    """Return the largest eigenvectors of the products of a `SparseTable`, and their eigenvalues.

    ARPACK computes them, from the vector with which scikit-learn's PCA starts it.
    """
    v0 = check_random_state(random_state).uniform(-1, 1, table.side).astype(table.dtype)
    if not table.multiply_products(v0).any():  # constant rows, for which ARPACK has an error
        return np.eye(n_components, table.side), np.zeros(n_components)
    # ARPACK goes on from a random vector if a subspace has all the variance
    seed = {"rng": 0} if "rng" in signature(eigsh).parameters else {}  # since SciPy 1.17
    multiply = table.multiply_products
    C = LinearOperator((table.side, table.side), multiply, matmat=multiply, dtype=table.dtype)
    variance, vectors = eigsh(C, n_components, v0=v0, **seed)
    return vectors[:, ::-1].T, np.maximum(variance[::-1], 0)


def compute_components(X, n_components, random_state):
    """Return principal components and their variances by PCA, which may overwrite X."""
    pca = PCA(min(n_components, *X.shape), copy=False, random_state=random_state)
    with np.errstate(divide="ignore", invalid="ignore"):  # the variance ratios of a constant X
        pca.fit(X)
    return pca.components_, pca.explained_variance_


def convert_to_logits(start, targets, inputs, units):
    """Return the start whose outputs are logits, slope · (x̂ - ½).

    Where the linear autoencoder gives ½ they give even odds. The slope minimises the
    cross-entropy of the rows, which is a convex function of it.
    """
    codes = inputs @ start.encoder.T + (0 if start.bias is None else start.bias)
    margin = units.restore_array(codes @ start.decoder.T) - 0.5
    X = units.restore_array(targets)

    def compute_cross_entropy(slope):
        return (np.logaddexp(0, slope * margin) - slope * margin * X).mean()

    slope = minimize_scalar(compute_cross_entropy, bounds=(0, MAX_SLOPE), method="bounded").x
    decoder, bias = units.make_logits(start.decoder, slope)
    return replace(start, decoder=decoder, decoder_bias=bias)


def read_pairs(targets, inputs, index):
    """Return the standardised rows of two samples at an index; the same array if they are one."""
    rows = targets.read_array(index)
    return rows, rows if inputs is targets else inputs.read_array(index)


def corrupt_array(corruption, generator, rows):
    """Return a corrupted copy of an array of standardised rows, made part by part."""
    corrupted = np.empty_like(rows)
    for part in gen_batches(len(rows), max(1, CORRUPTED_PART_ENTRIES // rows.shape[1])):
        batch = convert_to_tensor(rows[part]).to(generator.device, torch.float32)
        corrupted[part] = corruption(batch, generator).cpu().numpy()
    return corrupted


class Restoration:
    """The regression of clean rows on damaged ones, in an orthonormal basis.

    Parameters
    ----------
    U : ndarray of shape (n_samples, n_outputs)
        Clean rows.
    damaged : ndarray of shape (n_samples, n_features)
        What is to be corrupted: U itself, or the damaged rows of pairs.
    corrupt : callable or None
        Returns a corrupted copy of an array of rows.

    Attributes
    ----------
    basis : ndarray of shape (n_basis, n_outputs)
        A basis of the outputs or, where these are more than the rows, of the span of the rows.
    weight : ndarray of shape (n_basis, n_features)
    bias : ndarray of shape (n_basis,)
        weight @ u + bias are the coordinates of the row restored from u.
    scores : ndarray of shape (n_draws * n_samples, n_basis)
        Coordinates of the rows restored from corrupted copies of U.
    """

    def __init__(self, U, damaged, corrupt):
        n_samples, n_outputs = U.shape
        n_features = damaged.shape[1]
        wide = n_samples < n_outputs
        self.basis = np.eye(n_outputs, dtype=U.dtype)
        if wide:
            self.basis, _ = compute_components(U.copy(), n_outputs, random_state=0)
        clean, corrupted = U, damaged
        if corrupt is not None:
            n_enough = -(-CORRUPTED_ROWS_A_FEATURE * n_features // n_samples)
            n_draws = max(1, min(n_enough, MAX_CORRUPTED_ENTRIES // damaged.size))
            clean = np.tile(U, (n_draws, 1)) if n_draws > 1 else U
            corrupted = corrupt(np.tile(damaged, (n_draws, 1)) if n_draws > 1 else damaged)
        variance = float(corrupted.var(axis=0).mean())
        if variance <= (10 * np.finfo(np.float32).eps) ** 2 * np.square(corrupted).mean():
            variance = 1.0  # only rounding errors of U are left
        # the penalty draws it towards the identity, where that is a map of these features
        has_identity = n_features == n_outputs
        changes = clean - corrupted if has_identity else clean
        changes = changes @ self.basis.T if wide else changes
        penalty = choose_penalty(corrupted, changes) if corrupt is None else PENALTY
        # at least what the solver needs, in its precision, if features are linearly dependent
        share = max(penalty / n_samples, 10 * n_features * np.finfo(U.dtype).eps)
        regression = Ridge(share * variance * len(clean), solver="cholesky")
        regression.fit(corrupted, changes)
        self.weight = np.atleast_2d(regression.coef_) + (self.basis if has_identity else 0)
        self.bias = np.atleast_1d(regression.intercept_)
        self.scores = corrupted @ self.weight.T + self.bias


def choose_penalty(inputs, targets):
    """Return the ridge penalty for pairs, of which there is one draw: by cross-validation.

    It is in mean variances of an input. Where there are more features than rows, which would take
    long, it is that for corrupted rows.
    """
    if inputs.shape[0] <= inputs.shape[1]:
        return PENALTY
    pairs = zip(
        *(torch.from_numpy(rows).split(PART_ROWS) for rows in (inputs, targets)), strict=True
    )
    sums = reduce(operator.add, (Sums.of_rows(*(rows.double() for rows in pair)) for pair in pairs))
    return float(PENALTIES[HiddenRidge(sums).validate().argmin()])


def warn_of_few_rows(plan, n_components):
    """Warn if a first chunk is too small for what `partial_fit` takes from it for good."""
    n_enough = ROWS_A_COMPONENT * n_components
    if plan.n_samples < n_enough and plan.standardizes:
        start = "mean_, scale_ and the start" if plan.has_linear_path else "mean_ and scale_"
        warnings.warn(
            f"The first chunk of partial_fit has {plan.n_samples} rows. {start} are computed from "
            f"it once and for all: pass at least {n_enough} rows, ten for each component, drawn at "
            "random.",
            stacklevel=5,  # where partial_fit was called
        )
