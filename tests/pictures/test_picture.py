"""Every kind of picture people hand in, and what is no picture.

python -m pytest tests/pictures/test_picture.py

The sample is 6 x 4, its left half red, its right half blue, its top left pixel green.
"""

from __future__ import annotations

import io
import random
import struct
import zlib
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, features

from segzero.pictures import PictureError, load_picture
from segzero.pictures.picture import MAX_PIXELS

RED, GREEN, BLUE, WHITE = (255, 0, 0), (0, 255, 0), (0, 0, 255), (255, 255, 255)


def sample() -> Image.Image:
    pixels = np.zeros((4, 6, 3), dtype=np.uint8)
    pixels[:, :3] = RED
    pixels[:, 3:] = BLUE
    pixels[0, 0] = GREEN
    return Image.fromarray(pixels)


def saved(folder: Path, image: Image.Image, name: str, **options) -> Path:
    image.save(folder / name, **options)
    return folder / name


def refusal(source) -> str:
    with pytest.raises(PictureError) as caught:
        load_picture(source)
    assert str(caught.value).isprintable()
    return str(caught.value)


def test_a_file_a_pillow_picture_and_an_array_are_the_same_picture(tmp_path):
    path = saved(tmp_path, sample(), "sample.png")
    for source in (path, str(path), sample(), np.asarray(sample())):
        got = load_picture(source)
        assert (got.mode, got.size, got.tobytes()) == ("RGB", (6, 4), sample().tobytes())


def test_what_is_handed_in_stays_as_it_is():
    image, array = sample(), np.asarray(sample()).copy()
    before = array.copy()
    got = load_picture(image)
    got.putpixel((1, 1), WHITE)
    load_picture(array).putpixel((1, 1), WHITE)
    assert image.getpixel((1, 1)) == RED
    assert (array == before).all()


@pytest.mark.parametrize(
    "name", ["a.png", "a.bmp", "a.tiff", "a.webp", "a.ppm", "a.gif", "a.jp2", "no-extension"]
)
def test_formats(tmp_path, name):
    options = {"a.webp": {"lossless": True}, "no-extension": {"format": "PNG"}}.get(name, {})
    got = load_picture(saved(tmp_path, sample(), name, **options))
    assert got.size == (6, 4)
    assert [got.getpixel(xy) for xy in ((0, 0), (1, 3), (5, 0))] == [GREEN, RED, BLUE]


def test_an_animation_is_its_first_frame(tmp_path):
    frames = [Image.new("RGB", (6, 4), color) for color in (GREEN, RED, BLUE)]
    for name in ("a.gif", "a.webp", "a.png"):
        path = saved(tmp_path, frames[0], name, save_all=True, append_images=frames[1:], duration=50)
        with Image.open(path) as image:
            assert image.n_frames == 3
        red, green, blue = load_picture(path).getpixel((3, 2))
        assert red < 10 and green > 240 and blue < 10


@pytest.mark.parametrize("mode", ["RGBA", "LA", "PA", "RGBa"])
def test_what_is_transparent_is_white(mode):
    clear, solid = Image.new("RGBA", (6, 4), (0, 0, 0, 0)), Image.new("RGBA", (3, 4), (0, 0, 0, 255))
    clear.paste(solid, (0, 0))
    got = load_picture(clear.convert(mode))
    assert (got.getpixel((0, 0)), got.getpixel((5, 3))) == ((0, 0, 0), WHITE)


def test_half_transparent_is_half_white():
    assert load_picture(Image.new("RGBA", (6, 4), (255, 0, 0, 128))).getpixel((2, 2)) == (255, 127, 127)


def test_a_transparent_palette_color_is_white(tmp_path):
    image = sample().quantize(4)
    path = saved(tmp_path, image, "palette.png", transparency=image.getpixel((5, 0)))
    got = load_picture(path)
    assert (got.getpixel((5, 0)), got.getpixel((1, 1))) == (WHITE, RED)


def test_palette_bilevel_grey_and_cmyk(tmp_path):
    assert load_picture(sample().quantize(4)).getpixel((5, 0)) == BLUE
    assert load_picture(Image.new("1", (6, 4), 1)).getpixel((5, 0)) == WHITE
    assert load_picture(Image.new("L", (6, 4), 99)).getpixel((5, 0)) == (99, 99, 99)
    path = saved(tmp_path, Image.new("RGB", (64, 40), RED).convert("CMYK"), "cmyk.jpg", quality=95)
    red, green, blue = load_picture(path).getpixel((30, 20))
    assert red > 245 and green < 10 and blue < 10


