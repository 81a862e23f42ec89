"""Tables of any kind, of which only the rows that are asked for are read and cast."""

import hashlib
import itertools
import math
import mmap
import warnings
from abc import ABC, abstractmethod
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property, partial

import numpy as np
import torch
from scipy.sparse import issparse
from sklearn import config_context
from sklearn.utils import check_array, gen_batches
from sklearn.utils.sparsefuncs import incr_mean_variance_axis, min_max_axis
from sklearn.utils.validation import assert_all_finite, validate_data

from ._compat import get_mmap, get_namespace, get_namespace_and_device, move_to, shorten_indices
from ._sparse import MAX_DENSITY, SparseBatch

# Entries of the largest array that is made of a part of a table.
PART_ENTRIES = 2**20

# Booleans, signed and unsigned integers, and floats, as NumPy calls them.
NUMERIC_KINDS = "biuf"


def is_sliced_on_disk(X):
    """Tell whether X is a numeric array that reads, or computes, only the slices asked for.

    Those of h5py, zarr and AnnData's backed mode read them from a file; Dask computes them.
    `numpy.asarray` would read such an array as a whole.
    """
    match X:
        # `iloc` is what data frames and series have
        case np.ndarray() | np.generic() | object(iloc=_):
            return False
        # the dtypes of pandas' extension arrays are not of NumPy
        case object(dtype=np.dtype(), shape=tuple(), __getitem__=_):
            return is_numeric(X) and not issparse(X) and not is_array_api(X)
    return False


def is_numeric(X):
    """Tell whether an array, or each column of a data frame, has a numeric dtype, which is kept.

    Frames of other libraries than pandas, and those that imitate it, become floats as in PCA.
    """
    if is_array_api(X):
        return True
    try:
        dtypes = [dtype for _, dtype in list_dtypes(X)] or [X.dtype]
        return all(dtype.kind in NUMERIC_KINDS for dtype in dtypes)
    except (AttributeError, TypeError):
        # Dask's delayed objects have any attribute, but none that is in a string
        return False


def list_dtypes(X):
    """Return name and dtype of each column of a data frame like those of pandas, else none."""
    try:
        return list(X.dtypes.items())
    except (AttributeError, TypeError):
        # in a series it is one dtype, in polars a list
        return []


def check_table(estimator, X, reset, min_rows=1):
    """Return X as a table that `make_rows` takes, not yet checked for NaN and infinity.

    scikit-learn reads every container, as it does for its PCA. It sets the number and names of the
    estimator's features if `reset`, and compares X with them otherwise.
    """
    check = partial(validate_data, estimator, ensure_min_samples=min_rows, reset=reset)
    return read_container(X, check)


def check_clean(X_clean, X, estimator):
    """Return X_clean as a table that `make_rows` takes, not yet checked for NaN and infinity.

    Raises
    ------
    ValueError
        If it has not one row for each row of X.
    """
    check = partial(check_array, input_name="X_clean", estimator=estimator)
    table = read_container(X_clean, check)
    if X.shape[0] != table.shape[0]:
        raise ValueError(
            f"X_clean must have one row for each of the {X.shape[0]} rows of X; got "
            f"{table.shape[0]}."
        )
    return table


def read_container(X, check):
    """Return X as a table that scikit-learn's `check` has read, or checked by a stand-in."""
    if isinstance(X, torch.Tensor):
        X = X.detach()
    elif hasattr(X, "__array_interface__") and not hasattr(X, "shape"):
        # scikit-learn would convert it, too, but not find the number of its features
        X = np.asarray(X)
    columns = [(name, dtype) for name, dtype in list_dtypes(X) if str(dtype) == "category"]
    numeric = [name for name, dtype in columns if is_numeric(dtype.categories)]
    # pandas itself casts a missing category of an integer column to an integer
    X = X.astype(dict.fromkeys(numeric, float)) if numeric else X
    on_disk = is_sliced_on_disk(X)
    if on_disk and hasattr(X, "compute_chunk_sizes") and any(map(math.isnan, X.shape)):
        # Dask does not know how many rows a mask selects: it computes all blocks once for that,
        # and sets the lengths in place
        X = X.copy().compute_chunk_sizes()
    if not on_disk:
        seen = X
    elif len(X.shape) == 2:
        # what is checked must not be read as a whole: this has shape and dtype, and no memory
        seen = np.broadcast_to(np.zeros((), X.dtype), X.shape)
    else:
        # a few of the numbers, which scikit-learn's error shows
        seen = np.asarray(X[:3] if X.shape else X[()])
    dtype = "numeric" if is_numeric(X) else [np.float64, np.float32]
    shape = np.shape(seen) if isinstance(seen, np.ndarray | torch.Tensor) else ()
    with explain_errors(X, shape):
        table = check(seen, accept_sparse="csr", dtype=dtype, ensure_all_finite=False)
    # scikit-learn finds complex numbers in NumPy's arrays only
    if is_array_api(table) and "complex" in str(table.dtype):
        raise ValueError(f"Complex data not supported\n{table}\n")
    return X if on_disk else table


