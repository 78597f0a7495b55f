"""`relaydance demo`: the whole client at work."""

from __future__ import annotations

import asyncio
import sys
import tempfile
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path

import anyio
import anyio.to_thread

from .. import AsyncRelayDance, RelayDanceError, RetryPolicy, TaskFailedError, VideoTask
from .._client import made_with
from ._clip import find_ffprobe, find_playback_problem, find_structure_problem
from ._crash import MOST_CLIPS, find_crash_faults, kill_and_resume
from ._display import Display, Progress, open_display
from ._exits import CannotBeginError
from ._picture import build_picture
from ._session import Session
from ._stage import Stage
from ._tally import Tally
from ._verdict import find_faults, find_ledger_faults, find_reason_faults, show_ledger, show_summary

CHAT_MODEL = "grok-4.3"
IMAGE_MODEL = "grok-imagine-image"
VIDEO_MODEL = "doubao-seedance-2-0-fast-260128"
QUESTION = "In one sentence: why is the sea salty?"

SANDBOX_CLIPS, LIVE_CLIPS = 200, 2
SANDBOX_DEADLINE, LIVE_DEADLINE = 60.0, 1800.0
# More attempts than the default: one clip can meet the outage, the rate limit and several faults.
RETRY = RetryPolicy(max_attempts=10)
SPEED = 1.0
"""How much faster than real time the sandbox and the client's waits pass; tests raise it."""

MOST_PROBED = 20
"""Clips that ffprobe reads too: it takes a tenth of a second of CPU each. The boxes of every clip are checked."""


def run_demo(
    clips: int | None, seed: int, output: str | None, *, live: bool, yes: bool, session: Session | None = None
) -> int:
    """Run it; the exit status."""
    display = open_display()
    if live:
        return _run_live(display, clips or LIVE_CLIPS, seed, output, yes=yes, session=session or Session())
    with Stage(_build_prompts(clips or SANDBOX_CLIPS, seed), seed, speed=SPEED) as stage:
        return asyncio.run(_play(display, stage, clips or SANDBOX_CLIPS, seed, output))


def _build_prompts(clips: int, seed: int) -> list[str]:
    return [f"Clip {number} of {clips}, take {seed}: the scene of @image1 at sunrise" for number in range(1, clips + 1)]


async def _play(display: Display, stage: Stage, clips: int, seed: int, output: str | None) -> int:
    sandbox = stage.sandbox
    tally = Tally(clips)
    display.line(f"A sandbox at {sandbox.base_url}, behind a proxy at {stage.proxy.base_url}, seed {seed}")
    client = made_with(AsyncRelayDance, clock=stage.clock)(
        sandbox.api_key, base_url=stage.proxy.base_url, retry=RETRY, on_retry=tally.saw_retry
    )
    with _folder(output) as folder:
        async with client:
            demo = Demo(client, display, tally, folder, SANDBOX_DEADLINE)
            picture = await demo.introduce()
            async with stage.outage():
                tasks = await demo.submit(_build_prompts(clips, seed), picture)
            stage.disturb_polls()
            await demo.collect(tasks)
        show_summary(display, tally, output)
    with _folder(None) as folder:
        crash = await kill_and_resume(display, stage, min(clips, MOST_CLIPS), folder)
    ledger = await stage.read_ledger()
    show_ledger(display, ledger, stage.staged())
    failing = 0 if stage.failing_prompt is None else 1
    faults = [*find_faults(tally, failing=failing), *find_reason_faults(tally)]
    faults += [*find_crash_faults(crash), *find_ledger_faults(ledger, clips + crash.clips - len(crash.doubts))]
    return _conclude(display, faults)


def _run_live(display: Display, clips: int, seed: int, output: str | None, *, yes: bool, session: Session) -> int:
    tally = Tally(clips)
    client = session.client(on_retry=tally.saw_retry, retry=RETRY)
    display.line(f"The real service at {client.base_url}. This costs money: 1 chat answer, 2 images, {clips} clips.")
    if not yes:
        _ask_consent()
    return asyncio.run(_perform(client, display, tally, _build_prompts(clips, seed), output))


def _ask_consent() -> None:
    if not sys.stdin.isatty():
        raise CannotBeginError("nobody can be asked here; --yes says that it may cost money")
    if input("Go on? [y/N] ").strip().lower() not in ("y", "yes"):
        raise CannotBeginError("nothing was sent")


async def _perform(
    client: AsyncRelayDance, display: Display, tally: Tally, prompts: list[str], output: str | None
) -> int:
    with _folder(output) as folder:
        async with client:
            demo = Demo(client, display, tally, folder, LIVE_DEADLINE)
            picture = await demo.introduce()
            await demo.collect(await demo.submit(prompts, picture))
        show_summary(display, tally, output)
    return _conclude(display, list(find_faults(tally, failing=0)))


def _conclude(display: Display, faults: list[str]) -> int:
    display.line("")
    if not faults:
        display.line("All is as it must be.", "bold green")
        return 0
    display.line("This is wrong:", "bold red")
    for fault in faults:
        display.line(f"  {fault}")
    return 1


