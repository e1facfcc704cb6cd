"""Calls that last less than a change of thread run on their callers' own threads, one at a time in the engine's
place (docs/architecture.md)."""

import signal
import threading
import time

import numpy as np
import pytest

import tintype

from .programs import build, mb, save

RNG = np.random.RandomState(11)
WEIGHT = (RNG.randn(32, 32) / 6).astype(np.float16)
THREADS, ROUNDS = 6, 300


def own(x):
    """Nothing but the engine's own ops."""
    y = mb.gelu(x=mb.linear(x=x, weight=WEIGHT), mode="TANH_APPROXIMATION")
    return mb.softmax(x=mb.add(x=mb.layer_norm(x=y, axes=[-1]), y=x), axis=-1)


def mixed(x):
    """Ops of MLX between the engine's own: they are MLX's thread's."""
    y = mb.cumsum(x=mb.silu(x=x), axis=0)
    return mb.transpose(x=mb.matmul(x=y, y=WEIGHT), perm=[1, 0]), mb.reduce_argmax(x=y, axis=1)


def chained(x):
    for _ in range(12):
        x = mb.mul(x=mb.sigmoid(x=mb.sub(x=x, y=np.float16(0.5))), y=x)
    return x


def long(x):
    """Too much for a caller's thread."""
    y = mb.tile(x=x, reps=[64, 8])
    for _ in range(4):
        y = mb.tanh(x=mb.matmul(x=y, y=y, transpose_y=True))
        y = mb.slice_by_size(x=y, begin=[0, 0], size=[512, 256])
    return y


@pytest.fixture(scope="module")
def models(tmp_path_factory):
    folder = tmp_path_factory.mktemp("small")
    x = np.zeros((8, 32), np.float16)
    return {
        op.__name__: tintype.load_model(save(build(op, {"x": x}), folder / f"{op.__name__}.mlpackage"), "mlx")
        for op in (own, mixed, chained, long)
    }


INPUTS = [RNG.randn(8, 32).astype(np.float16) for _ in range(4)]


def expected(models):
    """What every model makes of every input when nothing else runs."""
    return {name: [model.predict({"x": x}) for x in INPUTS] for name, model in models.items()}


def same(one, other):
    return one.keys() == other.keys() and all(one[k].tobytes() == other[k].tobytes() for k in one)


def together(work):
    """`work(thread)` on many threads at once; what they raised."""
    errors = []

    def guarded(number):
        try:
            work(number)
        except BaseException as error:
            errors.append(error)

    threads = [threading.Thread(target=guarded, args=[i]) for i in range(THREADS)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return errors


@pytest.mark.parametrize("name", ["own", "mixed", "chained"])
def test_many_threads_on_one_model(models, name):
    answers = expected(models)[name]

    def work(number):
        for i in range(ROUNDS):
            place = (number + i) % len(INPUTS)
            assert same(models[name].predict({"x": INPUTS[place]}), answers[place])

    assert together(work) == []


def test_many_threads_on_several_models(models):
    """A long one among them: those that find the engine's place taken wait for its thread."""
    answers = expected(models)
    names = ["own", "mixed", "chained", "own", "long", "chained"]

    def work(number):
        for i in range(ROUNDS // 3):
            name, place = names[(number + i) % len(names)], (number * i) % len(INPUTS)
            assert same(models[name].predict({"x": INPUTS[place]}), answers[name][place])

    assert together(work) == []


def test_results_stay_as_they_were_while_others_are_made(models):
    """Memory of a result that is still held goes to nobody else."""
    answers = expected(models)["own"]

    def work(number):
        held = [models["own"].predict({"x": INPUTS[i % len(INPUTS)]}) for i in range(ROUNDS)]
        assert all(same(result, answers[i % len(INPUTS)]) for i, result in enumerate(held))

    assert together(work) == []


def test_small_models_come_and_go_while_others_predict(models, tmp_path):
    answers = expected(models)["own"]
    path = save(build(own, {"x": INPUTS[0]}), tmp_path / "own.mlpackage")

    def work(number):
        for i in range(ROUNDS // 4):
            model = tintype.load_model(path, "mlx") if number % 2 else models["own"]
            assert same(model.predict({"x": INPUTS[i % 4]}), answers[i % 4])
            if number % 2:
                model.close()

    assert together(work) == []


@pytest.mark.parametrize("name", ["own", "mixed"])
def test_ctrl_c_between_and_during_small_calls(models, name):
    """Others go on undisturbed, and so does the model."""
    answers, stop, wrong, calls = expected(models)[name], threading.Event(), [], []
    main = threading.main_thread().ident

    def predict_until(end, timer):
        timer.start()  # on a busy machine the interrupt comes meanwhile
        while time.monotonic() < end:
            calls.append(same(models[name].predict({"x": INPUTS[1]}), answers[1]))

    def go_on():
        while not stop.is_set():
            if not same(models[name].predict({"x": INPUTS[0]}), answers[0]):
                wrong.append("another thread's")

    others = [threading.Thread(target=go_on) for _ in range(2)]
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        for thread in others:
            thread.start()
        for i in range(15):
            timer = threading.Timer(0.01 + 0.0007 * i, signal.pthread_kill, [main, signal.SIGINT])
            with pytest.raises(KeyboardInterrupt):
                predict_until(time.monotonic() + 30, timer)
            timer.join()
    finally:
        stop.set()
        for thread in others:
            thread.join()
        signal.signal(signal.SIGINT, before)
    assert wrong == []
    assert calls
    assert all(calls)
    assert same(models[name].predict({"x": INPUTS[2]}), answers[2])


def test_small_calls_tell_progress_and_can_be_cancelled(models):
    seen = []
    models["own"].predict({"x": INPUTS[0]}, progress=seen.append)
    assert (seen[0], seen[-1]) == (0, 1)
    with pytest.raises(tintype.Cancelled):
        models["own"].predict({"x": INPUTS[0]}, progress=lambda fraction: False)
