"""The key goes to the API and is to be seen nowhere else."""

# pyright: reportPrivateUsage=false

from __future__ import annotations

import asyncio
import copy
import logging
import pickle
import ssl
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable, Iterator
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from io import StringIO
from traceback import TracebackException
from typing import Any

import anyio
import pytest
import trustme
from anyio.abc import ByteStream, SocketAttribute
from anyio.streams.tls import TLSListener
from rich.console import Console
from rich.traceback import Traceback

from relaydance_async import (
    APIConnectionError,
    APIStatusError,
    APITimeoutError,
    AsyncRelayDance,
    ConfigurationError,
    RelayDanceError,
    ResponseDecodeError,
    RetryEvent,
    RetryPolicy,
    StreamError,
    Timeout,
    WebhookVerificationError,
)
from relaydance_async._engine import Dialer, Engine
from relaydance_async._engine._h11 import H11Parser
from relaydance_async._sansio.redact import Redactor
from relaydance_async._sansio.target import Network
from relaydance_async._transports import WireRequest
from relaydance_async.sandbox import Account, ConnectionFault, Fault, FaultyProxy, Sandbox
from relaydance_async.webhooks import WebhookReceiver
from tests.kit.calls import Call, ask_chat, client_of, list_models, open_stream, submit_clip, upload_file
from tests.kit.clocks import QuickClock
from tests.kit.inside import parts_of
from tests.kit.routes import CHAT, MODELS
from tests.kit.tls import trust
from tests.kit.transports import TRANSPORTS, transport_options

pytestmark = pytest.mark.anyio

KEY = "sk-very-secret-0123456789"
ONCE = RetryPolicy(max_attempts=1)


@pytest.fixture(params=TRANSPORTS)
async def transport(request: pytest.FixtureRequest) -> AsyncIterator[dict[str, Any]]:
    async with transport_options(request.param) as options:
        yield options


@pytest.fixture
def sandbox() -> Iterator[Sandbox]:
    with Sandbox(accounts={KEY: Account()}) as running:
        yield running


def shown(error: BaseException) -> str:
    """An exception, and those in its chain, with the local variables of all frames."""
    return "".join(TracebackException.from_exception(error, capture_locals=True).format())


def drawn(error: BaseException) -> str:
    """The same, as rich has it."""
    out = StringIO()
    rich = Traceback.from_exception(type(error), error, error.__traceback__, show_locals=True, locals_max_string=10_000)
    Console(file=out, width=1000).print(rich)
    return out.getvalue()


def all_of(error: RelayDanceError) -> str:
    """Everything that can be made of an error of ours."""
    copies = [pickle.loads(pickle.dumps(error)), copy.copy(error), copy.deepcopy(error)]
    texts = [f"{one} {one!r} {vars(one)} {one.args} {one.support_details()}" for one in (error, *copies)]
    return shown(error) + "".join(texts) + pickle.dumps(error).decode("latin-1")


Handler = Callable[[ByteStream], Awaitable[None]]


@asynccontextmanager
async def listening(handler: Handler, tls: ssl.SSLContext | None = None) -> AsyncGenerator[int, None]:
    """A server on loopback, and its port."""

    async def serve(stream: ByteStream) -> None:
        with suppress(anyio.EndOfStream, anyio.BrokenResourceError):  # the other side has gone
            async with stream:
                await handler(stream)

    plain = await anyio.create_tcp_listener(local_host="127.0.0.1")
    port = plain.extra(SocketAttribute.local_port)
    listener = plain if tls is None else TLSListener(plain, tls, standard_compatible=False)
    async with listener, anyio.create_task_group() as group:
        group.start_soon(listener.serve, serve)
        yield port
        group.cancel_scope.cancel()


# Errors.


