"""A server that ends while callers come leaves no socket behind."""

from __future__ import annotations

import gc
import socket
import warnings
from contextlib import AbstractContextManager
from urllib.parse import urlsplit

import pytest

from relaydance_async.sandbox import FaultyProxy, Sandbox

ROUNDS = 15


def come_and_go(url: str) -> None:
    """Three callers that say something and leave at once."""
    parts = urlsplit(url)
    for _ in range(3):
        with socket.create_connection((parts.hostname or "", parts.port or 0)) as caller:
            caller.sendall(b"POST /v1/files HTTP/1.1\r\nhost: x\r\n\r\n")


@pytest.mark.parametrize("kind", ["sandbox", "proxy"])
def test_stopping_while_callers_come_leaves_no_socket_open(kind: str) -> None:
    with warnings.catch_warnings(record=True) as caught, Sandbox() as target:
        warnings.simplefilter("always")
        for _ in range(ROUNDS):
            server: AbstractContextManager[Sandbox | FaultyProxy]
            server = Sandbox() if kind == "sandbox" else FaultyProxy(target.root_url)
            with server as running:
                come_and_go(running.root_url)
        gc.collect()
    assert [str(warning.message) for warning in caught if "unclosed" in str(warning.message)] == []
