"""What rows cost at most, and a budget that isn't passed."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from relaydance_async.cli._exits import CannotBeginError
from relaydance_async.cli.batch._money import Budget, BudgetSpentError, Prices, parse_price
from relaydance_async.cli.batch._options import Kind
from relaydance_async.cli.batch._rows import Row
from relaydance_async.models.pricing import ModelPrice, PriceList

LIST = PriceList(
    data=[
        ModelPrice(model_name="clip", model_price=0.5),
        ModelPrice(model_name="image", model_price=0.02),
        ModelPrice(model_name="chat", quota_type=0, model_ratio=500, completion_ratio=2),
    ]
)
"""A token of chat is 0.001 USD, or 0.002 in an answer."""


def row(kind: Kind, **body: Any) -> Row:
    return Row(1, "id", kind, "name", {"model": {"video": "clip"}.get(kind, kind), **body}, {})


@pytest.mark.parametrize(
    ("one", "prices", "usd"),
    [
        (row("video", seconds="10"), Prices(LIST), 0.5),
        (row("image", n=3), Prices(LIST), 0.06),
        (row("image"), Prices(LIST), 0.02),
        (row("chat", messages=[]), Prices(LIST), None),
        (row("video"), Prices(), None),
        (row("video", seconds="10"), Prices(LIST, "0.30"), 0.3),
        (row("video", seconds="10"), Prices(LIST, "0.1/s"), 1.0),
        (row("video"), Prices(fixed="0.1/s"), 1.5),
        (row("chat"), Prices(fixed="0.01"), 0.01),
    ],
)
def test_the_most_that_a_row_can_cost(one: Row, prices: Prices, usd: float | None) -> None:
    assert prices.bound(one) == (usd if usd is None else pytest.approx(usd))


def test_a_chat_costs_at_most_its_bytes_and_its_limit() -> None:
    chat = row("chat", messages=[{"role": "user", "content": "é" * 100}], max_tokens=50)
    bound = Prices(LIST).bound(chat)
    assert bound is not None
    assert 0.2 + 0.1 <= bound <= 0.4
    assert Prices(LIST).cost(chat, {"usage": {"prompt_tokens": 10, "completion_tokens": 5}}) == pytest.approx(0.02)
    assert Prices(LIST).cost(chat, {}) == bound


@pytest.mark.parametrize("text", ["", "free", "-1", "1/min", "1e999", "nan", "0.1/s/s"])
def test_what_is_no_price(text: str) -> None:
    with pytest.raises(CannotBeginError, match="--price"):
        parse_price(text)


def test_a_budget_waits_for_what_may_be_given_back() -> None:
    async def run() -> None:
        budget = Budget(1.0)
        await budget.reserve(0.5)
        await budget.reserve(0.5)
        waiting = [asyncio.create_task(budget.reserve(0.5)) for _ in range(2)]
        await asyncio.sleep(0)
        assert not any(task.done() for task in waiting)
        budget.settle(0.5, 0.0)
        await asyncio.sleep(0.01)
        assert sum(task.done() for task in waiting) == 1
        budget.settle(0.5, 0.5)
        budget.settle(0.5, 0.5)
        results = await asyncio.gather(*waiting, return_exceptions=True)
        assert [type(result) for result in results if result is not None] == [BudgetSpentError]
        assert (budget.spent, budget.reserved, budget.committed) == (1.0, 0.0, 1.0)

    asyncio.run(run())


def test_what_is_paid_for_already_is_not_asked() -> None:
    async def run() -> None:
        budget = Budget(1.0)
        budget.hold(0.8)
        with pytest.raises(BudgetSpentError, match=r"0\.80 of \$1\.00"):
            await budget.reserve(0.5)
        budget.take_held(0.8)
        assert budget.committed == pytest.approx(0.8)
        budget.settle(0.8, 0.0)
        await budget.reserve(0.5)

    asyncio.run(run())


def test_without_a_cap_all_fits_and_is_counted() -> None:
    async def run() -> None:
        budget = Budget(None)
        await budget.reserve(1e6)
        assert budget.committed == 1e6

    asyncio.run(run())


def test_many_small_sums_reach_the_cap() -> None:
    async def run() -> None:
        budget = Budget(1.0)
        for _ in range(10):
            await budget.reserve(0.1)
            budget.settle(0.1, 0.1)
        with pytest.raises(BudgetSpentError):
            await budget.reserve(0.1)

    asyncio.run(run())
