"""The segmenter's face and its three backends, at tiny random sizes; the bundled weights on composed scenes.

python -m pytest tests/test_segmenter.py
"""

from __future__ import annotations

import json
import subprocess
import sys
import threading
import time
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from PIL import Image

from segzero.geometry import Target
from segzero.segmenter import ModelError, Segmenter, SegmenterError

REPO = Path(__file__).resolve().parents[1]


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


def test_importing_the_face_imports_no_model_library():
    heavy = "{'torch', 'segment_anything', 'transformers', 'cv2'} & set(sys.modules)"
    code = f"import sys, segzero.segmenter; heavy = {heavy}; assert not heavy, heavy"
    done = subprocess.run([sys.executable, "-c", code], cwd=REPO, capture_output=True, text=True)
    assert not done.returncode, done.stderr


# --------------------------------------------------------------------------------------- SAM, tiny and random


@pytest.fixture(scope="module")
def tiny_sam():
    """transformers' SamModel at a tiny size, seeded, with every weight random."""
    from transformers import SamConfig, SamModel

    torch.manual_seed(0)
    model = SamModel(
        SamConfig(
            vision_config={
                "hidden_size": 32, "num_hidden_layers": 2, "num_attention_heads": 2, "image_size": 64,
                "mlp_dim": 64, "patch_size": 16, "output_channels": 16, "window_size": 3, "num_pos_feats": 8,
                "global_attn_indexes": [1],
            },
            prompt_encoder_config={
                "hidden_size": 16, "image_size": 64, "patch_size": 16, "mask_input_channels": 8,
            },
            mask_decoder_config={
                "hidden_size": 16, "mlp_dim": 32, "num_attention_heads": 8, "iou_head_hidden_dim": 16,
            },
        )
    ).eval()  # fmt: skip
    for parameter in model.parameters():
        torch.nn.init.normal_(parameter, std=0.2)
    return model


def test_sam_from_the_hub_computes_what_transformers_computes(tiny_sam, tmp_path: Path):
    tiny_sam.save_pretrained(tmp_path)
    backend = Segmenter.load(tmp_path, device="cpu").backend
    sam = backend.sam
    assert (sam.image_encoder.img_size, sam.image_encoder.blocks[0].window_size) == (64, 3)
    assert sam.image_encoder.blocks[1].window_size == 0

    pixels = torch.randn(1, 3, 64, 64)
    boxes = torch.tensor([[3.0, 4, 30, 40], [10, 11, 50, 60]])
    points, labels = torch.tensor([[[9.0, 9]], [[20, 30]]]), torch.tensor([[1], [0]])
    with torch.inference_mode():
        mine = backend._predict(sam.image_encoder(pixels), boxes, (points, labels))
        other = tiny_sam(
            pixels, input_boxes=boxes[None], input_points=points[None], input_labels=labels[None]
        )
    assert torch.allclose(mine[0], other.pred_masks[0], atol=1e-4)
    assert torch.allclose(mine[1], other.iou_scores[0], atol=1e-4)


def test_sam_from_an_official_checkpoint(tiny_sam, tmp_path: Path):
    from segzero.sam1 import from_transformers

    torch.save(from_transformers(tiny_sam.state_dict()), tmp_path / "sam_vit_t.pth")
    segmenter = Segmenter.load(tmp_path / "sam_vit_t.pth", device="cpu")
    targets = [
        Target((5, 5, 40, 30), ((20, 20),)),
        Target((1, 1, 9, 9)),
        Target((0, 0, 60, 40), ((3, 3), (5, 5))),
    ]
    found = segmenter.segment(picture(), targets)
    assert (
        found.masks.shape == (3, 40, 60) and found.masks.dtype == bool and found.low_res.shape == (3, 16, 16)
    )
    for index, target in enumerate(targets):  # alone or together, in whatever group
        alone = segmenter.segment(picture(), [target])
        assert (alone.masks[0] == found.masks[index]).all()
        assert np.allclose(alone.low_res[0], found.low_res[index], atol=1e-5)


def test_sam_keeps_the_highest_scored_of_three_masks(tiny_sam):
    from segzero.sam1 import Sam1Backend, build, from_transformers

    backend = Sam1Backend(build(from_transformers(tiny_sam.state_dict())))
    state = backend.encode(np.array(picture(50, 80)))
    scale = 64 / 80
    box = np.array([[5, 6, 40, 70]], np.float32)
    masks, scores, low_res = backend.decode(state, box)
    with torch.inference_mode():
        logits, ious = backend._predict(state[0], torch.from_numpy(box) * scale, None)
    assert state[1:] == ((64, 40), (80, 50)) and ious.shape == (1, 3)
    assert scores[0] == pytest.approx(float(ious.max()))
    assert np.allclose(low_res[0], logits[0, ious.argmax()])


