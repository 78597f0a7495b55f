"""A transport is built for one network, and never sends to an address outside of it."""

from __future__ import annotations

import pytest

from relaydance_async import DownloadError
from relaydance_async._sansio.breakage import Progress, Reached
from relaydance_async._sansio.target import Network
from tests.transports.conftest import OURS, Maker
from tests.transports.support import fetch, over_every_transport, serve

pytestmark = over_every_transport

over_ours = pytest.mark.parametrize("kind", OURS)


@over_ours
@pytest.mark.parametrize("host", ["127.0.0.1", "localhost"])
async def test_a_public_one_sends_nothing_to_a_private_address(maker: Maker, host: str) -> None:
    progress = Progress()
    transport = await maker.transport(network=Network.PUBLIC)
    async with serve() as server:
        with pytest.raises(DownloadError, match="has the private address"):
            await fetch(transport, f"http://{host}:{server.port}/", progress=progress)
    assert (server.heads, progress.reached) == ([], Reached.NOT_SENT)
    assert transport.filenos() == []


@over_ours
async def test_one_for_any_network_does(maker: Maker) -> None:
    transport = await maker.transport(network=Network.ANY)
    async with serve() as server:
        assert await fetch(transport, server.url) == (200, b"ok")


@over_ours
async def test_through_a_proxy_which_looks_names_up_itself_it_has_no_effect(
    maker: Maker, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with serve() as proxy:
        monkeypatch.setenv("HTTP_PROXY", proxy.url)
        transport = await maker.transport(network=Network.PUBLIC)
        assert await fetch(transport, "http://clip.test/") == (200, b"ok")
    assert len(proxy.heads) == 1
