"""Video tasks: what is accepted, and every shape and trap of what is answered (wire 3)."""

from __future__ import annotations

from typing import Any
from urllib.parse import urlsplit

import pytest

from relaydance_async.sandbox import TaskPlan, TaskScript
from tests.sandbox.support import Starter

BOTH = pytest.mark.parametrize("dialect", ["gateway", "documented"])
QUICK = TaskScript(queue=10, run=40)
FAILING = TaskPlan(TaskScript(queue=10, run=40, outcome="failed", reason="face not allowed"))


def reference(kind: str, role: str | None, url: str = "https://x.test/a") -> dict[str, Any]:
    item: dict[str, Any] = {"type": kind, kind: {"url": url}}
    return item | ({"role": role} if role else {})


def test_a_documented_submit_answers_with_id_and_status_only(start: Starter) -> None:
    body = start(dialect="documented").submit().json()
    assert body.keys() == {"task_id", "status"}
    assert body["task_id"].startswith("task_")
    assert body["status"] == "submitted"


def test_a_gateway_submit_answers_with_a_video_object(start: Starter) -> None:
    body = start().submit().json()
    assert body["id"] == body["task_id"]
    assert body["object"] == "video"
    assert body["status"] == "queued"
    assert body["progress"] == 0


def test_a_documented_task_moves_through_its_four_words(start: Starter) -> None:
    caller = start(dialect="documented", tasks=TaskPlan(QUICK, scripts={2: FAILING.default}), time_scale=0)
    good, bad = caller.submitted(), caller.submitted()
    seen = [caller.fetch(good)["status"]]
    caller.sandbox.clock.advance(10)
    seen.append(caller.fetch(good)["status"])
    assert "url" not in caller.fetch(good)
    caller.sandbox.clock.advance(40)
    done, failed = caller.fetch(good), caller.fetch(bad)
    assert [*seen, done["status"]] == ["submitted", "running", "succeeded"]
    assert done["format"] == "mp4"
    assert done["url"] == caller.sandbox.clip_url(good)
    assert failed["status"] == "failed"
    assert failed["error"]["message"] == "face not allowed"
    assert "url" not in failed


def test_the_wrapped_shape_counts_progress_as_text_and_hides_the_id(start: Starter) -> None:
    caller = start(tasks=TaskPlan(QUICK), time_scale=0)
    task_id = caller.submitted()
    caller.sandbox.clock.advance(30)
    body = caller.fetch(task_id)
    assert body["code"] == "success"
    assert isinstance(body["data"]["id"], int)
    assert body["data"]["task_id"] == task_id
    assert body["data"]["status"] == "IN_PROGRESS"
    assert body["data"]["progress"] == "50%"
    assert body["data"]["result_url"] == ""
    caller.sandbox.clock.advance(20)
    data = caller.fetch(task_id)["data"]
    assert (data["status"], data["progress"]) == ("SUCCESS", "100%")
    assert urlsplit(str(data["result_url"])).path == f"/clips/{task_id}.mp4"
    assert data["data"]["content"]["video_url"] == data["result_url"]


def test_the_wrapped_shape_of_a_failure_has_the_reason_where_the_url_was(start: Starter) -> None:
    caller = start(tasks=FAILING, time_scale=0)
    task_id = caller.submitted()
    caller.sandbox.clock.advance(50)
    data = caller.fetch(task_id)["data"]
    assert data["status"] == "FAILURE"
    assert data["fail_reason"] == data["result_url"] == "face not allowed"


@pytest.mark.parametrize("shape", ["wrapped", "upstream"])
def test_an_upstream_timeout_fails_without_a_reason(start: Starter, shape: Any) -> None:
    script = TaskScript(0, 1, "failed", reason="", shape=shape)
    caller = start(tasks=TaskPlan(script), time_scale=0)
    task_id = caller.submitted()
    caller.sandbox.clock.advance(1)
    data = caller.fetch(task_id)["data"]
    assert data["status"].lower() in ("failure", "failed")
    assert not data.get("fail_reason")
    assert not data.get("error")
    assert "error" not in caller.fetch_video(task_id)


