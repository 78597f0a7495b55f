"""The client: what it is told, and what it tells."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any, Self

from pydantic import AnyUrl, SecretStr

from .._call import Api, Keys, Shared, Signing, UsageTracker
from .._config import (
    DEFAULT_MAX_RESPONSE_BYTES,
    Clock,
    Options,
    Secret,
    build_endpoint,
    check_max_concurrency,
    checked_query,
    with_max_retries,
)
from .._hooks import Backlog, Hook, RetryHook, as_observer, as_observers
from .._limits import AllLimits, Book, KnownLimits, Limits, SharedLimits
from .._runtime import Runtimes
from .._sansio.observer import Observer
from .._sansio.redact import Redactor
from .._sansio.retry import RetryPolicy
from .._sansio.timeout import Timeout, TimeoutTypes, as_timeout
from .._transports import TransportName, check_transport
from ..journal import Journal
from ..models._options import NOT_GIVEN, NotGiven
from ..resources._resource import Resource
from ._endpoints import Endpoints
from ._life_cycle import LifeCycle
from ._settings import build_headers, check_kinds, runtime_builder, taking_settings
from ._views import changes_of

if TYPE_CHECKING:
    from ..models.journal import Resolution


class AsyncRelayDance(Endpoints, LifeCycle, is_client=True):
    """A client of the RelayDance API.

    Make one and share it: between tasks, between event loops one after another or in different threads, and across a
    fork. It can be made at import time, outside of any loop. Connections belong to the loop that opened them, and are
    closed with it.

    Args:
        api_key: default: RELAYDANCE_API_KEY. Without either, the client can be made, and each call is an error.
        base_url: default: RELAYDANCE_BASE_URL, else https://relaydance.com/v1.
        timeout: seconds that one I/O phase of one attempt may take, or a `Timeout` with one number for each phase (an
            `httpx.Timeout` is one too). None: no limit.
        deadline: seconds that each call that is one request may take, with queueing, retries and a stream to its end;
            None for no limit. `wait`, `generate` and `download` take longer, and have deadlines of their own.
        max_concurrency: requests to the API under way at once, in each event loop, open streams included. Calls above
            that wait in turn. Of 10 or more, some are kept free for each kind (billed calls, polls, streams), so that
            no kind can take all. Downloads from other hosts don't count; as many of them may be under way besides.
        retry: when and how often a call is repeated.
        max_retries: how often, counted as openai does: one less than `retry.max_attempts`, which it replaces.
        transport: "direct", "httpx" (the same engine below an `httpx.AsyncClient`), or "auto": direct where the extra
            `fast` is installed. All are asyncio's; under trio give an `http_client`.
        http_client: an `httpx.AsyncClient` or `httpx2.AsyncClient` to send with; it stays yours to close. It belongs to
            one loop. If a server writes two answers to one request, its pool takes the second for that of your next
            call, which is then an error in most cases, and has somebody else's task id in a few; see docs/retries.md.
        default_headers: sent with every request to the API.
        default_query: added to the URL of every request to the API.
        on_retry: called with a `RetryEvent` before each wait for a retry; a coroutine function is awaited.
        hooks: functions, plain or `async`, that are called with each event of each call (`relaydance_async.hooks`), and
            `OpenTelemetry()`. What they raise is logged. No call waits for an `async` one; `aclose` does, for 5 seconds
            at most.
        max_response_bytes: the largest answer that is read into memory, streamed or not (default 128 MiB).
        allow_http: send the key over plain http:// to hosts other than loopback.
        signed_answers: whether the gateway puts its mark (`X-Oneapi-Request-Id`) on every answer, so that an error
            without one is somebody else's. None: the first answer with a mark tells, for all clients of the process.
        limits: limits that you know; see `Limits`. All others are learned.
        journal: remembers what became of the calls with an `idempotency_key`; a `SqliteJournal`. It stays yours to
            close.
        shared_limits: with other processes and machines that use the same key: a `RedisLimits`. It stays yours to
            close.

    Raises:
        ConfigurationError: what can't be a key, a bad URL, a header that can't be sent, a number out of range, or an
            SSL_CERT_FILE or SSL_CERT_DIR that isn't there.
    """

    _clock = Clock()
    _observers: tuple[Observer, ...] = ()

    @taking_settings
    def __init__(
        self,
        api_key: str | SecretStr | None = None,
        *,
        base_url: str | AnyUrl | None = None,
        timeout: TimeoutTypes | None = Timeout(),  # noqa: B008  (frozen)
        deadline: float | None = None,
        max_concurrency: int = 100,
        retry: RetryPolicy = RetryPolicy(),  # noqa: B008  (frozen)
        max_retries: int | None = None,
        transport: TransportName = "auto",
        http_client: Any = None,
        default_headers: Mapping[str, str] | None = None,
        default_query: Mapping[str, str] | None = None,
        on_retry: RetryHook | None = None,
        hooks: Iterable[Hook | Observer] | None = None,
        max_response_bytes: int = DEFAULT_MAX_RESPONSE_BYTES,
        allow_http: bool = False,
        signed_answers: bool | None = None,
        limits: Limits | None = None,
        journal: Journal | None = None,
        shared_limits: SharedLimits | None = None,
    ) -> None:
        permits = check_max_concurrency(max_concurrency)
        check_transport(transport, http_client)
        check_kinds(journal, shared_limits, limits, {"allow_http": allow_http, "signed_answers": signed_answers})
        endpoint = build_endpoint(None if api_key is None else Secret(api_key), base_url, allow_http=allow_http)
        book = Book(limits, permits, shared_limits, endpoint.root_url, endpoint.mark)

        self._runtimes = Runtimes(runtime_builder(book, permits, transport, http_client, self._clock))
        self._owner = True
        self._backlog = Backlog()
        self._attached = AllLimits(book, self._clock.monotonic)
        options = Options(
            timeout=as_timeout(timeout),
            deadline=deadline,
            retry=with_max_retries(retry, max_retries),
            headers=build_headers(default_headers),
            query=checked_query(default_query),
            on_retry=as_observer(on_retry),
            max_response_bytes=max_response_bytes,
            observers=self._observers,
            hooks=self._as_observers(hooks),
        )
        signing = Signing.of(endpoint.root_url) if signed_answers is None else Signing(signed_answers)
        redactor = Redactor(endpoint.api_key.reveal())
        shared = Shared(endpoint, self._runtimes, self._clock, signing, redactor, book, journal)
        self._api = Api(shared, options, Keys(shared))

    @taking_settings
    def with_options(
        self,
        *,
        api_key: str | SecretStr | NotGiven = NOT_GIVEN,
        timeout: TimeoutTypes | NotGiven | None = NOT_GIVEN,
        deadline: float | NotGiven | None = NOT_GIVEN,
        retry: RetryPolicy | NotGiven | None = NOT_GIVEN,
        max_retries: int | NotGiven | None = NOT_GIVEN,
        default_headers: Mapping[str, str] | NotGiven | None = NOT_GIVEN,
        default_query: Mapping[str, str] | NotGiven | None = NOT_GIVEN,
        on_retry: RetryHook | NotGiven | None = NOT_GIVEN,
        hooks: Iterable[Hook | Observer] | NotGiven | None = NOT_GIVEN,
        max_response_bytes: int | NotGiven | None = NOT_GIVEN,
        priority: int | str | NotGiven | None = NOT_GIVEN,
    ) -> Self:
        """A view of this client with other options. What isn't given stays, and None turns a thing off: no timeout, no
        deadline, no retries, no headers of yours, no hook, no limit.

        It shares connections, permits and what is known of the limits. Closing a view closes nothing. A view is cheap:
        make one for each request of a web app.

        Args:
            api_key: that of another user. Its calls share connections, name look-ups, TLS and permits with all others.
                What is learned of its limits, and what is remembered of its account, is its own: it is found again by
                the same key while a view of it lives, and for the 1,000 keys that were used last.
            timeout: seconds, or a `Timeout`, for one I/O phase of one attempt.
            deadline: seconds for each call that is one request.
            retry: when and how often a call is repeated.
            max_retries: how often, counted as openai does: one less than `retry.max_attempts`.
            default_headers: added to those there are.
            default_query: added to that there is.
            on_retry: called before each wait for a retry, instead of the one there is.
            hooks: instead of those there are.
            max_response_bytes: the largest answer that is read into memory.
            priority: "interactive", "batch" or a whole number from -100 to 100 (0 without it): waiting calls of a
                higher one go first. Equal ones share fairly between views, so that a view of a thousand calls doesn't
                hold up another's one.

        Raises:
            TypeError: a keyword that it doesn't take.
            ConfigurationError: a number out of range, an unknown priority, or what can't be a key.
        """
        api = self._api if isinstance(api_key, NotGiven) else self._api.with_key(Secret(api_key))
        changes = changes_of(
            api.options,
            timeout=timeout,
            deadline=deadline,
            retry=retry,
            max_retries=max_retries,
            default_headers=default_headers,
            default_query=default_query,
            on_retry=on_retry,
            max_response_bytes=max_response_bytes,
            priority=priority,
        )
        if not isinstance(hooks, NotGiven):
            changes["hooks"] = self._as_observers(hooks)
        view = object.__new__(type(self))
        view.__dict__.update(
            {name: of for name, of in self.__dict__.items() if name != "_owner" and not isinstance(of, Resource)}
        )
        view._api = api.changed(**changes)
        return view

    copy = with_options
    """The same, under openai's name."""

    def _as_observers(self, hooks: Iterable[Hook | Observer] | None) -> tuple[Observer, ...]:
        return as_observers(hooks, self._backlog, self._clock.monotonic, self._attached)

    @property
    def limits(self) -> KnownLimits:
        """What is known of the key's limits: `snapshot()` to look at it, `forget()` to start anew."""
        return KnownLimits(self._api.book, self._api.clock.monotonic, self._queued)

    def _queued(self) -> Mapping[int, int]:
        runtime = self._runtimes.find()
        return {} if runtime is None else runtime.api.queued()

    @property
    def base_url(self) -> str:
        """Where the API is, without a final slash."""
        return self._api.base_url

    @property
    def api_key(self) -> str:
        """The key itself: keep it out of logs. A client keeps its key; `with_options(api_key=…)` is one of another."""
        return self._api.reveal_key()

    def track_usage(self) -> UsageTracker:
        """Count the tokens, calls and costs of what is done within: `with client.track_usage() as usage: …`.

        It counts the calls of this client and its views that begin in the `with`, also in tasks and fan-outs that are
        started there. `usage.total_tokens`, `usage.by_model`, and `await usage.cost()` (US dollars) tell, at any time.
        Calls that fail count with the tokens that were told; `usage.untold` is the number of those without any.
        """
        return self._api.track_usage(self.account.prices)

    async def resolve_doubts(self) -> list[Resolution]:
        """Decide what became of the requests that the journal has in doubt, where that can be known.

        The key's own books are read (`/api/log/token`, `/api/usage/token/`). They can prove that a request was *not*
        accepted. Then its key is "refused", and may be used again. For that: 15 minutes have passed, all charges of the
        key are listed and explain its total, one that is known to be later is among them, and none that nobody has
        explained is of that model, path and time. A charge never proves whose it is: its request id is a candidate.

        A request whose callback URL came from a `WebhookReceiver` with the same journal is decided by its delivery.

        Returns:
            What was found out, for each that was in doubt.

        Raises:
            ConfigurationError: there is no journal.
            JournalError: it can't be read or written.
            RelayDanceError: the books could not be read now. (Those that are not offered say nothing.)
        """
        from ..resources._doubts import Doubts

        return await Doubts(self._api).resolve()

    def __repr__(self) -> str:
        # Also of a client whose making has failed: a traceback that shows local variables asks for it.
        address = self.base_url if "_api" in vars(self) else "not made"
        return f"<{type(self).__name__} {address}>"
