"""A network in units of X: encode and decode, part by part. Knows nothing of skorch."""

from dataclasses import replace
from typing import NamedTuple

import torch
import torch.nn.functional as F
from sklearn.utils import gen_batches
from torch import nn

from ._codes import change_child, change_copy
from ._networks import make_coders, measure_row_width, set_start
from ._rows import RunningMoments, check_finite, make_rows

# Entries of the largest array that inference makes beside its result: small enough for caches.
CHUNK_ENTRIES = 2**21

# Fewer rows are computed together with zeros. Products of other shapes are summed in another order,
# and scikit-learn checks that a row alone has the result that it has among others, to seven digits.
MIN_ROWS = 64

# Times that missing entries are replaced by their reconstruction. With more, the code depends on
# few observed entries too much: over seven tables it was further from the code of the whole row.
N_FILLS = 2

OUT_OF_MEMORY = (
    "Out of memory on the device. Use a smaller batch_size, smaller layers, or device='cpu'."
)


class Output(NamedTuple):
    """What a network makes of rows: all that a loss needs.

    Several networks that train as one have a dimension in front, n_networks.

    Attributes
    ----------
    restored : tensor of shape (..., n_copies * n, n_outputs)
        Standardised rows, or logits. In training an ordered code has several copies of each row,
        first one of each.
    linear : tensor of the same shape, or None
        Those of the linear path alone.
    divergence : tensor of shape (..., n), or None
        Of the distribution of each row's code from the prior.
    log_noise : tensor of shape (...), or None
        Logarithm of the variance of the decoder's noise.
    """

    restored: torch.Tensor
    linear: torch.Tensor | None = None
    divergence: torch.Tensor | None = None
    log_noise: torch.Tensor | None = None

    def float(self):
        """Return this output in float32."""
        return Output(*(None if part is None else part.float() for part in self))


