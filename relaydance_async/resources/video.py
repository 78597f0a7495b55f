"""`POST /video/generations`, `GET /video/generations/{task_id}`, and the clip."""

from __future__ import annotations

import inspect
import os
from collections.abc import Awaitable, Callable, Coroutine, Mapping, Sequence
from contextlib import nullcontext
from pathlib import Path
from typing import Any, TypeAlias, Unpack

import anyio

from .._call import Api, as_model
from .._config import Options
from .._polling import ACTIVE_WAITS
from .._sansio.extras import CallExtras
from .._sansio.polling import Place
from .._sansio.request import PreparedRequest, build_get, build_model
from .._sansio.watch import Watch, check_success
from ..errors import DownloadError, InvalidInputError, RelayDanceError, TaskFailedError, TaskTimeoutError, mark_accepted
from ..models._options import BodyOptions, ReadOptions, RequestOptions
from ..models.video import Reference, VideoRequest, VideoTask
from ._resource import READ_OPTIONS, Resource, apply, made_at_once, names_of
from ._route import billed_post, get
from ._task_events import EndEvent, TaskEvents
from .download import DEFAULT_MAX_BYTES, DownloadLimits, download_clip

TaskOrId: TypeAlias = VideoTask | str
UpdateHook: TypeAlias = Callable[[VideoTask], Awaitable[None] | None]

_POLL_SECONDS = 30.0
"""The longest that one phase of a poll may take. The gateway answers a poll at once as a rule, so one that hangs is
better asked again."""


SUBMIT = billed_post("video.submit", "/video/generations", as_model(VideoTask))
RETRIEVE = get("video.retrieve", "/video/generations/{task_id}", as_model(VideoTask))


class VideoParams(BodyOptions, total=False):
    """What `submit` and `generate` take beside `model` and `prompt`; see `Video.submit`."""

    seconds: int | float | str | None
    ratio: str | None
    resolution: str | None
    generate_audio: bool | None
    callback_url: str | None
    references: Sequence[Reference | str]
    metadata: Mapping[str, Any]


class SubmitParams(VideoParams, ReadOptions, total=False):
    """What `submit` takes. (`generate` has a `deadline` of its own, which is another.)"""


_SUBMIT_PARAMS = names_of(SubmitParams)
_VIDEO_PARAMS = names_of(VideoParams)
_REQUEST_OPTIONS = names_of(RequestOptions)


