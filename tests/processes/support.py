"""Programs that use the client, run in a process of their own with every warning an error."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import tempfile
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from tests.kit.loops import ON_UVLOOP, without_loop

ROOT = Path(__file__).parents[2]
"""Where the programs find tests.kit."""

HEAD = """
import asyncio, concurrent.futures, gc, multiprocessing, os, signal, sys, threading, time, warnings
import anyio
from relaydance_async import AsyncRelayDance

if os.environ["USE_UVLOOP"]:
    import uvloop
    asyncio.new_event_loop = asyncio.events.new_event_loop = uvloop.new_event_loop  # asyncio.run asks the latter

def close_bare(loop):
    '''Without its generators. uvloop closes the connections itself then, and warns of each.'''
    with warnings.catch_warnings():
        if os.environ["USE_UVLOOP"]:
            warnings.filterwarnings("ignore", "unclosed resource", ResourceWarning)
        loop.close()

def make(**options):
    return AsyncRelayDance(
        os.environ["SANDBOX_KEY"], base_url=os.environ["SANDBOX_URL"], transport=os.environ["TRANSPORT"], **options
    )

client = make()

async def once():
    assert (await client.models.list()).data

async def several():
    await asyncio.gather(*(once() for _ in range(5)))

async def open_stream(client, chunks=10_000, delay=0.005):
    return await client.chat.completions.create(
        model="grok-4.3",
        messages=[{"role": "user", "content": "Hi"}],
        stream=True,
        extra_body={"sandbox_chunks": chunks, "sandbox_chunk_delay": delay},
    )

def connections():
    '''The TCP sockets of this process, by their own addresses.'''
    import socket
    found = []
    for number in map(int, os.listdir("/proc/self/fd")):
        try:
            sock = socket.socket(fileno=os.dup(number))
        except OSError:
            continue
        with sock:
            if sock.family == socket.AF_INET:
                found.append(sock.getsockname())
    return found
"""


def environment(base_url: str, key: str, transport: str) -> dict[str, str]:
    path = os.pathsep.join([str(ROOT), *filter(None, [os.environ.get("PYTHONPATH")])])
    chosen = {"TRANSPORT": without_loop(transport), "USE_UVLOOP": "1" if transport.endswith(ON_UVLOOP) else ""}
    return {**os.environ, "PYTHONPATH": path, "SANDBOX_URL": base_url, "SANDBOX_KEY": key, **chosen}


def strict_python(*arguments: str) -> list[str]:
    return [sys.executable, "-X", "dev", "-W", "error", *arguments]


def checked_python(transport: str, *arguments: str) -> list[str]:
    """The strictest that the loop bears: in debug mode uvloop 0.23 can't read the stacks of Python 3.12 and later, and
    fails where it closes a generator that was left open."""
    command = strict_python(*arguments)
    if transport.endswith(ON_UVLOOP) and sys.version_info >= (3, 12):
        command[1:3] = []
    return command


def complaints(stderr: str) -> str:
    """What a program had to say, but for what dev mode says of steps that took long: on a busy machine any may."""
    return "".join(line for line in stderr.splitlines(True) if not line.startswith("Executing "))


@contextmanager
def heeding_interrupts() -> Generator[None]:
    """What is started meanwhile is ended by SIGINT.

    A shell starts what it runs in the background with SIGINT ignored, and every program inherits that from the one that
    starts it: so it would from a pytest in the background. A handler is not inherited.
    """
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)


def start_program(command: list[str], **options: Any) -> subprocess.Popen[str]:
    """Start it with its output to be read as text."""
    with heeding_interrupts():
        return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, **options)


@contextmanager
def started(
    program: str, base_url: str, transport: str, *arguments: str, key: str = "sk-sandbox-0001"
) -> Generator[subprocess.Popen[str]]:
    """HEAD and the program, in a file, because `multiprocessing` may want to import it. Killed at the end."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "program.py"
        path.write_text(HEAD + program)
        with start_program(
            checked_python(transport, str(path), *arguments),
            env=environment(base_url, key, transport),
            stdin=subprocess.PIPE,
        ) as process:
            try:
                yield process
            finally:
                process.kill()


def run_program(program: str, base_url: str, transport: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Run HEAD and the program to its end."""
    with started(program, base_url, transport, *arguments) as process:
        stdout, stderr = process.communicate(timeout=60)
    return subprocess.CompletedProcess(process.args, process.returncode, stdout, complaints(stderr))


def next_line(process: subprocess.Popen[str]) -> str:
    """Of its standard output."""
    assert process.stdout is not None
    return process.stdout.readline().strip()


def tell(process: subprocess.Popen[str], line: str) -> None:
    """Write to its standard input."""
    assert process.stdin is not None
    process.stdin.write(line + "\n")
    process.stdin.flush()
