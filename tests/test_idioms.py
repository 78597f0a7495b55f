"""What people write with openai's client, and what it does here: each row of the table in the documents is a test.

`python -m tests.test_idioms` writes the table anew.
"""

from __future__ import annotations

import asyncio
import inspect
import io
import json
import re
from collections.abc import AsyncGenerator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, NamedTuple

import httpx
import openai
import pytest
from pydantic import BaseModel

import relaydance_async
from relaydance_async import (
    NOT_GIVEN,
    APITimeoutError,
    AsyncRelayDance,
    AuthenticationError,
    BadRequestError,
    NotFoundError,
    RateLimitError,
    RelayDanceError,
    ServerError,
    Timeout,
)
from relaydance_async.sandbox import Fault, Sandbox
from tests.kit.inside import settings_of
from tests.kit.routes import CHAT, MODELS

pytestmark = pytest.mark.anyio

PAGE = Path(__file__).parents[1] / "docs/idioms.md"
MODEL = "grok-4.3"
HELLO = [{"role": "user", "content": "Hi"}]


class City(BaseModel):
    name: str
    people: int


class Idiom(NamedTuple):
    theirs: str
    here: str
    shown: Callable[[AsyncRelayDance, Sandbox], Awaitable[None]]


IDIOMS: list[Idiom] = []


def idiom(theirs: str, here: str = "the same") -> Callable[[Any], Any]:
    def add(shown: Any) -> Any:
        IDIOMS.append(Idiom(theirs, here, shown))
        return shown

    return add


def made(sandbox: Sandbox, **options: Any) -> AsyncRelayDance:
    return AsyncRelayDance(sandbox.api_key, base_url=sandbox.base_url, **options)


@asynccontextmanager
async def heard(sandbox: Sandbox, **options: Any) -> AsyncGenerator[tuple[AsyncRelayDance, list[httpx.Request]], None]:
    """A client, and the requests that it sends."""
    sent: list[httpx.Request] = []

    async def hear(request: httpx.Request) -> None:
        sent.append(request)

    async with httpx.AsyncClient(event_hooks={"request": [hear]}) as http:
        yield made(sandbox, http_client=http, **options), sent


# The client.


@idiom("`AsyncOpenAI(api_key=…, base_url=…)`", "`AsyncRelayDance(…)`; the environment has `RELAYDANCE_API_KEY`")
async def making(client: AsyncRelayDance, sandbox: Sandbox) -> None:
    assert len(await made(sandbox).models.list()) > 1


@idiom("`client.api_key`")
async def the_key(client: AsyncRelayDance, sandbox: Sandbox) -> None:
    assert client.api_key == sandbox.api_key


@idiom("`client.base_url`", "the same, as text without the last slash")
async def the_address(client: AsyncRelayDance, sandbox: Sandbox) -> None:
    assert str(client.base_url) == sandbox.base_url


@idiom("`async with AsyncOpenAI() as client:`")
async def a_context(client: AsyncRelayDance, sandbox: Sandbox) -> None:
    async with made(sandbox) as other:
        await other.models.list()
    assert other.is_closed()


@idiom("`await client.close()`, `client.is_closed()`")
async def closing(client: AsyncRelayDance, sandbox: Sandbox) -> None:
    await client.close()
    assert client.is_closed()


@idiom("a call after `close()` fails", "it works: the client opens connections anew")
async def a_call_after_the_end(client: AsyncRelayDance, sandbox: Sandbox) -> None:
    await client.close()
    assert len(await client.models.list()) > 1


@idiom("`client.copy(…)`, `client.with_options(…)`")
async def copies(client: AsyncRelayDance, sandbox: Sandbox) -> None:
    assert settings_of(client.copy(timeout=5)).timeout == settings_of(client.with_options(timeout=5)).timeout


