"""Networks of other people's architecture, small and with random weights, each defined once over a set of layers
that exists twice: as MIL ops, and in numpy and float64 (`NumpyLayers`), which shares nothing with the engine.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from .programs import mb
from .references import attention, convolved, normalised

__all__ = ["NETWORKS", "MILLayers", "NumpyLayers"]

EPSILON = 1e-5


class _Weights:
    """Random weights in the order in which the network asks for them: the same for both kinds of layers."""

    def __init__(self, seed: int):
        self._random = np.random.RandomState(seed)

    def weight(self, *shape: int) -> np.ndarray:
        fan_in = int(np.prod(shape[1:])) or 1
        return (self._random.randn(*shape) / math.sqrt(fan_in)).astype(np.float32)

    def vector(self, size: int, around: float = 0.0) -> np.ndarray:
        return (around + 0.1 * self._random.randn(size)).astype(np.float32)


class NumpyLayers(_Weights):
    """Layers by their definitions, in float64."""

    def conv(self, x, out, kernel=3, stride=1, groups=1):
        axes = x.ndim - 2
        weight, bias = self.weight(out, x.shape[1] // groups, *[kernel] * axes), self.vector(out)
        pad = [kernel // 2] * axes
        y = convolved(x, weight, [stride] * axes, pad, pad, [1] * axes, groups)
        return y + bias.reshape(-1, *[1] * axes)

    def linear(self, x, out, bias=True):
        weight = self.weight(out, x.shape[-1])
        return x @ weight.T.astype(np.float64) + (self.vector(out) if bias else 0)

    def batch_norm(self, x):
        mean, variance, gamma, beta = (self.vector(x.shape[1], a)[:, None, None] for a in (0, 1, 1, 0))
        return (x - mean) / np.sqrt(variance + EPSILON) * gamma + beta

    def layer_norm(self, x):
        gamma, beta = self.vector(x.shape[-1], 1), self.vector(x.shape[-1])
        return normalised(x, -1, EPSILON) * gamma + beta

    def group_norm(self, x, groups=4):
        n, c = x.shape[:2]
        gamma, beta = self.vector(c, 1), self.vector(c)
        y = normalised(x.reshape(n, groups, -1), 2, EPSILON).reshape(x.shape)
        return y * gamma[:, None, None] + beta[:, None, None]

    def attention(self, query, key, value, mask=None):
        return attention(query, key, value, 0.0 if mask is None else mask)

    def embedding(self, ids, count, width):
        return self.weight(count, width).astype(np.float64)[ids]

    def max_pool(self, x):
        padded = np.pad(x, [(0, 0), (0, 0), (1, 1), (1, 1)], constant_values=-np.inf)
        parts = np.lib.stride_tricks.sliding_window_view(padded, (3, 3), (-2, -1))[..., ::2, ::2, :, :]
        return parts.max((-1, -2))

    def lstm(self, x, hidden):
        wih, whh, bias = (
            self.weight(4 * hidden, x.shape[-1]),
            self.weight(4 * hidden, hidden),
            self.vector(4 * hidden),
        )
        h = c = np.zeros((x.shape[1], hidden))
        out = []
        for step in x:  # gates in MIL's order: input, forget, output, cell
            i, f, o, g = np.split(step @ wih.T + h @ whh.T + bias, 4, -1)
            c = self.sigmoid(f) * c + self.sigmoid(i) * np.tanh(g)
            h = self.sigmoid(o) * np.tanh(c)
            out.append(h)
        return np.stack(out)

    def constant(self, x):
        return x.astype(np.float64)

    def relu(self, x):
        return np.maximum(x, 0)

    def sigmoid(self, x):
        return 1 / (1 + np.exp(-x))

    def silu(self, x):
        return x * self.sigmoid(x)

    def gelu(self, x):
        return 0.5 * x * (1 + np.vectorize(math.erf)(x / math.sqrt(2)))

    def add(self, x, y):
        return x + y

    def mul(self, x, y):
        return x * y

    def mean(self, x, axes):
        return x.mean(tuple(axes))

    def reshape(self, x, shape):
        return x.reshape(shape)

    def transpose(self, x, perm):
        return x.transpose(perm)

    def concat(self, values, axis):
        return np.concatenate(values, axis)

    def upsample(self, x):
        return x.repeat(2, 2).repeat(2, 3)

    def slice(self, x, axis, begin, end):
        return np.take(x, range(begin, end), axis)

    def softmax(self, x):
        e = np.exp(x - x.max(-1, keepdims=True))
        return e / e.sum(-1, keepdims=True)


class MILLayers(_Weights):
    """The same layers as a converter writes them."""

    def conv(self, x, out, kernel=3, stride=1, groups=1):
        axes = len(x.shape) - 2
        weight, bias = self.weight(out, x.shape[1] // groups, *[kernel] * axes), self.vector(out)
        pad = [kernel // 2] * (2 * axes)
        return mb.conv(x=x, weight=weight, bias=bias, strides=[stride] * axes, pad_type="custom", pad=pad,
                       groups=groups)  # fmt: skip

    def linear(self, x, out, bias=True):
        weight = self.weight(out, x.shape[-1])
        return mb.linear(x=x, weight=weight, **({"bias": self.vector(out)} if bias else {}))

    def batch_norm(self, x):
        mean, variance, gamma, beta = (self.vector(x.shape[1], a) for a in (0, 1, 1, 0))
        return mb.batch_norm(x=x, mean=mean, variance=variance, gamma=gamma, beta=beta, epsilon=EPSILON)

    def layer_norm(self, x):
        gamma, beta = self.vector(x.shape[-1], 1), self.vector(x.shape[-1])
        return mb.layer_norm(x=x, axes=[-1], gamma=gamma, beta=beta, epsilon=EPSILON)

    def group_norm(self, x, groups=4):
        n, c, h, w = x.shape
        gamma, beta = self.vector(c, 1).reshape(c, 1, 1), self.vector(c).reshape(c, 1, 1)
        y = mb.instance_norm(x=mb.reshape(x=x, shape=[n, groups, c // groups * h * w]), epsilon=EPSILON)
        return mb.add(x=mb.mul(x=mb.reshape(x=y, shape=[n, c, h, w]), y=gamma), y=beta)

    def attention(self, query, key, value, mask=None):
        width = np.float32(1 / math.sqrt(query.shape[-1]))
        scores = mb.matmul(x=mb.mul(x=query, y=width), y=key, transpose_y=True)
        scores = scores if mask is None else mb.add(x=scores, y=mask.astype(np.float32))
        return mb.matmul(x=mb.softmax(x=scores, axis=-1), y=value)

    def embedding(self, ids, count, width):
        return mb.gather(x=self.weight(count, width), indices=ids, axis=0)

    def max_pool(self, x):
        return mb.max_pool(x=x, kernel_sizes=[3, 3], strides=[2, 2], pad_type="custom", pad=[1, 1, 1, 1])

    def lstm(self, x, hidden):
        wih, whh, bias = (
            self.weight(4 * hidden, x.shape[-1]),
            self.weight(4 * hidden, hidden),
            self.vector(4 * hidden),
        )
        zeros = np.zeros((x.shape[1], hidden), np.float32)
        return mb.lstm(x=x, initial_h=zeros, initial_c=zeros, weight_ih=wih, weight_hh=whh, bias=bias,
                       output_sequence=True)[0]  # fmt: skip

    def constant(self, x):
        return x

    def relu(self, x):
        return mb.relu(x=x)

    def silu(self, x):
        return mb.silu(x=x)

    def gelu(self, x):
        return mb.gelu(x=x, mode="EXACT")

    def add(self, x, y):
        return mb.add(x=x, y=y)

    def mul(self, x, y):
        return mb.mul(x=x, y=y)

    def mean(self, x, axes):
        return mb.reduce_mean(x=x, axes=list(axes), keep_dims=False)

    def reshape(self, x, shape):
        return mb.reshape(x=x, shape=list(shape))

    def transpose(self, x, perm):
        return mb.transpose(x=x, perm=list(perm))

    def concat(self, values, axis):
        return mb.concat(values=values, axis=axis)

    def upsample(self, x):
        return mb.upsample_nearest_neighbor(x=x, scale_factor_height=2, scale_factor_width=2)

    def slice(self, x, axis, begin, end):
        low, high = [0] * len(x.shape), list(x.shape)
        low[axis], high[axis] = begin, end
        return mb.slice_by_index(x=x, begin=low, end=high)

    def softmax(self, x):
        return mb.softmax(x=x, axis=-1)


def _self_attention(nn: Any, x: Any, heads: int, context: Any = None, mask: Any = None) -> Any:
    """Multi-head attention of x (B, S, C) to itself or to `context` (B, T, D)."""
    batch, length, width = x.shape
    source = x if context is None else context

    def split(y):
        y = nn.reshape(y, (batch, y.shape[1], heads, width // heads))
        return nn.transpose(y, (0, 2, 1, 3))

    q, k, v = (
        split(nn.linear(x, width)),
        split(nn.linear(source, width, bias=False)),
        split(nn.linear(source, width)),
    )
    y = nn.transpose(nn.attention(q, k, v, mask), (0, 2, 1, 3))
    return nn.linear(nn.reshape(y, (batch, length, width)), width)


def resnet(nn: Any, image: Any) -> Any:
    """ResNet-18's plan: stem, basic blocks with a strided projection, mean, classifier."""
    x = nn.max_pool(nn.relu(nn.batch_norm(nn.conv(image, 8, kernel=7, stride=2))))
    for width, stride in ((8, 1), (16, 2), (32, 2)):
        y = nn.relu(nn.batch_norm(nn.conv(x, width, stride=stride)))
        y = nn.batch_norm(nn.conv(y, width))
        skip = x if stride == 1 else nn.batch_norm(nn.conv(x, width, kernel=1, stride=stride))
        x = nn.relu(nn.add(y, skip))
    return nn.softmax(nn.linear(nn.mean(x, (2, 3)), 10))


