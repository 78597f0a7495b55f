"""A server that now and then writes two answers to one request: no call gets the answer of another."""

from __future__ import annotations

import asyncio
import json
import re
from contextlib import suppress
from typing import Any

import pytest

from relaydance_async import AsyncRelayDance
from tests.kit.strangers import answer

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
                assert found is not None
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


@pytest.mark.parametrize("transport", ["httpx", "direct"])
async def test_no_call_gets_the_second_answer_to_another(transport: Any) -> None:
    doubling = Doubling()
    server = await asyncio.start_server(doubling, "127.0.0.1", 0)
    base_url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/v1"
    wrong: list[tuple[str, str]] = []

    async def submit(client: AsyncRelayDance, worker: int) -> None:
        for number in range(30):
            prompt = f"task_{worker}_{number}"
            task = await client.video.submit(model="m", prompt=prompt)
            if task.task_id != prompt:
                wrong.append((prompt, task.task_id))

    async with AsyncRelayDance("sk-1", base_url=base_url, transport=transport) as client:
        await asyncio.gather(*(submit(client, worker) for worker in range(10)))
    server.close()
    assert wrong == []
    assert (doubling.taken, doubling.doubled) == (300, 42)
