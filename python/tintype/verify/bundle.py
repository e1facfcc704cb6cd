"""Verifying a bundle against its checkpoint, and what is written into bundle.json of it."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from .. import names
from ..bundle import Bundle, Size
from ..errors import ConversionError, EngineError, UsageError
from ..files import atomic_write
from ..pipeline.families import FAMILIES
from ..run import backends
from .apple import as_called, expected_interface, interface
from .metrics import Agreement, agreement, worst
from .reference import Recording, calls_of, draw, record, replay
from .reference_folder import reference_folder, root_of
from .sizes import SizeChoice, check_functions, chosen_sizes, size_text
from .steps import Steps

if TYPE_CHECKING:
    from ..emit import Progress
    from ..emit.loras import LoraChoices

__all__ = [
    "MIN_COSINE",
    "MIN_PSNR",
    "Accuracy",
    "gate_backends",
    "record_accuracy",
    "reference_components",
    "verify_backends",
]

#: What every component must reach, and the picture of the whole run.
MIN_PSNR, MIN_COSINE = 35.0, 0.999

#: The row of a run that is held to the bars.
PICTURE = "image"

PROMPT = "a red circle above a blue square on a white background"
STEPS = 4


@dataclass(frozen=True)
class Accuracy:
    """Every component on the reference's own inputs; the whole run, errors adding up, where it can run.

    `run` holds the final latents, which are reported, and the picture, which is held to the bars as every
    component is. Both are of the default size; `sizes` holds the same of others, "WIDTHxHEIGHT" → (components
    that have a function a size, run). `system` says whose Core ML it was, on which system and device: its
    kernels are the system's. It is empty for MLX, whose are the package's own.
    """

    backend: str
    prompt: str
    steps: int
    components: Mapping[str, Agreement]
    run: Mapping[str, Agreement]
    sizes: Mapping[str, tuple[Mapping[str, Agreement], Mapping[str, Agreement]]] = field(default_factory=dict)
    system: Mapping[str, str] = field(default_factory=dict)

    @property
    def failures(self) -> tuple[str, ...]:
        """Components below a bar, and "image" if the picture is; with " at WIDTHxHEIGHT" those of other
        sizes."""
        return tuple(name for name, value in self._held.items() if not passes(value))

    @property
    def complaint(self) -> str:
        """What fails, with its numbers; empty if nothing does."""
        rows = []
        for name in self.failures:
            value = self._held[name]
            rows.append(f"{_called(name)} reaches {value.psnr:.1f} dB and cosine {value.cosine:.5f}")
        text = "; ".join(rows)
        bars = f"at least {MIN_PSNR:g} dB and {MIN_COSINE:g} against float32"
        return text and f"{text} on {self.backend}, expected {bars}"

    @property
    def _held(self) -> dict[str, Agreement]:
        """What is held to the bars."""
        held = _held(self.components, self.run, "")
        for size, (components, run) in self.sizes.items():
            held |= _held(components, run, f" at {size}")
        return held

    def to_json(self) -> dict[str, Any]:
        """The backend's row of `accuracy` in bundle.json."""
        return {
            "against": "float32",
            "prompt": self.prompt,
            "steps": self.steps,
            "bars": {"psnr": MIN_PSNR, "cosine": MIN_COSINE},
            "passed": not self.failures,
            **({"system": dict(self.system)} if self.system else {}),
            **_rows(self.components, self.run),
            **({"sizes": {size: _rows(*row) for size, row in self.sizes.items()}} if self.sizes else {}),
        }


def _called(name: str) -> str:
    """A name of `failures` in a sentence."""
    what, _, place = name.partition(" ")
    return f"the picture {place}".strip() if what == PICTURE else name


def _held(
    components: Mapping[str, Agreement], run: Mapping[str, Agreement], place: str
) -> dict[str, Agreement]:
    """Components and picture by their names and `place`."""
    picture = {PICTURE: run[PICTURE]} if PICTURE in run else {}
    return {f"{name}{place}": value for name, value in {**components, **picture}.items()}


def _rows(components: Mapping[str, Agreement], run: Mapping[str, Agreement]) -> dict[str, Any]:
    return {
        "components": {name: value.to_json() for name, value in components.items()},
        "run": {name: value.to_json() for name, value in run.items()},
    }


