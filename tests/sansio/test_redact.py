"""The key, and what looks like one, is taken out of whatever is kept of an answer."""

from __future__ import annotations

import json
from base64 import b64encode, urlsafe_b64encode
from collections.abc import Callable
from urllib.parse import quote

import pytest
from hypothesis import given
from hypothesis import strategies as st

from relaydance_async._sansio.redact import Redactor, without_queries
from tests.kit.cpu import at_most_cpu

KEY = "sk-Very/Secret+0123456789="
REDACT = Redactor(KEY)


def escaped(text: str) -> str:
    return "".join(f"\\u{ord(c):04x}" if not c.isalnum() else c for c in text)


FORMS: dict[str, Callable[[str], str]] = {
    "as it is": lambda key: key,
    "in lower case": str.lower,
    "as JSON": json.dumps,
    "as JSON with its slashes escaped": lambda key: json.dumps(key).replace("/", r"\/"),
    "as JSON that holds no HTML": escaped,
    "in a URL": lambda key: quote(key, safe=""),
    "in the path of a URL": quote,
    "after a password's name": lambda key: f"key={key}&x=1",
    "in base64": lambda key: b64encode(key.encode()).decode(),
    "in base64 for URLs": lambda key: urlsafe_b64encode(key.encode()).decode().rstrip("="),
    "as a password": lambda key: b64encode(f"user:{key}".encode()).decode(),
    "as a password of no user": lambda key: b64encode(f":{key}x".encode()).decode(),
    "after Bearer": lambda key: f"Authorization: bearer {key}",
    "cut off": lambda key: f"'…{key[:15]}",
}


@pytest.mark.parametrize("form", FORMS)
def test_no_form_of_the_key_is_left(form: str) -> None:
    shown = FORMS[form](KEY)
    for text in (REDACT.text(f"you sent {shown}"), REDACT.body(f"you sent {shown}".encode()).decode()):
        assert shown[-12:] not in text
        assert KEY[3:] not in text
        assert text.startswith("you sent")
        assert "***" in text


def test_a_short_key_is_hidden_only_where_it_is_plainly_one() -> None:
    redact = Redactor("k")
    assert redact.text("ok, you sent Bearer k") == "ok, you sent Bearer ***"


@pytest.mark.parametrize("text", ["the bearer token is invalid", "Bearer authentication failed", "a bearer of news"])
def test_a_sentence_about_bearers_stays(text: str) -> None:
    assert REDACT.text(text) == text


def test_the_key_of_somebody_else_is_hidden_after_bearer() -> None:
    assert REDACT.text("Bearer sk-upstream-1234") == "Bearer ***"
    assert REDACT.text("bearer%20abcdefghijklmnopqrstuvwxyz") == "Bearer ***"


@given(st.binary(max_size=200))
def test_bytes_without_a_key_stay_as_they_are(body: bytes) -> None:
    assert REDACT.body(body) == body or b"earer" in body.lower()


@given(st.text(st.characters(codec="ascii", min_codepoint=33), min_size=8, max_size=200), st.text(max_size=20))
def test_any_key_is_found(key: str, around: str) -> None:
    redact = Redactor(key)
    assert key not in redact.text(f"{around} {key} {around}") or key in f"{around}***{around}"


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("see https://cdn.example/a.mp4?X-Sig=1&b=2 now", "see https://cdn.example/a.mp4?*** now"),
        (r'{"url":"https:\/\/cdn.example\/a.mp4?X-Sig=1"}', r'{"url":"https:\/\/cdn.example\/a.mp4?***"}'),
        ("http://h/?a https://h/b", "http://h/?*** https://h/b"),
        ("why? because", "why? because"),
    ],
)
def test_a_url_loses_its_query(text: str, shown: str) -> None:
    assert without_queries(text) == shown


@pytest.mark.parametrize(
    "unit", ["\\", "s\\", r"\u0073", "bearer ", "bearer+", "+", " ", "%20", "sk-Very", "http://", "https://h/?", "?"]
)
@pytest.mark.parametrize("before", ["", "bearer "])
def test_no_text_is_gone_through_again_and_again(unit: str, before: str) -> None:
    text = f"{before}{unit * (200_000 // len(unit))}?"
    with at_most_cpu(10):  # by the square of its length, each took minutes
        REDACT.text(text)
        without_queries(text)
