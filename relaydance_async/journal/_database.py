"""Opens the file of a journal: made if need be, checked, and brought to this version."""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Callable
from pathlib import Path
from typing import Literal, TypeAlias

from ..errors import JournalError

Durability: TypeAlias = Literal["power", "process"]

APPLICATION_ID = 0x5244_4A4C
"""In the file's header (SQLite, "The Application ID"): "RDJL"."""

_NETWORKS = frozenset(
    {"nfs", "nfs4", "cifs", "smb3", "smbfs", "afs", "ceph", "glusterfs", "fuse.glusterfs", "lustre", "fuse.sshfs"}
    | {"davfs", "fuse.davfs2", "ncpfs"}
)
"""File systems on which processes of several machines would share no memory: SQLite's WAL needs that."""

_COLUMNS = """
    namespace TEXT NOT NULL, origin TEXT NOT NULL, key TEXT NOT NULL, attempt INTEGER NOT NULL, state TEXT NOT NULL,
    call TEXT NOT NULL, owner TEXT NOT NULL, fingerprint TEXT NOT NULL, route TEXT NOT NULL, model TEXT, callback TEXT,
    request TEXT, sent_at REAL NOT NULL, ended_at REAL, task_id TEXT, task_status TEXT, request_id TEXT,
    reason TEXT NOT NULL DEFAULT '', answer TEXT, noted_at REAL, saved_to TEXT,
    saved_bytes INTEGER, sender TEXT NOT NULL DEFAULT ''
"""


def _first_version(connection: sqlite3.Connection) -> None:
    # The last attempt of each key, where it is found by the key alone; those before are apart.
    connection.execute(f"CREATE TABLE entries ({_COLUMNS}, PRIMARY KEY (namespace, origin, key)) WITHOUT ROWID")
    connection.execute(f"CREATE TABLE attempts ({_COLUMNS}, PRIMARY KEY (namespace, origin, key, attempt))")
    connection.execute("CREATE INDEX entries_by_task ON entries (origin, task_id) WHERE task_id IS NOT NULL")
    connection.execute("CREATE INDEX entries_by_callback ON entries (callback) WHERE callback IS NOT NULL")
    connection.execute(
        "CREATE TABLE owners (id TEXT PRIMARY KEY, until REAL NOT NULL, machine TEXT NOT NULL, pid INTEGER NOT NULL,"
        " started TEXT NOT NULL) WITHOUT ROWID"
    )


MIGRATIONS: tuple[Callable[[sqlite3.Connection], None], ...] = (_first_version,)
"""Each brings a file to the next version. They are never changed: files of all versions are out there."""


def open_database(path: Path, durability: Durability, busy_seconds: float) -> sqlite3.Connection:
    """A connection to a journal of this version. Blocks.

    Raises:
        JournalError: it is none, of a newer version, or on a network file system.
        OSError, sqlite3.Error: it can't be opened.
    """
    _check_place(path)
    # SQLite gives its other files the mode of this one.
    os.close(os.open(path, os.O_RDWR | os.O_CREAT, 0o600))
    connection = sqlite3.connect(path, timeout=busy_seconds, isolation_level=None, check_same_thread=False)
    try:
        _check_kind(connection, path)
        if connection.execute("PRAGMA journal_mode=WAL").fetchone()[0] != "wal":
            raise JournalError(f"the journal {path} is where SQLite can't share memory (WAL)", kind="network")
        connection.execute(f"PRAGMA synchronous={'FULL' if durability == 'power' else 'NORMAL'}")
        _migrate(connection)
    except BaseException:
        connection.close()
        raise
    return connection


def _check_kind(connection: sqlite3.Connection, path: Path) -> None:
    connection.execute("BEGIN")  # all of the same moment: another process may just be making it
    (tables,) = connection.execute("SELECT count(*) FROM sqlite_master").fetchone()
    (kind,) = connection.execute("PRAGMA application_id").fetchone()
    (version,) = connection.execute("PRAGMA user_version").fetchone()
    connection.execute("COMMIT")
    if kind != APPLICATION_ID and (kind or version or tables):
        raise JournalError(f"{path} is a database of another program", kind="foreign")
    if version > len(MIGRATIONS):
        message = f"the journal {path} is of version {version}; this relaydance_async knows {len(MIGRATIONS)}"
        raise JournalError(message, kind="newer")


def _migrate(connection: sqlite3.Connection) -> None:
    if connection.execute("PRAGMA user_version").fetchone()[0] == len(MIGRATIONS):
        return
    connection.execute("BEGIN IMMEDIATE")
    try:
        # Another process may have done it meanwhile.
        (version,) = connection.execute("PRAGMA user_version").fetchone()
        for migrate in MIGRATIONS[version:]:
            migrate(connection)
        connection.execute(f"PRAGMA application_id={APPLICATION_ID}")
        connection.execute(f"PRAGMA user_version={len(MIGRATIONS)}")
        connection.execute("COMMIT")
    except BaseException:
        connection.execute("ROLLBACK")
        raise


def _check_place(path: Path) -> None:
    kind = file_system_of(path.parent.resolve())
    if kind in _NETWORKS:
        message = f"the journal {path} is on a network file system ({kind}), where processes share no memory"
        raise JournalError(message, kind="network")


def file_system_of(directory: Path) -> str:
    """The kind of the file system that a directory is in, as Linux names it; "" where that can't be known."""
    found = ("", "")
    for line in read_mounts().splitlines():
        _, point, kind, *_ = line.split(" ")
        point = point.replace("\\040", " ")
        if directory.is_relative_to(point) and len(point) >= len(found[0]):  # the last one hides those before
            found = (point, kind)
    return found[1]


def read_mounts() -> str:
    """What is mounted, as Linux tells; "" elsewhere."""
    try:
        return Path("/proc/self/mounts").read_text(encoding="utf-8", errors="replace")
    except OSError:
        return ""


def copy_database(path: Path, target: Path) -> None:
    """Copy a live journal, whole, to a new file. Blocks.

    Raises:
        FileExistsError: the target is there.
        OSError, sqlite3.Error: it can't be read or written.
    """
    part = target.with_name(f"{target.name}.part")
    os.close(os.open(target, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600))
    try:
        os.close(os.open(part, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600))
        source, copy = sqlite3.connect(path), sqlite3.connect(part)
        try:
            source.backup(copy)
            copy.execute("PRAGMA journal_mode=DELETE")  # one file, without one beside it
        finally:
            copy.close()
            source.close()
        os.replace(part, target)
    except BaseException:
        part.unlink(missing_ok=True)
        target.unlink(missing_ok=True)
        raise
