"""Who comes in: by which name, how many at once, what of HTTP, and how often a password is tried.

python -m pytest tests/page/test_door.py
"""

from __future__ import annotations

import asyncio
import threading
from concurrent.futures import ThreadPoolExecutor

import httpx
import pytest

import app
from page.door import hosts_of
from page.door.logins import FREE, MAX_WAITING, Logins, TooManyLogins
from segzero.pictures import load_picture
from tests.shared.fakes import FakePipeline
from tests.shared.serving import Site, eventually, get, post, served, stream, temporary_uploads

# ---------------------------------------------------------------------------------------------- names

LOCAL = hosts_of("127.0.0.1")


@pytest.mark.parametrize(
    "host",
    [
        "localhost",
        "LOCALHOST:7860",
        "localhost.:80",
        "127.0.0.1",
        "127.0.0.1:7860",
        "[::1]:7860",
        "127.8.9.1",
    ],
)
def test_a_laptop_is_called_by_its_own_names(host: str):
    assert LOCAL.allow(host)


@pytest.mark.parametrize(
    "host",
    [
        "evil.example:7860",
        "127.0.0.1.evil.example",
        "localhost.evil.example",
        "evil.example@127.0.0.1.nip.io",
        "x.gradio.live",
        "192.168.1.5:7860",
        "0.0.0.0",
        "[::1",
        "[]",
        "",
        " ",
        "2130706433",
    ],
)
def test_a_laptop_is_called_by_no_other(host: str):
    assert not LOCAL.allow(host)


def test_what_others_reach_they_may_call_as_they_do():
    assert hosts_of("0.0.0.0").allow("anything.example") and hosts_of("192.168.1.5").allow("my-pc.local")
    assert hosts_of("127.0.0.1", share=True).allow("abc123.gradio.live")
    assert not hosts_of("127.0.0.1", share=True).allow("abc123.gradio.live.evil.example")
    behind = hosts_of("127.0.0.1", others=["", "https://proxy.example/seg", "me-seg.hf.space", "/prefix"])
    assert behind.allow("proxy.example") and behind.allow("me-seg.hf.space:443")
    assert not behind.allow("evil.example") and not behind.allow("prefix") and not behind.allow("")


def test_a_foreign_name_reaches_nothing(site: Site):
    port = site.address.rsplit(":", 1)[1]
    for path in ("/", "/config", "/gradio_api/info", f"/gradio_api/file={site.picture}", "/gradio_api/mcp/"):
        reply = get(site.address + path, headers={"host": f"evil.example:{port}"})
        assert reply.status_code == 403 and "another name" in reply.json()["detail"]
    reply = post(f"{site.address}/gradio_api/upload", files={"files": b"x"}, headers={"host": "evil.example"})
    assert reply.status_code == 403
    assert get(site.address, headers={"host": f"localhost:{port}"}).status_code == 200


# ------------------------------------------------------------------------------------------- how many


def test_of_a_burst_no_more_wait_than_the_queue_holds(site: Site, monkeypatch: pytest.MonkeyPatch):
    """60 at once, each of a picture that is yet to be decoded: Gradio itself lets all of them in."""
    let_go = threading.Event()
    monkeypatch.setattr("page.pixels.load_picture", lambda source: let_go.wait(60) and load_picture(source))
    monkeypatch.setattr(site.pipeline, "holds", lambda question, event: True)
    file = site.put(site.picture)
    with ThreadPoolExecutor(60) as pool:
        replies = [pool.submit(site.ask, file) for _ in range(60)]
        eventually(lambda: sum(reply.done() for reply in replies), 60 - app.MAX_WAITING)
        let_go.set()
    statuses = [reply.result().status_code for reply in replies]
    assert statuses.count(200) == app.MAX_WAITING and statuses.count(503) == 60 - app.MAX_WAITING
    full = next(reply.result() for reply in replies if reply.result().status_code == 503)
    assert full.json()["detail"].startswith("Queue is full. 32 wait already")
    monkeypatch.undo()
    eventually(lambda: len(site.page._queue), 0)


def test_for_a_question_that_is_refused_nothing_is_decoded(site: Site, monkeypatch: pytest.MonkeyPatch):
    decoded = []
    monkeypatch.setattr(
        "page.pixels.load_picture", lambda source: decoded.append(source) or load_picture(source)
    )
    name = site.picture.with_name("other.png")
    name.write_bytes(site.picture.read_bytes() + b"\0")
    file = site.put(name)
    for question in ("", "q" * 2001, 5, None):
        assert site.ask(file, question).status_code == 422
    assert not decoded
    for _ in range(2):
        call = site.ask(file).json()["event_id"]
        with stream("GET", f"{site.address}/gradio_api/call/segment/{call}") as reply:
            assert "event: complete" in list(reply.iter_lines())
    assert decoded == [file["path"]]  # checked and answered, twice


# ----------------------------------------------------------------------------------------------- HTTP


