"""A loaded model: numpy in, numpy out, on whichever backend holds it."""

import json
import threading
import warnings
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import TracebackType
from typing import TYPE_CHECKING, Any

import numpy as np

from ..errors import EngineError, InvalidInputError

if TYPE_CHECKING:
    from .. import _bridge

__all__ = ["FallbackWarning", "FunctionInfo", "Model", "TensorInfo"]

Array = np.ndarray[Any, Any]


class FallbackWarning(UserWarning):
    """Backend "auto" left Core ML for MLX; the text says why."""


@dataclass(frozen=True)
class TensorInfo:
    """One input, output or state. `shape` is None for any rank; -1 stands for a flexible extent."""

    name: str
    dtype: str
    shape: tuple[int, ...] | None
    optional: bool = False


@dataclass(frozen=True)
class FunctionInfo:
    """What a function of a model takes, gives and keeps."""

    inputs: tuple[TensorInfo, ...]
    outputs: tuple[TensorInfo, ...]
    states: tuple[TensorInfo, ...]


@dataclass(frozen=True)
class Loaded:
    """A model in a runtime: which backend, why that one, and its handle."""

    backend: str
    reason: str
    handle: "_bridge.Model"


class Model:
    """A model that `load_model` opened. Usable from several threads, and as a context manager that closes it.

    backend   the backend that runs it now ("coreml" or "mlx")
    reason    why that one
    path      the package
    """

    def __init__(self, path: str, loaded: Loaded, fall_back: Callable[[EngineError], Loaded] | None) -> None:
        self.path = path
        self._loaded = loaded
        self._fall_back = fall_back
        self._lock = threading.Lock()
        self._descriptions: dict[str | None, FunctionInfo] = {}

    @property
    def backend(self) -> str:
        return self._loaded.backend

    @property
    def reason(self) -> str:
        return self._loaded.reason

    @property
    def functions(self) -> tuple[str, ...]:
        """Names of the package's functions, the default one first."""
        return tuple(self._loaded.handle.functions())

    @property
    def inputs(self) -> tuple[TensorInfo, ...]:
        """Inputs of the default function."""
        return self.describe().inputs

    @property
    def outputs(self) -> tuple[TensorInfo, ...]:
        """Outputs of the default function."""
        return self.describe().outputs

    @property
    def metadata(self) -> dict[str, Any]:
        """What the runtime knows of the package: ops per function, parameters, weight_bytes, metadata …"""
        value = json.loads(self._loaded.handle.metadata())
        return value if isinstance(value, dict) else {}

    def describe(self, function: str | None = None) -> FunctionInfo:
        """Inputs, outputs and states of `function` (None: the default one).

        Raises InvalidInputError if there is no such function.
        """
        if function not in self._descriptions:
            handle = self._loaded.handle
            kinds = (handle.inputs(function), handle.outputs(function), handle.states(function))
            rows = [tuple(TensorInfo(f.name, f.dtype, f.shape, f.optional) for f in kind) for kind in kinds]
            self._descriptions[function] = FunctionInfo(*rows)
        return self._descriptions[function]

    def predict(self, inputs: Mapping[str, Any], function: str | None = None) -> dict[str, Array]:
        """Run `function` (None: the default one) on arrays by name.

        Arrays pass as they are, with any strides, and must have the described dtype and shape. Lists and
        numbers take the described dtype. The returned arrays own the runtime's memory; nothing is copied.

        Raises InvalidInputError for wrong names, dtypes or shapes, another EngineError if the run fails. A
        model loaded with backend "auto" then goes over to MLX, with one FallbackWarning that gives the
        reason.
        """
        if not isinstance(inputs, Mapping):
            raise InvalidInputError(
                f"inputs is a {type(inputs).__name__}, expected a mapping from input names to arrays"
            )
        arrays = {name: self._array(name, value, function) for name, value in inputs.items()}
        loaded = self._loaded
        try:
            return loaded.handle.predict(arrays, function)
        except InvalidInputError:
            raise
        except EngineError as error:
            if not self._replace(loaded, error):
                raise
        return self._loaded.handle.predict(arrays, function)

    def close(self) -> None:
        """Free the model. Calls in progress finish first; later ones raise InvalidInputError."""
        self._loaded.handle.close()

    def __enter__(self) -> "Model":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def __repr__(self) -> str:
        return f"<tintype.Model {self.path!r} on {self.backend}>"

    def _array(self, name: str, value: Any, function: str | None) -> Array:
        if isinstance(value, np.ndarray):
            return value
        plain = isinstance(value, bool | int | float | list | tuple)
        dtypes = {info.name: info.dtype for info in self.describe(function).inputs if info.dtype}
        try:
            return np.asarray(value, dtype=dtypes.get(name) if plain else None)
        except (TypeError, ValueError, OverflowError, RuntimeError) as error:
            raise InvalidInputError(f'input "{name}" cannot be made a numpy array: {error}') from error

    def _replace(self, failed: Loaded, error: EngineError) -> bool:
        """Goes over to the next backend; False when there is none."""
        with self._lock:
            if self._loaded is not failed:
                return True  # another thread was faster
            if self._fall_back is None:
                return False
            replacement = self._fall_back(error)
            warnings.warn(replacement.reason, FallbackWarning, stacklevel=3)
            self._loaded, self._fall_back = replacement, None
        # The old handle is freed with its last user: another thread may be inside it.
        return True
