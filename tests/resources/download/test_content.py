"""`video.content` and `video.stream_content`: the bytes without a file."""

from __future__ import annotations

from typing import Protocol

import pytest

from relaydance_async import AsyncRelayDance, DownloadError, InvalidInputError, RetryPolicy, VideoTask
from tests.kit.probe import held
from tests.resources.result_host import Host, rest, whole

pytestmark = pytest.mark.anyio

ETAG = 'etag: "one"'


@pytest.fixture
def client(alone: AsyncRelayDance) -> AsyncRelayDance:
    return alone


class Get(Protocol):
    async def __call__(self, client: AsyncRelayDance, task: VideoTask, *, max_bytes: int = 1000) -> bytes: ...


async def taken(client: AsyncRelayDance, task: VideoTask, *, max_bytes: int = 1000) -> bytes:
    """All that the stream gives; it holds nothing afterwards, however it ends."""
    came = b""
    try:
        async with client.video.stream_content(task, max_bytes=max_bytes) as pieces:
            async for piece in pieces:
                came += piece
    finally:
        state = await held(client)
        assert (state.permits, state.streams) == (0, 0)
    return came


async def loaded(client: AsyncRelayDance, task: VideoTask, *, max_bytes: int = 1000) -> bytes:
    return await client.video.content(task, max_bytes=max_bytes)


BOTH = pytest.mark.parametrize("get", [taken, loaded], ids=["streamed", "whole"])


@BOTH
async def test_the_bytes_come_without_the_key(client: AsyncRelayDance, get: Get) -> None:
    host = Host(whole(b"0123456789"))
    async with host.running() as task:
        assert await get(client, task) == b"0123456789"
    assert "authorization" not in host.heads[0]


@BOTH
async def test_what_broke_off_is_gone_on_with_by_its_validator(client: AsyncRelayDance, get: Get) -> None:
    host = Host(whole(b"0123", ETAG, length=10), rest(b"456", 4, 10, ETAG), rest(b"789", 7, 10, ETAG))
    async with host.running() as task:
        assert await get(client, task) == b"0123456789"
    assert "range: bytes=4-\r\n" in host.heads[1]
    assert "range: bytes=7-\r\n" in host.heads[2]


@BOTH
async def test_redirects_are_followed_and_places_that_may_not_be_are_refused(client: AsyncRelayDance, get: Get) -> None:
    host = Host()
    async with host.running() as task:
        moved = "HTTP/1.1 302 Found\r\nlocation: {}\r\ncontent-length: 0\r\nconnection: close\r\n\r\n"
        host.answers[:] = [moved.format("/b").encode(), whole(b"0123456789")]
        assert await get(client, task) == b"0123456789"
        host.answers[:] = [moved.format("https://10.0.0.1/b").encode()]
        with pytest.raises(DownloadError, match="private address") as caught:
            await get(client, task)
    assert caught.value.kind == "refused host"


@BOTH
@pytest.mark.parametrize("told", [True, False])
async def test_more_than_allowed_is_stopped(client: AsyncRelayDance, get: Get, told: bool) -> None:
    answer = whole(b"0123456789") if told else b"HTTP/1.1 200 OK\r\nconnection: close\r\n\r\n0123456789"
    async with Host(answer).running() as task:
        with pytest.raises(DownloadError, match="max_bytes=9") as caught:
            await get(client, task, max_bytes=9)
    assert (caught.value.kind, caught.value.task_id) == ("too large", "t1")


@BOTH
async def test_nothing_and_a_page_are_no_clip(client: AsyncRelayDance, get: Get) -> None:
    for answer in (b"HTTP/1.1 200 OK\r\nconnection: close\r\n\r\n", whole(b"<html>", "content-type: text/html")):
        async with Host(answer).running() as task:
            with pytest.raises(DownloadError) as caught:
                await get(client, task)
        assert caught.value.kind == "broken"


async def test_a_task_without_a_clip_is_a_wrong_argument(client: AsyncRelayDance) -> None:
    task = VideoTask(task_id="t1", status="failed", raw_status="failed")
    with pytest.raises(InvalidInputError, match="no clip"):
        await client.video.content(task)
    with pytest.raises(InvalidInputError, match="no clip"):
        await taken(client, task)


async def test_without_a_validator_the_whole_is_loaded_again_but_a_stream_ends(client: AsyncRelayDance) -> None:
    host = Host(whole(b"0123", length=10), whole(b"0123456789"))
    async with host.running() as task:
        assert await client.video.content(task) == b"0123456789"
    host = Host(whole(b"0123", length=10), whole(b"0123456789"))
    async with host.running() as task:
        with pytest.raises(DownloadError) as caught:
            await taken(client, task)
    assert (caught.value.kind, caught.value.retryable, caught.value.task_id) == ("broken", True, "t1")
    assert host.connections == 1


@pytest.mark.parametrize(
    ("answer", "kind"),
    [
        (whole(b"0123456789", 'etag: "two"'), "changed"),
        (rest(b"456789", 4, 10, 'etag: "two"'), "changed"),
        (whole(b"", "content-range: bytes */3").replace(b"200 OK", b"416 No"), "changed"),
        (whole(b"0123456789", ETAG), "broken"),  # it can't do ranges
        (rest(b"56789", 5, 10, ETAG), "broken"),
    ],
)
async def test_what_a_stream_has_given_is_never_given_again(client: AsyncRelayDance, answer: bytes, kind: str) -> None:
    host = Host(whole(b"0123", ETAG, length=10), answer)
    async with host.running() as task, client.video.stream_content(task) as pieces:
        assert await anext(pieces) == b"0123"
        with pytest.raises(DownloadError) as caught:
            await anext(pieces)
    assert caught.value.kind == kind


async def test_a_stream_that_breaks_again_and_again_ends(client: AsyncRelayDance) -> None:
    answers = [whole(b"0", ETAG, length=10), *(rest(b"x", n, 10, ETAG) for n in range(1, 10))]
    host = Host(*answers)
    async with host.running() as task:
        with pytest.raises(DownloadError) as caught:
            await taken(client.with_options(retry=RetryPolicy(3)), task)
    assert caught.value.kind == "broken"
    assert host.connections == 3


async def test_leaving_a_stream_early_and_its_own_errors_give_everything_back(client: AsyncRelayDance) -> None:
    async with Host(whole(b"0123456789"), whole(b"0123456789")).running() as task:
        async with client.video.stream_content(task) as pieces:
            assert await anext(pieces)
        with pytest.raises(LookupError, match="of the caller"):
            async with client.video.stream_content(task) as pieces:
                raise LookupError("of the caller")
    state = await held(client)
    assert (state.permits, state.streams) == (0, 0)
