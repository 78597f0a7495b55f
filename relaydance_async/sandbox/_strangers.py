"""Answers of programs before the gateway, or in its place: their own headers and pages, never its mark."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import dataclass
from http import HTTPStatus
from typing import Literal

from ._json import Json, dump

Stranger = Literal["nginx", "cloudflare", "envoy", "alb", "haproxy", "caddy", "litellm"]

NGINX = "nginx/1.28.0"
HTML = "text/html"
HTML_UTF8 = "text/html; charset=UTF-8"

# nginx's own words where they differ from those of the RFC; the load balancer of AWS has them too.
NGINX_WORDS = {
    405: "Not Allowed",
    408: "Request Time-out",
    413: "Request Entity Too Large",
    503: "Service Temporarily Unavailable",
    504: "Gateway Time-out",
}
CLOUDFLARE_WORDS = {
    520: "Web server is returning an unknown error",
    521: "Web server is down",
    522: "Connection timed out",
    523: "Origin is unreachable",
    524: "A timeout occurred",
    525: "SSL handshake failed",
    526: "Invalid SSL certificate",
    530: "The origin has been unregistered from Argo Tunnel",
}
ENVOY_TEXTS = {
    408: "request timeout",
    413: "Payload Too Large",
    429: "local_rate_limited",
    502: "upstream connect error or disconnect/reset before headers. reset reason: protocol error",
    503: "upstream connect error or disconnect/reset before headers. reset reason: connection termination",
    504: "upstream request timeout",
}
HAPROXY_PAGES = {
    400: ("Bad request", "Your browser sent an invalid request."),
    403: ("Forbidden", "Request forbidden by administrative rules."),
    408: ("Request Time-out", "Your browser didn't send a complete request in time."),
    413: ("Payload Too Large", "The request entity exceeds the maximum allowed."),
    429: ("Too Many Requests", "You have sent too many requests in a given amount of time."),
    500: ("Internal Server Error", "An internal server error occurred."),
    502: ("Bad Gateway", "The server returned an invalid or incomplete response."),
    503: ("Service Unavailable", "No server is available to handle this request."),
    504: ("Gateway Time-out", "The server didn't respond in time."),
}
LITELLM_ERRORS = {
    401: ("AuthenticationError", "auth_error"),
    408: ("Timeout", None),
    429: ("RateLimitError", "throttling_error"),
    500: ("InternalServerError", None),
    503: ("ServiceUnavailableError", None),
    504: ("Timeout", None),
}


@dataclass(frozen=True)
class StrangersAnswer:
    """What a stranger says."""

    status: int
    body: bytes
    content_type: str | None
    headers: list[tuple[str, str]]


def build_stranger(name: Stranger, status: int | None, request_id: str) -> StrangersAnswer:
    """The answer of `name`, with the status that is its most usual one when none is given."""
    default, build = _STRANGERS[name]
    # Random to look at, and the same in each run.
    return build(status or default, hashlib.sha256(request_id.encode()).hexdigest())


def _nginx(status: int, mark: str) -> StrangersAnswer:
    headers = [("server", NGINX)]
    if status == 499 or status >= 520:
        # It knows no page for these.
        return StrangersAnswer(status, b"", None, headers)
    return StrangersAnswer(status, _nginx_page(status, NGINX), HTML, headers)


def _alb(status: int, mark: str) -> StrangersAnswer:
    return StrangersAnswer(status, _nginx_page(status, None), HTML, [("server", "awselb/2.0")])


def _nginx_page(status: int, footer: str | None) -> bytes:
    title = f"{status} {NGINX_WORDS.get(status) or _phrase(status)}"
    lines = [
        "<html>",
        f"<head><title>{title}</title></head>",
        "<body>",
        f"<center><h1>{title}</h1></center>",
        *([f"<hr><center>{footer}</center>"] if footer else []),
        "</body>",
        "</html>",
        "",
    ]
    return "\r\n".join(lines).encode()


def _cloudflare(status: int, mark: str) -> StrangersAnswer:
    ray = mark[:16]
    headers = [
        ("server", "cloudflare"),
        ("cf-ray", f"{ray}-FRA"),
        ("cf-cache-status", "DYNAMIC"),
        ("cache-control", "private, max-age=0, no-store, no-cache, must-revalidate, post-check=0, pre-check=0"),
        ("expires", "Thu, 01 Jan 1970 00:00:01 GMT"),
        ("referrer-policy", "same-origin"),
        ("x-frame-options", "SAMEORIGIN"),
    ]
    if status not in CLOUDFLARE_WORDS:
        return StrangersAnswer(status, _nginx_page(status, "cloudflare"), HTML, headers)
    words = CLOUDFLARE_WORDS[status]
    page = f"""<!DOCTYPE html>
