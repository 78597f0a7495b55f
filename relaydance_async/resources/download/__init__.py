"""A result, a clip or an image, to a file or into memory: whole or not at all; or piece by piece."""

from .clip import DEFAULT_MAX_BYTES, DEFAULT_MEMORY_BYTES, DownloadLimits, download, load
from .disk import check_place, on_disk, write_whole
from .fetch import Result, as_download_error
from .part import PartFile, as_path
from .save import save_pieces
from .settings import SaveSettings
from .source import CONTENT, HostPolicy, ResultSource, check_addresses
from .stream import stream
from .transfer import check_size

__all__ = [
    "CONTENT",
    "DEFAULT_MAX_BYTES",
    "DEFAULT_MEMORY_BYTES",
    "DownloadLimits",
    "HostPolicy",
    "PartFile",
    "Result",
    "ResultSource",
    "SaveSettings",
    "as_download_error",
    "as_path",
    "check_addresses",
    "check_place",
    "check_size",
    "download",
    "load",
    "on_disk",
    "save_pieces",
    "stream",
    "write_whole",
]
