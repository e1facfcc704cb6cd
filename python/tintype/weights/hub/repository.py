"""Checkpoints on the Hugging Face Hub: the files that a conversion needs, in the hub's own cache.

`huggingface_hub` does the work: finished files are not loaded again, a broken connection is taken up where it
broke, and `HF_ENDPOINT`, `HF_HOME`, `HF_TOKEN` and `hf auth login` mean what they mean everywhere.
"""

import re
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from ...errors import CheckpointError
from ...values import decode_json
from ..checkpoint import SHOWN
from ..layouts.diffusers_folder import MODEL_INDEX, STEMS, check_variant, variant_suffixes
from .outline import outlined

__all__ = ["HubCheckpoint", "download", "is_repository"]

#: ORGANISATION/NAME, perhaps /FILE.safetensors, and perhaps @REVISION.
REPOSITORY = re.compile(
    r"(?P<name>[\w][\w.-]*/[\w][\w.-]*)(?:/(?P<file>[\w][\w.-]*\.safetensors))?(?:@(?P<revision>[\w./-]+))?"
)

#: The autoencoder's file beside FLUX.1's single file.
AUTOENCODER = "ae.safetensors"

#: Called with (bytes loaded, bytes in all).
Report = Callable[[int, int], None]


@dataclass(frozen=True)
class HubCheckpoint:
    """A downloaded checkpoint: its folder, or single file, in the cache, and where it came from.

    Of an outline the folder is another, and `missing` holds the files whose weights are not here: name →
    bytes. `offline` says why the hub could not be asked, where the cache had to do.
    """

    path: Path
    repository: str
    revision: str
    missing: Mapping[str, int] = field(default_factory=dict)
    offline: str = ""


def is_repository(source: "str | Path") -> bool:
    """Whether `source` reads as a repository id and is nothing on disk."""
    text = str(source)
    return isinstance(source, (str, Path)) and not Path(text).exists() and bool(REPOSITORY.fullmatch(text))


def download(
    source: str,
    folders: Callable[[Mapping[str, Any]], Collection[str]],
    *,
    variant: str | None = None,
    report: Report | None = None,
    outline: Path | None = None,
) -> HubCheckpoint:
    """Load what is needed of the repository `source`; with `outline`, an empty folder, of weights that the
    cache does not hold the headers alone.

    `folders` is given model_index.json and names the folders whose weights are needed; configs and tokenizers
    are loaded anyway. Of a repository without model_index.json, its only single file is loaded, or the one
    that `source` names, and the autoencoder beside it. Without a connection, what the cache holds is used, if
    that is all that is needed. CheckpointError names the licence page of a gated repository, a name that the
    hub does not know, or what is wrong with the connection.
    """
    match = REPOSITORY.fullmatch(source)
    assert match is not None  # the caller asked is_repository
    name, revision = match["name"], match["revision"] or "main"
    try:
        return _download(name, revision, match["file"], folders, variant, report, outline)
    except CheckpointError:
        raise
    except Exception as error:  # the client raises its own errors and those of whatever HTTP library it uses
        cached = _cached(name, revision, match["file"])
        if cached is None or _refused(error):
            raise CheckpointError(_explanation(name, revision, error)) from error
        lacking = _lacking(cached.path, folders, variant)
        if lacking:
            raise CheckpointError(
                f"{_explanation(name, revision, error)}; the cache lacks {', '.join(lacking[:SHOWN])}"
            ) from error
        return replace(cached, offline=_explanation(name, revision, error))


def needed_files(
    files: Sequence[str], index: Mapping[str, Any], folders: Collection[str], variant: str | None
) -> list[str]:
    """The files of the repository to load: every small one of a component, the weights of `folders`."""
    wanted = [MODEL_INDEX]
    for part, entry in index.items():
        if not isinstance(entry, list) or len(entry) != 2 or entry[1] is None:
            continue
        inside = [f.removeprefix(f"{part}/") for f in files if f.startswith(f"{part}/")]
        wanted += [f"{part}/{f}" for f in inside if f.endswith((".json", ".txt")) and ".index." not in f]
        if part in folders:
            wanted += [f"{part}/{f}" for f in _weight_files(inside, variant)]
    return [f for f in dict.fromkeys(wanted) if f in files]


