"""`POST /chat/completions`."""

from __future__ import annotations

from collections.abc import Coroutine, Iterable, Mapping
from functools import cached_property
from typing import Any, Literal, Unpack, overload

from pydantic import BaseModel

from .._call import Kept, as_read, as_stream, recalling
from .._sansio.extras import CallExtras
from ..errors import InvalidInputError
from ..models.chat import ChatCompletion, ChatParams
from ._chat_stream import (
    ChatStream,
    come_so_far,
    finish_chat_stream,
    keep_chat_stream,
    open_chat_stream,
    read_completion,
    recall_chat_stream,
)
from ._resource import Resource, made_at_once, names_of, require_text
from ._route import billed_post

CREATE = billed_post(
    "chat.completions.create",
    "/chat/completions",
    as_read(read_completion, "ChatCompletion", kept=Kept(recalling(ChatCompletion))),
    small=True,
)
_PARAMS = names_of(ChatParams)
_STREAM = as_stream(open_chat_stream, kept=Kept(recall_chat_stream, keep_chat_stream, finish_chat_stream, come_so_far))


class Completions(Resource):
    """OpenAI's chat completions."""

    @overload
    async def create(
        self,
        *,
        model: str,
        messages: Iterable[Mapping[str, Any] | BaseModel],
        stream: Literal[False] | None = None,
        **params: Unpack[ChatParams],
    ) -> ChatCompletion: ...

    @overload
    async def create(
        self,
        *,
        model: str,
        messages: Iterable[Mapping[str, Any] | BaseModel],
        stream: Literal[True],
        **params: Unpack[ChatParams],
    ) -> ChatStream: ...

    @overload
    async def create(
        self,
        *,
        model: str,
        messages: Iterable[Mapping[str, Any] | BaseModel],
        stream: bool,
        **params: Unpack[ChatParams],
    ) -> ChatCompletion | ChatStream: ...

    @made_at_once
    def create(
        self,
        *,
        model: str,
        messages: Iterable[Mapping[str, Any] | BaseModel],
        stream: bool | None = None,
        **params: Unpack[ChatParams],
    ) -> Coroutine[Any, Any, ChatCompletion | ChatStream]:
        """Ask a chat model. Billed per token.

        Args:
            model: its id.
            messages: as OpenAI's; the message of an earlier answer can be passed back as it is.
            stream: give the answer piece by piece, as a `ChatStream` to be used with `async with`.
            params: `temperature`, `max_tokens`, `tools` and what else OpenAI's method takes; unknown ones through
                `extra_body`.

        Raises:
            TypeError: a keyword that it doesn't take; at once.
            InvalidInputError: before anything is sent.
            APIStatusError: the gateway refused or failed.
            APIConnectionError: no answer; `maybe_accepted` says whether it may be billed.
            StreamError, IncompleteStreamError: the answer was streamed though nobody asked for that, and broke or was
                cut off; `text` and `completion` have what came.

        A deadline covers the call up to the answer, or up to the stream's end. Cancelling after the request was sent
        may leave an answer that is paid for.
        """
        require_text(model, "model")
        arguments, extras = CallExtras.take(params, _PARAMS)
        arguments = {"model": model, "messages": _as_list(messages), "stream": True if stream else None, **arguments}
        return self._post(CREATE, arguments, extras, receive=_STREAM if stream else None)


class Chat(Resource):
    """Chat: the namespace of `completions`, as OpenAI has it."""

    @cached_property
    def completions(self) -> Completions:
        """OpenAI's chat completions."""
        return Completions(self._api)


_NO_LISTS = (str, bytes, Mapping)


def _as_list(messages: Iterable[Mapping[str, Any] | BaseModel]) -> list[Mapping[str, Any] | BaseModel]:
    if not isinstance(messages, list) and isinstance(messages, _NO_LISTS):
        raise InvalidInputError("messages must be a list of messages, such as [{'role': 'user', 'content': 'Hi'}]")
    result = [_as_sent(message) if isinstance(message, BaseModel) else message for message in messages]
    if not result:
        raise InvalidInputError("messages must not be empty")
    return result


def _as_sent(message: BaseModel) -> Mapping[str, Any] | BaseModel:
    """Without the fields in which an answer keeps what didn't fit: a strict upstream would refuse them."""
    if not message.model_extra:
        return message
    kept = {name for name in message.model_extra if name.startswith("raw_")}
    return message.model_dump(exclude=kept, exclude_none=True) if kept else message
