"""`files.upload`: every kind of file, sent as it is read, whole or not at all."""

from __future__ import annotations

import hashlib
import io
import os
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any, BinaryIO, cast

import httpx
import pytest

from relaydance_async import (
    APIConnectionError,
    AsyncRelayDance,
    InvalidInputError,
    RequestTooLargeError,
    ServerError,
)
from relaydance_async.sandbox import Fault, Sandbox
from tests.kit.probe import held
from tests.kit.routes import FILES
from tests.resources.support import Bench

pytestmark = pytest.mark.anyio

SMALL = b"\xff\xd8 a small picture"
# Three pieces of 2 MiB and a bit, none like the other.
LARGE = b"".join(bytes([n]) * 2 * 1024 * 1024 for n in range(3)) + b"rest"


def digest(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


def stored(sandbox: Sandbox) -> tuple[str | None, int]:
    """Digest and size of the last file that the server accepted."""
    entry = sandbox.ledger.entries[-1]
    assert entry.accepted
    return entry.body_sha256, entry.body_bytes


@pytest.fixture(params=[SMALL, LARGE], ids=["small", "large"])
def content(request: pytest.FixtureRequest) -> bytes:
    data: bytes = request.param
    return data


@pytest.fixture
def path(tmp_path: Path, content: bytes) -> Path:
    path = tmp_path / "product.jpg"
    path.write_bytes(content)
    return path


async def pieces_of(content: bytes) -> AsyncIterator[bytes]:
    for start in range(0, len(content), 700_000):
        yield content[start : start + 700_000]


@pytest.mark.parametrize("kind", ["path", "str", "bytes", "bytearray", "memoryview", "BytesIO", "file", "iterator"])
async def test_every_kind_of_file_arrives_byte_for_byte(
    client: AsyncRelayDance, sandbox: Sandbox, path: Path, content: bytes, kind: str
) -> None:
    with path.open("rb") as file:
        inputs: dict[str, Any] = {
            "path": path,
            "str": str(path),
            "bytes": content,
            "bytearray": bytearray(content),
            "memoryview": memoryview(content),
            "BytesIO": io.BytesIO(content),
            "file": file,
            "iterator": pieces_of(content),
        }
        uploaded = await client.files.upload(inputs[kind])
        assert not file.closed
    assert uploaded.id.startswith("file_")
    assert uploaded.url.startswith(sandbox.cdn_url)
    assert stored(sandbox) == (digest(content), len(content))


async def test_a_pipe_can_be_uploaded(client: AsyncRelayDance, sandbox: Sandbox) -> None:
    readable, writable = os.pipe()
    with os.fdopen(readable, "rb") as reader:
        os.write(writable, SMALL)
        os.close(writable)
        await client.files.upload(reader, filename="a.jpg")
    assert stored(sandbox) == (digest(SMALL), len(SMALL))


async def test_a_file_is_read_from_where_it_stands(client: AsyncRelayDance, sandbox: Sandbox) -> None:
    file = io.BytesIO(b"skipped" + SMALL)
    file.seek(7)
    await client.files.upload(file)
    assert stored(sandbox) == (digest(SMALL), len(SMALL))


@pytest.mark.parametrize(
    ("given", "name", "kind"),
    [
        ({}, "product.jpg", "image/jpeg"),
        ({"filename": "other.png"}, "other.png", "image/png"),
        ({"filename": "noending"}, "noending", "application/octet-stream"),
        ({"media_type": "video/mp4"}, "product.jpg", "video/mp4"),
        ({"filename": 'qu"ote é.png'}, "qu%22ote%20%C3%A9.png", "image/png"),
    ],
)
async def test_name_and_media_type_are_the_paths_or_those_given(
    client: AsyncRelayDance, tmp_path: Path, given: dict[str, Any], name: str, kind: str
) -> None:
    path = tmp_path / "product.jpg"
    path.write_bytes(SMALL)
    uploaded = await client.files.upload(path, **given)
    async with httpx.AsyncClient(trust_env=False) as http:
        fetched = await http.get(uploaded.url)
    assert fetched.content == SMALL
    assert fetched.headers["content-type"] == kind
    assert uploaded.url.rpartition("/")[2].replace("%2522", "%22") == name


async def test_bytes_have_a_name_all_the_same(client: AsyncRelayDance) -> None:
    assert (await client.files.upload(SMALL)).url.endswith("/upload")


async def test_an_open_file_has_its_own_name(client: AsyncRelayDance, path: Path) -> None:
    with path.open("rb") as file:
        assert (await client.files.upload(file)).url.endswith("/product.jpg")


async def test_the_url_goes_into_a_videos_references(client: AsyncRelayDance) -> None:
    file = await client.files.upload(SMALL, filename="a.png")
    task = await client.video.submit(model="doubao-seedance-2-0-720p", prompt="@image1 turns", references=[file.url])
    assert task.status == "submitted"


@pytest.mark.parametrize("empty", [b"", io.BytesIO(b""), bytearray()])
async def test_an_empty_file_is_refused_before_anything_is_sent(
    client: AsyncRelayDance, sandbox: Sandbox, empty: Any
) -> None:
    with pytest.raises(InvalidInputError, match="empty"):
        await client.files.upload(empty)
    assert sandbox.ledger.entries == []


async def test_a_file_that_is_read_to_its_end_already_is_empty(client: AsyncRelayDance, path: Path) -> None:
    with path.open("rb") as file:
        file.read()
        with pytest.raises(InvalidInputError, match="empty"):
            await client.files.upload(file)


async def test_an_empty_path_a_missing_one_and_a_directory_are_refused(
    client: AsyncRelayDance, sandbox: Sandbox, tmp_path: Path
) -> None:
    (tmp_path / "empty.jpg").touch()
    for name, message in [("empty.jpg", "empty"), ("missing.jpg", "missing.jpg: No such file"), ("", "not a file")]:
        with pytest.raises(InvalidInputError, match=message):
            await client.files.upload(tmp_path / name)
    assert sandbox.ledger.entries == []


async def test_a_text_file_is_refused_before_anything_is_sent(
    client: AsyncRelayDance, sandbox: Sandbox, path: Path
) -> None:
    with path.open(encoding="latin-1") as file, pytest.raises(InvalidInputError, match="'rb'"):
        await client.files.upload(cast(BinaryIO, file))
    with pytest.raises(InvalidInputError, match="'rb'"):
        await client.files.upload(cast(BinaryIO, io.StringIO("text")))
    assert sandbox.ledger.entries == []


@pytest.mark.parametrize("wrong", [5, None, object(), ["a.jpg"], {"a": 1}])
async def test_what_is_no_file_is_refused_by_its_type(client: AsyncRelayDance, sandbox: Sandbox, wrong: Any) -> None:
    with pytest.raises(InvalidInputError, match=f"can't upload a {type(wrong).__name__}"):
        await client.files.upload(wrong)
    assert sandbox.ledger.entries == []


@pytest.mark.parametrize("kind", ["path", "bytes", "file"])
async def test_a_retried_upload_is_sent_whole_again(bench: Bench, path: Path, content: bytes, kind: str) -> None:
    sandbox, client = bench.start(faults=[Fault(FILES, status=503, times=2)])
    with path.open("rb") as file:
        inputs: dict[str, Any] = {"path": path, "bytes": content, "file": file}
        await client.files.upload(inputs[kind])
    assert sandbox.ledger.count(FILES) == 3
    assert stored(sandbox) == (digest(content), len(content))


async def test_what_can_be_read_only_once_is_not_sent_again(bench: Bench) -> None:
    sandbox, client = bench.start(faults=[Fault(FILES, status=503)])
    with pytest.raises(ServerError) as caught:
        await client.files.upload(pieces_of(SMALL))
    assert len(caught.value.attempts) == 1
    readable, writable = os.pipe()
    with os.fdopen(readable, "rb") as reader:
        os.write(writable, SMALL)
        os.close(writable)
        with pytest.raises(ServerError):
            await client.files.upload(reader)
    assert sandbox.ledger.count(FILES) == 2


async def test_a_lost_answer_is_not_asked_for_again(bench: Bench) -> None:
    sandbox, client = bench.start(faults=[Fault(FILES, after_accept=True)])
    with pytest.raises(APIConnectionError) as caught:
        await client.files.upload(SMALL)
    assert caught.value.maybe_accepted
    assert sandbox.ledger.accepted(FILES) == 1


async def test_a_file_above_the_gateways_limit_is_a_request_too_large(bench: Bench) -> None:
    sandbox, client = bench.start(max_body_bytes=1024 * 1024)
    with pytest.raises(RequestTooLargeError) as caught:
        await client.files.upload(LARGE)
    assert caught.value.status_code == 413
    assert not caught.value.retryable
    assert sandbox.ledger.accepted(FILES) == 0
    assert (await client.files.upload(SMALL)).id


async def test_an_iterator_that_raises_ends_the_upload_in_an_error_of_ours(
    client: AsyncRelayDance, sandbox: Sandbox
) -> None:
    async def broken() -> AsyncIterator[bytes]:
        yield SMALL
        raise LookupError("the source is gone")

    with pytest.raises(InvalidInputError, match="LookupError: the source is gone") as caught:
        await client.files.upload(broken())
    assert not caught.value.maybe_accepted
    assert not caught.value.retryable
    assert (await held(client)).permits == 0
    assert sandbox.ledger.accepted(FILES) == 0
    assert (await client.models.list()).data


async def test_a_binary_file_that_gives_text_is_an_input_error(client: AsyncRelayDance, sandbox: Sandbox) -> None:
    class Liar:
        def read(self, size: int = -1) -> str:
            return "text"

    with pytest.raises(InvalidInputError, match="'rb'"):
        await client.files.upload(cast(BinaryIO, Liar()))
    assert (await held(client)).permits == 0
    assert sandbox.ledger.accepted(FILES) == 0


@pytest.mark.parametrize("media_type", ["image/png\r\nx: y", "image/png\n"])
async def test_a_media_type_can_not_add_a_header(client: AsyncRelayDance, sandbox: Sandbox, media_type: str) -> None:
    with pytest.raises(InvalidInputError, match="line breaks"):
        await client.files.upload(SMALL, media_type=media_type)
    assert sandbox.ledger.entries == []
