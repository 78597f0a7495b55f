"""The token in a callback URL, and the task in a delivery."""

from __future__ import annotations

import hmac
import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from relaydance_async import InvalidInputError, WebhookPayloadError, WebhookVerificationError
from relaydance_async._sansio.webhook import Claim, build_callback_url, parse_delivery, verify_callback

SECRET, OTHER = b"a secret of 24 characters", b"another secret altogether"
URL = "https://shop.example/hooks"


def query_for(reference: str = "r", *, secret: bytes = SECRET, expires_at: int = 100, url: str = URL) -> str:
    return build_callback_url(url, reference, secret=secret, expires_at=expires_at).partition("?")[2]


@given(st.text())
def test_every_reference_that_a_url_can_hold_comes_back(reference: str) -> None:
    try:
        query = query_for(reference)
    except InvalidInputError:
        assert any("\ud800" <= letter <= "\udfff" for letter in reference)
        return
    assert query.isascii()
    assert verify_callback(query, secrets=[SECRET], now=100).reference == reference


def test_a_query_of_the_url_is_kept_and_a_fragment_is_not() -> None:
    url = build_callback_url(f"{URL}?a=1#b", "r", secret=SECRET, expires_at=100)
    assert url.startswith(f"{URL}?a=1&rd_ref=r&rd_exp=100&rd_sig=")
    assert "#" not in url


NO_URLS = ["", "/hooks", "shop.example/hooks", "ftp://shop.example/", "https://", "https://[::1", "https://[v1.x"]


@pytest.mark.parametrize("url", NO_URLS)
def test_a_url_that_is_not_absolute_is_refused(url: str) -> None:
    with pytest.raises(InvalidInputError, match="callback URL"):
        build_callback_url(url, "r", secret=SECRET, expires_at=100)


def test_a_reference_that_no_url_can_hold_is_refused() -> None:
    with pytest.raises(InvalidInputError, match="the reference"):
        query_for("half \ud83d")


@pytest.mark.parametrize("reference", ["", "order 17", "a&rd_sig=b", "\0", "é\U0001f600", "%41", "+"])
def test_no_part_of_a_query_can_be_changed_left_out_or_repeated(reference: str) -> None:
    query = query_for(reference, url=f"{URL}?shop=1")
    assert verify_callback(query, secrets=[SECRET], now=100).reference == reference
    for forged in (query.replace("rd_exp=100", "rd_exp=300"), f"{query}&rd_ref=x", query[:-1], "&" * 100_000):
        with pytest.raises(WebhookVerificationError):
            verify_callback(forged, secrets=[SECRET], now=100)


def test_a_token_is_valid_until_its_time() -> None:
    assert verify_callback(query_for(), secrets=[SECRET], now=100.0).reference == "r"
    with pytest.raises(WebhookVerificationError, match="expired"):
        verify_callback(query_for(), secrets=[SECRET], now=100.1)


@given(st.text() | st.text("rd_refxpsig=&%+1234567890"))
def test_no_query_but_ours_is_accepted_and_no_other_error_is_raised(query: str) -> None:
    with pytest.raises(WebhookVerificationError):
        verify_callback(query, secrets=[SECRET], now=0)


@given(st.data())
def test_no_single_changed_letter_of_a_token_is_accepted(data: st.DataObject) -> None:
    query = query_for("order-17")
    at = data.draw(st.integers(0, len(query) - 1))
    letter = data.draw(st.characters())
    changed = query[:at] + letter + query[at + 1 :]
    try:
        assert verify_callback(changed, secrets=[SECRET], now=0).reference == "order-17"
    except WebhookVerificationError:
        return
    # Base64 has two bits to spare in the last letter, but they are compared as text.
    assert changed == query


def test_the_parts_of_a_token_can_not_be_moved_from_one_to_the_other() -> None:
    # What is signed for ("100", "x\0y") reads like what would be signed for ("100\0x", "y").
    query = query_for("x\0y").replace("rd_exp=100", "rd_exp=100%00x").replace("rd_ref=x%00y", "rd_ref=y")
    with pytest.raises(WebhookVerificationError):
        verify_callback(query, secrets=[SECRET], now=0)


