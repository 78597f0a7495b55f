"""The client: its settings, and the way to the endpoints."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from types import TracebackType
from typing import Any, Self

from ._config import (
    DEFAULT_MAX_RESPONSE_BYTES,
    USER_AGENT,
    Clock,
    Options,
    Secret,
    build_endpoint,
    check_max_concurrency,
)
from ._controller import Controller
from ._hooks import RetryHook
from ._limits import Gate, Permits
from ._runtime import Runtime, Runtimes
from ._sansio.retry import RetryPolicy
from ._sansio.target import Network
from ._sansio.timeout import Timeout, as_timeout
from ._transports import Transport, TransportName, build_transport, check_transport
from .resources.account import Account
from .resources.chat import Chat
from .resources.files import Files
from .resources.images import Images
from .resources.models import Models
from .resources.video import Video


class AsyncRelayDance:
    """A client of the RelayDance API.

    Make one and share it: between tasks, between event loops one after another or in different threads, and across a
    fork. It can be made at import time, outside of any loop. Connections belong to the loop that opened them, and are
    closed with it.

    Args:
        api_key: default: RELAYDANCE_API_KEY.
        base_url: default: RELAYDANCE_BASE_URL, else https://relaydance.com/v1.
        timeout: seconds that one I/O phase of one attempt may take, or a `Timeout` with one number for each phase.
        deadline: seconds that a whole call may take: queueing, attempts and waits; None for no limit.
        max_concurrency: attempts under way at once, in each event loop. Calls above that wait in turn.
        retry: when and how often a call is repeated.
        transport: "aiohttp" (the extra, asyncio only), "httpx", or "auto": aiohttp where it can be used.
        http_client: an `httpx.AsyncClient` or `httpx2.AsyncClient` to send with; it stays yours to close. It belongs to
            one loop.
        default_headers: sent with every request to the API.
        on_retry: called with a `RetryEvent` before each wait for a retry; a coroutine function is awaited.
        max_response_bytes: the largest answer that is read into memory, streamed or not (default 128 MiB).
        allow_http: send the key over plain http:// to hosts other than loopback.

    Raises:
        ConfigurationError: no key, a bad URL, or a number out of range.
    """

    def __init__(
        self,
        api_key: str | None = None,
        *,
        base_url: str | None = None,
        timeout: float | Timeout = Timeout(),  # noqa: B008  (frozen)
        deadline: float | None = None,
        max_concurrency: int = 100,
        retry: RetryPolicy = RetryPolicy(),  # noqa: B008  (frozen)
        transport: TransportName = "auto",
        http_client: Any = None,
        default_headers: Mapping[str, str] | None = None,
        on_retry: RetryHook | None = None,
        max_response_bytes: int = DEFAULT_MAX_RESPONSE_BYTES,
        allow_http: bool = False,
        _clock: Clock = Clock(),  # noqa: B008  (frozen)
    ) -> None:
        # A traceback that shows local variables must find it masked in this frame too.
        secret = None if api_key is None else Secret(api_key)
        del api_key
        permits = check_max_concurrency(max_concurrency)
        check_transport(transport, http_client)
        endpoint = build_endpoint(secret, base_url, allow_http=allow_http)

        async def build() -> Runtime:
            async def build_public() -> Transport:
                return await build_transport(transport, http_client, max_idle=permits, network=Network.PUBLIC)

            made = await build_transport(transport, http_client, max_idle=permits)
            return Runtime(made, Permits(permits), build_public)

        self._runtimes = Runtimes(build)
        gate = Gate(_clock.monotonic, _clock.sleep)
        self._controller = Controller(endpoint, self._runtimes, gate, _clock)
        self._owner = True
        self._options = Options(
            timeout=as_timeout(timeout),
            deadline=deadline,
            retry=retry,
            headers=_build_headers(default_headers),
            on_retry=on_retry,
            max_response_bytes=max_response_bytes,
        )

    def with_options(
        self,
        *,
        timeout: float | Timeout | None = None,
        deadline: float | None = None,
        retry: RetryPolicy | None = None,
        default_headers: Mapping[str, str] | None = None,
        on_retry: RetryHook | None = None,
        max_response_bytes: int | None = None,
    ) -> Self:
        """A view of this client with other options; what isn't given stays.

        It shares connections, permits and the cool-down. `default_headers` are added to those there are. Closing a view
        closes nothing.

        Raises:
            ConfigurationError: a number out of range.
        """
        given: dict[str, Any] = {
            "timeout": None if timeout is None else as_timeout(timeout),
            "deadline": deadline,
            "retry": retry,
            "headers": None if default_headers is None else {**self._options.headers, **_lower(default_headers)},
            "on_retry": on_retry,
            "max_response_bytes": max_response_bytes,
        }
        view = object.__new__(type(self))
        view.__dict__.update(self.__dict__)
        view._options = replace(self._options, **{name: value for name, value in given.items() if value is not None})
        view._owner = False
        return view

    @property
    def base_url(self) -> str:
        """Where the API is, without a final slash."""
        return self._controller.base_url

    @property
    def models(self) -> Models:
        """The models that the key can use."""
        return Models(self._controller, self._options)

    @property
    def chat(self) -> Chat:
        """Chat; `chat.completions.create`."""
        return Chat(self._controller, self._options)

    @property
    def images(self) -> Images:
        """Images."""
        return Images(self._controller, self._options)

    @property
    def files(self) -> Files:
        """Uploads."""
        return Files(self._controller, self._options)

    @property
    def video(self) -> Video:
        """Clips."""
        return Video(self._controller, self._options)

    @property
    def account(self) -> Account:
        """The balance."""
        return Account(self._controller, self._options)

    async def aclose(self) -> None:
        """Close the connections of the running loop, also when it is cancelled meanwhile.

        Streams and calls under way break; a call that may be repeated is, over a new connection, as is the next poll of
        a wait. The client can be used again.
        """
        if self._owner:
            await self._runtimes.aclose()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        await self.aclose()

    def __repr__(self) -> str:
        # Also of a client whose making has failed: a traceback that shows local variables asks for it.
        address = self.base_url if "_controller" in vars(self) else "not made"
        return f"<{type(self).__name__} {address}>"

    def __reduce__(self) -> Any:
        raise TypeError("a client is not pickled; make it in each process, such as at import")


def _build_headers(extra: Mapping[str, str] | None) -> dict[str, str]:
    return {"accept": "application/json", "user-agent": USER_AGENT, **_lower(extra or {})}


def _lower(headers: Mapping[str, str]) -> dict[str, str]:
    return {name.lower(): value for name, value in headers.items()}
