"""Any picture a person may hand in, as an upright RGB picture, or one clear line on what is wrong with it.

    from segzero.pictures import load_picture
    load_picture("holiday.jpg").size

Masks and boxes are in the pixels of what this returns.
"""

from __future__ import annotations

import struct
import zlib
from pathlib import Path

import numpy as np
from PIL import Image, UnidentifiedImageError

MAX_PIXELS = 89_000_000  # just below the size at which Pillow itself begins to warn of a decompression bomb
# Only formats that Pillow decodes itself: others start a program (EPS) or are no pictures for a model.
_FORMATS = ("JPEG", "MPO", "PNG", "WEBP", "GIF", "BMP", "TIFF", "PPM", "JPEG2000", "AVIF")
_EXIF_ORIENTATION = 0x0112
_UPRIGHT = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}
# What Pillow's decoders raise on damaged data: mostly OSError, for AVIF RuntimeError, the rest from headers.
_DAMAGE = (
    OSError,
    RuntimeError,
    MemoryError,
    SyntaxError,
    ValueError,
    EOFError,
    LookupError,
    TypeError,
    ArithmeticError,
    struct.error,
    zlib.error,
)


class PictureError(ValueError):
    """A picture that cannot be used: one line that names it, says what is wrong and what to do."""


def load_picture(source: Image.Image | str | Path | np.ndarray) -> Image.Image:
    """A new RGB picture, rotated as its EXIF says, transparency over white, the first frame of an animation.

    source: a Pillow picture (left as it is), a file, or a uint8 array: (H, W, 3), (H, W, 4) or (H, W) grey.
    Raises PictureError for anything that is not a whole picture of 1 to MAX_PIXELS pixels.
    """
    if isinstance(source, Image.Image):
        return _to_rgb(source, "the picture")
    if isinstance(source, np.ndarray):
        return _to_rgb(_from_array(source), "the array")
    if isinstance(source, (str, Path)) and str(source):
        return _from_file(source)
    kind = "nothing" if source is None or source == "" else type(source).__name__
    raise PictureError(f"there is no picture, this is {kind}; give a file name, a Pillow picture or an array")


def _from_file(source: str | Path) -> Image.Image:
    path, name = Path(source), _printable(source)
    if str(source).lower().startswith(("http://", "https://")):
        raise PictureError(f"{name}: this is an address, not a file; download the picture first")
    try:
        if path.is_dir():
            raise PictureError(f"{name}: this is a folder; name a picture inside it")
        if not path.exists():
            raise PictureError(f"{name}: there is no such file; check the name")
        if not path.is_file():
            raise PictureError(f"{name}: this is not an ordinary file; choose a picture file")
        if path.stat().st_size == 0:
            raise PictureError(f"{name}: the file is empty (0 bytes); copy or download it again")
        file = path.open("rb")
    except PictureError:
        raise
    except (OSError, ValueError) as error:  # ValueError: a zero byte in the name
        reason = getattr(error, "strerror", None) or str(error)
        raise PictureError(f"{name}: the file cannot be read ({reason})") from error
    with file, _open(file, name) as image:
        return _to_rgb(image, name)


def _open(file, name: str) -> Image.Image:
    """The picture's header, nothing decoded yet."""
    Image.init()
    formats = [known for known in _FORMATS if known in Image.OPEN]
    try:
        return Image.open(file, formats=formats)
    except (Image.DecompressionBombError, Image.DecompressionBombWarning) as error:
        raise PictureError(_too_large(name)) from error
    except UnidentifiedImageError as error:
        raise PictureError(
            f"{name}: not a picture that can be read, or a damaged one; save it as PNG or JPEG and try again"
        ) from error
    except _DAMAGE as error:
        raise PictureError(_damaged(name, error)) from error


def _to_rgb(image: Image.Image, name: str) -> Image.Image:
    _check_size(image.size, name)
    if image.mode == "F":
        raise PictureError(f"{name}: its pixels are floating-point numbers; save it with 8 bits a channel")
    try:
        rgb = _colors(image)  # before the orientation is asked for: decoding a TIFF turns it already
        turn = _UPRIGHT.get(_orientation(image))
        rgb = rgb if turn is None else rgb.transpose(turn)
        rgb.info = {}  # its EXIF no longer holds: a picture loaded twice must not turn twice
        return rgb
    except Image.DecompressionBombError as error:
        raise PictureError(_too_large(name)) from error
    except _DAMAGE as error:
        raise PictureError(_damaged(name, error)) from error


def _orientation(image: Image.Image) -> int:
    """EXIF's number for how the picture lies, 1 (upright) when it says nothing sensible."""
    try:
        return image.getexif().get(_EXIF_ORIENTATION, 1)
    except _DAMAGE:  # damaged EXIF is no reason to refuse a picture
        return 1


def _colors(image: Image.Image) -> Image.Image:
    """A new RGB picture of the same size."""
    if image.mode.startswith("I"):  # more than 8 bits a pixel, in one of Pillow's ways to hold them
        image.load()
        deep = np.asarray(image).astype(np.int64)  # (H, W)
        deep = deep >> 8 if deep.max() > 255 else deep
        return Image.fromarray(np.clip(deep, 0, 255).astype(np.uint8)).convert("RGB")
    if image.mode in ("RGBA", "RGBa", "LA", "PA") or "transparency" in image.info:
        rgba = image.convert("RGBA")
        return Image.alpha_composite(Image.new("RGBA", rgba.size, "white"), rgba).convert("RGB")
    return image.copy() if image.mode == "RGB" else image.convert("RGB")


def _from_array(array: np.ndarray) -> Image.Image:
    shape = " x ".join(map(str, array.shape)) or "a single number"
    if array.dtype != np.uint8:
        raise PictureError(
            f"an array of {array.dtype} is not a picture; give uint8 from 0 to 255"
            + (", for example (array * 255).round().astype('uint8')" if array.dtype.kind == "f" else "")
        )
    if array.ndim == 3 and array.shape[2] == 1:
        array = array[:, :, 0]
    if array.size == 0 or not (array.ndim == 2 or array.ndim == 3 and array.shape[2] in (3, 4)):
        raise PictureError(f"an array of shape {shape} is not a picture; give (height, width, 3)")
    _check_size((array.shape[1], array.shape[0]), "the array")
    return Image.fromarray(np.ascontiguousarray(array))


def _check_size(wh: tuple[int, int], name: str) -> None:
    width, height = wh
    if width * height == 0:
        raise PictureError(f"{name}: it has no pixels ({width} x {height}); choose another picture")
    if width * height > MAX_PIXELS:
        raise PictureError(_too_large(name, f"{width} x {height} is "))


def _damaged(name: str, error: Exception) -> str:
    reason = _printable(error) or type(error).__name__
    return f"{name}: the picture is damaged or cut short ({reason}); save or download it again"


def _too_large(name: str, size: str = "") -> str:
    return f"{name}: {size}more than {MAX_PIXELS // 1_000_000} megapixels; make it smaller and try again"


def _printable(text: object) -> str:
    """A file's own name, or a library's message, on one line and without control characters."""
    text = Path(text).name or str(text) if isinstance(text, (str, Path)) else str(text)
    text = "".join(c if c.isprintable() else "?" for c in text)
    return text if len(text) <= 80 else text[:60] + "…" + text[-19:]
