"""bundle.json: the documented example, round trips, and what is refused."""

import copy
import json
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tintype.bundle import Bundle, DynamicShift
from tintype.errors import BundleError

DOCUMENT = Path(__file__).parents[2] / "docs" / "bundle_format.md"


@pytest.fixture
def example() -> dict[str, Any]:
    """The bundle.json of docs/bundle_format.md."""
    match = re.search(r"```json\n(.*?)```", DOCUMENT.read_text(encoding="utf-8"), re.DOTALL)
    assert match is not None
    return dict(json.loads(match[1]))


@pytest.fixture
def folder(example: dict[str, Any], tmp_path: Path) -> Path:
    """The example as a bundle on disk, with empty packages."""
    for section in ("components", "tokenizers"):
        for row in example[section].values():
            (tmp_path / row["path"]).mkdir()
    (tmp_path / "bundle.json").write_text(json.dumps(example))
    return tmp_path


def test_documented_example_survives_a_round_trip(example: dict[str, Any]) -> None:
    bundle = Bundle.from_json(example)
    assert bundle.to_json() == example
    assert list(bundle.to_json()) == list(example)
    assert json.loads(bundle.to_text()) == example


def test_read(folder: Path) -> None:
    bundle = Bundle.read(folder)
    assert bundle.package_paths("denoiser") == (folder / "denoiser.mlpackage",)
    assert bundle.tokenizer_path("tokenizer_3") == folder / "tokenizer_3"
    assert bundle.component("denoiser").input("latent").shape == (1, 16, 16, 16)
    assert bundle.component("denoiser").output("velocity").dtype == "float16"
    assert bundle.tokenizers["tokenizer_3"].bos_token_id is None
    with pytest.raises(BundleError, match="has no 'vae_decoder', only denoiser: convert the model again"):
        bundle.package_paths("vae_decoder")
    with pytest.raises(BundleError, match="has no 'tokenizer_4'"):
        bundle.tokenizer_path("tokenizer_4")
    with pytest.raises(KeyError, match="'image' is not among latent"):
        bundle.component("denoiser").input("image")


def test_dynamic_shift(example: dict[str, Any]) -> None:
    shift = {"base_shift": 0.5, "max_shift": 1.15, "base_image_seq_len": 256, "max_image_seq_len": 4096}
    example["schedule"] = {"kind": "flow_match_dynamic", "shift": 1.0, "num_train_timesteps": 1000} | shift
    bundle = Bundle.from_json(example)
    assert bundle.schedule.dynamic == DynamicShift(**shift)
    assert bundle.to_json() == example
    example["schedule"]["max_image_seq_len"] = 256
    with pytest.raises(BundleError, match=r"schedule\.base_image_seq_len is 256, expected less than"):
        Bundle.from_json(example)
    del example["schedule"]["max_shift"]
    with pytest.raises(BundleError, match=r"schedule\.max_shift is missing"):
        Bundle.from_json(example)


def test_keys_of_the_future_are_ignored(example: dict[str, Any]) -> None:
    future = copy.deepcopy(example) | {"new": 1}
    future["components"]["denoiser"]["notes"] = []
    assert Bundle.from_json(future) == Bundle.from_json(example)


def rename(specs: list[dict[str, Any]], name: str) -> list[dict[str, Any]]:
    return [{**specs[0], "name": name}]


@pytest.fixture
def sized(example: dict[str, Any]) -> dict[str, Any]:
    """The example with two sizes and its denoiser in two chunks."""
    row = example["components"]["denoiser"]
    path = row.pop("path")
    interface = {key: row[key] for key in ("inputs", "outputs")}
    functions = {"size_128x128": interface, "size_192x128": interface}
    del row["sha256"]
    row["functions"] = functions
    numbers = {"parameters": 1, "weight_bytes": 2, "sha256": ""}
    first = {"inputs": row["inputs"], "outputs": rename(row["outputs"], "tokens_1")}
    second = {"inputs": rename(row["inputs"], "tokens_1"), "outputs": row["outputs"]}
    row["chunks"] = [
        {"path": f"{i}{path}", **part, **numbers, "functions": dict.fromkeys(functions, part)}
        for i, part in enumerate((first, second))
    ]
    row["self_test"] = {"path": "self_test/denoiser.safetensors", "tolerance": 0.05, "function": None}
    example["sizes"] = [
        {"width": 128, "height": 128, "latent": {"height": 16, "width": 16}},
        {"width": 192, "height": 128, "latent": {"height": 16, "width": 24}},
    ]
    return example


