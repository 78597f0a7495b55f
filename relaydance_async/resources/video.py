"""`POST /video/generations`, `GET /video/generations/{task_id}`, and the clip."""

from __future__ import annotations

import inspect
import logging
import os
from collections.abc import (
    AsyncGenerator,
    AsyncIterable,
    AsyncIterator,
    Awaitable,
    Callable,
    Coroutine,
    Iterable,
    Mapping,
    Sequence,
)
from contextlib import asynccontextmanager, nullcontext
from pathlib import Path
from typing import Any, TypeAlias, Unpack

import anyio
import anyio.lowlevel

from .._call import Api, WaitWatchers, as_model
from .._limits import Order
from .._polling import ACTIVE_WAITS
from .._sansio.extras import CallExtras
from .._sansio.polling import AT_ONCE, Place
from .._sansio.redact import one_line
from .._sansio.request import PreparedRequest, build_get, build_model
from .._sansio.watch import Watch, check_success
from ..errors import DownloadError, InvalidInputError, RelayDanceError, TaskFailedError, mark_accepted
from ..fanout import FanOut, fan_out
from ..models._options import BodyOptions, ReadOptions, RequestOptions
from ..models.video import Reference, VideoRequest, VideoTask
from ._progress import Progress, ProgressHook
from ._resource import READ_OPTIONS, Resource, apply, made_at_once, names_of
from ._route import billed_post, get
from ._task_events import EndEvent, TaskEvents
from ._task_notes import TaskNotes
from ._views import Raw, RawView, Streamed, StreamedView
from .download import (
    DEFAULT_MAX_BYTES,
    DEFAULT_MEMORY_BYTES,
    DownloadLimits,
    HostPolicy,
    PartFile,
    Result,
    ResultSource,
    as_download_error,
    as_path,
    check_place,
    download,
    load,
    on_disk,
    stream,
)

TaskOrId: TypeAlias = VideoTask | str
UpdateHook: TypeAlias = Callable[[VideoTask], Awaitable[None] | None]
SubmitHook: TypeAlias = Callable[[str], Awaitable[None] | None]

