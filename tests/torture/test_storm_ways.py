"""Submits under faults and cancellations at any byte, plainly, over TLS and through a proxy, on both event loops.

Nothing is paid twice, no call says "not accepted" of what was, and nothing is left behind. A short slice runs with the
ordinary tests; `nox -s torture` sends 100,000 submits.
"""

from __future__ import annotations

import asyncio
import gc
import hashlib
import json
import random
import ssl
import time
from collections import Counter
from collections.abc import AsyncGenerator, Iterable
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from typing import Any

import pytest
import trustme

from relaydance_async import AsyncRelayDance, RelayDanceError, Timeout
from relaydance_async._config import Clock
from relaydance_async.sandbox import Account, ConnectionFault, Fault, FaultyProxy, Sandbox
from tests.engine.proxies import ESTABLISHED
from tests.kit.inside import make_client
from tests.kit.loops import Backend, backend_of, without_loop
from tests.kit.probe import held
from tests.kit.routes import SUBMIT
from tests.kit.tls import trust
from tests.kit.transports import use_h11
from tests.kit.waiting import open_files, wait_until
from tests.torture.test_storm import FAST, SPEED, sleep_fast
from tests.transports.support import server_context

pytestmark = pytest.mark.anyio

KINDS = ("direct", "direct on uvloop", "direct with h11", "httpx with h11 on uvloop")
WAYS = ("plainly", "over TLS", "through a proxy")
AT_ONCE = 200
IN_FLIGHT = 20
LONG = 100_000
OF_UVLOOP = "the handler is closed"
"""What uvloop (0.23) says of a connection that the other side resets within the turn of the loop that begins TLS."""
PLACES = (1, 7, 40, 130, 300, 420)
"""Bytes of a request, a head or a body after which something happens; there are about 400 in each."""


@pytest.fixture(params=KINDS)
def kind(request: pytest.FixtureRequest) -> str:
    """Which transport, parser and loop."""
    name: str = request.param
    return name


@pytest.fixture
def anyio_backend(kind: str) -> Backend:
    return backend_of(kind)


def http_faults() -> list[Fault]:
    """What a server or a proxy answers."""
    return [
        Fault(SUBMIT, status=503, code="system_cpu_overloaded", probability=0.02),
        Fault(SUBMIT, status=502, body="html", probability=0.02),
        Fault(SUBMIT, status=400, code="model_price_error", every=30),
        Fault(SUBMIT, after_accept=True, probability=0.02),
        Fault(SUBMIT, after_accept=True, body="truncated", probability=0.02),
    ]


def faults_of_requests() -> list[ConnectionFault]:
    """What happens to a request, or to its answer, at some byte of it."""
    kinds: Iterable[Any] = ("reset_mid_request", "reset_mid_headers", "reset_mid_body", "cut_response")
    at_a_byte = [
        ConnectionFault(kind, per="request", after_bytes=place, fin=fin, probability=0.001)
        for kind in kinds
        for place in PLACES
        for fin in ((False, True) if kind == "cut_response" else (False,))
    ]
    return [
        *at_a_byte,
        ConnectionFault("reset_before_request", per="request", probability=0.01),
        ConnectionFault("reset_after_request", per="request", probability=0.01),
        ConnectionFault("black_hole_response", per="request", probability=0.002),
    ]


def faults_of_bytes() -> list[ConnectionFault]:
    """The same below TLS, where a place may be in a handshake."""
    return [
        ConnectionFault("refuse", probability=0.02),
        ConnectionFault("reset_before_request", probability=0.02),
        *(ConnectionFault("reset_mid_request", after_bytes=place, probability=0.005) for place in (1, 5, 100, 300)),
        *(ConnectionFault("cut_response", after_bytes=place, probability=0.005) for place in (1, 5, 500, 1500)),
        *(ConnectionFault("cut_response", after_bytes=place, fin=True, probability=0.005) for place in (1, 90, 2000)),
    ]


class Storm:
    """Calls, what became of each, and what the gateway knows of them."""

    def __init__(self, sandbox: Sandbox, client: AsyncRelayDance, seed: int) -> None:
        self._sandbox = sandbox
        self._client = client
        self._chance = random.Random(seed)
        self.outcomes: Counter[str] = Counter()
        self.not_accepted: set[str] = set()
        self.accepted: set[str] = set()

    async def rage(self, calls: int) -> None:
        """So many calls, `AT_ONCE` at a time, a sixth of them cancelled at some moment."""
        for start in range(0, calls, AT_ONCE):
            tasks = [asyncio.create_task(self._one(f"clip {start + number}")) for number in range(AT_ONCE)]
            await asyncio.gather(*tasks)

    async def _one(self, text: str) -> None:
        task = asyncio.create_task(submit(self._client, text))
        if self._chance.random() < 0.16:
            asyncio.get_running_loop().call_later(self._chance.random() * 0.1, task.cancel)
        try:
            await task
        except asyncio.CancelledError:
            self.outcomes["cancelled"] += 1
        except RelayDanceError as error:
            self.outcomes[f"{type(error).__name__}, maybe accepted: {error.maybe_accepted}"] += 1
            if not error.maybe_accepted:
                self.not_accepted.add(mark_of(text))
        else:
            self.outcomes["ok"] += 1
            self.accepted.add(mark_of(text))

    def check(self, calls: int) -> None:
        """Compare what was said with the gateway's books."""
        entries = self._sandbox.ledger.entries
        taken = {entry.body_sha256 for entry in entries if entry.route == SUBMIT and entry.accepted}
        assert self._sandbox.ledger.duplicates(SUBMIT) == 0, self.outcomes
        assert self.not_accepted & taken == set(), self.outcomes
        assert self.accepted - taken == set(), self.outcomes
        assert sum(self.outcomes.values()) == calls
        assert self.outcomes["ok"] > calls * 0.5, self.outcomes
        assert self.outcomes["cancelled"] > calls * 0.02, self.outcomes
        assert self.not_accepted, self.outcomes


