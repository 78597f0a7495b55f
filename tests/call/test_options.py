"""The options of a view and of one call, as its calls feel them."""

from __future__ import annotations

import sys
from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from relaydance_async import AsyncRelayDance, ConfigurationError, RetryEvent, RetryPolicy, Timeout
from relaydance_async.sandbox import Fault, Sandbox
from tests.call.support import Start, failure_of
from tests.kit.calls import ask_chat, client_of, list_models, make_image, open_stream, submit_clip, upload_file
from tests.kit.clocks import QuickClock
from tests.kit.inside import settings_of
from tests.kit.routes import MODELS
from tests.kit.transports import TRANSPORTS, tap, transport_options
from tests.transports.support import Server, as_json, serve

pytestmark = pytest.mark.anyio

FULL: dict[str, Any] = {
    "timeout": Timeout(1, 2, 3),
    "deadline": 9.0,
    "retry": RetryPolicy(2),
    "default_headers": {"x-team": "clips"},
    "max_response_bytes": 1000,
}
VIEW: dict[str, Any] = {**FULL, "priority": "interactive"}


def full(events: list[RetryEvent]) -> AsyncRelayDance:
    return AsyncRelayDance("sk-1", on_retry=events.append, **FULL).with_options(priority="interactive")


def off(*names: str) -> dict[str, Any]:
    return dict.fromkeys(names)


@pytest.mark.parametrize("name", [*VIEW, "on_retry"])
def test_what_a_view_is_not_given_stays(name: str) -> None:
    client = full([])
    before, after = settings_of(client), settings_of(client.with_options(**off(name)))
    changed = {field for field in before.__slots__ if getattr(before, field) != getattr(after, field)}
    assert changed == {"headers" if name == "default_headers" else name, "view"}
    again = settings_of(client.with_options())
    assert again.changed(view=before.view) == before
    assert len({before.view, after.view, again.view}) == 3


def test_none_turns_each_option_off() -> None:
    view = settings_of(full([]).with_options(**off(*VIEW, "on_retry")))
    endless = float("inf")
    assert view.timeout == Timeout(endless, endless, endless)
    assert (view.deadline, view.retry, view.on_retry) == (None, RetryPolicy(max_attempts=1), None)
    assert view.max_response_bytes == sys.maxsize
    assert view.priority == 0
    assert "x-team" not in view.headers
    assert "user-agent" in view.headers


async def test_a_view_without_retries_makes_one_attempt_and_tells_no_hook(sandbox: Sandbox, start: Start) -> None:
    sandbox.faults.add(Fault(MODELS, status=503))
    events: list[RetryEvent] = []
    async with start(sandbox, QuickClock(), on_retry=events.append) as client:
        error = await failure_of(client.with_options(retry=None).models.list())
        assert (len(error.attempts), events) == (1, [])
        await failure_of(client.with_options(on_retry=None).models.list())
        assert events == []
        await failure_of(client.models.list())
        assert len(events) == 3


async def test_a_view_without_a_limit_reads_what_comes(sandbox: Sandbox, start: Start) -> None:
    async with start(sandbox, max_response_bytes=10) as client:
        await failure_of(client.models.list())
        assert (await client.with_options(max_response_bytes=None).models.list()).data


async def test_a_view_without_a_deadline_outlasts_it(sandbox: Sandbox, start: Start) -> None:
    clock = QuickClock()
    sandbox.faults.add(Fault(MODELS, status=503, headers={"retry-after": "60"}, times=1))
    async with start(sandbox, clock, deadline=30.0) as client:
        assert (await client.with_options(deadline=None).models.list()).data
    assert clock.sleeps == [60.0]


# No timeout.

CALLS = [list_models, ask_chat, submit_clip, upload_file, make_image, open_stream]


@pytest.mark.parametrize("call", CALLS)
@pytest.mark.parametrize("name", TRANSPORTS)
async def test_a_view_without_a_timeout_makes_every_call(
    sandbox: Sandbox, name: str, call: Callable[[Any], Awaitable[Any]]
) -> None:
    async with transport_options(name) as options, client_of(sandbox, **options) as client:
        endless = client.with_options(timeout=None)
        await call(endless)
        await call(endless)  # on a connection that is there


@pytest.mark.parametrize("name", TRANSPORTS)
async def test_a_large_body_needs_no_timeout_either(sandbox: Sandbox, name: str) -> None:
    messages = [{"role": "user", "content": "x" * 2_000_000}]
    async with transport_options(name) as options, client_of(sandbox, **options) as client:
        endless = client.with_options(timeout=None)
        await endless.files.upload(bytes(3_000_000) + b"1", filename="a.bin")
        await endless.chat.completions.create(model="grok-4.3", messages=messages)


