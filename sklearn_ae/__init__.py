"""Autoencoders as scikit-learn transformers, starting where PCA ends."""

from ._autoencoder import AutoencoderTransformer

__all__ = ["AutoencoderTransformer"]
__version__ = "0.1.0"
