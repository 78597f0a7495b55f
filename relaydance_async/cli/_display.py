"""What the demo shows: a live progress bar on a terminal, plain lines anywhere else."""

from __future__ import annotations

import time
from collections.abc import Callable
from types import TracebackType
from typing import TYPE_CHECKING, Protocol, Self

from ._exits import CannotBeginError
from ._tally import Tally

if TYPE_CHECKING:
    from rich.console import Console

PLAIN_SECONDS = 2.0
"""Between two plain lines of progress."""


class Display:
    """Lines of text, and pieces of a line as they come."""

    def __init__(self, console: Console) -> None:
        self.console = console

    def line(self, text: str, style: str | None = None) -> None:
        """Show a line."""
        self.console.print(text, style=style, markup=False, highlight=False, soft_wrap=True)

    def piece(self, text: str) -> None:
        """Show text without ending the line."""
        self.console.print(text, end="", markup=False, highlight=False, soft_wrap=True)

    def progress(self, what: str, tally: Tally, count: Callable[[], int]) -> Progress:
        """To be entered while clips are submitted or collected; `count` says how many have been."""
        if self.console.is_terminal:
            return _Bar(self.console, what, tally, count)
        return _Lines(self, what, tally, count)


class Progress(Protocol):
    """Shows how far the clips have come."""

    def update(self) -> None:
        """The tally has changed."""
        ...

    def __enter__(self) -> Self: ...

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None: ...


def open_display() -> Display:
    """The terminal.

    Raises:
        CannotBeginError: rich is missing.
    """
    try:
        from rich.console import Console
    except ImportError:
        raise CannotBeginError(
            'the command line needs rich, which is not installed: pip install "relaydance-async[cli]"'
        ) from None
    return Display(Console())


class _Bar:
    def __init__(self, console: Console, what: str, tally: Tally, count: Callable[[], int]) -> None:
        from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeElapsedColumn
        from rich.progress import Progress as RichProgress

        self._tally = tally
        self._count = count
        self._bar = RichProgress(
            TextColumn(f"{what:<10}"),
            BarColumn(),
            MofNCompleteColumn(),
            TextColumn("{task.fields[state]}"),
            TimeElapsedColumn(),
            console=console,
        )
        self._task = self._bar.add_task("", total=tally.wanted, state=tally.state())

    def update(self) -> None:
        self._bar.update(self._task, completed=self._count(), state=self._tally.state())

    def __enter__(self) -> Self:
        self._bar.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.update()
        self._bar.stop()


class _Lines:
    def __init__(self, display: Display, what: str, tally: Tally, count: Callable[[], int]) -> None:
        self._display = display
        self._what = what
        self._count = count
        self._tally = tally
        self._shown_at = 0.0

    def update(self) -> None:
        if time.monotonic() - self._shown_at >= PLAIN_SECONDS:
            self._show()

    def _show(self) -> None:
        self._shown_at = time.monotonic()
        self._display.line(f"{self._what:<11} {self._count()}/{self._tally.wanted}: {self._tally.state()}")

    def __enter__(self) -> Self:
        self._show()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._show()
