"""Window: so many calls in so many seconds. They are spread over most of it; the rest is to ask whether there is more."""

from __future__ import annotations

from .facts import Facts, Sent
from .state import State


class Window(State):
    """So many calls in so many seconds.

    Args:
        calls: of a window, as far as is known.
        period: seconds from one opening to the next, at most.
        probe: the first call of this window.
    """

    __slots__ = (
        "_calls", "_got", "_high", "_low", "_net", "_number", "_opened_at", "_period", "_probe", "_ra_at", "_refused",
        "_sent", "_short", "_shut_at", "_shuts", "_tail", "_tail_left", "_try_at", "_tails", "_waits_for", "_tail_at",
    )  # fmt: skip
    name = "window"

    def __init__(self, facts: Facts, now: float, calls: int, period: float, probe: Sent) -> None:
        super().__init__(facts, now, "calls were refused until a window was over")
        self._calls = float(max(1, calls))
        self._period = self._high = period
        self._low = 0.5 * period
        self._number = 0
        self._short = 0
        self._probe: Sent | None = None
        self._open(probe)

    @property
    def rate(self) -> float | None:
        return self._calls / self._period

    def _open(self, probe: Sent) -> None:
        self._opened_at = probe.at
        self._sent, self._got, self._refused, self._net = 1, 1, 0, 0
        self._number += 1
        self._tail = 0  # calls allowed beyond those known
        self._tails = 0
        self._tail_at = probe.at + self._period * self.facts.numbers.tail
        self._shut_at: float | None = None
        self._shuts = 0
        self._waits_for: Sent | None = None
        self._ra_at: float | None = None
        self._probe = None
        self._try_at = self._next_opening()

    def _next_opening(self) -> float:
        numbers = self.facts.numbers
        width = self._high - self._low
        if width > 0.012 * self._high:
            return self._opened_at + self._high - width / 2
        share = numbers.early if self._number % numbers.early_every == 0 else numbers.late
        return self._opened_at + self._high * share

    def resumed(self, now: float, probe: Sent) -> State:
        return self.moves.rounds(self.facts, now, probe, (0.0, 0.0))

    # --- time ---

    def delay(self, now: float) -> float:
        facts, numbers = self.facts, self.facts.numbers
        since = now - self._opened_at
        if self._probe is not None:
            return max(1e-3, self._probe.at + numbers.patience * facts.rtt - now)
        opens_at = self._ra_at if self._ra_at is not None else self._try_at
        if now >= opens_at and (self._ra_at is not None or self._spent(now)):
            return 0.0
        if self._shut_at is None:
            share = min(1.0, since / (numbers.spread * self._period))
            allowed = min(self._calls, 1.0 + self._calls * share)
            if self._sent + 1 <= allowed + 1e-9:
                return 0.0
            if self._sent + 1 <= self._calls:
                return max(1e-4, (self._sent / self._calls) * numbers.spread * self._period - since)
            tail = self._tail_delay(now)
            if tail is not None:
                return tail
        return max(0.0, opens_at - now)

    def _spent(self, now: float) -> bool:
        return True

    def _tail_delay(self, now: float) -> float | None:
        numbers = self.facts.numbers
        if self._calls <= numbers.many and self._number % 2 and not self._tails:
            return None
        if now > self._opened_at + numbers.tail_end * self._period:
            return None
        if self._waits_for is not None:
            rest = self._waits_for.at + numbers.patience * self.facts.rtt - now
            return max(1e-3, rest) if rest > 0 or self._waits_for.verdict is None else 1e-3
        if now < self._tail_at:
            return self._tail_at - now
        return 0.0

    def passed(self, sent: Sent) -> None:
        now = sent.at
        opens_at = self._ra_at if self._ra_at is not None else self._try_at
        if now >= opens_at:
            self._probe = sent
            return
        sent.mark = self._number
        self._sent += 1
        if self._sent > self._calls:
            self._tail -= 1
            if self._tail <= 0:
                self._waits_for = sent

    # --- answers ---

    def ended(self, sent: Sent, now: float, is_refused: bool) -> State:
        if sent is self._probe:
            return self._opening_refused(now) if is_refused else self._opened(sent)
        if is_refused and sent is self._waits_for:
            self._waits_for = None
            self._shut(now)
        return self

    def _shut(self, now: float) -> None:
        self._shut_at = now
        facts = self.facts
        if facts.retry_after is not None and facts.trusts is not False and facts.retry_after > 0:
            at = facts.refused_at + facts.retry_after
            if at <= self._opened_at + 1.3 * self._high:
                self._ra_at = at

    def judged(self, sent: Sent, now: float, is_refused: bool) -> State:
        if sent is self._probe and not is_refused:
            return self._opened(sent)
        if sent.state is not self or sent.mark != self._number:
            return self
        if not is_refused:
            self._got += 1
            self._net = max(0, self._net - 1)
            if sent is self._waits_for:  # there is more: ask for twice as much
                self._tails += 1
                self._tail = 2**self._tails
                self._waits_for = None
                self._calls = max(self._calls, float(self._got))
            return self
        self._refused += 1
        self._net += 1
        if self._shut_at is None and (self._net >= 3 or self._sent > self._calls):
            self._shut(now)
            if self._net >= 3:
                self._short += 1
                self._calls = max(1.0, float(self._got))
                if self._short >= self.facts.numbers.cut_short:
                    return self.moves.pace(self.facts, now, self._calls / self._period)
        return self

    def _opening_refused(self, now: float) -> State:
        probe, self._probe = self._probe, None
        assert probe is not None
        self._shuts += 1
        facts = self.facts
        asked = facts.retry_after if facts.trusts is not False else None
        if self._shuts > 40:
            return self.moves.hold(facts, now, probe.at, None, None, False)
        self._low = max(self._low, min(probe.at - self._opened_at, self._high * 1.5))
        if asked:
            self._ra_at = now + asked
            return self
        self._ra_at = None
        if self._low < self._high:
            self._try_at = self._opened_at + min(self._high * 1.003, self._low + max(2 * facts.rtt, 0.5 * (self._high - self._low)))
            if self._try_at <= now:
                self._try_at = now + 2 * facts.rtt
        else:
            self._try_at = now + max(2 * facts.rtt, 0.02 * self._period * 1.4**self._shuts)
        return self

    def _opened(self, probe: Sent) -> State:
        took = probe.at - self._opened_at
        self._high = took
        self._low = max(min(self._low, took * 0.99), 0.5 * took) if self._shuts else self._low
        if self._low >= self._high:
            self._low = 0.985 * self._high
        self._period = self._high
        if self._shut_at is None or self._net < 3:
            self._short = 0
            self._calls = max(self._calls, float(self._got)) if self._got > self._calls else self._calls
        self._open(probe)
        return self
