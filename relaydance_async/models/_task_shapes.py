"""The many shapes in which a video task arrives, made one.

The routes and upstreams behind the gateway (New API 1.0.0-rc.24) answer with:

    {"task_id", "status", "url", "format", "metadata"}                             documented
    {"code": "success", "data": {"id": 17, "task_id", "status", "result_url", …}}  /video/generations/{id}
    {"id", "object": "video", "status", "metadata": {"url"}, "error"}              /videos/{id}, and the submit
    {"id": "cgt-…", "status", "content": {"video_url"}}                            an upstream's webhook

Normalizing is idempotent, so that a dumped task reads back as itself.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from typing import Any, Literal, TypeGuard

TaskStatus = Literal["submitted", "running", "succeeded", "failed"]

_WORDS: dict[TaskStatus, str] = {
    "submitted": "submitted queued pending not_start unknown",
    "running": "running in_progress processing",
    "succeeded": "succeeded success completed",
    "failed": "failed failure error cancelled canceled expired",
}
_STATUS: dict[str, TaskStatus] = {word: status for status, words in _WORDS.items() for word in words.split()}
_NAMES_KEPT_OUT = frozenset({"url", "progress", "error", "completed_at", "metadata"})


def is_object(value: object) -> TypeGuard[Mapping[str, Any]]:
    """Whether it is a JSON object."""
    return isinstance(value, Mapping)


def task_status(word: str) -> TaskStatus:
    """The documented word for a status; one never heard of is not terminal."""
    return _STATUS.get(word.strip().lower().replace("-", "_").replace(" ", "_"), "running" if word else "submitted")


def normalize_task(body: Mapping[str, Any]) -> dict[str, Any]:
    """The fields of `VideoTask` from any of the shapes; what it doesn't know is kept."""
    fields = _unwrapped(body)
    word = _text(fields.get("status"))
    # A dumped task has both, and its `raw_status` may be "": no word had come.
    raw_status = _text(fields["raw_status"]) if isinstance(fields.get("raw_status"), str) else word
    status = task_status(raw_status or word)
    ended = status in ("succeeded", "failed")
    return {
        **{name: value for name, value in fields.items() if name not in _NAMES_KEPT_OUT},
        "task_id": _task_id(fields, wrapped=fields is not body),
        "status": status,
        "raw_status": raw_status,
        "progress": 100.0 if status == "succeeded" else _progress(fields.get("progress")),
        # Before success an address is a placeholder, and after a failure `result_url` is the failure's text.
        "url": next(_urls(fields), None) if status == "succeeded" else None,
        "error": _failure(fields) if status == "failed" else None,
        "metadata": fields.get("metadata") if isinstance(fields.get("metadata"), dict) else None,
        # Dropped here, because below an envelope the path of a wrong one would not lead to it.
        "format": _text(fields.get("format")) or None,
        "model": _text(fields.get("model")) or None,
        "created_at": _time(fields.get("created_at")) or _time(fields.get("submit_time")),
        # The gateway sets it before completion.
        "completed_at": (_time(fields.get("completed_at")) or _time(fields.get("finish_time"))) if ended else None,
    }


def _unwrapped(body: Mapping[str, Any]) -> Mapping[str, Any]:
    inner = body.get("data")
    if is_object(inner) and "task_id" not in body and "status" not in body:
        return inner
    return body


def _task_id(fields: Mapping[str, Any], *, wrapped: bool) -> Any:
    task_id = fields.get("task_id")
    if not task_id and not (wrapped and isinstance(fields.get("id"), int)):
        # Inside the envelope a numeric id is the gateway's database row.
        task_id = fields.get("id")
    return str(task_id) if isinstance(task_id, int) and not isinstance(task_id, bool) else task_id


def _progress(value: Any) -> float | None:
    if isinstance(value, str):
        value = value.strip().removesuffix("%")
    try:
        number = math.nan if isinstance(value, bool) else float(value)
    except (TypeError, ValueError, OverflowError):
        return None
    return min(max(number, 0.0), 100.0) if math.isfinite(number) else None


def _urls(fields: Mapping[str, Any]) -> Iterator[str]:
    candidates = (
        fields.get("url"),
        fields.get("result_url"),
        fields.get("video_url"),
        _inner(fields, "metadata", "url"),
        _inner(fields, "content", "video_url"),
        _inner(fields, "data", "url"),
        _inner(fields, "data", "content", "video_url"),
    )
    for value in candidates:
        if isinstance(value, str) and value.lower().startswith(("https://", "http://")):
            yield value


def _failure(fields: Mapping[str, Any]) -> dict[str, Any] | None:
    error = fields.get("error")
    if is_object(error):
        message, code = _text(error.get("message")), error.get("code")
        if message or code:
            return {**error, "message": message or str(code), "code": None if code is None else str(code)}
    reasons = (error, fields.get("fail_reason"), fields.get("result_url"), _inner(fields, "data", "error", "message"))
    reason = next((_text(reason) for reason in reasons if _text(reason)), "")
    return {"message": reason} if reason else None


def _inner(fields: Mapping[str, Any], *path: str) -> Any:
    value: Any = fields
    for name in path:
        if not is_object(value):
            return None
        value = value.get(name)
    return value


def _text(value: Any) -> str:
    return value.strip() if isinstance(value, str) else ""


def _time(value: Any) -> int | None:
    if isinstance(value, int | float) and not isinstance(value, bool) and 0 < value < 1e15:
        return int(value)
    return None
