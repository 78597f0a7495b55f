"""`relaydance files`, and the local files of other commands."""

from __future__ import annotations

import hashlib
import io
import os
from collections.abc import Iterable
from pathlib import Path
from typing import Annotated, Any, TypeAlias

from cyclopts import App, Parameter

from .. import AsyncRelayDance, SqliteJournal
from ..errors import InvalidInputError
from ..resources._open_file import open_file
from ._exits import DONE, CannotBeginError
from ._play import play
from ._progress import Progress, showing
from ._session import Here

Out: TypeAlias = Annotated[Path | None, Parameter(alias="-o")]

files = App(name="files", help="Files for clips to refer to.")


@files.command
def upload(*paths: Path, session: Here) -> int:
    """Upload files; their URLs go into --reference.

    Args:
        paths: of the files.
    """
    if not paths:
        raise CannotBeginError("which? Give the paths of files")
    for path in paths:
        check_file(path)

    async def work(client: AsyncRelayDance) -> None:
        with session.output.several() as show:
            for path in paths:
                async with showing(client, f"uploading {path.name}") as progress:
                    file = await client.files.upload(path, on_progress=_shown_in(progress))
                show({"file": path, "id": file.id, "url": file.url})

    play(session, work)
    return DONE


def _shown_in(progress: Progress) -> Any:
    def show(done: int, total: int | None) -> None:
        progress.state = f"{done / 1e6:.1f} MB" + (f" of {total / 1e6:.1f} MB" if total else "")

    return show


def is_local(name: str) -> bool:
    """Whether it is a file, and no URL. (A scheme of one letter is a Windows drive.)"""
    scheme, colon, _ = name.partition(":")
    return not (colon and len(scheme) > 1 and scheme.replace("+", "").isalnum())


def check_file(path: Path) -> None:
    """Before anything is paid for.

    Raises:
        CannotBeginError: it is no file, or can't be read.
    """
    opened(path).close()


def opened(path: Path) -> io.BufferedReader:
    """Open it for reading; no pipe or device, which may have no end. Raises like `check_file`."""
    try:
        return open_file(path)
    except InvalidInputError as error:
        raise CannotBeginError(str(error)) from None


def digests_of(names: Iterable[str]) -> list[str]:
    """Of the local ones among them. They tell another content under the same name."""
    return [_digest(name) for name in names if is_local(name)]


def _digest(name: str) -> str:
    with opened(Path(name)) as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


async def uploaded(client: AsyncRelayDance, name: str, journal: SqliteJournal | None) -> str:
    """The URL of a reference. A local file is uploaded, once for each content if there is a journal."""
    if not is_local(name):
        return name
    key = None if journal is None else f"file-{_digest(name)[:32]}"
    return (await client.files.upload(Path(name), idempotency_key=key)).url


def place_of(out: Path | None) -> str:
    """Where a result goes, whatever the directory is that one is in; "" without a choice."""
    return "" if out is None else str(out.absolute())


def check_out(out: Path | None, *, overwrite: bool) -> None:
    """Whether a result can be saved there, before it is paid for.

    Raises:
        CannotBeginError: it can't, or a file is there already.
    """
    if out is None or out.is_dir():
        folder = out or Path()
    else:
        folder = out.parent
        if out.exists() and not overwrite:
            raise CannotBeginError(f"{out} is there already; --overwrite replaces it")
    if not folder.is_dir():
        raise CannotBeginError(f"there is no directory {folder}")
    if not os.access(folder, os.W_OK):
        raise CannotBeginError(f"nothing can be written in {folder}")
