"""Later states of video tasks: what has ended is neither waited for nor downloaded again."""

from __future__ import annotations

import logging
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

import anyio
import pytest

from relaydance_async import AsyncRelayDance, DownloadError, JournalError, SqliteJournal, TaskFailedError, VideoTask
from relaydance_async._config import Clock
from relaydance_async.resources._task_notes import FRESH_SECONDS
from relaydance_async.sandbox import Sandbox, TaskPlan, TaskScript
from tests.journal.conftest import OpenJournal
from tests.journal.support import CLIP, keyed
from tests.kit.clocks import QuickClock
from tests.kit.routes import CLIPS, FETCH, SUBMIT

pytestmark = pytest.mark.anyio


def filming(sandbox: Sandbox, journal: SqliteJournal | None, clock: QuickClock | None = None) -> AsyncRelayDance:
    """A client whose waits move the sandbox's clock."""
    return keyed(sandbox, journal, clock or QuickClock(sandbox.clock.advance, jitter=None))


async def test_a_finished_run_asks_for_nothing(sandbox: Sandbox, open_journal: OpenJournal, tmp_path: Path) -> None:
    async def run(client: AsyncRelayDance) -> list[Path]:
        saved: list[Path] = []
        for number in range(3):
            task = await client.video.generate(**CLIP, idempotency_key=f"row-{number}")
            saved.append(await client.video.download(task, tmp_path / f"{number}.mp4"))
        return saved

    async with open_journal() as journal, filming(sandbox, journal) as client:
        first = await run(client)
    counts = sandbox.ledger.count(), len(sandbox.ledger.cdn_entries)
    whole = [path.read_bytes() for path in first]
    async with filming(sandbox, open_journal()) as client:
        assert await run(client) == first
    assert (sandbox.ledger.count(), len(sandbox.ledger.cdn_entries)) == counts
    assert [path.read_bytes() for path in first] == whole


async def test_a_wait_for_what_has_ended_tells_its_end_once(sandbox: Sandbox, journal: SqliteJournal) -> None:
    async with filming(sandbox, journal) as client:
        task = await client.video.submit(**CLIP, idempotency_key="row-1")
        ended = await client.video.wait(task)
        count = sandbox.ledger.count(FETCH)
        seen: list[VideoTask] = []
        again = await client.video.wait(task.task_id, on_update=seen.append)
        assert (again, seen, again.meta.replayed) == (ended, [ended], True)
        replayed = await client.video.submit(**CLIP, idempotency_key="row-1")
        assert (replayed, replayed.status, replayed.meta.replayed) == (ended, "succeeded", True)
    assert sandbox.ledger.count(FETCH) == count


async def test_a_task_that_failed_fails_again_without_a_request(journal: SqliteJournal) -> None:
    with Sandbox(time_scale=0, tasks=TaskPlan(TaskScript(outcome="failed", code="InternalServiceError"))) as sandbox:
        async with filming(sandbox, journal) as client:
            task = await client.video.submit(**CLIP, idempotency_key="row-1")
            with pytest.raises(TaskFailedError):
                await client.video.wait(task)
            count = sandbox.ledger.count(FETCH)
            with pytest.raises(TaskFailedError) as caught:
                await client.video.wait(task)
            assert caught.value.code == "InternalServiceError"
            assert sandbox.ledger.count(FETCH) == count


async def test_a_task_without_a_key_is_none_of_the_journals_business(sandbox: Sandbox, journal: SqliteJournal) -> None:
    async with filming(sandbox, journal) as client:
        task = await client.video.wait(await client.video.submit(**CLIP))
        count = sandbox.ledger.count(FETCH)
        assert not (await client.video.wait(task)).meta.replayed
        assert sandbox.ledger.count(FETCH) == count + 1
    assert [entry async for entry in journal.entries()] == []


def later(clock: Clock, seconds: float) -> Clock:
    return Clock(clock.monotonic, clock.sleep, clock.random, lambda: clock.now() + timedelta(seconds=seconds))


@pytest.mark.parametrize("call", ["wait", "submit", "generate"])
async def test_a_url_that_may_have_expired_is_renewed(call: str, sandbox: Sandbox, journal: SqliteJournal) -> None:
    clock = QuickClock(sandbox.clock.advance, jitter=None)
    async with filming(sandbox, journal, clock) as client:
        first = await client.video.generate(**CLIP, idempotency_key="row-1")
    sandbox.clock.advance(1900)
    count = sandbox.ledger.count(FETCH)
    async with keyed(sandbox, journal, clock=later(clock.clock, 1900)) as client:
        methods: dict[str, Callable[[], Any]] = {
            "wait": lambda: client.video.wait(first.task_id),
            "submit": lambda: client.video.submit(**CLIP, idempotency_key="row-1"),
            "generate": lambda: client.video.generate(**CLIP, idempotency_key="row-1"),
        }
        task = await methods[call]()
        assert task.task_id == first.task_id
        assert task.url != first.url
        assert await client.video.content(task)
        assert sandbox.ledger.count(FETCH) == count + 1
        await methods[call]()  # it is fresh now
        assert sandbox.ledger.count(FETCH) == count + 1
    assert sandbox.ledger.count(SUBMIT) == 1