@pytest.mark.parametrize("size", [(1, 1), (2000, 1), (7, 300)])
def test_sam_takes_pictures_of_any_shape(tiny_sam, size):
    from segzero.sam1 import Sam1Backend, build, from_transformers

    segmenter = Segmenter(Sam1Backend(build(from_transformers(tiny_sam.state_dict()))))
    found = segmenter.segment(picture(*size), [Target((0, 0, *size), ((0, 0),))])
    assert found.masks.shape == (1, size[1], size[0])


# ------------------------------------------------------------------------------------- SAM 2, tiny and random


@pytest.fixture(scope="module")
def tiny_sam2():
    from transformers import Sam2Config, Sam2ImageProcessor, Sam2Model, Sam2Processor

    torch.manual_seed(0)
    sizes = [[16, 16], [8, 8], [4, 4]]
    config = Sam2Config(
        vision_config={
            "backbone_config": {
                "model_type": "sam2_hiera_det_model", "hidden_size": 8, "num_attention_heads": 1,
                "blocks_per_stage": [1, 2, 1, 1], "embed_dim_per_stage": [8, 16, 32, 64],
                "num_attention_heads_per_stage": [1, 1, 1, 1], "window_size_per_stage": [4, 4, 4, 4],
                "global_attention_blocks": [2], "image_size": [64, 64],
                "window_positional_embedding_background_size": [2, 2],
            },
            "backbone_channel_list": [64, 32, 16, 8], "backbone_feature_sizes": sizes, "fpn_hidden_size": 32,
        },
        prompt_encoder_config={"hidden_size": 32, "image_size": 64, "mask_input_channels": 8},
        mask_decoder_config={
            "hidden_size": 32, "mlp_dim": 32, "num_attention_heads": 2, "iou_head_hidden_dim": 16,
        },
    )  # fmt: skip
    model = Sam2Model(config).eval()
    processor = Sam2Processor(Sam2ImageProcessor(size={"height": 64, "width": 64}), target_size=64)
    return model, processor


def test_sam2_from_a_folder_segments_every_target_of_a_picture(tiny_sam2, tmp_path: Path):
    for part in tiny_sam2:
        part.save_pretrained(tmp_path)
    segmenter = Segmenter.load(tmp_path, device="cpu")
    targets = [
        Target((5, 5, 40, 30), ((20, 20),)),
        Target((1, 1, 9, 9)),
        Target((0, 0, 60, 40), ((3, 3), (5, 5))),
    ]
    found = segmenter.segment(picture(), targets)
    assert (
        found.masks.shape == (3, 40, 60) and found.masks.dtype == bool and found.low_res.shape == (3, 16, 16)
    )
    for index, target in enumerate(targets):
        alone = segmenter.segment(picture(), [target])
        assert (alone.masks[0] == found.masks[index]).all()


def test_sam2_on_a_kept_embedding_computes_what_the_model_computes_in_one_go(tiny_sam2):
    from segzero.sam2 import Sam2Backend

    model, processor = tiny_sam2
    image = picture()
    backend = Sam2Backend(model, processor)
    boxes, points = np.array([[5, 6, 40, 30]], np.float32), np.array([[[20, 20], [8, 9]]], np.float32)
    _, scores, low_res = backend.decode(backend.encode(np.array(image)), boxes, points, np.array([[1, 0]]))
    inputs = processor(
        image,
        input_boxes=[boxes.tolist()],
        input_points=[points.tolist()],
        input_labels=[[[1, 0]]],
        return_tensors="pt",
    )
    inputs.pop("original_sizes")
    with torch.inference_mode():
        whole = model(**inputs, multimask_output=True)
    best = int(whole.iou_scores[0, 0].argmax())
    assert scores[0] == pytest.approx(float(whole.iou_scores[0, 0, best]), abs=1e-6)
    assert np.allclose(low_res[0], whole.pred_masks[0, 0, best], atol=1e-5)


# --------------------------------------------------------------------------------------------------- the mini


