"""The clip behind every finished task: a real, playable mp4."""

from __future__ import annotations

import struct
from collections.abc import Iterator
from functools import cache
from importlib.resources import files

# Made with:
#   ffmpeg -f lavfi -i testsrc=size=320x180:rate=24:duration=2 \
#     -f lavfi -i sine=frequency=440:sample_rate=44100:duration=2 \
#     -c:v libx264 -profile:v main -pix_fmt yuv420p -crf 30 -c:a aac -b:a 48k -shortest -movflags +faststart \
#     -fflags +bitexact -flags:v +bitexact -flags:a +bitexact clip.mp4
CLIP = "data/clip.mp4"

PIECE_BYTES = 256 * 1024
ZEROS = bytes(PIECE_BYTES)


@cache
def load_clip() -> bytes:
    return files(__package__ or "relaydance_async.sandbox").joinpath(CLIP).read_bytes()


def _head(task_id: str, clip_bytes: int | None) -> tuple[bytes, int]:
    """All but the padding, and how many zero bytes follow.

    Each clip ends in a `free` box, which players skip: the task id in it makes every clip's bytes its own, and
    zeros bring it to the size asked for.
    """
    clip, mark = load_clip(), task_id.encode()
    least = len(clip) + 16 + len(mark)
    padding = max(0, (clip_bytes or 0) - least)
    # Size 1 and a 64-bit length, so that one form serves clips above 4 GiB too.
    box = struct.pack(">I4sQ", 1, b"free", 16 + len(mark) + padding) + mark
    return clip + box, padding


def clip_length(task_id: str, clip_bytes: int | None) -> int:
    head, padding = _head(task_id, clip_bytes)
    return len(head) + padding


def clip_pieces(task_id: str, clip_bytes: int | None, start: int, end: int) -> Iterator[bytes]:
    """Bytes `start` to `end` of the task's clip, the end not included; a large one is never in memory."""
    head, _ = _head(task_id, clip_bytes)
    if start < len(head):
        yield head[start : min(end, len(head))]
    left = end - max(start, len(head))
    while left > 0:
        yield ZEROS[:left] if left < PIECE_BYTES else ZEROS
        left -= PIECE_BYTES