def test_the_upstream_shape_is_flat_inside_its_envelope(start: Starter) -> None:
    caller = start(tasks=TaskPlan(TaskScript(10, 40, shape="upstream")), time_scale=0)
    task_id = caller.submitted()
    caller.sandbox.clock.advance(50)
    data = caller.fetch(task_id)["data"]
    assert data.keys() == {"task_id", "status", "url", "format", "metadata", "error"}
    assert data["status"] == "succeeded"
    assert data["url"].startswith(caller.sandbox.cdn_url)
    assert data["metadata"] is None


def test_the_upstream_shape_carries_an_error_object(start: Starter) -> None:
    caller = start(tasks=TaskPlan(TaskScript(0, 1, "failed", "no", shape="upstream")), time_scale=0)
    task_id = caller.submitted()
    caller.sandbox.clock.advance(1)
    assert caller.fetch(task_id)["data"]["error"]["message"] == "no"


@BOTH
def test_the_video_object_is_completed_before_it_is_complete(start: Starter, dialect: str) -> None:
    caller = start(dialect=dialect, tasks=TaskPlan(QUICK), time_scale=0)
    task_id = caller.submitted()
    assert caller.fetch_video(task_id)["completed_at"] > 0
    caller.sandbox.clock.advance(30)
    body = caller.fetch_video(task_id)
    assert (body["status"], body["progress"]) == ("in_progress", 50)
    assert body["metadata"]["url"] == ""
    caller.sandbox.clock.advance(20)
    body = caller.fetch_video(task_id)
    assert (body["status"], body["progress"]) == ("completed", 100)
    assert body["metadata"]["url"].startswith(caller.sandbox.cdn_url)


def test_the_video_object_of_a_failure_has_an_error_and_text_for_a_url(start: Starter) -> None:
    caller = start(tasks=FAILING, time_scale=0)
    task_id = caller.submitted()
    caller.sandbox.clock.advance(50)
    body = caller.fetch_video(task_id)
    assert body["status"] == "failed"
    assert body["error"]["message"] == body["metadata"]["url"] == "face not allowed"


def test_right_after_a_submit_some_tasks_are_unknown(start: Starter) -> None:
    caller = start(time_scale=0)
    tasks = [caller.submitted() for _ in range(4)]
    assert {caller.fetch(task)["data"]["status"] for task in tasks} == {"NOT_START", "UNKNOWN", "SUBMITTED", "QUEUED"}
    assert {caller.fetch_video(task)["status"] for task in tasks} == {"queued", "unknown"}


@pytest.mark.parametrize("shape", ["wrapped", "upstream"])
def test_a_script_can_choose_the_status_words(start: Starter, shape: Any) -> None:
    words = {"queued": "Pending", "running": "rendering", "done": "Completed"}
    caller = start(tasks=TaskPlan(TaskScript(1, 1, words=words, shape=shape)), time_scale=0)
    task_id = caller.submitted()
    seen: list[str] = []
    for _ in range(3):
        seen.append(caller.fetch(task_id)["data"]["status"])
        assert caller.fetch_video(task_id)["status"] == seen[-1]
        caller.sandbox.clock.advance(1)
    assert seen == ["Pending", "rendering", "Completed"]


def test_a_hanging_task_never_ends(start: Starter) -> None:
    caller = start(tasks=TaskPlan(TaskScript(1, 1, "hang")), time_scale=0)
    task_id = caller.submitted()
    caller.sandbox.clock.advance(1_000_000)
    assert caller.fetch(task_id)["data"]["status"] == "IN_PROGRESS"


def test_a_plan_chooses_by_number_or_by_body(start: Starter) -> None:
    def choose(n: int, body: dict[str, Any]) -> TaskScript:
        return TaskScript(0, 0, "failed" if "bad" in body["prompt"] else "succeeded")

    caller = start(tasks=TaskPlan(choose=choose), time_scale=0)
    assert caller.fetch(caller.submitted(prompt="a bad cat"))["data"]["status"] == "FAILURE"
    assert caller.fetch(caller.submitted(prompt="a good cat"))["data"]["status"] == "SUCCESS"


