"""What the logger tells of a call: each entry is one line."""

from __future__ import annotations

import logging

import pytest

from relaydance_async import InvalidInputError, RetryPolicy
from relaydance_async._sansio.redact import one_line
from relaydance_async.sandbox import Fault, Sandbox
from tests.call.support import Start, failure_of
from tests.kit.calls import HELLO
from tests.kit.clocks import QuickClock
from tests.kit.routes import CHAT, MODELS, SUBMIT

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


def told(caplog: pytest.LogCaptureFixture, about: str) -> list[tuple[str, str]]:
    """Level and text of each entry that holds these words."""
    entries = [(entry.levelname, entry.getMessage()) for entry in caplog.records]
    assert all(text.isprintable() for _, text in entries)
    return [(level, text) for level, text in entries if about in text]


async def test_an_attempt_that_succeeds_is_told_at_debug(
    sandbox: Sandbox, start: Start, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG, "relaydance_async")
    sandbox.faults.add(Fault(MODELS, status=503, times=1))
    async with start(sandbox, QuickClock()) as client:
        await client.models.list()
    first, second = told(caplog, "GET /models")
    assert first[1].startswith("GET /models: attempt 1: ServerError: again in ")
    request_id = sandbox.ledger.entries[1].request_id
    assert second == ("DEBUG", f"GET /models: attempt 2: status 200, request id {request_id}")


async def test_the_meta_of_an_answer_is_not_built_for_a_log_that_is_off(
    sandbox: Sandbox, start: Start, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    caplog.set_level(logging.INFO, "relaydance_async")
    monkeypatch.setattr("relaydance_async._call.facts.Facts.__call__", None)  # whoever calls it fails
    async with start(sandbox) as client:
        await client.models.list()


async def test_a_stream_that_breaks_is_told_once_at_info(
    sandbox: Sandbox, start: Start, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, "relaydance_async")
    sandbox.faults.add(Fault(CHAT, truncate_stream_after=2))
    async with start(sandbox) as client:
        stream = await client.chat.completions.create(model="grok-4.3", messages=HELLO, stream=True)
        error = await failure_of(stream.get_final_completion())
        assert str(await failure_of(stream.get_final_completion())) == str(error)
    assert told(caplog, "failed") == [
        (
            "INFO",
            "POST /chat/completions: failed: IncompleteStreamError, status 200, code None, "
            f"request id {error.request_id}, attempts 1",
        )
    ]


async def test_an_error_of_the_reader_is_no_end_of_its_stream(
    sandbox: Sandbox, start: Start, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, "relaydance_async")
    async with start(sandbox) as client:
        with pytest.raises(InvalidInputError):
            async with await client.chat.completions.create(model="grok-4.3", messages=HELLO, stream=True):
                raise InvalidInputError("of something else")
    assert told(caplog, "failed") == []


async def test_refusals_that_follow_the_one_that_is_warned_of_are_told_at_info(
    sandbox: Sandbox, start: Start, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, "relaydance_async")
    sandbox.faults.add(Fault(MODELS, status=429, headers={"retry-after": "70"}, times=3))
    async with start(sandbox, QuickClock()) as client:
        await client.models.list()
    first, *others = told(caplog, "a call got a 429")
    assert first[0] == "WARNING"
    assert others == [("INFO", "GET /models: a call got a 429")] * 2


async def test_an_overload_is_told_at_info(sandbox: Sandbox, start: Start, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, "relaydance_async")
    sandbox.faults.add(Fault(MODELS, status=503, code="system_cpu_overloaded", times=2))
    async with start(sandbox, QuickClock(), max_concurrency=2) as client:
        await client.models.list()
    # The second can't lower it any more.
    assert told(caplog, "overload") == [("INFO", "the gateway is overloaded: at most 1 calls at once from now on")]


async def test_neither_prompts_nor_answers_are_logged(
    sandbox: Sandbox, start: Start, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    sandbox.chat.reply("SECRET-ANSWER")
    sandbox.faults.add(Fault(SUBMIT, status=400, message="SECRET-PROMPT is refused"))
    async with start(sandbox) as client:
        chat = await client.chat.completions.create(
            model="grok-4.3", messages=[{"role": "user", "content": "SECRET-PROMPT"}]
        )
        assert chat.choices[0].message.content == "SECRET-ANSWER"
        error = await failure_of(client.video.submit(model="happyhorse-1.0-t2v", prompt="SECRET-PROMPT"))
    assert "SECRET-PROMPT" in error.message
    assert told(caplog, "POST /video/generations")
    assert "SECRET" not in caplog.text


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
