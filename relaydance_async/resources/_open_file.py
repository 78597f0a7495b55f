"""A path's file, and nothing else that may stand there: a pipe or a device may begin never, or have no end."""

from __future__ import annotations

import io
import os
import stat
from pathlib import Path
from typing import BinaryIO

from ..errors import InvalidInputError


def open_file(path: Path) -> io.BufferedReader:
    """Open it for reading. It may block as long as its disk does; call it in a thread.

    Raises:
        InvalidInputError: it isn't there, is no file, or can't be read.
    """
    try:
        if stat.S_ISREG(path.stat().st_mode):  # a device may do something as it is opened
            file = open(path, "rb", opener=_at_once)  # noqa: SIM115
            if stat.S_ISREG(os.fstat(file.fileno()).st_mode):
                return file
            file.close()  # it was replaced in between
    except OSError as error:
        raise unreadable(str(path), error) from None
    except ValueError as error:
        raise InvalidInputError(f"{str(path)!r:.200} can't be the name of a file: {error}") from None
    raise InvalidInputError(f"{path} is not a file")


def size_of(file: BinaryIO) -> int:
    """Bytes of a file that `open_file` gave."""
    return os.fstat(file.fileno()).st_size


def unreadable(name: str, error: OSError) -> InvalidInputError:
    """The error for what the system said."""
    return InvalidInputError(f"can't read {name}: {error.strerror or error}")


def _at_once(name: str, flags: int) -> int:
    """The opener. The begin of a pipe that nobody writes to would be waited for without an end."""
    try:
        return os.open(name, flags | getattr(os, "O_NONBLOCK", 0))
    except BlockingIOError:  # another program has a lease on it: so it is a file, and can be waited for
        return os.open(name, flags)