@idiom("`client.with_options(api_key=…)`", "the same, and `api_key=` of any call; limits are kept apart by key")
async def another_key(client: AsyncRelayDance, sandbox: Sandbox) -> None:
    with pytest.raises(AuthenticationError):
        await client.models.list(api_key="sk-somebody-else")
    with pytest.raises(AuthenticationError):
        await client.with_options(api_key="sk-somebody-else").models.list()


@idiom("`max_retries=5`", "the same; `RetryPolicy` has the rest")
async def retries(client: AsyncRelayDance, sandbox: Sandbox) -> None:
    sandbox.faults.add(Fault(MODELS, status=503))
    with pytest.raises(ServerError) as caught:
        await client.with_options(max_retries=0).models.list()
    assert len(caught.value.attempts) == 1


@idiom("`default_headers=`, `default_query=`")
async def defaults(client: AsyncRelayDance, sandbox: Sandbox) -> None:
    options = {"default_headers": {"x-team": "film"}, "default_query": {"team": "film", "n": "1"}}
    async with heard(sandbox, **options) as (own, sent):
        await own.with_options(default_query={"view": "a b"}).models.list(extra_query={"n": "2"})
    assert sent[0].url.query == b"n=2&team=film&view=a+b"
    assert sent[0].headers["x-team"] == "film"


@idiom("`timeout=httpx.Timeout(60, connect=5)`", "the same; `pool` has no meaning")
async def httpx_timeouts(client: AsyncRelayDance, sandbox: Sandbox) -> None:
    view = client.with_options(timeout=httpx.Timeout(60, connect=5))
    assert settings_of(view).timeout == Timeout(connect=5, read=60, write=60)
    await view.models.list(timeout=httpx.Timeout(9))


@idiom("`timeout=None`", "the same: no limit, also for one call")
async def no_timeout(client: AsyncRelayDance, sandbox: Sandbox) -> None:
    sandbox.faults.add(Fault(CHAT, delay=0.4))
    hasty = client.with_options(timeout=0.05, deadline=0.1, max_retries=0)
    with pytest.raises(APITimeoutError):
        await hasty.chat.completions.create(model=MODEL, messages=HELLO)
    await hasty.chat.completions.create(model=MODEL, messages=HELLO, timeout=None, deadline=None)


@idiom("`http_client=httpx.AsyncClient(…)`", "the same; [without one it is faster](retries.md#with-a-client-of-yours)")
async def own_http(client: AsyncRelayDance, sandbox: Sandbox) -> None:
    async with httpx.AsyncClient() as http:
        assert len(await made(sandbox, http_client=http).models.list()) > 1


@idiom("`organization=`, `project=`, `webhook_secret=`", "refused: a sentence says why")
async def refused_options(client: AsyncRelayDance, sandbox: Sandbox) -> None:
    for name in "organization", "project", "webhook_secret":
        options: dict[str, Any] = {name: "x"}
        with pytest.raises(TypeError, match="RelayDance"):
            AsyncRelayDance("sk-1", **options)


@idiom("an unknown keyword is a `TypeError`", "the same, with “did you mean …”")
async def typing_errors(client: AsyncRelayDance, sandbox: Sandbox) -> None:
    create: Any = client.chat.completions.create
    with pytest.raises(TypeError, match="did you mean temperature"):
        await create(model=MODEL, messages=HELLO, temprature=1)
    assert not sandbox.ledger.entries


@idiom("`client.beta.…`, `client.batches`, `client.assistants`", "refused: a sentence names the way here")
async def other_resources(client: AsyncRelayDance, sandbox: Sandbox) -> None:
    for name in "beta", "batches", "assistants", "fine_tuning", "completions":
        with pytest.raises(AttributeError, match=f"has no attribute '{name}': "):
            getattr(client, name)
    assert not hasattr(client, "quite_something_else")


