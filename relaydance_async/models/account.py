"""What is left to spend."""

from __future__ import annotations

import json
from typing import Any, Literal

from pydantic import FiniteFloat

from ._base import Whole, WireModel

QUOTA_PER_USD = 500_000
"""Quota units to the US dollar (New API)."""


class Balance(WireModel):
    """The key's quota in US dollars.

    Attributes:
        name: of the key, if it has one.
        total_usd, used_usd, available_usd: granted, spent, left; None where the gateway doesn't tell.
        unlimited: whether the key itself has no limit (the account's balance still counts).
        expires_at: Unix time in seconds, or None when the key doesn't expire.
    """

    name: str | None = None
    total_usd: float | None = None
    used_usd: float | None = None
    available_usd: float | None = None
    unlimited: bool = False
    expires_at: int | None = None


class TokenUsage(WireModel):
    """The answer of `GET /api/usage/token/`: the fields lie under `data`, in quota units."""

    data: _TokenUsageData

    def balance(self) -> Balance:
        """The same in US dollars."""
        usage = self.data
        return Balance(
            name=usage.name,
            total_usd=usage.total_granted / QUOTA_PER_USD,
            used_usd=usage.total_used / QUOTA_PER_USD,
            available_usd=usage.total_available / QUOTA_PER_USD,
            unlimited=usage.unlimited_quota,
            expires_at=usage.expires_at if usage.expires_at and usage.expires_at > 0 else None,
        )


class _TokenUsageData(WireModel):
    name: str | None = None
    total_granted: FiniteFloat
    total_used: FiniteFloat
    total_available: FiniteFloat
    unlimited_quota: bool = False
    expires_at: Whole | None = None


class Subscription(WireModel):
    """The answer of `GET /dashboard/billing/subscription`."""

    hard_limit_usd: FiniteFloat


class BillingUsage(WireModel):
    """The answer of `GET /dashboard/billing/usage`: `total_usage` is in cents."""

    total_usage: FiniteFloat

    def balance(self, subscription: Subscription) -> Balance:
        """Both answers in one."""
        used = self.total_usage / 100
        total = subscription.hard_limit_usd
        return Balance(total_usd=total, used_usd=used, available_usd=total - used)


LogKind = Literal["charge", "error", "refund", "other"]
_KINDS: dict[int, LogKind] = {2: "charge", 5: "error", 6: "refund"}
"""The `type` of a row (New API)."""


class LogRow(WireModel):
    """A row of the key's own books.

    Attributes:
        type: the gateway's number of its kind.
        created_at: by the gateway's clock, Unix time in seconds.
        quota: in the gateway's units.
        request_id: the gateway's id of the request; older gateways have none.
        other: all else, as JSON in a text.
    """

    type: int
    created_at: int
    quota: FiniteFloat = 0.0
    model_name: str = ""
    token_name: str | None = None
    request_id: str | None = None
    content: str | None = None
    other: str | None = None

    @property
    def kind(self) -> LogKind:
        """What it is."""
        return _KINDS.get(self.type, "other")

    @property
    def usd(self) -> float:
        """What it is about, in US dollars; a refund is given back."""
        return self.quota / QUOTA_PER_USD

    @property
    def path(self) -> str | None:
        """Of the request, where it is told."""
        try:
            found: Any = json.loads(self.other or "")
        except (ValueError, RecursionError):
            return None
        path = found.get("request_path") if isinstance(found, dict) else None  # pyright: ignore[reportUnknownMemberType, reportUnknownVariableType]
        return path if isinstance(path, str) else None


class KeyLog(WireModel):
    """The answer of `GET /api/log/token`."""

    success: Literal[True]
    data: list[LogRow]
