"""The folder for Apple's Swift pipeline, and that pipeline's loop over it, re-enacted on the engine."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import tintype
from tintype.bundle import Bundle
from tintype.cli.app import run_command
from tintype.emit.apple_sd3 import export_apple_sd3
from tintype.errors import ConversionError, UsageError
from tintype.pipeline.tokenization import load_tokenizer

FILES = [
    "MultiModalDiffusionTransformer.mlpackage", "README.md", "TextEncoder.mlpackage", "TextEncoder2.mlpackage",
    "TextEncoderT5.mlpackage", "VAEDecoder.mlpackage", "VAEEncoder.mlpackage", "compile.sh", "merges.txt",
    "profile.json", "tokenizer.json", "tokenizer_config.json", "vocab.json",
]  # fmt: skip
Array = np.ndarray[Any, Any]


@pytest.fixture(scope="module")
def folder(data: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """sd3-medium-tiny in float32."""
    output = tmp_path_factory.mktemp("apple") / "folder"
    return export_apple_sd3(data / "sd3-medium-tiny", output, precision="float32")


class ApplePipeline:
    """What `StableDiffusion3Pipeline.swift` does between the prompt and the picture: everything is float32,
    ids included, and models are called by the names that it uses."""

    def __init__(self, folder: Path, tokenizers: Bundle) -> None:
        def load(name: str) -> Any:
            return tintype.load_model(folder / f"{name}.mlpackage", backend="mlx")

        self.encoders = [load("TextEncoder"), load("TextEncoder2")]
        self.t5, self.decoder = load("TextEncoderT5"), load("VAEDecoder")
        self.mmdit = load("MultiModalDiffusionTransformer")
        self.tokenizers = [load_tokenizer(tokenizers, f"tokenizer{n}") for n in ("", "_2", "_3")]

    def encode(self, prompt: str) -> tuple[Array, Array]:
        ids = [t.encode(prompt).ids.astype(np.float32) for t in self.tokenizers]
        outputs = [m.predict({"input_ids": i}) for m, i in zip(self.encoders, ids, strict=False)]
        clip = np.concatenate([o["hidden_embeds"] for o in outputs], axis=2)  # (1, 77, D)
        mask = (ids[2] == 0).astype(np.float32)  # 1 on padding
        mask[0, 0] = 0
        t5 = self.t5.predict({"input_ids": ids[2], "attention_mask": mask})["encoder_hidden_states"]
        padded = np.zeros((1, 77, t5.shape[1]), np.float32)
        padded[:, :, : clip.shape[2]] = clip
        tokens = padded.transpose(0, 2, 1)[:, :, None]  # (1, J, 1, 77)
        text = np.concatenate([tokens, t5[..., :77]], axis=3)  # (1, J, 1, 154)
        pooled = np.concatenate([o["pooled_outputs"] for o in outputs], axis=1)  # (1, P)
        return text, pooled[:, :, None, None]

    def draw(self, prompt: str, negative: str, steps: int, guidance: float, noise: Array) -> Array:
        rows = [self.encode(prompt), self.encode(negative)]  # positive first
        text, pooled = (np.concatenate(part) for part in zip(*rows, strict=True))

        def shifted(t: Any) -> Any:
            return 3.0 * t / (1 + 2.0 * t)

        points = np.linspace(shifted(1.0), shifted(0.001), steps)
        sigmas = shifted(points)
        x = noise.astype(np.float32)
        for index, sigma in enumerate(sigmas):
            both = self.mmdit.predict(
                {
                    "latent_image_embeddings": np.concatenate([x, x]),
                    "timestep": np.full(2, 1000 * sigma, np.float32),
                    "token_level_text_embeddings": text,
                    "pooled_text_embeddings": pooled,
                }
            )["denoiser_output"].astype(np.float32)
            velocity = both[1:] + np.float32(guidance) * (both[:1] - both[1:])
            denoised = x - velocity * np.float32(sigma)
            if index == steps - 1:
                x = denoised
            else:
                x = x + (x - denoised) / np.float32(sigma) * np.float32(sigmas[index + 1] - sigma)
        z = x / np.float32(1.5305) + np.float32(0.0609)
        return np.asarray(self.decoder.predict({"z": z})["image"], np.float32)


def test_apples_loop_draws_the_reference(
    folder: Path, data: Path, sd3: Bundle, golden: Callable[[str], dict[str, Array]]
) -> None:
    run = json.loads((data / "sd3-medium-tiny/golden/generate.json").read_text())
    arrays = golden("sd3-medium-tiny/golden/generate")
    pipeline = ApplePipeline(folder, sd3)
    image = pipeline.draw(
        run["prompt"], run["negative_prompt"], run["steps"], run["guidance_scale"], arrays["initial_latent"]
    )
    expected = arrays["image"]
    assert np.abs(image - expected.reshape(image.shape)).max() <= 1e-4 * np.abs(expected).max()


def test_the_same_in_float16(
    data: Path, sd3: Bundle, golden: Callable[[str], dict[str, Array]], tmp_path: Path
) -> None:
    folder = export_apple_sd3(data / "sd3-medium-tiny", tmp_path / "folder")
    run = json.loads((data / "sd3-medium-tiny/golden/generate.json").read_text())
    arrays = golden("sd3-medium-tiny/golden/generate")
    request = (run["prompt"], run["negative_prompt"], run["steps"], run["guidance_scale"])
    image = ApplePipeline(folder, sd3).draw(*request, arrays["initial_latent"])
    error = np.sqrt(np.mean((image - arrays["image"]) ** 2))
    assert 20 * np.log10(np.abs(arrays["image"]).max() / error) >= 40


def test_interfaces(folder: Path) -> None:
    assert sorted(p.name for p in folder.iterdir()) == sorted(FILES)

    def interface(name: str) -> dict[str, tuple[str, tuple[int, ...]]]:
        with tintype.load_model(folder / f"{name}.mlpackage", backend="mlx") as model:
            return {i.name: (i.dtype, i.shape or ()) for i in (*model.inputs, *model.outputs)}

    f = "float32"
    assert interface("TextEncoder") == {"input_ids": (f, (1, 77)), "hidden_embeds": (f, (1, 77, 32)), "pooled_outputs": (f, (1, 32))}  # fmt: skip
    assert interface("TextEncoderT5") == {"input_ids": (f, (1, 77)), "attention_mask": (f, (1, 77)), "encoder_hidden_states": (f, (1, 96, 1, 77))}  # fmt: skip
    assert interface("MultiModalDiffusionTransformer") == {
        "latent_image_embeddings": (f, (2, 16, 16, 16)),
        "timestep": (f, (2,)),
        "token_level_text_embeddings": (f, (2, 96, 1, 154)),
        "pooled_text_embeddings": (f, (2, 80, 1, 1)),
        "denoiser_output": (f, (2, 16, 16, 16)),
    }
    assert interface("VAEDecoder") == {"z": (f, (1, 16, 16, 16)), "image": (f, (1, 3, 128, 128))}
    assert interface("VAEEncoder")["z"] == (f, (1, 3, 128, 128))
    assert json.loads((folder / "tokenizer_config.json").read_text())["tokenizer_class"] == "T5Tokenizer"
    assert "scale 1.5305 and shift 0.0609" in (folder / "README.md").read_text()


def test_command_and_refusals(data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    source = str(data / "sd3-medium-tiny")
    command = ["convert", source, "-o", str(tmp_path / "a"), "--profile", "apple-sd3", "--size", "64x64"]
    assert run_command(command) == 0
    assert "compile.sh" in capsys.readouterr().out
    for option, reason in (
        (["--resume"], "only bundles are resumed"),
        (["--target", "ane"], "its graphs are laid out as the pipeline's inputs are"),
        (["--batch", "2"], "its denoiser always takes both rows"),
        (["--max-chunk", "none"], "the pipeline opens the denoiser as one model"),
        (["--size", "96x96"], "the pipeline opens models of one size"),
        (["--default-steps", "4"], "a run's defaults are the pipeline's own"),
        (["--default-steps", "0"], "a run's defaults are the pipeline's own"),
        (["--max-sequence-length", "0"], "the pipeline reads 77 tokens of T5"),
        (["--self-test"], "only Tintype's pipelines run it"),
        (["--previews"], "only Tintype's pipelines show them"),
    ):
        assert run_command([*command, *option]) == 2
        assert f"{option[0]}" in (error := capsys.readouterr().err)
        assert f"does not go with --profile apple-sd3: {reason}; leave one of them out" in error
    with pytest.raises(UsageError, match=r"auto has to measure: give measure a verify\.Meter"):
        export_apple_sd3(source, tmp_path / "b", quantize="auto")
    with pytest.raises(ConversionError, match="exists"):
        export_apple_sd3(source, tmp_path / "a")
    with pytest.raises(
        UsageError, match="is of the family flux: Apple's pipeline knows Stable Diffusion 3 only"
    ):
        export_apple_sd3(data / "flux-dev-tiny", tmp_path / "b")


def test_some_components_compressed_and_again(
    folder: Path, data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "a"
    command = ["convert", str(data / "sd3-medium-tiny"), "-o", str(out), "--profile", "apple-sd3"]
    command += ["--components", "denoiser,vae_decoder"]
    assert run_command([*command, "--quantize", "denoiser=int8", "--dry-run", "--json"]) == 0
    plan = json.loads(capsys.readouterr().out)
    assert not out.exists()
    assert run_command([*command, "--quiet"]) == 0
    plain = (out / "MultiModalDiffusionTransformer.mlpackage/Data/com.apple.CoreML/weights/weight.bin").stat()
    assert run_command([*command, "--quantize", "denoiser=int8", "--quiet"]) == 1
    assert "exists: choose another output, or allow it to be overwritten" in capsys.readouterr().err
    again = [*command, "--quantize", "denoiser=int8", "--quiet", "--overwrite"]
    assert run_command(again) == 0
    packages = {row["package"]: row for row in plan["packages"]}
    assert sorted(f"{name}.mlpackage" for name in packages) == sorted(p.name for p in out.glob("*.mlpackage"))
    for name, row in packages.items():
        place = out / f"{name}.mlpackage" / "Data/com.apple.CoreML"
        sizes = [(place / file).stat().st_size for file in ("model.mlmodel", "weights/weight.bin")]
        assert sum(sizes) == row["package_bytes"]
    denoiser = out / "MultiModalDiffusionTransformer.mlpackage"
    assert (denoiser / "Data/com.apple.CoreML/weights/weight.bin").stat().st_size < 0.7 * plain.st_size
    assert not (out / "vocab.json").exists()
    assert (
        "compressed (MultiModalDiffusionTransformer int8). How close the p" in (out / "README.md").read_text()
    )
    # The compressed denoiser computes what the float32 one does.
    rng = np.random.default_rng(1)
    outputs = []
    for place in (folder, out):
        with tintype.load_model(place / denoiser.name, backend="mlx") as model:
            inputs = {i.name: rng.standard_normal(i.shape or ()).astype(np.float32) for i in model.inputs}
            outputs.append(model.predict(inputs)["denoiser_output"].astype(np.float64))
        rng = np.random.default_rng(1)
    assert np.corrcoef(outputs[0].ravel(), outputs[1].ravel())[0, 1] > 0.99
    # What is not ours is left alone.
    (out / "profile.json").unlink()
    assert run_command(again) == 1
    assert "has no profile.json of Tintype's, so it is not overwritten" in capsys.readouterr().err


def test_inspect(folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run_command(["inspect", str(folder)]) == 0
    text = capsys.readouterr().out
    assert "sd3-medium-tiny for Apple's pipeline (apple-sd3), float32, 128x128" in text
    assert "latent_image_embeddings float32 [2, 16, 16, 16]" in text
    assert run_command(["inspect", str(folder), "--json"]) == 0
    value = json.loads(capsys.readouterr().out)
    assert sorted(value["packages"]) == sorted(f.removesuffix(".mlpackage") for f in FILES if "mlp" in f)
    assert run_command(["inspect", str(folder), "--neural-engine"]) == 0
    assert "TextEncoderT5" in capsys.readouterr().out
    (tmp_path / "m" / "VAEDecoder.mlmodelc").mkdir(parents=True)
    assert run_command(["inspect", str(tmp_path / "m")]) == 0
    assert "VAEDecoder.mlmodelc: compiled, 0 B; only Core ML on a Mac" in capsys.readouterr().out
