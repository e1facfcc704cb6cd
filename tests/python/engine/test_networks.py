"""linear, conv, pool, normalization, reduction, image_resizing, transformers ops, and whole small networks."""

import numpy as np
import pytest

from . import ctypes_api
from .programs import Case, check, ct, mb
from .references import GRIDS, attention, convolved, interpolated, normalised, transposed, windows

RNG = np.random.RandomState(3)


def randn(*shape):
    return RNG.randn(*shape).astype(np.float32)


CONVOLUTIONS = {
    "1d": ((2, 3, 9), (4, 3, 3), {}, ([1], [0], [0], [1], 1)),
    "2d": ((2, 3, 8, 7), (4, 3, 3, 2), {}, ([1, 1], [0, 0], [0, 0], [1, 1], 1)),
    "1x1": ((1, 5, 4, 4), (6, 5, 1, 1), {}, ([1, 1], [0, 0], [0, 0], [1, 1], 1)),
    "3d": ((1, 2, 4, 5, 6), (3, 2, 2, 3, 2), {}, ([1] * 3, [0] * 3, [0] * 3, [1] * 3, 1)),
    "3d_grouped": ((1, 4, 4, 5, 6), (6, 2, 2, 3, 2), {"groups": 2}, ([1] * 3, [0] * 3, [0] * 3, [1] * 3, 2)),
    "custom": ((1, 3, 8, 7), (4, 3, 3, 3), {"pad_type": "custom", "pad": [1, 2, 0, 1], "strides": [2, 3]},
               ([2, 3], [1, 0], [2, 1], [1, 1], 1)),
    "same": ((1, 3, 8, 7), (4, 3, 3, 4), {"pad_type": "same", "strides": [2, 2]},
             ([2, 2], [0, 1], [1, 2], [1, 1], 1)),
    "same_lower": ((1, 3, 8, 7), (4, 3, 3, 4), {"pad_type": "same_lower", "strides": [2, 2]},
                   ([2, 2], [1, 2], [0, 1], [1, 1], 1)),
    "dilated": ((1, 3, 9, 9), (4, 3, 3, 3), {"dilations": [2, 3]}, ([1, 1], [0, 0], [0, 0], [2, 3], 1)),
    "grouped": ((1, 6, 5, 5), (4, 3, 3, 3), {"groups": 2}, ([1, 1], [0, 0], [0, 0], [1, 1], 2)),
    "depthwise": ((1, 6, 5, 5), (6, 1, 3, 3), {"groups": 6, "pad_type": "same"},
                  ([1, 1], [1, 1], [1, 1], [1, 1], 6)),
}  # fmt: skip


@pytest.mark.parametrize("dtype", [np.float32, np.float16])
@pytest.mark.parametrize("name", CONVOLUTIONS)
def test_conv(name, dtype):
    shape, weight_shape, extra, plan = CONVOLUTIONS[name]
    weight, bias = randn(*weight_shape).astype(dtype), randn(weight_shape[0]).astype(dtype)

    def reference(x):
        return convolved(x, weight, *plan) + bias.reshape(-1, *[1] * (x.ndim - 2)).astype(np.float64)

    op = lambda x: mb.conv(x=x, weight=weight, bias=bias, **extra)  # noqa: E731
    check(Case(name, op, {"x": randn(*shape).astype(dtype)}, reference))


def test_conv_with_a_weight_that_is_no_constant():
    check(Case("conv", lambda x, w: mb.conv(x=x, weight=w), {"x": randn(1, 3, 5, 5), "w": randn(2, 3, 3, 3)},
               lambda x, w: convolved(x, w, [1, 1], [0, 0], [0, 0], [1, 1], 1)))  # fmt: skip


