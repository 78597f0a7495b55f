"""Many who watch one task: the polls of one wait serve all of them."""

from __future__ import annotations

import copy
from collections.abc import AsyncGenerator
from contextvars import Context
from typing import Any, Unpack

import anyio

from ..._call import Api
from ..._errand import start_errand
from ..._sansio.extras import CallExtras
from ...errors import RelayDanceError, TaskError, TaskFailedError, TaskTimeoutError
from ...models._options import RequestOptions
from ...models.video import VideoTask
from .hooks import Hooks
from .params import REQUEST_OPTIONS
from .polls import Polls
from .tasks import TaskOrId, TaskResource, check_deadline, id_of

KEPT_SECONDS = 60.0
"""How long the end of a task is known to viewers who come after it. (Browsers come back to a stream that has ended.)"""


class _Watched:
    """A task that is watched.

    Attributes:
        task: as it was last seen.
        seen: how often it has changed.
        viewers: who look at it now.
        is_over: whether nobody polls it any more.
        error: why, if that is an error.
        until: when to forget it; it is over then.
    """

    def __init__(self, api: Api, task_id: str, extras: CallExtras) -> None:
        self.task_id = task_id
        self.task: VideoTask | None = None
        self.seen = 0
        self.viewers = 0
        self.is_over = False
        self.error: BaseException | None = None
        self.until = float("inf")
        self._changed = anyio.Event()
        self._api = api
        polls = Polls(api, task_id, extras, hooks=Hooks(self._publish))
        # In a context of its own: the polls are not those of the viewer who happened to come first.
        self._errand: Any = Context().run(start_errand, lambda: self._poll(polls))

    def stop(self) -> None:
        """Nobody watches any more."""
        self._errand.stop()

    async def changed(self) -> None:
        """Wait for a change, or for the end of the polls."""
        await self._changed.wait()

    def _publish(self, task: VideoTask) -> None:
        self.task, self.seen = task, self.seen + 1
        self._wake()

    def why(self) -> BaseException:
        """What ended the polls; each viewer gets one of its own."""
        if self.error is None:
            told = f"the polls of video task {self.task_id} were stopped"
            return TaskError(told, task=self.task, task_id=self.task_id)
        return copy.copy(self.error) if isinstance(self.error, RelayDanceError) else self.error

    async def _poll(self, polls: Polls) -> None:
        try:
            await polls.until_end()
        except TaskFailedError:
            pass  # the viewers have seen it
        except Exception as error:
            self.error = error
        finally:
            self.is_over = True
            self.until = self._api.clock.monotonic() + (KEPT_SECONDS if self.error is None else 0.0)
            self._wake()

    def _wake(self) -> None:
        changed, self._changed = self._changed, anyio.Event()
        changed.set()


class _Register:
    """What is watched in one loop, by the key that it is asked with and the task."""

    def __init__(self) -> None:
        self._watched: dict[tuple[str, str], _Watched] = {}

    def join(self, api: Api, task_id: str, extras: CallExtras) -> _Watched:
        """Begin to look at it; `leave` at the end."""
        self._forget(api.clock.monotonic())
        key = (api.sender, task_id)
        if (watched := self._watched.get(key)) is None:
            watched = self._watched[key] = _Watched(api, task_id, extras)
        watched.viewers += 1
        return watched

    def leave(self, api: Api, task_id: str, watched: _Watched) -> None:
        """The last one to leave ends the polls."""
        watched.viewers -= 1
        if not watched.viewers and not watched.is_over:
            watched.stop()
            if self._watched.get((api.sender, task_id)) is watched:
                del self._watched[api.sender, task_id]

    def _forget(self, now: float) -> None:
        for key in [key for key, watched in self._watched.items() if watched.until <= now]:
            del self._watched[key]


class Watching(TaskResource):
    """Shows tasks as they come on."""

    async def watch(
        self, task: TaskOrId, *, deadline: float | None = None, **options: Unpack[RequestOptions]
    ) -> AsyncGenerator[VideoTask, None]:
        """The task as it is now, and at each change up to its end.

            async for task in client.video.watch(task_id):
                print(task.status, task.progress)

        All who watch a task with the same client, in one event loop, share one set of polls, which are those of `wait`.
        The first to come begins them, and the last to leave ends them. Who is slow misses what lies between: it gets
        the task as it is. A task that failed is the last thing shown, and no error. Its end stays known for a minute.

        The polls have the options of the first one who watches, and those of its view of the client. Another client
        polls for itself: it has hooks, limits and connections of its own, and may be closed earlier. So make one
        client for the process, and views of it.

        Args:
            task: a task or its id.
            deadline: seconds to watch. None watches as long as it takes.
            options: `extra_headers`, `extra_query` and `timeout` of each poll.

        Raises:
            InvalidInputError: at the first step: the deadline is not above 0, or the id can't be one.
            TaskTimeoutError: the deadline passed, or only strangers answered for 10 minutes. The task may go on.
            RelayDanceError: polling can't succeed.

        Leaving the loop leaves the task running. (If you leave it by `break`, close it with `contextlib.aclosing`.)
        """
        check_deadline(deadline)
        _, extras = CallExtras.take(options, REQUEST_OPTIONS)
        task_id = id_of(task)
        until = None if deadline is None else anyio.current_time() + deadline
        register = (await self._api.loop_memory()).of(_Register)
        watched = register.join(self._api, task_id, extras)
        try:
            seen = 0
            while True:
                update, seen = await _next(watched, seen, until)
                yield update
                if update.is_terminal:
                    return
        finally:
            register.leave(self._api, task_id, watched)


async def _next(watched: _Watched, seen: int, until: float | None) -> tuple[VideoTask, int]:
    """The task, once it has changed after so many changes, and how many there are now.

    Args:
        until: when to give up, on anyio's clock.
    """
    while watched.seen == seen or watched.task is None:
        if watched.is_over:
            raise watched.why()
        with anyio.move_on_after(None if until is None else until - anyio.current_time()) as scope:
            await watched.changed()
        if scope.cancelled_caught:
            told = f"video task {watched.task_id} has not ended in time; it goes on"
            raise TaskTimeoutError(told, task=watched.task, task_id=watched.task_id)
    return watched.task, watched.seen
