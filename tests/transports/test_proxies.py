"""The proxies of the environment, and those of the caller's own client."""

from __future__ import annotations

import base64
import socket
import ssl
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import anyio
import httpx
import pytest
import trustme

from relaydance_async import APIConnectionError, APIStatusError, ConfigurationError, RelayDanceError
from relaydance_async._transports import Transport, build_transport
from tests.kit.calls import ask_chat
from tests.transports.conftest import OURS, Maker
from tests.transports.support import (
    KEY,
    OK,
    UNSENT,
    Gone,
    Head,
    Peer,
    Server,
    closed_port,
    fetch,
    over_every_transport,
    serve,
    server_context,
)

pytestmark = over_every_transport

# httpx reads the environment for no transport that it is handed, and so not for httpx-aiohttp.
with_proxies = pytest.mark.parametrize("kind", [*OURS, "the caller's httpx", "the caller's httpx2"])

AUTHORIZED = {"authorization": f"Bearer {KEY}"}


@dataclass
class Proxy:
    """An HTTP proxy. It answers plain requests itself, and gives every tunnel to `target`."""

    server: Server
    target: int = 0
    heads: list[Head] = field(default_factory=list[Head])
    refusal: bytes = b""
    """Its answer to every request instead."""

    @property
    def address(self) -> str:
        return self.server.url.removeprefix("http://")

    @property
    def asked(self) -> list[str]:
        return [f"{head.method} {head.target}" for head in self.heads]

    async def run(self, peer: Peer) -> None:
        while True:
            head, _ = await peer.read()
            self.heads.append(head)
            if self.refusal:
                await peer.send(self.refusal)
            elif head.method == "CONNECT":
                await peer.send(b"HTTP/1.1 200 Connection established\r\n\r\n")
                await self._tunnel(peer)
            else:
                await peer.send(OK)

    async def _tunnel(self, peer: Peer) -> None:
        async with await anyio.connect_tcp("127.0.0.1", self.target) as upstream, anyio.create_task_group() as group:

            async def back() -> None:
                try:
                    async for data in upstream:
                        await peer.send(data)
                except (Gone, anyio.BrokenResourceError):
                    pass
                group.cancel_scope.cancel()

            group.start_soon(back)
            try:
                while True:
                    await upstream.send(await peer.receive())
            except (Gone, anyio.BrokenResourceError):
                group.cancel_scope.cancel()


@asynccontextmanager
async def a_proxy(refusal: bytes = b"") -> AsyncGenerator[Proxy, None]:
    async with serve() as server:
        proxy = Proxy(server, refusal=refusal)
        server.run = proxy.run
        yield proxy


@dataclass
class Gateway:
    """The API behind the proxy, which only the proxy can find."""

    server: Server
    names: list[str | None]
    url: str = "https://gateway.test"


@asynccontextmanager
async def a_gateway(authority: trustme.CA) -> AsyncGenerator[Gateway, None]:
    names: list[str | None] = []

    def note(_: ssl.SSLObject | ssl.SSLSocket, name: str | None, __: ssl.SSLContext) -> None:
        names.append(name)

    context = server_context(authority.issue_cert("gateway.test"))
    context.sni_callback = note
    async with serve(tls=context) as server:
        yield Gateway(server, names)


