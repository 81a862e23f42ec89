"""Tables of any kind, of which only the rows that are asked for are read and cast."""

import hashlib
import itertools
import math
import warnings
from abc import ABC, abstractmethod
from contextlib import contextmanager
from dataclasses import replace

import numpy as np
import torch
from scipy.sparse import coo_array, issparse
from scipy.sparse.csgraph import connected_components
from sklearn import config_context
from sklearn.utils import check_array, gen_batches
from sklearn.utils.sparsefuncs import incr_mean_variance_axis, min_max_axis
from sklearn.utils.validation import assert_all_finite, validate_data

from ._compat import get_namespace, get_namespace_and_device, move_to, shorten_indices
from ._mapped_file import MappedFile, can_read_file, find_memory_map
from ._moments import Moments, ObservedMoments, PairMoments, RunningMoments
from ._sparse_batch import MAX_DENSITY, SparseBatch

# Entries of the largest array that is made of a part of a table.
PART_ENTRIES = 2**20

# Booleans, signed and unsigned integers, and floats, as NumPy calls them.
NUMERIC_KINDS = "biuf"

# float32 does not hold all numbers of these.
WIDE_DTYPES = (torch.float64, torch.int32, torch.int64)


def is_sliced_on_disk(X):
    """Tell whether X is a numeric array whose slices are read from its file.

    The arrays of h5py and zarr do, as do AnnData's backed ones; Dask's compute what they are
    sliced at. `numpy.asarray` would read them as a whole.
    """
    return (
        isinstance(getattr(X, "dtype", None), np.dtype)  # not so for extension arrays of pandas
        and isinstance(getattr(X, "shape", None), tuple)
        and hasattr(X, "__getitem__")
        and not isinstance(X, np.ndarray | np.generic)
        and not is_array_api(X)
        and not hasattr(X, "iloc")
        and not issparse(X)
        and is_numeric(X)
    )


def is_numeric(X):
    """Tell whether X, an array or data frame, has numeric dtypes only, which are then kept.

    Frames of other libraries than pandas, and those that imitate it, become floats as in PCA.
    """
    if is_array_api(X):
        return True
    dtypes = list_column_dtypes(X) or [getattr(X, "dtype", None)]
    return all(get_kind(dtype) in NUMERIC_KINDS for dtype in dtypes)


def list_column_dtypes(X):
    """Return the dtypes of the columns of a data frame like those of pandas, else no dtypes."""
    try:
        return list(X.dtypes)
    except (AttributeError, TypeError):  # in a series it is one dtype
        return []


def get_kind(dtype):
    """Return the letter for the kind of a dtype of NumPy or pandas, of anything else "O"."""
    kind = getattr(dtype, "kind", "O")
    return kind if isinstance(kind, str) else "O"  # Dask's delayed objects have any attribute


def check_table(estimator, X, reset, min_rows=1):
    """Return X as a table that `make_rows` takes, not yet checked for NaN and infinity.

    scikit-learn reads every container, as it does for its PCA, except arrays that are read where
    they are sliced: of those it sees a stand-in. It sets or checks, as `reset` says, number and
    names of features of the estimator.
    """
    X = compute_lengths(convert_categories(read_interface(drop_gradients(X))))
    on_disk = is_sliced_on_disk(X)
    with raise_overflow_as_value_error(), note_text_columns(X):
        table = validate_data(
            estimator,
            make_stand_in(X) if on_disk else X,
            accept_sparse="csr",
            dtype="numeric" if is_numeric(X) else [np.float64, np.float32],
            ensure_all_finite=False,
            ensure_min_samples=min_rows,
            reset=reset,
        )
    # scikit-learn finds complex numbers in NumPy's arrays only
    if is_array_api(table) and "complex" in str(table.dtype):
        raise ValueError(f"Complex data not supported\n{table}\n")
    return X if on_disk else table


def check_codes(estimator, X):
    """Return codes for `inverse_transform` as a float32 array of the library of X."""
    xp, _ = get_namespace(X)
    with raise_overflow_as_value_error():
        codes = check_array(X, dtype=xp.float32, input_name="X", estimator=estimator)
    n_given, n_components = codes.shape[1], estimator.n_components_
    is_ordered = estimator._model_.architecture.n_ordered is not None
    is_cut = n_given < n_components and is_ordered
    if n_given != n_components and not is_cut:
        raise ValueError(
            f"X has {n_given} columns, but inverse_transform of "
            f"{type(estimator).__name__} is expecting codes with {n_components} "
            "components, as transform returns them."
        )
    return codes


