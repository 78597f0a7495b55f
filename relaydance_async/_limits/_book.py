"""All that is learned of one key's limits: a gate for each route and model. All event loops of a client share it.

It needs no lock, which a fork could leave locked: what is counted across threads is a set, whose steps are whole. When
two threads step at the same moment, one step of a limiter may be lost: one call is not counted, or one 429 not heard,
and the next says the same again.

A client of many users has a thousand books, so they are small: what is empty is shared or not there.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import replace
from weakref import WeakValueDictionary

from .._sansio.ceiling import Ceiling
from .._sansio.key_wide import KeyWide
from .._sansio.limiter import NUMBERS, Limiter
from .._sansio.overload import Overload
from ._admission import Kind, Ticket
from ._gate import Gate, Key, name_of
from ._settings import Limit, Limits
from ._shared import SharedLimits

_MOST = 1000
"""Gates that are remembered: the names of models come from the caller."""

_NONE: Mapping[tuple[str, str], tuple[Ceiling, ...]] = {}
_FIRST_SEGMENT = {"video": "video", "videos": "video", "images": "image", "chat": "chat", "files": "file"}
_POLL = Kind.POLL


class Book:
    """What is known of a key's limits.

    Args:
        limits: that the caller has set.
        permits: attempts under way in one event loop, at most.
        shared: with other processes, if anything is.
        root_url: of the gateway.
        mark: of the key; it tells it from others and opens nothing.
    """

    __slots__ = (
        "__weakref__", "_ceilings", "_gates", "_mark", "_numbers", "_of_key", "_pid", "_root_url", "_shared_limits",
        "_siblings", "limits", "overload", "wide",
    )  # fmt: skip

    def __init__(
        self,
        limits: Limits | None = None,
        permits: int = 100,
        shared: SharedLimits | None = None,
        root_url: str = "",
        mark: str = "",
    ) -> None:
        self.limits: Limits = limits if limits is not None else Limits()
        self.overload: Overload = Overload(permits)
        self._shared_limits = shared
        self._root_url = root_url
        self._numbers = NUMBERS if self.limits.processes == 1 else replace(NUMBERS, processes=self.limits.processes)
        self._siblings: WeakValueDictionary[str, Book] = WeakValueDictionary({mark: self})
        self._pid = os.getpid()
        self._begin(mark)

    def _begin(self, mark: str) -> None:
        """What is the key's own."""
        self._mark = mark
        self.wide: KeyWide = KeyWide(self._numbers)
        if self._shared_limits is not None:
            self.wide.part = self._shared_limits.allowance_of_key(f"{self._root_url} {mark} *", self.wide)
        self._gates: dict[Key, Gate] = {}
        self._of_key = tuple(self.limits.of_key.ceilings(self.limits.processes))
        self._ceilings: Mapping[tuple[str, str], tuple[Ceiling, ...]] = _NONE

    def sibling(self, mark: str) -> Book:
        """That of another key of the same gateway, while anybody has it: then it is made anew. What is known of the
        gateway itself is the same for both."""
        other = self._siblings.get(mark)
        if other is not None:
            return other
        other = object.__new__(Book)
        other.limits, other.overload, other._pid = self.limits, self.overload, self._pid
        other._shared_limits, other._root_url, other._numbers = self._shared_limits, self._root_url, self._numbers
        other._siblings = self._siblings
        other._begin(mark)
        return self._siblings.setdefault(mark, other)

    def gate(self, ticket: Ticket) -> Gate:
        """What a call must pass."""
        key = (ticket.route, ticket.model, ticket.kind is _POLL)
        gate = self._gates.get(key)
        return gate if gate is not None else self._add(key)

    @property
    def gates(self) -> list[Gate]:
        """All."""
        return list(self._gates.values())

    def _add(self, key: Key) -> Gate:
        if len(self._gates) >= _MOST:
            self._prune()
        route, model, is_poll = key
        kind = "poll" if is_poll else _FIRST_SEGMENT.get(route.split("/")[1] if "/" in route else "", "")
        ceilings = self._of_key + self._part("model", model, self.limits.per_model)
        ceilings += self._part("kind", kind, self.limits.per_kind)
        limiter, sharing = Limiter(self._numbers), self._shared_limits
        shared = None if sharing is None else sharing.allowance(f"{self.owner} {name_of(key)}", limiter)
        return self._gates.setdefault(key, Gate(key, limiter, self.wide, ceilings, shared))

    def _part(self, what: str, name: str | None, of: object) -> tuple[Ceiling, ...]:
        limit = of.get(name) if isinstance(of, dict) else None  # pyright: ignore[reportUnknownVariableType, reportUnknownMemberType]
        if name is None or not isinstance(limit, Limit):
            return ()
        key = (what, name)
        if key not in self._ceilings:
            self._ceilings = {**self._ceilings, key: tuple(limit.ceilings(self.limits.processes))}
        return self._ceilings[key]

    def _prune(self) -> None:
        """Forget those that are idle and know of no limit; when that helps nothing, all."""
        kept = {key: gate for key, gate in self._gates.items() if gate.limiter.facts.flying or gate.refusals}
        self._gates = kept if len(kept) < _MOST else {}

    def forget(self) -> None:
        """Start anew, with what the caller has set."""
        self.wide.forget()
        self.overload.forget()
        for gate in self._gates.values():
            gate.limiter.forget()
            gate.refusals, gate.refused_at = 0, None

    @property
    def owner(self) -> str:
        """Whose it is, without the key."""
        return f"{self._root_url} {self._mark}"

    @property
    def siblings(self) -> list[Book]:
        """Those of all keys that are in use, this one among them."""
        return list(self._siblings.values())

    def restart(self, now: float) -> None:
        """The gateway was down: not all calls, of whatever key, should reach it at once. What is known stays."""
        for book in self.siblings:
            for gate in book.gates:
                gate.limiter.restart(now)

    def entered(self) -> None:
        """An event loop begins to use it. After a fork, what was under way is the parent's."""
        if self._pid != os.getpid():
            self._pid = os.getpid()
            for book in self.siblings:
                for gate in book.gates:
                    gate.forget_in_flight()

    @property
    def poll_rate(self) -> float | None:
        """Calls a second that polls may share with all else; None while no limit is known."""
        part = self.wide.part
        rates = [part.rate] if part is not None and part.is_held else []
        rates += [self.wide.limiter.rate] if not rates and self.wide.limiter is not None else []
        rates += [gate.rate for (_, _, is_poll), gate in list(self._gates.items()) if is_poll]
        known = [rate for rate in rates if rate]
        set_rate = self.limits.requests_per_minute
        if set_rate is not None:
            known.append(set_rate / 60 / self.limits.processes)
        return min(known, default=None)
