"""Stable Diffusion 3: from a checkpoint and the caller's wishes to what is built, checked before anything is.

`SD3Plan` holds the configs of all components, agreeing with each other, and the sizes that follow from them;
`programs` builds the selected components one after another.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from .. import names
from ..bundle import Context, Defaults, Latent, Pooled, Schedule, Size
from ..errors import CheckpointError, ConversionError, UsageError
from ..layers import MILProgram, Precision, Target
from ..models import clip, sd3, t5, vae
from ..models.clip import CLIPConfig
from ..models.sd3 import SD3Config
from ..models.t5 import T5Config
from ..models.vae import VAEConfig
from ..weights import HUGGING_FACE, Checkpoint, DiffusersFolder
from .tokenizers import CLIP_TOKENIZERS, clip_tokens, t5_tokens

__all__ = ["PIPELINES", "SD3Plan"]

PIPELINES = ("StableDiffusion3Pipeline",)
TRANSFORMER, VAE, SCHEDULER = "transformer", "vae", "scheduler"

#: What the model cards of Stable Diffusion 3 advise.
DEFAULTS = Defaults(steps=28, guidance_scale=7.0)

#: The longest T5 prompt that a caller may ask for: what the model was trained with.
MAX_T5_TOKENS = 512

#: A half of the autoencoder → prefixes of the checkpoint keys of the other half.
OTHER_HALF = {
    names.VAE_DECODER: ("encoder.", "quant_conv."),
    names.VAE_ENCODER: ("decoder.", "post_quant_conv."),
}


@dataclass(frozen=True)
class SD3Plan:
    """Everything that is decided before the first op is built."""

    source: DiffusersFolder
    components: tuple[str, ...]
    precision: Precision
    target: Target
    batch: int
    size: Size
    clips: Mapping[str, CLIPConfig]
    t5: T5Config | None
    transformer: SD3Config
    vae: VAEConfig
    context: Context
    schedule: Schedule
    defaults: Defaults

    @classmethod
    def make(
        cls,
        source: DiffusersFolder,
        *,
        precision: Precision,
        target: Target,
        batch: int,
        size: tuple[int, int] | None,
        components: Sequence[str] | None,
        max_sequence_length: int | None,
    ) -> "SD3Plan":
        """Read the configs and decide; CheckpointError, ConversionError or UsageError if they do not fit."""
        chosen = _components(source, components)
        transformer_json = source.config(TRANSFORMER)
        transformer = SD3Config.from_json(transformer_json, TRANSFORMER)
        autoencoder = VAEConfig.from_json(source.config(VAE), VAE)
        clips = {n: CLIPConfig.from_json(source.config(n), n) for n in CLIP_TOKENIZERS}
        with_t5 = names.TEXT_ENCODER_3 in chosen
        t5_config = (
            T5Config.from_json(source.config(names.TEXT_ENCODER_3), names.TEXT_ENCODER_3) if with_t5 else None
        )
        _check_widths(transformer, autoencoder, clips, t5_config)
        tokens = min(clip_tokens(source, CLIP_TOKENIZERS[n], c.max_positions) for n, c in clips.items())
        plan = cls(
            source=source,
            components=chosen,
            precision=precision,
            target=target,
            batch=batch,
            size=_size(size, transformer, autoencoder, transformer_json.get("sample_size")),
            clips=clips,
            t5=t5_config,
            transformer=transformer,
            vae=autoencoder,
            context=Context(
                clip_tokens=tokens,
                t5_tokens=_t5_tokens(source, max_sequence_length) if with_t5 else tokens,
                dim=transformer.context_width,
            ),
            schedule=_schedule(source.json(f"{SCHEDULER}/scheduler_config.json")),
            defaults=_defaults(source.index.get("tintype")),
        )
        sd3.check_size(transformer, plan.latent_size)
        return plan

    @property
    def latent_size(self) -> tuple[int, int]:
        """(h, w) of the latent."""
        return self.size.height // self.vae.downscale, self.size.width // self.vae.downscale

    @property
    def latent(self) -> Latent:
        """The bundle's description of the latent."""
        height, width = self.latent_size
        return Latent(
            self.vae.latent_channels, height, width, self.vae.downscale, self.vae.scale, self.vae.shift
        )

    @property
    def pooled(self) -> Pooled:
        """The bundle's description of the pooled text."""
        return Pooled(self.transformer.pooled_width)

    def config(self) -> dict[str, Any]:
        """Every dimension, for `inspect`."""
        rows: dict[str, Any] = {n: asdict(c) for n, c in self.clips.items()}
        if self.t5 is not None:
            rows[names.TEXT_ENCODER_3] = asdict(self.t5)
        return rows | {names.DENOISER: asdict(self.transformer), "vae": asdict(self.vae)}

    def programs(self) -> Iterator[tuple[str, MILProgram]]:
        """Build the selected components in the bundle's order, each checked against its tensors."""
        builders: Mapping[str, Callable[[], Iterator[tuple[str, MILProgram]]]] = {
            names.TEXT_ENCODER: lambda: self._clip(names.TEXT_ENCODER),
            names.TEXT_ENCODER_2: lambda: self._clip(names.TEXT_ENCODER_2),
            names.TEXT_ENCODER_3: self._t5,
            names.DENOISER: self._mmdit,
            names.VAE_DECODER: lambda: self._vae(names.VAE_DECODER),
            names.VAE_ENCODER: lambda: self._vae(names.VAE_ENCODER),
        }
        for name, build in builders.items():
            if name in self.components:
                yield from build()

    def _weights(self, folder: str) -> Checkpoint:
        return self.source.weights(folder, HUGGING_FACE[folder])

    def _clip(self, name: str) -> Iterator[tuple[str, MILProgram]]:
        weights = self._weights(name)
        program = clip.build(
            self.clips[name],
            weights,
            precision=self.precision,
            tokens=self.context.clip_tokens,
            target=self.target,
        )
        weights.check()
        yield name, program

    def _t5(self) -> Iterator[tuple[str, MILProgram]]:
        assert self.t5 is not None  # `make` reads it whenever the component is selected
        weights = self._weights(names.TEXT_ENCODER_3)
        program = t5.build(
            self.t5, weights, precision=self.precision, tokens=self.context.t5_tokens, target=self.target
        )
        weights.check()
        yield names.TEXT_ENCODER_3, program

    def _mmdit(self) -> Iterator[tuple[str, MILProgram]]:
        weights = self._weights(TRANSFORMER)
        modulation = sd3.build_modulation(
            self.transformer, weights, precision=self.precision, batch=self.batch, target=self.target
        )
        denoiser = sd3.build_denoiser(
            self.transformer,
            weights,
            precision=self.precision,
            latent=self.latent_size,
            tokens=self.context.clip_tokens + self.context.t5_tokens,
            batch=self.batch,
            target=self.target,
        )
        weights.check()
        yield names.MODULATION, modulation
        yield names.DENOISER, denoiser

    def _vae(self, name: str) -> Iterator[tuple[str, MILProgram]]:
        weights = self._weights(VAE)
        build = vae.build_decoder if name == names.VAE_DECODER else vae.build_encoder
        program = build(
            self.vae, weights, precision=self.precision, latent=self.latent_size, target=self.target
        )
        weights.check(OTHER_HALF[name])
        yield name, program


