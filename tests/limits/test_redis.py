"""Limits shared over a real Redis: what happens when it fails, or a process dies."""

# pyright: reportPrivateUsage=false

from __future__ import annotations

import logging
import os
import signal
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import suppress

import anyio
import pytest

from relaydance_async import AsyncRelayDance, ConfigurationError, RedisLimits
from relaydance_async._limits import Book, Ended, LocalAdmission, _redis
from relaydance_async._sansio.limiter import Learned
from relaydance_async._sansio.sharing import EVERY
from tests.kit.redis import RedisServer, redis_server
from tests.limits.limited_server import Gateway, TokenBucket, caller
from tests.limits.support import ticket

pytestmark = pytest.mark.anyio


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture
def server() -> Iterator[RedisServer]:
    with redis_server() as running:
        yield running


class Process:
    """What a process has of it: an admission whose limits are shared."""

    def __init__(self, url: str, owner: str = "owner") -> None:
        self.shared = RedisLimits(url)
        self.book = Book(None, 100, self.shared, owner)
        self.admission = LocalAdmission(100, self.book, time.monotonic, anyio.sleep)
        self.gate = self.book.gate(ticket(model="A"))

    @property
    def is_sharing(self) -> bool:
        self.gate.delay(time.monotonic())
        return self.gate.shared is not None and self.gate.shared.governs(time.monotonic())

    def learns(self, learned: Learned) -> None:
        self.gate.limiter.tell(learned, time.monotonic())

    async def call(self) -> None:
        lease = await self.admission.enter(ticket(model="A"))
        lease.ended(Ended.ACCEPTED)


async def until(what: Callable[[], bool], seconds: float = 5.0) -> None:
    with anyio.fail_after(seconds):
        while not what():  # noqa: ASYNC110  (what happens in a thread, or another process)
            await anyio.sleep(0.02)


async def sharing(url: str, learned: Learned | None = None, owner: str = "owner") -> Process:
    process = Process(url, owner)
    process.learns(learned or Learned("rate", rate=500.0))
    await until(lambda: process.is_sharing)
    return process


FAULTS: dict[str, tuple[Callable[[RedisServer], object], Callable[[RedisServer], object]]] = {
    "gone": (RedisServer.stop, RedisServer.start),
    "slow": (lambda server: server.signal(signal.SIGSTOP), lambda server: server.signal(signal.SIGCONT)),
    "full": (
        lambda server: server.ask("CONFIG", "SET", "maxmemory", "1"),
        lambda server: server.ask("CONFIG", "SET", "maxmemory", "0"),
    ),
    "a replica": (  # as after a failover: it refuses to write
        lambda server: server.ask("REPLICAOF", "127.0.0.1", "1"),
        lambda server: server.ask("REPLICAOF", "NO", "ONE"),
    ),
}


async def test_calls_go_on_while_redis_fails_and_it_comes_back(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.WARNING, "relaydance_async")
    async with anyio.create_task_group() as group:
        for begin, end in FAULTS.values():
            group.start_soon(_fails_and_comes_back, begin, end)
    assert len([1 for record in caplog.records if "can't be shared" in record.message]) == len(FAULTS)


async def _fails_and_comes_back(begin: Callable[[RedisServer], object], end: Callable[[RedisServer], object]) -> None:
    with redis_server() as server:
        process = await sharing(server.url)
        begin(server)
        try:
            await until(lambda: not process.is_sharing, 6)
            with anyio.fail_after(2):
                for _ in range(20):
                    await process.call()
            assert process.gate.limiter.learned(time.monotonic()).kind == "rate"  # it goes on with what it had
        finally:
            end(server)
        await until(lambda: process.is_sharing, 8)
        await process.shared.aclose()


IMPOSSIBLE: dict[str, list[tuple[str, ...]]] = {
    **{f"{name} is {value}": [("HSET", "LIMIT", name, value)] for name, value in (
        ("limit", "0"), ("limit", "-5"), ("limit", "nan"), ("limit", "inf"), ("limit", "1e300"), ("limit", "many"),
        ("limit", ""), ("kind", "window"), ("peak", "-inf"), ("noise", "nan"), ("row", "-1e9"), ("changed", "9e11"),
        ("seen", "9e11"), ("average", "nan"), ("now_refused", "1e308"), ("scout", "nobody"),
    )},
    "a field is missing": [("HDEL", "LIMIT", "limit")],
    "the limit is text": [("SET", "LIMIT", "x")],
    "the limit is a list": [("DEL", "LIMIT"), ("RPUSH", "LIMIT", "x")],
    "the members are a set": [("DEL", "LIMIT:members"), ("SADD", "LIMIT:members", "x")],
    "a member is text": [("HSET", "LIMIT:members", "x", "y")],
    "a member takes all, for ever": [("HSET", "LIMIT:members", "x", "inf 1e9 1e9 9e11 0 rate")],
    "a member holds less than nothing": [("HSET", "LIMIT:members", "x", "-1 -1e9 -1e9 9e11 nan rate")],
}  # fmt: skip
"""Commands that write what can be none."""


