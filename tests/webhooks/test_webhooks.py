"""Webhooks over a real server: genuine, forged, replayed, oversized, slow and malformed deliveries."""

from __future__ import annotations

import json
import socket
from collections.abc import AsyncIterator, Generator, Iterator
from contextlib import contextmanager
from typing import Any

import anyio
import httpx
import pytest
import uvicorn
from starlette.applications import Starlette
from starlette.routing import Mount

from relaydance_async import AsyncRelayDance, ConfigurationError, RetryPolicy, WebhookVerificationError
from relaydance_async.sandbox import Sandbox
from relaydance_async.webhooks import Delivery, WebhookApp, WebhookReceiver

pytestmark = pytest.mark.anyio

SECRET = "a secret of thirty-two characters"
FETCH = "GET /v1/video/generations/{task_id}"


class Time:
    def __init__(self) -> None:
        self.at = 1_000_000.0

    def __call__(self) -> float:
        return self.at


@pytest.fixture(params=["task", "wrapped"])
def sandbox(request: pytest.FixtureRequest) -> Iterator[Sandbox]:
    with Sandbox(time_scale=0, webhook_shape=request.param) as running:
        yield running


@pytest.fixture
async def client(sandbox: Sandbox) -> AsyncIterator[AsyncRelayDance]:
    async with AsyncRelayDance(
        sandbox.api_key, base_url=sandbox.base_url, retry=RetryPolicy(max_attempts=1), timeout=5
    ) as running:
        yield running


@pytest.fixture
def clock() -> Time:
    return Time()


@pytest.fixture
def receiver(client: AsyncRelayDance, clock: Time) -> WebhookReceiver:
    return WebhookReceiver(client, secret=SECRET, now=clock)


class Handler:
    """What a user's code does with the deliveries."""

    def __init__(self) -> None:
        self.deliveries: list[Delivery] = []
        self.failures = 0
        self.called = anyio.Event()

    async def __call__(self, delivery: Delivery) -> None:
        if self.failures:
            self.failures -= 1
            raise RuntimeError("the database is down")
        self.deliveries.append(delivery)
        self.called.set()


@pytest.fixture
def handler() -> Handler:
    return Handler()


@contextmanager
def listening() -> Generator[tuple[socket.socket, str], None, None]:
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield server, f"http://127.0.0.1:{server.getsockname()[1]}/hooks"


@pytest.fixture
async def hooks(receiver: WebhookReceiver, handler: Handler) -> AsyncIterator[str]:
    """The URL of a Starlette app that receives deliveries, served in this loop."""
    app = Starlette(routes=[Mount("/hooks", WebhookApp(receiver, handler, max_body_bytes=10_000, body_timeout=0.05))])
    with listening() as (listener, url):
        server = uvicorn.Server(uvicorn.Config(app, log_level="error", lifespan="off", ws="none"))
        async with anyio.create_task_group() as group:
            group.start_soon(server.serve, [listener])
            while not server.started:  # noqa: ASYNC110  (uvicorn has no event for it)
                await anyio.sleep(0.001)
            yield f"{url}/"
            server.should_exit = True


async def finished(client: AsyncRelayDance, sandbox: Sandbox) -> str:
    task = await client.video.submit(model="happyhorse-1.0-t2v", prompt="a horse")
    sandbox.clock.advance(1000)
    return task.task_id


def body_of(task_id: str, **changes: Any) -> bytes:
    return json.dumps(
        {"task_id": task_id, "status": "succeeded", "url": "https://evil.example/x.mp4", **changes}
    ).encode()


async def post(url: str, body: bytes) -> int:
    async with httpx.AsyncClient(trust_env=False) as http:
        return (await http.post(url, content=body)).status_code


async def test_the_gateways_own_delivery_arrives_with_the_reference_and_the_fetched_task(
    client: AsyncRelayDance, receiver: WebhookReceiver, hooks: str, handler: Handler, sandbox: Sandbox
) -> None:
    url = receiver.callback_url(hooks, "order 17")
    task = await client.video.submit(model="happyhorse-1.0-t2v", prompt="a horse", callback_url=url)
    sandbox.clock.advance(1000)
    with anyio.fail_after(10):
        await handler.called.wait()
    (delivery,) = handler.deliveries
    assert (delivery.reference, delivery.task.task_id) == ("order 17", task.task_id)
    assert delivery.task.status == "succeeded"


