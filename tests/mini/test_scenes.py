"""The composer: what it paints is what it says, and what is held out stays held out."""

from __future__ import annotations

import numpy as np
import pytest

from train.mini.world import Composer, Scene, paint
from train.mini.world.pieces import Backdrop, Sprite, World, color_name
from train.mini.world.scenes import VISIBLE

CONCEPTS = ("dog", "cat", "horse", "umbrella", "red apple", "car", "chair", "book", "bus", "pear", "broom")


@pytest.fixture(scope="module")
def world() -> World:
    return World.load(concepts=CONCEPTS)


def scenes(world: World, split: str, number: int = 12, **options) -> list[Scene]:
    composer, rng = Composer(world, split), np.random.default_rng(7)
    shapes = [(112, 84), (84, 112), (120, 60), (96, 96)]
    return [composer.scene(rng, shapes[i % 4], **options) for i in range(number)]


def square(color: tuple[int, int, int], identity: str, split: str = "train", side: int = 40) -> Sprite:
    rgba = np.zeros((side + 4, side + 4, 4), np.uint8)
    rgba[..., :3] = color
    rgba[2:-2, 2:-2, 3] = 255
    return Sprite(
        identity, identity.split(".")[0], "toy", "flat", split, (rgba, rgba, rgba), 1.0, color_name(rgba)
    )


@pytest.mark.parametrize("split", ["train", "val", "test", "style"])
def test_masks_are_disjoint_and_boxes_and_points_belong_to_them(world: World, split: str) -> None:
    for scene in scenes(world, split):
        height, width = scene.image.shape[:2]
        assert scene.image.dtype == np.uint8 and scene.image.shape[2] == 3
        claims = np.zeros((height, width), int)
        for item in scene.objects:
            assert item.mask.shape == (height, width) and item.mask.dtype == bool
            ys, xs = np.nonzero(item.mask)
            assert item.box_xyxy == (xs.min(), ys.min(), xs.max(), ys.max())
            assert item.mask[item.point_xy[1], item.point_xy[0]]
            claims += item.mask
        assert claims.max() <= 1


def test_the_picture_has_the_asked_shape_width_first(world: World) -> None:
    assert scenes(world, "train", 1)[0].image.shape == (84, 112, 3)


@pytest.mark.parametrize("count", [1, 2, 5, 8])
def test_count_is_kept(world: World, count: int) -> None:
    assert [len(scene.objects) for scene in scenes(world, "test", 4, count=count)] == [count] * 4


def test_the_same_seed_gives_the_same_scene(world: World) -> None:
    for one, two in zip(scenes(world, "train", 4), scenes(world, "train", 4), strict=True):
        np.testing.assert_array_equal(one.image, two.image)
        assert [(o.sprite, o.box_xyxy, o.color) for o in one.objects] == [
            (o.sprite, o.box_xyxy, o.color) for o in two.objects
        ]


def test_no_split_shows_a_sprite_or_background_of_another(world: World) -> None:
    of_split = {s.id: s.split for sprites in world.sprites.values() for s in sprites}
    for split, own in (("train", "train"), ("val", "train"), ("test", "test"), ("style", "style")):
        shown = {o.sprite for scene in scenes(world, split) for o in scene.objects}
        assert {of_split[identity] for identity in shown} == {own}


@pytest.mark.parametrize(
    ("split", "seen"), [("train", True), ("val", True), ("test", False), ("style", False)]
)
def test_a_training_background_is_not_shown_in_a_test(split: str, seen: bool) -> None:
    sprites = {"a": tuple(square((200, 30, 30), f"a.{own}", own) for own in ("train", "test", "style"))}
    photo = np.full((60, 80, 3), (0, 255, 1), np.uint8)
    composer = Composer(World(sprites, (Backdrop("signal", "photo", "train", photo),)), split)
    composer._rich = False  # the exact colour must survive
    rng = np.random.default_rng(1)
    share = [(composer.scene(rng, (64, 48), 1).image == (0, 255, 1)).all(-1).mean() for _ in range(20)]
    assert bool(max(share) > 0.3) == seen


def test_each_concept_with_two_sprites_holds_exactly_one_out(world: World) -> None:
    for concept, sprites in world.sprites.items():
        splits = [s.split for s in sprites if "twemoji" not in s.id]
        assert splits.count("test") == (1 if len(splits) > 1 else 0), concept
        assert {s.split for s in sprites if "twemoji" in s.id} <= {"style"}


def test_the_permissive_pack_stands_alone() -> None:
    permissive = World.load(gpl=False, concepts=["dog"])
    assert not [s.id for s in permissive.sprites["dog"] if "tuxpaint" in s.id]
    assert permissive.backdrops
    assert Composer(permissive, "train").scene(np.random.default_rng(0), (64, 48), 2).objects


def test_an_unknown_concept_or_split_is_refused(world: World) -> None:
    with pytest.raises(ValueError, match="no sprite for unicorn"):
        World.load(concepts=["unicorn"])
    with pytest.raises(ValueError, match="'dev' is none of"):
        Composer(world, "dev")
    with pytest.raises(ValueError, match="no train sprite"):
        Composer(world, "train", ["unicorn"])


