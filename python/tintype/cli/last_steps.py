"""What happens to a converted bundle before it takes its place."""

import warnings
from collections.abc import Callable
from typing import TYPE_CHECKING

from .. import names
from .output import Progress

if TYPE_CHECKING:
    from ..bundle import Bundle

__all__ = ["checks", "last_steps"]


def checks(
    accuracy: Callable[["Bundle"], None] | None,
    neural_engine: float | None,
    probe: bool | None,
    progress: Progress | None = None,
) -> Callable[["Bundle"], None]:
    """What complete packages have to pass: they are probed (None: where Core ML is Apple's) and held to the
    share of `neural_engine`, then comes the accuracy gate."""

    def check(bundle: "Bundle") -> None:
        from ..verify import gate_backends

        # First, since what follows asks Core ML in this process.
        if names.COREML in gate_backends() if probe is None else probe:
            bundle = probed(bundle, progress)
        if neural_engine is not None:
            require_neural_engine(bundle, neural_engine)
        if accuracy is not None:
            accuracy(bundle)

    return check


def last_steps(
    accuracy: Callable[["Bundle"], None] | None,
    self_test: bool | None,
    previews: bool | None,
    neural_engine: float | None,
    probe: bool | None,
    progress: Progress | None = None,
) -> Callable[["Bundle"], None]:
    """What happens to a complete bundle before it takes its place: `checks`, then the recording of a
    self-test and of the map for previews, which None leaves to the model's size."""
    check = checks(accuracy, neural_engine, probe, progress)

    def finish(bundle: "Bundle") -> None:
        from ..bundle import Bundle as Described
        from ..verify import (
            SELF_TEST_PARAMETERS,
            can_record,
            fits_quickly,
            parameters_to_run,
            record_previews,
            record_self_test,
        )

        check(bundle)
        small = can_record(bundle) and parameters_to_run(bundle) <= SELF_TEST_PARAMETERS
        if bundle.root is None:
            return
        bundle = Described.read(bundle.root)  # with the accuracy that the gate wrote
        if small if self_test is None else self_test:
            bundle = record_self_test(bundle)
        if fits_quickly(bundle) if previews is None else previews:
            record_previews(bundle)

    return finish


def probed(bundle: "Bundle", progress: Progress | None) -> "Bundle":
    """The bundle with its probes; a warning for each that failed."""
    from ..verify import probe_backends, probe_bundle, record_probes

    probes = probe_bundle(bundle, probe_backends(), progress=progress)
    for probe in probes:
        if not probe.passed:
            warnings.warn(f"probe of {probe.text}", UserWarning, stacklevel=2)
    return record_probes(bundle, probes)


def require_neural_engine(bundle: "Bundle", share: float) -> None:
    """ConversionError if a package has less of its work on the Neural Engine."""
    from ..errors import ConversionError
    from ..neural_engine import hold_to
    from .neural_engine import bundle_packages

    complaint = hold_to(share, bundle_packages(bundle)).complaint
    if complaint:
        raise ConversionError(
            f"{complaint}: convert with --target ane, name fewer components, or lower the bar"
        )
