"""Every kind of fault, on the wire."""

from __future__ import annotations

import gzip
import json
import time
from typing import Any

import httpx
import pytest

from relaydance_async.sandbox import Fault, FaultPlan, TaskPlan, TaskScript
from tests.kit.routes import CHAT, MODELS, SUBMIT
from tests.kit.waiting import block_until
from tests.sandbox.support import CHAT_REQUEST, Caller, Starter, chunks_of, events_of

JSON_TYPE = "application/json"


def fault_once(start: Starter, dialect: str = "gateway", route: str = MODELS, **options: Any) -> httpx.Response:
    """The answer of a sandbox whose first call meets the fault."""
    caller = start(dialect=dialect, faults=[Fault(route, **options)])
    return caller.submit() if route == SUBMIT else caller.models()


BODIES: list[tuple[str, bytes, str | None]] = [
    ("error", b'{"error":{"message":"m (request id: R)","type":"new_api_error","code":"c"}}', JSON_TYPE),
    ("sse", b'{"error":{"message":"m (request id: R)","type":"new_api_error","code":"c"}}', "text/event-stream"),
    ("flat", b'{"code":"c","message":"m","data":null}', JSON_TYPE),
    ("api", b'{"success":false,"message":"m"}', JSON_TYPE),
    ("error_string", b'{"error":"m"}', JSON_TYPE),
    ("message", b'{"message":"m"}', JSON_TYPE),
    ("msg", b'{"msg":"m"}', JSON_TYPE),
    ("detail", b'{"detail":"m"}', JSON_TYPE),
    ("text", b"m", "text/plain; charset=utf-8"),
    ("empty", b"", None),
    ('{"custom": 1}', b'{"custom": 1}', JSON_TYPE),
    ("just words", b"just words", "text/plain; charset=utf-8"),
]


@pytest.mark.parametrize(("body", "expected", "content_type"), BODIES, ids=[case[0] for case in BODIES])
def test_a_fault_answers_with_the_body_of_its_kind(
    start: Starter, body: str, expected: bytes, content_type: str | None
) -> None:
    answer = fault_once(start, status=502, body=body, code="c", message="m")
    request_id = answer.headers["x-oneapi-request-id"].encode()
    assert answer.status_code == 502
    assert answer.content == expected.replace(b"R)", request_id + b")")
    assert answer.headers.get("content-type") == content_type


def test_a_fault_answers_with_bytes_as_they_are(start: Starter) -> None:
    answer = fault_once(start, status=500, body=b"\xff\x00", content_type="application/json")
    assert answer.content == b"\xff\x00"
    assert answer.headers["content-type"] == "application/json"


def test_html_is_a_page_of_a_proxy(start: Starter) -> None:
    answer = fault_once(start, status=520, body="html")
    assert answer.status_code == 520
    assert answer.headers["content-type"].startswith("text/html")
    assert answer.text.startswith("<html>")


def test_truncated_json_does_not_parse(start: Starter) -> None:
    answer = fault_once(start, status=500, body="truncated")
    with pytest.raises(ValueError, match=r"delimiter|Unterminated|Expecting"):
        answer.json()


def test_the_body_fits_route_and_dialect_unless_chosen(start: Starter) -> None:
    assert fault_once(start, status=500, code="x").json()["error"]["type"] == "new_api_error"
    assert fault_once(start, route=SUBMIT, status=500, code="x").json().keys() == {"code", "message", "data"}
    documented = fault_once(start, "documented", status=403).json()
    assert documented["error"]["type"] == "permission_error"


def test_a_body_without_a_status_is_an_error_under_a_200(start: Starter) -> None:
    answer = fault_once(start, body="error", code="bad_response")
    assert answer.status_code == 200
    assert answer.json()["error"]["code"] == "bad_response"


def test_a_code_without_a_status_is_a_500(start: Starter) -> None:
    assert fault_once(start, code="get_channel_failed").status_code == 500


@pytest.mark.parametrize(
    ("retry_after", "header"), [("7", "retry-after"), ("date", "retry-after"), ("ms", "retry-after-ms")]
)
def test_a_fault_can_say_when_to_come_back(start: Starter, retry_after: str, header: str) -> None:
    assert fault_once(start, status=429, retry_after=retry_after).headers[header]


