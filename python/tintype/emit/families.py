"""What sets the families apart at conversion: where their parts lie, which model they are, what must agree.

One frozen row a family; `plan` loops over the rows and knows no family by name.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from types import ModuleType
from typing import Any, ClassVar, Protocol

from .. import names
from ..bundle import Defaults, DynamicShift, Schedule
from ..errors import CheckpointError
from ..models import flux, sd3
from ..models.clip import CLIPConfig
from ..values import is_count, is_number

__all__ = ["FAMILIES", "Family", "TextPart", "TransformerConfig"]

SCHEDULER_FILE = "scheduler/scheduler_config.json"


class TransformerConfig(Protocol):
    """What a plan reads of a family's transformer, a dataclass; channels are those of the latent."""

    __dataclass_fields__: ClassVar[dict[str, Any]]

    @property
    def in_channels(self) -> int: ...
    @property
    def out_channels(self) -> int: ...
    @property
    def context_width(self) -> int: ...
    @property
    def pooled_width(self) -> int: ...
    @property
    def patch(self) -> int: ...
    @property
    def width(self) -> int: ...


@dataclass(frozen=True)
class TextPart:
    """A text encoder: its folder and its tokenizer's in the checkpoint, and the tokenizer's bundle name."""

    folder: str
    tokenizer_folder: str
    tokenizer: str


@dataclass(frozen=True)
class Family:
    """A row. `clips` and `t5` go by the component's name in the bundle.

    `model` is the module in `models` with `build_modulation`, `build_denoiser` and `check_size`;
    `joins_clip` says whether CLIP's hidden states are part of the context. `schedule`, `defaults` and
    `t5_tokens` (the longest T5 prompt unless the caller says otherwise) may depend on the config.
    """

    name: str
    pipeline: str
    clips: Mapping[str, TextPart]
    t5: TextPart
    t5_required: bool
    joins_clip: bool
    max_batch: int
    model: ModuleType
    config: Callable[[Mapping[str, Any], str], TransformerConfig]
    t5_tokens: Callable[[Any], int]
    schedule: Callable[[Mapping[str, Any]], Schedule]
    defaults: Callable[[Any], Defaults]

    @property
    def components(self) -> tuple[str, ...]:
        """The names in `names.SELECTABLE_COMPONENTS` that the family has."""
        encoders = (*self.clips, names.TEXT_ENCODER_3)
        others = (names.DENOISER, names.VAE_DECODER, names.VAE_ENCODER)
        return tuple(c for c in names.SELECTABLE_COMPONENTS if c in (*encoders, *others))

    def folders(self, components: Sequence[str] | None) -> tuple[str, ...]:
        """The checkpoint's folders with the weights of `components` (all, if None)."""
        parts = {**self.clips, names.TEXT_ENCODER_3: self.t5}
        rows = {
            **{name: part.folder for name, part in parts.items()},
            names.DENOISER: "transformer",
            names.VAE_DECODER: "vae",
            names.VAE_ENCODER: "vae",
        }
        return tuple(dict.fromkeys(f for n, f in rows.items() if components is None or n in components))

    def tokenizer_folders(self, components: Sequence[str]) -> tuple[str, ...]:
        """The checkpoint's folders with the tokenizers of `components`."""
        parts = {**self.clips, names.TEXT_ENCODER_3: self.t5}
        return tuple(part.tokenizer_folder for name, part in parts.items() if name in components)

    def pooled_width(self, clips: Mapping[str, CLIPConfig]) -> int:
        """P: the width of the pooled text that the encoders give."""
        return sum(c.pooled_dim for c in clips.values())

    def clip_width(self, clips: Mapping[str, CLIPConfig]) -> int:
        """The width of CLIP's share of the context."""
        return sum(c.hidden_size for c in clips.values()) if self.joins_clip else 0


#: Options of diffusers' scheduler that change the sigmas or the step: pictures would be wrong without them.
OTHER_SIGMAS = (
    "use_karras_sigmas",
    "use_exponential_sigmas",
    "use_beta_sigmas",
    "invert_sigmas",
    "shift_terminal",
    "stochastic_sampling",
)


