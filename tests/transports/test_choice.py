"""Which transport is chosen, who is told, and whose client is closed."""

from __future__ import annotations

import logging
import tomllib
from collections.abc import Iterator
from pathlib import Path

import pytest

from relaydance_async import ConfigurationError
from relaydance_async._transports._choice import OLDEST_AIOHTTP, has_aiohttp
from tests.kit.calls import list_models, submit_clip
from tests.transports.conftest import CALLERS, Maker
from tests.transports.support import as_json, over_every_transport, serve

pytestmark = over_every_transport

NAMES = {
    "httpx": "httpx over a pool of single connections",
    "httpx on trio": "httpx over a pool of single connections",
    "httpx on uvloop": "httpx over a pool of single connections",
    "aiohttp": "aiohttp",
    "aiohttp on uvloop": "aiohttp",
    "the caller's httpx": "the caller's httpx.AsyncClient",
    "the caller's httpx on uvloop": "the caller's httpx.AsyncClient",
    "the caller's httpx2": "the caller's httpx2.AsyncClient",
    "the caller's httpx over aiohttp": "the caller's httpx.AsyncClient",
}
MODELS = as_json(b'{"object":"list","data":[]}')


async def test_the_choice_is_logged_once_for_each_loop(maker: Maker, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG, "relaydance_async")
    async with serve(MODELS) as server:
        client = maker.client(server.url)
        assert not caplog.records
        for _ in range(3):
            await list_models(client)
            await list_models(client.with_options(deadline=5))
    said = [(record.levelname, record.getMessage()) for record in caplog.records if record.name == "relaydance_async"]
    assert [line for line in said if "transport" in line[1]] == [("DEBUG", f"transport: {NAMES[maker.kind]}")]


async def chosen(maker: Maker, caplog: pytest.LogCaptureFixture) -> str:
    """What a client says that takes what there is."""
    caplog.set_level(logging.DEBUG, "relaydance_async")
    async with serve(MODELS) as server:
        await list_models(maker.client(server.url, transport="auto"))
    (said,) = (text for text in caplog.messages if text.startswith("transport: "))
    return said.removeprefix("transport: ")


@pytest.mark.parametrize(("kind", "name"), [("aiohttp", "aiohttp"), ("httpx on trio", NAMES["httpx"])])
async def test_aiohttp_is_chosen_where_it_can_be_used(
    maker: Maker, name: str, caplog: pytest.LogCaptureFixture
) -> None:
    assert await chosen(maker, caplog) == name


@pytest.fixture(autouse=True)
def look_again() -> Iterator[None]:
    yield
    has_aiohttp.cache_clear()


def pretend_aiohttp_is(version: str, monkeypatch: pytest.MonkeyPatch) -> None:
    def pretend(_: str) -> str:
        return version

    monkeypatch.setattr("relaydance_async._transports._choice.version", pretend)
    has_aiohttp.cache_clear()


@pytest.mark.parametrize("kind", ["aiohttp"])
@pytest.mark.parametrize("version", ["3.14.3", "3.9.0b1", "2.3.10"])
async def test_an_aiohttp_older_than_the_extras_is_not_used(
    maker: Maker, version: str, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    pretend_aiohttp_is(version, monkeypatch)
    assert await chosen(maker, caplog) == NAMES["httpx"]
    with pytest.raises(ConfigurationError, match="pip install -U"):
        maker.client("http://127.0.0.1:1", transport="aiohttp")


def test_the_extra_asks_for_that_aiohttp_too() -> None:
    text = (Path(__file__).parents[2] / "pyproject.toml").read_text(encoding="utf-8")
    oldest = ".".join(map(str, OLDEST_AIOHTTP))
    assert tomllib.loads(text)["project"]["optional-dependencies"]["aiohttp"] == [f"aiohttp>={oldest}"]


@pytest.mark.parametrize("version", ["3.14.4", "3.14.4.post1", "3.15.0", "4.0.0a1"])
@pytest.mark.parametrize("kind", ["aiohttp"])
async def test_a_newer_aiohttp_is_used(
    maker: Maker, version: str, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    pretend_aiohttp_is(version, monkeypatch)
    assert await chosen(maker, caplog) == "aiohttp"


@pytest.mark.parametrize("kind", CALLERS)
async def test_a_callers_client_that_was_closed_is_a_clear_and_final_error(maker: Maker) -> None:
    http = maker.http_client()
    async with serve(MODELS) as server:
        client = maker.client(server.url, http_client=http)
        await list_models(client)
        await client.aclose()
        await list_models(client)  # ours can be used again, and left theirs open
        await http.aclose()
        with pytest.raises(ConfigurationError, match="the http_client has been closed") as caught:
            await submit_clip(client)
    assert (len(caught.value.attempts), caught.value.maybe_accepted) == (1, False)
    assert len(server.heads) == 2
