"""The pytest plugin: a RelayDance of its own for each test, and a client for it. (The extra `sandbox`.)

Registered through an entry point, so it is loaded in every run of whoever installs the package: it imports nothing
heavy until a fixture is asked for.

    @pytest.mark.anyio
    @pytest.mark.relaydance_sandbox(time_scale=100)
    async def test_it(relaydance_client, relaydance_sandbox):
        await relaydance_client.video.generate(model="grok-imagine-video", prompt="A boat", seconds=5)
        assert relaydance_sandbox.ledger.billed("POST /v1/video/generations") == 1
"""

from __future__ import annotations

import os
import time
from collections.abc import Generator, Iterator
from contextlib import AbstractContextManager, contextmanager
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from ._client import AsyncRelayDance
    from .sandbox import Sandbox

MARKER = "relaydance_sandbox"
AT_IMPORT = "relaydance_sandbox_at_import"
TIME_SCALE = "relaydance_sandbox_time_scale"

_session = pytest.StashKey["_Session"]()


class _Session:
    """The sandbox of a whole run: started when it is first needed, or before anything is collected."""

    def __init__(self, time_scale: float) -> None:
        self._time_scale = time_scale
        self._entered: AbstractContextManager[Sandbox] | None = None
        self._sandbox: Sandbox | None = None

    def start(self) -> Sandbox:
        if self._sandbox is None:
            from .sandbox import Sandbox

            self._entered = in_environment(Sandbox(time_scale=self._time_scale))
            self._sandbox = self._entered.__enter__()
        return self._sandbox

    def stop(self) -> None:
        entered, self._entered, self._sandbox = self._entered, None, None
        if entered is not None:
            entered.__exit__(None, None, None)


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addini(
        AT_IMPORT,
        "start relaydance_sandbox_session before tests are collected, for clients that are made at import",
        type="bool",
        default=False,
    )
    parser.addini(TIME_SCALE, "how many times faster the time of relaydance_sandbox_session runs", default="100")


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line(
        "markers", f"{MARKER}(**options): options of the relaydance_sandbox fixture, as for Sandbox(...)"
    )
    at_import = config.getini(AT_IMPORT)
    try:
        session = config.stash[_session] = _Session(float(config.getini(TIME_SCALE)))
        if at_import:
            session.start()
    except ValueError as error:
        raise pytest.UsageError(f"{TIME_SCALE}: {error}") from None


def pytest_unconfigure(config: pytest.Config) -> None:
    if (session := config.stash.get(_session, None)) is not None:
        session.stop()


@contextmanager
def in_environment(sandbox: Sandbox) -> Generator[Sandbox, None, None]:
    """A running sandbox whose address and key are in the environment, where a client looks for them."""
    before = {name: os.environ.get(name) for name in ("RELAYDANCE_BASE_URL", "RELAYDANCE_API_KEY")}
    with sandbox:
        os.environ.update(RELAYDANCE_BASE_URL=sandbox.base_url, RELAYDANCE_API_KEY=sandbox.api_key)
        try:
            yield sandbox
        finally:
            for name, value in before.items():
                if value is None:
                    os.environ.pop(name, None)
                else:
                    os.environ[name] = value


@pytest.fixture
def relaydance_sandbox(request: pytest.FixtureRequest) -> Iterator[Sandbox]:
    """A running `Sandbox` for one test, with the options of the marker of the same name.

    A client that is made in the test finds it through the environment.
    """
    from .sandbox import Sandbox

    options: dict[str, object] = {}
    # The closest marker comes first and wins over the class's and the module's.
    for marker in reversed(list(request.node.iter_markers(MARKER))):
        options.update(marker.kwargs)
    with in_environment(Sandbox(**options)) as sandbox:  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
        yield sandbox


@pytest.fixture(scope="session")
def relaydance_sandbox_session(request: pytest.FixtureRequest) -> Sandbox:
    """One running `Sandbox` for all tests of the run. What they leave in it is forgotten by `sandbox.reset()`.

    With `relaydance_sandbox_at_import = true` in pytest's settings it runs before any module is imported: then a client
    that an app makes when it is imported finds it too.
    """
    return request.config.stash[_session].start()


@pytest.fixture
def relaydance_client(relaydance_sandbox: Sandbox) -> AsyncRelayDance:
    """A client of `relaydance_sandbox`. Its time runs as fast as the sandbox's: polls and retries don't wait long."""
    from ._client import AsyncRelayDance, made_with
    from ._config import Clock

    scale = relaydance_sandbox.clock.scale or 1.0

    async def sleep(seconds: float) -> None:
        await Clock().sleep(seconds / scale)

    clock = Clock(monotonic=lambda: time.monotonic() * scale, sleep=sleep)
    # Its connections close with the event loop of the test.
    return made_with(AsyncRelayDance, clock=clock)(relaydance_sandbox.api_key, base_url=relaydance_sandbox.base_url)
