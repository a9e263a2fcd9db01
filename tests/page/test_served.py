"""What the page serves, what it refuses, and what it clears away.

python -m pytest tests/page/test_served.py
"""

from __future__ import annotations

import hashlib
import os
import socket
import struct
import time
import zlib
from pathlib import Path

import httpx
import pytest
from gradio_client import handle_file
from PIL import Image

import app
from page.api import uploaded
from page.uploads import Uploads, make_folder, own_folder, sweep
from segzero.pictures import PictureError
from tests.shared.fakes import FakePipeline
from tests.shared.serving import FILE, PATIENCE_S, Client, Site, get, post, served, temporary_uploads


def put(folder: Path, name: str, content: bytes = b"old") -> Path:
    """A file where Gradio would keep one of that content."""
    path = folder / hashlib.sha256(content).hexdigest() / name
    path.parent.mkdir(exist_ok=True)
    path.write_bytes(content)
    return path


# ------------------------------------------------------------------------------------- what is refused


@pytest.mark.parametrize(
    "image",
    [None, "/etc/passwd", {"path": "/etc/passwd"}, {"path": "x", "meta": {}}, {"path": 5, "meta": FILE}, []],
)
def test_only_an_upload_is_a_picture(image: object, tmp_path: Path):
    with pytest.raises(PictureError, match="upload a file"):
        uploaded(image, Uploads(tmp_path))


def test_a_file_that_came_another_way_has_the_same_limit(tmp_path: Path):
    large = put(tmp_path, "large.png", bytes(20_000_001))
    with pytest.raises(PictureError, match=r"^large\.png: more than 20 MB"):
        uploaded({"path": str(large), "meta": FILE}, Uploads(tmp_path))


def test_bad_input_has_the_right_status_and_one_line(site: Site, repo: Path, tmp_path: Path):
    file = site.put(site.picture)
    (tmp_path / "bad.png").write_bytes(b"junk")
    for image, question, status, line in [
        (site.put(tmp_path / "bad.png"), "left?", 422, "bad.png: not a picture"),
        (file, "", 422, "The question is empty"),
        ("/etc/passwd", "left?", 422, "upload a file"),
        ({"path": "/etc/passwd", "meta": FILE}, "left?", 400, "not uploaded by a user"),
        ({"path": str(repo / "docs" / "api.md"), "meta": FILE}, "left?", 400, "not uploaded by a user"),
        ({"path": f"{site.address}/config", "meta": FILE}, "left?", 400, "failed validation"),
        ({"path": "http://169.254.169.254/latest", "meta": FILE}, "left?", 400, "failed validation"),
    ]:
        reply = site.ask(image, question)
        detail = reply.json()["detail"]
        said = detail if status == 400 else [each["message"] for each in detail if not each["is_valid"]][0]
        assert (reply.status_code, said.count("\n")) == (status, 0) and line in said, reply.text


def test_nobody_gets_past_the_queue(site: Site, monkeypatch):
    file = site.put(site.picture)
    for name in ("segment", "segment_picture", "answer"):
        reply = post(f"{site.address}/gradio_api/run/{name}", json={"data": [file, "left?"]})
        assert reply.status_code == 404
    monkeypatch.setattr(site.page._queue, "max_size", 0)
    reply = site.ask(file)
    assert reply.status_code == 503 and "Queue is full" in reply.json()["detail"]


def test_too_large_a_file_is_refused(site: Site):
    before = sum(1 for path in site.uploads.rglob("*") if path.is_file())
    reply = post(f"{site.address}/gradio_api/upload", files={"files": ("large.png", bytes(20_000_001))})
    assert reply.status_code == 413 and "maximum allowed size" in reply.text
    assert sum(1 for path in site.uploads.rglob("*") if path.is_file()) == before


