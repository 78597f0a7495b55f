"""What is known of the limits, to be seen."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from .._sansio.limiter import Limiter
from ._book import Book
from ._gate import Gate

if TYPE_CHECKING:  # most clients share nothing
    from .._sansio.sharing import Part

KEY = "the whole key"


@dataclass(frozen=True, slots=True)
class LimiterSnapshot:
    """One limiter as it was.

    Attributes:
        name: the route and the model, or "the whole key".
        state: "open" (no limit is known), "held" (calls are refused, one at a time asks), "searching", "rate",
            "window", "under way", or "shared": a part of what processes share.
        why: in a few words.
        seconds: that it has been in this state.
        rate: calls a second, as learned; None without such a limit, 0 while it is held.
        in_flight_limit: calls under way, as learned; None without such a limit.
        in_flight: calls under way.
        next_in: seconds that the next call would wait; infinite: not before one that is under way has ended.
        refusals: calls that were refused so far.
        refused_ago: seconds since the last of them; None: there was none.
        retry_after: seconds that it asked for; None: it didn't say.
    """

    name: str
    state: str
    why: str
    seconds: float
    rate: float | None
    in_flight_limit: float | None
    in_flight: int
    next_in: float
    refusals: int = 0
    refused_ago: float | None = None
    retry_after: float | None = None

    def __str__(self) -> str:
        since = f" for {self.seconds:.0f} s" if self.seconds >= 1 else ""
        parts = [f"{self.name}: {self.state}{since} ({self.why})"]
        if self.rate:
            parts.append(f"{self.rate:.3g} calls/s")
        if self.in_flight_limit is not None:
            parts.append(f"{self.in_flight_limit:.0f} at once")
        parts.append(f"{self.in_flight} under way")
        if self.next_in == float("inf"):
            parts.append("the next when one has ended")
        elif self.next_in > 0:
            parts.append(f"the next in {self.next_in:.2f} s")
        if self.refused_ago is not None:
            parts.append(f"{self.refusals} refused, the last {self.refused_ago:.0f} s ago")
        return ", ".join(parts)


@dataclass(frozen=True, slots=True)
class LimitsSnapshot:
    """All limiters as they were.

    Attributes:
        limiters: of the key, if it has one, then of each route and model that was asked.
        queued: calls of the running loop that wait for their turn, by their priority.
        in_flight_limit: attempts that may be under way in a loop now; less than `max_concurrency` after an overload.
    """

    limiters: tuple[LimiterSnapshot, ...]
    queued: Mapping[int, int] = field(default_factory=dict[int, int])
    in_flight_limit: int = 0

    def __str__(self) -> str:
        waiting = ", ".join(
            f"{count} of priority {priority}" for priority, count in sorted(self.queued.items(), reverse=True)
        )
        lines = [f"at most {self.in_flight_limit} calls under way; waiting: {waiting or 'nobody'}"]
        return "\n".join([*lines, *map(str, self.limiters)])


class KnownLimits:
    """What a client knows of its key's limits: `client.limits`.

    Args:
        book: of the client.
        monotonic: the clock, in seconds.
        queued: calls that wait in the running loop, by their priority.
    """

    def __init__(self, book: Book, monotonic: Callable[[], float], queued: Callable[[], Mapping[int, int]]) -> None:
        self._book = book
        self._monotonic = monotonic
        self._queued = queued

    def snapshot(self) -> LimitsSnapshot:
        """As it is now. It can be printed and pickled."""
        now, book = self._monotonic(), self._book
        return LimitsSnapshot(tuple(_all_of(book, now)), dict(self._queued()), book.overload.limit(now))

    def forget(self) -> None:
        """Start anew, as a new client would; what was set stays."""
        self._book.forget()


class AllLimits:
    """What a client knows of the limits of all its keys.

    Args:
        book: of one of them.
        monotonic: the clock, in seconds.
    """

    def __init__(self, book: Book, monotonic: Callable[[], float]) -> None:
        self._book = book
        self._monotonic = monotonic

    def limiters(self) -> Iterator[tuple[str, LimiterSnapshot]]:
        """All, each with whose it is: a name that opens nothing."""
        now = self._monotonic()
        for book in self._book.siblings:
            for limiter in _all_of(book, now):
                yield book.owner, limiter


def _all_of(book: Book, now: float) -> list[LimiterSnapshot]:
    return [*_of_key(book, now), *(_of_gate(gate, now) for gate in book.gates)]


def _of_key(book: Book, now: float) -> Iterator[LimiterSnapshot]:
    part, limiter = book.wide.part, book.wide.limiter
    if part is not None and part.governs(now):
        yield _of_part(KEY, book.wide.own, part, part.delay(now), now)
    elif limiter is not None:
        yield _of(KEY, limiter, limiter.delay(now), now)


def _of_gate(gate: Gate, now: float) -> LimiterSnapshot:
    ago = None if gate.refused_at is None else now - gate.refused_at
    if gate.shared is not None and gate.shared.governs(now):
        return _of_part(gate.name, gate.limiter, gate.shared, gate.delay(now), now, gate.refusals, ago)
    return _of(gate.name, gate.limiter, gate.delay(now), now, gate.refusals, ago)


def _of_part(
    name: str, limiter: Limiter, part: Part, delay: float, now: float, refusals: int = 0, ago: float | None = None
) -> LimiterSnapshot:
    return LimiterSnapshot(
        name,
        "shared",
        part.why,
        max(0.0, now - part.since),
        part.rate,
        part.concurrency,
        len(limiter.facts.flying),
        delay,
        refusals,
        ago,
        limiter.facts.retry_after,
    )


def _of(
    name: str, limiter: Limiter, delay: float, now: float, refusals: int = 0, ago: float | None = None
) -> LimiterSnapshot:
    state, facts = limiter.state, limiter.facts
    return LimiterSnapshot(
        name,
        state.name,
        state.why,
        max(0.0, now - state.since) if state.since else 0.0,
        state.rate,
        state.concurrency,
        len(facts.flying),
        delay,
        refusals,
        ago,
        facts.retry_after,
    )
