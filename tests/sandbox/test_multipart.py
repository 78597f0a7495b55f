"""A form whose request ends while a thread writes its file to the disk."""

from __future__ import annotations

import asyncio
import gc
import tempfile
import threading
from types import SimpleNamespace
from typing import Any, cast

import pytest
from starlette.types import Message

from relaydance_async.sandbox._exchange import Exchange
from relaydance_async.sandbox._multipart import read_form

pytestmark = pytest.mark.anyio

HEAD = b'--b\r\nContent-Disposition: form-data; name="file"; filename="a"\r\n\r\n'
LARGE = 2_000_000  # more than stays in memory


def exchange(messages: list[Message]) -> Exchange:
    async def receive() -> Message:
        if messages:
            return messages.pop(0)
        await asyncio.Event().wait()
        raise AssertionError

    headers = {b"content-type": b"multipart/form-data; boundary=b"}
    scope = {"headers": list(headers.items())}

    def header(name: bytes) -> str:
        return headers.get(name, b"").decode()

    return cast(Exchange, SimpleNamespace(receive=receive, scope=scope, header=header, body_bytes=0))


@pytest.mark.parametrize("is_whole", [True, False])
async def test_a_cancelled_form_leaves_no_file(is_whole: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    began, go_on = threading.Event(), threading.Event()
    write: Any = vars(tempfile.SpooledTemporaryFile)["write"]
    rolled: list[Any] = []

    def slowly(self: Any, data: Any) -> int:
        began.set()
        go_on.wait(5)
        written: int = write(self, data)
        rolled.append(self)
        return written

    monkeypatch.setattr(tempfile.SpooledTemporaryFile, "write", slowly)

    async def read() -> None:
        body = HEAD + b"a" * LARGE + (b"\r\n--b--\r\n" if is_whole else b"")
        async with read_form(exchange([{"type": "http.request", "body": body, "more_body": not is_whole}]), LARGE * 2):
            raise AssertionError("it was cancelled")

    reading = asyncio.create_task(read())
    await asyncio.to_thread(began.wait, 5)
    reading.cancel()
    await asyncio.sleep(0)
    go_on.set()
    with pytest.raises(asyncio.CancelledError):
        await reading
    assert rolled
    assert all(file.closed for file in rolled)
    rolled.clear()
    gc.collect()
