"""Masks of data files: read by segzero.masks, which evaluation shares."""

from segzero.masks import MaskError, decode_rle, read_mask

__all__ = ["MaskError", "decode_rle", "read_mask"]
