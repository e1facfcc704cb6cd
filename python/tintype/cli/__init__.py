"""The command line: `tintype generate | convert | inspect | verify | warm | backends | run | bench`.

Only click is imported before a command runs, so that `--help` answers at once.
"""

from collections.abc import Sequence

__all__ = ["main"]


def main(arguments: Sequence[str] | None = None) -> None:
    """Entry point of the `tintype` command; `arguments` take the place of the process's."""
    try:
        # Imported here, so that Ctrl-C in the first moments ends as quietly as later.
        from .app import main as run
    except KeyboardInterrupt:
        raise SystemExit(130) from None
    run(arguments)
