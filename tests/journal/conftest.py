"""Journals in files of their own, and a sandbox."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any, Protocol

import pytest

from relaydance_async import SqliteJournal
from relaydance_async.sandbox import Sandbox
from tests.journal.support import inside
from tests.kit.loops import Backend, backend_by_option


class OpenJournal(Protocol):
    """Opens another journal over the same store, as another process would."""

    def __call__(self, **options: Any) -> SqliteJournal: ...


@pytest.fixture
def anyio_backend(pytestconfig: pytest.Config) -> Backend:
    return backend_by_option(pytestconfig)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "run.db"


@pytest.fixture
async def open_journal(path: Path, anyio_backend: Backend) -> AsyncIterator[OpenJournal]:
    async with AsyncExitStack() as stack:

        def make(**options: Any) -> SqliteJournal:
            journal = inside(SqliteJournal, options)(path, **options)
            stack.push_async_callback(journal.aclose)
            return journal

        yield make


@pytest.fixture
async def journal(open_journal: OpenJournal) -> SqliteJournal:
    return open_journal()


@pytest.fixture
def sandbox() -> Iterator[Sandbox]:
    with Sandbox(time_scale=0) as running:
        yield running