BROKEN_STREAM = Fault(CHAT, body=b"data: {}\n\n", content_type="text/event-stream")
FAILURES: dict[str, tuple[Fault, Call, type[RelayDanceError]]] = {
    "an error answer": (Fault(status=401), list_models, APIStatusError),
    "a web page": (Fault(body="html"), ask_chat, ResponseDecodeError),
    "a timeout": (Fault(stall=True), submit_clip, APITimeoutError),
    "an upload that times out": (Fault(stall=True), upload_file, APITimeoutError),
    "a cut answer": (Fault(cut_body_after=20), ask_chat, APIConnectionError),
    "a broken stream": (BROKEN_STREAM, open_stream, StreamError),
    "a broken encoding": (Fault(gzip_garbage=True), list_models, ResponseDecodeError),
}


@pytest.mark.parametrize("case", FAILURES)
async def test_no_error_of_an_answer_shows_the_key(sandbox: Sandbox, transport: dict[str, Any], case: str) -> None:
    fault, call, kind = FAILURES[case]
    sandbox.faults.add(fault)
    events: list[RetryEvent] = []
    options: dict[str, Any] = {**transport, "timeout": Timeout(read=0.05), "retry": RetryPolicy(2)}
    async with client_of(sandbox, QuickClock(), on_retry=events.append, **options) as client:
        with pytest.raises(kind) as caught:
            await call(client)
    assert KEY not in all_of(caught.value) + repr(events)
    assert all(KEY not in all_of(event.error) for event in events)


@pytest.mark.parametrize("fault", ["refuse", "reset_before_request", "reset_after_request", "reset_mid_headers"])
async def test_no_error_of_a_connection_shows_the_key(sandbox: Sandbox, transport: dict[str, Any], fault: Any) -> None:
    with FaultyProxy(sandbox.root_url, [ConnectionFault(fault)]) as proxy:
        async with client_of(sandbox, base_url=proxy.base_url, retry=ONCE, **transport) as client:
            for call in (list_models, submit_clip, upload_file):
                with pytest.raises(APIConnectionError) as caught:
                    await call(client)
                assert KEY not in all_of(caught.value)
                assert caught.value.__context__ is None


async def test_no_deadline_shows_the_key(sandbox: Sandbox, transport: dict[str, Any]) -> None:
    sandbox.faults.add(Fault(stall=True))
    async with client_of(sandbox, deadline=0.05, **transport) as client:
        with pytest.raises(APITimeoutError) as caught:
            await list_models(client)
    assert KEY not in all_of(caught.value)


@pytest.mark.parametrize("call", [list_models, upload_file])
async def test_a_call_cancelled_at_any_step_does_not_show_the_key(
    sandbox: Sandbox, transport: dict[str, Any], call: Call
) -> None:
    caught: list[BaseException] = []

    async def caught_call(client: AsyncRelayDance) -> None:
        try:
            await call(client)
        except BaseException as error:
            caught.append(error)

    sandbox.faults.add(Fault(stall=True))
    for steps in range(1, 25):
        async with client_of(sandbox, retry=ONCE, **transport) as client:
            task = asyncio.ensure_future(caught_call(client))
            for _ in range(steps):
                await asyncio.sleep(0)
            task.cancel()
            await asyncio.wait([task])
    assert len(caught) > 20  # at the first steps it has not begun
    assert {type(error) for error in caught} == {asyncio.CancelledError}
    assert [error for error in caught if KEY in shown(error)] == []
    assert KEY not in drawn(caught[-1])


# Logs, and the client itself.


async def test_no_library_logs_the_key(
    sandbox: Sandbox, transport: dict[str, Any], caplog: pytest.LogCaptureFixture
) -> None:
    sandbox.faults.add(Fault(MODELS, status=503, times=1))
    sandbox.faults.add(BROKEN_STREAM)
    loop = asyncio.get_running_loop()
    loop.set_debug(True)
    loop.slow_callback_duration = 0  # so that asyncio tells of each
    try:
        with caplog.at_level(logging.DEBUG):
            async with client_of(sandbox, QuickClock(), **transport) as client:
                for call in (list_models, submit_clip, upload_file, open_stream):
                    try:
                        await call(client)
                    except RelayDanceError as error:
                        logging.getLogger().exception("a call failed: %s", error, extra={"error": error})
    finally:
        loop.set_debug(False)
    names = {record.name.partition(".")[0] for record in caplog.records}
    assert names >= {"asyncio", "relaydance_async", "root"}
    assert KEY not in caplog.text
    assert all(KEY not in repr(vars(record)) for record in caplog.records)