def passes(value: Agreement) -> bool:
    """Whether it reaches both bars."""
    return value.psnr >= MIN_PSNR and value.cosine >= MIN_COSINE


def gate_backends() -> tuple[str, ...]:
    """What `convert` holds a bundle to the bars on: MLX, and Core ML where it is Apple's. The portable one
    runs packages by the same engine as MLX."""
    apples = any(b.name == names.COREML and b.available and b.is_apples for b in backends())
    return (names.MLX, names.COREML) if apples else (names.MLX,)


def verify_backends(
    bundle: Bundle,
    source: "str | Path",
    chosen: Sequence[str] = (names.MLX,),
    *,
    sizes: SizeChoice = (),
    prompt: str = PROMPT,
    steps: int = STEPS,
    variant: str | None = None,
    tokenizers: "str | Path | None" = None,
    lora: "LoraChoices" = (),
    progress: "Progress | None" = None,
) -> list[Accuracy]:
    """Compare `bundle` on each of the `chosen` backends with a float32 conversion of the checkpoint `source`.

    The reference is written beside the bundle and removed: it needs twice the float16 weights' bytes of disk.
    The reference runs on MLX. `variant`, `tokenizers` and `lora` are those of `convert`; the LoRAs must be
    the bundle's own. The default size is measured, and those of `sizes` ("all", or (width, height), …); of
    all others the functions are looked at (`check_functions`). `progress` hears of "measuring", with the
    steps done and to be done: the reference's conversion, its run at each size, each component and the
    picture on each backend.

    Raises UsageError for a backend or a size that does not exist and for LoRAs that are not the bundle's,
    what `convert` raises for the source, ConversionError for a full disk, BundleError if they do not belong
    together, and for functions that are not what bundle.json says.
    """
    for backend in chosen:
        if backend not in names.BACKENDS:
            raise UsageError(f"backend is {backend!r}, expected one of {', '.join(names.BACKENDS)}")
    root_of(bundle)
    others = chosen_sizes(bundle, sizes)
    check_functions(bundle)
    recordings: dict[Size, Recording] = {}
    told = Steps(progress, 2 + len(others) + len(chosen) * comparisons(bundle, 1 + len(others)))
    with reference_folder(bundle) as folder:
        reference = make_reference(bundle, source, folder / "bundle", variant, tokenizers, lora, others)
        _check_interfaces(bundle, reference)
        told.done()
        for size in reference.sizes:
            recordings[size] = record(reference, prompt, steps, names.MLX, size)
            told.done()
    return [compare(bundle, recordings, prompt, steps, backend, told) for backend in chosen]


def comparisons(bundle: Bundle, sizes: int) -> int:
    """Steps of `compare` with the recordings of that many sizes."""
    return len(bundle.components) + (sizes - 1) * len(_sized(bundle)) + sizes * _is_complete(bundle)


def compare(
    bundle: Bundle,
    recordings: Mapping[Size, Recording],
    prompt: str,
    steps: int,
    backend: str,
    told: Steps,
) -> Accuracy:
    """`bundle` on `backend` against the recorded runs of its reference, with the same prompt and steps."""
    complete = _is_complete(bundle)

    def at(size: Size, measured: Iterable[str]) -> tuple[dict[str, Agreement], dict[str, Agreement]]:
        recording, rows, run = recordings[size], dict[str, Agreement](), dict[str, Agreement]()
        for name in measured:
            if name in recording.calls:
                rows[name] = agreement_of(bundle, name, recording, backend, size)
            told.done()
        if complete:
            run = run_agreement(bundle, recording, prompt, steps, backend, size)
            told.done()
        return rows, run

    default = at(bundle.size, bundle.components)
    others = {size_text(size): at(size, _sized(bundle)) for size in recordings if size != bundle.size}
    system = _system() if backend == names.COREML else {}
    return Accuracy(backend, prompt, steps, *default, others, system)


