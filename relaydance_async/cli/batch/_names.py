"""Names that are safe on every file system."""

from __future__ import annotations

import re
import unicodedata

LONGEST = 120
"""Bytes, without the suffix. File systems take 255, and a part file's name is longer."""

# Windows: what no name may hold, and names that are devices. The rest of the world has fewer.
_UNSAFE = re.compile(r'[\x00-\x1f\x7f<>:"/\\|?*\s]+')
_DEVICES = re.compile(r"(con|prn|aux|nul|com\d|lpt\d)(\..*)?", re.IGNORECASE)


def safe_name(text: str) -> str:
    """A name for a file, as near to the text as it can be. Never empty, hidden, a path or a device."""
    plain = unicodedata.normalize("NFC", text)
    plain = "".join(letter for letter in plain if unicodedata.category(letter) not in ("Cf", "Cs", "Co", "Cn"))
    plain = _UNSAFE.sub("_", plain).strip(". ")
    if _DEVICES.fullmatch(plain):
        plain = f"_{plain}"
    return _cut(plain).rstrip(". ") or "_"


def _cut(text: str) -> str:
    return text.encode()[:LONGEST].decode(errors="ignore")


class Names:
    """Gives each row a name of its own. Two names that differ in capitals only are one file to some systems."""

    def __init__(self) -> None:
        self._taken: set[str] = set()

    def take(self, text: str) -> str:
        """The name, or the name with a number when it is taken."""
        name = safe_name(text)
        number = 1
        candidate = name
        while candidate.casefold() in self._taken:
            number += 1
            candidate = f"{name}-{number}"
        self._taken.add(candidate.casefold())
        return candidate
