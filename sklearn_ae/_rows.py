"""Tables of any kind, of which only the rows that are asked for are read and cast."""

import hashlib
import itertools
import math
import mmap
import os
import weakref
from abc import ABC, abstractmethod
from dataclasses import dataclass, replace

import numpy as np
import torch
from scipy.sparse import issparse
from sklearn.utils import gen_batches
from sklearn.utils._array_api import get_namespace_and_device, move_to
from sklearn.utils.sparsefuncs import incr_mean_variance_axis, min_max_axis
from sklearn.utils.validation import assert_all_finite
from torch.utils.data import Dataset

from ._sparse_batch import MAX_DENSITY, SparseBatch

# Entries of the largest array that is made of a part of a table.
PART_ENTRIES = 2**20

# In units of the scale: a mean so large costs float32 products two of their seven digits.
MAX_OFFSET = 100

# Of these float32 does not hold all numbers.
WIDE_DTYPES = (torch.float64, torch.int32, torch.int64)


def is_sliced(X):
    """Tell whether X is a numeric array of another library that is read where it is sliced.

    Such are the arrays of h5py and zarr, which `numpy.asarray` would read as a whole.
    """
    return (
        all(hasattr(X, name) for name in ("shape", "ndim", "dtype", "__getitem__"))
        and not isinstance(X, np.ndarray | np.generic)
        and not is_array_api(X)
        and not hasattr(X, "iloc")
        and not issparse(X)
        and is_numeric(X)
    )


def is_numeric(X):
    """Tell whether X, an array or data frame, has a numeric dtype, which is then kept."""
    if is_array_api(X):
        return True
    dtypes = X.dtypes if hasattr(X, "columns") else [getattr(X, "dtype", None)]
    return all(getattr(dtype, "kind", "O") in "biuf" for dtype in dtypes)


def with_numbers(X):
    """Return X with numeric categories of a pandas frame as floats, or a tensor without gradients.

    pandas makes an integer of a category that is missing.
    """
    if isinstance(X, torch.Tensor):
        return X.detach()
    if not (hasattr(X, "iloc") and hasattr(X, "dtypes") and hasattr(X, "columns")):
        return X
    kinds = [getattr(getattr(dtype, "categories", None), "dtype", None) for dtype in X.dtypes]
    is_number = [getattr(kind, "kind", "O") in "biuf" for kind in kinds]
    return X.astype(dict.fromkeys(X.columns[is_number], float)) if any(is_number) else X


def rows_of(X, device="cpu"):
    """Return the `Rows` of a table: array, CSR matrix, what `is_sliced`, or tensor."""
    if issparse(X):
        return SparseRows(X, device)
    mapped = memory_map_of(X)
    if mapped is not None and can_be_read(mapped, X):
        return FileRows(X, device, mapped)
    if is_sliced(X) or (isinstance(X, np.ndarray) and not is_known_to_torch(X)):
        return SlicedRows(X, device)
    return TensorRows(as_tensor(X, copy=mapped is None), device)


