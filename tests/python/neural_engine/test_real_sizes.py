"""The released models' widths at 1024×1024 keep the rules too: chunked attention, wide rows, static shapes.

Graphs only: two blocks of each, and no weights are written.
"""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tintype.emit._milproto import model_bytes
from tintype.emit.weight_file import WeightLayout
from tintype.layers import ComputedWeight, MILProgram
from tintype.models import clip, flux, sd3, t5, vae
from tintype.neural_engine import inspect_package

LATENT = (128, 128)

MEDIUM = {
    "layers": 2, "heads": 24, "head_width": 64, "in_channels": 16, "out_channels": 16, "patch": 2,
    "context_width": 4096, "pooled_width": 2048,
}  # fmt: skip
SD3 = sd3.SD3Config(**MEDIUM, pos_embed_max_size=192, qk_norm=None, dual_attention=())
SD35 = sd3.SD3Config(**MEDIUM, pos_embed_max_size=384, qk_norm="rms_norm", dual_attention=(0,))
SD35_LARGE = sd3.SD3Config(
    **{**MEDIUM, "heads": 38}, pos_embed_max_size=192, qk_norm="rms_norm", dual_attention=()
)
FLUX = flux.FluxConfig(
    layers=1, single_layers=1, heads=24, head_width=128, in_channels=16, out_channels=16, context_width=4096,
    pooled_width=768, guidance=True, axes=(16, 56, 56),
)  # fmt: skip
VAE = vae.VAEConfig(
    image_channels=3, latent_channels=16, channels=(128, 256, 512, 512), blocks_per_stage=2, groups=32,
    scale=1.5305, shift=0.0609, mid_attention=True, quant_conv=False, post_quant_conv=False,
)  # fmt: skip
XXL = t5.T5Config(
    vocab_size=32128, width=4096, head_width=64, heads=64, feed_forward=10240, layers=2, buckets=32,
    max_distance=128, epsilon=1e-6,
)  # fmt: skip
BIG_G = clip.CLIPConfig(
    vocab_size=49408, hidden_size=1280, intermediate_size=5120, layers=2, heads=20, max_positions=77,
    projection=1280, activation="gelu", epsilon=1e-5, eos_token_id=49407,
)  # fmt: skip


class Zeros:
    """A provider of zeros of any shape, made when they are read: never."""

    def get(self, key: str, shape: tuple[int, ...]) -> ComputedWeight:
        return ComputedWeight(key, shape, lambda: np.zeros(shape, np.float32))

    def __contains__(self, key: object) -> bool:
        return True


OPTIONS: dict[str, Any] = {"precision": "float16", "target": "ane"}
MODELS: dict[str, Callable[[], MILProgram]] = {
    "sd3 medium": lambda: sd3.build_denoiser(SD3, Zeros(), latent=LATENT, tokens=333, **OPTIONS),
    "sd3.5 medium": lambda: sd3.build_denoiser(SD35, Zeros(), latent=LATENT, tokens=333, **OPTIONS),
    "sd3.5 large": lambda: sd3.build_denoiser(SD35_LARGE, Zeros(), latent=LATENT, tokens=333, **OPTIONS),
    "flux": lambda: flux.build_denoiser(FLUX, Zeros(), latent=LATENT, tokens=512, **OPTIONS),
    "vae decoder": lambda: vae.build_decoder(VAE, Zeros(), latent=LATENT, **OPTIONS),
    "vae encoder": lambda: vae.build_encoder(VAE, Zeros(), latent=LATENT, **OPTIONS),
    "t5 xxl": lambda: t5.build(XXL, Zeros(), tokens=256, **OPTIONS),
    "clip g": lambda: clip.build(BIG_G, Zeros(), tokens=77, **OPTIONS),
}


@pytest.mark.parametrize("name", MODELS)
def test_all_work_keeps_the_rules(name: str, tmp_path: Path) -> None:
    file = tmp_path / "m.mlpackage" / "Data" / "com.apple.CoreML" / "model.mlmodel"
    file.parent.mkdir(parents=True)
    file.write_bytes(model_bytes(MODELS[name](), WeightLayout()))
    report = inspect_package(tmp_path / "m.mlpackage")
    assert report.clean_flops == report.flops
    assert {m.op for m in report.misses} <= {"gather", "equal"}


def test_the_denoiser_computes_what_its_layers_say(tmp_path: Path) -> None:
    """Two blocks of SD3 medium: products of the projections, the attention and the MLPs, by hand."""
    file = tmp_path / "m.mlpackage" / "Data" / "com.apple.CoreML" / "model.mlmodel"
    file.parent.mkdir(parents=True)
    file.write_bytes(model_bytes(MODELS["sd3 medium"](), WeightLayout()))
    image, text, width = 4096, 333, 1536
    tokens = image + text
    projections = (
        2 * 4 * (tokens * width**2) * 2 - 2 * text * width**2
    )  # q, k, v, out; no text out at the end
    attention = 2 * 2 * 2 * tokens**2 * width
    mlps = 2 * 2 * (4 * width**2) * (2 * image + text)
    ends = 2 * image * (64 * width) + 2 * text * 4096 * width + 2 * image * width * 64
    expected = projections + attention + mlps + ends
    flops = inspect_package(tmp_path / "m.mlpackage").flops
    assert expected < flops < 1.04 * expected
