"""`video.download` against hosts, names and files that are not what they seem."""

from __future__ import annotations

import errno
import gc
import os
import socket
import sys
from collections.abc import AsyncGenerator, Callable
from pathlib import Path
from typing import Any

import anyio
import pytest

from relaydance_async import AsyncRelayDance, DownloadError, RelayDanceError, RetryPolicy
from relaydance_async.resources.download.part import PartFile
from tests.kit.clocks import QuickClock
from tests.kit.inside import make_client
from tests.resources.result_host import Host, rest, task_of, whole

pytestmark = pytest.mark.anyio


@pytest.fixture
async def client(transport: str) -> AsyncGenerator[AsyncRelayDance, None]:
    """Of an API on loopback, which is never called."""
    base_url = "http://127.0.0.1:9/v1"
    async with make_client("sk-1", base_url=base_url, transport=transport, clock=QuickClock().clock) as client:
        yield client


@pytest.fixture
async def outsider(transport: str) -> AsyncGenerator[AsyncRelayDance, None]:
    """Of an API elsewhere, so that loopback is as private as any other network."""
    base_url = "https://relaydance.example/v1"
    async with make_client("sk-1", base_url=base_url, transport=transport, clock=QuickClock().clock) as client:
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
    host = Host(whole(b"0123456789", 'etag: "one"'))
    async with host.running() as task:
        for name in ("a.mp4", "clip.mp4"):
            with pytest.raises(DownloadError, match="can't be written") as caught:
                await client.video.download(task, clips / name)
            assert caught.value.kind == "path"
        await client.video.download(task, clips / "b.mp4")
    assert names(clips) == ["a.mp4.t1.part", "b.mp4", "clip.mp4"]
    assert (clips / "clip.mp4").is_symlink()
    assert outside.exists() is not dangling
    assert dangling or outside.read_bytes() == b"precious"


async def test_a_pipe_in_its_place_is_an_error_and_no_wait(client: AsyncRelayDance, tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "clip.mp4.t1.part")
    with pytest.raises(DownloadError, match="not a plain file"):
        await client.video.download(task_of("http://127.0.0.1:9/a.mp4"), tmp_path / "clip.mp4")


@pytest.mark.parametrize("ending", ["part", "etag.part"])
async def test_a_part_with_another_name_is_somebodys_file_and_stays_as_it_is(
    client: AsyncRelayDance, tmp_path: Path, ending: str
) -> None:
    (tmp_path / "precious").write_bytes(b"precious")
    (tmp_path / f"clip.mp4.t1.{ending}").hardlink_to(tmp_path / "precious")
    host = Host(whole(b"0123456789", 'etag: "one"'))
    async with host.running() as task:
        if ending == "part":
            with pytest.raises(DownloadError, match="hard links") as caught:
                await client.video.download(task, tmp_path / "clip.mp4")
            assert caught.value.kind == "path"
        else:  # only that name of it is taken away
            await client.video.download(task, tmp_path / "clip.mp4")
    assert (tmp_path / "precious").read_bytes() == b"precious"


async def test_a_note_with_another_name_is_never_written_to(client: AsyncRelayDance, tmp_path: Path) -> None:
    (tmp_path / "precious").write_bytes(b'"one"')
    part = PartFile(tmp_path / "clip.mp4", "t1")
    part.open()
    part.restart('"two"')
    part.hold(b"abcd")
    (tmp_path / "clip.mp4.t1.etag.part").hardlink_to(tmp_path / "precious")
    with pytest.raises(OSError, match="hard links"):
        part.write()
    part.close()
    assert (tmp_path / "precious").read_bytes() == b'"one"'


# What lies in the place of the clip.


@pytest.mark.parametrize("kind", ["fifo", "socket", "link to a file", "link to nothing", "link to itself", "device"])
async def test_what_is_no_file_is_not_replaced(client: AsyncRelayDance, tmp_path: Path, kind: str) -> None:
    target = tmp_path / "clip.mp4"
    listener = socket.socket(socket.AF_UNIX)
    match kind:
        case "fifo":
            os.mkfifo(target)
        case "socket":
            listener.bind(str(target))
        case "link to a file":
            (tmp_path / "other").touch()
            target.symlink_to(tmp_path / "other")
        case "link to itself":
            target.symlink_to(target)
        case "device":
            target = Path(os.devnull)
        case _:
            target.symlink_to(tmp_path / "nothing")
    before = names(tmp_path)
    host = Host()
    async with host.running() as task:
        with pytest.raises(DownloadError, match="can't be written") as caught:
            await client.video.download(task, target)
    listener.close()
    assert (caught.value.kind, caught.value.task_id) == ("path", "t1")
    assert host.connections == 0
    assert names(tmp_path) == before


