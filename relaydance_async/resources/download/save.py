"""Pieces that come, in a file that is there only when it is whole."""

from __future__ import annotations

import os
from collections.abc import AsyncGenerator
from contextlib import aclosing
from pathlib import Path

from .disk import check_place, close_at_last, on_disk
from .part import PartFile, as_path


async def save_pieces(
    pieces: AsyncGenerator[bytes, None], path: str | os.PathLike[str], *, overwrite: bool = True
) -> Path:
    """Save them, a MiB at a time.

    Args:
        pieces: are closed at the end.
        path: of the file.
        overwrite: whether a file at `path` is replaced.

    Raises:
        InvalidInputError: no file can have that name.
        DownloadError: nothing may be written there.

    Cancelling it leaves no file.
    """
    part = PartFile(as_path(path), "answer", suffix=None, overwrite=overwrite)
    async with aclosing(pieces):
        await check_place(part, None)
        try:
            await on_disk(part.open)
            part.restart()
            async for piece in pieces:
                part.hold(piece)
                if part.is_full:
                    await on_disk(part.write)
            return await on_disk(part.finish)
        finally:
            await close_at_last(part)
