"""What a client was told: checked once, then frozen."""

from __future__ import annotations

import os
import platform
import random
import re
import time
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from functools import partial
from hashlib import sha256
from typing import Any
from urllib.parse import urlsplit

import anyio
from pydantic import AnyUrl, SecretStr

from ._sansio.addresses import is_loopback
from ._sansio.extras import is_omitted
from ._sansio.numbers import is_positive
from ._sansio.observer import Observer
from ._sansio.retry import RetryPolicy
from ._sansio.target import ApiTarget, with_default_query
from ._sansio.timeout import Timeout
from ._version import __version__
from .errors import ConfigurationError
from .models._options import NOT_GIVEN

DEFAULT_BASE_URL = "https://relaydance.com/v1"
DEFAULT_MAX_RESPONSE_BYTES = 128 * 1024 * 1024
"""The gateway's own limit for a body (New API's default)."""

USER_AGENT = f"relaydance-async/{__version__} Python/{platform.python_version()}"


class Secret:
    """The API key, kept out of reprs, logs, pickles, and tracebacks that show local variables."""

    __slots__ = ("_value",)

    def __init__(self, value: str | SecretStr | Secret) -> None:
        if isinstance(value, Secret):
            value = value.reveal()
        self._value: str = value.get_secret_value() if isinstance(value, SecretStr) else value

    def reveal(self) -> str:
        """The key itself."""
        return self._value

    def stripped(self) -> Secret:
        """Without the blanks around it."""
        value = self._value.strip()
        return self if value is self._value else Secret(value)

    def mark(self) -> str:
        """A hash of it, which tells it from others and opens nothing."""
        return sha256(b"relaydance journal\0" + self._value.encode()).hexdigest()[:16]

    def as_bearer(self) -> str:
        """The value of an `Authorization` header."""
        return f"Bearer {self._value}"

    def __repr__(self) -> str:
        return "Secret('***')"

    def __reduce__(self) -> Any:
        raise TypeError("an API key is not pickled; make the client where it is used")


def hide_key(arguments: dict[str, Any]) -> dict[str, Any]:
    """The arguments with the key among them masked, in place: a traceback that shows local variables finds it so."""
    if "api_key" in arguments and arguments["api_key"] is not None and not is_omitted(arguments["api_key"]):
        arguments["api_key"] = Secret(arguments["api_key"])
    return arguments


@dataclass(frozen=True, slots=True)
class Clock:
    """Time, waiting and chance: what a test replaces."""

    monotonic: Callable[[], float] = time.monotonic
    sleep: Callable[[float], Awaitable[None]] = anyio.sleep
    random: Callable[[], float] = random.random
    now: Callable[[], datetime] = field(default=partial(datetime.now, UTC))


@dataclass(frozen=True, slots=True)
class Endpoint:
    """Where the API is, and the key that goes there and nowhere else."""

    base_url: str
    root_url: str
    api_key: Secret
    mark: str
    """A hash of the key, which tells it from others and opens nothing."""
    is_another: bool = False
    """Whether the key is not the client's own, but that of one of many users."""

    @property
    def origin(self) -> str:
        """What keys and tasks of a journal belong to. Those of one user are nothing to another, who may name the same
        key, or somebody else's task. The client's own stay when its key is renewed."""
        return f"{self.root_url}#{self.mark}" if self.is_another else self.root_url

    def require_key(self) -> None:
        """A client is often made where it isn't used, such as in a test or a build: so a key is missed when it is.

        Raises:
            ConfigurationError: there is none.
        """
        if not self.api_key.reveal():
            raise ConfigurationError(_NO_KEY)

    def url(self, target: ApiTarget, query: Mapping[str, str] | None = None) -> str:
        """The absolute URL of an endpoint: `/api/…` lies at the root of the host, all else below the base URL.

        Args:
            query: of all requests; what the target has under the same name counts.
        """
        base = self.root_url if target.path.startswith("/api/") else self.base_url
        asked = with_default_query(target.query, query) if query else target.query
        return f"{base}{target.path}?{asked}" if asked else base + target.path


