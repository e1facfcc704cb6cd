"""Suite `cpu`: how close the engine comes to the machine.

Every case is a package of one layer (or one block), built on the fly, with float16 weights and activations.
It runs in turn with its limit, call by call, and the ratio is the median of the pairs' ratios: what other
processes do meanwhile hits both of a pair, and the report says how much that was. Limits are

- NumPy's own sgemm at the size of a linear layer, on all processors;
- for element-wise ops, NumPy's copy of 3.6 MB to another place that is mapped already, bytes read and written
  counted: one thread's memcpy within the shared cache, where the ops find their operands too;
- PyTorch in float32, where it is installed.
"""

import dataclasses
import json
import pathlib
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

from .. import load_model
from ..emit.package import write_package
from ..layers import (
    ComputedWeight,
    Graph,
    IOSpec,
    Var,
    activation,
    add,
    attention,
    build_program,
    conv2d,
    layer_norm,
    linear,
    mul,
    split_heads,
)
from ..models.vae import VAEConfig, build_decoder
from . import peers
from .measure import Report, Row, compare, describe_others, in_turn, other_processes, seconds, settle

__all__ = ["RandomWeights", "run_cpu"]

TOKENS, WIDTH, HEADS = 1178, 1536, 24  # SD3-medium at 512²: 1024 + 154 tokens
CHANNELS, BLOCKS, GROUPS, LATENT = (128, 256, 512, 512), 2, 32, (16, 64, 64)  # SD3's decoder at 512²
CHAIN = 16  # element-wise ops in one package, so that the call itself does not count

Array = np.ndarray[Any, Any]
Body = Callable[..., Var]


@dataclasses.dataclass(frozen=True)
class Case:
    """A package to time: float operations or bytes a call, and the shape of its one input."""

    name: str
    shape: tuple[int, ...]
    body: Body
    work: float
    bar: float
    unit: str = "GFLOP/s"


class RandomWeights:
    """A provider of random weights, of whatever shape is asked for."""

    def get(self, key: str, shape: tuple[int, ...]) -> ComputedWeight:
        """A weight of unit variance over its inputs."""
        scale = 1 / np.sqrt(max(1, int(np.prod(shape[1:]))))
        rng = np.random.default_rng(len(key))
        return ComputedWeight(key, shape, lambda: (rng.standard_normal(shape) * scale).astype(np.float32))

    def __contains__(self, key: object) -> bool:
        return True


def _block(g: Graph, x: Var) -> Var:
    """A transformer block: attention and a perceptron, each behind a norm and a residual."""
    h = layer_norm(g, x, "norm1", 1e-5)
    q, k, v = (split_heads(g, linear(g, h, n, WIDTH), HEADS, name=f"{n}.heads") for n in ("q", "k", "v"))
    x = add(g, x, linear(g, attention(g, q, k, v, name="attention"), "out", WIDTH))
    h = linear(g, layer_norm(g, x, "norm2", 1e-5), "up", 4 * WIDTH)
    return add(g, x, linear(g, activation(g, h, "gelu_new", name="gelu"), "down", WIDTH))


def _attention(g: Graph, x: Var) -> Var:
    heads = split_heads(g, x, HEADS, name="heads")
    return attention(g, heads, heads, heads, name="attention")


def _chain(g: Graph, x: Var, step: Callable[[Graph, Var, int], Var]) -> Var:
    for i in range(CHAIN):
        x = step(g, x, i)
    return x


