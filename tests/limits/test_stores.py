"""Each store of shared limits does the same: what any `Store` promises."""

from __future__ import annotations

import itertools
import time
from collections.abc import AsyncIterator, Iterator
from dataclasses import replace

import anyio
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from benchmarks.limits.shared import SharedRow, rows, run
from relaydance_async._limits._memory import MemoryStore
from relaydance_async._limits._redis import RedisStore, arguments_of, build_script
from relaydance_async._limits._shared import Store
from relaydance_async._sansio.sharing import LEASE, Grant, Kept, Report, exchange
from relaydance_async._sansio.sharing.part import MANY
from tests.kit.redis import RedisServer, program, redis_server

pytestmark = pytest.mark.anyio

REPLAYED = (
    "4 on bucket 100/s", "4 on 10 of 5 s", "4 on bucket 100/s, 3 % at random", "4 on bucket 50/s, an outage",
    "4 with 3 models on bucket 100/s", "4 on fixed 100 per 5 s, 2 models, one each",
)  # fmt: skip
"""Rows whose reports the script gets as well."""


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"  # redis-py knows no other


@pytest.fixture(scope="module")
def server() -> Iterator[RedisServer]:
    with redis_server() as running:
        yield running


@pytest.fixture(scope="module")
def valkey() -> Iterator[RedisServer]:
    with redis_server("valkey-server") as running:
        yield running


@pytest.fixture(params=["memory", "server", *(["valkey"] if program("valkey-server") else [])])
async def store(request: pytest.FixtureRequest) -> AsyncIterator[Store]:
    if request.param == "memory":
        store: Store = MemoryStore(time.monotonic)
    else:
        server: RedisServer = request.getfixturevalue(request.param)
        server.ask("FLUSHALL")
        store = RedisStore(server.url)
    yield store
    await store.aclose()


def report(who: str, kind: str = "open", amount: float = 0.0, want: float = MANY, **more: int) -> Report:
    held, accepted, refused = (more.get(name, 0) for name in ("held", "accepted", "refused"))
    return Report("limit", who, kind, amount, float(more.get("period", 0)), want, held, accepted, refused)


async def grants(store: Store, *reports: Report) -> list[str]:
    return [grant.kind for grant in await store.exchange(reports)]


async def amounts(store: Store, *reports: Report) -> list[float]:
    return [grant.amount for grant in await store.exchange(reports)]


async def found(store: Store, kind: str, amount: float, who: str = "a", **more: int) -> float:
    """A process finds a limit; its part."""
    assert await grants(store, report(who, "searching")) == ["scout"]
    (part,) = await amounts(store, report(who, kind, amount, **more))
    return part


async def test_nothing_is_granted_of_what_nobody_knows(store: Store) -> None:
    assert await grants(store, report("a"), report("b")) == ["open", "open"]


async def test_the_first_that_meets_a_limit_finds_it_and_the_others_wait(store: Store) -> None:
    assert await grants(store, report("a", "searching"), report("b"), report("c", "searching")) == [
        "scout", "wait", "wait",
    ]  # fmt: skip
    assert await grants(store, report("a", "rate", 12), report("b"), report("c")) == ["rate"] * 3
    parts = await amounts(store, report("a"), report("b"), report("c"))
    assert parts == pytest.approx([4, 4, 4], rel=0.05)


@pytest.mark.parametrize(("seconds", "kind", "at_once"), [(0.05, "rate", 0), (2.0, "under way", 4)])
async def test_a_limit_that_a_scout_alone_does_not_reach_grows_for_all(
    store: Store, seconds: float, kind: str, at_once: int
) -> None:
    assert await grants(store, report("a", "searching"), report("b", "searching")) == ["scout", "wait"]
    met = report("a", "open", seconds, held=at_once, accepted=10)  # it has no more calls
    assert await grants(store, met, report("b", held=4)) == [kind, kind]
    before = sum(await amounts(store, report("a", held=4), report("b", held=4)))
    await anyio.sleep(1.1)
    assert sum(await amounts(store, report("a", held=4), report("b", held=4))) >= 1.2 * before


@pytest.mark.parametrize("how", ["it dies", "it leaves"])
async def test_when_the_scout_is_gone_another_goes(store: Store, how: str) -> None:
    assert await grants(store, report("a", "searching"), report("b", "searching")) == ["scout", "wait"]
    if how == "it leaves":
        await store.release([("limit", "a")])
    else:
        await anyio.sleep(LEASE + 0.1)
    assert await grants(store, report("b", "searching")) == ["scout"]


async def test_a_scout_without_calls_lets_another_look(store: Store) -> None:
    assert await grants(store, report("a", "searching"), report("b", "searching")) == ["scout", "wait"]
    idle = report("a", "searching", want=0.0)  # after refusals its calls wait
    assert await grants(store, idle) == ["scout"]
    await anyio.sleep(1.1)
    assert await grants(store, idle, report("b", "searching"), idle) == ["wait", "scout", "wait"]


