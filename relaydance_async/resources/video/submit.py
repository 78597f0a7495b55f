"""`POST /video/generations`."""

from __future__ import annotations

import logging
from collections.abc import Coroutine
from typing import Any, Unpack

from ..._sansio.extras import CallExtras
from ..._sansio.redact import one_line
from ...errors import RelayDanceError
from ...models.video import VideoTask
from .._resource import apply, made_at_once
from .draft import Draft, build_submit
from .materials import Item, needs_work, take_materials
from .params import SUBMIT_PARAMS, SubmitParams
from .routes import SUBMIT
from .tasks import TaskResource, build_poll, poll

log: logging.Logger = logging.getLogger("relaydance_async")


class Submitting(TaskResource):
    """Asks for clips."""

    @made_at_once
    def submit(self, *, model: str, prompt: str, **params: Unpack[SubmitParams]) -> Coroutine[Any, Any, VideoTask]:
        """Submit a clip. It is billed when it succeeds.

        Args:
            model: its id.
            prompt: what to show; reference images are cited as `@image1`, `@image2`, … in their order.
            params: `seconds` (length of the clip, by model up to 15), `ratio` ("16:9", …), `resolution` ("1080p", …),
                `generate_audio`, `callback_url` (the webhook), `references`, `first_frame`, `last_frame` (see below),
                `return_last_frame` (the result then has `last_frame_url`), `metadata` (any other key, such as `seed`),
                `extra_body` (top-level fields that this version doesn't know), `extra_headers`, `extra_query`,
                `timeout`, `deadline` (seconds, with queueing and retries, of each request).

        A reference is a URL, a path, bytes, a binary file that can be rewound, an `UploadedFile`, a task (its clip), or
        one of `ImageReference`, `VideoReference`, `AudioReference`, `FirstFrame`, `LastFrame`. Text that begins with a
        scheme (`https:`, `asset:`) is a URL, and all other text the path of a file. Text within one of the classes is
        always a URL: wrap so what comes from your users. A frame is the same; of a task it is the last frame.

        Files are uploaded first, each content once. The client remembers it for a day, and so does its journal. A
        file's content tells an image from a video and a sound. An upload that fails stops the submit. A task is asked
        for first, because its URL may have expired.

        With an `idempotency_key` a file counts by its content, and a task by its id: when the key has its clip already,
        nothing is uploaded.

        Raises:
            TypeError: a keyword that it doesn't take; at once.
            InvalidInputError: before anything is sent: a wrong reference, a file that can't be read, more of them than
                the API takes (9 images, 3 videos, 3 sounds), a first or last frame together with reference images, or a
                key given twice. Before the submit: a task that has no such clip or frame.
            APIStatusError: the gateway refused; not billed.
            APIConnectionError: no answer; `maybe_accepted` says whether a clip may be in the making.

        Cancelling it after the request was sent may leave a clip that is paid for, without its id.
        """
        arguments, extras = CallExtras.take(params, SUBMIT_PARAMS)
        items = take_materials(arguments)
        given = {name: value for name, value in arguments.items() if name not in _MATERIALS}
        submit = self._submit({"model": model, "prompt": prompt, **given}, items, extras)
        is_raw = self._mode is not None
        return submit if is_raw or extras.idempotency_key is None else self._renewed(submit, extras)

    def _submit(
        self, arguments: dict[str, Any], items: list[Item], extras: CallExtras
    ) -> Coroutine[Any, Any, VideoTask]:
        if needs_work(items):
            return self._submit_draft(Draft(self._api, arguments, items, extras), extras)
        if items:
            arguments["references"] = items
        return self._execute(build_submit(arguments, extras), SUBMIT.returns, extras)

    async def _submit_draft(self, draft: Draft, extras: CallExtras) -> VideoTask:
        request = await draft.prepare()
        if extras.idempotency_key is None and request.made is not None:
            request = await request.made()
        return await self._execute(request, SUBMIT.returns, extras)

    async def _renewed(self, submit: Coroutine[Any, Any, VideoTask], extras: CallExtras) -> VideoTask:
        """The submitted task. If its submit was replayed, and its URL may have expired, it is asked for again."""
        task = await submit
        if not (task.meta.replayed and task.status == "succeeded") or await self._notes().ended(task.task_id):
            return task
        try:
            fresh = await poll(build_poll(task.task_id, extras), apply(extras, self._api))
        except RelayDanceError as error:
            log.warning("the URL of task %s could not be renewed: %s", one_line(task.task_id), one_line(error.message))
            return task
        self._notes().note(fresh)
        fresh.give_meta(task.meta)
        return fresh


_MATERIALS = frozenset({"references", "first_frame", "last_frame"})
