"""What ops mean, by their definitions, in numpy and float64: the references of several test files."""

import itertools

import numpy as np

__all__ = ["GRIDS", "attention", "convolved", "interpolated", "normalised", "transposed", "windows"]


def convolved(x, weight, strides, before, after, dilations, groups):
    """Convolution over any number of axes, by its definition."""
    axes = x.ndim - 2
    x = np.pad(x, [(0, 0), (0, 0), *zip(before, after, strict=True)]).astype(np.float64)
    kernel = weight.shape[2:]
    lengths = [(x.shape[2 + i] - (kernel[i] - 1) * dilations[i] - 1) // strides[i] + 1 for i in range(axes)]
    out = np.zeros((x.shape[0], weight.shape[0], *lengths))
    per_in, per_out = weight.shape[1], weight.shape[0] // groups
    for place in itertools.product(*map(range, kernel)):
        key = tuple(
            slice(p * d, p * d + (n - 1) * s + 1, s)
            for p, d, n, s in zip(place, dilations, lengths, strides, strict=True)
        )
        for g in range(groups):
            part = x[:, g * per_in : (g + 1) * per_in][(slice(None), slice(None), *key)]
            w = weight[g * per_out : (g + 1) * per_out][(slice(None), slice(None), *place)]
            out[:, g * per_out : (g + 1) * per_out] += np.einsum("oc,nc...->no...", w, part)
    return out


def transposed(x, weight, strides, dilations, groups):
    """The full result of a transposed convolution: every input places its weighted kernel."""
    axes = x.ndim - 2
    kernel = weight.shape[2:]
    lengths = [(x.shape[2 + i] - 1) * strides[i] + (kernel[i] - 1) * dilations[i] + 1 for i in range(axes)]
    out = np.zeros((x.shape[0], weight.shape[1] * groups, *lengths))
    per_in, per_out = x.shape[1] // groups, weight.shape[1]
    for place in itertools.product(*map(range, kernel)):
        key = tuple(
            slice(p * d, p * d + (n - 1) * s + 1, s)
            for p, d, n, s in zip(place, dilations, x.shape[2:], strides, strict=True)
        )
        for g in range(groups):
            w = weight[g * per_in : (g + 1) * per_in][(slice(None), slice(None), *place)]
            part = np.einsum("co,nc...->no...", w, x[:, g * per_in : (g + 1) * per_in])
            out[(slice(None), slice(g * per_out, (g + 1) * per_out), *key)] += part
    return out


def attention(query, key, value, mask=0.0):
    scores = query.astype(np.float64) @ key.swapaxes(-1, -2) / np.sqrt(query.shape[-1]) + mask
    weights = np.exp(scores - scores.max(-1, keepdims=True))
    return weights / weights.sum(-1, keepdims=True) @ value


def normalised(x, axes, epsilon):
    x = x.astype(np.float64)
    return (x - x.mean(axes, keepdims=True)) / np.sqrt(x.var(axes, keepdims=True) + epsilon)


def windows(x, kernel, strides):
    """All windows of the last axes, as many as `kernel` has, as trailing axes."""
    view = np.lib.stride_tricks.sliding_window_view(x, kernel, tuple(range(-len(kernel), 0)))
    return view[(..., *(slice(None, None, s) for s in strides), *[slice(None)] * len(kernel))]


def interpolated(x, axis, target, place):
    length = x.shape[axis]
    p = np.clip([place(i, length, target) for i in range(target)], 0, length - 1)
    low = np.floor(p).astype(int)
    high = np.minimum(low + 1, length - 1)
    shape = [1] * x.ndim
    shape[axis] = target
    f = (p - low).reshape(shape)
    return x.take(low, axis) * (1 - f) + x.take(high, axis) * f


GRIDS = {
    "STRICT_ALIGN_CORNERS": lambda i, n, t: i * (n - 1) / (t - 1),
    "ALIGN_CORNERS": lambda i, n, t: i * (n - 1) / (t - 1),
    "DEFAULT": lambda i, n, t: i * n / t,
    "OFFSET_CORNERS": lambda i, n, t: (0.5 + i) * max(1, n - 1) / t,
    "UNALIGN_CORNERS": lambda i, n, t: (i + 0.5) * n / t - 0.5,
}
