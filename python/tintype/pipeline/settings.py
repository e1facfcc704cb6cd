"""What one run wants, checked before anything is loaded; and the record of it that goes into the picture."""

import numbers
import warnings
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

import numpy as np

from .. import names
from ..bundle import Bundle, Size
from ..errors import UsageError
from ..run import check_backend, check_units
from ..sinusoid import MOST_GUIDANCE
from ..values import finite, shown
from .families import FAMILIES, Family
from .noise import GENERATORS, MAX_SEED, Noise, NoiseStream, random_seed
from .request import GenerationRequest, StageChoice
from .source import ImageSource, checked_source

__all__ = [
    "DENOISER_STAGE",
    "STAGES",
    "STAGE_OF",
    "TEXT_STAGE",
    "VAE_STAGE",
    "GenerationSettings",
    "Plan",
    "checked_size",
    "make_plan",
    "stage_backends",
    "stage_units",
]

Array = np.ndarray[Any, Any]
TEXT_STAGE, DENOISER_STAGE, VAE_STAGE = names.STAGES

#: Stage of a run → its components. A backend is chosen per stage.
STAGES: Mapping[str, tuple[str, ...]] = {
    TEXT_STAGE: (names.TEXT_ENCODER, names.TEXT_ENCODER_2, names.TEXT_ENCODER_3),
    DENOISER_STAGE: (names.MODULATION, names.DENOISER),
    VAE_STAGE: (names.VAE_DECODER,),
}

#: Component → its stage; the VAE's encoder, too, which only a run that begins with a picture uses.
STAGE_OF: Mapping[str, str] = {
    names.VAE_ENCODER: VAE_STAGE,
    **{component: stage for stage, components in STAGES.items() for component in components},
}

DEFAULT_UNITS: Mapping[str, str] = dict.fromkeys(STAGES, "all")

#: Sides of an image that the VAE (8) and the patches (2) divide.
SIDE_MULTIPLE = 16

MOST_PICTURES = 10_000


@dataclass(frozen=True)
class GenerationSettings:
    """Everything that is needed to make a picture again; saved in PNG files as JSON under "parameters".

    `seed` is the one that was used and `generator` drew the noise from it; both are None if the caller gave
    the noise. `use_t5` says whether T5 was run. `backends` names the backend that ran each stage.
    `image_index` is the picture's place among those of its run, from 0.
    """

    prompt: str
    negative_prompt: str
    steps: int
    guidance_scale: float
    seed: int | None
    generator: str | None
    width: int
    height: int
    use_t5: bool
    model: str
    precision: str
    strength: float | None = None
    image_index: int = 0
    backends: Mapping[str, str] = field(default_factory=dict)

    def to_json(self) -> dict[str, Any]:
        """As JSON values; what the run did not use is left out."""
        unused = {"generator": None, "strength": None, "image_index": 0}
        return {k: v for k, v in asdict(self).items() if k not in unused or v != unused[k]}


@dataclass(frozen=True)
class Plan:
    """A checked request: the settings, initial noise (float32 NCHW) of every picture, the backend and
    Core ML's compute units of each stage, and the picture to begin with."""

    settings: GenerationSettings
    noise: Noise
    backends: Mapping[str, str]
    units: Mapping[str, str]
    classifier_free: bool = True
    source: ImageSource | None = None
    preview_interval: int | None = None
    statistics: bool = False

    @property
    def latents(self) -> Array:
        """The first picture's noise."""
        return next(iter(self.noise))

    @property
    def size(self) -> Size:
        """The picture's size."""
        return Size(self.settings.width, self.settings.height)

    @property
    def guided(self) -> bool:
        """Whether the negative prompt is run: at guidance 1 or less, or where guidance is an input, it has
        no influence."""
        return self.classifier_free and self.settings.guidance_scale > 1


def make_plan(
    bundle: Bundle,
    request: GenerationRequest,
    default_backends: Mapping[str, str],
    default_units: Mapping[str, str] = DEFAULT_UNITS,
) -> Plan:
    """Checks every value; UsageError names the value and the remedy."""
    family = FAMILIES[bundle.family]
    _check_family(bundle, family, request)
    width, height = checked_size(bundle, request.size)
    latent = bundle.latent_at(width, height)
    shape = (1, latent.channels, latent.height, latent.width)
    count = _checked_count("count", request.count)
    interval = request.preview_interval
    noise: Noise
    if request.latents is not None:
        if count > 1:
            raise UsageError(
                f"latents are given for one picture, but {count} are asked for: leave latents out, or "
                "ask for one"
            )
        noise, used_seed, generator = [_checked_latents(request.latents, shape)], None, None
    else:
        used_seed = _checked_seed(request.seed)
        generator = _checked_generator(request.generator)
        noise = NoiseStream(generator, used_seed, shape, count)
    source = checked_source(bundle, request, Size(width, height))
    settings = GenerationSettings(
        prompt=_checked_text("prompt", request.prompt),
        negative_prompt=_checked_text("negative_prompt", request.negative_prompt),
        steps=_checked_steps(request.steps, bundle),
        guidance_scale=_checked_guidance(request.guidance_scale, bundle),
        seed=used_seed,
        generator=generator,
        width=width,
        height=height,
        use_t5=bool(request.use_t5) and names.TEXT_ENCODER_3 in bundle.components,
        model=bundle.name,
        precision=bundle.precision,
        strength=None if source is None else source.strength,
    )
    return Plan(
        settings,
        noise,
        stage_backends(request.backend, default_backends),
        stage_units(request.units, default_units),
        family.classifier_free,
        source,
        None if interval is None else _checked_count("preview_interval", interval),
        bool(request.statistics),
    )


