"""Uploaded files."""

from __future__ import annotations

from ._base import WireModel


class UploadedFile(WireModel):
    """An uploaded file; its `url` goes into a video's references.

    Attributes:
        id: of the file, at the gateway.
        url: where it is.
    """

    id: str
    url: str
