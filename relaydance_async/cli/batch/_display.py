"""How far a run is: a live line on a terminal, plain lines on a pipe, or events in JSON."""

from __future__ import annotations

import logging
import os
import sys
import time
from collections import Counter, deque
from collections.abc import Callable, Generator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Protocol, TextIO

from .._exits import missing
from .._output import dump
from .._profiles import Form
from ._rows import Row

if TYPE_CHECKING:
    from rich.console import Console

LINE_SECONDS = 5.0
"""Between two plain lines, or events, of progress."""
_RATE_SECONDS = 60.0


@dataclass
class Tally:
    """The rows of a run.

    Attributes:
        total: all of them.
        done: with a result.
        failed, doubt: without one, also of earlier starts.
        limit: calls a second that the key takes, as learned.
        committed: US dollars, spent or reserved.
    """

    total: int = 0
    done: int = 0
    failed: int = 0
    doubt: int = 0
    begun_at: float = field(default_factory=time.monotonic)
    limit: Callable[[], float | None] = lambda: None
    committed: Callable[[], float] = lambda: 0.0
    cap: float | None = None
    _where: dict[str, str] = field(default_factory=dict[str, str])
    _ends: deque[float] = field(default_factory=deque[float])

    def moved(self, row: Row, where: str) -> None:
        """A row has moved on: sending, waiting, saving, again."""
        self._where[row.id] = where

    def ended(self, row_id: str) -> None:
        """A row has come to its end, whatever that is."""
        self._where.pop(row_id, None)
        self._ends.append(time.monotonic())

    @property
    def under_way(self) -> int:
        """Rows that have been begun and have not ended."""
        return len(self._where)

    @property
    def queued(self) -> int:
        """Rows that have not been begun."""
        return max(0, self.total - self.done - self.failed - self.doubt - self.under_way)

    def rate(self) -> float:
        """Rows that end in a second, of late."""
        now = time.monotonic()
        while self._ends and now - self._ends[0] > _RATE_SECONDS:
            self._ends.popleft()
        return len(self._ends) / max(1.0, min(_RATE_SECONDS, now - self.begun_at))

    def left(self) -> float | None:
        """Seconds until all have ended, at that rate."""
        rate = self.rate()
        return (self.queued + self.under_way) / rate if rate else None

    def facts(self) -> dict[str, Any]:
        """For an event."""
        limit, left = self.limit(), self.left()
        return {
            "total": self.total,
            "done": self.done,
            "failed": self.failed,
            "in_doubt": self.doubt,
            "under_way": self.under_way,
            "queued": self.queued,
            "per_second": round(self.rate(), 3),
            "learned_limit": limit and round(limit, 2),
            "spent_usd": round(self.committed(), 4),
            "seconds_left": left and round(left),
        }

    def text(self) -> str:
        """In a line."""
        where = Counter(self._where.values())
        stages = ", ".join(f"{number} {stage}" for stage, number in where.most_common())
        limit, left = self.limit(), self.left()
        return "; ".join(
            part
            for part in (
                f"{self.done}/{self.total} done",
                f"{self.failed} failed" if self.failed else "",
                f"{self.doubt} in doubt" if self.doubt else "",
                f"{self.under_way} under way ({stages})" if stages else "",
                f"{self.queued} queued" if self.queued else "",
                f"{self.rate() * 60:.0f}/min",
                f"limit {limit:.1f}/s" if limit else "",
                f"${self.committed():.2f}" + (f" of ${self.cap:.2f}" if self.cap is not None else ""),
                f"{_clock(left)} left" if left else "",
            )
            if part
        )


def _clock(seconds: float) -> str:
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"


class Display(Protocol):
    """Shows a run."""

    def say(self, text: str) -> None:
        """A line for a person."""
        ...

    def event(self, name: str, **facts: Any) -> None:
        """Something for a program."""
        ...

    def tick(self, tally: Tally, *, last: bool = False) -> None:
        """Time has passed, or something has changed."""
        ...

    def close(self) -> None:
        """The end."""
        ...


