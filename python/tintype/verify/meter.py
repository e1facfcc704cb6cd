"""Measuring components while a bundle is made, for `--quantize auto`."""

import weakref
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from .. import names
from ..apple_folder import AppleFolder
from ..bundle import Bundle, Component
from ..emit.auto import Measured
from ..errors import UsageError
from ..pipeline.families import FAMILIES
from .apple import expected_interface, interface
from .bundle import (
    PICTURE,
    PROMPT,
    STEPS,
    Accuracy,
    agreement_of,
    compare,
    comparisons,
    passes,
    run_agreement,
)
from .metrics import Agreement
from .reference import Recording, record
from .reference_folder import reference_folder
from .steps import Steps

if TYPE_CHECKING:
    from pathlib import Path

    from ..emit import Progress
    from ..emit.loras import LoraChoices

__all__ = ["Meter"]


class Meter:
    """Holds components, and the picture that they draw, to the gate's bars, on MLX; what `convert` takes as
    `measure`.

    The float32 reference is written beside the bundle and recorded at the first use, and removed by `close`
    or at the end of a `with` block. Arguments are those of `convert`, and must be the same: UsageError for
    components of other shapes. `progress` hears of "measuring", with the steps done and to be done.
    """

    def __init__(
        self,
        source: "str | Path",
        *,
        components: Sequence[str] | None = None,
        batch: int = 1,
        variant: str | None = None,
        tokenizers: "str | Path | None" = None,
        lora: "LoraChoices" = (),
        progress: "Progress | None" = None,
    ) -> None:
        self._progress = progress
        self._source, self._components, self._batch = source, components, batch
        self._variant, self._tokenizers, self._lora = variant, tokenizers, lora
        self._remove: Callable[[], Any] | None = None
        self._recorded: tuple[Bundle, Recording] | None = None

    def __enter__(self) -> "Meter":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Remove the reference; a later use makes it again."""
        self._recorded = None
        if self._remove is not None:
            self._remove()
            self._remove = None

    def __call__(self, bundle: Bundle, name: str) -> Measured:
        """The component `name` of `bundle` on the inputs that the reference's had."""
        _, recording = self._reference(bundle, (name,))
        told = Steps(self._progress, 1)
        got = _measured(agreement_of(bundle, name, recording, names.MLX, bundle.size))
        told.done()
        return got

    def picture(self, bundle: Bundle, components: Sequence[str]) -> Measured:
        """The picture that `components` of `bundle` draw, with the reference's for all others."""
        reference, recording = self._reference(bundle, components)
        mixed = {name: _placed(bundle, bundle.component(name)) for name in components}
        drawing = replace(reference, components={**reference.components, **mixed})
        told = Steps(self._progress, 1)
        got = run_agreement(drawing, recording, PROMPT, STEPS, names.MLX, bundle.size)[PICTURE]
        told.done()
        return _measured(got)

    def accuracy(
        self, bundle: Bundle, backend: str = names.MLX, progress: "Progress | None" = None
    ) -> Accuracy:
        """What `verify_backends` says of the complete bundle, without another reference."""
        _, recording = self._reference(bundle, tuple(bundle.components))
        told = Steps(progress or self._progress, comparisons(bundle, 1))
        return compare(bundle, {bundle.size: recording}, PROMPT, STEPS, backend, told)

    def _reference(self, bundle: Bundle, components: Sequence[str]) -> tuple[Bundle, Recording]:
        if self._recorded is None:
            self._recorded = self._record(bundle)
        for name in components:
            ours, reference = interface(bundle.component(name)), self._recorded[0]
            known = name in reference.components
            theirs = expected_interface(bundle, name, reference) if known else None
            if ours != theirs:
                raise UsageError(
                    f"{name} of the bundle has {ours}, the meter's {theirs or 'none'}: "
                    "give Meter the source, batch and components of the conversion that it measures"
                )
        return self._recorded

    def _record(self, bundle: Bundle) -> tuple[Bundle, Recording]:
        from ..emit import convert

        wanted = self._components
        if wanted is not None:
            all_ = {*FAMILIES[bundle.family].required, *wanted}
            wanted = [c for c in names.SELECTABLE_COMPONENTS if c in all_]
        told = Steps(self._progress, 2)  # the reference's conversion, and its run
        with ExitStack() as stack:
            reference = convert(
                self._source,
                stack.enter_context(reference_folder(bundle)) / "bundle",
                precision="float32",
                size=(bundle.size.width, bundle.size.height),
                components=wanted,
                max_sequence_length=bundle.context.t5_tokens,
                batch=AppleFolder.BATCH if isinstance(bundle, AppleFolder) else self._batch,
                variant=self._variant,
                tokenizers=self._tokenizers,
                lora=self._lora,
            )
            told.done()
            recording = record(reference, PROMPT, STEPS, names.MLX)
            told.done()
            self._remove = weakref.finalize(self, stack.pop_all().close)  # for those who never close it
        return reference, recording


def _measured(value: Agreement) -> Measured:
    return Measured(value.psnr, value.cosine, passes(value))


def _placed(bundle: Bundle, component: Component) -> Component:
    """The component with the packages' full paths, which any bundle's folder leaves as they are."""
    assert bundle.root is not None  # the reference was made beside it
    root = bundle.root.absolute()
    chunks = tuple(replace(chunk, path=str(root / chunk.path)) for chunk in component.chunks)
    return replace(component, path="" if chunks else str(root / component.path), chunks=chunks)
