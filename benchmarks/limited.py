"""Limits on real sockets: `python -m benchmarks.limited`.

What one process, or several, get of a limit of the sandbox's, beside openai's client. Each way makes 40 calls at once,
all in all, without a pause; what it gets is counted after some seconds of learning. All limits run side by side, each
with a sandbox and processes of its own: they wait most of the time.
"""

from __future__ import annotations

import argparse
import asyncio
import subprocess
import sys
from contextlib import ExitStack
from dataclasses import dataclass

from relaydance_async.sandbox import Fault, RateLimit, Sandbox
from tests.kit.redis import redis_server

CHAT = "POST /v1/chat/completions"
CROWD = 40
LATENCY = 0.05

BUCKET = RateLimit(20.0, 20, retry_after=None)
FIXED = RateLimit(policy="fixed_window", limit=100, window=5, retry_after=None)
SLIDING = RateLimit(policy="sliding_log", limit=100, window=5, retry_after=None)
AT_ONCE = RateLimit(policy="under_way", limit=10, retry_after=None)

LIMITS: dict[str, tuple[RateLimit, float, float]] = {
    "bucket, 20 a second": (BUCKET, 20.0, LATENCY),
    "fixed window, 100 per 5 s": (FIXED, 20.0, LATENCY),
    "sliding window, 100 per 5 s": (SLIDING, 20.0, LATENCY),
    "10 under way, 0.5 s each": (AT_ONCE, 20.0, 0.5),
}
"""By name: the limit, the calls a second that it lets pass, and the seconds that an answer takes."""


@dataclass(frozen=True)
class Way:
    """Who calls."""

    name: str
    processes: int
    script: str
    shares: bool = False


OURS = """
import asyncio, logging, sys
from relaydance_async import AsyncRelayDance, RedisLimits, RelayDanceError, RetryPolicy
logging.disable(logging.CRITICAL)
async def main(url, key, redis, crowd):
    shared = RedisLimits(redis) if redis else None
    async with AsyncRelayDance(key, base_url=url, shared_limits=shared, retry=RetryPolicy(max_attempts=10)) as client:
        async def calls():
            while True:
                try:
                    await client.chat.completions.create(model="grok-4.3", messages=[{"role": "user", "content": "x"}])
                except RelayDanceError:
                    print("lost", flush=True)
        await asyncio.gather(*(calls() for _ in range(int(crowd))))
asyncio.run(main(*sys.argv[1:]))
"""
_OPENAI = """
import asyncio, sys
from openai import AsyncOpenAI, OpenAIError
async def main(url, key, redis, crowd):
    async with AsyncOpenAI(api_key=key, base_url=url, max_retries=RETRIES) as client:
        async def calls():
            while True:
                try:
                    await client.chat.completions.create(model="grok-4.3", messages=[{"role": "user", "content": "x"}])
                except OpenAIError:
                    print("lost", flush=True)
        await asyncio.gather(*(calls() for _ in range(int(crowd))))
asyncio.run(main(*sys.argv[1:]))
"""

WAYS = (
    Way("ours, 1 process", 1, OURS),
    Way("ours, 4 processes", 4, OURS),
    Way("ours, 4 processes with Redis", 4, OURS, shares=True),
    Way("ours, 8 processes with Redis", 8, OURS, shares=True),
    Way("openai, 2 retries, 1 process", 1, _OPENAI.replace("RETRIES", "2")),
    Way("openai, 10 retries, 1 process", 1, _OPENAI.replace("RETRIES", "10")),
    Way("openai, 10 retries, 4 processes", 4, _OPENAI.replace("RETRIES", "10")),
)


def count(sandbox: Sandbox) -> tuple[int, int]:
    """Calls that were accepted and refused so far."""
    return sandbox.ledger.count(status=200), sandbox.ledger.count(status=429)


def start(command: list[str]) -> subprocess.Popen[bytes]:
    """A process that calls."""
    return subprocess.Popen(command, stdout=subprocess.PIPE)


@dataclass(frozen=True)
class Measured:
    """What a way gets of a limit, after learning: shares, and calls lost in a minute."""

    share: float
    refused: float
    lost: float

    def __str__(self) -> str:
        return f"{self.share:.0%} ({self.refused:.0%}, {self.lost:.0f})"


async def measure(way: Way, limit: RateLimit, ideal: float, latency: float, learn: float, seconds: float) -> Measured:
    """One way at one limit, of so many calls a second, whose answers take so long."""
    with ExitStack() as stack:
        sandbox = stack.enter_context(Sandbox(rate_limit=limit, faults=[Fault(CHAT, delay=latency)]))
        redis = stack.enter_context(redis_server()).url if way.shares else ""
        options = [sandbox.base_url, sandbox.api_key, redis, str(CROWD // way.processes)]
        command = [sys.executable, "-c", way.script, *options]
        callers = [start(command) for _ in range(way.processes)]
        try:
            while not count(sandbox)[0]:  # noqa: ASYNC110
                await asyncio.sleep(0.1)
            await asyncio.sleep(learn)
            before = count(sandbox)
            await asyncio.sleep(seconds)
            after = count(sandbox)
        finally:
            for caller in callers:
                caller.kill()
            lost = sum(caller.communicate()[0].count(b"lost") for caller in callers)
    accepted, refused = after[0] - before[0], after[1] - before[1]
    share = accepted / (seconds * ideal)
    return Measured(share, refused / max(1, accepted + refused), lost * 60 / (learn + seconds))


async def main(ways: list[Way], learn: float, seconds: float) -> None:
    """The table."""
    print("| 40 calls at once: share of the limit (refused, calls lost a minute) |", " | ".join(LIMITS), "|")
    print("|---" * (1 + len(LIMITS)) + "|")
    for way in ways:
        cells = await asyncio.gather(*(measure(way, *LIMITS[name], learn, seconds) for name in LIMITS))
        print(f"| {way.name} | {' | '.join(map(str, cells))} |", flush=True)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--ways", nargs="*", type=int, default=list(range(len(WAYS))), help="which of them")
    parser.add_argument("--learn", type=float, default=20.0, help="seconds")
    parser.add_argument("--seconds", type=float, default=20.0)
    chosen = parser.parse_args()
    asyncio.run(main([WAYS[number] for number in chosen.ways], chosen.learn, chosen.seconds))
