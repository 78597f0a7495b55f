"""Images, uploads and balance (wire 5, 6, 8)."""

from __future__ import annotations

import base64
import hashlib
import struct
import zlib

import pytest

from relaydance_async.sandbox import Account, TaskPlan, TaskScript
from tests.kit.routes import FILES, IMAGES
from tests.sandbox.support import Starter

BOTH = pytest.mark.parametrize("dialect", ["gateway", "documented"])


def check_png(data: bytes) -> None:
    assert data.startswith(b"\x89PNG\r\n\x1a\n")
    at, pixels = 8, b""
    while at < len(data):
        length, kind = struct.unpack(">I4s", data[at : at + 8])
        chunk = data[at + 8 : at + 8 + length]
        assert struct.unpack(">I", data[at + 8 + length : at + 12 + length]) == (zlib.crc32(kind + chunk),)
        pixels += chunk if kind == b"IDAT" else b""
        at += 12 + length
    assert len(zlib.decompress(pixels)) == 64 * (1 + 3 * 64)


@BOTH
def test_images_come_as_urls_of_real_pngs(start: Starter, dialect: str) -> None:
    caller = start(dialect=dialect)
    items = caller.images(n=2).json()["data"]
    assert len({item["url"] for item in items}) == 2
    for item in items:
        answer = caller.download(item["url"])
        assert answer.headers["content-type"] == "image/png"
        check_png(answer.content)
    assert caller.sandbox.ledger.charged_usd == 0.04


@BOTH
def test_images_come_as_base64_when_asked(start: Starter, dialect: str) -> None:
    item = start(dialect=dialect).images(response_format="b64_json").json()["data"][0]
    check_png(base64.b64decode(item["b64_json"]))
    assert item.get("url") == ("" if dialect == "gateway" else None)


def test_what_an_image_lacks_is_an_empty_string_in_the_gateway_dialect(start: Starter) -> None:
    item = start().images().json()["data"][0]
    assert (item["b64_json"], item["revised_prompt"]) == ("", "")


def test_a_documented_image_is_a_url(start: Starter) -> None:
    item = start(dialect="documented").images().json()["data"][0]
    assert item.keys() == {"url"}


@BOTH
@pytest.mark.parametrize("changes", [{"n": 0}, {"n": 11}, {"n": "2"}, {"prompt": ""}], ids=str)
def test_a_bad_image_request_is_refused(start: Starter, dialect: str, changes: dict[str, object]) -> None:
    assert start(dialect=dialect).images(**changes).status_code == (500 if dialect == "gateway" else 400)


@BOTH
def test_an_edit_takes_a_form_with_an_image(start: Starter, dialect: str) -> None:
    caller = start(dialect=dialect)
    form = {"model": "gpt-image-2", "prompt": "bluer", "n": "2"}
    answer = caller.call("POST", "/v1/images/edits", data=form, files={"image": ("a.png", b"png", "image/png")})
    assert len(answer.json()["data"]) == 2
    missing = caller.call("POST", "/v1/images/edits", data=form, files={"mask": ("a.png", b"png", "image/png")})
    assert missing.status_code == (500 if dialect == "gateway" else 400)
    assert caller.sandbox.ledger.billed("POST /v1/images/edits") == 1


@BOTH
@pytest.mark.parametrize("size", [0, 5, 1_048_576, 3_000_000])
def test_an_upload_is_served_back_from_another_origin(start: Starter, dialect: str, size: int) -> None:
    caller = start(dialect=dialect)
    content = bytes(range(256)) * (size // 256) + b"z" * (size % 256)
    body = caller.upload(content, "über bild.jpg").json()
    assert body.keys() == {"id", "url"}
    assert body["id"].startswith("file_")
    assert body["url"].startswith(caller.sandbox.cdn_url)
    served = caller.download(body["url"])
    assert served.content == content
    assert served.headers["content-type"] == "image/jpeg"
    entry = caller.sandbox.ledger.entries[0]
    assert (entry.body_sha256, entry.body_bytes) == (hashlib.sha256(content).hexdigest(), size)


def test_an_upload_on_disk_serves_ranges_and_goes_with_the_sandbox(start: Starter) -> None:
    caller = start()
    content = hashlib.sha256(b"x").digest() * 100_000
    url = caller.upload(content).json()["url"]
    assert caller.download(url, range="bytes=1000000-1000999").content == content[1_000_000:1_001_000]
    caller.sandbox.reset()
    assert caller.download(url).status_code == 404


@BOTH
def test_an_upload_without_a_file_is_refused(start: Starter, dialect: str) -> None:
    caller = start(dialect=dialect)
    assert caller.call("POST", "/v1/files", files={"other": ("a", b"x")}).status_code == 400
    assert caller.call("POST", "/v1/files", json={"file": "x"}).status_code == 400
    for kind in ("multipart/form-data", "multipart/form-data; boundary=b"):
        broken = caller.call("POST", "/v1/files", content=b"x" * 50, headers={"content-type": kind})
        assert broken.status_code == 400
    wrong_key = caller.call("POST", "/v1/files", files={"file": b"x" * 100_000}, headers={"authorization": "Bearer no"})
    assert wrong_key.status_code == 401
    assert caller.sandbox.ledger.accepted(FILES) == 0


def test_the_token_usage_route_needs_its_slash(start: Starter) -> None:
    answer = start().call("GET", "/api/usage/token")
    assert answer.status_code == 301
    assert answer.headers["location"] == "/api/usage/token/"


@BOTH
def test_the_balance_follows_charges_and_refunds(start: Starter, dialect: str) -> None:
    plan = TaskPlan(TaskScript(0, 10, "failed"))
    caller = start(dialect=dialect, accounts={"k": Account(name="me", balance_usd=10)}, tasks=plan, time_scale=0)
    caller.submitted()
    caller.images(n=5)
    data = caller.call("GET", "/api/usage/token/").json()["data"]
    assert (data["name"], data["total_granted"], data["total_used"]) == ("me", 5_000_000, 300_000)
    assert data["total_available"] == 4_700_000
    assert data["unlimited_quota"] is False
    assert caller.call("GET", "/v1/dashboard/billing/subscription").json()["hard_limit_usd"] == 10
    assert caller.call("GET", "/v1/dashboard/billing/usage").json()["total_usage"] == 60
    caller.sandbox.clock.advance(10)
    assert caller.call("GET", "/v1/dashboard/billing/usage").json()["total_usage"] == 10


def test_balance_routes_can_be_switched_off(start: Starter) -> None:
    caller = start(accounts={"k": Account(balance_offered=False)})
    for path in ("/api/usage/token/", "/v1/dashboard/billing/subscription", "/v1/dashboard/billing/usage"):
        answer = caller.call("GET", path)
        assert answer.status_code == 200
        assert answer.json()["success"] is False


def test_api_routes_have_their_own_error_body(start: Starter) -> None:
    answer = start().call("GET", "/api/usage/token/", headers={"authorization": "Bearer wrong"})
    assert answer.status_code == 401
    assert answer.json().keys() == {"success", "message"}


def test_images_are_billed_each(start: Starter) -> None:
    caller = start()
    caller.images(n=3)
    assert caller.sandbox.ledger.billed(IMAGES) == 1
    assert caller.sandbox.ledger.charged_usd == 0.06
