"""Sequences of tokens in the layout of the target.

    gpu   (B, S, C)      what linear layers and the fused attention of GPUs and MLX take
    ane   (B, C, 1, S)   what the Neural Engine takes: channels second, and a long last axis, since it pads
                         the last axis to 64 bytes

A *vector*, one value a channel and no sequence, is (B, C) and (B, C, 1, 1). Inputs and outputs of a model are
(B, S, C) and (B, C) for every target, so that the same pipeline runs them; they are changed here, once.

Shape key: B batch, S tokens, C channels, H × W pixels of an image, S = H·W then.
"""

from collections.abc import Callable, Sequence

from ..weight import Array
from .basic import concat, expand_dims, reshape, slice_axis, split, transpose
from .graph import Graph, Var

__all__ = [
    "channel_axis",
    "concat_channels",
    "concat_tokens",
    "direct_output",
    "image_from_tokens",
    "rows_from_tokens",
    "rows_from_vector",
    "slice_tokens",
    "split_tokens",
    "token_axis",
    "token_count",
    "token_table",
    "tokens_from_image",
    "tokens_from_rows",
    "vector_from_rows",
]


def token_axis(g: Graph) -> int:
    """The axis of tokens: S."""
    return 3 if g.channels_first else 1


def channel_axis(g: Graph, x: Var) -> int:
    """The axis of channels of tokens or of a vector: C."""
    return 1 if g.channels_first else len(x.shape) - 1


def token_count(g: Graph, x: Var) -> int:
    """S: the number of tokens."""
    return int(x.shape[token_axis(g)])


def tokens_from_rows(g: Graph, x: Var, *, name: str) -> Var:
    """(B, S, C), as a model's inputs are, → tokens."""
    if not g.channels_first:
        return x
    x = transpose(g, x, (0, 2, 1), name=f"{name}.channels")  # (B, C, S)
    return expand_dims(g, x, (2,), name=f"{name}.tokens")  # (B, C, 1, S)


def direct_output(g: Graph, output: str) -> str | None:
    """The name of an output for the op that computes its tokens, where no change of layout follows."""
    return None if g.channels_first else output


def rows_from_tokens(g: Graph, x: Var, *, output: str) -> Var:
    """Tokens → (B, S, C), as a model's outputs are. On a GPU x itself, named by `direct_output` already."""
    if not g.channels_first:
        return x
    batch, channels, _, tokens = (int(n) for n in x.shape)
    x = reshape(g, x, (batch, channels, tokens), name=f"{output}.channels")  # (B, C, S)
    return transpose(g, x, (0, 2, 1), output=output)  # (B, S, C)


def vector_from_rows(g: Graph, x: Var, *, name: str) -> Var:
    """(B, C) → a vector."""
    return expand_dims(g, x, (2, 3), name=f"{name}.vector") if g.channels_first else x  # (B, C, 1, 1)


def rows_from_vector(g: Graph, x: Var, *, output: str) -> Var:
    """A vector → (B, C). On a GPU x itself, named by `direct_output` already."""
    if not g.channels_first:
        return x
    return reshape(g, x, [int(n) for n in x.shape[:2]], output=output)  # (B, C)


def tokens_from_image(g: Graph, x: Var, *, names: tuple[str, str]) -> Var:
    """(B, C, H, W) → tokens; `names` of the two steps."""
    batch, channels, height, width = (int(n) for n in x.shape)
    if g.channels_first:
        return reshape(g, x, (batch, channels, 1, height * width), name=names[1])  # (B, C, 1, S)
    x = reshape(g, x, (batch, channels, height * width), name=names[0])  # (B, C, S)
    return transpose(g, x, (0, 2, 1), name=names[1])  # (B, S, C)


def image_from_tokens(g: Graph, x: Var, size: tuple[int, int], *, names: tuple[str, str]) -> Var:
    """Tokens → (B, C, H, W), `size` is (H, W); `names` of the two steps."""
    batch, channels = int(x.shape[0]), int(x.shape[channel_axis(g, x)])
    if not g.channels_first:
        x = transpose(g, x, (0, 2, 1), name=names[0])  # (B, C, S)
    return reshape(g, x, (batch, channels, *size), name=names[1])  # (B, C, H, W)


def concat_tokens(g: Graph, values: Sequence[Var], *, name: str) -> Var:
    """One sequence after another; also of heads."""
    return concat(g, values, token_axis(g), name=name)


def concat_channels(g: Graph, values: Sequence[Var], *, name: str) -> Var:
    """Channels of several sequences side by side."""
    return concat(g, values, channel_axis(g, values[0]), name=name)


def slice_tokens(g: Graph, x: Var, begin: int, end: int, *, name: str) -> Var:
    """The tokens [begin, end)."""
    return slice_axis(g, x, token_axis(g), begin, end, name=name)


def split_tokens(g: Graph, x: Var, parts: int, *, name: str) -> tuple[Var, ...]:
    """Equal parts, one after another."""
    return split(g, x, parts, token_axis(g), name=name)


def token_table(g: Graph, name: str, shape: tuple[int, int], make: Callable[[], Array]) -> Var:
    """A constant sequence of `shape` (S, C), which `make` gives as float32 when the package is written."""
    tokens, width = shape
    if not g.channels_first:
        return g.computed(name, (1, tokens, width), g.float, lambda: make().reshape(1, tokens, width))
    # (S, C) → (1, C, 1, S)
    return g.computed(name, (1, width, 1, tokens), g.float, lambda: make().T.reshape(1, width, 1, tokens))
