"""What a message to the page's queue may hold; all else is refused in one line, before Gradio reads it.

    body = read_object(raw)
    message = clean_message(body, listener_of(body, page.fns))

Gradio hands a message on as it came, to validators, components and listeners alike, and whoever speaks its
protocol writes what he likes into every field.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import Any

import gradio as gr
from gradio.components.api_component import Api as Argument  # what gr.api makes of a parameter

from page.api import FILE, PARAMETERS, picture_of
from page.picture_input import PictureInput
from page.uploads import Uploads

EVENT_KEYS = {"number", "x", "y", "add", "box", "index"}  # what page.listeners reads of events
_SESSION = re.compile(r"[A-Za-z0-9_-]{1,64}")


class Refused(Exception):
    """What is not let in: an HTTP status, and one line that says why."""

    def __init__(self, status: int, detail: str, headers: Mapping[str, str] | None = None) -> None:
        super().__init__(detail)
        self.status, self.detail, self.headers = status, detail, headers


def read_object(raw: bytes) -> dict[str, Any]:
    """The object that a body holds. Raises Refused for what is not JSON, such as NaN, or is no object."""
    try:
        body = json.loads(raw, parse_constant=_no_number)
    except (ValueError, RecursionError) as error:  # a number of 5,000 digits is a ValueError too
        raise Refused(422, "The body is not JSON.") from error
    if not isinstance(body, dict):
        raise Refused(422, "Expected a JSON object.")
    return body


def listener_of(body: dict[str, Any], fns: Mapping[int, Any], api_name: str | None = None) -> Any:
    """Whom a message is for, by its number or else by the name in the address. Raises Refused.

    fns: of gr.Blocks.
    """
    number = body.get("fn_index")
    if number is None and api_name is not None:
        found = next((fn for fn in fns.values() if fn.api_name == api_name), None)
    else:
        found = fns.get(number) if type(number) is int else None
    if found is None or found.fn is None:  # one that only cancels others has nothing to run
        raise Refused(404, f"There is no endpoint {_short(number if number is not None else api_name)}.")
    return found


def clean_message(body: dict[str, Any], fn: Any) -> dict[str, Any]:
    """The message with nothing in it but what its listener `fn` reads, of the right types. Raises Refused."""
    session = body.get("session_hash")
    if session is not None and not (isinstance(session, str) and _SESSION.fullmatch(session)):
        raise Refused(422, "session_hash: expected 1 to 64 letters, digits and dashes.")
    data, told = body.get("data"), body.get("event_data")
    if not isinstance(data, list):
        raise Refused(422, "data: expected a list.")
    if told is not None and not isinstance(told, dict):
        raise Refused(422, "event_data: expected an object.")
    told = {key: value for key, value in (told or {}).items() if key in EVENT_KEYS and _is_plain(value)}
    message = {"data": _inputs(fn, data), "event_data": told, "fn_index": fn._id}
    return {**message, "session_hash": session}


def clean_call(body: dict[str, Any], fn: Any) -> dict[str, Any]:
    """The same for a call whose arguments have names. Raises Refused."""
    if not _is_endpoint(fn):
        raise Refused(404, "There is no such endpoint.")
    if missing := [name for name in PARAMETERS if name not in body]:
        raise Refused(422, f"The body lacks {_listed(missing)}.")
    if extra := [name for name in body if name not in PARAMETERS]:
        raise Refused(422, f"Nothing is known of {_listed(extra[:3])}; expected {_listed(PARAMETERS)}.")
    return {"image": picture_of(body["image"]), "question": _text(body["question"])}


def _is_endpoint(fn: Any) -> bool:
    """Whether it is one of page.api's."""
    return bool(fn.inputs) and all(isinstance(component, Argument) for component in fn.inputs)


def _inputs(fn: Any, data: list[Any]) -> list[Any]:
    if len(data) != len(fn.inputs):
        raise Refused(422, f"data: expected {len(fn.inputs)} values, these are {len(data)}.")
    if _is_endpoint(fn):
        return [picture_of(data[0]), _text(data[1])]
    return [_input(component, value) for component, value in zip(fn.inputs, data, strict=True)]


def _input(component: Any, value: Any) -> Any:
    match component:
        case gr.State():  # it lives on the server
            return None
        case PictureInput():
            return None if value is None else _picture(value, component.pictures)
        case gr.Textbox():
            return _text(value)
    raise TypeError(f"{type(component).__name__} is an input that no message was ever checked for")


def _picture(value: Any, pictures: Uploads) -> dict[str, Any]:
    """A picture of this server's, as Gradio wants it; for all else a path that names nothing."""
    path = value.get("path") if isinstance(value, dict) else None
    if isinstance(path, str) and pictures.knows(path):
        return {"path": path, "meta": FILE}
    return {"path": ""}


def _is_plain(value: Any) -> bool:
    """A number, a truth value, or a few numbers."""
    values = value if isinstance(value, list) and len(value) <= 4 else [value]
    return all(isinstance(each, (int, float)) for each in values)


def _text(value: Any) -> str:
    """A text; what is none is no question."""
    return value.encode("utf-8", "replace").decode() if isinstance(value, str) else ""


def _no_number(name: str) -> None:
    raise ValueError(name)


def _listed(names: Any) -> str:
    return ", ".join(_short(name) for name in names)


def _short(value: Any) -> str:
    """Somebody's words on one line, between quotes and in plain letters."""
    return ascii(str(value)[:40])
