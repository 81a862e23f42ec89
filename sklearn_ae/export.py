"""Export of fitted autoencoders to other runtimes."""

import copy
import logging
import os
import tempfile
import warnings
from pathlib import Path

import numpy as np
import torch
from sklearn.utils.validation import check_is_fitted

from ._base import BaseAutoencoder
from ._isolation import isolate_torch

__all__ = ["to_onnx"]

_DTYPES = {np.dtype(np.float32): torch.float32, np.dtype(np.float64): torch.float64}

# A larger model needs a second file for its weights: it is the limit of the format.
_MAX_BYTES = 2**31

_NAMES = {"encoder": ("X", "codes"), "decoder": ("codes", "X"), "reconstruct": ("X", "X_restored")}


@isolate_torch()
def to_onnx(estimator, path, part="encoder", dtype=None):
    """Write a part of a fitted autoencoder as an ONNX model.

    The model has the inputs and outputs of the estimator's method: it includes centring, scaling,
    `clip`, and the logistic function of "binary_cross_entropy". Codes are float32; rows have the
    dtype of the estimator's reconstructions, or `dtype`. The number of rows is free. Rows must have
    no missing values: what the estimator fills them with is not in the model.

    Parameters
    ----------
    estimator : autoencoder of this package
        Fitted. The encoder of a variational autoencoder returns the means of the codes.
    path : str, path-like or binary file object
        The file to write, "….onnx", or what is open for writing bytes: `io.BytesIO()`,
        `open(…, "wb")`. A file is written once the model is complete, in place of one of that
        name. Models above 2 GB get a second file beside it, "….onnx.data".
    part : {"encoder", "decoder", "reconstruct"}, default="encoder"
        What `transform`, `inverse_transform` or `reconstruct` computes. The model's input is
        named "X", or "codes" for the decoder, its output "codes", "X" or "X_restored".
    dtype : {None, "float32", "float64"} or NumPy dtype, default=None
        Dtype of the rows that the model takes and returns. None means float64 if `fit` saw
        float64, or integers of 32 bits and more, and float32 otherwise. With "float32" the model
        computes in float32 only, which some runtimes need. Centring then loses the digits that
        float32 has no room for: where the mean of a feature is 1000 times the deviations from
        it, three of seven are lost.

    Raises
    ------
    FileNotFoundError
        If the folder of the file does not exist.
    ImportError
        Without the packages of the extra ``onnx``.
    IsADirectoryError
        If `path` is a folder.
    NotFittedError
        If the estimator is not fitted.
    TypeError
        If the estimator is not one of this package, or if `path` is neither a path nor a file
        that takes bytes.
    ValueError
        If there is no such part, if `dtype` is not float32 or float64, or if the model is too
        large for a file object.

    Warns
    -----
    UserWarning
        If the estimator was fitted to rows with missing values, and the part takes rows.

    References
    ----------
    .. [1] `Open Neural Network Exchange <https://onnx.ai>`__

    Examples
    --------
    >>> import tempfile
    >>> import onnxruntime
    >>> from sklearn.datasets import load_digits
    >>> from sklearn_ae import AutoencoderTransformer
    >>> from sklearn_ae.export import to_onnx
    >>> X, _ = load_digits(return_X_y=True)
    >>> autoencoder = AutoencoderTransformer(8, max_epochs=1, random_state=0).fit(X)
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     to_onnx(autoencoder, f"{folder}/encoder.onnx")
    ...     session = onnxruntime.InferenceSession(f"{folder}/encoder.onnx")
    >>> (codes,) = session.run(None, {"X": X})
    >>> codes.shape
    (1797, 8)
    """
    if not isinstance(estimator, BaseAutoencoder):
        raise TypeError(
            "estimator must be an autoencoder of sklearn_ae; got an object of type "
            f"{type(estimator).__name__}. Of a pipeline, pass the step."
        )
    if part not in _NAMES:
        raise ValueError(f"part must be one of {list(_NAMES)}; got {part!r}.")
    check_is_fitted(estimator)
    model = estimator._model_
    try:
        torch_dtype = model.get_dtype() if dtype is None else _DTYPES[np.dtype(dtype)]
    except (KeyError, TypeError) as error:
        raise ValueError(f"dtype must be None, 'float32' or 'float64'; got {dtype!r}.") from error
    is_file = _check_destination(path, model)
    try:
        import onnxscript  # noqa: F401
    except ImportError as error:
        raise ImportError("to_onnx needs more packages: pip install sklearn-ae[onnx]") from error
    if model.fill is not None and part != "decoder":
        warnings.warn(
            "The estimator fills missing values; the exported model does not, and makes NaN of "
            "them. Fill them before rows are given to it, e.g. with AutoencoderImputer.",
            stacklevel=3,
        )
    # The dtype of the units is that of the exported rows: the estimator keeps its own.
    model = copy.deepcopy(model).cpu()
    for units in (model.units, model.input_units):
        units.to(torch_dtype)
    program = _export(model, part, estimator.clip)
    if is_file:
        path.write(program.model_proto.SerializeToString())
    else:
        _save_whole(program, path)