def check_codes(estimator, X, may_be_shorter):
    """Return codes for `inverse_transform` as a float32 array of the library of X."""
    xp, _ = get_namespace(X)
    with explain_errors():
        # scikit-learn's advice to estimators about NaN is for rows
        codes = check_array(X, input_name="X", dtype=xp.float32)
    n_given, n_components = codes.shape[1], estimator.n_components_
    if n_given != n_components and not (may_be_shorter and n_given < n_components):
        raise ValueError(
            f"X has {n_given} columns, but inverse_transform of {type(estimator).__name__} is "
            f"expecting codes with {n_components} components, as transform returns them."
        )
    return codes


def check_groups(groups, n_samples):
    """Return groups as an integer label for each row, numbered from 0.

    Raises
    ------
    ValueError
        If there is not one label for each row, or if labels cannot be compared.
    """
    shape = np.shape(groups)
    if shape not in ((n_samples,), (n_samples, 1)):
        raise ValueError(
            "groups must have one label for each row of X: an array of shape "
            f"({n_samples},). Got one of shape {shape}."
        )
    groups = check_array(groups, ensure_2d=False, dtype=None, input_name="groups")
    # scikit-learn finds NaN, but neither a missing date, which differs from itself, nor None
    if groups.dtype.kind in "mMO" and any(x is None or x != x for x in groups.flat):
        raise ValueError("groups contains NaT or None: every row needs a label.")
    try:
        return np.unique(groups.ravel(), return_inverse=True)[1]
    except TypeError as error:
        raise ValueError(f"groups must hold labels of one type, int or str: {error}.") from error


def make_rows(X, device="cpu", estimator_name=None):
    """Return the `Rows` of a table.

    Parameters
    ----------
    X : ndarray, tensor, CSR matrix, or array for which `is_sliced_on_disk`
    device : torch.device or str, default="cpu"
        Where the rows are wanted.
    estimator_name : str, default=None
        For error messages.
    """
    if issparse(X):
        return SparseRows(X, device, estimator_name)
    is_other = isinstance(X, np.ndarray) and not is_known_to_torch(X)
    if is_sliced_on_disk(X) or is_other or is_memory_map(X):
        return SlicedRows(X, device, estimator_name)
    return TensorRows(convert_to_tensor(X), device, estimator_name)


def is_memory_map(X):
    """Tell whether an array is a view of a `numpy.memmap`, of which only parts should be read.

    Raises
    ------
    ValueError
        If the file has become shorter: reading beyond its end would kill the process.
    """
    while isinstance(X, np.ndarray):
        mapped = get_mmap(X) if isinstance(X, np.memmap) else None
        if mapped is not None:
            # a map begins at a multiple of the granularity, before the first entry of X
            end = X.offset - X.offset % mmap.ALLOCATIONGRANULARITY + len(mapped)
            if mapped.size() < end:
                raise ValueError(
                    f"X is a memory map of {X.filename}, which has been truncated: it has "
                    f"{mapped.size()} of the {end} bytes that were mapped."
                )
            return True
        X = X.base
    return False