@contextmanager
def _folder(output: str | None) -> Generator[Path]:
    if output is not None:
        path = Path(output)
        try:
            path.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise CannotBeginError(f"can't make the directory {output}: {error.strerror}") from None
        yield path
        return
    with tempfile.TemporaryDirectory(prefix="relaydance-demo-") as name:
        yield Path(name)


class Demo:
    """What is shown, on any gateway."""

    def __init__(self, client: AsyncRelayDance, display: Display, tally: Tally, folder: Path, deadline: float) -> None:
        self._client = client
        self._display = display
        self._tally = tally
        self._folder = folder
        self._deadline = deadline
        self._probes = anyio.CapacityLimiter(2)
        self._ffprobe: str | None = None

    async def introduce(self) -> str:
        """Models, an upload, a chat, images; the URL of the upload."""
        models = await self._client.models.list()
        self._display.line(f"Models      {len(models)}: {', '.join(model.id for model in models)}")
        missing = [name for name in (CHAT_MODEL, IMAGE_MODEL, VIDEO_MODEL) if name not in models]
        if missing:
            raise CannotBeginError(f"this key has no {', '.join(missing)}")
        file = await self._client.files.upload(build_picture(), filename="picture.png")
        self._display.line(f"Upload      {file.id} at {file.url}")
        await self._chat()
        images = await self._client.images.generate(model=IMAGE_MODEL, prompt="A paper boat at sea", n=2)
        for image in images.data:
            self._display.line(f"Image       {image.url or 'as base64'}")
        if len(images.data) != 2:
            self._tally.problems.append(f"{len(images.data)} images came, not 2")
        return file.url

    async def _chat(self) -> None:
        messages = [{"role": "user", "content": QUESTION}]
        self._display.piece("Chat        ")
        async with await self._client.chat.completions.create(
            model=CHAT_MODEL, messages=messages, stream=True
        ) as stream:
            async for chunk in stream:
                self._display.piece(chunk.text())
            completion = await stream.get_final_completion()
        usage = completion.usage
        self._display.line(f" [{completion.choices[0].finish_reason}, {usage.total_tokens if usage else '?'} tokens]")

    async def submit(self, prompts: list[str], picture: str) -> dict[str, VideoTask]:
        """Submit them all at once; the tasks by name."""
        tasks: dict[str, VideoTask] = {}

        async def submit_one(name: str, prompt: str) -> None:
            try:
                tasks[name] = await self._client.video.submit(
                    model=VIDEO_MODEL, prompt=prompt, seconds=5, ratio="16:9", resolution="720p", references=[picture]
                )
            except RelayDanceError as error:
                self._tally.problems.append(f"{name} was not submitted: {error}")
            else:
                self._tally.submitted += 1
                self._tally.saw_task(tasks[name])
            progress.update()

        with self._display.progress("Submit", self._tally, lambda: self._tally.submitted) as progress:
            async with anyio.create_task_group() as group:
                for number, prompt in enumerate(prompts, start=1):
                    group.start_soon(submit_one, f"clip {number}", prompt)
        return tasks

    async def collect(self, tasks: dict[str, VideoTask]) -> None:
        """Wait for all at once, and save each as soon as it is ready."""
        self._ffprobe = await find_ffprobe()
        with self._display.progress("Collect", self._tally, lambda: self._tally.ended) as progress:
            async with anyio.create_task_group() as group:
                for name, task in tasks.items():
                    group.start_soon(self._collect_one, name, task, progress)

    async def _collect_one(self, name: str, task: VideoTask, progress: Progress) -> None:
        def saw(task: VideoTask) -> None:
            self._tally.saw_task(task)
            progress.update()

        try:
            done = await self._client.video.wait(task, deadline=self._deadline, on_update=saw)
            self._tally.succeeded += 1
            path = await self._client.video.download(done, self._folder)
            await self._check(path)
        except TaskFailedError as error:
            self._tally.failed[f"{name} ({error.task_id})"] = _reason(error)
        except RelayDanceError as error:
            self._tally.problems.append(f"{name}: {type(error).__name__}: {error}")
        except BadClipError as error:
            self._tally.problems.append(f"{name}: {error}")
        progress.update()

    async def _check(self, path: Path) -> None:
        problem = await anyio.to_thread.run_sync(find_structure_problem, path)
        if problem is None and self._ffprobe is not None and self._tally.probed < MOST_PROBED:
            self._tally.probed += 1
            async with self._probes:
                problem = await find_playback_problem(self._ffprobe, path)
        if problem is not None:
            raise BadClipError(f"{path.name}: {problem}")
        size = (await anyio.Path(path).stat()).st_size
        self._tally.checked += 1
        self._tally.bytes += size


def _reason(error: TaskFailedError) -> str:
    return error.task.error.message if error.task and error.task.error else "no reason was given"


class BadClipError(Exception):
    """A clip was saved that isn't a whole mp4."""
