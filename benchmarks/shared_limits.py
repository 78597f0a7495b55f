"""Processes that share one limit over Redis: `python -m benchmarks.shared_limits`.

It prints what they take together of what the limit lets pass, what is refused, and what each takes; first while they
learn the limit, then afterwards. It starts a redis-server of its own.
"""

from __future__ import annotations

import argparse
import asyncio
from collections.abc import Callable

from tests.kit.redis import redis_server
from tests.limits.limited_server import AtOnce, Fixed, Gateway, Policy, Sliding, TokenBucket, caller

LIMITS: dict[str, tuple[Callable[[], Policy], float]] = {
    "bucket": (lambda: TokenBucket(100, 10), 100.0),
    "fixed": (lambda: Fixed(100, 5), 20.0),
    "sliding": (lambda: Sliding(100, 5), 20.0),
    "at-once": (lambda: AtOnce(20, 0.5), 40.0),
}
"""By name: the limit, and the calls a second that it lets pass."""
CROWD = 40
"""Calls at once, of all processes together."""


async def measure(name: str, processes: int, learn: float, seconds: float) -> None:
    """One row for the time of learning, one for what follows."""
    make, ideal = LIMITS[name]
    with redis_server() as server:
        async with Gateway(make()) as gateway:
            callers = [caller(gateway.port, server.url, f"p{i}", CROWD // processes) for i in range(processes)]
            try:
                while not gateway.accepted:  # noqa: ASYNC110
                    await asyncio.sleep(0.05)
                began = gateway.accepted[0]
                await asyncio.sleep(learn + seconds)
            finally:
                for process in callers:
                    process.kill()
                failed = b"".join(process.communicate()[0] for process in callers)
    for what, since, until in (("learning", 0.0, learn), ("then", learn, learn + seconds)):
        accepted, refused = gateway.count(began + since, began + until)
        share = accepted / ((until - since) * ideal)
        parts = [sum(began + since <= at < began + until for at in times) for times in gateway.by_peer.values()]
        print(
            f"{name:8} {processes} processes, {what:8}: {share:.1%} of the ideal, "
            f"{refused / max(1, accepted + refused):.1%} refused, parts {parts}"
        )
    if failed:
        print("calls failed:", failed.decode()[:1000])


def main() -> None:
    """From the command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--limits", nargs="*", default=list(LIMITS), choices=list(LIMITS))
    parser.add_argument("--processes", nargs="*", type=int, default=[4, 8])
    parser.add_argument("--learn", type=float, default=15.0, help="seconds")
    parser.add_argument("--seconds", type=float, default=25.0)
    chosen = parser.parse_args()
    for name in chosen.limits:
        for processes in chosen.processes:
            asyncio.run(measure(name, processes, chosen.learn, chosen.seconds))


if __name__ == "__main__":
    main()