log: logging.Logger = logging.getLogger("relaydance_async")

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

    @property
    def with_raw_response(self) -> VideoRaw:
        """The same methods, with the answer itself: its status, headers and bytes beside the result."""
        return VideoRaw(Video(self._api))

    @property
    def with_streaming_response(self) -> VideoStreamed:
        """The same methods, each in an `async with`, with the answer as it comes."""
        return VideoStreamed(Video(self._api))

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
        submit = self._post(SUBMIT, video.body(), extras)
        is_raw = self._mode is not None
        return submit if is_raw or extras.idempotency_key is None else self._renewed(submit, extras)

    async def _renewed(self, submit: Coroutine[Any, Any, VideoTask], extras: CallExtras) -> VideoTask:
        """The submitted task. If its submit was replayed, and its URL may have expired, it is asked for again."""
        task = await submit
        if not (task.meta.replayed and task.status == "succeeded") or await self._notes().ended(task.task_id):
            return task
        try:
            fresh = await _poll(_build_poll(task.task_id, extras), apply(extras, self._api))
        except RelayDanceError as error:
            log.warning("the URL of task %s could not be renewed: %s", one_line(task.task_id), one_line(error.message))
            return task
        self._notes().note(fresh)
        fresh.give_meta(task.meta)
        return fresh

    def _notes(self) -> TaskNotes:
        return TaskNotes(self._api)

    async def retrieve(self, task: TaskOrId, **options: Unpack[ReadOptions]) -> VideoTask:
        """The task as it is now. Safe to repeat.

        Args:
            task: a task or its id.
            options: `extra_headers`, `extra_query`, `timeout`, `deadline`.

        Raises:
            NotFoundError: there is no such task.
        """
        _, extras = CallExtras.take(options, READ_OPTIONS)
        return await self._execute(_build_poll(_id_of(task), extras), RETRIEVE.returns, extras)

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
        task every 15 s. Each wait polls at times of its own, so thousands that begin together are spread evenly. The
        more waits are under way in the process, the less often each polls, from 300 on: 1,000 every 30 s, 10,000 every
        2 minutes. With more than 100, also the first poll comes a little later. The polls take about half of the rate
        that the key allows, once that is learned. When others have ended, the wait polls more often again. Between two
        polls it holds no permit, no connection and no thread.

        With a deadline, there is one more poll just before it: about 1 s, or as long as answers take, but at most
        10 s and a quarter of the deadline. So a clip that was ready by then is found.

        A poll that fails in a way that may pass (no connection, 429, 5xx) does not end the wait, however often that
        happens. Of the other errors only the gateway's own count: its 401 at once, any other (`task_not_exist`, 403) at
        the third in a row. What strangers answer says nothing about the task: the page of a proxy, an empty or
        unreadable answer, another task. The wait goes on to its deadline. Without a deadline it ends after 10 minutes
        in which nobody else has answered.

        Args:
            task: a task or its id.
            deadline: seconds to wait. None waits as long as it takes; the gateway gives a task up after 24 h.
            on_update: called with the task at first and at each change; awaited if it returns an awaitable. What it
                raises is logged: it must not cost a clip that is paid for.
            receiver: a `WebhookReceiver` of the same event loop. A delivery of the task's end also ends the wait.
            options: `extra_headers`, `extra_query` and `timeout` of each poll. (The client's `deadline` bounds
                each poll too.)

        Raises:
            TaskFailedError: the task failed. It has the task and the upstream's reason.
            TaskTimeoutError: the deadline passed, or only strangers answered for 10 minutes. The task may go on. If the
                last poll failed, its error is the `__cause__` and in the message.
            InvalidInputError: before anything is sent: the deadline is not above 0, or the id can't be one.
            RelayDanceError: polling can't succeed: the key is refused, the task is unknown, or a setting is wrong.

        Cancelling it leaves the task running. Call `wait` with its id again.
        """
        _check_deadline(deadline)
        _, extras = CallExtras.take(options, _REQUEST_OPTIONS)
        return await self._wait(self._begin_watch(_id_of(task), deadline), deadline, on_update, receiver, extras)

    def resume(
        self,
        tasks: Iterable[TaskOrId] | AsyncIterable[TaskOrId],
        *,
        in_flight: int = 10_000,
        deadline: float | None = None,
        on_update: UpdateHook | None = None,
        receiver: TaskEvents | None = None,
        **options: Unpack[RequestOptions],
    ) -> FanOut[TaskOrId, VideoTask]:
        """Wait for many tasks, such as those that a process before this one has submitted: a `fan_out` of `wait`.

            async with client.video.resume(ids) as outcomes:
                async for outcome in outcomes:  # as they end
                    print(outcome.item, outcome.error or outcome.value.url)

        A task that fails, or whose wait does, stops no other; its error is in its outcome.

        Args:
            tasks: tasks or their ids.
            in_flight: waits at once. Between two polls each holds no more than its place.
            deadline, on_update, receiver, options: of each `wait`.

        Raises:
            InvalidInputError: before anything is sent: the deadline is not above 0, or no iterable.
            FanOutStoppedError: at the end of the iteration: polling can't succeed, such as with a refused key.

        Leaving the `async with` ends the waits, and leaves the tasks running. Only on asyncio and uvloop.
        """
        _check_deadline(deadline)
        CallExtras.take(options, _REQUEST_OPTIONS)

        def wait(task: TaskOrId) -> Coroutine[Any, Any, VideoTask]:
            return self.wait(task, deadline=deadline, on_update=on_update, receiver=receiver, **options)

        return fan_out(wait, tasks, in_flight=in_flight)

    def _begin_watch(self, task_id: str, deadline: float | None, last_seen: VideoTask | None = None) -> Watch:
        clock = self._api.clock
        place = Place.draw(clock.random)
        return Watch(task_id, begun=clock.monotonic(), place=place, deadline=deadline, last_seen=last_seen)

    async def _wait(
        self,
        watch: Watch,
        deadline: float | None,
        on_update: UpdateHook | None,
        receiver: TaskEvents | None,
        extras: CallExtras,
    ) -> VideoTask:
        if (ended := await self._notes().ended(watch.task_id)) is not None:
            await _tell(on_update, ended)
            return check_success(ended)
        event = EndEvent()
        subscribed = receiver.subscribe(watch.task_id, event.set) if receiver else nullcontext()
        with self._api.watch_wait(watch.task_id) as watchers:
            with ACTIVE_WAITS.one_more(), anyio.move_on_after(deadline), subscribed:
                return await self._poll_until_end(watch, event, on_update, extras, watchers)
            raise watch.out_of_time()

    async def _poll_until_end(
        self, watch: Watch, event: EndEvent, on_update: UpdateHook | None, extras: CallExtras, watchers: WaitWatchers
    ) -> VideoTask:
        request = _build_poll(watch.task_id, extras)
        api = apply(extras, _limit_timeout(self._api))
        pause = await self._first_pause(watch)
        while True:
            try:
                task = await event.first_of(self._poll_after(pause, request, api, watch))
            except RelayDanceError as error:
                if not watch.record_error(error, self._api.clock.monotonic()):
                    watchers.polled(None, error, None)
                    raise
                pause = self._next_pause(watch)
                watchers.polled(None, error, pause)
            else:
                if task.is_terminal:
                    self._notes().note(task)  # before a hook that may take long
                    watchers.polled(task, None, None)
                if watch.record(task):
                    await _tell(on_update, task)
                if task.is_terminal:
                    return check_success(task)
                pause = self._next_pause(watch)
                watchers.polled(task, None, pause)

    async def _first_pause(self, watch: Watch) -> float:
        if len(ACTIVE_WAITS) <= AT_ONCE:
            return 0.0
        await anyio.lowlevel.checkpoint()  # those that begin in the same moment count as well
        return self._next_pause(watch)

    def _next_pause(self, watch: Watch) -> float:
        return watch.next_poll(self._api.clock.monotonic(), len(ACTIVE_WAITS), self._api.learned_limit)

    async def _poll_after(self, pause: float, request: PreparedRequest, api: Api, watch: Watch) -> VideoTask:
        clock = self._api.clock
        if pause:
            await clock.sleep(pause)
        began = clock.monotonic()
        try:
            return watch.check(await _poll(request, api))
        finally:
            watch.polled(clock.monotonic() - began)

    @made_at_once
    def generate(
        self,
        *,
        model: str,
        prompt: str,
        deadline: float | None = None,
        on_submit: SubmitHook | None = None,
        on_update: UpdateHook | None = None,
        receiver: TaskEvents | None = None,
        **params: Unpack[VideoParams],
    ) -> Coroutine[Any, Any, VideoTask]:
        """Submit a clip and wait for it: `submit`, then `wait`, with the arguments and errors of both.

        `on_submit` is called with the task's id, once, before the wait begins, and awaited if it returns an awaitable:
        the place to keep the id for a later process. What it raises ends the call, unchanged; the task goes on.
        `on_update` gets the submitted task as well. `deadline` counts from then on.

        With an `idempotency_key` the submit is what a journal remembers: generating again with the same key waits for
        the same clip, or gives it at once.

        `extra_headers`, `extra_query` and `timeout` hold for the polls as well.

        Cancelling it after the submit leaves the task running. A note on the cancellation has its id (`__notes__`), as
        has a note on every other error but `TaskFailedError`; `maybe_accepted(exception)` is True of all these.
        """
        _check_deadline(deadline)
        _, extras = CallExtras.take(params, _VIDEO_PARAMS)
        submit = self.submit(model=model, prompt=prompt, **params)
        return self._submit_and_wait(submit, deadline, on_submit, on_update, receiver, extras)

    async def _submit_and_wait(
        self,
        submit: Coroutine[Any, Any, VideoTask],
        deadline: float | None,
        on_submit: SubmitHook | None,
        on_update: UpdateHook | None,
        receiver: TaskEvents | None,
        extras: CallExtras,
    ) -> VideoTask:
        task = await submit
        try:
            if on_submit is not None and inspect.isawaitable(answer := on_submit(task.task_id)):
                await answer
            await _tell(on_update, task)
            watch = self._begin_watch(task.task_id, deadline, last_seen=task)
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
        overwrite: bool = True,
        max_bytes: int = DEFAULT_MAX_BYTES,
        allow_private_hosts: bool = False,
        on_progress: ProgressHook | None = None,
        deadline: float | None = None,
        **options: Unpack[RequestOptions],
    ) -> Path:
        """Save a finished clip. Its URL is on another host, which doesn't get the key.

        It is written to `<path>.<task_id>.part`, checked against the announced length, and renamed at the end: under
        its final name there is only a whole clip. A broken transfer is resumed where the server can do that and names
        the file by an ETag or a date (RFC 9110 section 13.1.5), which is kept in `<path>.<task_id>.etag.part`. When the
        URL has expired, the task is retrieved once for a fresh one, and the download goes on.

        Args:
            task: a finished task, or an id, which is retrieved first.
            path: where to; a directory takes `<task_id>.mp4`.
            overwrite: whether a file at `path` is replaced. If not, it is an error, before anything is asked for. (A
                file that the client's journal knows to be this clip is left as it is, and its path returned.)
            max_bytes: stop above that size.
            allow_private_hosts: also from addresses that aren't public. (Loopback is allowed when the API is on
                loopback.)
            on_progress: called with the bytes so far, those of an earlier download included, and all bytes, or None
                when the server doesn't say. What it raises ends the download, unchanged.
            deadline: seconds for all of it. None takes as long as it takes; the client's `deadline` is not for it.
            options: `timeout` of each I/O phase; `extra_headers` and `extra_query` of requests to the API,
                never of those to the clip's host.

        Returns:
            The path of the clip.

        Raises:
            InvalidInputError: the task has not succeeded, or no file can have that name.
            DownloadError: it could not be fetched whole, is too large, its URL is not to be trusted, or nothing may be
                written to `path`, or the deadline passed; `kind` says which.

        Cancelling it leaves the part file, from which a later call goes on, unless nothing can.
        """
        _check_deadline(deadline)
        _, extras = CallExtras.take(options, _REQUEST_OPTIONS)
        limits = DownloadLimits(max_bytes, Progress(on_progress))
        part = PartFile(as_path(path), _id_of(task), overwrite=overwrite)
        # The headers of one call are for the API, and its transfer has a deadline of its own.
        api = apply(CallExtras(timeout=extras.timeout), self._metadata).changed(deadline=None)
        with anyio.move_on_after(deadline):
            if (done := await self._saved(part, _id_of(task))) is not None:
                return done
            await check_place(part, _id_of(task))
            saved = await download(api, await self._find(task, allow_private_hosts, extras), part, limits)
            self._notes().note_saved(_id_of(task), saved, part.size)
            return saved
        raise DownloadError(
            f"the clip was not saved within the deadline of {deadline:g} s; what has come stays in the part file",
            kind="broken",
            task_id=_id_of(task),
            retryable=True,
        )

    async def _saved(self, part: PartFile, task_id: str) -> Path | None:
        """The file, if the journal knows that it is the clip, saved by an earlier call."""
        saved = await self._notes().saved(task_id)
        return None if saved is None else await on_disk(part.find_saved, *saved)

    async def content(
        self, task: TaskOrId, *, max_bytes: int = DEFAULT_MEMORY_BYTES, allow_private_hosts: bool = False
    ) -> bytes:
        """A finished clip's bytes, all in memory. Its URL is treated as `download` does it.

        Args:
            task: a finished task, or an id, which is retrieved first.
            max_bytes: stop above that size.
            allow_private_hosts: as of `download`.

        Raises:
            InvalidInputError: the task has not succeeded.
            DownloadError: it could not be fetched whole, is too large, or its URL is not to be trusted.

        Cancelling it leaves nothing.
        """
        return await load(self._metadata, await self._find(task, allow_private_hosts, CallExtras()), max_bytes)

    @asynccontextmanager
    async def stream_content(
        self, task: TaskOrId, *, max_bytes: int = DEFAULT_MAX_BYTES, allow_private_hosts: bool = False
    ) -> AsyncGenerator[AsyncIterator[bytes], None]:
        """A finished clip's bytes as they come. Its URL is treated as `download` does it.

            async with client.video.stream_content(task) as pieces:
                async for piece in pieces:
                    await upload.write(piece)

        A transfer that breaks is gone on with when the server names the file by an ETag or a date; what you have been
        given can't be taken back, so otherwise it is an error. The client's `deadline` covers each request until its
        answer begins, not the time that you take. One connection is held until the end of the `async with`.

        Args:
            task: a finished task, or an id, which is retrieved first.
            max_bytes: stop above that size.
            allow_private_hosts: as of `download`.

        Raises:
            InvalidInputError: the task has not succeeded.
            DownloadError: on entering: as `content`. While you iterate: it broke off, or is too large; the pieces so
                far are not the whole clip.

        Cancelling it closes the connection.
        """
        result = await self._find(task, allow_private_hosts, CallExtras())
        async with stream(self._metadata, result, max_bytes) as pieces:
            yield pieces

    @property
    def _metadata(self) -> Api:
        """For what a download asks of the API, which goes after all else."""
        return self._api.changed(order=Order.METADATA)

    async def _find(self, task: TaskOrId, allow_private: bool, extras: CallExtras) -> Result:
        """The clip of a task; one that had not ended when it was last seen is asked for."""
        api = apply(extras, self._metadata)
        if isinstance(task, str) or not task.is_terminal:
            task = await _poll(_build_poll(_id_of(task), extras), api)
        policy = HostPolicy.beside(self._api.base_url, allow_private=allow_private)
        task_id = task.task_id

        async def renew() -> ResultSource:
            return self._source(await _poll(_build_poll(task_id, extras), api), policy)

        try:
            return Result(self._source(task, policy), task_id, renew)
        except DownloadError as error:
            raise as_download_error(error, task_id) from None

    def _source(self, task: VideoTask, policy: HostPolicy) -> ResultSource:
        if task.status != "succeeded":
            raise InvalidInputError(
                f"task {task.task_id} is {task.status}: there is no clip to download", task_id=task.task_id
            )
        return ResultSource.of(task, self._api.base_url, policy)


class VideoRaw(RawView):
    """See `Video.with_raw_response`."""

    submit = Raw(Video.submit)
    retrieve = Raw(Video.retrieve)


class VideoStreamed(StreamedView):
    """See `Video.with_streaming_response`."""

    submit = Streamed(Video.submit)
    retrieve = Streamed(Video.retrieve)


def _check_deadline(deadline: float | None) -> None:
    if deadline is not None and not deadline > 0:
        raise InvalidInputError(f"deadline must be more than 0 seconds, not {deadline!r}")


def _id_of(task: TaskOrId) -> str:
    return task.task_id if isinstance(task, VideoTask) else task


def _build_poll(task_id: str, extras: CallExtras) -> PreparedRequest:
    return build_get(RETRIEVE.target(extras.query, task_id=task_id), task_id=task_id)


def _poll(request: PreparedRequest, api: Api) -> Coroutine[Any, Any, VideoTask]:
    return api.call(request, RETRIEVE.returns)


def _limit_timeout(api: Api) -> Api:
    return api.changed(timeout=api.options.timeout.at_most(_POLL_SECONDS))


async def _tell(hook: UpdateHook | None, task: VideoTask) -> None:
    if hook is None:
        return
    try:
        answer = hook(task)
        if inspect.isawaitable(answer):
            await answer
    except Exception:
        log.exception("on_update raised for task %s; the wait goes on", one_line(task.task_id))
