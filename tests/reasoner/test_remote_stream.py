"""What servers send in place of the stream that was asked for: read where it is an answer, else said.

python -m pytest tests/reasoner/test_remote_stream.py
"""

from __future__ import annotations

import json

import pytest

from segzero.reasoner import remote_stream
from segzero.reasoner.remote_stream import BadAnswer, read_events, read_text

ANSWER = '<think>the umbrella ☂</think><answer>[{"bbox_2d": [50,70,320,440]}]</answer>'
THOUGHT, BEHIND = "the umbrella ☂", '<answer>[{"bbox_2d": [50,70,320,440]}]</answer>'


def event(value: object, *, end: str = "\n\n") -> str:
    return f"data: {value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)}{end}"


def piece(ended: str | None = None, **delta: object) -> dict:
    return {"choices": [{"index": 0, "delta": delta, "finish_reason": ended}]}


def stream(*pieces: object, done: bool = True) -> str:
    return "".join(map(event, pieces)) + ("data: [DONE]\n\n" if done else "")


def read(body: str | bytes, size: int = 1) -> str:
    body = body.encode() if isinstance(body, str) else body
    chunks = [body[start : start + size] for start in range(0, len(body), size)]
    return "".join(read_text(read_events(chunks)))


END = piece("stop")
WHOLE = {
    "choices": [{"index": 0, "message": {"role": "assistant", "content": ANSWER}, "finish_reason": "stop"}]
}
READ = {
    "a stream": stream(*(piece(content=letter) for letter in ANSWER), END),
    "without its end": stream(piece(content=ANSWER), done=False),
    "a role first, usage last": stream(piece(role="assistant"), piece(content=ANSWER), END, {"choices": []}),
    "comments": ": hello\n\n: ping\n\n" + stream(piece(content=ANSWER), END),
    "named events": "event: message\nid: 7\nretry: 10\n" + stream(piece(content=ANSWER), END),
    "no blank after the colon": stream(piece(content=ANSWER), END).replace("data: ", "data:"),
    "carriage returns": stream(piece(content=ANSWER), END).replace("\n", "\r\n"),
    "carriage returns alone": stream(piece(content=ANSWER), END).replace("\n", "\r"),
    "no blank lines": stream(piece(content=ANSWER[:20]), piece(content=ANSWER[20:]), END).replace(
        "\n\n", "\n"
    ),
    "an event of several lines": event(json.dumps(piece(content=ANSWER), indent=1).replace("\n", "\ndata: ")),
    "a byte order mark": "\ufeff" + stream(piece(content=ANSWER), END),
    "a last line without its end": stream(piece(content=ANSWER), END)
    .removesuffix("data: [DONE]\n\n")
    .rstrip(),
    "all at once": json.dumps(WHOLE),
    "all at once, indented": json.dumps(WHOLE, indent=2),
    "all at once behind a byte order mark": "\ufeff" + json.dumps(WHOLE),
    "all at once as an event": stream(WHOLE),
    "as completions do": stream({"choices": [{"text": ANSWER, "finish_reason": "stop"}]}),
    "a list of parts": stream(piece(content=[{"type": "text", "text": ANSWER}]), END),
    "a list of two parts": stream(
        piece(content=[{"type": "text", "text": ANSWER[:9]}, {"type": "text", "text": ANSWER[9:]}]), END
    ),
    "a thought as a part": stream(
        piece(content=[{"type": "thinking", "thinking": [{"type": "text", "text": THOUGHT}]}]),
        piece(content=[{"type": "text", "text": BEHIND}], ended="stop"),
    ),
    "a thought apart": stream(piece(reasoning_content=THOUGHT), piece(content=BEHIND), END),
    "a thought apart under its other name": stream(piece(reasoning=THOUGHT), piece(content=BEHIND), END),
    "a thought under both names": stream(
        piece(reasoning=THOUGHT, reasoning_content=THOUGHT), piece(content=BEHIND)
    ),
    "a thought apart, letter by letter": stream(
        *(piece(reasoning_content=letter) for letter in THOUGHT),
        *(piece(content=letter) for letter in BEHIND),
    ),
    "a thought apart, all at once": json.dumps(
        {"choices": [{"message": {"reasoning_content": THOUGHT, "content": BEHIND}, "finish_reason": "stop"}]}
    ),
    "a thought apart with its tags": stream(
        *(piece(reasoning_content=letter) for letter in f"<think>{THOUGHT}</think>"),
        piece(content=BEHIND),
        END,
    ),
    "a thought apart with its last tag": stream(
        piece(reasoning_content=THOUGHT), piece(content=f"</think>{BEHIND}"), END
    ),
    "everything as a thought": stream(piece(reasoning_content=ANSWER), END),
    "everything as a thought but its first tag": stream(
        piece(reasoning_content=ANSWER[len("<think>") :]), END
    ),
    "nulls": stream(piece(content=None, reasoning_content=None), piece(content=ANSWER), END),
    "odd choices": stream(
        {"choices": [None, 5, {"index": 1, "delta": {"content": "other"}}, {"delta": {"content": ANSWER}}]},
        END,
    ),
    "odd events": stream(
        5, "null", [], "[1]", {"choices": 7}, piece(content={"a": 1}), piece(content=ANSWER), END
    ),
    "more behind it": stream(piece(content=ANSWER + "<answer>[]"), piece(content="and on"), END),
    "a broken event behind it": stream(piece(content=ANSWER), "{", done=False),
    "a stop text swallowed": stream(piece(content=ANSWER.removesuffix("</answer>")), END),
    "another word for the end": stream(piece(content=ANSWER.removesuffix("</answer>")), piece("eos_token")),
}


