from __future__ import annotations

from collections.abc import Iterator

import pytest

from relaydance_async.sandbox import Sandbox
from tests.kit.loops import ON_UVLOOP, Backend, backend_of_test


@pytest.fixture
def sandbox() -> Iterator[Sandbox]:
    with Sandbox(time_scale=100) as running:
        yield running


@pytest.fixture(params=["direct", "httpx", "direct on uvloop", "httpx on uvloop"])
def transport(request: pytest.FixtureRequest) -> str:
    """What the client sends with, and in which loop."""
    name: str = request.param
    if name.endswith(ON_UVLOOP):
        pytest.importorskip("uvloop")
    return name


@pytest.fixture
def anyio_backend(request: pytest.FixtureRequest) -> Backend:
    return backend_of_test(request)
