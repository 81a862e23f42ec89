"""Rows of a memory map, read from its file and not through the map.

Pages that are read through a map count as memory of the process, and the kernel reads many at once.
"""

import mmap
import os
import weakref

import numpy as np

from ._compat import get_mmap


def find_memory_map(X):
    """Return the memory map of a file that an array is a view of, or None.

    Raises
    ------
    ValueError
        If the file has become shorter: reading beyond its end would kill the process.
    """
    while isinstance(X, np.ndarray):
        if isinstance(X, np.memmap) and get_mmap(X) is not None:
            size, end = get_mmap(X).size(), get_map_start(X) + len(get_mmap(X))
            if size < end:
                raise ValueError(
                    f"X is a memory map of {X.filename}, which has been truncated: it has {size} "
                    f"of the {end} bytes that were mapped."
                )
            return X
        X = X.base
    return None


class MappedFile:
    """The file of a memory map, of which an array is a view.

    Parameters
    ----------
    X : ndarray of shape (n_samples, n_features)
        A view of `mapped` for which `can_read_file` holds.
    mapped : numpy.memmap
    """

    def __init__(self, X, mapped):
        self.X = X
        self.start = get_address(X) - get_address(view_bytes(mapped)) + get_map_start(mapped)
        self.file = os.open(mapped.filename, os.O_RDONLY)
        weakref.finalize(self, os.close, self.file)

    def read(self, index):
        """Return the rows at a slice or an index array."""
        (stride, _), row_bytes = self.X.strides, self.X.itemsize * self.X.shape[1]
        if isinstance(index, slice):
            index = np.arange(*index.indices(len(self.X)))
            if stride == row_bytes:  # one piece of the file
                rows = np.empty((len(index), self.X.shape[1]), self.X.dtype)
                self._fill(rows, self.start + index[0] * stride)
                return rows
        rows = np.empty((len(index), self.X.shape[1]), self.X.dtype)
        for i in np.argsort(index):  # in the order of the file, which disks read fastest
            self._fill(rows[i], self.start + index[i] * stride)
        return rows

    def _fill(self, array, offset):
        """Read an array from an offset in the file."""
        if os.preadv(self.file, [array], offset) < array.nbytes:
            raise ValueError("The file that X is a memory map of was truncated while it was read.")


def can_read_file(mapped, X):
    """Tell whether the rows of X are in the file of its map, each in one piece."""
    row_bytes = X.itemsize * X.shape[1]
    # a copy-on-write map has changes that the file does not have
    if mapped.mode == "c" or X.strides[1] != X.itemsize or X.strides[0] < row_bytes:
        return False
    try:
        same_size = os.stat(mapped.filename).st_size == get_mmap(mapped).size()
    except (OSError, TypeError):  # the file was deleted, or never had a name
        return False
    return same_size and hasattr(os, "preadv") and is_same_file(mapped, X)


def is_same_file(mapped, X):
    """Tell whether the file was not replaced since it was mapped, by two rows of X."""
    ends = [0, len(X) - 1]
    rows = MappedFile(X, mapped).read(ends) if len(X) else X
    return len(X) == 0 or np.array_equal(rows, X[ends], equal_nan=X.dtype.kind == "f")


def get_map_start(mapped):
    """Return the offset in its file at which a memory map begins."""
    return mapped.offset - mapped.offset % mmap.ALLOCATIONGRANULARITY


def view_bytes(mapped):
    """Return all bytes of a memory map as an array."""
    return np.frombuffer(get_mmap(mapped), dtype=np.uint8)


def get_address(array):
    """Return the address of an array in memory."""
    return array.__array_interface__["data"][0]
