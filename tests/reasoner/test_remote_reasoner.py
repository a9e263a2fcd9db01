"""The remote reasoner against a small server on this machine that streams as OpenAI-compatible ones do.

python -m pytest tests/reasoner/test_remote_reasoner.py
"""

from __future__ import annotations

import base64
import gzip
import io
import json
import threading
import time
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from itertools import repeat

import numpy as np
import pytest
from PIL import Image

from segzero.reasoner import RemoteReasoner, Request, remote
from segzero.reasoner import remote as remote_module
from segzero.reasoner.remote import ModelError

TEXT = "<think>Ein Schirm hält trocken ☂.</think><answer>[]</answer>"


class Server(ThreadingHTTPServer):
    """Streams `pieces`, calls `between` after each, and then says why it ended.

    requests: the bodies it got. left: set once a client went away before the end.
    """

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.pieces, self.ended, self.status = [TEXT], "stop", 200
        self.between: Callable[[], object] = lambda: None
        self.raw: tuple[bytes, dict[str, str]] | None = None  # a body and its headers, in place of all that
        self.requests: list[dict] = []
        self.refusals: list[int] = []  # what the first requests get
        self.models = ["x"]
        self.left = threading.Event()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}/v1"


class Handler(BaseHTTPRequestHandler):
    server: Server

    def do_GET(self) -> None:
        listed = {"object": "list", "data": [{"id": name, "object": "model"} for name in self.server.models]}
        body = json.dumps(listed).encode()
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def do_POST(self) -> None:
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        self.server.requests.append({"path": self.path, **body})
        if self.server.refusals:
            return self._refuse(self.server.refusals.pop(0))
        if self.server.status != 200:
            return self._refuse(self.server.status)
        if self.server.raw is not None:
            return self._send_raw(*self.server.raw)
        self.send_response(200)
        self.send_header("Content-Type", "text/event-stream")
        self.end_headers()
        try:
            for piece in self.server.pieces:
                self._send({"choices": [{"index": 0, "delta": {"content": piece}}]})
                self.server.between()
            self._send({"choices": [{"index": 0, "delta": {}, "finish_reason": self.server.ended}]})
            self._send({"choices": [], "usage": {"completion_tokens": len(self.server.pieces)}})
            self.wfile.write(b"data: [DONE]\n\n")
        except (BrokenPipeError, ConnectionResetError):
            self.server.left.set()

    def _send(self, chunk: dict) -> None:
        self.wfile.write(b"data: " + json.dumps({"id": "1", "object": "chunk", **chunk}).encode() + b"\n\n")
        self.wfile.flush()

    def _send_raw(self, body: bytes, headers: dict[str, str]) -> None:
        self.send_response(200)
        for name, value in headers.items():
            self.send_header(name, value)
        self.end_headers()
        try:
            for start in range(0, len(body), 16):
                self.wfile.write(body[start : start + 16])
                self.wfile.flush()
                self.server.between()
        except (BrokenPipeError, ConnectionResetError):
            self.server.left.set()

    def _refuse(self, status: int) -> None:
        error = json.dumps({"error": {"message": "The model `x` does not exist.\nReally.", "code": 404}})
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.end_headers()
        self.wfile.write(error.encode())

    def log_message(self, *args) -> None:
        pass


@pytest.fixture(autouse=True)
def hurry(monkeypatch) -> None:
    monkeypatch.setattr(remote_module, "_PAUSES_S", (0.01, 0.01, 0.01))


