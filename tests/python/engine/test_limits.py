"""What asks for more than there is gets an error, and what runs for long leaves nothing behind."""

import gc
import os
import pathlib
import subprocess
import sys
import threading
import time

import numpy as np
import pytest

from . import ctypes_api
from .programs import Case, build, mb, run, save
from .refusals.programs import Op, Program, f, write

X = np.ones((2, 3), np.float32)
ONE = np.float32(1)


def out_of_memory(op, inputs):
    started = time.monotonic()
    with pytest.raises(ctypes_api.EngineError, match=r"larger than memory") as caught:
        run(Case("huge", op, inputs))
    assert caught.value.status == ctypes_api.OUT_OF_MEMORY
    assert time.monotonic() - started < 30
    return str(caught.value)


HUGE = {
    "200 GB": lambda s: mb.fill(shape=s, value=ONE),
    "filled and used": lambda s: mb.reduce_sum(x=mb.add(x=mb.fill(shape=s, value=ONE), y=ONE), axes=[0, 1]),
    "tiled": lambda s: mb.tile(x=np.ones((1, 1), np.float32), reps=s),
    "broadcast": lambda s: mb.add(x=mb.fill(shape=s, value=ONE), y=mb.fill(shape=s, value=ONE)),
}  # fmt: skip


@pytest.mark.parametrize("shape", [(50, 2**30), (2**30, 2**30)], ids=["200 GB", "4 EB"])
@pytest.mark.parametrize("name", HUGE)
def test_a_huge_result_is_refused(name, shape):
    out_of_memory(HUGE[name], {"s": np.array(shape, np.int32)})


def available_bytes() -> int:
    for line in pathlib.Path("/proc/meminfo").read_text().splitlines():
        if line.startswith("MemAvailable:"):
            return int(line.split()[1]) * 1024
    raise AssertionError("no MemAvailable")


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="reads /proc")
def test_values_that_fit_alone_but_not_together_are_refused():
    """Each takes a fifth of the memory; all are needed at the end. Nothing is computed before the refusal."""
    rows = available_bytes() // 5 // 4 // 1024

    def op(s):
        parts = [mb.fill(shape=s, value=np.float32(i)) for i in range(7)]
        return mb.reduce_sum(x=mb.concat(values=parts, axis=0), axes=[0, 1])

    text = out_of_memory(op, {"s": np.array([rows, 1024], np.int32)})
    assert "MiB beside it" in text


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="reads /proc")
def test_what_an_op_computes_on_the_way_is_held_together_with_what_is_alive():
    """A value of 0.37 of the memory, and an op that takes twice as much on its way: each fits alone."""
    rows = available_bytes() * 37 // 100 // 4 // 4096

    def op(x, s):
        kept = mb.fill(shape=s, value=ONE)
        windows = mb.sliding_windows(x=x, axis=0, size=4096)
        return mb.add(x=mb.reduce_sum(x=kept, axes=[0, 1]), y=mb.reduce_sum(x=windows, axes=[0, 1]))

    inputs = {"x": np.zeros(rows + 4095, np.float32), "s": np.array([rows, 4096], np.int32)}
    text = out_of_memory(op, inputs)
    assert "what it computes on the way" in text
    assert "MiB and 0 MiB beside it" not in text


def test_a_loop_that_grows_is_refused():
    def op(n):
        return mb.while_loop(
            _cond=lambda n, total: mb.less(x=total, y=np.float32(-1)),
            _body=lambda n, total: (
                mb.mul(x=n, y=np.int32(256)),
                mb.sub(
                    x=mb.reduce_mean(x=mb.fill(shape=n, value=ONE), axes=[0, 1], keep_dims=False),
                    y=np.float32(9),
                ),
            ),
            loop_vars=(n, np.float32(-9)),
        )[1]

    out_of_memory(op, {"n": np.array([16, 16], np.int32)})


@pytest.fixture(scope="module")
def package(tmp_path_factory):
    weight = np.arange(300, dtype=np.float32).reshape(100, 3)
    program = build(lambda x: mb.softmax(x=mb.linear(x=x, weight=weight)), {"x": X})
    return save(program, tmp_path_factory.mktemp("limits") / "net.mlpackage")


def resident_bytes() -> int:
    pages = int(pathlib.Path("/proc/self/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE")


def open_files() -> int:
    return len(os.listdir("/proc/self/fd"))


def cycle(package) -> None:
    model = ctypes_api.Model(package)
    assert next(iter(model.predict({"x": X}).values())).shape == (2, 100)


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="reads /proc")
def test_a_thousand_models_leave_nothing_behind(package):
    for _ in range(200):  # allocators reach their level
        cycle(package)
    gc.collect()
    memory, files = resident_bytes(), open_files()
    for _ in range(1000):
        cycle(package)
    gc.collect()
    assert open_files() == files
    assert resident_bytes() - memory < 4 << 20


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="reads /proc")
def test_refusals_leave_nothing_behind(package, tmp_path):
    (tmp_path / "Manifest.json").write_text("{}")

    def refused():
        with pytest.raises(ctypes_api.EngineError):
            ctypes_api.Model(tmp_path)
        with pytest.raises(ctypes_api.EngineError):
            model.predict({"x": X.astype(np.float16)})

    model = ctypes_api.Model(package)
    for _ in range(50):
        refused()
    gc.collect()
    memory, files = resident_bytes(), open_files()
    for _ in range(500):
        refused()
    gc.collect()
    assert open_files() == files
    assert resident_bytes() - memory < 4 << 20


