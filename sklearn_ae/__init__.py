"""Autoencoders as scikit-learn transformers, starting where PCA ends."""

from ._autoencoder import AutoencoderTransformer
from ._denoising import DenoisingAutoencoder

__all__ = ["AutoencoderTransformer", "DenoisingAutoencoder"]
__version__ = "0.1.0"
