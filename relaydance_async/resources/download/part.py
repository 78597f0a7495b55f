"""The file in which a result grows, under another name until it is whole."""

from __future__ import annotations

import errno
import os
import re
import stat
import sys
import threading
from contextlib import suppress
from pathlib import Path
from typing import BinaryIO

from ...errors import DownloadError, InvalidInputError

WRITE_BYTES = 1024 * 1024
"""How much is held before it is to be written, by a thread. More was no faster."""

_MOST_PIECES = 1024
"""How many pieces one `writev` takes (IOV_MAX of Linux and macOS). It also bounds what small pieces cost."""

# No link is followed to another file, and no pipe in the file's place makes us wait for who reads it.
_PLAIN = os.O_CREAT | sum(getattr(os, name, 0) for name in ("O_NOFOLLOW", "O_NONBLOCK", "O_BINARY"))


class PartFile:
    """What has come of a result so far, and the validator (ETag, or date) of the file that it is part of.

    The validator lies beside the part, for a later process; without one nothing can be continued, so nothing is kept.

    `check`, `open`, `write`, `finish` and `close` are for threads; all else is for the event loop, and no work on the
    disk. Only one is used at a time, but for `close`: a cancelled caller may leave a thread behind in another one. That
    comes to an end before `close` does its work, or else finds the file closed and does nothing.

    Args:
        to: where the result is to be.
        name: of the result, such as its task's id: the part of another would be continued with bytes of this one.
        suffix: a directory takes `<name><suffix>`; None: it takes nothing.
        overwrite: whether a file that is there already is replaced.

    Attributes:
        size: bytes that have come, those that are held included.
        validator: see above.
        is_closed: whether there is nothing left to close.
    """

    def __init__(self, to: Path, name: str, *, suffix: str | None = ".mp4", overwrite: bool = True) -> None:
        self._to = self._target = to
        self._name = re.sub(r"[^A-Za-z0-9_-]", "_", name)[:100]
        self._suffix = suffix
        self._overwrite = overwrite
        self._path = self._note = to  # until it is open
        self._file: BinaryIO | None = None
        self._held: list[bytes] = []
        self._held_bytes = 0
        self._is_stale = False
        """Whether what is on the disk is of no use."""
        self._lock = threading.Lock()
        self.size: int = 0
        self.validator: str | None = None
        self.is_closed: bool = False

    @property
    def is_full(self) -> bool:
        """Whether so much is held that it is to be written."""
        return self._held_bytes >= WRITE_BYTES or len(self._held) >= _MOST_PIECES

    def hold(self, piece: bytes) -> None:
        """Take a piece, to be written later."""
        self._held.append(piece)
        self._held_bytes += len(piece)
        self.size += len(piece)

    def restart(self, validator: str | None = None) -> None:
        """Forget what has come, on the disk at the next write; what comes now is of the file with this validator."""
        self._held, self._held_bytes = [], 0
        self.size = 0
        self.validator = validator
        self._is_stale = True

    def find_saved(self, path: Path, size: int) -> Path | None:
        """The target, if it is this very file and has so many bytes. For threads.

        Raises:
            OSError: it can't be looked at.
        """
        try:
            target = self._in_directory() if self._to.is_dir() else self._to
            with suppress(FileNotFoundError):
                status = target.lstat()
                if target.absolute() == path and stat.S_ISREG(status.st_mode) and status.st_size == size:
                    return target
        except ValueError:
            pass  # which `check` tells about
        return None

    def check(self) -> None:
        """That a file may be there. Nothing is written.

        Raises:
            InvalidInputError: no file can have that name.
            DownloadError: there is no such directory.
            OSError: there is something that is not to be replaced.
        """
        with self._lock:
            self._find_place()

    def open(self) -> None:
        """Open the file, with what an earlier download has left in it.

        Raises:
            InvalidInputError: no file can have that name.
            DownloadError: there is no such directory.
            OSError: it can't be written, is no plain file, or another download is writing it.
        """
        with self._lock:
            if self.is_closed:
                return
            self._find_place()
            self._file = _open_alone(self._path)
            self.size = _size(self._file)
            self.validator = self._noted() if self.size else None
            if self.validator is None:
                self.restart()
                self._begin_anew(self._file)

    def write(self) -> None:
        """Write what is held.

        Raises:
            OSError: it can't be written. What could be is kept, and the rest forgotten.
        """
        with self._lock:
            if self._file is not None:
                self._write(self._file)

    def finish(self) -> Path:
        """Write what is held, and give the file its name.

        Raises:
            DownloadError: it is empty.
            OSError: it can't be written or named. What could be written is kept.
        """
        with self._lock:
            file = self._file
            if file is None:
                return self._target  # nobody waits for it any more
            self._write(file)
            if not self.size:
                raise DownloadError("the result is empty", kind="broken")
            if _size(file) != self.size:
                raise OSError(errno.EBUSY, "another program has changed it", str(self._path))
            if sys.platform == "win32":
                self._let_go(file)  # an open file can't be renamed there
            self._give_name()
            with suppress(OSError):
                self._note.unlink(missing_ok=True)
            self._let_go(file)  # last: whoever was cancelled goes on as soon as it is closed
            return self._target

    def close(self) -> None:
        """Write what is held and close the file; one from which nothing can go on is removed. Safe to call twice."""
        with self._lock:
            file, self.is_closed = self._file, True
            if file is None:
                return
            with suppress(OSError):  # whatever made an end of the download is the better reason
                self._write(file)
            try:
                if self.validator is None or not _size(file):
                    self._path.unlink(missing_ok=True)
                    self._note.unlink(missing_ok=True)
            except OSError:
                pass
            finally:
                self._let_go(file)

    def _find_place(self) -> None:
        try:
            target = self._in_directory() if self._to.is_dir() else self._to
            if not target.parent.is_dir():
                raise DownloadError(f"there is no directory {target.parent}", kind="path")
            self._target = target
            self._path = target.with_name(f"{target.name}.{self._name}.part")
            self._note = target.with_name(f"{target.name}.{self._name}.etag.part")
            self._check_target()
        except ValueError as error:
            raise InvalidInputError(f"path can't be the name of a file: {error}") from None

    def _in_directory(self) -> Path:
        if self._suffix is None:
            raise DownloadError(f"{self._to} is a directory; name a file in it", kind="path")
        return self._to / f"{self._name}{self._suffix}"

    def _check_target(self) -> None:
        """That what is there, if anything, is to be replaced: a link's or a device's owner would miss it."""
        with suppress(FileNotFoundError):
            mode = self._target.lstat().st_mode
            if not stat.S_ISREG(mode):
                raise OSError(errno.EINVAL, _other_than_file(mode), str(self._target))
            if not self._overwrite:
                raise _taken(self._target)

    def _give_name(self) -> None:
        self._check_target()
        if self._overwrite:
            self._path.replace(self._target)
        else:
            _rename_without_replacing(self._path, self._target)

    def _write(self, file: BinaryIO) -> None:
        pieces, self._held, self._held_bytes = self._held, [], 0
        try:
            if self._is_stale:
                self._begin_anew(file)
            _write_all(file.fileno(), pieces)
        except OSError as error:
            self.size = _size(file)
            raise OSError(error.errno, error.strerror, error.filename or str(self._path)) from None

    def _begin_anew(self, file: BinaryIO) -> None:
        file.truncate(0)
        # Not before the bytes of another file are gone.
        if self.validator is None:
            self._note.unlink(missing_ok=True)
        else:
            with _open(self._note, os.O_WRONLY) as note:
                note.seek(0)
                note.truncate()  # not as it is opened: it may be another's
                note.write(self.validator.encode("latin-1", "replace"))
        self._is_stale = False

    def _let_go(self, file: BinaryIO) -> None:
        self._file, self.is_closed = None, True
        file.close()

    def _noted(self) -> str | None:
        try:
            with _open(self._note, os.O_RDONLY) as note:
                text = note.read(1000).decode("latin-1")
        except OSError:
            return None  # whatever lies there is not ours
        return text if text.isprintable() and text else None