def test_headers_are_added_to_a_fault_and_to_the_real_answer(start: Starter) -> None:
    assert fault_once(start, status=500, headers={"CF-Ray": "abc"}).headers["cf-ray"] == "abc"
    real = fault_once(start, headers={"CF-Ray": "abc"}, content_type="text/plain", retry_after="3")
    assert real.json()["object"] == "list"
    assert (real.headers["cf-ray"], real.headers["retry-after"]) == ("abc", "3")
    assert real.headers["content-type"] == "text/plain"


def test_a_refusing_fault_neither_accepts_nor_bills(start: Starter) -> None:
    caller = start(faults=[Fault(SUBMIT, status=503, at=(1,))])
    assert [caller.submit().status_code for _ in range(2)] == [503, 200]
    ledger = caller.sandbox.ledger
    assert [(entry.accepted, entry.fault, entry.charge_usd) for entry in ledger.entries] == [
        (False, "status-503", 0.0),
        (True, None, 0.5),
    ]


def test_after_accept_bills_first_and_answers_with_the_fault(start: Starter) -> None:
    caller = start(faults=[Fault(SUBMIT, status=502, body="html", after_accept=True)])
    assert caller.submit().status_code == 502
    (entry,) = caller.sandbox.ledger.entries
    assert (entry.status, entry.accepted, entry.charge_usd) == (502, True, 0.5)
    assert entry.task_id is not None
    assert caller.fetch(entry.task_id)["code"] == "success"


def test_after_accept_alone_resets_instead_of_answering(start: Starter) -> None:
    caller = start(faults=[Fault(SUBMIT, after_accept=True, at=(1,))])
    with pytest.raises(httpx.ReadError):
        caller.submit()
    assert caller.submit().status_code == 200
    ledger = caller.sandbox.ledger
    assert (ledger.accepted(SUBMIT), ledger.billed(SUBMIT), ledger.duplicates(SUBMIT)) == (2, 2, 1)
    assert [entry.status for entry in ledger.entries] == [0, 200]


def test_after_accept_of_a_refused_request_is_the_refusal(start: Starter) -> None:
    caller = start(faults=[Fault(SUBMIT, status=502, after_accept=True)])
    assert caller.submit(prompt="").status_code == 400
    assert caller.sandbox.ledger.accepted() == 0


def test_after_accept_with_a_stall_is_accepted_and_silent(start: Starter) -> None:
    caller = start(faults=[Fault(SUBMIT, stall=True, after_accept=True)])
    with pytest.raises(httpx.ReadTimeout):
        caller.call("POST", "/v1/video/generations", json={"model": "grok-imagine-video", "prompt": "x"}, timeout=0.05)
    assert caller.sandbox.ledger.billed(SUBMIT) == 1


def test_a_stall_is_silent_and_accepts_nothing(start: Starter) -> None:
    caller = start(faults=[Fault(SUBMIT, stall=True)])
    with pytest.raises(httpx.ReadTimeout):
        caller.call("POST", "/v1/video/generations", json={}, timeout=0.05)
    (entry,) = caller.sandbox.ledger.entries
    assert (entry.status, entry.accepted, entry.fault) == (0, False, "stall")


def test_a_stall_does_not_keep_the_sandbox_from_stopping(start: Starter) -> None:
    caller = start(faults=[Fault(MODELS, stall=True), Fault(CHAT, delay=60)])
    with pytest.raises(httpx.ReadTimeout):
        caller.call("GET", "/v1/models", timeout=0.02)
    with pytest.raises(httpx.ReadTimeout):
        caller.call("POST", "/v1/chat/completions", json=CHAT_REQUEST, timeout=0.02)
    began = time.monotonic()
    caller.sandbox.stop()
    assert time.monotonic() - began < 1


def test_a_delay_accepts_at_once_and_answers_late(start: Starter) -> None:
    caller = start(faults=[Fault(SUBMIT, delay=30)])
    with pytest.raises(httpx.ReadTimeout):
        caller.call("POST", "/v1/video/generations", json={"model": "grok-imagine-video", "prompt": "x"}, timeout=0.05)
    assert caller.sandbox.ledger.billed(SUBMIT) == 1


def test_a_short_delay_gives_the_real_answer(start: Starter) -> None:
    caller = start(faults=[Fault(MODELS, delay=0.02)])
    began = time.monotonic()
    assert caller.models().status_code == 200
    assert time.monotonic() - began >= 0.02


