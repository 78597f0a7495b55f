"""What an observer raises costs the call nothing, but for what it raises before the first byte."""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import Any

import anyio
import pytest

from relaydance_async import APIConnectionError, APITimeoutError, ServerError
from relaydance_async.sandbox import Fault, Sandbox
from tests.call.support import Recorder, Start, cancel_when, failure_of, is_cancelled
from tests.kit.calls import ask_chat, list_models, open_stream, submit_clip
from tests.kit.clocks import QuickClock
from tests.kit.probe import look_at
from tests.kit.routes import MODELS

pytestmark = pytest.mark.anyio


class Bug(Exception):
    """An observer's own."""


def raising(moment: str) -> Callable[[str], None]:
    def at(now: str) -> None:
        if now == moment:
            raise Bug(moment)

    return at


@pytest.mark.parametrize("moment", ["began", "queued", "admitted", "answered", "failed", "ended"])
async def test_an_observer_that_raises_is_logged_and_costs_nothing(
    sandbox: Sandbox, start: Start, moment: str, caplog: pytest.LogCaptureFixture
) -> None:
    sandbox.faults.add(Fault(MODELS, status=503, times=1))
    other = Recorder()
    with caplog.at_level(logging.ERROR, "relaydance_async"):
        async with start(sandbox, QuickClock(), observers=[Recorder(at=raising(moment)), other]) as client:
            assert (await client.models.list()).data
    assert "another observer, raised; the call goes on" in caplog.text
    assert f"Bug: {moment}" in caplog.text
    assert [moment.partition(" ")[0] for moment in other.moments].count("sending") == 2
    assert other.moments[-1] == "ended"


@pytest.mark.parametrize("call", [list_models, submit_clip, ask_chat, open_stream])
async def test_what_is_raised_when_it_is_sending_ends_the_call_with_nothing_sent(
    sandbox: Sandbox, start: Start, call: Any
) -> None:
    bug = Bug("journal full")

    def refuse(moment: str) -> None:
        if moment == "sending":
            raise bug

    seen = Recorder(at=refuse)
    async with start(sandbox, QuickClock(), observers=[seen]) as client:
        with pytest.raises(Bug) as caught:
            await call(client)
        assert caught.value is bug
        assert look_at(client).permits == 0
    assert seen.ends == [(None, bug)]
    assert sandbox.ledger.count() == 0


async def test_an_error_of_ours_that_is_raised_when_it_is_sending_says_that_nothing_was_sent(
    sandbox: Sandbox, start: Start
) -> None:
    def refuse(moment: str) -> None:
        if moment == "sending":
            raise APIConnectionError("the journal is full")

    async with start(sandbox, QuickClock(), observers=[Recorder(at=refuse)]) as client:
        error = await failure_of(submit_clip(client))
    assert error.message == "the journal is full"
    assert (error.sent_at, error.maybe_accepted, len(error.attempts)) == (None, False, 1)
    assert sandbox.ledger.count() == 0


async def test_a_cancellation_when_it_is_sending_ends_the_call_with_nothing_sent(
    sandbox: Sandbox, start: Start
) -> None:
    class Waiting(Recorder):
        async def sending(self, attempt: int) -> None:
            self.note(f"sending {attempt}")
            await anyio.sleep_forever()

    seen = Waiting()
    async with start(sandbox, observers=[seen]) as client:
        await cancel_when(lambda: submit_clip(client), lambda: "sending 1" in seen.moments)
        assert look_at(client).permits == 0
    assert is_cancelled(seen)
    assert sandbox.ledger.count() == 0


async def test_a_deadline_that_passes_when_it_is_sending_says_that_nothing_was_sent(
    sandbox: Sandbox, start: Start
) -> None:
    class Waiting(Recorder):
        async def sending(self, attempt: int) -> None:
            await anyio.sleep_forever()

    async with start(sandbox, observers=[Waiting()], deadline=0.1) as client:
        error = await failure_of(submit_clip(client))
    assert type(error) is APITimeoutError
    assert (error.sent_at, error.maybe_accepted) == (None, False)
    assert sandbox.ledger.count() == 0


async def test_a_view_keeps_the_observers_and_the_hook_hears_besides(sandbox: Sandbox, start: Start) -> None:
    sandbox.faults.add(Fault(MODELS, status=503, times=1))
    seen, events = Recorder(), list[Any]()
    async with start(sandbox, QuickClock(), observers=[seen]) as client:
        await client.with_options(on_retry=events.append, deadline=99).models.list()
    assert [type(event.error) for event in events] == [ServerError]
    assert seen.moments[-1] == "ended"


async def test_who_does_not_want_to_watch_a_call_is_told_nothing_more(sandbox: Sandbox, start: Start) -> None:
    class Idle(Recorder):
        def call_began(self, call: Any) -> Any:
            super().call_began(call)

    seen = Idle()
    async with start(sandbox, observers=[seen]) as client:
        await client.models.list()
        await open_stream(client)
    assert seen.moments == ["began", "began"]
