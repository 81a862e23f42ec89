"""Batches of sparse rows: dense tensors that the first linear layers multiply as sparse."""

from functools import cached_property, partial

import torch
import torch.nn.functional as F
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
        X by columns, for the backward pass.
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
        """X in compressed columns, made once for all layers that go backward through these rows."""
        return self.X.tocsc()


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
        is_sparse = isinstance(rows, SparseBatch) and rows.units is not None
        product = SparseProduct.apply(self.weight, rows) if is_sparse else rows @ self.weight
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
        multiply_X = partial(sum_weighted_rows, ctx.rows.by_columns)
        return ctx.rows.units.multiply_transposed(multiply_X, gradient), None


def sum_weighted_rows(X, rows):
    """Return sums of the rows of a tensor, weighted by the entries of a compressed matrix X.

    Compressed by rows it returns X @ rows, by columns X.T @ rows.
    """
    entries, starts = torch.from_numpy(X.indices), torch.from_numpy(X.indptr)
    weights = torch.from_numpy(X.data).to(rows.dtype)
    # One bag for each row, or column, of X. The last of the starts is where the last bag ends.
    return F.embedding_bag(
        entries, rows, starts, mode="sum", per_sample_weights=weights, include_last_offset=True
    )
