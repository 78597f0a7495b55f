"""Runs the work of a command. Ctrl-C ends it in order: what is on the wire is finished, for a minute at most."""

from __future__ import annotations

import asyncio
import logging
import sys
from collections.abc import Awaitable, Callable, Coroutine, Generator
from contextlib import contextmanager, suppress
from typing import Any, TypeAlias, TypeVar

from .. import AsyncRelayDance, RetryEvent
from ..journal import SqliteJournal
from ._exits import InterruptedBySignalError, say
from ._session import Session
from ._signals import Signals

T = TypeVar("T")

Work: TypeAlias = Callable[[AsyncRelayDance], Coroutine[Any, Any, T]]


def play(
    session: Session,
    work: Work[T],
    *,
    journal: SqliteJournal | None = None,
    at_interrupt: Callable[[], Awaitable[None]] | None = None,
    **options: Any,
) -> T:
    """Do the work with a client; what it gives.

    Args:
        journal: of the client; it is closed at the end.
        at_interrupt: is asked after a signal, when nothing is on the wire any more.
        options: of the client.

    Raises:
        InterruptedBySignalError: a signal came. Once: in order; twice: without waiting for what is on the wire.
    """
    client = session.client(journal=journal, on_retry=_tell_retry if sys.stderr.isatty() else None, **options)
    with _warnings_said():
        return asyncio.run(_play(client, work, journal, at_interrupt))


def _tell_retry(event: RetryEvent) -> None:
    """Why nothing happens, as often as a person wants to know it."""
    if event.attempt & (event.attempt - 1) == 0:
        say(f"{event.error.message}: trying again (Ctrl-C ends it)")


class _Said(logging.Handler):
    """What the client warns of, as the command says things."""

    def emit(self, record: logging.LogRecord) -> None:
        say(record.getMessage())


@contextmanager
def _warnings_said() -> Generator[None]:
    log, handler = logging.getLogger("relaydance_async"), _Said(logging.WARNING)
    log.addHandler(handler)
    try:
        yield
    finally:
        log.removeHandler(handler)


async def _play(
    client: AsyncRelayDance,
    work: Work[T],
    journal: SqliteJournal | None,
    at_interrupt: Callable[[], Awaitable[None]] | None,
) -> T:
    def hear(count: int) -> None:
        if count == 1 and journal is not None:
            say("stopping: what is on the wire is finished and kept; Ctrl-C again: at once")

    try:
        with Signals(hear) as signals:
            working = asyncio.ensure_future(work(client))
            try:
                if not await signals.first_of(working, count=1):
                    working.cancel()
                    await asyncio.wait((working,))
            finally:
                await close(client, signals)
            if signals.code and working.cancelled():
                if at_interrupt is not None:
                    await at_interrupt()
                raise InterruptedBySignalError(signals.code)
            return working.result()
    finally:
        if journal is not None:
            await journal.aclose()


async def close(client: AsyncRelayDance, signals: Signals) -> None:
    """What is on the wire is finished and kept, for a minute at most, unless a second signal comes."""
    closing = asyncio.ensure_future(client.aclose())
    await signals.first_of(closing, count=2)
    closing.cancel()
    with suppress(asyncio.CancelledError):
        await closing