def test_a_body_is_cut_below_its_content_length(start: Starter) -> None:
    caller = start(faults=[Fault(MODELS, cut_body_after=10)])
    headers = {"authorization": f"Bearer {caller.sandbox.api_key}"}
    with caller.http.stream("GET", caller.sandbox.base_url + "/models", headers=headers) as answer:
        assert answer.status_code == 200
        with pytest.raises(httpx.RemoteProtocolError, match="received 10 bytes"):
            answer.read()


def test_a_download_is_cut_and_resumes(start: Starter) -> None:
    faults = [Fault("CDN /clips/{name}", cut_body_after=1000, at=(1,))]
    caller = start(tasks=TaskPlan(TaskScript(0, 0)), time_scale=0, faults=faults, clip_bytes=2_000_000)
    url = f"{caller.sandbox.cdn_url}/clips/{caller.submitted()}.mp4"
    with pytest.raises(httpx.RemoteProtocolError, match="received 1000 bytes"):
        caller.download(url)
    assert caller.download(url, range="bytes=1000-").status_code == 206


def test_the_result_host_meets_faults_too(start: Starter) -> None:
    caller = start(faults=[Fault("CDN /images/{name}", status=503, body="html", at=(1,))])
    url = caller.images().json()["data"][0]["url"]
    assert [caller.download(url).status_code for _ in range(2)] == [503, 200]


def test_a_redirect_goes_where_it_is_told(start: Starter) -> None:
    for wanted, status in ((None, 307), (302, 302)):
        answer = fault_once(start, redirect_to="http://other.test/x", status=wanted)
        assert (answer.status_code, answer.headers["location"]) == (status, "http://other.test/x")


def test_gzip_garbage_does_not_decode(start: Starter) -> None:
    with pytest.raises(httpx.DecodingError):
        fault_once(start, gzip_garbage=True)


def test_an_encoding_is_real_when_known_and_claimed_when_not(start: Starter) -> None:
    for encoding in ("gzip", "deflate"):
        answer = fault_once(start, encoding=encoding)
        assert answer.headers["content-encoding"] == encoding
        assert answer.json()["object"] == "list"
    claimed = fault_once(start, encoding="x-none")
    assert claimed.headers["content-encoding"] == "x-none"
    assert gzip.compress(b"")[:2] != claimed.content[:2]


def test_an_endless_body_goes_on_until_the_caller_has_enough(start: Starter) -> None:
    caller = start(faults=[Fault(MODELS, endless_body=True)])
    headers = {"authorization": f"Bearer {caller.sandbox.api_key}"}
    size = 0
    with caller.http.stream("GET", caller.sandbox.base_url + "/models", headers=headers) as answer:
        for piece in answer.iter_raw():
            size += len(piece)
            if size > 5_000_000:
                break
    assert size > 5_000_000


def stream_text(caller: Caller) -> tuple[str, bool]:
    """What arrived of a chat stream, and whether it ended in an orderly way."""
    headers = {"authorization": f"Bearer {caller.sandbox.api_key}"}
    body = {"model": "grok-4.3", "stream": True, "messages": [{"role": "user", "content": "one two three"}]}
    text = ""
    with caller.http.stream(
        "POST", caller.sandbox.base_url + "/chat/completions", json=body, headers=headers
    ) as answer:
        try:
            for piece in answer.iter_text():
                text += piece
        except httpx.RemoteProtocolError:
            return text, False
    return text, True


def test_a_stream_is_cut_after_so_many_events(start: Starter) -> None:
    text, orderly = stream_text(start(faults=[Fault(CHAT, cut_stream_after=3)]))
    assert len(events_of(text)) == 3
    assert not orderly


def test_a_truncated_stream_says_done_without_a_finish_reason(start: Starter) -> None:
    text, orderly = stream_text(start(faults=[Fault(CHAT, truncate_stream_after=3)]))
    assert orderly
    assert events_of(text)[-1] == "[DONE]"
    assert len(events_of(text)) == 4
    assert {choice["finish_reason"] for chunk in chunks_of(text) for choice in chunk["choices"]} == {None}


