"""`with_raw_response` and `with_streaming_response`: the answer itself, of a call that is the same as all others."""

from __future__ import annotations

import gc
import json
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any, assert_type

import pytest

from relaydance_async import (
    APIStatusError,
    AsyncRelayDance,
    ChatCompletion,
    ChatStream,
    DownloadError,
    ImagesResponse,
    InvalidInputError,
    ModelList,
    NotFoundError,
    RateLimitError,
    RawResponse,
    ResponseDecodeError,
    ResponseTooLargeError,
    ServerError,
    SqliteJournal,
    StreamedResponse,
    StreamError,
    UploadedFile,
    VideoTask,
)
from relaydance_async.sandbox import ConnectionFault, Fault, FaultyProxy, Sandbox
from tests.kit.calls import HELLO, client_of, submit_clip
from tests.kit.clocks import QuickClock
from tests.kit.probe import held, look_at
from tests.kit.routes import FETCH, IMAGES, MODELS
from tests.kit.transports import TRANSPORTS, transport_options
from tests.kit.waiting import wait_until

pytestmark = pytest.mark.anyio

ASK: dict[str, Any] = {"model": "grok-4.3", "messages": HELLO}
DRAW: dict[str, Any] = {"model": "grok-imagine-image", "prompt": "a cat"}


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


RESULTS: dict[str, tuple[type, dict[str, Any]]] = {
    "models.list": (ModelList, {}),
    "models.retrieve": (object, {"model": "grok-4.3"}),
    "chat.completions.create": (ChatCompletion, ASK),
    "images.generate": (ImagesResponse, DRAW),
    "images.edit": (ImagesResponse, {**DRAW, "image": b"x"}),
    "files.upload": (UploadedFile, {"file": b"x", "filename": "a.jpg"}),
    "video.submit": (VideoTask, {"model": "doubao-seedance-2-0-720p", "prompt": "p", "seconds": 5}),
    "account.prices": (object, {}),
}


def view_of(client: AsyncRelayDance, name: str, kind: str) -> Any:
    *path, method = name.split(".")
    resource: Any = client
    for part in path:
        resource = getattr(resource, part)
    return getattr(getattr(resource, f"with_{kind}_response"), method)


@pytest.mark.parametrize("name", RESULTS)
async def test_the_answer_beside_its_result(client: AsyncRelayDance, sandbox: Sandbox, name: str) -> None:
    kind, arguments = RESULTS[name]
    raw = await view_of(client, name, "raw")(**arguments)
    assert isinstance(raw, RawResponse)
    assert raw.status_code == raw.meta.status_code == 200
    assert raw.headers["content-type"].startswith("application/json")
    assert raw.request_id == sandbox.ledger.entries[-1].request_id
    assert raw.json() == json.loads(raw.content) == json.loads(raw.text)
    assert isinstance(raw.parse(), kind)
    assert raw.parse() is raw.parse()
    assert sandbox.ledger.count() == 1


@pytest.mark.parametrize("name", RESULTS)
async def test_the_answer_as_it_comes(client: AsyncRelayDance, sandbox: Sandbox, name: str) -> None:
    kind, arguments = RESULTS[name]
    async with view_of(client, name, "streaming")(**arguments) as response:
        assert isinstance(response, StreamedResponse)
        assert response.status_code == 200
        assert look_at(client).permits == 1
        body = await response.read()
        assert look_at(client).permits == 0
        assert isinstance(await response.parse(), kind)
        assert json.loads(body) == await response.json() == json.loads(await response.text())
        assert [piece async for piece in response.iter_bytes()] == [body]
    async with view_of(client, name, "streaming")(**arguments) as response:
        assert isinstance(await response.parse(), kind)
        assert response.request_id == sandbox.ledger.entries[-1].request_id
    assert sandbox.ledger.count() == 2


async def test_a_task(client: AsyncRelayDance, sandbox: Sandbox) -> None:
    task = await submit_clip(client)
    raw = await client.video.with_raw_response.retrieve(task)
    assert raw.parse().task_id == task.task_id
    assert raw.json()["code"] == "success"
    with pytest.raises(NotFoundError):
        await client.video.with_raw_response.retrieve("task_none")
    assert sandbox.ledger.count(FETCH) == 2


async def test_the_types(client: AsyncRelayDance) -> None:
    assert_type(await client.models.with_raw_response.list(), RawResponse[ModelList])
    completion = await client.chat.completions.with_raw_response.create(model="grok-4.3", messages=HELLO)
    assert_type(completion, RawResponse[ChatCompletion])
    assert_type(await client.with_raw_response.get("/models", cast_to=ModelList), RawResponse[ModelList])
    assert_type(await client.with_raw_response.get("/models"), RawResponse[Any])
    async with client.images.with_streaming_response.generate(model="grok-imagine-image", prompt="p") as response:
        assert_type(response, StreamedResponse[ImagesResponse])
        assert_type(await response.parse(), ImagesResponse)
    raw = await client.chat.completions.with_raw_response.create(model="grok-4.3", messages=HELLO, stream=True)
    assert_type(raw, RawResponse[ChatStream])
    async with raw.parse() as stream:
        assert (await stream.get_final_completion()).choices
    assert (raw.status_code, raw.content) == (200, b"")


