"""Point 8: many calls at once against a rate limit, in the sandbox."""

from __future__ import annotations

import asyncio
import time
from typing import Any

from .child import ChildError, call_once
from .ours import OURS_FAST, make_client
from .payloads import MESSAGES, MODEL
from .peers import OPENAI
from .report import Report
from .settings import Settings

_RATE = 100
_BURST = 20
_OURS = f"{OURS_FAST}, RetryPolicy(max_attempts=50)"
_OURS_DEFAULT = f"{OURS_FAST}, as it comes"
_CLIENTS: dict[str, dict[str, Any]] = {
    _OURS: {"function": "measure_ours", "max_attempts": 50},
    _OURS_DEFAULT: {"function": "measure_ours", "max_attempts": None},
    f"{OPENAI}, as it comes": {"function": "measure_openai", "max_retries": 2},
    f"{OPENAI}, max_retries=10": {"function": "measure_openai", "max_retries": 10},
}


def run(settings: Settings) -> list[Report]:
    """The report of point 8."""
    calls = 500 if settings.quick else 2_000
    title = (
        f"8. {calls:,} calls at once; the server allows {_RATE} a second, {_BURST} at once, and says `Retry-After: 1`"
    )
    report = Report(title, ["", "succeeded", "requests sent", "wasted on 429s", "seconds", "share of the rate used"])
    for name, how in _CLIENTS.items():
        found = _measure(calls, **how)
        report.data[name] = found
        cells = (
            f"{found['succeeded']:,.0f}",
            f"{found['sent']:,.0f}",
            f"{found['wasted']:.1%}",
            f"{found['seconds']:.1f}",
        )
        report.row(name, *cells, f"{found['used']:.0%}")
    for name in (_OURS, _OURS_DEFAULT):
        found = report.data[name]
        report.check(f"{name}: succeeded", found["succeeded"] / calls * 100, "≥", 100, "%")
        report.check(f"{name}: share of the rate used", found["used"] * 100, "≥", 90, "%")
        report.check(f"{name}: wasted on 429s", found["wasted"] * 100, "≤", 5, "%")
    report.notes.append(
        "Share of the rate used: accepted, of what the server would have let through until the last call ended."
    )
    return [report]


def _measure(calls: int, *, function: str, **arguments: Any) -> dict[str, float]:
    from relaydance_async.sandbox import RateLimit, Sandbox

    with Sandbox(rate_limit=RateLimit(rate=_RATE, burst=_BURST, retry_after="1")) as sandbox:
        try:
            done = call_once(
                "fanout", function, origin=sandbox.root_url, api_key=sandbox.api_key, calls=calls, **arguments
            )
        except ChildError as error:
            raise SystemExit(str(error)) from None
        refused, sent = sandbox.ledger.count(status=429), sandbox.ledger.count()
    allowed = _BURST + _RATE * done["seconds"]
    return {**done, "sent": sent, "wasted": refused / sent, "used": done["succeeded"] / allowed}


def measure_ours(origin: str, api_key: str, calls: int, max_attempts: int | None) -> dict[str, float]:
    """In a process of its own: how many succeeded, in how many seconds."""
    from relaydance_async import RetryPolicy

    retry = RetryPolicy() if max_attempts is None else RetryPolicy(max_attempts=max_attempts)

    async def run() -> dict[str, float]:
        async with make_client(origin, 100, fast=True, retry=retry, api_key=api_key) as client:

            async def call() -> None:
                await client.chat.completions.create(model=MODEL, messages=MESSAGES)

            return await _all_at_once(call, calls)

    return asyncio.run(run())


def measure_openai(origin: str, api_key: str, calls: int, max_retries: int) -> dict[str, float]:
    """In a process of its own: how many succeeded, in how many seconds."""
    from openai import AsyncOpenAI

    async def run() -> dict[str, float]:
        messages: Any = MESSAGES
        async with AsyncOpenAI(api_key=api_key, base_url=f"{origin}/v1", max_retries=max_retries) as client:

            async def call() -> None:
                await client.chat.completions.create(model=MODEL, messages=messages)

            return await _all_at_once(call, calls)

    return asyncio.run(run())


async def _all_at_once(call: Any, calls: int) -> dict[str, float]:
    began = time.perf_counter()
    results = await asyncio.gather(*(call() for _ in range(calls)), return_exceptions=True)
    seconds = time.perf_counter() - began
    failures = [result for result in results if result is not None]
    return {"succeeded": calls - len(failures), "seconds": seconds}
