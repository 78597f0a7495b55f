"""What one call may change: `extra_headers`, `extra_query`, `timeout`, `deadline`; and the keywords that none takes."""

from __future__ import annotations

from collections.abc import Iterator
from operator import attrgetter
from pathlib import Path
from typing import Any

import pytest

from relaydance_async import APITimeoutError, AsyncRelayDance, DownloadError, RetryPolicy, VideoTask
from relaydance_async._transports import WireRequest
from relaydance_async.sandbox import Fault, Sandbox
from tests.kit.calls import HELLO, client_of, submit_clip
from tests.kit.clocks import QuickClock
from tests.kit.routes import FETCH
from tests.kit.transports import tap

pytestmark = pytest.mark.anyio


@pytest.fixture
def sandbox() -> Iterator[Sandbox]:
    with Sandbox() as running:
        yield running


READS: dict[str, Any] = {
    "models.list": {},
    "models.retrieve": {"model": "grok-4.3"},
    "video.retrieve": {"task": "task_1"},
    "account.balance": {},
}
SENDS: dict[str, Any] = {
    "chat.completions.create": {"model": "grok-4.3", "messages": HELLO},
    "images.generate": {"model": "m", "prompt": "p"},
    "images.edit": {"model": "m", "prompt": "p", "image": b"x"},
    "files.upload": {"file": b"x", "filename": "a.jpg"},
    "video.submit": {"model": "m", "prompt": "p"},
}
LONG: dict[str, Any] = {
    "video.wait": {"task": "task_1"},
    "video.generate": {"model": "m", "prompt": "p"},
    "video.download": {"task": "task_1", "path": "clip.mp4"},
}
ONE_REQUEST = [*READS, *SENDS]
ALL = [*ONE_REQUEST, *LONG]


async def call(client: AsyncRelayDance, name: str, **options: Any) -> Any:
    arguments = {**READS, **SENDS, **LONG}[name]
    return await attrgetter(name)(client)(**arguments, **options)


@pytest.mark.parametrize("name", ALL)
async def test_headers_query_and_timeout_of_one_call_reach_its_request(
    name: str, sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    heard = tap(monkeypatch)
    sandbox.faults.add(Fault("*", status=401))
    async with client_of(sandbox) as client:
        with pytest.raises(Exception, match="401"):
            await call(client, name, extra_headers={"X-Team": "clips"}, extra_query={"a": "1"}, timeout=7.0)
    request = heard.requests[0]
    assert request.headers["x-team"] == "clips"
    assert request.url.endswith("?a=1")
    assert (request.timeout.connect, request.timeout.read) == (7.0, 7.0)


@pytest.mark.parametrize("name", ONE_REQUEST)
async def test_a_deadline_of_one_call_bounds_it(name: str, sandbox: Sandbox) -> None:
    sandbox.faults.add(Fault("*", stall=True))
    async with client_of(sandbox) as client:
        with pytest.raises(APITimeoutError, match=r"^no result within the deadline of 0\.05 s"):
            await call(client, name, deadline=0.05)


async def test_each_poll_of_a_wait_has_its_options(sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch) -> None:
    heard = tap(monkeypatch)
    async with client_of(sandbox, QuickClock()) as client:
        sandbox.faults.add(Fault(FETCH, status=503, times=2))
        options: dict[str, Any] = {"extra_headers": {"x-team": "clips"}, "extra_query": {"a": "1"}, "timeout": 7.0}
        view = client.with_options(retry=RetryPolicy(1))
        task = await view.video.generate(model="grok-imagine-video", prompt="p", **options)
    polls = heard.requests[1:]
    assert task.status == "succeeded"
    assert len(polls) > 2
    for poll in polls:
        assert of_call(poll) == ("clips", True, 7.0)


def of_call(request: WireRequest) -> tuple[str, bool, float]:
    return request.headers["x-team"], request.url.endswith("?a=1"), request.timeout.read


async def finished(client: AsyncRelayDance, sandbox: Sandbox) -> VideoTask:
    task = await submit_clip(client)
    sandbox.clock.advance(3600)
    return await client.video.wait(task)


async def test_the_deadline_of_the_client_is_not_for_a_download_and_its_own_is(
    sandbox: Sandbox, tmp_path: Path
) -> None:
    async with client_of(sandbox) as client:
        task = await finished(client, sandbox)
        view = client.with_options(deadline=0.000_001)
        assert (await view.video.download(task, tmp_path / "clip.mp4")).exists()
        sandbox.faults.add(Fault("*", stall=True))
        with pytest.raises(DownloadError, match=r"not saved within the deadline of 0\.05 s") as caught:
            await client.video.download(task, tmp_path / "other.mp4", deadline=0.05)
    assert caught.value.retryable
    assert caught.value.task_id == task.task_id
    assert not (tmp_path / "other.mp4").exists()


async def test_headers_of_a_download_do_not_go_to_the_host_of_the_clip(
    sandbox: Sandbox, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    heard = tap(monkeypatch)
    async with client_of(sandbox) as client:
        task = await finished(client, sandbox)
        heard.requests.clear()
        secret = {"x-team": "clips"}
        await client.video.download(task.task_id, tmp_path / "clip.mp4", extra_headers=secret, timeout=7.0)
    assert ["x-team" in request.headers for request in heard.requests] == [True, *[False] * (len(heard.requests) - 1)]
    assert {request.timeout.read for request in heard.requests} == {7.0}
    assert len(heard.requests) > 1


@pytest.mark.parametrize("name", ALL)
async def test_an_unknown_keyword_is_a_type_error(name: str, sandbox: Sandbox) -> None:
    async with client_of(sandbox) as client:
        with pytest.raises(TypeError, match=r"unexpected keyword argument 'tiemout'; did you mean timeout\?") as caught:
            await call(client, name, tiemout=3)
        assert ("extra_body" in str(caught.value)) == (name in SENDS or name == "video.generate")
    assert sandbox.ledger.count() == 0


async def test_a_misspelt_argument_is_told_with_the_right_one_and_the_way_for_new_ones(sandbox: Sandbox) -> None:
    async with client_of(sandbox) as client:
        wrong: dict[str, Any] = {"temprature": 1}
        with pytest.raises(TypeError) as caught:
            await client.chat.completions.create(model="m", messages=HELLO, **wrong)
        assert str(caught.value) == (
            "unexpected keyword argument 'temprature'; did you mean temperature? "
            "What this version doesn't know goes through extra_body={'temprature': ...}"
        )
        new: dict[str, Any] = {"zzz": 1}
        with pytest.raises(TypeError, match="'zzz'; what this version doesn't know goes through extra_body="):
            await client.images.generate(model="m", prompt="p", **new)
    assert sandbox.ledger.count() == 0


async def test_names_of_models_and_words_of_options_are_the_gateways_to_judge(sandbox: Sandbox) -> None:
    async with client_of(sandbox) as client:
        await client.video.submit(model="grok-imagine-video", prompt="p", ratio="1:2")
        chat: dict[str, Any] = {"reasoning_effort": "as you like", "service_tier": "first class"}
        await client.chat.completions.create(model="grok-4.3", messages=HELLO, **chat)