def check_for_empty_columns(estimator, moments):
    """Raise a ValueError if every entry of a column is NaN, in rows of some `Moments`."""
    if isinstance(moments.n_rows, int):
        return
    empty = (moments.n_rows == 0).nonzero().flatten().tolist()
    if empty:
        names = getattr(estimator, "feature_names_in_", range(len(moments.n_rows)))
        listed = ", ".join(str(names[i]) for i in empty[:10]) + (", …" if len(empty) > 10 else "")
        raise ValueError(
            f"X has no value at all in column {listed}, in which every entry is NaN. "
            "Leave such columns out."
        )


def read_held_out(estimator, X_val, plan, ranks):
    """Return the `Rows` of X_val, checked as those of X are.

    Raises
    ------
    ValueError
        If they are not like those of X, or if nothing is held out.
    """
    if not plan.early_stopping:
        raise ValueError(
            "X_val is held out for early stopping, and early_stopping is False. Set "
            "early_stopping=True, or pass no X_val."
        )
    try:
        X_val = check_table(estimator, X_val, reset=False, min_rows=2)
        rows = make_rows(X_val, plan.device, type(estimator).__name__)
        ranks.check_same("the same X_val", rows.compute_fingerprint)
        moments = ranks.agree_on(rows.compute_moments)
        if not isinstance(moments.n_rows, int) and not plan.missing_rate:
            raise ValueError("It has missing values, and X has none.")
        if not isinstance(moments.n_rows, int) and not moments.n_rows.any():
            raise ValueError("It has no value at all.")
        plan.check_range(float(moments.low.min()), float(moments.high.max()))
    except ValueError as error:
        raise ValueError(f"X_val must have rows like those of X. {error}") from error
    return rows


def drop_gradients(X):
    """Return a tensor without its gradients, and anything else as it is."""
    return X.detach() if isinstance(X, torch.Tensor) else X


def read_interface(X):
    """Convert an object with `__array_interface__` but no shape to an array; return others as is.

    scikit-learn would convert it, too, but not find the number of its features.
    """
    needs_it = hasattr(X, "__array_interface__") and not hasattr(X, "shape")
    return np.asarray(X) if needs_it else X


def convert_categories(X):
    """Return a pandas frame with its numeric categories as floats, and anything else as it is.

    pandas itself casts a missing category to an integer.
    """
    kinds = [getattr(dtype, "categories", None) for dtype in list_column_dtypes(X)]
    kinds = [get_kind(getattr(categories, "dtype", None)) for categories in kinds]
    is_number = [kind in NUMERIC_KINDS for kind in kinds]
    return X.astype(dict.fromkeys(X.columns[is_number], float)) if any(is_number) else X


def compute_lengths(X):
    """Return a Dask array whose lengths are known, and anything else as it is.

    After a selection by a mask, for example, they are not: all blocks are computed once.
    """
    if not is_sliced_on_disk(X) or not hasattr(X, "compute_chunk_sizes"):
        return X
    # Dask sets the lengths in place
    return X.copy().compute_chunk_sizes() if any(map(math.isnan, X.shape)) else X


