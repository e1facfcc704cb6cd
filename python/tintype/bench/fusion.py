"""Suite `fusion`: what it gains that the engine joins ops (docs/architecture.md), in the models' own graphs.

Every case is a model at its real width with two blocks and random float16 weights, loaded twice: as the
engine runs it, and with TINTYPE_FUSION=0. Both run in turn, call by call; the ratio is the median of the
pairs' ratios, above 1 where joining is a gain.
"""

import os
import pathlib
import tempfile
from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

import numpy as np

from .. import load_model
from ..emit.package import write_package
from ..layers import MILProgram, Target
from ..models import sd3, t5
from ..models.vae import VAEConfig, build_decoder
from .cpu import RandomWeights
from .measure import Report, Row, describe_others, in_turn, other_processes

__all__ = ["run_fusion"]

LATENT, TEXT = (64, 64), 154  # SD3-medium at 512²
ROUNDS = 7

#: The engine's switch, in the environment.
SWITCH = "TINTYPE_FUSION"


def _mmdit(target: Target) -> MILProgram:
    config = sd3.SD3Config(2, 24, 64, 16, 16, 2, 4096, 2048, 192, None, ())
    return sd3.build_denoiser(
        config, RandomWeights(), precision="float16", latent=LATENT, tokens=TEXT, target=target
    )


def _t5() -> MILProgram:
    config = t5.T5Config(512, 4096, 64, 64, 10240, 2, 32, 128, 1e-6)  # T5-XXL but for the vocabulary
    return t5.build(config, RandomWeights(), precision="float16", tokens=77)


def _vae() -> MILProgram:
    config = VAEConfig(3, 16, (128, 256, 512, 512), 2, 32, 1.0, 0.0, True, False, False)
    return build_decoder(config, RandomWeights(), precision="float16", latent=(32, 32))


CASES: dict[str, Callable[[], MILProgram]] = {
    "SD3-medium, two blocks, gpu, 512²": lambda: _mmdit("gpu"),
    "SD3-medium, two blocks, ane, 512²": lambda: _mmdit("ane"),
    "T5-XXL, two blocks, 77 tokens": _t5,
    "VAE decoder, 256²": _vae,
}


def _load(path: pathlib.Path, fusion: bool) -> Any:
    before = os.environ.get(SWITCH)
    os.environ[SWITCH] = "1" if fusion else "0"  # the engine joins while it loads
    try:
        return load_model(path, backend="mlx")
    finally:
        if before is None:
            del os.environ[SWITCH]
        else:
            os.environ[SWITCH] = before


def _inputs(model: Any) -> dict[str, Any]:
    rng = np.random.default_rng(0)
    return {
        feature.name: rng.integers(0, 512, feature.shape, np.int32)
        if feature.dtype == "int32"
        else rng.standard_normal(feature.shape).astype(np.float16)
        for feature in model.inputs
    }


def _row(name: str, program: MILProgram) -> Row:
    with tempfile.TemporaryDirectory() as folder:
        path = pathlib.Path(folder) / "net.mlpackage"
        write_package(program, path)
        joined, apart = _load(path, True), _load(path, False)
        inputs = _inputs(joined)
        work, peer = partial(joined.predict, inputs), partial(apart.predict, inputs)
        in_turn(work, peer, rounds=1)  # weights are read
        pairs = in_turn(work, peer, ROUNDS)
    return Row.of_times(name, "apart", "ms", 1.0, [(1000 * a, 1000 * b) for a, b in pairs])


def run_fusion(on_case: Callable[[int, int], None] | None = None) -> Report:
    """Measure every case; `on_case` hears how many are done and how many there are."""

    def rows() -> Iterator[Row]:
        for i, (name, build) in enumerate(CASES.items()):
            yield _row(name, build())
            if on_case:
                on_case(i + 1, len(CASES))

    others = other_processes()
    found = list(rows())
    return Report(found, describe_others(others()))