async def test_what_a_delivery_claims_is_not_believed(
    client: AsyncRelayDance, receiver: WebhookReceiver, hooks: str, handler: Handler, sandbox: Sandbox
) -> None:
    task_id = await finished(client, sandbox)
    assert await post(receiver.callback_url(hooks, "r"), body_of(task_id, status="failed")) == 204
    assert handler.deliveries[0].task.status == "succeeded"
    url = handler.deliveries[0].task.url
    assert url is not None
    assert url.startswith(sandbox.cdn_url)


async def test_a_delivery_before_the_end_calls_nobody(
    client: AsyncRelayDance, receiver: WebhookReceiver, hooks: str, handler: Handler
) -> None:
    task = await client.video.submit(model="happyhorse-1.0-t2v", prompt="a horse")
    assert await post(receiver.callback_url(hooks, "r"), body_of(task.task_id)) == 204
    assert handler.deliveries == []


async def test_a_delivery_of_a_task_that_the_gateway_does_not_know_is_refused(
    receiver: WebhookReceiver, hooks: str, handler: Handler
) -> None:
    assert await post(receiver.callback_url(hooks, "r"), body_of("task_unknown")) == 400
    assert handler.deliveries == []


@pytest.mark.parametrize(("old", "new"), [("rd_", "no_"), ("rd_sig=", "rd_sig=x"), ("rd_ref=r", "rd_ref=s")])
async def test_a_forged_url_is_refused_before_anything_is_asked(
    client: AsyncRelayDance,
    receiver: WebhookReceiver,
    hooks: str,
    handler: Handler,
    sandbox: Sandbox,
    old: str,
    new: str,
) -> None:
    task_id = await finished(client, sandbox)
    asked = sandbox.ledger.count(FETCH)
    url, _, query = receiver.callback_url(hooks, "r").partition("?")
    assert await post(f"{url}?{query.replace(old, new)}", body_of(task_id)) == 403
    assert sandbox.ledger.count(FETCH) == asked
    assert handler.deliveries == []


async def test_an_expired_url_is_refused(
    client: AsyncRelayDance, sandbox: Sandbox, receiver: WebhookReceiver, hooks: str, clock: Time
) -> None:
    task_id = await finished(client, sandbox)
    url = receiver.callback_url(hooks, "r", expires_in=60)
    clock.at += 61
    assert await post(url, body_of(task_id)) == 403


async def test_a_replayed_delivery_is_answered_and_handled_once(
    client: AsyncRelayDance, sandbox: Sandbox, receiver: WebhookReceiver, hooks: str, handler: Handler
) -> None:
    task_id = await finished(client, sandbox)
    url = receiver.callback_url(hooks, "r")
    assert [await post(url, body_of(task_id)) for _ in range(3)] == [204, 204, 204]
    assert len(handler.deliveries) == 1


async def test_a_handler_that_failed_gets_the_next_delivery(
    client: AsyncRelayDance, sandbox: Sandbox, receiver: WebhookReceiver, hooks: str, handler: Handler
) -> None:
    task_id = await finished(client, sandbox)
    handler.failures = 1
    url = receiver.callback_url(hooks, "r")
    assert [await post(url, body_of(task_id)) for _ in range(2)] == [500, 204]
    assert len(handler.deliveries) == 1


@pytest.mark.parametrize(
    ("body", "status"),
    [
        (b"", 400),
        (b"{", 400),
        (b"[]", 400),
        (b"null", 400),
        (b"\xff\xfe", 400),
        (b"[" * 9000, 400),
        (b"x" * 20_000, 413),
    ],
)
async def test_a_body_that_is_no_task_is_refused(
    receiver: WebhookReceiver, hooks: str, handler: Handler, body: bytes, status: int
) -> None:
    assert await post(receiver.callback_url(hooks, "r"), body) == status
    assert handler.deliveries == []


