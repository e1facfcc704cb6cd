"""A graph under construction: names, constants and ops of one ML Program function.

This module and its neighbours in `layers` are the only ones that call coremltools' builder. A constant's
value is a placeholder without memory (a broadcast zero) as long as the program lives; its bytes are read from
the `Weight` behind it when `emit` writes the package.
"""

import gc
import logging
import re
import threading
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, Literal, NamedTuple

import numpy as np
import numpy.typing as npt

# The logger is silenced before the import: coremltools logs what it does not find (torch, its own native
# library).
logging.getLogger("coremltools").setLevel(logging.ERROR)
# Nothing that an import makes is garbage, and to look for some takes an eighth of coremltools' import.
_collects = gc.isenabled()
gc.disable()

import coremltools as ct  # noqa: E402
from coremltools.converters.mil.mil import Builder as mb  # noqa: E402
from coremltools.converters.mil.mil import Program, types  # noqa: E402

if _collects:
    gc.enable()

from ..weight import Array, ComputedWeight, Weight, WeightProvider  # noqa: E402
from .repeats import PlainFunction, Repeats, release  # noqa: E402

__all__ = [
    "FunctionIO",
    "Graph",
    "IOSpec",
    "MILProgram",
    "Network",
    "Precision",
    "Target",
    "Var",
    "build_functions",
    "build_program",
    "uncollected",
]

Precision = Literal["float16", "float32"]

#: What a graph is laid out for: the GPU and MLX (B, S, C), or the Neural Engine (B, C, 1, S).
Target = Literal["gpu", "ane"]

#: A value in the graph (coremltools' Var): `.shape` is a tuple, the dtype is asked with `Graph.dtype`.
Var = Any

#: Constants smaller than this are written into model.mlmodel, as coremltools does.
MIN_FILE_ELEMENTS = 10

#: What names in a program may not contain.
_UNFIT = re.compile(r"[^A-Za-z0-9_]")

_DTYPES: Mapping[str, tuple[Any, Any]] = {
    "float16": (np.float16, types.fp16),
    "float32": (np.float32, types.fp32),
    "int32": (np.int32, types.int32),
}


@dataclass(frozen=True)
class IOSpec:
    """An input or output: name, dtype (float16, float32, int32), shape."""

    name: str
    dtype: str
    shape: tuple[int, ...]


class FunctionIO(NamedTuple):
    """What a function takes and gives."""

    inputs: tuple[IOSpec, ...]
    outputs: tuple[IOSpec, ...]


@dataclass(frozen=True)
class MILProgram:
    """A finished program, and the weights behind its constants.

    `weights` maps a constant's name in the program to the weight whose bytes belong there; functions share
    the constants that have the same name. `inputs` and `outputs` are the default function's (`main`, if it is
    the only one); `functions` lists them all by name, the default one first, where there are several.
    `parameters` counts the elements of all tensors among the constants. `exact` names constants that are
    never compressed.
    """

    program: Program
    weights: Mapping[str, Weight]
    inputs: tuple[IOSpec, ...]
    outputs: tuple[IOSpec, ...]
    parameters: int
    exact: frozenset[str] = frozenset()
    functions: Mapping[str, FunctionIO] = field(default_factory=dict)

    @property
    def default_function(self) -> Any:
        """The pymil function that runs where none is named."""
        return self.program.functions[self.program.default_function_name]

    def release(self) -> None:
        """Give back the memory of the ops; only what describes the program remains."""
        release(self.program)


