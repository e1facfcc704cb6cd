"""Text to image with a bundle: tokenizers, schedule, noise, guidance, Euler steps, decoding.

Uses `run` for the models and `bundle` for what they are; never imports `emit`.
"""

from .conditioning import PromptCutWarning, TextConditioning
from .image import read_parameters
from .request import GenerationRequest, request_of
from .settings import GenerationSettings
from .stages import StageRun
from .statistics import OpStatistics, StageStatistics
from .text_to_image import Conditioned, GenerationResult, Pipeline, Step, Timings
from .warming import Warmed

__all__ = [
    "Conditioned",
    "GenerationRequest",
    "GenerationResult",
    "GenerationSettings",
    "OpStatistics",
    "Pipeline",
    "PromptCutWarning",
    "StageRun",
    "StageStatistics",
    "Step",
    "TextConditioning",
    "Timings",
    "Warmed",
    "read_parameters",
    "request_of",
]
