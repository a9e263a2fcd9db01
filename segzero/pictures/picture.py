"""Any picture a person may hand in, as an upright RGB picture, or one clear line on what is wrong with it.

    from segzero.pictures import load_picture
    load_picture("holiday.jpg").size

Masks and boxes are in the pixels of what this returns.
"""

from __future__ import annotations

import io
import mmap
import stat
import struct
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pillow_heif
from PIL import Image, UnidentifiedImageError

from segzero.pictures.decoding import anymap, budget, png, tiff
from segzero.pictures.decoding.bounded_file import BoundedFile, BoundError
from segzero.pictures.decoding.budget import MAX_PIXELS
from segzero.pictures.decoding.to_rgb import to_rgb
from segzero.pictures.wording import in_a_line

pillow_heif.register_heif_opener(thumbnails=False, depth_images=False, aux_images=False)
# Only formats that are decoded in this process: others start a program (EPS) or are no pictures for a model.
_FORMATS = ("JPEG", "MPO", "PNG", "WEBP", "GIF", "BMP", "TIFF", "PPM", "JPEG2000", "AVIF", "HEIF")
_SAVE_AGAIN = "save it as PNG or JPEG and try again"
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
    It takes 3 s and 500 MB at the most. A JPEG or JPEG 2000 that would take more comes at half its size, or a
    quarter; MAX_PIXELS is the limit for all formats, and lower for those that cost more (decoding/budget.py).
    Raises PictureError for anything that is not a whole picture within the limit.
    """
    if isinstance(source, Image.Image):
        return _from_pillow(source, "the picture")
    if isinstance(source, np.ndarray):
        return _from_pillow(_from_array(source), "the array")
    if isinstance(source, (str, Path)) and str(source):
        return _from_file(source)
    kind = "nothing" if source is None or source == "" else type(source).__name__
    raise PictureError(f"there is no picture, this is {kind}; give a file name, a Pillow picture or an array")


def is_picture(path: Path) -> bool:
    """Whether a file's beginning is that of a picture that load_picture knows; nothing is decoded."""
    try:
        with _file(path, path.name) as file, _open(file, path.name):
            return True
    except PictureError:
        return False


def _from_file(source: str | Path) -> Image.Image:
    name = _short(Path(source).name or str(source))
    if str(source).lower().startswith(("http://", "https://")):
        raise PictureError(f"{name}: this is an address, not a file; download the picture first")
    with _file(Path(source), name) as file, _open(file, name) as image:
        file.header_is_read()
        _check_size(image, name)
        with _told(image, name, file):
            return _from_opened(image, file)


def _file(path: Path, name: str) -> BoundedFile:
    """An ordinary file, opened; nothing else is even tried, as a pipe would wait for ever."""
    try:
        kind = path.stat()
        if stat.S_ISDIR(kind.st_mode):
            raise PictureError(f"{name}: this is a folder; name a picture inside it")
        if not stat.S_ISREG(kind.st_mode):
            raise PictureError(f"{name}: this is not an ordinary file; choose a picture file")
        if kind.st_size == 0:
            raise PictureError(f"{name}: the file is empty (0 bytes); copy or download it again")
        return BoundedFile(path)
    except PictureError:
        raise
    except FileNotFoundError as error:
        raise PictureError(f"{name}: there is no such file; check the name") from error
    except (OSError, ValueError) as error:  # ValueError: a zero byte in the name
        reason = getattr(error, "strerror", None) or _short(str(error))
        raise PictureError(f"{name}: the file cannot be read ({reason})") from error


def _open(file, name: str) -> Image.Image:
    """The picture's header, nothing decoded yet."""
    Image.init()
    formats = [known for known in _FORMATS if known in Image.OPEN]
    try:
        return Image.open(file, formats=formats)
    except (Image.DecompressionBombError, Image.DecompressionBombWarning) as error:
        raise PictureError(_too_large(name)) from error
    except BoundError as error:
        raise PictureError(f"{name}: {error}; {_SAVE_AGAIN}") from error
    except UnidentifiedImageError as error:
        raise PictureError(
            f"{name}: not a picture that can be read, or a damaged one; {_SAVE_AGAIN}"
        ) from error
    except _DAMAGE as error:
        raise PictureError(_damaged(name, error)) from error


