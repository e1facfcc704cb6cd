"""Suite `cpu`: how close the engine comes to the machine.

Every case is a package of one layer (or one block), built on the fly, with float16 weights and activations.
Its rate is divided by a limit measured in turn with it, the best of each counting: products by NumPy's own
sgemm at the size of a linear layer, element-wise ops by copying memory that is mapped already.
"""

import dataclasses
import pathlib
import tempfile
import time
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

__all__ = ["CpuReport", "run_cpu"]

TOKENS, WIDTH, HEADS = 1178, 1536, 24  # SD3-medium at 512²: 1024 + 154 tokens
ROUNDS, REPEATS = 5, 4
CHAIN = 16  # element-wise ops in one package, so that the call itself does not count

Array = np.ndarray[Any, Any]
Body = Callable[..., Var]


@dataclasses.dataclass(frozen=True)
class Row:
    """One bar: a rate, the limit it is divided by, and the ratio that it should reach."""

    name: str
    rate: float
    limit: float
    unit: str
    bar: float

    @property
    def ratio(self) -> float:
        """Rate over limit; of the call's cost, limit over rate."""
        return self.limit / self.rate if self.unit == "µs" else self.rate / self.limit


@dataclasses.dataclass(frozen=True)
class CpuReport:
    """All rows of a run."""

    rows: list[Row]

    def text(self) -> str:
        """The report as Markdown."""
        lines = ["| case | measured | limit | ratio | bar |", "|---|---|---|---|---|"]
        for r in self.rows:
            lines.append(
                f"| {r.name} | {r.rate:.1f} {r.unit} | {r.limit:.1f} {r.unit} | {r.ratio:.2f} | {r.bar:.2f} |"
            )
        return "\n".join(lines)

    def to_json(self) -> list[dict[str, Any]]:
        """The rows as plain values."""
        return [{**dataclasses.asdict(r), "ratio": r.ratio} for r in self.rows]


@dataclasses.dataclass(frozen=True)
class Case:
    """A package to time: float operations or bytes a call, and the shape of its one input."""

    name: str
    shape: tuple[int, ...]
    body: Body
    work: float
    bar: float
    unit: str = "GFLOP/s"


class _Noise:
    """Random weights of whatever shape is asked for."""

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


def _best(work: Callable[[], object], repeats: int = REPEATS) -> float:
    """Seconds of the fastest of several calls."""
    work()
    times = []
    for _ in range(repeats):
        start = time.perf_counter()
        work()
        times.append(time.perf_counter() - start)
    return min(times)


def _sgemm() -> float:
    a, b = np.ones((TOKENS, WIDTH), np.float32), np.ones((WIDTH, WIDTH), np.float32)
    return 2.0 * TOKENS * WIDTH * WIDTH / _best(lambda: a @ b.T) / 1e9


def _memcpy() -> float:
    a = np.ones((TOKENS, WIDTH), np.float16)
    b = np.empty_like(a)
    return 2 * a.nbytes / _best(lambda: np.copyto(b, a)) / 1e9


def _model(case: Case, folder: pathlib.Path) -> Any:
    def body(g: Graph, x: Var) -> dict[str, Var]:
        return {"y": g.op("identity", x=case.body(g, x), output="y")}

    spec = IOSpec("x", "float16", case.shape)
    path = folder / "net.mlpackage"
    write_package(build_program([spec], _Noise(), "float16", body), path)
    return load_model(path, backend="mlx")


def _row(case: Case) -> Row:
    limit = _sgemm if case.unit == "GFLOP/s" else _memcpy
    x = np.random.default_rng(0).standard_normal(case.shape).astype(np.float16)
    with tempfile.TemporaryDirectory() as folder:
        model = _model(case, pathlib.Path(folder))
        rate, most = 0.0, 0.0
        for _ in range(ROUNDS):  # in turn: other processes slow both
            most = max(most, limit())
            rate = max(rate, case.work / _best(lambda: model.predict({"x": x})) / 1e9)
        return Row(case.name, rate, most, case.unit, case.bar)


def _call() -> Row:
    case = Case("a call of a one-op model", (4,), lambda g, x: mul(g, x, 2.0), 0, 1.0)
    with tempfile.TemporaryDirectory() as folder:
        model, x = _model(case, pathlib.Path(folder)), np.ones(4, np.float16)
        many = 1000
        seconds = _best(lambda: [model.predict({"x": x}) for _ in range(many)]) / many
    return Row(case.name, seconds * 1e6, 30.0, "µs", case.bar)


def run_cpu(on_case: Callable[[int, int], None] | None = None) -> CpuReport:
    """Measure every case; `on_case` hears how many are done and how many there are."""
    cases, rows = list(_cases()), []
    for i, case in enumerate(cases):
        rows.append(_row(case))
        if on_case:
            on_case(i + 1, len(cases) + 1)
    return CpuReport([*rows, _call()])