@idiom("`OpenAI()`, without `await`", "`run(client.…)`")
async def the_sync_client(client: AsyncRelayDance, sandbox: Sandbox) -> None:
    with pytest.raises(ImportError, match=r"use it with relaydance_async\.run"):
        exec("from relaydance_async import OpenAI")
    assert await asyncio.to_thread(lambda: len(relaydance_async.run(made(sandbox).models.list()))) > 1


# Calls.


@idiom("`NOT_GIVEN`, `omit`", "the same, openai's own values too")
async def what_is_not_given(client: AsyncRelayDance, sandbox: Sandbox) -> None:
    for nothing in NOT_GIVEN, openai.NOT_GIVEN, openai.omit:
        values: dict[str, Any] = {"temperature": nothing, "timeout": nothing, "extra_headers": nothing}
        await client.chat.completions.create(model=MODEL, messages=HELLO, **values)
    assert sandbox.ledger.duplicates() == 2  # the three bodies are one


@idiom("`extra_headers=`, `extra_query=`, `extra_body=`")
async def extras(client: AsyncRelayDance, sandbox: Sandbox) -> None:
    async with heard(sandbox) as (own, sent):
        await own.chat.completions.create(model=MODEL, messages=HELLO, extra_query={"a": "1"}, extra_body={"new": 1})
        await own.models.list(extra_query={"b": "2"}, extra_headers={"x-a": "b"})
    assert [request.url.query for request in sent] == [b"a=1", b"b=2"]
    assert json.loads(sent[0].content)["new"] == 1
    assert sent[1].headers["x-a"] == "b"


@idiom("`async for model in client.models.list():`")
async def iterating(client: AsyncRelayDance, sandbox: Sandbox) -> None:
    assert MODEL in [model.id async for model in client.models.list()]
    assert MODEL in await asyncio.create_task(client.models.list())
    (models,) = await asyncio.gather(client.models.list())
    assert MODEL in models


@idiom("`async for model in await client.models.list():`, `(await client.models.list()).data`")
async def iterating_the_list(client: AsyncRelayDance, sandbox: Sandbox) -> None:
    assert MODEL in [model.id async for model in await client.models.list()]
    assert (await client.models.list()).data[0].id


@idiom("`await client.models.retrieve(id)`")
async def one_model(client: AsyncRelayDance, sandbox: Sandbox) -> None:
    assert (await client.models.retrieve(MODEL)).id == MODEL


@idiom("`chat.completions.create(model=, messages=)`")
async def a_chat(client: AsyncRelayDance, sandbox: Sandbox) -> None:
    chat = await client.chat.completions.create(model=MODEL, messages=HELLO, temperature=0.2, max_tokens=9)
    assert chat.choices[0].message.content
    assert chat.usage is not None


@idiom("`create(stream=True)`, `async for chunk in stream`, `await stream.close()`", "the same; `async with` closes it")
async def a_stream(client: AsyncRelayDance, sandbox: Sandbox) -> None:
    stream = await client.chat.completions.create(model=MODEL, messages=HELLO, stream=True)
    text = "".join([chunk.choices[0].delta.content or "" async for chunk in stream if chunk.choices])
    await stream.close()
    assert text == "You said: Hi"


@idiom("`stream_options={'include_usage': True}`")
async def usage_of_a_stream(client: AsyncRelayDance, sandbox: Sandbox) -> None:
    options = {"include_usage": True}
    stream = await client.chat.completions.create(model=MODEL, messages=HELLO, stream=True, stream_options=options)
    async with stream:
        assert [chunk.usage async for chunk in stream][-1] is not None


@idiom("`chat.completions.stream(…)` and its events")
async def events(client: AsyncRelayDance, sandbox: Sandbox) -> None:
    async with client.chat.completions.stream(model=MODEL, messages=HELLO) as stream:
        kinds = {event.type async for event in stream}
        assert (await stream.get_final_completion()).choices[0].message.content == "You said: Hi"
    assert {"chunk", "content.delta", "content.done"} <= kinds


