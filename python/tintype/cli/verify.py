"""`tintype verify`: how far a bundle is from its checkpoint."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from ..errors import BundleError, UsageError
from ..files import check_writable
from ..names import BACKENDS, MLX, PROFILE_FILE
from .output import echo_json, one_size, progress_bar, table

if TYPE_CHECKING:
    from ..bundle import Bundle
    from ..verify import SizeChoice

__all__ = ["accuracy_text", "show_ranges", "show_self_test", "verify"]

#: Values that the text shows a component.
SHOWN_RANGES = 5


def _sizes(context: click.Context, parameter: click.Parameter, values: tuple[str, ...]) -> "SizeChoice":
    return "all" if "all" in values else tuple(one_size(value) for value in values)


@click.command(short_help="Compare a bundle with its checkpoint.")
@click.argument("bundle", type=click.Path(path_type=Path))
@click.option(
    "--against", type=click.Path(path_type=Path), metavar="SOURCE", help="The checkpoint to compare with."
)
@click.option("--variant", metavar="NAME", help="As for convert.")
@click.option(
    "--tokenizers",
    type=click.Path(path_type=Path, file_okay=False),
    metavar="FOLDER|ID",
    help="As for convert: a Hugging Face folder, or the id of a model on the Hub.",
)
@click.option(
    "--lora", multiple=True, metavar="FILE[:SCALE]", help="The LoRAs that the bundle was converted with."
)
@click.option(
    "--backend",
    "backends",
    type=click.Choice(BACKENDS),
    multiple=True,
    default=(MLX,),
    show_default=True,
    help="What runs the bundle; several times for several.",
)
@click.option(
    "--size",
    "sizes",
    multiple=True,
    metavar="WxH|all",
    callback=_sizes,
    help="Measure this size, too, or all; several times for several. [default: the default size alone]",
)
@click.option(
    "--ranges", is_flag=True, help="Show the largest values that the ops make, against float16's 65504."
)
@click.option(
    "--self-test",
    is_flag=True,
    help="Run the bundle's recorded denoiser step on the backend; record one first if it has none.",
)
@click.option(
    "--probe",
    is_flag=True,
    help="Load every package on the backend and run it once, in a process of its own.",
)
@click.option(
    "--previews",
    is_flag=True,
    help="Fit the small pictures of a run's steps to the bundle's VAE, and keep the map.",
)
@click.option("--json", "as_json", is_flag=True, help="Print the results as JSON.")
@click.option("--quiet", is_flag=True, help="Draw no progress bar.")
def verify(
    bundle: Path,
    against: Path | None,
    variant: str | None,
    tokenizers: Path | None,
    lora: tuple[str, ...],
    backends: tuple[str, ...],
    sizes: "SizeChoice",
    ranges: bool,
    self_test: bool,
    probe: bool,
    previews: bool,
    as_json: bool,
    quiet: bool,
) -> int:
    """Compare every component of BUNDLE with a float32 conversion of its checkpoint, on a real run's inputs.

    BUNDLE may be a folder of convert --profile apple-sd3. Results are written into bundle.json (profile.json
    there), a row a backend; without --against those are shown. Of the sizes
    that are not measured the functions are looked at. Exit code 1 if a
    component or the picture is below 35 dB or a cosine of 0.999, or, with --ranges, if an op overflows, or,
    with --self-test, if the backend's step is not the recorded one, or, with --probe, if a package does not
    run.
    """
    checkpoint = {"--against": against, "--variant": variant, "--tokenizers": tokenizers, "--lora": lora}
    tasks = {"--ranges": ranges, "--self-test": self_test, "--probe": probe, "--previews": previews}
    _check_tasks(
        [option for option, given in tasks.items() if given],
        [option for option, given in checkpoint.items() if given],
        bool(sizes),
    )
    described = _described(bundle)
    if described.root is not None and (against is not None or probe) and not ranges:
        check_writable(described.root / described.FILE)  # before what takes minutes
    if described.FILE == PROFILE_FILE and (self_test or previews):
        raise BundleError(
            f"{bundle} is a folder for Apple's pipeline: {'--previews' if previews else '--self-test'} is of "
            "bundles, which Tintype's pipelines run; leave it out, or convert without --profile"
        )
    if previews:
        return fit_previews(described, as_json)
    if probe:
        return show_probes(described, backends, as_json, quiet)
    if self_test:
        return show_self_test(described, backends, as_json)
    if ranges:
        return show_ranges(described, against, variant, tokenizers, as_json, lora, quiet)
    if against is not None:
        described = _verified(described, against, backends, sizes, variant, tokenizers, lora, quiet)
    if not described.accuracy.get("backends"):
        raise BundleError(f"{bundle} was never verified: name its checkpoint with --against")
    if as_json:
        echo_json(described.accuracy)
    else:
        click.echo(accuracy_text(described.accuracy))
    return 0 if described.accuracy.get("passed") else 1


def _described(place: Path) -> "Bundle":
    """The bundle at `place`, or the folder for Apple's pipeline."""
    from ..apple_folder import AppleFolder
    from ..bundle import Bundle

    return (AppleFolder if (place / PROFILE_FILE).is_file() else Bundle).read(place)


