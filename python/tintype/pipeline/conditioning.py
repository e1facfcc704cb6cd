"""Prompts to what the denoiser is conditioned on: the token sequence (context) and the pooled embedding.

Shape key: L = CLIP tokens, T = T5 tokens, J = context width, P = pooled width. Stable Diffusion 3's
composition is docs/bundle_format.md, "Composition of the text".
"""

import warnings
from dataclasses import dataclass
from typing import Any

import numpy as np

from .. import names
from ..bundle import Bundle
from ..errors import BundleError
from .settings import TEXT_STAGE, Plan
from .stages import StageModels
from .tokenization import TextTokenizer, load_tokenizer

__all__ = ["PromptCutWarning", "TextConditioning", "TextEncoders", "compose_context"]

Array = np.ndarray[Any, Any]


class PromptCutWarning(UserWarning):
    """A prompt is longer than its encoder reads; the text names the part that has no influence."""


@dataclass(frozen=True)
class TextConditioning:
    """One prompt for the denoiser: `context` float32 [1, L + T, J], `pooled` float32 [1, P]."""

    context: Array
    pooled: Array


class TextEncoders:
    """The tokenizers and text encoders of a bundle."""

    def __init__(self, bundle: Bundle, models: StageModels) -> None:
        self._bundle = bundle
        self._models = models
        self._tokenizers: dict[str, TextTokenizer] = {}

    def token_ids(self, name: str, prompt: str) -> Array:
        """`prompt` as int32 [1, max_length] by the tokenizer called `name`.

        Warns with PromptCutWarning, which names the cut part, if it is too long.
        """
        if name not in self._tokenizers:
            self._tokenizers[name] = load_tokenizer(self._bundle, name)
        tokenizer = self._tokenizers[name]
        encoded = tokenizer.encode(prompt)
        # Both CLIP tokenizers share a vocabulary and a length: one warning is enough.
        if encoded.cut and name != names.TOKENIZER_2:
            what = "T5" if name == names.TOKENIZER_3 else "CLIP"
            warnings.warn(
                f"the prompt is longer than the {tokenizer.max_length} tokens that {what} reads; "
                f"this part was cut: {encoded.cut!r}",
                PromptCutWarning,
                stacklevel=2,
            )
        return encoded.ids

    def encode(self, prompt: str, plan: Plan) -> TextConditioning:
        """Runs the encoders on one prompt. T5 is replaced by zeros where the plan leaves it out."""
        backend = plan.backends[TEXT_STAGE]
        hidden, pooled = [], []
        for component, tokenizer in (
            (names.TEXT_ENCODER, names.TOKENIZER),
            (names.TEXT_ENCODER_2, names.TOKENIZER_2),
        ):
            ids = self.token_ids(tokenizer, prompt)
            outputs = self._models.run(component, backend, {names.INPUT_IDS: ids})
            hidden.append(outputs[names.HIDDEN_STATES])
            pooled.append(outputs[names.POOLED])
        t5 = None
        if plan.settings.use_t5:
            ids = self.token_ids(names.TOKENIZER_3, prompt)
            t5 = self._models.run(names.TEXT_ENCODER_3, backend, {names.INPUT_IDS: ids})[names.HIDDEN_STATES]
        context = compose_context(
            hidden, t5, t5_tokens=self._bundle.context.t5_tokens, width=self._bundle.context.dim
        )
        return TextConditioning(context, np.concatenate(pooled, axis=-1))


def compose_context(clip: list[Array], t5: Array | None, *, t5_tokens: int, width: int) -> Array:
    """[concat of the CLIP states on channels, zero-padded to J ; T5's states or zeros] along tokens.

    clip: [1, L, D₁], [1, L, D₂]; t5: [1, T, J] or None → [1, L + T, J], float32.
    """
    joined = np.concatenate(clip, axis=-1)  # [1, L, D₁ + D₂]
    if t5 is None:
        t5 = np.zeros((1, t5_tokens, width), dtype=np.float32)  # [1, T, J]
    if joined.shape[-1] > width or t5.shape[1:] != (t5_tokens, width):
        raise BundleError(
            f"the text encoders give {joined.shape[-1]} channels and T5 {t5.shape[1:]}, but the bundle's "
            f"context is {t5_tokens} x {width}: convert the model again"
        )
    padded = np.pad(joined, ((0, 0), (0, 0), (0, width - joined.shape[-1])))  # [1, L, J]
    return np.concatenate([padded, t5], axis=1)  # [1, L + T, J]
