"""Whether a file is a whole mp4."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import anyio

NEEDED = {b"ftyp", b"moov", b"mdat"}
_HEADER, _LARGE_HEADER = 8, 16


def find_structure_problem(path: Path) -> str | None:
    """What is wrong with the boxes of the file (ISO/IEC 14496-12, 4.2), or None: they fill it, none is missing."""
    size = path.stat().st_size
    found: set[bytes] = set()
    at = 0
    with path.open("rb") as file:
        while at < size:
            file.seek(at)
            head = file.read(_LARGE_HEADER)
            length, kind, least = int.from_bytes(head[:4], "big"), head[4:8], _HEADER
            if length == 1:
                length, least = int.from_bytes(head[8:16], "big"), _LARGE_HEADER
            elif length == 0:  # up to the end of the file
                length = size - at
            if len(head) < least or length < least or at + length > size:
                return f"the box at byte {at} of {size} does not fit"
            found.add(kind)
            at += length
    missing = sorted(kind.decode() for kind in NEEDED - found)
    return f"no {', '.join(missing)} box" if missing else None


async def find_ffprobe() -> str | None:
    """Where ffprobe is, if it is installed."""
    return await anyio.to_thread.run_sync(shutil.which, "ffprobe")


async def find_playback_problem(ffprobe: str, path: Path) -> str | None:
    """What ffprobe says is wrong with the file, or None: it has a picture and a length."""
    command = [ffprobe, "-v", "error", "-of", "json", "-show_entries", "format=duration:stream=codec_type", str(path)]
    done = await anyio.run_process(command, check=False)
    if done.returncode or done.stderr.strip():
        return f"ffprobe: {done.stderr.decode('utf-8', 'replace').strip() or done.returncode}"
    found: dict[str, Any] = json.loads(done.stdout)
    if not any(stream.get("codec_type") == "video" for stream in found.get("streams", [])):
        return "ffprobe: no video stream"
    return None if float(found.get("format", {}).get("duration", 0)) > 0 else "ffprobe: no duration"
