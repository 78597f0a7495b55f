"""A submit with materials that are to be read, uploaded or asked for first.

Until it is sent, a request stands for it that names contents and tasks instead of addresses: that is what an
idempotency key is compared with. So a program that is run again with the same files finds its clip, and uploads
nothing.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, Awaitable, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from functools import partial
from typing import Any, TypeAlias

import anyio

from ..._call import Api
from ..._sansio.extras import CallExtras
from ..._sansio.request import PreparedRequest, build_model, build_post
from ...errors import InvalidInputError, mark_unsent
from ...models.references import AudioReference, FirstFrame, ImageReference, LastFrame, VideoReference
from ...models.video import VideoRequest, VideoTask
from .._local_file import LocalFile, look_at
from .._resource import apply
from .._uploads import url_of
from .materials import Item, Local, OfTask, ReferenceKind
from .routes import SUBMIT
from .tasks import build_poll, poll

_KINDS: Mapping[str, ReferenceKind] = {"image": ImageReference, "video": VideoReference, "audio": AudioReference}
_NAMES: Mapping[ReferenceKind, str] = {
    ImageReference: "image",
    FirstFrame: "image",
    LastFrame: "image",
    VideoReference: "video",
    AudioReference: "audio",
}


@dataclass(frozen=True, slots=True)
class _Pending:
    """Something whose address is yet to come.

    Attributes:
        name: what stands for the address, the same for the same thing.
        find: finds the address.
    """

    kind: ReferenceKind
    name: str
    find: Callable[[], Awaitable[str]]


_Found: TypeAlias = _Pending | Any


def build_submit(arguments: Mapping[str, Any], extras: CallExtras) -> PreparedRequest:
    """The request for a clip.

    Raises:
        InvalidInputError: an argument that can't be sent.
    """
    body = build_model(VideoRequest, arguments).body()
    return build_post(SUBMIT.target(extras.query), body, extra_body=extras.body, safety=SUBMIT.safety)


class Draft:
    """One such submit.

    Args:
        api: of the client.
        arguments: of the request, without its materials.
        items: the materials.
        extras: what this call adds.
    """

    def __init__(self, api: Api, arguments: Mapping[str, Any], items: Sequence[Item], extras: CallExtras) -> None:
        # Headers that the caller adds are for the submit.
        self._api = apply(CallExtras(timeout=extras.timeout, deadline=extras.deadline), api)
        self._arguments = arguments
        self._items = items
        self._extras = extras

    async def prepare(self) -> PreparedRequest:
        """Read what is to be read, and check all that can be before anything is sent.

        Raises:
            InvalidInputError: a file that can't be sent, or that is no image, video or sound.
        """
        found = [await self._look_at(item) for item in self._items]
        return replace(self._build(found, {}), made=partial(self._make, found))

    async def _make(self, found: Sequence[_Found]) -> PreparedRequest:
        """The request with all addresses, which are found at the same time."""
        pending = {item.name: item.find for item in found if isinstance(item, _Pending)}
        async with _before_the_submit():
            urls = await _all_of(pending)
        return self._build(found, urls)

    def _build(self, found: Sequence[_Found], urls: Mapping[str, str]) -> PreparedRequest:
        references = [
            item.kind(urls.get(item.name, item.name)) if isinstance(item, _Pending) else item for item in found
        ]
        return build_submit({**self._arguments, "references": references}, self._extras)

    async def _look_at(self, item: Item) -> _Found:
        if isinstance(item, OfTask):
            what = "clip" if item.kind is VideoReference else "last_frame"
            return _Pending(item.kind, f"task:{item.task_id}:{what}", partial(self._made_by, item))
        if isinstance(item, Local):
            file = await look_at(item.content)
            return _Pending(_kind_of(file, item.kind), f"sha256:{file.digest}", partial(url_of, self._api, file))
        return item

    async def _made_by(self, item: OfTask) -> str:
        """The address of what a task has made. It is asked for anew: the one that the caller has may have expired."""
        task = await poll(build_poll(item.task_id, CallExtras()), self._api)
        url = task.url if item.kind is VideoReference else task.last_frame_url
        if url is None:
            raise InvalidInputError(_missing(task, item), task_id=item.task_id)
        return url


def _kind_of(file: LocalFile, wanted: ReferenceKind | None) -> ReferenceKind:
    """What kind of reference it is.

    Raises:
        InvalidInputError: nobody knows, or it is another than the caller says.
    """
    family = file.media_type.partition("/")[0]
    found = _KINDS.get(family)
    if wanted is None:
        if found is None:
            raise InvalidInputError(f"{file.shown} is {file.media_type}, and no image, video or sound")
        return found
    if found is not None and family != _NAMES[wanted]:
        raise InvalidInputError(f"{file.shown} is {file.media_type}, and no {_NAMES[wanted]}")
    return wanted


def _missing(task: VideoTask, item: OfTask) -> str:
    if task.status == "failed":
        return f"task {task.task_id} has failed: there is nothing to refer to"
    if task.status != "succeeded":
        return f"task {task.task_id} is {task.status}: there is nothing yet to refer to; wait for it first"
    if item.kind is VideoReference:
        return f"the clip of task {task.task_id} has no URL to refer to"
    return f"task {task.task_id} gave no last frame; submit it with return_last_frame=True"


@asynccontextmanager
async def _before_the_submit() -> AsyncGenerator[None, None]:
    """What goes wrong here costs no clip."""
    try:
        yield
    except BaseException as error:
        mark_unsent(error, "this was before the submit: no clip was asked for")
        raise


async def _all_of(finds: Mapping[str, Callable[[], Awaitable[str]]]) -> dict[str, str]:
    """What all of them find. One that fails stops no other: what is uploaded need not be uploaded again."""
    found: dict[str, str] = {}
    errors: list[Exception] = []

    async def find(name: str) -> None:
        try:
            found[name] = await finds[name]()
        except Exception as error:
            errors.append(error)

    async with anyio.create_task_group() as group:
        for name in finds:
            group.start_soon(find, name)
    if errors:
        raise errors[0]
    return found