CONV_TRANSPOSES = {
    "2d": ((1, 3, 4, 5), (3, 4, 3, 2), {"strides": [2, 3]}, ([2, 3], [1, 1], 1), np.s_[:]),
    "1d": ((2, 3, 5), (3, 4, 3), {"strides": [2]}, ([2], [1], 1), np.s_[:]),
    "custom": ((1, 3, 4, 4), (3, 4, 3, 3), {"strides": [2, 2], "pad_type": "custom", "pad": [1, 1, 0, 1]},
               ([2, 2], [1, 1], 1), np.s_[:, :, 1:-1, :-1]),
    "same": ((1, 3, 4, 4), (3, 4, 4, 4), {"strides": [2, 2], "pad_type": "same"}, ([2, 2], [1, 1], 1),
             np.s_[:, :, 1:-1, 1:-1]),
    "grouped": ((1, 4, 4, 4), (4, 3, 2, 2), {"strides": [2, 2], "groups": 2}, ([2, 2], [1, 1], 2), np.s_[:]),
    "dilated": ((1, 2, 4, 4), (2, 3, 3, 3), {"dilations": [2, 2]}, ([1, 1], [2, 2], 1), np.s_[:]),
    "3d": ((2, 3, 2, 3, 4), (3, 4, 2, 2, 2), {"strides": [2, 2, 2]}, ([2, 2, 2], [1, 1, 1], 1), np.s_[:]),
    "3d, strides apart": ((1, 4, 3, 2, 3), (4, 2, 3, 1, 4), {"strides": [1, 2, 3], "groups": 2},
                          ([1, 2, 3], [1, 1, 1], 2), np.s_[:]),
    "3d, dilated": ((1, 2, 3, 3, 2), (2, 3, 3, 2, 2), {"strides": [2, 3, 2], "dilations": [3, 1, 2]},
                    ([2, 3, 2], [3, 1, 2], 1), np.s_[:]),
    "3d, custom": ((1, 2, 3, 3, 3), (2, 3, 3, 3, 3), {"strides": [2, 2, 2], "pad_type": "custom",
                   "pad": [1, 0, 0, 1, 1, 1]}, ([2, 2, 2], [1, 1, 1], 1), np.s_[:, :, 1:, :-1, 1:-1]),
}  # fmt: skip


@pytest.mark.parametrize("name", CONV_TRANSPOSES)
def test_conv_transpose(name):
    shape, weight_shape, extra, plan, key = CONV_TRANSPOSES[name]
    weight = randn(*weight_shape)
    check(Case(name, lambda x: mb.conv_transpose(x=x, weight=weight, **extra), {"x": randn(*shape)},
               lambda x: transposed(x, weight, *plan)[key]))  # fmt: skip


W, B = randn(5, 8), randn(5)
LINEAR = [
    Case("linear", lambda x: mb.linear(x=x, weight=W, bias=B), {"x": randn(2, 3, 8)}, lambda x: x @ W.T + B),
    Case("linear_no_bias", lambda x: mb.linear(x=x, weight=W), {"x": randn(8)[None]}, lambda x: x @ W.T),
    Case("linear_half", lambda x: mb.linear(x=x, weight=W.astype(np.float16), bias=B.astype(np.float16)),
         {"x": randn(2, 3, 8).astype(np.float16)}, lambda x: x.astype(np.float32) @ W.T + B),
    Case("matmul", lambda x, y: mb.matmul(x=x, y=y), {"x": randn(2, 1, 3, 4), "y": randn(5, 4, 2)}, np.matmul),
    Case("matmul_t", lambda x, y: mb.matmul(x=x, y=y, transpose_x=True, transpose_y=True),
         {"x": randn(2, 4, 3), "y": randn(2, 5, 4)}, lambda x, y: x.swapaxes(1, 2) @ y.swapaxes(1, 2)),
    Case("matmul_half", lambda x, y: mb.matmul(x=x, y=y, transpose_y=True),
         {"x": randn(3, 256).astype(np.float16), "y": randn(4, 256).astype(np.float16)},
         lambda x, y: x.astype(np.float32) @ y.astype(np.float32).T),
    Case("matmul_int", lambda x, y: mb.matmul(x=x, y=y), {"x": np.arange(6, dtype=np.int32).reshape(2, 3),
         "y": np.arange(6, dtype=np.int32).reshape(3, 2)}, np.matmul),
    Case("einsum", lambda x, y: mb.einsum(values=[x, y], equation="nchw,nwhu->nchu"),
         {"x": randn(2, 3, 4, 5), "y": randn(2, 5, 4, 6)}, lambda x, y: np.einsum("nchw,nwhu->nchu", x, y)),
]  # fmt: skip


@pytest.mark.parametrize("case", LINEAR, ids=lambda case: case.name)
def test_linear(case):
    check(case)


