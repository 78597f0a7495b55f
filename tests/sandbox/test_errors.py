"""Refusals in both dialects (wire 2): what the status says and what the code says."""

from __future__ import annotations

import pytest

from relaydance_async.sandbox import Account
from tests.sandbox.support import Caller, Starter

BOTH = pytest.mark.parametrize("dialect", ["gateway", "documented"])
PAID = pytest.mark.parametrize("route", ["submit", "chat", "images"])


def call(caller: Caller, route: str, **changes: object) -> tuple[int, dict[str, object]]:
    answer = {"submit": caller.submit, "chat": caller.chat, "images": caller.images}[route](**changes)
    return answer.status_code, answer.json()


@PAID
def test_an_unknown_model_is_a_503_of_the_gateway(start: Starter, route: str) -> None:
    status, body = call(start(), route, model="none-such")
    error = body["error"]
    assert isinstance(error, dict)
    assert (status, error["code"], error["type"]) == (503, "model_not_found", "new_api_error")


@PAID
def test_an_unknown_model_is_a_documented_404(start: Starter, route: str) -> None:
    assert call(start(dialect="documented"), route, model="none-such")[0] == 404


@BOTH
@PAID
def test_a_missing_model_is_a_400(start: Starter, dialect: str, route: str) -> None:
    assert call(start(dialect=dialect), route, model=None)[0] == 400


@BOTH
@PAID
def test_a_forbidden_model_is_a_403(start: Starter, dialect: str, route: str) -> None:
    status, body = call(start(dialect=dialect, accounts={"k": Account(models=set())}), route)
    assert status == 403
    if dialect == "gateway":
        assert isinstance(body["error"], dict)
        assert body["error"]["code"] == ""


@BOTH
@PAID
def test_a_short_balance_is_a_403_and_is_not_charged(start: Starter, dialect: str, route: str) -> None:
    caller = start(dialect=dialect, accounts={"k": Account(balance_usd=0.0)})
    status, body = call(caller, route)
    assert status == 403
    if dialect == "gateway":
        inner = body if route == "submit" else body["error"]
        assert isinstance(inner, dict)
        assert inner["code"] == "insufficient_user_quota"
    assert caller.sandbox.ledger.charged_usd == 0


def test_a_balance_runs_out_by_the_clip(start: Starter) -> None:
    caller = start(accounts={"k": Account(balance_usd=1.2)})
    assert [caller.submit().status_code for _ in range(4)] == [200, 200, 403, 403]


def test_an_unlimited_account_never_runs_out(start: Starter) -> None:
    caller = start(accounts={"k": Account(balance_usd=0, unlimited=True)})
    assert caller.submit().status_code == 200
    assert caller.sandbox.ledger.charged_usd == 0.5


@PAID
def test_a_refused_prompt_is_a_500_of_the_gateway(start: Starter, route: str) -> None:
    text = "a forbidden-word here"
    changes: dict[str, object] = (
        {"messages": [{"role": "user", "content": text}]} if route == "chat" else {"prompt": text}
    )
    caller = start()
    status, body = call(caller, route, **changes)
    inner = body if route == "submit" else body["error"]
    assert isinstance(inner, dict)
    assert (status, inner["code"]) == (500, "sensitive_words_detected")
    assert caller.sandbox.ledger.charged_usd == 0


@BOTH
@pytest.mark.parametrize("content", [b"{", b"[]", b"", b"\xff"])
def test_a_body_that_is_no_json_object_is_a_400(start: Starter, dialect: str, content: bytes) -> None:
    answer = start(dialect=dialect).call("POST", "/v1/chat/completions", content=content)
    assert answer.status_code == 400
    assert "error" in answer.json()


@BOTH
def test_a_body_that_is_too_large_is_a_413(start: Starter, dialect: str) -> None:
    caller = start(dialect=dialect, max_body_bytes=1000)
    for answer in (caller.submit(prompt="x" * 2000), caller.upload(b"x" * 2000), caller.upload(b"x" * 3_000_000)):
        assert answer.status_code == 413
        if dialect == "gateway":
            assert answer.json()["error"]["code"] == "read_request_body_failed"
    assert caller.models().status_code == 200


def test_a_body_of_unsaid_length_that_is_too_large_is_a_413(start: Starter) -> None:
    caller = start(max_body_bytes=1000)
    content = (b"x" * 100 for _ in range(100))
    headers = {"content-type": "multipart/form-data; boundary=b"}
    assert caller.call("POST", "/v1/files", content=content, headers=headers).status_code in (400, 413)
    start_of_part = b'--b\r\ncontent-disposition: form-data; name="file"; filename="a"\r\n\r\n'
    pieces = (start_of_part if n == 0 else b"x" * 100_000 for n in range(30))
    assert caller.call("POST", "/v1/files", content=pieces, headers=headers).status_code == 413


def test_gateway_messages_carry_the_request_id(start: Starter) -> None:
    answer = start().chat(messages=[])
    request_id = answer.headers["x-oneapi-request-id"]
    assert answer.json()["error"]["message"].endswith(f" (request id: {request_id})")
