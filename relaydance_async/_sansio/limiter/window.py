"""Window: so many calls in so many seconds. They are spread over most of it; the rest is to ask whether there is more.

When it opens is known within bounds (`openings`). Its calls are spent before it may open again; then it is asked in
the middle of the bounds, until they are narrow.
"""

from __future__ import annotations

from .facts import Facts, Sent, Verdict
from .learned import Learned
from .openings import Openings
from .state import State


class Window(State):
    """So many calls in so many seconds.

    Args:
        calls: of a window, as far as is known.
        openings: when it opens.
        probe: the first call of this window.
    """

    __slots__ = (
        "_before", "_calls", "_closed", "_got", "_is_shut", "_last", "_lost", "_not_before", "_number", "_openings",
        "_opens_at", "_probe", "_refused", "_rough", "_row_at", "_sent", "_short", "_slides", "_span", "_surely_at",
        "_tail", "_tail_at", "_tails", "_times", "_tries", "_waits_for",
    )  # fmt: skip
    name = "window"

    def __init__(self, facts: Facts, now: float, calls: int, openings: Openings, probe: Sent) -> None:
        super().__init__(facts, now, "calls were refused until a window was over")
        self._calls = max(1, calls)
        self._openings = openings
        self._number = self._short = 0
        self._before: tuple[Openings, int] | None = None
        self._sent = 0
        self._slides = False
        self._rough = 0
        self._times: list[float] = []
        self._closed: tuple[Sent, Openings, int] | None = None
        self._open(probe)

    @property
    def rate(self) -> float | None:
        return self._calls / self._openings.period

    @property
    def _is_sure(self) -> bool:
        first, last = self._openings.following()
        numbers, openings = self.facts.numbers, self._openings
        share = numbers.sure if openings.is_sliding else numbers.sure_by_clock
        return last - first <= max(share * openings.period, self.facts.rtt)

    def learned(self, now: float) -> Learned:
        openings = self._openings
        rate = self._calls / openings.likely_period
        return Learned("window", rate, self._calls, openings.period, now - openings.at)

    def resumed(self, now: float, probe: Sent) -> State:
        return self.moves.rounds(self.facts, now, probe, (0.0, 0.0))

    def _open(self, probe: Sent) -> None:
        numbers = self.facts.numbers
        self._number += 1
        self._sent = self._got = 1
        self._refused = self._tail = self._tails = self._tries = 0
        self._is_shut = False
        self._not_before = self._row_at = 0.0
        self._lost = 0
        self._waits_for: Sent | None = None
        self._probe: Sent | None = None
        self._last, self._times = self._times, [probe.at]
        self._look()
        # Its calls are spent while it surely has not opened again.
        self._span = max(self._openings.shut_until - probe.at, numbers.shortest_span * self._openings.period)
        self._tail_at = probe.at + numbers.tail * self._span

    def _look(self) -> None:
        """When to ask whether it has opened: halfway, as long as that says much; then when it surely has."""
        (first, last), slack = self._openings.following(), self.facts.rtt / 2
        self._surely_at = last + slack
        self._opens_at = self._surely_at if self._is_sure else (first + last) / 2

    def delay(self, now: float) -> float:
        facts, numbers = self.facts, self.facts.numbers
        if self._probe is not None and self._probe.verdict is Verdict.NOTHING:
            self._probe = None  # it was cancelled: the next one may go
        if self._waits_for is not None and self._waits_for.verdict is Verdict.NOTHING:
            self._waits_for = None
        if self._probe is not None:
            return max(1e-3, self._probe.at + numbers.patience * facts.rtt - now)
        opens_at = self._asks_at
        if now >= opens_at:
            return 0.0
        if not self._is_shut:
            if self._sent < self._calls:
                return min(max(0.0, self._due - now), opens_at - now)
            tail = self._tail_delay(now)
            if tail is not None:
                return min(tail, opens_at - now)
        return opens_at - now

    @property
    def _asks_at(self) -> float:
        """Unless its calls are spent, an accepted one says nothing of an opening."""
        return self._opens_at if self._is_shut or self._sent >= self._calls else self._surely_at

    @property
    def _due(self) -> float:
        """When its next call is."""
        openings, gap = self._openings, self.facts.numbers.spread * self._span / self._calls
        due = max(openings.at + self._sent * gap, self._not_before)
        if self._slides and self._sent < len(self._last):
            due = max(due, self._last[self._sent] + openings.period + self.facts.rtt / 2)
        # After a refusal the others are not due at once.
        return max(due, self._times[self._sent - 1] + gap / 2) if self._lost else due

    def _tail_delay(self, now: float) -> float | None:
        """Until it may be asked whether there is more; None: not in this window."""
        numbers = self.facts.numbers
        if self._is_sure and self._calls <= numbers.many and self._number % 2 and not self._tails:
            return None
        openings = self._openings
        if now > openings.at + numbers.tail_end * (openings.shut_until - openings.at):
            return None
        if (asked := self._waits_for) is not None:
            return max(1e-3, asked.at + numbers.patience * self.facts.rtt - now)
        return max(0.0, self._tail_at - now)

    def passed(self, sent: Sent) -> None:
        if sent.at >= self._asks_at:
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
        in_row, lasting = self.facts.numbers.short_by, self.facts.numbers.short_for * self._openings.period
        if self._sent > self._calls:
            self._shut(sent, now)
        elif self._refused >= in_row and sent.at - self._row_at >= lasting:
            return self._is_less(sent, now)
        else:  # it came before its time: a sliding window opens call by call
            self._sent -= 1
            self._slides = True
            self._not_before = now + self._openings.period / self._calls * 1.7**self._refused
        return self

    def mistaken(self, sent: Sent, now: float) -> State:
        if self._closed is not None and sent is self._closed[0]:
            _, self._openings, self._calls = self._closed
            self._closed = None
            self._is_shut, self._number = True, self._number + 1
            return self._stays_shut(sent, now)
        if sent.state is self and sent.mark == self._number:
            self._got -= 1
        return super().mistaken(sent, now)

    def _is_more(self, sent: Sent, now: float) -> State:
        """A call beyond those known was accepted: there are more."""
        self._tails += 1
        self._tail = 2**self._tails
        self._waits_for = None
        self._calls = max(self._calls, self._got)
        self._slides = False  # when the calls of the last window were made need not be waited for
        return self

    def _is_less(self, sent: Sent, now: float) -> State:
        """It ended before its calls were spent."""
        if self._before is not None and self._got <= max(3, 0.15 * self._calls):
            # It had not opened: a call of the last one was left.
            at = self._openings.at
            self._openings, self._calls = self._before
            self._openings = self._openings.shut(at, self.facts.rtt)
            self._before = None
            self._is_shut, self._number = True, self._number + 1
            self._asks(now)
            return self
        self._short += 1
        self._calls = max(1, self._got)
        self._shut(sent, now)
        if self._short >= self.facts.numbers.cut_short:
            self.facts.is_shared = True
            return self.moves.pace(self.facts, now, self._calls / self._openings.period)
        return self

    def _shut(self, refused: Sent, now: float) -> None:
        """Its calls are spent."""
        self._is_shut = True
        self._waits_for = None
        self._openings = self._openings.shut(refused.at, self.facts.rtt)
        self._asks(now)

    def _asks(self, now: float) -> None:
        """It is shut: when to ask next."""
        facts = self.facts
        self._look()
        asked = 0.0 if facts.trusts is False else facts.retry_after or 0.0
        if asked:
            self._opens_at = min(self._opens_at, now + asked)
        self._opens_at = max(self._opens_at, now + 2 * facts.rtt)

    def _stays_shut(self, probe: Sent, now: float) -> State:
        self._probe = None
        self._tries += 1
        facts, numbers = self.facts, self.facts.numbers
        if self._tries > numbers.tries:
            return self.moves.hold(facts, now, probe.at, None, None, False)
        is_over = probe.at >= self._surely_at
        self._is_shut = True
        self._openings = self._openings.shut(probe.at, facts.rtt)
        self._asks(now)
        if is_over:  # what was known is wrong
            self._opens_at = max(self._opens_at, now + 0.02 * self._openings.period * 1.4**self._tries)
        return self

    def _opens(self, probe: Sent, now: float) -> State:
        openings, facts = self._openings, self.facts
        took = probe.at - openings.at
        self._closed = (probe, openings, self._calls)
        is_spent = self._is_shut or self._sent >= self._calls
        if probe.at - self._asks_at > 0.05 * openings.period + facts.rtt:  # nobody wanted it before
            self._openings = openings.begun_anew(probe.at)
        else:
            self._openings = openings.opened(probe.at, facts.rtt, self._is_shut or (is_spent and not self._is_sure))
        # Many refusals within windows: others use it, or it is none. A pace does better.
        self._rough = self._rough + 1 if self._lost > max(4, 0.15 * self._got) else 0
        if self._rough >= 2:
            facts.is_shared = True
            return self.moves.pace(facts, now, self._got / max(took, openings.period))
        if not self._is_shut or self._sent >= self._calls:
            self._short = 0
        if self._is_shut and self._lost:
            self._calls = max(1, min(self._calls, self._got))
        self._before = (openings, self._calls) if self._sent >= self._calls else None
        self._open(probe)
        return self
