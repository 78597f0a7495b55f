"""Uploaded files."""

from __future__ import annotations

from ._base import WireModel


class UploadedFile(WireModel):
    """An uploaded file; its `url` goes into a video's references."""

    id: str
    url: str
