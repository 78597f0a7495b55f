"""Names: one look-up at a time for each, shared, remembered, forgotten; in threads that nobody waits for."""

# pyright: reportPrivateUsage=false

from __future__ import annotations

import asyncio
import os
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from relaydance_async._engine import _resolver
from relaydance_async._engine._dial_error import DialError
from relaydance_async._engine._resolver import Resolver, look_up_in_system
from tests.engine.dialling import Names
from tests.kit.waiting import wait_until

pytestmark = pytest.mark.anyio


@pytest.fixture
def names() -> Iterator[Names]:
    names = Names({"one.test": ("192.0.2.1", "192.0.2.2"), "two.test": ("192.0.2.3",)})
    yield names
    names.go_on.set()


async def test_a_hundred_that_ask_at_once_are_one_look_up(names: Names) -> None:
    resolver = Resolver(names)
    names.go_on.clear()
    asking = [asyncio.create_task(resolver.resolve("one.test")) for _ in range(100)]
    await wait_until(lambda: bool(names.asked))
    names.go_on.set()
    assert set(await asyncio.gather(*asking)) == {("192.0.2.1", "192.0.2.2")}
    assert names.asked == ["one.test"]


async def test_what_was_found_is_remembered_for_a_while(names: Names, monkeypatch: pytest.MonkeyPatch) -> None:
    resolver = Resolver(names)
    for _ in range(3):
        await resolver.resolve("one.test")
    assert names.asked == ["one.test"]
    monkeypatch.setattr(_resolver, "REMEMBER_SECONDS", 0.0)
    for _ in range(3):
        await resolver.resolve("two.test")
    assert names.asked == ["one.test", *["two.test"] * 3]


async def test_of_names_that_are_never_asked_for_again_none_is_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_resolver, "REMEMBER_SECONDS", 0.0)
    resolver = Resolver(lambda host: (host,))
    for number in range(50):
        await resolver.resolve(f"host{number}.test")
    assert len(resolver._known) <= 1
    assert not resolver._running


async def test_what_is_forgotten_is_looked_up_again_but_not_what_was_found_meanwhile(names: Names) -> None:
    resolver = Resolver(names)
    old = await resolver.resolve("one.test")
    names.addresses["one.test"] = ("192.0.2.9",)
    resolver.forget("one.test", old)
    assert await resolver.resolve("one.test") == ("192.0.2.9",)
    resolver.forget("one.test", old)  # of a call that was late to fail
    assert await resolver.resolve("one.test") == ("192.0.2.9",)
    assert len(names.asked) == 2


async def test_an_address_is_not_looked_up(names: Names) -> None:
    resolver = Resolver(names)
    for literal in ("127.0.0.1", "::1", "fe80::1%1"):
        assert await resolver.resolve(literal) == (literal,)
    assert not names.asked


@pytest.mark.parametrize(
    ("error", "text"),
    [
        (socket.gaierror(socket.EAI_NONAME, "Name or service not known"), "Name or service not known"),
        (UnicodeError("label too long"), "label too long"),
        (OSError(24, "Too many open files"), "Too many open files"),
    ],
)
async def test_a_failure_is_told_to_all_who_wait_and_not_remembered(names: Names, error: Exception, text: str) -> None:
    names.addresses["none.test"] = error
    resolver = Resolver(names)
    names.go_on.clear()
    asking = [asyncio.create_task(resolver.resolve("none.test")) for _ in range(3)]
    await wait_until(lambda: bool(names.asked))
    names.go_on.set()
    errors = await asyncio.gather(*asking, return_exceptions=True)
    assert [(type(each), str(each)) for each in errors] == [(DialError, f"none.test can't be looked up: {text}")] * 3
    assert len({id(each) for each in errors}) == 3
    names.addresses["none.test"] = ("192.0.2.5",)
    assert await resolver.resolve("none.test") == ("192.0.2.5",)


async def test_a_name_that_is_none_is_a_failure_of_the_system_too() -> None:
    for host in ("a" * 64 + ".test", "nul\0.test"):
        with pytest.raises(DialError, match="can't be looked up") as caught:
            await Resolver().resolve(host)
        assert caught.value.kind == "dns"


async def test_one_who_is_cancelled_ends_it_for_no_other(names: Names) -> None:
    resolver = Resolver(names)
    names.go_on.clear()
    first, second = (asyncio.create_task(resolver.resolve("one.test")) for _ in range(2))
    await wait_until(lambda: bool(names.asked))
    first.cancel()
    with pytest.raises(asyncio.CancelledError):
        await first
    names.go_on.set()
    assert await second
    assert names.asked == ["one.test"]


async def test_a_look_up_that_all_have_left_serves_those_who_come_next(names: Names) -> None:
    """Of a slow name server each call would otherwise begin anew and never see the end."""
    resolver = Resolver(names)
    names.go_on.clear()
    for _ in range(3):
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(resolver.resolve("one.test"), 0.005)
    names.go_on.set()
    assert await resolver.resolve("one.test")
    assert names.asked == ["one.test"]


async def test_beside_one_that_may_be_stuck_a_second_is_begun_and_tells_all(monkeypatch: pytest.MonkeyPatch) -> None:
    stuck = threading.Event()
    asked: list[int] = []

    def look_up(host: str) -> tuple[str, ...]:
        asked.append(len(asked))
        if asked[-1] == 0:
            assert stuck.wait(10)
            return ("192.0.2.1",)
        return ("192.0.2.2",)

    resolver = Resolver(look_up)
    waiting = asyncio.create_task(resolver.resolve("one.test"))
    await wait_until(lambda: len(asked) == 1)
    joining = asyncio.create_task(resolver.resolve("one.test"))
    await asyncio.sleep(0)
    assert len(asked) == 1  # it has not taken long yet
    monkeypatch.setattr(_resolver, "PATIENCE_SECONDS", -1.0)
    assert await resolver.resolve("one.test") == ("192.0.2.2",)
    assert [await waiting, await joining] == [("192.0.2.2",)] * 2
    stuck.set()
    await wait_until(lambda: resolver._threads == 0)
    assert await resolver.resolve("one.test") == ("192.0.2.2",)  # the late one changes nothing
    assert len(asked) == 2


