"""Bytes into documents like those that arrive: known shapes, with odd values, names and syntax where the bytes say so.

A fuzzer's plain bytes are seldom JSON. Here every input is close to one, so that it gets past the parser and into what
decides about fields, types and nesting.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any, TypeVar, cast

T = TypeVar("T")

ERRORS: list[Any] = [
    {"error": {"message": "no", "type": "new_api_error", "code": ""}},
    {"error": {"message": "no", "type": "t", "param": "seconds", "code": 503, "metadata": {"a": [1]}}},
    {"code": "task_not_exist", "message": "no such task", "data": None},
    {"success": False, "message": "no"},
    {"error": "a text"},
    {"msg": "no", "code": "model_not_found"},
    {"detail": [{"loc": ["body", "model"], "msg": "field required"}]},
]
UPSTREAM: dict[str, Any] = {
    "id": "cgt-1",
    "model": "m",
    "status": "succeeded",
    "content": {"video_url": "https://cdn.example/a.mp4"},
    "error": {"code": "InternalServiceError", "message": "no"},
}
TASKS: list[Any] = [
    {"task_id": "t1", "status": "succeeded", "url": "https://cdn.example/a.mp4", "format": "mp4", "metadata": {"a": 1}},
    {"id": "t1", "task_id": "t1", "object": "video", "model": "m", "status": "queued", "progress": 0, "created_at": 17},
    {
        "code": "success",
        "message": "",
        "data": {
            "id": 17,
            "task_id": "t1",
            "status": "FAILURE",
            "fail_reason": "no",
            "result_url": "no",
            "progress": "50%",
            "submit_time": 1700000000,
            "finish_time": 1700000009,
            "data": UPSTREAM,
        },
    },
    {
        "code": "success",
        "data": {"task_id": "t1", "status": "failed", "url": "", "metadata": None, "error": {"code": 5}},
    },
    {
        "id": "t1",
        "object": "video",
        "status": "completed",
        "progress": 100,
        "completed_at": 1700000009,
        "metadata": {"url": "https://cdn.example/a.mp4"},
        "error": {"message": "no", "code": "task_failed"},
    },
    UPSTREAM,
]
MESSAGE: dict[str, Any] = {
    "role": "assistant",
    "content": "Hi",
    "refusal": None,
    "reasoning_content": "because",
    "reasoning": "so",
    "tool_calls": [{"index": 0, "id": "c1", "type": "function", "function": {"name": "f", "arguments": "{}"}}],
}
USAGE: dict[str, Any] = {"prompt_tokens": 3, "completion_tokens": 4, "total_tokens": 7}
CHUNKS: list[Any] = [
    {"id": "c", "created": 17, "model": "m", "choices": [{"index": 0, "delta": MESSAGE, "finish_reason": None}]},
    {"id": "c", "choices": [{"index": 0, "delta": {}, "finish_reason": "stop"}], "usage": None},
    {"id": "c", "choices": [], "usage": USAGE},
    {"error": {"message": "broke", "code": "bad_response"}},
]
RESULTS: list[Any] = [
    {
        "id": "c",
        "object": "chat.completion",
        "created": 17,
        "model": "m",
        "choices": [{"index": 0, "message": MESSAGE, "finish_reason": "stop"}],
        "usage": USAGE,
    },
    {"created": 17, "data": [{"url": "https://cdn.example/a.png", "b64_json": "", "revised_prompt": "a"}]},
    {"object": "list", "data": [{"id": "m", "created": 17, "supported_endpoint_types": ["chat"]}], "success": True},
    {"id": "file_1", "url": "https://cdn.example/a.png"},
    {"code": True, "message": "ok", "data": {"name": "k", "total_granted": 5, "total_used": 1, "total_available": 4}},
    {"hard_limit_usd": 5.5},
    {"total_usage": 250.0},
]

NAMES = sorted(
    {name for shape in [*ERRORS, *TASKS, *CHUNKS, *RESULTS] for name in shape} | {"__class__", "model_dump", ""}
)
ODD = [
    *["null", "true", "false", "0", "-1", "1.5", "1e999", "-1e999", "1e-999", "NaN", "Infinity", "-Infinity"],
    *["9" * 400, "9" * 4301, "18446744073709551616", "1700000000000", '""', '" "', '"succeeded"', '"\\ud800"'],
    *[
        '"\\u0000"',
        '"\xff"',
        '"inf"',
        '"nan"',
        '"1_0%"',
        '"50%"',
        '"success"',
        '"http://"',
        '"https://[::1"',
        "[]",
        "{}",
    ],
    *["[" * 150 + "]" * 150, '{"a":' * 150 + "1" + "}" * 150, "[" * 2000, '"' + "x" * 3000 + '"', "01", "'a'", ""],
    *['{"message": "a", "message": {"message": 1}}', '{"error": {"error": "a"}}', "[null, 1, {}]", '"invalid_request"'],
]

ODD_VALUES: list[Any] = [
    *[None, True, False, 0, -1, 1.5, 1e300, float("nan"), float("-inf"), 10**400, 2**64, "", "a", "12", "1.5", "nan"],
    *[[], {}, [None], [[]], [{}], {"a": None}, [1, "a", {"text": "b"}], {"type": "text", "text": "b"}, "\ud800", "\0"],
    *[{"error": "a"}, [{"message": {"content": "b"}}], {"0": {}}, "9" * 4301, {"": {"": [{"": "x"}]}}],
]
"""JSON values for places where others belong."""


class Draw:
    """Takes decisions from bytes; when they are used up, the plainest one."""

    def __init__(self, data: bytes) -> None:
        self._data = data
        self._at = 0

    def byte(self) -> int:
        """0 to 255; 0 at the end."""
        self._at += 1
        return self._data[self._at - 1] if self._at <= len(self._data) else 0

    def pick(self, items: Sequence[T]) -> T:
        """One of them."""
        return items[self.byte() % len(items)]

    def take(self, most: int) -> bytes:
        """Up to that many bytes as they are."""
        start, self._at = self._at, self._at + most
        return self._data[start : self._at]

    def rest(self) -> bytes:
        """All that is left."""
        return self.take(len(self._data))


def build_document(draw: Draw, shapes: Sequence[Any]) -> bytes:
    """One of the shapes, altered as the bytes say, or the bytes themselves."""
    how = draw.byte()
    if how >= 192:
        return draw.rest()
    text = _write(draw.pick(shapes), draw)
    if how >= 184:
        return text.encode(draw.pick(("utf-8-sig", "utf-16", "utf-32")), "surrogatepass")
    body = text.encode("utf-8", "surrogatepass")
    return body[: -1 - draw.byte()] if how >= 176 else body


def _write(value: Any, draw: Draw) -> str:
    choice = draw.byte()
    if choice >= 252:
        return draw.take(6).decode("latin-1")
    if choice >= 216:
        return draw.pick(ODD)
    if choice >= 212:
        return json.dumps(draw.pick((*TASKS, *ERRORS, *CHUNKS)))
    if choice >= 208:
        return f"[{_write(value, draw)}, {_write(value, draw)}]"
    if isinstance(value, dict):
        return _write_object(cast(dict[str, Any], value), draw)
    if isinstance(value, list):
        items = cast(Sequence[Any], value)
        return f"[{', '.join(_write(item, draw) for item in items)}]"
    return json.dumps(value)


def _write_object(value: dict[str, Any], draw: Draw) -> str:
    how = draw.byte()
    members = [(name, _write(item, draw)) for name, item in value.items()]
    if how & 1 and members:
        members.remove(draw.pick(members))
    if how & 2:
        members.append((draw.pick(NAMES), draw.pick(ODD)))
    if how & 4 and members:
        members.append((draw.pick(members)[0], draw.pick(ODD)))
    return "{" + ", ".join(f"{json.dumps(name)}: {text}" for name, text in members) + "}"
