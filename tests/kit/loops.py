"""The event loops that the tests run on, by the end of a name: "httpx on trio", "httpx on uvloop", or asyncio's own."""

from __future__ import annotations

from typing import Any, TypeAlias

import pytest

Backend: TypeAlias = "str | tuple[str, dict[str, Any]]"
"""As anyio's fixture `anyio_backend` takes it."""

ON_TRIO = " on trio"
ON_UVLOOP = " on uvloop"

USE_UVLOOP = {"use_uvloop": True}
"""Options of anyio's asyncio backend, also for `anyio.run`."""


def backend_of(name: str) -> Backend:
    """The event loop for a test of that name. Where there is no uvloop, such as on Windows, the test is skipped."""
    if name.endswith(ON_TRIO):
        return "trio"
    if not name.endswith(ON_UVLOOP):
        return "asyncio"
    pytest.importorskip("uvloop")
    return "asyncio", USE_UVLOOP


def without_loop(name: str) -> str:
    """What the name says besides."""
    return name.removesuffix(ON_TRIO).removesuffix(ON_UVLOOP)