@pytest.mark.parametrize("name", ["deep.png", "deep.tiff"])
def test_sixteen_bits_keep_their_upper_eight(tmp_path, name):
    deep = np.full((4, 6), 0x1234, dtype=np.uint16)
    deep[0, 0] = 0xFFFF
    got = load_picture(saved(tmp_path, Image.fromarray(deep), name))
    assert (got.getpixel((5, 3)), got.getpixel((0, 0))) == ((0x12,) * 3, WHITE)


def test_sixteen_bits_that_hold_eight_stay_visible():
    assert load_picture(Image.fromarray(np.full((4, 6), 200, dtype=np.uint16))).getpixel((5, 3)) == (200,) * 3


# Where the stored picture's top left pixel (green) comes to lie in the upright one, and the upright size.
@pytest.mark.parametrize(
    ("orientation", "size", "green"),
    [
        (1, (6, 4), (0, 0)),
        (2, (6, 4), (5, 0)),
        (3, (6, 4), (5, 3)),
        (4, (6, 4), (0, 3)),
        (5, (4, 6), (0, 0)),
        (6, (4, 6), (3, 0)),
        (7, (4, 6), (3, 5)),
        (8, (4, 6), (0, 5)),
        (9, (6, 4), (0, 0)),
    ],
)
def test_exif_rotation(tmp_path, orientation, size, green):
    exif = Image.Exif()
    exif[0x0112] = orientation
    for name in ("a.png", "a.webp", "a.tiff"):
        options = {"lossless": True} if name == "a.webp" else {}
        path = saved(tmp_path, sample(), name, exif=exif, **options)
        got = load_picture(path)
        assert got.size == size, name
        assert got.getpixel(green) == GREEN, name
        with Image.open(path) as opened:
            assert load_picture(opened).getpixel(green) == GREEN, name
        assert load_picture(got).size == size  # upright pictures stay as they are


@pytest.mark.filterwarnings("ignore:Corrupt EXIF")
def test_damaged_exif_is_no_reason_to_refuse(tmp_path):
    path = saved(tmp_path, sample(), "a.png", exif=b"Exif\x00\x00MM\x00*\x00\x00\xff\xff\xff")
    assert load_picture(path).size == (6, 4)


@pytest.mark.parametrize("wh", [(1, 1), (20000, 10), (10, 20000)])
def test_extreme_sizes(tmp_path, wh):
    assert load_picture(saved(tmp_path, Image.new("RGB", wh, RED), "extreme.png")).size == wh


# What is refused, in one line that names the file.


