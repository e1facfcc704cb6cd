"""The LoRAs that a plan's weights are merged with."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from .. import names
from ..bundle import Bundle
from ..errors import UsageError
from ..weights import HUGGING_FACE, Lora, LoraChoices, bind_loras, open_loras
from .plan import TRANSFORMER, Plan

__all__ = ["LoraChoices", "check_recorded", "open_loras", "with_loras"]


def with_loras(plan: Plan, loras: Sequence[Lora]) -> Plan:
    """`plan` with the LoRAs merged into its weights as they are read.

    Every key of every file is checked here, before a package is written: ConversionError.
    """
    if not loras:
        return plan
    encoders = {**plan.family.clips, names.TEXT_ENCODER_3: plan.family.t5}
    folders = {names.DENOISER: TRANSFORMER, **{name: part.folder for name, part in encoders.items()}}
    checkpoints = {
        folder: plan.source.weights(folder, HUGGING_FACE.get(component, ()))
        for component, folder in folders.items()
        if component in plan.components
    }
    known = {folder: folder for folder in folders.values()}
    # Kohya's third encoder is T5 in both families, the Hugging Face layout's second one in FLUX.1.
    known[names.TEXT_ENCODER_3] = plan.family.t5.folder
    merges = bind_loras(loras, checkpoints, family=plan.family.name, folders=known)
    return replace(plan, loras=tuple(loras), merges=merges)


def check_recorded(bundle: Bundle, choices: LoraChoices) -> None:
    """UsageError unless `choices` are the LoRAs that `bundle` was converted with, at the same scales."""
    recorded: Any = bundle.source.get("lora", [])
    given = [lora.to_json() for lora in open_loras(choices)]
    if [(row["sha256"], row["scale"]) for row in recorded] == [(r["sha256"], r["scale"]) for r in given]:
        return
    raise UsageError(
        f"the bundle {bundle.name} was converted with {_listed(recorded)}, but it is to be compared with a "
        f"checkpoint and {_listed(given)}: name the same files and scales with --lora, in the same order"
    )


def _listed(rows: Sequence[Any]) -> str:
    """LoRAs for a message."""
    return ", ".join(f"--lora {row['file']}:{row['scale']:g}" for row in rows) or "no LoRA"
