"""The public key layouts of LoRA files as rows of data: a key → component, layer and half of a pair.

    transformer.transformer_blocks.0.attn.to_q.lora_A.weight           diffusers (PEFT's names)
    base_model.model.transformer_blocks.0.attn.to_q.lora_A.weight      PEFT
    transformer.transformer_blocks.0.attn.to_q.lora.down.weight        diffusers before PEFT
    lora_unet_joint_blocks_0_x_block_attn_qkv.lora_down.weight         Kohya: publishers' names, '.' as '_'
    lora_unet_double_blocks_0_img_attn_qkv.lora_down.weight            (`.alpha` beside the halves)
    lora_te1_text_model_encoder_layers_0_self_attn_q_proj.lora_down.weight
    lora_transformer_transformer_blocks_0_attn_to_q.lora_down.weight   OneTrainer: diffusers', '.' as '_'
    diffusion_model.double_blocks.0.img_attn.qkv.lora_A.weight         the publishers' names as they are
                                                                       (ComfyUI; text_encoders.clip_l. …)

Nothing is read here. The publishers' fused layers are those of `original_keys`.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from ... import names
from ..layouts import original_keys
from ..layouts.original_keys import Row

__all__ = ["ALPHA", "DOWN", "UP", "LayerNames", "LoraKey", "Piece", "read_key", "trained_on", "unsupported"]

DOWN, UP, ALPHA = "down", "up", "alpha"
TRANSFORMER = "transformer"

#: Ends of keys → what they hold of a layer. A word between `lora_A` and `weight` is PEFT's adapter name.
HALVES = (
    (r"\.(?:lora_A(?:\.\w+)?|lora_down|lora\.down|lora_linear_layer\.down)\.weight", DOWN),
    (r"\.(?:lora_B(?:\.\w+)?|lora_up|lora\.up|lora_linear_layer\.up)\.weight", UP),
    (r"(?:\.lora)?\.alpha", ALPHA),
)

#: Beginnings of keys → the folder of the Hugging Face layout.
PREFIXES = (
    ("transformer.", TRANSFORMER),
    ("model.diffusion_model.", TRANSFORMER),
    ("diffusion_model.", TRANSFORMER),
    ("lora_unet_", TRANSFORMER),
    ("lora_transformer_", TRANSFORMER),
    ("lycoris_", TRANSFORMER),
    ("text_encoder.", names.TEXT_ENCODER),
    ("text_encoder_2.", names.TEXT_ENCODER_2),
    ("text_encoder_3.", names.TEXT_ENCODER_3),
    ("text_encoders.clip_l.transformer.", names.TEXT_ENCODER),
    ("text_encoders.clip_g.transformer.", names.TEXT_ENCODER_2),
    ("text_encoders.t5xxl.transformer.", names.TEXT_ENCODER_3),
    ("lora_te_", names.TEXT_ENCODER),
    ("lora_te1_", names.TEXT_ENCODER),
    ("lora_te2_", names.TEXT_ENCODER_2),
    ("lora_te3_", names.TEXT_ENCODER_3),
)
PEFT = "base_model.model."

#: Parts of keys that belong to something else than a pair of low-rank factors.
UNSUPPORTED = (
    (r"\.(?:dora_scale|lora_magnitude_vector(?:\..*)?)$", "DoRA"),
    (r"\.hada_[wt]\d", "LoHa"),
    (r"\.lokr_[wt]\d", "LoKr"),
    (r"\.lora_mid\.", "LoCon (a convolution's core)"),
    (r"\.oft_", "OFT"),
    (r"\.[ab][12]\.weight$", "GLoRA"),
    (r"\.lora_embedding_[AB]", "LoRA of an embedding table"),
    (r"\.(?:lora_[AB]|lora_up|lora_down)(?:\.\w+)?\.bias$", "LoRA with biases"),
    (r"\.(?:diff|diff_b|set_weight|w_norm|b_norm)$", "full differences of weights"),
)

#: Parts of layers' names that only one family has.
FAMILY_MARKS = (
    (r"joint_blocks[._]", "Stable Diffusion 3"),
    (r"(?:double_blocks|single_blocks|single_transformer_blocks)[._]", "FLUX.1"),
    (
        r"(?:down_blocks|up_blocks|mid_block|input_blocks|output_blocks|middle_block)[._]",
        "Stable Diffusion 1, 2 or XL",
    ),
)

#: The publishers' transformers by family.
ROWS: Mapping[str, Sequence[Row]] = {names.SD3: original_keys.SD3, names.FLUX: original_keys.FLUX}


@dataclass(frozen=True)
class LoraKey:
    """`half` (DOWN, UP or ALPHA) of the layer `layer`, as the file calls it, in the folder `component`."""

    component: str
    layer: str
    half: str


@dataclass(frozen=True)
class Piece:
    """Rows of the product that belong to the weight `key`: pieces `numbers`, in order, of `shares`."""

    key: str
    shares: tuple[int, ...] = (1,)
    numbers: tuple[int, ...] = (0,)

    def rows(self, total: int) -> tuple[tuple[int, int], ...]:
        """The rows [begin, end) of each piece of `total` rows, which the shares divide."""
        unit = total // sum(self.shares)
        begins = [unit * sum(self.shares[:n]) for n in self.numbers]
        return tuple((b, b + unit * self.shares[n]) for b, n in zip(begins, self.numbers, strict=True))


def read_key(key: str) -> LoraKey | None:
    """What a key of a LoRA file names; None if it ends as no public layout does."""
    for pattern, half in HALVES:
        match = re.fullmatch(rf"(.*?){pattern}", key)
        if match is None:
            continue
        layer = match[1].removeprefix(PEFT)
        for prefix, component in PREFIXES:
            if layer.startswith(prefix):
                return LoraKey(component, layer[len(prefix) :].removeprefix(PEFT), half)
        return LoraKey(TRANSFORMER, layer, half)
    return None


def unsupported(key: str) -> str | None:
    """What kind of adapter `key` belongs to, if it is one that cannot be merged."""
    return next((kind for pattern, kind in UNSUPPORTED if re.search(pattern, key)), None)


def trained_on(keys: Sequence[str]) -> str | None:
    """The family that `keys` name, if one of them is told by its blocks."""
    found = [name for pattern, name in FAMILY_MARKS if any(re.search(pattern, key) for key in keys)]
    return found[0] if len(found) == 1 else None


class LayerNames:
    """The layers of one component by every name that LoRA files have for them."""

    def __init__(self, weights: Sequence[str], family: str, *, transformer: bool) -> None:
        """`weights` are the models' keys that end in `.weight`."""
        layers = [key.removesuffix(".weight") for key in weights]
        self._names = {layer.replace(".", "_"): layer for layer in layers} | {n: n for n in layers}
        if not transformer:  # transformers 5 leaves the first module out
            self._names |= {n.removeprefix("text_model."): n for n in layers}
        blocks = [int(m[1]) for m in (re.match(r"transformer_blocks\.(\d+)\.", n) for n in layers) if m]
        last = str(max(blocks, default=0))
        rows = ROWS[family] if transformer else ()
        # In Kohya's layout every dot of a publisher's name is an underscore.
        self._rows = [
            (re.compile(row.pattern.replace("{last}", last).replace(r"\.", "[._]")), row) for row in rows
        ]

    def pieces(self, layer: str) -> tuple[Piece, ...]:
        """The weights that the layer `layer` of a LoRA file changes; none if it is unknown."""
        if layer in self._names:
            return (Piece(f"{self._names[layer]}.weight"),)
        for pattern, row in self._rows:
            match = pattern.fullmatch(f"{layer}.weight")
            if match is not None:
                found = tuple(Piece(match.expand(key), row.shares, numbers) for key, numbers in row.targets)
                return found if all(p.key.removesuffix(".weight") in self._names for p in found) else ()
        return ()
