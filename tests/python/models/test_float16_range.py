"""Every diffusion transformer with weights so loud that float32 passes 65504 inside: float16 follows it on both
targets. The text encoders' and the autoencoder's are in their own files."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import tintype
from tintype.emit.package import write_package
from tintype.layers import RANGES, ComputedWeight, MILProgram, add_ranges
from tintype.models import flux, sd3
from tintype.sinusoid import guidance_features, timestep_features
from tintype.weights import SafetensorsFile

Array = np.ndarray[Any, Any]

LIMIT = 65504
MODELS = {
    "sd3-medium-tiny": sd3,
    "sd3.5-medium-tiny": sd3,
    "sd3.5-large-tiny": sd3,
    "flux-schnell-tiny": flux,
    "flux-dev-tiny": flux,
}

#: Parts of weights' names → factors. The MLPs' last layers pass the limit, and with them the streams.
LOUD = {
    "ff.net.2.weight": 4e4,
    "ff_context.net.2.weight": 4e4,
    "single_transformer_blocks.1.proj_out.weight": 4e4,
}


class Loud:
    """A checkpoint with some weights multiplied."""

    def __init__(self, file: Path, factors: Mapping[str, float]) -> None:
        self.tensors, self.factors = SafetensorsFile(file).tensors, factors

    def get(self, key: str, shape: tuple[int, ...]) -> ComputedWeight:
        factor = next((f for part, f in self.factors.items() if key.endswith(part)), 1)
        return ComputedWeight(key, shape, lambda: self.tensors[key].array(np.float32) * np.float32(factor))

    def __contains__(self, key: object) -> bool:
        return key in self.tensors


class Case:
    """A tiny pipeline's modulation and denoiser with loud weights, on the golden's inputs."""

    def __init__(self, data: Path, name: str, folder: Path, factors: Mapping[str, float]) -> None:
        rows = json.loads((data / name / "transformer/config.json").read_text())
        self.model: Any = MODELS[name]
        read = flux.FluxConfig.from_json if self.model is flux else sd3.SD3Config.from_json
        self.config: Any = read(rows, "transformer")
        self.weights = Loud(data / name / "transformer/diffusion_pytorch_model.safetensors", factors)
        golden = SafetensorsFile(data / name / "golden/transformer.safetensors").tensors
        self.golden = {k: t.array(np.float32) for k, t in golden.items()}
        self.folder = folder
        self.ranges: dict[str, float] = {}

    def velocity(self, precision: Any, target: Any = "gpu") -> Array:
        """The denoiser's output; in float32, `ranges` are the largest magnitudes in it by op."""
        golden = self.golden
        batch = len(golden["latent"])
        common: dict[str, Any] = {"precision": precision, "target": target, "batch": batch}
        scale = 1000 if self.model is flux else 1  # FLUX's golden has sigma
        inputs = {
            "timestep_features": timestep_features(scale * golden["timestep"]),
            "pooled": golden["pooled"],
            "guidance_features": guidance_features(golden.get("guidance", np.zeros(batch))),
        }
        rows = self.run(self.model.build_modulation(self.config, self.weights, **common), inputs)
        common |= {"latent": golden["latent"].shape[2:], "tokens": golden["context"].shape[1]}
        denoiser = self.model.build_denoiser(self.config, self.weights, **common)
        inputs = {k: golden[k] for k in ("latent", "context")} | {"modulation": rows["modulation"]}
        if precision == "float16":
            return self.run(denoiser, inputs)["velocity"].astype(np.float32)
        ranged = add_ranges(denoiser)
        out = self.run(ranged.program, inputs)
        names = [name for name, _ in ranged.labels]
        self.ranges = dict(zip(names, out[RANGES].tolist(), strict=True))
        return out["velocity"]

    def run(self, program: MILProgram, inputs: Mapping[str, Array]) -> dict[str, Array]:
        package = self.folder / f"{len(list(self.folder.iterdir()))}.mlpackage"
        write_package(program, package)
        typed = {s.name: inputs[s.name].astype(s.dtype) for s in program.inputs}
        return tintype.load_model(package, backend="mlx").predict(typed)

    def largest(self, end: str) -> float:
        return max(value for name, value in self.ranges.items() if name.endswith(end))


@pytest.mark.parametrize("name", MODELS)
def test_streams_and_mlps_beyond_float16(
    data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    case = Case(data, name, tmp_path, LOUD)
    expected = case.velocity("float32")
    for end in ("ff_net_2", "ff_context_net_2", "ff_residual", "ff_context_residual"):
        assert case.largest(end) > LIMIT, end
    if case.model is flux:
        assert min(case.largest("blocks_1_proj_out"), case.largest("out_residual")) > LIMIT
    assert case.largest("velocity") < 1000
    for target in ("gpu", "ane"):
        got = case.velocity("float16", target)
        assert np.isfinite(got).all(), target
        noise = float(np.sqrt(np.mean((got - expected) ** 2)))
        assert 20 * np.log10(np.abs(expected).max() / noise) >= 40, target
    monkeypatch.setattr(case.model, "STREAM_SCALE", 1)  # what the scale is for
    assert not np.isfinite(case.velocity("float16")).all()