async def test_when_nobody_has_calls_all_are_free(store: Store) -> None:
    idle = [report(who, "searching", want=0.0) for who in "ab"]
    assert await grants(store, *idle, *idle) == ["scout", "wait"] * 2
    await anyio.sleep(1.1)
    assert await grants(store, *idle) == ["open", "open"]


async def test_a_scout_looks_anew_when_the_calls_of_others_have_ended_late(store: Store) -> None:
    assert await grants(store, report("a", "searching"), report("b", held=3)) == ["scout", "wait"]
    assert await grants(store, report("a", "rate", 5)) == ["scout"]  # that may be the ends of b's calls
    await anyio.sleep(1.1)
    assert await grants(store, report("b", held=0), report("a", "rate", 5)) == ["wait", "anew"]
    assert await grants(store, report("a", "rate", 5)) == ["rate"]


async def test_what_others_held_beside_the_scout_is_part_of_the_limit(store: Store) -> None:
    assert await grants(store, report("a", "searching", held=2)) == ["scout"]
    assert await grants(store, report("b", held=3)) == ["wait"]  # it says so after the scout has begun
    assert await grants(store, report("c", held=5)) == ["wait"]
    assert await grants(store, report("b", want=0.0), report("c", want=0.0)) == ["wait", "wait"]  # they ended soon
    assert await amounts(store, report("a", "under way", 2)) == [10]


async def test_an_emptied_store_adds_up_what_each_knows(store: Store) -> None:
    everybody = [report(who, "rate", 10) for who in "abc"]
    assert await grants(store, *everybody) == ["open"] * 3
    await anyio.sleep(0.65)
    parts = await amounts(store, *everybody)
    assert parts == pytest.approx([10] * 3, rel=0.05)


async def test_what_one_leaves_others_get(store: Store) -> None:
    await found(store, "rate", 100)
    both = [report("a"), report("b", want=10.0)]
    await store.exchange(both)
    assert await amounts(store, *both) == [pytest.approx(90, rel=0.05), pytest.approx(10, rel=0.05)]


async def test_the_turns_of_processes_are_spread(store: Store) -> None:
    await found(store, "rate", 1)
    everybody = [report(who) for who in "abcd"]
    await store.exchange(everybody)
    turns = sorted(grant.turn for grant in await store.exchange(everybody))
    steps = [after - before for before, after in itertools.pairwise(turns)]
    assert steps == pytest.approx([0.25] * 3, abs=0.05)


async def test_places_never_sum_to_more_than_there_are(store: Store) -> None:
    assert await found(store, "under way", 8) == 8
    assert await amounts(store, report("b")) == [0]  # all are taken
    assert await amounts(store, report("a", held=6)) == [4]  # it gives them back as its calls end
    assert await amounts(store, report("b")) == [2]
    assert await amounts(store, report("a", held=4)) == [4]
    assert await amounts(store, report("b")) == [4]


async def test_fewer_places_than_members_go_round(store: Store) -> None:
    await found(store, "under way", 1)
    had: set[str] = set()
    with anyio.fail_after(6):
        while had != {"a", "b"}:
            for who in "ab":
                if (await amounts(store, report(who)))[0]:
                    had.add(who)
            await anyio.sleep(0.1)


async def test_a_dead_member_holds_nothing_after_its_lease(store: Store) -> None:
    assert await found(store, "under way", 4, who="dead") == 4
    assert await amounts(store, report("b", want=1.0)) == [0]
    await anyio.sleep(LEASE + 0.1)
    assert await amounts(store, report("b", want=4.0)) == [4]


async def test_who_leaves_holds_nothing_at_once(store: Store) -> None:
    await found(store, "under way", 4)
    await store.release([("limit", "a")])
    assert await amounts(store, report("b", want=4.0)) == [4]


# --- the limit of the whole key ---


def of_key(who: str, kind: str = "open", accepted: int = 0, **refused: int) -> Report:
    """A report of gates, of which each had 10 calls."""
    gates = {gate: (10, count) for gate, count in refused.items()}
    return replace(report(who, kind, accepted=accepted, refused=sum(refused.values())), gates=gates)


async def test_gates_that_are_refused_in_different_processes_show_a_limit_of_the_key(store: Store) -> None:
    assert await grants(store, of_key("a", a1=3)) == ["open"]
    assert await grants(store, of_key("b", b2=2)) == ["open"]
    assert await grants(store, of_key("b", b2=1), of_key("a")) == ["scout", "wait"]


async def test_what_one_process_has_found_out_for_itself_counts_for_all(store: Store) -> None:
    assert await grants(store, of_key("a", "searching"), of_key("b")) == ["scout", "wait"]
    assert await grants(store, of_key("a", "open")) == ["rate"]  # alone it doesn't reach it: it grows for all
    assert await grants(store, of_key("b")) == ["rate"]