def bomb(path: Path, side: int = 60_000) -> Path:
    """A PNG of a few bytes that says it has 3.6 gigapixels."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    header = struct.pack(">IIBBBBB", side, side, 8, 2, 0, 0, 0)
    data = zlib.compress(bytes(1000))
    path.write_bytes(
        b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", data) + chunk(b"IEND", b"")
    )
    return path


def test_a_decompression_bomb_is_refused_before_it_is_decoded(site: Site, tmp_path: Path, monkeypatch):
    decoded = []
    monkeypatch.setattr(Image.Image, "convert", lambda *_: decoded.append("convert"))
    monkeypatch.setattr(Image.Image, "copy", lambda *_: decoded.append("copy"))
    reply = site.ask(site.put(bomb(tmp_path / "bomb.png")))
    assert reply.status_code == 422 and "more than 89 megapixels" in reply.text and not decoded


# -------------------------------------------------------------------------------------- what is served


@pytest.mark.parametrize(
    "path",
    [
        "/gradio_api/file=/etc/passwd",
        "/gradio_api/file={repo}/app.py",
        "/gradio_api/file={repo}/assets/page/../../app.py",
        "/gradio_api/file={uploads}/../../../../../../etc/passwd",
        "/gradio_api/file={uploads}/%2e%2e/%2e%2e/%2e%2e/%2e%2e/%2e%2e/%2e%2e/etc/passwd",
        "/gradio_api/file=../../../../../../../../etc/passwd",
        "/gradio_api/file=file:///etc/passwd",
        "/gradio_api/file={address}/config",
        "/gradio_api/file/etc/passwd",
        "/static/..%2f..%2f..%2f..%2f..%2f..%2f..%2fetc%2fpasswd",
        "/assets/..%2f..%2f..%2f..%2f..%2f..%2f..%2fetc%2fpasswd",
        "/svelte/..%2f..%2f..%2f..%2f..%2f..%2f..%2fetc%2fpasswd",
    ],
)
def test_nothing_outside_the_uploads_is_served(site: Site, repo: Path, path: str):
    asked = path.format(repo=repo, uploads=site.uploads, address=site.address)
    reply = get(httpx.URL(site.address).copy_with(raw_path=asked.encode()))
    assert reply.status_code in (403, 404), reply.text[:200]


def test_an_upload_is_served_and_so_are_the_examples(site: Site, repo: Path):
    for path in (site.put(site.picture)["path"], repo / "assets" / "examples" / "rain.webp"):
        assert get(f"{site.address}/gradio_api/file={path}").status_code == 200


def test_with_a_password_nothing_answers_before_the_login(site: Site, tmp_path: Path, capsys):
    with temporary_uploads(tmp_path):
        page = app.build_page(FakePipeline())
    with served(page, auth=("me", "secret")) as address:
        assert "There is no MCP here: its tool has no way to log in." in capsys.readouterr().out
        assert page.mcp_server_obj is None
        api = f"{address}/gradio_api"
        asked = post(f"{api}/call/segment", json={"data": [None, "left?"]})
        sent = post(f"{api}/upload", files={"files": ("a.png", b"a")})
        tool = post(f"{api}/mcp/", json={})
        assert (asked.status_code, sent.status_code, tool.status_code) == (401, 401, 404)
        with httpx.Client(timeout=PATIENCE_S) as visitor:
            form = {"username": (None, "me"), "password": (None, "secret")}
            assert visitor.post(f"{address}/login", files=form).status_code == 200
            assert visitor.post(f"{api}/upload", files={"files": ("a.png", b"a")}).status_code == 200
        client, picture = Client(address, auth=("me", "secret")), handle_file(str(site.picture))
        answer = client.predict(image=picture, question="What is left?", api_name="/segment")
        assert answer["status"] == "ok"


# --------------------------------------------------------------------------------- what is cleared away


def test_what_has_lain_for_an_hour_is_deleted_and_nothing_of_others(tmp_path: Path, monkeypatch):
    """Whoever sets GRADIO_TEMP_DIR to a folder with files of their own keeps them."""
    folder, outside = tmp_path / "uploads", tmp_path / "outside"
    folder.mkdir()
    own = [put(folder, "old.png"), put(folder, "newer.png"), folder / "tmpab12_xyz"]
    own[2].write_bytes(b"an upload that broke off")
    foreign = [put(tmp_path, "outside.png"), folder / "notes.txt", folder / "holiday" / "a.png"]
    (folder / "holiday").mkdir()
    for path in foreign[1:]:
        path.write_bytes(b"theirs")
    (folder / ("a" * 64)).symlink_to(foreign[0].parent)
    (own[0].parent / "link.png").symlink_to(foreign[1])
    assert sweep(folder, 3600) == 0
    now = time.time()
    monkeypatch.setattr("page.uploads.time.time", lambda: now + 3601)
    assert sweep(folder, 3600) == 3
    assert not any(path.exists() for path in own) and all(path.exists() for path in foreign)
    outside.symlink_to(foreign[0].parent.parent)
    assert sweep(outside, 3600) == 0 and sweep(tmp_path / "none", 3600) == 0


def test_the_folder_of_the_uploads_is_our_own(tmp_path: Path):
    assert own_folder(str(tmp_path)) == own_folder(own_folder(str(tmp_path))) == str(tmp_path / "seg-zero")
    make_folder(tmp_path / "seg-zero")
    assert (tmp_path / "seg-zero").stat().st_mode & 0o077 == 0
    (tmp_path / "link").symlink_to(tmp_path / "seg-zero")
    with pytest.raises(OSError, match="is a link or another user's; set GRADIO_TEMP_DIR"):
        make_folder(tmp_path / "link")


def test_the_hour_of_an_upload_begins_anew_with_every_use(tmp_path: Path):
    path = put(tmp_path, "used.png")
    os.utime(path, (0, 0))
    Uploads(tmp_path).touch(str(path))
    assert time.time() - path.stat().st_mtime < 60
    theirs = tmp_path / "theirs.png"
    theirs.write_bytes(b"")
    os.utime(theirs, (0, 0))
    Uploads(tmp_path).touch(str(theirs))
    assert theirs.stat().st_mtime == 0


# ---------------------------------------------------------------------------- where nothing is fetched from

INSIDE = [
    "127.0.0.1",
    "localhost",
    "0.0.0.0",
    "[::1]",
    "[::ffff:127.0.0.1]",
    "2130706433",
    "0x7f000001",
    "127.1",
    "017700000001",
    "user@127.0.0.1",
]


def test_no_address_leads_inside(site: Site):
    """A picture may come from a public server; a server of the local network hears nothing."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        server.settimeout(0.2)
        port = server.getsockname()[1]
        for host in INSIDE:
            url = f"http://{host}:{port}/a.png"
            for image in ({"path": url, "meta": FILE}, {"path": url}, {"url": url, "path": "", "meta": FILE}):
                assert site.ask(image).status_code in (400, 422)
                asked = {"image": image, "question": "left?"}
                assert post(f"{site.address}/gradio_api/call/v2/segment", json=asked).status_code in (
                    400,
                    422,
                )
            assert get(f"{site.address}/gradio_api/file={url}").status_code >= 400
            assert get(f"{site.address}/gradio_api/proxy={url}").status_code >= 400
        with pytest.raises(TimeoutError):  # nobody is at the door
            server.accept()
