"""What becomes of an answer: values that a route is declared with."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any, Generic, Protocol, TypeAlias, TypeVar, cast

from pydantic import BaseModel

from .._sansio.decode import build_error_in, decode_result
from ..models._base import Result
from ..models.binary import BinaryContent
from ..models.meta import ResponseMeta
from .answer import Answer

T = TypeVar("T")
T_co = TypeVar("T_co", covariant=True)
M = TypeVar("M", bound=BaseModel)

Accept: TypeAlias = Callable[[BaseModel], Awaitable[None]]
"""Makes a journal keep what a call was paid for."""


async def _keep_at_once(result: Any, accept: Accept) -> bool:
    await accept(result)
    return False


async def _is_finished(result: Any) -> None:
    """Only a stream goes on."""


def _nothing(result: Any) -> BaseModel | None:
    """What comes at once is whole."""
    return None


@dataclass(frozen=True)
class Kept(Generic[T_co]):
    """How a journal keeps a result.

    Attributes:
        recall: makes the same of what was kept.
        keep: hands what is kept of a result to `Accept`, now or at the end of its stream; whether that is yet to come.
        finish: reads a stream to its end, for nobody else does.
        so_far: what has come of a stream.
    """

    recall: Callable[[str, ResponseMeta], T_co]
    keep: Callable[[Any, Accept], Awaitable[bool]] = _keep_at_once
    finish: Callable[[Any], Awaitable[None]] = _is_finished
    so_far: Callable[[Any], BaseModel | None] = _nothing


_PAGES = ("text/", "application/json", "application/xml")
"""What an error or a web page comes as, where bytes were asked for."""
_PAGE_BYTES = 1024 * 1024
"""Of a page that nobody has paid for."""


class Receiver(Protocol[T_co]):
    """What becomes of an answer.

    Attributes:
        takes: the statuses besides 2xx that it reads; an answer with another one is an error.
        returns: what it gives, in words, for the table of routes.
        holds: whether that goes on reading after the call has returned.
        kept: how a journal keeps what it gives, or None: it can't.
    """

    @property
    def takes(self) -> frozenset[int]: ...

    @property
    def returns(self) -> str: ...

    @property
    def holds(self) -> bool: ...

    @property
    def kept(self) -> Kept[T_co] | None: ...

    def __call__(self, answer: Answer, /) -> Awaitable[T_co]:
        """Read the answer."""
        ...


@dataclass(frozen=True)
class _Reading(Generic[T]):
    read: Callable[[Answer], Awaitable[T]]
    returns: str
    takes: frozenset[int] = frozenset()
    holds: bool = False
    kept: Kept[T] | None = None

    def __call__(self, answer: Answer, /) -> Awaitable[T]:
        return self.read(answer)


def as_model(model: type[M]) -> Receiver[M]:
    """The answer read whole and decoded.

    Raises:
        APIStatusError: it is an error all the same.
        ResponseDecodeError: it is neither the model nor an error.
    """

    async def read(answer: Answer) -> M:
        body = await answer.read()
        result = decode_result(model, body, lambda: answer.meta)
        if is_ours:
            cast(Result, result).give_meta(answer.facts())
        return result

    is_ours = issubclass(model, Result)
    return _Reading(read, model.__name__, kept=Kept(recalling(model)))


def recalling(model: type[M]) -> Callable[[str, ResponseMeta], M]:
    """Reads the model from a journal."""

    def recall(answer: str, meta: ResponseMeta) -> M:
        found = model.model_validate_json(answer)
        if isinstance(found, Result):
            found.give_meta(meta)
        return found

    return recall


def as_bytes(*kinds: str) -> Receiver[BinaryContent]:
    """The answer's bytes, read whole.

    Args:
        kinds: the beginnings of content types that it may have, such as "audio/"; none: any but a web page or JSON,
            which is an error.
    """

    async def read(answer: Answer) -> BinaryContent:
        await refuse_page(answer, "the answer is not of the kind that was asked for", kinds)
        return BinaryContent(await answer.read(), answer.facts())

    return _Reading(read, "bytes")


def as_text() -> Receiver[str]:
    """The answer's text: UTF-8, what can't be decoded replaced. Only a web page is refused."""

    async def read(answer: Answer) -> str:
        await refuse_page(answer, "the answer is no plain text", ("text/plain", "text/vtt", "application/"))
        return (await answer.read()).decode("utf-8", "replace")

    return _Reading(read, "text")


def as_read(
    read: Callable[[Answer], Awaitable[T]],
    returns: str,
    *,
    kept: Kept[T] | None = None,
) -> Receiver[T]:
    """Whatever a function makes of the answer.

    Args:
        read: the function.
        returns: what it gives, in words.
        kept: see `Receiver`.
    """
    return _Reading(read, returns, kept=kept)


def as_stream(read: Callable[[Answer], Awaitable[T]], *, kept: Kept[T] | None = None) -> Receiver[T]:
    """What goes on reading the answer after the call has returned (`Answer.keep`). It holds its connection until it is
    closed.

    Args:
        kept: see `Receiver`.
    """
    return _Reading(read, "stream", holds=True, kept=kept)


def reading(
    read: Callable[[Answer], Awaitable[T]], returns: str, *, like: Receiver[Any], kept: Kept[T] | None = None
) -> Receiver[T]:
    """One around another."""
    return _Reading(read, returns, like.takes, like.holds, kept)


def is_event_stream(answer: Answer) -> bool:
    """Whether it says that it is server-sent events."""
    return answer.headers.get("content-type", "").lower().startswith("text/event-stream")


async def refuse_page(answer: Answer, problem: str, kinds: tuple[str, ...] = ()) -> None:
    """Let only an answer of these content types pass; without any, all but an error or a web page.

    Raises:
        APIStatusError: it is an error with a good status.
        ResponseDecodeError: it is something else.
    """
    kind = answer.headers.get("content-type", "").lower()
    if kind.startswith(kinds) if kinds else not kind.startswith(_PAGES):
        return
    limit = answer.limit if answer.is_billed else min(answer.limit, _PAGE_BYTES)
    raise build_error_in(await answer.read(limit), answer.meta, problem)