def open_display(form: Form) -> Display:
    """Where the output goes decides.

    Raises:
        CannotBeginError: rich is missing.
    """
    if form != "table":
        return JsonEvents(sys.stdout, whole=form == "json")
    try:
        from rich.console import Console
    except ImportError:
        raise missing("rich") from None
    console = Console()
    return LiveLine(console) if console.is_terminal else PlainLines(sys.stdout)


def _print(text: str, out: TextIO) -> None:
    """Whoever reads may go (`| head`): that is no reason to leave what is paid for."""
    try:
        print(text, file=out, flush=True)
    except BrokenPipeError:
        # Or the interpreter would try to flush it at its end, and complain.
        os.dup2(os.open(os.devnull, os.O_WRONLY), out.fileno())


class LogLines(logging.Handler):
    """Shows what the client warns of, without breaking into a live line."""

    def __init__(self, display: Display) -> None:
        super().__init__(logging.WARNING)
        self._display = display

    def emit(self, record: logging.LogRecord) -> None:
        """See `logging.Handler`."""
        self._display.say(record.getMessage())
        self._display.event("warning", message=record.getMessage())


@contextmanager
def warnings_in(display: Display) -> Generator[None]:
    """Show there, and nowhere else, what the client warns of."""
    log, handler = logging.getLogger("relaydance_async"), LogLines(display)
    log.addHandler(handler)
    log.propagate = False
    try:
        yield
    finally:
        log.removeHandler(handler)
        log.propagate = True


class PlainLines:
    """For a pipe or a file: a line now and then."""

    def __init__(self, out: TextIO) -> None:
        self._out = out
        self._shown_at = time.monotonic()

    def say(self, text: str) -> None:
        """See `Display`, here and below."""
        _print(text, self._out)

    def event(self, name: str, **facts: Any) -> None:
        """Not for persons."""

    def tick(self, tally: Tally, *, last: bool = False) -> None:
        """See `Display`."""
        if last or time.monotonic() - self._shown_at >= LINE_SECONDS:
            self._shown_at = time.monotonic()
            self.say(tally.text())

    def close(self) -> None:
        """Nothing is left to do."""


class JsonEvents:
    """For a program: one object in a line, as it comes.

    Args:
        whole: show one list instead, at the end.
    """

    def __init__(self, out: TextIO, *, whole: bool = False) -> None:
        self._out = out
        self._whole = whole
        self._kept: list[dict[str, Any]] = []
        self._shown_at = time.monotonic()

    def say(self, text: str) -> None:
        """Not for programs."""

    def event(self, name: str, **facts: Any) -> None:
        """See `Display`."""
        if self._whole:
            self._kept.append({"event": name, **facts})
        else:
            _print(dump({"event": name, **facts}), self._out)

    def tick(self, tally: Tally, *, last: bool = False) -> None:
        """See `Display`."""
        if last or time.monotonic() - self._shown_at >= LINE_SECONDS:
            self._shown_at = time.monotonic()
            self.event("progress", **tally.facts())

    def close(self) -> None:
        """Show what is left to show."""
        if self._kept:
            _print(dump(self._kept, indent=2), self._out)
            self._kept = []


class LiveLine:
    """For a terminal: a bar that moves, below the lines that stay."""

    def __init__(self, console: Console) -> None:
        from rich.progress import BarColumn, Progress, TextColumn

        self._console = console
        self._bar = Progress(
            BarColumn(bar_width=20), TextColumn("{task.fields[text]}", markup=False), console=console, transient=True
        )
        self._task = self._bar.add_task("", total=None, text="")
        self._bar.start()

    def say(self, text: str) -> None:
        """See `Display`, here and below."""
        self._console.print(text, markup=False, highlight=False, soft_wrap=True)

    def event(self, name: str, **facts: Any) -> None:
        """Not for persons."""

    def tick(self, tally: Tally, *, last: bool = False) -> None:
        """See `Display`."""
        ended = tally.done + tally.failed + tally.doubt
        self._bar.update(self._task, total=tally.total, completed=ended, text=tally.text())
        if last:
            self._bar.stop()
            self.say(tally.text())

    def close(self) -> None:
        """Give the terminal back."""
        self._bar.stop()
