"""The arguments that the methods take beside their own, under OpenAI's names."""

from __future__ import annotations

from collections.abc import Mapping
from enum import Enum
from typing import Any, Final, Protocol, TypedDict

from pydantic import SecretStr


class NotGiven(Enum):
    """The type of an argument that isn't given, where None means "off"."""

    NOT_GIVEN = "not given"

    def __repr__(self) -> str:
        return self.name


NOT_GIVEN: Final = NotGiven.NOT_GIVEN
"""An argument that isn't given: the same as leaving it out."""


class PhaseTimeouts(Protocol):
    """A `Timeout`, an `httpx.Timeout`, or whatever else has these: seconds. None is no limit."""

    @property
    def connect(self) -> float | None: ...
    @property
    def read(self) -> float | None: ...
    @property
    def write(self) -> float | None: ...


class RequestOptions(TypedDict, total=False):
    """What holds for each request of a method: `wait` and `download` make many.

    `extra_headers` and `extra_query` are added to the requests to the API; `timeout` is that of one I/O phase, in
    seconds, or a number for each phase. None is no limit; not given, it is the client's.

    `api_key` is that of another user, as of `with_options`; not given, it is the client's.
    """

    api_key: str | SecretStr | NotGiven | None
    extra_headers: Mapping[str, str] | None
    extra_query: Mapping[str, str] | None
    timeout: float | PhaseTimeouts | NotGiven | None


class ReadOptions(RequestOptions, total=False):
    """Options of a call that is one request. `deadline`, in seconds, bounds it with queueing and retries; None: nothing
    does. Not given, it is the client's."""

    deadline: float | NotGiven | None


class BodyOptions(RequestOptions, total=False):
    """`extra_body` is merged into the JSON body, or into the form: so what this version doesn't know goes through.

    `idempotency_key` names the request for the client's journal: with the same key it is sent, and paid for, once.
    """

    extra_body: Mapping[str, Any] | None
    idempotency_key: str | None


class CallOptions(BodyOptions, ReadOptions, total=False):
    """All of them. A stream is bounded by `deadline` up to its end."""
