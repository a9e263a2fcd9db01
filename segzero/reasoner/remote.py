"""A reasoner behind an OpenAI-compatible server, such as vLLM or SGLang, on this machine or another.

    vllm serve Ricky06662/VisionReasoner-7B --limit-mm-per-prompt '{"image": 1}'
    python -m segzero ask photo.jpg "What keeps me dry?" --preset visionreasoner-7b \\
        --reasoner http://127.0.0.1:8000/v1#Ricky06662/VisionReasoner-7B

A server with a reasoning parser, which takes the chain of thought out of the text, is read as well.
"""

from __future__ import annotations

import base64
import io
import os
import threading
import time
from collections.abc import Callable, Hashable, Iterable, Iterator
from concurrent.futures import FIRST_COMPLETED, ThreadPoolExecutor, wait
from contextlib import closing
from itertools import islice

from PIL import Image

from segzero.contract import spell_out
from segzero.hub import ModelError, one_line
from segzero.reasoner.relay import POLL_S, relay
from segzero.reasoner.remote_stream import BadAnswer, read_events, read_text
from segzero.reasoner.request import Request

_CONNECT_S, _SILENCE_S = 10.0, 120.0
"""How long to wait for a connection, and for the next piece of text."""
_GREEDY = {"temperature": 0.0}
_BUSY, _PAUSES_S = (429, 503), (1.0, 2.0, 4.0)
"""What a server says that will answer later, and how long to wait before each further try."""
_LOOK = "Check the address, which often ends in /v1, and the server's log."
_ADVICE = {
    401: "Set OPENAI_API_KEY to a key of this server",
    403: "Set OPENAI_API_KEY to a key that may use this model",
    404: "Check the model's name, and the address, which often ends in /v1",
    413: "The server takes no picture of this size; raise its limit",
    429: "Wait a while, and ask again",
    503: "Wait until the server is ready, and ask again",
}
"""What to do about the status of an HTTP answer."""


