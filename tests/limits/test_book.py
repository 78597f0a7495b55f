"""What is known of a key: of each model, of all together, of what was set; what is seen of it, and forgotten."""

# pyright: reportPrivateUsage=false

from __future__ import annotations

import pickle
from collections.abc import Callable
from typing import Any, cast

import anyio
import pytest

from relaydance_async import ConfigurationError, Limit, Limits, LimitsSnapshot
from relaydance_async._limits import Book, Ended, Kind, LocalAdmission, Ticket
from relaydance_async._limits._snapshot import KnownLimits
from relaydance_async._sansio.key_wide import KeyWide
from relaydance_async._sansio.limiter import Learned, Limiter
from relaydance_async._sansio.sharing import Grant, KeyPart, Part
from tests.limits.support import Crowd, Time, settle, ticket

pytestmark = pytest.mark.anyio

Refuses = Callable[[str | None, float], bool]


class Server:
    """Answers after 20 ms; `refuses` says whom."""

    def __init__(self, time: Time, refuses: Refuses, book: Book | None = None) -> None:
        self.time = time
        self.refuses = refuses
        self.book = book if book is not None else Book()
        self.admission = LocalAdmission(100, self.book, time.monotonic, time.sleep)
        self.accepted: dict[str | None, int] = {}
        self.refused: dict[str | None, int] = {}

    async def call(self, model: str | None, kind: Kind = Kind.BILLED, route: str = "/chat/completions") -> None:
        wanted = Ticket(kind, route, model)
        while True:
            lease = self.admission.enter_now(wanted) or await self.admission.enter(wanted)
            is_refused = self.refuses(model, self.time.at)
            await self.time.sleep(0.02)
            lease.ended(Ended.REFUSED if is_refused else Ended.ACCEPTED)
            counts = self.refused if is_refused else self.accepted
            counts[model] = counts.get(model, 0) + 1
            if not is_refused:
                return
            await self.time.sleep(0.2)

    async def loop(self, model: str | None, every: float, **options: object) -> None:
        """So many calls come, whatever becomes of them."""
        async with anyio.create_task_group() as group:
            while True:
                group.start_soon(self.call, model)
                await self.time.sleep(every)


class Bucket:
    def __init__(self, rate: float, burst: float = 2.0) -> None:
        self.rate, self.burst, self.level, self.at = rate, burst, burst, 0.0

    def refuses(self, now: float) -> bool:
        self.level, self.at = min(self.burst, self.level + (now - self.at) * self.rate), now
        if self.level >= 1:
            self.level -= 1
            return False
        return True


async def serve(server: Server, seconds: float, *models: tuple[str | None, float]) -> None:
    async with anyio.create_task_group() as group:
        for model, every in models:
            group.start_soon(server.loop, model, every)
        await server.time.advance(seconds)
        group.cancel_scope.cancel()


@pytest.mark.parametrize("kind", ["limited", "always refused"])
async def test_a_models_limit_is_no_other_models_affair(kind: str) -> None:
    bucket = Bucket(2.0)

    def refuses(model: str | None, now: float) -> bool:
        return model == "A" and (kind == "always refused" or bucket.refuses(now))

    server = Server(Time(), refuses)
    await serve(server, 20.0, ("A", 0.2), ("B", 0.02))
    assert server.accepted["B"] >= 0.95 * 20 / 0.02
    assert server.book.wide.limiter is None
    if kind == "limited":
        assert server.accepted["A"] >= 30
        assert server.refused["A"] <= 40


async def test_a_limit_of_the_key_is_learned_for_all_calls_together() -> None:
    bucket = Bucket(20.0, 20.0)
    server = Server(Time(), lambda model, now: bucket.refuses(now))
    await serve(server, 30.0, ("A", 0.05), ("B", 0.05), (None, 0.05))
    assert server.book.wide.limiter is not None
    assert sum(server.accepted.values()) >= 0.85 * 20 * 30
    assert sum(server.refused.values()) <= 0.2 * 20 * 30


async def test_the_key_wide_limiter_gives_up_when_only_one_model_is_refused() -> None:
    def refuses(model: str | None, now: float) -> bool:
        return now < 52.0 or model == "A"

    server = Server(Time(), refuses)
    async with anyio.create_task_group() as group:
        for model in ("A", "B"):
            group.start_soon(server.loop, model, 0.02)
        await server.time.advance(1.9)
        seen = [server.book.wide.limiter is None]
        await server.time.advance(30.0)
        seen.append(server.book.wide.limiter is None)
        assert seen == [False, True]
        before = server.accepted["B"]
        await server.time.advance(10.0)
        assert server.accepted["B"] - before >= 450
        group.cancel_scope.cancel()


async def test_what_is_set_is_never_gone_above() -> None:
    time = Time()
    book = Book(Limits(requests_per_minute=30, in_flight=8, per_model={"A": 2, "B": Limit(10)}, per_kind={"video": 3}))
    server = Server(time, lambda model, now: False, book)
    await serve(server, 59.0, ("A", 0.1), ("B", 0.1), ("C", 0.1))
    assert sum(server.accepted.values()) == 30
    assert server.accepted["B"] <= 10
    async with anyio.create_task_group() as group:
        await time.advance(61.0)
        crowd = Crowd(server.admission, group)
        for number in range(9):
            await crowd.join(f"a{number}", ticket=ticket(model="A"))
            await crowd.join(f"video{number}", ticket=Ticket(Kind.BILLED, "/video/generations", "C"))
        await time.advance(1.0)
        assert sum(name.startswith("a") for name in crowd.admitted) == 2
        assert sum(name.startswith("video") for name in crowd.admitted) == 3
        for name in list(crowd.admitted):
            await crowd.end(name)
        assert sum(name.startswith("a") for name in crowd.admitted) == 4
        group.cancel_scope.cancel()
    assert server.book._of_key[1].delay(time.at) == 0


