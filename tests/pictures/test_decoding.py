"""What files hold beside plain 8-bit pictures, and what keeps a decoder busy for nothing.

python -m pytest -q tests/pictures/test_decoding.py
"""

from __future__ import annotations

import io
import struct
import zlib
from pathlib import Path

import numpy as np
import pillow_heif
import pytest
from PIL import Image

from segzero.pictures import PictureError, load_picture
from segzero.pictures.decoding import budget

SIGNATURE = b"\x89PNG\r\n\x1a\n"
RGB = np.random.default_rng(0).integers(1, 256, (40, 60, 3), dtype=np.uint8)


def refusal(path: Path) -> str:
    with pytest.raises(PictureError) as caught:
        load_picture(path)
    assert str(caught.value).isprintable() and str(caught.value).startswith(path.name)
    return str(caught.value)


def written(path: Path, content: bytes) -> Path:
    path.write_bytes(content)
    return path


def chunk(kind: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def encoded(kind: str, **options) -> bytes:
    buffer = io.BytesIO()
    Image.fromarray(RGB).save(buffer, kind, **options)
    return buffer.getvalue()


# --------------------------------------------------------------------------------------------- what is seen


def test_a_photo_of_a_phone(tmp_path: Path):
    pillow_heif.register_heif_opener()
    picture = Image.new("RGB", (64, 48), "red")
    picture.paste("blue", (0, 24, 64, 48))
    picture.save(tmp_path / "IMG_1.HEIC")
    got = load_picture(tmp_path / "IMG_1.HEIC")
    assert got.size == (64, 48) and got.getpixel((30, 8))[0] > 200 and got.getpixel((30, 40))[2] > 200


# Values of 16 or 32 bits, and what is to be seen of the largest.
@pytest.mark.parametrize(
    ("most", "kind", "name", "seen"),
    [
        (4080, np.uint16, "a.png", 255),  # 12 bits
        (4080, np.uint16, "a.tif", 255),
        (3500, np.uint16, "a.png", 218),
        (1023, np.uint16, "a.png", 255),
        (16383, np.uint16, "a.tif", 255),
        (200, np.uint16, "a.png", 0),  # dark
        (255, np.uint16, "a.tif", 0),
        (2000, np.uint16, "a.png", 7),
        (0xFFFF, np.uint16, "a.png", 255),
        (4080, np.int32, "a.tif", 255),
        (3000, np.int32, "a.tif", 187),
        (200, np.int32, "a.tif", 200),
        (0xFFFF, np.int32, "a.tif", 255),
        (1 << 30, np.int32, "a.tif", 64),
    ],
)
def test_deep_greys_are_seen_and_dark_ones_stay_dark(tmp_path: Path, most: int, kind, name: str, seen: int):
    grey = np.linspace(0, most, 24).astype(kind).reshape(4, 6)
    grey[-1, -1] = most
    Image.fromarray(grey).save(tmp_path / name)
    assert load_picture(tmp_path / name).getpixel((5, 3)) == (seen,) * 3


@pytest.mark.parametrize(("bits", "seen"), [(12, 125), (16, 7), (8, 7)])
def test_a_png_may_say_how_many_bits_count(tmp_path: Path, bits: int, seen: int):
    Image.fromarray(np.full((4, 6), 2000, np.uint16)).save(tmp_path / "a.png")
    data = (tmp_path / "a.png").read_bytes()
    path = written(tmp_path / "b.png", data[:33] + chunk(b"sBIT", bytes([bits])) + data[33:])
    assert load_picture(path).getpixel((5, 3)) == (seen,) * 3


def test_a_tiff_may_say_how_far_its_values_go(tmp_path: Path):
    path = tmp_path / "a.tif"
    Image.fromarray(np.full((4, 6), 2000, np.uint16)).save(path, tiffinfo={281: 4095})
    assert load_picture(path).getpixel((5, 3)) == (125,) * 3


@pytest.mark.parametrize("compression", [None, "tiff_lzw", "jpeg"])
def test_a_whole_tiff_of_ycbcr_is_read(tmp_path: Path, compression: str | None):
    red = Image.new("RGB", (60, 40), (200, 30, 40)).convert("YCbCr")
    red.save(tmp_path / "a.tif", compression=compression)
    got = np.asarray(load_picture(tmp_path / "a.tif")).astype(int)
    assert got.shape == (40, 60, 3) and abs(got - (200, 30, 40)).max() < 6


def test_a_whole_tiff_that_cannot_be_read_is_not_called_cut_short(tmp_path: Path):
    data = bytearray(encoded("TIFF", compression="tiff_lzw"))
    (at,) = struct.unpack("<I", data[4:8])
    for entry in range(at + 2, at + 2 + 12 * data[at], 12):
        if data[entry : entry + 2] == b"\x03\x01":  # compression: WebP, which libtiff may lack
            data[entry + 8 : entry + 10] = struct.pack("<H", 50001)
    line = refusal(written(tmp_path / "a.tif", bytes(data)))
    assert "kind of TIFF" in line and "cut short" not in line


# A range other than 255 is scaled; comments and any white space are no numbers.
@pytest.mark.parametrize(
    ("content", "pixels"),
    [
        (b"P2\n3 2\n100\n0 50 100\n#x\n25 75 10", [0, 128, 255, 64, 191, 26]),
        (b"P5\n3 2\n100\n" + bytes([0, 50, 100, 25, 75, 10]), [0, 128, 255, 64, 191, 26]),
        (b"P5 3 2 4095\n" + struct.pack(">6H", 0, 2048, 4095, 1, 16, 4000), [0, 128, 255, 0, 1, 249]),
        (b"P1\n3 2\n010 1 #1\n01", [255, 0, 255, 0, 255, 0]),
        (b"P2\r3\t2\n65535\n0 32768 65535 0 0 65535", [0, 128, 255, 0, 0, 255]),
    ],
)
def test_anymaps_as_text_or_of_another_range(tmp_path: Path, content: bytes, pixels: list[int]):
    got = np.asarray(load_picture(written(tmp_path / "a.ppm", content)))
    assert got.shape == (2, 3, 3) and got[..., 0].ravel().tolist() == pixels


@pytest.mark.parametrize("content", [b"P2 3 2 9 1 2 3", b"P2 3 2 9 1 2 3 4 5 10", b"P3 1 1 9 1 2 x"])
def test_anymaps_that_lack_numbers(tmp_path: Path, content: bytes):
    assert "damaged or cut short" in refusal(written(tmp_path / "a.ppm", content))


# ------------------------------------------------------------------------------------ what is not all there


def png(color: int, depth: int, rows: int, *, interlaced: bool = False, value: int = 200) -> bytes:
    """120 x 80 pixels by its header, with so many rows."""
    channels = {0: 1, 2: 3, 3: 1, 4: 2, 6: 4}[color]
    row = b"\0" + bytes([value]) * ((120 * channels * depth + 7) // 8)
    header = struct.pack(">IIBBBBB", 120, 80, depth, color, 0, 0, interlaced)
    palette = chunk(b"PLTE", bytes(768)) if color == 3 else b""
    return (
        SIGNATURE
        + chunk(b"IHDR", header)
        + palette
        + chunk(b"IDAT", zlib.compress(row * rows))
        + chunk(b"IEND", b"")
    )


@pytest.mark.parametrize(
    ("color", "depth"), [(0, 1), (0, 8), (0, 16), (2, 8), (2, 16), (3, 8), (4, 8), (6, 8)]
)
def test_half_a_png_is_not_taken_for_a_whole_one(tmp_path: Path, color: int, depth: int):
    for rows in (1, 40, 79):
        line = refusal(written(tmp_path / "a.png", png(color, depth, rows)))
        assert "ends before its last row" in line
    for value in (200, 0):
        whole = written(tmp_path / "a.png", png(color, depth, 80, value=value))
        assert load_picture(whole).size == (120, 80)


def test_half_of_an_interlaced_png(tmp_path: Path):
    """Their rows by pass, by hand: 15 x 10, 15 x 10, 30 x 10, 30 x 20, 60 x 20, 60 x 40, 120 x 40."""
    sizes = [(15, 10), (15, 10), (30, 10), (30, 20), (60, 20), (60, 40), (120, 40)]
    rows = b"".join((b"\0" + b"\7" * width) * height for width, height in sizes)
    header = chunk(b"IHDR", struct.pack(">IIBBBBB", 120, 80, 8, 0, 0, 0, 1))
    for lacking, whole in ((0, True), (1, False), (20, False)):
        data = chunk(b"IDAT", zlib.compress(rows[: len(rows) - 121 * lacking]))
        path = written(tmp_path / "a.png", SIGNATURE + header + data + chunk(b"IEND", b""))
        if whole:
            assert load_picture(path).getpixel((119, 79)) == (7, 7, 7)
        else:
            assert "ends before its last row" in refusal(path)


# -------------------------------------------------------------------------------------- headers without end


ENDLESS = ["PNG texts", "PPM comment", "PPM comments", "PPM space", "GIF comment", "GIF comments"]
ENDLESS += ["JPEG segments", "JPEG Exif", "JPEG filling", "JPEG 2000 boxes"]


def endless(kind: str) -> bytes:
    """A picture behind megabytes of notes. Pillow alone takes between 1 and 30 s for each."""
    png_, gif, jpeg = encoded("PNG"), encoded("GIF"), encoded("JPEG")
    palette = 13 + 3 * (2 << (gif[10] & 7))
    jp2 = encoded("JPEG2000")
    return {
        "PNG texts": png_[:33] + chunk(b"tEXt", b"a\0b") * 300_000 + png_[33:],
        "PPM comment": b"P6\n#" + b"x" * 5_000_000 + b"\n60 40\n255\n" + RGB.tobytes(),
        "PPM comments": b"P6\n" + b"#x\n" * 1_700_000 + b"60 40\n255\n" + RGB.tobytes(),
        "PPM space": b"P6\n" + b" " * 5_000_000 + b"60 40\n255\n" + RGB.tobytes(),
        "GIF comment": gif[:palette] + b"!\xfe" + (b"\xff" + b"c" * 255) * 20_000 + b"\0" + gif[palette:],
        "GIF comments": gif[:palette] + b"!\xfe\1c\0" * 300_000 + gif[palette:],
        "JPEG segments": jpeg[:2] + b"\xff\xe5\0\3a" * 400_000 + jpeg[2:],
        "JPEG Exif": jpeg[:2] + (b"\xff\xe1\xff\xffExif\0\0" + bytes(65_527)) * 1000 + jpeg[2:],
        "JPEG filling": jpeg[:2] + b"\xff" * 5_000_000 + jpeg[2:],
        "JPEG 2000 boxes": jp2[:32] + struct.pack(">I4s", 8, b"free") * 600_000 + jp2[32:],
    }[kind]


@pytest.mark.parametrize("kind", ENDLESS)
def test_a_header_without_end_is_left(tmp_path: Path, kind: str):
    assert "more comments and notes than pictures have" in refusal(written(tmp_path / "a.png", endless(kind)))


def test_notes_that_pictures_do_have_are_read_past(tmp_path: Path):
    jpeg, png_ = encoded("JPEG"), encoded("PNG")
    profile = b"\xff\xe2\xff\xffICC_PROFILE\0\1\1" + bytes(65_519)
    for content in (
        jpeg[:2] + profile * 30 + jpeg[2:],
        png_[:33] + chunk(b"tEXt", b"a\0" + b"b" * 100_000) * 20 + png_[33:],
        b"P6\n# made by hand\n60 40\n255\n" + RGB.tobytes(),
        b"P3\n60 40\n255\n" + b"#\n" * 1_000_000 + b" ".join(b"%d" % value for value in RGB.ravel()),
    ):
        assert load_picture(written(tmp_path / "a", content)).size == (60, 40)


def test_a_jpeg_of_a_thousand_scans_is_refused(tmp_path: Path):
    buffer = io.BytesIO()
    Image.new("L", (2000, 1500)).save(buffer, "JPEG", progressive=True)
    data = buffer.getvalue()
    scan = data[data.rindex(b"\xff\xda") : -2]
    path = written(tmp_path / "a.jpg", data[:-2] + scan * 1000 + data[-2:])
    assert "goes over its 3 megapixels more than" in refusal(path)
    assert load_picture(written(path, data[:-2] + scan * 20 + data[-2:])).size == (2000, 1500)


# -------------------------------------------------------------------------------------------- what it costs


def test_a_jpeg_that_costs_too_much_comes_smaller_and_others_are_refused(tmp_path: Path, monkeypatch):
    monkeypatch.setattr(budget, "_BUDGET", 60 * 40 * 7)  # bytes: enough for RGB, too little for two of it
    exif = Image.Exif()
    exif[0x0112] = 6
    path = written(tmp_path / "a.jpg", encoded("JPEG", exif=exif))
    assert load_picture(path).size == (20, 30)
    assert load_picture(written(path, encoded("JPEG"))).size == (60, 40)
    assert load_picture(written(path, encoded("JPEG", progressive=True, subsampling=0))).size == (30, 20)
    assert load_picture(written(path, encoded("PNG"))).size == (60, 40)
    for kind in ("WEBP", "AVIF"):
        line = refusal(written(path, encoded(kind, exif=exif)))
        assert "60 x 40 is more than 0 megapixels" in line and f"such a {kind}" in line
    with Image.open(path) as opened, pytest.raises(PictureError, match="more than 0 megapixels"):
        load_picture(opened)
    monkeypatch.undo()
    monkeypatch.setattr(budget, "_JPEG2000_PX", 1000)
    assert load_picture(written(path, encoded("JPEG2000"))).size == (30, 20)