class Model(nn.Module):
    """An encoder, a decoder that begins with the code, and the units of X.

    As a module it maps u to û; `compute_output` returns what training needs; `encode` and `decode`
    are in units of X.

    Parameters
    ----------
    architecture : Architecture
    units, input_units : Units
        Of reconstructions, and of what is encoded: they differ for pairs of damaged and clean rows.
    encoder : Encoder
        Maps standardised rows u (n, n_features) to codes z (n, n_components).
    decoder : Decoder
        Maps z to û (n, n_outputs).
    row_width : int
        Largest number of values per row in any layer's output.
    estimator_name : str
        For error messages.
    fill : FillMissing or None, default=None
        Fills missing values before the networks see a row.
    """

    def __init__(
        self,
        architecture,
        units,
        input_units,
        encoder,
        decoder,
        row_width,
        estimator_name,
        fill=None,
    ):
        super().__init__()
        self.architecture = architecture
        self.units = units
        self.input_units = input_units
        self.encoder = encoder
        self.decoder = decoder
        self.row_width = row_width
        self.estimator_name = estimator_name
        self.fill = fill

    @property
    def code(self):
        """What stands between encoder and decoder."""
        return self.decoder.code

    @property
    def path_to_rows(self):
        """The decoder's linear path, or None if there is none or if it computes logits."""
        return None if self.units.has_logits else self.decoder.linear

    def forward(self, u):
        """Map standardised rows (n, n_features) to their reconstruction (n, n_outputs)."""
        return self.decoder(self.compute_codes(u))

    def compute_output(self, u):
        """Return the `Output` for standardised rows; in training codes are cut or drawn.

        Parameters
        ----------
        u : tensor of shape (..., n, n_features)
        """
        # (..., n, n_components), or mean and log-variance of each
        codes = self.encoder(u)
        # (..., n_copies * n, n_outputs)
        restored, linear = self.decoder.decode(self.code(codes))
        divergence, log_noise = self.code.measure(codes)
        return Output(restored, linear, divergence, log_noise)

    def compute_outputs(self, u, sizes):
        """Yield the `Output` for standardised rows for each of some code sizes; None for all."""
        codes = self.encoder(u)
        divergence, log_noise = self.code.measure(codes)
        for size in sizes:
            restored, linear = self.decoder.decode(self.code(codes[..., :size]))
            yield Output(restored, linear, divergence, log_noise)

    def set_start(self, start):
        """Set the linear path to a `LinearStart`."""
        set_start(self.encoder, self.decoder, start)

    def list_linear_path(self):
        """Return the parameters of the linear path."""
        layers = [coder.linear for coder in (self.encoder, self.decoder) if coder.linear]
        return [parameter for layer in layers for parameter in layer.parameters()]

    def fill_missing(self, u):
        """Return standardised rows without NaN, if missing values can be filled."""
        fill = self.code.make_fill(self.path_to_rows) or self.fill
        return u if fill is None else fill(u)

    def complete_inputs(self, u, rows):
        """Return standardised rows of X without NaN, or raise an error if a number is infinite.

        Where training has seen no missing values, they are filled by reconstruction.
        """
        u = self.fill_missing(u)
        if has_finite_sum(u):
            return u
        check_finite(rows, self.estimator_name, allow_nan=True)
        if self.input_units is not self.units and rows.isnan().any():
            # they have no reconstruction that could fill them
            raise ValueError("X contains NaN: damaged rows of pairs must have no missing values.")
        if self.fill is None:
            u = fill_by_reconstruction(self, u)
        check_finite(u, self.estimator_name)
        return u

    def compute_codes(self, u):
        """Map standardised rows to codes (n, n_components): the means of distributions."""
        return self.encoder(u)[..., : self.architecture.n_components]

    def truncate(self, n_components):
        """Return a model with these weights whose ordered code has only the first components."""
        code = self.code.truncate(n_components)
        end = self.encoder.end.truncate(code.n_components)
        solved_sizes = [k for k in self.architecture.solved_sizes if k <= code.n_components]
        copy = change_copy(self)
        copy.architecture = replace(
            self.architecture, n_components=code.n_components, solved_sizes=solved_sizes
        )
        copy._modules = {
            **self._modules,
            "encoder": change_child(self.encoder, "end", end),
            "decoder": self.decoder.truncate(code, len(solved_sizes)),
        }
        return copy

    def can_train(self):
        """Tell whether any parameter can be trained."""
        return any(parameter.requires_grad for parameter in self.parameters())

    def get_device(self):
        """Return the device of the networks."""
        return self.units.mean.device

    def get_dtype(self):
        """Return the dtype of reconstructions, in which X is also centred and scaled."""
        return self.units.mean.dtype

    def encode(self, rows):
        """Return the codes (n, n_components) of rows of X (n, n_features).

        Rows and codes are checked to be finite.
        """
        u = self.complete_inputs(self.input_units.make_inputs(rows), rows)
        return check_results(run_network(self.compute_codes, u), "codes")

    def encode_distribution(self, rows):
        """Return what the encoder makes of rows of X: means and log-variances of Gaussian codes."""
        u = self.input_units.make_inputs(rows)
        codes = run_network(self.encoder, self.complete_inputs(u, rows))
        return check_results(self.code.widen(codes, u, self.path_to_rows), "codes")

    def decode(self, codes, clip=False):
        """Return the rows of X (n, n_outputs) of codes (n, n_components).

        Codes and rows are checked to be finite.
        """
        if not has_finite_sum(codes):  # under assume_finite scikit-learn has not checked them
            check_finite(codes, None)
        outputs = run_network(self.decoder, codes)
        return check_results(self.units.restore(outputs, clip), "reconstructions")

    def reconstruct(self, rows, clip=False):
        """Encode and decode rows of X."""
        return self.decode(self.encode(rows), clip)

    def compute_scores(self, rows, clip=False):
        """Return minus the mean squared error of each reconstructed row, (n,), float64.

        A row without any value has no error: its score is NaN.
        """
        # in float64: the square of a large number can be too large for float32
        errors = (rows - self.reconstruct(rows, clip).double()).square_()
        # of a row with missing entries, whose errors are NaN, the mean over the others
        scores = -errors.mean(dim=1)
        return torch.where(scores.isnan(), -errors.nanmean(dim=1), scores)

    def compute_r2(self, rows, clip=False):
        """Return R² of the reconstruction of `Rows`, weighted by variance."""
        sums = RunningMoments()
        for _, block in self.read_parts(rows):
            sums.add(block, self.reconstruct(block, clip))
        return sums.compute().compute_r2()

    def make_rows(self, X):
        """Return the `Rows` of a table or of codes, on the device of the networks."""
        return make_rows(X, self.get_device(), self.estimator_name)

    def read_parts(self, rows):
        """Yield slices over `Rows` and the rows there, as many as fit into `CHUNK_ENTRIES`."""
        for part in gen_batches(len(rows), max(1, CHUNK_ENTRIES // self.row_width)):
            yield part, rows.read(part)

    def map_rows(self, compute, rows, result):
        """Fill the tensor `result` with what `compute` returns for each part of `Rows`."""
        for part, block in self.read_parts(rows):
            result[part] = compute(block)
        return result


def make_model(architecture, units, input_units, generator, start, estimator_name, fill=None):
    """Return a new model.

    Parameters
    ----------
    architecture : Architecture
    units, input_units : Units
        As in `Model`.
    generator : torch.Generator
        Draws the weights.
    start : LinearStart or None
        Weights of the linear path.
    estimator_name : str
    fill : FillMissing or None, default=None
    """
    encoder, decoder = make_coders(architecture, units.scale, generator)
    model = Model(architecture, units, input_units, encoder, decoder, 0, estimator_name, fill)
    if start is not None:
        model.set_start(start)
    model.row_width = measure_row_width(model, architecture.n_features, generator)
    return model


@torch.no_grad()
def run_network(network, rows):
    """Return network(rows), or raise a MemoryError if the device has too little memory for it."""
    n_rows = len(rows)
    if n_rows < MIN_ROWS:
        rows = F.pad(rows, (0, 0, 0, MIN_ROWS - n_rows))
    try:
        return network(rows)[:n_rows]
    except RuntimeError as error:
        if is_out_of_memory(error):
            raise MemoryError(OUT_OF_MEMORY) from error
        raise


def fill_by_reconstruction(model, u):
    """Return standardised rows whose missing entries are what the autoencoder makes of the row.

    They start at the means, and are replaced by their reconstruction [1]_, as many times for every
    row: its code must not depend on the rows beside it.

    Parameters
    ----------
    model : Model
        Trained on rows without missing values.
    u : tensor of shape (n_rows, n_features)

    References
    ----------
    .. [1] Josse and Husson, "Handling missing values in exploratory multivariate data analysis
       methods", Journal de la SFdS 153, 2012.
    """
    # only incomplete rows are computed again: (n_incomplete, n_features)
    u = u.as_subclass(torch.Tensor)
    index = u.isnan().any(dim=1).nonzero().squeeze(1)
    if not len(index):
        return u
    units, is_missing = model.units, u[index].isnan()
    means = units.standardize(units.feature_mean).to(u)
    rows = torch.where(is_missing, means, u[index])
    for _ in range(N_FILLS):
        outputs = run_network(model.decoder, run_network(model.compute_codes, rows))
        rows = torch.where(is_missing, units.standardize(units.restore(outputs)).to(u), rows)
    return u.index_copy(0, index, rows)


def is_out_of_memory(error):
    """Tell whether an error means that memory was lacking; on a CPU torch has no class for it."""
    return isinstance(error, torch.OutOfMemoryError) or (
        isinstance(error, RuntimeError) and "DefaultCPUAllocator" in str(error)
    )


def has_finite_sum(values):
    """Tell whether the sum is finite. If it is, all values are; if not, it may have overflowed."""
    return bool(values.sum().isfinite())


def check_results(values, what):
    """Return the results of a network, or raise a ValueError if they are not finite."""
    if has_finite_sum(values) or values.isfinite().all():
        return values
    raise ValueError(
        f"The {what} of X are not finite: X has values too far from those in fit for float32."
    )


def make_result(X, dtype, *shape):
    """Return an empty tensor for results, on the device of X if that is a tensor."""
    device = X.device if isinstance(X, torch.Tensor) else "cpu"
    return torch.empty(shape, dtype=dtype, device=device)
