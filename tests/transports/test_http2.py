"""HTTP/2, where a caller's client was told to offer it and the server takes it."""

from __future__ import annotations

import ssl
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import anyio
import pytest
import trustme
from h2.config import H2Configuration
from h2.connection import H2Connection
from h2.events import DataReceived, RequestReceived, StreamEnded

from relaydance_async import APIConnectionError
from relaydance_async._sansio.request import BodyStream
from relaydance_async._transports import build_transport
from tests.kit.calls import ask_chat
from tests.transports.conftest import Maker
from tests.transports.support import Peer, Server, fetch, over_every_transport, serve, server_context

pytestmark = [*over_every_transport, pytest.mark.parametrize("kind", ["the caller's httpx", "the caller's httpx2"])]


class Exchange:
    """Answers every stream of a connection with "ok", and notes what came."""

    def __init__(self) -> None:
        self.requests: list[dict[str, str]] = []
        self.bodies: list[int] = []
        self.ends_at: int | None = None
        """The request at which it hangs up instead."""

    async def run(self, peer: Peer) -> None:
        connection = H2Connection(H2Configuration(client_side=False, header_encoding="utf-8"))
        connection.initiate_connection()
        sizes: dict[int, int] = {}
        while True:
            await peer.send(connection.data_to_send())
            for event in connection.receive_data(await peer.receive()):
                if isinstance(event, RequestReceived):
                    self.requests.append({str(name): str(value) for name, value in event.headers or ()})
                elif isinstance(event, DataReceived):
                    size, stream = event.flow_controlled_length or 0, event.stream_id or 0
                    sizes[stream] = sizes.get(stream, 0) + len(event.data or b"")
                    connection.acknowledge_received_data(size, stream)
                elif isinstance(event, StreamEnded):
                    if len(self.requests) == self.ends_at:
                        return
                    self.bodies.append(sizes.get(event.stream_id or 0, 0))
                    connection.send_headers(event.stream_id or 0, [(":status", "200"), ("x-request-id", "r1")])
                    connection.send_data(event.stream_id or 0, b"ok", end_stream=True)


@asynccontextmanager
async def http2_server(authority: trustme.CA, exchange: Exchange) -> AsyncGenerator[Server, None]:
    context = server_context(authority.issue_cert("127.0.0.1"))
    context.set_alpn_protocols(["h2"])
    async with serve(tls=context) as server:
        server.run = exchange.run
        yield server


@pytest.fixture
async def http(kind: str, authority: trustme.CA, anyio_backend: str) -> AsyncIterator[Any]:
    library = pytest.importorskip(kind.rpartition(" ")[2])
    trusting = ssl.create_default_context(cadata=authority.cert_pem.bytes().decode())
    async with library.AsyncClient(http2=True, verify=trusting) as client:
        yield client


async def test_requests_at_once_share_one_connection(http: Any, authority: trustme.CA) -> None:
    exchange = Exchange()
    async with http2_server(authority, exchange) as server:
        transport = await build_transport("auto", http, max_idle=1)
        assert await fetch(transport, server.url) == (200, b"ok")
        async with anyio.create_task_group() as group:
            for _ in range(20):
                group.start_soon(fetch, transport, f"{server.url}/v1/models")
        await http.aclose()
    assert len(exchange.requests) == 21
    assert server.connections == 1


async def test_headers_and_bodies_arrive_as_over_http_1(http: Any, authority: trustme.CA) -> None:
    async def pieces() -> AsyncIterator[bytes]:
        for _ in range(8):
            yield bytes(100_000)

    exchange = Exchange()
    async with http2_server(authority, exchange) as server:
        transport = await build_transport("auto", http, max_idle=1)
        headers = {"authorization": "Bearer key", "user-agent": "ours/1"}
        await fetch(transport, f"{server.url}/v1/a%2Fb?c=d", "POST", headers=headers, body=b"x" * 300_000)
        await fetch(transport, server.url, "POST", headers=headers, body=BodyStream(pieces))
        await http.aclose()
    first, second = exchange.requests
    assert exchange.bodies == [300_000, 800_000]
    assert (first[":method"], first[":path"]) == ("POST", "/v1/a%2Fb?c=d")
    assert (first["authorization"], first["user-agent"], first["content-length"]) == ("Bearer key", "ours/1", "300000")
    assert "transfer-encoding" not in second


async def test_a_billed_call_whose_connection_ends_without_an_answer_is_sent_once(
    maker: Maker, http: Any, authority: trustme.CA
) -> None:
    exchange = Exchange()
    exchange.ends_at = 1
    async with http2_server(authority, exchange) as server:
        with pytest.raises(APIConnectionError) as caught:
            await ask_chat(maker.client(server.url, http_client=http))
        await http.aclose()
    assert (len(exchange.requests), len(caught.value.attempts), caught.value.maybe_accepted) == (1, 1, True)
