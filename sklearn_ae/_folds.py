"""Cross-fitting: the networks of all folds, and that of all rows, trained side by side.

Every network makes the same steps on rows of its own. Where the layers are linear and otherwise act
element by element, the networks train as one, by batched products; others train in turn.
"""

import copy
import itertools

import numpy as np
import torch
import torch.nn.functional as F
from torch import nn

from ._batches import Batch, Batches, FixedBatches
from ._correction import get_solved_layers
from ._judging import compute_validation_losses
from ._networks import decode_by_parts, decode_sizes
from ._sparse_batch import RowLinear

LEFT_OUT = 1024  # rows of a fold that are scored at once

# Optimizers that treat every number by itself: networks in one tensor train as each would alone.
ELEMENTWISE = torch.optim.Adam, torch.optim.AdamW, torch.optim.SGD


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
        self.weight = stack_parameters([layer.weight for layer in layers])
        has_bias = layers[-1].bias is not None
        self.bias = stack_parameters([layer.bias for layer in layers]) if has_bias else None

    def forward(self, x):
        """Map (n_networks, n, n_in) to (n_networks, n, n_out)."""
        weight = self.weight if self.is_transposed else self.weight.transpose(1, 2)
        if self.bias is None:
            return torch.bmm(x, weight)
        return torch.baddbmm(self.bias.unsqueeze(1), x, weight)


def stack_parameters(parameters):
    """Return parameters as one, of which they become views."""
    stacked = nn.Parameter(torch.stack([parameter.detach() for parameter in parameters]))
    stacked.requires_grad_(parameters[-1].requires_grad)
    for parameter, part in zip(parameters, stacked.data, strict=True):
        parameter.data = part
    return stacked


def stack_buffers(modules, name):
    """Return buffers of modules as one, of which they become views."""
    stacked = torch.stack([getattr(module, name) for module in modules])
    for module, part in zip(modules, stacked, strict=True):
        setattr(module, name, part)
    return stacked


def stack_modules(modules):
    """Return a module that computes what several do, each with its own rows."""
    if isinstance(modules[0], nn.Linear | RowLinear):
        return StackedLinear(modules)
    stacked = copy.copy(modules[-1])
    own = {name: stack_buffers(modules, name) for name in getattr(stacked, "stacked_buffers", ())}
    stacked._buffers = {**stacked._buffers, **own}
    stacked._modules = {
        name: stack_modules([module.get_submodule(name) for module in modules])
        for name, _ in modules[-1].named_children()
    }
    return stacked


def can_stack(architecture):
    """Tell whether all layers are linear or act element by element."""
    custom = architecture.encoder is not None or architecture.decoder is not None
    return not custom and not architecture.conv_filters


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

    returns_linear = False

    def __init__(self, models, input_offsets, offsets, trains_as_one):
        super().__init__()
        self.models = list(models)  # no submodules: they would count their parameters again
        # added to their outputs, unless these are logits
        self.adds_offsets = not models[-1].units.has_logits
        self.register_buffer("input_offsets", input_offsets.unsqueeze(1), persistent=False)
        self.register_buffer("offsets", offsets.unsqueeze(1), persistent=False)
        self.n_outputs = offsets.shape[-1]
        self.trains_as_one = trains_as_one
        if trains_as_one:
            self.encoder = stack_modules([model.encoder for model in models])
            self.decoder = stack_modules([model.decoder for model in models])

    def named_parameters(self, *args, **kwargs):
        """Yield all parameters, by the names that they have in a single model."""
        if self.trains_as_one:
            yield from super().named_parameters(*args, **kwargs)
            return
        for model in self.models:
            yield from model.named_parameters(*args, **kwargs)

    def train(self, mode=True):
        """Switch all networks to training or to inference."""
        for model in self.models:
            model.train(mode)
        return super().train(mode)

    def forward(self, u):
        """Map standardised rows (n_networks, n, n_features) to their reconstruction.

        What training returns is as in a single model.
        """
        by_parts = self.training and self.returns_linear
        outputs = tuple(self._run(run_coders, u, by_parts))
        return outputs if by_parts else outputs[0]

    def reconstruct_sizes(self, u, sizes):
        """Yield the reconstruction of standardised rows for each code size, as a single model."""
        return self._run(decode_sizes, u, sizes)

    def _run(self, function, u, *args):
        """Yield the outputs of a function of a network and its rows, for all networks as one."""
        u = u - self.input_offsets
        if self.trains_as_one:
            outputs = function(self, u, *args)
        else:
            pairs = zip(self.models, u, strict=True)
            of_models = [function(model, rows, *args) for model, rows in pairs]
            outputs = map(torch.stack, zip(*of_models, strict=True))
        for output in outputs:
            if self.adds_offsets:  # what follows the features is no reconstruction
                output = output + F.pad(self.offsets, (0, output.shape[-1] - self.n_outputs))
            yield output

    def release(self):
        """Let the last model own its weights again."""
        if self.trains_as_one:
            model = self.models[-1]
            for tensor in itertools.chain(model.parameters(), model.buffers()):
                tensor.data = tensor.data.clone()


