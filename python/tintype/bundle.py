"""`bundle.json` as frozen dataclasses: what a converted model is, apart from what one run wants of it.

The format is docs/bundle_format.md. `emit` writes it, `pipeline` and `run` read it; this module imports
neither numpy nor coremltools, so that describing a bundle costs nothing.
"""

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, ClassVar

from . import names
from .bundle_components import (
    Chunk,
    Component,
    Interface,
    SelfTest,
    TensorSpec,
    component_json,
    read_component,
)
from .bundle_reader import BundleReader
from .errors import BundleError
from .values import decode_json

__all__ = [
    "Bundle",
    "Chunk",
    "Component",
    "Context",
    "Defaults",
    "DynamicShift",
    "Interface",
    "Latent",
    "Pooled",
    "Resolution",
    "Schedule",
    "SelfTest",
    "Size",
    "TensorSpec",
    "Tokenizer",
]

Json = Mapping[str, Any]

FAMILIES = (names.SD3, names.FLUX)
PRECISIONS = ("float16", "float32")
TARGETS = ("gpu", "ane")
SCHEDULES = (names.FLOW_MATCH_EULER, names.FLOW_MATCH_LINEAR, names.FLOW_MATCH_DYNAMIC)
TOKENIZER_KINDS = ("clip_bpe", "t5_unigram")


@dataclass(frozen=True)
class Tokenizer:
    """One tokenizer folder. `bos_token_id` is None where the kind has no start token (T5)."""

    kind: str
    path: str
    max_length: int
    eos_token_id: int
    pad_token_id: int
    bos_token_id: int | None = None


@dataclass(frozen=True)
class Size:
    """Image size in pixels."""

    width: int
    height: int


@dataclass(frozen=True)
class Resolution:
    """One of several picture sizes, and the latent's height and width there."""

    size: Size
    latent_height: int
    latent_width: int


@dataclass(frozen=True)
class Latent:
    """The VAE's latent: its shape, and model space = (VAE space - shift) * scale."""

    channels: int
    height: int
    width: int
    downscale: int
    scale: float
    shift: float


@dataclass(frozen=True)
class DynamicShift:
    """How the shift of the schedule grows with the image: linear in its tokens between two points."""

    base_shift: float
    max_shift: float
    base_image_seq_len: int
    max_image_seq_len: int


@dataclass(frozen=True)
class Schedule:
    """The noise schedule; `shift` is the static shift s, `dynamic` what takes its place (FLUX.1-dev)."""

    kind: str
    shift: float
    num_train_timesteps: int
    dynamic: DynamicShift | None = None


@dataclass(frozen=True)
class Context:
    """The text sequence that the denoiser attends to: tokens that CLIP and T5 read, and its width."""

    clip_tokens: int
    t5_tokens: int
    dim: int


@dataclass(frozen=True)
class Pooled:
    """The pooled text embedding: its width."""

    dim: int


@dataclass(frozen=True)
class Defaults:
    """What a run uses when the caller does not say."""

    steps: int
    guidance_scale: float


