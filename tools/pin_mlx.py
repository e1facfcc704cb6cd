"""Pins another MLX in pyproject.toml, in all of its places, to build and test against it.

Usage: python tools/pin_mlx.py VERSION|newest
"""

import json
import pathlib
import re
import subprocess
import sys

PROJECT = pathlib.Path(__file__).resolve().parents[1] / "pyproject.toml"
PIN = re.compile(r"\"(?P<name>mlx(?:\[\w+\])?)==(?P<version>[\w.]+);")


def newest() -> str:
    """The newest release that pip finds for this system."""
    command = "install --dry-run --ignore-installed --no-deps --quiet --report - mlx"
    report = subprocess.check_output([sys.executable, "-m", "pip", *command.split()])
    return str(json.loads(report)["install"][0]["metadata"]["version"])


def pinned(text: str, version: str) -> tuple[str, str]:
    """pyproject.toml's text with another version of MLX, and the version that it had."""
    (before,) = {match["version"] for match in PIN.finditer(text)}
    return PIN.sub(lambda match: f'"{match["name"]}=={version};', text), before


def main(version: str) -> None:
    chosen = newest() if version == "newest" else version
    if not re.fullmatch(r"\d+(\.\w+)+", chosen):
        sys.exit(f"pin_mlx: '{chosen}' is no version; expected one such as 0.32.4, or newest")
    text, before = pinned(PROJECT.read_text(), chosen)
    PROJECT.write_text(text)
    print(f"mlx {chosen}; pinned before: {before}")


if __name__ == "__main__":
    if len(sys.argv) != 2:
        sys.exit(__doc__)
    main(sys.argv[1])