@pytest.mark.parametrize(
    ("body", "line"),
    [
        ({"image": None}, "The body lacks 'question'."),
        ({"question": "left?"}, "The body lacks 'image'."),
        ({}, "The body lacks 'image', 'question'."),
        ({"image": None, "question": "left?", "picture": 1}, "Nothing is known of 'picture'"),
        ({"image": None, "question": "left?", "oauth_token": "x"}, "Nothing is known of 'oauth_token'"),
        ({"data": [None, "left?"]}, "The body lacks 'image', 'question'."),
        ([None, "left?"], "Expected a JSON object."),
        ("left?", "Expected a JSON object."),
    ],
)
def test_a_call_of_another_shape_is_told_so(site: Site, body: object, line: str, capfd):
    for name in ("segment", "segment_picture"):
        reply = post(f"{site.address}/gradio_api/call/v2/{name}", json=body)
        assert reply.status_code == 422 and reply.json()["detail"].startswith(line), reply.text
    assert "Traceback" not in "".join(capfd.readouterr())


@pytest.mark.parametrize("image", [None, 5, "x.png", [], {"path": 5}, {"path": "x", "meta": None}])
@pytest.mark.parametrize("route", ["call/segment", "call/v2/segment"])
def test_what_is_no_picture_is_told_so(site: Site, route: str, image: object):
    asked = {"image": image, "question": "left?"}
    body = asked if "v2" in route else {"data": list(asked.values())}
    reply = post(f"{site.address}/gradio_api/{route}", json=body)
    assert reply.status_code == 422 and "upload a file" in reply.json()["detail"][0]["message"]


def test_nobody_knows_an_endpoint_that_is_not_there(site: Site):
    for name in ("none", "begin", "v2", "segment2"):
        reply = post(f"{site.address}/gradio_api/call/v2/{name}", json={"image": None, "question": "left?"})
        assert reply.status_code == 404 and reply.json()["detail"]


def test_an_answer_is_read_once(site: Site, capfd):
    call = site.ask(site.put(site.picture)).json()["event_id"]
    address = f"{site.address}/gradio_api/call/segment/{call}"
    with stream("GET", address) as reply:
        assert get(address).status_code == 404  # while it is being read
        assert "event: complete" in list(reply.iter_lines())
    for _ in range(2):
        again = get(address)
        assert again.status_code == 404 and again.json()["detail"].endswith("or it has been read.")
    assert get(address[:-1]).status_code == 404
    assert "Traceback" not in "".join(capfd.readouterr())


# ------------------------------------------------------------------------------------------- sessions


def test_a_closed_tab_leaves_nothing_behind(site: Site):
    for name, tabs in (("one", 1), ("two", 2)):
        open_tabs = [httpx.Client(timeout=60) for _ in range(tabs)]
        address = f"{site.address}/gradio_api/heartbeat/{name}"
        beats = [tab.send(tab.build_request("GET", address), stream=True) for tab in open_tabs]
        streams = [beat.iter_raw() for beat in beats]
        for each in streams:
            assert next(each)
        settle = next(number for number, fn in site.page.fns.items() if fn.name == "settle")
        body = {"fn_index": settle, "data": [None], "session_hash": name}
        assert post(f"{site.address}/gradio_api/run/settle", json=body).status_code == 200
        assert name in site.page.state_holder.session_data
        for beat, tab in zip(beats, open_tabs, strict=True):
            assert name in site.page.state_holder.session_data
            beat.close()
            tab.close()
        eventually(lambda name=name: name in site.page.state_holder.session_data, False)


# --------------------------------------------------------------------------------------------- logins


def test_wrong_logins_slow_down_the_next_and_a_right_one_ends_it():
    slept: list[float] = []

    async def sleep(seconds: float) -> None:
        slept.append(seconds)

    async def tries(*rights: bool, address: str = "192.0.2.7") -> None:
        for right in rights:
            async with logins.turn(address) as attempt:
                attempt.right = right

    logins = Logins(sleep)
    asyncio.run(tries(*[False] * (FREE + 8), True, False))
    assert slept == [1, 2, 4, 8, 16, 30, 30, 30, 30]
    slept.clear()
    asyncio.run(tries(*[False] * FREE, address="192.0.2.8"))
    assert not slept


def test_of_many_logins_at_once_each_waits_for_its_turn():
    async def crowd() -> list[object]:
        free = asyncio.Event()

        async def attempt() -> str:
            async with logins.turn("192.0.2.7"):
                await free.wait()
            return "wrong"

        logins = Logins()
        tasks = [asyncio.create_task(attempt()) for _ in range(MAX_WAITING + 4)]
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        for task in tasks[:MAX_WAITING]:
            task.cancel()
        return await asyncio.gather(*tasks, return_exceptions=True)

    outcomes = asyncio.run(crowd())
    assert sum(isinstance(outcome, TooManyLogins) for outcome in outcomes) == 4


def test_a_page_with_a_password_slows_guesses_down(tmp_path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("page.door.logins.LONGEST_S", 0.0)
    counted: list[int] = []
    with temporary_uploads(tmp_path):
        page = app.build_page(FakePipeline())
    monkeypatch.setattr(
        "page.door.logins.min", lambda *values: counted.append(1) or min(*values), raising=False
    )
    with served(page, auth=("me", "secret")) as address, httpx.Client(timeout=60) as visitor:
        for _ in range(FREE + 2):
            form = {"username": "me", "password": "guess"}
            assert visitor.post(f"{address}/login", data=form).status_code == 400
        assert counted  # those after the free ones
        form = {"username": "me", "password": "secret"}
        assert visitor.post(f"{address}/login", data=form).status_code == 200
