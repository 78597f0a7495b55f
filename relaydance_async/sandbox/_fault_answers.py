"""The answers that faults give instead of the real one: every body of wire 2.2, and a few worse ones."""

from __future__ import annotations

from ._dialects import Dialect, Family
from ._exchange import Answer
from ._faults import BODY_KINDS, Fault
from ._json import Json, dump
from ._limits import retry_after_headers
from ._strangers import Stranger, build_stranger

HTML = "text/html; charset=utf-8"
TEXT = "text/plain; charset=utf-8"

DOCUMENTED_TYPES = {
    400: "invalid_request_error",
    401: "authentication_error",
    403: "permission_error",
    404: "not_found_error",
    429: "rate_limit_error",
}


def build_fault_answer(fault: Fault, dialect: Dialect, family: Family, request_id: str) -> Answer:
    """The answer of a fault that replaces the real one."""
    if fault.stranger is not None:
        answer = _of_stranger(fault, fault.stranger, dialect, family, request_id)
    elif fault.redirect_to is not None:
        answer = Answer(fault.status or 307, b"", content_type=HTML)
        answer.headers.append(("location", fault.redirect_to))
    elif fault.gzip_garbage:
        answer = Answer(fault.status or 200, b"\x1f\x8b\x08\x00 this is not gzip at all")
        answer.headers.append(("content-encoding", "gzip"))
    else:
        body, content_type = _body(fault, dialect, family, request_id)
        default = 200 if fault.body != "auto" or fault.endless_body else 500
        answer = Answer(fault.status or default, body, content_type=content_type)
    if fault.content_type is not None:
        answer.content_type = fault.content_type
    # A relay passes its provider's header on under a name of its own.
    prefix = "llm_provider-" if fault.stranger == "litellm" else ""
    answer.headers += [(prefix + name, value) for name, value in retry_after_headers(fault.retry_after, 1.0)]
    answer.code = fault.code or ""
    answer.accepted = False
    return answer


def _of_stranger(fault: Fault, stranger: Stranger, dialect: Dialect, family: Family, request_id: str) -> Answer:
    said = build_stranger(stranger, fault.status, request_id)
    answer = Answer(said.status, said.body, content_type=said.content_type, headers=list(said.headers))
    if fault.redirect_to is not None:
        answer.headers.append(("location", fault.redirect_to))
    if fault.body != "auto":
        answer.body, answer.content_type = _body(fault, dialect, family, request_id)
    return answer


def _body(fault: Fault, dialect: Dialect, family: Family, request_id: str) -> tuple[bytes, str | None]:
    kind = fault.body
    if isinstance(kind, bytes):
        return kind, "application/octet-stream"
    if kind not in BODY_KINDS:
        is_json = kind.lstrip()[:1] in ("{", "[", '"')
        return kind.encode(), "application/json" if is_json else TEXT
    message = fault.message if fault.message is not None else "the sandbox was told to fail here"
    if kind == "empty":
        return b"", None
    if kind == "text":
        return message.encode(), TEXT
    if kind == "html":
        status = fault.status or 200
        page = f"<html><head><title>{status}</title></head><body><h1>{status} {message}</h1></body></html>"
        return page.encode(), HTML
    body = _json_body(kind, fault, message, dialect, family, request_id)
    if kind == "truncated":
        return dump(body)[:-7], "application/json"
    return dump(body), "text/event-stream" if kind == "sse" else "application/json"


def _json_body(kind: str, fault: Fault, message: str, dialect: Dialect, family: Family, request_id: str) -> Json:
    code = fault.code if fault.code is not None else ""
    if kind == "auto":
        if dialect == "documented":
            type_ = DOCUMENTED_TYPES.get(fault.status or 500, "api_error")
            error = {"message": message, "type": type_}
            return {"error": error | ({"code": code} if code else {})}
        kind = family
    by_kind: dict[str, Json] = {
        "flat": {"code": code or "fail_to_fetch_task", "message": message, "data": None},
        "api": {"success": False, "message": message},
        "error_string": {"error": message},
        "message": {"message": message},
        "msg": {"msg": message},
        "detail": {"detail": message},
    }
    error = {"message": f"{message} (request id: {request_id})", "type": "new_api_error", "code": code}
    return by_kind.get(kind, {"error": error})


def build_error_event(fault: Fault) -> bytes:
    """The event that ends a stream when the upstream fails in the middle."""
    message = fault.message if fault.message is not None else "the upstream broke off"
    error = {"message": message, "type": "upstream_error", "param": "", "code": fault.code or "bad_response"}
    return b"data: " + dump({"error": error}) + b"\n\n"
