"""Every shape in which a task arrives decodes to the same VideoTask, and garbage to a ValidationError."""

from __future__ import annotations

import copy
import json
import pickle
from typing import Any, cast

import pytest
from fastapi import FastAPI
from fastapi.routing import APIRoute
from hypothesis import assume, given
from hypothesis import strategies as st
from pydantic import ValidationError

from relaydance_async import TaskFailure, TaskUsage, VideoTask
from relaydance_async.models._task_shapes import known_status, normalize_task

ID = "task_abc123"
CLIP = "https://cdn.example/clips/abc.mp4"
REASON = "the upstream refused the picture"

Json = dict[str, Any]


def documented(status: str, /, **fields: Any) -> Json:
    return {"task_id": ID, "status": status, **fields}


def wrapped(status: str, /, **fields: Any) -> Json:
    """`GET /video/generations/{id}`: the gateway's own record, a database row with its own number."""
    data = {"id": 17, "task_id": ID, "status": status, "fail_reason": "", "result_url": "", "progress": "0%"}
    return {"code": "success", "message": "", "data": {**data, "submit_time": 100, "finish_time": 0, **fields}}


def other_upstream(status: str, /, **fields: Any) -> Json:
    data = {"task_id": ID, "status": status, "url": "", "format": "mp4", "metadata": None, "error": None}
    return {"code": "success", "message": "", "data": {**data, **fields}}


def video(status: str, /, **fields: Any) -> Json:
    """`GET /videos/{id}`."""
    record = {"id": ID, "object": "video", "model": "m", "status": status, "progress": 0, "created_at": 100}
    return {**record, "completed_at": 150, "metadata": {"url": ""}, **fields}


def upstream(status: str, /, **fields: Any) -> Json:
    """An upstream's own webhook."""
    return {"id": ID, "status": status, **fields}


def decode(body: Json) -> VideoTask:
    return VideoTask.model_validate_json(json.dumps(body))


def essence(task: VideoTask) -> Json:
    return task.model_dump(include={"task_id", "status", "url", "error"})


SUBMITTED = [
    documented("submitted"),
    {**video("queued"), "task_id": ID},  # the answer to a submit
    wrapped("NOT_START"),
    wrapped("UNKNOWN"),
    other_upstream("queued"),
    video("unknown"),
    upstream("queued"),
]
RUNNING = [
    documented("running"),
    wrapped("IN_PROGRESS", progress="50%"),
    other_upstream("processing"),
    video("in_progress", progress=50),
    upstream("running"),
]
SUCCEEDED = [
    documented("succeeded", url=CLIP, format="mp4", metadata={"duration": "5"}),
    wrapped("SUCCESS", result_url=CLIP, progress="100%", finish_time=200),
    wrapped("SUCCESS", result_url="", data={"id": "cgt-1", "content": {"video_url": CLIP}}),
    wrapped("SUCCESS", result_url="", data={"id": "cgt-1", "url": CLIP}),
    other_upstream("succeeded", url=CLIP),
    video("completed", metadata={"url": CLIP}, progress=100),
    documented("done", video={"url": CLIP, "duration": 6}),  # xAI's
    wrapped("SUCCESS", result_url="", data={"status": "done", "video": {"url": CLIP}}),
    wrapped("SUCCESS", result_url="", fail_reason=CLIP),  # of older gateways
    wrapped(
        "SUCCESS", data={"code": 0, "data": {"task_status": "succeed", "task_result": {"videos": [{"url": CLIP}]}}}
    ),
    upstream("succeeded", content={"video_url": CLIP}),
]
FAILED = [
    documented("failed", error={"message": REASON}),
    documented("failed", error=REASON),
    wrapped("FAILURE", fail_reason=REASON, result_url=REASON),
    wrapped("FAILURE", fail_reason="", result_url=REASON),
    wrapped("FAILURE", data={"id": "cgt-1", "status": "failed", "error": {"message": REASON}}),
    other_upstream("failed", error={"message": REASON}),
    video("failed", metadata={"url": REASON}, error={"message": REASON}),
    upstream("failed", error={"message": REASON}),
]


@pytest.mark.parametrize("body", SUBMITTED)
def test_every_shape_of_a_submitted_task_decodes_to_the_same(body: Json) -> None:
    assert essence(decode(body)) == {"task_id": ID, "status": "submitted", "url": None, "error": None}


@pytest.mark.parametrize("body", RUNNING)
def test_every_shape_of_a_running_task_decodes_to_the_same(body: Json) -> None:
    assert essence(decode(body)) == {"task_id": ID, "status": "running", "url": None, "error": None}