def _cases() -> Iterator[Case]:
    rows, image = (1, TOKENS, WIDTH), (1, 256, 128, 128)
    products, scores = 2.0 * TOKENS * WIDTH * WIDTH, 4.0 * HEADS * TOKENS * TOKENS * 64
    yield Case("linear 1178×1536×1536", rows, lambda g, x: linear(g, x, "l", WIDTH), products, 0.85)
    yield Case("linear 1178×1536×6144", rows, lambda g, x: linear(g, x, "l", 4 * WIDTH), 4 * products, 0.85)
    area = 128.0 * 128
    yield Case(
        "conv 1×1, 256→512, 128²", image, lambda g, x: conv2d(g, x, "c", 512, 1), 2 * 256 * 512 * area, 0.85
    )
    yield Case(
        "conv 3×3, 256→256, 128²",
        image,
        lambda g, x: conv2d(g, x, "c", 256, 3, padding=1),
        2 * 9 * 256 * 256 * area,
        0.8,
    )
    line, taps = (1, 512, 3000), (512, 512, 3)  # a Whisper-like encoder's second layer
    yield Case(
        "conv of one axis, 3, 512→512, 3000",
        line,
        lambda g, x: g.op("conv", x=x, weight=g.weight("c", taps, np.float16), pad_type="same", name="c"),
        2.0 * 3 * 512 * 512 * 3000,
        0.8,
    )
    turned = (256, 128, 4, 4)
    yield Case(
        "transposed conv 4×4, stride 2, 256→128, 64²",
        (1, 256, 64, 64),
        lambda g, x: g.op(
            "conv_transpose",
            x=x,
            weight=g.weight("c", turned, np.float16),
            strides=[2, 2],
            pad_type="custom",
            pad=[1, 1, 1, 1],
            name="c",
        ),
        2.0 * 16 * 256 * 128 * 64 * 64,
        0.5,
    )
    yield Case("attention 24 × 1178 × 64", rows, _attention, scores, 0.6)
    yield Case("transformer block, 1536 wide, 1178 tokens", rows, _block, 12 * products + scores, 0.75)
    moved = 2.0 * TOKENS * WIDTH * 2 * CHAIN  # float16, read and written
    yield Case("add a row", rows, lambda g, x: _chain(g, x, _add), moved, 0.5, "GB/s")
    yield Case("multiply by a row", rows, lambda g, x: _chain(g, x, _mul), moved, 0.5, "GB/s")
    yield Case("GELU (tanh), then add", rows, _gelus, 2.5 * moved, 0.5, "GB/s")


def _add(g: Graph, x: Var, i: int) -> Var:
    return add(g, x, g.weight(f"row{i}", (WIDTH,), np.float16), name=f"add{i}")


def _mul(g: Graph, x: Var, i: int) -> Var:
    ones = g.computed(f"row{i}", (WIDTH,), np.dtype(np.float16), lambda: np.full(WIDTH, 1.01, np.float32))
    return mul(g, x, ones, name=f"mul{i}")


def _gelus(g: Graph, x: Var) -> Var:
    # A chain of GELUs alone ends in subnormals, which the processor converts by microcode.
    y = x
    for i in range(CHAIN):
        y = add(g, x, activation(g, y, "gelu_new", name=f"gelu{i}"), name=f"sum{i}")
    return y


def _sgemm() -> tuple[Callable[[], object], float]:
    a, b = np.ones((TOKENS, WIDTH), np.float32), np.ones((WIDTH, WIDTH), np.float32)
    return lambda: a @ b.T, 2.0 * TOKENS * WIDTH * WIDTH


def _memcpy() -> tuple[Callable[[], object], float]:
    a = np.ones((TOKENS, WIDTH), np.float16)
    b = np.empty_like(a)
    return lambda: np.copyto(b, a), 2.0 * a.nbytes


def _model(case: Case, folder: pathlib.Path) -> Any:
    def body(g: Graph, x: Var) -> dict[str, Var]:
        return {"y": g.op("identity", x=case.body(g, x), output="y")}

    spec = IOSpec("x", "float16", case.shape)
    path = folder / "net.mlpackage"
    write_package(build_program([spec], RandomWeights(), "float16", body), path)
    return load_model(path, backend="mlx")


