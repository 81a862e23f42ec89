"""Tables of any kind, of which only the rows that are asked for are read and cast."""

import mmap
from abc import ABC, abstractmethod
from dataclasses import dataclass, replace

import numpy as np
import torch
from scipy.sparse import issparse
from sklearn.utils import gen_batches
from sklearn.utils._array_api import get_namespace_and_device, move_to
from sklearn.utils.sparsefuncs import mean_variance_axis, min_max_axis
from sklearn.utils.validation import assert_all_finite
from torch.utils.data import Dataset

# Entries of the largest array that is made of a part of a table.
PART_ENTRIES = 2**20

# Of a file that is mapped into memory the kernel maps so many bytes around an address that is
# read. They count as memory of the process until it gives them back, after so many in all.
MAPPED_AROUND = 2**16
MAX_MAPPED = 2**27

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
    dtypes = getattr(X, "dtypes", [getattr(X, "dtype", None)])
    return all(getattr(dtype, "kind", "O") in "biuf" for dtype in dtypes)


def rows_of(X, device="cpu"):
    """Return the `Rows` of a table: array, CSR matrix, what `is_sliced`, or tensor."""
    if issparse(X):
        return SparseRows(X, device)
    if is_sliced(X) or (isinstance(X, np.ndarray) and not is_known_to_torch(X)):
        return SlicedRows(X, device, Mapping.of(X))
    mapping = Mapping.of(X)
    return TensorRows(as_tensor(X, copy=mapping is None), device, mapping)


class Rows(ABC):
    """Rows of a table of numbers.

    Parameters
    ----------
    X : object
        Two-dimensional.
    device : torch.device or str
        Where rows are wanted.
    mapping : Mapping or None, default=None
        Of the file that X is in.

    Attributes
    ----------
    shape : (int, int)
    dtype : torch.dtype
        That rows are read in: float32 where it holds all numbers of the dtype of X, as it does
        for images of bytes, else float64.
    """

    def __init__(self, X, device, mapping=None):
        self.X = X
        self.device = torch.device(device)
        self.mapping = mapping
        self.shape = tuple(X.shape)
        self.dtype = float_dtype(X.dtype)

    def __len__(self):
        return self.shape[0]

    def read(self, index):
        """Return the rows at a slice or an index tensor, dense, not to be written to."""
        if self.mapping is not None:
            self.mapping.note(index, self.X[:1])
        return self._read(index)

    @abstractmethod
    def _read(self, index):
        """Return the rows at a slice or an index tensor."""

    def parts(self):
        """Return slices over the rows, each of about `PART_ENTRIES` entries."""
        return gen_batches(len(self), max(1, PART_ENTRIES // self.shape[1]))

    def check_finite(self, part, name):
        """Raise scikit-learn's error, for an estimator's name, if a part is not finite."""
        with np.errstate(invalid="ignore"):  # infinities of both signs in one sum
            assert_all_finite(self.read(part).cpu().numpy(), input_name="X", estimator_name=name)


class TensorRows(Rows):
    """Rows of a tensor, which moves to the device at once if it leaves room there."""

    def __init__(self, X, device, mapping=None):
        super().__init__(X, device, mapping)
        if X.device.type != self.device.type and mapping is None and fits(X, self.device):
            self.X = X.to(self.device)

    def _read(self, index):
        if isinstance(index, slice):
            rows = self.X[index]
        else:
            rows = self.X.index_select(0, index.to(self.X.device))
        return rows.to(self.device).to(self.dtype)


class SlicedRows(Rows):
    """Rows of an array that torch does not know, by the array's own indexing."""

    def _read(self, index):
        if isinstance(index, slice):
            rows = np.asarray(self.X[index])
        else:  # HDF5 takes rows in order, each once
            index, where = np.unique(index.cpu().numpy(), return_inverse=True)
            rows = np.asarray(self.X[index])[where]
        return as_tensor(rows.astype(numpy_dtype(self.dtype), copy=False)).to(self.device)


class SparseRows(Rows):
    """Rows of a CSR matrix or array."""

    def __init__(self, X, device):
        super().__init__(X, device)
        self.X = X.astype(numpy_dtype(self.dtype), copy=False)

    def _read(self, index):
        index = index if isinstance(index, slice) else index.cpu().numpy()
        return torch.from_numpy(self.X[index].toarray()).to(self.device)

    def check_finite(self, part, name):
        """Raise scikit-learn's error if a part is not finite."""
        with np.errstate(invalid="ignore"):
            assert_all_finite(self.X[part].data, input_name="X", estimator_name=name)


class Mapping:
    """A file that is mapped into memory, of which what was read is given back now and then.

    Parameters
    ----------
    array : numpy.memmap
    """

    def __init__(self, array):
        self.mapped = array._mmap
        self.n_read = 0
        start = array.offset - array.offset % mmap.ALLOCATIONGRANULARITY
        if self.mapped.size() < start + len(self.mapped):  # reading it would end the process
            raise ValueError(
                f"X is a memory map of {array.filename}, which has been truncated: of the "
                f"{start + len(self.mapped)} bytes that are mapped it has {self.mapped.size()}."
            )

    @classmethod
    def of(cls, X):
        """Return that of an array, or None; of a copy-on-write one nothing may be given back."""
        while isinstance(X, np.ndarray):
            if isinstance(X, np.memmap) and X._mmap is not None and X.mode != "c":
                return cls(X)
            X = X.base
        return None

    def note(self, index, row):
        """Take down that rows at a slice or an index tensor are about to be read."""
        if isinstance(index, slice):
            self.n_read += (index.stop - index.start) * row.nbytes
        else:
            self.n_read += len(index) * (row.nbytes + MAPPED_AROUND)
        if self.n_read > MAX_MAPPED and hasattr(self.mapped, "madvise"):
            self.mapped.madvise(mmap.MADV_DONTNEED)
            self.n_read = 0


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
        return self.standardized(self.rows.read(index)).float()

    def standardized(self, rows):
        """Return rows that were read, standardised in their dtype."""
        return rows.sub(self.mean).div_(self.scale)


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
    mean, variance = mean_variance_axis(rows.X, axis=0)
    mean, low, high = (
        torch.as_tensor(values, dtype=rows.dtype)
        for values in (mean, *min_max_axis(rows.X, axis=0))
    )
    return Statistics(mean, low, high, torch.as_tensor(variance, dtype=torch.float64))


def as_tensor(array, copy=True):
    """Return an array as a tensor that shares its memory; NumPy's, if `copy`, in C order."""
    if isinstance(array, torch.Tensor):
        return array
    if isinstance(array, np.ndarray) and copy:
        array = np.ascontiguousarray(array)
    try:  # takes read-only arrays without a warning, unlike from_numpy
        return torch.from_dlpack(array)
    except BufferError:  # read-only, and NumPy or torch is too old to share that
        return torch.from_numpy(array.copy())


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


def numpy_dtype(dtype):
    """Return the NumPy dtype of a torch float dtype."""
    return np.float64 if dtype == torch.float64 else np.float32


def fits(X, device):
    """Tell whether a tensor leaves room on a device for what else training needs."""
    return device.type != "cuda" or X.nbytes < torch.cuda.mem_get_info(device)[0] / 2