@idiom("`chat.completions.parse(response_format=Model)`, `message.parsed`")
async def typed_answers(client: AsyncRelayDance, sandbox: Sandbox) -> None:
    sandbox.chat.reply('{"name": "Bonn", "people": 330000}')
    chat = await client.chat.completions.parse(model=MODEL, messages=HELLO, response_format=City)
    assert chat.choices[0].message.parsed == City(name="Bonn", people=330000)


@idiom("`tools=[…]`, `message.tool_calls[0].function.arguments`")
async def tools(client: AsyncRelayDance, sandbox: Sandbox) -> None:
    sandbox.chat.reply(tool_calls=[{"name": "add", "arguments": {"a": 1}}])
    add: dict[str, Any] = {
        "type": "function",
        "function": {"name": "add", "parameters": {"type": "object", "properties": {}}},
    }
    chat = await client.chat.completions.create(model=MODEL, messages=HELLO, tools=[add])
    calls = chat.choices[0].message.tool_calls
    assert calls is not None
    function = calls[0].function
    assert function is not None
    assert json.loads(function.arguments or "") == {"a": 1}


@idiom("`images.generate(prompt=, response_format='b64_json')`, `images.edit(image=)`")
async def pictures(client: AsyncRelayDance, sandbox: Sandbox) -> None:
    model = "grok-imagine-image"
    made = await client.images.generate(model=model, prompt="A boat", response_format="b64_json")
    assert made.data[0].b64_json
    assert (await client.images.edit(model=model, prompt="A hat", image=("boat.png", b"png", "image/png"))).data


@idiom("`files.create(file=, purpose=)`", "the same; `files.upload(file)` says more")
async def files(client: AsyncRelayDance, sandbox: Sandbox) -> None:
    assert (await client.files.create(file=io.BytesIO(b"a picture"), purpose="vision")).url


@idiom("a file as `(name, bytes, type)`")
async def named_files(client: AsyncRelayDance, sandbox: Sandbox) -> None:
    file = await client.files.upload(("cat.png", b"a picture", "image/png"))
    assert file.url.endswith(".png")


@idiom("`embeddings.create(…)`, `responses.create(…)`, `audio.speech.create(…)`, `moderations.create(…)`")
async def others(client: AsyncRelayDance, sandbox: Sandbox) -> None:
    assert (await client.embeddings.create(model="text-embedding-3-small", input="Hi")).data[0].embedding
    assert (await client.responses.create(model=MODEL, input="Hi")).output_text


@idiom("`client.post('/path', cast_to=Model, body={…})`, `client.get(…)`")
async def any_endpoint(client: AsyncRelayDance, sandbox: Sandbox) -> None:
    chat: Any = await client.post("/chat/completions", cast_to=dict[str, Any], body={"model": MODEL, "messages": HELLO})
    assert chat["choices"]
    assert await client.get("/models", cast_to=dict[str, Any])


# Results and errors.


@idiom("`result._request_id`", "the same, and `result.meta`")
async def request_ids(client: AsyncRelayDance, sandbox: Sandbox) -> None:
    chat: Any = await client.chat.completions.create(model=MODEL, messages=HELLO)
    assert chat._request_id == chat.meta.request_id == sandbox.ledger.entries[0].request_id


@idiom("`result.to_dict()`, `result.to_json()`, `result.model_dump()`")
async def dumping(client: AsyncRelayDance, sandbox: Sandbox) -> None:
    chat = await client.chat.completions.create(model=MODEL, messages=HELLO)
    assert chat.to_dict()["choices"] == json.loads(chat.to_json())["choices"]
    assert chat.model_dump()["model"] == MODEL


@idiom("`….with_raw_response.create(…)`, `.parse()`, `.headers`")
async def raw_answers(client: AsyncRelayDance, sandbox: Sandbox) -> None:
    raw = await client.chat.completions.with_raw_response.create(model=MODEL, messages=HELLO)
    assert (raw.status_code, raw.headers["content-type"]) == (200, "application/json")
    assert raw.parse().choices[0].message.content == "You said: Hi"


