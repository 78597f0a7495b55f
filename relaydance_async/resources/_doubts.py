"""Decides what became of requests that are in doubt, as far as the key's books can prove it."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace

from .._sansio.books import Books, Judgement, Known, judge
from .._sansio.extras import CallExtras
from ..errors import APIStatusError, ConfigurationError, ResponseDecodeError
from ..journal import AcceptedRequest, Ending, Journal
from ..models.journal import JournalEntry, Resolution
from ._books import LOG, TOKEN_USAGE
from ._resource import Resource

_EXTRAS = CallExtras()
_DAY = 86_400.0
"""Seconds."""


class Doubts(Resource):
    """What `client.resolve_doubts` does."""

    async def resolve(self) -> list[Resolution]:
        """See `AsyncRelayDance.resolve_doubts`."""
        journal, origin = self._api.journal, self._api.origin
        if journal is None:
            raise ConfigurationError("resolve_doubts needs a journal: AsyncRelayDance(journal=…)")
        doubts = [entry async for entry in journal.entries(state="in doubt", origin=origin)]
        if not doubts:
            return []
        books = await self._read_books()
        if books is None:
            return [Resolution(entry, "the gateway doesn't offer the key's books") for entry in doubts]
        # From where the books begin, or from the oldest doubt, with room for clocks that differ.
        begins = min([row.at for row in books.rows] + [entry.sent_at.timestamp() for entry in doubts])
        known = _known(await journal.accepted_requests(origin, begins - abs(books.ahead) - _DAY))
        now = self._now()
        mine = self._api.sender
        return [
            await self._decide(journal, entry, _judged(entry, mine) or judge(entry, books, known, now))
            for entry in doubts
        ]

    async def _decide(self, journal: Journal, entry: JournalEntry, judgement: Judgement) -> Resolution:
        if judgement.refused:
            now = self._now()
            ending = Ending(
                *(entry.origin, entry.key, entry.call, "refused", now),
                request_id=entry.request_id,
                reason=judgement.why,
            )
            if await journal.decide(entry, ending):
                entry = await journal.find(entry.origin, entry.key) or replace(entry, state="refused")
            else:  # somebody else was faster, such as a webhook
                entry = await journal.find(entry.origin, entry.key) or entry
                return Resolution(entry, entry.reason)
        return Resolution(entry, judgement.why, judgement.candidates)

    async def _read_books(self) -> Books | None:
        """None when the gateway does not offer them.

        Raises:
            RelayDanceError: they could not be read now.
        """
        try:
            before = await self._read_total()
            log = await self._get(LOG, _EXTRAS)
            ahead = 0.0 if log.at is None else log.at - self._now()
            after = await self._read_total()
        except (APIStatusError, ResponseDecodeError) as error:
            if error.retryable:
                raise
            return None  # also a 401: an operator may have switched one of them off
        return Books(log.rows, tuple({total: None for total in (before, after) if total is not None}), ahead)

    async def _read_total(self) -> int | None:
        try:
            return int((await self._get(TOKEN_USAGE, _EXTRAS)).data.total_used)
        except (APIStatusError, ResponseDecodeError) as error:
            if error.retryable:
                raise
            return None

    def _now(self) -> float:
        return self._api.clock.now().timestamp()


def _known(requests: list[AcceptedRequest]) -> Known:
    sent_at = {one.request_id: one.sent_at for one in requests if one.request_id is not None}
    return Known(sent_at, Counter((one.model, one.route) for one in requests if one.request_id is None))


def _judged(entry: JournalEntry, sender: str) -> Judgement | None:
    """What can be said without the books."""
    if entry.sender and entry.sender != sender:
        return Judgement(False, "it was sent with another API key: resolve it with a client that has that one")
    return None
