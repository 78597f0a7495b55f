"""A clip or an image that could not be saved."""

from __future__ import annotations

from typing import Any, Literal, TypeAlias

from ._base import RelayDanceError

DownloadErrorKind: TypeAlias = Literal[
    "disk", "path", "too large", "expired", "refused host", "broken", "changed", "unknown"
]

_DOWNLOAD_HINTS: dict[DownloadErrorKind, str] = {
    "disk": "Make room or repair the disk, then download again: it goes on from what was written",
    "path": "Choose another path",
    "too large": "Raise max_bytes if a file of that size is expected",
    "expired": "Its URL is no longer valid: `video.retrieve` gets a fresh one, while the gateway has the clip; an "
    "image has no other URL",
    "refused host": "If you trust that host, pass allow_private_hosts=True for an address that is not public; nothing "
    "else is taken",
    "broken": "Download again",
    "changed": "Download again, from the start: the server has another file now",
}


class DownloadError(RelayDanceError):
    """A clip or an image could not be saved whole. Nothing was written under the final name.

    Attributes:
        kind: what stood in the way: "disk" (full or broken), "path" (nothing can, or may, be written there),
            "too large" (above `max_bytes`), "expired" (the URL, and a fresh one could not be had or did not help),
            "refused host" (its URL is not to be trusted), "broken" (it did not come, not whole, or is none), "changed"
            (the server has another file than the one that was begun), or "unknown".
    """

    _hint = "Download again; result URLs may expire, `video.retrieve` gets a fresh one"

    def __init__(self, message: str = "", *, kind: DownloadErrorKind = "unknown", **details: Any) -> None:
        super().__init__(message, **details)
        self.kind: DownloadErrorKind = kind

    @property
    def hint(self) -> str:
        """What to do about it, by its kind."""
        return _DOWNLOAD_HINTS.get(self.kind, self._hint)
