"""`POST /chat/completions`."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, Literal, Unpack, overload

from pydantic import BaseModel

from .._config import Options
from .._sansio.request import PreparedRequest
from ..errors import InvalidInputError
from ..models.chat import ChatCompletion, ChatParams
from ._chat_stream import ChatStream
from ._exchange_answer import receive_chat_stream
from ._resource import Resource, require_text, split_call_options


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

    async def create(
        self,
        *,
        model: str,
        messages: Iterable[Mapping[str, Any] | BaseModel],
        stream: bool | None = None,
        **params: Unpack[ChatParams],
    ) -> ChatCompletion | ChatStream:
        """Ask a chat model. Billed per token.

        Args:
            model: its id.
            messages: as OpenAI's; the message of an earlier answer can be passed back as it is.
            stream: give the answer piece by piece, as a `ChatStream` to be used with `async with`.
            params: `temperature`, `max_tokens`, `tools` and what else OpenAI's method takes; unknown ones through
                `extra_body`.

        Raises:
            InvalidInputError: before anything is sent.
            APIStatusError: the gateway refused or failed.
            APIConnectionError: no answer; `maybe_accepted` says whether it may be billed.

        A deadline covers the call up to the answer, or up to the opened stream. Cancelling after the request was sent
        may leave an answer that is paid for.
        """
        # In a function of its own: what it builds on the way is gone while the call is under way.
        request, options = self._prepare(model, messages, params, stream=stream)
        if stream:
            return await self._controller.execute(request, receive_chat_stream, options)
        return await self._call(request, ChatCompletion, options)

    def _prepare(
        self,
        model: str,
        messages: Iterable[Mapping[str, Any] | BaseModel],
        params: ChatParams,
        *,
        stream: bool | None,
    ) -> tuple[PreparedRequest, Options]:
        require_text(model, "model")
        body, call_options = split_call_options(params)
        arguments = {"model": model, "messages": _as_list(messages), "stream": True if stream else None, **body}
        return self._post("/chat/completions", arguments, call_options)


class Chat(Resource):
    """The namespace of `completions`, as OpenAI has it."""

    @property
    def completions(self) -> Completions:
        """OpenAI's chat completions."""
        return Completions(self._controller, self._options)


def _as_list(messages: Iterable[Mapping[str, Any] | BaseModel]) -> list[Mapping[str, Any] | BaseModel]:
    if isinstance(messages, str | bytes | Mapping):
        raise InvalidInputError("messages must be a list of messages, such as [{'role': 'user', 'content': 'Hi'}]")
    result = list(messages)
    if not result:
        raise InvalidInputError("messages must not be empty")
    return result
