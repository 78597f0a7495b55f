"""The arguments that the methods take beside their own, under OpenAI's names."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, TypedDict


class RequestOptions(TypedDict, total=False):
    """What holds for each request of a method: `wait` and `download` make many.

    `extra_headers` and `extra_query` are added to the requests to the API; `timeout` is that of one I/O phase, in
    seconds. None is what the client has.
    """

    extra_headers: Mapping[str, str] | None
    extra_query: Mapping[str, str] | None
    timeout: float | None


class ReadOptions(RequestOptions, total=False):
    """Options of a call that is one request. `deadline`, in seconds, bounds it with queueing and retries."""

    deadline: float | None


class BodyOptions(RequestOptions, total=False):
    """`extra_body` is merged into the JSON body, or into the form: so what this version doesn't know goes through.

    `idempotency_key` names the request for the client's journal: with the same key it is sent, and paid for, once.
    """

    extra_body: Mapping[str, Any] | None
    idempotency_key: str | None


class CallOptions(BodyOptions, ReadOptions, total=False):
    """All of them. A stream is bounded by `deadline` up to its end."""
