"""`files.upload` of what changes, never begins, never ends, or is no file: told in plain words, and never half sent."""

from __future__ import annotations

import asyncio
import errno
import gzip
import hashlib
import io
import os
import socket
import subprocess
import sys
import tempfile
import threading
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from pathlib import Path
from typing import Any, BinaryIO, cast

import anyio
import anyio.lowlevel
import anyio.to_thread
import pytest

from relaydance_async import (
    APITimeoutError,
    AsyncRelayDance,
    InvalidInputError,
    RelayDanceError,
    RequestTooLargeError,
    Timeout,
)
from relaydance_async.resources._open_file import open_file
from relaydance_async.sandbox import Fault, Sandbox
from tests.kit.clocks import QuickClock
from tests.kit.probe import held
from tests.kit.routes import FILES
from tests.resources.support import Bench

pytestmark = pytest.mark.anyio

LARGE = b"".join(bytes([n]) * 1024 * 1024 for n in range(4)) + b"rest"


def stored(sandbox: Sandbox) -> str | None:
    """Digest of the last file that the server accepted."""
    entry = sandbox.ledger.entries[-1]
    assert entry.accepted
    return entry.body_sha256


def digest(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


@pytest.fixture
def pipe() -> Iterator[tuple[BinaryIO, BinaryIO]]:
    """What is read, and what is written, each without a buffer."""
    reader, writer = (os.fdopen(end, mode, 0) for end, mode in zip(os.pipe(), ("rb", "wb"), strict=True))
    with cast(BinaryIO, reader) as readable, cast(BinaryIO, writer) as writable:
        yield readable, writable


# A file that changes.


class Changing(io.BytesIO):
    """A file that is changed after its first piece has been read."""

    def __init__(self, change: Callable[[io.BytesIO], object]) -> None:
        super().__init__(LARGE)
        self._change: Callable[[io.BytesIO], object] | None = change

    def read(self, size: int | None = -1, /) -> bytes:
        piece = super().read(size)
        if self._change is not None:
            change, self._change = self._change, None
            change(self)
        return piece


def shrink(file: io.BytesIO) -> None:
    file.truncate(1024 * 1024 + 5)


def grow(file: io.BytesIO) -> None:
    file.getbuffer()  # it is one
    file.seek(0, os.SEEK_END)
    file.write(b"POST /smuggled HTTP/1.1\r\n\r\n")


@pytest.mark.parametrize(("change", "said"), [(shrink, "shrank"), (grow, "grew")])
async def test_a_file_that_changes_its_length_is_told_and_never_accepted(
    client: AsyncRelayDance, sandbox: Sandbox, change: Callable[[io.BytesIO], object], said: str
) -> None:
    with pytest.raises(InvalidInputError, match=f"{said} while it was sent") as caught:
        await client.files.upload(Changing(change))
    assert not caught.value.maybe_accepted
    assert not caught.value.retryable
    assert len(caught.value.attempts) == 1
    assert sandbox.ledger.accepted(FILES) == 0
    assert (await held(client)).permits == 0
    assert (await client.models.list()).data


@pytest.mark.parametrize(("by", "said"), [(-5, "shrank"), (5, "grew")])
async def test_a_path_whose_file_changes_is_told_too(
    client: AsyncRelayDance, sandbox: Sandbox, tmp_path: Path, by: int, said: str
) -> None:
    path = tmp_path / "a.bin"
    path.write_bytes(LARGE)

    def change(done: int, total: int | None) -> None:
        os.truncate(path, len(LARGE) + by)

    with pytest.raises(InvalidInputError, match=f"{said} while it was sent"):
        await client.files.upload(path, on_progress=change)
    assert sandbox.ledger.accepted(FILES) == 0


# What can't be read.


async def test_a_path_that_can_not_be_read_is_a_wrong_argument(
    client: AsyncRelayDance, sandbox: Sandbox, tmp_path: Path
) -> None:
    (tmp_path / "loop").symlink_to(tmp_path / "loop")
    os.mkfifo(tmp_path / "fifo")
    for name in ("missing", "n" * 300, "a\0b", "\ud800", "", "loop", "loop/a", "fifo"):
        with pytest.raises(InvalidInputError):
            await client.files.upload(tmp_path / name)
    with pytest.raises(InvalidInputError, match="not a file"):
        await client.files.upload(os.devnull)
    assert sandbox.ledger.entries == []


def pipe_at(path: Path) -> None:
    path.unlink(missing_ok=True)
    os.mkfifo(path)


def device_at(path: Path) -> None:
    path.unlink(missing_ok=True)
    path.symlink_to("/dev/zero")


def directory_at(path: Path) -> None:
    path.unlink(missing_ok=True)
    path.mkdir()


@pytest.mark.parametrize("replace", [pipe_at, device_at, directory_at])
async def test_what_comes_in_place_of_a_file_before_it_is_sent_is_not_waited_for(
    bench: Bench, tmp_path: Path, replace: Callable[[Path], None]
) -> None:
    path = tmp_path / "a.bin"
    path.write_bytes(LARGE)

    def pause(_: float) -> None:
        replace(path)  # between two attempts

    sandbox, client = bench.start(pace=QuickClock(pause), faults=[Fault(FILES, status=503, times=1)])
    with anyio.fail_after(30), pytest.raises(InvalidInputError, match="is not a file"):
        await client.files.upload(path)
    assert (sandbox.ledger.count(FILES), sandbox.ledger.accepted(FILES)) == (1, 0)
    assert (await held(client)).permits == 0


@pytest.mark.parametrize("replace", [pipe_at, device_at, directory_at])
def test_what_comes_in_place_of_a_file_as_it_is_opened_is_not_taken(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, replace: Callable[[Path], None]
) -> None:
    path = tmp_path / "a.bin"
    path.write_bytes(LARGE)
    real = os.open

    def late(name: Any, flags: int) -> int:
        replace(path)
        return real(name, flags)

    monkeypatch.setattr(os, "open", late)
    before = len(os.listdir("/dev/fd"))
    with pytest.raises(InvalidInputError, match=r"is not a file|Is a directory"):
        open_file(path)
    assert len(os.listdir("/dev/fd")) == before


def test_a_file_that_another_program_has_a_lease_on_is_waited_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "a.bin"
    path.write_bytes(LARGE)
    real = os.open

    def leased(name: Any, flags: int) -> int:
        if flags & os.O_NONBLOCK:
            raise BlockingIOError(errno.EWOULDBLOCK, "a lease")
        return real(name, flags)

    monkeypatch.setattr(os, "open", leased)
    with open_file(path) as file:
        assert file.read() == LARGE


@pytest.mark.parametrize("number", [errno.EIO, errno.EACCES, errno.ESTALE])
@pytest.mark.parametrize("late", [True, False])
async def test_a_disk_that_fails_is_told_in_its_words(
    client: AsyncRelayDance, sandbox: Sandbox, number: int, late: bool
) -> None:
    class Broken(io.BytesIO):
        def read(self, size: int | None = -1, /) -> bytes:
            if late and self.tell() == 0:
                return super().read(size)
            raise OSError(number, os.strerror(number))

    with pytest.raises(InvalidInputError, match=f"can't read the file: {os.strerror(number)}"):
        await client.files.upload(Broken(LARGE))
    assert sandbox.ledger.accepted(FILES) == 0


async def test_a_file_that_is_closed_or_only_written_to_is_refused_before_anything_is_sent(
    client: AsyncRelayDance, sandbox: Sandbox, tmp_path: Path
) -> None:
    with (tmp_path / "a").open("wb") as file, pytest.raises(InvalidInputError, match="not open for reading"):
        await client.files.upload(cast(BinaryIO, file))
    with pytest.raises(InvalidInputError, match="closed"):
        await client.files.upload(cast(BinaryIO, file))
    assert sandbox.ledger.entries == []


async def test_a_device_is_refused_because_it_may_have_no_end(client: AsyncRelayDance, sandbox: Sandbox) -> None:
    with Path("/dev/zero").open("rb") as file, pytest.raises(InvalidInputError, match="device"):
        await client.files.upload(file)
    assert sandbox.ledger.entries == []


async def test_a_pipe_that_does_not_block_is_refused_because_its_end_is_not_seen(
    client: AsyncRelayDance, sandbox: Sandbox, pipe: tuple[BinaryIO, BinaryIO]
) -> None:
    os.set_blocking(pipe[0].fileno(), False)
    with pytest.raises(InvalidInputError, match="non-blocking"):
        await client.files.upload(pipe[0])
    assert sandbox.ledger.entries == []


@pytest.mark.parametrize("gives", [None, 5, "text"])
async def test_what_gives_no_bytes_is_never_taken_for_its_end(
    client: AsyncRelayDance, sandbox: Sandbox, gives: object
) -> None:
    class Odd:
        def read(self, size: int = -1) -> object:
            return gives

    with pytest.raises(InvalidInputError, match=r"bytes|'rb'"):
        await client.files.upload(cast(BinaryIO, Odd()))
    assert sandbox.ledger.accepted(FILES) == 0


async def test_a_temporary_file_that_is_open_as_text_is_refused(client: AsyncRelayDance, sandbox: Sandbox) -> None:
    with tempfile.SpooledTemporaryFile(mode="w+") as file:
        file.write("text")
        file.seek(0)
        with pytest.raises(InvalidInputError, match="'rb'"):
            await client.files.upload(cast(BinaryIO, file))
    assert sandbox.ledger.accepted(FILES) == 0


# What is a file of another kind.


@pytest.mark.parametrize("rolled", [True, False])
async def test_a_spooled_file_is_sent_from_where_it_stands(
    client: AsyncRelayDance, sandbox: Sandbox, rolled: bool
) -> None:
    with tempfile.SpooledTemporaryFile(max_size=10 if rolled else 0) as file:
        file.write(b"before" + LARGE)
        file.seek(6)
        await client.files.upload(cast(BinaryIO, file))
    assert stored(sandbox) == digest(LARGE)


async def test_what_tells_no_length_is_sent_to_its_end(
    client: AsyncRelayDance, sandbox: Sandbox, tmp_path: Path
) -> None:
    with gzip.open(tmp_path / "a.gz", "wb") as file:
        file.write(LARGE)
    with gzip.open(tmp_path / "a.gz", "rb") as file:
        await client.files.upload(cast(BinaryIO, file), filename="a")
    assert stored(sandbox) == digest(LARGE)


async def test_a_socket_is_sent_as_it_comes(client: AsyncRelayDance, sandbox: Sandbox) -> None:
    here, there = socket.socketpair()
    with here, here.makefile("rb") as file:
        with there:
            there.sendall(b"a few bytes")
        await client.files.upload(file)
    assert stored(sandbox) == digest(b"a few bytes")


async def test_a_sparse_file_is_sent_as_the_zeros_that_it_has(bench: Bench, tmp_path: Path) -> None:
    sandbox, client = bench.start(max_body_bytes=16 * 1024**2)
    path = tmp_path / "sparse"
    path.touch()
    for size in (8 * 1024**2, 32 * 1024**2):
        os.truncate(path, size)
        if size < 16 * 1024**2:
            await client.files.upload(path)
            assert stored(sandbox) == digest(bytes(size))
        else:
            with pytest.raises(RequestTooLargeError):
                await client.files.upload(path)


# A pipe that gives nothing.


async def one_byte_then_nothing() -> AsyncIterator[bytes]:
    yield b"a"
    await anyio.sleep_forever()


@pytest.mark.parametrize("kind", ["pipe", "buffered pipe", "iterator"])
async def test_what_gives_nothing_ends_at_the_write_timeout(
    client: AsyncRelayDance, sandbox: Sandbox, pipe: tuple[BinaryIO, BinaryIO], kind: str
) -> None:
    inputs: dict[str, Any] = {
        "pipe": pipe[0],
        "buffered pipe": io.BufferedReader(cast(io.RawIOBase, pipe[0])),
        "iterator": one_byte_then_nothing(),
    }
    with anyio.fail_after(5), pytest.raises(APITimeoutError, match=r"gave nothing within 0\.1 s") as caught:
        await client.with_options(timeout=Timeout(write=0.1)).files.upload(inputs[kind], filename="a")
    assert not caught.value.maybe_accepted
    assert (await held(client)).permits == 0
    assert sandbox.ledger.accepted(FILES) == 0
    pipe[1].close()  # and the thread comes to its end
    await readers_ended()


@pytest.mark.parametrize("kind", ["pipe", "iterator"])
async def test_what_gives_nothing_ends_at_the_deadline(
    client: AsyncRelayDance, sandbox: Sandbox, pipe: tuple[BinaryIO, BinaryIO], kind: str
) -> None:
    file: Any = pipe[0] if kind == "pipe" else one_byte_then_nothing()
    with anyio.fail_after(5), pytest.raises(APITimeoutError, match="deadline"):
        await client.with_options(deadline=0.1).files.upload(file, filename="a")
    assert (await held(client)).permits == 0
    assert sandbox.ledger.accepted(FILES) == 0
    pipe[1].close()
    await readers_ended()


async def readers_ended() -> None:
    """Wait for the threads that were left behind."""
    for thread in threading.enumerate():
        if thread.name == "relaydance-read":
            await anyio.to_thread.run_sync(thread.join, 5)
            assert not thread.is_alive()


async def test_a_cancelled_upload_leaves_a_pipe_that_gives_nothing_at_once(
    client: AsyncRelayDance, pipe: tuple[BinaryIO, BinaryIO]
) -> None:
    uploads = [asyncio.create_task(client.files.upload(pipe[0], filename="a")) for _ in range(50)]
    while (await held(client)).permits < 50:
        await anyio.lowlevel.checkpoint()
    with anyio.fail_after(5):
        assert await anyio.to_thread.run_sync(int) == 0  # none of the program's own threads is taken
        for upload in uploads:
            upload.cancel()
        await asyncio.wait(uploads)
    assert all(upload.cancelled() for upload in uploads)
    assert (await held(client)).permits == 0
    pipe[1].close()
    await readers_ended()


async def test_a_slow_pipe_is_sent_as_it_gives(
    client: AsyncRelayDance, sandbox: Sandbox, pipe: tuple[BinaryIO, BinaryIO]
) -> None:
    given: list[int] = []

    def give(done: int, total: int | None) -> None:
        assert total is None
        given.append(done)
        if len(given) < 4:
            pipe[1].write(b"b")
        else:
            pipe[1].close()

    reader = io.BufferedReader(cast(io.RawIOBase, pipe[0]))
    pipe[1].write(b"a")
    await client.files.upload(reader, filename="a", on_progress=give)
    assert stored(sandbox) == digest(b"abbb")


PROGRAM = """
import asyncio, os, sys
from relaydance_async import AsyncRelayDance

async def main():
    readable, writable = os.pipe()
    client = AsyncRelayDance("sk-1", base_url=sys.argv[1])
    upload = asyncio.create_task(client.files.upload(os.fdopen(readable, "rb"), filename="a"))
    while not client._held().permits:
        await asyncio.sleep(0.01)
    upload.cancel()
    await asyncio.wait([upload])
    await client.aclose()
    print("ended")

asyncio.run(main())
"""


async def test_a_program_ends_although_a_pipe_gives_nothing(bench: Bench) -> None:
    sandbox, _ = bench.start()
    program = [sys.executable, "-c", PROGRAM, sandbox.base_url]
    done = await anyio.to_thread.run_sync(
        lambda: subprocess.run(program, capture_output=True, text=True, timeout=20, check=False)
    )
    assert (done.returncode, done.stdout, done.stderr) == (0, "ended\n", "")


# `on_progress`.


async def test_each_piece_is_told_of_the_whole_form(client: AsyncRelayDance, tmp_path: Path) -> None:
    path = tmp_path / "a.bin"
    path.write_bytes(LARGE)
    seen: list[tuple[int, int | None]] = []
    await client.files.upload(path, on_progress=lambda done, total: seen.append((done, total)))
    (total,) = {total for _, total in seen}
    assert total is not None
    assert len(LARGE) < total < len(LARGE) + 1000
    assert seen == sorted(seen)
    assert seen[-1] == (total, total)


async def test_a_repeated_upload_is_told_from_its_start(bench: Bench) -> None:
    _, client = bench.start(faults=[Fault(FILES, status=503, times=1)])
    seen: list[int] = []
    await client.files.upload(b"a few bytes", on_progress=lambda done, total: seen.append(done))
    assert seen.count(seen[0]) == 2


@pytest.mark.parametrize(
    "error", [LookupError("mine"), InvalidInputError("mine"), RelayDanceError("m", retryable=True)]
)
@pytest.mark.parametrize("method", ["upload", "edit"])
async def test_what_it_raises_ends_the_upload_unchanged(
    client: AsyncRelayDance, sandbox: Sandbox, error: Exception, method: str
) -> None:
    def stop(done: int, total: int | None) -> None:
        raise error

    sending: dict[str, Callable[[], Awaitable[object]]] = {
        "upload": lambda: client.files.upload(LARGE, on_progress=stop),
        "edit": lambda: client.images.edit(model="m", prompt="p", image=LARGE, on_progress=stop),
    }
    with pytest.raises(type(error)) as caught:
        await sending[method]()
    assert caught.value is error
    assert sandbox.ledger.accepted() == 0
    assert (await held(client)).permits == 0
