"""Weights that a checkpoint stores in fewer bits, read as the numbers that they stand for.

MLX's affine integers   NAME.weight uint32 (O, I·4/32), eight codes a word from its lowest bits on,
                        NAME.scales and NAME.biases (O, I/group): weight = scale · code + bias
float8 with a scale     NAME.weight float8, NAME.scale_weight or NAME.weight_scale (one number, or one a row):
                        weight = scale · stored; NAME.scale_input, which speeds up products, is not needed

float8 without scales is read by `safetensors`. Everything is expanded piece by piece, while it streams.
"""

import math
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from ...errors import CheckpointError
from ...values import decode_json
from ...weight import Array, Weight
from .safetensors import CHUNK_ELEMENTS, StoredWeight, narrowed

__all__ = ["AffineWeight", "ScaledWeight", "expanded"]

#: Bits of MLX's codes; its sizes of a group.
BITS, GROUPS = 4, (32, 64, 128)
PER_WORD = 32 // BITS

FLOAT8 = ("F8_E4M3", "F8_E5M2")
SCALES = (".scale_weight", ".weight_scale")

#: Ends of keys that a float8 weight has beside its scale, and that say nothing about its values.
IGNORED = re.compile(r"(?:.*\.)?(?:scale_input|input_scale|scaled_fp8)")
COMFY = ".comfy_quant"

#: Ends of keys → what else weights are quantized by.
FOREIGN = (
    (r"\.quant_state\.bitsandbytes__\w+|\.absmax|\.quant_map|\.SCB", "bitsandbytes"),
    (r"\.qweight|\.qzeros|\.wscales|\.smooth_factor|\.wtscale", "Nunchaku, GPTQ or AWQ"),
    (r"\.weight\._data|\.weight\._scale|\.weight_qtype", "optimum-quanto"),
    (r"\.weight_scale_inv|\.weight_scale_2", "blocks of float8 or float4"),
)

REMEDY = (
    "Tintype reads float32, float16, bfloat16, float8 (with one scale a tensor or row) and MLX's 4 bits; use "
    "the checkpoint that is not quantized, and --quantize for a smaller bundle"
)


class _Expanded:
    """What both kinds have in common: `shape`, and `_values` of elements; implements `Weight`."""

    name: str
    shape: tuple[int, ...]

    def _values(self, begin: int, end: int) -> Array:
        """The elements [begin, end), float32."""
        raise NotImplementedError

    def array(self, dtype: npt.DTypeLike) -> Array:
        """The whole tensor as `dtype`."""
        return self.elements(0, math.prod(self.shape), dtype).reshape(self.shape)

    def elements(self, begin: int, end: int, dtype: npt.DTypeLike) -> Array:
        """The elements [begin, end) as `dtype`, flat; ConversionError when a value is too large for it."""
        end = min(end, math.prod(self.shape))
        return narrowed(self._values(begin, end), dtype, self.name)

    def chunks(self, dtype: npt.DTypeLike) -> Iterator[Array]:
        """The elements in pieces of bounded size."""
        for begin in range(0, math.prod(self.shape), CHUNK_ELEMENTS):
            yield self.elements(begin, begin + CHUNK_ELEMENTS, dtype)