@dataclass(frozen=True)
class Bundle:
    """A bundle's description, and the folder that it was read from (None until it is on disk).

    `size` and `latent` are the default ones. `resolutions` holds every size, the default first, and is empty
    in a bundle of one size. `preview` is the file of the map from latents to small pictures, if there is one.
    """

    #: The file that describes the folder.
    FILE: ClassVar[str] = names.BUNDLE_FILE

    name: str
    family: str
    target: str
    precision: str
    size: Size
    latent: Latent
    schedule: Schedule
    context: Context
    pooled: Pooled
    defaults: Defaults
    components: Mapping[str, Component]
    tokenizers: Mapping[str, Tokenizer]
    config: Json = field(default_factory=dict)
    source: Json = field(default_factory=dict)
    tools: Mapping[str, str] = field(default_factory=dict)
    accuracy: Json = field(default_factory=dict)
    root: Path | None = None
    resolutions: tuple[Resolution, ...] = ()
    preview: str | None = None

    @classmethod
    def read(cls, path: "str | Path") -> "Bundle":
        """Read and check the bundle in the folder `path`.

        Raises BundleError, naming file, key, value and remedy, when the folder or `bundle.json` is missing,
        is not JSON, has a format version that this release does not know, lacks a key, holds a value of the
        wrong type, a path that leaves the folder, or names a component or tokenizer that is not there.
        """
        root = Path(path)
        file = root / cls.FILE
        if root.is_file():
            raise BundleError(f"{root} is a file: name the folder of a bundle")
        if not root.is_dir():
            raise BundleError(
                f"there is no bundle at {root}: convert a model with `tintype convert SOURCE -o {root}`"
            )
        if not file.is_file():
            raise BundleError(
                f"{root} has no {cls.FILE}, it is no bundle: convert a model with `tintype convert`"
            )
        try:
            data = decode_json(file.read_text(encoding="utf-8"))
        except (OSError, ValueError) as error:
            raise BundleError(f"{file} cannot be read as JSON ({error}): convert the model again") from error
        bundle = cls.from_json(data, file=file, root=root)
        bundle._check_folders(file)
        return bundle

    @classmethod
    def from_json(
        cls, data: Any, *, file: "str | Path" = names.BUNDLE_FILE, root: Path | None = None
    ) -> "Bundle":
        """Check the decoded `bundle.json` and make a Bundle of it; `file` is only named in errors."""
        reader = BundleReader(data, str(file), "")
        reader.constant("format", names.BUNDLE_FORMAT, "this is not a Tintype bundle")
        reader.constant(
            "format_version",
            names.BUNDLE_FORMAT_VERSION,
            "update tintype, or convert the model again with this release",
        )
        components = {
            name: read_component(reader.child("components").child(name))
            for name in reader.child("components").data
        }
        tokenizers = {
            name: _tokenizer(reader.child("tokenizers").child(name))
            for name in reader.child("tokenizers").data
        }
        size, latent, schedule = reader.child("size"), reader.child("latent"), reader.child("schedule")
        context, defaults = reader.child("context"), reader.child("defaults")
        bundle = cls(
            name=reader.text("name"),
            family=reader.choice("family", FAMILIES),
            target=reader.choice("target", TARGETS),
            precision=reader.choice("precision", PRECISIONS),
            size=Size(size.count("width"), size.count("height")),
            latent=Latent(
                channels=latent.count("channels"),
                height=latent.count("height"),
                width=latent.count("width"),
                downscale=latent.count("downscale"),
                scale=latent.number("scale", nonzero=True),
                shift=latent.number("shift"),
            ),
            schedule=_schedule(schedule),
            context=Context(context.count("clip_tokens"), context.count("t5_tokens"), context.count("dim")),
            pooled=Pooled(reader.child("pooled").count("dim")),
            defaults=Defaults(defaults.count("steps"), defaults.number("guidance_scale")),
            components={n: components[n] for n in sorted(components, key=_component_order)},
            tokenizers=tokenizers,
            config=reader.mapping("config"),
            source=reader.mapping("source"),
            tools=reader.mapping("tools"),
            accuracy=reader.mapping("accuracy"),
            root=root,
            resolutions=_resolutions(reader),
            preview=reader.child("preview").path("path") if "preview" in reader.data else None,
        )
        _check_resolutions(reader, bundle)
        return bundle

    def to_json(self) -> dict[str, Any]:
        """The contents of `bundle.json` (keys in the documented order; no folder, no date)."""
        return {
            "format": names.BUNDLE_FORMAT,
            "format_version": names.BUNDLE_FORMAT_VERSION,
            "name": self.name,
            "family": self.family,
            "target": self.target,
            "precision": self.precision,
            "size": vars(self.size).copy(),
            "latent": vars(self.latent).copy(),
            **_resolutions_json(self.resolutions),
            "schedule": _schedule_json(self.schedule),
            "context": vars(self.context).copy(),
            "pooled": vars(self.pooled).copy(),
            "defaults": vars(self.defaults).copy(),
            "config": dict(self.config),
            "components": {name: component_json(c) for name, c in self.components.items()},
            "tokenizers": {name: _tokenizer_json(t) for name, t in self.tokenizers.items()},
            **({"preview": {"path": self.preview}} if self.preview else {}),
            "source": dict(self.source),
            "tools": dict(self.tools),
            "accuracy": dict(self.accuracy),
        }

    def to_text(self) -> str:
        """`to_json` as the text of `bundle.json`, the same for the same bundle."""
        return json.dumps(self.to_json(), indent=2, ensure_ascii=False) + "\n"

    def component(self, name: str) -> Component:
        """The component called `name`; BundleError, saying how to get it, when the bundle has none."""
        if name not in self.components:
            raise BundleError(
                f"the bundle {self.name} has no {name!r}, only {', '.join(self.components) or 'none'}: "
                f"convert the model again without --components, or with {name} among them"
            )
        return self.components[name]

    @property
    def sizes(self) -> tuple[Size, ...]:
        """Every picture size, the default first."""
        return tuple(r.size for r in self.resolutions) or (self.size,)

    def latent_at(self, width: int, height: int) -> Latent:
        """The latent of pictures of width x height; BundleError, naming the sizes there are, for another."""
        if (width, height) == (self.size.width, self.size.height):
            return self.latent
        for row in self.resolutions:
            if (width, height) == (row.size.width, row.size.height):
                return replace(self.latent, height=row.latent_height, width=row.latent_width)
        known = ", ".join(f"{s.width}x{s.height}" for s in self.sizes)
        raise BundleError(
            f"the bundle {self.name} has the size {known}, not {width}x{height}: "
            f"convert the model again with --size {width}x{height}"
        )

    def package_paths(self, name: str) -> tuple[Path, ...]:
        """Where the component's packages lie, in running order: one, or one a chunk."""
        return tuple(self._root() / part.path for part in self.component(name).parts)

    def tokenizer_path(self, name: str) -> Path:
        """The tokenizer's folder."""
        if name not in self.tokenizers:
            raise BundleError(
                f"the bundle {self.name} has no {name!r}, only {', '.join(self.tokenizers) or 'none'}"
            )
        return self._root() / self.tokenizers[name].path

    def _root(self) -> Path:
        if self.root is None:
            raise BundleError(f"the bundle {self.name} is not on disk yet")
        return self.root

    def _check_folders(self, file: Path) -> None:
        root = self._root()
        for key, path, is_folder in self._named_paths():
            place = root / path
            if not (place.is_dir() if is_folder else place.is_file()):
                raise BundleError(
                    f"{file}: {key} is {path!r}, but that {'folder' if is_folder else 'file'} is missing: "
                    f"the bundle is incomplete, convert the model again"
                )

    def _named_paths(self) -> Iterator[tuple[str, str, bool]]:
        """(key, path, whether it is a folder) of every path in bundle.json."""
        for name, component in self.components.items():
            row = f"components.{name}"
            for index, part in enumerate(component.parts):
                yield f"{row}.chunks[{index}].path" if component.chunks else f"{row}.path", part.path, True
            if component.self_test is not None:
                yield f"{row}.self_test.path", component.self_test.path, False
        for name, tokenizer in self.tokenizers.items():
            yield f"tokenizers.{name}.path", tokenizer.path, True
        if self.preview is not None:
            yield "preview.path", self.preview, False


