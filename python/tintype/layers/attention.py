"""Multi-head attention for the GPU layout: (B, S, C) activations and the fused attention op."""

from .basic import reshape, transpose
from .graph import Graph, Var

__all__ = ["attention", "merge_heads", "split_heads"]


def split_heads(g: Graph, x: Var, heads: int, *, name: str) -> Var:
    """(B, S, H·d) → (B, S, H, d)."""
    batch, tokens, width = (int(n) for n in x.shape)
    return reshape(g, x, (batch, tokens, heads, width // heads), name=name)  # (B, S, H, d)


def merge_heads(g: Graph, x: Var, *, name: str) -> Var:
    """(B, H, S, d) → (B, S, H·d)."""
    batch, heads, tokens, width = (int(n) for n in x.shape)
    x = transpose(g, x, (0, 2, 1, 3), name=f"{name}.rows")  # (B, S, H, d)
    return reshape(g, x, (batch, tokens, heads * width), name=name)  # (B, S, H·d)


def attention(g: Graph, q: Var, k: Var, v: Var, *, name: str, mask: Var | None = None) -> Var:
    """softmax(q·kᵀ / √d + mask)·v for each head: three (B, S, H, d) → (B, S, H·d).

    `mask` is added to the scores and broadcasts to (B, H, S, S).
    """
    with g.scope(name):
        q, k, v = (
            transpose(g, x, (0, 2, 1, 3), name=f"heads_{n}")  # (B, H, S, d)
            for x, n in ((q, "q"), (k, "k"), (v, "v"))
        )
        extra = {} if mask is None else {"attn_mask": mask}
        out = g.op("scaled_dot_product_attention", query=q, key=k, value=v, name="sdpa", **extra)
        return merge_heads(g, out, name="merge")
