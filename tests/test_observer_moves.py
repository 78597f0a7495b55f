"""Those who watch a call: what they are told, in which order, and what they can stop."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from typing import Any

import pytest

from relaydance_async import APITimeoutError, RateLimitError, RetryPolicy
from relaydance_async._sansio.observer import CallInfo, CallObserver, NoObserver
from relaydance_async.sandbox import Fault, Sandbox
from tests.kit.calls import ask_chat, client_of, open_stream, submit_clip
from tests.kit.probe import look_at
from tests.kit.routes import CHAT, SUBMIT

pytestmark = [pytest.mark.anyio, pytest.mark.parametrize("transport", ["aiohttp", "httpx"])]


@pytest.fixture
def sandbox() -> Iterator[Sandbox]:
    with Sandbox() as running:
        yield running


class Diary(NoObserver):
    """Notes what it is told of one call after another."""

    def __init__(self, *, stop: Exception | None = None, pause: float = 0.0) -> None:
        self.calls: list[CallInfo] = []
        self.told: list[Any] = []
        self._stop = stop
        self._pause = pause

    def call_began(self, call: CallInfo) -> CallObserver:
        self.calls.append(call)
        return self

    def queued(self, attempt: int) -> None:
        self.told.append(("queued", attempt))

    def admitted(self, attempt: int, queued_for: float, headers: dict[str, str]) -> None:
        assert "authorization" not in headers
        headers["x-trace"] = "1"
        self.told.append(("admitted", attempt))

    async def sending(self, attempt: int) -> None:
        self.told.append(("sending", attempt))
        await asyncio.sleep(self._pause)
        if self._stop is not None:
            raise self._stop

    def answered(self, attempt: int, meta: Any) -> None:
        self.told.append(("answered", attempt, meta.status_code))

    async def failed(self, record: Any, error: Any, decision: Any, elapsed: float) -> None:
        assert error.attempts[-1] is record
        self.told.append(("failed", record.number, type(decision).__name__))

    def ended(self, result: object, error: BaseException | None, maybe_accepted: bool) -> None:
        self.told.append(("ended", type(error).__name__))


async def test_they_are_told_of_each_move_of_each_attempt(sandbox: Sandbox, transport: Any) -> None:
    sandbox.faults.add(Fault(CHAT, status=429, retry_after="0", at=(1,)))
    diary = Diary()
    async with client_of(sandbox, transport=transport, _observers=[diary]) as client:
        await ask_chat(client)
    assert diary.told == [
        ("queued", 1),
        ("admitted", 1),
        ("sending", 1),
        ("answered", 1, 429),
        ("failed", 1, "Retry"),
        ("queued", 2),
        ("admitted", 2),
        ("sending", 2),
        ("answered", 2, 200),
        ("ended", "NoneType"),
    ]
    (call,) = diary.calls
    assert (call.method, call.route, call.model, call.billed) == ("POST", "/chat/completions", "grok-4.3", True)


async def test_a_call_that_fails_ends_with_its_error(sandbox: Sandbox, transport: Any) -> None:
    sandbox.faults.add(Fault(CHAT, status=429))
    diary = Diary()
    async with client_of(sandbox, transport=transport, retry=RetryPolicy(max_attempts=1), _observers=[diary]) as client:
        with pytest.raises(RateLimitError):
            await ask_chat(client)
    assert diary.told[-2:] == [("failed", 1, "GiveUp"), ("ended", "RateLimitError")]


async def test_a_streams_call_ends_with_the_stream(sandbox: Sandbox, transport: Any) -> None:
    diary = Diary()
    async with client_of(sandbox, transport=transport, _observers=[diary]) as client:
        await open_stream(client)
        assert diary.told[-1:] == [("ended", "NoneType")]
        assert len([one for one in diary.told if one[0] == "ended"]) == 1


async def test_what_sending_raises_keeps_the_request_from_leaving(sandbox: Sandbox, transport: Any) -> None:
    diary = Diary(stop=LookupError("the journal is full"))
    async with client_of(sandbox, transport=transport, _observers=[diary]) as client:
        with pytest.raises(LookupError, match="the journal is full"):
            await submit_clip(client)
        assert look_at(client).permits == 0
    assert sandbox.ledger.count(SUBMIT) == 0
    assert diary.told[-1] == ("ended", "LookupError")


async def test_a_call_whose_deadline_passes_before_its_first_byte_was_not_sent(
    sandbox: Sandbox, transport: Any
) -> None:
    diary = Diary(pause=5.0)
    async with client_of(sandbox, transport=transport, deadline=0.5, _observers=[diary]) as client:
        with pytest.raises(APITimeoutError) as caught:
            await submit_clip(client)
    assert (caught.value.sent_at, caught.value.maybe_accepted, len(caught.value.attempts)) == (None, False, 1)
    assert sandbox.ledger.count(SUBMIT) == 0
