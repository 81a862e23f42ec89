"""Autoencoders as scikit-learn transformers, starting where PCA ends."""

import sys

try:
    import skorch  # noqa: F401
except AttributeError as error:
    if sys.flags.optimize < 2:
        raise
    raise ImportError(
        "sklearn_ae builds on skorch, which cannot be imported without docstrings. Run python -O "
        "in place of python -OO."
    ) from error

from ._autoencoder import AutoencoderTransformer
from ._denoising import DenoisingAutoencoder
from ._detector import AutoencoderDetector
from ._imputer import AutoencoderImputer
from ._variational import VariationalAutoencoder

__all__ = [
    "AutoencoderDetector",
    "AutoencoderImputer",
    "AutoencoderTransformer",
    "DenoisingAutoencoder",
    "VariationalAutoencoder",
]
__version__ = "0.1.0"
