"""`relaydance raw`: any endpoint."""

from __future__ import annotations

import json

import pytest

from relaydance_async.sandbox import Fault
from tests.command.support import Desk, in_terminal
from tests.kit.routes import CHAT, FILES, MODELS

CHATTED = '{"model": "grok-4.3", "messages": [{"role": "user", "content": "Why?"}]}'


def test_a_get(desk: Desk) -> None:
    done = desk("raw", "GET", "/models", "--query", "a=1", "--query", "a=2", "--header", "X-Mine=yes")
    assert (done.code, len(json.loads(done.out)["data"])) == (0, 11)
    assert "\n" in done.out.strip()
    assert desk("raw", "get", "/models", "--output", "jsonl").out.count("\n") == 1


@pytest.mark.parametrize("body", [CHATTED, "@body.json", "@-"])
def test_a_post(desk: Desk, body: str) -> None:
    desk.write("body.json", CHATTED)
    done = desk("raw", "POST", "/chat/completions", "--body", body, typed=CHATTED)
    assert json.loads(done.out)["choices"][0]["message"]["content"] == "You said: Why?"


def test_a_stream_and_a_form(desk: Desk) -> None:
    streamed = CHATTED.replace("{", '{"stream": true, ', 1)
    done = desk("raw", "POST", "/chat/completions", "--body", streamed, "--stream")
    assert (done.code, done.out.strip().endswith("data: [DONE]")) == (0, True)
    desk.write("cat.png", "a picture")
    done = desk("raw", "POST", "/files", "--form", "file=@cat.png", "--form", "purpose=x")
    assert json.loads(done.out)["url"].endswith("cat.png")
    assert desk.sandbox.ledger.accepted(FILES) == 1


def test_a_post_is_not_paid_for_twice(desk: Desk) -> None:
    desk.sandbox.faults.add(Fault(CHAT, after_accept=True, at=(1,)))
    done = desk("raw", "POST", "/chat/completions", "--body", CHATTED)
    assert (done.code, "look at the console" in done.err) == (3, True)
    assert desk.sandbox.ledger.billed(CHAT) == 1
    for _ in range(2):
        done = desk("raw", "POST", "/chat/completions", "--body", CHATTED, "--idempotency-key", "k")
        assert done.code == 0
    assert desk.sandbox.ledger.billed(CHAT) == 2


def test_what_is_free_is_repeated(desk: Desk) -> None:
    desk.sandbox.faults.add(Fault(CHAT, after_accept=True, at=(1,)))
    assert desk("raw", "POST", "/chat/completions", "--body", CHATTED, "--free").code == 0


@pytest.mark.parametrize(
    "arguments",
    [
        ("GET", "https://example.com/v1/models"),
        ("GET", "/../api"),
        ("BREW", "/models"),
        ("GET", "/models", "--query", "x"),
        ("GET", "/models", "--header", "Authorization=Bearer x"),
        ("POST", "/files", "--form", "file=@nothing.png"),
        ("POST", "/files", "--body", "@nothing.json"),
        ("GET", "/models", "--out", "nowhere/x"),
    ],
)
def test_what_is_refused(desk: Desk, arguments: tuple[str, ...]) -> None:
    done = desk("raw", *arguments)
    assert (done.code, done.out, done.err.count("\n")) == (2, "", 1)
    assert desk.sandbox.ledger.count() == 0


def test_an_unknown_path_and_an_answer_that_is_no_text(desk: Desk) -> None:
    assert desk("raw", "GET", "/nothing").code == 1
    desk.sandbox.faults.add(Fault(MODELS, status=200, body=b"\x00\xff", content_type="image/png"))
    said, code = in_terminal("raw", "GET", "/models")
    assert (code, "--out" in said) == (2, True)
    assert desk("raw", "GET", "/models", "--out", "answer").code == 0
    assert (desk.home / "answer").read_bytes() == b"\x00\xff"
