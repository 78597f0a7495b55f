"""An answer came: an error, or what nobody documents."""

from __future__ import annotations

import json
from typing import Any

from ..models.meta import ErrorResponse
from ._base import RelayDanceError

_FIRST_ERROR = 400

_BAD_GATEWAY = 502


class _AnswerError(RelayDanceError):
    """There was an answer."""

    raw_body: bytes

    @property
    def body(self) -> Any:
        """The answer's body: JSON decoded, or else its text."""
        return _decoded(self.raw_body)

    @property
    def response(self) -> ErrorResponse:
        """The answer, under the names that httpx and openai have for it."""
        return ErrorResponse(self.meta, self.raw_body)


class APIStatusError(_AnswerError):
    """An error answer, also one with HTTP 200 around it.

    One of the gateway's own is not billed (API documentation). One of somebody in between may hide that the gateway
    goes on to accept: then `maybe_accepted` says so, and `answered_by` who it seems to have been.

    Attributes:
        retry_after: seconds that the answer asked to wait, or None when it didn't say.
        answered_by: who answered instead of the gateway, as far as the headers tell; None when the gateway did.
        raw_body: the first bytes of the answer (64 KiB at most; all of one with a good status), without the API key.
            The signature of a result's URL stays in it.
    """

    def __init__(
        self,
        message: str = "",
        *,
        retry_after: float | None = None,
        answered_by: str | None = None,
        raw_body: bytes = b"",
        **details: Any,
    ) -> None:
        super().__init__(message, **details)
        self.retry_after = retry_after
        self.answered_by = answered_by
        self.raw_body = raw_body

    @property
    def documented_status(self) -> int:
        """See `RelayDanceError`. An error inside of an answer of HTTP 200 is an upstream's: 502."""
        came = self.status_code or 0
        return self._documented_status or (came if came >= _FIRST_ERROR else _BAD_GATEWAY)


class ResponseDecodeError(_AnswerError):
    """The answer is not what the API documents: HTML, the wrong shape, cut off.

    Attributes:
        raw_body: the bytes of the answer, up to `max_response_bytes`, so that what was paid for is not lost: as they
            came when their content coding is broken. Without the API key; the signature of a result's URL stays in it.
    """

    _hint = "Check the base URL (it ends in /v1) and any proxy in between"

    def __init__(self, message: str = "", *, raw_body: bytes = b"", **details: Any) -> None:
        super().__init__(message, **details)
        self.raw_body = raw_body


class ResponseTooLargeError(ResponseDecodeError):
    """The answer is larger than `max_response_bytes`; reading was stopped."""

    _hint = "Raise max_response_bytes if such an answer is expected"


def _decoded(body: bytes) -> Any:
    try:
        return json.loads(body)
    except (ValueError, RecursionError):
        return body.decode("utf-8", "replace")