class Video(Resource):
    """Clips. Each is a task: submitted, waited for, downloaded."""

    @made_at_once
    def submit(self, *, model: str, prompt: str, **params: Unpack[SubmitParams]) -> Coroutine[Any, Any, VideoTask]:
        """Submit a clip. It is billed when it succeeds.

        Args:
            model: its id.
            prompt: what to show; reference images are cited as `@image1`, `@image2`, … in their order.
            params: `seconds` (length of the clip, by model up to 15), `ratio` ("16:9", …), `resolution` ("1080p", …),
                `generate_audio`, `callback_url` (the webhook), `references` (URLs, by their ending an image, a video or
                a sound, or `ImageReference`, `VideoReference`, `AudioReference`, `FirstFrame`, `LastFrame`), `metadata`
                (any other key, such as `seed`), `extra_body` (top-level fields that this version doesn't know),
                `extra_headers`, `extra_query`, `timeout`, `deadline` (seconds, with queueing and
                retries).

        Raises:
            TypeError: a keyword that it doesn't take; at once.
            InvalidInputError: before anything is sent: a wrong reference, more of them than the API takes (9 images, 3
                videos, 3 sounds), a first or last frame together with reference images, or a key given twice.
            APIStatusError: the gateway refused; not billed.
            APIConnectionError: no answer; `maybe_accepted` says whether a clip may be in the making.

        Cancelling it after the request was sent may leave a clip that is paid for, without its id.
        """
        arguments, extras = CallExtras.take(params, _SUBMIT_PARAMS)
        video = build_model(VideoRequest, {"model": model, "prompt": prompt, **arguments})
        return self._post(SUBMIT, video.body(), extras)

    async def retrieve(self, task: TaskOrId, **options: Unpack[ReadOptions]) -> VideoTask:
        """The task as it is now. Safe to repeat.

        Args:
            task: a task or its id.
            options: `extra_headers`, `extra_query`, `timeout`, `deadline`.

        Raises:
            NotFoundError: there is no such task.
        """
        _, extras = CallExtras.take(options, READ_OPTIONS)
        return await self._poll(_build_poll(_id_of(task), extras), apply(extras, self._options))

    async def wait(
        self,
        task: TaskOrId,
        *,
        deadline: float | None = None,
        on_update: UpdateHook | None = None,
        receiver: TaskEvents | None = None,
        **options: Unpack[RequestOptions],
    ) -> VideoTask:
        """Wait until a task has ended. Its id is enough, also when another process submitted it.

        The first poll is at once, the second after about 2 s. The pauses grow to 15 s, because the gateway refreshes a
        task every 15 s. Each wait polls at times of its own, so thousands that begin together are spread evenly. When
        more than 2,000 waits are under way in the process, each polls less often: after the first polls they make
        about 1,000 polls a second at most. When others have ended, the wait polls more often again. Between two polls
        it holds no permit, no connection and no thread.

        A poll that fails in a way that may pass (no connection, 429, 5xx) does not end the wait, however often that
        happens. Sometimes the gateway answers "not found", or something unreadable, for a task that exists. If the
        client knows that the task exists (it got a `VideoTask`, or an earlier poll has seen the task), it ignores the
        first two such answers in a row and raises on the third.

        Args:
            task: a task or its id.
            deadline: seconds to wait. None waits as long as it takes; the gateway gives a task up after 24 h.
            on_update: called with the task at first and at each change; awaited if it returns an awaitable. An
                exception that it raises ends the wait unchanged. The task goes on.
            receiver: a `WebhookReceiver` of the same event loop. A delivery of the task's end also ends the wait.
            options: `extra_headers`, `extra_query` and `timeout` of each poll. (The client's `deadline` bounds
                each poll too.)

        Raises:
            TaskFailedError: the task failed. It has the task and the upstream's reason.
            TaskTimeoutError: the deadline passed. The task goes on. If the last poll failed, its error is the
                `__cause__`.
            InvalidInputError: before anything is sent: the deadline is not above 0, or the id can't be one.
            RelayDanceError: polling can't succeed: the key is refused, or the task unknown.

        Cancelling it leaves the task running. Call `wait` with its id again.
        """
        _check_deadline(deadline)
        _, extras = CallExtras.take(options, _REQUEST_OPTIONS)
        watch = self._begin_watch(_id_of(task), known=isinstance(task, VideoTask))
        return await self._wait(watch, deadline, on_update, receiver, extras)

    def _begin_watch(self, task_id: str, *, known: bool, last_seen: VideoTask | None = None) -> Watch:
        clock = self._controller.clock
        place = Place.draw(clock.random)
        return Watch(task_id, known=known, begun=clock.monotonic(), place=place, last_seen=last_seen)

    async def _wait(
        self,
        watch: Watch,
        deadline: float | None,
        on_update: UpdateHook | None,
        receiver: TaskEvents | None,
        extras: CallExtras,
    ) -> VideoTask:
        event = EndEvent()
        subscribed = receiver.subscribe(watch.task_id, event.set) if receiver else nullcontext()
        with ACTIVE_WAITS.one_more(), anyio.move_on_after(deadline), subscribed:
            return await self._poll_until_end(watch, event, on_update, extras)
        raise TaskTimeoutError(
            f"task {watch.task_id} was not ready within {deadline:g} s", task=watch.last_seen, task_id=watch.task_id
        ) from watch.last_error

    async def _poll_until_end(
        self, watch: Watch, event: EndEvent, on_update: UpdateHook | None, extras: CallExtras
    ) -> VideoTask:
        request = _build_poll(watch.task_id, extras)
        options = apply(extras, _limit_timeout(self._options))
        pause = 0.0
        while True:
            try:
                task = await event.first_of(self._poll_after(pause, request, options))
            except RelayDanceError as error:
                if not watch.record_error(error):
                    raise
            else:
                if watch.record(task):
                    await _call_hook(on_update, task)
                if task.is_terminal:
                    return check_success(task)
            pause = watch.next_poll(self._controller.clock.monotonic(), len(ACTIVE_WAITS))

    async def _poll_after(self, pause: float, request: PreparedRequest, options: Options) -> VideoTask:
        if pause:
            await self._controller.clock.sleep(pause)
        return await self._poll(request, options)

    def _poll(self, request: PreparedRequest, options: Options) -> Coroutine[Any, Any, VideoTask]:
        return self._controller.execute(request, RETRIEVE.returns, options)

    @made_at_once
    def generate(
        self,
        *,
        model: str,
        prompt: str,
        deadline: float | None = None,
        on_update: UpdateHook | None = None,
        receiver: TaskEvents | None = None,
        **params: Unpack[VideoParams],
    ) -> Coroutine[Any, Any, VideoTask]:
        """Submit a clip and wait for it: `submit`, then `wait`, with the arguments and errors of both.

        `on_update` gets the submitted task, with its id, before the wait begins. `deadline` counts from then on.

        `extra_headers`, `extra_query` and `timeout` hold for the polls as well.

        Cancelling it after the submit leaves the task running. A note on the cancellation has its id (`__notes__`), as
        has a note on every other error but `TaskFailedError`; `maybe_accepted(exception)` is True of all these.
        """
        _check_deadline(deadline)
        _, extras = CallExtras.take(params, _VIDEO_PARAMS)
        submit = self.submit(model=model, prompt=prompt, **params)
        return self._submit_and_wait(submit, deadline, on_update, receiver, extras)

    async def _submit_and_wait(
        self,
        submit: Coroutine[Any, Any, VideoTask],
        deadline: float | None,
        on_update: UpdateHook | None,
        receiver: TaskEvents | None,
        extras: CallExtras,
    ) -> VideoTask:
        task = await submit
        try:
            await _call_hook(on_update, task)
            watch = self._begin_watch(task.task_id, known=True, last_seen=task)
            return await self._wait(watch, deadline, on_update, receiver, extras)
        except TaskFailedError:
            raise  # it has ended: there is nothing to resume
        except BaseException as error:
            resume = f"video task {task.task_id} was submitted; resume with client.video.wait({task.task_id!r})"
            mark_accepted(error, True, note=resume)
            raise

    async def download(
        self,
        task: TaskOrId,
        path: str | os.PathLike[str],
        *,
        max_bytes: int = DEFAULT_MAX_BYTES,
        allow_private_hosts: bool = False,
        deadline: float | None = None,
        **options: Unpack[RequestOptions],
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
            deadline: seconds for all of it. None takes as long as it takes; the client's `deadline` is not for it.
            options: `timeout` of each I/O phase; `extra_headers` and `extra_query` of requests to the API,
                never of those to the clip's host.

        Returns:
            The path of the clip.

        Raises:
            InvalidInputError: the task has not succeeded, or no file can have that name.
            DownloadError: it could not be fetched whole, is too large, its URL is not to be trusted, or the deadline
                passed.

        Cancelling it leaves the part file, from which a later call goes on, unless nothing can.
        """
        _check_deadline(deadline)
        _, extras = CallExtras.take(options, _REQUEST_OPTIONS)
        limits = DownloadLimits(max_bytes=max_bytes, allow_private_hosts=allow_private_hosts)
        with anyio.move_on_after(deadline):
            return await self._download(task, Path(path), limits, extras)
        raise DownloadError(
            f"the clip was not saved within the deadline of {deadline:g} s; what has come stays in the part file",
            task_id=_id_of(task),
            retryable=True,
        )

    async def _download(self, task: TaskOrId, path: Path, limits: DownloadLimits, extras: CallExtras) -> Path:
        if isinstance(task, str) or not task.is_terminal:
            request = _build_poll(_id_of(task), extras)
            task = await self._poll(request, apply(extras, self._options))
        if task.status != "succeeded":
            raise InvalidInputError(
                f"task {task.task_id} is {task.status}: there is no clip to download", task_id=task.task_id
            )
        # The headers of one call are for the API, and its transfer has a deadline of its own.
        options = apply(CallExtras(timeout=extras.timeout), self._options).changed(deadline=None)
        return await download_clip(Api(self._controller, options), task, path, limits)


def _check_deadline(deadline: float | None) -> None:
    if deadline is not None and not deadline > 0:
        raise InvalidInputError(f"deadline must be more than 0 seconds, not {deadline!r}")


def _id_of(task: TaskOrId) -> str:
    return task.task_id if isinstance(task, VideoTask) else task


def _build_poll(task_id: str, extras: CallExtras) -> PreparedRequest:
    return build_get(RETRIEVE.target(extras.query, task_id=task_id), task_id=task_id)


def _limit_timeout(options: Options) -> Options:
    return options.changed(timeout=options.timeout.at_most(_POLL_SECONDS))


async def _call_hook(hook: UpdateHook | None, task: VideoTask) -> None:
    if hook is not None:
        answer = hook(task)
        if inspect.isawaitable(answer):
            await answer
