"""What the logger tells of a call: each entry is one line."""

from __future__ import annotations

import logging

import pytest

from relaydance_async import RetryPolicy
from relaydance_async._sansio.redact import one_line
from relaydance_async.sandbox import Fault, Sandbox
from tests.call.support import Start, failure_of
from tests.kit.clocks import QuickClock
from tests.kit.routes import MODELS

pytestmark = pytest.mark.anyio


async def test_each_attempt_is_told_at_debug_and_the_end_of_a_failed_call_at_info(
    sandbox: Sandbox, start: Start, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG, "relaydance_async")
    body = b'{"error": {"message": "no", "code": "a\\nERROR\\u2028forged"}}'
    sandbox.faults.add(Fault(MODELS, status=503, body=body))
    async with start(sandbox, QuickClock(), retry=RetryPolicy(max_attempts=2)) as client:
        error = await failure_of(client.models.list())
    entries = [(entry.levelname, entry.getMessage()) for entry in caplog.records if "GET" in entry.getMessage()]
    assert [level for level, _ in entries] == ["DEBUG", "DEBUG", "INFO"]
    assert entries[0][1].startswith("GET /models: attempt 1: ServerError: again in ")
    assert entries[1][1] == "GET /models: attempt 2: ServerError: this was attempt 2 of 2"
    assert entries[2][1] == (
        f"GET /models: failed: ServerError, status 503, code a\\nERROR\\u2028forged, request id {error.request_id}, "
        "attempts 2"
    )


async def test_a_call_that_succeeds_says_nothing_at_info(
    sandbox: Sandbox, start: Start, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, "relaydance_async")
    async with start(sandbox) as client:
        await client.models.list()
    assert [entry for entry in caplog.records if entry.name == "relaydance_async"] == []


def test_line_breaks_of_others_are_escaped() -> None:
    assert one_line("a\r\nb\x1b\u2028") == "a\\r\\nb\\x1b\\u2028"
    assert one_line("plain text é") == "plain text é"