@pytest.fixture(scope="module")
def tiny_mini():
    from segzero.mini_sam import MiniBackend, MiniSam, MiniSamConfig

    torch.manual_seed(0)
    config = MiniSamConfig(
        crop_px=32, widths=(8, 8, 16, 16), blocks=1, heads=2, decoder_dim=16, decoder_depth=1, decoder_heads=2
    )
    return MiniBackend(MiniSam(config))


def test_the_mini_survives_saving(tiny_mini, tmp_path: Path):
    tiny_mini.save(tmp_path)
    assert json.loads((tmp_path / "config.json").read_text())["model_type"] == "mini_sam"
    segmenter = Segmenter.load(tmp_path, device="cpu")
    target = Target((5, 5, 40, 30), ((20, 20),))
    here, there = Segmenter(tiny_mini).segment(picture(), [target]), segmenter.segment(picture(), [target])
    assert np.allclose(here.low_res, there.low_res, atol=0.02)  # half precision on disk
    assert there.masks.shape == (1, 40, 60) and there.low_res.shape == (1, 32, 32)
    assert there.scores.dtype == np.float32 and 0 <= there.scores[0] <= 1


@pytest.mark.parametrize(
    ("size", "box", "points"),
    [
        ((1, 1), (0, 0, 1, 1), ((0, 0),)),
        ((20000, 10), (0, 0, 20000, 10), ((10000, 5),)),
        ((10, 33000), (2, 32000, 9, 33000), ()),
        ((60, 40), (0, 0, 60, 40), ((0, 0), (59, 39))),
        ((60, 40), (59, 39, 60, 40), ((1, 1),)),  # a point far from its box
        ((60, 40), (30, 20, 30, 20), ()),  # a box without area
        ((60, 40), (10, 5, 10, 39), ()),
    ],
)
def test_the_mini_takes_pictures_and_boxes_of_any_shape(tiny_mini, size, box, points):
    clicks = [[((0, 0), False), ((size[0], size[1]), True)]]
    for more in (None, clicks):
        found = Segmenter(tiny_mini).segment(picture(*size), [Target(box, points)], clicks=more)
        assert found.masks.shape == (1, size[1], size[0]) and np.isfinite(found.scores).all()


def test_the_mini_gives_the_same_alone_and_among_many(tiny_mini):
    segmenter = Segmenter(tiny_mini)
    rng = np.random.default_rng(0)
    corners = np.sort(rng.uniform(0, 40, (40, 2, 2)), 1).reshape(40, 4)
    targets = [Target(tuple(box), ((box[0], box[1]),) * (i % 3)) for i, box in enumerate(corners)]
    found = segmenter.segment(picture(), targets)
    for index in (0, 17, 39):
        alone = segmenter.segment(picture(), [targets[index]])
        assert np.allclose(alone.low_res[0], found.low_res[index], atol=1e-4)


@pytest.mark.parametrize("side", [16.0, 48.0, 100.0])
def test_a_window_shows_each_pixel_where_it_belongs_and_paste_puts_it_back(side: float):
    from segzero.crop import Window, cut, paste, to_crop

    disc = np.hypot(*np.mgrid[-20:50, -35:65]) < 7  # 70 high, 100 wide, centred at (35, 20)
    window = Window(35.5 - side / 2, 20.5 - side / 2, side)
    crop = cut(disc.astype(np.uint8) * 255, window, 48)
    assert crop.shape == (48, 48) and crop.dtype == np.uint8
    assert crop.mean() / 255 == pytest.approx(min(disc.sum() / side**2, 1), rel=0.05)
    weight = crop.astype(float) / crop.sum()
    rows, columns = np.mgrid[:48, :48]
    assert ((weight * columns).sum(), (weight * rows).sum()) == pytest.approx((23.5, 23.5), abs=0.1)
    assert to_crop(np.array([35, 20]), window, 48) == pytest.approx((23.5, 23.5))
    back = paste(crop.astype(np.float32) / 255 - 0.5, window, (100, 70))
    assert (back & disc).sum() / (back | disc).sum() > 0.95


def test_a_crop_over_the_edge_is_padded_and_nothing_is_found_outside_it():
    from segzero.crop import Window, cut, paste

    white = np.full((40, 60, 3), 255, np.uint8)
    crop = cut(white, Window(-32.0, -32.0, 64.0), 32, (128, 128, 128))
    assert (crop[:15, :15] == 128).all() and (crop[17:, 17:] == 255).all()
    assert (cut(white, Window(100.0, 100.0, 10.0), 8, (1, 2, 3)) == (1, 2, 3)).all()
    everywhere = paste(np.ones((32, 32), np.float32), Window(-32.0, -32.0, 64.0), (60, 40))
    assert everywhere[:31, :31].all() and not everywhere[33:].any() and not everywhere[:, 33:].any()


