"""A sandbox, and a client over each of our transports."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from relaydance_async import AsyncRelayDance
from relaydance_async.sandbox import Sandbox
from tests.call.support import Start
from tests.kit.calls import client_of
from tests.kit.clocks import HandClock, QuickClock


@pytest.fixture(params=["direct", "httpx"])
def start(request: pytest.FixtureRequest) -> Start:
    """`start(sandbox, clock, **options)` gives a client over each of our transports."""

    def make(sandbox: Sandbox, clock: QuickClock | HandClock | None = None, **options: Any) -> AsyncRelayDance:
        return client_of(sandbox, clock, **{"transport": request.param, **options})

    return make


@pytest.fixture
def sandbox() -> Iterator[Sandbox]:
    with Sandbox(time_scale=0) as running:
        yield running
