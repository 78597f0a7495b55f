"""A job as users write it: rows to clips, each with a key. It is killed, and run again.

    python -m tests.journal.job FOLDER URL KEY HOOKS FIRST LAST

Its journal is in the folder, and so are its clips.
"""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path

from relaydance_async import AsyncRelayDance, RetryPolicy, SqliteJournal, SubmissionInDoubtError, fan_out
from relaydance_async.webhooks import WebhookReceiver

IN_FLIGHT = 40
SECRET = "a secret of thirty-two characters"


async def main(folder: Path, url: str, key: str, hooks: str, first: int, last: int) -> None:
    async with SqliteJournal(folder / "run.db") as journal:
        client = AsyncRelayDance(
            key,
            base_url=url,
            journal=journal,
            max_concurrency=IN_FLIGHT,
            retry=RetryPolicy(base=0.05, cap=0.5, max_attempts=10),
        )
        receiver = WebhookReceiver(client, secret=SECRET)

        async def make_clip(row: int) -> Path:
            task = await client.video.generate(
                model="doubao-seedance-2-0-720p",
                prompt=f"row {row}",
                seconds=5,
                callback_url=receiver.callback_url(hooks, f"row {row}"),
                idempotency_key=f"row-{row}",
            )
            return await client.video.download(task, folder / f"{row}.mp4")

        print("begun", flush=True)
        async with client, fan_out(make_clip, range(first, last), in_flight=2 * IN_FLIGHT) as outcomes:
            async for outcome in outcomes:
                if outcome.error is None:
                    print(f"saved {outcome.item}", flush=True)
                elif isinstance(outcome.error, SubmissionInDoubtError):
                    print(f"doubt {outcome.item}", flush=True)
                else:
                    print(f"error {outcome.item} {type(outcome.error).__name__}: {outcome.error}", flush=True)
        print("end", flush=True)


if __name__ == "__main__":
    place, url, key, hooks, first, last = sys.argv[1:]
    asyncio.run(main(Path(place), url, key, hooks, int(first), int(last)))
