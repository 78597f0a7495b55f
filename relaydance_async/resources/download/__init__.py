"""A result, a clip or an image, to a file: whole or not at all."""

from .clip import DEFAULT_MAX_BYTES, DownloadLimits, download
from .disk import check_place, on_disk, write_whole
from .fetch import Result, as_download_error
from .part import PartFile, as_path
from .source import HostPolicy, ResultSource

__all__ = [
    "DEFAULT_MAX_BYTES",
    "DownloadLimits",
    "HostPolicy",
    "PartFile",
    "Result",
    "ResultSource",
    "as_download_error",
    "as_path",
    "check_place",
    "download",
    "on_disk",
    "write_whole",
]
