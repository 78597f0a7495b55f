"""Who sends: a process that lives, or one that has died with requests on the wire.

Each owner has a lease, which it renews while it sends. Where the other process can be looked up, on the same machine
under Linux, one that has died is known at once.
"""

from __future__ import annotations

import os
import secrets
from contextlib import suppress
from typing import NamedTuple


class Owner(NamedTuple):
    """One journal of one process.

    Attributes:
        id: drawn at random.
        until: when its lease ends (Unix time).
        machine: where its `pid` means something; "" when that is not known.
        started: when the process began, so that another one with its number is not taken for it.
    """

    id: str
    until: float
    machine: str
    pid: int
    started: str


class Standing:
    """How this owner stands: its lease, and what it sends. It outlives connections that break.

    Args:
        lease: seconds after which an owner that has not renewed its lease has died.

    Attributes:
        on_the_wire: its calls that are being sent.
    """

    def __init__(self, lease: float) -> None:
        pid = os.getpid()
        self.lease: float = lease
        self.owner: Owner = Owner(secrets.token_hex(8), 0.0, _machine(), pid, _started(pid) or "")
        self.on_the_wire: set[str] = set()

    def is_due(self, now: float) -> bool:
        """Whether the lease is to be renewed."""
        return self.owner.until - now <= self.lease * 0.75

    def keeps_quiet(self, now: float) -> bool:
        """Whether it sends nothing, or its lease lasts."""
        return not self.on_the_wire or not self.is_due(now)


def lives(owner: Owner, now: float, machine: str) -> bool:
    """Whether it may still be at work.

    Args:
        machine: this one.
    """
    if owner.until <= now:
        return False
    if not machine or owner.machine != machine:
        return True
    return _started(owner.pid) == owner.started


def _machine() -> str:
    """This boot of this machine, and the namespace of its process numbers: containers have their own."""
    with suppress(OSError), open("/proc/sys/kernel/random/boot_id", encoding="ascii") as file:
        return f"{file.read().strip()} {os.readlink('/proc/self/ns/pid')}"
    return ""


def _started(pid: int) -> str | None:
    """When the process began (proc(5), field 22 of `stat`); None when there is none, or it waits to be reaped."""
    try:
        with open(f"/proc/{pid}/stat", encoding="utf-8", errors="replace") as file:
            state, *rest = file.read().rpartition(")")[2].split()
    except OSError:
        return None
    return None if state in ("Z", "X") else rest[18]
