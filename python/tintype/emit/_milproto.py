"""A pymil program as the protobuf of an `.mlmodel`, with weights placed instead of copied.

The only module that touches coremltools' private exporter classes (pinned: coremltools 9.0). The file formats
are the stable layer; if the classes change, this module is what to rewrite.
"""

from typing import Any

from coremltools import _OPSET, proto
from coremltools.converters.mil.backend.mil import helper
from coremltools.converters.mil.backend.mil.load import CoreMLProtoExporter, MILProtoExporter
from coremltools.converters.mil.mil import types
from coremltools.converters.mil.mil.ops.registry import SSAOpRegistry

from ..layers import MILProgram
from ..weight import ComputedWeight
from .weight_file import WeightLayout

__all__ = ["SPECIFICATION_VERSION", "model_bytes"]

#: iOS 18 / macOS 15: the first with scaled_dot_product_attention.
SPECIFICATION_VERSION = 9

WEIGHT_PATH = "@model_path/weights/weight.bin"


class _PlacingExporter(MILProtoExporter):  # type: ignore[misc]
    """Gives every constant of the program a place in `layout`; writes nothing.

    `fill` builds the protobuf in its place. The base's `export` copies each op four times on the way there.
    """

    def __init__(self, program: MILProgram, layout: WeightLayout) -> None:
        # Not the base's, which validates the whole program in a time that grows with its square (5 s for the
        # 23,000 ops of SD3-medium at 1024 x 1024 for the Neural Engine): the builder has checked the ops.
        self.prog, self.weights_dir = program.program, ""
        self.specification_version = SPECIFICATION_VERSION
        self.blob_writers: dict[str, Any] = {}
        self.weight_id_to_file_value: dict[str, Any] = {}
        self._weights, self._layout = program.weights, layout
        self._placed: dict[str, Any] = {}
        self._types: dict[Any, Any] = {}

    def fill(self, program: Any) -> None:
        """Translate all functions into `program`, an empty protobuf."""
        program.version = 1
        for name, function in self.prog.functions.items():
            row = program.functions[name]
            row.opset = _OPSET[self.specification_version]
            for key, var in function.inputs.items():
                row.inputs.add(name=key, type=self.types_to_proto(var.sym_type))
            block = row.block_specializations[row.opset]
            block.outputs.extend(var.name for var in function.outputs)
            for op in function.operations:
                self._fill_op(block.operations, op)

    def _fill_op(self, rows: Any, op: Any) -> None:
        if op.op_type == "const":
            users = op.outputs[0].child_ops
            # The constants of a constexpr op are its attributes.
            if not users or not all(user.op_type.startswith("constexpr_") for user in users):
                rows.append(self.translate_const(op))
        elif op.op_type.startswith("constexpr_"):
            rows.append(self.translate_constexpr(op))
        elif op.blocks or op.op_type in SSAOpRegistry.custom_ops:
            raise ValueError(f"{op.name}: {op.op_type} is none of the ops that models are made of")
        else:
            self._fill_plain(rows.add(type=op.op_type), op)

    def types_to_proto(self, valuetype: Any) -> Any:
        """The type as protobuf, made once."""
        if valuetype not in self._types:
            self._types[valuetype] = super().types_to_proto(valuetype)
        return self._types[valuetype]

    def _fill_plain(self, row: Any, op: Any) -> None:
        """An op whose inputs all have names."""
        for parameter, value in op.inputs.items():
            arguments = row.inputs[parameter].arguments
            for var in value if isinstance(value, (list, tuple)) else (value,):
                arguments.add(name=var.name)
        for var in op.outputs:
            row.outputs.add(name=var.name, type=self.types_to_proto(var.sym_type))
        name = row.attributes["name"]
        name.type.CopyFrom(self.types_to_proto(types.str))
        name.immediateValue.tensor.strings.values.append(op.name)

    def create_file_value(self, var: Any) -> Any:
        """The reference to the constant `var`; functions share the place of a weight by its name."""
        value = var.val
        weight = self._weights.get(var.name)
        if weight is not None and var.name in self._placed:
            return self._placed[var.name]
        if weight is None:
            weight = ComputedWeight(var.name, value.shape, lambda: value)
        builtin = types.numpy_type_to_builtin_type(value.dtype)
        offset = self._layout.add(weight, _kind(builtin))
        primitive = helper.types_to_proto_primitive(builtin)
        reference = helper.create_file_value_tensor(WEIGHT_PATH, offset, value.shape, primitive)
        if var.name in self._weights:
            self._placed[var.name] = reference
        return reference


class _ModelExporter(CoreMLProtoExporter):  # type: ignore[misc]
    """Describes the model around a program's protobuf, which is left empty; as above, without validating the
    program again."""

    def __init__(self, program: MILProgram) -> None:
        self.prog, self.mil_proto = program.program, proto.MIL_pb2.Program()
        self.export_as_multifunction = program.program.export_as_multifunction
        self.convert_to, self.convert_from = "mlprogram", "milinternal"
        self.specification_version = SPECIFICATION_VERSION
        self.predicted_feature_name = self.predicted_probabilities_name = self.classifier_config = None


def _kind(builtin: Any) -> str:
    """The name that `weight_file` has for a MIL type."""
    name: str = types.builtin_to_string(builtin)
    return {"fp16": "float16", "fp32": "float32"}.get(name, name)


def model_bytes(program: MILProgram, layout: WeightLayout) -> bytes:
    """`model.mlmodel` of the program, the same bytes for the same program; fills `layout`."""
    model = _ModelExporter(program).export(SPECIFICATION_VERSION)
    _PlacingExporter(program, layout).fill(model.mlProgram)
    return bytes(model.SerializeToString(deterministic=True))
