"""Small ML Programs for the op tests: built with coremltools, saved as packages, run through the engine."""

from __future__ import annotations

import contextlib
import logging
import pathlib
import tempfile
import unittest.mock
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np

logging.getLogger("coremltools").setLevel(logging.ERROR)

import coremltools as ct  # noqa: E402
from coremltools.converters.mil import Builder as mb  # noqa: E402
from coremltools.converters.mil.mil import types  # noqa: E402

from . import ctypes_api  # noqa: E402

__all__ = ["Case", "build", "check", "ct", "mb", "run", "save", "types", "value_inference"]

_TYPES = {
    np.dtype(np.float32): types.fp32,
    np.dtype(np.float16): types.fp16,
    np.dtype(np.int32): types.int32,
}

#: Largest error relative to the reference's largest value, by dtype of the output.
TOLERANCE = {np.dtype(np.float32): 2e-5, np.dtype(np.float16): 2e-3, np.dtype(np.int32): 0.0}


@dataclass
class Case:
    """One program: `op` maps input vars to a var (or several), `reference` arrays to the expected array."""

    name: str
    op: Callable[..., Any]
    inputs: dict[str, np.ndarray]
    reference: Callable[..., Any] | None = None  # None: coremltools' own value inference
    opset: Any = field(default=ct.target.iOS17)
    tolerance: float | None = None
    constant_inputs: bool = True  # whether an input may become a constant of the program (drawn.py)


def build(op: Callable[..., Any], inputs: dict[str, np.ndarray], opset: Any = ct.target.iOS17):
    """A program whose inputs are like `inputs` and whose outputs are what `op` returns, as int32 or floats."""
    specs = [mb.TensorSpec(shape=a.shape, dtype=_TYPES[a.dtype]) for a in inputs.values()]

    def body(*args):
        outputs = op(**dict(zip(inputs, args, strict=True)))
        outputs = outputs if isinstance(outputs, list | tuple) else [outputs]
        finished = []
        for i, var in enumerate(outputs):
            integral = var.dtype not in (types.fp16, types.fp32)
            cast = {"dtype": "int32"} if integral and var.dtype != types.int32 else None
            finished.append(mb.cast(x=var, **cast) if cast else mb.identity(x=var, name=f"out_{i}_"))
        return tuple(finished)

    args = ", ".join(inputs)
    scope: dict[str, Any] = {"body": body}
    exec(f"def main({args}):\n    return body({args})", scope)
    return mb.program(input_specs=specs, opset_version=opset)(scope["main"])


def save(program, path: pathlib.Path, opset: Any = ct.target.iOS17) -> pathlib.Path:
    """The program as a package, without any pass that would change its ops."""
    # The converter collects garbage for every program: nine tenths of the time of a small one.
    collect = unittest.mock.patch("gc.collect", return_value=0)
    with open("/dev/null", "w") as nowhere, contextlib.redirect_stderr(nowhere), collect:
        model = ct.convert(
            program,
            convert_to="mlprogram",
            pass_pipeline=ct.PassPipeline.EMPTY,
            skip_model_load=True,
            minimum_deployment_target=opset,
            compute_precision=ct.precision.FLOAT32,
        )
        model.save(str(path))
    return path


def run(case: Case) -> list[np.ndarray]:
    """The program's outputs as the engine computes them."""
    with tempfile.TemporaryDirectory() as folder:
        path = save(
            build(case.op, case.inputs, case.opset), pathlib.Path(folder) / "net.mlpackage", case.opset
        )
        model = ctypes_api.Model(path)
        results = model.predict(case.inputs)
        return [results[name] for name in model.features(ctypes_api.OUTPUT)]


def value_inference(case: Case) -> list[np.ndarray]:
    """What coremltools computes for the same op on constants."""
    values: list[np.ndarray] = []

    @mb.program(input_specs=[mb.TensorSpec(shape=(1,))], opset_version=case.opset)
    def program(unused):
        outputs = case.op(**{name: mb.const(val=value) for name, value in case.inputs.items()})
        outputs = outputs if isinstance(outputs, list | tuple) else [outputs]
        values.extend(np.asarray(var.val) for var in outputs)
        return unused

    return values


def check(case: Case) -> None:
    """Runs the case and compares every output with the reference."""
    if case.reference is None:
        expected = value_inference(case)
    else:
        result = case.reference(*case.inputs.values())
        expected = list(result) if isinstance(result, list | tuple) else [result]
    actual = run(case)
    assert len(actual) == len(expected)
    for got, want in zip(actual, expected, strict=True):
        want = np.asarray(want)
        assert got.shape == want.shape
        tolerance = TOLERANCE[got.dtype] if case.tolerance is None else case.tolerance
        same = (got == want) | (np.isnan(got.astype(np.float64)) & np.isnan(want.astype(np.float64)))
        with np.errstate(invalid="ignore"):
            error = np.where(same, 0, np.abs(got.astype(np.float64) - want.astype(np.float64)))
        scale = max(1e-6, float(np.abs(want[np.isfinite(want)]).max(initial=0)))
        assert float(error.max(initial=0)) <= tolerance * scale, f"{case.name}: got {got}, expected {want}"