def test_sizes_chunks_and_self_tests(sized: dict[str, Any], tmp_path: Path) -> None:
    bundle = Bundle.from_json(sized)
    assert bundle.to_json() == sized
    assert [(s.width, s.height) for s in bundle.sizes] == [(128, 128), (192, 128)]
    latent = bundle.latent_at(192, 128)
    assert (latent.height, latent.width, latent.scale) == (16, 24, 1.5305)
    with pytest.raises(BundleError, match=r"has the size 128x128, 192x128, not 64x64: .*--size 64x64"):
        bundle.latent_at(64, 64)
    denoiser = bundle.component("denoiser")
    assert denoiser.function(192, 128) == "size_192x128"
    assert denoiser.self_test is not None
    (tmp_path / "bundle.json").write_text(json.dumps(sized))
    for part in denoiser.parts:
        (tmp_path / part.path).mkdir()
    for row in sized["tokenizers"].values():
        (tmp_path / row["path"]).mkdir()
    with pytest.raises(BundleError, match=r"components\.denoiser\.self_test\.path .* file is missing"):
        Bundle.read(tmp_path)
    (tmp_path / "self_test").mkdir()
    (tmp_path / "self_test/denoiser.safetensors").touch()
    read = Bundle.read(tmp_path)
    assert read.package_paths("denoiser") == tuple(tmp_path / p.path for p in denoiser.parts)
    (tmp_path / denoiser.parts[1].path).rmdir()
    with pytest.raises(BundleError, match=r"components\.denoiser\.chunks\[1\]\.path .* missing"):
        Bundle.read(tmp_path)


Change = Callable[[dict[str, Any]], Any]
BAD_PARTS: list[tuple[str, Change, str]] = [
    ("no chunks", lambda d: d.update(chunks=[]), r"chunks is \[\], expected a non-empty list"),
    ("unknown value", lambda d: d["chunks"].reverse(), r"chunks\[0\]\.inputs is 'tokens_1', expected an input of"),
    ("no output", lambda d: d["chunks"].pop(), r"denoiser\.outputs is 'velocity', expected an output of a chunk"),
    ("chunk path", lambda d: d["chunks"][0].update(path="../x"), r"chunks\[0\]\.path is '\.\./x'"),
    ("functions", lambda d: d["chunks"][0].pop("functions"), r"chunks\[0\]\.functions is 'none', expected those of"),
    ("one size", lambda d: [p["functions"].pop("size_192x128") for p in (d, *d["chunks"])], r"functions is 'size_128x128', expected one for every size"),
    ("test path", lambda d: d["self_test"].update(path="/x"), r"self_test\.path is '/x'"),
    ("tolerance", lambda d: d["self_test"].update(tolerance=0), r"self_test\.tolerance is 0"),
]  # fmt: skip


@pytest.mark.parametrize(("change", "message"), [r[1:] for r in BAD_PARTS], ids=[r[0] for r in BAD_PARTS])
def test_bad_parts_are_named(sized: dict[str, Any], change: Change, message: str) -> None:
    change(sized["components"]["denoiser"])
    with pytest.raises(BundleError, match=message):
        Bundle.from_json(sized)


def test_bad_sizes_are_named(sized: dict[str, Any]) -> None:
    sized["sizes"].reverse()
    with pytest.raises(BundleError, match=r"sizes\[0\] is '192x128', expected the default size 128x128"):
        Bundle.from_json(sized)
    sized["sizes"] = [sized["sizes"][1]] * 2
    with pytest.raises(BundleError, match="sizes is 2, expected every size once"):
        Bundle.from_json(sized)
    sized["sizes"][1] = {"width": 200, "height": 128, "latent": {"height": 16, "width": 24}}
    with pytest.raises(
        BundleError, match=r"sizes\[1\] is '200x128', expected 192x128, the latent's 24x16 times"
    ):
        Bundle.from_json(sized)