def single_files(name: str, files: Sequence[str], file: str | None) -> list[str]:
    """The single file to load, `file` or the only one, and the autoencoder beside it.

    CheckpointError lists the files if there are several or none.
    """
    found = sorted(f for f in files if f.endswith(".safetensors") and "/" not in f and f != AUTOENCODER)
    if file is None and len(found) == 1:
        file = found[0]
    if file is None or file not in files:
        others = sorted(f for f in files if f.endswith((".gguf", ".ckpt", ".bin", ".onnx")) and "/" not in f)
        if others and not found:
            raise CheckpointError(
                f"{name} on the Hugging Face Hub has no safetensors files, only {', '.join(others[:SHOWN])}, "
                "which Tintype does not read: name the repository of the model that they were made from"
            )
        raise CheckpointError(
            f"{name} on the Hugging Face Hub has no {file or MODEL_INDEX}, only "
            f"{', '.join(found) or 'no safetensors files'}: name the repository of the model in the "
            f"diffusers layout, or one of the files as {name}/FILE"
        )
    return [file, *(f for f in (AUTOENCODER,) if f in files and f != file)]


def _weight_files(names: Sequence[str], variant: str | None) -> list[str]:
    """The files of a folder that `DiffusersFolder.weights` reads."""
    for suffix in variant_suffixes(names, variant):
        for stem in STEMS:
            indexes = f"{stem}.safetensors.index{suffix}.json", f"{stem}{suffix}.safetensors.index.json"
            index = next((i for i in indexes if i in names), None)
            if index is not None:
                shard = re.compile(re.escape(f"{stem}{suffix}") + r"-\d+-of-\d+\.safetensors")
                return [index, *(n for n in names if shard.fullmatch(n))]
            if f"{stem}{suffix}.safetensors" in names:
                return [f"{stem}{suffix}.safetensors"]
    return []


def _download(
    name: str,
    revision: str,
    file: str | None,
    folders: Callable[[Mapping[str, Any]], Collection[str]],
    variant: str | None,
    report: Report | None,
    outline: Path | None,
) -> HubCheckpoint:
    from huggingface_hub import HfApi, hf_hub_download, snapshot_download

    info = HfApi().model_info(name, revision=revision, files_metadata=True)
    sizes = {s.rfilename: s.size or 0 for s in info.siblings or ()}
    if file is None and MODEL_INDEX in sizes:
        if variant is not None:
            names = [file.rpartition("/")[2] for file in sizes]
            check_variant(f"{name} on the Hugging Face Hub", names, variant)
        index = _index(Path(hf_hub_download(name, MODEL_INDEX, revision=info.sha)), name)
        wanted = needed_files(list(sizes), index, folders(index), variant)
    else:
        wanted = single_files(name, list(sizes), file)
        file = wanted[0]
    if outline is not None:
        place, chosen = outline / name, {f: sizes[f] for f in wanted}
        missing = outlined(name, str(info.sha), chosen, place, report or (lambda *_: None))
        return HubCheckpoint(place / (file or ""), name, str(info.sha), missing)
    total = sum(sizes[f] for f in wanted)
    if report is not None:
        report(0, total)
    folder = snapshot_download(
        name,
        revision=revision,
        allow_patterns=[re.sub(r"([\[?*])", r"[\1]", f) for f in wanted],
        tqdm_class=_bar_class(lambda done: report(min(done, total), total) if report else None),
    )
    if report is not None:
        report(total, total)
    return HubCheckpoint(Path(folder) / (file or ""), name, str(info.sha))


