"""What a caller asks for: one record, whose fields are the keywords of `Pipeline.generate` and `steps`."""

import warnings
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, TypedDict

from ..errors import UsageError

__all__ = ["GenerationRequest", "RequestOptions", "StageChoice", "as_request", "request_of"]

StageChoice = str | Mapping[str, str] | None


#: Settings of a picture that a request takes over by their names.
REPEATED = ("steps", "guidance_scale", "seed", "generator", "use_t5")


@dataclass(frozen=True)
class GenerationRequest:
    """One run's wishes, not checked yet; None takes the bundle's default.

    prompt            may be empty
    negative_prompt   what the picture should not show; without influence at guidance 1 or less. FLUX has none
    steps             Euler steps, 1 … the schedule's training timesteps
    guidance_scale    how strongly the prompt is followed; 1 or less leaves the negative prompt out.
                      FLUX.1-dev embeds the scale, schnell does not read it
    seed              0 … 2³²-1; None draws one, which the result's settings report
    generator         what draws the noise from the seed: "numpy", "torch" (as diffusers on the CPU) or
                      "philox" (as PyTorch on CUDA)
    size              (width, height), one of the bundle's sizes; the default one if None
    image             a picture to begin with instead of noise alone (image-to-image): a PIL image, a path, or
                      a uint8 array [H, W, 3] of the run's size
    mask              white where `image` is drawn anew, black where it stays (inpainting); as `image`, and of
                      its size
    resize            what becomes of an `image` and `mask` of another size: "fill" scales them until they
                      fill the run's and cuts off the rest, "stretch" scales each side; None: an error
    strength          how far the picture may leave `image`, above 0 up to 1; 0.6 if None
    count             how many pictures `steps` and `pictures` draw; the seed's noise continues
    preview_interval  every how many steps a Step brings a small preview; None: never
    latents           initial noise, float [1, C, h, w], instead of a seed
    statistics        collect time and bytes by stage and op in the result; the run takes longer
    backend           "auto", "coreml", "mlx", or a mapping from stages; None: the pipeline's
    units             what Core ML may use, "all", "ane", "gpu", "cpu", likewise
    use_t5            False runs as if the bundle had no T5
    """

    prompt: str
    negative_prompt: str = ""
    steps: int | None = None
    guidance_scale: float | None = None
    seed: int | None = None
    generator: str = "numpy"
    size: tuple[int, int] | None = None
    image: Any = None
    mask: Any = None
    resize: str | None = None
    strength: float | None = None
    count: int = 1
    preview_interval: int | None = None
    statistics: bool = False
    latents: Any = None
    backend: StageChoice = None
    units: StageChoice = None
    use_t5: bool = True


class RequestOptions(TypedDict, total=False):
    """The fields of `GenerationRequest` after the prompts, as keywords, for type checkers and editors."""

    steps: int | None
    guidance_scale: float | None
    seed: int | None
    generator: str
    size: tuple[int, int] | None
    image: Any
    mask: Any
    resize: str | None
    strength: float | None
    count: int
    preview_interval: int | None
    statistics: bool
    latents: Any
    backend: StageChoice
    units: StageChoice
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


def request_of(parameters: Mapping[str, Any], image: Any = None, mask: Any = None) -> GenerationRequest:
    """The request that makes a picture again, of the settings inside it (`read_parameters`).

    `image` and `mask` are those that it began with, which the settings do not hold.

    UsageError if they are no settings of a run. Warns with UserWarning where they do not make the picture
    again: it began with another picture or with given noise, or was not the first of its run.
    """
    prompt = parameters.get("prompt")
    if not isinstance(prompt, str):
        raise UsageError(f"the settings have the prompt {prompt!r}, expected a string: are they Tintype's?")
    kept = REPEATED if image is None else (*REPEATED, "strength")
    options: dict[str, Any] = {key: parameters[key] for key in kept if parameters.get(key) is not None}
    if "width" in parameters and "height" in parameters:
        options["size"] = (parameters["width"], parameters["height"])
    alone = image is None and parameters.get("strength") is not None
    number = (parameters.get("image_index") or 0) + 1
    for found, what in (
        (alone, "began with another picture, which is not in the file: name it as image"),
        (number > 1, f"was number {number} of its run, and the first is drawn: ask for a count of {number}"),
        (parameters.get("seed") is None, "was drawn from given noise: this draws from a random seed"),
    ):
        if found:
            warnings.warn(f"the picture {what}", UserWarning, stacklevel=2)
    negative_prompt = parameters.get("negative_prompt") or ""
    return GenerationRequest(prompt, negative_prompt, image=image, mask=mask, **options)