async def test_no_timeout_of_an_earlier_call_ends_one_that_has_none(sandbox: Sandbox, start: Start) -> None:
    sandbox.faults.add(Fault(MODELS, delay=0.2, at=(2,)))
    async with start(sandbox, retry=RetryPolicy(max_attempts=1)) as client:
        await client.with_options(timeout=0.1).models.list()
        await client.with_options(timeout=None).models.list()


# Options of one call.

TASK = as_json(b'{"task_id":"t1","status":"succeeded","url":"https://a.example/1.mp4"}')
IMAGES = as_json(b'{"created":1,"data":[{"url":"https://a.example/1.png"}]}')
FILE = as_json(b'{"id":"f1","url":"https://a.example/1.jpg"}')
EXTRAS: dict[str, Any] = {"extra_headers": {"X-Mine": "1"}, "extra_query": {"a": "b c"}, "timeout": 7.0}

Options = dict[str, Any]
METHODS: dict[str, tuple[bytes, Callable[[AsyncRelayDance, Options], Awaitable[Any]]]] = {
    "video.submit": (TASK, lambda client, extra: client.video.submit(model="m", prompt="p", **extra)),
    "video.generate": (TASK, lambda client, extra: client.video.generate(model="m", prompt="p", **extra)),
    "images.generate": (IMAGES, lambda client, extra: client.images.generate(model="m", prompt="p", **extra)),
    "images.edit": (IMAGES, lambda client, extra: client.images.edit(model="m", prompt="p", image=b"1", **extra)),
    "files.upload": (FILE, lambda client, extra: client.files.upload(b"1", filename="a.jpg", **extra)),
}


def first_of(server: Server) -> tuple[str, str | None]:
    head = server.heads[0]
    return head.target.partition("?")[2], head.get("x-mine")


@pytest.mark.parametrize("method", METHODS)
async def test_headers_query_and_timeout_of_one_call_go_with_it(
    sandbox: Sandbox, start: Start, method: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    heard = tap(monkeypatch)
    answer, call = METHODS[method]
    async with serve(answer) as server, start(sandbox, base_url=f"{server.url}/v1") as client:
        await call(client, EXTRAS)
        assert first_of(server) == ("a=b+c", "1")
        assert server.heads[0].get("authorization") == f"Bearer {sandbox.api_key}"
    assert {request.timeout for request in heard.requests} == {Timeout(7.0, 7.0, 7.0)}


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize(
    "bad",
    [
        {"extra_headers": {"x-a": 1}},
        {"extra_headers": {"x-a": "é"}},
        {"extra_headers": {"x-a": "1\r\nx-b: 2"}},
        {"extra_headers": {2: "a"}},
        {"extra_headers": "x-a: 1"},
        {"extra_query": "a=1"},
        {"extra_body": [1]},
        {"timeout": 0},
    ],
    ids=str,
)
async def test_a_bad_option_of_one_call_is_a_clear_error_before_anything_is_sent(
    sandbox: Sandbox, start: Start, method: str, bad: dict[str, Any]
) -> None:
    _, call = METHODS[method]
    async with serve() as server, start(sandbox, base_url=f"{server.url}/v1") as client:
        error = await failure_of(call(client, bad))
        assert server.connections == 0
    assert isinstance(error, ValueError)
    (name,) = bad
    assert {"extra_headers": "header", "timeout": "timeout"}.get(name, name) in error.message


def test_a_header_without_a_name_is_refused_by_clients_and_views_too() -> None:
    headers: Any = {1: "a"}
    with pytest.raises(ConfigurationError, match=r"^1 can't be the name of a header"):
        AsyncRelayDance("sk-1", default_headers=headers)
    with pytest.raises(ConfigurationError, match=r"^1 can't be the name of a header"):
        full([]).with_options(default_headers=headers)


@pytest.mark.parametrize(("given", "number"), [("interactive", 10), ("batch", -10), (0, 0), (-3, -3), (100, 100)])
def test_a_priority_is_a_name_or_a_small_number(given: Any, number: int) -> None:
    assert settings_of(full([]).with_options(priority=given)).priority == number


@pytest.mark.parametrize("given", ["urgent", 1.5, True, 101, -101, b"batch"])
def test_other_priorities_are_an_error(given: Any) -> None:
    with pytest.raises(ConfigurationError, match="priority must be 'batch' or 'interactive', or a whole number"):
        full([]).with_options(priority=given)