@pytest.mark.parametrize("kind", [bytes, str, dict, None])
async def test_any_endpoint(client: AsyncRelayDance, kind: Any) -> None:
    raw = await client.with_raw_response.get("/models", cast_to=kind)
    assert raw.parse() == await client.get("/models", cast_to=kind)
    async with client.with_streaming_response.post("/chat/completions", body=ASK, cast_to=kind) as response:
        assert b"choices" in await response.read()
        assert isinstance(await response.parse(), kind or dict)


# The call is the same.


async def test_what_fails_fails_the_same(client: AsyncRelayDance, sandbox: Sandbox) -> None:
    sandbox.faults.add(Fault(MODELS, status=503, at=(1, 2)))
    raw = await client.models.with_raw_response.list()
    assert [record.status_code for record in raw.meta.attempts] == [503, 503]
    sandbox.faults.clear()
    sandbox.faults.add(Fault(IMAGES, status=429))
    once = client.with_options(retry=None)
    with pytest.raises(RateLimitError):
        await once.images.with_raw_response.generate(**DRAW)
    with pytest.raises(RateLimitError):
        async with once.images.with_streaming_response.generate(**DRAW):
            raise AssertionError("there is no answer")
    sandbox.faults.clear()
    sandbox.faults.add(Fault(IMAGES, status=200, body='{"error": {"message": "it broke", "code": "bad_response"}}'))
    with pytest.raises(ServerError, match="it broke"):
        await once.images.with_raw_response.generate(**DRAW)
    async with once.images.with_streaming_response.generate(**DRAW) as response:
        with pytest.raises(ServerError, match="it broke") as caught:
            await response.parse()
        assert caught.value.maybe_accepted
        assert caught.value.path == "/images/generations"
        assert await response.json() == {"error": {"message": "it broke", "code": "bad_response"}}


async def test_what_is_no_result_keeps_its_bytes(client: AsyncRelayDance, sandbox: Sandbox) -> None:
    sandbox.faults.add(Fault(IMAGES, status=200, body="[]"))
    with pytest.raises(ResponseDecodeError) as caught:
        await client.images.with_raw_response.generate(**DRAW)
    assert caught.value.raw_body == b"[]"
    async with client.images.with_streaming_response.generate(**DRAW) as response:
        with pytest.raises(ResponseDecodeError):
            await response.parse()
        assert await response.read() == b"[]"


async def test_bad_arguments_are_told_as_usual(client: AsyncRelayDance, sandbox: Sandbox) -> None:
    with pytest.raises(InvalidInputError):
        await client.images.with_raw_response.generate(model="", prompt="p")
    with pytest.raises(InvalidInputError):
        async with client.images.with_streaming_response.generate(model="", prompt="p"):
            pass
    create: Any = client.images.with_raw_response.generate
    with pytest.raises(TypeError, match="did you mean"):
        await create(**DRAW, qality="low")
    assert sandbox.ledger.count() == 0


async def test_the_resource_itself_stays_as_it_was(client: AsyncRelayDance) -> None:
    await client.models.with_raw_response.list()
    assert isinstance(await client.models.list(), ModelList)
    view = client.with_options(deadline=60).models.with_raw_response
    assert isinstance((await view.list()).parse(), ModelList)


async def test_a_key_makes_it_once(sandbox: Sandbox, tmp_path: Path) -> None:
    async with SqliteJournal(tmp_path / "run.db") as journal, client_of(sandbox, journal=journal) as known:
        client: Any = known
        first = await client.images.with_raw_response.generate(**DRAW, idempotency_key="k")
        again = await client.images.with_raw_response.generate(**DRAW, idempotency_key="k")
        assert again.parse() == first.parse() == await client.images.generate(**DRAW, idempotency_key="k")
        assert again.meta.replayed
        assert again.status_code is None
        assert again.json() == first.parse().to_dict()
        clip = {"model": "doubao-seedance-2-0-720p", "prompt": "p"}
        task = await client.video.with_raw_response.submit(**clip, idempotency_key="v")
        assert (await client.video.with_raw_response.submit(**clip, idempotency_key="v")).parse() == task.parse()
        raw = await client.chat.completions.with_raw_response.create(**ASK, stream=True, idempotency_key="s")
        async with raw.parse() as stream:
            whole = await stream.get_final_completion()
        assert await client.chat.completions.create(**ASK, extra_body={"stream": True}, idempotency_key="s") == whole
        with pytest.raises(InvalidInputError, match="no journal can keep"):
            async with client.images.with_streaming_response.generate(**DRAW, idempotency_key="n"):
                pass
    assert sandbox.ledger.accepted() == 3


