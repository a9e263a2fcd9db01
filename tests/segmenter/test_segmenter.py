"""The segmenter's face, before a backend that only counts; test_sam.py has the real ones.

python -m pytest tests/segmenter/test_segmenter.py
"""

from __future__ import annotations

import json
import subprocess
import sys
import threading
import time
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from segzero.contract import Target
from segzero.segmenter import Segmenter, SegmenterError
from segzero.segmenter.segmenter import NAMES, ModelError

REPO = Path(__file__).resolve().parents[2]


class Boxes:
    """A backend whose masks are the boxes; counts what it is asked for."""

    low_res_px = 4

    def __init__(self, delay_s: float = 0.0, fail: bool = False):
        self.encoded, self.calls, self.delay_s, self.fail = [], [], delay_s, fail

    def encode(self, rgb):
        time.sleep(self.delay_s)
        if self.fail:
            raise RuntimeError("out of memory")
        self.encoded.append(rgb.shape)
        return rgb

    def decode(self, state, boxes, points=None, labels=None):
        self.calls.append((boxes, points, labels))
        masks = np.zeros((len(boxes), *state.shape[:2]), bool)
        for mask, (x1, y1, x2, y2) in zip(masks, boxes.astype(int), strict=True):
            mask[y1:y2, x1:x2] = True
        return masks, boxes[:, 0] / 100, np.zeros((len(boxes), 4, 4), np.float32)


def picture(width: int = 60, height: int = 40, seed: int = 0) -> Image.Image:
    return Image.fromarray(np.random.default_rng(seed).integers(0, 256, (height, width, 3), np.uint8))


# ------------------------------------------------------------------------------------------------- the face


def test_targets_keep_their_order_when_their_point_counts_differ():
    backend = Boxes()
    targets = [
        Target((1, 2, 11, 12), ((5, 5),)),
        Target((2, 0, 4, 4)),
        Target((3, 0, 4, 4), ((3, 1), (3.5, 2))),
        Target((4, 0, 14, 10), ((6, 6),)),
    ]
    found = Segmenter(backend).segment(picture(), targets)
    assert found.masks.shape == (4, 40, 60) and found.masks.dtype == bool
    assert found.masks.sum((1, 2)).tolist() == [100, 8, 4, 100]
    assert found.scores.dtype == np.float32 and np.allclose(found.scores, [0.01, 0.02, 0.03, 0.04])
    assert found.low_res.shape == (4, 4, 4)
    assert [
        (len(boxes), None if points is None else points.shape[1]) for boxes, points, _ in backend.calls
    ] == [
        (2, 1),
        (1, None),
        (1, 2),
    ]
    assert backend.calls[0][2].tolist() == [[1], [1]]


def test_clicks_become_points_with_labels_and_everything_is_clipped_to_the_picture():
    backend = Boxes()
    target = Target((-5, -5, 200, 20), ((30, 10),))
    Segmenter(backend).segment(picture(), [target], clicks=[[((99, -3), False), ((4, 5), True)]])
    ((boxes, points, labels),) = backend.calls
    assert boxes.tolist() == [[0, 0, 60, 20]]
    assert points.tolist() == [[[30, 10], [59, 0], [4, 5]]]
    assert labels.tolist() == [[1, 0, 1]]
    assert (boxes.dtype, points.dtype, labels.dtype) == (np.float32, np.float32, np.int64)


def test_many_pictures_at_once_and_an_error_in_the_place_of_one():
    backend = Boxes()
    box, beside = Target((1, 2, 11, 12), ((5, 5),)), Target((70, 0, 80, 10))
    asked = [(picture(), [box, Target((0, 0, 3, 3))]), (picture(), [beside]), (picture(80, 20), [box])]
    two, error, other = Segmenter(backend).segment_each([*asked, (picture(9, 9), [])])[:3]
    assert two.masks.sum((1, 2)).tolist() == [100, 9] and other.masks.shape == (1, 20, 80)
    assert isinstance(error, SegmenterError) and len(backend.encoded) == 2  # nothing without a target


def test_no_targets_need_no_model():
    backend = Boxes(fail=True)
    found = Segmenter(backend).segment(picture(), [])
    assert (
        found.masks.shape == (0, 40, 60) and found.scores.shape == (0,) and found.low_res.shape == (0, 4, 4)
    )


def test_a_picture_is_embedded_once_and_the_oldest_is_forgotten():
    backend = Boxes()
    segmenter = Segmenter(backend, keep=2)
    one, two, three = (picture(20 + i, 10, seed=i) for i in range(3))
    target = Target((0, 0, 5, 5))
    segmenter.embed(one)
    segmenter.segment(one.copy(), [target])  # the same pixels, another object
    segmenter.embed(two)
    segmenter.segment(one, [target])
    assert len(backend.encoded) == 2
    segmenter.embed(three)  # two was used longest ago
    segmenter.embed(one)
    assert len(backend.encoded) == 3
    segmenter.embed(two)
    assert len(backend.encoded) == 4


def test_same_bytes_in_another_shape_are_another_picture():
    backend = Boxes()
    segmenter = Segmenter(backend)
    segmenter.embed(Image.new("RGB", (20, 10)))
    segmenter.embed(Image.new("RGB", (10, 20)))
    assert backend.encoded == [(10, 20, 3), (20, 10, 3)]


