"""A list that is still to come: to be awaited, or gone through at once."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Coroutine, Generator, Iterable
from typing import Any, Generic, TypeVar

T = TypeVar("T")
L = TypeVar("L", bound="Iterable[Any]")


class Listing(Coroutine[Any, Any, L], Generic[L, T]):
    """What a method returns that lists: `await client.models.list()`, or `async for model in client.models.list()`.

    It is a coroutine as any other, so tasks and `gather` take it.
    """

    __slots__ = ("_call",)

    def __init__(self, call: Coroutine[Any, Any, L]) -> None:
        self._call = call

    def __await__(self) -> Generator[Any, Any, L]:
        return self._call.__await__()

    async def __aiter__(self) -> AsyncGenerator[T, None]:
        for item in await self._call:
            yield item

    def send(self, value: Any) -> Any:
        """See `Coroutine`."""
        return self._call.send(value)

    def throw(self, *args: Any) -> Any:
        """See `Coroutine`."""
        return self._call.throw(*args)

    def close(self) -> None:
        """See `Coroutine`."""
        self._call.close()