# Reading.


async def test_lines_and_texts_of_a_stream(client: AsyncRelayDance) -> None:
    create: Any = client.chat.completions.with_streaming_response.create
    async with create(**ASK, extra_body={"stream": True}) as response:
        lines = [line async for line in response.iter_lines()]
    assert [line for line in lines if line][-1] == "data: [DONE]"
    async with create(**ASK, extra_body={"stream": True}) as response:
        assert "".join([text async for text in response.iter_text()]).startswith(": PING")
    typed = client.chat.completions.with_streaming_response
    async with typed.create(model="grok-4.3", messages=HELLO, stream=True) as response:
        stream = await response.parse()
        assert_type(stream, ChatStream)
        async with stream:
            assert (await stream.get_final_completion()).choices


async def test_it_is_read_once(client: AsyncRelayDance) -> None:
    async with client.models.with_streaming_response.list() as response:
        assert b"".join([piece async for piece in response.iter_bytes()])
        for again in (response.read, response.parse):
            with pytest.raises(InvalidInputError, match="has been read already"):
                await again()


async def test_what_is_left_early_gives_its_connection_back(client: AsyncRelayDance, sandbox: Sandbox) -> None:
    sandbox.faults.add(Fault(MODELS, endless_body=True))
    async with client.models.with_streaming_response.list() as response:
        async for _ in response.iter_bytes():
            break
        assert look_at(client).permits == 1
    assert look_at(client).permits == 0
    async with client.models.with_streaming_response.list():
        pass
    assert look_at(client).permits == 0


async def test_a_forgotten_one_gives_its_connection_back(client: AsyncRelayDance) -> None:
    manager = client.models.with_streaming_response.list()
    await manager.__aenter__()
    assert look_at(client).permits == 1
    del manager
    gc.collect()
    await wait_until(lambda: look_at(client).permits == 0)


async def test_one_that_breaks_off(client: AsyncRelayDance, sandbox: Sandbox, tmp_path: Path) -> None:
    sandbox.faults.add(Fault(IMAGES, cut_body_after=10))
    for read in ("read", "parse"):
        async with client.images.with_streaming_response.generate(**DRAW) as response:
            with pytest.raises(StreamError) as caught:
                await getattr(response, read)()
        assert caught.value.maybe_accepted
        assert caught.value.path == "/images/generations"
        assert len(caught.value.attempts) == 1
    async with client.images.with_streaming_response.generate(**DRAW) as response:
        with pytest.raises(StreamError):
            await response.stream_to_file(tmp_path / "answer.json")
    assert list(tmp_path.iterdir()) == []
    assert sandbox.ledger.accepted(IMAGES) == 3


async def test_into_a_file(client: AsyncRelayDance, tmp_path: Path) -> None:
    path = tmp_path / "answer.json"
    async with client.models.with_streaming_response.list() as response:
        assert await response.stream_to_file(path) == path
    assert path.read_bytes() == await client.get("/models", cast_to=bytes)
    async with client.models.with_streaming_response.list() as response:
        with pytest.raises(DownloadError):
            await response.stream_to_file(path, overwrite=False)
    assert list(tmp_path.iterdir()) == [path]


async def test_its_size_is_bounded_in_memory_only(client: AsyncRelayDance, tmp_path: Path) -> None:
    small = client.with_options(max_response_bytes=100)
    async with small.models.with_streaming_response.list() as response:
        with pytest.raises(ResponseTooLargeError):
            await response.read()
    with pytest.raises(ResponseTooLargeError):
        await small.models.with_raw_response.list()
    async with small.models.with_streaming_response.list() as response:
        assert (await response.stream_to_file(tmp_path / "large.json")).stat().st_size > 100


async def test_a_deadline_counts_to_the_end(sandbox: Sandbox) -> None:
    with FaultyProxy(sandbox.root_url, [ConnectionFault("silence_mid_body", per="request")]) as proxy:
        async with client_of(sandbox, base_url=f"{proxy.root_url}/v1") as client:
            for read in ("read", "parse"):
                async with client.images.with_streaming_response.generate(**DRAW, deadline=0.3) as response:
                    with pytest.raises(StreamError, match="deadline"):
                        await getattr(response, read)()
            assert look_at(client).permits == 0


async def test_statuses_that_are_errors_are_errors(client: AsyncRelayDance, sandbox: Sandbox) -> None:
    sandbox.faults.add(Fault(MODELS, status=418, body="I am a teapot"))
    with pytest.raises(APIStatusError) as caught:
        await client.models.with_raw_response.list()
    assert (caught.value.status_code, caught.value.raw_body) == (418, b"I am a teapot")
