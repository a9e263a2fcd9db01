"""The page as programs ask it, and the commands of docs/api.md: python -m pytest tests/page/test_api.py"""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from gradio_client import Client as PlainClient
from gradio_client import handle_file
from gradio_client.exceptions import AppError, ValidationError
from gradio_client.utils import Status
from PIL import Image

import app
from page.api import Api, states, why_no_mcp
from segzero.contract import Finished, Located, Segmented, Thinking
from segzero.pictures import from_json, to_json
from tests.shared.fakes import THOUGHT, result_of, thoughts
from tests.shared.serving import PATIENCE_S, Client, Site, eventually, stream

DOCS = Path(__file__).resolve().parents[2] / "docs" / "api.md"
ADDRESS = "http://127.0.0.1:7860"


@pytest.fixture(scope="module")
def client(site: Site) -> PlainClient:
    return Client(site.address)


def ask(client: PlainClient, picture: Path, question: str, api_name: str = "/segment"):
    return client.submit(image=handle_file(str(picture)), question=question, api_name=api_name)


# ---------------------------------------------------------------------------------------- what is told


def test_each_state_tells_all_that_is_known(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("page.api.time", SimpleNamespace(monotonic=lambda: 0.0))  # so that all come at once
    result = result_of((4, 2), "left")
    (target,), (mask,) = result.targets, result.masks
    events = [Thinking("I"), Located(0, target), Segmented(0, target, mask, 0.9), Finished(result)]
    place = {"label": "", "box_xyxy": [0.0, 0.0, 2.0, 2.0], "points_xy": [[1.0, 1.0]]}
    assert list(states(events)) == [  # a word this soon after the first state waits for what comes next
        {"status": "reading", "thinking": "", "targets": []},
        {"status": "locating", "thinking": "I", "targets": [place]},
        {"status": "locating", "thinking": "I", "targets": [{**place, "score": 0.9}]},
        to_json(result),
    ]


def test_why_there_is_no_mcp(monkeypatch: pytest.MonkeyPatch):
    assert why_no_mcp(None) == ""
    assert "log in" in why_no_mcp(("me", "secret"))
    monkeypatch.setattr("page.api.find_spec", lambda name: None)
    assert "gradio[mcp]" in why_no_mcp(None)


# --------------------------------------------------------------------------------------- gradio_client


def test_an_answer_streams_to_gradio_client(client: PlainClient, site: Site):
    assert "/segment" in client.view_api(print_info=False, return_format="str")
    question = "What is left and right?"
    seen = list(ask(client, site.picture, question))
    assert seen[0] == {"status": "reading", "thinking": "", "targets": []}
    words = [state["thinking"] for state in seen if state["status"] == "thinking"]
    assert words == list(thoughts(question)) and len(words) > 3 and words[-1] == THOUGHT
    assert [len(state["targets"]) for state in seen if state["status"] == "locating"] == [1, 1, 2, 2]
    result = from_json(seen[-1])
    assert result.masks.shape == (2, 40, 60) and result.masks[1, :, 30:].all()
    assert np.allclose(result.scores, [0.9, 0.8])


def test_cancelling_stops_the_model(client: PlainClient, site: Site):
    stopped = site.pipeline.stopped
    job = ask(client, site.picture, "An endless one?")
    for state in job:
        if state["thinking"]:
            break
    job.cancel()
    eventually(lambda: site.pipeline.stopped, stopped + 1)


@pytest.mark.parametrize(
    ("content", "question", "problem"),
    [
        (b"\x89PNG\r\n\x1a\n junk", "left?", "image: bad.png: not a picture"),
        (None, " ", "question: The question is empty"),
        (None, "q" * 2001, "question: The question has 2,001 characters"),
    ],
)
def test_what_cannot_be_asked_is_said(client, site, tmp_path, content, question, problem):
    picture = site.picture
    if content:
        picture = tmp_path / "bad.png"
        picture.write_bytes(content)
    with pytest.raises(ValidationError) as error:
        ask(client, picture, question).result()
    assert problem in str(error.value)


def test_a_fault_is_one_line_to_the_caller(client: PlainClient, site: Site, caplog: pytest.LogCaptureFixture):
    with pytest.raises(AppError, match="^'?Something went wrong. The server's log says what"):
        ask(client, site.picture, "Will it crash?").result()
    assert "the fake model fell over" in caplog.text


def test_one_question_at_a_time_and_each_knows_its_place(client: PlainClient, site: Site, monkeypatch):
    answered: set[str] = set()
    monkeypatch.setattr(site.pipeline, "holds", lambda question, event: question not in answered)

    def place(job) -> tuple[Status, int, int]:
        now = job.status()
        return now.code, now.rank, now.queue_size

    first = ask(client, site.picture, "What is left?")
    eventually(lambda: bool(first.outputs()))  # it has begun
    second = ask(client, site.picture, "What is right?")
    eventually(lambda: place(second), (Status.IN_QUEUE, 0, 1))
    third = ask(client, site.picture, "What is above?", "/segment_picture")
    eventually(lambda: place(third), (Status.IN_QUEUE, 1, 2))
    assert not second.outputs() and not first.done()
    answered.add("What is left?")
    eventually(lambda: place(third), (Status.IN_QUEUE, 0, 1))
    assert first.result()["status"] == "ok" and not second.done()
    answered.update(["What is right?", "What is above?"])
    assert second.result()["status"] == "ok" and json.loads(third.result())["status"] == "no_target"


def test_page_and_programs_share_the_slot(site: Site):
    slots = {fn.name: (fn.concurrency_id, fn.concurrency_limit) for fn in site.page.fns.values()}
    assert {slots[name] for name in ("answer", "segment", "segment_picture")} == {("model", 1)}


# ----------------------------------------------------------------------------------------------- HTTP


def test_whoever_hangs_up_stops_the_model(site: Site):
    stopped = site.pipeline.stopped
    call = site.ask(site.put(site.picture), "An endless one?").json()["event_id"]
    with stream("GET", f"{site.address}/gradio_api/call/segment/{call}") as reply:
        next(reply.iter_lines())
    eventually(lambda: site.pipeline.stopped, stopped + 1)


# ---------------------------------------------------------------------- what docs/api.md tells to type


def blocks(language: str) -> list[str]:
    return re.findall(rf"```{language}\n(.*?)```", DOCS.read_text(encoding="utf-8"), flags=re.DOTALL)


def typed(command: list[str], folder: Path, repo: Path) -> str:
    """Run a command -> what it printed; the repository's modules can be imported."""
    done = subprocess.run(command, cwd=folder, env={**ENVIRONMENT, "PYTHONPATH": str(repo)}, **PIPES)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


ENVIRONMENT = {**app.os.environ, "NO_PROXY": "127.0.0.1"}
PATIENT = f"""import functools, gradio_client
gradio_client.Client = functools.partial(gradio_client.Client, httpx_kwargs={{"timeout": {PATIENCE_S}}})
"""
PIPES = {"capture_output": True, "text": True, "timeout": 2 * PATIENCE_S}


def test_the_commands_for_python_and_mcp(site: Site, tmp_path: Path, repo: Path):
    shutil.copy(site.picture, tmp_path)
    client, drawn, mcp = blocks("python")
    code = (client + drawn + mcp).replace(ADDRESS, site.address)
    assert code.count(site.address) == 2
    command = [sys.executable, "-W", "error::SyntaxWarning", "-c", PATIENT + code]
    lines = typed(command, tmp_path, repo).splitlines()
    assert lines[1] == "reading  []" and len(lines) > 5
    assert lines[-1] == f"ok {THOUGHT}"
    assert Image.open(tmp_path / "seen.png").size == (60, 40)
    assert json.loads(blocks("json")[0])["mcpServers"]["seg-zero"]["url"].startswith(ADDRESS)


@pytest.mark.skipif(shutil.which("curl") is None, reason="there is no curl")
def test_the_commands_for_http(site: Site, tmp_path: Path, repo: Path):
    shutil.copy(site.picture, tmp_path)
    (commands,) = blocks("sh")
    lines = typed(["sh", "-c", commands.replace(ADDRESS, site.address)], tmp_path, repo).splitlines()
    assert lines.count("event: generating") > 3 and "event: complete" in lines
    (answer,) = json.loads(lines[lines.index("event: complete") + 1].removeprefix("data: "))
    assert from_json(answer).masks.sum() == 30 * 40


def test_only_the_tool_for_text_is_offered_to_mcp(site: Site):
    assert site.page.mcp_server_obj.tool_to_endpoint == {
        "segment": "/segment",
        "segment_picture": "/segment_picture",
    }
    assert Api.segment._mcp_type != "tool" and not hasattr(Api.segment_picture, "_mcp_type")
