"""The run itself: the rows that are left, many at once; what comes is kept as it comes; how it ends."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Iterator
from contextlib import aclosing, closing
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import partial
from itertools import islice
from typing import Any
from urllib.parse import urlsplit

from ... import (
    AsyncRelayDance,
    FanOutStoppedError,
    JournalError,
    NotFoundError,
    Outcome,
    RelayDanceError,
    RetryPolicy,
    SqliteJournal,
    fan_out,
    maybe_accepted,
)
from ..._threads import in_thread
from ...fanout import STOP_ON
from .._exits import CannotBeginError
from .._play import close
from .._session import Session
from .._signals import Signals
from ._display import Display, Tally, warnings_in
from ._money import Budget, BudgetSpentError, Prices
from ._options import Pace
from ._rows import Row
from ._run import Lines, Run
from ._work import DOUBT, Done, Worker, error_of, result_of

ALL_DONE, SOME_FAILED, IN_DOUBT, OVER_BUDGET, STOPPED = 0, 1, 3, 4, 5
"""How a run ends, by its exit status. (2: it could not begin. 130, 143: SIGINT, SIGTERM.)"""

STOPS = (*STOP_ON, BudgetSpentError, JournalError)
_PAGE = 256
_TICK_SECONDS = 0.5
_RETRY = RetryPolicy(max_attempts=8)


@dataclass
class Batch:
    """One start of a run. The run must be locked.

    Attributes:
        only: the ids of the rows to do; None: all that are left.
    """

    run: Run
    pace: Pace
    display: Display
    session: Session
    only: set[str] | None = None
    stopped: str | None = None
    _tally: Tally = field(default_factory=Tally)
    _skipped: set[str] = field(default_factory=set[str])
    _errors: Counter[str] = field(default_factory=Counter[str])
    _spent_before: float = 0.0
    _code: int | None = None

    def start(self) -> int:
        """Do what is left; the exit status."""
        self._look_back()
        if self._left() == 0:
            return self._conclude(Budget(None), 0)
        return asyncio.run(self._go())

    def _look_back(self) -> None:
        """What earlier starts came to."""
        self._tally.total = self.run.facts["rows"]
        for result in self.run.results():
            self._skipped.add(result["id"])
            self._spent_before += result.get("cost", 0.0)
        self._tally.done = len(self._skipped)
        kept: list[dict[str, Any]] = []
        for error in {error["id"]: error for error in self.run.errors()}.values():
            if error["id"] in self._skipped or self._is_due(error):
                continue
            kept.append(error)
            self._count_error(error)
            self._spent_before += error.get("cost", 0.0)
        self._skipped |= {error["id"] for error in kept}
        self.run.keep_errors(kept)

    def _is_due(self, error: dict[str, Any]) -> bool:
        return bool(error["again"]) if self.only is None else error["id"] in self.only

    def _count_error(self, error: dict[str, Any]) -> None:
        self._errors[error["why"]] += 1
        if error["why"] == DOUBT:
            self._tally.doubt += 1
        else:
            self._tally.failed += 1

    def _left(self) -> int:
        return self._tally.total - len(self._skipped) if self.only is None else len(self.only - self._skipped)

    async def _go(self) -> int:
        journal = SqliteJournal(self.run.journal_file)
        client = self.session.client(journal=journal, retry=_RETRY)
        with warnings_in(self.display), Signals(self._hear) as signals:
            try:
                budget = await self._play(client, journal, signals)
            finally:
                await close(client, signals)
                await journal.aclose()
        return self._conclude(budget, signals.code)

    def _hear(self, count: int) -> None:
        if count == 1:
            self.display.say("Stopping: nothing new is sent, what is on the wire is finished. Once more: at once.")
            self.display.event("stopping")

    async def _play(self, client: AsyncRelayDance, journal: SqliteJournal, signals: Signals) -> Budget:
        prices = Prices(await self._prices(client), self.pace.price)
        await in_thread(partial(self._check_prices, prices))
        budget = Budget(self.pace.max_cost)
        budget.spent = self._spent_before
        await self._resolve(client, journal)
        held = await self._hold(journal, budget, prices)
        tally = self._tally
        tally.limit, tally.committed, tally.cap = lambda: _rate_of(client), lambda: budget.committed, budget.cap
        worker = Worker(
            client=client,
            folder=self.run.folder,
            budget=budget,
            prices=prices,
            task_retries=self.pace.task_retries,
            held=held,
            moved=tally.moved,
        )
        self.display.event("begin", **tally.facts())
        ticking = asyncio.ensure_future(self._tick())
        try:
            await self._fan_out(worker, signals)
        finally:
            ticking.cancel()
        return budget

    async def _prices(self, client: AsyncRelayDance) -> Any:
        if self.pace.price is not None:
            return None
        try:
            return await client.account.prices()
        except NotFoundError:
            return None
        except RelayDanceError as error:
            if self.pace.max_cost is not None:
                raise CannotBeginError(f"--max-cost needs prices, and they can't be had: {error.message}") from None
            return None

    def _check_prices(self, prices: Prices) -> None:
        if self.pace.max_cost is None:
            return
        for row in self._rows():
            if prices.bound(row) is None:
                why = "max_tokens, or --price" if row.kind == "chat" else "--price"
                raise CannotBeginError(
                    f"line {row.line}: nobody knows what {row.model} may cost; --max-cost needs {why}"
                )

    async def _resolve(self, client: AsyncRelayDance, journal: SqliteJournal) -> None:
        """Decide what is in doubt, where the books tell."""
        if not [entry async for entry in journal.entries(state="in doubt")]:
            return
        try:
            resolutions = await client.resolve_doubts()
        except RelayDanceError as error:
            self.display.say(f"What is in doubt can't be decided now: {error.message}")
            return
        for resolution in resolutions:
            self.display.say(f"{resolution.entry.key} is {resolution.entry.state}: {resolution.why}")

    async def _hold(self, journal: SqliteJournal, budget: Budget, prices: Prices) -> set[str]:
        """What is, or may be, paid for, and has no result yet."""
        held: set[str] = set()
        entries = {entry.key async for entry in journal.entries() if not entry.may_be_sent}
        for row in await in_thread(lambda: [left for left in self._rows() if left.id in entries]):
            held.add(row.id)
            budget.hold(prices.bound(row) or 0.0)
        return held

    async def _tick(self) -> None:
        while True:
            self.display.tick(self._tally)
            await asyncio.sleep(_TICK_SECONDS)

    async def _fan_out(self, worker: Worker, signals: Signals) -> None:
        outcomes = fan_out(worker, self._row_by_row(), in_flight=self.pace.in_flight, stop_on=STOPS)
        try:
            with closing(Lines(self.run.results_file)) as results, closing(Lines(self.run.errors_file)) as errors:
                try:
                    async with outcomes, aclosing(signals.until(outcomes, count=1)) as coming:
                        async for outcome in coming:
                            await self._keep(outcome, results, errors, worker)
                except FanOutStoppedError as error:
                    self._stop(error.__cause__)
                for outcome in outcomes.untaken:
                    await self._keep(outcome, results, errors, worker)
        except OSError as error:  # a line can't be written; the journal has what it says
            self._stop(error)

    def _stop(self, why: BaseException | None) -> None:
        self._code = OVER_BUDGET if isinstance(why, BudgetSpentError) else STOPPED
        self.stopped = str(why)

    async def _keep(self, outcome: Outcome[Row, Done], results: Lines, errors: Lines, worker: Worker) -> None:
        row, error = outcome.item, outcome.error
        self._tally.ended(row.id)
        if error is None:
            record = result_of(outcome)
            await in_thread(partial(results.add, record))
            self._tally.done += 1
        elif _is_as_if_not_begun(error):
            return
        else:
            record = error_of(row, error, worker.cost_of(row, error))
            await in_thread(partial(errors.add, record))
            self._count_error(record)
            self.display.say(f"line {row.line}, {row.id}: {record['why']}: {record['message']}")
        self.display.event("row", **{name: value for name, value in record.items() if name != "body"})

    async def _row_by_row(self) -> AsyncIterator[Row]:
        rows = self._rows()
        while page := await in_thread(lambda: list(islice(rows, _PAGE))):
            for row in page:
                yield row

    def _rows(self) -> Iterator[Row]:
        return (row for row in self.run.rows() if row.id not in self._skipped and self._is_wanted(row))

    def _is_wanted(self, row: Row) -> bool:
        return self.only is None or row.id in self.only

    def _conclude(self, budget: Budget, signalled: int) -> int:
        tally = self._tally
        code = signalled or self._code
        if code is None:
            code = IN_DOUBT if tally.doubt else SOME_FAILED if tally.failed else ALL_DONE
        report = {
            "ended_at": datetime.now(UTC).isoformat(timespec="seconds"),
            "rows": tally.total,
            "done": tally.done,
            "failed": tally.failed,
            "in_doubt": tally.doubt,
            "not_begun": tally.total - tally.done - tally.failed - tally.doubt,
            "why": dict(self._errors),
            "spent_usd": round(budget.spent or self._spent_before, 6),
            "stopped": self.stopped,
            "exit_code": code,
        }
        self.run.write_report(report)
        tally.committed = lambda: budget.committed or self._spent_before
        self.display.tick(tally, last=True)
        if self.stopped is not None:
            self.display.say(f"Stopped: {self.stopped}")
        self.display.event("end", **report)
        self.display.close()
        return code


def _rate_of(client: AsyncRelayDance) -> float | None:
    """Calls a second that the slowest of the key's limits takes, as far as they are learned."""
    return min((limiter.rate for limiter in client.limits.snapshot().limiters if limiter.rate), default=None)


def _is_as_if_not_begun(error: BaseException) -> bool:
    """What the next start does by itself: the journal knows what has been sent."""
    if isinstance(error, asyncio.CancelledError):
        return True
    return isinstance(error, STOPS) and not maybe_accepted(error)


def origin_of(base_url: str) -> str:
    """Where the journal says that a request went."""
    parts = urlsplit(base_url)
    return f"{parts.scheme}://{parts.netloc}"
