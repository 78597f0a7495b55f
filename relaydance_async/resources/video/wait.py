"""`GET /video/generations/{task_id}`, once and until the end."""

from __future__ import annotations

from collections.abc import AsyncGenerator, AsyncIterable, Callable, Coroutine, Iterable
from typing import Any, Unpack

from ..._sansio.extras import CallExtras
from ...errors import TaskFailedError
from ...fanout import FanOut, Outcome, fan_out, fan_out_list
from ...models._options import ReadOptions, RequestOptions
from ...models.video import VideoTask
from .._resource import READ_OPTIONS
from .._task_events import TaskEvents
from .hooks import Hooks, PercentHook, UpdateHook
from .params import REQUEST_OPTIONS
from .polls import Polls
from .routes import RETRIEVE
from .tasks import TaskOrId, TaskResource, build_poll, check_deadline, id_of

MOST_WAITS = 10_000
"""Waits at once in a fan-out, unless the caller says otherwise."""


class Waiting(TaskResource):
    """Waits for tasks."""

    async def retrieve(self, task: TaskOrId, **options: Unpack[ReadOptions]) -> VideoTask:
        """The task as it is now. Safe to repeat.

        Args:
            task: a task or its id.
            options: `extra_headers`, `extra_query`, `timeout`, `deadline`.

        Raises:
            NotFoundError: there is no such task.
        """
        _, extras = CallExtras.take(options, READ_OPTIONS)
        return await self._execute(build_poll(id_of(task), extras), RETRIEVE.returns, extras)

    async def wait(
        self,
        task: TaskOrId,
        *,
        deadline: float | None = None,
        on_update: UpdateHook | None = None,
        on_progress: PercentHook | None = None,
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
            on_progress: called with the progress, 0 to 100, at first and each time that it has grown; treated like
                `on_update`.
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
        check_deadline(deadline)
        _, extras = CallExtras.take(options, REQUEST_OPTIONS)
        hooks = Hooks(on_update, on_progress)
        polls = Polls(self._api, id_of(task), extras, deadline=deadline, hooks=hooks, receiver=receiver)
        return await polls.until_end()

    def resume(
        self,
        tasks: Iterable[TaskOrId] | AsyncIterable[TaskOrId],
        *,
        in_flight: int = MOST_WAITS,
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
            deadline: of each `wait`, in seconds.
            on_update: of each `wait`.
            receiver: of each `wait`.
            options: of each `wait`.

        Raises:
            InvalidInputError: before anything is sent: the deadline is not above 0, or no iterable.
            FanOutStoppedError: at the end of the iteration: polling can't succeed, such as with a refused key.

        Leaving the `async with` ends the waits, and leaves the tasks running. Only on asyncio and uvloop.
        """
        wait = self._waits(deadline, on_update, receiver, options)
        return fan_out(wait, tasks, in_flight=in_flight)

    async def wait_all(
        self,
        tasks: Iterable[TaskOrId] | AsyncIterable[TaskOrId],
        *,
        deadline: float | None = None,
        on_update: UpdateHook | None = None,
        receiver: TaskEvents | None = None,
        **options: Unpack[RequestOptions],
    ) -> list[VideoTask]:
        """Wait until all of these tasks have ended.

        Args:
            tasks: tasks or their ids.
            deadline: of each `wait`, in seconds.
            on_update: of each `wait`.
            receiver: of each `wait`.
            options: of each `wait`.

        Returns:
            The ended tasks in the order given. One that failed is among them, with its `error`.

        Raises:
            InvalidInputError: before anything is sent: the deadline is not above 0, or no iterable.
            TaskTimeoutError: a task did not end in time. All other waits are over by then.
            FanOutStoppedError: polling can't succeed, such as with a refused key.
            RelayDanceError: of a wait that could not succeed.

        Cancelling it leaves the tasks running. Only on asyncio and uvloop.
        """
        wait = self._waits(deadline, on_update, receiver, options)
        return [_ended(outcome) for outcome in await fan_out_list(wait, tasks, in_flight=MOST_WAITS)]

    async def as_completed(
        self,
        tasks: Iterable[TaskOrId] | AsyncIterable[TaskOrId],
        *,
        deadline: float | None = None,
        on_update: UpdateHook | None = None,
        receiver: TaskEvents | None = None,
        **options: Unpack[RequestOptions],
    ) -> AsyncGenerator[VideoTask, None]:
        """The tasks as they end, the first one first.

            async for task in client.video.as_completed(tasks):
                print(task.task_id, task.status, task.url)

        A task that failed comes too, with its `error`. To leave the loop early and wait until the other waits are over,
        use `contextlib.aclosing`; or use `resume`, which also gives errors as data.

        Args:
            tasks: tasks or their ids.
            deadline: of each `wait`, in seconds.
            on_update: of each `wait`.
            receiver: of each `wait`.
            options: of each `wait`.

        Raises like `wait_all`, at the first task whose wait can't succeed.

        Leaving it leaves the tasks running. Only on asyncio and uvloop.
        """
        wait = self._waits(deadline, on_update, receiver, options)
        async with fan_out(wait, tasks, in_flight=MOST_WAITS) as outcomes:
            async for outcome in outcomes:
                yield _ended(outcome)

    def _waits(
        self,
        deadline: float | None,
        on_update: UpdateHook | None,
        receiver: TaskEvents | None,
        options: RequestOptions,
    ) -> Callable[[TaskOrId], Coroutine[Any, Any, VideoTask]]:
        check_deadline(deadline)
        CallExtras.take(options, REQUEST_OPTIONS)

        def wait(task: TaskOrId) -> Coroutine[Any, Any, VideoTask]:
            return self.wait(task, deadline=deadline, on_update=on_update, receiver=receiver, **options)

        return wait


def _ended(outcome: Outcome[TaskOrId, VideoTask]) -> VideoTask:
    """The task, whether it succeeded or failed. Raises what kept it from being seen."""
    if isinstance(outcome.error, TaskFailedError) and outcome.error.task is not None:
        return outcome.error.task
    return outcome.value
