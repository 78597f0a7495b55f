"""A clip to a file: whole or not at all."""

from ._adapter import Api
from .clip import DEFAULT_MAX_BYTES, DownloadLimits, download_clip

__all__ = ["DEFAULT_MAX_BYTES", "Api", "DownloadLimits", "download_clip"]
