"""Conversion: a checkpoint in, a bundle out, without PyTorch. Importing this package imports coremltools."""

from .convert import Progress, convert

__all__ = ["Progress", "convert"]