async def test_there_are_at_most_two_threads_for_a_name(names: Names, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_resolver, "PATIENCE_SECONDS", -1.0)
    resolver = Resolver(names)
    names.go_on.clear()
    asking = [asyncio.create_task(resolver.resolve("one.test")) for _ in range(10)]
    await wait_until(lambda: len(names.asked) == 2)
    assert resolver._threads == 2
    names.go_on.set()
    await asyncio.gather(*asking)
    await wait_until(lambda: resolver._threads == 0)
    assert len(names.asked) == 2


async def test_of_many_names_some_wait_in_line_and_those_that_nobody_waits_for_are_left_out(
    names: Names, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(_resolver, "MOST_THREADS", 2)
    hosts = [f"host{number}.test" for number in range(6)]
    names.addresses.update({host: (host,) for host in hosts})
    resolver = Resolver(names)
    names.go_on.clear()
    asking = [asyncio.create_task(resolver.resolve(host)) for host in hosts]
    await wait_until(lambda: len(names.asked) == 2)
    await asyncio.sleep(0.01)
    assert names.asked == hosts[:2]
    asking[2].cancel()
    names.go_on.set()
    found = await asyncio.gather(*asking, return_exceptions=True)
    assert [each for each in found if not isinstance(each, BaseException)] == [(h,) for h in hosts if h != hosts[2]]
    assert sorted(names.asked) == sorted(set(hosts) - {hosts[2]})
    assert await resolver.resolve(hosts[2]) == (hosts[2],)
    assert not resolver._running


async def test_it_needs_no_thread_of_the_app_and_takes_none(names: Names) -> None:
    loop = asyncio.get_running_loop()
    names.addresses.update({f"host{number}.test": ("192.0.2.7",) for number in range(20)})
    resolver = Resolver(names)
    blocked = threading.Event()
    with ThreadPoolExecutor(1) as executor:
        loop.set_default_executor(executor)
        work = loop.run_in_executor(None, blocked.wait, 10)
        assert await resolver.resolve("one.test")
        blocked.set()
        await work
        names.go_on.clear()
        asking = [asyncio.create_task(resolver.resolve(f"host{number}.test")) for number in range(20)]
        await wait_until(lambda: len(names.asked) == 21)
        assert await asyncio.wait_for(loop.run_in_executor(None, int), 5) == 0
        names.go_on.set()
        await asyncio.gather(*asking)


async def test_without_a_thread_to_be_had_it_is_a_failure_and_not_for_good(
    names: Names, monkeypatch: pytest.MonkeyPatch
) -> None:
    resolver = Resolver(names)

    def refuse(thread: threading.Thread) -> None:
        raise RuntimeError("can't start new thread")

    with monkeypatch.context() as patch:
        patch.setattr(threading.Thread, "start", refuse)
        with pytest.raises(DialError, match=r"one\.test can't be looked up: can't start new thread"):
            await resolver.resolve("one.test")
    assert await resolver.resolve("one.test")


def test_the_families_take_turns_and_no_address_comes_twice(monkeypatch: pytest.MonkeyPatch) -> None:
    found = [("::1", 6), ("::2", 6), ("::1", 6), ("192.0.2.1", 4), ("192.0.2.2", 4), ("192.0.2.3", 4)]

    def getaddrinfo(host: str, port: None, *, type: int) -> list[Any]:
        return [(version, type, 6, "", (address, 0)) for address, version in found]

    monkeypatch.setattr(socket, "getaddrinfo", getaddrinfo)
    assert look_up_in_system("x.test") == ("::1", "192.0.2.1", "::2", "192.0.2.2", "192.0.2.3")


SILENT_DNS = """
import asyncio, os, socket, sys, time

def silent(host, *args, **options):
    os.write(1, b"asked\\n")
    time.sleep(60)

socket.getaddrinfo = silent
from relaydance_async._engine._dial import Dialer, Origin
from relaydance_async._sansio.target import Network

async def main():
    dialer = Dialer(Network.ANY)
    await asyncio.gather(*(dialer.dial(Origin("https", f"host{n % 3}.test", 443), asyncio.Protocol) for n in range(9)))

if sys.argv[1] == "uvloop":
    import uvloop
    uvloop.run(main())
else:
    asyncio.run(main())
"""


@pytest.mark.skipif(sys.platform == "win32", reason="no SIGINT")
def test_ctrl_c_does_not_wait_for_a_silent_name_server(loop_name: str) -> None:
    if loop_name == "uvloop":
        pytest.importorskip("uvloop")
    path = os.pathsep.join([str(Path(__file__).parents[2]), *filter(None, [os.environ.get("PYTHONPATH")])])
    with subprocess.Popen(
        [sys.executable, "-W", "error", "-c", SILENT_DNS, loop_name],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONPATH": path},
    ) as process:
        assert process.stdout is not None
        assert [process.stdout.readline() for _ in range(3)] == ["asked\n"] * 3
        process.send_signal(signal.SIGINT)
        try:
            _, errors = process.communicate(timeout=20)
        finally:
            process.kill()
    assert process.returncode == -signal.SIGINT
    assert errors.splitlines()[-1] == "KeyboardInterrupt"
    assert "never retrieved" not in errors