def _check_tasks(tasks: Sequence[str], checkpoint: Sequence[str], sizes: bool) -> None:
    """UsageError for options that would be passed over, of the `tasks` and `checkpoint` options given."""
    if sizes and (tasks or "--against" not in checkpoint):
        raise UsageError(
            "--size is measured against a checkpoint: name it with --against, and nothing else to do"
        )
    if len(tasks) > 1:
        raise UsageError(f"{' and '.join(tasks)} are tasks of their own: name one at a time")
    if checkpoint and tasks and tasks[0] != "--ranges":
        raise UsageError(f"{tasks[0]} looks at the bundle alone: leave {checkpoint[0]} out")
    if checkpoint and "--against" not in checkpoint:
        raise UsageError(f"{checkpoint[0]} says how to read a checkpoint: name it with --against")


def _verified(
    bundle: "Bundle",
    against: Path,
    backends: Sequence[str],
    sizes: "SizeChoice",
    variant: str | None,
    tokenizers: Path | None,
    lora: Sequence[str],
    quiet: bool,
) -> "Bundle":
    from ..verify import record_accuracy, verify_backends

    files: dict[str, Any] = {"variant": variant, "tokenizers": tokenizers, "lora": lora}
    with progress_bar(quiet) as progress:
        results = verify_backends(bundle, against, backends, sizes=sizes, **files, progress=progress)
    return record_accuracy(bundle, *results)


def accuracy_text(accuracy: Any) -> str:
    """The results as a table a backend."""
    return "\n\n".join(_backend_text(name, row) for name, row in accuracy["backends"].items())


def _backend_text(backend: str, accuracy: Any) -> str:
    measured = {"": accuracy, **{f" at {size}": row for size, row in accuracy.get("sizes", {}).items()}}
    rows = [
        (f"{name}{place}", f"{row['psnr']:.1f}", f"{row['cosine']:.6f}")
        for place, values in measured.items()
        for name, row in [*values["components"].items(), *values["run"].items()]
    ]
    bars = accuracy["bars"]
    verdict = "passed" if accuracy["passed"] else "FAILED"
    values = table(("against float32", "PSNR dB", "cosine"), rows, right=("PSNR dB", "cosine"))
    held = "components and picture" if accuracy["run"] else "components"
    bar = f"at least {bars['psnr']:g} dB and {bars['cosine']:g}"
    return f"{values}\n{verdict}: {held} on {backend}, {bar}"


def show_self_test(bundle: "Bundle", backends: Sequence[str], as_json: bool) -> int:
    """Run the recorded step, recorded now if there is none; 1 if a backend does not reproduce it."""
    from ..names import DENOISER
    from ..verify import record_self_test, run_self_test

    recorded = bundle.component(DENOISER).self_test is None
    bundle = record_self_test(bundle) if recorded else bundle
    rows: list[dict[str, Any]] = []
    passed = True
    for backend in backends:
        result = run_self_test(bundle, backend)
        passed = passed and result.passed
        rows.append({"recorded": recorded, **result.to_json()})
        if not as_json:
            verdict = "passed" if result.passed else "FAILED"
            click.echo(
                f"self-test {verdict} on {result.backend}: error {result.error:.2g} of the largest value, "
                f"at most {result.tolerance:g}{' (recorded now)' if recorded else ''}"
            )
    if as_json:
        echo_json(rows[0] if len(rows) == 1 else rows)
    return 0 if passed else 1


def show_probes(bundle: "Bundle", backends: Sequence[str], as_json: bool, quiet: bool) -> int:
    """Probe the packages and record how it went; 1 if one did not run."""
    from ..verify import probe_bundle, record_probes

    with progress_bar(quiet) as progress:
        probes = probe_bundle(bundle, backends, progress=progress)
    recorded = record_probes(bundle, probes).accuracy["probes"]
    if as_json:
        echo_json(recorded)
    else:
        for probe in probes:
            click.echo(probe.text)
    return 0 if all(probe.passed for probe in probes) else 1


def fit_previews(bundle: "Bundle", as_json: bool) -> int:
    """Fit the map for previews, again if there is one."""
    from ..verify import record_previews

    file = record_previews(bundle).preview
    if as_json:
        echo_json({"preview": file})
    else:
        click.echo(f"fitted to the bundle's VAE: {file}")
    return 0


def show_ranges(
    bundle: "Bundle",
    against: Path | None,
    variant: str | None,
    tokenizers: Path | None,
    as_json: bool,
    lora: Sequence[str] = (),
    quiet: bool = False,
) -> int:
    """Print the largest values of every component; 1 if one overflows its dtype."""
    from ..verify import FLOAT16_MAX, audit_ranges

    if against is None:
        raise UsageError("--ranges builds the graphs again: name their checkpoint with --against")
    files: dict[str, Any] = {"variant": variant, "tokenizers": tokenizers, "lora": lora}
    with progress_bar(quiet) as progress:
        found = audit_ranges(bundle, against, **files, progress=progress)
    overflowing = [row for row in found if row.overflows]
    if as_json:
        echo_json({"float16_max": FLOAT16_MAX, "ranges": [row.to_json() for row in found]})
        return 1 if overflowing else 0
    rows = []
    for component in dict.fromkeys(row.component for row in found):
        for row in [r for r in found if r.component == component][:SHOWN_RANGES]:
            share = f"{100 * row.largest / FLOAT16_MAX:.2f} %" if row.dtype == "float16" else "-"
            rows.append((component, row.op, row.dtype, f"{row.largest:.5g}", share))
    head = ("component", "op", "dtype", "largest", "of 65504")
    click.echo(table(head, rows, right=("largest", "of 65504")))
    click.echo(f"{len(overflowing)} of {len(found)} values overflow")
    return 1 if overflowing else 0
