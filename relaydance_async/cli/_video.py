"""`relaydance video`: clips."""

from __future__ import annotations

import asyncio
import shlex
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from cyclopts import App

from .. import AsyncRelayDance, VideoTask
from .._config import origin_of
from .._sansio.pricing import cost_of_clip
from ..errors import NotFoundError, RelayDanceError
from ._account import PATIENCE, Count
from ._clip_options import Clip, Positive
from ._exits import DONE, CannotBeginError, code_of, say, sentence_of
from ._files import Out, check_out, place_of
from ._journal import Once, Paid, open_journal, time_of
from ._play import play
from ._progress import showing
from ._session import Here, ModelId

ROUTE = "/video/generations"


video = App(name="video", help="Make clips, wait for them, save them.")
_CLIP, _ONCE = Clip(), Once()


@video.command
def generate(
    prompt: str,
    /,
    *,
    clip: Clip = _CLIP,
    out: Out = None,
    overwrite: bool = False,
    deadline: Positive | None = None,
    once: Once = _ONCE,
    session: Here,
) -> int:
    """Make a clip: submit it, wait for it, save it. Typed again after Ctrl-C, it goes on with the same clip.

    Args:
        prompt: what to show. References are cited as @image1, @image2, …
        out: the file (default: the task's id, in this directory).
        overwrite: replace that file.
        deadline: seconds to wait; the clip goes on.
    """
    model = session.model("video", clip.model)
    clip.check()
    typed = {"model": model, "prompt": prompt, "out": place_of(out), **clip.typed()}
    paid = Paid(session, once, ROUTE, typed)

    async def work(client: AsyncRelayDance) -> VideoTask:
        found = await paid.find(client)
        check_out(out, overwrite=overwrite or (found is not None and found.saved_to is not None))
        async with showing(client, f"a clip of {model}") as progress:
            if (task_id := paid.task_of(found)) is not None:
                task = await client.video.wait(task_id, deadline=deadline, on_update=progress.saw)
            else:
                task = await client.video.generate(
                    model=model,
                    prompt=prompt,
                    deadline=deadline,
                    on_submit=_tell_accepted,
                    on_update=progress.saw,
                    **await clip.arguments(client, paid),
                )
            progress.state = "saving"
            path = await client.video.download(task, out or Path(), overwrite=overwrite)
        session.output.one(record_of(task, file=path))
        return task

    play(session, work, journal=paid.journal, at_interrupt=paid.tell)
    return DONE


def _tell_accepted(task_id: str) -> None:
    say(f"accepted: relaydance video wait {task_id} goes on with it, whatever happens")


@video.command
def submit(prompt: str, /, *, clip: Clip = _CLIP, once: Once = _ONCE, session: Here) -> int:
    """Submit a clip, and don't wait for it.

    Args:
        prompt: what to show. References are cited as @image1, @image2, …
    """
    model = session.model("video", clip.model)
    clip.check()
    paid = Paid(session, once, ROUTE, {"model": model, "prompt": prompt, "submit": True, **clip.typed()})

    async def work(client: AsyncRelayDance) -> None:
        if (task_id := paid.task_of(await paid.find(client))) is not None:
            task = await client.video.retrieve(task_id)
        else:
            arguments = await clip.arguments(client, paid)
            task = await client.video.submit(model=model, prompt=prompt, **arguments)
        try:
            session.output.one(record_of(task))
        except BrokenPipeError:
            _tell_accepted(task.task_id)
            raise

    play(session, work, journal=paid.journal, at_interrupt=paid.tell)
    return DONE


@video.command
def wait(*tasks: str, out: Out = None, deadline: Positive | None = None, session: Here) -> int:
    """Wait for clips, also those that another machine has submitted. Ctrl-C leaves them as they are.

    Args:
        tasks: their ids.
        out: save it in this file, or all in this directory.
        deadline: seconds to wait for each; they go on.
    """

    async def finish(client: AsyncRelayDance, task_id: str) -> dict[str, Any]:
        async with showing(client, task_id) as progress:
            task = await client.video.wait(task_id, deadline=deadline, on_update=progress.saw)
            path = None if out is None else await client.video.download(task, out, overwrite=False)
        return record_of(task, file=path)

    return _each(session, tasks, finish, again=f"relaydance video wait{_option(out)}")


