"""Logins slow down after wrong ones, for each address apart, so that nobody tries passwords by the thousand.

async with logins.turn("192.0.2.7") as attempt:
    attempt.right = await let_gradio_look()
"""

from __future__ import annotations

import asyncio
import time
from collections import OrderedDict
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

FREE = 3  # wrong ones that cost nothing: people mistype
LONGEST_S = 30.0
FORGOTTEN_S = 900.0  # how long after its last attempt an address starts afresh
MAX_WAITING = 5  # attempts of one address that wait for their turn
MAX_ADDRESSES = 10_000


class TooManyLogins(Exception):
    """More attempts of one address are waiting than may."""


@dataclass
class _Address:
    wrong: int = 0
    waiting: int = 0
    last: float = 0.0
    lock: asyncio.Lock = field(default_factory=asyncio.Lock)


@dataclass
class Attempt:
    """right: whether it was let in; wrong until somebody says so."""

    right: bool = False


class Logins:
    """sleep: waits for so many seconds."""

    def __init__(self, sleep: Callable[[float], Awaitable[None]] = asyncio.sleep) -> None:
        self._sleep = sleep
        self._addresses: OrderedDict[str, _Address] = OrderedDict()

    @asynccontextmanager
    async def turn(self, address: str) -> AsyncIterator[Attempt]:
        """One attempt, after those of the same address that came before it and the time that those cost.

        After FREE wrong ones 1 s, then 2 s, 4 s, … up to LONGEST_S. Raises TooManyLogins at once.
        """
        known, attempt = self._known(address), Attempt()
        if known.waiting >= MAX_WAITING:
            raise TooManyLogins
        known.waiting += 1
        try:
            async with known.lock:
                if known.wrong >= FREE:
                    await self._sleep(min(2.0 ** min(known.wrong - FREE, 10), LONGEST_S))
                try:
                    yield attempt
                finally:
                    known.wrong = 0 if attempt.right else known.wrong + 1
                    known.last = time.monotonic()
        finally:
            known.waiting -= 1

    def _known(self, address: str) -> _Address:
        known = self._addresses.pop(address, None) or _Address()
        if known.last and not known.waiting and time.monotonic() - known.last > FORGOTTEN_S:
            known = _Address()
        self._addresses[address] = known
        if len(self._addresses) > MAX_ADDRESSES:
            self._addresses.popitem(last=False)
        return known
