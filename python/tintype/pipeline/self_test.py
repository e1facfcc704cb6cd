"""A bundle's recorded prediction, which Core ML must reproduce before a component is trusted to it.

Releases of systems have computed wrong numbers without any error; a step recorded when the bundle was made
finds them at the first use.
"""

from pathlib import Path

import numpy as np
from safetensors import SafetensorError
from safetensors.numpy import load_file

from ..bundle import SelfTest
from ..errors import BundleError, EngineError
from .chunks import ComponentModel

__all__ = ["check_self_test"]


def check_self_test(file: Path, test: SelfTest, component: str, model: ComponentModel) -> None:
    """Run the recorded prediction in `file` on `model`.

    Raises EngineError if an output is further off than the test allows, BundleError for a damaged file.
    """
    try:
        tensors = load_file(file)
    except (OSError, SafetensorError) as error:
        raise BundleError(
            f"{file} cannot be read ({error}); record it again with verify --self-test"
        ) from error
    inputs, expected = (
        {n.removeprefix(kind): v for n, v in tensors.items() if n.startswith(kind)}
        for kind in ("input.", "expected.")
    )
    if not inputs or not expected:
        raise BundleError(f"{file} holds no recorded prediction; record it again with verify --self-test")
    outputs = model.predict(inputs, test.function)
    for name, value in expected.items():
        if name not in outputs or outputs[name].shape != value.shape:
            raise BundleError(
                f"{file}: {component} gives no {name} of shape {value.shape}; "
                "record it again with verify --self-test"
            )
        wanted = value.astype(np.float64)
        off = float(np.abs(outputs[name] - wanted).max())
        limit = test.tolerance * float(np.abs(wanted).max())
        if not off <= limit:  # NaN is no less than anything
            raise EngineError(
                f"{component}: {name} differs by {off:g} from what was recorded, at most {limit:g} is "
                f"allowed: this system's kernels compute the model wrongly on {model.backend}"
            )
