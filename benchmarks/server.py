"""The server that the clients are measured against: as little work as HTTP/1.1 allows, in a process of its own.

The first segment of a path can say what to do differently, so that every client's base URL can ask for it:

    /v1/chat/completions            a completion of 1 KB, or with `"stream":true` in the body a stream of 1,000 chunks
    /stream-N/v1/chat/completions   a stream of N chunks
    /bulk-N/v1/chat/completions     the same with 64 KiB in each piece of the chunked encoding
    /hang/v1/chat/completions       no answer
    /bytes-N/…                      N bytes
    /v1/models                      a list of 1,000 models
    /v1/files                       reads the body, forgets it
    /v1/video/generations/ID        a task that is never ready
    /v1/polls                       how often a task was asked for, in each second since the first time

Run by `LocalServer`; it ends with its standard input, or after its lifetime.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import re
import selectors
import socket
import ssl
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator
from types import TracebackType
from typing import Self

from . import payloads
from .machine import raise_file_limit

_LENGTH = re.compile(rb"\r\ncontent-length: *(\d+)", re.IGNORECASE)
_ORDER = re.compile(rb"/(\w+)-(\d+)/")
_PIECE = 64 * 1024
_CHUNKS = 1_000
_LIFETIME = 3600.0
_AWAKE = 0.002
"""Seconds without a request after which the server sleeps."""


def _answer(body: bytes, kind: bytes = b"application/json") -> bytes:
    head = b"HTTP/1.1 200 OK\r\ncontent-type: %b\r\ncontent-length: %d\r\n\r\n" % (kind, len(body))
    return head + body


def _framed(body: bytes) -> bytes:
    """One piece of the chunked encoding."""
    return b"%x\r\n%b\r\n" % (len(body), body)


_COMPLETION = _answer(payloads.completion())
_MODELS = _answer(payloads.model_list())
_FILE = _answer(payloads.uploaded_file())
_TASK = _answer(payloads.video_task("task_0"))
_NOT_FOUND = b"HTTP/1.1 404 Not Found\r\ncontent-length: 0\r\n\r\n"
_STREAM_HEAD = b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n"
_CONTINUE = b"HTTP/1.1 100 Continue\r\n\r\n"


def _stream(count: int, *, bulk: bool) -> Iterator[bytes]:
    """The writes of a stream: one event in each piece, as a gateway sends them that flushes after each, or many."""
    event = payloads.stream_chunk()
    per_write = max(1, _PIECE // len(event))
    write = _framed(event * per_write) if bulk else _framed(event) * per_write
    # The first chunk goes out with the head and alone, so that the time until it comes can be measured.
    yield _STREAM_HEAD + _framed(event)
    for _ in range((count - 1) // per_write):
        yield write
    rest = (count - 1) % per_write
    yield _framed(event) * rest + _framed(payloads.last_chunk()) + b"0\r\n\r\n"


def _zeros(count: int) -> Iterator[bytes]:
    yield b"HTTP/1.1 200 OK\r\ncontent-type: video/mp4\r\ncontent-length: %d\r\n\r\n" % count
    piece = bytes(_PIECE * 4)
    for _ in range(count // len(piece)):
        yield piece
    yield bytes(count % len(piece))


class Connection(asyncio.Protocol):
    """One connection, one request after another."""

    def __init__(self) -> None:
        self._buffer = b""
        self._head = b""
        self._body_left = 0
        self._small_body = b""
        self._tail = b""
        self._chunked = False
        self._writable = asyncio.Event()
        self._writable.set()
        self._task: asyncio.Task[None] | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport

    def connection_lost(self, exc: Exception | None) -> None:
        if self._task is not None:
            self._task.cancel()

    def pause_writing(self) -> None:
        self._writable.clear()

    def resume_writing(self) -> None:
        self._writable.set()

    def data_received(self, data: bytes) -> None:
        if self._head:
            self._read_body(data)
            return
        data = self._buffer + data if self._buffer else data
        end = data.find(b"\r\n\r\n")
        if end < 0:
            self._buffer = data
            return
        self._buffer = b""
        self._head = data[: end + 2]
        self._small_body = self._tail = b""
        length = _LENGTH.search(self._head)
        self._chunked = length is None and b"ransfer-" in self._head and b"chunked" in self._head
        self._body_left = int(length[1]) if length else 0
        if b"100-continue" in self._head:
            self._transport.write(_CONTINUE)
        self._read_body(data[end + 4 :])

    def _read_body(self, data: bytes) -> None:
        if len(self._small_body) < _PIECE:
            self._small_body += data
        if self._chunked:
            self._tail = (self._tail + data)[-5:]
            if self._tail != b"0\r\n\r\n":
                return
        else:
            self._body_left -= len(data)
            if self._body_left > 0:
                return
        head, self._head = self._head, b""
        self._respond(head.split(b" ", 2)[1])

    def _respond(self, path: bytes) -> None:
        if path == b"/v1/chat/completions" and b'"stream":' not in self._small_body:
            self._transport.write(_COMPLETION)
        elif path.startswith(b"/hang/"):
            return
        elif order := _ORDER.match(path):
            self._start(_zeros(int(order[2])) if order[1] == b"bytes" else _stream_of(order))
        elif path.endswith(b"/chat/completions"):
            self._start(_stream(_CHUNKS, bulk=False))
        elif path.endswith(b"/models"):
            self._transport.write(_MODELS)
        elif path.endswith(b"/files"):
            self._transport.write(_FILE)
        elif b"/video/generations/" in path:
            _polled_at.append(time.monotonic())
            self._transport.write(_TASK)
        elif path.endswith(b"/polls"):
            self._transport.write(_answer(json.dumps(_polls_per_second()).encode()))
        else:
            self._transport.write(_NOT_FOUND)

    def _start(self, writes: Iterator[bytes]) -> None:
        self._task = asyncio.ensure_future(self._write_all(writes))

    async def _write_all(self, writes: Iterator[bytes]) -> None:
        for data in writes:
            self._transport.write(data)
            await self._writable.wait()


_polled_at: list[float] = []


class _Awake(selectors.DefaultSelector):
    """Does not sleep as long as requests come.

    Whoever sends to a process that sleeps wakes it. With the server on the same machine that is charged to the client:
    up to 8 µs for each request in a virtual machine, and more to a client that is quicker than the server. In life the
    gateway is on another machine.
    """

    _busy_until = 0.0

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        events = super().select(0)
        now = time.monotonic()
        if events:
            self._busy_until = now + _AWAKE
        return events if events or now < self._busy_until else super().select(timeout)


def _polls_per_second() -> list[int]:
    if not _polled_at:
        return []
    counts = Counter(int(at - _polled_at[0]) for at in _polled_at)
    return [counts[second] for second in range(max(counts) + 1)]


def _stream_of(order: re.Match[bytes]) -> Iterator[bytes]:
    return _stream(int(order[2]), bulk=order[1] == b"bulk")


async def _serve(lifetime: float, certificate: str | None) -> None:
    loop = asyncio.get_running_loop()
    # With the protocol named, asyncio switches Nagle's algorithm off.
    listener = socket.socket(socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    listener.bind(("127.0.0.1", 0))
    tls = None
    if certificate is not None:
        tls = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        tls.load_cert_chain(certificate)
    await loop.create_server(Connection, sock=listener, backlog=8192, ssl=tls)
    print(listener.getsockname()[1], flush=True)
    ended = asyncio.Event()
    loop.add_reader(sys.stdin, ended.set)
    try:
        await asyncio.wait_for(ended.wait(), lifetime)
    except TimeoutError:
        print("benchmarks.server: its lifetime is over", file=sys.stderr)


class LocalServer:
    """Runs the server; a context manager. With a PEM file of key and certificate it speaks TLS."""

    def __init__(self, certificate: str | None = None) -> None:
        self._certificate = certificate

    def __enter__(self) -> Self:
        more = ["--certificate", self._certificate] if self._certificate else []
        self._process = subprocess.Popen(
            [sys.executable, "-m", "benchmarks.server", *more], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )
        assert self._process.stdout is not None
        self.origin = f"{'https' if more else 'http'}://127.0.0.1:{int(self._process.stdout.readline())}"
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        assert self._process.stdin is not None
        self._process.stdin.close()
        self._process.wait(10)


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.server", description=__doc__)
    parser.add_argument("--lifetime", type=float, default=_LIFETIME, help="seconds")
    parser.add_argument("--certificate", help="a PEM file: speak TLS")
    options = parser.parse_args()
    raise_file_limit()
    with asyncio.Runner(loop_factory=lambda: asyncio.SelectorEventLoop(_Awake())) as runner:
        runner.run(_serve(options.lifetime, options.certificate))


if __name__ == "__main__":
    main()
