"""`client.request` and the verbs: any endpoint, on the way that all resources go."""

from __future__ import annotations

import io
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import pytest
from pydantic import BaseModel, Field
from typing_extensions import TypedDict

from relaydance_async import (
    APIConnectionError,
    APITimeoutError,
    AsyncRelayDance,
    ChatCompletion,
    ConfigurationError,
    IdempotencyKeyReusedError,
    IncompleteStreamError,
    InvalidInputError,
    NotFoundError,
    RateLimitError,
    RelayDanceError,
    ResponseDecodeError,
    RetryPolicy,
    ServerError,
    SqliteJournal,
    StreamError,
)
from relaydance_async.sandbox import ConnectionFault, Fault, FaultyProxy, RateLimit, Sandbox
from tests.kit.calls import HELLO, client_of
from tests.kit.clocks import QuickClock
from tests.kit.probe import held, look_at
from tests.kit.routes import CHAT, FILES, IMAGES, MODELS
from tests.kit.strangers import answer, gateway
from tests.kit.transports import TRANSPORTS, tap, transport_options

pytestmark = pytest.mark.anyio

ASK = {"model": "grok-4.3", "messages": HELLO}


class ModelsOf(TypedDict):
    object: str
    data: list[dict[str, Any]]


class Named(BaseModel):
    name: str = Field(alias="object")


@pytest.fixture(scope="module")
def shared() -> Iterator[Sandbox]:
    with Sandbox() as running:
        yield running


@pytest.fixture
def sandbox(shared: Sandbox) -> Sandbox:
    shared.faults.clear()
    shared.reset()
    return shared


@pytest.fixture(params=TRANSPORTS)
async def client(request: pytest.FixtureRequest, sandbox: Sandbox) -> AsyncIterator[AsyncRelayDance]:
    async with (
        transport_options(request.param) as options,
        client_of(sandbox, QuickClock(), **options) as client,
    ):
        yield client
        assert (await held(client)).permits == 0


# Answers.


@pytest.mark.parametrize(
    ("kind", "expected"),
    [
        (None, dict),
        (dict, dict),
        (ModelsOf, dict),
        (Named, Named),
        (bytes, bytes),
        (str, str),
    ],
)
async def test_an_answer_is_what_was_asked_for(client: AsyncRelayDance, kind: Any, expected: type) -> None:
    found = await client.get("/models", cast_to=kind)
    assert isinstance(found, expected)
    assert "list" in str(found)


async def test_each_verb_sends_itself(client: AsyncRelayDance, sandbox: Sandbox) -> None:
    for call in (client.post, client.put, client.delete):
        with pytest.raises(NotFoundError, match="Invalid URL"):
            await call("/no/such/route")
    with pytest.raises(NotFoundError):
        await client.request("patch", "/no/such/route", body={})
    assert [(entry.method, entry.path) for entry in sandbox.ledger.entries] == [
        (method, "/v1/no/such/route") for method in ("POST", "PUT", "DELETE", "PATCH")
    ]


async def test_head_and_an_empty_answer_are_none(client: AsyncRelayDance) -> None:
    with pytest.raises(NotFoundError):
        await client.request("HEAD", "/models")
    async with gateway(answer(204)) as server, AsyncRelayDance("sk-1", base_url=server.base_url) as other:
        assert await other.delete("/files/file_1") is None
        assert await other.put("/files/file_1", body={"a": 1}) is None
        assert await other.request("OPTIONS", "/files") is None


async def test_a_resource_and_the_door_are_one_to_the_gateway_and_the_limiter(
    client: AsyncRelayDance, sandbox: Sandbox
) -> None:
    completion = await client.post("/chat/completions", body=ASK, cast_to=ChatCompletion)
    assert completion == (await client.chat.completions.create(model="grok-4.3", messages=HELLO)).model_copy(
        update={"id": completion.id, "created": completion.created}
    )
    first, second = sandbox.ledger.entries
    assert first.body_sha256 == second.body_sha256
    await client.get("/models/grok-4.3")
    await client.models.retrieve("grok-4.3")
    for number in range(3):
        with pytest.raises(NotFoundError):
            await client.get(f"/things/thing_{number}")
    names = [line.name for line in client.limits.snapshot().limiters]
    assert names == ["POST /chat/completions grok-4.3", "GET /models/{model}", "GET /things/{id}"]


