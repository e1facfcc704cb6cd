"""The child process of a probe: loads a package on one backend and runs every function once.

python -c "from tintype.verify.probe_child import main; main()" PACKAGE BACKEND UNITS CACHE_FOLDER

Prints one JSON object, {"error": null} or {"error": TEXT}, as the last line of its standard output.
"""

import json
import sys
from pathlib import Path

import numpy as np

from ..errors import TintypeError
from ..run import FunctionInfo
from ..run.loading import load_with
from ..run.runtimes import INSTALLED, Runtimes

__all__ = ["main", "run_once"]


def main() -> None:
    """Probe what the command line names."""
    package, backend, units, cache_folder = sys.argv[1:]
    error = run_once(Runtimes(INSTALLED.libraries, cache_folder=Path(cache_folder)), package, backend, units)
    print(json.dumps({"error": error}), flush=True)


def run_once(runtimes: Runtimes, package: str, backend: str, units: str) -> str | None:
    """Why the package does not run; None if it does. Inputs are zeros."""
    try:
        with load_with(runtimes, package, backend, units) as model:
            for function in model.functions:
                model.predict(_zeros(model.describe(function)), function)
    except TintypeError as error:
        return str(error)
    return None


def _zeros(info: FunctionInfo) -> dict[str, np.ndarray]:
    """Every input that is needed; flexible extents are 1."""
    return {
        row.name: np.zeros([max(extent, 1) for extent in row.shape or ()], row.dtype)
        for row in info.inputs
        if not row.optional
    }