@dataclass(slots=True)  # a frozen one takes three times as long to change
class Options:
    """What `with_options` can change, each value checked once: the headers before. It is never changed itself.

    Raises:
        ConfigurationError: when one is out of range.
    """

    timeout: Timeout
    deadline: float | None
    retry: RetryPolicy
    headers: Mapping[str, str] = field(repr=False)  # a caller's may be secret
    on_retry: Observer | None
    max_response_bytes: int
    observers: tuple[Observer, ...] = ()
    hooks: tuple[Observer, ...] = ()
    priority: int = 0
    view: int = 0
    order: int | None = None
    query: Mapping[str, str] = field(default_factory=dict[str, str], repr=False)

    def __post_init__(self) -> None:
        for name, check in _CHECKS.items():
            check(getattr(self, name))

    def changed(self, **values: Any) -> Options:
        """Options with these values; what is `NOT_GIVEN` stays. Only what changes is checked again."""
        other = object.__new__(Options)
        for name in self.__slots__:
            value = values.get(name, NOT_GIVEN)
            if value is NOT_GIVEN:
                value = getattr(self, name)
            elif name in _CHECKS:
                _CHECKS[name](value)
            setattr(other, name, value)
        return other

    @property
    def watching(self) -> tuple[Observer, ...]:
        """All who watch the calls."""
        observers = (*self.observers, *self.hooks)
        return observers if self.on_retry is None else (*observers, self.on_retry)

    @property
    def is_watched(self) -> bool:
        """Whether anybody does."""
        return bool(self.hooks or self.observers) or self.on_retry is not None


def _check_deadline(value: object) -> None:
    if value is not None and not is_positive(value):
        raise ConfigurationError(f"deadline must be a number of seconds more than 0, not {value!r}")


def _check_max_response_bytes(value: object) -> None:
    if not is_positive(value):
        raise ConfigurationError(f"max_response_bytes must be more than 0, not {value!r}")


PRIORITIES = {"batch": -10, "interactive": 10}
"""Names of priorities; without any it is 0."""
_MOST_PRIORITY = 100


def as_priority(value: object) -> int:
    """A priority from its name or number.

    Raises:
        ConfigurationError: it is neither.
    """
    if isinstance(value, str) and value in PRIORITIES:
        return PRIORITIES[value]
    if isinstance(value, int) and not isinstance(value, bool) and abs(value) <= _MOST_PRIORITY:
        return value
    names = " or ".join(map(repr, PRIORITIES))
    raise ConfigurationError(
        f"priority must be {names}, or a whole number from -{_MOST_PRIORITY} to {_MOST_PRIORITY}, not {value!r}"
    )


def _check_retry(value: object) -> None:
    if not isinstance(value, RetryPolicy):
        raise ConfigurationError(f"retry must be a RetryPolicy, not {type(value).__name__}")


def checked_query(query: Mapping[str, str] | None) -> dict[str, str]:
    """A caller's query of all requests.

    Raises:
        ConfigurationError: it is no mapping of texts.
    """
    if query is None:
        return {}
    given: Any = query
    texts: list[Any] = [*given, *given.values()] if isinstance(given, Mapping) else [None]  # pyright: ignore[reportUnknownMemberType]
    if not all(isinstance(text, str) for text in texts):
        raise ConfigurationError("default_query must be a mapping of texts to texts")
    return dict(query)


def with_max_retries(policy: RetryPolicy, max_retries: object) -> RetryPolicy:
    """The policy with this many retries; None: as it is.

    Raises:
        ConfigurationError: it is no whole number of 0 or more.
    """
    if max_retries is None:
        return policy
    if isinstance(max_retries, bool) or not isinstance(max_retries, int) or max_retries < 0:
        raise ConfigurationError(f"max_retries must be a whole number of 0 or more, not {max_retries!r}")
    _check_retry(policy)
    return replace(policy, max_attempts=max_retries + 1)


def checked_headers(headers: Mapping[str, str]) -> dict[str, str]:
    """A caller's headers, their names in lower case.

    Raises:
        ConfigurationError: it is no mapping; or naming the one that can't be sent.
    """
    if not isinstance(headers, Mapping):  # pyright: ignore[reportUnnecessaryIsInstance]
        raise ConfigurationError(f"default_headers must be a mapping of texts to texts, not {type(headers).__name__}")
    for name, value in headers.items():
        _check_header(name, value)
    return {name.lower(): value for name, value in headers.items()}


_CHECKS: dict[str, Callable[[Any], None]] = {
    "deadline": _check_deadline,
    "max_response_bytes": _check_max_response_bytes,
    "retry": _check_retry,
}


