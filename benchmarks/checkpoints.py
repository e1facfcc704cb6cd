"""Checkpoints of released models' shapes with random weights, for the benchmark of conversion."""

import json
import math
import os
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
from safetensors.numpy import save_file

from tintype.layers import ComputedWeight
from tintype.models import cuts, flux, sd3

__all__ = ["DTYPES", "MODELS", "make_checkpoint", "make_lora", "parameters"]

#: dtype → its name in the format, bytes of an element.
DTYPES = {"float16": ("F16", 2), "bfloat16": ("BF16", 2), "float32": ("F32", 4)}

Shapes = dict[str, tuple[int, ...]]

SD3_MEDIUM = {
    "_class_name": "SD3Transformer2DModel",
    "attention_head_dim": 64,
    "caption_projection_dim": 1536,
    "in_channels": 16,
    "joint_attention_dim": 4096,
    "num_attention_heads": 24,
    "num_layers": 24,
    "patch_size": 2,
    "pooled_projection_dim": 2048,
    "pos_embed_max_size": 192,
    "sample_size": 128,
}
#: FLUX.1-dev's widths in a third of its 19 double and 38 single blocks.
FLUX_THIRD = {
    "_class_name": "FluxTransformer2DModel",
    "attention_head_dim": 128,
    "axes_dims_rope": [16, 56, 56],
    "guidance_embeds": True,
    "in_channels": 64,
    "joint_attention_dim": 4096,
    "num_attention_heads": 24,
    "num_layers": 7,
    "num_single_layers": 13,
    "pooled_projection_dim": 768,
}
CLIP = {
    "vocab_size": 8, "num_hidden_layers": 2, "num_attention_heads": 1, "hidden_act": "gelu",
    "intermediate_size": 8, "architectures": ["CLIPTextModelWithProjection"],
}  # fmt: skip
CLIP_L = {**CLIP, "hidden_size": 768, "projection_dim": 768}
TOKENIZER = {"model_max_length": 77}
AUTOENCODER = {
    "_class_name": "AutoencoderKL",
    "block_out_channels": [128, 256, 512, 512],
    "latent_channels": 16,
    "layers_per_block": 2,
    "scaling_factor": 1.5305,
    "shift_factor": 0.0609,
}
SCHEDULER = {"_class_name": "FlowMatchEulerDiscreteScheduler", "shift": 3.0}
SHARED = {
    "text_encoder/config.json": CLIP_L,
    "tokenizer/tokenizer_config.json": TOKENIZER,
    "scheduler/scheduler_config.json": SCHEDULER,
    "vae/config.json": AUTOENCODER,
}
#: model → its folder's JSON files; the parts that are not converted have configs only.
MODELS: Mapping[str, Mapping[str, Mapping[str, Any]]] = {
    "sd3": {
        **SHARED,
        "text_encoder_2/config.json": {**CLIP, "hidden_size": 1280, "projection_dim": 1280},
        "tokenizer_2/tokenizer_config.json": TOKENIZER,
        "transformer/config.json": SD3_MEDIUM,
        "model_index.json": {"_class_name": "StableDiffusion3Pipeline"},
    },
    "flux": {
        **SHARED,
        "text_encoder/config.json": {**CLIP_L, "architectures": ["CLIPTextModel"]},
        "transformer/config.json": FLUX_THIRD,
        "model_index.json": {"_class_name": "FluxPipeline"},
    },
}
WEIGHTS = "transformer/diffusion_pytorch_model.safetensors"


class _Asked:
    """Notes the shapes that a model asks for."""

    def __init__(self) -> None:
        self.shapes: Shapes = {}

    def get(self, key: str, shape: tuple[int, ...]) -> ComputedWeight:
        self.shapes[key] = shape
        return ComputedWeight(key, shape, lambda: np.zeros(shape, np.float32))

    def __contains__(self, key: object) -> bool:
        return True


def shapes(model: str) -> Shapes:
    """Every tensor of the model's transformer: what its graphs ask for."""
    family: Any = {"sd3": sd3, "flux": flux}[model]
    config_of: Callable[..., Any] = {"sd3": sd3.SD3Config, "flux": flux.FluxConfig}[model].from_json
    config, asked = config_of(MODELS[model]["transformer/config.json"], "transformer"), _Asked()
    family.build_modulation(config, asked, precision="float16", batch=1, target="gpu")
    rows = {"main": family.DenoiserRow(config, (128, 128), 256, 1, "float16")}
    list(cuts.build_chunks(rows, asked, precision="float16", target="gpu", max_bytes=None, finish=id))
    return asked.shapes


def parameters(model: str) -> int:
    """Elements of all tensors of the model's transformer."""
    return sum(math.prod(shape) for shape in shapes(model).values())


def make_checkpoint(folder: Path, model: str, dtype: str) -> Path:
    """The Hugging Face folder `folder`, made unless it is there, and in it the transformer's file."""
    file = folder / WEIGHTS
    if file.is_file():
        return file
    for name, content in MODELS[model].items():
        parts = {path.split("/")[0]: ["library", "class"] for path in MODELS[model] if "/" in path}
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(json.dumps({**content, **(parts if name == "model_index.json" else {})}))
    draft = file.with_suffix(".draft")
    _write_weights(draft, shapes(model), dtype)
    os.replace(draft, file)
    return file


def make_lora(file: Path, model: str, rank: int) -> Path:
    """A LoRA in diffusers' layout on every linear layer of the model's blocks, with random factors."""
    rng, factors = np.random.default_rng(1), {}
    for key, shape in shapes(model).items():
        if "blocks." in key and key.endswith(".weight") and len(shape) == 2:
            layer = f"transformer.{key.removesuffix('.weight')}"
            for half, size in (("lora_A", (rank, shape[1])), ("lora_B", (shape[0], rank))):
                factors[f"{layer}.{half}.weight"] = (rng.standard_normal(size) / 100).astype(np.float16)
    save_file(factors, file)
    return file


def _write_weights(path: Path, tensors: Shapes, dtype: str) -> None:
    """A safetensors file with one random block repeated through all tensors."""
    kind, size = DTYPES[dtype]
    header: dict[str, Any] = {}
    offset = 0
    for name, shape in tensors.items():
        end = offset + math.prod(shape) * size
        header[name] = {"dtype": kind, "shape": list(shape), "data_offsets": [offset, end]}
        offset = end
    text = json.dumps(header).encode()
    text += b" " * (-len(text) % 8)
    values = np.random.default_rng(0).standard_normal(1 << 22).astype(np.float32) / 40
    block = {
        "float16": lambda: values.astype(np.float16).tobytes(),
        "bfloat16": lambda: (values.view(np.uint32) >> 16).astype(np.uint16).tobytes(),
        "float32": values.tobytes,
    }[dtype]()
    with path.open("wb") as file:
        file.write(len(text).to_bytes(8, "little") + text)
        for begin in range(0, offset, len(block)):
            file.write(block[: offset - begin])
        os.fsync(file.fileno())