def test_many_threads_load_run_and_free(package):
    """Each on models of its own and on one that all share; the answers are the same to the bit."""
    shared = ctypes_api.Model(package)
    expected = next(iter(shared.predict({"x": X}).values()))
    problems: list[BaseException] = []

    def work():
        try:
            for _ in range(20):
                for model in (ctypes_api.Model(package), shared):
                    np.testing.assert_array_equal(next(iter(model.predict({"x": X}).values())), expected)
        except BaseException as error:
            problems.append(error)

    threads = [threading.Thread(target=work) for _ in range(16)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert problems == []


def field(number: int, content: bytes) -> bytes:
    """A protobuf field of bytes."""
    return varint(number << 3 | 2) + varint(len(content)) + content


def varint(value: int) -> bytes:
    rest = b""
    while value > 127:
        rest += bytes([value & 127 | 128])
        value >>= 7
    return rest + bytes([value])


def in_block(content: bytes) -> bytes:
    """A specification whose one function has this block."""
    block = field(3, field(1, b"CoreML7") + field(2, content))
    return field(502, field(2, field(1, b"main") + field(2, field(2, b"CoreML7") + block)))


def in_value(content: bytes) -> bytes:
    """The same, of one const with this immediate value."""
    entry = field(1, b"val") + field(2, field(3, content))
    return in_block(field(3, field(1, b"const") + field(5, entry)))


BYTES = 2 << 20
NEXT_TO_EMPTY = {
    "operations": in_block(field(3, field(1, b"x")) * (BYTES // 5)),
    "empty operations": in_block(field(3, b"") * (BYTES // 2)),
    "outputs": in_block(field(3, field(3, field(1, b"x")) * (BYTES // 5))),
    "arguments": in_block(field(3, field(2, b"") * (BYTES // 2))),
    "bindings": in_block(field(3, field(2, field(2, field(1, field(1, b"x")) * (BYTES // 5))))),
    "values": in_block(field(3, field(2, field(2, field(1, field(2, field(2, b""))) * (BYTES // 6))))),
    "nested blocks": in_block(field(3, field(4, b"") * (BYTES // 2))),
    "blocks' outputs": in_block(field(2, b"") * (BYTES // 2)),
    "list items": in_value(field(3, field(1, field(2, b"")) * (BYTES // 4))),
    "texts": in_value(field(1, field(4, field(1, b"") * (BYTES // 2)))),
    "repeated values": in_block(field(3, field(5, field(2, field(3, b"") * (BYTES // 2))))),
    "functions": field(502, field(2, b"") * (BYTES // 2)),
    "specializations": field(502, field(2, field(2, field(3, b"") * (BYTES // 2)))),
    "inputs": field(2, field(1, field(1, b"x")) * (BYTES // 5)) + in_block(b""),
    "described functions": field(2, field(20, b"") * (BYTES // 3)) + in_block(b""),
    "enumerated shapes": field(2, field(1, field(3, field(5, field(21, field(1, b"") * (BYTES // 2)))))),
    "metadata": field(2, field(100, field(100, b"") * (BYTES // 3))) + in_block(b""),
}

PEAK = """
import pathlib, sys
sys.path.insert(0, sys.argv[1])
import ctypes_api
for path in sys.argv[2:]:
    try:
        ctypes_api.Model(path)
    except ctypes_api.EngineError:
        pass
    status = pathlib.Path("/proc/self/status").read_text().split()
    print(status[status.index("VmHWM:") + 1])  # getrusage would count the parent's, too
"""


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="reads /proc")
@pytest.mark.parametrize("name", NEXT_TO_EMPTY)
def test_a_program_of_next_to_nothing_takes_little_memory(name, package, tmp_path):
    """Some hundred bytes stand for two on the wire: megabytes must not become gigabytes."""
    path = write(tmp_path, NEXT_TO_EMPTY[name])
    command = [sys.executable, "-c", PEAK, pathlib.Path(__file__).parent, package, path]
    run = subprocess.run([str(part) for part in command], capture_output=True, text=True, check=True)
    before, after = (int(line) << 10 for line in run.stdout.split())
    assert after - before < 32 * BYTES


PLACES = """
import pathlib, sys
sys.path.insert(0, sys.argv[1])
import ctypes_api, numpy as np

def peak():
    status = pathlib.Path("/proc/self/status").read_text().split()
    return int(status[status.index("VmHWM:") + 1]) << 10

model, x = ctypes_api.Model(sys.argv[2]), np.ones((64, 64, 32, 32), np.float32)
before = peak()
(last,) = model.predict({"x": x}).values()
assert last.tolist() == [[63, 63, 31, 31]]
print((peak() - before) / (4 * 4 * x.size))
"""


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="reads /proc")
def test_places_of_what_is_not_zero_are_not_held_twice(tmp_path):
    """A vector that grew, twice as long as what it held, lay beside the result."""
    ops = [Op("non_zero", {"x": f(64, 64, 32, 32)}, (np.int32, None), ("places",)),
           Op("slice_by_size", {"x": "@places", "begin": [64 * 64 * 32 * 32 - 1, 0], "size": [1, 4]})]  # fmt: skip
    path = write(tmp_path, Program(ops))
    command = [sys.executable, "-c", PLACES, pathlib.Path(__file__).parent, path]
    run = subprocess.run([str(part) for part in command], capture_output=True, text=True, check=True)
    assert float(run.stdout) < 1.5
