"""Errors after which no more items are begun."""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import AsyncIterator, Iterator
from typing import Any

import pytest

from relaydance_async import (
    AsyncRelayDance,
    AuthenticationError,
    ConfigurationError,
    ContentRefusedError,
    FanOutStoppedError,
    InsufficientBalanceError,
    InvalidInputError,
    PermissionDeniedError,
    RateLimitError,
    ServerError,
    fan_out,
    fan_out_list,
)
from relaydance_async.fanout import STOP_ON
from relaydance_async.sandbox import Sandbox
from tests.fanout.support import Gate, aiter_of, no_task_left, settle

pytestmark = [pytest.mark.anyio, pytest.mark.usefixtures("problems")]


class CustomError(Exception):
    pass


@pytest.mark.parametrize("wrap", [iter, aiter_of], ids=["plain", "async"])
@pytest.mark.parametrize("ordered", [False, True])
async def test_those_under_way_end_and_are_given_out_first(wrap: Any, ordered: bool) -> None:
    gate = Gate()
    got: list[int] = []
    outcomes = fan_out(gate, wrap(itertools.count()), in_flight=4, ordered=ordered)

    async def run() -> None:
        async with no_task_left(), outcomes:
            await settle()
            await settle()
            gate.fail(0, AuthenticationError("no"))
            await settle()
            for item in (1, 2, 3):
                gate.let_go(item)
            async for outcome in outcomes:
                got.append(outcome.item)

    with pytest.raises(FanOutStoppedError) as caught:
        await run()
    assert got == [0, 1, 2, 3]
    assert gate.cancelled == []
    assert gate.begun == [0, 1, 2, 3]
    assert caught.value.index == 4
    assert isinstance(caught.value.__cause__, AuthenticationError)
    assert "item 4" in str(caught.value)
    assert "AuthenticationError" in str(caught.value)
    assert outcomes.untaken == []


async def test_of_what_is_left_the_plain_iterator_has_all() -> None:
    items = iter(range(10))

    async def refused(item: int) -> None:
        raise AuthenticationError("no")

    with pytest.raises(FanOutStoppedError) as caught:
        await fan_out_list(refused, items, in_flight=3)
    assert next(items) == caught.value.index == 3


async def test_a_wait_for_an_item_that_never_comes_is_ended() -> None:
    gate = Gate()

    async def rows() -> AsyncIterator[int]:
        yield 0
        await asyncio.sleep(60)

    async def run() -> None:
        async with no_task_left(), fan_out(gate, rows()) as outcomes:
            await settle()
            gate.fail(0, ConfigurationError("no"))
            async for _ in outcomes:
                pass

    with pytest.raises(FanOutStoppedError) as caught:
        await run()
    assert caught.value.index == 1


@pytest.mark.parametrize(
    ("error", "stops"),
    [
        (AuthenticationError("no"), True),
        (InsufficientBalanceError("no"), True),
        (PermissionDeniedError("no"), True),
        (ConfigurationError("no"), True),
        (ExceptionGroup("several", [ValueError(), ExceptionGroup("inner", [AuthenticationError("no")])]), True),
        (ExceptionGroup("several", [ValueError(), ServerError("no")]), False),
        (RateLimitError("no"), False),
        (ContentRefusedError("no"), False),
        (InvalidInputError("no"), False),
        (ServerError("no"), False),
        (ValueError("no"), False),
    ],
)
async def test_what_stops_by_default(error: Exception, stops: bool) -> None:
    async def fail(item: int) -> None:
        if item == 0:
            raise error

    call = fan_out_list(fail, range(5), in_flight=1)
    if not stops:
        assert len(await call) == 5
        return
    with pytest.raises(FanOutStoppedError) as caught:
        await call
    assert caught.value.index == 1
    assert [outcome.error for outcome in caught.value.outcomes] == [error]


@pytest.mark.parametrize(
    ("stop_on", "begun"),
    [(CustomError, 1), ((CustomError,), 1), ((*STOP_ON, CustomError), 1), ((), 5), (STOP_ON, 5), (Exception, 1)],
)
async def test_what_stops_can_be_chosen(stop_on: Any, begun: int) -> None:
    seen: list[int] = []

    async def fail(item: int) -> None:
        seen.append(item)
        raise CustomError

    call = fan_out_list(fail, range(5), in_flight=1, stop_on=stop_on)
    if begun == 5:
        await call
    else:
        with pytest.raises(FanOutStoppedError):
            await call
    assert len(seen) == begun


async def test_it_is_told_also_when_all_items_had_begun() -> None:
    async def fail(item: int) -> None:
        raise AuthenticationError("no")

    with pytest.raises(FanOutStoppedError) as caught:
        await fan_out_list(fail, range(3))
    assert caught.value.index == 3
    assert [outcome.index for outcome in caught.value.outcomes] == [0, 1, 2]


async def test_left_early_it_is_not_raised() -> None:
    async def fail(item: int) -> None:
        raise AuthenticationError("no")

    async with fan_out(fail, range(3)) as outcomes:
        assert isinstance((await anext(outcomes)).error, AuthenticationError)


@pytest.mark.parametrize("kind", ["plain", "async"])
async def test_an_iterable_that_fails_loses_no_outcome(kind: str) -> None:
    def rows() -> Iterator[int]:
        yield from range(3)
        raise CustomError("line 4")

    async def async_rows() -> AsyncIterator[int]:
        for row in rows():
            yield row

    async def work(item: int) -> int:
        await asyncio.sleep(0.001)
        return item

    async with no_task_left():
        with pytest.raises(FanOutStoppedError, match="line 4") as caught:
            await fan_out_list(work, rows() if kind == "plain" else async_rows())
    assert isinstance(caught.value.__cause__, CustomError)
    assert caught.value.index == 3
    assert [outcome.value for outcome in caught.value.outcomes] == [0, 1, 2]


async def test_an_async_iterable_that_is_cancelled_is_no_end() -> None:
    async def rows() -> AsyncIterator[int]:
        yield 0
        future = asyncio.get_running_loop().create_future()
        future.cancel()
        await future

    async def work(item: int) -> int:
        return item

    async with no_task_left():
        with pytest.raises(FanOutStoppedError) as caught:
            await fan_out_list(work, rows())
    assert isinstance(caught.value.__cause__, asyncio.CancelledError)
    assert [outcome.value for outcome in caught.value.outcomes] == [0]


async def test_a_wrong_key_costs_a_few_requests_and_not_one_for_each_row() -> None:
    with Sandbox() as sandbox:
        async with AsyncRelayDance("sk-wrong", base_url=sandbox.base_url) as client:

            async def submit(prompt: str) -> str:
                return (await client.video.submit(model="grok-imagine-video", prompt=prompt, seconds=5)).task_id

            with pytest.raises(FanOutStoppedError) as caught:
                await fan_out_list(submit, (f"Boat {n}" for n in range(500)), in_flight=10)
        assert caught.value.index <= 20
        assert sandbox.ledger.count() == caught.value.index
        assert isinstance(caught.value.__cause__, AuthenticationError)
