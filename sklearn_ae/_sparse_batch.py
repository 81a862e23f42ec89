"""Rows of a sparse matrix that everything sees as dense, and linear layers multiply as sparse."""

from functools import cached_property

import numpy as np
import torch
import torch.nn.functional as F
from scipy.sparse import csr_array
from torch import nn

# Up to this share of stored entries a sparse product, with that of its gradient, is the faster
# one: by 3 to 10 times at 1 %, by little at 20 %.
MAX_DENSITY = 0.2


class SparseBatch(torch.Tensor):
    """Rows (X - mean) / scale of a sparse matrix X, a dense tensor on the CPU.

    A `RowLinear` multiplies X itself and corrects the product for mean and scale; any other
    operation is that of a dense tensor, and its result is one.

    Attributes
    ----------
    X, mean, scale
        As in `of`.
    by_columns : scipy.sparse.csc_array
        X again.
    """

    __torch_function__ = torch._C._disabled_torch_function_impl

    @classmethod
    def of(cls, dense, X, mean, scale):
        """Return the dense rows as such a batch.

        Parameters
        ----------
        dense : tensor of shape (n_rows, n_features)
        X : scipy.sparse.csr_array of the same shape
        mean : tensor of shape (n_features,)
        scale : float
        """
        batch = dense.as_subclass(cls)
        batch.X, batch.mean, batch.scale = X, mean, scale
        return batch

    @cached_property
    def by_columns(self):
        """Return X in compressed columns."""
        return self.X.tocsc()


def padded(rows, n_more):
    """Return a tensor of rows, or such a batch, with so many more, whose values do not matter."""
    more = F.pad(rows, (0, 0, 0, n_more))
    if not isinstance(rows, SparseBatch):
        return more
    entries = rows.X.data, rows.X.indices, np.pad(rows.X.indptr, (0, n_more), mode="edge")
    return SparseBatch.of(more, csr_array(entries, shape=more.shape), rows.mean, rows.scale)


class RowLinear(nn.Module):
    """A linear layer on rows, dense or a `SparseBatch`.

    Its weight has a contiguous row for each feature, of which a sparse row needs but few.

    Parameters
    ----------
    layer : torch.nn.Linear
        Whose product this is.
    """

    def __init__(self, layer):
        super().__init__()
        self.weight = nn.Parameter(layer.weight.detach().t().contiguous())
        self.bias = layer.bias

    def forward(self, rows):
        """Map (n, n_features) to (n, n_out)."""
        if isinstance(rows, SparseBatch):
            product = SparseProduct.apply(self.weight, rows)
        else:
            product = rows @ self.weight
        return product if self.bias is None else product + self.bias


class SparseProduct(torch.autograd.Function):
    """The product u W of rows u = (X - mean) / scale.

    `embedding_bag` sums the rows of W at the entries of a row of X: torch's own sparse products
    take longer than dense ones.
    """

    @staticmethod
    @torch.amp.custom_fwd(device_type="cpu", cast_inputs=torch.float32)
    def forward(ctx, weight, rows):
        """Return the product, (n_rows, n_out)."""
        ctx.rows = rows
        mean = rows.mean.to(weight.dtype)
        return weighted_sums(weight, rows.X).sub_(mean @ weight).div_(rows.scale)

    @staticmethod
    @torch.amp.custom_bwd(device_type="cpu")
    def backward(ctx, gradient):
        """Return the gradient of the weight."""
        rows = ctx.rows
        gradient = gradient / rows.scale
        of_weight = weighted_sums(gradient, rows.by_columns)
        mean = rows.mean.to(gradient.dtype)
        return of_weight.addr_(mean, gradient.sum(dim=0), alpha=-1), None


def weighted_sums(rows, X):
    """Return sums of the rows of a tensor, weighted by what X stores.

    X is compressed: by rows for X @ rows, by columns for X.T @ rows.
    """
    return F.embedding_bag(
        torch.from_numpy(X.indices),
        rows,
        torch.from_numpy(X.indptr),
        per_sample_weights=torch.from_numpy(X.data).to(rows.dtype),
        mode="sum",
        include_last_offset=True,
    )
