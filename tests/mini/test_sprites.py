"""Which sprites only training may see: `python -m pytest tests/mini/test_sprites.py`."""

from __future__ import annotations

import json
import zipfile

from train.mini.world.sprites import Entry, hold_out, write_pack

SH3F = "usr/share/sweethome3d/furniture/Scopia.sh3f!/scopia"


def entry(identity: str, pack: str, path: str) -> Entry:
    return Entry(identity, "cat", "animal:mammal", "flat", "train", pack, path, "CC0-1.0", "", "")


def splits(*entries: Entry) -> dict[str, str]:
    return {e.id: e.split for e in hold_out({e: b"" for e in entries})}


def test_a_view_of_a_training_model_is_trained_on_and_never_tested():
    # One sprite that may be held out is not enough: nothing is.
    found = splits(
        entry("icon", "sweethome3d-furniture", f"{SH3F}/cat.png"),
        entry("view", "sweethome3d-furniture", f"{SH3F}/cat.png#45,15"),
        entry("drawing", "@iconify-json/fxemoji", "icons.json#cat"),
    )
    assert found == {"icon": "train", "view": "train", "drawing": "train"}


def test_no_view_of_a_test_sprites_model_is_kept():
    tabby = (entry(f"view{n}", "sweethome3d-furniture", f"{SH3F}/tabby.png#{n},15") for n in (0, 90))
    siamese = (entry(f"other{n}", "sweethome3d-furniture", f"{SH3F}/siamese.png#{n},15") for n in (0, 90))
    icons = (
        entry("tabby", "sweethome3d-furniture", f"{SH3F}/tabby.png"),
        entry("siamese", "sweethome3d-furniture", f"{SH3F}/siamese.png"),
    )
    found = splits(*icons, *tabby, *siamese)
    views = {"tabby": {"view0", "view90"}, "siamese": {"other0", "other90"}}
    test = next(name for name in views if found[name] == "test")
    train = next(name for name in views if name != test)
    assert set(found) == {"tabby", "siamese"} | views[train]
    assert all(found[name] == "train" for name in views[train])


def test_the_first_noto_drawing_goes_where_the_second_is_tested():
    noto = entry("a", "@iconify-json/noto", "icons.json#cat")
    first = entry("b", "@iconify-json/noto-v1", "icons.json#cat")
    clay = entry("c", "@lobehub/fluent-emoji-3d", "cat.webp")
    flat = entry("d", "@iconify-json/fluent-emoji-flat", "icons.json#cat")
    found = splits(noto, first, clay, flat)
    assert found in (
        {"a": "test", "c": "train", "d": "train"},
        {"a": "train", "b": "train", "c": "test"},
    )


def test_clip_art_and_icons_are_never_tested():
    found = splits(
        entry("a", "openclipart-png", "cat.png"),
        entry("b", "openclipart-png", "other.png"),
        entry("c", "@iconify/json", "json/mdi.json#cat#c0392b"),
        entry("d", "tuxpaint-stamps-default", "cat.png"),
    )
    assert set(found.values()) == {"train"}


def test_what_grows_has_an_archive_of_its_own(tmp_path):
    sprites = {
        entry("clip", "openclipart-png", "cat.png"): b"1",
        entry("icon", "@iconify/json", "json/mdi.json#cat#c0392b"): b"2",
        entry("stamp", "tuxpaint-stamps-default", "cat.png"): b"3",
    }
    write_pack(tmp_path, sprites, {})
    held = {path.name: zipfile.ZipFile(path).namelist() for path in tmp_path.glob("*.zip")}
    assert held == {
        "sprites-clipart.zip": ["clip.webp"],
        "sprites-icons.zip": ["icon.webp"],
        "sprites.zip": ["stamp.webp"],
    }
    assert [e["id"] for e in json.loads((tmp_path / "index.json").read_text())["sprites"]] == [
        "clip",
        "icon",
        "stamp",
    ]