@with_proxies
@pytest.mark.parametrize("name", ["HTTP_PROXY", "http_proxy", "ALL_PROXY", "all_proxy"])
async def test_a_plain_request_goes_to_the_proxy(maker: Maker, monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    async with a_proxy() as proxy:
        monkeypatch.setenv(name, proxy.server.url)
        transport = await maker.transport()
        for _ in range(2):
            assert await fetch(transport, "http://gateway.test/v1/a%2Fb?c=d") == (200, b"ok")
    assert proxy.asked == ["GET http://gateway.test/v1/a%2Fb?c=d"] * 2
    assert proxy.heads[0].get("host") == "gateway.test"
    assert proxy.server.connections == 1


@with_proxies
@pytest.mark.usefixtures("trusted")
@pytest.mark.parametrize("name", ["HTTPS_PROXY", "https_proxy", "ALL_PROXY", "all_proxy"])
async def test_a_request_over_tls_goes_through_a_tunnel_of_the_proxy_which_never_sees_the_key(
    maker: Maker, authority: trustme.CA, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    async with a_gateway(authority) as gateway, a_proxy() as proxy:
        proxy.target = gateway.server.port
        monkeypatch.setenv(name, proxy.server.url)
        transport = await maker.transport()
        for _ in range(3):
            reply = await fetch(transport, f"{gateway.url}/v1/x", "POST", headers=AUTHORIZED, body=b"{}")
            assert reply == (200, b"ok")
        await transport.aclose()
    assert proxy.asked == ["CONNECT gateway.test:443"]  # one tunnel, used again
    assert "authorization" not in proxy.heads[0].names
    assert KEY not in repr(proxy.heads)
    assert gateway.names == ["gateway.test"]
    assert [(head.target, head.get("authorization")) for head in gateway.server.heads] == [
        ("/v1/x", f"Bearer {KEY}")
    ] * 3


@with_proxies
@pytest.mark.usefixtures("trusted")
async def test_a_password_for_the_proxy_goes_to_the_proxy_only(
    maker: Maker, authority: trustme.CA, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with a_gateway(authority) as gateway, a_proxy() as proxy:
        proxy.target = gateway.server.port
        monkeypatch.setenv("ALL_PROXY", f"http://some%40one:p%3Ass%2F@{proxy.address}")
        transport = await maker.transport()
        await fetch(transport, f"{gateway.url}/v1", headers=AUTHORIZED)
        await fetch(transport, "http://gateway.test/v1")
        await transport.aclose()
    basic = base64.b64encode(b"some@one:p:ss/").decode()
    assert [head.get("proxy-authorization") for head in proxy.heads] == [f"Basic {basic}"] * 2
    assert [head.get("proxy-authorization") for head in gateway.server.heads] == [None]
    assert [head.get("authorization") for head in gateway.server.heads] == [f"Bearer {KEY}"]


@pytest.mark.parametrize("kind", OURS)
async def test_a_proxy_may_be_named_without_a_scheme(maker: Maker, monkeypatch: pytest.MonkeyPatch) -> None:
    async with a_proxy() as proxy:
        monkeypatch.setenv("HTTP_PROXY", proxy.address)
        assert await fetch(await maker.transport(), "http://gateway.test/") == (200, b"ok")
    assert len(proxy.heads) == 1


async def test_without_a_proxy_in_the_environment_the_connection_is_direct(
    transport: Transport, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("HTTP_PROXY", "http_proxy", "HTTPS_PROXY", "ALL_PROXY"):
        monkeypatch.setenv(name, "")
    async with serve() as server:
        assert await fetch(transport, server.url) == (200, b"ok")


@pytest.mark.parametrize("kind", ["direct", "httpx with h11"])
@pytest.mark.parametrize("variable", ["NO_PROXY", "no_proxy"])
@pytest.mark.parametrize(
    ("value", "direct"),
    [
        ("shop.test", True),
        ("SHOP.TEST", True),
        ("other.test,shop.test", True),
        ("other.test, shop.test ,", True),
        ("shop.test:{port}", True),
        ("shop.test:1", False),
        ("*", True),
        ("other.test,*", True),
        ("op.test", False),
        ("other.test", False),
        ("", False),
    ],
)
async def test_no_proxy_names_hosts_that_are_reached_directly(
    maker: Maker, monkeypatch: pytest.MonkeyPatch, variable: str, value: str, direct: bool
) -> None:
    look_up = socket.getaddrinfo

    def at_home(host: str, *arguments: Any, **options: Any) -> list[Any]:
        return look_up("127.0.0.1" if host == "shop.test" else host, *arguments, **options)

    monkeypatch.setattr(socket, "getaddrinfo", at_home)
    async with serve() as server, a_proxy() as proxy:
        monkeypatch.setenv("HTTP_PROXY", proxy.server.url)
        monkeypatch.setenv(variable, value.format(port=server.port))
        assert (await fetch(await maker.transport(), f"http://shop.test:{server.port}/"))[0] == 200
    assert (len(server.heads), len(proxy.heads)) == ((1, 0) if direct else (0, 1))


REFUSALS = {
    407: b"HTTP/1.1 407 Proxy Authentication Required\r\nProxy-Authenticate: Basic\r\nContent-Length: 0\r\n\r\n",
    403: b"HTTP/1.1 403 Forbidden\r\nContent-Length: 4\r\n\r\nnope",
    502: b"HTTP/1.1 502 Bad Gateway\r\nContent-Length: 0\r\n\r\n",
    503: b"HTTP/1.1 503 Service Unavailable\r\nContent-Length: 0\r\n\r\n",
}


@with_proxies
@pytest.mark.usefixtures("trusted")
@pytest.mark.parametrize("status", REFUSALS)
async def test_a_proxy_that_refuses_the_tunnel_is_named_and_nothing_was_sent(
    maker: Maker, monkeypatch: pytest.MonkeyPatch, status: int
) -> None:
    async with a_proxy(REFUSALS[status]) as proxy:
        monkeypatch.setenv("HTTPS_PROXY", f"http://someone:secret@{proxy.address}")
        with pytest.raises(APIConnectionError) as caught:
            await ask_chat(maker.client("https://gateway.test"))
    error = caught.value
    assert error.message.startswith(f"the proxy refused the connection: {status} ")
    assert not error.maybe_accepted
    # What a password or permission lacks, no repetition brings.
    assert (error.retryable, len(error.attempts)) == ((True, UNSENT) if status >= 500 else (False, 1))
    assert "secret" not in str(error)
    assert KEY not in repr(proxy.heads)


@with_proxies
async def test_a_proxy_that_refuses_a_plain_request_is_an_error_answer(
    maker: Maker, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with a_proxy(REFUSALS[407]) as proxy:
        monkeypatch.setenv("HTTP_PROXY", proxy.server.url)
        with pytest.raises(APIStatusError) as caught:
            await ask_chat(maker.client("http://gateway.test", allow_http=True))
    assert (caught.value.status_code, len(caught.value.attempts)) == (407, 1)


@with_proxies
@pytest.mark.usefixtures("trusted")
@pytest.mark.parametrize("scheme", ["http", "https"])
async def test_a_proxy_that_is_not_there_means_that_nothing_was_sent(
    maker: Maker, monkeypatch: pytest.MonkeyPatch, scheme: str
) -> None:
    monkeypatch.setenv("ALL_PROXY", closed_port().replace("//", "//someone:secret@"))
    with pytest.raises(RelayDanceError) as caught:
        await fetch(await maker.transport(), f"{scheme}://gateway.test/", "POST", body=b"{}")
    assert (type(caught.value), caught.value.retryable) == (APIConnectionError, True)
    assert not caught.value.maybe_accepted
    assert "secret" not in str(caught.value)


@pytest.mark.parametrize("kind", ["direct", "httpx with h11"])
async def test_a_proxy_of_a_kind_that_is_not_known_is_a_clear_and_final_error(
    maker: Maker, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ALL_PROXY", "socks4://someone:secret@127.0.0.1:9")
    with pytest.raises(ConfigurationError, match="socks4") as caught:
        await ask_chat(maker.client("https://gateway.test"))
    assert "secret" not in str(caught.value)
    assert not caught.value.maybe_accepted


@pytest.mark.parametrize("kind", ["the caller's httpx", "the caller's httpx2"])
async def test_a_proxy_of_the_callers_client_is_used(
    kind: str, authority: trustme.CA, trusting: ssl.SSLContext
) -> None:
    library: Any = pytest.importorskip("httpx2") if kind.endswith("2") else httpx
    async with a_gateway(authority) as gateway, a_proxy() as proxy:
        proxy.target = gateway.server.port
        async with library.AsyncClient(proxy=f"http://u:p@{proxy.address}", verify=trusting) as http:
            transport = await build_transport("auto", http, max_idle=1)
            assert await fetch(transport, f"{gateway.url}/v1", headers=AUTHORIZED) == (200, b"ok")
    assert proxy.asked == ["CONNECT gateway.test:443"]
    assert KEY not in repr(proxy.heads)
