"""A signed URL, or a token in a query, is sent and shown nowhere."""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Iterator
from pathlib import Path
from traceback import TracebackException
from typing import Any

import pytest

from relaydance_async import DownloadError, RelayDanceError, RetryEvent, RetryPolicy, Timeout, VideoTask
from relaydance_async._sansio.target import ForeignTarget
from relaydance_async.sandbox import Fault, Sandbox
from tests.call.support import Recorder, Start, closed_port, failure_of
from tests.kit.calls import HELLO
from tests.kit.clocks import QuickClock
from tests.kit.routes import CHAT, CLIPS
from tests.resources.result_host import Host, task_of, whole
from tests.transports.support import as_json, serve

pytestmark = pytest.mark.anyio


@pytest.fixture
def unsigned() -> Iterator[Sandbox]:
    """One that takes any query for a signature."""
    with Sandbox(result_seconds=None) as running:
        yield running


SIGNED = "?X-Amz-Date=20260807&X-Amz-Signature=SECRET"


def told(error: RelayDanceError, events: list[RetryEvent], seen: Recorder, log: pytest.LogCaptureFixture) -> str:
    """All that is told of a call that failed."""
    frames = "".join(TracebackException.from_exception(error, capture_locals=True).format())
    ours = "\n".join(record.getMessage() for record in log.records if not record.name.startswith("uvicorn"))
    facts = [error, repr(error), error.path, error.support_details(), vars(error), events, seen.calls, seen.errors]
    return "\n".join([frames, ours, *map(str, facts), *(f"{event.path} {event.error}" for event in events)])


@pytest.mark.parametrize("case", ["an error", "a stall", "a page", "a cut", "a closed port"])
async def test_the_signature_of_a_clip_that_fails_to_come_is_shown_nowhere(
    unsigned: Sandbox, start: Start, tmp_path: Path, case: str, caplog: pytest.LogCaptureFixture
) -> None:
    sandbox = unsigned
    faults = {
        "an error": Fault(CLIPS, status=503),
        "a stall": Fault(CLIPS, stall=True),
        "a page": Fault(CLIPS, body="html"),
        "a cut": Fault(CLIPS, cut_body_after=10),
    }
    host = f"http://127.0.0.1:{closed_port()}" if case == "a closed port" else sandbox.cdn_url
    if case in faults:
        sandbox.faults.add(faults[case])
    events, seen = list[RetryEvent](), Recorder()
    options: dict[str, Any] = {"on_retry": events.append, "observers": [seen]}
    caplog.set_level(logging.DEBUG)
    async with start(
        sandbox, QuickClock(), retry=RetryPolicy(max_attempts=2), timeout=Timeout(read=0.05), **options
    ) as client:
        submitted = await client.video.submit(model="doubao-seedance-2-0-720p", prompt="a cat")
        sandbox.clock.advance(3600)
        task = task_of(f"{host}/clips/{submitted.task_id}.mp4{SIGNED}")
        seen.calls.clear()
        error = await failure_of(client.video.download(task, tmp_path / "a.mp4"))
    assert isinstance(error, DownloadError)
    assert error.path == f"{host}/clips/{submitted.task_id}.mp4"
    assert [call.path for call in seen.calls] == [error.path]
    assert len(events) == {"a page": 0, "a closed port": 21}.get(case, 1)
    assert "SECRET" not in told(error, events, seen, caplog)
    assert "gateway" not in f"{error} {events}"


async def test_the_signature_arrives_at_the_host(sandbox: Sandbox, start: Start, tmp_path: Path) -> None:
    host = Host(whole(b"clip", "content-type: video/mp4"))
    async with host.running() as task, start(sandbox) as client:
        signed = task.model_copy(update={"url": f"{task.url}{SIGNED}"})
        await client.video.download(signed, tmp_path / "a.mp4")
    assert host.heads[0].startswith(f"get /a.mp4{SIGNED.lower()} http/1.1")
    assert "authorization" not in host.heads[0]


async def test_a_host_without_a_connection_is_named(sandbox: Sandbox, start: Start, tmp_path: Path) -> None:
    task = task_of(f"http://127.0.0.1:{closed_port()}/a.mp4{SIGNED}")
    async with start(sandbox, QuickClock()) as client:
        error = await failure_of(client.video.download(task, tmp_path / "a.mp4"))
    assert error.message.startswith("no connection to 127.0.0.1: ")


async def test_a_token_in_the_query_of_a_call_is_sent_and_shown_nowhere(
    sandbox: Sandbox, start: Start, caplog: pytest.LogCaptureFixture
) -> None:
    sandbox.faults.add(Fault(CHAT, status=503))
    events, seen = list[RetryEvent](), Recorder()
    caplog.set_level(logging.DEBUG)
    token = "q-" + "secret"  # not in the text of this file as it is in a traceback
    async with start(sandbox, QuickClock(), on_retry=events.append, observers=[seen]) as client:
        error = await failure_of(ask_with(client, token))
    assert len(events) == 3
    assert token not in told(error, events, seen, caplog)
    async with serve(as_json(b"{}")) as server, start(sandbox, QuickClock(), base_url=f"{server.url}/v1") as client:
        await failure_of(ask_with(client, token))
    assert server.heads[0].target == f"/v1/chat/completions?token={token}"


def ask_with(client: Any, token: str) -> Awaitable[Any]:
    made: Awaitable[Any] = client.chat.completions.create(
        model="grok-4.3", messages=HELLO, extra_query={"token": token}
    )
    return made


def test_no_repr_shows_a_signature() -> None:
    task = task_of(f"https://cdn.example/a.mp4{SIGNED}")
    assert "SECRET" not in f"{task!r} {task} {ForeignTarget(task.url or '')!r}"
    assert "https://cdn.example/a.mp4" in repr(task)
    assert VideoTask.model_validate_json(task.model_dump_json()).url == task.url
