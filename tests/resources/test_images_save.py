"""`images.save`: whole or not at all, from a URL or from base64."""

from __future__ import annotations

import asyncio
import base64
import errno
import os
import threading
from pathlib import Path
from typing import Any

import anyio
import anyio.to_thread
import pytest

from relaydance_async import AsyncRelayDance, DownloadError, Image, InvalidInputError
from relaydance_async.resources import images as images_module
from relaydance_async.resources.download import part as part_module
from relaydance_async.resources.download.part import PartFile
from relaydance_async.sandbox import Sandbox
from tests.resources.result_host import Host, rest, whole

pytestmark = pytest.mark.anyio

PNG = b"\x89PNG\r\n\x1a\n" + bytes(1000)
ETAG = 'etag: "one"'


def inline(content: bytes = PNG) -> Image:
    return Image(b64_json=base64.b64encode(content).decode())


def names(directory: Path) -> list[str]:
    return sorted(item.name for item in directory.iterdir())


@pytest.mark.parametrize("form", ["url", "b64_json"])
async def test_every_image_of_an_answer_can_be_saved(
    client: AsyncRelayDance, sandbox: Sandbox, tmp_path: Path, form: str
) -> None:
    images = await client.images.generate(model="grok-imagine-image", prompt="a cat", n=2, response_format=form)
    for number, image in enumerate(images.data):
        path = await client.images.save(image, tmp_path / f"{number}.png")
        assert path.read_bytes().startswith(PNG[:8])
    assert names(tmp_path) == ["0.png", "1.png"]
    assert sandbox.ledger.cdn_authorizations == 0


async def test_what_is_here_already_needs_no_host(alone: AsyncRelayDance, tmp_path: Path) -> None:
    image = inline().model_copy(update={"url": "http://127.0.0.1:9/"})
    assert (await alone.images.save(image, tmp_path / "a.png")).read_bytes() == PNG


async def test_a_broken_transfer_goes_on_and_is_told(alone: AsyncRelayDance, tmp_path: Path) -> None:
    seen: list[tuple[int, int | None]] = []
    async with Host(whole(b"0123", ETAG, length=10), rest(b"456789", 4, 10, ETAG)).running() as task:
        image = Image(url=f"{task.url}?X-Signature=s1gned")
        path = await alone.images.save(
            image, tmp_path / "a.png", on_progress=lambda done, total: seen.append((done, total))
        )
    assert path.read_bytes() == b"0123456789"
    assert seen[-1] == (10, 10)
    assert names(tmp_path) == ["a.png"]


async def test_a_fresh_signature_goes_on_with_the_part_of_the_same_image(
    alone: AsyncRelayDance, tmp_path: Path
) -> None:
    host = Host(whole(b"0123", ETAG, length=10), b"HTTP/1.1 403 No\r\ncontent-length: 0\r\nconnection: close\r\n\r\n")
    async with host.running() as task:
        with pytest.raises(DownloadError) as caught:
            await alone.images.save(Image(url=f"{task.url}?s=1"), tmp_path / "a.png")
        assert (caught.value.kind, caught.value.task_id) == ("expired", None)
        assert host.connections == 2  # there is nothing that could be renewed
        host.answers.append(rest(b"456789", 4, 10, ETAG))
        path = await alone.images.save(Image(url=f"{task.url}?s=2"), tmp_path / "a.png")
    assert path.read_bytes() == b"0123456789"


@pytest.mark.parametrize("url", ["https://10.0.0.1/a.png", "http://cdn.example/a.png", "https://me:pw@cdn.example/a"])
async def test_its_host_is_not_trusted_more_than_a_clips(alone: AsyncRelayDance, tmp_path: Path, url: str) -> None:
    with pytest.raises(DownloadError) as caught:
        await alone.images.save(Image(url=url), tmp_path / "a.png")
    assert caught.value.kind == "refused host"
    assert "pw" not in str(caught.value)
    assert names(tmp_path) == []