class Table:
    """What a fit is given: rows, and who belongs together.

    Parameters
    ----------
    X : object
        The checked table, to whose library results are converted.
    rows : Rows
        What the networks see.
    ranks : OneProcess or AllRanks
    names : dict
        Number and names of the features, as scikit-learn sets them: fitted attributes.

    Attributes
    ----------
    targets : Rows
        What each row should become: the same object.
    groups : ndarray of int of shape (n_samples,) or None
        Labels of rows that belong together.
    held_out : Rows or None
        Rows that the user holds out.
    labels, held_out_labels : Targets or None
        What the code of each row should keep, too.
    originals : Rows or None
        What these rows were made of, by which it is told whether they are related.
    """

    groups = held_out = labels = held_out_labels = originals = None
    may_hold_out = True  # whether the user may hold out rows

    def __init__(self, X, rows, ranks, names):
        self.X, self.ranks, self.names = X, ranks, names
        self.rows = self.targets = rows

    def __len__(self):
        return len(self.rows)

    @cached_property
    def moments(self):
        """The `Moments` of the rows."""
        return self.ranks.agree_on(self.rows.compute_moments)

    @property
    def target_moments(self):
        """The `Moments` of what the rows should become."""
        return self.moments

    @property
    def n_targets(self):
        """Number of columns of targets beside the rows."""
        return 0 if self.labels is None else self.labels.values.shape[1]

    @property
    def strata(self):
        """The class of each row, or None."""
        return None if self.labels is None else self.labels.strata

    @property
    def parts(self):
        """The `Rows` of which a sample consists."""
        return [self.rows]

    def compute_fingerprint(self):
        """Return the shape and a digest of some rows, to tell tables apart."""
        return [rows.compute_fingerprint() for rows in self.parts]


class PairTable(Table):
    """Pairs of rows: damaged ones, and the clean one that each should become.

    Parameters
    ----------
    X, rows, ranks, names
        As in `Table`, of damaged rows.
    targets : Rows
        As many clean rows.
    """

    may_hold_out = False  # clean rows for X_val are no argument of fit

    def __init__(self, X, rows, ranks, names, targets):
        super().__init__(X, rows, ranks, names)
        self.targets = targets
        self.targets.name = "X_clean"

    @cached_property
    def target_moments(self):
        """The `Moments` of clean rows."""
        return self.ranks.agree_on(self.targets.compute_moments)

    @property
    def parts(self):
        """Damaged and clean rows."""
        return [self.rows, self.targets]