@pytest.mark.parametrize("body", SUCCEEDED)
def test_every_shape_of_a_finished_task_decodes_to_the_same(body: Json) -> None:
    task = decode(body)
    assert essence(task) == {"task_id": ID, "status": "succeeded", "url": CLIP, "error": None}
    assert task.progress == 100


@pytest.mark.parametrize("body", FAILED)
def test_every_shape_of_a_failed_task_decodes_to_the_same(body: Json) -> None:
    failure = {"message": REASON, "code": None}
    assert essence(decode(body)) == {"task_id": ID, "status": "failed", "url": None, "error": failure}


@pytest.mark.parametrize(
    ("words", "status"),
    [
        ("submitted queued pending not_start unknown preparing", "submitted"),
        ("running in_progress processing generating", "running"),
        ("succeeded succeed success completed complete done finished ready", "succeeded"),
        ("failed fail failure error cancelled canceled expired timeout rejected aborted", "failed"),
    ],
)
@pytest.mark.parametrize("spelling", [str.lower, str.upper, str.title])
@pytest.mark.parametrize("shape", [documented, wrapped, other_upstream, video, upstream])
def test_every_status_word_is_known_in_any_case(words: str, status: str, spelling: Any, shape: Any) -> None:
    for word in words.split():
        task = decode(shape(spelling(word)))
        assert (task.status, task.raw_status) == (status, spelling(word))
        assert task.is_terminal is (status in ("succeeded", "failed"))


@pytest.mark.parametrize("shape", [documented, wrapped, other_upstream, video, upstream])
def test_a_word_never_heard_of_is_not_terminal_and_is_kept(shape: Any) -> None:
    task = decode(shape("MODERATING"))
    assert (task.status, task.raw_status, task.is_terminal) == ("running", "MODERATING", False)


@pytest.mark.parametrize(
    ("body", "status"),
    [
        (documented("MODERATED", url=CLIP, progress=100), "succeeded"),
        (wrapped("MODERATED", result_url=CLIP, progress="100%"), "succeeded"),
        (video("moderated", metadata={"url": CLIP}, progress=100), "succeeded"),
        (wrapped("MODERATED", result_url=CLIP, progress="99%"), "running"),
        (wrapped("MODERATED", result_url=CLIP, finish_time=200), "running"),
        (wrapped("MODERATED", progress="100%"), "running"),
        (wrapped("MODERATED", fail_reason=REASON, progress="100%"), "failed"),
        (wrapped("MODERATED", fail_reason=REASON, finish_time=200), "failed"),
        (wrapped("MODERATED", finish_time=200), "running"),
        (wrapped("MODERATED", fail_reason=REASON, progress="50%"), "running"),
        (video("moderated", error={"message": REASON}, progress=50), "running"),  # its `completed_at` means nothing
        (video("moderated", error={"message": REASON}, progress=100), "failed"),
    ],
)
def test_a_word_never_heard_of_ends_a_task_only_when_what_comes_with_it_says_so(body: Json, status: str) -> None:
    task = decode(body)
    assert (task.status, task.url, task.error and task.error.message) == (
        status,
        CLIP if status == "succeeded" else None,
        REASON if status == "failed" else None,
    )
    assert VideoTask.model_validate_json(task.model_dump_json()) == task


@pytest.mark.parametrize("status", [None, 5, [], {}, "", True])
def test_a_status_that_is_no_word_is_not_terminal(status: Any) -> None:
    assert not decode({"task_id": ID, "status": status}).is_terminal


def test_a_failed_tasks_result_url_is_never_its_url_even_when_it_is_one() -> None:
    task = decode(wrapped("FAILURE", result_url=CLIP))
    assert task.url is None
    assert task.error == TaskFailure(message=CLIP)


@pytest.mark.parametrize("status", ["queued", "in_progress"])
def test_completed_at_counts_only_once_the_task_has_ended(status: str) -> None:
    assert decode(video(status)).completed_at is None
    assert decode(video("completed")).completed_at == 150
    assert decode(video("failed")).completed_at == 150


def test_times_come_under_either_name() -> None:
    task = decode(wrapped("SUCCESS", finish_time=200))
    assert (task.created_at, task.completed_at) == (100, 200)


@pytest.mark.parametrize("url", ["", None, 5, "pending", "javascript:alert(1)", "file:///etc/passwd"])
def test_what_is_no_web_address_is_no_url(url: Any) -> None:
    assert decode(video("completed", metadata={"url": url})).url is None


