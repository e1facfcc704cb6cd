"""PyTorch in float32, where it is installed: the same work as the cases of suite `cpu`, as a peer.

It is no requirement of Tintype and is never imported elsewhere. Weights are random: only time is compared.
"""

import importlib
import importlib.util
from collections.abc import Callable
from typing import Any

__all__ = ["available", "decoder", "transformer_block"]

Work = Callable[[], object]


def available() -> bool:
    """True if PyTorch is installed."""
    return importlib.util.find_spec("torch") is not None


def _modules() -> tuple[Any, Any]:
    torch = importlib.import_module("torch")
    torch.set_grad_enabled(False)
    return torch, importlib.import_module("torch.nn.functional")


def transformer_block(tokens: int, width: int, heads: int) -> Work:
    """One call of a block of attention and perceptron, each behind a norm and a residual."""
    torch, f = _modules()
    shapes = {"q": (width, width), "k": (width, width), "v": (width, width), "out": (width, width)}
    shapes |= {"up": (4 * width, width), "down": (width, 4 * width)}
    weights = {name: torch.randn(*shape) / shape[1] ** 0.5 for name, shape in shapes.items()}
    biases = {name: torch.zeros(shape[0]) for name, shape in shapes.items()}
    x = torch.randn(1, tokens, width)

    def linear(y: Any, name: str) -> Any:
        return f.linear(y, weights[name], biases[name])

    def work() -> object:
        h = f.layer_norm(x, (width,), eps=1e-5)
        q, k, v = (linear(h, n).view(1, tokens, heads, -1).transpose(1, 2) for n in "qkv")
        h = f.scaled_dot_product_attention(q, k, v).transpose(1, 2).reshape(1, tokens, width)
        y = x + linear(h, "out")
        h = linear(f.layer_norm(y, (width,), eps=1e-5), "up")
        return y + linear(f.gelu(h, approximate="tanh"), "down")

    return work


def decoder(channels: tuple[int, ...], blocks: int, groups: int, latent: tuple[int, int, int]) -> Work:
    """One call of an autoencoder's decoder, laid out as models/vae.py."""
    torch, f = _modules()
    weights: dict[tuple[str, int, int, int], Any] = {}

    def conv(x: Any, name: str, outputs: int, kernel: int = 3) -> Any:
        inputs = x.shape[1]
        key = (name, inputs, outputs, kernel)
        if key not in weights:
            weights[key] = torch.randn(outputs, inputs, kernel, kernel) / (inputs * kernel**2) ** 0.5
        return f.conv2d(x, weights[key], padding=kernel // 2)

    def norm(x: Any) -> Any:
        return f.silu(f.group_norm(x, groups, eps=1e-6))

    def residual(x: Any, name: str, outputs: int) -> Any:
        y = conv(norm(x), f"{name}.1", outputs)
        y = conv(norm(y), f"{name}.2", outputs)
        return y + (x if x.shape[1] == outputs else conv(x, f"{name}.shortcut", outputs, 1))

    def attend(x: Any) -> Any:
        y = f.group_norm(x, groups, eps=1e-6)
        q, k, v = (conv(y, n, x.shape[1], 1).flatten(2).transpose(1, 2)[:, None] for n in "qkv")
        y = f.scaled_dot_product_attention(q, k, v)[:, 0].transpose(1, 2).reshape(x.shape)
        return x + conv(y, "out", x.shape[1], 1)

    z = torch.randn(1, *latent)

    def work() -> object:
        x = conv(z, "in", channels[-1])
        x = residual(attend(residual(x, "mid.0", channels[-1])), "mid.1", channels[-1])
        for index, width in enumerate(reversed(channels)):
            for block in range(blocks + 1):
                x = residual(x, f"up.{index}.{block}", width)
            if index < len(channels) - 1:
                x = conv(f.interpolate(x, scale_factor=2.0), f"up.{index}", width)
        return conv(norm(x), "image", 3)

    return work
