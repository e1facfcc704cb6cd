"""How far a bundle is from its checkpoint: every component, and the picture, against a float32 conversion.

The only package that uses both `emit` (to make the reference) and `pipeline` (to run it).
"""

from .bundle import MIN_COSINE, MIN_PSNR, Accuracy, record_accuracy, verify_bundle
from .metrics import Agreement
from .ranges import FLOAT16_MAX, Range, audit_ranges

__all__ = [
    "FLOAT16_MAX",
    "MIN_COSINE",
    "MIN_PSNR",
    "Accuracy",
    "Agreement",
    "Range",
    "audit_ranges",
    "record_accuracy",
    "verify_bundle",
]
