"""An API key that was pasted in the place of something else is sent, and shown, nowhere."""

from __future__ import annotations

import inspect
import logging
import operator
import pickle
import traceback
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import openai
import pytest

from relaydance_async import (
    APIConnectionError,
    AsyncRelayDance,
    ConfigurationError,
    InvalidInputError,
    NotFoundError,
    SqliteJournal,
    openai_http_client,
)
from relaydance_async.sandbox import Account, Sandbox
from tests.hooks.support import Heard
from tests.hooks.telemetry import Telemetry
from tests.test_signatures import ARGUMENTS, METHODS

pytestmark = pytest.mark.anyio

KEY = "sk-Zq7XvB2nM9pLw4RtY8uE3aSdF6gHjK1cO5iT0eWbN2mQkUxV"
OTHER = "sk-Ab3dEfGh1jKlMn0pQrStUvWxYz2468AcEgIkMoQsUwY1"
OF_THE_CLIENT = {"aclose", "close", "copy", "is_closed", "track_usage", "warm", "with_options", "resolve_doubts"}
CALLS = [path.removeprefix("client.") for path in METHODS if path.removeprefix("client.") not in OF_THE_CLIENT]


@pytest.fixture(scope="module")
def sandbox() -> Iterator[Sandbox]:
    with Sandbox(accounts={KEY: Account()}) as running:
        yield running


class Seen:
    """A client, and all that is shown of its calls."""

    def __init__(self, sandbox: Sandbox, journal: SqliteJournal, path: Path, log: pytest.LogCaptureFixture) -> None:
        self._heard, self._telemetry = Heard(), Telemetry()
        self._path, self._log = path, log
        hooks: list[Any] = [self._heard, self._telemetry.hook()]
        self.client = AsyncRelayDance(KEY, base_url=sandbox.base_url, journal=journal, max_retries=0, hooks=hooks)

    def text(self) -> str:
        spans = [span.to_json() for span in self._telemetry.spans]
        points = [point.attributes for found in self._telemetry.points().values() for point in found]
        journal = b"".join(file.read_bytes() for file in self._path.parent.glob(f"{self._path.name}*"))
        shown = [self._heard.events, spans, points, self.client.limits.snapshot(), self._log.text, journal]
        return "\n".join(map(repr, shown))


@pytest.fixture
async def seen(sandbox: Sandbox, tmp_path: Path, caplog: pytest.LogCaptureFixture) -> AsyncIterator[Seen]:
    caplog.set_level(logging.DEBUG, "relaydance_async")
    path = tmp_path / "run.db"
    async with SqliteJournal(path) as journal:
        found = Seen(sandbox, journal, path, caplog)
        async with found.client:
            yield found


async def make(method: Any, arguments: dict[str, Any]) -> None:
    made = method(**arguments)
    if hasattr(made, "__aenter__"):
        async with made:
            pass
    else:
        await (anext(made) if hasattr(made, "__anext__") else made)


def told(error: BaseException) -> str:
    return "".join(traceback.format_exception(error)) + repr(vars(error)) + pickle.dumps(error).decode("latin-1")


@pytest.mark.parametrize("path", CALLS)
async def test_the_key_in_any_argument_is_refused_before_anything_is_sent_or_shown(
    sandbox: Sandbox, seen: Seen, path: str
) -> None:
    before = sandbox.ledger.count()
    method = operator.attrgetter(path)(seen.client)
    parameters = [one for one in inspect.signature(method).parameters.values() if one.name != "api_key"]
    needed = {one.name: ARGUMENTS.get(one.name, "x") for one in parameters if one.default is one.empty}
    for parameter in parameters:
        with pytest.raises(InvalidInputError, match=f"^{parameter.name}= holds an API key") as caught:
            await make(method, {**needed, parameter.name: f"{KEY}\n"})
        assert KEY not in told(caught.value)
    assert sandbox.ledger.count() == before
    assert KEY not in seen.text()


async def test_it_is_named_where_it_has_no_keyword(seen: Seen) -> None:
    for call in (seen.client.video.retrieve(KEY), seen.client.models.retrieve(KEY), seen.client.get(KEY)):
        with pytest.raises(InvalidInputError, match=r"^(task|model|path)= holds an API key"):
            await call


HELLO = [{"role": "user", "content": "hi"}]


@pytest.mark.parametrize("key", [KEY, OTHER])
async def test_a_key_as_model_or_path_of_any_request_is_refused(sandbox: Sandbox, seen: Seen, key: str) -> None:
    before = sandbox.ledger.count()
    client = seen.client
    theirs = openai.AsyncOpenAI(
        api_key="unused", base_url=client.base_url, http_client=openai_http_client(client), max_retries=0
    )
    calls = [
        client.chat.completions.create(model=key, messages=HELLO, idempotency_key="a"),
        client.chat.completions.create(model="m", messages=HELLO, extra_body={"model": key}),
        client.post("/chat/completions", body={"model": key, "messages": HELLO}),
        client.get(f"/models/{key}"),
        client.video.wait(key),
    ]
    for call in calls:
        with pytest.raises(InvalidInputError, match="holds an API key") as caught:
            await call
        assert key not in told(caught.value)
    with pytest.raises((openai.APIConnectionError, InvalidInputError)):
        await theirs.chat.completions.create(model=key, messages=[{"role": "user", "content": "hi"}])
    assert sandbox.ledger.count() == before
    if key == KEY:
        assert key not in seen.text()


@pytest.mark.parametrize("model", ["sk-hynix/a-model-of-32-or-more-letters-and-digits", "sk-solar-10.7b", "task-1"])
async def test_a_name_that_begins_alike_is_the_gateways_to_judge(seen: Seen, model: str) -> None:
    with pytest.raises(NotFoundError):
        await seen.client.models.retrieve(model)


async def test_a_short_key_is_no_word_to_be_refused() -> None:
    client = AsyncRelayDance("test", base_url="http://127.0.0.1:9/v1", max_retries=0)
    with pytest.raises(APIConnectionError):
        await client.chat.completions.create(model="test", messages=HELLO)


@pytest.mark.parametrize(
    "options",
    [{"base_url": KEY}, {"transport": KEY}, {"timeout": KEY}, {"deadline": KEY}, {"max_retries": KEY}],
)
def test_no_error_of_an_option_quotes_a_key(options: dict[str, Any]) -> None:
    with pytest.raises(ConfigurationError) as caught:
        AsyncRelayDance(OTHER, **options)
    assert KEY not in told(caught.value)
