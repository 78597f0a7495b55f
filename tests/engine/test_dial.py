"""Connections over plain TCP: to which address, with which options, and what is left behind."""

# pyright: reportPrivateUsage=false

from __future__ import annotations

import asyncio
import contextvars
import errno
import gc
import socket
import weakref
from collections.abc import AsyncIterator
from typing import Any

import pytest

from relaydance_async._engine import _happy_eyeballs
from relaydance_async._engine._dial import Dialer, Origin
from relaydance_async._engine._wire import Wire
from relaydance_async._sansio.target import Network
from tests.engine.dialling import Heard, Names, a_dialer, dialled, failure, says_nothing
from tests.kit.waiting import open_files, wait_until
from tests.transports.support import OK, Peer, closed_port, serve, silent_port

pytestmark = pytest.mark.anyio

REFUSING, LISTENING, SILENT = "127.0.0.2", "127.0.0.1", "127.0.0.3"


@pytest.fixture
async def port() -> AsyncIterator[int]:
    """Of a server on LISTENING that never closes a connection first."""
    server = await asyncio.get_running_loop().create_server(asyncio.Protocol, LISTENING, 0)
    async with server:
        yield server.sockets[0].getsockname()[1]


@pytest.fixture
def silence(monkeypatch: pytest.MonkeyPatch) -> None:
    """SILENT never answers, and the next address is tried soon."""
    connect = _happy_eyeballs._to

    async def to(address: str, port: int) -> Wire:
        if address == SILENT:
            await asyncio.Event().wait()
        return await connect(address, port)

    monkeypatch.setattr(_happy_eyeballs, "_to", to)
    monkeypatch.setattr(_happy_eyeballs, "NEXT_ADDRESS_SECONDS", 0.001)


async def test_a_literal_needs_no_names() -> None:
    names = Names()
    async with serve() as server:
        heard = await dialled(a_dialer(names=names), server.url)
        assert await heard.ask() == OK
        await heard.close()
    assert (names.asked, server.connections) == ([], 1)


async def test_an_ipv6_address_is_connected_to() -> None:
    try:
        server = await asyncio.get_running_loop().create_server(asyncio.Protocol, "::1", 0)
    except OSError:
        pytest.skip("there is no IPv6 here")
    async with server:
        port = server.sockets[0].getsockname()[1]
        for dialer, host in ((a_dialer(), "::1"), (a_dialer("::1"), "gateway.test")):
            made = await dialer.dial(Origin("http", host, port), Heard)
            assert made.protocol.peer == "::1"
            await made.protocol.close()


async def test_after_an_address_that_refuses_comes_the_next(port: int) -> None:
    heard = await dialled(a_dialer(REFUSING, LISTENING), f"http://gateway.test:{port}")
    assert heard.peer == LISTENING
    await heard.close()


@pytest.mark.usefixtures("silence")
async def test_beside_an_address_that_is_silent_the_next_is_tried(port: int) -> None:
    before = asyncio.all_tasks()
    heard = await dialled(a_dialer(SILENT, REFUSING, LISTENING), f"http://gateway.test:{port}")
    assert heard.peer == LISTENING
    await wait_until(lambda: asyncio.all_tasks() == before)
    await heard.close()


