"""Benchmarks that ship with the package: `tintype bench --suite NAME`.

Every suite prints its result as a table or as ratios against a peer or a limit measured in the same run, so
that a user can repeat any number of docs/numbers.md with one command.
"""

from .demo import DemoReport, run_demo

__all__ = ["DemoReport", "run_demo"]
