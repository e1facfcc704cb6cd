"""The gate of a conversion: a bundle is measured before it takes its place, unless that takes too long."""

import functools
import inspect
import logging
import math
import os
import shlex
import shutil
import warnings
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Any, ParamSpec

from .. import names
from ..apple_folder import AppleFolder
from ..bundle import Bundle
from ..emit import convert as ungated
from ..emit.staging import is_full
from ..errors import CheckpointError, ConversionError, EngineError, UsageError
from ..neural_engine import inspect_package
from ..pipeline.families import FAMILIES
from ..run import backends
from ..values import bytes_text
from .apple import as_called
from .bundle import STEPS, Accuracy, gate_backends, record_accuracy, reference_components, verify_backends
from .meter import Meter
from .probe import failed_probes

if TYPE_CHECKING:
    from ..emit import Progress
    from ..emit.loras import LoraChoices

__all__ = ["AccuracyGate", "convert"]

P = ParamSpec("P")

LOGGER = logging.getLogger("tintype")

#: What a gate is told as its conversion is, and a meter.
GATE_OPTIONS = ("variant", "tokenizers", "lora", "progress")
METER_OPTIONS = (*GATE_OPTIONS, "components", "batch")

#: A conversion measures unasked what is reckoned to take no longer than this, in seconds.
MOST_SECONDS = 60.0
#: The float32 reference's share of the machine's memory and of the disk's free bytes, at most.
MOST_SHARE = 0.5
#: Floating-point operations a second that a core, or a GPU, is reckoned with: assumptions, the GPU's below
#: what Apple publishes of the M1 (2.6e12).
CORE_RATE, GPU_RATE = 25e9, 1e12
#: Bytes a second at which the reference is written and read.
DISK_RATE = 0.4e9
#: Latent pixels of a token's side.
PATCH = 2
#: Seconds for its graphs.
START_SECONDS = 2.0


class AccuracyGate:
    """What `convert` takes as `gate`: measures the bundle against its checkpoint, and records it.

    Arguments are those of `convert`. `force` measures whatever it takes; otherwise `skipped` says why a
    bundle was not measured, with the command that does, and is empty where it was, and for float32 bundles,
    which are what others are measured against. `only_warn` makes a failure a warning. `measure` takes the
    place of `verify_backends` (`Meter.accuracy`). `progress` hears what that tells; the log says once that
    measuring begins.
    """

    def __init__(
        self,
        source: "str | Path",
        output: "str | Path",
        *,
        variant: str | None = None,
        tokenizers: "str | Path | None" = None,
        lora: "LoraChoices" = (),
        force: bool = False,
        only_warn: bool = False,
        measure: "Callable[[Bundle, str, Progress | None], Accuracy] | None" = None,
        progress: "Progress | None" = None,
    ) -> None:
        self._source, self._output = source, output
        self._variant, self._tokenizers, self._lora = variant, tokenizers, lora
        self._force, self._only_warn, self._measure = force, only_warn, measure
        self._progress = progress
        self.skipped = ""

    def __call__(self, bundle: Bundle) -> None:
        """Measure on `gate_backends`; ConversionError naming what is below a bar."""
        # What ended a child would end this process.
        unsafe = names.COREML if failed_probes(bundle.accuracy, names.COREML) else None
        chosen = [backend for backend in gate_backends() if backend != unsafe]
        if self._measure is None and not self._force:
            if _is_reference(bundle):
                return
            reason = self._obstacle(bundle, len(chosen))
            if reason:
                self._skip(reason)
                return
        LOGGER.info("measuring the bundle against float32")
        try:
            results = self._results(bundle, chosen)
        except (CheckpointError, ConversionError, UsageError) as error:
            if is_full(error.__cause__):
                raise ConversionError(
                    f"{error}, or leave the measuring out with --no-verify (in Python: gate=None)"
                ) from error.__cause__
            if self._force or not _absent(bundle):
                raise
            self._skip(f"its inputs come from components that cannot be converted ({error})")
            return
        except EngineError as error:
            self._complain(f"the float32 conversion itself does not run: {error}", "correct the checkpoint")
            return
        record_accuracy(bundle, *results)
        compressed = any(component.compression for component in bundle.components.values())
        precise = "--target gpu --precision float32" if bundle.target == "ane" else "--precision float32"
        remedy = "choose more bits (--quantize)" if compressed else f"choose {precise}"
        for complaint in (r.complaint for r in results if r.complaint):
            self._complain(complaint, remedy)

    def _results(self, bundle: Bundle, chosen: Sequence[str]) -> list[Accuracy]:
        if self._measure is not None:
            return [self._measure(bundle, backend, self._progress) for backend in chosen]
        return verify_backends(
            bundle,
            self._source,
            chosen,
            variant=self._variant,
            tokenizers=self._tokenizers,
            lora=self._lora,
            progress=self._progress,
        )

    def _complain(self, complaint: str, remedy: str) -> None:
        if not self._only_warn:
            python = "gate=verify.AccuracyGate(source, output, only_warn=True)"
            raise ConversionError(f"{complaint}: {remedy}, or accept it with --no-gate (in Python: {python})")
        warnings.warn(complaint, UserWarning, stacklevel=3)

    def _skip(self, reason: str) -> None:
        self.skipped = f"accuracy was not measured: {reason}; {self._command()} measures it"

    def _obstacle(self, bundle: Bundle, runs: int) -> str:
        """Why the bundle is not measured unasked; empty if nothing speaks against it."""
        try:
            absent = self._absent_parameters(bundle)
        except (CheckpointError, UsageError) as error:
            return f"its inputs come from components that the source lacks ({error})"
        if absent is None:
            return "its inputs come from components that would have to be downloaded"
        parameters = absent + sum(component.parameters for component in bundle.components.values())
        size, root = 4 * parameters, bundle.root
        assert root is not None  # a conversion's bundle is on disk
        for what, there in (("memory", _memory()), ("free disk", shutil.disk_usage(root.parent).free)):
            if size > MOST_SHARE * there:
                sizes = f"{bytes_text(size)}, more than half of the {bytes_text(there)} of {what}"
                return f"the float32 model has {sizes}"
        for estimate in (_least_seconds, _seconds):  # the first reads no graph
            seconds = estimate(bundle, absent, runs)
            if seconds > MOST_SECONDS:
                return f"it takes {_duration(seconds)} or more, unasked is measured up to {MOST_SECONDS:g} s"
        return ""

    def _absent_parameters(self, bundle: Bundle) -> int | None:
        """Parameters of what the reference has beyond the bundle; None where they are not on this machine."""
        absent = _absent(bundle)
        if not absent:
            return 0
        from ..emit.convert import open_checkpoint
        from ..emit.families import FAMILIES as SOURCES

        if not all(Path(place).exists() for place in (self._source, self._tokenizers or self._source)):
            return None  # on the Hub
        source = open_checkpoint(self._source, absent, self._variant, self._tokenizers)
        folders = SOURCES[source.pipeline].folders(absent)
        source.check_parts(folders)
        tensors = [t for folder in folders for t in source.weights(folder).tensors.values()]
        return sum(math.prod(tensor.shape) for tensor in tensors)

    def _command(self) -> str:
        words = ["tintype", "verify", str(self._output), "--against", str(self._source)]
        words += ["--variant", self._variant] if self._variant else []
        words += ["--tokenizers", str(self._tokenizers)] if self._tokenizers else []
        for lora in (self._lora,) if isinstance(self._lora, str | Path) else self._lora:
            words += ["--lora", f"{lora[0]}:{lora[1]:g}" if isinstance(lora, tuple) else str(lora)]
        return f"`{shlex.join(words)}`"


