"""Several networks of one architecture as one, each with its own rows of every batch.

Where the layers are linear and otherwise act element by element, the networks compute by batched
products; others compute in turn.
"""

import copy
import itertools

import torch
from torch import nn

from ._model import Output
from ._sparse import RowLinear


class StackedLinear(nn.Module):
    """Linear layers, one for each network, as one layer.

    The weights of the layers become views of those of this one, so that they train too.

    Parameters
    ----------
    layers : list of torch.nn.Linear or RowLinear
    """

    def __init__(self, layers):
        super().__init__()
        self.is_transposed = isinstance(layers[-1], RowLinear)
        # (n_networks, n_out, n_in), or (n_networks, n_in, n_out) of a `RowLinear`
        self.weight = stack_parameters([layer.weight for layer in layers])
        has_bias = layers[-1].bias is not None
        self.bias = stack_parameters([layer.bias for layer in layers]) if has_bias else None

    def forward(self, x):
        """Map (n_networks, n, n_in) to (n_networks, n, n_out)."""
        weight = self.weight if self.is_transposed else self.weight.transpose(1, 2)
        if self.bias is None:
            return torch.bmm(x, weight)
        # (n_networks, 1, n_out): one bias for all rows of a network
        return torch.baddbmm(self.bias.unsqueeze(1), x, weight)


class Networks(nn.Module):
    """Several models of one architecture, each with its own rows of every batch.

    Parameters
    ----------
    models : list of Model
    input_offsets, offsets : tensors of shapes (n_networks, n_features), (n_networks, n_outputs)
        The mean of the rows that each network trains on, and of their targets, standardised: its
        origin.
    trains_as_one : bool
        Whether to stack the layers.
    """

    def __init__(self, models, input_offsets, offsets, trains_as_one):
        super().__init__()
        self.models = list(models)  # no submodules: they would count their parameters again
        # Logits have no origin: the networks see rows that are moved, but give them unmoved.
        self.adds_offsets = not models[-1].units.has_logits
        self.register_buffer("input_offsets", input_offsets.unsqueeze(1), persistent=False)
        self.register_buffer("offsets", offsets.unsqueeze(1), persistent=False)
        self.stacked = stack_modules(models) if trains_as_one else None
        self.trained = self.models if self.stacked is None else [self.stacked]

    def named_parameters(self, prefix="", recurse=True, remove_duplicate=True):
        """Yield all parameters, by the names that they have in a single model."""
        for module in self.trained:
            yield from module.named_parameters(prefix, recurse, remove_duplicate)

    def list_linear_path(self):
        """Return the parameters of the linear path."""
        return [parameter for module in self.trained for parameter in module.list_linear_path()]

    def train(self, mode=True):
        """Switch all networks to training or to inference."""
        for model in self.models:
            model.train(mode)
        return super().train(mode)

    def compute_output(self, u):
        """Return the `Output` for standardised rows (n_networks, n, n_features) in training."""
        pairs = zip(self.trained, self._share(u), strict=True)
        return self._join([module.compute_output(rows) for module, rows in pairs])

    def compute_outputs(self, u, sizes):
        """Return an iterator over the `Output` for some code sizes, of which None is the whole."""
        pairs = zip(self.trained, self._share(u), strict=True)
        by_module = [module.compute_outputs(rows, sizes) for module, rows in pairs]
        return map(self._join, zip(*by_module, strict=True))

    def _share(self, u):
        """Return the rows that each trained module sees, from the origin of its network."""
        u = u - self.input_offsets
        return u if self.stacked is None else [u]

    def _join(self, outputs):
        """Return the outputs of all trained modules as one, with rows back where they came from."""
        output = outputs[0]
        if self.stacked is None:
            by_part = zip(*outputs, strict=True)
            output = Output._make(None if p[0] is None else torch.stack(p) for p in by_part)
        if not self.adds_offsets:
            return output
        linear = None if output.linear is None else output.linear + self.offsets
        return output._replace(restored=output.restored + self.offsets, linear=linear)

    def release(self):
        """Let the last model own its weights again."""
        if self.stacked is not None:
            # A view would keep the weights of all networks in memory, and in copies and files.
            model = self.models[-1]
            for tensor in itertools.chain(model.parameters(), model.buffers()):
                tensor.data = tensor.data.clone()


def stack_modules(modules):
    """Return a module that computes what several do, each with its own rows."""
    if isinstance(modules[0], nn.Linear | RowLinear):
        return StackedLinear(modules)
    # Everything else acts element by element, or on buffers that it names: the last module does
    # that for all networks, and is copied so that it stays as it is.
    stacked = copy.copy(modules[-1])
    stacked._buffers = dict(stacked._buffers)
    for name in getattr(stacked, "stacked_buffers", ()):
        stacked._buffers[name] = stack_tensors([getattr(module, name) for module in modules])
    stacked._modules = {
        name: stack_modules([module.get_submodule(name) for module in modules])
        for name, _ in modules[-1].named_children()
    }
    return stacked


def stack_parameters(parameters):
    """Return parameters, or buffers in their place, as one, of which they become views."""
    stacked, last = stack_tensors(parameters), parameters[-1]
    return nn.Parameter(stacked, last.requires_grad) if isinstance(last, nn.Parameter) else stacked


def stack_tensors(tensors):
    """Return tensors as one, (n_networks, ...), of which they become views."""
    stacked = torch.stack([tensor.detach() for tensor in tensors])
    # Their data only: they stay the objects that modules, optimizers and callbacks know.
    for tensor, part in zip(tensors, stacked, strict=True):
        tensor.data = part
    return stacked
