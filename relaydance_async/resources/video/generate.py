"""All of it: a clip from its prompt to its file."""

from __future__ import annotations

import inspect
import os
from collections.abc import Coroutine, Generator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple, Unpack

from ..._call import Api
from ..._sansio.extras import CallExtras
from ...errors import DownloadError, TaskFailedError, mark_accepted
from ...models.video import VideoTask
from .._resource import made_at_once
from .._task_events import TaskEvents
from ..download import PartFile, SaveSettings, as_path, check_place
from .hooks import Hooks, PercentHook, SubmitHook, UpdateHook
from .params import VIDEO_PARAMS, VideoParams
from .polls import Polls
from .save import Saving
from .submit import Submitting
from .tasks import check_deadline


class Generating(Submitting, Saving):
    """Makes clips."""

    @made_at_once
    def generate(
        self,
        *,
        model: str,
        prompt: str,
        path: str | os.PathLike[str] | None = None,
        overwrite: bool = True,
        deadline: float | None = None,
        on_submit: SubmitHook | None = None,
        on_update: UpdateHook | None = None,
        on_progress: PercentHook | None = None,
        receiver: TaskEvents | None = None,
        **params: Unpack[VideoParams],
    ) -> Coroutine[Any, Any, VideoTask]:
        """Make a clip: `submit`, then `wait`, with the arguments and errors of both. With a `path`, then `download`.

            task = await client.video.generate(model=model, prompt="@image1 runs", references=["cat.png"], path="a.mp4")

        `path` is where the clip is saved; a directory takes `<task_id>.mp4`. That a file may be there is looked at
        before anything is sent. A file that is there is replaced, unless `overwrite` is False: then it is an error.
        (With an `idempotency_key`, a file that the journal knows to be this clip is left as it is.)

        `on_submit` is called with the task's id, once, before the wait begins, and awaited if it returns an awaitable:
        the place to keep the id for a later process. What it raises ends the call, unchanged; the task goes on.
        `on_update` and `on_progress` get the submitted task as well. `deadline` counts from then on, and not for the
        download.

        With an `idempotency_key` the submit is what a journal remembers: generating again with the same key waits for
        the same clip, or gives it at once.

        `extra_headers`, `extra_query` and `timeout` hold for the polls as well.

        Args:
            model: as of `submit`.
            prompt: as of `submit`.
            path: where the clip is saved; None saves nothing.
            overwrite: replace a file that is there.
            deadline: seconds to wait for the task, from the submit on. None waits as long as it takes.
            on_submit: gets the task's id.
            on_update: gets the task, at first and at each change.
            on_progress: gets a number from 0 to 100, at first and when it has grown.
            receiver: a `WebhookReceiver` that may end the wait before a poll does.
            params: as of `submit`.

        Raises:
            TypeError, InvalidInputError, DownloadError: before anything is sent.
            APIStatusError, APIConnectionError: as `submit`; `maybe_accepted` says whether a clip may be in the making.
            TaskFailedError: the task failed. It is not billed.
            TaskTimeoutError: the deadline passed. The task goes on.
            DownloadError: the clip could not be saved. It is made, and `video.download` gets it by its id.

        Cancelling it after the submit leaves the task running. A note on the cancellation has its id (`__notes__`), as
        has a note on every other error but `TaskFailedError`; `maybe_accepted(exception)` is True of all these.
        """
        check_deadline(deadline)
        _, extras = CallExtras.take(params, VIDEO_PARAMS)
        hooks = Hooks(on_update, on_progress)
        wait = _Wait(deadline, hooks, receiver)
        save = None if path is None else _Save(as_path(path), overwrite)
        submit = self.submit(model=model, prompt=prompt, **params)
        return self._generate(submit, on_submit, wait, save, extras)

    async def _generate(
        self,
        submit: Coroutine[Any, Any, VideoTask],
        on_submit: SubmitHook | None,
        wait: _Wait,
        save: _Save | None,
        extras: CallExtras,
    ) -> VideoTask:
        if save is not None:
            await _checked(save, submit, may_be_there=extras.idempotency_key is not None)
        task = await submit
        with _resumable(task.task_id):
            if on_submit is not None and inspect.isawaitable(answer := on_submit(task.task_id)):
                await answer
            await wait.hooks.tell(task)
            task = await wait.polls(self._api, task, extras).until_end()
            if save is not None:
                settings = SaveSettings(overwrite=save.overwrite)
                await self._download(task, settings.part(save.path, task.task_id), settings, extras)
            return task


class _Wait(NamedTuple):
    """How it is waited for."""

    deadline: float | None
    hooks: Hooks
    receiver: TaskEvents | None

    def polls(self, api: Api, task: VideoTask, extras: CallExtras) -> Polls:
        return Polls(
            *(api, task.task_id, extras),
            deadline=self.deadline,
            hooks=self.hooks,
            receiver=self.receiver,
            last_seen=task,
        )


class _Save(NamedTuple):
    """Where the clip is to be."""

    path: Path
    overwrite: bool


async def _checked(save: _Save, submit: Coroutine[Any, Any, VideoTask], *, may_be_there: bool) -> None:
    """That a file may be there, before a clip is paid for.

    Args:
        may_be_there: it may be the clip itself, of an earlier run.
    """
    try:
        await check_place(PartFile(save.path, "clip", overwrite=save.overwrite or may_be_there), None)
    except BaseException as error:
        submit.close()  # it would warn that it was never awaited
        mark_accepted(error, False)
        raise


@contextmanager
def _resumable(task_id: str) -> Generator[None, None, None]:
    """What goes wrong from now on leaves a clip that is paid for."""
    try:
        yield
    except TaskFailedError:
        raise  # it has ended: there is nothing to resume
    except BaseException as error:
        resume = f"client.video.wait({task_id!r})"
        if isinstance(error, DownloadError):
            resume = f"client.video.download({task_id!r}, path)"
        mark_accepted(error, True, note=f"video task {task_id} was submitted; resume with {resume}")
        raise
