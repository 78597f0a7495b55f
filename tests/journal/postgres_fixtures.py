"""Journals in a PostgreSQL, each test's in a schema of its own. A test module takes these in."""

from __future__ import annotations

import itertools
from collections.abc import AsyncIterator, Iterator
from contextlib import AsyncExitStack
from typing import Any

import pytest

from relaydance_async import PostgresJournal
from tests.journal.support import inside
from tests.kit.loops import Backend
from tests.kit.postgres import PostgresServer, postgres_server

_numbers = itertools.count(1)


@pytest.fixture(scope="module")
def server() -> Iterator[PostgresServer]:
    with postgres_server() as running:
        yield running


@pytest.fixture
def schema() -> str:
    return f"run_{next(_numbers)}"


@pytest.fixture
async def open_journal(server: PostgresServer, schema: str, anyio_backend: Backend) -> AsyncIterator[Any]:
    """Opens another journal over the same store, as another process would."""
    async with AsyncExitStack() as stack:

        def make(**options: Any) -> PostgresJournal:
            kind = inside(PostgresJournal, options)
            journal = kind(options.pop("source", server.dsn()), schema=schema, **options)
            stack.push_async_callback(journal.aclose)
            return journal

        yield make


@pytest.fixture
async def journal(open_journal: Any) -> PostgresJournal:
    found: PostgresJournal = open_journal()
    return found
