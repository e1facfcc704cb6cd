"""Prompts to what the denoiser is conditioned on: the token sequence (context) and the pooled embedding.

Shape key: N = tokens of the context, J = its width, P = pooled width. The compositions are in `families` and
docs/bundle_format.md.
"""

import warnings
from dataclasses import dataclass
from typing import Any

import numpy as np

from .. import names
from ..bundle import Bundle
from .families import FAMILIES
from .settings import TEXT_STAGE, Plan
from .stages import StageModels
from .tokenization import TextTokenizer, load_tokenizer

__all__ = ["PromptCutWarning", "TextConditioning", "TextEncoders"]

Array = np.ndarray[Any, Any]

#: Characters of what was cut that a warning shows.
SHOWN_TEXT = 200


class PromptCutWarning(UserWarning):
    """A prompt is longer than its encoder reads; the text names the part that has no influence."""


@dataclass(frozen=True)
class TextConditioning:
    """One prompt for the denoiser: `context` float32 [1, N, J], `pooled` float32 [1, P]."""

    context: Array
    pooled: Array


def _shortened(text: str) -> str:
    return text if len(text) <= SHOWN_TEXT else f"{text[:SHOWN_TEXT]}… ({len(text)} characters)"


class TextEncoders:
    """The tokenizers and text encoders of a bundle."""

    def __init__(self, bundle: Bundle) -> None:
        self._bundle = bundle
        self._family = FAMILIES[bundle.family]
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
                f"this part was cut: {_shortened(encoded.cut)!r}",
                PromptCutWarning,
                stacklevel=2,
            )
        return encoded.ids

    def encode(self, prompt: str, plan: Plan, models: StageModels) -> TextConditioning:
        """Runs the encoders on one prompt, by `models`. T5 is not run where the plan leaves it out."""
        backend = plan.backends[TEXT_STAGE]
        hidden, pooled = [], []
        for component, tokenizer in self._family.clips:
            ids = self.token_ids(tokenizer, prompt)
            outputs = models.run(component, backend, {names.INPUT_IDS: ids})
            hidden.append(outputs[names.HIDDEN_STATES])
            pooled.append(outputs[names.POOLED])
        t5 = None
        if plan.settings.use_t5:
            ids = self.token_ids(names.TOKENIZER_3, prompt)
            t5 = models.run(names.TEXT_ENCODER_3, backend, {names.INPUT_IDS: ids})[names.HIDDEN_STATES]
        context = self._family.compose(hidden, t5, self._bundle.context)
        return TextConditioning(context, np.concatenate(pooled, axis=-1))