@pytest.mark.parametrize("dtype", [np.float32, np.float16])
@pytest.mark.parametrize("rank", [3, 4])
@pytest.mark.parametrize("mask", [None, "bool", "float"])
def test_scaled_dot_product_attention(mask, rank, dtype):
    batch = (2, 3)[: rank - 2]
    query, key, value = (randn(*batch, *tail).astype(dtype) for tail in [(5, 8), (7, 8), (7, 4)])
    keep = RNG.rand(5, 7) > 0.3
    keep[:, 0] = True
    masks = {None: None, "bool": keep, "float": randn(5, 7).astype(dtype)}
    additive = {None: 0.0, "bool": np.where(keep, 0, -np.inf), "float": masks["float"]}[mask]

    def op(query, key, value):
        extra = {} if mask is None else {"attn_mask": masks[mask]}
        return mb.scaled_dot_product_attention(query=query, key=key, value=value, **extra)

    inputs = {"query": query, "key": key, "value": value}
    check(Case("sdpa", op, inputs, lambda q, k, v: attention(q, k, v, additive), opset=ct.target.iOS18))


IMAGE, GAMMA, BETA = randn(2, 4, 5, 6) * 3 + 1, randn(4), randn(4)
WIDE = randn(2, 3, 8) * 5 + 2
GAMMA_8, BETA_8 = randn(8), randn(8)
NORMS = [
    Case("layer_norm", lambda x: mb.layer_norm(x=x, axes=[-1], gamma=GAMMA_8, beta=BETA_8, epsilon=1e-5), {"x": WIDE},
         lambda x: normalised(x, -1, 1e-5) * GAMMA_8 + BETA_8),
    Case("layer_norm_half", lambda x: mb.layer_norm(x=x, axes=[-1], epsilon=np.float16(1e-3)),
         {"x": (WIDE * 1000).astype(np.float16)}, lambda x: normalised(x, -1, 1e-3)),
    Case("layer_norm_axes", lambda x: mb.layer_norm(x=x, axes=[1, 2], gamma=np.ones((3, 8), np.float32) * 2,
         beta=np.ones((3, 8), np.float32), epsilon=1e-5), {"x": WIDE}, lambda x: normalised(x, (1, 2), 1e-5) * 2 + 1),
    Case("batch_norm", lambda x: mb.batch_norm(x=x, mean=BETA, variance=GAMMA**2, gamma=GAMMA, beta=BETA, epsilon=1e-3),
         {"x": IMAGE}, lambda x: (x - BETA[:, None, None]) / np.sqrt(GAMMA[:, None, None] ** 2 + 1e-3)
         * GAMMA[:, None, None] + BETA[:, None, None]),
    Case("instance_norm", lambda x: mb.instance_norm(x=x, gamma=GAMMA, beta=BETA, epsilon=1e-5), {"x": IMAGE},
         lambda x: normalised(x, (2, 3), 1e-5) * GAMMA[:, None, None] + BETA[:, None, None]),
    Case("instance_norm_half", lambda x: mb.instance_norm(x=x, epsilon=np.float16(1e-3)),
         {"x": (randn(1, 2, 4096) * 100).astype(np.float16)}, lambda x: normalised(x, 2, 1e-3)),
    Case("l2_norm", lambda x: mb.l2_norm(x=x, epsilon=1e-6), {"x": IMAGE},
         lambda x: x / np.sqrt((x**2).sum((1, 2, 3), keepdims=True) + 1e-6)),
    Case("local_response_norm", lambda x: mb.local_response_norm(x=x, size=3, alpha=0.5, beta=0.75, k=2.0),
         {"x": IMAGE}, lambda x: x / (2 + 0.5 / 3 * sum(np.pad(x**2, [(0, 0), (1, 1), (0, 0), (0, 0)])[:, i : i + 4]
                                                       for i in range(3))) ** 0.75),
]  # fmt: skip


@pytest.mark.parametrize("case", NORMS, ids=lambda case: case.name)
def test_normalization(case):
    check(case)


REDUCTIONS = {
    "reduce_l1_norm": lambda x, a: np.abs(x).sum(a), "reduce_l2_norm": lambda x, a: np.sqrt((x**2).sum(a)),
    "reduce_log_sum": lambda x, a: np.log(x.sum(a)), "reduce_log_sum_exp": lambda x, a: np.log(np.exp(x).sum(a)),
    "reduce_max": lambda x, a: x.max(a), "reduce_mean": lambda x, a: x.mean(a), "reduce_min": lambda x, a: x.min(a),
    "reduce_prod": lambda x, a: x.prod(a), "reduce_sum": lambda x, a: x.sum(a),
    "reduce_sum_square": lambda x, a: (x**2).sum(a),
}  # fmt: skip