BAD: list[tuple[str, Change, str]] = [
    ("format", lambda d: d.update(format="zip"), "format is 'zip', expected 'tintype-bundle'"),
    (
        "version",
        lambda d: d.update(format_version=1),
        "format_version is 1, expected 2: update tintype, or convert",
    ),
    ("no version", lambda d: d.pop("format_version"), "format_version is missing: update tintype"),
    ("version is true", lambda d: d.update(format_version=True), "format_version is True"),
    ("family", lambda d: d.update(family="unet"), "family is 'unet', expected one of sd3"),
    ("target", lambda d: d.update(target="tpu"), "target is 'tpu', expected one of gpu, ane"),
    ("size", lambda d: d["size"].update(width=0), r"size\.width is 0, expected an integer of at least 1"),
    (
        "downscale",
        lambda d: d["latent"].update(downscale=65536),
        r"size is '128x128', expected 1048576x1048576, the latent's 16x16 times latent\.downscale 65536",
    ),
    ("size text", lambda d: d["size"].update(width="8"), r"size\.width is '8'"),
    ("size list", lambda d: d.update(size=[1, 2]), r"size is \[1, 2\], expected an object"),
    (
        "scale",
        lambda d: d["latent"].update(scale=0),
        r"latent\.scale is 0, expected a finite number other than 0",
    ),
    ("infinite", lambda d: d["latent"].update(shift=float("inf")), r"latent\.shift is inf"),
    ("no latent", lambda d: d.pop("latent"), "latent is missing: convert the model again"),
    (
        "schedule",
        lambda d: d["schedule"].update(kind=[]),
        r"schedule\.kind is \[\], expected one of flow_match",
    ),
    (
        "absolute",
        lambda d: d["components"]["denoiser"].update(path="/etc"),
        r"denoiser\.path is '/etc', expected",
    ),
    (
        "parent",
        lambda d: d["components"]["denoiser"].update(path="a/../../b"),
        r"denoiser\.path is 'a/\.\./\.\./b'",
    ),
    ("backslash", lambda d: d["tokenizers"]["tokenizer"].update(path="..\\x"), r"tokenizer\.path is "),
    ("empty", lambda d: d["tokenizers"]["tokenizer"].update(path=""), r"tokenizer\.path is ''"),
    (
        "no inputs",
        lambda d: d["components"]["denoiser"].update(inputs=[]),
        r"inputs is \[\], expected a non-empty",
    ),
    (
        "shape",
        lambda d: d["components"]["denoiser"]["inputs"][0].update(shape=[1, -1]),
        r"components\.denoiser\.inputs\[0\]\.shape is \[1, -1\], expected a list of positive integers",
    ),
    (
        "dtype",
        lambda d: d["components"]["denoiser"]["outputs"][0].update(dtype="float64"),
        r"outputs\[0\]\.dtype is 'float64', expected one of float16, float32, int32",
    ),
    ("kind", lambda d: d["tokenizers"]["tokenizer"].update(kind="bert"), r"tokenizer\.kind is 'bert'"),
    ("pad", lambda d: d["tokenizers"]["tokenizer"].update(pad_token_id=-1), r"pad_token_id is -1"),
]


@pytest.mark.parametrize(("change", "message"), [row[1:] for row in BAD], ids=[row[0] for row in BAD])
def test_bad_values_are_named(example: dict[str, Any], change: Change, message: str) -> None:
    change(example)
    with pytest.raises(BundleError, match=message):
        Bundle.from_json(example)


@pytest.mark.parametrize("text", ["", "{", "[]", "null", '"x"', "\udcff"])
def test_damaged_files(folder: Path, text: str) -> None:
    (folder / "bundle.json").write_bytes(text.encode("utf-8", "surrogateescape"))
    with pytest.raises(BundleError, match=r"bundle\.json"):
        Bundle.read(folder)


def test_missing_folders(folder: Path, tmp_path: Path) -> None:
    with pytest.raises(BundleError, match=r"there is no bundle at .*convert a model"):
        Bundle.read(tmp_path / "none")
    (folder / "denoiser.mlpackage").rmdir()
    with pytest.raises(BundleError, match=r"components\.denoiser\.path .* folder is missing: .*convert"):
        Bundle.read(folder)
    (folder / "bundle.json").unlink()
    with pytest.raises(BundleError, match=r"has no bundle\.json, it is no bundle"):
        Bundle.read(folder)


def test_describing_a_bundle_imports_neither_numpy_nor_coremltools(folder: Path) -> None:
    program = (
        f"import sys; from tintype.bundle import Bundle; Bundle.read({str(folder)!r}); "
        "print({'numpy', 'coremltools'} & set(sys.modules))"
    )
    done = subprocess.run(
        [sys.executable, "-c", program],
        capture_output=True,
        text=True,
        check=True,
        env={"PYTHONPATH": ":".join(sys.path)},
    )
    assert done.stdout.strip() == "set()"
