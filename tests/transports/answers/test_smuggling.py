"""No call is given another call's answer, whatever a server, or somebody who writes into its answers, does."""

from __future__ import annotations

import json
import ssl
from contextlib import suppress

import anyio
import pytest

from relaydance_async import RelayDanceError
from relaydance_async._sansio.timeout import Timeout
from relaydance_async._transports import Transport
from tests.kit.waiting import wait_until
from tests.transports.answers.smuggling import ATTACKS, MARK, STOLEN
from tests.transports.conftest import OURS
from tests.transports.support import Peer, Server, as_json, fetch, over_every_transport, serve

pytestmark = over_every_transport

QUICK = Timeout(5.0, 0.05, 5.0)
"""Some of these answers have no end."""


class Mark:
    """A server that gives the attack to whoever asks for it, and to everybody else what they sent."""

    def __init__(self, server: Server) -> None:
        self.attack = b""
        self.later = b""
        """What is sent some time after the attack, unasked."""
        self.done = anyio.Event()
        self._server = server
        server.run = self._answer

    async def _answer(self, peer: Peer) -> None:
        while True:
            head, body = await self._server.read(peer)
            if head.target == "/attack":
                await peer.send(self.attack)
                if self.later:
                    await anyio.sleep(0.002)
                    await peer.send(self.later)
                    self.done.set()
            else:
                await peer.send(as_json(json.dumps({"asked": head.target, "sent": body.decode()}).encode()))


async def victim(transport: Transport, url: str, number: int, stolen: list[object]) -> None:
    """Ask for something of one's own, and note what is not the answer to that."""
    method, body = ("POST", b"of %d" % number) if number % 2 else ("GET", b"")
    headers = {"content-length": str(len(body))} if body else None
    try:
        status, got = await fetch(transport, f"{url}/{number}", method, headers=headers, body=body or None)
    except RelayDanceError as error:
        stolen.append(error)
        return
    if status != 200 or MARK in got or json.loads(got) != {"asked": f"/{number}", "sent": body.decode()}:
        stolen.append((number, status, got))


async def attack(transport: Transport, url: str, method: str) -> None:
    body = b"{}" if method == "POST" else None
    headers = {"content-length": "2"} if body else None
    with suppress(RelayDanceError):  # what becomes of this one is in the table of answers
        await fetch(transport, f"{url}/attack", method, headers=headers, body=body, timeout=QUICK)


async def victims(transport: Transport, url: str, stolen: list[object]) -> None:
    """Some at once on the connection that is there, then some together."""
    for number in range(2):
        await victim(transport, url, number, stolen)
    async with anyio.create_task_group() as group:
        for number in range(2, 6):
            group.start_soon(victim, transport, url, number, stolen)


@pytest.mark.usefixtures("trusted")
@pytest.mark.parametrize(
    ("kind", "secure"), [*((kind, False) for kind in OURS), ("direct", True), ("direct on uvloop", True)]
)
async def test_no_call_is_given_another_calls_answer(
    transport: Transport, tls_server: ssl.SSLContext, secure: bool
) -> None:
    found: dict[str, list[object]] = {}
    async with serve(tls=tls_server if secure else None) as server:
        mark = Mark(server)
        for name, answer in ATTACKS.items():
            mark.attack = answer
            for method in ("GET", "POST", "HEAD"):
                stolen: list[object] = []
                await attack(transport, server.url, method)
                await victims(transport, server.url, stolen)
                if stolen:
                    found[f"{name}, to {method}"] = stolen
    assert found == {}


@pytest.mark.usefixtures("trusted")
@pytest.mark.parametrize("secure", [False, True], ids=["plain", "TLS"])
@pytest.mark.parametrize("unasked", [STOLEN, STOLEN[:20], b"\r\n", b"HTTP/1.1 408 Slow\r\nContent-Length: 0\r\n\r\n"])
@pytest.mark.parametrize("kind", OURS)
async def test_what_comes_on_an_idle_connection_is_no_answer_to_the_next_request(
    transport: Transport, tls_server: ssl.SSLContext, unasked: bytes, secure: bool
) -> None:
    async with serve(tls=tls_server if secure else None) as server:
        mark = Mark(server)
        mark.attack, mark.later = as_json(b"{}"), unasked
        stolen: list[object] = []
        for _ in range(3):
            mark.done = anyio.Event()
            await attack(transport, server.url, "GET")
            with anyio.fail_after(5):
                await mark.done.wait()
            await anyio.sleep(0.005)
            await victims(transport, server.url, stolen)
    assert stolen == []


@pytest.mark.parametrize("kind", OURS)
async def test_a_server_that_answers_before_it_is_asked_gets_one_request_on_each_connection(
    transport: Transport,
) -> None:
    """The first answer may be taken for the one to the first request: nobody can tell. The second one is too many."""

    async def eager(peer: Peer) -> None:
        await peer.send(STOLEN)
        while True:
            await server.read(peer)
            await peer.send(as_json(b'{"task_id":"own","status":"submitted"}'))

    async with serve(eager) as server:
        for number in range(5):
            got = STOLEN
            with suppress(RelayDanceError):
                _, got = await fetch(transport, server.url, "POST", headers={"content-length": "2"}, body=b"{}")
            assert MARK in got
            await wait_until(lambda: server.open == 0)
            assert server.connections == number + 1
            assert len(server.heads) <= server.connections
