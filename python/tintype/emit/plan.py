"""From a checkpoint and the caller's wishes to what is built, checked before anything is.

`Plan` holds the configs of all components, agreeing with each other, and the sizes that follow from them;
`programs` builds the selected components one after another. What differs between families is a row of
`families`.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from functools import partial
from typing import Any, TypeVar

from .. import layers as nn
from .. import names
from ..bundle import Context, Defaults, Latent, Pooled, Resolution, Schedule, Size
from ..errors import CheckpointError, ConversionError, UsageError
from ..layers import MILProgram, Precision, Target
from ..models import clip, cuts, t5, vae
from ..models.clip import CLIPConfig
from ..models.t5 import T5Config
from ..models.vae import VAEConfig
from ..values import is_count, is_number, shown
from ..weights import HUGGING_FACE, Checkpoint, Lora, Merges, Source, merge
from .families import FAMILIES, SCHEDULER_FILE, Family, TransformerConfig
from .parts import Part, whole_components
from .sizes import chosen_sizes
from .tokenizers import max_length

__all__ = ["PIPELINES", "Plan"]

PIPELINES = tuple(FAMILIES)
TRANSFORMER, VAE = "transformer", "vae"

T = TypeVar("T")

#: Called with a component's name and a program of it.
Finish = Callable[[str, MILProgram], T]

#: The longest T5 prompt that a caller may ask for: what the models were trained with.
MAX_T5_TOKENS = 512

#: What the published CLIP encoders read.
CLIP_TOKENS = 77

#: A half of the autoencoder → prefixes of the checkpoint keys of the other half.
OTHER_HALF = {
    names.VAE_DECODER: ("encoder.", "quant_conv."),
    names.VAE_ENCODER: ("decoder.", "post_quant_conv."),
}


@dataclass(frozen=True)
class Plan:
    """Everything that is decided before the first op is built."""

    family: Family
    source: Source
    components: tuple[str, ...]
    precision: Precision
    target: Target
    batch: int
    sizes: tuple[Size, ...]
    max_chunk: int | None
    clips: Mapping[str, CLIPConfig]
    t5: T5Config | None
    transformer: TransformerConfig
    vae: VAEConfig
    context: Context
    schedule: Schedule
    defaults: Defaults
    loras: tuple[Lora, ...] = ()
    merges: Merges = field(default_factory=dict)

    @classmethod
    def make(
        cls,
        source: Source,
        *,
        precision: Precision,
        target: Target,
        batch: int,
        sizes: Sequence[tuple[int, int]],
        components: Sequence[str] | None,
        max_sequence_length: int | None,
        default_steps: int | None = None,
        default_guidance: float | None = None,
        max_chunk: int | None = None,
    ) -> "Plan":
        """Read the configs and decide; CheckpointError, ConversionError or UsageError if they do not fit.

        No `sizes`: the model's own.
        """
        family = FAMILIES[source.pipeline]
        _check_batch(family, batch)
        chosen = _components(family, source, components)
        parts = (TRANSFORMER, VAE, *family.folders(chosen), *family.tokenizer_folders(chosen))
        source.check_parts(tuple(dict.fromkeys(parts)))
        transformer_json = source.config(TRANSFORMER)
        transformer = family.config(transformer_json, TRANSFORMER)
        autoencoder = VAEConfig.from_json(source.config(VAE), VAE)
        clips = {
            n: CLIPConfig.from_json(source.config(p.folder), p.folder)
            for n, p in family.clips.items()
            if n in chosen or source.has(p.folder)
        }
        with_t5, folder = names.TEXT_ENCODER_3 in chosen, family.t5.folder
        t5_config = T5Config.from_json(source.config(folder), folder) if with_t5 else None
        _check_widths(family, transformer, autoencoder, clips, t5_config)
        tokens = _clip_tokens(family, source, clips, chosen)
        schedule = family.schedule(source.json(SCHEDULER_FILE))
        plan = cls(
            family=family,
            source=source,
            components=chosen,
            precision=precision,
            target=target,
            batch=batch,
            sizes=chosen_sizes(sizes, transformer, autoencoder, transformer_json.get("sample_size"), chosen),
            max_chunk=max_chunk,
            clips=clips,
            t5=t5_config,
            transformer=transformer,
            vae=autoencoder,
            context=Context(
                clip_tokens=tokens,
                t5_tokens=_t5_tokens(family, transformer, source, max_sequence_length, with_t5) or tokens,
                dim=transformer.context_width,
            ),
            schedule=schedule,
            defaults=_chosen_defaults(
                default_steps,
                default_guidance,
                schedule.num_train_timesteps,
                _defaults(source.index.get("tintype"), family.defaults(transformer)),
            ),
        )
        for size in plan.sizes:
            family.model.check_size(transformer, plan.latent_size(size))
        return plan

    @property
    def size(self) -> Size:
        """The default size."""
        return self.sizes[0]

    def latent_size(self, size: Size) -> tuple[int, int]:
        """(h, w) of the latent of a picture."""
        return size.height // self.vae.downscale, size.width // self.vae.downscale

    @property
    def resolutions(self) -> tuple[Resolution, ...]:
        """The bundle's list of sizes, where there are several."""
        rows = tuple(Resolution(size, *self.latent_size(size)) for size in self.sizes)
        return rows if len(rows) > 1 else ()

    def functions(self) -> dict[str, tuple[int, int]]:
        """The functions of a package that depends on the size, with the (h, w) of their latents."""
        if len(self.sizes) == 1:
            return {nn.MAIN: self.latent_size(self.size)}
        return {names.size_function(s.width, s.height): self.latent_size(s) for s in self.sizes}

    @property
    def latent(self) -> Latent:
        """The bundle's description of the latent."""
        height, width = self.latent_size(self.size)
        return Latent(
            self.vae.latent_channels, height, width, self.vae.downscale, self.vae.scale, self.vae.shift
        )

    @property
    def pooled(self) -> Pooled:
        """The bundle's description of the pooled text."""
        return Pooled(self.transformer.pooled_width)

    @property
    def context_tokens(self) -> int:
        """The length of the denoiser's context."""
        return self.context.t5_tokens + (self.context.clip_tokens if self.family.joins_clip else 0)

    def config(self) -> dict[str, Any]:
        """Every dimension, for `inspect`."""
        rows: dict[str, Any] = {n: asdict(c) for n, c in self.clips.items()}
        if self.t5 is not None:
            rows[names.TEXT_ENCODER_3] = asdict(self.t5)
        return rows | {names.DENOISER: asdict(self.transformer), "vae": asdict(self.vae)}

    def programs(self) -> Iterator[tuple[str, list[MILProgram]]]:
        """Build the selected components in the bundle's order, each checked against its tensors.

        A component is one program, or the chunks of one.
        """
        return self.finished(_as_it_is)

    def finished(self, finish: Finish[T]) -> Iterator[tuple[str, list[T]]]:
        """`programs`, but what `finish` makes of each: of a chunk before the next one is built, so that no
        more than one needs to be in memory."""
        return whole_components(self.parts(finish))

    def parts(self, finish: Finish[T]) -> Iterator[Part[T]]:
        """`finished`, program by program."""
        for name, build in self._builders(finish).items():
            if name in self.components:
                yield from build()

    def build(self, name: str) -> list[MILProgram]:
        """One component of `programs`, again."""
        if name == names.MODULATION:
            return [self._modulation(self.weights(TRANSFORMER, TRANSFORMER))]
        parts = (
            self._chunks(self.weights(TRANSFORMER, TRANSFORMER), _as_it_is)
            if name == names.DENOISER
            else self._builders(_as_it_is)[name]()
        )
        return next(programs for _, programs in whole_components(parts))

    def _builders(self, finish: Finish[T]) -> Mapping[str, Callable[[], Iterator[Part[T]]]]:
        def alone(name: str, build: Callable[[str], MILProgram]) -> Iterator[Part[T]]:
            yield Part(name, 1, 1, finish(name, build(name)))

        return {
            names.TEXT_ENCODER: partial(alone, names.TEXT_ENCODER, self._clip),
            names.TEXT_ENCODER_2: partial(alone, names.TEXT_ENCODER_2, self._clip),
            names.TEXT_ENCODER_3: partial(alone, names.TEXT_ENCODER_3, self._t5),
            names.DENOISER: partial(self._denoiser, finish),
            names.VAE_DECODER: partial(alone, names.VAE_DECODER, self._vae),
            names.VAE_ENCODER: partial(alone, names.VAE_ENCODER, self._vae),
        }

    def open_weights(self) -> None:
        """Have the source know all files that the selected components are read from, before one is built."""
        for folder in self.family.folders(self.components):
            self.source.weights(folder)

    def weights(self, component: str, folder: str) -> Checkpoint:
        return merge(self.source.weights(folder, HUGGING_FACE[component]), self.merges.get(folder, {}))

    def _clip(self, name: str) -> MILProgram:
        weights = self.weights(name, self.family.clips[name].folder)
        program = clip.build(
            self.clips[name],
            weights,
            precision=self.precision,
            tokens=self.context.clip_tokens,
            target=self.target,
        )
        weights.check()
        return program

    def _t5(self, name: str) -> MILProgram:
        assert self.t5 is not None  # `make` reads it whenever the component is selected
        weights = self.weights(name, self.family.t5.folder)
        program = t5.build(
            self.t5, weights, precision=self.precision, tokens=self.context.t5_tokens, target=self.target
        )
        weights.check()
        return program

    def _denoiser(self, finish: Finish[T]) -> Iterator[Part[T]]:
        weights = self.weights(TRANSFORMER, TRANSFORMER)
        modulation = finish(names.MODULATION, self._modulation(weights))
        yield Part(names.MODULATION, 1, 1, modulation)
        for part in self._chunks(weights, finish):
            weights.check()
            yield part

    def _modulation(self, weights: Checkpoint) -> MILProgram:
        program: MILProgram = self.family.model.build_modulation(
            self.transformer, weights, precision=self.precision, batch=self.batch, target=self.target
        )
        return program

    def _chunks(self, weights: Checkpoint, finish: Finish[T]) -> Iterator[Part[T]]:
        """The denoiser, perhaps in chunks."""
        row = self.family.model.DenoiserRow
        chunks = cuts.build_chunks(
            {
                function: row(self.transformer, latent, self.context_tokens, self.batch, self.precision)
                for function, latent in self.functions().items()
            },
            row.provider(self.transformer, weights),
            precision=self.precision,
            target=self.target,
            max_bytes=self.max_chunk,
            finish=partial(finish, names.DENOISER),
        )
        for number, count, made in chunks:
            yield Part(names.DENOISER, number, count, made)

    def _vae(self, name: str) -> MILProgram:
        weights = self.weights(VAE, VAE)
        network = vae.decoder if name == names.VAE_DECODER else vae.encoder
        program = nn.build_functions(
            {
                function: network(self.vae, precision=self.precision, latent=latent)
                for function, latent in self.functions().items()
            },
            weights,
            self.precision,
            self.target,
        )
        weights.check(OTHER_HALF[name])
        return program


