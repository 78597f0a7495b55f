"""What a client was told: checked once, then frozen."""

from __future__ import annotations

import os
import platform
import random
import time
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any
from urllib.parse import urlsplit

import anyio

from ._sansio.addresses import is_loopback
from ._sansio.retry import RetryPolicy
from ._sansio.timeout import Timeout
from ._version import __version__
from .errors import ConfigurationError

DEFAULT_BASE_URL = "https://relaydance.com/v1"
DEFAULT_MAX_RESPONSE_BYTES = 128 * 1024 * 1024
"""The gateway's own limit for a body (New API's default)."""

USER_AGENT = f"relaydance-async/{__version__} Python/{platform.python_version()}"


class Secret:
    """The API key, kept out of reprs, logs, pickles, and tracebacks that show local variables."""

    __slots__ = ("_value",)

    def __init__(self, value: str) -> None:
        self._value = value

    def reveal(self) -> str:
        """The key itself."""
        return self._value

    def __repr__(self) -> str:
        return "Secret('***')"

    def __reduce__(self) -> Any:
        raise TypeError("an API key is not pickled; make the client where it is used")


@dataclass(frozen=True, slots=True)
class Clock:
    """Time, waiting and chance: what a test replaces."""

    monotonic: Callable[[], float] = time.monotonic
    sleep: Callable[[float], Awaitable[None]] = anyio.sleep
    random: Callable[[], float] = random.random
    now: Callable[[], datetime] = field(default=lambda: datetime.now(UTC))


@dataclass(frozen=True, slots=True)
class Endpoint:
    """Where the API is, and the key that goes there and nowhere else."""

    base_url: str
    root_url: str
    api_key: Secret

    def url(self, path: str) -> str:
        """The absolute URL of a path: `/api/…` lies at the root of the host, all else below the base URL."""
        return (self.root_url if path.startswith("/api/") else self.base_url) + path


@dataclass(frozen=True, slots=True)
class Options:
    """What `with_options` can change."""

    timeout: Timeout
    deadline: float | None
    retry: RetryPolicy
    headers: Mapping[str, str] = field(repr=False)  # a caller's may be secret
    on_retry: Callable[[Any], Any] | None
    max_response_bytes: int

    def __post_init__(self) -> None:
        if self.deadline is not None and not _is_positive(self.deadline):
            raise ConfigurationError(f"deadline must be a number of seconds more than 0, not {self.deadline!r}")
        if not _is_positive(self.max_response_bytes):
            raise ConfigurationError(f"max_response_bytes must be more than 0, not {self.max_response_bytes!r}")
        if not _is_policy(self.retry):
            raise ConfigurationError(f"retry must be a RetryPolicy, not {type(self.retry).__name__}")
        if self.on_retry is not None and not callable(self.on_retry):
            raise ConfigurationError(f"on_retry must be a function, not {type(self.on_retry).__name__}")
        for name, value in self.headers.items():
            _check_header(name, value)


def build_endpoint(api_key: Secret | None, base_url: str | None, *, allow_http: bool) -> Endpoint:
    """From the arguments, else from RELAYDANCE_API_KEY and RELAYDANCE_BASE_URL.

    Raises:
        ConfigurationError: no key, or a URL that can't be one of the API.
    """
    key = api_key if api_key is not None else Secret(os.environ.get("RELAYDANCE_API_KEY", ""))
    # Raised here, where no local variable is the key.
    problem = _problem_of_key(key.reveal())
    if problem is not None:
        raise ConfigurationError(problem)
    base = (base_url if base_url is not None else os.environ.get("RELAYDANCE_BASE_URL") or DEFAULT_BASE_URL).strip()
    base = base.rstrip("/")
    root = _check_base_url(base, allow_http=allow_http)
    return Endpoint(base, root, Secret(key.reveal().strip()))


def _problem_of_key(value: object) -> str | None:
    if not isinstance(value, str):
        return f"the API key must be a string, not {type(value).__name__}"
    key = value.strip()
    if not key:
        return "no API key: pass api_key= or set RELAYDANCE_API_KEY (relaydance.com, console, API keys)"
    if not (key.isascii() and key.isprintable()) or " " in key:
        return "the API key holds characters that no key has; was something else pasted?"
    return None


def _check_base_url(base: str, *, allow_http: bool) -> str:
    if "@" in base:
        raise ConfigurationError("base_url must hold no user name or password; the key goes into api_key=")
    problem = f"base_url {base!r} is not usable: "
    try:
        parts = urlsplit(base)
        port = parts.port
    except ValueError as error:
        raise ConfigurationError(f"{problem}{error}") from None
    if parts.scheme not in ("https", "http") or not parts.hostname or any(c.isspace() for c in base):
        raise ConfigurationError(f"{problem}it must be like {DEFAULT_BASE_URL}")
    if parts.query or parts.fragment:
        raise ConfigurationError(f"{problem}it must have no query and no fragment")
    if parts.scheme == "http" and not allow_http and not is_loopback(parts.hostname):
        raise ConfigurationError(
            f"{problem}over http:// the key could be read on the way; use https://, or allow_http=True"
        )
    host = f"[{parts.hostname}]" if ":" in parts.hostname else parts.hostname
    return f"{parts.scheme}://{host}{f':{port}' if port else ''}"


def check_max_concurrency(value: object) -> int:
    """At least one.

    Raises:
        ConfigurationError: when it is not.
    """
    if isinstance(value, bool) or not isinstance(value, int) or value < 1:
        raise ConfigurationError(f"max_concurrency must be a whole number of 1 or more, not {value!r}")
    return value


def _is_policy(value: object) -> bool:
    return isinstance(value, RetryPolicy)


def _is_positive(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and value > 0


def _check_header(name: object, value: object) -> None:
    if str(name).lower() == "authorization":
        raise ConfigurationError("the Authorization header is the client's: pass api_key=")
    for text in (name, value):
        if not isinstance(text, str) or not text.isascii() or any(c in text for c in "\r\n\0"):
            raise ConfigurationError(f"header {name!r} holds characters that can't be sent")
