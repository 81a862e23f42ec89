"""Beyond the rows of training a network goes on as the linear start does.

No test on held-out rows sees the next extreme row, and a network extrapolates as it likes. What it
adds to the start is therefore computed at the nearest point of a box around what it has seen.
"""

from dataclasses import replace

import torch
from torch import nn

MAX_ROWS = 10_000  # that a box is found by, spread evenly over X, beside the range of all
MAX_ENTRIES = 2**21  # of these rows, so that wide rows are fewer
PART_ROWS = 64  # at once: batches, so that a sparse table is never dense as a whole

# The box is larger than the range by this share of it on each side: rows that are just outside are
# still like those of training. Over 86 fits on 43 tables the R² on new rows is 0.001 higher than
# without it, and with wild values in 1 % of the rows as high.
MARGIN = 0.05

# What the decoder adds to the start has faded away so many widths of the box beyond it: what is
# right at the border may be wrong for a code far beyond it. With wild values the worst of these
# fits is 0.01 below PCA; if it faded half as fast it would be 0.06 below.
FADING = 1.0


class LinearExtrapolation(nn.Module):
    """Replaces what a network returns for inputs outside of a box.

    For an input x, with the nearest point x° of the box, a network n and the linear start s, it is

        s(x) + w (n(x°) - s(x°))

    Inside of the box that is n(x). The weight w is 1, or falls from 1 to 0 with the distance
    between x and the box if the difference shall fade away.

    Parameters
    ----------
    start : torch.nn.Module
        The linear path as it is before training; it is not trained.
    n_features : int
        Of an input.
    fades : bool
    is_used : bool, default=False
        Whether the box is known. Until then, and in training, outputs stay as they are.

    Attributes
    ----------
    low, high : tensors of shape (n_features,)
        The range of the inputs in training, which the box surrounds.
    """

    def __init__(self, start, n_features, fades, is_used=False):
        super().__init__()
        # buffers, because optimizers and counts of parameters should not see them
        for name, tensor in list(start.named_parameters()):
            delattr(start, name)
            start.register_buffer(name, tensor.detach())
        self.start = start
        self.fades, self.is_used = fades, is_used
        # zero is always inside: the components that a shorter code lacks are zero
        self.register_buffer("low", torch.zeros(n_features))
        self.register_buffer("high", torch.zeros(n_features))

    @torch.no_grad()
    def widen(self, inputs):
        """Let the range include some inputs (n, n_features)."""
        self.low.copy_(torch.minimum(self.low, inputs.amin(dim=0)))
        self.high.copy_(torch.maximum(self.high, inputs.amax(dim=0)))

    def forward(self, x, outputs, network):
        """Return the outputs for inputs x, changed where these are outside of the box.

        Parameters
        ----------
        x : tensor of shape (..., n, n_features)
        outputs : tensor of shape (..., n, n_outputs)
            What the network returns for x.
        network : callable
        """
        if self.training or not self.is_used:
            return outputs
        is_outside = (x != self.clip(x)).any(dim=-1)  # (..., n)
        if torch.jit.is_tracing() or torch.compiler.is_compiling():
            # what is exported may not depend on the rows that it is exported with
            return torch.where(is_outside.unsqueeze(-1), self.extrapolate(x, network), outputs)
        if not is_outside.any():
            return outputs
        changed = outputs.clone()
        changed[is_outside] = self.extrapolate(x[is_outside], network)
        return changed

    def clip(self, x):
        """Return the nearest point of the box."""
        margin = MARGIN * (self.high - self.low)
        return x.clamp((self.low - margin).to(x), (self.high + margin).to(x))

    def extrapolate(self, x, network):
        """Return the outputs for inputs x (..., n, n_features) outside of the box."""
        inside = self.clip(x)
        difference = network(inside) - self.start(inside)
        if self.fades:
            widths = (self.high - self.low).clamp(min=torch.finfo(torch.float32).tiny).to(x)
            distance = ((x - inside).abs() / widths).amax(dim=-1, keepdim=True)  # (..., n, 1)
            difference = difference * (1 - distance / FADING).clamp(min=0)
        return self.start(x) + difference


@torch.no_grad()
def set_boxes(model, task, ranks):
    """Let a trained model go on as its start does beyond the rows of a task.

    Parameters
    ----------
    model : Model
        With a linear path; others stay as they are. Boxes of an earlier training are widened.
    task : Reconstruct
    ranks : OneProcess or AllRanks
        The first one reads the rows.
    """
    if not model.architecture.has_linear_path:
        return
    model.eval()
    ranks.agree_on(lambda: widen_boxes(model.encoder, model.decoder, task))
    model.architecture = replace(model.architecture, has_box=True)
    for coder in (model.encoder, model.decoder):
        coder.extrapolation.is_used = True


def widen_boxes(encoder, decoder, task):
    """Let the boxes of an encoder and a decoder include the rows of a task, and their codes."""
    # those of rows as they are, (2, n_features), and of some as the networks see them
    encoder.extrapolation.widen(task.input_units.standardize_range())
    generator = torch.Generator(task.device).manual_seed(0)
    n_rows = min(MAX_ROWS, max(PART_ROWS, MAX_ENTRIES // task.rows.shape[1]))
    index = torch.arange(0, len(task), -(-len(task) // n_rows), device=task.rows.home)
    for part in index.split(PART_ROWS):
        seen, _ = task.draw_filled(part, generator)
        encoder.extrapolation.widen(seen.as_subclass(torch.Tensor))
        decoder.extrapolation.widen(decoder.code(encoder(seen)))
