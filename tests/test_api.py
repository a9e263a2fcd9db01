"""The page as programs see it, and the commands of docs/api.md: python -m pytest tests/test_api.py"""

from __future__ import annotations

import json
import re
import shutil
import struct
import subprocess
import sys
import time
import zlib
from collections.abc import Iterator
from pathlib import Path

import gradio as gr
import httpx
import numpy as np
import pytest
from fakes import THOUGHT, FakePipeline, result_of
from gradio_client import Client, handle_file
from gradio_client.exceptions import AppError, ValidationError
from PIL import Image
from serving import served, temporary_uploads

import app
from page.api import Api, states, uploaded, why_no_mcp
from page.uploads import sweep
from segzero.export import from_json, to_json
from segzero.picture import PictureError
from segzero.result import Finished, Located, Segmented, Thinking

DOCS = Path(__file__).resolve().parents[1] / "docs" / "api.md"
ADDRESS = "http://127.0.0.1:7860"
FILE = {"_type": "gradio.FileData"}


class Busy(FakePipeline):
    """Knows how many questions it has had at a time, at most."""

    def __init__(self) -> None:
        super().__init__(pause=0.02)
        self.at_once = self.most = 0

    def stream(self, *args, **options) -> Iterator[object]:
        self.at_once += 1
        self.most = max(self.most, self.at_once)
        try:
            yield from super().stream(*args, **options)
        finally:
            self.at_once -= 1


@pytest.fixture(scope="module")
def pipeline() -> Busy:
    return Busy()


