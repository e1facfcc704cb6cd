"""Previews of the steps: Python and Swift show the same, with the bundle's map and with one that each fits itself."""

import pathlib
import shutil
import subprocess
from collections.abc import Callable

import numpy as np
import pytest
from PIL import Image

import tintype
from tintype.bundle import Bundle
from tintype.pipeline import Step
from tintype.verify import record_previews

PROMPT = "a red circle above a blue square"
STEPS = 2


def swift_previews(cli: pathlib.Path, bundle: pathlib.Path, out: pathlib.Path) -> list[np.ndarray]:
    arguments = [
        *("generate", PROMPT, "--model", bundle, "--backend", "mlx", "--steps", STEPS, "--guidance-scale", 1),
        *("--seed", 3, "--output", out / "image.png", "--preview-folder", out),
    ]
    subprocess.run([cli, *map(str, arguments)], capture_output=True, check=True)
    pictures = []
    for step in range(1, STEPS + 1):
        with Image.open(out / f"step-{step}.png") as image:
            pictures.append(np.asarray(image.convert("RGB")))
    return pictures


def python_previews(bundle: pathlib.Path) -> list[np.ndarray]:
    with tintype.Pipeline.load(bundle, backend="mlx") as pipeline:
        events = pipeline.steps(PROMPT, steps=STEPS, guidance_scale=1, seed=3, preview_interval=1)
        return [np.asarray(e.preview) for e in events if isinstance(e, Step)]


@pytest.mark.parametrize("recorded", [True, False], ids=["the bundle's map", "fitted by each"])
@pytest.mark.parametrize("name", ["demo", "flux-dev-tiny"])
def test_previews_are_the_same(
    name: str,
    recorded: bool,
    make_bundle: Callable[..., Bundle],
    swift_cli: pathlib.Path,
    tmp_path: pathlib.Path,
) -> None:
    source = make_bundle(*(("demo", "float16") if name == "demo" else (name,))).root
    bundle = pathlib.Path(shutil.copytree(source, tmp_path / "bundle"))
    if recorded:
        record_previews(Bundle.read(bundle))
    pairs = zip(swift_previews(swift_cli, bundle, tmp_path), python_previews(bundle), strict=True)
    for swift, python in pairs:
        assert swift.shape == python.shape
        assert python.std() > 1, "a blank preview proves nothing"
        assert np.abs(swift.astype(np.int16) - python.astype(np.int16)).max() <= 1
