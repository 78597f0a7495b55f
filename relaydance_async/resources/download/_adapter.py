"""The terms of the coming room `_call`, over today's controller. To be removed with it."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Protocol, TypeVar

from ..._config import Options
from ..._controller import Controller, Exchange
from ..._sansio import request as today
from ..._sansio.target import ApiTarget, Network, Target
from ..._transports import TransportResponse
from ...errors import APIStatusError
from ...models.meta import ResponseMeta

T_co = TypeVar("T_co", covariant=True)
T = TypeVar("T")


@dataclass(frozen=True)
class Answer:
    """An answer, handed to a receiver."""

    status: int
    headers: Mapping[str, str]
    meta: ResponseMeta
    limit: int = 0
    response: TransportResponse | None = None

    async def read(self, limit: int | None = None) -> bytes:
        """The whole body."""
        return await self.response.read(limit or self.limit) if self.response is not None else b""

    def pieces(self) -> AsyncGenerator[bytes, None]:
        """The body in pieces."""
        assert self.response is not None
        return self.response.chunks()


class Receiver(Protocol[T_co]):
    """Takes an answer in."""

    @property
    def takes(self) -> frozenset[int]:
        """The statuses beside 2xx that it wants to see."""
        ...

    async def __call__(self, answer: Answer, /) -> T_co: ...


@dataclass(frozen=True)
class PreparedRequest:
    """A request, with a target."""

    method: str
    target: Target
    headers: Mapping[str, str] | Callable[[], Mapping[str, str]]
    task_id: str | None = None


class _Asked(Mapping[str, str]):
    """Headers that are asked for anew for each attempt."""

    def __init__(self, ask: Callable[[], Mapping[str, str]]) -> None:
        self._ask = ask

    def __getitem__(self, name: str) -> str:
        return self._ask()[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._ask())

    def __len__(self) -> int:
        return len(self._ask())


@dataclass(frozen=True)
class Api:
    """What makes calls."""

    controller: Controller
    options: Options

    @property
    def base_url(self) -> str:
        """Of the API."""
        return self.controller.base_url

    async def call(self, request: PreparedRequest, receive: Receiver[T]) -> T:
        """Make the call."""

        async def received(exchange: Exchange) -> T:
            response = exchange.response
            meta = exchange.attempt.meta()
            return await receive(Answer(response.status_code, response.headers, meta, exchange.limit, response))

        try:
            return await self.controller.execute(_as_today(request), received, self.options)
        except APIStatusError as error:
            if error.status_code not in receive.takes:
                raise
            answer = Answer(error.status_code, error.meta.headers, error.meta)
        return await receive(answer)


def _as_today(request: PreparedRequest) -> today.PreparedRequest:
    target, headers = request.target, request.headers
    return today.PreparedRequest(
        request.method,
        target.path if isinstance(target, ApiTarget) else target.url,
        headers=_Asked(headers) if callable(headers) else headers,
        task_id=request.task_id,
        public_only=not isinstance(target, ApiTarget) and target.network is Network.PUBLIC,
    )
