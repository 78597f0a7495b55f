"""The end of the demo: a job is killed amid its work and run again, and each clip is still paid for once."""

from __future__ import annotations

import asyncio
import os
import secrets
import socket
import sys
from collections import Counter
from collections.abc import AsyncGenerator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import anyio

from .. import AsyncRelayDance, SqliteJournal
from .._client import made_with
from ..webhooks import WebhookApp, WebhookReceiver
from ._clip import find_structure_problem
from ._display import Display
from ._job import JOURNAL, SECRET, prompt_of
from ._stage import LATE_SECONDS, Stage

MOST_CLIPS = 40
_SECONDS = 60.0
"""For the job to be begun, and for the deliveries to come."""


@dataclass
class Crash:
    """What has become of the job.

    Attributes:
        clips: that it was to make.
        paid: how often the gateway has accepted each row.
        saved: rows whose clips are whole.
        doubts: rows that nobody can decide: they are not sent again.
    """

    clips: int
    paid: Counter[int] = field(default_factory=Counter[int])
    saved: set[int] = field(default_factory=set[int])
    doubts: set[int] = field(default_factory=set[int])


async def kill_and_resume(display: Display, stage: Stage, clips: int, folder: Path) -> Crash:
    """Kill the job when half of its clips are paid for, and run it again.

    Args:
        display: for what is shown.
        stage: which the job meets.
        clips: to make.
        folder: of the job, and empty.
    """
    crash, key = Crash(clips), secrets.token_hex(16)
    stage.answer_late()
    client = made_with(AsyncRelayDance, clock=stage.clock)(stage.sandbox.api_key, base_url=stage.proxy.base_url)
    async with client, SqliteJournal(folder / JOURNAL) as journal:
        receiver = WebhookReceiver(client, secret=key, journal=journal)
        async with _served(WebhookApp(receiver)) as hooks:

            async def is_half_paid() -> bool:
                return 2 * len(_paid(stage, clips)) >= clips

            async def is_decided() -> bool:
                return not await _doubts(journal) & set(_paid(stage, clips))

            async with _started(stage, clips, folder, hooks, key):
                await _until(is_half_paid)
                await anyio.sleep(LATE_SECONDS / 4)  # for what is half sent
            doubts = await _doubts(journal)
            display.line("")
            display.line(f"Killed      a job of {clips} clips, {len(_paid(stage, clips))} of them paid for")
            display.line(f"In doubt    {len(doubts)}, which were on the wire")
            await _until(is_decided)
            crash.doubts = await _doubts(journal)
            display.line(f"Webhooks    decided {len(doubts - crash.doubts)} of them")
            async with _started(stage, clips, folder, hooks, key) as job:
                await job.wait()
    crash.paid = _paid(stage, clips)
    crash.saved = {row for row in range(clips) if _is_whole(folder / f"row-{row}.mp4")}
    display.line(f"Resumed     {len(crash.saved)} clips are saved{_says(crash.doubts)}")
    return crash


def find_crash_faults(crash: Crash) -> Iterator[str]:
    """What is wrong with the job that was killed."""
    if twice := [row for row, number in crash.paid.items() if number > 1]:
        yield f"rows {sorted(twice)} of the killed job were paid for twice"
    if lost := set(range(crash.clips)) - crash.saved - crash.doubts:
        yield f"rows {sorted(lost)} of the killed job were lost"
    if open_ := crash.doubts & set(crash.paid):
        yield f"rows {sorted(open_)} of the killed job were paid for, and are in doubt"


def _says(doubts: set[int]) -> str:
    return f", {len(doubts)} stay in doubt and are not sent again: nobody has accepted them" if doubts else ""


@asynccontextmanager
async def _started(
    stage: Stage, clips: int, folder: Path, hooks: str, key: str
) -> AsyncGenerator[asyncio.subprocess.Process]:
    """The job, which is killed at the end of the block, unless it has ended by itself."""
    environ = {"RELAYDANCE_API_KEY": stage.sandbox.api_key, "RELAYDANCE_BASE_URL": stage.proxy.base_url, SECRET: key}
    job = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", f"{__package__}._job", str(folder), str(clips), str(stage.speed), hooks),
        env={**os.environ, **environ},
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.DEVNULL,
    )
    try:
        yield job
    finally:
        if job.returncode is None:
            job.kill()
        with anyio.CancelScope(shield=True):
            await job.wait()


@asynccontextmanager
async def _served(app: Any) -> AsyncGenerator[str]:
    """The URL of the app, which is served by what serves the sandbox."""
    from ..sandbox._connections import Connections
    from ..sandbox._server import serve

    async def nothing() -> None:
        pass

    with socket.create_server(("127.0.0.1", 0)) as listener:
        async with serve([(app, listener)], Connections(), nothing, keep_alive=5):
            yield f"http://127.0.0.1:{listener.getsockname()[1]}/"


def _paid(stage: Stage, clips: int) -> Counter[int]:
    return Counter({row: stage.accepted[prompt_of(row)] for row in range(clips) if stage.accepted[prompt_of(row)]})


async def _doubts(journal: SqliteJournal) -> set[int]:
    return {int(entry.key.removeprefix("row-")) async for entry in journal.entries(state="in doubt")}


async def _until(is_true: Callable[[], Awaitable[bool]]) -> None:
    with anyio.move_on_after(_SECONDS):
        while not await is_true():  # noqa: ASYNC110  (what other processes do is told by no event)
            await anyio.sleep(0.005)


def _is_whole(clip: Path) -> bool:
    return clip.exists() and find_structure_problem(clip) is None
