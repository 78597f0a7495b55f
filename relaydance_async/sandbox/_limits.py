"""The limits of the gateway and of the providers behind it: what they count, and what a 429 says."""

from __future__ import annotations

import dataclasses
import math
import threading
import time
from collections.abc import Callable, Collection, Iterable
from dataclasses import dataclass
from email.utils import formatdate
from typing import Any, Literal, cast, get_args

from ._checks import check_number, check_type, check_whole
from ._clock import Clock
from ._meters import FixedWindow, Meter, SlidingCounter, SlidingLog, TokenBucket, UnderWay

Policy = Literal["token_bucket", "fixed_window", "sliding_log", "sliding_counter", "under_way"]
Per = Literal["key", "model", "key_and_model", "all"]
Counts = Literal["admitted", "all", "successes"]

TOO_LONG = 10
"""How much too long a Retry-After is that is too long."""


@dataclass(frozen=True)
class RateLimit:
    """How many calls may come. Times are seconds of the sandbox clock, or real ones with `real_time`."""

    rate: float = 100.0
    """Calls per second of a token bucket."""
    burst: int = 20
    """Calls that a token bucket lets come at once after a rest."""
    retry_after: str | None = "1"
    """What a 429 says: "exact" (whole seconds, rounded up), "long" (ten times that), "date" for an HTTP date, "ms" for
    `retry-after-ms`, None for nothing; anything else is the header's very value."""
    empty_body: bool = False
    """Some limiters answer 429 with nothing in it."""
    routes: Collection[str] | None = None
    """Route templates that count, such as "POST /v1/video/generations"; None for every API route."""
    _: dataclasses.KW_ONLY
    policy: Policy = "token_bucket"
    """"token_bucket" (`rate`, `burst`); "fixed_window", "sliding_log" and "sliding_counter" (`limit` calls in `window`
    seconds); "under_way" (`limit` calls at once, each until its answer is sent)."""
    limit: int = 60
    window: float = 60.0
    per: Per = "key"
    """Whose calls are counted together."""
    counts: Counts = "admitted"
    """Which calls count: those let through, also those refused, or only those answered below 400 (once they are)."""
    models: Collection[str] | None = None
    """Model ids that count, as of a provider behind some models only; None for all, and for routes without a model."""
    real_time: bool = False

    def __post_init__(self) -> None:
        check_number("rate", self.rate, 1e-9)
        check_whole("burst", self.burst, 1)
        check_whole("limit", self.limit, 1)
        check_number("window", self.window, 1e-3)
        for name, value, allowed in (
            ("policy", self.policy, get_args(Policy)),
            ("per", self.per, get_args(Per)),
            ("counts", self.counts, get_args(Counts)),
        ):
            if value not in allowed:
                raise ValueError(f"{name} must be one of {', '.join(allowed)}, not {value!r}")

    @classmethod
    def of_gateway(cls, *, requests: int = 0, successes: int = 0, minutes: int = 1) -> tuple[RateLimit, ...]:
        """The limits of the gateway's own software, which say nothing about when to come back (wire 2.5).

        So many `requests`, and so many `successes`, in so many `minutes` for each key; 0 for no such limit.
        """
        counted: tuple[tuple[int, Counts], ...] = ((requests, "admitted"), (successes, "successes"))
        return tuple(
            cls(policy="sliding_log", limit=limit, window=60.0 * minutes, counts=counts, retry_after=None)
            for limit, counts in counted
            if limit
        )

    @classmethod
    def from_json(cls, value: object) -> RateLimit:
        """From a JSON object with these fields."""
        if not isinstance(value, dict):
            raise ValueError("a limit is a JSON object")
        fields = cast("dict[str, Any]", value)
        known = {f.name for f in dataclasses.fields(cls)} - {"_"}
        if unknown := sorted(set(fields) - known):
            raise ValueError(f"a limit has no {', '.join(unknown)}")
        return cls(**fields)

    def build_meter(self, now: float) -> Meter:
        if self.policy == "token_bucket":
            return TokenBucket(self.rate, self.burst, now)
        if self.policy == "under_way":
            return UnderWay(self.limit)
        kinds: dict[str, Callable[[int, float], Meter]] = {
            "fixed_window": FixedWindow,
            "sliding_log": SlidingLog,
            "sliding_counter": SlidingCounter,
        }
        return kinds[self.policy](self.limit, self.window)