async def submit(client: AsyncRelayDance, text: str) -> None:
    await client.video.submit(model="happyhorse-1.0-t2v", prompt=text)


def mark_of(text: str) -> str:
    """What the gateway's books know a submit by: the hash of its body."""
    body = json.dumps({"model": "happyhorse-1.0-t2v", "prompt": text}, separators=(",", ":"))
    return hashlib.sha256(body.encode()).hexdigest()


@asynccontextmanager
async def a_tunnel(port: int) -> AsyncGenerator[str]:
    """The URL of a proxy that leads every CONNECT to that port."""

    async def connect(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        ours = {writer}
        with suppress(OSError, asyncio.IncompleteReadError):
            await reader.readuntil(b"\r\n\r\n")
            far_reader, far_writer = await asyncio.open_connection("127.0.0.1", port)
            ours.add(far_writer)
            writer.write(ESTABLISHED)
            await asyncio.wait(
                [asyncio.create_task(copy(reader, far_writer)), asyncio.create_task(copy(far_reader, writer))]
            )
        for end in ours:
            end.transport.abort()

    async def copy(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(OSError, RuntimeError):  # uvloop's, of one that is closed
            while data := await reader.read(65536):
                writer.write(data)
                await writer.drain()
        writer.close()

    async with await asyncio.start_server(connect, "127.0.0.1", 0) as server:
        yield f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"


@asynccontextmanager
async def weather(sandbox: Sandbox, way: str, seed: int, patch: pytest.MonkeyPatch) -> AsyncGenerator[str]:
    """The base URL by which the sandbox is found behind all the faults."""
    authority: Any = trustme.CA()
    served: ssl.SSLContext | None = None
    if way != "plainly":
        served = server_context(authority.issue_cert("127.0.0.1", "gateway.test"))
        trusted = ssl.create_default_context(cadata=authority.cert_pem.bytes().decode())
        trust(patch, trusted)
    async with AsyncExitStack() as stack:
        proxy = stack.enter_context(FaultyProxy(sandbox.root_url, faults_of_requests(), seed=seed, tls=served))
        front = stack.enter_context(FaultyProxy(("127.0.0.1", proxy.port), faults_of_bytes(), seed=seed + 1))
        if way == "through a proxy":
            tunnel = await stack.enter_async_context(a_tunnel(front.port))
            patch.setenv("HTTPS_PROXY", tunnel)
            yield "https://gateway.test/v1"
        else:
            yield f"{'https' if served else 'http'}://127.0.0.1:{front.port}/v1"


async def check_storm(kind: str, way: str, calls: int, seed: int, patch: pytest.MonkeyPatch) -> Counter[str]:
    """Let it rage, and look at what is left."""
    if "with h11" in kind:
        use_h11(patch)
    transport: Any = without_loop(kind).partition(" ")[0]
    said: list[dict[str, Any]] = []
    asyncio.get_running_loop().set_exception_handler(lambda _, context: said.append(context))
    clock = Clock(monotonic=lambda: time.monotonic() * SPEED, sleep=sleep_fast)
    tasks, files = asyncio.all_tasks(), open_files()
    with Sandbox(time_scale=100, faults=http_faults(), accounts={"sk-storm": Account(balance_usd=1e9)}) as sandbox:
        async with (
            weather(sandbox, way, seed, patch) as url,
            make_client(
                "sk-storm",
                base_url=url,
                transport=transport,
                max_concurrency=IN_FLIGHT,
                retry=FAST,
                timeout=Timeout(read=0.5),
                deadline=60 * SPEED,
                clock=clock,
            ) as client,
        ):
            storm = Storm(sandbox, client, seed)
            await storm.rage(calls)
            now = await held(client)
            assert (now.permits, now.queued) == (0, 0)
            assert now.connections <= IN_FLIGHT
        storm.check(calls)
    gc.collect()
    assert [context for context in said if OF_UVLOOP not in str(context.get("exception"))] == []
    assert len(said) <= calls / 1000
    await wait_until(lambda: asyncio.all_tasks() == tasks)
    await wait_until(lambda: open_files() <= files + 2)
    return storm.outcomes


@pytest.mark.parametrize("way", WAYS)
async def test_in_a_storm_no_submit_is_paid_twice_and_none_is_said_not_to_be_accepted_that_was(
    kind: str, way: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    await check_storm(kind, way, AT_ONCE, 11, monkeypatch)


@pytest.mark.torture
@pytest.mark.parametrize("way", WAYS)
async def test_in_a_storm_of_100_000_submits_no_statement_is_false(
    kind: str, way: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    calls = LONG // len(KINDS) // len(WAYS) // AT_ONCE * AT_ONCE + AT_ONCE
    print(kind, way, calls, dict(await check_storm(kind, way, calls, 12, monkeypatch)))
