"""One wait for a task: its polls, and the webhook that may come before the next of them."""

from __future__ import annotations

from contextlib import nullcontext

import anyio
import anyio.lowlevel

from ..._call import Api, WaitWatchers
from ..._polling import ACTIVE_WAITS
from ..._sansio.extras import CallExtras
from ..._sansio.polling import AT_ONCE, Place
from ..._sansio.watch import Watch, check_success
from ...errors import RelayDanceError
from ...models.video import VideoTask
from .._resource import apply
from .._task_events import EndEvent, TaskEvents
from .._task_notes import TaskNotes
from .hooks import Hooks
from .tasks import build_poll, poll

_POLL_SECONDS = 30.0
"""The longest that one phase of a poll may take. The gateway answers a poll at once as a rule, so one that hangs is
better asked again."""


class Polls:
    """The polls of one wait.

    Args:
        api: of the client.
        task_id: of the task.
        extras: of each poll.
        deadline: of the wait, in seconds from now.
        hooks: who wants to hear of changes.
        receiver: who hears of the end.
        last_seen: the task as the hooks know it already.
    """

    def __init__(
        self,
        api: Api,
        task_id: str,
        extras: CallExtras,
        *,
        deadline: float | None = None,
        hooks: Hooks | None = None,
        receiver: TaskEvents | None = None,
        last_seen: VideoTask | None = None,
    ) -> None:
        self._clock = api.clock
        self._notes = TaskNotes(api)
        self._api = apply(extras, api.changed(timeout=api.options.timeout.at_most(_POLL_SECONDS)))
        self._request = build_poll(task_id, extras)
        self._deadline = deadline
        self._hooks = hooks or Hooks()
        self._receiver = receiver
        self._event = EndEvent()
        begun, place = self._clock.monotonic(), Place.draw(self._clock.random)
        self._watch = Watch(task_id, begun=begun, place=place, deadline=deadline, last_seen=last_seen)

    async def until_end(self) -> VideoTask:
        """The task that has succeeded.

        Raises:
            TaskFailedError: it failed.
            TaskTimeoutError: the deadline passed, or only strangers answered for too long.
            RelayDanceError: polling can't succeed.
        """
        task_id = self._watch.task_id
        if (ended := await self._notes.ended(task_id)) is not None:
            await self._hooks.tell(ended)
            return check_success(ended)
        subscribed = self._receiver.subscribe(task_id, self._event.set) if self._receiver else nullcontext()
        with self._api.watch_wait(task_id) as watchers:
            with ACTIVE_WAITS.one_more(), anyio.move_on_after(self._deadline), subscribed:
                return await self._repeat(watchers)
            raise self._watch.out_of_time()

    async def _repeat(self, watchers: WaitWatchers) -> VideoTask:
        pause = await self._first_pause()
        while True:
            try:
                task = await self._event.first_of(self._poll_after(pause))
            except RelayDanceError as error:
                if not self._watch.record_error(error, self._clock.monotonic()):
                    watchers.polled(None, error, None)
                    raise
                pause = self._next_pause()
                watchers.polled(None, error, pause)
            else:
                await self._take_in(task, watchers)
                if task.is_terminal:
                    return check_success(task)
                pause = self._next_pause()
                watchers.polled(task, None, pause)

    async def _take_in(self, task: VideoTask, watchers: WaitWatchers) -> None:
        if task.is_terminal:
            self._notes.note(task)  # before a hook that may take long
            watchers.polled(task, None, None)
        if self._watch.record(task):
            await self._hooks.tell(task)

    async def _first_pause(self) -> float:
        if len(ACTIVE_WAITS) <= AT_ONCE:
            return 0.0
        await anyio.lowlevel.checkpoint()  # those that begin in the same moment count as well
        return self._next_pause()

    def _next_pause(self) -> float:
        return self._watch.next_poll(self._clock.monotonic(), len(ACTIVE_WAITS), self._api.learned_limit)

    async def _poll_after(self, pause: float) -> VideoTask:
        if pause:
            await self._clock.sleep(pause)
        began = self._clock.monotonic()
        try:
            return self._watch.check(await poll(self._request, self._api))
        finally:
            self._watch.polled(self._clock.monotonic() - began)
