"""Activations by the names that checkpoints' configs use."""

from typing import Final

from .basic import mul
from .graph import Graph, Var

__all__ = ["ACTIVATIONS", "activation"]

#: Config name → (op, mode). quick_gelu is x·sigmoid(1.702·x), which Core ML calls a sigmoid approximation.
ACTIVATIONS: Final[dict[str, tuple[str, str | None]]] = {
    "gelu": ("gelu", "EXACT"),
    "gelu_new": ("gelu", "TANH_APPROXIMATION"),
    "gelu_pytorch_tanh": ("gelu", "TANH_APPROXIMATION"),
    "quick_gelu": ("gelu", "SIGMOID_APPROXIMATION"),
    "silu": ("silu", None),
}

#: Config name → s of x·sigmoid(s·x).
GATES: Final[dict[str, float]] = {"quick_gelu": 1.702, "silu": 1.0}


def activation(g: Graph, x: Var, kind: str, *, name: str | None = None) -> Var:
    """The activation `kind` (a key of ACTIVATIONS) of x, element by element.

    The Neural Engine gets SiLU and quick GELU as what they are, x·sigmoid(s·x): the ops of those names leave
    it.
    """
    if g.channels_first and kind in GATES:
        return _gated(g, x, GATES[kind], name or kind)
    op, mode = ACTIVATIONS[kind]
    if mode is None:
        return g.op(op, x=x, name=name)
    return g.op(op, x=x, mode=g.text(mode, "gelu_mode"), name=name)


def _gated(g: Graph, x: Var, slope: float, name: str) -> Var:
    """x·sigmoid(slope·x)."""
    inner = x if slope == 1 else mul(g, x, slope, name=f"{name}.slope")
    return mul(g, x, g.op("sigmoid", x=inner, name=f"{name}.sigmoid"), name=name)