def vit(nn: Any, image: Any) -> Any:
    """A ViT: patches by a strided convolution, a class token, pre-norm blocks."""
    patches = nn.conv(image, 24, kernel=1)
    n, c, h, w = patches.shape
    x = nn.transpose(nn.reshape(patches, (n, c, h * w)), (0, 2, 1))
    token = nn.constant(np.tile(nn.weight(1, 1, c), (n, 1, 1)))
    x = nn.concat([token, x], 1)
    x = nn.add(x, nn.constant(nn.weight(1, h * w + 1, c)))
    for _ in range(2):
        x = nn.add(x, _self_attention(nn, nn.layer_norm(x), heads=3))
        x = nn.add(x, nn.linear(nn.gelu(nn.linear(nn.layer_norm(x), 4 * c)), c))
    first = nn.reshape(nn.slice(nn.layer_norm(x), 1, 0, 1), (n, c))
    return nn.linear(first, 10)


def bert(nn: Any, ids: Any) -> Any:
    """A BERT-like encoder: embeddings, post-norm blocks, padding masked out."""
    length = ids.shape[1]
    x = nn.add(nn.embedding(ids, 50, 32), nn.constant(nn.weight(1, length, 32)))
    x = nn.layer_norm(x)
    mask = np.zeros((1, 1, 1, length))
    mask[..., length - 3 :] = -1e4
    for _ in range(2):
        x = nn.layer_norm(nn.add(x, _self_attention(nn, x, heads=4, mask=mask)))
        x = nn.layer_norm(nn.add(x, nn.linear(nn.gelu(nn.linear(x, 64)), 32)))
    return x


