"""The rules that an op must keep to stay on the Neural Engine, each a function that gives its complaint.

Sources, by rule: docs/neural_engine.md. The rules are published advice and reports, not a specification; they
can be wrong in either direction, and no rule here was measured on a device by this project.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from ..run.program import FunctionOps, Op, Tensor

__all__ = ["RULES", "Complaint", "check", "padding"]

MAX_RANK = 5
#: The last axis is stored in multiples of 64 bytes.
ROW_BYTES = 64
#: Padding of one value that is worth a complaint, if it also doubles the value's size.
MAX_PADDING = 4 * 2**20
#: Attention scores of one softmax, in bytes: 15 times one head and 512 queries of a 1024×1024 image.
MAX_SCORES = 64 * 2**20
MAX_KERNEL = 13
MAX_POOL_STRIDE = 2

#: Op → why it leaves the Neural Engine.
FALL_BACKS: Mapping[str, str] = {
    **dict.fromkeys(("cond", "while_loop"), "control flow runs on the CPU"),
    **dict.fromkeys(("gru", "lstm", "rnn"), "recurrent layers run on the CPU or GPU"),
    **dict.fromkeys(
        ("gather", "gather_nd", "gather_along_axis", "scatter", "scatter_nd", "scatter_along_axis"),
        "reads by index run on the CPU or GPU",
    ),
    **dict.fromkeys(
        ("argsort", "topk", "cumsum", "non_zero", "non_maximum_suppression", "one_hot", "reduce_argmax",
         "reduce_argmin"),
        "sorting and searching run on the CPU or GPU",
    ),
    **dict.fromkeys(
        ("acos", "acosh", "asin", "asinh", "atan", "atanh", "cos", "cosh", "sin", "sinh", "tan"),
        "trigonometry runs on the CPU or GPU: make it a constant or an input",
    ),
    **dict.fromkeys(
        ("random_bernoulli", "random_categorical", "random_normal", "random_uniform"),
        "random numbers are drawn on the CPU or GPU",
    ),
    "silu": "leaves as an op: write x·sigmoid(x)",
}  # fmt: skip


@dataclass(frozen=True)
class Complaint:
    """A broken rule: its name, and the reason with the value that broke it."""

    rule: str
    reason: str


Rule = Callable[[FunctionOps, Op], str | None]


def check(function: FunctionOps, op: Op) -> Complaint | None:
    """The first rule that `op` breaks, or None. Constants and ops on constants alone break none."""
    if op.kind.startswith("constexpr_") or op.kind == "const":
        return None
    for name, rule in RULES.items():
        reason = rule(function, op)
        if reason is not None:
            return Complaint(name, reason)
    return None


def padding(tensor: Tensor) -> int:
    """Bytes that a float16 tensor of this shape is padded by on the Neural Engine."""
    if not tensor.shape or not tensor.static or tensor.elements == 0:
        return 0
    width = max(tensor.shape[-1], 1)
    row = -(-width * 2 // ROW_BYTES) * ROW_BYTES
    return tensor.elements // width * (row - width * 2)


def _values(function: FunctionOps, op: Op) -> list[Tensor]:
    """Types of all tensors that go in and out."""
    found = [t for name in op.inputs for t in function.arguments(op, name)]
    return found + [t for _, t in op.outputs if t is not None]


def _static(function: FunctionOps, op: Op) -> str | None:
    bad = next((t for t in _values(function, op) if not t.static), None)
    return None if bad is None else f"the shape {list(bad.shape)} is not fixed"


def _dtype(function: FunctionOps, op: Op) -> str | None:
    bad = next((t for t in _values(function, op) if t.floating and t.dtype != "float16"), None)
    if bad is not None:
        return f"{bad.dtype} is not float16"
    outputs = [t for _, t in op.outputs if t is not None]
    bad = next((t for t in outputs if not t.floating), None)
    return None if bad is None else f"{bad.dtype} results are not float16"


def _rank(function: FunctionOps, op: Op) -> str | None:
    rank = max((len(t.shape) for t in _values(function, op)), default=0)
    return f"rank {rank} is above {MAX_RANK}" if rank > MAX_RANK else None


def _width(function: FunctionOps, op: Op) -> str | None:
    for _, tensor in op.outputs:
        if tensor is None or not tensor.floating:
            continue
        waste = padding(tensor)
        if waste > MAX_PADDING and waste >= 2 * tensor.elements:
            return f"a last axis of {tensor.shape[-1]} pads {list(tensor.shape)} by {waste / 1e6:.0f} MB"
    return None


def _attention(function: FunctionOps, op: Op) -> str | None:
    if op.kind == "scaled_dot_product_attention":
        return "the fused attention runs on the GPU: split it by head and by chunk of queries"
    if op.kind == "matmul" and not any(v in function.constants for v in op.inputs.get("y", ())):
        return "a product of activations as matmul: write it as an einsum nchw,nwhu->nchu"
    if op.kind == "einsum" and function.text(op, "equation") != "nchw,nwhu->nchu":
        return f"the einsum {function.text(op, 'equation')} is not Core ML's own"
    if op.kind == "softmax":
        size = max((t.bytes for t in function.arguments(op, "x")), default=0)
        if size > MAX_SCORES:
            return f"{size / 1e6:.0f} MB of scores at once: attend in chunks of queries"
    return None


def _layout(function: FunctionOps, op: Op) -> str | None:
    if op.kind == "linear":
        return "linear: a 1×1 convolution of (B, C, 1, S) keeps the layout of the Neural Engine"
    return None


def _limits(function: FunctionOps, op: Op) -> str | None:
    if op.kind in ("conv", "conv_transpose"):
        weight = function.arguments(op, "weight")
        kernel = max(weight[0].shape[2:], default=1) if weight else 1
        if kernel > MAX_KERNEL:
            return f"a kernel of {kernel} is above {MAX_KERNEL}"
        if max(function.integers(op, "dilations", (1,))) > 1:
            return "dilated convolutions run on the CPU or GPU"
    if op.kind in ("avg_pool", "max_pool"):
        kernel = max(function.integers(op, "kernel_sizes", (1,)))
        stride = max(function.integers(op, "strides", (1,)))
        if kernel > MAX_KERNEL or stride > MAX_POOL_STRIDE:
            return f"a pool of kernel {kernel}, stride {stride} is above {MAX_KERNEL}, {MAX_POOL_STRIDE}"
    return None


def _fall_back(function: FunctionOps, op: Op) -> str | None:
    return FALL_BACKS.get(op.kind)


#: In the order in which they are asked; an op is reported by the first that it breaks.
RULES: Mapping[str, Rule] = {
    "fall-back": _fall_back,
    "shape": _static,
    "dtype": _dtype,
    "rank": _rank,
    "attention": _attention,
    "layout": _layout,
    "limits": _limits,
    "width": _width,
}
