"""Errors in both dialects: the documented one (wire 2.1) and the one that arrives (wire 2.2)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from ._exchange import Answer
from ._json import Json, dump

Dialect = Literal["gateway", "documented"]
Family = Literal["error", "flat", "api"]
"""Which body a route's own errors have in the gateway dialect: nested, flat (video tasks) or `success: false`."""


@dataclass(frozen=True)
class Case:
    """One way to be refused, as the documentation has it and as it arrives."""

    status: int
    type: str
    gateway_status: int
    gateway_code: str
    by_gate: bool = False
    """Refused before a route's own code runs, so the body is the gate's, whatever the route."""


CASES = {
    "invalid_key": Case(401, "authentication_error", 401, "", by_gate=True),
    "model_forbidden": Case(403, "permission_error", 403, "", by_gate=True),
    "malformed": Case(400, "invalid_request_error", 400, "", by_gate=True),
    "model_unknown": Case(404, "not_found_error", 503, "model_not_found", by_gate=True),
    "rate_limited": Case(429, "rate_limit_error", 429, "", by_gate=True),
    "too_large": Case(413, "invalid_request_error", 413, "read_request_body_failed", by_gate=True),
    "balance_short": Case(403, "permission_error", 403, "insufficient_user_quota"),
    # The gateway calls a bad chat or image request its own failure, and a bad video request the caller's.
    "invalid_relay": Case(400, "invalid_request_error", 500, "invalid_request"),
    "invalid_task": Case(400, "invalid_request_error", 400, "invalid_request"),
    "prompt_refused": Case(400, "invalid_request_error", 500, "sensitive_words_detected"),
    "task_unknown": Case(404, "not_found_error", 400, "task_not_exist"),
    "asset_unknown": Case(404, "not_found_error", 404, "not_found"),
    "task_unfinished": Case(400, "invalid_request_error", 400, "task_not_completed", by_gate=True),
}


class Refusal(Exception):
    """The request is refused: a case of `CASES` and a message for people."""

    def __init__(
        self,
        case: str,
        message: str,
        *,
        param: str = "",
        headers: list[tuple[str, str]] | None = None,
        empty: bool = False,
    ) -> None:
        super().__init__(message)
        self.case = CASES[case]
        self.message = message
        self.param = param
        self.headers = headers or []
        self.empty = empty


def render_refusal(refusal: Refusal, dialect: Dialect, family: Family, request_id: str) -> Answer:
    case = refusal.case
    if refusal.empty:
        return Answer(case.gateway_status, b"", content_type=None, headers=refusal.headers, code=case.gateway_code)
    if dialect == "documented":
        body: Json = {"error": {"message": refusal.message, "type": case.type}}
        return Answer(case.status, dump(body), headers=refusal.headers, code=case.type)
    message = f"{refusal.message} (request id: {request_id})"
    if family == "api":
        body = {"success": False, "message": refusal.message}
    elif case.by_gate:
        body = {"error": {"message": message, "type": "new_api_error", "code": case.gateway_code}}
    elif family == "flat":
        body = {"code": case.gateway_code, "message": refusal.message, "data": None}
    else:
        error = {"message": message, "type": "new_api_error", "param": refusal.param, "code": case.gateway_code}
        body = {"error": error}
    return Answer(case.gateway_status, dump(body), headers=refusal.headers, code=case.gateway_code)


def render_unknown_path(method: str, path: str, dialect: Dialect) -> Answer:
    body: Json = {"error": {"message": f"Invalid URL ({method} {path})", "type": "invalid_request_error"}}
    if dialect == "gateway":
        body["error"] |= {"param": "", "code": ""}
    return Answer(404, dump(body), code="invalid_url")


CONSOLE_PAGE = (
    b'<!doctype html><html lang="en"><head><meta charset="utf-8"><title>RelayDance</title></head>'
    b'<body><div id="root"></div><noscript>You need to enable JavaScript to run this app.</noscript></body></html>'
)


def render_console() -> Answer:
    """What a wrong base URL meets: the web console, with a 200."""
    return Answer(200, CONSOLE_PAGE, content_type="text/html; charset=utf-8", code="console", accepted=False)
