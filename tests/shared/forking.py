"""Stands in for the `spaces` package of a ZeroGPU Space: what borrows the GPU runs in a forked process.

As there, arguments and everything yielded or returned is pickled, and of all errors only gr.Error keeps its
words. Unlike there, the process is new for every call, and there is no GPU.
"""

from __future__ import annotations

import inspect
import multiprocessing
import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from multiprocessing.connection import Connection
from typing import Any

import gradio as gr

_FORK = multiprocessing.get_context("fork")


@dataclass
class FakeSpaces:
    """lent: what asked for the GPU, and for how many seconds. ended: how many of its processes have ended."""

    lent: dict[str, int] = field(default_factory=dict)
    ended: int = 0

    def GPU(self, *, duration: int) -> Callable[[Callable], Callable]:  # noqa: N802
        def lend(task: Callable) -> Callable:
            self.lent[task.__name__] = duration
            if inspect.isgeneratorfunction(task):
                return lambda *args: self._values(task, args)
            return lambda *args: next(self._values(lambda *given: iter([task(*given)]), args))

        return lend

    def _values(self, task: Callable, args: tuple) -> Iterator[Any]:
        here, there = _FORK.Pipe()
        process = _FORK.Process(target=_work, args=(task, there, here), daemon=True)
        process.start()
        there.close()
        try:
            here.send(args)
            while True:
                kind, value = here.recv()
                if kind == "end":
                    return
                if kind == "error":
                    raise value
                yield value
        finally:
            here.close()
            process.join(120)  # at once, but a loaded machine may take a while
            self.ended += process.exitcode is not None


def _work(task: Callable, connection: Connection, theirs: Connection) -> None:
    assert os.getpid() != os.getppid()
    theirs.close()  # or this process would read what it sends itself, and never notice that nobody else does
    try:
        for value in task(*connection.recv()):
            connection.send(("value", value))
        connection.send(("end", None))
    except BrokenPipeError:  # nobody reads any more
        return
    except gr.Error as error:
        connection.send(("error", gr.Error(error.message)))
    except Exception as error:
        connection.send(("error", gr.Error(type(error).__name__, title="ZeroGPU worker error")))
