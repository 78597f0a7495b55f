"""One connection: bytes in, events out, and what is known of the bytes that went out.

Theory of operation. A connection carries one request at a time. Nothing waits in here but the upload of a large body:
the loop calls, and each call moves the state on.

                      start                  head of 1xx (5 at most)
    +------+ -----------------> +------+ <----+
    | IDLE |                    | HEAD | -----+
    +------+ <--+               +------+
       |        |                  | final head
       |        |   last byte      v
       |        +------- +-----------------------+
       |                 | LENGTH CHUNKED  CLOSE |   by what tells the end of the body
       |                 +-----------------------+
       |   bytes, its end,         |  an error, a limit, a timeout, surplus bytes,
       |   too long idle           |  its end before that of the answer; CLOSE: its end
       v                           v
    +-------------------------------------------+
    |                   GONE                    |
    +-------------------------------------------+

What was sent. `Progress` is moved from here alone, by the state of this connection:

- nothing: `begin` was not awaited to its end, or the first write was refused;
- a part: a later write was refused, or the transport still had bytes of ours when the connection was lost (`_link.py`);
- all: the last byte was handed to the kernel. Whether the other side has read it, TCP doesn't tell.

Early answers. The answer to an upload may come before its end, and the server may then close. So before each piece is
written, what has arrived is read; and when a write fails nevertheless, what lies in the socket is read before the loss
is told. After an answer that is an error nothing more is written; after any other, what the server goes on to take.
"""

from __future__ import annotations

import asyncio
import contextvars
from enum import IntEnum
from typing import Protocol

from .._sansio.breakage import BreakKind, Broke, describe_timeout
from .._sansio.request import BodyStream
from ._descriptors import last_words
from ._dial import Origin
from ._dial_error import plain_words
from ._exchange import Exchange
from ._link import NEVER, Link
from ._outgoing import SMALL_BODY, Outgoing
from ._parser import NewParser, Parser
from ._rules import (
    END_OF_HEAD,
    HEAD_BYTES,
    INTERIM_ANSWERS,
    Framing,
    Head,
    Malformed,
    check_start,
    framing_of,
    keeps_open,
    too_large,
)
from ._upload import upload

_BUFFERED = 1024 * 1024
"""Bytes that may arrive before somebody reads them; then the other side has to wait."""

_GRACE = 0.25
"""Seconds that an upload may wait to go on when its answer is whole (Go's net/http gives it 0.05)."""


class _State(IntEnum):
    IDLE = 0
    HEAD = 1
    LENGTH = 2
    CHUNKED = 3
    CLOSE = 4
    ANSWERED = 5
    """The answer is whole, and the body of the request isn't."""
    GONE = 6


_IDLE, _HEAD, _LENGTH, _CHUNKED, _CLOSE, _ANSWERED, _GONE = _State
_WITHOUT_BODY, _BY_LENGTH, _IN_CHUNKS, _BY_CLOSE = Framing


class Owner(Protocol):
    """Where a connection belongs."""

    def inbox(self) -> memoryview:
        """What all connections receive into. asyncio alone would make 256 KiB for each arrival, and throw them away."""
        ...

    def put_back(self, connection: Connection, keep_alive: bytes | None) -> None:
        """It is idle, or closes; the answer had this `Keep-Alive` field."""
        ...

    def gone(self, connection: Connection) -> None:
        """It is closed."""
        ...