def test_a_url_before_success_is_a_placeholder() -> None:
    assert decode(wrapped("IN_PROGRESS", result_url=CLIP)).url is None


@pytest.mark.parametrize(
    ("progress", "read"),
    [
        ("50%", 50),
        (50, 50),
        (" 7.5 % ", 7.5),
        ("0", 0),
        ("150%", 100),
        (-3, 0),
        (10**400, None),
        ("soon", None),
        ("", None),
        ("nan", None),
        (None, None),
        ([50], None),
        ({"percent": 50}, None),
    ],
)
def test_progress_is_read_in_every_form_and_garbage_is_none(progress: Any, read: float | None) -> None:
    assert decode(wrapped("IN_PROGRESS", progress=progress)).progress == read


def test_the_database_number_is_not_the_id() -> None:
    assert decode(wrapped("SUCCESS", id=17)).task_id == ID
    with pytest.raises(ValidationError):
        decode({"code": "success", "data": {"id": 17, "status": "SUCCESS"}})


def test_an_id_outside_of_the_envelope_may_be_a_number() -> None:
    assert decode({"id": 17, "status": "queued"}).task_id == "17"


@pytest.mark.parametrize("body", [wrapped("FAILURE"), video("failed"), other_upstream("failed"), documented("expired")])
def test_a_task_may_have_failed_without_a_reason(body: Json) -> None:
    task = decode(body)
    assert task.is_terminal
    assert task.error is None


@pytest.mark.parametrize(
    ("error", "failure"),
    [
        ({"code": 500, "message": REASON}, {"message": REASON, "code": "500"}),
        ({"code": "quota"}, {"message": "quota", "code": "quota"}),
        ({"message": REASON, "where": "upstream"}, {"message": REASON, "code": None, "where": "upstream"}),
        ({"code": "quota", "message": ""}, {"message": "", "code": "quota"}),
        ({"message": ""}, None),
        ([], None),
        (5, None),
    ],
)
def test_the_failure_is_read_in_every_form(error: Any, failure: Json | None) -> None:
    read = decode(video("failed", error=error)).error
    assert (read.model_dump() if read else None) == failure


CODE = "OutputVideoSensitiveContentDetected"


@pytest.mark.parametrize(
    "body",
    [
        documented("failed", error={"code": CODE, "message": REASON}),
        wrapped("FAILURE", fail_reason=REASON, data={"error": {"code": CODE, "message": "other words"}}),
        wrapped("FAILURE", data={"status": "failed", "error": {"code": CODE, "message": REASON}}),
        wrapped("FAILURE", fail_reason=REASON, data={"data": {"error": {"code": CODE}}}),
        other_upstream("failed", error={"message": REASON, "code": CODE}),
        video("failed", error={"message": REASON, "code": CODE}),
        upstream("failed", error={"message": REASON, "code": CODE}),
    ],
)
def test_every_shape_of_a_failure_has_its_code_and_its_kind(body: Json) -> None:
    task = decode(body)
    assert task.error is not None
    assert (task.error.message, task.error.code, task.error.kind) == (REASON, CODE, "refused content")


@pytest.mark.parametrize(
    ("code", "kind"),
    [
        ("InputTextSensitiveContentDetected", "refused content"),
        ("InputImageSensitiveContentDetected.PrivacyInformation", "refused content"),
        ("output_moderation", "refused content"),
        ("InvalidParameter", "bad input"),
        ("InvalidParameter.DurationTooLong", "bad input"),
        ("invalid_request_error", "bad input"),
        ("400", "bad input"),
        ("InternalServiceError", "transient"),
        ("internal_error", "transient"),
        ("RequestTimeout", "transient"),
        ("RateLimitExceeded.EndpointRPMExceeded", "transient"),
        ("503", "transient"),
        ("task_failed", "unknown"),
        ("", "unknown"),
        (None, "unknown"),
    ],
)
def test_a_code_says_whether_it_helps_to_submit_again(code: str | None, kind: str) -> None:
    assert TaskFailure(message=REASON, code=code).kind == kind


def test_what_the_gateway_adds_is_apart() -> None:
    body = wrapped("SUCCESS", result_url=CLIP, queue_position=3, channel_id=12, data={"id": "cgt-1"})
    task = decode(body)
    assert task.extra["queue_position"] == 3
    assert task.extra["data"] == {"id": "cgt-1"}
    assert task.extra["id"] == 17
    assert task.id == task.task_id == ID
    for shown in (task.model_dump_json(), repr(task), json.dumps(VideoTask.model_json_schema(mode="serialization"))):
        assert "channel_id" not in shown
        assert '"extra"' not in shown
    assert set(VideoTask.model_json_schema()["properties"]) == set(VideoTask.model_fields) - {"extra"}


