"""Start and stop: prompt, repeatable, and nothing left behind."""

from __future__ import annotations

import asyncio
import gc
import os
import socket
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import Any

import httpx
import pytest

import relaydance_async.sandbox as package
from relaydance_async.sandbox import Fault, Sandbox
from tests.sandbox.support import Starter

ROOM = Path(package.__file__).parent


def ask(sandbox: Sandbox) -> int:
    """Blocks its thread."""
    return httpx.get(sandbox.root_url, trust_env=False, verify=False).status_code


def open_descriptors() -> int:
    gc.collect()  # what earlier tests left in cycles is not ours
    return len(os.listdir("/proc/self/fd"))


def test_a_sandbox_answers_as_soon_as_it_has_started() -> None:
    for _ in range(10):
        with Sandbox() as sandbox:
            assert ask(sandbox) == 200


@pytest.mark.skipif(not Path("/proc/self/fd").exists(), reason="needs /proc")
def test_nothing_is_left_of_a_sandbox_with_open_connections() -> None:
    def run() -> None:
        with Sandbox(faults=[Fault(stall=True)]) as sandbox, Sandbox() as other:
            address = sandbox.root_url.removeprefix("http://").split(":")
            request = b"GET /v1/models HTTP/1.1\r\nhost: x\r\nauthorization: Bearer sk-sandbox-0001\r\n\r\n"
            with (
                socket.create_connection((address[0], int(address[1]))) as stalled,
                socket.create_connection((address[0], int(address[1]))),
                httpx.Client(trust_env=False, verify=False) as http,
            ):
                stalled.sendall(request)
                http.get(other.root_url)

    run()
    threads, descriptors = threading.active_count(), open_descriptors()
    for _ in range(3):
        run()
    assert (threading.active_count(), open_descriptors()) == (threads, descriptors)


def test_stopping_takes_no_time() -> None:
    began = time.monotonic()
    for _ in range(10):
        with Sandbox():
            pass
    assert time.monotonic() - began < 2


def test_a_sandbox_can_run_again_and_cannot_run_twice() -> None:
    sandbox = Sandbox()
    with sandbox:
        with pytest.raises(RuntimeError, match="already running"):
            sandbox.start()
        first = sandbox.root_url
    sandbox.stop()
    with sandbox:
        assert ask(sandbox) == 200
    assert first


@pytest.mark.parametrize("name", ["base_url", "root_url", "cdn_url"])
def test_a_sandbox_that_does_not_run_has_no_address(name: str) -> None:
    with pytest.raises(RuntimeError, match="not running"):
        getattr(Sandbox(), name)


def test_a_port_that_is_taken_is_said_clearly() -> None:
    with Sandbox() as sandbox:
        port = int(sandbox.root_url.rsplit(":", 1)[1])
        with pytest.raises(OSError, match=f"cannot listen on 127.0.0.1:{port}"):
            Sandbox(port=port).start()
        with pytest.raises(OSError, match="cannot listen"):
            Sandbox(cdn_port=port).start()


@pytest.mark.parametrize("options", [{"dialect": "klingon"}, {"accounts": {}}, {"time_scale": -1}], ids=str)
def test_options_that_make_no_sense_are_mistakes(options: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=r"must be|needs"):
        Sandbox(**options)


@pytest.mark.anyio
async def test_the_callers_loop_may_block_while_the_sandbox_answers() -> None:
    async with Sandbox() as sandbox:
        assert ask(sandbox) == 200


def test_the_sandbox_outlives_the_callers_loop() -> None:
    sandbox = Sandbox()

    async def ask_once() -> int:
        async with httpx.AsyncClient(trust_env=False, verify=False) as http:
            return (await http.get(sandbox.root_url)).status_code

    with sandbox:
        assert [asyncio.run(ask_once()) for _ in range(2)] == [200, 200]


@pytest.mark.anyio
async def test_a_cancelled_block_still_stops_the_sandbox() -> None:
    before = threading.active_count()
    entered = asyncio.Event()

    async def hold() -> None:
        async with Sandbox():
            entered.set()
            await asyncio.sleep(60)

    task = asyncio.ensure_future(hold())
    await entered.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert threading.active_count() == before


@pytest.mark.skipif(not socket.has_ipv6, reason="no IPv6")
def test_an_ipv6_host_is_bracketed() -> None:
    try:
        sandbox = Sandbox(host="::1")
        sandbox.start()
    except OSError:
        pytest.skip("no IPv6 loopback")
    try:
        assert sandbox.root_url.startswith("http://[::1]:")
        assert ask(sandbox) == 200
    finally:
        sandbox.stop()


def test_thousands_of_requests_pass_on_one_core(start: Starter) -> None:
    caller = start()
    began = time.monotonic()
    for _ in range(300):
        caller.models()
    assert time.monotonic() - began < 5


def run_python(code: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60, cwd=ROOM.parents[1])


def test_a_missing_extra_is_named_when_the_sandbox_is_asked_for() -> None:
    code = """
import importlib.util
found = importlib.util.find_spec
importlib.util.find_spec = lambda name, *rest: None if name == "starlette" else found(name, *rest)
import relaydance_async.pytest_plugin
try:
    from relaydance_async.sandbox import Sandbox
except ImportError as error:
    print(error)
"""
    done = run_python(code)
    assert 'pip install "relaydance-async[sandbox]"' in done.stdout, done.stderr
    assert "starlette" in done.stdout


def test_every_public_name_is_there_and_no_other() -> None:
    for name in package.__all__:
        assert getattr(package, name).__name__ == name
    assert set(package.__all__) <= set(dir(package))
    with pytest.raises(AttributeError, match="no attribute 'nothing'"):
        getattr(package, "nothing")  # noqa: B009


def test_the_sandbox_takes_nothing_from_the_client() -> None:
    for path in ROOM.glob("*.py"):
        source = path.read_text(encoding="utf-8")
        assert "from .. import" not in source
        assert "from .._" not in source
        for line in source.splitlines():
            if line.lstrip().startswith(("import relaydance_async", "from relaydance_async")):
                assert line.lstrip().startswith("from relaydance_async.sandbox"), f"{path.name}: {line}"