def make_stand_in(X):
    """Return a cheap array to check in place of an array on disk.

    A table is represented by one of its shape and dtype without memory, anything else by a few
    of its numbers, which scikit-learn's error then shows.
    """
    if len(X.shape) == 2:
        return np.broadcast_to(np.zeros((), X.dtype), X.shape)
    return np.asarray(X[:3] if len(X.shape) else X[()])


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
    mapped = find_memory_map(X)
    if mapped is not None and can_read_file(mapped, X):
        return FileRows(X, device, estimator_name, mapped)
    if is_sliced_on_disk(X) or (isinstance(X, np.ndarray) and not is_known_to_torch(X)):
        return SlicedRows(X, device, estimator_name)
    return TensorRows(convert_to_tensor(X, copy=mapped is None), device, estimator_name)


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
    targets : Rows
        What the rows should become: they themselves, or the clean rows of pairs.
    """

    multiply_best_as_sparse = False
    name = "X"  # in error messages

    def __init__(self, X, device, estimator_name=None):
        self.X = X
        self.device = torch.device(device)
        self.estimator_name = estimator_name
        self.home = torch.device("cpu")
        self.shape = tuple(X.shape)
        self.dtype = choose_float_dtype(X.dtype)

    def __len__(self):
        return self.shape[0]

    @property
    def targets(self):
        return self

    @abstractmethod
    def read(self, index):
        """Return the rows at a slice or an index tensor, dense, not to be written to."""

    def cast(self, rows):
        """Return rows, an array of any numeric dtype, as a tensor in the dtype of these rows."""
        dtype = np.float64 if self.dtype == torch.float64 else np.float32
        return self.move(convert_to_tensor(rows.astype(dtype, copy=False)))

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
        """Return a 64-bit number for each row, an array, the same for rows that are equal.

        That two others have the same is as likely as for random numbers. One pass in constant
        memory. The numbers are those of this process.
        """
        hashes = np.empty(len(self), dtype=np.int64)
        for part in self.cut_parts():
            hashes[part] = list(map(hash, self.read_bytes(part)))
        return hashes

    def read_bytes(self, part):
        """Return the bytes of each row at a slice, a list; those of equal rows are equal."""
        # the bytes of -0.0 differ from those of 0.0
        rows = np.ascontiguousarray(self.read(part).cpu().numpy() + 0)
        return rows.view(f"V{rows.itemsize * rows.shape[1]}").ravel().tolist()

    def compute_moments(self):
        """Return the `Moments` of all rows, or raise scikit-learn's error if one is not finite.

        One pass in constant memory.
        """
        sums = RunningMoments()
        for part in self.cut_parts():
            block = self.read(part)
            sums.add(block)
            if not sums.is_finite():
                check_finite(block, self.estimator_name, allow_nan=True, name=self.name)
                if block.isnan().any():
                    return self.compute_observed_moments()
        return sums.compute()

    def compute_observed_moments(self):
        """Return the `Moments` of the entries that are not NaN.

        Raises
        ------
        ValueError
            If a number is infinite.
        """
        sums = ObservedMoments()
        for part in self.cut_parts():
            block = self.read(part)
            check_finite(block, self.estimator_name, allow_nan=True, name=self.name)
            sums.add(block)
        moments = sums.compute()
        dtype = self.dtype
        return replace(moments, low=moments.low.to(dtype), high=moments.high.to(dtype))


class TensorRows(Rows):
    """Rows of a tensor, which is moved to the device as a whole if it leaves room there."""

    def __init__(self, X, device, estimator_name=None):
        super().__init__(X, device, estimator_name)
        if X.device.type != self.device.type and leaves_room(X, self.device):
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
        if isinstance(index, slice):
            rows = convert_to_dense(self.X[index])
        else:  # HDF5 takes indices in order, each once
            index, where = np.unique(index.cpu().numpy(), return_inverse=True)
            rows = convert_to_dense(self.X[index])[where]
        return self.cast(rows)


class FileRows(Rows):
    """Rows of a memory map, read from its file.

    Parameters
    ----------
    X, device, estimator_name
        As in `Rows`.
    mapped : numpy.memmap
        What X is a view of.
    """

    def __init__(self, X, device, estimator_name, mapped):
        super().__init__(X, device, estimator_name)
        self.file = MappedFile(X, mapped)

    def read(self, index):
        """Return the rows at a slice or an index tensor."""
        return self.cast(self.file.read(index if isinstance(index, slice) else index.cpu().numpy()))


class SparseRows(Rows):
    """Rows of a CSR matrix or array."""

    def __init__(self, X, device, estimator_name=None):
        super().__init__(X, device, estimator_name)
        X = X.astype(np.float64 if self.dtype == torch.float64 else np.float32, copy=False)
        if not X.has_canonical_format:  # an entry may be stored in several parts
            X = X.copy()
            X.sum_duplicates()
        self.X = X
        self.multiply_best_as_sparse = X.nnz <= MAX_DENSITY * math.prod(self.shape)

    def read(self, index):
        """Return the rows at a slice or an index tensor."""
        X = self.X[index if isinstance(index, slice) else index.cpu().numpy()]
        X = X if X.data.flags.writeable else X.copy()  # torch warns of read-only arrays
        dense = torch.from_numpy(X.toarray())
        return SparseBatch.wrap(dense, X) if self.device.type == "cpu" else self.move(dense)

    def read_bytes(self, part):
        """Return the bytes of the stored entries of each row at a slice, and of their columns."""
        X = self.X[part]
        stored = X.data != 0
        starts = np.concatenate([[0], np.cumsum(stored)])[X.indptr]
        columns, data = X.indices[stored], X.data[stored]
        return [
            columns[start:end].tobytes() + data[start:end].tobytes()
            for start, end in itertools.pairwise(starts)
        ]

    def compute_moments(self):
        """Return the `Moments` of all rows, from the stored entries."""
        check_finite(self.X.data, self.estimator_name, allow_nan=True, name=self.name)
        if np.isnan(self.X.data).any():
            self.multiply_best_as_sparse = False
            return self.compute_observed_moments()
        n_rows, n_features = self.shape
        n_part_rows = max(1, n_rows * PART_ENTRIES // max(self.X.nnz, 1))
        mean, variance, n_seen = np.zeros(n_features), np.zeros(n_features), 0
        for part in gen_batches(n_rows, n_part_rows):
            seen = {"last_mean": mean, "last_var": variance, "last_n": n_seen}
            # in its own float32 the variance of large numbers overflows
            block = shorten_indices(self.X[part].astype(float))
            mean, variance, n_seen = incr_mean_variance_axis(block, axis=0, **seen)
        low, high = (torch.as_tensor(x, dtype=self.dtype) for x in min_max_axis(self.X, axis=0))
        mean, variance = (torch.as_tensor(x, dtype=torch.float64) for x in (mean, variance))
        return Moments(n_rows, mean, variance, low, high, torch.zeros_like(variance))


class PairedRows(Rows):
    """Damaged rows, and what each of them should become.

    Parameters
    ----------
    damaged, clean : Rows
        As many of each.
    """

    def __init__(self, damaged, clean):
        self.damaged, self.clean = damaged, clean
        self.clean.name = "X_clean"
        self.device, self.home, self.shape = damaged.device, damaged.home, damaged.shape
        self.estimator_name, self.dtype = damaged.estimator_name, damaged.dtype

    @property
    def targets(self):
        return self.clean

    def read(self, index):
        """Return the damaged rows at a slice or an index tensor."""
        return self.damaged.read(index)

    def compute_hashes(self):
        """Return a number for each row, the same where the damaged or the clean rows are equal.

        If that connected most rows, as clean rows of zeros may, only damaged rows count.
        """
        tables = self.damaged, self.clean
        damaged, clean = (np.unique(t.compute_hashes(), return_inverse=True)[1] for t in tables)
        n_nodes = len(self) * 2
        edges = np.ones(len(self)), (damaged, len(self) + clean)
        _, labels = connected_components(coo_array(edges, (n_nodes, n_nodes)), directed=False)
        labels = labels[damaged]
        return labels if 2 * np.bincount(labels).max() <= len(self) else damaged

    def compute_fingerprint(self):
        """Return the shapes and digests of some rows of both tables."""
        return self.damaged.compute_fingerprint(), self.clean.compute_fingerprint()

    def compute_moments(self):
        """Return the `PairMoments` of both tables, or raise an error if an entry is not finite."""
        damaged, clean = (rows.compute_moments() for rows in (self.damaged, self.clean))
        if not all(isinstance(moments.n_rows, int) for moments in (damaged, clean)):
            raise ValueError("X and X_clean contain NaN: pairs must have no missing values.")
        return PairMoments(**vars(clean), damaged=damaged)


def check_clean(X_clean, X, estimator):
    """Return X_clean as a table that `make_rows` takes, not yet checked for NaN and infinity.

    Raises
    ------
    ValueError
        If it has not one row for each row of X.
    """
    X_clean = compute_lengths(convert_categories(read_interface(drop_gradients(X_clean))))
    on_disk = is_sliced_on_disk(X_clean)
    with raise_overflow_as_value_error(), note_text_columns(X_clean):
        table = check_array(
            make_stand_in(X_clean) if on_disk else X_clean,
            accept_sparse="csr",
            dtype="numeric" if is_numeric(X_clean) else [np.float64, np.float32],
            ensure_all_finite=False,
            input_name="X_clean",
            estimator=estimator,
        )
    if X.shape[0] != table.shape[0]:
        raise ValueError(
            f"X_clean must have one row for each of the {X.shape[0]} rows of X; got "
            f"{table.shape[0]}."
        )
    return X_clean if on_disk else table


@contextmanager
def note_text_columns(X):
    """Note at a ValueError of the block which columns of a pandas frame are not numbers."""
    try:
        yield
    except ValueError as error:
        text = list_text_columns(X)
        if text:
            listed = ", ".join(text[:10]) + (", …" if len(text) > 10 else "")
            error.add_note(f"Not numbers: column {listed}. Encode them, e.g. with OneHotEncoder.")
        raise


def list_text_columns(X):
    """Return the names of the columns of a pandas frame that cannot be cast to floats."""
    dtypes = list_column_dtypes(X) if hasattr(X, "iloc") else []
    columns = zip(X.columns, dtypes, strict=True) if dtypes else []
    others = [name for name, dtype in columns if get_kind(dtype) == "O"]
    return [str(name) for name in others if not can_be_float(X[name])]


def can_be_float(column):
    """Tell whether a column of a pandas frame can be cast to floats."""
    with warnings.catch_warnings(action="ignore"):  # of complex numbers
        try:
            np.asarray(column, dtype=float)
        except (TypeError, ValueError):
            return False
    return True


@contextmanager
def raise_overflow_as_value_error():
    """Raise a ValueError, without NumPy's warnings, if X has a number that no float holds."""
    try:
        with np.errstate(over="ignore", invalid="ignore"):
            yield
    except OverflowError as error:
        raise ValueError(f"X has a number that is too large for a float ({error}).") from error


