"""A sandbox and a client of it. The dialects and transports are tried in tests/resources/."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator

import pytest

from relaydance_async import AsyncRelayDance
from relaydance_async.sandbox import Sandbox
from tests.kit.clocks import QuickClock
from tests.kit.inside import make_client
from tests.kit.transports import Tap, tap


@pytest.fixture
def sandbox() -> Iterator[Sandbox]:
    with Sandbox() as sandbox:
        yield sandbox


@pytest.fixture
async def client(sandbox: Sandbox) -> AsyncIterator[AsyncRelayDance]:
    clock = QuickClock(jitter=None).clock
    async with make_client(sandbox.api_key, base_url=sandbox.base_url, clock=clock) as client:
        yield client


@pytest.fixture
def heard(monkeypatch: pytest.MonkeyPatch) -> Tap:
    return tap(monkeypatch)
