"""What a receiver makes its URLs of: secrets, references, and URLs that have a query already."""

from __future__ import annotations

from typing import Any

import pytest

from relaydance_async import AsyncRelayDance, ConfigurationError
from relaydance_async.errors import InvalidInputError, WebhookVerificationError
from relaydance_async.webhooks import WebhookReceiver
from tests.webhooks.support import query_of

pytestmark = pytest.mark.anyio

LONG = b"long enough to be a secret"


@pytest.mark.parametrize(
    "secret",
    [bytearray(LONG), memoryview(LONG), range(16, 20), 10**6, True, None],
    ids=["bytearray", "view", "range", "number", "true", "none"],
)
async def test_what_is_neither_text_nor_bytes_is_no_secret(client: AsyncRelayDance, secret: Any) -> None:
    """`bytes` would make zeros of the numbers in it: a secret that all know."""
    for given in (secret, [secret], [LONG, secret]):
        with pytest.raises(ConfigurationError, match="text or bytes") as refused:
            WebhookReceiver(client, secret=given)
        assert "long enough" not in str(refused.value)


async def test_a_secret_that_is_no_text_is_taken_as_it_is(client: AsyncRelayDance) -> None:
    query = query_of(WebhookReceiver(client, secret="\udcff" * 16).callback_url("https://shop.example/", "r"))
    assert WebhookReceiver(client, secret=["another of some length", "\udcff" * 16]).verify(query) == "r"
    with pytest.raises(WebhookVerificationError):
        WebhookReceiver(client, secret="\udcfe" * 16).verify(query)


@pytest.mark.parametrize("own", ["rd_ref=", "rd_sig=x&a=b", "rd%5Fexp=1", "&".join(["a=b"] * 48)])
async def test_a_url_whose_deliveries_nobody_could_verify_is_not_made(receiver: WebhookReceiver, own: str) -> None:
    with pytest.raises(InvalidInputError, match="without a token"):
        receiver.callback_url(f"https://shop.example/?{own}", "r")
    with pytest.raises(InvalidInputError, match="without a token"):
        receiver.callback_url(receiver.callback_url("https://shop.example/", "r"), "r")


async def test_a_url_keeps_its_own_query(receiver: WebhookReceiver) -> None:
    own = "&".join(["a=%ff;b"] * 47)
    url = receiver.callback_url(f"https://shop.example/?{own}#top", "r")
    assert url.startswith(f"https://shop.example/?{own}&rd_ref=r&")
    assert receiver.verify(query_of(url)) == "r"


@pytest.mark.parametrize("reference", [17, None, b"r"])
async def test_a_reference_that_is_no_text_is_refused(receiver: WebhookReceiver, reference: Any) -> None:
    """That of a delivery is text: 17 would never be found as "17"."""
    for use in (
        lambda: receiver.callback_url("https://shop.example/", reference),
        lambda: receiver.bind(reference, "t"),
    ):
        with pytest.raises(InvalidInputError, match="a reference is text"):
            use()
