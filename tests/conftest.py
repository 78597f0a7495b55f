"""What every test stands on: an event loop, and an environment without anyone's key or proxy."""

from __future__ import annotations

import gc
import os
from collections.abc import Iterator
from importlib import import_module

import pytest

from tests.kit.inside import forget_signatures
from tests.kit.loops import Backend, backend_by_option


def pytest_addoption(parser: pytest.Parser) -> None:
    """`--loop`."""
    parser.addoption(
        "--loop",
        choices=["asyncio", "uvloop"],
        default="asyncio",
        help="the event loop of the tests that don't choose one themselves",
    )


def pytest_collection_finish() -> None:
    """pytest holds a gigabyte of collected tests: without them, a test that calls `gc.collect` is ten times as fast."""
    import_module("hypothesis")  # later it would warn: it finds no referrers among what is frozen
    gc.collect()
    gc.freeze()


@pytest.fixture(scope="session")
def anyio_backend(pytestconfig: pytest.Config) -> Backend:
    """What `--loop` says; a test that is about another loop asks for it by overriding or parametrising this fixture."""
    return backend_by_option(pytestconfig)


@pytest.fixture(autouse=True)
def _unknown_origins() -> None:
    """The servers of tests follow one another on the same ports, and not all of them sign their answers."""
    forget_signatures()


@pytest.fixture(scope="session", autouse=True)
def _clean_environment(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """No test may reach the real service with a developer's key, or a loopback server through their proxy."""
    with pytest.MonkeyPatch.context() as patch:
        for name in list(os.environ):
            if name.startswith("RELAYDANCE_") or name.lower() in {"http_proxy", "https_proxy", "all_proxy"}:
                patch.delenv(name)
        for name in ("XDG_CONFIG_HOME", "XDG_STATE_HOME"):  # nor read or write what the command keeps
            patch.setenv(name, str(tmp_path_factory.mktemp("home")))
        yield
