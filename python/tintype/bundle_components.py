"""The rows of `components` in bundle.json: packages, chunks, functions a size, recorded self-tests.

A leaf module of `bundle`, which re-exports what others need; the format is docs/bundle_format.md.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from . import names
from .bundle_reader import BundleReader

__all__ = [
    "DTYPES",
    "Chunk",
    "Component",
    "Interface",
    "SelfTest",
    "TensorSpec",
    "component_json",
    "read_component",
]

Json = Mapping[str, Any]

DTYPES = ("float16", "float32", "int32")


@dataclass(frozen=True)
class TensorSpec:
    """One input or output of a component."""

    name: str
    dtype: str
    shape: tuple[int, ...]


@dataclass(frozen=True)
class Interface:
    """What a function takes and gives."""

    inputs: tuple[TensorSpec, ...]
    outputs: tuple[TensorSpec, ...]


@dataclass(frozen=True)
class Chunk:
    """One `.mlpackage`. `path` is relative to the bundle's folder; `functions` go by their names
    (`names.size_function`), and are empty where the package has the function `main` alone."""

    path: str
    inputs: tuple[TensorSpec, ...]
    outputs: tuple[TensorSpec, ...]
    parameters: int = 0
    weight_bytes: int = 0
    sha256: str = ""
    functions: Mapping[str, Interface] = field(default_factory=dict)


@dataclass(frozen=True)
class SelfTest:
    """One recorded prediction: a safetensors file with `input.NAME` and `expected.NAME`.

    `tolerance` is the largest |error| relative to the largest magnitude of an expected output; `function` is
    the one that was recorded, None for the default one.
    """

    path: str
    tolerance: float
    function: str | None = None


@dataclass(frozen=True)
class Component:
    """A model of a bundle: one `.mlpackage` at `path`, or the `chunks` that are run one after another as one.

    With chunks `path` is empty, inputs and outputs are those of the whole, and numbers are sums. With several
    sizes `functions` has one interface a size, and `inputs` and `outputs` are those of the default size.
    """

    path: str
    inputs: tuple[TensorSpec, ...]
    outputs: tuple[TensorSpec, ...]
    parameters: int = 0
    weight_bytes: int = 0
    sha256: str = ""
    compression: Json = field(default_factory=dict)
    functions: Mapping[str, Interface] = field(default_factory=dict)
    chunks: tuple[Chunk, ...] = ()
    self_test: SelfTest | None = None

    @property
    def parts(self) -> tuple[Chunk, ...]:
        """The packages in running order: the chunks, or the one package."""
        whole = (self.path, self.inputs, self.outputs, self.parameters, self.weight_bytes, self.sha256)
        return self.chunks or (Chunk(*whole, self.functions),)

    def input(self, name: str) -> TensorSpec:
        """The input called `name`, of the default size; KeyError when there is none."""
        return _by_name(self.inputs, name)

    def output(self, name: str) -> TensorSpec:
        """The output called `name`, of the default size; KeyError when there is none."""
        return _by_name(self.outputs, name)

    def function(self, width: int, height: int) -> str | None:
        """The name of the function for pictures of width x height; None where the component has one
        function for every size."""
        name = names.size_function(width, height)
        return name if name in self.functions else None


def _by_name(specs: tuple[TensorSpec, ...], name: str) -> TensorSpec:
    for spec in specs:
        if spec.name == name:
            return spec
    raise KeyError(f"{name!r} is not among {', '.join(s.name for s in specs)}")


def read_component(reader: BundleReader) -> Component:
    """The component that a row describes; BundleError for what it lacks or has wrong."""
    chunked = "chunks" in reader.data
    component = Component(
        path="" if chunked else reader.path("path"),
        inputs=_specs(reader, "inputs"),
        outputs=_specs(reader, "outputs"),
        parameters=reader.count("parameters", minimum=0, default=0),
        weight_bytes=reader.count("weight_bytes", minimum=0, default=0),
        sha256=reader.text("sha256", default=""),
        compression=reader.mapping("compression"),
        functions=_functions(reader),
        chunks=tuple(_chunk(row) for row in reader.elements("chunks")) if chunked else (),
        self_test=_self_test(reader.child("self_test")) if "self_test" in reader.data else None,
    )
    _check_flow(reader, component)
    return component


def _chunk(reader: BundleReader) -> Chunk:
    return Chunk(
        path=reader.path("path"),
        inputs=_specs(reader, "inputs"),
        outputs=_specs(reader, "outputs"),
        parameters=reader.count("parameters", minimum=0, default=0),
        weight_bytes=reader.count("weight_bytes", minimum=0, default=0),
        sha256=reader.text("sha256", default=""),
        functions=_functions(reader),
    )


def _functions(reader: BundleReader) -> dict[str, Interface]:
    if "functions" not in reader.data:
        return {}
    rows = reader.child("functions")
    children = {name: rows.child(name) for name in rows.data}
    return {n: Interface(_specs(c, "inputs"), _specs(c, "outputs")) for n, c in children.items()}


def _self_test(reader: BundleReader) -> SelfTest:
    tolerance = reader.number("tolerance")
    if tolerance <= 0:
        reader.fail("tolerance", tolerance, "a positive number", "convert the model again")
    function = None if reader.data.get("function") is None else reader.text("function")
    return SelfTest(reader.path("path"), tolerance, function)


def _check_flow(reader: BundleReader, component: Component) -> None:
    """Every input of a chunk must be there when it runs, and the whole's outputs after the last."""
    known = {spec.name for spec in component.inputs}
    for index, chunk in enumerate(component.chunks):
        if set(chunk.functions) != set(component.functions):
            found = ", ".join(chunk.functions) or "none"
            expected = f"those of the component: {', '.join(component.functions) or 'none'}"
            reader.fail(f"chunks[{index}].functions", found, expected, "convert the model again")
        for spec in chunk.inputs:
            if spec.name not in known:
                expected = f"an input of the component or an output of an earlier chunk ({', '.join(known)})"
                reader.fail(f"chunks[{index}].inputs", spec.name, expected, "convert the model again")
        known |= {spec.name for spec in chunk.outputs}
    for spec in component.outputs if component.chunks else ():
        if spec.name not in known:
            reader.fail("outputs", spec.name, "an output of a chunk", "convert the model again")


