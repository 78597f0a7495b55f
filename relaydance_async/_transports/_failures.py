"""What every adapter does alike with an exception of its library."""

from __future__ import annotations

import errno
import os
import socket
import ssl
from collections.abc import Callable
from typing import TypeAlias

from .._sansio.breakage import Broke, build_connection_error
from ..errors import RelayDanceError
from ._base import WireRequest

Judge: TypeAlias = Callable[[Exception, WireRequest], Broke]
"""An adapter's word on what an exception of its library means."""


def build_failure(error: Exception, request: WireRequest, judge: Judge) -> Exception:
    """Our exception for one of a library's. It holds nothing of the original but its text."""
    if request.objection is not None:
        return request.objection.with_traceback(None)
    if isinstance(error, RelayDanceError):
        # Raised by code of ours that the library called, in frames whose local variables may be the key.
        return error.with_traceback(None)
    told = request.body_broke if request.body_broke is not None else judge(error, request)
    _drop_frames(error)
    return build_connection_error(told, peer=request.peer)


def _drop_frames(error: BaseException | None) -> None:
    """Of a library's exception and of those under it: aiohttp keeps some of them, and with their frames the call."""
    while error is not None and error.__traceback__ is not None:
        error = error.with_traceback(None)
        error = error.__cause__ or error.__context__


def without_frames(error: BaseException) -> BaseException:
    """A cancellation on its way out, without the library's frames: a local variable there may be the key."""
    return error.with_traceback(None)


def distrust_under(error: BaseException | None) -> ssl.SSLCertVerificationError | None:
    """Why the certificate was refused, if that is what lies under the error; trio's own says nothing of it.

    To be asked only when nothing was sent: the context may also be an exception that the caller is handling meanwhile.
    """
    while error is not None:
        if isinstance(error, ssl.SSLCertVerificationError):
            return error
        error = error.__cause__ or error.__context__
    return None


def plain_words(error: BaseException) -> str:
    """What an exception says, without the layers that libraries put around it."""
    while isinstance(error.__cause__, OSError):
        error = error.__cause__
    if isinstance(error, OSError) and not isinstance(error, socket.gaierror | ssl.SSLError):
        # asyncio's own text for an errno holds the address as Python writes it.
        number = error.errno or 0
        return os.strerror(number) if number in errno.errorcode else error.strerror or _text(error)
    return _text(error)


def _text(error: BaseException) -> str:
    if isinstance(error, socket.gaierror) and error.strerror:
        return error.strerror
    return str(error) or type(error).__name__