NO_BASE64 = ["YWJj!", "YWJ", "YW Jj", "YWJj\n", "YQ==YQ==", "\u00e9", "data:image/png;base64,YWJj"]


@pytest.mark.parametrize("text", NO_BASE64)
async def test_what_is_no_base64_is_not_written(alone: AsyncRelayDance, tmp_path: Path, text: str) -> None:
    (tmp_path / "a.png").write_bytes(b"older")
    with pytest.raises(DownloadError, match="no base64") as caught:
        await alone.images.save(Image(b64_json=text), tmp_path / "a.png")
    assert caught.value.kind == "broken"
    assert names(tmp_path) == ["a.png"]
    assert (tmp_path / "a.png").read_bytes() == b"older"


@pytest.mark.parametrize("size", [98, 99, 100])
async def test_its_size_is_bounded_in_both_forms(alone: AsyncRelayDance, tmp_path: Path, size: int) -> None:
    content = bytes(size)
    assert (await alone.images.save(inline(content), tmp_path / "b.png", max_bytes=size)).stat().st_size == size
    async with Host(whole(content)).running() as task:
        for image in (inline(content), Image(url=task.url)):
            with pytest.raises(DownloadError, match=f"max_bytes={size - 1}") as caught:
                await alone.images.save(image, tmp_path / "a.png", max_bytes=size - 1)
            assert caught.value.kind == "too large"
    assert names(tmp_path) == ["b.png"]


async def test_an_image_of_nothing_is_a_wrong_argument(alone: AsyncRelayDance, tmp_path: Path) -> None:
    with pytest.raises(InvalidInputError, match="neither"):
        await alone.images.save(Image(), tmp_path / "a.png")


@pytest.mark.parametrize("image", [inline(), Image(url="http://127.0.0.1:9/a.png")])
async def test_a_place_where_none_may_be_is_told_first(alone: AsyncRelayDance, tmp_path: Path, image: Image) -> None:
    (tmp_path / "a.png").write_bytes(b"older")
    (tmp_path / "link.png").symlink_to(tmp_path / "a.png")
    for name, overwrite in [("", True), ("link.png", True), ("a.png", False), ("none/a.png", True), ("n" * 300, True)]:
        with pytest.raises(DownloadError) as caught:
            await alone.images.save(image, tmp_path / name, overwrite=overwrite)
        assert caught.value.kind == "path"
    for wrong in ("a\0b", 5):
        path: Any = wrong
        with pytest.raises(InvalidInputError, match="path"):
            await alone.images.save(image, path)
    assert (tmp_path / "a.png").read_bytes() == b"older"


async def test_a_full_disk_leaves_nothing_of_it(
    alone: AsyncRelayDance, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def write(number: int, pieces: list[bytes]) -> int:
        os.write(number, b"a few")
        raise OSError(errno.ENOSPC, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(part_module, "_write_some", write)
        with pytest.raises(DownloadError, match="No space left") as caught:
            await alone.images.save(inline(), tmp_path / "a.png")
    assert caught.value.kind == "disk"
    assert names(tmp_path) == []


async def test_it_is_decoded_in_a_thread_and_a_cancelled_one_leaves_nothing(
    alone: AsyncRelayDance, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    decoding, let, ended = threading.Event(), threading.Event(), threading.Event()
    finish = PartFile.finish

    def decode(text: str, max_bytes: int) -> bytes:
        decoding.set()
        assert let.wait(10)
        return PNG

    def finish_and_tell(part: PartFile) -> Path:
        try:
            return finish(part)
        finally:
            ended.set()

    monkeypatch.setattr(images_module, "_decode", decode)
    monkeypatch.setattr(PartFile, "finish", finish_and_tell)
    saving = asyncio.create_task(alone.images.save(inline(), tmp_path / "a.png"))
    assert await anyio.to_thread.run_sync(decoding.wait, 10)
    saving.cancel()
    await asyncio.wait([saving])
    assert saving.cancelled()
    assert names(tmp_path) == []
    let.set()
    assert await anyio.to_thread.run_sync(ended.wait, 10)
    assert names(tmp_path) == []
