"""File names that data brings along: segzero.paths, which evaluation shares."""

from segzero.paths import OutsideError, path_inside

__all__ = ["OutsideError", "path_inside"]
