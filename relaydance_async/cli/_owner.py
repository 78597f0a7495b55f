"""Whose a file is, and what others may do with it. Only POSIX tells."""

from __future__ import annotations

import os


def others_may(found: os.stat_result, bits: int) -> bool:
    """Whether others than its owner have one of these bits of its mode."""
    return os.name == "posix" and bool(found.st_mode & bits)


def is_of_another(found: os.stat_result) -> bool:
    """Whether it is neither the user's nor root's, who may set it up for all."""
    return os.name == "posix" and found.st_uid not in (os.getuid(), 0)
