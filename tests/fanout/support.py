"""Items and functions for fan-outs, and a look at what is left of them."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Iterable
from contextlib import asynccontextmanager
from typing import TypeVar

T = TypeVar("T")


@asynccontextmanager
async def no_task_left() -> AsyncGenerator[None]:
    """Whatever happens inside, at its end there are the same tasks as before."""
    before = asyncio.all_tasks()
    try:
        yield
    finally:
        assert asyncio.all_tasks() == before


async def aiter_of(items: Iterable[T]) -> AsyncIterator[T]:
    for item in items:
        await asyncio.sleep(0)
        yield item


async def double(item: int) -> int:
    await asyncio.sleep(0)
    return item * 2


class Gate:
    """An async function whose items wait until they are let go; it counts."""

    def __init__(self) -> None:
        self.begun: list[int] = []
        self.ended: list[int] = []
        self.cancelled: list[int] = []
        self._futures: dict[int, asyncio.Future[int]] = {}

    async def __call__(self, item: int) -> int:
        self.begun.append(item)
        self._futures[item] = asyncio.get_running_loop().create_future()
        try:
            return await self._futures[item]
        except asyncio.CancelledError:
            self.cancelled.append(item)
            raise
        finally:
            self.ended.append(item)

    @property
    def under_way(self) -> int:
        return len(self.begun) - len(self.ended)

    def let_go(self, item: int) -> None:
        """It returns itself."""
        self._futures[item].set_result(item)

    def fail(self, item: int, error: BaseException) -> None:
        self._futures[item].set_exception(error)


async def settle() -> None:
    """Let everything happen that can happen now."""
    for _ in range(10):
        await asyncio.sleep(0)