def _system() -> dict[str, str]:
    """Whose Core ML this is, the system's version, and the device."""
    details = next(b.details for b in backends() if b.name == names.COREML)
    device = details.get("device", {}).get("name")
    rows = {"implementation": details.get("implementation"), "os": details.get("os"), "device": device}
    return {key: str(value) for key, value in rows.items() if value}


def _is_complete(bundle: Bundle) -> bool:
    """Whether it can draw a picture."""
    there = as_called(bundle).components
    return all(name in there for name in FAMILIES[bundle.family].required)


def _sized(bundle: Bundle) -> list[str]:
    """Components with a function a size."""
    return [name for name, component in bundle.components.items() if component.functions]


def record_accuracy(bundle: Bundle, *results: Accuracy) -> Bundle:
    """Write the results into the bundle's bundle.json, whole or not at all, beside those of other backends;
    returns the new description. UsageError for a bundle that is not on disk."""
    rows = {**bundle.accuracy.get("backends", {}), **{r.backend: r.to_json() for r in results}}
    passed = all(row["passed"] for row in rows.values())
    verified = replace(bundle, accuracy={**bundle.accuracy, "passed": passed, "backends": rows})
    write_description(verified)
    return verified


def write_description(bundle: Bundle) -> None:
    """Write the bundle's description again, whole or not at all."""
    file = root_of(bundle) / bundle.FILE
    with atomic_write(file) as opened:
        opened.write(bundle.to_text().encode())


def make_reference(
    bundle: Bundle,
    source: "str | Path",
    output: Path,
    variant: str | None,
    tokenizers: "str | Path | None",
    lora: "LoraChoices" = (),
    others: Sequence[Size] = (),
) -> Bundle:
    """A float32 conversion of `source` at the bundle's default size and those of `others`, with the LoRAs and
    all that a run needs."""
    from ..emit import convert
    from ..emit.loras import check_recorded

    check_recorded(bundle, lora)
    wanted = reference_components(bundle)
    denoiser = bundle.components.get(names.DENOISER)
    return convert(
        source,
        output,
        precision="float32",
        size=[(size.width, size.height) for size in (bundle.size, *others)],
        components=[c for c in names.SELECTABLE_COMPONENTS if c in wanted],
        max_sequence_length=bundle.context.t5_tokens if names.TEXT_ENCODER_3 in wanted else None,
        batch=denoiser.inputs[0].shape[0] if denoiser is not None else 1,
        variant=variant,
        tokenizers=tokenizers,
        lora=lora,
    )


def reference_components(bundle: Bundle) -> tuple[str, ...]:
    """What a float32 conversion needs for a run that calls every component of the bundle."""
    return tuple(dict.fromkeys((*FAMILIES[bundle.family].required, *bundle.components)))


def _check_interfaces(bundle: Bundle, reference: Bundle) -> None:
    """ConversionError unless every component takes and gives the shapes of the reference's."""
    for name, component in bundle.components.items():
        ours, theirs = interface(component), expected_interface(bundle, name, reference)
        if ours != theirs:
            raise ConversionError(
                f"{name} of the bundle has {ours}, the checkpoint's {theirs}: the bundle was converted from "
                "another checkpoint, name its own with --against"
            )


def agreement_of(bundle: Bundle, name: str, recording: Recording, backend: str, size: Size) -> Agreement:
    """A component on the reference's own inputs, recorded at `size`; 0 where it cannot run."""
    calls = calls_of(bundle, name, recording)
    try:
        outputs = replay(bundle, name, calls, backend, size)
    except EngineError:
        return Agreement(0.0, 0.0)  # NaN, infinities, an input beyond float16
    return worst(
        agreement((got[key], call.outputs[key]) for got, call in zip(outputs, calls, strict=True))
        for key in calls[0].outputs
    )


def run_agreement(
    bundle: Bundle, recording: Recording, prompt: str, steps: int, backend: str, size: Size
) -> dict[str, Agreement]:
    """The whole run by the bundle itself: its final latents and its picture."""
    try:
        latents, decoded = draw(bundle, prompt, steps, backend, size)
    except EngineError:
        return {key: Agreement(0.0, 0.0) for key in ("latents", PICTURE)}
    return {
        "latents": agreement([(latents, recording.latents)]),
        PICTURE: agreement([(decoded, recording.decoded)]),
    }
