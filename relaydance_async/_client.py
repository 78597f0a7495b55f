"""The client: its settings, and the way to the endpoints."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import wraps
from importlib import import_module
from itertools import count
from types import TracebackType
from typing import TYPE_CHECKING, Any, Generic, ParamSpec, Self, TypeVar, Unpack, overload

from pydantic import AnyUrl, SecretStr

from ._call import Api, Keys, Shared, Signing, UsageTracker
from ._config import (
    DEFAULT_MAX_RESPONSE_BYTES,
    USER_AGENT,
    Clock,
    Options,
    Secret,
    as_priority,
    build_endpoint,
    check_max_concurrency,
    checked_headers,
    checked_query,
    hide_key,
    with_max_retries,
)
from ._hooks import Backlog, Hook, RetryHook, as_observer, as_observers
from ._limits import AllLimits, Book, ForeignAdmission, KeyOutage, KnownLimits, Limits, LocalAdmission, SharedLimits
from ._runtime import Held, Runtime, Runtimes
from ._sansio.extras import given, is_omitted
from ._sansio.misnamed import NOT_OFFERED, FromOpenAI, refuse_unknown
from ._sansio.observer import Observer
from ._sansio.redact import Redactor
from ._sansio.retry import RetryPolicy
from ._sansio.target import Network
from ._sansio.timeout import Timeout, TimeoutTypes, as_timeout
from ._threads import in_thread
from ._transports import TransportName, build_transport, check_transport
from .errors import ConfigurationError
from .journal import Journal
from .models._options import NOT_GIVEN, NotGiven
from .resources._resource import Resource
from .resources.chat import Chat
from .resources.endpoint import AnyEndpoint

if TYPE_CHECKING:
    from .models.journal import Resolution
    from .resources.account import Account
    from .resources.assets import Assets
    from .resources.audio import Audio
    from .resources.embeddings import Embeddings
    from .resources.files import Files
    from .resources.images import Images
    from .resources.models import Models
    from .resources.moderations import Moderations
    from .resources.rerank import Rerank
    from .resources.responses import Responses
    from .resources.video import Video
    from .resources.videos import Videos

P = ParamSpec("P")
T = TypeVar("T")
R = TypeVar("R", bound=Resource)

_VIEWS = count(1)
_NO_RETRIES = RetryPolicy(max_attempts=1)


def _hiding_the_key(method: Callable[P, T]) -> Callable[P, T]:
    """For a method that takes `api_key=`. One that is `NOT_GIVEN`, as any other keyword, has its default."""
    call: Any = method

    @wraps(method)
    def masked(*args: P.args, **kwargs: P.kwargs) -> T:
        result: T = call(*args, **given(hide_key(kwargs)))
        return result

    return masked


class _Endpoint(Generic[R]):
    """An attribute of the client that leads to a resource, made when it is first asked for: each view has its own."""

    def __init__(self, resource: type[R]) -> None:
        self._resource = resource
        self._name = ""
        self.__doc__ = resource.__doc__

    def __set_name__(self, owner: type[AsyncRelayDance], name: str) -> None:
        self._name = name

    def _kind(self) -> type[R]:
        return self._resource

    @overload
    def __get__(self, client: None, owner: type[AsyncRelayDance]) -> Self: ...

    @overload
    def __get__(self, client: AsyncRelayDance, owner: type[AsyncRelayDance]) -> R: ...

    def __get__(self, client: AsyncRelayDance | None, owner: type[AsyncRelayDance]) -> R | Self:
        if client is None:
            return self
        found = vars(client)[self._name] = self._kind()(client._api)  # pyright: ignore[reportPrivateUsage]
        return found


class _Later(_Endpoint[R]):
    """The same for one that is imported when it is first asked for, from the module of its name."""

    def __init__(self, kind: str) -> None:
        self._class = kind
        self._name = ""
        self.__doc__ = f"See `{kind}`."

    def _kind(self) -> type[R]:
        kind: type[R] = getattr(import_module(f".resources.{self._name}", __package__), self._class)
        return kind


class AsyncRelayDance(AnyEndpoint, is_client=True):
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
        _clock: Clock = Clock(),  # noqa: B008  (frozen)
        _observers: Sequence[Observer] = (),
        **unknown: Unpack[FromOpenAI],
    ) -> None:
        # A traceback that shows local variables must find it masked in this frame too.
        secret = None if api_key is None else Secret(api_key)
        del api_key
        refuse_unknown(unknown, AsyncRelayDance)
        timeout = Timeout() if is_omitted(timeout) else timeout
        deadline = None if is_omitted(deadline) else deadline
        max_retries = None if is_omitted(max_retries) else max_retries
        permits = check_max_concurrency(max_concurrency)
        check_transport(transport, http_client)
        _check_kinds(journal, shared_limits, limits, {"allow_http": allow_http, "signed_answers": signed_answers})
        endpoint = build_endpoint(secret, base_url, allow_http=allow_http)

        book = Book(limits, permits, shared_limits, endpoint.owner)
        outage = KeyOutage(_clock.random)

        async def build() -> Runtime:
            book.entered()
            transports = {
                network: await build_transport(transport, http_client, max_idle=permits, network=network)
                for network in Network
            }
            api = LocalAdmission(permits, book, _clock.monotonic, _clock.sleep, outage)
            return Runtime(transports, api, ForeignAdmission(permits, _clock.monotonic, _clock.sleep))

        self._runtimes = Runtimes(build)
        signing = Signing.of(endpoint.root_url) if signed_answers is None else Signing(signed_answers)
        redactor = Redactor(endpoint.api_key.reveal())
        self._owner = True
        self._backlog = Backlog()
        self._attached = AllLimits(book, _clock.monotonic)
        options = Options(
            timeout=as_timeout(timeout),
            deadline=deadline,
            retry=with_max_retries(retry, max_retries),
            headers=_build_headers(default_headers),
            query=checked_query(default_query),
            on_retry=as_observer(on_retry),
            max_response_bytes=max_response_bytes,
            observers=tuple(_observers),
            hooks=self._as_observers(hooks, _clock),
        )
        shared = Shared(endpoint, self._runtimes, _clock, signing, redactor, book, journal)
        self._api = Api(shared, options, Keys(shared))

    @_hiding_the_key
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
        **unknown: Unpack[FromOpenAI],
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
        secret = NOT_GIVEN if api_key is NOT_GIVEN else Secret(api_key)
        del api_key  # a traceback that shows local variables must find it masked
        refuse_unknown(unknown, self.with_options)
        headers: Any = default_headers
        if headers is None:
            headers = _build_headers(None)
        elif headers is not NOT_GIVEN:
            headers = {**self._api.options.headers, **checked_headers(headers)}
        query: Any = default_query
        if query is not NOT_GIVEN:
            query = {} if query is None else {**self._api.options.query, **checked_query(query)}
        retry = _NO_RETRIES if retry is None else retry
        if max_retries is not NOT_GIVEN:
            retry = with_max_retries(self._api.options.retry if retry is NOT_GIVEN else retry, max_retries or 0)
        view = object.__new__(type(self))
        view.__dict__.update({name: of for name, of in self.__dict__.items() if not isinstance(of, Resource)})
        api = self._api if secret is NOT_GIVEN else self._api.with_key(secret)
        view._api = api.changed(
            timeout=NOT_GIVEN if timeout is NOT_GIVEN else as_timeout(timeout),
            deadline=deadline,
            retry=retry,
            headers=headers,
            query=query,
            on_retry=NOT_GIVEN if on_retry is NOT_GIVEN else as_observer(on_retry),
            hooks=NOT_GIVEN if hooks is NOT_GIVEN else self._as_observers(hooks, self._api.clock),
            max_response_bytes=sys.maxsize if max_response_bytes is None else max_response_bytes,
            priority=NOT_GIVEN if priority is NOT_GIVEN else as_priority(0 if priority is None else priority),
            view=next(_VIEWS),
        )
        view._owner = False
        return view

    copy = with_options
    """The same, under openai's name."""

    def _as_observers(self, hooks: Iterable[Hook | Observer] | None, clock: Clock) -> tuple[Observer, ...]:
        return as_observers(hooks, self._backlog, clock.monotonic, self._attached)

    models: _Endpoint[Models] = _Later("Models")
    chat: _Endpoint[Chat] = _Endpoint(Chat)
    images: _Endpoint[Images] = _Later("Images")
    files: _Endpoint[Files] = _Later("Files")
    video: _Endpoint[Video] = _Later("Video")
    account: _Endpoint[Account] = _Later("Account")
    assets: _Endpoint[Assets] = _Later("Assets")
    audio: _Endpoint[Audio] = _Later("Audio")
    embeddings: _Endpoint[Embeddings] = _Later("Embeddings")
    moderations: _Endpoint[Moderations] = _Later("Moderations")
    rerank: _Endpoint[Rerank] = _Later("Rerank")
    responses: _Endpoint[Responses] = _Later("Responses")
    videos: _Endpoint[Videos] = _Later("Videos")

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

    def is_closed(self) -> bool:
        """Whether it was closed, and not used since. A closed client can be used again."""
        return self._runtimes.is_closed

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
        from .resources._doubts import Doubts

        return await Doubts(self._api).resolve()

    async def warm(self) -> None:
        """Get ready for the first call: libraries, name look-up, TLS and one connection. Nothing is sent to the API.

        Without it the first call does that, which takes 30 to 50 ms of CPU over TLS, and the network's round trips. In
        a web app, call it when the app starts. A connection that nobody uses is closed after a few seconds, as the
        server wants it; the rest stays. With an `http_client` of yours only the libraries are loaded.

        Raises:
            APIConnectionError, APITimeoutError: there is no connection within `timeout.connect`.
        """
        await in_thread(_import_endpoints)
        await self._api.warm()

    async def aclose(self) -> None:
        """Close the connections of the running loop, also when it is cancelled meanwhile.

        Streams and calls under way break; a call that may be repeated is, over a new connection, as is the next poll of
        a wait. The client can be used again.

        Calls with an idempotency key whose callers were cancelled are waited for, 60 seconds at most; then `async`
        hooks, 5 seconds at most.
        """
        if self._owner:
            try:
                await self._runtimes.aclose()
            finally:
                await self._backlog.drain()

    close = aclose
    """The same, under openai's name. It is to be awaited."""

    if not TYPE_CHECKING:  # type checkers would take any name

        def __getattr__(self, name: str) -> Any:
            told = f": {NOT_OFFERED[name]}" if name in NOT_OFFERED else ""
            raise AttributeError(f"{type(self).__name__!r} object has no attribute {name!r}{told}", name=name, obj=self)

    def _held(self) -> Held:
        """What this client holds in the running loop, for tests and benchmarks."""
        runtime = self._runtimes.find()
        return Held() if runtime is None else runtime.held()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        await self.aclose()

    def __repr__(self) -> str:
        # Also of a client whose making has failed: a traceback that shows local variables asks for it.
        address = self.base_url if "_api" in vars(self) else "not made"
        return f"<{type(self).__name__} {address}>"

    def __reduce__(self) -> Any:
        raise TypeError("a client is not pickled; make it in each process, such as at import")


