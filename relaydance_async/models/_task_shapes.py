"""The many shapes in which a video task arrives, made one.

The routes and upstreams behind the gateway (New API 1.0.0-rc.24) answer with:

    {"task_id", "status", "url", "format", "metadata"}                             documented
    {"code": "success", "data": {"id": 17, "task_id", "status", "result_url", …}}  /video/generations/{id}
    {"id", "object": "video", "status", "metadata": {"url"}, "error"}              /videos/{id}, and the submit
    {"id": "cgt-…", "status", "content": {"video_url"}}                            an upstream's webhook

The envelope's `data` has another `data` in it: the upstream's own record, such as Seedance's (`content`, `error`,
`usage`, `seed`, …), xAI's (`video`) or Kling's (`data.task_result.videos`).

Normalizing is idempotent, so that a dumped task reads back as itself.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, Literal

from ._lenient import address, between, inner, integer, is_object, number, text, unix_time

TaskStatus = Literal["submitted", "running", "succeeded", "failed"]

_WORDS: dict[TaskStatus, str] = {
    "submitted": "submitted queued pending not_start unknown preparing",
    "running": "running in_progress processing generating",
    "succeeded": "succeeded succeed success completed complete done finished ready",
    "failed": "failed fail failure error cancelled canceled expired timeout rejected aborted",
}
_STATUS: dict[str, TaskStatus] = {word: status for status, words in _WORDS.items() for word in words.split()}

_LONGEST_CLIP = 86_400.0
"""Seconds; a clip of more than a day is a mistake."""
_MOST_TOKENS = 10**15
_LONGEST_WORD = 200
"""Characters of a code or a resolution."""


def known_status(word: str) -> TaskStatus | None:
    """The documented word for a status; None for one never heard of."""
    return _STATUS.get(word.strip().lower().replace("-", "_").replace(" ", "_"))


def normalize_task(body: Mapping[str, Any]) -> dict[str, Any]:
    """The fields of `VideoTask` from any of the shapes; what it doesn't know is under `extra`."""
    fields = _unwrapped(body)
    word = text(fields.get("status"))
    # A dumped task has both, and its `raw_status` may be "": no word had come.
    raw_status = text(fields["raw_status"]) if isinstance(fields.get("raw_status"), str) else word
    status = _status(fields, word, raw_status)
    succeeded, ended = status == "succeeded", status in ("succeeded", "failed")
    task = {
        "task_id": _task_id(fields, wrapped=fields is not body),
        "status": status,
        "raw_status": raw_status,
        "progress": 100.0 if succeeded else _progress(fields),
        # Before success an address is a placeholder, and after a failure `result_url` is the failure's text.
        "url": next(_urls(fields), None) if succeeded else None,
        "last_frame_url": next(_last_frames(fields), None) if succeeded else None,
        "error": _failure(fields) if status == "failed" else None,
        "metadata": fields.get("metadata") if isinstance(fields.get("metadata"), dict) else None,
        "format": text(fields.get("format")) or None,
        "model": text(fields.get("model")) or None,
        "created_at": unix_time(fields.get("created_at")) or unix_time(fields.get("submit_time")),
        # The gateway sets it before completion.
        "completed_at": (unix_time(fields.get("completed_at")) or unix_time(fields.get("finish_time")))
        if ended
        else None,
        **_facts(fields),
    }
    return {**task, "extra": _extra(fields, task)}


def _unwrapped(body: Mapping[str, Any]) -> Mapping[str, Any]:
    data = body.get("data")
    if is_object(data) and "task_id" not in body and "status" not in body:
        return data
    return body


def _status(fields: Mapping[str, Any], word: str, raw_status: str) -> TaskStatus:
    if "raw_status" in fields and word in _WORDS:
        return known_status(word) or "running"  # a dumped task: it was read before
    known = known_status(raw_status or word)
    if known is not None:
        return known
    return _ended_by_what_came(fields) or ("running" if raw_status or word else "submitted")


def _ended_by_what_came(fields: Mapping[str, Any]) -> TaskStatus | None:
    """How a task ended whose word says nothing; None when it goes on, as far as is known."""
    whole = _progress(fields) == 100
    if whole and next(_urls(fields), None):
        return "succeeded"
    # Not `completed_at`, which the gateway sets before completion.
    finished = whole or unix_time(fields.get("finish_time")) is not None
    failure = _failure(fields) if finished else None
    return "failed" if failure and address(failure["message"]) is None else None