def _as_it_is(_: str, program: MILProgram) -> MILProgram:
    return program


def _check_batch(family: Family, batch: int) -> None:
    if batch > family.max_batch:
        raise UsageError(
            f"batch is {batch}, but models of the family {family.name} have one row only: their guidance is "
            "an input; leave batch out"
        )


def _components(family: Family, source: Source, wanted: Sequence[str] | None) -> tuple[str, ...]:
    """The selected components in order; all that the source has, if the caller names none."""
    t5_name, has_t5 = names.TEXT_ENCODER_3, family.t5_required or source.has(family.t5.folder)
    if wanted is None:
        return tuple(c for c in family.components if c != t5_name or has_t5)
    unknown = [c for c in wanted if c not in family.components]
    if unknown or not wanted:
        raise UsageError(
            f"components: {', '.join(map(repr, unknown)) or 'none named'}: "
            f"choose among {', '.join(family.components)}"
        )
    if t5_name in wanted and not has_t5:
        raise ConversionError(
            f"components: {source.path} has no {t5_name}: leave it out, zeros take its place"
        )
    return tuple(c for c in family.components if c in wanted)


def _check_widths(
    family: Family,
    transformer: TransformerConfig,
    autoencoder: VAEConfig,
    clips: Mapping[str, CLIPConfig],
    t5_config: T5Config | None,
) -> None:
    """CheckpointError unless what one component gives is what the next one takes."""
    hidden = family.clip_width(clips)
    rows = [
        ("in_channels", transformer.in_channels, "the VAE's latent_channels", autoencoder.latent_channels),
        ("out_channels", transformer.out_channels, "the VAE's latent_channels", autoencoder.latent_channels),
    ]
    if len(clips) == len(family.clips):
        pooled = family.pooled_width(clips)
        rows.insert(0, ("pooled_projection_dim", transformer.pooled_width, "the text encoders", pooled))
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


