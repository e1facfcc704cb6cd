"""What the pybind11 module makes of the C ABI, on a runtime that only echoes (fake_runtime.c)."""

import ctypes
import gc
import pathlib
import threading
import time
from collections.abc import Callable

import numpy as np
import pytest

from tintype import _bridge, errors

DTYPES = [
    "bool",
    "int8",
    "uint8",
    "int16",
    "uint16",
    "int32",
    "uint32",
    "int64",
    "float16",
    "float32",
    "float64",
]


@pytest.fixture
def runtime(fake_library: pathlib.Path) -> _bridge.Runtime:
    return _bridge.Runtime.open(fake_library, "fake_coreml_api")


def counter(library: ctypes.CDLL, name: str) -> int:
    return ctypes.c_int.in_dll(library, name).value


def echo(runtime: _bridge.Runtime, array: np.ndarray) -> np.ndarray:
    return _bridge.Model.load(runtime, "plain").predict({"x": array})["x_out"]


@pytest.mark.parametrize("dtype", DTYPES)
def test_every_element_type_passes(runtime: _bridge.Runtime, dtype: str) -> None:
    array = np.arange(24).reshape(2, 3, 4).astype(dtype)
    result = echo(runtime, array)
    assert result.dtype == np.dtype(dtype)
    np.testing.assert_array_equal(result, array)


@pytest.mark.parametrize(
    "view",
    [
        lambda a: a,
        lambda a: a.T,
        lambda a: a[::-1, ::2],
        lambda a: a[1:, :, ::-1],
        lambda a: a[:, 1],
        lambda a: a[..., None],
        lambda a: np.broadcast_to(a[:1], a.shape),
        lambda a: np.asfortranarray(a),
        lambda a: a[:0],
        lambda a: a[0, 0, 0, ...],
    ],
)
def test_strides_are_kept_and_nothing_is_copied(
    runtime: _bridge.Runtime, counters: ctypes.CDLL, view
) -> None:
    array = view(np.arange(60, dtype=np.float32).reshape(3, 4, 5))
    np.testing.assert_array_equal(echo(runtime, array), array)
    address = ctypes.c_void_p.in_dll(counters, "fake_last_data").value
    assert address == array.__array_interface__["data"][0]


@pytest.mark.parametrize(
    "array",
    [
        np.arange(6, dtype=">f4"),
        np.arange(6, dtype=">i2")[::2],
        np.frombuffer(b"\0" + np.arange(6, dtype=np.float32).tobytes(), np.uint8)[1:].view(np.float32),
        np.array([(1, 2.0), (3, 4.0)], dtype=[("a", "i2"), ("b", "f4")])["b"],
    ],
    ids=["big-endian", "big-endian view", "unaligned", "record field"],
)
def test_arrays_that_cannot_be_viewed_are_copied(runtime: _bridge.Runtime, array: np.ndarray) -> None:
    result = echo(runtime, array)
    assert result.dtype.isnative
    np.testing.assert_array_equal(result, array)


def test_read_only_inputs_pass(runtime: _bridge.Runtime) -> None:
    array = np.arange(4, dtype=np.float32)
    array.flags.writeable = False
    np.testing.assert_array_equal(echo(runtime, array), array)


def test_outputs_own_the_result_until_the_last_array_goes(
    runtime: _bridge.Runtime, counters: ctypes.CDLL
) -> None:
    before = counter(counters, "fake_live_results")
    model = _bridge.Model.load(runtime, "plain")
    outputs = model.predict({"x": np.ones(3, np.float32), "y": np.zeros(2, np.int32)})
    assert counter(counters, "fake_live_results") == before + 1
    x = outputs.pop("x_out")[1:]  # a view keeps it, too
    outputs.clear()
    model.close()
    del model
    gc.collect()
    assert counter(counters, "fake_live_results") == before + 1
    np.testing.assert_array_equal(x, [1, 1])
    del x
    gc.collect()
    assert counter(counters, "fake_live_results") == before