def _task_id(fields: Mapping[str, Any], *, wrapped: bool) -> Any:
    task_id = fields.get("task_id")
    if not task_id and not (wrapped and isinstance(fields.get("id"), int)):
        # Inside the envelope a numeric id is the gateway's database row.
        task_id = fields.get("id")
    return str(task_id) if isinstance(task_id, int) and not isinstance(task_id, bool) else task_id


def _progress(fields: Mapping[str, Any]) -> float | None:
    found = number(fields.get("progress"), "%")
    return None if found is None else min(max(found, 0.0), 100.0)


def _records(fields: Mapping[str, Any]) -> Iterator[Mapping[str, Any]]:
    """The task, and the upstream's own record of it, from the outside in."""
    found: Any = fields
    for _ in range(3):
        if is_object(found):
            yield found
            found = found.get("data")


def _urls(fields: Mapping[str, Any]) -> Iterator[str]:
    for record in _records(fields):
        for value in (
            record.get("url"),
            record.get("result_url"),
            record.get("video_url"),
            inner(record, "metadata", "url"),
            inner(record, "content", "video_url"),
            inner(record, "video", "url"),
            inner(record, "task_result", "videos", 0, "url"),
            record.get("fail_reason"),  # where older gateways put it
        ):
            if (url := address(value)) is not None:
                yield url


def _last_frames(fields: Mapping[str, Any]) -> Iterator[str]:
    for record in _records(fields):
        for value in (record.get("last_frame_url"), inner(record, "content", "last_frame_url")):
            if (url := address(value)) is not None:
                yield url


def _failure(fields: Mapping[str, Any]) -> dict[str, Any] | None:
    error = fields.get("error")
    code = next(_codes(fields), None)
    if is_object(error) and (text(error.get("message")) or _code(error.get("code"))):
        # A dumped failure may have "" for its message: only a code had come.
        message = error["message"] if isinstance(error.get("message"), str) else code
        return {**error, "message": text(message), "code": code}
    reason = next(_reasons(fields), "")
    return {"message": reason, "code": code} if reason or code else None


def _codes(fields: Mapping[str, Any]) -> Iterator[str]:
    for record in _records(fields):
        for value in (inner(record, "error", "code"), record.get("error_code")):
            if code := _code(value):
                yield code


def _code(value: Any) -> str:
    if isinstance(value, int) and not isinstance(value, bool):
        return str(value) if -_MOST_TOKENS < value < _MOST_TOKENS else ""
    return text(value, _LONGEST_WORD)


def _reasons(fields: Mapping[str, Any]) -> Iterator[str]:
    for value in (fields.get("error"), fields.get("fail_reason"), fields.get("result_url")):
        if reason := text(value):
            yield reason
    for record in _records(fields):
        for value in (inner(record, "error", "message"), record.get("task_status_msg")):
            if reason := text(value):
                yield reason


def _facts(fields: Mapping[str, Any]) -> dict[str, Any]:
    """What an upstream tells of the clip, wherever it comes first."""
    found: dict[str, Any] = {"duration": None, "seed": None, "resolution": None, "usage": None}
    for record in _records(fields):
        clip = inner(record, "video") or inner(record, "task_result", "videos", 0)
        for place in (record, clip, record.get("metadata")):
            if is_object(place):
                for name, value in _facts_in(place).items():
                    found[name] = value if found[name] is None else found[name]
    return found


def _facts_in(place: Mapping[str, Any]) -> dict[str, Any]:
    return {
        "duration": _seconds(place.get("duration")) or _seconds(place.get("seconds")),
        "seed": integer(place.get("seed"), -(2**63), 2**63 - 1),
        "resolution": text(place.get("resolution"), _LONGEST_WORD) or None,
        "usage": _usage(place.get("usage")),
    }


def _seconds(value: Any) -> float | None:
    return between(number(value, "s"), 0.001, _LONGEST_CLIP)


def _usage(value: Any) -> dict[str, int] | None:
    counts = ((name, integer(inner(value, name), 0, _MOST_TOKENS)) for name in ("completion_tokens", "total_tokens"))
    return {name: count for name, count in counts if count is not None} or None


def _extra(fields: Mapping[str, Any], task: Mapping[str, Any]) -> dict[str, Any]:
    """What came besides the task's fields. A task made by hand, or unpickled, may have some already."""
    own = fields.get("extra")
    others = {name: value for name, value in fields.items() if name not in task and name != "extra"}
    if "id" in others and others["id"] == task["task_id"]:
        del others["id"]
    return {**others, **(own if is_object(own) else {} if own is None else {"extra": own})}
