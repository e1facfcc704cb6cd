"""A loaded model: numpy in, numpy out, on whichever backend holds it."""

import json
import threading
import warnings
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import TracebackType
from typing import TYPE_CHECKING, Any

import numpy as np

from ..errors import Cancelled, EngineError, InvalidInputError
from .features import FunctionInfo, TensorInfo
from .package import flexible_features
from .pictures import PictureError, pixels_of_picture

if TYPE_CHECKING:
    from .. import _bridge

__all__ = ["FallbackWarning", "Model", "State"]

Array = np.ndarray[Any, Any]

#: numpy's characters of the dtypes that the C ABI has.
_PASSED = frozenset("?bBhHiIlqefd")


class FallbackWarning(UserWarning):
    """Backend "auto" left Core ML for MLX; the text says why."""


@dataclass(frozen=True)
class Loaded:
    """A model in a runtime: which backend, why that one, its handle, and `Model.compiled`."""

    backend: str
    reason: str
    handle: "_bridge.Model"
    compiled: bool | None = None


class State:
    """What a model keeps between predicts, such as a language model's cache; from `Model.make_state`."""

    def __init__(self, loaded: Loaded, infos: tuple[TensorInfo, ...], function: str | None) -> None:
        self._loaded = loaded
        self._handle = loaded.handle.make_state(function)
        self.infos = infos

    @property
    def names(self) -> tuple[str, ...]:
        return tuple(info.name for info in self.infos)

    def __getitem__(self, name: str) -> Array:
        """A copy of the values of state `name`. InvalidInputError for unknown names, or during a predict."""
        return self._handle.read(name)

    def __setitem__(self, name: str, values: Any) -> None:
        """Replace the values of state `name`: an array of the described dtype and shape."""
        self._handle.write(name, np.asarray(values))

    def handle_of(self, loaded: Loaded) -> "_bridge.State":
        if loaded is not self._loaded:
            raise InvalidInputError(
                "the state is of another model, or the model has moved to MLX: make a new one"
            )
        return self._handle


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
        self._classifiers: dict[str, dict[str, Any]] | None = None
        self._last_statistics: dict[str, Any] | None = None

    @property
    def backend(self) -> str:
        return self._loaded.backend

    @property
    def reason(self) -> str:
        return self._loaded.reason

    @property
    def compiled(self) -> bool | None:
        """Whether Core ML compiled the package when it was loaded; False if it had before, None where nothing
        is compiled (MLX)."""
        return self._loaded.compiled

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

    @property
    def class_labels(self) -> tuple[str, ...] | tuple[int, ...] | None:
        """The labels of a classifier (its default function), in the order of its probabilities; else None."""
        classifier = self._classifier(None)
        return tuple(classifier["classes"]) if classifier else None

    @property
    def last_statistics(self) -> dict[str, Any] | None:
        """Of the last predict with `statistics=True` (None: there was none, or the backend collects nothing):
        seconds, ops {op: calls, seconds, bytes; beside the ops "(inputs)" and "(outputs)", what is spent on
        reading and writing the arrays}, peak_live_bytes, peak_allocated_bytes, weight_bytes; from
        Core ML the seconds alone."""
        return self._last_statistics

    def describe(self, function: str | None = None) -> FunctionInfo:
        """Inputs, outputs and states of `function` (None: the default one).

        Raises InvalidInputError if there is no such function.
        """
        self._check_function(function)
        if function not in self._descriptions:
            handle = self._loaded.handle
            kinds = (handle.inputs(function), handle.outputs(function), handle.states(function))
            flexible = flexible_features(self.path, function or self.functions[0])
            rows = [
                tuple(
                    TensorInfo(
                        f.name,
                        f.dtype,
                        f.shape,
                        f.optional,
                        f.color_layout or None,
                        *flexible.get(f.name, ()),
                    )
                    for f in kind
                )
                for kind in kinds
            ]
            self._descriptions[function] = FunctionInfo(*rows)
        return self._descriptions[function]

    def make_state(self, function: str | None = None) -> "State":
        """What `function` (None: the default one) keeps between predicts, all zeros; for this model only.

        Raises InvalidInputError if there is no such function, UnsupportedModelError if the backend keeps no
        states.
        """
        return State(self._loaded, self.describe(function).states, function)

    def predict(
        self,
        inputs: Mapping[str, Any],
        function: str | None = None,
        *,
        state: "State | None" = None,
        progress: Callable[[float], Any] | None = None,
        statistics: bool = False,
    ) -> dict[str, Array]:
        """Run `function` (None: the default one) on arrays by name.

        Arrays pass as they are, with any strides, and must have the described dtype and shape. Lists and
        numbers take the described dtype. The returned arrays own the runtime's memory; nothing is copied.
        An image may be a PIL image, which is converted to RGB or gray (of 16 bits a pixel the upper 8 stay)
        and must have the size that the model takes; image outputs are arrays that `PIL.Image.fromarray`
        takes. A classifier's label is an array of one text or number (`.item()`), its probabilities an array
        in the order of `class_labels`. Optional inputs may be left out.

        state       from `make_state`; needed by a function with states, unchanged by a predict that fails
        progress    called on this thread about every 50 ms with the share of the work that is done (0 to 1);
                    its answer False ends the predict with Cancelled, an exception ends it with that
        statistics  collect time and bytes of every kind of op in `last_statistics`; the predict takes longer

        Ctrl-C ends a predict on the main thread with KeyboardInterrupt.

        Raises InvalidInputError for wrong names, dtypes or shapes, another EngineError if the run fails. A
        model loaded with backend "auto" then goes over to MLX, with one FallbackWarning that gives the
        reason.
        """
        if not isinstance(inputs, Mapping):
            raise InvalidInputError(
                f"inputs is a {type(inputs).__name__}, expected a mapping from input names to arrays"
            )
        self._check_call(inputs, function, state, progress)
        arrays = {name: self._array(name, value, function) for name, value in inputs.items()}
        loaded = self._loaded
        main = threading.get_ident() == threading.main_thread().ident

        def predict(chosen: Loaded) -> dict[str, Array]:
            collected: list[str] | None = [] if statistics else None
            outputs = chosen.handle.predict(
                arrays,
                function,
                state.handle_of(chosen) if state is not None else None,
                progress,
                main,
                collected,
            )
            if collected is not None:
                self._last_statistics = json.loads(collected[0]) if collected else None
            return self._labelled(outputs, function)

        try:
            return predict(loaded)
        except (InvalidInputError, Cancelled):
            raise
        except EngineError as error:
            if state is not None or not self._replace(loaded, error):
                raise
        return predict(self._loaded)

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

    def _check_function(self, function: Any) -> None:
        if function is not None and not isinstance(function, str):
            known = ", ".join(self.functions)
            raise InvalidInputError(
                f"function is {function!r}, expected a name or None: this model has {known}"
            )

    def _check_call(self, inputs: Mapping[Any, Any], function: Any, state: Any, progress: Any) -> None:
        self._check_function(function)
        for name in inputs:
            if not isinstance(name, str):
                raise InvalidInputError(f"the name of an input is {name!r}, expected a str")
        if state is not None and not isinstance(state, State):
            raise InvalidInputError(f"state is {state!r}, expected what make_state() returns or None")
        if progress is not None and not callable(progress):
            raise InvalidInputError(f"progress is {progress!r}, expected a function of one float or None")

    def _array(self, name: str, value: Any, function: str | None) -> Array:
        if isinstance(value, np.ndarray):
            if value.dtype.char not in _PASSED:
                self._refuse_dtype(name, value.dtype, function)
            return value
        if value is None:
            raise InvalidInputError(
                f'input "{name}" is None: leave an optional input out, hand in an array for any other'
            )
        if hasattr(value, "convert") and hasattr(value, "getbands"):  # PIL's, which is not imported for this
            return self._picture(name, value, function)
        plain = isinstance(value, bool | int | float | list | tuple)
        dtypes = {info.name: info.dtype for info in self.describe(function).inputs if info.dtype}
        try:
            return np.asarray(value, dtype=dtypes.get(name) if plain else None)
        except (TypeError, ValueError, OverflowError, RuntimeError) as error:
            raise InvalidInputError(f'input "{name}" cannot be made a numpy array: {error}') from error

    def _refuse_dtype(self, name: str, dtype: np.dtype[Any], function: str | None) -> None:
        """In the engine's words: dtypes that the C ABI has no number for do not reach it."""
        wanted = {info.name: info.dtype for info in self.describe(function).inputs}.get(name)
        if wanted:
            raise InvalidInputError(
                f'[input "{name}"] wrong dtype, got {dtype}, expected {wanted}. '
                f"Convert the array to {wanted}."
            )

    def _classifier(self, function: str | None) -> dict[str, Any] | None:
        """What the metadata say of a function that is a classifier: label, probabilities, classes."""
        if self._classifiers is None:
            rows = self.metadata.get("functions", {})
            self._classifiers = {name: row["classifier"] for name, row in rows.items() if "classifier" in row}
        return self._classifiers.get(function or self.functions[0]) if self._classifiers else None

    def _labelled(self, outputs: dict[str, Array], function: str | None) -> dict[str, Array]:
        """The outputs with the text of a label instead of its place among the classes."""
        classifier = self._classifier(function)
        if classifier and classifier["classes"] and isinstance(classifier["classes"][0], str):
            name = classifier["label"]
            outputs[name] = np.array(classifier["classes"][int(outputs[name])])
        return outputs

    def _picture(self, name: str, image: Any, function: str | None) -> Array:
        """A PIL image as the array that the input takes."""
        infos = {info.name: info for info in self.describe(function).inputs}
        info = infos.get(name)
        if info is not None and info.color_layout is None:
            raise InvalidInputError(
                f'input "{name}" is no image but {info.dtype} {info.shape}: make an array of the picture'
            )
        color = info is None or info.color_layout in ("RGB", "BGR")
        dtype = "uint8" if info is None else info.dtype
        try:
            return pixels_of_picture(image, "RGB" if color else "L").astype(dtype, copy=False)
        except PictureError as error:
            raise InvalidInputError(f'input "{name}" {error}') from error

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
