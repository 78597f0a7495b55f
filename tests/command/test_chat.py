"""`relaydance chat`: one question, and a conversation on a terminal."""

from __future__ import annotations

import json

import pytest

from relaydance_async.sandbox import Fault
from tests.command.support import Desk, in_terminal, plain
from tests.kit.routes import CHAT


def test_a_question_of_several_words(desk: Desk) -> None:
    done = desk("chat", "Why", "is", "the", "sea", "salty?")
    assert (done.code, done.out, done.err) == (0, "You said: Why is the sea salty?\n", "")


@pytest.mark.parametrize(
    ("arguments", "typed", "said"),
    [
        ([], "Why?", "You said: Why?\n"),
        (["Sum", "this", "up:", "--stdin"], "Ünïcode\r\n", "You said: Sum this up:\n\nÜnïcode\n"),
        (["--", "--debug"], "", "You said: --debug\n"),
    ],
)
def test_a_question_from_a_pipe(desk: Desk, arguments: list[str], typed: str, said: str) -> None:
    done = desk("chat", *arguments, typed=typed)
    assert (done.code, done.out, done.err) == (0, said, "")


def test_a_pipe_is_left_alone_when_there_is_a_question(desk: Desk) -> None:
    """As in a `while read` loop, whose stdin is the rest of the list."""
    process = desk.start("chat", "Why?", stdin=-1)
    assert process.wait(60) == 0
    process.communicate()


@pytest.mark.parametrize("typed", ["", " \n"])
def test_nothing_was_asked(desk: Desk, typed: str) -> None:
    done = desk("chat", typed=typed)
    assert (done.code, done.out, done.err.count("\n")) == (2, "", 1)
    assert desk.sandbox.ledger.count() == 0


def test_stdin_that_is_no_text(desk: Desk) -> None:
    assert desk("chat", typed=b"a\xffb").out == "You said: a\N{REPLACEMENT CHARACTER}b\n"


def test_system_model_and_pictures_are_sent(desk: Desk) -> None:
    desk.write("cat.png", "a picture")
    done = desk(
        *("chat", "What is it?", "--system", "Be short", "--model", "grok-4.3", "--image", "cat.png"),
        *("--image", "https://example.com/a.png", "--max-tokens", "50", "--temperature", "0.5"),
    )
    assert done.code == 0
    assert desk("chat", "What?", "--image", "nothing.png").code == 2
    assert desk.sandbox.ledger.count(CHAT) == 1


def test_the_whole_answer_as_json(desk: Desk) -> None:
    for arguments in (["--output", "json"], ["--json", "--no-stream"]):
        content = json.loads(desk("chat", "Why?", *arguments).out)["choices"][0]["message"]["content"]
        assert content == "You said: Why?"
    chunks = [json.loads(line) for line in desk("chat", "Why?", "--json").out.splitlines()]
    assert "".join(c["choices"][0]["delta"].get("content", "") for c in chunks if c["choices"]) == "You said: Why?"


def test_without_streaming(desk: Desk) -> None:
    assert desk("chat", "Why?", "--no-stream").out == "You said: Why?\n"


def test_an_answer_that_ended_early_is_told(desk: Desk) -> None:
    desk.sandbox.chat.reply("As far as", finish_reason="length")
    done = desk("chat", "Why?")
    assert (done.code, done.out) == (0, "As far as\n")
    assert "ended early: length" in done.err


def test_a_stream_that_breaks_keeps_what_came(desk: Desk) -> None:
    desk.sandbox.faults.add(Fault(CHAT, cut_stream_after=2))
    done = desk("chat", "one two three four five")
    assert done.code in (1, 3, 6)
    assert done.out.startswith("You")
    assert done.err.count("relaydance: ") == 1


def test_a_conversation_on_a_terminal(desk: Desk) -> None:
    desk.sandbox.chat.reply("Fine.")
    said, code = in_terminal(
        "chat",
        types=(
            ("> ", b"How are you?\n"),
            ("> ", b"And you?\n"),
            ("> ", b"/new\n"),
            ("> ", b"/help\n"),
            ("> ", b"\x03"),
            ("> ", b"/model nothing\n"),
            ("> ", b"Who?\n"),
            ("> ", b"/model grok-4.3\n"),
            ("> ", b"Again\n"),
            ("> ", b"\x04"),
        ),
        columns=200,
    )
    assert code == 0
    for text in ("grok-4.3.", "Fine.", "You said: And you?", "NotFoundError", "You said: Again"):
        assert text in plain(said)
    assert desk.sandbox.ledger.count(CHAT, accepted=True) == 3


def test_ctrl_c_stops_an_answer_and_not_the_conversation(desk: Desk) -> None:
    desk.sandbox.faults.add(Fault(CHAT, delay=30, at=(1,)))
    said, code = in_terminal(
        "chat",
        types=(
            ("> ", b"Slow\n"),
            (lambda: desk.sandbox.ledger.count(CHAT) or desk.sandbox.faults.fired, b"\x03"),
            ("> ", b"Fast\n"),
            ("> ", b"\x04"),
        ),
    )
    assert code == 0
    assert "interrupted" in said
    assert "You said: Fast" in said
    assert "Traceback" not in said
