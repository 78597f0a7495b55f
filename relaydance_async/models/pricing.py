"""What the models cost."""

from __future__ import annotations

from dataclasses import dataclass

from pydantic import Field, FiniteFloat

from ._base import WireModel
from .account import QUOTA_PER_USD

_PER_TOKEN = 0
"""The `quota_type` of a model that is billed by tokens; 1 is by calls (New API)."""


@dataclass(frozen=True, slots=True)
class Price:
    """What a model costs, in US dollars: by the call, or by the token.

    Attributes:
        per_call: of an image or a clip. An operator may bill a clip by its seconds; the list doesn't tell.
        per_prompt_token, per_completion_token: of chat.
    """

    per_call: float | None = None
    per_prompt_token: float = 0.0
    per_completion_token: float = 0.0


@dataclass(frozen=True, slots=True)
class ClipCost:
    """What a clip costs by the gateway's price list, in US dollars. The list doesn't tell how a clip is billed.

    Attributes:
        usd: when it is billed as one, as the documentation says. None: the model is billed by tokens, which are known
            only afterwards (`VideoTask.usage`).
        usd_by_second: when the operator bills each second. None when the length isn't known either.
        price: of the model.
    """

    usd: float | None
    usd_by_second: float | None
    price: Price


class ModelPrice(WireModel):
    """A line of the price list, as the gateway has it."""

    model_name: str
    quota_type: int = 1
    model_price: FiniteFloat = 0.0
    model_ratio: FiniteFloat = 0.0
    completion_ratio: FiniteFloat = 1.0
    enable_groups: list[str] | None = None


class PriceList(WireModel):
    """The answer of `GET /api/pricing`."""

    data: list[ModelPrice]
    group_ratio: dict[str, FiniteFloat] = Field(default_factory=dict[str, float])

    def price_of(self, model: str) -> Price | None:
        """What a model costs, or None when it isn't in the list.

        The list is for all groups of users, and doesn't tell whose key asks. So it is the price of the dearest group
        that may use the model.
        """
        line = next((line for line in self.data if line.model_name == model), None)
        return None if line is None else self._price_at(line)

    def by_model(self) -> dict[str, Price]:
        """What each model costs; see `price_of`."""
        # The first line of a model counts.
        return {line.model_name: self._price_at(line) for line in reversed(self.data)}

    def _price_at(self, line: ModelPrice) -> Price:
        ratio = self._ratio_of(line)
        if line.quota_type != _PER_TOKEN:
            return Price(per_call=line.model_price * ratio)
        per_token = line.model_ratio * ratio / QUOTA_PER_USD
        return Price(per_prompt_token=per_token, per_completion_token=per_token * line.completion_ratio)

    def _ratio_of(self, line: ModelPrice) -> float:
        groups = set(line.enable_groups or self.group_ratio)
        known = [ratio for group, ratio in self.group_ratio.items() if group in groups or "all" in groups]
        return max(known, default=1.0)
