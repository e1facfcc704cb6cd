"""Damaged and incomplete bundles, and numbers that are none, through the pipeline."""

import json
import pathlib
import shutil
from typing import Any

import numpy as np
import pytest

from tintype import names
from tintype.bundle import Bundle, Context
from tintype.errors import BundleError, EngineError, InvalidInputError, ModelFileError, ModelFormatError
from tintype.pipeline import Pipeline, stages
from tintype.pipeline.denoising import batches
from tintype.pipeline.families import compose_context, t5_context
from tintype.pipeline.stages import StageModels
from tintype.run import Model, load_model

MODEL = "Data/com.apple.CoreML/model.mlmodel"
WEIGHTS = "Data/com.apple.CoreML/weights/weight.bin"


@pytest.fixture
def copy(demo: Bundle, tmp_path: pathlib.Path) -> pathlib.Path:
    assert demo.root is not None
    return pathlib.Path(shutil.copytree(demo.root, tmp_path / "bundle"))


def edit(bundle: pathlib.Path, change: Any) -> None:
    file = bundle / "bundle.json"
    value = json.loads(file.read_text())
    change(value)
    file.write_text(json.dumps(value))


def draw(bundle: pathlib.Path) -> None:
    Pipeline.load(bundle, backend="mlx").generate("x", steps=1)


def test_something_else_than_a_bundle(tmp_path: pathlib.Path, data: pathlib.Path) -> None:
    with pytest.raises(BundleError, match=r"there is no bundle at .*tintype convert"):
        Pipeline.load(tmp_path / "nothing")
    with pytest.raises(BundleError, match=r"has no bundle.json.*tintype convert"):
        Pipeline.load(data / "sd3-medium-tiny")


@pytest.mark.parametrize(
    "component", ["text_encoder", "text_encoder_2", "modulation", "denoiser", "vae_decoder"]
)
def test_missing_components_are_named_at_once(copy: pathlib.Path, component: str) -> None:
    edit(copy, lambda value: value["components"].pop(component))
    with pytest.raises(BundleError, match=f"'{component}'.*convert the model again"):
        Pipeline.load(copy)


def test_a_missing_package(copy: pathlib.Path) -> None:
    shutil.rmtree(copy / "denoiser.mlpackage")
    with pytest.raises(BundleError, match=r"components.denoiser.path.*missing"):
        Pipeline.load(copy)


def test_a_missing_weight_file(copy: pathlib.Path) -> None:
    (copy / "denoiser.mlpackage" / WEIGHTS).unlink()
    with pytest.raises((ModelFileError, ModelFormatError), match=r"weight.bin"):
        draw(copy)


def test_truncated_weights(copy: pathlib.Path) -> None:
    weights = copy / "vae_decoder.mlpackage" / WEIGHTS
    weights.write_bytes(weights.read_bytes()[:-5000])
    with pytest.raises(ModelFormatError):
        draw(copy)


@pytest.mark.parametrize("position", [0, 100, 5000])
def test_a_corrupted_program(copy: pathlib.Path, position: int) -> None:
    model = copy / "text_encoder.mlpackage" / MODEL
    content = bytearray(model.read_bytes())
    content[position : position + 50] = b"\xff" * 50
    model.write_bytes(content)
    with pytest.raises(EngineError):
        draw(copy)


def test_a_package_that_bundle_json_does_not_describe(copy: pathlib.Path) -> None:
    def change(value: Any) -> None:
        value["components"]["denoiser"]["path"] = "vae_decoder.mlpackage"

    edit(copy, change)
    with pytest.raises(
        BundleError, match=r"vae_decoder.mlpackage has the inputs latent, but bundle.json lists"
    ):
        draw(copy)


def test_packages_that_do_not_fit_are_freed(copy: pathlib.Path, monkeypatch: pytest.MonkeyPatch) -> None:
    loaded: list[Model] = []

    def load(*arguments: Any) -> Model:
        loaded.append(load_model(*arguments))
        return loaded[-1]

    edit(copy, lambda value: value["components"]["denoiser"].update(path="vae_decoder.mlpackage"))
    monkeypatch.setattr(stages, "load_model", load)
    with pytest.raises(BundleError, match="has the inputs"):
        StageModels(Bundle.read(copy)).model(names.DENOISER, "mlx")
    (model,) = loaded
    with pytest.raises(InvalidInputError, match="closed"):
        _ = model.metadata


def test_shapes_that_bundle_json_gets_wrong(copy: pathlib.Path) -> None:
    edit(copy, lambda value: value["latent"].update(channels=4))
    with pytest.raises(EngineError, match="latent"):
        draw(copy)


def test_nan_names_stage_and_backend(demo: Bundle) -> None:
    models = StageModels(demo, "all")
    latent = np.full((1, 8, 16, 16), np.nan, np.float32)
    with pytest.raises(
        EngineError, match="vae_decoder on backend 'mlx' gave NaN or infinite values in 'image'"
    ):
        models.run(names.VAE_DECODER, "mlx", {names.LATENT: latent})


def test_values_beyond_half_precision_are_named(sd3_half: Bundle) -> None:
    models = StageModels(sd3_half, "all")
    latent = np.full((1, 16, 16, 16), 1e5, np.float32)
    with pytest.raises(
        EngineError, match="vae_decoder: input 'latent' reaches 100000, more than float16 holds"
    ):
        models.run(names.VAE_DECODER, "mlx", {names.LATENT: latent})


def test_text_that_does_not_fit_the_context() -> None:
    clip = [np.zeros((1, 5, 3), np.float32), np.zeros((1, 5, 4), np.float32)]
    assert compose_context(clip, None, Context(5, 2, 8)).shape == (1, 7, 8)
    with pytest.raises(BundleError, match="7 channels"):
        compose_context(clip, None, Context(5, 2, 6))
    with pytest.raises(BundleError, match=r"T5 \(2, 9\)"):
        compose_context(clip, np.zeros((1, 2, 9), np.float32), Context(5, 2, 8))
    assert t5_context(clip, np.zeros((1, 2, 8), np.float32), Context(5, 2, 8)).shape == (1, 2, 8)
    with pytest.raises(BundleError, match=r"T5 gives None, but the bundle's context is 2 x 8"):
        t5_context(clip, None, Context(5, 2, 8))


@pytest.mark.parametrize(
    ("rows", "size", "groups"),
    [
        (2, 1, [[0], [1]]),
        (2, 2, [[0, 1]]),
        (1, 1, [[0]]),
        (1, 2, [[0, 0]]),
        (2, 4, [[0, 1, 1, 1]]),
    ],
)
def test_rows_fill_batches(rows: int, size: int, groups: list[list[int]]) -> None:
    assert batches(rows, size) == groups