def retry_after_headers(value: str | None, wait: float) -> list[tuple[str, str]]:
    """The header for `value` when the caller should come back in `wait` real seconds."""
    if value is None:
        return []
    if value == "ms":
        return [("retry-after-ms", str(max(1, math.ceil(wait * 1000))))]
    if value == "date":
        # One second on top: an HTTP date has no fraction, and must not name a moment already past.
        return [("retry-after", formatdate(time.time() + wait + 1, usegmt=True))]
    if value in ("exact", "long"):
        return [("retry-after", str(max(1, math.ceil(wait)) * (TOO_LONG if value == "long" else 1)))]
    return [("retry-after", value)]


class RefusedByLimit(Exception):
    """A limit does not let the call through; `wait` is in real seconds."""

    def __init__(self, limit: RateLimit, wait: float) -> None:
        super().__init__("rate limit exceeded")
        self.limit = limit
        self.wait = wait


class Ticket:
    """A call that the limits have let through."""

    def __init__(self) -> None:
        self.meters: list[tuple[RateLimit, Meter]] = []


class Limiter:
    """Every limit in force, asked in order: what one lets through, it has counted, whatever the next one says."""

    def __init__(self, limits: Iterable[RateLimit], clock: Clock) -> None:
        self._limits = tuple(limits)
        for limit in self._limits:
            check_type("a rate limit", limit, RateLimit)
        self._clock = clock
        self._lock = threading.Lock()
        self._meters: dict[tuple[int, str, str], Meter] = {}

    def admit(self, key: str, model: str, route: str) -> Ticket:
        """Count the call; RefusedByLimit when it may not pass."""
        ticket = Ticket()
        with self._lock:
            for index, limit in enumerate(self._limits):
                if _covers(limit, model, route):
                    self._ask(index, limit, key, model, ticket)
        return ticket

    def _ask(self, index: int, limit: RateLimit, key: str, model: str, ticket: Ticket) -> None:
        now = self._now(limit)
        meter = self._meter(index, limit, key, model, now)
        wait = meter.wait(now)
        if wait is not None:
            if limit.counts == "all" and limit.policy != "under_way":
                meter.count(now)
            self._leave(ticket)
            raise RefusedByLimit(limit, wait if limit.real_time else self._clock.to_real(wait))
        if limit.counts != "successes" or limit.policy == "under_way":
            meter.count(now)
        ticket.meters.append((limit, meter))

    def _meter(self, index: int, limit: RateLimit, key: str, model: str, now: float) -> Meter:
        whose = key if limit.per in ("key", "key_and_model") else ""
        which = model if limit.per in ("model", "key_and_model") else ""
        place = (index, whose, which)
        if place not in self._meters:
            self._meters[place] = limit.build_meter(now)
        return self._meters[place]

    def leave(self, ticket: Ticket | None, *, succeeded: bool) -> None:
        """The call is over."""
        if ticket is None or not ticket.meters:
            return
        with self._lock:
            for limit, meter in ticket.meters if succeeded else ():
                if limit.counts == "successes" and limit.policy != "under_way":
                    meter.count(self._now(limit))
            self._leave(ticket)

    def _leave(self, ticket: Ticket) -> None:
        for _, meter in ticket.meters:
            meter.leave()
        ticket.meters.clear()

    def _now(self, limit: RateLimit) -> float:
        return time.monotonic() if limit.real_time else self._clock.now()

    def reset(self) -> None:
        with self._lock:
            self._meters.clear()


def _covers(limit: RateLimit, model: str, route: str) -> bool:
    return (limit.routes is None or route in limit.routes) and (limit.models is None or model in limit.models)