@idiom("`async with ….with_streaming_response.create(…) as response:`")
async def streamed_answers(client: AsyncRelayDance, sandbox: Sandbox) -> None:
    async with client.chat.completions.with_streaming_response.create(model=MODEL, messages=HELLO) as response:
        assert json.loads(b"".join([piece async for piece in response.iter_bytes()]))["choices"]


@idiom("`except openai.RateLimitError`, `NotFoundError`, `APIConnectionError`, …", "the same names here")
async def classes_of_errors(client: AsyncRelayDance, sandbox: Sandbox) -> None:
    for name in (
        *("APIConnectionError", "APIStatusError", "APITimeoutError", "AuthenticationError", "BadRequestError"),
        *("LengthFinishReasonError", "NotFoundError", "PermissionDeniedError", "RateLimitError"),
    ):
        assert issubclass(getattr(relaydance_async, name), RelayDanceError)
        assert issubclass(getattr(openai, name), openai.OpenAIError)
    with pytest.raises(NotFoundError):
        await client.models.retrieve("nothing")


@idiom("`OpenAIError`, `APIError`, `InternalServerError`, …", "refused: a sentence has the name here")
async def other_names(client: AsyncRelayDance, sandbox: Sandbox) -> None:
    for name in "AsyncOpenAI", "OpenAIError", "APIError", "InternalServerError", "UnprocessableEntityError":
        with pytest.raises(ImportError, match=f"relaydance_async has no {name}: "):
            exec(f"from relaydance_async import {name}")


@idiom("`error.status_code`, `.code`, `.type`, `.param`, `.request_id`, `.message`, `.body`")
async def facts_of_errors(client: AsyncRelayDance, sandbox: Sandbox) -> None:
    sandbox.faults.add(Fault(CHAT, status=429, code="slow_down", message="too fast"))
    with pytest.raises(RateLimitError) as caught:
        await client.with_options(max_retries=0).chat.completions.create(model=MODEL, messages=HELLO)
    error = caught.value
    assert (error.status_code, error.code) == (429, "slow_down")
    assert "too fast" in error.message
    assert error.body["error"]["code"] == "slow_down"
    assert error.request_id


@idiom("`error.response.headers`, `.text`, `.json()`")
async def responses_of_errors(client: AsyncRelayDance, sandbox: Sandbox) -> None:
    sandbox.faults.add(Fault(MODELS, status=400))
    with pytest.raises(BadRequestError) as caught:
        await client.models.list()
    response = caught.value.response
    assert response.status_code == 400
    assert response.json() == json.loads(response.text)
    assert response.headers["content-type"].startswith("application/json")


# The table.


@pytest.fixture
def sandbox() -> Iterator[Sandbox]:
    with Sandbox() as running:
        yield running


@pytest.mark.parametrize("row", IDIOMS, ids=lambda row: row.shown.__name__)
async def test_an_idiom(row: Idiom, sandbox: Sandbox) -> None:
    async with made(sandbox) as client:
        await row.shown(client, sandbox)


def table() -> str:
    rows = [f"| {row.theirs} | {row.here} |" for row in IDIOMS]
    return "\n".join(["| openai | here |", "|---|---|", *rows])


def test_the_page_has_this_table() -> None:
    assert len(IDIOMS) >= 33
    assert table() in PAGE.read_text(encoding="utf-8")


def test_every_row_checks_something() -> None:
    for row in IDIOMS:
        assert re.search(r"\bassert\b|pytest\.raises|await", inspect.getsource(row.shown)), row.theirs


if __name__ == "__main__":
    text = PAGE.read_text(encoding="utf-8")
    PAGE.write_text(re.sub(r"\| openai \| here \|\n(\|.*\n?)*", lambda _: f"{table()}\n", text), encoding="utf-8")
