"""`tintype verify`: how far a bundle is from its checkpoint."""

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from ..errors import BundleError, ConversionError
from ..names import BACKENDS, MLX
from .output import echo_json, table

if TYPE_CHECKING:
    from ..bundle import Bundle

__all__ = ["accuracy_text", "verify"]


@click.command(short_help="Compare a bundle with its checkpoint.")
@click.argument("bundle", type=click.Path(path_type=Path))
@click.option(
    "--against", type=click.Path(path_type=Path), metavar="SOURCE", help="The checkpoint to compare with."
)
@click.option("--variant", metavar="NAME", help="As for convert.")
@click.option("--tokenizers", type=click.Path(path_type=Path), metavar="FOLDER", help="As for convert.")
@click.option(
    "--backend", type=click.Choice(BACKENDS), default=MLX, show_default=True, help="What runs the bundle."
)
@click.option("--json", "as_json", is_flag=True, help="Print the results as JSON.")
def verify(
    bundle: Path,
    against: Path | None,
    variant: str | None,
    tokenizers: Path | None,
    backend: str,
    as_json: bool,
) -> int:
    """Compare every component of BUNDLE with a float32 conversion of its checkpoint, on a real run's inputs.

    Results are written into bundle.json; without --against those are shown. Exit code 1 if a component is
    below 35 dB or a cosine of 0.999.
    """
    from ..bundle import Bundle

    described = Bundle.read(bundle)
    if against is not None:
        described = _verified(described, against, backend, variant, tokenizers)
    if not described.accuracy:
        raise BundleError(f"{bundle} was never verified: name its checkpoint with --against")
    if as_json:
        echo_json(described.accuracy)
    else:
        click.echo(accuracy_text(described.accuracy))
    return 0 if described.accuracy.get("passed") else 1


def _verified(
    bundle: "Bundle", against: Path, backend: str, variant: str | None, tokenizers: Path | None
) -> "Bundle":
    from ..verify import record_accuracy, verify_bundle

    if not against.exists():
        raise ConversionError(f"there is nothing at {against}: name the checkpoint that was converted")
    accuracy = verify_bundle(bundle, against, backend=backend, variant=variant, tokenizers=tokenizers)
    return record_accuracy(bundle, accuracy)


def accuracy_text(accuracy: Any) -> str:
    """The results as a table."""
    rows = [
        (name, f"{row['psnr']:.1f}", f"{row['cosine']:.6f}")
        for name, row in [*accuracy["components"].items(), *accuracy["run"].items()]
    ]
    bars = accuracy["bars"]
    verdict = "passed" if accuracy["passed"] else "FAILED"
    values = table(("against float32", "PSNR dB", "cosine"), rows, right=("PSNR dB", "cosine"))
    bar = f"at least {bars['psnr']:g} dB and {bars['cosine']:g}"
    return f"{values}\n{verdict}: components on {accuracy['backend']}, {bar}"