def _import_endpoints() -> None:
    for name in "files", "images", "models", "video":
        import_module(f".resources.{name}", __package__)


def _check_kinds(journal: object, shared_limits: object, limits: object, flags: Mapping[str, object]) -> None:
    if journal is not None and not hasattr(journal, "begin"):
        raise ConfigurationError(f"journal must be a journal, such as SqliteJournal, not {type(journal).__name__}")
    if shared_limits is not None and not hasattr(shared_limits, "allowance"):
        kind = type(shared_limits).__name__
        raise ConfigurationError(f"shared_limits must be shared limits, such as RedisLimits, not {kind}")
    if not isinstance(limits, Limits | None):
        kind = type(limits).__name__
        raise ConfigurationError(f"limits must be Limits, such as Limits(requests_per_minute=60), not {kind}")
    for name, flag in flags.items():
        if not isinstance(flag, bool | None):  # the text "false" would count as True
            raise ConfigurationError(f"{name} must be True or False, not {type(flag).__name__}")


def _build_headers(extra: Mapping[str, str] | None) -> dict[str, str]:
    return {"accept": "application/json", "user-agent": USER_AGENT, **checked_headers(extra or {})}


def openai_http_client(client: AsyncRelayDance) -> Any:
    """An HTTP client for openai's client, and for the frameworks that hold one. It sends through this client.

        openai = AsyncOpenAI(
            api_key="unused", base_url=client.base_url, http_client=openai_http_client(client), max_retries=0
        )

    So the limits, the retries, the rules of money and `track_usage` of this client hold. Its key is sent, and no other.
    `max_retries=0` leaves the retries to it; a billed request that openai's client repeats by itself is refused. The
    shorter of both clients' timeouts holds.

    Errors of the gateway come as openai's, with the status that the API documents. When no answer came, or a stream
    broke, the cause of openai's exception (`__cause__`) leads to ours, which has what was paid for;
    `maybe_accepted(error)` looks there.

    Args:
        client: yours to close. Closing what is returned closes nothing.

    Returns:
        An `httpx.AsyncClient`. It is typed as Any, because openai's client names that of httpx2 from version 3 on; it
        takes both.
    """
    # Both are imported where they are used, and httpx with them.
    from ._transports._outside import build_outside_client
    from .resources._bridge import Bridge

    return build_outside_client(Bridge(client._api).send)  # pyright: ignore[reportPrivateUsage]
