"""Writes the seed corpus of the fuzz target: every file of the small packages under tests/data.

    python fuzz/make_corpus.py fuzz/corpus

The first byte of a seed says which file it stands for: m model.mlmodel, j Manifest.json, w weight.bin (after
the eight bytes of the blob's offset).
"""

import pathlib
import struct
import sys

PACKAGES = pathlib.Path(__file__).resolve().parent.parent / "tests/data/packages"
LARGEST = 8192


def seeds():
    for package in sorted(PACKAGES.glob("*.mlpackage")):
        name = package.stem
        yield f"{name}.model", b"m" + (package / "Data/com.apple.CoreML/model.mlmodel").read_bytes()
        weights = package / "Data/com.apple.CoreML/weights/weight.bin"
        if weights.exists():
            yield f"{name}.weights", b"w" + struct.pack("<Q", 64) + weights.read_bytes()
    yield "manifest", b"j" + (PACKAGES / "add.mlpackage/Manifest.json").read_bytes()


def main(folder: pathlib.Path) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    for name, data in seeds():
        if len(data) <= LARGEST:
            (folder / name).write_bytes(data)


if __name__ == "__main__":
    main(pathlib.Path(sys.argv[1]))
