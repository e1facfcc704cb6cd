"""The command group, and what happens to errors: one line on stderr and an exit code, never a traceback."""

import logging
import os
import sys
import traceback
import warnings
from collections.abc import Sequence
from typing import Any

import click

from ..errors import BackendUnavailable, TintypeError, UsageError
from .backends import backends
from .bench import bench
from .convert import convert
from .generate import generate
from .inspect import inspect
from .run import run
from .signals import ended_by_signals
from .verify import verify
from .warm import warm

__all__ = ["EXIT_FAILURE", "EXIT_INTERRUPTED", "EXIT_UNAVAILABLE", "EXIT_USAGE", "cli", "main"]

EXIT_FAILURE, EXIT_USAGE, EXIT_UNAVAILABLE, EXIT_INTERRUPTED = 1, 2, 3, 130

EPILOG = """\b
Exit codes: 0 done, 1 failed, 2 wrong usage, 3 the backend is not available on this machine, 130 interrupted.
Environment: TINTYPE_CACHE names the folder for converted models, TINTYPE_DEBUG=1 shows tracebacks."""


def _version(context: click.Context, parameter: click.Parameter, wanted: bool) -> None:
    if wanted:
        from .. import __version__

        click.echo(f"tintype {__version__}")
        context.exit()


@click.group(
    epilog=EPILOG, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 110}
)
@click.option("--debug", is_flag=True, expose_value=False, help="Show tracebacks of errors.")
@click.option(
    "--version", is_flag=True, is_eager=True, expose_value=False, callback=_version, help="Show the version."
)
def cli() -> None:
    """Draw pictures with diffusion transformers on Core ML or MLX, and convert models for both."""


for command in (generate, convert, inspect, verify, backends, run, warm, bench):
    cli.add_command(command)


def main(arguments: Sequence[str] | None = None) -> None:
    """Entry point of the `tintype` command."""
    sys.exit(run_command(arguments))


def run_command(arguments: Sequence[str] | None = None) -> int:
    """Runs a command line and returns its exit code."""
    given = list(sys.argv[1:] if arguments is None else arguments) or ["--help"]
    warnings.showwarning = _show_warning
    warnings.simplefilter("always", UserWarning)
    _show_log(logging.WARNING if "--quiet" in given else logging.INFO)
    try:
        with ended_by_signals():
            result: Any = cli.main(given, prog_name="tintype", standalone_mode=False)
            sys.stdout.flush()
    except click.Abort:
        return _fail("interrupted", EXIT_INTERRUPTED)
    except click.ClickException as error:
        # click's usage lines would hide the reason: one line, as for every other error.
        context = getattr(error, "ctx", None)
        hint = f" (see `{context.command_path} --help`)" if context is not None else ""
        return _fail(error.format_message() + hint, EXIT_USAGE)
    except BrokenPipeError:
        # The reader of our output went away; nothing is left to say, also not at exit.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return EXIT_FAILURE
    except Exception as error:
        wanted = os.environ.get("TINTYPE_DEBUG", "").lower() not in ("", "0", "false", "no")
        return _report(error, wanted or "--debug" in given)
    return result if isinstance(result, int) else 0


def _report(error: Exception, debug: bool) -> int:
    if debug:
        traceback.print_exc()
    if isinstance(error, UsageError):
        return _fail(str(error), EXIT_USAGE)
    if isinstance(error, BackendUnavailable):
        return _fail(str(error), EXIT_UNAVAILABLE)
    if isinstance(error, TintypeError):
        return _fail(str(error), EXIT_FAILURE)
    if isinstance(error, OSError):
        named = error.filename is not None and error.strerror is not None
        return _fail(f"{error.filename}: {error.strerror}" if named else str(error), EXIT_FAILURE)
    if isinstance(error, MemoryError):
        return _fail("there is not enough memory for this", EXIT_FAILURE)
    return _fail(f"internal error ({type(error).__name__}: {error}); --debug shows where", EXIT_FAILURE)


def _fail(message: str, code: int) -> int:
    click.echo(f"tintype: error: {' '.join(message.split())}", err=True)
    return code


class _Echo(logging.Handler):
    """What takes time, for those who wonder, as it begins."""

    def emit(self, record: logging.LogRecord) -> None:
        click.echo(f"tintype: {record.getMessage()}", err=True)


def _show_log(level: int) -> None:
    logger = logging.getLogger("tintype")
    logger.handlers, logger.propagate = [_Echo()], False
    logger.setLevel(level)


def _show_warning(message: Warning | str, category: type[Warning], *place: Any, **more: Any) -> None:
    if issubclass(category, UserWarning):
        click.echo(f"tintype: warning: {' '.join(str(message).split())}", err=True)