def test_what_the_gateway_adds_is_copied_and_pickled_but_not_compared() -> None:
    task = decode(wrapped("SUCCESS", result_url=CLIP, channel_id=12))
    assert task == decode(wrapped("SUCCESS", result_url=CLIP, channel_id=13))
    assert task != decode(wrapped("SUCCESS", result_url=CLIP + "2", channel_id=12))
    assert task != task.model_dump()
    for again in (pickle.loads(pickle.dumps(task)), copy.deepcopy(task), task.model_copy()):
        assert (again, again.extra) == (task, task.extra)
    by_hand = VideoTask(task_id=ID, status="succeeded", extra={"mine": 1})
    assert by_hand.extra == {"mine": 1}


def test_a_route_of_fastapi_answers_with_the_apis_fields_only() -> None:
    app = FastAPI()

    @app.get("/task")
    def task() -> VideoTask:  # pyright: ignore[reportUnusedFunction]
        return decode(wrapped("SUCCESS", result_url=CLIP, channel_id=12))

    route = cast(APIRoute, app.routes[-1])
    assert route.response_field is not None
    answer = route.response_field.serialize(task(), mode="json")
    assert set(answer) == set(VideoTask.model_fields) - {"extra"}
    assert "channel_id" not in json.dumps(app.openapi())


@pytest.mark.parametrize(
    "body",
    [
        documented("succeeded", duration="5.1", seed="7", resolution="720p", usage={"completion_tokens": 9}),
        wrapped(
            "SUCCESS", data={"duration": 5.1, "seed": 7.0, "resolution": "720p", "usage": {"completion_tokens": "9"}}
        ),
        video(
            "completed", seconds="5.1s", metadata={"seed": 7, "resolution": "720p", "usage": {"completion_tokens": 9}}
        ),
        documented("done", video={"duration": 5.1, "seed": 7, "resolution": "720p"}, usage={"completion_tokens": 9}),
    ],
)
def test_what_an_upstream_tells_of_the_clip_is_read_in_every_shape(body: Json) -> None:
    task = decode(body)
    assert (task.duration, task.seed, task.resolution, task.usage) == (5.1, 7, "720p", TaskUsage(completion_tokens=9))


@pytest.mark.parametrize("place", [{"last_frame_url": CLIP}, {"content": {"last_frame_url": CLIP}}])
def test_the_last_frame_is_there_once_the_clip_is(place: Json) -> None:
    assert decode(wrapped("SUCCESS", data=place)).last_frame_url == CLIP
    assert decode(wrapped("IN_PROGRESS", data=place)).last_frame_url is None
    assert decode(documented("succeeded", **place)).last_frame_url == CLIP


@pytest.mark.parametrize("value", [True, -1, 0, 1e9, float("inf"), "nan", "9" * 5000, "soon", [5], {"s": 5}, None])
def test_a_duration_out_of_all_bounds_is_none(value: Any) -> None:
    assert VideoTask.model_validate(documented("succeeded", duration=value)).duration is None


@pytest.mark.parametrize(
    "value", [True, 1.5, 2**63, -(2**70), "7.5", "9" * 5000, float("inf"), float("nan"), [7], None]
)
def test_a_seed_that_is_none_is_none(value: Any) -> None:
    assert VideoTask.model_validate(documented("succeeded", seed=value)).seed is None


@pytest.mark.parametrize(
    ("value", "seconds"),
    [
        (100, 100),
        ("100", 100),
        (1795746668, 1795746668),
        (1795746668123, 1795746668),
        (0, None),
        (-5, None),
        (1e30, None),
    ],
)
def test_a_time_is_in_seconds_and_bounded(value: Any, seconds: int | None) -> None:
    assert decode(documented("running", created_at=value)).created_at == seconds


def test_a_task_is_plain_data_that_can_be_made_by_hand() -> None:
    task = VideoTask(task_id=ID, status="succeeded", url=CLIP)
    assert task == VideoTask.model_validate(task.model_dump())
    assert task == VideoTask.model_validate(task)
    assert task.model_copy() == task


