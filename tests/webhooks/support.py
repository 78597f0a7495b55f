"""A receiver behind a real server, and what is sent to it."""

from __future__ import annotations

import json
import socket
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from typing import Any

import anyio
import httpx
import uvicorn

from relaydance_async import AsyncRelayDance
from relaydance_async.sandbox import Sandbox
from relaydance_async.webhooks import Delivery
from tests.kit.waiting import wait_until

SECRET = "a secret of thirty-two characters"
PATH = "/hooks"


class Handler:
    """What a user's code does with the deliveries."""

    def __init__(self) -> None:
        self.deliveries: list[Delivery] = []
        self.failures = 0
        self.called = anyio.Event()
        self.go_on = anyio.Event()
        self.go_on.set()
        self.at_work = self.most_at_work = 0

    async def __call__(self, delivery: Delivery) -> None:
        self.at_work += 1
        self.most_at_work = max(self.most_at_work, self.at_work)
        self.called.set()
        try:
            await self.go_on.wait()
            if self.failures:
                self.failures -= 1
                raise RuntimeError("the database is down")
            self.deliveries.append(delivery)
        finally:
            self.at_work -= 1


@asynccontextmanager
async def serving(app: Any, *, lifespan: Any = "off") -> AsyncGenerator[str]:
    """The URL at which an ASGI app is served, in this loop."""
    config = uvicorn.Config(app, log_level="error", lifespan=lifespan, ws="none")
    config.load()
    server = uvicorn.Server(config)
    server.lifespan = config.lifespan_class(config)
    with socket.create_server(("127.0.0.1", 0)) as listener:
        # `server.serve()` would look only every 0.1 s whether it is to end, and then sleep for as long again.
        await server.startup([listener])
        try:
            yield f"http://127.0.0.1:{listener.getsockname()[1]}{PATH}"
        finally:
            for listening in server.servers:
                listening.close()
            for connection in list(server.server_state.connections):
                connection.shutdown()
            await wait_until(lambda: not (server.server_state.connections or server.server_state.tasks))
            await server.lifespan.shutdown()


async def submitted(client: AsyncRelayDance, **params: Any) -> str:
    return (await client.video.submit(model="happyhorse-1.0-t2v", prompt="a horse", **params)).task_id


async def finished(client: AsyncRelayDance, sandbox: Sandbox) -> str:
    """The id of a task that has ended."""
    task_id = await submitted(client)
    sandbox.clock.advance(1000)
    return task_id


def body_of(task_id: str, **changes: Any) -> bytes:
    return json.dumps(
        {"task_id": task_id, "status": "succeeded", "url": "https://evil.example/x.mp4", **changes}
    ).encode()


async def post(url: str, body: bytes, **headers: str) -> int:
    # Without a TLS context, which takes longer than all the rest, and which nobody needs here.
    async with httpx.AsyncClient(trust_env=False, verify=False) as http:
        return (await http.post(url, content=body, headers=headers)).status_code


def query_of(url: str) -> str:
    return url.partition("?")[2]
