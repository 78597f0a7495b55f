"""Keys, what they may do, and what they have left."""

from __future__ import annotations

import threading
from collections.abc import Collection
from dataclasses import dataclass
from typing import Literal, get_args

from ._checks import check_number, check_type

UNITS_PER_USD = 500_000
"""The gateway counts in quota units (wire 8): whole numbers, so that a thousand small charges still add up exactly."""


def to_units(usd: float) -> int:
    return round(usd * UNITS_PER_USD)


def to_usd(units: int) -> float:
    return units / UNITS_PER_USD


Offer = Literal["on", "404", "401", "false"]
"""Whether a route is on, or else how it is off."""


def check_offer(name: str, offer: str) -> None:
    if offer not in get_args(Offer):
        raise ValueError(f"{name} must be one of {', '.join(get_args(Offer))}, not {offer!r}")


@dataclass
class Account:
    """One key's owner. May be changed while the sandbox runs, for example `disabled` in the middle of polling."""

    name: str = "account"
    balance_usd: float = 1000.0
    """US dollars granted, before anything is spent."""
    disabled: bool = False
    """The key answers 401 everywhere, polling included."""
    models: Collection[str] | None = None
    """The model ids this key may use; None for all."""
    unlimited: bool = False
    """Charges are recorded but never refused."""
    balance_offered: bool = True
    """Whether the balance routes are switched on."""
    log: Offer = "on"
    """GET /api/log/token, or how it says that it is switched off: by a 404, a 401, or `success: false`."""
    log_delay: float = 0.0
    """Seconds of the sandbox clock until a row is in the log."""
    log_request_ids: bool = True
    """Older gateways have none in their log."""

    def __post_init__(self) -> None:
        check_number("balance_usd", self.balance_usd, -1e9, 1e9)
        check_number("log_delay", self.log_delay)
        check_offer("log", self.log)


class InsufficientBalanceError(Exception):
    """The account has less left than the charge."""


class Wallets:
    """What each key has used, in quota units. Thread-safe."""

    def __init__(self, accounts: dict[str, Account]) -> None:
        for account in accounts.values():
            check_type("an account", account, Account)
        self.accounts = accounts
        self._used: dict[str, int] = {}
        self._lock = threading.Lock()

    def find(self, key: str) -> Account | None:
        return self.accounts.get(key)

    def used(self, key: str) -> int:
        return self._used.get(key, 0)

    def left(self, key: str) -> int:
        return to_units(self.accounts[key].balance_usd) - self.used(key)

    def charge(self, key: str, units: int) -> None:
        with self._lock:
            if not self.accounts[key].unlimited and self.left(key) < max(units, 1):
                raise InsufficientBalanceError
            self._used[key] = self.used(key) + units

    def refund(self, key: str, units: int) -> None:
        with self._lock:
            self._used[key] = self.used(key) - units

    def reset(self) -> None:
        with self._lock:
            self._used.clear()
