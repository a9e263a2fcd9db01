"""SAM and SAM 2 behind the segmenter's face, at tiny random sizes.

python -m pytest tests/segmenter/test_sam.py
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from segzero.contract import Target
from segzero.hub import ModelError
from segzero.segmenter import Segmenter
from tests.shared.tiny import tiny_sam2_parts


def picture(width: int = 60, height: int = 40, seed: int = 0) -> Image.Image:
    return Image.fromarray(np.random.default_rng(seed).integers(0, 256, (height, width, 3), np.uint8))


TARGETS = [
    Target((5, 5, 40, 30), ((20, 20),)),
    Target((1, 1, 9, 9)),
    Target((0, 0, 60, 40), ((3, 3), (5, 5))),
]


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


def three_masks(segmenter: Segmenter):
    """What a segmenter finds for TARGETS, all of the right size."""
    found = segmenter.segment(picture(), TARGETS)
    assert found.masks.shape == (3, 40, 60) and found.masks.dtype == bool
    assert found.low_res.shape == (3, 16, 16)
    return found


def test_sam_from_an_official_checkpoint(tiny_sam, tmp_path: Path):
    from segzero.segmenter.sam1 import from_transformers

    torch.save(from_transformers(tiny_sam.state_dict()), tmp_path / "sam_vit_t.pth")
    segmenter = Segmenter.load(tmp_path / "sam_vit_t.pth", device="cpu")
    found = three_masks(segmenter)
    for index, target in enumerate(TARGETS):  # alone or together, in whatever group
        alone = segmenter.segment(picture(), [target])
        assert (alone.masks[0] == found.masks[index]).all()
        assert np.allclose(alone.low_res[0], found.low_res[index], atol=1e-5)


@pytest.mark.parametrize(
    "wrap",
    [
        lambda w: {"model": w},
        lambda w: {"state_dict": {f"module.{k}": v for k, v in w.items()}, "epoch": 1},
        lambda w: w | {"epoch": 1},
    ],
    ids=["model", "training", "beside"],
)
def test_sam_out_of_a_trainings_file(tiny_sam, tmp_path: Path, wrap):
    from segzero.segmenter.sam1 import from_transformers

    known = from_transformers(tiny_sam.state_dict())
    torch.save(wrap(known), tmp_path / "last.pth")
    found = Segmenter.load(tmp_path / "last.pth", device="cpu").backend.sam.state_dict()
    assert all(torch.equal(known[name], found[name]) for name in known)


@pytest.mark.parametrize(
    ("lost", "said"),
    [
        ("image_encoder.pos_embed", "lack the tensor image_encoder.pos_embed"),
        ("image_encoder.blocks.1.norm1.bias", "lack 1 tensor, image_encoder.blocks.1.norm1.bias"),
        ("mask_decoder.iou_token.weight", "lack 1 tensor"),
    ],
)
def test_sam_without_a_tensor_is_refused(tiny_sam, tmp_path: Path, lost, said):
    from segzero.segmenter.sam1 import from_transformers

    weights = from_transformers(tiny_sam.state_dict())
    del weights[lost]
    torch.save(weights, tmp_path / "sam.pth")
    with pytest.raises(ModelError, match=said):
        Segmenter.load(tmp_path / "sam.pth", device="cpu")


def test_sam_keeps_the_highest_scored_of_three_masks(tiny_sam):
    from segzero.segmenter.sam1 import Sam1Backend, build, from_transformers

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
    from segzero.segmenter.sam1 import Sam1Backend, build, from_transformers

    segmenter = Segmenter(Sam1Backend(build(from_transformers(tiny_sam.state_dict()))))
    found = segmenter.segment(picture(*size), [Target((0, 0, *size), ((0, 0),))])
    assert found.masks.shape == (1, size[1], size[0])


# ------------------------------------------------------------------------------------- SAM 2, tiny and random


@pytest.fixture(scope="module")
def tiny_sam2():
    return tiny_sam2_parts()


def test_sam2_from_a_folder_segments_every_target_of_a_picture(tiny_sam2, tmp_path: Path):
    for part in tiny_sam2:
        part.save_pretrained(tmp_path)
    segmenter = Segmenter.load(tmp_path, device="cpu")
    found = three_masks(segmenter)
    for index, target in enumerate(TARGETS):
        alone = segmenter.segment(picture(), [target])
        assert (alone.masks[0] == found.masks[index]).all()


def test_sam2_on_a_kept_embedding_computes_what_the_model_computes_in_one_go(tiny_sam2):
    from segzero.segmenter.sam2 import Sam2Backend

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


# ------------------------------------------------------------------------------------ all that is considered


@pytest.mark.parametrize("name", ["tiny_sam", "tiny_sam2"])
@pytest.mark.parametrize("points", [(), ((20, 20),)])
def test_of_the_three_masks_the_one_that_counts_is_the_first(name, points, request):
    from segzero.segmenter.sam1 import Sam1Backend, build, from_transformers
    from segzero.segmenter.sam2 import Sam2Backend

    tiny = request.getfixturevalue(name)
    two = name == "tiny_sam2"
    backend = Sam2Backend(*tiny) if two else Sam1Backend(build(from_transformers(tiny.state_dict())))
    segmenter, target, clicks = Segmenter(backend), Target((5, 5, 40, 30), points), [((8, 9), False)]
    found = segmenter.segment(picture(), [target], clicks=[clicks])
    masks, scores = segmenter.candidates(picture(), target, clicks)
    assert masks.shape == (3, 40, 60) and masks.dtype == bool and scores.shape == (3,)
    assert (masks[0] == found.masks[0]).all() and scores[0] == pytest.approx(float(found.scores[0]))
    assert scores.tolist() == sorted(scores.tolist(), reverse=True)
