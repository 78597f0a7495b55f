"""Reference assets: a store for files, and assets made of them (wire 11). RelayDance has them on another host."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from urllib.parse import urlsplit

from ._dialects import Refusal
from ._exchange import Answer, Exchange
from ._json import dump
from ._requests import SENSITIVE, parse_object
from ._signing import sign
from ._state import State

ACTIVE_AFTER = 2.0
"""Seconds of the sandbox clock until an asset is active."""
PUT_SECONDS = 600
TYPES = {"jpg": "image/jpeg", "png": "image/png", "webp": "image/webp", "mp4": "video/mp4", "mp3": "audio/mpeg"}


@dataclass(frozen=True)
class StoredAsset:
    """One asset."""

    asset_id: str
    key: str
    created: float
    refused: bool

    def status(self, now: float) -> str:
        if now - self.created < ACTIVE_AFTER:
            return "Processing"
        return "Failed" if self.refused else "Active"

    @property
    def uri(self) -> str:
        return f"asset://{self.asset_id}"


async def place_upload(state: State, exchange: Exchange) -> Answer:
    """GET /api/upload-url."""
    ext, md5 = exchange.query.get("ext", ""), exchange.query.get("md5", "")
    if not ext.isalnum() or len(md5) != 32:
        raise Refusal("malformed", "ext and md5 are required")
    name = f"{md5}.{ext}"
    path = f"/uploads/{name}"
    return Answer(
        200,
        dump(
            {
                "exists": name in state.uploads,
                "upload_url": state.cdn_url + sign(path, state.clock.now(), PUT_SECONDS),
                "content_type": TYPES.get(ext, "application/octet-stream"),
                "source_url": state.cdn_url + path,
            }
        ),
    )


async def create_asset(state: State, exchange: Exchange) -> Answer:
    """POST /api/assets/virtual/create. A name with the forbidden word makes one that fails."""
    body = parse_object(exchange)
    source = body.get("source_url")
    if not isinstance(source, str) or urlsplit(source).scheme not in ("http", "https"):
        raise Refusal("malformed", "source_url must be a URL")
    if not isinstance(body.get("asset_type"), str):
        raise Refusal("malformed", "asset_type is required")
    number = len(state.assets) + 1
    asset_id = "asset-" + hashlib.sha256(f"{state.seed}:asset:{number}".encode()).hexdigest()[:16]
    asset = StoredAsset(asset_id, exchange.key, state.clock.now(), SENSITIVE in str(body.get("name")))
    state.assets[asset_id] = asset
    return Answer(200, dump({"id": asset_id, "status": asset.status(asset.created), "uri": asset.uri}))


async def fetch_asset(state: State, exchange: Exchange) -> Answer:
    """GET /api/assets/{asset_id}/status."""
    asset = state.assets.get(exchange.params["asset_id"])
    if not isinstance(asset, StoredAsset) or asset.key != exchange.key:
        raise Refusal("asset_unknown", "asset not found")
    return Answer(200, dump({"id": asset.asset_id, "status": asset.status(state.clock.now()), "uri": asset.uri}))
