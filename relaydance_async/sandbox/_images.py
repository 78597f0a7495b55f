"""Image routes, and the PNGs themselves."""

from __future__ import annotations

import base64
import hashlib
import struct
import zlib
from functools import lru_cache

from starlette.datastructures import FormData, UploadFile

from ._catalog import IMAGE_UNITS
from ._dialects import Refusal
from ._exchange import Answer, Exchange
from ._json import Json, dump, is_whole
from ._multipart import read_form
from ._requests import parse_object, refuse_sensitive, require_model
from ._state import State

MOST_IMAGES = 10
SIDE = 64


async def generate_images(state: State, exchange: Exchange) -> Answer:
    return answer_images(state, exchange, parse_object(exchange))


async def edit_images(state: State, exchange: Exchange) -> Answer:
    async with read_form(exchange, state.max_body_bytes) as form:
        body = await read_edit(exchange, form)
    return answer_images(state, exchange, body)


async def read_edit(exchange: Exchange, form: FormData) -> Json:
    """The form's fields as the JSON route would have them; the ledger's digest covers fields and files."""
    body: Json = {}
    digest = hashlib.sha256()
    images = 0
    for name, value in form.multi_items():
        digest.update(name.encode())
        if isinstance(value, UploadFile):
            images += name in ("image", "image[]")
            while piece := await value.read(262_144):
                digest.update(piece)
        else:
            digest.update(value.encode())
            body[name] = int(value) if name == "n" and value.isdigit() else value
    exchange.body_sha256 = digest.hexdigest()
    if not images:
        raise Refusal("invalid_relay", "image is required", param="image")
    return body


def answer_images(state: State, exchange: Exchange, body: Json) -> Answer:
    model = require_model(body)
    state.check_model(exchange, model, "image")
    prompt = body.get("prompt")
    if not isinstance(prompt, str) or not prompt:
        raise Refusal("invalid_relay", "prompt is required", param="prompt")
    number = body.get("n", 1)
    if not is_whole(number) or not 1 <= number <= MOST_IMAGES:
        raise Refusal("invalid_relay", f"n must be between 1 and {MOST_IMAGES}", param="n")
    refuse_sensitive(prompt)
    units = IMAGE_UNITS * number
    state.charge(exchange, units)
    as_base64 = body.get("response_format") == "b64_json"
    items = [build_image(state, f"img_{exchange.request_id}_{i}", prompt, as_base64) for i in range(number)]
    return Answer(200, dump({"created": int(state.clock.now()), "data": items}), units=units)


def build_image(state: State, name: str, prompt: str, as_base64: bool) -> Json:
    url = "" if as_base64 else state.remember_image(name)
    encoded = base64.b64encode(build_png(name)).decode() if as_base64 else ""
    if state.dialect == "gateway":
        # What is absent may be "" here, and is not to be taken for a URL or an image.
        return {"url": url, "b64_json": encoded, "revised_prompt": ""}
    return {"b64_json": encoded, "revised_prompt": prompt} if as_base64 else {"url": url}


@lru_cache(maxsize=512)
def build_png(name: str) -> bytes:
    """A small RGB gradient in a colour of its own."""
    red, green, blue = hashlib.sha256(name.encode()).digest()[:3]
    rows = b"".join(
        b"\0" + b"".join(bytes((red, (green + 4 * x) % 256, (blue + 4 * y) % 256)) for x in range(SIDE))
        for y in range(SIDE)
    )
    header = struct.pack(">IIBBBBB", SIDE, SIDE, 8, 2, 0, 0, 0)
    chunks = ((b"IHDR", header), (b"IDAT", zlib.compress(rows, 6)), (b"IEND", b""))
    return b"\x89PNG\r\n\x1a\n" + b"".join(
        struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data)) for kind, data in chunks
    )