def _components(source: DiffusersFolder, wanted: Sequence[str] | None) -> tuple[str, ...]:
    """The selected components in order; all that the source has, if the caller names none."""
    optional = names.TEXT_ENCODER_3
    if wanted is None:
        return tuple(c for c in names.SELECTABLE_COMPONENTS if c != optional or source.has(c))
    unknown = [c for c in wanted if c not in names.SELECTABLE_COMPONENTS]
    if unknown or not wanted:
        raise UsageError(
            f"components: {', '.join(map(repr, unknown)) or 'none named'}: "
            f"choose among {', '.join(names.SELECTABLE_COMPONENTS)}"
        )
    if optional in wanted and not source.has(optional):
        raise ConversionError(
            f"components: {source.path} has no {optional}: leave it out, zeros take its place"
        )
    return tuple(c for c in names.SELECTABLE_COMPONENTS if c in wanted)


def _check_widths(
    transformer: SD3Config,
    autoencoder: VAEConfig,
    clips: Mapping[str, CLIPConfig],
    t5_config: T5Config | None,
) -> None:
    """CheckpointError unless what one component gives is what the next one takes."""
    hidden = sum(c.hidden_size for c in clips.values())
    pooled = sum(c.pooled_dim for c in clips.values())
    rows = [
        ("pooled_projection_dim", transformer.pooled_width, "the text encoders' projections", pooled),
        ("in_channels", transformer.in_channels, "the VAE's latent_channels", autoencoder.latent_channels),
        ("out_channels", transformer.out_channels, "the VAE's latent_channels", autoencoder.latent_channels),
    ]
    if t5_config is not None:
        rows.append(("joint_attention_dim", transformer.context_width, "T5's d_model", t5_config.width))
    for key, got, what, expected in rows:
        if got != expected:
            raise CheckpointError(
                f"{TRANSFORMER}/config.json: {key} is {got}, but {what} give {expected}: "
                "the components do not belong together"
            )
    if hidden > transformer.context_width:
        raise CheckpointError(
            f"{TRANSFORMER}/config.json: joint_attention_dim is {transformer.context_width}, "
            f"but the text encoders' hidden sizes give {hidden}: the components do not belong together"
        )