@pytest.mark.parametrize("learned", [Learned("rate", rate=500.0), Learned("under way", calls=10.0)])
async def test_what_can_be_none_is_as_if_it_were_not_there(
    server: RedisServer, learned: Learned, caplog: pytest.LogCaptureFixture
) -> None:
    async with anyio.create_task_group() as group:
        for name, commands in IMPOSSIBLE.items():
            group.start_soon(_goes_on, server, learned, name, commands)
    assert "can't be shared" not in caplog.text


async def _goes_on(server: RedisServer, learned: Learned, name: str, commands: list[tuple[str, ...]]) -> None:
    process = await sharing(server.url, learned, owner=name)
    assert process.gate.shared is not None
    (limit, _) = _redis._keys(process.gate.shared.name)
    for command in commands:
        server.ask(*(word.replace("LIMIT", limit) for word in command))
    ends = time.monotonic() + 3 * EVERY
    while (began := time.monotonic()) < ends:
        await process.call()
        assert time.monotonic() - began < 1.0, name
        await anyio.sleep(0.02)
    await until(lambda: process.is_sharing)
    await process.shared.aclose()


async def test_an_emptied_redis_learns_it_again(server: RedisServer, caplog: pytest.LogCaptureFixture) -> None:
    process = await sharing(server.url)
    server.ask("FLUSHALL")
    server.ask("SCRIPT", "FLUSH")
    assert server.ask("DBSIZE") == b"0"
    await until(lambda: process.is_sharing and server.ask("DBSIZE") == b"4")
    with anyio.fail_after(2):
        for _ in range(20):
            await process.call()
    assert "can't be shared" not in caplog.text
    await process.shared.aclose()


async def test_no_round_trip_for_a_call(server: RedisServer) -> None:
    process = await sharing(server.url)
    before, began = process.shared.round_trips, time.monotonic()
    for _ in range(200):
        await process.call()
    took = time.monotonic() - began
    assert process.shared.round_trips - before <= took / 0.25 + 2
    await process.shared.aclose()


async def test_nobody_finds_the_key_in_redis(server: RedisServer) -> None:
    async with Gateway(TokenBucket(5, 1)) as gateway:
        shared = RedisLimits(server.url)
        url = f"http://127.0.0.1:{gateway.port}/v1"
        async with AsyncRelayDance("sk-very-secret", base_url=url, shared_limits=shared) as client:
            gate = client._api._shared.book.gate(ticket(model="A"))
            gate.limiter.tell(Learned("rate", rate=5.0), time.monotonic())
            await until(lambda: gate.delay(time.monotonic()) >= 0 and server.ask("DBSIZE") == b"4")
            keys = server.ask("KEYS", "*")
            seen = keys + b"".join(server.ask("HGETALL", key.decode()) for key in keys.split(b"\n"))
        await shared.aclose()
    assert b"relaydance:limits:" in seen
    for secret in (b"secret", b"model", b"chat", b"127.0.0.1", client._api._shared.endpoint.mark.encode()):
        assert secret not in seen


async def test_closing_gives_the_lease_back(server: RedisServer) -> None:
    process = await sharing(server.url, Learned("under way", calls=4))
    await process.shared.aclose()
    assert server.ask("DBSIZE") == b"2"  # its limit and the key's stay, the members are gone
    await process.call()