def test_close_frees_the_model_once(runtime: _bridge.Runtime, counters: ctypes.CDLL) -> None:
    before = counter(counters, "fake_live_models")
    model = _bridge.Model.load(runtime, "plain")
    assert counter(counters, "fake_live_models") == before + 1
    model.close()
    model.close()
    assert model.closed
    assert counter(counters, "fake_live_models") == before
    with pytest.raises(errors.InvalidInputError, match="the model is closed: load it again"):
        model.predict({})


@pytest.mark.parametrize(
    ("status", "error"),
    [
        (1, errors.InvalidInputError),
        (2, errors.ModelFileError),
        (3, errors.ModelFormatError),
        (4, errors.UnsupportedModelError),
        (5, errors.EngineError),
        (6, errors.OutOfMemoryError),
        (7, errors.BackendUnavailable),
        (8, errors.Cancelled),
        (77, errors.EngineError),
    ],
)
@pytest.mark.parametrize("when", ["load", "predict"])
def test_statuses_become_exceptions_with_the_same_text(
    runtime: _bridge.Runtime, status: int, error: type[Exception], when: str
) -> None:
    with pytest.raises(error) as caught:
        _bridge.Model.load(runtime, f"{when}-{status}").predict({})
    assert type(caught.value) is error
    assert str(caught.value) == f"[fake] failed with status {status}: as asked, 100% é"
    assert getattr(caught.value, "status", 7) == status


def test_a_failure_without_text_still_says_something(runtime: _bridge.Runtime) -> None:
    with pytest.raises(errors.EngineError, match="gave no reason \\(status 5\\)"):
        _bridge.Model.load(runtime, "no-error-text")


@pytest.mark.parametrize(
    ("inputs", "message"),
    [
        ({"x": None}, 'input "x" is a NoneType, expected a numpy array'),
        ({"x": [1.0]}, 'input "x" is a list, expected a numpy array'),
        ({1: np.ones(1)}, "input names are strings, got 1"),
        ({"x\0y": np.ones(1)}, "an input's name holds a NUL character"),
        ({"x": np.array([None])}, 'input "x" has dtype object, expected one of bool, int8, uint8, int16, '
         "uint16, int32, uint32, int64, float16, float32, float64: convert it with .astype(...)"),
        ({"x": np.ones(1, complex)}, 'input "x" has dtype complex128, expected'),
        ({"x": np.array(["a"])}, 'input "x" has dtype <U1, expected'),
        ({"x": np.ones(1, np.uint64)}, 'input "x" has dtype uint64, expected'),
        ({"x": np.ones(1, np.longdouble)}, 'input "x" has dtype float128, expected'),
        ({"x": np.array(["2020"], "M8[D]")}, 'input "x" has dtype datetime64[D], expected'),
        ({"x": np.ones((1,) * 9)}, 'input "x" has rank 9, expected at most 8: reshape it'),
    ],
)  # fmt: skip
def test_unusable_inputs_are_refused(runtime: _bridge.Runtime, inputs: dict, message: str) -> None:
    model = _bridge.Model.load(runtime, "plain")
    with pytest.raises(errors.InvalidInputError) as caught:
        model.predict(inputs)
    assert str(caught.value).startswith(message)


@pytest.mark.parametrize(
    ("path", "message"),
    [
        ("bad-rank", "the runtime returned output 0 with rank 9"),
        ("bad-dtype", "the runtime returned output 0 with the unknown dtype 99"),
        ("no-data", "the runtime returned output 0 with no data"),
    ],
)
def test_outputs_that_break_the_contract_are_refused(
    runtime: _bridge.Runtime, counters: ctypes.CDLL, path: str, message: str
) -> None:
    before = counter(counters, "fake_live_results")
    model = _bridge.Model.load(runtime, path)
    with pytest.raises(errors.EngineError) as caught:
        model.predict({"x": np.ones(2, np.float32)})
    assert str(caught.value) == message
    del caught
    gc.collect()
    assert counter(counters, "fake_live_results") == before


