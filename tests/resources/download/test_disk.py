"""`video.download` and the disk: never on the event loop, refused in plain words, and cancelled at any time."""

from __future__ import annotations

import asyncio
import errno
import os
import threading
import types
from collections.abc import AsyncGenerator, Callable, Generator
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path
from typing import Any

import anyio
import anyio.to_thread
import pytest

from relaydance_async import AsyncRelayDance, DownloadError, RetryPolicy, VideoTask
from relaydance_async.resources.download import disk
from relaydance_async.resources.download import part as part_module
from relaydance_async.resources.download.part import PartFile
from tests.kit.clocks import QuickClock
from tests.kit.inside import make_client
from tests.kit.probe import held
from tests.resources.result_host import Host, rest, whole

pytestmark = pytest.mark.anyio

ETAG = 'etag: "one"'
CLIP = bytes(range(250)) * 20_000


@pytest.fixture
async def client(transport: str) -> AsyncGenerator[AsyncRelayDance, None]:
    """Of an API on loopback, which is never called."""
    base_url = "http://127.0.0.1:9/v1"
    async with make_client(
        "sk-1",
        base_url=base_url,
        transport=transport,
        retry=RetryPolicy(1),
        clock=QuickClock().clock,
    ) as client:
        yield client


async def test_no_disk_call_is_made_by_the_event_loop(
    client: AsyncRelayDance, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def download(task: VideoTask) -> None:
        await client.video.download(task, tmp_path)

    host = Host(whole(CLIP[:3_000_000], ETAG, length=len(CLIP)), rest(CLIP[3_000_000:], 3_000_000, len(CLIP), ETAG))
    async with host.running() as task:
        threads: dict[str, set[int]] = {}
        names = ("open", "fstat", "stat", "write", "writev", "replace", "rename", "unlink")

        def watched(name: str, call: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
            if isinstance(args[0], int) or str(args[0]).startswith(str(tmp_path)):
                threads.setdefault(name, set()).add(threading.get_ident())
            return call(*args, **kwargs)

        with monkeypatch.context() as patch:
            for name in names:
                patch.setattr(os, name, partial(watched, name, getattr(os, name)))
            with pytest.raises(DownloadError, match="broke"):
                await download(task)
            await download(task)
    assert (tmp_path / "t1.mp4").read_bytes() == CLIP
    assert {"open", "fstat", "writev", "unlink"} <= set(threads)
    assert [name for name, seen in threads.items() if threading.get_ident() in seen] == []


async def refused(client: AsyncRelayDance, to: Path, *answers: bytes) -> str:
    """What the error says of a download that can't be written."""
    async with Host(*answers or [whole(CLIP, ETAG)]).running() as task:
        error: DownloadError | None = None
        try:
            await client.video.download(task, to)
        except DownloadError as caught:
            error = caught
    assert error is not None
    assert error.task_id == "t1"
    assert not error.retryable
    assert (await held(client)).permits == 0
    return error.message


async def test_a_full_disk_is_told_and_what_fits_is_kept(
    client: AsyncRelayDance, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    room = 2_500_000

    def write(number: int, pieces: list[bytes]) -> None:
        nonlocal room
        piece = b"".join(pieces)
        room -= os.write(number, piece[:room])
        if room == 0:
            raise OSError(errno.ENOSPC, "No space left on device")

    part = tmp_path / "clip.mp4.t1.part"
    with monkeypatch.context() as patch:
        patch.setattr(part_module, "_write_all", write)
        told = await refused(client, tmp_path / "clip.mp4")
    assert told == f"it can't be written to {part}: No space left on device"
    assert part.read_bytes() == CLIP[:2_500_000]


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("missing/clip.mp4", "there is no directory"),
        ("n" * 250, "File name too long"),
        ("n" * 300, "File name too long"),
        ("file/clip.mp4", "there is no directory"),
    ],
)
async def test_a_place_where_nothing_can_be_is_told(
    client: AsyncRelayDance, tmp_path: Path, name: str, said: str
) -> None:
    (tmp_path / "file").touch()
    assert said in await refused(client, tmp_path / name)
    assert [item.name for item in tmp_path.iterdir()] == ["file"]


@pytest.mark.parametrize(
    ("number", "kind"),
    [
        *[(errno.ENOSPC, "disk"), (errno.EDQUOT, "disk"), (errno.EIO, "disk"), (errno.EFBIG, "disk")],
        *[(errno.EACCES, "path"), (errno.EROFS, "path"), (errno.ENAMETOOLONG, "path"), (errno.ELOOP, "path")],
    ],
)
@pytest.mark.parametrize("call", ["open", "replace", "writev"])
async def test_every_refusal_of_the_disk_has_its_kind(
    client: AsyncRelayDance, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, call: str, number: int, kind: str
) -> None:
    def refuse(*args: Any, **kwargs: Any) -> Any:
        raise OSError(number, os.strerror(number))

    (tmp_path / "clip.mp4").write_bytes(b"older")
    async with Host(whole(CLIP, ETAG)).running() as task:
        with monkeypatch.context() as patch:
            patch.setattr(os, call, refuse)
            with pytest.raises(DownloadError, match=os.strerror(number)) as caught:
                await client.video.download(task, tmp_path / "clip.mp4")
    assert caught.value.kind == kind
    assert (tmp_path / "clip.mp4").read_bytes() == b"older"


@pytest.mark.parametrize("call", ["open", "replace", "writev"])
async def test_a_permission_that_is_lost_is_told(
    client: AsyncRelayDance, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, call: str
) -> None:
    def refuse(*args: Any, **kwargs: Any) -> Any:
        place = None if call == "writev" else str(args[0])
        raise PermissionError(errno.EACCES, "Permission denied", place)

    with monkeypatch.context() as patch:
        patch.setattr(os, call, refuse)
        told = await refused(client, tmp_path / "clip.mp4")
    assert told == f"it can't be written to {tmp_path / 'clip.mp4.t1.part'}: Permission denied"
    assert not (tmp_path / "clip.mp4").exists()


async def test_a_directory_that_is_gone_is_told(client: AsyncRelayDance, tmp_path: Path) -> None:
    clips = tmp_path / "clips"
    clips.mkdir()
    write_all = part_module._write_all  # pyright: ignore[reportPrivateUsage]

    def write_and_remove(number: int, pieces: list[bytes]) -> None:
        write_all(number, pieces)
        if clips.exists():
            clips.rename(tmp_path / "elsewhere")

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(part_module, "_write_all", write_and_remove)
        told = await refused(client, clips / "clip.mp4")
    assert told == f"it can't be written to {clips / 'clip.mp4.t1.part'}: No such file or directory"


# Cancelled while a thread writes.


class SlowDisk:
    """One whose writes end when they are let."""

    def __init__(self, patch: pytest.MonkeyPatch) -> None:
        self.writing = threading.Event()
        self.let = threading.Event()
        self._write = part_module._write_some  # pyright: ignore[reportPrivateUsage]
        patch.setattr(part_module, "_write_some", self._write_slowly)

    def _write_slowly(self, number: int, pieces: list[bytes]) -> int:
        self.writing.set()
        assert self.let.wait(10)
        return self._write(number, pieces)

    async def reached(self) -> None:
        assert await anyio.to_thread.run_sync(self.writing.wait, 10)


@asynccontextmanager
async def stuck(
    client: AsyncRelayDance, to: Path, monkeypatch: pytest.MonkeyPatch
) -> AsyncGenerator[tuple[SlowDisk, asyncio.Task[Path]], None]:
    """A download whose disk doesn't come to an end."""
    with monkeypatch.context() as patch:
        slow = SlowDisk(patch)
        async with Host(whole(CLIP, ETAG), rest(b"", 0, 1)).running() as task:
            download = asyncio.create_task(client.video.download(task, to))
            await slow.reached()
            try:
                yield slow, download
            finally:
                slow.let.set()


async def closers() -> None:
    """Wait for the threads that were left behind."""
    for thread in threading.enumerate():
        if thread.name == "relaydance-close":
            await anyio.to_thread.run_sync(thread.join, 5)


@pytest.mark.parametrize("times", [1, 5])
async def test_a_cancelled_download_has_ended_when_its_file_is_closed(
    client: AsyncRelayDance, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, times: int
) -> None:
    async with stuck(client, tmp_path / "clip.mp4", monkeypatch) as (slow, download):
        for _ in range(times):
            download.cancel()
            await anyio.sleep(0.02)
        assert not download.done()
        slow.let.set()
        await asyncio.wait([download])
        assert download.cancelled()
        kept = (tmp_path / "clip.mp4.t1.part").read_bytes()
        again = PartFile(tmp_path / "clip.mp4", "t1")
        again.open()  # at once
        again.close()
    assert len(kept) > 1_000_000
    assert CLIP.startswith(kept)
    assert not (tmp_path / "clip.mp4").exists()
    assert (await held(client)).permits == 0


async def test_a_disk_that_never_answers_keeps_nobody_for_long(
    client: AsyncRelayDance, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(disk, "_CLOSE_SECONDS", 0.05)
    async with stuck(client, tmp_path / "clip.mp4", monkeypatch) as (_, download):
        download.cancel()
        await asyncio.wait([download])
        assert download.cancelled()
    await closers()
    assert CLIP.startswith((tmp_path / "clip.mp4.t1.part").read_bytes())


async def test_a_download_that_nobody_waits_for_any_more_closes_its_file(tmp_path: Path) -> None:
    part = PartFile(tmp_path / "clip.mp4", "t1")
    part.open()
    part.restart('"one"')
    part.hold(b"abcd")

    @types.coroutine
    def forever() -> Generator[None, None, None]:
        yield

    async def download() -> None:
        try:
            await forever()
        finally:
            await disk.close_at_last(part)

    dropped = download()
    dropped.send(None)
    dropped.close()
    await closers()
    assert (tmp_path / "clip.mp4.t1.part").read_bytes() == b"abcd"


async def test_without_a_thread_to_be_had_it_is_closed_all_the_same(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(self: threading.Thread) -> None:
        raise RuntimeError("can't start new thread")

    part = PartFile(tmp_path / "clip.mp4", "t1")
    part.open()
    with monkeypatch.context() as patch:
        patch.setattr(threading.Thread, "start", refuse)
        await disk.close_at_last(part)
    assert part.is_closed
    assert list(tmp_path.iterdir()) == []
