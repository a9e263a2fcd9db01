"""An ASGI middleware around Gradio: refuses in one line what Gradio would let in, or fall over.

Whoever asks for a host that is none of ours, sends what no listener reads, comes when the queue is full,
reads an answer a second time or guesses passwords is answered here.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any
from urllib.parse import parse_qs

import gradio as gr
from starlette.responses import JSONResponse

from page.door.hosts import Hosts
from page.door.logins import Logins, TooManyLogins
from page.door.messages import Refused, clean_call, clean_message, listener_of, read_object

Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]
Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]

API = "gradio_api"
MAX_BODY_BYTES = 1_000_000  # of a message, which holds no picture, only what names one
MAX_MCP_BYTES = 6_000_000  # which may hold one, in letters
UNUSED = {"component_server", "process_recording", "stream"}  # what Gradio has for other pages than ours


class Door:
    """app: what is inside, Gradio. page: whose queue it is. hosts: what this server may be called."""

    def __init__(self, app: Callable, *, page: gr.Blocks, hosts: Hosts) -> None:
        self._app, self._page, self._hosts, self._logins = app, page, hosts, Logins()
        self._entering = 0  # messages that are being looked at, and will wait in the queue
        self._reading: set[str] = set()  # the answers that are being read
        self._beating: Counter[str] = Counter()  # open tabs, by session

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        try:
            await self._let_in(scope, receive, send)
        except Refused as why:
            refusal = JSONResponse({"detail": why.detail}, why.status, why.headers)
            await refusal(scope, receive, send)

    async def _let_in(self, scope: Scope, receive: Receive, send: Send) -> None:
        hosts = [value.decode("latin-1") for name, value in scope["headers"] if name == b"host"]
        if len(hosts) != 1 or not self._hosts.allow(hosts[0]):
            raise Refused(403, "This server goes by another name. See --host in docs/deploy.md.")
        path = scope["path"].removeprefix(scope.get("root_path") or "").strip("/").split("/")
        match scope["method"], path:
            case "POST", ["login"]:
                await self._login(scope, await _bounded(receive), send)
            case _, [first, name, *_] if first == API and name in UNUSED:
                raise Refused(404, "There is no such thing here.")
            case "POST", [first, "queue", "join"] if first == API:
                await self._join(scope, receive, send)
            case "POST", [first, "call", name] if first == API:
                await self._join(scope, receive, send, name)
            case "POST", [first, "call", "v2", name] if first == API:
                await self._call(scope, receive, send, name)
            case "POST", [first, "run" | "api", name] if first == API:
                await self._run(scope, receive, send, name)
            case "GET", [first, "call", *_, event] if first == API:
                await self._answer(event, scope, receive, send)
            case "GET", [first, "queue", "data"] if first == API:
                await self._news(scope, receive, send)
            case "GET", [first, "heartbeat", session] if first == API:
                await self._stay(session, scope, receive, send)
            case "POST", [first, "upload"] if first == API:  # which has a limit of its own
                await self._app(scope, receive, send)
            case "POST", [first, "mcp", *_] if first == API:
                await self._app(scope, await _bounded(receive, MAX_MCP_BYTES), send)
            case "POST", _:
                await self._app(scope, await _bounded(receive), send)
            case _:
                await self._app(scope, receive, send)

    async def _join(self, scope: Scope, receive: Receive, send: Send, name: str | None = None) -> None:
        body = read_object(await _read(receive, MAX_BODY_BYTES))
        message = clean_message(body, listener_of(body, self._page.fns, name))
        await self._queue_up(message, scope, receive, send)

    async def _call(self, scope: Scope, receive: Receive, send: Send, name: str) -> None:
        body = read_object(await _read(receive, MAX_BODY_BYTES))
        message = clean_call(body, listener_of({}, self._page.fns, name))
        await self._queue_up(message, scope, receive, send)

    async def _run(self, scope: Scope, receive: Receive, send: Send, name: str) -> None:
        body = read_object(await _read(receive, MAX_BODY_BYTES))
        fn = listener_of(body, self._page.fns, name)
        if fn.queue:
            raise Refused(404, "Ask through the queue: docs/api.md says how.")
        await self._app(scope, _replayed(clean_message(body, fn), receive), send)

    async def _queue_up(self, message: dict[str, Any], scope: Scope, receive: Receive, send: Send) -> None:
        """Hand a message on, while there is room for it in the queue."""
        queue = self._page._queue
        if self._entering + len(queue) >= queue.max_size:  # Gradio counts before it looks at the picture
            raise Refused(503, f"Queue is full. {queue.max_size} wait already; try again later.")
        self._entering += 1
        try:
            await self._app(scope, _replayed(message, receive), send)
        finally:
            self._entering -= 1

    async def _answer(self, event: str, scope: Scope, receive: Receive, send: Send) -> None:
        """Hand on an answer that waits to be read, once: a second reader would wait without end."""
        queue = self._page._queue
        waiting = list(queue.pending_event_ids_session.items())
        session = next((session for session, events in waiting if event in events), None)
        if session is None or session not in queue.pending_messages_per_session or event in self._reading:
            raise Refused(404, "There is no such answer, or it has been read.")
        self._reading.add(event)
        try:
            await self._app(scope, receive, send)
        finally:
            self._reading.discard(event)

    async def _news(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Hand on what the queue has to say to a session that has asked something."""
        (session, *_) = parse_qs(scope["query_string"].decode("latin-1")).get("session_hash", [""])
        if session not in self._page._queue.pending_messages_per_session:
            raise Refused(404, "Nobody has asked anything in this session.")
        await self._app(scope, receive, send)

    async def _stay(self, session: str, scope: Scope, receive: Receive, send: Send) -> None:
        """A tab says for as long as it is open that it is; then all that was kept for it goes."""
        self._beating[session] += 1
        try:
            await self._app(scope, receive, send)
        finally:
            self._beating[session] -= 1
            if not self._beating[session]:
                del self._beating[session]
                self._page.state_holder.session_data.pop(session, None)
                self._page.state_holder.time_last_used.pop(session, None)

    async def _login(self, scope: Scope, receive: Receive, send: Send) -> None:
        async def look(message: MutableMapping[str, Any]) -> None:
            if message["type"] == "http.response.start":
                attempt.right = message["status"] < 400
            await send(message)

        try:
            async with self._logins.turn((scope.get("client") or ("",))[0]) as attempt:
                await self._app(scope, receive, look)
        except TooManyLogins:
            raise Refused(
                429, "Too many logins at once. Try again in a minute.", {"Retry-After": "60"}
            ) from None


async def _read(receive: Receive, limit: int) -> bytes:
    """The whole body. Raises Refused when it is larger than `limit` bytes, or breaks off."""
    body = bytearray()
    while True:
        message = await receive()
        if message["type"] == "http.disconnect":
            raise Refused(400, "The body broke off.")
        body += message.get("body", b"")
        if len(body) > limit:
            raise Refused(413, f"More than {limit // 1000:,} kB; send less.")
        if not message.get("more_body"):
            return bytes(body)


async def _bounded(receive: Receive, limit: int = MAX_BODY_BYTES) -> Receive:
    return _replay(await _read(receive, limit), receive)


def _replayed(message: Any, receive: Receive) -> Receive:
    return _replay(json.dumps(message).encode(), receive)


def _replay(body: bytes, receive: Receive) -> Receive:
    """Gives the body at once, then what `receive` gives."""
    waiting = [{"type": "http.request", "body": body, "more_body": False}]

    async def again() -> MutableMapping[str, Any]:
        return waiting.pop() if waiting else await receive()

    return again
