"""uvicorn on the sandbox's two sockets, API and result host."""

from __future__ import annotations

import asyncio
import socket
import time
from collections.abc import AsyncGenerator, Callable, Coroutine
from contextlib import asynccontextmanager
from email.utils import formatdate
from importlib.util import find_spec
from typing import Any

import uvicorn
from starlette.types import ASGIApp
from uvicorn.server import ServerState

from ._connections import Connections, build_protocol_class
from ._sockets import BACKLOG, stop_accepting

CLOSE_SECONDS = 1.0


@asynccontextmanager
async def serve(
    apps: list[tuple[ASGIApp, socket.socket]],
    connections: Connections,
    background: Callable[[], Coroutine[Any, Any, None]],
    *,
    keep_alive: int,
) -> AsyncGenerator[None, None]:
    """Serve `apps`, each on its socket, and run `background`, until the block ends."""
    loop = asyncio.get_running_loop()
    states = [ServerState() for _ in apps]
    servers = [
        await loop.create_server(
            _build_factory(app, state, connections, keep_alive=keep_alive), sock=sock, backlog=BACKLOG
        )
        for (app, sock), state in zip(apps, states, strict=True)
    ]
    # uvicorn's own server is not used: it looks for its end ten times a second, and waits for open connections.
    tasks = [loop.create_task(background()), loop.create_task(_keep_date(states))]
    try:
        yield
    finally:
        await stop_accepting(*(sock for _, sock in apps))
        for server in servers:
            server.close()
        await _break_off(states, connections)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


def _build_factory(app: ASGIApp, state: ServerState, connections: Connections, *, keep_alive: int) -> Callable[[], Any]:
    config = uvicorn.Config(
        app,
        http="httptools" if find_spec("httptools") else "h11",
        ws="none",
        lifespan="off",
        log_config=None,
        timeout_keep_alive=keep_alive,
    )
    config.load()
    protocol: Any = build_protocol_class(config.http_protocol_class, connections)
    return lambda: protocol(config=config, server_state=state, app_state={})


async def _break_off(states: list[ServerState], connections: Connections) -> None:
    """Close every connection now: a test that ends must not wait for a stalled answer."""
    connections.abort_all()
    await asyncio.sleep(0)
    tasks = [task for state in states for task in state.tasks]
    for task in tasks:
        task.cancel()
    if tasks:
        await asyncio.wait(tasks, timeout=CLOSE_SECONDS)
    # An aborted transport closes its socket in the loop's next turn.
    await asyncio.sleep(0)


async def _keep_date(states: list[ServerState]) -> None:
    while True:
        date = formatdate(time.time(), usegmt=True).encode()
        for state in states:
            state.default_headers = [(b"date", date)]
        await asyncio.sleep(1)
