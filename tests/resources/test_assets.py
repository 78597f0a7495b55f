"""Reference assets: on a host of their own, which gets the key; their store doesn't."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from relaydance_async import (
    APIConnectionError,
    APIStatusError,
    APITimeoutError,
    Asset,
    AsyncRelayDance,
    AuthenticationError,
    ConfigurationError,
    FirstFrame,
    InvalidInputError,
    NotFoundError,
    RateLimitError,
    RelayDanceError,
    ResponseDecodeError,
    ServerError,
    UploadedFile,
    maybe_accepted,
)
from relaydance_async.hooks import HookEvent
from relaydance_async.models.assets import UploadPlace
from relaydance_async.resources.assets import KNOWN_HOSTS
from relaydance_async.sandbox import Fault, Sandbox, TaskPlan, TaskScript
from tests.kit.calls import assets_of
from tests.kit.routes import ASSET, CREATE_ASSET, UPLOAD_PLACE
from tests.kit.strangers import answer, gateway
from tests.resources.support import CLIP, Bench

pytestmark = pytest.mark.anyio

PNG = b"\x89PNG\r\n\x1a\n" + bytes(40)
PUT = "CDN /uploads/{name}"


async def test_a_face_from_a_file_to_a_clip(bench: Bench, tmp_path: Path) -> None:
    bodies: list[dict[str, Any]] = []

    def hear(n: int, body: dict[str, Any]) -> TaskScript:
        bodies.append(body)
        return TaskScript()

    sandbox, client, _ = bench.filming(tasks=TaskPlan(choose=hear))
    (tmp_path / "face.png").write_bytes(PNG)
    assets = assets_of(client)
    asset = await assets.create(str(tmp_path / "face.png"), name="Ada")
    assert (asset.is_active, asset.asset_type) == (False, "Image")
    active = await assets.wait(asset, deadline=60)
    assert active.is_active
    await client.video.submit(**CLIP, references=[active])
    await client.video.submit(**CLIP, first_frame=active)
    roles = [[(item["role"], item["image_url"]["url"]) for item in body["metadata"]["content"]] for body in bodies]
    assert roles == [[("reference_image", asset.uri)], [("first_frame", asset.uri)]]
    assert str(asset.uri).startswith("asset://")
    assert sandbox.ledger.cdn_authorizations == 0  # the key never goes to the store


async def test_the_store_keeps_each_content_once(bench: Bench) -> None:
    sandbox, client = bench.start()
    for _ in range(2):
        await assets_of(client).create(PNG)
    assert [sandbox.ledger.count(route) for route in (UPLOAD_PLACE, CREATE_ASSET, PUT)] == [2, 2, 1]


async def test_a_url_or_an_upload_needs_no_store(bench: Bench) -> None:
    sandbox, client = bench.start()
    assets = assets_of(client)
    assert (await assets.create("https://example.com/a.png")).asset_type == "Image"
    assert (await assets.create("https://example.com/a.mp4")).asset_type == "Video"
    assert (await assets.create(UploadedFile(id="f", url="https://example.com/a.mp3"))).asset_type == "Audio"
    assert (await assets.create("https://example.com/a", asset_type="Other")).asset_type == "Other"
    assert sandbox.ledger.count(UPLOAD_PLACE) == 0


async def test_one_that_is_refused_is_told(bench: Bench) -> None:
    _, client, _ = bench.filming()
    assets = assets_of(client)
    asset = await assets.create("https://example.com/a.png", name="forbidden-word")
    with pytest.raises(RelayDanceError, match="refused: Failed"):
        await assets.wait(asset.id)
    assert (await assets.retrieve(asset)).has_failed


async def test_a_wait_has_a_deadline(bench: Bench) -> None:
    sandbox = bench.sandbox(time_scale=0)
    async with AsyncRelayDance(sandbox.api_key, base_url=sandbox.base_url) as client:
        asset = await assets_of(client).create("https://example.com/a.png")
        with pytest.raises(APITimeoutError, match="not active"):
            await assets_of(client).wait(asset, deadline=0.1)


async def test_no_key_goes_to_a_host_that_nobody_named(bench: Bench) -> None:
    sandbox, client = bench.start()
    for call in (client.assets.create(PNG), client.assets.retrieve("a"), client.assets.wait("a")):
        with pytest.raises(ConfigurationError, match=r"assets\.at"):
            await call
    assert sandbox.ledger.count() == 0
    assert KNOWN_HOSTS == {"https://relaydance.com": "https://pay.relaydance.com"}


@pytest.mark.parametrize("url", ["http://example.com", "ftp://example.com", "nothing", "https://u:p@example.com", ""])
async def test_what_cannot_be_a_host_is_refused(alone: AsyncRelayDance, url: str) -> None:
    with pytest.raises(ConfigurationError):
        alone.assets.at(url)


@pytest.mark.parametrize("source", ["missing.png", b"", b"no picture", 5, None])
async def test_what_is_no_source_is_refused_before_anything_is_sent(bench: Bench, source: Any) -> None:
    sandbox, client = bench.start()
    with pytest.raises(InvalidInputError):
        await assets_of(client).create(source)
    for wrong in ("", "..", 5):
        with pytest.raises(InvalidInputError):
            await assets_of(client).retrieve(wrong)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    with pytest.raises(InvalidInputError, match="deadline"):
        await assets_of(client).wait("a", deadline=0)
    with pytest.raises(TypeError, match="did you mean timeout"):
        await assets_of(client).wait("a", timeouts=0)  # type: ignore[call-arg]  # pyright: ignore[reportCallIssue]
    assert sandbox.ledger.count() == 0


async def test_the_errors_of_the_host_are_the_usual_ones(bench: Bench) -> None:
    sandbox, client = bench.start()
    with pytest.raises(NotFoundError):
        await assets_of(client).retrieve("asset-nobody")
    async with AsyncRelayDance("sk-wrong", base_url=sandbox.base_url) as other:
        with pytest.raises(AuthenticationError):
            await assets_of(other).create(PNG)


async def test_a_lost_answer_is_not_asked_for_again(bench: Bench) -> None:
    sandbox, client = bench.start(faults=[Fault(CREATE_ASSET, after_accept=True)])
    with pytest.raises(APIConnectionError) as caught:
        await assets_of(client).create(PNG)
    assert maybe_accepted(caught.value) is True
    assert sandbox.ledger.count(CREATE_ASSET) == 1


async def test_what_may_pass_is_repeated(bench: Bench) -> None:
    sandbox, client = bench.start(
        faults=[Fault(route, status=503, times=1) for route in (UPLOAD_PLACE, PUT, CREATE_ASSET, ASSET)]
    )
    asset = await assets_of(client).create(PNG)
    await assets_of(client).retrieve(asset)
    assert [sandbox.ledger.count(route) for route in (UPLOAD_PLACE, PUT, CREATE_ASSET, ASSET)] == [2, 2, 2, 2]
    assert sandbox.ledger.cdn_authorizations == 0


def place(**other: str) -> Fault:
    """The host of assets names this place."""
    there = {"exists": False, "upload_url": "", "content_type": "image/png", "source_url": "https://example.com/x"}
    body = json.dumps(there | other).encode()
    return Fault(UPLOAD_PLACE, status=200, body=body, content_type="application/json")


@pytest.mark.parametrize(
    "url",
    ["http://example.com/x", "https://10.0.0.1/x", "https://u:p@example.com/x", "/x", "https://a.b/" + "x" * 20_000],
)
async def test_the_store_must_be_one_that_may_be_asked(bench: Bench, url: str) -> None:
    sandbox, client = bench.start(faults=[place(upload_url=url)])
    with pytest.raises(ResponseDecodeError, match="can't be put where the host of assets says") as caught:
        await assets_of(client).create(PNG)
    assert "allow_private_hosts" not in str(caught.value)  # there is no such argument
    assert len(str(caught.value)) < 500
    assert sandbox.ledger.count(CREATE_ASSET) == 0


@pytest.mark.parametrize("kind", ["image/png\r\nx-b: 2", "image", "image/€", "a/" + "b" * 1000, "a/b" + " " * 1000])
async def test_a_media_type_that_can_be_none_is_not_sent(bench: Bench, kind: str) -> None:
    sandbox, client = bench.start()
    url = f"{sandbox.base_url.removesuffix('/v1')}/x"
    sandbox.faults.add(place(upload_url=url, content_type=kind))
    with pytest.raises(ResponseDecodeError, match="media type"):
        await assets_of(client).create(PNG)
    assert sandbox.ledger.count() == 1


SIGNED = f"https://cdn.example/{'x' * 9}?X-Amz-Signature=0123456789abcdef&X-Amz-Credential=AKIA%2F2026&n=1"
QUOTED = b"<Code>SignatureDoesNotMatch</Code><SignatureProvided>0123456789abcdef AKIA/2026</SignatureProvided>"


@pytest.mark.parametrize(
    ("status", "body", "kind"),
    [
        (401, QUOTED, APIStatusError),
        (403, QUOTED, APIStatusError),
        (403, b'{"error": {"code": "insufficient_user_quota", "message": "0123456789abcdef"}}', APIStatusError),
        (404, b"", APIStatusError),
        (307, b"", APIStatusError),
        (429, QUOTED, RateLimitError),
        (503, QUOTED, ServerError),
    ],
)
async def test_a_refusal_of_the_store_says_nothing_of_the_key_and_shows_no_signature(
    status: int, body: bytes, kind: type[APIStatusError]
) -> None:
    said: list[HookEvent] = []

    def reply(path: str, number: int) -> bytes:
        if number > 1:
            return answer(status, {"location": "https://example.com/"}, body)
        url = f"{server.base_url}/put?{SIGNED.partition('?')[2]}"
        found = {"exists": False, "upload_url": url, "content_type": "image/png", "source_url": "https://a.b/x"}
        return answer(200, {"content-type": "application/json"}, json.dumps(found).encode())

    async with gateway(reply) as server:
        client = AsyncRelayDance("sk-1", base_url=server.base_url, max_retries=0, hooks=[said.append])
        async with client:
            with pytest.raises(APIStatusError) as caught:
                await assets_of(client).create(PNG)
    error = caught.value
    assert type(error) is kind
    assert error.status_code == status
    assert "key" not in error.hint
    assert len(server.taken) == 2
    assert b"authorization" not in server.heads[1].lower()
    for secret in ("0123456789abcdef", "AKIA"):
        assert secret not in f"{error} {error!r} {error.meta} {error.body} {said}"


def test_a_place_shows_no_signature() -> None:
    assert "X-Amz" not in repr(UploadPlace(upload_url=SIGNED, source_url="https://cdn.example/x"))


def test_an_asset_is_a_reference() -> None:
    assert Asset(id="a", asset_type="Video").as_reference().url == "asset://a"
    assert FirstFrame(Asset(id="a", uri="asset://b").as_reference().url).url == "asset://b"


async def test_the_sandbox_forgets_them_with_all_else(sandbox: Sandbox, client: AsyncRelayDance) -> None:
    asset = await assets_of(client).create(PNG)
    sandbox.reset()
    with pytest.raises(NotFoundError):
        await assets_of(client).retrieve(asset)
