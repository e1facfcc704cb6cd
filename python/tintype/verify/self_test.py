"""One recorded step of the denoiser inside a bundle, against which any runtime can be tested on first use."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from .. import names
from ..bundle import Bundle, SelfTest, Size
from ..errors import BundleError, ConversionError, EngineError, UsageError
from ..pipeline.conditioning import TextEncoders
from ..pipeline.denoising import Denoiser
from ..pipeline.families import FAMILIES
from ..pipeline.request import GenerationRequest
from ..pipeline.schedule import bundle_schedule
from ..pipeline.self_test import RecordedPrediction
from ..pipeline.settings import STAGES, make_plan
from ..pipeline.stages import StageModels
from .bundle import PROMPT, write_description

__all__ = [
    "SELF_TEST_PARAMETERS",
    "TOLERANCE",
    "SelfTestResult",
    "can_record",
    "parameters_to_run",
    "record_self_test",
    "run_self_test",
]

Array = np.ndarray[Any, Any]

#: The largest |error| that a runtime may make, relative to the largest magnitude of the expected output.
#: float16 on other kernels is off by 1e-3 or so, wrong kernels by the order of 1.
TOLERANCE = 0.05

#: `convert` records a step unasked where encoders, modulation and denoiser have no more parameters than this:
#: a step at 1024 x 1024 then takes seconds on a CPU.
SELF_TEST_PARAMETERS = 100_000_000

FILE = "self_test/denoiser.safetensors"


@dataclass(frozen=True)
class SelfTestResult:
    """The largest |error| relative to the largest expected magnitude, inf for NaN; what may be at most."""

    backend: str
    error: float
    tolerance: float

    @property
    def passed(self) -> bool:
        """Whether the runtime's kernels are right."""
        return self.error <= self.tolerance

    def to_json(self) -> dict[str, Any]:
        """JSON has no infinities: null stands for them."""
        error = self.error if np.isfinite(self.error) else None
        return {"backend": self.backend, "error": error, "tolerance": self.tolerance, "passed": self.passed}


class _Recorder(StageModels):
    """Remembers the denoiser's last call, in the described dtypes."""

    inputs: Mapping[str, Array] = {}
    outputs: Mapping[str, Array] = {}

    def run(
        self, component: str, backend: str, inputs: Mapping[str, Array], size: Size | None = None
    ) -> dict[str, Array]:
        outputs = super().run(component, backend, inputs, size)
        if component == names.DENOISER:
            row = self._bundle.component(component)
            self.inputs = {n: np.ascontiguousarray(v, row.input(n).dtype) for n, v in inputs.items()}
            self.outputs = {n: v.astype(row.output(n).dtype) for n, v in outputs.items()}
        return outputs


def can_record(bundle: Bundle) -> bool:
    """Whether the bundle has all that comes before the velocity."""
    return all(name in bundle.components for name in _needed(bundle))


def parameters_to_run(bundle: Bundle) -> int:
    """Parameters of the components that a recording runs."""
    with_t5 = {*_needed(bundle), names.TEXT_ENCODER_3}
    return sum(c.parameters for name, c in bundle.components.items() if name in with_t5)


def record_self_test(bundle: Bundle) -> Bundle:
    """Run the bundle's first step of one on MLX (seed 0, at the default size) and keep it in the bundle.

    Writes `self_test/denoiser.safetensors` and the denoiser's `self_test` in bundle.json; returns the new
    description. Raises UsageError naming the components that are missing, ConversionError if the run fails.
    """
    missing = [name for name in _needed(bundle) if name not in bundle.components]
    if missing or bundle.root is None:
        what = f"has no {', '.join(missing)}" if missing else "is not on disk"
        raise UsageError(
            f"the bundle {bundle.name} {what}, so no real step can be recorded: "
            "convert the model with all components, or leave the self-test out"
        )
    backends = dict.fromkeys(STAGES, names.MLX)
    plan = make_plan(bundle, GenerationRequest(PROMPT, steps=1, seed=0), backends)
    models = _Recorder(bundle, "all")
    try:
        schedule = bundle_schedule(bundle.schedule, 1, bundle.latent.height * bundle.latent.width)
        text = TextEncoders(bundle)
        rows = [text.encode("", plan, models)] if plan.guided else []
        rows.append(text.encode(PROMPT, plan, models))
        Denoiser(bundle, models, plan, schedule, rows).velocity(plan.latents, 0)
    except EngineError as error:
        raise ConversionError(
            f"no self-test can be recorded, since the step fails: {error}; --ranges names the op with values "
            "too large, --no-self-test leaves the step out"
        ) from error
    finally:
        models.close()
    RecordedPrediction(models.inputs, models.outputs).write(bundle.root / FILE)
    denoiser = replace(bundle.component(names.DENOISER), self_test=SelfTest(FILE, TOLERANCE))
    recorded = replace(bundle, components={**bundle.components, names.DENOISER: denoiser})
    write_description(recorded)
    return recorded


def run_self_test(bundle: Bundle, backend: str = names.MLX) -> SelfTestResult:
    """Run the recorded step on `backend`; BundleError where there is none or its file is damaged."""
    component = bundle.component(names.DENOISER)
    row = component.self_test
    if row is None or bundle.root is None:
        raise BundleError(f"the bundle {bundle.name} has no self-test: record one with verify --self-test")
    recorded = RecordedPrediction.read(bundle.root / row.path, row, component)
    models = StageModels(bundle, "all", self_tests=False)  # it is run and reported here
    try:
        model = models.model(names.DENOISER, backend)
        outputs = model.predict(recorded.inputs, row.function)
        used = model.backend
    finally:
        models.close()
    return SelfTestResult(used, recorded.error(outputs)[1], row.tolerance)


def _needed(bundle: Bundle) -> tuple[str, ...]:
    return tuple(c for c in FAMILIES[bundle.family].required if c != names.VAE_DECODER)
