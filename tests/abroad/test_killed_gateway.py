"""A gateway that is killed amid a batch, behind a real nginx or HAProxy: what FastAPI's users get to know is true.

    the batch -> FastAPI under uvicorn on uvloop, the client in it -> the proxy -> the gateway, killed and restarted

What was accepted is what the gateway wrote down before it answered.
"""

from __future__ import annotations

import asyncio
import itertools
from collections import Counter
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.abroad.app import CALLS, ONCE, Outcome, build_app
from tests.abroad.gateway import LATE
from tests.abroad.support import FRONTS, MortalGateway, front, mortal_gateway
from tests.kit.web import serving

pytest.importorskip("uvloop")
pytestmark = pytest.mark.anyio

CALLS_IN_ALL = 500
WIRE = 16
"""Calls that may be under way at once."""
KILLED_AT = [60, 180, 300]
DOWN = 0.5
STRANGERS_TO_REPEAT_AFTER = {(500, None), (502, None), (503, None)}


@asynccontextmanager
async def asking(transport: str, base_url: str) -> AsyncGenerator[httpx.AsyncClient]:
    """A client of the app."""
    limits = httpx.Limits(max_connections=None)
    async with (
        serving(build_app(transport, base_url, max_concurrency=WIRE)) as port,
        httpx.AsyncClient(base_url=f"http://127.0.0.1:{port}", timeout=120, limits=limits) as http,
    ):
        yield http


async def run_batch(http: httpx.AsyncClient, gateway: MortalGateway) -> list[Outcome]:
    """All calls at once, some in a hurry, while the gateway dies again and again."""

    async def one(number: int, kind: str) -> Outcome:
        deadline = 2.0 if number % 10 == 7 else 60.0
        answer = await http.post(f"/{kind}/{kind}-{number}", params={"deadline": deadline})
        assert answer.status_code == 200, answer.text
        found: dict[str, Any] = answer.json()
        found["failures"] = [(status, code) for status, code in found["failures"]]
        return Outcome(**found)

    kinds = itertools.islice(itertools.cycle(CALLS), CALLS_IN_ALL)
    killer = asyncio.create_task(asyncio.to_thread(gateway.die_amid, KILLED_AT, DOWN))
    outcomes = await asyncio.gather(*(one(number, kind) for number, kind in enumerate(kinds)))
    await killer
    return outcomes


@pytest.mark.parametrize("proxy", FRONTS)
async def test_what_is_told_of_a_gateway_that_is_killed_is_true(proxy: str, transport: str, tmp_path: Path) -> None:
    with mortal_gateway(tmp_path) as gateway, front(proxy, gateway.port, tmp_path) as base_url:
        async with asking(transport, base_url) as http:
            outcomes = await run_batch(http, gateway)
        accepted = gateway.accepted()
        kills = gateway.kills
    times = Counter(line.row for line in accepted)
    late = {line.row for line in accepted if line.fault == LATE}

    for told in outcomes:
        made = times[told.row]
        if told.kind in ONCE:
            assert made <= 1, told
        else:
            assert made <= 1 + sum(failure in STRANGERS_TO_REPEAT_AFTER for failure in told.failures), told
        if not told.error:
            assert made >= 1, told
            assert told.id, told
        elif not told.maybe_accepted:
            assert made == 0, told

    refused = [told for told in outcomes if told.error and not told.maybe_accepted]
    in_doubt = [told for told in outcomes if told.maybe_accepted]
    assert kills == len(KILLED_AT)
    assert refused
    assert in_doubt
    # Nothing but what was on the wire when the gateway died, and what took longer than the proxy waits.
    assert len([told for told in in_doubt if told.row not in late]) <= WIRE * kills
