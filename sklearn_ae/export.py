"""Export of fitted autoencoders to other runtimes."""

import copy
import warnings

import torch
from sklearn.utils.validation import check_is_fitted

from ._base import BaseAutoencoder

__all__ = ["to_onnx"]

_NAMES = {"encoder": ("X", "codes"), "decoder": ("codes", "X"), "reconstruct": ("X", "X_restored")}


def to_onnx(estimator, path, part="encoder"):
    """Write a part of a fitted autoencoder as an ONNX model.

    The model has the inputs and outputs of the estimator's method: it includes centring, scaling,
    `clip`, and the logistic function of "binary_cross_entropy". Rows are float64 where `fit` saw
    float64, or integers of 32 bits and more, else float32; codes are float32. The number of rows
    is free.

    Parameters
    ----------
    estimator : AutoencoderTransformer or DenoisingAutoencoder
        Fitted.
    path : str or path-like
        The file to write, "….onnx".
    part : {"encoder", "decoder", "reconstruct"}, default="encoder"
        What `transform`, `inverse_transform` or `reconstruct` computes. The model's input is
        named "X", or "codes" for the decoder, its output "codes", "X" or "X_restored".

    Raises
    ------
    ImportError
        Without the packages of the extra ``onnx``.
    NotFittedError
        If the estimator is not fitted.
    TypeError
        If the estimator is not one of this package.
    ValueError
        If there is no such part.

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
        raise TypeError(f"estimator must be an autoencoder of sklearn_ae; got {estimator!r}.")
    if part not in _NAMES:
        raise ValueError(f"part must be one of {list(_NAMES)}; got {part!r}.")
    check_is_fitted(estimator)
    try:
        import onnxscript  # noqa: F401
    except ImportError as error:
        raise ImportError("to_onnx needs more packages: pip install sklearn-ae[onnx]") from error
    model = copy.deepcopy(estimator._model_).cpu()
    module = _Part(model, part, estimator.clip).eval()
    name, output_name = _NAMES[part]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # torch's exporter warns of functions that it calls itself
        torch.onnx.export(
            module,
            (module.make_example(),),
            str(path),
            input_names=[name],
            output_names=[output_name],
            dynamic_shapes=({0: torch.export.Dim("n_rows", min=1)},),
            dynamo=True,
            external_data=False,
            verbose=False,
        )


class _Part(torch.nn.Module):
    """Encoder, decoder or both, with the inputs and outputs of the estimator's methods.

    Parameters
    ----------
    model : Model
        On the CPU.
    part : {"encoder", "decoder", "reconstruct"}
    clip : bool
        Whether reconstructions are clipped to the range of X.
    """

    def __init__(self, model, part, clip):
        super().__init__()
        self.model = model
        self.encodes, self.decodes = part != "decoder", part != "encoder"
        self.clip = clip

    def make_example(self):
        """Return rows or codes that the part takes."""
        if self.encodes:
            return self.model.units.mean.expand(2, -1).clone()
        return torch.zeros(2, self.model.architecture.n_components)

    def forward(self, rows):
        """Compute what the part does."""
        if self.encodes:
            rows = self.model.encoder(self.model.units.make_inputs(rows))
        if self.decodes:
            rows = self.model.units.restore(self.model.decoder(rows), self.clip)
        return rows