async def test_the_processes_share_what_is_set() -> None:
    time = Time()
    server = Server(time, lambda model, now: False, Book(Limits(requests_per_minute=60, processes=4)))
    await serve(server, 59.0, ("A", 0.1))
    assert server.accepted["A"] == 15


class Leases:
    """Shares in memory: every process may hold so many calls more."""

    def __init__(self) -> None:
        self.parts: dict[str, Part] = {}
        self.limiters: dict[str, Limiter] = {}

    def allowance(self, name: str, limiter: Limiter) -> Part:
        self.limiters[name] = limiter
        part = self.parts[name] = Part(name, "me", limiter, lambda part: None)
        part.granted(Grant("under way", 2.0), 50.0)
        return part

    def allowance_of_key(self, name: str, wide: KeyWide) -> KeyPart:
        part = KeyPart(name, "me", wide, lambda part: None)
        self.parts[name] = part
        return part

    async def aclose(self) -> None:
        self.parts.clear()


async def test_what_is_shared_holds_back_and_is_told_what_was_learned() -> None:
    time, leases = Time(), Leases()
    book = Book(Limits(), 100, leases)
    admission = LocalAdmission(100, book, time.monotonic, time.sleep)
    held = [admission.enter_now(ticket(model="A")) for _ in range(3)]
    assert [lease is not None for lease in held] == [True, True, False]
    (limiter,) = leases.limiters.values()
    for learned in (
        Learned("rate", rate=5.0),
        Learned("under way", calls=3.0),
        Learned("window", 20.0, 100.0, 5.0, opened_ago=1.0),
    ):
        limiter.tell(learned, time.at)
        seen = limiter.learned(time.at)
        assert (seen.kind, seen.calls, seen.period) == (learned.kind, learned.calls, learned.period)
        assert seen.rate == pytest.approx(learned.rate, rel=0.02)  # a window is known within bounds
        assert seen.opened_ago == pytest.approx(learned.opened_ago)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: Limits(requests_per_minute=0), "requests_per_minute must be a whole number of 1 or more, not 0"),
        (lambda: Limits(in_flight=True), "in_flight must be a whole number"),
        (lambda: Limits(processes=0), "processes must be a whole number"),
        (lambda: Limit(in_flight=cast(Any, 1.5)), "in_flight must be a whole number"),
        (lambda: Limits(per_model={"A": cast(Any, "2")}), "per_model holds limits, or whole numbers"),
        (lambda: Limits(per_model={"A": 0}), "in_flight must be a whole number"),
        (lambda: Limits(per_kind={"audio": 2}), "per_kind has no 'audio': there are video, image, chat, file, poll"),
    ],
)
def test_bad_settings_are_an_error_at_once(make: Callable[[], object], message: str) -> None:
    with pytest.raises(ConfigurationError, match=message):
        make()


async def test_a_snapshot_can_be_read_and_pickled_and_all_is_forgotten_on_demand() -> None:
    time = Time()
    bucket = Bucket(2.0)
    server = Server(time, lambda model, now: model == "A" and bucket.refuses(now))
    known = KnownLimits(server.book, time.monotonic, server.admission.queued)
    taken: list[LimitsSnapshot] = []
    async with anyio.create_task_group() as group:
        for model in ("A", "B"):
            group.start_soon(server.loop, model, 0.1)
        await time.advance(20.0)
        taken.append(known.snapshot())
        group.cancel_scope.cancel()
    (seen,) = taken
    assert pickle.loads(pickle.dumps(seen)) == seen
    a, b = sorted(seen.limiters, key=lambda one: one.name)
    assert (a.name, a.state, b.state) == ("POST /chat/completions A", "rate", "open")
    assert a.rate == pytest.approx(2.0, rel=0.3)
    assert a.refusals > 5
    assert a.refused_ago is not None
    assert list(seen.queued) == [0]
    text = str(seen)
    assert "waiting: " in text
    assert "POST /chat/completions A: rate for " in text
    assert " calls/s" in text
    known.forget()
    await settle()
    assert {one.state for one in known.snapshot().limiters} == {"open"}
    assert all(one.refusals == 0 for one in known.snapshot().limiters)


def test_what_is_known_of_nothing_reads_well() -> None:
    book = Book()
    book.gate(ticket(model="A"))
    seen = str(KnownLimits(book, Time().monotonic, dict).snapshot())
    assert seen.splitlines()[1] == "POST /route A: open (no limit is known), 0 under way"


def test_another_key_shares_its_own_limits() -> None:
    leases = Leases()
    book = Book(Limits(), 100, leases, "https://gateway.example", "one")
    for one in (book, book.sibling("other")):
        part = one.gate(ticket(model="A")).shared
        assert part is not None
        assert part.key is one.wide.part  # or it would say what is the key's of itself
    owners = "https://gateway.example one", "https://gateway.example other"
    assert sorted(leases.parts) == [f"{owner} {what}" for owner in owners for what in ("*", "POST /route A")]