def test_no_error_of_the_making_of_a_client_shows_the_key() -> None:
    for options in ({"base_url": "nowhere"}, {"timeout": -1}, {"max_concurrency": 0}, {"transport": "pigeon"}):
        arguments: dict[str, Any] = dict(options)
        with pytest.raises(ConfigurationError) as caught:
            AsyncRelayDance(KEY, **arguments)
        assert KEY not in all_of(caught.value)


ODD = [
    "sk-hunter2\u043a",
    "sk hunter2",
    "sk-hunter2\r\nX-Evil: 1",
    "sk-hunter2\x00",
    b"sk-hunter2",
    7_777_777,
    ["sk-hunter2"],
]


@pytest.mark.parametrize("key", range(len(ODD)))
def test_a_key_of_odd_characters_or_of_another_type_is_refused_without_being_shown(key: int) -> None:
    with pytest.raises(ConfigurationError, match="the API key") as caught:
        AsyncRelayDance(ODD[key])  # type: ignore[arg-type]
    seen = all_of(caught.value)
    assert "hunter2" not in seen
    assert "7777777" not in seen


@pytest.mark.parametrize("url", ["https://me:hunter2@h:port/v1", "https://me:hunter2@a b/", "https://hunter2@[::1/v1"])
def test_a_password_in_any_url_is_refused_without_being_shown(url: str) -> None:
    with pytest.raises(ConfigurationError) as caught:
        AsyncRelayDance(KEY, base_url=url)
    assert "hunter2" not in str(caught.value)


def test_the_headers_of_a_client_are_in_no_repr() -> None:
    client = AsyncRelayDance(KEY, default_headers={"x-team-token": "hunter2"})
    assert all("hunter2" not in repr(part) for part in parts_of(client))


def test_a_client_can_be_neither_pickled_nor_copied() -> None:
    client = AsyncRelayDance(KEY)
    for attempt in (pickle.dumps, copy.copy, copy.deepcopy):
        with pytest.raises(TypeError) as caught:
            attempt(client)
        assert KEY not in shown(caught.value)
    assert KEY not in repr(vars(client))


async def test_the_heads_that_an_engine_remembers_are_neither_pickled_nor_kept_when_it_is_closed() -> None:
    engine = Engine("direct", Dialer(Network.ANY), H11Parser, max_idle=1)
    heads = engine._heads
    request = WireRequest("GET", "http://a/", {"authorization": f"Bearer {KEY}"}, None, Timeout(), peer="a")
    assert KEY.encode() in heads.build(request, "/", "a", ())
    for secret in heads, Redactor(KEY):
        with pytest.raises(TypeError, match="not pickled"):
            pickle.dumps(secret)
    await engine.aclose()
    assert KEY not in repr(vars(heads))


async def test_no_error_of_a_webhook_shows_its_secret() -> None:
    moments = iter([0.0, 10.0, 10.0, 10.0])
    receiver = WebhookReceiver(AsyncRelayDance(KEY), secret=[f"{KEY} and more", KEY], now=lambda: next(moments))
    expired = receiver.callback_url("https://a.b", "r", expires_in=9)[12:]
    assert KEY not in repr(vars(receiver))
    for query, problem in ("", "no token"), ("rd_ref=a&rd_exp=1&rd_sig=b", "not ours"), (expired, "expired"):
        with pytest.raises(WebhookVerificationError, match=problem) as caught:
            await receiver.receive(query, b"{}")
        assert KEY not in all_of(caught.value)
    with pytest.raises(ConfigurationError) as refused:
        WebhookReceiver(AsyncRelayDance(KEY), secret=[KEY, "hunter2"])
    assert KEY not in all_of(refused.value)
    assert "hunter2" not in str(refused.value)


