"""How a task looks on each route and in each dialect (wire 3), traps included."""

from __future__ import annotations

from dataclasses import dataclass

from ._dialects import Dialect
from ._json import Json, is_whole
from ._tasks import Phase, Task

Words = dict[Phase, str]

FORMAT = "mp4"
FRAMES = 24
"""Per second."""
SIZES = {"480p": (864, 480), "720p": (1280, 720), "1080p": (1920, 1080), "4k": (3840, 2160)}
UPSTREAM_WORDS: Words = {"queued": "queued", "running": "running", "done": "succeeded", "failed": "failed"}
DOCUMENTED_WORDS: Words = {**UPSTREAM_WORDS, "queued": "submitted"}
WRAPPED_WORDS: Words = {"queued": "", "running": "IN_PROGRESS", "done": "SUCCESS", "failed": "FAILURE"}
VIDEO_WORDS: Words = {"queued": "", "running": "in_progress", "done": "completed", "failed": "failed"}

# Right after a submit the gateway's own words vary, and some tasks are "unknown" for a while.
WRAPPED_QUEUED = ("NOT_START", "UNKNOWN", "SUBMITTED", "QUEUED")
VIDEO_QUEUED = ("queued", "unknown")

# The database number has nothing to do with the task id; an offset keeps a test from mistaking it for the count.
FIRST_ROW = 16


@dataclass(frozen=True)
class Links:
    """Where a task's results are."""

    clip: str
    last_frame: str | None = None
    """None unless the caller asked for it."""


def build_submit_answer(task: Task, dialect: Dialect) -> Json:
    if dialect == "documented":
        word = (task.script.words or {}).get("submit") or _word(task, "queued", DOCUMENTED_WORDS)
        return {"task_id": task.task_id, "status": word}
    return {
        "id": task.task_id,
        "task_id": task.task_id,
        "object": "video",
        "model": task.model,
        "status": (task.script.words or {}).get("submit", "queued"),
        "progress": 0,
        "created_at": int(task.created),
    }


def build_fetch_answer(task: Task, dialect: Dialect, now: float, links: Links) -> Json:
    """GET /v1/video/generations/{task_id}."""
    if dialect == "documented":
        return build_documented(task, now, links)
    if task.script.shape == "upstream":
        return build_upstream_envelope(task, now, links)
    return build_wrapped(task, now, links)


def build_documented(task: Task, now: float, links: Links) -> Json:
    phase = task.phase(now)
    body: Json = {"task_id": task.task_id, "status": _word(task, phase, DOCUMENTED_WORDS), "format": FORMAT}
    if phase == "done":
        body["url"] = links.clip
    if phase == "failed":
        code = {} if task.script.code is None else {"code": task.script.code}
        body["error"] = {"message": task.script.reason, **code}
    body["metadata"] = {"duration": task.seconds, "ratio": task.metadata.get("ratio", "16:9")}
    return body


def build_wrapped(task: Task, now: float, links: Links) -> Json:
    """The gateway's own record of the task (wire 3.2, first row)."""
    phase = task.phase(now)
    reason = task.script.reason if phase == "failed" else ""
    data: Json = {
        "id": FIRST_ROW + task.n,
        "created_at": int(task.created),
        "updated_at": int(task.updated(now)),
        "task_id": task.task_id,
        "platform": "54",
        "action": "generate",
        "status": _word(task, phase, {**WRAPPED_WORDS, "queued": WRAPPED_QUEUED[task.n % len(WRAPPED_QUEUED)]}),
        "fail_reason": reason,
        # The column is reused: after a failure it holds the failure's text.
        "result_url": links.clip if phase == "done" else reason,
        "submit_time": int(task.created),
        "start_time": int(task.starts) if now >= task.starts else 0,
        "finish_time": int(task.ends) if now >= task.ends else 0,
        "progress": f"{task.progress(now)}%",
        "data": build_upstream_task(task, now, links),
    }
    if task.script.shape == "older":
        data["fail_reason"] = data.pop("result_url")
    return {"code": "success", "message": "", "data": data}


def build_upstream_envelope(task: Task, now: float, links: Links) -> Json:
    """What other upstreams make of the same route (wire 3.2, second row)."""
    phase = task.phase(now)
    data: Json = {
        "task_id": task.task_id,
        "status": _word(task, phase, UPSTREAM_WORDS),
        "url": links.clip if phase == "done" else "",
        "format": FORMAT,
        "metadata": None,
        "error": None,
    }
    if phase == "failed" and task.script.reason:
        data["error"] = {"code": task.script.code or 500, "message": task.script.reason}
    return {"code": "success", "message": "", "data": data}


def build_upstream_task(task: Task, now: float, links: Links) -> Json:
    """The upstream's own record; also what its webhooks send."""
    phase = task.phase(now)
    body: Json = {
        "id": task.upstream_id,
        "model": task.model,
        "status": UPSTREAM_WORDS[phase],
        "created_at": int(task.created),
        "updated_at": int(task.updated(now)),
    }
    if phase == "done":
        body["content"] = {"video_url": links.clip}
        if links.last_frame is not None:
            body["content"]["last_frame_url"] = links.last_frame
        body |= build_details(task)
    if phase == "failed":
        body["error"] = {"code": task.script.code or "InternalServiceError", "message": task.script.reason}
    return body | dict(task.script.upstream)


def build_details(task: Task) -> Json:
    """What the upstream tells of a clip that it has made."""
    resolution, ratio = str(task.metadata.get("resolution", "720p")), str(task.metadata.get("ratio", "16:9"))
    seed, seconds = task.metadata.get("seed"), int(task.seconds)
    width, height = SIZES.get(resolution, SIZES["720p"])
    tokens = width * height * FRAMES * seconds // 1024
    return {
        "seed": seed if seed is not None and is_whole(seed) and seed >= 0 else task.n * 7919,
        "resolution": resolution,
        "ratio": ratio,
        "duration": seconds,
        "framespersecond": FRAMES,
        "usage": {"completion_tokens": tokens, "total_tokens": tokens},
    }


def build_video(task: Task, now: float, links: Links) -> Json:
    """GET /v1/videos/{id}."""
    phase = task.phase(now)
    reason = task.script.reason if phase == "failed" else ""
    body: Json = {
        "id": task.task_id,
        "task_id": task.task_id,
        "object": "video",
        "model": task.model,
        "status": _word(task, phase, {**VIDEO_WORDS, "queued": VIDEO_QUEUED[task.n % len(VIDEO_QUEUED)]}),
        "progress": task.progress(now),
        "created_at": int(task.created),
        # When the record last changed, whatever its name says: it is there before completion.
        "completed_at": int(task.updated(now)),
        "metadata": {"url": links.clip if phase == "done" else reason},
    }
    if reason:
        body["error"] = {"message": reason, "code": task.script.code or "task_failed"}
    return body


def _word(task: Task, phase: Phase, words: Words) -> str:
    own = task.script.words or {}
    return own.get(phase) or words[phase]
