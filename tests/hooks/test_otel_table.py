"""The table in docs/observability.md: what we show beside opentelemetry-instrumentation-openai. Both are run.

Written anew by `python -m tests.hooks.test_otel_table`.
"""

from __future__ import annotations

import asyncio
import importlib.util
import json
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import anyio
import pytest

from relaydance_async import RetryPolicy
from relaydance_async.hooks import CallInfo
from relaydance_async.sandbox import Fault, Sandbox
from tests.hooks.telemetry import Telemetry, events, of
from tests.kit.calls import client_of
from tests.kit.routes import CHAT

PAGE = Path(__file__).parents[2] / "docs" / "observability.md"
PLACE = re.compile(r"(<!-- otel-table -->\n).*(<!-- /otel-table -->)", re.DOTALL)
PEER = "opentelemetry.instrumentation.openai"

SETTINGS: dict[str, Any] = {
    "model": "grok-4.3",
    "messages": [{"role": "user", "content": "one two three"}],
    "temperature": 0.5,
    "top_p": 0.5,
    "max_tokens": 9,
    "seed": 1,
    "stop": ["x"],
    "n": 2,
    "frequency_penalty": 0.1,
    "presence_penalty": 0.1,
    "response_format": {"type": "text"},
    "tools": [{"type": "function", "function": {"name": "look", "parameters": {"type": "object"}}}],
}
PLAIN = {name: SETTINGS[name] for name in ("model", "messages")}

Shown = dict[str, list[str]]


def shown(telemetry: Telemetry) -> Shown:
    """All names, sorted by what they are names of."""
    spans = telemetry.spans
    return {
        "attribute": sorted({name for span in spans for name in of(span)}),
        "event": sorted({name for span in spans for name, _ in events(span)}),
        "metric": sorted(telemetry.points()),
    }


async def ask(create: Any, sandbox: Sandbox) -> None:
    """The same of both: a chat, a stream, a retry, a failure, and two calls at once."""
    await create(**SETTINGS)
    stream = await create(**PLAIN, stream=True, stream_options={"include_usage": True})
    async for _ in stream:
        pass
    sandbox.faults.add(Fault(CHAT, status=503, times=1))
    await create(**PLAIN)
    sandbox.faults.add(Fault(CHAT, status=400, body=b'{"error": {"message": "no", "code": "bad"}}', times=1))
    with pytest.raises(Exception, match="no"):
        await create(**PLAIN)
    await asyncio.gather(create(**PLAIN), create(**PLAIN))


def _cost(call: CallInfo, result: object) -> float:
    return 0.01


async def ours() -> Shown:
    telemetry = Telemetry()
    hook = telemetry.hook(content=True, cost=_cost)
    quick = RetryPolicy(base=0.001)
    with Sandbox(time_scale=0) as sandbox:
        async with client_of(sandbox, max_concurrency=1, retry=quick, hooks=[hook]) as client:
            await ask(client.chat.completions.create, sandbox)
            sandbox.faults.add(Fault(CHAT, status=429, times=3))
            await client.chat.completions.create(**PLAIN)
            return shown(telemetry)


async def theirs() -> Shown:
    import openai
    from opentelemetry.instrumentation.openai import OpenAIInstrumentor  # pyright: ignore[reportMissingTypeStubs]

    telemetry = Telemetry()
    instrumentor: Any = OpenAIInstrumentor()
    instrumentor.instrument(tracer_provider=telemetry.tracers, meter_provider=telemetry.meters)
    with Sandbox(time_scale=0) as sandbox:
        async with openai.AsyncOpenAI(api_key=sandbox.api_key, base_url=sandbox.base_url) as client:
            await ask(client.chat.completions.create, sandbox)
    return shown(telemetry)


def table(here: Shown, there: Shown) -> str:
    lines = ["| name | of | here | there |", "|---|---|---|---|"]
    for kind in here:
        for name in sorted({*here[kind], *there[kind]}):
            marks = ("yes" if name in found[kind] else "" for found in (here, there))
            lines.append(f"| `{name}` | {kind} | {' | '.join(marks)} |".replace("|  |", "| |").replace("|  |", "| |"))
    return "\n".join(lines) + "\n"


def written() -> tuple[Shown, Shown]:
    """What the page says of us, and of the other."""
    here: Shown = {"attribute": [], "event": [], "metric": []}
    there: Shown = {"attribute": [], "event": [], "metric": []}
    found = PLACE.search(PAGE.read_text(encoding="utf-8"))
    assert found is not None
    for name, kind, *marks in re.findall(r"^\| `(\S+)` \| (\w+) \| *(\w*) *\| *(\w*) *\|$", found[0], re.MULTILINE):
        for shown, mark in zip((here, there), marks, strict=True):
            if mark == "yes":
                shown[kind].append(name)
    return here, there


@pytest.mark.anyio
async def test_the_page_says_what_we_show() -> None:
    here, there = written()
    assert await ours() == here
    assert table(here, there) in PAGE.read_text(encoding="utf-8")


@pytest.mark.torture
def test_the_page_says_what_the_other_shows() -> None:
    """In a process of its own: it changes the classes of `openai`."""
    if importlib.util.find_spec("openai") is None or not _has_peer():
        pytest.skip("the peer is in the dependency group `bench`")
    assert their_names() == written()[1]


def _has_peer() -> bool:
    try:
        return importlib.util.find_spec(PEER) is not None
    except ModuleNotFoundError:
        return False


def their_names() -> Shown:
    command = [sys.executable, "-W", "ignore", "-m", "tests.hooks.test_otel_table", "--theirs"]
    ran = subprocess.run(command, capture_output=True, text=True, check=True, cwd=PAGE.parents[1])
    found: Shown = json.loads(ran.stdout.splitlines()[-1])
    return found


if __name__ == "__main__":
    if "--theirs" in sys.argv:
        print(json.dumps(anyio.run(theirs)))
    else:
        rows = table(anyio.run(ours), their_names())
        text = PLACE.sub(lambda place: place[1] + rows + place[2], PAGE.read_text(encoding="utf-8"))
        PAGE.write_text(text, encoding="utf-8")
