"""The engine's C ABI through ctypes alone, so that tests hold the raw function table and nothing above it.

Model(path).predict({name: array}) -> {name: array}
"""

from __future__ import annotations

import ctypes as c
import functools
import importlib.util
import json
import os
import pathlib
import sys

import numpy as np

ABI_VERSION = 2
MAX_RANK = 8
INPUT, OUTPUT, STATE = 0, 1, 2
(OK, INVALID_ARGUMENT, IO, FORMAT, UNSUPPORTED, RUNTIME, OUT_OF_MEMORY, UNAVAILABLE, CANCELLED) = range(9)

DTYPES = {
    1: np.dtype(np.bool_), 2: np.dtype(np.int8), 3: np.dtype(np.uint8), 4: np.dtype(np.int16),
    5: np.dtype(np.uint16), 6: np.dtype(np.int32), 7: np.dtype(np.uint32), 8: np.dtype(np.int64),
    9: np.dtype(np.float16), 10: np.dtype(np.float32), 11: np.dtype(np.float64),
}  # fmt: skip
CODES = {dtype: code for code, dtype in DTYPES.items()}


class Tensor(c.Structure):
    _fields_ = [
        ("name", c.c_char_p),
        ("data", c.c_void_p),
        ("dtype", c.c_int32),
        ("rank", c.c_int32),
        ("shape", c.c_int64 * MAX_RANK),
        ("strides", c.c_int64 * MAX_RANK),
    ]


class Feature(c.Structure):
    _fields_ = [
        ("name", c.c_char_p),
        ("dtype", c.c_int32),
        ("rank", c.c_int32),
        ("shape", c.c_int64 * MAX_RANK),
        ("optional", c.c_int32),
        ("content", c.c_int32),
        ("color_layout", c.c_int32),
        ("width", c.c_int64 * 2),
        ("height", c.c_int64 * 2),
    ]


class LoadOptions(c.Structure):
    _fields_ = [("size", c.c_size_t), ("units", c.c_int32), ("cache_folder", c.c_char_p)]


class PredictOptions(c.Structure):
    _fields_ = [
        ("size", c.c_size_t),
        ("function", c.c_char_p),
        ("state", c.c_void_p),
        ("progress", c.c_void_p),
        ("progress_context", c.c_void_p),
        ("collect_statistics", c.c_int32),
    ]


_ERROR = c.POINTER(c.c_void_p)


class Api(c.Structure):
    _fields_ = [
        ("abi_version", c.c_uint32),
        ("size", c.c_uint32),
        ("name", c.c_char_p),
        ("describe_runtime", c.CFUNCTYPE(c.c_void_p)),
        ("available", c.CFUNCTYPE(c.c_int32, _ERROR)),
        ("model_load", c.CFUNCTYPE(c.c_int32, c.c_char_p, c.c_void_p, _ERROR, _ERROR)),
        ("model_free", c.CFUNCTYPE(None, c.c_void_p)),
        ("function_count", c.CFUNCTYPE(c.c_size_t, c.c_void_p)),
        ("function_name", c.CFUNCTYPE(c.c_char_p, c.c_void_p, c.c_size_t)),
        ("feature_count", c.CFUNCTYPE(c.c_size_t, c.c_void_p, c.c_char_p, c.c_int32)),
        (
            "feature",
            c.CFUNCTYPE(c.c_int32, c.c_void_p, c.c_char_p, c.c_int32, c.c_size_t, c.POINTER(Feature), _ERROR),
        ),
        ("model_metadata", c.CFUNCTYPE(c.c_void_p, c.c_void_p)),
        (
            "predict",
            c.CFUNCTYPE(c.c_int32, c.c_void_p, c.c_void_p, c.POINTER(Tensor), c.c_size_t, _ERROR, _ERROR),
        ),
        ("result_count", c.CFUNCTYPE(c.c_size_t, c.c_void_p)),
        ("result_tensor", c.CFUNCTYPE(c.c_int32, c.c_void_p, c.c_size_t, c.POINTER(Tensor), _ERROR)),
        ("result_free", c.CFUNCTYPE(None, c.c_void_p)),
        ("string_free", c.CFUNCTYPE(None, c.c_void_p)),
        ("state_new", c.CFUNCTYPE(c.c_int32, c.c_void_p, c.c_char_p, _ERROR, _ERROR)),
        ("state_free", c.CFUNCTYPE(None, c.c_void_p)),
        ("state_tensor", c.CFUNCTYPE(c.c_int32, c.c_void_p, c.c_char_p, c.POINTER(Tensor), _ERROR)),
        ("result_statistics", c.CFUNCTYPE(c.c_void_p, c.c_void_p)),
        ("compute_plan", c.CFUNCTYPE(c.c_int32, c.c_char_p, c.c_void_p, _ERROR, _ERROR)),
        ("verdict_file", c.CFUNCTYPE(c.c_int32, c.c_char_p, c.c_void_p, _ERROR, _ERROR)),
    ]


