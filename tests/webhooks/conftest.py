"""A sandbox whose clock stands still, a client of it, and a receiver that is served."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator

import pytest

from relaydance_async import AsyncRelayDance, RetryPolicy
from relaydance_async.sandbox import Sandbox
from relaydance_async.webhooks import WebhookApp, WebhookReceiver
from tests.kit.clocks import HandClock
from tests.webhooks.support import SECRET, Handler, serving


@pytest.fixture
def sandbox() -> Iterator[Sandbox]:
    with Sandbox(time_scale=0) as running:
        yield running


@pytest.fixture
async def client(sandbox: Sandbox, anyio_backend: str) -> AsyncIterator[AsyncRelayDance]:
    async with AsyncRelayDance(
        sandbox.api_key, base_url=sandbox.base_url, retry=RetryPolicy(max_attempts=1), timeout=5
    ) as running:
        yield running


@pytest.fixture
def clock() -> HandClock:
    return HandClock()


@pytest.fixture
def receiver(client: AsyncRelayDance, clock: HandClock) -> WebhookReceiver:
    return WebhookReceiver(client, secret=SECRET, now=clock.monotonic)


@pytest.fixture
def handler() -> Handler:
    return Handler()


@pytest.fixture
def app(receiver: WebhookReceiver, handler: Handler) -> WebhookApp:
    return WebhookApp(receiver, handler, max_body_bytes=10_000)


@pytest.fixture
async def hooks(app: WebhookApp) -> AsyncIterator[str]:
    """The URL of the app, which is served alone."""
    async with serving(app, lifespan="on") as url:
        yield url
