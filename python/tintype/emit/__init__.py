"""Conversion: a checkpoint in, a bundle out, without PyTorch. Importing this package imports coremltools."""

from .convert import Progress, convert
from .dry_run import ConversionPlan, PackagePlan, plan_conversion

__all__ = ["ConversionPlan", "PackagePlan", "Progress", "convert", "plan_conversion"]
