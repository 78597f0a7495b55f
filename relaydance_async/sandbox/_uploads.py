"""POST /v1/files."""

from __future__ import annotations

from urllib.parse import quote

from starlette.datastructures import UploadFile

from ._dialects import Refusal
from ._exchange import Answer, Exchange
from ._json import dump
from ._multipart import read_form
from ._state import State


async def upload_file(state: State, exchange: Exchange) -> Answer:
    async with read_form(exchange, state.max_body_bytes) as form:
        upload = form.get("file")
        if not isinstance(upload, UploadFile):
            raise Refusal("invalid_task", "file is required", param="file")
        stored = await state.files.store(upload)
    # Of the file and not of the body, whose boundary differs every time.
    exchange.body_sha256 = stored.sha256
    exchange.body_bytes = stored.size
    url = f"{state.cdn_url}/files/{stored.file_id}/{quote(stored.name)}"
    return Answer(200, dump({"id": stored.file_id, "url": url}))
