"""Runs any `.mlpackage`: `load_model` with a backend, and `backends` for what runs on this machine.

May import `_bridge`, names and errors; the pipeline and the command line are built on it.
"""

from .features import FunctionInfo, TensorInfo
from .loading import FallbackWarning, load_model
from .model import Model, State
from .runtimes import BackendInfo, backends, check_backend, check_units

__all__ = [
    "BackendInfo",
    "FallbackWarning",
    "FunctionInfo",
    "Model",
    "State",
    "TensorInfo",
    "backends",
    "check_backend",
    "check_units",
    "load_model",
]
