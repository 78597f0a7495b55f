from __future__ import annotations

import pytest

from tests.kit.loops import ON_UVLOOP, Backend, backend_of
from tests.kit.transports import TRANSPORTS


@pytest.fixture(params=TRANSPORTS)
def transport(request: pytest.FixtureRequest) -> str:
    """What the client sends with."""
    name: str = request.param
    if name == "aiohttp":
        pytest.importorskip("aiohttp")
    return name


@pytest.fixture
def anyio_backend() -> Backend:
    """uvloop, as `uvicorn[standard]` runs an app."""
    return backend_of(ON_UVLOOP)
