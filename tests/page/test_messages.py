"""Every listener of the page, asked by somebody who speaks the queue's protocol and not through the page.

python -m pytest tests/page/test_messages.py
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from uuid import uuid4

import pytest
from PIL import Image

from tests.shared.fakes import THOUGHT
from tests.shared.serving import FILE, Site, get, post, stream

HUGE = 10**400
READING = ("correct", "inspect", "recall", "pick", "example")  # what an event says
ODD_EVENTS = [
    {},
    {"number": 1, "x": 1e308, "y": -1e308, "add": True, "index": HUGE},
    {"number": HUGE, "index": -1},
    {"number": -1, "box": [0, 0, 1, 1], "index": [0, 1]},
    {"number": "1", "box": "0123", "index": "0"},
    {"number": 1, "box": [0, 0, 1], "index": 1.5},
    {"number": 1, "box": [[0], {}, None, "x"], "index": None},
    {"number": 1, "box": [HUGE, 0, 1, 1], "index": True},
    {"number": 1, "box": [5, 5, 5, 5], "index": {}},
    {"number": True, "x": [], "y": {}, "add": "no", "index": 10**6},
    {"number": None, "x": None, "y": None},
    {"number": [1], "box": {"0": 1}, "value": {"path": "/etc/passwd", "meta": FILE}},
]


@pytest.fixture
def secret(tmp_path: Path) -> Path:
    """A picture on the server that nobody uploaded, in a colour of its own."""
    Image.new("RGB", (31, 17), (250, 3, 249)).save(tmp_path / "secret.png")
    return tmp_path / "secret.png"


def told(site: Site, body: dict, name: str = "") -> str:
    """What a message leads to: the refusal, or all that the queue says of it until it is done."""
    route = f"run/{name}" if name else "queue/join"
    reply = post(f"{site.address}/gradio_api/{route}", json=body)
    assert reply.status_code in (200, 400, 404, 422), reply.text[:300]
    if name or reply.status_code != 200:
        return reply.text
    with stream("GET", f"{site.address}/gradio_api/queue/data", params=body_session(body)) as events:
        return "".join(until_closed(events.iter_lines()))


def body_session(body: dict) -> dict[str, str]:
    return {"session_hash": body["session_hash"]}


def until_closed(lines: Iterator[str]) -> Iterator[str]:
    for line in lines:
        yield line
        if '"close_stream"' in line:
            return


def everyone(site: Site) -> Iterator[tuple[int, str, int, str]]:
    """Number, name for calls past the queue, number of inputs and Python name of every listener."""
    for number, fn in site.page.fns.items():
        yield number, "" if fn.queue else fn.api_name, len(fn.inputs), fn.name or "cancel"


def ask(site: Site, session: str, picture: object, question: str = "What is left?") -> str:
    """Begin and answer, as the page does."""
    numbers = {fn.name: number for number, fn in reversed(site.page.fns.items())}
    first = {"fn_index": numbers["begin"], "data": [picture, question, None], "session_hash": session}
    said = told(site, first)
    return said + told(site, {"fn_index": numbers["answer"], "data": [None], "session_hash": session})


def kept(site: Site) -> set[str]:
    return {str(path) for path in site.uploads.rglob("*") if path.is_file()}


def test_no_listener_reads_a_file_that_was_not_uploaded(site: Site, secret: Path, capfd):
    upload = Path(site.put(site.picture)["path"])
    (upload.parent / "link.png").symlink_to(secret)
    (site.uploads / "foreign.png").write_bytes(secret.read_bytes())
    paths = [
        str(secret),
        f"{secret}.none",
        f"{upload.parent}/../../../{secret.name}",
        str(upload.parent / "link.png"),
        str(site.uploads / "foreign.png"),
        f"file://{secret}",
        "\0" + "x" * 5000,
    ]
    shapes = [lambda path: {"path": path}, lambda path: {"path": path, "meta": FILE}, lambda path: [path]]
    before, said = kept(site), {}
    for number, name, inputs, _ in everyone(site):
        for path in paths[: None if inputs > 1 else 1]:
            for shape in shapes:
                data = [shape(path), "What is left?", None][:inputs]
                body = {"fn_index": number, "data": data, "session_hash": uuid4().hex}
                text = told(site, body, name)
                assert "secret" not in text or inputs == 2, text
                assert THOUGHT not in text
                said.setdefault((number, shapes.index(shape)), set()).add(_without_ids(text))
    assert kept(site) == before  # nothing was staged
    assert "Traceback" not in "".join(capfd.readouterr())
    begins = [number for number, fn in site.page.fns.items() if fn.name == "begin"]
    for number in begins:  # one sentence, whatever lies there
        assert {len(said[number, shape]) for shape in range(len(shapes))} == {1}


def _without_ids(text: str) -> str:
    return "".join(part for part in text.split('"') if len(part) != 32)


def test_a_bare_path_of_an_upload_and_an_example_will_do(site: Site, repo: Path):
    upload = site.put(site.picture)
    for path in (upload["path"], str(repo / "assets" / "examples" / "rain.webp")):
        assert THOUGHT in ask(site, uuid4().hex, {"path": path})


def test_odd_events_are_told_in_one_line(site: Site, capfd):
    """Whatever a message says of a click, a box or a card: no traceback, and the page goes on."""
    session, upload = uuid4().hex, site.put(site.picture)
    assert THOUGHT in ask(site, session, upload)
    for number, name, inputs, called in everyone(site):
        if called not in READING and called not in ("answer", "settle", "stop", "undo", "save", "take"):
            continue
        for event in ODD_EVENTS if called in READING else ODD_EVENTS[-1:]:
            body = {"fn_index": number, "data": [None] * inputs, "event_data": event, "session_hash": session}
            text = told(site, {**body, "trigger_id": 10**9, "event_id": "x", "batched": True}, name)
            assert "Traceback" not in text
    assert "Traceback" not in "".join(capfd.readouterr())
    assert THOUGHT in ask(site, session, upload, "What is right?")


def test_listeners_in_any_order_from_a_fresh_visitor(site: Site, capfd):
    for number, name, inputs, _ in everyone(site):
        for event in ({"number": 1, "x": 1, "y": 1, "add": True, "index": 0}, None):
            data = [None, "What is left?", {"source": "/etc/passwd", "record": {}}][:inputs]
            body = {"fn_index": number, "data": data, "event_data": event, "session_hash": uuid4().hex}
            assert THOUGHT not in told(site, body, name)
    assert "Traceback" not in "".join(capfd.readouterr())


@pytest.mark.parametrize(
    "body",
    [
        "[]",
        "null",
        "{",
        '{"data": {}}',
        '{"data": "x", "fn_index": 0}',
        '{"data": [], "fn_index": 0}',
        '{"data": [1, 2, 3, 4], "fn_index": 0}',
        '{"data": [null, NaN, null], "fn_index": 0}',
        '{"data": [null, 1e999, null], "fn_index": 12, "event_data": Infinity}',
        '{"data": [null], "fn_index": 12, "event_data": [1]}',
        '{"data": [null], "fn_index": 12, "session_hash": "../x"}',
        '{"data": [null], "fn_index": 12, "session_hash": ""}',
        '{"data": [null], "fn_index": 12, "session_hash": {"a": 1}}',
        '{"data": [null], "fn_index": true}',
        '{"data": [null], "fn_index": 1e3}',
        '{"data": [null], "fn_index": -1}',
        '{"data": [null], "fn_index": ' + "9" * 5000 + "}",
        '{"data": ' + "[" * 100_000 + "1" + "]" * 100_000 + "}",
    ],
)
def test_what_is_no_message_is_refused_in_one_line(site: Site, body: str, capfd):
    for route in ("queue/join", "call/segment", "call/v2/segment", "run/settle"):
        headers = {"content-type": "application/json"}
        reply = post(f"{site.address}/gradio_api/{route}", content=body, headers=headers)
        detail = reply.json()["detail"]
        assert reply.status_code in (404, 422) and isinstance(detail, str) and "\n" not in detail, reply.text
    assert "Traceback" not in "".join(capfd.readouterr())


def test_a_large_message_is_refused(site: Site):
    body = json.dumps({"data": [None, "x" * 2_000_000, None], "fn_index": 0, "session_hash": "s"})
    reply = post(f"{site.address}/gradio_api/queue/join", content=body)
    assert reply.status_code == 413 and reply.json()["detail"]


def test_what_other_pages_need_is_not_here(site: Site):
    for path in ("component_server", "process_recording", "stream/x", "stream/x/close"):
        assert post(f"{site.address}/gradio_api/{path}", json={}).status_code == 404
    assert get(f"{site.address}/gradio_api/queue/data", params={"session_hash": "nobody"}).status_code == 404
