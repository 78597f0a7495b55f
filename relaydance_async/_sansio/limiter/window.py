"""Window: so many calls in so many seconds. They are spread over most of it; the rest is to ask whether there is more.

When it opens is known within bounds, which each opening narrows: a probe that is accepted is the upper one, a probe
that is refused the lower one.
"""

from __future__ import annotations

from .facts import Facts, Sent, Verdict
from .learned import Learned
from .state import State


class Window(State):
    """So many calls in so many seconds.

    Args:
        calls: of a window, as far as is known.
        low, high: seconds from one opening to the next.
        probe: the first call of this window.
    """

    __slots__ = (
        "_before", "_calls", "_closed", "_got", "_high", "_is_shut", "_last", "_lost", "_low", "_not_before", "_number",
        "_opened_at", "_opens_at", "_probe", "_refused", "_rough", "_row_at", "_sent", "_short", "_slides", "_tail",
        "_tail_at", "_tails", "_times", "_tries", "_waits_for",
    )  # fmt: skip
    name = "window"

    def __init__(self, facts: Facts, now: float, calls: int, low: float, high: float, probe: Sent) -> None:
        super().__init__(facts, now, "calls were refused until a window was over")
        self._calls = max(1, calls)
        self._high, self._low = high, min(low, 0.985 * high)
        self._number = self._short = 0
        self._before: tuple[float, int] | None = None
        self._probe: Sent | None = None
        self._sent = 0
        self._slides = False
        self._rough = 0
        self._times: list[float] = []
        self._opened_at = probe.at
        self._closed: tuple[Sent, float, int, float, float] | None = None
        self._open(probe)

    @property
    def rate(self) -> float | None:
        return self._calls / self._high

    @property
    def _is_sure(self) -> bool:
        return self._high - self._low < 0.03 * self._high

    def learned(self, now: float) -> Learned:
        return Learned("window", self.rate or 0.0, self._calls, self._high, now - self._opened_at)

    def resumed(self, now: float, probe: Sent) -> State:
        return self.moves.rounds(self.facts, now, probe, (0.0, 0.0))

    def _open(self, probe: Sent) -> None:
        numbers = self.facts.numbers
        self._opened_at = probe.at
        self._number += 1
        self._sent = self._got = 1
        self._refused = self._tail = self._tails = self._tries = 0
        self._is_shut = False
        self._not_before = self._row_at = 0.0
        self._lost = 0
        self._waits_for: Sent | None = None
        self._probe = None
        self._last, self._times = self._times, [probe.at]
        self._tail_at = probe.at + self._high * numbers.tail
        # Unless a refusal has shown that its calls are spent, an accepted call says nothing of an opening.
        self._opens_at = probe.at + self._high * numbers.late

    def delay(self, now: float) -> float:
        facts, numbers = self.facts, self.facts.numbers
        if self._probe is not None and self._probe.verdict is Verdict.NOTHING:
            self._probe = None  # it was cancelled: the next one may go
        if self._waits_for is not None and self._waits_for.verdict is Verdict.NOTHING:
            self._waits_for = None
        if self._probe is not None:
            return max(1e-3, self._probe.at + numbers.patience * facts.rtt - now)
        if now >= self._opens_at:
            return 0.0
        if not self._is_shut:
            if self._sent < self._calls:
                due = self._opened_at + self._sent / self._calls * numbers.spread * self._high
                due = max(due, self._not_before)
                if self._slides and self._sent < len(self._last):
                    due = max(due, self._last[self._sent] + self._high)
                return min(max(0.0, due - now), self._opens_at - now)
            tail = self._tail_delay(now)
            if tail is not None:
                return min(tail, self._opens_at - now)
        return self._opens_at - now

    def _tail_delay(self, now: float) -> float | None:
        """Until it may be asked whether there is more; None: not in this window."""
        numbers = self.facts.numbers
        if self._is_sure and self._calls <= numbers.many and self._number % 2 and not self._tails:
            return None
        if now > self._opened_at + numbers.tail_end * self._high:
            return None
        if (asked := self._waits_for) is not None:
            return max(1e-3, asked.at + numbers.patience * self.facts.rtt - now)
        return max(0.0, self._tail_at - now)

    def passed(self, sent: Sent) -> None:
        if sent.at >= self._opens_at:
            self._probe = sent
            return
        sent.mark = self._number
        del self._times[self._sent :]
        self._times.append(sent.at)
        self._sent += 1
        if self._sent > self._calls:
            self._tail -= 1
            if self._tail <= 0:
                self._waits_for = sent

    def ended(self, sent: Sent, now: float, is_refused: bool) -> State:
        if sent is self._probe:
            return self._stays_shut(sent, now) if is_refused else self._opens(sent, now)
        if is_refused and sent is self._waits_for:
            self._shut(sent, now)
        return self

    def judged(self, sent: Sent, now: float, is_refused: bool) -> State:
        if sent is self._probe and not is_refused:
            return self._opens(sent, now)
        if sent.state is not self or sent.mark != self._number:
            return self
        if not is_refused:
            self._got += 1
            self._refused = 0
            return self._is_more(sent, now) if sent is self._waits_for else self
        if self._is_shut:
            return self
        self._lost += 1
        if not self._refused:
            self._row_at = sent.at
        self._refused += 1
        in_row, lasting = self.facts.numbers.short_by, self.facts.numbers.short_for * self._high
        if self._sent > self._calls:
            self._shut(sent, now)
        elif self._refused >= in_row and sent.at - self._row_at >= lasting:
            return self._is_less(sent, now)
        else:  # it came before its time: a sliding window opens call by call
            self._sent -= 1
            self._slides = True
            self._not_before = now + self._high / self._calls * 1.7**self._refused
        return self

    def mistaken(self, sent: Sent, now: float) -> State:
        if self._closed is not None and sent is self._closed[0]:
            _, self._opened_at, self._calls, self._low, self._high = self._closed
            self._closed = None
            self._is_shut, self._number = True, self._number + 1
            return self._stays_shut(sent, now)
        if sent.state is self and sent.mark == self._number:
            self._got -= 1
        return super().mistaken(sent, now)

    def _is_more(self, sent: Sent, now: float) -> State:
        """A call beyond those known was accepted: the next window has begun, or there are more."""
        if not self._is_sure:
            return self._opens(sent, now)
        self._tails += 1
        self._tail = 2**self._tails
        self._waits_for = None
        self._calls = max(self._calls, self._got)
        return self

    def _is_less(self, sent: Sent, now: float) -> State:
        """It ended before its calls were spent."""
        if self._before is not None and self._got <= max(3, 0.15 * self._calls):
            # It had not opened: a call of the last one was left.
            at, calls = self._before
            self._before = None
            self._low = min(self._opened_at - at, 0.985 * self._high)
            self._opened_at, self._calls = at, calls
            self._is_shut, self._number = True, self._number + 1
            self._opens_at = max(now + 2 * self.facts.rtt, at + (self._low + self._high) / 2)
            return self
        self._short += 1
        self._calls = max(1, self._got)
        self._shut(sent, now)
        if self._short >= self.facts.numbers.cut_short:
            self.facts.is_shared = True
            return self.moves.pace(self.facts, now, self._calls / self._high)
        return self

    def _shut(self, refused: Sent, now: float) -> None:
        """Its calls are spent."""
        numbers, facts = self.facts.numbers, self.facts
        self._is_shut = True
        self._waits_for = None
        at, high = self._opened_at, self._high
        self._low = max(self._low, min(refused.at - at, 0.985 * high))
        if not self._is_sure:
            self._opens_at = at + (self._low + high) / 2
        else:
            share = numbers.early if self._number % numbers.early_every == 0 else numbers.late
            self._opens_at = at + high * share
        asked = self._asked()
        if asked and now + asked < self._opens_at:
            self._opens_at = now + asked
        self._opens_at = max(self._opens_at, now + 2 * facts.rtt)

    def _asked(self) -> float:
        facts = self.facts
        return 0.0 if facts.trusts is False else facts.retry_after or 0.0

    def _stays_shut(self, probe: Sent, now: float) -> State:
        self._probe = None
        self._tries += 1
        facts, numbers = self.facts, self.facts.numbers
        if self._tries > numbers.tries:
            return self.moves.hold(facts, now, probe.at, None, None, False)
        since = probe.at - self._opened_at
        asked = self._asked()
        if since < self._high:
            self._low = max(self._low, since)
            self._opens_at = max(now + 2 * facts.rtt, self._opened_at + (self._low + self._high) / 2)
            if self._is_sure or self._tries > 2:
                self._opens_at = max(now + 2 * facts.rtt, self._opened_at + numbers.late * self._high)
        else:
            self._opens_at = now + max(2 * facts.rtt, 0.02 * self._high * 1.4**self._tries)
        if asked:
            self._opens_at = min(self._opens_at, now + asked) if since < self._high else now + asked
        return self

    def _opens(self, probe: Sent, now: float) -> State:
        took = probe.at - self._opened_at
        self._closed = (probe, self._opened_at, self._calls, self._low, self._high)
        is_late = probe.at - self._opens_at > 0.05 * self._high + self.facts.rtt  # nobody wanted it before
        if (self._is_shut or probe is not self._probe) and not is_late:
            self._high = took
            if self._low >= took or self._is_sure:
                self._low = min(self._low, 0.985 * took)
        # Many refusals within windows: others use it, or it is none. A pace does better.
        self._rough = self._rough + 1 if self._lost > max(4, 0.15 * self._got) else 0
        if self._rough >= 2:
            self.facts.is_shared = True
            return self.moves.pace(self.facts, now, self._got / max(took, self._high))
        if not self._is_shut or self._sent >= self._calls:
            self._short = 0
        self._before = (self._opened_at, self._calls) if self._sent >= self._calls else None
        self._open(probe)
        return self