def _rows(case: Case) -> Iterator[Row]:
    x = np.random.default_rng(0).standard_normal(case.shape).astype(np.float16)
    with tempfile.TemporaryDirectory() as folder:
        model = _model(case, pathlib.Path(folder))
        work = (lambda: model.predict({"x": x}), case.work)
        moves = case.unit == "GB/s"
        peer, limit = ("memcpy", _memcpy()) if moves else ("sgemm", _sgemm())
        yield compare(case.name, peer, case.unit, case.bar, work, limit, 3 if moves else 1)
        if case.body is _block and peers.available():
            torch = peers.transformer_block(TOKENS, WIDTH, HEADS)
            yield compare(case.name, "PyTorch", case.unit, 1.0, work, (torch, case.work), 1)


# A process of its own each, so that nothing else counts: resident memory at its peak over that before weights
# and activations, in MiB.
PROBE = """
import importlib, json, sys
import numpy as np
from tintype.bench import peers
import tintype

def megabytes(key):
    with open("/proc/self/status") as file:
        return next(int(line.split()[1]) / 1024 for line in file if line.startswith(key + ":"))

if sys.argv[1] == "torch":
    importlib.import_module("torch")
    before = megabytes("VmRSS")
    peers.decoder(*json.loads(sys.argv[3]))()
else:
    before = megabytes("VmRSS")
    model = tintype.load_model(sys.argv[2], backend="mlx")
    model.predict({"latent": np.ones(model.inputs[0].shape, np.float16)})
print(megabytes("VmHWM") - before)
"""


def _peak(who: str, path: pathlib.Path) -> float:
    sizes = json.dumps([CHANNELS, BLOCKS, GROUPS, LATENT])
    command = [sys.executable, "-c", PROBE, who, str(path), sizes]
    answer = subprocess.run(command, capture_output=True, text=True, check=True)
    return float(answer.stdout)


def _decoder() -> Iterator[Row]:
    """Pictures a second would be small numbers: seconds over seconds, in turn with PyTorch; then MiB."""
    config = VAEConfig(3, LATENT[0], CHANNELS, BLOCKS, GROUPS, 1.0, 0.0, True, False, False)
    program = build_decoder(config, RandomWeights(), precision="float16", latent=LATENT[1:])
    z = np.random.default_rng(0).standard_normal((1, *LATENT)).astype(np.float16)
    with tempfile.TemporaryDirectory() as folder:
        path = pathlib.Path(folder) / "net.mlpackage"
        write_package(program, path)
        ours, theirs = _peak("engine", path), _peak("torch", path)
        model = load_model(path, backend="mlx")
        torch = peers.decoder(CHANNELS, BLOCKS, GROUPS, LATENT)
        pairs = in_turn(lambda: model.predict({"latent": z}), torch, rounds=2)
    yield Row.of_times("VAE decoder, 512²", "PyTorch", "s", 1.0, pairs)
    yield Row("the same, peak memory", "PyTorch", ours, theirs, theirs / ours, "MiB", 2.0)


def _call() -> Iterator[Row]:
    case = Case("a call of a one-op model", (4,), lambda g, x: mul(g, x, 2.0), 0, 1.0)
    with tempfile.TemporaryDirectory() as folder:
        model, x = _model(case, pathlib.Path(folder)), np.ones(4, np.float16)
        settle()
        times = sorted(seconds(lambda: model.predict({"x": x})) * 1e6 for _ in range(5000))
    for name, part in (("median", 0.5), ("90 %", 0.9)):
        cost = times[int(len(times) * part)]
        yield Row(f"{case.name}, {name}", "30 µs", cost, 30.0, 30.0 / cost, "µs", 1.0)


def run_cpu(on_case: Callable[[int, int], None] | None = None) -> Report:
    """Measure every case; `on_case` hears how many are done and how many there are."""
    cases, rows = list(_cases()), list[Row]()
    total, others = len(cases) + 2, other_processes()
    for i, case in enumerate(cases):
        rows.extend(_rows(case))
        if on_case:
            on_case(i + 1, total)
    rows.extend(_call())
    note = ""
    if peers.available():
        rows.extend(_decoder())
    else:
        note = "PyTorch is not installed: it is left out as a peer. "
    if on_case:
        on_case(total, total)
    return Report(rows, (note + describe_others(others())).strip())
