"""Pictures and masks in and out: reading files, drawing results, writing them as files and in words.

    from segzero.pictures import load_picture, overlay
    overlay(load_picture("scene.png"), result.masks, result.targets).save("seen.png")

Imports the contract; models, data and the command line may import it.
"""

from segzero.pictures.draw import PALETTE, color_of, overlay
from segzero.pictures.export import encode_mask, mask_image, save_zip, to_json
from segzero.pictures.files import LockedError, keep_whole, locked, write_whole, written_whole
from segzero.pictures.folder import pictures_in
from segzero.pictures.masks import MaskError, decode_png, decode_rle, read_mask
from segzero.pictures.paths import OutsideError, path_inside
from segzero.pictures.picture import PictureError, load_picture
from segzero.pictures.saved_result import from_json
from segzero.pictures.stored import Stored, read_stored
from segzero.pictures.wording import details, headline, in_a_line, plural, printable, summary

__all__ = [
    "LockedError",
    "MaskError",
    "OutsideError",
    "PALETTE",
    "PictureError",
    "Stored",
    "color_of",
    "plural",
    "decode_png",
    "decode_rle",
    "details",
    "encode_mask",
    "from_json",
    "headline",
    "keep_whole",
    "in_a_line",
    "load_picture",
    "locked",
    "mask_image",
    "overlay",
    "path_inside",
    "pictures_in",
    "printable",
    "read_mask",
    "read_stored",
    "save_zip",
    "summary",
    "to_json",
    "write_whole",
    "written_whole",
]