def test_unknown_functions_are_named(runtime: _bridge.Runtime) -> None:
    model = _bridge.Model.load(runtime, "plain")
    assert model.functions() == ["main", "second"]
    model.predict({}, "second")
    with pytest.raises(errors.InvalidInputError, match='no function "third", expected one of main, second'):
        model.predict({}, "third")
    with pytest.raises(errors.InvalidInputError, match='no function "third"'):
        model.inputs("third")


def test_features_describe_flexible_shapes_and_optional_inputs(runtime: _bridge.Runtime) -> None:
    x, anything = _bridge.Model.load(runtime, "plain").inputs()
    assert (x.name, x.dtype, x.shape, x.optional) == ("x", "float16", (-1, 3), False)
    assert (anything.name, anything.dtype, anything.shape, anything.optional) == ("any", "int32", None, True)


@pytest.mark.parametrize(
    ("symbol", "message"),
    [
        ("fake_null_api", "does not speak ABI version 2"),
        ("fake_strange_api", "does not speak ABI version 2"),
        ("no_such_symbol", "no_such_symbol.*reinstall tintype"),
    ],
)
def test_foreign_libraries_are_unavailable(fake_library: pathlib.Path, symbol: str, message: str) -> None:
    with pytest.raises(errors.BackendUnavailable, match=message):
        _bridge.Runtime.open(fake_library, symbol)


def test_missing_libraries_are_unavailable(tmp_path: pathlib.Path) -> None:
    with pytest.raises(errors.BackendUnavailable, match="cannot be loaded"):
        _bridge.Runtime.open(tmp_path / "libnothing.so", "fake_mlx_api")


def ticks_during(work: Callable[[], None]) -> int:
    """How often this thread came to run while another one did `work`."""
    ticks, done = 0, threading.Event()

    def work_and_tell() -> None:
        try:
            work()
        finally:
            done.set()

    thread = threading.Thread(target=work_and_tell)
    thread.start()
    while not done.is_set():
        ticks += 1
        time.sleep(0.001)
    thread.join()
    return ticks


def test_the_interpreter_runs_on_while_a_model_does(runtime: _bridge.Runtime) -> None:
    def work() -> None:
        model = _bridge.Model.load(runtime, "slow")  # 300 ms
        model.predict({"x": np.ones(1, np.float32)})  # 300 ms

    assert ticks_during(work) > 50


def test_the_interpreter_runs_on_while_a_state_is_made_and_a_model_freed(runtime: _bridge.Runtime) -> None:
    model = _bridge.Model.load(runtime, "slow")

    def make_state() -> None:
        with pytest.raises(errors.TintypeError):  # after 300 ms: the fake has no states
            model.make_state()

    assert ticks_during(make_state) > 20
    assert ticks_during(model.close) > 20


def test_several_threads_share_a_model(runtime: _bridge.Runtime) -> None:
    model = _bridge.Model.load(runtime, "slow")
    results: dict[int, np.ndarray] = {}

    def work(number: int) -> None:
        results[number] = model.predict({"x": np.full(4, number, np.int32)})["x_out"]

    threads = [threading.Thread(target=work, args=(n,)) for n in range(6)]
    started = time.perf_counter()
    for thread in threads:
        thread.start()
    time.sleep(0.05)
    model.close()  # calls in progress finish
    for thread in threads:
        thread.join()
    assert time.perf_counter() - started < 6 * 0.3
    assert {n: value.tolist() for n, value in results.items()} == {n: [n] * 4 for n in range(6)}


def test_units_reach_the_runtime(runtime: _bridge.Runtime, counters: ctypes.CDLL) -> None:
    _bridge.Model.load(runtime, "plain", 3)
    assert counter(counters, "fake_last_units") == 3
