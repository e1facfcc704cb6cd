"""What `import tintype` offers, and what it costs."""

import json
import subprocess
import sys

import pytest

import tintype
from tintype import errors

HEAVY = {"numpy", "coremltools", "mlx", "PIL", "rich", "tokenizers", "tintype._bridge"}


def test_all_names_exist_and_are_sorted() -> None:
    assert tintype.__all__ == sorted(tintype.__all__)
    for name in tintype.__all__:
        assert getattr(tintype, name) is not None
    assert set(tintype.__all__) <= set(dir(tintype))


def test_every_exception_is_exported() -> None:
    assert set(errors.__all__) <= set(tintype.__all__)


def test_an_unknown_name_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match="no attribute 'pipline'"):
        _ = tintype.pipline


def test_the_version_is_the_headers() -> None:
    from tintype._bridge import VERSION

    assert tintype.__version__ == VERSION


def loaded(code: str) -> set[str]:
    program = f"{code}\nimport sys, json; print(json.dumps(list(sys.modules)))"
    result = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    return set(json.loads(result.stdout.splitlines()[-1]))


def test_import_loads_nothing_heavy() -> None:
    assert not loaded("import tintype") & HEAVY


def test_the_pipeline_loads_no_converter() -> None:
    modules = loaded("import tintype; tintype.Pipeline; tintype.load_model")
    assert not modules & {"coremltools", "mlx", "tintype.emit"}
