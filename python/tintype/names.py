"""Names that cross the package's borders: components, their inputs and outputs, backends, files.

A leaf module: `emit`, `models`, `run`, `pipeline` and `cli` may import it; it imports nothing. The Swift
package holds the same names in `Tintype/BundleNames.swift`; docs/bundle_format.md explains them.
"""

from typing import Final

BUNDLE_FORMAT: Final = "tintype-bundle"
BUNDLE_FORMAT_VERSION: Final = 2
BUNDLE_FILE: Final = "bundle.json"

#: In a folder that `--profile` wrote: what it is.
PROFILE_FILE: Final = "profile.json"

#: The profile of Apple's ml-stable-diffusion.
APPLE_SD3: Final = "apple-sd3"

SD3: Final = "sd3"
FLUX: Final = "flux"

FLOW_MATCH_EULER: Final = "flow_match_euler"
FLOW_MATCH_LINEAR: Final = "flow_match_linear"
FLOW_MATCH_DYNAMIC: Final = "flow_match_dynamic"

TEXT_ENCODER: Final = "text_encoder"
TEXT_ENCODER_2: Final = "text_encoder_2"
TEXT_ENCODER_3: Final = "text_encoder_3"
MODULATION: Final = "modulation"
DENOISER: Final = "denoiser"
VAE_DECODER: Final = "vae_decoder"
VAE_ENCODER: Final = "vae_encoder"

#: Every component, in the order in which a bundle lists them.
COMPONENTS: Final = (
    TEXT_ENCODER,
    TEXT_ENCODER_2,
    TEXT_ENCODER_3,
    MODULATION,
    DENOISER,
    VAE_DECODER,
    VAE_ENCODER,
)

#: What `--components` accepts; the modulation always comes with the denoiser.
SELECTABLE_COMPONENTS: Final = tuple(c for c in COMPONENTS if c != MODULATION)

INPUT_IDS: Final = "input_ids"
HIDDEN_STATES: Final = "hidden_states"
POOLED: Final = "pooled"
TIMESTEP_FEATURES: Final = "timestep_features"
GUIDANCE_FEATURES: Final = "guidance_features"
MODULATION_ROWS: Final = "modulation"
LATENT: Final = "latent"
CONTEXT: Final = "context"
VELOCITY: Final = "velocity"
IMAGE: Final = "image"
MOMENTS: Final = "moments"

TOKENIZER: Final = "tokenizer"
TOKENIZER_2: Final = "tokenizer_2"
TOKENIZER_3: Final = "tokenizer_3"

#: How weights can be stored in fewer bits; `compress.recipes` says what they mean.
QUANTIZE_RECIPES: Final = ("int8", "int4", "palette4", "palette6", "palette8")

AUTO: Final = "auto"
COREML: Final = "coreml"
MLX: Final = "mlx"
BACKENDS: Final = (AUTO, COREML, MLX)

#: What a backend and compute units are chosen for.
STAGES: Final = ("text_encoder", "denoiser", "vae")

#: Core ML compute units by their short name, with the value of `tt_compute_units`.
COMPUTE_UNITS: Final = {"all": 0, "cpu": 1, "gpu": 2, "ane": 3}


def size_function(width: int, height: int) -> str:
    """The name of a package's function for pictures of width x height, where there are several sizes."""
    return f"size_{width}x{height}"