FULLWIDTH_12, ARABIC_12 = "\uff11\uff12", "\u0661\u0662"
ODD_TIMES = [
    "",
    FULLWIDTH_12,
    ARABIC_12,
    "%2B5",
    " 7",
    "7 ",
    "-1",
    "007",
    "1_000",
    "1e9",
    "0x1",
    "9" * 5000,
    "1%0A",
    "nan",
]


@pytest.mark.parametrize("expires", ODD_TIMES)
def test_a_time_is_only_accepted_as_it_is_written(expires: str, monkeypatch: pytest.MonkeyPatch) -> None:
    def as_if_signed(*_: object) -> bool:
        return True

    monkeypatch.setattr(hmac, "compare_digest", as_if_signed)
    with pytest.raises(WebhookVerificationError):
        verify_callback(f"rd_ref=r&rd_exp={expires}&rd_sig=x", secrets=[SECRET], now=0)


@pytest.mark.parametrize("token", ["é", "%ED%A0%80", "\ud800", "\x00", "x" * 100_000, "%"])
def test_an_odd_token_is_compared_like_any_other(token: str) -> None:
    with pytest.raises(WebhookVerificationError, match="not ours"):
        verify_callback(f"rd_ref=r&rd_exp=5&rd_sig={token}", secrets=[SECRET], now=0)


def test_a_lone_surrogate_does_not_pass_for_a_question_mark() -> None:
    query = query_for("a?").replace("rd_ref=a%3F", "rd_ref=a\udcff")
    with pytest.raises(WebhookVerificationError):
        verify_callback(query, secrets=[SECRET], now=0)


def test_each_secret_is_compared_in_constant_time_whichever_fits(monkeypatch: pytest.MonkeyPatch) -> None:
    compared: list[tuple[bytes, bytes]] = []
    original = hmac.compare_digest

    def compare(one: bytes, other: bytes) -> bool:
        compared.append((one, other))
        return original(one, other)

    monkeypatch.setattr(hmac, "compare_digest", compare)
    for secrets in ([SECRET, OTHER], [OTHER, SECRET]):
        compared.clear()
        assert verify_callback(query_for(), secrets=secrets, now=0).reference == "r"
        assert len(compared) == 2


def test_a_retired_secret_verifies_nothing() -> None:
    with pytest.raises(WebhookVerificationError):
        verify_callback(query_for(), secrets=[OTHER], now=0)


SHAPES: list[dict[str, Any]] = [
    {"task_id": "task_1", "status": "succeeded", "url": "https://x.example/a", "format": "mp4", "metadata": {}},
    {"code": "success", "message": "", "data": {"id": 17, "task_id": "task_1", "status": "SUCCESS", "result_url": ""}},
    {"code": "success", "data": {"task_id": "task_1", "status": "succeeded", "metadata": None, "error": None}},
    {"id": "task_1", "object": "video", "status": "completed", "progress": 100, "metadata": {"url": "https://x.y/a"}},
    {"id": "task_1", "status": "succeeded", "content": {"video_url": "https://x.example/a"}},
]


@pytest.mark.parametrize("shape", SHAPES, ids=range(len(SHAPES)))
def test_every_shape_names_its_task(shape: dict[str, Any]) -> None:
    assert parse_delivery(json.dumps(shape).encode()) == Claim("task_1", is_terminal=True)


VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=5,
)
NAMES = st.sampled_from(["task_id", "id", "status", "data", "url", "error", "metadata", "progress", "content", "code"])


@given(st.binary() | st.dictionaries(NAMES, VALUES).map(lambda body: json.dumps(body).encode()))
def test_a_body_is_a_task_or_refused(body: bytes) -> None:
    try:
        task = parse_delivery(body)
    except WebhookPayloadError:
        return
    assert task.task_id.isascii()
    assert 1 <= len(task.task_id) <= 256