def _clip_tokens(
    family: Family, source: Source, clips: Mapping[str, CLIPConfig], chosen: Sequence[str]
) -> int:
    """L: what all of the tokenizers pad to; the published models' length where none is there."""
    found = [
        max_length(source, family.clips[n].tokenizer_folder, c.max_positions)
        for n, c in clips.items()
        if n in chosen or source.has(family.clips[n].tokenizer_folder)
    ]
    return min(found, default=CLIP_TOKENS)


def _t5_tokens(
    family: Family,
    transformer: TransformerConfig,
    source: Source,
    wanted: int | None,
    with_t5: bool,
) -> int | None:
    """T: the caller's, or the tokenizer's up to what the family reads; None for CLIP's length without T5."""
    if wanted is not None and not (is_count(wanted) and wanted <= MAX_T5_TOKENS):
        raise UsageError(
            f"max_sequence_length is {shown(wanted)}, expected an integer from 1 to {MAX_T5_TOKENS}"
        )
    if not with_t5 and not family.t5_required:
        return None
    if wanted is None and not with_t5 and not source.has(family.t5.tokenizer_folder):
        return family.t5_tokens(transformer)
    if wanted is None:
        return max_length(source, family.t5.tokenizer_folder, family.t5_tokens(transformer))
    return wanted


def _defaults(wishes: Any, own: Defaults) -> Defaults:
    """The run's defaults: `own`, or what the checkpoint says in model_index.json's `tintype` object."""
    wishes = wishes if isinstance(wishes, dict) else {}
    steps, guidance = (
        wishes.get("steps", own.steps),
        wishes.get("guidance_scale", own.guidance_scale),
    )
    if not is_count(steps) or not is_number(guidance) or guidance < 0:
        raise CheckpointError(
            f"model_index.json: tintype is {shown(wishes)}, expected steps of at least 1 and a "
            "guidance_scale of at least 0: correct it"
        )
    return Defaults(steps, float(guidance))


def _chosen_defaults(steps: int | None, guidance: float | None, most: int, own: Defaults) -> Defaults:
    """The caller's defaults, and `own` where there are none."""
    if steps is not None and not (is_count(steps) and steps <= most):
        raise UsageError(f"default_steps is {shown(steps)}, expected an integer from 1 to {most}")
    if guidance is not None and not (is_number(guidance) and guidance >= 0):
        raise UsageError(f"default_guidance is {shown(guidance)}, expected a number of at least 0")
    return Defaults(
        own.steps if steps is None else steps,
        own.guidance_scale if guidance is None else float(guidance),
    )
