"""Video routes: submit, fetch, and the result through the API."""

from __future__ import annotations

from urllib.parse import urlsplit

from ._catalog import CLIP_UNITS
from ._clip import clip_length, clip_pieces
from ._dialects import Refusal
from ._exchange import Answer, Exchange
from ._json import Json, as_list, as_object, dump
from ._requests import parse_object, refuse_sensitive, require_model
from ._signing import sign
from ._state import State
from ._task_shapes import Links, build_fetch_answer, build_submit_answer, build_video
from ._tasks import Task

LIMITS = {"image_url": 9, "video_url": 3, "audio_url": 3}
ROLES = {
    "image_url": {"reference_image", "first_frame", "last_frame"},
    "video_url": {"reference_video"},
    "audio_url": {"reference_audio"},
}
SCHEMES = {"https", "http", "asset"}


async def submit_video(state: State, exchange: Exchange) -> Answer:
    return answer_video(state, exchange, parse_object(exchange))


def answer_video(state: State, exchange: Exchange, body: Json) -> Answer:
    model = require_model(body)
    state.check_model(exchange, model, "video")
    prompt = body.get("prompt")
    if not isinstance(prompt, str) or not prompt:
        raise Refusal("invalid_task", "prompt is required", param="prompt")
    check_seconds(body)
    metadata = as_object(body.get("metadata"))
    if metadata is not body.get("metadata") and body.get("metadata") is not None:
        raise Refusal("invalid_task", "metadata must be an object", param="metadata")
    check_references(metadata)
    refuse_sensitive(prompt)
    state.charge(exchange, CLIP_UNITS)
    account = state.account_of(exchange).name
    task = state.tasks.submit(exchange.key, account, body, metadata, CLIP_UNITS, exchange.request_id)
    if state.wake is not None:
        state.wake.set()
    answer = build_submit_answer(task, state.dialect)
    return Answer(200, dump(answer), task_id=task.task_id, units=CLIP_UNITS)


def check_seconds(body: Json) -> None:
    seconds = body.get("seconds")
    if seconds is None:
        return
    if not isinstance(seconds, str):
        message = "json: cannot unmarshal number into Go struct field TaskSubmitReq.seconds of type string"
        raise Refusal("invalid_task", message, param="seconds")
    if not seconds.isdigit() or not 1 <= int(seconds) <= 15:
        raise Refusal("invalid_task", "seconds must be a whole number up to 15", param="seconds")


def check_references(metadata: Json) -> None:
    """The documented limits: 9 images, 3 videos, 3 audio, and frames or references, not both."""
    counts = dict.fromkeys(LIMITS, 0)
    roles: list[str] = []
    for value in as_list(metadata.get("content")):
        item = as_object(value)
        kind = item.get("type")
        if kind == "text":
            continue
        if kind not in LIMITS:
            raise Refusal("invalid_task", f"content type {kind!r} is not supported", param="metadata.content")
        role = item.get("role")
        if role is not None and role not in ROLES[kind]:
            raise Refusal("invalid_task", f"role {role!r} does not fit {kind}", param="metadata.content")
        url = as_object(item.get(kind)).get("url")
        if not isinstance(url, str) or urlsplit(url).scheme not in SCHEMES:
            raise Refusal("invalid_task", f"{kind}.url must be an https or asset URL", param="metadata.content")
        roles.append(role or "")
        if role not in ("first_frame", "last_frame"):
            counts[kind] += 1
    for kind, most in LIMITS.items():
        if counts[kind] > most:
            raise Refusal("invalid_task", f"at most {most} {kind} items are allowed", param="metadata.content")
    check_frames(roles)


def check_frames(roles: list[str]) -> None:
    frames = [role for role in roles if role in ("first_frame", "last_frame")]
    if frames and "reference_image" in roles:
        message = "first_frame and last_frame cannot be combined with reference images"
        raise Refusal("invalid_task", message, param="metadata.content")
    if len(frames) != len(set(frames)):
        raise Refusal("invalid_task", "only one first_frame and one last_frame", param="metadata.content")


async def fetch_task(state: State, exchange: Exchange) -> Answer:
    task = find_task(state, exchange)
    body = build_fetch_answer(task, state.dialect, state.clock.now(), links_of(state, task))
    return Answer(200, dump(body), task_id=task.task_id)


async def fetch_video(state: State, exchange: Exchange) -> Answer:
    task = find_task(state, exchange)
    return Answer(200, dump(build_video(task, state.clock.now(), links_of(state, task))), task_id=task.task_id)


async def fetch_content(state: State, exchange: Exchange) -> Answer:
    """The clip through the API: with the key, without ranges."""
    task = find_task(state, exchange)
    phase = task.phase(state.clock.now())
    if phase != "done":
        raise Refusal("task_unfinished", f"Task is not completed yet, current status: {phase}")
    length = clip_length(task.task_id, state.clip_bytes)
    return Answer(
        200,
        content_type="video/mp4",
        headers=[("cache-control", "public, max-age=86400")],
        pieces=lambda: clip_pieces(task.task_id, state.clip_bytes, 0, length),
        length=length,
        task_id=task.task_id,
    )


def find_task(state: State, exchange: Exchange) -> Task:
    state.tasks.settle()
    task = state.tasks.find(exchange.params["task_id"], exchange.key)
    if task is None:
        raise Refusal("task_unknown", "task_not_exist")
    return task


def links_of(state: State, task: Task) -> Links:
    asked = task.metadata.get("return_last_frame") is True
    return Links(clip_url(state, task), state.cdn_url + _signed(state, task, frame_path(task)) if asked else None)


def frame_path(task: Task) -> str:
    return f"/frames/{task.task_id}.png"


def clip_url(state: State, task: Task) -> str:
    return state.cdn_url + _signed(state, task, f"/clips/{task.task_id}.mp4")


def _signed(state: State, task: Task, path: str) -> str:
    if state.result_seconds is None:
        return path
    now = state.clock.now()
    # The same URL for a while, as a caller would expect of two fetches in a row.
    if task.signed is None or task.phase(now) != "done" or now - task.signed > state.result_seconds / 2:
        task.signed = now
    return sign(path, task.signed, state.result_seconds)
