"""Error answers into exceptions. The `code` decides before the status does: the gateway's status alone lies."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, cast

from ..errors import (
    APIStatusError,
    AuthenticationError,
    BadRequestError,
    ContentRefusedError,
    InsufficientBalanceError,
    NotFoundError,
    PermissionDeniedError,
    RateLimitError,
    RequestTooLargeError,
    ResponseDecodeError,
    ServerError,
)
from ..models.meta import ResponseMeta
from .answerer import is_signed, who_answered

BODY_KEPT = 64 * 1024
"""Bytes of an error answer that its error keeps."""

_SHOWN = 200
_MESSAGE_LIMIT = 2000

# New API 1.0.0-rc.24 sends these codes under statuses that mean something else.
_BY_CODE: dict[str, type[APIStatusError]] = {
    "model_not_found": NotFoundError,
    "task_not_exist": NotFoundError,
    "invalid_request": BadRequestError,
    "model_price_error": BadRequestError,
    "sensitive_words_detected": ContentRefusedError,
    "prompt_blocked": ContentRefusedError,
    "insufficient_user_quota": InsufficientBalanceError,
    "pre_consume_token_quota_failed": InsufficientBalanceError,
    "access_denied": PermissionDeniedError,
    "read_request_body_failed": RequestTooLargeError,
}
_REFUSAL_PREFIX = "violation_fee."
_UPSTREAM_CODES = frozenset(
    {
        "bad_response_status_code",
        "bad_response",
        "bad_response_body",
        "empty_response",
        "do_request_failed",
        "fail_to_fetch_task",
        "get_channel_failed",
        "system_cpu_overloaded",
        "system_memory_overloaded",
        "system_disk_overloaded",
    }
)
_BY_STATUS: dict[int, type[APIStatusError]] = {
    401: AuthenticationError,
    403: PermissionDeniedError,
    404: NotFoundError,
    413: RequestTooLargeError,
    429: RateLimitError,
}
_RETRYABLE_STATUS = frozenset({408, 429})


@dataclass(frozen=True, slots=True)
class Envelope:
    """What an error answer says, whatever its shape."""

    message: str
    type: str | None = None
    code: str | None = None
    param: str | None = None


def parse_envelope(body: bytes) -> Envelope | None:
    """The error in a body, or None when there is none (empty, HTML, plain text, or a result)."""
    return next(_envelopes(parse_object(body)), None)


def parse_object(body: bytes) -> dict[str, Any]:
    """The JSON object that the body is; an empty one when it is none."""
    try:
        content = json.loads(body)
    except (ValueError, RecursionError):
        return {}
    return cast(dict[str, Any], content) if isinstance(content, dict) else {}


def _envelopes(content: Mapping[str, Any]) -> Iterator[Envelope]:
    error = content.get("error")
    if isinstance(error, dict):
        given = cast(dict[str, Any], error)
        yield Envelope(
            _text(given.get("message")) or _text(given.get("code")) or _text(given.get("type")) or "unknown error",
            _text(given.get("type")) or None,
            _text(given.get("code")) or _text(content.get("code")) or None,
            _text(given.get("param")) or None,
        )
    elif isinstance(error, str) and error:
        message = _text(content.get("message")) or _text(error) or "unknown error"
        yield Envelope(message, None, _text(content.get("code")) or None)
    refused = content.get("success") is False
    # A wrapped result also has `code` and `message`: it says "success" (tasks) or true (usage).
    unhappy = "data" not in content or (not content["data"] and content.get("code") not in ("success", True, None))
    # An answer that has choices is paid for, whatever it says besides.
    unhappy = unhappy and not content.get("choices")
    for name in ("message", "msg", "detail"):
        if name in content and (refused or unhappy):
            code = content.get("code")
            yield Envelope(_text(content[name]) or "unknown error", None, None if code is True else _text(code) or None)
    if refused:
        yield Envelope("the gateway refused the request without saying why")


def _text(value: Any) -> str:
    if value is None or isinstance(value, bool):
        return ""
    try:
        text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
    except RecursionError:
        return "(nested too deeply to be shown)"
    return without_lone_surrogates(text.strip()[:_MESSAGE_LIMIT])


def without_lone_surrogates(text: str) -> str:
    """The text with U+FFFD for every half of a pair: JSON can escape one, but no encoding can hold it."""
    return text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")


def is_envelope(body: bytes) -> bool:
    """Whether a body is an error of the API's shape: `{"error": {"message", …}}` or the flat `{"code", "message"}`.

    In the flat one the code is a string: with a number, gRPC gateways write it.
    """
    content = parse_object(body)
    inner: Any = content.get("error")
    if isinstance(inner, dict):
        return isinstance(cast(dict[str, Any], inner).get("message"), str)
    return isinstance(content.get("code"), str) and isinstance(content.get("message"), str)


def decode_status_error(
    meta: ResponseMeta, body: bytes, *, retry_after: float | None = None, origin_signs: bool = False
) -> APIStatusError:
    """The exception for an answer whose status is an error.

    Args:
        meta: of the answer.
        body: of the answer.
        retry_after: seconds that it asked for.
        origin_signs: see `who_answered`.
    """
    envelope = parse_envelope(body) or Envelope(_describe(meta, body, is_signed(meta.headers)))
    return build_status_error(meta, envelope, body=body, retry_after=retry_after, origin_signs=origin_signs)


def decode_foreign_error(meta: ResponseMeta, body: bytes, *, retry_after: float | None = None) -> APIStatusError:
    """The exception for an error of a host that isn't the API. It says nothing of the key, the balance or a model.

    Args:
        meta: of the answer.
        body: of the answer.
        retry_after: seconds that it asked for.
    """
    status = meta.status_code or 0
    kind = RateLimitError if status == 429 else ServerError if status >= 500 else APIStatusError
    return kind(
        _excerpt(body) if body.strip() else "the answer has no message",
        meta=meta,
        retryable=_is_retryable(kind, status, None),
        retry_after=retry_after,
        raw_body=body[:BODY_KEPT],
    )


def build_status_error(
    meta: ResponseMeta,
    envelope: Envelope,
    *,
    body: bytes = b"",
    retry_after: float | None = None,
    origin_signs: bool = False,
) -> APIStatusError:
    """The exception for an envelope: by its code first, then by the status."""
    status = meta.status_code or 0
    answerer = who_answered(status, meta.headers, has_envelope=is_envelope(body), origin_signs=origin_signs)
    kind = _class_of(status, envelope.code)
    details: dict[str, Any] = {
        "meta": meta,
        "type": envelope.type,
        "code": envelope.code,
        "param": envelope.param,
        "retryable": _is_retryable(kind, status, envelope.code),
        "retry_after": retry_after,
        "maybe_accepted": not answerer.not_accepted,
        "answered_by": answerer.name or None,
        # With a good status it may be paid for, and holds more than the error.
        "raw_body": body if 200 <= status < 300 else body[:BODY_KEPT],
    }
    return kind(envelope.message, **details)


def _class_of(status: int, code: str | None) -> type[APIStatusError]:
    if code in _BY_CODE:
        return _BY_CODE[code]
    if code and code.startswith(_REFUSAL_PREFIX):
        return ContentRefusedError
    if status in _BY_STATUS:
        return _BY_STATUS[status]
    if status >= 500 or (status < 400 and code in _UPSTREAM_CODES):
        return ServerError
    return BadRequestError if status == 400 or status == 422 else APIStatusError


def _is_retryable(kind: type[APIStatusError], status: int, code: str | None) -> bool:
    if issubclass(kind, ServerError):
        return status >= 500 or code in _UPSTREAM_CODES
    return kind in (RateLimitError, APIStatusError) and status in _RETRYABLE_STATUS


def build_decode_error(meta: ResponseMeta, body: bytes, problem: str) -> ResponseDecodeError:
    """The exception for an answer that is neither a result nor an error of the API's."""
    if _is_html(meta, body):
        message = f"the answer is a web page, not the API's JSON: {_excerpt(body)}"
    elif not body:
        message = "the answer is empty"
    else:
        message = f"{problem}: {_excerpt(body)}"
    return ResponseDecodeError(message, meta=meta, raw_body=body, maybe_accepted=True)


def _describe(meta: ResponseMeta, body: bytes, signed: bool) -> str:
    if not body.strip():
        return "the gateway sent no message" if signed else "the answer has no message"
    if _is_html(meta, body):
        return f"a proxy in front of the gateway answered with a web page: {_excerpt(body)}"
    return _excerpt(body)


def _is_html(meta: ResponseMeta, body: bytes) -> bool:
    return "text/html" in meta.headers.get("content-type", "") or body[:256].lstrip().lower().startswith(
        (b"<!doctype", b"<html")
    )


def _excerpt(body: bytes) -> str:
    text = " ".join(body[: _SHOWN * 4].decode("utf-8", "replace").split())
    return repr(text if len(text) <= _SHOWN else text[:_SHOWN] + "…")
