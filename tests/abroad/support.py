"""Real programs between a client and a gateway: started on free ports of loopback, and ended with the test."""

from __future__ import annotations

import json
import os
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

import pytest

from tests.kit.waiting import block_until

PROXY_PATIENCE = 2
"""Seconds that a proxy waits for the gateway's answer."""

NGINX = """
daemon off;
{user}
worker_processes 1;
pid {folder}/nginx.pid;
error_log stderr crit;
events {{ worker_connections 1024; }}
http {{
    access_log off;
    client_body_temp_path {folder}/body;
    proxy_temp_path {folder}/proxy;
    fastcgi_temp_path {folder}/fastcgi;
    uwsgi_temp_path {folder}/uwsgi;
    scgi_temp_path {folder}/scgi;
    upstream gateway {{ server 127.0.0.1:{gateway}; keepalive 32; }}
    server {{
        listen 127.0.0.1:{port};
        location / {{
            proxy_pass http://gateway;
            proxy_http_version 1.1;
            proxy_set_header Connection "";
            proxy_read_timeout {patience}s;
            proxy_buffering off;
        }}
    }}
}}
"""

HAPROXY = """
defaults
    mode http
    timeout connect 1s
    timeout client 30s
    timeout server {patience}s
frontend front
    bind 127.0.0.1:{port}
    default_backend gateway
backend gateway
    server gateway 127.0.0.1:{gateway}
"""

FRONTS = {"nginx": (NGINX, ["nginx", "-c"]), "haproxy": (HAPROXY, ["haproxy", "-q", "-db", "-f"])}
"""What stands in front, by the name of its program: its settings, and its command."""


@contextmanager
def held_port() -> Generator[int]:
    """A port of loopback that nobody else gets. A server that sets SO_REUSEADDR can listen on it, again and again."""
    with socket.socket() as holder:
        holder.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        holder.bind(("127.0.0.1", 0))
        yield holder.getsockname()[1]


def listens(port: int) -> bool:
    """Whether somebody does."""
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


@contextmanager
def front(name: str, gateway: int, folder: Path) -> Generator[str]:
    """The base URL of such a proxy in front of the gateway on that port."""
    settings, command = FRONTS[name]
    program = shutil.which(command[0], path=f"{os.environ.get('PATH', '')}:/usr/sbin")
    if program is None:
        pytest.skip(f"no {name} on this system: `apt install nginx-light haproxy`, as .ci/run does")
    with held_port() as port:
        config = folder / f"{name}.conf"
        user = "user root;" if os.geteuid() == 0 else ""
        config.write_text(
            settings.format(port=port, gateway=gateway, folder=folder, patience=PROXY_PATIENCE, user=user)
        )
        with subprocess.Popen([program, *command[1:], str(config)], stderr=subprocess.PIPE) as process:
            try:
                block_until(lambda: listens(port) or process.poll() is not None, 10)
                assert process.poll() is None, process.stderr and process.stderr.read().decode()
                yield f"http://127.0.0.1:{port}/v1"
            finally:
                process.terminate()


class Accepted(NamedTuple):
    """A line of the gateway's book."""

    row: str
    task_id: str | None
    fault: str | None


@dataclass
class MortalGateway:
    """The sandbox in a process of its own, which can be killed and started again on its port.

    Attributes:
        port: of its API.
        book: the file into which it writes what it accepts.
        kills: how often it was killed.
    """

    port: int
    book: Path
    kills: int = 0
    _process: subprocess.Popen[str] | None = field(default=None, init=False)

    def start(self) -> None:
        """Returns when it listens."""
        program = Path(__file__).with_name("gateway.py")
        arguments = [str(self.port), str(self.book), str(self.kills)]
        path = os.pathsep.join([str(Path(__file__).parents[2]), os.environ.get("PYTHONPATH", "")])
        self._process = subprocess.Popen(
            [sys.executable, str(program), *arguments],
            stdout=subprocess.PIPE,
            text=True,
            env={**os.environ, "PYTHONPATH": path},
        )
        assert self._process.stdout is not None
        assert self._process.stdout.readline() == "ready\n"

    def kill(self) -> None:
        """With SIGKILL: nothing is finished or flushed."""
        process = self._process
        assert process is not None
        assert process.stdout is not None
        process.kill()
        process.wait()
        process.stdout.close()
        self._process = None
        self.kills += 1

    def accepted(self) -> list[Accepted]:
        """What it has accepted in all of its lives."""
        if not self.book.exists():
            return []
        return [Accepted(**json.loads(line)) for line in self.book.read_text().splitlines()]

    def count(self) -> int:
        """How much that is."""
        return self.book.read_bytes().count(b"\n") if self.book.exists() else 0

    def die_amid(self, moments: list[int], down: float, seconds: float = 120.0) -> None:
        """Kill it when it has accepted so many, each time; it is away for `down` seconds."""
        for moment in moments:
            block_until(lambda moment=moment: self.count() >= moment, seconds)  # type: ignore[misc]
            self.kill()
            time.sleep(down)
            self.start()


@contextmanager
def mortal_gateway(folder: Path) -> Generator[MortalGateway]:
    """Such a gateway, running."""
    with held_port() as port:
        gateway = MortalGateway(port, folder / "accepted.jsonl")
        gateway.start()
        try:
            yield gateway
        finally:
            gateway.kill()
