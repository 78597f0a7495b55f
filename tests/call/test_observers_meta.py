"""What observers are told, beside what tests/test_extension.py shows."""

from __future__ import annotations

import gc
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from relaydance_async._sansio.observer import CallInfo, CallObserver, NoObserver
from relaydance_async.models.meta import ResponseMeta
from relaydance_async.sandbox import Fault, Sandbox
from tests.kit.calls import HELLO, client_of, open_stream, submit_clip
from tests.kit.clocks import QuickClock
from tests.kit.routes import SUBMIT
from tests.kit.transports import TRANSPORTS, transport_options
from tests.kit.waiting import wait_until

pytestmark = [pytest.mark.anyio, pytest.mark.parametrize("transport", TRANSPORTS)]


@dataclass
class Ear(NoObserver):
    """Hears everything, of one call after another."""

    calls: list[CallInfo] = field(default_factory=list[CallInfo])
    metas: list[ResponseMeta] = field(default_factory=list[ResponseMeta])
    ends: list[tuple[Any, BaseException | None]] = field(default_factory=list[tuple[Any, BaseException | None]])

    def call_began(self, call: CallInfo) -> CallObserver:
        self.calls.append(call)
        return self

    def answered(self, attempt: int, meta: ResponseMeta) -> None:
        self.metas.append(meta)

    def ended(self, result: object, error: BaseException | None, maybe_accepted: bool) -> None:
        self.ends.append((result, error))


async def test_the_gateways_id_of_each_request_is_told(transport: str) -> None:
    ear = Ear()
    with Sandbox(faults=[Fault(SUBMIT, status=503, headers={"set-cookie": "a=b"}, at=(1,))]) as sandbox:
        async with (
            transport_options(transport) as options,
            client_of(sandbox, QuickClock(), observers=[ear], **options) as client,
        ):
            await submit_clip(client)
        ids = [entry.request_id for entry in sandbox.ledger.entries]
    assert [meta.request_id for meta in ear.metas] == ids
    assert [meta.status_code for meta in ear.metas] == [503, 200]
    assert "set-cookie" not in ear.metas[0].headers


async def test_a_request_to_another_host_has_no_route(transport: str, tmp_path: Path) -> None:
    ear = Ear()
    with Sandbox(time_scale=0) as sandbox:
        async with (
            transport_options(transport) as options,
            client_of(sandbox, QuickClock(sandbox.clock.advance), observers=[ear], **options) as client,
        ):
            clip = await client.video.wait(await submit_clip(client))
            ear.calls.clear()
            await client.video.download(clip, tmp_path)
    (call,) = ear.calls
    assert (call.route, call.path) == ("", (clip.url or "").partition("?")[0])


async def test_a_streams_call_ends_with_the_stream_a_forgotten_one_too(transport: str) -> None:
    ear = Ear()
    with Sandbox() as sandbox:
        async with (
            transport_options(transport) as options,
            client_of(sandbox, observers=[ear], **options) as client,
        ):
            await open_stream(client)
            assert ear.ends == [(None, None)]
            stream = await client.chat.completions.create(model="grok-4.3", messages=HELLO, stream=True)
            await anext(stream)
            assert len(ear.ends) == 1
            del stream
            gc.collect()
            await wait_until(lambda: len(ear.ends) == 2)
    assert ear.ends[1] == (None, None)