def test_duplicates_of_one_concept_and_of_one_category_appear() -> None:
    sprites = {
        name: (square((200, 30, 30), f"{name}.a"), square((30, 30, 200), f"{name}.b")) for name in "abcdefgh"
    }
    composer, rng = Composer(World(sprites, ()), "train"), np.random.default_rng(0)
    repeated = 0
    for _ in range(40):
        concepts = [o.concept for o in composer.scene(rng, (96, 72), 4).objects]
        repeated += len(set(concepts)) < len(concepts)
    assert 3 <= repeated <= 20  # a quarter is expected


def test_objects_stay_visible() -> None:
    sprites = {name: (square((200, 30, 30), f"{name}.a", "test"),) for name in "abcdefgh"}
    backdrop = Backdrop("grey", "photo", "test", np.full((60, 80, 3), 128, np.uint8))
    composer, rng = Composer(World(sprites, (backdrop,)), "test"), np.random.default_rng(3)
    for _ in range(10):
        for item in composer.scene(rng, (112, 84), 8).objects:
            x1, y1, x2, y2 = item.box_xyxy
            side = max(x2 - x1, y2 - y1) + 1  # an upright square in full view fills its box
            assert item.mask.sum() >= VISIBLE * side * side * 0.9


def test_an_upright_sprite_covers_the_pixels_it_should() -> None:
    red = square((200, 30, 30), "a.a", side=40)
    patch = paint.warp(red.levels, longest_px=44, angle_deg=0, flip=False, squeeze=1.0)
    easel = paint.Easel(np.full((60, 90, 3), 128, np.uint8))
    easel.paint(patch, paint.solid_part(patch), 10, 5)
    assert easel.count == 1
    ys, xs = np.nonzero(easel.owner)
    assert (xs.min(), ys.min(), xs.max(), ys.max()) == (11, 6, 50, 45)  # 40 px, after the margin of 1
    assert easel.rgb[25, 30].tolist() == [200, 30, 30]
    assert easel.rgb[25, 70].tolist() == [128, 128, 128]


@pytest.mark.parametrize(
    ("rgb", "name"),
    [
        ((220, 20, 30), "red"),
        ((250, 140, 10), "orange"),
        ((250, 220, 30), "yellow"),
        ((40, 160, 50), "green"),
        ((30, 80, 220), "blue"),
        ((130, 50, 200), "purple"),
        ((250, 120, 190), "pink"),
        ((110, 70, 35), "brown"),
        ((245, 245, 245), "white"),
        ((128, 128, 128), "grey"),
        ((15, 15, 18), "black"),
        ((225, 190, 150), None),  # sand: people would not agree
    ],
)
def test_colors_have_the_names_people_use(rgb: tuple[int, int, int], name: str | None) -> None:
    assert color_name(np.full((4, 4, 4), (*rgb, 255), np.uint8)) == name


def test_two_colors_in_equal_parts_have_no_name() -> None:
    flag = np.full((4, 4, 4), (220, 20, 30, 255), np.uint8)
    flag[2:] = (30, 80, 220, 255)
    assert color_name(flag) is None


def test_a_restyled_drawing_keeps_its_shape_and_its_edges() -> None:
    drawing = np.full((12, 20, 4), (220, 20, 30, 255), np.uint8)
    drawing[:, 10:, :3] = (250, 220, 30)
    drawing[:2, :, 3] = 0
    rng = np.random.default_rng(4)
    for change in (paint.mix_colors, paint.line_drawing, paint.restyle):
        changed = change(rng, drawing)
        assert changed.shape == drawing.shape and changed.dtype == np.uint8
        assert (changed[..., 3] == drawing[..., 3]).all()
    mixed = paint.mix_colors(rng, drawing)[5].astype(int)
    assert (mixed[:10] == mixed[0]).all() and (mixed[10:] == mixed[10]).all()
    assert abs(mixed[0, :3] - mixed[10, :3]).sum() > 30
    lines = paint.line_drawing(rng, drawing)[5, :, :3].astype(int)
    assert (lines[2] == lines[17]).all()  # paper on both sides
    assert abs(lines[9] - lines[2]).sum() > 30  # ink where the colours met


def test_restyled_scenes_show_things_lying_any_way() -> None:
    sprites = {"a": (square((200, 30, 30), "a.a", "train"),)}
    backdrop = Backdrop("grey", "photo", "train", np.full((60, 80, 3), 128, np.uint8))

    def slack(restyled: float) -> float:
        """How much larger than a square its box is where it is turned most: 2 on a corner, 1 upright."""
        composer = Composer(World(sprites, (backdrop,)), "train", restyled=restyled)
        rng = np.random.default_rng(3)
        shown = [composer.scene(rng, (112, 84), 1).objects[0] for _ in range(60)]
        sides = np.array([thing.box_xyxy for thing in shown])
        boxes = (sides[:, 2:] - sides[:, :2] + 1).prod(1)
        return float(np.quantile(boxes / [thing.mask.sum() for thing in shown], 0.9))

    assert slack(1.0) > 1.7 > slack(0.0)