@pytest.mark.parametrize("size", [1, 7, 10**6])
@pytest.mark.parametrize("name", READ)
def test_an_answer_is_read_in_whatever_shape(name: str, size: int):
    assert read(READ[name], size) == ANSWER


@pytest.mark.parametrize(
    ("body", "text"),
    [
        (stream(piece(content="<think>a"), piece("length")), "<think>a"),
        (stream(piece(content="<think>a</think><answer>[{"), piece("length")), "<think>a</think><answer>[{"),
        (stream(piece(role="assistant", content=""), END), ""),  # a model that ends at once wrote that
        (stream(piece(reasoning_content="a"), piece("length")), "<think>a"),
        (stream(piece(content="a\u2028b\u0085c"), END), "a\u2028b\u0085c"),
        (stream(piece(content="x"), END).encode().replace(b"x", b"\xff"), "\ufffd"),
    ],
    ids=["cut", "cut in the answer", "nothing", "cut in the thought", "odd line ends", "no UTF-8"],
)
def test_what_a_model_wrote_is_left_as_it_is(body: str | bytes, text: str):
    assert read(body) == text


@pytest.mark.parametrize(
    ("body", "said"),
    [
        ("", "sent an answer without any text"),
        (stream(), "sent an answer without any text"),
        (stream(END), None),
        (stream({"choices": None}), "sent an answer without any text"),
        (stream({"choices": [{"index": 0, "finish_reason": "stop"}]}), r"without any text \(stop\)"),
        (stream(piece("content_filter")), r"without any text \(content_filter\)"),
        (
            stream(piece(content="<think>a"), piece("content_filter")),
            r"broke off after 8 .*\(content_filter\)",
        ),
        (stream(piece(content="<think>a"), piece("abort")), r"broke off after 8 characters"),
        (stream(piece(content="<think>a"), done=False), "broke off after 8 characters"),
        ("<!doctype html><title>welcome</title>", "sent a web page"),
        ("\n\n  <html>\n<body>", "sent a web page"),
        ("upstream connect error", "sent something that is no JSON"),
        ('{"choices": [{', "sent something that is no JSON"),
        (stream('{"id": "x", "choices": [{', done=False), "sent something that is no JSON"),
        (stream("{", "}"), "sent something that is no JSON"),
        ("[" * 100_000, "sent something that is no JSON"),
        (event("1" * 5000), "no JSON|without any text"),
        (stream({"error": {"message": "CUDA out\nof memory"}}), "reported an error: CUDA out of memory$"),
        (stream({"error": "overloaded"}), "reported an error: overloaded$"),
        (json.dumps({"error": {"code": 5}}), r"reported an error: \{'code': 5\}"),
        (json.dumps({"object": "error", "message": "no such model"}), "reported an error: no such model$"),
        (json.dumps({"detail": "Not Found"}), "reported an error: Not Found$"),
        ("event: error\n" + event({"message": "busy"}), "reported an error: busy$"),
        ("null", "without any text"),
        ('"hello"', "without any text"),
        ("[]", "without any text"),
    ],
)
def test_what_is_no_answer_is_said(body: str, said: str | None):
    if said is None:
        assert read(body) == ""
        return
    with pytest.raises(BadAnswer, match=said) as caught:
        read(body, 1000)
    assert "\n" not in str(caught.value)


def test_what_never_ends_is_left(monkeypatch):
    monkeypatch.setattr(remote_stream, "MAX_TEXT_CHARS", 50)
    monkeypatch.setattr(remote_stream, "MAX_BODY_BYTES", 500)
    with pytest.raises(BadAnswer, match="writes on and on"):
        read(stream(*[piece(content="word ")] * 20), 100)
    for body in ("word\n" * 200, "word " * 200, ": ping\n" * 200, "data: 1\n" * 200):
        with pytest.raises(BadAnswer, match="megabytes"):
            read(body, 100)


def test_a_piece_comes_as_soon_as_it_is_there():
    arrived = []

    def body():
        for part in (stream(piece(content=letter), done=False).encode() for letter in ANSWER):
            arrived.append(part)
            yield part

    text = filter(None, read_text(read_events(body())))
    assert next(text) == "<" and len(arrived) == 1
    assert next(text) == "t" and len(arrived) == 2
