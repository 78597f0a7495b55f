"""`video.download` against hosts, names and files that are not what they seem."""

from __future__ import annotations

import gc
import os
import socket
from collections.abc import AsyncGenerator, Callable
from pathlib import Path
from typing import Any

import anyio
import pytest

from relaydance_async import AsyncRelayDance, DownloadError, RelayDanceError, RetryPolicy
from relaydance_async.resources.download.part import PartFile
from tests.kit.clocks import QuickClock
from tests.resources.result_host import Host, rest, task_of, whole

pytestmark = pytest.mark.anyio


@pytest.fixture
async def client(transport: str) -> AsyncGenerator[AsyncRelayDance, None]:
    """Of an API on loopback, which is never called."""
    base_url = "http://127.0.0.1:9/v1"
    async with AsyncRelayDance("sk-1", base_url=base_url, transport=transport, _clock=QuickClock().clock) as client:  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
        yield client


@pytest.fixture
async def outsider(transport: str) -> AsyncGenerator[AsyncRelayDance, None]:
    """Of an API elsewhere, so that loopback is as private as any other network."""
    base_url = "https://relaydance.example/v1"
    async with AsyncRelayDance("sk-1", base_url=base_url, transport=transport, _clock=QuickClock().clock) as client:  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
        yield client


def names(directory: Path) -> list[str]:
    return sorted(item.name for item in directory.iterdir())


# What is continued.


@pytest.mark.parametrize("validator", ['etag: "one"', "last-modified: Sun, 06 Nov 1994 08:49:37 GMT"])
async def test_the_rest_is_asked_for_by_the_validator_of_the_part(
    client: AsyncRelayDance, tmp_path: Path, validator: str
) -> None:
    host = Host(whole(b"abcd", validator, length=10), rest(b"efghij", 4, 10, validator))
    async with host.running() as task:
        path = await client.video.download(task, tmp_path / "clip.mp4")
    assert path.read_bytes() == b"abcdefghij"
    assert names(tmp_path) == ["clip.mp4"]
    assert "range: bytes=4-\r\n" in host.heads[1]
    assert f"if-range: {validator.partition(': ')[2].lower()}\r\n" in host.heads[1]


async def test_a_file_that_changed_is_fetched_from_the_start(client: AsyncRelayDance, tmp_path: Path) -> None:
    host = Host(whole(b"abcd", 'etag: "one"', length=10), whole(b"0123456789", 'etag: "two"'))
    async with host.running() as task:
        path = await client.video.download(task, tmp_path / "clip.mp4")
    assert path.read_bytes() == b"0123456789"


async def test_a_range_of_another_file_is_never_added(client: AsyncRelayDance, tmp_path: Path) -> None:
    host = Host(
        whole(b"abcd", 'etag: "one"', length=10),
        rest(b"456789", 4, 10, 'etag: "two"'),  # it doesn't know If-Range
        whole(b"0123456789", 'etag: "two"'),
    )
    async with host.running() as task:
        path = await client.video.download(task, tmp_path / "clip.mp4")
    assert path.read_bytes() == b"0123456789"
    assert "range" not in host.heads[2]


@pytest.mark.parametrize("header", ['etag: W/"one"', "x-nothing: 1", "etag: \xff"])
async def test_without_a_strong_validator_nothing_is_continued(
    client: AsyncRelayDance, tmp_path: Path, header: str
) -> None:
    host = Host(whole(b"abcd", header, length=10), whole(b"0123456789", header))
    async with host.running() as task:
        path = await client.video.download(task, tmp_path / "clip.mp4")
    assert path.read_bytes() == b"0123456789"
    assert "range" not in host.heads[1]


async def test_a_part_that_nothing_can_go_on_from_is_removed(client: AsyncRelayDance, tmp_path: Path) -> None:
    host = Host(whole(b"abcd", length=10))
    async with host.running() as task:
        with pytest.raises(DownloadError):
            await client.with_options(retry=RetryPolicy(1)).video.download(task, tmp_path / "clip.mp4")
    assert names(tmp_path) == []


async def test_a_part_of_unknown_origin_is_not_continued(client: AsyncRelayDance, tmp_path: Path) -> None:
    (tmp_path / "clip.mp4.t1.part").write_bytes(b"abcd")
    host = Host(whole(b"0123456789", 'etag: "one"'))
    async with host.running() as task:
        path = await client.video.download(task, tmp_path / "clip.mp4")
    assert path.read_bytes() == b"0123456789"
    assert "range" not in host.heads[0]


# What lies in the place of the part.


@pytest.mark.parametrize("dangling", [True, False])
async def test_no_link_is_followed(client: AsyncRelayDance, tmp_path: Path, dangling: bool) -> None:
    outside, clips = tmp_path / "outside", tmp_path / "clips"
    if not dangling:
        outside.write_bytes(b"precious")
    clips.mkdir()
    for name in ("clip.mp4", "a.mp4.t1.part", "b.mp4.t1.etag.part"):
        (clips / name).symlink_to(outside)
    host = Host(*3 * [whole(b"0123456789", 'etag: "one"')])
    async with host.running() as task:
        with pytest.raises(DownloadError, match="can't be written"):
            await client.video.download(task, clips / "a.mp4")
        await client.video.download(task, clips / "b.mp4")
        await client.video.download(task, clips / "clip.mp4")
    assert names(clips) == ["a.mp4.t1.part", "b.mp4", "clip.mp4"]
    assert not (clips / "clip.mp4").is_symlink()
    assert outside.exists() is not dangling
    assert dangling or outside.read_bytes() == b"precious"