def stage_backends(backend: StageChoice, defaults: Mapping[str, str]) -> dict[str, str]:
    """Stage → backend: one name for all stages, a mapping for some, None for the defaults."""
    return _by_stage("backend", backend, defaults, check_backend)


def stage_units(units: StageChoice, defaults: Mapping[str, str] = DEFAULT_UNITS) -> dict[str, str]:
    """Stage → compute units, likewise."""
    return _by_stage("units", units, defaults, check_units)


def _by_stage(
    what: str, choice: StageChoice, defaults: Mapping[str, str], check: Callable[[str], object]
) -> dict[str, str]:
    if choice is None:
        return dict(defaults)
    named = choice if isinstance(choice, Mapping) else dict.fromkeys(STAGES, choice)
    unknown = [stage for stage in named if stage not in STAGES]
    if unknown:
        raise UsageError(
            f"{what} names the stage {unknown[0]!r}, expected stages among {', '.join(map(repr, STAGES))}"
        )
    for value in named.values():
        check(value)
    return {**defaults, **named}


def _check_family(bundle: Bundle, family: Family, request: GenerationRequest) -> None:
    """What a family does not have: an error where no picture could be made, else a warning."""
    if family.t5_required and not request.use_t5:
        raise UsageError(
            f"use_t5 is {request.use_t5!r}, but {bundle.name} is of the family {bundle.family}, which has no "
            "other reader of the whole prompt: leave it out"
        )
    if request.negative_prompt and not family.classifier_free:
        warnings.warn(
            f"the negative prompt has no influence: models of the family {bundle.family} have none",
            UserWarning,
            stacklevel=4,
        )


def _checked_text(name: str, value: Any) -> str:
    if not isinstance(value, str):
        raise UsageError(f"{name} is a {type(value).__name__}, expected a string")
    try:
        value.encode("utf-8")
    except UnicodeEncodeError as error:
        raise UsageError(f"{name} is not valid Unicode ({error.reason}): remove lone surrogates") from error
    return value


def _is_integer(value: Any) -> bool:
    return isinstance(value, numbers.Integral) and not isinstance(value, bool | np.bool_)


def _checked_steps(value: Any, bundle: Bundle) -> int:
    if value is None:
        return bundle.defaults.steps
    most = bundle.schedule.num_train_timesteps
    if not _is_integer(value) or not 1 <= value <= most:
        raise UsageError(
            f"steps is {shown(value)}, expected an integer from 1 to {most}; "
            f"{bundle.defaults.steps} is this model's default"
        )
    return int(value)


def _checked_guidance(value: Any, bundle: Bundle) -> float:
    value = bundle.defaults.guidance_scale if value is None else value
    number = finite(value)
    if number is None or not 0 <= number <= MOST_GUIDANCE:
        raise UsageError(
            f"guidance_scale is {shown(value)}, expected a number of at least 0 (1 or less: no guidance), "
            f"at most {MOST_GUIDANCE:g}"
        )
    return number


def _checked_seed(value: Any) -> int:
    if value is None:
        return random_seed()
    if not _is_integer(value) or not 0 <= value <= MAX_SEED:
        raise UsageError(
            f"seed is {shown(value)}, expected an integer from 0 to {MAX_SEED}; leave it out for a random one"
        )
    return int(value)


def _checked_count(name: str, value: Any) -> int:
    if not _is_integer(value) or not 1 <= value <= MOST_PICTURES:
        raise UsageError(f"{name} is {shown(value)}, expected an integer from 1 to {MOST_PICTURES}")
    return int(value)


def _checked_generator(value: Any) -> str:
    if not isinstance(value, str) or value not in GENERATORS:
        raise UsageError(f"generator is {value!r}, expected {', '.join(map(repr, GENERATORS))}")
    return str(value)


def checked_size(bundle: Bundle, size: Any) -> tuple[int, int]:
    """One of the bundle's sizes, (width, height): the default one for None. UsageError for another."""
    own = (bundle.size.width, bundle.size.height)
    if size is None:
        return own
    values = tuple(size) if isinstance(size, tuple | list) else ()
    if len(values) != 2 or not all(_is_integer(side) and side > 0 for side in values):
        raise UsageError(f"size is {shown(size)}, expected (width, height) in pixels, as in {own}")
    width, height = int(values[0]), int(values[1])
    if any((width, height) == (known.width, known.height) for known in bundle.sizes):
        return width, height
    for name, side in (("width", width), ("height", height)):
        if side % SIDE_MULTIPLE:
            nearest = max(SIDE_MULTIPLE, round(side / SIDE_MULTIPLE) * SIDE_MULTIPLE)
            raise UsageError(f"{name} is {side}, expected a multiple of {SIDE_MULTIPLE}, such as {nearest}")
    sizes = ", ".join(f"{known.width}x{known.height}" for known in bundle.sizes)
    raise UsageError(
        f"size is {width}x{height}, but the model {bundle.name} was converted for {sizes}: "
        f"leave size out, or convert the model again with --size {width}x{height}"
    )


def _checked_latents(value: Any, shape: tuple[int, ...]) -> Array:
    remedy = f"expected a float array of shape {shape}"
    try:
        latents = np.asarray(value)
    except (TypeError, ValueError) as error:
        raise UsageError(f"latents cannot be made an array ({error}), {remedy}") from error
    if latents.dtype.kind != "f":
        raise UsageError(f"latents have dtype {latents.dtype}, {remedy}")
    if latents.shape != shape:
        raise UsageError(f"latents have shape {latents.shape}, {remedy}")
    # The loop works in float32, whatever was given.
    copy = latents.astype(np.float32, copy=True)
    if not np.isfinite(copy).all():
        raise UsageError(f"latents hold NaN or infinite values, {remedy} of finite values")
    return copy
