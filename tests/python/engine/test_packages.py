"""What a package may hold beside ops: compressed weights, several functions, flexible and optional inputs."""

import numpy as np
import pytest

import tintype

from . import ctypes_api
from .programs import ct, mb, save, types

RNG = np.random.RandomState(5)


def load(program, path, opset):
    return ctypes_api.Model(save(program, path / "net.mlpackage", opset))


def run_constexpr(op, path, opset):
    """x + op() for x = 0 of op's own shape."""
    shape = []

    @mb.program(input_specs=[mb.TensorSpec(shape=(1,))], opset_version=opset)
    def probe(x):
        shape.append(op().shape)
        return x

    @mb.program(input_specs=[mb.TensorSpec(shape=shape[0])], opset_version=opset)
    def program(x):
        weight = op()
        return mb.add(x=x, y=mb.cast(x=weight, dtype="fp32"), name="y")

    model = load(program, path, opset)
    zeros = np.zeros(shape[0], np.float32)
    first = model.predict({"x": zeros})["y"]
    np.testing.assert_array_equal(first, model.predict({"x": zeros})["y"])
    return first


def sub_byte(values, name):
    from coremltools.converters.mil.mil import types

    return values.astype(types.nptype_from_builtin(types.string_to_builtin(name)))


@pytest.mark.parametrize("dtype", ["int4", "uint4", "int8", "uint8"])
def test_blockwise_shift_scale(dtype, tmp_path):
    signed = dtype.startswith("int")
    bits = int(dtype.removeprefix("u").removeprefix("int"))
    low, high = (-(2 ** (bits - 1)), 2 ** (bits - 1)) if signed else (0, 2**bits)
    data, offset = RNG.randint(low, high, (6, 32)), RNG.randint(low, high, (6, 4))
    scale = RNG.rand(6, 4).astype(np.float16)
    got = run_constexpr(
        lambda: mb.constexpr_blockwise_shift_scale(
            data=sub_byte(data, dtype), scale=scale, offset=sub_byte(offset, dtype)
        ),
        tmp_path,
        ct.target.iOS18,
    )
    expected = (data - offset.repeat(8, 1)) * scale.repeat(8, 1).astype(np.float32)
    np.testing.assert_allclose(got, expected, rtol=1e-3)


@pytest.mark.parametrize("bits", [1, 2, 3, 4, 6, 8])
def test_lut_to_dense(bits, tmp_path):
    indices, lut = RNG.randint(0, 2**bits, (6, 5)), RNG.randn(2, 1, 2**bits, 1).astype(np.float16)
    got = run_constexpr(
        lambda: mb.constexpr_lut_to_dense(indices=sub_byte(indices, f"uint{bits}"), lut=lut),
        tmp_path,
        ct.target.iOS18,
    )
    tables = lut[:, 0, :, 0].repeat(3, 0)
    np.testing.assert_array_equal(got, np.take_along_axis(tables, indices, 1).astype(np.float32))


@pytest.mark.parametrize("axis", [0, 1])
def test_lut_to_dense_of_vectors(axis, tmp_path):
    indices, lut = RNG.randint(0, 4, (2, 3)), RNG.randn(1, 1, 4, 2).astype(np.float16)
    got = run_constexpr(
        lambda: mb.constexpr_lut_to_dense(indices=sub_byte(indices, "uint2"), lut=lut, vector_axis=axis),
        tmp_path,
        ct.target.iOS18,
    )
    vectors = lut[0, 0][indices]  # 2, 3, vector
    expected = vectors.transpose(0, 2, 1).reshape(4, 3) if axis == 0 else vectors.reshape(2, 6)
    np.testing.assert_array_equal(got, expected.astype(np.float32))


@pytest.mark.parametrize("vector", [1, 2])
def test_lut_to_sparse(vector, tmp_path):
    mask = np.array([[1, 1, 0], [0, 1, 1]])
    indices, lut = np.array([0, 3, 1, 2]), RNG.randn(1, 1, 4, vector).astype(np.float16)

    def op():
        extra = {"vector_axis": 0} if vector > 1 else {}
        kept, values = mb.constexpr_lut_to_sparse(
            indices_mask=sub_byte(mask, "uint1"),
            indices_nonzero_data=sub_byte(indices, "uint2"),
            lut=lut,
            **extra,
        )
        return mb.constexpr_sparse_to_dense(nonzero_data=values, mask=kept)

    dense = np.zeros((2, 3, vector))
    dense[mask == 1] = lut[0, 0][indices]
    expected = dense.transpose(0, 2, 1).reshape(2 * vector, 3)
    np.testing.assert_array_equal(run_constexpr(op, tmp_path, ct.target.iOS18), expected.astype(np.float32))


