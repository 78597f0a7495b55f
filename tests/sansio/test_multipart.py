"""Forms with files, read back by a parser that is not ours."""

from __future__ import annotations

from collections.abc import AsyncIterator
from email import policy
from email.message import Message
from email.parser import BytesParser
from typing import cast

import pytest
from hypothesis import given
from hypothesis import strategies as st

from relaydance_async import InvalidInputError
from relaydance_async._sansio.multipart import build_multipart
from relaydance_async._sansio.request import BodyStream

pytestmark = pytest.mark.anyio

BOUNDARY = "b0undary"


def stream_of(*pieces: bytes, known: bool = True, replayable: bool = True) -> BodyStream:
    async def run() -> AsyncIterator[bytes]:
        for piece in pieces:
            yield piece

    return BodyStream(run, sum(map(len, pieces)) if known else None, replayable)


async def sent(body: BodyStream) -> bytes:
    return b"".join([piece async for piece in body.open()])


def parse(content_type: str, body: bytes) -> list[Message]:
    head = f"Content-Type: {content_type}\r\n\r\n".encode()
    whole = BytesParser(policy=policy.HTTP).parsebytes(head + body)
    return cast(list[Message], whole.get_payload())


async def test_a_form_is_written_as_rfc_7578_has_it() -> None:
    body, content_type = build_multipart(
        [("model", "gpt-image-2")],
        [("image", "cat.png", "image/png", stream_of(b"PNG", b"..."))],
        boundary=BOUNDARY,
    )
    assert content_type == "multipart/form-data; boundary=b0undary"
    assert await sent(body) == (
        b'--b0undary\r\nContent-Disposition: form-data; name="model"\r\n\r\ngpt-image-2\r\n'
        b'--b0undary\r\nContent-Disposition: form-data; name="image"; filename="cat.png"\r\n'
        b"Content-Type: image/png\r\n\r\nPNG...\r\n--b0undary--\r\n"
    )


@given(
    st.lists(st.tuples(st.text(min_size=1, max_size=5), st.text(max_size=20)), max_size=3),
    st.lists(st.lists(st.binary(max_size=20), max_size=3), max_size=3),
)
async def test_the_length_is_that_of_what_is_sent_and_every_pass_sends_the_same(
    fields: list[tuple[str, str]], files: list[list[bytes]]
) -> None:
    parts = [(f"file{n}", "a.bin", "application/octet-stream", stream_of(*file)) for n, file in enumerate(files)]
    body, _ = build_multipart(fields, parts, boundary=BOUNDARY)
    first = await sent(body)
    assert body.length == len(first)
    assert await sent(body) == first


async def test_a_file_of_unknown_length_makes_a_form_of_unknown_length() -> None:
    files = [("a", "a", "x/y", stream_of(b"a")), ("b", "b", "x/y", stream_of(b"b", known=False))]
    assert build_multipart([], files, boundary=BOUNDARY)[0].length is None


async def test_a_form_can_be_sent_again_when_each_of_its_files_can() -> None:
    once = ("b", "b", "x/y", stream_of(b"b", replayable=False))
    often = ("a", "a", "x/y", stream_of(b"a"))
    assert build_multipart([], [often, often], boundary=BOUNDARY)[0].replayable
    assert not build_multipart([], [often, once], boundary=BOUNDARY)[0].replayable


HOSTILE = {
    'a"; filename="b': "a%22; filename=%22b",
    "a\r\nContent-Type: text/html\r\n\r\n<script>": "a%0D%0AContent-Type: text/html%0D%0A%0D%0A<script>",
    "猫.jpg": "猫.jpg",
    "\udcff.jpg": "?.jpg",  # what the file system gives for a name that is not UTF-8
}


@pytest.mark.parametrize("name", HOSTILE)
async def test_a_file_name_cannot_break_out_of_its_header(name: str) -> None:
    body, content_type = build_multipart([], [("file", name, "image/jpeg", stream_of(b"x"))], boundary=BOUNDARY)
    written = await sent(body)
    assert f'filename="{HOSTILE[name]}"\r\n'.encode() in written
    (part,) = parse(content_type, written)
    assert part.get_content_type() == "image/jpeg"
    assert part.get_payload(decode=True) == b"x"


@pytest.mark.parametrize("kind", ["image/png\r\nX-Evil: 1", "image/png\n", "image/\ud800"])
async def test_a_media_type_that_is_none_is_refused(kind: str) -> None:
    with pytest.raises(InvalidInputError):
        build_multipart([], [("file", "a", kind, stream_of(b"x"))], boundary=BOUNDARY)


@pytest.mark.parametrize("field", [("prompt", "\ud800"), ("\ud800", "a cat")])
async def test_text_that_is_none_is_refused(field: tuple[str, str]) -> None:
    with pytest.raises(InvalidInputError, match="can't be sent in a form"):
        build_multipart([field], [], boundary=BOUNDARY)
