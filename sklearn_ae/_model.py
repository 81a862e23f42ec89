"""A trained network in units of X: encode and decode, part by part. Knows nothing of skorch."""

from dataclasses import replace

import torch
from sklearn.utils import gen_batches
from torch import nn

from ._moments import ObservedMoments, RunningMoments
from ._networks import KeepFirst, decode_by_parts, decode_sizes, make_coders, measure_row_width
from ._rows import check_finite
from ._sparse_batch import pad_rows

# Entries of the largest array that inference makes beside its result: small enough for caches.
CHUNK_ENTRIES = 2**21

# Linear algebra libraries choose their order of summation by the shapes. Padded to a multiple of
# this, a row has the same code whatever other rows it is passed with.
ROW_MULTIPLE = 64

# Times that missing entries are replaced by their reconstruction. With more, the code depends on
# few observed entries too much: over seven tables it was further from the code of the whole row.
N_FILLS = 2

OUT_OF_MEMORY = (
    "Out of memory on the device. Use a smaller batch_size, smaller layers, or device='cpu'."
)


class Model(nn.Module):
    """An encoder, a decoder, and the units of X.

    As a module it maps u to û, which is what is trained; `encode` and `decode` are in units of X.

    Parameters
    ----------
    architecture : Architecture
    units, input_units : Units
        Of reconstructions, and of what is encoded: they differ for pairs of damaged and clean rows.
    encoder, decoder : torch.nn.Module
        Map standardised rows u (n, n_features) to codes z (n, n_components), and z to û.
    row_width : int
        Largest number of values per row in any layer's output.
    estimator_name : str
        For error messages.
    fill : FillMissing or None, default=None
        Fills missing values before the networks see a row.
    """

    returns_linear = False

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

    def forward(self, u):
        """Map standardised rows (n, n_features) to their reconstruction.

        In training an ordered code has several reconstructions of each row, first one of each, and
        that of a variational autoencoder is followed by the distribution of the code. With
        `returns_linear` there are also those of the linear path alone.
        """
        if not self.training:
            return self.decoder(self.compute_codes(u))
        codes = self.encoder(u)
        return decode_by_parts(self.decoder, codes) if self.returns_linear else self.decoder(codes)

    def fill_missing(self, u):
        """Return standardised rows without NaN, if missing values can be filled."""
        return u if self.fill is None else self.fill(u)

    def make_inputs(self, rows):
        """Return rows of X as the networks take them: standardised and filled."""
        return self.fill_missing(self.input_units.make_inputs(rows))

    def complete_inputs(self, u, rows):
        """Return standardised rows of X without NaN, or raise an error if a number is infinite.

        Where training has seen no missing values, they are filled by reconstruction.
        """
        u = self.fill_missing(u)
        if has_finite_sum(u):
            return u
        check_finite(rows, self.estimator_name, allow_nan=self.input_units is self.units)
        if self.fill is None:
            u = fill_by_reconstruction(self, u)
        check_finite(u, self.estimator_name)
        return u

    def compute_codes(self, u):
        """Map standardised rows to codes (n, n_components): the means of distributions."""
        return self.encoder(u)[..., : self.architecture.n_components]

    def reconstruct_sizes(self, u, sizes):
        """Yield the reconstruction of standardised rows (n, n_features) for each code size."""
        return decode_sizes(self, u, sizes)

    def truncate(self, n_components):
        """Return a model with these weights whose code has only the first numbers."""
        encoder = [layer for layer in self.encoder if not isinstance(layer, KeepFirst)]
        encoder = nn.Sequential(*encoder, KeepFirst(n_components))
        architecture = replace(self.architecture, n_components=n_components)
        networks = encoder, self.decoder, self.row_width, self.estimator_name, self.fill
        return Model(architecture, self.units, self.input_units, *networks).train(self.training)

    def can_train(self):
        """Tell whether any parameter can be trained."""
        return any(parameter.requires_grad for parameter in self.parameters())

    def get_device(self):
        """Return the device of the networks."""
        return self.units.mean.device

    def get_dtype(self):
        """Return the dtype of reconstructions, in which X is also centred and scaled."""
        return self.units.mean.dtype

    def encode(self, rows, with_spread=False):
        """Return the codes (n, n_components) of rows of X (n, n_features).

        With `with_spread` the log-variances of their distributions follow the means. Rows and codes
        are checked to be finite.
        """
        u = self.complete_inputs(self.input_units.make_inputs(rows), rows)
        return check_results(
            run_padded(self.encoder if with_spread else self.compute_codes, u), "codes"
        )

    def decode(self, codes, clip=False):
        """Return the rows of X (n, n_features) of codes (n, n_components).

        Codes and rows are checked to be finite.
        """
        if not has_finite_sum(codes):  # under assume_finite scikit-learn has not checked them
            check_finite(codes, self.estimator_name)
        outputs = run_padded(self.decoder, codes)
        return check_results(self.units.restore(outputs, clip), "reconstructions")

    def reconstruct(self, rows, clip=False):
        """Encode and decode rows of X."""
        return self.decode(self.encode(rows), clip)

    def compute_scores(self, rows, clip=False):
        """Return minus the mean squared error of each reconstructed row, (n,), float64."""
        # the square of a large number can be too large for float32
        errors = (rows - self.reconstruct(rows, clip).double()).square_()
        scores = -errors.mean(dim=1)
        has_holes = scores.isnan()
        if has_holes.any():  # the mean of the entries that are observed
            scores[has_holes] = -errors[has_holes].nanmean(dim=1).nan_to_num(nan=0.0)
        return scores

    def compute_r2(self, rows, clip=False):
        """Return R² of the reconstruction of `Rows`, weighted by variance."""
        sums = self.sum_rows(RunningMoments(), rows, clip)
        if not sums.is_finite():
            sums = self.sum_rows(ObservedMoments(), rows, clip)
        return sums.compute().compute_r2()

    def sum_rows(self, sums, rows, clip):
        """Add `Rows` and their reconstruction to sums, as long as these are finite."""
        for _, block in self.read_parts(rows):
            sums.add(block, self.reconstruct(block, clip))
            if not sums.is_finite():
                break
        return sums

    def read_parts(self, rows):
        """Yield slices over `Rows` and the rows there, as many as fit into `CHUNK_ENTRIES`."""
        n_rows = CHUNK_ENTRIES // self.row_width
        n_rows = max(n_rows - n_rows % ROW_MULTIPLE, ROW_MULTIPLE)
        for part in gen_batches(len(rows), n_rows):
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
    encoder, decoder = make_coders(architecture, units, generator, start)
    model = Model(architecture, units, input_units, encoder, decoder, 0, estimator_name, fill)
    model.row_width = measure_row_width(model, architecture.n_features, generator)
    return model


@torch.no_grad()
def run_padded(module, rows):
    """Return module(rows), computed with rows added up to a multiple of `ROW_MULTIPLE`."""
    n_rows = len(rows)
    n_missing = -n_rows % ROW_MULTIPLE
    try:
        return module(pad_rows(rows, n_missing) if n_missing else rows)[:n_rows]
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
    u = u.as_subclass(torch.Tensor)
    index = u.isnan().any(dim=1).nonzero().squeeze(1)
    if not len(index):
        return u
    units, is_missing = model.units, u[index].isnan()
    means = units.standardize(units.feature_mean).to(u)
    rows = torch.where(is_missing, means, u[index])
    for _ in range(N_FILLS):
        outputs = run_padded(model.decoder, run_padded(model.compute_codes, rows))
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
