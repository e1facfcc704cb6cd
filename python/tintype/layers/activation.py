"""Activations by the names that checkpoints' configs use."""

from typing import Final

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


def activation(g: Graph, x: Var, kind: str, *, name: str | None = None) -> Var:
    """The activation `kind` (a key of ACTIVATIONS) of x, element by element."""
    op, mode = ACTIVATIONS[kind]
    if mode is None:
        return g.op(op, x=x, name=name)
    return g.op(op, x=x, mode=g.text(mode, "gelu_mode"), name=name)