class Graph:
    """Adds ops to the current function. `scope` prefixes weight keys and op names alike."""

    def __init__(
        self,
        weights: WeightProvider,
        precision: Precision,
        reserved: Iterable[str] = (),
        target: Target = "gpu",
        shared: "Graph | None" = None,
    ) -> None:
        """`shared` is the graph of an earlier function of the same program: constants that are the same (the
        same tensor in the same dtype and shape) get the same name, and so one place in the weight file."""
        self.provider = weights
        self.float = np.dtype(precision)
        self.target: Target = target
        self.weights: dict[str, Weight] = {} if shared is None else shared.weights
        self.parameters: int = 0 if shared is None else shared.parameters
        self._written: dict[str, tuple[str, np.dtype[Any], tuple[int, ...]]] = (
            {} if shared is None else shared._written
        )
        self.exact: set[str] = set() if shared is None else shared.exact
        self._scopes: list[str] = []
        self._constants: dict[tuple[str, str, tuple[int, ...], bytes], Var] = {}
        self._loaded: dict[tuple[str, np.dtype[Any], tuple[int, ...]], Var] = {}
        self._names = dict.fromkeys(reserved, 1)
        self._repeats = Repeats(self.weights)

    @property
    def channels_first(self) -> bool:
        """Whether tokens are laid out as (B, C, 1, S), for the Neural Engine, and not as (B, S, C)."""
        return self.target == "ane"

    @contextmanager
    def scope(self, name: str) -> Iterator[None]:
        """Everything inside is named below `name` (dots as in checkpoint keys)."""
        self._scopes.append(name)
        try:
            yield
        finally:
            self._scopes.pop()

    def key(self, name: str) -> str:
        """The checkpoint key of `name` in the current scope."""
        return ".".join([*self._scopes, name])

    def has(self, name: str) -> bool:
        """Whether the checkpoint holds the key `name` of the current scope."""
        return self.key(name) in self.provider

    def dtype(self, x: Var) -> np.dtype[Any]:
        """The NumPy dtype of a value."""
        dtype: np.dtype[Any] = np.dtype(types.nptype_from_builtin(x.dtype))
        return dtype

    def op(self, kind: str, *, name: str | None = None, output: str | None = None, **inputs: Any) -> Var:
        """Add the op `kind`, named `output` as it is, else `name` (or the kind) in the current scope."""
        if output is not None and output in self._names:
            raise ValueError(f"the name of the output {output!r} is taken")
        full = self._unique(output or self.key(name or kind))
        return self._repeats.add(kind, full, inputs)

    def const(self, value: npt.ArrayLike, role: str, dtype: npt.DTypeLike | None = None) -> Var:
        """A constant parameter (perm, axes, epsilon, a scalar); equal ones are shared. `role` names it."""
        array = np.asarray(value, dtype=dtype)
        if array.dtype == np.int64:
            array = array.astype(np.int32)
        if array.dtype == np.float64:
            raise TypeError(f"{role}: give float constants a dtype, double is not a Core ML type")
        key = (role, array.dtype.str, array.shape, array.tobytes())
        if key not in self._constants:
            self._constants[key] = mb.const(val=array if array.shape else array[()], name=self._unique(role))
        return self._constants[key]

    def text(self, value: str, role: str) -> Var:
        """A shared string constant (a mode, a padding type)."""
        key = (role, "str", (), value.encode())
        if key not in self._constants:
            self._constants[key] = mb.const(val=value, name=self._unique(role))
        return self._constants[key]

    def flag(self, value: bool, role: str) -> Var:
        """A shared boolean constant."""
        return self.const(np.bool_(value), role, np.bool_)

    def weight(
        self, name: str, shape: tuple[int, ...], dtype: npt.DTypeLike, view: tuple[int, ...] | None = None
    ) -> Var:
        """The checkpoint's tensor `name` (of the current scope), which must have `shape`, as a constant.

        `view` is the constant's shape if it differs: the same elements in the same order.
        """
        key = self.key(name)
        return self.constant(self.provider.get(key, shape), dtype, view, shared=key)

    def source(self, name: str, shape: tuple[int, ...]) -> Weight:
        """The checkpoint's tensor `name` (of the current scope) itself, for `computed` to work from."""
        return self.provider.get(self.key(name), shape)

    def rows(self, name: str, shape: tuple[int, int], count: int, dtype: npt.DTypeLike) -> Var:
        """The first `count` rows of the checkpoint's table `name` (rows, width) as a constant."""
        if count == shape[0]:
            return self.weight(name, shape, dtype)
        table = self.source(name, shape)
        size = count * shape[1]
        return self.computed(
            name, (count, shape[1]), dtype, lambda: table.elements(0, size, np.float32).reshape(count, -1)
        )

    def computed(
        self, name: str, shape: tuple[int, ...], dtype: npt.DTypeLike, make: Callable[[], Array]
    ) -> Var:
        """A constant that `make` computes when the package is written (float32, int32)."""
        return self.constant(ComputedWeight(self.key(name), shape, make), dtype)

    def zeros(self, features: int, dtype: npt.DTypeLike) -> Var:
        """A vector of zeros, one for each width: the bias of a linear layer that has none."""
        weight = ComputedWeight(f"zeros_{features}", (features,), lambda: np.zeros(features, np.float32))
        return self.constant(weight, dtype, shared=weight.name)

    def constant(
        self,
        weight: Weight,
        dtype: npt.DTypeLike,
        view: tuple[int, ...] | None = None,
        shared: str | None = None,
    ) -> Var:
        """`weight` as a constant; with the key `shared`, asking again gives the same constant."""
        dtype, shape = np.dtype(dtype), view or weight.shape
        cached = (shared or "", dtype, shape)
        if shared is not None and cached in self._loaded:
            return self._loaded[cached]
        identity = (weight.name, dtype, shape)
        name = self._unique(weight.name)
        while self._written.get(name, identity) != identity:  # an earlier function's, and another tensor
            name = self._unique(weight.name)
        if name not in self._written:
            self._written[name] = identity
            self.parameters += int(np.prod(shape))
        if int(np.prod(shape)) < MIN_FILE_ELEMENTS:
            var = mb.const(val=weight.array(dtype).reshape(shape), name=name)
        else:
            var = mb.const(val=np.broadcast_to(np.zeros((), dtype), shape), name=name)
            self.weights.setdefault(name, weight)
        if shared is not None:
            self._loaded[cached] = var
        return var

    def _unique(self, name: str) -> str:
        clean = _UNFIT.sub("_", name)
        if not clean[:1].isalpha():
            clean = f"_{clean}"
        while True:
            count = self._names.get(clean, 0)
            self._names[clean] = count + 1
            if not count:
                return clean
            clean = f"{clean}_{count}"