def _component_order(name: str) -> tuple[int, str]:
    known = names.COMPONENTS.index(name) if name in names.COMPONENTS else len(names.COMPONENTS)
    return known, name


def _tokenizer_json(tokenizer: Tokenizer) -> dict[str, Any]:
    row: dict[str, Any] = {
        "kind": tokenizer.kind,
        "path": tokenizer.path,
        "max_length": tokenizer.max_length,
    }
    if tokenizer.bos_token_id is not None:
        row["bos_token_id"] = tokenizer.bos_token_id
    return row | {"eos_token_id": tokenizer.eos_token_id, "pad_token_id": tokenizer.pad_token_id}


def _tokenizer(reader: BundleReader) -> Tokenizer:
    return Tokenizer(
        kind=reader.choice("kind", TOKENIZER_KINDS),
        path=reader.path("path"),
        max_length=reader.count("max_length"),
        eos_token_id=reader.count("eos_token_id", minimum=0),
        pad_token_id=reader.count("pad_token_id", minimum=0),
        bos_token_id=reader.count("bos_token_id", minimum=0) if "bos_token_id" in reader.data else None,
    )


def _schedule(reader: BundleReader) -> Schedule:
    kind = reader.choice("kind", SCHEDULES)
    dynamic = None
    if kind == names.FLOW_MATCH_DYNAMIC:
        dynamic = DynamicShift(
            reader.number("base_shift"),
            reader.number("max_shift"),
            reader.count("base_image_seq_len"),
            reader.count("max_image_seq_len"),
        )
        if dynamic.base_image_seq_len >= dynamic.max_image_seq_len:
            reader.fail(
                "base_image_seq_len",
                dynamic.base_image_seq_len,
                f"less than max_image_seq_len {dynamic.max_image_seq_len}",
                "convert the model again",
            )
    return Schedule(
        kind=kind,
        shift=reader.number("shift", nonzero=True),
        num_train_timesteps=reader.count("num_train_timesteps"),
        dynamic=dynamic,
    )


