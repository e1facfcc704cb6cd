"""Several sizes in one bundle, and denoisers that are cut into chunks: both compute what plain bundles do."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import tintype
from tintype import layers as nn
from tintype import names
from tintype.bundle import Bundle
from tintype.cli.app import run_command
from tintype.emit.components import ComponentWriter, prepare_program
from tintype.emit.convert import prepare
from tintype.errors import ConversionError, TintypeError, UsageError
from tintype.models.cuts import balanced

SIZES = [(64, 64), (96, 64), (64, 96)]
FAMILIES = ("sd3-medium-tiny", "sd3.5-medium-tiny", "flux-dev-tiny", "flux-schnell-tiny")


@pytest.fixture
def converted(data: Path, tmp_path: Path) -> Callable[..., Bundle]:
    def convert(source: str, name: str, **options: Any) -> Bundle:
        return tintype.convert(data / source, tmp_path / name, **options)

    return convert


def latents(bundle: Bundle, **options: Any) -> Any:
    with tintype.Pipeline.load(bundle, backend="mlx") as pipeline:
        return pipeline.generate("a red circle", seed=3, steps=2, **options)


def limit(bundle: Bundle) -> int:
    """So that two chunks are too few by a little, or just enough."""
    return int(bundle.component(names.DENOISER).parameters * 2 * 0.6)


@pytest.mark.parametrize("target", ["gpu", "ane"])
@pytest.mark.parametrize("source", FAMILIES)
def test_chunks_of_several_sizes_compute_what_plain_bundles_do(
    converted: Callable[..., Bundle], source: str, target: str
) -> None:
    common = {"target": target, "precision": "float32" if target == "gpu" else "float16"}
    plain = {size: converted(source, f"{size}", size=size, **common) for size in SIZES}
    bundle = converted(source, "all", size=SIZES, max_chunk=limit(plain[SIZES[0]]), **common)
    denoiser = bundle.component(names.DENOISER)
    assert denoiser.path == ""
    assert len(denoiser.chunks) > 1
    assert all(chunk.parameters * 2 <= limit(plain[SIZES[0]]) for chunk in denoiser.chunks)
    assert [(s.width, s.height) for s in bundle.sizes] == SIZES
    for size, other in plain.items():
        one, same = latents(bundle, size=size), latents(other)
        np.testing.assert_array_equal(one.latents, same.latents)
        np.testing.assert_array_equal(one.decoded, same.decoded)
        assert one.image.size == size


def test_sizes_share_their_weights(converted: Callable[..., Bundle]) -> None:
    plain = converted("sd3-medium-tiny", "one", size=SIZES[0])
    bundle = converted("sd3-medium-tiny", "three", size=SIZES)
    for name in (names.VAE_DECODER, names.VAE_ENCODER, names.TEXT_ENCODER, names.MODULATION):
        assert bundle.component(name).sha256 == plain.component(name).sha256
    tables = sum(2 * 64 * (w // 16) * (h // 16) for w, h in SIZES[1:])
    more = bundle.component(names.DENOISER).weight_bytes - plain.component(names.DENOISER).weight_bytes
    assert tables <= more <= tables + 2 * 2 * 64  # the position tables, with their headers


def test_coremltools_reads_the_functions(converted: Callable[..., Bundle]) -> None:
    import coremltools as ct

    bundle = converted("sd3-medium-tiny", "three", size=SIZES)
    (path,) = bundle.package_paths(names.DENOISER)
    description = ct.utils.load_spec(str(path)).description
    assert description.defaultFunctionName == "size_64x64"
    assert [f.name for f in description.functions] == ["size_64x64", "size_96x64", "size_64x96"]
    shapes = [tuple(f.input[0].type.multiArrayType.shape) for f in description.functions]
    assert shapes == [(1, 16, 8, 8), (1, 16, 8, 12), (1, 16, 12, 8)]
    assert list(bundle.component(names.DENOISER).functions) == [f.name for f in description.functions]


@pytest.mark.parametrize("recipe", ["int8", "palette4"])
def test_compressed_chunks_of_several_sizes(converted: Callable[..., Bundle], recipe: str) -> None:
    plain = converted("sd3-medium-tiny", "plain", size=SIZES[1], quantize=recipe)
    bundle = converted(
        "sd3-medium-tiny", "cut", size=SIZES[:2], quantize=recipe, max_chunk=limit(plain), batch=1
    )
    denoiser = bundle.component(names.DENOISER)
    assert denoiser.compression == plain.component(names.DENOISER).compression
    assert denoiser.weight_bytes < denoiser.parameters * (1.5 if recipe == "int8" else 1.2)
    np.testing.assert_array_equal(latents(bundle, size=SIZES[1]).latents, latents(plain).latents)


def test_same_input_same_bytes(converted: Callable[..., Bundle]) -> None:
    def contents(bundle: Bundle) -> dict[str, bytes]:
        assert bundle.root is not None
        return {
            str(f.relative_to(bundle.root)): f.read_bytes() for f in bundle.root.rglob("*") if f.is_file()
        }

    first, second = (
        contents(converted("flux-dev-tiny", name, size=SIZES, max_chunk=500_000)) for name in "ab"
    )
    assert any("chunk2" in name for name in first)
    assert first == second


def test_both_rows_of_guidance_in_one_chunked_call(converted: Callable[..., Bundle]) -> None:
    one = converted("sd3-medium-tiny", "one", size=SIZES[0], precision="float32", max_chunk=400_000)
    two = converted("sd3-medium-tiny", "two", size=SIZES[0], precision="float32", max_chunk=400_000, batch=2)
    assert len(two.component(names.DENOISER).chunks) > 1
    np.testing.assert_allclose(
        latents(two, guidance_scale=5).latents, latents(one, guidance_scale=5).latents, atol=2e-5
    )


def test_limits_that_cannot_be(converted: Callable[..., Bundle]) -> None:
    with pytest.raises(
        ConversionError, match=r"max_chunk is [\d,]+ bytes, but block \d of the denoiser alone has"
    ):
        converted("sd3-medium-tiny", "a", max_chunk=10_000)
    for value in (0, -5, 1.5, True, "1GB"):
        with pytest.raises(UsageError, match=r"max_chunk is .*, expected a positive number of bytes"):
            converted("sd3-medium-tiny", "b", max_chunk=value)
    with pytest.raises(UsageError, match="64x64 is there twice"):
        converted("sd3-medium-tiny", "c", size=[(64, 64), (96, 64), (64, 64)])
    with pytest.raises(UsageError, match="the height is 60, expected a positive multiple of 16"):
        converted("sd3-medium-tiny", "d", size=[(64, 64), (64, 60)])
    for size in ([], (64,), [(64, 64), 3], "64x64"):
        with pytest.raises(UsageError, match=r"size is .*, expected"):
            converted("sd3-medium-tiny", "e", size=size)


def test_a_size_that_is_not_there(converted: Callable[..., Bundle]) -> None:
    bundle = converted("sd3-medium-tiny", "two", size=SIZES[:2])
    with pytest.raises(UsageError, match="converted for 64x64, 96x64: leave size out, or convert"):
        latents(bundle, size=(128, 128))


def test_chunks_that_do_not_fit_together(converted: Callable[..., Bundle]) -> None:
    bundle = converted("sd3-medium-tiny", "cut", size=SIZES[0], max_chunk=400_000)
    other = converted("sd3-medium-tiny", "other", size=SIZES[1], max_chunk=400_000)
    last, foreign = bundle.package_paths(names.DENOISER)[-1], other.package_paths(names.DENOISER)[-1]
    last.rename(last.with_suffix(".old"))
    foreign.rename(last)
    with pytest.raises(TintypeError, match="wrong shape"):
        latents(bundle)


def test_command_line(data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    output = tmp_path / "cut"
    arguments = [str(data / "sd3-medium-tiny"), "-o", str(output), "--size", "64x64", "--size", "96x64"]
    assert (
        run_command(["convert", *arguments, "--max-chunk", "0.4MB", "--components", "denoiser,vae_decoder"])
        == 0
    )
    assert "64x64, 96x64" in capsys.readouterr().out
    assert run_command(["inspect", str(output), "--json"]) == 0
    shown = json.loads(capsys.readouterr().out)
    assert shown["components"]["denoiser"]["op_count"] > 60
    assert run_command(["inspect", str(output)]) == 0
    count = len(shown["components"]["denoiser"]["chunks"])
    assert f"denoiser ({count} chunks)" in capsys.readouterr().out
    assert run_command(["inspect", "--neural-engine", str(output), "--json"]) == 0
    packages = json.loads(capsys.readouterr().out)["packages"]
    assert sum(name.startswith("denoiser ") for name in packages) == count
    assert run_command(["convert", *arguments, "--overwrite", "--max-chunk", "1 stone"]) != 0
    assert "'1 stone' is no number of bytes, such as 1GB" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("sizes", "parts", "expected"),
    [
        ([1, 1, 1, 1], 2, [(0, 2), (2, 4)]),
        ([5, 1, 1, 1, 1], 2, [(0, 1), (1, 5)]),
        ([1, 1, 1], 3, [(0, 1), (1, 2), (2, 3)]),
        ([9, 1, 1], 3, [(0, 1), (1, 2), (2, 3)]),
        ([2, 2, 2, 2, 2], 2, [(0, 3), (3, 5)]),
    ],
)
def test_balanced(sizes: list[int], parts: int, expected: list[tuple[int, int]]) -> None:
    assert balanced(sizes, parts) == expected


def test_a_chunk_is_finished_before_the_next_one_is_built(
    data: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    plan = prepare(data / "sd3-medium-tiny", components=[names.DENOISER], target="ane", max_chunk=300_000)
    events: list[str] = []
    build = nn.build_functions

    def built(*args: Any, **options: Any) -> Any:
        events.append("built")
        return build(*args, **options)

    monkeypatch.setattr(nn, "build_functions", built)
    for _, rows in plan.finished(lambda name, _: events.append(name)):
        assert rows
    assert events[0] == names.MODULATION
    assert events[1:] == ["built", names.DENOISER] * (len(events) // 2)
    assert len(events) > 3


def test_chunks_before_one_that_was_too_large_are_removed(data: Path, tmp_path: Path) -> None:
    plan = prepare(data / "sd3-medium-tiny", components=[names.DENOISER], target="ane", max_chunk=300_000)
    parts = dict(plan.finished(lambda _, program: prepare_program(program, None)))[names.DENOISER]
    count, heard = len(parts), list[str]()
    writer = ComponentWriter(names.DENOISER, tmp_path, None, lambda name, *_: heard.append(name))
    for number, part in enumerate(parts, start=1):
        assert writer.add(part, number, count + 1) is None
    written = sorted(path.name for path in tmp_path.iterdir())
    assert written == [f"denoiser_chunk{number}.mlpackage" for number in range(1, count + 1)]
    component = writer.add(parts[0], 1, 1)
    assert component is not None
    assert [path.name for path in tmp_path.iterdir()] == [component.path] == ["denoiser.mlpackage"]
    assert heard[-1] == "denoiser"
