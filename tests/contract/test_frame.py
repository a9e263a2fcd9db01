"""Frames: what a picture is shown as, and what numbers mean. python -m pytest tests/contract/test_frame.py"""

from __future__ import annotations

import numpy as np
import pytest
from PIL import Image

from segzero.contract import Frame, FrameError, Target

SQUARE = Frame(frame_px=840)
THOUSANDTHS = Frame(frame_px=840, grid=1000)
OWN_SHAPE = Frame(max_pixels=1_003_520, multiple=28)


@pytest.mark.parametrize(
    "frame, image_wh, shown_wh",
    [
        (SQUARE, (640, 480), (840, 840)),
        (OWN_SHAPE, (640, 480), (644, 476)),  # 22.86 and 17.14 multiples of 28
        (OWN_SHAPE, (4000, 3000), (1148, 840)),  # shrunk by 3.458: 41.3 and 31 multiples, rounded down
        (Frame(max_pixels=65536, multiple=32, grid=1000), (640, 480), (288, 192)),  # 9.24 and 6.93
        (OWN_SHAPE, (5, 7), (28, 28)),  # never nothing
        (OWN_SHAPE, (30000, 30), (5964, 28)),  # 199 times as long as high, no more
    ],
)
def test_what_a_picture_is_shown_as(frame: Frame, image_wh: tuple[int, int], shown_wh: tuple[int, int]):
    assert frame.shown_wh(image_wh) == shown_wh


def test_a_square_is_squashed_bilinearly():
    # Two pixels, black and white, made four wide: bilinear gives 0, 64, 191, 255.
    picture = Image.fromarray(np.array([[[0] * 3, [255] * 3]], dtype=np.uint8))
    frame = Frame(frame_px=4).show(picture)
    assert frame.size == (4, 4)
    assert np.asarray(frame)[2, :, 0].tolist() == [0, 64, 191, 255]


def test_showing_is_the_resize_that_models_were_trained_with():
    picture = Image.linear_gradient("L").convert("RGB").resize((60, 40))
    square = Frame(frame_px=84).show(picture)
    assert square.tobytes() == picture.resize((84, 84), Image.Resampling.BILINEAR).tobytes()
    own = Frame(max_pixels=84 * 84).show(picture)
    assert own.tobytes() == picture.resize((56, 28), Image.Resampling.BICUBIC).tobytes()
    with pytest.raises(ValueError, match="RGB pictures, not L"):
        SQUARE.show(Image.new("L", (4, 3)))


@pytest.mark.parametrize(
    "frame, image_wh, numbers_wh",
    [
        (SQUARE, (640, 480), (840, 840)),
        (THOUSANDTHS, (640, 480), (1000, 1000)),
        (OWN_SHAPE, (640, 480), (644, 476)),
    ],
)
def test_how_far_numbers_reach(frame: Frame, image_wh: tuple[int, int], numbers_wh: tuple[int, int]):
    assert frame.numbers_wh(image_wh) == numbers_wh


def test_what_the_numbers_of_a_grid_are():
    assert SQUARE.unit([0.1, 0.2, 0.3, 0.4]) == "pixels of what it is shown"
    assert THOUSANDTHS.unit([0, 1, 1, 1.2]) == "fractions"
    assert THOUSANDTHS.unit([0, 0, 1000, 1000]) == "grid"
    assert THOUSANDTHS.unit([0, 0, 1001, 700]) == "pixels of the picture"
    assert THOUSANDTHS.pixel(999, "grid", 640) == 639 and THOUSANDTHS.pixel(1000, "grid", 640) == 639
    assert THOUSANDTHS.pixel(0.5, "fractions", 641) == 320 and THOUSANDTHS.pixel(-3, "grid", 640) == 0


@pytest.mark.parametrize(
    "frame, box, point",
    [
        (
            SQUARE,
            (84, 168, 420, 839),
            (252, 504),
        ),  # 640 -> 840 is 1.3125, 480 -> 840 is 1.75; 480 is cut to 839
        (THOUSANDTHS, (100, 200, 500, 999), (300, 601)),  # 64 * 999 / 639 = 100.06; 96 * 999 / 479 = 200.2
        (OWN_SHAPE, (64, 95, 322, 475), (193, 286)),  # 644 / 640 and 476 / 480
    ],
)
def test_what_a_model_is_to_write(frame: Frame, box: tuple, point: tuple):
    written = frame.written(Target((64, 96, 320, 480), ((192, 288),)), image_wh=(640, 480))
    assert written == Target(box, (point,))


def test_rows_first():
    frame = Frame(frame_px=896, grid=1000, order="yxyx")
    assert frame.ordered([1, 2, 3, 4]) == [2, 1, 4, 3] and frame.ordered([5, 6]) == [6, 5]
    assert SQUARE.ordered([1, 2, 3, 4]) == [1, 2, 3, 4]


@pytest.mark.parametrize(
    "given, words",
    [
        ({}, "a square of frame_px, or"),
        ({"frame_px": 840, "max_pixels": 10**6}, "a square of frame_px, or"),
        ({"frame_px": 0}, "frame_px is a whole number from 1"),
        ({"frame_px": 840.0}, "frame_px is a whole number"),
        ({"frame_px": True}, "frame_px is a whole number"),
        ({"frame_px": 840, "grid": 1}, "grid is a whole number from 2"),
        ({"frame_px": 840, "grid": "1000"}, "grid is a whole number"),
        ({"max_pixels": 100, "multiple": 28}, "max_pixels is a whole number from 784"),
        ({"max_pixels": 10**6, "multiple": 0}, "multiple is a whole number"),
        ({"frame_px": 840, "order": "xywh"}, "order is xyxy or yxyx, not 'xywh'"),
    ],
)
def test_frames_that_no_model_has(given: dict, words: str):
    with pytest.raises(FrameError, match=words):
        Frame(**given)