def _gated(function: Callable[P, Bundle]) -> Callable[P, Bundle]:
    """A conversion whose `gate`, where the caller names none, is an `AccuracyGate`, and whose `measure` with
    `quantize` auto a `Meter`."""

    @functools.wraps(function)
    def gated(*arguments: P.args, **options: P.kwargs) -> Bundle:
        bound = inspect.signature(function).bind(*arguments, **options).arguments
        with ExitStack() as stack:
            if bound.get("quantize") == names.AUTO and bound.get("measure") is None:
                files: dict[str, Any] = {n: bound[n] for n in METER_OPTIONS if n in bound}
                options["measure"] = bound["measure"] = stack.enter_context(Meter(bound["source"], **files))
            if "gate" not in options:
                files = {n: bound[n] for n in GATE_OPTIONS if n in bound}
                measure = getattr(bound.get("measure"), "accuracy", None)
                options["gate"] = AccuracyGate(bound["source"], bound["output"], measure=measure, **files)
            return function(*arguments, **options)

    return gated


convert = _gated(ungated)


def _absent(bundle: Bundle) -> list[str]:
    """What the reference has beyond the bundle, to make the inputs of its components."""
    there = as_called(bundle).components
    return [name for name in reference_components(bundle) if name not in there]


def _is_reference(bundle: Bundle) -> bool:
    """Whether the bundle is what a float32 conversion makes."""
    compressed = any(component.compression for component in bundle.components.values())
    plain = bundle.precision == "float32" and bundle.target == "gpu" and not compressed
    return plain and not isinstance(bundle, AppleFolder)


def _least_seconds(bundle: Bundle, absent: int, runs: int) -> float:
    """`_seconds` with every weight of the denoiser used once a token, and nothing else."""
    denoiser = bundle.components.get(names.DENOISER)
    parameters = absent if denoiser is None else denoiser.parameters
    tokens = bundle.latent.height * bundle.latent.width // PATCH**2
    work = 2 * parameters * tokens * STEPS * _rows(bundle)
    return (1 if denoiser is None else 1 + 2 * runs) * work / _rate()


def _seconds(bundle: Bundle, absent: int, runs: int) -> float:
    """Roughly what measuring takes: the reference's run, and on each backend every component on its inputs
    and a run of the bundle's own."""
    rows = _rows(bundle)
    calls = {names.VAE_DECODER: 1, names.VAE_ENCODER: 1}
    for name in (names.MODULATION, names.DENOISER):
        if name in bundle.components:
            calls[name] = -(-STEPS * rows // bundle.component(name).inputs[0].shape[0])
    work = sum(
        calls.get(name, rows) * sum(inspect_package(path).flops for path in bundle.package_paths(name))
        for name in bundle.components
    )
    parameters = absent + sum(component.parameters for component in bundle.components.values())
    seconds = (1 + 2 * runs) * work / _rate() + 8 * parameters / DISK_RATE
    return START_SECONDS + seconds + _least_seconds(bundle, absent, runs) * (absent > 0)


def _rows(bundle: Bundle) -> int:
    """Prompts of a run."""
    return 2 if FAMILIES[bundle.family].classifier_free else 1


def _rate() -> float:
    """Floating-point operations a second of what MLX runs on."""
    kinds = [b.details.get("device", {}).get("kind") for b in backends() if b.name == names.MLX]
    return GPU_RATE if "gpu" in kinds else CORE_RATE * (os.cpu_count() or 1)


def _memory() -> int:
    """Bytes of the machine's memory."""
    return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")


def _duration(seconds: float) -> str:
    return f"{seconds:.0f} s" if seconds < 600 else f"{seconds / 60:.0f} min"
