"""Parts of messages: data URLs, addresses, types by content."""

from __future__ import annotations

import base64
import os
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest

from relaydance_async import AsyncRelayDance, InvalidInputError, audio_part, file_part, image_part
from relaydance_async._sansio.media_type import media_type_of
from relaydance_async.models.files import UploadedFile
from relaydance_async.resources import _parts
from tests.chat.support import MODEL, bodies
from tests.kit.transports import Tap

pytestmark = pytest.mark.anyio

PNG = b"\x89PNG\r\n\x1a\n" + bytes(20)
WAV = b"RIFF\x24\x00\x00\x00WAVEfmt "
PDF = b"%PDF-1.7\n"
UPLOADED = UploadedFile(id="file_1", url="https://files.example/1.png")


def url_of(content: bytes, kind: str) -> str:
    return f"data:{kind};base64,{base64.b64encode(content).decode()}"


async def test_an_image_of_bytes_a_path_an_address_or_an_upload(tmp_path: Path) -> None:
    misnamed = tmp_path / "cat.jpg"
    misnamed.write_bytes(PNG)
    assert await image_part(PNG) == {"type": "image_url", "image_url": {"url": url_of(PNG, "image/png")}}
    assert await image_part(misnamed) == await image_part(str(misnamed)) == await image_part(PNG)
    part = await image_part("https://example.com/cat.png", detail="low")
    assert part == {"type": "image_url", "image_url": {"url": "https://example.com/cat.png", "detail": "low"}}
    assert (await image_part(UPLOADED))["image_url"]["url"] == UPLOADED.url
    assert (await image_part(url_of(PNG, "image/png")))["image_url"]["url"] == url_of(PNG, "image/png")


async def test_a_file_and_sound(tmp_path: Path) -> None:
    document = tmp_path / "plan.pdf"
    document.write_bytes(PDF)
    data = {"filename": "plan.pdf", "file_data": url_of(PDF, "application/pdf")}
    assert await file_part(document) == {"type": "file", "file": data}
    assert (await file_part(PDF, filename="b.pdf"))["file"]["filename"] == "b.pdf"
    assert await file_part(UPLOADED) == {"type": "file", "file": {"file_id": "file_1"}}
    sound = {"data": base64.b64encode(WAV).decode(), "format": "wav"}
    assert await audio_part(WAV) == {"type": "input_audio", "input_audio": sound}
    assert (await audio_part(b"ID3\x04"))["input_audio"]["format"] == "mp3"
    assert (await audio_part(b"??", format="pcm16"))["input_audio"]["format"] == "pcm16"


async def test_a_part_is_sent_as_it_is(client: AsyncRelayDance, heard: Tap) -> None:
    content = [{"type": "text", "text": "What is it?"}, await image_part(PNG)]
    await client.chat.completions.create(model=MODEL, messages=[{"role": "user", "content": content}])
    assert bodies(heard)[0]["messages"][0]["content"] == content


async def test_a_large_one_is_encoded_in_a_thread() -> None:
    content = PNG + bytes(2 * 1024 * 1024)
    assert (await image_part(content))["image_url"]["url"] == url_of(content, "image/png")


@pytest.mark.parametrize(
    ("make", "why"),
    [
        (lambda: image_part("nowhere.png"), "can't read nowhere.png"),
        (lambda: image_part("."), "^. is not a file"),
        (lambda: image_part("a\0b"), "can't be the name"),
        (lambda: image_part(b""), "empty"),
        (lambda: image_part(PDF), "application/pdf, and none of image/"),
        (lambda: image_part(b"\xff\x00\xfe\x80 what"), "media_type="),
        (lambda: image_part(None), "not NoneType"),  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
        (lambda: audio_part(PNG), "image/png, and none of audio/"),
        (lambda: audio_part("https://example.com/a.wav"), "no address"),
        (lambda: file_part("https://example.com/a.pdf"), "no address"),
    ],
)
async def test_what_is_no_part(make: Callable[[], Awaitable[Any]], why: str) -> None:
    with pytest.raises(InvalidInputError, match=why):
        await make()


async def test_one_that_no_request_can_hold(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_parts, "_MOST_BYTES", 100)
    large = tmp_path / "large.png"
    large.write_bytes(PNG + bytes(100))
    for source in (large, large.read_bytes()):
        with pytest.raises(InvalidInputError, match=r"files\.upload"):
            await image_part(source)


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="there are no pipes with names")
async def test_a_pipe_is_refused_and_not_waited_for(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(InvalidInputError, match="not a file"):
        await image_part(tmp_path / "pipe")


@pytest.mark.parametrize(
    ("content", "name", "kind"),
    [
        (b"\xff\xd8\xff\xe0", "", "image/jpeg"),
        (b"GIF89a", "", "image/gif"),
        (b"RIFF\0\0\0\0WEBPVP8 ", "", "image/webp"),
        (b"\0\0\0\x20ftypavif", "", "image/avif"),
        (b"\0\0\0\x20ftypheic", "", "image/heic"),
        (b"\0\0\0\x20ftypM4A ", "", "audio/mp4"),
        (b"\0\0\0\x20ftypisom", "clip.mov", "video/mp4"),
        (b"\xff\xfb\x90\x00", "", "audio/mpeg"),
        (b"OggS", "", "audio/ogg"),
        (b"fLaC", "", "audio/flac"),
        (b"PK\x03\x04", "a.docx", "application/vnd.openxmlformats-officedocument.wordprocessingml.document"),
        (b"PK\x03\x04", "a.png", "application/zip"),
        (b"hello", "a.csv", "text/csv"),
        ("grüße".encode(), "", "text/plain"),
        (("x" + "ü" * 600).encode(), "", "text/plain"),  # the part that is looked at ends amid a letter
        (b"\x00\x01", "", None),
        (b"", "", "text/plain"),
    ],
)
async def test_the_type_is_told_by_the_content(content: bytes, name: str, kind: str | None) -> None:
    assert media_type_of(content, name) == kind
