"""Sandboxes and clients for the tests of the endpoints, in both dialects and over every transport."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack

import pytest

from relaydance_async import AsyncRelayDance
from relaydance_async.sandbox import Sandbox
from tests.kit.clocks import QuickClock
from tests.kit.inside import make_client
from tests.kit.loops import Backend, backend_of_test, without_loop
from tests.resources.support import Bench


@pytest.fixture(params=["gateway", "documented"])
def dialect(request: pytest.FixtureRequest) -> str:
    """What the server speaks: what arrives, or what is documented."""
    name: str = request.param
    return name


@pytest.fixture(params=["httpx", "direct"])
def transport(request: pytest.FixtureRequest) -> str:
    """What the client sends with, and in which loop."""
    name: str = request.param
    return name


@pytest.fixture
def anyio_backend(request: pytest.FixtureRequest) -> Backend:
    return backend_of_test(request)


@pytest.fixture
async def bench(dialect: str, transport: str, anyio_backend: Backend) -> AsyncIterator[Bench]:
    async with AsyncExitStack() as stack:
        yield Bench(stack, dialect, without_loop(transport))


@pytest.fixture
def sandbox(bench: Bench) -> Sandbox:
    return bench.sandbox()


@pytest.fixture
def client(bench: Bench, sandbox: Sandbox) -> AsyncRelayDance:
    return bench.client(sandbox)


@pytest.fixture
async def alone(transport: str) -> AsyncIterator[AsyncRelayDance]:
    """A client of an API on loopback, which is never called."""
    base_url = "http://127.0.0.1:9/v1"
    async with make_client(
        "sk-1",
        base_url=base_url,
        transport=transport,
        clock=QuickClock().clock,
    ) as client:
        yield client