Body = Callable[..., Mapping[str, Var]]

#: coremltools' builder keeps its state in globals: one program at a time.
_BUILDER = threading.Lock()

MAIN = "main"


class Network(NamedTuple):
    """What a function computes: its inputs, and `body(graph, **inputs)`, which returns its outputs by name.

    `body` names the op of each output with `output=`; that is checked when the function is built.
    """

    inputs: Sequence[IOSpec]
    body: Body


@contextmanager
def uncollected() -> Iterator[None]:
    """No garbage collection meanwhile: it would search a growing graph, which all lives, over and over."""
    enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if enabled:
            gc.enable()


def build_program(
    inputs: Sequence[IOSpec],
    weights: WeightProvider,
    precision: Precision,
    body: Body,
    target: Target = "gpu",
) -> MILProgram:
    """A program with the one function `main`, which is `Network(inputs, body)`."""
    return build_functions({MAIN: Network(inputs, body)}, weights, precision, target)


def build_functions(
    networks: Mapping[str, Network],
    weights: WeightProvider,
    precision: Precision,
    target: Target = "gpu",
) -> MILProgram:
    """A program with a function for each network, by name; the first one is the default.

    What differs from function to function but not in shape must differ in name: constants of the same name,
    dtype and shape are one.
    """
    program, functions, graph = Program(), {}, None
    with _BUILDER, uncollected():
        for name, network in networks.items():
            graph, functions[name] = _add_function(program, name, network, weights, precision, target, graph)
    assert graph is not None, "a program has a function"
    first = next(iter(networks))
    program.default_function_name = first
    program.export_as_multifunction = len(networks) > 1 or first != MAIN
    return MILProgram(
        program,
        graph.weights,
        *functions[first],
        graph.parameters,
        frozenset(graph.exact),
        functions if program.export_as_multifunction else {},
    )


def _add_function(
    program: Program,
    name: str,
    network: Network,
    weights: WeightProvider,
    precision: Precision,
    target: Target,
    shared: Graph | None,
) -> tuple[Graph, FunctionIO]:
    mb.name_count.clear()
    placeholders = {
        spec.name: mb.placeholder(shape=spec.shape, dtype=_DTYPES[spec.dtype][1]) for spec in network.inputs
    }
    graph = Graph(weights, precision, placeholders, target, shared)
    with PlainFunction(placeholders, opset_version=ct.target.iOS18) as function:
        outputs = dict(network.body(graph, **function.inputs))
        for output, var in outputs.items():
            if var.name != output:
                raise ValueError(f"the output {output!r} comes from an op called {var.name!r}")
        function.set_outputs(list(outputs.values()))
    # Not `add_function`, which looks at the version of every op of every function so far: the builder has
    # chosen each for this function's.
    program.functions[name] = function
    specs = tuple(IOSpec(n, graph.dtype(v).name, tuple(v.shape)) for n, v in outputs.items())
    return graph, FunctionIO(tuple(network.inputs), specs)