class RemoteReasoner:
    """The same stream as segzero.reasoner.Reasoner, from a server. Nothing is sent before the first question.

    base_url: such as "http://127.0.0.1:8000/v1". model: the name the server has for it; "" takes the only one
    that the server lists, when the first question is asked.
    api_key: None takes OPENAI_API_KEY from the environment; servers that want no key ignore it.
    """

    def __init__(
        self, base_url: str, model: str, *, api_key: str | None = None, max_new_tokens: int = 1024
    ) -> None:
        self.base_url, self.model, self.max_new_tokens = base_url, model, max_new_tokens
        self._naming, self._client = threading.Lock(), None
        self._api_key = api_key or os.environ.get("OPENAI_API_KEY") or "none"

    @classmethod
    def from_address(cls, address: str, *, max_new_tokens: int = 1024) -> RemoteReasoner:
        """Of "http://host:port/v1#model-name"; the name may be missing."""
        base_url, _, model = address.partition("#")
        return cls(base_url, model, max_new_tokens=max_new_tokens)

    def stream(
        self, image: Image.Image, prompt: str, *, cancel: threading.Event | None = None
    ) -> Iterator[str]:
        """Yield what the model writes as it arrives, up to and including `</answer>`.

        image: the square frame; it travels as a PNG, so the server sees the same pixels.
        Setting `cancel`, or closing the generator, closes the connection. Raises ModelError.
        """

        def work(emit: Callable[[str], None], stopped: Callable[[], bool]) -> None:
            self._ask(image, prompt, emit, stopped)

        def start(job: Callable[[], None]) -> None:
            threading.Thread(target=job, name="remote-reasoner", daemon=True).start()

        return relay(work, start, cancel)

    def answer_all(
        self, requests: Iterable[Request], at_once: int, *, cancel: threading.Event | None = None
    ) -> Iterator[tuple[Hashable, str]]:
        """As Reasoner.answer_all, which see; the server makes batches of what it is asked at once."""
        closed = threading.Event()

        def stopped() -> bool:
            return closed.is_set() or (cancel is not None and cancel.is_set())

        def answer(request: Request) -> tuple[Hashable, str]:
            pieces: list[str] = []
            how = (
                {"temperature": request.temperature, "seed": request.seed}
                if request.temperature > 0
                else _GREEDY
            )
            self._ask(request.frame, request.prompt, pieces.append, stopped, how)
            return request.key, "".join(pieces)

        requests = iter(requests)
        pool = ThreadPoolExecutor(at_once, "remote-reasoner")
        try:
            waiting = {pool.submit(answer, request) for request in islice(requests, at_once)}
            while waiting and not stopped():
                done, waiting = wait(waiting, timeout=POLL_S, return_when=FIRST_COMPLETED)
                waiting |= {pool.submit(answer, request) for request in islice(requests, len(done))}
                found = [each.result() for each in done]
                yield from [] if stopped() else found  # what was cut off is no answer
        finally:
            closed.set()
            pool.shutdown(wait=False, cancel_futures=True)

    def _ask(
        self,
        image: Image.Image,
        prompt: str,
        emit: Callable[[str], None],
        stopped: Callable[[], bool],
        how: dict[str, float] = _GREEDY,
    ) -> None:
        import openai  # only who has a server needs it, and it takes a second

        picture = {"type": "image_url", "image_url": {"url": png_url(image)}}
        # Spelt out, for the server would take <|im_end|> in a question for the end of the message.
        content = [picture, {"type": "text", "text": spell_out(prompt)}]
        response = self._open(openai, content, how, stopped)
        if response is None:
            return
        with closing(response):
            silent_since = time.monotonic()
            try:
                for piece in read_text(read_events(self._received(response))):
                    if stopped():
                        return
                    if piece:
                        emit(piece)
                        silent_since = time.monotonic()
                    elif time.monotonic() - silent_since > _SILENCE_S:  # it says only that it lives
                        raise ModelError(self._late())
            except BadAnswer as error:
                raise ModelError(f"{self._asked} {error}. {_LOOK}") from error

    def _received(self, response) -> Iterator[bytes]:
        """The body as it arrives. Whatever breaks on the way is the server's doing, or the network's."""
        chunks = response.iter_bytes()
        while True:
            try:
                chunk = next(chunks, None)
            except Exception as error:  # of httpx, its successor or zlib: as openai's version has it
                if "Timeout" in type(error).__name__:
                    raise ModelError(self._late()) from error
                raise ModelError(
                    f"{self._asked} broke off in the middle of its answer: {one_line(error)}. {_LOOK}"
                ) from error
            if chunk is None:
                return
            yield chunk

    def _open(self, openai, content: list[dict], how: dict[str, float], stopped: Callable[[], bool]):
        """The answer that begins to arrive; a busy server is asked again. None when stopped meanwhile."""
        for pause_s in (*_PAUSES_S, None):
            try:
                client = self._connected(openai)
                # No `stop`: some servers refuse it, and closing the connection stops them all.
                return client.chat.completions.with_raw_response.create(
                    model=self.model,
                    messages=[{"role": "user", "content": content}],
                    stream=True,
                    **how,
                    max_tokens=self.max_new_tokens,
                ).http_response
            except ModelError:
                raise
            except Exception as error:  # nothing but openai's own work stands in there
                if pause_s is None or getattr(error, "status_code", None) not in _BUSY:
                    raise ModelError(self._explain(openai, error)) from error
            until = time.monotonic() + pause_s
            while time.monotonic() < until:
                if stopped():
                    return None
                time.sleep(POLL_S)

    def _connected(self, openai):
        """The client, which lives as long as this does: it closes its answers when it goes."""
        with self._naming:
            if self._client is None:
                timeout = openai.Timeout(_SILENCE_S, connect=_CONNECT_S)
                self._client = openai.OpenAI(
                    base_url=self.base_url, api_key=self._api_key, timeout=timeout, max_retries=0
                )
            if not self.model:
                self._find_name(self._client)
            return self._client

    def _find_name(self, client) -> None:
        """Take the name of the only model that the server has, where none was given. Raises ModelError."""
        names = [each.id for each in client.models.list()]
        if len(names) != 1:
            listed = ", ".join(names[:10]) or "none"
            advice = f"Write one behind a #: {self.base_url}#NAME. It lists: {listed}."
            raise ModelError(f"{self.base_url} has several models, or none. {advice}")
        self.model = names[0]

    @property
    def _asked(self) -> str:
        return f"{self.model} at {self.base_url}" if self.model else self.base_url

    def _late(self) -> str:
        return f"{self._asked} did not answer in time. Look whether the server is busy, and ask again."

    def _explain(self, openai, error: Exception) -> str:
        if isinstance(error, openai.APITimeoutError):
            return self._late()
        if isinstance(error, openai.APIConnectionError):
            return f"{self._asked} cannot be reached. Start the server, or check the address."
        if not isinstance(error, openai.OpenAIError):  # an address or a key that cannot be sent
            return f"{self._asked} cannot be asked: {one_line(error)}. Check the address and OPENAI_API_KEY."
        status = getattr(error, "status_code", None)
        advice = _ADVICE.get(status, "Check the model's name and the server's log")
        return f"{self._asked} refused the question: {one_line(error)}. {advice}."


def png_url(image: Image.Image) -> str:
    """A picture as a data: URL, lossless."""
    buffer = io.BytesIO()
    image.save(buffer, format="PNG")
    return "data:image/png;base64," + base64.b64encode(buffer.getvalue()).decode("ascii")
