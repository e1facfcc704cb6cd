import pytest
from hypothesis import HealthCheck, settings

from . import ctypes_api

_COMMON = {"deadline": None, "database": None, "suppress_health_check": list(HealthCheck)}
settings.register_profile("short", max_examples=3, derandomize=True, **_COMMON)
settings.register_profile("long", max_examples=150, **_COMMON)
if settings.get_current_profile_name() in ("default", "ci"):  # none was asked for
    settings.load_profile("short")


@pytest.fixture(scope="session", autouse=True)
def engine():
    """Every test here needs the engine's library."""
    if ctypes_api.library_path() is None:
        pytest.fail("no engine: pip install . or set TINTYPE_ENGINE_LIBRARY")
    return ctypes_api.api()
