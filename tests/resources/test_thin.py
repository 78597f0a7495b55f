"""The endpoints that only give names and types: each over the sandbox, and each as careful with money as all others."""

from __future__ import annotations

import io
import json
import pickle
import wave
from collections.abc import AsyncIterator, Iterator
from operator import attrgetter
from pathlib import Path
from typing import Any, assert_type

import pytest

from relaydance_async import (
    APIConnectionError,
    AsyncRelayDance,
    ContentRefusedError,
    IncompleteStreamError,
    InvalidInputError,
    NotFoundError,
    RawResponse,
    ResponseDecodeError,
    ServerError,
    SqliteJournal,
    StreamError,
)
from relaydance_async.models.audio import Transcription
from relaydance_async.models.binary import BinaryContent
from relaydance_async.models.responses import Response
from relaydance_async.resources._response_stream import ResponseStream
from relaydance_async.sandbox import ConnectionFault, Fault, FaultyProxy, Sandbox
from tests.kit.calls import client_of
from tests.kit.clocks import QuickClock
from tests.kit.probe import held, look_at
from tests.kit.thin import THIN, Thin
from tests.kit.transports import TRANSPORTS, transport_options

pytestmark = pytest.mark.anyio

EVERY = pytest.mark.parametrize("thin", THIN, ids=lambda thin: thin.method)
RESPONSES = "POST /v1/responses"


@pytest.fixture(scope="module")
def shared() -> Iterator[Sandbox]:
    with Sandbox(time_scale=0) as running:
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


async def call(client: AsyncRelayDance, thin: Thin, **options: Any) -> Any:
    return await attrgetter(thin.method)(client)(**thin.arguments, **options)


# All of them.


@EVERY
async def test_it_is_answered_and_its_result_knows_its_request(
    client: AsyncRelayDance, sandbox: Sandbox, thin: Thin
) -> None:
    result = await call(client, thin)
    (entry,) = sandbox.ledger.entries
    assert (entry.route, entry.status, entry.accepted) == (thin.route, 200, True)
    assert result.meta.request_id == result._request_id == entry.request_id
    assert sandbox.ledger.charged_usd > 0


@EVERY
async def test_it_has_the_options_of_one_call(client: AsyncRelayDance, sandbox: Sandbox, thin: Thin) -> None:
    await call(client, thin, extra_headers={"x-own": "1"}, extra_query={"a": "b"}, timeout=5, deadline=60)
    await call(client, thin, extra_body={"new": "field"})
    misspelt: Any = call
    with pytest.raises(TypeError, match="unexpected keyword"):
        await misspelt(client, thin, tempratur=1)
    assert sandbox.ledger.count(thin.route) == 2


@EVERY
async def test_a_gateway_that_does_not_offer_it_says_so(client: AsyncRelayDance, sandbox: Sandbox, thin: Thin) -> None:
    path = thin.route.removeprefix("POST ")
    body = json.dumps({"error": {"message": f"Invalid URL (POST {path})", "type": "invalid_request_error"}})
    sandbox.faults.add(Fault(thin.route, status=404, body=body))
    with pytest.raises(NotFoundError, match="doesn't offer this path") as caught:
        await call(client, thin)
    assert not caught.value.maybe_accepted
    assert sandbox.ledger.count() == 1


@EVERY
async def test_it_is_not_paid_twice(sandbox: Sandbox, thin: Thin) -> None:
    with FaultyProxy(sandbox.root_url, [ConnectionFault("reset_after_request", per="request")]) as proxy:
        async with client_of(sandbox, QuickClock(), base_url=f"{proxy.root_url}/v1") as client:
            with pytest.raises(APIConnectionError) as caught:
                await call(client, thin)
    assert caught.value.maybe_accepted
    assert sandbox.ledger.accepted() == 1
    sandbox.faults.add(Fault(thin.route, status=503, at=(1,)))
    async with client_of(sandbox, QuickClock()) as client:
        await call(client, thin)
    assert sandbox.ledger.accepted() == 2


@EVERY
async def test_what_is_no_result_is_not_lost(client: AsyncRelayDance, sandbox: Sandbox, thin: Thin) -> None:
    once = client.with_options(retry=None)
    sandbox.faults.add(Fault(thin.route, body="<html>Log in</html>", content_type="text/html", status=200))
    with pytest.raises(ResponseDecodeError) as caught:
        await call(once, thin)
    assert caught.value.raw_body == b"<html>Log in</html>"
    sandbox.faults.clear()
    error = json.dumps({"error": {"message": "it broke", "code": "bad_response"}})
    sandbox.faults.add(Fault(thin.route, body=error, status=200))
    with pytest.raises(ServerError, match="it broke"):
        await call(once, thin)