def check_finite(values, estimator_name, allow_nan=False, name="X"):
    """Raise scikit-learn's error about an array or tensor if it is not finite.

    Also under `assume_finite`, which saves scikit-learn a pass over X. Here it would save none,
    and hide which numbers are wrong.
    """
    values = values.cpu().numpy() if isinstance(values, torch.Tensor) else values
    # infinities of both signs may be in one sum
    with np.errstate(invalid="ignore"), config_context(assume_finite=False):
        options = {"input_name": name, "estimator_name": estimator_name}
        assert_all_finite(values, allow_nan=allow_nan, **options)


def convert_to_dense(rows):
    """Return rows that were sliced from an array as a NumPy array, also if they are sparse.

    They are sparse if AnnData is backed by a sparse file, or if Dask's blocks are sparse.
    """
    rows = rows if issparse(rows) else np.asarray(rows)
    rows = rows.item() if rows.ndim == 0 else rows  # NumPy wraps a sparse matrix of Dask's
    return rows.toarray() if issparse(rows) else rows


def convert_to_tensor(array, *, copy=True):
    """Return an array as a tensor that shares its memory, unless it is sparse.

    With `copy` a NumPy array that is not in C order is copied into it.
    """
    if isinstance(array, torch.Tensor):
        return array.detach().to_dense()
    if isinstance(array, np.ndarray) and copy:
        array = np.ascontiguousarray(array)
    try:  # unlike from_numpy, it takes read-only arrays without a warning
        return torch.from_dlpack(array)
    except BufferError:  # read-only, and NumPy or torch is too old to share that
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


