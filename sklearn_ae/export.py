"""Fitted autoencoders for other runtimes."""

import warnings

import numpy as np
import torch
from sklearn.utils.validation import check_is_fitted

from ._base import BaseAutoencoder
from ._rows import as_tensor

__all__ = ["to_onnx"]

PARTS = {"encoder": ("X", "codes"), "decoder": ("codes", "X"), "reconstruct": ("X", "X_restored")}


def to_onnx(estimator, path, part="encoder"):
    """Write a part of a fitted autoencoder as an ONNX model.

    The model takes rows as the estimator does and returns what the estimator's method does:
    centring and scaling, and what `clip` or the logistic function of "binary_cross_entropy" do
    at the end, are in it. Rows are float64 where `fit` saw float64, or integers of 32 bits and
    more, else float32; codes are float32. Any number of rows is taken.

    Parameters
    ----------
    estimator : AutoencoderTransformer or DenoisingAutoencoder
        Fitted.
    path : str or path-like
        Of the file to write, "….onnx".
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
        If it is none of this package.
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
    if part not in PARTS:
        raise ValueError(f"part must be one of {list(PARTS)}; got {part!r}.")
    check_is_fitted(estimator)
    try:
        import onnxscript  # noqa: F401
    except ImportError as error:
        raise ImportError("to_onnx needs more packages: pip install sklearn-ae[onnx]") from error
    module = Part(estimator, part).eval()
    name, output_name = PARTS[part]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # torch's exporter warns of what it calls itself
        torch.onnx.export(
            module,
            (module.example(),),
            str(path),
            input_names=[name],
            output_names=[output_name],
            dynamic_shapes=({0: torch.export.Dim("n_rows", min=1)},),
            dynamo=True,
            external_data=False,
            verbose=False,
        )


class Part(torch.nn.Module):
    """Encoder, decoder or both, from and to what the estimator takes and returns.

    Parameters
    ----------
    estimator : BaseAutoencoder
        Fitted.
    part : {"encoder", "decoder", "reconstruct"}
    """

    def __init__(self, estimator, part):
        super().__init__()
        copy = estimator.net_.snapshot().module_.cpu().eval()
        self.encoder = None if part == "decoder" else copy.encoder
        self.decoder = None if part == "encoder" else copy.decoder
        self.register_buffer("mean", as_tensor(np.array(estimator.mean_)))
        self.scale = estimator.scale_
        self.is_logit = estimator.net_.criterion_.name == "binary_cross_entropy"
        self.n_components = estimator.n_components_
        seen = estimator._seen_
        self.register_buffer("low", seen.low if estimator.clip else None)
        self.register_buffer("high", seen.high if estimator.clip else None)

    def example(self):
        """Return rows or codes such as the part takes."""
        if self.encoder is None:
            return torch.zeros(2, self.n_components)
        return self.mean.expand(2, -1).clone()

    def forward(self, rows):
        """Compute what the part does."""
        if self.encoder is not None:
            rows = self.encoder(((rows - self.mean) / self.scale).float())
        if self.decoder is None:
            return rows
        decoded = self.decoder(rows)
        if self.is_logit:
            decoded = decoded.sigmoid().to(self.mean.dtype)
        else:
            decoded = decoded.to(self.mean.dtype) * self.scale + self.mean
        return decoded if self.low is None else decoded.clamp(self.low, self.high)
