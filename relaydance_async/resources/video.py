"""`POST /video/generations`, `GET /video/generations/{task_id}`, and the clip."""

from __future__ import annotations

import inspect
import os
from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import replace
from pathlib import Path
from typing import Any, Protocol, TypeAlias, TypedDict, Unpack

import anyio

from .._config import Options
from .._sansio.polling import next_poll
from .._sansio.request import build_get, build_model, build_post, path_segment
from ..errors import (
    InvalidInputError,
    NotFoundError,
    RelayDanceError,
    ResponseDecodeError,
    TaskFailedError,
    TaskTimeoutError,
)
from ..models.video import Reference, VideoRequest, VideoTask
from ._resource import Resource
from .download import DEFAULT_MAX_BYTES, Api, DownloadLimits, download_clip

TaskOrId: TypeAlias = VideoTask | str
Look: TypeAlias = Callable[[], Awaitable[VideoTask | None]]
Race: TypeAlias = Callable[[Look], Awaitable[VideoTask | None]]
UpdateHook: TypeAlias = Callable[[VideoTask], Awaitable[None] | None]

_POLL_SECONDS = 30.0
"""The longest that one phase of a poll may take: a poll that hangs is asked again, and answers at once as a rule."""

_BELIEVED = 3
"""Answers in a row after which a task that was there is believed to be gone, or to be unreadable."""


class Wakeups(Protocol):
    """Hears of the end of a task: a `WebhookReceiver`."""

    def listen(self, task_id: str, /) -> AbstractContextManager[Race]:
        """What runs a look at the task and gives what it found, or else, as soon as it has heard, the ended task."""
        ...


class VideoParams(TypedDict, total=False):
    """What `submit` and `generate` take beside `model` and `prompt`; see `Video.submit`."""

    seconds: int | float | str | None
    ratio: str | None
    resolution: str | None
    generate_audio: bool | None
    callback_url: str | None
    references: Sequence[Reference | str]
    metadata: Mapping[str, Any]
    extra_body: Mapping[str, Any] | None


