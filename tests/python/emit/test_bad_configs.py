"""Configs and tokenizers that are wrong: told before the first weight is written, by the user's file and key."""

import json
import math
import shutil
from pathlib import Path
from typing import Any

import pytest

from tintype import convert
from tintype.errors import CheckpointError, TintypeError, UsageError

NESTED = "[" * 100_000
HUGE = 10**9


@pytest.fixture
def folders(source: Path, data: Path, tmp_path: Path) -> dict[str, Path]:
    ignored = shutil.ignore_patterns("golden", "original")
    flux = shutil.copytree(data / "flux-dev-tiny", tmp_path / "flux", ignore=ignored)
    return {"sd3": source, "flux": Path(flux)}


def refused(folder: Path, message: str) -> None:
    """`convert` raises before it writes a weight, and leaves nothing behind."""
    written: list[Any] = []
    out = folder.parent / "out"
    with pytest.raises(CheckpointError, match=message):
        convert(folder, out / "bundle", size=(64, 64), progress=lambda *row: written.append(row))
    assert written == []
    assert not out.exists() or not list(out.iterdir())


KEYS: list[tuple[str, str, str, Any, str]] = [
    *(
        (
            "sd3",
            "vae/config.json",
            "scaling_factor",
            value,
            rf"scaling_factor is .*, expected a {what} number",
        )
        for value, what in ((math.nan, "finite"), ("1.5", "finite"), (10**400, "finite"), (True, "finite"))
    ),
    ("sd3", "vae/config.json", "scaling_factor", 0, r"scaling_factor is 0\.0, expected a number above 0"),
    (
        "sd3",
        "vae/config.json",
        "scaling_factor",
        1e-320,
        r"scaling_factor is 1e-320, expected a .* at least 1",
    ),
    (
        "sd3",
        "vae/config.json",
        "shift_factor",
        -1e39,
        r"shift_factor is -1e\+39, expected a .*at float32 holds",
    ),
    ("sd3", "vae/config.json", "shift_factor", math.inf, r"vae/config\.json: shift_factor is inf, expected"),
    ("sd3", "vae/config.json", "down_block_types", None, r"down_block_types is None, expected 4 times"),
    ("sd3", "vae/config.json", "layers_per_block", HUGE, r"layers_per_block is 1000000000, expected an int"),
    ("sd3", "text_encoder/config.json", "architectures", 1, r"architectures is 1, expected a list of names"),
    ("sd3", "text_encoder/config.json", "layer_norm_eps", math.nan, r"layer_norm_eps is nan, expected a"),
    ("sd3", "text_encoder_3/config.json", "layer_norm_epsilon", -1, r"is -1\.0, expected a number above 0"),
    *(
        (
            "sd3",
            "transformer/config.json",
            "num_layers",
            value,
            r"num_layers is .*, expected an integer from 1",
        )
        for value in (HUGE, 0, -1, 2.0, "2", True, 10**400, [[1]])
    ),
    ("sd3", "transformer/config.json", "num_attention_heads", 0, r"num_attention_heads is 0, expected an"),
    (
        "sd3",
        "transformer/config.json",
        "patch_size",
        2**21,
        r"patch_size is 2097152, expected an integer from",
    ),
    (
        "sd3",
        "transformer/config.json",
        "sample_size",
        "x",
        r"config\.json: sample_size is 'x', and so expected",
    ),
    ("flux", "transformer/config.json", "num_single_layers", HUGE, r"num_single_layers is 1000000000, expec"),
    ("flux", "transformer/config.json", "axes_dims_rope", [4, 6, True], r"axes_dims_rope is \[4, 6, True\]"),
    *(
        (
            "flux",
            "scheduler/scheduler_config.json",
            key,
            value,
            rf"scheduler_config\.json: {key} is .*, expec",
        )
        for key, value in (
            ("base_shift", math.nan),
            ("max_shift", "1.15"),
            ("base_image_seq_len", 256.5),
            ("max_image_seq_len", 0),
            ("base_image_seq_len", 5000),
            ("time_shift_type", "linear"),
            ("shift", 10**400),
        )
    ),
    ("sd3", "model_index.json", "tintype", {"guidance_scale": math.nan}, r"tintype is .*, expected steps"),
    ("sd3", "model_index.json", "tintype", {"steps": True}, r"tintype is .*, expected steps"),
    *(
        (
            "sd3",
            "tokenizer/tokenizer_config.json",
            "model_max_length",
            value,
            r"tokenizer: model_max_length is",
        )
        for value in ("77", -5, 1, math.nan, [77])
    ),
]


