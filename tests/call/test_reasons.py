"""Why a call was not tried again, in words."""

from __future__ import annotations

import copy
import pickle
from collections.abc import AsyncIterator
from typing import Any

import pytest

from relaydance_async import RelayDanceError, RetryEvent, RetryPolicy
from relaydance_async.sandbox import Fault, Sandbox
from tests.call.support import Start, failure_of
from tests.kit.calls import Call, list_models, open_stream, submit_clip
from tests.kit.clocks import QuickClock
from tests.kit.inside import close_limits
from tests.kit.routes import CHAT, FILES, MODELS, SUBMIT

pytestmark = pytest.mark.anyio


async def upload_once(client: Any) -> Any:
    async def pieces() -> AsyncIterator[bytes]:
        yield b"a piece"

    return await client.files.upload(pieces(), filename="a.bin")


AMBIGUOUS = "it may have been accepted, and would then be paid for twice"
LATE = "the next attempt would begin after 2.0 s, when the deadline of 3 s is over"

REASONS: dict[str, tuple[Fault, Call, dict[str, Any], str]] = {
    "final": (Fault(MODELS, status=400), list_models, {}, "the same request would fail again"),
    "ambiguous": (Fault(SUBMIT, after_accept=True), submit_clip, {}, AMBIGUOUS),
    "read once": (Fault(FILES, status=503), upload_once, {}, "its body can be read only once"),
    "attempts": (Fault(MODELS, status=503), list_models, {"retry": RetryPolicy(2)}, "this was attempt 2 of 2"),
    "too late": (Fault(MODELS, status=503), list_models, {"deadline": 3.0}, LATE),
    "its time": (Fault(MODELS, stall=True), list_models, {"deadline": 0.05}, "its time is over"),
    "begun": (Fault(CHAT, cut_stream_after=2), open_stream, {}, "its answer had begun"),
}


@pytest.mark.parametrize("case", REASONS)
async def test_an_error_says_why_it_was_not_repeated(sandbox: Sandbox, start: Start, case: str) -> None:
    fault, call, options, why = REASONS[case]
    sandbox.faults.add(fault)
    async with start(sandbox, QuickClock(), **options) as client:
        error = await failure_of(call(client))
    assert error.not_retried_because == why
    assert f" Not repeated: {why}." in str(error)


@pytest.mark.parametrize("case", REASONS)
async def test_the_reason_travels_with_the_error(sandbox: Sandbox, start: Start, case: str) -> None:
    fault, call, options, why = REASONS[case]
    sandbox.faults.add(fault)
    async with start(sandbox, QuickClock(), **options) as client:
        error = await failure_of(call(client))
    for other in (pickle.loads(pickle.dumps(error)), copy.copy(error), copy.deepcopy(error)):
        assert isinstance(other, RelayDanceError)
        assert (other.not_retried_because, str(other)) == (why, str(error))
        assert other == error


async def test_a_cool_down_above_the_deadline_is_a_reason_too(sandbox: Sandbox, start: Start) -> None:
    async with start(sandbox, QuickClock(), deadline=5.0) as client:
        close_limits(client, 60.0)
        error = await failure_of(client.models.list())
    why = "its turn would not have come in time"
    assert error.not_retried_because == why
    assert f"Not repeated: {why}." in str(error)
    assert sandbox.ledger.count() == 0


async def test_an_error_that_is_repeated_has_no_reason_not_to_be(sandbox: Sandbox, start: Start) -> None:
    sandbox.faults.add(Fault(MODELS, status=503, times=2))
    events: list[RetryEvent] = []
    async with start(sandbox, QuickClock(), on_retry=events.append) as client:
        await client.models.list()
    assert [event.error.not_retried_because for event in events] == [None, None]
    assert "Not repeated" not in "".join(str(event.error) for event in events)


async def test_the_error_of_an_event_is_not_changed_by_what_comes_later(sandbox: Sandbox, start: Start) -> None:
    sandbox.faults.add(Fault(MODELS, status=503))
    events: list[RetryEvent] = []
    async with start(sandbox, QuickClock(), on_retry=events.append) as client:
        error = await failure_of(client.models.list())
    assert [len(event.error.attempts) for event in events] == [1, 2, 3]
    assert len(error.attempts) == 4
    assert all(event.error is not error for event in events)


async def test_bad_input_needs_no_reason(sandbox: Sandbox, start: Start) -> None:
    async with start(sandbox) as client:
        error = await failure_of(client.chat.completions.create(model="", messages=[]))
    assert error.not_retried_because is None
    assert error.attempts == ()