@EVERY
async def test_the_answer_itself(client: AsyncRelayDance, thin: Thin) -> None:
    *path, method = thin.method.split(".")
    resource: Any = attrgetter(".".join(path))(client)
    raw: RawResponse[Any] = await getattr(resource.with_raw_response, method)(**thin.arguments)
    assert raw.content
    async with getattr(resource.with_streaming_response, method)(**thin.arguments) as response:
        assert len(await response.read()) > 10
        assert type(await response.parse()) is type(raw.parse())


@EVERY
async def test_a_key_makes_it_once(sandbox: Sandbox, tmp_path: Path, thin: Thin) -> None:
    async with SqliteJournal(tmp_path / "run.db") as journal, client_of(sandbox, journal=journal) as client:
        if "speech" in thin.method:
            with pytest.raises(InvalidInputError, match="no journal can keep bytes"):
                await call(client, thin, idempotency_key="k")
            return
        first = await call(client, thin, idempotency_key="k")
        assert await call(client, thin, idempotency_key="k") == first
    assert sandbox.ledger.accepted() == 1


async def test_what_is_missing_is_told_before_anything_is_sent(client: AsyncRelayDance, sandbox: Sandbox) -> None:
    for wrong in (
        client.embeddings.create(model="", input="x"),
        client.responses.create(model=" ", input="x"),
        client.audio.speech.create(model="m", input=""),
        client.audio.transcriptions.create(model="m", file=b""),
        client.rerank.create(model="", query="q", documents=[]),
        client.videos.create(model="m", prompt=""),
        client.videos.retrieve(".."),
    ):
        with pytest.raises(InvalidInputError):
            await wrong
    assert sandbox.ledger.count() == 0


# Each of them.


async def test_embeddings(client: AsyncRelayDance) -> None:
    found = await client.embeddings.create(model="m", input=["one", "two"], dimensions=8)
    assert [item.index for item in found.data] == [0, 1]
    assert all(isinstance(number, float) for number in found.data[0].embedding)
    assert found.usage is not None
    assert len(repr(found)) < 1000


async def test_moderations(client: AsyncRelayDance) -> None:
    found = await client.moderations.create(input=["kind", "forbidden"], model="m")
    assert [result.flagged for result in found.results] == [False, True]


async def test_rerank(client: AsyncRelayDance) -> None:
    found = await client.rerank.create(model="m", query="a cat", documents=["dogs", "a cat", "a"], top_n=2)
    assert [result.index for result in found.results] == [1, 2]
    assert found.results[0].relevance_score == 1


async def test_speech_is_bytes(client: AsyncRelayDance, tmp_path: Path) -> None:
    sound = await client.audio.speech.create(model="m", input="one two", voice="alloy", speed=1.5)
    assert_type(sound, BinaryContent)
    with wave.open(io.BytesIO(sound)) as heard:
        assert heard.getnframes() == 1600
    assert sound.content == bytes(sound) == sound
    assert type(sound.content) is bytes
    assert sound.meta.headers["content-type"] == "audio/wav"
    assert repr(sound).startswith("BinaryContent(b'RIFF")
    assert len(repr(sound)) < 120
    again = pickle.loads(pickle.dumps(sound))
    assert again == sound
    assert again.meta.request_id is None
    sound.write_to_file(tmp_path / "speech.wav")
    assert (tmp_path / "speech.wav").read_bytes() == sound


async def test_speech_is_streamed_to_a_file(client: AsyncRelayDance, sandbox: Sandbox, tmp_path: Path) -> None:
    path = tmp_path / "speech.wav"
    async with client.audio.speech.with_streaming_response.create(model="m", input="word " * 2000) as response:
        assert await response.stream_to_file(path) == path
    assert path.stat().st_size == 44 + 800 * 2000
    sandbox.faults.add(Fault("POST /v1/audio/speech", cut_body_after=100))
    async with client.audio.speech.with_streaming_response.create(model="m", input="Hi") as response:
        with pytest.raises(StreamError):
            await response.stream_to_file(tmp_path / "cut.wav")
    assert list(tmp_path.iterdir()) == [path]
    sandbox.faults.clear()
    with pytest.raises(ContentRefusedError):
        await client.audio.speech.create(model="m", input="forbidden-word")


