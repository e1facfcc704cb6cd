"""The map from latents to small pictures inside a bundle, so that no run has to fit one."""

from dataclasses import replace

from .. import names
from ..bundle import Bundle
from ..errors import UsageError
from ..pipeline.autoencoder import Autoencoder
from ..pipeline.preview import OBSERVATIONS
from ..pipeline.stages import StageModels
from .bundle import write_description

__all__ = ["PREVIEW_WORK", "fits_quickly", "record_previews"]

#: `convert` fits the map unasked where the VAE's parameters times the latent pixels that are fitted to are no
#: more than this: a few seconds on a CPU. A full-sized VAE at 1024 x 1024 has a hundred times as many.
PREVIEW_WORK = 10_000_000_000

FILE = "preview.safetensors"


def fits_quickly(bundle: Bundle) -> bool:
    """Whether the bundle can decode, and a fit takes seconds on a CPU."""
    vae = [bundle.components[n] for n in (names.VAE_ENCODER, names.VAE_DECODER) if n in bundle.components]
    pixels = max(bundle.latent.height * bundle.latent.width, OBSERVATIONS)
    work = pixels * sum(c.parameters for c in vae)
    return names.VAE_DECODER in bundle.components and work <= PREVIEW_WORK


def record_previews(bundle: Bundle) -> Bundle:
    """Fit the map to the bundle's VAE on MLX, at the default size, and keep it in the bundle.

    Writes `preview.safetensors` and `preview` in bundle.json; returns the new description. Raises UsageError
    for a bundle without a decoder, EngineError if the VAE fails.
    """
    if names.VAE_DECODER not in bundle.components or bundle.root is None:
        what = "is not on disk" if bundle.root is None else f"has no {names.VAE_DECODER}"
        raise UsageError(
            f"the bundle {bundle.name} {what}, so no previews can be fitted: convert the model with its VAE"
        )
    models = StageModels(bundle, "all")
    try:
        projection = Autoencoder(bundle, models, names.MLX, bundle.size).fitted_projection()
    finally:
        models.close()
    projection.write(bundle.root / FILE)
    recorded = replace(bundle, preview=FILE)
    write_description(recorded)
    return recorded
