"""Which transport is chosen, who is told, and whose client is closed."""

from __future__ import annotations

import logging
import tomllib
from pathlib import Path
from typing import Any

import pytest

from relaydance_async import AsyncRelayDance, ConfigurationError
from tests.kit.calls import list_models, submit_clip
from tests.kit.transports import use_h11
from tests.transports.conftest import CALLERS, Maker
from tests.transports.support import KEY, as_json, over_every_transport, serve

pytestmark = over_every_transport

NAMES = {
    "direct": "direct, with llhttp",
    "direct with h11": "direct, with h11",
    "direct on uvloop": "direct, with llhttp",
    "httpx with h11": "httpx over an engine of ours, with h11",
    "httpx on uvloop": "httpx over an engine of ours, with llhttp",
    "the caller's httpx": "the caller's httpx.AsyncClient",
    "the caller's httpx on trio": "the caller's httpx.AsyncClient",
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


@pytest.mark.parametrize(("kind", "name"), [("direct", NAMES["direct"]), ("direct with h11", NAMES["httpx with h11"])])
async def test_the_direct_face_is_chosen_where_httptools_is_installed(
    maker: Maker, name: str, caplog: pytest.LogCaptureFixture
) -> None:
    assert await chosen(maker, caplog) == name


@pytest.mark.parametrize("kind", ["direct"])
async def test_aiohttp_is_a_deprecated_name_of_the_direct_face(maker: Maker, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG, "relaydance_async")
    async with serve(MODELS) as server:
        with pytest.warns(DeprecationWarning, match='is now called "direct"'):
            client = maker.client(server.url, transport="aiohttp")
        await list_models(client)
    assert f"transport: {NAMES['direct']}" in caplog.messages


def test_that_is_told_of_the_callers_line() -> None:
    with pytest.warns(DeprecationWarning, match="direct") as told:
        AsyncRelayDance("sk-test", transport="aiohttp")
    assert [warning.filename for warning in told] == [__file__]


def test_the_extra_of_that_name_is_one_too() -> None:
    text = (Path(__file__).parents[2] / "pyproject.toml").read_text(encoding="utf-8")
    extras: dict[str, Any] = tomllib.loads(text)["project"]["optional-dependencies"]
    assert extras["aiohttp"] == ["relaydance-async[fast]"]
    assert [name.partition(">")[0] for name in extras["fast"]] == ["httptools"]


@pytest.mark.parametrize("kind", ["the caller's httpx on trio"])
@pytest.mark.parametrize("name", ["auto", "direct", "httpx"])
@pytest.mark.parametrize("is_fast", [True, False])
async def test_on_trio_a_client_is_asked_for(
    maker: Maker, name: Any, is_fast: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    if not is_fast:
        use_h11(monkeypatch)
    client = AsyncRelayDance(KEY, base_url="http://127.0.0.1:1/v1", transport=name)
    with pytest.raises(ConfigurationError, match=r"http_client=httpx\.AsyncClient\(\)"):
        await list_models(client)


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