async def test_transcriptions(client: AsyncRelayDance, tmp_path: Path) -> None:
    (tmp_path / "a.wav").write_bytes(b"RIFF")
    found = await client.audio.transcriptions.create(model="m", file=tmp_path / "a.wav", language="en")
    assert_type(found, Transcription)
    assert found.text == "You said 4 bytes."
    text = await client.audio.transcriptions.create(model="m", file=b"RIFF!", filename="a.wav", response_format="srt")
    assert_type(text, str)
    assert text == "You said 5 bytes.\n"


async def test_a_text_is_kept_by_a_journal(sandbox: Sandbox, tmp_path: Path) -> None:
    async with SqliteJournal(tmp_path / "run.db") as journal, client_of(sandbox, journal=journal) as client:
        for _ in range(2):
            assert (
                await client.audio.transcriptions.create(
                    model="m", file=b"RIFF", filename="a.wav", response_format="text", idempotency_key="k"
                )
                == "You said 4 bytes.\n"
            )
    assert sandbox.ledger.accepted() == 1


async def test_responses(client: AsyncRelayDance) -> None:
    found = await client.responses.create(model="m", input="Hi", instructions="Be kind.")
    assert_type(found, Response)
    assert found.output_text == "You said: Hi"
    assert found.status == "completed"


async def test_a_streamed_response(client: AsyncRelayDance) -> None:
    stream = await client.responses.create(model="m", input="Hi there", stream=True)
    assert_type(stream, ResponseStream)
    async with stream:
        text = "".join([event.delta async for event in stream if event.type == "response.output_text.delta"])
        final = await stream.get_final_response()
    assert text.strip() == final.output_text == "You said: Hi there"
    assert final.meta.status_code == stream.meta.status_code == 200
    assert look_at(client).permits == 0
    raw = await client.responses.with_raw_response.create(model="m", input="Hi", stream=True)
    async with raw.parse() as stream:
        assert (await stream.get_final_response()).output_text == "You said: Hi"


async def test_a_response_that_was_not_streamed_comes_as_one_event(client: AsyncRelayDance, sandbox: Sandbox) -> None:
    whole = json.dumps({"id": "resp_1", "object": "response", "status": "completed", "output": []})
    sandbox.faults.add(Fault(RESPONSES, status=200, body=whole))
    async with await client.responses.create(model="m", input="Hi", stream=True) as stream:
        (event,) = [event async for event in stream]
        assert (event.type, (await stream.get_final_response()).id) == ("response.completed", "resp_1")


DELTA = b'data: {"type": "response.output_text.delta", "delta": "Hi"}\n\n'
ERROR = b'event: error\ndata: {"type": "error", "message": "it broke", "code": "c"}\n\n'


def streaming(body: bytes) -> Fault:
    return Fault(RESPONSES, status=200, content_type="text/event-stream", body=body)


@pytest.mark.parametrize(
    ("fault", "kind", "text"),
    [
        (Fault(RESPONSES, cut_stream_after=3), StreamError, "You said: "),
        (streaming(DELTA + ERROR), StreamError, "Hi"),
        (streaming(DELTA + b"data: [DONE]\n\n"), IncompleteStreamError, "Hi"),
    ],
    ids=["cut", "error", "incomplete"],
)
async def test_a_streamed_response_that_ends_badly_keeps_its_text(
    client: AsyncRelayDance, sandbox: Sandbox, fault: Fault, kind: type[StreamError], text: str
) -> None:
    sandbox.faults.add(fault)
    stream = await client.responses.create(model="m", input="Hi", stream=True)
    with pytest.raises(kind) as caught:
        await stream.get_final_response()
    assert caught.value.text == text
    assert caught.value.maybe_accepted
    assert caught.value.path == "/responses"


async def test_videos_are_the_tasks_of_video(client: AsyncRelayDance, sandbox: Sandbox, tmp_path: Path) -> None:
    task = await client.videos.create(model="grok-imagine-video", prompt="a boat", seconds=5)
    assert (await client.videos.retrieve(task.id)).task_id == task.task_id
    with_file = await client.videos.create(
        model="grok-imagine-video", prompt="a boat", seconds="5", input_reference=b"png"
    )
    assert with_file.task_id != task.task_id
    sandbox.clock.advance(60)
    done = await client.videos.retrieve(task.id)
    assert (done.status, done.raw_status) == ("succeeded", "completed")
    clip = await client.videos.download_content(task.id)
    assert clip[4:8] == b"ftyp"
    async with client.videos.with_streaming_response.download_content(task.id) as response:
        saved = await response.stream_to_file(tmp_path / "clip.mp4")
    assert saved.read_bytes() == clip
    with pytest.raises(NotFoundError):
        await client.videos.retrieve("task_none")
