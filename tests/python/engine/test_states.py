"""States, progress, cancelling and statistics, through the Python API on the engine."""

import threading
import time

import numpy as np
import pytest

import tintype
from tintype import errors

from .programs import build, ct, mb, save, types


def counter(path, updates=1):
    """total += x; returns the total as it was after it."""

    @mb.program(
        input_specs=[mb.TensorSpec((2,), dtype=ct.converters.mil.mil.types.fp16),
                     mb.StateTensorSpec((2,), dtype=ct.converters.mil.mil.types.fp16)],
        opset_version=ct.target.iOS18,
    )  # fmt: skip
    def program(x, total):
        for _ in range(updates):
            now = mb.add(x=x, y=mb.read_state(input=total))
            now = mb.coreml_update_state(state=total, value=now)
        return mb.identity(x=now, name="y")

    return tintype.load_model(save(program, path / "counter.mlpackage", ct.target.iOS18), "mlx")


def halves(*values):
    return {"x": np.array(values, np.float16)}


def test_a_state_lives_from_predict_to_predict(tmp_path):
    model = counter(tmp_path)
    (info,) = model.describe().states
    assert (info.name, info.dtype, info.shape) == ("total", "float16", (2,))
    first, second = model.make_state(), model.make_state()
    np.testing.assert_array_equal(first["total"], [0, 0])
    for expected in ([1, 2], [2, 4], [3, 6]):
        y = model.predict(halves(1, 2), state=first)["y"]
        np.testing.assert_array_equal(y, expected)
        y[:] = 99  # an output's memory is not the state's
        np.testing.assert_array_equal(first["total"], expected)
    np.testing.assert_array_equal(second["total"], [0, 0])
    first["total"] = np.array([10, 20], np.float16)
    np.testing.assert_array_equal(model.predict(halves(1, 1), state=first)["y"], [11, 21])


def test_several_updates_in_one_predict(tmp_path):
    model = counter(tmp_path, updates=3)
    assert model.metadata["functions"]["main"]["ops"]["write_state"] == 3  # coreml_update_state, in a package
    state = model.make_state()
    model.predict(halves(1, 2), state=state)
    np.testing.assert_array_equal(state["total"], [3, 6])


def test_what_is_wrong_with_a_state_is_said(tmp_path):
    (tmp_path / "other").mkdir()
    model, other = counter(tmp_path), counter(tmp_path / "other")
    state = model.make_state()
    with pytest.raises(errors.InvalidInputError, match='keeps "total" in a state, and the call has none'):
        model.predict(halves(1, 2))
    with pytest.raises(errors.InvalidInputError, match="of another model"):
        other.predict(halves(1, 2), state=state)
    with pytest.raises(errors.InvalidInputError, match=r'no state "sum".*"total"'):
        state["sum"]
    with pytest.raises(errors.InvalidInputError, match=r'state "total" is float16 .2,., got float32 .3,.'):
        state["total"] = np.zeros(3, np.float32)
    with pytest.raises(errors.InvalidInputError, match="no function"):
        model.make_state("nope")
    with pytest.raises(errors.InvalidInputError, match="wrong shape"):
        model.predict({"x": np.zeros(3, np.float16)}, state=state)
    model.close()
    np.testing.assert_array_equal(state["total"], [0, 0])  # it outlives its model


@pytest.fixture(scope="module")
def slow(tmp_path_factory):
    """Products, long enough to be interrupted."""
    weight = np.eye(640, dtype=np.float32)

    @mb.program(input_specs=[mb.TensorSpec((640, 640))], opset_version=ct.target.iOS16)
    def program(x):
        for _ in range(60):
            x = mb.relu(x=mb.matmul(x=x, y=weight))
        return mb.identity(x=x, name="y")

    return tintype.load_model(
        save(program, tmp_path_factory.mktemp("slow") / "net.mlpackage", ct.target.iOS16), "mlx"
    )


ONES = {"x": np.ones((640, 640), np.float32)}


def test_progress_rises_to_one_and_changes_nothing(slow):
    seen = []
    y = slow.predict(ONES, progress=seen.append)["y"]
    assert (seen[0], seen[-1]) == (0, 1)
    assert seen == sorted(seen)
    np.testing.assert_array_equal(y, slow.predict(ONES)["y"])


def test_a_predict_can_be_cancelled(slow):
    calls = []

    def stop(fraction):
        calls.append(fraction)
        return len(calls) < 2

    with pytest.raises(tintype.Cancelled, match="the predict was cancelled"):
        slow.predict(ONES, progress=stop)
    assert len(calls) == 2
    assert calls[1] < 1
    with pytest.raises(tintype.Cancelled):
        slow.predict(ONES, progress=lambda fraction: False)
    assert slow.predict(ONES)["y"].shape == (640, 640)


def test_an_exception_of_the_progress_function_comes_out(slow):
    def fail(fraction):
        raise KeyError("mine")

    with pytest.raises(KeyError, match="mine"):
        slow.predict(ONES, progress=fail)


def test_one_that_waits_for_its_turn_can_be_cancelled(slow):
    running = threading.Event()
    thread = threading.Thread(target=lambda: slow.predict(ONES, progress=lambda f: running.set()))
    thread.start()
    running.wait()
    calls = []
    with pytest.raises(tintype.Cancelled):
        slow.predict(ONES, progress=lambda f: calls.append(f) or len(calls) < 2)
    thread.join()