@pytest.mark.parametrize("reports", [
    [of_key("a", a1=20), of_key("b", a1=20)],
    [of_key("a", a1=20), of_key("a", b2=1)],
    [of_key("a", accepted=10, a1=2, b2=2), of_key("a", accepted=10, a1=2, b2=2)],
], ids=["one alone", "one alone, and chance", "amid accepted ones"])  # fmt: skip
async def test_what_shows_no_limit_of_the_key(store: Store, reports: list[Report]) -> None:
    assert set(await grants(store, *reports)) == {"open"}


async def test_one_that_alone_is_refused_shows_that_the_limit_was_not_the_keys(store: Store) -> None:
    assert await grants(store, of_key("a", "searching")) == ["scout"]
    found = replace(of_key("a", "rate", a1=9, b2=0), amount=20.0)
    assert await grants(store, *[found] * 3) == ["rate", "rate", "open"]
    assert await grants(store, of_key("a", "searching"), of_key("a", a1=9, b2=9)) == ["open"] * 2  # not again so soon


async def test_refusals_of_different_ones_show_that_it_still_is(store: Store) -> None:
    assert await grants(store, of_key("a", "searching")) == ["scout"]
    found = replace(of_key("a", "rate"), amount=20.0)
    assert await grants(store, found, *[of_key("a", a1=9, b2=1)] * 5) == ["rate"] * 6


# --- the script is the rule in Python: the same reports at the same times get the same grants ---

KINDS = st.sampled_from(["open", "searching", "rate", "under way"])
COUNTS = st.one_of(st.just(0), st.integers(0, 30))
STEPS = st.one_of(st.just(0.25), st.floats(0.0, 5.0), st.just(70.0), st.just(-10.0))
REPORTS = st.builds(
    Report, st.just("limit"), st.sampled_from("abc"), KINDS, st.floats(0.1, 500.0), st.sampled_from([0.0, 5.0, 60.0]),
    st.one_of(st.just(MANY), st.floats(0.0, 100.0)), COUNTS, COUNTS, COUNTS,
)  # fmt: skip
GATES = st.dictionaries(st.sampled_from(["a1", "b2", "c3"]), st.tuples(COUNTS, COUNTS))


class Twins:
    """Both."""

    def __init__(self, server: RedisServer) -> None:
        import redis

        self.redis = redis.Redis(port=server.port)
        server.ask("FLUSHALL")
        script = build_script().replace("redis.call('TIME')", "{ARGV[10], ARGV[11]}")
        self.script = self.redis.register_script(script)
        self.kept: dict[str, Kept] = {}

    def exchange(self, one: Report, now: float) -> Grant:
        now = round(now, 6)
        ours = exchange(self.kept.setdefault(one.name, Kept()), one, now)
        time_of_it = [str(int(now)), str(round(now % 1 * 1e6))]
        kind, amount, turn = self.script([one.name, f"{one.name}:members"], [*arguments_of(one), *time_of_it])
        assert kind.decode() == ours.kind
        assert float(amount) == pytest.approx(ours.amount, rel=1e-6, abs=1e-6)
        assert _near(float(turn), ours.turn)
        return ours


def _near(one: float, other: float) -> bool:
    """On a circle."""
    return min(abs(one - other), 1 - abs(one - other)) < 1e-4


@given(steps=st.lists(st.tuples(STEPS, REPORTS), max_size=40))
@settings(max_examples=40, deadline=None)
def test_the_script_is_the_rule_for_any_reports(server: RedisServer, steps: list[tuple[float, Report]]) -> None:
    twins, now = Twins(server), 1000.0
    with twins.redis:
        for after, one in steps:
            now += after
            twins.exchange(one, now)


@given(steps=st.lists(st.tuples(STEPS, REPORTS, GATES), max_size=40))
@settings(max_examples=40, deadline=None)
def test_the_script_is_the_rule_for_a_limit_of_the_key(
    server: RedisServer, steps: list[tuple[float, Report, dict[str, tuple[int, int]]]]
) -> None:
    twins, now = Twins(server), 1000.0
    with twins.redis:
        for after, one, gates in steps:
            now += after
            twins.exchange(replace(one, gates=gates), now)


def test_the_script_keeps_what_a_member_said_of_itself(server: RedisServer) -> None:
    twins = Twins(server)
    with twins.redis:
        for after, one in enumerate([of_key("a", "rate"), of_key("a"), of_key("a"), of_key("b", "rate")]):
            twins.exchange(replace(one, amount=20.0), 1000.0 + 0.25 * after)


def test_the_script_forgets_members_too_when_its_clock_is_set_back(server: RedisServer) -> None:
    twins = Twins(server)
    with twins.redis:
        for after, one in ((0, of_key("a")), (-10, of_key("b", "searching")), (-9.75, of_key("b"))):
            twins.exchange(one, 1000.0 + after)


@pytest.mark.parametrize("row", [row for row in rows() if row.name in REPLAYED], ids=lambda row: row.name)
def test_the_script_is_the_rule_in_the_simulator(server: RedisServer, row: SharedRow) -> None:
    twins = Twins(server)
    with twins.redis:
        run(replace(row, seconds=row.after + 20), 1, twins.exchange)