@pytest.mark.parametrize("dtype", [np.float32, np.float16])
@pytest.mark.parametrize("axes", [[-1], [0, 2], None], ids=str)
@pytest.mark.parametrize("name", REDUCTIONS)
def test_reduction(name, axes, dtype):
    x = (RNG.rand(2, 3, 4) + 0.5).astype(dtype)
    extra = {} if axes is None else {"axes": axes}
    where = None if axes is None else tuple(axes)
    check(Case(name, lambda x: getattr(mb, name)(x=x, **extra), {"x": x},
               lambda x: REDUCTIONS[name](x.astype(np.float64), where)))  # fmt: skip


@pytest.mark.parametrize("name", ["argmax", "argmin"])
@pytest.mark.parametrize("keep_dims", [False, True])
def test_argument_reduction(name, keep_dims):
    x = np.array([[3, 9, 9], [-1, 4, -1]], np.float32)
    check(Case(name, lambda x: getattr(mb, f"reduce_{name}")(x=x, axis=-1, keep_dims=keep_dims), {"x": x},
               lambda x: getattr(x, name)(-1, keepdims=keep_dims)))  # fmt: skip


def test_half_precision_sums_have_wide_accumulators():
    x = np.full((1, 4096), 0.1, np.float16)
    check(
        Case("sum", lambda x: mb.reduce_sum(x=x, axes=[1]), {"x": x}, lambda x: x.astype(np.float64).sum(1))
    )


POOL_X = randn(1, 2, 7, 8)
PADDED = np.pad(POOL_X, [(0, 0), (0, 0), (1, 1), (1, 1)], constant_values=-np.inf)
ZEROS = np.pad(POOL_X, [(0, 0), (0, 0), (1, 1), (1, 1)])
COUNTS = np.pad(np.ones_like(POOL_X), [(0, 0), (0, 0), (1, 1), (1, 1)])
CUSTOM = {"kernel_sizes": [3, 2], "strides": [2, 2], "pad_type": "custom", "pad": [1, 1, 1, 1]}
POOLS = [
    Case("max", lambda x: mb.max_pool(x=x, **CUSTOM), {"x": POOL_X},
         lambda x: windows(PADDED, (3, 2), (2, 2)).max((-1, -2))),
    Case("avg", lambda x: mb.avg_pool(x=x, **CUSTOM), {"x": POOL_X},
         lambda x: windows(ZEROS, (3, 2), (2, 2)).mean((-1, -2))),
    Case("avg_without_padding", lambda x: mb.avg_pool(x=x, exclude_padding_from_average=True, **CUSTOM), {"x": POOL_X},
         lambda x: windows(ZEROS, (3, 2), (2, 2)).sum((-1, -2)) / windows(COUNTS, (3, 2), (2, 2)).sum((-1, -2))),
    Case("l2", lambda x: mb.l2_pool(x=x, kernel_sizes=[2, 2], strides=[1, 1], pad_type="valid"), {"x": POOL_X},
         lambda x: np.sqrt((windows(x, (2, 2), (1, 1)) ** 2).sum((-1, -2)))),
    Case("max_ceil", lambda x: mb.max_pool(x=x, kernel_sizes=[2, 2], strides=[2, 2], pad_type="valid", ceil_mode=True),
         {"x": POOL_X}, lambda x: windows(np.pad(x, [(0, 0), (0, 0), (0, 1), (0, 0)], constant_values=-np.inf),
                                          (2, 2), (2, 2)).max((-1, -2))),
    Case("max_same", lambda x: mb.max_pool(x=x, kernel_sizes=[2, 2], strides=[2, 2], pad_type="same"), {"x": POOL_X},
         lambda x: windows(np.pad(x, [(0, 0), (0, 0), (0, 1), (0, 0)], constant_values=-np.inf), (2, 2), (2, 2))
         .max((-1, -2))),
    Case("max_1d", lambda x: mb.max_pool(x=x, kernel_sizes=[2], strides=[2], pad_type="valid"), {"x": POOL_X[0]},
         lambda x: x[:, :, :8].reshape(2, 7, 4, 2).max(-1)),
]  # fmt: skip


@pytest.mark.parametrize("case", POOLS, ids=lambda case: case.name)
def test_pool(case):
    check(case)


@pytest.mark.parametrize("mode", GRIDS)
def test_resize_bilinear(mode):
    op = lambda x: mb.resize_bilinear(x=x, target_size_height=9, target_size_width=5, sampling_mode=mode)  # noqa: E731
    check(Case(mode, op, {"x": POOL_X},
               lambda x: interpolated(interpolated(x, 2, 9, GRIDS[mode]), 3, 5, GRIDS[mode])))  # fmt: skip


