"""A delivery's token is verified once, and the app needs no server to be tested."""

# pyright: reportPrivateUsage=false

from __future__ import annotations

from collections.abc import MutableMapping
from typing import Any
from urllib.parse import parse_qs

import pytest

from relaydance_async import AsyncRelayDance
from relaydance_async._sansio import webhook
from relaydance_async.sandbox import Sandbox
from relaydance_async.webhooks import WebhookApp, WebhookReceiver
from tests.webhooks.support import SECRET, Handler, body_of, finished, query_of

pytestmark = pytest.mark.anyio


async def deliver(app: WebhookApp, query: str, body: bytes) -> int:
    """What the app answers to a POST."""
    sent: list[MutableMapping[str, Any]] = []

    async def receive() -> MutableMapping[str, Any]:
        return {"type": "http.request", "body": body}

    async def send(message: MutableMapping[str, Any]) -> None:
        sent.append(message)

    await app({"type": "http", "method": "POST", "query_string": query.encode(), "headers": []}, receive, send)
    status: int = sent[0]["status"]
    return status


class Signings:
    """Counts the HMACs that are computed and the queries that are parsed."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.signed = self.parsed = 0
        sign = webhook._sign

        def counted_sign(*arguments: Any) -> str:
            self.signed += 1
            return sign(*arguments)

        def counted_parse(*arguments: Any, **options: Any) -> Any:
            self.parsed += 1
            return parse_qs(*arguments, **options)

        monkeypatch.setattr(webhook, "_sign", counted_sign)
        monkeypatch.setattr(webhook, "parse_qs", counted_parse)


async def test_the_app_verifies_a_delivery_once(
    client: AsyncRelayDance,
    sandbox: Sandbox,
    receiver: WebhookReceiver,
    app: WebhookApp,
    handler: Handler,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    body = body_of(await finished(client, sandbox))
    query = query_of(receiver.callback_url("https://shop.example/", "r"))
    counts = Signings(monkeypatch)
    assert await deliver(app, query, body) == 204
    assert (counts.signed, counts.parsed) == (1, 1)
    assert handler.deliveries[0].reference == "r"


async def test_each_secret_is_tried_once(
    client: AsyncRelayDance, sandbox: Sandbox, handler: Handler, monkeypatch: pytest.MonkeyPatch
) -> None:
    receiver = WebhookReceiver(client, secret=[SECRET, "an older secret of ours"])
    body = body_of(await finished(client, sandbox))
    query = query_of(receiver.callback_url("https://shop.example/", "r"))
    counts = Signings(monkeypatch)
    assert await deliver(WebhookApp(receiver, handler), query, body) == 204
    assert (counts.signed, counts.parsed) == (2, 1)


async def test_a_forged_delivery_is_verified_once_and_refused(
    receiver: WebhookReceiver, app: WebhookApp, monkeypatch: pytest.MonkeyPatch
) -> None:
    query = query_of(receiver.callback_url("https://shop.example/", "r")).replace("rd_ref=r", "rd_ref=s")
    counts = Signings(monkeypatch)
    assert await deliver(app, query, body_of("task_1")) == 403
    assert counts.signed == 1


async def test_the_receiver_takes_a_query_or_what_it_has_verified(
    client: AsyncRelayDance, sandbox: Sandbox, receiver: WebhookReceiver
) -> None:
    body = body_of(await finished(client, sandbox))
    query = query_of(receiver.callback_url("https://shop.example/", "order 17"))
    assert receiver.verify(query) == "order 17"
    assert (await receiver.receive(query, body)).reference == "order 17"
    again = await receiver.receive(receiver.verify_once(query), body)
    assert (again.reference, again.duplicate) == ("order 17", True)
