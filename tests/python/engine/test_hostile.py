"""Programs and calls that no converter writes: they run or are refused, and nothing else happens."""

import ctypes as c
import threading

import numpy as np
import pytest

from . import ctypes_api
from .programs import Case, mb, run
from .refusals.programs import MIL, OPSET, Const, Op, Program, f, refusal, specification, tensor_type, write


def watched(path, inputs: dict[str, np.ndarray]) -> None:
    """A predict that collects statistics; EngineError if it is refused."""
    model, error, result = ctypes_api.Model(path), c.c_void_p(), c.c_void_p()
    tensors = (ctypes_api.Tensor * max(1, len(inputs)))(
        *(ctypes_api.tensor_of(n, a) for n, a in inputs.items())
    )
    options = ctypes_api.PredictOptions(c.sizeof(ctypes_api.PredictOptions), None, None, None, None, 1)
    status = ctypes_api.api().predict(
        model._handle, c.byref(options), tensors, len(inputs), c.byref(result), c.byref(error)
    )
    ctypes_api.check(status, error)
    assert "seconds" in ctypes_api.take_string(ctypes_api.api().result_statistics(result))
    ctypes_api.api().result_free(result)


def block_of(model):
    return model.mlProgram.functions["main"].block_specializations[OPSET]


def test_a_constant_with_an_argument_of_no_values(tmp_path):
    """Found by reading: statistics took the first of them."""

    def change(model):
        block_of(model).operations[0].inputs["q"].CopyFrom(MIL.Argument())

    ops = [Op("const", {"val": 2.0}, (np.float32, ()), ("two",)), Op("mul", {"x": f(2, 3), "y": "@two"})]
    program = Program(ops, change=change)
    path = write(tmp_path, program)
    watched(path, specification(program)[1])
    np.testing.assert_array_equal(ctypes_api.Model(path).predict({"x": f(2, 3)})["y"], 2 * f(2, 3))


def test_a_convolution_with_a_number_for_a_weight(tmp_path):
    """Found by reading: the forecast of the work took the last axis of none."""
    program = Program([Op("conv", {"x": f(1, 1, 2, 2), "weight": 1.0})])
    text = refusal(lambda: watched(write(tmp_path, program), {"x": f(1, 1, 2, 2)}))
    assert text == '[conv "y"] the kernel has a wrong count of values, got 0, expected 2.'


@pytest.mark.parametrize("code", [-128, -1, 3, 127])
def test_codes_beyond_a_table_take_its_ends(tmp_path, code):
    """Found by reading: negative ones read in front of it."""
    codes = Const(np.full((2, 2), code, np.int8))
    table = Const(np.array([5, 6, 7], np.float32).reshape(1, 1, 3, 1))
    op = Op("constexpr_lut_to_dense", {"indices": codes, "lut": table}, (np.float32, (2, 2)), ("w",))
    path = write(tmp_path, Program([op, Op("add", {"x": f(2, 2), "y": "@w"})]))
    expected = 1 + (5 if code < 0 else 7)
    np.testing.assert_array_equal(
        ctypes_api.Model(path).predict({"x": f(2, 2)})["y"], np.full((2, 2), expected)
    )


def test_a_table_of_two_axes_is_read_as_one(tmp_path):
    """Found by reading: codes counted its rows, of which there are fewer."""
    codes, shape = Const(np.array([0b11100100], np.uint8)), Const(np.array([4], np.uint32))
    table = Const(np.array([[1, 2], [3, 4]], np.float32))
    op = Op(
        "constexpr_lut_to_dense", {"indices": codes, "lut": table, "shape": shape}, (np.float32, (4,)), ("w",)
    )
    path = write(tmp_path, Program([op, Op("mul", {"x": f(4), "y": "@w"})]))
    np.testing.assert_array_equal(ctypes_api.Model(path).predict({"x": f(4)})["y"], [1, 2, 3, 4])