class Video(Resource):
    """Clips. Each is a task: submitted, waited for, downloaded."""

    async def submit(self, *, model: str, prompt: str, **params: Unpack[VideoParams]) -> VideoTask:
        """Submit a clip. It is billed when it succeeds.

        Args:
            model: its id.
            prompt: what to show; reference images are cited as `@image1`, `@image2`, … in their order.
            params: `seconds` (length of the clip, by model up to 15), `ratio` ("16:9", …), `resolution` ("1080p", …),
                `generate_audio`, `callback_url` (the webhook), `references` (URLs, by their ending an image, a video or
                a sound, or `ImageReference`, `VideoReference`, `AudioReference`, `FirstFrame`, `LastFrame`), `metadata`
                (any other key, such as `seed`), `extra_body` (top-level fields that this version doesn't know).

        Raises:
            InvalidInputError: before anything is sent: a wrong reference, more of them than the API takes (9 images, 3
                videos, 3 sounds), a first or last frame together with reference images, or a key given twice.
            APIStatusError: the gateway refused; not billed.
            APIConnectionError: no answer; `maybe_accepted` says whether a clip may be in the making.

        Cancelling it after the request was sent may leave a clip that is paid for, without its id.
        """
        arguments = dict(params)
        extra_body = arguments.pop("extra_body", None)
        video = build_model(VideoRequest, {"model": model, "prompt": prompt, **arguments})
        request = build_post("/video/generations", video.body(), extra_body=extra_body)  # type: ignore[arg-type]
        return await self._call(request, VideoTask)

    async def retrieve(self, task: TaskOrId) -> VideoTask:
        """The task as it is now. Safe to repeat.

        Raises:
            NotFoundError: there is no such task.
        """
        return await self._retrieve(_id_of(task), self._options)

    async def _retrieve(self, task_id: str, options: Options) -> VideoTask:
        path = f"/video/generations/{path_segment(task_id, name='task_id')}"
        return await self._call(build_get(path, task_id=task_id), VideoTask, options)

    async def wait(
        self,
        task: TaskOrId,
        *,
        deadline: float | None = None,
        on_update: UpdateHook | None = None,
        receiver: Wakeups | None = None,
    ) -> VideoTask:
        """Wait for a task, of this process or of an earlier one: the id is all it takes.

        It asks at once, then after about 2 s, growing to 15 s (the gateway refreshes a task every 15 s), each wait at
        times of its own, so that thousands that begin together are spread evenly; the pauses of more than 2,000 are
        longer, so that from their second poll on they make about 1,000 a second at most. Asleep, it holds no permit,
        connection or thread.

        Polls that fail in a way that may pass (no connection, 429, 5xx) are repeated until the deadline, however often
        they fail. An answer that can't be true of a task that the gateway has shown before (the task is given as a
        `VideoTask`, or was seen by this wait), not found or not readable, is doubted: a replica may lag, a proxy may be
        in between. The third of them in a row ends the wait.

        Args:
            task: a task or its id.
            deadline: seconds to wait; None waits as long as it takes (the gateway gives up after 24 h).
            on_update: called, and awaited if it can be, with the task at first and at each change. What it raises ends
                the wait, as it is; the task goes on.
            receiver: a `WebhookReceiver` of the same event loop; a delivery of the task's end ends the wait, too.

        Raises:
            TaskFailedError: with the task and the upstream's reason.
            TaskTimeoutError: the deadline passed. The task goes on. Its `__cause__` is the error of the last poll,
                if that one failed.
            RelayDanceError: a poll failed for good: the key is refused, the task unknown.

        Cancelling it leaves the task running; wait for its id again.
        """
        if deadline is not None and not deadline > 0:
            raise InvalidInputError(f"deadline must be more than 0 seconds, not {deadline!r}")
        watch = _Watch(_id_of(task), on_update, known=isinstance(task, VideoTask))
        mark = object()
        self._controller.waits.add(mark)
        try:
            with anyio.move_on_after(deadline):
                with receiver.listen(watch.task_id) if receiver else nullcontext(_just_look) as race:
                    return await self._watch(watch, race)
        finally:
            self._controller.waits.discard(mark)
        raise TaskTimeoutError(
            f"task {watch.task_id} was not ready within {deadline:g} s", task=watch.last, task_id=watch.task_id
        ) from watch.trouble

    async def _watch(self, watch: _Watch, race: Race) -> VideoTask:
        clock = self._controller.clock
        begun, phase = clock.monotonic(), clock.random()
        options = replace(self._options, timeout=self._options.timeout.at_most(_POLL_SECONDS))
        pause, most = 0.0, 0

        async def look() -> VideoTask | None:
            if pause:
                await clock.sleep(pause)
            try:
                return await self._retrieve(watch.task_id, options)
            except RelayDanceError as error:
                if not watch.bears(error):
                    raise
                watch.trouble = error.with_traceback(None)  # whose frames would keep it alive
                return None

        while True:
            task = await race(look)
            if task is not None:
                await watch.saw(task)
                if task.is_terminal:
                    return _succeeded(task)
            # Not as many as there are now: when many end, the schedules of the others would all move at once, to the
            # same moment.
            most = max(most, len(self._controller.waits))
            pause = next_poll(clock.monotonic() - begun, phase, most)

    async def generate(
        self,
        *,
        model: str,
        prompt: str,
        deadline: float | None = None,
        on_update: UpdateHook | None = None,
        receiver: Wakeups | None = None,
        **params: Unpack[VideoParams],
    ) -> VideoTask:
        """Submit a clip and wait for it: `submit`, then `wait`, with the arguments and errors of both.

        `on_update` gets the submitted task, with its id, before the wait begins. Cancelling it after that leaves the
        task running; its id is also in a note on the cancellation (`__notes__`).
        """
        task = await self.submit(model=model, prompt=prompt, **params)
        try:
            await _tell(on_update, task)
            told = _unless_same(on_update, task)
            return await self.wait(task, deadline=deadline, on_update=told, receiver=receiver)
        except TaskFailedError:
            raise  # it has ended: there is nothing to resume
        except BaseException as error:
            error.add_note(f"video task {task.task_id} was submitted; resume with client.video.wait({task.task_id!r})")
            raise

    async def download(
        self,
        task: TaskOrId,
        path: str | os.PathLike[str],
        *,
        max_bytes: int = DEFAULT_MAX_BYTES,
        allow_private_hosts: bool = False,
    ) -> Path:
        """Save a finished clip. Its URL is on another host, which doesn't get the key.

        It is written to `<path>.<task_id>.part`, checked against the announced length, and renamed at the end: under
        its final name there is only a whole clip. A broken transfer is resumed where the server can do that and names
        the file by an ETag or a date (RFC 9110 section 13.1.5), which is kept in `<path>.<task_id>.etag.part`.

        Args:
            task: a finished task, or an id, which is retrieved first.
            path: where to; a directory takes `<task_id>.mp4`.
            max_bytes: stop above that size.
            allow_private_hosts: also from addresses that aren't public. (Loopback is allowed when the API is on
                loopback.)

        Returns:
            The path of the clip.

        Raises:
            InvalidInputError: the task has not succeeded, or no file can have that name.
            DownloadError: it could not be fetched whole, is too large, or its URL is not to be trusted.

        Cancelling it leaves the part file, from which a later call goes on, unless nothing can.
        """
        if isinstance(task, str) or not task.is_terminal:
            task = await self.retrieve(task)
        if task.status != "succeeded":
            raise InvalidInputError(
                f"task {task.task_id} is {task.status}: there is no clip to download", task_id=task.task_id
            )
        limits = DownloadLimits(max_bytes=max_bytes, allow_private_hosts=allow_private_hosts)
        return await download_clip(Api(self._controller, self._options), task, Path(path), limits)