@pytest.mark.parametrize(("family", "file", "key", "value", "message"), KEYS)
def test_keys(folders: dict[str, Path], family: str, file: str, key: str, value: Any, message: str) -> None:
    path = folders[family] / file
    path.write_text(json.dumps(json.loads(path.read_text()) | {key: value}))
    if key != "sample_size":
        return refused(folders[family], message)
    with pytest.raises(CheckpointError, match=message):
        convert(folders[family], folders[family].parent / "out")
    return None


TEXTS: list[tuple[str, str, str]] = [
    (
        "tokenizer/merges.txt",
        "#version: 0.2\na b c\n",
        r"tokenizer: vocab\.json and merges\.txt cannot .*line 2",
    ),
    ("tokenizer_2/merges.txt", "#version: 0.2\nzz qq\n", r"tokenizer_2: .* do not fit each other"),
    ("tokenizer/merges.txt", "\ud800", r"merges\.txt cannot be read as a tokenizer \(.*utf-8"),
    ("tokenizer/vocab.json", '{"a": "b"}', r"the id of 'a' is 'b', not an integer"),
    ("tokenizer/vocab.json", "{}", r"it is no object of tokens and ids"),
    (
        "tokenizer_3/tokenizer.json",
        '{"model": {"type": "Unigram", "vocab": [1]}}',
        r"tokenizer\.json cannot be",
    ),
    *(
        (file, NESTED, r"cannot be read as JSON \(it is nested too deep\): download it again")
        for file in (
            "model_index.json",
            "transformer/config.json",
            "scheduler/scheduler_config.json",
            "tokenizer/vocab.json",
            "tokenizer/tokenizer_config.json",
            "tokenizer_3/tokenizer.json",
        )
    ),
    ("transformer/config.json", "9" * 5000, r"transformer/config\.json cannot be read as JSON"),
]


@pytest.mark.parametrize(("file", "text", "message"), TEXTS)
def test_texts(source: Path, file: str, text: str, message: str) -> None:
    (source / file).write_bytes(text.encode("utf-8", "surrogatepass"))
    refused(source, message)


@pytest.mark.parametrize(
    ("model", "size", "components", "message"),
    [
        (
            "flux-dev-tiny",
            (1_000_000, 1_000_000),
            None,
            r"1000000x1000000 makes a value of \d+ elements in the",
        ),
        (
            "flux-dev-tiny",
            (1_000_000, 1_000_000),
            ["denoiser"],
            "elements in the denoiser, beyond the 2147483",
        ),
        ("flux-dev-tiny", (16, 10**30), None, "0 pixels is beyond 1048576: choose a smaller size"),
        ("flux-dev-tiny", (16, 16 * 10**5000), None, "thousands of digits pixels is beyond 1048576"),
        ("sd3-medium-tiny", (1_000_000, 1_000_000), None, "is beyond 384x384, where the position table ends"),
        ("sd3-medium-tiny", (True, 16), None, "the width is True, expected a positive multiple of 16"),
    ],
)
def test_sizes(
    data: Path, tmp_path: Path, model: str, size: Any, components: list[str] | None, message: str
) -> None:
    with pytest.raises(UsageError, match=message):
        convert(data / model, tmp_path / "out", size=[size], components=components)
    assert list(tmp_path.iterdir()) == []


def test_a_config_beyond_every_tensor(source: Path) -> None:
    """Dimensions that are possible, but not those of the tensors, cost neither time nor memory."""
    path = source / "text_encoder" / "config.json"
    config = json.loads(path.read_text())
    for key in ("vocab_size", "intermediate_size"):
        path.write_text(json.dumps(config | {key: 2**20}))
        with pytest.raises(TintypeError, match=r"text_encoder"):
            convert(source, source.parent / "out", size=(64, 64), components=["text_encoder"])
