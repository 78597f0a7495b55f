"""A clip to a file: whole or not at all."""

from .clip import DEFAULT_MAX_BYTES, DownloadLimits, download_clip

__all__ = ["DEFAULT_MAX_BYTES", "DownloadLimits", "download_clip"]
