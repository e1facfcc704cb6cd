"""The names that LoRA files have for layers."""

from pathlib import Path

import pytest

from tintype.weights import SafetensorsFile
from tintype.weights.lora.keys import LayerNames, LoraKey, read_key, trained_on, unsupported


@pytest.mark.parametrize(
    ("key", "expected"),
    [
        ("transformer.a.b.lora_A.weight", LoraKey("transformer", "a.b", "down")),
        ("base_model.model.a.b.lora_B.weight", LoraKey("transformer", "a.b", "up")),
        ("transformer.base_model.model.a.lora_B.default.weight", LoraKey("transformer", "a", "up")),
        ("text_encoder_2.a.b.lora_linear_layer.down.weight", LoraKey("text_encoder_2", "a.b", "down")),
        ("text_encoder.a.lora.up.weight", LoraKey("text_encoder", "a", "up")),
        ("lora_unet_a_b.alpha", LoraKey("transformer", "a_b", "alpha")),
        ("lora_te1_a_b.lora_up.weight", LoraKey("text_encoder", "a_b", "up")),
        ("lora_te3_a_b.lora_down.weight", LoraKey("text_encoder_3", "a_b", "down")),
        ("lycoris_a_b.lora_down.weight", LoraKey("transformer", "a_b", "down")),
        ("text_encoders.clip_l.transformer.a.lora_A.weight", LoraKey("text_encoder", "a", "down")),
        ("transformer_blocks.0.lora_A.weight", LoraKey("transformer", "transformer_blocks.0", "down")),
        ("a.weight", None),
    ],
)
def test_keys(key: str, expected: LoraKey | None) -> None:
    assert read_key(key) == expected


def test_other_adapters_and_families() -> None:
    assert unsupported("lora_unet_x.hada_w2_b") == "LoHa"
    assert unsupported("transformer.x.lora_A.weight") is None
    assert trained_on(["lora_unet_joint_blocks_0_x_block_mlp_fc1.alpha"]) == "Stable Diffusion 3"
    assert trained_on(["transformer.single_transformer_blocks.0.x", "double_blocks.1.y"]) == "FLUX.1"
    assert trained_on(["transformer.transformer_blocks.0.x"]) is None


def test_unknown_layers_have_no_pieces() -> None:
    names = LayerNames(["transformer_blocks.0.attn.to_q.weight"], "sd3", transformer=True)
    assert [p.key for p in names.pieces("transformer_blocks_0_attn_to_q")] == [
        "transformer_blocks.0.attn.to_q.weight"
    ]
    assert names.pieces("transformer_blocks.1.attn.to_q") == ()
    # A fused layer of which a part is not in the model.
    assert names.pieces("joint_blocks_0_x_block_attn_qkv") == ()


@pytest.mark.parametrize(
    ("family", "model", "file", "start"),
    [
        ("sd3", "sd3.5-medium-tiny", "sd3_incl_clips_t5xxl.safetensors", "model.diffusion_model."),
        ("flux", "flux-dev-tiny", "flux1.safetensors", ""),
    ],
)
def test_every_layer_has_a_kohya_name(data: Path, family: str, model: str, file: str, start: str) -> None:
    """All linear layers of a publisher's file, each weight of the model once."""
    own = SafetensorsFile(data / model / "transformer/diffusion_pytorch_model.safetensors").tensors
    weights = [key for key, tensor in own.items() if key.endswith(".weight") and len(tensor.shape) > 1]
    names = LayerNames(weights, family, transformer=True)
    found = []
    for key, tensor in SafetensorsFile(data / model / "original" / file).tensors.items():
        if key.startswith(start) and key.endswith(".weight") and len(tensor.shape) > 1:
            layer = key.removeprefix(start).removesuffix(".weight")
            for name in (f"lora_unet_{layer.replace('.', '_')}", f"diffusion_model.{layer}"):
                read = read_key(f"{name}.lora_down.weight")
                assert read is not None
                assert (read.component, read.half) == ("transformer", "down")
                pieces = names.pieces(read.layer)
                assert pieces, name
            found += [piece.key for piece in pieces]
    assert sorted(found) == sorted(weights)
