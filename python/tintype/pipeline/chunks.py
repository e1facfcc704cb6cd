"""A component's packages as one model: chunks hand each other values by name, in their own dtypes."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from .. import names
from ..bundle import Component
from ..run import Model

__all__ = ["ComponentModel"]

Array = np.ndarray[Any, Any]

#: Called with a package's path, the backend that ran it and `Model.last_statistics`.
Told = Callable[[str, str, dict[str, Any] | None], object]


class ComponentModel:
    """The loaded packages of `component`, in running order: one, or one a chunk."""

    def __init__(self, component: Component, models: Sequence[Model], reason: str | None = None) -> None:
        """`reason` says why this backend, if the models do not know."""
        self._component, self._models, self._reason = component, tuple(models), reason
        #: Core ML opens the default function, the first one, when it loads.
        self._used = set(self._models[0].functions[:1])

    @property
    def backend(self) -> str:
        """The backend that runs it; several, joined by "+", where chunks ended on different ones."""
        return "+".join(dict.fromkeys(model.backend for model in self._models))

    @property
    def reason(self) -> str:
        """Why that one."""
        return self._reason or "; ".join(dict.fromkeys(model.reason for model in self._models))

    @property
    def compiled(self) -> bool | None:
        """`Model.compiled` of the chunks: True if Core ML compiled one of them."""
        known = [model.compiled for model in self._models if model.compiled is not None]
        return any(known) if known else None

    @property
    def on_core_ml(self) -> bool:
        """Whether Core ML runs it, or one of its chunks."""
        return names.COREML in (model.backend for model in self._models)

    @property
    def copies(self) -> int:
        """How often the weights are in memory: on Core ML once for each function that is open."""
        return max(1, len(self._used)) if self.on_core_ml else 1

    def opens(self, function: str) -> bool:
        """Whether a prediction of `function` makes Core ML load it first."""
        return self.on_core_ml and function not in self._used

    def open(self, function: str) -> None:
        """Have Core ML load `function`, which it does at its first prediction: one on zeros."""
        specs = self._component.functions[function].inputs
        self.predict({spec.name: np.zeros(spec.shape, spec.dtype) for spec in specs}, function)

    def predict(
        self, inputs: Mapping[str, Array], function: str | None = None, told: Told | None = None
    ) -> dict[str, Array]:
        """The component's outputs. Values between chunks are freed after their last reader.

        `told` is called with every package's statistics, which take time to collect.
        """
        pool, parts = dict(inputs), self._component.parts
        wanted = {spec.name for spec in self._component.outputs}
        for index, (part, model) in enumerate(zip(parts, self._models, strict=True)):
            given = {spec.name: pool[spec.name] for spec in part.inputs}
            pool |= model.predict(given, function, statistics=told is not None)
            if told is not None:
                told(model.path, model.backend, model.last_statistics)
            later = {spec.name for after in parts[index + 1 :] for spec in after.inputs}
            pool = {name: value for name, value in pool.items() if name in later | wanted}
        if function is not None:
            self._used.add(function)
        return pool

    def close(self) -> None:
        """Free the models."""
        for model in self._models:
            model.close()
