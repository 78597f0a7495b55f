"""What the tests of a call share."""

from __future__ import annotations

import socket
from collections.abc import Awaitable, Callable, Mapping
from typing import Any

import anyio
import pytest

from relaydance_async import AsyncRelayDance, AttemptRecord, RelayDanceError, ResponseMeta
from relaydance_async._sansio.observer import CallInfo, CallObserver, NoObserver
from relaydance_async._sansio.retry import Decision
from tests.kit.waiting import wait_until

Start = Callable[..., AsyncRelayDance]

PROXY_FAULTS = ["reset_after_request", "reset_mid_headers", "cut_response", "black_hole_response"]
"""What breaks a connection after the request."""


async def failure_of(awaitable: Awaitable[Any]) -> RelayDanceError:
    """The error that it ends in."""
    with pytest.raises(RelayDanceError) as caught:
        await awaitable
    return caught.value


def closed_port() -> int:
    """A port of this machine at which nobody listens."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        port: int = server.getsockname()[1]
        return port


class Recorder(NoObserver):
    """An observer that writes down what it is told, of all calls.

    Args:
        add: headers to add.
        at: called with the name of each moment; what it raises comes out of there.
    """

    def __init__(self, add: Mapping[str, str] | None = None, at: Callable[[str], None] = lambda _: None) -> None:
        self.calls: list[CallInfo] = []
        self.moments: list[str] = []
        self.waits: list[float] = []
        self.headers: list[dict[str, str]] = []
        self.errors: list[RelayDanceError] = []
        self.ends: list[tuple[object, BaseException | None]] = []
        self._add = add or {}
        self._at = at

    def note(self, moment: str) -> None:
        self.moments.append(moment)
        self._at(moment.partition(" ")[0])

    def call_began(self, call: CallInfo) -> CallObserver:
        self.calls.append(call)
        self.note("began")
        return self

    def queued(self, attempt: int) -> None:
        self.note(f"queued {attempt}")

    def admitted(self, attempt: int, queued_for: float, headers: dict[str, str]) -> None:
        self.waits.append(queued_for)
        self.headers.append(dict(headers))
        headers.update(self._add)
        self.note(f"admitted {attempt}")

    async def sending(self, attempt: int) -> None:
        self.note(f"sending {attempt}")

    def answered(self, attempt: int, meta: ResponseMeta) -> None:
        self.note(f"answered {attempt} {meta.status_code}")

    async def failed(self, record: AttemptRecord, error: RelayDanceError, decision: Decision, elapsed: float) -> None:
        self.errors.append(error)
        self.note(f"failed {record.number} {type(decision).__name__}")

    def ended(self, result: object, error: BaseException | None, maybe_accepted: bool) -> None:
        self.ends.append((result, error))
        self.note("ended")


async def cancel_when(call: Callable[[], Any], reached: Callable[[], bool]) -> None:
    """Begin a call, and cancel it when that is true."""
    async with anyio.create_task_group() as group:
        group.start_soon(call)
        await wait_until(reached)
        group.cancel_scope.cancel()


def is_cancelled(seen: Recorder) -> bool:
    """Whether its only call ended in a cancellation."""
    return [(result, type(error)) for result, error in seen.ends] == [(None, anyio.get_cancelled_exc_class())]