def _schedule_json(schedule: Schedule) -> dict[str, Any]:
    row = {k: v for k, v in vars(schedule).items() if k != "dynamic"}
    return row if schedule.dynamic is None else row | vars(schedule.dynamic)


def _resolutions(reader: BundleReader) -> tuple[Resolution, ...]:
    if "sizes" not in reader.data:
        return ()
    rows = []
    for row in reader.elements("sizes"):
        latent = row.child("latent")
        size = Size(row.count("width"), row.count("height"))
        rows.append(Resolution(size, latent.count("height"), latent.count("width")))
    return tuple(rows)


def _check_resolutions(reader: BundleReader, bundle: Bundle) -> None:
    """The default comes first, no size twice, sizes are their latents' times downscale, and components have a
    function for every size or for none."""
    rows = bundle.resolutions
    default = Resolution(bundle.size, bundle.latent.height, bundle.latent.width)
    downscale = bundle.latent.downscale
    for key, row in [("size", default), *((f"sizes[{i}]", row) for i, row in enumerate(rows))]:
        width, height = row.latent_width * downscale, row.latent_height * downscale
        if row.size != Size(width, height):
            found = f"{row.size.width}x{row.size.height}"
            latent = f"the latent's {row.latent_width}x{row.latent_height} times latent.downscale {downscale}"
            reader.fail(key, found, f"{width}x{height}, {latent}", "convert the model again")
    if rows and rows[0] != default:
        first = f"{rows[0].size.width}x{rows[0].size.height}"
        expected = f"the default size {bundle.size.width}x{bundle.size.height} and its latent"
        reader.fail("sizes[0]", first, expected, "convert the model again")
    wanted = {names.size_function(s.width, s.height) for s in bundle.sizes}
    if len(wanted) != len(bundle.sizes):
        reader.fail("sizes", len(rows), "every size once", "convert the model again")
    for name, component in bundle.components.items():
        if component.functions and set(component.functions) != wanted:
            found = ", ".join(component.functions)
            expected = f"one for every size: {', '.join(sorted(wanted))}"
            reader.fail(f"components.{name}.functions", found, expected, "convert the model again")


def _resolutions_json(rows: tuple[Resolution, ...]) -> dict[str, Any]:
    sizes = [
        {**vars(row.size), "latent": {"height": row.latent_height, "width": row.latent_width}} for row in rows
    ]
    return {"sizes": sizes} if sizes else {}
