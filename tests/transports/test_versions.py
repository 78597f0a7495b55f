"""An answer of another version of HTTP is told as such, whichever parser reads it."""

from __future__ import annotations

import pytest

from relaydance_async._engine._h11 import H11Parser
from relaydance_async._engine._llhttp import LlhttpParser
from relaydance_async._engine._parser import NewParser
from relaydance_async._engine._rules import Malformed


@pytest.mark.parametrize("new_parser", [H11Parser, LlhttpParser])
@pytest.mark.parametrize("start", [b"HTTP/2.0 200 OK", b"HTTP/1.2 200 OK", b"http/1.1 200 OK", b"\x00nonsense"])
def test_what_is_no_http_1_1_is_named(new_parser: NewParser, start: bytes) -> None:
    with pytest.raises(Malformed, match=r"no HTTP/1\.1"):
        new_parser().read_head(start + b"\r\n\r\n")
