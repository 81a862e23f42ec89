"""Batches of sparse rows: dense tensors that the first linear layers multiply as sparse."""

from functools import cached_property, partial

import numpy as np
import torch
import torch.nn.functional as F
from scipy.sparse import csr_array
from torch import nn

from ._compat import disabled_torch_function

# Up to this share of stored entries sparse products, forward and backward, are faster than dense
# ones: 3 to 10 times at 1 %, hardly at 20 %.
MAX_DENSITY = 0.2


class SparseBatch(torch.Tensor):
    """Rows of a sparse matrix, or their standardised rows: a dense tensor on the CPU.

    A `RowLinear` multiplies the sparse X and corrects the product for mean and scale; any other
    operation is that of a dense tensor, and its result is one.

    Attributes
    ----------
    X, units
        As in `wrap`.
    by_columns : scipy.sparse.csc_array
        X again.
    """

    __torch_function__ = disabled_torch_function

    @classmethod
    def wrap(cls, dense, X, units=None):
        """Return the dense rows as such a batch.

        Parameters
        ----------
        dense : tensor of shape (n_rows, n_features)
        X : scipy.sparse.csr_array of the same shape
        units : Units, default=None
            By which X was standardised; None where the rows are those of X itself.
        """
        batch = dense.as_subclass(cls)
        batch.X, batch.units = X, units
        return batch

    @cached_property
    def by_columns(self):
        """Return X in compressed columns."""
        return self.X.tocsc()


def pad_rows(rows, n_more):
    """Return a tensor of rows, or such a batch, with `n_more` rows whose values do not matter."""
    more = F.pad(rows, (0, 0, 0, n_more))
    if not isinstance(rows, SparseBatch):
        return more
    entries = rows.X.data, rows.X.indices, np.pad(rows.X.indptr, (0, n_more), mode="edge")
    return SparseBatch.wrap(more, csr_array(entries, shape=more.shape), rows.units)


class RowLinear(nn.Module):
    """A linear layer for rows that are dense or a `SparseBatch`.

    Its weight is stored with one contiguous row per feature: a sparse row needs only few of them.

    Parameters
    ----------
    layer : torch.nn.Linear
        The layer whose weights it takes over.
    """

    def __init__(self, layer):
        super().__init__()
        self.weight = nn.Parameter(layer.weight.detach().t().contiguous())
        self.bias = layer.bias

    def forward(self, rows):
        """Map (n, n_features) to (n, n_out)."""
        if isinstance(rows, SparseBatch) and rows.units is not None:
            product = SparseProduct.apply(self.weight, rows)
        else:
            product = rows @ self.weight
        return product if self.bias is None else product + self.bias


class SparseProduct(torch.autograd.Function):
    """The product u W of standardised rows u of a sparse matrix.

    `embedding_bag` sums the rows of W at the entries of a row of X: torch's own sparse products
    take longer than dense ones.
    """

    @staticmethod
    @torch.amp.custom_fwd(device_type="cpu", cast_inputs=torch.float32)
    def forward(ctx, weight, rows):
        """Return the product, (n_rows, n_out)."""
        ctx.rows = rows
        return rows.units.multiply(partial(sum_weighted_rows, rows.X), weight)

    @staticmethod
    @torch.amp.custom_bwd(device_type="cpu")
    def backward(ctx, gradient):
        """Return the gradient of the weight, and None for the rows, which need none."""
        rows = ctx.rows
        multiply_X = partial(sum_weighted_rows, rows.by_columns)
        return rows.units.multiply_transposed(multiply_X, gradient), None


def sum_weighted_rows(X, rows):
    """Return sums of the rows of a tensor, weighted by the entries of a compressed matrix X.

    Compressed by rows it returns X @ rows, by columns X.T @ rows.
    """
    return F.embedding_bag(
        torch.from_numpy(X.indices),
        rows,
        torch.from_numpy(X.indptr),
        per_sample_weights=torch.from_numpy(X.data).to(rows.dtype),
        mode="sum",
        include_last_offset=True,
    )
