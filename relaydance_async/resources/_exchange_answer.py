"""The controller's exchange with the face of an `OpenAnswer`."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Mapping
from copy import copy
from dataclasses import replace

from .._controller import Exchange
from ..errors import RelayDanceError
from ..models.meta import ResponseMeta
from ._chat_stream import ChatStream, open_chat_stream


async def receive_chat_stream(exchange: Exchange) -> ChatStream:
    """See `open_chat_stream`."""
    stream = await open_chat_stream(ExchangeAnswer(exchange))
    exchange.kept_open = True
    return stream


class ExchangeAnswer:
    """See `OpenAnswer`."""

    def __init__(self, exchange: Exchange) -> None:
        self._exchange = exchange
        self.status: int = exchange.response.status_code
        self.headers: Mapping[str, str] = exchange.response.headers
        self.limit: int = exchange.limit

    @property
    def meta(self) -> ResponseMeta:
        """See `OpenAnswer`."""
        return self._exchange.attempt.meta()

    async def read(self) -> bytes:
        """See `OpenAnswer`."""
        return await self._exchange.read()

    def pieces(self) -> AsyncGenerator[bytes, None]:
        """See `OpenAnswer`."""
        return self._exchange.response.chunks()

    def failure(self, cause: RelayDanceError) -> RelayDanceError:
        """See `OpenAnswer`."""
        error, meta = copy(cause), self.meta
        record = replace(self._exchange.attempt.record(cause), status_code=self.status)
        error.meta = replace(meta, attempts=(*meta.attempts, record), sent_at=record.started_at)
        return error

    async def aclose(self, error: BaseException | None = None) -> None:
        """See `OpenAnswer`."""
        await self._exchange.aclose()