@dataclass(frozen=True)
class AffineWeight(_Expanded):
    """(O, I) from codes, with a scale and a bias for every `group` inputs."""

    name: str
    shape: tuple[int, ...]
    codes: StoredWeight
    scales: StoredWeight
    biases: StoredWeight
    group: int

    @classmethod
    def of(cls, codes: StoredWeight, scales: StoredWeight, biases: StoredWeight) -> "AffineWeight":
        """The three tensors of a layer. CheckpointError for other bits or groups than Tintype reads."""
        shape = (*codes.shape[:-1], codes.shape[-1] * PER_WORD if codes.shape else 0)
        groups = scales.shape[-1] if scales.shape else 0
        group = shape[-1] // groups if groups else 0
        fits = scales.shape == biases.shape == (*shape[:-1], groups) and group * groups == shape[-1]
        if codes.stored != "U32" or not fits or group not in GROUPS:
            raise CheckpointError(
                f"{codes.file.path}: {codes.name} is {codes.stored} {list(codes.shape)} with scales "
                f"{list(scales.shape)} and biases {list(biases.shape)}, expected MLX's {BITS} bits in groups "
                f"of {', '.join(map(str, GROUPS))}: {REMEDY}"
            )
        return cls(codes.name, shape, codes, scales, biases, group)

    def _values(self, begin: int, end: int) -> Array:
        first, last = begin // self.group, -(-end // self.group)
        size = self.group * BITS // 8
        packed = self.codes.stored_bytes(first * size // 4, last * size // 4).reshape(last - first, size)
        values = np.empty((last - first, size, 2), np.float32)
        np.bitwise_and(packed, 15, out=values[..., 0], casting="unsafe")  # the lower half of a byte is first
        np.right_shift(packed, 4, out=values[..., 1], casting="unsafe")
        values *= self.scales.elements(first, last, np.float32)[:, None, None]
        values += self.biases.elements(first, last, np.float32)[:, None, None]
        return values.reshape(-1)[begin - first * self.group : end - first * self.group]


@dataclass(frozen=True)
class ScaledWeight(_Expanded):
    """float8 times its scale, one number or one a row."""

    name: str
    shape: tuple[int, ...]
    source: StoredWeight
    scale: StoredWeight

    @classmethod
    def of(cls, source: StoredWeight, scale: StoredWeight) -> "ScaledWeight":
        """CheckpointError for scales of blocks."""
        if scale.count not in (1, source.shape[0] if source.shape else 1):
            raise CheckpointError(
                f"{source.file.path}: {scale.name} is {list(scale.shape)} for {source.name} "
                f"{list(source.shape)}, expected one number, or one a row: {REMEDY}"
            )
        return cls(source.name, source.shape, source, scale)

    def _values(self, begin: int, end: int) -> Array:
        values = self.source.elements(begin, end, np.float32)  # made by a table, so ours
        scale = self.scale.array(np.float32).reshape(-1)
        if len(scale) == 1:
            values *= scale
            return values
        row = math.prod(self.shape[1:])
        first, last = begin // row, -(-end // row)
        factors = np.repeat(scale[first:last], row)
        values *= factors[begin - first * row : end - first * row]
        return values


def expanded(tensors: Mapping[str, StoredWeight]) -> dict[str, Weight]:
    """The tensors with the parts of each quantized weight made one, in their order.

    CheckpointError names a way of quantizing that Tintype does not read, and the remedy.
    """
    found: dict[str, Weight] = dict(tensors)
    for key, tensor in tensors.items():
        foreign = next((kind for end, kind in FOREIGN if re.search(rf"(?:{end})$", key)), None)
        if foreign is not None:
            raise CheckpointError(f"{tensor.file.path} is quantized by {foreign} ({key}): {REMEDY}")
        if IGNORED.fullmatch(key):
            del found[key]
        elif key.endswith(COMFY):
            _check_comfy(tensor)
            del found[key]
        base, dot, end = key.rpartition(".")
        weight = tensors.get(f"{base}.weight")
        if weight is None or not dot:
            continue
        biases = tensors.get(f"{base}.biases")
        if end == "scales" and biases is not None:
            found[weight.name] = AffineWeight.of(weight, tensor, biases)
            del found[key], found[biases.name]
        elif f".{end}" in SCALES and weight.stored in FLOAT8:
            found[weight.name] = ScaledWeight.of(weight, tensor)
            del found[key]
    return found


def _check_comfy(tensor: StoredWeight) -> None:
    """ComfyUI's note on a layer, JSON in bytes; only float8 is read."""
    try:
        kind = decode_json(tensor.stored_bytes(0, tensor.count).tobytes()).get("format")
    except (ValueError, AttributeError):
        kind = None
    if kind not in ("float8_e4m3fn", "float8_e5m2"):
        raise CheckpointError(
            f"{tensor.file.path}: {tensor.name} says that its weight is quantized as {kind!r}: {REMEDY}"
        )
