"""Converts the bundles that the Swift tests read (once; again when the converter or a source changed).

Usage: python make_bundles.py FOLDER
Writes FOLDER/NAME-float32 for each tiny reference pipeline, FOLDER/sd3-medium-tiny-float16, FOLDER/demo, and
FOLDER/sd3-medium-tiny-parts: two sizes, the denoiser in chunks.
"""

import hashlib
import json
import pathlib
import sys

import tintype
from tintype.emit import convert

ROOT = pathlib.Path(__file__).resolve().parents[2]
PACKAGE = pathlib.Path(tintype.__file__).parent
DATA = ROOT / "tests/data"
REFERENCES = (
    "sd3-medium-tiny",
    "sd3.5-medium-tiny",
    "sd3.5-large-tiny",
    "flux-dev-tiny",
    "flux-schnell-tiny",
)
BUNDLES = {f"{name}-float32": (DATA / name, "float32") for name in REFERENCES} | {
    "sd3-medium-tiny-float16": (DATA / "sd3-medium-tiny", "float16"),
    "demo": (PACKAGE / "_demo_model", "float16"),
    "sd3-medium-tiny-parts": (DATA / "sd3-medium-tiny", "float32"),
}
#: What is converted in another way than for the goldens' size alone.
OPTIONS = {"sd3-medium-tiny-parts": {"size": [(128, 128), (192, 128)], "max_chunk": 250_000}}


def golden_size(source: pathlib.Path) -> tuple[int, int] | None:
    """Width and height of a reference pipeline's picture; None where the model's own size is meant."""
    golden = source / "golden" / "generate.json"
    if not golden.is_file():
        return None
    run = json.loads(golden.read_text())
    return run["width"], run["height"]


def fingerprint(source: pathlib.Path) -> str:
    """Hash of the source checkpoint and of the package that converts it."""
    digest = hashlib.sha256()
    files = [f for f in source.rglob("*") if f.is_file() and "golden" not in f.parts]
    files += PACKAGE.rglob("*.py")
    for file in sorted(files):
        digest.update(file.name.encode())
        digest.update(file.read_bytes())
    return digest.hexdigest()


def main(folder: pathlib.Path) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    for name, (source, precision) in BUNDLES.items():
        stamp, key = folder / f"{name}.sha256", fingerprint(source)
        if stamp.exists() and stamp.read_text() == key and (folder / name).exists():
            continue
        options = {"size": golden_size(source)} | OPTIONS.get(name, {})
        convert(source, folder / name, precision=precision, overwrite=True, **options)
        stamp.write_text(key)
        print(f"converted {folder / name}")


main(pathlib.Path(sys.argv[1]))
