"""Compressed packages: coremltools reads the same values, the engine runs them, the files are small."""

import json
import threading
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import tintype
from tintype import names
from tintype.bundle import Bundle
from tintype.compress import RECIPES, CompressedWeight
from tintype.emit.weight_file import WeightLayout
from tintype.errors import UsageError
from tintype.neural_engine import inspect_package
from tintype.run.package import read_package
from tintype.sinusoid import timestep_features
from tintype.weight import ComputedWeight

Array = np.ndarray[Any, Any]
Golden = Callable[[str], Mapping[str, Array]]

#: Recipe → the denoiser's PSNR in dB against the float32 golden: what it must reach.
BARS = {"int8": 46, "int4": 29, "palette4": 28, "palette6": 36, "palette8": 40}

WEIGHTS = "Data/com.apple.CoreML/weights"


@pytest.fixture(scope="module", params=[("gpu", r) for r in RECIPES] + [("ane", "palette4"), ("ane", "int8")])
def compressed(
    request: pytest.FixtureRequest, data: Path, tmp_path_factory: pytest.TempPathFactory
) -> Bundle:
    """sd3-medium-tiny, its denoiser by one recipe."""
    target, recipe = request.param
    output = tmp_path_factory.mktemp("compressed") / f"{target}-{recipe}"
    parts = ["text_encoder", "denoiser", "vae_decoder"]
    return tintype.convert(
        data / "sd3-medium-tiny", output, target=target, quantize=recipe, components=parts, batch=2
    )


def recipe_of(bundle: Bundle) -> str:
    return str(bundle.component(names.DENOISER).compression["recipe"])


def test_the_engine_runs_it(compressed: Bundle, golden: Golden) -> None:
    case = golden("sd3-medium-tiny/golden/transformer")

    def run(component: str, **inputs: Array) -> dict[str, Array]:
        model = tintype.load_model(compressed.package_paths(component)[0], backend="mlx")
        typed = {s.name: inputs[s.name].astype(s.dtype) for s in compressed.component(component).inputs}
        return model.predict(typed)

    features = timestep_features(case["timestep"])
    rows = run("modulation", timestep_features=features, pooled=case["pooled"])["modulation"]
    got = run("denoiser", latent=case["latent"], context=case["context"], modulation=rows)["velocity"]
    expected = case["velocity"]
    error = got.astype(np.float32) - expected
    psnr = 10 * np.log10(np.abs(expected).max() ** 2 / np.square(error).mean())
    assert psnr >= BARS[recipe_of(compressed)]


def test_coremltools_decompresses_to_the_same_values(compressed: Bundle, data: Path) -> None:
    """Its loader accepts the package, and what its op makes of the tensors is near the checkpoint's weight."""
    import coremltools as ct
    from coremltools.converters.mil.frontend.milproto.load import load
    from safetensors.numpy import load_file

    path = compressed.package_paths(names.DENOISER)[0]
    spec = ct.utils.load_spec(str(path))
    program = load(spec, spec.specificationVersion, str(path / WEIGHTS))
    source = load_file(data / "sd3-medium-tiny/transformer/diffusion_pytorch_model.safetensors")
    source = {key.replace(".", "_"): value for key, value in source.items()}
    description = compressed.component(names.DENOISER).compression
    found, errors = 0, []
    for op in program.functions["main"].operations:
        if op.op_type.startswith("constexpr_"):
            expected = source[op.name.removesuffix("_dense")].astype(np.float32)
            got = np.asarray(op.materialized_val_inference(), np.float32).reshape(expected.shape)
            errors.append(np.linalg.norm(got - expected) / np.linalg.norm(expected))
            found += 1
    assert found == description["weights"] > 0
    assert max(errors) == pytest.approx(description["largest_error"]["error"], rel=0.02)
    assert np.mean(errors) == pytest.approx(description["mean_error"], rel=0.02)


def test_what_bundle_json_says(compressed: Bundle, make_bundle: Callable[..., Bundle]) -> None:
    plain = make_bundle("sd3-medium-tiny", "float16", 1, compressed.target)
    recipe = RECIPES[recipe_of(compressed)]
    assert compressed.component("vae_decoder").compression == {}
    assert RECIPES[compressed.component("text_encoder").compression["recipe"]].bits == 8
    for name, component in compressed.components.items():
        assert component.parameters == plain.component(name).parameters
        parameters = read_package(plain.package_paths(name)[0]).parameters
        assert read_package(compressed.package_paths(name)[0]).parameters == parameters
        assert inspect_package(compressed.package_paths(name)[0]).parameters == parameters
    denoiser = compressed.component(names.DENOISER)
    half = plain.component(names.DENOISER).weight_bytes
    # tables, biases, positions and 64-byte alignment weigh much in a tiny model
    assert denoiser.weight_bytes < half * (recipe.bits / 16 + 0.25)


