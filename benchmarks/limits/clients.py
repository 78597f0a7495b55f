"""Who calls: ours, and the behaviour of others' clients."""

from __future__ import annotations

import random
from dataclasses import replace

from relaydance_async._limits._gate import Gate
from relaydance_async._sansio.limiter import NUMBERS, Limiter, Numbers, Sent, Verdict
from relaydance_async._sansio.overload import Overload
from relaydance_async._sansio.retry import RetryPolicy, backoff

_POLICY = RetryPolicy()


class Ours(Limiter):
    """The limiter itself, the reaction to an overload, and the wait of a refused call."""

    __slots__ = ("_overload",)

    def __init__(self, permits: int = 1_000_000, processes: int = 1, numbers: Numbers = NUMBERS) -> None:
        super().__init__(replace(numbers, processes=processes))
        self._overload = Overload(permits)

    def delay(self, now: float) -> float:
        if self.facts.in_flight >= self._overload.limit(now):
            return 0.05
        return super().delay(now)

    def ended(self, sent: Sent, now: float, verdict: Verdict, retry_after: float | None = None) -> None:
        if verdict is Verdict.OVERLOADED:
            self._overload.overloaded(now, sent.at, self.facts.in_flight)
            verdict = Verdict.NOTHING
        super().ended(sent, now, verdict, retry_after)

    def backoff(self, refusals: int, retry_after: float | None, chance: random.Random) -> float | None:
        return max(backoff(refusals, _POLICY, chance.random()), min(retry_after or 0.0, 60.0))


class Gated:
    """The client's own gate, of one route and model, and the wait of a refused call."""

    def __init__(self, gate: Gate) -> None:
        self.gate = gate

    @property
    def rate(self) -> float | None:
        return self.gate.rate

    def delay(self, now: float) -> float:
        return self.gate.delay(now)

    def passed(self, now: float) -> Sent:
        return self.gate.passed(now)

    def ended(self, sent: Sent, now: float, verdict: Verdict, retry_after: float | None = None) -> None:
        self.gate.ended(sent, now, verdict, retry_after)

    def backoff(self, refusals: int, retry_after: float | None, chance: random.Random) -> float | None:
        return max(backoff(refusals, _POLICY, chance.random()), min(retry_after or 0.0, 60.0))


class OpenAI:
    """openai 2.x: every call goes at once; a refused one waits as asked, or 0.5 to 8 s, and then is lost."""

    rate: float | None = None

    def __init__(self, retries: int) -> None:
        self._retries = retries

    def delay(self, now: float) -> float:
        return 0.0

    def passed(self, now: float) -> None:
        return None

    def ended(self, sent: object, now: float, verdict: Verdict, retry_after: float | None) -> None:
        pass

    def backoff(self, refusals: int, retry_after: float | None, chance: random.Random) -> float | None:
        if refusals > self._retries:
            return None
        if retry_after is not None and 0 < retry_after <= 60:
            return retry_after
        return min(0.5 * 2.0 ** (refusals - 1), 8.0) * (1 - 0.25 * chance.random())


class Botocore(OpenAI):
    """botocore's adaptive mode: a token bucket whose rate follows CUBIC on the measured rate of sending.

    From botocore/retries/throttling.py, bucket.py and adaptive.py: beta 0.7, scale 0.4, smoothing 0.8, half seconds.
    """

    def __init__(self) -> None:
        super().__init__(10)
        self.rate: float | None = None  # enabled by the first refusal
        self._tokens, self._at = 0.0, 0.0
        self._measured, self._bin, self._count = 0.0, 0.0, 0
        self._w_max, self._failed_at, self._k = 0.0, 0.0, 0.0

    def delay(self, now: float) -> float:
        if self.rate is None:
            return 0.0
        self._tokens = min(max(1.0, self.rate), self._tokens + (now - self._at) * self.rate)
        self._at = now
        return 0.0 if self._tokens >= 1.0 - 1e-9 else (1 - self._tokens) / self.rate

    def passed(self, now: float) -> None:
        if self.rate is not None:
            self._tokens -= 1.0

    def ended(self, sent: object, now: float, verdict: Verdict, retry_after: float | None) -> None:
        self._measure(now)
        if verdict is Verdict.ACCEPTED:
            calculated = 0.4 * (now - self._failed_at - self._k) ** 3 + self._w_max
        else:
            rate = self._measured if self.rate is None else min(self._measured, self.rate)
            self._w_max, self._failed_at = rate, now
            self._k = (rate * 0.3 / 0.4) ** (1 / 3)
            calculated = rate * 0.7
            self.rate = self.rate or max(0.5, calculated)
        if self.rate is not None:
            self.delay(now)
            self.rate = max(0.5, min(calculated, 2 * self._measured))

    def _measure(self, now: float) -> None:
        self._count += 1
        current = int(now * 2) / 2
        if current > self._bin:
            self._measured = 0.8 * self._count / (current - self._bin) + 0.2 * self._measured
            self._count, self._bin = 0, current
