"""The bundle's models behind the stages of a run: loaded on first use, kept per component and backend."""

import copy
import time
import warnings
from collections.abc import Callable, Iterable, Iterator, Mapping
from concurrent.futures import Future, wait
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np

from .. import names
from ..bundle import Bundle, Chunk, Size
from ..errors import BundleError, EngineError, UsageError
from ..run import FallbackWarning, Model, load_model
from ..run.runtimes import INSTALLED
from ..run.time_box import TIME_BOX, check_time_box, started
from .chunks import ComponentModel
from .request import StageChoice
from .self_test import check_self_test
from .settings import STAGE_OF, STAGES, stage_units
from .statistics import RunStatistics

__all__ = ["StageModels", "StageRun"]

Array = np.ndarray[Any, Any]

#: Component, the backend that was asked for, compute units.
Key = tuple[str, str, str]


@dataclass(frozen=True)
class StageRun:
    """Which backend ran a stage, and why that one."""

    backend: str
    reason: str


class StageModels:
    """Runs components by name. Inputs are converted to the described dtypes; outputs come back as float32.

    With `reduce_memory` a component's model is freed as soon as a run is `done` with it. `memory_budget` is
    how many bytes of weights may be loaded at a time: where room is needed, the models that were not used
    for longest are freed, and one that is larger is loaded alone. Core ML has the weights of a component of
    several sizes once a size that it has opened. `self_tests` False trusts Core ML unasked: for those who
    measure what it does themselves. `time_box` is `load_model`'s, for every package and every size.
    """

    def __init__(
        self,
        bundle: Bundle,
        units: StageChoice = None,
        reduce_memory: bool = False,
        memory_budget: int | None = None,
        self_tests: bool = True,
        time_box: float | None = TIME_BOX,
    ) -> None:
        if memory_budget is not None and (isinstance(memory_budget, bool) or not memory_budget > 0):
            raise UsageError(
                f"memory_budget is {memory_budget!r}, expected a positive number of bytes, or None for no "
                "limit"
            )
        self._bundle = bundle
        self.units: Mapping[str, str] = stage_units(units)
        self._memory_budget = memory_budget
        self._reduce_memory = reduce_memory
        self._self_tests = self_tests
        self._time_box = check_time_box(time_box)
        self._verdicts = INSTALLED.verdicts
        #: Collects what predictions cost, while there is one.
        self.statistics: RunStatistics | None = None
        #: What ran the components whose models were freed.
        self._freed: dict[Key, StageRun] = {}
        #: In the order of their last use.
        self._models: dict[Key, ComponentModel] = {}
        #: Seconds spent loading models since the last `take_load_seconds`.
        self._load_seconds = 0.0

    def for_run(self, units: Mapping[str, str], statistics: RunStatistics | None) -> "StageModels":
        """The same models for one run: what it says of units, and where its predictions are counted."""
        run = copy.copy(self)
        run.units, run.statistics, run._load_seconds = units, statistics, 0.0
        return run

    def model(self, component: str, backend: str, size: Size | None = None) -> ComponentModel:
        """The component on `backend`, all of its chunks, with room for its function of `size` (None: the
        default one). Under "auto" Core ML has opened that function, within the time box."""
        key, function = self._key(component, backend), self._function(component, size)
        if key in self._models:
            self._models[key] = self._models.pop(key)
        else:
            self._add(key, lambda: self._trusted(component, backend))
        if function is not None:
            self._ready(key, function)
        return self._models[key]

    def _ready(self, key: Key, function: str) -> None:
        if self._models[key].opens(function):
            self._make_room_for_function(key)
        model = self._models[key]
        if key[1] == names.AUTO and self._time_box is not None and model.opens(function):
            self._open(key, model, function)

    def _function(self, component: str, size: Size | None) -> str | None:
        return None if size is None else self._bundle.component(component).function(size.width, size.height)

    def _add(self, key: Key, load: Callable[[], ComponentModel]) -> None:
        self._make_room(self._weights(key), list(self._models))
        begun = time.perf_counter()
        self._models[key] = load()
        self._load_seconds += time.perf_counter() - begun

    def _key(self, component: str, backend: str) -> Key:
        return component, backend, self.units[STAGE_OF[component]]

    def _weights(self, key: Key) -> int:
        return self._bundle.component(key[0]).weight_bytes

    def _make_room(self, needed: int, keys: list[Key]) -> bool:
        """Free the models of `keys`, in their order, until `needed` bytes more fit; whether they do."""
        while not (fits := self._fits(needed)) and keys:
            self._free(keys.pop(0))
        return fits

    def _fits(self, needed: int) -> bool:
        used = sum(self._weights(key) * model.copies for key, model in self._models.items())
        return self._memory_budget is None or used + needed <= self._memory_budget

    def _make_room_for_function(self, key: Key) -> None:
        """Before a component takes its weights once more. Where others have no room to make, it gives up the
        functions that it opened before."""
        others = [other for other in self._models if other != key]
        if not self._make_room(self._weights(key), others) and self._models[key].copies > 1:
            self._free(key)
            self._add(key, lambda: self._trusted(*key[:2]))

    def _open(self, key: Key, model: ComponentModel, function: str) -> None:
        """Have Core ML open `function`; if that outlives the time box, MLX runs the component instead."""
        begun = time.perf_counter()
        opening = started(lambda: model.open(function))
        wait([opening], self._time_box)
        self._load_seconds += time.perf_counter() - begun
        if opening.done():
            opening.result()
        else:
            self._leave(key, model, function, opening)

    def _leave(self, key: Key, model: ComponentModel, function: str, opening: "Future[None]") -> None:
        component, _, units = key
        overdue = f"loading {function} took longer than {self._time_box} s; it goes on in the background"
        reason = f"auto: Core ML could not run {component} ({overdue}), so MLX runs it"
        del self._models[key]
        self._add(key, lambda: self._load(component, names.MLX, reason))
        self._remember(component, EngineError(overdue), reason)

        def withdraw(late: "Future[None]") -> None:
            # As with a load that is left behind: the system keeps what it made.
            if late.exception() is None:
                for package in self._bundle.package_paths(component):
                    self._verdicts.forget(package, units)
            model.close()

        opening.add_done_callback(withdraw)

    def _free(self, key: Key) -> None:
        model = self._models.pop(key)
        self._freed[key] = StageRun(model.backend, model.reason)
        model.close()

    def _load(self, component: str, backend: str, reason: str | None = None) -> ComponentModel:
        description = self._bundle.component(component)
        paths = self._bundle.package_paths(component)
        units = self.units[STAGE_OF[component]]
        with ExitStack() as loaded:
            models = []
            for part, path in zip(description.parts, paths, strict=True):
                models.append(load_model(path, backend, units, self._time_box))
                loaded.callback(models[-1].close)
                self._check(component, part, models[-1])
            loaded.pop_all()
        return ComponentModel(description, models, reason)

    def _trusted(self, component: str, backend: str) -> ComponentModel:
        model = self._load(component, backend)
        if self._self_tests and model.on_core_ml:
            return self._tested(component, backend, model)
        return model

    def _tested(self, component: str, backend: str, model: ComponentModel) -> ComponentModel:
        """`model`, if it reproduces what the bundle recorded, now or at an earlier use; under "auto" else the
        one of MLX, which must."""
        row = self._bundle.component(component)
        test = row.self_test
        packages, units = self._bundle.package_paths(component), self.units[STAGE_OF[component]]
        if test is None or self._bundle.root is None or self._verdicts.have_passed(packages, units):
            return model
        file = self._bundle.root / test.path
        try:
            with _closed_on_error(model):
                check_self_test(file, test, component, row, model)
        except EngineError as error:
            if backend != names.AUTO:
                raise
            reason = f"auto: {self._package_names(component)} failed the self-test ({error}), so MLX runs it"
            model = self._load(component, names.MLX, reason)
            with _closed_on_error(model):
                # Wrong there as well: then it is the model, and no picture of it would be right.
                check_self_test(file, test, component, row, model)
                self._remember(component, error, reason)
            return model
        self._verdicts.remember_pass(packages, units)
        return model

    def _package_names(self, component: str) -> str:
        """As Swift's reasons name the component: by its packages, several of one in chunks."""
        return ", ".join(path.stem for path in self._bundle.package_paths(component))

    def _remember(self, component: str, error: Exception, reason: str) -> None:
        """Say that a component has moved to MLX, and keep it of all of its chunks."""
        for package in self._bundle.package_paths(component):
            self._verdicts.remember(error, package, self.units[STAGE_OF[component]])
        warnings.warn(reason, FallbackWarning, stacklevel=5)

    def run(
        self, component: str, backend: str, inputs: Mapping[str, Array], size: Size | None = None
    ) -> dict[str, Array]:
        """One prediction; EngineError naming component and backend if a number is NaN or infinite.

        `size` is the picture's, by which a component of several sizes chooses its function.
        """
        model, function = self.model(component, backend, size), self._function(component, size)
        description = self._bundle.component(component)
        dtypes = {spec.name: spec.dtype for spec in description.inputs}
        arrays = {name: _converted(component, name, value, dtypes[name]) for name, value in inputs.items()}
        told = None if self.statistics is None else partial(self.statistics.add, component)
        outputs = _floats(model.predict(arrays, function, told))
        if broken := _not_finite(outputs):
            error = EngineError(
                f"{component} on backend {model.backend!r} gave NaN or infinite values in {broken!r}: "
                f"try another backend, or convert the model again with --precision float32"
            )
            if backend != names.AUTO or not model.on_core_ml:
                raise error
            outputs = self._elsewhere(component, error, lambda other: other.predict(arrays, function, told))
        return outputs

    def _elsewhere(
        self, component: str, error: EngineError, predict: Callable[[ComponentModel], Mapping[str, Array]]
    ) -> dict[str, Array]:
        """The component's outputs on MLX, which runs it from now on; `error`, of Core ML, if they are not
        finite either."""
        reason = (
            f"auto: {self._package_names(component)} gave NaN or infinite values on Core ML, so MLX runs it"
        )
        key = self._key(component, names.AUTO)
        self._models.pop(key).close()
        self._add(key, lambda: self._load(component, names.MLX, reason))
        outputs = _floats(predict(self._models[key]))
        if _not_finite(outputs):
            self._models.pop(key).close()
            raise error
        self._remember(component, error, reason)
        return outputs

    def stage_run(self, stage: str, backend: str) -> StageRun | None:
        """What ran `stage` when `backend` was asked for; None if nothing did yet.

        Under "auto" components of a stage may end on different backends; then each is named.
        """
        runs = self._freed | {key: StageRun(m.backend, m.reason) for key, m in self._models.items()}
        keys = [self._key(component, backend) for component in STAGES[stage]]
        used = [runs[key] for key in keys if key in runs]
        if not used:
            return None
        backends = list(dict.fromkeys(run.backend for run in used))
        reasons = list(dict.fromkeys(run.reason for run in used))
        return StageRun("+".join(backends), "; ".join(reasons))

    @property
    def loaded(self) -> tuple[str, ...]:
        """The components that are in memory, in the order of their last use."""
        return tuple(dict.fromkeys(component for component, _, _ in self._models))

    def done(self, components: Iterable[str]) -> None:
        """A run needs `components` no more; frees their models if memory is to be reduced."""
        if self._reduce_memory:
            for key in [key for key in self._models if key[0] in set(components)]:
                self._free(key)

    def take_load_seconds(self) -> float:
        """Seconds spent loading since the last call."""
        seconds, self._load_seconds = self._load_seconds, 0.0
        return seconds

    def close(self) -> None:
        """Free every model."""
        for model in self._models.values():
            model.close()
        self._models.clear()
        self._freed.clear()

    def _check(self, component: str, description: Chunk, model: Model) -> None:
        """The package must offer the names and functions that bundle.json lists."""
        missing = [name for name in description.functions if name not in model.functions]
        if missing:
            raise BundleError(
                f"{model.path} has the functions {', '.join(model.functions)}, but {names.BUNDLE_FILE} lists "
                f"{missing[0]} for {component}: convert the model again"
            )
        for kind, listed, found in (
            ("inputs", description.inputs, model.inputs),
            ("outputs", description.outputs, model.outputs),
        ):
            want, have = sorted(spec.name for spec in listed), sorted(info.name for info in found)
            if want != have:
                raise BundleError(
                    f"{model.path} has the {kind} {', '.join(have)}, but {names.BUNDLE_FILE} lists "
                    f"{', '.join(want)} for {component}: convert the model again"
                )


@contextmanager
def _closed_on_error(model: ComponentModel) -> Iterator[None]:
    try:
        yield
    except BaseException:
        model.close()
        raise


def _floats(outputs: Mapping[str, Array]) -> dict[str, Array]:
    return {name: value.astype(np.float32, copy=False) for name, value in outputs.items()}


def _not_finite(outputs: Mapping[str, Array]) -> str | None:
    """The name of an output with NaN or infinities."""
    return next((name for name, value in outputs.items() if not np.isfinite(value).all()), None)


def _converted(component: str, name: str, value: Array, dtype: str) -> Array:
    with np.errstate(over="ignore"):
        array = value.astype(dtype, copy=False)
    if array.dtype == np.float16 and not np.isfinite(array).all():
        largest = float(np.abs(value[np.isfinite(value)]).max(initial=0))
        raise EngineError(
            f"{component}: input {name!r} reaches {largest:g}, more than float16 holds (65504): "
            f"convert the model again with --precision float32"
        )
    return array
