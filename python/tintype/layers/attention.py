"""Multi-head attention in the layout of the target.

    gpu   heads are (B, S, H, d), and the fused op does the rest
    ane   heads stay side by side in the channels, (B, H·d, 1, S). A head's scores are the einsum
          `bkhc,bchq->bkhq` with h = 1, laid out (B, Sk, 1, Sq) with the softmax over keys on axis 1, and its
          values `bchk,bkhq->bchq`: both are `nchw,nwhu->nchu`, the einsum that Core ML has as one op. Queries
          go in chunks, so that no matrix of scores is whole (Apple's ml-stable-diffusion, `attention.py`,
          SPLIT_EINSUM_V2; Apple's ml-ane-transformers).

Shape key: B batch, S tokens (Sq of queries, Sk of keys), H heads, d width of a head.
"""

from collections.abc import Callable

from ..weight import Array
from .basic import add, concat, mul, reshape, slice_axis, split, transpose
from .graph import Graph, Var

__all__ = [
    "AttentionBias",
    "attention",
    "attention_bias",
    "channel_product",
    "merge_heads",
    "query_chunks",
    "split_heads",
]

#: Queries that meet all keys at once for the Neural Engine, at most.
QUERY_CHUNK = 512
#: Chunks begin at multiples of this: the last axis is padded to 32 float16 elements.
ALIGNMENT = 32

#: What is added to scores. gpu: (1, 1 or H, Sq, Sk); ane: (1, Sk, 1, Sq), one for all heads or one for each.
AttentionBias = Var | tuple[Var, ...]


def split_heads(g: Graph, x: Var, heads: int, *, name: str) -> Var:
    """Tokens of H·d channels → heads."""
    if g.channels_first:
        return x
    batch, tokens, width = (int(n) for n in x.shape)
    return reshape(g, x, (batch, tokens, heads, width // heads), name=name)  # (B, S, H, d)


def merge_heads(g: Graph, x: Var, *, name: str) -> Var:
    """(B, H, S, d) → (B, S, H·d)."""
    batch, heads, tokens, width = (int(n) for n in x.shape)
    x = transpose(g, x, (0, 2, 1, 3), name=f"{name}.rows")  # (B, S, H, d)
    return reshape(g, x, (batch, tokens, heads * width), name=name)  # (B, S, H·d)


def attention_bias(
    g: Graph, name: str, shape: tuple[int, int, int], make: Callable[[], Array]
) -> AttentionBias:
    """A constant bias of `shape` (1 or H, Sq, Sk), which `make` gives as float32, for `attention`."""
    heads, queries, keys = shape
    if not g.channels_first:
        return g.computed(name, (1, heads, queries, keys), g.float, lambda: make()[None])

    def one(head: int) -> Var:
        return g.computed(
            name if heads == 1 else f"{name}.{head}",
            (1, keys, 1, queries),
            g.float,
            lambda: make()[head].T.reshape(1, keys, 1, queries),  # (Sq, Sk) → (1, Sk, 1, Sq)
        )

    return tuple(one(head) for head in range(heads))


def attention(
    g: Graph,
    q: Var,
    k: Var,
    v: Var,
    *,
    name: str,
    mask: AttentionBias | None = None,
    heads: int | None = None,
    scale: float | None = None,
) -> Var:
    """softmax(q·kᵀ · scale + mask)·v for each head: heads → tokens of H·d channels.

    `scale` is 1 / √d if None. `heads` is needed for the Neural Engine, whose heads do not show in the shape.
    """
    with g.scope(name):
        if not g.channels_first:
            return _fused(g, q, k, v, mask, scale)
        if heads is None:
            raise ValueError("attention for the Neural Engine needs the number of heads")
        return _by_head(g, q, k, v, mask, heads, scale)


def _fused(g: Graph, q: Var, k: Var, v: Var, mask: Var | None, scale: float | None) -> Var:
    if scale is not None:  # the op divides by √d: undone on q
        factor = scale * int(q.shape[-1]) ** 0.5
        q = mul(g, q, factor, name="unscaled_q")
    q, k, v = (
        transpose(g, x, (0, 2, 1, 3), name=f"heads_{n}")  # (B, H, S, d)
        for x, n in ((q, "q"), (k, "k"), (v, "v"))
    )
    extra = {} if mask is None else {"attn_mask": mask}
    out = g.op("scaled_dot_product_attention", query=q, key=k, value=v, name="sdpa", **extra)
    return merge_heads(g, out, name="merge")


def query_chunks(tokens: int) -> list[tuple[int, int]]:
    """[begin, end) of the chunks of queries: as few as QUERY_CHUNK allows, of nearly equal size."""
    count = -(-tokens // QUERY_CHUNK)
    size = -(-tokens // count)
    size = -(-size // ALIGNMENT) * ALIGNMENT
    return [(begin, min(begin + size, tokens)) for begin in range(0, tokens, size)]


def _by_head(
    g: Graph, q: Var, k: Var, v: Var, mask: AttentionBias | None, heads: int, scale: float | None
) -> Var:
    width = int(q.shape[1]) // heads
    scale = width**-0.5 if scale is None else scale
    q = q if scale == 1 else mul(g, q, scale, name="scaled_q")
    k = transpose(g, k, (0, 3, 2, 1), name="rows_k")  # (B, Sk, 1, H·d)
    rows = zip(
        split(g, q, heads, 1, name="head_q"),  # (B, d, 1, Sq)
        split(g, k, heads, 3, name="head_k"),  # (B, Sk, 1, d)
        split(g, v, heads, 1, name="head_v"),  # (B, d, 1, Sk)
        _head_masks(mask, heads),
        strict=True,
    )
    return _concat(g, [_one_head(g, *row) for row in rows], 1, "merge")  # (B, H·d, 1, Sq)


def _head_masks(mask: AttentionBias | None, heads: int) -> tuple[Var | None, ...]:
    if mask is None or not isinstance(mask, tuple):
        return (mask,) * heads
    return mask * heads if len(mask) == 1 else mask


def _one_head(g: Graph, q: Var, k: Var, v: Var, mask: Var | None) -> Var:
    parts = []
    for begin, end in query_chunks(int(q.shape[3])):
        chunk = slice_axis(g, q, 3, begin, end, name="chunk_q")
        scores = channel_product(g, k, chunk, name="scores")  # (B, Sk, 1, Sq)
        if mask is not None:
            scores = add(g, scores, slice_axis(g, mask, 3, begin, end, name="chunk_mask"), name="masked")
        weights = g.op("softmax", x=scores, axis=g.const(1, "axis"), name="weights")
        parts.append(channel_product(g, v, weights, name="values"))  # (B, d, 1, Sq)
    return _concat(g, parts, 3, "chunks")


def channel_product(g: Graph, x: Var, y: Var, *, name: str) -> Var:
    """(N, C, H, W), (N, W, H, U) → (N, C, H, U)."""
    return g.op("einsum", values=[x, y], equation=g.text("nchw,nwhu->nchu", "equation"), name=name)


def _concat(g: Graph, parts: list[Var], axis: int, name: str) -> Var:
    return parts[0] if len(parts) == 1 else concat(g, parts, axis, name=name)
