"""What kind of file some bytes are, by how they begin (the formats' own signatures)."""

from __future__ import annotations

import mimetypes

_STARTS: tuple[tuple[bytes, str], ...] = (
    (b"\x89PNG\r\n\x1a\n", "image/png"),
    (b"\xff\xd8\xff", "image/jpeg"),
    (b"GIF87a", "image/gif"),
    (b"GIF89a", "image/gif"),
    (b"BM", "image/bmp"),
    (b"II*\x00", "image/tiff"),
    (b"MM\x00*", "image/tiff"),
    (b"%PDF-", "application/pdf"),
    (b"ID3", "audio/mpeg"),
    (b"fLaC", "audio/flac"),
    (b"OggS", "audio/ogg"),
    (b"\x1aE\xdf\xa3", "video/webm"),
    (b"PK\x03\x04", "application/zip"),
    (b"{\\rtf", "application/rtf"),
)
_RIFF = {b"WEBP": "image/webp", b"WAVE": "audio/wav", b"AVI ": "video/x-msvideo"}
_BRANDS = {
    b"avif": "image/avif",
    b"avis": "image/avif",
    b"heic": "image/heic",
    b"heix": "image/heic",
    b"mif1": "image/heif",
}
"""Of the ISO base media format; all others are of clips, or of sound alone."""
_OFFICE = "application/vnd.openxmlformats-officedocument."


def media_type_of(content: bytes, name: str = "") -> str | None:
    """The media type of a file.

    Args:
        content: the bytes; the first hundred tell.
        name: of the file. Its ending tells where the bytes don't, and what kind of archive or text it is.

    Returns:
        None when nobody knows.
    """
    found = _by_content(content)
    named = mimetypes.guess_type(name)[0]
    if found == "application/zip" and named is not None and named.startswith(_OFFICE):
        return named
    return found or named or _as_text(content)


def _by_content(content: bytes) -> str | None:
    head = bytes(content[:64])
    for start, kind in _STARTS:
        if head.startswith(start):
            return kind
    if head[:4] == b"RIFF":
        return _RIFF.get(head[8:12])
    if head[4:8] == b"ftyp":
        return _BRANDS.get(head[8:12], "audio/mp4" if head[8:11] == b"M4A" else "video/mp4")
    if len(head) > 1 and head[0] == 0xFF and head[1] & 0xE6 == 0xE2:
        return "audio/mpeg"  # a frame of layer III without a tag before it
    return None


def _as_text(content: bytes) -> str | None:
    head = bytes(content[:1024])
    if b"\x00" in head:
        return None
    try:
        head.decode("utf-8")
    except UnicodeDecodeError as error:
        if error.start < len(head) - 4 or len(content) <= len(head):
            return None  # and no character that was cut in two
    return "text/plain"