def test_a_mixture_of_recipes(data: Path, tmp_path: Path) -> None:
    """Every weight by the first glob that matches it, over all chunks; globs that match nothing are refused."""
    import coremltools as ct

    file = tmp_path / "mixed.json"
    globs = {"*.0.attn.to_q.weight": "none", "*.attn.*": "int8", "*.ff.*": "palette4"}
    file.write_text(json.dumps({"denoiser": globs}))
    options: dict[str, Any] = {"quantize": f"mixed:{file}", "components": ["denoiser"], "max_chunk": 300_000}
    bundle = tintype.convert(data / "sd3-medium-tiny", tmp_path / "b", **options)
    assert bundle.component(names.MODULATION).compression == {}
    denoiser = bundle.component(names.DENOISER)
    assert len(denoiser.chunks) > 1
    row = denoiser.compression
    assert row["recipe"] == "mixed"
    assert set(row["recipes"]) == {"int8", "palette4"}
    assert sum(row["recipes"].values()) == row["weights"]
    assert ".ff." in row["largest_error"]["weight"]
    found = {}
    for path in bundle.package_paths(names.DENOISER):
        (block,) = ct.utils.load_spec(str(path)).mlProgram.functions["main"].block_specializations.values()
        found |= {op.outputs[0].name: op.type for op in block.operations if "_dense" in op.outputs[0].name}
    assert len(found) == row["weights"]
    for name, kind in found.items():
        assert kind == ("constexpr_lut_to_dense" if "_ff_" in name else "constexpr_blockwise_shift_scale"), (
            name
        )
    assert not any("_0_attn_to_q_weight" in name for name in found)

    file.write_text(json.dumps({"denoiser": globs | {"*.mlp.*": "int8", "proj_out.*": "int8"}}))
    message = r"'\*\.mlp\.\*', 'proj_out\.\*' matches none of the \d+ weights of denoiser that can be .*attn"
    with pytest.raises(UsageError, match=message):
        tintype.convert(data / "sd3-medium-tiny", tmp_path / "c", **options)
    assert not (tmp_path / "c").exists()


def test_same_input_same_bytes(data: Path, tmp_path: Path) -> None:
    first, second = (
        tintype.convert(
            data / "sd3-medium-tiny", tmp_path / name, quantize="palette4", components=["denoiser"]
        )
        for name in "ab"
    )
    assert first.to_text() == second.to_text()


def test_codes_and_table_on_two_threads_share_one_pass(tmp_path: Path) -> None:
    value = np.random.default_rng(0).standard_normal((16, 64)).astype(np.float32)
    passes: list[None] = []
    second = threading.Event()

    def make() -> Any:
        passes.append(None)
        if len(passes) == 2:
            second.set()
        second.wait(0.5)  # a pass that another thread begins meanwhile
        return value

    weight = CompressedWeight(
        ComputedWeight("w", value.shape, make), value.shape, RECIPES["int8"], np.float16
    )
    layout = WeightLayout()
    layout.add(weight.codes, "int8")
    layout.add(weight.table, "float16")
    layout.write(tmp_path / "weight.bin")
    assert len(passes) == 1


def test_blobs_are_what_coremltools_writes(tmp_path: Path) -> None:
    """Packed tensors of every kind, some with bits to pad, against coremltools' own writer."""
    from coremltools.libmilstoragepython import _BlobStorageWriter as BlobWriter

    from tintype.compress.packing import pack

    codes = np.arange(21, dtype=np.uint8) % 16
    ours = WeightLayout()
    theirs = BlobWriter(str(tmp_path / "theirs.bin"))
    for kind, bits in (("uint4", 4), ("uint6", 6), ("uint8", 8)):
        ours.add(Packed(kind, codes.shape, lambda bits=bits: pack(codes, bits)), kind)
        getattr(theirs, f"write_{kind}_data")(codes if bits == 8 else codes.tolist())
    del theirs  # it writes the number of blobs when it goes
    ours.write(tmp_path / "ours.bin")
    assert (tmp_path / "ours.bin").read_bytes() == (tmp_path / "theirs.bin").read_bytes()


class Packed(ComputedWeight):
    """Bytes that are packed already."""

    def chunks(self, dtype: Any) -> Any:
        yield self.make()