def test_sparse_blockwise_shift_scale(tmp_path):
    mask, data = np.array([[1, 1, 0, 0], [0, 1, 1, 1]]), np.array([3, -4, 7, -8, 1])
    scale = np.array([[0.5, 2.0], [1.5, 0.25]], np.float16)

    def op():
        kept, values = mb.constexpr_sparse_blockwise_shift_scale(
            data_mask=sub_byte(mask, "uint1"), nonzero_data=sub_byte(data, "int4"), scale=scale
        )
        return mb.constexpr_sparse_to_dense(nonzero_data=values, mask=kept)

    expected = np.zeros((2, 4), np.float32)
    expected[mask == 1] = data
    got = run_constexpr(op, tmp_path, ct.target.iOS18)
    np.testing.assert_array_equal(got, expected * scale.repeat(2, 1))


def test_constexpr_of_ios16(tmp_path):
    quantized = RNG.randint(0, 255, (3, 4)).astype(np.uint8)
    scale, zero_point = RNG.rand(3).astype(np.float32), np.array([3, 5, 7], np.uint8)
    affine = run_constexpr(
        lambda: mb.constexpr_affine_dequantize(
            quantized_data=quantized, scale=scale, zero_point=zero_point, axis=np.int32(0)
        ),
        tmp_path / "a",
        ct.target.iOS16,
    )
    expected = (quantized.astype(np.float32) - zero_point[:, None]) * scale[:, None]
    np.testing.assert_allclose(affine, expected, rtol=1e-6)
    lut = run_constexpr(
        lambda: mb.constexpr_lut_to_dense(
            lut=np.array([1, 5, 9, 13], np.float32),
            indices=np.array([0b11011000, 0b10], np.uint8),
            shape=np.array([5], np.uint32),
        ),
        tmp_path / "b",
        ct.target.iOS16,
    )
    np.testing.assert_array_equal(lut, [1, 9, 5, 13, 9])
    sparse = run_constexpr(
        lambda: mb.constexpr_sparse_to_dense(
            nonzero_data=np.array([2, 4, 8], np.float32),
            mask=np.array([0b01101], np.uint8),
            shape=np.array([5], np.uint32),
        ),
        tmp_path / "c",
        ct.target.iOS16,
    )
    np.testing.assert_array_equal(sparse, [2, 0, 4, 8, 0])
    cast = run_constexpr(
        lambda: mb.constexpr_cast(source_val=np.array([1.5, 2], np.float16), output_dtype="fp32"),
        tmp_path / "d",
        ct.target.iOS16,
    )
    np.testing.assert_array_equal(cast, [1.5, 2])


def test_several_functions(tmp_path):
    specs = [mb.TensorSpec(shape=(3,))]
    plus = mb.program(input_specs=specs, opset_version=ct.target.iOS18)(
        lambda x: mb.add(x=x, y=1.0, name="y")
    )
    minus = mb.program(input_specs=specs, opset_version=ct.target.iOS18)(
        lambda x: mb.sub(x=x, y=1.0, name="y")
    )
    for name, program in (("plus", plus), ("minus", minus)):
        save(program, tmp_path / f"{name}.mlpackage", ct.target.iOS18)
    description = ct.utils.MultiFunctionDescriptor()
    for name in ("plus", "minus"):
        description.add_function(
            str(tmp_path / f"{name}.mlpackage"), src_function_name="main", target_function_name=name
        )
    description.default_function_name = "minus"
    ct.utils.save_multifunction(description, str(tmp_path / "both.mlpackage"))
    model = ctypes_api.Model(tmp_path / "both.mlpackage")
    assert sorted(model.functions) == ["minus", "plus"]
    assert model.functions[0] == "minus"
    x = np.ones(3, np.float32)
    np.testing.assert_array_equal(model.predict({"x": x})["y"], [0, 0, 0])
    np.testing.assert_array_equal(model.predict({"x": x}, function="plus")["y"], [2, 2, 2])
    with pytest.raises(ctypes_api.EngineError, match='no function "times", expected "minus", "plus"'):
        model.predict({"x": x}, function="times")


def test_flexible_shapes(tmp_path):
    specs = [mb.TensorSpec(shape=(1, ct.RangeDim(2, 5).symbol))]

    @mb.program(input_specs=specs, opset_version=ct.target.iOS17)
    def program(x):
        return mb.reshape(x=mb.relu(x=x), shape=[-1], name="y")

    model = ct.convert(
        program,
        convert_to="mlprogram",
        inputs=[ct.TensorType(name="x", shape=(1, ct.RangeDim(2, 5, default=3)))],
        minimum_deployment_target=ct.target.iOS17,
        compute_precision=ct.precision.FLOAT32,
        skip_model_load=True,
    )
    model.save(str(tmp_path / "net.mlpackage"))
    engine = ctypes_api.Model(tmp_path / "net.mlpackage")
    assert engine.features(ctypes_api.INPUT)["x"][1] == (1, 3)
    for length in (2, 5):
        assert engine.predict({"x": np.ones((1, length), np.float32)})["y"].shape == (length,)
    text = r'\[input "x"\] wrong shape, got \[1, 6\], expected \[1, 2 to 5\]'
    with pytest.raises(ctypes_api.EngineError, match=text):
        engine.predict({"x": np.ones((1, 6), np.float32)})


