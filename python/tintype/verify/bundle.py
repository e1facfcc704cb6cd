"""Verifying a bundle against its checkpoint, and what is written into bundle.json of it."""

import os
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from .. import names
from ..bundle import Bundle
from ..errors import ConversionError, EngineError, UsageError
from ..pipeline.families import FAMILIES
from .metrics import Agreement, agreement, worst
from .reference import Recording, record, replay

if TYPE_CHECKING:
    from ..emit.loras import LoraChoices

__all__ = ["MIN_COSINE", "MIN_PSNR", "Accuracy", "record_accuracy", "verify_bundle"]

#: What every component must reach.
MIN_PSNR, MIN_COSINE = 35.0, 0.999

PROMPT = "a red circle above a blue square on a white background"
STEPS = 4


@dataclass(frozen=True)
class Accuracy:
    """Every component on the reference's own inputs; the whole run, errors adding up, where it can run.

    `run` holds the final latents and the picture, each by itself; it is reported and not held to a bar.
    """

    backend: str
    prompt: str
    steps: int
    components: Mapping[str, Agreement]
    run: Mapping[str, Agreement]

    @property
    def failures(self) -> tuple[str, ...]:
        """Components below a bar."""
        return tuple(
            name
            for name, value in self.components.items()
            if value.psnr < MIN_PSNR or value.cosine < MIN_COSINE
        )

    @property
    def complaint(self) -> str:
        """What fails, with its numbers; empty if nothing does."""
        failed = ((name, self.components[name]) for name in self.failures)
        rows = (f"{name} reaches {v.psnr:.1f} dB and cosine {v.cosine:.5f}" for name, v in failed)
        text = "; ".join(rows)
        return text and f"{text}, expected at least {MIN_PSNR:g} dB and {MIN_COSINE:g} against float32"

    def to_json(self) -> dict[str, Any]:
        """The value of `accuracy` in bundle.json."""
        return {
            "against": "float32",
            "backend": self.backend,
            "prompt": self.prompt,
            "steps": self.steps,
            "bars": {"psnr": MIN_PSNR, "cosine": MIN_COSINE},
            "passed": not self.failures,
            "components": {name: value.to_json() for name, value in self.components.items()},
            "run": {name: value.to_json() for name, value in self.run.items()},
        }


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
    """Compare `bundle` with a float32 conversion of the checkpoint `source` at the same sizes.

    The reference is written beside the bundle and removed: it needs twice the float16 weights' bytes of disk.
    The reference runs on MLX, the bundle on `backend`. `variant`, `tokenizers` and `lora` are those of
    `convert`; the LoRAs must be the bundle's own.

    Raises UsageError for a backend that does not exist and for LoRAs that are not the bundle's, what
    `convert` raises for the source, BundleError if they do not belong together.
    """
    if backend not in names.BACKENDS:
        raise UsageError(f"backend is {backend!r}, expected one of {', '.join(names.BACKENDS)}")
    if bundle.root is None:
        raise UsageError(f"the bundle {bundle.name} is not on disk: write it before it is verified")
    with tempfile.TemporaryDirectory(prefix=".tintype-reference-", dir=bundle.root.parent) as folder:
        reference = make_reference(bundle, source, Path(folder) / "bundle", variant, tokenizers, lora)
        _check_interfaces(bundle, reference)
        recording = record(reference, prompt, steps, names.MLX)
    return compare(bundle, recording, prompt, steps, backend)


def compare(bundle: Bundle, recording: Recording, prompt: str, steps: int, backend: str) -> Accuracy:
    """`bundle` on `backend` against the recorded run of its reference, with the same prompt and steps."""
    components = {
        name: agreement_of(bundle, name, recording, backend)
        for name in bundle.components
        if name in recording.calls
    }
    return Accuracy(backend, prompt, steps, components, _run(bundle, recording, prompt, steps, backend))


def record_accuracy(bundle: Bundle, accuracy: Accuracy) -> Bundle:
    """Write the results into the bundle's bundle.json, whole or not at all; returns the new description."""
    if bundle.root is None:
        raise UsageError(f"the bundle {bundle.name} is not on disk: write it before it is verified")
    verified = replace(bundle, accuracy=accuracy.to_json())
    write_description(verified)
    return verified


def write_description(bundle: Bundle) -> None:
    """Write bundle.json again, whole or not at all."""
    assert bundle.root is not None  # callers check it
    file = bundle.root / names.BUNDLE_FILE
    draft = file.with_name(f".{file.name}")
    draft.write_text(bundle.to_text(), encoding="utf-8")
    os.replace(draft, file)


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


def _run(bundle: Bundle, recording: Recording, prompt: str, steps: int, backend: str) -> dict[str, Agreement]:
    """The whole run by the bundle itself; nothing where it lacks a component."""
    if any(name not in bundle.components for name in FAMILIES[bundle.family].required):
        return {}
    try:
        own = record(bundle, prompt, steps, backend)
    except EngineError:
        return {key: Agreement(0.0, 0.0) for key in ("latents", "image")}
    return {
        "latents": agreement([(own.latents, recording.latents)]),
        "image": agreement([(own.decoded, recording.decoded)]),
    }