class Rows(ABC):
    """Rows of a table of numbers.

    Parameters
    ----------
    X : object
        The table, two-dimensional.
    device, estimator_name
        As in `make_rows`.

    Attributes
    ----------
    shape : (int, int)
    home : torch.device
        Where index tensors are wanted.
    dtype : torch.dtype
        The dtype of the rows that are read: float32 where it holds all numbers of the dtype of
        X, as it does for images of bytes, else float64.
    multiply_best_as_sparse : bool
        Whether so few entries are stored that products with them are faster than with all.
    """

    multiply_best_as_sparse = False
    name = "X"  # in error messages

    def __init__(self, X, device, estimator_name=None):
        self.X, self.shape, self.estimator_name = X, tuple(X.shape), estimator_name
        self.device, self.home = torch.device(device), torch.device("cpu")
        if isinstance(X.dtype, torch.dtype):
            # torch promotes all integers to float32, which does not hold all numbers of these
            is_wide = X.dtype in (torch.float64, torch.int32, torch.int64)
        else:
            is_wide = np.result_type(X.dtype, np.float32) != np.float32
        self.dtype = torch.float64 if is_wide else torch.float32

    def __len__(self):
        return self.shape[0]

    @abstractmethod
    def read(self, index):
        """Return the rows at a slice or an index tensor, dense, not to be written to."""

    def move(self, rows):
        """Return a tensor on the device; to a GPU it is copied from pinned memory, unawaited."""
        if rows.device.type == "cpu" and self.device.type == "cuda":
            rows = rows.pin_memory()
        return rows.to(self.device, non_blocking=True)

    def cut_parts(self):
        """Return slices over the rows, each of about `PART_ENTRIES` entries."""
        return gen_batches(len(self), max(1, PART_ENTRIES // self.shape[1]))

    def compute_fingerprint(self):
        """Return the shape and a digest of some rows, to tell tables apart."""
        index = torch.linspace(0, len(self) - 1, 16, dtype=torch.float64).long().unique()
        few = self.read(index.to(self.home)).cpu().numpy()
        return self.shape, hashlib.sha256(few.tobytes()).hexdigest()[:8]

    def compute_hashes(self):
        """Return a 64-bit hash of each row, (n_rows,), the same for rows that are equal.

        Two others share one as rarely as random numbers do. One pass in constant memory. Another
        process has other hashes.
        """
        rows = itertools.chain.from_iterable(map(self.read_bytes, self.cut_parts()))
        return np.fromiter(map(hash, rows), dtype=np.int64, count=len(self))

    def read_bytes(self, part):
        """Return the bytes of each row at a slice, a list; those of equal rows are equal."""
        # the bytes of -0.0 differ from those of 0.0
        rows = np.ascontiguousarray(self.read(part).cpu().numpy() + 0)
        return rows.view(f"V{rows.itemsize * rows.shape[1]}").ravel().tolist()

    def compute_moments(self):
        """Return the `Moments` of all rows, or raise scikit-learn's error if one is infinite.

        One pass in constant memory.
        """
        sums = RunningMoments()
        for part in self.cut_parts():
            block = self.read(part)
            sums.add(block)
            if not sums.is_finite():
                check_finite(block, self.estimator_name, allow_nan=True, name=self.name)
        return sums.compute()


class TensorRows(Rows):
    """Rows of a tensor, which is moved to the device as a whole if it leaves room there."""

    def __init__(self, X, device, estimator_name=None):
        super().__init__(X, device, estimator_name)
        # less than half of the free memory of a GPU: the other half is for training
        fits = self.device.type != "cuda" or X.nbytes < torch.cuda.mem_get_info(self.device)[0] / 2
        if X.device.type != self.device.type and fits:
            self.X = X.to(self.device)
        self.home = self.X.device

    def read(self, index):
        """Return the rows at a slice or an index tensor."""
        rows = self.X[index] if isinstance(index, slice) else self.X.index_select(0, index)
        return self.move(rows).to(self.dtype)


class SlicedRows(Rows):
    """Rows of an array that torch does not know, by the array's own indexing."""

    def read(self, index):
        """Return the rows at a slice or an index tensor."""
        where = slice(None)
        if not isinstance(index, slice):
            # HDF5 takes indices in order, each once
            index, where = np.unique(index.cpu().numpy(), return_inverse=True)
        rows = self.X[index]
        # sparse where AnnData is backed by a sparse file, or where Dask's blocks are sparse
        rows = rows if issparse(rows) else np.asarray(rows)
        # NumPy wraps a sparse matrix of Dask's in an array without dimensions
        rows = rows.item() if rows.ndim == 0 else rows
        rows = rows.toarray() if issparse(rows) else rows
        # a slice is copied, as it may be a view of a file
        dtype = np.float64 if self.dtype == torch.float64 else np.float32
        rows = rows[where].astype(dtype, copy=isinstance(index, slice))
        return self.move(convert_to_tensor(rows))


class SparseRows(Rows):
    """Rows of a CSR matrix or array."""

    def __init__(self, X, device, estimator_name=None):
        super().__init__(X, device, estimator_name)
        X = X.astype(np.float64 if self.dtype == torch.float64 else np.float32, copy=False)
        # an entry may be stored in several parts; the user's own matrix stays as it is
        self.X = X if X.has_canonical_format else X.copy()
        self.X.sum_duplicates()
        self.multiply_best_as_sparse = self.X.nnz <= MAX_DENSITY * math.prod(self.shape)

    def read(self, index):
        """Return the rows at a slice or an index tensor."""
        X = self.X[index if isinstance(index, slice) else index.cpu().numpy()]
        # torch warns of read-only arrays
        X = X if X.data.flags.writeable else X.copy()
        dense = torch.from_numpy(X.toarray())
        return SparseBatch.wrap(dense, X) if self.device.type == "cpu" else self.move(dense)

    def read_bytes(self, part):
        """Return the bytes of the stored entries of each row at a slice, and of their columns."""
        X = self.X[part].copy()
        # a zero may be stored in one of two equal rows
        X.eliminate_zeros()
        return [
            X.indices[start:end].tobytes() + X.data[start:end].tobytes()
            for start, end in itertools.pairwise(X.indptr)
        ]

    def compute_moments(self):
        """Return the `Moments` of all rows, from the stored entries."""
        check_finite(self.X.data, self.estimator_name, allow_nan=True, name=self.name)
        if np.isnan(self.X.data).any():
            self.multiply_best_as_sparse = False
            return super().compute_moments()
        n_rows, n_features = self.shape
        mean, variance, n_seen = np.zeros(n_features), np.zeros(n_features), 0
        for part in gen_batches(n_rows, max(1, n_rows * PART_ENTRIES // max(self.X.nnz, 1))):
            # in float64, because in float32 the variance of large numbers overflows
            block = shorten_indices(self.X[part].astype(float))
            mean, variance, n_seen = incr_mean_variance_axis(
                block, axis=0, last_mean=mean, last_var=variance, last_n=n_seen
            )
        low, high = (torch.as_tensor(x, dtype=self.dtype) for x in min_max_axis(self.X, axis=0))
        mean, variance = (torch.as_tensor(x, dtype=torch.float64) for x in (mean, variance))
        counts = torch.full_like(mean, n_rows)
        return Moments(n_rows, counts, mean, variance, low, high, torch.zeros_like(variance))


# ------------------------------------------------------------------------------- statistics


@dataclass(frozen=True)
class Moments:
    """Statistics of a set of rows, by feature. The sum of two is that of all their rows.

    Attributes
    ----------
    n_rows : int
    counts : tensor of shape (n_features,), float64
        Rows in which the feature is observed, not NaN. The other statistics are of these.
    mean, variance : tensors of shape (n_features,), float64
    low, high : tensors of shape (n_features,)
        Lowest and highest value, in the dtype of the rows.
    error : tensor of shape (n_features,), float64
        Sum over the rows of the squared error of their reconstruction; zero where there is none.
    """

    n_rows: int
    counts: torch.Tensor
    mean: torch.Tensor
    variance: torch.Tensor
    low: torch.Tensor
    high: torch.Tensor
    error: torch.Tensor

    @property
    def observed_share(self):
        """Share of the entries that are observed: 1 where no value is missing."""
        return float(self.counts.mean()) / self.n_rows

    def __add__(self, other):
        """Return the moments of the rows of both [1]_.

        References
        ----------
        .. [1] Chan, Golub and LeVeque, "Algorithms for computing the sample variance: analysis
           and recommendations", The American Statistician 37, 1983.
        """
        counts = self.counts + other.counts
        share = other.counts / counts.clamp(min=1)
        step = other.mean - self.mean
        mean = self.mean + share * step
        # the variance within both sets of rows, and that between their means
        variance = (1 - share) * self.variance + share * other.variance
        variance = variance + share * (1 - share) * step.square()
        low, high = torch.minimum(self.low, other.low), torch.maximum(self.high, other.high)
        n_rows, error = self.n_rows + other.n_rows, self.error + other.error
        return Moments(n_rows, counts, mean, variance, low, high, error)

    def compute_r2(self):
        """Return R² of the reconstruction, weighted by variance, as scikit-learn's `r2_score`.

        It is nan for fewer than two rows, or without any value. Constant features do not count,
        unless all are.
        """
        if self.n_rows < 2 or not self.counts.any():
            return float("nan")
        # the variance of numbers that differ by very little is zero in float64
        varies = (self.high > self.low) & (self.variance > 0)
        if not varies.any():
            return float((self.error == 0).double().mean())
        spread = (self.counts * self.variance)[varies].sum()
        return float(1 - self.error[varies].sum() / spread)


class RunningMoments:
    """Sums from which the `Moments` of a table are computed, block by block.

    The mean of the first block is subtracted before anything is squared: of numbers that are
    large compared with their variance nothing would be left otherwise.
    """

    n_rows = 0

    def add(self, rows, restored=None):
        """Add rows of shape (n, n_features) and, if there is one, their reconstruction."""
        if not self.n_rows:
            shift = rows.mean(dim=0, dtype=torch.float64)
            if not shift.isfinite().all():
                shift = rows.double().nanmean(dim=0).nan_to_num(nan=0.0)
            self.shift = shift  # (n_features,)
            self.total, self.squares, self.error, self.counts = shift.new_zeros(4, len(shift))
            self.low = torch.full_like(rows[0], math.inf)
            self.high = -self.low
        lowest, highest, n_observed = rows, rows, len(rows)
        centred = rows - self.shift  # float64
        # in float64, because the square of a large number can be too large for float32
        errors = None if restored is None else rows - restored.double()
        # the sum costs less than looking for NaN everywhere
        if not centred.sum().isfinite():
            is_missing = rows.isnan()
            lowest, highest = (rows.masked_fill(is_missing, x) for x in (math.inf, -math.inf))
            n_observed = (~is_missing).sum(dim=0)
            centred = centred.masked_fill(is_missing, 0.0)
            errors = None if errors is None else errors.masked_fill(is_missing, 0.0)
        self.low = torch.minimum(self.low, lowest.amin(dim=0))
        self.high = torch.maximum(self.high, highest.amax(dim=0))
        self.total += centred.sum(dim=0)
        self.squares += centred.square_().sum(dim=0)
        if errors is not None:
            self.error += errors.square_().sum(dim=0)
        self.counts += n_observed
        self.n_rows += len(rows)

    def is_finite(self):
        """Tell whether the sum of all observed entries so far is finite."""
        return bool(self.total.isfinite().all())

    def compute(self):
        """Return the `Moments` of all rows so far, on the CPU."""
        counts = self.counts.clamp(min=1)
        offset = self.total / counts
        variance = (self.squares / counts - offset**2).clamp_(min=0)
        found = self.counts, self.shift + offset, variance, self.low, self.high, self.error
        return Moments(self.n_rows, *(values.cpu() for values in found))


# ------------------------------------------------------------------- checks and conversions


@contextmanager
def explain_errors(frame=None, shape=()):
    """Raise a ValueError, without NumPy's warnings, if X has a number that no float holds.

    At a ValueError of the block note which columns of a data frame are not numbers, and how an X
    of a shape with more than two dimensions becomes a table.
    """
    with np.errstate(over="ignore", invalid="ignore"):
        try:
            yield
        except OverflowError as error:
            raise ValueError(f"X has a number that is too large for a float ({error}).") from error
        except (TypeError, ValueError) as error:
            if len(shape) > 2:
                error.add_note(
                    "Pass each image, or signal, as one row: X.reshape(len(X), -1). Where the "
                    "estimator has an image_shape, that is then (channels, height, width), with "
                    "the channels first."
                )
            kinds = [(name, getattr(dtype, "kind", "O")) for name, dtype in list_dtypes(frame)]
            text = [
                str(name)
                for name, kind in kinds
                if kind in "mM" or (kind not in NUMERIC_KINDS and not can_be_float(frame[name]))
            ]
            listed = ", ".join(text[:10]) + (", …" if len(text) > 10 else "")
            if text:
                error.add_note(
                    f"Not numbers: column {listed}. Encode categories with OneHotEncoder, dates as "
                    "numbers, or leave such columns out."
                )
            raise


def can_be_float(column):
    """Tell whether a column of a pandas frame can be cast to floats."""
    with warnings.catch_warnings(action="ignore"):  # of complex numbers
        try:
            np.asarray(column, dtype=float)
        except (TypeError, ValueError):
            return False
    return True


def check_finite(X, estimator_name, allow_nan=False, name="X"):
    """Raise scikit-learn's error about an array or tensor if it is not finite.

    Also under `assume_finite`, which saves scikit-learn a pass over X. Here it would save none,
    and hide which numbers are wrong.
    """
    X = X.cpu().numpy() if isinstance(X, torch.Tensor) else X
    # infinities of both signs may be in one sum
    with np.errstate(invalid="ignore"), config_context(assume_finite=False):
        assert_all_finite(X, allow_nan=allow_nan, input_name=name, estimator_name=estimator_name)


def convert_to_tensor(array):
    """Return an array as a tensor that shares its memory, unless it is sparse or not in C order."""
    if isinstance(array, torch.Tensor):
        return array.detach().to_dense()
    if isinstance(array, np.ndarray):
        array = np.ascontiguousarray(array)
    try:
        # unlike from_numpy, it takes read-only arrays without a warning
        return torch.from_dlpack(array)
    except BufferError:
        # read-only, and NumPy or torch is too old to share that
        return torch.from_numpy(np.array(array))


def convert_like(tensor, X):
    """Return a tensor as an array of the library of X, on its device; by default of NumPy."""
    if not is_array_api(X):
        return tensor.cpu().numpy()
    xp, _, device = get_namespace_and_device(X)
    return move_to(tensor, xp=xp, device=device)


def is_array_api(X):
    """Tell whether X is an array of another library than NumPy that array API dispatch takes."""
    is_numpy = isinstance(X, np.ndarray | np.generic)
    return isinstance(X, torch.Tensor) or (hasattr(X, "__array_namespace__") and not is_numpy)


def is_known_to_torch(array):
    """Tell whether torch can select rows of a numeric array as it is in memory."""
    known = (array.dtype.kind in "bif" and array.dtype.itemsize <= 8) or array.dtype == np.uint8
    return known and array.dtype.isnative and all(stride >= 0 for stride in array.strides)