def _read_shift(data: Mapping[str, Any]) -> tuple[float, int, bool]:
    """The static shift, the training timesteps, and whether the shift is dynamic."""
    kind, shift = data.get("_class_name"), data.get("shift", 1.0)
    dynamic = bool(data.get("use_dynamic_shifting"))
    if kind != "FlowMatchEulerDiscreteScheduler":
        raise CheckpointError(
            f"{SCHEDULER_FILE}: _class_name is {kind!r}, expected FlowMatchEulerDiscreteScheduler: "
            "Tintype has no other schedule yet"
        )
    if not is_number(shift) or shift <= 0:
        _refuse("shift", shift, "a positive number")
    timesteps = data.get("num_train_timesteps", 1000)
    if not is_count(timesteps):
        _refuse("num_train_timesteps", timesteps, "a positive integer")
    for option in OTHER_SIGMAS:
        if data.get(option):
            raise CheckpointError(
                f"{SCHEDULER_FILE}: {option} is {data[option]!r}, which asks for a schedule that Tintype "
                "does not have: set it to false or null if the model may be run without"
            )
    return float(shift), timesteps, dynamic


def _refuse(key: str, value: Any, expected: str) -> None:
    raise CheckpointError(f"{SCHEDULER_FILE}: {key} is {value!r}, expected {expected}: download it again")


def _sd3_schedule(data: Mapping[str, Any]) -> Schedule:
    shift, timesteps, dynamic = _read_shift(data)
    if dynamic:
        raise CheckpointError(
            f"{SCHEDULER_FILE}: use_dynamic_shifting True, expected a static shift: "
            "Stable Diffusion 3 has no dynamic one"
        )
    return Schedule(names.FLOW_MATCH_EULER, shift, timesteps)


def _flux_schedule(data: Mapping[str, Any]) -> Schedule:
    shift, timesteps, dynamic = _read_shift(data)
    if not dynamic:
        return Schedule(names.FLOW_MATCH_LINEAR, shift, timesteps)
    kind = data.get("time_shift_type", "exponential")
    if kind != "exponential":
        _refuse("time_shift_type", kind, "'exponential'")
    shifts = [data.get(key, default) for key, default in (("base_shift", 0.5), ("max_shift", 1.15))]
    for key, value in zip(("base_shift", "max_shift"), shifts, strict=True):
        if not is_number(value):
            _refuse(key, value, "a finite number")
    tokens, most = data.get("base_image_seq_len", 256), data.get("max_image_seq_len", 4096)
    for key, value in (("base_image_seq_len", tokens), ("max_image_seq_len", most)):
        if not is_count(value):
            _refuse(key, value, "a positive integer")
    if tokens >= most:
        _refuse("base_image_seq_len", tokens, f"less than max_image_seq_len {most}")
    dynamic_shift = DynamicShift(float(shifts[0]), float(shifts[1]), tokens, most)
    # The static shift is not used: the dynamic one takes its place.
    return Schedule(names.FLOW_MATCH_DYNAMIC, 1.0, timesteps, dynamic_shift)


SD3 = Family(
    name=names.SD3,
    pipeline="StableDiffusion3Pipeline",
    clips={
        names.TEXT_ENCODER: TextPart("text_encoder", "tokenizer", names.TOKENIZER),
        names.TEXT_ENCODER_2: TextPart("text_encoder_2", "tokenizer_2", names.TOKENIZER_2),
    },
    t5=TextPart("text_encoder_3", "tokenizer_3", names.TOKENIZER_3),
    t5_required=False,
    joins_clip=True,
    max_batch=2,
    model=sd3,
    config=sd3.SD3Config.from_json,
    t5_tokens=lambda config: 256,  # the pipelines' default
    schedule=_sd3_schedule,
    # What the model cards advise.
    defaults=lambda config: Defaults(steps=28, guidance_scale=7.0),
)

FLUX = Family(
    name=names.FLUX,
    pipeline="FluxPipeline",
    clips={names.TEXT_ENCODER: TextPart("text_encoder", "tokenizer", names.TOKENIZER)},
    t5=TextPart("text_encoder_2", "tokenizer_2", names.TOKENIZER_3),
    t5_required=True,
    joins_clip=False,
    max_batch=1,
    model=flux,
    config=flux.FluxConfig.from_json,
    # FLUX.1-schnell was distilled with 256 tokens, FLUX.1-dev with 512.
    t5_tokens=lambda config: 512 if config.guidance else 256,
    schedule=_flux_schedule,
    defaults=lambda config: Defaults(28, 3.5) if config.guidance else Defaults(4, 0.0),
)

#: Rows by the class name in model_index.json.
FAMILIES: Mapping[str, Family] = {family.pipeline: family for family in (SD3, FLUX)}
