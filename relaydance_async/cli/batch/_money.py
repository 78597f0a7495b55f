"""What rows cost, and a budget that is never passed."""

from __future__ import annotations

import asyncio
import json
import re
from typing import Any

from ..._sansio.pricing import cost_of_calls, cost_of_tokens
from ...models.pricing import Price, PriceList
from .._exits import CannotBeginError
from ._rows import Row

_SECONDS_OF_A_CLIP = 15.0
"""The longest that the documentation offers, for a clip whose length isn't said."""


class BudgetSpentError(Exception):
    """The next row could cost more than is left. It was not begun."""


class Prices:
    """An upper bound of what a row costs, in US dollars; None where there is none.

    Args:
        listed: the gateway's own, if it tells.
        fixed: "0.50" a row or "0.10/s", for each second of a clip; it counts before the list.
    """

    def __init__(self, listed: PriceList | None = None, fixed: str | None = None) -> None:
        self._listed = listed
        self._fixed = parse_price(fixed) if fixed is not None else None
        self._known: dict[str, Price | None] = {}

    def bound(self, row: Row) -> float | None:
        """What the row costs at most."""
        if self._fixed is not None:
            usd, per_second = self._fixed
            return usd * (_seconds(row) if per_second else _count(row))
        price = self._price(row.model)
        if price is None:
            return None
        if price.per_call is not None:
            return cost_of_calls(price, _count(row))
        return _chat_bound(row, price)

    def cost(self, row: Row, result: dict[str, Any] | None) -> float | None:
        """What it did cost: as much as it could, or by the tokens that were used."""
        price = self._price(row.model)
        usage: dict[str, Any] = (result or {}).get("usage") or {}
        prompt, completion = usage.get("prompt_tokens"), usage.get("completion_tokens")
        if self._fixed is not None or price is None or price.per_call is not None or prompt is None:
            return self.bound(row)
        return cost_of_tokens(price, prompt, completion or 0)

    def _price(self, model: str) -> Price | None:
        if model not in self._known:
            self._known[model] = self._listed.price_of(model) if self._listed is not None else None
        return self._known[model]


def parse_price(text: str) -> tuple[float, bool]:
    """US dollars, and whether they are for each second.

    Raises:
        CannotBeginError: it is something else.
    """
    match = re.fullmatch(r"\$?(\d+(?:\.\d+)?|\.\d+)(/s)?", text.strip())
    if match is None:
        raise CannotBeginError(f'--price is "0.50" a row, or "0.10/s" a second, not {text!r}')
    return float(match[1]), match[2] is not None


def _seconds(row: Row) -> float:
    try:
        return float(row.body.get("seconds") or _SECONDS_OF_A_CLIP)
    except (TypeError, ValueError):
        return _SECONDS_OF_A_CLIP


def _count(row: Row) -> int:
    count = row.body.get("n")
    return count if isinstance(count, int) and count > 0 else 1


def _chat_bound(row: Row, price: Price) -> float | None:
    limit = row.body.get("max_completion_tokens", row.body.get("max_tokens"))
    if not isinstance(limit, int):
        return None
    # A token is one byte at least.
    prompt = len(json.dumps(row.body, ensure_ascii=False).encode())
    return cost_of_tokens(price, prompt, limit * _count(row))


class Budget:
    """What is spent, and what may yet be: by rows that are under way, and by those that an earlier start has paid for.

    Args:
        cap: US dollars; None: no limit.
    """

    def __init__(self, cap: float | None) -> None:
        self.cap = cap
        self.spent = 0.0
        self.reserved = 0.0
        self._held = 0.0
        self._under_way = 0
        self._changed = asyncio.Event()

    async def reserve(self, usd: float) -> None:
        """Before a row is sent. It waits while what is under way may still give something back.

        Raises:
            BudgetSpentError: nothing more will be given back, and it isn't enough.
        """
        while not self._fits(usd):
            if not self._under_way:
                raise BudgetSpentError(
                    f"${self.spent + self._held:.2f} of ${self.cap or 0:.2f} are spent, and the next row may cost "
                    f"${usd:.2f}"
                )
            self._changed.clear()
            await self._changed.wait()
        self._take(usd)

    def hold(self, usd: float) -> None:
        """A row that is, or may be, paid for already, and comes later."""
        self._held += usd

    def take_held(self, usd: float) -> None:
        """That row begins. It is not asked whether it fits."""
        self._held -= usd
        self._take(usd)

    def settle(self, reserved: float, cost: float) -> None:
        """The row has ended: it has cost so much, or nothing."""
        self.reserved -= reserved
        self.spent += cost
        self._under_way -= 1
        self._changed.set()

    @property
    def committed(self) -> float:
        """What is spent, and what may yet be, in US dollars."""
        return self.spent + self.reserved + self._held

    def _take(self, usd: float) -> None:
        self.reserved += usd
        self._under_way += 1

    def _fits(self, usd: float) -> bool:
        # Sums of many prices are off by a little.
        return self.cap is None or self.committed + usd <= self.cap + 1e-9
