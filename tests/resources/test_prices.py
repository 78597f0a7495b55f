"""`account.prices`: the gateway's price list, which may be switched off."""

from __future__ import annotations

import json
from collections.abc import Mapping

import anyio
import pytest

from relaydance_async import AsyncRelayDance, NotFoundError, ServerError
from relaydance_async.models.pricing import Price, PriceList
from relaydance_async.resources._prices import FRESH_SECONDS, known_prices
from relaydance_async.sandbox import Fault
from tests.kit.clocks import QuickClock
from tests.kit.inside import api_of
from tests.kit.routes import PRICING
from tests.resources.support import Bench

pytestmark = pytest.mark.anyio


async def test_prices_are_in_us_dollars(client: AsyncRelayDance) -> None:
    prices = await client.account.prices()
    assert prices.price_of("grok-imagine-video") == Price(per_call=0.5)
    assert prices.price_of("grok-imagine-image") == Price(per_call=0.02)
    assert prices.price_of("grok-4.3") == Price(per_prompt_token=2e-6, per_completion_token=2e-6)
    assert prices.price_of("unheard-of") is None


@pytest.mark.parametrize("offer", ["404", "401", "false"])
async def test_a_list_that_is_not_offered_is_told(bench: Bench, offer: str) -> None:
    _, client = bench.start(pricing=offer)
    with pytest.raises(NotFoundError, match="prices"):
        await client.account.prices()


async def test_a_passing_fault_says_nothing_of_the_offer(bench: Bench) -> None:
    _, client = bench.start(faults=[Fault(PRICING, status=500)])
    with pytest.raises(ServerError):
        await client.account.prices()


async def test_the_list_is_asked_for_once_by_all_who_need_it(bench: Bench) -> None:
    pace = QuickClock(jitter=None)
    sandbox, client = bench.start(pace=pace, faults=[Fault(PRICING, delay=0.05)])
    api = api_of(client)
    async with anyio.create_task_group() as group:
        for _ in range(50):
            group.start_soon(known_prices, api)
    assert (await known_prices(api_of(client.with_options(deadline=9))))["grok-imagine-video"] == Price(per_call=0.5)
    assert "grok-4.3" in await known_prices(api_of(client.with_options(api_key="sk-another")))
    assert sandbox.ledger.count(PRICING) == 1
    await pace.sleep(FRESH_SECONDS + 1)
    await known_prices(api)
    assert sandbox.ledger.count(PRICING) == 2


async def test_that_it_is_not_offered_is_remembered_too(bench: Bench) -> None:
    sandbox, client = bench.start(pricing="404")
    assert [await known_prices(api_of(client)) for _ in range(3)] == [{}, {}, {}]
    assert sandbox.ledger.count(PRICING) == 1


async def test_who_fails_to_read_it_leaves_it_to_the_next(bench: Bench) -> None:
    _, client = bench.start(faults=[Fault(PRICING, status=500, times=1)])
    api = api_of(client.with_options(retry=None))
    with pytest.raises(ServerError):
        await known_prices(api)
    assert await known_prices(api)


async def test_who_is_cancelled_while_it_is_read_leaves_it_to_the_next(bench: Bench) -> None:
    _, client = bench.start(faults=[Fault(PRICING, delay=0.2, times=1)])
    api = api_of(client)
    found: list[Mapping[str, Price]] = []

    async def ask() -> None:
        found.append(await known_prices(api))

    async with anyio.create_task_group() as group:
        with anyio.move_on_after(0.05):
            group.start_soon(ask)  # waits for this one
            await known_prices(api)
    assert [len(prices) for prices in found] == [11]


def listed(line: Mapping[str, object], **ratios: float) -> Price | None:
    body = {"success": True, "data": [{"model_name": "m", **line}], "group_ratio": ratios}
    return PriceList.model_validate_json(json.dumps(body)).price_of("m")


def test_the_dearest_group_that_may_use_a_model_counts() -> None:
    line = {"quota_type": 1, "model_price": 2, "enable_groups": ["default", "vip"]}
    assert listed(line, default=1, vip=0.5, special=9) == Price(per_call=2)
    assert listed({**line, "enable_groups": ["all"]}, default=1, special=9) == Price(per_call=18)
    assert listed({**line, "enable_groups": None}, default=1.5) == Price(per_call=3)
    assert listed(line) == Price(per_call=2)


def test_tokens_have_two_prices() -> None:
    price = listed({"quota_type": 0, "model_ratio": 2.5, "completion_ratio": 4}, default=2)
    assert price == Price(per_prompt_token=1e-5, per_completion_token=4e-5)


@pytest.mark.parametrize("value", ["NaN", "Infinity"])
def test_no_price_is_endless(value: str) -> None:
    with pytest.raises(ValueError, match="finite"):
        PriceList.model_validate_json(f'{{"data": [{{"model_name": "m", "model_price": {value}}}]}}')
