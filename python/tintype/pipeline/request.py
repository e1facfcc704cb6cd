"""What a caller asks for: one record, whose fields are the keywords of `Pipeline.generate` and `steps`."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, TypedDict

__all__ = ["BackendChoice", "GenerationRequest", "RequestOptions", "as_request"]

BackendChoice = str | Mapping[str, str] | None


@dataclass(frozen=True)
class GenerationRequest:
    """One run's wishes, not checked yet; None takes the bundle's default.

    prompt            may be empty
    negative_prompt   what the picture should not show; without influence at guidance 1 or less. FLUX has none
    steps             Euler steps, 1 … the schedule's training timesteps
    guidance_scale    how strongly the prompt is followed; 1 or less leaves the negative prompt out.
                      FLUX.1-dev embeds the scale, schnell does not read it
    seed              0 … 2³²-1; None draws one, which the result's settings report
    size              (width, height), one of the bundle's sizes; the default one if None
    latents           initial noise, float [1, C, h, w], instead of a seed
    backend           "auto", "coreml", "mlx", or a mapping from stages; None: the pipeline's
    use_t5            False runs as if the bundle had no T5
    """

    prompt: str
    negative_prompt: str = ""
    steps: int | None = None
    guidance_scale: float | None = None
    seed: int | None = None
    size: tuple[int, int] | None = None
    latents: Any = None
    backend: BackendChoice = None
    use_t5: bool = True


class RequestOptions(TypedDict, total=False):
    """The fields of `GenerationRequest` after the prompts, as keywords, for type checkers and editors."""

    steps: int | None
    guidance_scale: float | None
    seed: int | None
    size: tuple[int, int] | None
    latents: Any
    backend: BackendChoice
    use_t5: bool


def as_request(
    prompt: str | GenerationRequest, negative_prompt: str | None, options: RequestOptions
) -> GenerationRequest:
    """The request of a call: a new one, or the given one with what the call says besides replaced."""
    if not isinstance(prompt, GenerationRequest):
        return GenerationRequest(prompt, negative_prompt or "", **options)
    if negative_prompt is not None:
        prompt = replace(prompt, negative_prompt=negative_prompt)
    return replace(prompt, **options)
