"""What follows from a broken connection, and how far a request counts as having got."""

from __future__ import annotations

import pytest

from relaydance_async import (
    APIConnectionError,
    APITimeoutError,
    InvalidInputError,
    RelayDanceError,
    ResponseDecodeError,
)
from relaydance_async._sansio.breakage import (
    BreakKind,
    Broke,
    Phase,
    Progress,
    Reached,
    as_line,
    build_connection_error,
    describe_timeout,
    is_passing_refusal,
)
from relaydance_async._sansio.timeout import Timeout


@pytest.mark.parametrize(
    ("kind", "expected", "text"),
    [
        ("connect", APIConnectionError, "no connection to cdn.example: why"),
        ("tls", APIConnectionError, "no connection to cdn.example: why"),
        ("setup", APIConnectionError, "no connection to cdn.example: why"),
        ("proxy", APIConnectionError, "the proxy refused the connection: why"),
        ("timeout", APITimeoutError, "why"),
        ("coding", ResponseDecodeError, "the answer's content encoding is broken: why"),
        ("body", InvalidInputError, "why"),
    ],
)
def test_the_kind_decides_the_error(kind: BreakKind, expected: type[RelayDanceError], text: str) -> None:
    error = build_connection_error(Broke(Reached.NOT_SENT, kind, "why"), peer="cdn.example")
    assert (type(error), error.message, error.maybe_accepted) == (expected, text, False)


@pytest.mark.parametrize(
    ("reached", "maybe_accepted"),
    [
        (Reached.NOT_SENT, False),
        (Reached.PARTLY_SENT, False),
        (Reached.SENT, True),
        (Reached.ANSWERING, True),
    ],
)
@pytest.mark.parametrize("kind", ["closed", "timeout", "setup"])
def test_only_a_request_whose_end_may_have_left_may_have_been_accepted(
    kind: BreakKind, reached: Reached, maybe_accepted: bool
) -> None:
    error = build_connection_error(Broke(reached, kind, "why"), peer="the gateway")
    assert error.maybe_accepted == reached.maybe_accepted == maybe_accepted
    if kind == "closed" and reached is not Reached.NOT_SENT:
        assert error.message == "the connection broke: why"


@pytest.mark.parametrize("retryable", [True, False])
def test_whether_it_is_repeated_is_the_adapters_word(retryable: bool) -> None:
    for kind in ("closed", "timeout", "proxy", "tls"):
        broke = Broke(Reached.NOT_SENT, kind, "why", retryable)
        assert build_connection_error(broke, peer="the gateway").retryable == retryable


def test_a_text_is_one_line_of_bounded_length() -> None:
    assert as_line("400, message:\n  Not\tenough \r\n data") == "400, message: Not enough data"
    assert as_line("x" * 1000) == "x" * 300 + "…"


@pytest.mark.parametrize(
    ("phase", "text"),
    [
        ("connect", "no connection within 1.5 s"),
        ("pool", "no free connection in the pool within 1.5 s"),
        ("read", "no answer within 2 s"),
        ("write", "the request could not be sent within 3 s"),
    ],
)
def test_a_timeout_names_what_did_not_happen_and_its_seconds(phase: Phase, text: str) -> None:
    assert describe_timeout(phase, Timeout(1.5, 2.0, 3.0)) == text


@pytest.mark.parametrize(
    ("status", "passes"), [(500, True), (502, True), (408, True), (429, True), (407, False), (403, False)]
)
def test_a_proxys_refusal_passes_when_no_password_is_lacking(status: int, passes: bool) -> None:
    assert is_passing_refusal(status) == passes


def test_what_the_connection_took_nothing_of_was_not_sent() -> None:
    progress = Progress()
    progress.sending()
    progress.sent()
    progress.unsent()
    assert progress.reached is Reached.NOT_SENT


def test_progress_goes_from_nothing_to_an_answer() -> None:
    progress = Progress()
    seen = [progress.reached]
    assert progress.sending() is None
    for step in (progress.refused, progress.sent, progress.refused, progress.sent, progress.answered):
        seen.append(progress.reached)
        step()
    progress.sent()  # the end of an upload that was answered before
    progress.refused()
    assert [*seen, progress.reached] == [
        Reached.NOT_SENT,
        Reached.PARTLY_SENT,
        Reached.PARTLY_SENT,
        Reached.SENT,
        Reached.PARTLY_SENT,
        Reached.SENT,
        Reached.ANSWERING,
    ]
