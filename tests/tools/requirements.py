"""Prints groups of requirements from pyproject.toml, one a line, so that they stand in one place only.

Usage: python requirements.py build|dependencies|EXTRA …
"""

import pathlib
import sys

try:
    import tomllib
except ModuleNotFoundError:  # Python 3.10: pip carries its own copy
    from pip._vendor import tomli as tomllib


def main(groups: list[str]) -> None:
    root = pathlib.Path(__file__).resolve().parents[2]
    data = tomllib.loads((root / "pyproject.toml").read_text())
    for group in groups:
        if group == "build":
            rows = data["build-system"]["requires"]
        elif group == "dependencies":
            rows = data["project"]["dependencies"]
        else:
            rows = data["project"]["optional-dependencies"][group]
        print("\n".join(rows))


main(sys.argv[1:])