def unet(nn: Any, latent: Any, time: Any, context: Any) -> Any:
    """Stable Diffusion 1's plan: residual blocks with a time embedding, cross-attention, skips by concatenation."""

    def residual(x, width):
        y = nn.conv(nn.silu(nn.group_norm(x)), width)
        shift = nn.reshape(nn.linear(nn.silu(embedded), width), (1, width, 1, 1))
        y = nn.conv(nn.silu(nn.group_norm(nn.add(y, shift))), width)
        return nn.add(y, x if x.shape[1] == width else nn.conv(x, width, kernel=1))

    def transformer(x):
        n, c, h, w = x.shape
        y = nn.conv(nn.group_norm(x), c, kernel=1)
        y = nn.transpose(nn.reshape(y, (n, c, h * w)), (0, 2, 1))
        y = nn.add(y, _self_attention(nn, nn.layer_norm(y), heads=2))
        y = nn.add(y, _self_attention(nn, nn.layer_norm(y), heads=2, context=context))
        wide = nn.linear(nn.layer_norm(y), 8 * c)  # GEGLU
        gated = nn.mul(nn.slice(wide, 2, 0, 4 * c), nn.gelu(nn.slice(wide, 2, 4 * c, 8 * c)))
        y = nn.add(y, nn.linear(gated, c))
        y = nn.conv(nn.reshape(nn.transpose(y, (0, 2, 1)), (n, c, h, w)), c, kernel=1)
        return nn.add(x, y)

    embedded = nn.linear(nn.silu(nn.linear(time, 32)), 32)
    first = nn.conv(latent, 8)
    second = transformer(residual(first, 8))
    down = nn.conv(second, 16, stride=2)
    middle = residual(transformer(residual(down, 16)), 16)
    up = nn.conv(nn.upsample(residual(nn.concat([middle, down], 1), 16)), 16)
    x = transformer(residual(nn.concat([up, second], 1), 8))
    x = residual(nn.concat([x, first], 1), 8)
    return nn.conv(nn.silu(nn.group_norm(x)), 4)


