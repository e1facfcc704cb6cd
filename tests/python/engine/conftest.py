import pytest

from . import ctypes_api


@pytest.fixture(scope="session", autouse=True)
def engine():
    """Every test here needs the engine's library."""
    if ctypes_api.library_path() is None:
        pytest.fail("no engine: pip install . or set TINTYPE_ENGINE_LIBRARY")
    return ctypes_api.api()
