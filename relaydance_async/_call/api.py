"""The API, as a client or a view of it sees it: what starts calls."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Awaitable, Callable, Coroutine, Iterable
from contextlib import AbstractContextManager, asynccontextmanager
from typing import TYPE_CHECKING, Any, TypeVar

import anyio

from .._config import Clock, Options, Secret
from .._hooks import is_logging_attempts
from .._limits import Book
from .._memory import Memory
from .._runtime import Runtime
from .._sansio.request import PreparedRequest
from .._sansio.target import ApiTarget, Network
from ..errors import ConfigurationError
from ..journal import Journal
from .call import Call, Shared
from .keys import Keys
from .receive import Receiver
from .usage import UsageTracker, counted, trackers_of, tracking
from .watching import WaitWatchers, watch_wait

if TYPE_CHECKING:
    from ..models.pricing import PriceList

T = TypeVar("T")


class Api:
    """Makes calls: admission, transport, decoding, and the retries of all three.

    Args:
        shared: what all calls of a client share.
        options: of those that are made here.
        keys: the other keys of the client.
    """

    __slots__ = ("_is_watched", "_keys", "_shared", "are_keys", "options")

    def __init__(self, shared: Shared, options: Options, keys: Keys) -> None:
        self._shared = shared
        self._keys = keys
        self.are_keys: Callable[[Iterable[object]], bool] = shared.redactor.are_keys
        """Whether one of these is the API key itself."""
        self.options: Options = options
        self._is_watched = options.is_watched

    def changed(self, **options: Any) -> Api:
        """The same with these options changed; see `Options.changed`."""
        return Api(self._shared, self.options.changed(**options), self._keys)

    def with_key(self, api_key: Secret) -> Api:
        """The same with the key of another user.

        Raises:
            ConfigurationError: it can't be one.
        """
        return Api(self._keys.of(api_key), self.options, self._keys)

    def track_usage(self, prices: Callable[[], Awaitable[PriceList]]) -> UsageTracker:
        """What counts the calls that are made here; see there."""
        return UsageTracker(self._shared.book, prices)

    @property
    def clock(self) -> Clock:
        """Time, waiting and chance."""
        return self._shared.clock

    @property
    def base_url(self) -> str:
        """Where it is, without a final slash."""
        return self._shared.endpoint.base_url

    def reveal_key(self) -> str:
        """The API key itself."""
        return self._shared.endpoint.api_key.reveal()

    @property
    def origin(self) -> str:
        """What keys and tasks of a journal belong to: where the API is, without its path, and for another user's key
        a hash of that."""
        return self._shared.endpoint.origin

    @property
    def sender(self) -> str:
        """What tells the API key from others in a journal."""
        return self._shared.endpoint.mark

    @property
    def journal(self) -> Journal | None:
        """What remembers the calls with an idempotency key."""
        return self._shared.journal

    @property
    def book(self) -> Book:
        """What is known of the key's limits."""
        return self._shared.book

    @property
    def learned_limit(self) -> float | None:
        """Calls a second that polls may share with all else, as learned from 429s or set; None while not known."""
        return self._shared.book.poll_rate

    @property
    def memory(self) -> Memory:
        """What the client keeps between calls, in all its loops and for all its keys."""
        return self._shared.memory

    async def loop_memory(self) -> Memory:
        """What it keeps for the running loop, until that ends."""
        return (await self._runtime()).memory

    @asynccontextmanager
    async def alone(self, work: object) -> AsyncGenerator[None, None]:
        """Be the only one of the running loop that is at this work; others wait for their turn.

        Args:
            work: what tells it from other work. No two texts: those are an origin and an idempotency key.
        """
        flights = (await self._runtime()).flights
        while (other := flights.get(work)) is not None:
            await other.wait()
        done = flights[work] = anyio.Event()
        try:
            yield
        finally:
            del flights[work]
            done.set()

    async def _runtime(self) -> Runtime:
        runtimes = self._shared.runtimes
        return runtimes.find() or await runtimes.current()

    async def warm(self) -> None:
        """Have a connection to the API ready.

        Raises:
            APIConnectionError, APITimeoutError: there is none within `timeout.connect`.
        """
        endpoint = self._shared.endpoint
        runtime = await self._runtime()
        await runtime.transports[Network.ANY].warm(endpoint.base_url, self.options.timeout.connect)

    def call(self, request: PreparedRequest, receive: Receiver[T]) -> Coroutine[Any, Any, T]:
        """Make the call; the result is to be awaited, once.

        Raises:
            ConfigurationError: there is no key; at once.
            InvalidInputError: its model or path is an API key; at once.
            RelayDanceError: of the last attempt, with `attempts` listing them all.

        Cancelling it closes the connection in use and gives its lease back; a billed request that was already on the
        wire may have been accepted.
        """
        self._check(request)
        options = self.options
        call = Call(self._shared, request, receive, options)
        running = call.run_watched() if self._is_watched or is_logging_attempts() else call.run()
        return self._counted(running, request, receive) if tracking() else running

    def _check(self, request: PreparedRequest) -> None:
        """What is shown of a call, in logs, events, spans and errors, must be no key."""
        shared, model, target = self._shared, request.model, request.target
        shared.endpoint.require_key()
        if model is not None:
            shared.redactor.check_name("model", model)
        if isinstance(target, ApiTarget) and target.path is not target.route:
            shared.redactor.check_name("path", target.path)

    def _counted(
        self, running: Coroutine[Any, Any, T], request: PreparedRequest, receive: Receiver[T]
    ) -> Coroutine[Any, Any, T]:
        trackers = trackers_of(self._shared.book, request)
        return counted(running, request, receive, trackers) if trackers else running

    def watch_wait(self, task_id: str) -> AbstractContextManager[WaitWatchers]:
        """What tells the observers of one wait for a task. Whoever waits tells of its polls."""
        return watch_wait(self.options.watching, task_id)

    def call_keyed(self, request: PreparedRequest, receive: Receiver[T], key: str) -> Coroutine[Any, Any, T]:
        """The same once for each idempotency key.

        Raises:
            ConfigurationError: there is no key of the API, or no journal; at once.
            InvalidInputError: it can't be an idempotency key, or the model or path is an API key; at once.
            IdempotencyError: the key stands in the way; nothing was sent.
            JournalError: the journal can't be read or written.
            RelayDanceError: of the last attempt.

        Cancelling it while the request is on the wire leaves it to finish in the background.
        """
        self._check(request)
        journal = self._shared.journal
        if journal is None:
            raise ConfigurationError(_NO_JOURNAL)
        from .keyed import KeyedCall  # most programs have no journal

        running = KeyedCall(self._shared, journal, request, receive, self.options, key).run()
        return self._counted(running, request, receive)


_NO_JOURNAL = (
    'idempotency_key= needs a journal, which remembers the key: AsyncRelayDance(journal=SqliteJournal("run.db"))'
)
