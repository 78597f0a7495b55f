"""Uploaded files: in memory when small, on disk when not."""

from __future__ import annotations

import asyncio
import hashlib
import shutil
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from starlette.datastructures import UploadFile

MEMORY_BYTES = 2**20
PIECE_BYTES = 256 * 1024


@dataclass(frozen=True)
class StoredFile:
    """One upload."""

    file_id: str
    name: str
    content_type: str
    size: int
    sha256: str
    data: bytes | Path

    def pieces(self, start: int, end: int) -> Iterator[bytes]:
        """Bytes `start` to `end`, the end not included."""
        if isinstance(self.data, bytes):
            yield self.data[start:end]
            return
        with self.data.open("rb") as file:
            file.seek(start)
            left = end - start
            while left > 0 and (piece := file.read(min(PIECE_BYTES, left))):
                left -= len(piece)
                yield piece


class FileStore:
    """Uploads by id. What is on disk goes when the store closes."""

    def __init__(self, seed: int) -> None:
        self._seed = seed
        self._files: dict[str, StoredFile] = {}
        self._directory: Path | None = None
        self._n = 0

    def find(self, file_id: str) -> StoredFile | None:
        return self._files.get(file_id)

    async def store(self, upload: UploadFile) -> StoredFile:
        self._n += 1
        file_id = "file_" + hashlib.sha256(f"{self._seed}:file:{self._n}".encode()).hexdigest()[:24]
        name = Path(upload.filename or "file").name or "file"
        size = upload.size or 0
        data: bytes | Path
        if size <= MEMORY_BYTES:
            data = await upload.read()
            sha256 = hashlib.sha256(data).hexdigest()
        else:
            data = self._path_for(file_id)
            sha256 = await asyncio.to_thread(_copy_and_hash, upload.file, data)
        content_type = upload.content_type or "application/octet-stream"
        stored = StoredFile(file_id, name, content_type, size, sha256, data)
        self._files[file_id] = stored
        return stored

    def _path_for(self, file_id: str) -> Path:
        if self._directory is None:
            self._directory = Path(tempfile.mkdtemp(prefix="relaydance-sandbox-"))
        return self._directory / file_id

    def reset(self) -> None:
        self._files.clear()
        self._n = 0
        if self._directory is not None:
            shutil.rmtree(self._directory, ignore_errors=True)
            self._directory = None


def _copy_and_hash(source: BinaryIO, target: Path) -> str:
    digest = hashlib.sha256()
    source.seek(0)
    with target.open("wb") as file:
        while piece := source.read(PIECE_BYTES):
            digest.update(piece)
            file.write(piece)
    return digest.hexdigest()
