"""Latents and noise that `tintype generate` writes beside its pictures."""

import pathlib

import numpy as np
import pytest
from safetensors.numpy import load_file

from tintype.bundle import Bundle
from tintype.cli.app import run_command
from tintype.pipeline import Pipeline


def generate(bundle: Bundle, folder: pathlib.Path, *options: object) -> int:
    model = ["--model", str(bundle.root), "--backend", "mlx", "--steps", "2", "--quiet"]
    return run_command(["generate", "x", *model, "-o", str(folder / "a.png"), *map(str, options)])


def test_the_noise_draws_the_latents_again(sd3: Bundle, tmp_path: pathlib.Path) -> None:
    latents, noise = tmp_path / "latents.npy", tmp_path / "noise.safetensors"
    options = ["--seed", 3, "--count", 2, "--latents-out", latents, "--noise-out", noise]
    assert generate(sd3, tmp_path, *options) == 0
    assert sorted(p.name for p in tmp_path.iterdir()) == sorted(
        f"{name}-{n}.{kind}"
        for name, kind in (("a", "png"), ("latents", "npy"), ("noise", "safetensors"))
        for n in (1, 2)
    )
    expected = np.random.RandomState(3).standard_normal((2, 16, 16, 16)).astype(np.float32)
    with Pipeline.load(sd3, backend="mlx") as pipeline:
        for index in range(2):
            rows = load_file(tmp_path / f"noise-{index + 1}.safetensors")
            assert list(rows) == ["noise"]
            np.testing.assert_array_equal(rows["noise"], expected[index : index + 1])
            written = np.load(tmp_path / f"latents-{index + 1}.npy")
            assert (written.dtype, written.shape) == (np.float32, (1, 16, 16, 16))
            again = pipeline.generate("x", steps=2, latents=rows["noise"])
            np.testing.assert_array_equal(again.latents, written)


def test_one_picture_has_files_as_named(sd3: Bundle, tmp_path: pathlib.Path) -> None:
    latents = tmp_path / "l.safetensors"
    assert generate(sd3, tmp_path, "--latents-out", latents) == 0
    assert sorted(p.name for p in tmp_path.iterdir()) == ["a.png", "l.safetensors"]
    assert load_file(latents)["latents"].shape == (1, 16, 16, 16)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--latents-out", "l.bin"], "--latents-out is l.bin, expected a name that ends with .npy or .safetensors"),
        (["--noise-out", "no/n.npy"], "the folder no does not exist: make it, or name another file"),
        (["--noise-out", "n.npy", "--latents-out", "n.npy"], "--noise-out is n.npy, the file of --latents-out, too"),
        (["--noise-out", "folder.npy"], "is a directory"),
    ],
)  # fmt: skip
def test_files_that_cannot_be(
    sd3: Bundle,
    tmp_path: pathlib.Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    options: list[str],
    message: str,
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "folder.npy").mkdir()
    assert generate(sd3, tmp_path, *options) == 2
    assert message in capsys.readouterr().err
    assert [p.name for p in tmp_path.iterdir()] == ["folder.npy"]


def test_several_prompts_would_share_them(
    sd3: Bundle, tmp_path: pathlib.Path, capsys: pytest.CaptureFixture[str]
) -> None:
    prompts = tmp_path / "prompts.txt"
    prompts.write_text("a\nb\n")
    arguments = ["generate", "--prompt-file", str(prompts), "--noise-out", str(tmp_path / "n.npy")]
    assert run_command([*arguments, "-o", str(tmp_path / "a.png")]) == 2
    assert "are of one PROMPT: leave --prompt-file out, or them" in capsys.readouterr().err