def build_endpoint(api_key: Secret | None, base_url: str | AnyUrl | None, *, allow_http: bool) -> Endpoint:
    """From the arguments, else from RELAYDANCE_API_KEY and RELAYDANCE_BASE_URL. A key may be in neither.

    Raises:
        ConfigurationError: what can't be a key, or a URL that can't be one of the API.
    """
    key = api_key if api_key is not None else Secret(os.environ.get("RELAYDANCE_API_KEY", ""))
    # Raised here, where no local variable is the key.
    problem = _problem_of_key(key.reveal())
    if problem is not None and (api_key is not None or problem is not _NO_KEY):
        raise ConfigurationError(problem)
    base = _base_url_of(base_url).strip().rstrip("/")
    root = _check_base_url(base, allow_http=allow_http)
    secret = key.stripped()
    return Endpoint(base, root, secret, secret.mark())


def with_key(endpoint: Endpoint, api_key: Secret) -> Endpoint:
    """The same API with another key.

    Raises:
        ConfigurationError: it can't be one.
    """
    problem = _problem_of_key(api_key.reveal())
    if problem is not None:
        raise ConfigurationError(problem)
    secret = api_key.stripped()
    return Endpoint(endpoint.base_url, endpoint.root_url, secret, secret.mark(), is_another=True)


_NO_KEY = "no API key: pass api_key= or set RELAYDANCE_API_KEY (relaydance.com, console, API keys)"


def _problem_of_key(value: object) -> str | None:
    if not isinstance(value, str):
        return f"the API key must be a string or a SecretStr, not {type(value).__name__}"
    key = value.strip()
    if not key:
        return _NO_KEY
    if not (key.isascii() and key.isprintable()) or " " in key:
        return "the API key holds characters that no key has; was something else pasted?"
    return None


def _base_url_of(value: object) -> str:
    if value is None:
        return os.environ.get("RELAYDANCE_BASE_URL") or DEFAULT_BASE_URL
    if not isinstance(value, str | AnyUrl):
        raise ConfigurationError(f"base_url must be a string or a URL of pydantic, not {type(value).__name__}")
    return str(value)


def origin_of(base_url: str, *, allow_http: bool = True) -> str:
    """Where an API is, without its path.

    Raises:
        ConfigurationError: it can't be the URL of one.
    """
    return _check_base_url(base_url, allow_http=allow_http)


def _check_base_url(base: str, *, allow_http: bool) -> str:
    if "@" in base:
        raise ConfigurationError("base_url must hold no user name or password; the key goes into api_key=")
    problem = f"base_url {base!r} is not usable: "
    try:
        parts = urlsplit(base)
        port = parts.port
    except ValueError as error:
        raise ConfigurationError(f"{problem}{error}") from None
    name = parts.hostname
    if parts.scheme not in ("https", "http") or not name or base.split() != [base]:
        raise ConfigurationError(f"{problem}it must be like {DEFAULT_BASE_URL}")
    if parts.query or parts.fragment:
        raise ConfigurationError(f"{problem}it must have no query and no fragment")
    if parts.scheme == "http" and not allow_http and not is_loopback(name):
        raise ConfigurationError(
            f"{problem}over http:// the key could be read on the way; use https://, or allow_http=True"
        )
    host = f"[{name}]" if ":" in name else name
    return f"{parts.scheme}://{host}{f':{port}' if port else ''}"


def check_max_concurrency(value: object) -> int:
    """At least one.

    Raises:
        ConfigurationError: when it is not.
    """
    if isinstance(value, bool) or not isinstance(value, int) or value < 1:
        raise ConfigurationError(f"max_concurrency must be a whole number of 1 or more, not {value!r}")
    return value


_TOKEN = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
"""A header's name (RFC 9110 section 5.6.2)."""
_VALUE = re.compile(r"(?:[!-~](?:[\t -~]*[!-~])?)?")
"""A header's value, without what not every server and proxy takes (RFC 9110 section 5.5)."""
_FRAMING = frozenset({"connection", "content-length", "expect", "host", "te", "transfer-encoding", "upgrade"})
"""Where a request begins and ends, and where it goes: a second word about that is how requests are smuggled."""


def _check_header(name: object, value: object) -> None:
    if not isinstance(name, str) or not _TOKEN.fullmatch(name):
        raise ConfigurationError(f"{name!r:.80} can't be the name of a header: letters, digits and hyphens can")
    if name.lower() == "authorization":
        raise ConfigurationError("the Authorization header is the client's: pass api_key=")
    if name.lower() in _FRAMING:
        raise ConfigurationError(f"the header {name} is the client's: it belongs to the connection, not to the request")
    # The value may be a secret.
    if not isinstance(value, str):
        raise ConfigurationError(f"the value of header {name} must be a string, not {type(value).__name__}")
    if not _VALUE.fullmatch(value):
        raise ConfigurationError(
            f"the value of header {name} holds characters that can't be sent: ASCII can, and no blank at its ends"
        )