async def test_a_link_to_a_directory_is_a_directory(client: AsyncRelayDance, tmp_path: Path) -> None:
    (tmp_path / "clips").mkdir()
    (tmp_path / "link").symlink_to(tmp_path / "clips")
    host = Host(whole(b"0123456789"))
    async with host.running() as task:
        assert await client.video.download(task, tmp_path / "link") == tmp_path / "link" / "t1.mp4"
    assert (tmp_path / "clips" / "t1.mp4").read_bytes() == b"0123456789"


async def test_a_file_that_is_there_is_kept_when_asked_before_anything_is_sent(
    client: AsyncRelayDance, tmp_path: Path
) -> None:
    (tmp_path / "clip.mp4").write_bytes(b"older")
    (tmp_path / "t1.mp4").write_bytes(b"older")
    for task in ("t1", task_of("http://127.0.0.1:9/a.mp4")):  # where nobody listens
        for place in (tmp_path / "clip.mp4", tmp_path):
            with pytest.raises(DownloadError, match="overwrite=False") as caught:
                await client.video.download(task, place, overwrite=False)
            assert (caught.value.kind, caught.value.task_id) == ("path", "t1")
    assert [(tmp_path / name).read_bytes() for name in names(tmp_path)] == [b"older", b"older"]


@pytest.mark.parametrize("links", [True, False])
async def test_without_overwriting_a_clip_comes_where_nothing_is(
    client: AsyncRelayDance, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, links: bool
) -> None:
    if not links:

        def refuse(*args: object, **kwargs: object) -> None:
            raise PermissionError(errno.EPERM, "Operation not permitted")  # as vfat says it

        monkeypatch.setattr(os, "link", refuse)
    host = Host(whole(b"0123456789", 'etag: "one"'))
    async with host.running() as task:
        path = await client.video.download(task, tmp_path / "clip.mp4", overwrite=False)
    assert path.read_bytes() == b"0123456789"
    assert path.stat().st_nlink == 1
    assert names(tmp_path) == ["clip.mp4"]


async def test_a_file_that_comes_meanwhile_is_kept_too(tmp_path: Path) -> None:
    part = PartFile(tmp_path / "clip.mp4", "t1", overwrite=False)
    part.open()
    part.restart('"one"')
    part.hold(b"0123456789")
    (tmp_path / "clip.mp4").write_bytes(b"another's")
    with pytest.raises(FileExistsError, match="overwrite=False"):
        part.finish()
    part.close()
    assert (tmp_path / "clip.mp4").read_bytes() == b"another's"
    assert (tmp_path / "clip.mp4.t1.part").read_bytes() == b"0123456789"


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


async def test_a_download_that_is_refused_leaves_the_other_its_file(tmp_path: Path) -> None:
    first, second = PartFile(tmp_path / "clip.mp4", "t1"), PartFile(tmp_path / "clip.mp4", "t1")
    first.open()
    with pytest.raises(OSError, match="another download is writing it"):
        second.open()
    second.close()
    first.hold(b"0123456789")
    assert first.finish().read_bytes() == b"0123456789"


@pytest.mark.skipif(sys.platform == "win32", reason="there are no such locks")
async def test_a_file_that_gets_its_name_before_it_is_locked_is_left_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import fcntl

    part, real = PartFile(tmp_path / "clip.mp4", "t1"), fcntl.flock

    def finished_by_another(*arguments: Any) -> None:
        (tmp_path / "clip.mp4.t1.part").rename(tmp_path / "clip.mp4")
        real(*arguments)

    monkeypatch.setattr(fcntl, "flock", finished_by_another)
    with pytest.raises(OSError, match="another download has just finished it"):
        part.open()
    part.close()
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
    client = make_client("sk-1", base_url=base_url, transport=transport, clock=QuickClock().clock)
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
