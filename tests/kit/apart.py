"""A sandbox in a process of its own, so that only the client is measured."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Generator
from contextlib import contextmanager

TIME_SCALE = 500
"""Seconds of the sandbox's clock, and of the sleeps of its clients, in a real one."""

_SERVER = f"""
import sys
from relaydance_async.sandbox import Account, Fault, Sandbox

accounts = {{key: Account(unlimited=True) for key in (Sandbox.DEFAULT_KEY, *sys.argv[1:])}}
faults = [Fault("GET /v1/models", status=503, every=2)]
with Sandbox(time_scale={TIME_SCALE}, accounts=accounts, ledger_limit=1000, faults=faults) as sandbox:
    print(sandbox.base_url, flush=True)
    sys.stdin.read()
"""


@contextmanager
def sandbox_apart(*keys: str) -> Generator[str, None, None]:
    """Its base URL. It ends with its input. Every second list of models is refused.

    Args:
        keys: that it takes beside its own.
    """
    command = [sys.executable, "-c", _SERVER, *keys]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        with process.stdin:
            yield process.stdout.readline().strip()
