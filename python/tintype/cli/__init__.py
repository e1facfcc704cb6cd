"""The command line: `tintype generate | convert | inspect | backends | run | bench`.

Only click is imported before a command runs, so that `--help` answers at once.
"""

from .app import cli, main

__all__ = ["cli", "main"]
