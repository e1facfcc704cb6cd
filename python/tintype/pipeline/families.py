"""What sets the families apart at generation: how text is composed and guidance enters.

One frozen row a family; the pipeline asks the row and knows no family by name. The definitions are
docs/bundle_format.md.

Shape key: L = CLIP tokens, T = T5 tokens, J = context width.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from .. import names
from ..bundle import Context
from ..errors import BundleError

__all__ = ["FAMILIES", "Family", "compose_context", "t5_context"]

Array = np.ndarray[Any, Any]


@dataclass(frozen=True)
class Family:
    """A row.

    `clips` are (text encoder, tokenizer), whose pooled outputs are joined in this order; `compose` makes the
    context of their hidden states and T5's (None where T5 is left out). `classifier_free` guidance takes a
    second, negative pass; without it the scale is an input of the modulation, if it has one.
    """

    clips: tuple[tuple[str, str], ...]
    t5_required: bool
    classifier_free: bool
    compose: Callable[[Sequence[Array], Array | None, Context], Array]

    @property
    def required(self) -> tuple[str, ...]:
        """Components without which no picture can be made."""
        t5 = (names.TEXT_ENCODER_3,) if self.t5_required else ()
        return (*(c for c, _ in self.clips), *t5, names.MODULATION, names.DENOISER, names.VAE_DECODER)


def compose_context(clip: Sequence[Array], t5: Array | None, context: Context) -> Array:
    """[concat of the CLIP states on channels, zero-padded to J ; T5's states or zeros] along tokens.

    clip: [1, L, D₁], [1, L, D₂]; t5: [1, T, J] or None → [1, L + T, J], float32.
    """
    width, tokens = context.dim, context.t5_tokens
    joined = np.concatenate(clip, axis=-1)  # [1, L, D₁ + D₂]
    if t5 is None:
        t5 = np.zeros((1, tokens, width), dtype=np.float32)  # [1, T, J]
    if joined.shape[-1] > width or t5.shape[1:] != (tokens, width):
        raise BundleError(
            f"the text encoders give {joined.shape[-1]} channels and T5 {t5.shape[1:]}, but the bundle's "
            f"context is {tokens} x {width}: convert the model again"
        )
    padded = np.pad(joined, ((0, 0), (0, 0), (0, width - joined.shape[-1])))  # [1, L, J]
    return np.concatenate([padded, t5], axis=1)  # [1, L + T, J]


def t5_context(clip: Sequence[Array], t5: Array | None, context: Context) -> Array:
    """T5's states alone: [1, T, J]."""
    del clip  # only its pooled output is used
    if t5 is None or t5.shape[1:] != (context.t5_tokens, context.dim):
        raise BundleError(
            f"T5 gives {None if t5 is None else t5.shape[1:]}, but the bundle's context is "
            f"{context.t5_tokens} x {context.dim}: convert the model again"
        )
    return t5


FAMILIES: Mapping[str, Family] = {
    names.SD3: Family(
        clips=(
            (names.TEXT_ENCODER, names.TOKENIZER),
            (names.TEXT_ENCODER_2, names.TOKENIZER_2),
        ),
        t5_required=False,
        classifier_free=True,
        compose=compose_context,
    ),
    names.FLUX: Family(
        clips=((names.TEXT_ENCODER, names.TOKENIZER),),
        t5_required=True,
        classifier_free=False,
        compose=t5_context,
    ),
}
