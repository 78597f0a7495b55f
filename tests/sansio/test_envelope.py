"""Error bodies into what they say (wire 2.2): the shapes, without a socket."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from relaydance_async._sansio.envelope import (
    BODY_KEPT,
    Envelope,
    build_decode_error,
    build_status_error,
    decode_status_error,
    parse_envelope,
)
from relaydance_async.errors import (
    APIStatusError,
    ContentRefusedError,
    ResponseDecodeError,
    ServerError,
)
from relaydance_async.models.meta import ResponseMeta

SHAPES: dict[str, tuple[str, Envelope]] = {
    "the envelope": (
        '{"error": {"message": "m", "type": "t", "code": "c", "param": "p"}}',
        Envelope("m", "t", "c", "p"),
    ),
    "an empty code": ('{"error": {"message": "m", "code": ""}}', Envelope("m")),
    "no code": ('{"error": {"message": "m", "code": null, "param": null}}', Envelope("m")),
    "a number for a code": ('{"error": {"message": "m", "code": 1210}}', Envelope("m", code="1210")),
    "a code beside the envelope": ('{"error": {"message": "m"}, "code": "c"}', Envelope("m", code="c")),
    "white space": ('{"error": {"message": " m \\n", "code": " c "}}', Envelope("m", code="c")),
    "no message, but a code": ('{"error": {"code": "c"}}', Envelope("c", code="c")),
    "no message, but a type": ('{"error": {"type": "t"}}', Envelope("t", type="t")),
    "an empty envelope": ('{"error": {}}', Envelope("unknown error")),
    "an object for a message": ('{"error": {"message": {"a": "å"}}}', Envelope('{"a": "å"}')),
    "a string": ('{"error": "e"}', Envelope("e")),
    "a string and a message": ('{"error": "e", "message": "m", "code": "c"}', Envelope("m", code="c")),
    "flat": ('{"code": "c", "message": "m", "data": null}', Envelope("m", code="c")),
    "flat, without a message": ('{"code": "c", "message": "", "data": null}', Envelope("unknown error", code="c")),
    "message": ('{"message": "m"}', Envelope("m")),
    "msg": ('{"msg": "m"}', Envelope("m")),
    "detail": ('{"detail": "m"}', Envelope("m")),
    "not a success": ('{"success": false, "message": "m"}', Envelope("m")),
    "not a success, around data": ('{"success": false, "message": "m", "data": {"a": 1}}', Envelope("m")),
    "Chinese": ('{"error": {"message": "令牌无效"}}', Envelope("令牌无效")),
}

NO_ERRORS: dict[str, str] = {
    "a wrapped task": '{"code": "success", "message": "", "data": {"task_id": "task_1"}}',
    "a wrapped task without data": '{"code": "success", "message": "", "data": null}',
    "a usage": '{"code": true, "message": "ok", "data": {"name": "key"}}',
    "a list": '{"object": "list", "data": [], "success": true}',
    "an error of null": '{"error": null, "data": []}',
    "an empty error": '{"error": "", "data": []}',
    "nothing": "",
    "a page": "<html></html>",
    "text": "bad gateway",
    "an array": "[1]",
    "half of it": '{"error": {"mess',
    "deep": "[" * 100_000,
}


@pytest.mark.parametrize("case", SHAPES)
def test_each_shape_of_an_error_says_the_same(case: str) -> None:
    body, said = SHAPES[case]
    assert parse_envelope(body.encode()) == said


@pytest.mark.parametrize("case", NO_ERRORS)
def test_what_is_no_error_is_not_taken_for_one(case: str) -> None:
    assert parse_envelope(NO_ERRORS[case].encode()) is None


def test_a_long_message_is_cut() -> None:
    found = parse_envelope(json.dumps({"message": "m" * 100_000}).encode())
    assert found is not None
    assert len(found.message) == 2000


def test_a_long_page_is_shown_from_its_beginning_only() -> None:
    error = decode_status_error(ResponseMeta(status_code=502), b"<html>" + b"x " * 10_000)
    assert len(error.message) < 300
    assert error.message.endswith("…'")


def test_bytes_that_are_no_text_are_shown_all_the_same() -> None:
    assert decode_status_error(ResponseMeta(status_code=502), b"\xff\xfe").message == "'\ufffd\ufffd'"


def test_an_unreadable_answer_is_kept_whole_for_it_may_be_paid_for() -> None:
    error = build_decode_error(ResponseMeta(status_code=200), b"x" * (BODY_KEPT + 1), "no model")
    assert (error.raw_body, error.body) == (b"x" * (BODY_KEPT + 1), "x" * (BODY_KEPT + 1))
    assert error.message.startswith("no model: 'xxx")


def test_of_an_error_the_beginning_is_kept_and_all_of_one_with_a_good_status() -> None:
    body = b'{"error": {"message": "m"}, "data": "' + b"x" * BODY_KEPT + b'"}'
    assert decode_status_error(ResponseMeta(status_code=200), body).raw_body == body
    assert decode_status_error(ResponseMeta(status_code=502), body).raw_body == body[:BODY_KEPT]


@pytest.mark.parametrize(
    ("body", "shown"),
    [(b'{"detail": "m"}', {"detail": "m"}), (b"<html>", "<html>"), (b"\xff", "\ufffd"), (b"", ""), (b"7", 7)],
)
def test_the_body_of_an_error_is_its_json_or_its_text(body: bytes, shown: object) -> None:
    assert decode_status_error(ResponseMeta(status_code=400), body).body == shown


def test_retry_after_is_kept_whatever_the_status() -> None:
    for status in (400, 429, 503):
        error = build_status_error(ResponseMeta(status_code=status), Envelope("m"), retry_after=3.0)
        assert error.retry_after == 3.0


def test_a_refusal_may_have_any_ending() -> None:
    for code in ("violation_fee.", "violation_fee.x.y"):
        error = build_status_error(ResponseMeta(status_code=500), Envelope("m", code=code))
        assert type(error) is ContentRefusedError
        assert not error.retryable


def test_half_of_a_surrogate_pair_is_replaced_so_that_the_error_can_be_written() -> None:
    for body in (rb'{"error": {"message": "no \ud83d"}}', rb'{"error": "no \ud83d"}', rb'{"detail": ["no \ud83d"]}'):
        error = decode_status_error(ResponseMeta(status_code=400), body)
        assert "no \ufffd" in error.message
        assert str(error).encode()


def test_an_error_in_nothing_but_brackets_is_an_error() -> None:
    for depth in range(900, 1000):
        body = b'{"error": {"message": ' + b"[" * depth + b"]" * depth + b"}}"
        error = decode_status_error(ResponseMeta(status_code=500), body)
        assert isinstance(error, ServerError)
        assert error.message


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(["error", "message", "msg", "detail", "code", "type", "param", "data", "success"])
            | st.text(max_size=3),
            inner,
            max_size=5,
        )
    ),
    max_leaves=12,
)


@given(JSON, st.sampled_from([200, 400, 401, 403, 404, 413, 429, 500, 503, 599]))
def test_any_json_under_any_status_is_an_error_of_ours_with_a_message(content: Any, status: int) -> None:
    error = decode_status_error(ResponseMeta(status_code=status), json.dumps(content).encode())
    assert isinstance(error, APIStatusError)
    assert error.message.strip()
    assert error.code is None or error.code.strip()
    assert str(error)


@given(st.binary(max_size=200))
def test_any_bytes_are_an_error_of_ours(body: bytes) -> None:
    assert isinstance(decode_status_error(ResponseMeta(status_code=500), body), ServerError)
    assert isinstance(build_decode_error(ResponseMeta(status_code=200), body, "odd"), ResponseDecodeError)
