"""What happens to a converted bundle before it takes its place."""

import warnings
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from .. import names

if TYPE_CHECKING:
    from ..bundle import Bundle
    from ..verify import Accuracy

__all__ = ["accuracy_gate", "last_steps"]


def last_steps(
    accuracy: Callable[["Bundle"], None] | None,
    self_test: bool | None,
    previews: bool | None,
    neural_engine: float | None,
    probe: bool | None,
) -> Callable[["Bundle"], None]:
    """What happens to a complete bundle before it takes its place: its packages are probed (None: where
    Core ML is Apple's) and held to the share of `neural_engine`, then comes the accuracy gate, then the
    recording of a self-test and of the map for previews, which None leaves to the model's size."""

    def finish(bundle: "Bundle") -> None:
        from ..bundle import Bundle as Described
        from ..verify import (
            SELF_TEST_PARAMETERS,
            can_record,
            fits_quickly,
            gate_backends,
            parameters_to_run,
            record_previews,
            record_self_test,
        )

        # First, since what follows asks Core ML in this process.
        if names.COREML in gate_backends() if probe is None else probe:
            bundle = probed(bundle)
        if neural_engine is not None:
            require_neural_engine(bundle, neural_engine)
        if accuracy is not None:
            accuracy(bundle)
        small = can_record(bundle) and parameters_to_run(bundle) <= SELF_TEST_PARAMETERS
        if bundle.root is None:
            return
        bundle = Described.read(bundle.root)  # with the accuracy that the gate wrote
        if small if self_test is None else self_test:
            bundle = record_self_test(bundle)
        if fits_quickly(bundle) if previews is None else previews:
            record_previews(bundle)

    return finish


def probed(bundle: "Bundle") -> "Bundle":
    """The bundle with its probes; a warning for each that failed."""
    from ..verify import probe_backends, probe_bundle, record_probes

    probes = probe_bundle(bundle, probe_backends())
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


def accuracy_gate(
    source: Path,
    variant: str | None,
    tokenizers: Path | None,
    only_warn: bool,
    lora: Sequence[str] = (),
    measure: "Callable[[Bundle, str], Accuracy] | None" = None,
) -> Callable[["Bundle"], None]:
    """Verifies a bundle against its checkpoint and records the results; ConversionError, or with `only_warn`
    a warning, where a component or the picture is too far off. `measure` takes the place of
    `verify_backends`."""

    def check(bundle: "Bundle") -> None:
        from ..errors import ConversionError
        from ..verify import failed_probes, gate_backends, record_accuracy, verify_backends

        # What ended a child would end this process.
        unsafe = names.COREML if failed_probes(bundle.accuracy, names.COREML) else None
        backends = [backend for backend in gate_backends() if backend != unsafe]
        if measure is not None:
            results = [measure(bundle, backend) for backend in backends]
        else:
            results = verify_backends(
                bundle, source, backends, variant=variant, tokenizers=tokenizers, lora=lora
            )
        record_accuracy(bundle, *results)
        for complaint in (r.complaint for r in results if r.complaint):
            if not only_warn:
                raise ConversionError(
                    f"{complaint}: choose more bits (--quantize), or accept it with --no-gate"
                )
            warnings.warn(complaint, UserWarning, stacklevel=2)

    return check
