"""How far a bundle is from its checkpoint: every component, and the picture, against a float32 conversion.

The only package that uses both `emit` (to make the reference) and `pipeline` (to run it).
"""

from .bundle import MIN_COSINE, MIN_PSNR, Accuracy, record_accuracy, verify_bundle
from .metrics import Agreement

__all__ = ["MIN_COSINE", "MIN_PSNR", "Accuracy", "Agreement", "record_accuracy", "verify_bundle"]