def _just_look(look: Look) -> Awaitable[VideoTask | None]:
    return look()


class _Watch:
    """What a wait has seen so far."""

    def __init__(self, task_id: str, on_update: UpdateHook | None, *, known: bool) -> None:
        self.task_id = task_id
        self.last: VideoTask | None = None
        self.trouble: RelayDanceError | None = None
        self._on_update = on_update
        self._known = known
        self._doubts = 0

    def bears(self, error: RelayDanceError) -> bool:
        """Whether the wait goes on after a poll that failed so."""
        if error.retryable:
            return True
        if not (self._known and isinstance(error, NotFoundError | ResponseDecodeError)):
            return False
        self._doubts += 1
        return self._doubts < _BELIEVED

    async def saw(self, task: VideoTask) -> None:
        """Report it if it changed."""
        self._known, self._doubts, self.trouble = True, 0, None
        changed = self.last is None or _changes(self.last, task)
        self.last = task
        if changed:
            await _tell(self._on_update, task)


async def _tell(hook: UpdateHook | None, task: VideoTask) -> None:
    if hook is not None:
        answer = hook(task)
        if inspect.isawaitable(answer):
            await answer


def _unless_same(hook: UpdateHook | None, told: VideoTask) -> UpdateHook | None:
    if hook is None:
        return None

    async def tell(task: VideoTask) -> None:
        nonlocal told
        if _changes(told, task):
            await _tell(hook, task)
        told = task

    return tell


def _changes(before: VideoTask, after: VideoTask) -> bool:
    return (before.raw_status, before.progress) != (after.raw_status, after.progress)


def _id_of(task: TaskOrId) -> str:
    task_id = task.task_id if isinstance(task, VideoTask) else task
    path_segment(task_id, name="task_id")
    return task_id


def _succeeded(task: VideoTask) -> VideoTask:
    if task.status == "succeeded":
        return task
    reason = task.error.message if task.error else "no reason given, as after a timeout of the upstream"
    code = task.error.code if task.error else None
    raise TaskFailedError(f"task {task.task_id} failed: {reason}", task=task, task_id=task.task_id, code=code)
