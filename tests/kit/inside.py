"""The inside of a client, for the few tests that need more of it than its counts.

Each private name stands here once; whoever changes one changes it here.
"""

# pyright: reportPrivateUsage=false

from __future__ import annotations

from collections.abc import Generator, Sequence
from contextlib import contextmanager
from typing import Any

from relaydance_async import AsyncRelayDance
from relaydance_async._call import Api
from relaydance_async._call.signing import _SEEN
from relaydance_async._client import made_with
from relaydance_async._config import Clock, Options
from relaydance_async._engine import _pool, _tls
from relaydance_async._limits import Book, Limits, Ticket
from relaydance_async._limits._gate import Gate
from relaydance_async._runtime import Runtimes
from relaydance_async._sansio.limiter import Limiter
from relaydance_async._sansio.observer import Observer


def make_client(
    *args: Any,
    clock: Clock = Clock(),  # noqa: B008  (frozen)
    observers: Sequence[Observer] = (),
    **settings: Any,
) -> AsyncRelayDance:
    """A client that goes by this clock and is watched by these."""
    return made_with(AsyncRelayDance, clock=clock, observers=observers)(*args, **settings)


def settings_of(client: AsyncRelayDance) -> Options:
    """What the client, or a view, was told."""
    return client._api.options


def runtimes_of(client: AsyncRelayDance) -> Runtimes:
    """What the client has, by event loop."""
    return client._runtimes


def connections_of(client: AsyncRelayDance) -> list[int]:
    """The descriptors of its open connections in the running loop."""
    runtime = runtimes_of(client).find()
    return runtime.filenos() if runtime is not None else []


def api_of(client: AsyncRelayDance) -> Api:
    """What starts calls."""
    return client._api


def book_of(client: AsyncRelayDance) -> Book:
    """What is known of the limits."""
    return client._api.book


def parts_of(client: AsyncRelayDance) -> list[object]:
    """The client, its dict and what is in it."""
    return [client, vars(client), *vars(client).values()]


def open_limits(client: AsyncRelayDance) -> None:
    """As they are after a crowd has passed: for tests of many calls on a clock that stands still."""
    book_of(client).__class__ = _Open


class _Open(Book):
    __slots__ = ()

    def gate(self, ticket: Ticket) -> Gate:
        found = super().gate(ticket)
        if found.limiter.facts.trip is None:
            found.limiter.is_free = True
        return found


def close_limits(client: AsyncRelayDance, seconds: float) -> None:
    """As after many 429s of all kinds of calls that ask for so long a pause."""
    now = api_of(client).clock.monotonic()
    wide = book_of(client).wide
    wide.limiter = Limiter()
    facts = wide.limiter.facts
    facts.retry_after, facts.refused_at, facts.trusts = seconds, now, True
    wide.limiter.hold(now)


def learn_rate(client: AsyncRelayDance, rate: float) -> None:
    """As when it is known that the key takes so many calls a second."""
    book_of(client).limits = Limits(requests_per_minute=max(1, int(rate * 60)))


def pause_of(client: AsyncRelayDance) -> float:
    """Seconds that no call passes for."""
    now = api_of(client).clock.monotonic()
    limiter = book_of(client).wide.limiter
    waits = [gate.delay(now) for gate in book_of(client).gates] or [limiter.delay(now) if limiter else 0.0]
    return max(waits)


def limit_of(client: AsyncRelayDance) -> int:
    """How many permits there are in the running loop."""
    runtime = runtimes_of(client).find()
    assert runtime is not None, "no call was made in this loop"
    limit: int = getattr(runtime.api, "limit")  # noqa: B009  (no part of the protocol)
    return limit


def forget_signatures() -> None:
    """No origin is known to sign its answers, as in a new process."""
    _SEEN.clear()


@contextmanager
def every_lock(client: AsyncRelayDance) -> Generator[None]:
    """Holds all the locks that a thread may hold while another forks."""
    with runtimes_of(client)._lock, _tls._lock:
        yield


async def make_tls_context() -> None:
    """Wait for the context that all connections of our own share, made if need be."""
    await _tls.tls_context()


def keep_idle_connections(seconds: float) -> None:
    """Have the engine's connections kept for so long."""
    _pool.KEEPALIVE_SECONDS = seconds
