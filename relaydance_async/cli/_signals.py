"""SIGINT and SIGTERM: once, twice, and once more."""

from __future__ import annotations

import asyncio
import os
import signal
from collections.abc import AsyncGenerator, AsyncIterator, Callable
from types import TracebackType
from typing import Self, TypeVar

T = TypeVar("T")

_HEARD = (signal.SIGINT, signal.SIGTERM)
_AT_ONCE = 3
"""Signals after which nothing is waited for: the process ends in this line."""


class Signals:
    """While it is entered, signals are counted, and end nothing by themselves.

    Args:
        heard: is called with the count.

    Attributes:
        code: the exit status that tells of the first one; 0 while there was none.
    """

    def __init__(self, heard: Callable[[int], None]) -> None:
        self.code = 0
        self._heard = heard
        self._count = 0
        self._changed = asyncio.Event()

    def __enter__(self) -> Self:
        loop = asyncio.get_running_loop()
        for number in _HEARD:
            try:
                loop.add_signal_handler(number, self._hear, number)
            except NotImplementedError:  # on Windows, Ctrl-C ends the program as usual
                return self
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        loop = asyncio.get_running_loop()
        for number in _HEARD:
            try:
                loop.remove_signal_handler(number)
            except NotImplementedError:
                return

    def _hear(self, number: int) -> None:
        self._count += 1
        self.code = self.code or 128 + number
        if self._count >= _AT_ONCE:
            os._exit(self.code)
        self._changed.set()
        self._heard(self._count)

    async def _reached(self, count: int) -> None:
        while self._count < count:
            self._changed.clear()
            await self._changed.wait()

    async def first_of(self, work: asyncio.Future[T], *, count: int) -> bool:
        """Wait until it is done, or until so many signals have come. True when it is done."""
        reached = asyncio.ensure_future(self._reached(count))
        try:
            await asyncio.wait((work, reached), return_when=asyncio.FIRST_COMPLETED)
        finally:
            reached.cancel()
        return work.done()

    async def until(self, items: AsyncIterator[T], *, count: int) -> AsyncGenerator[T, None]:
        """The items that come until so many signals have come."""
        while self._count < count:
            coming = asyncio.ensure_future(_next_of(items))
            if not await self.first_of(coming, count=count):
                coming.cancel()
                await asyncio.wait((coming,))
                if coming.cancelled():
                    return
            try:
                yield coming.result()
            except StopAsyncIteration:
                return
            except _EndError:
                return


class _EndError(Exception):
    """There are no more items. (A task can't end in StopAsyncIteration.)"""


async def _next_of(items: AsyncIterator[T]) -> T:
    try:
        return await anext(items)
    except StopAsyncIteration:
        raise _EndError from None
