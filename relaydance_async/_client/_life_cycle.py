"""The life of a client: it gets ready, is closed, and can be used again."""

from __future__ import annotations

from types import TracebackType
from typing import Any, Self

from .._call import Api
from .._hooks import Backlog
from .._runtime import Held, Runtimes
from .._threads import in_thread
from ._endpoints import import_endpoints


class LifeCycle:
    """What begins and ends with a client. Its views begin and end nothing."""

    _api: Api
    _runtimes: Runtimes
    _backlog: Backlog
    _owner: bool = False
    """Whether it is a client, and not a view of one."""

    def is_closed(self) -> bool:
        """Whether it was closed, and not used since. A closed client can be used again."""
        return self._runtimes.is_closed

    async def warm(self) -> None:
        """Get ready for the first call: libraries, name look-up, TLS and one connection. Nothing is sent to the API.

        Without it the first call does that, which takes 30 to 50 ms of CPU over TLS, and the network's round trips. In
        a web app, call it when the app starts. A connection that nobody uses is closed after a few seconds, as the
        server wants it; the rest stays. With an `http_client` of yours only the libraries are loaded.

        Raises:
            APIConnectionError, APITimeoutError: there is no connection within `timeout.connect`.
        """
        await in_thread(import_endpoints)
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

    def __reduce__(self) -> Any:
        raise TypeError("a client is not pickled; make it in each process, such as at import")
