"""`ask` on folders as people have them: python -m pytest -q tests/cli/test_folders.py"""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import pytest
from PIL import Image

from segzero.__main__ import main
from segzero.cli import ask
from segzero.pictures import pictures_in
from tests.shared.fakes import FakePipeline

FIELD = Path(__file__).parents[3] / "shared" / "data" / "field"


@pytest.fixture(autouse=True)
def fake(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> FakePipeline:
    """A fake instead of models, and a folder with a good picture to work in."""
    pipeline = FakePipeline()
    monkeypatch.setattr(ask, "load_pipeline", lambda args: pipeline)
    monkeypatch.chdir(tmp_path)
    Path("mine").mkdir()
    Image.new("RGB", (40, 20), "red").save("mine/good.png")
    return pipeline


def said(capsys: pytest.CaptureFixture, *args: str, code: int) -> list[str]:
    """What stands on the lines of the answer, of which each ends where its line does."""
    assert main(["ask", *args, "What is left?"]) == code
    out = capsys.readouterr().out
    assert all(char.isprintable() or char == "\n" for char in out)
    return out.splitlines()


def test_a_folder_is_walked_by_what_can_be_decoded():
    for name in ("a.jfif", "b.JPG", "c", "d.dat"):
        Image.new("RGB", (40, 20)).save(f"mine/{name}", "JPEG")
    for name in ("e.ppm", "f.jp2", "g.avif"):
        Image.new("RGB", (40, 20)).save(f"mine/{name}")
    for name in ("._b.JPG", "h.HEIC", "i.cr2", "j.svg", "k.psd"):  # told: they say that they are pictures
        Path(f"mine/{name}").write_bytes(b"none")
    for name in ("readme.txt", "thumbs.db", "movie.mov", ".DS_Store", "l.pdf"):
        Path(f"mine/{name}").write_bytes(b"none")
    Path("mine/inner.png").mkdir()
    found = " ".join(path.name for path in pictures_in(Path("mine")))
    assert found == "._b.JPG a.jfif b.JPG c d.dat e.ppm f.jp2 g.avif good.png h.HEIC i.cr2 j.svg k.psd"


@pytest.mark.skipif(not FIELD.exists(), reason="the shared situations are not here")
def test_the_folder_of_a_phone(capsys: pytest.CaptureFixture):
    shutil.copytree(FIELD / "phone", "phone")
    lines = said(capsys, "phone", code=1)
    bad = [line.partition(":")[0] for line in lines if ": failed: " in line]
    assert bad == ["._IMG_0001.JPG", "IMG_0002.HEIC"] and len(lines) == 8


def test_bad_files_are_told_and_the_rest_is_done(capsys: pytest.CaptureFixture):
    os.symlink("loop.png", "mine/loop.png")
    os.symlink("gone.png", "mine/dangling.jpg")
    os.mkfifo("mine/pipe.png")
    shutil.copy("mine/good.png", "mine/a\nb\x1b[31m\u2028.png")
    shutil.copy("mine/good.png", "mine/" + "x" * 251 + ".png")
    lines = said(capsys, "mine", "--mask", "out", "--json", "out", code=1)
    by_name = {line.partition(": ")[0]: line.partition(": ")[2] for line in lines}
    assert len(lines) == 6
    assert "symbolic links" in by_name["loop.png"] and "no such file" in by_name["dangling.jpg"]
    assert "not an ordinary file" in by_name["pipe.png"]
    for name in ("a?b?[31m?.png", "good.png", "x" * 251 + ".png"):
        assert by_name[name].startswith("1 object")
    assert len([path for path in Path("out").iterdir() if path.name != ".asked"]) == 6


def test_bad_folders_and_names_are_told_and_the_rest_is_done(monkeypatch, capsys: pytest.CaptureFixture):
    for name in ("empty", "closed"):
        Path(name).mkdir()
    os.symlink("loop", "loop")
    listed = Path.iterdir

    def iterdir(path: Path):
        if path.name == "closed":  # these tests may run as root, who is let in everywhere
            raise PermissionError(13, "Permission denied", str(path))
        return listed(path)

    monkeypatch.setattr(Path, "iterdir", iterdir)
    lines = said(capsys, "empty", "closed", "loop", "y" * 300 + ".png", "mine", code=1)
    assert lines[0] == "There is no picture in the folder empty."
    assert lines[1] == "The folder closed cannot be read: Permission denied."
    assert "symbolic links" in lines[2] and "File name too long" in lines[3]
    assert lines[4].startswith("good.png: 1 object")
    assert main(["ask", "closed", "What is left?"]) == 2
    assert main(["ask", "y" * 300, "What is left?"]) == 1
    for path in ("z" * 300 + ".png", "z" * 300):
        assert main(["ask", "mine/good.png", "What is left?", "--overlay", path]) in (1, 2)
    assert all(line.startswith("segzero: ") for line in capsys.readouterr().err.splitlines()[1:])
