"""gunicorn, which forks its workers around an app whose client was made, and used, at import."""

from __future__ import annotations

import os
import re
import signal
import socket
import subprocess
import sys
from collections.abc import Generator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from urllib.request import urlopen

import pytest

from relaydance_async.sandbox import FaultyProxy, Sandbox
from tests.kit.routes import MODELS
from tests.processes.support import environment

pytestmark = pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork on this system")

APP = """
import asyncio, os
from relaydance_async import AsyncRelayDance

client = AsyncRelayDance(os.environ["SANDBOX_KEY"], base_url=os.environ["SANDBOX_URL"])

async def ask():
    return len((await client.models.list()).data)

asyncio.run(ask())
loop = asyncio.new_event_loop()
loop.run_until_complete(ask())  # and it leaves a connection open in the master

def wsgi(environ, start_response):
    start_response("200 OK", [])
    return [f"{asyncio.run(ask())} {os.getpid()}".encode()]

async def asgi(scope, receive, send):
    assert scope["type"] == "http", "it has no lifespan"
    body = f"{await ask()} {os.getpid()}".encode()
    await send({"type": "http.response.start", "status": 200, "headers": []})
    await send({"type": "http.response.body", "body": body})
"""

WORKERS = {"sync": "app:wsgi", "uvicorn_worker.UvicornWorker": "app:asgi"}


@contextmanager
def served(worker: str, app: str, folder: Path, base_url: str) -> Generator[tuple[str, subprocess.Popen[str]]]:
    """The URL of the app, on a socket that the server inherits: so no port can be taken, and no request come early."""
    (folder / "app.py").write_text(APP)
    with socket.create_server(("127.0.0.1", 0), backlog=100) as listener:
        fd = listener.fileno()
        with subprocess.Popen(
            [
                *(sys.executable, "-m", "gunicorn", "--preload", "--workers=2"),
                *(f"--worker-class={worker}", f"--bind=fd://{fd}", app),
            ],
            env=environment(base_url, "sk-sandbox-0001", "auto"),
            cwd=folder,
            pass_fds=[fd],
            stderr=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            text=True,
        ) as server:
            try:
                yield f"http://127.0.0.1:{listener.getsockname()[1]}/", server
            finally:
                server.kill()


def fetch(url: str) -> list[int]:
    with urlopen(url, timeout=30) as answer:
        return [int(number) for number in answer.read().split()]


@pytest.mark.parametrize(("worker", "app"), WORKERS.items(), ids=["sync", "uvicorn"])
def test_the_workers_of_a_preloading_gunicorn_share_no_connection(
    sandbox: Sandbox, tmp_path: Path, worker: str, app: str
) -> None:
    with FaultyProxy(sandbox.root_url) as proxy:
        with served(worker, app, tmp_path, proxy.base_url) as (url, server):
            with ThreadPoolExecutor(10) as threads:
                answers = list(threads.map(fetch, [url] * 40))
            assert {models > 0 for models, _ in answers} == {True}
            workers = {process for _, process in answers}
            assert server.pid not in workers
            server.send_signal(signal.SIGTERM)
            _, stderr = server.communicate(timeout=30)
        assert not re.search("Traceback|Warning|Event loop|[Uu]nclosed", stderr), stderr
        # Two of the master's. A sync worker has a loop, and so a connection, for each request.
        assert proxy.connections == 42 if worker == "sync" else proxy.connections >= 2 + len(workers)
    assert sandbox.ledger.accepted(MODELS) == 42
