"""Why there is no connection: the one exception that leaves a dial, whatever library or layer raised the first one.

It is made where the failure is understood, and holds a text without secrets. No byte of a request was sent.
"""

from __future__ import annotations

import errno
import os
import ssl
from typing import Literal, TypeAlias

DialErrorKind: TypeAlias = Literal["dns", "refused", "unreachable", "tls", "proxy", "address"]


class DialError(Exception):
    """No connection could be made.

    Attributes:
        kind: what stood in the way: "dns" (the name has no address), "refused" (nobody listens), "unreachable" (any
            other failure of TCP), "tls" (no handshake, or distrust), "proxy" (it refused), "address" (its addresses
            may not be connected to).
        text: one line for a person, without secrets.
        retryable: whether the same dial may succeed later.
    """

    def __init__(self, kind: DialErrorKind, text: str, *, retryable: bool = True) -> None:
        super().__init__(text)
        self.kind: DialErrorKind = kind
        self.text = text
        self.retryable = retryable


def as_dial_error(error: OSError) -> DialError:
    """For what a socket or a handshake raised."""
    if isinstance(error, ssl.SSLCertVerificationError):
        # A certificate that doesn't verify won't the next time either.
        return DialError("tls", str(error), retryable=False)
    if isinstance(error, ssl.SSLError):
        return DialError("tls", str(error))
    kind: DialErrorKind = "refused" if isinstance(error, ConnectionRefusedError) else "unreachable"
    return DialError(kind, plain_words(error))


def plain_words(error: Exception) -> str:
    """What the error means. An event loop's own text for an errno holds the address as Python writes it."""
    if not isinstance(error, OSError):
        return str(error) or type(error).__name__
    number = error.errno or 0
    if number in errno.errorcode:
        return os.strerror(number)
    return error.strerror or str(error) or type(error).__name__