async def test_a_pipe_in_its_place_is_an_error_and_no_wait(client: AsyncRelayDance, tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "clip.mp4.t1.part")
    with pytest.raises(DownloadError, match="not a plain file"):
        await client.video.download(task_of("http://127.0.0.1:9/a.mp4"), tmp_path / "clip.mp4")


async def test_two_downloads_of_one_clip_do_not_write_one_file(client: AsyncRelayDance, tmp_path: Path) -> None:
    host = Host(whole(b"0123456789", 'etag: "one"'))
    another = PartFile(tmp_path / "clip.mp4", "t1")
    another.open()
    async with host.running() as task:
        with pytest.raises(DownloadError, match="another download is writing it"):
            await client.video.download(task, tmp_path / "clip.mp4")
        assert host.connections == 0
        another.hold(b"abcd")
        another.close()
        path = await client.video.download(task, tmp_path / "clip.mp4")
    assert path.read_bytes() == b"0123456789"
    assert names(tmp_path) == ["clip.mp4"]


# Where it may come from.


@pytest.fixture
def seem_public(monkeypatch: pytest.MonkeyPatch) -> Callable[[], None]:
    """Have the look-up before the download answer with a public address, as a name that is rebound does."""

    def have() -> None:
        async def getaddrinfo(host: str, port: int) -> list[Any]:
            return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", ("93.184.216.34", port))]

        monkeypatch.setattr(anyio, "getaddrinfo", getaddrinfo)

    return have


async def test_a_name_that_is_rebound_gets_no_byte(
    outsider: AsyncRelayDance, tmp_path: Path, seem_public: Callable[[], None]
) -> None:
    seem_public()
    host = Host()
    async with host.running():
        task = task_of(f"https://0x7f.1:{host.port}/a.mp4")  # which is 127.0.0.1 when it is connected to
        with pytest.raises(DownloadError, match=r"has the private address 127\.0\.0\.1"):
            await outsider.video.download(task, tmp_path / "clip.mp4")
    assert host.heads == []
    assert names(tmp_path) == []


async def test_a_client_that_is_dropped_after_a_refused_download_leaves_nothing(
    transport: str, tmp_path: Path, seem_public: Callable[[], None]
) -> None:
    seem_public()
    base_url = "https://relaydance.example/v1"
    client = AsyncRelayDance("sk-1", base_url=base_url, transport=transport, _clock=QuickClock().clock)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    host = Host()
    async with host.running():
        with pytest.raises(DownloadError, match="private address"):
            await client.video.download(task_of(f"https://0x7f.1:{host.port}/a.mp4"), tmp_path / "clip.mp4")
    del client
    gc.collect()  # what was not closed would warn


NUMBERS = ["2130706433", "0x7f000001", "0177.0.0.1", "127.1", "0x7f.0x0.0x0.0x1", "2852039166", "[::ffff:7f00:1]"]


@pytest.mark.parametrize("host", [*NUMBERS, "localhost", "[64:ff9b::7f00:1]", "[2002:7f00:1::]"])
async def test_no_form_of_a_private_address_is_taken(outsider: AsyncRelayDance, tmp_path: Path, host: str) -> None:
    with pytest.raises(DownloadError, match="private address"):
        await outsider.video.download(task_of(f"https://{host}:1/a.mp4"), tmp_path / "clip.mp4")
    assert names(tmp_path) == []


@pytest.mark.parametrize("host", ["\u00e4..example", "\u2603\u200d.example", "\ud800.example", "[::1", "a b", ""])
async def test_a_host_that_is_no_name_is_never_another_kind_of_error(
    outsider: AsyncRelayDance, tmp_path: Path, host: str
) -> None:
    with pytest.raises(DownloadError):
        await outsider.video.download(task_of(f"https://{host}/a.mp4"), tmp_path / "clip.mp4", allow_private_hosts=True)
    with pytest.raises(DownloadError):
        await outsider.video.download(task_of(f"https://{host}/a.mp4"), tmp_path / "clip.mp4")
    assert names(tmp_path) == []


@pytest.mark.parametrize("place", ["me:pw@127.0.0.1:9", "me@127.0.0.1:9", "relaydance.com@127.0.0.1:9", "@127.0.0.1:9"])
async def test_a_url_with_a_user_name_is_refused(client: AsyncRelayDance, tmp_path: Path, place: str) -> None:
    with pytest.raises(DownloadError, match="holds a user name") as caught:
        await client.video.download(task_of(f"http://{place}/a.mp4"), tmp_path / "clip.mp4")
    assert "pw" not in str(caught.value)


@pytest.mark.parametrize("length", ["-1", "1e3", "\xb2", "9" * 5000, "0x10", "5, 6"])
async def test_a_length_that_is_none_is_never_another_kind_of_error(
    client: AsyncRelayDance, tmp_path: Path, length: str
) -> None:
    host = Host(f"HTTP/1.1 200 OK\r\ncontent-length: {length}\r\nconnection: close\r\n\r\nclip".encode("latin-1"))
    async with host.running() as task:
        try:
            path = await client.with_options(retry=RetryPolicy(1)).video.download(task, tmp_path / "clip.mp4")
        except RelayDanceError as error:
            assert isinstance(error, DownloadError)  # noqa: PT017  (or it may succeed)
        else:
            assert path.read_bytes() == b"clip"
