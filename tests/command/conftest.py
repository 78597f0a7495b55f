from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

from relaydance_async.sandbox import Sandbox, TaskPlan, TaskScript
from tests.command.support import Desk, Sit


@pytest.fixture
def sit(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Iterator[Sit]:
    """Starts a sandbox with these options, and gives the desk before it."""
    with ExitStack() as life:

        def begin(**options: Any) -> Desk:
            options.setdefault("tasks", TaskPlan(TaskScript(queue=0, run=0)))
            return Desk(life.enter_context(Sandbox(**options)), tmp_path, monkeypatch, capsys)

        yield begin


@pytest.fixture
def desk(sit: Sit) -> Desk:
    """One whose clips are ready at once."""
    return sit()
