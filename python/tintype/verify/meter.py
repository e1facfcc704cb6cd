"""Measuring one component at a time while a bundle is made, for `--quantize auto`."""

import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from .. import names
from ..bundle import Bundle
from ..emit.auto import Measured
from ..errors import UsageError
from ..pipeline.families import FAMILIES
from .bundle import MIN_COSINE, MIN_PSNR, PROMPT, STEPS, Accuracy, agreement_of, compare
from .reference import Recording, record

if TYPE_CHECKING:
    from ..emit.loras import LoraChoices

__all__ = ["Meter"]


class Meter:
    """Holds components to the gate's bars, on MLX; what `convert` takes as `measure`.

    The float32 reference is written beside the bundle, recorded and removed at the first use. Arguments are
    those of `convert`, and must be the same.
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
    ) -> None:
        self._source, self._components, self._batch = source, components, batch
        self._variant, self._tokenizers, self._lora = variant, tokenizers, lora
        self._recording: Recording | None = None

    def __call__(self, bundle: Bundle, name: str) -> Measured:
        """The component `name` of `bundle` on the inputs that the reference's had."""
        got = agreement_of(bundle, name, self._recorded(bundle), names.MLX)
        return Measured(got.psnr, got.cosine, got.psnr >= MIN_PSNR and got.cosine >= MIN_COSINE)

    def accuracy(self, bundle: Bundle) -> Accuracy:
        """What `verify_bundle` says of the complete bundle, without another reference."""
        return compare(bundle, self._recorded(bundle), PROMPT, STEPS, names.MLX)

    def _recorded(self, bundle: Bundle) -> Recording:
        if self._recording is not None:
            return self._recording
        if bundle.root is None:
            raise UsageError(f"the bundle {bundle.name} is not on disk: write it before it is verified")
        from ..emit import convert

        wanted = self._components
        if wanted is not None:
            all_ = {*FAMILIES[bundle.family].required, *wanted}
            wanted = [c for c in names.SELECTABLE_COMPONENTS if c in all_]
        with tempfile.TemporaryDirectory(prefix=".tintype-reference-", dir=bundle.root.parent) as folder:
            reference = convert(
                self._source,
                Path(folder) / "bundle",
                precision="float32",
                size=(bundle.size.width, bundle.size.height),
                components=wanted,
                max_sequence_length=bundle.context.t5_tokens,
                batch=self._batch,
                variant=self._variant,
                tokenizers=self._tokenizers,
                lora=self._lora,
            )
            self._recording = record(reference, PROMPT, STEPS, names.MLX)
        return self._recording
