"""The result host: clips, images and files on an origin of their own, with ranges."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from urllib.parse import unquote
from xml.sax.saxutils import escape

from starlette.types import Receive, Scope, Send

from ._clip import clip_length, clip_pieces
from ._delivery import Delivery
from ._exchange import Answer, BodyTooLargeError, ClientGoneError, Exchange
from ._fault_answers import build_fault_answer
from ._images import build_png
from ._signing import why_closed
from ._state import State

PATHS = {
    "CDN /clips/{name}": re.compile(r"/clips/([^/]+)\.mp4"),
    "CDN /images/{name}": re.compile(r"/images/([^/]+)\.png"),
    "CDN /frames/{name}": re.compile(r"/frames/([^/]+)\.png"),
    "CDN /files/{id}/{name}": re.compile(r"/files/([^/]+)/[^/]+"),
    "CDN /uploads/{name}": re.compile(r"/uploads/([^/]+)"),
}
UPLOADS = "CDN /uploads/{name}"
SIGNED = ("CDN /clips/{name}", "CDN /frames/{name}")
RANGE = re.compile(r"bytes=(\d*)-(\d*)")
MODIFIED = "Fri, 07 Aug 2026 00:00:00 GMT"


@dataclass(frozen=True)
class Resource:
    """Something to serve."""

    content_type: str
    length: int
    etag: str
    pieces: Callable[[int, int], Iterator[bytes]]


class CdnApp:
    """The ASGI app of the result host's port."""

    def __init__(self, state: State, delivery: Delivery) -> None:
        self._state = state
        self._delivery = delivery

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            return
        exchange = Exchange(scope, receive, send, self._state.next_request_id())
        try:
            await exchange.read_body(self._state.max_body_bytes)
            await self._serve(exchange)
        except (ClientGoneError, BodyTooLargeError):
            return

    async def _serve(self, exchange: Exchange) -> None:
        if b"authorization" in exchange.headers:
            self._state.ledger.record_cdn_authorization()
        template, name = _match(exchange.path)
        fault = self._state.faults.choose(template)
        if fault is not None and fault.replaces_answer:
            answer = build_fault_answer(fault, self._state.dialect, "error", exchange.request_id)
        elif exchange.method == "PUT" and template == UPLOADS:
            answer = self._take(name, exchange)
        elif exchange.method not in ("GET", "HEAD"):
            answer = Answer(405, b"", content_type=None, headers=[("allow", "GET, HEAD")], accepted=False)
        else:
            resource = self._find(template, name)
            closed = self._why_closed(template, exchange)
            if resource is None:
                answer = _store_error(404, {"Code": "NoSuchKey"})
            elif closed is not None:
                answer = _store_error(403, {**closed, "RequestId": exchange.request_id})
            else:
                answer = build_answer(resource, exchange)
        if template in SIGNED:
            answer.task_id = name
        self._state.record(exchange, template, answer, fault)
        common = [] if fault is not None and fault.stranger is not None else [("x-cache", "Hit from sandbox")]
        await self._delivery.send(exchange, answer, fault, common)

    def _why_closed(self, template: str, exchange: Exchange) -> dict[str, str] | None:
        if template not in SIGNED or self._state.result_seconds is None:
            return None
        return why_closed(exchange.path, exchange.query, self._state.clock.now())

    def _take(self, name: str, exchange: Exchange) -> Answer:
        """A file for the assets' store, at an address that was signed for it."""
        closed = why_closed(exchange.path, exchange.query, self._state.clock.now())
        if closed is not None:
            return _store_error(403, closed)
        if hashlib.md5(exchange.body, usedforsecurity=False).hexdigest() != name.partition(".")[0]:
            return _store_error(400, {"Code": "BadDigest"})
        self._state.uploads[name] = exchange.body_sha256 or ""
        return Answer(200, b"", content_type=None, headers=[("etag", f'"{name}"')])

    def _find(self, template: str, name: str) -> Resource | None:
        if template == "CDN /clips/{name}":
            return self._find_clip(name)
        if template == "CDN /frames/{name}":
            return self._find_frame(name)
        if template == "CDN /images/{name}" and name in self._state.images:
            return _picture(name)
        stored = self._state.files.find(name) if template == "CDN /files/{id}/{name}" else None
        if stored is None:
            return None
        return Resource(stored.content_type, stored.size, f'"{stored.sha256[:32]}"', stored.pieces)

    def _is_done(self, task_id: str) -> bool:
        task = self._state.tasks.any_with_id(task_id)
        return task is not None and task.phase(self._state.clock.now()) == "done"

    def _find_frame(self, task_id: str) -> Resource | None:
        return _picture(f"{task_id}:last_frame") if self._is_done(task_id) else None

    def _find_clip(self, task_id: str) -> Resource | None:
        if not self._is_done(task_id):
            return None
        size = self._state.clip_bytes
        length = clip_length(task_id, size)
        return Resource(
            "video/mp4", length, _etag(task_id, length), lambda start, end: clip_pieces(task_id, size, start, end)
        )


def _match(path: str) -> tuple[str, str]:
    for template, pattern in PATHS.items():
        if found := pattern.fullmatch(path):
            return template, unquote(found[1])
    return "CDN UNKNOWN", ""


def _picture(name: str) -> Resource:
    data = build_png(name)
    return Resource("image/png", len(data), _etag(name, len(data)), lambda start, end: iter((data[start:end],)))


def _etag(name: str, length: int) -> str:
    return f'"{hashlib.sha256(f"{name}:{length}".encode()).hexdigest()[:32]}"'


def _store_error(status: int, fields: dict[str, str]) -> Answer:
    """As S3 and its likes say it."""
    inner = "".join(f"<{name}>{escape(value)}</{name}>" for name, value in fields.items())
    body = f'<?xml version="1.0" encoding="UTF-8"?>\n<Error>{inner}</Error>'.encode()
    return Answer(status, body, content_type="application/xml", code=fields["Code"], accepted=False)


def build_answer(resource: Resource, exchange: Exchange) -> Answer:
    """200, 206, 304 or 416, as RFC 9110 has it for one range."""
    headers = [("etag", resource.etag), ("last-modified", MODIFIED), ("accept-ranges", "bytes")]
    if exchange.header(b"if-none-match") == resource.etag:
        return Answer(304, b"", content_type=None, headers=headers)
    start, end, status = 0, resource.length, 200
    wanted = RANGE.fullmatch(exchange.header(b"range").strip())
    validator = exchange.header(b"if-range")
    if wanted is not None and validator in ("", resource.etag, MODIFIED) and (wanted[1] or wanted[2]):
        span = _span(wanted[1], wanted[2], resource.length)
        if span is None:
            headers.append(("content-range", f"bytes */{resource.length}"))
            return Answer(416, b"", content_type=None, headers=headers, accepted=False)
        start, end = span
        status = 206
        headers.append(("content-range", f"bytes {start}-{end - 1}/{resource.length}"))
    return Answer(
        status,
        content_type=resource.content_type,
        headers=headers,
        pieces=lambda: resource.pieces(start, end),
        length=end - start,
    )


def _span(first: str, last: str, length: int) -> tuple[int, int] | None:
    """Start and end of the range, the end not included; None when nothing of it exists."""
    if not first:
        wanted = min(int(last), length)
        return (length - wanted, length) if wanted else None
    start = int(first)
    end = min(int(last), length - 1) + 1 if last else length
    return (start, end) if start < length and start < end else None