@pytest.mark.parametrize("dtype", [np.float32, np.int32])
def test_default_values_as_coremltools_writes_them(tmp_path, dtype):
    """`ct.TensorType(default_value=…)`: optional, one value for all elements; other inputs stay needed."""
    kind = types.fp32 if dtype == np.float32 else types.int32

    @mb.program(
        input_specs=[mb.TensorSpec(shape=(2, 3), dtype=kind) for _ in "xb"], opset_version=ct.target.iOS17
    )
    def program(x, bias):
        return mb.add(x=x, y=bias, name="y")

    defaults = np.full((2, 3), 4, dtype)
    model = ct.convert(
        program, convert_to="mlprogram", skip_model_load=True, minimum_deployment_target=ct.target.iOS17,
        compute_precision=ct.precision.FLOAT32,
        inputs=[ct.TensorType("x", (2, 3), dtype), ct.TensorType("bias", (2, 3), dtype, default_value=defaults)],
    )  # fmt: skip
    model.save(str(tmp_path / "net.mlpackage"))
    x = np.arange(6, dtype=dtype).reshape(2, 3)
    engine = ctypes_api.Model(tmp_path / "net.mlpackage")
    assert [optional for _, _, optional in engine.features(ctypes_api.INPUT).values()] == [False, True]
    np.testing.assert_array_equal(engine.predict({"x": x})["y"], x + 4)
    np.testing.assert_array_equal(engine.predict({"x": x, "bias": x})["y"], 2 * x)
    with pytest.raises(
        ctypes_api.EngineError, match=r'\[input "x"\] it is missing. The model needs "x", "bias".'
    ):
        engine.predict({"bias": x})
    with tintype.load_model(tmp_path / "net.mlpackage", backend="mlx") as loaded:
        assert [info.optional for info in loaded.inputs] == [False, True]
        np.testing.assert_array_equal(loaded.predict({"x": x})["y"], x + 4)
        with pytest.raises(tintype.InvalidInputError, match="it is missing"):
            loaded.predict({"bias": x})


@pytest.mark.parametrize(
    ("kind", "field", "value"),
    [(np.float32, "floatDefaultValue", 2.5), (np.int32, "intDefaultValue", 2**24 + 1)],
)
def test_optional_input_takes_its_default(tmp_path, kind, field, value):
    like = types.fp32 if kind == np.float32 else types.int32

    @mb.program(
        input_specs=[mb.TensorSpec(shape=(2,), dtype=like) for _ in "xb"], opset_version=ct.target.iOS17
    )
    def program(x, bias):
        return mb.add(x=x, y=bias, name="y")

    path = save(program, tmp_path / "net.mlpackage")
    file = path / "Data/com.apple.CoreML/model.mlmodel"
    spec = ct.proto.Model_pb2.Model.FromString(file.read_bytes())
    spec.description.input[1].type.isOptional = True
    setattr(spec.description.input[1].type.multiArrayType, field, value)
    file.write_bytes(spec.SerializeToString())
    engine = ctypes_api.Model(path)
    assert engine.features(ctypes_api.INPUT)["bias"][2]
    np.testing.assert_array_equal(engine.predict({"x": np.ones(2, kind)})["y"], [1 + value, 1 + value])


CUT_SHORT = (
    "[weight.bin] the file was cut short after it was opened, got 0 bytes, expected {}. "
    "Write the package again, beside the old one, rename it into place, and load it anew."
)


def test_weights_cut_short_while_loaded(tmp_path):
    weight = RNG.rand(64, 64).astype(np.float32)

    @mb.program(input_specs=[mb.TensorSpec(shape=(1, 64))], opset_version=ct.target.iOS17)
    def program(x):
        return mb.linear(x=x, weight=weight, name="y")

    engine = load(program, tmp_path, ct.target.iOS17)
    x = np.ones((1, 64), np.float32)
    engine.predict({"x": x})
    file = tmp_path / "net.mlpackage/Data/com.apple.CoreML/weights/weight.bin"
    whole = file.read_bytes()
    file.write_bytes(b"")
    with pytest.raises(ctypes_api.EngineError) as refused:
        engine.predict({"x": x})
    assert str(refused.value).endswith(CUT_SHORT.format(len(whole)))
    file.write_bytes(whole)  # the same file: it may be read again
    np.testing.assert_allclose(engine.predict({"x": x})["y"], x @ weight.T, rtol=1e-5)
    file.rename(tmp_path / "old.bin")
    file.write_bytes(b"")  # another file in its place: the model keeps the one that it opened
    np.testing.assert_allclose(engine.predict({"x": x})["y"], x @ weight.T, rtol=1e-5)
