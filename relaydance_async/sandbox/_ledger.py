"""What the sandbox was asked, accepted and charged: the truth that a test holds the client against."""

from __future__ import annotations

import hashlib
import threading
from collections import Counter, deque
from typing import NamedTuple

from ._accounts import to_usd
from ._json import Json


class LedgerEntry(NamedTuple):
    """One request, as the server saw it."""

    n: int
    """Counts from 1."""
    at: float
    """Sandbox clock, seconds since the epoch."""
    method: str
    route: str
    """The template, such as "GET /v1/video/generations/{task_id}"."""
    path: str
    account: str
    """The account's name, "" when the key was refused. Never the key."""
    status: int
    """What was answered; 0 when the caller got no status at all."""
    code: str
    request_id: str
    accepted: bool
    """The request was processed, whatever answer reached the caller."""
    fault: str | None
    body_sha256: str | None
    """Of the request body; for uploads, of the file in it. None without a body."""
    body_bytes: int
    task_id: str | None
    charge_usd: float


class Charge(NamedTuple):
    """Money moved: positive for a charge, negative for a refund."""

    at: float
    account: str
    usd: float
    reason: str
    task_id: str | None


class WebhookDelivery(NamedTuple):
    """One attempt to deliver a webhook."""

    at: float
    task_id: str
    url: str
    attempt: int
    """Counts from 1."""
    status: int
    """0 when no answer came."""
    error: str


class Ledger:
    """Every request and every charge. Thread-safe; counts stay exact when old entries are dropped."""

    def __init__(self, limit: int | None = None) -> None:
        self._lock = threading.Lock()
        self._limit = limit
        self.reset()

    def reset(self) -> None:
        """Forget everything."""
        with self._lock:
            self._entries: deque[LedgerEntry] = deque(maxlen=self._limit)
            self._cdn_entries: deque[LedgerEntry] = deque(maxlen=self._limit)
            self._charges: deque[Charge] = deque(maxlen=self._limit)
            self._webhooks: deque[WebhookDelivery] = deque(maxlen=self._limit)
            self._counts: Counter[tuple[str, int, bool]] = Counter()
            self._billed: Counter[str] = Counter()
            self._duplicates: Counter[str] = Counter()
            self._seen: set[bytes] = set()
            self._charged_units = 0
            self._refunded_units = 0
            self._cdn_authorizations = 0
            self._n = 0

    def record(self, entry: LedgerEntry, *, units: int = 0) -> None:
        """Add `entry`, numbered here, with its charge in quota units."""
        with self._lock:
            self._n += 1
            entry = entry._replace(n=self._n, charge_usd=to_usd(units))
            (self._cdn_entries if entry.route.startswith("CDN ") else self._entries).append(entry)
            self._counts[entry.route, entry.status, entry.accepted] += 1
            if not entry.accepted:
                return
            if units:
                self._billed[entry.route] += 1
                self._charged_units += units
                self._charges.append(Charge(entry.at, entry.account, to_usd(units), "charge", entry.task_id))
            if entry.body_sha256 is not None and entry.method == "POST":
                self._remember_body(entry.route, entry.body_sha256)

    def _remember_body(self, route: str, body_sha256: str) -> None:
        # Eight bytes each, so that a run of millions stays small.
        mark = hashlib.blake2b(f"{route} {body_sha256}".encode(), digest_size=8).digest()
        if mark in self._seen:
            self._duplicates[route] += 1
        self._seen.add(mark)

    def record_refund(self, at: float, account: str, units: int, task_id: str) -> None:
        with self._lock:
            self._refunded_units += units
            self._charges.append(Charge(at, account, -to_usd(units), "refund", task_id))

    def record_webhook(self, delivery: WebhookDelivery) -> None:
        with self._lock:
            self._webhooks.append(delivery)

    def record_cdn_authorization(self) -> None:
        with self._lock:
            self._cdn_authorizations += 1

    @property
    def entries(self) -> list[LedgerEntry]:
        """API requests in the order they were answered (the last `ledger_limit` of them)."""
        with self._lock:
            return list(self._entries)

    @property
    def cdn_entries(self) -> list[LedgerEntry]:
        """Requests to the result host."""
        with self._lock:
            return list(self._cdn_entries)

    @property
    def charges(self) -> list[Charge]:
        """Charges and refunds in order."""
        with self._lock:
            return list(self._charges)

    @property
    def webhooks(self) -> list[WebhookDelivery]:
        """Delivery attempts in order."""
        with self._lock:
            return list(self._webhooks)

    def count(self, route: str | None = None, *, status: int | None = None, accepted: bool | None = None) -> int:
        """Requests that match; without a route, every API request (none to the result host)."""
        with self._lock:
            return sum(
                number
                for (r, s, a), number in self._counts.items()
                if (r == route if route is not None else not r.startswith("CDN "))
                and (status is None or s == status)
                and (accepted is None or a == accepted)
            )

    def accepted(self, route: str | None = None) -> int:
        """Requests that were processed."""
        return self.count(route, accepted=True)

    def billed(self, route: str | None = None) -> int:
        """Accepted requests that were charged for, refunds not taken off."""
        with self._lock:
            return self._billed.total() if route is None else self._billed[route]

    def duplicates(self, route: str | None = None) -> int:
        """Accepted POSTs whose body had been accepted on the same route before."""
        with self._lock:
            return self._duplicates.total() if route is None else self._duplicates[route]

    @property
    def charged_usd(self) -> float:
        """US dollars charged, refunds not taken off."""
        return to_usd(self._charged_units)

    @property
    def refunded_usd(self) -> float:
        """US dollars given back for failed tasks."""
        return to_usd(self._refunded_units)

    @property
    def cdn_authorizations(self) -> int:
        """Requests to the result host that carried an Authorization header. Anything but 0 is a leaked key."""
        return self._cdn_authorizations

    def to_json(self) -> Json:
        """Everything, as plain data."""
        with self._lock:
            routes = sorted({route for route, _, _ in self._counts})
        per_route = {
            route: {
                "count": self.count(route),
                "accepted": self.accepted(route),
                "billed": self.billed(route),
                "duplicates": self.duplicates(route),
            }
            for route in routes
        }
        return {
            "entries": [entry._asdict() for entry in self.entries],
            "cdn_entries": [entry._asdict() for entry in self.cdn_entries],
            "charges": [charge._asdict() for charge in self.charges],
            "webhooks": [delivery._asdict() for delivery in self.webhooks],
            "routes": per_route,
            "charged_usd": self.charged_usd,
            "refunded_usd": self.refunded_usd,
            "cdn_authorizations": self.cdn_authorizations,
        }