def test_jitter_varies_tasks_and_repeats_with_the_seed(start: Starter) -> None:
    def ends(seed: int) -> list[float]:
        caller = start(tasks=TaskPlan(TaskScript(10, 10), jitter=0.5), seed=seed, time_scale=0)
        for _ in range(5):
            caller.submit()
        tasks = caller.call("GET", "/_sandbox/tasks").json()["tasks"]
        caller.sandbox.clock.advance(15)
        return [task["progress"] for task in caller.call("GET", "/_sandbox/tasks").json()["tasks"] if tasks]

    assert ends(1) == ends(1)
    assert len(set(ends(1))) > 1
    assert ends(1) != ends(2)


@BOTH
def test_an_unknown_task_is_not_found(start: Starter, dialect: str) -> None:
    caller = start(dialect=dialect)
    for path in ("/v1/video/generations/task_none", "/v1/videos/task_none", "/v1/videos/task_none/content"):
        answer = caller.call("GET", path)
        if dialect == "gateway":
            assert (answer.status_code, answer.json()["code"]) == (400, "task_not_exist")
            assert answer.json()["data"] is None
        else:
            assert answer.status_code == 404


@BOTH
def test_content_needs_the_key_and_ignores_ranges(start: Starter, dialect: str) -> None:
    caller = start(dialect=dialect, tasks=TaskPlan(QUICK), time_scale=0)
    task_id = caller.submitted()
    path = f"/v1/videos/{task_id}/content"
    assert caller.call("GET", path).status_code == 400
    caller.sandbox.clock.advance(50)
    assert caller.call("GET", path, headers={"authorization": ""}).status_code == 401
    answer = caller.call("GET", path, headers={"range": "bytes=0-9"})
    assert answer.status_code == 200
    assert answer.headers["content-type"] == "video/mp4"
    assert answer.content == caller.download(caller.sandbox.clip_url(task_id)).content


INVALID: list[tuple[str, dict[str, Any]]] = [
    ("seconds is a number", {"seconds": 5}),
    ("seconds is not whole", {"seconds": "5.5"}),
    ("seconds is too long", {"seconds": "16"}),
    ("seconds is nothing", {"seconds": "0"}),
    ("the prompt is missing", {"prompt": None}),
    ("the prompt is empty", {"prompt": ""}),
    ("metadata is no object", {"metadata": "x"}),
    ("ten images", {"metadata": {"content": [reference("image_url", "reference_image")] * 10}}),
    ("four videos", {"metadata": {"content": [reference("video_url", "reference_video")] * 4}}),
    ("four sounds", {"metadata": {"content": [reference("audio_url", "reference_audio")] * 4}}),
    (
        "a first frame and a reference",
        {"metadata": {"content": [reference("image_url", "first_frame"), reference("image_url", "reference_image")]}},
    ),
    ("two last frames", {"metadata": {"content": [reference("image_url", "last_frame")] * 2}}),
    ("a role of another kind", {"metadata": {"content": [reference("video_url", "first_frame")]}}),
    ("an unknown kind", {"metadata": {"content": [{"type": "pdf_url", "pdf_url": {"url": "https://x.test"}}]}}),
    ("a path for a URL", {"metadata": {"content": [reference("image_url", "reference_image", "/home/a.png")]}}),
]


@BOTH
@pytest.mark.parametrize("changes", [case[1] for case in INVALID], ids=[case[0] for case in INVALID])
def test_a_bad_submit_is_a_400_and_costs_nothing(start: Starter, dialect: str, changes: dict[str, Any]) -> None:
    caller = start(dialect=dialect)
    answer = caller.submit(**changes)
    assert answer.status_code == 400
    if dialect == "gateway":
        assert answer.json().keys() == {"code", "message", "data"}
        assert answer.json()["code"] == "invalid_request"
    else:
        assert answer.json()["error"]["type"] == "invalid_request_error"
    assert caller.sandbox.ledger.charged_usd == 0


def test_the_documented_most_of_everything_is_accepted(start: Starter) -> None:
    content = [
        *[reference("image_url", "reference_image")] * 9,
        *[reference("video_url", "reference_video", "asset://v")] * 3,
        *[reference("audio_url", "reference_audio")] * 3,
    ]
    metadata = {"ratio": "adaptive", "resolution": "1080p", "generate_audio": True, "seed": 7, "content": content}
    assert start().submit(seconds="15", metadata=metadata).status_code == 200


def test_first_and_last_frame_together_are_accepted(start: Starter) -> None:
    content = [reference("image_url", "first_frame"), reference("image_url", "last_frame")]
    assert start().submit(metadata={"content": content}).status_code == 200


