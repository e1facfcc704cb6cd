"""The range audit: the largest magnitude that every op makes in a real run, against what float16 holds."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from .. import names
from ..bundle import Bundle
from ..run import load_model
from .apple import as_called
from .bundle import PROMPT, STEPS, make_reference
from .reference import Call, record
from .reference_folder import reference_folder
from .steps import Steps

if TYPE_CHECKING:
    from ..emit import Progress
    from ..emit.loras import LoraChoices

__all__ = ["FLOAT16_MAX", "Range", "audit_ranges"]

FLOAT16_MAX = 65504.0


@dataclass(frozen=True)
class Range:
    """The value `op` of a component: its dtype, and its largest magnitude in the run (inf and NaN too)."""

    component: str
    op: str
    dtype: str
    largest: float

    @property
    def overflows(self) -> bool:
        """Whether the value's own dtype cannot hold it."""
        return not np.isfinite(self.largest)

    def to_json(self) -> dict[str, Any]:
        """JSON has no infinities: null stands for them."""
        return asdict(self) | {"largest": None if self.overflows else self.largest}


def audit_ranges(
    bundle: Bundle,
    source: "str | Path",
    *,
    variant: str | None = None,
    tokenizers: "str | Path | None" = None,
    lora: "LoraChoices" = (),
    progress: "Progress | None" = None,
) -> tuple[Range, ...]:
    """Every float value of every component of `bundle`, the largest first in each component.

    The graphs are built again from the checkpoint `source`, in the bundle's precision and for its target,
    with the largest magnitudes as one more output, and run by MLX on the inputs that a float32 run gives
    them. Weights are not compressed. `progress` hears of "measuring", with the steps done and to be done: the
    reference's conversion, its run, each component. Raises what `verify_backends` does.
    """
    told = Steps(progress, 2 + len(as_called(bundle).components))
    with reference_folder(bundle) as folder:
        reference = make_reference(bundle, source, folder / "reference", variant, tokenizers, lora)
        told.done()
        calls = record(reference, PROMPT, STEPS, names.MLX).calls
        told.done()
        return _audit(bundle, source, folder, calls, variant, tokenizers, lora, told)


def _audit(
    bundle: Bundle,
    source: "str | Path",
    folder: Path,
    calls: Any,
    variant: str | None,
    tokenizers: "str | Path | None",
    lora: "LoraChoices",
    told: Steps,
) -> tuple[Range, ...]:
    from ..emit.convert import open_checkpoint
    from ..emit.loras import open_loras, with_loras
    from ..emit.package import write_package
    from ..emit.plan import Plan
    from ..layers import add_ranges

    denoiser = bundle.components.get(names.DENOISER)
    with_t5 = names.TEXT_ENCODER_3 in bundle.components
    wanted = [c for c in bundle.components if c in names.SELECTABLE_COMPONENTS]
    plan = Plan.make(
        open_checkpoint(source, wanted, variant, tokenizers),
        precision="float32" if bundle.precision == "float32" else "float16",
        target="ane" if bundle.target == "ane" else "gpu",
        batch=denoiser.inputs[0].shape[0] if denoiser is not None else 1,
        sizes=[(bundle.size.width, bundle.size.height)],
        components=wanted,
        max_sequence_length=bundle.context.t5_tokens if with_t5 else None,
    )
    plan = with_loras(plan, open_loras(lora))
    found: list[Range] = []
    for name, (program,) in plan.programs():  # no limit, so no chunks
        ranged = add_ranges(program)
        path = folder / f"{name}.mlpackage"
        write_package(ranged.program, path)
        largest = _largest(path, calls.get(name, ()), {s.name: s.dtype for s in program.inputs})
        rows = [
            Range(name, op, dtype, float(value))
            for (op, dtype), value in zip(ranged.labels, largest, strict=True)
        ]
        found += sorted(rows, key=lambda r: -r.largest if np.isfinite(r.largest) else -np.inf)
        told.done()
    return tuple(found)


def _largest(path: Path, calls: Sequence[Call], dtypes: dict[str, str]) -> Any:
    from ..layers import RANGES

    with load_model(path, backend=names.MLX) as model:
        rows = [
            model.predict({n: v.astype(dtypes[n]) for n, v in call.inputs.items()})[RANGES] for call in calls
        ]
    return np.max(np.stack(rows), axis=0)
