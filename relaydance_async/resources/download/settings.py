"""The keywords of all that saves a result in a file."""

from __future__ import annotations

import os
from dataclasses import dataclass

from .._progress import Progress, ProgressHook
from .clip import DEFAULT_MAX_BYTES, DownloadLimits
from .part import PartFile, as_path
from .source import HostPolicy


@dataclass(frozen=True, slots=True)
class SaveSettings:
    """What `video.download` and `images.save` take."""

    overwrite: bool = True
    max_bytes: int = DEFAULT_MAX_BYTES
    allow_private_hosts: bool = False
    on_progress: ProgressHook | None = None

    def limits(self) -> DownloadLimits:
        """Raises InvalidInputError: `on_progress` is asynchronous."""
        return DownloadLimits(self.max_bytes, Progress(self.on_progress))

    def policy(self, base_url: str) -> HostPolicy:
        """Which hosts may be asked."""
        return HostPolicy.beside(base_url, allow_private=self.allow_private_hosts)

    def part(self, path: str | os.PathLike[str], name: str, *, suffix: str | None = ".mp4") -> PartFile:
        """See `PartFile`."""
        return PartFile(as_path(path), name, suffix=suffix, overwrite=self.overwrite)