def test_a_stream_fails_in_the_middle_with_an_error_event(start: Starter) -> None:
    fault = Fault(CHAT, stream_error_after=2, code="bad_response", message="gone")
    text, orderly = stream_text(start(faults=[fault]))
    events = events_of(text)
    assert orderly
    assert len(events) == 3
    assert json.loads(events[-1])["error"] == {
        "message": "gone",
        "type": "upstream_error",
        "param": "",
        "code": "bad_response",
    }


def statuses(caller: Caller, number: int) -> list[int]:
    return [caller.models().status_code for _ in range(number)]


def test_at_chooses_calls_by_number(start: Starter) -> None:
    assert statuses(start(faults=[Fault(MODELS, status=500, at=(2, 4))]), 5) == [200, 500, 200, 500, 200]


def test_every_chooses_each_nth_call(start: Starter) -> None:
    assert statuses(start(faults=[Fault(MODELS, status=500, every=2)]), 4) == [200, 500, 200, 500]


def test_times_ends_a_fault(start: Starter) -> None:
    assert statuses(start(faults=[Fault(status=500, times=2)]), 3) == [500, 500, 200]


def test_probability_repeats_with_its_seed(start: Starter) -> None:
    def draw(seed: int) -> list[int]:
        return statuses(start(seed=seed, faults=[Fault(MODELS, status=500, probability=0.5)]), 20)

    assert draw(1) == draw(1)
    assert draw(1) != draw(2)
    assert 3 < draw(1).count(500) < 17


def test_probability_on_one_route_is_not_shifted_by_another() -> None:
    def draw(noise: int) -> list[bool]:
        plan = FaultPlan([Fault(SUBMIT, status=500, probability=0.5)], seed=3)
        drawn: list[bool] = []
        for _ in range(20):
            drawn.append(plan.choose(SUBMIT) is not None)
            for _ in range(noise):
                plan.choose(MODELS)
        return drawn

    assert draw(0) == draw(3)


def test_the_first_fault_that_fires_wins_and_all_count(start: Starter) -> None:
    faults = [Fault(MODELS, status=500, at=(1,)), Fault("*", status=502, at=(1, 2), name="second")]
    caller = start(faults=faults)
    assert statuses(caller, 3) == [500, 502, 200]
    assert caller.sandbox.faults.fired == {"status-500": 1, "second": 1}


def test_faults_can_be_added_and_cleared_while_running(start: Starter) -> None:
    caller = start()
    caller.models()
    caller.sandbox.faults.add(Fault(MODELS, status=500, at=(1,)))
    assert statuses(caller, 2) == [500, 200]
    caller.sandbox.faults.add(Fault(status=502))
    caller.sandbox.faults.clear()
    assert statuses(caller, 1) == [200]


def test_calls_that_are_refused_at_the_gate_are_not_counted(start: Starter) -> None:
    caller = start(faults=[Fault(MODELS, status=500, at=(1,))])
    assert caller.call("GET", "/v1/models", headers={"authorization": "Bearer no"}).status_code == 401
    assert caller.models().status_code == 500


@pytest.mark.parametrize("options", [{"every": 0}, {"probability": 1.5}, {"at": (0,)}], ids=str)
def test_a_fault_that_can_never_be_meant_is_a_mistake(options: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=r"must be|counts from"):
        Fault(**options)


def test_a_cut_stream_leaves_no_connection_behind(start: Starter) -> None:
    caller = start(faults=[Fault(CHAT, cut_stream_after=1)])
    for _ in range(3):
        stream_text(caller)
    block_until(lambda: caller.sandbox.ledger.count(CHAT) == 3)
    assert caller.models().status_code == 200


def test_somebody_else_answers_without_the_gateways_marks(start: Starter) -> None:
    caller = start(faults=[Fault(SUBMIT, status=504, body="html", by="cloudflare", after_accept=True, at=(1,))])
    answer = caller.submit()
    assert (answer.status_code, answer.headers["cf-ray"][-4:]) == (504, "-FRA")
    assert "x-oneapi-request-id" not in answer.headers
    assert "x-new-api-version" not in answer.headers
    assert caller.sandbox.ledger.billed(SUBMIT) == 1
    assert "x-oneapi-request-id" in caller.submit().headers
    with pytest.raises(ValueError, match="by is one of nginx"):
        Fault(SUBMIT, status=504, by="squid")
