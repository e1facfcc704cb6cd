"""The bundle's VAE between pictures and the latents that the loop works on.

VAE space = model space / scale + shift. Shape key: C, h, w = the latent, H, W = the picture.
"""

from typing import Any

import numpy as np

from .. import names
from ..bundle import Bundle, Size
from .preview import LatentProjection, fit_projection
from .stages import StageModels

__all__ = ["Autoencoder"]

Array = np.ndarray[Any, Any]


class Autoencoder:
    """Encoder and decoder on one backend, for pictures of one size; arrays are float32, pixels in [-1, 1]."""

    def __init__(self, bundle: Bundle, models: StageModels, backend: str, size: Size) -> None:
        self._bundle, self._models = bundle, models
        self._backend, self._size = backend, size

    def encode(self, picture: Array) -> Array:
        """[1, 3, H, W] → [1, C, h, w], all channels' means; BundleError for a bundle without the encoder."""
        latent = self._bundle.latent
        moments = self._run(names.VAE_ENCODER, names.IMAGE, picture)[names.MOMENTS]  # [1, 2C, h, w]
        mean = moments[:, : latent.channels]
        return np.asarray((mean - np.float32(latent.shift)) * np.float32(latent.scale))

    def decode(self, latents: Array) -> Array:
        """[1, C, h, w] → [1, 3, H, W], not clipped."""
        latent = self._bundle.latent
        scaled = latents / np.float32(latent.scale) + np.float32(latent.shift)
        return self._run(names.VAE_DECODER, names.LATENT, scaled)[names.IMAGE]

    def projection(self) -> LatentProjection:
        """The map for previews: the bundle's, or one that is fitted now."""
        if self._bundle.preview is not None and self._bundle.root is not None:
            return LatentProjection.read(
                self._bundle.root / self._bundle.preview, self._bundle.latent.channels
            )
        return self.fitted_projection()

    def fitted_projection(self) -> LatentProjection:
        """The map for previews, fitted to encoder and decoder."""
        latent = self._bundle.latent_at(self._size.width, self._size.height)
        has_encoder = names.VAE_ENCODER in self._bundle.components
        return fit_projection(latent, self.decode, self.encode if has_encoder else None)

    def _run(self, component: str, name: str, value: Array) -> dict[str, Array]:
        return self._models.run(component, self._backend, {name: value}, self._size)