async def test_a_url_that_cannot_be_renewed_is_given_as_it_was(
    sandbox: Sandbox, journal: SqliteJournal, caplog: Any
) -> None:
    clock = QuickClock(sandbox.clock.advance, jitter=None)
    async with filming(sandbox, journal, clock) as client:
        first = await client.video.generate(**CLIP, idempotency_key="row-1")
    sandbox.reset()  # the gateway has forgotten the task
    async with keyed(sandbox, journal, clock=later(clock.clock, FRESH_SECONDS + 1)) as client:
        assert await client.video.submit(**CLIP, idempotency_key="row-1") == first
    assert f"the URL of task {first.task_id} could not be renewed" in caplog.text


async def test_the_url_of_a_clip_that_was_saved_is_not_renewed(
    sandbox: Sandbox, journal: SqliteJournal, tmp_path: Path
) -> None:
    clock = QuickClock(sandbox.clock.advance, jitter=None)
    async with filming(sandbox, journal, clock) as client:
        task = await client.video.generate(**CLIP, idempotency_key="row-1")
        await client.video.download(task, tmp_path / "1.mp4")
    count = sandbox.ledger.count()
    async with keyed(sandbox, journal, clock=later(clock.clock, 90_000)) as client:
        task = await client.video.generate(**CLIP, idempotency_key="row-1")
        assert await client.video.download(task, tmp_path / "1.mp4") == tmp_path / "1.mp4"
    assert sandbox.ledger.count() == count


async def test_a_saved_clip_that_is_gone_or_another_is_downloaded_again(
    sandbox: Sandbox, journal: SqliteJournal, tmp_path: Path
) -> None:
    async with filming(sandbox, journal) as client:
        task = await client.video.generate(**CLIP, idempotency_key="row-1")
        path = await client.video.download(task, tmp_path / "1.mp4")
        whole = path.read_bytes()
        assert len(sandbox.ledger.cdn_entries) == 1
        assert await client.video.download(task, path, overwrite=False) == path  # it is this clip
        assert len(sandbox.ledger.cdn_entries) == 1
        for damage in path.unlink, lambda: path.write_bytes(b"half"):
            damage()
            await client.video.download(task, path)
            assert path.read_bytes() == whole
        assert len(sandbox.ledger.cdn_entries) == 3
        await client.video.download(task, tmp_path / "2.mp4")  # another place
        assert len(sandbox.ledger.cdn_entries) == 4
        (tmp_path / "3.mp4").write_bytes(b"mine")
        with pytest.raises(DownloadError, match="a file is there already"):
            await client.video.download(task, tmp_path / "3.mp4", overwrite=False)


async def test_a_directory_takes_the_clip_once(sandbox: Sandbox, journal: SqliteJournal, tmp_path: Path) -> None:
    async with filming(sandbox, journal) as client:
        task = await client.video.generate(**CLIP, idempotency_key="row-1")
        first = await client.video.download(task, tmp_path)
        assert await client.video.download(task.task_id, tmp_path) == first
    assert len([one for one in sandbox.ledger.cdn_entries if one.route == CLIPS]) == 1


async def test_a_journal_that_cannot_be_read_costs_no_wait_and_no_download(
    sandbox: Sandbox, journal: SqliteJournal, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    async with filming(sandbox, journal) as client:
        task = await client.video.submit(**CLIP, idempotency_key="row-1")
        await journal.aclose()
        task = await client.video.wait(task)
        assert (await client.video.download(task, tmp_path / "1.mp4")).exists()
        with pytest.raises(JournalError):
            await client.video.submit(**CLIP, idempotency_key="row-2")
    assert caplog.text.count("the journal has been closed") >= 2
    assert {record.levelno for record in caplog.records} >= {logging.WARNING}


async def test_a_hook_that_takes_long_keeps_no_end_from_being_noted(sandbox: Sandbox, journal: SqliteJournal) -> None:
    async with filming(sandbox, journal) as client:
        task = await client.video.submit(**CLIP, idempotency_key="row-1")

        async def stuck(seen: VideoTask) -> None:
            if seen.is_terminal:
                entry = await journal.find_task(sandbox.root_url, task.task_id)
                assert entry is not None
                ends.append(entry.task_status)
                await anyio.sleep_forever()

        ends: list[str | None] = []
        with anyio.move_on_after(0.5):
            await client.video.wait(task, on_update=stuck)
    assert ends == ["succeeded"]