def _write_all(number: int, pieces: list[bytes]) -> None:
    written = _write_some(number, pieces) if pieces else 0
    if written == sum(map(len, pieces)):
        return
    rest = memoryview(b"".join(pieces))[written:]
    while rest:
        rest = rest[os.write(number, rest) :]


def _write_some(number: int, pieces: list[bytes]) -> int:
    if sys.platform == "win32":
        return os.write(number, b"".join(pieces))
    # All in one call: each one gives the interpreter's lock away, and has to wait for it again.
    return os.writev(number, pieces)


def _size(file: BinaryIO) -> int:
    return os.fstat(file.fileno()).st_size


def _other_than_file(mode: int) -> str:
    if stat.S_ISLNK(mode):
        return "a symbolic link is there, which is neither followed nor replaced"
    return "a directory is there" if stat.S_ISDIR(mode) else "not a plain file"


def _taken(target: Path) -> OSError:
    return OSError(errno.EEXIST, "a file is there already, and overwrite=False", str(target))


def _rename_without_replacing(path: Path, target: Path) -> None:
    try:
        if sys.platform == "win32":
            path.rename(target)
        else:
            os.link(path, target)
    except FileExistsError:
        raise _taken(target) from None
    except OSError:  # a file system without hard links: who comes between the look and this is replaced
        path.replace(target)
    with suppress(OSError):
        path.unlink(missing_ok=True)


def _open(path: Path, flags: int) -> BinaryIO:
    """A plain file with one name, without a buffer: what is written is written, or an error."""
    number = os.open(path, flags | _PLAIN, 0o666)
    status = os.fstat(number)
    if not stat.S_ISREG(status.st_mode) or status.st_nlink > 1:
        os.close(number)
        # By another name it is another's file, which would be emptied here.
        why = "it has other names too (hard links)" if stat.S_ISREG(status.st_mode) else "not a plain file"
        raise OSError(errno.EINVAL, why, str(path))
    return os.fdopen(number, "rb" if flags & (os.O_RDWR | os.O_WRONLY) == 0 else "ab", buffering=0)


def _open_alone(path: Path) -> BinaryIO:
    file = _open(path, os.O_RDWR | os.O_APPEND)
    try:
        _lock(file, path)
    except BaseException:
        file.close()  # and no more: it is another download's
        raise
    return file


def _lock(file: BinaryIO, path: Path) -> None:
    """Keep it to ourselves: two downloads in one file would spoil it, and the clip that one of them makes of it."""
    if sys.platform == "win32":
        return  # renaming it fails there while another download has it open
    import fcntl

    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        raise OSError(errno.EBUSY, "another download is writing it", str(path)) from None
    with suppress(FileNotFoundError):
        if os.path.samestat(os.fstat(file.fileno()), path.stat()):
            return
    raise OSError(errno.EBUSY, "another download has just finished it", str(path))


def as_path(path: str | os.PathLike[str]) -> Path:
    """A path from an argument.

    Raises:
        InvalidInputError: it is none.
    """
    try:
        return Path(path)
    except TypeError:
        raise InvalidInputError(f"path must be a path, not {path!r:.80}") from None