@video.command
def download(*tasks: str, out: Out = None, overwrite: bool = False, session: Here) -> int:
    """Save finished clips.

    Args:
        tasks: their ids.
        out: the file, or the directory (default: this one).
        overwrite: replace files.
    """

    async def save(client: AsyncRelayDance, task_id: str) -> dict[str, Any]:
        async with showing(client, f"saving {task_id}"):
            path = await client.video.download(task_id, out or Path(), overwrite=overwrite)
        return {"task_id": task_id, "file": path, "bytes": path.stat().st_size}

    again = f"relaydance video download{_option(out)}{' --overwrite' if overwrite else ''}"
    return _each(session, tasks, save, again=again)


def _option(out: Path | None) -> str:
    return "" if out is None else f" --out {shlex.quote(str(out))}"


def _each(session: Here, tasks: Sequence[str], work: Callable[[AsyncRelayDance, str], Any], *, again: str) -> int:
    """One after the other: they are made at the same time all the same. The worst that happened is the exit status.

    Args:
        again: what goes on after an interruption, but for the tasks.
    """
    if not tasks:
        raise CannotBeginError("which? Give the ids of tasks; `relaydance video list` shows those of this machine")

    left = list(tasks)

    async def all_of_them(client: AsyncRelayDance) -> int:
        codes: list[int] = []
        with session.output.several() as show:
            for task_id in tasks:
                try:
                    show(await work(client, task_id))
                except RelayDanceError as error:
                    if len(tasks) == 1:
                        raise
                    say(f"{task_id}: {sentence_of(error)}")
                    codes.append(code_of(error))
                left.remove(task_id)
        return max(codes, default=DONE)

    async def tell() -> None:
        say(f"nothing is lost: {again} {shlex.join(left)} goes on")

    return play(session, all_of_them, journal=open_journal(session), at_interrupt=tell)


@video.command(name="list")
def list_(*, journal: Path | None = None, limit: Count = 20, session: Here) -> int:
    """Show the clips that were submitted from here. The gateway has no list: the journal of this machine has.

    Args:
        journal: the file that remembers.
        limit: the newest so many.
    """
    book = open_journal(session, journal)
    if book is None:
        raise CannotBeginError("there is no journal: the profile says so")

    async def read() -> list[Any]:
        async with book:
            entries = [entry async for entry in book.entries(origin=origin_of(session.base_url))]
        return sorted((e for e in entries if e.route == ROUTE), key=lambda e: e.sent_at, reverse=True)[:limit]

    session.output.many(
        (
            {
                "task_id": entry.task_id,
                "state": (entry.task_status or "accepted") if entry.state == "accepted" else entry.state,
                "model": entry.model,
                "sent_at": time_of(entry),
                "file": entry.saved_to and Path(entry.saved_to),
            }
            for entry in asyncio.run(read())
        ),
        none="no clip was submitted from here",
    )
    return DONE


@video.command
def cost(*, model: ModelId = None, seconds: Positive | None = None, clips: Count = 1, session: Here) -> int:
    """Show what clips cost, by the gateway's price list. Nothing is made.

    Args:
        model: the id of the model (default: that of the profile).
        seconds: that a clip is long. The list doesn't tell whether the gateway bills clips or seconds.
        clips: how many.
    """
    wanted = session.model("video", model)

    async def work(client: AsyncRelayDance) -> None:
        price = (await client.account.prices()).price_of(wanted)
        if price is None or price.per_call is None:
            raise NotFoundError(f"the gateway's list has no price of a clip of {wanted}")
        each = cost_of_clip(price, seconds)
        record = {"model": wanted, "clips": clips, "usd": _times(clips, each.usd)}
        session.output.one({**record, "usd_if_billed_by_seconds": _times(clips, each.usd_by_second)})

    play(session, work, deadline=PATIENCE)
    return DONE


def _times(count: int, usd: float | None) -> float | None:
    return None if usd is None else round(count * usd, 6)


def record_of(task: VideoTask, *, file: Path | None = None) -> dict[str, Any]:
    """What is shown of a task."""
    progress = None if task.is_terminal else task.progress
    record: dict[str, Any] = {"task_id": task.task_id, "status": task.status, "model": task.model, "progress": progress}
    record |= {"url": None if file else task.url, "file": file}
    return {name: value for name, value in record.items() if value is not None}