def _bar_class(report: Callable[[int], object]) -> Any:
    """A progress bar that draws nothing and reports its bytes."""
    from huggingface_hub.utils import tqdm  # type: ignore[attr-defined]

    class Bar(tqdm):
        def __init__(self, *args: Any, **options: Any) -> None:
            self._counts = options.get("unit") == "B"
            self._done = 0
            super().__init__(*args, **{**options, "disable": True})  # type: ignore[no-untyped-call]

        def update(self, n: float | None = 1) -> bool | None:
            self._done += int(n or 0)
            if self._counts:
                report(self._done)
            return None

    return Bar


def _cached(name: str, revision: str, file: str | None) -> HubCheckpoint | None:
    """What the cache holds of the repository: its folder, or the single file."""
    from huggingface_hub import snapshot_download
    from huggingface_hub.errors import LocalEntryNotFoundError

    try:
        # No patterns: what was needed is there, which is not the whole repository.
        found = snapshot_download(name, revision=revision, local_files_only=True, allow_patterns=[])
        folder = Path(found)
        if file is None and not (folder / MODEL_INDEX).is_file():
            file = single_files(name, [path.name for path in folder.iterdir()], None)[0]
    except (LocalEntryNotFoundError, CheckpointError):
        return None
    place = folder / (file or "")
    return HubCheckpoint(place, name, folder.name) if place.exists() else None


def _lacking(
    place: Path, folders: Callable[[Mapping[str, Any]], Collection[str]], variant: str | None
) -> list[str]:
    """What a conversion needs and the cached folder `place` has not, by names; of a single file nothing."""
    if not place.is_dir():
        return []
    index = _index(place / MODEL_INDEX, place.name)
    lacking = []
    for part, entry in index.items():
        if not isinstance(entry, list) or len(entry) != 2 or entry[1] is None:
            continue
        inside = [path.name for path in (place / part).glob("*") if path.is_file()]
        if not any(file.endswith((".json", ".txt")) for file in inside):
            lacking.append(f"{part}/*.json")
        if part in folders(index):
            lacking += [f"{part}/{file}" for file in _lacking_weights(place / part, inside, variant)]
    return lacking


def _lacking_weights(folder: Path, inside: Sequence[str], variant: str | None) -> list[str]:
    """The weights of a component that are not among the files `inside` its folder."""
    found = _weight_files(inside, variant)
    if not found:
        return ["*.safetensors"]
    if not found[0].endswith(".json"):
        return []
    shards = _index(folder / found[0], folder.name).get("weight_map")
    names = sorted(set(map(str, shards.values()))) if isinstance(shards, dict) else []
    return [shard for shard in names if shard not in inside]


def _index(file: Path, name: str) -> dict[str, Any]:
    """model_index.json, or an index of shards, of the repository or folder `name`."""
    index = decode_json(file.read_text("utf-8"))
    if not isinstance(index, dict):
        raise CheckpointError(f"{name}: {file.name} holds no JSON object")
    return index


def _refused(error: Exception) -> bool:
    """Whether the hub answered, and said no."""
    from huggingface_hub.errors import GatedRepoError, RepositoryNotFoundError, RevisionNotFoundError

    return isinstance(error, (GatedRepoError, RepositoryNotFoundError, RevisionNotFoundError))


def _explanation(name: str, revision: str, error: Exception) -> str:
    from huggingface_hub import constants
    from huggingface_hub.errors import GatedRepoError, RepositoryNotFoundError, RevisionNotFoundError

    page = f"{constants.ENDPOINT}/{name}"
    if isinstance(error, GatedRepoError):
        return (
            f"{name} is gated: accept its licence at {page}, then log in with `hf auth login` "
            "(or set HF_TOKEN) and run this again"
        )
    if isinstance(error, RepositoryNotFoundError):
        return (
            f"there is no folder {name}, and no model of this name at {page}: check the spelling; "
            "if the model is private, log in with `hf auth login`"
        )
    if isinstance(error, RevisionNotFoundError):
        return f"{name} has no revision {revision!r}: see {page} for its branches and tags"
    reason = str(error).strip().split("\n")[0] or type(error).__name__
    return (
        f"there is no folder {name}, and it cannot be loaded from {constants.ENDPOINT} ({reason}): check the "
        "connection and run this again; files that are complete are kept"
    )
