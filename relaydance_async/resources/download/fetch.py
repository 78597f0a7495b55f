"""The requests for a result: redirects are followed, and a URL that has expired is renewed, once."""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import Protocol, TypeAlias, TypeVar

from ..._call import Answer, Api
from ..._sansio.request import build_get
from ..._sansio.target import ForeignTarget
from ...errors import (
    APIConnectionError,
    APIStatusError,
    DownloadError,
    DownloadErrorKind,
    RelayDanceError,
    ResponseDecodeError,
)
from .resume import AskAgain
from .source import ResultSource, ResultTarget, check_addresses

T = TypeVar("T")
T_co = TypeVar("T_co", covariant=True)

_MOST_REDIRECTS = 5
_GONE = frozenset({403, 404, 410})
_EXPIRED = re.compile(r"expired", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Result:
    """Something that the API has made.

    Attributes:
        source: where it is.
        task_id: of its task, for errors; an image has none.
        renew: finds where it is now, when its URL has expired; None: it has no other.
    """

    source: ResultSource
    task_id: str | None = None
    renew: Callable[[], Awaitable[ResultSource]] | None = None


@dataclass(frozen=True, slots=True)
class Moved:
    """The server names another place. `location`: as it wrote it, which may be anything."""

    location: str


Again: TypeAlias = Moved | AskAgain


class ResultReceiver(Protocol[T_co]):
    """A receiver that also says which part of the result it asks for."""

    takes: frozenset[int]
    returns: str
    holds: bool
    kept: None

    def headers(self) -> Mapping[str, str]:
        """Of the next attempt."""
        ...

    def __call__(self, answer: Answer, /) -> Awaitable[T_co | Again]:
        """Take in an answer."""
        ...


async def fetch(api: Api, result: Result, receive: ResultReceiver[T]) -> T:
    """Ask until there is an answer with the result.

    Raises:
        DownloadError: its URL has expired, or leads to where nothing may come from.
        APIStatusError, APIConnectionError, ResponseDecodeError: it did not come.
    """
    source, renew, redirects = result.source, result.renew, 0
    while True:
        await check_addresses(source.target)
        request = build_get(source.target, headers=receive.headers, task_id=result.task_id)
        try:
            outcome = await api.call(request, receive)
        except (APIStatusError, ResponseDecodeError) as error:
            if not _has_expired(error, source.target):
                raise
            source, renew = await _renewed(renew, error), None
            continue
        match outcome:
            case AskAgain():
                pass  # the receiver says so once at most
            case Moved() if redirects == _MOST_REDIRECTS:
                raise DownloadError(f"more than {_MOST_REDIRECTS} redirects", kind="refused host")
            case Moved(location):
                redirects += 1
                source = source.next_hop(location)
            case _:
                return outcome


def as_download_error(error: RelayDanceError, task_id: str | None) -> DownloadError:
    """The error for the caller, whatever it was."""
    return _translated(error, _kind_of(error), error.message, task_id)


def _has_expired(error: RelayDanceError, target: ResultTarget) -> bool:
    if not isinstance(target, ForeignTarget):
        return False  # the API's own answers say what they mean
    status = error.status_code or 0
    # Storages say it in XML, some of them with 400 or 401, or with a 200 around it.
    body = error.raw_body.decode("utf-8", "replace") if isinstance(error, ResponseDecodeError) else ""
    return status in _GONE or (status < 500 and _EXPIRED.search(f"{error.message} {body}") is not None)


async def _renewed(renew: Callable[[], Awaitable[ResultSource]] | None, error: RelayDanceError) -> ResultSource:
    """Raises DownloadError: there is no fresh URL."""
    if renew is None:
        raise _translated(error, "expired", error.message, error.task_id) from None
    try:
        return await renew()
    except RelayDanceError as failure:
        told = f"{error.message}; a fresh URL could not be had: {failure.message}"
        raise _translated(error, "expired", told, error.task_id, retryable=failure.retryable) from None


def _translated(
    error: RelayDanceError,
    kind: DownloadErrorKind,
    message: str,
    task_id: str | None,
    *,
    retryable: bool | None = None,
) -> DownloadError:
    again = error.retryable if retryable is None else retryable
    return DownloadError(message, kind=kind, meta=error.meta, code=error.code, task_id=task_id, retryable=again)


def _kind_of(error: RelayDanceError) -> DownloadErrorKind:
    if isinstance(error, DownloadError):
        return error.kind
    if isinstance(error, APIConnectionError | ResponseDecodeError) or error.retryable:
        return "broken"
    return "unknown"