@pytest.mark.parametrize("corners", [True, False])
def test_upsample_bilinear(corners):
    grid = GRIDS["STRICT_ALIGN_CORNERS" if corners else "UNALIGN_CORNERS"]
    op = lambda x: mb.upsample_bilinear(  # noqa: E731
        x=x, scale_factor_height=2, scale_factor_width=3, align_corners=corners
    )
    check(
        Case("bilinear", op, {"x": POOL_X}, lambda x: interpolated(interpolated(x, 2, 14, grid), 3, 24, grid))
    )


RESIZES = [
    Case("nearest", lambda x: mb.upsample_nearest_neighbor(x=x, scale_factor_height=2, scale_factor_width=3),
         {"x": POOL_X}, lambda x: x.repeat(2, 2).repeat(3, 3)),
    Case("nearest_size", lambda x: mb.resize_nearest_neighbor(x=x, target_size_height=10, target_size_width=4),
         {"x": POOL_X}, lambda x: x[:, :, (2 * np.arange(10) + 1) * 7 // 20][..., np.arange(4) * 2 + 1]),
    Case("crop", lambda x: mb.crop(x=x, crop_height=[1, 2], crop_width=[0, 3]), {"x": POOL_X},
         lambda x: x[:, :, 1:-2, :-3]),
]  # fmt: skip


@pytest.mark.parametrize("case", RESIZES, ids=lambda case: case.name)
def test_resize(case):
    check(case)


def test_cond():
    def op(x):
        return mb.cond(
            pred=mb.greater(x=mb.reduce_sum(x=x, axes=[0]), y=0.0),
            _true_fn=lambda: mb.add(x=x, y=1.0),
            _false_fn=lambda: mb.mul(x=x, y=2.0),
        )

    for x in (np.array([1, 2], np.float32), np.array([-1, -2], np.float32)):
        check(Case("cond", op, {"x": x}, lambda x: x + 1 if x.sum() > 0 else x * 2))


def test_while_loop():
    def op(x):
        _, total = mb.while_loop(
            _cond=lambda i, total: mb.less(x=i, y=5.0),
            _body=lambda i, total: (mb.add(x=i, y=1.0), mb.add(x=total, y=mb.mul(x=x, y=i))),
            loop_vars=(0.0, np.zeros(2, np.float32)),
        )
        return total

    check(Case("while", op, {"x": np.array([1, 2], np.float32)}, lambda x: x * 10))


def test_network_converted_by_coremltools(tmp_path):
    """A classifier that ct.convert lowers to float16 with all of its passes, against numpy in float32."""
    weights = [randn(8, 3, 3, 3) * 0.3, randn(16, 8, 3, 3) * 0.2, randn(10, 16) * 0.5]
    biases = [randn(8), randn(16), randn(10)]

    @mb.program(input_specs=[mb.TensorSpec(shape=(2, 3, 16, 16))], opset_version=ct.target.iOS16)
    def program(image):
        x = image
        for weight, bias in zip(weights[:2], biases[:2], strict=True):
            x = mb.relu(x=mb.conv(x=x, weight=weight, bias=bias, pad_type="same"))
            x = mb.max_pool(x=x, kernel_sizes=[2, 2], strides=[2, 2], pad_type="valid")
        x = mb.reduce_mean(x=x, axes=[2, 3])
        return mb.softmax(x=mb.linear(x=x, weight=weights[2], bias=biases[2]), name="probabilities")

    model = ct.convert(program, convert_to="mlprogram", minimum_deployment_target=ct.target.iOS16)
    model.save(str(tmp_path / "net.mlpackage"))
    engine = ctypes_api.Model(tmp_path / "net.mlpackage")
    image = randn(2, 3, 16, 16)
    x = image.astype(np.float64)
    for weight, bias in zip(weights[:2], biases[:2], strict=True):
        x = convolved(x, weight, [1, 1], [1, 1], [1, 1], [1, 1], 1) + bias[:, None, None]
        x = np.maximum(x, 0)
        n, c, h, w = x.shape
        x = x.reshape(n, c, h // 2, 2, w // 2, 2).max((3, 5))
    x = x.mean((2, 3)) @ weights[2].T + biases[2]
    expected = np.exp(x - x.max(-1, keepdims=True))
    expected /= expected.sum(-1, keepdims=True)
    np.testing.assert_allclose(engine.predict({"image": image})["probabilities"], expected, atol=0.01)
    assert engine.metadata["functions"]["main"]["ops"]["conv"] == 2
