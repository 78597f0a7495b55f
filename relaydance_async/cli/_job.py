"""The program that the demo kills amid its work, and runs again: rows to clips, each with a key.

    python -m relaydance_async.cli._job FOLDER CLIPS SPEED HOOKS

Its journal and its clips are in the folder. The key of the API and the secret of its webhooks are in the environment.
"""

from __future__ import annotations

import asyncio
import os
import sys
from pathlib import Path

from .. import AsyncRelayDance, RetryPolicy, SqliteJournal, fan_out
from .._client import made_with
from ..webhooks import WebhookReceiver
from ._stage import clock_of

MODEL = "grok-imagine-video"
JOURNAL = "run.db"
SECRET = "RELAYDANCE_DEMO_SECRET"
"""The variable of the environment."""


def prompt_of(row: int) -> str:
    return f"Row {row} of the night's run"


async def run(folder: Path, clips: int, speed: float, hooks: str) -> None:
    """Make the clips that are not there yet; a line for each row that has ended."""
    async with SqliteJournal(folder / JOURNAL) as journal:
        client = made_with(AsyncRelayDance, clock=clock_of(speed))(journal=journal, retry=RetryPolicy(max_attempts=10))
        urls = WebhookReceiver(client, secret=os.environ[SECRET])

        async def make_clip(row: int) -> Path:
            task = await client.video.generate(
                model=MODEL,
                prompt=prompt_of(row),
                seconds=5,
                callback_url=urls.callback_url(hooks, f"row-{row}"),
                idempotency_key=f"row-{row}",
            )
            return await client.video.download(task, folder / f"row-{row}.mp4")

        async with client, fan_out(make_clip, range(clips)) as outcomes:
            async for outcome in outcomes:
                print(outcome.item, "saved" if outcome.error is None else type(outcome.error).__name__, flush=True)


if __name__ == "__main__":
    place, number, factor, url = sys.argv[1:]
    asyncio.run(run(Path(place), int(number), float(factor), url))
