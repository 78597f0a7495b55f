"""What has come of a result that is wanted as bytes."""

from __future__ import annotations

from ...errors import DownloadError


class MemoryPart:
    """A part in memory.

    Attributes:
        size, validator: as of `PartFile`.
        is_full: never; nothing has to be written.
    """

    is_full: bool = False

    def __init__(self) -> None:
        self._pieces: list[bytes] = []
        self.size: int = 0
        self.validator: str | None = None

    def hold(self, piece: bytes) -> None:
        """Take a piece."""
        self._pieces.append(piece)
        self.size += len(piece)

    def restart(self, validator: str | None = None) -> None:
        """Forget what has come; what comes now is of the file with this validator."""
        self._pieces, self.size, self.validator = [], 0, validator

    def write(self) -> None:
        """There is nothing to do."""

    def finish(self) -> bytes:
        """All of it.

        Raises:
            DownloadError: it is empty.
        """
        if not self.size:
            raise DownloadError("the result is empty", kind="broken")
        return b"".join(self._pieces)
