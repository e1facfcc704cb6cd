"""A bundle's recorded prediction, which a runtime must reproduce before a component is trusted to it.

Releases of systems have computed wrong numbers without any error; a step recorded when the bundle was made
finds them at the first use. The file is docs/bundle_format.md's: `input.NAME` and `expected.NAME`.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from ..bundle import Component, SelfTest
from ..errors import BundleError, EngineError
from .chunks import ComponentModel
from .tensor_file import read_tensors, write_tensors

__all__ = ["RecordedPrediction", "check_self_test"]

Array = np.ndarray[Any, Any]

INPUT, EXPECTED = "input.", "expected."
REMEDY = "record it again with verify --self-test"


@dataclass(frozen=True)
class RecordedPrediction:
    """Inputs and expected outputs by name, in the described dtypes and shapes."""

    inputs: Mapping[str, Array]
    expected: Mapping[str, Array]

    @classmethod
    def read(cls, file: Path, test: SelfTest, component: Component) -> "RecordedPrediction":
        """From `file`, for the function that `test` names; BundleError if it is damaged or of another one."""
        tensors = read_tensors(file, REMEDY)
        interface = component if test.function is None else component.functions.get(test.function)
        if interface is None:
            raise BundleError(f"{file} is of the function {test.function}, which the model lacks: {REMEDY}")
        specs = {INPUT + s.name: s for s in interface.inputs} | {
            EXPECTED + s.name: s for s in interface.outputs
        }
        for name, spec in specs.items():
            found = tensors.get(name)
            if found is None or found.shape != spec.shape or found.dtype != np.dtype(spec.dtype):
                what = "missing" if found is None else f"{found.dtype} {list(found.shape)}"
                raise BundleError(
                    f"{file}: {name} is {what}, expected {spec.dtype} {list(spec.shape)}: {REMEDY}"
                )
        return cls(
            {spec.name: tensors[INPUT + spec.name] for spec in interface.inputs},
            {spec.name: tensors[EXPECTED + spec.name] for spec in interface.outputs},
        )

    def write(self, file: Path) -> None:
        """Write `file`, whole or not at all."""
        tensors = {INPUT + name: value for name, value in self.inputs.items()}
        tensors |= {EXPECTED + name: value for name, value in self.expected.items()}
        file.parent.mkdir(exist_ok=True)
        write_tensors(file, tensors)

    def error(self, outputs: Mapping[str, Array]) -> tuple[str, float]:
        """The output that is furthest off, and its largest |error| relative to the largest magnitude that it
        should have; infinity for NaN."""
        errors = {name: _error(outputs[name], value) for name, value in self.expected.items()}
        worst = max(errors, key=lambda name: errors[name])
        return worst, errors[worst]


def _error(got: Array, expected: Array) -> float:
    wanted = expected.astype(np.float64)
    error = np.abs(got.astype(np.float64) - wanted).max() / max(float(np.abs(wanted).max()), 1e-30)
    return float(error) if np.isfinite(error) else float("inf")


def check_self_test(
    file: Path, test: SelfTest, name: str, component: Component, model: ComponentModel
) -> None:
    """Run the recorded prediction in `file` on `model`, which is the component called `name`.

    Raises EngineError if an output is further off than the test allows, BundleError for a damaged file.
    """
    recorded = RecordedPrediction.read(file, test, component)
    output, error = recorded.error(model.predict(recorded.inputs, test.function))
    if error > test.tolerance:
        raise EngineError(
            f"{name}: {output} differs by {error:.3g} of its largest value from what was recorded, at most "
            f"{test.tolerance:g} is allowed: this system's kernels compute the model wrongly on "
            f"{model.backend}"
        )
