"""What one call may change: `extra_headers`, `extra_query`, `timeout`, `deadline`; and the keywords that none takes."""

from __future__ import annotations

import inspect
from collections.abc import Iterator
from contextlib import suppress
from operator import attrgetter
from pathlib import Path
from typing import Any

import openai
import pytest

from relaydance_async import (
    NOT_GIVEN,
    APITimeoutError,
    AsyncRelayDance,
    DownloadError,
    Outcome,
    RelayDanceError,
    RetryPolicy,
    Timeout,
    VideoTask,
    fan_out,
    fan_out_list,
)
from relaydance_async._transports import WireRequest
from relaydance_async.resources._route import declared_routes
from relaydance_async.sandbox import Fault, Sandbox
from tests.kit.calls import HELLO, client_of, submit_clip
from tests.kit.clocks import QuickClock
from tests.kit.inside import settings_of
from tests.kit.routes import FETCH
from tests.kit.transports import tap
from tests.test_signatures import METHODS

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


def now() -> str:
    """The time."""
    return "noon"


OTHERS: dict[str, Any] = {
    "account.log": {},
    "account.prices": {},
    "assets.create": {"source": "https://a.b/c.png"},
    "assets.retrieve": {"asset": "a"},
    "assets.wait": {"asset": "a"},
    "audio.speech.create": {"model": "m", "input": "i", "voice": "v"},
    "audio.transcriptions.create": {"model": "m", "file": b"x"},
    "chat.completions.parse": {"model": "m", "messages": HELLO, "response_format": dict[str, Any], "strict": False},
    "chat.completions.stream": {"model": "m", "messages": HELLO},
    "chat.run_tools": {"model": "m", "messages": HELLO, "tools": [now]},
    "embeddings.create": {"model": "m", "input": "i"},
    "files.create": {"file": b"x", "purpose": "p"},
    "moderations.create": {"input": "i"},
    "rerank.create": {"model": "m", "query": "q", "documents": ["d"]},
    "responses.create": {"model": "m", "input": "i"},
    "video.as_completed": {"tasks": ["task_1"]},
    "video.content": {"task": "task_1"},
    "video.cost": {"model": "m"},
    "video.resume": {"tasks": ["task_1"]},
    "video.stream_content": {"task": "task_1"},
    "video.wait_all": {"tasks": ["task_1"]},
    "video.watch": {"task": "task_1"},
    "videos.create": {"model": "m", "prompt": "p"},
    "videos.download_content": {"video_id": "task_1"},
    "videos.retrieve": {"video_id": "task_1"},
}
LONG: dict[str, Any] = {
    "video.wait": {"task": "task_1"},
    "video.generate": {"model": "m", "prompt": "p"},
    "video.download": {"task": "task_1", "path": "clip.mp4"},
}
ONE_REQUEST = [*READS, *SENDS]
ALL = [*ONE_REQUEST, *LONG]


async def call(client: AsyncRelayDance, name: str, /, **options: Any) -> Any:
    arguments = {**READS, **SENDS, **LONG, **OTHERS}[name]
    if name.startswith("assets."):
        vars(client)["assets"] = client.assets.at(client.base_url)
    made = attrgetter(name)(client)(**{**options, **arguments})
    if hasattr(made, "__aenter__"):
        async with made as entered:
            return await anext(aiter(entered))
    return await (anext(made) if hasattr(made, "__anext__") else made)


def public_methods() -> list[str]:
    """Those of all resources."""
    return [name for path in METHODS if "." in (name := path.removeprefix("client.")) and "_response" not in name]


def test_every_method_is_looked_at() -> None:
    assert {*public_methods(), "images.save", "assets.at"} == {*ALL, *OTHERS, "images.save", "assets.at"}


@pytest.mark.parametrize("name", public_methods())
def test_every_method_that_asks_takes_the_options_of_a_call(name: str) -> None:
    taken = set(inspect.signature(METHODS[f"client.{name}"]).parameters)
    if name != "assets.at":  # which only names a host
        assert {"extra_headers", "extra_query", "timeout"} <= taken
    route = next((route for route in declared_routes() if route.name == name), None)
    if route is not None and route.billed and name != "assets.create":
        assert "extra_body" in taken


@pytest.mark.parametrize("name", [*ALL, *OTHERS])
async def test_headers_query_and_timeout_of_one_call_reach_its_request(
    name: str, sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    heard = tap(monkeypatch)
    sandbox.faults.add(Fault("*", status=401))
    async with client_of(sandbox) as client:
        with suppress(RelayDanceError):
            outcome = await call(client, name, extra_headers={"X-Team": "clips"}, extra_query={"a": "1"}, timeout=7.0)
            assert isinstance(outcome, Outcome)  # which has the error
    request = heard.requests[0]
    assert request.headers["x-team"] == "clips"
    assert "a=1" in request.url.partition("?")[2].split("&")
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


@pytest.mark.parametrize("nothing", [NOT_GIVEN, openai.NOT_GIVEN, openai.omit], ids=["ours", "theirs", "omit"])
@pytest.mark.parametrize("name", [*ALL, *OTHERS])
async def test_what_is_not_given_has_its_default(name: str, nothing: Any, sandbox: Sandbox) -> None:
    sandbox.faults.add(Fault("*", status=401))
    parameters = inspect.signature(METHODS[f"client.{name}"]).parameters.values()
    options = {one.name: nothing for one in parameters if one.default is not one.empty}
    async with client_of(sandbox) as client:
        with suppress(RelayDanceError):
            assert isinstance(await call(client, name, **options), Outcome)
    assert sandbox.ledger.count() == 1


@pytest.mark.parametrize("nothing", [NOT_GIVEN, openai.NOT_GIVEN, openai.omit], ids=["ours", "theirs", "omit"])
async def test_nor_has_a_client_a_view_or_a_fan_out(nothing: Any, sandbox: Sandbox) -> None:
    async with client_of(sandbox, timeout=nothing, deadline=nothing, max_retries=nothing) as client:
        assert settings_of(client).timeout == Timeout()
        names = [name for name in inspect.signature(client.with_options).parameters if name != "unknown"]
        own = client.with_options(timeout=5, deadline=7, max_retries=1)
        options: Any = dict.fromkeys(names, nothing)
        for view in own.with_options(**options), own.copy(**options):
            assert view.api_key == client.api_key
            assert settings_of(view).timeout == settings_of(own).timeout
            assert (settings_of(view).deadline, settings_of(view).retry.max_attempts) == (7, 2)
        async with fan_out(client.models.retrieve, ["a"], in_flight=nothing, ordered=nothing) as outcomes:
            assert [outcome.index async for outcome in outcomes] == [0]
        assert len(await fan_out_list(client.models.retrieve, ["a"], in_flight=nothing, stop_on=nothing)) == 1


async def test_the_timeout_of_a_clip_and_of_an_image_is_that_of_one_call(
    sandbox: Sandbox, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    heard = tap(monkeypatch)
    secret: Any = {"extra_headers": {"x-team": "clips"}, "extra_query": {"a": "1"}, "timeout": 7.0}
    async with client_of(sandbox) as client:
        task = await finished(client, sandbox)
        heard.requests.clear()
        assert await client.video.content(task, **secret)
        async with client.video.stream_content(task, **secret) as pieces:
            assert [piece async for piece in pieces]
        image = (await client.images.generate(model="grok-imagine-image", prompt="p")).data[0]
        heard.requests.pop()
        await client.images.save(image, tmp_path / "a.png", **secret)
    assert len(heard.requests) == 3
    assert all("x-team" not in request.headers and request.timeout.read == 7.0 for request in heard.requests)


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
