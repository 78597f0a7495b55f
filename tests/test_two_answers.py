"""A server that now and then writes two answers to one request: no call gets the answer of another."""

from __future__ import annotations

import asyncio
import json
import re
import ssl
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager, suppress
from typing import Any

import httpx
import httpx2
import pytest

from relaydance_async import APIConnectionError, AsyncRelayDance, RelayDanceError
from tests.kit.strangers import ANSWERS, answer
from tests.kit.tls import build_tls

pytestmark = pytest.mark.anyio


class Doubling:
    """Answers with the prompt as the task's id. Every seventh answer comes twice: in one piece, or a moment later."""

    def __init__(self) -> None:
        self.taken = 0
        self.doubled = 0

    async def __call__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(asyncio.IncompleteReadError, ConnectionError):
            while True:
                head = await reader.readuntil(b"\r\n\r\n")
                found = re.search(rb"content-length: (\d+)", head.lower())
                if found is None:  # the question whether the gateway is back, after three doubts in a row
                    writer.write(answer(200, {"content-type": "application/json"}, ANSWERS["/models"]))
                    continue
                request = json.loads(await reader.readexactly(int(found[1])))
                body = json.dumps({"task_id": request["prompt"], "status": "submitted"}).encode()
                await self._write(writer, answer(200, {"content-type": "application/json"}, body))
        writer.close()

    async def _write(self, writer: asyncio.StreamWriter, written: bytes) -> None:
        self.taken += 1
        writer.write(written)
        if self.taken % 7 == 0:
            self.doubled += 1
            if self.taken % 2:  # as a write of its own
                await writer.drain()
                await asyncio.sleep(0)
            writer.write(written)
        await writer.drain()


@asynccontextmanager
async def doubling_server(tls: ssl.SSLContext | None = None) -> AsyncGenerator[tuple[Doubling, str]]:
    """Such a server, and its base URL."""
    doubling = Doubling()
    server = await asyncio.start_server(doubling, "127.0.0.1", 0, ssl=tls)
    scheme = "http" if tls is None else "https"
    try:
        yield doubling, f"{scheme}://127.0.0.1:{server.sockets[0].getsockname()[1]}/v1"
    finally:
        server.close()


async def submit_many(client: AsyncRelayDance) -> tuple[list[tuple[str, str]], list[RelayDanceError]]:
    """Prompts that got the task of another one, and what failed, of 300."""
    wrong: list[tuple[str, str]] = []
    failed: list[RelayDanceError] = []

    async def submit(worker: int) -> None:
        for number in range(30):
            prompt = f"task_{worker}_{number}"
            try:
                task = await client.video.submit(model="m", prompt=prompt)
            except RelayDanceError as error:
                failed.append(error)
            else:
                if task.task_id != prompt:
                    wrong.append((prompt, task.task_id))

    await asyncio.gather(*(submit(worker) for worker in range(10)))
    return wrong, failed


@pytest.mark.parametrize("transport", ["httpx", "direct"])
async def test_no_call_gets_the_second_answer_to_another(transport: Any) -> None:
    async with (
        doubling_server() as (doubling, base_url),
        AsyncRelayDance("sk-1", base_url=base_url, transport=transport) as client,
    ):
        assert await submit_many(client) == ([], [])
        assert (doubling.taken, doubling.doubled) == (300, 42)


@pytest.mark.parametrize("library", [httpx, httpx2])
@pytest.mark.parametrize("tls", [False, True], ids=["plain", "tls"])
async def test_a_callers_client_tells_a_second_answer_that_it_has_read_already(library: Any, tls: bool) -> None:
    served, authority = build_tls()
    trusted = ssl.create_default_context(cadata=authority)
    async with (
        doubling_server(served if tls else None) as (doubling, base_url),
        library.AsyncClient(verify=trusted) as http,
        AsyncRelayDance("sk-1", base_url=base_url, http_client=http) as client,
    ):
        wrong, failed = await submit_many(client)
    assert wrong == []
    assert failed
    assert {(type(error), error.maybe_accepted) for error in failed} == {(APIConnectionError, True)}
    assert "second answer to an earlier request" in str(failed[0])
    assert doubling.taken <= 300  # none is repeated
