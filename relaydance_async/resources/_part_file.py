"""The file in which a clip grows, under another name until it is whole."""

from __future__ import annotations

import errno
import os
import stat
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import BinaryIO

# No link is followed to another file, and no pipe in the file's place makes us wait for who reads it.
_PLAIN = os.O_CREAT | sum(getattr(os, name, 0) for name in ("O_NOFOLLOW", "O_NONBLOCK", "O_BINARY"))


class PartFile:
    """What has come of a clip so far, and the validator (ETag, or date) of the file that it is part of.

    Without a validator it can't be told whether the rest would be of the same file (RFC 9110 section 15.3.7.3), so then
    nothing is continued. It lies beside the part, for a later process.

    Raises:
        OSError: it can't be written, is no plain file, or another download is writing it.
    """

    def __init__(self, target: Path, name: str) -> None:
        self._target = target
        self._path = target.with_name(f"{target.name}.{name}.part")
        self._note = target.with_name(f"{target.name}.{name}.etag.part")
        self._file = _open(self._path, os.O_RDWR | os.O_APPEND)
        try:
            _lock(self._file, self._path)
            self.size = os.fstat(self._file.fileno()).st_size
            self.validator: str | None = self._noted() if self.size else None
            if self.validator is None:
                self.restart(None)
        except BaseException:
            self._file.close()
            raise

    def append(self, pieces: Iterable[bytes]) -> None:
        """Add what has come."""
        for piece in pieces:
            self._file.write(piece)
            self.size += len(piece)

    def restart(self, validator: str | None) -> None:
        """Forget what has come; what comes now is of the file with this validator."""
        self._file.seek(0)
        self._file.truncate()
        self.size = 0
        self.validator = validator
        if validator is None:
            self._note.unlink(missing_ok=True)
        else:
            with _open(self._note, os.O_WRONLY | os.O_TRUNC) as note:
                note.write(validator.encode("latin-1", "replace"))

    def finish(self) -> Path:
        """Give it its name."""
        self._file.flush()
        if sys.platform == "win32":
            self._file.close()  # an open file can't be renamed there
        self._path.replace(self._target)
        self._file.close()
        self._note.unlink(missing_ok=True)
        return self._target

    def close(self) -> None:
        """Close it; one from which nothing can go on is removed. Safe to call twice."""
        if self._file.closed:
            return
        try:
            self._file.flush()
            if not self.size or self.validator is None:
                self._path.unlink(missing_ok=True)
                self._note.unlink(missing_ok=True)
        finally:
            self._file.close()

    def _noted(self) -> str | None:
        try:
            with _open(self._note, os.O_RDONLY) as note:
                text = note.read(1000).decode("latin-1")
        except OSError:
            return None  # whatever lies there is not ours
        return text if text.isprintable() and text else None


def _open(path: Path, flags: int) -> BinaryIO:
    number = os.open(path, flags | _PLAIN, 0o666)
    if not stat.S_ISREG(os.fstat(number).st_mode):
        os.close(number)
        raise OSError(errno.EINVAL, "not a plain file", str(path))
    return os.fdopen(number, "rb" if flags & (os.O_RDWR | os.O_WRONLY) == 0 else "ab")


def _lock(file: BinaryIO, path: Path) -> None:
    """Keep it to ourselves: two downloads in one file would spoil it, and the clip that one of them makes of it."""
    if sys.platform == "win32":
        return  # renaming it fails there while another download has it open
    import fcntl

    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        raise OSError(errno.EBUSY, "another download is writing it", str(path)) from None
    if not os.path.samestat(os.fstat(file.fileno()), path.stat()):
        raise OSError(errno.EBUSY, "another download has just finished it", str(path))
