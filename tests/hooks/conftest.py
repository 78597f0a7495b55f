"""A sandbox whose tasks are ready at once."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from relaydance_async.sandbox import Sandbox


@pytest.fixture
def sandbox() -> Iterator[Sandbox]:
    with Sandbox(time_scale=0) as running:
        yield running
