"""Weights in fewer bits: float8 with and without scales, MLX's groups, and what is refused by name."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import mlx.core as mx
import numpy as np
import pytest
from safetensors.numpy import load_file

from tintype import convert
from tintype.errors import CheckpointError, ConversionError
from tintype.weights import DiffusersFolder, SafetensorsFile
from tintype.weights.storage.quantized import AffineWeight, expanded

Array = np.ndarray[Any, Any]

E4M3, E5M2 = "F8_E4M3", "F8_E5M2"
CODES = np.arange(256, dtype=np.uint8)


def save(path: Path, tensors: Mapping[str, Array | tuple[str, Array]]) -> Path:
    """A safetensors file; a pair names the dtype that NumPy does not have."""
    kinds = {"float32": "F32", "float16": "F16", "uint8": "U8", "uint32": "U32"}
    header, data = {}, b""
    for name, entry in tensors.items():
        dtype, value = entry if isinstance(entry, tuple) else (kinds[entry.dtype.name], entry)
        end = len(data) + value.nbytes
        header[name] = {"dtype": dtype, "shape": list(value.shape), "data_offsets": [len(data), end]}
        data += np.ascontiguousarray(value).tobytes()
    text = json.dumps(header).encode()
    path.write_bytes(len(text).to_bytes(8, "little") + text + data)
    return path


def float8(values: Array) -> Array:
    """The bytes of float8_e4m3fn."""
    return np.array(mx.to_fp8(mx.array(values)))


def test_every_float8(tmp_path: Path) -> None:
    four = np.array(mx.from_fp8(mx.array(CODES), dtype=mx.float32))
    # IEEE's rules with 5 bits of exponent (bias 15) and 2 of mantissa
    sign, exponent, mantissa = np.where(CODES < 128, 1.0, -1.0), (CODES >> 2 & 31).astype(int), CODES & 3
    five = sign * np.where(
        exponent == 0, mantissa / 4 * 2.0**-14, (1 + mantissa / 4) * 2.0 ** (exponent - 15)
    )
    finite = {"four": np.isfinite(four), "five": exponent < 31}
    stored = {"four": (E4M3, CODES[finite["four"]]), "five": (E5M2, CODES[finite["five"]])}
    tensors = SafetensorsFile(save(tmp_path / "a.safetensors", stored)).tensors
    for dtype in (np.float32, np.float16):
        for name, values in (("four", four), ("five", five)):
            np.testing.assert_array_equal(tensors[name].array(dtype), values[finite[name]].astype(dtype))


@pytest.mark.parametrize(("kind", "codes"), [(E4M3, [0x7F, 0xFF]), (E5M2, [0x7C, 0x7D, 0x7F, 0xFC, 0xFE])])
@pytest.mark.parametrize("dtype", [np.float16, np.float32])
def test_float8_that_is_no_number(tmp_path: Path, kind: str, codes: list[int], dtype: Any) -> None:
    for code in codes:
        stored = {"w": (kind, np.array([0, code, 1], np.uint8))}
        tensor = SafetensorsFile(save(tmp_path / "a.safetensors", stored)).tensors["w"]
        with pytest.raises(CheckpointError, match=r"w holds 1 infinities or NaN in 3 values.*\[1\]"):
            tensor.array(dtype)


@pytest.mark.parametrize("scale", [np.float32(0.25), np.array([[0.5], [2], [3]], np.float32)])
@pytest.mark.parametrize("name", ["scale_weight", "weight_scale"])
def test_scales_of_float8(tmp_path: Path, scale: Any, name: str) -> None:
    note = np.frombuffer(json.dumps({"format": "float8_e4m3fn"}).encode(), np.uint8)
    stored = {
        "scaled_fp8": (E4M3, CODES[:2]),
        "a.weight": (E4M3, CODES[:120].reshape(3, 40)),
        f"a.{name}": np.asarray(scale),
        "a.scale_input": np.ones((), np.float32),
        "a.comfy_quant": note,
        "b.weight": np.ones(3, np.float32),
    }
    tensors = expanded(SafetensorsFile(save(tmp_path / "a.safetensors", stored)).tensors)
    assert list(tensors) == ["a.weight", "b.weight"]
    values = np.array(mx.from_fp8(mx.array(CODES[:120]), dtype=mx.float32)).reshape(3, 40) * scale
    weight = tensors["a.weight"]
    np.testing.assert_array_equal(weight.array(np.float32), values)
    np.testing.assert_array_equal(weight.array(np.float16), values.astype(np.float16))
    np.testing.assert_array_equal(weight.elements(33, 95, np.float32), values.reshape(-1)[33:95])


def test_scaled_values_beyond_float16(tmp_path: Path) -> None:
    stored = {
        "a.weight": (E4M3, float8(np.full((1, 2), 400, np.float32))),
        "a.scale_weight": np.float32([200]),
    }
    weight = expanded(SafetensorsFile(save(tmp_path / "a.safetensors", stored)).tensors)["a.weight"]
    assert weight.array(np.float32).tolist() == [[384 * 200.0] * 2]
    with pytest.raises(ConversionError, match=r"a\.weight holds a value beyond 65504.*precision float32"):
        weight.array(np.float16)


@pytest.mark.parametrize("group", [32, 64, 128])
def test_groups_of_mlx(tmp_path: Path, group: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tintype.weights.storage.quantized.CHUNK_ELEMENTS", 100)
    rng = np.random.default_rng(group)
    value = rng.standard_normal((5, 256)).astype(np.float32)
    codes, scales, biases = mx.quantize(mx.array(value), group_size=group, bits=4)
    wide = {"weight": codes, "scales": scales.astype(mx.bfloat16), "biases": biases.astype(mx.bfloat16)}
    mx.save_safetensors(str(tmp_path / "a.safetensors"), {f"a.{k}": v for k, v in wide.items()})
    exact = [v.astype(mx.float32) for v in (wide["scales"], wide["biases"])]
    expected = np.array(mx.dequantize(codes, *exact, group_size=group, bits=4))
    (weight,) = expanded(SafetensorsFile(tmp_path / "a.safetensors").tensors).values()
    assert isinstance(weight, AffineWeight)
    assert weight.group == group
    np.testing.assert_array_equal(weight.array(np.float32), expected)
    np.testing.assert_array_equal(weight.array(np.float16), expected.astype(np.float16))
    np.testing.assert_array_equal(weight.elements(7, 1200, np.float32), expected.reshape(-1)[7:1200])
    pieces = list(weight.chunks(np.float32))
    assert max(map(len, pieces)) == 100
    np.testing.assert_array_equal(np.concatenate(pieces), expected.reshape(-1))


FOREIGN = [
    ({"a.weight.absmax": np.ones(2, np.float32)}, r"quantized by bitsandbytes \(a\.weight\.absmax\)"),
    ({"a.qweight": np.ones(2, np.uint32)}, "quantized by Nunchaku, GPTQ or AWQ"),
    ({"a.weight._data": np.ones(2, np.uint8)}, "quantized by optimum-quanto"),
    ({"a.weight_scale_inv": np.ones((2, 2), np.float32)}, "quantized by blocks of float8 or float4"),
    ({"a.comfy_quant": np.frombuffer(b'{"format": "nvfp4"}', np.uint8)}, "weight is quantized as 'nvfp4'"),
    ({"a.comfy_quant": np.frombuffer(b"[]", np.uint8)}, "weight is quantized as None"),
    (
        {"a.weight": (E4M3, CODES.reshape(4, 64)), "a.weight_scale": np.ones((2, 2, 2), np.float32)},
        r"a\.weight_scale is \[2, 2, 2\] for a\.weight \[4, 64\], expected one number, or one a row",
    ),
]


@pytest.mark.parametrize(("stored", "message"), FOREIGN)
def test_other_ways_are_named_with_a_remedy(tmp_path: Path, stored: Any, message: str) -> None:
    file = SafetensorsFile(save(tmp_path / "a.safetensors", stored))
    with pytest.raises(
        CheckpointError, match=rf"(?s)a\.safetensors.*{message}.*not quantized, and --quantize"
    ):
        expanded(file.tensors)


def test_an_all_in_one_file_of_float8(data: Path, tmp_path: Path) -> None:
    """As found in the wild: float8 matrices, the rest in float16. The bundle is that of the rounded weights."""
    folder = data / "sd3.5-medium-tiny"
    single = load_file(folder / "original/sd3_incl_clips_t5xxl.safetensors")
    stored: dict[str, Any] = dict(single)
    rounded: dict[str, Any] = dict(single)
    for key, value in single.items():
        if key.startswith(("model.diffusion_model.", "text_encoders.t5xxl.")) and value.ndim == 2:
            bits = float8(value.astype(np.float32))
            stored[key] = (E4M3, bits)
            rounded[key] = np.array(mx.from_fp8(mx.array(bits), dtype=mx.float16))
    options: dict[str, Any] = {"tokenizers": folder, "size": (128, 128), "components": ["denoiser"]}
    hashes = []
    for name, tensors in (("float8", stored), ("rounded", rounded)):
        bundle = convert(save(tmp_path / f"{name}.safetensors", tensors), tmp_path / name, **options)
        hashes.append({n: c.sha256 for n, c in bundle.components.items()})
        (tmp_path / f"{name}.safetensors").unlink()
    assert hashes[0] == hashes[1]


def test_float8_in_the_diffusers_layout(tmp_path: Path) -> None:
    index = {"_class_name": "FluxPipeline", "transformer": ["diffusers", "FluxTransformer2DModel"]}
    (tmp_path / "model_index.json").write_text(json.dumps(index))
    (tmp_path / "transformer").mkdir()
    stored = {"a.weight": (E5M2, CODES[:4].reshape(2, 2)), "a.weight_scale": np.float32([2])}
    save(tmp_path / "transformer/diffusion_pytorch_model.safetensors", stored)
    weights = DiffusersFolder(tmp_path, ["FluxPipeline"]).weights("transformer")
    assert set(weights.tensors) == {"a.weight"}
    np.testing.assert_array_equal(weights.get("a.weight", (2, 2)).array(np.float32)[0], [0, 2 * 2.0**-16])
