"""Waiting for what another task or thread does, and a look at what the process has open."""

from __future__ import annotations

import os
import time
from collections.abc import Callable

import anyio


async def wait_until(condition: Callable[[], bool], seconds: float = 5.0) -> None:
    """For what another task or thread does: looked at every millisecond."""
    ends = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < ends, "it did not happen in time"
        await anyio.sleep(0.001)


def block_until(condition: Callable[[], bool], seconds: float = 5.0) -> None:
    """The same where there is no event loop, for what another thread does."""
    ends = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < ends, "it did not happen in time"
        time.sleep(0.001)


def open_files() -> int:
    """The file descriptors of this process, sockets included. Not /dev/null, which libuv keeps one of for each loop."""
    null = os.stat(os.devnull).st_rdev
    return sum(_device_of(int(fileno)) != null for fileno in os.listdir("/dev/fd"))


def _device_of(fileno: int) -> int | None:
    try:
        return os.fstat(fileno).st_rdev
    except OSError:  # it was that of the list
        return None