@pytest.mark.parametrize("body", [*SUBMITTED, *RUNNING, *SUCCEEDED, *FAILED, {"task_id": ID}])
def test_a_dumped_task_reads_back_as_itself(body: Json) -> None:
    task = decode(body)
    assert VideoTask.model_validate_json(task.model_dump_json()) == task


ANY_JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.sampled_from([10**400, "", "50%", CLIP, "failed", "SUCCESS", ID])
    | st.text(st.characters(codec="utf-8"), max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=6), inner, max_size=3),
    max_leaves=8,
)
KNOWN_NAMES = [
    *["duration", "seconds", "seed", "resolution", "usage", "completion_tokens", "last_frame_url", "extra"],
    *[
        "video",
        "task_result",
        "videos",
        "id",
        "task_id",
        "status",
        "raw_status",
        "progress",
        "url",
        "result_url",
        "video_url",
    ],
    *["error", "fail_reason", "metadata", "content", "data", "code", "message", "object"],
    *["model", "format", "created_at", "submit_time", "completed_at", "finish_time"],
]
ANY_FIELDS = st.dictionaries(st.sampled_from(KNOWN_NAMES), ANY_JSON, max_size=8)
SHAPES = st.sampled_from([documented, wrapped, other_upstream, video, upstream])
WORDS = st.sampled_from(
    ["queued", "UNKNOWN", "running", "Processing", "success", "COMPLETED", "failed", "Expired", "elsewhere"]
) | st.text(st.characters(codec="utf-8"), max_size=5)


def shaped(shape: Any, word: str, fields: Json) -> Json:
    body: Json = shape(word, **fields)
    return body


def nested(fields: Json) -> Json:
    return {"code": "success", "data": fields}


@given(st.builds(shaped, SHAPES, WORDS, ANY_FIELDS))
def test_decoding_then_dumping_then_decoding_changes_nothing(body: Json) -> None:
    try:
        task = decode(body)
    except ValidationError:
        return
    dumped = task.model_dump_json()
    again = VideoTask.model_validate_json(dumped)
    assert again == task
    assert again.model_dump_json() == dumped
    assert again.is_terminal == task.is_terminal


@given(ANY_FIELDS, st.text(st.characters(codec="utf-8"), max_size=12), st.booleans())
def test_a_word_never_seen_is_terminal_only_with_an_address_or_a_reason(fields: Json, word: str, wrapped: bool) -> None:
    assume(known_status(word) is None)
    fields = {name: value for name, value in fields.items() if name not in ("status", "raw_status")} | {"status": word}
    task = normalize_task({"code": "success", "data": fields} if wrapped else fields | {"task_id": ID})
    if task["status"] == "succeeded":
        assert task["url"]
        assert task["progress"] == 100
    elif task["status"] == "failed":
        assert task["error"]["message"]
        assert task["progress"] == 100 or fields.get("finish_time")
    else:
        assert task["status"] == ("running" if word.strip() else "submitted")


@given(ANY_FIELDS | ANY_FIELDS.map(nested) | ANY_JSON)
def test_garbage_raises_nothing_but_a_validation_error(body: Any) -> None:
    try:
        task = VideoTask.model_validate_json(json.dumps(body))
    except ValidationError:
        return
    assert task.task_id
    assert task.url is None or task.url.lower().startswith(("https://", "http://"))
    assert task.url is None or task.status == "succeeded"


@given(st.binary(max_size=64))
def test_bytes_that_are_no_json_raise_a_validation_error(body: bytes) -> None:
    with pytest.raises(ValidationError):
        VideoTask.model_validate_json(body)


ODD: list[Any] = [True, 5, 1.5, [], {"a": 1}, "", " "]


@pytest.mark.parametrize("name", ["format", "model"])
@pytest.mark.parametrize("value", ODD)
def test_an_optional_word_of_the_wrong_type_costs_no_task(name: str, value: Any) -> None:
    for body in (documented("running"), wrapped("IN_PROGRESS"), video("in_progress"), upstream("running")):
        (body.get("data") or body)[name] = value
        task = decode(body)
        assert (task.task_id, getattr(task, name)) == (ID, None)


@pytest.mark.parametrize("value", [True, False, "inf", "-inf", "nan", "Infinity%", float("inf"), 10**400])
def test_a_progress_that_is_no_number_is_none(value: Any) -> None:
    assert VideoTask.model_validate(documented("running", progress=value)).progress is None


@pytest.mark.parametrize("value", [True, False])
def test_a_word_of_logic_is_no_task_id(value: bool) -> None:
    with pytest.raises(ValidationError):
        decode({"task_id": value, "status": "running"})