# Other origins.


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
async def test_a_redirected_call_is_an_error_and_nothing_goes_there(
    sandbox: Sandbox, transport: dict[str, Any], status: int
) -> None:
    arrived: list[bytes] = []

    async def note(stream: ByteStream) -> None:
        arrived.append(await stream.receive())

    async with listening(note) as port:
        for place in (f"http://127.0.0.1:{port}/v1/models", f"http://localhost:{port}/", f"https://127.0.0.1:{port}/"):
            sandbox.faults.add(Fault(redirect_to=place, status=status, times=4))
            async with client_of(sandbox, retry=ONCE, **transport) as client:
                for call in (list_models, submit_clip, upload_file, open_stream):
                    with pytest.raises(APIStatusError) as caught:
                        await call(client)
                    assert caught.value.status_code == status
    assert arrived == []


NO_MODELS = b'HTTP/1.1 200 OK\r\ncontent-length: 11\r\nconnection: close\r\n\r\n{"data":[]}'


class Tunnel:
    """An HTTP proxy that tunnels everything to one port, and keeps what it could read."""

    def __init__(self, port: int) -> None:
        self._port = port
        self.seen = b""

    async def __call__(self, stream: ByteStream) -> None:
        self.seen += await stream.receive()
        if not self.seen.startswith(b"CONNECT "):
            await stream.send(NO_MODELS)
            return
        async with await anyio.connect_tcp("127.0.0.1", self._port) as there:
            await stream.send(b"HTTP/1.1 200 Connection established\r\n\r\n")
            async with anyio.create_task_group() as group:
                group.start_soon(self._copy, stream, there)
                await self._copy(there, stream)
                group.cancel_scope.cancel()

    async def _copy(self, source: ByteStream, target: ByteStream) -> None:
        async for piece in source:
            self.seen += piece
            await target.send(piece)


async def answer_models(stream: ByteStream) -> None:
    assert f"authorization: bearer {KEY}".encode() in (await stream.receive()).lower()
    await stream.send(NO_MODELS)


@pytest.mark.parametrize("transport", ["httpx", "direct"])
async def test_a_proxy_of_the_environment_sees_a_tunnel_and_no_key(
    monkeypatch: pytest.MonkeyPatch, transport: Any
) -> None:
    authority: Any = trustme.CA()  # its types name OpenSSL, which need not be there
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    authority.issue_cert("api.example").configure_cert(context)
    trusting = ssl.create_default_context()
    authority.configure_trust(trusting)
    trust(monkeypatch, trusting)
    async with AsyncExitStack() as stack:
        tunnel = Tunnel(await stack.enter_async_context(listening(answer_models, context)))
        proxy = await stack.enter_async_context(listening(tunnel))
        monkeypatch.setenv("HTTPS_PROXY", f"http://127.0.0.1:{proxy}")
        async with AsyncRelayDance(KEY, base_url="https://api.example/v1", transport=transport, retry=ONCE) as client:
            assert (await client.models.list()).data == []
    assert tunnel.seen.startswith(b"CONNECT api.example:443 ")
    assert KEY.encode() not in tunnel.seen
    assert b"uthorization" not in tunnel.seen


@pytest.mark.parametrize("transport", ["httpx", "direct"])
async def test_what_goes_to_loopback_goes_through_no_proxy(
    sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch, transport: Any
) -> None:
    tunnel = Tunnel(0)
    async with listening(tunnel) as port:
        for name in ("HTTP_PROXY", "http_proxy", "ALL_PROXY"):
            monkeypatch.setenv(name, f"http://127.0.0.1:{port}")
        async with client_of(sandbox, transport=transport) as client:
            assert (await client.models.list()).data
        assert tunnel.seen == b""
        # Only an explicit word sends the key over plain http, and then whatever is on the way can read it.
        base_url = "http://api.example/v1"
        async with AsyncRelayDance(KEY, base_url=base_url, allow_http=True, transport=transport) as client:
            await client.models.list()
        assert tunnel.seen.startswith(b"GET http://api.example")
        assert KEY.encode() in tunnel.seen
