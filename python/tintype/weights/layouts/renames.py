"""Rename tables: keys of the Hugging Face layout → the names in `tintype.models`, as rows of data.

The models use the names of current diffusers and transformers, so few rows are needed here.
"""

from collections.abc import Mapping

from ... import names
from ..checkpoint import Rename

__all__ = ["HUGGING_FACE"]

CLIP = (
    # A buffer of positions 0 … L − 1 that older transformers saved.
    Rename(r"text_model\.embeddings\.position_ids", None),
    # CLIPTextModel as transformers 5 saves it, without the model's own prefix.
    Rename(r"((?:embeddings|encoder|final_layer_norm)\..*)", r"text_model.\1"),
)

T5 = (
    # The token table under its other name; both may be saved.
    Rename(r"encoder\.embed_tokens\.weight", "shared.weight"),
)

VAE = (
    # Attention as diffusers named it before 0.15.
    Rename(r"(.*\.attentions\.\d+\.)query(\.\w+)", r"\1to_q\2"),
    Rename(r"(.*\.attentions\.\d+\.)key(\.\w+)", r"\1to_k\2"),
    Rename(r"(.*\.attentions\.\d+\.)value(\.\w+)", r"\1to_v\2"),
    Rename(r"(.*\.attentions\.\d+\.)proj_attn(\.\w+)", r"\1to_out.0\2"),
)

#: Rows by the folder of the layout.
HUGGING_FACE: Mapping[str, tuple[Rename, ...]] = {
    names.TEXT_ENCODER: CLIP,
    names.TEXT_ENCODER_2: CLIP,
    names.TEXT_ENCODER_3: T5,
    "transformer": (),
    "vae": VAE,
}
