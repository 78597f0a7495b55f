"""What other systems lack: the package and the command work without it. (They themselves are in the workflows.)"""

from __future__ import annotations

import sys

import pytest

from tests.command.support import COMMAND, Desk, ended

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="it is one of them")

# Python and the libraries load what they need of this system first. Then what Windows or macOS lack is taken away.
WITHOUT = """
import asyncio, os, select, signal, socket, sqlite3, ssl, subprocess, sys, tempfile, threading
import anyio, certifi, cyclopts, filelock, httpx, rich.console, rich.progress
def missing(*args): raise NotImplementedError
asyncio.SelectorEventLoop.add_signal_handler = asyncio.SelectorEventLoop.remove_signal_handler = missing
for module, names in {
    os: ("fork", "forkpty", "register_at_fork", "geteuid", "getpgid", "setsid", "fchown", "O_NONBLOCK", "O_NOFOLLOW"),
    select: ("poll",),
    socket: ("TCP_KEEPIDLE", "TCP_KEEPINTVL", "TCP_KEEPCNT", "SO_REUSEPORT"),
    signal: ("SIGHUP", "SIGQUIT", "SIGUSR1", "SIGWINCH"),
}.items():
    for name in names:
        if hasattr(module, name):
            delattr(module, name)
for name in ("pwd", "grp", "resource", "termios", "readline"):
    sys.modules[name] = None
from relaydance_async.cli import main
sys.exit(main(sys.argv[1:]))
"""


@pytest.mark.parametrize("arguments", [["chat", "Why?"], ["video", "generate", "A boat"], ["doctor"]])
def test_the_command_works_without_what_other_systems_lack(desk: Desk, arguments: list[str]) -> None:
    process = desk.start(*arguments, command=[COMMAND[0], "-W", "error", "-c", WITHOUT])
    done = ended(process)
    assert (done.code, "Traceback" in done.err) == (0, False), done.err