def test_a_callback_at_the_top_level_is_ignored(start: Starter) -> None:
    caller = start(time_scale=0)
    caller.submitted(callback_url="http://127.0.0.1:1/hook")
    assert caller.call("GET", "/_sandbox/tasks").json()["tasks"][0]["callback_url"] is None


def test_the_upstreams_record_tells_of_the_clip_that_was_made(start: Starter) -> None:
    caller = start(tasks=TaskPlan(QUICK), time_scale=0)
    metadata = {"return_last_frame": True, "seed": 42, "resolution": "1080p", "ratio": "9:16"}
    task_id, plain = caller.submitted(metadata=metadata, seconds="10"), caller.submitted()
    assert "usage" not in caller.fetch(task_id)["data"]["data"]
    caller.sandbox.clock.advance(50)
    made = caller.fetch(task_id)["data"]["data"]
    assert (made["seed"], made["resolution"], made["ratio"], made["duration"]) == (42, "1080p", "9:16", 10)
    assert made["usage"]["completion_tokens"] == 1920 * 1080 * 24 * 10 // 1024
    frame = caller.download(made["content"]["last_frame_url"])
    assert (frame.status_code, frame.headers["content-type"]) == (200, "image/png")
    other = caller.fetch(plain)["data"]["data"]
    assert "last_frame_url" not in other["content"]
    assert (other["resolution"], other["duration"]) == ("720p", 5)
    caller.sandbox.clock.advance(1800)
    assert caller.download(made["content"]["last_frame_url"]).status_code == 403


CODES = [
    "OutputVideoSensitiveContentDetected",
    "InputImageSensitiveContentDetected.PrivacyInformation",
    "InternalServiceError",
]


@pytest.mark.parametrize("code", CODES)
def test_a_failure_says_its_code_where_each_shape_has_it(start: Starter, code: str) -> None:
    plan = TaskPlan(scripts={n: TaskScript(0, 1, "failed", "no", shape=s, code=code) for n, s in SHAPES.items()})
    caller = start(tasks=plan, time_scale=0)
    tasks = [caller.submitted() for _ in SHAPES]
    caller.sandbox.clock.advance(1)
    wrapped, upstream, older = (caller.fetch(task)["data"] for task in tasks)
    error = {"code": code, "message": "no"}
    assert wrapped["data"]["error"] == upstream["error"] == older["data"]["error"] == error
    assert wrapped["fail_reason"] == older["fail_reason"] == "no"
    assert caller.fetch_video(tasks[0])["error"] == error


SHAPES: dict[int, Any] = {1: "wrapped", 2: "upstream", 3: "older"}


def test_a_documented_failure_says_its_code_when_it_has_one(start: Starter) -> None:
    script = TaskScript(0, 1, "failed", "no", code=CODES[0])
    caller = start(dialect="documented", tasks=TaskPlan(script), time_scale=0)
    task_id = caller.submitted()
    caller.sandbox.clock.advance(1)
    assert caller.fetch(task_id)["error"] == {"message": "no", "code": CODES[0]}


def test_an_older_gateway_has_the_address_where_the_reason_is_now(start: Starter) -> None:
    caller = start(tasks=TaskPlan(TaskScript(0, 0, shape="older")), time_scale=0)
    task_id = caller.submitted()
    data = caller.fetch(task_id)["data"]
    assert "result_url" not in data
    assert caller.download(data["fail_reason"]).status_code == 200


@BOTH
def test_the_word_after_a_submit_is_scripted_too(start: Starter, dialect: str) -> None:
    script = TaskScript(words={"submit": "PREPARING", "queued": "not_start"}, upstream={"status": "expired", "x": 1})
    caller = start(dialect=dialect, tasks=TaskPlan(script), time_scale=0)
    answer = caller.submit().json()
    assert answer["status"] == "PREPARING"
    body = caller.fetch(answer["task_id"])
    if dialect == "documented":
        assert body["status"] == "not_start"
    else:
        assert (body["data"]["status"], body["data"]["data"]["status"], body["data"]["data"]["x"]) == (
            "not_start",
            "expired",
            1,
        )
    with pytest.raises(ValueError, match="no phase is called gone"):
        TaskScript(words={"gone": "x"})
