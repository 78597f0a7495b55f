"""Requests of another library, such as openai's client, sent with the limits, retries and money rules of this one."""

from __future__ import annotations

import json
from collections.abc import AsyncGenerator
from contextlib import aclosing
from contextvars import ContextVar
from typing import Any, cast

from .._call import Answer, Kept, Receiver, as_read, as_stream
from .._sansio.decode import build_error_in, reports_error
from .._sansio.outside import OutsideAnswer, OutsideRequest, answer_of_error, plain_headers
from .._sansio.request import PreparedRequest, RetrySafety, model_of
from .._sansio.target import ApiTarget
from ..errors import APIStatusError, ConfigurationError, RelayDanceError, mark_accepted
from ..models.chat import ChatCompletion, ChatCompletionChunk
from ._chat_stream import ChatStream, keep_chat_stream, open_chat_stream, read_completion
from ._event_stream import EventStream, as_event_stream
from ._resource import Resource
from ._route import target_of

CHAT = "/chat/completions"
_READS = frozenset({"GET", "HEAD", "OPTIONS"})


class Bridge(Resource):
    """Sends what another library has made."""

    async def send(self, request: OutsideRequest) -> OutsideAnswer:
        """Send it, and give the answer as that library expects it.

        Raises:
            ConfigurationError: it is for another address, or that library repeats a request that may be paid for.
            RelayDanceError: no answer.
        """
        target = target_of(request.path_below(self._api.base_url))
        safety = _safety_of(request, target)
        if safety.billed and request.is_repeated:
            raise _repeated() from _FAILED.get()
        _FAILED.set(None)
        content = _json_in(request)
        prepared = PreparedRequest(
            request.method,
            target,
            safety,
            request.body or None,
            request.passed_headers,
            model=model_of(content),
        )
        api = self._api.changed(timeout=request.timeout(self._api.options.timeout))
        try:
            return await api.call(prepared, _receiver_of(target, streams=content.get("stream") is True))
        except APIStatusError as error:
            return answer_of_error(error)
        except RelayDanceError as error:
            _FAILED.set(error)
            raise


_FAILED: ContextVar[RelayDanceError | None] = ContextVar("relaydance_outside_failed", default=None)
"""What ended the request that the other library sends again, in the same task. It may hold what was paid for."""


def _repeated() -> ConfigurationError:
    """This request was not sent. The one before may have been accepted, unless it is known that it was not."""
    error, before = ConfigurationError(_REPEATED), _FAILED.get()
    mark_accepted(error, before is None or before.maybe_accepted)
    return error


_REPEATED = "openai's client sends a request again that may be paid for: make it with AsyncOpenAI(max_retries=0)"


def _safety_of(request: OutsideRequest, target: ApiTarget) -> RetrySafety:
    if request.method in _READS:
        return RetrySafety.SAFE
    return RetrySafety.BILLED_SMALL if target.route == CHAT else RetrySafety.BILLED


def _json_in(request: OutsideRequest) -> dict[str, Any]:
    if not request.headers.get("content-type", "").startswith("application/json"):
        return {}
    try:
        content = json.loads(request.body)
    except (ValueError, RecursionError):
        return {}
    return cast("dict[str, Any]", content) if isinstance(content, dict) else {}


def _receiver_of(target: ApiTarget, *, streams: bool) -> Receiver[Any]:
    if target.route == CHAT:
        return _CHAT_STREAM if streams else _CHAT
    return _PIECES if streams else _WHOLE


async def _read_whole(answer: Answer) -> OutsideAnswer:
    body = await answer.read()
    kind = answer.headers.get("content-type", "").lower()
    if kind.startswith("text/html") or (body.lstrip()[:1] == b"{" and reports_error(body)):
        raise build_error_in(body, answer.meta, "the answer reports an error")
    return OutsideAnswer(answer.status, plain_headers(answer.headers), body)


async def _open_pieces(answer: Answer) -> OutsideAnswer:
    headers = plain_headers(answer.headers)
    stream: EventStream[bytes] = await as_event_stream(bytes)(answer)
    return OutsideAnswer(answer.status, headers, _pieces(stream), stream.aclose)


async def _pieces(stream: EventStream[bytes]) -> AsyncGenerator[bytes, None]:
    async with stream:
        async for piece in stream:
            yield piece


# Of a chat not the bytes are passed on, but what was understood of them: upstreams have many dialects, and the other
# library knows one.
def _chat_answer(answer: Answer, source: ChatCompletion | ChatStream) -> OutsideAnswer:
    if isinstance(source, ChatCompletion):
        body = source.model_dump_json(exclude_unset=True).encode()
        headers = plain_headers(answer.headers, content_type="application/json")
        return OutsideAnswer(200, headers, body, source=source)
    headers = plain_headers(answer.headers, content_type="text/event-stream")
    return OutsideAnswer(200, headers, _events(source), source.aclose, source)


async def _events(stream: ChatStream) -> AsyncGenerator[bytes, None]:
    async with stream, aclosing(aiter(stream)) as chunks:
        async for chunk in chunks:
            yield _event(chunk)
    yield b"data: [DONE]\n\n"


def _event(chunk: ChatCompletionChunk) -> bytes:
    return b"data: " + chunk.model_dump_json(exclude_unset=True).encode() + b"\n\n"


async def _read_chat(answer: Answer) -> OutsideAnswer:
    return _chat_answer(answer, await read_completion(answer))


async def _open_chat(answer: Answer) -> OutsideAnswer:
    return _chat_answer(answer, await open_chat_stream(answer))


async def _keep(answer: OutsideAnswer, accept: Any) -> bool:
    """Only who counts usage asks; no journal keeps these."""
    if isinstance(answer.source, ChatStream):
        return await keep_chat_stream(answer.source, accept)
    await accept(cast(ChatCompletion, answer.source))
    return False


def _recall(kept: str, meta: Any) -> Any:
    raise ConfigurationError("no journal keeps the answers of another library")


_KEPT = Kept[Any](_recall, _keep)
_CHAT = as_read(_read_chat, "ChatCompletion", kept=_KEPT)
_CHAT_STREAM = as_stream(_open_chat, kept=_KEPT)
_WHOLE = as_read(_read_whole, "bytes")
_PIECES = as_stream(_open_pieces)
