"""The inside of a client, for the few tests that need more of it than its counts.

Each private name stands here once; whoever changes one changes it here.
"""

# pyright: reportPrivateUsage=false

from __future__ import annotations

from collections.abc import Generator
from contextlib import contextmanager

from relaydance_async import AsyncRelayDance
from relaydance_async._call import Api
from relaydance_async._call.signing import _SEEN
from relaydance_async._config import Options
from relaydance_async._engine import _pool, _tls
from relaydance_async._limits import KeyPace
from relaydance_async._runtime import Runtimes
from relaydance_async._sansio.pace import Open


def settings_of(client: AsyncRelayDance) -> Options:
    """What the client, or a view, was told."""
    return client._api.options


def runtimes_of(client: AsyncRelayDance) -> Runtimes:
    """What the client has, by event loop."""
    return client._runtimes


def api_of(client: AsyncRelayDance) -> Api:
    """What starts calls."""
    return client._api


def pace_of(client: AsyncRelayDance) -> KeyPace:
    """What paces the attempts."""
    return client._pace


def parts_of(client: AsyncRelayDance) -> list[object]:
    """The client, its dict and what is in it."""
    return [client, vars(client), *vars(client).values()]


def open_pace(client: AsyncRelayDance) -> None:
    """As it is after the first calls: for tests of many calls on a clock that stands still."""
    pace_of(client).state = Open(0.0, 0, 0)


def close_pace(client: AsyncRelayDance, seconds: float) -> None:
    """As after a 429 that asks for so long a pause."""
    pace_of(client).refused(api_of(client).clock.monotonic(), seconds, 0.0)


def pause_of(client: AsyncRelayDance) -> float:
    """Seconds that no call passes for."""
    return pace_of(client).pause(api_of(client).clock.monotonic())


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