def whisper(nn: Any, mel: Any) -> Any:
    """Whisper's audio encoder: two 1-D convolutions, the second strided, positions, pre-norm blocks."""
    x = nn.gelu(nn.conv(mel, 24))
    x = nn.gelu(nn.conv(x, 24, stride=2))
    x = nn.transpose(x, (0, 2, 1))
    x = nn.add(x, nn.constant(nn.weight(1, x.shape[1], 24)))
    for _ in range(2):
        x = nn.add(x, _self_attention(nn, nn.layer_norm(x), heads=4))
        x = nn.add(x, nn.linear(nn.gelu(nn.linear(nn.layer_norm(x), 96)), 24))
    return nn.layer_norm(x)


def tagger(nn: Any, sequence: Any) -> Any:
    """Two LSTM layers and a classifier of every step; the sequence comes first."""
    return nn.softmax(nn.linear(nn.lstm(nn.lstm(sequence, 12), 8), 5))


#: name -> (network, shapes of its inputs; int32 inputs are ids below 50)
NETWORKS: dict[str, tuple[Any, dict[str, tuple[tuple[int, ...], type]]]] = {
    "resnet": (resnet, {"image": ((2, 3, 32, 32), np.float32)}),
    "vit": (vit, {"image": ((2, 3, 6, 6), np.float32)}),
    "bert": (bert, {"ids": ((2, 9), np.int32)}),
    "unet": (unet, {"latent": ((1, 4, 8, 8), np.float32), "time": ((1, 16), np.float32),
                    "context": ((1, 7, 20), np.float32)}),
    "whisper": (whisper, {"mel": ((1, 10, 40), np.float32)}),
    "lstm": (tagger, {"sequence": ((6, 2, 7), np.float32)}),
}  # fmt: skip
