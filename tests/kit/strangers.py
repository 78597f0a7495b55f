"""A gateway behind somebody else: it takes each billed request in, and then somebody answers in its place."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Callable
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field

SIGNED = {"X-Oneapi-Request-Id": "2026112800000001", "X-New-Api-Version": "v1.0.0-rc.25"}
ENVELOPE = b'{"error": {"message": "it broke", "type": "api_error", "param": null, "code": "500"}}'
PAGE = b"<!DOCTYPE html><html><head><title>it broke</title></head></html>"
ANSWERS = {
    "/chat/completions": b'{"choices": [{"index": 0, "message": {"content": "Hi"}, "finish_reason": "stop"}]}',
    "/images/generations": b'{"data": [{"url": "https://cdn.example/1.png"}]}',
    "/images/edits": b'{"data": [{"url": "https://cdn.example/1.png"}]}',
    "/video/generations": b'{"task_id": "task_1", "status": "submitted"}',
    "/files": b'{"id": "file_1", "url": "https://cdn.example/f"}',
    "/models": b'{"object": "list", "data": []}',
}


def answer(status: int | str, headers: dict[str, str] | None = None, body: bytes = b"") -> bytes:
    """An answer as it goes over the wire."""
    lines = [f"HTTP/1.1 {status} Odd", f"content-length: {len(body)}"]
    lines += [f"{name}: {value}" for name, value in (headers or {}).items()]
    return "\r\n".join([*lines, "", ""]).encode() + body


def good(path: str, headers: dict[str, str] | None = None) -> bytes:
    """The gateway's own answer."""
    return answer(200, {"content-type": "application/json", **(headers or {})}, ANSWERS[path])


@dataclass
class Gateway:
    """What took the requests in, each read to its last byte.

    Attributes:
        reply: of the request's path and its number, from 1, to what is written; None: silence.
        taken: the paths of the requests.
    """

    reply: Callable[[str, int], bytes | None]
    base_url: str = ""
    taken: list[str] = field(default_factory=list[str])
    heads: list[bytes] = field(default_factory=list[bytes])
    arrived: asyncio.Event = field(default_factory=asyncio.Event)

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(asyncio.IncompleteReadError, ConnectionError, asyncio.CancelledError):
            while True:
                head = await reader.readuntil(b"\r\n\r\n")
                await _read_body(head.lower(), reader)
                path = head.split()[1].decode().removeprefix("/v1")
                self.taken.append(path)
                self.heads.append(head)
                self.arrived.set()
                reply = self.reply(path, len(self.taken))
                if reply is None:
                    await reader.read()  # until the caller has gone
                    break
                writer.write(reply)
                await writer.drain()
                if b"connection: close" in reply.lower() or b" 101 " in reply:
                    break
        writer.close()


async def _read_body(head: bytes, reader: asyncio.StreamReader) -> None:
    if b"transfer-encoding: chunked" in head:
        while await reader.readuntil(b"\r\n") != b"0\r\n":
            pass
        await reader.readuntil(b"\r\n")
    elif b"content-length: " in head:
        await reader.readexactly(int(head.split(b"content-length: ")[1].split(b"\r\n")[0]))


@asynccontextmanager
async def gateway(reply: Callable[[str, int], bytes | None] | bytes) -> AsyncGenerator[Gateway]:
    """Such a server on loopback."""
    always = reply if isinstance(reply, bytes) else None
    server = Gateway((lambda path, number: always) if isinstance(reply, bytes) else reply)
    listener = await asyncio.start_server(server.serve, "127.0.0.1", 0)
    server.base_url = f"http://127.0.0.1:{listener.sockets[0].getsockname()[1]}/v1"
    try:
        yield server
    finally:
        listener.close()