def choose_float_dtype(dtype):
    """Return the torch dtype, float32 or float64, for computing with a NumPy or torch dtype."""
    if isinstance(dtype, torch.dtype):
        return torch.float64 if dtype in WIDE_DTYPES else torch.float32
    wide = np.result_type(dtype, np.float32) != np.float32
    return torch.float64 if wide else torch.float32


def leaves_room(X, device):
    """Tell whether a tensor would take less than half of the free memory of a device."""
    return device.type != "cuda" or X.nbytes < torch.cuda.mem_get_info(device)[0] / 2


def warn_of_pairs(X, y):
    """Warn of a y that is shaped like X, as clean rows in Keras's ``fit(noisy, clean)`` are."""
    if y is None or isinstance(y, str):
        return
    shapes = [np.shape(t) if isinstance(t, list) else getattr(t, "shape", None) for t in (X, y)]
    are_equal = shapes[0] is not None and tuple(shapes[0]) == tuple(shapes[1] or ())
    if are_equal and len(shapes[0]) == 2 and shapes[0][1] > 1:
        warnings.warn(
            "y has the shape of X and is ignored: rows of X are not restored to rows of y. "
            "Pass clean rows as DenoisingAutoencoder().fit(X, X_clean=...).",
            stacklevel=4,  # where fit was called
        )
