"""What every test stands on: asyncio as the event loop, and an environment without anyone's key or proxy."""

from __future__ import annotations

import os
from collections.abc import Iterator

import pytest

from tests.kit.inside import forget_signatures


@pytest.fixture(scope="session")
def anyio_backend() -> str:
    """asyncio; a test that is about trio asks for it by parametrising this fixture."""
    return "asyncio"


@pytest.fixture(autouse=True)
def _unknown_origins() -> None:
    """The servers of tests follow one another on the same ports, and not all of them sign their answers."""
    forget_signatures()


@pytest.fixture(scope="session", autouse=True)
def _clean_environment() -> Iterator[None]:
    """No test may reach the real service with a developer's key, or a loopback server through their proxy."""
    with pytest.MonkeyPatch.context() as patch:
        for name in list(os.environ):
            if name.startswith("RELAYDANCE_") or name.lower() in {"http_proxy", "https_proxy", "all_proxy"}:
                patch.delenv(name)
        yield