class Rows(ABC):
    """Rows of a table of numbers.

    Parameters
    ----------
    X : object
        Two-dimensional.
    device : torch.device or str
        Where rows are wanted.

    Attributes
    ----------
    shape : (int, int)
    home : torch.device
        Where index tensors are wanted.
    dtype : torch.dtype
        That rows are read in: float32 where it holds all numbers of the dtype of X, as it does
        for images of bytes, else float64.
    multiply_best_as_sparse : bool
        Whether so few entries are stored that products with them are faster than with all.
    """

    multiply_best_as_sparse = False

    def __init__(self, X, device):
        self.X = X
        self.device = torch.device(device)
        self.home = torch.device("cpu")
        self.shape = tuple(X.shape)
        self.dtype = float_dtype(X.dtype)

    def __len__(self):
        return self.shape[0]

    @abstractmethod
    def read(self, index):
        """Return the rows at a slice or an index tensor, dense, not to be written to."""

    def cast(self, rows):
        """Return rows, an array of any numeric dtype, as a tensor in the dtype of these rows."""
        dtype = np.float64 if self.dtype == torch.float64 else np.float32
        return self.moved(as_tensor(rows.astype(dtype, copy=False)))

    def moved(self, rows):
        """Return a tensor on the device; to a GPU it goes from pinned memory, without waiting."""
        if rows.device.type == "cpu" and self.device.type == "cuda":
            rows = rows.pin_memory()
        return rows.to(self.device, non_blocking=True)

    def parts(self):
        """Return slices over the rows, each of about `PART_ENTRIES` entries."""
        return gen_batches(len(self), max(1, PART_ENTRIES // self.shape[1]))

    def fingerprint(self):
        """Return what tells these rows from others: their shape and a digest of a few of them."""
        index = torch.linspace(0, len(self) - 1, 16, dtype=torch.float64).long().unique()
        few = self.read(index.to(self.home)).cpu().numpy()
        return self.shape, hashlib.sha256(few.tobytes()).hexdigest()[:8]

    def check_finite(self, part, name):
        """Raise scikit-learn's error, for an estimator's name, if a part is not finite."""
        with np.errstate(invalid="ignore"):  # infinities of both signs in one sum
            assert_all_finite(self.read(part).cpu().numpy(), input_name="X", estimator_name=name)


class TensorRows(Rows):
    """Rows of a tensor, which moves to the device at once if it leaves room there."""

    def __init__(self, X, device):
        super().__init__(X, device)
        if X.device.type != self.device.type and fits(X, self.device):
            self.X = X.to(self.device)
        self.home = self.X.device

    def read(self, index):
        """Return the rows at a slice or an index tensor."""
        rows = self.X[index] if isinstance(index, slice) else self.X.index_select(0, index)
        return self.moved(rows).to(self.dtype)


class SlicedRows(Rows):
    """Rows of an array that torch does not know, by the array's own indexing."""

    def read(self, index):
        """Return the rows at a slice or an index tensor."""
        if isinstance(index, slice):
            rows = np.asarray(self.X[index])
        else:  # HDF5 takes rows in order, each once
            index, where = np.unique(index.cpu().numpy(), return_inverse=True)
            rows = np.asarray(self.X[index])[where]
        return self.cast(rows)


class FileRows(Rows):
    """Rows of an array in a file, read from the file and not through its memory map.

    Of what is read through a map the kernel counts whole neighbourhoods as memory of the process.

    Parameters
    ----------
    X : ndarray
        A view of `mapped` for which `can_be_read`.
    device : torch.device or str
    mapped : numpy.memmap
    """

    def __init__(self, X, device, mapped):
        super().__init__(X, device)
        self.start = address(X) - address(mapped_bytes(mapped)) + map_start(mapped)
        self.file = os.open(mapped.filename, os.O_RDONLY)
        weakref.finalize(self, os.close, self.file)

    def read(self, index):
        """Return the rows at a slice or an index tensor."""
        (stride, _), row_bytes = self.X.strides, self.X.itemsize * self.shape[1]
        if not isinstance(index, slice):
            return self.cast(self.raw(index.cpu().numpy()))
        index = np.arange(*index.indices(len(self)))
        if stride != row_bytes:
            return self.cast(self.raw(index))
        rows = np.empty((len(index), self.shape[1]), self.X.dtype)
        self.fill(rows, self.start + index[0] * stride)
        return self.cast(rows)

    def raw(self, index):
        """Return the rows at an index array as they are in the file."""
        rows = np.empty((len(index), self.shape[1]), self.X.dtype)
        for i in np.argsort(index):  # in the order of the file
            self.fill(rows[i], self.start + index[i] * self.X.strides[0])
        return rows

    def fill(self, array, offset):
        """Read an array from an offset in the file."""
        if os.preadv(self.file, [array], offset) < array.nbytes:
            raise ValueError("The file that X is a memory map of was truncated while it was read.")


class SparseRows(Rows):
    """Rows of a CSR matrix or array."""

    def __init__(self, X, device):
        super().__init__(X, device)
        X = X.astype(np.float64 if self.dtype == torch.float64 else np.float32, copy=False)
        if not X.has_canonical_format:  # an entry may be stored in parts
            X = X.copy()
            X.sum_duplicates()
        self.X = X
        self.multiply_best_as_sparse = X.nnz <= MAX_DENSITY * math.prod(self.shape)

    def read(self, index):
        """Return the rows at a slice or an index tensor."""
        X = self.X[index if isinstance(index, slice) else index.cpu().numpy()]
        X = X if X.data.flags.writeable else X.copy()  # torch warns of what is read-only
        dense = torch.from_numpy(X.toarray())
        if self.device.type != "cpu":
            return self.moved(dense)
        return SparseBatch.of(dense, X, mean=torch.zeros(self.shape[1]), scale=1.0)

    def check_finite(self, part, name):
        """Raise scikit-learn's error if a part is not finite."""
        with np.errstate(invalid="ignore"):
            assert_all_finite(self.X[part].data, input_name="X", estimator_name=name)


class StandardizedRows(Dataset):
    """Rows, centred and scaled in their dtype and then cast to float32 as they are read.

    Parameters
    ----------
    rows : Rows
    mean : array or tensor of shape (n_features,)
    scale : float
    """

    def __init__(self, rows, mean, scale):
        self.rows = rows
        self.device = rows.device
        self.mean = as_tensor(mean).to(rows.device)
        self.scale = scale

    def __len__(self):
        return len(self.rows)

    def __getitem__(self, index):
        """Return the standardised rows at `index`, a slice or an index tensor."""
        return self.inputs(self.rows.read(index))

    def read_ahead(self, batches):
        """Yield the standardised rows at each of several index tensors.

        To a GPU those of a batch are copied while the batch before is computed with.
        """
        if self.device.type != "cuda" or self.rows.home.type == "cuda":
            yield from map(self.__getitem__, batches)
            return
        copying = torch.cuda.Stream(self.device)
        for rows, copied in one_ahead(self._copied(batch, copying) for batch in batches):
            computing = torch.cuda.current_stream(self.device)
            computing.wait_event(copied)
            rows.record_stream(computing)
            yield rows

    def _copied(self, batch, stream):
        """Return the standardised rows at an index tensor and the event of their arrival."""
        with torch.cuda.stream(stream):
            return self[batch], stream.record_event()

    def standardized(self, rows):
        """Return rows that were read, standardised in their dtype."""
        return rows.sub(self.mean).div_(self.scale)

    def inputs(self, rows):
        """Return rows that were read as a network takes them, standardised, in float32."""
        u = self.standardized(rows).float()
        if isinstance(rows, SparseBatch):
            return SparseBatch.of(u, rows.X, self.mean, self.scale)
        return u


def one_ahead(items):
    """Yield items of an iterable, each when the next one has been taken from it."""
    for item, _ in itertools.pairwise(itertools.chain(items, [None])):
        yield item


@dataclass(frozen=True)
class Statistics:
    """What is to be known of all rows, by feature.

    Attributes
    ----------
    mean, low, high : tensors of shape (n_features,)
        Mean, lowest and highest value, on the CPU in the dtype of the rows.
    variance : tensor of shape (n_features,)
        float64.
    """

    mean: torch.Tensor
    low: torch.Tensor
    high: torch.Tensor
    variance: torch.Tensor

    @property
    def scale(self):
        """One number, the root of the mean variance, or 1 where nothing varies.

        The squared error of X / scale ranks reconstructions as that of X does.
        """
        return float(self.variance.mean().sqrt()) or 1.0

    @property
    def is_near_zero(self):
        """Whether float32 products of rows that are not centred lose nothing to speak of."""
        return float(self.mean.abs().max()) <= MAX_OFFSET * self.scale

    def widened(self, other):
        """Return these statistics with the range of others besides."""
        low, high = torch.minimum(self.low, other.low), torch.maximum(self.high, other.high)
        return replace(self, low=low, high=high)


def statistics(rows, name):
    """Return the `Statistics` of rows, or raise scikit-learn's error if they are not finite.

    One pass in constant memory. `name` is that of the estimator, for the error.
    """
    if isinstance(rows, SparseRows):
        return sparse_statistics(rows, name)
    parts = list(rows.parts())
    shift = rows.read(parts[0]).mean(dim=0, dtype=torch.float64)  # what is summed is less this
    total, squares = torch.zeros_like(shift), torch.zeros_like(shift)
    low, high = (
        torch.full_like(shift, bound, dtype=rows.dtype) for bound in (torch.inf, -torch.inf)
    )
    for part in parts:
        block = rows.read(part)
        part_low, part_high = block.aminmax(dim=0)
        low, high = torch.minimum(low, part_low), torch.maximum(high, part_high)
        centred = block - shift
        part_total = centred.sum(dim=0)
        if not part_total.isfinite().all():
            rows.check_finite(part, name)
        total += part_total
        squares += centred.square_().sum(dim=0)
    offset = total / len(rows)
    variance = (squares / len(rows) - offset**2).clamp_(min=0)
    return Statistics((shift + offset).to(rows.dtype).cpu(), low.cpu(), high.cpu(), variance.cpu())


def sparse_statistics(rows, name):
    """Return the `Statistics` of a sparse matrix, from its stored entries."""
    rows.check_finite(slice(None), name)
    n_samples, n_features = rows.shape
    mean, variance, n = np.zeros(n_features), np.zeros(n_features), 0
    for part in gen_batches(n_samples, max(1, n_samples * PART_ENTRIES // max(rows.X.nnz, 1))):
        seen = {"last_mean": mean, "last_var": variance, "last_n": n}
        # in its own float32 the variance of large numbers overflows
        mean, variance, n = incr_mean_variance_axis(rows.X[part].astype(float), axis=0, **seen)
    mean, low, high = (
        torch.as_tensor(values, dtype=rows.dtype)
        for values in (mean, *min_max_axis(rows.X, axis=0))
    )
    return Statistics(mean, low, high, torch.as_tensor(variance, dtype=torch.float64))


def memory_map_of(X):
    """Return the memory map of a file that an array is a view of, or None.

    Raises
    ------
    ValueError
        If the file is shorter by now: reading there would end the process.
    """
    while isinstance(X, np.ndarray):
        if isinstance(X, np.memmap) and X._mmap is not None:
            size, end = X._mmap.size(), map_start(X) + len(X._mmap)
            if size < end:
                raise ValueError(
                    f"X is a memory map of {X.filename}, which has been truncated: of the {end} "
                    f"bytes that are mapped it has {size}."
                )
            return X
        X = X.base
    return None


def can_be_read(mapped, X):
    """Tell whether the rows of X are those in the file that is mapped, and each in one piece."""
    row_bytes = X.itemsize * X.shape[1]
    if mapped.mode == "c" or X.strides[1] != X.itemsize or X.strides[0] < row_bytes:
        return False
    try:
        same_size = os.stat(mapped.filename).st_size == mapped._mmap.size()
    except (OSError, TypeError):  # it is gone, or had no name
        return False
    return same_size and hasattr(os, "preadv") and has_first_and_last_row(mapped, X)


def has_first_and_last_row(mapped, X):
    """Tell whether the file of a memory map is still the one that is mapped, by two rows of X."""
    rows = FileRows(X, "cpu", mapped)
    ends = [0, len(X) - 1]
    return len(X) == 0 or np.array_equal(rows.raw(ends), X[ends], equal_nan=X.dtype.kind == "f")


def map_start(mapped):
    """Return where in its file a memory map begins."""
    return mapped.offset - mapped.offset % mmap.ALLOCATIONGRANULARITY


def mapped_bytes(mapped):
    """Return all bytes of a memory map."""
    return np.frombuffer(mapped._mmap, dtype=np.uint8)


def address(array):
    """Return where an array begins in memory."""
    return array.__array_interface__["data"][0]


def as_tensor(array, copy=True):
    """Return an array as a tensor that shares its memory; NumPy's, if `copy`, in C order."""
    if isinstance(array, torch.Tensor):
        return array.detach()
    if isinstance(array, np.ndarray) and copy:
        array = np.ascontiguousarray(array)
    try:  # takes read-only arrays without a warning, unlike from_numpy
        return torch.from_dlpack(array)
    except BufferError:  # read-only, and NumPy or torch is too old to share that
        return torch.from_numpy(np.array(array))


def like_array(tensor, X):
    """Return a tensor as what X is: an array of its library on its device, else a NumPy array."""
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


def float_dtype(dtype):
    """Return the torch dtype in which numbers of a NumPy or torch dtype are computed with."""
    if isinstance(dtype, torch.dtype):
        return torch.float64 if dtype in WIDE_DTYPES else torch.float32
    wide = np.result_type(dtype, np.float32) != np.float32
    return torch.float64 if wide else torch.float32


def fits(X, device):
    """Tell whether a tensor leaves room on a device for what else training needs."""
    return device.type != "cuda" or X.nbytes < torch.cuda.mem_get_info(device)[0] / 2