@pytest.fixture(scope="module")
def uploads(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("uploads")


@pytest.fixture(scope="module")
def page(pipeline: Busy, uploads: Path) -> Iterator[gr.Blocks]:
    with temporary_uploads(uploads):
        yield app.build_page(pipeline)


@pytest.fixture(scope="module")
def address(page: gr.Blocks) -> Iterator[str]:
    with served(page) as address:
        yield address


@pytest.fixture(scope="module")
def client(address: str) -> Client:
    return Client(address, verbose=False)


@pytest.fixture(scope="module")
def picture(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("picture") / "picture.png"
    Image.new("RGB", (60, 40), "teal").save(path)
    return path


def ask(client: Client, picture: Path, question: str, api_name: str = "/segment"):
    return client.submit(image=handle_file(str(picture)), question=question, api_name=api_name)


def post(address: str, image: object, question: object = "What is left?") -> httpx.Response:
    return httpx.post(f"{address}/gradio_api/call/segment", json={"data": [image, question]})


def put(address: str, path: Path) -> dict:
    """Upload a file -> what names it from then on."""
    reply = httpx.post(f"{address}/gradio_api/upload", files={"files": (path.name, path.read_bytes())})
    return {"path": reply.json()[0], "meta": FILE}


def wait_until(true, seconds: float = 10) -> None:
    end = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < end
        time.sleep(0.02)


# ---------------------------------------------------------------------------------------- what is told


def test_each_state_tells_all_that_is_known():
    result = result_of((4, 2), "left")
    (target,), (mask,) = result.targets, result.masks
    events = [Thinking("I"), Located(0, target), Segmented(0, target, mask, 0.9), Finished(result)]
    place = {"box_xyxy": [0.0, 0.0, 2.0, 2.0], "points_xy": [[1.0, 1.0]]}
    assert list(states(events)) == [  # a word this soon after the first state waits for what comes next
        {"status": "reading", "thinking": "", "targets": []},
        {"status": "locating", "thinking": "I", "targets": [place]},
        {"status": "locating", "thinking": "I", "targets": [{**place, "score": 0.9}]},
        to_json(result),
    ]


@pytest.mark.parametrize(
    "image", [None, "/etc/passwd", {"path": "/etc/passwd"}, {"path": "x", "meta": {}}, []]
)
def test_only_an_upload_is_a_picture(image: object):
    with pytest.raises(PictureError, match="upload a file"):
        uploaded(image)


def test_a_file_that_came_another_way_has_the_same_limit(tmp_path: Path):
    (tmp_path / "large.png").write_bytes(bytes(20_000_001))
    with pytest.raises(PictureError, match=r"^large\.png: more than 20 MB"):
        uploaded({"path": str(tmp_path / "large.png"), "meta": FILE})


def test_why_there_is_no_mcp(monkeypatch: pytest.MonkeyPatch):
    assert why_no_mcp(None) == ""
    assert "log in" in why_no_mcp(("me", "secret"))
    monkeypatch.setattr("page.api.find_spec", lambda name: None)
    assert "gradio[mcp]" in why_no_mcp(None)


# --------------------------------------------------------------------------------------- gradio_client


def test_an_answer_streams_to_gradio_client(client: Client, picture: Path):
    assert "/segment" in client.view_api(print_info=False, return_format="str")
    seen = list(ask(client, picture, "What is left and right?"))
    assert seen[0] == {"status": "reading", "thinking": "", "targets": []}
    words = [state["thinking"] for state in seen]
    assert len(set(words)) > 3 and all(THOUGHT.startswith(word) for word in words)
    assert [len(state["targets"]) for state in seen if state["status"] == "locating"] == [1, 1, 2, 2]
    result = from_json(seen[-1])
    assert result.masks.shape == (2, 40, 60) and result.masks[1, :, 30:].all()
    assert np.allclose(result.scores, [0.9, 0.8])


def test_cancelling_stops_the_model(client: Client, picture: Path, pipeline: Busy, monkeypatch):
    monkeypatch.setattr(pipeline, "_pause", 0.5)  # the thought would take 8 s
    stopped = pipeline.stopped
    job = ask(client, picture, "What is left?")
    for state in job:
        if state["thinking"]:
            break
    job.cancel()
    wait_until(lambda: pipeline.stopped == stopped + 1)


@pytest.mark.parametrize(
    ("content", "question", "problem"),
    [
        (b"\x89PNG\r\n\x1a\n junk", "left?", "image: bad.png: not a picture"),
        (None, " ", "question: The question is empty"),
        (None, "q" * 2001, "question: The question has 2,001 characters"),
    ],
)
def test_what_cannot_be_asked_is_said(client, picture, tmp_path, content, question, problem):
    if content:
        picture = tmp_path / "bad.png"
        picture.write_bytes(content)
    with pytest.raises(ValidationError) as error:
        ask(client, picture, question).result()
    assert problem in str(error.value)


def test_a_fault_is_one_line_to_the_caller(client: Client, picture: Path, caplog: pytest.LogCaptureFixture):
    with pytest.raises(AppError, match="^'?Something went wrong. The server's log says what"):
        ask(client, picture, "Will it crash?").result()
    assert "the fake model fell over" in caplog.text


def test_one_question_at_a_time_and_each_knows_its_place(client, picture, pipeline: Busy, monkeypatch):
    monkeypatch.setattr(pipeline, "_pause", 0.08)
    jobs = [
        ask(client, picture, "What is left?", name) for name in ("/segment", "/segment", "/segment_picture")
    ]
    places: set[tuple[int, int]] = set()
    while not all(job.done() for job in jobs):
        places |= {(job.status().rank, job.status().queue_size) for job in jobs if job.status().queue_size}
        time.sleep(0.005)
    assert [job.exception() for job in jobs] == [None] * 3
    assert pipeline.most == 1
    assert (1, 2) in places and (0, 1) in places


def test_page_and_programs_share_the_slot(page: gr.Blocks):
    slots = {fn.name: (fn.concurrency_id, fn.concurrency_limit) for fn in page.fns.values()}
    assert {slots[name] for name in ("answer", "segment", "segment_picture")} == {("model", 1)}


# ----------------------------------------------------------------------------------------------- HTTP


def test_whoever_hangs_up_stops_the_model(address: str, picture: Path, pipeline: Busy, monkeypatch):
    monkeypatch.setattr(pipeline, "_pause", 0.5)
    stopped = pipeline.stopped
    call = post(address, put(address, picture)).json()["event_id"]
    with httpx.stream("GET", f"{address}/gradio_api/call/segment/{call}") as reply:
        next(reply.iter_lines())
    wait_until(lambda: pipeline.stopped == stopped + 1)


def test_bad_input_has_the_right_status_and_one_line(address: str, picture: Path, tmp_path: Path):
    file = put(address, picture)
    (tmp_path / "bad.png").write_bytes(b"junk")
    for image, question, status, line in [
        (put(address, tmp_path / "bad.png"), "left?", 422, "bad.png: not a picture"),
        (file, "", 422, "The question is empty"),
        ("/etc/passwd", "left?", 422, "upload a file"),
        ({"path": "/etc/passwd", "meta": FILE}, "left?", 400, "not uploaded by a user"),
        ({"path": str(DOCS), "meta": FILE}, "left?", 400, "not uploaded by a user"),
        ({"path": f"{address}/config", "meta": FILE}, "left?", 400, "failed validation"),
        ({"path": "http://169.254.169.254/latest", "meta": FILE}, "left?", 400, "failed validation"),
    ]:
        reply = post(address, image, question)
        detail = reply.json()["detail"]
        said = detail if status == 400 else [each["message"] for each in detail if not each["is_valid"]][0]
        assert (reply.status_code, said.count("\n")) == (status, 0) and line in said, reply.text


def test_nobody_gets_past_the_queue(address: str, picture: Path, page: gr.Blocks, monkeypatch):
    file = put(address, picture)
    for name in ("segment", "segment_picture", "answer"):
        reply = httpx.post(f"{address}/gradio_api/run/{name}", json={"data": [file, "left?"]})
        assert reply.status_code == 404
    monkeypatch.setattr(page._queue, "max_size", 0)
    reply = post(address, file)
    assert reply.status_code == 503 and "Queue is full" in reply.json()["detail"]


def test_too_large_a_file_is_refused(address: str, uploads: Path):
    before = sum(1 for path in uploads.rglob("*") if path.is_file())
    reply = httpx.post(f"{address}/gradio_api/upload", files={"files": ("large.png", bytes(20_100_000))})
    assert reply.status_code == 413 and "maximum allowed size" in reply.text
    assert sum(1 for path in uploads.rglob("*") if path.is_file()) == before


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


def test_a_decompression_bomb_is_refused_before_it_is_decoded(address: str, tmp_path: Path, monkeypatch):
    decoded = []
    monkeypatch.setattr(Image.Image, "convert", lambda *_: decoded.append("convert"))
    monkeypatch.setattr(Image.Image, "copy", lambda *_: decoded.append("copy"))
    reply = post(address, put(address, bomb(tmp_path / "bomb.png")))
    assert reply.status_code == 422 and "more than 89 megapixels" in reply.text and not decoded


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
def test_nothing_outside_the_uploads_is_served(address: str, uploads: Path, repo: Path, path: str):
    asked = path.format(repo=repo, uploads=uploads, address=address)
    reply = httpx.get(httpx.URL(address).copy_with(raw_path=asked.encode()))
    assert reply.status_code in (403, 404), reply.text[:200]


def test_an_upload_is_served_and_so_are_the_examples(address: str, picture: Path, repo: Path):
    for path in (put(address, picture)["path"], repo / "assets" / "examples" / "rain.webp"):
        assert httpx.get(f"{address}/gradio_api/file={path}").status_code == 200


def test_the_page_s_own_listeners_read_no_file_of_the_server_s(address: str, page: gr.Blocks, repo: Path):
    """They have no name to call them by, but a number."""
    number = next(number for number, fn in page.fns.items() if fn.name == "begin")
    image = {"path": str(repo / "assets" / "readme.webp"), "meta": FILE}
    body = {"data": [image, "left?", None], "fn_index": number, "session_hash": "nobody"}
    reply = httpx.post(f"{address}/gradio_api/queue/join", json=body)
    assert reply.status_code == 400 and "not uploaded by a user" in reply.text


def test_with_a_password_nothing_answers_before_the_login(picture: Path, tmp_path: Path, capsys):
    with temporary_uploads(tmp_path):
        page = app.build_page(FakePipeline())
    with served(page, auth=("me", "secret")) as address:
        assert "There is no MCP here: its tool has no way to log in." in capsys.readouterr().out
        assert page.mcp_server_obj is None
        api = f"{address}/gradio_api"
        asked = httpx.post(f"{api}/call/segment", json={"data": [None, "left?"]})
        sent = httpx.post(f"{api}/upload", files={"files": ("a.png", b"a")})
        tool = httpx.post(f"{api}/mcp/", json={})
        assert (asked.status_code, sent.status_code, tool.status_code) == (401, 401, 404)
        with httpx.Client() as visitor:
            form = {"username": (None, "me"), "password": (None, "secret")}
            assert visitor.post(f"{address}/login", files=form).status_code == 200
            assert visitor.post(f"{api}/upload", files={"files": ("a.png", b"a")}).status_code == 200
        answer = ask(Client(address, auth=("me", "secret"), verbose=False), picture, "What is left?").result()
        assert answer["status"] == "ok"


# ---------------------------------------------------------------------- what docs/api.md tells to type


def blocks(language: str) -> list[str]:
    return re.findall(rf"```{language}\n(.*?)```", DOCS.read_text(encoding="utf-8"), flags=re.DOTALL)


def typed(command: list[str], folder: Path, repo: Path) -> str:
    """Run a command -> what it printed; the repository's modules can be imported."""
    done = subprocess.run(command, cwd=folder, env={**ENVIRONMENT, "PYTHONPATH": str(repo)}, **PIPES)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


ENVIRONMENT = {**app.os.environ, "NO_PROXY": "127.0.0.1"}
PIPES = {"capture_output": True, "text": True, "timeout": 60}


def test_the_commands_for_python_and_mcp(address: str, picture: Path, tmp_path: Path, repo: Path):
    shutil.copy(picture, tmp_path)
    client, drawn, mcp = blocks("python")
    code = (client + drawn + mcp).replace(ADDRESS, address)
    assert code.count(address) == 2
    lines = typed([sys.executable, "-W", "error::SyntaxWarning", "-c", code], tmp_path, repo).splitlines()
    assert lines[1] == "reading  []" and len(lines) > 5
    assert lines[-1] == f"ok {THOUGHT}"
    assert Image.open(tmp_path / "seen.png").size == (60, 40)
    assert json.loads(blocks("json")[0])["mcpServers"]["seg-zero"]["url"].startswith(ADDRESS)


@pytest.mark.skipif(shutil.which("curl") is None, reason="there is no curl")
def test_the_commands_for_http(address: str, picture: Path, tmp_path: Path, repo: Path):
    shutil.copy(picture, tmp_path)
    (commands,) = blocks("sh")
    lines = typed(["sh", "-c", commands.replace(ADDRESS, address)], tmp_path, repo).splitlines()
    assert lines.count("event: generating") > 3 and "event: complete" in lines
    (answer,) = json.loads(lines[lines.index("event: complete") + 1].removeprefix("data: "))
    assert from_json(answer).masks.sum() == 30 * 40


def test_only_the_tool_for_text_is_offered_to_mcp(page: gr.Blocks):
    assert page.mcp_server_obj.tool_to_endpoint == {
        "segment": "/segment",
        "segment_picture": "/segment_picture",
    }
    assert Api.segment._mcp_type != "tool" and not hasattr(Api.segment_picture, "_mcp_type")


# ----------------------------------------------------------------------------------- uploads


def test_what_has_lain_for_an_hour_is_deleted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    (tmp_path / "deep").mkdir()
    for path in (tmp_path / "old.png", tmp_path / "deep" / "old.png"):
        path.write_bytes(b"old")
    assert sweep(tmp_path, 3600) == 0
    now = time.time()
    monkeypatch.setattr("page.uploads.time.time", lambda: now + 3601)
    assert sweep(tmp_path, 3600) == 2
    assert [path.name for path in tmp_path.rglob("*")] == ["deep"]
    assert sweep(tmp_path / "none", 3600) == 0