class EngineError(Exception):
    """A refusal: `status` is the ABI's code, the message its text."""

    def __init__(self, status: int, text: str):
        super().__init__(text)
        self.status = status


def library_path() -> pathlib.Path | None:
    """TINTYPE_ENGINE_LIBRARY, else the library of the installed package, else None."""
    if "TINTYPE_ENGINE_LIBRARY" in os.environ:
        return pathlib.Path(os.environ["TINTYPE_ENGINE_LIBRARY"])
    suffix = "dylib" if sys.platform == "darwin" else "so"
    spec = importlib.util.find_spec("tintype")
    for folder in (spec.submodule_search_locations or []) if spec else []:
        path = pathlib.Path(folder) / "lib" / f"libtintype_engine.{suffix}"
        if path.exists():
            return path
    return None


@functools.cache
def api() -> Api:
    path = library_path()
    if path is None:
        raise FileNotFoundError("no engine: pip install . or set TINTYPE_ENGINE_LIBRARY")
    entry = c.CDLL(str(path)).tintype_engine_api
    entry.restype = c.POINTER(Api)
    entry.argtypes = [c.c_uint32]
    table = entry(ABI_VERSION)
    if not table:
        raise RuntimeError(f"{path} does not speak version {ABI_VERSION}")
    return table.contents


def take_string(pointer: int | None) -> str:
    """The text of a string that the ABI hands over, freed."""
    if not pointer:
        return ""
    text = c.string_at(pointer).decode()
    api().string_free(pointer)
    return text


def check(status: int, error: c.c_void_p) -> None:
    text = take_string(error.value)
    if status != OK:
        raise EngineError(status, text)


def tensor_of(name: str, array: np.ndarray) -> Tensor:
    """A view of the array with its strides; the array must outlive it."""
    tensor = Tensor(name.encode(), array.ctypes.data, CODES.get(array.dtype, 99), array.ndim)
    for axis in range(min(array.ndim, MAX_RANK)):
        tensor.shape[axis] = array.shape[axis]
        tensor.strides[axis] = array.strides[axis] // array.itemsize
    return tensor


def array_of(tensor: Tensor) -> np.ndarray:
    """A copy of an output."""
    shape = tuple(tensor.shape[: tensor.rank])
    dtype = DTYPES[tensor.dtype]
    size = int(np.prod(shape, dtype=np.int64)) * dtype.itemsize
    return np.frombuffer(c.string_at(tensor.data, size), dtype).reshape(shape)


class Model:
    def __init__(self, path: str | os.PathLike):
        self._handle = c.c_void_p()
        error = c.c_void_p()
        check(api().model_load(os.fsencode(path), None, c.byref(self._handle), c.byref(error)), error)

    def __del__(self):
        if getattr(self, "_handle", None):
            api().model_free(self._handle)

    @property
    def functions(self) -> list[str]:
        count = api().function_count(self._handle)
        return [api().function_name(self._handle, i).decode() for i in range(count)]

    @property
    def metadata(self) -> dict:
        return json.loads(take_string(api().model_metadata(self._handle)))

    def features(self, kind: int, function: str | None = None) -> dict[str, tuple]:
        """name -> (dtype, shape, optional)"""
        out = {}
        name = function.encode() if function else None
        for index in range(api().feature_count(self._handle, name, kind)):
            feature, error = Feature(), c.c_void_p()
            check(api().feature(self._handle, name, kind, index, c.byref(feature), c.byref(error)), error)
            shape = tuple(feature.shape[: feature.rank])
            out[feature.name.decode()] = (DTYPES[feature.dtype], shape, bool(feature.optional))
        return out

    def predict(self, inputs: dict[str, np.ndarray], function: str | None = None) -> dict[str, np.ndarray]:
        arrays = {name: np.asarray(value) for name, value in inputs.items()}
        tensors = (Tensor * max(1, len(arrays)))(*(tensor_of(n, a) for n, a in arrays.items()))
        options = PredictOptions(c.sizeof(PredictOptions), function.encode() if function else None)
        result, error = c.c_void_p(), c.c_void_p()
        status = api().predict(
            self._handle, c.byref(options), tensors, len(arrays), c.byref(result), c.byref(error)
        )
        check(status, error)
        try:
            return self._outputs(result)
        finally:
            api().result_free(result)

    def _outputs(self, result: c.c_void_p) -> dict[str, np.ndarray]:
        out = {}
        for index in range(api().result_count(result)):
            tensor, error = Tensor(), c.c_void_p()
            check(api().result_tensor(result, index, c.byref(tensor), c.byref(error)), error)
            out[tensor.name.decode()] = array_of(tensor)
        return out
