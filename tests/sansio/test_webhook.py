"""Callback URLs: what can't be one is refused when it is made."""

from __future__ import annotations

import pytest

from relaydance_async import InvalidInputError, WebhookVerificationError
from relaydance_async._sansio.webhook import build_callback_url, verify_callback

SECRET = b"a secret of thirty-two characters"


def built(url: str, reference: str) -> str:
    return build_callback_url(url, reference, secret=SECRET, expires_at=2000)


@pytest.mark.parametrize(
    "url", ["http://[::1", "https://[v1.x", "shop.example/hook", "ftp://shop.example/", "https://"]
)
def test_a_callback_url_that_is_none_is_refused(url: str) -> None:
    with pytest.raises(InvalidInputError, match="callback URL"):
        built(url, "r")


def test_a_reference_that_no_url_can_hold_is_refused() -> None:
    with pytest.raises(InvalidInputError, match="the reference"):
        built("https://shop.example/hook", "half \ud83d")


@pytest.mark.parametrize("reference", ["", "order 17", "a&rd_sig=b", "\0", "é\U0001f600", "%41", "+"])
def test_any_other_reference_comes_back_as_it_was(reference: str) -> None:
    query = built("https://shop.example/hook?shop=1", reference).partition("?")[2]
    assert verify_callback(query, secrets=[SECRET], now=2000) == reference
    for forged in (query.replace("rd_exp=2000", "rd_exp=3000"), f"{query}&rd_ref=x", query[:-1], "&" * 100_000):
        with pytest.raises(WebhookVerificationError):
            verify_callback(forged, secrets=[SECRET], now=2000)