async def test_the_protocol_is_made_once_and_losers_of_the_race_are_closed(
    port: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(_happy_eyeballs, "NEXT_ADDRESS_SECONDS", 0.0)
    files, made = open_files(), list[Heard]()

    def factory() -> Heard:
        made.append(Heard())
        return made[-1]

    for _ in range(20):
        await a_dialer(*[LISTENING] * 4).dial(Origin("http", "gateway.test", port), factory)
    assert [heard.made for heard in made] == [1] * 20
    for heard in made:
        await heard.close()
    await wait_until(lambda: open_files() <= files)


async def test_when_no_address_answers_the_most_telling_failure_is_told() -> None:
    port = closed_port().rpartition(":")[2]
    # Of the documentation's network, to which there is no way, or no IPv6 at all.
    for addresses in ((REFUSING,), (REFUSING, "127.0.0.3"), ("::ffff:0:0", REFUSING), (REFUSING, "::ffff:0:0")):
        error = await failure(a_dialer(*addresses), f"http://gateway.test:{port}")
        assert (error.kind, error.text, error.retryable) == ("refused", "Connection refused", True)


@pytest.mark.parametrize(
    ("code", "kind"),
    [(errno.ENETUNREACH, "unreachable"), (errno.ETIMEDOUT, "unreachable"), (errno.EMFILE, "unreachable")],
)
async def test_another_failure_is_told_in_plain_words(monkeypatch: pytest.MonkeyPatch, code: int, kind: str) -> None:
    async def to(address: str, port: int) -> Wire:
        raise OSError(code, f"Connect call failed ('{address}', {port})")

    monkeypatch.setattr(_happy_eyeballs, "_to", to)
    for addresses in (("192.0.2.1",), ("192.0.2.1", "192.0.2.2")):
        error = await failure(a_dialer(*addresses), "http://gateway.test")
        assert (error.kind, "192.0.2" in error.text) == (kind, False)


async def test_a_name_without_an_address_is_a_failure_of_dns() -> None:
    error = await failure(
        a_dialer(names=Names({"gateway.test": socket.gaierror(-2, "Name or service not known")})), "http://gateway.test"
    )
    assert (error.kind, error.text) == ("dns", "gateway.test can't be looked up: Name or service not known")


async def test_a_gateway_that_has_moved_is_found_at_the_next_dial(port: int) -> None:
    names = Names({"gateway.test": (REFUSING,)})
    dialer = a_dialer(names=names)
    assert (await failure(dialer, f"http://gateway.test:{port}")).kind == "refused"
    names.addresses["gateway.test"] = (LISTENING,)
    heard = await dialled(dialer, f"http://gateway.test:{port}")
    await heard.close()
    assert len(names.asked) == 2


@pytest.mark.usefixtures("silence")
async def test_a_gateway_that_has_moved_is_found_also_when_the_old_address_is_silent(port: int) -> None:
    names = Names({"gateway.test": (SILENT,)})
    dialer = a_dialer(names=names)
    with pytest.raises(TimeoutError):
        await asyncio.wait_for(dialled(dialer, f"http://gateway.test:{port}"), 0.01)
    names.addresses["gateway.test"] = (LISTENING,)
    heard = await dialled(dialer, f"http://gateway.test:{port}")
    await heard.close()


async def test_a_hundred_dials_are_one_look_up(port: int) -> None:
    names = Names({"gateway.test": (LISTENING,)})
    dialer = a_dialer(names=names)
    made = await asyncio.gather(*(dialled(dialer, f"http://gateway.test:{port}") for _ in range(100)))
    assert names.asked == ["gateway.test"]
    for heard in made:
        await heard.close()


# Which addresses it may connect to.


@pytest.mark.parametrize("address", [LISTENING, "::1", "::ffff:127.0.0.1", "0.0.0.0", "::", "64:ff9b::7f00:1"])
async def test_one_for_public_addresses_connects_to_no_other(port: int, address: str) -> None:
    connections: list[asyncio.Protocol] = []

    def noted() -> asyncio.Protocol:
        connections.append(asyncio.Protocol())
        return connections[-1]

    loop = asyncio.get_running_loop()
    async with await loop.create_server(noted, LISTENING, 0) as server:
        port = server.sockets[0].getsockname()[1]
        for host in ("gateway.test", f"[{address}]" if ":" in address else address):
            error = await failure(a_dialer(address, network=Network.PUBLIC), f"http://{host}:{port}")
            assert (error.kind, error.retryable) == ("address", False)
            assert error.text == f"the host {host.strip('[]')} has the private address {address}"
        await asyncio.sleep(0.01)
    assert connections == []


async def test_what_was_checked_is_what_is_connected_to_whatever_the_name_has_next(
    port: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Rebinding: a name that is public when it is looked up first, and loopback the next time."""
    asked: list[str] = []

    async def to(address: str, port: int) -> Wire:
        asked.append(address)
        raise ConnectionRefusedError

    monkeypatch.setattr(_happy_eyeballs, "_to", to)
    names = Names({"gateway.test": ("1.1.1.1", LISTENING, "::1", "8.8.8.8", "::ffff:127.0.0.1")})
    dialer = a_dialer(names=names, network=Network.PUBLIC)
    assert (await failure(dialer, f"http://gateway.test:{port}")).kind == "refused"
    names.addresses["gateway.test"] = (LISTENING,)
    assert (await failure(dialer, f"http://gateway.test:{port}")).kind == "address"
    assert asked == ["1.1.1.1", "8.8.8.8"]


@pytest.mark.parametrize("host", ["127.1", "2130706433", "0x7f.1", "0177.0.0.1"])
async def test_no_other_way_to_write_loopback_gets_by(port: int, host: str) -> None:
    error = await failure(Dialer(Network.PUBLIC), f"http://{host}:{port}")
    assert error.kind in ("address", "dns")  # a system may not know that form


# What a connection is like.


@pytest.mark.parametrize("addresses", [[LISTENING], [REFUSING, LISTENING]])
async def test_small_writes_leave_at_once_and_a_dead_peer_is_noticed(port: int, addresses: list[str]) -> None:
    heard = await dialled(a_dialer(*addresses), f"http://gateway.test:{port}")
    sock: Any = heard.transport.get_extra_info("socket")
    assert sock.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY)
    assert sock.getsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE)
    idle = getattr(socket, "TCP_KEEPIDLE", getattr(socket, "TCP_KEEPALIVE", None))
    assert idle is not None
    options = (idle, socket.TCP_KEEPINTVL, socket.TCP_KEEPCNT)
    assert [sock.getsockopt(socket.IPPROTO_TCP, option) for option in options] == [60, 5, 5]
    await heard.close()


async def test_what_the_server_says_first_comes_to_the_protocol() -> None:
    async def first(peer: Peer) -> None:
        await peer.send(b"HTTP/1.1 408 Request Timeout\r\n\r\n")
        await peer.until_gone()

    async with serve(first) as server:
        heard = await dialled(a_dialer(), server.url)
        await wait_until(lambda: heard.data.startswith(b"HTTP/1.1 408"))
        await heard.close()


async def test_what_has_arrived_in_the_meantime_is_handed_over(port: int) -> None:
    _, wire = await asyncio.get_running_loop().create_connection(Wire, LISTENING, port)
    wire.data_received(b"early")
    heard = wire.hand_over(Heard())
    assert (heard.made, heard.data) == (1, b"early")
    await heard.close()


async def test_one_that_is_closed_at_once_is_none() -> None:
    async def closing(peer: Peer) -> None:
        await peer.reset()

    loop = asyncio.get_running_loop()
    async with serve(closing) as server:
        _, wire = await loop.create_connection(Wire, LISTENING, server.port)
        await wait_until(lambda: wire.transport.is_closing())
        with pytest.raises(Exception, match="closed at once"):
            wire.hand_over(Heard())


class Payload:
    """What a call must not leave in a connection."""


async def test_no_variable_of_the_call_stays_with_the_connection(port: int) -> None:
    variable: contextvars.ContextVar[Payload] = contextvars.ContextVar("variable")
    seen: list[Payload | None] = []

    class Curious(Heard):
        def connection_made(self, transport: asyncio.BaseTransport) -> None:
            super().connection_made(transport)
            seen.append(variable.get(None))

    async def call() -> tuple[Heard, weakref.ref[Payload]]:
        payload = Payload()
        variable.set(payload)
        dialer = a_dialer(LISTENING, LISTENING)
        made = await dialer.dial(Origin("http", "gateway.test", port), Curious)
        return made.protocol, weakref.ref(payload)

    heard, payload = await asyncio.get_running_loop().create_task(call(), context=contextvars.copy_context())
    await asyncio.sleep(0.01)  # until the loop itself has forgotten the call
    gc.collect()
    assert seen == [None]
    assert payload() is None
    await heard.close()


async def test_failures_leave_nothing_to_the_garbage_collector_and_nothing_in_the_log(
    caplog: pytest.LogCaptureFixture,
) -> None:
    dialer = a_dialer(REFUSING, LISTENING)
    url = closed_port().replace("127.0.0.1", "gateway.test")
    await failure(dialer, url)
    gc.disable()
    try:
        errors = [weakref.ref(await failure(dialer, url)) for _ in range(3)]
        await asyncio.sleep(0.01)
        assert [error() for error in errors] == [None] * 3
    finally:
        gc.enable()
    assert says_nothing(caplog)


# Cancellation.


@pytest.mark.parametrize("addresses", [[LISTENING], [LISTENING] * 3, [REFUSING, LISTENING]])
async def test_cancelled_at_any_step_it_leaves_no_socket_and_no_task(
    port: int, addresses: list[str], monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(_happy_eyeballs, "NEXT_ADDRESS_SECONDS", 0.0)
    files, tasks = open_files(), asyncio.all_tasks()
    dialer = a_dialer(*addresses)
    for steps in range(30):
        task = asyncio.create_task(dialled(dialer, f"http://gateway.test:{port}"))
        for _ in range(steps):
            await asyncio.sleep(0)
        if task.cancel():
            with pytest.raises(asyncio.CancelledError):
                await task
        else:
            await (await task).close()
        await wait_until(lambda: asyncio.all_tasks() == tasks)
    await wait_until(lambda: open_files() <= files)
    assert says_nothing(caplog)


async def test_cancelled_in_the_moment_of_success_it_leaves_no_socket(port: int) -> None:
    """The connection is there, but whoever waits for it has not been told yet."""
    files = open_files()
    made: list[Heard] = []

    def factory() -> Heard:
        made.append(Heard())
        asyncio.get_running_loop().call_soon(task.cancel)
        return made[-1]

    task = asyncio.create_task(a_dialer(LISTENING).dial(Origin("http", "gateway.test", port), factory))
    with pytest.raises(asyncio.CancelledError):
        await task
    await wait_until(lambda: made[0].lost)
    await wait_until(lambda: open_files() <= files)


async def test_what_a_factory_raises_comes_out_and_leaves_no_socket(port: int) -> None:
    files = open_files()

    def factory() -> Heard:
        raise KeyError("odd")

    with pytest.raises(KeyError, match="odd"):
        await a_dialer(LISTENING).dial(Origin("http", "gateway.test", port), factory)
    await wait_until(lambda: open_files() <= files)


async def test_a_connect_that_hangs_can_be_cancelled() -> None:
    with silent_port() as url:
        files = open_files()
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(dialled(a_dialer(), url), 0.02)
        await wait_until(lambda: open_files() <= files)