async def test_a_body_that_comes_too_slowly_is_refused(receiver: WebhookReceiver, hooks: str) -> None:
    url = httpx.URL(receiver.callback_url(hooks, "r"))
    async with await anyio.connect_tcp("127.0.0.1", url.port or 0) as stream:
        await stream.send(b"POST " + url.raw_path + b" HTTP/1.1\r\nhost: x\r\ncontent-length: 100\r\n\r\n{")
        with anyio.fail_after(5):
            assert b" 408 " in await stream.receive()


async def test_only_post_is_a_delivery(receiver: WebhookReceiver, hooks: str) -> None:
    async with httpx.AsyncClient(trust_env=False) as http:
        assert (await http.get(receiver.callback_url(hooks, "r"))).status_code == 405


async def test_when_the_task_can_not_be_fetched_the_gateway_is_asked_to_come_again(
    client: AsyncRelayDance, receiver: WebhookReceiver, hooks: str, handler: Handler, sandbox: Sandbox
) -> None:
    task_id = await finished(client, sandbox)
    sandbox.accounts[sandbox.api_key].disabled = True
    url = receiver.callback_url(hooks, "r")
    assert await post(url, body_of(task_id)) == 503
    sandbox.accounts[sandbox.api_key].disabled = False
    assert await post(url, body_of(task_id)) == 204
    assert len(handler.deliveries) == 1


async def test_a_bound_reference_decides_which_task_is_meant(
    client: AsyncRelayDance, sandbox: Sandbox, receiver: WebhookReceiver
) -> None:
    mine, other = await finished(client, sandbox), await finished(client, sandbox)
    receiver.bind("order", mine)
    query = receiver.callback_url("https://shop.example/hooks?x=1", "order").partition("?")[2]
    upstream = json.dumps({"id": "cgt-1", "status": "succeeded", "content": {"video_url": "https://x.example/y"}})
    for body in (upstream.encode(), body_of(other)):
        assert (await receiver.receive(query, body)).task.task_id == mine


async def test_an_older_secret_still_verifies_while_secrets_are_rotated(
    client: AsyncRelayDance, sandbox: Sandbox, clock: Time
) -> None:
    task_id = await finished(client, sandbox)
    old = WebhookReceiver(client, secret=SECRET, now=clock)
    query = old.callback_url("https://shop.example/hooks", "r").partition("?")[2]
    both = WebhookReceiver(client, secret=["another secret, the new one", SECRET], now=clock)
    new = WebhookReceiver(client, secret="another secret, the new one", now=clock)
    assert (await both.receive(query, body_of(task_id))).reference == "r"
    with pytest.raises(WebhookVerificationError):
        await new.receive(query, body_of(task_id))


@pytest.mark.parametrize("secret", ["short", b"", [], ["long enough to be a secret", "short"]])
async def test_a_weak_secret_is_refused(client: AsyncRelayDance, secret: Any) -> None:
    with pytest.raises(ConfigurationError):
        WebhookReceiver(client, secret=secret)


async def test_a_delivery_ends_a_wait_at_once() -> None:
    with Sandbox(time_scale=0) as still:
        async with AsyncRelayDance(still.api_key, base_url=still.base_url) as client:
            mine = WebhookReceiver(client, secret=SECRET)
            task = await client.video.submit(model="happyhorse-1.0-t2v", prompt="a horse")
            seen = anyio.Event()
            ended = anyio.Event()

            async def wait() -> None:
                await client.video.wait(task, receiver=mine, on_update=lambda _: seen.set())
                ended.set()

            async with anyio.create_task_group() as group:
                group.start_soon(wait)
                with anyio.fail_after(10):
                    await seen.wait()
                await anyio.sleep(0.005)
                still.clock.advance(1000)
                query = mine.callback_url("https://shop.example/", "r").partition("?")[2]
                # The first pause is about 2 s.
                with anyio.fail_after(1):
                    await mine.receive(query, body_of(task.task_id))
                    await ended.wait()
            assert mine._listeners == {}  # pyright: ignore[reportPrivateUsage]
