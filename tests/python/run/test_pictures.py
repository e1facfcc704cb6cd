"""Pixels of 8 bits from pictures of every mode, and what has none."""

import pathlib

import numpy as np
import pytest
from PIL import Image

from tintype.run.pictures import PictureError, load_picture, pixels_of_picture, upright

DEEP = np.array([[0, 0x00FF, 0x1234], [0x8000, 0xFF00, 0xFFFF]], np.uint16)
UPPER = (DEEP >> 8).astype(np.uint8)


@pytest.mark.parametrize("order", ["<u2", ">u2"])
def test_of_16_bits_the_upper_8_stay(order: str) -> None:
    picture = Image.fromarray(DEEP.astype(order))
    np.testing.assert_array_equal(pixels_of_picture(picture, "L"), UPPER)
    np.testing.assert_array_equal(pixels_of_picture(picture, "RGB"), np.dstack([UPPER] * 3))


@pytest.mark.parametrize("suffix", ["png", "tiff"])
def test_a_file_of_16_bits(tmp_path: pathlib.Path, suffix: str) -> None:
    Image.fromarray(DEEP).save(tmp_path / f"deep.{suffix}")
    picture = upright(load_picture(tmp_path / f"deep.{suffix}"))
    np.testing.assert_array_equal(pixels_of_picture(picture, "L"), UPPER)


def test_a_png_of_mode_i_has_16_bits() -> None:
    """As Pillow before mode I;16 for PNG read them."""
    picture = Image.fromarray(DEEP.astype(np.int32))
    picture.format = "PNG"
    np.testing.assert_array_equal(pixels_of_picture(picture, "L"), UPPER)


@pytest.mark.parametrize("mode", ["1", "L", "P", "RGB", "RGBA", "LA", "CMYK", "YCbCr", "HSV"])
@pytest.mark.parametrize("wanted", ["L", "RGB"])
def test_other_modes_are_converted_by_pil(mode: str, wanted: str) -> None:
    picture = Image.fromarray(np.arange(48, dtype=np.uint8).reshape(4, 4, 3) * 5).convert(mode)
    got = pixels_of_picture(picture, wanted)  # type: ignore[arg-type]
    np.testing.assert_array_equal(got, np.asarray(picture.convert(wanted)))
    assert got.dtype == np.uint8


@pytest.mark.parametrize(
    ("mode", "problem"),
    [
        ("I", "is a picture of mode I, whose scale is not known: scale its values to 0 to 255"),
        ("F", "is a picture of mode F, whose scale is not known: scale its values to 0 to 255"),
        ("LAB", r"is a picture of mode LAB \(.*\): convert it to RGB or gray first"),
    ],
)
def test_what_has_no_pixels_of_8_bits(mode: str, problem: str) -> None:
    with pytest.raises(PictureError, match=problem):
        pixels_of_picture(Image.new(mode, (2, 2)), "L")


def test_a_file_that_is_no_picture(tmp_path: pathlib.Path) -> None:
    (tmp_path / "no.png").write_text("no")
    with pytest.raises(PictureError, match=r"cannot be read as a picture \(cannot identify"):
        load_picture(tmp_path / "no.png")
