"""The folder of `--profile apple-sd3`, described by its profile.json as a bundle is by bundle.json."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

from . import names
from .bundle import Bundle
from .bundle_reader import BundleReader

__all__ = ["AppleFolder"]


@dataclass(frozen=True)
class AppleFolder(Bundle):
    """What Apple's ml-stable-diffusion loads, as a description: components have the packages' names and
    interfaces that its pipeline knows, the modulation is a part of the denoiser, and tokenizers are files
    beside the packages. No pipeline of Tintype's runs it; `verify` measures it."""

    FILE: ClassVar[str] = names.PROFILE_FILE

    #: Rows of every call of the denoiser.
    BATCH: ClassVar[int] = 2

    @classmethod
    def from_json(
        cls, data: Any, *, file: "str | Path" = names.PROFILE_FILE, root: Path | None = None
    ) -> Bundle:
        """Check the decoded profile.json and make a description of it; BundleError as for bundle.json."""
        BundleReader(data, str(file), "").constant(
            "profile", names.APPLE_SD3, "convert the model again with this release"
        )
        return super().from_json(data, file=file, root=root)

    def to_json(self) -> dict[str, Any]:
        """The contents of profile.json: the profile, and the keys of bundle.json."""
        return {"profile": names.APPLE_SD3, **super().to_json()}

    def tokenizer_path(self, name: str) -> Path:
        """The folder itself, in which the file lies that `path` names."""
        return super().tokenizer_path(name).parent

    def _named_paths(self) -> Iterator[tuple[str, str, bool]]:
        for key, path, is_folder in super()._named_paths():
            yield key, path, is_folder and not key.startswith("tokenizers.")
