"""The event loops that the tests run on, by the end of a name: "httpx on trio", "httpx on uvloop", or asyncio's own."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any, TypeAlias

import pytest

from tests.kit.clocks import Jumping, JumpingLoop

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


def backend_of_test(request: pytest.FixtureRequest) -> Backend:
    """The one that the test's transport names, else what `--loop` says."""
    if "transport" in request.fixturenames:
        name: str = request.getfixturevalue("transport")
        if name.endswith((ON_TRIO, ON_UVLOOP)):
            return backend_of(name)
    return backend_by_option(request.config)


def backend_by_option(config: pytest.Config) -> Backend:
    """What `--loop` says."""
    return backend_of(f"any on {config.getoption('--loop')}")


def jumping_loop_by_option(config: pytest.Config) -> Callable[[], Jumping]:
    """The same, of the loops whose time can be put forward."""
    if config.getoption("--loop") != "uvloop":
        return JumpingLoop
    pytest.importorskip("uvloop")
    from tests.kit.jumping_uvloop import JumpingUvloop

    return JumpingUvloop


def make_loops(patch: pytest.MonkeyPatch, name: str) -> None:
    """Have `asyncio.run` and its like make the loops that this name tells."""
    if name.endswith(ON_UVLOOP):
        uvloop = pytest.importorskip("uvloop")
        patch.setattr(asyncio, "new_event_loop", uvloop.new_event_loop)
        patch.setattr(asyncio.events, "new_event_loop", uvloop.new_event_loop)


def without_loop(name: str) -> str:
    """What the name says besides."""
    return name.removesuffix(ON_TRIO).removesuffix(ON_UVLOOP)
