"""DiffusionKit's Python calls on Tintype, for programs that move: only the import changes.

    from tintype.diffusionkit import DiffusionPipeline  # was: from diffusionkit.mlx import DiffusionPipeline
    image, log = DiffusionPipeline(model_version="sd3.bundle").generate_image("a photo of a cat", seed=7)

`model_version` is a bundle, or whatever `tintype.convert` takes, which is converted into the cache folder at
the first picture of each size. The same seed gives the same noise. docs/diffusionkit.md lists what differs.
"""

import hashlib
import os
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from . import names
from .embedded import cache_folder, cached_conversion
from .errors import UsageError

if TYPE_CHECKING:
    from PIL.Image import Image

    from .bundle import Bundle
    from .pipeline import GenerationResult, Pipeline, Timings

__all__ = ["DiffusionPipeline", "FluxPipeline"]

#: Pixels along a side of what a latent pixel stands for.
DOWNSCALE = 8


class DiffusionPipeline:
    """Stable Diffusion 3 by DiffusionKit's call.

    w16                float16 weights; else float32. For conversions only
    shift              of the schedule; None: the model's own (3 for Stable Diffusion 3)
    use_t5             False draws without T5, and converts without it
    model_version      a bundle's folder, a checkpoint's folder or file, or its id on the Hugging Face Hub;
                       None: DiffusionKit's own of the family
    low_memory_mode    free each model when a picture is done with it
    a16                has no influence: activations are as the weights
    local_ckpt         a checkpoint's folder or file, in the place of model_version
    backend            "auto", "coreml", "mlx", or a mapping from stages (not in DiffusionKit)
    tokenizers         where a single-file checkpoint's tokenizers are (not in DiffusionKit)

    Nothing is loaded until the first picture.
    """

    family = names.SD3
    default_model = "argmaxinc/mlx-stable-diffusion-3-medium"

    def __init__(
        self,
        w16: bool = False,
        shift: float | None = None,
        use_t5: bool = True,
        model_version: str | os.PathLike[str] | None = None,
        low_memory_mode: bool = True,
        a16: bool = False,
        local_ckpt: str | os.PathLike[str] | None = None,
        *,
        backend: Any = names.AUTO,
        tokenizers: str | os.PathLike[str] | None = None,
    ) -> None:
        del a16
        if shift is not None and not shift > 0:
            raise UsageError(
                f"shift is {shift!r}, expected a number above 0; leave it out for the model's own"
            )
        self._source = os.fspath(local_ckpt or model_version or self.default_model)
        self._precision: Any = "float16" if w16 else "float32"
        self._shift = shift
        # FLUX has no other reader of the whole prompt; DiffusionKit, too, uses it regardless.
        self._use_t5 = use_t5 or self.family == names.FLUX
        self._low_memory_mode = low_memory_mode
        self._backend = backend
        self._tokenizers = tokenizers
        self._opened: tuple[tuple[int, int], Pipeline] | None = None

    def generate_image(
        self,
        text: str,
        num_steps: int = 2,
        cfg_weight: float = 0.0,
        negative_text: str = "",
        latent_size: tuple[int, int] = (64, 64),
        seed: int | None = None,
        verbose: bool = True,
        image_path: str | os.PathLike[str] | None = None,
        denoise: float = 1.0,
    ) -> "tuple[Image, dict[str, Any]]":
        """A picture and a log of it.

        latent_size   (height, width) in latent pixels: an eighth of the picture's
        image_path    a picture of that size to begin with; `denoise`, above 0 up to 1, is how far to leave it
        verbose       print the seed and the seconds

        The log holds "seed", "total_time" in seconds, and "text_encoding", "denoising" and "decoding", each
        {"time": seconds}.
        """
        height, width = (DOWNSCALE * side for side in latent_size)
        pipeline = self._pipeline((width, height))
        guided = self.family == names.SD3 and cfg_weight > 1
        begin: Any = {} if image_path is None else {"image": image_path, "strength": denoise}
        result = pipeline.generate(
            text,
            negative_text if guided else "",
            steps=num_steps,
            guidance_scale=cfg_weight,
            seed=seed,
            size=(width, height),
            use_t5=self._use_t5,
            **begin,
        )
        log = _log(result)
        if verbose:
            print(f"seed {log['seed']}, {log['total_time']:.2f} s")
        return result.image, log

    def close(self) -> None:
        """Free all models."""
        if self._opened is not None:
            self._opened[1].close()
            self._opened = None

    def _pipeline(self, size: tuple[int, int]) -> "Pipeline":
        """The pipeline for a size: of the one bundle there is, or of that size's own."""
        if self._opened is not None and self._opened[0] == size:
            return self._opened[1]
        from .pipeline import Pipeline

        self.close()
        bundle = self._bundle(size)
        if bundle.family != self.family:
            other = "FluxPipeline" if bundle.family == names.FLUX else "DiffusionPipeline"
            raise UsageError(f"{self._source} is of the family {bundle.family}: use {other}")
        if self._shift is not None:
            bundle = replace(bundle, schedule=replace(bundle.schedule, shift=float(self._shift)))
        pipeline = Pipeline.load(bundle, self._backend, reduce_memory=self._low_memory_mode)
        self._opened = (size, pipeline)
        return pipeline

    def _bundle(self, size: tuple[int, int]) -> "Bundle":
        from .bundle import Bundle

        if (Path(self._source) / names.BUNDLE_FILE).is_file():
            return Bundle.read(Path(self._source))
        target = cache_folder() / f"diffusionkit-{self._key(size)}"
        kept = [c for c in names.SELECTABLE_COMPONENTS if self._use_t5 or c != names.TEXT_ENCODER_3]
        return cached_conversion(
            target,
            self._source,
            precision=self._precision,
            size=size,
            components=None if self._use_t5 else kept,
            tokenizers=None if self._tokenizers is None else Path(self._tokenizers),
        )

    def _key(self, size: tuple[int, int]) -> str:
        """Names a conversion: what was asked for, the release, and the state of a local source's files."""
        from ._bridge import VERSION

        source = Path(self._source)
        files = sorted(source.rglob("*")) if source.is_dir() else [source] * source.is_file()
        state = [
            (str(file), file.stat().st_size, file.stat().st_mtime_ns) for file in files if file.is_file()
        ]
        place = str(source.resolve()) if source.exists() else self._source
        asked = (VERSION, place, state, size, self._precision, self._use_t5, str(self._tokenizers))
        return hashlib.sha256(repr(asked).encode()).hexdigest()[:16]


class FluxPipeline(DiffusionPipeline):
    """FLUX.1 by DiffusionKit's call; `cfg_weight` is the guidance that FLUX.1-dev embeds.

    There is no negative prompt, T5 is always used, and `shift` has no influence on FLUX.1-dev.
    """

    family = names.FLUX
    default_model = "argmaxinc/mlx-FLUX.1-schnell"


def _log(result: "GenerationResult") -> dict[str, Any]:
    seconds: Timings = result.timings
    return {
        "seed": result.settings.seed,
        "text_encoding": {"time": seconds.text_encoder},
        "denoising": {"time": seconds.modulation + seconds.denoiser},
        "decoding": {"time": seconds.vae},
        "total_time": seconds.total,
    }