def _specs(reader: BundleReader, key: str) -> tuple[TensorSpec, ...]:
    specs = []
    for row in reader.elements(key):
        shape = row.typed("shape", _is_shape, "a list of positive integers", None)
        specs.append(TensorSpec(row.text("name"), row.choice("dtype", DTYPES), tuple(shape)))
    return tuple(specs)


def _is_shape(value: Any) -> bool:
    return isinstance(value, list) and all(
        isinstance(n, int) and not isinstance(n, bool) and 0 < n < 2**31 for n in value
    )


def component_json(component: Component) -> dict[str, Any]:
    """The component's row; optional keys only where there is something to say."""
    row: dict[str, Any] = {} if component.chunks else {"path": component.path}
    row |= _interface_json(component.inputs, component.outputs)
    row |= {"parameters": component.parameters, "weight_bytes": component.weight_bytes}
    if not component.chunks:
        row["sha256"] = component.sha256
    row |= _functions_json(component.functions)
    if component.chunks:
        row["chunks"] = [_chunk_json(chunk) for chunk in component.chunks]
    if component.compression:
        row["compression"] = dict(component.compression)
    if component.self_test is not None:
        row["self_test"] = vars(component.self_test).copy()
    return row


def _chunk_json(chunk: Chunk) -> dict[str, Any]:
    return {
        "path": chunk.path,
        **_interface_json(chunk.inputs, chunk.outputs),
        "parameters": chunk.parameters,
        "weight_bytes": chunk.weight_bytes,
        "sha256": chunk.sha256,
        **_functions_json(chunk.functions),
    }


def _functions_json(functions: Mapping[str, Interface]) -> dict[str, Any]:
    rows = {name: _interface_json(f.inputs, f.outputs) for name, f in functions.items()}
    return {"functions": rows} if rows else {}


def _interface_json(inputs: tuple[TensorSpec, ...], outputs: tuple[TensorSpec, ...]) -> dict[str, Any]:
    def rows(specs: tuple[TensorSpec, ...]) -> list[dict[str, Any]]:
        return [{"name": s.name, "dtype": s.dtype, "shape": list(s.shape)} for s in specs]

    return {"inputs": rows(inputs), "outputs": rows(outputs)}