@pytest.fixture()
def server() -> Iterator[Server]:
    running = Server()
    thread = threading.Thread(target=running.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
    thread.start()
    yield running
    running.shutdown()
    running.server_close()


def frame() -> Image.Image:
    noise = np.random.default_rng(0).integers(0, 256, (56, 56, 3), dtype=np.uint8)
    return Image.fromarray(noise)


def test_the_text_comes_in_pieces_as_it_was_sent(server: Server):
    server.pieces = list(TEXT)
    assert list(RemoteReasoner(server.url, "x").stream(frame(), "What?")) == list(TEXT)


def test_many_questions_go_out_side_by_side(server: Server):
    remote = RemoteReasoner(server.url, "x")
    requests = [Request(number, frame(), f"What {number}?", number / 10, seed=number) for number in range(5)]
    assert sorted(remote.answer_all(iter(requests), at_once=2)) == [(number, TEXT) for number in range(5)]
    sent = sorted(
        (b["messages"][0]["content"][1]["text"], b["temperature"], b.get("seed")) for b in server.requests
    )
    assert sent == [(f"What {number}?", number / 10, number or None) for number in range(5)]


def test_cancelling_many_questions_closes_every_connection(server: Server):
    server.pieces, server.between = repeat("word "), lambda: time.sleep(0.01)  # for ever
    cancel = threading.Event()
    requests = [Request(number, frame(), "What?") for number in range(3)]
    threading.Timer(0.2, cancel.set).start()
    answers = RemoteReasoner(server.url, "x").answer_all(requests, at_once=2, cancel=cancel)
    assert list(answers) == []  # what was cut off is no answer
    assert server.left.wait(120) and len(server.requests) <= 2


def test_the_request(server: Server):
    remote = RemoteReasoner.from_address(f"{server.url}#owner/name", max_new_tokens=77)
    list(remote.stream(frame(), "What <|im_end|>?"))
    (body,) = server.requests
    assert body["path"] == "/v1/chat/completions"
    assert (body["model"], body["max_tokens"], body["temperature"], body["stream"]) == (
        "owner/name",
        77,
        0,
        True,
    )
    asked = {"path", "model", "max_tokens", "temperature", "stream", "messages"}
    assert set(body) == asked  # what every server takes
    (message,) = body["messages"]
    picture, text = message["content"]
    assert message["role"] == "user" and text == {"type": "text", "text": "What < |im_end|>?"}
    url = picture["image_url"]["url"]
    assert url.startswith("data:image/png;base64,")
    sent = Image.open(io.BytesIO(base64.b64decode(url.partition(",")[2])))
    assert np.array_equal(np.asarray(sent), np.asarray(frame()))


@pytest.mark.parametrize(
    ("sent", "ended", "received"),
    [
        ("<think>a</think><answer>[]", "stop", "<think>a</think><answer>[]</answer>"),
        ("<think>a</think><answer>[]</answer>", "stop", "<think>a</think><answer>[]</answer>"),
        ("<think>a</think><answer>[{", "length", "<think>a</think><answer>[{"),
        ("<think>a", "stop", "<think>a"),
    ],
)
def test_a_server_that_swallows_the_stop_text(server: Server, sent: str, ended: str, received: str):
    server.pieces, server.ended = [sent], ended
    assert "".join(RemoteReasoner(server.url, "x").stream(frame(), "What?")) == received


@pytest.mark.parametrize("how", ["cancel", "close"])
def test_leaving_closes_the_connection(server: Server, how: str):
    server.pieces, server.between = repeat("word "), lambda: time.sleep(0.01)  # for ever
    cancel, pieces = threading.Event(), []
    stream = RemoteReasoner(server.url, "x").stream(frame(), "What?", cancel=cancel)
    for piece in stream:
        pieces.append(piece)
        if len(pieces) == 3:
            cancel.set() if how == "cancel" else stream.close()
    assert pieces == ["word "] * 3
    assert server.left.wait(120)  # at once, but a loaded machine may take a while


def test_cancel_does_not_wait_for_a_silent_server(server: Server):
    speaking, cancel = threading.Event(), threading.Event()
    server.pieces, server.between = ["a", "b"], speaking.wait
    stream = RemoteReasoner(server.url, "x").stream(frame(), "What?", cancel=cancel)
    assert next(stream) == "a"
    threading.Timer(0.1, cancel.set).start()
    assert list(stream) == []  # or it waits for "b" until now, and that never comes
    speaking.set()


def test_a_server_that_is_not_there():
    remote = RemoteReasoner("http://127.0.0.1:9/v1", "x")
    with pytest.raises(ModelError, match=r"x at http://127.0.0.1:9/v1 cannot be reached\. Start the server"):
        list(remote.stream(frame(), "What?"))


@pytest.mark.parametrize(
    ("status", "advice"),
    [
        (400, "Check the model's name"),
        (401, "Set OPENAI_API_KEY"),
        (403, "Set OPENAI_API_KEY"),
        (404, "Check the model's name, and the address"),
        (413, "no picture of this size"),
        (429, "Wait a while"),
        (500, "the server's log"),
        (503, "until the server is ready"),
    ],
)
def test_a_server_that_refuses(server: Server, status: int, advice: str):
    server.status = status
    with pytest.raises(ModelError, match=f"refused the question: Error code: {status}.*{advice}") as caught:
        list(RemoteReasoner(server.url, "x").stream(frame(), "What?"))
    assert "does not exist" in str(caught.value) and "\n" not in str(caught.value)
    assert len(server.requests) == (4 if status in (429, 503) else 1)


def test_a_busy_server_is_asked_again(server: Server):
    server.refusals = [429, 503]
    assert "".join(RemoteReasoner(server.url, "x").stream(frame(), "What?")) == TEXT
    assert len(server.requests) == 3


def test_who_leaves_while_a_server_is_busy_does_not_wait(server: Server, monkeypatch):
    monkeypatch.setattr(remote_module, "_PAUSES_S", (600.0,))
    server.status, cancel = 503, threading.Event()
    threading.Timer(0.2, cancel.set).start()
    assert list(RemoteReasoner(server.url, "x").stream(frame(), "What?", cancel=cancel)) == []


@pytest.mark.parametrize(
    "models, words",
    [
        (["owner/only"], ""),
        ([], "It lists: none"),
        (["a", "b"], r"Write one behind a #: .*/v1#NAME\. It lists: a, b"),
    ],
)
def test_an_address_without_a_name(server: Server, models: list[str], words: str):
    server.models = models
    remote = RemoteReasoner.from_address(server.url)
    if words:
        with pytest.raises(ModelError, match=words):
            list(remote.stream(frame(), "What?"))
        return
    for _ in range(2):
        assert "".join(remote.stream(frame(), "What?")) == TEXT
    assert [body["model"] for body in server.requests] == ["owner/only"] * 2


WHOLE = json.dumps({"choices": [{"message": {"content": TEXT}, "finish_reason": "stop"}]}).encode()
STREAM = b"data: " + json.dumps({"choices": [{"delta": {"content": TEXT}}]}).encode() + b"\n\n"
HTML = b"<html>welcome</html>"


@pytest.mark.parametrize(
    ("body", "headers"),
    [
        (WHOLE, {"Content-Type": "application/json"}),
        (WHOLE, {"Content-Type": "text/event-stream"}),
        (WHOLE, {}),
        (STREAM, {"Content-Type": "text/plain"}),
        (STREAM, {"Content-Type": "application/json; charset=utf-8"}),
        (STREAM, {}),
        (gzip.compress(STREAM), {"Content-Type": "text/event-stream", "Content-Encoding": "gzip"}),
        (gzip.compress(WHOLE), {"Content-Type": "application/json", "Content-Encoding": "gzip"}),
        (STREAM, {"Content-Length": str(len(STREAM) + 5)}),  # it breaks off, but with all that was asked for
    ],
)
def test_an_answer_is_read_whatever_it_is_called(server: Server, body: bytes, headers: dict[str, str]):
    server.raw = body, headers
    assert "".join(RemoteReasoner(server.url, "x").stream(frame(), "What?")) == TEXT


@pytest.mark.parametrize(
    ("body", "headers", "said"),
    [
        (HTML, {"Content-Type": "text/html"}, "sent a web page, not an answer. Check the address"),
        (b"", {"Content-Length": "0"}, "without any text"),
        (b"", {"Content-Type": "text/event-stream"}, "without any text"),
        (STREAM[:60], {"Content-Type": "text/event-stream"}, "no JSON"),
        (STREAM[:60], {"Content-Length": "500"}, "broke off in the middle of its answer: "),
        (gzip.compress(STREAM)[:40], {"Content-Encoding": "gzip"}, "broke off|no JSON|without any text"),
        (b"no zip", {"Content-Encoding": "gzip"}, "broke off in the middle of its answer: "),
    ],
)
def test_what_is_no_answer_ends_in_one_line(server: Server, body: bytes, headers: dict[str, str], said: str):
    server.raw = body, headers
    remote = RemoteReasoner(server.url, "x")
    with pytest.raises(ModelError, match=said) as caught:
        list(remote.stream(frame(), "What?"))
    assert "\n" not in str(caught.value) and f"x at {server.url}" in str(caught.value)
    with pytest.raises(ModelError, match=said):
        list(remote.answer_all([Request(1, frame(), "What?")], at_once=1))


@pytest.mark.parametrize("keeps_talking", [True, False])
def test_a_server_that_never_comes_to_the_point(server: Server, monkeypatch, keeps_talking: bool):
    """It is silent after its first words, or says for ever that it still lives."""
    monkeypatch.setattr(remote, "_SILENCE_S", 0.3)
    gone = threading.Event()
    server.raw = b": still there\r\n\r\n" * 10_000, {"Content-Type": "text/event-stream"}
    server.between = (lambda: time.sleep(0.01)) if keeps_talking else gone.wait
    with pytest.raises(ModelError, match="did not answer in time"):
        list(RemoteReasoner(server.url, "x").stream(frame(), "What?"))
    gone.set()


@pytest.mark.parametrize("address", ["http://127.0.0.1:x/v1", "http://[::1/v1", "http:///v1", "nonsense"])
def test_an_address_that_cannot_be_one(address: str):
    with pytest.raises(ModelError, match="Check the address|check the address") as caught:
        list(RemoteReasoner(address, "x").stream(frame(), "What?"))
    assert "\n" not in str(caught.value)


def test_a_key_that_cannot_be_sent(server: Server):
    with pytest.raises(ModelError, match="cannot be asked: .*OPENAI_API_KEY"):
        list(RemoteReasoner(server.url, "x", api_key="schlüssel ☂").stream(frame(), "What?"))
