"""The account of what a model asked for, and rename tables."""

from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import save_file

from tintype.errors import CheckpointError
from tintype.weights import HUGGING_FACE, Checkpoint, Rename, SafetensorsFile


def checkpoint(
    tmp_path: Path, shapes: dict[str, tuple[int, ...]], renames: tuple[Rename, ...] = ()
) -> Checkpoint:
    tensors = {k: np.full(s, i, np.float32) for i, (k, s) in enumerate(shapes.items())}
    save_file(tensors, tmp_path / "m.safetensors")
    return Checkpoint("transformer", SafetensorsFile(tmp_path / "m.safetensors").tensors, renames)


def test_everything_asked_for_and_right(tmp_path: Path) -> None:
    weights = checkpoint(tmp_path, {"a": (2,), "b": (3, 1)})
    assert weights.get("a", (2,)).shape == (2,)
    weights.get("b", (3, 1))
    weights.check()


def test_all_problems_are_reported_at_once(tmp_path: Path) -> None:
    weights = checkpoint(tmp_path, {"a": (2,), "b": (3, 1), "extra.c": (1,)})
    assert weights.get("a", (4,)).shape == (4,)
    assert weights.get("gone", (5, 6)).shape == (5, 6)
    weights.get("b", (3, 1))
    with pytest.raises(CheckpointError) as caught:
        weights.check()
    text = str(caught.value)
    assert text.startswith("transformer: ")
    assert "1 missing: gone [5, 6]" in text
    assert "1 of the wrong shape: a has [2], expected [4]" in text
    assert "1 unknown: extra.c" in text


def test_long_lists_are_cut(tmp_path: Path) -> None:
    weights = checkpoint(tmp_path, {f"k{i}": (1,) for i in range(40)})
    with pytest.raises(CheckpointError, match=r"40 unknown: k0, .* and 28 more"):
        weights.check()


def test_keys_of_another_part_can_be_ignored(tmp_path: Path) -> None:
    weights = checkpoint(tmp_path, {"decoder.a": (1,), "encoder.b": (1,), "c": (1,)})
    weights.get("decoder.a", (1,))
    with pytest.raises(CheckpointError, match="1 unknown: c"):
        weights.check(("encoder.",))
    with pytest.raises(CheckpointError, match=r"2 unknown: c, encoder\.b"):
        weights.check()
    weights.get("c", (1,))
    weights.check(("encoder.",))


@pytest.mark.parametrize(
    ("folder", "name", "key"),
    [
        ("vae", "decoder.mid_block.attentions.0.query.weight", "decoder.mid_block.attentions.0.to_q.weight"),
        (
            "vae",
            "encoder.mid_block.attentions.0.proj_attn.bias",
            "encoder.mid_block.attentions.0.to_out.0.bias",
        ),
        ("text_encoder_3", "encoder.embed_tokens.weight", "shared.weight"),
        ("text_encoder", "text_model.embeddings.position_ids", None),
        ("transformer", "norm_out.linear.weight", "norm_out.linear.weight"),
    ],
)
def test_rename_rows(tmp_path: Path, folder: str, name: str, key: str | None) -> None:
    weights = checkpoint(tmp_path, {name: (1,)}, HUGGING_FACE[folder])
    assert list(weights.tensors) == ([] if key is None else [key])


def test_a_key_with_the_right_name_wins_over_a_renamed_one(tmp_path: Path) -> None:
    shapes = {"encoder.embed_tokens.weight": (1,), "shared.weight": (1,)}
    weights = checkpoint(tmp_path, shapes, HUGGING_FACE["text_encoder_3"])
    assert weights.get("shared.weight", (1,)).array(np.float32)[0] == 1
    weights.check()


def test_unknown_keys_are_reported_by_their_name_in_the_file(tmp_path: Path) -> None:
    weights = checkpoint(tmp_path, {"old": (1,)}, (Rename("old", "new"),))
    with pytest.raises(CheckpointError, match="1 unknown: old"):
        weights.check()