def test_threads_that_ask_for_the_same_picture_wait_for_one_embedding():
    backend = Boxes(delay_s=0.1)
    segmenter, shapes = Segmenter(backend), []

    def ask(seed: int) -> None:
        found = segmenter.segment(picture(30 + seed % 2, 20, seed % 2), [Target((0, 0, 5, 4))])
        shapes.append(found.masks.shape)

    threads = [threading.Thread(target=ask, args=(i,)) for i in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(backend.encoded) == [(20, 30, 3), (20, 31, 3)]
    assert sorted(shapes) == [(1, 20, 30)] * 4 + [(1, 20, 31)] * 4


def test_a_failed_embedding_is_raised_and_tried_again():
    backend = Boxes(fail=True)
    segmenter = Segmenter(backend)
    with pytest.raises(RuntimeError, match="out of memory"):
        segmenter.embed(picture())
    backend.fail = False
    segmenter.embed(picture())
    assert len(backend.encoded) == 1


@pytest.mark.parametrize(
    ("target", "clicks", "words"),
    [
        (Target((70, 0, 90, 10)), None, "beside the picture of 60 x 40"),
        (Target((0, 0, 9, 9)), [], "1 targets but 0 lists"),
        (Target((0, 0, 9, 9)), [[((float("nan"), 1), True)]], "finite"),
    ],
)
def test_what_cannot_be_segmented_says_why(target, clicks, words):
    with pytest.raises(SegmenterError, match=words):
        Segmenter(Boxes()).segment(picture(), [target], clicks=clicks)


def test_only_rgb_pictures_are_segmented():
    with pytest.raises(SegmenterError, match="8-bit RGB"):
        Segmenter(Boxes()).embed(Image.new("L", (5, 5)))


# ------------------------------------------------------------------------------------------------- loading


@pytest.mark.parametrize(
    ("name", "content", "words"),
    [
        ("config.json", '{"model_type": "bert"}', "type bert, which is no segmenter"),
        ("config.json", "[]", "no segmenter"),
        ("config.json", "{", "holds no segmenter"),
        (
            "config.json",
            '{"model_type": "mini_sam", "widths": [8, 8, 8, 8]}',
            "cannot be loaded as a segmenter",
        ),
        ("config.json", '{"model_type": "mini_sam", "wings": 2, "widths": [8, 8, 8, 8]}', "cannot be loaded"),
        ("config.json", '{"model_type": "sam"}', "no .safetensors"),
        ("readme.txt", "", "no config.json"),
    ],
)
def test_a_folder_that_is_no_segmenter_says_why(tmp_path: Path, name, content, words):
    (tmp_path / name).write_text(content)
    with pytest.raises(ModelError, match=words) as caught:
        Segmenter.load(tmp_path, device="cpu")
    assert "\n" not in str(caught.value)


def test_a_checkpoint_that_is_missing_or_would_run_code_says_why(tmp_path: Path):
    with pytest.raises(ModelError, match="no such file"):
        Segmenter.load(tmp_path / "sam_vit_b.pth")
    torch.save({"image_encoder": Boxes()}, tmp_path / "evil.pth")
    with pytest.raises(ModelError, match="cannot be loaded as a segmenter"):
        Segmenter.load(tmp_path / "evil.pth", device="cpu")
    torch.save({"a": torch.zeros(1)}, tmp_path / "other.pth")
    with pytest.raises(ModelError, match="cannot be loaded as a segmenter"):
        Segmenter.load(tmp_path / "other.pth", device="cpu")


@pytest.mark.parametrize(
    "change",
    [{"heads": 7}, {"blocks": -1}, {"crop_px": 10**9}, {"crop_px": 40}, {"widths": "abcd"}, {"wings": 2}],
)
def test_a_mini_of_impossible_sizes_says_why(tmp_path: Path, change):
    config = {"model_type": "mini_sam", "widths": [24, 48, 96, 160]} | change
    (tmp_path / "config.json").write_text(json.dumps(config))
    with pytest.raises(ModelError, match="its config.json cannot be read") as caught:
        Segmenter.load(tmp_path, device="cpu")
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("size", ["tiny", "small", "base-plus", "large"])
def test_both_sam_2_are_known_by_their_sizes(size: str):
    assert NAMES[f"sam2.0-{size}"] == f"facebook/sam2-hiera-{size}"
    assert NAMES[f"sam2.1-{size}"] == f"facebook/sam2.1-hiera-{size}"


def test_a_device_that_is_not_there_is_one_line():
    with pytest.raises(ModelError, match="Device nowhere cannot be used"):
        Segmenter.load(REPO / "assets" / "mini" / "segmenter", device="nowhere")


def test_importing_the_face_imports_no_model_library():
    heavy = "{'torch', 'segment_anything', 'transformers', 'cv2'} & set(sys.modules)"
    code = f"import sys, segzero.segmenter; heavy = {heavy}; assert not heavy, heavy"
    done = subprocess.run([sys.executable, "-c", code], cwd=REPO, capture_output=True, text=True)
    assert not done.returncode, done.stderr
