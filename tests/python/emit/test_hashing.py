"""SHA-256 of several streams, by one thread that takes two at once, and by several threads."""

import hashlib
import os
import random
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from tintype import _bridge
from tintype.emit import hashing as module
from tintype.emit.hashing import HashStream

SIZES = (0, 1, 55, 56, 63, 64, 65, 119, 120, 128, 1000)

needs_instructions = pytest.mark.skipif(
    not hasattr(_bridge, "Sha256"), reason="this processor has no instructions for SHA-256"
)


@pytest.fixture(params=[pytest.param(True, marks=needs_instructions), False], ids=["pairs", "alone"])
def _threads(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "PAIRED", request.param)
    monkeypatch.setattr(module, "THREADS", 1 if request.param else 3)
    monkeypatch.setattr(module, "ALONE_BYTES", 70)
    monkeypatch.setattr(module, "PAIR_BYTES", 130)
    monkeypatch.setattr(module, "_threads", module._Threads())


@needs_instructions
def test_the_instructions_hash_as_hashlib_does() -> None:
    """Pieces that begin, fill and pass blocks of 64 bytes, of one stream and of two."""
    chance = random.Random(0)
    for _ in range(300):
        pair: Any = [_bridge.Sha256(), _bridge.Sha256()]
        expected = [hashlib.sha256(), hashlib.sha256()]
        for _ in range(chance.randrange(6)):
            data = [memoryview(chance.randbytes(chance.choice(SIZES))) for _ in pair]
            if chance.random() < 0.5:
                _bridge.Sha256.update_both(pair[0], data[0], pair[1], data[1])
            else:
                pair[0].update(data[0])
                pair[1].update(data[1])
            for own, piece in zip(expected, data, strict=True):
                own.update(piece)
            assert [h.hexdigest() for h in pair] == [h.hexdigest() for h in expected]


@needs_instructions
def test_the_instructions_refuse_what_has_no_order() -> None:
    stream = _bridge.Sha256()
    with pytest.raises(ValueError, match="one after another"):
        stream.update(memoryview(b"abcd")[::2])
    with pytest.raises(ValueError, match="two streams"):
        _bridge.Sha256.update_both(stream, memoryview(b"a"), stream, memoryview(b"b"))
    assert stream.hexdigest() == hashlib.sha256().hexdigest()


@pytest.mark.usefixtures("_threads")
def test_streams_from_several_threads() -> None:
    def run(seed: int) -> bool:
        chance, stream, whole = random.Random(seed), HashStream(), b""
        for _ in range(50):
            piece = chance.randbytes(chance.choice(SIZES))
            done = stream.update(memoryview(piece))
            whole += piece
            if chance.random() < 0.2:
                done.result(10)
        return stream.hexdigest() == hashlib.sha256(whole).hexdigest()

    with ThreadPoolExecutor(5) as pool:
        assert all(pool.map(run, range(40)))


@pytest.mark.usefixtures("_threads")
def test_an_empty_stream() -> None:
    assert HashStream().hexdigest() == hashlib.sha256().hexdigest()


@pytest.mark.usefixtures("_threads")
def test_memory_is_let_go_of_when_a_piece_is_done() -> None:
    data = bytearray(500)
    HashStream().update(memoryview(data)).result(10)
    data.append(1)  # BufferError while anything refers to it


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork")
def test_a_fork_has_threads_of_its_own() -> None:
    HashStream().update(memoryview(b"parent")).result(10)
    child = os.fork()
    if child == 0:
        stream = HashStream()
        stream.update(memoryview(b"child"))
        os._exit(stream.hexdigest() != hashlib.sha256(b"child").hexdigest())
    assert os.waitpid(child, 0)[1] == 0
