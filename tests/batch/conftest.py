from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

from relaydance_async.sandbox import Sandbox
from tests.batch.support import AT_ONCE, Shell, Start


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Start]:
    """Starts a sandbox with these options, and gives the shell that talks to it."""
    with ExitStack() as life:

        def begin(**options: Any) -> Shell:
            options.setdefault("tasks", AT_ONCE)
            return Shell(life.enter_context(Sandbox(**options)), tmp_path)

        yield begin


@pytest.fixture
def shell(start: Start) -> Shell:
    """One whose clips are ready at once."""
    return start()