@pytest.mark.parametrize(
    ("case", "content", "words"),
    [
        ("0 bytes", b"", "the file is empty"),
        ("text", b"hello, I am a picture", "not a picture that can be read"),
        ("a page", b"<svg xmlns='http://www.w3.org/2000/svg'/>", "not a picture that can be read"),
        ("a program", b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n", "not a picture that can be read"),
        ("a signature alone", b"\x89PNG\r\n\x1a\n", "picture"),
    ],
)
def test_not_a_picture(tmp_path, case, content, words):
    path = tmp_path / "holiday.png"
    path.write_bytes(content)
    assert words in refusal(path), case
    assert refusal(path).startswith("holiday.png: "), case


@pytest.mark.parametrize("name", ["cut.png", "cut.jpg", "cut.webp", "cut.tiff", "cut.bmp"])
def test_a_truncated_picture(tmp_path, name):
    noise = np.random.default_rng(0).integers(0, 256, (60, 90, 3), dtype=np.uint8)
    path = saved(tmp_path, Image.fromarray(noise), name)
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    line = refusal(path)
    assert line.startswith(f"{name}: ") and "again" in line
    with pytest.raises(PictureError):
        load_picture(str(path))


def png_of_size(width: int, height: int) -> bytes:
    """A PNG whose header claims a size, with next to no data."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    header = chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0))
    return b"\x89PNG\r\n\x1a\n" + header + chunk(b"IDAT", zlib.compress(b"\0" * 99)) + chunk(b"IEND", b"")


@pytest.mark.filterwarnings("ignore::PIL.Image.DecompressionBombWarning")
@pytest.mark.parametrize("size", [(9500, 9500), (30000, 30000), (1_000_000, 1_000_000)])
def test_a_decompression_bomb_is_refused_by_its_header(tmp_path, size):
    before = Image.MAX_IMAGE_PIXELS
    path = tmp_path / "bomb.png"
    path.write_bytes(png_of_size(*size))
    assert "more than 89 megapixels; make it smaller" in refusal(path)
    assert before == Image.MAX_IMAGE_PIXELS


def test_the_limit_holds_for_arrays_too():
    huge = np.broadcast_to(np.uint8(0), (1, MAX_PIXELS + 1, 3))
    assert "megapixels" in refusal(huge)


def test_a_missing_file_a_folder_and_an_address(tmp_path):
    assert refusal(tmp_path / "gone.png") == "gone.png: there is no such file; check the name"
    assert "is a folder" in refusal(tmp_path)
    assert "is an address" in refusal("https://example.org/a.png")
    assert refusal("a\0b.png").startswith("a?b.png: ")
    assert refusal("long" * 2000).startswith("longlong")


def test_file_names_are_printed_without_control_characters(tmp_path):
    path = tmp_path / "a\nb\x1b[31m\u202e.png"
    path.write_bytes(b"")
    assert refusal(path).startswith("a?b?[31m?.png: ")
    assert len(refusal(tmp_path / ("x" * 200 + ".png"))) < 150


@pytest.mark.parametrize(
    ("case", "array", "words"),
    [
        (
            "floats",
            np.zeros((4, 6, 3)),
            "array of float64 is not a picture; give uint8 from 0 to 255, for example",
        ),
        ("whole numbers", np.zeros((4, 6, 3), dtype=int), "array of int64"),
        ("a mask", np.zeros((4, 6), dtype=bool), "array of bool"),
        (
            "channels first",
            np.zeros((3, 4, 6), dtype=np.uint8),
            "shape 3 x 4 x 6 is not a picture; give (height",
        ),
        ("a batch", np.zeros((1, 4, 6, 3), dtype=np.uint8), "shape 1 x 4 x 6 x 3"),
        ("a row", np.zeros(6, dtype=np.uint8), "shape 6 "),
        ("nothing", np.zeros((0, 6, 3), dtype=np.uint8), "shape 0 x 6 x 3"),
        ("a number", np.uint8(3) * np.ones((), dtype=np.uint8), "single number"),
    ],
)
def test_arrays_that_are_no_pictures(case, array, words):
    assert words in refusal(np.asarray(array)), case


def test_grey_arrays_and_arrays_with_alpha():
    assert load_picture(np.full((4, 6), 99, dtype=np.uint8)).getpixel((5, 3)) == (99, 99, 99)
    assert load_picture(np.full((4, 6, 1), 99, dtype=np.uint8)).getpixel((5, 3)) == (99, 99, 99)
    assert load_picture(np.zeros((4, 6, 4), dtype=np.uint8)).getpixel((5, 3)) == WHITE
    assert load_picture(np.asarray(sample())[:, ::-1]).getpixel((5, 0)) == GREEN


def test_other_things_and_empty_or_floating_pictures():
    assert "no picture, this is nothing" in refusal(None)
    assert "no picture, this is nothing" in refusal("")
    assert "this is bytes" in refusal(b"a.png")
    assert "floating-point" in refusal(Image.new("F", (6, 4)))
    assert "no pixels (0 x 4)" in refusal(Image.new("RGB", (0, 4)))


@pytest.mark.parametrize("kind", ["PNG", "JPEG", "WEBP", "GIF", "TIFF", "BMP", "PPM", "JPEG2000", "AVIF"])
@pytest.mark.filterwarnings("ignore")
def test_damaged_bytes_give_a_picture_or_a_line(tmp_path, kind):
    if kind == "AVIF" and not features.check("avif"):
        pytest.skip("this Pillow has no AVIF")
    rng = random.Random(kind)
    exif = Image.Exif()
    exif[0x0112] = 6
    noise = np.random.default_rng(0).integers(0, 256, (20, 30, 3), dtype=np.uint8)
    buffer = io.BytesIO()
    Image.fromarray(noise).save(
        buffer, kind, **({"exif": exif} if kind in ("PNG", "JPEG", "WEBP", "TIFF") else {})
    )
    path = tmp_path / "damaged"
    for _ in range(150):
        content = bytearray(buffer.getvalue())
        for _ in range(rng.randint(1, 8)):
            near = rng.choice((60, 300, len(content)))
            content[rng.randrange(min(near, len(content)))] = rng.randrange(256)
        path.write_bytes(content[: rng.choice((len(content), rng.randint(1, len(content))))])
        try:
            assert load_picture(path).mode == "RGB"
        except PictureError as error:
            assert str(error).isprintable()
