"""Many calls at once against a rate limit that nobody has told them: simulated, on a clock that jumps."""

from __future__ import annotations

import asyncio
import random
import selectors
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import pytest

from relaydance_async._limits import Admission, Book, Ended, Kind, LocalAdmission, Ticket

_TICKET = Ticket(Kind.BILLED, "/video/generations")


class JumpingSelector(selectors.SelectSelector):
    """Waits for nothing: what would be waited is added to the time."""

    now = 0.0

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        self.now += max(timeout or 0.0, 0.0)
        return []


class JumpingLoop(asyncio.SelectorEventLoop):
    """A loop without sockets, for programs of timers."""

    def __init__(self) -> None:
        self._clock = JumpingSelector()
        super().__init__(self._clock)

    def time(self) -> float:
        return self._clock.now


@dataclass
class Bucket:
    """The server's rate limit."""

    rate: float
    burst: float
    tokens: float = field(init=False)
    at: float = 0.0
    accepted: int = 0
    refused: int = 0

    def __post_init__(self) -> None:
        self.tokens = self.burst

    def take(self, now: float) -> bool:
        self.tokens = min(self.burst, self.tokens + (now - self.at) * self.rate)
        self.at = now
        if self.tokens < 1:
            self.refused += 1
            return False
        self.tokens -= 1
        self.accepted += 1
        return True


@dataclass
class FanOut:
    """So many calls, begun together; each is repeated a second after a 429, as the controller does it."""

    calls: int = 2_000
    at_once: int = 100
    rate: float = 100
    burst: float = 20
    round_trip: float = 0.005
    work: float = 0.0
    """Seconds that an accepted call takes, about."""
    dice: random.Random = field(default_factory=lambda: random.Random(1))
    attempts: list[int] = field(default_factory=list[int])

    def run(self) -> Mapping[str, float]:
        loop = JumpingLoop()
        bucket = Bucket(self.rate, self.burst)
        try:
            loop.run_until_complete(self._all(loop, bucket))
            allowed = self.burst + self.rate * loop.time()
        finally:
            loop.close()
        sent = bucket.accepted + bucket.refused
        return {"used": bucket.accepted / allowed, "wasted": bucket.refused / sent, "attempts": max(self.attempts)}

    async def _all(self, loop: JumpingLoop, bucket: Bucket) -> None:
        admission = LocalAdmission(self.at_once, Book(), loop.time, asyncio.sleep)
        await asyncio.gather(*(self._call(admission, loop, bucket) for _ in range(self.calls)))

    async def _call(self, admission: Admission, loop: JumpingLoop, bucket: Bucket) -> None:
        attempt = 1
        while not await self._attempt(admission, loop, bucket):
            await asyncio.sleep(max(1.0, self.dice.random() * min(8, 0.5 * 2 ** (attempt - 1))))
            attempt += 1
        self.attempts.append(attempt)

    async def _attempt(self, admission: Admission, loop: JumpingLoop, bucket: Bucket) -> bool:
        lease = admission.enter_now(_TICKET) or await admission.enter(_TICKET)
        await asyncio.sleep(self._about(self.round_trip / 2))
        accepted = bucket.take(loop.time())
        await asyncio.sleep(self._about(self.round_trip / 2) + (self._about(self.work) if accepted else 0))
        lease.ended(Ended.ACCEPTED if accepted else Ended.REFUSED, 1.0)
        return accepted

    def _about(self, seconds: float) -> float:
        return seconds * self.dice.uniform(0.5, 1.5)


CASES: dict[str, tuple[dict[str, Any], float, float]] = {
    # what differs, share of the rate used at least, share of the requests wasted at most
    "near": ({}, 0.9, 0.03),
    "farther": ({"round_trip": 0.02}, 0.87, 0.03),
    # A crowd of which nothing passes any more is held at once: two seconds of the twenty, for fewer refusals.
    "far": ({"round_trip": 0.1}, 0.7, 0.08),
    "few calls": ({"calls": 500}, 0.7, 0.07),
    "a high limit": ({"rate": 1000, "burst": 100, "calls": 10_000}, 0.8, 0.03),
    "a low limit": ({"rate": 10, "burst": 5, "calls": 200}, 0.85, 0.15),
    "calls that take long": ({"round_trip": 0.02, "work": 2.0, "at_once": 400}, 0.75, 0.05),
}


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize(("differs", "used", "wasted"), CASES.values(), ids=CASES)
def test_a_fan_out_uses_the_rate_and_wastes_little(
    differs: dict[str, Any], used: float, wasted: float, seed: int
) -> None:
    found = FanOut(dice=random.Random(seed), **differs).run()
    assert found["used"] >= used
    assert found["wasted"] <= wasted
    assert found["attempts"] <= 4  # which is what RetryPolicy allows
