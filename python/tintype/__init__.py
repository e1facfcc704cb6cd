"""Diffusion transformers on Apple hardware: Core ML or MLX, chosen per call.

    import tintype
    image = tintype.Pipeline.load().generate("a red circle above a blue square").image
    outputs = tintype.load_model("any.mlpackage", backend="mlx").predict({"x": array})

Everything here is loaded on first use, so that `import tintype` costs nothing.
"""

import importlib
from typing import TYPE_CHECKING, Any

from .errors import (
    BackendUnavailable,
    BundleError,
    Cancelled,
    CheckpointError,
    ConversionError,
    EngineError,
    InvalidInputError,
    ModelFileError,
    ModelFormatError,
    OutOfMemoryError,
    TintypeError,
    UnsupportedModelError,
    UsageError,
)

if TYPE_CHECKING:
    from .bundle import Bundle
    from .emit import ConversionPlan, plan_conversion
    from .pipeline import GenerationRequest, GenerationResult, GenerationSettings, Pipeline
    from .run import BackendInfo, Model, backends, load_model
    from .verify.gate import convert

__all__ = [
    "BackendInfo",
    "BackendUnavailable",
    "Bundle",
    "BundleError",
    "Cancelled",
    "CheckpointError",
    "ConversionError",
    "ConversionPlan",
    "EngineError",
    "GenerationRequest",
    "GenerationResult",
    "GenerationSettings",
    "InvalidInputError",
    "Model",
    "ModelFileError",
    "ModelFormatError",
    "OutOfMemoryError",
    "Pipeline",
    "TintypeError",
    "UnsupportedModelError",
    "UsageError",
    "backends",
    "convert",
    "load_model",
    "plan_conversion",
]

_LAZY = {
    "BackendInfo": ".run",
    "Bundle": ".bundle",
    "ConversionPlan": ".emit",
    "GenerationRequest": ".pipeline",
    "GenerationResult": ".pipeline",
    "GenerationSettings": ".pipeline",
    "Model": ".run",
    "Pipeline": ".pipeline",
    "backends": ".run",
    "convert": ".verify.gate",
    "load_model": ".run",
    "plan_conversion": ".emit",
}


def __getattr__(name: str) -> Any:
    if name == "__version__":
        from ._bridge import VERSION

        return VERSION
    if name not in _LAZY:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = getattr(importlib.import_module(_LAZY[name], __name__), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__, "__version__"})
