"""Limits shared over Redis 7 or later, or Valkey."""

from __future__ import annotations

import time
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from .._sansio.sharing import LEASE, Grant, Report, numbers
from ..errors import ConfigurationError
from ._sharing import Sharing

if TYPE_CHECKING:
    from redis.asyncio import Redis

_PREFIX = "relaydance:limits:"
_MOST_KEPT_WAITING = LEASE / 2
"""Seconds. A lease lasts twice as long."""


class RedisLimits(Sharing):
    """Limits that all processes with the same key share over Redis: `AsyncRelayDance(shared_limits=RedisLimits(url))`.

    Redis holds a hash of the key, of the route and of the model, and numbers. When it fails, each process goes on with
    what it learns by itself, and comes back by itself; no call fails of it. The one who made it closes it, after the
    clients.

    Args:
        url: `redis://`, `rediss://` or `unix://`, as redis-py has it.

    Raises:
        ConfigurationError: the extra `redis` is not installed, or the URL is none.
    """

    def __init__(self, url: str) -> None:
        try:
            from redis.asyncio import ConnectionPool
        except ImportError:
            raise ConfigurationError(
                "RedisLimits needs the redis package: pip install 'relaydance-async[redis]'"
            ) from None
        try:
            ConnectionPool.from_url(url)  # pyright: ignore[reportUnknownMemberType]
        except (ValueError, AttributeError):
            # Without the cause, and without what it was: that may hold a password.
            raise ConfigurationError("RedisLimits needs a URL as redis://host:6379/0") from None
        super().__init__(lambda: RedisStore(url), time.monotonic)


class RedisStore:
    """A `Store`.

    Args:
        url: of the server.
        script: that is run for each report.
    """

    def __init__(self, url: str, script: str | None = None) -> None:
        from redis.asyncio import Redis

        self._redis: Redis = Redis.from_url(  # pyright: ignore[reportUnknownMemberType]
            url, socket_timeout=_MOST_KEPT_WAITING, socket_connect_timeout=_MOST_KEPT_WAITING
        )
        self._script = script if script is not None else build_script()
        self._sha = ""

    async def exchange(self, reports: Sequence[Report]) -> list[Grant]:
        """See `Store`."""
        from redis.exceptions import NoScriptError

        try:
            return await self._exchange(reports)
        except NoScriptError:  # it was never here, or has been started anew
            self._sha = str(await self._redis.script_load(self._script))
            return await self._exchange(reports)

    async def _exchange(self, reports: Sequence[Report]) -> list[Grant]:
        if not self._sha:
            self._sha = str(await self._redis.script_load(self._script))
        async with self._redis.pipeline(transaction=False) as pipeline:
            for report in reports:
                _: Any = pipeline.evalsha(self._sha, 2, *_keys(report.name), *arguments_of(report))
            answers: list[Any] = await pipeline.execute()
        return [Grant(kind.decode(), float(amount), float(turn)) for kind, amount, turn in answers]

    async def release(self, members: Sequence[tuple[str, str]]) -> None:
        """See `Store`."""
        async with self._redis.pipeline(transaction=False) as pipeline:
            for name, who in members:
                _: Any = pipeline.hdel(_keys(name)[1], who)
            await pipeline.execute()

    async def aclose(self) -> None:
        """See `Store`."""
        await self._redis.aclose()


def build_script() -> str:
    """The rule, after its numbers."""
    named = {name: value for name, value in vars(numbers).items() if name.isupper()}
    begin = "".join(f"local {name} = {value!r}\n" for name, value in named.items())
    return begin + Path(__file__).with_name("exchange.lua").read_text(encoding="utf-8")


def arguments_of(report: Report) -> list[str]:
    numbers_of = (report.amount, report.period, report.want, report.held, report.accepted, report.refused)
    gates = (
        "" if report.gates is None else " ".join(["*", *(f"{gate} {p} {r}" for gate, (p, r) in report.gates.items())])
    )
    return [report.who, report.kind, *map(repr, numbers_of), gates]


def _keys(name: str) -> list[str]:
    tagged = f"{_PREFIX}{{{name}}}"  # a cluster keeps both in one place
    return [tagged, f"{tagged}:members"]
