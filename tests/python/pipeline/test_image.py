"""Pixels and files."""

import errno
import os
import pathlib
import tempfile

import numpy as np
import pytest
from PIL import Image

from tintype.errors import UsageError
from tintype.pipeline import read_parameters
from tintype.pipeline.image import check_target, save_image, to_image

PICTURE = Image.new("RGB", (4, 2), (1, 2, 3))


def test_pixels_are_rounded_and_clipped() -> None:
    # In units of 1/255: 0.4 → 0, 0.6 → 1, 254.6 → 255; truncation would give 0, 0, 254.
    levels = np.asarray([0.4, 0.6, 254.6, 300, -20, 127.5 + 1e-3], np.float32)
    decoded = np.broadcast_to(levels / 255 * 2 - 1, (1, 3, 1, 6)).astype(np.float32)
    image = to_image(decoded)
    assert (image.mode, image.size) == ("RGB", (6, 1))
    assert np.asarray(image)[0, :, 0].tolist() == [0, 1, 255, 255, 0, 128]


def test_channels_rows_and_columns_keep_their_places() -> None:
    decoded = np.full((1, 3, 2, 4), -1, np.float32)
    decoded[0, 1, 1, 3] = 1  # green, last row, last column
    image = to_image(decoded)
    assert image.size == (4, 2)
    assert image.getpixel((3, 1)) == (0, 255, 0)


def test_golden_image(golden, data: pathlib.Path) -> None:
    expected = np.asarray(Image.open(data / "sd3-medium-tiny/golden/image.png").convert("RGB"))
    decoded = golden("sd3-medium-tiny/golden/generate")["image"]
    np.testing.assert_array_equal(np.asarray(to_image(decoded)), expected)


def test_settings_travel_in_the_file(tmp_path: pathlib.Path) -> None:
    settings = {"prompt": 'ein "Bild" 絵 🎨\n', "seed": 7}
    path = save_image(PICTURE, tmp_path / "a.png", settings)
    assert read_parameters(path) == settings
    with Image.open(path) as image:
        assert image.getpixel((0, 0)) == (1, 2, 3)


def test_files_without_settings_have_none(tmp_path: pathlib.Path) -> None:
    PICTURE.save(tmp_path / "plain.png")
    assert read_parameters(tmp_path / "plain.png") == {}


def test_other_formats_by_suffix(tmp_path: pathlib.Path) -> None:
    with Image.open(save_image(PICTURE, tmp_path / "a.JPG", {})) as image:
        assert image.format == "JPEG"


def test_a_failed_save_leaves_the_old_file(tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "a.png"
    path.write_bytes(b"old")

    def fail(*arguments: object, **options: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Image.Image, "save", fail)
    with pytest.raises(OSError, match="No space"):
        save_image(PICTURE, path, {})
    assert path.read_bytes() == b"old"
    assert os.listdir(tmp_path) == ["a.png"]


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("a", "has no suffix of an image format: name it with .png"),
        ("a.txt", "has no suffix of an image format: name it with .png"),
        ("missing/a.png", "the folder .*missing does not exist: make it, or name another file"),
    ],
)
def test_unusable_paths_are_named(tmp_path: pathlib.Path, name: str, message: str) -> None:
    with pytest.raises(UsageError, match=message):
        save_image(PICTURE, tmp_path / name, {})


def test_a_folder_that_cannot_be_written_is_said_before_anything_is_drawn(
    tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(**options: object) -> None:
        raise PermissionError(errno.EACCES, "Permission denied", options["dir"])

    assert check_target(tmp_path / "a.png") == "PNG"
    assert list(tmp_path.iterdir()) == []
    monkeypatch.setattr(tempfile, "TemporaryFile", refuse)
    with pytest.raises(UsageError, match=r"a\.png cannot be written \(Permission denied\): name a file"):
        check_target(tmp_path / "a.png")
