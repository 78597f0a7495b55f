"""What things cost by the price list."""

from __future__ import annotations

import pytest

from relaydance_async._sansio.pricing import cost_of_calls, cost_of_clip, cost_of_tokens
from relaydance_async.models.pricing import ClipCost, Price, PriceList

CLIP = Price(per_call=0.5)
CHAT = Price(per_prompt_token=1e-6, per_completion_token=3e-6)


def test_tokens_are_counted_apart() -> None:
    assert cost_of_tokens(CHAT, 1000, 100) == pytest.approx(0.0013)
    assert cost_of_tokens(CLIP, 1000, 100) == 0.5  # a chat that is billed by the call
    assert cost_of_tokens(None, 1000, 100) is None


def test_calls_cost_the_same_each() -> None:
    assert cost_of_calls(CLIP, 3) == 1.5
    assert cost_of_calls(CHAT) is None
    assert cost_of_calls(None) is None


def test_the_list_does_not_tell_how_a_clip_is_billed() -> None:
    assert cost_of_clip(CLIP, 10) == ClipCost(usd=0.5, usd_by_second=5.0, price=CLIP)
    assert cost_of_clip(CLIP, None) == ClipCost(usd=0.5, usd_by_second=None, price=CLIP)
    assert cost_of_clip(CHAT, 10) == ClipCost(usd=None, usd_by_second=None, price=CHAT)


def test_a_list_by_its_models_tells_what_it_tells_one_by_one() -> None:
    lines = [{"model_name": name, "model_price": price} for name, price in (("a", 1), ("b", 2), ("a", 3))]
    prices = PriceList.model_validate({"data": lines})
    assert prices.by_model() == {"a": Price(per_call=1), "b": Price(per_call=2)}
    assert all(prices.price_of(name) == price for name, price in prices.by_model().items())
