"""What a stretch of a program used, and what that costs by the price list."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from .pricing import PriceList


@dataclass(slots=True)
class ModelUsage:
    """What was used of one model.

    Attributes:
        requests: billed requests that were accepted, or may have been.
        prompt_tokens, completion_tokens, total_tokens: of chat, as far as the answers told.
        untold: requests whose tokens nobody told: broken streams, streams still open, answers without `usage`, and
            requests that may have been accepted.
        items: what is billed by the call: images that came, accepted clips, answered chats.
    """

    requests: int = 0
    prompt_tokens: int = 0
    completion_tokens: int = 0
    total_tokens: int = 0
    untold: int = 0
    items: int = 0


@dataclass(frozen=True, slots=True)
class UsageCost:
    """What it costs by the gateway's price list, in US dollars: an estimate.

    Attributes:
        usd: of all models whose price is known.
        by_model: of each.
        unpriced: the models that are not in the list.
        untold: requests whose tokens are not known, and which are not in `usd`.
    """

    usd: float
    by_model: dict[str, float]
    unpriced: tuple[str, ...]
    untold: int


class UsageTotals:
    """What was used.

    Attributes:
        by_model: of each model; requests that name none, such as uploads, are not counted.
    """

    def __init__(self) -> None:
        self.by_model: dict[str, ModelUsage] = {}

    @property
    def requests(self) -> int:
        """See `ModelUsage`, here and below."""
        return sum(each.requests for each in self.by_model.values())

    @property
    def prompt_tokens(self) -> int:
        """Tokens that were sent."""
        return sum(each.prompt_tokens for each in self.by_model.values())

    @property
    def completion_tokens(self) -> int:
        """Tokens that came."""
        return sum(each.completion_tokens for each in self.by_model.values())

    @property
    def total_tokens(self) -> int:
        """Both."""
        return sum(each.total_tokens for each in self.by_model.values())

    @property
    def untold(self) -> int:
        """Requests whose tokens nobody told."""
        return sum(each.untold for each in self.by_model.values())

    def __repr__(self) -> str:
        told = f"{self.requests} requests, {self.total_tokens} tokens"
        return f"<{type(self).__name__} {told}{f', {self.untold} untold' if self.untold else ''}>"

    def priced(self, prices: PriceList) -> UsageCost:
        """What it costs by a price list."""
        costs: dict[str, float] = {}
        for model, used in self.by_model.items():
            if (price := prices.price_of(model)) is None:
                continue
            if price.per_call is not None:
                costs[model] = used.items * price.per_call
            else:
                prompt = used.prompt_tokens * price.per_prompt_token
                costs[model] = prompt + used.completion_tokens * price.per_completion_token
        unpriced = tuple(sorted(set(self.by_model) - set(costs)))
        return UsageCost(sum(costs.values()), costs, unpriced, self.untold)
