"""Verifying a bundle against its checkpoint, and what is written into bundle.json of it."""

import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from .. import names
from ..bundle import Bundle
from ..errors import ConversionError, EngineError, UsageError
from ..pipeline.families import FAMILIES
from ..run import backends
from ..run.files import atomic_write
from .metrics import Agreement, agreement, worst
from .reference import Recording, record, replay

if TYPE_CHECKING:
    from ..emit.loras import LoraChoices

__all__ = [
    "MIN_COSINE",
    "MIN_PSNR",
    "Accuracy",
    "gate_backends",
    "record_accuracy",
    "verify_backends",
    "verify_bundle",
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
    component is.
    """

    backend: str
    prompt: str
    steps: int
    components: Mapping[str, Agreement]
    run: Mapping[str, Agreement]

    @property
    def failures(self) -> tuple[str, ...]:
        """Components below a bar, and "image" if the picture is."""
        return tuple(name for name, value in self._held.items() if not passes(value))

    @property
    def complaint(self) -> str:
        """What fails, with its numbers; empty if nothing does."""
        rows = []
        for name in self.failures:
            value, what = self._held[name], "the picture" if name == PICTURE else name
            rows.append(f"{what} reaches {value.psnr:.1f} dB and cosine {value.cosine:.5f}")
        text = "; ".join(rows)
        bars = f"at least {MIN_PSNR:g} dB and {MIN_COSINE:g} against float32"
        return text and f"{text} on {self.backend}, expected {bars}"

    @property
    def _held(self) -> dict[str, Agreement]:
        """What is held to the bars."""
        picture = {PICTURE: self.run[PICTURE]} if PICTURE in self.run else {}
        return {**self.components, **picture}

    def to_json(self) -> dict[str, Any]:
        """The backend's row of `accuracy` in bundle.json."""
        return {
            "against": "float32",
            "prompt": self.prompt,
            "steps": self.steps,
            "bars": {"psnr": MIN_PSNR, "cosine": MIN_COSINE},
            "passed": not self.failures,
            "components": {name: value.to_json() for name, value in self.components.items()},
            "run": {name: value.to_json() for name, value in self.run.items()},
        }


def passes(value: Agreement) -> bool:
    """Whether it reaches both bars."""
    return value.psnr >= MIN_PSNR and value.cosine >= MIN_COSINE


def gate_backends() -> tuple[str, ...]:
    """What `convert` holds a bundle to the bars on: MLX, and Core ML where it is Apple's. The portable one
    runs packages by the same engine as MLX."""
    apples = any(b.name == names.COREML and b.available and b.is_apples for b in backends())
    return (names.MLX, names.COREML) if apples else (names.MLX,)


def verify_bundle(
    bundle: Bundle,
    source: "str | Path",
    *,
    backend: str = names.MLX,
    prompt: str = PROMPT,
    steps: int = STEPS,
    variant: str | None = None,
    tokenizers: "str | Path | None" = None,
    lora: "LoraChoices" = (),
) -> Accuracy:
    """`verify_backends` for one backend."""
    return verify_backends(
        bundle,
        source,
        (backend,),
        prompt=prompt,
        steps=steps,
        variant=variant,
        tokenizers=tokenizers,
        lora=lora,
    )[0]


def verify_backends(
    bundle: Bundle,
    source: "str | Path",
    chosen: Sequence[str],
    *,
    prompt: str = PROMPT,
    steps: int = STEPS,
    variant: str | None = None,
    tokenizers: "str | Path | None" = None,
    lora: "LoraChoices" = (),
) -> list[Accuracy]:
    """Compare `bundle` on each of the `chosen` backends with a float32 conversion of the checkpoint `source`.

    The reference is written beside the bundle and removed: it needs twice the float16 weights' bytes of disk.
    The reference runs on MLX. `variant`, `tokenizers` and `lora` are those of `convert`; the LoRAs must be
    the bundle's own.

    Raises UsageError for a backend that does not exist and for LoRAs that are not the bundle's, what
    `convert` raises for the source, BundleError if they do not belong together.
    """
    for backend in chosen:
        if backend not in names.BACKENDS:
            raise UsageError(f"backend is {backend!r}, expected one of {', '.join(names.BACKENDS)}")
    if bundle.root is None:
        raise UsageError(f"the bundle {bundle.name} is not on disk: write it before it is verified")
    with tempfile.TemporaryDirectory(prefix=".tintype-reference-", dir=bundle.root.parent) as folder:
        reference = make_reference(bundle, source, Path(folder) / "bundle", variant, tokenizers, lora)
        _check_interfaces(bundle, reference)
        recording = record(reference, prompt, steps, names.MLX)
    return [compare(bundle, recording, prompt, steps, backend) for backend in chosen]


def compare(bundle: Bundle, recording: Recording, prompt: str, steps: int, backend: str) -> Accuracy:
    """`bundle` on `backend` against the recorded run of its reference, with the same prompt and steps."""
    components = {
        name: agreement_of(bundle, name, recording, backend)
        for name in bundle.components
        if name in recording.calls
    }
    complete = all(name in bundle.components for name in FAMILIES[bundle.family].required)
    run = run_agreement(bundle, recording, prompt, steps, backend) if complete else {}
    return Accuracy(backend, prompt, steps, components, run)


def record_accuracy(bundle: Bundle, *results: Accuracy) -> Bundle:
    """Write the results into the bundle's bundle.json, whole or not at all, beside those of other backends;
    returns the new description."""
    if bundle.root is None:
        raise UsageError(f"the bundle {bundle.name} is not on disk: write it before it is verified")
    rows = {**bundle.accuracy.get("backends", {}), **{r.backend: r.to_json() for r in results}}
    passed = all(row["passed"] for row in rows.values())
    verified = replace(bundle, accuracy={**bundle.accuracy, "passed": passed, "backends": rows})
    write_description(verified)
    return verified


def write_description(bundle: Bundle) -> None:
    """Write bundle.json again, whole or not at all."""
    assert bundle.root is not None  # callers check it
    file = bundle.root / names.BUNDLE_FILE
    with atomic_write(file) as opened:
        opened.write(bundle.to_text().encode())


def make_reference(
    bundle: Bundle,
    source: "str | Path",
    output: Path,
    variant: str | None,
    tokenizers: "str | Path | None",
    lora: "LoraChoices" = (),
) -> Bundle:
    """A float32 conversion of `source` at the bundle's sizes, and LoRAs, with all that a run needs."""
    from ..emit import convert
    from ..emit.loras import check_recorded

    check_recorded(bundle, lora)
    with_t5 = names.TEXT_ENCODER_3 in bundle.components or FAMILIES[bundle.family].t5_required
    optional = () if with_t5 else (names.TEXT_ENCODER_3,)
    wanted = [*FAMILIES[bundle.family].required, *bundle.components]
    if with_t5:
        wanted.append(names.TEXT_ENCODER_3)
    denoiser = bundle.components.get(names.DENOISER)
    return convert(
        source,
        output,
        precision="float32",
        size=(bundle.size.width, bundle.size.height),
        components=[c for c in names.SELECTABLE_COMPONENTS if c in wanted and c not in optional],
        max_sequence_length=bundle.context.t5_tokens if with_t5 else None,
        batch=denoiser.input(names.LATENT).shape[0] if denoiser is not None else 1,
        variant=variant,
        tokenizers=tokenizers,
        lora=lora,
    )


def _check_interfaces(bundle: Bundle, reference: Bundle) -> None:
    """ConversionError unless every component takes and gives the shapes of the reference's."""
    for name, component in bundle.components.items():
        other = reference.component(name)
        ours = {s.name: s.shape for s in (*component.inputs, *component.outputs)}
        theirs = {s.name: s.shape for s in (*other.inputs, *other.outputs)}
        if ours != theirs:
            raise ConversionError(
                f"{name} of the bundle has {ours}, the checkpoint's {theirs}: the bundle was converted from "
                "another checkpoint, name its own with --against"
            )


def agreement_of(bundle: Bundle, name: str, recording: Recording, backend: str) -> Agreement:
    """A component on the reference's own inputs; 0 where it cannot run."""
    calls = recording.calls[name]
    try:
        outputs = replay(bundle, name, calls, backend)
    except EngineError:
        return Agreement(0.0, 0.0)  # NaN, infinities, an input beyond float16
    return worst(
        agreement((got[key], call.outputs[key]) for got, call in zip(outputs, calls, strict=True))
        for key in calls[0].outputs
    )


def run_agreement(
    bundle: Bundle, recording: Recording, prompt: str, steps: int, backend: str
) -> dict[str, Agreement]:
    """The whole run by the bundle itself: its final latents and its picture."""
    try:
        own = record(bundle, prompt, steps, backend)
    except EngineError:
        return {key: Agreement(0.0, 0.0) for key in ("latents", PICTURE)}
    return {
        "latents": agreement([(own.latents, recording.latents)]),
        PICTURE: agreement([(own.decoded, recording.decoded)]),
    }
