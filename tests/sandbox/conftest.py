"""Sandboxes for the tests of the sandbox itself."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack

import pytest

from tests.sandbox.support import Starter


@pytest.fixture(scope="session")
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture
def start() -> Iterator[Starter]:
    """`start(**options)` runs a sandbox and gives a plain HTTP caller for it."""
    with ExitStack() as stack:
        yield Starter(stack)
