"""A gateway with one limit, on a real socket, that counts for itself; and a process that calls it."""

from __future__ import annotations

import asyncio
import json
import subprocess
import sys
import time
from collections import deque
from typing import Protocol

_ANSWER = json.dumps(
    {
        "id": "c", "object": "chat.completion", "created": 1, "model": "m",
        "choices": [{"index": 0, "message": {"role": "assistant", "content": "hi"}, "finish_reason": "stop"}],
    }
)  # fmt: skip
_REFUSAL = json.dumps({"error": {"message": "too many requests", "type": "rate_limit", "code": "rate_limit_exceeded"}})


class Policy(Protocol):
    latency: float

    def begins(self, now: float) -> bool: ...

    def ends(self) -> None: ...


class TokenBucket:
    latency = 0.05

    def __init__(self, rate: float, burst: float) -> None:
        self.rate, self.burst, self.level, self.at = rate, burst, burst, 0.0

    def begins(self, now: float) -> bool:
        self.level = min(self.burst, self.level + (now - self.at) * self.rate)
        self.at = now
        if self.level < 1:
            return False
        self.level -= 1
        return True

    def ends(self) -> None: ...


class Fixed:
    latency = 0.05

    def __init__(self, calls: int, period: float) -> None:
        self.calls, self.period, self.opened, self.used = calls, period, float("-inf"), 0

    def begins(self, now: float) -> bool:
        if now - self.opened >= self.period:
            self.opened, self.used = now, 0
        if self.used >= self.calls:
            return False
        self.used += 1
        return True

    def ends(self) -> None: ...


class Sliding:
    latency = 0.05

    def __init__(self, calls: int, period: float) -> None:
        self.calls, self.period = calls, period
        self.log: deque[float] = deque()

    def begins(self, now: float) -> bool:
        while self.log and self.log[0] <= now - self.period:
            self.log.popleft()
        if len(self.log) >= self.calls:
            return False
        self.log.append(now)
        return True

    def ends(self) -> None: ...


class AtOnce:
    def __init__(self, calls: int, latency: float) -> None:
        self.calls, self.latency, self.used, self.most = calls, latency, 0, 0

    def begins(self, now: float) -> bool:
        if self.used >= self.calls:
            return False
        self.used += 1
        return True

    def ends(self) -> None:
        self.used -= 1


class Gateway:
    """`accepted` and `refused` are the times of each."""

    def __init__(self, policy: Policy) -> None:
        self.policy = policy
        self.accepted: list[float] = []
        self.refused: list[float] = []
        self.by_peer: dict[str, list[float]] = {}
        self._server: asyncio.Server | None = None

    async def __aenter__(self) -> Gateway:
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", 0, backlog=1000)
        self.port: int = self._server.sockets[0].getsockname()[1]
        return self

    async def __aexit__(self, *_: object) -> None:
        assert self._server is not None
        self._server.close()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while True:
                head = (await reader.readuntil(b"\r\n\r\n")).lower()
                length = int(head.split(b"content-length:")[1].split(b"\r\n")[0])
                body = json.loads(await reader.readexactly(length))
                await self._answer(writer, str(body.get("user")))
        except (asyncio.IncompleteReadError, ConnectionError, asyncio.CancelledError):
            pass
        finally:
            writer.close()

    async def _answer(self, writer: asyncio.StreamWriter, peer: str) -> None:
        now = time.monotonic()
        if self.policy.begins(now):
            try:
                await asyncio.sleep(self.policy.latency)
            finally:
                self.policy.ends()
            self.accepted.append(time.monotonic())
            self.by_peer.setdefault(peer, []).append(time.monotonic())
            status, text = "200 OK", _ANSWER
        else:
            self.refused.append(now)
            status, text = "429 Too Many Requests", _REFUSAL
        head = f"HTTP/1.1 {status}\r\ncontent-type: application/json\r\nx-oneapi-request-id: 1\r\n"
        writer.write(f"{head}content-length: {len(text)}\r\n\r\n{text}".encode())
        await writer.drain()

    def count(self, since: float, until: float) -> tuple[int, int]:
        return tuple(sum(since <= at < until for at in times) for times in (self.accepted, self.refused))  # type: ignore[return-value]


_CALLER = """
import asyncio, sys
from relaydance_async import AsyncRelayDance, RedisLimits, RetryPolicy
messages = [{'role': 'user', 'content': 'x'}]
async def main(port, url, name, crowd, *models):
    shared = RedisLimits(url) if url else None
    retry = RetryPolicy(max_attempts=10)  # while a limit is found on a busy machine, one call may be refused four times
    url = f"http://127.0.0.1:{port}/v1"
    async with AsyncRelayDance("sk-test", base_url=url, retry=retry, shared_limits=shared) as client:
        async def calls(model):
            while True:
                try:
                    await client.chat.completions.create(model=model, messages=messages, user=name)
                except Exception as error:
                    print(type(error).__name__, error, flush=True)
        await asyncio.gather(*(calls(models[i % len(models)]) for i in range(int(crowd))))
asyncio.run(main(*sys.argv[1:]))
"""


def caller(port: int, url: str, name: str, crowd: int, *models: str) -> subprocess.Popen[bytes]:
    """A process that calls without pause, `crowd` calls at once, of these models in turn. What fails it prints."""
    command = [sys.executable, "-c", _CALLER, str(port), url, name, str(crowd), *(models or "m")]
    return subprocess.Popen(command, stdout=subprocess.PIPE)
