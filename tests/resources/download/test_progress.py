"""`on_progress` of downloads."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from relaydance_async import AsyncRelayDance, DownloadError, InvalidInputError, ServerError
from tests.kit.probe import held
from tests.resources.result_host import Host, rest, task_of, whole

pytestmark = pytest.mark.anyio

ETAG = 'etag: "one"'


@pytest.fixture
def client(alone: AsyncRelayDance) -> AsyncRelayDance:
    return alone


async def test_each_piece_is_told_with_what_had_come_before(client: AsyncRelayDance, tmp_path: Path) -> None:
    seen: list[tuple[int, int | None]] = []
    async with Host(whole(b"0123", ETAG, length=10), rest(b"456789", 4, 10, ETAG)).running() as task:
        await client.video.download(task, tmp_path, on_progress=lambda done, total: seen.append((done, total)))
    assert seen[0] == (4, 10)
    assert seen[-1] == (10, 10)
    assert seen == sorted(seen)


async def test_a_length_that_is_not_told_is_none(client: AsyncRelayDance, tmp_path: Path) -> None:
    seen: list[tuple[int, int | None]] = []
    async with Host(b"HTTP/1.1 200 OK\r\nconnection: close\r\n\r\n0123456789").running() as task:
        await client.video.download(task, tmp_path, on_progress=lambda done, total: seen.append((done, total)))
    assert seen[-1] == (10, None)


# Errors of ours among them, which must be neither repeated nor translated.
@pytest.mark.parametrize("error", [LookupError("mine"), DownloadError("mine"), ServerError("mine", retryable=True)])
async def test_what_it_raises_ends_the_download_unchanged(
    client: AsyncRelayDance, tmp_path: Path, error: Exception
) -> None:
    def stop(done: int, total: int | None) -> None:
        raise error

    host = Host(whole(b"0123456789", ETAG))
    async with host.running() as task:
        with pytest.raises(type(error)) as caught:
            await client.video.download(task, tmp_path / "clip.mp4", on_progress=stop)
    assert caught.value is error
    assert error.__cause__ is None
    assert error.__context__ is None
    assert host.connections == 1
    assert (await held(client)).permits == 0
    assert not (tmp_path / "clip.mp4").exists()


async def test_an_asynchronous_function_is_refused_before_anything_is_done(
    client: AsyncRelayDance, tmp_path: Path
) -> None:
    async def progress(done: int, total: int | None) -> None: ...

    wrong: Any = progress
    with pytest.raises(InvalidInputError, match="plain function"):
        await client.video.download(task_of("http://127.0.0.1:9/a"), tmp_path, on_progress=wrong)
    assert list(tmp_path.iterdir()) == []
