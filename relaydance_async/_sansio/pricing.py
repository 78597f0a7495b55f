"""What a call costs by the price list, in US dollars. None stands for what the list can't tell."""

from __future__ import annotations

from ..models.pricing import ClipCost, Price


def cost_of_tokens(price: Price | None, prompt_tokens: int, completion_tokens: int) -> float | None:
    """What a call that used so many tokens costs.

    Args:
        price: of the model; None: it isn't in the list.
    """
    if price is None:
        return None
    if price.per_call is not None:
        return price.per_call
    return prompt_tokens * price.per_prompt_token + completion_tokens * price.per_completion_token


def cost_of_calls(price: Price | None, count: int = 1) -> float | None:
    """What so many images or clips cost. A model that is billed by tokens tells only afterwards."""
    return None if price is None or price.per_call is None else price.per_call * count


def cost_of_clip(price: Price, seconds: float | None) -> ClipCost:
    """What a clip costs.

    Args:
        price: of the model.
        seconds: its length, or None: not known.
    """
    usd = cost_of_calls(price)
    by_second = None if usd is None or seconds is None else usd * seconds
    return ClipCost(usd, by_second, price)
