"""What one kind of call must pass: its own limiter, that of the key, and what the caller has set."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, TypeAlias

from .._sansio.ceiling import Ceiling
from .._sansio.key_wide import KeyWide
from .._sansio.limiter import Limiter, Sent, Verdict

if TYPE_CHECKING:
    from .._sansio.sharing import Part

log = logging.getLogger("relaydance_async")

Key: TypeAlias = tuple[str, str | None, bool]
"""The route, the model, and whether it is polled."""

_STEADY = ("open", "rate", "window", "under way")
"""States of the key's limiter in which a refusal may be of somebody's own limit as well."""
_QUIET = 60.0
"""Seconds without a refusal after which the next one is told of again."""

_ACCEPTED = Verdict.ACCEPTED  # looking up a member of an enum takes as long as all else here


def name_of(key: Key) -> str:
    """For people, and for other processes."""
    route, model, is_poll = key
    return f"{'GET' if is_poll else 'POST'} {route}" + (f" {model}" if model else "")


class Gate:
    """Of one route and model.

    Args:
        key: which.
        limiter: its own.
        wide: the key's.
        ceilings: what the caller has set.
        shared: its part of what processes share.
    """

    __slots__ = ("_key", "_quiet_until", "ceilings", "limiter", "refusals", "refused_at", "shared", "wide")

    def __init__(
        self,
        key: Key,
        limiter: Limiter,
        wide: KeyWide,
        ceilings: tuple[Ceiling, ...],
        shared: Part | None = None,
    ) -> None:
        self.shared: Part | None = shared
        if shared is not None:
            shared.key = wide.part
        self._key = key
        self.limiter: Limiter = limiter
        self.wide: KeyWide = wide
        self.ceilings: tuple[Ceiling, ...] = ceilings
        self.refusals: int = 0
        self.refused_at: float | None = None
        self._quiet_until = 0.0

    @property
    def name(self) -> str:
        """For people."""
        return name_of(self._key)

    @property
    def is_plain(self) -> bool:
        """Whether nothing holds it back, and nothing is to be learned but a refusal."""
        return self.limiter.is_free and self.wide.limiter is None and not self.ceilings and self.shared is None

    @property
    def governing(self) -> Limiter:
        """The limiter that tells the pace."""
        return self.limiter if self.wide.limiter is None else self.wide.limiter

    @property
    def rate(self) -> float | None:
        """Calls a second that its own calls may be, as known."""
        return self.limiter.rate if self.holder is None else self.holder.rate

    @property
    def why(self) -> str:
        """What holds calls back, in a few words."""
        return self.governing.state.why if self.holder is None else self.holder.why

    @property
    def holder(self) -> Part | None:
        """The part of what is shared that holds calls back, if one does: the key's, or its own."""
        if self.wide.part is not None and self.wide.part.is_held:
            return self.wide.part
        return self.shared if self.shared is not None and self.shared.is_held else None

    def delay(self, now: float) -> float:
        """Seconds until the next call may pass; infinite: not before one that is under way has ended."""
        if self.shared is None and self.wide.limiter is None and not self.ceilings:
            return self.limiter.delay(now)
        delay = self._learned_delay(now)
        for ceiling in self.ceilings:
            delay = max(delay, ceiling.delay(now))
        return delay

    def _learned_delay(self, now: float) -> float:
        if self.wide.part is not None and self.shared is not None:
            of_key, own = self.wide.part.delay(now), self.shared.delay(now)
            if self.wide.part.is_in_charge:
                self._leave_it_to_the_key(now)
                return max(of_key, own) if self.shared.is_known else of_key
        shared = self.shared.delay(now) if self.shared is not None else 0.0
        if self.shared is not None and self.shared.governs(now):
            return shared
        delay = self.limiter.delay(now)
        return delay if self.wide.limiter is None else max(delay, self.wide.limiter.delay(now))

    def _leave_it_to_the_key(self, now: float) -> None:
        """What it was looking for is the key's. What it knows for sure stays."""
        if self.limiter.state.name != "open":
            self.limiter.relax(now)

    def passed(self, now: float) -> Sent:
        """A call passes."""
        if not self.ceilings and self.wide.limiter is None and self.shared is None:
            return self.limiter.passed(now)
        sent = self.limiter.passed(now)
        if self.shared is not None:
            self.shared.passed(sent, now)
            if self.wide.part is not None:
                self.wide.part.passed(sent, now)
                self.wide.part.counts(self.shared.name[:8], 1, 0)
        for ceiling in self.ceilings:
            ceiling.passed(sent, now)
        if self.wide.limiter is not None:
            sent.of_key = self.wide.limiter.passed(now)
        return sent

    def ended(self, sent: Sent, now: float, verdict: Verdict, retry_after: float | None) -> None:
        """It has its answer."""
        if self.limiter.is_free and verdict is _ACCEPTED and self.is_plain:
            self.limiter.facts.flying.discard(sent)
            if not self.wide.is_calm:
                self.wide.accepted(self)
            return
        for ceiling in self.ceilings:
            ceiling.ended(sent)
        wide, is_shared = self.wide.limiter, self.wide.is_shared
        own = Verdict.NOTHING if is_shared and verdict is Verdict.REFUSED else verdict
        if self.shared is not None:
            self.shared.ended(sent, now, own)
            if self.wide.part is not None:
                self.wide.part.ended(sent, now, verdict)
                self.wide.part.counts(self.shared.name[:8], 0, int(verdict is Verdict.REFUSED))
        if wide is not None:
            if sent.of_key is not None:
                wide.ended(sent.of_key, now, verdict, retry_after)
            if verdict is Verdict.REFUSED and wide.state.name not in _STEADY:
                own = Verdict.NOTHING  # the key's, which is being learned
            if wide.state.is_open and not is_shared:
                self.wide.forget()
        self.limiter.ended(sent, now, own, retry_after)
        if verdict is Verdict.REFUSED:
            self._refused(now, retry_after)
        elif verdict is Verdict.ACCEPTED and not self.wide.is_calm:
            self.wide.accepted(self)

    def _refused(self, now: float, retry_after: float | None) -> None:
        self.refusals += 1
        self.refused_at = now
        took_over = self.wide.refused(self, now)
        if took_over:
            log.warning("calls of different kinds are refused together: the limit is the key's, and is learned for all")
            self._tell_key()
            self.limiter.relax(now)
        elif now >= self._quiet_until:
            asked = "" if retry_after is None else f", with a Retry-After of {retry_after:g} s"
            log.warning(
                "%s: a call got a 429 (too many requests)%s: the limit is learned, and calls wait for their turn",
                self.name,
                asked,
            )
        else:
            log.info("%s: a call got a 429", self.name)
        self._quiet_until = now + (retry_after or 0.0) + _QUIET

    def _tell_key(self) -> None:
        """The key's limiter begins with what is known of the way to the gateway."""
        facts = self.wide.own.facts
        facts.trip, facts.latency = self.limiter.facts.trip, self.limiter.facts.latency

    def forget_in_flight(self) -> None:
        """Nothing is under way: after a fork."""
        self.limiter.forget_in_flight()
        for ceiling in self.ceilings:
            ceiling.forget_in_flight()
        if self.shared is not None:
            self.shared.forget_in_flight()
        if self.wide.part is not None:
            self.wide.part.forget_in_flight()
        if self.wide.limiter is not None:
            self.wide.limiter.forget_in_flight()