class Connection(Link):
    """See above.

    Attributes:
        origin: whom it leads to.
        via_proxy: whether a proxy reads the request line.
        proxy_headers: for that proxy.
        idle_since: when its last answer ended, by the loop's clock.
        expires: when it has been idle for too long.
    """

    __slots__ = (
        "_buffer",
        "_exchange",
        "_interim",
        "_left",
        "_new_parser",
        "_owner",
        "_parser",
        "_reusable",
        "_state",
        "_upload",
        "expires",
        "idle_since",
        "origin",
        "proxy_headers",
        "via_proxy",
    )

    def __init__(
        self,
        origin: Origin,
        owner: Owner,
        new_parser: NewParser,
        loop: asyncio.AbstractEventLoop,
        context: contextvars.Context,
    ) -> None:
        super().__init__(loop, context, owner.inbox())
        self.origin: Origin = origin
        self.via_proxy: bool = False
        self.proxy_headers: tuple[tuple[str, str], ...] = ()
        self.idle_since: float = 0.0
        self.expires: float = NEVER
        self._owner = owner
        self._new_parser = new_parser
        self._state = _IDLE
        self._exchange: Exchange | None = None
        self._upload: asyncio.Task[None] | None = None
        self._parser: Parser | None = None
        self._buffer: bytearray | None = None
        self._left = 0
        self._interim = 0
        self._reusable = False

    # What the engine asks.

    def start(self, request: Outgoing, head: bytes) -> Exchange:
        """Send a request, whose head this is; `Outgoing.begin` has been awaited."""
        exchange = Exchange(request, self, self._loop.create_future())
        self._exchange = exchange
        self._state = _HEAD
        self._interim = 0
        self._reusable = True
        body = request.body
        if isinstance(body, BodyStream) or (body is not None and len(body) > SMALL_BODY):
            if self.write(head):
                self._upload = self._loop.create_task(upload(self, exchange, body))
                return exchange
        else:
            request.sent_at_once()
            # Those of `Link`: what `write` and `expect` do besides is for uploads.
            if super().write(head + body if body else head):
                super().expect(request.timeout.read)
                return exchange
        request.unsent()
        self.fail("closed", "it was closed before the request had been sent")
        return exchange

    def write(self, data: bytes | memoryview) -> bool:
        """See `Link`."""
        is_written = super().write(data)
        if not is_written and self._exchange is not None:
            self._exchange.request.refused()
        return is_written

    def expect(self, seconds: float) -> None:
        """See `Link`."""
        super().expect(min(seconds, _GRACE) if self._state is _ANSWERED else seconds)

    def late(self) -> None:
        """See `Link`."""
        exchange = self._exchange
        if exchange is None:
            return
        if self._state is _ANSWERED:
            self._reusable = False
            self._finish(exchange)  # the server wants no more of the body
        elif self._drained is not None:
            exchange.request.refused()
            self.fail("timeout", describe_timeout("write", exchange.request.timeout))
        elif exchange.is_awaited:
            self.fail("timeout", describe_timeout("read", exchange.request.timeout))

    def uploaded(self, exchange: Exchange) -> None:
        """The last byte of a large body was written."""
        self._upload = None
        if self._exchange is not exchange:
            return
        if self._state is _ANSWERED:
            self._finish(exchange)
        elif exchange.is_awaited:
            self.expect(exchange.request.timeout.read)

    def abandon(self) -> None:
        """The reader is gone."""
        self._exchange = None
        self.close()

    def fail(self, kind: BreakKind, text: str) -> None:
        """The exchange is over, and the connection with it."""
        exchange, self._exchange = self._exchange, None
        if exchange is not None:
            exchange.fail(Broke(exchange.request.progress.reached, kind, text))
        self.close()

    def close(self) -> None:
        """Close it at once. Over TLS it says goodbye, and waits for none."""
        if self._state is _GONE:
            return
        self._state = _GONE
        self._parser = self._buffer = None
        if self._upload is not None:
            self._upload.cancel()
            self._upload = None
        self.hang_up()
        self._owner.gone(self)

    def give_up(self) -> asyncio.Transport | None:
        """Its loop may be closed: whoever takes the transport closes that."""
        self._state = _GONE
        self._exchange = None
        transport, self._transport = self._transport, None
        return transport

    # What the loop calls.

    def data_received(self, data: bytes) -> None:
        """These bytes have come; also called by whoever held the connection before."""
        exchange = self._exchange
        if exchange is None:
            self.close()  # it speaks unasked
            return
        try:
            if self._state is _HEAD:
                self._read_head(exchange, data)
            else:
                self._read_body(exchange, data)
        except Malformed as error:
            self.fail("closed", str(error))
            return
        if self._exchange is None:
            return
        if exchange.head is None:
            return  # the time for it runs on
        if exchange.has_enough:
            exchange.wake()
            if exchange.held > _BUFFERED:
                self.pause()
        elif self._state is not _ANSWERED:
            self.put_off(exchange.request.timeout.read)

    def _read_head(self, exchange: Exchange, data: bytes) -> None:
        if self._buffer is not None:
            searched = len(self._buffer) - 3
            self._buffer += data
            end = self._buffer.find(END_OF_HEAD, max(0, searched))
            if end < 0:
                check_start(self._buffer)
                return
            data, self._buffer = bytes(self._buffer), None
        else:
            end = data.find(END_OF_HEAD)
            if end < 0:
                check_start(data)
                self._buffer = bytearray(data)
                return
        end += 4
        if end > HEAD_BYTES:
            raise too_large()
        start, rest = data[:end], data[end:]
        parser = self._new_parser()
        head = parser.read_head(start)
        if head.status < 200:
            self._pass_over(exchange, head, rest)
        else:
            self._begin_body(exchange, head, parser, rest)

    def _pass_over(self, exchange: Exchange, head: Head, rest: bytes) -> None:
        self._interim += 1
        if head.status == 101:
            raise Malformed("the server changed the protocol, which nobody had asked for")
        if self._interim > INTERIM_ANSWERS:
            raise Malformed(f"more than {INTERIM_ANSWERS} interim answers came")
        framing_of(head, exchange.request.method)  # none, but an odd one is refused here too
        if rest:
            self._read_head(exchange, rest)

    def _begin_body(self, exchange: Exchange, head: Head, parser: Parser, rest: bytes) -> None:
        framing, length = framing_of(head, exchange.request.method)
        self._reusable = framing is not _BY_CLOSE and keeps_open(head)
        exchange.answered(head)
        exchange.request.progress.answered()
        if self._upload is not None and head.status >= 300:
            self._upload.cancel()  # nobody wants the rest
            self._upload = None
            self._reusable = False
        if framing is _WITHOUT_BODY:
            self._end_of_answer(exchange, bool(rest))
            return
        if framing is _BY_LENGTH:
            self._state = _LENGTH
            self._left = length
        elif framing is _IN_CHUNKS:
            self._state = _CHUNKED
            self._parser = parser
        else:
            self._state = _CLOSE
            exchange.ends_with_connection = True
        if rest:
            self._read_body(exchange, rest)
        if not exchange.is_whole:
            exchange.wake()

    def _read_body(self, exchange: Exchange, data: bytes) -> None:
        if self._state is _LENGTH:
            left = self._left - len(data)
            if left > 0:
                self._left = left
                exchange.feed(data)
            else:
                exchange.feed(data if left == 0 else data[:left])
                self._left = 0
                self._end_of_answer(exchange, left < 0)
        elif self._state is _CHUNKED:
            assert self._parser is not None
            piece, ended = self._parser.read_chunks(data)
            if piece:
                exchange.feed(piece)
            if ended:
                self._end_of_answer(exchange, self._parser.surplus)
        elif self._state is _CLOSE:
            exchange.feed(data)
        else:
            self._reusable = False

    def _end_of_answer(self, exchange: Exchange, has_surplus: bool) -> None:
        if has_surplus:
            self._reusable = False
        self._parser = None
        if self._upload is not None:
            self._state = _ANSWERED
            self.expect(_GRACE)
            exchange.wake()
        else:
            self._finish(exchange)

    def _finish(self, exchange: Exchange) -> None:
        self._exchange = None
        exchange.ended()
        exchange.wake()
        if self._reusable and not self._is_blocked:
            self._state = _IDLE
            assert exchange.head is not None
            self._owner.put_back(self, exchange.head.fields.get(b"keep-alive"))
        else:
            self.close()

    def eof_received(self) -> None:
        self._lose(None)

    def connection_lost(self, exc: Exception | None) -> None:
        exchange = self._exchange
        if exchange is not None and exc is not None and self._state is not _GONE:
            if self._is_blocked:
                exchange.request.refused()
            if (words := last_words(self._transport)) and self._state is not _CLOSE:
                self.data_received(words)
        self._lose(exc)
        self._is_blocked = False
        self.resume_writing()
        self._transport = None

    def _lose(self, error: Exception | None) -> None:
        exchange = self._exchange
        if exchange is None:
            self.close()
        elif self._state is _CLOSE and error is None:
            self._reusable = False
            self._finish(exchange)
        else:
            if self._is_blocked:
                exchange.request.refused()
            self.fail("closed", self._why_it_broke(exchange, error))

    def _why_it_broke(self, exchange: Exchange, error: Exception | None) -> str:
        if self._state in (_HEAD, _ANSWERED):
            if error is not None:
                return plain_words(error)
            begun = self._buffer is not None or self._interim
            return "the answer was cut off in its head" if begun else "the server closed it without an answer"
        length = exchange.got + self._left
        told = f" ({exchange.got} of {length} bytes)" if self._state is _LENGTH else ""
        return f"the answer was cut off{told}"
