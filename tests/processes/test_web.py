"""The client in a FastAPI app under a real uvicorn: many requests, readers that leave, and the server's end."""

from __future__ import annotations

import asyncio
import json
import signal
import time
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest
from fastapi import FastAPI
from starlette.responses import StreamingResponse

from relaydance_async import AsyncRelayDance
from relaydance_async.sandbox import Fault, FaultyProxy, Sandbox
from tests.kit.calls import HELLO, client_of
from tests.kit.probe import held, look_at
from tests.kit.routes import MODELS
from tests.kit.waiting import wait_until
from tests.kit.web import serving
from tests.processes.support import complaints, next_line, started

ENDLESS = {"sandbox_chunks": 10_000, "sandbox_chunk_delay": 0.005}


def build_app(made_at_import: AsyncRelayDance, made_in_lifespan: list[AsyncRelayDance]) -> FastAPI:
    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncGenerator[None]:
        async with made_at_import, made_in_lifespan[0]:
            yield

    app = FastAPI(lifespan=lifespan)

    @app.get("/models")
    async def models(which: int = 0) -> int:
        return len((await [made_at_import, made_in_lifespan[0]][which].models.list()).data)

    @app.get("/chat")
    async def chat() -> StreamingResponse:
        async def text() -> AsyncIterator[str]:
            async with await made_at_import.chat.completions.create(
                model="grok-4.3", messages=HELLO, stream=True, extra_body=ENDLESS
            ) as stream:
                async for chunk in stream:
                    yield chunk.text()

        return StreamingResponse(text(), media_type="text/plain")

    @app.get("/chat-opened-first")
    async def chat_opened_first() -> StreamingResponse:
        stream = await made_at_import.chat.completions.create(
            model="grok-4.3", messages=HELLO, stream=True, extra_body=ENDLESS
        )

        async def text() -> AsyncIterator[str]:
            async with stream:
                async for chunk in stream:
                    yield chunk.text()

        return StreamingResponse(text(), media_type="text/plain")

    return app


async def ask(port: int, path: str) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    """Send a GET, as a browser does that then may leave."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(f"GET {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n".encode())
    return reader, writer


async def fetch(port: int, path: str) -> bytes:
    reader, writer = await ask(port, path)
    try:
        return await reader.read()
    finally:
        writer.close()
        await writer.wait_closed()


@pytest.mark.anyio
async def test_hundreds_of_requests_share_a_client_of_the_import_and_one_of_the_lifespan(
    sandbox: Sandbox, transport: Any
) -> None:
    with FaultyProxy(sandbox.root_url) as proxy:
        options: dict[str, Any] = {"base_url": proxy.base_url, "transport": transport, "max_concurrency": 10}
        clients = [client_of(sandbox, **options) for _ in range(2)]
        async with serving(build_app(clients[0], clients[1:])) as port:
            answers = await asyncio.gather(*(fetch(port, f"/models?which={number % 2}") for number in range(300)))
            assert {answer.partition(b" ")[2][:3] for answer in answers} == {b"200"}
            for now in [await held(client) for client in clients]:
                assert (now.permits, now.queued) == (0, 0)
        assert proxy.connections <= 20
        await wait_until(lambda: proxy.open_connections == 0)
    assert sandbox.ledger.accepted(MODELS) == 300


@pytest.mark.anyio
@pytest.mark.parametrize("path", ["/chat", "/chat-opened-first"])
async def test_a_reader_that_leaves_frees_the_stream_its_permit_and_its_connection(
    sandbox: Sandbox, transport: Any, path: str
) -> None:
    with FaultyProxy(sandbox.root_url) as proxy:
        client = client_of(sandbox, base_url=proxy.base_url, transport=transport, max_concurrency=6)
        async with serving(build_app(client, [client_of(sandbox)])) as port:
            readers = [await ask(port, path) for _ in range(5)]
            for reader, _ in readers:
                await reader.readuntil(b"chunk ")
            assert (look_at(client).permits, proxy.open_connections) == (5, 5)
            for _, writer in readers:
                writer.close()
            left = time.monotonic()
            await wait_until(lambda: look_at(client).permits == 0 and proxy.open_connections == 0)
            assert time.monotonic() - left < 2
            assert b"200 OK" in await fetch(port, "/models")


SERVER = """
import contextlib
import fastapi, uvicorn
from starlette.responses import StreamingResponse
from tests.kit.probe import watch

@contextlib.asynccontextmanager
async def lifespan(app):
    look = await watch(client)
    async with client:
        yield
    with anyio.move_on_after(5):
        while look().permits:
            await asyncio.sleep(0.001)
    print(f"permits in use: {look().permits}", flush=True)

app = fastapi.FastAPI(lifespan=lifespan)

@app.get("/chat")
async def chat():
    async def text():
        async with await open_stream(client) as stream:
            async for chunk in stream:
                yield chunk.text()
    return StreamingResponse(text())

@app.get("/models")
async def models():
    return len((await client.models.list()).data)

async def main():
    config = uvicorn.Config(app, port=0, log_level="critical", timeout_graceful_shutdown=int(sys.argv[1]))
    server = uvicorn.Server(config)
    task = asyncio.create_task(server.serve())
    while not server.started:
        await asyncio.sleep(0.001)
    print(server.servers[0].sockets[0].getsockname()[1], flush=True)
    await task

asyncio.run(main())
"""


@pytest.mark.anyio
async def test_calls_in_flight_at_sigterm_are_answered_within_the_graceful_time(sandbox: Sandbox) -> None:
    sandbox.faults.add(Fault(MODELS, delay=0.3))
    with started(SERVER, sandbox.base_url, "auto", "20") as server:
        port = int(next_line(server))
        answers = [asyncio.ensure_future(fetch(port, "/models")) for _ in range(10)]
        await wait_until(lambda: sum(sandbox.faults.fired.values()) == 10)
        server.send_signal(signal.SIGTERM)
        assert {json.loads(answer.rpartition(b"\r\n\r\n")[2]) > 0 for answer in await asyncio.gather(*answers)} == {
            True
        }
        stdout, stderr = server.communicate(timeout=20)
        assert (stdout, complaints(stderr)) == ("permits in use: 0\n", "")
        assert server.returncode == -signal.SIGTERM


@pytest.mark.anyio
async def test_streams_that_outlast_the_graceful_time_are_broken_off_and_cost_no_permit(sandbox: Sandbox) -> None:
    with FaultyProxy(sandbox.root_url) as proxy:
        with started(SERVER, proxy.base_url, "auto", "0") as server:
            port = int(next_line(server))
            readers = [await ask(port, "/chat") for _ in range(5)]
            for reader, _ in readers:
                await reader.readuntil(b"chunk ")
            server.send_signal(signal.SIGTERM)
            stdout, stderr = await asyncio.to_thread(server.communicate, timeout=20)
            assert (stdout, complaints(stderr)) == ("permits in use: 0\n", "")
        await wait_until(lambda: proxy.open_connections == 0)
        for _, writer in readers:
            writer.close()
