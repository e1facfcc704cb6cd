"""Ops that are like earlier ones: the same kind with inputs of the same types and the same parameters.

coremltools checks each op and infers its types in about 150 µs, and a transformer for the Neural Engine has
tens of thousands of ops of a few hundred kinds: heads, chunks of queries, blocks. What a first op of its kind
went through holds for the next one, which is made as its copy with its own name, inputs and outputs.

Besides `graph`, the only module that knows how coremltools 9.0 represents an op.
"""

from collections.abc import Container, Mapping
from typing import Any

from coremltools.converters.mil.mil import Builder as mb
from coremltools.converters.mil.mil import Function, Operation, Program, types
from coremltools.converters.mil.mil import Var as PymilVar
from coremltools.converters.mil.mil.block import curr_block

__all__ = ["PlainFunction", "Repeats", "release"]


class PlainFunction(Function):  # type: ignore[misc]
    """A function on which none of coremltools' passes is run."""

    def _propagate_nonreplaceable_vars(self) -> None:
        """Leave out what only passes ask for."""


class _Tensor(PymilVar):  # type: ignore[misc]
    """A value that is known to be a tensor. `Var` finds out each time, by objects that it makes."""

    @property
    def shape(self) -> Any:
        return self._sym_type.get_shape()

    @property
    def dtype(self) -> Any:
        return self._sym_type.get_primitive()


class Repeats:
    """Adds ops to the current function. `weights` has the names of constants whose values are not known."""

    def __init__(self, weights: Container[str]) -> None:
        self._weights = weights
        self._first: dict[Any, Operation | None] = {}
        self._types: dict[Any, tuple[Any, ...]] = {}

    def add(self, kind: str, name: str, inputs: Mapping[str, Any]) -> Any:
        """The op `kind` with the name `name`: its output, or its outputs as a list."""
        key = (kind, *((k, self._signature(v)) for k, v in inputs.items()))
        first = self._first.get(key)
        if first is not None:
            return _copy(first, name, inputs)
        found = getattr(mb, kind)(name=name, **inputs)
        if key not in self._first:
            op = (found if isinstance(found, PymilVar) else found[0]).op
            self._first[key] = op if _is_plain(op, inputs) else None
        return found

    def _signature(self, value: Any) -> Any:
        """What coremltools sees of an input, but for its name; a small constant is known by its identity."""
        if isinstance(value, (list, tuple)):
            return tuple(self._signature(v) for v in value)
        if not isinstance(value, PymilVar):
            return object()  # becomes a constant with a name of its own: like no other
        if value._sym_val is not None and value.name not in self._weights:
            return value  # the graph keeps it, so that the identity stays its own
        kind = value._sym_type
        found = self._types.get(kind)
        if found is None:
            found = self._types[kind] = (value.dtype, tuple(value.shape), value._sym_val is not None)
        return found


def release(program: Program) -> None:
    """Give back the memory of a program that is not used any more.

    Its parts refer to each other in circles, which only the garbage collector would find, at the price of
    searching all of them.
    """
    for function in program.functions.values():
        ops = list(function.operations)
        node = function.operations.start
        while node is not None:
            node.prev, node.next, node = None, None, node.next
        for op in ops:
            for var in op._output_vars:
                var._op = var._child_ops = var.consuming_blocks = None
            op.__dict__.clear()
        function.__dict__.clear()
    program.functions.clear()


def _is_plain(op: Operation, inputs: Mapping[str, Any]) -> bool:
    """Whether the op is its inputs and nothing more: no default of its own, no nested block, no value;
    and gives tensors."""
    own = [name for name, value in op._input_vars.items() if value is not None and name not in inputs]
    return (
        not own
        and not op.blocks
        and all(
            type(v) is PymilVar
            and types.is_tensor(v._sym_type)
            and v._sym_val is None
            and not v.is_descendant_of_const
            and not v.nonreplaceable_vars_upstream
            for v in op.outputs
        )
    )


def _copy(first: Operation, name: str, inputs: Mapping[str, Any]) -> Any:
    """An op like `first` at the end of the current function."""
    op = object.__new__(type(first))
    given = {k: list(v) if isinstance(v, list) else v for k, v in inputs.items()}
    op.__dict__.update(first.__dict__, name=name, enclosing_block=curr_block(), blocks=[], **given)
    op._input_vars = first._input_vars | given
    for value in given.values():
        for var in value if isinstance(value, (list, tuple)) else (value,):
            var._child_ops.append(op)
    op._output_vars = [_output(var, name + var.name[len(first.name) :], op) for var in first.outputs]
    op.enclosing_block._insert_op_before(op)
    return op._output_vars[0] if len(op._output_vars) == 1 else op._output_vars


def _output(like: Any, name: str, op: Operation) -> Any:
    var = object.__new__(_Tensor)
    var.name, var._sym_type, var._sym_val = name, like._sym_type, None
    var._op, var.op_output_idx = op, like.op_output_idx
    var._child_ops, var.consuming_blocks = [], []
    var._nonreplaceable_vars_upstream = like._nonreplaceable_vars_upstream  # none, and replaced, not changed
    var.is_descendant_of_const = False
    return var