<!--[if gt IE 8]><!--> <html class="no-js" lang="en-US"> <!--<![endif]-->
<head>
<title>relaydance.com | {status}: {words}</title>
<meta charset="UTF-8" />
<meta name="robots" content="noindex, nofollow" />
<link rel="stylesheet" id="cf_styles-css" href="/cdn-cgi/styles/main.css" />
</head>
<body>
<div id="cf-wrapper"><div id="cf-error-details" class="p-0">
<header><h1><span class="inline-block">{words}</span><span class="code-label">Error code {status}</span></h1>
<div>Visit <a href="https://www.cloudflare.com/5xx-error-landing?utm_source=errorcode_{status}">cloudflare.com</a>.</div>
</header>
<div class="cf-error-footer cf-wrapper"><p><span class="cf-footer-item">Cloudflare Ray ID: <strong>{ray}</strong></span>
<span class="cf-footer-item"><span>Performance &amp; security by</span> Cloudflare</span></p></div>
</div></div>
</body>
</html>
"""
    return StrangersAnswer(status, page.encode(), HTML_UTF8, headers)


def _envoy(status: int, mark: str) -> StrangersAnswer:
    text = ENVOY_TEXTS.get(status) or _phrase(status)
    return StrangersAnswer(status, text.encode(), "text/plain", [("server", "envoy")])


def _haproxy(status: int, mark: str) -> StrangersAnswer:
    words, text = HAPROXY_PAGES.get(status) or (_phrase(status), "")
    page = f"<html><body><h1>{status} {words}</h1>\n{text}\n</body></html>\n"
    # It names itself nowhere.
    return StrangersAnswer(status, page.encode(), HTML, [("cache-control", "no-cache")])


def _caddy(status: int, mark: str) -> StrangersAnswer:
    return StrangersAnswer(status, b"", None, [("server", "Caddy"), ("via", "1.1 Caddy")])


def _litellm(status: int, mark: str) -> StrangersAnswer:
    kind, type_ = LITELLM_ERRORS.get(status) or ("APIError", None)
    message = f"litellm.{kind}: {kind}: OpenAIException - {_phrase(status)}. LiteLLM Retried: 2 times"
    error: Json = {"message": message, "type": type_, "param": None, "code": str(status)}
    call_id = f"{mark[:8]}-{mark[8:12]}-4{mark[13:16]}-a{mark[17:20]}-{mark[20:32]}"
    headers = [
        ("server", "uvicorn"),
        ("x-litellm-call-id", call_id),
        ("x-litellm-version", "1.80.0"),
        ("x-litellm-model-id", mark),
        ("x-litellm-response-cost", "0"),
        ("x-litellm-attempted-retries", "2"),
        ("llm_provider-server", "uvicorn"),
    ]
    return StrangersAnswer(status, dump({"error": error}), "application/json", headers)


def _phrase(status: int) -> str:
    try:
        return HTTPStatus(status).phrase
    except ValueError:
        return "Unknown"


_STRANGERS: dict[Stranger, tuple[int, Callable[[int, str], StrangersAnswer]]] = {
    "nginx": (504, _nginx),
    "cloudflare": (524, _cloudflare),
    "envoy": (504, _envoy),
    "alb": (504, _alb),
    "haproxy": (504, _haproxy),
    "caddy": (502, _caddy),
    "litellm": (408, _litellm),
}
STRANGERS = tuple(_STRANGERS)
