"""`images.generate` and `images.edit`."""

from __future__ import annotations

import hashlib
import io
import json
from pathlib import Path
from typing import Any

import pytest

from relaydance_async import (
    APIConnectionError,
    AsyncRelayDance,
    BadRequestError,
    InvalidInputError,
    NotFoundError,
    ResponseDecodeError,
)
from relaydance_async.sandbox import Fault, Sandbox
from tests.kit.routes import EDITS, IMAGES
from tests.resources.support import Bench

pytestmark = pytest.mark.anyio

PNG = b"\x89PNG\r\n\x1a\n"
MODEL = "grok-imagine-image"


async def test_images_come_as_urls(client: AsyncRelayDance, sandbox: Sandbox) -> None:
    images = await client.images.generate(model=MODEL, prompt="a cat", n=2)
    assert images.created
    assert len(images.data) == 2
    for image in images.data:
        assert image.url is not None
        assert image.url.startswith(sandbox.cdn_url)
        assert image.b64_json is None
        assert image.content() is None
    assert sandbox.ledger.charged_usd == pytest.approx(0.04)


async def test_images_come_as_bytes_and_what_is_empty_is_none(client: AsyncRelayDance) -> None:
    (image,) = (await client.images.generate(model=MODEL, prompt="a cat", response_format="b64_json")).data
    assert image.url is None
    content = image.content()
    assert content is not None
    assert content.startswith(PNG)


async def test_empty_strings_are_taken_for_what_is_absent(bench: Bench) -> None:
    body = json.dumps({"data": [{"url": "", "b64_json": "", "revised_prompt": ""}]})
    _, client = bench.start(faults=[Fault(IMAGES, body=body)])
    (image,) = (await client.images.generate(model=MODEL, prompt="a cat")).data
    assert (image.url, image.b64_json, image.revised_prompt) == (None, None, None)


async def test_an_unknown_model_is_not_found(client: AsyncRelayDance) -> None:
    with pytest.raises(NotFoundError):
        await client.images.generate(model="no-such-model", prompt="a cat")


async def test_an_invalid_request_is_a_bad_request_whatever_its_status(
    client: AsyncRelayDance, sandbox: Sandbox
) -> None:
    with pytest.raises(BadRequestError):
        await client.images.generate(model=MODEL, prompt="a cat", n=99)
    assert sandbox.ledger.count(IMAGES) == 1


@pytest.mark.parametrize("wrong", [{"prompt": ""}, {"prompt": " "}, {"model": ""}, {"prompt": 5}, {"model": None}])
@pytest.mark.parametrize("method", ["generate", "edit"])
async def test_a_missing_argument_is_refused_before_anything_is_sent(
    client: AsyncRelayDance, sandbox: Sandbox, wrong: dict[str, Any], method: str
) -> None:
    arguments: dict[str, Any] = {"model": MODEL, "prompt": "a cat", **wrong}
    if method == "edit":
        arguments["image"] = PNG
    with pytest.raises(InvalidInputError):
        await getattr(client.images, method)(**arguments)
    assert sandbox.ledger.entries == []


async def test_a_lost_answer_is_not_asked_for_again(bench: Bench) -> None:
    sandbox, client = bench.start(faults=[Fault(IMAGES, after_accept=True)])
    with pytest.raises(APIConnectionError) as caught:
        await client.images.generate(model=MODEL, prompt="a cat")
    assert caught.value.maybe_accepted
    assert sandbox.ledger.billed(IMAGES) == 1


async def test_an_answer_that_is_no_list_of_images_is_a_decode_error(bench: Bench) -> None:
    _, client = bench.start(faults=[Fault(IMAGES, body='{"data": "x"}')])
    with pytest.raises(ResponseDecodeError, match="ImagesResponse"):
        await client.images.generate(model=MODEL, prompt="a cat")


async def test_an_edit_sends_the_image_and_the_fields(
    client: AsyncRelayDance, sandbox: Sandbox, tmp_path: Path
) -> None:
    path = tmp_path / "cat.png"
    path.write_bytes(PNG + b"cat")
    images = await client.images.edit(model=MODEL, prompt="a dog", image=path, n=2)
    assert len(images.data) == 2
    (entry,) = sandbox.ledger.entries
    assert entry.route == EDITS
    expected = hashlib.sha256(b"model" + MODEL.encode() + b"prompt" + b"a dog" + b"n" + b"2" + b"image" + PNG + b"cat")
    assert entry.body_sha256 == expected.hexdigest()


async def test_an_edit_takes_several_images_and_a_mask(client: AsyncRelayDance, sandbox: Sandbox) -> None:
    await client.images.edit(model=MODEL, prompt="p", image=[PNG + b"1", io.BytesIO(PNG + b"2")], mask=PNG + b"3")
    (entry,) = sandbox.ledger.entries
    fields = b"model" + MODEL.encode() + b"prompt" + b"p"
    files = b"image[]" + PNG + b"1" + b"image[]" + PNG + b"2" + b"mask" + PNG + b"3"
    assert entry.body_sha256 == hashlib.sha256(fields + files).hexdigest()


async def test_an_edits_extra_fields_go_through_as_json_has_them(client: AsyncRelayDance, sandbox: Sandbox) -> None:
    extra: dict[str, Any] = {"flag": True, "number": 1.5, "list": ["a", 1], "nothing": None, "text": "é"}
    await client.images.edit(model=MODEL, prompt="p", image=PNG, extra_body=extra)
    (entry,) = sandbox.ledger.entries
    fields = "model" + MODEL + "prompt" + "p" + "flag" + "true" + "number" + "1.5" + "list" + '["a",1]' + "text" + "é"
    assert entry.body_sha256 == hashlib.sha256(fields.encode() + b"image" + PNG).hexdigest()


async def test_an_edit_without_any_image_is_refused(client: AsyncRelayDance, sandbox: Sandbox) -> None:
    with pytest.raises(InvalidInputError, match="image"):
        await client.images.edit(model=MODEL, prompt="p", image=[])
    assert sandbox.ledger.entries == []


async def test_an_edit_is_resent_whole_after_a_transient_error(bench: Bench) -> None:
    sandbox, client = bench.start(faults=[Fault(EDITS, status=503, times=1)])
    file = io.BytesIO(b"before" + PNG)
    file.seek(6)
    await client.images.edit(model=MODEL, prompt="p", image=file)
    assert sandbox.ledger.count(EDITS) == 2
    expected = hashlib.sha256(b"model" + MODEL.encode() + b"prompt" + b"p" + b"image" + PNG)
    assert sandbox.ledger.entries[-1].body_sha256 == expected.hexdigest()
    assert not file.closed


async def test_the_options_of_one_call_hold_for_an_edit_too(client: AsyncRelayDance, sandbox: Sandbox) -> None:
    await client.images.edit(model=MODEL, prompt="p", image=PNG, extra_query={"a": "b"}, extra_headers={"x-a": "b"})
    assert sandbox.ledger.accepted(EDITS) == 1
