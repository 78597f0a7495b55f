"""A request that another library has made for an endpoint of the API, and the answer that it gets. Plain data."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Awaitable, Callable, Mapping
from dataclasses import dataclass, field

from ..errors import APIStatusError, ConfigurationError
from .request import build_json
from .timeout import Timeout

_NOT_PASSED_ON = frozenset(
    {
        *("authorization", "cookie", "proxy-authorization"),  # the client has its own key
        *("accept-encoding", "connection", "content-length", "expect", "host", "keep-alive", "te", "transfer-encoding"),
        *("trailer", "upgrade", "user-agent"),
    }
)
_OF_THE_CODING = frozenset({"connection", "content-encoding", "content-length", "keep-alive", "transfer-encoding"})
_RETRIES = "x-stainless-retry-count"
"""How often openai's client has sent the same before."""


@dataclass(frozen=True, slots=True)
class OutsideRequest:
    """A request of another library. Its repr shows no headers: one is a key.

    Attributes:
        headers: names in lower case.
        timeouts: seconds by phase, as httpx has them; None: no limit.
    """

    method: str
    url: str
    headers: Mapping[str, str] = field(repr=False)
    body: bytes = field(repr=False)
    timeouts: Mapping[str, float | None] = field(default_factory=dict[str, float | None])

    def path_below(self, base_url: str) -> str:
        """Its path and query below the base URL.

        Raises:
            ConfigurationError: it is for another address. The key goes to no other.
        """
        if not self.url.startswith(f"{base_url}/"):
            asked = self.url.partition("?")[0]
            told = f"the request is for {asked}, and this client is for {base_url}"
            raise ConfigurationError(f"{told}: AsyncOpenAI(base_url=client.base_url, …)")
        return self.url.removeprefix(base_url)

    @property
    def passed_headers(self) -> dict[str, str]:
        """The headers without those of the connection, and without its key."""
        return {name: value for name, value in self.headers.items() if name not in _NOT_PASSED_ON}

    @property
    def is_repeated(self) -> bool:
        """Whether its own library sends it once more."""
        return self.headers.get(_RETRIES, "0") not in ("", "0")

    def timeout(self, ours: Timeout) -> Timeout:
        """Whatever is shorter of each phase."""
        return Timeout(
            connect=self._shorter("connect", ours.connect),
            read=self._shorter("read", ours.read),
            write=self._shorter("write", ours.write),
        )

    def _shorter(self, phase: str, ours: float) -> float:
        given = self.timeouts.get(phase)
        return ours if given is None else min(given, ours)


@dataclass(frozen=True, slots=True)
class OutsideAnswer:
    """What that library gets.

    Attributes:
        body: whole, or as it comes.
        close: gives back what a body that comes in pieces holds.
        source: what the body was made of, for who counts usage.
    """

    status: int
    headers: Mapping[str, str]
    body: bytes | AsyncGenerator[bytes, None]
    close: Callable[[], Awaitable[None]] | None = None
    source: object = None


def plain_headers(headers: Mapping[str, str], **more: str) -> dict[str, str]:
    """Those of an answer whose body is no longer as it came."""
    kept = {name.lower(): value for name, value in headers.items()}
    found = {name: value for name, value in kept.items() if name not in _OF_THE_CODING}
    return {**found, **{name.replace("_", "-"): value for name, value in more.items()}}


def answer_of_error(error: APIStatusError) -> OutsideAnswer:
    """An error as the API documents it: with the status that fits, in OpenAI's envelope, and not to be repeated."""
    envelope = {"message": error.message, "type": error.type, "param": error.param, "code": error.code}
    status = error.documented_status or 500
    headers = plain_headers(error.meta.headers, content_type="application/json", x_should_retry="false")
    return OutsideAnswer(status if status >= 400 else 500, headers, build_json({"error": envelope}))