def _size(
    size: tuple[int, int] | None, transformer: SD3Config, autoencoder: VAEConfig, sample_size: Any
) -> Size:
    """The image size: the caller's, or the square that the model was trained with."""
    if size is None:
        side = (sample_size if isinstance(sample_size, int) else 128) * autoencoder.downscale
        size = (side, side)
    multiple = autoencoder.downscale * transformer.patch
    for name, value in zip(("width", "height"), size, strict=True):
        if not isinstance(value, int) or value <= 0 or value % multiple:
            raise UsageError(f"size: the {name} is {value}, expected a positive multiple of {multiple}")
    largest = transformer.pos_embed_max_size * multiple
    if max(size) > largest:
        raise UsageError(
            f"size: {size[0]}x{size[1]} is beyond {largest}x{largest}, where the position table ends "
            f"(pos_embed_max_size {transformer.pos_embed_max_size}): choose a smaller size"
        )
    return Size(*size)


def _t5_tokens(source: DiffusersFolder, wanted: int | None) -> int:
    if wanted is None:
        return t5_tokens(source)
    if isinstance(wanted, bool) or not isinstance(wanted, int) or not 1 <= wanted <= MAX_T5_TOKENS:
        raise UsageError(f"max_sequence_length is {wanted!r}, expected an integer from 1 to {MAX_T5_TOKENS}")
    return wanted


def _schedule(data: Mapping[str, Any]) -> Schedule:
    file = f"{SCHEDULER}/scheduler_config.json"
    kind, shift = data.get("_class_name"), data.get("shift", 1.0)
    dynamic = bool(data.get("use_dynamic_shifting"))
    if kind != "FlowMatchEulerDiscreteScheduler" or dynamic:
        raise CheckpointError(
            f"{file}: _class_name {kind!r} with use_dynamic_shifting {dynamic}, "
            "expected FlowMatchEulerDiscreteScheduler with a static shift: Tintype has no other schedule yet"
        )
    if not isinstance(shift, (int, float)) or shift <= 0:
        raise CheckpointError(f"{file}: shift is {shift!r}, expected a positive number: download it again")
    return Schedule("flow_match_euler", float(shift), int(data.get("num_train_timesteps", 1000)))


def _defaults(wishes: Any) -> Defaults:
    """The run's defaults: a checkpoint may give its own in model_index.json's `tintype` object."""
    wishes = wishes if isinstance(wishes, dict) else {}
    steps, guidance = (
        wishes.get("steps", DEFAULTS.steps),
        wishes.get("guidance_scale", DEFAULTS.guidance_scale),
    )
    if not isinstance(steps, int) or steps < 1 or not isinstance(guidance, (int, float)):
        raise CheckpointError(
            f"model_index.json: tintype is {wishes!r}, expected steps of at least 1 and a guidance_scale"
        )
    return Defaults(steps, float(guidance))