async def test_query_headers_and_path(client: AsyncRelayDance) -> None:
    reply = answer(200, {"content-type": "application/json"}, b"{}")
    async with gateway(reply) as server, AsyncRelayDance("sk-1", base_url=server.base_url) as other:
        await other.get("/a b?x=1", query={"y": ["2", 3], "z": None}, headers={"X-Own": "of mine"})
        await other.get("/api/things")
        await other.with_options(default_headers={"X-View": "too"}).delete("things", body=[1])
    first, second, third = (head.decode().lower() for head in server.heads)
    assert first.startswith("get /v1/a%20b?x=1&y=2&y=3 http/1.1\r\n")
    assert "x-own: of mine\r\n" in first
    assert "authorization: bearer sk-1\r\n" in first
    assert second.startswith("get /api/things ")
    assert third.startswith("delete /v1/things ")
    assert "x-view: too\r\n" in third


# Bodies.


class Message(BaseModel):
    role: str
    content: str
    name: str | None = None


@pytest.mark.parametrize(
    ("body", "headers", "wanted", "kind"),
    [
        ({"a": None, "b": [Message(role="user", content="x")]}, None,
         b'{"a":null,"b":[{"role":"user","content":"x"}]}', "application/json"),
        ([1, 2], None, b"[1,2]", "application/json"),
        (Message(role="user", content="x"), None, b'{"role":"user","content":"x"}', "application/json"),
        (b'{"raw": 1}', None, b'{"raw": 1}', "application/json"),
        ('{"raw": "é"}', None, '{"raw": "é"}'.encode(), "application/json"),
        (b"\x00\xff", {"Content-Type": "audio/wav"}, b"\x00\xff", "audio/wav"),
        (bytearray(b"abc"), {"content-type": "text/plain"}, b"abc", "text/plain"),
        (None, None, b"", None),
    ],
    ids=["nulls", "list", "model", "bytes", "text", "typed", "bytearray", "none"],
)  # fmt: skip
async def test_a_body_is_sent_as_it_is(
    sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch, body: Any, headers: Any, wanted: bytes, kind: str | None
) -> None:
    heard = tap(monkeypatch)
    async with client_of(sandbox) as client:
        with pytest.raises(NotFoundError):
            await client.post("/things", body=body, headers=headers)
    (request,) = heard.requests
    assert request.headers.get("content-type") == kind
    assert (request.body or b"") == wanted
    assert sandbox.ledger.entries[-1].method == "POST"