def _from_opened(image: Image.Image, file: BoundedFile) -> Image.Image:
    """The picture of a file whose header is read. Raises what the decoders raise, and TooLargeError."""
    scans, bits = 1, None
    if image.format in ("JPEG", "MPO"):
        with mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as data:
            scans = budget.count_scans(image, data)
    elif image.format == "PNG":
        position = file.tell()
        bits = png.significant_bits(file)
        file.seek(position)
    elif image.format == "TIFF":
        bits = tiff.significant_bits(image)
        tiff.mend(image)
    elif image.format == "BMP" and image.tile[0][0] == "bmp_rle":  # read byte by byte
        file.seek(0)
        image.fp = io.BytesIO(file.read())
    costs = {"file_bytes": file.size, "scans": scans}
    turned = _is_turned(image)
    budget.reduce(image, budget.halvings(image, turned=turned, **costs))
    if anymap.is_slow(image):
        return _upright(to_rgb(anymap.read_anymap(image, file)), 1)
    rgb = to_rgb(image, bits)
    if image.format == "PNG" and png.lacks_rows(file, image):
        raise EOFError("it ends before its last row")
    orientation = _orientation(image)  # only now: decoding a TIFF turns it already
    if orientation in _UPRIGHT and not turned:
        budget.halvings(image, turned=True, **costs)
    return _upright(rgb, orientation)


def _from_pillow(image: Image.Image, name: str) -> Image.Image:
    _check_size(image, name)
    with _told(image, name):
        opened = bool(getattr(image, "tile", None))  # and not decoded
        if opened and budget.halvings(image, file_bytes=0, scans=1, turned=_is_turned(image)):
            raise budget.TooLargeError("it has too many pixels to be decoded whole")
        rgb = to_rgb(image)
        return _upright(rgb.copy() if rgb is image else rgb, _orientation(image))


def _upright(rgb: Image.Image, orientation: int) -> Image.Image:
    """rgb, which nobody else has, turned as EXIF says."""
    turn = _UPRIGHT.get(orientation)
    fresh = Image.Image()._new(rgb.im) if turn is None else rgb.transpose(turn)
    fresh.info = {}  # its EXIF no longer holds: a picture loaded twice must not turn twice
    return fresh


@contextmanager
def _told(image: Image.Image, name: str, file: BoundedFile | None = None) -> Iterator[None]:
    """Whatever goes wrong while an opened picture is decoded, as a PictureError."""
    try:
        yield
    except (budget.TooLargeError, BoundError) as error:
        advice = "make it smaller and try again" if isinstance(error, budget.TooLargeError) else _SAVE_AGAIN
        raise PictureError(f"{name}: {error}; {advice}") from error
    except Image.DecompressionBombError as error:
        raise PictureError(_too_large(name)) from error
    except _DAMAGE as error:
        if image.format == "TIFF" and file is not None and tiff.is_whole(image, file.size):
            kind = image.info.get("compression", "unknown")
            raise PictureError(
                f"{name}: this kind of TIFF cannot be read, or its data is damaged (compression {kind}, "
                f"{_short(str(error))}); {_SAVE_AGAIN}"
            ) from error
        raise PictureError(_damaged(name, error)) from error


def _is_turned(image: Image.Image) -> bool:
    """Whether an opened picture's header says so. A PNG may say it behind its pixels; Pillow decodes them to
    see."""
    silent = image.format == "PNG" and "exif" not in image.info
    return not silent and _orientation(image) in _UPRIGHT


def _orientation(image: Image.Image) -> int:
    """EXIF's number for how the picture lies, 1 (upright) when it says nothing sensible."""
    try:
        return image.getexif().get(_EXIF_ORIENTATION, 1)
    except _DAMAGE:  # damaged EXIF is no reason to refuse a picture
        return 1


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
    if array.shape[0] * array.shape[1] > MAX_PIXELS:  # before it is copied
        raise PictureError(_too_large("the array"))
    return Image.fromarray(np.ascontiguousarray(array))


def _check_size(image: Image.Image, name: str) -> None:
    width, height = image.size
    if width * height == 0:
        raise PictureError(f"{name}: it has no pixels ({width} x {height}); choose another picture")
    if width * height > MAX_PIXELS:
        raise PictureError(_too_large(name, f"{width} x {height} is "))
    if image.mode == "F":
        raise PictureError(f"{name}: its pixels are floating-point numbers; save it with 8 bits a channel")


def _damaged(name: str, error: Exception) -> str:
    reason = _short(str(error)) or type(error).__name__
    return f"{name}: the picture is damaged or cut short ({reason}); save or download it again"


def _short(text: str) -> str:
    text = in_a_line(text)
    return text if len(text) <= 80 else text[:60] + "…" + text[-19:]


def _too_large(name: str, size: str = "") -> str:
    return f"{name}: {size}more than {MAX_PIXELS // 1_000_000} megapixels; make it smaller and try again"
