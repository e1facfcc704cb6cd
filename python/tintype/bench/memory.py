"""Suite `memory`: what a package costs to open and to run, against the sum of its parts.

A package of random float16 weights is made on the fly and opened in a process of its own, so that nothing
else counts: opening maps the file, a predict adds the pages it touches and the values that are live.
"""

import json
import pathlib
import subprocess
import sys
import tempfile
from typing import Any

import numpy as np

from ..emit.package import write_package
from ..layers import ComputedWeight, Graph, IOSpec, Var, activation, build_program, linear

__all__ = ["report_text", "run_memory"]

WIDTH, TOKENS = 3072, 256

PROBE = """
import json, sys, time
import numpy as np
import tintype

def megabytes(key):
    with open("/proc/self/status") as file:
        return next(int(line.split()[1]) / 1024 for line in file if line.startswith(key + ":"))

before, start = megabytes("VmRSS"), time.perf_counter()
model = tintype.load_model(sys.argv[1], "mlx")
load, opened = time.perf_counter() - start, megabytes("VmRSS")
model.predict({"x": np.full((1, TOKENS, WIDTH), 0.01, np.float16)}, statistics=True)
print(json.dumps({
    "load_seconds": load, "opened_mb": opened - before, "peak_mb": megabytes("VmHWM") - before,
    "anonymous_mb": megabytes("RssAnon"), "weight_mb": model.metadata["weight_bytes"] / 2**20,
    "live_mb": model.last_statistics["peak_live_bytes"] / 2**20,
}))
""".replace("TOKENS, WIDTH", f"{TOKENS}, {WIDTH}")


class _Noise:
    """Random weights by any key; the same rows repeated, since only their size counts."""

    def get(self, key: str, shape: tuple[int, ...]) -> ComputedWeight:
        row = np.random.default_rng(0).standard_normal(WIDTH).astype(np.float32) * 0.02
        return ComputedWeight(key, shape, lambda: np.resize(row, shape))

    def __contains__(self, key: object) -> bool:
        return True


def run_memory(megabytes: int) -> dict[str, float]:
    """Opens and runs a package of about `megabytes` of weights: seconds, and MB (2**20 bytes) of memory.

    Linux only: memory is read from /proc.
    """
    layers = max(1, round(megabytes * 2**20 / (WIDTH * WIDTH * 2)))

    def body(g: Graph, x: Var) -> dict[str, Var]:
        for index in range(layers):
            x = activation(g, linear(g, x, f"layer{index}", WIDTH, bias=False), "silu")
        return {"y": g.op("identity", x=x, output="y")}

    with tempfile.TemporaryDirectory() as folder:
        path = pathlib.Path(folder) / "net.mlpackage"
        write_package(
            build_program([IOSpec("x", "float16", (1, TOKENS, WIDTH))], _Noise(), "float16", body), path
        )
        answer = subprocess.run(
            [sys.executable, "-c", PROBE, str(path)], capture_output=True, text=True, check=True
        )
    found: dict[str, Any] = json.loads(answer.stdout)
    return found


def report_text(found: dict[str, float]) -> str:
    """The figures, one a line."""
    return "\n".join(
        [
            f"weights {found['weight_mb']:.0f} MB, opened in {found['load_seconds']:.3f} s "
            f"with {found['opened_mb']:.0f} MB more resident",
            f"peak after a predict {found['peak_mb']:.0f} MB "
            f"({found['anonymous_mb']:.0f} MB not mapped from a file)",
            f"weights + live values {found['weight_mb'] + found['live_mb']:.0f} MB",
        ]
    )