async def test_files_of_every_form(client: AsyncRelayDance, sandbox: Sandbox, tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_bytes(b"of a path")
    for file in (
        tmp_path / "a.txt",
        str(tmp_path / "a.txt"),
        b"bytes",
        io.BytesIO(b"a file"),
        ("n.txt", b"named"),
        ("n.txt", b"named", "text/plain"),
        (None, b"nameless"),
    ):
        assert (await client.post("/files", files={"file": file}))["id"].startswith("file_")
    images = await client.post(
        "/images/edits", files={"image[]": [b"1", ("b.png", b"2")]}, body={"model": "grok-imagine-image", "prompt": "p"}
    )
    assert images["data"]
    assert sandbox.ledger.accepted(FILES) == 7


# What is wrong before anything is sent.


@pytest.mark.parametrize(
    ("arguments", "problem"),
    [
        ({"path": "https://evil.example/v1"}, "path must be"),
        ({"path": "/../admin"}, "path must not hold"),
        ({"path": "/a\r\nX: y"}, "path must not hold"),
        ({"method": "CONNECT"}, "method must be one of"),
        ({"method": "GET /x HTTP/1.1\r\nX:"}, "method must be one of"),
        ({"query": [("a", 1)]}, "query must be a mapping"),
        ({"query": {"a": object()}}, "the query's 'a'"),
        ({"headers": "a: b"}, "headers must be a mapping"),
        ({"files": [b"x"]}, "files must be a mapping"),
        ({"files": {}}, "files must not be empty"),
        ({"files": {"file": ("a",)}}, "a tuple as file"),
        ({"files": {"file": b"x"}, "body": [1]}, "body beside files must be a mapping"),
        ({"body": {"a": float("nan")}}, "can't be sent as JSON"),
        ({"body": object()}, "can't be sent as JSON"),
        ({"body": "\ud800"}, "can't be sent"),
        ({"billed": 1}, "billed must be"),
        ({"cast_to": "Model"}, "cast_to can't be"),
        ({"idempotency_key": "k", "stream": True}, "no journal"),
    ],
    ids=lambda value: str(value)[:30],
)  # fmt: skip
async def test_bad_input_is_told_before_anything_is_sent(
    sandbox: Sandbox, tmp_path: Path, arguments: dict[str, Any], problem: str
) -> None:
    async with SqliteJournal(tmp_path / "run.db") as journal, client_of(sandbox, journal=journal) as client:
        request: Any = client.request
        with pytest.raises((InvalidInputError, ConfigurationError), match=problem) as caught:
            await request(**{"method": "POST", "path": "/things", **arguments})
        assert not caught.value.maybe_accepted
    assert sandbox.ledger.count() == 0


@pytest.mark.parametrize("name", ["Authorization", "Host", "Content-Length", "X\r\nY"])
async def test_headers_that_are_the_clients_are_refused(sandbox: Sandbox, name: str) -> None:
    async with client_of(sandbox) as client:
        with pytest.raises(ConfigurationError):
            await client.get("/models", headers={name: "x"})
    assert sandbox.ledger.count() == 0


async def test_a_redirect_is_an_error_and_the_key_goes_nowhere(sandbox: Sandbox) -> None:
    async with gateway(answer(200)) as other, client_of(sandbox) as client:
        sandbox.faults.add(Fault(MODELS, redirect_to=f"{other.base_url}/models"))
        with pytest.raises(RelayDanceError):
            await client.get("/models")
        assert other.heads == []


# Money.


async def test_a_post_is_not_sent_twice_by_mistake(sandbox: Sandbox) -> None:
    with FaultyProxy(sandbox.root_url, [ConnectionFault("reset_after_request", per="request")]) as proxy:
        async with client_of(sandbox, QuickClock(), base_url=f"{proxy.root_url}/v1") as client:
            with pytest.raises(APIConnectionError) as caught:
                await client.post("/images/generations", body={"model": "grok-imagine-image", "prompt": "p"})
            assert caught.value.maybe_accepted
            assert len(caught.value.attempts) == 1
    assert sandbox.ledger.accepted(IMAGES) == 1


@pytest.mark.parametrize(
    ("method", "billed", "attempts"),
    [("POST", None, 1), ("PATCH", None, 1), ("PUT", None, 3), ("DELETE", None, 3), ("GET", None, 3), ("POST", False, 3),
     ("PUT", True, 1), ("GET", True, 1)],
)  # fmt: skip
async def test_what_may_be_repeated_is(sandbox: Sandbox, method: str, billed: bool | None, attempts: int) -> None:
    with FaultyProxy(sandbox.root_url, [ConnectionFault("reset_after_request", per="request")]) as proxy:
        retry = RetryPolicy(max_attempts=3)
        async with client_of(sandbox, QuickClock(), base_url=f"{proxy.root_url}/v1", retry=retry) as client:
            with pytest.raises(APIConnectionError) as caught:
                await client.request(method, "/models", body={} if method != "GET" else None, billed=billed)
    assert len(caught.value.attempts) == attempts


async def test_a_refusal_that_is_not_billed_is_repeated(client: AsyncRelayDance, sandbox: Sandbox) -> None:
    sandbox.faults.add(Fault(CHAT, status=503, at=(1, 2)))
    completion = await client.post("/chat/completions", body=ASK, cast_to=ChatCompletion)
    assert completion.choices
    assert sandbox.ledger.count(CHAT) == 3


async def test_an_error_with_a_good_status_is_one(client: AsyncRelayDance, sandbox: Sandbox) -> None:
    sandbox.faults.add(Fault(MODELS, status=200, body='{"error": {"message": "it broke", "code": "bad_response"}}'))
    for kind in (None, dict, ModelsOf, Named, bytes, str):
        with pytest.raises(ServerError, match="it broke"):
            await client.with_options(retry=None).get("/models", cast_to=kind)
    sandbox.faults.clear()
    sandbox.faults.add(Fault(MODELS, status=200, body="<html>Log in</html>", content_type="text/html"))
    for kind in (None, bytes, str):
        with pytest.raises(ResponseDecodeError, match="web page"):
            await client.with_options(retry=None).get("/models", cast_to=kind)


async def test_an_answer_of_another_shape_is_not_lost(client: AsyncRelayDance) -> None:
    with pytest.raises(ResponseDecodeError) as caught:
        await client.post("/chat/completions", body=ASK, cast_to=list[int])
    assert b"choices" in caught.value.raw_body
    assert caught.value.maybe_accepted


async def test_its_limits_are_those_of_all_calls(sandbox: Sandbox) -> None:
    with Sandbox(rate_limit=RateLimit(1, 2)) as limited:
        async with client_of(limited, retry=RetryPolicy(max_attempts=1)) as client:
            await client.get("/models")
            await client.models.list()
            with pytest.raises(RateLimitError):
                await client.get("/models")


@pytest.mark.parametrize("kind", [None, dict, Named, ChatCompletion, dict[str, Any]], ids=str)
async def test_a_key_makes_it_once(sandbox: Sandbox, tmp_path: Path, kind: Any) -> None:
    async with SqliteJournal(tmp_path / "run.db") as journal, client_of(sandbox, journal=journal) as client:
        first = await client.post("/chat/completions", body=ASK, cast_to=kind, idempotency_key="k")
        assert await client.post("/chat/completions", body=ASK, cast_to=kind, idempotency_key="k") == first
    assert sandbox.ledger.accepted() == 1


async def test_a_key_of_bytes_that_are_sent_and_of_those_that_come(sandbox: Sandbox, tmp_path: Path) -> None:
    raw = b'{"model": "grok-imagine-image", "prompt": "raw"}'
    async with SqliteJournal(tmp_path / "run.db") as journal, client_of(sandbox, journal=journal) as client:
        one = await client.post("/images/generations", body=raw, idempotency_key="raw")
        assert await client.post("/images/generations", body=raw, idempotency_key="raw") == one
        with pytest.raises(IdempotencyKeyReusedError):
            await client.post("/images/generations", body=raw + b" ", idempotency_key="raw")
        for kind in ("bytes", "text"):
            cast_to: Any = bytes if kind == "bytes" else str
            with pytest.raises(InvalidInputError, match=f"no journal can keep {kind}"):
                await client.post("/images/generations", body=raw, cast_to=cast_to, idempotency_key="new")
    assert sandbox.ledger.accepted() == 1


async def test_its_deadline_and_timeout_count(sandbox: Sandbox) -> None:
    sandbox.faults.add(Fault(MODELS, stall=True))
    async with client_of(sandbox) as client:
        with pytest.raises(APITimeoutError, match=r"deadline of 0\.2 s"):
            await client.get("/models", deadline=0.2)
        with pytest.raises(APITimeoutError):
            await client.with_options(retry=None).get("/models", timeout=0.1)
        assert look_at(client).permits == 0


# Streams.


async def test_events_are_given_as_they_come(client: AsyncRelayDance) -> None:
    async with await client.post("/chat/completions", body={**ASK, "stream": True}, stream=True) as events:
        assert events.meta.status_code == 200
        found = [event async for event in events]
    assert "".join(choice["delta"].get("content") or "" for event in found for choice in event["choices"])
    assert found[-1]["usage"]


async def test_a_stream_of_bytes_is_the_body(client: AsyncRelayDance, sandbox: Sandbox) -> None:
    async with await client.request("GET", "/models", cast_to=bytes, stream=True) as pieces:
        assert b"".join([piece async for piece in pieces]) == await client.get("/models", cast_to=bytes)


async def test_what_was_not_streamed_comes_as_one(client: AsyncRelayDance) -> None:
    async with await client.post("/chat/completions", body=ASK, stream=True, cast_to=ChatCompletion) as events:
        (whole,) = [event async for event in events]
        assert events.meta.status_code == 200
    assert whole.choices


@pytest.mark.parametrize(
    ("fault", "kind"),
    [
        (Fault(CHAT, stream_error_after=2), StreamError),
        (Fault(CHAT, cut_stream_after=2), StreamError),
        (Fault(CHAT, body=b": PING", status=200, content_type="text/event-stream"), IncompleteStreamError),
    ],
    ids=["error", "cut", "empty"],
)
async def test_a_stream_that_ends_badly(
    client: AsyncRelayDance, sandbox: Sandbox, fault: Fault, kind: type[StreamError]
) -> None:
    sandbox.faults.add(fault)
    events = await client.post("/chat/completions", body={**ASK, "stream": True}, stream=True)
    with pytest.raises(kind) as caught:
        _ = [event async for event in events]
    error = caught.value
    assert error.maybe_accepted
    assert error.path == "/chat/completions"
    assert look_at(client).permits == 0


async def test_a_stream_that_is_left_gives_its_connection_back(client: AsyncRelayDance) -> None:
    async with await client.post("/chat/completions", body={**ASK, "stream": True}, stream=True) as events:
        await anext(events)
        assert look_at(client).permits == 1
    assert look_at(client).permits == 0
    with pytest.raises(StopAsyncIteration):
        await anext(events)
