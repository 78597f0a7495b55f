"""A result host that answers exactly what a test says."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager

import anyio
from anyio.abc import SocketAttribute, SocketStream

from relaydance_async import VideoTask


class Host:
    """A result host that sends these answers, one for each connection, and keeps the heads of the requests."""

    def __init__(self, *answers: bytes) -> None:
        self.answers = list(answers)
        self.heads: list[str] = []
        self.connections = 0
        self.port = 0

    async def serve(self, stream: SocketStream) -> None:
        self.connections += 1
        async with stream:
            try:
                head = await stream.receive()
                self.heads.append(head.decode("latin-1").lower())
                await stream.send(self.answers.pop(0))
            except (anyio.EndOfStream, anyio.BrokenResourceError):
                return  # it only looked

    @asynccontextmanager
    async def running(self) -> AsyncGenerator[VideoTask, None]:
        listener = await anyio.create_tcp_listener(local_host="127.0.0.1")
        self.port = listener.extra(SocketAttribute.local_port)
        async with listener, anyio.create_task_group() as group:
            group.start_soon(listener.serve, self.serve)
            yield task_of(f"http://127.0.0.1:{self.port}/a.mp4")
            group.cancel_scope.cancel()


def task_of(url: str) -> VideoTask:
    return VideoTask(task_id="t1", status="succeeded", raw_status="succeeded", url=url)


def whole(body: bytes, *headers: str, length: int | None = None) -> bytes:
    lines = ["HTTP/1.1 200 OK", f"content-length: {length or len(body)}", "connection: close", *headers]
    return "\r\n".join([*lines, "", ""]).encode() + body


def rest(body: bytes, start: int, total: int, *headers: str) -> bytes:
    span = f"content-range: bytes {start}-{start + len(body) - 1}/{total}"
    return whole(body, span, *headers).replace(b"200 OK", b"206 Partial Content")
