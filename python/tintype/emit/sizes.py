"""The pictures' sizes: the caller's or the checkpoint's own, and how large they may be."""

from collections.abc import Sequence
from typing import Any

from .. import names
from ..bundle import Size
from ..errors import CheckpointError, UsageError
from ..models.vae import VAEConfig
from ..values import is_count, shown
from .families import TransformerConfig

__all__ = ["chosen_sizes"]

#: The latent's side where the config names none: images of 1024 × 1024, which the models were trained with.
DEFAULT_LATENT_SIDE = 128

#: Elements of the largest value between two ops: as float16 the 4 GiB at which arrays of Metal's graphs end,
#: by which Core ML computes on a GPU.
MAX_ELEMENTS = 2**31

#: The longest side that is looked at; far below it, arrays end.
MAX_SIDE = 2**20


def chosen_sizes(
    wanted: Sequence[tuple[int, int]],
    transformer: TransformerConfig,
    autoencoder: VAEConfig,
    sample_size: Any,
    components: Sequence[str],
) -> tuple[Size, ...]:
    """`wanted`, (width, height) in pixels, or the square that the model was trained with.

    UsageError for a size that the model does not take; CheckpointError where it is the config's
    `sample_size`.
    """
    if not wanted:
        return (_own_size(transformer, autoencoder, sample_size, components),)
    repeated = next((s for i, s in enumerate(wanted) if s in wanted[:i]), None)
    if repeated is not None:
        raise UsageError(f"size: {repeated[0]}x{repeated[1]} is there twice: name every size once")
    for size in wanted:
        complaint = _complaint(size, transformer, autoencoder, components)
        if complaint:
            raise UsageError(f"size: {complaint}")
    return tuple(Size(*size) for size in wanted)


def _own_size(
    transformer: TransformerConfig, autoencoder: VAEConfig, sample_size: Any, components: Sequence[str]
) -> Size:
    side = DEFAULT_LATENT_SIDE if sample_size is None else sample_size
    complaint = "expected an integer of at least 1"
    if is_count(side):
        size = (side * autoencoder.downscale,) * 2
        complaint = _complaint(size, transformer, autoencoder, components)
    if complaint:
        raise CheckpointError(
            f"transformer/config.json: sample_size is {shown(sample_size)}, and so {complaint}: "
            "correct it, or name the size"
        )
    return Size(*size)


def _complaint(
    size: tuple[int, int], transformer: TransformerConfig, autoencoder: VAEConfig, components: Sequence[str]
) -> str:
    """What is wrong with a size; empty if nothing is."""
    multiple = autoencoder.downscale * transformer.patch
    for name, value in zip(("width", "height"), size, strict=True):
        if not is_count(value) or value % multiple:
            return f"the {name} is {shown(value)}, expected a positive multiple of {multiple}"
    width, height = size
    if max(size) > MAX_SIDE:
        return f"a side of {shown(max(size))} pixels is beyond {MAX_SIDE}: choose a smaller size"
    largest = getattr(transformer, "pos_embed_max_size", None)  # FLUX has no table
    if largest is not None and max(size) > largest * multiple:
        side = largest * multiple
        return (
            f"{width}x{height} is beyond {side}x{side}, where the position table ends "
            f"(pos_embed_max_size {largest}): choose a smaller size"
        )
    tokens = width * height // multiple**2
    rows = {
        # The MLP's hidden values, and the image at the first width that the decoder upsamples it with.
        names.DENOISER: tokens * 4 * transformer.width,
        names.VAE_DECODER: width * height * max(autoencoder.channels[:2]),
        names.VAE_ENCODER: width * height * autoencoder.channels[0],
    }
    for component, elements in rows.items():
        if component in components and elements > MAX_ELEMENTS:
            return (
                f"{width}x{height} makes a value of {elements} elements in the {component}, beyond the "
                f"{MAX_ELEMENTS} (4 GiB as float16) at which arrays on a GPU end: choose a smaller size"
            )
    return ""
