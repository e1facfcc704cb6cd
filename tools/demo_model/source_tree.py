"""Gives the training scripts the package's `demo_world` without installing the package.

The package itself loads its engine on import; training needs numpy, PIL and PyTorch alone.
"""

from __future__ import annotations

import importlib.util
import pathlib
import sys
from types import ModuleType

REPOSITORY = pathlib.Path(__file__).resolve().parents[2]
EMBEDDED_MODEL = REPOSITORY / "python" / "tintype" / "_demo_model"


def _load_demo_world() -> ModuleType:
    folder = REPOSITORY / "python" / "tintype" / "demo_world"
    spec = importlib.util.spec_from_file_location(
        "demo_world", folder / "__init__.py", submodule_search_locations=[str(folder)]
    )
    if spec is None or spec.loader is None:
        raise ImportError(f"no package in {folder}")
    module = importlib.util.module_from_spec(spec)
    sys.modules["demo_world"] = module
    spec.loader.exec_module(module)
    return module


demo_world = _load_demo_world()