def test_strides_larger_than_the_axis():
    case = Case(
        "slice", lambda x: mb.slice_by_index(x=x, begin=[1], end=[3], stride=[2**31 - 1]), {"x": f(4)}
    )
    np.testing.assert_array_equal(run(case)[0], [1])


def test_a_sequence_of_many_steps():
    """Longer than the pieces that it is computed in."""
    steps = 700
    x = np.linspace(-1, 1, steps, dtype=np.float32).reshape(steps, 1, 1)
    one = np.full((1, 1), 0.5, np.float32)

    def op(x, h):
        return mb.rnn(x=x, initial_h=h, weight_ih=one, weight_hh=one, output_sequence=True)[0]

    expected, hidden = [], 0.0
    for value in x.ravel():
        hidden = np.tanh(0.5 * value + 0.5 * hidden)
        expected.append(hidden)
    got = run(Case("rnn", op, {"x": x, "h": np.zeros((1, 1), np.float32)}))[0]
    np.testing.assert_allclose(got.ravel(), expected, atol=1e-5)


def test_a_window_over_the_whole_axis():
    x = np.random.RandomState(0).standard_normal((1, 2, 20000)).astype(np.float32)
    for op, expected in ((mb.max_pool, x.max(-1)), (mb.avg_pool, x.mean(-1))):
        case = Case(
            "pool", lambda x, op=op: op(x=x, kernel_sizes=[20000], strides=[1], pad_type="valid"), {"x": x}
        )
        np.testing.assert_allclose(run(case)[0][..., 0], expected, atol=1e-5)