def test_prompts_are_drawn_where_they_are():
    from segzero.mini_sam import draw_prompts

    boxes = torch.tensor([[8.0, 4, 24, 20]])
    points, labels = torch.tensor([[[10.0, 20], [28, 2], [3, 3]]]), torch.tensor([[1, 0, -1]])
    box, positive, negative = draw_prompts(boxes, points, labels, 32)[0]
    assert box.shape == (16, 16) and box[5, 8] == 1 and box[1, 8] == 0 and box[5, 13] == 0  # (row, column)
    assert divmod(int(positive.argmax()), 16) == (10, 5) and divmod(int(negative.argmax()), 16) == (1, 14)
    assert positive.max() > 0.9 and positive[1, 1] < 0.01 and negative[1, 1] < 0.01  # padding is not drawn


# ------------------------------------------------------------------------------------------------- training


class Discs:
    """Stands for a Composer: two discs of plain colour on noise."""

    def scene(self, rng, wh, count=None):
        width, height = wh
        image = rng.integers(0, 256, (height, width, 3), np.uint8)
        ys, xs = np.mgrid[:height, :width]
        things = []
        for x in (width // 4, 3 * width // 4):
            mask = np.hypot(xs - x, ys - height // 2) < 30
            image[mask] = rng.integers(0, 256, 3)
            box = (x - 29, height // 2 - 29, x + 29, height // 2 + 29)
            things.append(SimpleNamespace(mask=mask, box_xyxy=box, point_xy=(x, height // 2)))
        return SimpleNamespace(image=image, objects=tuple(things))


def test_a_batch_depends_on_its_seed_and_number_alone(tiny_mini):
    from train.mini.segmenter_data import make_batch

    config = tiny_mini.model.config
    batches = [make_batch(Discs(), config, seed=1, index=index, size=6) for index in (0, 1, 2, 3, 4, 5, 6, 0)]
    assert torch.equal(batches[0].crops, batches[-1].crops) and torch.equal(
        batches[0].boxes, batches[-1].boxes
    )
    assert not torch.equal(batches[0].crops, batches[1].crops)
    for batch in batches:
        assert batch.crops.shape == (6, 3, 32, 32) and batch.crops.dtype == torch.uint8
        assert batch.masks.shape == (6, 32, 32) and batch.masks.min() >= 0 and batch.masks.max() <= 1
        area = (batch.boxes[:, 2:] - batch.boxes[:, :2] + 1).prod(1)  # a disc fills pi / 4 of its true box
        assert (batch.masks.sum((1, 2)) / area).median() == pytest.approx(0.785, abs=0.2)
        if batch.points is not None:
            assert batch.points.shape[:2] == batch.labels.shape
            rows = torch.arange(6)[:, None].expand_as(batch.labels)
            x, y = batch.points.round().long().clamp(0, 31).unbind(-1)
            inside = batch.masks[rows, y, x] > 0.5
            assert inside[batch.labels == 1].float().mean() > 0.6
            assert not inside[batch.labels == 0].float().sum() > 1  # a rounded pixel on the edge


def test_training_stops_resumes_and_learns(tmp_path: Path):
    from segzero.mini_sam import MiniBackend, MiniSamConfig
    from train.mini.segmenter_data import make_batch
    from train.mini.train_segmenter import Plan, Run, open_run

    config = MiniSamConfig(
        crop_px=32, widths=(8, 8, 16, 16), blocks=1, heads=2, decoder_dim=16, decoder_depth=1, decoder_heads=2
    )
    plan = Plan(begin=0, end=100, rate=5e-3, warmup=5, batch=8)
    run = Run(plan, seed=0, config=config)
    batches = [make_batch(Discs(), config, seed=0, index=index, size=8) for index in range(25)]
    losses = [run.train_step(batch)["mask"] for batch in batches[:24]]
    assert np.mean(losses[-6:]) < 0.8 * np.mean(losses[:6])
    run.seconds = 90.0
    run.save(tmp_path)
    again = Run(plan, seed=0, config=config)
    again.load_state(torch.load(tmp_path / "state.pt", weights_only=True))
    assert again.step == 24 and again.seconds == 90.0
    assert again.train_step(batches[24]) == run.train_step(batches[24])
    exported = MiniBackend.load(tmp_path / "model").model.state_dict()
    for name, value in again.averaged.state_dict().items():
        assert exported[name].shape == value.shape
    fresh = open_run(tmp_path / "new", plan, more=0, seed=3, device="cpu")
    assert (fresh.step, fresh.seed, fresh.plan) == (0, 3, plan)


def test_the_crops_are_coarse_at_first_and_full_in_the_end():
    from train.mini.train_segmenter import COARSE_PX, Plan, Run

    run = Run(Plan(begin=0, end=100, coarse=0.8), seed=0)
    assert run.crops.crop_px == COARSE_PX and run.crops.widths == run.model.config.widths
    run.seconds = 81.0
    assert run.crops == run.model.config
    assert [round(run.plan.learning_rate(10**6, s), 6) for s in (0, 50, 100, 999)] == [
        0.002,
        0.001,
        2e-05,
        2e-05,
    ]


def test_the_measured_iou_is_that_of_the_masks():
    from segzero.crop import Window
    from train.mini.evaluate_segmenter import evaluate

    class Filled:
        """Its masks are the given boxes; after a click, the truth that it was shown."""

        def predict(self, state, boxes, points=None, labels=None):
            sides = (boxes[:, 2:] - boxes[:, :2]).max(1) + 1
            windows = [
                Window(float(b[0]), float(b[1]), float(side)) for b, side in zip(boxes, sides, strict=True)
            ]
            return (
                windows,
                np.ones((len(boxes), 4, 64, 64), np.float32),
                np.full((len(boxes), 4), 0.5, np.float32),
            )

        def decode(self, state, boxes, points=None, labels=None):
            masks = np.zeros((len(boxes), *state.shape[:2]), bool)
            for mask, (x1, y1, x2, y2) in zip(masks, boxes.astype(int), strict=True):
                mask[y1 : y2 + 1, x1 : x2 + 1] = points is None or points.shape[1] == 1
            return masks, np.full(len(boxes), 0.5, np.float32), None

    results = evaluate(Filled(), Discs(), scenes=3, progress=False)
    exact = results["prompts"]["true box and point"]
    assert (
        results["objects"] == 6 and exact["IoU of the given box"] == 1.0 and exact["share above 0.5"] == 1.0
    )
    assert exact["IoU"] == results["filled box IoU"] and exact["IoU after one click"] == 0
    assert exact["IoU at the first look"] == pytest.approx(results["filled box IoU"], abs=0.015)
    assert exact["error of its own estimate"] == pytest.approx(results["filled box IoU"] - 0.5, abs=1e-4)
    assert results["filled box IoU"] == pytest.approx(0.81, abs=0.005)  # 2821 pixels of 59 x 59


def test_a_click_goes_to_the_middle_of_the_largest_mistake():
    from train.mini.evaluate_segmenter import click_at_error

    truth, found = np.zeros((20, 40), bool), np.zeros((20, 40), bool)
    truth[:, :11] = True
    found[0:3, 30:33] = True
    assert click_at_error(found, truth) == ((5, 5), 1)
    assert click_at_error(np.ones((20, 40), bool), truth)[1] == 0


# --------------------------------------------------------------------------------------- the bundled weights

WEIGHTS = REPO / "assets" / "mini" / "segmenter"


@pytest.fixture(scope="module")
def composer():
    pytest.importorskip("train.mini.scenes")
    from train.mini.scenes import Composer, World

    return Composer(World.load(), "test")


@pytest.mark.slow
def test_the_bundled_weights_cut_out_unseen_sprites(composer):
    from segzero.mini_sam import MiniBackend
    from train.mini.evaluate_segmenter import evaluate

    prompts = evaluate(MiniBackend.load(WEIGHTS), composer, scenes=12, progress=False)["prompts"]
    assert prompts["true box and point"]["IoU"] > 0.75
    assert prompts["edges off by 10 %"]["IoU"] > 0.70
    sloppy = prompts["edges off by 18 %"]
    assert sloppy["IoU"] > sloppy["IoU at the first look"]
    assert sloppy["IoU after one click"] > sloppy["IoU"]


@pytest.mark.slow
def test_the_bundled_weights_were_measured():
    results = json.loads((WEIGHTS / "results.json").read_text())
    assert results["scenes"] >= 200 and results["prompts"]["true box and point"]["IoU"] >= 0.80