def run_coders(network, u, by_parts):
    """Return a tuple of the outputs of a network's encoder and decoder."""
    codes = network.encoder(u)
    return decode_by_parts(network.decoder, codes) if by_parts else (network.decoder(codes),)


class FoldBatches(Batches):
    """Training batches of several networks, tensors of shape (n_networks, n_rows, n_features).

    Each network has as many rows in an epoch as X has: its training rows, some of them repeated.

    Parameters
    ----------
    dataset : StandardizedRows
    batch_size, generator, corruption
        As in `Batches`.
    members : list of tensor
        The indices of the rows of each network.
    """

    def __init__(self, dataset, batch_size, generator, corruption, members):
        super().__init__(dataset, batch_size, generator, corruption)
        self.u = read_all(dataset)
        self.members = members
        self.weight = torch.tensor(float(len(members)), device=self.u.device)

    def __iter__(self):
        order = torch.stack([self.draw_order(rows) for rows in self.members])
        for index in self.cut(order):
            inputs, targets = self.make_pair(self.u[index.to(self.u.device)])
            # the sum of the networks' losses: each has the gradient that it would have alone
            yield Batch(inputs, targets, index.shape[1], self.weight)

    def draw_order(self, rows):
        """Return as many of a network's rows as X has, each before any comes again."""
        n_passes = -(-len(self.index) // len(rows))
        passes = [torch.randperm(len(rows), generator=self.generator) for _ in range(n_passes)]
        return rows[torch.cat(passes)[: len(self.index)]]


class LeftOutBatches(Batches):
    """The rows that judge each fold's network, which has not seen them; the same in all epochs.

    Parameters
    ----------
    dataset, generator, corruption
        As in `Batches`.
    folds : list of tensor
        The indices of the rows of each fold.
    """

    def __init__(self, dataset, generator, corruption, folds):
        super().__init__(dataset, LEFT_OUT, generator, corruption)
        self.inputs, self.targets = dataset.split(read_all(dataset))
        if corruption is not None:
            self.inputs = corruption(self.inputs, self.noise)
            self.targets = self.choose_targets(self.inputs, self.targets)
        self.is_judging = np.isin(np.arange(len(dataset)), torch.cat(folds).numpy())
        n_most = max(map(len, folds))
        # a shorter fold has its first rows again; the last network, of all rows, has any
        padded = [fold[torch.arange(n_most) % len(fold)] for fold in folds]
        self.folds = torch.stack([*padded, padded[0]])

    def __iter__(self):
        for index in self.cut(self.folds.to(self.targets.device)):
            yield Batch(self.inputs[index], self.targets[index], index.shape[1])

    def read_targets(self):
        """Yield the targets of the rows that judge."""
        yield self.targets[torch.from_numpy(self.is_judging).to(self.targets.device)]

    def arrange(self, losses):
        """Return the losses (n_networks, n_most) of the folds' rows in the order of X."""
        arranged = np.full(len(self.index), np.nan)
        arranged[self.folds[:-1].numpy()] = losses[:-1]
        return arranged[self.is_judging]


def read_all(dataset):
    """Return all rows of a dataset as one plain tensor."""
    return dataset[:].as_subclass(torch.Tensor)


class CrossFitTrial:
    """What a net trains and is judged by where its `train_split` is a `CrossFit`.

    Parameters
    ----------
    net : AutoencoderNet
    X : StandardizedRows
    """

    def __init__(self, net, X):
        split = net.train_split
        self.net = net
        models = [*(model.to(net.device) for model in split.models), net.module_]
        offsets = (
            torch.cat([of_folds, torch.zeros_like(of_folds[:1])]).to(net.device)
            for of_folds in (split.input_offsets, split.offsets)
        )
        as_one = can_stack(net.module_.architecture) and type(net.optimizer_) in ELEMENTWISE
        self.network = Networks(models, *offsets, as_one)
        folds = [torch.from_numpy(rows) for rows in split.valid]
        members = [*map(torch.from_numpy, split.train), torch.arange(len(X))]
        drawing = net.iterator_train__generator, net.iterator_train__corruption
        self.X, self.drawing = X, drawing
        self.batches = FoldBatches(X, net.batch_size, *drawing, members)
        self.held_out = LeftOutBatches(X, *drawing, folds)
        self.optimizer = net.optimizer_
        args, options = net.get_params_for_optimizer("optimizer", self.network.named_parameters())
        net.optimizer_ = net.optimizer(*args, **options)

    def measure_training_rows(self):
        """Return the mean loss of the network of all rows on these rows."""
        batches = FixedBatches(self.X, LEFT_OUT, *self.drawing)
        options = {"network": self.net.module_, "fits_noise": True}
        return compute_validation_losses(self.net, batches, **options).mean()

    def list_models(self):
        """Return the models of the folds and that of all rows."""
        return self.network.models

    def list_solved_layers(self):
        """Return the layers of the decoders that are solved in closed form."""
        networks = [self.network] if self.network.trains_as_one else self.network.models
        return [get_solved_layers(network) for network in networks]

    def close(self):
        """Leave the net with the network of all rows, and its optimizer."""
        self.network.release()
        self.net.optimizer_ = self.optimizer