def test_many_threads_with_states_cancelling_and_statistics(tmp_path):
    """A state each on one model, and models of their own: sums stay right whatever others do."""
    program = Program(
        [Op("read_state", {"input": "@s"}, (np.float32, (4,)), ("old",)),
         Op("add", {"x": f(4), "y": "@old"}, (np.float32, (4,)), ("new",)),
         Op("write_state", {"input": "@s", "data": "@new"}, outputs=()),
         Op("identity", {"x": "@new"}, (np.float32, (4,)))],
        states={"s": np.zeros(4, np.float32)},
    )  # fmt: skip
    path = write(tmp_path, program)
    shared, problems = ctypes_api.Model(path), []

    def work(number: int) -> None:
        try:
            count_up(shared if number % 2 else ctypes_api.Model(path), number)
        except BaseException as error:
            problems.append(error)

    threads = [threading.Thread(target=work, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert problems == []


COMPUTED = {
    "gather": ({"x": np.arange(4)}, [2, 3]),
    "gather_along_axis": ({"x": np.arange(4)}, [2, 3]),
    "gather_nd": ({"x": np.arange(4)}, [2, 3]),
    "scatter": ({"data": np.zeros(4), "updates": np.array([1, 2]), "mode": "update"}, [0, 0, 1, 2]),
}


@pytest.mark.parametrize("op", COMPUTED)
@pytest.mark.parametrize("validated", [False, True])
def test_computed_indices_beyond_the_axis(op, validated, tmp_path):
    """They take its ends, or are refused where the op asks for that: also in a predict that is watched, which
    computes them before the op runs."""
    index = np.array([[1], [3]] if op == "gather_nd" else [1, 3], np.int32)
    given, expected = COMPUTED[op]
    rest = {n: v if isinstance(v, str) else Const(v.astype(np.float32)) for n, v in given.items()}
    twice = Op("mul", {"x": index, "y": 2}, (np.int32, index.shape), ("twice",))
    last = Op(op, {"indices": "@twice", "validate_indices": validated, **rest})
    path = write(tmp_path, Program([twice, last]))
    model = ctypes_api.Model(path)
    if validated:
        texts = {refusal(lambda: model.predict({"x": index})), refusal(lambda: watched(path, {"x": index}))}
        assert texts == {f'[{op} "y"] an index lies outside its axis, got 6, expected -4 to 3.'}
    else:
        watched(path, {"x": index})
        np.testing.assert_array_equal(model.predict({"x": index})["y"], expected)


def test_rows_of_a_batch_beyond_counting():
    """Each was a part of the graph."""
    x = np.arange(2 * 70_000 * 3, dtype=np.float32).reshape(70_000, 2, 3)
    indices = np.tile(np.array([[2, 0, 1, -1]], np.int32), (70_000, 1))
    case = Case(
        "gather", lambda x, i: mb.gather(x=x, indices=i, axis=2, batch_dims=1), {"x": x, "i": indices}
    )
    np.testing.assert_array_equal(run(case)[0], x[:, :, [2, 0, 1, 2]])


def cancelled_at(call: int, path, inputs: dict[str, np.ndarray]) -> int:
    """The status of a predict whose progress function ends it when it is called for the `call`-th time."""
    api, calls = ctypes_api.api(), []
    stop = PROGRESS(lambda *_: calls.append(0) or len(calls) >= call)
    model, error, result = ctypes_api.Model(path), c.c_void_p(), c.c_void_p()
    tensors = (ctypes_api.Tensor * len(inputs))(*(ctypes_api.tensor_of(n, a) for n, a in inputs.items()))
    progress = c.cast(stop, c.c_void_p)
    options = ctypes_api.PredictOptions(c.sizeof(ctypes_api.PredictOptions), None, None, progress)
    status = api.predict(
        model._handle, c.byref(options), tensors, len(inputs), c.byref(result), c.byref(error)
    )
    ctypes_api.take_string(error.value)
    api.result_free(result)
    return status


def test_ops_of_many_steps_are_watched(tmp_path):
    """Their results are small, and their work is not: they took the caller's thread, which then asked nobody."""
    steps = np.ones((30_000, 1, 4), np.float32)
    state, weight = Const(np.zeros((1, 4), np.float32)), Const(np.ones((4, 4), np.float32))
    rnn = Op(
        "rnn",
        {"x": steps, "initial_h": state, "weight_ih": weight, "weight_hh": weight},
        (np.float32, (1, 1, 4)),
    )
    boxes = np.arange(4 * 60_000, dtype=np.float32).reshape(1, 60_000, 4) * [1, 1, 0, 0] + [0, 0, 1, 1]
    boxes = boxes.astype(np.float32)
    scores = np.ones((1, 60_000, 1), np.float32)
    suppression = Op(
        "non_maximum_suppression",
        {"boxes": boxes, "scores": scores, "iou_threshold": 0.5, "score_threshold": 0.0, "max_boxes": 60_000},
        outputs=("y", "z", "index", "count"),
    )

    def declare(model):
        shapes = [(1, 60_000, 4), (1, 60_000, 1), (1, 60_000), (1,)]
        for output, shape in zip(block_of(model).operations[0].outputs, shapes, strict=True):
            output.type.CopyFrom(tensor_type(np.float32, shape))

    for name, program in (("rnn", Program([rnn])), ("suppression", Program([suppression], change=declare))):
        (tmp_path / name).mkdir()
        path = write(tmp_path / name, program)
        assert cancelled_at(2, path, specification(program)[1]) == ctypes_api.CANCELLED


def test_a_cancelled_product_leaves_nothing_half_done(tmp_path):
    """The kernels leave out what they have not begun; the next call must not."""
    rng = np.random.RandomState(0)
    x, y = (rng.standard_normal((1500, 1500)).astype(np.float32) for _ in range(2))
    ops = [Op("matmul", {"x": x if k == 0 else "@m" + str(k), "y": Const(y / 40)}, (np.float32, (1500, 1500)),
              ("m" + str(k + 1) if k < 9 else "y",)) for k in range(10)]  # fmt: skip
    path = write(tmp_path, Program(ops))
    model = ctypes_api.Model(path)
    expected = model.predict({"x": x})["y"]
    assert cancelled_at(2, path, {"x": x}) == ctypes_api.CANCELLED
    np.testing.assert_array_equal(model.predict({"x": x})["y"], expected)


@pytest.mark.parametrize(
    ("op", "numbers"),
    [
        ("random_normal", {"mean": 0.0, "stddev": 1.0}),
        ("random_uniform", {"low": -1.0, "high": 1.0}),
        ("random_bernoulli", {"prob": 0.5}),
    ],
)
def test_a_cancelled_draw_leaves_nothing_half_done(op, numbers, tmp_path):
    shape, last = (1 << 21,), 160
    drawn = (np.float32, shape)
    ops = []
    for k in range(last):
        ops.append(Op(op, {"shape": list(shape), "seed": k, **numbers}, drawn, (f"drawn{k}",)))
        before = np.ones(1, np.float32) if k == 0 else f"@sum{k - 1}"
        ops.append(Op("add", {"x": before, "y": f"@drawn{k}"}, drawn, ("y" if k == last - 1 else f"sum{k}",)))
    path, inputs = write(tmp_path, Program(ops)), {"x": np.ones(1, np.float32)}
    model = ctypes_api.Model(path)
    expected = model.predict(inputs)["y"]
    assert cancelled_at(2, path, inputs) == ctypes_api.CANCELLED
    np.testing.assert_array_equal(model.predict(inputs)["y"], expected)


PROGRESS = c.CFUNCTYPE(c.c_int32, c.c_void_p, c.c_double)


def count_up(model: ctypes_api.Model, number: int) -> None:
    """Adds one in each of 60 predicts; every third is cancelled and leaves the state as it was."""
    api, values = ctypes_api.api(), np.ones(4, np.float32)
    state, error, tensor = c.c_void_p(), c.c_void_p(), ctypes_api.tensor_of("x", values)
    ctypes_api.check(api.state_new(model._handle, None, c.byref(state), c.byref(error)), error)
    stop, go_on = PROGRESS(lambda *_: 1), PROGRESS(lambda *_: 0)
    total = 0
    for round_ in range(60):
        cancelled = (round_ + number) % 3 == 0
        progress = c.cast(stop if cancelled else go_on, c.c_void_p)
        options = ctypes_api.PredictOptions(
            c.sizeof(ctypes_api.PredictOptions), None, state, progress, None, round_ % 2
        )
        result = c.c_void_p()
        status = api.predict(
            model._handle, c.byref(options), c.byref(tensor), 1, c.byref(result), c.byref(error)
        )
        ctypes_api.take_string(error.value)
        assert status == (ctypes_api.CANCELLED if cancelled else ctypes_api.OK)
        api.result_free(result)
        total += not cancelled
        view = ctypes_api.Tensor()
        ctypes_api.check(api.state_tensor(state, b"s", c.byref(view), c.byref(error)), error)
        np.testing.assert_array_equal(ctypes_api.array_of(view), np.full(4, total))
    api.state_free(state)


def test_a_high_rank_behind_a_type_that_is_no_tensor(tmp_path):
    """The C ABI's tensors have room for eight axes."""

    def listed(model):
        block_of(model).operations[0].outputs[0].type.listType.type.CopyFrom(tensor_type(np.float32, (2,)))

    op = Op("expand_dims", {"x": f(3), "axes": list(range(1, 9))})
    path = write(tmp_path, Program([op], change=listed))
    text = refusal(lambda: ctypes_api.Model(path).predict({"x": f(3)}))
    assert text.startswith('[expand_dims "y"] the result\'s rank is too high, got 9, expected at most 8.')


@pytest.mark.parametrize("stored", ["constant", "input"])
def test_bools_of_other_bytes_than_0_and_1(stored, tmp_path):
    """Found by fuzzing."""
    flags = np.array([0, 1, 43, 255], np.uint8).view(np.bool_)
    given = flags if stored == "input" else Const(flags)
    op = Op("select", {"cond": given, "a": f(4), "b": Const(np.zeros(4, np.float32))})
    model, inputs = specification(Program([op]))
    path = write(tmp_path, model.SerializeToString())
    np.testing.assert_array_equal(ctypes_api.Model(path).predict(inputs)["y"], [0, 1, 1, 1])