async def test_the_password_of_the_address_is_not_logged(server: RedisServer, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    server.ask("CONFIG", "SET", "requirepass", "other")
    process = Process(server.url.replace("//", "//:hunter2@"))
    process.gate.delay(time.monotonic())
    await until(lambda: "can't be shared" in caplog.text)
    await process.call()
    await process.shared.aclose()
    assert "hunter2" not in caplog.text + repr(process.shared)


def test_a_bad_address_and_a_missing_package_are_told(monkeypatch: pytest.MonkeyPatch) -> None:
    for url in ("http://:hunter2@host", "", "redis://host:port"):
        with pytest.raises(ConfigurationError, match="redis://host") as caught:
            RedisLimits(url)
        assert "hunter2" not in str(caught.value)
        assert caught.value.__cause__ is None
    with pytest.raises(ConfigurationError, match="such as RedisLimits, not str"):
        AsyncRelayDance("sk-test", shared_limits="redis://host")  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    monkeypatch.setitem(sys.modules, "redis.asyncio", None)
    with pytest.raises(ConfigurationError, match=r"relaydance-async\[redis\]"):
        RedisLimits("redis://host")


async def test_the_snapshot_tells_of_the_part(server: RedisServer) -> None:
    shared = RedisLimits(server.url)
    async with AsyncRelayDance("sk-test", shared_limits=shared) as client:
        gate = client._api._shared.book.gate(ticket(model="A"))
        gate.limiter.tell(Learned("rate", rate=5.0), time.monotonic())
        await until(lambda: bool(gate.delay(time.monotonic()) >= 0 and gate.shared and gate.shared.is_held))
        (seen,) = client.limits.snapshot().limiters
        assert seen.state == "shared"
        assert seen.rate == pytest.approx(5.0, rel=0.2)
        assert "shared" in str(seen)
    await shared.aclose()


async def test_a_forked_process_has_a_lease_of_its_own(server: RedisServer) -> None:
    process = await sharing(server.url)
    pid = os.fork()
    if pid == 0:
        code = 1
        try:
            process.book.entered()
            alone = not process.is_sharing
            end = time.monotonic() + 5
            while not process.is_sharing and time.monotonic() < end:
                time.sleep(0.02)  # noqa: ASYNC251  (the child has no loop)
            code = 0 if alone and process.is_sharing else 1
        finally:
            os._exit(code)
    ended: list[int] = []

    def has_ended() -> bool:
        gone, status = os.waitpid(pid, os.WNOHANG)
        ended.extend([status] if gone else [])
        return bool(ended)

    await until(has_ended, 8)
    assert ended == [0]
    assert process.is_sharing
    await process.shared.aclose()


async def test_what_a_killed_process_held_is_free_within_five_seconds(server: RedisServer) -> None:
    first = await sharing(server.url, Learned("under way", calls=10))
    pid = os.fork()
    if pid == 0:
        first.book.entered()
        while True:  # it wants all it can get
            first.gate.delay(time.monotonic())
            first.admission.enter_now(ticket(model="A"))
            time.sleep(0.02)  # noqa: ASYNC251  (the child has no loop)
    try:
        await until(lambda: max(_held(server), default=0) >= 5)
    finally:
        os.kill(pid, signal.SIGKILL)
        os.waitpid(pid, 0)  # noqa: ASYNC222  (it is dead)
    killed_at = time.monotonic()

    def has_all() -> bool:
        first.admission.enter_now(ticket(model="A"))
        return len(first.gate.limiter.facts.flying) >= 10

    await until(has_all)
    assert time.monotonic() - killed_at < 5
    await first.shared.aclose()


def _held(server: RedisServer) -> list[int]:
    """The calls under way of each process, as Redis knows them."""
    names = [name.decode() for name in server.ask("KEYS", "*:members").split(b"\n") if name]
    members = [member.split() for name in names for member in server.ask("HVALS", name).split(b"\n") if member]
    return sorted(int(float(member[2])) for member in members)


@pytest.mark.parametrize("models", [("A", "B"), ("A",)], ids=["both models each", "one model each"])
async def test_processes_find_the_limit_of_the_key_together(server: RedisServer, models: tuple[str, ...]) -> None:
    for _ in range(5):  # on a busy machine each model may find a limit first, which together are the key's
        server.ask("FLUSHALL")
        outputs = await _until_the_key_has_a_limit(server, models)
        assert outputs == [b""] * 2  # no call failed
        if 20 <= _limit_of_the_key(server) <= 80:
            return
    raise AssertionError("they didn't find it")


async def _until_the_key_has_a_limit(server: RedisServer, models: tuple[str, ...]) -> list[bytes]:
    async with Gateway(TokenBucket(40, 4)) as gateway:
        callers = [caller(gateway.port, server.url, "p0", 8, *models), caller(gateway.port, server.url, "p1", 8, "B")]
        try:
            with suppress(TimeoutError):  # it may be found too low, and then grows
                await until(lambda: 20 <= _limit_of_the_key(server) <= 80, 20)
        finally:
            for process in callers:
                process.kill()
            outputs = [process.communicate()[0] for process in callers]
    return outputs


def _limit_of_the_key(server: RedisServer) -> float:
    """Calls a second, as Redis knows them; 0: it has none."""
    for name in server.ask("KEYS", "*").decode().split():
        if not name.endswith(":members"):
            kind, limit, is_taken = server.ask("HMGET", name, "kind", "limit", "is_taken").decode().split("\n")
            if is_taken == "1" and kind == "rate":
                return float(limit)
    return 0.0


@pytest.mark.torture
@pytest.mark.parametrize("models", [(), ("A", "B")], ids=["of a model", "of the key"])
async def test_four_processes_take_a_bucket_together(server: RedisServer, models: tuple[str, ...]) -> None:
    """Bounded loosely: the machine is busy. The simulator has the goals."""
    async with Gateway(TokenBucket(60, 6)) as gateway:
        callers = [caller(gateway.port, server.url, f"p{i}", 8, *models) for i in range(4)]
        try:
            await until(lambda: len(gateway.by_peer) == 4, 30)
            await until(lambda: _limit_of_the_key(server) > 0 if models else server.ask("DBSIZE") == b"4", 30)
            await anyio.sleep(8)
            began = time.monotonic()
            await anyio.sleep(4)
            accepted, refused = gateway.count(began, began + 4)
        finally:
            for process in callers:
                process.kill()
            outputs = [process.communicate()[0] for process in callers]
    assert accepted >= 0.75 * 4 * 60
    assert refused <= 0.10 * accepted
    assert outputs == [b""] * 4  # no call failed
