"""Hands pieces of text from the thread that makes them to the one that reads them.

    for piece in relay(work, start=jobs.put, cancel=event): ...

Both reasoners stand on it: a reader can leave at any time, and never hangs on a worker that is busy or gone.
"""

from __future__ import annotations

import queue
import threading
from collections.abc import Callable, Iterator
from typing import Any

POLL_S = 0.05
"""How long a cancelled reader may sleep before it notices."""

Work = Callable[[Callable[[Any], None], Callable[[], bool]], None]
"""work(emit, stopped): call emit(piece) for each piece of text, return early once stopped() is true. What a
piece is, is between `work` and the reader, only None is none."""


def relay(
    work: Work, start: Callable[[Callable[[], None]], None], cancel: threading.Event | None = None
) -> Iterator[Any]:
    """Yield what `work` emits, in order, until it returns or `cancel` is set or the reader closes this.

    start(job): sees to it that job() is called once, on another thread, now or later.
    An exception in `work` is raised here, at the reader. Work that has not begun when its reader leaves never
    begins. The main thread's end, after Ctrl-C say, stops work and reader as `cancel` does.
    """
    pieces: queue.SimpleQueue[Any] = queue.SimpleQueue()
    closed = threading.Event()

    def stopped() -> bool:
        main_ended = not threading.main_thread().is_alive()
        return closed.is_set() or (cancel is not None and cancel.is_set()) or main_ended

    def job() -> None:
        try:
            if not stopped():
                work(pieces.put, stopped)
            pieces.put(None)
        except BaseException as error:  # it belongs to the reader, whatever it is
            pieces.put(error)

    start(job)
    try:
        while not stopped():
            try:
                piece = pieces.get(timeout=POLL_S)
            except queue.Empty:
                continue
            if piece is None:
                return
            if isinstance(piece, BaseException):
                raise piece
            yield piece
    finally:
        closed.set()