def test_a_cancelled_predict_leaves_its_state(tmp_path):
    model = counter(tmp_path)
    state = model.make_state()
    model.predict(halves(1, 2), state=state)
    with pytest.raises(tintype.Cancelled):
        model.predict(halves(1, 2), state=state, progress=lambda f: False)
    np.testing.assert_array_equal(state["total"], [1, 2])


def test_ctrl_c_ends_a_predict(slow):
    import signal

    def predict_until(end):
        while time.monotonic() < end:
            slow.predict(ONES)

    main = threading.main_thread().ident
    timer = threading.Timer(0.02, lambda: signal.pthread_kill(main, signal.SIGINT))
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        timer.start()
        with pytest.raises(KeyboardInterrupt):
            predict_until(time.monotonic() + 30)
    finally:
        timer.join()
        signal.signal(signal.SIGINT, before)


def test_a_state_serves_one_predict_at_a_time(tmp_path):
    model = counter(tmp_path)
    state = model.make_state()
    refused = []

    def use_it_again(fraction):
        with pytest.raises(errors.InvalidInputError, match="in use by another call") as caught:
            model.predict(halves(1, 1), state=state)
        refused.append(caught.value)
        for use in (lambda: state["total"], lambda: state.__setitem__("total", halves(1, 1))):
            with pytest.raises(errors.InvalidInputError, match="in use by another call"):
                use()

    model.predict(halves(1, 1), state=state, progress=use_it_again)
    assert refused
    np.testing.assert_array_equal(state["total"], [1, 1])


def test_functions_of_a_package_have_states_of_their_own(tmp_path):
    """What one function keeps is not the other's, even where both call it "total"."""

    def part(name, factor, length):
        specs = [mb.TensorSpec((length,), dtype=types.fp16), mb.StateTensorSpec((length,), dtype=types.fp16)]

        @mb.program(input_specs=specs, opset_version=ct.target.iOS18)
        def program(x, total):
            y = mb.add(x=mb.mul(x=mb.read_state(input=total), y=np.float16(factor)), y=x, name="y")
            mb.coreml_update_state(state=total, value=y)
            return y

        save(program, tmp_path / f"{name}.mlpackage", ct.target.iOS18)

    description = ct.utils.MultiFunctionDescriptor()
    for name, factor, length in (("once", 1, 2), ("twice", 2, 2), ("wide", 2, 3)):
        part(name, factor, length)
        description.add_function(str(tmp_path / f"{name}.mlpackage"), "main", name)
    description.default_function_name = "twice"
    ct.utils.save_multifunction(description, str(tmp_path / "all.mlpackage"))
    model = tintype.load_model(tmp_path / "all.mlpackage", backend="mlx")
    once, twice = model.make_state("once"), model.make_state()
    for expected_once, expected_twice in (([1, 2], [1, 2]), ([2, 4], [3, 6]), ([3, 6], [7, 14])):
        model.predict(halves(1, 2), "once", state=once)
        model.predict(halves(1, 2), state=twice)
        assert (once["total"].tolist(), twice["total"].tolist()) == (expected_once, expected_twice)
    with pytest.raises(
        errors.InvalidInputError, match=r'\[function "wide"\] the state is of another model or function'
    ):
        model.predict(halves(1, 2, 3), "wide", state=twice)
    assert twice["total"].tolist() == [7, 14]


def test_statistics_count_ops_and_bytes(slow):
    assert slow.last_statistics is None
    y = slow.predict(ONES)["y"]
    np.testing.assert_array_equal(slow.predict(ONES, statistics=True)["y"], y)
    found = slow.last_statistics
    size, joined = 640 * 640 * 4, found["ops"]["matmul + relu"]  # one pass over memory
    assert joined["calls"] == 60
    assert joined["bytes"] == 60 * (3 * size + 2)  # and two flags
    assert 0 < joined["seconds"] <= found["seconds"]
    # The input, what an op reads and what it writes: the rest has been freed.
    assert found["peak_live_bytes"] <= 3 * size


def test_rows_of_statistics_add_up(tmp_path):
    """A transposed view costs nothing; what it costs to write it is the outputs' row, and a copied input's theirs."""
    program = build(lambda x: mb.transpose(x=x, perm=[2, 1, 0]), {"x": np.zeros((200, 200, 200), np.float32)})
    model = tintype.load_model(save(program, tmp_path / "net.mlpackage"), backend="mlx")
    x = np.arange(200**3, dtype=np.float32).reshape(200, 200, 200)
    np.testing.assert_array_equal(next(iter(model.predict({"x": x.T}, statistics=True).values())), x)
    found = model.last_statistics
    rows = found["ops"]
    assert {name: (row["calls"], row["bytes"]) for name, row in rows.items() if name.startswith("(")} == {
        "(inputs)": (1, x.nbytes),
        "(outputs)": (1, x.nbytes),
    }
    spent = sum(row["seconds"] for row in rows.values())
    assert found["seconds"] / 2 < spent <= found["seconds"]
    assert rows["(outputs)"]["seconds"] > rows["transpose"]["seconds"]


def test_threads_share_models_and_keep_their_own_states(tmp_path):
    (tmp_path / "other").mkdir()
    models = [counter(tmp_path), counter(tmp_path / "other")]
    totals = {}

    def work(number):
        model = models[number % 2]
        state = model.make_state()
        for _ in range(25):
            model.predict(halves(number, 1), state=state, progress=lambda fraction: True)
        totals[number] = state["total"].tolist()

    threads = [threading.Thread(target=work, args=(number,)) for number in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert totals == {number: [25 * number, 25] for number in range(6)}
