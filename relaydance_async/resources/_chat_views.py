"""The views of `chat.completions`. Type checkers see through no overloads: so each is told."""

from __future__ import annotations

from collections.abc import Coroutine, Iterable, Mapping
from typing import Any, Literal, Unpack, overload

from pydantic import BaseModel

from .._config import hide_key
from ..models.chat import ChatCompletion, ChatParams
from ..models.response import RawResponse
from ._chat_stream import ChatStream
from ._streamed_response import StreamedResponseManager
from ._views import RawView, StreamedView


class CompletionsRaw(RawView):
    """See `Completions.with_raw_response`."""

    @overload
    def create(
        self,
        *,
        model: str,
        messages: Iterable[Mapping[str, Any] | BaseModel],
        stream: Literal[False] | None = None,
        **params: Unpack[ChatParams],
    ) -> Coroutine[Any, Any, RawResponse[ChatCompletion]]: ...

    @overload
    def create(
        self,
        *,
        model: str,
        messages: Iterable[Mapping[str, Any] | BaseModel],
        stream: Literal[True],
        **params: Unpack[ChatParams],
    ) -> Coroutine[Any, Any, RawResponse[ChatStream]]: ...

    def create(self, **arguments: Any) -> Any:
        """See `Completions.create`. Of a stream, the bytes are read through it."""
        return self._made(self._resource.create(**hide_key(arguments)))


class CompletionsStreamed(StreamedView):
    """See `Completions.with_streaming_response`."""

    @overload
    def create(
        self,
        *,
        model: str,
        messages: Iterable[Mapping[str, Any] | BaseModel],
        stream: Literal[False] | None = None,
        **params: Unpack[ChatParams],
    ) -> StreamedResponseManager[ChatCompletion]: ...

    @overload
    def create(
        self,
        *,
        model: str,
        messages: Iterable[Mapping[str, Any] | BaseModel],
        stream: Literal[True],
        **params: Unpack[ChatParams],
    ) -> StreamedResponseManager[ChatStream]: ...

    def create(self, **arguments: Any) -> Any:
        """See `Completions.create`. Of a stream, the bytes are read through it."""
        return self._made(self._resource.create(**hide_key(arguments)))
