"""Starts calls."""

from __future__ import annotations

from collections.abc import Coroutine
from dataclasses import dataclass
from typing import Any, TypeVar

from .._config import Clock, Options
from .._sansio.request import PreparedRequest
from ..errors import ConfigurationError
from .call import Call, Shared
from .keyed import KeyedCall
from .receive import Receiver

T = TypeVar("T")


class Controller:
    """Executes calls: admission, transport, decoding, and the retries of all three."""

    def __init__(self, shared: Shared) -> None:
        self._shared = shared

    @property
    def clock(self) -> Clock:
        """Time, waiting and chance."""
        return self._shared.clock

    @property
    def base_url(self) -> str:
        """Where the API is, without a final slash."""
        return self._shared.endpoint.base_url

    @property
    def learned_limit(self) -> float | None:
        """Calls a second that the key takes, as learned from its 429s; None while that is not known."""
        return self._shared.pace.learned

    def execute(self, request: PreparedRequest, receive: Receiver[T], options: Options) -> Coroutine[Any, Any, T]:
        """Make the call; the result is to be awaited, once.

        Raises:
            ConfigurationError: there is no key, or an idempotency key and no journal; at once.
            RelayDanceError: of the last attempt, with `attempts` listing them all.

        Cancelling it closes the connection in use and gives its lease back; a billed request that was already on the
        wire may have been accepted.
        """
        self._shared.endpoint.require_key()
        if options.idempotency_key is not None:
            return self._keyed(request, receive, options, options.idempotency_key)
        call = Call(self._shared, request, receive, options)
        if options.observers or options.on_retry is not None:
            return call.run_watched()
        return call.run() if options.deadline is None else call.run_within(options.deadline)

    def _keyed(
        self, request: PreparedRequest, receive: Receiver[T], options: Options, key: str
    ) -> Coroutine[Any, Any, T]:
        journal = self._shared.journal
        if journal is None:
            raise ConfigurationError(_NO_JOURNAL)
        return KeyedCall(self._shared, journal, request, receive, options, key).run()


_NO_JOURNAL = (
    'idempotency_key= needs a journal, which remembers the key: AsyncRelayDance(journal=SqliteJournal("run.db"))'
)


@dataclass(frozen=True, slots=True)
class Api:
    """The API, as a view with its own options sees it."""

    controller: Controller
    options: Options

    @property
    def base_url(self) -> str:
        """Where it is, without a final slash."""
        return self.controller.base_url

    def call(self, request: PreparedRequest, receive: Receiver[T]) -> Coroutine[Any, Any, T]:
        """See `Controller.execute`."""
        return self.controller.execute(request, receive, self.options)
