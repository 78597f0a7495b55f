"""The two parsers behind one small interface: llhttp (httptools), where the extra `[fast]` is, else h11.

The connection finds the end of a head itself and counts bodies of a known length, which needs no parser. What is left
for one is the grammar of a head, and the chunked coding. Both parsers pass the same tests.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol, TypeAlias

from ._rules import Head


class Parser(Protocol):
    """Reads one answer.

    Attributes:
        surplus: whether bytes came after the end of a chunked body.
    """

    surplus: bool

    def read_head(self, data: bytes) -> Head:
        """Read a head, its empty line included. An interim one is an answer of its own.

        Raises:
            Malformed: it is none.
        """
        ...

    def read_chunks(self, data: bytes) -> tuple[bytes, bool]:
        """Undo the chunked coding: the content, and whether its end has come.

        Raises:
            Malformed: it is none.
        """
        ...


NewParser: TypeAlias = Callable[[], Parser]
"""Makes one for one answer."""