def _check_destination(path, model):
    """Tell whether `path` is a file object, or raise an error if nothing can be written there."""
    if not isinstance(path, str | os.PathLike):
        # Nothing else tells whether a file object is open, and takes bytes.
        try:
            path.write(b"")
        except (AttributeError, TypeError) as error:
            raise TypeError(
                "path must be a str, a path-like object, or a file that is open for writing bytes, "
                f"such as io.BytesIO() or open(…, 'wb'); got {path!r}."
            ) from error
        if sum(parameter.nbytes for parameter in model.parameters()) >= _MAX_BYTES:
            raise ValueError("The model has more than 2 GB, too many for one file. Pass a path.")
        return True
    path = Path(os.fsdecode(path))
    if path.is_dir():
        raise IsADirectoryError(f"path must be a file, e.g. 'encoder.onnx'; {path} is a folder.")
    if not path.parent.is_dir():
        raise FileNotFoundError(f"There is no folder {path.parent} to write {path.name} into.")
    return False


def _export(model, part, clip):
    """Return the ONNX program of a part of a model on the CPU."""
    # (2, n_features) or (2, n_components)
    row, n_components = model.input_units.mean, model.architecture.n_components
    example = torch.zeros(2, n_components) if part == "decoder" else row.expand(2, -1).clone()
    # torch's exporter logs that torchvision is missing, which no autoencoder needs, and warns of
    # functions that it calls itself. A level that the user has set, which is not 0, stays.
    logger = logging.getLogger("torch.onnx")
    level = logger.level
    logger.setLevel(level or logging.ERROR)
    try:
        with warnings.catch_warnings(action="ignore"):
            return torch.onnx.export(
                _Part(model, part, clip).eval(),
                (example,),
                input_names=_NAMES[part][:1],
                output_names=_NAMES[part][1:],
                dynamic_shapes=({0: torch.export.Dim("n_rows", min=1)},),
                dynamo=True,
                external_data=False,
                verbose=False,
            )
    finally:
        logger.setLevel(level)


def _save_whole(program, path):
    """Write an ONNX program to a path; if that fails, what was there before stays."""
    path = Path(os.path.realpath(os.fsdecode(path)))
    # A pipe or a device must not be replaced.
    if path.exists() and not path.is_file():
        program.save(str(path))
        return
    # In the same file system, where a file can be replaced at once, and under the same name, from
    # which a large model has that of its second file.
    with tempfile.TemporaryDirectory(prefix=".", dir=path.parent) as folder:
        program.save(str(Path(folder, path.name)))
        # The weights, "….onnx.data", come first: the model is of no use without them.
        for written in sorted(Path(folder).iterdir(), reverse=True):
            written.replace(path.parent / written.name)


class _Part(torch.nn.Module):
    """Encoder, decoder or both, with the inputs and outputs of the estimator's methods.

    Parameters
    ----------
    model : Model
    part : {"encoder", "decoder", "reconstruct"}
    clip : bool
        Whether reconstructions are clipped to the range of X.
    """

    def __init__(self, model, part, clip):
        super().__init__()
        self.model, self.part, self.clip = model, part, clip

    def forward(self, rows):
        """Return codes or reconstructions of rows (n, n_features), or of codes for the decoder."""
        if self.part != "decoder":
            rows = self.model.compute_codes(self.model.input_units.make_inputs(rows))
        if self.part != "encoder":
            rows = self.model.units.restore(self.model.decoder(rows), self.clip)
        return rows
