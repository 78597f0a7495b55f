from __future__ import annotations

import logging
from collections.abc import Iterator

import pytest

from tests.kit.loops import Backend, backend_of


@pytest.fixture(params=["asyncio", "any on uvloop"], ids=["asyncio", "uvloop"])
def anyio_backend(request: pytest.FixtureRequest) -> Backend:
    return backend_of(request.param)


class Collector(logging.Handler):
    """Keeps what is logged at WARNING and above."""

    def __init__(self, said: list[object]) -> None:
        super().__init__(logging.WARNING)
        self._said = said

    def emit(self, record: logging.LogRecord) -> None:
        self._said.append(record.getMessage())


@pytest.fixture
def problems(anyio_backend: Backend, monkeypatch: pytest.MonkeyPatch) -> Iterator[list[object]]:
    """What the interpreter says of what is dropped ("never awaited", "never retrieved"); must be empty at the end."""
    said: list[object] = []
    monkeypatch.setattr("sys.unraisablehook", said.append)
    handler = Collector(said)
    logging.getLogger("asyncio").addHandler(handler)
    yield said
    logging.getLogger("asyncio").removeHandler(handler)
    assert said == []
